/* Publish/subscribe: channels, patterns, shard channels. Delivery is an append to each subscriber's output. */
#pragma once

#include "server/client.h"

struct pubsub;

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD };

struct pubsub *pubsub_new(void);
void pubsub_free(struct pubsub *);
bool pubsub_add(struct pubsub *, struct client *, enum pubsub_kind, struct bytes name);    /* false: had it already */
bool pubsub_remove(struct pubsub *, struct client *, enum pubsub_kind, struct bytes name); /* false: had it not */
void pubsub_forget(struct pubsub *, struct client *); /* the client goes: all without replies */
uint64_t pubsub_client_count(const struct client *, enum pubsub_kind);
/* Channels + patterns: RESP2 subscriber mode while > 0 (or shard). */
uint64_t pubsub_client_total(const struct client *);
uint64_t pubsub_publish(struct pubsub *, struct bytes channel, struct bytes message, bool shard); /* receivers */
uint64_t pubsub_count(const struct pubsub *, enum pubsub_kind);       /* distinct names */
uint64_t pubsub_subscribers(const struct pubsub *, enum pubsub_kind, struct bytes name);
/* Calls for every name (of a client, or of all when client is NULL). */
void pubsub_each(struct pubsub *, struct client *, enum pubsub_kind, void (*visit)(void *ctx, struct bytes name),
                 void *ctx);
/* Ends all subscriptions of the name, with the message of an unsubscription to each subscriber. */
void pubsub_end_channel(struct pubsub *, enum pubsub_kind, struct bytes name);
size_t pubsub_client_memory(const struct client *);
/* The keyspace's notify hook: publishes __keyspace@db__:key and __keyevent@db__:event as flags ask. */
void pubsub_keyspace_event(struct pubsub *, unsigned notify_flags, int db, const char *event, struct bytes key);
