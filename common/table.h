/* A hash table of opaque items in the order of their hashes: the keyspace, and the large sets and
 * hashes.
 *
 * The top bits of the 64-bit hash choose a segment in a directory (extendible hashing); a segment
 * is an array of 1 to 64 buckets; a bucket is one cache line of 8 slots. A slot has a 16-bit
 * fragment of the hash, the bits that follow the segment's prefix, and a 48-bit pointer. The
 * fragment alone says which bucket of the segment is an item's home (fragment * buckets / 2^16) and
 * tells the items of a bucket apart, so a segment grows without a look at its items. What does not
 * fit at home goes to a following bucket (around the end of the segment); the home remembers how
 * far it went.
 *
 *   hash       | prefix: depth bits | fragment: 16 bits | rest |
 *   directory  [prefix] -> word: buckets (11 bits), depth (5), address of the array (48)
 *   bucket     | 8 fragments of 2 bytes | 8 items of 6 bytes |             64 bytes
 *
 * So a lookup touches a directory word (small, in the cache), one bucket line, and the item that it
 * wants. A segment grows and shrinks in small steps, splits in two when 64 buckets are full, and is
 * merged with its sibling when both are small: the load stays near 85 % at any size, and
 * no step takes longer than some 20 us. Hash order is kept at any depth, which makes a scan's
 * cursor simply a position.
 *
 * Items are pointers, 8-aligned, below 2^48, owned by the caller. Of the low 3 bits of an item's
 * slot, bit 0 says that the item is volatile: it has a time at which it is due, and the table can
 * find those that are (table_take_due).
 *
 * Pointers to buckets (struct table_at) are good until the next verb that adds or removes. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "common/assert.h"
#include "common/bytes.h"

struct heap;
struct prng;
struct table_pool;
struct table_segment;

#define TABLE_SLOTS   8
#define TABLE_NOT_DUE INT64_MAX /* of an item that is not volatile */

/* What the table must know of its items. Give it as a `static const` so that lookups are compiled
 * for the kind. */
struct table_kind {
    struct bytes (*key)(const void *item);
    uint64_t (*hash)(struct bytes key);
    int64_t (*due)(const void *item); /* or TABLE_NOT_DUE; NULL: no item is volatile */
};

struct table_bucket {
    uint16_t fragment[TABLE_SLOTS];
    uint8_t item[TABLE_SLOTS][6]; /* little-endian; low bits: see table.c */
};

struct table {
    uint64_t *dir;           /* 2^depth words, then 2^depth pointers to struct table_segment */
    uint64_t count;          /* items */
    uint64_t one[2];         /* the directory when depth is 0 */
    struct heap *due;        /* segments with volatile items by time; NULL until there is one */
    struct table_pool *pool; /* memory of the segments of a large table */
    uint32_t deepest;        /* segments as deep as the directory */
    uint8_t depth;
    uint8_t shift; /* 63 - depth */
};

/* Where an item is. */
struct table_at {
    struct table_bucket *bucket;
    unsigned slot;
    uint64_t hash;
};

void table_init(struct table *);
void table_done(struct table *); /* frees the table, not the items */
void table_swap(struct table *, struct table *);

/* ---- changing ---- */
/* Adds an item whose key is not in the table. `due`: when, or TABLE_NOT_DUE. */
void table_insert(struct table *, const struct table_kind *, uint64_t hash, void *item,
                  int64_t due);
/* Puts another item with the same key, or the same item with another time, into its place. */
void table_replace(struct table *, const struct table_at *, void *item, int64_t due);
void table_remove(struct table *, const struct table_kind *, const struct table_at *);
/* Where an item is that is known to be in the table (asserted). */
struct table_at table_locate(const struct table *, uint64_t hash, const void *item);
/* The same for one that may have gone: false when no slot has this pointer. The item is not looked
 * at. */
bool table_try_locate(const struct table *, uint64_t hash, const void *item,
                      struct table_at *ret_at);
void table_reserve(struct table *, uint64_t items); /* presizes an empty table; else does nothing */
/* Shrinks what deletions left too large, for about `segments` segments from hash position *pos on
 * (moved forward, 0 at the end of a round). */
void table_tidy(struct table *, uint64_t *pos, unsigned segments);
/* Frees a part (one segment), handing each item to `give`; true when the table is empty and done.
 * Between calls no other verb may be used but table_clear_some. *pos starts as 0. */
bool table_clear_some(struct table *, uint64_t *pos, void (*give)(void *ctx, void *item),
                      void *ctx);

/* ---- walking ---- */
/* Visits the items of one home bucket at least; gives the cursor of the next, 0 at the end; cursors
 * are below 2^48. An item that is there from the first call (cursor 0) to the last is visited,
 * whatever else is added or removed between the calls; twice only when segments were merged
 * meanwhile. `visit` may not add or remove. */
uint64_t table_scan(const struct table *, uint64_t cursor, void (*visit)(void *ctx, void *item),
                    void *ctx);
/* Each item equally likely; NULL when empty. */
void *table_random(const struct table *, struct prng *);
/* Items from a hash position on, which should be random in all its bits, from up to `buckets`
 * buckets; returns how many, at most `max`. */
enum table_sample { TABLE_SAMPLE_ALL, TABLE_SAMPLE_VOLATILE };
unsigned table_sample(const struct table *, uint64_t hash, enum table_sample, unsigned buckets,
                      void **ret_items, unsigned max);
/* The same from a segment that has volatile items, chosen by `pick` (any number). */
unsigned table_sample_due(const struct table *, uint64_t pick, void **ret_items, unsigned max);

/* ---- items that are due ---- */
/* No volatile item is due before this time. TABLE_NOT_DUE: there is none. It may be too early,
 * never too late. */
int64_t table_next_due(const struct table *);
/* Items whose time is < now, at most `max` (>= 8). They stay in the table; the caller must remove
 * them or give them another time now (table_replace), since the table forgets their time. 0 does
 * not mean that none is left: see table_next_due. */
unsigned table_take_due(struct table *, const struct table_kind *, int64_t now, void **ret_items,
                        unsigned max);
/* The volatile item that is due first (nearly: beyond some weeks from the segment's others it may
 * be a later one). NULL: none is volatile. */
void *table_earliest(struct table *, const struct table_kind *);

/* ---- figures ---- */
uint64_t table_slots(const struct table *); /* O(segments) */
size_t table_bytes(const struct table *);   /* without the items; O(segments) */

/* ==== what lookups are made of ==== */

STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "six-byte pointers are read as the low end of eight");
STATIC_ASSERT(sizeof(struct table_bucket) == 64, "a bucket is one cache line");

#define TABLE_ITEM_MASK    0xFFFFFFFFFFF8ull
#define TABLE_ADDRESS_MASK 0xFFFFFFFFFFFFull
#define TABLE_FAR          15u /* displacement: somewhere in the segment */

/* A directory word taken apart. */
struct table_place {
    struct table_bucket *buckets;
    uint32_t n;     /* buckets */
    uint32_t depth; /* bits of prefix */
};

static inline struct table_place table_place(const struct table *t, uint64_t hash)
{
    uint64_t w = t->dir[hash >> 1 >> t->shift];
    return (struct table_place){
        .buckets = (struct table_bucket *)(uintptr_t)(w & TABLE_ADDRESS_MASK),
        .n = (uint32_t)(w >> 53),
        .depth = w >> 48 & 31,
    };
}

static inline uint32_t table_fragment(uint64_t hash, uint32_t depth)
{
    return (uint32_t)(hash << depth >> 48);
}

static inline uint32_t table_home(uint32_t fragment, uint32_t buckets)
{
    return fragment * buckets >> 16;
}

/* Pointer and low bits of a slot; 0 in the pointer's bits: empty. */
static inline uint64_t table_slot_word(const struct table_bucket *b, unsigned slot)
{
    uint64_t w; /* the two bytes in front of the item come along */
    memcpy(&w, (const char *)b + offsetof(struct table_bucket, item) - 2 + (size_t)6 * slot,
           sizeof w);
    return w >> 16;
}

static inline void *table_slot_item(const struct table_bucket *b, unsigned slot)
{
    return (void *)(uintptr_t)(table_slot_word(b, slot) & TABLE_ITEM_MASK);
}

/* How far the farthest item that has its home in this bucket is away: 0..14 buckets, or TABLE_FAR.
 * It is kept in bits 1 and 2 of slots 0 and 1. */
static inline unsigned table_displacement(const struct table_bucket *b)
{
    return (b->item[0][0] >> 1 & 3u) | (b->item[1][0] << 1 & 12u);
}

/* One bit per slot whose fragment is equal. Empty slots have fragment 0. */
static inline unsigned table_match(const struct table_bucket *b, uint32_t fragment)
{
#ifdef __SSE2__
    __m128i all = _mm_loadu_si128((const __m128i *)b->fragment);
    __m128i eq = _mm_cmpeq_epi16(all, _mm_set1_epi16((short)fragment));
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(eq, _mm_setzero_si128()));
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < TABLE_SLOTS; i++)
        mask |= (unsigned)(b->fragment[i] == fragment) << i;
    return mask;
#endif
}

/* Keys are short: no call, and no byte is touched beyond them. */
static inline __attribute__((always_inline)) bool table_key_eq(struct bytes a, struct bytes b)
{
    if (a.n != b.n)
        return false;
    if (a.n < 8 || a.n > 64)
        return memcmp(a.p, b.p, a.n) == 0;
    uint64_t x, y;
    for (size_t i = 0; i + 8 < a.n; i += 8) {
        memcpy(&x, a.p + i, 8);
        memcpy(&y, b.p + i, 8);
        if (x != y)
            return false;
    }
    memcpy(&x, a.p + a.n - 8, 8);
    memcpy(&y, b.p + b.n - 8, 8);
    return x == y;
}

/* The item with this key, or NULL. ret_at (unless NULL) is set when it is there. */
static inline __attribute__((always_inline)) void *table_find(const struct table *t,
                                                              const struct table_kind *kind,
                                                              uint64_t hash, struct bytes key,
                                                              struct table_at *ret_at)
{
    struct table_place p = table_place(t, hash);
    uint32_t fragment = table_fragment(hash, p.depth);
    uint32_t home = table_home(fragment, p.n), i = home, left = 0;
    for (;;) {
        struct table_bucket *b = &p.buckets[i];
        for (unsigned mask = table_match(b, fragment); mask; mask &= mask - 1) {
            unsigned slot = (unsigned)__builtin_ctz(mask);
            void *item = table_slot_item(b, slot);
            if (item && table_key_eq(kind->key(item), key)) {
                if (ret_at)
                    *ret_at = (struct table_at){ b, slot, hash };
                return item;
            }
        }
        if (i == home) {
            left = table_displacement(b);
            if (left == TABLE_FAR)
                left = p.n - 1;
        } else {
            left--;
        }
        if (left == 0)
            return NULL;
        if (++i == p.n)
            i = 0;
    }
}

/* The empty asm is there because GCC takes a function that does nothing but prefetch for one
 * without effect and drops the calls. */
static inline __attribute__((always_inline)) void table_fetch(const void *p)
{
    __builtin_prefetch(p);
    __asm__ volatile("" : : "r"(p));
}

/* For batches: first the directory's word, then the bucket's line, last the lines of the item; each step needs the one
 * before to have arrived. */
static inline __attribute__((always_inline)) void table_prefetch_place(const struct table *t,
                                                                       uint64_t hash)
{
    table_fetch(&t->dir[hash >> 1 >> t->shift]);
}

static inline __attribute__((always_inline)) void table_prefetch_bucket(const struct table *t,
                                                                        uint64_t hash)
{
    struct table_place p = table_place(t, hash);
    table_fetch(&p.buckets[table_home(table_fragment(hash, p.depth), p.n)]);
}

static inline __attribute__((always_inline)) void table_prefetch_item(const struct table *t,
                                                                      uint64_t hash)
{
    struct table_place p = table_place(t, hash);
    uint32_t fragment = table_fragment(hash, p.depth);
    const struct table_bucket *b = &p.buckets[table_home(fragment, p.n)];
    unsigned mask = table_match(b, fragment);
    if (!mask && table_displacement(b)) {
        table_fetch(
            b +
            1); /* likely there; at the end of the array the line is of no use, and does no harm */
        return;
    }
    for (; mask; mask &= mask - 1) {
        const char *item = table_slot_item(b, (unsigned)__builtin_ctz(mask));
        table_fetch(item);
        table_fetch(item + 64); /* most items straddle two lines */
    }
}

/* What was fetched last: the item that is likely the one with this hash, or NULL. */
static inline __attribute__((always_inline)) void *table_guess(const struct table *t, uint64_t hash)
{
    struct table_place p = table_place(t, hash);
    uint32_t fragment = table_fragment(hash, p.depth);
    const struct table_bucket *b = &p.buckets[table_home(fragment, p.n)];
    unsigned mask = table_match(b, fragment);
    return mask ? table_slot_item(b, (unsigned)__builtin_ctz(mask)) : NULL;
}
