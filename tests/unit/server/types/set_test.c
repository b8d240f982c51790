/* Sets: each change does what a plain set does, in the encoding that Redis 7.2 would have. */
#include "server/types/set.h"

#include "common/alloc.h"
#include "common/sanitize.h"
#include "model.h"
#include "server/types/intset.h"

static const struct types_limits defaults = { .set_max_intset_entries = 512,
                                              .set_max_listpack_entries = 128,
                                              .set_max_listpack_value = 64 };
static const struct types_limits small = { .set_max_intset_entries = 6,
                                           .set_max_listpack_entries = 10,
                                           .set_max_listpack_value = 12 };

static struct value_ref set_of(const struct types_limits *limits, const char *members)
{
    struct value_ref set = set_new();
    for (const char *p = members; *p;) {
        size_t n = strcspn(p, " ");
        set_add(&set, bytes_of(p, n), limits);
        p += n + (p[n] == ' ');
    }
    return set;
}

/* ---- encodings ---- */

Test(set, changes_its_encoding_where_redis_does)
{
    static const struct types_limits l = { .set_max_intset_entries = 4,
                                           .set_max_listpack_entries = 4,
                                           .set_max_listpack_value = 5 };
    static const struct {
        const char *members;
        enum value_encoding enc;
    } cases[] = {
        { "", ENC_INTSET },
        { "1 2 3 4", ENC_INTSET },
        { "1 2 3 4 4 1", ENC_INTSET },
        { "1 2 3 4 5", ENC_HASHTABLE },
        { "1 2 3 a", ENC_LISTPACK },
        { "1 2 3 4 a", ENC_HASHTABLE },
        { "a 1 2 3", ENC_LISTPACK },
        { "a 1 2 3 4", ENC_HASHTABLE },
        { "1 abcdef", ENC_HASHTABLE },
        { "12345 a", ENC_LISTPACK },
        { "123456 a", ENC_HASHTABLE },
        { "-12345 a", ENC_HASHTABLE },
        { "abcde", ENC_LISTPACK },
        { "abcdef", ENC_HASHTABLE },
        { "01", ENC_LISTPACK },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct value_ref set = set_of(&l, cases[i].members);
        cr_expect_eq(set.enc, cases[i].enc, "%s", cases[i].members);
        set_free(set);
    }
}

Test(set, begins_in_the_encoding_of_the_command_that_makes_it)
{
    static const struct {
        const char *first;
        uint64_t n;
        enum value_encoding enc;
    } cases[] = {
        { "1", 6, ENC_INTSET },    { "1", 7, ENC_LISTPACK },   { "1", 11, ENC_HASHTABLE },
        { "a", 10, ENC_LISTPACK }, { "a", 11, ENC_HASHTABLE },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct value_ref set = set_new_for(bytes_of_str(cases[i].first), cases[i].n, &small);
        cr_expect_eq(set.enc, cases[i].enc);
        cr_expect_eq(set_count(set), 0);
        set_free(set);
    }
    struct value_ref set = set_of(&small, "1 2");
    set_expect(&set, 6, &small);
    cr_expect_eq(set.enc, ENC_INTSET);
    set_expect(&set, 7, &small);
    cr_expect_eq(set.enc, ENC_HASHTABLE);
    cr_expect(set_has(set, BYTES("1")) && set_has(set, BYTES("2")));
    set_free(set);
}

Test(set, settles_as_an_intset_when_it_may)
{
    static const struct {
        const char *members;
        enum value_encoding from, to;
    } cases[] = {
        { "1 2 3", ENC_LISTPACK, ENC_INTSET },           { "1 2 x", ENC_LISTPACK, ENC_LISTPACK },
        { "1 2 3 4 5 6 7", ENC_LISTPACK, ENC_LISTPACK }, { "1 2 3", ENC_HASHTABLE, ENC_INTSET },
        { "1 2 -0", ENC_HASHTABLE, ENC_HASHTABLE },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct value_ref members = set_of(&defaults, cases[i].members), set;
        set = cases[i].from == ENC_LISTPACK ? (struct value_ref){ lp_new(), ENC_LISTPACK }
                                            : (struct value_ref){ members_new(0), ENC_HASHTABLE };
        struct set_walk w;
        struct element e;
        set_walk_begin(&w, members);
        while (set_walk_next(&w, &e)) {
            char scratch[ELEMENT_SCRATCH];
            set_add(&set, element_text(&e, scratch), &defaults);
        }
        cr_expect_eq(set.enc, cases[i].from);
        set_settle(&set, &small);
        cr_expect_eq(set.enc, cases[i].to, "%s", cases[i].members);
        cr_expect_eq(set_count(set), set_count(members));
        set_free(set);
        set_free(members);
    }
}

/* ---- against a model ---- */

struct pair {
    struct value_ref set;
    struct texts model; /* no order */
    const struct types_limits *limits;
};

static void check_is_member(void *ctx, const struct element *e)
{
    const struct pair *s = ctx;
    char scratch[ELEMENT_SCRATCH];
    cr_assert_geq(texts_find(&s->model, element_text(e, scratch), 0, 1), 0);
}

static void check(const struct pair *s)
{
    struct set_walk w;
    struct element e;
    size_t n = 0;
    cr_assert_eq(set_count(s->set), s->model.n);
    set_walk_begin(&w, s->set);
    for (; set_walk_next(&w, &e); n++)
        check_is_member((void *)s, &e);
    cr_assert_eq(n, s->model.n);
    if (s->set.enc == ENC_INTSET)
        cr_assert(intset_count(s->set.object) <= (uint64_t)s->limits->set_max_intset_entries);
    if (s->set.enc == ENC_LISTPACK)
        cr_assert(lp_count(s->set.object) <= (uint64_t)s->limits->set_max_listpack_entries);
}

static void do_add(struct pair *s, struct prng *r)
{
    struct text t = text_random(r, 40);
    bool there = texts_find(&s->model, text_bytes(t), 0, 1) >= 0;
    cr_assert_eq(set_has(s->set, text_bytes(t)), there);
    cr_assert_eq(set_add(&s->set, text_bytes(t), s->limits), !there);
    cr_assert(set_has(s->set, text_bytes(t)));
    if (there)
        free(t.p);
    else
        texts_insert(&s->model, s->model.n, t);
}

static void do_remove(struct pair *s, struct prng *r)
{
    struct text t = text_random(r, 40);
    if (s->model.n && prng_below(r, 2)) {
        free(t.p);
        t = text_new(text_bytes(s->model.v[prng_below(r, s->model.n)]));
    }
    ptrdiff_t i = texts_find(&s->model, text_bytes(t), 0, 1);
    cr_assert_eq(set_remove(&s->set, text_bytes(t)), i >= 0);
    cr_assert_not(set_has(s->set, text_bytes(t)));
    if (i >= 0)
        texts_delete(&s->model, (size_t)i);
    free(t.p);
}

static void do_random(struct pair *s, struct prng *r)
{
    struct element e;
    if (s->model.n == 0)
        return;
    set_random(s->set, r, &e);
    check_is_member(s, &e);
    cr_assert(set_has_element(s->set, &e));
}

static void collect(void *ctx, const struct element *e)
{
    struct texts *t = ctx;
    char scratch[ELEMENT_SCRATCH];
    struct bytes text = element_text(e, scratch);
    cr_assert_lt(texts_find(t, text, 0, 1), 0, "chosen twice");
    texts_insert(t, t->n, text_new(text));
}

static void do_pick(struct pair *s, struct prng *r)
{
    struct texts chosen = { 0 };
    uint64_t k = prng_below(r, s->model.n + 1);
    set_pick(s->set, k, r, collect, &chosen);
    cr_assert_eq(chosen.n, k);
    for (size_t i = 0; i < chosen.n; i++)
        cr_assert_geq(texts_find(&s->model, text_bytes(chosen.v[i]), 0, 1), 0);
    texts_done(&chosen);
}

static void do_scan(struct pair *s, struct prng *r)
{
    struct texts seen = { 0 };
    uint64_t cursor = 0;
    do
        cursor = set_scan(s->set, cursor, collect, &seen);
    while (cursor);
    cr_assert_eq(seen.n, s->model.n);
    texts_done(&seen);
}

static void digest(struct value_ref set, unsigned char bits[20])
{
    set_value_ops.digest(set.object, set.enc, bits);
}

static void do_copy(struct pair *s, struct prng *r)
{
    unsigned char a[20], b[20];
    struct value_ref copy = { set_value_ops.copy(s->set.object, s->set.enc), s->set.enc };
    digest(s->set, a);
    digest(copy, b);
    cr_assert_eq(memcmp(a, b, 20), 0);
    set_add(&copy, BYTES("not there before"), s->limits);
    digest(copy, b);
    cr_assert_neq(memcmp(a, b, 20), 0);
    set_remove(&copy, BYTES("not there before"));
    digest(copy, b); /* in another encoding now and then */
    cr_assert_eq(memcmp(a, b, 20), 0);
    set_free(s->set);
    s->set = copy;
}

static void do_probe(struct pair *s, struct prng *r)
{
    struct set_batch b;
    struct set_walk w;
    struct value_ref other = set_new();
    for (int i = 0; i < 40; i++) {
        struct text t = text_random(r, 40);
        set_add(&other, text_bytes(t), s->limits);
        free(t.p);
    }
    set_walk_begin(&w, other);
    while (set_walk_batch(&w, &b)) {
        uint32_t which = (uint32_t)prng_u64(r) & SET_BATCH_ALL(&b),
                 there = set_probe(s->set, &b, which);
        for (unsigned i = 0; i < b.n; i++) {
            char scratch[ELEMENT_SCRATCH];
            bool is = texts_find(&s->model, element_text(&b.member[i], scratch), 0, 1) >= 0;
            cr_assert_eq(there >> i & 1, (which >> i & 1) && is);
        }
    }
    set_free(other);
}

static void do_merge(struct pair *s, struct prng *r)
{
    struct set_batch b;
    struct set_walk w;
    struct value_ref other = set_new();
    for (int i = 0; i < 5; i++) {
        struct text t = text_random(r, 40);
        set_add(&other, text_bytes(t), s->limits);
        free(t.p);
    }
    set_walk_begin(&w, other);
    while (set_walk_batch(&w, &b)) {
        uint32_t added = set_add_batch(&s->set, &b, SET_BATCH_ALL(&b), s->limits);
        for (unsigned i = 0; i < b.n; i++) {
            char scratch[ELEMENT_SCRATCH];
            struct bytes text = element_text(&b.member[i], scratch);
            bool is_new = texts_find(&s->model, text, 0, 1) < 0;
            cr_assert_eq(added >> i & 1, is_new);
            if (is_new)
                texts_insert(&s->model, s->model.n, text_new(text));
        }
    }
    set_free(other);
}

static void run(const struct types_limits *limits, unsigned seed, int rounds)
{
    static void (*const steps[])(struct pair *, struct prng *) = {
        do_add,    do_add,  do_add,  do_add,  do_remove, do_remove,
        do_random, do_pick, do_scan, do_copy, do_probe,  do_merge,
    };
    struct prng r;
    struct pair s = { .set = set_new(), .limits = limits };
    prng_init(&r, seed);
    for (int i = 0; i < rounds; i++) {
        steps[prng_below(&r, sizeof(steps) / sizeof(*steps))](&s, &r);
        check(&s);
    }
    while (s.model.n) {
        cr_assert(set_remove(&s.set, text_bytes(s.model.v[s.model.n - 1])));
        texts_delete(&s.model, s.model.n - 1);
    }
    check(&s);
    set_free(s.set);
    texts_done(&s.model);
}

Test(set, random_changes_do_what_a_plain_set_does)
{
    size_t used = mem_used();
    for (unsigned seed = 1; seed <= 30; seed++) {
        run(&small, seed, 150);
        run(&defaults, seed, 250);
    }
    cr_assert_eq(mem_used(), used);
}

/* ---- large ones ---- */

static struct value_ref large(unsigned n)
{
    struct value_ref set = set_new();
    char text[32];
    for (unsigned i = 0; i < n; i++)
        set_add(&set, bytes_of(text, (size_t)snprintf(text, sizeof(text), "member:%u", i)),
                &defaults);
    return set;
}

Test(set, memory_is_exact_for_every_size)
{
    size_t used = mem_used();
    struct value_ref set = set_new();
    for (unsigned i = 0; i < 3000; i++) {
        char text[32];
        set_add(&set,
                bytes_of(text, (size_t)snprintf(text, sizeof(text), "%u%s", i, i > 600 ? "x" : "")),
                &defaults);
        if (i % 50 == 0 && !WITH_ASAN)
            cr_assert_eq(set_value_ops.memory(set.object, set.enc, 0), mem_used() - used);
    }
    set_free(set);
    cr_assert_eq(mem_used(), used);
}

Test(set, is_freed_bit_by_bit)
{
    size_t used = mem_used();
    struct value_ref set = large(20000);
    unsigned steps = 1;
    while (!set_value_ops.free_some(set.object, set.enc, 256))
        steps++;
    cr_assert_geq(steps, 20);
    cr_assert_eq(mem_used(), used);
}

static void mark(void *ctx, const struct element *e)
{
    unsigned char *seen = ctx;
    size_t prefix = strlen("member:");
    int64_t i;
    cr_assert(num_parse_i64(bytes_of(e->s.p + prefix, e->s.n - prefix), &i));
    seen[i] = 1;
}

Test(set, a_scan_sees_what_stays_while_the_set_grows_and_shrinks)
{
    enum { N = 5000 };
    struct value_ref set = large(N);
    unsigned char *seen = calloc(4 * N, 1);
    uint64_t cursor = 0;
    unsigned round = 0;
    char text[32];
    do { /* members from N on come, those that are no multiple of 8 go */
        cursor = set_scan(set, cursor, mark, seen);
        for (unsigned k = 0; k < 5; k++, round++) {
            if (round < 3 * N)
                set_add(
                    &set,
                    bytes_of(text, (size_t)snprintf(text, sizeof(text), "member:%u", N + round)),
                    &defaults);
            if (round % 8 && round < N)
                set_remove(
                    &set, bytes_of(text, (size_t)snprintf(text, sizeof(text), "member:%u", round)));
        }
    } while (cursor);
    for (unsigned i = 0; i < N; i += 8)
        cr_assert(seen[i], "member %u", i);
    free(seen);
    set_free(set);
}

/* Every member and every pair of members is chosen about as often. */
static void check_fair(struct value_ref set, uint64_t k)
{
    enum { ROUNDS = 4000 };
    unsigned n = (unsigned)set_count(set), hits[256] = { 0 };
    struct prng r;
    prng_init(&r, k);
    cr_assert_leq(n, 256);
    for (int i = 0; i < ROUNDS; i++) {
        struct texts chosen = { 0 };
        set_pick(set, k, &r, collect, &chosen);
        for (size_t j = 0; j < chosen.n; j++)
            hits[atoi(chosen.v[j].p)]++;
        texts_done(&chosen);
    }
    double expect = (double)ROUNDS * (double)k / n, chi = 0;
    for (unsigned i = 0; i < n; i++)
        chi += (hits[i] - expect) * (hits[i] - expect) / expect;
    cr_expect_lt(chi, n + 6 * 16, "chi square %f for %u members, %u chosen", chi, n, (unsigned)k);
}

Test(set, members_are_chosen_evenly)
{
    static const struct types_limits table_only = { 0 };
    struct value_ref sets[] = { set_new(), set_new() };
    for (int i = 0; i < 200; i++) {
        char text[32];
        struct bytes b = bytes_of(text, (size_t)snprintf(text, sizeof(text), "%d", i));
        set_add(&sets[0], b, &defaults);
        set_add(&sets[1], b, &table_only);
    }
    cr_assert_eq(sets[0].enc, ENC_INTSET);
    cr_assert_eq(sets[1].enc, ENC_HASHTABLE);
    for (int i = 0; i < 2; i++) {
        check_fair(sets[i], 3);
        check_fair(sets[i], 20);
        check_fair(sets[i], 150);
        set_free(sets[i]);
    }
}

Test(set, gathered_members_make_a_set_of_the_encoding_that_adding_makes)
{
    static const char *const cases[] = {
        "", "1 2 3", "1 2 3 4 5 6 7", "a b", "1 2 a", "a b c d e f g h i j", "a b c d e f g h i j k"
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct value_ref members = set_of(&defaults, cases[i]), expect = set_of(&small, cases[i]);
        struct set_gather g = { 0 };
        struct set_walk w;
        struct set_batch b;
        set_walk_begin(&w, members);
        while (set_walk_batch(&w, &b))
            set_gather_batch(&g, &b, SET_BATCH_ALL(&b));
        struct value_ref set = set_gather_done(&g, set_new(), &small);
        unsigned char x[20], y[20];
        digest(set, x);
        digest(expect, y);
        cr_expect_eq(set.enc, expect.enc, "%s", cases[i]);
        cr_expect_eq(memcmp(x, y, 20), 0, "%s", cases[i]);
        set_free(set);
        set_free(expect);
        set_free(members);
    }
}

/* ---- from outside ---- */

Test(set, payloads_are_checked_and_brought_to_the_encoding_of_the_limits)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool listpack, ok;
        enum value_encoding enc;
    } cases[] = {
        { "\2\0\0\0\2\0\0\0\5\0\6\0", 12, false, true, ENC_INTSET },
        { "\2\0\0\0\2\0\0\0\6\0\5\0", 12, false, false, ENC_INTSET },
        { "\2\0\0\0\7\0\0\0\1\0\2\0\3\0\4\0\5\0\6\0\7\0", 22, false, true, ENC_HASHTABLE },
        { "\x0d\0\0\0\2\0\x81"
          "a\2\x81"
          "b\2\xff",
          13, true, true, ENC_LISTPACK },
        { "\x0d\0\0\0\2\0\x81"
          "a\2\x81"
          "a\2\xff",
          13, true, false, ENC_LISTPACK },
        { "\x0d\0\0\0\2\0\x81"
          "1\2\1\1\xff\xff\xff",
          13, true, false, ENC_LISTPACK },
        { "\x0c\0\0\0\2\0\x81"
          "1\2\1\1\xff",
          12, true, false, ENC_LISTPACK }, /* "1" and 1 */
        { "\x17\0\0\0\1\0\x8e"
          "too long a one\xf\xff",
          23, true, true, ENC_HASHTABLE },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct value_ref set = { NULL, ENC_RAW };
        struct bytes b = bytes_of(cases[i].bytes, cases[i].n);
        bool ok = cases[i].listpack ? set_load_listpack(b, &small, &set)
                                    : set_load_intset(b, &small, &set);
        cr_expect_eq(ok, cases[i].ok, "case %zu", i);
        if (ok) {
            cr_expect_eq(set.enc, cases[i].enc, "case %zu", i);
            set_free(set);
        }
    }
}
