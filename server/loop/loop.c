/* The turn: wait, gather, execute, prepare the output, wait again (server/io.h tells the contract).
 *
 * Everything a turn did to connections (output, pauses, closes) is only noted while it runs and
 * carried out at its end, in one go: the sends of all connections are part of the system call that
 * waits. */
#include "server/loop/lock.h"
#include "server/loop/loop.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "server/loop/backend.h"

/* ---- birth and death ---- */

static int start_auto(struct io *io)
{
    io->ops = &uring_backend;
    int r = io->ops->start(io);
    if (r == 0) {
        (void)snprintf(io->reason, sizeof io->reason, "auto");
        return 0;
    }
    char why[sizeof io->reason];
    memcpy(why, io->reason, sizeof why);
    log_warning("io_uring is not to be had (%s): using epoll", why);
    io->ops = &epoll_backend;
    r = io->ops->start(io);
    if (r == 0)
        memcpy(io->reason, why, sizeof why);
    return r;
}

static int start(struct io *io, enum io_backend backend)
{
    if (backend == IO_BACKEND_AUTO)
        return start_auto(io);
    io->ops = backend == IO_BACKEND_URING ? &uring_backend : &epoll_backend;
    int r = io->ops->start(io);
    if (r == 0)
        (void)snprintf(io->reason, sizeof io->reason, "configured");
    else
        log_warning("The configured io-backend %s is not to be had: %s", io->ops->name, io->reason);
    return r;
}

int io_new(const struct io_config *config, const struct io_handler *handler, struct io **ret_io)
{
    struct io *io = mem_zalloc(sizeof *io);
    io->handler = *handler;
    io->clients = (struct conn_handler){ handler->input, handler->input_placed, handler->closed, handler->connected };
    io->free_slot = UINT32_MAX;
    io->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (io->wake_fd < 0) {
        int r = -errno;
        mem_free(io);
        return r;
    }
    loop_read_clocks(io);
    out_init(io);
    int r = start(io, config->backend);
    if (r < 0) {
        out_done(io);
        (void)close(io->wake_fd);
        mem_free(io);
        return r;
    }
    *ret_io = io;
    return 0;
}

void io_take_back(struct io *io)
{
    io->ops->take_back(io);
}

void io_free(struct io *io)
{
    if (!io)
        return;
    out_release_window(io);
    listeners_free(io);
    io->ops->stop(io); /* from here on the kernel has nothing of ours */
    conns_free(io);
    out_done(io);
    (void)close(io->wake_fd);
    mem_free(io);
}

void io_child_close(struct io *io, const struct conn *keep)
{
    io->ops->forked(io);
    locks_child_close();
    (void)close(io->wake_fd);
    for (uint32_t i = 0; i < io->n_listeners; i++) {
        if (io->listeners[i])
            (void)close(io->listeners[i]->fd);
    }
    for (uint32_t i = 0; i < io->n_slots; i++) {
        const struct conn *c = io->slots[i].conn;
        if (c && c != keep)
            (void)close(c->fd);
    }
}

const char *io_backend_name(const struct io *io)
{
    return io->ops->name;
}

const char *io_backend_reason(const struct io *io)
{
    return io->reason;
}

/* ---- the clocks ---- */

void loop_read_clocks(struct io *io)
{
    io->now_wall = clock_wall_us();
    io->now_monotonic = clock_monotonic_us();
}

usec_t io_now_wall(const struct io *io)
{
    return io->now_wall;
}

usec_t io_now_monotonic(const struct io *io)
{
    return io->now_monotonic;
}

void io_refresh_now(struct io *io)
{
    loop_read_clocks(io);
}

/* ---- the turn ---- */

void loop_execute(struct io *io)
{
    io->gathered = 0;
    io->handler.execute(io->handler.ctx);
    io->ops->executed(io);
}

static void attend_all(struct io *io, struct conn_vec *v)
{
    for (size_t i = 0; i < v->n; i++) {
        struct conn *c = v->v[i];
        c->flags &= ~(uint32_t)CONN_ATTENTION;
        if (!(c->flags & CONN_CLOSING))
            io->ops->attend(c);
    }
    v->n = 0;
}

/* Carries out what the turn decided. True when the next turn must not wait. */
static bool carry_out(struct io *io)
{
    out_release_window(io);
    attend_all(io, &io->attention_first);
    attend_all(io, &io->attention);
    return conns_sweep(
        io); /* some broke while sending, or sent their last: their owners hear it at once */
}

static usec_t min_time(usec_t a, usec_t b)
{
    return a < b ? a : b;
}

static usec_t own_deadline(const struct io *io)
{
    usec_t t = listeners_deadline(io);
    return io->timed_head ? min_time(t, io->timed_head->deadline) : t;
}

/* The end of a turn; returns how long the next may wait. */
static usec_t end_turn(struct io *io)
{
    (void)conns_settle(io);
    usec_t deadline = io->handler.before_wait(io->handler.ctx);
    /* An owner that hears of an end now may want another deadline than it just gave: ask again at
     * once. */
    bool at_once = conns_settle(io);
    at_once |= carry_out(io);
    if (at_once || atomic_load_explicit(&io->stop, memory_order_relaxed))
        return 0;
    deadline = min_time(deadline, own_deadline(io));
    if (deadline == INT64_MAX)
        return INT64_MAX;
    usec_t now = clock_monotonic_us();
    return deadline > now ? deadline - now : 0;
}

static void begin_turn(struct io *io, usec_t timeout)
{
    io->ops->wait(io, timeout);
    io->stats.turns++;
    loop_read_clocks(io);
    io->handler.after_wait(io->handler.ctx);
    if (io->timed_head)
        conns_expire(io);
    listeners_retry(io);
}

static bool output_pending(const struct io *io)
{
    const uint32_t never = CONN_HELD | CONN_CLOSING | CONN_CONNECTING;
    for (uint32_t i = 0; i < io->n_slots; i++) {
        const struct conn *c = io->slots[i].conn;
        if (c && c->out.bytes && !(c->flags & never))
            return true;
    }
    return false;
}

/* What was written leaves, if the peers take it in time; their input is dropped. */
static void flush_at_stop(struct io *io)
{
    usec_t until = clock_monotonic_us() + LOOP_STOP_US;
    io->stopping = true;
    for (;;) {
        (void)carry_out(io);
        usec_t now = clock_monotonic_us();
        bool pending = output_pending(io) && now < until;
        io->ops->wait(io, pending ? until - now : 0); /* at least once, to submit */
        loop_read_clocks(io);
        io->ops->collect(io);
        io->ops->executed(io);
        (void)conns_settle(io);
        if (!pending)
            break;
    }
    io->stopping = false;
}

void io_run(struct io *io)
{
    usec_t timeout = end_turn(io);
    while (!atomic_load_explicit(&io->stop, memory_order_relaxed)) {
        begin_turn(io, timeout);
        io->ops->collect(io);
        loop_execute(io);
        timeout = end_turn(io);
    }
    flush_at_stop(io);
    atomic_store(&io->stop, false);
}

void io_stop(struct io *io)
{
    atomic_store(&io->stop, true);
    io_wake(io);
}

void io_wake(struct io *io)
{
    const uint64_t one = 1;
    int saved = errno; /* may run in a signal handler */
    (void)!write(io->wake_fd, &one, sizeof one);
    errno = saved;
}

const struct io_stats *io_stats(const struct io *io)
{
    out_sync((struct io *)io); /* what is open counts too; changes nothing that shows */
    return &io->stats;
}
