/* The cluster's driver (see cluster.h): translates and decides nothing.
 *
 * What is heard while the actions of a step are performed (a connection that cannot be begun, the result of a save)
 * waits until they are done. Steps happen where bytes or time are heard, which is before anything of the turn is
 * executed, or inside of a CLUSTER command. */
#include "server/drivers/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/keyslot.h"
#include "common/log.h"
#include "server/cluster_clients.h"
#include "server/dispatch.h"
#include "server/drivers/bus.h"
#include "server/drivers/replication.h"
#include "server/node.h"
#include "server/pubsub.h"

#define SILENCE_MS 50 /* between two steps, after which the machine is told of the time before anything is executed */
#define NODES_CONF_MAX ((size_t)256 * 1024 * 1024)

struct heard { /* during a step */
    enum cluster_event_kind kind;
    cluster_link_id id;
    bool ok;
};

struct cluster_driver {
    struct node *node;
    struct io *io;
    struct cluster *machine;
    struct bus *bus;
    struct io_lock *nodes_conf;
    const struct cluster_settings *settings;
    struct cluster_actions actions;
    bool performing;
    struct heard *heard;
    size_t heard_n, heard_cap;
    msec_t stepped_at;  /* the last step */
    bool save_failed;   /* of the actions under way: what relies on it is not sent */
    struct cluster_repl repl; /* as the machine was told */
};

static msec_t now_ms(const struct cluster_driver *d)
{
    return io_now_monotonic(d->io) / 1000;
}

/* ---- configuration ---- */

static int bus_port(const struct cluster_driver *d)
{
    const struct net_config *net = &node_options(d->node)->net;
    return d->settings->port ? d->settings->port : net->port + 10000;
}

static struct cluster_config machine_config(const struct cluster_driver *d)
{
    const struct cluster_settings *s = d->settings;
    const struct net_config *net = &node_options(d->node)->net;
    return (struct cluster_config){
        .announce_ip = s->announce_ip ? s->announce_ip : "",
        .hostname = s->announce_hostname ? s->announce_hostname : "",
        .human_nodename = s->announce_human_nodename ? s->announce_human_nodename : "",
        .port = (uint16_t)(s->announce_port ? s->announce_port : net->port),
        .tls_port = (uint16_t)s->announce_tls_port,
        .bus_port = (uint16_t)(s->announce_bus_port ? s->announce_bus_port : bus_port(d)),
        .node_timeout_ms = s->node_timeout,
        .ping_interval_ms = s->ping_interval,
        .repl_ping_period_ms = (msec_t)node_options(d->node)->replication.repl_ping_replica_period * 1000,
        .replica_validity_factor = s->replica_validity_factor,
        .migration_barrier = s->migration_barrier,
        .replica_no_failover = s->replica_no_failover,
        .allow_replica_migration = s->allow_replica_migration,
        .require_full_coverage = s->require_full_coverage,
        .allow_reads_when_down = s->allow_reads_when_down,
        .allow_pubsubshard_when_down = s->allow_pubsubshard_when_down,
        .endpoint = (enum cluster_endpoint)s->preferred_endpoint_type,
    };
}

/* ---- actions ---- */

static void hear(struct cluster_driver *d, struct heard h)
{
    if (d->heard_n == d->heard_cap) {
        d->heard_cap = d->heard_cap ? d->heard_cap * 2 : 8;
        d->heard = mem_realloc(d->heard, d->heard_cap * sizeof(*d->heard));
    }
    d->heard[d->heard_n++] = h;
}

static void do_connect(struct cluster_driver *d, const struct cluster_action *a)
{
    const char *source = node_options(d->node)->net.bind_source_addr;
    int r = bus_connect(d->bus, a->connect.id, a->connect.ip, a->connect.port, source);
    if (r < 0) {
        log_debug("Unable to connect to Cluster Node [%s]:%d -> %s", a->connect.ip, a->connect.port, strerror(-r));
        hear(d, (struct heard){ .kind = CLUSTER_LINK_DOWN, .id = a->connect.id });
    }
}

static void do_send(struct cluster_driver *d, const struct cluster_action *a)
{
    if (d->save_failed)
        return;
    size_t waiting = bus_send(d->bus, a->send.id, a->send.bytes);
    uint64_t limit = d->settings->link_sendbuf_limit;
    if (limit && waiting > limit) {
        log_warning("Freeing outbound cluster link exceeding the send buffer limit of %llu bytes (it has %zu)",
                    (unsigned long long)limit, waiting);
        bus_fail(d->bus, a->send.id, CLUSTER_DOWN_LIMIT);
    }
}

static void do_save(struct cluster_driver *d, const struct cluster_action *a)
{
    int r = io_lock_replace(d->nodes_conf, a->save.bytes, a->save.durable);
    if (r < 0) {
        log_warning("Could not save the cluster config file %s: %s", d->settings->config_file, strerror(-r));
        d->save_failed = true;
    }
    hear(d, (struct heard){ .kind = CLUSTER_SAVED, .ok = r == 0 });
}

/* ip NULL: nobody, the node is a master. */
static void follow(struct cluster_driver *d, const char *ip, int port)
{
    replication_follow(node_replication(d->node), ip ? bytes_of_str(ip) : bytes_of(NULL, 0), port);
}

/* How our own replication stands. While the link is down, what was heard last counts. */
static struct cluster_repl repl_state(struct cluster_driver *d)
{
    const struct replication *rep = node_replication(d->node);
    const struct repl *machine = replication_machine(rep);
    d->repl.offset = repl_offset(machine);
    d->repl.link_up = replication_is_replica(rep) && repl_link_up(machine);
    if (d->repl.link_up) {
        struct repl_view v;
        repl_view(machine, now_ms(d), &v);
        d->repl.heard = now_ms(d) - (v.last_io_ms > 0 ? v.last_io_ms : 0);
    }
    return d->repl;
}

static void do_pause(struct cluster_driver *d, const struct cluster_action *a)
{
    struct dispatch *dispatch = node_dispatch(d->node);
    dispatch_unpause(dispatch, PAUSE_FOR_FAILOVER);
    if (a->pause.what != CLUSTER_PAUSE_NOTHING)
        dispatch_pause(dispatch, PAUSE_FOR_FAILOVER, a->pause.what == CLUSTER_PAUSE_ALL ? PAUSE_ALL : PAUSE_WRITE,
                       a->pause.until);
}

static void do_drop_keys(struct cluster_driver *d, const struct cluster_action *a)
{
    struct db *db = ks_db(node_keyspace(d->node), 0);
    for (unsigned slot = 0; slot < KEY_SLOTS; slot++)
        if (cluster_serves(a->drop.slots, slot))
            (void)db_drop_slot(db, slot);
}

static void do_trace(const struct cluster_action *a)
{
    switch (a->trace.level) {
    case CLUSTER_TRACE_DEBUG: log_debug("%s", a->trace.text); break;
    case CLUSTER_TRACE_VERBOSE: log_verbose("%s", a->trace.text); break;
    case CLUSTER_TRACE_NOTICE: log_notice("%s", a->trace.text); break;
    case CLUSTER_TRACE_WARNING: log_warning("%s", a->trace.text); break;
    }
}

static void perform(struct cluster_driver *d, const struct cluster_action *a)
{
    switch (a->kind) {
    case CLUSTER_CONNECT: do_connect(d, a); break;
    case CLUSTER_CLOSE: bus_close(d->bus, a->close.id); break;
    case CLUSTER_SEND: do_send(d, a); break;
    case CLUSTER_SAVE: do_save(d, a); break;
    case CLUSTER_SLOTS_CHANGED: cluster_clients_slots_changed(d->node); break;
    case CLUSTER_BECOME_MASTER: follow(d, NULL, 0); break;
    case CLUSTER_FOLLOW:
        follow(d, a->follow.ip, a->follow.port);
        break;
    case CLUSTER_PAUSE: do_pause(d, a); break;
    case CLUSTER_DROP_SLOT_KEYS: do_drop_keys(d, a); break;
    case CLUSTER_FLUSH: ks_flush_db(ks_db(node_keyspace(d->node), 0), KS_DEL_LAZY); break;
    case CLUSTER_STATE:
        if (!a->state.ok)
            cluster_clients_slots_changed(d->node);
        break;
    case CLUSTER_PUBLISH:
        (void)pubsub_publish(node_pubsub(d->node), a->publish.channel, a->publish.message, a->publish.sharded);
        break;
    case CLUSTER_TRACE: do_trace(a); break;
    }
}

/* ---- steps ---- */

static void step(struct cluster_driver *d, struct cluster_event *e)
{
    ASSERT(!d->performing);
    d->performing = true;
    e->now = d->stepped_at = now_ms(d);
    e->wall = io_now_wall(d->io) / 1000;
    e->repl = repl_state(d);
    cluster_actions_clear(&d->actions);
    cluster_step(d->machine, e, &d->actions);
    d->save_failed = false;
    for (size_t i = 0; i < d->actions.n; i++)
        perform(d, &d->actions.v[i]);
    dispatch_retarget(node_dispatch(d->node)); /* others may have been written to while a command runs */
    d->performing = false;
}

/* What was heard meanwhile. The answer to a command is in `actions`: the caller has it by then. */
static void settle(struct cluster_driver *d)
{
    for (size_t i = 0; i < d->heard_n; i++) {
        struct cluster_event e = { .kind = d->heard[i].kind };
        if (e.kind == CLUSTER_SAVED) {
            e.saved.ok = d->heard[i].ok;
        } else {
            e.link.id = d->heard[i].id;
            e.link.reason = CLUSTER_DOWN_TIMEOUT;
        }
        step(d, &e);
    }
    d->heard_n = 0;
}

static void give(struct cluster_driver *d, struct cluster_event *e)
{
    step(d, e);
    settle(d);
}

static void on_up(void *ctx, cluster_link_id id, const char *peer_ip, const char *local_ip)
{
    struct cluster_event e = {
        .kind = CLUSTER_LINK_UP,
        .link = { .id = id, .peer_ip = peer_ip, .local_ip = local_ip },
    };
    give(ctx, &e);
}

static void on_down(void *ctx, cluster_link_id id, enum cluster_down why)
{
    struct cluster_event e = { .kind = CLUSTER_LINK_DOWN, .link = { .id = id, .reason = why } };
    give(ctx, &e);
}

static void on_frame(void *ctx, cluster_link_id id, struct bytes frame)
{
    struct cluster_event e = { .kind = CLUSTER_PACKET, .packet = { .id = id, .frame = frame } };
    give(ctx, &e);
}

void cluster_driver_after_wait(struct cluster_driver *d)
{
    msec_t now = now_ms(d);
    if (now < cluster_deadline(d->machine) && now - d->stepped_at < SILENCE_MS)
        return;
    struct cluster_event e = { .kind = CLUSTER_TICK };
    give(d, &e);
}

usec_t cluster_driver_before_wait(struct cluster_driver *d)
{
    const struct repl *repl = replication_machine(node_replication(d->node));
    bool link_up = replication_is_replica(node_replication(d->node)) && repl_link_up(repl);
    if (link_up != d->repl.link_up || (cluster_watches_offset(d->machine) && repl_offset(repl) != d->repl.offset)) {
        struct cluster_event e = { .kind = CLUSTER_REPL };
        give(d, &e);
    }
    msec_t next = cluster_deadline(d->machine);
    return next >= INT64_MAX / 1000 ? INT64_MAX : next * 1000;
}

void cluster_driver_configured(struct cluster_driver *d)
{
    struct cluster_config config = machine_config(d);
    struct cluster_event e = { .kind = CLUSTER_CONFIGURED, .config = &config };
    give(d, &e);
}

void cluster_driver_loaded(struct cluster_driver *d)
{
    uint8_t with_keys[KEY_SLOTS / 8] = { 0 };
    struct db *db = ks_db(node_keyspace(d->node), 0);
    for (unsigned slot = 0; slot < KEY_SLOTS; slot++)
        if (db_slot_size(db, slot))
            with_keys[slot / 8] |= (uint8_t)(1u << slot % 8);
    struct cluster_event e = { .kind = CLUSTER_LOADED, .loaded = { with_keys } };
    give(d, &e);
}

void cluster_driver_command(struct cluster_driver *d, struct call *c, struct cluster_command *command)
{
    struct cluster_event e = { .kind = CLUSTER_COMMAND, .command = *command };
    step(d, &e);
    struct bytes text = arena_copy(c->arena, d->actions.reply.text);
    bool error = d->actions.reply.error;
    settle(d);
    c->w = client_writer(c->client);
    if (error)
        resp_error(c->w, text);
    else
        resp_simple(c->w, text);
}

void cluster_driver_published(struct cluster_driver *d, struct bytes channel, struct bytes message, bool sharded)
{
    struct cluster_event e = { .kind = CLUSTER_PUBLISHED, .publish = { channel, message, sharded } };
    give(d, &e);
}

void cluster_driver_drop_packets(struct cluster_driver *d, int type)
{
    cluster_debug_drop(d->machine, type);
}

/* ---- the bus ---- */

bool cluster_driver_listens(const struct cluster_driver *d, const struct listener *l)
{
    return bus_listens(d->bus, l);
}

void *cluster_driver_accept(struct cluster_driver *d, struct conn *conn)
{
    return bus_accept(d->bus, conn);
}

struct bus_figures cluster_driver_figures(const struct cluster_driver *d)
{
    return (struct bus_figures){ bus_links(d->bus), bus_memory(d->bus) };
}

void cluster_driver_link(const struct cluster_driver *d, cluster_link_id id, size_t *ret_used, size_t *ret_allocated)
{
    *ret_used = bus_link_queued(d->bus, id);
    *ret_allocated = *ret_used;
}

void cluster_driver_kill_link(struct cluster_driver *d, cluster_link_id id)
{
    bus_fail(d->bus, id, CLUSTER_DOWN_EOF);
}

const struct cluster *cluster_driver_machine(const struct cluster_driver *d)
{
    return d->machine;
}

/* ---- life ---- */

static int open_nodes_conf(struct cluster_driver *d)
{
    const char *path = d->settings->config_file;
    int r = io_lock_file(path, &d->nodes_conf);
    if (r == -EAGAIN)
        log_warning("Sorry, the cluster configuration file %s is already used by a different Redis Cluster node. "
                    "Please make sure that different nodes use different cluster configuration files.", path);
    else if (r < 0)
        log_warning("Can't open %s in order to acquire a lock: %s", path, strerror(-r));
    return r;
}

static int read_nodes_conf(struct cluster_driver *d)
{
    const char *path = d->settings->config_file, *error = NULL;
    struct buf text;
    int r = io_read_file(path, NODES_CONF_MAX, &text);
    if (r < 0) {
        log_warning("Loading the cluster node config from %s: %s", path, strerror(-r));
        return r;
    }
    bool ok = cluster_load(d->machine, buf_bytes(&text), now_ms(d), io_now_wall(d->io) / 1000, &error);
    buf_done(&text);
    if (ok)
        return 0;
    log_warning("Unrecoverable error: corrupted cluster config file \"%s\": %s", path, error);
    return -EINVAL;
}

static int listen_on_bus(struct cluster_driver *d)
{
    const struct net_config *net = &node_options(d->node)->net;
    int port = bus_port(d), listening = 0;
    if (port > 65535) {
        log_warning("Redis port number too high for cluster mode. Cluster bus port number, which is generally port "
                    "plus 10000, should be between 1 and 65535.");
        return -EINVAL;
    }
    for (int i = 0; i < net->bind_n; i++) {
        bool optional = net->bind[i][0] == '-';
        int r = bus_listen(d->bus, net->bind[i] + optional, port, net->tcp_backlog);
        if (r == 0)
            listening++;
        else if (!optional) {
            log_warning("Failed listening on port %d (cluster), aborting: %s", port, strerror(-r));
            return r;
        }
    }
    if (listening)
        return 0;
    log_warning("Failed listening on port %d (cluster), aborting.", port);
    return -EADDRNOTAVAIL;
}

int cluster_driver_new(struct node *node, struct cluster_driver **ret_driver)
{
    struct cluster_driver *d = mem_zalloc(sizeof(*d));
    d->node = node;
    d->io = node_io(node);
    d->settings = &node_options(node)->cluster;
    cluster_actions_init(&d->actions);
    struct cluster_config config = machine_config(d);
    uint64_t seed;
    clock_random(&seed, sizeof(seed));
    d->machine = cluster_new(&config, seed);
    d->bus = bus_new(d->io, d->machine, &(struct bus_handler){ on_up, on_down, on_frame, d });
    d->stepped_at = now_ms(d);
    int r = open_nodes_conf(d);
    if (r == 0)
        r = read_nodes_conf(d);
    if (r == 0)
        r = listen_on_bus(d);
    if (r < 0) {
        cluster_driver_free(d);
        return r;
    }
    *ret_driver = d;
    return 0;
}

void cluster_driver_free(struct cluster_driver *d)
{
    if (!d)
        return;
    bus_free(d->bus);
    cluster_free(d->machine);
    cluster_actions_done(&d->actions);
    io_lock_free(d->nodes_conf);
    mem_free(d->heard);
    mem_free(d);
}
