/* The replication driver: steps of the machine, and what the rest of the server asks of it (see replication.h). */
#include "server/drivers/replication_inner.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "server/blocked.h"
#include "server/clients.h"
#include "server/dispatch.h"
#include "server/loading.h"
#include "server/node.h"
#include "server/persist/snapshot.h"
#include "server/propagate.h"
#include "server/saving.h"
#include "server/waiting.h"

/* ---- configuration ---- */

static void fill_limits(const struct options *o, struct repl_config *c)
{
    const struct output_limit *limit = &o->client.output_limit[CLIENT_CLASS_REPLICA];
    const uint64_t hard_default = 256ull << 20, soft_default = 64ull << 20;
    c->limit_hard = limit->hard;
    c->limit_soft = limit->soft;
    c->limit_soft_ms = (msec_t)limit->soft_s * 1000;
    c->limit_is_default = limit->hard == hard_default && limit->soft == soft_default && limit->soft_s == 60;
}

static int rdb_version(const struct options *o) /* 0: what the replica can read */
{
    switch ((enum rdb_save_version)o->persist.rdb_save_version) {
    case RDB_SAVE_10: return 10;
    case RDB_SAVE_11: return 11;
    case RDB_SAVE_AUTO: break;
    }
    return 0;
}

static struct repl_config machine_config(struct replication *r)
{
    const struct options *o = node_options(r->node);
    const struct replication_config *from = &o->replication;
    struct repl_config c = {
        .master_user = from->masteruser,
        .master_auth = from->masterauth,
        .announce_ip = from->replica_announce_ip,
        .listening_port = from->replica_announce_port ? from->replica_announce_port : o->net.port,
        .timeout_ms = (msec_t)from->repl_timeout * 1000,
        .ping_period_ms = (msec_t)from->repl_ping_replica_period * 1000,
        .backlog_size = from->repl_backlog_size,
        .backlog_ttl_ms = from->repl_backlog_ttl > INT64_MAX / 1000 ? 0 : from->repl_backlog_ttl * 1000,
        .spill_size = from->repl_backlog_spill_size,
        .diskless_sync = from->repl_diskless_sync,
        .diskless_delay_ms = (msec_t)from->repl_diskless_sync_delay * 1000,
        .diskless_max_replicas = from->repl_diskless_sync_max_replicas,
        .rdb_version = rdb_version(o),
        .load_mode = (enum repl_load_mode)from->repl_diskless_load,
        .empty_master_guard = from->replica_empty_master_guard,
        .max_staleness_ms = from->replica_max_staleness_ms,
        .min_replicas = from->min_replicas_to_write,
        .min_replicas_max_lag_ms = (msec_t)from->min_replicas_max_lag * 1000,
        .min_replicas_max_staleness_ms = from->min_replicas_max_staleness_ms,
    };
    fill_limits(o, &c);
    return c;
}

/* ---- steps ---- */

static struct repl_env environment(const struct replication *r)
{
    struct keyspace *ks = node_keyspace(r->node);
    struct io *io = node_io(r->node);
    struct repl_env env = {
        .now = io_now_monotonic(io) / 1000,
        .wall = io_now_wall(io) / 1000,
        .child_busy = snapshot_running(saving_snapshots(node_saving(r->node))) && !downstream_child_is_ours(r),
        .paused = dispatch_paused(node_dispatch(r->node)) != PAUSE_NONE,
    };
    for (int i = 0; i < ks_databases(ks); i++)
        env.keys += db_size(ks_db(ks, i));
    return env;
}

static void set_role(struct replication *r, bool replica)
{
    struct node *n = r->node;
    struct keyspace *ks = node_keyspace(n);
    bool was = r->replica;
    r->replica = replica;
    ks_set_expire_passive(ks, replica);
    if (replica && !was) {
        static const char gone[] =
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";
        blocked_end_all(node_blocked(n), gone);
        waiting_end_all(node_waiting(n), gone);
    }
    log_set_role(replica ? 'S' : 'M');
    node_role_changed(n);
    dispatch_retarget(node_dispatch(n));
}

static int64_t on_effects(void *ctx, struct bytes resp)
{
    struct replication *r = ctx;
    r->appended = true;
    return repl_append(r->machine, resp);
}

static void set_stream(struct replication *r, bool on)
{
    struct propagate *p = node_propagate(r->node);
    if (on && r->sink < 0) {
        r->sink = propagate_attach(p, &(struct propagate_sink){ r, on_effects });
        ASSERT(r->sink >= 0);
    } else if (!on && r->sink >= 0) {
        propagate_detach(p, r->sink);
        r->sink = -1;
    }
}

static void trace(const struct repl_action *a)
{
    switch (a->level) {
    case REPL_VERBOSE: log_verbose("%s", a->text.p); break;
    case REPL_NOTICE: log_notice("%s", a->text.p); break;
    case REPL_WARNING: log_warning("%s", a->text.p); break;
    }
}

static void pause_writes(struct replication *r, const struct repl_action *a)
{
    msec_t until = a->n ? replication_now(r) + (msec_t)a->n : INT64_MAX;
    dispatch_pause(node_dispatch(r->node), PAUSE_FOR_FAILOVER, PAUSE_WRITE, until);
}

static void close_peer(struct replication *r, const struct repl_action *a)
{
    bool after_output = a->kind == REPL_CLOSE_SENT;
    if (a->peer & REPL_LINK)
        upstream_close(r, a->peer, after_output);
    else
        downstream_close(r, a->peer, after_output);
}

static void perform(struct replication *r, const struct repl_action *a)
{
    switch (a->kind) {
    case REPL_CONNECT: upstream_connect(r, a); break;
    case REPL_SEND:
        if (!upstream_send(r, a->peer, a->bytes))
            downstream_send(r, a->peer, a->bytes);
        break;
    case REPL_CLOSE:
    case REPL_CLOSE_SENT: close_peer(r, a); break;
    case REPL_LINK_PAUSE: upstream_pause(r, a->peer, true); break;
    case REPL_LINK_RESUME: upstream_pause(r, a->peer, false); break;
    case REPL_ATTACH: downstream_attach(r, a->peer); break;
    case REPL_SEND_RANGE: downstream_range(r, a); break;
    case REPL_START_SNAPSHOT: downstream_start_image(r, a); break;
    case REPL_SEND_SNAPSHOT: downstream_send_image(r, a); break;
    case REPL_DROP_SNAPSHOT: downstream_drop_image(r, a->snapshot); break;
    case REPL_LOAD_BEGIN: loader_begin(r, a); break;
    case REPL_LOAD_CHUNK: loader_chunk(r, a->bytes); break;
    case REPL_LOAD_END: loader_end(r); break;
    case REPL_LOAD_ABORT: loader_abort(r); break;
    case REPL_APPLY: upstream_apply(r, a->bytes); break;
    case REPL_APPLY_RESET: upstream_apply_reset(r); break;
    case REPL_SET_ROLE: set_role(r, a->replica); break;
    case REPL_STREAM: set_stream(r, a->on); break;
    case REPL_RESELECT: propagate_forget_db(node_propagate(r->node)); break;
    case REPL_PAUSE_WRITES: pause_writes(r, a); break;
    case REPL_UNPAUSE_WRITES: dispatch_unpause(node_dispatch(r->node), PAUSE_FOR_FAILOVER); break;
    case REPL_WAKE: waiting_wake(node_waiting(r->node), a->wait_id, (int)a->n); break;
    case REPL_SPILL_WRITE: spillfile_write(r, a); break;
    case REPL_SPILL_READ: spillfile_read(r, a); break;
    case REPL_SPILL_CLOSE: spillfile_close(r); break;
    case REPL_TRACE: trace(a); break;
    }
}

static void step(struct replication *r, struct repl_event *e)
{
    e->env = environment(r);
    r->performing = true;
    repl_step(r->machine, e, &r->actions);
    for (size_t i = 0; i < r->actions.n; i++)
        perform(r, &r->actions.v[i]);
    r->performing = false;
}

struct later {
    struct repl_event event;
    char text[200]; /* a copy of its text */
};

static void put_off(struct replication *r, const struct repl_event *e)
{
    if (r->later_n == r->later_cap) {
        r->later_cap = r->later_cap ? r->later_cap * 2 : 8;
        r->later = mem_realloc(r->later, r->later_cap * sizeof(*r->later));
    }
    struct later *l = &r->later[r->later_n++];
    l->event = *e;
    l->event.text.n = e->text.n < sizeof(l->text) ? e->text.n : sizeof(l->text);
    memcpy(l->text, e->text.n ? e->text.p : "", l->event.text.n);
}

/* CONFIG GET and REWRITE show whom we follow now. */
static void keep_directive(struct replication *r)
{
    struct replication_config *c = &node_options(r->node)->replication;
    struct repl_view v;
    if (node_cluster(r->node))
        return; /* nodes.conf says it */
    repl_view(r->machine, replication_now(r), &v);
    char text[REPL_ADDR_MAX + 16];
    snprintf(text, sizeof(text), "%s %d", v.replica ? v.master_host : "", v.replica ? v.master_port : 0);
    const char *now = v.replica ? text : "";
    if (strcmp(now, c->replicaof ? c->replicaof : "") == 0)
        return;
    mem_free(c->replicaof);
    c->replicaof = v.replica ? mem_strdup(text) : NULL;
}

static void refresh_gates(struct replication *r)
{
    node_set_gate(r->node, GATE_REPLICATION, r->replica || r->config->min_replicas_to_write > 0);
}

void repl_heard(struct replication *r, struct repl_event *e)
{
    if (r->ended)
        return; /* the parts that actions need are going */
    if (r->performing) {
        ASSERT(e->bytes.n == 0 && e->kind != REPL_COMMAND);
        put_off(r, e);
        return;
    }
    if (e->kind != REPL_APPLIED)
        upstream_tell_applied(r);
    step(r, e);
    for (size_t i = 0; i < r->later_n; i++) {
        struct later next = r->later[i];
        next.event.text.p = next.text;
        step(r, &next.event);
        blob_unref(next.event.blob);
    }
    r->later_n = 0;
    upstream_settle(r);
    refresh_gates(r);
    if (e->kind == REPL_COMMAND || e->kind == REPL_FOLLOW)
        keep_directive(r);
}

void repl_heard_kind(struct replication *r, enum repl_event_kind kind)
{
    repl_heard(r, &(struct repl_event){ .kind = kind });
}

/* ---- the turn ---- */

void replication_after_run(struct replication *r)
{
    upstream_tell_applied(r);
    upstream_run(r);
}

/* Nobody hears the writes: the offset grows all the same, so that a history is never offered as one with less in it. */
static void count_unheard(struct replication *r)
{
    uint64_t dirty = ks_stats(node_keyspace(r->node))->dirty;
    if (dirty != r->dirty && r->sink < 0 && !r->replica)
        repl_append(r->machine, BYTES("")); /* without a backlog it counts, and keeps nothing */
    r->dirty = dirty;
}

usec_t replication_before_wait(struct replication *r)
{
    count_unheard(r);
    downstream_look(r);
    bool looking = upstream_poll_lookup(r);
    if (r->appended) {
        r->appended = false;
        repl_heard_kind(r, REPL_APPENDED);
    }
    while (repl_deadline(r->machine) <= replication_now(r)) {
        repl_heard_kind(r, REPL_TICK);
        if (repl_deadline(r->machine) <= replication_now(r))
            break; /* it wants the next turn */
    }
    upstream_run(r);
    msec_t next = repl_deadline(r->machine);
    (void)looking; /* the lookup wakes the loop */
    return next == REPL_NEVER ? INT64_MAX : next * 1000;
}

/* ---- clients ---- */

/* The address without the port. */
static struct bytes ip_of(struct client *client)
{
    struct bytes name = bytes_of_str(conn_peer_name(client->conn));
    while (name.n && name.p[name.n - 1] != ':')
        name.n--;
    name.n -= name.n > 0;
    if (name.n > 2 && name.p[0] == '[')
        return bytes_of(name.p + 1, name.n - 2);
    return name;
}

static void hear_command(struct replication *r, struct client *client, int argc, const struct bytes *argv)
{
    bool of_master = client->flags & CLIENT_MASTER;
    struct repl_event e = {
        .kind = REPL_COMMAND,
        .peer = of_master ? upstream_peer(r) : client->id,
        .command = { .argc = argc,
                     .argv = argv,
                     .ip = client->conn ? ip_of(client) : BYTES(""),
                     .pending_output = client->conn && !of_master && conn_out_bytes(client->conn) > 0,
                     .in_link = of_master },
    };
    if (!of_master)
        client->flags |= CLIENT_REPLICATION;
    repl_heard(r, &e);
    dispatch_retarget(node_dispatch(r->node));
}

void replication_command(struct replication *r, struct call *c)
{
    hear_command(r, c->client, c->argc, c->argv);
}

void replication_pinged(struct replication *r, struct client *client, int argc, const struct bytes *argv)
{
    hear_command(r, client, argc, argv);
}

void replication_follow(struct replication *r, struct bytes host, int port)
{
    ASSERT(!r->performing);
    if (r->started) {
        repl_heard(r, &(struct repl_event){ .kind = REPL_FOLLOW, .follow = { host, port } });
        return;
    }
    mem_free(r->first_host); /* our own data come first */
    r->first_host = NULL;
    if (host.n) {
        r->first_host = mem_zalloc(host.n + 1);
        memcpy(r->first_host, host.p, host.n);
    }
    r->first_port = port;
}

void replication_client_gone(struct replication *r, struct client *client)
{
    downstream_forget(r, client);
    repl_heard(r, &(struct repl_event){ .kind = REPL_PEER_DOWN, .peer = client->id, .text = BYTES("connection lost") });
}

void replication_alive(struct replication *r, struct client *client)
{
    repl_heard(r, &(struct repl_event){ .kind = REPL_PEER_ALIVE, .peer = client->id });
}

void replication_wait(struct replication *r, struct client *client, int replicas, msec_t timeout_ms, bool fsynced)
{
    msec_t now = replication_now(r);
    bool forever = timeout_ms == 0 || timeout_ms > REPL_NEVER - now;
    struct repl_event e = { .kind = REPL_WAIT,
                            .wait = { .id = client->id,
                                      .offset = client->write_offset,
                                      .replicas = replicas,
                                      .deadline = forever ? REPL_NEVER : now + timeout_ms,
                                      .fsynced = fsynced } };
    repl_heard(r, &e);
}

void replication_unwait(struct replication *r, struct client *client)
{
    repl_heard(r, &(struct repl_event){ .kind = REPL_UNWAIT, .wait = { .id = client->id } });
}

int replication_acked(const struct replication *r, int64_t offset, bool fsynced)
{
    return repl_acked(r->machine, offset, fsynced);
}

/* ---- gates ---- */

bool replication_is_replica(const struct replication *r) { return r->replica; }

bool replication_has_good_replicas(const struct replication *r)
{
    return repl_writes_allowed(r->machine, replication_now(r));
}

bool replication_is_stale(const struct replication *r)
{
    return r->replica && !r->config->replica_serve_stale_data && !repl_link_up(r->machine);
}

bool replication_too_old(const struct replication *r)
{
    return r->replica && r->config->replica_max_staleness_ms && repl_too_stale(r->machine, replication_now(r));
}

bool replication_leaves_eviction(const struct replication *r)
{
    return r->replica && r->config->replica_ignore_maxmemory;
}

/* ---- queries ---- */

const struct repl *replication_machine(const struct replication *r) { return r->machine; }

msec_t replication_now(const struct replication *r)
{
    return io_now_monotonic(node_io(r->node)) / 1000;
}

void replication_ask_acks(struct replication *r)
{
    repl_heard_kind(r, REPL_ASK_ACKS);
}

size_t replication_memory(const struct replication *r)
{
    struct repl_view v;
    repl_view(r->machine, replication_now(r), &v);
    return v.backlog_memory > v.backlog_size ? v.backlog_memory - v.backlog_size : 0;
}

/* ---- life ---- */

int repl_stream_db(const struct replication *r)
{
    int db = r->replica ? upstream_db(r) : propagate_db(node_propagate(r->node));
    return db < 0 ? 0 : db; /* a stream without SELECT begins there */
}

static bool identity(void *ctx, struct rdb_replication *ret)
{
    struct replication *r = ctx;
    struct repl_view v;
    repl_view(r->machine, replication_now(r), &v);
    if (!v.replica && !v.backlog)
        return false; /* nobody could go on from here */
    ret->stream_db = repl_stream_db(r);
    ret->id = bytes_of_str(v.replid);
    ret->offset = v.offset;
    return true;
}

static void on_idle(void *ctx)
{
    repl_heard_kind(ctx, REPL_TICK);
}

struct replication *replication_new(struct node *node)
{
    struct replication *r = mem_zalloc(sizeof(*r));
    r->node = node;
    r->config = &node_options(node)->replication;
    r->sink = -1;
    r->held = BUF_INIT(BUF_UNLIMITED);
    list_init(&r->attached);
    list_init(&r->images);
    unsigned char seed[REPL_SEED_BYTES];
    clock_random(seed, sizeof(seed));
    struct repl_config c = machine_config(r);
    r->machine = repl_new(&c, seed);
    saving_set_identity(node_saving(node), identity, r);
    snapshots_on_idle(saving_snapshots(node_saving(node)), on_idle, r);
    return r;
}

void replication_end(struct replication *r)
{
    if (r)
        r->ended = true;
}

void replication_free(struct replication *r)
{
    if (!r)
        return;
    set_stream(r, false);
    upstream_free(r);
    loader_abort(r);
    downstream_free(r);
    repl_actions_done(&r->actions);
    repl_free(r->machine);
    mem_free(r->later);
    mem_free(r->first_host);
    mem_free(r);
}

void replication_configured(struct replication *r)
{
    struct repl_config c = machine_config(r);
    repl_heard(r, &(struct repl_event){ .kind = REPL_CONFIGURED, .config = &c });
}

/* "host port" of the directive: the port is behind the last space. */
static void configured_master(struct replication *r, struct repl_event *e)
{
    if (r->first_host) {
        e->follow.host = bytes_of_str(r->first_host);
        e->follow.port = r->first_port;
    }
    if (!r->config->replicaof || node_cluster(r->node))
        return;
    struct bytes host = bytes_of_str(r->config->replicaof);
    while (host.n && host.p[host.n - 1] != ' ')
        host.n--;
    int port = atoi(host.p + host.n);
    host.n -= host.n > 0;
    e->follow.host = host;
    e->follow.port = port;
}

void replication_started(struct replication *r, struct bytes replid, int64_t offset, int stream_db)
{
    r->stream_db = stream_db < 0 ? 0 : stream_db;
    struct repl_event e = { .kind = REPL_STARTED };
    e.started.replid = replid;
    e.started.offset = offset;
    configured_master(r, &e);
    r->started = true;
    repl_heard(r, &e);
}
