/* Frames, by kind. What anybody may change with them:
 *
 *   an unknown sender     nothing, but for MEET, which begins a handshake (few at a time)
 *   a known name on a     failure reports (a majority of them counts), published messages, its offset, a request for a
 *   link that we accepted vote (granted only after proof); all else that it claims makes us PING it
 *   the answer on a link  everything: there sits who listens at the node's address
 *   that we opened                                                                              */
#include "cluster/machine.h"

#include <stdio.h>

#include "common/assert.h"

static const char *frame_ip(const struct frame *f, const struct cluster_link *l)
{
    return f->ip[0] ? f->ip : l->peer_ip;
}

static void frame_ports(const struct cluster *c, const struct frame *f, uint16_t *ret_port, uint16_t *ret_tls)
{
    bool tls = c->config.tls_cluster;
    *ret_port = tls ? f->other_port : f->port;
    *ret_tls = tls ? f->port : f->other_port;
}

/* ---- addresses ---- */

static bool address_differs(const struct cluster *c, const struct cluster_node *n, const struct frame *f,
                            const struct cluster_link *l)
{
    uint16_t port, tls_port;
    frame_ports(c, f, &port, &tls_port);
    const char *ip = f->ip[0] || !l->to ? frame_ip(f, l) : n->ip;
    return strcmp(ip, n->ip) != 0 || port != n->port || tls_port != n->tls_port || f->bus_port != n->bus_port;
}

static void address_take(struct cluster *c, struct cluster_node *n, const struct frame *f, const struct cluster_link *l)
{
    uint16_t port, tls_port;
    frame_ports(c, f, &port, &tls_port);
    if (f->ip[0] || !l->to)
        snprintf(n->ip, CLUSTER_IP, "%s", frame_ip(f, l));
    n->port = port;
    n->tls_port = tls_port;
    n->bus_port = f->bus_port;
    n->flags &= (uint16_t)~CLUSTER_NODE_NOADDR;
    save_later(c);
    if (c->me->master == n) {
        struct cluster_action *a = act(c, CLUSTER_FOLLOW);
        a->follow.name = n->name;
        a->follow.ip = arena_copy(&c->out->arena, bytes_of(n->ip, CLUSTER_IP)).p;
        a->follow.port = n->port;
    }
}

/* Nobody tells us our own address but those who reach us by it. */
static void learn_own_ip(struct cluster *c, const struct cluster_link *l, const struct frame *f, bool known)
{
    if (c->announce_ip[0] || l->to || !l->local_ip[0])
        return;
    if (c->me->ip[0] && !(f->type == WIRE_MEET && known))
        return;
    if (strcmp(c->me->ip, l->local_ip) == 0)
        return;
    memcpy(c->me->ip, l->local_ip, CLUSTER_IP);
    trace(c, CLUSTER_TRACE_NOTICE, "IP address for this node updated to %s", c->me->ip);
    save_later(c);
}

/* ---- joining ---- */

static void stranger_meets(struct cluster *c, const struct cluster_link *l, const struct frame *f)
{
    const char *ip = frame_ip(f, l);
    if (c->n_strangers >= HANDSHAKES_MAX || c->n_nodes >= NODES_MAX || !ip[0] || !f->bus_port)
        return;
    for (size_t i = 0; i < c->n_nodes; i++)
        if (node_is(c->nodes[i], CLUSTER_NODE_HANDSHAKE) && strcmp(c->nodes[i]->ip, ip) == 0 &&
            c->nodes[i]->bus_port == f->bus_port)
            return;
    struct cluster_node *n = node_add(c, NULL, CLUSTER_NODE_HANDSHAKE);
    n->stranger = true;
    c->n_strangers++;
    snprintf(n->ip, CLUSTER_IP, "%s", ip);
    frame_ports(c, f, &n->port, &n->tls_port);
    n->bus_port = f->bus_port;
    node_connect(c, n);
}

/* The answer to our first PING or MEET. NULL: the record is gone. */
static struct cluster_node *handshake_done(struct cluster *c, struct cluster_link *l, struct cluster_node *known,
                                           const struct frame *f)
{
    struct cluster_node *n = l->node;
    if (known || memcmp(f->sender, c->me->name, CLUSTER_NAME) == 0) {
        /* Somebody whom we know already (or we ourselves). Its address is what this link has just proved. */
        if (known && (!known->to || !known->to->up) &&
            (strcmp(known->ip, n->ip) != 0 || known->bus_port != n->bus_port)) {
            if (known->to)
                link_close(c, known->to);
            memcpy(known->ip, n->ip, CLUSTER_IP);
            known->port = n->port;
            known->tls_port = n->tls_port;
            known->bus_port = n->bus_port;
            known->flags &= (uint16_t)~CLUSTER_NODE_NOADDR;
            save_later(c);
        }
        node_remove(c, n);
        return NULL;
    }
    node_rename(c, n, f->sender);
    n->flags &= (uint16_t)~(CLUSTER_NODE_HANDSHAKE | CLUSTER_NODE_MEET);
    n->flags |= f->master ? CLUSTER_NODE_REPLICA : CLUSTER_NODE_MASTER;
    c->n_strangers -= n->stranger;
    n->stranger = false;
    frame_ports(c, f, &n->port, &n->tls_port);
    if (f->ip[0])
        snprintf(n->ip, CLUSTER_IP, "%s", f->ip);
    c->todo_state = true;
    save_later(c);
    trace(c, CLUSTER_TRACE_VERBOSE, "Handshake with node %.40s completed.", n->name);
    return n;
}

/* ---- what a frame says of its sender ---- */

static void take_role(struct cluster *c, struct cluster_node *n, const struct frame *f)
{
    n->flags = (uint16_t)((n->flags & ~CLUSTER_NODE_NOFAILOVER) | (f->flags & CLUSTER_NODE_NOFAILOVER));
    struct cluster_node *master = f->master ? node_find(c, f->master) : NULL;
    if (!f->master) {
        if (!node_is(n, CLUSTER_NODE_MASTER)) {
            node_set_master(c, n, NULL);
            save_later(c);
        }
        return;
    }
    if (node_is(n, CLUSTER_NODE_MASTER)) {
        slots_drop_all(c, n);
        n->flags = (uint16_t)((n->flags & ~(CLUSTER_NODE_MASTER | CLUSTER_NODE_MIGRATE_TO)) | CLUSTER_NODE_REPLICA);
        c->todo_state = true;
        save_later(c);
    }
    if (master && master != n->master && master != n) {
        node_set_master(c, n, master);
        save_later(c);
    }
}

static void forget_by_word(struct cluster *c, const struct wire_ext *x)
{
    struct cluster_node *n = node_find(c, x->name);
    if (!n || n == c->me || n == c->me->master)
        return;
    nodes_blacklist(c, x->name, (msec_t)(x->ttl_s < 3600 ? x->ttl_s : 3600) * 1000);
    node_remove(c, n);
    save_later(c);
}

static void take_extensions(struct cluster *c, struct cluster_node *n, const struct frame *f)
{
    struct bytes hostname = { 0 }, human = { 0 };
    char name[CLUSTER_NAME];
    memcpy(name, n->name, CLUSTER_NAME);
    size_t at = 0;
    struct wire_ext x;
    while (wire_ext_next(f->ext, &at, &x)) {
        if (x.type == WIRE_EXT_HOSTNAME)
            hostname = x.text;
        else if (x.type == WIRE_EXT_NODENAME)
            human = x.text;
        else if (x.type == WIRE_EXT_SHARD)
            node_set_shard(c, n, n->master ? n->master->shard : x.text.p);
        else if (x.type == WIRE_EXT_FORGOTTEN && memcmp(x.name, name, CLUSTER_NAME) != 0)
            forget_by_word(c, &x);
    }
    if (node_set_text_if_new(&n->hostname, hostname) | node_set_text_if_new(&n->human, human))
        save_later(c);
}

/* Would the frame change anything, were it proved? */
static bool brings_news(struct cluster *c, struct cluster_node *n, const struct frame *f)
{
    if (f->current_epoch > c->current_epoch || f->config_epoch > n->config_epoch)
        return true;
    if (!f->master != node_is(n, CLUSTER_NODE_MASTER))
        return true;
    if (f->master && (!n->master || memcmp(f->master, n->master->name, CLUSTER_NAME) != 0))
        return true;
    if (!f->master && !slots_claim_is_known(c, n, f->config_epoch, f->slots))
        return true;
    size_t at = 0;
    struct wire_ext x;
    while (wire_ext_next(f->ext, &at, &x))
        if ((x.type == WIRE_EXT_HOSTNAME && (!n->hostname || !bytes_eq(x.text, bytes_of_str(n->hostname)))) ||
            (x.type == WIRE_EXT_NODENAME && (!n->human || !bytes_eq(x.text, bytes_of_str(n->human)))) ||
            (x.type == WIRE_EXT_FORGOTTEN && node_find(c, x.name)))
            return true;
    return false;
}

/* A master that has less than it had when we were in sync with it: it was started again without its data. */
static void watch_master_data(struct cluster *c, struct cluster_node *n, const struct frame *f, int64_t our_offset)
{
    if (n != c->me->master || !n->synced || f->master)
        return;
    if ((int64_t)f->offset >= our_offset) {
        if (c->guard_until && (int64_t)f->offset >= c->repl.offset)
            c->guard_until = 0;
        return;
    }
    if (c->guard_until)
        return;
    c->guard_until = c->now + 4 * c->config.node_timeout_ms + 10000;
    trace(c, CLUSTER_TRACE_WARNING,
          "My master %.40s has less data (offset %lld) than it gave me (offset %lld): I keep mine, and ask to take "
          "over.", n->name, (long long)f->offset, (long long)our_offset);
}

static void note_answer(struct cluster *c, struct cluster_node *n, const struct frame *f)
{
    if (n->n_probes) {
        struct probe p = n->probes[0];
        memmove(n->probes, n->probes + 1, --n->n_probes * sizeof *n->probes);
        n->proved_at = p.at;
        watch_master_data(c, n, f, p.offset);
    }
    n->ping_sent = n->n_probes ? n->probes[0].at : 0;
    n->pong_received = n->answered_at = c->now;
    if (n->hearsay) {
        n->hearsay = false;
        c->n_hearsay--;
    }
    if (n->n_slots)
        c->lease.answers++;
    failure_heard(c, n);
    if (n->probe_again) {
        n->probe_again = false;
        probe(c, n);
    }
}

static void take_proved(struct cluster *c, struct cluster_link *l, struct cluster_node *n, const struct frame *f)
{
    n->data_received = c->now;
    if (f->type == WIRE_PONG)
        note_answer(c, n, f);
    if (address_differs(c, n, f, l) && f->port + f->other_port != 0 && f->bus_port)
        address_take(c, n, f, l);
    epoch_seen(c, f->current_epoch, n, f->config_epoch);
    take_role(c, n, f);
    take_extensions(c, n, f);
    if (node_is(n, CLUSTER_NODE_MASTER)) {
        if (!slots_claim_is_known(c, n, f->config_epoch, f->slots))
            slots_claim(c, n, f->config_epoch, f->slots);
        epoch_collision(c, n);
    }
    if (n->vote_epoch)
        vote_proved(c, n, f);
    lease_heard(c);
}

static bool understands_extensions(const struct frame *f)
{
    return f->flags & CLUSTER_NODE_EXTENSIONS || f->mflags[0] & WIRE_EXT_DATA;
}

/* It may have moved: but only when it does not answer where it was. */
static void maybe_moved(struct cluster *c, struct cluster_link *l, struct cluster_node *n, const struct frame *f)
{
    bool lost = !n->to || !n->to->up || node_is(n, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL);
    if (f->type != WIRE_PING || !lost || !address_differs(c, n, f, l) || !f->bus_port)
        return;
    if (n->to)
        link_close(c, n->to);
    address_take(c, n, f, l);
    n->connect_at = c->now;
    trace(c, CLUSTER_TRACE_NOTICE, "Address updated for node %.40s, now %s:%d", n->name, n->ip, n->port);
}

void recv_ping(struct cluster *c, struct cluster_link *l, struct cluster_node *sender, const struct frame *f)
{
    learn_own_ip(c, l, f, sender != NULL);
    if (sender && understands_extensions(f))
        sender->extensions = true;
    if (f->type != WIRE_PONG) {
        if (!sender && f->type == WIRE_MEET && !l->to)
            stranger_meets(c, l, f);
        send_pong(c, l);
    }
    if (l->to && node_is(l->node, CLUSTER_NODE_HANDSHAKE)) {
        if (f->type != WIRE_PONG || !(sender = handshake_done(c, l, sender, f)))
            return;
    } else if (l->to && l->node != sender) {
        if (f->type != WIRE_PONG)
            return;
        struct cluster_node *n = l->node; /* another node listens at this address now */
        trace(c, CLUSTER_TRACE_DEBUG, "PONG contains mismatching sender ID: node %.40s has lost its address", n->name);
        n->flags |= CLUSTER_NODE_NOADDR;
        n->ip[0] = '\0';
        n->port = n->tls_port = n->bus_port = 0;
        link_close(c, l);
        save_later(c);
        return;
    }
    if (!sender)
        return;
    if (understands_extensions(f))
        sender->extensions = true;
    sender->offset = (int64_t)f->offset;
    if (f->mflags[0] & WIRE_PAUSED && sender == c->me->master)
        manual_told_offset(c, (int64_t)f->offset);
    if (l->to) {
        take_proved(c, l, sender, f);
    } else {
        maybe_moved(c, l, sender, f);
        if (brings_news(c, sender, f))
            probe(c, sender);
    }
    gossip_take(c, sender, f, l->to);
}

/* ---- the other kinds, from known senders ---- */

/* Somebody tells that a node has newer slots. If that node can be asked, it is; else the word is taken, as it must be
 * when an old master wakes up and the new one has just died. */
static void recv_update(struct cluster *c, const struct frame *f)
{
    struct cluster_node *n = node_find(c, f->update.name);
    if (!n || n == c->me || node_is(n, CLUSTER_NODE_HANDSHAKE) || f->update.epoch <= n->config_epoch)
        return;
    if (n->to && n->to->up && !node_is(n, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL)) {
        probe(c, n);
        return;
    }
    if (node_is(n, CLUSTER_NODE_REPLICA))
        node_set_master(c, n, NULL);
    epoch_seen(c, 0, n, f->update.epoch);
    slots_claim(c, n, f->update.epoch, f->update.slots);
}

static void recv_fail(struct cluster *c, struct cluster_node *sender, const struct frame *f)
{
    struct cluster_node *n = node_find(c, f->fail.name);
    if (n && n != sender)
        failure_told(c, n, sender);
}

static void recv_publish(struct cluster *c, const struct frame *f)
{
    struct cluster_action *a = act(c, CLUSTER_PUBLISH);
    a->publish.channel = arena_copy(&c->out->arena, f->publish.channel);
    a->publish.message = arena_copy(&c->out->arena, f->publish.message);
    a->publish.sharded = f->type == WIRE_PUBLISHSHARD;
}

void recv_packet(struct cluster *c, struct cluster_link *l, struct bytes bytes)
{
    struct frame f;
    if (!wire_decode(bytes, &f) || f.type == (unsigned)c->debug_drop)
        return;
    c->received[f.type]++;
    struct cluster_node *sender = node_find(c, f.sender);
    bool ourselves = sender == c->me;
    if (sender && (ourselves || node_is(sender, CLUSTER_NODE_HANDSHAKE)))
        sender = NULL;
    if (ourselves && !(l->to && node_is(l->node, CLUSTER_NODE_HANDSHAKE)))
        return; /* somebody uses our name */
    if (sender && !l->to)
        link_bind(c, l, sender);
    if (f.type == WIRE_PING || f.type == WIRE_PONG || f.type == WIRE_MEET) {
        recv_ping(c, l, sender, &f);
        return;
    }
    if (!sender)
        return;
    switch (f.type) {
    case WIRE_FAIL:
        recv_fail(c, sender, &f);
        break;
    case WIRE_PUBLISH:
    case WIRE_PUBLISHSHARD:
        recv_publish(c, &f);
        break;
    case WIRE_UPDATE:
        recv_update(c, &f);
        break;
    case WIRE_AUTH_REQUEST:
        recv_vote_request(c, sender, &f);
        break;
    case WIRE_AUTH_ACK:
        recv_vote(c, sender, &f);
        break;
    case WIRE_MFSTART:
        if (sender->master == c->me)
            manual_asked(c, l, sender);
        break;
    default:
        break; /* MODULE: there are none */
    }
}
