/* When the data set is written to disk (see saving.h).
 *
 * An image counts for the changes that were there when it began: what came later is still to be saved. After a failure
 * the next try of a save point waits RETRY_MS; clients are refused writes meanwhile, if stop-writes-on-bgsave-error. */
#include "server/saving.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "server/apply.h"
#include "server/latency.h"
#include "server/loading.h"
#include "server/loop/process.h"
#include "server/node.h"
#include "server/persist/rdb_format.h"
#include "server/version.h"

#define RETRY_MS 5000

struct saving {
    struct node *node;
    const struct persist_config *config;
    struct snapshots *snapshots;
    bool (*identity)(void *ctx, struct rdb_replication *ret);
    void *identity_ctx;
    struct rdb_replication replication; /* of the request that is made */
    struct blob **functions;
    struct bytes *sources; /* of them */
    size_t functions_n;

    uint64_t saved_dirty; /* the keyspace's count of changes that the last image has */
    msec_t last_save, last_try; /* wall */
    bool last_ok, scheduled;
    int64_t last_took_s;
    uint64_t saves;
    /* the background save under way */
    bool running;
    msec_t started; /* wall */
    uint64_t dirty_at_start;
    void (*done)(void *ctx, const struct snapshot_result *);
    void *done_ctx;
};

static msec_t now_ms(void)
{
    return clock_wall_us() / 1000;
}

static uint64_t total_dirty(const struct saving *s)
{
    return ks_stats(node_keyspace(s->node))->dirty;
}

/* ---- the child's own ---- */

static void be_child(void *ctx, enum snapshot_purpose purpose)
{
    static const char *const names[] = { "ouro-rdb-bgsave", "ouro-rdb-to-slaves", "ouro-aof-rewrite" };
    struct saving *s = ctx;
    struct options *o = node_options(s->node);
    const char *cpus = purpose == SNAPSHOT_AOF ? o->process.aof_rewrite_cpulist : o->process.bgsave_cpulist;
    apply_child_title(s->node, names[purpose]);
    apply_child_oom_score(s->node);
    (void)process_pin(cpus);
}

static void on_forked(void *ctx, usec_t took)
{
    struct saving *s = ctx;
    latency_event(node_latency(s->node), "fork", took / 1000, now_ms());
}

/* ---- parts of a request ---- */

const char *saving_path(const struct saving *s)
{
    return s->config->dbfilename;
}

bool saving_has_points(const struct saving *s)
{
    return s->config->save_n > 0;
}

bool saving_version_is_auto(const struct saving *s)
{
    return s->config->rdb_save_version == RDB_SAVE_AUTO;
}

void saving_set_identity(struct saving *s, bool (*identity)(void *ctx, struct rdb_replication *ret), void *ctx)
{
    s->identity = identity;
    s->identity_ctx = ctx;
}

void saving_fill_request(struct saving *s, int version, struct snapshot_request *ret)
{
    const struct persist_config *c = s->config;
    int usual = c->rdb_save_version == RDB_SAVE_10 ? RDB_VERSION_7_0 : RDB_VERSION;
    *ret = (struct snapshot_request){
        .rdb = { .version = version ? version : usual,
                 .compress = c->rdbcompression,
                 .checksum = c->rdbchecksum,
                 .now = now_ms(),
                 .used_memory = mem_used(),
                 .server_version = BYTES(REDIS_VERSION),
                 .functions = s->sources,
                 .functions_n = s->functions_n },
        .incremental_fsync = c->rdb_save_incremental_fsync,
        .key_delay_us = c->rdb_key_save_delay,
    };
    if (s->identity && s->identity(s->identity_ctx, &s->replication))
        ret->rdb.replication = &s->replication;
}

void saving_take_functions(struct saving *s, struct blob **sources, size_t n)
{
    for (size_t i = 0; i < s->functions_n; i++)
        blob_unref(s->functions[i]);
    mem_free(s->functions);
    mem_free(s->sources);
    s->functions = sources;
    s->functions_n = n;
    s->sources = n ? mem_alloc(n * sizeof(*s->sources)) : NULL;
    for (size_t i = 0; i < n; i++)
        s->sources[i] = blob_bytes(sources[i]);
    if (n)
        log_warning("%zu libraries of functions came with the data. This version cannot run functions: they are kept, "
                    "and saved and sent to replicas with the data.", n);
}

/* ---- saving ---- */

static void note_result(struct saving *s, bool ok)
{
    s->last_ok = ok;
    saving_configured(s);
}

static void note_saved(struct saving *s, uint64_t dirty)
{
    s->saved_dirty = dirty;
    s->last_save = now_ms();
    note_result(s, true);
}

int saving_now(struct saving *s)
{
    if (s->running)
        return -EBUSY;
    struct snapshot_request req;
    struct snapshot_result result;
    saving_fill_request(s, 0, &req);
    req.purpose = SNAPSHOT_SAVE;
    req.path = saving_path(s);
    s->saves++;
    int r = snapshot_save_now(s->snapshots, &req, &result);
    if (r == 0)
        note_saved(s, total_dirty(s));
    return r;
}

static void background_done(void *ctx, const struct snapshot_result *r)
{
    struct saving *s = ctx;
    s->running = false;
    s->last_took_s = (now_ms() - s->started) / 1000;
    if (r->error == 0) {
        log_notice("Background saving terminated with success");
        note_saved(s, s->dirty_at_start);
    } else if (r->signo) {
        log_warning("Background saving terminated by signal %d", r->signo);
        if (!r->killed)
            note_result(s, false);
    } else {
        log_warning("Background saving error");
        note_result(s, false);
    }
    if (s->done)
        s->done(s->done_ctx, r);
}

int saving_background(struct saving *s, enum snapshot_purpose purpose, int version,
                      void (*done)(void *ctx, const struct snapshot_result *), void *ctx)
{
    struct snapshot_request req;
    if (snapshot_running(s->snapshots))
        return -EBUSY;
    saving_fill_request(s, version, &req);
    req.purpose = purpose;
    req.path = saving_path(s);
    req.done = background_done;
    req.ctx = s;
    s->saves++;
    s->last_try = now_ms();
    uint64_t dirty = total_dirty(s);
    int r = snapshot_start(s->snapshots, &req);
    if (r < 0) {
        log_warning("Can't save in background: fork: %s", strerror(-r));
        note_result(s, false);
        return r;
    }
    log_notice("Background saving started by pid %d", snapshot_pid(s->snapshots));
    s->running = true;
    s->scheduled = false;
    s->started = s->last_try;
    s->dirty_at_start = dirty;
    s->done = done;
    s->done_ctx = ctx;
    return 0;
}

void saving_schedule(struct saving *s)
{
    s->scheduled = true;
}

static bool may_try(const struct saving *s)
{
    return s->last_ok || now_ms() - s->last_try > RETRY_MS;
}

static void begin_scheduled(void *ctx)
{
    struct saving *s = ctx;
    if (s->scheduled && may_try(s))
        (void)saving_background(s, SNAPSHOT_SAVE, 0, NULL, NULL);
}

static bool point_is_due(const struct saving *s, const struct save_point *p)
{
    return total_dirty(s) - s->saved_dirty >= (uint64_t)p->changes && now_ms() - s->last_save > p->seconds * 1000;
}

void saving_cron(struct saving *s)
{
    if (snapshot_running(s->snapshots) || loading_state(node_loading(s->node)) != LOADING_NONE)
        return;
    for (int i = 0; i < s->config->save_n && may_try(s); i++) {
        const struct save_point *p = &s->config->save[i];
        if (!point_is_due(s, p))
            continue;
        log_notice("%" PRId64 " changes in %" PRId64 " seconds. Saving...", p->changes, p->seconds);
        (void)saving_background(s, SNAPSHOT_SAVE, 0, NULL, NULL);
        return;
    }
    begin_scheduled(s);
}

/* ---- when data go, or the process ---- */

void saving_sync_file_used(struct saving *s)
{
    if (!s->config->rdb_del_sync_files || saving_has_points(s) || s->running)
        return;
    if (io_unlink(saving_path(s)) == 0)
        log_notice("Removing the RDB file %s used to sync replicas in a persistence-less instance", saving_path(s));
}

void saving_flushed(struct saving *s)
{
    if (s->running)
        snapshot_kill_and_wait(s->snapshots);
    if (saving_has_points(s))
        (void)saving_now(s);
}

void saving_loaded(struct saving *s)
{
    s->saved_dirty = total_dirty(s);
}

int saving_at_shutdown(struct saving *s, unsigned flags)
{
    if (s->running) {
        log_warning("There is a child saving an .rdb. Killing it!");
        snapshot_kill_and_wait(s->snapshots);
    }
    bool wanted = (flags & SHUTDOWN_SAVE) || (saving_has_points(s) && !(flags & SHUTDOWN_NOSAVE));
    if (!wanted)
        return 0;
    log_notice("Saving the final RDB snapshot before exiting.");
    int r = saving_now(s);
    if (r == 0)
        return 0;
    if (flags & SHUTDOWN_FORCE) {
        log_warning("Error trying to save the DB. Exit anyway.");
        return 0;
    }
    log_warning("Error trying to save the DB, can't exit.");
    return r;
}

/* ---- life ---- */

struct saving *saving_new(struct node *node)
{
    struct saving *s = mem_zalloc(sizeof(*s));
    struct snapshot_hooks hooks = { be_child, on_forked, s };
    s->node = node;
    s->config = &node_options(node)->persist;
    s->snapshots = snapshots_new(node_io(node), node_keyspace(node), &hooks);
    s->last_save = now_ms();
    s->last_ok = true;
    s->last_took_s = -1;
    snapshots_on_idle(s->snapshots, begin_scheduled, s);
    return s;
}

void saving_free(struct saving *s)
{
    if (!s)
        return;
    snapshots_free(s->snapshots);
    saving_take_functions(s, NULL, 0);
    mem_free(s);
}

struct snapshots *saving_snapshots(struct saving *s)
{
    return s->snapshots;
}

void saving_configured(struct saving *s)
{
    bool refuse = s->config->stop_writes_on_bgsave_error && saving_has_points(s) && !s->last_ok;
    node_set_gate(s->node, GATE_MISCONF, refuse);
}

void saving_figures(const struct saving *s, struct saving_figures *ret)
{
    *ret = (struct saving_figures){
        .dirty = total_dirty(s) - s->saved_dirty,
        .last_save_ms = s->last_save,
        .last_ok = s->last_ok,
        .last_took_s = s->last_took_s,
        .current_s = s->running ? (now_ms() - s->started) / 1000 : -1,
        .saves = s->saves,
    };
}
