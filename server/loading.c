/* Loading as the node sees it (see loading.h). One load at a time; its slices are run at the end of the turns. */
#include "server/loading.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "common/text.h"
#include "server/info.h"
#include "server/node.h"
#include "server/saving.h"

#define TELL_EVERY_US 5000000 /* the progress, in the log */

struct loading {
    struct node *node;
    struct rdb_loading *load; /* NULL: none */
    struct loading_request req;
    bool stepping;  /* inside of a slice: a cancel waits for its end */
    bool cancelled;
    bool aux_told;
    msec_t started; /* wall */
    usec_t tell_at; /* monotonic */
    uint64_t used_memory_at_start;
    struct blob **functions; /* of the file that is loaded */
    size_t functions_n, functions_cap;
    struct rdb_load_report last;
};

struct loading *loading_new(struct node *node)
{
    struct loading *l = mem_zalloc(sizeof(*l));
    l->node = node;
    l->last.repl_stream_db = -1;
    return l;
}

static void drop_functions(struct loading *l)
{
    for (size_t i = 0; i < l->functions_n; i++)
        blob_unref(l->functions[i]);
    mem_free(l->functions);
    l->functions = NULL;
    l->functions_n = l->functions_cap = 0;
}

void loading_free(struct loading *l)
{
    if (!l)
        return;
    rdb_loading_free(l->load);
    drop_functions(l);
    mem_free(l);
}

enum loading_state loading_state(const struct loading *l)
{
    if (!l->load)
        return LOADING_NONE;
    return l->req.beside ? LOADING_BESIDE : LOADING_BLOCKING;
}

const struct rdb_load_report *loading_last_report(const struct loading *l)
{
    return &l->last;
}

static void set_gates(struct loading *l)
{
    enum loading_state state = loading_state(l);
    node_set_gate(l->node, GATE_LOADING, state == LOADING_BLOCKING);
    node_set_gate(l->node, GATE_LOADING_BESIDE, state == LOADING_BESIDE);
}

static bool keep_function(void *ctx, struct bytes source, char *reason, size_t reason_max)
{
    (void)reason, (void)reason_max;
    struct loading *l = ctx;
    if (l->functions_n == l->functions_cap) {
        l->functions_cap = l->functions_cap ? l->functions_cap * 2 : 8;
        l->functions = mem_realloc(l->functions, l->functions_cap * sizeof(struct blob *));
    }
    struct blob *b = blob_new(source.n, source.n);
    memcpy(b->data, source.p, source.n);
    l->functions[l->functions_n++] = b;
    return true;
}

int loading_begin(struct loading *l, const struct loading_request *req)
{
    if (l->load)
        return -EBUSY;
    const struct options *o = node_options(l->node);
    struct rdb_loading_options lo = {
        .rdb = { .limits = &o->types,
                 .now = clock_wall_us() / 1000,
                 .drop_expired = !req->keep_expired,
                 .function = keep_function,
                 .function_ctx = l,
                 .onto = req->onto,
                 .replace = req->replace },
        .checksum = o->persist.rdbchecksum,
        .beside = req->beside,
        .slice_bytes = (uint64_t)o->persist.loading_process_events_interval_bytes,
        .key_delay_us = o->persist.key_load_delay,
    };
    struct keyspace *ks = node_keyspace(l->node);
    struct rdb_loading *load;
    int r = req->path ? rdb_loading_file(ks, req->path, &lo, &load) : 0;
    if (r < 0)
        return r;
    if (!req->path)
        load = rdb_loading_pushed(ks, &lo);
    l->load = load;
    l->req = *req;
    l->cancelled = l->aux_told = false;
    l->started = clock_wall_us() / 1000;
    l->tell_at = clock_monotonic_us() + TELL_EVERY_US;
    l->used_memory_at_start = mem_used();
    set_gates(l);
    return 0;
}

/* ---- telling ---- */

/* What the file says of itself comes before its first key. */
static void tell_origin(struct loading *l, const struct rdb_load_report *p)
{
    if (l->aux_told || (!p->keys && !p->bytes && !rdb_loading_keys(l->load)))
        return;
    l->aux_told = true;
    if (p->redis_ver[0])
        log_notice("Loading RDB produced by version %s", p->redis_ver);
    if (p->ctime_s) {
        int64_t age = l->started / 1000 - p->ctime_s;
        log_notice("RDB age %" PRId64 " seconds", age > 0 ? age : 0);
    }
    if (p->used_memory)
        log_notice("RDB memory usage when created %.2f Mb", (double)p->used_memory / (1024 * 1024));
}

static uint64_t total_bytes(const struct loading *l)
{
    return l->req.path ? rdb_loading_total_bytes(l->load) : l->req.size;
}

static double percent(const struct loading *l)
{
    uint64_t total = total_bytes(l), done = rdb_loading_bytes(l->load);
    return total ? 100.0 * (double)(done < total ? done : total) / (double)total : 0;
}

static void tell_progress(struct loading *l)
{
    usec_t now = clock_monotonic_us();
    if (now < l->tell_at)
        return;
    l->tell_at = now + TELL_EVERY_US;
    char bytes[TEXT_MEMORY_MAX];
    text_format_memory(bytes, rdb_loading_bytes(l->load));
    log_notice("Loading: %s, %.1f%% of the file, %" PRIu64 " keys so far", bytes, percent(l),
               rdb_loading_keys(l->load));
}

static void tell_failure(const struct loading *l, const struct rdb_load_report *p)
{
    const char *from = l->req.path ? l->req.path : "the stream";
    if (p->key[0])
        log_warning("Internal error in RDB reading offset %" PRIu64 " of %s, key %s: %s", p->error.offset, from,
                    p->key, p->error.reason);
    else
        log_warning("Internal error in RDB reading offset %" PRIu64 " of %s: %s", p->error.offset, from,
                    p->error.reason);
}

static void tell_success(const struct rdb_load_report *p)
{
    if (p->empty)
        log_notice("Done loading RDB, keys loaded: %" PRIu64 ", keys expired: %" PRIu64 ", empty keys skipped: %" PRIu64
                   ".", p->keys, p->expired, p->empty);
    else
        log_notice("Done loading RDB, keys loaded: %" PRIu64 ", keys expired: %" PRIu64 ".", p->keys, p->expired);
}

/* ---- the end ---- */

static void end(struct loading *l)
{
    const struct rdb_load_report *p = rdb_loading_report(l->load);
    bool fine = rdb_loading_state(l->load) == RDB_LOADING_DONE;
    tell_origin(l, p);
    if (fine)
        tell_success(p);
    else
        tell_failure(l, p);
    struct rdb_load_report report = *p;
    struct rdb_loading *load = l->load;
    struct loading_request req = l->req;
    l->load = NULL;
    set_gates(l);
    if (fine) {
        l->last = report;
        saving_take_functions(node_saving(l->node), l->functions, l->functions_n);
        l->functions = NULL;
        l->functions_n = l->functions_cap = 0;
        saving_loaded(node_saving(l->node));
    }
    drop_functions(l);
    rdb_loading_free(load);
    if (req.done)
        req.done(req.ctx, &report);
}

static void give_up(struct loading *l)
{
    struct rdb_loading *load = l->load;
    l->load = NULL;
    set_gates(l);
    rdb_loading_free(load);
    drop_functions(l);
}

void loading_cancel(struct loading *l)
{
    if (l->stepping)
        l->cancelled = true;
    else if (l->load)
        give_up(l);
}

/* After a slice. */
static enum rdb_loading_state went_on(struct loading *l, enum rdb_loading_state state)
{
    if (state == RDB_LOADING_DONE || state == RDB_LOADING_FAILED) {
        end(l);
        return state;
    }
    tell_origin(l, rdb_loading_report(l->load));
    tell_progress(l);
    l->stepping = true;
    if (l->req.slice)
        l->req.slice(l->req.ctx);
    l->stepping = false;
    if (l->cancelled)
        give_up(l);
    return state;
}

bool loading_step(struct loading *l)
{
    if (!l->load || !l->req.path)
        return false;
    (void)went_on(l, rdb_loading_step(l->load));
    return l->load != NULL;
}

enum rdb_loading_state loading_push(struct loading *l, struct bytes b, size_t *ret_used)
{
    ASSERT(l->load && !l->req.path);
    return went_on(l, rdb_loading_push(l->load, b, ret_used));
}

void loading_push_end(struct loading *l)
{
    if (l->load && !l->req.path)
        (void)went_on(l, rdb_loading_push_end(l->load));
}

void loading_finish(struct loading *l)
{
    ASSERT(l->load && l->req.path);
    enum rdb_loading_state state;
    do {
        state = rdb_loading_step(l->load);
    } while (state == RDB_LOADING_MORE);
    end(l);
}

/* ---- INFO ---- */

void loading_info(const struct loading *l, struct buf *b)
{
    if (!l->load)
        return;
    uint64_t total = total_bytes(l), done = rdb_loading_bytes(l->load);
    int64_t elapsed = (clock_wall_us() / 1000 - l->started) / 1000, eta = 1;
    if (done && total > done && elapsed > 0)
        eta = (int64_t)((double)elapsed * (double)(total - done) / (double)done);
    info_line(b, "loading_start_time", "%" PRId64, l->started / 1000);
    info_u64(b, "loading_total_bytes", total);
    info_u64(b, "loading_rdb_used_mem", (uint64_t)rdb_loading_report(l->load)->used_memory);
    info_u64(b, "loading_loaded_bytes", done);
    info_line(b, "loading_loaded_perc", "%.2f", percent(l));
    info_line(b, "loading_eta_seconds", "%" PRId64, eta);
}
