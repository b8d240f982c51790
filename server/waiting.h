/* Clients that wait until replicas have their writes: WAIT, WAITAOF. The replication machine knows who has what and
 * when the time is over; here is only who waits, and what they are told. */
#pragma once

#include "server/call.h"

struct waiting;
struct waiting *waiting_new(struct node *);
void waiting_free(struct waiting *);

/* The client of the call waits until `replicas` have its last write (on disk: `fsynced`), or `timeout_ms` are over
 * (0: for ever). `local`: -1 WAIT, else what WAITAOF says of this server's own disk. Only when call_may_block. */
void wait_for_replicas(struct call *, int replicas, msec_t timeout_ms, bool fsynced, int local);
void waiting_wake(struct waiting *, uint64_t client_id, int replicas); /* so many have it: the client runs on */
/* CLIENT UNBLOCK: false if it does not wait. */
bool waiting_unblock(struct waiting *, struct client *, bool error);
void waiting_end_all(struct waiting *, const char *error); /* the role changed */
void waiting_forget(struct waiting *, struct client *);
uint64_t waiting_clients(const struct waiting *), waiting_with_deadline(const struct waiting *);
