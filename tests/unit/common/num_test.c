/* Integers as text: exactly what Redis accepts, exactly what it prints. */
#include "common/num.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/prng.h"

struct integer_case {
    const char *text;
    bool ok;
    int64_t value;
};

Test(num, signed_integers_are_canonical_or_refused)
{
    static const struct integer_case cases[] = {
        { "0", true, 0 },
        { "1", true, 1 },
        { "-1", true, -1 },
        { "9223372036854775807", true, INT64_MAX },
        { "-9223372036854775808", true, INT64_MIN },
        { "-9223372036854775807", true, -INT64_MAX },
        { "1000000000000000000", true, 1000000000000000000 },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775809", false, 0 },
        { "18446744073709551616", false, 0 },
        { "99999999999999999999", false, 0 },
        { "100000000000000000000", false, 0 },
        { "", false, 0 },
        { "-", false, 0 },
        { "+1", false, 0 },
        { "-0", false, 0 },
        { "00", false, 0 },
        { "01", false, 0 },
        { "-01", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1.0", false, 0 },
        { "1e3", false, 0 },
        { "--1", false, 0 },
        { "0x10", false, 0 },
        { "12a", false, 0 },
        { "/", false, 0 },
        { ":", false, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t v = 77;
        bool ok = num_parse_i64(bytes_of_str(cases[i].text), &v);
        cr_assert_eq(ok, cases[i].ok, "\"%s\"", cases[i].text);
        cr_assert_eq(v, ok ? cases[i].value : 77, "\"%s\" gave %" PRId64, cases[i].text, v);
    }
    int64_t v;
    cr_assert_not(num_parse_i64(bytes_of("1\0", 2), &v));
    cr_assert(num_parse_i64(bytes_of("123", 2), &v));
    cr_assert_eq(v, 12, "only what is in the slice");
}

Test(num, unsigned_integers_have_the_full_range)
{
    uint64_t v = 77;
    cr_assert(num_parse_u64(BYTES("18446744073709551615"), &v));
    cr_assert_eq(v, UINT64_MAX);
    static const char *const refused[] = {
        "18446744073709551616", "18446744073709551620", "28446744073709551615",
        "1844674407370955161a", "-1", "", "00", "+0",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        cr_assert_not(num_parse_u64(bytes_of_str(refused[i]), &v), "%s", refused[i]);
    cr_assert_eq(v, UINT64_MAX, "untouched");
}

static void check_round_trip(int64_t v)
{
    char text[NUM_I64_MAX + 1] = { 0 }, expect[32];
    size_t n = num_format_i64(text, v);
    snprintf(expect, sizeof expect, "%" PRId64, v);
    text[n] = '\0';
    cr_assert_str_eq(text, expect);
    cr_assert_eq(num_len_i64(v), n);
    int64_t back;
    cr_assert(num_parse_i64(bytes_of(text, n), &back));
    cr_assert_eq(back, v);

    n = num_format_u64(text, (uint64_t)v);
    snprintf(expect, sizeof expect, "%" PRIu64, (uint64_t)v);
    text[n] = '\0';
    cr_assert_str_eq(text, expect);
    uint64_t uback;
    cr_assert(num_parse_u64(bytes_of(text, n), &uback));
    cr_assert_eq(uback, (uint64_t)v);
}

Test(num, printing_and_reading_agree)
{
    static const int64_t cases[] = { 0, INT64_MAX, INT64_MIN, -1 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_round_trip(cases[i]);
    int64_t p = 1;
    for (int i = 0; i < 19; i++, p = i < 19 ? p * 10 : p)
        for (int64_t d = -2; d <= 2; d++) {
            check_round_trip(p + d);
            check_round_trip(-(p + d));
        }
    struct prng r;
    prng_init(&r, 1);
    for (int i = 0; i < 100000; i++)
        check_round_trip((int64_t)(prng_u64(&r) >> prng_below(&r, 64)));
}

Test(num, digits_are_counted_at_every_power)
{
    uint64_t p = 1;
    for (unsigned digits = 1; digits < 20; digits++, p *= 10) {
        cr_assert_eq(num_digits10(p), digits);
        cr_assert_eq(num_digits10(p * 10 - 1), digits);
    }
    cr_assert_eq(num_digits10(p), 20);
    cr_assert_eq(num_digits10(UINT64_MAX), 20);
    cr_assert_eq(num_digits10(0), 1);
}
