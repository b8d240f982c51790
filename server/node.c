/* The node: makes the parts, wires their hooks to each other, and keeps their time (see node.h).
 *
 * The loop calls in here once a turn; everything that has to happen "regularly" hangs off before_wait: exact deadlines
 * (expiry, pause, blocked clients) and a cron of `hz` ticks for what is only statistics and housekeeping. */
#include "server/node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/prng.h"
#include "common/slab.h"
#include "common/text.h"
#include "server/apply.h"
#include "server/blocked.h"
#include "server/client_evict.h"
#include "server/client_input.h"
#include "server/clients.h"
#include "server/dispatch.h"
#include "server/drivers/cluster.h"
#include "server/drivers/replication.h"
#include "server/ending.h"
#include "server/guard.h"
#include "server/latency.h"
#include "server/listeners.h"
#include "server/loading.h"
#include "server/migrate.h"
#include "server/loading.h"
#include "server/monitor.h"
#include "server/multi.h"
#include "server/propagate.h"
#include "server/pubsub.h"
#include "server/saving.h"
#include "server/slowlog.h"
#include "server/stats.h"
#include "server/tracking.h"
#include "server/waiting.h"

struct node {
    struct io *io;
    struct config *config;
    struct options *options;
    struct keyspace *ks;
    struct clients *clients;
    struct dispatch *dispatch;
    struct listeners *listeners;
    struct pubsub *pubsub;
    struct slowlog *slowlog;
    struct latency *latency;
    struct stats *stats;
    struct monitors *monitors;
    struct tracking *tracking;
    struct propagate *propagate;
    struct watch_table *watches;
    struct blocked *blocked;
    struct migrations *migrations;
    struct waiting *waiting;
    struct ending *ending;
    struct replication *replication;
    char run_id[41];
    struct saving *saving;
    struct loading *loading;
    unsigned gates; /* enum node_gate */
    struct cluster_driver *cluster; /* NULL: not in cluster mode */
    msec_t start_ms;
    char **argv;
    char *executable;
    usec_t next_cron;  /* monotonic us */
    uint64_t cron_runs;
    bool cron_paused;  /* DEBUG PAUSE-CRON */
    bool lazy_work;    /* lazy free has more to do */
    usec_t turn_begin; /* monotonic us */
    uint64_t turn_commands;
    volatile int signalled;
    bool stopping;
    int status;    /* of node_run */
    msec_t load_began;
    void (*ready)(void *ctx);
    void *ready_ctx;
};

enum {
    EXPIRE_BUDGET_US = 1000,   /* per turn; scaled by active-expire-effort */
    LAZYFREE_BUDGET_US = 500,
    HOUSEKEEP_BUDGET_US = 500,
};

/* ---- hooks of the keyspace ---- */

static void on_removed(void *ctx, struct db *db, struct bytes key, enum notify_class why)
{
    struct node *n = ctx;
    const struct ks_config *cfg = ks_config(n->ks);
    bool lazy = why == NOTIFY_EXPIRED ? cfg->lazyfree_lazy_expire : cfg->lazyfree_lazy_eviction;
    propagate_removed(n->propagate, db_id(db), key, lazy);
}

static void on_notify(void *ctx, int db, enum notify_class class, const char *event, struct bytes key)
{
    (void)class;
    struct node *n = ctx;
    pubsub_keyspace_event(n->pubsub, ks_config(n->ks)->notify_flags, db, event, key);
    dispatch_retarget(n->dispatch);
}

static void on_touched(void *ctx, struct db *db, struct bytes key)
{
    struct node *n = ctx;
    watch_touched(n->watches, db, key);
    if (__builtin_expect(tracking_active(n->tracking), 0)) {
        const struct call *c = dispatch_current(n->dispatch);
        tracking_touched(n->tracking, db, key, c ? c->client : NULL);
        dispatch_retarget(n->dispatch);
    }
    if (__builtin_expect(blocked_clients(n->blocked) > 0, 0))
        blocked_key_touched(n->blocked, db, key);
    struct guard *guard = dispatch_guard(n->dispatch);
    if (__builtin_expect(guard_keys(guard) > 0, 0))
        guard_touched(guard, key);
}

static void on_flushed_all(void *ctx)
{
    saving_flushed(((struct node *)ctx)->saving);
}

/* ---- upcalls of the loop ---- */

static void *on_opened(void *ctx, struct conn *conn, struct listener *l)
{
    struct node *n = ctx;
    if (n->cluster && cluster_driver_listens(n->cluster, l))
        return cluster_driver_accept(n->cluster, conn);
    return clients_opened(n->clients, conn, l);
}

static void on_input(void *owner, struct bytes in)
{
    client_input(owner, in);
}

static void on_input_placed(void *owner, size_t n)
{
    client_input_placed(owner, n);
}

static void on_closed(void *owner, int err)
{
    client_closed(owner, err);
}

static void on_connected(void *owner, int err)
{
    (void)owner;
    (void)err; /* outgoing connections come with replication */
}

static void on_error_written(void *ctx, struct bytes text)
{
    stats_error(((struct node *)ctx)->stats, text);
}

static void on_execute(void *ctx)
{
    struct node *n = ctx;
    clients_execute(n->clients);
    replication_after_run(n->replication);
}

static void on_after_wait(void *ctx)
{
    struct node *n = ctx;
    n->turn_begin = io_now_monotonic(n->io);
    n->turn_commands = n->stats->commands;
    ks_set_now(n->ks, io_now_wall(n->io) / 1000);
    if (n->cluster)
        cluster_driver_after_wait(n->cluster);
}

/* ---- time ---- */

static void sample_rates(struct node *n, msec_t now)
{
    const struct io_stats *io = io_stats(n->io);
    stats_sample(n->stats, RATE_COMMANDS, n->stats->commands, now);
    stats_sample(n->stats, RATE_BYTES_IN, io->bytes_in, now);
    stats_sample(n->stats, RATE_BYTES_OUT, io->bytes_out, now);
    stats_sample(n->stats, RATE_TURNS, io->turns, now);
    struct repl_view v;
    repl_view(replication_machine(n->replication), now, &v);
    stats_sample(n->stats, RATE_REPL_IN, v.input_bytes, now);
    stats_sample(n->stats, RATE_REPL_OUT, v.output_bytes, now);
}

static void note_peak_memory(struct node *n)
{
    size_t used = mem_used();
    if (used <= n->stats->peak_memory)
        return;
    n->stats->peak_memory = used;
    n->stats->peak_memory_at = io_now_wall(n->io) / 1000;
}

static void cron(struct node *n, usec_t now)
{
    int hz = n->options->process.hz;
    if (n->options->process.dynamic_hz) /* more clients, more ticks: each tick looks at a share of them */
        while (clients_count(n->clients) / (uint64_t)hz > 200 && hz < 500)
            hz *= 2;
    n->next_cron = now + 1000000 / hz;
    if (n->cron_paused)
        return;
    usec_t begin = clock_monotonic_us();
    if (n->cron_runs++ % (uint64_t)(hz >= 10 ? hz / 10 : 1) == 0)
        sample_rates(n, now / 1000);
    note_peak_memory(n);
    clients_cron(n->clients, now / 1000);
    ks_housekeep(n->ks, clock_monotonic_us, HOUSEKEEP_BUDGET_US);
    saving_cron(n->saving);
    n->stats->cron_us_sum += (uint64_t)(clock_monotonic_us() - begin);
}

/* Removes what is due; returns the monotonic time of the next. */
static usec_t expire(struct node *n, usec_t now)
{
    if (dispatch_paused(n->dispatch) != PAUSE_NONE || loading_state(n->loading) != LOADING_NONE)
        return INT64_MAX;
    usec_t budget = EXPIRE_BUDGET_US * ks_config(n->ks)->active_expire_effort;
    msec_t wall = io_now_wall(n->io) / 1000;
    msec_t next = ks_expire_cycle(n->ks, clock_monotonic_us, budget);
    if (next == INT64_MAX)
        return INT64_MAX;
    return next <= wall ? now : now + (next - wall) * 1000;
}

static void check_signal(struct node *n)
{
    int signo = n->signalled;
    if (!signo)
        return;
    n->signalled = 0;
    if (n->stopping) {
        log_warning("You insist... exiting now.");
        exit(1);
    }
    const struct process_config *p = &n->options->process;
    unsigned flags = signo == 2 ? p->shutdown_on_sigint : p->shutdown_on_sigterm;
    log_warning(signo == 2 ? "Received SIGINT scheduling shutdown..." : "Received SIGTERM scheduling shutdown...");
    if (node_shutdown(n, flags) < 0)
        log_warning("%s received but errors trying to shut down the server, check the logs for more information",
                    signo == 2 ? "SIGINT" : "SIGTERM");
}

static void account_turn(struct node *n)
{
    uint64_t us = (uint64_t)(clock_monotonic_us() - n->turn_begin);
    uint64_t commands = n->stats->commands - n->turn_commands;
    n->stats->turns++;
    n->stats->turn_us_sum += us;
    n->stats->turn_commands_sum += commands;
    if (us > n->stats->turn_us_max)
        n->stats->turn_us_max = us;
    if (commands > n->stats->turn_commands_max)
        n->stats->turn_commands_max = commands;
}

static usec_t earlier(usec_t a, usec_t b)
{
    return a < b ? a : b;
}

static usec_t before_wait(void *ctx)
{
    struct node *n = ctx;
    usec_t now = io_now_monotonic(n->io);
    check_signal(n);
    if (now >= dispatch_deadline(n->dispatch))
        dispatch_end_pauses(n->dispatch, now / 1000);
    if (now >= blocked_deadline(n->blocked))
        blocked_time_out(n->blocked, io_now_wall(n->io) / 1000);
    migrations_turn(n->migrations, now);
    usec_t due = expire(n, now);
    if (now >= n->next_cron)
        cron(n, now);
    if (ks_lazyfree_pending(n->ks))
        n->lazy_work = ks_lazyfree_step(n->ks, clock_monotonic_us, LAZYFREE_BUDGET_US);
    if (blocked_any_ready(n)) /* a key that expired */
        blocked_serve_ready(n);
    clients_execute(n->clients); /* those that the above released */
    usec_t stream = replication_before_wait(n->replication);
    unsigned shutdown_flags;
    if (ending_is_over(n->ending, &shutdown_flags))
        node_shutdown(n, shutdown_flags);
    clients_evict(n->clients);
    tracking_end_of_turn(n->tracking);
    bool more_to_load = loading_step(n->loading);
    usec_t bus = n->cluster ? cluster_driver_before_wait(n->cluster) : INT64_MAX;
    account_turn(n);
    if (more_to_load)
        return now;
    if (n->lazy_work && ks_lazyfree_pending(n->ks))
        return now;
    due = earlier(earlier(earlier(due, bus), earlier(stream, ending_deadline(n->ending))),
                  earlier(n->next_cron, dispatch_deadline(n->dispatch)));
    return earlier(due, earlier(blocked_deadline(n->blocked), migrations_deadline(n->migrations)));
}

/* ---- life ---- */

static void make_ids(struct node *n)
{
    struct prng rng;
    uint64_t seed[2];
    clock_random(seed, sizeof(seed));
    prng_init(&rng, seed[0]);
    hash_seed(seed[0], seed[1]);
    char raw[20];
    for (size_t i = 0; i < sizeof(raw); i++)
        raw[i] = (char)prng_u64(&rng);
    text_hex(n->run_id, raw, sizeof(raw));
}

static int start_loop(struct node *n)
{
    struct io_handler h = {
        .opened = on_opened,
        .input = on_input,
        .input_placed = on_input_placed,
        .closed = on_closed,
        .connected = on_connected,
        .error_written = on_error_written,
        .execute = on_execute,
        .before_wait = before_wait,
        .after_wait = on_after_wait,
        .ctx = n,
    };
    struct io_config cfg = { .backend = (enum io_backend)n->options->net.io_backend };
    int r = io_new(&cfg, &h, &n->io);
    if (r < 0)
        log_warning("Can't start the event loop: %s", strerror(-r));
    return r;
}

static void make_parts(struct node *n)
{
    struct options *o = n->options;
    struct ks_hooks hooks = { n, on_removed, on_notify, on_touched, on_flushed_all };
    n->ks = ks_new(o->cluster.enabled ? 1 : o->process.databases, &o->keyspace, &hooks);
    if (o->cluster.enabled)
        ks_keep_by_slot(n->ks);
    ks_set_now(n->ks, n->start_ms);
    n->stats = stats_new();
    n->slowlog = slowlog_new(&o->monitor);
    n->latency = latency_new(&o->monitor);
    n->monitors = monitors_new();
    n->pubsub = pubsub_new();
    n->tracking = tracking_new(n);
    n->propagate = propagate_new();
    n->watches = watch_table_new();
    n->blocked = blocked_new(n);
    n->waiting = waiting_new(n);
    n->ending = ending_new(n);
    n->clients = clients_new(n);
    n->dispatch = dispatch_new(n);
    clients_attach_dispatch(n->clients, n->dispatch);
    n->migrations = migrations_new(n);
    n->saving = saving_new(n);
    n->loading = loading_new(n);
    n->replication = replication_new(n);
}

int node_new(struct config *config, struct options *options, int argc, char **argv, struct node **ret_node)
{
    struct node *n = mem_zalloc(sizeof(*n));
    n->config = config;
    n->options = options;
    n->start_ms = clock_wall_us() / 1000;
    n->argv = mem_zalloc((size_t)(argc + 1) * sizeof(*n->argv));
    for (int i = 0; i < argc; i++)
        n->argv[i] = mem_strdup(argv[i]);
    make_ids(n);
    int r = start_loop(n);
    if (r == 0) {
        make_parts(n);
        r = listeners_new(n, &n->listeners);
    }
    if (r == 0 && options->cluster.enabled)
        r = cluster_driver_new(n, &n->cluster);
    if (r < 0) {
        node_free(n);
        return r;
    }
    n->stats->startup_memory = mem_used();
    n->stats->reset_at = n->start_ms;
    *ret_node = n;
    return 0;
}

/* ---- the data on disk ---- */

static void be_ready(struct node *n)
{
    if (n->cluster) /* it says whom to follow: replication goes on from there by what the file says */
        cluster_driver_loaded(n->cluster);
    const struct rdb_load_report *file = loading_last_report(n->loading);
    struct bytes id = file->has_replication ? bytes_of_str(file->repl_id) : bytes_of(NULL, 0);
    replication_started(n->replication, id, file->repl_offset, file->repl_stream_db);
    if (n->ready)
        n->ready(n->ready_ctx);
}

static void on_loaded(void *ctx, const struct rdb_load_report *report)
{
    struct node *n = ctx;
    if (report->error.failure == RDB_FINE) {
        log_notice("DB loaded from disk: %.3f seconds", (double)(clock_wall_us() / 1000 - n->load_began) / 1000);
        be_ready(n);
        return;
    }
    if (report->error.failure == RDB_UNSUPPORTED)
        log_warning("Fatal error loading the DB, check the reason above. Exiting.");
    else
        log_warning("Terminating server after rdb file reading failure.");
    n->status = -EIO;
    n->stopping = true;
    io_stop(n->io);
}

static int load_from_disk(struct node *n)
{
    struct loading_request req = { .path = saving_path(n->saving), .done = on_loaded, .ctx = n };
    n->load_began = clock_wall_us() / 1000;
    int r = loading_begin(n->loading, &req);
    if (r == -ENOENT) {
        be_ready(n);
        return 0;
    }
    if (r < 0)
        log_warning("Fatal error: can't open the RDB file %s for reading: %s", req.path, strerror(-r));
    return r;
}

int node_run(struct node *n, void (*ready)(void *ctx), void *ctx)
{
    n->ready = ready;
    n->ready_ctx = ctx;
    int r = load_from_disk(n);
    if (r < 0)
        return r;
    io_run(n->io);
    return n->status;
}

void node_free(struct node *n)
{
    if (!n)
        return;
    replication_end(n->replication);
    listeners_close(n->listeners);
    saving_free(n->saving);
    cluster_driver_free(n->cluster);
    n->cluster = NULL;
    if (n->io)
        io_take_back(n->io);
    clients_free(n->clients);
    migrations_free(n->migrations);
    replication_free(n->replication);
    loading_free(n->loading); /* a load that is given up empties the keyspace, which tells the parts below */
    dispatch_free(n->dispatch);
    blocked_free(n->blocked);
    waiting_free(n->waiting);
    ending_free(n->ending);
    watch_table_free(n->watches);
    propagate_free(n->propagate);
    tracking_free(n->tracking);
    pubsub_free(n->pubsub);
    monitors_free(n->monitors);
    latency_free(n->latency);
    slowlog_free(n->slowlog);
    stats_free(n->stats);
    if (n->ks)
        ks_free(n->ks);
    if (n->io)
        io_free(n->io);
    for (char **a = n->argv; *a; a++)
        mem_free(*a);
    mem_free(n->argv);
    mem_free(n);
}

int node_shutdown(struct node *n, unsigned flags)
{
    if (n->stopping)
        return 0;
    if (!(flags & SHUTDOWN_NOW) || !ending_waits(n->ending))
        log_warning("User requested shutdown...");
    if (ending_begin(n->ending, flags))
        return 1;
    if (loading_state(n->loading) == LOADING_BLOCKING) /* a part of the data must not replace all of them */
        flags = (flags & ~(unsigned)SHUTDOWN_SAVE) | SHUTDOWN_NOSAVE;
    int r = saving_at_shutdown(n->saving, flags);
    if (r < 0) {
        dispatch_unpause(n->dispatch, PAUSE_FOR_SHUTDOWN);
        log_warning("Errors trying to shut down the server. Check the logs for more information.");
        return r;
    }
    n->stopping = true;
    /* What came in the same turn is not executed: it would not be saved. */
    dispatch_pause(n->dispatch, PAUSE_FOR_SHUTDOWN, PAUSE_ALL, INT64_MAX);
    io_stop(n->io);
    return 0;
}

bool node_shutdown_abort(struct node *n)
{
    return ending_abort(n->ending);
}

int node_relisten(struct node *n, const char **ret_error)
{
    return listeners_renew(n->listeners, ret_error);
}

static struct node *signal_node; /* the one that signals go to */

void node_take_signals(struct node *n)
{
    signal_node = n;
}

void node_request_shutdown_signal(int signo)
{
    struct node *n = signal_node;
    if (!n)
        return;
    n->signalled = signo;
    io_wake(n->io);
}

void node_role_changed(struct node *n)
{
    apply_oom_score(n, NULL);
}

void node_set_gate(struct node *n, enum node_gate gate, bool on)
{
    n->gates = on ? n->gates | gate : n->gates & ~(unsigned)gate;
}

void node_pause_cron(struct node *n, bool pause)
{
    n->cron_paused = pause;
}

size_t node_not_counted_memory(struct node *n)
{
    return replication_memory(n->replication); /* else evicting would make a slow replica slower */
}

/* ---- parts ---- */

struct io *node_io(struct node *n) { return n->io; }
struct keyspace *node_keyspace(struct node *n) { return n->ks; }
struct config *node_config(struct node *n) { return n->config; }
struct options *node_options(struct node *n) { return n->options; }
struct clients *node_clients(struct node *n) { return n->clients; }
struct pubsub *node_pubsub(struct node *n) { return n->pubsub; }
struct slowlog *node_slowlog(struct node *n) { return n->slowlog; }
struct latency *node_latency(struct node *n) { return n->latency; }
struct stats *node_stats(struct node *n) { return n->stats; }
struct tracking *node_tracking(struct node *n) { return n->tracking; }
struct dispatch *node_dispatch(struct node *n) { return n->dispatch; }
struct monitors *node_monitors(struct node *n) { return n->monitors; }
struct propagate *node_propagate(struct node *n) { return n->propagate; }
struct watch_table *node_watches(struct node *n) { return n->watches; }
struct blocked *node_blocked(struct node *n) { return n->blocked; }
struct migrations *node_migrations(struct node *n) { return n->migrations; }
struct listeners *node_listeners(struct node *n) { return n->listeners; }
struct waiting *node_waiting(struct node *n) { return n->waiting; }
struct ending *node_ending(struct node *n) { return n->ending; }
struct replication *node_replication(struct node *n) { return n->replication; }
struct saving *node_saving(struct node *n) { return n->saving; }
struct loading *node_loading(struct node *n) { return n->loading; }
unsigned node_gates(const struct node *n) { return n->gates; }
struct cluster_driver *node_cluster(struct node *n) { return n->cluster; }
const char *node_run_id(const struct node *n) { return n->run_id; }
msec_t node_start_ms(const struct node *n) { return n->start_ms; }
msec_t node_now(const struct node *n) { return ks_now(n->ks); }
char **node_argv(const struct node *n) { return n->argv; }
