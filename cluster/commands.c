/* CLUSTER commands that change something, with the texts of Redis. */
#include "cluster/machine.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/assert.h"

static void reply(struct cluster *c, bool error, const char *format, va_list args)
{
    char text[512];
    int n = vsnprintf(text, sizeof text, format, args);
    ASSERT(n >= 0);
    struct bytes b = bytes_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    c->out->reply = (struct cluster_reply){ error, arena_copy(&c->out->arena, b) };
}

void reply_ok(struct cluster *c)
{
    c->out->reply = (struct cluster_reply){ false, BYTES("OK") };
}

void reply_error(struct cluster *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reply(c, true, format, args);
    va_end(args);
}

void reply_status(struct cluster *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reply(c, false, format, args);
    va_end(args);
}

struct cluster_node *command_node(struct cluster *c, struct bytes name)
{
    return name.n == CLUSTER_NAME ? node_find(c, name.p) : NULL;
}

static void unknown_node(struct cluster *c, struct bytes name)
{
    reply_error(c, "ERR Unknown node %.*s", (int)(name.n < 200 ? name.n : 200), name.p);
}

/* ---- MEET ---- */

static bool ipv4_ok(struct bytes s)
{
    unsigned parts = 0, digits = 0, value = 0;
    for (size_t i = 0; i <= s.n; i++) {
        if (i == s.n || s.p[i] == '.') {
            if (!digits || value > 255)
                return false;
            parts++;
            digits = value = 0;
        } else if (s.p[i] >= '0' && s.p[i] <= '9' && digits < 3) {
            value = value * 10 + (unsigned)(s.p[i] - '0');
            digits++;
        } else {
            return false;
        }
    }
    return parts == 4;
}

static bool ipv6_ok(struct bytes s)
{
    unsigned colons = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == ':')
            colons++;
        else if (!strchr("0123456789abcdefABCDEF.", s.p[i]))
            return false;
    }
    return colons >= 2 && colons <= 7;
}

bool address_ok(struct bytes ip)
{
    return ip.n > 0 && ip.n < CLUSTER_IP && !memchr(ip.p, '\0', ip.n) && (ipv4_ok(ip) || ipv6_ok(ip));
}

static void meet(struct cluster *c, const struct cluster_command *cmd)
{
    int64_t bus = cmd->bus_port ? cmd->bus_port : cmd->port + 10000;
    if (!address_ok(cmd->ip) || cmd->port <= 0 || cmd->port > 65535 || bus <= 0 || bus > 65535) {
        reply_error(c, "ERR Invalid node address specified: %.*s:%" PRId64,
                    (int)(cmd->ip.n < 200 ? cmd->ip.n : 200), cmd->ip.p, cmd->port);
        return;
    }
    reply_ok(c);
    char ip[CLUSTER_IP] = { 0 };
    memcpy(ip, cmd->ip.p, cmd->ip.n);
    for (size_t i = 0; i < c->n_nodes; i++)
        if (node_is(c->nodes[i], CLUSTER_NODE_HANDSHAKE) && strcmp(c->nodes[i]->ip, ip) == 0 &&
            c->nodes[i]->bus_port == bus)
            return; /* under way */
    if (c->n_nodes >= NODES_MAX)
        return;
    struct cluster_node *n = node_add(c, NULL, CLUSTER_NODE_HANDSHAKE | CLUSTER_NODE_MEET);
    memcpy(n->ip, ip, CLUSTER_IP);
    n->port = (uint16_t)cmd->port;
    n->bus_port = (uint16_t)bus;
    node_connect(c, n);
}

/* ---- slots ---- */

/* Nothing is changed when one of them cannot be. */
static bool slots_can_change(struct cluster *c, const struct cluster_command *cmd, bool add)
{
    uint8_t seen[WIRE_SLOTS] = { 0 };
    for (size_t r = 0; r < cmd->n_ranges; r++)
        for (int s = cmd->ranges[r].first; s <= cmd->ranges[r].last; s++) {
            ASSERT(s >= 0 && s < CLUSTER_SLOTS);
            const struct cluster_node *owner = slot_owner(c, (unsigned)s);
            if (add && owner)
                reply_error(c, "ERR Slot %d is already busy", s);
            else if (!add && !owner)
                reply_error(c, "ERR Slot %d is already unassigned", s);
            else if (bit_get(seen, (unsigned)s))
                reply_error(c, "ERR Slot %d specified multiple times", s);
            else {
                bit_set(seen, (unsigned)s);
                continue;
            }
            return false;
        }
    return true;
}

static void change_slots(struct cluster *c, const struct cluster_command *cmd, bool add)
{
    if (!slots_can_change(c, cmd, add))
        return;
    for (size_t r = 0; r < cmd->n_ranges; r++)
        for (int s = cmd->ranges[r].first; s <= cmd->ranges[r].last; s++) {
            if (add)
                move_set(&c->importing, (unsigned)s, NULL);
            slot_assign(c, (unsigned)s, add ? c->me : NULL);
        }
    save_durable(c);
    reply_ok(c);
}

static void flush_slots(struct cluster *c, const struct cluster_command *cmd)
{
    if (!cmd->dataset_empty) {
        reply_error(c, "ERR DB must be empty to perform CLUSTER FLUSHSLOTS.");
        return;
    }
    slots_drop_all(c, c->me);
    save_durable(c);
    reply_ok(c);
}

/* ---- epochs ---- */

static void bump_epoch(struct cluster *c)
{
    bool bumped = epoch_bump(c);
    reply_status(c, "%s %" PRIu64, bumped ? "BUMPED" : "STILL", c->me->config_epoch);
}

static void set_config_epoch(struct cluster *c, const struct cluster_command *cmd)
{
    if (c->n_nodes > 1)
        reply_error(c, "ERR The user can assign a config epoch only when the node does not know any other node.");
    else if (c->me->config_epoch)
        reply_error(c, "ERR Node config epoch is already non-zero");
    else {
        c->me->config_epoch = cmd->epoch;
        if (cmd->epoch > c->current_epoch)
            c->current_epoch = cmd->epoch;
        c->slots_version++;
        save_durable(c);
        reply_ok(c);
    }
}

/* ---- nodes ---- */

static void forget(struct cluster *c, const struct cluster_command *cmd)
{
    struct cluster_node *n = command_node(c, cmd->name);
    if (!n && cmd->name.n == CLUSTER_NAME && nodes_blacklisted(c, cmd->name.p))
        reply_ok(c); /* others told us to already */
    else if (!n)
        unknown_node(c, cmd->name);
    else if (n == c->me)
        reply_error(c, "ERR I tried hard but I can't forget myself...");
    else if (c->me->master == n)
        reply_error(c, "ERR Can't forget my master!");
    else {
        nodes_blacklist(c, n->name, BLACKLIST_MS);
        node_remove(c, n);
        save_durable(c);
        reply_ok(c);
        if (c->n_nodes <= SMALL_CLUSTER) /* they shall hear of it now, not with the next round */
            for (size_t i = 0; i < c->n_nodes; i++)
                if (c->nodes[i] != c->me)
                    send_report(c, c->nodes[i]);
    }
}

static void replicate(struct cluster *c, const struct cluster_command *cmd)
{
    struct cluster_node *n = command_node(c, cmd->name);
    if (!n)
        unknown_node(c, cmd->name);
    else if (n == c->me)
        reply_error(c, "ERR Can't replicate myself");
    else if (node_is(n, CLUSTER_NODE_REPLICA))
        reply_error(c, "ERR I can only replicate a master, not a replica.");
    else if (node_is(c->me, CLUSTER_NODE_MASTER) && (c->me->n_slots || !cmd->dataset_empty))
        reply_error(c, "ERR To set a master the node must be empty and without assigned slots.");
    else {
        become_replica_of(c, n);
        save_durable(c);
        reply_ok(c);
        broadcast_pong(c, NULL);
    }
}

static void failover(struct cluster *c, const struct cluster_command *cmd)
{
    struct cluster_node *m = c->me->master;
    if (node_is(c->me, CLUSTER_NODE_MASTER)) {
        reply_error(c, "ERR You should send CLUSTER FAILOVER to a replica");
        return;
    }
    if (!m) {
        reply_error(c, "ERR I'm a replica but my master is unknown to me");
        return;
    }
    if (cmd->failover == CLUSTER_FAILOVER_DEFAULT && (node_is(m, CLUSTER_NODE_FAIL) || !m->to || !m->to->up)) {
        reply_error(c, "ERR Master is down or failed, please use CLUSTER FAILOVER FORCE");
        return;
    }
    reply_ok(c);
    manual_begin_replica(c);
    if (cmd->failover == CLUSTER_FAILOVER_TAKEOVER) {
        trace(c, CLUSTER_TRACE_NOTICE, "Taking over the master (user request).");
        epoch_bump(c);
        take_over(c);
    } else if (cmd->failover == CLUSTER_FAILOVER_FORCE) {
        trace(c, CLUSTER_TRACE_NOTICE, "Forced failover user request accepted.");
        c->manual.can_start = true;
    } else {
        trace(c, CLUSTER_TRACE_NOTICE, "Manual failover user request accepted.");
        struct frame f = frame_begin(c, WIRE_MFSTART);
        node_send(c, m, frame_end(c, &f), WIRE_MFSTART);
    }
}

static void reset(struct cluster *c, const struct cluster_command *cmd)
{
    bool replica = node_is(c->me, CLUSTER_NODE_REPLICA);
    if (!replica && !cmd->dataset_empty) {
        reply_error(c, "ERR CLUSTER RESET can't be called with master nodes containing keys");
        return;
    }
    if (replica) {
        become_master(c);
        act(c, CLUSTER_FLUSH);
    }
    manual_reset(c);
    c->lease = (struct lease){ 0 };
    c->migrating.n = c->importing.n = 0;
    while (c->n_nodes > 1)
        node_remove(c, c->nodes[c->n_nodes - 1] == c->me ? c->nodes[c->n_nodes - 2] : c->nodes[c->n_nodes - 1]);
    slots_drop_all(c, c->me);
    if (replica || cmd->hard)
        random_name(c, c->me->shard);
    if (cmd->hard) {
        char name[CLUSTER_NAME + 1];
        random_name(c, name);
        node_rename(c, c->me, name);
        c->current_epoch = c->last_vote_epoch = c->me->config_epoch = 0;
        c->n_forgotten = 0;
    }
    c->slots_version++;
    c->todo_state = c->todo_served = true;
    save_durable(c);
    reply_ok(c);
}

void command_run(struct cluster *c, const struct cluster_command *cmd)
{
    switch (cmd->kind) {
    case CLUSTER_MEET:
        return meet(c, cmd);
    case CLUSTER_ADDSLOTS:
        return change_slots(c, cmd, true);
    case CLUSTER_DELSLOTS:
        return change_slots(c, cmd, false);
    case CLUSTER_FLUSHSLOTS:
        return flush_slots(c, cmd);
    case CLUSTER_SETSLOT_MIGRATING:
    case CLUSTER_SETSLOT_IMPORTING:
    case CLUSTER_SETSLOT_STABLE:
    case CLUSTER_SETSLOT_NODE:
        return command_setslot(c, cmd);
    case CLUSTER_BUMPEPOCH:
        return bump_epoch(c);
    case CLUSTER_SET_CONFIG_EPOCH:
        return set_config_epoch(c, cmd);
    case CLUSTER_SAVECONFIG:
        save_durable(c);
        return reply_ok(c);
    case CLUSTER_FORGET:
        return forget(c, cmd);
    case CLUSTER_REPLICATE:
        return replicate(c, cmd);
    case CLUSTER_FAILOVER:
        return failover(c, cmd);
    case CLUSTER_RESET:
        return reset(c, cmd);
    }
}
