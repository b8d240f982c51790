/* Floating point as text. The expected texts are replies of servers that speak the 7.2 format. */
#include "common/num.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/prng.h"

static const char *format(double v)
{
    static char text[NUM_DOUBLE_MAX + 1];
    size_t n = num_format_double(text, v);
    cr_assert_leq(n, NUM_DOUBLE_MAX);
    text[n] = '\0';
    return text;
}

Test(num_double, doubles_print_as_in_replies)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        { 0.0, "0" },
        { -0.0, "-0" },
        { 1, "1" },
        { -1, "-1" },
        { 0.1, "0.1" },
        { 0.5, "0.5" },
        { 3.14159, "3.14159" },
        { 123.456, "123.456" },
        { 1e-4, "0.0001" },
        { 1e-5, "0.00001" },
        { 1e-6, "0.000001" },
        { 1e-7, "1e-7" },
        { 1.5e-7, "1.5e-7" },
        { 1.234e-6, "1.234e-6" },
        { 1.23456789e-5, "1.23456789e-5" },
        { 0.00012345678901234567, "1.2345678901234567e-4" },
        { 0.0012345678901234567, "0.0012345678901234567" },
        { 1e15, "1000000000000000" },
        { 1e18, "1000000000000000000" },
        { 4611686018427387904.0, "4611686018427387904" },
        { 1e19, "1e+19" },
        { 1.5e21, "1.5e+21" },
        { 9223372036854775807.0, "9223372036854776000" },
        { -9223372036854775808.0, "-9223372036854776000" },
        { 18446744073709551616.0, "18446744073709552000" },
        { 12345678901234567000.0, "12345678901234567000" },
        { 1.2345678901234567e20, "123456789012345670000" },
        { 1.2345678901234567e22, "12345678901234568000000" },
        { 1.2345678901234567e24, "1.2345678901234568e+24" },
        { 1234567.125, "1234567.125" },
        { 5e-324, "5e-324" },
        { 1e-320, "1e-320" },
        { 1e-300, "1e-300" },
        { 1e100, "1e+100" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" },
        { 2.2250738585072014e-308, "2.2250738585072014e-308" },
        { INFINITY, "inf" },
        { -INFINITY, "-inf" },
        { NAN, "nan" },
        { -NAN, "nan" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_str_eq(format(cases[i].v), cases[i].text);
}

static void check_round_trip(double v)
{
    const char *text = format(v);
    cr_assert_eq(strtod(text, NULL), v, "%.17g as %s", v, text);
    double back;
    cr_assert(num_parse_double(bytes_of_str(text), &back));
    cr_assert_eq(back, v);
}

Test(num_double, every_printed_double_reads_back_the_same)
{
    struct prng r;
    prng_init(&r, 1);
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = prng_u64(&r);
        double v;
        memcpy(&v, &bits, sizeof v);
        if (isfinite(v))
            check_round_trip(v);
        check_round_trip((double)(int64_t)prng_below(&r, 1000000) / 1000.0);
        check_round_trip(ldexp(prng_double(&r) - 0.5, (int)prng_below(&r, 90) - 20));
    }
    for (int e = -1074; e < 1024; e++) {
        check_round_trip(ldexp(1, e));
        check_round_trip(nextafter(ldexp(1, e), 0));
        check_round_trip(nextafter(ldexp(1, e), INFINITY)); /* finite: 2^1023 is not the largest */
    }
}

Test(num_double, printed_doubles_are_hardly_ever_longer_than_needed)
{
    struct prng r;
    prng_init(&r, 2);
    int longer = 0;
    for (int i = 0; i < 50000; i++) {
        double v = prng_double(&r) + 0.1;
        char shorter[40];
        for (int precision = 1; precision <= 17; precision++) {
            snprintf(shorter, sizeof shorter, "%.*g", precision, v);
            if (strtod(shorter, NULL) == v)
                break;
        }
        longer += strlen(format(v)) > strlen(shorter);
    }
    cr_assert_lt(longer, 250, "%d of 50000", longer);
}

struct parse_case {
    const char *text;
    bool ok;
    double value;
};

static const struct parse_case parse_cases[] = {
    { "0", true, 0 },
    { "1", true, 1 },
    { "-1", true, -1 },
    { "+5", true, 5 },
    { ".5", true, 0.5 },
    { "5.", true, 5 },
    { "-.5e-3", true, -0.0005 },
    { "0.1", true, 0.1 },
    { "3.14159", true, 3.14159 },
    { "00012", true, 12 },
    { "1e3", true, 1000 },
    { "1E+3", true, 1000 },
    { "123456789012345678", true, 123456789012345678.0 },
    { "9007199254740993", true, 9007199254740992.0 },
    { "0.30000000000000004", true, 0.30000000000000004 },
    { "1e308", true, 1e308 },
    { "1e-320", true, 1e-320 },
    { "5e-324", true, 5e-324 },
    { "inf", true, INFINITY },
    { "+inf", true, INFINITY },
    { "-inf", true, -INFINITY },
    { "InFiNiTy", true, INFINITY },
    { "-infinity", true, -INFINITY },
    { "0x10", true, 16 },
    { "0x1.8p1", true, 3 },
    { "0e400", true, 0 },
    { "", false, 0 },
    { " 1", false, 0 },
    { "\t1", false, 0 },
    { "1 ", false, 0 },
    { "nan", false, 0 },
    { "-nan", false, 0 },
    { "nan(1)", false, 0 },
    { "infinit", false, 0 },
    { "1e400", false, 0 },
    { "-1e400", false, 0 },
    { "1e-400", false, 0 },
    { "0x", false, 0 },
    { "1e", false, 0 },
    { "1e+", false, 0 },
    { ".", false, 0 },
    { "-", false, 0 },
    { "-.", false, 0 },
    { "--1", false, 0 },
    { "1..2", false, 0 },
    { "1.2.3", false, 0 },
    { "1,5", false, 0 },
    { "1f", false, 0 },
    { "1_0", false, 0 },
    { "abc", false, 0 },
};

Test(num_double, reading_takes_what_redis_takes)
{
    for (size_t i = 0; i < sizeof parse_cases / sizeof *parse_cases; i++) {
        const struct parse_case *c = &parse_cases[i];
        double v = 77;
        bool ok = num_parse_double(bytes_of_str(c->text), &v);
        cr_assert_eq(ok, c->ok, "\"%s\"", c->text);
        cr_assert_eq(v, ok ? c->value : 77, "\"%s\"", c->text);
    }
    double v;
    cr_assert_not(num_parse_double(bytes_of("1\0", 2), &v));
    cr_assert(num_parse_double(bytes_of("1.25e7", 4), &v));
    cr_assert_eq(v, 1.25, "only what is in the slice");
    cr_assert(num_parse_double(BYTES("-0"), &v));
    cr_assert(signbit(v));
}

Test(num_double, the_short_cut_gives_what_strtod_gives)
{
    struct prng r;
    prng_init(&r, 3);
    for (int i = 0; i < 200000; i++) {
        char text[64];
        uint64_t v = prng_u64(&r) >> prng_below(&r, 64);
        int n = snprintf(text, sizeof text, "%s%llu.%0*llu", prng_below(&r, 2) ? "-" : "",
                         (unsigned long long)v, (int)prng_below(&r, 12) + 1,
                         (unsigned long long)prng_below(&r, 1000));
        double got;
        cr_assert(num_parse_double(bytes_of(text, (size_t)n), &got));
        cr_assert_eq(got, strtod(text, NULL), "%s", text);
    }
}

Test(num_double, long_texts_are_read_whole)
{
    size_t n = 100000;
    char *text = mem_alloc(n + 1);
    memset(text, '0', n);
    text[n - 1] = '7';
    double v;
    cr_assert(num_parse_double(bytes_of(text, n), &v));
    cr_assert_eq(v, 7);
    text[1] = 'x';
    text[2] = 'y';
    cr_assert_not(num_parse_double(bytes_of(text, n), &v));
    mem_free(text);
}

/* ---- long doubles ---- */

static const char *add(const char *text)
{
    static char out[NUM_LONG_DOUBLE_MAX + 1];
    long double v;
    if (!num_parse_long_double(bytes_of_str(text), &v))
        return "refused";
    out[num_format_long_double(out, v)] = '\0';
    return out;
}

Test(num_double, long_doubles_read_and_print_as_incrbyfloat_does)
{
    static const char *const cases[][2] = {
        { "0", "0" },
        { "-0", "0" },
        { "-0.0", "0" },
        { "3.0e3", "3000" },
        { "10.50", "10.5" },
        { "1.23", "1.23" },
        { "0.1", "0.1" },
        { "1e-17", "0.00000000000000001" },
        { "4e-18", "0" },
        { "-4e-18", "0" },
        { "-1e-30", "0" },
        { "1e-4000", "0" },
        { "100", "100" },
        { "1000", "1000" },
        { "0x1p4", "16" },
        { "1e20", "100000000000000000000" },
        { "inf", "inf" },
        { "-Infinity", "-inf" },
        { "nan", "refused" },
        { "1e5000", "refused" },
        { "1e-5000", "refused" },
        { " 1", "refused" },
        { "1 ", "refused" },
        { "", "refused" },
        { "1e", "refused" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_str_eq(add(cases[i][0]), cases[i][1], "\"%s\" gave %s", cases[i][0],
                         add(cases[i][0]));
    cr_assert_eq(strlen(add("1e4932")), 4933);
}

Test(num_double, long_doubles_have_a_longest_text)
{
    char text[NUM_LONG_DOUBLE_MAX];
    memset(text, '0', sizeof text);
    long double v;
    text[sizeof text - 2] = '5';
    cr_assert(num_parse_long_double(bytes_of(text, sizeof text - 1), &v));
    cr_assert_eq(v, 5);
    cr_assert_not(num_parse_long_double(bytes_of(text, sizeof text), &v));
}
