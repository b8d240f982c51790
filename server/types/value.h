/* Kinds and encodings of values, shared by the keyspace, the types and the commands.
 *
 * Names are Redis' names as TYPE and OBJECT ENCODING print them. The encoding is what Redis would report for such a
 * value; the structures behind the names are ours. */
#pragma once

#include <stdint.h>

#include "common/num.h"

enum value_type {
    TYPE_STRING,
    TYPE_LIST,
    TYPE_SET,
    TYPE_ZSET,
    TYPE_HASH,
    TYPE_STREAM,
    TYPES_N,
};

enum value_encoding {
    ENC_RAW,    /* string: bytes, as APPEND and SETRANGE leave them, or longer than ENC_EMBSTR_MAX */
    ENC_INT,    /* string: a canonical 64-bit integer, kept as such */
    ENC_EMBSTR, /* string: short bytes */
    ENC_LISTPACK,
    ENC_QUICKLIST,
    ENC_INTSET,
    ENC_HASHTABLE,
    ENC_SKIPLIST,
    ENC_STREAM,
    ENCODINGS_N,
};

#define ENC_EMBSTR_MAX 44 /* bytes: Redis reports longer strings as raw */

const char *value_type_name(enum value_type);         /* "string", "list", ... "stream" */
const char *value_encoding_name(enum value_encoding); /* "int", "embstr", "raw", "listpack", ... */

/* ---- a collection in the hands of a verb ----
 *
 * A collection is an object and its encoding, and an operation may change both: a listpack grows and moves, a set
 * becomes a hash table. So verbs of all types (hash_*, set_*, zset_*, list_*, stream_*) take the pair: those that only
 * read by value, those that change through a pointer. Who keeps it (an entry of the keyspace) loads it before and
 * stores it after:
 *
 *     struct value_ref set = ref_of(e);             (server/commands/collection.h)
 *     bool added = set_add(&set, member, c->limits);
 *     ref_store(e, set);                            (does nothing when neither has changed)
 *
 * Verbs never free the last of it: a collection that became empty is still an object, which the caller deletes. */
struct value_ref {
    void *object;
    enum value_encoding enc;
};

/* An element on its way out of a collection: bytes, borrowed until the collection changes, or (s.p NULL) an integer. */
struct blob;
struct element {
    struct bytes s;
    int64_t i;
    struct blob *blob; /* the blob that holds s whole, or NULL; borrowed */
};
#define ELEMENT_SCRATCH 24
/* Its text; integers are printed into `scratch`. */
static inline struct bytes element_text(const struct element *e, char scratch[ELEMENT_SCRATCH])
{
    return e->s.p ? e->s : bytes_of(scratch, num_format_i64(scratch, e->i));
}
/* Its value when it is an integer, kept as one or as canonical text. */
static inline bool element_i64(const struct element *e, int64_t *ret_v)
{
    if (e->s.p)
        return num_parse_i64(e->s, ret_v);
    *ret_v = e->i;
    return true;
}

/* What the keyspace and the commands need to do with any collection, by type. Each type's file defines one. */
struct value_ops {
    void (*free)(void *object, enum value_encoding);
    /* Frees a part, at most about `effort` elements. True when the object is gone. */
    int (*free_some)(void *object, enum value_encoding, unsigned effort);
    void *(*copy)(const void *object, enum value_encoding);
    uint64_t (*elements)(const void *object, enum value_encoding);
    /* Bytes of memory, estimated from `samples` elements (0 = all). */
    uint64_t (*memory)(const void *object, enum value_encoding, uint64_t samples);
    /* 160 bits that are equal exactly for equal contents, whatever the encoding and the order of unordered elements. */
    void (*digest)(const void *object, enum value_encoding, unsigned char ret_bits[20]);
};

/* NULL for strings. Filled by types/value.c from the types that exist. */
const struct value_ops *value_ops(enum value_type);
