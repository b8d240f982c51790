/* The node while data are being loaded: at its start, and as a replica. Serves what may be served
 * in between, keeps the figures of INFO, tells the progress in the log.
 *
 *     none -- loading_begin --> blocking (all but few commands answer -LOADING) --> done --> none
 *                          \--> beside   (the old data are read meanwhile)       -/
 */
#pragma once

#include "server/persist/rdb_loading.h"

struct buf;
struct node;
struct loading;

enum loading_state { LOADING_NONE, LOADING_BLOCKING, LOADING_BESIDE };

struct loading_request {
    const char *path;  /* NULL: bytes come by loading_push */
    uint64_t size;     /* of pushed bytes, 0 = not known (for the figures) */
    bool beside;       /* swapdb: see rdb_loading.h. Else the keyspace must be empty */
    bool keep_expired; /* a replica: the master's DEL will come */
    bool onto, replace; /* DEBUG RELOAD: see rdb_load.h */
    /* Called once, between turns, also after a failure (report->error); not after loading_cancel. */
    void (*done)(void *ctx, const struct rdb_load_report *);
    void (*slice)(void *ctx); /* after every slice, may be NULL. May cancel */
    void *ctx;
};

struct loading *loading_new(struct node *);
void loading_free(struct loading *);

/* 0, -EBUSY, or -errno of opening the file. */
int loading_begin(struct loading *, const struct loading_request *);
/* *ret_used as of rdb_loading_push; RDB_LOADING_DONE and _FAILED: `done` has been called. */
enum rdb_loading_state loading_push(struct loading *, struct bytes, size_t *ret_used);
void loading_push_end(struct loading *);
void loading_cancel(struct loading *);
/* The same to the end at once, for a file; nobody is served. `done` is called before it returns. */
void loading_finish(struct loading *);

enum loading_state loading_state(const struct loading *);
bool loading_step(struct loading *); /* before_wait: true when there is more to do now */

/* Of the last file that was loaded whole: what it says of replication (has_replication, repl_id,
 * repl_offset, repl_stream_db), and how many keys. All zero when there was none. */
const struct rdb_load_report *loading_last_report(const struct loading *);
void loading_info(const struct loading *, struct buf *); /* loading_* fields while loading */
