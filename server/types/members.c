/* See members.h. */
#include "server/types/members.h"

#include "common/alloc.h"
#include "common/slab.h"

uint8_t *member_write_name(void *item, struct bytes name)
{
    uint8_t *p = item;
    if (name.n < MEMBER_LONG) {
        *p++ = (uint8_t)name.n;
    } else {
        *p++ = MEMBER_LONG;
        memcpy(p, &name.n, sizeof name.n);
        p += sizeof name.n;
    }
    if (name.n)
        memcpy(p, name.p, name.n);
    return p + name.n;
}

struct members *members_new(uint64_t expected)
{
    struct members *m = slab_alloc(sizeof *m);
    *m = (struct members){ 0 };
    table_init(&m->table);
    if (expected)
        table_reserve(&m->table, expected);
    return m;
}

static void item_free(const struct member_ops *ops, void *item)
{
    size_t n = ops->size(item);
    if (ops->done)
        ops->done(item);
    slab_free(item, n);
}

size_t member_memory(const struct member_ops *ops, const void *item)
{
    size_t n = ops->size(item);
    n = n <= SLAB_MAX ? slab_good_size(n) : mem_good_size(n);
    return ops->outside ? n + ops->outside(item) : n;
}

void members_insert(struct members *m, const struct member_ops *ops, uint64_t hash, void *item)
{
    table_insert(&m->table, &member_kind, hash, item, TABLE_NOT_DUE);
    m->item_bytes += member_memory(ops, item);
}

void members_remove(struct members *m, const struct member_ops *ops, const struct table_at *at)
{
    void *item = table_slot_item(at->bucket, at->slot);
    m->item_bytes -= member_memory(ops, item);
    table_remove(&m->table, &member_kind, at);
    item_free(ops, item);
}

static void give_item(void *ctx, void *item)
{
    item_free(ctx, item);
}

bool members_free_some(struct members *m, const struct member_ops *ops, unsigned effort)
{
    uint64_t before = m->table.count;
    for (;;) {
        if (table_clear_some(&m->table, &m->clear_pos, give_item, (void *)ops)) {
            slab_free(m, sizeof *m);
            return true;
        }
        if (before - m->table.count >= effort)
            return false;
    }
}

void members_free(struct members *m, const struct member_ops *ops)
{
    while (!members_free_some(m, ops, UINT32_MAX))
        ;
}

struct members *members_copy(const struct members *m, const struct member_ops *ops)
{
    struct members *copy = members_new(m->table.count);
    struct members_walk w;
    members_walk_begin(&w, m);
    for (void *item; (item = members_walk_next(&w));) {
        size_t n = ops->size(item);
        void *twin = memcpy(slab_alloc(n), item, n);
        if (ops->copied)
            ops->copied(twin);
        members_insert(copy, ops, hash_bytes(member_name(twin)), twin);
    }
    return copy;
}

size_t members_memory(const struct members *m)
{
    return slab_good_size(sizeof *m) + table_bytes(&m->table) + m->item_bytes;
}

/* ---- walking ---- */

enum { FETCH_AHEAD = 4 }; /* buckets whose items are on their way to the cache */

static void fetch_bucket(const struct table_place *p, uint32_t i)
{
    if (i >= p->n)
        return;
    for (unsigned slot = 0; slot < TABLE_SLOTS; slot++)
        table_fetch(table_slot_item(&p->buckets[i], slot));
}

static void enter_segment(struct members_walk *w)
{
    w->place = table_place(w->table, w->hash);
    w->bucket = 0;
    w->slot = 0;
    for (uint32_t i = 0; i < FETCH_AHEAD; i++)
        fetch_bucket(&w->place, i);
}

void members_walk_begin(struct members_walk *w, const struct members *m)
{
    *w = (struct members_walk){ .table = &m->table, .done = m->table.count == 0 };
    if (!w->done)
        enter_segment(w);
}

static void leave_bucket(struct members_walk *w)
{
    w->slot = 0;
    if (++w->bucket < w->place.n) {
        fetch_bucket(&w->place, w->bucket + FETCH_AHEAD - 1);
        return;
    }
    uint32_t depth = w->place.depth;
    w->hash = depth ? ((w->hash >> (64 - depth)) + 1) << (64 - depth) : 0; /* 0 at the end */
    w->done = w->hash == 0;
    if (!w->done)
        enter_segment(w);
}

void *members_walk_next(struct members_walk *w)
{
    while (!w->done) {
        const struct table_bucket *b = &w->place.buckets[w->bucket];
        while (w->slot < TABLE_SLOTS) {
            void *item = table_slot_item(b, w->slot++);
            if (item)
                return item;
        }
        leave_bucket(w);
    }
    return NULL;
}

/* ---- choosing ---- */

/* Pointers seen, in a table of open places: more than twice as many places as pointers. */
struct seen {
    void **v;
    unsigned bits;
};

static bool seen_add(struct seen *s, void *item)
{
    size_t mask = ((size_t)1 << s->bits) - 1;
    size_t i = (size_t)((uint64_t)(uintptr_t)item * 0x9e3779b97f4a7c15u >> (64 - s->bits));
    for (; s->v[i]; i = (i + 1) & mask) {
        if (s->v[i] == item)
            return false;
    }
    s->v[i] = item;
    return true;
}

/* For a few of many: draws, and draws again what came before. */
static void pick_few(const struct members *m, uint64_t k, struct prng *r,
                     void (*visit)(void *, void *), void *ctx)
{
    struct seen seen = { .bits = 4 };
    while ((uint64_t)1 << seen.bits < 2 * k)
        seen.bits++;
    seen.v = mem_zalloc(sizeof(*seen.v) << seen.bits);
    while (k > 0) {
        void *item = table_random(&m->table, r);
        if (!seen_add(&seen, item))
            continue;
        visit(ctx, item);
        k--;
    }
    mem_free(seen.v);
}

void members_pick(const struct members *m, uint64_t k, struct prng *r,
                  void (*visit)(void *ctx, void *item), void *ctx)
{
    enum { FEW = 4 };
    ASSERT(k <= m->table.count);
    if (k < m->table.count / FEW) {
        pick_few(m, k, r, visit, ctx);
        return;
    }
    struct choice c = { k, m->table.count };
    struct members_walk w;
    members_walk_begin(&w, m);
    while (c.wanted) {
        void *item = members_walk_next(&w);
        if (choice_next(&c, r))
            visit(ctx, item);
    }
}
