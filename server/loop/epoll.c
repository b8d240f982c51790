/* The epoll backend, for where io_uring is denied. Same behaviour, more system calls: one receive
 * per connection that has bytes, one send per connection that has output.
 *
 * Level-triggered: an event says "there is something", one receive of LOOP_BUF_BYTES usually takes
 * all of it, and what is left is reported again, so that nobody has to read until EAGAIN and nobody
 * starves. Input of all connections of a turn is received one behind the other into one stretch of
 * memory, which stays in the cache. c->events is what the kernel watches for; 0 means that it does
 * not know the descriptor, as hang-ups are reported whether asked for or not and would spin for a
 * connection that is not to be read. */
#include "server/loop/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/alloc.h"

#define EPOLL_EVENTS 512 /* taken by one wait */
#define INPUT_BYTES  (LOOP_GATHER_BYTES + LOOP_BUF_BYTES)
#define RECEIVES_MAX 4  /* of one connection in a turn */
#define ACCEPTS_MAX  64 /* of one listener in a turn */

enum tag { TAG_WAKE, TAG_LISTENER, TAG_CONN };

struct poller {
    int fd;
    int n_ready;
    char *input; /* INPUT_BYTES, its own mapping */
    size_t input_used;
    struct epoll_event ready[EPOLL_EVENTS];
};

static uint64_t tag_of(enum tag tag, uint32_t generation, uint32_t index)
{
    return (uint64_t)tag << 56 | (uint64_t)generation << 32 | index;
}

static int control(struct io *io, int op, int fd, uint32_t events, uint64_t tag)
{
    struct poller *p = io->backend;
    struct epoll_event e = { .events = events, .data.u64 = tag };
    io->stats.syscalls++;
    return epoll_ctl(p->fd, op, fd, &e) < 0 ? -errno : 0;
}

static void watch(struct conn *c, uint32_t events)
{
    if (events == c->events)
        return;
    int op = !c->events ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    int r = control(c->io, op, c->fd, events, tag_of(TAG_CONN, c->generation, c->index));
    if (r < 0 && events)
        conn_end(c, -r);
    else
        c->events = events;
}

/* ---- receiving ---- */

static void receive_failed(struct conn *c, ssize_t n, int err)
{
    if (n == 0)
        conn_eof(c);
    else if (err != EAGAIN && err != EINTR)
        conn_end(c, err);
}

/* The stretch for input has room for one receive. */
static char *input_room(struct io *io)
{
    struct poller *p = io->backend;
    if (INPUT_BYTES - p->input_used < LOOP_BUF_BYTES)
        loop_execute(io);
    return p->input + p->input_used;
}

static void input_lent(struct io *io, size_t n)
{
    struct poller *p = io->backend;
    p->input_used += (n + 63) & ~(size_t)63;
}

/* Straight into the owner's memory, and what follows behind the input of others. True when there
 * may be more. */
static bool receive_into(struct conn *c)
{
    struct io *io = c->io;
    char *behind = input_room(io);
    if (!conn_reads(c) || !c->into_n) /* executing may change what is wanted */
        return true;
    size_t want = c->into_n < LOOP_INTO_MAX ? c->into_n : LOOP_INTO_MAX;
    struct iovec iov[2] = { { c->into, want }, { behind, want == c->into_n ? LOOP_BUF_BYTES : 0 } };
    ssize_t n = readv(c->fd, iov, 2);
    io->stats.syscalls++;
    if (n <= 0) {
        receive_failed(c, n, errno);
        return false;
    }
    if (conn_placed(c, (size_t)n, behind))
        input_lent(io, (size_t)n - want);
    return (size_t)n == want + iov[1].iov_len;
}

static bool receive_buffered(struct conn *c)
{
    struct io *io = c->io;
    char *to = input_room(io);
    if (!conn_reads(c) || (c->into_n && !conn_drops_input(c)))
        return true;
    ssize_t n = recv(c->fd, to, LOOP_BUF_BYTES, 0);
    io->stats.syscalls++;
    if (n <= 0) {
        receive_failed(c, n, errno);
        return false;
    }
    if (conn_deliver(c, to, (size_t)n))
        input_lent(io, (size_t)n);
    return n == LOOP_BUF_BYTES;
}

static void receive(struct conn *c)
{
    for (int i = 0; i < RECEIVES_MAX && conn_reads(c); i++) {
        bool more = c->into_n && !conn_drops_input(c) ? receive_into(c) : receive_buffered(c);
        if (!more)
            return;
    }
}

/* ---- sending ---- */

/* True when the kernel took all that it was given. */
static bool send_some(struct conn *c)
{
    struct io *io = c->io;
    struct iovec iov[OUT_IOV_MAX];
    unsigned k = out_iovec(c, iov, OUT_IOV_MAX);
    ssize_t n;
    if (k == 1) {
        n = send(c->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
    } else {
        struct msghdr m = { .msg_iov = iov, .msg_iovlen = k };
        n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
    }
    int err = errno;
    io->stats.syscalls++;
    if (n > 0) {
        size_t given = 0;
        for (unsigned i = 0; i < k; i++)
            given += iov[i].iov_len;
        io->stats.write_events++;
        conn_sent(c, (size_t)n);
        if ((size_t)n < given)
            c->flags |= CONN_SENDING;
        return (size_t)n == given;
    }
    if (n < 0 && err == EINTR)
        return true;
    if (n < 0 && err == EAGAIN)
        c->flags |= CONN_SENDING;
    else
        conn_end(c, n == 0 ? EPIPE : err);
    return false;
}

static void epoll_attend(struct conn *c)
{
    while (conn_sends(c)) {
        if (!send_some(c))
            break;
    }
    if (c->flags & CONN_CLOSING)
        return;
    bool writes = c->flags & (CONN_SENDING | CONN_CONNECTING);
    watch(c, (conn_reads(c) ? EPOLLIN : 0) | (writes ? EPOLLOUT : 0));
}

/* ---- beginning and ending ---- */

static int epoll_connect(struct conn *c, const struct sockaddr *addr, socklen_t n)
{
    int flags = fcntl(c->fd, F_GETFL);
    if (flags < 0 || fcntl(c->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    if (connect(c->fd, addr, n) < 0 && errno != EINPROGRESS)
        c->err = errno; /* told from the next turn on, like the others: the descriptor reports a
                           hang-up at once */
    conn_attend(c);
    return 0;
}

static void on_connected(struct conn *c)
{
    int err = c->err;
    socklen_t n = sizeof err;
    if (!err && getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
        err = errno;
    conn_connected(c, err);
}

static void epoll_cancel(struct conn *c)
{
    c->flags &= ~(uint32_t)CONN_SENDING;
    if (c->events) /* a forked child may keep the socket open, and so known to epoll */
        (void)control(c->io, EPOLL_CTL_DEL, c->fd, 0, 0);
    c->events = 0;
}

static int epoll_listen(struct listener *l)
{
    int flags = fcntl(l->fd, F_GETFL);
    if (flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    int r = control(l->io, EPOLL_CTL_ADD, l->fd, EPOLLIN,
                    tag_of(TAG_LISTENER, l->generation, l->index));
    l->armed = r == 0;
    return r;
}

static void epoll_unlisten(struct listener *l)
{
    if (l->armed)
        (void)control(l->io, EPOLL_CTL_DEL, l->fd, 0, 0);
    l->armed = false;
}

static void on_acceptable(struct io *io, uint32_t index, uint32_t generation)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct listener *l = index < io->n_listeners ? io->listeners[index] : NULL;
        if (!l || l->generation != generation || !l->armed)
            return; /* `opened` may have closed it */
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        io->stats.syscalls++;
        if (fd >= 0) {
            conn_accepted(l, fd);
            continue;
        }
        if (errno == EAGAIN)
            return;
        if (errno == EINTR)
            continue;
        listener_failed(l, errno);
        if (l->retry_at)
            epoll_unlisten(l);
        return;
    }
}

/* ---- the turn ---- */

static void epoll_turn_wait(struct io *io, usec_t timeout)
{
    struct poller *p = io->backend;
    int ms = timeout == INT64_MAX               ? -1
             : timeout > 3600 * (usec_t)1000000 ? 3600 * 1000
                                                : (int)((timeout + 999) / 1000);
    p->n_ready = epoll_wait(p->fd, p->ready, EPOLL_EVENTS, ms);
    io->stats.syscalls++;
    if (p->n_ready < 0)
        p->n_ready = 0; /* EINTR: a turn begins all the same */
}

static void on_conn(struct conn *c, uint32_t events)
{
    if (c->flags & CONN_CLOSING)
        return;
    if (c->flags & CONN_CONNECTING) {
        on_connected(c);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(c);
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) && (c->flags & CONN_SENDING)) {
        c->flags &= ~(uint32_t)CONN_SENDING;
        conn_attend(c);
    }
    if (!conn_reads(c) && (events & (EPOLLHUP | EPOLLERR)))
        conn_attend(c);
}

static void epoll_collect(struct io *io)
{
    struct poller *p = io->backend;
    for (int i = 0; i < p->n_ready; i++) {
        struct epoll_event e = p->ready[i];
        uint32_t index = (uint32_t)e.data.u64,
                 generation = (uint32_t)(e.data.u64 >> 32) & 0xffffffu;
        enum tag tag = (enum tag)(e.data.u64 >> 56);
        if (tag == TAG_CONN) {
            struct conn *c = conn_of(io, index, generation);
            if (c)
                on_conn(c, e.events);
        } else if (tag == TAG_LISTENER) {
            on_acceptable(io, index, generation);
        } else {
            uint64_t count;
            (void)!read(io->wake_fd, &count, sizeof count);
            io->stats.syscalls++;
        }
        if (io->gathered >= LOOP_GATHER_BYTES)
            loop_execute(io);
    }
    p->n_ready = 0;
}

static void epoll_executed(struct io *io)
{
    struct poller *p = io->backend;
    p->input_used = 0;
}

/* ---- birth and death ---- */

static int start_failed(struct io *io, struct poller *p, const char *what)
{
    int r = -errno;
    (void)snprintf(io->reason, sizeof io->reason, "%s: %s", what, strerror(-r));
    if (p->fd >= 0)
        (void)close(p->fd);
    mem_free(p);
    io->backend = NULL;
    return r;
}

static int epoll_start(struct io *io)
{
    struct poller *p = mem_zalloc(sizeof *p);
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->fd < 0)
        return start_failed(io, p, "epoll_create1");
    io->backend = p;
    if (control(io, EPOLL_CTL_ADD, io->wake_fd, EPOLLIN, tag_of(TAG_WAKE, 0, 0)) < 0)
        return start_failed(io, p, "epoll_ctl");
    p->input = mmap(NULL, INPUT_BYTES, PROT_READ | PROT_WRITE,
                    MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1, 0);
    if (p->input == MAP_FAILED)
        return start_failed(io, p, "mmap");
    (void)madvise(p->input, INPUT_BYTES, MADV_DONTFORK);
    io->stats.buffer_bytes += INPUT_BYTES;
    return 0;
}

static void epoll_stop(struct io *io)
{
    struct poller *p = io->backend;
    (void)close(p->fd);
    (void)munmap(p->input, INPUT_BYTES);
    mem_free(p);
    io->backend = NULL;
}

static void epoll_take_back(struct io *io)
{
    (void)io; /* it lends nothing */
}

static void epoll_forked(struct io *io)
{
    struct poller *p = io->backend;
    (void)close(p->fd);
}

const struct backend_ops epoll_backend = {
    .name = "epoll",
    .start = epoll_start,
    .take_back = epoll_take_back,
    .stop = epoll_stop,
    .forked = epoll_forked,
    .wait = epoll_turn_wait,
    .collect = epoll_collect,
    .executed = epoll_executed,
    .listen = epoll_listen,
    .unlisten = epoll_unlisten,
    .connect = epoll_connect,
    .attend = epoll_attend,
    .cancel = epoll_cancel,
};
