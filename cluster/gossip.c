/* Making frames, and what they tell of others.
 *
 * A PING or PONG carries some nodes, chosen by chance, and everybody whom we suspect. Redis PINGs a node when
 * nothing was heard of it for half the node timeout, also through others. In a small cluster bytes are no matter:
 * there we ask everybody ourselves several times per timeout, which finds silence sooner and proves that a majority is
 * there. */
#include "cluster/machine.h"

#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"

/* How often each node is PINGed. */
msec_t ping_interval(const struct cluster *c)
{
    msec_t half = max_ms(c->config.node_timeout_ms / 2, 1);
    if (c->n_nodes > SMALL_CLUSTER)
        return half;
    msec_t often = max_ms(min_ms(c->config.node_timeout_ms / 10, 1000), CRON_MS);
    return min_ms(c->n_nodes > 12 ? often * (msec_t)c->n_nodes / 12 : often, half);
}

bool ping_due(const struct cluster *c, const struct cluster_node *n)
{
    msec_t heard = c->n_nodes > SMALL_CLUSTER ? n->pong_received : n->answered_at;
    return c->now - heard + CRON_MS / 2 >= ping_interval(c);
}

/* ---- making frames ---- */

static void header_refresh(struct cluster *c, struct cluster_node *of)
{
    if (c->header_of == of && c->header_version == c->slots_version)
        return;
    slots_bitmap(c, of, c->header_slots);
    c->header_of = of;
    c->header_version = c->slots_version;
}

struct frame frame_begin(struct cluster *c, enum wire_type type)
{
    struct cluster_node *of = c->me->master ? c->me->master : c->me;
    header_refresh(c, of);
    bool tls = c->config.tls_cluster;
    struct frame f = {
        .type = (uint16_t)type,
        .port = tls ? c->config.tls_port : c->config.port,
        .other_port = tls ? c->config.port : c->config.tls_port,
        .bus_port = c->config.bus_port,
        .flags = (uint16_t)(c->me->flags | CLUSTER_NODE_EXTENSIONS),
        .state = !c->ok,
        .current_epoch = c->current_epoch,
        .config_epoch = of->config_epoch,
        .offset = (uint64_t)c->repl.offset,
        .sender = c->me->name,
        .slots = c->header_slots,
        .master = c->me->master ? c->me->master->name : NULL,
    };
    memcpy(f.ip, c->announce_ip, CLUSTER_IP);
    if (node_is(c->me, CLUSTER_NODE_MASTER) && c->manual.end && c->manual.replica)
        f.mflags[0] |= WIRE_PAUSED;
    return f;
}

struct bytes frame_end(struct cluster *c, const struct frame *f)
{
    size_t n = wire_size(f);
    char *p = arena_alloc(&c->out->arena, n);
    wire_encode(f, p);
    return bytes_of(p, n);
}

static uint32_t wall_seconds(const struct cluster *c, msec_t t)
{
    return t ? (uint32_t)((c->wall - (c->now - t)) / 1000) : 0;
}

static void gossip_add(struct cluster *c, struct frame *f, char *room, struct cluster_node *n)
{
    bool tls = c->config.tls_cluster;
    struct gossip_entry e = {
        .name = n->name,
        .ping_sent_s = wall_seconds(c, n->ping_sent),
        .pong_received_s = wall_seconds(c, n->pong_received),
        .port = tls ? n->tls_port : n->port,
        .other_port = tls ? n->port : n->tls_port,
        .bus_port = n->bus_port,
        .flags = n->flags,
    };
    memcpy(e.ip, n->ip, CLUSTER_IP);
    wire_gossip_put(room + (size_t)f->count * WIRE_GOSSIP, &e);
    f->count++;
}

static bool worth_telling(const struct cluster *c, const struct cluster_node *n, const struct cluster_node *to)
{
    return n != c->me && n != to && n->picked != c->frames && !n->hearsay &&
           !node_is(n, CLUSTER_NODE_PFAIL | CLUSTER_NODE_HANDSHAKE | CLUSTER_NODE_NOADDR) &&
           (n->n_slots || (n->to && n->to->up));
}

/* Adds `wanted` nodes by chance, and all suspects. */
static void add_gossip(struct cluster *c, struct frame *f, struct cluster_node *to, size_t wanted)
{
    size_t suspects = 0, most = UINT16_MAX - wanted;
    LIST_EACH(&c->suspects, s)
        suspects++;
    suspects = suspects < most ? suspects : most;
    char *room = arena_alloc(&c->out->arena, (wanted + suspects + 1) * WIRE_GOSSIP);
    c->frames++;
    for (size_t tries = wanted * 3; tries > 0 && f->count < wanted; tries--) {
        struct cluster_node *n = c->nodes[prng_below(&c->rng, c->n_nodes)];
        if (!worth_telling(c, n, to))
            continue;
        n->picked = c->frames;
        gossip_add(c, f, room, n);
    }
    LIST_EACH(&c->suspects, s) {
        struct cluster_node *n = LIST_ITEM(s, struct cluster_node, in_suspects);
        if (!suspects--)
            break;
        if (n != to && !node_is(n, CLUSTER_NODE_HANDSHAKE | CLUSTER_NODE_NOADDR))
            gossip_add(c, f, room, n);
    }
    f->gossip = bytes_of(room, (size_t)f->count * WIRE_GOSSIP);
}

/* Redis takes a tenth of the nodes, which makes frames of 13 kB among a thousand. Ten are enough to spread news (each
 * node hears some thousand entries a second then), and a frame costs a quarter. */
static size_t gossip_wanted(const struct cluster *c)
{
    enum { LEAST = 3, MOST = 10 };
    size_t tenth = c->n_nodes / 10, others = c->n_nodes > 2 ? c->n_nodes - 2 : 0;
    size_t wanted = tenth < LEAST ? LEAST : tenth > MOST ? MOST : tenth;
    return wanted < others ? wanted : others;
}

static size_t put_extensions(struct cluster *c, char *p, uint16_t *ret_count)
{
    size_t n = 0;
    uint16_t count = 0;
    const char *texts[] = { c->hostname, c->human };
    for (uint16_t type = WIRE_EXT_HOSTNAME; type <= WIRE_EXT_NODENAME; type++)
        if (texts[type][0]) {
            struct wire_ext x = { .type = type, .text = bytes_of_str(texts[type]) };
            n += wire_ext_put(p ? p + n : NULL, &x);
            count++;
        }
    for (size_t i = 0; i < c->n_forgotten && count < 1024; i++) {
        msec_t left = c->forgotten[i].until - c->now;
        if (left < 1000)
            continue;
        struct wire_ext x = { .type = WIRE_EXT_FORGOTTEN, .name = c->forgotten[i].name };
        x.ttl_s = (uint64_t)left / 1000;
        n += wire_ext_put(p ? p + n : NULL, &x);
        count++;
    }
    struct wire_ext shard = { .type = WIRE_EXT_SHARD, .text = bytes_of(c->me->shard, CLUSTER_NAME) };
    n += wire_ext_put(p ? p + n : NULL, &shard);
    *ret_count = (uint16_t)(count + 1);
    return n;
}

/* Only to those who know what it is: servers before 7.0 drop frames that have more than they understand. */
static void add_extensions(struct cluster *c, struct frame *f)
{
    size_t n = put_extensions(c, NULL, &f->extensions);
    char *p = arena_alloc(&c->out->arena, n);
    put_extensions(c, p, &f->extensions);
    f->ext = bytes_of(p, n);
    f->mflags[0] |= WIRE_EXT_DATA;
}

static struct bytes ping_frame(struct cluster *c, struct cluster_node *to, enum wire_type type, size_t wanted)
{
    struct frame f = frame_begin(c, type);
    add_gossip(c, &f, to, wanted);
    if (to && to->extensions)
        add_extensions(c, &f);
    return frame_end(c, &f);
}

/* ---- sending ---- */

static void note_ping(struct cluster *c, struct cluster_node *n)
{
    ASSERT(n->n_probes < PROBES);
    n->probes[n->n_probes++] = (struct probe){ c->now, c->repl.offset };
    if (!n->ping_sent)
        n->ping_sent = c->now;
}

static void ping_with(struct cluster *c, struct cluster_node *n, enum wire_type type, size_t wanted)
{
    if (!n->to || !n->to->up || n->n_probes == PROBES)
        return;
    note_ping(c, n);
    node_send(c, n, ping_frame(c, n, type, wanted), type);
}

void send_ping(struct cluster *c, struct cluster_node *n, enum wire_type type)
{
    ping_with(c, n, type, gossip_wanted(c));
}

void send_report(struct cluster *c, struct cluster_node *n)
{
    ping_with(c, n, WIRE_PING, 0);
}

void send_pong(struct cluster *c, struct cluster_link *l)
{
    link_send(c, l, ping_frame(c, l->node, WIRE_PONG, gossip_wanted(c)), WIRE_PONG);
}

/* What it claimed elsewhere it shall repeat where we know who speaks. Not more often than every 10 ms. */
void probe(struct cluster *c, struct cluster_node *n)
{
    if (n->n_probes == 0 || (n->n_probes < PROBES && c->now - n->probes[n->n_probes - 1].at >= 10))
        ping_with(c, n, WIRE_PING, 0);
    else
        n->probe_again = true;
}

void broadcast(struct cluster *c, struct bytes bytes, enum wire_type type)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        if (!node_is(c->nodes[i], CLUSTER_NODE_MYSELF | CLUSTER_NODE_HANDSHAKE))
            node_send(c, c->nodes[i], bytes, type);
}

/* News of ourselves, without gossip: one frame for all who know extensions, one for the others. */
void broadcast_pong(struct cluster *c, struct cluster_node *siblings_of)
{
    struct bytes plain = { 0 }, extended = { 0 };
    for (size_t i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = c->nodes[i];
        if (node_is(n, CLUSTER_NODE_MYSELF | CLUSTER_NODE_HANDSHAKE) || !n->to || !n->to->up)
            continue;
        if (siblings_of && n->master != siblings_of)
            continue;
        struct bytes *b = n->extensions ? &extended : &plain;
        if (!b->n)
            *b = ping_frame(c, n, WIRE_PONG, 0);
        node_send(c, n, *b, WIRE_PONG);
    }
}

/* ---- reading ---- */

static void take_news(struct cluster *c, struct cluster_node *n, const struct gossip_entry *e)
{
    bool failing = node_is(n, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL);
    if (e->flags & (CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL | CLUSTER_NODE_NOADDR))
        return;
    if (!failing && !n->ping_sent && !n->n_reports) {
        msec_t at = (msec_t)e->pong_received_s * 1000 - c->wall + c->now;
        if (at > n->pong_received && at <= c->now + 500)
            n->pong_received = min_ms(at, c->now);
    }
    /* It does not answer us, but does answer the sender, and at another address: it has moved. */
    uint16_t port = c->config.tls_cluster ? e->other_port : e->port;
    if (failing && e->ip[0] && e->bus_port &&
        (strcmp(e->ip, n->ip) != 0 || e->bus_port != n->bus_port || port != n->port)) {
        if (n->to)
            link_close(c, n->to);
        memcpy(n->ip, e->ip, CLUSTER_IP);
        n->port = port;
        n->tls_port = c->config.tls_cluster ? e->port : e->other_port;
        n->bus_port = e->bus_port;
        n->flags &= (uint16_t)~CLUSTER_NODE_NOADDR;
        n->connect_at = c->now;
        save_later(c);
    }
}

static void meet_by_hearsay(struct cluster *c, const struct gossip_entry *e)
{
    if (e->flags & (CLUSTER_NODE_NOADDR | CLUSTER_NODE_HANDSHAKE) || !e->ip[0] || !e->bus_port ||
        c->n_hearsay >= HEARSAY_MAX || c->n_nodes >= NODES_MAX || nodes_blacklisted(c, e->name))
        return;
    struct cluster_node *n =
        node_add(c, e->name, e->flags & CLUSTER_NODE_REPLICA ? CLUSTER_NODE_REPLICA : CLUSTER_NODE_MASTER);
    n->hearsay = true;
    c->n_hearsay++;
    memcpy(n->ip, e->ip, CLUSTER_IP);
    n->port = c->config.tls_cluster ? e->other_port : e->port;
    n->tls_port = c->config.tls_cluster ? e->port : e->other_port;
    n->bus_port = e->bus_port;
    n->pong_received = n->answered_at = c->now;
    save_later(c);
    c->todo_state = true;
}

/* Reports of failure are taken from wherever a known master is heard, since it takes a majority of them; nodes and
 * addresses only from what is proved. */
void gossip_take(struct cluster *c, struct cluster_node *sender, const struct frame *f, bool proved)
{
    for (size_t i = 0; i < f->count; i++) {
        struct gossip_entry e;
        wire_gossip_get(f->gossip, i, &e);
        struct cluster_node *n = node_find(c, e.name);
        if (n == c->me)
            continue;
        if (!n) {
            if (proved)
                meet_by_hearsay(c, &e);
            continue;
        }
        if (node_is(sender, CLUSTER_NODE_MASTER) && n != sender)
            failure_report(c, n, sender, e.flags & (CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL));
        if (proved)
            take_news(c, n, &e);
    }
}
