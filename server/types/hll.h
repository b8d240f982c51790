/* HyperLogLog: how many different elements were added, in 12 KiB at most, with an error of 0.81 %.
 *
 * The value is a string, byte for byte Redis', so that it may be read and written as one and copied
 * to another server:
 *
 *   "HYLL" | encoding u8 | 3 unused | cached count u64, little-endian; its top bit set: not valid |
 * registers
 *
 * 16384 registers; dense: 6 bits each, from the lowest bit on. Sparse: runs, one after the other,
 *   00nnnnnn            n + 1 registers are 0
 *   01nnnnnn nnnnnnnn   n + 1 registers are 0
 *   1vvvvvnn            n + 1 registers are v + 1
 * Strings come from clients too: whatever they hold, nothing here reads beyond them. */
#pragma once

#include "common/buf.h"
#include "common/bytes.h"

#define HLL_HEADER       16u
#define HLL_REGISTERS    16384u
#define HLL_REGISTER_MAX 63u
#define HLL_DENSE_BYTES  (HLL_HEADER + HLL_REGISTERS * 6 / 8)

enum hll_encoding { HLL_DENSE, HLL_SPARSE };

bool hll_is(struct bytes value); /* it looks like one: header, and the length when dense */
enum hll_encoding hll_encoding(struct bytes value);
void hll_new(struct buf *); /* an empty one, sparse; the buffer should be unlimited */

/* The cached count; false when there is none. */
bool hll_cached(struct bytes value, uint64_t *ret_count);
void hll_set_cached(char *value, uint64_t count);
void hll_forget_cached(char *value);

/* The register of an element and the value that it asks for. */
struct hll_place {
    uint32_t index;
    uint8_t value;
};
struct hll_place hll_place(struct bytes element);

enum hll_set {
    HLL_SAME,    /* the register is as high already */
    HLL_CHANGED, /* nothing is done about the cached count */
    HLL_CORRUPT,
};
/* Raises a register. A sparse one that would be larger than sparse_max bytes, or that cannot hold
 * the value, becomes dense. */
enum hll_set hll_raise(struct buf *, struct hll_place, size_t sparse_max);
enum hll_set hll_dense_raise(char *value, struct hll_place); /* the same in place */
uint8_t hll_dense_get(const char *value, uint32_t index);
bool hll_to_dense(struct buf *); /* false: corrupt, untouched. Nothing to do when dense */

/* Raises each of max[HLL_REGISTERS] to the register of the value. False: corrupt. */
bool hll_merge(struct bytes value, uint8_t *max);
bool hll_count(struct bytes value, uint64_t *ret_count); /* false: corrupt */
uint64_t hll_count_registers(const uint8_t *registers);
/* Appends the runs of a sparse one as PFDEBUG DECODE shows them. */
void hll_decode(struct bytes value, struct buf *text);
