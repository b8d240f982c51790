/* Time for measuring: nanoseconds of the monotonic clock. */
#pragma once

#include <stdint.h>
#include <time.h>

typedef int64_t nsec_t;

#define NSEC_PER_SEC 1000000000LL

static inline nsec_t bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}
