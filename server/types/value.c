/* Names of types and encodings, and the register of what each collection type can do (see value.h). */
#include "server/types/value.h"

#include <stddef.h>

#include "common/assert.h"
#include "server/types/hash.h"
#include "server/types/list.h"
#include "server/types/set.h"
#include "server/types/stream.h"
#include "server/types/zset.h"

static const char *const type_names[TYPES_N] = {
    [TYPE_STRING] = "string", [TYPE_LIST] = "list", [TYPE_SET] = "set",
    [TYPE_ZSET] = "zset",     [TYPE_HASH] = "hash", [TYPE_STREAM] = "stream",
};

static const char *const encoding_names[ENCODINGS_N] = {
    [ENC_RAW] = "raw",
    [ENC_INT] = "int",
    [ENC_EMBSTR] = "embstr",
    [ENC_LISTPACK] = "listpack",
    [ENC_QUICKLIST] = "quicklist",
    [ENC_INTSET] = "intset",
    [ENC_HASHTABLE] = "hashtable",
    [ENC_SKIPLIST] = "skiplist",
    [ENC_STREAM] = "stream",
};

/* One line per collection type that exists: [TYPE_LIST] = &list_ops, ... */
static const struct value_ops *const all_ops[TYPES_N] = {
    [TYPE_STRING] = NULL,
    [TYPE_LIST] = &list_value_ops,
    [TYPE_SET] = &set_value_ops,
    [TYPE_ZSET] = &zset_value_ops,
    [TYPE_HASH] = &hash_value_ops,
    [TYPE_STREAM] = &stream_value_ops,
};

const char *value_type_name(enum value_type type)
{
    ASSERT((unsigned)type < TYPES_N);
    return type_names[type];
}

const char *value_encoding_name(enum value_encoding encoding)
{
    ASSERT((unsigned)encoding < ENCODINGS_N);
    return encoding_names[encoding];
}

const struct value_ops *value_ops(enum value_type type)
{
    ASSERT((unsigned)type < TYPES_N);
    return all_ops[type];
}
