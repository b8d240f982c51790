/* The queue of ring.h. Growing copies the two halves in order, so that the oldest is at index 0
 * again. */
#include "common/ring.h"

#include "common/alloc.h"
#include "common/assert.h"

#define CAP_MIN 8
#define KEEP_BYTES 4096 /* an empty ring with an array larger than this gives it back */

void ring_init(struct ring *r, size_t item_bytes, size_t max_items)
{
    ASSERT(item_bytes > 0);
    *r = (struct ring){ .item = item_bytes, .max = max_items };
}

void ring_done(struct ring *r)
{
    mem_free(r->slots);
    ring_init(r, r->item, r->max);
}

static void drop_large(struct ring *r)
{
    r->first = 0;
    if (r->cap * r->item <= KEEP_BYTES)
        return;
    mem_free(r->slots);
    r->slots = NULL;
    r->cap = 0;
}

void ring_clear(struct ring *r)
{
    r->n = 0;
    drop_large(r);
}

static void grow(struct ring *r)
{
    size_t cap = r->cap ? r->cap * 2 : CAP_MIN, bytes;
    if (__builtin_mul_overflow(cap, r->item, &bytes))
        PANIC("a queue of %zu items of %zu bytes", cap, r->item);
    char *slots = mem_alloc(bytes);
    size_t to_end = r->cap - r->first;
    size_t head = r->n < to_end ? r->n : to_end;
    if (head)
        memcpy(slots, r->slots + r->first * r->item, head * r->item);
    if (r->n > head)
        memcpy(slots + head * r->item, r->slots, (r->n - head) * r->item);
    mem_free(r->slots);
    r->slots = slots;
    r->cap = cap;
    r->first = 0;
}

void *ring_push(struct ring *r)
{
    if (r->n >= r->max)
        return NULL;
    if (r->n == r->cap)
        grow(r);
    return ring_at(r, r->n++);
}

void ring_pop(struct ring *r)
{
    ASSERT(r->n > 0);
    r->first = (r->first + 1) & (r->cap - 1);
    if (--r->n == 0)
        drop_large(r);
}
