/* Hashes: a listpack of fields and values in turn while small, else a table (members.h). It becomes
 * a table as Redis 7.2's does, at the limits given, and never goes back.
 *
 * Verbs take the hash as a value_ref (see value.h); those that only read, by value. */
#pragma once

#include "common/blob.h"
#include "common/prng.h"
#include "server/types/limits.h"
#include "server/types/listpack.h"
#include "server/types/members.h"
#include "server/types/value.h"

#define HASH_BLOB_MIN 4096 /* bytes: in a table, values from here on have a blob of their own */

extern const struct value_ops hash_value_ops;

struct value_ref hash_new(void); /* empty, a listpack */
void hash_free(struct value_ref);

uint64_t hash_count(struct value_ref); /* fields */
bool hash_get(struct value_ref, struct bytes field, struct element *ret_value);

/* Sets a field; true: it is a new one. `shared`, unless NULL, is the blob that holds the value
 * whole: a reference to it may be kept instead of a copy. The bytes may not lie in the hash. */
bool hash_set(struct value_ref *, struct bytes field, struct bytes value, struct blob *shared,
              const struct types_limits *);
/* Before the first of several are set: fields and values in turn, n of them. Becomes a table at
 * once if one is too long or they are too many. */
void hash_expect(struct value_ref *, const struct bytes *fields_values, size_t n,
                 const struct types_limits *);
bool hash_delete(struct value_ref *, struct bytes field); /* true: it was there */

/* ---- walking: every field once; the hash may not change meanwhile ---- */
struct hash_walk {
    struct value_ref hash;
    union {
        const uint8_t *p;
        struct members_walk members;
    };
};
void hash_walk_begin(struct hash_walk *, struct value_ref);
/* False: done. */
bool hash_walk_next(struct hash_walk *, struct element *ret_field, struct element *ret_value);

typedef void hash_visit(void *ctx, const struct element *field, const struct element *value);

/* Cursor walk with the promises of table_scan. Small hashes are visited whole. */
uint64_t hash_scan(struct value_ref, uint64_t cursor, hash_visit *, void *ctx);

/* ---- choosing ---- */
/* The hash may not be empty (asserted). */
void hash_random(struct value_ref, struct prng *, struct element *ret_field,
                 struct element *ret_value);
/* k different fields, each choice equally likely; k <= count. */
void hash_pick(struct value_ref, uint64_t k, struct prng *, hash_visit *, void *ctx);

/* From outside (DUMP payloads): checked whole, then brought to the encoding that the limits ask
 * for. */
bool hash_load_listpack(struct bytes, const struct types_limits *, struct value_ref *ret_hash);
