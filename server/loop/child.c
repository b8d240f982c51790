/* Children: copies of this process with one job (see server/io.h).
 *
 * The child's end is heard as the end of a socket that only it has the other side of: an ordinary
 * connection of the loop, which carries its output too, and whose flow control makes it wait. What
 * both sides look at while it runs lies in a page that they share. */
#include "server/io.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "server/loop/backend.h"
#include "server/loop/process.h"

struct io_child {
    struct io_child_job job;
    pid_t pid; /* 0 in the child itself */
    usec_t fork_us;
    void *page;
    struct conn *conn; /* the parent's */
    int fd;            /* the child's */
    bool killed;
};

static void free_child(struct io_child *c)
{
    (void)munmap(c->page, IO_CHILD_PAGE);
    mem_free(c);
}

/* ---- the child ---- */

/* Ctrl-C in a terminal reaches the whole group: the parent decides what becomes of the child. */
static void settle_signals(void)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN }, plain = { .sa_handler = SIG_DFL };
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGTERM, &plain, NULL);
    crash_forked();
}

static _Noreturn void be_child(struct io *io, struct io_child *c, pid_t parent, const int fds[2])
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    settle_signals();
    io_child_close(io, NULL);
    (void)close(fds[0]);
    c->pid = 0;
    c->fd = fds[1];
    log_set_role('C');
    _exit(c->job.run(c->job.ctx, c) & 255);
}

int io_child_write(struct io_child *c, struct bytes b)
{
    ASSERT(c->pid == 0);
    while (b.n) {
        ssize_t n = send(c->fd, b.p, b.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        b.p += n;
        b.n -= (size_t)n;
    }
    return 0;
}

/* ---- the parent ---- */

static void finish(struct io_child *c)
{
    int status = 0;
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    int signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    struct io_child_job job = c->job;
    job.ended(job.ctx, signo ? 0 : WEXITSTATUS(status), signo);
    free_child(c);
}

static void on_output(void *owner, struct bytes b)
{
    struct io_child *c = owner;
    if (c->job.output && !c->killed)
        c->job.output(c->job.ctx, b);
}

static void on_closed(void *owner, int err)
{
    (void)err; /* whatever it was: without its output the child is of no use, and mostly it has
                  ended */
    struct io_child *c = owner;
    (void)kill(c->pid, err ? SIGKILL : 0);
    finish(c);
}

static void deaf_to_output(void *owner, struct bytes b)
{
    (void)owner, (void)b;
}

static void deaf_to_end(void *owner, int err)
{
    (void)owner, (void)err;
}

static const struct conn_handler hears = { .input = on_output, .closed = on_closed };
static const struct conn_handler deaf = { .input = deaf_to_output, .closed = deaf_to_end };

static struct io_child *new_child(const struct io_child_job *job)
{
    void *page =
        mmap(NULL, IO_CHILD_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    struct io_child *c = mem_zalloc(sizeof *c);
    c->job = *job;
    c->page = page;
    return c;
}

int io_fork(struct io *io, const struct io_child_job *job, struct io_child **ret_child)
{
    int fds[2];
    struct io_child *c = new_child(job);
    if (!c)
        return -errno;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        int r = -errno;
        free_child(c);
        return r;
    }
    pid_t parent = getpid();
    usec_t begin = clock_monotonic_us();
    c->pid = fork();
    if (c->pid == 0)
        be_child(io, c, parent, fds);
    int r = c->pid < 0 ? -errno : 0;
    c->fork_us = clock_monotonic_us() - begin;
    (void)close(fds[1]);
    if (r < 0) {
        (void)close(fds[0]);
        free_child(c);
        return r;
    }
    c->conn = conn_new(io, fds[0]);
    c->conn->flags |= CONN_OWNED;
    conn_set_handler(c->conn, &hears);
    conn_set_owner(c->conn, c);
    conn_attend(c->conn);
    *ret_child = c;
    return 0;
}

int io_child_pid(const struct io_child *c)
{
    return (int)(c->pid ? c->pid : getpid());
}

usec_t io_child_fork_us(const struct io_child *c)
{
    return c->fork_us;
}

void *io_child_page(const struct io_child *c)
{
    return c->page;
}

void io_child_pause(struct io_child *c, bool pause)
{
    conn_pause_input(c->conn, pause && !c->killed);
}

void io_child_kill(struct io_child *c)
{
    c->killed = true;
    conn_pause_input(c->conn, false); /* its end must be heard */
    (void)kill(c->pid, SIGKILL);
}

void io_child_wait(struct io_child *c)
{
    conn_set_handler(c->conn, &deaf);
    conn_close(c->conn);
    finish(c);
}
