/* Connections of the bus: two between each pair of nodes. We send what we originate over the one that we opened ("to")
 * and answer PINGs on the one they came by ("from").
 *
 * What a peer says of itself counts only on "to" links: who opened a "from" link is known by its word alone, while
 * behind a "to" link sits who listens at the node's address. */
#include "cluster/machine.h"

#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"

static uint64_t hash_of(cluster_link_id id)
{
    return id * UINT64_C(0x9e3779b97f4a7c15) >> 20;
}

static bool has_id(const void *item, const void *id)
{
    return ((const struct cluster_link *)item)->id == *(const cluster_link_id *)id;
}

struct cluster_link *link_find(const struct cluster *c, cluster_link_id id)
{
    return map_find(&c->by_link, hash_of(id), has_id, &id);
}

static struct cluster_link *link_new(struct cluster *c, cluster_link_id id)
{
    if (c->n_links == c->cap_links) {
        c->cap_links = c->cap_links ? c->cap_links * 2 : 16;
        c->links = mem_realloc(c->links, c->cap_links * sizeof *c->links);
    }
    struct cluster_link *l = mem_zalloc(sizeof *l);
    l->id = id;
    l->index = c->n_links;
    l->created = c->now;
    l->created_wall = c->wall;
    c->links[c->n_links++] = l;
    map_put(&c->by_link, hash_of(id), l);
    return l;
}

void link_free(struct cluster *c, struct cluster_link *l)
{
    struct cluster_node *n = l->node;
    if (n && n->to == l) {
        n->to = NULL;
        n->n_probes = 0;
    } else if (n && n->from == l) {
        n->from = NULL;
    }
    map_remove(&c->by_link, hash_of(l->id), l);
    struct cluster_link *last = c->links[--c->n_links];
    last->index = l->index;
    c->links[l->index] = last;
    mem_free(l);
}

void link_close(struct cluster *c, struct cluster_link *l)
{
    act(c, CLUSTER_CLOSE)->close.id = l->id;
    link_free(c, l);
}

void link_bind(struct cluster *c, struct cluster_link *l, struct cluster_node *n)
{
    ASSERT(!l->to);
    if (l->node == n)
        return;
    if (l->node)
        l->node->from = NULL;
    if (n->from)
        n->from->node = NULL; /* the older one is left to end by itself */
    n->from = l;
    l->node = n;
}

void node_connect(struct cluster *c, struct cluster_node *n)
{
    ASSERT(!n->to);
    cluster_link_id id;
    do
        id = c->next_link++ & ~CLUSTER_LINK_ACCEPTED;
    while (id == 0 || link_find(c, id));
    struct cluster_link *l = link_new(c, id);
    l->to = true;
    l->node = n;
    n->to = l;
    n->n_probes = 0;
    n->connect_at = c->now + CRON_MS;
    /* A node that cannot be reached at all is as good as pinged: its silence is counted from here. */
    if (!n->ping_sent)
        n->ping_sent = c->now;
    struct cluster_action *a = act(c, CLUSTER_CONNECT);
    a->connect.id = id;
    a->connect.ip = arena_copy(&c->out->arena, bytes_of(n->ip, CLUSTER_IP)).p;
    a->connect.port = n->bus_port;
}

static void copy_ip(char dst[CLUSTER_IP], const char *ip)
{
    if (ip)
        snprintf(dst, CLUSTER_IP, "%s", ip);
}

void link_up(struct cluster *c, const struct cluster_event *ev)
{
    struct cluster_link *l = link_find(c, ev->link.id);
    if (ev->link.id & CLUSTER_LINK_ACCEPTED) {
        ASSERT(!l);
        l = link_new(c, ev->link.id);
    } else if (!l) {
        return; /* closed meanwhile */
    }
    l->up = true;
    copy_ip(l->local_ip, ev->link.local_ip);
    copy_ip(l->peer_ip, ev->link.peer_ip);
    if (!l->to)
        return;
    struct cluster_node *n = l->node;
    l->created = c->now;
    l->created_wall = c->wall;
    msec_t waiting_since = n->ping_sent;
    send_ping(c, n, node_is(n, CLUSTER_NODE_MEET) ? WIRE_MEET : WIRE_PING);
    n->flags &= (uint16_t)~CLUSTER_NODE_MEET;
    if (waiting_since)
        n->ping_sent = waiting_since; /* connecting is no answer */
}

/* Twice "nobody listens", some time apart, where somebody was until now: the process is dead. One refusal may be a
 * restart that is over in an instant. */
static void note_refusal(struct cluster *c, struct cluster_node *n)
{
    if (!n->dropped_at)
        return; /* never was there, as far as we know */
    if (!n->refused_at)
        n->refused_at = c->now;
    msec_t wait = max_ms(CRON_MS + CRON_MS / 2, c->config.node_timeout_ms / 20);
    if (c->now - n->refused_at >= wait)
        failure_suspect(c, n, "its process is gone: connection reset, then refused");
    else
        n->connect_at = min_ms(c->now + CRON_MS, n->refused_at + wait);
}

void link_down(struct cluster *c, const struct cluster_event *ev)
{
    struct cluster_link *l = link_find(c, ev->link.id);
    if (!l)
        return;
    struct cluster_node *n = l->node;
    bool was_up = l->up, to = l->to;
    if (ev->link.reason == CLUSTER_DOWN_LIMIT)
        c->limit_exceeded++;
    link_free(c, l);
    if (!n || !to)
        return;
    if (was_up && (ev->link.reason == CLUSTER_DOWN_RESET || ev->link.reason == CLUSTER_DOWN_EOF)) {
        n->dropped_at = c->now;
        n->refused_at = 0;
        node_connect(c, n); /* at once: is there still somebody? */
    } else if (ev->link.reason == CLUSTER_DOWN_REFUSED) {
        note_refusal(c, n);
    }
}

void link_send(struct cluster *c, struct cluster_link *l, struct bytes bytes, enum wire_type type)
{
    if (!l->up)
        return;
    struct cluster_action *a = act(c, CLUSTER_SEND);
    a->send.id = l->id;
    a->send.bytes = bytes;
    c->sent[type]++;
}

void node_send(struct cluster *c, struct cluster_node *n, struct bytes bytes, enum wire_type type)
{
    if (n->to)
        link_send(c, n->to, bytes, type);
}

/* Frames of those whom we know may be as large as a published message; of others as large as a MEET with gossip. */
int64_t cluster_frame_size(const struct cluster *c, cluster_link_id id, struct bytes b)
{
    if (b.n < 8)
        return b.n >= 4 && memcmp(b.p, "RCmb", 4) != 0 ? -1 : 0;
    const struct cluster_link *l = link_find(c, id);
    int64_t max = l && l->node && !node_is(l->node, CLUSTER_NODE_HANDSHAKE) ? INT64_C(1) << 30 : 1 << 20;
    const uint8_t *u = (const uint8_t *)b.p;
    int64_t n = (int64_t)u[4] << 24 | u[5] << 16 | u[6] << 8 | u[7];
    return memcmp(b.p, "RCmb", 4) != 0 || n < WIRE_HEADER || n > max ? -1 : n;
}
