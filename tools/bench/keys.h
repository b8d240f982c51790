/* Which key comes next: uniform, zipfian or sequential draws from [0, n). */
#pragma once

#include <math.h>

#include "common/prng.h"

enum distribution {
    DIST_UNIFORM,
    DIST_ZIPF,
    DIST_SEQUENTIAL, /* 0, 1, ... n-1, 0, ... over all connections together */
};

struct keys {
    enum distribution dist;
    uint64_t n;    /* how many there are, > 0 */
    uint64_t next; /* sequential */
    struct prng random;
    double exponent, h_first, h_last, squeeze; /* zipf, see keys.c */
};

/* `exponent` (> 0) is the skew of the zipfian draw: key 0 is the most popular, key k by
 * (k+1)^-exponent. */
void keys_init(struct keys *, enum distribution, uint64_t n, double exponent, uint64_t seed);
uint64_t keys_next_zipf(struct keys *);

static inline uint64_t keys_next(struct keys *k)
{
    if (k->dist == DIST_UNIFORM)
        return prng_below(&k->random, k->n);
    if (k->dist == DIST_ZIPF)
        return keys_next_zipf(k);
    uint64_t v = k->next++;
    if (k->next == k->n)
        k->next = 0;
    return v;
}
