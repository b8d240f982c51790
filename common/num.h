/* Numbers as text, both ways, exactly as Redis 7.2 reads and prints them. Nothing here looks at the
 * locale or uses printf, but for long doubles.
 *
 * Parsers take the whole text or refuse it (false; *ret untouched): no spaces, no rest. Formatters
 * write at `dst`, which the caller has made as large as the macro says, and return the number of
 * bytes; no NUL is written. */
#pragma once

#include "common/bytes.h"

#define NUM_I64_MAX 20           /* bytes of "-9223372036854775808" and of "18446744073709551615" */
#define NUM_DOUBLE_MAX 32        /* bytes of any double */
#define NUM_LONG_DOUBLE_MAX 5120 /* bytes of any long double: up to 4933 digits before the point */

/* Canonical decimal only: no '+', no leading zeros, no "-0". */
bool num_parse_i64(struct bytes, int64_t *ret);
bool num_parse_u64(struct bytes, uint64_t *ret);

/* What strtod takes: decimal and hex floats, "inf", "infinity" in any case, each with an optional
 * sign. Refused: NaN, leading spaces, values that are too large, and those that are not zero but
 * become so. */
bool num_parse_double(struct bytes, double *ret);
bool num_parse_long_double(struct bytes, long double *ret); /* < NUM_LONG_DOUBLE_MAX bytes */

size_t num_format_i64(char *dst, int64_t v);
size_t num_format_u64(char *dst, uint64_t v);

/* Short text that reads back as the same double: "0.1", "1e-7", "12345678901234567000", "5e-324",
 * "1e+21", "inf", "nan", "-0". Whole numbers up to 2^62 have all their digits. */
size_t num_format_double(char *dst, double v);

/* The form of INCRBYFLOAT: 17 decimals less trailing zeros, never an exponent, never "-0". */
size_t num_format_long_double(char *dst, long double v);

/* Decimal digits of v: 1 for 0. */
static inline unsigned num_digits10(uint64_t v)
{
    static const uint64_t pow10[20] = {
        0ULL,
        10ULL,
        100ULL,
        1000ULL,
        10000ULL,
        100000ULL,
        1000000ULL,
        10000000ULL,
        100000000ULL,
        1000000000ULL,
        10000000000ULL,
        100000000000ULL,
        1000000000000ULL,
        10000000000000ULL,
        100000000000000ULL,
        1000000000000000ULL,
        10000000000000000ULL,
        100000000000000000ULL,
        1000000000000000000ULL,
        10000000000000000000ULL,
    };
    /* bits * log10(2) is the number of digits or one less */
    unsigned t = (unsigned)(64 - __builtin_clzll(v | 1)) * 1233 >> 12;
    return t + (v >= pow10[t]);
}

/* Bytes num_format_i64 would write. */
static inline unsigned num_len_i64(int64_t v)
{
    return v < 0 ? 1 + num_digits10(-(uint64_t)v) : num_digits10((uint64_t)v);
}
