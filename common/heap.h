/* Intrusive min-heap of things with an int64_t key (a deadline): the smallest is at hand, any can
 * be moved or taken out. Four children a node: half as deep as two, and the four keys lie in one
 * cache line.
 *
 * The array holds keys and pointers; a thing knows its place through its struct heap_node, zeroed
 * while in no heap. Equal keys come out in any order. A zeroed struct heap is empty. Memory:
 * mem_alloc, panics when there is none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    size_t place; /* index + 1; 0 = in no heap */
};

struct heap_slot {
    int64_t key;
    struct heap_node *node;
};

struct heap {
    struct heap_slot *slots;
    size_t n, cap; /* slots in use, allocated */
};

#define HEAP_ITEM(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))

void heap_done(struct heap *); /* frees the array; nodes still in it are zeroed */
void heap_set(struct heap *, struct heap_node *, int64_t key); /* puts in, or moves to a new key */
void heap_remove(struct heap *, struct heap_node *);           /* fine when not in */
struct heap_node *heap_pop(struct heap *);                     /* NULL when empty */

static inline bool heap_has(const struct heap_node *n)
{
    return n->place != 0;
}

static inline struct heap_node *heap_top(const struct heap *h) /* NULL when empty */
{
    return h->n ? h->slots[0].node : NULL;
}

static inline int64_t heap_top_key(const struct heap *h) /* INT64_MAX when empty: "never" */
{
    return h->n ? h->slots[0].key : INT64_MAX;
}

static inline int64_t heap_key(const struct heap *h, const struct heap_node *n) /* n is in h */
{
    return h->slots[n->place - 1].key;
}
