/* Lists: one listpack while it fits list-max-listpack-size, else chunks ("quicklist"). A list
 * changes to chunks and back as Redis 7.2's does: back when one chunk is left that is at most half
 * full.
 *
 * A chunk is a listpack filled up to the limit, or a blob that holds one large element. The chunks'
 * descriptors (pointer and number of elements, 16 bytes) lie in a ring: both ends cost O(1), an
 * index is found by adding up numbers that lie side by side, from the nearer end.
 *
 * Verbs take the list as a value_ref (see value.h); those that only read, by value. `shared`,
 * unless NULL, is the blob that holds the element whole: a reference to it may be kept instead of a
 * copy. Element bytes may not lie in the list. */
#pragma once

#include "common/blob.h"
#include "server/types/limits.h"
#include "server/types/listpack.h"
#include "server/types/value.h"

extern const struct value_ops list_value_ops;

enum list_end { LIST_HEAD, LIST_TAIL };

struct value_ref list_new(void); /* empty, a listpack */
void list_free(struct value_ref);
uint64_t list_count(struct value_ref);

/* ---- the encoding ---- */
/* Before elements are added: becomes chunks if a listpack may not grow so much. */
void list_expect(struct value_ref *, const struct bytes *elements, size_t n,
                 const struct types_limits *);
/* After elements were taken away or replaced: goes back to a listpack if it may. */
void list_relax(struct value_ref *, const struct types_limits *);

/* ---- changing (list_expect comes first where elements are added) ---- */
void list_push(struct value_ref *, enum list_end, struct bytes, struct blob *shared,
               const struct types_limits *);
/* Replaces an element; false: no such index. Negative ones count from the tail, -1 is the last. */
bool list_set(struct value_ref *, int64_t index, struct bytes, struct blob *shared,
              const struct types_limits *);
/* Beside the first element that is equal to the pivot; false: none is. */
bool list_insert(struct value_ref *, struct bytes pivot, bool after, struct bytes,
                 struct blob *shared, const struct types_limits *);
void list_delete(struct value_ref *, uint64_t from, uint64_t n); /* from + n <= count */
/* Deletes elements that are equal, at most `max` (0: all), beginning at an end; gives how many. */
uint64_t list_remove(struct value_ref *, struct bytes, enum list_end, uint64_t max);

/* ---- reading ---- */
bool list_get(struct value_ref, int64_t index, struct element *ret); /* as list_set counts */

/* Elements in order from an index (0 <= index), or backwards from there; the list may not change
 * meanwhile. */
struct list_walk {
    struct value_ref list;
    bool backwards;
    uint32_t chunk;
    const uint8_t *p; /* the next entry, or the blob of a large element; NULL: done */
};
void list_walk_begin(struct list_walk *, struct value_ref, uint64_t index, bool backwards);
bool list_walk_next(struct list_walk *, struct element *ret); /* false: done */

/* What elements are compared with. */
struct list_needle {
    struct bytes s;
    int64_t i;
    bool integer;
};
struct list_needle list_needle_of(struct bytes);
static inline bool list_matches(const struct element *e, const struct list_needle *n)
{
    return e->s.p ? !n->integer && bytes_eq(e->s, n->s) : n->integer && e->i == n->i;
}

/* ---- chunks, for saving and loading ---- */
uint32_t list_chunks(struct value_ref); /* 1 for a listpack */
/* A chunk's listpack, or (NULL) the blob of its one element; borrowed. */
const uint8_t *list_chunk(struct value_ref, uint32_t i, const struct blob **ret_blob);
/* Appends a chunk of a saved list: a listpack from outside, checked whole (false: it is none, or
 * empty). */
bool list_load_listpack(struct value_ref *, struct bytes, const struct types_limits *);
