/* Output: the writer of connections, and what is queued for the kernel.
 *
 * The idea: replies of all connections of a turn are written one after another into shared blocks,
 * so that a turn of 1000 connections touches a few hot blocks instead of 1000 buffers, and an idle
 * connection owns nothing. What a connection has queued is a list of segments {p, n, owner}; the
 * owner (block or blob) lives by its references.
 *
 *     shared block   |  A: +OK  |  B: $5..  | gap |  A: *3 ...  |  free             |
 *                     ^ segment  ^ segment         ^ start        ^ w.cur       w.end ^
 *
 * The window [w.cur, w.end) belongs to the connection written last; what it wrote since becomes a
 * segment when the window moves on (out_sync), and joins the segment before when they touch.
 *
 * A connection whose peer is slow (a send is under way while more is written) writes to a block of
 * its own: else one forgotten segment in each shared block would keep 64 KiB alive for every 100
 * bytes it queued.
 *
 * Marks: a gap of WRITER_GAP bytes is left between two segments. fill() writes the header right
 * before the segment behind the gap and moves that segment's start down; when little was written
 * since, it moves that down instead, which keeps the output in one piece. */
#include "server/loop/loop.h"

#include <sys/uio.h>

#include "common/alloc.h"
#include "common/assert.h"

#define BLOCK_CAP     (OUT_BLOCK_BYTES - sizeof(struct out_block))
#define COPY_OWN_MIN  (32 * 1024) /* a copy from here on gets a block of exactly its size */
#define OWN_BLOCK_MIN (4 * 1024)  /* first private block of a slow connection */
#define FILL_MOVE_MAX 1024        /* bytes that fill() moves rather than leaving two segments */

static struct io *io_of(struct writer *w)
{
    return (struct io *)((char *)w - offsetof(struct io, out.w));
}

/* ---- blocks ---- */

static struct out_block *block_alloc(struct io *io, size_t cap, bool pooled)
{
    struct out_block *b = mem_alloc(sizeof *b + cap);
    b->refs = 1;
    b->pooled = pooled;
    b->cap = cap;
    b->next = NULL;
    io->stats.buffer_bytes += sizeof *b + cap;
    return b;
}

static struct out_block *block_shared(struct io *io)
{
    struct out *o = &io->out;
    struct out_block *b = o->pool;
    if (!b)
        return block_alloc(io, BLOCK_CAP, true);
    o->pool = b->next;
    o->n_pool--;
    b->refs = 1;
    return b;
}

static void block_unref(struct io *io, struct out_block *b)
{
    ASSERT(b->refs > 0);
    if (--b->refs > 0)
        return;
    if (b->pooled && io->out.n_pool < OUT_POOL_MAX) {
        b->next = io->out.pool; /* last in, first out: the next writer finds it in the cache */
        io->out.pool = b;
        io->out.n_pool++;
        return;
    }
    io->stats.buffer_bytes -= sizeof *b + b->cap;
    mem_free(b);
}

static void owner_unref(struct io *io, uintptr_t owner)
{
    if (owner & OUT_OWNER_BLOB)
        blob_unref((struct blob *)(owner - OUT_OWNER_BLOB));
    else
        block_unref(io, (struct out_block *)owner);
}

/* ---- segments ---- */

static void queue_grow(struct out_queue *q)
{
    if (q->head > q->n / 2) { /* the front was sent: move down */
        memmove(q->segs, q->segs + q->head, (q->n - q->head) * sizeof *q->segs);
        q->base += q->head;
        q->n -= q->head;
        q->head = 0;
        return;
    }
    uint32_t cap = q->cap * 2 + 2;
    ASSERT(cap > q->cap);
    if (q->segs == q->few) {
        q->segs = mem_alloc(cap * sizeof *q->segs);
        memcpy(q->segs, q->few, sizeof q->few);
    } else {
        q->segs = mem_realloc(q->segs, cap * sizeof *q->segs);
    }
    q->cap = cap;
}

/* Takes over one reference of the owner. */
static void queue_push(struct conn *c, char *p, size_t n, uintptr_t owner)
{
    struct out_queue *q = &c->out;
    if (q->n == q->cap)
        queue_grow(q);
    q->segs[q->n++] = (struct out_seg){ p, n, owner };
    q->bytes += n;
    c->io->stats.out_bytes += n;
}

/* Everything was sent: back to the segments inside, so that idle connections own no memory. */
static void queue_reset(struct io *io, struct out_queue *q)
{
    q->base += q->n;
    q->head = q->n = 0;
    if (q->segs != q->few) {
        mem_free(q->segs);
        q->segs = q->few;
        q->cap = OUT_SEGS_INLINE;
    }
    if (q->own && (!io->out.conn || &io->out.conn->out != q)) {
        block_unref(io, q->own);
        q->own = NULL;
    }
}

void out_conn_init(struct conn *c)
{
    c->out.segs = c->out.few;
    c->out.cap = OUT_SEGS_INLINE;
}

void out_conn_done(struct conn *c)
{
    struct io *io = c->io;
    struct out_queue *q = &c->out;
    if (io->out.conn == c)
        out_release_window(io);
    for (uint32_t i = q->head; i < q->n; i++)
        owner_unref(io, q->segs[i].owner);
    io->stats.out_bytes -= q->bytes;
    q->bytes = 0;
    queue_reset(io, q);
}

void out_consume(struct conn *c, size_t n)
{
    struct io *io = c->io;
    struct out_queue *q = &c->out;
    if (io->out.conn == c)
        out_sync(io);
    ASSERT(n <= q->bytes);
    q->bytes -= n;
    io->stats.out_bytes -= n;
    while (q->head < q->n) {
        struct out_seg *s = &q->segs[q->head];
        if (n < s->n) {
            s->p += n;
            s->n -= n;
            return;
        }
        n -= s->n;
        owner_unref(io, s->owner);
        q->head++;
    }
    queue_reset(io, q);
}

unsigned out_iovec(const struct conn *c, struct iovec *ret_iov, unsigned n_max)
{
    const struct out_queue *q = &c->out;
    unsigned k = 0;
    for (uint32_t i = q->head; i < q->n && k < n_max; i++) {
        if (q->segs[i].n)
            ret_iov[k++] = (struct iovec){ q->segs[i].p, q->segs[i].n };
    }
    return k;
}

/* ---- the window ---- */

void out_sync(struct io *io)
{
    struct out *o = &io->out;
    struct conn *c = o->conn;
    if (!c)
        return;
    struct out_block *b = o->block;
    if (b == o->shared)
        o->shared_cur = o->w.cur;
    else
        c->out.own_used = (size_t)(o->w.cur - b->data);
    size_t n = (size_t)(o->w.cur - o->start);
    if (n == 0 && !o->marked)
        return;
    struct out_queue *q = &c->out;
    struct out_seg *last = q->n > q->head ? &q->segs[q->n - 1] : NULL;
    if (last && last->owner == (uintptr_t)b && last->p + last->n == o->start && !o->marked) {
        last->n += n;
        q->bytes += n;
        io->stats.out_bytes += n;
    } else {
        b->refs++;
        queue_push(c, o->start, n, (uintptr_t)b);
    }
    o->start = o->w.cur;
    o->marked = false;
}

static void window_set(struct out *o, struct out_block *b, char *cur)
{
    o->block = b;
    o->start = cur;
    o->marked = false;
    o->w.cur = cur;
    o->w.end = b->data + b->cap;
}

void out_release_window(struct io *io)
{
    out_sync(io);
    io->out.conn = NULL;
    io->out.w.cur = io->out.w.end = NULL;
}

static bool is_slow(const struct conn *c)
{
    return (c->flags & CONN_SENDING) && c->out.bytes;
}

/* A private block for a slow connection: the more is queued, the larger. */
static void own_block_open(struct conn *c, size_t n)
{
    struct out_queue *q = &c->out;
    size_t cap = OWN_BLOCK_MIN;
    while (cap < OUT_BLOCK_BYTES && (cap < q->bytes / 4 || cap < n + sizeof(struct out_block)))
        cap *= 2;
    if (q->own)
        block_unref(c->io, q->own);
    q->own = cap == OUT_BLOCK_BYTES ? block_shared(c->io)
                                    : block_alloc(c->io, cap - sizeof(struct out_block), false);
    q->own_used = 0;
}

static void shared_open_next(struct io *io)
{
    struct out *o = &io->out;
    struct out_block *b = block_shared(io);
    block_unref(io, o->shared);
    o->shared = b;
    o->shared_cur = b->data;
}

struct writer *conn_writer(struct conn *c, int resp)
{
    struct io *io = c->io;
    struct out *o = &io->out;
    if (o->conn == c) {
        o->w.resp = (uint8_t)resp;
        o->w.muted = false;
        return &o->w;
    }
    if (c->flags & (CONN_CLOSING | CONN_LINGERING))
        return io_null_writer(io, resp);
    out_sync(io);
    conn_attend(c);
    o->conn = c;
    if (is_slow(c)) {
        if (!c->out.own)
            own_block_open(c, 0);
        window_set(o, c->out.own, c->out.own->data + c->out.own_used);
    } else {
        if (o->shared->refs == 1) /* all of it was sent: begin again where the cache is warm */
            o->shared_cur = o->shared->data;
        window_set(o, o->shared, o->shared_cur);
    }
    o->w.resp = (uint8_t)resp;
    o->w.muted = false;
    return &o->w;
}

/* ---- the verbs of the writer ---- */

static void window_grow(struct writer *w, size_t n)
{
    struct io *io = io_of(w);
    struct out *o = &io->out;
    ASSERT(o->conn);
    ASSERT(n <= WRITER_ROOM_MAX);
    out_sync(io);
    if (o->block == o->shared) {
        shared_open_next(io);
        window_set(o, o->shared, o->shared_cur);
    } else {
        own_block_open(o->conn, n);
        window_set(o, o->conn->out.own, o->conn->out.own->data);
    }
}

static void window_copy(struct writer *w, struct bytes b)
{
    struct io *io = io_of(w);
    struct out *o = &io->out;
    ASSERT(o->conn);
    if (w->muted || b.n == 0)
        return;
    size_t room = (size_t)(w->end - w->cur);
    if (b.n <= room) {
        memcpy(w->cur, b.p, b.n);
        w->cur += b.n;
        return;
    }
    if (b.n >= COPY_OWN_MIN) {
        out_sync(io);
        struct out_block *own = block_alloc(io, b.n, false);
        memcpy(own->data, b.p, b.n);
        queue_push(o->conn, own->data, b.n, (uintptr_t)own);
        return;
    }
    while (b.n) {
        if (w->cur == w->end)
            window_grow(w, b.n < WRITER_ROOM_MAX ? b.n : WRITER_ROOM_MAX);
        size_t k = (size_t)(w->end - w->cur);
        k = k < b.n ? k : b.n;
        memcpy(w->cur, b.p, k);
        w->cur += k;
        b.p += k;
        b.n -= k;
    }
}

static void window_ref(struct writer *w, struct blob *b, size_t off, size_t n)
{
    struct io *io = io_of(w);
    ASSERT(io->out.conn);
    ASSERT(off <= b->n && n <= b->n - off);
    if (w->muted || n == 0)
        return;
    out_sync(io);
    queue_push(io->out.conn, b->data + off, n, (uintptr_t)blob_ref(b) + OUT_OWNER_BLOB);
}

static struct writer_mark window_mark(struct writer *w)
{
    struct io *io = io_of(w);
    struct out *o = &io->out;
    ASSERT(o->conn);
    if ((size_t)(w->end - w->cur) < WRITER_GAP)
        window_grow(w, WRITER_GAP);
    else
        out_sync(io);
    w->cur += WRITER_GAP;
    o->start = w->cur;
    o->marked = true;
    return (struct writer_mark){ o->conn->out.base + o->conn->out.n, (size_t)(uintptr_t)w->cur };
}

/* Little was written behind the gap: header and content move down, onto the end of the segment
 * before. */
static bool fill_moves(struct out *o, char *behind, struct bytes header)
{
    struct out_queue *q = &o->conn->out;
    struct writer *w = &o->w;
    struct out_seg *last = q->n > q->head ? &q->segs[q->n - 1] : NULL;
    size_t n = (size_t)(w->cur - behind);
    char *gap = behind - WRITER_GAP;
    if (n > FILL_MOVE_MAX || !last || last->owner != (uintptr_t)o->block ||
        last->p + last->n != gap)
        return false;
    memcpy(gap, header.p, header.n);
    memmove(gap + header.n, behind, n);
    w->cur = gap + header.n + n;
    o->start = last->p;
    o->marked = true; /* it may be the placeholder of an outer mark, which counts segments */
    q->n--;
    q->bytes -= last->n;
    o->conn->io->stats.out_bytes -= last->n;
    o->block->refs--; /* the window's block has the window's own reference still */
    return true;
}

static void window_fill(struct writer *w, struct writer_mark m, struct bytes header)
{
    struct io *io = io_of(w);
    struct out *o = &io->out;
    ASSERT(o->conn);
    ASSERT(header.n <= WRITER_GAP);
    struct out_queue *q = &o->conn->out;
    char *behind = (char *)(uintptr_t)m.b;
    uint32_t i = (uint32_t)m.a - q->base;
    if (i == q->n) { /* still the open segment */
        ASSERT(o->start == behind);
        if (fill_moves(o, behind, header))
            return;
        o->start -= header.n;
        memcpy(o->start, header.p, header.n);
        return;
    }
    ASSERT(i >= q->head && i < q->n);
    struct out_seg *s = &q->segs[i];
    ASSERT(s->p == behind);
    s->p -= header.n;
    s->n += header.n;
    q->bytes += header.n;
    io->stats.out_bytes += header.n;
    memcpy(s->p, header.p, header.n);
}

static void tell_error(struct io *io, struct bytes text)
{
    if (io->handler.error_written)
        io->handler.error_written(io->handler.ctx, text);
}

static void window_error(struct writer *w, struct bytes text)
{
    tell_error(io_of(w), text);
}

static const struct writer_ops window_ops = {
    .grow = window_grow,
    .copy = window_copy,
    .ref = window_ref,
    .mark = window_mark,
    .fill = window_fill,
    .on_error = window_error,
};

/* ---- the writer that keeps nothing ---- */

static struct io *io_of_null(struct writer *w)
{
    return (struct io *)((char *)w - offsetof(struct io, out.null));
}

static void null_grow(struct writer *w, size_t n)
{
    ASSERT(n <= WRITER_ROOM_MAX);
    w->cur = io_of_null(w)->out.null_scratch;
}

static void null_copy(struct writer *w, struct bytes b)
{
    (void)w;
    (void)b;
}

static void null_ref(struct writer *w, struct blob *b, size_t off, size_t n)
{
    (void)w;
    (void)b;
    (void)off;
    (void)n;
}

static struct writer_mark null_mark(struct writer *w)
{
    (void)w;
    return (struct writer_mark){ 0, 0 };
}

static void null_fill(struct writer *w, struct writer_mark m, struct bytes header)
{
    (void)w;
    (void)m;
    (void)header;
}

static void null_error(struct writer *w, struct bytes text)
{
    tell_error(io_of_null(w), text);
}

static const struct writer_ops null_ops = {
    .grow = null_grow,
    .copy = null_copy,
    .ref = null_ref,
    .mark = null_mark,
    .fill = null_fill,
    .on_error = null_error,
};

struct writer *io_null_writer(struct io *io, int resp)
{
    struct writer *w = &io->out.null;
    w->cur = io->out.null_scratch;
    w->resp = (uint8_t)resp;
    return w;
}

/* ---- what is queued ---- */

static size_t open_bytes(const struct conn *c)
{
    const struct out *o = &c->io->out;
    return o->conn == c ? (size_t)(o->w.cur - o->start) : 0;
}

size_t conn_out_bytes(const struct conn *c)
{
    return c->out.bytes + open_bytes(c);
}

size_t conn_out_blocks(const struct conn *c)
{
    return c->out.n - c->out.head + (open_bytes(c) ? 1 : 0);
}

void out_init(struct io *io)
{
    struct out *o = &io->out;
    o->shared = block_shared(io);
    o->shared_cur = o->shared->data;
    o->w.ops = &window_ops;
    o->null.ops = &null_ops;
    o->null_scratch = mem_alloc(WRITER_ROOM_MAX);
    o->null.cur = o->null_scratch;
    o->null.end = o->null_scratch + WRITER_ROOM_MAX;
}

void out_done(struct io *io)
{
    struct out *o = &io->out;
    if (!o->shared)
        return;
    ASSERT(o->shared->refs == 1);
    block_unref(io, o->shared);
    o->shared = NULL;
    while (o->pool) {
        struct out_block *b = o->pool;
        o->pool = b->next;
        io->stats.buffer_bytes -= sizeof *b + b->cap;
        mem_free(b);
    }
    mem_free(o->null_scratch);
}
