/* Client-side caching: who read which key (default mode), or asked for which prefixes (broadcasting), and the
 * invalidation messages. */
#pragma once

#include "server/call.h"
#include "server/client.h"
#include "server/relation.h"

struct tracking;

struct tracking_options {
    uint64_t redirect; /* client id that gets the messages, 0: itself */
    bool bcast, optin, optout, noloop;
};

struct client_tracking { /* of a client that tracks */
    struct tracking_options o;
    struct relation_side keys, prefixes;
    bool caching; /* CLIENT CACHING was given for the next command */
};

struct tracking *tracking_new(struct node *);
void tracking_free(struct tracking *);
bool tracking_active(const struct tracking *); /* some client tracks */

void tracking_enable(struct tracking *, struct client *, const struct tracking_options *); /* or changes the options */
void tracking_add_prefix(struct tracking *, struct client *, struct bytes prefix); /* "" = every key */
void tracking_forget(struct tracking *, struct client *); /* CLIENT TRACKING off, or the client goes */

/* A read-only command of a tracking client ran: remembers its keys. */
void tracking_remember(struct tracking *, struct call *);
/* The keyspace's `touched` hook; key.p NULL: everything (flush). `by` is the client that runs now, or NULL. */
void tracking_touched(struct tracking *, struct db *, struct bytes key, struct client *by);
void tracking_end_of_request(struct client *); /* CACHING is good for one command */
void tracking_end_of_turn(struct tracking *);  /* sends broadcasts, trims the table to tracking-table-max-keys */

uint64_t tracking_clients(const struct tracking *);
uint64_t tracking_keys(const struct tracking *);     /* keys remembered */
uint64_t tracking_items(const struct tracking *);    /* pairs of key and client */
uint64_t tracking_prefixes(const struct tracking *);
size_t tracking_client_memory(const struct client *);
