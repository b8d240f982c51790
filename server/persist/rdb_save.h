/* Saving: one value, one key, or all databases as an RDB file, in a stream through a sink (rdb_writer.h).
 *
 * Nothing is copied but what passes through the writer's buffer. The keyspace must not change while it is saved: the
 * caller saves from a forked child, or holds everything else up. Reading it changes nothing, not even access times. */
#pragma once

#include "server/keyspace/keyspace.h"
#include "server/persist/rdb_writer.h"

/* A type of RDB_*, then the value (no key, no expiry): as in files and DUMP payloads. */
unsigned rdb_value_type(const struct rdb_writer *, const struct entry *);
void rdb_save_value(struct rdb_writer *, const struct entry *);
/* A key as in a file: expiry, access history if the policy keeps one, type, key, value. */
void rdb_save_key(struct rdb_writer *, const struct keyspace *, const struct entry *);

/* The identity of the data, as a replica or a restarted master needs it. */
struct rdb_replication {
    int stream_db; /* the database that the stream has selected, or -1 */
    struct bytes id;
    int64_t offset;
};

struct rdb_save_options {
    int version;   /* RDB_VERSION, or RDB_VERSION_7_0 for older readers */
    bool compress; /* rdbcompression */
    bool checksum; /* rdbchecksum; without it the sum is 0, which readers take for none */
    bool aof_base; /* it is the base of an append-only file */
    msec_t now;    /* ms since 1970, for the aux field ctime */
    size_t used_memory;
    struct bytes server_version;               /* "7.2.4" */
    const struct rdb_replication *replication; /* NULL: none to be kept */
    const struct bytes *functions;             /* libraries' sources */
    size_t functions_n;
    bool no_keys, no_functions; /* filters: what is left out */
    /* After each key, with the bytes written so far: for progress, pauses, and to give up (non-zero, which rdb_save
     * returns). May be NULL. */
    int (*saved_key)(void *ctx, uint64_t bytes);
    void *ctx;
};

struct rdb_save_report {
    uint64_t keys, bytes;
};

/* Writes a whole file. 0, or the negative errno of the sink or of saved_key; the sink then has a part of the file,
 * which is good for nothing. ret_report may be NULL. */
int rdb_save(const struct rdb_sink *, struct keyspace *, const struct rdb_save_options *,
             struct rdb_save_report *ret_report);
