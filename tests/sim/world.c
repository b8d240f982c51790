/* See world.h. One heap of things that are due: the head of each direction of a connection, and timers. Pieces of one
 * direction stay in order because only the first of them is in the heap. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/heap.h"
#include "common/list.h"

enum { HOSTS_MAX = 16, STEPS_AT_ONCE_MAX = 20000 };

enum piece_kind { PIECE_SYN, PIECE_UP, PIECE_BYTES, PIECE_END };

struct piece {
    struct list_node in_queue;
    enum piece_kind kind;
    msec_t at;
    size_t n;
    char data[];
};

enum due_kind { DUE_PIECE, DUE_TIMER };

struct due {
    struct heap_node in_heap;
    enum due_kind kind;
};

/* What one end sends to the other. */
struct direction {
    struct due due; /* first */
    struct list queue;
    size_t queued;
    msec_t free_at, last_at; /* the path is busy until then; the last piece arrives then */
};

struct connection {
    struct list_node in_list;
    uint64_t number;
    int host[2];
    bool open[2];           /* the end's owner still knows it */
    struct direction to[2]; /* to[i]: towards host[i] */
};

struct timer {
    struct due due; /* first */
    struct list_node in_list;
    int host;
    uint64_t tag;
};

struct host {
    const char *name;
    const struct host_ops *ops;
    void *self;
    bool up;
    msec_t stalled_until;
};

struct world {
    struct prng prng;
    msec_t now;
    struct heap due;
    struct host hosts[HOSTS_MAX];
    int hosts_n;
    struct path paths[HOSTS_MAX][HOSTS_MAX];
    struct list connections, timers;
    uint64_t connection_number;
    uint64_t steps_now, seed;
    void (*on_line)(void *, const char *);
    void *on_line_ctx;
};

bool world_tracing;

/* ---- small things ---- */

struct world *world_new(uint64_t seed)
{
    struct world *w = mem_zalloc(sizeof(*w));
    w->seed = seed;
    prng_init(&w->prng, seed);
    list_init(&w->connections);
    list_init(&w->timers);
    for (int a = 0; a < HOSTS_MAX; a++)
        for (int b = 0; b < HOSTS_MAX; b++)
            w->paths[a][b] = (struct path){ 1, 3, 0, false };
    return w;
}

msec_t world_now(const struct world *w)
{
    return w->now;
}

struct prng *world_prng(struct world *w)
{
    return &w->prng;
}

bool world_chance(struct world *w, unsigned percent)
{
    return prng_below(&w->prng, 100) < percent;
}

uint64_t world_between(struct world *w, uint64_t min, uint64_t max)
{
    ASSERT(min <= max);
    return min + prng_below(&w->prng, max - min + 1);
}

const char *world_name(const struct world *w, int host)
{
    return w->hosts[host].name;
}

int world_find(const struct world *w, struct bytes name)
{
    for (int i = 0; i < w->hosts_n; i++)
        if (bytes_is(name, w->hosts[i].name))
            return i;
    return -1;
}

bool world_is_up(const struct world *w, int host)
{
    return w->hosts[host].up;
}

struct path *world_path(struct world *w, int from, int to)
{
    return &w->paths[from][to];
}

void world_on_trace(struct world *w, void (*line)(void *, const char *), void *ctx)
{
    w->on_line = line;
    w->on_line_ctx = ctx;
}

void world_trace(struct world *w, int host, const char *format, ...)
{
    if (!world_tracing && !w->on_line)
        return;
    char text[1024], line[1200];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    snprintf(line, sizeof(line), "%7lld %-4s %s", (long long)w->now, host < 0 ? "-" : w->hosts[host].name, text);
    if (world_tracing)
        puts(line);
    if (w->on_line)
        w->on_line(w->on_line_ctx, line);
}

_Noreturn void world_fail(struct world *w, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    printf("FAILED at %lld ms, seed %llu: ", (long long)w->now, (unsigned long long)w->seed);
    vprintf(format, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
    exit(1);
}

/* ---- connections ---- */

static struct connection *connection_of(const struct world *w, uint64_t end)
{
    LIST_EACH(&w->connections, n)
    {
        struct connection *c = LIST_ITEM(n, struct connection, in_list);
        if (c->number == end / 2)
            return c;
    }
    return NULL;
}

static uint64_t end_of(const struct connection *c, int side)
{
    return c->number * 2 + (uint64_t)side;
}

static void arm(struct world *w, struct direction *d)
{
    struct list_node *n = list_first(&d->queue);
    if (!n)
        heap_remove(&w->due, &d->due.in_heap);
    else
        heap_set(&w->due, &d->due.in_heap, LIST_ITEM(n, struct piece, in_queue)->at);
}

static void drain(struct world *w, struct direction *d)
{
    struct list_node *n;
    while ((n = list_pop_front(&d->queue)))
        mem_free(LIST_ITEM(n, struct piece, in_queue));
    d->queued = 0;
    arm(w, d);
}

/* Sends towards c->host[side]. */
static void put(struct world *w, struct connection *c, int side, enum piece_kind kind, struct bytes b)
{
    struct direction *d = &c->to[side];
    const struct path *p = &w->paths[c->host[!side]][c->host[side]];
    struct piece *piece = mem_alloc(sizeof(*piece) + b.n);
    msec_t begin = w->now > d->free_at ? w->now : d->free_at;
    d->free_at = begin + (p->bytes_per_s ? (msec_t)(b.n * 1000 / p->bytes_per_s) : 0);
    msec_t at = d->free_at + (msec_t)world_between(w, (uint64_t)p->delay_min, (uint64_t)p->delay_max);
    d->last_at = at > d->last_at ? at : d->last_at;
    *piece = (struct piece){ .kind = kind, .at = d->last_at, .n = b.n };
    if (b.n)
        memcpy(piece->data, b.p, b.n);
    list_push_back(&d->queue, &piece->in_queue);
    d->queued += b.n;
    arm(w, d);
}

uint64_t world_connect(struct world *w, int from, int to)
{
    struct connection *c = mem_zalloc(sizeof(*c));
    c->number = ++w->connection_number;
    c->host[0] = from;
    c->host[1] = to;
    c->open[0] = true;
    for (int i = 0; i < 2; i++) {
        list_init(&c->to[i].queue);
        c->to[i].due.kind = DUE_PIECE;
    }
    list_push_back(&w->connections, &c->in_list);
    put(w, c, 1, PIECE_SYN, BYTES(""));
    return end_of(c, 0);
}

/* A connection that nobody knows any more, with nothing under way. */
static void reap(struct world *w, struct connection *c)
{
    if (c->open[0] || c->open[1] || !list_empty(&c->to[0].queue) || !list_empty(&c->to[1].queue))
        return;
    list_remove(&c->in_list);
    mem_free(c);
}

void world_send(struct world *w, uint64_t end, struct bytes b)
{
    struct connection *c = connection_of(w, end);
    if (c && c->open[end & 1] && b.n)
        put(w, c, !(end & 1), PIECE_BYTES, b);
}

size_t world_queued(const struct world *w, uint64_t end)
{
    const struct connection *c = connection_of(w, end);
    return c ? c->to[!(end & 1)].queued : 0;
}

static void close_end(struct world *w, uint64_t end, bool drop)
{
    struct connection *c = connection_of(w, end);
    if (!c || !c->open[end & 1])
        return;
    int side = end & 1;
    c->open[side] = false;
    drain(w, &c->to[side]);
    if (drop)
        drain(w, &c->to[!side]);
    if (c->open[!side])
        put(w, c, !side, PIECE_END, BYTES(""));
    reap(w, c);
}

void world_close(struct world *w, uint64_t end)
{
    close_end(w, end, world_chance(w, 50));
}

void world_close_sent(struct world *w, uint64_t end)
{
    close_end(w, end, false);
}

void world_reset(struct world *w, int a, int b)
{
    LIST_EACH(&w->connections, n)
    {
        struct connection *c = LIST_ITEM(n, struct connection, in_list);
        bool ours = (c->host[0] == a && c->host[1] == b) || (c->host[0] == b && c->host[1] == a);
        for (int i = 0; i < 2 && ours; i++) {
            drain(w, &c->to[i]);
            if (c->open[i])
                put(w, c, i, PIECE_END, BYTES(""));
        }
    }
}

/* ---- hosts ---- */

int world_host(struct world *w, const char *name, const struct host_ops *ops, void *self)
{
    ASSERT(w->hosts_n < HOSTS_MAX);
    w->hosts[w->hosts_n] = (struct host){ .name = name, .ops = ops, .self = self };
    return w->hosts_n++;
}

void world_boot(struct world *w, int host)
{
    struct host *h = &w->hosts[host];
    ASSERT(!h->up);
    h->up = true;
    h->stalled_until = 0;
    world_trace(w, host, "boots");
    h->ops->booted(h->self);
}

void world_crash(struct world *w, int host, bool silent)
{
    struct host *h = &w->hosts[host];
    if (!h->up)
        return;
    world_trace(w, host, "crashes%s", silent ? ", silently" : "");
    h->up = false;
    h->ops->crashed(h->self);
    LIST_EACH_SAFE(&w->connections, n)
    {
        struct connection *c = LIST_ITEM(n, struct connection, in_list);
        for (int i = 0; i < 2; i++) {
            if (c->host[i] != host || !c->open[i])
                continue;
            c->open[i] = false;
            drain(w, &c->to[i]);
            if (!silent && c->open[!i])
                put(w, c, !i, PIECE_END, BYTES(""));
        }
        reap(w, c);
    }
    LIST_EACH_SAFE(&w->timers, n)
    {
        struct timer *t = LIST_ITEM(n, struct timer, in_list);
        if (t->host != host)
            continue;
        heap_remove(&w->due, &t->due.in_heap);
        list_remove(&t->in_list);
        mem_free(t);
    }
}

void world_stall(struct world *w, int host, msec_t ms)
{
    world_trace(w, host, "stands still for %lld ms", (long long)ms);
    w->hosts[host].stalled_until = w->now + ms;
}

void world_timer(struct world *w, int host, msec_t at, uint64_t tag)
{
    ASSERT(w->hosts[host].up);
    struct timer *t = mem_zalloc(sizeof(*t));
    t->due.kind = DUE_TIMER;
    t->host = host;
    t->tag = tag;
    list_push_back(&w->timers, &t->in_list);
    heap_set(&w->due, &t->due.in_heap, at > w->now ? at : w->now);
}

void world_free(struct world *w)
{
    for (int i = 0; i < w->hosts_n; i++)
        if (w->hosts[i].up)
            world_crash(w, i, true);
    LIST_EACH_SAFE(&w->connections, n)
    {
        struct connection *c = LIST_ITEM(n, struct connection, in_list);
        drain(w, &c->to[0]);
        drain(w, &c->to[1]);
        mem_free(c);
    }
    heap_done(&w->due);
    mem_free(w);
}

/* ---- running ---- */

/* Nobody is there any more: the sender learns it, when there is somebody to tell him. */
static void arrive_nowhere(struct world *w, struct connection *c, int side)
{
    drain(w, &c->to[side]);
    if (c->open[!side] && w->hosts[c->host[side]].up)
        put(w, c, !side, PIECE_END, BYTES(""));
}

static void give_bytes(struct world *w, struct host *h, uint64_t end, const struct piece *p)
{
    size_t done = 0;
    while (done < p->n) {
        size_t n = p->n - done;
        if (n > 1 && world_chance(w, 20))
            n = world_between(w, 1, n);
        struct connection *c = connection_of(w, end);
        if (!c || !c->open[end & 1] || !h->up)
            return; /* it closed, or crashed, over the first half */
        h->ops->bytes(h->self, end, bytes_of(p->data + done, n));
        done += n;
    }
}

static void arrive(struct world *w, struct connection *c, int side, const struct piece *p)
{
    struct host *h = &w->hosts[c->host[side]];
    uint64_t end = end_of(c, side);
    if (p->kind == PIECE_SYN) {
        if (!h->up) {
            put(w, c, !side, PIECE_END, BYTES(""));
            return;
        }
        c->open[side] = true;
        put(w, c, !side, PIECE_UP, BYTES(""));
        h->ops->accepted(h->self, end, c->host[!side]);
    } else if (!c->open[side]) {
        arrive_nowhere(w, c, side);
    } else if (p->kind == PIECE_UP) {
        h->ops->up(h->self, end);
    } else if (p->kind == PIECE_BYTES) {
        give_bytes(w, h, end, p);
    } else {
        c->open[side] = false;
        drain(w, &c->to[!side]);
        if (c->open[!side]) /* a reset: the other learns it, too */
            put(w, c, !side, PIECE_END, BYTES(""));
        h->ops->down(h->self, end);
    }
}

static void tell_sent(struct world *w, uint64_t end)
{
    struct connection *c = connection_of(w, end);
    if (!c || !c->open[end & 1])
        return;
    struct host *h = &w->hosts[c->host[end & 1]];
    if (h->up && h->stalled_until <= w->now)
        h->ops->sent(h->self, end, world_queued(w, end));
}

static void piece_due(struct world *w, struct direction *d)
{
    struct connection *c = NULL;
    int side = 0;
    LIST_EACH(&w->connections, n)
    {
        struct connection *x = LIST_ITEM(n, struct connection, in_list);
        if (d == &x->to[0] || d == &x->to[1]) {
            c = x;
            side = d == &x->to[1];
        }
    }
    ASSERT(c);
    const struct host *to = &w->hosts[c->host[side]];
    if (w->paths[c->host[!side]][c->host[side]].cut || to->stalled_until > w->now) {
        msec_t again = w->now + 20;
        heap_set(&w->due, &d->due.in_heap, to->stalled_until > again ? to->stalled_until : again);
        return;
    }
    struct piece *p = LIST_ITEM(list_pop_front(&d->queue), struct piece, in_queue);
    d->queued -= p->n;
    arm(w, d);
    uint64_t sender = end_of(c, !side);
    arrive(w, c, side, p);
    if (p->kind == PIECE_BYTES)
        tell_sent(w, sender);
    mem_free(p);
    c = connection_of(w, sender);
    if (c)
        reap(w, c);
}

static void timer_due(struct world *w, struct timer *t)
{
    struct host *h = &w->hosts[t->host];
    if (h->stalled_until > w->now) {
        heap_set(&w->due, &t->due.in_heap, h->stalled_until);
        return;
    }
    uint64_t tag = t->tag;
    heap_remove(&w->due, &t->due.in_heap);
    list_remove(&t->in_list);
    mem_free(t);
    h->ops->timer(h->self, tag);
}

void world_run(struct world *w, msec_t until)
{
    while (heap_top_key(&w->due) <= until) {
        msec_t at = heap_top_key(&w->due);
        w->steps_now = at > w->now ? 0 : w->steps_now + 1;
        if (w->steps_now > STEPS_AT_ONCE_MAX)
            world_fail(w, "time stands still: %d steps at once", STEPS_AT_ONCE_MAX);
        w->now = at > w->now ? at : w->now;
        struct due *due = HEAP_ITEM(heap_top(&w->due), struct due, in_heap);
        if (due->kind == DUE_TIMER)
            timer_due(w, (struct timer *)due);
        else
            piece_due(w, (struct direction *)due);
    }
    w->now = until;
}
