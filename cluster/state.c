/* Is the cluster fit to serve, and am I still the one to serve my slots?
 *
 * Redis asks how many masters are PFAIL in its own view, which takes up to one and a half timeouts to notice. Here a
 * master with slots holds a lease: a majority of the masters answered a PING that it sent not long ago.
 *
 *      holds --(majority silent for 2 rounds)--> suspect: writes wait --(most of the timeout)--> minority: fail
 *        ^__________ the majority answers _______|                                                  |
 *        |<------ earning: nothing is executed until the majority has answered PINGs sent since <---'
 *                    ^ also after a start, and after a hole in our own time (SIGSTOP, a paused machine)
 *
 * If an answer shows a newer epoch than ours, somebody may have been elected in our place meanwhile: then our replicas
 * must be heard, too, before we go on. After a start they must be heard in any case: they may have more data. */
#include "cluster/machine.h"

#define HOLE_MS_MIN 250
#define HOLE_MS_MAX 500

bool lease_applies(const struct cluster *c)
{
    return node_is(c->me, CLUSTER_NODE_MASTER) && c->me->n_slots > 0 && c->size > 1;
}

static bool is_voter(const struct cluster *c, const struct cluster_node *n)
{
    return n != c->me && n->n_slots > 0 && node_is(n, CLUSTER_NODE_MASTER);
}

/* Has a majority (we count) answered PINGs that were sent at `since` or later? */
static bool majority_since(const struct cluster *c, msec_t since)
{
    unsigned heard = 1;
    for (size_t i = 0; i < c->n_nodes; i++)
        heard += is_voter(c, c->nodes[i]) && c->nodes[i]->proved_at >= since;
    return heard >= quorum(c);
}

static void ask_around(struct cluster *c, msec_t since)
{
    c->lease.asked_at = c->now;
    for (size_t i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = c->nodes[i];
        if ((is_voter(c, n) || n->master == c->me) && n->proved_at < since && n->to && n->to->up)
            probe(c, n);
    }
}

/* ---- earning it (back) ---- */

static void earn(struct cluster *c, bool quiet)
{
    struct lease *l = &c->lease;
    l->earning = true;
    l->quiet = quiet;
    l->since = c->now;
    l->epoch = c->current_epoch;
    l->suspect = false;
    l->richer_at = 0;
    c->todo_state = true;
    ask_around(c, l->since);
}

/* 1: all that live were heard; 0: not yet; -1: one of them has more than we. */
static int replicas_heard(struct cluster *c)
{
    int heard = 1;
    LIST_EACH(&c->me->replicas, r) {
        struct cluster_node *n = LIST_ITEM(r, struct cluster_node, in_master);
        if (node_is(n, CLUSTER_NODE_FAIL | CLUSTER_NODE_NOADDR))
            continue;
        if (n->proved_at < c->lease.since || !n->proved_at)
            heard = 0;
        else if (n->offset > c->repl.offset)
            return -1;
    }
    return heard;
}

/* A replica with more data takes over, if it is ours; a Redis replica does not, and is not waited for endlessly. */
static bool data_is_safe(struct cluster *c)
{
    struct lease *l = &c->lease;
    int heard = replicas_heard(c);
    if (heard >= 0)
        return heard > 0;
    if (!l->richer_at) {
        l->richer_at = c->now;
        trace(c, CLUSTER_TRACE_WARNING, "A replica has more data than I came back with: waiting for it to take over.");
    }
    return c->now - l->richer_at > 2 * c->config.node_timeout_ms + 5000;
}

static bool earned(struct cluster *c)
{
    struct lease *l = &c->lease;
    if (!c->loaded || (c->size > 1 && !majority_since(c, l->since)))
        return false;
    if (l->starting)
        return data_is_safe(c);
    if (c->current_epoch == l->epoch)
        return true;
    msec_t enough = min_ms(c->config.node_timeout_ms, 2000);
    return replicas_heard(c) != 0 || c->now - l->since >= enough;
}

void lease_heard(struct cluster *c)
{
    if (!c->lease.earning || !earned(c))
        return;
    if (c->lease.quiet)
        trace(c, CLUSTER_TRACE_NOTICE, "The majority of masters answers, after %lld ms: executing commands again.",
              (long long)(c->now - c->lease.since));
    c->lease.earning = c->lease.starting = c->lease.minority = false;
    c->todo_state = true;
}

void lease_step(struct cluster *c, msec_t before)
{
    msec_t hole = max_ms(HOLE_MS_MIN, min_ms(HOLE_MS_MAX, c->config.node_timeout_ms / 4));
    if (!before || c->now - before < hole || c->lease.earning || !lease_applies(c))
        return;
    trace(c, CLUSTER_TRACE_WARNING, "I was away for %lld ms: asking the other masters before I execute anything.",
          (long long)(c->now - before));
    earn(c, true);
}

/* ---- holding it ---- */

/* In a large cluster not everybody is asked all the time: that many of those who were asked are silent is the sign. */
static msec_t two_rounds(const struct cluster *c)
{
    return 2 * ping_interval(c) + CRON_MS + CRON_MS / 2;
}

static bool silence(const struct cluster *c)
{
    const struct lease *l = &c->lease;
    if (c->n_nodes <= SMALL_CLUSTER)
        return !majority_since(c, c->now - two_rounds(c));
    return l->overdue >= 3 && l->overdue >= l->answers + l->answers_before;
}

static void count_answers(struct cluster *c)
{
    struct lease *l = &c->lease;
    if (c->now < l->window_end)
        return;
    l->window_end = c->now + max_ms(c->config.node_timeout_ms / 8, 500);
    l->answers_before = l->answers;
    l->answers = 0;
}

static void hold(struct cluster *c)
{
    struct lease *l = &c->lease;
    msec_t most = c->config.node_timeout_ms * 9 / 10;
    if (!l->suspect && !l->minority && silence(c)) {
        l->suspect = true;
        l->suspect_since = c->n_nodes <= SMALL_CLUSTER ? c->now - two_rounds(c) : c->now;
        ask_around(c, c->now);
        return;
    }
    if (!l->suspect && !l->minority)
        return;
    bool heard = majority_since(c, c->n_nodes <= SMALL_CLUSTER ? c->now - two_rounds(c) : l->suspect_since);
    if (heard && l->minority) {
        earn(c, false);
    } else if (heard) {
        l->suspect = false;
    } else if (!l->minority && c->now - l->suspect_since >= (c->n_nodes <= SMALL_CLUSTER ? most : most / 2)) {
        l->minority = true;
        l->suspect = false;
        c->todo_state = true;
        trace(c, CLUSTER_TRACE_WARNING, "The majority of masters does not answer: taking no writes.");
    } else if (c->now - l->asked_at >= ping_interval(c) / 2) {
        ask_around(c, l->suspect_since);
    }
}

void lease_cron(struct cluster *c)
{
    struct lease *l = &c->lease;
    count_answers(c);
    if (!node_is(c->me, CLUSTER_NODE_MASTER) || !c->me->n_slots) {
        l->earning = l->suspect = l->minority = l->starting = false;
        return;
    }
    if (l->earning) {
        ask_around(c, l->since);
        lease_heard(c);
        if (l->earning && l->quiet && c->now - l->since > c->config.node_timeout_ms) {
            l->quiet = false;
            c->todo_state = true;
        }
    } else if (c->size > 1) {
        hold(c);
    } else {
        l->suspect = l->minority = false;
    }
}

/* ---- cluster_state ---- */

/* Returns how many masters with slots are fine, as we see it. */
unsigned state_count(struct cluster *c)
{
    unsigned reachable = 0;
    c->size = c->slots_pfail = c->slots_fail = c->slots_ok = 0;
    for (size_t i = 0; i < c->n_nodes; i++) {
        const struct cluster_node *n = c->nodes[i];
        if (!n->n_slots)
            continue;
        if (node_is(n, CLUSTER_NODE_FAIL))
            c->slots_fail += n->n_slots;
        else if (node_is(n, CLUSTER_NODE_PFAIL))
            c->slots_pfail += n->n_slots;
        else
            c->slots_ok += n->n_slots;
        if (node_is(n, CLUSTER_NODE_MASTER)) {
            c->size++;
            reachable += !node_is(n, CLUSTER_NODE_FAIL | CLUSTER_NODE_PFAIL);
        }
    }
    return reachable;
}

static void served_update(struct cluster *c)
{
    memset(c->served, 0, sizeof c->served);
    if (!c->ok || !node_is(c->me, CLUSTER_NODE_MASTER))
        return;
    slots_bitmap(c, c->me, c->served);
    for (size_t i = 0; i < c->migrating.n; i++) {
        unsigned s = c->migrating.v[i].slot;
        c->served[s >> 3] &= (uint8_t)~(1 << (s & 7));
    }
}

void state_update(struct cluster *c)
{
    unsigned reachable = state_count(c);
    bool ok = c->loaded;
    if (c->config.require_full_coverage && (c->slots_assigned < CLUSTER_SLOTS || c->slots_fail > 0))
        ok = false;
    if (reachable < quorum(c))
        ok = false;
    bool serves = node_is(c->me, CLUSTER_NODE_MASTER) && c->me->n_slots > 0;
    if (serves && ((c->lease.earning && !c->lease.quiet) || c->lease.minority))
        ok = false;
    if (ok != c->ok) {
        c->ok = ok;
        c->todo_served = true;
        act(c, CLUSTER_STATE)->state.ok = ok;
        trace(c, CLUSTER_TRACE_NOTICE, "Cluster state changed: %s", ok ? "ok" : "fail");
    }
    if (c->todo_served || c->todo_slots)
        served_update(c);
    c->todo_served = false;
}

/* ---- pauses ---- */

void pause_update(struct cluster *c)
{
    const struct lease *l = &c->lease;
    enum cluster_pause what = CLUSTER_PAUSE_NOTHING;
    msec_t until = 0;
    if (c->manual.paused_until > c->now) {
        what = CLUSTER_PAUSE_WRITES;
        until = c->manual.paused_until;
    }
    if (l->suspect) {
        what = CLUSTER_PAUSE_WRITES;
        until = max_ms(until, l->suspect_since + c->config.node_timeout_ms + CRON_MS);
    }
    if (l->earning && l->quiet) {
        what = CLUSTER_PAUSE_ALL;
        until = max_ms(until, l->since + c->config.node_timeout_ms + 2 * CRON_MS);
    }
    if (what == c->pause && (what == CLUSTER_PAUSE_NOTHING || until == c->pause_until))
        return;
    c->pause = what;
    c->pause_until = until;
    struct cluster_action *a = act(c, CLUSTER_PAUSE);
    a->pause.what = what;
    a->pause.until = until;
}

bool cluster_ok(const struct cluster *c)
{
    return c->ok;
}

bool cluster_holds_back(const struct cluster *c)
{
    return c->lease.earning && c->lease.starting;
}
