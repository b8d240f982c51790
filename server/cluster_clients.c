/* Clients of a cluster node when slots change hands (see cluster_clients.h). */
#include "server/cluster_clients.h"

#include "common/alloc.h"
#include "common/keyslot.h"
#include "server/blocked.h"
#include "server/drivers/cluster.h"
#include "server/node.h"
#include "server/pubsub.h"
#include "server/route.h"

/* ---- blocked ---- */

static bool must_leave(void *ctx, struct client *client, const struct command_entry *cmd, int argc,
                       const struct bytes *argv, struct buf *ret_error)
{
    (void)ctx;
    return !route_still_served(client, cmd, argc, argv, ret_error);
}

/* ---- shard channels ---- */

static bool is_of_this_shard(const struct cluster *machine, unsigned slot)
{
    const struct cluster_node *owner = cluster_owner(machine, slot), *me = cluster_myself(machine);
    if (!owner)
        return false;
    if (owner == me)
        return true;
    struct cluster_node_view view;
    cluster_view(machine, me, &view);
    return view.master == owner;
}

struct leaving {
    const struct cluster *machine;
    struct bytes *names;
    size_t n, cap;
};

static void note_leaving(void *ctx, struct bytes channel)
{
    struct leaving *l = ctx;
    if (is_of_this_shard(l->machine, key_slot(channel)))
        return;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->names = mem_realloc(l->names, l->cap * sizeof(*l->names));
    }
    l->names[l->n++] = bytes_of(mem_dup(channel.n ? channel.p : "", channel.n + !channel.n), channel.n);
}

static void end_shard_subscriptions(struct node *node, const struct cluster *machine)
{
    struct pubsub *p = node_pubsub(node);
    if (pubsub_count(p, PUBSUB_SHARD) == 0)
        return;
    struct leaving l = { .machine = machine };
    pubsub_each(p, NULL, PUBSUB_SHARD, note_leaving, &l);
    for (size_t i = 0; i < l.n; i++) {
        pubsub_end_channel(p, PUBSUB_SHARD, l.names[i]);
        mem_free((char *)l.names[i].p);
    }
    mem_free(l.names);
}

void cluster_clients_slots_changed(struct node *node)
{
    const struct cluster *machine = cluster_driver_machine(node_cluster(node));
    blocked_send_away(node_blocked(node), must_leave, NULL);
    end_shard_subscriptions(node, machine);
}
