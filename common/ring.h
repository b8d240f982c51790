/* First in, first out, of items of one size, in one growing array whose size is a power of two.
 *
 * Pointers to items are valid until the next push or pop. Born with the most items it may hold; a
 * push beyond says NULL. Empty rings keep their array, but for a large one, so that a burst does
 * not stay in memory. */
#pragma once

#include <stdint.h>

#include "common/bytes.h"

struct ring {
    char *slots;
    size_t item;       /* bytes of an item */
    size_t first, n;   /* index of the oldest, items in it */
    size_t cap, max;   /* slots: a power of two; most items */
};

void ring_init(struct ring *, size_t item_bytes, size_t max_items);
void ring_done(struct ring *); /* frees the array; the ring is empty and usable again */
void ring_clear(struct ring *);

/* A new last item, content undefined, to be filled by the caller. NULL when the ring is full. */
void *ring_push(struct ring *);
void ring_pop(struct ring *); /* drops the oldest; there must be one */

static inline size_t ring_count(const struct ring *r)
{
    return r->n;
}

/* The i-th oldest, i < n. */
static inline void *ring_at(const struct ring *r, size_t i)
{
    return r->slots + ((r->first + i) & (r->cap - 1)) * r->item;
}

static inline void *ring_front(const struct ring *r) /* NULL when empty */
{
    return r->n ? ring_at(r, 0) : NULL;
}

static inline void *ring_back(const struct ring *r) /* the newest; NULL when empty */
{
    return r->n ? ring_at(r, r->n - 1) : NULL;
}
