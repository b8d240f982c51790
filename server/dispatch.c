/* From gathered requests to handlers (see dispatch.h).
 *
 * dispatch_gather resolves the command and prefetches the directory's words of its keys; dispatch_run walks the queue,
 * prefetching the bucket lines 2 * PREFETCH_AHEAD, the entries PREFETCH_AHEAD and the objects of collections
 * OBJECTS_AHEAD requests further on, so that with pipelines
 * and many clients the misses of a whole turn overlap. A request that may not run yet (its client is blocked
 * or paused) is moved to the client's stash and comes back by dispatch_gather when the client is released. */
#include "server/dispatch.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/arena.h"
#include "common/assert.h"
#include "common/log.h"
#include "server/blocked.h"
#include "server/drivers/replication.h"
#include "server/gates.h"
#include "server/guard.h"
#include "server/latency.h"
#include "server/monitor.h"
#include "server/multi.h"
#include "server/node.h"
#include "server/propagate.h"
#include "server/route.h"
#include "server/slowlog.h"
#include "server/stats.h"
#include "server/tracking.h"

enum {
    QUEUE_MAX = 1024,    /* requests gathered at most before a run */
    PREFETCH_AHEAD = 6,  /* requests */
    OBJECTS_AHEAD = 3,
    PREFETCH_KEYS = 16,  /* keys of one request that are prefetched */
};

struct request {
    struct client *client;
    struct command_entry *cmd; /* NULL: unknown */
    struct bytes *argv;
    struct blob **blobs;
    uint32_t argc;
    uint16_t keys_n;      /* hashes that follow */
    uint16_t name_at;     /* in its frame: the place of argv[0]. 0: there is no frame in one piece */
    uint64_t *hashes;     /* of the keys, in the arena; NULL when `hash` is the only one */
    uint64_t hash;
    size_t bytes;         /* of the request on the wire */
};

struct dispatch {
    struct node *node;
    struct arena arena;
    struct request queue[QUEUE_MAX];
    uint32_t n, next; /* gathered; the one that runs next */
    bool running;
    int frozen;       /* depth of frozen time */
    usec_t wall_us;   /* the loop's time that the keyspace was given last */
    msec_t monotonic_ms;
    uint64_t inner_errors; /* error replies of calls inside of the one that runs (EXEC): not its failure */
    uint64_t slow_ns; /* calls of this duration are looked at more closely */
    struct call *current;
    int slot;          /* in a cluster, of the request that runs; -1: none */
    size_t out_before; /* queued for its client when it began */
    enum pause_kind pause; /* the strictest of those below */
    struct {
        enum pause_kind kind;
        msec_t until; /* monotonic ms */
    } pauses[PAUSE_REASONS];
    struct list paused;  /* clients held by the pause, by `paused` */
    struct command_entry *ping;
    struct list guarded; /* clients held by a key under way, by `paused` too */
    struct guard *guard;
    /* parts that every call needs, fetched once */
    struct io *io;
    struct keyspace *ks;
    struct stats *stats;
    struct monitors *monitors;
    struct slowlog *slowlog;
    struct latency *latency;
    struct tracking *tracking;
    struct propagate *propagate;
    const struct options *options;
};

struct dispatch *dispatch_new(struct node *node)
{
    struct dispatch *d = mem_zalloc(sizeof(*d));
    d->node = node;
    arena_init(&d->arena);
    list_init(&d->paused);
    list_init(&d->guarded);
    d->guard = guard_new();
    d->io = node_io(node);
    d->ks = node_keyspace(node);
    d->stats = node_stats(node);
    d->monitors = node_monitors(node);
    d->slowlog = node_slowlog(node);
    d->latency = node_latency(node);
    d->tracking = node_tracking(node);
    d->propagate = node_propagate(node);
    d->options = node_options(node);
    d->slot = -1;
    d->ping = command_find(BYTES("ping"));
    dispatch_config_changed(d);
    return d;
}

void dispatch_free(struct dispatch *d)
{
    if (!d)
        return;
    guard_free(d->guard);
    arena_done(&d->arena);
    mem_free(d);
}

struct arena *dispatch_arena(struct dispatch *d)
{
    return &d->arena;
}

/* ---- gathering ---- */

static void prefetch_keys(struct dispatch *d, struct request *r)
{
    const struct command_keys_at *at = &r->cmd->row->keys;
    struct db *db = r->client->db;
    if (at->first == 0 || (uint32_t)at->first >= r->argc)
        return;
    int last = at->last < 0 ? (int)r->argc + at->last : at->last;
    if (at->first == last) {
        r->keys_n = 1;
        r->hash = ks_hash(db, r->argv[at->first]);
        ks_prefetch_place(db, r->hash);
        return;
    }
    r->hashes = arena_alloc(&d->arena, PREFETCH_KEYS * sizeof(*r->hashes));
    for (int i = at->first; i <= last && i < (int)r->argc && r->keys_n < PREFETCH_KEYS; i += at->step) {
        uint64_t h = ks_hash(db, r->argv[i]);
        ks_prefetch_place(db, h);
        r->hashes[r->keys_n++] = h;
    }
}

static void prefetch_buckets(const struct request *r)
{
    struct db *db = r->client->db;
    if (!r->hashes && r->keys_n) {
        ks_prefetch_bucket(db, r->hash);
        return;
    }
    for (uint32_t i = 0; i < r->keys_n; i++)
        ks_prefetch_bucket(db, r->hashes[i]);
}

static void prefetch_entries(const struct request *r)
{
    struct db *db = r->client->db;
    if (!r->hashes && r->keys_n) {
        ks_prefetch_entry(db, r->hash);
        return;
    }
    for (uint32_t i = 0; i < r->keys_n; i++)
        ks_prefetch_entry(db, r->hashes[i]);
}

static void prefetch_objects(const struct request *r)
{
    struct db *db = r->client->db;
    if (!r->cmd || !r->cmd->on_objects)
        return;
    if (!r->hashes && r->keys_n) {
        ks_prefetch_object(db, r->hash);
        return;
    }
    for (uint32_t i = 0; i < r->keys_n; i++)
        ks_prefetch_object(db, r->hashes[i]);
}

void dispatch_gather(struct dispatch *d, struct client *client, const struct resp_command *cmd)
{
    ASSERT(d->n < QUEUE_MAX && cmd->argc > 0);
    struct request *r = &d->queue[d->n++];
    *r = (struct request){
        .client = client,
        .cmd = command_resolve(cmd->argv, cmd->argc),
        .argv = cmd->argv,
        .blobs = cmd->blobs,
        .argc = (uint32_t)cmd->argc,
        .name_at = cmd->frame ? (uint16_t)(cmd->argv[0].p - cmd->frame) : 0,
        .bytes = cmd->used,
    };
    client->gathered++;
    if (r->cmd)
        prefetch_keys(d, r);
}

bool dispatch_full(const struct dispatch *d)
{
    return d->n == QUEUE_MAX;
}

bool dispatch_running(const struct dispatch *d)
{
    return d->running;
}

bool dispatch_idle(const struct dispatch *d)
{
    return d->n == 0;
}

/* ---- one call ---- */

/* The keyspace's clock follows the loop's, which is read once a turn (and after something slow). */
static void freeze_clock(struct dispatch *d)
{
    usec_t wall = io_now_wall(d->io);
    if (__builtin_expect(wall == d->wall_us, 1) || d->frozen)
        return;
    d->wall_us = wall;
    d->monotonic_ms = io_now_monotonic(d->io) / 1000;
    ks_set_now(d->ks, wall / 1000);
}

void dispatch_freeze_time(struct dispatch *d)
{
    freeze_clock(d);
    d->frozen++;
}

void dispatch_thaw_time(struct dispatch *d)
{
    ASSERT(d->frozen > 0);
    d->frozen--;
}

const struct call *dispatch_current(const struct dispatch *d)
{
    return d->current;
}

void dispatch_retarget(struct dispatch *d)
{
    if (d->current)
        d->current->w = client_writer(d->current->client);
}

/* The arguments as MONITOR and SLOWLOG may show them. */
static const struct bytes *shown_argv(const struct call *c)
{
    if (!c->redacted)
        return c->argv;
    struct bytes *shown = arena_array(c->arena, (size_t)c->argc, sizeof(*shown));
    for (int i = 0; i < c->argc; i++)
        shown[i] = i < 64 && (c->redacted >> i & 1) ? BYTES("(redacted)") : c->argv[i];
    return shown;
}

/* Slow commands leave their trace: slow log, latency monitor. */
static void note_duration(struct dispatch *d, const struct call *c, uint64_t ns)
{
    const struct monitor_config *cfg = &d->options->monitor;
    uint64_t us = ns / 1000;
    if (us > 1000)
        io_refresh_now(d->io);
    if (cfg->slowlog_log_slower_than >= 0 && us >= (uint64_t)cfg->slowlog_log_slower_than &&
        !(c->cmd->row->flags & CMD_SKIP_SLOWLOG))
        slowlog_note(d->slowlog, c->client, c->argc, shown_argv(c), (usec_t)us, c->now);
    if (latency_enabled(d->latency))
        latency_event(d->latency, c->cmd->row->flags & CMD_FAST ? "fast-command" : "command", (msec_t)(us / 1000),
                      c->now);
}

static void account(struct dispatch *d, const struct call *c, uint64_t ns, bool failed)
{
    struct command_stats *s = c->cmd->stats;
    s->calls++;
    s->nsec += ns;
    s->failed += failed;
    d->stats->commands++;
    if (d->options->monitor.latency_tracking)
        latency_record(s, ns);
    if (__builtin_expect(ns >= d->slow_ns, 0))
        note_duration(d, c, ns);
}

/* The counters of the slot that a request was about. The commands of a transaction are counted one by one, its time and
 * bytes once. */
static void count_slot(struct dispatch *d, const struct call *c, uint64_t ns, bool inner)
{
    struct ks_slot_stats *s = db_slot_stats(c->db, (unsigned)d->slot);
    s->writes += !!(c->cmd->row->flags & CMD_WRITE);
    s->reads += !!(c->cmd->row->flags & CMD_READ);
    if (inner)
        return;
    s->cpu_ns += ns;
    s->bytes_in += c->client->running_bytes;
    size_t out = conn_out_bytes(c->client->conn);
    s->bytes_out += out > d->out_before ? out - d->out_before : 0;
}

static void feed_monitors(struct dispatch *d, const struct call *c)
{
    if (c->cmd->row->flags & (CMD_SKIP_MONITOR | CMD_ADMIN))
        return;
    monitors_feed(d->monitors, c->client, c->argc, shown_argv(c), io_now_wall(d->io));
}

/* What was taken as a whole argument must outlive the call: its text is shown and propagated afterwards. */
static struct blob **hold_blobs(struct call *c)
{
    struct blob **held = arena_array(c->arena, (size_t)c->argc, sizeof(*held));
    for (int i = 0; i < c->argc; i++)
        held[i] = c->blobs[i] ? blob_ref(c->blobs[i]) : NULL;
    return held;
}

static void run_handler(struct dispatch *d, struct call *c)
{
    struct blob **held = __builtin_expect(c->blobs != NULL, 0) ? hold_blobs(c) : NULL;
    struct call *outer = d->current;
    struct effects fx;
    c->fx = &fx;
    effects_begin(&fx, d->propagate, d->ks);
    d->current = c;
    uint64_t errors = c->w->errors, inner = d->inner_errors;
    uint64_t begin = clock_ticks();
    c->cmd->row->handler(c);
    uint64_t ns = clock_ticks_to_ns(clock_ticks() - begin);
    d->current = outer;
    uint64_t errors_made = c->w->errors - errors;
    if (__builtin_expect(!(c->client->flags & CLIENT_BLOCKED), 1))
        account(d, c, ns, errors_made != d->inner_errors - inner);
    if (__builtin_expect(d->slot >= 0, 0) && c->client->conn)
        count_slot(d, c, ns, outer != NULL);
    d->inner_errors = inner + errors_made;
    if (__builtin_expect(monitors_any(d->monitors), 0) && !(c->flags & CALL_REPROCESS)) /* seen when it blocked */
        feed_monitors(d, c);
    effects_end(&fx, c);
    if (outer)
        dispatch_retarget(d);
    for (int i = 0; held && i < c->argc; i++)
        blob_unref(held[i]);
}

/* `frame`: the request's bytes as they came, or none. */
static void call_command(struct dispatch *d, struct client *client, struct command_entry *cmd, int argc,
                         struct bytes *argv, struct blob **blobs, unsigned flags, struct bytes frame)
{
    freeze_clock(d);
    struct call c = {
        .argc = argc,
        .flags = flags,
        .argv = argv,
        .blobs = blobs,
        .frame = frame,
        .w = client_writer(client),
        .db = client->db,
        .ks = d->ks,
        .now = ks_now(d->ks),
        .arena = &d->arena,
        .limits = &d->options->types,
        .cmd = cmd,
        .client = client,
        .node = d->node,
    };
    bool no_touch = client->flags & CLIENT_NO_TOUCH && strcmp(cmd->row->name, "touch") != 0;
    if (__builtin_expect(no_touch, 0))
        ks_set_touch(d->ks, false);
    run_handler(d, &c);
    if (__builtin_expect(no_touch, 0))
        ks_set_touch(d->ks, true);
    if (__builtin_expect(client->flags & CLIENT_TRACKING, 0) && (cmd->row->flags & CMD_READ))
        tracking_remember(d->tracking, &c);
}

void dispatch_call(struct dispatch *d, struct client *client, struct command_entry *cmd, int argc, struct bytes *argv,
                   struct blob **blobs, unsigned flags)
{
    call_command(d, client, cmd, argc, argv, blobs, flags, bytes_of(NULL, 0));
}

/* ---- running the queue ---- */

static void drop_blobs(struct request *r)
{
    for (uint32_t i = 0; r->blobs && i < r->argc; i++)
        blob_unref(r->blobs[i]);
    r->blobs = NULL;
}

static bool pause_applies(struct dispatch *d, const struct request *r)
{
    if (d->pause == PAUSE_NONE || (r->client->flags & (CLIENT_REPLICA | CLIENT_MASTER)))
        return false;
    if (d->pause == PAUSE_ALL)
        return true;
    if (!r->cmd)
        return false;
    unsigned write = CMD_WRITE | CMD_MAY_REPLICATE;
    return (r->cmd->row->flags & write) || (gate_is_exec(r->cmd) && multi_has_flags(r->client, write));
}

static void hold(struct client *client, struct list *waiting)
{
    client_hold(client, true);
    client->flags |= CLIENT_PAUSED;
    list_push_back(waiting, &client->paused);
}

static void let_go(struct list *waiting)
{
    while (!list_empty(waiting)) {
        struct client *client = LIST_ITEM(list_pop_front(waiting), struct client, paused);
        client->flags &= ~(unsigned)CLIENT_PAUSED;
        client_hold(client, false);
    }
}

static struct bytes frame_of(const struct request *r)
{
    return r->name_at ? bytes_of(r->argv[0].p - r->name_at, r->bytes) : bytes_of(NULL, 0);
}

/* ASKING is for the next command, or for the whole of a transaction. */
static void spend_asking(struct client *client, const struct command_entry *cmd)
{
    if (!(client->flags & CLIENT_MULTI) && !(cmd && !cmd->parent && !strcmp(cmd->row->name, "asking")))
        client->flags &= ~(unsigned)CLIENT_ASKING;
}

/* Of a master's stream: obeyed as it comes; what cannot be obeyed is told in the log, not to the master. */
static void run_streamed(struct dispatch *d, struct request *r)
{
    struct client *client = r->client;
    freeze_clock(d);
    client->flags |= CLIENT_PROTECTED;
    client->last_active = d->monotonic_ms;
    ks_set_expire_blind(d->ks, true);
    if (!r->cmd || (r->cmd->row->flags & CMD_CONTAINER) || !command_arity_ok(r->cmd->row, (int)r->argc)) {
        replication_refused(node_replication(d->node), r->argv[0]);
    } else if ((client->flags & CLIENT_MULTI) && gate_queues(r->cmd)) {
        multi_queue(client, r->cmd, kept_new((int)r->argc, r->argv, r->blobs));
    } else if (r->cmd == d->ping) {
        if (r->argc == 2)
            replication_pinged(node_replication(d->node), client, (int)r->argc, r->argv);
    } else {
        client->last_cmd = r->cmd;
        dispatch_call(d, client, r->cmd, (int)r->argc, r->argv, r->blobs, CALL_FROM_MASTER | CALL_DENY_BLOCKING);
    }
    ks_set_expire_blind(d->ks, false);
    if (__builtin_expect(blocked_any_ready(d->node), 0))
        blocked_serve_ready(d->node);
    drop_blobs(r);
    client->flags &= ~(unsigned)CLIENT_PROTECTED;
    replication_ran(node_replication(d->node), client, r->bytes);
}

/* A request that passed parsing, for a client that is alive: gates, queue of MULTI, call. */
static void run_request(struct dispatch *d, struct request *r)
{
    struct client *client = r->client;
    freeze_clock(d);
    client->running_bytes = r->bytes;
    client->flags |= CLIENT_PROTECTED;
    client->last_active = d->monotonic_ms;
    client->commands++;
    struct route_hashes hashes = { r->keys_n, r->hash, r->hashes };
    int slot;
    if (gates_pass(d->node, client, r->cmd, (int)r->argc, r->argv, &hashes, &slot)) {
        client->last_cmd = r->cmd;
        if ((client->flags & CLIENT_MULTI) && gate_queues(r->cmd)) {
            multi_queue(client, r->cmd, kept_new((int)r->argc, r->argv, r->blobs));
            resp_simple_str(client_writer(client), "QUEUED");
        } else {
            if (__builtin_expect(slot >= 0, 0)) {
                d->slot = slot;
                d->out_before = conn_out_bytes(client->conn);
                if (r->keys_n == 1 && !r->hashes)
                    ks_known_hash(d->ks, r->argv[r->cmd->row->keys.first], r->hash);
            }
            call_command(d, client, r->cmd, (int)r->argc, r->argv, r->blobs, 0, frame_of(r));
            if (__builtin_expect(slot >= 0, 0)) {
                d->slot = -1;
                ks_known_hash(d->ks, bytes_of(NULL, 0), 0);
            }
            if (__builtin_expect(blocked_any_ready(d->node), 0))
                blocked_serve_ready(d->node);
        }
    }
    if (__builtin_expect(client->flags & CLIENT_ASKING, 0))
        spend_asking(client, r->cmd);
    drop_blobs(r);
    client->running_bytes = 0;
    client->flags &= ~(unsigned)CLIENT_PROTECTED;
    client_end_of_request(client);
}

/* Takes the next request off the queue and decides: run it, keep it for later, or drop it. */
static void step(struct dispatch *d, struct request *r)
{
    struct client *client = r->client;
    client->gathered--;
    if (client_is_closing(client)) {
        drop_blobs(r);
        return;
    }
    if (__builtin_expect(client->flags & CLIENT_MASTER, 0)) {
        run_streamed(d, r);
        return;
    }
    const unsigned stop = CLIENT_HELD | CLIENT_STASHING;
    if (!(client->flags & stop)) {
        if (__builtin_expect(pause_applies(d, r), 0))
            hold(client, &d->paused);
        else if (__builtin_expect(guard_keys(d->guard) > 0, 0) &&
                 guard_stops(d->guard, client, r->cmd, (int)r->argc, r->argv))
            hold(client, &d->guarded);
    }
    if (client->flags & stop) {
        client_stash(client, kept_new((int)r->argc, r->argv, r->blobs));
        return;
    }
    run_request(d, r);
}

void dispatch_run(struct dispatch *d)
{
    if (d->running)
        return;
    if (d->n == 0) {
        arena_reset(&d->arena); /* frames that were cut left their beginnings */
        return;
    }
    d->running = true;
    uint32_t n = d->n;
    for (uint32_t i = 0; i < n && i < 2 * PREFETCH_AHEAD; i++)
        prefetch_buckets(&d->queue[i]);
    for (uint32_t i = 0; i < n && i < PREFETCH_AHEAD; i++)
        prefetch_entries(&d->queue[i]);
    for (uint32_t i = 0; i < n; i++) {
        if (i + 2 * PREFETCH_AHEAD < n)
            prefetch_buckets(&d->queue[i + 2 * PREFETCH_AHEAD]);
        if (i + PREFETCH_AHEAD < n)
            prefetch_entries(&d->queue[i + PREFETCH_AHEAD]);
        if (i + OBJECTS_AHEAD < n)
            prefetch_objects(&d->queue[i + OBJECTS_AHEAD]);
        step(d, &d->queue[i]);
    }
    d->n = 0;
    d->running = false;
    arena_reset(&d->arena);
}

void dispatch_config_changed(struct dispatch *d)
{
    const struct monitor_config *cfg = &d->options->monitor;
    uint64_t us = cfg->slowlog_log_slower_than >= 0 ? (uint64_t)cfg->slowlog_log_slower_than : UINT64_MAX / 2000;
    if (latency_enabled(d->latency) && us > (uint64_t)latency_threshold(d->latency) * 1000)
        us = (uint64_t)latency_threshold(d->latency) * 1000;
    if (us > 1000)
        us = 1000; /* the turn's clock is read again after anything slower */
    d->slow_ns = us * 1000;
}

/* ---- CLIENT PAUSE ---- */

/* The pause in force, from those that were asked for. Who was held by more than that goes on, and may be held again. */
static void settle_pause(struct dispatch *d)
{
    enum pause_kind before = d->pause;
    d->pause = PAUSE_NONE;
    for (int i = 0; i < PAUSE_REASONS; i++)
        if (d->pauses[i].kind > d->pause)
            d->pause = d->pauses[i].kind;
    if (d->pause < before)
        let_go(&d->paused);
}

void dispatch_pause(struct dispatch *d, enum pause_reason why, enum pause_kind kind, msec_t until)
{
    if (kind > d->pauses[why].kind)
        d->pauses[why].kind = kind; /* a pause in force is only made stricter or longer */
    if (until > d->pauses[why].until)
        d->pauses[why].until = until;
    settle_pause(d);
}

void dispatch_unpause(struct dispatch *d, enum pause_reason why)
{
    d->pauses[why].kind = PAUSE_NONE;
    d->pauses[why].until = 0;
    settle_pause(d);
}

void dispatch_end_pauses(struct dispatch *d, msec_t now)
{
    for (int i = 0; i < PAUSE_REASONS; i++)
        if (d->pauses[i].kind != PAUSE_NONE && d->pauses[i].until <= now)
            dispatch_unpause(d, (enum pause_reason)i);
}

void dispatch_forget(struct dispatch *d, struct client *client)
{
    (void)d;
    if (client->flags & CLIENT_PAUSED)
        list_remove(&client->paused);
    client->flags &= ~(unsigned)CLIENT_PAUSED;
}

enum pause_kind dispatch_paused(const struct dispatch *d)
{
    return d->pause;
}

usec_t dispatch_deadline(const struct dispatch *d)
{
    usec_t first = INT64_MAX;
    for (int i = 0; i < PAUSE_REASONS; i++)
        if (d->pauses[i].kind != PAUSE_NONE && d->pauses[i].until < INT64_MAX / 1000 &&
            d->pauses[i].until * 1000 < first)
            first = d->pauses[i].until * 1000;
    return first;
}

struct guard *dispatch_guard(struct dispatch *d)
{
    return d->guard;
}

void dispatch_guard_released(struct dispatch *d)
{
    let_go(&d->guarded);
}

size_t call_bulk_max(const struct call *c)
{
    return node_options(c->node)->client.proto_max_bulk_len;
}
