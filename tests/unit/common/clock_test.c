/* The clocks: right scale, right direction. */
#include "common/clock.h"

#include <criterion/criterion.h>
#include <time.h>

Test(clock, wall_time_is_the_time_of_the_system)
{
    time_t before = time(NULL);
    usec_t now = clock_wall_us();
    time_t after = time(NULL);
    cr_assert_geq(now / 1000000, before);
    /* time() may read a coarser clock, which lags behind. */
    cr_assert_leq(now / 1000000, after + 1);
}

Test(clock, monotonic_time_does_not_go_back)
{
    usec_t last = clock_monotonic_us();
    for (int i = 0; i < 100000; i++) {
        usec_t now = clock_monotonic_us();
        cr_assert_geq(now, last);
        last = now;
    }
}

Test(clock, monotonic_time_counts_microseconds)
{
    usec_t before = clock_monotonic_us();
    nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000000 }, NULL);
    usec_t passed = clock_monotonic_us() - before;
    cr_assert_geq(passed, 20000);
    cr_assert_lt(passed, 10 * 1000000);
}

Test(clock, calibrated_ticks_measure_nanoseconds)
{
    clock_ticks_calibrate();
    usec_t before = clock_monotonic_us();
    uint64_t ticks = clock_ticks();
    nanosleep(&(struct timespec){ .tv_nsec = 50 * 1000000 }, NULL);
    uint64_t ns = clock_ticks_to_ns(clock_ticks() - ticks);
    uint64_t expect = (uint64_t)(clock_monotonic_us() - before) * 1000;
    cr_assert_geq(ns, expect * 8 / 10);
    cr_assert_leq(ns, expect * 12 / 10);
}
