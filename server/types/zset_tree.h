/* The order of a large sorted set: a B+tree of (score, item) that counts what is below each child.
 *
 *   inner   up to 31 children: for each its count and its least element
 *   leaf    up to 71 elements: scores, then pointers of 6 bytes; leaves are linked both ways
 *
 * Nodes are about 1 KiB. The least element of every child is kept exact (never a copy that outlived
 * its element), so a node is searched by scores alone and looks at names only where scores are
 * equal. Counts make every question about a rank one way down: a range of scores, names or ranks is
 * first turned into two ranks. A full leaf gives to a neighbour before it splits, and growth at
 * either end leaves full leaves behind, so leaves are 4/5 full or better. Neighbours of which three
 * quarters of a node could hold both are merged.
 *
 * Items are those of members.h; the tree reads their names and owns nothing. */
#pragma once

#include "server/types/members.h"

#define ZLEAF_MAX        71u
#define ZINNER_MAX       31u
#define ZTREE_HEIGHT_MAX 16u /* far more than 2^48 elements need */

struct zleaf {
    double score[ZLEAF_MAX];
    struct zleaf *prev, *next;
    uint8_t item[ZLEAF_MAX][6]; /* low end of the pointer */
    uint16_t n;
};

struct zinner {
    double score[ZINNER_MAX]; /* of the least element below each child, */
    void *item[ZINNER_MAX];   /* and the element */
    void *child[ZINNER_MAX];
    uint64_t count[ZINNER_MAX]; /* elements below */
    uint16_t n;
};

struct ztree {
    void *root; /* a leaf when height is 0 */
    unsigned height;
    uint64_t count;
    uint64_t leaves, inners;
};

/* Says of each element whether it lies before a place in the order. Elements that do are a prefix.
 */
enum ztree_side {
    ZTREE_BEFORE,      /* (score, name) < */
    ZTREE_UP_TO,       /* (score, name) <= */
    ZTREE_SCORE_BELOW, /* score < */
    ZTREE_SCORE_UP_TO, /* score <= */
    ZTREE_NAME_BELOW,  /* only when all scores are equal */
    ZTREE_NAME_UP_TO,
};
struct ztree_bound {
    enum ztree_side side;
    double score;
    struct bytes name;
};

/* A place in the order: element i of the leaf, or behind its last. */
struct ztree_at {
    struct zleaf *leaf;
    unsigned i;
};

void ztree_init(struct ztree *);
void ztree_done(struct ztree *); /* frees the nodes, not the items */
bool ztree_free_some(struct ztree *,
                     unsigned nodes); /* true: all nodes are gone; no other verb until then */
size_t ztree_memory(const struct ztree *);

void ztree_insert(struct ztree *, double score, void *item); /* no element of that name is in */
/* Adds what is known to come last. */
void ztree_append(struct ztree *, double score, void *item);
void ztree_remove(struct ztree *, double score, const void *item); /* is in it (asserted) */
void *ztree_remove_rank(struct ztree *, uint64_t rank); /* gives the item; rank < count */
void ztree_rescore(struct ztree *, double from, double to, void *item);

/* How many elements lie before the bound; ret_at (unless NULL): the first that does not, maybe the
 * end. */
uint64_t ztree_find(const struct ztree *, const struct ztree_bound *, struct ztree_at *ret_at);
struct ztree_at ztree_seek(const struct ztree *, uint64_t rank); /* rank <= count */
/* Whether all invariants hold; for tests. O(n). */
bool ztree_check(const struct ztree *);

static inline void *zleaf_item(const struct zleaf *l, unsigned i)
{
    uint64_t w; /* the two bytes in front come along */
    memcpy(&w, (const char *)l + offsetof(struct zleaf, item) - 2 + (size_t)6 * i, sizeof w);
    return (void *)(uintptr_t)(w >> 16);
}

/* The place of an element, made to point at one: false at the end. */
static inline bool ztree_settle(struct ztree_at *at)
{
    if (at->i == at->leaf->n) {
        if (!at->leaf->next)
            return false;
        *at = (struct ztree_at){ at->leaf->next, 0 };
    }
    return at->i < at->leaf->n;
}
