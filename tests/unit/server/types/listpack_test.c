/* Listpacks: the bytes are Redis', every change does what a plain list does, and damage is found.
 */
#include "server/types/listpack.h"

#include "common/alloc.h"
#include "model.h"

static size_t memory(void)
{
    return mem_used();
}

static void expect_bytes(const uint8_t *lp, const char *hex)
{
    char text[512];
    for (size_t i = 0; i < lp_bytes(lp); i++)
        snprintf(text + 2 * i, 3, "%02x", lp[i]);
    cr_expect_str_eq(text, hex);
}

/* ---- layout ---- */

Test(listpack, an_empty_one_is_seven_bytes)
{
    uint8_t *lp = lp_new();
    expect_bytes(lp, "070000000000ff");
    cr_assert(lp_is_empty(lp));
    cr_assert_null(lp_first(lp));
    cr_assert_null(lp_last(lp));
    cr_assert_null(lp_seek(lp, 0));
    cr_assert_null(lp_seek(lp, -1));
    lp_free(lp);
    lp_free(NULL);
}

Test(listpack, elements_have_their_smallest_form)
{
    static const struct {
        const char *text, *entry;
    } cases[] = {
        { "0", "0001" },
        { "127", "7f01" },
        { "128", "c08002" },
        { "-1", "dfff02" },
        { "4095", "cfff02" },
        { "-4096", "d00002" },
        { "4096", "f1001003" },
        { "-4097", "f1ffef03" },
        { "32767", "f1ff7f03" },
        { "-32768", "f1008003" },
        { "32768", "f200800004" },
        { "8388607", "f2ffff7f04" },
        { "-8388608", "f200008004" },
        { "8388608", "f30000800005" },
        { "2147483647", "f3ffffff7f05" },
        { "-2147483648", "f30000008005" },
        { "2147483648", "f4000000800000000009" },
        { "-9223372036854775808", "f4000000000000008009" },
        { "9223372036854775807", "f4ffffffffffffff7f09" },
        { "9223372036854775808", "933932323333373230333638353437373538303814" },
        { "", "8001" },
        { "-0", "822d3003" },
        { "007", "8330303704" },
        { "ab", "82616203" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t *lp = lp_new();
        char hex[128];
        struct bytes text = bytes_of_str(cases[i].text);
        lp_append(&lp, text);
        size_t n = lp_bytes(lp);
        snprintf(hex, sizeof(hex), "%02zx0000000100%sff", n, cases[i].entry);
        expect_bytes(lp, hex);
        cr_assert_eq(lp_entry_bytes(text), n - LP_EMPTY);
        cr_assert(lp_equals(lp_first(lp), text), "%s", cases[i].text);
        lp_free(lp);
    }
}

/* Sizes of head and data where the back length grows, 16383 (3 bytes, not 2) among them. */
Test(listpack, back_lengths_grow_where_redis_grows_them)
{
    static const size_t cases[][2] = { { 127, 1 },   { 128, 2 },     { 16382, 2 },  { 16383, 3 },
                                       { 16384, 3 }, { 2097150, 3 }, { 2097151, 4 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t size = cases[i][0], head = size <= 4097 ? 2 : 5, n = size - head;
        struct text t = { malloc(n + 1), n };
        memset(t.p, 'x', n);
        uint8_t *lp = lp_new();
        lp_append(&lp, text_bytes(t));
        lp_append(&lp, BYTES("end"));
        cr_expect_eq(lp_size(lp_first(lp)), size);
        cr_expect_eq(lp_skip(lp_first(lp)) - lp_first(lp), (ptrdiff_t)(size + cases[i][1]));
        cr_expect_eq(lp_prev(lp, lp_last(lp)), lp_first(lp));
        struct lp_facts facts;
        cr_expect(lp_validate(bytes_of(lp, lp_bytes(lp)), &facts));
        cr_expect(facts.canonical);
        cr_expect_eq(facts.text_max, n);
        lp_free(lp);
        free(t.p);
    }
}

Test(listpack, more_than_65534_elements_are_counted_by_walking)
{
    uint8_t *lp = lp_new();
    uint16_t count;
    for (int i = 0; i < 65536; i++)
        lp_append_i64(&lp, i);
    memcpy(&count, lp + 4, sizeof(count));
    cr_assert_eq(count, UINT16_MAX);
    cr_assert_eq(lp_count(lp), 65536);
    int64_t v;
    cr_assert(lp_get_i64(lp_seek(lp, 65535), &v) && v == 65535);
    cr_assert(lp_get_i64(lp_seek(lp, -65536), &v) && v == 0);
    cr_assert_null(lp_seek(lp, 65536));
    cr_assert_null(lp_seek(lp, -65537));
    lp_delete(&lp, lp_begin(lp), 65000);
    cr_assert_eq(lp_count(lp), 536);
    lp_free(lp);
}

/* ---- against a model ---- */

struct pair {
    uint8_t *lp;
    struct texts model;
};

static void check(const struct pair *s)
{
    struct lp_facts facts;
    const uint8_t *p = lp_begin(s->lp);
    cr_assert(lp_validate(bytes_of(s->lp, lp_bytes(s->lp)), &facts));
    cr_assert(facts.canonical);
    cr_assert_eq(facts.count, s->model.n);
    cr_assert_eq(lp_count(s->lp), s->model.n);
    for (size_t i = 0; i < s->model.n; i++, p = lp_skip(p)) {
        struct element e;
        lp_get(p, &e);
        cr_assert(element_is(&e, text_bytes(s->model.v[i])), "element %zu", i);
    }
    cr_assert(lp_is_end(p));
    cr_assert_eq(p, lp_end(s->lp));
    for (size_t i = s->model.n; i-- > 0;) {
        p = lp_prev(s->lp, p);
        cr_assert(lp_equals(p, text_bytes(s->model.v[i])), "element %zu from behind", i);
    }
    cr_assert_null(lp_prev(s->lp, p));
}

static uint8_t *at_of(const struct pair *s, size_t i)
{
    return i < s->model.n ? lp_seek(s->lp, (int64_t)i) : lp_end(s->lp);
}

static void do_insert(struct pair *s, struct prng *r)
{
    size_t i = prng_below(r, s->model.n + 1);
    struct text t = text_random(r, 50);
    struct element e;
    lp_get(lp_insert(&s->lp, at_of(s, i), text_bytes(t)), &e);
    cr_assert(element_is(&e, text_bytes(t)));
    texts_insert(&s->model, i, t);
}

static void do_insert_pair(struct pair *s, struct prng *r)
{
    size_t i = prng_below(r, s->model.n + 1);
    struct text a = text_random(r, 50), b = text_random(r, 50);
    uint8_t *p = lp_insert_pair(&s->lp, at_of(s, i), text_bytes(a), text_bytes(b));
    cr_assert(lp_equals(p, text_bytes(a)) && lp_equals(lp_skip(p), text_bytes(b)));
    texts_insert(&s->model, i, b);
    texts_insert(&s->model, i, a);
}

static void do_number(struct pair *s, struct prng *r)
{
    int64_t v = (int64_t)prng_u64(r) >> prng_below(r, 64);
    char buf[32];
    int n = snprintf(buf, sizeof(buf), "%lld", (long long)v);
    size_t i = prng_below(r, s->model.n + 1);
    if (i < s->model.n && prng_below(r, 2)) {
        lp_replace_i64(&s->lp, at_of(s, i), v);
        texts_delete(&s->model, i);
    } else {
        lp_insert_i64(&s->lp, at_of(s, i), v);
    }
    texts_insert(&s->model, i, text_new(bytes_of(buf, (size_t)n)));
}

static void do_replace(struct pair *s, struct prng *r)
{
    if (s->model.n == 0)
        return;
    size_t i = prng_below(r, s->model.n);
    struct text t = text_random(r, 50);
    uint8_t *p = lp_replace(&s->lp, at_of(s, i), text_bytes(t));
    cr_assert_eq(p, at_of(s, i));
    texts_delete(&s->model, i);
    texts_insert(&s->model, i, t);
}

static void do_delete(struct pair *s, struct prng *r)
{
    size_t i = prng_below(r, s->model.n + 1);
    uint32_t n = prng_below(r, 3) ? 1 : (uint32_t)prng_below(r, 6);
    uint8_t *p = lp_delete(&s->lp, at_of(s, i), n);
    for (; n > 0 && i < s->model.n; n--)
        texts_delete(&s->model, i);
    cr_assert_eq(p, at_of(s, i));
}

static void do_find(struct pair *s, struct prng *r)
{
    struct text t = text_random(r, 50);
    unsigned skip = (unsigned)prng_below(r, 4);
    size_t from = prng_below(r, s->model.n + 1);
    ptrdiff_t i = texts_find(&s->model, text_bytes(t), from, skip + 1);
    const uint8_t *p = lp_find(at_of(s, from), text_bytes(t), skip);
    if (i < 0)
        cr_assert_null(p);
    else
        cr_assert_eq(p, at_of(s, (size_t)i));
    free(t.p);
}

static void do_split(struct pair *s, struct prng *r)
{
    size_t i = prng_below(r, s->model.n + 1);
    uint8_t *tail = lp_split(&s->lp, at_of(s, i));
    cr_assert_eq(lp_count(s->lp), i);
    cr_assert_eq(lp_count(tail), s->model.n - i);
    lp_append_entries(&s->lp, lp_begin(tail), lp_bytes(tail) - LP_EMPTY, lp_count(tail));
    lp_free(tail);
    uint8_t *copy = lp_copy(s->lp);
    lp_free(s->lp);
    s->lp = copy;
}

static void drop_first(struct pair *s, uint32_t n)
{
    lp_delete(&s->lp, lp_begin(s->lp), n);
    for (; n > 0; n--)
        texts_delete(&s->model, 0);
}

Test(listpack, random_changes_do_what_a_plain_list_does)
{
    static void (*const steps[])(struct pair *,
                                 struct prng *) = { do_insert, do_insert,  do_insert_pair,
                                                    do_number, do_replace, do_delete,
                                                    do_find,   do_find,    do_split };
    size_t used = memory();
    for (unsigned seed = 1; seed <= 30; seed++) {
        struct prng r;
        struct pair s = { .lp = lp_new() };
        prng_init(&r, seed);
        for (int i = 0; i < 400; i++) {
            steps[prng_below(&r, sizeof(steps) / sizeof(*steps))](&s, &r);
            if (s.model.n > 120)
                drop_first(&s, 60);
            check(&s);
        }
        lp_free(s.lp);
        texts_done(&s.model);
    }
    cr_assert_eq(memory(), used);
}

Test(listpack, a_block_takes_no_more_than_its_size_class)
{
    uint8_t *lp = lp_new();
    size_t used = memory() - lp_memory(lp);
    for (int i = 0; i < 300; i++) {
        lp_append(&lp, BYTES("a member"));
        cr_assert_eq(memory() - used, lp_memory(lp));
    }
    cr_assert_geq(lp_memory(lp), lp_bytes(lp));
    while (!lp_is_empty(lp)) {
        lp_delete(&lp, lp_last(lp), 1);
        cr_assert_eq(memory() - used, lp_memory(lp));
    }
    cr_assert_eq(lp_memory(lp), 8);
    lp_free(lp);
}

Test(listpack, limits_of_size_are_known_before_anything_is_added)
{
    uint8_t *lp = lp_new();
    cr_assert(lp_fits(lp, 1000));
    cr_assert_not(lp_fits(lp, LP_MAX));
    cr_assert_not(lp_fits(lp, LP_MAX - LP_EMPTY));
    cr_assert_not(lp_fits(lp, SIZE_MAX));
    cr_assert(lp_fits(lp, LP_MAX - LP_EMPTY - 1));
    lp_free(lp);
}

/* ---- from outside ---- */

static struct bytes unhex(const char *hex, uint8_t *to)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned v;
        cr_assert_eq(sscanf(hex + 2 * i, "%2x", &v), 1);
        to[i] = (uint8_t)v;
    }
    return bytes_of(to, n);
}

Test(listpack, damaged_bytes_are_refused)
{
    static const char *const cases[] = {
        "",
        "0700000000",       /* no room for the header */
        "070000000000fe",   /* no end */
        "080000000000ff",   /* total too large */
        "060000000000ff",   /* too small */
        "080000000000ffff", /* goes on behind the end */
        "070000000100ff",   /* one element too few */
        "090000000000"
        "0101ff", /* one too many */
        "090000000100"
        "0102ff", /* wrong back length */
        "0a0000000100"
        "828003ff", /* string cut by the end */
        "080000000100"
        "c0ff", /* integer cut by the end */
        "0c0000000100"
        "f0ffffffffff", /* length 2^32 - 1 */
        "0d0000000100"
        "f0ff000000"
        "00ff", /* length beyond the block */
        "090000000100"
        "f501ff", /* no such head */
        "090000000100"
        "fe01ff",
        "0a0000000200"
        "ff0001ff", /* an end in the middle */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t buf[64];
        struct lp_facts facts = { .count = 77 };
        struct bytes b = unhex(cases[i], buf);
        uint8_t *exact = malloc(b.n ? b.n : 1); /* a sanitizer sees each byte read too far */
        memcpy(exact, buf, b.n);
        cr_expect_not(lp_validate(bytes_of(exact, b.n), &facts), "case %zu", i);
        cr_expect_eq(facts.count, 77, "untouched on failure");
        free(exact);
    }
}

Test(listpack, elements_in_larger_forms_are_brought_to_the_smallest)
{
    /* 5 as an int16, "12" as a string, "ab" with a 12-bit length, 1 as a 13-bit integer */
    uint8_t buf[64];
    struct lp_facts facts;
    struct bytes b = unhex("19000000ffff"
                           "f1050003"
                           "82313203"
                           "e002616204"
                           "c00102"
                           "0101"
                           "ff",
                           buf);
    buf[0] = (uint8_t)b.n;
    cr_assert(lp_validate(b, &facts));
    cr_assert_not(facts.canonical);
    cr_assert_eq(facts.count, 5);
    uint8_t *lp = lp_from_bytes(b, &facts);
    static const char *const texts[] = { "5", "12", "ab", "1", "1" };
    for (int i = 0; i < 5; i++)
        cr_expect(lp_equals(lp_seek(lp, i), bytes_of_str(texts[i])), "%s", texts[i]);
    cr_assert(lp_validate(bytes_of(lp, lp_bytes(lp)), &facts));
    cr_assert(facts.canonical);
    lp_free(lp);
}

Test(listpack, facts_are_those_of_the_elements)
{
    struct lp_facts facts;
    uint8_t *lp = lp_new();
    cr_assert(lp_validate(bytes_of(lp, lp_bytes(lp)), &facts));
    cr_assert(facts.integers && facts.canonical && facts.count == 0 && facts.text_max == 0);
    lp_append(&lp, BYTES("-1234567"));
    cr_assert(lp_validate(bytes_of(lp, lp_bytes(lp)), &facts));
    cr_assert(facts.integers && facts.text_max == 8);
    lp_append(&lp, BYTES("x"));
    cr_assert(lp_validate(bytes_of(lp, lp_bytes(lp)), &facts));
    cr_assert(!facts.integers && facts.text_max == 8 && facts.count == 2);
    lp_free(lp);
}

Test(listpack, duplicates_are_found_among_every_nth)
{
    uint8_t *lp = lp_new();
    static const char *const texts[] = { "f1", "v", "f2", "v", "f3", "f1" };
    cr_assert_not(lp_has_duplicates(lp, 1));
    for (int i = 0; i < 6; i++)
        lp_append(&lp, bytes_of_str(texts[i]));
    cr_assert(lp_has_duplicates(lp, 1));
    cr_assert_not(lp_has_duplicates(lp, 2));
    lp_append_pair(&lp, BYTES("f2"), BYTES("x"));
    cr_assert(lp_has_duplicates(lp, 2));
    lp_free(lp);
}
