/* The LibLZF format, as compressed strings in RDB files have it: fast, ratio about 2 on text.
 *
 * A control byte below 32 says that control + 1 literal bytes follow. Otherwise its upper three
 * bits are a length, its lower five the upper bits of a distance, whose lower eight follow; length
 * 7 has one more byte of length before that. Copied are length + 2 bytes from distance + 1 bytes
 * back; source and destination may overlap. */
#pragma once

#include "common/bytes.h"

/* Bytes written to dst, or 0 when they would be more than dst_max: then it is not worth it. */
size_t lzf_compress(struct bytes src, char *dst, size_t dst_max);

/* True when src is well-formed and gives exactly n bytes. src may be anything; dst is never
 * overrun. */
bool lzf_decompress(struct bytes src, char *dst, size_t n);
