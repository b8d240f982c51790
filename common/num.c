/* Integers as text. See num.h; floating point lives in num_double.c.
 *
 * Printing writes two digits a division from a table, back to front, into the place that
 * num_digits10 says. Parsing needs an overflow check only at the 20th digit, since 19 nines fit in
 * 64 bits. */
#include "common/num.h"

/* Digits from the start of the text, all of it; no sign. */
static bool parse_digits(const char *p, size_t n, uint64_t *ret)
{
    if (n == 0 || n > 20)
        return false;
    if (p[0] == '0') {
        if (n > 1)
            return false;
        *ret = 0;
        return true;
    }
    uint64_t v = 0;
    size_t safe = n < 19 ? n : 19;
    for (size_t i = 0; i < safe; i++) {
        unsigned d = (unsigned char)p[i] - (unsigned)'0';
        if (d > 9)
            return false;
        v = v * 10 + d;
    }
    if (n == 20) {
        unsigned d = (unsigned char)p[19] - (unsigned)'0';
        if (d > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v))
            return false;
    }
    *ret = v;
    return true;
}

bool num_parse_u64(struct bytes s, uint64_t *ret)
{
    return parse_digits(s.p, s.n, ret);
}

bool num_parse_i64(struct bytes s, int64_t *ret)
{
    if (s.n == 0)
        return false;
    bool negative = s.p[0] == '-';
    uint64_t v;
    if (!parse_digits(s.p + negative, s.n - negative, &v))
        return false;
    if (negative) {
        if (v == 0 || v > (uint64_t)INT64_MAX + 1)
            return false;
        *ret = (int64_t)-v;
        return true;
    }
    if (v > INT64_MAX)
        return false;
    *ret = (int64_t)v;
    return true;
}

static const char two_digits[200] = {
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899"
};

size_t num_format_u64(char *dst, uint64_t v)
{
    unsigned n = num_digits10(v);
    char *p = dst + n;
    while (v >= 100) {
        p -= 2;
        memcpy(p, two_digits + v % 100 * 2, 2);
        v /= 100;
    }
    if (v >= 10)
        memcpy(p - 2, two_digits + v * 2, 2);
    else
        p[-1] = (char)('0' + v);
    return n;
}

size_t num_format_i64(char *dst, int64_t v)
{
    if (v >= 0)
        return num_format_u64(dst, (uint64_t)v);
    *dst = '-';
    return 1 + num_format_u64(dst + 1, -(uint64_t)v);
}
