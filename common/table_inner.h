/* What the files of the table share: segments, and how slots are written. Nobody else includes
 * this. */
#pragma once

#include "common/heap.h"
#include "common/table.h"

#define BUCKETS_FULL 64   /* a segment that needs more is split */
#define BUCKETS_MAX  2047 /* of one whose items collide so that splitting does not help */
#define DEPTH_MAX    31

struct table_segment {
    uint32_t count; /* items */
    uint32_t place; /* of its array in the pool, or PLACE_OWN */
    bool timed;     /* it is the head of a struct timed_segment */
};

#define PLACE_OWN UINT32_MAX /* the array is an allocation of its own */

/* A segment keeps the times of its volatile items once it has one: per bucket the earliest, as an
 * offset from `base`, in an array behind the buckets. A time may be too early (the item has gone,
 * moved on or got a later one): it is put right when it comes. */
struct timed_segment {
    struct table_segment head;
    struct heap_node node;
    uint64_t hash; /* the lowest of the segment */
    int64_t base;
    int64_t min; /* the earliest of all; TABLE_NOT_DUE: none, and not in the heap */
};

#define DUE_NONE  UINT32_MAX
#define DUE_LATER (UINT32_MAX - 1) /* that much after the base, or later */

#define SLOT_VOLATILE 1u
#define SLOT_LOW_BITS 6u /* of the displacement */

static inline size_t dir_index(const struct table *t, uint64_t hash)
{
    return hash >> 1 >> t->shift;
}

static inline struct table_segment **dir_segments(const struct table *t)
{
    return (struct table_segment **)(t->dir + ((size_t)1 << t->depth));
}

static inline struct table_segment *table_segment(const struct table *t, uint64_t hash)
{
    return dir_segments(t)[dir_index(t, hash)];
}

static inline uint64_t segment_first_hash(uint64_t hash, uint32_t depth)
{
    return depth ? hash >> (64 - depth) << (64 - depth) : 0;
}

/* The hash at which the next segment starts; 0 after the last. */
static inline uint64_t segment_next_hash(uint64_t hash, uint32_t depth)
{
    return depth ? ((hash >> (64 - depth)) + 1) << (64 - depth) : 0;
}

/* The word without the displacement's bits. */
static inline uint64_t slot_word(const struct table_bucket *b, unsigned slot)
{
    return table_slot_word(b, slot) & ~(uint64_t)SLOT_LOW_BITS & TABLE_ADDRESS_MASK;
}

static inline void slot_write(struct table_bucket *b, unsigned slot, uint64_t word)
{
    word |= b->item[slot][0] & SLOT_LOW_BITS;
    uint32_t low = (uint32_t)word;
    uint16_t high = (uint16_t)(word >> 32);
    memcpy(b->item[slot], &low, sizeof low);
    memcpy(b->item[slot] + sizeof low, &high, sizeof high);
}

static inline bool slot_is_empty(const struct table_bucket *b, unsigned slot)
{
    return !(table_slot_word(b, slot) & TABLE_ITEM_MASK);
}

static inline struct timed_segment *segment_times(struct table_segment *s)
{
    return (struct timed_segment *)s;
}

/* The times of the buckets of a timed segment. */
static inline uint32_t *place_times(struct table_place p)
{
    return (uint32_t *)(void *)(p.buckets + p.n);
}

/* Lines of 64 bytes that the array of a segment takes. */
static inline uint32_t array_lines(uint32_t buckets, bool timed)
{
    return timed ? buckets + (buckets + 15) / 16 : buckets;
}

/* table.c */
void dir_set(struct table *, uint64_t hash, struct table_place, struct table_segment *);
void segment_drop(struct table *,
                  uint64_t hash); /* frees it; its part of the directory is without buckets then */
void segment_moved(struct table *, uint64_t hash, struct table_bucket *to, uint32_t place);

/* table_pool.c: arrays of 1 to BUCKETS_MAX lines */
#define POOL_DEPTH       10 /* of the directory, from which on there is a pool */
#define POOL_DEPTH_CLOSE 7  /* and at which it is given up */
struct table_bucket *array_new(struct table *, uint32_t lines, uint64_t hash,
                               uint32_t *ret_place); /* zeroed */
void array_free(struct table *, struct table_bucket *, uint32_t lines,
                uint32_t place); /* may move other arrays */
void pool_new(struct table *);
void pool_close(struct table *); /* new arrays do not come from it any more */
void pool_free(struct table *);  /* with all arrays in it; NULL is fine */
size_t pool_bytes(const struct table *);

/* table_due.c */
/* A segment with an array for n buckets; *ret_place is not in the directory yet. */
struct table_segment *segment_new(struct table *, bool timed, uint32_t n, uint32_t depth,
                                  uint64_t hash, struct table_place *ret_place);
void segment_free(struct table *, struct table_segment *,
                  struct table_place);          /* with its array; NULL is fine */
bool segment_has_times(struct table_segment *); /* some item may be volatile; NULL is fine */
/* An item with this time is in (or comes to) bucket `bucket`. The segment must be timed. */
void segment_note(struct table *, struct table_segment *, struct table_place, uint32_t bucket,
                  int64_t due);
int64_t segment_due(struct table_segment *, struct table_place,
                    uint32_t bucket); /* TABLE_NOT_DUE: none */
/* Makes the segment of this hash a timed one; buckets may move, but no slot changes its bucket. */
void table_time_segment(struct table *, uint64_t hash);
