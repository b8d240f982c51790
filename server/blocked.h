/* Clients that wait: for keys (BLPOP, XREAD, ...), by one list per key in the order of arrival, served after the
 * command that made a key ready, in the same turn. One way to resume, one way to time out, CLIENT UNBLOCK included. */
#pragma once

#include "server/call.h"
#include "server/client.h"

struct blocked;
struct blocked *blocked_new(struct node *);
void blocked_free(struct blocked *);
bool blocked_any_ready(struct node *);      /* some key became ready and somebody waits for it */
void blocked_serve_ready(struct node *);    /* runs the commands of those who can go on, oldest first */
usec_t blocked_deadline(const struct blocked *); /* monotonic us of the next time-out, INT64_MAX none */
void blocked_time_out(struct blocked *, msec_t now); /* wall ms */
void blocked_forget(struct blocked *, struct client *); /* the client goes */
/* CLIENT UNBLOCK: false if it is not blocked. `error`: with -UNBLOCKED instead of a time-out's reply. */
bool blocked_unblock(struct blocked *, struct client *, bool error);
/* The keyspace's `touched` hook, called only while somebody is blocked: a key was changed or deleted, or (key.p NULL) a
 * database flushed or swapped. Wakes those who asked to be woken when their key goes. */
void blocked_key_touched(struct blocked *, struct db *, struct bytes key);
/* Everybody who waits hears `error` and is closed: a master that becomes a replica has nothing for them. */
void blocked_end_all(struct blocked *, const char *error);
/* Asks of everybody who waits for keys whether they must go; they end with the error that `ask` wrote. */
void blocked_send_away(struct blocked *,
                       bool (*ask)(void *ctx, struct client *, const struct command_entry *, int argc,
                                   const struct bytes *argv, struct buf *ret_error),
                       void *ctx);
uint64_t blocked_clients(const struct blocked *);
uint64_t blocked_with_deadline(const struct blocked *);
uint64_t blocked_keys(const struct blocked *), blocked_keys_on_nokey(const struct blocked *);
