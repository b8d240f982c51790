/* What the files of the CLUSTER family share. */
#pragma once

#include "cluster/cluster.h"
#include "server/call.h"

const struct cluster *cluster_of(const struct call *); /* the machine; cluster mode only */
bool cluster_is_on(struct call *);                     /* else the error is replied */
bool arg_slot(struct call *, int i, int *ret_slot);    /* "ERR Invalid or out of range slot" */
/* A known node, or "ERR Unknown node x". */
const struct cluster_node *arg_node(struct call *, int i);

/* cluster_show.c */
void cmd_cluster_slots(struct call *);
void cmd_cluster_shards(struct call *);
void cmd_cluster_links(struct call *);
void cmd_cluster_nodes(struct call *);
void cmd_cluster_info(struct call *);
void cmd_cluster_replicas(struct call *);
/* cluster_stats.c */
void cmd_cluster_slot_stats(struct call *);
/* cluster_explain.c */
void cmd_cluster_explain(struct call *);
