/* Sets: an intset while all members are integers and few, a listpack while small, else a table
 * (members.h). The encodings change as Redis 7.2's do, at the limits given, and never back.
 *
 * Verbs take the set as a value_ref (see value.h); those that only read, by value. */
#pragma once

#include "common/prng.h"
#include "server/types/limits.h"
#include "server/types/listpack.h"
#include "server/types/members.h"
#include "server/types/value.h"

extern const struct value_ops set_value_ops;

struct value_ref set_new(void); /* empty, an intset */
/* Empty, in the encoding in which Redis begins when `first` is the first of n members to come. */
struct value_ref set_new_for(struct bytes first, uint64_t n, const struct types_limits *);
/* Empty, for a result of which is known that it will have at least n members: a table at once if it
 * would become one. */
struct value_ref set_new_large(uint64_t n, const struct types_limits *);
void set_free(struct value_ref);

uint64_t set_count(struct value_ref);
bool set_has(struct value_ref, struct bytes member);
bool set_has_element(struct value_ref, const struct element *member);
/* True when it was not there. */
bool set_add(struct value_ref *, struct bytes member, const struct types_limits *);
/* True when it was there. */
bool set_remove(struct value_ref *, struct bytes member);
/* Before n members are added by one command: more than the encoding may have make it a table at
 * once. */
void set_expect(struct value_ref *, uint64_t n, const struct types_limits *);
/* Becomes an intset if it may be one: what SINTERSTORE does with its result. */
void set_settle(struct value_ref *, const struct types_limits *);

/* ---- walking: every member once; the set may not change meanwhile ---- */
struct set_walk {
    struct value_ref set;
    union {
        uint32_t index;
        const uint8_t *p;
        struct members_walk members;
    };
};
void set_walk_begin(struct set_walk *, struct value_ref);
bool set_walk_next(struct set_walk *, struct element *ret_member); /* false: done */

/* Cursor walk with the promises of table_scan. Small sets are visited whole. */
uint64_t set_scan(struct value_ref, uint64_t cursor,
                  void (*visit)(void *ctx, const struct element *member), void *ctx);

/* ---- choosing ---- */
/* The set may not be empty (asserted). */
void set_random(struct value_ref, struct prng *, struct element *ret_member);
/* k different members, each choice equally likely; k <= count. */
void set_pick(struct value_ref, uint64_t k, struct prng *,
              void (*visit)(void *ctx, const struct element *member), void *ctx);

/* ---- many members at once, for the algebra of sets: their cache misses overlap ---- */
#define SET_BATCH        32
#define SET_BATCH_ALL(b) ((b)->n == SET_BATCH ? UINT32_MAX : (1u << (b)->n) - 1)
struct set_batch {
    unsigned n;
    bool hashed;
    struct bytes text[SET_BATCH]; /* set with the hashes */
    uint64_t hash[SET_BATCH];
    struct element member[SET_BATCH];
    char scratch[SET_BATCH][ELEMENT_SCRATCH];
};
bool set_walk_batch(struct set_walk *, struct set_batch *); /* false: done, n is 0 */
/* Those of `which` (bits) that are in the set. */
uint32_t set_probe(struct value_ref, struct set_batch *, uint32_t which);
/* Adds those of `which`; gives those that are new. */
uint32_t set_add_batch(struct value_ref *, struct set_batch *, uint32_t which,
                       const struct types_limits *);

/* A set that is made of members known to be different: they are gathered first, so that a table is
 * made in its final size. (One that is filled in the order of another table would grow badly: all
 * of its growth would be at one end.) The members are borrowed until then. Zeroed, it is empty. */
struct gathered {
    struct bytes s; /* s.p NULL: the integer */
    int64_t i;
};
struct set_gather {
    struct gathered *v;
    size_t n, cap;
};
void set_gather_batch(struct set_gather *, const struct set_batch *, uint32_t which);
/* Adds them to `start`, an empty set of the encoding to begin with, which is taken. */
struct value_ref set_gather_done(struct set_gather *, struct value_ref start,
                                 const struct types_limits *);

/* ---- from outside (DUMP payloads): checked whole, then brought to the limits' encoding ---- */
bool set_load_intset(struct bytes, const struct types_limits *, struct value_ref *ret_set);
bool set_load_listpack(struct bytes, const struct types_limits *, struct value_ref *ret_set);
