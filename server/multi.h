/* Transactions: the queue of MULTI, and WATCH.
 *
 * Watched keys are in one hash table per node: (db, key) -> watchers; touching a key costs one lookup, and only when
 * somebody watches at all. WATCH of N keys costs O(N). */
#pragma once

#include "server/call.h"
#include "server/client.h"

struct watch_table;
struct watch_table *watch_table_new(void);
void watch_table_free(struct watch_table *);

/* The keyspace's `touched` hook: marks the watchers of the key CLIENT_DIRTY_CAS. key.p NULL: the whole db (with
 * `swapped_with` >= 0: SWAPDB; watchers of keys that exist in either are marked). */
void watch_touched(struct watch_table *, struct db *, struct bytes key);
void watch_add(struct watch_table *, struct client *, struct db *, struct bytes key);
void watch_drop_all(struct watch_table *, struct client *);
bool watch_is_stale(const struct client *); /* a watched key expired meanwhile */
size_t watch_client_memory(const struct client *);
uint64_t watch_clients(const struct watch_table *);
uint64_t watch_keys(const struct watch_table *);

/* The transaction of one client. */
void multi_begin(struct client *);
void multi_queue(struct client *, struct command_entry *, struct kept *take);
void multi_discard(struct client *); /* drops the queue and flags; does not unwatch */
int multi_count(const struct client *); /* queued commands, -1 when not in MULTI (CLIENT LIST multi=) */
size_t multi_memory(const struct client *);
bool multi_lacks_flags(const struct client *, unsigned flags); /* some queued command is without one of them */
/* Queued command i, or NULL behind the last. */
const struct kept *multi_at(const struct client *, int i, struct command_entry **ret_cmd);
bool multi_has_flags(const struct client *, unsigned flags); /* any queued command has one of these */
/* Whether `test` is true of any queued command. */
bool multi_any(const struct client *,
               bool (*test)(void *ctx, const struct command_entry *, int argc, const struct bytes *argv), void *ctx);
/* Runs the queue; the reply is an array of replies. */
void multi_exec(struct call *);
