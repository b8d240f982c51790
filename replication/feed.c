/* From the backlog to the replicas, and what becomes of the backlog's oldest bytes.
 *
 *        spill file               memory
 *      [ - - - - - - - - - ][======================]  shown
 *          ^ slow replica        ^ quick one   ^ and its window in the loop (feed_window)
 *
 * A replica is given bytes as long as fewer than feed_window of them wait in the loop, so a slow one holds no more
 * than that besides the backlog. The oldest block leaves memory when repl-backlog-size is kept without it and nobody
 * needs it. When somebody does, memory may grow to memory_max; then the block goes into the spill file, and who needs
 * it is fed from there. Without a spill file, or beyond its size, whoever needs it is closed: he will copy all. */
#include "common/crc64.h"
#include "replication/inner.h"

#define SPILL_PIECE (256u * 1024) /* most bytes of the file that are read at once */

/* Waiting for its image, or in the stream: it will want the bytes from `next` on. */
static bool needs_stream(const struct replica *p)
{
    return p->state != WAIT_START && !p->rdb_only;
}

static bool may_be_fed(const struct replica *p)
{
    return p->state == ONLINE && !p->hold_for_ack && !p->rdb_only;
}

uint64_t feed_unsent(const struct repl *r, const struct replica *p)
{
    if (!needs_stream(p) || p->next >= r->backlog.shown)
        return p->state == ONLINE ? p->queued : 0;
    return (uint64_t)(r->backlog.shown - p->next) + (p->state == ONLINE ? p->queued : 0);
}

uint64_t feed_spilled(const struct repl *r, const struct replica *p)
{
    if (!needs_stream(p) || p->next >= r->backlog.first)
        return 0;
    return (uint64_t)(r->backlog.first - p->next);
}

static void lose(struct repl *r, struct replica *p, const char *why)
{
    repl_trace(r, REPL_WARNING, "Closing replica %s, %llu bytes behind: %s. It will need a full sync.", p->name,
          (unsigned long long)feed_unsent(r, p), why);
    replica_drop(r, p, true);
}

/* ---- sending ---- */

static void send_range(struct repl *r, struct replica *p, struct blob *blob, size_t off, size_t n)
{
    ASSERT(off + n <= blob->n);
    struct repl_action *a = act_peer(r, REPL_SEND_RANGE, p->peer);
    a->from = p->next;
    a->to = p->next + (int64_t)n;
    a->blob = blob;
    a->off = off;
    p->next = a->to;
    p->queued += n;
    r->stats.output += n;
}

static void ask_spill(struct repl *r, struct replica *p)
{
    if (p->spill_wanted)
        return;
    const struct spill_piece *piece = spill_at(&r->spill, p->next);
    p->spill_wanted = true;
    p->spill_from = piece->from;
    LIST_EACH(&r->replicas, n)
    {
        const struct replica *q = LIST_ITEM(n, struct replica, in_list);
        if (q != p && q->spill_wanted && q->spill_from == piece->from)
            return; /* it is on its way */
    }
    struct repl_action *a = repl_act(r, REPL_SPILL_READ);
    a->from = piece->from;
    a->to = piece->from + piece->n;
}

static void feed_one(struct repl *r, struct replica *p)
{
    const struct backlog *b = &r->backlog;
    size_t window = r->config.feed_window ? r->config.feed_window : FEED_WINDOW;
    for (int pieces = 0; p->next < b->shown && p->queued < window; pieces++) {
        if (pieces == FEED_PIECES) {
            r->feed_more = true;
            return;
        }
        if (p->next < b->first) {
            if (spill_has(&r->spill, p->next))
                ask_spill(r, p);
            else
                lose(r, p, "what it misses is gone");
            return;
        }
        const struct backlog_block *block = backlog_at(b, p->next);
        size_t off = (size_t)(p->next - block->from);
        size_t n = block->n - off;
        if ((int64_t)n > b->shown - p->next)
            n = (size_t)(b->shown - p->next);
        if (n > window - p->queued)
            n = window - p->queued;
        send_range(r, p, block->blob, block->off + off, n);
    }
}

/* A piece of the file is there: everyone who waits for it gets his part. */
void feed_spill_read(struct repl *r, int64_t from, struct blob *blob)
{
    bool good = false;
    if (spill_has(&r->spill, from)) {
        const struct spill_piece *piece = spill_at(&r->spill, from);
        good = piece->from == from && blob && blob->n == piece->n && crc64(0, blob_bytes(blob)) == piece->crc;
    }
    LIST_EACH_SAFE(&r->replicas, n)
    {
        struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (!p->spill_wanted || p->spill_from != from)
            continue;
        p->spill_wanted = false;
        if (!good)
            lose(r, p, blob ? "the spill file is damaged" : "the spill file cannot be read");
        else
            send_range(r, p, blob, (size_t)(p->next - from), blob->n - (size_t)(p->next - from));
    }
}

void feed_spill_failed(struct repl *r, struct bytes why)
{
    repl_trace(r, REPL_WARNING, "The spill file cannot be written: %s. Replicas that need it are closed; it is tried "
          "again when "
          "one falls behind after %d s.", shown(r, why).p, SPILL_RETRY_MS / SECOND_MS);
    r->spill.retry_at = r->env.now + SPILL_RETRY_MS;
    LIST_EACH_SAFE(&r->replicas, n)
    {
        struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (needs_stream(p) && p->next < r->backlog.first)
            lose(r, p, "the spill file could not be written");
    }
    spill_clear(&r->spill);
}

/* ---- what stays in memory ---- */

/* The lowest position that somebody needs. */
static int64_t needed_from(const struct repl *r)
{
    int64_t from = INT64_MAX;
    LIST_EACH(&r->replicas, n)
    {
        const struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (needs_stream(p) && p->next < from)
            from = p->next;
    }
    return from;
}

static void lose_below(struct repl *r, int64_t position, const char *why)
{
    LIST_EACH_SAFE(&r->replicas, n)
    {
        struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (needs_stream(p) && p->next < position)
            lose(r, p, why);
    }
}

static size_t memory_max(const struct repl *r)
{
    size_t n = r->config.memory_max ? r->config.memory_max : MEMORY_MIN;
    return n > r->config.backlog_size ? n : r->config.backlog_size;
}

static void spill_write(struct repl *r, const struct backlog_block *block)
{
    if (!r->spill.open)
        repl_trace(r, REPL_NOTICE, "A replica is %lld bytes behind; what memory cannot hold for it goes into the spill "
              "file.", (long long)(r->backlog.shown - needed_from(r)));
    r->spill.size = r->spill.open ? r->spill.size : r->config.spill_size;
    r->spill.open = true;
    for (size_t done = 0; done < block->n;) {
        size_t n = block->n - done < SPILL_PIECE ? block->n - done : SPILL_PIECE;
        struct repl_action *a = repl_act(r, REPL_SPILL_WRITE);
        a->from = block->from + (int64_t)done;
        a->to = a->from + (int64_t)n;
        /* Its bytes must outlive the block: the driver takes its reference while the action is performed, which is
         * after this step. */
        a->blob = block->blob;
        a->off = block->off + done;
        spill_add(&r->spill, a->from, bytes_of(block->blob->data + a->off, n));
        done += n;
    }
}

/* Makes room in the file for a block up to `to`; closes who stands in the way. False: there is no file to be had. */
static bool spill_room(struct repl *r, const struct backlog_block *block)
{
    uint64_t size = r->spill.open ? r->spill.size : r->config.spill_size;
    if (size < block->n || r->env.now < r->spill.retry_at)
        return false;
    int64_t to = block->from + (int64_t)block->n;
    if (ring_count(&r->spill.pieces) == 0)
        return true;
    spill_drop_to(&r->spill, needed_from(r));
    if ((uint64_t)(to - r->spill.first) > size) {
        lose_below(r, to - (int64_t)size + SPILL_PIECE, "it is further behind than repl-backlog-spill-size");
        spill_drop_to(&r->spill, needed_from(r));
    }
    return ring_count(&r->spill.pieces) == 0 || (uint64_t)(to - r->spill.first) <= size;
}

static void spill_done(struct repl *r)
{
    if (!r->spill.open || needed_from(r) < r->backlog.first)
        return;
    spill_clear(&r->spill);
    r->spill.open = false;
    repl_act(r, REPL_SPILL_CLOSE);
}

/* Blocks that are written to the spill file or dropped stay alive until the actions were performed: `leaving`. */
static void drop_oldest(struct repl *r, const struct backlog_block *block)
{
    *(struct blob **)ring_push(&r->leaving) = blob_ref(block->blob);
    backlog_drop_oldest(&r->backlog);
}

static void trim(struct repl *r)
{
    const struct backlog_block *block;
    while ((block = backlog_oldest(&r->backlog))) {
        int64_t to = block->from + (int64_t)block->n;
        if (r->backlog.shown - to < (int64_t)r->config.backlog_size)
            break;
        if (needed_from(r) < to) {
            if (r->backlog.memory <= memory_max(r))
                break;
            if (spill_room(r, block)) {
                if (needed_from(r) < to) /* room may have been made by losing all who need it */
                    spill_write(r, block);
            } else {
                lose_below(r, to, "the memory for slow replicas is used up and no spill file is to be had");
            }
        }
        drop_oldest(r, block);
    }
    spill_done(r);
}

/* ---- limits of what a replica may leave unread ---- */

static const char *over_limit(struct repl *r, struct replica *p)
{
    const struct repl_config *c = &r->config;
    uint64_t unsent = feed_unsent(r, p);
    uint64_t hard = c->limit_hard && c->limit_hard < c->backlog_size ? c->backlog_size : c->limit_hard;
    if (c->limit_is_default && c->spill_size && r->env.now >= r->spill.retry_at) {
        p->soft_since = -1;
        return NULL;
    }
    if (hard && unsent > hard)
        return "over the hard limit of client-output-buffer-limit replica";
    if (!c->limit_soft || unsent <= c->limit_soft) {
        p->soft_since = -1;
        return NULL;
    }
    if (p->soft_since < 0)
        p->soft_since = r->env.now;
    if (r->env.now - p->soft_since < c->limit_soft_ms)
        return NULL;
    return "over the soft limit of client-output-buffer-limit replica";
}

void feed(struct repl *r)
{
    if (!r->has_backlog)
        return;
    r->feed_more = false;
    LIST_EACH_SAFE(&r->replicas, n)
    {
        struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (p->next >= r->backlog.shown) {
            p->soft_since = -1;
            continue;
        }
        const char *why = over_limit(r, p);
        if (why)
            lose(r, p, why);
        else if (may_be_fed(p))
            feed_one(r, p);
    }
    trim(r);
}

msec_t feed_deadline(const struct repl *r)
{
    msec_t t = r->feed_more ? r->env.now : REPL_NEVER;
    LIST_EACH(&r->replicas, n)
    {
        const struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (p->soft_since >= 0)
            t = sooner(t, p->soft_since + r->config.limit_soft_ms);
    }
    return t;
}
