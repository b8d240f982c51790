/* See cluster_world.h. */
#include "tests/sim/cluster_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"

#define PORT       7000
#define REPL_US    20000
#define WALL_START INT64_C(1700000000000)

enum event_kind { EV_TICK, EV_BYTES, EV_CONNECT, EV_CONNECTED, EV_REFUSED, EV_TIMEOUT, EV_DOWN, EV_REPL };

struct event {
    usec_t at;
    uint64_t seq;
    enum event_kind kind;
    int node;           /* at whom it happens */
    struct conn *conn;
    bool to_b;          /* EV_BYTES, EV_DOWN: direction */
    enum cluster_down reason;
    size_t n;
    char bytes[];
};

/* From a (who opened it) to b. */
struct conn {
    int a, b;
    cluster_link_id id[2];   /* 0 = that side has none (yet, or any more) */
    usec_t last[2];          /* order: time of the last delivery to a, to b */
    unsigned refs;
};

struct claims {
    uint64_t epoch;
    int16_t by[CLUSTER_SLOTS];
};

/* ---- events ---- */

struct heap_entry {
    usec_t at;
    uint64_t seq;
    struct event *event;
};

static bool before(const struct heap_entry *x, const struct heap_entry *y)
{
    return x->at != y->at ? x->at < y->at : x->seq < y->seq;
}

static void push(struct cworld *w, struct event *event)
{
    if (w->n_heap == w->cap_heap) {
        w->cap_heap = w->cap_heap ? w->cap_heap * 2 : 1024;
        w->heap = mem_realloc(w->heap, w->cap_heap * sizeof *w->heap);
    }
    struct heap_entry e = { event->at, event->seq, event };
    size_t i = w->n_heap++;
    while (i > 0 && before(&e, &w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = e;
}

static struct event *pop(struct cworld *w)
{
    struct event *top = w->heap[0].event;
    struct heap_entry last = w->heap[--w->n_heap];
    size_t i = 0;
    for (size_t child = 1; child < w->n_heap; child = 2 * i + 1) {
        if (child + 1 < w->n_heap && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!before(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    if (w->n_heap)
        w->heap[i] = last;
    return top;
}

static struct event *event_new(struct cworld *w, enum event_kind kind, usec_t at, int node, struct conn *conn, size_t n)
{
    struct event *e = mem_alloc(sizeof *e + n);
    *e = (struct event){ .at = at, .seq = w->seq++, .kind = kind, .node = node, .conn = conn, .n = n };
    if (conn)
        conn->refs++;
    return e;
}

static void conn_unref(struct cworld *w, struct conn *c)
{
    if (c && --c->refs == 0)
        mem_free(c);
}

static void event_free(struct cworld *w, struct event *e)
{
    conn_unref(w, e->conn);
    mem_free(e);
}

static usec_t delay(struct cworld *w)
{
    return w->delay_min + (usec_t)prng_below(&w->rng, (uint64_t)(w->delay_max - w->delay_min + 1));
}

static bool reach(const struct cworld *w, int a, int b)
{
    return w->nodes[a].side == w->nodes[b].side;
}

/* ---- steps ---- */

static msec_t ms(const struct cworld *w)
{
    return w->now / 1000;
}

static void check_claims(struct cworld *w, struct cworld_node *p);
static void perform(struct cworld *w, struct cworld_node *p, const struct cluster_actions *a);

void cworld_step(struct cworld *w, int i, struct cluster_event *ev)
{
    struct cworld_node *p = &w->nodes[i];
    ASSERT(p->m && !p->frozen);
    ev->now = ms(w) + 1000000;
    ev->wall = WALL_START + ms(w) + p->wall_skew;
    ev->repl = p->repl;
    cluster_actions_clear(&w->actions);
    cluster_step(p->m, ev, &w->actions);
    p->steps++;
    p->last_step = w->now;
    perform(w, p, &w->actions);
    if (!w->big)
        check_claims(w, p);
    usec_t at = (cluster_deadline(p->m) - 1000000) * 1000;
    at = at > w->now ? at : w->now + 1000;
    if (!p->next_tick || at < p->next_tick || p->next_tick <= w->now) {
        p->next_tick = at;
        push(w, event_new(w, EV_TICK, at, i, NULL, 0));
    }
}

static void tick(struct cworld *w, int i)
{
    struct cluster_event ev = { .kind = CLUSTER_TICK };
    cworld_step(w, i, &ev);
}

/* ---- what a node does ---- */

static int node_at(const struct cworld *w, const char *ip, int port)
{
    int i = port % 10000 - PORT % 10000;
    return strcmp(ip, "127.0.0.1") == 0 && i >= 0 && i < w->n ? i : CWORLD_NOWHERE;
}

static struct conn **slot_for(struct conn ***v, size_t *n, uint32_t i)
{
    if (i >= *n) {
        size_t more = (size_t)i * 3 / 2 + 16;
        *v = mem_realloc(*v, more * sizeof **v);
        memset(*v + *n, 0, (more - *n) * sizeof **v);
        *n = more;
    }
    return &(*v)[i];
}

static struct conn **conn_of(struct cworld_node *p, cluster_link_id id)
{
    return id & CLUSTER_LINK_ACCEPTED ? slot_for(&p->in, &p->n_in, id & ~CLUSTER_LINK_ACCEPTED)
                                      : slot_for(&p->out, &p->n_out, id);
}

static void do_connect(struct cworld *w, struct cworld_node *p, const struct cluster_action *a)
{
    struct conn *c = mem_zalloc(sizeof *c);
    c->a = p->index;
    c->b = node_at(w, a->connect.ip, a->connect.port - 10000);
    c->id[0] = a->connect.id;
    c->refs = 1;
    *conn_of(p, a->connect.id) = c;
    usec_t at = w->now + delay(w);
    bool nowhere = c->b == CWORLD_NOWHERE;
    push(w, event_new(w, nowhere ? EV_REFUSED : EV_CONNECT, at, nowhere ? c->a : c->b, c, 0));
}

static void let_go(struct cworld *w, struct cworld_node *p, cluster_link_id id)
{
    struct conn **place = conn_of(p, id), *c = *place;
    *place = NULL;
    c->id[id & CLUSTER_LINK_ACCEPTED ? 1 : 0] = 0;
    conn_unref(w, c);
}

static usec_t in_order(struct cworld *w, struct conn *c, bool to_b)
{
    usec_t at = w->now + delay(w);
    at = at > c->last[to_b] ? at : c->last[to_b] + 1;
    c->last[to_b] = at;
    return at;
}

static void tell_down(struct cworld *w, struct conn *c, bool to_b, enum cluster_down reason)
{
    struct event *e = event_new(w, EV_DOWN, in_order(w, c, to_b), to_b ? c->b : c->a, c, 0);
    e->to_b = to_b;
    e->reason = reason;
    push(w, e);
}

static void do_close(struct cworld *w, struct cworld_node *p, cluster_link_id id)
{
    struct conn *c = *conn_of(p, id);
    if (!c)
        return;
    bool from_a = !(id & CLUSTER_LINK_ACCEPTED);
    if (c->id[from_a])
        tell_down(w, c, from_a, CLUSTER_DOWN_EOF);
    let_go(w, p, id);
}

static void do_send(struct cworld *w, struct cworld_node *p, const struct cluster_action *a)
{
    struct conn *c = *conn_of(p, a->send.id);
    p->bytes_sent += a->send.bytes.n;
    p->frames_sent++;
    if (!c)
        return;
    bool to_b = !(a->send.id & CLUSTER_LINK_ACCEPTED);
    struct event *e = event_new(w, EV_BYTES, in_order(w, c, to_b), to_b ? c->b : c->a, c, a->send.bytes.n);
    e->to_b = to_b;
    memcpy(e->bytes, a->send.bytes.p, a->send.bytes.n);
    push(w, e);
}

static void do_save(struct cworld *w, struct cworld_node *p, const struct cluster_action *a, bool *ret_ok)
{
    *ret_ok = !p->disk_fails;
    if (p->disk_fails)
        return;
    buf_clear(&p->disk);
    (void)buf_append(&p->disk, a->save.bytes);
}

static void perform(struct cworld *w, struct cworld_node *p, const struct cluster_actions *list)
{
    bool saved = true;
    for (size_t i = 0; i < list->n; i++) {
        const struct cluster_action *a = &list->v[i];
        switch (a->kind) {
        case CLUSTER_CONNECT:
            do_connect(w, p, a);
            break;
        case CLUSTER_CLOSE:
            do_close(w, p, a->close.id);
            break;
        case CLUSTER_SEND:
            if (saved)
                do_send(w, p, a);
            break;
        case CLUSTER_SAVE:
            do_save(w, p, a, &saved);
            break;
        case CLUSTER_BECOME_MASTER:
            p->follows = CWORLD_NOWHERE;
            p->in_sync = p->repl.link_up = false;
            break;
        case CLUSTER_FOLLOW:
            p->follows = node_at(w, a->follow.ip, a->follow.port);
            p->in_sync = p->repl.link_up = false;
            break;
        case CLUSTER_PAUSE:
            p->pause = a->pause.what;
            p->pause_until = a->pause.until;
            break;
        case CLUSTER_STATE:
            p->ok_at = a->state.ok ? ms(w) : 0;
            break;
        case CLUSTER_TRACE:
            if (w->verbose)
                printf("%9.3f n%d %s\n", (double)w->now / 1e6, p->index, a->trace.text);
            if (w->on_trace)
                w->on_trace(w, p, a->trace.text);
            break;
        default:
            break;
        }
    }
    if (!saved) {
        struct cluster_event ev = { .kind = CLUSTER_SAVED, .saved.ok = false };
        ev.now = ms(w) + 1000000;
        ev.wall = WALL_START + ms(w) + p->wall_skew;
        ev.repl = p->repl;
        struct cluster_actions more;
        cluster_actions_init(&more);
        cluster_step(p->m, &ev, &more);
        perform(w, p, &more);
        cluster_actions_done(&more);
    }
}

/* ---- the invariant of owners ---- */

static void check_claims(struct cworld *w, struct cworld_node *p)
{
    struct cluster_node_view v;
    cluster_view(p->m, cluster_myself(p->m), &v);
    if (v.master || !v.slots || (v.config_epoch == p->seen_epoch && v.slots == p->seen_slots))
        return;
    p->seen_epoch = v.config_epoch;
    p->seen_slots = v.slots;
    struct claims *k = NULL;
    for (size_t i = 0; i < w->n_claims && !k; i++)
        if (w->claims[i].epoch == v.config_epoch)
            k = &w->claims[i];
    if (!k) {
        w->claims = mem_realloc(w->claims, (w->n_claims + 1) * sizeof *w->claims);
        k = &w->claims[w->n_claims++];
        k->epoch = v.config_epoch;
        memset(k->by, 0xff, sizeof k->by);
    }
    struct cluster_range r = { 0, -1 };
    const struct cluster_node *owner;
    while (cluster_next_range(p->m, r.last + 1, &r, &owner)) {
        if (owner != cluster_myself(p->m))
            continue;
        for (int s = r.first; s <= r.last; s++) {
            if (k->by[s] >= 0 && k->by[s] != p->index && !w->broken) {
                w->broken = w->why;
                snprintf(w->why, sizeof w->why, "at %.3f s: slot %d under epoch %" PRIu64 " is owned by n%d and n%d",
                         (double)w->now / 1e6, s, v.config_epoch, k->by[s], p->index);
            }
            k->by[s] = (int16_t)p->index;
        }
    }
}

/* ---- what happens ---- */

static void set_aside(struct cworld_node *p, struct event *e)
{
    if (p->n_frozen == p->cap_frozen) {
        p->cap_frozen = p->cap_frozen ? p->cap_frozen * 2 : 64;
        p->frozen_events = mem_realloc(p->frozen_events, p->cap_frozen * sizeof *p->frozen_events);
    }
    p->frozen_events[p->n_frozen++] = e;
}

static void link_event(struct cworld *w, int i, cluster_link_id id, enum cluster_event_kind kind, enum cluster_down why)
{
    struct cluster_event ev = { .kind = kind };
    ev.link.id = id;
    ev.link.reason = why;
    ev.link.peer_ip = ev.link.local_ip = "127.0.0.1";
    cworld_step(w, i, &ev);
}

/* Later, when the network is whole again: 200 ms between tries, as retransmissions are. */
static void retry(struct cworld *w, struct event *e)
{
    e->at = w->now + 200000;
    e->seq = w->seq++;
    if (e->conn && (e->kind == EV_BYTES || e->kind == EV_DOWN)) {
        e->at = e->at > e->conn->last[e->to_b] ? e->at : e->conn->last[e->to_b] + 1;
        e->conn->last[e->to_b] = e->at;
    }
    push(w, e);
}

static void accept_conn(struct cworld *w, struct event *e)
{
    struct conn *c = e->conn;
    struct cworld_node *a = &w->nodes[c->a], *b = &w->nodes[c->b];
    if (!c->id[0] || !a->m)
        return;
    if (!reach(w, c->a, c->b)) {
        push(w, event_new(w, EV_TIMEOUT, w->now + 1000000, c->a, c, 0));
        return;
    }
    usec_t at = in_order(w, c, false);
    if (!b->m) {
        push(w, event_new(w, EV_REFUSED, at, c->a, c, 0));
        return;
    }
    push(w, event_new(w, EV_CONNECTED, at, c->a, c, 0)); /* the kernel accepts, even for a frozen process */
    uint32_t k = 1;
    while (k < b->n_in && b->in[k])
        k++;
    *slot_for(&b->in, &b->n_in, k) = c;
    c->id[1] = k | CLUSTER_LINK_ACCEPTED;
    c->refs++;
    if (b->frozen) {
        struct event *later = event_new(w, EV_CONNECT, w->now, c->b, c, 0);
        later->n = 1; /* accepted already: only LINK_UP is left */
        set_aside(b, later);
    } else {
        link_event(w, c->b, c->id[1], CLUSTER_LINK_UP, 0);
    }
}

static void deliver(struct cworld *w, struct event *e)
{
    struct conn *c = e->conn;
    struct cworld_node *p = &w->nodes[e->node];
    cluster_link_id id = c->id[e->to_b];
    if (!p->m || !id)
        return;
    struct cluster_event ev = { .kind = CLUSTER_PACKET };
    ev.packet.id = id;
    ev.packet.frame = bytes_of(e->bytes, e->n);
    ASSERT(cluster_frame_size(p->m, id, ev.packet.frame) == (int64_t)e->n);
    cworld_step(w, e->node, &ev);
}

static void down(struct cworld *w, struct event *e, cluster_link_id id, enum cluster_down reason)
{
    struct cworld_node *p = &w->nodes[e->node];
    if (!p->m || !id)
        return;
    let_go(w, p, id);
    link_event(w, e->node, id, CLUSTER_LINK_DOWN, reason);
}

static void replicate(struct cworld *w);

/* True: the event is kept (it is in a queue again). */
static bool handle(struct cworld *w, struct event *e)
{
    struct cworld_node *p = &w->nodes[e->node];
    struct conn *c = e->conn;
    if (e->kind == EV_REPL) {
        replicate(w);
        e->at = w->now + REPL_US;
        e->seq = w->seq++;
        push(w, e);
        return true;
    }
    if (c && (e->kind == EV_BYTES || e->kind == EV_DOWN) && !reach(w, c->a, c->b)) {
        retry(w, e);
        return true;
    }
    if (p->frozen && e->kind != EV_CONNECT) {
        set_aside(p, e);
        return true;
    }
    switch (e->kind) {
    case EV_TICK:
        if (p->m && e->at == p->next_tick) {
            p->next_tick = 0;
            tick(w, e->node);
        }
        break;
    case EV_CONNECT:
        if (e->n == 0)
            accept_conn(w, e);
        else if (p->m && c->id[1])
            link_event(w, e->node, c->id[1], CLUSTER_LINK_UP, 0);
        break;
    case EV_CONNECTED:
        if (p->m && c->id[0])
            link_event(w, e->node, c->id[0], CLUSTER_LINK_UP, 0);
        break;
    case EV_BYTES:
        deliver(w, e);
        break;
    case EV_REFUSED:
    case EV_TIMEOUT:
        down(w, e, c->id[0], e->kind == EV_REFUSED ? CLUSTER_DOWN_REFUSED : CLUSTER_DOWN_TIMEOUT);
        break;
    case EV_DOWN:
        down(w, e, c->id[e->to_b], e->reason);
        break;
    case EV_REPL:
        break;
    }
    return false;
}

void cworld_run(struct cworld *w, usec_t until)
{
    while (w->n_heap && w->heap[0].at <= until && !w->broken) {
        struct event *e = pop(w);
        w->now = e->at > w->now ? e->at : w->now;
        if (!handle(w, e))
            event_free(w, e);
    }
    w->now = until > w->now ? until : w->now;
}

void cworld_run_for(struct cworld *w, msec_t t)
{
    cworld_run(w, w->now + t * 1000);
}

bool cworld_run_until(struct cworld *w, bool (*done)(struct cworld *), msec_t most)
{
    usec_t end = w->now + most * 1000;
    while (!w->broken) {
        if (done(w))
            return true;
        if (w->now >= end)
            return false;
        cworld_run_for(w, w->big ? 100 : 10);
    }
    return false;
}

/* ---- data ---- */

static void data_add(struct cworld_node *p, uint32_t number)
{
    if (p->n_data == p->cap_data) {
        p->cap_data = p->cap_data ? p->cap_data * 2 : 64;
        p->data = mem_realloc(p->data, p->cap_data * sizeof *p->data);
    }
    p->data[p->n_data++] = number;
    p->repl.offset = (int64_t)p->n_data;
}

static void data_copy(struct cworld_node *to, const struct cworld_node *from)
{
    if (to->in_sync) {
        while (to->n_data < from->n_data)
            data_add(to, from->data[to->n_data]);
        return;
    }
    to->n_data = 0;
    to->repl.offset = 0;
    for (size_t i = 0; i < from->n_data; i++)
        data_add(to, from->data[i]);
    to->in_sync = true;
}

static bool can_replicate(const struct cworld *w, const struct cworld_node *p)
{
    if (!p->m || p->frozen || p->follows == CWORLD_NOWHERE)
        return false;
    const struct cworld_node *m = &w->nodes[p->follows];
    if (!m->m || m->frozen || !reach(w, p->index, m->index) || cluster_holds_back(m->m))
        return false;
    return p->in_sync || m->n_data >= p->n_data || !cluster_refuses_resync(p->m);
}

static void replicate(struct cworld *w)
{
    for (int i = 0; i < w->n && !w->broken; i++) {
        struct cworld_node *p = &w->nodes[i];
        if (w->writes && p->m && !p->frozen && !cluster_is_replica(p->m)) {
            struct cluster_range r;
            const struct cluster_node *owner;
            for (int s = 0; cluster_next_range(p->m, s, &r, &owner); s = r.last + 1)
                if (owner == cluster_myself(p->m)) {
                    uint32_t number;
                    (void)cworld_write(w, i, (unsigned)r.first, &number);
                    break;
                }
        }
        bool up = can_replicate(w, p), was = p->repl.link_up;
        if (up) {
            data_copy(p, &w->nodes[p->follows]);
            p->repl.heard = ms(w) + 1000000;
        } else if (p->follows != CWORLD_NOWHERE && (!w->nodes[p->follows].m || !p->m)) {
            p->in_sync = false;
        }
        p->repl.link_up = up;
        if (p->m && !p->frozen && (up != was || cluster_watches_offset(p->m))) {
            struct cluster_event ev = { .kind = CLUSTER_REPL };
            cworld_step(w, i, &ev);
        }
    }
}

enum cworld_write cworld_write(struct cworld *w, int i, unsigned slot, uint32_t *ret_number)
{
    struct cworld_node *p = &w->nodes[i];
    if (!p->m || p->frozen)
        return CWORLD_DEAD;
    if (w->now - p->last_step >= 50000)
        tick(w, i);
    if (p->pause != CLUSTER_PAUSE_NOTHING && p->pause_until > ms(w) + 1000000)
        return CWORLD_PAUSED;
    struct cluster_query q = { .slot = (int)slot, .write = true };
    struct cluster_redirect to;
    switch (cluster_route(p->m, &q, &to)) {
    case CLUSTER_ROUTE_SERVE:
        *ret_number = (uint32_t)++w->next_write;
        data_add(p, *ret_number);
        return CWORLD_OK;
    case CLUSTER_ROUTE_MOVED:
        return CWORLD_ELSEWHERE;
    default:
        return CWORLD_DOWN;
    }
}

bool cworld_has(const struct cworld *w, int i, uint32_t number)
{
    for (size_t k = w->nodes[i].n_data; k-- > 0;)
        if (w->nodes[i].data[k] == number)
            return true;
    return false;
}

/* ---- life and death ---- */

void cworld_start(struct cworld *w, int i)
{
    struct cworld_node *p = &w->nodes[i];
    ASSERT(!p->m);
    struct cluster_config config = {
        .announce_ip = "127.0.0.1",
        .port = (uint16_t)(PORT + i),
        .bus_port = (uint16_t)(PORT + i + 10000),
        .node_timeout_ms = w->node_timeout,
        .ping_interval_ms = 1000,
        .repl_ping_period_ms = 10000,
        .replica_validity_factor = 10,
        .migration_barrier = 1,
        .allow_replica_migration = true,
        .require_full_coverage = true,
        .allow_pubsubshard_when_down = true,
    };
    p->m = cluster_new(&config, prng_u64(&w->rng));
    const char *error = NULL;
    if (!cluster_load(p->m, buf_bytes(&p->disk), ms(w) + 1000000, WALL_START + ms(w) + p->wall_skew, &error)) {
        w->broken = w->why;
        snprintf(w->why, sizeof w->why, "n%d: nodes.conf: %s", i, error);
        return;
    }
    p->next_tick = 0;
    p->pause = CLUSTER_PAUSE_NOTHING;
    p->follows = CWORLD_NOWHERE;
    p->in_sync = false;
    p->repl.link_up = false;
    struct cluster_event ev = { .kind = CLUSTER_LOADED };
    cworld_step(w, i, &ev);
}

void cworld_kill(struct cworld *w, int i)
{
    struct cworld_node *p = &w->nodes[i];
    ASSERT(p->m);
    cluster_free(p->m);
    p->m = NULL;
    p->frozen = false;
    for (size_t k = 0; k < p->n_frozen; k++)
        event_free(w, p->frozen_events[k]);
    p->n_frozen = 0;
    for (int dir = 0; dir < 2; dir++) {
        struct conn **v = dir ? p->in : p->out;
        for (size_t k = 0; k < (dir ? p->n_in : p->n_out); k++) {
            struct conn *c = v[k];
            if (!c)
                continue;
            if (c->id[!dir])
                tell_down(w, c, !dir, CLUSTER_DOWN_RESET);
            let_go(w, p, c->id[dir]);
        }
    }
    p->repl.link_up = false;
    p->next_tick = 0;
}

void cworld_lose_data(struct cworld *w, int i)
{
    ASSERT(!w->nodes[i].m);
    w->nodes[i].n_data = 0;
    w->nodes[i].repl.offset = 0;
}

void cworld_freeze(struct cworld *w, int i)
{
    ASSERT(w->nodes[i].m);
    w->nodes[i].frozen = true;
}

void cworld_thaw(struct cworld *w, int i)
{
    struct cworld_node *p = &w->nodes[i];
    if (!p->frozen)
        return;
    p->frozen = false;
    for (size_t k = 0; k < p->n_frozen; k++) {
        struct event *e = p->frozen_events[k];
        e->at = w->now;
        e->seq = w->seq++;
        push(w, e);
    }
    p->n_frozen = 0;
    p->next_tick = 0;
    tick(w, i); /* the first thing of a turn */
}

void cworld_side(struct cworld *w, int i, unsigned side)
{
    w->nodes[i].side = side;
}

void cworld_heal(struct cworld *w)
{
    for (int i = 0; i < w->n; i++)
        w->nodes[i].side = 0;
    for (int i = 0; i < w->n; i++)
        cworld_thaw(w, i);
}

void cworld_init(struct cworld *w, int nodes, uint64_t seed, msec_t node_timeout)
{
    *w = (struct cworld){ .n = nodes, .node_timeout = node_timeout, .delay_min = 50, .delay_max = 500, .now = 1000000 };
    prng_init(&w->rng, seed);
    cluster_actions_init(&w->actions);
    w->nodes = mem_zalloc((size_t)nodes * sizeof *w->nodes);
    for (int i = 0; i < nodes; i++) {
        struct cworld_node *p = &w->nodes[i];
        p->index = i;
        p->follows = CWORLD_NOWHERE;
        buf_init(&p->disk, BUF_UNLIMITED);
        p->wall_skew = (msec_t)prng_below(&w->rng, 200) - 100;
    }
    push(w, event_new(w, EV_REPL, w->now, 0, NULL, 0));
}

void cworld_done(struct cworld *w)
{
    for (int i = 0; i < w->n; i++) {
        struct cworld_node *p = &w->nodes[i];
        if (p->m)
            cworld_kill(w, i);
        buf_done(&p->disk);
        mem_free(p->data);
        mem_free(p->out);
        mem_free(p->in);
        mem_free(p->frozen_events);
    }
    while (w->n_heap)
        event_free(w, pop(w));
    mem_free(w->heap);
    mem_free(w->nodes);
    mem_free(w->claims);
    cluster_actions_done(&w->actions);
}

void cworld_name(int i, char name[CLUSTER_NAME + 1])
{
    /* Spread, so that the order of names is not that of numbers. */
    uint64_t s = (uint64_t)i + 1;
    snprintf(name, CLUSTER_NAME + 1, "%016" PRIx64 "%024d", prng_split(&s), i);
}

void cworld_form(struct cworld *w, int masters)
{
    for (int i = 0; i < w->n; i++) {
        struct buf *b = &w->nodes[i].disk;
        for (int k = 0; k < w->n; k++) {
            char name[CLUSTER_NAME + 1], master[CLUSTER_NAME + 1];
            cworld_name(k, name);
            cworld_name(k % masters, master);
            (void)buf_printf(b, "%s 127.0.0.1:%d@%d,,tls-port=0,shard-id=%s %s%s %s 0 0 %d connected", name, PORT + k,
                             PORT + k + 10000, master, k == i ? "myself," : "", k < masters ? "master" : "slave",
                             k < masters ? "-" : master, k % masters + 1);
            if (k < masters)
                (void)buf_printf(b, " %d-%d", CLUSTER_SLOTS * k / masters, CLUSTER_SLOTS * (k + 1) / masters - 1);
            (void)buf_append_char(b, '\n');
        }
        (void)buf_printf(b, "vars currentEpoch %d lastVoteEpoch 0\n", masters);
    }
    for (int i = 0; i < w->n; i++)
        cworld_start(w, i);
}

struct cluster_reply cworld_command(struct cworld *w, int i, struct cluster_command cmd)
{
    struct cluster_event ev = { .kind = CLUSTER_COMMAND, .command = cmd };
    cworld_step(w, i, &ev);
    return w->actions.reply;
}

void cworld_meet(struct cworld *w, int i, int other)
{
    struct cluster_reply r = cworld_command(
        w, i, (struct cluster_command){ .kind = CLUSTER_MEET, .ip = BYTES("127.0.0.1"), .port = PORT + other });
    ASSERT(!r.error);
}

/* ---- agreement ---- */

static int index_of(const struct cworld *w, const struct cluster *m, const struct cluster_node *n)
{
    struct cluster_node_view v;
    cluster_view(m, n, &v);
    for (int i = 0; i < w->n; i++)
        if (w->nodes[i].m && strcmp(cluster_myid(w->nodes[i].m), v.name) == 0)
            return i;
    return CWORLD_NOWHERE;
}

int cworld_owner(const struct cworld *w, int as_seen_by, unsigned slot)
{
    const struct cluster *m = w->nodes[as_seen_by].m;
    const struct cluster_node *n = m ? cluster_owner(m, slot) : NULL;
    return n ? index_of(w, m, n) : CWORLD_NOWHERE;
}

static const char *compare(struct cworld *w, int a, int b)
{
    const struct cluster *x = w->nodes[a].m, *y = w->nodes[b].m;
    struct cluster_range r = { 0, -1 }, q = { 0, -1 };
    const struct cluster_node *n, *o;
    struct cluster_node_view v, u;
    for (;;) {
        bool more = cluster_next_range(x, r.last + 1, &r, &n);
        if (more != cluster_next_range(y, q.last + 1, &q, &o))
            return "different slots are assigned";
        if (!more)
            return NULL;
        cluster_view(x, n, &v);
        cluster_view(y, o, &u);
        if (r.first != q.first || r.last != q.last || strcmp(v.name, u.name) != 0)
            return "owners differ";
    }
}

static const char *cworld_explain(struct cworld *w, int i, const char *what)
{
    struct buf b = BUF_INIT(1 << 20);
    cluster_write_info(w->nodes[i].m, &b);
    snprintf(w->why, sizeof w->why, "n%d: %s: %.200s", i, what, buf_cstr(&b));
    buf_done(&b);
    for (char *p = w->why; *p; p++)
        *p = *p == '\r' || *p == '\n' ? ' ' : *p;
    return w->why;
}

static const char *disagreement(struct cworld *w, bool well)
{
    int first = CWORLD_NOWHERE;
    uint64_t *epochs = mem_zalloc((size_t)w->n * sizeof *epochs);
    int n_epochs = 0;
    const char *what = NULL;
    for (int i = 0; i < w->n && !what; i++) {
        struct cworld_node *p = &w->nodes[i];
        if (!p->m)
            continue;
        if (well && !cluster_ok(p->m))
            what = cworld_explain(w, i, "its state is not ok");
        if (first == CWORLD_NOWHERE)
            first = i;
        else if (!what)
            what = compare(w, first, i);
        struct cluster_node_view v;
        cluster_view(p->m, cluster_myself(p->m), &v);
        if (!v.slots)
            continue;
        for (int k = 0; k < n_epochs && !what; k++)
            if (epochs[k] == v.config_epoch)
                what = "two masters have one epoch";
        epochs[n_epochs++] = v.config_epoch;
    }
    mem_free(epochs);
    return what;
}

const char *cworld_disagreement(struct cworld *w)
{
    const char *what = disagreement(w, true);
    return what ? what : "none";
}

bool cworld_converged(struct cworld *w)
{
    return !disagreement(w, true);
}

bool cworld_agree(struct cworld *w)
{
    return !disagreement(w, false);
}
