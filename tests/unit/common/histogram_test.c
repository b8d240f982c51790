/* The histogram: every value in a bucket within 1/32, percentiles as the nearest rank gives them. */
#include "common/histogram.h"

#include <criterion/criterion.h>

#include "common/prng.h"

TestSuite(histogram, .timeout = 30);

Test(histogram, a_bucket_holds_its_top_and_not_the_value_above)
{
    for (unsigned b = 0; b + 1 < HISTOGRAM_BUCKETS; b++) {
        uint64_t top = histogram_bucket_top(b);
        cr_assert_eq(histogram_bucket(top), b, "bucket %u", b);
        cr_assert_eq(histogram_bucket(top + 1), b + 1, "bucket %u", b);
    }
}

Test(histogram, a_bucket_is_no_wider_than_a_thirtysecond_of_its_values)
{
    for (unsigned b = 1; b + 1 < HISTOGRAM_BUCKETS; b++) {
        uint64_t low = histogram_bucket_top(b - 1) + 1, top = histogram_bucket_top(b);
        cr_assert_leq((top - low) * 32, low, "bucket %u", b);
    }
}

Test(histogram, values_beyond_the_last_bucket_are_in_it)
{
    struct histogram *h = histogram_new();
    histogram_add(h, UINT64_MAX);
    histogram_add(h, (uint64_t)1 << HISTOGRAM_MAX_BITS);
    cr_expect_eq(h->counts[HISTOGRAM_BUCKETS - 1], 2);
    cr_expect_eq(h->max, UINT64_MAX);
    histogram_free(h);
}

Test(histogram, percentiles_are_the_nearest_rank)
{
    struct histogram *h = histogram_new();
    cr_expect_eq(histogram_percentile(h, 50), 0);
    for (uint64_t v = 1; v <= 20; v++) /* small values have a bucket each */
        histogram_add(h, v);
    static const struct {
        double percentile;
        uint64_t value;
    } cases[] = { { 0, 1 }, { 5, 1 }, { 5.1, 2 }, { 50, 10 }, { 50.1, 11 }, { 99, 20 }, { 100, 20 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_expect_eq(histogram_percentile(h, cases[i].percentile), cases[i].value, "p%g", cases[i].percentile);
    cr_expect_eq(h->sum, 210);
    histogram_free(h);
}

Test(histogram, a_percentile_is_never_above_the_maximum)
{
    struct histogram *h = histogram_new();
    struct prng rng;
    prng_init(&rng, 3);
    for (int i = 0; i < 10000; i++) {
        histogram_add(h, prng_below(&rng, 1000000000));
        cr_assert_leq(histogram_percentile(h, 100), h->max);
    }
    uint64_t last = 0;
    for (int p = 0; p <= 100; p++) {
        uint64_t v = histogram_percentile(h, p);
        cr_assert_geq(v, last);
        last = v;
    }
    histogram_free(h);
    histogram_free(NULL);
}
