/* Prefetching for commands of many keys. Dispatch prefetches the first keys of each request; beyond
 * those, a key's bucket is asked for AHEAD keys before its turn and its entry half as far, so that
 * the misses of a long MGET overlap. */
#pragma once

#include "server/keyspace/keyspace.h"

#define AHEAD      8u  /* power of two */
#define AHEAD_FROM 16u /* keys: shorter requests have been prefetched whole */

struct ahead {
    struct db *db;
    const struct bytes *keys; /* the first key; the next are `step` further on */
    unsigned n, step;
    uint64_t hash[AHEAD]; /* of the keys whose buckets are on their way */
};

static inline void ahead_bucket(struct ahead *a, unsigned i)
{
    if (i >= a->n)
        return;
    uint64_t h = ks_hash(a->db, a->keys[(size_t)i * a->step]);
    a->hash[i % AHEAD] = h;
    ks_prefetch_bucket(a->db, h);
}

static inline void ahead_begin(struct ahead *a, struct db *db, const struct bytes *keys, int n,
                               int step)
{
    *a = (struct ahead){ .db = db,
                         .keys = keys,
                         .n = (unsigned)n > AHEAD_FROM ? (unsigned)n : 0,
                         .step = (unsigned)step };
    for (unsigned i = 0; i < AHEAD && i < a->n; i++)
        ahead_bucket(a, i);
}

/* Call before key i (0, 1, 2, ...) is looked up. */
static inline void ahead_step(struct ahead *a, int i)
{
    if (a->n == 0)
        return;
    unsigned entry = (unsigned)i + AHEAD / 2;
    if (entry < a->n)
        ks_prefetch_entry(a->db, a->hash[entry % AHEAD]);
    ahead_bucket(a, (unsigned)i + AHEAD);
}
