/* Loading: one value (DUMP payloads), or a whole RDB file of versions 5 to 12.
 *
 * Nothing is believed, and nothing switches that off: lengths, order, counts, duplicates, the insides of flat encodings
 * and of streams, the checksum. What is loaded is brought to the encodings that the limits ask for. */
#pragma once

#include "server/keyspace/keyspace.h"
#include "server/persist/rdb_reader.h"
#include "server/types/limits.h"

/* ---- one value ---- */

/* A value that no key has yet. */
struct rdb_value {
    enum value_type type;
    bool empty; /* a collection without elements: there is no object, and no key can hold it */
    struct value_ref ref; /* collections */
    struct bytes s;       /* strings: of the reader's slot or of the blob */
    struct blob *blob;
};

/* The value behind a type byte (RDB_*). False: the reader tells why, nothing is left behind. */
bool rdb_load_value(struct rdb_reader *, unsigned type, const struct types_limits *,
                    struct rdb_value *ret);
void rdb_value_done(struct rdb_value *); /* frees what it has */
/* Makes an entry of it that is in no database yet (ks_put_made), and takes what it has. Not for empty ones. */
struct entry *rdb_value_make(struct rdb_value *, const struct db *, struct bytes key, msec_t expire);
/* Makes it the value of a key that is not there (asserted for collections) and takes what it has. Not for empty
 * ones. */
struct entry *rdb_value_store(struct rdb_value *, struct db *, struct bytes key, msec_t expire);

/* ---- DUMP payloads ---- */
struct buf;
/* Appends the payload of the entry's value. 0 or -ENOMEM. */
int rdb_dump(const struct entry *, bool compress, struct buf *);
/* The same for a reader of another age: what it holds is of `version` (RDB_VERSION or RDB_VERSION_7_0) at most, and it
 * is marked with the oldest version that can read it. */
int rdb_dump_for(const struct entry *, int version, bool compress, struct buf *);
/* Version and checksum of a payload; *ret_body is what is before them. */
bool rdb_dump_check(struct bytes payload, struct bytes *ret_body);
/* The value that a body holds, which must be nothing else and not empty. ret_error (may be NULL) tells why not. Strings
 * lie in the body, or in a blob. */
bool rdb_dump_load(struct bytes body, const struct types_limits *, struct rdb_value *ret,
                   struct rdb_error *ret_error);

/* ---- a file ---- */

struct rdb_load_options {
    const struct types_limits *limits;
    msec_t now; /* ms since 1970 */
    /* Keys whose time has come are left out: a master's way. Replicas and append-only files keep them. */
    bool drop_expired;
    /* A library of functions. False: it is refused, with a reason in `reason`. NULL: they are skipped and counted. */
    bool (*function)(void *ctx, struct bytes source, char *reason, size_t reason_max);
    void *function_ctx;
    /* The keyspace may have keys already, which stay: those of the file replace them, or are an error. A failure leaves
     * what has been loaded. */
    bool onto, replace;
    /* Called about every progress_bytes; false gives up. May be NULL. */
    bool (*progress)(void *ctx, uint64_t bytes, uint64_t keys);
    uint64_t progress_bytes;
    void *ctx; /* of progress */
};

#define RDB_KEY_SHOWN 96
struct rdb_load_report {
    int version;
    uint64_t keys, expired, empty; /* loaded; dropped as expired; skipped as empty */
    uint64_t functions, functions_skipped;
    uint64_t bytes; /* of the file, up to its end mark and sum: what follows is not ours */
    bool checked;   /* there was a checksum, and it was right */
    /* aux fields, zero where there were none */
    char redis_ver[32];
    int64_t ctime_s, used_memory;
    bool aof_base;
    bool has_replication;
    int repl_stream_db; /* -1 none */
    char repl_id[41];
    int64_t repl_offset;
    /* after a failure */
    struct rdb_error error;
    char key[RDB_KEY_SHOWN]; /* in quotes; "" when it is not about a key */
};

/* Loads a file into a keyspace that is empty (unless `onto`). On a failure the keyspace is empty again, and the report
 * says what was wrong where. The reader (with checksum on) stays the caller's: bytes behind the file may be in it
 * (rdb_reader_rest). */
enum rdb_failure rdb_load(struct rdb_reader *, struct keyspace *, const struct rdb_load_options *,
                          struct rdb_load_report *ret_report);

/* Bytes that were read from the source and not used. */
static inline struct bytes rdb_reader_rest(const struct rdb_reader *r)
{
    return bytes_of(r->buf + r->at, r->end - r->at);
}
