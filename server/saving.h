/* Keeping the data set on disk: SAVE, BGSAVE, save points, what a failure means, and what is true
 * at shutdown. The part of the node that decides when an image is taken; persist/snapshot.h takes
 * it. */
#pragma once

#include "server/persist/snapshot.h"

struct node;
struct saving;
struct persist_config;

struct saving *saving_new(struct node *);
void saving_free(struct saving *);
struct snapshots *saving_snapshots(struct saving *);
void saving_configured(struct saving *); /* directives have changed */

/* The image file is written now; nobody is served meanwhile. 0 or -errno (logged). -EBUSY: one is
 * under way. */
int saving_now(struct saving *);
/* An image file is begun in the background: 0, -EBUSY (one runs), or -errno of fork (logged).
 * `done` (may be NULL) hears the result once, after the figures of INFO are true. A full sync by
 * file (SNAPSHOT_SYNC) is one too: the file is the ordinary one, and counts as a save. `version` 0:
 * that of rdb-save-version. */
int saving_background(struct saving *, enum snapshot_purpose, int version,
                      void (*done)(void *ctx, const struct snapshot_result *), void *ctx);
/* BGSAVE SCHEDULE: begins as soon as nothing else runs. */
void saving_schedule(struct saving *);
/* What a stream for replicas is to be made with: everything of the request but purpose, filters,
 * output, done. Version 0 as above. Good until the next verb of this header. */
void saving_fill_request(struct saving *, int version, struct snapshot_request *ret);
bool saving_version_is_auto(const struct saving *); /* each replica gets what it can read */

/* Who knows the replication id and offset that go into every image. Returns false when there is
 * nothing to keep. */
void saving_set_identity(struct saving *, bool (*identity)(void *ctx, struct rdb_replication *ret),
                         void *ctx);
/* Libraries of functions that came with loaded data. Nothing can run them yet; they are kept and
 * saved again. Takes the sources and the array. */
void saving_take_functions(struct saving *, struct blob **sources, size_t n);

const char *saving_path(const struct saving *); /* dbfilename */
bool saving_has_points(const struct saving *);
/* Before the process ends: a child is killed; the data are saved if flags (enum shutdown_flags) or
 * save points say so. Negative: they could not be, and there was no SHUTDOWN_FORCE. */
int saving_at_shutdown(struct saving *, unsigned flags);
/* A full sync by file is over, here or at the replica: the file goes if rdb-del-sync-files says so
 * and nothing else asks for it. */
void saving_sync_file_used(struct saving *);
void saving_flushed(struct saving *); /* FLUSHALL: the child is stopped, an empty image written */
void saving_loaded(struct saving *);  /* the data are those of the file: nothing has changed */
void saving_cron(struct saving *);    /* about every 100 ms: save points, what is scheduled */

struct saving_figures {
    uint64_t dirty;      /* changes since the last image */
    msec_t last_save_ms; /* wall */
    bool last_ok;
    int64_t last_took_s; /* -1: none yet */
    int64_t current_s;   /* -1: none runs */
    uint64_t saves;
};
void saving_figures(const struct saving *, struct saving_figures *ret);
