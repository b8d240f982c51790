/* CLUSTER NODES INFO SLOTS SHARDS LINKS REPLICAS: the cluster as this node sees it. */
#include "common/arena.h"
#include "server/client.h"
#include "server/commands/cluster_cmd.h"
#include "server/drivers/cluster.h"
#include "server/node.h"

static void reply_text(struct call *c, void (*write)(const struct cluster *, struct buf *))
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    write(cluster_of(c), &b);
    resp_verbatim(c->w, "txt", buf_bytes(&b));
    buf_done(&b);
}

void cmd_cluster_nodes(struct call *c)
{
    if (cluster_is_on(c))
        reply_text(c, cluster_write_nodes);
}

void cmd_cluster_info(struct call *c)
{
    if (cluster_is_on(c))
        reply_text(c, cluster_write_info);
}

void cmd_cluster_replicas(struct call *c)
{
    const struct cluster_node *n, *replica;
    if (!cluster_is_on(c) || !(n = arg_node(c, 2)))
        return;
    const struct cluster *machine = cluster_of(c);
    struct cluster_node_view v;
    cluster_view(machine, n, &v);
    if (!(v.flags & CLUSTER_NODE_MASTER)) {
        reply_error(c, "ERR The specified node is not a master");
        return;
    }
    struct writer_mark m = resp_later(c->w);
    int64_t count = 0;
    struct buf line = BUF_INIT(BUF_UNLIMITED);
    for (size_t i = 0; (replica = cluster_replica(machine, n, i)); i++, count++) {
        buf_clear(&line);
        cluster_write_node(machine, replica, &line);
        reply_bulk(c, buf_bytes(&line));
    }
    buf_done(&line);
    resp_later_array(c->w, m, count);
}

/* ---- SLOTS ---- */

static enum cluster_endpoint preferred(const struct call *c)
{
    return (enum cluster_endpoint)node_options(c->node)->cluster.preferred_endpoint_type;
}

static void reply_endpoint(struct call *c, const struct cluster_node *n)
{
    const char *host = cluster_endpoint(cluster_of(c), n);
    if (host)
        resp_bulk_str(c->w, host);
    else
        reply_null(c);
}

/* [endpoint, port, id, what else is known of its addresses] */
static void reply_slots_node(struct call *c, const struct cluster_node *n, const struct cluster_node_view *v)
{
    reply_array(c, 4);
    reply_endpoint(c, n);
    reply_int(c, cluster_client_port(cluster_of(c), n, false));
    resp_bulk(c->w, bytes_of(v->name, CLUSTER_NAME));
    bool ip = preferred(c) != CLUSTER_ENDPOINT_IP;
    bool hostname = preferred(c) != CLUSTER_ENDPOINT_HOSTNAME && v->hostname[0];
    resp_map(c->w, ip + hostname);
    if (ip) {
        resp_bulk_str(c->w, "ip");
        resp_bulk_str(c->w, v->ip);
    }
    if (hostname) {
        resp_bulk_str(c->w, "hostname");
        resp_bulk_str(c->w, v->hostname);
    }
}

static void reply_slots_range(struct call *c, struct cluster_range r, const struct cluster_node *owner)
{
    const struct cluster *machine = cluster_of(c);
    const struct cluster_node *replica;
    struct cluster_node_view v;
    cluster_view(machine, owner, &v);
    struct writer_mark m = resp_later(c->w);
    int64_t n = 3;
    reply_int(c, r.first);
    reply_int(c, r.last);
    reply_slots_node(c, owner, &v);
    for (size_t i = 0; (replica = cluster_replica(machine, owner, i)); i++) {
        cluster_view(machine, replica, &v);
        if ((v.flags & CLUSTER_NODE_FAIL) || v.offset == 0)
            continue; /* it cannot serve */
        reply_slots_node(c, replica, &v);
        n++;
    }
    resp_later_array(c->w, m, n);
}

void cmd_cluster_slots(struct call *c)
{
    if (!cluster_is_on(c))
        return;
    struct writer_mark m = resp_later(c->w);
    int64_t n = 0;
    struct cluster_range r;
    const struct cluster_node *owner;
    for (int at = 0; cluster_next_range(cluster_of(c), at, &r, &owner); at = r.last + 1, n++)
        reply_slots_range(c, r, owner);
    resp_later_array(c->w, m, n);
}

/* ---- SHARDS ---- */

static void reply_shard_slots(struct call *c, const struct cluster_node *master)
{
    struct writer_mark m = resp_later(c->w);
    int64_t n = 0;
    struct cluster_range r;
    const struct cluster_node *owner;
    for (int at = 0; cluster_next_range(cluster_of(c), at, &r, &owner); at = r.last + 1) {
        if (owner != master)
            continue;
        reply_int(c, r.first);
        reply_int(c, r.last);
        n += 2;
    }
    resp_later_array(c->w, m, n);
}

static const char *health(const struct cluster_node_view *v)
{
    if (v->flags & CLUSTER_NODE_FAIL)
        return "fail";
    return (v->flags & CLUSTER_NODE_REPLICA) && v->offset == 0 ? "loading" : "online";
}

static void pair(struct call *c, const char *name, const char *value)
{
    resp_bulk_str(c->w, name);
    resp_bulk_str(c->w, value);
}

static void reply_shard_node(struct call *c, const struct cluster_node *n, const struct cluster_node_view *v)
{
    resp_map(c->w, 6 + (v->port != 0) + (v->tls_port != 0) + (v->hostname[0] != '\0'));
    resp_bulk_str(c->w, "id");
    resp_bulk(c->w, bytes_of(v->name, CLUSTER_NAME));
    if (v->port) {
        resp_bulk_str(c->w, "port");
        reply_int(c, v->port);
    }
    if (v->tls_port) {
        resp_bulk_str(c->w, "tls-port");
        reply_int(c, v->tls_port);
    }
    pair(c, "ip", v->ip);
    resp_bulk_str(c->w, "endpoint");
    reply_endpoint(c, n);
    if (v->hostname[0])
        pair(c, "hostname", v->hostname);
    pair(c, "role", v->flags & CLUSTER_NODE_REPLICA ? "replica" : "master");
    resp_bulk_str(c->w, "replication-offset");
    reply_int(c, v->offset);
    pair(c, "health", health(v));
}

/* The shard whose first node is number `first`; `seen` marks its nodes. */
static void reply_shard(struct call *c, size_t first, bool *seen)
{
    const struct cluster *machine = cluster_of(c);
    struct cluster_node_view head, v;
    cluster_view(machine, cluster_at(machine, first), &head);
    const struct cluster_node *owner = NULL;
    for (size_t i = first; i < cluster_size(machine); i++) {
        cluster_view(machine, cluster_at(machine, i), &v);
        if (memcmp(v.shard, head.shard, CLUSTER_NAME) == 0 && (v.flags & CLUSTER_NODE_MASTER) && v.slots)
            owner = cluster_at(machine, i);
    }
    resp_map(c->w, 2);
    resp_bulk_str(c->w, "slots");
    if (owner)
        reply_shard_slots(c, owner);
    else
        resp_empty_array(c->w);
    resp_bulk_str(c->w, "nodes");
    struct writer_mark m = resp_later(c->w);
    int64_t n = 0;
    for (size_t i = first; i < cluster_size(machine); i++) {
        cluster_view(machine, cluster_at(machine, i), &v);
        if (seen[i] || memcmp(v.shard, head.shard, CLUSTER_NAME) != 0 || (v.flags & CLUSTER_NODE_HANDSHAKE))
            continue;
        seen[i] = true;
        reply_shard_node(c, cluster_at(machine, i), &v);
        n++;
    }
    resp_later_array(c->w, m, n);
}

void cmd_cluster_shards(struct call *c)
{
    if (!cluster_is_on(c))
        return;
    const struct cluster *machine = cluster_of(c);
    size_t size = cluster_size(machine);
    bool *seen = arena_zalloc(c->arena, size);
    struct writer_mark m = resp_later(c->w);
    int64_t n = 0;
    for (size_t i = 0; i < size; i++) {
        struct cluster_node_view v;
        cluster_view(machine, cluster_at(machine, i), &v);
        if (seen[i] || (v.flags & CLUSTER_NODE_HANDSHAKE))
            continue;
        reply_shard(c, i, seen);
        n++;
    }
    resp_later_array(c->w, m, n);
}

/* ---- LINKS ---- */

void cmd_cluster_links(struct call *c)
{
    if (!cluster_is_on(c))
        return;
    const struct cluster *machine = cluster_of(c);
    struct writer_mark m = resp_later(c->w);
    int64_t n = 0;
    for (size_t i = 0; i < cluster_links(machine); i++) {
        struct cluster_link_view v;
        if (!cluster_link_at(machine, i, &v) || !v.node) /* not known yet: left out, as Redis does */
            continue;
        size_t used, allocated;
        cluster_driver_link(node_cluster(c->node), v.id, &used, &allocated);
        resp_map(c->w, 6);
        pair(c, "direction", v.to ? "to" : "from");
        resp_bulk_str(c->w, "node");
        resp_bulk(c->w, bytes_of(v.node, CLUSTER_NAME));
        resp_bulk_str(c->w, "create-time");
        reply_int(c, v.created_wall);
        pair(c, "events", used ? "rw" : "r");
        resp_bulk_str(c->w, "send-buffer-allocated");
        reply_int(c, (int64_t)allocated);
        resp_bulk_str(c->w, "send-buffer-used");
        reply_int(c, (int64_t)used);
        n++;
    }
    resp_later_array(c->w, m, n);
}
