/* The cluster as the rest of the server sees it. The machine of cluster/ decides; this is its arms and ears: actions to
 * verbs of io.h and of the node, what is heard to events (DESIGN.md 5). */
#pragma once

#include "cluster/cluster.h"
#include "server/call.h"
#include "server/client.h"

struct cluster_driver;

/* Locks and reads nodes.conf, makes the machine, listens on the bus. 0, or -errno, logged. */
int cluster_driver_new(struct node *, struct cluster_driver **ret_driver);
void cluster_driver_free(struct cluster_driver *);
const struct cluster *cluster_driver_machine(const struct cluster_driver *);
void cluster_driver_configured(struct cluster_driver *); /* directives changed */
void cluster_driver_loaded(struct cluster_driver *);     /* the data are in memory: once, before the first turn */

/* ---- the turn ---- */
/* Before anything is executed: the machine hears of the time, so that it notices when some was lost. */
void cluster_driver_after_wait(struct cluster_driver *);
usec_t cluster_driver_before_wait(struct cluster_driver *); /* monotonic us of the next need */

/* ---- the bus ---- */
bool cluster_driver_listens(const struct cluster_driver *, const struct listener *);
void *cluster_driver_accept(struct cluster_driver *, struct conn *);
struct bus_figures {
    uint64_t connections;
    size_t memory; /* bytes */
};
struct bus_figures cluster_driver_figures(const struct cluster_driver *);
/* Of one link: bytes of output waiting, room for them. */
void cluster_driver_link(const struct cluster_driver *, cluster_link_id, size_t *ret_used, size_t *ret_allocated);
void cluster_driver_kill_link(struct cluster_driver *, cluster_link_id); /* DEBUG CLUSTERLINK KILL */

/* ---- commands ---- */
/* Gives it to the machine and writes its answer. */
void cluster_driver_command(struct cluster_driver *, struct call *, struct cluster_command *);
void cluster_driver_published(struct cluster_driver *, struct bytes channel, struct bytes message, bool sharded);
void cluster_driver_drop_packets(struct cluster_driver *, int message_type); /* DEBUG DROP-CLUSTER-PACKET-FILTER */
