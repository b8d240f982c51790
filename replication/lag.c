/* True lag: how old are the data over there, in time.
 *
 * The master remembers when which byte was produced. The age of a replica's data is the age of the first byte that it
 * has not acknowledged: no clock but ours is needed. The memory is LAG_POINTS pairs of (offset, time); when it is full
 * neighbours are joined, so that what is long ago is known less exactly, in proportion.
 *
 * A replica cannot know what it has not received. So a master that has an Ouro replica says its time in the stream
 * while that flows: `PING ouro:<wall ms>`, which to others is a PING. When writes have ceased for MARK_MS one more mark
 * says so (`:i`, idle): without it silence would mean a stalled link. The replica learned at the handshake how far that
 * clock is ahead of its own. */
#include "replication/inner.h"

#include "common/alloc.h"
#include "common/num.h"

#define LAG_POINTS 2048
#define POINT_MS   5 /* bytes produced within it share a point */

void lag_forget(struct repl *r)
{
    r->lag.n = 0;
    r->lag.known = r->lag.begin = history_offset(r);
}

/* Neighbours become one as long as together they span no more than a fiftieth of their age: a few hundred points are
 * a day. */
static void thin(struct lag *lag, msec_t now)
{
    struct lag_point *p = lag->points;
    int kept = 0;
    for (int i = 1; i < lag->n; i++) {
        if ((p[i].at - p[kept].from) * 50 <= now - p[i].at)
            p[kept] = (struct lag_point){ p[i].offset, p[kept].from, p[i].at };
        else
            p[++kept] = p[i];
    }
    lag->n = kept + 1;
    if (lag->n == LAG_POINTS) /* more than a machine lives: the oldest goes */
        memmove(p, p + 1, (size_t)--lag->n * sizeof(*p));
}

static bool marks_wanted(const struct repl *r, msec_t *ret_heartbeat)
{
    bool wanted = false;
    *ret_heartbeat = REPL_NEVER;
    if (r->replica || !r->has_backlog)
        return false;
    LIST_EACH(&r->replicas, n)
    {
        const struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (p->state != ONLINE || !(p->capa & CAPA_OURO))
            continue;
        wanted = true;
        if (p->marks_ms)
            *ret_heartbeat = sooner(*ret_heartbeat, p->marks_ms);
    }
    return wanted;
}

void lag_produced(struct repl *r)
{
    struct lag *lag = &r->lag;
    int64_t offset = history_offset(r);
    msec_t now = r->env.now, heartbeat;
    if (offset == lag->known || !r->has_backlog)
        return;
    lag->known = offset;
    if (lag->mark_due == REPL_NEVER && offset != lag->mark_end && marks_wanted(r, &heartbeat))
        lag->mark_due = now + MARK_MS;
    struct lag_point *last = lag->n ? &lag->points[lag->n - 1] : NULL;
    if (last && now - last->from < POINT_MS) {
        last->offset = offset;
        last->at = now;
        return;
    }
    if (!lag->points)
        lag->points = mem_alloc(LAG_POINTS * sizeof(*lag->points));
    if (lag->n == LAG_POINTS)
        thin(lag, now);
    lag->points[lag->n++] = (struct lag_point){ offset, now, now };
}

msec_t lag_at(const struct repl *r, int64_t offset, msec_t now)
{
    const struct lag *lag = &r->lag;
    if (offset >= history_offset(r) || lag->n == 0 || offset >= lag->points[lag->n - 1].offset)
        return 0;
    int low = 0, high = lag->n - 1; /* the first point behind `offset` */
    while (low < high) {
        int mid = (low + high) / 2;
        if (lag->points[mid].offset > offset)
            high = mid;
        else
            low = mid + 1;
    }
    const struct lag_point *p = &lag->points[low];
    int64_t begin = low > 0 ? lag->points[low - 1].offset : lag->begin;
    msec_t at = p->from;
    if (offset > begin)
        at += (msec_t)((double)(p->at - p->from) * (double)(offset - begin) / (double)(p->offset - begin));
    return now > at ? now - at : 0;
}

/* An ACK says how it was then. While the next one is not due that is our best; after that time goes on for the first
 * byte that was not acknowledged. */
msec_t lag_of(const struct repl *r, const struct replica *p, msec_t now)
{
    if (p->state != ONLINE || !p->acked_once)
        return -1;
    if (p->acked >= history_offset(r))
        return 0;
    msec_t interval = p->capa & CAPA_OURO ? ACK_QUICK_MS : SECOND_MS;
    return now - p->ack_at <= interval + interval / 2 ? p->lag_at_ack : lag_at(r, p->acked, now);
}

/* ---- marks: the master's side ---- */

static void mark(struct repl *r, bool idle)
{
    struct bytes argv[2] = { BYTES("PING"),
                             arena_printf(&r->arena, MARK_PREFIX "%lld%s", (long long)r->env.wall, idle ? ":i" : "") };
    history_append_command(r, 2, argv);
    r->lag.mark_end = history_offset(r);
    r->lag.mark_last = r->env.now;
}

void lag_tick(struct repl *r)
{
    struct lag *lag = &r->lag;
    msec_t heartbeat, now = r->env.now;
    if (!marks_wanted(r, &heartbeat)) {
        lag->mark_due = REPL_NEVER;
        return;
    }
    if (heartbeat != REPL_NEVER && lag->mark_due == REPL_NEVER && now - lag->mark_last >= heartbeat)
        lag->mark_due = now;
    if (now < lag->mark_due)
        return;
    if (r->env.paused) { /* the stream stands still */
        lag->mark_due = now + MARK_MS;
        return;
    }
    bool idle = history_offset(r) == lag->mark_end || lag->n == 0 || now - lag->points[lag->n - 1].at >= MARK_MS;
    mark(r, idle);
    lag->mark_due = idle ? REPL_NEVER : now + MARK_MS;
}

msec_t lag_deadline(const struct repl *r)
{
    msec_t heartbeat;
    if (!marks_wanted(r, &heartbeat))
        return REPL_NEVER;
    if (r->lag.mark_due != REPL_NEVER || heartbeat == REPL_NEVER)
        return r->lag.mark_due;
    return r->lag.mark_last + heartbeat;
}

/* ---- marks: the replica's side ---- */

void lag_mark_heard(struct repl *r, struct bytes text)
{
    struct link *l = &r->link;
    size_t prefix = sizeof(MARK_PREFIX) - 1;
    if (text.n <= prefix || memcmp(text.p, MARK_PREFIX, prefix) != 0)
        return;
    struct bytes number = bytes_of(text.p + prefix, text.n - prefix);
    bool idle = number.n > 2 && memcmp(number.p + number.n - 2, ":i", 2) == 0;
    if (idle)
        number.n -= 2;
    int64_t wall;
    if (!num_parse_i64(number, &wall) || wall < 0)
        return;
    l->mark_heard = true;
    l->mark_idle = idle;
    l->mark_wall = wall;
    l->mark_at = r->env.now;
    l->busy_since = -1;
    if (wall > r->env.wall + l->clock_ahead) /* it cannot come from the future: the clocks have moved */
        l->clock_ahead = wall - r->env.wall;
    l->mark_delay = r->env.wall + l->clock_ahead - wall;
}

/* Silence of a master that gives no heartbeats: it pings so often, by default. */
#define SILENCE_MS 11000
#define FLOW_MS    200 /* without a byte: nothing is queued on the way */

msec_t lag_heartbeat(const struct repl *r)
{
    return r->config.max_staleness_ms / 4 > 2 * MARK_MS ? r->config.max_staleness_ms / 4 : 2 * MARK_MS;
}

/* While bytes flow behind a mark that came late, what they say is as late. When nothing flows, an idle mark was the
 * last that there was to say. */
static msec_t by_marks(const struct repl *r, msec_t now)
{
    const struct link *l = &r->link;
    if (!l->mark_idle) {
        msec_t age = r->env.wall + (now - r->env.now) + l->clock_ahead - l->mark_wall;
        return age > 0 ? age : 0;
    }
    if (l->busy_since >= 0)
        return now - l->busy_since > l->mark_delay ? now - l->busy_since : l->mark_delay;
    if (now - l->mark_at < FLOW_MS)
        return l->mark_delay;
    bool beats = r->config.max_staleness_ms > 0 && l->master_is_ouro;
    return beats && now - l->mark_at > 5 * lag_heartbeat(r) / 2 ? now - l->mark_at : 0;
}

msec_t repl_staleness(const struct repl *r, msec_t now)
{
    const struct link *l = &r->link;
    if (!r->replica)
        return 0;
    if (l->state != REPL_LINK_CONNECTED)
        return l->fresh_at < 0 ? -1 : now - l->fresh_at;
    if (l->mark_heard)
        return by_marks(r, now);
    if (l->applied_at >= 0)
        return now - l->applied_at;
    return now - l->last_io > SILENCE_MS ? now - l->last_io : 0;
}

bool repl_too_stale(const struct repl *r, msec_t now)
{
    if (!r->replica || r->config.max_staleness_ms == 0)
        return false;
    msec_t age = repl_staleness(r, now);
    return age < 0 || age > r->config.max_staleness_ms;
}
