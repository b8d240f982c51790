/* What others may ask of the machine: views of nodes, slots and links, and the text of CLUSTER INFO. */
#include "cluster/machine.h"

#include <inttypes.h>

#include "common/assert.h"

bool cluster_is_replica(const struct cluster *c)
{
    return node_is(c->me, CLUSTER_NODE_REPLICA);
}

const char *cluster_myid(const struct cluster *c)
{
    return c->me->name;
}

const char *cluster_myshardid(const struct cluster *c)
{
    return c->me->shard;
}

uint64_t cluster_failure_reports(const struct cluster *c, const struct cluster_node *n)
{
    return node_reports(c, n);
}

const struct cluster_node *cluster_myself(const struct cluster *c)
{
    return c->me;
}

const struct cluster_node *cluster_find(const struct cluster *c, struct bytes name)
{
    return name.n == CLUSTER_NAME ? node_find(c, name.p) : NULL;
}

size_t cluster_size(const struct cluster *c)
{
    return c->n_nodes;
}

const struct cluster_node *cluster_at(const struct cluster *c, size_t i)
{
    ASSERT(i < c->n_nodes);
    return c->nodes[i];
}

const struct cluster_node *cluster_replica(const struct cluster *c, const struct cluster_node *master, size_t i)
{
    (void)c;
    LIST_EACH(&master->replicas, r)
        if (i-- == 0)
            return LIST_ITEM(r, struct cluster_node, in_master);
    return NULL;
}

void cluster_view(const struct cluster *c, const struct cluster_node *n, struct cluster_node_view *v)
{
    bool me = n == c->me;
    *v = (struct cluster_node_view){
        .name = n->name,
        .shard = n->shard,
        .ip = n->ip,
        .hostname = me ? c->hostname : n->hostname ? n->hostname : "",
        .human_nodename = me ? c->human : n->human ? n->human : "",
        .port = n->port,
        .tls_port = n->tls_port,
        .bus_port = n->bus_port,
        .flags = n->flags,
        .master = n->master,
        .slots = n->n_slots,
        .replicas = n->n_replicas,
        .offset = me ? c->repl.offset : n->offset,
        .config_epoch = n->config_epoch,
        .connected = me || (n->to && n->to->up),
    };
}

const struct cluster_node *cluster_owner(const struct cluster *c, unsigned slot)
{
    ASSERT(slot < CLUSTER_SLOTS);
    return slot_owner(c, slot);
}

const struct cluster_node *cluster_migrating_to(const struct cluster *c, unsigned slot)
{
    return move_get(&c->migrating, slot);
}

const struct cluster_node *cluster_importing_from(const struct cluster *c, unsigned slot)
{
    return move_get(&c->importing, slot);
}

bool cluster_next_range(const struct cluster *c, int first, struct cluster_range *ret,
                        const struct cluster_node **ret_owner)
{
    ASSERT(first >= 0);
    while (first < CLUSTER_SLOTS && c->owner[first] == NOBODY)
        first++;
    if (first >= CLUSTER_SLOTS)
        return false;
    int last = first;
    while (last + 1 < CLUSTER_SLOTS && c->owner[last + 1] == c->owner[first])
        last++;
    *ret = (struct cluster_range){ first, last };
    *ret_owner = c->nodes[c->owner[first]];
    return true;
}

size_t cluster_links(const struct cluster *c)
{
    return c->n_links;
}

bool cluster_link_at(const struct cluster *c, size_t i, struct cluster_link_view *ret)
{
    if (i >= c->n_links)
        return false;
    const struct cluster_link *l = c->links[i];
    *ret = (struct cluster_link_view){ l->id, l->to, l->node ? l->node->name : NULL, l->created_wall };
    return true;
}

cluster_link_id cluster_link_of(const struct cluster *c, const struct cluster_node *n, bool to)
{
    (void)c;
    const struct cluster_link *l = to ? n->to : n->from;
    return l ? l->id : 0;
}

void cluster_debug_drop(struct cluster *c, int type)
{
    c->debug_drop = type;
}

static void write_messages(const uint64_t *counts, const char *way, struct buf *b)
{
    uint64_t all = 0;
    for (unsigned t = 0; t < WIRE_TYPES; t++) {
        all += counts[t];
        if (counts[t])
            (void)buf_printf(b, "cluster_stats_messages_%s_%s:%" PRIu64 "\r\n", wire_type_name(t), way, counts[t]);
    }
    (void)buf_printf(b, "cluster_stats_messages_%s:%" PRIu64 "\r\n", way, all);
}

void cluster_write_info(const struct cluster *c, struct buf *b)
{
    const struct cluster_node *of = c->me->master ? c->me->master : c->me;
    (void)buf_printf(b,
                     "cluster_state:%s\r\ncluster_slots_assigned:%u\r\ncluster_slots_ok:%u\r\n"
                     "cluster_slots_pfail:%u\r\ncluster_slots_fail:%u\r\ncluster_known_nodes:%zu\r\ncluster_size:%u\r\n"
                     "cluster_current_epoch:%" PRIu64 "\r\ncluster_my_epoch:%" PRIu64 "\r\n",
                     c->ok ? "ok" : "fail", c->slots_assigned, c->slots_ok, c->slots_pfail, c->slots_fail, c->n_nodes,
                     c->size, c->current_epoch, of->config_epoch);
    write_messages(c->sent, "sent", b);
    write_messages(c->received, "received", b);
    (void)buf_printf(b, "total_cluster_links_buffer_limit_exceeded:%" PRIu64 "\r\n", c->limit_exceeded);
}
