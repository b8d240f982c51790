/* The table's structure: placing, removing, growing, shrinking, splitting and merging (see table.h
 * for the idea).
 *
 *   slot, item bytes:  47 ............ 3 2 1 0
 *                      |  address      |d d|v|     v: volatile; d: slots 0 and 1 only, displacement
 * of the bucket
 *
 * Growing a segment copies fragments and pointers to a new array, nothing else is touched. A split
 * needs one more bit of each item's hash, so it computes them anew, fetching the items a few
 * buckets ahead. When many items share so many bits that growing or splitting would not help (only
 * with a broken or known hash), they are placed anywhere in their segment: slower, but correct, and
 * memory stays in proportion. */
#include "common/table.h"

#include "common/alloc.h"
#include "common/table_inner.h"

#define REACH_NEAR 14 /* buckets from home; farther means that the segment should grow */
#define LOAD_MAX   90 /* %: beyond, a segment grows */
#define LOAD_NEW   82 /* %: at most, when a segment gets a new size out of its turn */
#define SPLIT_MEAN_MIN                                                                             \
    64 /* items per segment at this depth, on average, below which a split is no cure */
#define MERGE_CHECK 128 /* items: below, the sibling is looked at */
#define MERGE_MAX   256 /* items of two segments that are put together */

/* Never written: the first insert replaces it. */
static struct table_bucket no_bucket;

static uint64_t place_word(struct table_place p)
{
    return (uint64_t)p.n << 53 | (uint64_t)p.depth << 48 | (uint64_t)(uintptr_t)p.buckets;
}

static void table_set_empty(struct table *t)
{
    t->depth = 0;
    t->shift = 63;
    t->dir = t->one;
    t->deepest = 1;
    t->one[0] = place_word((struct table_place){ &no_bucket, 1, 0 });
    t->one[1] = 0;
}

void table_init(struct table *t)
{
    *t = (struct table){ 0 };
    table_set_empty(t);
}

static bool table_is_void(const struct table *t)
{
    return t->depth == 0 && t->one[1] == 0;
}

/* Number of directory entries that a segment of this depth takes. */
static size_t dir_span(const struct table *t, uint32_t depth)
{
    return (size_t)1 << (t->depth - depth);
}

void dir_set(struct table *t, uint64_t hash, struct table_place p, struct table_segment *s)
{
    size_t n = dir_span(t, p.depth), first = dir_index(t, hash) & ~(n - 1);
    uint64_t word = place_word(p);
    struct table_segment **segments = dir_segments(t);
    for (size_t i = first; i < first + n; i++) {
        t->dir[i] = word;
        segments[i] = s;
    }
}

void segment_drop(struct table *t, uint64_t hash)
{
    struct table_place p = table_place(t, hash);
    struct table_segment *s = table_segment(t, hash);
    dir_set(t, hash, (struct table_place){ &no_bucket, 1, p.depth }, NULL);
    segment_free(t, s, p);
}

void segment_moved(struct table *t, uint64_t hash, struct table_bucket *to, uint32_t place)
{
    struct table_place p = table_place(t, hash);
    struct table_segment *s = table_segment(t, hash);
    p.buckets = to;
    s->place = place;
    dir_set(t, hash, p, s);
}

void table_done(struct table *t)
{
    if (t->due)
        heap_done(t->due);
    mem_free(t->due);
    t->due = NULL;
    for (size_t i = 0; i < (size_t)1 << t->depth;) {
        struct table_segment *s = dir_segments(t)[i];
        uint64_t w = t->dir[i];
        if (s && s->place == PLACE_OWN)
            mem_free((struct table_bucket *)(uintptr_t)(w & TABLE_ADDRESS_MASK));
        mem_free(s);
        i += dir_span(t, w >> 48 & 31);
    }
    pool_free(t);
    if (t->dir != t->one)
        mem_free(t->dir);
    table_init(t);
}

void table_swap(struct table *a, struct table *b)
{
    struct table tmp = *a;
    *a = *b;
    *b = tmp;
    if (a->dir == b->one)
        a->dir = a->one;
    if (b->dir == a->one)
        b->dir = b->one;
}

/* ---- steps of size ---- */

/* A small table takes the size classes of jemalloc, four for each doubling; a pool has any size. */
static uint32_t step_up(const struct table *t, uint32_t n)
{
    if (n < 8)
        return n + 1;
    if (n >= BUCKETS_FULL)
        return 2 * n < BUCKETS_MAX ? 2 * n : BUCKETS_MAX;
    if (t->pool && n >= BUCKETS_FULL / 2)
        return n + 4;
    return n + (1u << (29 - __builtin_clz(n))); /* a quarter of the power of two below */
}

/* Items at which a segment of n buckets grows: small ones may be full, it is one line or few to
 * look at. */
static uint32_t step_max(uint32_t n)
{
    return n <= 4 ? n * TABLE_SLOTS : n * TABLE_SLOTS * LOAD_MAX / 100;
}

static uint32_t step_for(const struct table *t, uint64_t items)
{
    uint32_t n = 1;
    while (items * 100 > (uint64_t)n * TABLE_SLOTS * (n <= 4 ? 100 : LOAD_NEW) && n < BUCKETS_MAX)
        n = step_up(t, n);
    return n;
}

/* ---- placing ---- */

static void set_displacement(struct table_bucket *b, unsigned d)
{
    b->item[0][0] = (uint8_t)((b->item[0][0] & ~SLOT_LOW_BITS) | (d & 3) << 1);
    b->item[1][0] = (uint8_t)((b->item[1][0] & ~SLOT_LOW_BITS) | (d >> 2) << 1);
}

static int empty_slot(const struct table_bucket *b)
{
    for (int i = 0; i < TABLE_SLOTS; i++) {
        if (slot_is_empty(b, (unsigned)i))
            return i;
    }
    return -1;
}

/* Puts a slot into its home or at most `reach` buckets farther. Gives the bucket, or -1 when all
 * are full. */
static int segment_place(struct table_place p, uint32_t fragment, uint64_t word, uint32_t reach)
{
    uint32_t home = table_home(fragment, p.n);
    if (reach >= p.n)
        reach = p.n - 1;
    for (uint32_t d = 0; d <= reach; d++) {
        uint32_t i = home + d < p.n ? home + d : home + d - p.n;
        struct table_bucket *b = &p.buckets[i];
        int slot = empty_slot(b);
        if (slot < 0)
            continue;
        slot_write(b, (unsigned)slot, word);
        b->fragment[slot] = (uint16_t)fragment;
        unsigned far = d < TABLE_FAR ? d : TABLE_FAR;
        if (far > table_displacement(&p.buckets[home]))
            set_displacement(&p.buckets[home], far);
        return (int)i;
    }
    return -1;
}

/* The same into a new array that has room: near if possible, else anywhere. */
static uint32_t segment_place_new(struct table_place p, uint32_t fragment, uint64_t word)
{
    int i = segment_place(p, fragment, word, REACH_NEAR);
    if (i < 0)
        i = segment_place(p, fragment, word, p.n);
    ASSERT(i >= 0);
    return (uint32_t)i;
}

/* ---- growing ---- */

/* Gives a segment n buckets. */
static void segment_resize(struct table *t, uint64_t hash, uint32_t n)
{
    struct table_place from = table_place(t, hash), to;
    struct table_segment *old = table_segment(t, hash);
    struct table_segment *s = segment_new(t, segment_has_times(old), n, from.depth, hash, &to);
    for (uint32_t i = 0; old && i < from.n; i++) {
        const struct table_bucket *b = &from.buckets[i];
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
            uint64_t word = slot_word(b, slot);
            if (!word)
                continue;
            uint32_t j = segment_place_new(to, b->fragment[slot], word);
            if (word & SLOT_VOLATILE)
                segment_note(t, s, to, j, segment_due(old, from, i));
        }
    }
    s->count = old ? old->count : 0;
    dir_set(t, hash, to, s);
    segment_free(t, old, from);
}

/* Makes the directory's new array; its entry i is the old one's entry i << up >> down. */
static void dir_resize(struct table *t, unsigned depth, unsigned up, unsigned down)
{
    size_t n = (size_t)1 << depth;
    uint64_t *old = t->dir;
    struct table_segment **old_segments = dir_segments(t);
    uint64_t *dir = depth ? mem_alloc(n * (sizeof *dir + sizeof *old_segments)) : t->one;
    struct table_segment **segments = (struct table_segment **)(dir + n);
    for (size_t i = 0; i < n; i++) {
        dir[i] = old[i << up >> down];
        segments[i] = old_segments[i << up >> down];
    }
    t->dir = dir;
    t->depth = (uint8_t)depth;
    t->shift = (uint8_t)(63 - depth);
    if (old != t->one)
        mem_free(old);
}

static void fetch_items(const struct table_bucket *b)
{
    for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
        const char *item = table_slot_item(b, slot);
        table_fetch(item);
        table_fetch(item + 24); /* where the key may go on to the next line */
    }
}

/* Splits a segment by the next bit of the hash, which is the top bit of the fragments. */
static void segment_split(struct table *t, const struct table_kind *kind, uint64_t hash)
{
    enum { FETCH_AHEAD = 4 };
    struct table_place from = table_place(t, hash);
    struct table_segment *old = table_segment(t, hash);
    if (from.depth == t->depth) {
        dir_resize(t, t->depth + 1u, 0, 1);
        t->deepest = 0;
        if (t->depth >= POOL_DEPTH && !t->pool)
            pool_new(t);
    }

    uint32_t counts[2] = { 0, 0 };
    for (uint32_t i = 0; i < from.n; i++) {
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++)
            counts[from.buckets[i].fragment[slot] >> 15] += !slot_is_empty(&from.buckets[i], slot);
    }
    struct table_place to[2];
    struct table_segment *s[2];
    uint64_t first = segment_first_hash(hash, from.depth), half = 1ull << (63 - from.depth);
    for (unsigned side = 0; side < 2; side++) {
        uint32_t n = step_for(t, counts[side]);
        s[side] = segment_new(t, segment_has_times(old), n, from.depth + 1, first + side * half,
                              &to[side]);
        s[side]->count = counts[side];
    }

    for (uint32_t i = 0; i < FETCH_AHEAD && i < from.n; i++)
        fetch_items(&from.buckets[i]);
    for (uint32_t i = 0; i < from.n; i++) {
        const struct table_bucket *b = &from.buckets[i];
        if (i + FETCH_AHEAD < from.n)
            fetch_items(b + FETCH_AHEAD);
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
            uint64_t word = slot_word(b, slot);
            if (!word)
                continue;
            const void *item = table_slot_item(b, slot);
            unsigned side = b->fragment[slot] >> 15;
            uint32_t fragment = table_fragment(kind->hash(kind->key(item)), from.depth + 1);
            uint32_t j = segment_place_new(to[side], fragment, word);
            if (word & SLOT_VOLATILE)
                segment_note(t, s[side], to[side], j, kind->due(item));
        }
    }
    dir_set(t, first, to[0], s[0]);
    dir_set(t, first + half, to[1], s[1]);
    if (from.depth + 1 == t->depth)
        t->deepest += 2;
    segment_free(t, old, from);
}

/* Makes room near the home of `hash`. False: more room would not help, the item may be placed
 * anywhere. */
static bool table_grow(struct table *t, const struct table_kind *kind, uint64_t hash)
{
    struct table_place p = table_place(t, hash);
    const struct table_segment *s = table_segment(t, hash);
    if (!s) {
        segment_resize(t, hash, 1);
        return true;
    }
    if (p.n < BUCKETS_FULL) {
        segment_resize(t, hash, step_up(t, p.n));
        return true;
    }
    bool loaded = s->count * 2 >= p.n * TABLE_SLOTS;
    if (loaded && p.depth < DEPTH_MAX && t->count >> p.depth >= SPLIT_MEAN_MIN) {
        segment_split(t, kind, hash);
        return true;
    }
    if (s->count < step_max(p.n))
        return false;
    if (p.n < BUCKETS_MAX) {
        segment_resize(t, hash, step_up(t, p.n));
        return true;
    }
    if (p.depth == DEPTH_MAX)
        PANIC("%u items of a table share %u bits of their hashes", s->count, DEPTH_MAX);
    segment_split(t, kind, hash);
    return true;
}

void table_insert(struct table *t, const struct table_kind *kind, uint64_t hash, void *item,
                  int64_t due)
{
    uint64_t word = (uint64_t)(uintptr_t)item;
    ASSERT((word & ~TABLE_ITEM_MASK) == 0);
    if (due != TABLE_NOT_DUE)
        word |= SLOT_VOLATILE;

    uint32_t reach = REACH_NEAR;
    for (;;) {
        if (due != TABLE_NOT_DUE && table_segment(t, hash))
            table_time_segment(t, hash);
        struct table_place p = table_place(t, hash);
        struct table_segment *s = table_segment(t, hash);
        int bucket = -1;
        if (s && (s->count < step_max(p.n) || reach != REACH_NEAR))
            bucket = segment_place(p, table_fragment(hash, p.depth), word, reach);
        if (bucket >= 0) {
            s->count++;
            t->count++;
            if (due != TABLE_NOT_DUE)
                segment_note(t, s, p, (uint32_t)bucket, due);
            return;
        }
        reach = table_grow(t, kind, hash) ? REACH_NEAR : BUCKETS_MAX;
    }
}

void table_replace(struct table *t, const struct table_at *at, void *item, int64_t due)
{
    uint64_t word = (uint64_t)(uintptr_t)item;
    ASSERT((word & ~TABLE_ITEM_MASK) == 0);
    if (due == TABLE_NOT_DUE) {
        slot_write(at->bucket, at->slot, word);
        return;
    }
    uint32_t bucket = (uint32_t)(at->bucket - table_place(t, at->hash).buckets);
    table_time_segment(t, at->hash);
    struct table_place p = table_place(t, at->hash);
    slot_write(&p.buckets[bucket], at->slot, word | SLOT_VOLATILE);
    segment_note(t, table_segment(t, at->hash), p, bucket, due);
}

bool table_try_locate(const struct table *t, uint64_t hash, const void *item,
                      struct table_at *ret_at)
{
    struct table_place p = table_place(t, hash);
    uint32_t fragment = table_fragment(hash, p.depth), i = table_home(fragment, p.n);
    unsigned left = table_displacement(&p.buckets[i]);
    if (left == TABLE_FAR)
        left = p.n - 1;
    for (;; left--) {
        struct table_bucket *b = &p.buckets[i];
        for (unsigned mask = table_match(b, fragment); mask; mask &= mask - 1) {
            unsigned slot = (unsigned)__builtin_ctz(mask);
            if (table_slot_item(b, slot) == item) {
                *ret_at = (struct table_at){ b, slot, hash };
                return true;
            }
        }
        if (left == 0)
            return false;
        if (++i == p.n)
            i = 0;
    }
}

struct table_at table_locate(const struct table *t, uint64_t hash, const void *item)
{
    struct table_at at;
    bool found = table_try_locate(t, hash, item, &at);
    ASSERT(found);
    return at;
}

/* ---- removing and shrinking ---- */

/* A slot of `b` whose item has its home in bucket `home`; -1: none. */
static int slot_of_home(const struct table_bucket *b, uint32_t home, uint32_t buckets)
{
    for (int slot = 0; slot < TABLE_SLOTS; slot++) {
        if (table_home(b->fragment[slot], buckets) == home && !slot_is_empty(b, (unsigned)slot))
            return slot;
    }
    return -1;
}

/* Lowers the displacement of a bucket to what its items need. */
static void trim_displacement(struct table_place p, uint32_t home)
{
    unsigned d = table_displacement(&p.buckets[home]);
    if (d == 0 || d == TABLE_FAR)
        return;
    for (; d > 0; d--) {
        uint32_t i = home + d < p.n ? home + d : home + d - p.n;
        if (slot_of_home(&p.buckets[i], home, p.n) >= 0)
            break;
    }
    set_displacement(&p.buckets[home], d);
}

static void slot_clear(struct table_bucket *b, unsigned slot)
{
    slot_write(b, slot, 0);
    b->fragment[slot] = 0;
}

/* Fetches the farthest item that has its home in bucket `home`, where a slot has become free. */
static void fetch_home(struct table *t, struct table_place p, struct table_segment *s,
                       uint32_t home, unsigned slot)
{
    unsigned d = table_displacement(&p.buckets[home]);
    if (d == 0 || d == TABLE_FAR)
        return;
    uint32_t i = home + d < p.n ? home + d : home + d - p.n;
    struct table_bucket *from = &p.buckets[i], *to = &p.buckets[home];
    int far = slot_of_home(from, home, p.n);
    if (far >= 0) {
        uint64_t word = slot_word(from, (unsigned)far);
        slot_write(to, slot, word);
        to->fragment[slot] = from->fragment[far];
        slot_clear(from, (unsigned)far);
        if (word & SLOT_VOLATILE)
            segment_note(t, s, p, home, segment_due(s, p, i));
    }
    trim_displacement(p, home);
}

/* The table is small again: its arrays become allocations of their own. */
static void leave_pool(struct table *t)
{
    pool_close(t);
    uint64_t hash = 0;
    do {
        struct table_place p = table_place(t, hash);
        if (table_segment(t, hash))
            segment_resize(t, hash, p.n);
        hash = segment_next_hash(hash, p.depth);
    } while (hash);
    pool_free(t);
}

/* Halves the directory while no segment needs all its bits. */
static void dir_shrink(struct table *t)
{
    while (t->deepest == 0 && t->depth > 0) {
        dir_resize(t, t->depth - 1u, 1, 0);
        for (size_t i = 0; i < (size_t)1 << t->depth; i++)
            t->deepest += (t->dir[i] >> 48 & 31) == t->depth;
    }
    if (t->pool && t->depth <= POOL_DEPTH_CLOSE)
        leave_pool(t);
}

/* Puts two segments together. Their slots are set aside first: freeing an array moves others. */
static void segment_merge(struct table *t, uint64_t hash, uint64_t sibling)
{
    struct slot {
        uint64_t word;
        int64_t due;
        uint32_t fragment;
    } slots[MERGE_MAX];
    uint32_t n = 0, depth = table_place(t, hash).depth;
    for (unsigned side = 0; side < 2; side++) {
        uint64_t h = (hash < sibling) == (side == 0) ? hash : sibling;
        struct table_place p = table_place(t, h);
        struct table_segment *s = table_segment(t, h);
        for (uint32_t i = 0; i < p.n; i++) {
            for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
                uint64_t word = slot_word(&p.buckets[i], slot);
                if (word)
                    slots[n++] =
                        (struct slot){ word,
                                       word & SLOT_VOLATILE ? segment_due(s, p, i) : TABLE_NOT_DUE,
                                       (uint32_t)p.buckets[i].fragment[slot] >> 1 | side << 15 };
            }
        }
        segment_drop(t, h);
    }

    bool timed = false;
    for (uint32_t i = 0; i < n; i++)
        timed |= slots[i].due != TABLE_NOT_DUE;
    struct table_place to;
    struct table_segment *s = segment_new(t, timed, step_for(t, n), depth - 1, hash, &to);
    for (uint32_t i = 0; i < n; i++)
        segment_note(t, s, to, segment_place_new(to, slots[i].fragment, slots[i].word),
                     slots[i].due);
    s->count = n;
    dir_set(t, hash, to, s);
    if (depth == t->depth) {
        t->deepest -= 2;
        dir_shrink(t);
    }
}

/* One step towards the size that the segment's items need: O(slots of a segment). */
static void table_shrink(struct table *t, uint64_t hash)
{
    struct table_place p = table_place(t, hash);
    struct table_segment *s = table_segment(t, hash);
    if (!s)
        return;
    if (p.depth > 0 && s->count <= MERGE_CHECK) {
        uint64_t sibling = hash ^ 1ull << (64 - p.depth);
        const struct table_segment *other = table_segment(t, sibling);
        if (table_place(t, sibling).depth == p.depth && s->count + other->count <= MERGE_MAX) {
            segment_merge(t, hash, sibling);
            return;
        }
    }
    if (p.depth == 0 && s->count == 0) {
        segment_drop(t, hash);
        return;
    }
    if (p.n > 1 && s->count * 5 < p.n * TABLE_SLOTS * 2)
        segment_resize(t, hash, step_for(t, s->count));
}

void table_remove(struct table *t, const struct table_kind *kind, const struct table_at *at)
{
    (void)kind;
    struct table_place p = table_place(t, at->hash);
    struct table_segment *s = table_segment(t, at->hash);
    uint32_t here = (uint32_t)(at->bucket - p.buckets);
    ASSERT(here < p.n);
    uint32_t home = table_home(at->bucket->fragment[at->slot], p.n);
    slot_clear(at->bucket, at->slot);
    s->count--;
    t->count--;
    if (home != here)
        trim_displacement(p, home);
    fetch_home(t, p, s, here, at->slot);
    table_shrink(t, at->hash);
}

void table_tidy(struct table *t, uint64_t *pos, unsigned segments)
{
    for (; segments > 0; segments--) {
        table_shrink(t, *pos);
        *pos = segment_next_hash(*pos, table_place(t, *pos).depth);
        if (*pos == 0)
            return;
    }
}

void table_reserve(struct table *t, uint64_t items)
{
    enum { PER_SEGMENT = BUCKETS_FULL * TABLE_SLOTS * 13 / 16 };
    if (!table_is_void(t))
        return;
    unsigned depth = 0;
    while (items >> depth > PER_SEGMENT && depth < DEPTH_MAX)
        depth++;
    if (depth)
        dir_resize(t, depth, 0, depth);
    if (depth >= POOL_DEPTH)
        pool_new(t);
    uint32_t n = step_for(t, items >> depth), size = (uint32_t)1 << depth;
    for (uint32_t i = 0; i < size; i++) {
        uint64_t hash = depth ? (uint64_t)i << (64 - depth) : 0;
        struct table_place p;
        struct table_segment *s = segment_new(t, false, n, depth, hash, &p);
        dir_set(t, hash, p, s);
    }
    t->deepest = size;
}

/* ---- figures ---- */

uint64_t table_slots(const struct table *t)
{
    uint64_t slots = 0;
    for (size_t i = 0; i < (size_t)1 << t->depth;) {
        uint64_t w = t->dir[i];
        if (dir_segments(t)[i])
            slots += (w >> 53) * TABLE_SLOTS;
        i += dir_span(t, w >> 48 & 31);
    }
    return slots;
}

size_t table_bytes(const struct table *t)
{
    size_t bytes = t->dir == t->one ? 0 : mem_usable(t->dir);
    for (size_t i = 0; i < (size_t)1 << t->depth;) {
        uint64_t w = t->dir[i];
        const struct table_segment *s = dir_segments(t)[i];
        if (s)
            bytes +=
                mem_usable(s) + (s->place != PLACE_OWN
                                     ? 0
                                     : mem_usable((void *)(uintptr_t)(w & TABLE_ADDRESS_MASK)));
        i += dir_span(t, w >> 48 & 31);
    }
    return bytes + pool_bytes(t);
}
