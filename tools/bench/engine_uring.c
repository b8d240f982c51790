/* io_uring: one system call a turn for all connections.
 *
 * Receives are multishot into a shared ring of buffers, so that a request costs one submission (its
 * send) and one completion (its reply): in batches a send that succeeds posts no completion, the
 * replies tell as much. */
#include "tools/bench/engine.h"

#include <errno.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/alloc.h"
#include "common/assert.h"

#define GROUP 0
#define BUFFERS_BYTES_MAX (32u << 20)
#define OP_SEND 1u
#define OP_RECV 2u

struct engine {
    struct engine_config config;
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    char *memory; /* of the buffers */
    size_t buffer_bytes;
    uint32_t buffers_n; /* a power of two */
    size_t mapped, memory_mapped;
};

static uint32_t power_of_two(size_t n, uint32_t min, uint32_t max)
{
    uint32_t p = min;
    while (p < n && p < max)
        p *= 2;
    return p;
}

static void *map(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static struct io_uring_sqe *get_sqe(struct engine *e)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&e->ring);
    if (!sqe) {
        (void)io_uring_submit(&e->ring);
        sqe = io_uring_get_sqe(&e->ring);
    }
    ASSERT(sqe); /* a submit takes all entries, or the ring is broken */
    return sqe;
}

static uint64_t tag(const struct conn *c, uint32_t op)
{
    return (uint64_t)c->index << 2 | op;
}

static void arm_receive(struct engine *e, struct conn *c)
{
    struct io_uring_sqe *sqe = get_sqe(e);
    io_uring_prep_recv_multishot(sqe, c->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    io_uring_sqe_set_data64(sqe, tag(c, OP_RECV));
}

static void queue_send(struct engine *e, struct conn *c)
{
    struct io_uring_sqe *sqe = get_sqe(e);
    io_uring_prep_send(sqe, c->fd, c->out, c->out_n, MSG_NOSIGNAL | MSG_WAITALL);
    if (e->config.batches)
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, tag(c, OP_SEND));
}

static int buffers_open(struct engine *e)
{
    size_t page = 4096;
    e->buffer_bytes = power_of_two(e->config.reply_hint, 4096, 65536);
    e->buffers_n = power_of_two((size_t)e->config.conns_n * 2, 64, 16384);
    while (e->buffers_n > 64 && e->buffers_n * e->buffer_bytes > BUFFERS_BYTES_MAX)
        e->buffers_n /= 2;
    e->mapped = (e->buffers_n * sizeof(struct io_uring_buf) + page - 1) & ~(page - 1);
    e->memory_mapped = e->buffers_n * e->buffer_bytes;
    e->buffers = map(e->mapped);
    e->memory = map(e->memory_mapped);
    if (!e->buffers || !e->memory)
        return -ENOMEM;
    struct io_uring_buf_reg reg = { .ring_addr = (uint64_t)(uintptr_t)e->buffers,
                                    .ring_entries = e->buffers_n,
                                    .bgid = GROUP };
    int r = io_uring_register_buf_ring(&e->ring, &reg, 0);
    if (r < 0)
        return r;
    io_uring_buf_ring_init(e->buffers);
    for (uint32_t i = 0; i < e->buffers_n; i++)
        io_uring_buf_ring_add(e->buffers, e->memory + i * e->buffer_bytes,
                              (unsigned)e->buffer_bytes, (unsigned short)i,
                              io_uring_buf_ring_mask(e->buffers_n), (int)i);
    io_uring_buf_ring_advance(e->buffers, (int)e->buffers_n);
    return 0;
}

static void uring_close(struct engine *e)
{
    io_uring_queue_exit(&e->ring);
    if (e->buffers)
        munmap(e->buffers, e->mapped);
    if (e->memory)
        munmap(e->memory, e->memory_mapped);
    mem_free(e);
}

static int uring_open(const struct engine_config *config, struct engine **ret_engine)
{
    struct engine *e = mem_zalloc(sizeof *e);
    e->config = *config;
    uint32_t entries = power_of_two((size_t)config->conns_n * 2, 64, 4096);
    struct io_uring_params p = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
                 IORING_SETUP_CLAMP,
        .cq_entries = entries * 4,
    };
    int r = io_uring_queue_init_params(entries, &e->ring, &p);
    if (r < 0) {
        mem_free(e);
        return r;
    }
    r = buffers_open(e);
    if (r < 0) {
        uring_close(e);
        return r;
    }
    (void)io_uring_register_ring_fd(&e->ring);
    for (uint32_t i = 0; i < config->conns_n; i++)
        arm_receive(e, &config->conns[i]);
    *ret_engine = e;
    return 0;
}

static void uring_send(struct engine *e, struct conn *c)
{
    if (c->out_busy)
        return; /* its completion sends what has been added */
    c->out_busy = !e->config.batches;
    queue_send(e, c);
}

static int uring_wait(struct engine *e, nsec_t timeout)
{
    int r;
    if (timeout > 0) {
        struct io_uring_cqe *cqe;
        struct __kernel_timespec t = { timeout / NSEC_PER_SEC, timeout % NSEC_PER_SEC };
        r = io_uring_submit_and_wait_timeout(&e->ring, &cqe, 1, &t, NULL);
    } else {
        r = io_uring_submit_and_get_events(&e->ring);
    }
    return r == -ETIME || r == -EINTR || r == -EAGAIN || r == -EBUSY || r > 0 ? 0 : r;
}

static void lost(struct engine *e, struct conn *c, int error)
{
    if (!c->dead)
        e->config.sink.on_closed(e->config.sink.ctx, c, error);
}

static void sent(struct engine *e, struct conn *c, int result)
{
    if (result < 0 || e->config.batches) {
        /* in batches only failures are told: an error, or a send cut short by one */
        lost(e, c, result < 0 ? -result : EPIPE);
        return;
    }
    c->out_busy = conn_sent(c, (size_t)result);
    if (c->out_busy)
        queue_send(e, c);
}

static void received(struct engine *e, struct conn *c, const struct io_uring_cqe *cqe,
                     int *recycled)
{
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        uint32_t id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        char *p = e->memory + id * e->buffer_bytes;
        if (cqe->res > 0 && !c->dead)
            e->config.sink.on_data(e->config.sink.ctx, c, p, (size_t)cqe->res);
        io_uring_buf_ring_add(e->buffers, p, (unsigned)e->buffer_bytes, (unsigned short)id,
                              io_uring_buf_ring_mask(e->buffers_n), (*recycled)++);
    }
    if (cqe->res == 0 || (cqe->res < 0 && cqe->res != -ENOBUFS))
        lost(e, c, -cqe->res);
    else if (!(cqe->flags & IORING_CQE_F_MORE) && !c->dead)
        arm_receive(e, c);
}

static void uring_reap(struct engine *e)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    int recycled = 0;
    io_uring_for_each_cqe(&e->ring, head, cqe) {
        struct conn *c = &e->config.conns[cqe->user_data >> 2];
        if ((cqe->user_data & 3) == OP_SEND)
            sent(e, c, cqe->res);
        else
            received(e, c, cqe, &recycled);
        n++;
    }
    /* buffers go back together with the completions, before the next turn may take them */
    io_uring_buf_ring_advance(e->buffers, recycled);
    io_uring_cq_advance(&e->ring, n);
}

const struct engine_ops engine_uring = {
    .name = "io_uring",
    .open = uring_open,
    .send = uring_send,
    .wait = uring_wait,
    .reap = uring_reap,
    .close = uring_close,
};
