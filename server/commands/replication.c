/* REPLICAOF SLAVEOF ROLE REPLCONF PSYNC SYNC WAIT WAITAOF FAILOVER, and REPLICATION LAG, which is ours. What these mean
 * is decided by the machine of replication/; it answers all but ROLE, WAIT and LAG. */
#include <limits.h>
#include <stdio.h>

#include "common/num.h"
#include "server/call.h"
#include "server/client.h"
#include "server/drivers/cluster.h"
#include "server/drivers/replication.h"
#include "server/node.h"
#include "server/waiting.h"

/* REPLICAOF SLAVEOF REPLCONF PSYNC SYNC FAILOVER */
/* In a cluster it is the cluster that says who follows whom, and a master that must hear its replicas first (they may
 * have more than it) gives its data to nobody. */
static bool cluster_forbids(struct call *c)
{
    const char *name = c->cmd->row->name;
    if (!node_cluster(c->node))
        return false;
    if (!strcmp(name, "replicaof") || !strcmp(name, "slaveof"))
        reply_error(c, "ERR REPLICAOF not allowed in cluster mode.");
    else if (!strcmp(name, "failover"))
        reply_error(c, "ERR FAILOVER not allowed in cluster mode.");
    else if (strcmp(name, "replconf") && cluster_holds_back(cluster_driver_machine(node_cluster(c->node))))
        reply_error(c, "LOADING Redis is loading the dataset in memory");
    else
        return false;
    return true;
}

static void cmd_of_machine(struct call *c)
{
    if (cluster_forbids(c))
        return;
    replication_command(node_replication(c->node), c);
}

/* ---- ROLE ---- */

static void role_of_master(struct call *c, const struct repl_view *v)
{
    const struct repl *machine = replication_machine(node_replication(c->node));
    msec_t now = replication_now(node_replication(c->node));
    reply_array(c, 3);
    resp_bulk_str(c->w, "master");
    reply_int(c, v->offset);
    struct writer_mark mark = resp_later(c->w);
    int online = 0;
    for (int i = 0; i < v->replicas; i++) {
        struct repl_replica_view replica;
        repl_replica_at(machine, i, now, &replica);
        if (replica.state != REPL_REPLICA_ONLINE)
            continue;
        online++;
        reply_array(c, 3);
        resp_bulk_str(c->w, replica.ip);
        resp_bulk_i64(c->w, replica.port);
        resp_bulk_i64(c->w, replica.ack_offset);
    }
    resp_later_array(c->w, mark, online);
}

static const char *link_state_name(enum repl_link_state state)
{
    switch (state) {
    case REPL_LINK_NONE: return "none";
    case REPL_LINK_WAITING:
    case REPL_LINK_GUARDED: return "connect";
    case REPL_LINK_CONNECTING: return "connecting";
    case REPL_LINK_HANDSHAKE: return "handshake";
    case REPL_LINK_TRANSFER:
    case REPL_LINK_LOADING: return "sync";
    case REPL_LINK_CONNECTED: return "connected";
    }
    return "unknown";
}

static void cmd_role(struct call *c)
{
    const struct replication *rep = node_replication(c->node);
    struct repl_view v;
    repl_view(replication_machine(rep), replication_now(rep), &v);
    if (!v.replica) {
        role_of_master(c, &v);
        return;
    }
    reply_array(c, 5);
    resp_bulk_str(c->w, "slave");
    resp_bulk_str(c->w, v.master_host);
    reply_int(c, v.master_port);
    resp_bulk_str(c->w, link_state_name(v.link));
    reply_int(c, v.link == REPL_LINK_CONNECTED ? v.offset : -1);
}

/* ---- WAIT, WAITAOF ---- */

static bool arg_wait_timeout(struct call *c, int i, msec_t *ret_ms)
{
    if (!num_parse_i64(c->argv[i], ret_ms)) {
        reply_error(c, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (*ret_ms < 0) {
        reply_error(c, "ERR timeout is negative");
        return false;
    }
    if (*ret_ms > INT64_MAX - c->now) {
        reply_error(c, "ERR timeout is out of range");
        return false;
    }
    return true;
}

static bool refuse_on_replica(struct call *c, const char *name)
{
    if (!replication_is_replica(node_replication(c->node)))
        return false;
    resp_errorf(c->w,
                "ERR %s cannot be used with replica instances. Please also note that %swrites to replicas are just "
                "local and are not propagated.",
                name, name[4] ? "" : "since Redis 4.0 if a replica is configured to be writable (which is not the "
                                     "default) ");
    return true;
}

static void cmd_wait(struct call *c)
{
    int64_t replicas;
    msec_t timeout;
    if (refuse_on_replica(c, "WAIT") || !arg_i64(c, 1, &replicas) || !arg_wait_timeout(c, 2, &timeout))
        return;
    int have = replication_acked(node_replication(c->node), c->client->write_offset, false);
    if (have >= replicas || !call_may_block(c))
        reply_int(c, have);
    else
        wait_for_replicas(c, replicas < INT_MAX ? (int)replicas : INT_MAX, timeout, false, -1);
}

static void cmd_waitaof(struct call *c)
{
    int64_t local, replicas;
    msec_t timeout;
    if (!arg_i64_range(c, 1, 0, 1, &local) || !arg_i64_range(c, 2, 0, INT64_MAX, &replicas) ||
        !arg_wait_timeout(c, 3, &timeout) || refuse_on_replica(c, "WAITAOF"))
        return;
    if (local) {
        reply_error(c, "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
        return;
    }
    int have = replication_acked(node_replication(c->node), c->client->write_offset, true);
    if (have < replicas && call_may_block(c)) {
        wait_for_replicas(c, replicas < INT_MAX ? (int)replicas : INT_MAX, timeout, true, 0);
        return;
    }
    reply_array(c, 2);
    reply_int(c, 0);
    reply_int(c, have);
}

/* ---- REPLICATION LAG: who is how old, in milliseconds ---- */

static void put_text(struct call *c, const char *field, const char *value)
{
    resp_bulk_str(c->w, field);
    resp_bulk_str(c->w, value);
}

static void put_number(struct call *c, const char *field, int64_t value)
{
    resp_bulk_str(c->w, field);
    reply_int(c, value);
}

static const char *replica_state_name(enum repl_replica_state state)
{
    static const char *const names[] = { "wait_bgsave", "send_bulk", "online" };
    return names[state];
}

static void lag_of_replica(struct call *c, const struct repl_replica_view *r)
{
    char address[REPL_ADDR_MAX + 16];
    snprintf(address, sizeof(address), "%s:%d", r->ip, r->port);
    resp_map(c->w, 9);
    put_text(c, "replica", address);
    put_text(c, "state", replica_state_name(r->state));
    put_number(c, "offset", r->ack_offset);
    put_number(c, "lag_ms", r->lag_ms);
    put_number(c, "lag_bytes", (int64_t)r->lag_bytes);
    put_number(c, "unsent", (int64_t)r->unsent);
    put_number(c, "spilled", (int64_t)r->spilled);
    put_number(c, "drain", (int64_t)r->drain);
    put_number(c, "ack_age_ms", r->ack_age_ms);
}

static void cmd_replication_lag(struct call *c)
{
    struct replication *rep = node_replication(c->node);
    const struct repl *machine = replication_machine(rep);
    msec_t now = replication_now(rep);
    struct repl_view v;
    repl_view(machine, now, &v);
    resp_map(c->w, v.replica ? 8 : 6);
    put_text(c, "role", v.replica ? "slave" : "master");
    put_text(c, "replid", v.replid);
    put_number(c, "offset", v.offset);
    put_number(c, "backlog_first", v.backlog_first);
    put_number(c, "backlog_size", (int64_t)v.backlog_size);
    if (v.replica) {
        put_text(c, "link", link_state_name(v.link));
        put_number(c, "lag_ms", v.staleness_ms);
    }
    resp_bulk_str(c->w, "replicas");
    reply_array(c, v.replicas);
    for (int i = 0; i < v.replicas; i++) {
        struct repl_replica_view r;
        repl_replica_at(machine, i, now, &r);
        lag_of_replica(c, &r);
    }
    replication_ask_acks(rep); /* for the next look */
}

static void cmd_replication_help(struct call *c)
{
    static const char *const lines[] = {
        "LAG", "    Prints how old the data of each replica are, in milliseconds and bytes.", NULL
    };
    reply_help(c, lines);
}

static const struct command replication_subs[] = {
    { "lag", cmd_replication_lag, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    { "help", cmd_replication_help, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    COMMANDS_END,
};

#define ADMIN (CMD_ADMIN | CMD_NOSCRIPT)
const struct command replication_commands[] = {
    { "replicaof", cmd_of_machine, 3, ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING, NO_KEYS, NULL },
    { "slaveof", cmd_of_machine, 3, ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING, NO_KEYS, NULL },
    { "role", cmd_role, 1, CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST, NO_KEYS, NULL },
    { "replconf", cmd_of_machine, -1, ADMIN | CMD_LOADING | CMD_STALE | CMD_ALLOW_BUSY, NO_KEYS, NULL },
    { "psync", cmd_of_machine, -3, ADMIN | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI, NO_KEYS, NULL },
    { "sync", cmd_of_machine, 1, ADMIN | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI, NO_KEYS, NULL },
    { "failover", cmd_of_machine, -1, ADMIN | CMD_STALE, NO_KEYS, NULL },
    { "wait", cmd_wait, 3, 0, NO_KEYS, NULL },
    { "waitaof", cmd_waitaof, 4, CMD_NOSCRIPT, NO_KEYS, NULL },
    { "replication", NULL, -2, CMD_CONTAINER, NO_KEYS, replication_subs },
    COMMANDS_END,
};
