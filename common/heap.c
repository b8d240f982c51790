/* The 4-ary heap of heap.h: children of i are 4i+1 .. 4i+4. Sifting moves a hole, so that every
 * step is one store. */
#include "common/heap.h"

#include "common/alloc.h"
#include "common/assert.h"

#define CHILDREN 4
#define CAP_MIN 16

static inline void put(struct heap *h, size_t i, struct heap_slot s)
{
    h->slots[i] = s;
    s.node->place = i + 1;
}

static void sift_up(struct heap *h, size_t i, struct heap_slot s)
{
    while (i > 0) {
        size_t parent = (i - 1) / CHILDREN;
        if (h->slots[parent].key <= s.key)
            break;
        put(h, i, h->slots[parent]);
        i = parent;
    }
    put(h, i, s);
}

static void sift_down(struct heap *h, size_t i, struct heap_slot s)
{
    for (;;) {
        size_t first = i * CHILDREN + 1;
        if (first >= h->n)
            break;
        size_t end = first + CHILDREN < h->n ? first + CHILDREN : h->n;
        size_t least = first;
        for (size_t c = first + 1; c < end; c++)
            if (h->slots[c].key < h->slots[least].key)
                least = c;
        if (h->slots[least].key >= s.key)
            break;
        put(h, i, h->slots[least]);
        i = least;
    }
    put(h, i, s);
}

/* Fills the hole at i with s, in whichever direction it has to go. */
static void settle(struct heap *h, size_t i, struct heap_slot s)
{
    if (i > 0 && h->slots[(i - 1) / CHILDREN].key > s.key)
        sift_up(h, i, s);
    else
        sift_down(h, i, s);
}

void heap_set(struct heap *h, struct heap_node *n, int64_t key)
{
    struct heap_slot s = { key, n };
    if (n->place) {
        ASSERT(n->place <= h->n);
        ASSERT(h->slots[n->place - 1].node == n);
        settle(h, n->place - 1, s);
        return;
    }
    if (h->n == h->cap) {
        size_t cap = h->cap ? h->cap * 2 : CAP_MIN;
        h->slots = mem_realloc(h->slots, cap * sizeof *h->slots);
        h->cap = cap;
    }
    sift_up(h, h->n++, s);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    if (!n->place)
        return;
    size_t i = n->place - 1;
    ASSERT(i < h->n);
    ASSERT(h->slots[i].node == n);
    n->place = 0;
    struct heap_slot last = h->slots[--h->n];
    if (i < h->n)
        settle(h, i, last);
    /* After a burst: give back, but far from where it would grow again. */
    if (h->cap > CAP_MIN && h->n < h->cap / 8) {
        h->cap /= 4;
        h->slots = mem_realloc(h->slots, h->cap * sizeof *h->slots);
    }
}

struct heap_node *heap_pop(struct heap *h)
{
    struct heap_node *n = heap_top(h);
    if (n)
        heap_remove(h, n);
    return n;
}

void heap_done(struct heap *h)
{
    for (size_t i = 0; i < h->n; i++)
        h->slots[i].node->place = 0;
    mem_free(h->slots);
    *h = (struct heap){ 0 };
}
