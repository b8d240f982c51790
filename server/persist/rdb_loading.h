/* Loading an RDB file a slice at a time, so that the server answers in between: from a file, or
 * from bytes that somebody pushes (a socket). rdb_load of rdb_load.h does the work, on a stack of
 * its own (common/fiber.h) that rests between the slices, wherever it is, also in the middle of a
 * large value.
 *
 * The data go into the keyspace itself, which must be empty and is empty again after a failure; or
 * beside it
 * (`beside`): the keyspace keeps its data until the new ones are whole, then they are exchanged at
 * once and the old are freed lazily; a failure changes nothing. */
#pragma once

#include "server/io.h"
#include "server/persist/rdb_load.h"

struct rdb_loading;

enum rdb_loading_state {
    RDB_LOADING_MORE,   /* call rdb_loading_step again */
    RDB_LOADING_HUNGRY, /* of pushed bytes: all are used, there have to be more */
    RDB_LOADING_DONE,   /* whole, and in place */
    RDB_LOADING_FAILED, /* the report tells why */
};

struct rdb_loading_options {
    struct rdb_load_options
        rdb;       /* progress is not to be set; pointers are borrowed until the end */
    bool checksum; /* rdbchecksum */
    bool beside;
    uint64_t
        slice_bytes;  /* a slice ends after about so many (loading-process-events-interval-bytes) */
    int key_delay_us; /* key-load-delay: as rdb-key-save-delay */
};

/* 0, or the -errno of opening the file. */
int rdb_loading_file(struct keyspace *, const char *path, const struct rdb_loading_options *,
                     struct rdb_loading **ret);
struct rdb_loading *rdb_loading_pushed(struct keyspace *, const struct rdb_loading_options *);
void rdb_loading_free(struct rdb_loading *); /* at any time: gives up when it is not finished */

/* Of a file: loads a slice. */
enum rdb_loading_state rdb_loading_step(struct rdb_loading *);
/* Takes bytes, loads what they say; *ret_used of them belong to the file (less than b.n only when
 * it ended). */
enum rdb_loading_state rdb_loading_push(struct rdb_loading *, struct bytes b, size_t *ret_used);
/* No more will come: a file that is not whole fails as cut short. */
enum rdb_loading_state rdb_loading_push_end(struct rdb_loading *);

enum rdb_loading_state rdb_loading_state(const struct rdb_loading *);
const struct rdb_load_report *
rdb_loading_report(const struct rdb_loading *);               /* whole when it is finished */
uint64_t rdb_loading_bytes(const struct rdb_loading *);       /* loaded so far */
uint64_t rdb_loading_total_bytes(const struct rdb_loading *); /* of the file; 0: not known */
uint64_t rdb_loading_keys(const struct rdb_loading *);
