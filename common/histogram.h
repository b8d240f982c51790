/* A log-linear histogram of durations (as HdrHistogram): 1 ns to about 18 minutes, within 1/32 of the value.
 *
 * Adding is a shift, a mask and an increment. Memory: HISTOGRAM_BUCKETS counters of 4 bytes, and a total. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 5 /* buckets of equal width in each power of two */
#define HISTOGRAM_MAX_BITS 40
#define HISTOGRAM_BUCKETS ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t n, sum, max;
    uint32_t counts[HISTOGRAM_BUCKETS];
};

struct histogram *histogram_new(void);
void histogram_free(struct histogram *); /* NULL is fine */
/* The largest value of the bucket below which (inclusive) `percentile` of all values lie; 0 when empty. */
uint64_t histogram_percentile(const struct histogram *, double percentile);
uint64_t histogram_bucket_top(unsigned bucket); /* largest value that falls into it */

static inline unsigned histogram_bucket(uint64_t v)
{
    if (v < 1u << HISTOGRAM_SUB_BITS)
        return (unsigned)v;
    unsigned bits = 63 - (unsigned)__builtin_clzll(v);
    if (bits >= HISTOGRAM_MAX_BITS)
        return HISTOGRAM_BUCKETS - 1;
    unsigned shift = bits - HISTOGRAM_SUB_BITS;
    return ((shift + 1) << HISTOGRAM_SUB_BITS) + (unsigned)(v >> shift) - (1u << HISTOGRAM_SUB_BITS);
}

static inline void histogram_add(struct histogram *h, uint64_t v)
{
    h->n++;
    h->sum += v;
    if (v > h->max)
        h->max = v;
    h->counts[histogram_bucket(v)]++;
}
