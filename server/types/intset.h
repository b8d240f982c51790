/* A sorted set of integers in one block, byte for byte Redis' intset (it travels in DUMP and RDB as
 * it is).
 *
 *   width u32 (2, 4 or 8 bytes) | count u32 | integers, ascending, signed (little-endian)
 *
 * All have the width that the widest needed when it came; the width never shrinks. Finding is a
 * binary search. */
#pragma once

#include "common/bytes.h"

#define INTSET_HEADER 8u
#define INTSET_MAX    (1u << 30) /* elements, whatever a directive says */

struct intset; /* the block */

struct intset *intset_new(void);
void intset_free(struct intset *); /* NULL is fine */
struct intset *intset_copy(const struct intset *);
uint32_t intset_count(const struct intset *);
size_t intset_bytes(const struct intset *);
size_t intset_memory(const struct intset *);

int64_t intset_at(const struct intset *, uint32_t i); /* the i-th smallest, i < count */
bool intset_has(const struct intset *, int64_t v);
/* True when it was not there. The block may move. */
bool intset_add(struct intset **, int64_t v);
/* True when it was there. */
bool intset_remove(struct intset **, int64_t v);

/* Whether arbitrary bytes are an intset, whole: sizes, order, no duplicates. */
bool intset_validate(struct bytes);
struct intset *intset_from_bytes(struct bytes valid);
