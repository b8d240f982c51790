/* See id_tree.h. */
#include "server/types/id_tree.h"

#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

enum { CAP_FIRST = 4, HEIGHT_MAX = 16 };

/* The way from the root to a leaf: which slot was taken in each node. The leaf is step[height]. */
struct path {
    struct {
        struct id_node *node;
        uint32_t i;
    } step[HEIGHT_MAX];
};

static size_t node_bytes(uint32_t cap)
{
    return sizeof(struct id_node) + cap * sizeof(struct id_slot);
}

static struct id_node *node_new(struct id_tree *t, uint32_t cap)
{
    struct id_node *node = mem_alloc(node_bytes(cap));
    *node = (struct id_node){ .cap = cap };
    t->bytes += mem_good_size(node_bytes(cap));
    return node;
}

static void node_free(struct id_tree *t, struct id_node *node)
{
    t->bytes -= mem_good_size(node_bytes(node->cap));
    mem_free(node);
}

/* The number of slots whose ID is not above `id`. */
static uint32_t upper(const struct id_node *node, struct stream_id id)
{
    uint32_t low = 0, high = node->n;
    if (high && stream_id_cmp(node->slot[high - 1].id, id) <= 0)
        return high; /* most of what happens, happens at the end */
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (stream_id_cmp(node->slot[mid].id, id) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The slot of an inner node to go down by: the bound of the first is taken for -infinity. */
static uint32_t below(const struct id_node *node, struct stream_id id)
{
    uint32_t i = upper(node, id);
    return i ? i - 1 : 0;
}

static struct id_node *leaf_of(const struct id_tree *t, struct stream_id id)
{
    struct id_node *node = t->root;
    for (unsigned h = 0; h < t->height; h++)
        node = node->slot[below(node, id)].p;
    return node;
}

static struct id_node *walk_down(const struct id_tree *t, struct stream_id id, struct path *path)
{
    struct id_node *node = t->root;
    for (unsigned h = 0; h < t->height; h++) {
        uint32_t i = below(node, id);
        path->step[h].node = node;
        path->step[h].i = i;
        node = node->slot[i].p;
    }
    return node;
}

static void free_below(struct id_node *node, unsigned height)
{
    for (uint32_t i = 0; height && i < node->n; i++)
        free_below(node->slot[i].p, height - 1);
    mem_free(node);
}

void id_tree_done(struct id_tree *t)
{
    if (t->root)
        free_below(t->root, t->height);
    *t = (struct id_tree){ 0 };
}

/* ---- looking ---- */

static bool slot_is(const struct id_node *node, uint32_t i, struct stream_id id)
{
    return i < node->n && stream_id_cmp(node->slot[i].id, id) == 0;
}

void *id_tree_find(const struct id_tree *t, struct stream_id id)
{
    if (!t->root)
        return NULL;
    const struct id_node *leaf = leaf_of(t, id);
    uint32_t i = below(leaf, id);
    return slot_is(leaf, i, id) ? leaf->slot[i].p : NULL;
}

struct id_at id_tree_le(const struct id_tree *t, struct stream_id id)
{
    if (!t->root)
        return (struct id_at){ 0 };
    struct id_node *leaf = leaf_of(t, id);
    struct id_at at = { leaf, upper(leaf, id) };
    id_at_prev(&at); /* into the leaf before, when all of this one are above */
    return at;
}

struct id_at id_tree_ge(const struct id_tree *t, struct stream_id id)
{
    struct id_at at = id_tree_le(t, id);
    if (!at.leaf)
        return id_tree_first(t);
    if (stream_id_cmp(id_at_id(at), id) < 0)
        id_at_next(&at);
    return at;
}

/* ---- inserting ---- */

static void slot_open(struct id_node *node, uint32_t i, struct stream_id id, void *p)
{
    memmove(node->slot + i + 1, node->slot + i, (node->n - i) * sizeof(struct id_slot));
    node->slot[i] = (struct id_slot){ id, p };
    node->n++;
}

static void slot_close(struct id_node *node, uint32_t i)
{
    node->n--;
    memmove(node->slot + i, node->slot + i + 1, (node->n - i) * sizeof(struct id_slot));
}

/* A new node behind `node`, with its upper half; with nothing if what comes next is appended at the
 * very end. */
static struct id_node *split(struct id_tree *t, struct id_node *node, bool append)
{
    struct id_node *right = node_new(t, ID_NODE_MAX);
    uint32_t keep = append ? node->n : node->n / 2;
    right->n = node->n - keep;
    memcpy(right->slot, node->slot + keep, right->n * sizeof(struct id_slot));
    node->n = keep;
    right->prev = node;
    right->next = node->next;
    if (node->next)
        node->next->prev = right;
    node->next = right;
    if (t->last == node)
        t->last = right;
    return right;
}

/* The tree is one leaf that is full but may be larger. */
static void grow_leaf(struct id_tree *t)
{
    struct id_node *old = t->root;
    uint32_t cap = old->cap * 2 < ID_NODE_MAX ? old->cap * 2 : ID_NODE_MAX;
    struct id_node *node = node_new(t, cap);
    node->n = old->n;
    memcpy(node->slot, old->slot, old->n * sizeof(struct id_slot));
    node_free(t, old);
    t->root = t->first = t->last = node;
}

static void grow_up(struct id_tree *t, struct id_node *right)
{
    struct id_node *root = node_new(t, ID_NODE_MAX);
    ASSERT(t->height + 1 < HEIGHT_MAX);
    root->n = 2;
    root->slot[0] = (struct id_slot){ STREAM_ID_MIN, t->root };
    root->slot[1] = (struct id_slot){ right->slot[0].id, right };
    t->root = root;
    t->height++;
}

bool id_tree_insert(struct id_tree *t, struct stream_id id, void *p)
{
    struct path path;
    if (!t->root)
        t->root = t->first = t->last = node_new(t, CAP_FIRST);
    if (t->height == 0 && t->root->n == t->root->cap && t->root->cap < ID_NODE_MAX)
        grow_leaf(t);
    struct id_node *node = walk_down(t, id, &path);
    uint32_t i = upper(node, id);
    if (i && slot_is(node, i - 1, id))
        return false;
    t->count++;
    for (unsigned h = t->height;; h--) {
        if (node->n < node->cap) {
            slot_open(node, i, id, p);
            return true;
        }
        struct id_node *right = split(t, node, i == node->n && !node->next);
        if (i >= node->n && (i > node->n || right->n == 0))
            slot_open(right, i - node->n, id, p);
        else
            slot_open(node, i, id, p);
        if (h == 0) {
            grow_up(t, right);
            return true;
        }
        node = path.step[h - 1].node;
        i = path.step[h - 1].i + 1;
        id = right->slot[0].id;
        p = right;
    }
}

/* ---- removing ---- */

static void unlink_node(struct id_tree *t, struct id_node *node)
{
    if (node->prev)
        node->prev->next = node->next;
    if (node->next)
        node->next->prev = node->prev;
    if (t->first == node)
        t->first = node->next;
    if (t->last == node)
        t->last = node->prev;
    node_free(t, node);
}

/* Puts the slots of parent's child i + 1 behind those of child i if both fit half a node. The bound
 * of an inner node's first slot was not kept true: that of the parent takes its place. */
static bool merge(struct id_tree *t, struct id_node *parent, uint32_t i, bool inner)
{
    struct id_node *a = parent->slot[i].p, *b = parent->slot[i + 1].p;
    if (a->n + b->n > ID_NODE_MAX / 2)
        return false;
    memcpy(a->slot + a->n, b->slot, b->n * sizeof(struct id_slot));
    if (inner)
        a->slot[a->n].id = parent->slot[i + 1].id;
    a->n += b->n;
    unlink_node(t, b);
    slot_close(parent, i + 1);
    return true;
}

void *id_tree_remove(struct id_tree *t, struct stream_id id)
{
    struct path path;
    if (!t->root)
        return NULL;
    struct id_node *node = walk_down(t, id, &path);
    uint32_t i = below(node, id);
    if (!slot_is(node, i, id))
        return NULL;
    void *p = node->slot[i].p;
    t->count--;
    slot_close(node, i);
    for (unsigned h = t->height; h > 0; h--) {
        struct id_node *parent = path.step[h - 1].node;
        uint32_t k = path.step[h - 1].i;
        if (node->n == 0) {
            unlink_node(t, node);
            slot_close(parent, k);
        } else if (!(k + 1 < parent->n && merge(t, parent, k, h < t->height)) &&
                   !(k > 0 && merge(t, parent, k - 1, h < t->height))) {
            break;
        }
        node = parent;
    }
    while (t->height > 0 && t->root->n == 1) { /* the node below is alone at its height */
        struct id_node *child = t->root->slot[0].p;
        node_free(t, t->root);
        t->root = child;
        t->height--;
    }
    if (t->count == 0)
        id_tree_done(t);
    return p;
}
