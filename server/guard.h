/* Keys that are under way to another server: requests that name one wait until it has arrived or stayed (migrate.c).
 *
 * So a client sees what it would see if the server did nothing else meanwhile, as Redis does, but for these keys only.
 * Names are guarded whatever the database: a few requests wait for nothing, and none slips through by MOVE or COPY. A
 * change that comes another way (the time of a key, eviction, a blocked client that is served) is noticed and leaves
 * its mark. */
#pragma once

#include "server/command.h"
#include "server/keyspace/keyspace.h"

struct guard;
struct client;

struct guarded {
    size_t n;
    bool touched; /* the key changed, or went, since guard_add */
    char text[];
};

struct guard *guard_new(void);
void guard_free(struct guard *);
/* NULL when it is guarded already (a request for such a key waits, so it was given twice). */
struct guarded *guard_add(struct guard *, struct bytes key);
void guard_remove(struct guard *, struct guarded *); /* and frees it */
uint64_t guard_keys(const struct guard *);
static inline struct bytes guarded_key(const struct guarded *g)
{
    return bytes_of(g->text, g->n);
}
/* Whether this request has to wait. One that MULTI would queue does not; EXEC does for what is queued. */
bool guard_stops(const struct guard *, const struct client *, const struct command_entry *, int argc,
                 const struct bytes *argv);
/* The keyspace's `touched` hook. */
void guard_touched(struct guard *, struct bytes key);
