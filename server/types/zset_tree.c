/* See zset_tree.h. Every change first goes down and notes its path; then it changes the leaf and
 * corrects counts and least elements upwards. An insertion that meets a full leaf makes room
 * somewhere (one shift or one split) and goes down again. */
#include "server/types/zset_tree.h"

#include "common/alloc.h"
#include "common/assert.h"

struct step {
    struct zinner *node;
    unsigned i; /* the child that was taken */
};

struct path {
    struct step step[ZTREE_HEIGHT_MAX]; /* step[0] is the root's, step[height - 1] that of the
                                           leaf's parent */
    struct zleaf *leaf;
    unsigned i;
};

STATIC_ASSERT(sizeof(struct zleaf) <= 1024 && sizeof(struct zinner) <= 1024,
              "nodes fill a size class");

/* ---- nodes ---- */

static struct zleaf *leaf_new(struct ztree *t)
{
    struct zleaf *l = mem_alloc(sizeof *l);
    l->prev = l->next = NULL;
    l->n = 0;
    t->leaves++;
    return l;
}

static struct zinner *inner_new(struct ztree *t)
{
    struct zinner *x = mem_alloc(sizeof *x);
    x->n = 0;
    t->inners++;
    return x;
}

static void leaf_free(struct ztree *t, struct zleaf *l)
{
    if (l->prev)
        l->prev->next = l->next;
    if (l->next)
        l->next->prev = l->prev;
    mem_free(l);
    t->leaves--;
}

static void inner_free(struct ztree *t, struct zinner *x)
{
    mem_free(x);
    t->inners--;
}

static void leaf_set(struct zleaf *l, unsigned i, double score, const void *item)
{
    uint64_t w = (uintptr_t)item;
    l->score[i] = score;
    memcpy(l->item[i], &w, 6);
}

/* n elements, which may be of the same leaf. */
static void leaf_move(struct zleaf *to, unsigned i, const struct zleaf *from, unsigned j,
                      unsigned n)
{
    memmove(&to->score[i], &from->score[j], n * sizeof(from->score[0]));
    memmove(to->item[i], from->item[j], (size_t)n * 6);
}

static void inner_move(struct zinner *to, unsigned i, const struct zinner *from, unsigned j,
                       unsigned n)
{
    memmove(&to->score[i], &from->score[j], n * sizeof(from->score[0]));
    memmove(&to->item[i], &from->item[j], n * sizeof(from->item[0]));
    memmove(&to->child[i], &from->child[j], n * sizeof(from->child[0]));
    memmove(&to->count[i], &from->count[j], n * sizeof(from->count[0]));
}

static uint64_t inner_sum(const struct zinner *x, unsigned n)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += x->count[i];
    return sum;
}

/* Writes down what the parent must know of a child: count and least element. */
static void note_leaf(struct zinner *parent, unsigned i, struct zleaf *l)
{
    parent->child[i] = l;
    parent->count[i] = l->n;
    parent->score[i] = l->score[0];
    parent->item[i] = zleaf_item(l, 0);
}

static void note_inner(struct zinner *parent, unsigned i, struct zinner *x)
{
    parent->child[i] = x;
    parent->count[i] = inner_sum(x, x->n);
    parent->score[i] = x->score[0];
    parent->item[i] = x->item[0];
}

static void note_child(struct zinner *parent, unsigned i, void *child, bool leaf)
{
    if (leaf)
        note_leaf(parent, i, child);
    else
        note_inner(parent, i, child);
}

static void open_gap(struct zinner *x, unsigned i)
{
    ASSERT(x->n < ZINNER_MAX);
    inner_move(x, i + 1, x, i, x->n - i);
    x->n++;
}

static void close_gap(struct zinner *x, unsigned i)
{
    x->n--;
    inner_move(x, i, x, i + 1, x->n - i);
}

/* ---- the whole ---- */

void ztree_init(struct ztree *t)
{
    *t = (struct ztree){ 0 };
    t->root = leaf_new(t);
}

/* Takes nodes off at the right end. */
bool ztree_free_some(struct ztree *t, unsigned nodes)
{
    while (t->root && nodes-- > 0) {
        struct zinner *parent = NULL;
        void *node = t->root;
        unsigned level = t->height;
        while (level > 0 && ((struct zinner *)node)->n > 0) {
            parent = node;
            node = parent->child[parent->n - 1];
            level--;
        }
        if (level == 0)
            leaf_free(t, node);
        else
            inner_free(t, node);
        if (parent)
            parent->n--;
        else
            t->root = NULL;
    }
    return !t->root;
}

void ztree_done(struct ztree *t)
{
    while (!ztree_free_some(t, UINT32_MAX))
        ;
}

size_t ztree_memory(const struct ztree *t)
{
    return t->leaves * mem_good_size(sizeof(struct zleaf)) +
           t->inners * mem_good_size(sizeof(struct zinner));
}

/* ---- going down ---- */

static inline bool is_before(const struct ztree_bound *b, double score, const void *item)
{
    switch (b->side) {
    case ZTREE_BEFORE:
        return score < b->score || (score == b->score && bytes_cmp(member_name(item), b->name) < 0);
    case ZTREE_UP_TO:
        return score < b->score ||
               (score == b->score && bytes_cmp(member_name(item), b->name) <= 0);
    case ZTREE_SCORE_BELOW:
        return score < b->score;
    case ZTREE_SCORE_UP_TO:
        return score <= b->score;
    case ZTREE_NAME_BELOW:
        return bytes_cmp(member_name(item), b->name) < 0;
    case ZTREE_NAME_UP_TO:
        return bytes_cmp(member_name(item), b->name) <= 0;
    }
    return false;
}

/* The last child whose least element is before the bound, else the first: the place is in there. */
static inline unsigned inner_search(const struct zinner *x, const struct ztree_bound *b)
{
    unsigned low = 0, n = x->n - 1u; /* among 1 .. n - 1, how many are before */
    while (n > 0) {
        unsigned half = (n + 1) / 2, i = low + half;
        if (is_before(b, x->score[i], x->item[i])) {
            low = i;
            n -= half;
        } else {
            n = half - 1;
        }
    }
    return low;
}

static inline unsigned leaf_search(const struct zleaf *l, const struct ztree_bound *b)
{
    unsigned low = 0, n = l->n;
    while (n > 0) {
        unsigned half = n / 2, i = low + half;
        if (is_before(b, l->score[i], zleaf_item(l, i))) {
            low = i + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

static void go_down(const struct ztree *t, const struct ztree_bound *b, struct path *p)
{
    void *node = t->root;
    for (unsigned l = 0; l < t->height; l++) {
        struct zinner *x = node;
        p->step[l] = (struct step){ x, inner_search(x, b) };
        node = x->child[p->step[l].i];
    }
    p->leaf = node;
    p->i = leaf_search(node, b);
}

static void go_down_rank(const struct ztree *t, uint64_t rank, struct path *p)
{
    void *node = t->root;
    for (unsigned l = 0; l < t->height; l++) {
        struct zinner *x = node;
        unsigned i = 0;
        while (i + 1u < x->n && rank >= x->count[i])
            rank -= x->count[i++];
        p->step[l] = (struct step){ x, i };
        node = x->child[i];
    }
    p->leaf = node;
    p->i = (unsigned)rank;
    ASSERT(p->i <= p->leaf->n);
}

uint64_t ztree_find(const struct ztree *t, const struct ztree_bound *b, struct ztree_at *ret_at)
{
    uint64_t rank = 0;
    void *node = t->root;
    for (unsigned l = 0; l < t->height; l++) {
        struct zinner *x = node;
        unsigned i = inner_search(x, b);
        rank += inner_sum(x, i);
        node = x->child[i];
    }
    struct ztree_at at = { node, leaf_search(node, b) };
    if (ret_at)
        *ret_at = at;
    return rank + at.i;
}

struct ztree_at ztree_seek(const struct ztree *t, uint64_t rank)
{
    struct path p;
    ASSERT(rank <= t->count);
    go_down_rank(t, rank, &p);
    return (struct ztree_at){ p.leaf, p.i };
}

/* ---- going up ---- */

static void add_counts(const struct ztree *t, struct path *p, int64_t delta)
{
    for (unsigned l = 0; l < t->height; l++)
        p->step[l].node->count[p->step[l].i] += (uint64_t)delta;
}

/* The least element below step[l] has changed to this one. */
static void set_least(struct path *p, unsigned l, double score, void *item)
{
    for (;; l--) {
        struct zinner *x = p->step[l].node;
        unsigned i = p->step[l].i;
        x->score[i] = score;
        x->item[i] = item;
        if (i > 0 || l == 0)
            return;
    }
}

static void leaf_least_changed(const struct ztree *t, struct path *p)
{
    if (t->height > 0)
        set_least(p, t->height - 1, p->leaf->score[0], zleaf_item(p->leaf, 0));
}

/* ---- making room ---- */

/* Gives about half of what the neighbour has free to it. */
static bool shift_right(struct step *s, struct zleaf *l)
{
    if (s->i + 1u >= s->node->n)
        return false;
    struct zleaf *r = s->node->child[s->i + 1];
    if (r->n > ZLEAF_MAX - ZLEAF_MAX / 8)
        return false;
    unsigned k = (ZLEAF_MAX - r->n + 1u) / 2;
    leaf_move(r, k, r, 0, r->n);
    leaf_move(r, 0, l, l->n - k, k);
    r->n = (uint16_t)(r->n + k);
    l->n = (uint16_t)(l->n - k);
    note_leaf(s->node, s->i, l);
    note_leaf(s->node, s->i + 1, r);
    return true;
}

static bool shift_left(struct path *p, unsigned level, struct zleaf *l)
{
    struct step *s = &p->step[level];
    if (s->i == 0)
        return false;
    struct zleaf *left = s->node->child[s->i - 1];
    if (left->n > ZLEAF_MAX - ZLEAF_MAX / 8)
        return false;
    unsigned k = (ZLEAF_MAX - left->n + 1u) / 2;
    leaf_move(left, left->n, l, 0, k);
    leaf_move(l, 0, l, k, l->n - k);
    left->n = (uint16_t)(left->n + k);
    l->n = (uint16_t)(l->n - k);
    note_leaf(s->node, s->i - 1, left);
    note_leaf(s->node, s->i, l);
    return true;
}

/* How many of n elements stay when a full node splits: growth at an end goes on in the new node. */
static unsigned split_point(unsigned n, bool at_begin, bool at_end)
{
    return at_end ? n - 1 : at_begin ? 1 : n / 2;
}

static struct zleaf *split_leaf(struct ztree *t, struct path *p)
{
    struct zleaf *l = p->leaf, *r = leaf_new(t);
    unsigned keep = split_point(l->n, p->i == 0 && !l->prev, p->i == l->n && !l->next);
    leaf_move(r, 0, l, keep, l->n - keep);
    r->n = (uint16_t)(l->n - keep);
    l->n = (uint16_t)keep;
    r->prev = l;
    r->next = l->next;
    if (r->next)
        r->next->prev = r;
    l->next = r;
    return r;
}

static struct zinner *split_inner(struct ztree *t, struct path *p, unsigned level)
{
    struct zinner *l = p->step[level].node, *r = inner_new(t);
    unsigned i = p->step[level].i;
    unsigned keep = split_point(l->n, i == 0 && !p->leaf->prev, i + 1u == l->n && !p->leaf->next);
    inner_move(r, 0, l, keep, l->n - keep);
    r->n = (uint16_t)(l->n - keep);
    l->n = (uint16_t)keep;
    return r;
}

/* The leaf is full: afterwards it, or a node on the way to it, has more room. */
static void make_room(struct ztree *t, struct path *p)
{
    unsigned level = t->height; /* of the node to split: its parent has room, or it has none */
    if (level > 0) {
        bool ends = (p->i == 0 && !p->leaf->prev) || (p->i == p->leaf->n && !p->leaf->next);
        if (!ends &&
            (shift_right(&p->step[level - 1], p->leaf) || shift_left(p, level - 1, p->leaf)))
            return;
    }
    while (level > 0 && p->step[level - 1].node->n == ZINNER_MAX)
        level--;
    bool leaf = level == t->height;
    void *left = leaf ? (void *)p->leaf : p->step[level].node;
    void *right = leaf ? (void *)split_leaf(t, p) : split_inner(t, p, level);
    struct zinner *parent;
    unsigned i = 0;
    if (level == 0) {
        ASSERT(t->height < ZTREE_HEIGHT_MAX);
        parent = t->root = inner_new(t);
        parent->n = 1;
        t->height++;
    } else {
        parent = p->step[level - 1].node;
        i = p->step[level - 1].i;
    }
    open_gap(parent, i + 1);
    note_child(parent, i, left, leaf);
    note_child(parent, i + 1, right, leaf);
}

static void put_in_leaf(struct ztree *t, struct path *p, double score, void *item)
{
    struct zleaf *l = p->leaf;
    leaf_move(l, p->i + 1, l, p->i, l->n - p->i);
    leaf_set(l, p->i, score, item);
    l->n++;
    t->count++;
    add_counts(t, p, 1);
    if (p->i == 0)
        leaf_least_changed(t, p);
}

void ztree_insert(struct ztree *t, double score, void *item)
{
    const struct ztree_bound b = { ZTREE_BEFORE, score, member_name(item) };
    struct path p;
    for (go_down(t, &b, &p); p.leaf->n == ZLEAF_MAX; go_down(t, &b, &p))
        make_room(t, &p);
    put_in_leaf(t, &p, score, item);
}

void ztree_append(struct ztree *t, double score, void *item)
{
    struct path p;
    for (go_down_rank(t, t->count, &p); p.leaf->n == ZLEAF_MAX; go_down_rank(t, t->count, &p))
        make_room(t, &p);
    put_in_leaf(t, &p, score, item);
}

/* ---- taking away ---- */

/* Child i of step[level]'s node is gone. Gives the level of the node that remains. */
static unsigned drop_child(struct ztree *t, struct path *p, unsigned level, unsigned i)
{
    for (;;) {
        struct zinner *x = p->step[level].node;
        close_gap(x, i);
        if (x->n > 0) {
            if (i == 0 && level > 0)
                set_least(p, level - 1, x->score[0], x->item[0]);
            return level;
        }
        inner_free(t, x); /* not the root: the tree is not empty */
        i = p->step[--level].i;
    }
}

static bool merge_leaves(struct ztree *t, struct zinner *x, unsigned i)
{
    struct zleaf *l = x->child[i], *r = x->child[i + 1];
    if (l->n + r->n > (int)(ZLEAF_MAX * 3 / 4))
        return false;
    leaf_move(l, l->n, r, 0, r->n);
    l->n = (uint16_t)(l->n + r->n);
    leaf_free(t, r);
    return true;
}

static bool merge_inners(struct ztree *t, struct zinner *x, unsigned i)
{
    struct zinner *l = x->child[i], *r = x->child[i + 1];
    if (l->n + r->n > (int)(ZINNER_MAX * 3 / 4))
        return false;
    inner_move(l, l->n, r, 0, r->n);
    l->n = (uint16_t)(l->n + r->n);
    inner_free(t, r);
    return true;
}

/* Merges what step[level] chose with a neighbour if both are small. */
static bool merge_at(struct ztree *t, struct path *p, unsigned level)
{
    struct zinner *x = p->step[level].node;
    bool leaves = level + 1 == t->height;
    unsigned i = p->step[level].i;
    for (unsigned j = i > 0 ? i - 1 : 0; j <= i && j + 1u < x->n; j++) {
        if (!(leaves ? merge_leaves(t, x, j) : merge_inners(t, x, j)))
            continue;
        x->count[j] += x->count[j + 1];
        close_gap(x, j + 1);
        return true;
    }
    return false;
}

/* The same upwards, as long as something merges. */
static void merge_up(struct ztree *t, struct path *p, unsigned level)
{
    while (merge_at(t, p, level) && level > 0)
        level--;
}

static void lower_root(struct ztree *t)
{
    while (t->height > 0 && ((struct zinner *)t->root)->n == 1) {
        struct zinner *x = t->root;
        t->root = x->child[0];
        t->height--;
        inner_free(t, x);
    }
}

static void take_from_leaf(struct ztree *t, struct path *p)
{
    struct zleaf *l = p->leaf;
    l->n--;
    leaf_move(l, p->i, l, p->i + 1, l->n - p->i);
    t->count--;
    add_counts(t, p, -1);
    if (t->height == 0)
        return;
    if (t->count == 0) {
        ztree_done(t);
        ztree_init(t);
        return;
    }
    if (l->n == 0) {
        leaf_free(t, l);
        unsigned level = drop_child(t, p, t->height - 1, p->step[t->height - 1].i);
        if (level > 0)
            merge_up(t, p, level - 1);
    } else {
        if (p->i == 0)
            leaf_least_changed(t, p);
        if (l->n < ZLEAF_MAX / 2)
            merge_up(t, p, t->height - 1);
    }
    lower_root(t);
}

static void go_down_to(const struct ztree *t, double score, const void *item, struct path *p)
{
    const struct ztree_bound b = { ZTREE_UP_TO, score, member_name(item) };
    go_down(t, &b, p);
    ASSERT(p->i > 0);
    p->i--;
    ASSERT(zleaf_item(p->leaf, p->i) == item);
}

void ztree_remove(struct ztree *t, double score, const void *item)
{
    struct path p;
    go_down_to(t, score, item, &p);
    take_from_leaf(t, &p);
}

void *ztree_remove_rank(struct ztree *t, uint64_t rank)
{
    struct path p;
    ASSERT(rank < t->count);
    go_down_rank(t, rank, &p);
    void *item = zleaf_item(p.leaf, p.i);
    take_from_leaf(t, &p);
    return item;
}

/* Whether the element may keep its place with another score: its neighbours in the leaf say so. */
static bool stays(const struct path *p, double score, const void *item)
{
    const struct zleaf *l = p->leaf;
    const struct ztree_bound b = { ZTREE_BEFORE, score, member_name(item) };
    if (p->i > 0 ? !is_before(&b, l->score[p->i - 1], zleaf_item(l, p->i - 1)) : l->prev != NULL)
        return false;
    return p->i + 1 < l->n ? !is_before(&b, l->score[p->i + 1], zleaf_item(l, p->i + 1))
                           : l->next == NULL;
}

void ztree_rescore(struct ztree *t, double from, double to, void *item)
{
    struct path p;
    go_down_to(t, from, item, &p);
    if (stays(&p, to, item)) {
        p.leaf->score[p.i] = to;
        if (p.i == 0)
            leaf_least_changed(t, &p);
        return;
    }
    take_from_leaf(t, &p);
    ztree_insert(t, to, item);
}

/* ---- for tests ---- */

struct check {
    const struct zleaf *last;
    double score;
    const void *item;
    uint64_t leaves, inners;
};

static bool check_leaf(struct check *c, const struct zleaf *l, bool root)
{
    if (l->prev != c->last || (c->last && c->last->next != l) || l->n > ZLEAF_MAX ||
        (l->n == 0 && !root))
        return false;
    for (unsigned i = 0; i < l->n; i++) {
        const struct ztree_bound b = { ZTREE_BEFORE, l->score[i], member_name(zleaf_item(l, i)) };
        if (c->item && !is_before(&b, c->score, c->item))
            return false;
        c->score = l->score[i];
        c->item = zleaf_item(l, i);
    }
    c->last = l;
    c->leaves++;
    return true;
}

static bool check_node(struct check *c, const void *node, unsigned height, bool root)
{
    if (height == 0)
        return check_leaf(c, node, root);
    const struct zinner *x = node;
    if (x->n == 0 || x->n > ZINNER_MAX || (root && x->n == 1))
        return false;
    c->inners++;
    for (unsigned i = 0; i < x->n; i++) {
        struct zinner seen = { .n = 0 };
        note_child(&seen, 0, x->child[i], height == 1);
        if (seen.count[0] != x->count[i] || seen.item[0] != x->item[i] ||
            seen.score[0] != x->score[i])
            return false;
        if (!check_node(c, x->child[i], height - 1, false))
            return false;
    }
    return true;
}

bool ztree_check(const struct ztree *t)
{
    struct check c = { NULL };
    if (!check_node(&c, t->root, t->height, true) || c.last->next)
        return false;
    uint64_t n = t->height ? inner_sum(t->root, ((struct zinner *)t->root)->n)
                           : ((struct zleaf *)t->root)->n;
    return n == t->count && c.leaves == t->leaves && c.inners == t->inners;
}
