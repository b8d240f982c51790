/* Random numbers: repeatable, and even. */
#include "common/prng.h"

#include <criterion/criterion.h>

Test(prng, the_same_seed_gives_the_same_numbers)
{
    struct prng a, b, c;
    prng_init(&a, 42);
    prng_init(&b, 42);
    prng_init(&c, 43);
    int differ = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = prng_u64(&a);
        cr_assert_eq(x, prng_u64(&b));
        differ += x != prng_u64(&c);
    }
    cr_assert_gt(differ, 990);
}

/* The first outputs of the reference algorithm for the state { 1, 2, 3, 4 }. */
Test(prng, the_sequence_is_that_of_xoshiro256_starstar)
{
    struct prng r = { { 1, 2, 3, 4 } };
    static const uint64_t expect[] = { 11520, 0, 1509978240, 1215971899390074240 };
    for (size_t i = 0; i < sizeof expect / sizeof *expect; i++)
        cr_assert_eq(prng_u64(&r), expect[i]);
}

Test(prng, the_seeding_is_that_of_splitmix64)
{
    uint64_t state = 1234567;
    cr_assert_eq(prng_split(&state), 6457827717110365317ull);
    cr_assert_eq(prng_split(&state), 3203168211198807973ull);
}

Test(prng, below_is_even_and_stays_below)
{
    static const uint64_t limits[] = { 1, 2, 3, 7, 10, 1000, ((uint64_t)1 << 63) + 1, UINT64_MAX };
    struct prng r;
    prng_init(&r, 1);
    for (size_t l = 0; l < sizeof limits / sizeof *limits; l++)
        for (int i = 0; i < 10000; i++)
            cr_assert_lt(prng_below(&r, limits[l]), limits[l]);
    int counts[7] = { 0 };
    for (int i = 0; i < 70000; i++)
        counts[prng_below(&r, 7)]++;
    for (int i = 0; i < 7; i++)
        cr_assert(counts[i] > 9600 && counts[i] < 10400, "%d: %d", i, counts[i]);
    /* With 2^63 + 1 values, a biased method gives the lower half twice as often. */
    int lower = 0;
    for (int i = 0; i < 10000; i++)
        lower += prng_below(&r, 3 * ((uint64_t)1 << 62)) < (uint64_t)1 << 62;
    cr_assert(lower > 3133 && lower < 3533, "%d", lower);
}

Test(prng, doubles_fill_zero_to_one)
{
    struct prng r;
    prng_init(&r, 1);
    double sum = 0, least = 1, most = 0;
    for (int i = 0; i < 100000; i++) {
        double d = prng_double(&r);
        cr_assert(d >= 0 && d < 1);
        sum += d;
        least = d < least ? d : least;
        most = d > most ? d : most;
    }
    cr_assert(sum > 49500 && sum < 50500);
    cr_assert(least < 0.001 && most > 0.999);
}
