/* Epochs: the versions of the cluster's configuration. */
#include "cluster/machine.h"

#define EPOCH_MAX (UINT64_MAX / 2) /* nobody gets there by counting */

uint64_t epoch_max(const struct cluster *c)
{
    uint64_t max = c->current_epoch;
    for (size_t i = 0; i < c->n_nodes; i++)
        if (c->nodes[i]->config_epoch > max)
            max = c->nodes[i]->config_epoch;
    return max;
}

/* What a proved frame says. `config` is the version of the sender's slots, or, of a replica, of its master's. */
void epoch_seen(struct cluster *c, uint64_t current, struct cluster_node *sender, uint64_t config)
{
    if (current > c->current_epoch && current < EPOCH_MAX) {
        c->current_epoch = current;
        save_later(c);
    }
    if (config > sender->config_epoch && config < EPOCH_MAX) {
        sender->config_epoch = config;
        c->slots_version++;
        save_later(c);
    }
}

/* Two masters with one version: the one with the smaller name takes a new one, so that claims have an order. */
void epoch_collision(struct cluster *c, struct cluster_node *sender)
{
    if (!node_is(c->me, CLUSTER_NODE_MASTER) || !node_is(sender, CLUSTER_NODE_MASTER) ||
        sender->config_epoch != c->me->config_epoch || memcmp(c->me->name, sender->name, CLUSTER_NAME) >= 0)
        return;
    c->me->config_epoch = ++c->current_epoch;
    c->slots_version++;
    save_durable(c);
    trace(c, CLUSTER_TRACE_VERBOSE, "configEpoch collision with node %.40s, updating my configEpoch to %llu",
          sender->name, (unsigned long long)c->me->config_epoch);
}

bool epoch_bump(struct cluster *c)
{
    uint64_t max = epoch_max(c);
    if (c->me->config_epoch != 0 && c->me->config_epoch == max)
        return false;
    c->me->config_epoch = c->current_epoch = max + 1;
    c->slots_version++;
    save_durable(c);
    return true;
}
