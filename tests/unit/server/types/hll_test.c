/* HyperLogLog: the bytes are Redis', both encodings agree, and nothing in a string from a client is
 * believed. */
#include "server/types/hll.h"

#include <math.h>

#include "common/num.h"
#include "model.h"

static struct buf hll_of(const char *const *elements, int n)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    hll_new(&b);
    for (int i = 0; i < n; i++)
        hll_raise(&b, hll_place(bytes_of_str(elements[i])), 3000);
    return b;
}

/* Seen from redis-server 7.0.15 and Valkey 8.1 with PFADD and PFDEBUG DECODE. */
Test(hll, elements_go_where_redis_puts_them)
{
    static const char *const one[] = { "a" }, *const five[] = { "a", "b", "c", "d", "e" };
    struct buf text = BUF_INIT(BUF_UNLIMITED), b = hll_of(one, 1);
    hll_decode(buf_bytes(&b), &text);
    cr_expect_str_eq(buf_cstr(&text), "Z:12711 v:2,1 Z:3672");
    buf_done(&b);
    buf_clear(&text);
    b = hll_of(five, 5);
    hll_decode(buf_bytes(&b), &text);
    cr_expect_str_eq(buf_cstr(&text),
                     "Z:7292 v:1,1 Z:1143 v:1,1 Z:4274 v:2,1 Z:2445 v:1,1 Z:622 v:1,1 Z:603");
    buf_done(&b);
    buf_done(&text);
}

Test(hll, runs_of_one_value_are_joined)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED), text = BUF_INIT(BUF_UNLIMITED);
    hll_new(&b);
    for (uint32_t i = 0; i < 6; i++)
        cr_expect_eq(hll_raise(&b, (struct hll_place){ i, 5 }, 3000), HLL_CHANGED);
    hll_decode(buf_bytes(&b), &text);
    cr_expect_str_eq(buf_cstr(&text), "v:5,4 v:5,2 Z:16378");
    cr_expect_eq(hll_raise(&b, (struct hll_place){ 3, 5 }, 3000), HLL_SAME);
    buf_done(&b);
    buf_done(&text);
}

Test(hll, sparse_and_dense_have_the_same_registers)
{
    struct prng r;
    struct buf sparse = BUF_INIT(BUF_UNLIMITED), dense = BUF_INIT(BUF_UNLIMITED);
    uint8_t expected[HLL_REGISTERS] = { 0 }, got[HLL_REGISTERS];
    prng_init(&r, 5);
    hll_new(&sparse);
    hll_new(&dense);
    cr_assert(hll_to_dense(&dense));
    for (int i = 0; i < 6000; i++) {
        struct hll_place p = { (uint32_t)prng_below(&r, HLL_REGISTERS),
                               (uint8_t)(1 + prng_below(&r, 32)) };
        enum hll_set want = expected[p.index] < p.value ? HLL_CHANGED : HLL_SAME;
        cr_assert_eq(hll_raise(&sparse, p, 100000), want);
        cr_assert_eq(hll_raise(&dense, p, 0), want);
        if (want == HLL_CHANGED)
            expected[p.index] = p.value;
        if (i % 500 != 0)
            continue;
        memset(got, 0, sizeof got);
        cr_assert(hll_merge(buf_bytes(&sparse), got));
        cr_assert_eq(memcmp(got, expected, sizeof got), 0);
        memset(got, 0, sizeof got);
        cr_assert(hll_merge(buf_bytes(&dense), got));
        cr_assert_eq(memcmp(got, expected, sizeof got), 0);
    }
    cr_assert_eq(hll_encoding(buf_bytes(&sparse)), HLL_SPARSE);
    cr_assert(hll_to_dense(&sparse));
    cr_expect(bytes_eq(buf_bytes(&sparse), buf_bytes(&dense)));
    buf_done(&sparse);
    buf_done(&dense);
}

Test(hll, it_becomes_dense_when_too_large_or_too_high)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    hll_new(&b);
    hll_raise(&b, (struct hll_place){ 7, 33 }, 3000);
    cr_expect_eq(hll_encoding(buf_bytes(&b)), HLL_DENSE);
    cr_expect_eq(hll_dense_get(b.p, 7), 33);
    hll_new(&b);
    hll_raise(&b, (struct hll_place){ 7, 3 }, HLL_HEADER + 3);
    cr_expect_eq(hll_encoding(buf_bytes(&b)), HLL_DENSE);
    cr_expect_eq(hll_dense_get(b.p, 7), 3);
    hll_dense_raise(b.p, (struct hll_place){ HLL_REGISTERS - 1, 63 });
    cr_expect_eq(hll_dense_get(b.p, HLL_REGISTERS - 1), 63);
    cr_expect_eq(hll_dense_get(b.p, HLL_REGISTERS - 2), 0);
    buf_done(&b);
}

Test(hll, the_count_is_within_three_standard_errors)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    hll_new(&b);
    uint64_t count, next = 1;
    for (uint64_t n = 1; n <= 300000; n++) {
        char text[24];
        hll_raise(&b, hll_place(bytes_of(text, num_format_u64(text, n))), 3000);
        if (n != next)
            continue;
        next *= 3;
        cr_assert(hll_count(buf_bytes(&b), &count));
        cr_expect_leq(fabs((double)count - (double)n), 3 * 0.0081 * (double)n + 1, "%llu",
                      (unsigned long long)n);
    }
    buf_done(&b);
}

Test(hll, the_cached_count_is_kept_until_forgotten)
{
    struct buf b = hll_of(NULL, 0);
    uint64_t count = 1;
    cr_expect(hll_cached(buf_bytes(&b), &count));
    cr_expect_eq(count, 0);
    hll_set_cached(b.p, 12345);
    cr_expect(hll_cached(buf_bytes(&b), &count));
    cr_expect_eq(count, 12345);
    hll_forget_cached(b.p);
    cr_expect_not(hll_cached(buf_bytes(&b), &count));
    buf_done(&b);
}

/* Whatever bytes follow the header: an answer or HLL_CORRUPT, and never a look beyond them (see the
 * sanitizer build). */
Test(hll, arbitrary_bytes_do_no_harm)
{
    struct prng r;
    prng_init(&r, 9);
    unsigned corrupt = 0;
    for (int i = 0; i < 20000; i++) {
        struct buf b = BUF_INIT(BUF_UNLIMITED), text = BUF_INIT(BUF_UNLIMITED);
        uint8_t registers[HLL_REGISTERS] = { 0 };
        uint64_t count, n = prng_below(&r, 40);
        buf_append(&b, BYTES("HYLL\1\0\0\0"
                             "\0\0\0\0\0\0\0\0"));
        for (uint64_t k = 0; k < n; k++)
            buf_append_char(&b, (char)prng_u64(&r));
        cr_assert(hll_is(buf_bytes(&b)));
        bool counts = hll_count(buf_bytes(&b), &count);
        cr_assert_eq(hll_merge(buf_bytes(&b), registers), counts);
        corrupt += !counts;
        hll_decode(buf_bytes(&b), &text);
        for (int k = 0; k < 5; k++)
            hll_raise(
                &b, (struct hll_place){ (uint32_t)prng_below(&r, HLL_REGISTERS), (uint8_t)(1 + k) },
                3000);
        buf_done(&b);
        buf_done(&text);
    }
    cr_expect_gt(corrupt, 10000);
}

Test(hll, strings_that_are_none_are_told)
{
    static const struct {
        struct bytes s;
        bool is;
    } cases[] = {
        { BYTES(""), false },
        { BYTES("HYLL\1\0\0\0\0\0\0\0\0\0\0"), false },
        { BYTES("HYLL\1\0\0\0\0\0\0\0\0\0\0\0"), true },
        { BYTES("HYLL\0\0\0\0\0\0\0\0\0\0\0\0"), false },
        { BYTES("HYLL\2\0\0\0\0\0\0\0\0\0\0\0"), false },
        { BYTES("HYLM\1\0\0\0\0\0\0\0\0\0\0\0"), false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_expect_eq(hll_is(cases[i].s), cases[i].is, "case %zu", i);
}
