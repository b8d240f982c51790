/* A replica of a master that has several moves to a master that has lost all of its own. */
#include "cluster/machine.h"

static unsigned good_replicas(const struct cluster_node *master)
{
    unsigned good = 0;
    LIST_EACH(&master->replicas, r)
        good += !node_is(LIST_ITEM(r, struct cluster_node, in_master), CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL);
    return good;
}

/* Of all replicas of the masters that have the most, am I the one with the smallest name? */
static bool my_turn(const struct cluster *c, unsigned most)
{
    for (size_t i = 0; i < c->n_nodes; i++) {
        const struct cluster_node *n = c->nodes[i];
        if (n->master && n != c->me && !node_is(n, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL) &&
            memcmp(n->name, c->me->name, CLUSTER_NAME) < 0 && good_replicas(n->master) == most)
            return false;
    }
    return true;
}

/* Ten times a second. */
void replica_migration_cron(struct cluster *c)
{
    enum { WAIT_MS = 5000 };
    struct cluster_node *orphan = NULL, *mine = c->me->master;
    if (!mine || !c->config.allow_replica_migration || !c->ok)
        return;
    unsigned have = good_replicas(mine), most = 0;
    if (have <= (unsigned)c->config.migration_barrier || have < 2)
        return;
    for (size_t i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = c->nodes[i];
        if (!node_is(n, CLUSTER_NODE_MASTER) || node_is(n, CLUSTER_NODE_FAIL | CLUSTER_NODE_HANDSHAKE))
            continue;
        unsigned good = good_replicas(n);
        most = good > most ? good : most;
        bool orphaned = good == 0 && n->n_slots && node_is(n, CLUSTER_NODE_MIGRATE_TO);
        if (!orphaned)
            n->orphaned_at = 0;
        else if (!n->orphaned_at)
            n->orphaned_at = c->now;
        else if (!orphan && c->now - n->orphaned_at > WAIT_MS)
            orphan = n;
    }
    if (!orphan || have != most || !my_turn(c, most))
        return;
    trace(c, CLUSTER_TRACE_NOTICE, "Migrating to orphaned master %.40s", orphan->name);
    become_replica_of(c, orphan);
}
