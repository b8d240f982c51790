/* The numbers of the RDB format (Redis 7.2 writes version 11). Nothing but constants.
 *
 *   "REDIS" 4 digits | aux fields | functions | databases | EOF | CRC64 of all before, little-endian
 *   database: SELECTDB n, RESIZEDB keys expires, then keys: [EXPIRETIME_MS] [FREQ or IDLE] type key value
 *
 *   length    00xxxxxx  01xxxxxx +1  0x80 +4  0x81 +8, all big-endian
 *   string    a length and its bytes, or 11xxxxxx: an integer (0 1 2: 1, 2, 4 bytes), or 3: lengths of the compressed
 *   and of
 *             the plain text, then LZF
 *
 * A DUMP payload is one value: type | value | version, 2 bytes | CRC64, 8 bytes. */
#pragma once

#define RDB_MAGIC       "REDIS"
#define RDB_HEADER      9u /* bytes: magic and version */
#define RDB_VERSION     11 /* of 7.2 */
#define RDB_VERSION_7_0 10 /* the newest that 7.0 can read */
#define RDB_VERSION_MAX 12 /* that we can read, hash-field TTLs apart */
#define RDB_VERSION_MIN                                                                            \
    5 /* older ones have no checksum: a damaged version would switch the check off */
#define RDB_DUMP_FOOTER 10u /* bytes: version and checksum */

enum rdb_opcode {
    RDB_OP_SLOT_INFO = 244,
    RDB_OP_FUNCTION2 = 245,
    RDB_OP_FUNCTION_PRE_GA = 246,
    RDB_OP_MODULE_AUX = 247,
    RDB_OP_IDLE = 248,
    RDB_OP_FREQ = 249,
    RDB_OP_AUX = 250,
    RDB_OP_RESIZEDB = 251,
    RDB_OP_EXPIRETIME_MS = 252,
    RDB_OP_EXPIRETIME = 253,
    RDB_OP_SELECTDB = 254,
    RDB_OP_EOF = 255,
};

enum rdb_type {
    RDB_STRING = 0,
    RDB_LIST = 1,
    RDB_SET = 2,
    RDB_ZSET = 3, /* scores as text */
    RDB_HASH = 4,
    RDB_ZSET_2 = 5, /* scores in binary */
    RDB_MODULE_PRE_GA = 6,
    RDB_MODULE_2 = 7,
    RDB_HASH_ZIPMAP = 9,
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_LIST_QUICKLIST = 14,
    RDB_STREAM_LISTPACKS = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18,
    RDB_STREAM_LISTPACKS_2 = 19,
    RDB_SET_LISTPACK = 20,
    RDB_STREAM_LISTPACKS_3 = 21,
    RDB_HASH_METADATA_PRE_GA = 22,
    RDB_HASH_LISTPACK_EX_PRE_GA = 23,
    RDB_HASH_METADATA = 24,    /* a TTL for each field */
    RDB_HASH_LISTPACK_EX = 25, /* field, value, expiry */
};
#define RDB_TYPE_MAX RDB_HASH_LISTPACK_EX
#define RDB_TYPE_MAX_7_0 RDB_STREAM_LISTPACKS_2 /* the newest that 7.0 can read */

/* First bytes of lengths and strings. */
#define RDB_LEN_14     0x40u
#define RDB_LEN_32     0x80u
#define RDB_LEN_64     0x81u
#define RDB_STR_INT8   0xC0u
#define RDB_STR_INT16  0xC1u
#define RDB_STR_INT32  0xC2u
#define RDB_STR_LZF    0xC3u
#define RDB_LEN_6_MAX  63u
#define RDB_LEN_14_MAX 16383u

#define RDB_INT_TEXT_MAX 11u /* bytes: longer strings are never saved as integers */
#define RDB_LZF_MIN      21u /* bytes: shorter strings are never compressed */
#define RDB_LZF_GAIN     4u  /* bytes that compression must save */

/* Containers of RDB_LIST_QUICKLIST_2. */
#define RDB_NODE_PLAIN  1u
#define RDB_NODE_PACKED 2u

/* Old scores: a length, or one of these. */
#define RDB_SCORE_NAN     253u
#define RDB_SCORE_INF     254u
#define RDB_SCORE_NEG_INF 255u

/* What follows in module data, each a length. */
enum rdb_module_opcode {
    RDB_MODULE_EOF = 0,
    RDB_MODULE_SINT = 1,
    RDB_MODULE_UINT = 2,
    RDB_MODULE_FLOAT = 3,
    RDB_MODULE_DOUBLE = 4,
    RDB_MODULE_STRING = 5,
};
#define RDB_MODULE_NAME 9u /* characters */
