/* The table's memory for when its volatile items are due: about one byte an item.
 *
 * Per bucket the earliest time of its volatile items, in four bytes behind the buckets, relative to
 * the segment's base; per segment the earliest of these; and a heap of segments. Adding an item
 * only ever lowers these times and removing one leaves them, so they may be too early, and are made
 * exact when they come up (the bucket is looked at, its items are asked). Slots that move take
 * their old bucket's time with them, which is again early enough. */
#include "common/alloc.h"
#include "common/assert.h"
#include "common/table_inner.h"

#define HEADROOM                                                                                   \
    ((int64_t)1 << 31) /* ticks the base is set before the earliest time: half the range */

struct table_segment *segment_new(struct table *t, bool timed, uint32_t n, uint32_t depth,
                                  uint64_t hash, struct table_place *ret_place)
{
    uint64_t first = segment_first_hash(hash, depth);
    uint32_t place;
    struct table_bucket *array = array_new(t, array_lines(n, timed), first, &place);
    *ret_place = (struct table_place){ array, n, depth };
    struct table_segment head = { .place = place, .timed = timed };
    if (!timed) {
        struct table_segment *s = mem_alloc(sizeof *s);
        *s = head;
        return s;
    }
    struct timed_segment *s = mem_alloc(sizeof *s);
    *s = (struct timed_segment){ .head = head, .hash = first, .min = TABLE_NOT_DUE };
    memset(place_times(*ret_place), 0xFF, n * sizeof(uint32_t)); /* DUE_NONE */
    return &s->head;
}

void segment_free(struct table *t, struct table_segment *s, struct table_place p)
{
    if (!s)
        return;
    if (s->timed && t->due)
        heap_remove(t->due, &segment_times(s)->node);
    array_free(t, p.buckets, array_lines(p.n, s->timed), s->place);
    mem_free(s);
}

bool segment_has_times(struct table_segment *s)
{
    return s && s->timed && segment_times(s)->min != TABLE_NOT_DUE;
}

void table_time_segment(struct table *t, uint64_t hash)
{
    struct table_segment *old = table_segment(t, hash);
    if (old->timed)
        return;
    struct table_place from = table_place(t, hash), to;
    struct table_segment *s = segment_new(t, true, from.n, from.depth, hash, &to);
    memcpy(to.buckets, from.buckets, from.n * sizeof *to.buckets);
    s->count = old->count;
    dir_set(t, hash, to, s);
    segment_free(t, old, from);
}

int64_t segment_due(struct table_segment *s, struct table_place p, uint32_t bucket)
{
    if (!s->timed)
        return TABLE_NOT_DUE; /* its volatile items, if any, were taken by table_take_due and are
                                 about to go */
    uint32_t off = place_times(p)[bucket];
    return off == DUE_NONE ? TABLE_NOT_DUE : segment_times(s)->base + off;
}

static void segment_set_min(struct table *t, struct timed_segment *s, int64_t min)
{
    s->min = min;
    if (min == TABLE_NOT_DUE) {
        heap_remove(t->due, &s->node);
        return;
    }
    if (!t->due)
        t->due = mem_zalloc(sizeof *t->due);
    heap_set(t->due, &s->node, min);
}

static void segment_find_min(struct table *t, struct timed_segment *s, struct table_place p)
{
    const uint32_t *times = place_times(p);
    uint32_t min = DUE_NONE;
    for (uint32_t i = 0; i < p.n; i++)
        min = times[i] < min ? times[i] : min;
    segment_set_min(t, s, min == DUE_NONE ? TABLE_NOT_DUE : s->base + min);
}

static uint32_t due_offset(int64_t base, int64_t due)
{
    uint64_t off = due > base ? (uint64_t)due - (uint64_t)base : 0;
    return off < DUE_LATER ? (uint32_t)off : DUE_LATER;
}

static int64_t base_for(int64_t due)
{
    return due > INT64_MIN + HEADROOM ? due - HEADROOM : INT64_MIN;
}

/* Moves the base to HEADROOM before `due`, which no time of the segment is before. */
static void segment_rebase(struct table *t, struct timed_segment *s, struct table_place p,
                           int64_t due)
{
    int64_t base = base_for(due);
    uint32_t *times = place_times(p);
    for (uint32_t i = 0; i < p.n; i++) {
        if (times[i] != DUE_NONE)
            times[i] = due_offset(base, s->base + times[i]);
    }
    s->base = base;
    segment_find_min(t, s, p);
}

void segment_note(struct table *t, struct table_segment *segment, struct table_place p,
                  uint32_t bucket, int64_t due)
{
    if (due == TABLE_NOT_DUE)
        return;
    ASSERT(segment->timed);
    struct timed_segment *s = segment_times(segment);
    if (s->min == TABLE_NOT_DUE)
        s->base = base_for(due);
    else if (due < s->base)
        segment_rebase(t, s, p, due);
    else if ((uint64_t)due - (uint64_t)s->base >= DUE_LATER && base_for(s->min) > s->base)
        segment_rebase(t, s, p, s->min); /* the base lags behind: move it up */

    uint32_t off = due_offset(s->base, due), *time = &place_times(p)[bucket];
    if (off < *time)
        *time = off;
    if (s->base + off < s->min)
        segment_set_min(t, s, s->base + off);
}

int64_t table_next_due(const struct table *t)
{
    return t->due ? heap_top_key(t->due) : TABLE_NOT_DUE;
}

/* ---- taking what is due: in stages over several segments, so that each stage finds its lines
 * fetched ---- */

#define SEGMENTS_AT_ONCE 16
#define BUCKETS_AT_ONCE  32

struct due_segment {
    struct timed_segment *s;
    struct table_place p;
};

struct due_bucket {
    const struct due_segment *in;
    uint32_t i;
};

/* Some segments of which a bucket is due: those at the top of the heap. */
static unsigned due_segments(const struct table *t, int64_t now, struct due_segment *ret)
{
    enum { LOOK_AT = 3 * SEGMENTS_AT_ONCE };
    unsigned n = 0;
    for (size_t i = 0; i < t->due->n && i < LOOK_AT && n < SEGMENTS_AT_ONCE; i++) {
        if (t->due->slots[i].key < now) {
            ret[n].s = HEAP_ITEM(t->due->slots[i].node, struct timed_segment, node);
            table_fetch(ret[n++].s);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        ret[i].p = table_place(t, ret[i].s->hash);
        for (uint32_t bucket = 0; bucket < ret[i].p.n; bucket += 64 / sizeof(uint32_t))
            table_fetch(&place_times(ret[i].p)[bucket]);
    }
    return n;
}

/* Adds the buckets of a segment that have a time before `now`. */
static unsigned due_buckets(const struct due_segment *d, int64_t now, struct due_bucket *ret,
                            unsigned n, unsigned max)
{
    const uint32_t *times = place_times(d->p);
    uint64_t limit = now > d->s->base ? (uint64_t)now - (uint64_t)d->s->base : 0;
    for (uint32_t i = 0; i < d->p.n && n < max; i++) {
        if (times[i] < limit && times[i] != DUE_NONE) {
            table_fetch(&d->p.buckets[i]);
            ret[n++] = (struct due_bucket){ d, i };
        }
    }
    return n;
}

static void fetch_volatile(const struct table_bucket *b)
{
    for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
        if (slot_word(b, slot) & SLOT_VOLATILE)
            table_fetch(table_slot_item(b, slot));
    }
}

/* Gives the items of a bucket that are due and makes its time that of the others. */
static unsigned take_bucket(struct table *t, const struct table_kind *kind, int64_t now,
                            struct due_bucket d, void **ret_items)
{
    struct table_place p = d.in->p;
    unsigned items = 0;
    place_times(p)[d.i] = DUE_NONE;
    for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
        if (!(slot_word(&p.buckets[d.i], slot) & SLOT_VOLATILE))
            continue;
        void *item = table_slot_item(&p.buckets[d.i], slot);
        int64_t due = kind->due(item);
        if (due < now)
            ret_items[items++] = item;
        else
            segment_note(t, &d.in->s->head, p, d.i, due);
    }
    return items;
}

unsigned table_take_due(struct table *t, const struct table_kind *kind, int64_t now,
                        void **ret_items, unsigned max)
{
    if (table_next_due(t) >= now)
        return 0;
    ASSERT(max >= TABLE_SLOTS);
    struct due_segment segments[SEGMENTS_AT_ONCE];
    struct due_bucket buckets[BUCKETS_AT_ONCE];
    unsigned most = max / TABLE_SLOTS < BUCKETS_AT_ONCE ? max / TABLE_SLOTS : BUCKETS_AT_ONCE;
    unsigned segments_n = due_segments(t, now, segments), n = 0, items = 0;
    for (unsigned i = 0; i < segments_n; i++)
        n = due_buckets(&segments[i], now, buckets, n, most);
    for (unsigned i = 0; i < n; i++)
        fetch_volatile(&buckets[i].in->p.buckets[buckets[i].i]);
    for (unsigned i = 0; i < n; i++)
        items += take_bucket(t, kind, now, buckets[i], ret_items + items);
    for (unsigned i = 0; i < segments_n; i++)
        segment_find_min(t, segments[i].s, segments[i].p);
    return items;
}

/* The item of the bucket that is due first; the bucket's time is made exact. NULL: none is
 * volatile. */
static void *bucket_earliest(struct table *t, const struct table_kind *kind,
                             struct timed_segment *s, struct table_place p, uint32_t bucket)
{
    const struct table_bucket *b = &p.buckets[bucket];
    void *earliest = NULL;
    int64_t min = TABLE_NOT_DUE;
    for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
        if (!(slot_word(b, slot) & SLOT_VOLATILE))
            continue;
        void *item = table_slot_item(b, slot);
        int64_t due = kind->due(item);
        if (due < min) {
            min = due;
            earliest = item;
        }
    }
    place_times(p)[bucket] = DUE_NONE;
    segment_note(t, &s->head, p, bucket, min);
    return earliest;
}

void *table_earliest(struct table *t, const struct table_kind *kind)
{
    while (table_next_due(t) != TABLE_NOT_DUE) {
        struct timed_segment *s = HEAP_ITEM(heap_top(t->due), struct timed_segment, node);
        struct table_place p = table_place(t, s->hash);
        int64_t before = s->min;
        uint32_t i = 0;
        while (segment_due(&s->head, p, i) != before)
            i++;
        void *item = bucket_earliest(t, kind, s, p, i);
        segment_find_min(t, s, p);
        if (item && segment_due(&s->head, p, i) == before)
            return item;
    }
    return NULL;
}

unsigned table_sample_due(const struct table *t, uint64_t pick, void **ret_items, unsigned max)
{
    if (!t->due || t->due->n == 0)
        return 0;
    struct heap_node *node = t->due->slots[pick % t->due->n].node;
    const struct timed_segment *s = HEAP_ITEM(node, struct timed_segment, node);
    struct table_place p = table_place(t, s->hash);
    unsigned items = 0;
    uint32_t first = (uint32_t)(pick >> 32) % p.n;
    for (uint32_t i = 0; i < p.n && items < max; i++) {
        uint32_t j = (first + i) % p.n;
        for (unsigned slot = 0; slot < TABLE_SLOTS && place_times(p)[j] != DUE_NONE && items < max;
             slot++) {
            if (slot_word(&p.buckets[j], slot) & SLOT_VOLATILE)
                ret_items[items++] = table_slot_item(&p.buckets[j], slot);
        }
    }
    return items;
}
