/* A borrowed run of bytes: a pointer and a length, never owned, never NUL-terminated by contract.
 *
 * Arguments of commands, parts of buffers and literals all travel as `struct bytes`, by value. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct bytes {
    const char *p;
    size_t n; /* bytes */
};

#define BYTES(literal) ((struct bytes){ "" literal, sizeof(literal) - 1 })

static inline struct bytes bytes_of(const void *p, size_t n)
{
    return (struct bytes){ p, n };
}

static inline struct bytes bytes_of_str(const char *s)
{
    return (struct bytes){ s, strlen(s) };
}

static inline bool bytes_eq(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Equal without regard to the case of ASCII letters. `lit` is a NUL-terminated literal. */
static inline bool bytes_is(struct bytes a, const char *lit)
{
    return a.n == strlen(lit) && strncasecmp(a.p, lit, a.n) == 0;
}

/* memcmp order, the shorter first when one is a prefix of the other: < 0, 0, > 0. */
static inline int bytes_cmp(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int r = n ? memcmp(a.p, b.p, n) : 0;
    return r ? r : (a.n > b.n) - (a.n < b.n);
}
