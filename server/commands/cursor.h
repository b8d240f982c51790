/* The cursor argument of SCAN, HSCAN, SSCAN and ZSCAN. */
#pragma once

#include "common/bytes.h"

/* As strtoul reads it, which clients of Redis rely on: a sign, leading zeros, no digits at all for
 * 0, and the text ends at its first NUL byte. */
static inline bool cursor_parse(struct bytes s, uint64_t *ret_cursor)
{
    uint64_t v = 0;
    size_t i = 0;
    s.n = strnlen(s.p, s.n);
    bool negative = s.n && s.p[0] == '-';
    if (negative || (s.n && s.p[0] == '+'))
        i++;
    if (i == s.n && i > 0)
        return false;
    for (; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v))
            return false;
    }
    *ret_cursor = negative ? -v : v;
    return true;
}
