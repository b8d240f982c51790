/* Verbs of the process that others lean on: writing whole texts, sleeping as long as asked. */
#include "server/loop/process.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

TestSuite(process, .timeout = 30);

struct drain {
    int fd;
    size_t n;
};

static void *drain(void *ctx)
{
    struct drain *d = ctx;
    char bytes[1000];
    for (ssize_t n; (n = read(d->fd, bytes, sizeof(bytes))) > 0;)
        d->n += (size_t)n;
    return NULL;
}

Test(process, a_text_larger_than_the_pipe_is_written_whole)
{
    static char text[1 << 20];
    int fds[2];
    pthread_t reader;
    memset(text, 'x', sizeof(text));
    cr_assert_eq(pipe(fds), 0);
    struct drain d = { .fd = fds[0] };
    cr_assert_eq(pthread_create(&reader, NULL, drain, &d), 0);
    process_write(fds[1], text, sizeof(text));
    close(fds[1]);
    pthread_join(reader, NULL);
    cr_expect_eq(d.n, sizeof(text));
}

Test(process, writing_to_what_is_not_there_ends)
{
    process_write(-1, "x", 1);
    process_write(-1, NULL, 0);
}

Test(process, sleeping_takes_the_time_asked_and_nonsense_none)
{
    static const struct {
        double seconds;
        usec_t least, most;
    } cases[] = {
        { 0.03, 30000, 5000000 }, { 0, 0, 20000 }, { -1, 0, 20000 }, { NAN, 0, 20000 }, { -INFINITY, 0, 20000 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        usec_t begin = clock_monotonic_us();
        process_sleep(cases[i].seconds);
        usec_t took = clock_monotonic_us() - begin;
        cr_expect_geq(took, cases[i].least, "%g", cases[i].seconds);
        cr_expect_lt(took, cases[i].most, "%g", cases[i].seconds);
    }
}

Test(process, is_the_one_that_asks)
{
    cr_expect_eq(process_id(), (int)getpid());
}
