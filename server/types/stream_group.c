/* Consumer groups of streams (see stream.h): members by name, pending entries, and how far a group
 * has read. */
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/hash.h"
#include "common/slab.h"
#include "server/types/stream.h"

/* ---- names ---- */

static struct stream_name *name_new(struct bytes b)
{
    struct stream_name *n = mem_alloc(sizeof(*n) + b.n);
    n->n = (uint32_t)b.n;
    memcpy(n->s, b.p, b.n);
    return n;
}

/* Groups and consumers begin with their name. */
static struct bytes item_name(const void *item)
{
    return stream_name_bytes(*(struct stream_name *const *)item);
}
STATIC_ASSERT(offsetof(struct stream_group, name) == 0 &&
                  offsetof(struct stream_consumer, name) == 0,
              "item_name");

static const struct table_kind named = { item_name, hash_bytes, NULL };

static void *named_find(const struct table *t, struct bytes name)
{
    return table_find(t, &named, hash_bytes(name), name, NULL);
}

static void named_insert(struct table *t, void *item)
{
    table_insert(t, &named, hash_bytes(item_name(item)), item, TABLE_NOT_DUE);
}

static void named_remove(struct table *t, void *item)
{
    struct table_at at = table_locate(t, hash_bytes(item_name(item)), item);
    table_remove(t, &named, &at);
}

struct gather {
    void **items;
    size_t n;
};

static void gather_item(void *ctx, void *item)
{
    struct gather *g = ctx;
    g->items[g->n++] = item;
}

static int by_name(const void *a, const void *b)
{
    return bytes_cmp(item_name(*(void *const *)a), item_name(*(void *const *)b));
}

static void **items_of(const struct table *t, size_t *ret_n)
{
    struct gather g = { mem_alloc((t->count ? t->count : 1) * sizeof(void *)), 0 };
    uint64_t cursor = 0;
    while (t->count && (cursor = table_scan(t, cursor, gather_item, &g)) != 0)
        ;
    *ret_n = g.n;
    return g.items;
}

static void **items_sorted(const struct table *t, size_t *ret_n)
{
    void **items = items_of(t, ret_n);
    qsort(items, *ret_n, sizeof(*items), by_name);
    return items;
}

struct stream_group **stream_groups_sorted(const struct stream *s, size_t *ret_n)
{
    return (struct stream_group **)items_sorted(&s->groups, ret_n);
}

struct stream_consumer **stream_consumers_sorted(const struct stream_group *g, size_t *ret_n)
{
    return (struct stream_consumer **)items_sorted(&g->consumers, ret_n);
}

/* ---- consumers ---- */

struct stream_consumer *stream_consumer_find(const struct stream_group *g, struct bytes name)
{
    return named_find(&g->consumers, name);
}

struct stream_consumer *stream_consumer_add(struct stream_group *g, struct bytes name, msec_t now)
{
    if (stream_consumer_find(g, name))
        return NULL;
    struct stream_consumer *c = mem_zalloc(sizeof(*c));
    c->name = name_new(name);
    c->seen = now;
    c->active = -1;
    named_insert(&g->consumers, c);
    return c;
}

static void consumer_free(struct stream_consumer *c)
{
    id_tree_done(&c->pending);
    mem_free(c->name);
    mem_free(c);
}

uint64_t stream_consumer_remove(struct stream_group *g, struct stream_consumer *c)
{
    uint64_t n = c->pending.count;
    for (struct id_at at = id_tree_first(&c->pending); at.leaf; id_at_next(&at)) {
        id_tree_remove(&g->pending, id_at_id(at));
        slab_free(id_at_value(at), sizeof(struct stream_pending));
    }
    named_remove(&g->consumers, c);
    consumer_free(c);
    return n;
}

/* ---- groups ---- */

struct stream_group *stream_group_find(const struct stream *s, struct bytes name)
{
    return named_find(&s->groups, name);
}

struct stream_group *stream_group_add(struct stream *s, struct bytes name, struct stream_id last,
                                      int64_t entries_read)
{
    if (stream_group_find(s, name))
        return NULL;
    struct stream_group *g = mem_zalloc(sizeof(*g));
    g->name = name_new(name);
    g->last = last;
    g->entries_read = entries_read;
    table_init(&g->consumers);
    named_insert(&s->groups, g);
    return g;
}

static void group_free(struct stream_group *g)
{
    size_t n;
    void **consumers = items_of(&g->consumers, &n);
    for (size_t i = 0; i < n; i++)
        consumer_free(consumers[i]);
    mem_free(consumers);
    for (struct id_at at = id_tree_first(&g->pending); at.leaf; id_at_next(&at))
        slab_free(id_at_value(at), sizeof(struct stream_pending));
    id_tree_done(&g->pending);
    table_done(&g->consumers);
    mem_free(g->name);
    mem_free(g);
}

void stream_group_remove(struct stream *s, struct stream_group *g)
{
    named_remove(&s->groups, g);
    group_free(g);
}

void stream_groups_done(struct stream *s)
{
    size_t n;
    void **groups = items_of(&s->groups, &n);
    for (size_t i = 0; i < n; i++)
        group_free(groups[i]);
    mem_free(groups);
    table_done(&s->groups);
}

static void let_die(void *ctx, void *item)
{
    struct stream *s = ctx;
    struct stream_group *g = item;
    g->next_dying = s->dying;
    s->dying = g;
}

/* Pending entries of a group one by one, without their consumers hearing of it: nobody reads any more. */
bool stream_groups_free_some(struct stream *s, unsigned effort)
{
    for (unsigned done = 0; done < effort; done++) {
        struct stream_group *g = s->dying;
        if (!g) {
            if (s->groups.count == 0)
                return true;
            table_clear_some(&s->groups, &s->groups_freed, let_die, s);
        } else if (g->pending.count) {
            struct id_at first = id_tree_first(&g->pending);
            slab_free(id_tree_remove(&g->pending, id_at_id(first)), sizeof(struct stream_pending));
        } else {
            s->dying = g->next_dying;
            group_free(g);
        }
    }
    return false;
}

/* ---- pending entries ---- */

static void pending_insert(struct stream_group *g, struct stream_consumer *c, struct stream_id id,
                           struct stream_pending *p)
{
    p->consumer = c;
    id_tree_insert(&g->pending, id, p);
    id_tree_insert(&c->pending, id, p);
}

struct stream_pending *stream_pend(struct stream_group *g, struct stream_consumer *c,
                                   struct stream_id id)
{
    struct stream_pending *p = id_tree_find(&g->pending, id);
    if (!p) {
        p = slab_alloc(sizeof(*p));
        *p = (struct stream_pending){ 0 };
        pending_insert(g, c, id, p);
    } else if (p->consumer != c) {
        id_tree_remove(&p->consumer->pending, id);
        id_tree_insert(&c->pending, id, p);
        p->consumer = c;
    }
    return p;
}

bool stream_acknowledge(struct stream_group *g, struct stream_id id)
{
    struct stream_pending *p = id_tree_remove(&g->pending, id);
    if (!p)
        return false;
    id_tree_remove(&p->consumer->pending, id);
    slab_free(p, sizeof(*p));
    return true;
}

static void group_copy(struct stream *to, const struct stream_group *from)
{
    struct stream_group *g =
        stream_group_add(to, stream_name_bytes(from->name), from->last, from->entries_read);
    size_t n;
    void **consumers = items_of(&from->consumers, &n);
    for (size_t i = 0; i < n; i++) {
        const struct stream_consumer *old = consumers[i];
        struct stream_consumer *c = stream_consumer_add(g, stream_name_bytes(old->name), old->seen);
        c->active = old->active;
        for (struct id_at at = id_tree_first(&old->pending); at.leaf; id_at_next(&at)) {
            struct stream_pending *p = slab_alloc(sizeof(*p));
            *p = *(struct stream_pending *)id_at_value(at);
            pending_insert(g, c, id_at_id(at), p);
        }
    }
    mem_free(consumers);
}

void stream_groups_copy(struct stream *to, const struct stream *from)
{
    size_t n;
    void **groups = items_of(&from->groups, &n);
    for (size_t i = 0; i < n; i++)
        group_copy(to, groups[i]);
    mem_free(groups);
}

static size_t group_memory(const struct stream_group *g)
{
    size_t n, sum = mem_good_size(sizeof(*g)) + mem_usable(g->name) + table_bytes(&g->consumers) +
                    g->pending.bytes +
                    g->pending.count * slab_good_size(sizeof(struct stream_pending));
    void **consumers = items_of(&g->consumers, &n);
    for (size_t i = 0; i < n; i++) {
        const struct stream_consumer *c = consumers[i];
        sum += mem_good_size(sizeof(*c)) + mem_usable(c->name) + c->pending.bytes;
    }
    mem_free(consumers);
    return sum;
}

size_t stream_groups_memory(const struct stream *s)
{
    size_t n, sum = table_bytes(&s->groups);
    void **groups = items_of(&s->groups, &n);
    for (size_t i = 0; i < n; i++)
        sum += group_memory(groups[i]);
    mem_free(groups);
    return sum;
}

/* ---- how far a group has read ---- */

int64_t stream_entries_read(const struct stream *s, struct stream_id id)
{
    if (s->entries_added == 0)
        return 0;
    if (s->length == 0 && stream_id_cmp(id, s->last) < 1)
        return (int64_t)s->entries_added;
    if (!stream_id_is_zero(id) && stream_id_cmp(id, s->max_deleted) < 0)
        return STREAM_READ_UNKNOWN; /* there are holes, ahead of the id or behind it */
    int to_last = stream_id_cmp(id, s->last);
    if (to_last == 0)
        return (int64_t)s->entries_added;
    if (to_last > 0)
        return STREAM_READ_UNKNOWN;
    /* No hole from the first entry on: positions at or before it can be told. */
    if (stream_id_is_zero(s->max_deleted) || stream_id_cmp(s->max_deleted, s->first) < 0) {
        int to_first = stream_id_cmp(id, s->first);
        if (to_first <= 0)
            return (int64_t)(s->entries_added - s->length) + (to_first == 0);
    }
    return STREAM_READ_UNKNOWN;
}

bool stream_has_tombstones(const struct stream *s, struct stream_id start)
{
    if (s->length == 0 || stream_id_is_zero(s->max_deleted))
        return false;
    return stream_id_cmp(start, s->max_deleted) <= 0;
}

void stream_group_advance(const struct stream *s, struct stream_group *g, struct stream_id id)
{
    if (g->entries_read != STREAM_READ_UNKNOWN && stream_id_cmp(g->last, s->first) >= 0 &&
        !stream_has_tombstones(s, g->last))
        g->entries_read++;
    else if (s->entries_added)
        g->entries_read = stream_entries_read(s, id);
    g->last = id;
}

bool stream_group_lag(const struct stream *s, const struct stream_group *g, int64_t *ret_lag)
{
    int64_t read = 0;
    if (s->entries_added) {
        read = g->entries_read;
        if (read == STREAM_READ_UNKNOWN || stream_has_tombstones(s, g->last))
            read = stream_entries_read(s, g->last);
    }
    if (read == STREAM_READ_UNKNOWN)
        return false;
    *ret_lag = (int64_t)s->entries_added - read;
    return true;
}
