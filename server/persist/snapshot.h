/* A point-in-time image of the data set, taken while the server goes on: to a file, or as a stream
 * of bytes.
 *
 * How is nobody else's business (today a forked child walks its copy of the memory). One at a time:
 * whoever is refused with -EBUSY waits for `snapshots_on_idle`. The image is that of the moment of
 * snapshot_start.
 *
 *     idle -- snapshot_start --> running --> done(result)   the whole file is in place, or the
 * stream was whole
 *                                   |
 *                                   +-- snapshot_kill, the child dies, the disk is full -->
 * done(failed)
 */
#pragma once

#include "server/io.h"
#include "server/persist/rdb_save.h"

struct snapshots;

enum snapshot_purpose { SNAPSHOT_SAVE, SNAPSHOT_SYNC, SNAPSHOT_AOF };

struct snapshot_result {
    int error;        /* 0, or the -errno of what failed; -EINTR: the child was killed */
    int signo;        /* the signal that ended it, or 0 */
    bool killed;      /* by snapshot_kill: nobody's fault */
    const char *what; /* was under way when it failed ("writing", "renaming"); for the call */
    uint64_t keys, bytes;
    size_t cow_bytes; /* memory that was copied because of it */
    usec_t took_us;
};

struct snapshot_request {
    enum snapshot_purpose purpose;
    const char
        *path; /* the file that is replaced once the new one is whole; NULL: a stream. Copied */
    /* What is saved and how; `saved_key` is not to be set. Pointers are borrowed for the call of
     * snapshot_start. */
    struct rdb_save_options rdb;
    bool incremental_fsync; /* rdb-save-incremental-fsync */
    int key_delay_us;       /* rdb-key-save-delay: negative: a microsecond for that many keys */
    /* Streams: bytes of the image in order, borrowed for the call. snapshot_pause holds them up. */
    void (*output)(void *ctx, struct bytes);
    /* Always called once, between turns, unless snapshot_start failed. A new one may be started
     * from here. */
    void (*done)(void *ctx, const struct snapshot_result *);
    void *ctx;
};

struct snapshot_hooks {
    void (*in_child)(void *ctx,
                     enum snapshot_purpose); /* first thing in the child: title, OOM score, CPUs */
    void (*forked)(void *ctx, usec_t took);  /* in the parent, after each fork */
    void *ctx;
};
struct snapshots *snapshots_new(struct io *, struct keyspace *, const struct snapshot_hooks *);
void snapshots_free(struct snapshots *); /* kills what runs, without `done` */

/* 0; -EBUSY: one is running; or the -errno of fork. Logs only what the child has to say. */
int snapshot_start(struct snapshots *, const struct snapshot_request *);
bool snapshot_running(const struct snapshots *);
enum snapshot_purpose
snapshot_purpose(const struct snapshots *); /* of the one that runs (asserted) */
bool snapshot_is_stream(const struct snapshots *);
int snapshot_pid(const struct snapshots *); /* of the child; 0: none */
void snapshot_pause(struct snapshots *,
                    bool);              /* a stream's reader cannot take more, or can again */
void snapshot_kill(struct snapshots *); /* `done` follows; nothing when none runs */
void snapshot_kill_and_wait(
    struct snapshots *); /* the same, and `done` has been called when it returns */
/* Called after every `done`, until somebody has started the next: first those who asked first. At
 * most 4. */
void snapshots_on_idle(struct snapshots *, void (*idle)(void *ctx), void *ctx);

/* The same image, taken at once: nothing else happens meanwhile. Not while one is running. */
int snapshot_save_now(struct snapshots *, const struct snapshot_request *,
                      struct snapshot_result *ret);

/* Figures, of the one that runs or else the last. */
struct snapshot_progress {
    uint64_t keys, keys_total; /* 0 0 when none runs */
    size_t cow_bytes, cow_peak;
    msec_t cow_at;  /* monotonic ms when cow_bytes was measured */
    msec_t started; /* monotonic ms */
};
void snapshot_progress(const struct snapshots *, struct snapshot_progress *ret);
struct snapshot_figures {
    uint64_t forks;
    usec_t fork_us;                     /* that the last fork held the server up */
    size_t cow_save, cow_sync, cow_aof; /* of the last of each purpose, bytes */
};
const struct snapshot_figures *snapshot_figures(const struct snapshots *);
