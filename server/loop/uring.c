/* The io_uring backend: one system call a turn.
 *
 * Input comes by multishot receives into one ring of provided buffers: an idle connection costs no
 * buffer and a busy one no submission. A completion lends its buffer to the node until `execute`;
 * then it goes back to the ring. When the ring runs dry a multishot ends with ENOBUFS and is armed
 * again at the end of the turn, when there are buffers.
 *
 * What a connection has in the kernel, one at a time each:
 *
 *     RECV_MULTI   the normal state
 *     RECV_ONE     one provided buffer, then ends: for connections that send large values, which
 *                  would have to cancel a multishot before each receive into place
 *     RECV_INTO    straight into the owner's memory (conn_recv_into), until all of it came
 *     a send       one piece as SEND, several as SENDMSG; short ones are continued
 *
 * The tag of an operation is {op: 8 | generation: 24 | index: 32}. A connection is not freed before
 * all its operations came back; the generation recognises a tag that should not be any more. */
#include "server/loop/uring.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "server/loop/backend.h"

#define URING_BUFS     1024 /* of LOOP_BUF_BYTES, at most */
#define URING_BUFS_MIN 64
#define URING_CALM     4096 /* turns of little need after which the ring gets fewer again */
#define URING_SQ       512
#define URING_CQ       8192
#define URING_IOVS     4096 /* scratch for the sendmsg calls of one submit */
#define URING_MSGS     512
#define LARGE_SHOTS    16 /* one-shot receives after a large value, then multishot again */
#define SEND_MAX       ((size_t)1 << 30)

enum op { OP_NONE, OP_WAKE, OP_ACCEPT, OP_RECV, OP_SEND, OP_CONNECT, OP_IGNORED };
enum recv_kind { RECV_NONE, RECV_MULTI, RECV_ONE, RECV_INTO };

struct uring {
    struct io_uring ring;
    struct buf_ring bufs;
    uint16_t *lent; /* buffers to give back after execute */
    unsigned n_lent;
    bool *offered; /* by buffer: in the ring or lent */
    unsigned n_want, most_lent, calm_turns;
    bool ran_dry;
    uint64_t wake_count;
    unsigned n_ops; /* in the kernel, cancels apart */
    unsigned n_iovs, n_msgs;
    struct iovec iovs[URING_IOVS];
    struct msghdr msgs[URING_MSGS];
};

static uint64_t tag_of(enum op op, uint32_t generation, uint32_t index)
{
    return (uint64_t)op << 56 | (uint64_t)generation << 32 | index;
}

static uint64_t conn_tag(const struct conn *c, enum op op)
{
    return tag_of(op, c->generation, c->index);
}

/* ---- submitting ---- */

static void enter(struct io *io, unsigned n_wait, struct __kernel_timespec *timeout)
{
    struct uring *u = io->backend;
    unsigned n_submit = uring_flush_sq(&u->ring);
    int r = uring_enter(&u->ring, n_submit, n_wait, timeout);
    io->stats.syscalls++;
    /* EBUSY, EAGAIN: the kernel is short of memory for now; what it did not take stays in the
     * queue. */
    if (r < 0 && r != -ETIME && r != -EINTR && r != -EBUSY && r != -EAGAIN)
        PANIC("io_uring_enter: %s", strerror(-r));
    if (uring_flush_sq(&u->ring) == 0)
        u->n_iovs = u->n_msgs = 0; /* the kernel has copied them */
}

static struct io_uring_sqe *sqe_get(struct io *io)
{
    struct uring *u = io->backend;
    for (;;) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
        if (sqe)
            return sqe;
        enter(io, 0, NULL);
    }
}

static void set_tag(struct io *io, struct io_uring_sqe *sqe, uint64_t tag)
{
    struct uring *u = io->backend;
    sqe->user_data = tag;
    u->n_ops++;
}

static void arm_wake(struct io *io)
{
    struct uring *u = io->backend;
    struct io_uring_sqe *sqe = sqe_get(io);
    io_uring_prep_read(sqe, io->wake_fd, &u->wake_count, sizeof u->wake_count, 0);
    set_tag(io, sqe, tag_of(OP_WAKE, 0, 0));
}

static void cancel_tag(struct io *io, uint64_t tag)
{
    struct io_uring_sqe *sqe = sqe_get(io);
    io_uring_prep_cancel64(sqe, tag, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = tag_of(OP_IGNORED, 0, 0);
}

/* ---- receiving ---- */

static enum recv_kind recv_wanted(const struct conn *c)
{
    if (!conn_reads(c))
        return RECV_NONE;
    if (c->into_n && !conn_drops_input(c))
        return RECV_INTO;
    return c->large ? RECV_ONE : RECV_MULTI;
}

static bool scratch_is_full(const struct uring *u)
{
    return u->n_msgs == URING_MSGS || u->n_iovs + OUT_IOV_MAX > URING_IOVS;
}

/* A message of the scratch, whose pieces the caller has put behind the last one's. */
static struct msghdr *scratch_msg(struct uring *u, unsigned n_iovs)
{
    struct msghdr *m = &u->msgs[u->n_msgs++];
    *m = (struct msghdr){ .msg_iov = u->iovs + u->n_iovs, .msg_iovlen = n_iovs };
    u->n_iovs += n_iovs;
    return m;
}

static void prepare_into(struct conn *c)
{
    struct uring *u = c->io->backend;
    size_t n = c->into_n < LOOP_INTO_MAX ? c->into_n : LOOP_INTO_MAX;
    bool with_tail = c->tail_n && n == c->into_n;
    while (with_tail && scratch_is_full(u))
        enter(c->io, 0, NULL);
    struct io_uring_sqe *sqe = sqe_get(c->io);
    if (with_tail) {
        u->iovs[u->n_iovs] = (struct iovec){ c->into, n };
        u->iovs[u->n_iovs + 1] = (struct iovec){ c->tail, c->tail_n };
        io_uring_prep_recvmsg(sqe, c->fd, scratch_msg(u, 2), MSG_WAITALL);
    } else {
        io_uring_prep_recv(sqe, c->fd, c->into, n, MSG_WAITALL);
    }
    set_tag(c->io, sqe, conn_tag(c, OP_RECV));
    c->flags |= CONN_INTO_BUSY;
    c->large = LARGE_SHOTS;
}

static void prepare_buffered(struct conn *c, bool multishot)
{
    struct io_uring_sqe *sqe = sqe_get(c->io);
    io_uring_prep_recv(sqe, c->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = URING_BUF_GROUP;
    if (multishot)
        sqe->ioprio |= IORING_RECV_MULTISHOT;
    else
        c->large--;
    set_tag(c->io, sqe, conn_tag(c, OP_RECV));
}

static void arm_receive(struct conn *c, enum recv_kind kind)
{
    if (kind == RECV_INTO)
        prepare_into(c);
    else
        prepare_buffered(c, kind == RECV_MULTI);
    c->recv_kind = (uint8_t)kind;
    c->recv_cancelled = false;
    c->inflight++;
}

/* The receive in the kernel becomes the one that is wanted; through a cancel when another one is
 * there. */
static void attend_receive(struct conn *c)
{
    enum recv_kind want = recv_wanted(c);
    enum recv_kind have = c->recv_kind;
    if (have == RECV_NONE) {
        if (want != RECV_NONE)
            arm_receive(c, want);
        return;
    }
    bool both_buffered = have != RECV_INTO && (want == RECV_MULTI || want == RECV_ONE);
    if (have == want || both_buffered || c->recv_cancelled)
        return;
    c->recv_cancelled = true;
    cancel_tag(c->io, conn_tag(c, OP_RECV));
}

static void receive_ended(struct conn *c)
{
    c->recv_kind = RECV_NONE;
    c->flags &= ~(uint32_t)CONN_INTO_BUSY;
    c->inflight--;
    conn_attend(c);
}

/* The rest of a large value has mostly arrived by the time its beginning was looked at: taking it
 * at once saves a turn and the wake-ups of a receive that fills up piece by piece. Only when no
 * other receive is in the kernel, which might take bytes out of order. */
static void receive_now(struct conn *c)
{
    struct iovec iov[2] = { { c->into, c->into_n < LOOP_INTO_MAX ? c->into_n : LOOP_INTO_MAX },
                            { c->tail, 0 } };
    if (iov[0].iov_len == c->into_n)
        iov[1].iov_len = c->tail_n;
    struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
    ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT);
    c->io->stats.syscalls++;
    c->large = LARGE_SHOTS;
    if (n > 0)
        (void)conn_placed(c, (size_t)n, c->tail);
    else if (n == 0)
        conn_eof(c);
    else if (errno != EAGAIN && errno != EINTR)
        conn_end(c, errno);
}

static void on_receive(struct conn *c, int res, unsigned cqe_flags)
{
    struct uring *u = c->io->backend;
    bool into = c->recv_kind == RECV_INTO;
    if (!(cqe_flags & IORING_CQE_F_MORE))
        receive_ended(c);
    if (res > 0 && into) {
        (void)conn_placed(c, (size_t)res, c->tail);
    } else if (res > 0) {
        char *p = buf_ring_at(&u->bufs, cqe_flags >> IORING_CQE_BUFFER_SHIFT);
        (void)conn_deliver(c, p, (size_t)res);
        if (c->into_n && c->recv_kind == RECV_NONE && recv_wanted(c) == RECV_INTO)
            receive_now(c);
    } else if (res == 0) {
        conn_eof(c);
    } else if (res == -ENOBUFS) {
        u->ran_dry = true; /* armed again at the end of the turn */
    } else if (res != -ECANCELED && res != -EINTR && res != -EAGAIN) {
        conn_end(c, -res);
    }
}

/* ---- sending ---- */

static void attend_send(struct conn *c)
{
    struct uring *u = c->io->backend;
    if (!conn_sends(c))
        return;
    while (scratch_is_full(u))
        enter(c->io, 0, NULL);
    struct io_uring_sqe *sqe = sqe_get(c->io);
    const struct iovec *iov = u->iovs + u->n_iovs;
    unsigned n = out_iovec(c, u->iovs + u->n_iovs, OUT_IOV_MAX);
    if (n == 1) {
        size_t bytes = iov->iov_len < SEND_MAX ? iov->iov_len : SEND_MAX;
        io_uring_prep_send(sqe, c->fd, iov->iov_base, bytes, MSG_NOSIGNAL);
    } else {
        io_uring_prep_sendmsg(sqe, c->fd, scratch_msg(u, n), MSG_NOSIGNAL);
    }
    set_tag(c->io, sqe, conn_tag(c, OP_SEND));
    c->flags |= CONN_SENDING;
    c->inflight++;
}

static void on_send(struct conn *c, int res)
{
    c->flags &= ~(uint32_t)CONN_SENDING;
    c->inflight--;
    if (res > 0) {
        c->io->stats.write_events++;
        conn_sent(c, (size_t)res);
    } else if (res == -EINTR || res == -EAGAIN || res == -ECANCELED) {
        conn_attend(c);
    } else {
        conn_end(c, res == 0 ? EPIPE : -res);
    }
}

static void uring_attend(struct conn *c)
{
    attend_receive(c);
    attend_send(c);
}

/* ---- beginning and ending ---- */

static int uring_connect(struct conn *c, const struct sockaddr *addr, socklen_t n)
{
    struct io_uring_sqe *sqe = sqe_get(c->io);
    io_uring_prep_connect(sqe, c->fd, addr, n);
    set_tag(c->io, sqe, conn_tag(c, OP_CONNECT));
    c->inflight++;
    enter(c->io, 0, NULL); /* `addr` is the caller's */
    return 0;
}

static void uring_cancel(struct conn *c)
{
    /* A send that waits for a peer that never reads, wherever it waits, ends by this. */
    if (c->flags & CONN_SENDING) {
        (void)shutdown(c->fd, SHUT_RDWR);
        cancel_tag(c->io, conn_tag(c, OP_SEND));
    }
    if (c->recv_kind != RECV_NONE && !c->recv_cancelled) {
        c->recv_cancelled = true;
        cancel_tag(c->io, conn_tag(c, OP_RECV));
    }
    if (c->flags & CONN_CONNECTING)
        cancel_tag(c->io, conn_tag(c, OP_CONNECT));
}

static int uring_listen(struct listener *l)
{
    struct io_uring_sqe *sqe = sqe_get(l->io);
    io_uring_prep_multishot_accept(sqe, l->fd, NULL, NULL, SOCK_CLOEXEC);
    set_tag(l->io, sqe, tag_of(OP_ACCEPT, l->generation, l->index));
    l->armed = true;
    return 0;
}

static void uring_unlisten(struct listener *l)
{
    if (l->armed)
        cancel_tag(l->io, tag_of(OP_ACCEPT, l->generation, l->index));
    l->armed = false;
}

static void on_accept(struct io *io, uint32_t index, uint32_t generation, int res,
                      unsigned cqe_flags)
{
    struct listener *l = index < io->n_listeners ? io->listeners[index] : NULL;
    if (!l || l->generation != generation) { /* closed meanwhile */
        if (res >= 0)
            (void)close(res);
        return;
    }
    if (!(cqe_flags & IORING_CQE_F_MORE))
        l->armed = false;
    if (res >= 0)
        conn_accepted(l, res);
    else
        listener_failed(l, -res);
    l = io->listeners[index]; /* `opened` may have closed it */
    if (l && l->generation == generation && !l->armed && !l->retry_at)
        (void)uring_listen(l);
}

/* ---- the turn ---- */

static void uring_wait(struct io *io, usec_t timeout)
{
    struct uring *u = io->backend;
    if (timeout == 0 || io_uring_cq_ready(&u->ring)) {
        enter(io, 0, NULL);
    } else if (timeout == INT64_MAX) {
        enter(io, 1, NULL);
    } else {
        struct __kernel_timespec ts = { .tv_sec = timeout / 1000000,
                                        .tv_nsec = timeout % 1000000 * 1000 };
        enter(io, 1, &ts);
    }
}

static void on_conn(struct io *io, const struct io_uring_cqe *cqe)
{
    uint32_t generation = (uint32_t)(cqe->user_data >> 32) & 0xffffffu;
    struct conn *c = conn_of(io, (uint32_t)cqe->user_data, generation);
    enum op op = (enum op)(cqe->user_data >> 56);
    if (!c)
        return;
    if (op == OP_RECV) {
        on_receive(c, cqe->res, cqe->flags);
    } else if (op == OP_SEND) {
        on_send(c, cqe->res);
    } else {
        c->inflight--;
        conn_connected(c, -cqe->res);
    }
}

static void count_end(struct uring *u, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE) && cqe->user_data >> 56 != OP_IGNORED)
        u->n_ops--;
}

static void on_completion(struct io *io, const struct io_uring_cqe *cqe)
{
    struct uring *u = io->backend;
    count_end(u, cqe);
    if (cqe->flags & IORING_CQE_F_BUFFER)
        u->lent[u->n_lent++] = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    switch ((enum op)(cqe->user_data >> 56)) {
    case OP_RECV:
    case OP_SEND:
    case OP_CONNECT:
        on_conn(io, cqe);
        break;
    case OP_ACCEPT:
        on_accept(io, (uint32_t)cqe->user_data, (uint32_t)(cqe->user_data >> 32) & 0xffffffu,
                  cqe->res, cqe->flags);
        break;
    case OP_WAKE:
        arm_wake(io);
        break;
    case OP_NONE:
    case OP_IGNORED:
        break;
    }
}

static void uring_collect(struct io *io)
{
    struct uring *u = io->backend;
    for (unsigned n = io_uring_cq_ready(&u->ring); n > 0; n--) {
        struct io_uring_cqe *ready;
        if (io_uring_peek_cqe(&u->ring, &ready) < 0)
            break;
        struct io_uring_cqe cqe = *ready;
        io_uring_cqe_seen(&u->ring, ready); /* handlers may submit, which may complete more */
        on_completion(io, &cqe);
        if (io->gathered >= LOOP_GATHER_BYTES)
            loop_execute(io);
    }
}

/* The kernel takes the buffers of a ring in order, so a large ring walks through as much memory as
 * it has, however little is in use. It begins small, doubles when it runs dry, and shrinks when
 * that was long ago. */
static void fit_ring(struct uring *u)
{
    if (u->ran_dry && u->n_want < URING_BUFS) {
        u->n_want *= 2;
        for (unsigned id = 0; id < u->n_want; id++) {
            if (!u->offered[id]) {
                u->offered[id] = true;
                buf_ring_put(&u->bufs, id);
            }
        }
        u->calm_turns = u->most_lent = 0;
    }
    u->ran_dry = false;
    if (++u->calm_turns < URING_CALM)
        return;
    if (u->most_lent * 4 < u->n_want && u->n_want > URING_BUFS_MIN)
        u->n_want /= 2;
    u->calm_turns = u->most_lent = 0;
}

static void uring_executed(struct io *io)
{
    struct uring *u = io->backend;
    if (!u->n_lent && !u->ran_dry)
        return;
    for (unsigned i = u->n_lent; i > 0; i--) {
        unsigned id = u->lent[i - 1];
        if (id < u->n_want)
            buf_ring_put(&u->bufs, id);
        else
            u->offered[id] = false;
    }
    u->most_lent = u->n_lent > u->most_lent ? u->n_lent : u->most_lent;
    u->n_lent = 0;
    fit_ring(u);
    buf_ring_publish(&u->bufs);
}

/* ---- birth and death ---- */

static int uring_start(struct io *io)
{
    struct uring_probe probe;
    int r = probe_uring(&probe, io->reason, sizeof io->reason);
    if (r < 0)
        return r;
    struct uring *u = mem_zalloc(sizeof *u);
    unsigned flags;
    r = uring_setup(&u->ring, URING_SQ, URING_CQ, &flags);
    if (r < 0) {
        (void)snprintf(io->reason, sizeof io->reason, "io_uring_setup: %s", strerror(-r));
        mem_free(u);
        return r;
    }
    r = buf_ring_init(&u->bufs, &u->ring, URING_BUFS, LOOP_BUF_BYTES, URING_BUFS_MIN);
    if (r < 0) {
        (void)snprintf(io->reason, sizeof io->reason, "io_uring provided buffers: %s",
                       strerror(-r));
        io_uring_queue_exit(&u->ring);
        mem_free(u);
        return r;
    }
    u->lent = mem_alloc(URING_BUFS * sizeof *u->lent);
    u->offered = mem_zalloc(URING_BUFS * sizeof *u->offered);
    memset(u->offered, true, URING_BUFS_MIN);
    u->n_want = URING_BUFS_MIN;
    io->stats.buffer_bytes += URING_BUFS * LOOP_BUF_BYTES;
    io->backend = u;
    arm_wake(io);
    log_debug("io_uring: %u submission entries, task runs %s", u->ring.sq.ring_entries,
              flags & IORING_SETUP_DEFER_TASKRUN  ? "deferred"
              : flags & IORING_SETUP_COOP_TASKRUN ? "cooperative"
                                                  : "plain");
    return 0;
}

/* Takes everything back from the kernel: closing the ring alone would do it some time later, and
 * until then ports stay taken and the owners' memory may be written to. */
static void uring_take_back(struct io *io)
{
    struct uring *u = io->backend;
    struct io_uring_sqe *sqe = sqe_get(io);
    io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    sqe->user_data = tag_of(OP_IGNORED, 0, 0);
    usec_t until = clock_monotonic_us() + LOOP_STOP_US;
    while (u->n_ops && clock_monotonic_us() < until) {
        struct __kernel_timespec ts = { .tv_nsec = 10 * 1000 * 1000 };
        enter(io, 1, &ts);
        struct io_uring_cqe *cqe;
        while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
            count_end(u, cqe);
            if (cqe->user_data >> 56 == OP_ACCEPT && cqe->res >= 0)
                (void)close(cqe->res);
            io_uring_cqe_seen(&u->ring, cqe);
        }
    }
}

static void uring_stop(struct io *io)
{
    struct uring *u = io->backend;
    uring_take_back(io);
    io_uring_queue_exit(&u->ring);
    buf_ring_done(&u->bufs);
    mem_free(u->lent);
    mem_free(u->offered);
    mem_free(u);
    io->backend = NULL;
}

static void uring_forked(struct io *io)
{
    struct uring *u = io->backend;
    (void)close(u->ring.ring_fd);
}

const struct backend_ops uring_backend = {
    .name = "io_uring",
    .start = uring_start,
    .take_back = uring_take_back,
    .stop = uring_stop,
    .forked = uring_forked,
    .wait = uring_wait,
    .collect = uring_collect,
    .executed = uring_executed,
    .listen = uring_listen,
    .unlisten = uring_unlisten,
    .connect = uring_connect,
    .attend = uring_attend,
    .cancel = uring_cancel,
};
