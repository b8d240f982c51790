/* Names and clients (see relation.h). Two tables: names by (space, text), links by (name, side). */
#include "server/relation.h"

#include "common/alloc.h"
#include "common/assert.h"
#include "common/hash.h"

static struct bytes name_key(const void *item)
{
    const struct relation_name *n = item;
    return bytes_of(&n->space, offsetof(struct relation_name, text) - offsetof(struct relation_name, space) + n->n);
}

static struct bytes link_key(const void *item)
{
    const struct relation_link *l = item;
    return bytes_of(&l->name, 2 * sizeof(void *));
}

static uint64_t key_hash(struct bytes key)
{
    return hash_bytes(key);
}

static const struct table_kind name_kind = { .key = name_key, .hash = key_hash };
static const struct table_kind link_kind = { .key = link_key, .hash = key_hash };

STATIC_ASSERT(offsetof(struct relation_link, side) == offsetof(struct relation_link, name) + sizeof(void *),
              "the key of a link is two pointers side by side");

void relation_init(struct relation *r)
{
    table_init(&r->names);
    table_init(&r->links);
}

void relation_done(struct relation *r)
{
    ASSERT(r->names.count == 0 && r->links.count == 0);
    table_done(&r->names);
    table_done(&r->links);
}

void relation_side_init(struct relation_side *s)
{
    list_init(&s->links);
    s->links_n = 0;
}

static struct relation_name *new_name(int space, struct bytes text)
{
    struct relation_name *n = mem_alloc(sizeof(*n) + text.n);
    list_init(&n->links);
    n->links_n = 0;
    n->user = NULL;
    n->space = space;
    n->n = (uint32_t)text.n;
    if (text.n)
        memcpy(n->text, text.p, text.n);
    return n;
}

struct relation_name *relation_find(const struct relation *r, int space, struct bytes text)
{
    if (r->names.count == 0)
        return NULL;
    char small[512] __attribute__((aligned(8)));
    size_t size = sizeof(struct relation_name) + text.n;
    struct relation_name *probe = size <= sizeof(small) ? (struct relation_name *)small : mem_alloc(size);
    probe->space = space;
    probe->n = (uint32_t)text.n;
    if (text.n)
        memcpy(probe->text, text.p, text.n);
    struct bytes key = name_key(probe);
    struct table_at at;
    struct relation_name *n = table_find(&r->names, &name_kind, hash_bytes(key), key, &at);
    if (probe != (struct relation_name *)small)
        mem_free(probe);
    return n;
}

struct relation_link *relation_find_link(const struct relation *r, const struct relation_name *name,
                                         const struct relation_side *side)
{
    const void *pair[2] = { name, side };
    struct bytes key = bytes_of(pair, sizeof(pair));
    struct table_at at;
    return table_find(&r->links, &link_kind, hash_bytes(key), key, &at);
}

struct relation_link *relation_link(struct relation *r, struct relation_side *side, void *owner, int space,
                                    struct bytes text)
{
    struct relation_name *name = relation_find(r, space, text);
    if (name && relation_find_link(r, name, side))
        return NULL;
    if (!name) {
        name = new_name(space, text);
        table_insert(&r->names, &name_kind, hash_bytes(name_key(name)), name, TABLE_NOT_DUE);
    }
    struct relation_link *l = mem_alloc(sizeof(*l));
    *l = (struct relation_link){ .name = name, .side = side, .owner = owner };
    list_push_back(&name->links, &l->in_name);
    list_push_back(&side->links, &l->in_side);
    name->links_n++;
    side->links_n++;
    table_insert(&r->links, &link_kind, hash_bytes(link_key(l)), l, TABLE_NOT_DUE);
    return l;
}

void relation_unlink(struct relation *r, struct relation_link *l)
{
    struct relation_name *name = l->name;
    struct table_at at = table_locate(&r->links, hash_bytes(link_key(l)), l);
    table_remove(&r->links, &link_kind, &at);
    list_remove(&l->in_name);
    list_remove(&l->in_side);
    l->side->links_n--;
    mem_free(l);
    if (--name->links_n)
        return;
    at = table_locate(&r->names, hash_bytes(name_key(name)), name);
    table_remove(&r->names, &name_kind, &at);
    mem_free(name);
}
