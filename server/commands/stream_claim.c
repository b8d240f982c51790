/* XCLAIM and XAUTOCLAIM: pending entries that another consumer takes over. */
#include "server/commands/stream.h"

#include "common/arena.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/num.h"

struct claim_args {
    msec_t min_idle, delivered; /* delivered: the time that the entries get */
    int64_t deliveries;         /* -1: one more than they had */
    bool force, just_id;
    int ids_n;                /* XCLAIM: IDs from argv[5] on */
    struct stream_id last_id; /* LASTID; 0-0: not given */
};

static bool arg_min_idle(struct call *c, msec_t *ret_ms, const char *command)
{
    if (!num_parse_i64(c->argv[4], ret_ms)) {
        resp_errorf(c->w, "ERR Invalid min-idle-time argument for %s", command);
        return false;
    }
    if (*ret_ms < 0)
        *ret_ms = 0;
    return true;
}

static bool arg_option(struct call *c, int i, int64_t *ret_v, const char *option)
{
    if (num_parse_i64(c->argv[i], ret_v))
        return true;
    resp_errorf(c->w, "ERR Invalid %s option argument for XCLAIM", option);
    return false;
}

/* What follows the IDs. */
static bool parse_claim_options(struct call *c, struct claim_args *a)
{
    for (int i = 5 + a->ids_n; i < c->argc; i++) {
        bool more = i + 1 < c->argc;
        int64_t v;
        if (arg_is(c, i, "FORCE")) {
            a->force = true;
        } else if (arg_is(c, i, "JUSTID")) {
            a->just_id = true;
        } else if (more && arg_is(c, i, "IDLE")) {
            if (!arg_option(c, ++i, &v, "IDLE"))
                return false;
            if (__builtin_sub_overflow(c->now, v, &a->delivered))
                a->delivered = c->now;
        } else if (more && arg_is(c, i, "TIME")) {
            if (!arg_option(c, ++i, &a->delivered, "TIME"))
                return false;
        } else if (more && arg_is(c, i, "RETRYCOUNT")) {
            if (!arg_option(c, ++i, &a->deliveries, "RETRYCOUNT"))
                return false;
        } else if (more && arg_is(c, i, "LASTID")) {
            if (!arg_stream_id(c, ++i, 0, &a->last_id))
                return false;
        } else {
            resp_errorf(c->w, "ERR Unrecognized XCLAIM option '%.*s'", (int)c->argv[i].n,
                        c->argv[i].p);
            return false;
        }
    }
    if (a->delivered < 0 || a->delivered > c->now)
        a->delivered = c->now; /* a clock of another node may be ahead */
    return true;
}

/* Gives the pending (or, by force, any) entry to the consumer; its new state, or NULL when it is
 * not to be had. */
static struct stream_pending *claim(struct call *c, struct stream_group *g,
                                    struct stream_consumer *consumer, struct stream_id id,
                                    const struct claim_args *a)
{
    struct stream_pending *p = id_tree_find(&g->pending, id);
    if (!p && !a->force)
        return NULL;
    if (p && a->min_idle && c->now - p->delivered < a->min_idle)
        return NULL;
    p = stream_pend(g, consumer, id);
    p->delivered = a->delivered;
    if (a->deliveries >= 0)
        p->deliveries = (uint64_t)a->deliveries;
    else if (!a->just_id)
        p->deliveries++;
    consumer->active = c->now;
    return p;
}

/* The entry is pending but not in the stream any more: it goes. What others hear is a claim all the
 * same, which makes them find the same. */
static void drop_deleted(struct call *c, struct bytes key, struct stream_group *g,
                         struct stream_id id)
{
    struct stream_pending *p = id_tree_find(&g->pending, id);
    if (!p)
        return;
    effect_claim(c, key, g, p->consumer, id, p);
    stream_acknowledge(g, id);
}

static void reply_claimed(struct call *c, struct stream_walk *w, bool just_id)
{
    if (just_id)
        reply_stream_id(c->w, w->id);
    else
        reply_stream_entry(c->w, w);
}

/* XCLAIM key group consumer min-idle-time id [id ..] [options] */
static void cmd_xclaim(struct call *c)
{
    struct bytes key = c->argv[1];
    struct claim_args a = { .deliveries = -1, .delivered = c->now };
    struct entry *e;
    bool made;
    if (!write_typed(c, key, TYPE_STREAM, &e))
        return;
    struct stream *s = stream_at(e);
    struct stream_group *g = s ? stream_group_find(s, c->argv[2]) : NULL;
    if (!g) {
        reply_no_group(c, key, c->argv[2]);
        return;
    }
    if (!arg_min_idle(c, &a.min_idle, "XCLAIM"))
        return;
    struct stream_id *ids = arena_array(c->arena, (size_t)c->argc, sizeof(*ids));
    while (5 + a.ids_n < c->argc && stream_id_parse(c->argv[5 + a.ids_n], 0, &ids[a.ids_n]))
        a.ids_n++;
    if (!parse_claim_options(c, &a))
        return;
    bool moves = stream_id_cmp(a.last_id, g->last) > 0;
    if (moves)
        g->last = a.last_id;
    struct stream_consumer *consumer = take_consumer(c, key, g, c->argv[3], &made);
    struct writer_mark mark = resp_later(c->w);
    int64_t n = 0;
    for (int i = 0; i < a.ids_n; i++) {
        struct stream_walk w;
        stream_walk_begin(&w, s, ids[i], ids[i], false);
        if (!stream_walk_next(&w)) {
            drop_deleted(c, key, g, ids[i]);
            continue;
        }
        struct stream_pending *p = claim(c, g, consumer, ids[i], &a);
        if (!p)
            continue;
        reply_claimed(c, &w, a.just_id);
        effect_claim(c, key, g, consumer, ids[i], p);
        moves = false; /* told along with it */
        n++;
    }
    if (moves)
        effect_group_id(c, key, g);
    resp_later_array(c->w, mark, n);
}

/* ---- XAUTOCLAIM key group consumer min-idle-time start [COUNT n] [JUSTID] ---- */

static bool parse_autoclaim(struct call *c, struct claim_args *a, struct stream_id *ret_start,
                            int64_t *ret_count)
{
    const int64_t count_max = INT64_MAX / 16, count_sane = (int64_t)1 << 43;
    if (!arg_min_idle(c, &a->min_idle, "XAUTOCLAIM") ||
        !arg_stream_bound(c, 5, STREAM_BOUND_START, ret_start))
        return false;
    for (int i = 6; i < c->argc; i++) {
        if (arg_is(c, i, "COUNT") && i + 1 < c->argc) {
            if (!num_parse_i64(c->argv[++i], ret_count) || *ret_count < 1 ||
                *ret_count > count_max) {
                reply_error(c, "ERR COUNT must be > 0");
                return false;
            }
        } else if (arg_is(c, i, "JUSTID")) {
            a->just_id = true;
        } else {
            reply_syntax_error(c);
            return false;
        }
    }
    if (*ret_count >= count_sane) {
        reply_error(c,
                    "ERR Insufficient memory, failed allocating transient memory, COUNT too high.");
        return false;
    }
    return true;
}

/* IDs gathered in a buffer. */
static int64_t ids_n(const struct buf *ids)
{
    return (int64_t)(ids->n / sizeof(struct stream_id));
}

static struct stream_id ids_at(const struct buf *ids, int64_t i)
{
    struct stream_id id;
    memcpy(&id, ids->p + (size_t)i * sizeof id, sizeof id);
    return id;
}

/* Walks the pending entries from *at on, claims up to `count` of them and drops those whose entry
 * is gone (which count as well); at most ten times as many are looked at. */
static void autoclaim(struct call *c, const struct stream *s, struct stream_group *g,
                      struct stream_consumer *consumer, const struct claim_args *a,
                      struct id_at *at, int64_t count, struct buf *claimed, struct buf *deleted)
{
    enum { ATTEMPTS_PER_ENTRY = 10 };
    int64_t attempts;
    if (__builtin_mul_overflow(count, (int64_t)ATTEMPTS_PER_ENTRY, &attempts))
        attempts = INT64_MAX;
    for (; at->leaf && count > 0 && attempts > 0; attempts--) {
        struct stream_id id = id_at_id(*at);
        if (!stream_has(s, id)) {
            drop_deleted(c, c->argv[1], g, id);
            buf_append(deleted, bytes_of(&id, sizeof id));
            *at = id_tree_ge(&g->pending, id);
            count--;
            continue;
        }
        struct stream_pending *p = claim(c, g, consumer, id, a);
        if (p) {
            effect_claim(c, c->argv[1], g, consumer, id, p);
            buf_append(claimed, bytes_of(&id, sizeof id));
            count--;
        }
        id_at_next(at);
    }
}

static void reply_autoclaimed(struct call *c, const struct stream *s, struct stream_id next,
                              const struct buf *claimed, const struct buf *deleted, bool just_id)
{
    reply_array(c, 3);
    reply_stream_id(c->w, next);
    reply_array(c, ids_n(claimed));
    for (int64_t i = 0; i < ids_n(claimed); i++) {
        struct stream_walk w;
        stream_walk_begin(&w, s, ids_at(claimed, i), ids_at(claimed, i), false);
        bool there = stream_walk_next(&w);
        ASSERT(there);
        reply_claimed(c, &w, just_id);
    }
    reply_array(c, ids_n(deleted));
    for (int64_t i = 0; i < ids_n(deleted); i++)
        reply_stream_id(c->w, ids_at(deleted, i));
}

static void cmd_xautoclaim(struct call *c)
{
    struct bytes key = c->argv[1];
    struct claim_args a = { .deliveries = -1, .delivered = c->now };
    struct stream_id start;
    int64_t count = 100;
    struct entry *e;
    bool made;
    if (!parse_autoclaim(c, &a, &start, &count) || !write_typed(c, key, TYPE_STREAM, &e))
        return;
    struct stream *s = stream_at(e);
    struct stream_group *g = s ? stream_group_find(s, c->argv[2]) : NULL;
    if (!g) {
        reply_no_group(c, key, c->argv[2]);
        return;
    }
    struct stream_consumer *consumer = take_consumer(c, key, g, c->argv[3], &made);
    struct buf claimed = BUF_INIT(BUF_UNLIMITED), deleted = BUF_INIT(BUF_UNLIMITED);
    struct id_at at = id_tree_ge(&g->pending, start);
    autoclaim(c, s, g, consumer, &a, &at, count, &claimed, &deleted);
    reply_autoclaimed(c, s, at.leaf ? id_at_id(at) : STREAM_ID_MIN, &claimed, &deleted, a.just_id);
    buf_done(&claimed);
    buf_done(&deleted);
}

const struct command stream_claim_commands[] = {
    { "xclaim", cmd_xclaim, -6, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    { "xautoclaim", cmd_xautoclaim, -6, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    COMMANDS_END,
};
