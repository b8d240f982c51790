/* An ordered map from stream IDs to pointers: the nodes of a stream, the pending entries of groups
 * and consumers.
 *
 * A B+tree of nodes with up to ID_NODE_MAX slots; leaves are chained both ways, so that walking is
 * stepping through arrays. A small tree is one leaf that grows with its content. Appending fills
 * leaves whole; removing merges a node with its neighbour when both together fill half a node.
 * Slots of inner nodes carry a lower bound of what is below them.
 *
 * Places (struct id_at) are void after a verb that adds or removes: seek anew. A zeroed struct is
 * an empty tree. */
#pragma once

#include <stddef.h>

#include "server/types/stream_id.h"

#define ID_NODE_MAX 62 /* slots: 1512 bytes, just below a class of the allocator */

struct id_slot {
    struct stream_id id;
    void *p; /* the value; in inner nodes the node below */
};

struct id_node {
    struct id_node *prev, *next; /* of the same height */
    uint32_t n, cap;
    struct id_slot slot[];
};

struct id_tree {
    struct id_node *root, *first, *last; /* NULL while empty */
    uint64_t count;
    size_t bytes;    /* memory of the nodes */
    unsigned height; /* of inner nodes above the leaves */
};

struct id_at {
    struct id_node *leaf; /* NULL: nowhere */
    uint32_t i;
};

void id_tree_done(struct id_tree *); /* frees the tree, not the values; it is empty then */
bool id_tree_insert(struct id_tree *, struct stream_id,
                    void *p); /* false: the ID is there already, nothing done */
void *id_tree_find(const struct id_tree *, struct stream_id);      /* NULL: not there */
void *id_tree_remove(struct id_tree *, struct stream_id);          /* the value; NULL: not there */
struct id_at id_tree_ge(const struct id_tree *, struct stream_id); /* the first that is not below */
struct id_at id_tree_le(const struct id_tree *, struct stream_id); /* the last that is not above */

static inline struct id_at id_tree_first(const struct id_tree *t)
{
    return (struct id_at){ t->first, 0 };
}

static inline struct id_at id_tree_last(const struct id_tree *t)
{
    return (struct id_at){ t->last, t->last ? t->last->n - 1 : 0 };
}

static inline void id_at_next(struct id_at *at)
{
    if (++at->i == at->leaf->n)
        *at = (struct id_at){ at->leaf->next, 0 };
}

static inline void id_at_prev(struct id_at *at)
{
    if (at->i-- == 0)
        *at = (struct id_at){ at->leaf->prev, at->leaf->prev ? at->leaf->prev->n - 1 : 0 };
}

static inline struct stream_id id_at_id(struct id_at at)
{
    return at.leaf->slot[at.i].id;
}

static inline void *id_at_value(struct id_at at)
{
    return at.leaf->slot[at.i].p;
}

static inline void id_at_set(struct id_at at, void *p)
{
    at.leaf->slot[at.i].p = p;
}
