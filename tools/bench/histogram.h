/* A latency histogram of constant relative error, after Gil Tene's HdrHistogram: buckets are linear
 * within a power of two and double from one to the next. Recording is a count of leading zeros and
 * one addition.
 *
 * Values are nanoseconds. With 128 buckets a power of two a percentile is less than 0.8 % off. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_SUB (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_VALUE_BITS 41 /* larger values (over 36 minutes) count as the largest */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB)

struct histogram {
    uint64_t count;
    uint64_t sum;      /* of the values, for the mean */
    uint64_t min, max; /* exact; min is UINT64_MAX while empty */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *);
void histogram_add(struct histogram *, const struct histogram *other);

/* The smallest value that `percent` (0..100) of the values do not exceed; 0 when empty. */
uint64_t histogram_percentile(const struct histogram *, double percent);
double histogram_mean(const struct histogram *);

/* How many values lie in [from, to); a bucket counts where its lower end lies. */
uint64_t histogram_between(const struct histogram *, uint64_t from, uint64_t to);

static inline uint32_t histogram_bucket(uint64_t v)
{
    if (v < HISTOGRAM_SUB)
        return (uint32_t)v;
    if (v >> HISTOGRAM_VALUE_BITS)
        return HISTOGRAM_BUCKETS - 1;
    unsigned e = 63 - (unsigned)__builtin_clzll(v);
    uint64_t sub = v >> (e - HISTOGRAM_SUB_BITS) & (HISTOGRAM_SUB - 1);
    return (e - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB + (uint32_t)sub;
}

/* Records the same value `times` times: the replies of a pipeline that came together. */
static inline void histogram_record(struct histogram *h, uint64_t v, uint64_t times)
{
    h->count += times;
    h->sum += v * times;
    if (v < h->min)
        h->min = v;
    if (v > h->max)
        h->max = v;
    h->buckets[histogram_bucket(v)] += times;
}
