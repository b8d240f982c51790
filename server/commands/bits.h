/* Bits of byte strings, the first bit being the highest of the first byte (as Redis numbers them).
 * Plain functions over memory; all run word by word or wider. */
#pragma once

#include "common/bytes.h"

/* Ones in the whole of it. */
uint64_t bits_count(const void *p, size_t n);
/* Ones in bits [from, to). Reads the bytes that these bits touch only. */
uint64_t bits_count_range(const void *p, uint64_t from, uint64_t to);
/* The first bit in [from, to) that is `bit`, or -1. */
int64_t bits_find(const void *p, uint64_t from, uint64_t to, bool bit);

enum bits_op { BITS_AND, BITS_OR, BITS_XOR, BITS_NOT };
/* Combines the sources, n > 0 of them (one for NOT), into dst, which has room for the longest:
 * shorter ones count as followed by zeros. dst overlaps no source. */
void bits_combine(enum bits_op, char *dst, size_t dst_n, const struct bytes *sources, int n);

/* `bits` (1..64) bits from `offset` on as an unsigned number; what is beyond the end of s is zero.
 */
uint64_t bits_get(struct bytes s, uint64_t offset, unsigned bits);
/* Puts the low `bits` of v there; all bytes concerned must exist. */
void bits_put(char *p, uint64_t offset, unsigned bits, uint64_t v);
