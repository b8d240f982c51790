/* Walking the table: the cursor, random items, samples, and freeing bit by bit.
 *
 * A cursor is a position in hash order, cut to the 48 bits that matter: prefix (at most 31 bits)
 * and fragment. The items of one home bucket are those with hashes from the bucket's start to the
 * next bucket's start, wherever they lie, so the next bucket's start is a cursor that means the
 * same whatever the table's shape is by then. */
#include "common/alloc.h"
#include "common/assert.h"
#include "common/prng.h"
#include "common/table_inner.h"

#define CURSOR_BITS 48

static void fetch_slots(const struct table_bucket *b)
{
    for (unsigned slot = 0; slot < TABLE_SLOTS; slot++)
        table_fetch(table_slot_item(b, slot));
}

/* Visits the items with home `home` whose fragment is at least `from`; gives how many. */
static unsigned scan_home(struct table_place p, uint32_t home, uint32_t from,
                          void (*visit)(void *ctx, void *item), void *ctx)
{
    unsigned far = table_displacement(&p.buckets[home]), visited = 0;
    if (far == TABLE_FAR)
        far = p.n - 1;
    fetch_slots(&p.buckets[home]);
    for (uint32_t d = 0; d <= far; d++) {
        const struct table_bucket *b = &p.buckets[home + d < p.n ? home + d : home + d - p.n];
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
            void *item = table_slot_item(b, slot);
            if (item && b->fragment[slot] >= from && table_home(b->fragment[slot], p.n) == home) {
                visit(ctx, item);
                visited++;
            }
        }
    }
    return visited;
}

uint64_t table_scan(const struct table *t, uint64_t cursor, void (*visit)(void *ctx, void *item),
                    void *ctx)
{
    enum { EMPTY_MAX = 64 };
    for (unsigned empty = 0; empty < EMPTY_MAX; empty++) {
        if (cursor >> CURSOR_BITS)
            return 0;
        uint64_t hash = cursor << (64 - CURSOR_BITS);
        struct table_place p = table_place(t, hash);
        uint32_t from = table_fragment(hash, p.depth), home = table_home(from, p.n);
        unsigned visited = scan_home(p, home, from, visit, ctx);

        uint64_t next = (((uint64_t)(home + 1) << 16) + p.n - 1) /
                        p.n; /* fragment at which the next home starts */
        uint64_t prefix = p.depth ? hash >> (64 - p.depth) : 0;
        cursor = ((prefix << 16) + next) << (CURSOR_BITS - 16 - p.depth);
        if (cursor >> CURSOR_BITS)
            return 0;
        if (visited)
            break;
    }
    return cursor;
}

/* A slot is drawn evenly from one segment that is drawn evenly by prefix; slots of large segments
 * and of deep ones are then drawn too rarely, so those of small and shallow ones are refused in
 * proportion. */
void *table_random(const struct table *t, struct prng *r)
{
    enum { TRIES = 256 };
    if (t->count == 0)
        return NULL;
    struct table_place p;
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t hash = prng_u64(r), pick = prng_u64(r);
        p = table_place(t, hash);
        uint64_t weight = (uint64_t)p.n << p.depth, most = (uint64_t)BUCKETS_FULL << t->depth;
        if (t->depth > 0 && weight < most && prng_below(r, most) >= weight)
            continue;
        void *item =
            table_slot_item(&p.buckets[(uint64_t)(uint32_t)pick * p.n >> 32], pick >> 32 & 7);
        if (item)
            return item;
    }
    void *item = NULL; /* nearly empty (presized): whatever comes after a random place */
    while (!table_sample(t, prng_u64(r), TABLE_SAMPLE_ALL, UINT32_MAX, &item, 1))
        ;
    return item;
}

unsigned table_sample(const struct table *t, uint64_t hash, enum table_sample which,
                      unsigned buckets, void **ret_items, unsigned max)
{
    struct table_place p = table_place(t, hash);
    uint32_t i = table_home(table_fragment(hash, p.depth), p.n);
    unsigned slot = hash % TABLE_SLOTS,
             items = 0; /* else the first slots would be drawn more often */
    for (; buckets > 0 && items < max; buckets--) {
        const struct table_bucket *b = &p.buckets[i];
        for (; slot < TABLE_SLOTS && items < max; slot++) {
            uint64_t word = slot_word(b, slot);
            if (word && (which == TABLE_SAMPLE_ALL || word & SLOT_VOLATILE))
                ret_items[items++] = table_slot_item(b, slot);
        }
        slot = 0;
        if (++i < p.n)
            continue;
        hash = segment_next_hash(hash, p.depth); /* wraps at the end */
        p = table_place(t, hash);
        i = 0;
    }
    return items;
}

bool table_clear_some(struct table *t, uint64_t *pos, void (*give)(void *ctx, void *item),
                      void *ctx)
{
    enum { FETCH_AHEAD = 4 };
    struct table_place p = table_place(t, *pos);
    struct table_segment *s = table_segment(t, *pos);
    uint32_t n = s && s->count ? p.n : 0;
    for (uint32_t i = 0; i < n && i < FETCH_AHEAD; i++)
        fetch_slots(&p.buckets[i]);
    for (uint32_t i = 0; i < n; i++) {
        const struct table_bucket *b = &p.buckets[i];
        if (i + FETCH_AHEAD < n)
            fetch_slots(b + FETCH_AHEAD);
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
            void *item = table_slot_item(b, slot);
            if (item)
                give(ctx, item);
        }
    }
    if (s)
        t->count -= s->count;
    segment_drop(t, *pos);
    *pos = segment_next_hash(*pos, p.depth);
    if (*pos)
        return false;
    table_done(t);
    return true;
}
