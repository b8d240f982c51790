/* The memory of flat collections (listpack, intset): one block whose size its own header tells, so
 * that small ones can come from the slabs (classes of 8 bytes, nothing in front) and large ones
 * from the allocator. Blocks are exact: growing by an element costs a move only when the class
 * changes. */
#pragma once

#include <stdbool.h>

#include "common/alloc.h"
#include "common/sanitize.h"
#include "common/slab.h"

static inline void *block_new(size_t n)
{
    return slab_alloc(n);
}

static inline void block_free(void *p, size_t n)
{
    slab_free(p, n);
}

/* Bytes that a block of n bytes really takes. */
static inline size_t block_memory(size_t n)
{
    return n <= SLAB_MAX ? slab_good_size(n) : mem_good_size(n);
}

/* Whether a block may change between the two sizes where it is. (Under ASan blocks are exact, so
 * that it sees each byte too many.) */
static inline bool block_same_class(size_t a, size_t b)
{
    if (WITH_ASAN)
        return a == b;
    if (a <= SLAB_MAX && b <= SLAB_MAX)
        return slab_good_size(a) == slab_good_size(b);
    return a > SLAB_MAX && b > SLAB_MAX && mem_good_size(a) == mem_good_size(b);
}

void *block_move(void *p, size_t from, size_t to); /* the slow way of block_resize */

/* Gives a block of `from` bytes the size `to`; the bytes that both sizes have are kept. */
static inline void *block_resize(void *p, size_t from, size_t to)
{
    return block_same_class(from, to) ? p : block_move(p, from, to);
}
