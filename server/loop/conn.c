/* Connections: their table, their input, and how they end.
 *
 *     accepted / connected
 *            |
 *          OPEN -- conn_close_after_output, or the peer ended --> FINISHING (10 s at most)
 *            |                                                       | all output is sent
 *            | conn_close, error                   the peer ended -- + -- it did not: shut our side
 *            v                                           |                      v
 *         CLOSING <--------------------------------------+---------------- LINGERING (drops input)
 *            | nothing of it is in the kernel
 *            v
 *          freed
 *
 * LINGERING is there because closing a socket with unread input makes the kernel send RST, which
 * can destroy the last reply before the peer read it. The owner hears `closed` once, at the end of
 * the turn in which CLOSING or LINGERING began; only a receive into the owner's own memory delays
 * that until the kernel gave it back. */
#include "server/loop/loop.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "server/loop/backend.h"

#define SLOT_NONE       UINT32_MAX
#define GENERATION_MASK 0xffffffu /* what a completion's tag has room for */

STATIC_ASSERT(sizeof(struct conn) <= 320, "idle connections are cheap");

/* ---- the table ---- */

static uint32_t slot_take(struct io *io)
{
    if (io->free_slot != SLOT_NONE) {
        uint32_t i = io->free_slot;
        io->free_slot = io->slots[i].next_free;
        return i;
    }
    if (io->n_slots == io->cap_slots) {
        uint32_t cap = io->cap_slots ? io->cap_slots * 2 : 64;
        ASSERT(cap > io->cap_slots);
        io->slots = mem_realloc(io->slots, cap * sizeof *io->slots);
        io->cap_slots = cap;
    }
    io->slots[io->n_slots] = (struct slot){ 0 };
    return io->n_slots++;
}

struct conn *conn_new(struct io *io, int fd)
{
    struct conn *c = mem_zalloc(sizeof *c);
    c->io = io;
    c->handler = &io->clients;
    c->fd = fd;
    out_conn_init(c);
    c->index = slot_take(io);
    struct slot *s = &io->slots[c->index];
    s->conn = c;
    c->generation = s->generation;
    return c;
}

struct conn *conn_of(struct io *io, uint32_t index, uint32_t generation)
{
    if (index >= io->n_slots)
        return NULL;
    struct slot *s = &io->slots[index];
    return s->generation == generation ? s->conn : NULL;
}

static void timed_remove(struct conn *c)
{
    struct io *io = c->io;
    if (!(c->flags & CONN_TIMED))
        return;
    c->flags &= ~(uint32_t)CONN_TIMED;
    *(c->timed_prev ? &c->timed_prev->timed_next : &io->timed_head) = c->timed_next;
    *(c->timed_next ? &c->timed_next->timed_prev : &io->timed_tail) = c->timed_prev;
}

void conn_free(struct conn *c)
{
    struct io *io = c->io;
    ASSERT(c->inflight == 0);
    ASSERT(!(c->flags & CONN_ATTENTION));
    timed_remove(c);
    out_conn_done(c);
    struct slot *s = &io->slots[c->index];
    s->conn = NULL;
    s->generation = (s->generation + 1) & GENERATION_MASK;
    s->next_free = io->free_slot;
    io->free_slot = c->index;
    if (c->fd >= 0)
        (void)close(c->fd);
    listener_unref(c->listener);
    mem_free(c->peer_name);
    mem_free(c->local_name);
    mem_free(c);
}

void conn_vec_push(struct conn_vec *v, struct conn *c)
{
    if (v->n == v->cap) {
        v->cap = v->cap ? v->cap * 2 : 64;
        v->v = mem_realloc(v->v, v->cap * sizeof(struct conn *));
    }
    v->v[v->n++] = c;
}

void conn_attend(struct conn *c)
{
    if (c->flags & CONN_ATTENTION)
        return;
    c->flags |= CONN_ATTENTION;
    conn_vec_push(c->flags & CONN_FIRST ? &c->io->attention_first : &c->io->attention, c);
}

/* ---- how they end ---- */

static void ending_push(struct conn *c)
{
    if (c->flags & CONN_ENDING)
        return;
    c->flags |= CONN_ENDING;
    conn_vec_push(&c->io->ending, c);
}

void conn_end(struct conn *c, int err)
{
    if (c->flags & CONN_CLOSING)
        return;
    c->flags |= CONN_CLOSING;
    c->err = err;
    ending_push(c);
}

static void finish(struct conn *c)
{
    struct io *io = c->io;
    if (!(c->flags & CONN_TIMED)) {
        c->flags |= CONN_TIMED;
        c->deadline = io->now_monotonic + LOOP_FINISH_US;
        c->timed_next = NULL;
        c->timed_prev = io->timed_tail;
        *(io->timed_tail ? &io->timed_tail->timed_next : &io->timed_head) = c;
        io->timed_tail = c;
    }
    c->flags |= CONN_FINISHING;
    conn_attend(c);
    ending_push(c);
}

void conn_eof(struct conn *c)
{
    if (c->flags & CONN_CLOSING)
        return;
    c->flags |= CONN_EOF;
    if (c->flags & CONN_LINGERING)
        conn_end(c, 0);
    else
        finish(c); /* replies to what it sent before are still on their way */
}

void conn_close(struct conn *c)
{
    conn_end(c, 0);
}

void conn_close_after_output(struct conn *c)
{
    if (!(c->flags & (CONN_CLOSING | CONN_FINISHING)))
        finish(c);
}

bool conn_is_closing(const struct conn *c)
{
    return c->flags & (CONN_CLOSING | CONN_FINISHING);
}

void conn_sent(struct conn *c, size_t n)
{
    c->io->stats.bytes_out += n;
    out_consume(c, n);
    if (conn_out_bytes(c))
        conn_attend(c);
    else if (c->flags & CONN_FINISHING)
        ending_push(c);
}

/* All output is with the kernel: the write side ends, the peer's last bytes are waited for. */
static void output_finished(struct conn *c)
{
    /* Who was refused (no owner) is let go at once: under a flood of connections descriptors are what is short. */
    if ((c->flags & CONN_EOF) || !(c->flags & CONN_OWNED)) {
        conn_end(c, 0);
        return;
    }
    c->flags |= CONN_LINGERING;
    (void)shutdown(c->fd, SHUT_WR);
    conn_attend(c); /* a paused connection reads again, to drop */
}

static bool has_finished(const struct conn *c)
{
    const uint32_t busy = CONN_LINGERING | CONN_CLOSING | CONN_SENDING | CONN_CONNECTING;
    return (c->flags & CONN_FINISHING) && !(c->flags & busy) && conn_out_bytes(c) == 0;
}

static bool settle(struct conn *c)
{
    if (has_finished(c))
        output_finished(c);
    bool told = false;
    if ((c->flags & CONN_OWNED) && (c->flags & (CONN_CLOSING | CONN_LINGERING)) &&
        !(c->flags & CONN_INTO_BUSY)) {
        c->flags &= ~(uint32_t)CONN_OWNED;
        c->handler->closed(c->owner, c->err);
        c->owner = NULL;
        told = true;
    }
    if ((c->flags & (CONN_CLOSING | CONN_CANCELLED)) == CONN_CLOSING) {
        c->flags |= CONN_CANCELLED;
        c->io->ops->cancel(c);
    }
    return told;
}

bool conns_settle(struct io *io)
{
    bool told = false;
    for (size_t i = 0; i < io->ending.n;
         i++) /* owners that hear of an end may close others: the list grows */
        told |= settle(io->ending.v[i]);
    return told;
}

bool conns_sweep(struct io *io)
{
    size_t kept = 0;
    bool due = false;
    for (size_t i = 0; i < io->ending.n; i++) {
        struct conn *c = io->ending.v[i];
        bool is_due =
            has_finished(c) || (c->flags & (CONN_CLOSING | CONN_CANCELLED)) == CONN_CLOSING;
        bool unheard = (c->flags & CONN_LINGERING) && (c->flags & CONN_OWNED);
        due |= is_due;
        if ((c->flags & CONN_CANCELLED) && c->inflight == 0 && !(c->flags & CONN_OWNED)) {
            conn_free(c);
        } else if (is_due || unheard || (c->flags & CONN_CLOSING)) {
            io->ending.v[kept++] = c;
        } else {
            c->flags &= ~(uint32_t)CONN_ENDING; /* waits for its output or for its peer */
        }
    }
    io->ending.n = kept;
    return due;
}

void conns_expire(struct io *io)
{
    while (io->timed_head && io->timed_head->deadline <= io->now_monotonic) {
        struct conn *c = io->timed_head;
        timed_remove(c);
        conn_end(c, conn_out_bytes(c) ? ETIMEDOUT : 0);
    }
}

void conns_free(struct io *io)
{
    for (uint32_t i = 0; i < io->n_slots; i++) {
        struct conn *c = io->slots[i].conn;
        if (!c)
            continue;
        c->flags &= ~(uint32_t)CONN_ATTENTION;
        c->inflight = 0;
        conn_free(c);
    }
    mem_free(io->slots);
    mem_free(io->attention.v);
    mem_free(io->attention_first.v);
    mem_free(io->ending.v);
}

/* ---- how they begin ---- */

void conn_accepted(struct listener *l, int fd)
{
    struct io *io = l->io;
    if (io->stopping) {
        (void)close(fd);
        return;
    }
    struct conn *c = conn_new(io, fd);
    io->stats.accepted++;
    if (l->is_unix) {
        c->flags |= CONN_UNIX | CONN_LOOPBACK | CONN_LOOPBACK_KNOWN;
        c->listener = l;
        l->refs++;
    } else {
        c->flags |= CONN_NODELAY; /* inherited from the listener */
    }
    void *owner = io->handler.opened(io->handler.ctx, c, l);
    if (owner) {
        c->owner = owner;
        c->flags |= CONN_OWNED;
        conn_attend(c);
    } else {
        conn_close_after_output(c);
    }
}

int io_connect(struct io *io, const char *addr, int port, const char *source_addr, void *owner,
               struct conn **ret_conn)
{
    struct sockaddr_storage to, from;
    socklen_t n_to, n_from = 0;
    int r = addr_resolve(addr, port, &to, &n_to);
    if (r < 0)
        return r;
    if (source_addr && *source_addr) {
        r = addr_parse(source_addr, 0, &from, &n_from);
        if (r < 0)
            return r;
    }
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (n_from) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
        if (bind(fd, (struct sockaddr *)&from, n_from) < 0) {
            r = -errno;
            (void)close(fd);
            return r;
        }
    }
    struct conn *c = conn_new(io, fd);
    c->flags |= CONN_CONNECTING | CONN_OWNED;
    c->owner = owner;
    r = io->ops->connect(c, (struct sockaddr *)&to, n_to);
    if (r < 0) {
        conn_free(c);
        return r;
    }
    *ret_conn = c;
    return 0;
}

void conn_connected(struct conn *c, int err)
{
    c->flags &= ~(uint32_t)CONN_CONNECTING;
    if (c->flags & CONN_CLOSING)
        return;
    if (err == 0)
        conn_attend(c);
    if (c->handler->connected)
        c->handler->connected(c->owner, err);
    if (err)
        conn_end(c, err);
    else if (c->flags & CONN_FINISHING)
        ending_push(c);
}

/* ---- input ---- */

/* n bytes, at most into_n, are where `into` points. */
static void place_told(struct conn *c, size_t n)
{
    c->into += n;
    c->into_n -= n;
    if (c->into_n == 0) {
        c->into = NULL;
        conn_attend(c);
    }
    if (conn_drops_input(c))
        return;
    c->handler->input_placed(c->owner, n);
}

static bool hand_out(struct conn *c, const char *p, size_t n)
{
    while (c->into_n && n) { /* came before the receive into place was under way */
        size_t k = n < c->into_n ? n : c->into_n;
        memcpy(c->into, p, k);
        p += k;
        n -= k;
        place_told(c, k);
    }
    if (n == 0 || conn_drops_input(c))
        return false;
    c->handler->input(c->owner, bytes_of(p, n));
    return true;
}

static void count_input(struct io *io, size_t n)
{
    io->stats.read_events++;
    io->stats.bytes_in += n;
    io->gathered += n;
}

bool conn_deliver(struct conn *c, const char *p, size_t n)
{
    count_input(c->io, n);
    return conn_drops_input(c) ? false : hand_out(c, p, n);
}

bool conn_placed(struct conn *c, size_t n, const char *tail)
{
    size_t k = n < c->into_n ? n : c->into_n;
    count_input(c->io, n);
    place_told(c, k);
    return n > k && !conn_drops_input(c) && hand_out(c, tail, n - k);
}

static void receive_into(struct conn *c, char *dst, size_t n, uint8_t tail_n)
{
    ASSERT(c->into_n == 0);
    if (n == 0 || conn_drops_input(c))
        return;
    c->into = dst;
    c->into_n = n;
    c->tail_n = tail_n;
    conn_attend(c);
}

void conn_recv_into(struct conn *c, char *dst, size_t n)
{
    receive_into(c, dst, n, 0);
}

void conn_recv_bulk(struct conn *c, char *dst, size_t n)
{
    receive_into(c, dst, n, sizeof c->tail);
}

static void flag_set(struct conn *c, uint32_t flag, bool on)
{
    if (on == !!(c->flags & flag))
        return;
    c->flags ^= flag;
    conn_attend(c);
}

void conn_pause_input(struct conn *c, bool pause)
{
    flag_set(c, CONN_PAUSED, pause);
}

void conn_hold_output(struct conn *c, bool hold)
{
    flag_set(c, CONN_HELD, hold);
}

void conn_send_first(struct conn *c, bool first)
{
    if (first)
        c->flags |= CONN_FIRST;
    else
        c->flags &= ~(uint32_t)CONN_FIRST;
}

/* ---- what they are ---- */

int conn_fd(const struct conn *c)
{
    return c->fd;
}

void conn_set_owner(struct conn *c, void *owner)
{
    c->owner = owner;
}

void conn_set_handler(struct conn *c, const struct conn_handler *handler)
{
    ASSERT(handler->input && handler->closed);
    c->handler = handler;
}

static const char *name_of(struct conn *c, char **cached,
                           int (*get)(int, struct sockaddr *, socklen_t *))
{
    if (*cached)
        return *cached;
    char text[256];
    struct sockaddr_storage a = { 0 };
    socklen_t n = sizeof a;
    if (c->flags & CONN_UNIX)
        (void)snprintf(text, sizeof text, "%s:0", c->listener->path);
    else if (get(c->fd, (struct sockaddr *)&a, &n) < 0)
        (void)snprintf(text, sizeof text, "?:0");
    else
        addr_format(&a, text, sizeof text);
    *cached = mem_strdup(text);
    return *cached;
}

static int get_peer(int fd, struct sockaddr *a, socklen_t *n)
{
    return getpeername(fd, a, n);
}

static int get_local(int fd, struct sockaddr *a, socklen_t *n)
{
    return getsockname(fd, a, n);
}

const char *conn_peer_name(struct conn *c)
{
    return name_of(c, &c->peer_name, get_peer);
}

const char *conn_local_name(struct conn *c)
{
    return name_of(c, &c->local_name, get_local);
}

bool conn_is_unix(const struct conn *c)
{
    return c->flags & CONN_UNIX;
}

bool conn_is_loopback(const struct conn *c)
{
    if (!(c->flags & CONN_LOOPBACK_KNOWN)) {
        struct sockaddr_storage a = { 0 };
        socklen_t n = sizeof a;
        struct conn *known = (struct conn *)c; /* a cache */
        known->flags |= CONN_LOOPBACK_KNOWN;
        if (getpeername(c->fd, (struct sockaddr *)&a, &n) == 0 && addr_is_loopback(&a))
            known->flags |= CONN_LOOPBACK;
    }
    return c->flags & CONN_LOOPBACK;
}

static void set_tcp(int fd, int option, int value)
{
    (void)setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
}

void conn_keepalive(struct conn *c, int seconds)
{
    if (c->flags & CONN_UNIX)
        return;
    (void)setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ seconds > 0 }, sizeof(int));
    if (seconds <= 0)
        return;
    /* Three probes, so that a dead peer is noticed after about twice the interval. */
    set_tcp(c->fd, TCP_KEEPIDLE, seconds);
    set_tcp(c->fd, TCP_KEEPINTVL, seconds / 3 > 0 ? seconds / 3 : 1);
    set_tcp(c->fd, TCP_KEEPCNT, 3);
}

void conn_nodelay(struct conn *c, bool on)
{
    if ((c->flags & CONN_UNIX) || on == !!(c->flags & CONN_NODELAY))
        return;
    c->flags ^= CONN_NODELAY;
    set_tcp(c->fd, TCP_NODELAY, on);
}
