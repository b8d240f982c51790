#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "common/prng.h"
#include "tools/bench/histogram.h"
#include "tools/bench/keys.h"

static struct histogram h; /* large for a stack */

Test(bench_histogram, small_values_are_exact)
{
    histogram_clear(&h);
    for (uint64_t v = 1; v <= 100; v++)
        histogram_record(&h, v, 1);
    cr_expect(histogram_percentile(&h, 50) == 50);
    cr_expect(histogram_percentile(&h, 99) == 99);
    cr_expect(histogram_percentile(&h, 0) == 1);
    cr_expect(histogram_percentile(&h, 100) == 100);
    cr_expect(fabs(histogram_mean(&h) - 50.5) < 1e-9);
}

Test(bench_histogram, is_empty_at_first)
{
    histogram_clear(&h);
    cr_expect(histogram_percentile(&h, 50) == 0 && histogram_mean(&h) == 0);
    cr_expect(histogram_between(&h, 0, UINT64_MAX) == 0);
}

Test(bench_histogram, buckets_rise_and_the_largest_values_share_the_last)
{
    uint32_t last = 0;
    for (uint64_t v = 1; v < (uint64_t)1 << HISTOGRAM_VALUE_BITS; v += v / 1000 + 1) {
        uint32_t b = histogram_bucket(v);
        cr_assert(b >= last && b <= last + 1 && b < HISTOGRAM_BUCKETS);
        last = b;
    }
    cr_expect(histogram_bucket(UINT64_MAX) == HISTOGRAM_BUCKETS - 1);
    cr_expect(histogram_bucket(((uint64_t)1 << HISTOGRAM_VALUE_BITS) - 1) == HISTOGRAM_BUCKETS - 1);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

Test(bench_histogram, percentiles_are_right_to_one_percent)
{
    enum { N = 20000 };
    static uint64_t values[N];
    struct prng r;
    prng_init(&r, 7);
    histogram_clear(&h);
    for (int i = 0; i < N; i++) {
        values[i] = (uint64_t)exp(prng_double(&r) * 20) + 1; /* over nine orders of magnitude */
        histogram_record(&h, values[i], 1);
    }
    qsort(values, N, sizeof values[0], by_value);
    static const double percents[] = { 1, 10, 50, 90, 99, 99.9, 100 };
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        double exact = (double)values[(size_t)ceil(N * percents[i] / 100) - 1];
        double got = (double)histogram_percentile(&h, percents[i]);
        cr_expect(got >= exact && got <= exact * 1.01 + 1, "p%g: %g for %g", percents[i], got,
                  exact);
    }
    cr_expect(histogram_between(&h, 0, UINT64_MAX) == N);
    cr_expect(h.min == values[0] && h.max == values[N - 1]);
}

Test(bench_histogram, adding_is_recording_both)
{
    static struct histogram other;
    histogram_clear(&h);
    histogram_clear(&other);
    histogram_record(&h, 10, 3);
    histogram_record(&other, 1000, 1);
    histogram_add(&h, &other);
    cr_expect(h.count == 4 && h.sum == 1030 && h.min == 10 && h.max == 1000);
    cr_expect(histogram_percentile(&h, 75) == 10 && histogram_percentile(&h, 76) == 1000);
}

Test(bench_keys, sequential_keys_come_once_in_order)
{
    struct keys k;
    keys_init(&k, DIST_SEQUENTIAL, 3, 1, 1);
    for (uint64_t i = 0; i < 9; i++)
        cr_expect(keys_next(&k) == i % 3);
}

Test(bench_keys, zipfian_keys_follow_their_law)
{
    enum { N = 1000, DRAWS = 400000 };
    static const double exponents[] = { 0.5, 0.99, 1, 1.5 };
    for (size_t e = 0; e < sizeof exponents / sizeof exponents[0]; e++) {
        static uint64_t counts[N];
        memset(counts, 0, sizeof counts);
        struct keys k;
        double sum = 0;
        keys_init(&k, DIST_ZIPF, N, exponents[e], 5);
        for (int i = 0; i < DRAWS; i++) {
            uint64_t v = keys_next(&k);
            cr_assert(v < N);
            counts[v]++;
        }
        for (int i = 0; i < N; i++)
            sum += pow(i + 1, -exponents[e]);
        for (int i = 0; i < 5; i++) {
            double expected = DRAWS * pow(i + 1, -exponents[e]) / sum;
            cr_expect(fabs((double)counts[i] - expected) < 6 * sqrt(expected),
                      "exponent %g, key %d: %llu for %g", exponents[e], i,
                      (unsigned long long)counts[i], expected);
        }
    }
}

Test(bench_keys, every_distribution_takes_a_single_key)
{
    for (int d = DIST_UNIFORM; d <= DIST_SEQUENTIAL; d++) {
        struct keys k;
        keys_init(&k, (enum distribution)d, 1, 0.99, 1);
        for (int i = 0; i < 100; i++)
            cr_assert(keys_next(&k) == 0);
    }
}
