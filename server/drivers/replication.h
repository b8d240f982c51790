/* Replication as the rest of the server sees it. The machine of replication/ decides; this is its arms and ears:
 * actions to verbs of io.h, what is heard to events (DESIGN.md 5). */
#pragma once

#include "replication/repl.h"
#include "server/call.h"
#include "server/client.h"

struct replication;
struct replication_config;

struct replication *replication_new(struct node *);
void replication_end(struct replication *); /* the node ends: nothing more is heard. NULL is fine */
void replication_free(struct replication *);
/* The data of our own files are loaded; replid.n = 0: they say nothing of replication. Once, before the first turn. */
void replication_started(struct replication *, struct bytes replid, int64_t offset, int stream_db);
void replication_configured(struct replication *); /* directives changed */

/* ---- the turn ---- */
void replication_after_run(struct replication *);    /* requests ran: what was applied is told, what came is executed */
usec_t replication_before_wait(struct replication *); /* sends, ticks; monotonic us of the next need, INT64_MAX none */

/* ---- clients ---- */
void replication_client_gone(struct replication *, struct client *); /* one with CLIENT_REPLICATION */
void replication_alive(struct replication *, struct client *);       /* an empty line of a replica */
/* A command of replication: REPLCONF, PSYNC, SYNC, REPLICAOF, SLAVEOF, FAILOVER. The machine replies. */
void replication_command(struct replication *, struct call *);
/* PING with an argument in the master's stream: perhaps it says the master's time. */
void replication_pinged(struct replication *, struct client *, int argc, const struct bytes *argv);
/* The cluster says whom to follow; host.n = 0: nobody, this is a master. Not from inside of a step. */
void replication_follow(struct replication *, struct bytes host, int port);
void replication_wait(struct replication *, struct client *, int replicas, msec_t timeout_ms, bool fsynced);
void replication_unwait(struct replication *, struct client *);
int replication_acked(const struct replication *, int64_t offset, bool fsynced);

/* ---- the master's stream ---- */
void replication_ran(struct replication *, struct client *, size_t bytes); /* a request of so many bytes was executed */
/* Bytes of the stream that are in no frame: in front of the next request, or part of it and received elsewhere. */
void replication_add_extra(struct replication *, size_t n);
size_t replication_take_extra(struct replication *);
void replication_refused(struct replication *, struct bytes command);      /* it is none of ours */
void replication_stream_broken(struct replication *, struct client *, const char *why);

/* ---- gates: cheap ---- */
bool replication_is_replica(const struct replication *);
bool replication_has_good_replicas(const struct replication *);
bool replication_is_stale(const struct replication *);  /* the link is down, and stale data are not to be served */
bool replication_too_old(const struct replication *);   /* replica-max-staleness-ms */
bool replication_leaves_eviction(const struct replication *); /* the master's DELs do it */

/* ---- for INFO, ROLE, REPLICATION LAG ---- */
const struct repl *replication_machine(const struct replication *);
msec_t replication_now(const struct replication *); /* monotonic ms, for the machine's queries */
void replication_ask_acks(struct replication *);    /* replicas are to say now how far they are */
size_t replication_memory(const struct replication *); /* bytes of history beyond repl-backlog-size: not counted for
                                                        * eviction */
