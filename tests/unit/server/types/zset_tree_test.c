/* The tree of sorted sets against a sorted array, with all invariants checked. */
#include "server/types/zset_tree.h"

#include <math.h>

#include "common/slab.h"
#include "model.h"

struct pair {
    double score;
    void *item;
};

struct model {
    struct pair *v;
    size_t n, cap;
};

static void *item_of(unsigned long long id)
{
    char name[24];
    int n = snprintf(name, sizeof(name), "m%llu", id);
    void *item = slab_alloc(member_name_size((size_t)n));
    member_write_name(item, bytes_of(name, (size_t)n));
    return item;
}

static void item_free(void *item)
{
    slab_free(item, member_name_size(member_name(item).n));
}

static bool before(const struct pair *a, double score, struct bytes name)
{
    return a->score < score || (a->score == score && bytes_cmp(member_name(a->item), name) < 0);
}

static size_t model_place(const struct model *m, double score, struct bytes name)
{
    size_t low = 0, high = m->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (before(&m->v[mid], score, name))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void model_insert(struct model *m, double score, void *item)
{
    if (m->n == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 64;
        m->v = realloc(m->v, m->cap * sizeof(*m->v));
        cr_assert(m->v);
    }
    size_t i = model_place(m, score, member_name(item));
    memmove(&m->v[i + 1], &m->v[i], (m->n++ - i) * sizeof(*m->v));
    m->v[i] = (struct pair){ score, item };
}

static struct pair model_take(struct model *m, size_t i)
{
    struct pair p = m->v[i];
    memmove(&m->v[i], &m->v[i + 1], (--m->n - i) * sizeof(*m->v));
    return p;
}

/* Everything the tree says is what the array says. */
static void compare(const struct ztree *t, const struct model *m)
{
    cr_assert(ztree_check(t));
    cr_assert_eq(t->count, m->n);
    struct ztree_at at = ztree_seek(t, 0);
    for (size_t i = 0; i < m->n; i++) {
        cr_assert(ztree_settle(&at));
        cr_assert_eq(zleaf_item(at.leaf, at.i), m->v[i].item);
        cr_assert_eq(at.leaf->score[at.i], m->v[i].score);
        at.i++;
    }
    cr_assert_not(ztree_settle(&at));
}

static void compare_places(const struct ztree *t, const struct model *m, struct prng *r)
{
    for (int k = 0; k < 40 && m->n; k++) {
        size_t i = prng_below(r, m->n);
        struct ztree_at at = ztree_seek(t, i);
        cr_assert(ztree_settle(&at));
        cr_assert_eq(zleaf_item(at.leaf, at.i), m->v[i].item);
        struct ztree_bound b = { ZTREE_BEFORE, m->v[i].score, member_name(m->v[i].item) };
        cr_assert_eq(ztree_find(t, &b, &at), i);
        cr_assert(ztree_settle(&at));
        cr_assert_eq(zleaf_item(at.leaf, at.i), m->v[i].item);
        size_t below = i, up_to = i;
        while (below > 0 && m->v[below - 1].score == m->v[i].score)
            below--;
        while (up_to < m->n && m->v[up_to].score == m->v[i].score)
            up_to++;
        b.side = ZTREE_SCORE_BELOW;
        cr_assert_eq(ztree_find(t, &b, NULL), below);
        b.side = ZTREE_SCORE_UP_TO;
        cr_assert_eq(ztree_find(t, &b, NULL), up_to);
        b.side = ZTREE_UP_TO;
        cr_assert_eq(ztree_find(t, &b, NULL), i + 1);
    }
}

static double random_score(struct prng *r, unsigned kinds)
{
    uint64_t pick = prng_below(r, 50);
    if (pick == 0)
        return INFINITY;
    if (pick == 1)
        return -INFINITY;
    return (double)prng_below(r, kinds) - kinds / 2.0;
}

static void change(struct ztree *t, struct model *m, struct prng *r, unsigned kinds, unsigned grow,
                   unsigned long long id)
{
    uint64_t pick = prng_below(r, 100);
    if (m->n == 0 || pick < grow) {
        void *item = item_of(id * 2654435761u % 1000000007u);
        double score = random_score(r, kinds);
        ztree_insert(t, score, item);
        model_insert(m, score, item);
    } else if (pick < grow + 20) {
        size_t i = prng_below(r, m->n);
        struct pair p = model_take(m, i);
        double to = pick % 2 ? p.score + 0.5 : random_score(r, kinds);
        ztree_rescore(t, p.score, to, p.item);
        model_insert(m, to, p.item);
    } else if (pick % 2) {
        struct pair p = model_take(m, prng_below(r, m->n));
        ztree_remove(t, p.score, p.item);
        item_free(p.item);
    } else {
        size_t i = prng_below(r, m->n);
        struct pair p = model_take(m, i);
        cr_assert_eq(ztree_remove_rank(t, i), p.item);
        item_free(p.item);
    }
}

static void release(struct ztree *t, struct model *m)
{
    ztree_done(t);
    while (m->n)
        item_free(m->v[--m->n].item);
    free(m->v);
}

Test(zset_tree, is_a_sorted_array_that_is_quick)
{
    static const struct {
        unsigned kinds, steps;
    } cases[] = { { 1, 3000 }, { 5, 4000 }, { 300, 6000 }, { 1000000, 12000 } };
    for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
        struct prng r;
        struct ztree t;
        struct model m = { 0 };
        prng_init(&r, k);
        ztree_init(&t);
        for (unsigned i = 0; i < 2 * cases[k].steps; i++) {
            change(&t, &m, &r, cases[k].kinds, i < cases[k].steps ? 65 : 25, i + 1);
            if (m.n < 200 || i % 97 == 0) {
                cr_assert(ztree_check(&t));
                compare_places(&t, &m, &r);
            }
            if (i % 499 == 0)
                compare(&t, &m);
        }
        compare(&t, &m);
        release(&t, &m);
    }
}

Test(zset_tree, empties_from_both_ends_and_the_middle)
{
    for (int how = 0; how < 3; how++) {
        struct ztree t;
        struct model m = { 0 };
        ztree_init(&t);
        for (unsigned i = 0; i < 20000; i++) {
            void *item = item_of(i);
            ztree_append(&t, i, item);
            model_insert(&m, i, item);
        }
        while (m.n) {
            size_t i = how == 0 ? 0 : how == 1 ? m.n - 1 : m.n / 2;
            struct pair p = model_take(&m, i);
            cr_assert_eq(ztree_remove_rank(&t, i), p.item);
            item_free(p.item);
            if (m.n % 1000 == 0)
                compare(&t, &m);
        }
        cr_assert_eq(t.height, 0);
        cr_assert_eq(t.leaves, 1);
        cr_assert_eq(t.inners, 0);
        release(&t, &m);
    }
}

static double fill_of(const struct ztree *t)
{
    return (double)t->count / ((double)t->leaves * ZLEAF_MAX);
}

Test(zset_tree, keeps_its_leaves_full)
{
    static const struct {
        int order;
        double at_least;
    } cases[] = { { 1, 0.97 }, { -1, 0.97 }, { 0, 0.78 } };
    enum { N = 50000 };
    for (size_t k = 0; k < 3; k++) {
        struct ztree t;
        struct model m = { 0 };
        struct prng r;
        void **items = malloc(N * sizeof(*items));
        prng_init(&r, 7);
        ztree_init(&t);
        for (int i = 0; i < N; i++) {
            items[i] = item_of((unsigned)i);
            ztree_insert(&t, cases[k].order ? (double)(i * cases[k].order) : prng_double(&r),
                         items[i]);
        }
        cr_assert(ztree_check(&t));
        cr_expect_gt(fill_of(&t), cases[k].at_least, "case %zu: %.3f", k, fill_of(&t));
        cr_expect_leq(t.height, 3);
        release(&t, &m);
        for (int i = 0; i < N; i++)
            item_free(items[i]);
        free(items);
    }
}

Test(zset_tree, is_freed_in_parts_after_its_items)
{
    enum { N = 30000 };
    static void *items[N];
    struct ztree t;
    ztree_init(&t);
    for (unsigned i = 0; i < N; i++) {
        items[i] = item_of(i);
        ztree_append(&t, i, items[i]);
    }
    for (unsigned i = 0; i < N; i++)
        item_free(items[i]);
    unsigned steps = 0;
    while (!ztree_free_some(&t, 16))
        steps++;
    cr_assert_gt(steps, 20);
    cr_assert_eq(t.leaves, 0);
    cr_assert_eq(t.inners, 0);
}
