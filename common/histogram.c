/* Log-linear histogram (see histogram.h). */
#include "common/histogram.h"

#include "common/alloc.h"

struct histogram *histogram_new(void)
{
    return mem_zalloc(sizeof(struct histogram));
}

void histogram_free(struct histogram *h)
{
    mem_free(h);
}

uint64_t histogram_bucket_top(unsigned bucket)
{
    unsigned sub = 1u << HISTOGRAM_SUB_BITS;
    if (bucket < sub)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t low = (uint64_t)((bucket & (sub - 1)) + sub) << shift;
    return low + ((uint64_t)1 << shift) - 1;
}

uint64_t histogram_percentile(const struct histogram *h, double percentile)
{
    if (h->n == 0)
        return 0;
    double want = percentile / 100.0 * (double)h->n;
    uint64_t rank = (uint64_t)want + ((double)(uint64_t)want < want);
    if (rank == 0)
        rank = 1;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen < rank)
            continue;
        uint64_t top = histogram_bucket_top(i);
        return top < h->max ? top : h->max;
    }
    return h->max;
}
