/* epoll: where io_uring is not to be had. Sends are gathered and done at the start of wait, so that
 * the time stamps of a turn mean the same as with io_uring. */
#include "tools/bench/engine.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"

#define EVENTS 256
#define RECEIVE_BYTES (256 * 1024)

struct engine {
    struct engine_config config;
    int fd;
    int ready; /* events waiting in `events` */
    uint32_t queue_n;
    struct conn **queue; /* connections with something to send, each once */
    size_t *done;        /* batches: bytes of the batch that have left, by connection */
    struct epoll_event events[EVENTS];
    char received[RECEIVE_BYTES];
};

static int watch(struct engine *e, struct conn *c, int op, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = c };
    return epoll_ctl(e->fd, op, c->fd, &event) < 0 ? -errno : 0;
}

static void epoll_close(struct engine *e)
{
    if (e->fd >= 0)
        close(e->fd);
    mem_free(e->queue);
    mem_free(e->done);
    mem_free(e);
}

static int epoll_open(const struct engine_config *config, struct engine **ret_engine)
{
    struct engine *e = mem_zalloc(sizeof *e);
    e->config = *config;
    e->queue = mem_zalloc(config->conns_n * sizeof(struct conn *));
    e->done = mem_zalloc(config->conns_n * sizeof(size_t));
    e->fd = epoll_create1(EPOLL_CLOEXEC);
    int r = e->fd < 0 ? -errno : 0;
    for (uint32_t i = 0; i < config->conns_n && r == 0; i++)
        r = watch(e, &config->conns[i], EPOLL_CTL_ADD, EPOLLIN);
    if (r < 0) {
        epoll_close(e);
        return r;
    }
    *ret_engine = e;
    return 0;
}

static void epoll_send(struct engine *e, struct conn *c)
{
    if (c->out_busy)
        return;
    c->out_busy = true;
    e->done[c->index] = 0;
    e->queue[e->queue_n++] = c;
}

static void lost(struct engine *e, struct conn *c, int error)
{
    if (c->dead)
        return;
    (void)epoll_ctl(e->fd, EPOLL_CTL_DEL, c->fd, NULL);
    e->config.sink.on_closed(e->config.sink.ctx, c, error);
}

/* Sends what it can; the rest waits for EPOLLOUT. */
static void flush(struct engine *e, struct conn *c, bool was_waiting)
{
    size_t *done = &e->done[c->index];
    for (;;) {
        ssize_t n = send(c->fd, c->out + *done, c->out_n - *done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            if (!was_waiting)
                (void)watch(e, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        if (n < 0) {
            lost(e, c, errno);
            return;
        }
        bool more;
        if (e->config.batches) {
            *done += (size_t)n;
            more = *done < c->out_n;
        } else {
            more = conn_sent(c, (size_t)n);
        }
        if (!more)
            break;
    }
    c->out_busy = false;
    if (was_waiting)
        (void)watch(e, c, EPOLL_CTL_MOD, EPOLLIN);
}

static int epoll_wait_turn(struct engine *e, nsec_t timeout)
{
    for (uint32_t i = 0; i < e->queue_n; i++)
        if (!e->queue[i]->dead)
            flush(e, e->queue[i], false);
    e->queue_n = 0;
    struct timespec t = { timeout / NSEC_PER_SEC, timeout % NSEC_PER_SEC };
    e->ready = epoll_pwait2(e->fd, e->events, EVENTS, &t, NULL);
    if (e->ready < 0) {
        int r = -errno;
        e->ready = 0;
        return r == -EINTR ? 0 : r;
    }
    return 0;
}

static void receive(struct engine *e, struct conn *c)
{
    ssize_t n = recv(c->fd, e->received, sizeof e->received, MSG_DONTWAIT);
    if (n > 0)
        e->config.sink.on_data(e->config.sink.ctx, c, e->received, (size_t)n);
    else if (n == 0)
        lost(e, c, 0);
    else if (errno != EAGAIN && errno != EINTR)
        lost(e, c, errno);
}

static void epoll_reap(struct engine *e)
{
    for (int i = 0; i < e->ready; i++) {
        struct conn *c = e->events[i].data.ptr;
        if (!c->dead && e->events[i].events & EPOLLOUT)
            flush(e, c, true);
        if (!c->dead && e->events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(e, c);
    }
    e->ready = 0;
}

const struct engine_ops engine_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .send = epoll_send,
    .wait = epoll_wait_turn,
    .reap = epoll_reap,
    .close = epoll_close,
};
