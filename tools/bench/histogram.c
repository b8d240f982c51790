/* Reading a histogram: everything but recording, which is inline in the header. */
#include "tools/bench/histogram.h"

#include <string.h>

void histogram_clear(struct histogram *h)
{
    memset(h, 0, sizeof *h);
    h->min = UINT64_MAX;
}

void histogram_add(struct histogram *h, const struct histogram *other)
{
    h->count += other->count;
    h->sum += other->sum;
    if (other->min < h->min)
        h->min = other->min;
    if (other->max > h->max)
        h->max = other->max;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->buckets[i] += other->buckets[i];
}

static uint64_t bucket_lower(uint32_t i)
{
    if (i < HISTOGRAM_SUB)
        return i;
    unsigned shift = i / HISTOGRAM_SUB - 1;
    return (uint64_t)(HISTOGRAM_SUB + i % HISTOGRAM_SUB) << shift;
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
    if (h->count == 0)
        return 0;
    double exact = (double)h->count * percent / 100;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact || rank == 0)
        rank++;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            uint64_t last = i + 1 < HISTOGRAM_BUCKETS ? bucket_lower(i + 1) - 1 : h->max;
            return last < h->max ? last : h->max;
        }
    }
    return h->max;
}

double histogram_mean(const struct histogram *h)
{
    return h->count ? (double)h->sum / (double)h->count : 0;
}

uint64_t histogram_between(const struct histogram *h, uint64_t from, uint64_t to)
{
    uint64_t n = 0;
    for (uint32_t i = histogram_bucket(from); i < HISTOGRAM_BUCKETS; i++) {
        uint64_t lower = bucket_lower(i);
        if (lower >= to)
            break;
        if (lower >= from)
            n += h->buckets[i];
    }
    return n;
}
