/* Whether io_uring can be used here: by trying, on a small ring of its own, everything the backend
 * relies on.
 *
 * A kernel may lack io_uring (ENOSYS), forbid it (EPERM: seccomp, sysctl io_uring_disabled), or be
 * too old for multishot receives with provided buffers (before 6.0). Asking for versions would be
 * wrong twice: distributions port features back, and sandboxes leave single operations out. */
#include "server/loop/backend.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/assert.h"
#include "server/loop/uring.h"

int buf_ring_init(struct buf_ring *b, struct io_uring *ring, unsigned n, size_t bytes,
                  unsigned n_offered)
{
    ASSERT((n & (n - 1)) == 0 && n <= 32768);
    size_t n_ring = n * sizeof(struct io_uring_buf);
    void *entries = mmap(NULL, n_ring, PROT_READ | PROT_WRITE,
                         MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
    if (entries == MAP_FAILED)
        return -errno;
    void *bufs = mmap(NULL, n * bytes, PROT_READ | PROT_WRITE,
                      MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1, 0);
    if (bufs == MAP_FAILED) {
        int r = -errno;
        (void)munmap(entries, n_ring);
        return r;
    }
    (void)madvise(entries, n_ring, MADV_DONTFORK);
    (void)madvise(bufs, n * bytes, MADV_DONTFORK);
    *b = (struct buf_ring){ .ring = entries, .bufs = bufs, .bytes = bytes, .n = n };
    struct io_uring_buf_reg reg = { .ring_addr = (__u64)(uintptr_t)entries,
                                    .ring_entries = n,
                                    .bgid = URING_BUF_GROUP };
    int r = io_uring_register_buf_ring(ring, &reg, 0);
    if (r < 0) {
        buf_ring_done(b);
        return r;
    }
    for (unsigned i = 0; i < n_offered; i++)
        buf_ring_put(b, i);
    buf_ring_publish(b);
    return 0;
}

void buf_ring_done(struct buf_ring *b)
{
    if (!b->ring)
        return;
    (void)munmap(b->ring, b->n * sizeof(struct io_uring_buf));
    (void)munmap(b->bufs, b->n * b->bytes);
    *b = (struct buf_ring){ 0 };
}

/* Deferred task runs cost least; before 6.1 there are cooperative ones, before 5.19 neither.
 * NO_SQARRAY is not for the liburing in use, which fills the array. */
int uring_setup(struct io_uring *ret_ring, unsigned n_sq, unsigned n_cq, unsigned *ret_setup_flags)
{
    static const unsigned choices[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        0,
    };
    int r = -EINVAL;
    for (unsigned i = 0; i < sizeof choices / sizeof *choices && r == -EINVAL; i++) {
        struct io_uring_params p = { .flags = choices[i] | IORING_SETUP_CQSIZE |
                                              IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP,
                                     .cq_entries = n_cq };
        r = io_uring_queue_init_params(n_sq, ret_ring, &p);
        *ret_setup_flags = choices[i];
    }
    if (r < 0)
        return r;
    for (unsigned i = 0; i < ret_ring->sq.ring_entries; i++)
        ret_ring->sq.array[i] =
            i; /* entries are taken in order: uring_flush_sq moves the tail only */
    return 0;
}

unsigned uring_flush_sq(struct io_uring *ring)
{
    __atomic_store_n(ring->sq.ktail, ring->sq.sqe_tail, __ATOMIC_RELEASE);
    ring->sq.sqe_head = ring->sq.sqe_tail;
    return ring->sq.sqe_tail - __atomic_load_n(ring->sq.khead, __ATOMIC_ACQUIRE);
}

int uring_enter(struct io_uring *ring, unsigned n_submit, unsigned n_wait,
                struct __kernel_timespec *timeout)
{
    struct io_uring_getevents_arg arg = { .ts = (__u64)(uintptr_t)timeout };
    unsigned flags = IORING_ENTER_GETEVENTS | (timeout ? IORING_ENTER_EXT_ARG : 0);
    long r = syscall(__NR_io_uring_enter, ring->ring_fd, n_submit, n_wait, flags,
                     timeout ? (void *)&arg : NULL, timeout ? sizeof arg : 0);
    return r < 0 ? -errno : (int)r;
}

/* ---- the trial ---- */

struct trial {
    struct io_uring ring;
    struct buf_ring bufs;
    int pair[2];
    const char *step; /* under way; what the reason names */
};

static int check_operations(struct trial *t)
{
    static const struct {
        int op;
        const char *name;
    } ops[] = {
        { IORING_OP_ACCEPT, "operation accept" },
        { IORING_OP_CONNECT, "operation connect" },
        { IORING_OP_RECV, "operation recv" },
        { IORING_OP_SEND, "operation send" },
        { IORING_OP_SENDMSG, "operation sendmsg" },
        { IORING_OP_READ, "operation read" },
        { IORING_OP_ASYNC_CANCEL, "operation async_cancel" },
    };
    t->step = "io_uring_register probe";
    struct io_uring_probe *p = io_uring_get_probe_ring(&t->ring);
    if (!p)
        return -EINVAL;
    int r = 0;
    for (unsigned i = 0; i < sizeof ops / sizeof *ops && r == 0; i++) {
        t->step = ops[i].name;
        r = io_uring_opcode_supported(p, ops[i].op) ? 0 : -EOPNOTSUPP;
    }
    io_uring_free_probe(p);
    return r;
}

/* One completion, waited for at most a second. */
static int one_completion(struct trial *t, struct io_uring_cqe *ret_cqe)
{
    struct __kernel_timespec ts = { .tv_sec = 1 };
    int r = uring_enter(&t->ring, uring_flush_sq(&t->ring), 1, &ts);
    if (r < 0)
        return r;
    struct io_uring_cqe *cqe;
    r = io_uring_peek_cqe(&t->ring, &cqe);
    if (r < 0)
        return r;
    *ret_cqe = *cqe;
    io_uring_cqe_seen(&t->ring, cqe);
    return 0;
}

/* The receive must survive its first completion, and hand out one of our buffers. */
static int check_multishot_receive(struct trial *t)
{
    t->step = "provided buffers";
    int r = buf_ring_init(&t->bufs, &t->ring, 2, 4096, 2);
    if (r < 0)
        return r;
    t->step = "multishot receive";
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t->pair) < 0)
        return -errno;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&t->ring);
    io_uring_prep_recv_multishot(sqe, t->pair[0], NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = URING_BUF_GROUP;
    if (write(t->pair[1], "x", 1) != 1)
        return -errno;
    struct io_uring_cqe cqe;
    r = one_completion(t, &cqe);
    if (r < 0)
        return r;
    if (cqe.res < 0)
        return cqe.res;
    unsigned need = IORING_CQE_F_MORE | IORING_CQE_F_BUFFER;
    if (cqe.res != 1 || (cqe.flags & need) != need)
        return -EOPNOTSUPP;
    if (*buf_ring_at(&t->bufs, cqe.flags >> IORING_CQE_BUFFER_SHIFT) != 'x')
        return -EIO;
    return 0;
}

static int run_trial(struct trial *t, struct uring_probe *ret_probe)
{
    t->step = "io_uring_setup";
    int r = uring_setup(&t->ring, 4, 16, &ret_probe->setup_flags);
    if (r < 0)
        return r;
    const unsigned need = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL |
                          IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;
    t->step = "io_uring features";
    r = (t->ring.features & need) == need ? check_operations(t) : -EOPNOTSUPP;
    if (r == 0)
        r = check_multishot_receive(t);
    if (t->pair[0] >= 0) {
        (void)close(t->pair[0]);
        (void)close(t->pair[1]);
    }
    io_uring_queue_exit(&t->ring);
    buf_ring_done(&t->bufs);
    return r;
}

int probe_uring(struct uring_probe *ret_probe, char *ret_reason, size_t n)
{
    struct trial t = { .pair = { -1, -1 } };
    int r = run_trial(&t, ret_probe);
    if (r < 0)
        (void)snprintf(ret_reason, n, "%s: %s", t.step, strerror(-r));
    return r;
}
