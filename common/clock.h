/* Time types and the only readers of the system's clocks. Modules get time handed in; the loop reads it once a turn. */
#pragma once

#include <stdint.h>

typedef int64_t msec_t; /* milliseconds: since 1970 for wall time, since boot for monotonic time */
typedef int64_t usec_t; /* microseconds, likewise */

usec_t clock_wall_us(void);
usec_t clock_monotonic_us(void);

/* A cheap tick for measuring commands: the time stamp counter where it is constant, else clock_monotonic. */
static inline uint64_t clock_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return (uint64_t)clock_monotonic_us();
#endif
}

void clock_ticks_calibrate(void);            /* once at start (takes about 1 ms); safe to call again */
extern double clock_ticks_ns;                /* nanoseconds of one tick */
static inline uint64_t clock_ticks_to_ns(uint64_t ticks)
{
    return (uint64_t)((double)ticks * clock_ticks_ns);
}

void clock_random(void *p, unsigned long n); /* bytes from the system's random source */
