/* Runs a program in which io_uring is not to be had, as in Docker's default profile or under gVisor.
 *
 *     deny_uring EPERM|ENOSYS|none PROGRAM [ARGUMENTS]
 *
 * A seccomp filter (plain BPF, so that nothing needs to be linked) answers io_uring_setup, io_uring_enter and
 * io_uring_register with that error and lets everything else through. `none` installs a filter that forbids
 * nothing: the control of the experiment. The calls have the same numbers on every architecture of Linux. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define IO_URING_SETUP 425
#define IO_URING_REGISTER 427

static int install(int error)
{
    struct sock_filter deny[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, IO_URING_SETUP, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, IO_URING_REGISTER, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, error ? SECCOMP_RET_ERRNO | (unsigned)error : SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof(deny) / sizeof(deny[0]), .filter = deny };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return -errno;
    return 0;
}

int main(int argc, char **argv)
{
    int error;

    if (argc < 3) {
        fprintf(stderr, "usage: deny_uring EPERM|ENOSYS|none PROGRAM [ARGUMENTS]\n");
        return 2;
    }
    if (strcmp(argv[1], "EPERM") == 0) {
        error = EPERM;
    } else if (strcmp(argv[1], "ENOSYS") == 0) {
        error = ENOSYS;
    } else if (strcmp(argv[1], "none") == 0) {
        error = 0;
    } else {
        fprintf(stderr, "deny_uring: unknown error '%s'\n", argv[1]);
        return 2;
    }
    int r = install(error);
    if (r < 0) {
        fprintf(stderr, "deny_uring: no filter: %s\n", strerror(-r));
        return 3;
    }
    execvp(argv[2], argv + 2);
    fprintf(stderr, "deny_uring: %s: %s\n", argv[2], strerror(errno));
    return 127;
}
