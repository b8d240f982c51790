/* Where io_uring is denied the loop says why and uses epoll. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "server/io.h"

static char log_path[64];

static void nothing(void *p)
{
    (void)p;
}

static usec_t never(void *p)
{
    (void)p;
    return INT64_MAX;
}

static const struct io_handler handler = { .execute = nothing,
                                           .before_wait = never,
                                           .after_wait = nothing };

/* From here on the system call `nr` fails with `err` in this process. */
static void deny(int nr, int err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = 4, .filter = code };
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void log_to_file(void)
{
    (void)snprintf(log_path, sizeof log_path, "/tmp/ouro-probe-test-%d.log", (int)getpid());
    const struct log_config c = { .level = LOG_LEVEL_NOTICE, .path = log_path };
    log_configure(&c);
}

static int count_in_log(const char *text)
{
    static char content[4096];
    FILE *f = fopen(log_path, "r");
    size_t n = f ? fread(content, 1, sizeof content - 1, f) : 0;
    content[n] = 0;
    if (f)
        fclose(f);
    int k = 0;
    for (const char *p = content; (p = strstr(p, text)); p++)
        k++;
    return k;
}

static void expect_fallback(int nr, int err, const char *reason)
{
    log_to_file();
    deny(nr, err);
    struct io *io = NULL;
    const struct io_config any = { .backend = IO_BACKEND_AUTO };
    cr_assert_eq(io_new(&any, &handler, &io), 0);
    cr_assert_str_eq(io_backend_name(io), "epoll");
    cr_assert_str_eq(io_backend_reason(io), reason);
    cr_assert_eq(count_in_log(reason), 1, "one warning, naming the reason");
    cr_assert_eq(count_in_log("\n"), 1);
    io_free(io);
    io = NULL;
    const struct io_config forced = { .backend = IO_BACKEND_URING };
    cr_assert_eq(io_new(&forced, &handler, &io), -err);
    cr_assert_null(io);
    unlink(log_path);
}

Test(probe, a_sandbox_that_forbids_io_uring_gets_epoll)
{
    expect_fallback(__NR_io_uring_setup, EPERM, "io_uring_setup: Operation not permitted");
}

Test(probe, a_kernel_without_io_uring_gets_epoll)
{
    expect_fallback(__NR_io_uring_setup, ENOSYS, "io_uring_setup: Function not implemented");
}

Test(probe, a_sandbox_that_forbids_a_part_gets_epoll)
{
    struct io *io = NULL;
    const struct io_config forced = { .backend = IO_BACKEND_URING };
    if (io_new(&forced, &handler, &io) < 0)
        return; /* no io_uring here at all: the part does not come up */
    cr_assert_str_eq(io_backend_name(io), "io_uring");
    cr_assert_str_eq(io_backend_reason(io), "configured");
    io_free(io);
    expect_fallback(__NR_io_uring_enter, EACCES, "multishot receive: Permission denied");
}

Test(probe, epoll_can_be_had_by_name)
{
    struct io *io = NULL;
    const struct io_config forced = { .backend = IO_BACKEND_EPOLL };
    cr_assert_eq(io_new(&forced, &handler, &io), 0);
    cr_assert_str_eq(io_backend_name(io), "epoll");
    cr_assert_str_eq(io_backend_reason(io), "configured");
    io_free(io);
}
