/* Random bytes from the system, for seeds and run ids. */
#include <errno.h>
#include <sys/random.h>

#include "common/assert.h"
#include "common/clock.h"

void clock_random(void *p, unsigned long n)
{
    char *at = p;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        ASSERT(got > 0);
        at += got;
        n -= (unsigned long)got;
    }
}
