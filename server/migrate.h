/* MIGRATE: keys go to another server, while this one serves on.
 *
 * Redis does nothing else until the other side has answered. Here the client alone waits, and the keys under way are
 * guarded (guard.h), so nobody can tell the difference by them. A key is deleted here when the other side has
 * acknowledged it, not before; whatever goes wrong, one that was not acknowledged is still here. */
#pragma once

#include "server/call.h"

struct migrations;

struct migrate_request {
    const char *host;
    int port, db;
    msec_t timeout; /* without any progress */
    bool copy, replace;
    struct bytes user, password; /* p NULL: none */
    const struct bytes *keys;    /* that are there, each once; at least one */
    int keys_n;
};

struct migrations *migrations_new(struct node *);
void migrations_free(struct migrations *);
/* Holds the client of the call, which gets its reply when all is done. Only when call_may_block. */
void migrate_begin(struct call *, const struct migrate_request *);
/* Ends what is done or took too long; once a turn. Time: monotonic us. */
void migrations_turn(struct migrations *, usec_t now);
usec_t migrations_deadline(const struct migrations *); /* INT64_MAX none */
uint64_t migrations_sockets(const struct migrations *); /* open connections to other servers */
