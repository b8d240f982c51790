/* Whether a request may run on this node of a cluster, and what its client is told if not: MOVED, ASK, TRYAGAIN,
 * CLUSTERDOWN, CROSSSLOT. The machine of cluster/ decides; here is what it must know of the request. Only in cluster
 * mode. */
#pragma once

#include "cluster/cluster.h"
#include "server/call.h"
#include "server/client.h"

/* Hashes of the first keys, as dispatch has computed them for prefetching; `n` 0: it has not. */
struct route_hashes {
    uint32_t n;
    uint64_t hash;        /* the only one, unless `hashes` */
    const uint64_t *hashes;
};

enum { ROUTE_NO_KEYS = -1, ROUTE_SEVERAL_SLOTS = -2 };

/* What is asked of the cluster by one request, or by a whole transaction. */
struct route {
    int slot; /* of all keys, or ROUTE_* */
    struct bytes key, other;  /* the first key; the first that is in another slot */
    unsigned keys, missing;   /* different keys (1 or many); those that are not here, when counted */
    bool counted;
};

/* Where the keys of a request are. `argv` may be kept by ret_route. */
void route_find(struct client *, const struct command_entry *, int argc, const struct bytes *argv,
                const struct route_hashes *, struct route *ret_route);
enum cluster_route route_decide(struct client *, const struct command_entry *, int argc, const struct bytes *argv,
                                struct route *, struct cluster_redirect *ret);
/* The error's text for an answer other than SERVE. */
void route_write_error(struct client *, enum cluster_route, const struct route *, const struct cluster_redirect *,
                       struct buf *);

/* The gate: true, or the client was told. *ret_slot: of the keys, -1 when there are none. */
bool route_pass(struct client *, struct command_entry *, int argc, const struct bytes *argv,
                const struct route_hashes *, int *ret_slot);
/* Whether a blocked client's command would still run here; else its error is written to `ret_error`. */
bool route_still_served(struct client *, const struct command_entry *, int argc, const struct bytes *argv,
                        struct buf *ret_error);
