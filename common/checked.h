/* Arithmetic on sizes that come from outside. Each returns true when the exact result fits and is
 * in *ret; false otherwise, *ret is then untouched. Decoders use these for every sum and product of
 * a length they have read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool checked_add(size_t a, size_t b, size_t *ret)
{
    size_t v;
    if (__builtin_add_overflow(a, b, &v))
        return false;
    *ret = v;
    return true;
}

static inline bool checked_sub(size_t a, size_t b, size_t *ret)
{
    size_t v;
    if (__builtin_sub_overflow(a, b, &v))
        return false;
    *ret = v;
    return true;
}

static inline bool checked_mul(size_t a, size_t b, size_t *ret)
{
    size_t v;
    if (__builtin_mul_overflow(a, b, &v))
        return false;
    *ret = v;
    return true;
}

/* count * size + extra: what a header with an array behind it takes. */
static inline bool checked_array(size_t count, size_t size, size_t extra, size_t *ret)
{
    size_t v;
    return checked_mul(count, size, &v) && checked_add(v, extra, ret);
}

/* [offset, offset + n) lies within [0, size). */
static inline bool checked_range(size_t offset, size_t n, size_t size)
{
    return offset <= size && n <= size - offset;
}

static inline bool checked_size(uint64_t v, size_t max, size_t *ret)
{
    if (v > max)
        return false;
    *ret = (size_t)v;
    return true;
}

static inline bool checked_add_i64(int64_t a, int64_t b, int64_t *ret)
{
    int64_t v;
    if (__builtin_add_overflow(a, b, &v))
        return false;
    *ret = v;
    return true;
}

static inline bool checked_sub_i64(int64_t a, int64_t b, int64_t *ret)
{
    int64_t v;
    if (__builtin_sub_overflow(a, b, &v))
        return false;
    *ret = v;
    return true;
}

static inline bool checked_mul_i64(int64_t a, int64_t b, int64_t *ret)
{
    int64_t v;
    if (__builtin_mul_overflow(a, b, &v))
        return false;
    *ret = v;
    return true;
}
