/* Keeping the data set on disk: SAVE, BGSAVE, save points, what a failure means, and what is true
 * at shutdown. The part of the node that decides when an image is taken; persist/snapshot.h takes
 * it. */
#pragma once

#include "server/persist/snapshot.h"

struct node;
struct saving;
struct persist_config;

struct saving *saving_new(struct node *, const struct persist_config *);
void saving_free(struct saving *);

/* The image file is written now; nobody is served meanwhile. 0 or -errno (logged). */
int saving_now(struct saving *);
/* An image file is begun in the background: 0, -EBUSY (one runs), or -errno of fork (logged).
 * `done` (may be NULL) hears the result once, after the figures of INFO are true. A full sync by
 * file (SNAPSHOT_SYNC) is one too: the file is the ordinary one, and counts as a save. `version` 0:
 * that of rdb-save-version. */
int saving_background(struct saving *, enum snapshot_purpose, int version,
                      void (*done)(void *ctx, const struct snapshot_result *), void *ctx);
/* BGSAVE SCHEDULE: begins as soon as nothing else runs. */
void saving_schedule(struct saving *);
/* What a stream for replicas is to be made with: everything of snapshot_request.rdb but version and
 * filters. */
void saving_fill_options(struct saving *, struct rdb_save_options *ret);
int saving_default_version(const struct saving *);  /* of rdb-save-version: 10 or 11, auto: 11 */
bool saving_version_is_auto(const struct saving *); /* each replica gets what it can read */

/* Who knows the replication id and offset that go into every image. Returns false when there is
 * nothing to keep. */
void saving_set_identity(struct saving *, bool (*identity)(void *ctx, struct rdb_replication *ret),
                         void *ctx);

const char *saving_path(const struct saving *); /* dbfilename */
bool saving_has_points(const struct saving *);
/* stop-writes-on-bgsave-error, and the last one failed: MISCONF. */
bool saving_refuses_writes(const struct saving *);
void saving_flushed(struct saving *); /* FLUSHALL: the child is stopped, an empty image written */
/* Save points, what is scheduled. Returns when it wants to be asked next (monotonic). */
usec_t saving_cron(struct saving *, usec_t now);

struct saving_figures {
    uint64_t dirty;      /* changes since the last image */
    msec_t last_save_ms; /* wall */
    bool last_ok;
    int64_t last_took_s; /* -1: none yet */
    int64_t current_s;   /* -1: none runs */
    uint64_t saves;
    bool scheduled;
};
void saving_figures(const struct saving *, struct saving_figures *ret);
