/* Sorted sets against a plain sorted array: every change, every kind of range, in both encodings.
 */
#include "server/types/zset.h"

#include <math.h>

#include "model.h"

static const struct types_limits defaults = { .zset_max_listpack_entries = 128,
                                              .zset_max_listpack_value = 64 };
static const struct types_limits small = { .zset_max_listpack_entries = 12,
                                           .zset_max_listpack_value = 64 };

struct pair {
    double score;
    struct text name;
};

struct model {
    struct pair *v;
    size_t n, cap;
};

static size_t place(const struct model *m, double score, struct bytes name)
{
    size_t i = 0;
    while (i < m->n && (m->v[i].score < score ||
                        (m->v[i].score == score && bytes_cmp(text_bytes(m->v[i].name), name) < 0)))
        i++;
    return i;
}

static ptrdiff_t find(const struct model *m, struct bytes name)
{
    for (size_t i = 0; i < m->n; i++) {
        if (bytes_eq(text_bytes(m->v[i].name), name))
            return (ptrdiff_t)i;
    }
    return -1;
}

static void insert(struct model *m, double score, struct text take)
{
    if (m->n == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 64;
        m->v = realloc(m->v, m->cap * sizeof(*m->v));
        cr_assert(m->v);
    }
    size_t i = place(m, score, text_bytes(take));
    memmove(&m->v[i + 1], &m->v[i], (m->n++ - i) * sizeof(*m->v));
    m->v[i] = (struct pair){ score, take };
}

static struct pair take(struct model *m, size_t i)
{
    struct pair p = m->v[i];
    memmove(&m->v[i], &m->v[i + 1], (--m->n - i) * sizeof(*m->v));
    return p;
}

static void done(struct model *m)
{
    while (m->n)
        free(m->v[--m->n].name.p);
    free(m->v);
    *m = (struct model){ 0 };
}

static double random_score(struct prng *r)
{
    static const double odd[] = { INFINITY,
                                  -INFINITY,
                                  0.1,
                                  -0.0,
                                  0,
                                  1e300,
                                  -1e-300,
                                  1e17,
                                  9007199254740993.0,
                                  4611686018427387904.0,
                                  1.5,
                                  3.14159265358979 };
    if (prng_below(r, 4) == 0)
        return odd[prng_below(r, sizeof(odd) / sizeof(*odd))];
    return (double)prng_below(r, 20) - 10;
}

/* ---- the whole compared ---- */

static void compare(struct value_ref zset, const struct model *m)
{
    struct zset_walk w;
    struct element e;
    double score;
    cr_assert_eq(zset_count(zset), m->n);
    zset_walk_begin(&w, zset, 0, false);
    for (size_t i = 0; i < m->n; i++) {
        cr_assert(zset_walk_next(&w, &e, &score));
        cr_assert(element_is(&e, text_bytes(m->v[i].name)));
        cr_assert_eq(score, m->v[i].score);
    }
    cr_assert_not(zset_walk_next(&w, &e, &score));
    if (m->n == 0)
        return;
    zset_walk_begin(&w, zset, m->n - 1, true);
    for (size_t i = m->n; i-- > 0;) {
        cr_assert(zset_walk_next(&w, &e, &score));
        cr_assert(element_is(&e, text_bytes(m->v[i].name)));
        cr_assert_eq(score, m->v[i].score);
    }
    cr_assert_not(zset_walk_next(&w, &e, &score));
}

static void compare_ranges(struct value_ref zset, const struct model *m, struct prng *r)
{
    struct zset_score_range s = { random_score(r), random_score(r), prng_below(r, 2),
                                  prng_below(r, 2) };
    struct zset_span got = zset_span_by_score(zset, &s);
    size_t in = 0, from = 0;
    for (size_t i = m->n; i-- > 0;) {
        double v = m->v[i].score;
        if ((s.min_open ? v > s.min : v >= s.min) && (s.max_open ? v < s.max : v <= s.max)) {
            in++;
            from = i;
        }
    }
    cr_assert_eq(got.to - got.from, in);
    cr_assert(in == 0 || got.from == from);
    if (m->n == 0)
        return;
    size_t i = prng_below(r, m->n);
    uint64_t rank;
    double score;
    cr_assert(zset_rank(zset, text_bytes(m->v[i].name), &rank, &score));
    cr_assert_eq(rank, i);
    cr_assert_eq(score, m->v[i].score);
    cr_assert(zset_score(zset, text_bytes(m->v[i].name), &score));
    cr_assert_eq(score, m->v[i].score);
    cr_assert_not(zset_rank(zset, BYTES("not there"), &rank, &score));
}

/* ---- changes ---- */

static enum zset_added expected(const struct model *m, ptrdiff_t at, double *score, unsigned flags)
{
    if (at < 0)
        return flags & ZSET_XX ? ZSET_REFUSED : ZSET_ADDED;
    double old = m->v[at].score;
    if (flags & ZSET_NX)
        return ZSET_REFUSED;
    if (flags & ZSET_INCR)
        *score += old;
    if (isnan(*score))
        return ZSET_NAN;
    if (((flags & ZSET_GT) && !(*score > old)) || ((flags & ZSET_LT) && !(*score < old)))
        return ZSET_REFUSED;
    return *score == old ? ZSET_SAME : ZSET_UPDATED;
}

static void add(struct value_ref *zset, struct model *m, struct prng *r,
                const struct types_limits *limits)
{
    static const unsigned flags[] = { 0,
                                      0,
                                      0,
                                      ZSET_NX,
                                      ZSET_XX,
                                      ZSET_GT,
                                      ZSET_LT,
                                      ZSET_INCR,
                                      ZSET_INCR | ZSET_GT,
                                      ZSET_XX | ZSET_LT };
    struct text name = text_random(r, 300);
    unsigned f = flags[prng_below(r, sizeof(flags) / sizeof(*flags))];
    double score = random_score(r), got = 42, want = score;
    ptrdiff_t at = find(m, text_bytes(name));
    enum zset_added e = expected(m, at, &want, f);
    cr_assert_eq(zset_add(zset, score, text_bytes(name), f, limits, &got), e);
    if (e == ZSET_REFUSED || e == ZSET_NAN)
        cr_assert_eq(got, 42);
    else
        cr_assert_eq(got, want);
    if (e == ZSET_ADDED) {
        insert(m, want, name);
        return;
    }
    free(name.p);
    if (e == ZSET_UPDATED) {
        struct pair p = take(m, (size_t)at);
        insert(m, want, p.name);
    }
}

static void remove_some(struct value_ref *zset, struct model *m, struct prng *r)
{
    if (m->n == 0 || prng_below(r, 10) == 0) {
        cr_assert_not(zset_remove(zset, BYTES("not there")));
        return;
    }
    if (prng_below(r, 4)) {
        struct pair p = take(m, prng_below(r, m->n));
        cr_assert(zset_remove(zset, text_bytes(p.name)));
        free(p.name.p);
        return;
    }
    uint64_t from = prng_below(r, m->n), n = prng_below(r, 6);
    if (n > m->n - from)
        n = m->n - from;
    zset_remove_span(zset, (struct zset_span){ from, from + n });
    while (n--)
        free(take(m, from).name.p);
}

Test(zset, does_what_a_sorted_array_does)
{
    for (unsigned seed = 0; seed < 30; seed++) {
        const struct types_limits *limits = seed % 2 ? &small : &defaults;
        struct prng r;
        struct model m = { 0 };
        struct value_ref zset = zset_new();
        prng_init(&r, seed);
        unsigned grow = seed % 3 ? 70 : 52;
        for (int i = 0; i < 600; i++) {
            if (prng_below(&r, 100) < grow)
                add(&zset, &m, &r, limits);
            else
                remove_some(&zset, &m, &r);
            compare_ranges(zset, &m, &r);
            if (i % 20 == 0)
                compare(zset, &m);
            if (zset.enc == ENC_LISTPACK)
                cr_assert_leq(m.n, (size_t)limits->zset_max_listpack_entries);
        }
        compare(zset, &m);
        struct value_ref copy = { zset_value_ops.copy(zset.object, zset.enc), zset.enc };
        compare(copy, &m);
        unsigned char a[20], b[20];
        zset_value_ops.digest(zset.object, zset.enc, a);
        zset_value_ops.digest(copy.object, copy.enc, b);
        cr_assert_arr_eq(a, b, sizeof(a));
        zset_free(copy);
        while (!zset_value_ops.free_some(zset.object, zset.enc, 7))
            ;
        done(&m);
    }
}

static struct value_ref zset_of(unsigned n, const struct types_limits *limits)
{
    struct value_ref zset = zset_new();
    double got;
    for (unsigned i = 0; i < n; i++) {
        char name[16];
        int len = snprintf(name, sizeof(name), "%u", i);
        zset_add(&zset, i, bytes_of(name, (size_t)len), 0, limits, &got);
    }
    return zset;
}

Test(zset, becomes_a_skiplist_at_the_limits)
{
    static const struct {
        unsigned n;
        size_t longest;
        enum value_encoding enc;
    } cases[] = { { 1, 1, ENC_LISTPACK },
                  { 128, 64, ENC_LISTPACK },
                  { 129, 1, ENC_SKIPLIST },
                  { 1, 65, ENC_SKIPLIST },
                  { 0, 0, ENC_LISTPACK } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct value_ref zset = zset_new_for(cases[i].n, cases[i].longest, &defaults);
        cr_expect_eq(zset.enc, cases[i].enc, "%zu", i);
        zset_free(zset);
    }
    struct value_ref two = zset_of(2, &defaults);
    zset_expect(&two, 128, 64, &defaults);
    cr_expect_eq(two.enc, ENC_LISTPACK);
    zset_expect(&two, 1, 65, &defaults);
    cr_expect_eq(two.enc, ENC_SKIPLIST);
    cr_expect_eq(zset_count(two), 2);
    zset_free(two);
    for (unsigned n = 126; n < 132; n++) {
        struct value_ref zset = zset_of(n, &defaults);
        cr_expect_eq(zset.enc, n <= 128 ? ENC_LISTPACK : ENC_SKIPLIST);
        cr_expect_eq(zset_count(zset), n);
        zset_free(zset);
    }
}

Test(zset, a_listpack_forgets_the_sign_of_zero_and_a_skiplist_does_not)
{
    double score;
    struct value_ref zset = zset_new();
    zset_add(&zset, -0.0, BYTES("a"), 0, &defaults, &score);
    cr_assert(zset_score(zset, BYTES("a"), &score));
    cr_expect_not(signbit(score));
    zset_free(zset);
    zset = zset_new_for(1000, 1, &defaults);
    zset_add(&zset, -0.0, BYTES("a"), 0, &defaults, &score);
    cr_assert(zset_score(zset, BYTES("a"), &score));
    cr_expect(signbit(score));
    zset_free(zset);
}

/* ---- names ---- */

Test(zset, finds_ranges_of_names_in_both_encodings)
{
    static const struct {
        struct zset_lex_range r;
        uint64_t from, to;
    } cases[] = {
        { { { .infinite = -1 }, { .infinite = 1 } }, 0, 5 },
        { { { .infinite = 1 }, { .infinite = -1 } }, 5, 5 },
        { { { .name = BYTES("b") }, { .name = BYTES("d") } }, 1, 4 },
        { { { .name = BYTES("b"), .open = true }, { .name = BYTES("d"), .open = true } }, 2, 3 },
        { { { .name = BYTES("bb") }, { .name = BYTES("cc") } }, 2, 3 },
        { { { .name = BYTES("d") }, { .name = BYTES("b") } }, 3, 3 },
        { { { .name = BYTES("") }, { .name = BYTES("zzz") } }, 0, 5 },
        { { { .infinite = -1 }, { .name = BYTES("a"), .open = true } }, 0, 0 },
    };
    static const char *const names[] = { "a", "b", "c", "d", "e" };
    for (int large = 0; large < 2; large++) {
        struct value_ref zset = zset_new_for(large ? 1000 : 1, 1, &defaults);
        double score;
        for (int i = 4; i >= 0; i--)
            zset_add(&zset, 0, bytes_of_str(names[i]), 0, &defaults, &score);
        cr_assert_eq(zset.enc, large ? ENC_SKIPLIST : ENC_LISTPACK);
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
            struct zset_span s = zset_span_by_lex(zset, &cases[i].r);
            cr_expect_eq(s.from, cases[i].from, "%d %zu: %d", large, i, (int)s.from);
            cr_expect_eq(s.to, cases[i].to, "%d %zu: %d", large, i, (int)s.to);
        }
        zset_free(zset);
    }
}

/* ---- choosing, scanning, building ---- */

struct seen {
    unsigned char times[1000];
    unsigned n;
};

static void note(void *ctx, const struct element *member, double score)
{
    struct seen *s = ctx;
    char scratch[ELEMENT_SCRATCH];
    int64_t i;
    cr_assert(num_parse_i64(element_text(member, scratch), &i));
    cr_assert_eq(score, (double)i);
    s->times[i]++;
    s->n++;
}

Test(zset, picks_different_members_and_scans_all)
{
    static const unsigned sizes[] = { 1, 100, 1000 };
    for (size_t i = 0; i < 3; i++) {
        struct value_ref zset = zset_of(sizes[i], &defaults);
        struct prng r;
        prng_init(&r, i);
        for (uint64_t k = 0; k <= sizes[i]; k += 1 + sizes[i] / 7) {
            struct seen s = { 0 };
            zset_pick(zset, k, &r, note, &s);
            cr_assert_eq(s.n, k);
            for (unsigned j = 0; j < sizes[i]; j++)
                cr_assert_leq(s.times[j], 1);
        }
        struct seen s = { 0 };
        uint64_t cursor = 0;
        do {
            cursor = zset_scan(zset, cursor, note, &s);
        } while (cursor);
        for (unsigned j = 0; j < sizes[i]; j++)
            cr_assert_geq(s.times[j], 1);
        struct element e;
        double score;
        zset_random(zset, &r, &e, &score);
        cr_assert_lt(score, sizes[i]);
        zset_free(zset);
    }
}

Test(zset, is_built_from_members_in_any_order)
{
    for (unsigned n = 0; n < 900; n += 43) {
        struct zset_build b;
        struct model m = { 0 };
        struct prng r;
        prng_init(&r, n);
        zset_build_begin(&b, 0);
        while (m.n < n) {
            struct text name = text_random(&r, 3000);
            uint64_t hash = hash_bytes(text_bytes(name));
            void *item = zset_build_find(&b, hash, text_bytes(name));
            cr_assert_eq(item != NULL, find(&m, text_bytes(name)) >= 0);
            if (item || name.n > 64) {
                free(name.p);
                continue;
            }
            double score = random_score(&r);
            zset_build_add(&b, hash, text_bytes(name), score);
            insert(&m, score, name);
        }
        cr_assert_eq(zset_build_count(&b), n);
        struct value_ref zset = zset_build_end(&b, &defaults);
        cr_assert_eq(zset.enc, n <= 128 ? ENC_LISTPACK : ENC_SKIPLIST);
        compare(zset, &m);
        zset_free(zset);
        done(&m);
    }
}

/* ---- from outside ---- */

static bool load(const char *const *texts, size_t n, const struct types_limits *limits,
                 struct value_ref *ret)
{
    uint8_t *lp = lp_new();
    for (size_t i = 0; i < n; i++)
        lp_append(&lp, bytes_of_str(texts[i]));
    bool ok = zset_load_listpack(bytes_of(lp, lp_bytes(lp)), limits, ret);
    lp_free(lp);
    return ok;
}

Test(zset, takes_only_listpacks_that_are_sorted_sets)
{
    static const struct {
        const char *texts[6];
        size_t n;
        bool ok;
    } cases[] = {
        { { "a", "1", "b", "2" }, 4, true },  { { "a", "1", "b" }, 3, false },
        { { "a", "1", "a", "2" }, 4, false }, { { "a", "x" }, 2, false },
        { { "a", "nan" }, 2, false },         { { "a", "-inf", "b", "1.5", "c", "inf" }, 6, true },
        { { "b", "2", "a", "1" }, 4, true }, /* sorted anew */
        { { "b", "1", "a", "1" }, 4, true },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct value_ref zset;
        bool ok = load(cases[i].texts, cases[i].n, &defaults, &zset);
        cr_expect_eq(ok, cases[i].ok, "%zu", i);
        if (!ok)
            continue;
        struct zset_walk w;
        struct element e;
        double score, last = -INFINITY;
        zset_walk_begin(&w, zset, 0, false);
        while (zset_walk_next(&w, &e, &score)) {
            cr_expect_geq(score, last);
            last = score;
        }
        zset_free(zset);
    }
    struct value_ref zset;
    static const char *const two[] = { "a", "1", "b", "2" };
    static const struct types_limits one = { .zset_max_listpack_entries = 1,
                                             .zset_max_listpack_value = 64 };
    cr_assert(load(two, 4, &one, &zset));
    cr_expect_eq(zset.enc, ENC_SKIPLIST);
    cr_expect_eq(zset_count(zset), 2);
    zset_free(zset);
}
