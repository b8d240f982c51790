/* Lists against a plain array of texts, in both encodings, at limits small enough that chunks split
 * and merge all the time. */
#include "server/types/list.h"

#include "model.h"
#include "server/types/list_inner.h"

static struct types_limits limits_of(int size)
{
    return (struct types_limits){ .list_max_listpack_size = size };
}

/* ---- the whole compared ---- */

static void check_chunks(struct value_ref list)
{
    if (list.enc == ENC_LISTPACK)
        return;
    const struct list *l = list.object;
    uint64_t count = 0;
    for (uint32_t i = 0; i < l->chunks; i++) {
        const struct chunk *c = list_at(l, i);
        cr_assert_gt(c->n, 0);
        cr_assert_eq(c->n, c->plain ? 1 : lp_count(c->data));
        count += c->n;
    }
    cr_assert_eq(count, l->count);
}

static void compare(struct value_ref list, const struct texts *m)
{
    struct list_walk w;
    struct element e;
    check_chunks(list);
    cr_assert_eq(list_count(list), m->n);
    list_walk_begin(&w, list, 0, false);
    for (size_t i = 0; i < m->n; i++) {
        cr_assert(list_walk_next(&w, &e));
        cr_assert(element_is(&e, text_bytes(m->v[i])));
    }
    cr_assert_not(list_walk_next(&w, &e));
    if (m->n == 0)
        return;
    list_walk_begin(&w, list, m->n - 1, true);
    for (size_t i = m->n; i-- > 0;) {
        cr_assert(list_walk_next(&w, &e));
        cr_assert(element_is(&e, text_bytes(m->v[i])));
    }
    cr_assert_not(list_walk_next(&w, &e));
}

static void compare_some(struct value_ref list, const struct texts *m, struct prng *r)
{
    struct element e;
    cr_assert_not(list_get(list, (int64_t)m->n, &e));
    cr_assert_not(list_get(list, -(int64_t)m->n - 1, &e));
    if (m->n == 0)
        return;
    size_t i = prng_below(r, m->n);
    cr_assert(list_get(list, (int64_t)i, &e));
    cr_assert(element_is(&e, text_bytes(m->v[i])));
    cr_assert(list_get(list, (int64_t)i - (int64_t)m->n, &e));
    cr_assert(element_is(&e, text_bytes(m->v[i])));
}

/* ---- changes ---- */

static struct text text_of_any_size(struct prng *r)
{
    struct text t = text_random(r, 4);
    if (prng_below(r, 12) || t.n == 0)
        return t;
    size_t n = 3000 + prng_below(r, 8000);
    t.p = realloc(t.p, n + 1);
    cr_assert(t.p);
    memset(t.p, 'a' + (int)prng_below(r, 3), n);
    t.p[n] = '\0';
    t.n = n;
    return t;
}

static void push(struct value_ref *list, struct texts *m, struct prng *r,
                 const struct types_limits *limits)
{
    struct text t = text_of_any_size(r);
    struct bytes s = text_bytes(t);
    enum list_end end = prng_below(r, 2) ? LIST_TAIL : LIST_HEAD;
    list_expect(list, &s, 1, limits);
    list_push(list, end, s, NULL, limits);
    texts_insert(m, end == LIST_HEAD ? 0 : m->n, t);
}

static void insert(struct value_ref *list, struct texts *m, struct prng *r,
                   const struct types_limits *limits)
{
    struct text t = text_of_any_size(r),
                pivot = m->n ? text_new(text_bytes(m->v[prng_below(r, m->n)])) : text_random(r, 4);
    struct bytes s = text_bytes(t);
    bool after = prng_below(r, 2);
    ptrdiff_t at = texts_find(m, text_bytes(pivot), 0, 1);
    list_expect(list, &s, 1, limits);
    cr_assert_eq(list_insert(list, text_bytes(pivot), after, s, NULL, limits), at >= 0);
    free(pivot.p);
    if (at >= 0)
        texts_insert(m, (size_t)at + after, t);
    else
        free(t.p);
}

static void set(struct value_ref *list, struct texts *m, struct prng *r,
                const struct types_limits *limits)
{
    struct text t = text_of_any_size(r);
    struct bytes s = text_bytes(t);
    int64_t at = (int64_t)prng_below(r, 2 * m->n + 2) - (int64_t)m->n - 1;
    list_expect(list, &s, 1, limits);
    bool there = at >= -(int64_t)m->n && at < (int64_t)m->n;
    cr_assert_eq(list_set(list, at, s, NULL, limits), there);
    if (!there) {
        free(t.p);
        return;
    }
    struct text *old = &m->v[at < 0 ? at + (int64_t)m->n : at];
    free(old->p);
    *old = t;
    list_relax(list, limits);
}

static void delete_some(struct value_ref *list, struct texts *m, struct prng *r,
                        const struct types_limits *limits)
{
    if (prng_below(r, 2) && m->n) {
        struct text t = text_new(text_bytes(m->v[prng_below(r, m->n)]));
        uint64_t max = prng_below(r, 4), n = 0;
        enum list_end end = prng_below(r, 2) ? LIST_TAIL : LIST_HEAD;
        for (size_t i = 0; i < m->n && (max == 0 || n < max);) {
            size_t at = end == LIST_HEAD ? i : m->n - 1 - i;
            if (bytes_eq(text_bytes(m->v[at]), text_bytes(t))) {
                texts_delete(m, at);
                n++;
            } else {
                i++;
            }
        }
        cr_assert_eq(list_remove(list, text_bytes(t), end, max), n);
        free(t.p);
    } else {
        uint64_t from = prng_below(r, m->n + 1), n = prng_below(r, 8);
        if (n > m->n - from)
            n = m->n - from;
        list_delete(list, from, n);
        while (n--)
            texts_delete(m, from);
    }
    if (m->n)
        list_relax(list, limits);
}

static void change(struct value_ref *list, struct texts *m, struct prng *r,
                   const struct types_limits *limits, unsigned grow)
{
    uint64_t pick = prng_below(r, 100);
    if (pick < grow)
        push(list, m, r, limits);
    else if (pick < grow + 15)
        insert(list, m, r, limits);
    else if (pick < grow + 25)
        set(list, m, r, limits);
    else
        delete_some(list, m, r, limits);
}

Test(list, does_what_an_array_does)
{
    static const int sizes[] = { 1, 2, 3, 4, 10, 128, 0, -1, -2, -5, -9 };
    for (unsigned seed = 0; seed < 33; seed++) {
        struct types_limits limits = limits_of(sizes[seed % (sizeof(sizes) / sizeof(*sizes))]);
        struct prng r;
        struct texts m = { 0 };
        struct value_ref list = list_new();
        prng_init(&r, seed);
        for (int i = 0; i < 600; i++) {
            change(&list, &m, &r, &limits, i < 400 ? 45 : 20);
            compare_some(list, &m, &r);
            if (i % 8 == 0)
                compare(list, &m);
        }
        compare(list, &m);
        struct value_ref copy = { list_value_ops.copy(list.object, list.enc), list.enc };
        compare(copy, &m);
        unsigned char a[20], b[20];
        list_value_ops.digest(list.object, list.enc, a);
        list_value_ops.digest(copy.object, copy.enc, b);
        cr_assert_arr_eq(a, b, sizeof(a));
        cr_assert_gt(list_value_ops.memory(list.object, list.enc, 0), 0);
        list_free(list);
        compare(copy, &m);
        while (!list_value_ops.free_some(copy.object, copy.enc, 3))
            ;
        texts_done(&m);
    }
}

/* ---- encodings ---- */

static void push_n(struct value_ref *list, unsigned n, size_t bytes,
                   const struct types_limits *limits)
{
    char text[10000];
    memset(text, 'x', sizeof(text));
    for (unsigned i = 0; i < n; i++) {
        struct bytes s = bytes_of(text, bytes);
        list_expect(list, &s, 1, limits);
        list_push(list, LIST_TAIL, s, NULL, limits);
    }
}

/* Figures of Valkey 8.1. */
Test(list, changes_its_encoding_where_redis_does)
{
    static const struct {
        int size;
        unsigned n;
        size_t bytes;
        enum value_encoding enc;
    } cases[] = {
        { -2, 1, 8185, ENC_LISTPACK },   { -2, 1, 8186, ENC_QUICKLIST },
        { -2, 9, 1000, ENC_QUICKLIST },  { 4, 4, 1, ENC_LISTPACK },
        { 4, 5, 1, ENC_QUICKLIST },      { 128, 1, 9000, ENC_QUICKLIST },
        { 128, 2, 4000, ENC_LISTPACK },  { 0, 1, 1, ENC_LISTPACK },
        { 0, 2, 1, ENC_QUICKLIST },      { -6, 60, 1000, ENC_LISTPACK },
        { -6, 66, 1000, ENC_QUICKLIST },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct types_limits limits = limits_of(cases[i].size);
        struct value_ref list = list_new();
        push_n(&list, cases[i].n, cases[i].bytes, &limits);
        cr_expect_eq(list.enc, cases[i].enc, "%zu", i);
        list_free(list);
    }
}

Test(list, goes_back_to_a_listpack_at_half_the_limit)
{
    struct types_limits limits = limits_of(4);
    struct value_ref list = list_new();
    push_n(&list, 5, 1, &limits);
    for (unsigned left = 4; left > 0; left--) {
        list_delete(&list, left, 1);
        list_relax(&list, &limits);
        cr_expect_eq(list.enc, left > 2 ? ENC_QUICKLIST : ENC_LISTPACK, "%u left", left);
    }
    list_free(list);

    limits = limits_of(-2);
    list = list_new();
    push_n(&list, 9, 1000, &limits);
    for (unsigned left = 8; left > 0; left--) {
        list_delete(&list, left, 1);
        list_relax(&list, &limits);
        cr_expect_eq(list.enc, left > 4 ? ENC_QUICKLIST : ENC_LISTPACK, "%u left", left);
    }
    list_free(list);
}

Test(list, shares_the_blob_of_a_large_element)
{
    struct types_limits limits = limits_of(-2);
    struct blob *b = blob_new(20000, 20000);
    memset(b->data, 'x', b->n);
    struct value_ref list = list_new();
    struct bytes s = blob_bytes(b);
    struct element e;
    list_expect(&list, &s, 1, &limits);
    list_push(&list, LIST_HEAD, s, b, &limits);
    cr_assert_eq(b->refs, 2);
    cr_assert(list_get(list, 0, &e));
    cr_assert_eq(e.blob, b);
    const struct blob *shown;
    cr_assert_null(list_chunk(list, 0, &shown));
    cr_assert_eq(shown, b);
    list_delete(&list, 0, 1);
    cr_assert_eq(b->refs, 1);
    list_free(list);
    blob_unref(b);
}

Test(list, is_loaded_chunk_by_chunk)
{
    struct types_limits limits = limits_of(4);
    struct value_ref list = list_new();
    uint8_t *lp = lp_new();
    cr_assert_not(list_load_listpack(&list, bytes_of(lp, lp_bytes(lp)), &limits));
    for (int i = 0; i < 3; i++)
        lp_append_i64(&lp, i);
    cr_assert_not(list_load_listpack(&list, bytes_of(lp, lp_bytes(lp) - 1), &limits));
    cr_assert(list_load_listpack(&list, bytes_of(lp, lp_bytes(lp)), &limits));
    cr_assert_eq(list.enc, ENC_LISTPACK);
    cr_assert(list_load_listpack(&list, bytes_of(lp, lp_bytes(lp)), &limits));
    cr_assert_eq(list.enc, ENC_QUICKLIST);
    cr_assert_eq(list_chunks(list), 2);
    cr_assert_eq(list_count(list), 6);
    check_chunks(list);
    lp_free(lp);
    list_free(list);
}
