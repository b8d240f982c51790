/* Clients of a cluster node when slots change hands: those that wait for keys, and subscribers of shard channels. */
#pragma once

struct node;

/* Owners changed, or the cluster went down: who waits for keys that are served elsewhere is told, and shard
 * subscriptions of slots that are of another shard end. */
void cluster_clients_slots_changed(struct node *);
