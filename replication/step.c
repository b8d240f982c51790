/* The way into the machine, and the few verbs with which its files speak to the outside: actions, texts. */
#include "replication/inner.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/num.h"

/* ---- actions ---- */

struct repl_action *repl_act(struct repl *r, enum repl_action_kind kind)
{
    struct repl_actions *out = r->out;
    ASSERT(out);
    if (out->n == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 32;
        out->v = mem_realloc(out->v, out->cap * sizeof(*out->v));
    }
    struct repl_action *a = &out->v[out->n++];
    *a = (struct repl_action){ .kind = kind };
    return a;
}

struct repl_action *act_peer(struct repl *r, enum repl_action_kind kind, uint64_t peer)
{
    struct repl_action *a = repl_act(r, kind);
    a->peer = peer;
    return a;
}

void repl_actions_done(struct repl_actions *out)
{
    mem_free(out->v);
    *out = (struct repl_actions){ 0 };
}

static struct bytes format_in(struct repl *r, const char *format, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    ASSERT(n >= 0);
    char *p = arena_alloc(&r->arena, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    return bytes_of(p, (size_t)n);
}

void repl_trace(struct repl *r, enum repl_level level, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    struct repl_action *a = repl_act(r, REPL_TRACE);
    a->text = format_in(r, format, ap);
    a->level = level;
    va_end(ap);
}

void send_bytes(struct repl *r, uint64_t peer, struct bytes b)
{
    act_peer(r, REPL_SEND, peer)->bytes = b;
    r->stats.output += peer & REPL_LINK ? 0 : b.n;
}

void send_text(struct repl *r, uint64_t peer, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    send_bytes(r, peer, format_in(r, format, ap));
    va_end(ap);
}

struct bytes encode(struct repl *r, int argc, const struct bytes *argv)
{
    size_t max = 1 + NUM_I64_MAX + 2;
    for (int i = 0; i < argc; i++)
        max += argv[i].n + 1 + NUM_I64_MAX + 4;
    char *p = arena_alloc(&r->arena, max), *q = p;
    *q++ = '*';
    q += num_format_i64(q, argc);
    *q++ = '\r';
    *q++ = '\n';
    for (int i = 0; i < argc; i++) {
        *q++ = '$';
        q += num_format_u64(q, argv[i].n);
        *q++ = '\r';
        *q++ = '\n';
        memcpy(q, argv[i].p, argv[i].n);
        q += argv[i].n;
        *q++ = '\r';
        *q++ = '\n';
    }
    return bytes_of(p, (size_t)(q - p));
}

struct bytes shown(struct repl *r, struct bytes b)
{
    size_t n = b.n < 200 ? b.n : 200;
    char *p = arena_alloc(&r->arena, n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = b.p[i] >= ' ' && b.p[i] < 127 ? b.p[i] : '?';
    p[n] = 0;
    return bytes_of(p, n);
}

/* ---- configuration ---- */

static char *copy_of(const char *s)
{
    return s ? mem_strdup(s) : NULL;
}

static void config_done(struct repl_config *c)
{
    mem_free((char *)c->master_user);
    mem_free((char *)c->master_auth);
    mem_free((char *)c->announce_ip);
}

static void config_set(struct repl *r, const struct repl_config *c)
{
    struct repl_config old = r->config;
    r->config = *c;
    r->config.master_user = copy_of(c->master_user);
    r->config.master_auth = copy_of(c->master_auth);
    r->config.announce_ip = copy_of(c->announce_ip);
    config_done(&old);
}

/* ---- birth and death ---- */

struct repl *repl_new(const struct repl_config *c, const unsigned char seed[REPL_SEED_BYTES])
{
    struct repl *r = mem_zalloc(sizeof(*r));
    uint64_t small;
    memcpy(r->ids.seed, seed, REPL_SEED_BYTES);
    memcpy(&small, seed, sizeof(small));
    prng_init(&r->prng, small);
    config_set(r, c);
    ids_next(&r->ids, &r->id);
    memcpy(r->id2.hex, IDS_ZERO, REPL_ID_LEN + 1);
    r->second_offset = -1;
    backlog_init(&r->backlog, 0, r->config.backlog_size);
    list_init(&r->replicas);
    list_init(&r->known);
    list_init(&r->snapshots);
    for (int i = 0; i < BUCKETS; i++)
        list_init(&r->buckets[i]);
    ring_init(&r->spill.pieces, sizeof(struct spill_piece), (size_t)1 << 32);
    ring_init(&r->leaving, sizeof(struct blob *), (size_t)1 << 32);
    wait_init(&r->waits);
    buf_init(&r->link.pending, PENDING_MAX);
    buf_init(&r->link.played, PENDING_MAX);
    r->link.down_since = r->link.fresh_at = r->link.applied_at = r->link.busy_since = -1;
    r->lag.mark_due = REPL_NEVER;
    return r;
}

/* What the actions of the last step named beside their arena. */
static void forget_last(struct repl *r)
{
    arena_reset(&r->arena);
    buf_done(&r->link.played);
    for (; ring_count(&r->leaving); ring_pop(&r->leaving))
        blob_unref(*(struct blob **)ring_front(&r->leaving));
}

void repl_free(struct repl *r)
{
    if (!r)
        return;
    forget_last(r);
    ring_done(&r->leaving);
    master_done(r);
    wait_done(r);
    backlog_done(&r->backlog);
    ring_done(&r->spill.pieces);
    buf_done(&r->link.pending);
    buf_done(&r->link.played);
    mem_free(r->lag.points);
    config_done(&r->config);
    arena_done(&r->arena);
    mem_free(r);
}

/* ---- events ---- */

static void on_command(struct repl *r, const struct repl_event *e)
{
    const struct repl_command *c = &e->command;
    ASSERT(c->argc > 0);
    if (c->in_link) {
        if (e->peer == r->link.peer)
            link_command(r, c);
    } else if (bytes_is(c->argv[0], "replicaof") || bytes_is(c->argv[0], "slaveof")) {
        follow_command(r, e->peer, c);
    } else if (bytes_is(c->argv[0], "failover")) {
        failover_command(r, e->peer, c);
    } else {
        master_command(r, e);
    }
}

static void on_peer(struct repl *r, const struct repl_event *e)
{
    if (!(e->peer & REPL_LINK)) {
        struct replica *p = replica_find(r, e->peer);
        if (e->kind == REPL_PEER_DOWN && p) {
            if (p->state != KNOWN)
                repl_trace(r, REPL_NOTICE, "Connection with replica %s lost.", p->name);
            replica_drop(r, p, false);
        }
        return;
    }
    if (e->peer != r->link.peer)
        return; /* an older link */
    if (e->kind == REPL_PEER_UP)
        repl_link_is_up(r);
    else if (e->kind == REPL_PEER_DOWN)
        repl_link_is_down(r, e->text);
    else
        link_bytes(r, e->bytes);
}

static void on_tick(struct repl *r)
{
    link_tick(r);
    master_tick(r);
    failover_tick(r);
    wait_tick(r);
    history_tick(r);
    lag_tick(r);
}

static void on_event(struct repl *r, const struct repl_event *e)
{
    switch (e->kind) {
    case REPL_TICK: on_tick(r); break;
    case REPL_CONFIGURED: config_set(r, e->config); break;
    case REPL_STARTED: follow_started(r, e); break;
    case REPL_FOLLOW: follow(r, e->follow.host, e->follow.port); break;
    case REPL_COMMAND: on_command(r, e); break;
    case REPL_PEER_UP:
    case REPL_PEER_DOWN:
    case REPL_PEER_BYTES: on_peer(r, e); break;
    case REPL_PEER_ALIVE: master_alive(r, e->peer); break;
    case REPL_PEER_SENT: master_sent(r, e); break;
    case REPL_APPENDED: break; /* settle() sends */
    case REPL_SNAPSHOT_READY: snapshot_ready(r, e->snapshot, e->n); break;
    case REPL_SNAPSHOT_FAILED: snapshot_failed(r, e->snapshot, e->text); break;
    case REPL_SNAPSHOT_SENT: snapshot_sent(r, e->peer); break;
    case REPL_LOADED: transfer_loaded(r); break;
    case REPL_LOAD_FAILED: transfer_failed(r, e->text); break;
    case REPL_APPLIED: link_applied(r, e->offset); break;
    case REPL_APPLY_FAILED: link_apply_failed(r, e->text); break;
    case REPL_WAIT: wait_add(r, &e->wait); break;
    case REPL_UNWAIT: wait_remove(r, e->wait.id); break;
    case REPL_ASK_ACKS: r->getack_wanted = r->env.now - r->getack_at >= ACKS_ASKED_MS; break;
    case REPL_FSYNCED: r->link.fsynced = e->offset; break;
    case REPL_SPILL_READ_DONE: feed_spill_read(r, e->offset, e->blob); break;
    case REPL_SPILL_FAILED: feed_spill_failed(r, e->text); break;
    }
}

/* What follows from any event: bytes that were appended or applied go on to the replicas, an image may begin. */
static void settle(struct repl *r)
{
    history_getack(r);
    lag_produced(r);
    feed(r);
    snapshot_tick(r);
    history_stream(r);
}

void repl_step(struct repl *r, const struct repl_event *e, struct repl_actions *out)
{
    ASSERT(!r->out);
    ASSERT(e->env.now >= r->env.now);
    out->n = 0;
    r->out = out;
    r->env = e->env;
    forget_last(r);
    on_event(r, e);
    settle(r);
    r->out = NULL;
}

msec_t repl_deadline(const struct repl *r)
{
    msec_t t = heap_top_key(&r->waits.deadlines);
    t = sooner(t, link_deadline(r));
    t = sooner(t, master_deadline(r));
    t = sooner(t, snapshot_deadline(r));
    t = sooner(t, feed_deadline(r));
    t = sooner(t, failover_deadline(r));
    t = sooner(t, history_deadline(r));
    return sooner(t, lag_deadline(r));
}
