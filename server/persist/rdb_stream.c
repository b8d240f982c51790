/* Loading streams. The nodes' listpacks are kept as they come, so all that the verbs of a stream rely on is checked
 * here: the master of each node, every entry with its counts, the order of all IDs, the totals. Of groups: each pending
 * entry belongs to exactly one consumer. */
#include "common/alloc.h"
#include "common/slab.h"
#include "server/persist/rdb_inner.h"
#include "server/types/stream.h"

enum { ENTRY_DELETED = 1, ENTRY_SAME_FIELDS = 2 };

struct stream_loading {
    struct rdb_reader *r;
    struct stream *s;
    unsigned type;
    bool any;              /* an entry was seen, deleted or not: */
    struct stream_id last; /* the last of them */
    uint64_t live;
};

/* ---- nodes ---- */

/* Steps through a listpack that is valid by itself. */
struct steps {
    const uint8_t *p;
    bool ok;
};

static int64_t next_number(struct steps *s)
{
    int64_t v = 0;
    if (!s->ok || lp_is_end(s->p) || !lp_get_i64(s->p, &v)) {
        s->ok = false;
        return 0;
    }
    s->p = lp_skip(s->p);
    return v;
}

static void pass(struct steps *s, uint64_t n)
{
    for (; s->ok && n > 0; n--) {
        if (lp_is_end(s->p))
            s->ok = false;
        else
            s->p = lp_skip(s->p);
    }
}

static bool check_entry(struct stream_loading *l, struct steps *s, struct stream_id master,
                        int64_t master_fields, bool *ret_deleted)
{
    int64_t flags = next_number(s), ms = next_number(s), seq = next_number(s);
    bool same = flags & ENTRY_SAME_FIELDS;
    int64_t fields = same ? master_fields : next_number(s);
    if (!s->ok || flags < 0 || flags > (ENTRY_DELETED | ENTRY_SAME_FIELDS) || fields < 1 ||
        fields > UINT32_MAX)
        return false;
    pass(s, same ? (uint64_t)fields : 2 * (uint64_t)fields);
    int64_t before = next_number(s);
    if (!s->ok || before != (same ? fields + 3 : 2 * fields + 4))
        return false;
    struct stream_id id = { master.ms + (uint64_t)ms, master.seq + (uint64_t)seq };
    if (stream_id_cmp(id, master) < 0 || (l->any && stream_id_cmp(id, l->last) <= 0))
        return false;
    l->any = true;
    l->last = id;
    *ret_deleted = flags & ENTRY_DELETED;
    if (!*ret_deleted && l->live++ == 0)
        l->s->first = id;
    return true;
}

static bool check_node(struct stream_loading *l, const uint8_t *lp, struct stream_id master)
{
    struct steps s = { lp_begin(lp), true };
    int64_t count = next_number(&s), deleted = next_number(&s), fields = next_number(&s);
    if (!s.ok || count < 1 || deleted < 0 || fields < 1 || fields > UINT32_MAX)
        return false;
    if (l->any && stream_id_cmp(master, l->last) <= 0)
        return false;
    pass(&s, (uint64_t)fields);
    if (next_number(&s) != 0 || !s.ok)
        return false;
    int64_t live = 0, dead = 0;
    while (!lp_is_end(s.p)) {
        bool is_deleted;
        if (!check_entry(l, &s, master, fields, &is_deleted))
            return false;
        *(is_deleted ? &dead : &live) += 1;
    }
    return live == count && dead == deleted;
}

static bool load_node(struct stream_loading *l)
{
    struct rdb_reader *r = l->r;
    struct bytes key, b;
    struct lp_facts facts;
    if (!rdb_get_string(r, RDB_SLOT_A, &key) || !rdb_get_string(r, RDB_SLOT_B, &b))
        return false;
    if (key.n != 2 * sizeof(uint64_t))
        return rdb_corrupt(r, "the ID of a stream's node has %zu bytes", key.n);
    uint64_t raw[2];
    memcpy(raw, key.p, sizeof raw);
    struct stream_id master = { __builtin_bswap64(raw[0]), __builtin_bswap64(raw[1]) };
    if (!lp_validate(b, &facts))
        return rdb_corrupt(r, "a node of a stream is damaged");
    uint8_t *lp = lp_from_bytes(b, &facts);
    if (!check_node(l, lp, master) || !id_tree_insert(&l->s->nodes, master, lp)) {
        lp_free(lp);
        return rdb_corrupt(r, "the entries of a stream's node %llu-%llu are damaged",
                           (unsigned long long)master.ms, (unsigned long long)master.seq);
    }
    l->s->node_bytes += lp_memory(lp);
    return true;
}

/* ---- numbers ---- */

static bool get_id(struct rdb_reader *r, struct stream_id *ret)
{
    struct stream_id id;
    if (!rdb_get_length(r, &id.ms) || !rdb_get_length(r, &id.seq))
        return false;
    *ret = id;
    return true;
}

static bool get_raw_id(struct rdb_reader *r, struct stream_id *ret)
{
    struct stream_id id;
    if (!rdb_get_u64be(r, &id.ms) || !rdb_get_u64be(r, &id.seq))
        return false;
    *ret = id;
    return true;
}

static bool get_time(struct rdb_reader *r, msec_t *ret)
{
    uint64_t v;
    if (!rdb_get_u64le(r, &v))
        return false;
    *ret = (msec_t)v;
    return true;
}

static bool load_totals(struct stream_loading *l)
{
    struct stream *s = l->s;
    struct stream_id first;
    if (!rdb_get_length(l->r, &s->length) || !get_id(l->r, &s->last))
        return false;
    s->entries_added = s->length;
    /* Where the file says another first ID than the entries do, the entries are right. */
    if (l->type != RDB_STREAM_LISTPACKS &&
        (!get_id(l->r, &first) || !get_id(l->r, &s->max_deleted) ||
         !rdb_get_length(l->r, &s->entries_added)))
        return false;
    if (s->length != l->live)
        return rdb_corrupt(l->r, "the stream has %llu entries and says %llu",
                           (unsigned long long)l->live, (unsigned long long)s->length);
    if (l->any && stream_id_cmp(l->last, s->last) > 0)
        return rdb_corrupt(l->r, "the stream's last ID is below that of an entry");
    return true;
}

/* ---- groups ---- */

static bool load_pending(struct rdb_reader *r, struct stream_group *g)
{
    struct stream_id id;
    struct stream_pending p = { 0 };
    if (!get_raw_id(r, &id) || !get_time(r, &p.delivered) || !rdb_get_length(r, &p.deliveries))
        return false;
    if (id_tree_find(&g->pending, id))
        return rdb_corrupt(r, "an entry is pending twice in a group");
    struct stream_pending *kept = slab_alloc(sizeof *kept);
    *kept = p;
    id_tree_insert(&g->pending, id, kept);
    return true;
}

static bool load_owned(struct rdb_reader *r, struct stream_group *g, struct stream_consumer *c)
{
    struct stream_id id;
    if (!get_raw_id(r, &id))
        return false;
    struct stream_pending *p = id_tree_find(&g->pending, id);
    if (!p)
        return rdb_corrupt(r, "a consumer has a pending entry that its group has not");
    if (p->consumer)
        return rdb_corrupt(r, "two consumers have the same pending entry");
    p->consumer = c;
    id_tree_insert(&c->pending, id, p);
    return true;
}

static bool get_name(struct rdb_reader *r, struct bytes *ret)
{
    if (!rdb_get_string(r, RDB_SLOT_A, ret))
        return false;
    return ret->n < UINT32_MAX || rdb_corrupt(r, "a name of %zu bytes", ret->n);
}

static bool load_consumer(struct stream_loading *l, struct stream_group *g, uint64_t *owned)
{
    struct bytes name;
    msec_t seen, active;
    uint64_t n;
    if (!get_name(l->r, &name) || !get_time(l->r, &seen))
        return false;
    active = seen;
    if (l->type == RDB_STREAM_LISTPACKS_3 && !get_time(l->r, &active))
        return false;
    struct stream_consumer *c = stream_consumer_add(g, name, seen);
    if (!c)
        return rdb_corrupt(l->r, "a consumer is twice in a group");
    c->active = active;
    if (!rdb_get_length(l->r, &n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!load_owned(l->r, g, c))
            return false;
    }
    *owned += n;
    return true;
}

static bool load_group(struct stream_loading *l)
{
    struct rdb_reader *r = l->r;
    struct bytes name;
    struct stream_id last;
    uint64_t read, n, owned = 0;
    if (!get_name(r, &name) || !get_id(r, &last))
        return false;
    if (l->type == RDB_STREAM_LISTPACKS)
        read = (uint64_t)stream_entries_read(l->s, last);
    else if (!rdb_get_length(r, &read))
        return false;
    if ((int64_t)read < STREAM_READ_UNKNOWN)
        return rdb_corrupt(r, "a group cannot have read %lld entries", (long long)read);
    struct stream_group *g = stream_group_add(l->s, name, last, (int64_t)read);
    if (!g)
        return rdb_corrupt(r, "a group is twice in a stream");
    if (!rdb_get_length(r, &n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!load_pending(r, g))
            return false;
    }
    if (!rdb_get_length(r, &n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!load_consumer(l, g, &owned))
            return false;
    }
    return owned == g->pending.count ||
           rdb_corrupt(r, "a pending entry of a group belongs to no consumer");
}

/* ---- the whole ---- */

static bool load(struct stream_loading *l)
{
    uint64_t n;
    if (!rdb_get_length(l->r, &n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!load_node(l))
            return false;
    }
    if (!load_totals(l) || !rdb_get_length(l->r, &n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!load_group(l))
            return false;
    }
    return true;
}

struct stream *rdb_load_stream(struct rdb_reader *r, unsigned type)
{
    struct stream_loading l = { .r = r, .s = stream_new(), .type = type };
    if (load(&l))
        return l.s;
    stream_free(l.s);
    return NULL;
}
