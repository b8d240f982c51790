/* The link to our master: when it is tried, what its bytes mean, what we acknowledge, when it is given up.
 *
 *   NONE <---promoted--- (any)
 *    | follow
 *    v                   up              PSYNC: +FULLRESYNC           all is there
 *   CONNECTING ------> HANDSHAKE ---------------------> TRANSFER -----------------> LOADING
 *    ^    |               |  |  |                          |                         |   |
 *    |    |               |  |  +--+CONTINUE--> CONNECTED <-------- loaded ----------+   |
 *    |    |               |  |                     |       |                             |
 *    |    v               v  | guard               v       v                             v
 *    +-- WAITING <--------+--|---------------------+-------+---------- (failed) ---------+
 *    |                       v
 *    +----REPLICAOF------ GUARDED
 *
 * A lost link is tried again at once; if it fails soon again, after 50, 100, ... 1000 ms (50 if it had come as far as
 * the stream). No step waits for a tick. */
#include "replication/inner.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/num.h"

#define L(x) [REPL_LINK_##x]
static const unsigned char moves[REPL_LINK_GUARDED + 1][REPL_LINK_GUARDED + 1] = {
    L(NONE) = { L(CONNECTING) = 1 },
    L(WAITING) = { L(CONNECTING) = 1, L(WAITING) = 1, L(GUARDED) = 1 },
    L(CONNECTING) = { L(HANDSHAKE) = 1, L(WAITING) = 1 },
    L(HANDSHAKE) = { L(TRANSFER) = 1, L(CONNECTED) = 1, L(WAITING) = 1 },
    L(TRANSFER) = { L(LOADING) = 1, L(WAITING) = 1 },
    L(LOADING) = { L(CONNECTED) = 1, L(WAITING) = 1 },
    L(CONNECTED) = { L(WAITING) = 1 },
    L(GUARDED) = { L(WAITING) = 1 },
};
#undef L

void link_move(struct repl *r, enum repl_link_state to)
{
    ASSERT(moves[r->link.state][to]);
    r->link.state = to;
}

/* ---- beginning ---- */

void link_start(struct repl *r)
{
    struct link *l = &r->link;
    ASSERT(r->replica);
    link_move(r, REPL_LINK_CONNECTING);
    l->peer = REPL_LINK | ++l->number;
    l->attempt_at = l->last_io = r->env.now;
    l->line_n = 0;
    l->newlines = 0;
    l->plain_sync = false;
    l->master_is_ouro = l->master_is_replica = false;
    struct repl_action *a = act_peer(r, REPL_CONNECT, l->peer);
    a->text = bytes_of_str(l->host);
    a->port = l->port;
}

void repl_link_is_up(struct repl *r)
{
    if (r->link.state != REPL_LINK_CONNECTING)
        return;
    r->link.last_io = r->env.now;
    link_move(r, REPL_LINK_HANDSHAKE);
    handshake_begin(r);
}

/* ---- ending ---- */

/* What was under way is undone; the data set stays what it was. */
static void leave(struct repl *r)
{
    struct link *l = &r->link;
    if (l->state == REPL_LINK_CONNECTED) {
        msec_t age = repl_staleness(r, r->env.now);
        l->fresh_at = r->env.now - (age > 0 ? age : 0);
        l->down_since = r->env.now;
        backlog_take_back(&r->backlog);
        repl_act(r, REPL_APPLY_RESET);
    }
    if (l->load_begun)
        transfer_abort(r);
    buf_done(&l->pending);
    l->applied_at = l->busy_since = -1;
    l->paused = false;
}

void repl_link_close(struct repl *r)
{
    struct link *l = &r->link;
    if (l->state == REPL_LINK_NONE)
        return;
    leave(r);
    if (l->peer)
        act_peer(r, REPL_CLOSE, l->peer);
    l->peer = 0;
    link_move(r, REPL_LINK_WAITING);
    l->retry_at = REPL_NEVER;
}

/* `why` says what happened; what comes next is said here. */
static void give_up(struct repl *r, struct bytes why)
{
    struct link *l = &r->link;
    if (r->env.now - l->attempt_at >= SECOND_MS)
        l->retry_ms = 0;
    else if (l->state == REPL_LINK_CONNECTED && l->retry_ms > RETRY_MIN_MS)
        l->retry_ms = RETRY_MIN_MS; /* it worked: somebody cuts it again and again, and the stream goes on meanwhile */
    msec_t pause = l->retry_ms + (l->retry_ms ? (msec_t)prng_below(&r->prng, (uint64_t)l->retry_ms / 4 + 1) : 0);
    repl_link_close(r);
    l->retry_at = r->env.now + pause;
    l->retry_ms = l->retry_ms ? l->retry_ms * 2 : RETRY_MIN_MS;
    if (l->retry_ms > RETRY_MAX_MS)
        l->retry_ms = RETRY_MAX_MS;
    repl_trace(r, REPL_WARNING, "MASTER %s: %s. Next attempt in %lld ms.", l->name, why.p, (long long)pause);
}

void link_fail(struct repl *r, const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    give_up(r, bytes_of_str(text));
}

void repl_link_is_down(struct repl *r, struct bytes why)
{
    struct link *l = &r->link;
    l->peer = 0;
    if (l->state == REPL_LINK_LOADING) {
        repl_trace(r, REPL_NOTICE,
                   "Connection with master %s lost while its data are being loaded; we go on from there.",
              l->name);
        return;
    }
    if (l->state == REPL_LINK_CONNECTED)
        repl_trace(r, REPL_NOTICE, "Connection with master lost.");
    link_fail(r, "%s", why.n ? shown(r, why).p : "the connection was closed");
}

/* ---- bytes ---- */

/* One line of the handshake or the payload's first; what it took of `in`. Empty lines are keep-alives. */
static size_t take_line(struct repl *r, struct bytes in)
{
    struct link *l = &r->link;
    const char *end = memchr(in.p, '\n', in.n);
    size_t n = end ? (size_t)(end - in.p) + 1 : in.n;
    if (l->line_n + n > LINE_MAX_BYTES) {
        link_fail(r, "it sent a line of more than %d bytes", LINE_MAX_BYTES);
        return in.n;
    }
    memcpy(l->line + l->line_n, in.p, n);
    l->line_n += n;
    if (!end)
        return n;
    struct bytes line = bytes_of(l->line, l->line_n - 1);
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    l->line_n = 0;
    if (line.n == 0) {
        if (++l->newlines > NEWLINES_MAX)
            link_fail(r, "it sends empty lines without end");
    } else if (l->state == REPL_LINK_HANDSHAKE) {
        l->newlines = 0;
        handshake_line(r, line);
    } else {
        l->newlines = 0;
        (void)transfer_header(r, line);
    }
    return n;
}

void link_bytes(struct repl *r, struct bytes in)
{
    struct link *l = &r->link;
    uint64_t peer = l->peer;
    l->last_io = r->env.now;
    r->stats.input += in.n;
    while (in.n && l->peer == peer) {
        size_t n = in.n;
        switch (l->state) {
        case REPL_LINK_HANDSHAKE: n = take_line(r, in); break;
        case REPL_LINK_TRANSFER: n = l->load_begun ? transfer_bytes(r, in) : take_line(r, in); break;
        case REPL_LINK_LOADING:
            if (buf_append(&l->pending, in) < 0) {
                repl_trace(r, REPL_WARNING, "MASTER %s sent more than %u bytes while its data are being loaded; we ask "
                      "for them "
                      "again.", l->name, PENDING_MAX);
                act_peer(r, REPL_CLOSE, l->peer);
                buf_done(&l->pending);
                l->peer = 0;
            }
            break;
        case REPL_LINK_CONNECTED: link_stream(r, in); break;
        case REPL_LINK_NONE:
        case REPL_LINK_WAITING:
        case REPL_LINK_CONNECTING:
        case REPL_LINK_GUARDED: break;
        }
        in.p += n;
        in.n -= n;
    }
}

/* ---- in the stream ---- */

void link_connected(struct repl *r)
{
    struct link *l = &r->link;
    link_move(r, REPL_LINK_CONNECTED);
    l->received_to = history_offset(r);
    l->down_since = l->applied_at = -1;
    l->synced = true;
    l->guard_off = false;
    l->trusted = !l->plain_sync;
    l->mark_heard = false;
    l->acked = -1;
    if (l->paused)
        act_peer(r, REPL_LINK_RESUME, l->peer);
    l->paused = false;
    link_ack(r);
    failover_linked(r);
    if (l->pending.n == 0)
        return;
    l->played = l->pending;
    buf_init(&l->pending, PENDING_MAX);
    link_stream(r, buf_bytes(&l->played));
}

void link_stream(struct repl *r, struct bytes in)
{
    struct link *l = &r->link;
    backlog_append(&r->backlog, in);
    l->received_to += (int64_t)in.n;
    ASSERT(l->received_to == r->backlog.end);
    if (l->applied_at < 0)
        l->applied_at = r->env.now;
    if (l->mark_idle && l->busy_since < 0)
        l->busy_since = r->env.now;
    struct repl_action *a = act_peer(r, REPL_APPLY, l->peer);
    a->bytes = in;
}

void link_applied(struct repl *r, int64_t offset)
{
    struct link *l = &r->link;
    if (l->state != REPL_LINK_CONNECTED)
        return;
    ASSERT(offset >= r->backlog.shown);
    ASSERT(offset <= l->received_to);
    r->backlog.shown = offset;
    l->applied_at = offset < l->received_to ? r->env.now : -1;
    if (l->master_is_ouro && r->env.now - l->ack_at >= ACK_QUICK_MS)
        link_ack(r);
}

void link_apply_failed(struct repl *r, struct bytes why)
{
    if (r->link.state != REPL_LINK_CONNECTED)
        return;
    r->link.trusted = false;
    link_fail(r, "its stream is broken at offset %lld: %s; a full sync is next", (long long)history_offset(r) + 1,
              shown(r, why).p);
}

void link_command(struct repl *r, const struct repl_command *c)
{
    if (r->link.state != REPL_LINK_CONNECTED)
        return;
    if (bytes_is(c->argv[0], "replconf")) {
        if (c->argc >= 2 && bytes_is(c->argv[1], "getack"))
            link_ack(r);
    } else if (bytes_is(c->argv[0], "ping") && c->argc == 2) {
        lag_mark_heard(r, c->argv[1]);
    }
}

void link_ack(struct repl *r)
{
    struct link *l = &r->link;
    if (l->plain_sync || l->state != REPL_LINK_CONNECTED)
        return;
    int64_t offset = history_offset(r);
    struct bytes argv[7] = { BYTES("REPLCONF"), BYTES("ACK"), arena_printf(&r->arena, "%lld", (long long)offset) };
    int n = 3;
    if (r->config.append_fsync_known) {
        argv[n++] = BYTES("FACK");
        argv[n++] = arena_printf(&r->arena, "%lld", (long long)(l->fsynced < offset ? l->fsynced : offset));
    }
    if (l->master_is_ouro && r->config.max_staleness_ms) {
        argv[n++] = BYTES("MARKS");
        argv[n++] = arena_printf(&r->arena, "%lld", (long long)lag_heartbeat(r));
    }
    send_bytes(r, l->peer, encode(r, n, argv));
    l->ack_at = r->env.now;
    l->acked = offset;
}

/* ---- time ---- */

static msec_t ack_due(const struct repl *r)
{
    const struct link *l = &r->link;
    bool quick = l->master_is_ouro && l->acked != history_offset(r);
    return l->plain_sync ? REPL_NEVER : l->ack_at + (quick ? ACK_QUICK_MS : SECOND_MS);
}

void link_tick(struct repl *r)
{
    struct link *l = &r->link;
    msec_t now = r->env.now;
    switch (l->state) {
    case REPL_LINK_WAITING:
        if (now >= l->retry_at)
            link_start(r);
        break;
    case REPL_LINK_CONNECTING:
    case REPL_LINK_HANDSHAKE:
    case REPL_LINK_TRANSFER:
        if (now >= l->last_io + r->config.timeout_ms)
            link_fail(r, "Timeout %s (nothing for %lld s; if this repeats, raise repl-timeout)",
                      l->state == REPL_LINK_CONNECTING  ? "connecting to the MASTER"
                      : l->state == REPL_LINK_HANDSHAKE ? "in the handshake with the MASTER"
                                                        : "receiving bulk data from MASTER",
                      (long long)(r->config.timeout_ms / SECOND_MS));
        break;
    case REPL_LINK_LOADING:
        if (l->peer && now >= l->newline_at) {
            send_bytes(r, l->peer, BYTES("\n")); /* it shall not take us for dead */
            l->newline_at = now + SECOND_MS;
        }
        break;
    case REPL_LINK_CONNECTED:
        if (now >= l->last_io + r->config.timeout_ms)
            link_fail(r, "MASTER timeout: no data nor PING received");
        else if (now >= ack_due(r))
            link_ack(r);
        break;
    case REPL_LINK_NONE:
    case REPL_LINK_GUARDED: break;
    }
}

msec_t link_deadline(const struct repl *r)
{
    const struct link *l = &r->link;
    msec_t silent = l->last_io + r->config.timeout_ms;
    switch (l->state) {
    case REPL_LINK_WAITING: return l->retry_at;
    case REPL_LINK_CONNECTING:
    case REPL_LINK_HANDSHAKE:
    case REPL_LINK_TRANSFER: return silent;
    case REPL_LINK_LOADING: return l->peer ? l->newline_at : REPL_NEVER;
    case REPL_LINK_CONNECTED: return sooner(silent, ack_due(r));
    case REPL_LINK_NONE:
    case REPL_LINK_GUARDED: break;
    }
    return REPL_NEVER;
}
