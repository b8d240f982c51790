/* Calibration of clock_ticks: counts ticks over a millisecond of the monotonic clock. */
#include "common/clock.h"

double clock_ticks_ns = 1.0;

void clock_ticks_calibrate(void)
{
    usec_t begin_us = clock_monotonic_us();
    uint64_t begin = clock_ticks();
    usec_t now_us;
    do {
        now_us = clock_monotonic_us();
    } while (now_us - begin_us < 1000);
    uint64_t ticks = clock_ticks() - begin;
    if (ticks)
        clock_ticks_ns = (double)(now_us - begin_us) * 1000.0 / (double)ticks;
}
