/* The machine's one way in: an event is taken, what is due is done, what must be saved goes before what needs it. */
#include "cluster/machine.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/text.h"

#define SAVE_DELAY_MS 250 /* in a large cluster, news that nothing relies on are saved together */

/* ---- small things ---- */

struct cluster_action *act(struct cluster *c, enum cluster_action_kind kind)
{
    struct cluster_actions *a = c->out;
    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 32;
        a->v = mem_realloc(a->v, a->cap * sizeof *a->v);
    }
    a->v[a->n] = (struct cluster_action){ .kind = kind };
    return &a->v[a->n++];
}

void trace(struct cluster *c, enum cluster_trace level, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *copy = arena_copy(&c->out->arena, bytes_of(text, strlen(text) + 1)).p;
    struct cluster_action *a = act(c, CLUSTER_TRACE);
    a->trace.level = level;
    a->trace.text = copy;
}

void save_later(struct cluster *c)
{
    if (!c->todo_save)
        c->save_at = c->now + (c->n_nodes > SMALL_CLUSTER ? SAVE_DELAY_MS : 0);
    c->todo_save = true;
}

void save_now(struct cluster *c)
{
    c->todo_save = true;
    c->save_at = c->now;
}

void save_durable(struct cluster *c)
{
    c->todo_save = c->todo_durable = true;
}

void random_name(struct cluster *c, char name[CLUSTER_NAME + 1])
{
    uint64_t words[3] = { prng_u64(&c->rng), prng_u64(&c->rng), prng_u64(&c->rng) };
    text_hex(name, words, CLUSTER_NAME / 2);
    name[CLUSTER_NAME] = '\0';
}

/* ---- birth ---- */

static void keep_text(char *dst, size_t room, const char *src)
{
    if (src != dst)
        snprintf(dst, room, "%s", src ? src : "");
}

static void configure(struct cluster *c, const struct cluster_config *config)
{
    keep_text(c->announce_ip, sizeof c->announce_ip, config->announce_ip);
    keep_text(c->hostname, sizeof c->hostname, config->hostname);
    keep_text(c->human, sizeof c->human, config->human_nodename);
    c->config = *config;
    c->config.announce_ip = c->announce_ip;
    c->config.hostname = c->hostname;
    c->config.human_nodename = c->human;
    if (c->config.node_timeout_ms < 1)
        c->config.node_timeout_ms = 1;
    struct cluster_node *me = c->me;
    me->port = config->port;
    me->tls_port = config->tls_port;
    me->bus_port = config->bus_port;
    if (c->announce_ip[0])
        memcpy(me->ip, c->announce_ip, CLUSTER_IP);
    me->flags &= (uint16_t)~CLUSTER_NODE_NOFAILOVER;
    if (config->replica_no_failover)
        me->flags |= CLUSTER_NODE_NOFAILOVER;
    c->todo_state = c->todo_served = true;
}

struct cluster *cluster_new(const struct cluster_config *config, uint64_t seed)
{
    struct cluster *c = mem_zalloc(sizeof *c);
    prng_init(&c->rng, seed);
    list_init(&c->suspects);
    buf_init(&c->text, BUF_UNLIMITED);
    memset(c->owner, 0xff, sizeof c->owner);
    c->debug_drop = -1;
    c->next_link = 1;
    c->manual.master_offset = -1;
    c->me = node_add(c, NULL, CLUSTER_NODE_MYSELF | CLUSTER_NODE_MASTER);
    configure(c, config);
    c->todo_save = c->todo_durable = true;
    return c;
}

void start_from_file(struct cluster *c)
{
    struct cluster_config config = c->config;
    configure(c, &config);
    c->todo_save = c->todo_durable = false;
    (void)state_count(c);
    if (c->me->n_slots && (c->n_nodes > 1))
        c->lease = (struct lease){ .earning = true, .starting = true, .since = c->now, .epoch = c->current_epoch };
}

void cluster_free(struct cluster *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_nodes; i++) {
        mem_free(c->nodes[i]->hostname);
        mem_free(c->nodes[i]->human);
        mem_free(c->nodes[i]->reports);
        mem_free(c->nodes[i]);
    }
    for (size_t i = 0; i < c->n_links; i++)
        mem_free(c->links[i]);
    mem_free(c->nodes);
    mem_free(c->links);
    map_done(&c->by_name);
    map_done(&c->by_link);
    mem_free(c->forgotten);
    mem_free(c->migrating.v);
    mem_free(c->importing.v);
    mem_free(c->election.voters);
    buf_done(&c->text);
    mem_free(c);
}

/* ---- ten times a second ---- */

static void cron_node(struct cluster *c, struct cluster_node *n)
{
    msec_t timeout = c->config.node_timeout_ms;
    if (node_is(n, CLUSTER_NODE_HANDSHAKE) && c->now - n->created > max_ms(timeout, 1000)) {
        node_remove(c, n);
        return;
    }
    if (!n->to && !node_is(n, CLUSTER_NODE_NOADDR) && n->bus_port && c->now >= n->connect_at)
        node_connect(c, n);
    if (n->to && n->to->up && !n->ping_sent && ping_due(c, n))
        send_ping(c, n, WIRE_PING);
    if (c->manual.end && c->manual.replica == n)
        send_report(c, n); /* with our offset, until it takes over */
    failure_cron(c, n);
    if (n->n_slots && n->ping_sent && c->now - n->ping_sent > max_ms(timeout / 8, 500))
        c->lease.overdue++;
}

/* With long timeouts and many nodes each is looked at every few times only. */
static unsigned slices(const struct cluster *c)
{
    enum { MOST = 4 };
    msec_t n = c->config.node_timeout_ms / 4000;
    return c->n_nodes <= SMALL_CLUSTER || n < 1 ? 1 : n > MOST ? MOST : (unsigned)n;
}

/* In a large cluster the rule of half a timeout seldom strikes, since gossip brings news of all. One by chance. */
static void ping_oldest_of_five(struct cluster *c)
{
    struct cluster_node *oldest = NULL;
    for (int i = 0; i < 5; i++) {
        struct cluster_node *n = c->nodes[prng_below(&c->rng, c->n_nodes)];
        if (n == c->me || node_is(n, CLUSTER_NODE_HANDSHAKE) || !n->to || !n->to->up || n->ping_sent)
            continue;
        if (!oldest || n->pong_received < oldest->pong_received)
            oldest = n;
    }
    if (oldest)
        send_ping(c, oldest, WIRE_PING);
}

static void cron(struct cluster *c)
{
    c->next_cron = c->now + CRON_MS;
    c->crons++;
    unsigned parts = slices(c), part = (unsigned)(c->crons % parts);
    if (part == 0)
        c->lease.overdue = 0;
    for (size_t i = c->n_nodes; i-- > 0;)
        if (i < c->n_nodes && i % parts == part && c->nodes[i] != c->me)
            cron_node(c, c->nodes[i]);
    if (c->crons % 10 == 0 && c->n_nodes > SMALL_CLUSTER)
        ping_oldest_of_five(c);
    lease_cron(c);
    replica_migration_cron(c);
    if (c->crons % 100 == 0 && c->n_forgotten)
        (void)nodes_blacklisted(c, c->me->name); /* lets go of those whose time is over */
}

/* ---- events ---- */

/* Slots with keys that nobody owns are ours; keys of slots of others are there to be moved. As Redis does at start. */
static void loaded(struct cluster *c, const uint8_t *slots)
{
    c->loaded = true;
    c->todo_state = true;
    if (!slots || node_is(c->me, CLUSTER_NODE_REPLICA))
        return;
    for (unsigned s = 0; s < CLUSTER_SLOTS; s++) {
        struct cluster_node *owner = slot_owner(c, s);
        if (!bit_get(slots, s) || owner == c->me || move_get(&c->importing, s))
            continue;
        if (!owner) {
            trace(c, CLUSTER_TRACE_WARNING, "I have keys for unassigned slot %u. Taking responsibility for it.", s);
            slot_assign(c, s, c->me);
        } else {
            trace(c, CLUSTER_TRACE_WARNING,
                  "I have keys for slot %u, but the slot is assigned to another node. Setting it to importing state.",
                  s);
            move_set(&c->importing, s, owner);
        }
        save_durable(c);
    }
}

static void published(struct cluster *c, const struct cluster_event *ev)
{
    struct frame f = frame_begin(c, ev->publish.sharded ? WIRE_PUBLISHSHARD : WIRE_PUBLISH);
    f.publish.channel = ev->publish.channel;
    f.publish.message = ev->publish.message;
    struct bytes b = frame_end(c, &f);
    if (!ev->publish.sharded) {
        broadcast(c, b, WIRE_PUBLISH);
        return;
    }
    struct cluster_node *m = c->me->master ? c->me->master : c->me;
    if (m != c->me)
        node_send(c, m, b, WIRE_PUBLISHSHARD);
    LIST_EACH(&m->replicas, r) {
        struct cluster_node *n = LIST_ITEM(r, struct cluster_node, in_master);
        if (n != c->me)
            node_send(c, n, b, WIRE_PUBLISHSHARD);
    }
}

static void take_event(struct cluster *c, const struct cluster_event *ev)
{
    struct cluster_link *l;
    switch (ev->kind) {
    case CLUSTER_TICK:
    case CLUSTER_REPL:
        break;
    case CLUSTER_CONFIGURED:
        configure(c, ev->config);
        save_later(c);
        break;
    case CLUSTER_LOADED:
        loaded(c, ev->loaded.slots_with_keys);
        break;
    case CLUSTER_COMMAND:
        command_run(c, &ev->command);
        break;
    case CLUSTER_LINK_UP:
        link_up(c, ev);
        break;
    case CLUSTER_LINK_DOWN:
        link_down(c, ev);
        break;
    case CLUSTER_PACKET:
        l = link_find(c, ev->packet.id);
        if (l)
            recv_packet(c, l, ev->packet.frame);
        break;
    case CLUSTER_SAVED:
        if (!ev->saved.ok) {
            c->save_failed = c->todo_save = true;
            c->save_at = c->now + CRON_MS;
        }
        break;
    case CLUSTER_PUBLISHED:
        published(c, ev);
        break;
    }
}

/* ---- the end of a step ---- */

/* While the disk refuses what we must remember, nothing is said: each frame follows a SAVE, and is dropped with it. The
 * others take us for dead, which is what we should be if we forgot. */
static bool says_something(const struct cluster *c)
{
    for (size_t i = 0; i < c->out->n; i++)
        if (c->out->v[i].kind == CLUSTER_SEND)
            return true;
    return false;
}

static void save_if_due(struct cluster *c)
{
    bool due = c->todo_durable || c->now >= c->save_at || (c->save_failed && says_something(c));
    if (!c->todo_save || !due)
        return;
    buf_clear(&c->text);
    nodes_conf_write(c, &c->text);
    struct cluster_action save = { .kind = CLUSTER_SAVE };
    save.save.bytes = arena_copy(&c->out->arena, buf_bytes(&c->text));
    save.save.durable = c->todo_durable || c->save_failed;
    act(c, CLUSTER_SAVE);
    memmove(c->out->v + 1, c->out->v, (c->out->n - 1) * sizeof *c->out->v);
    c->out->v[0] = save;
    c->todo_save = c->todo_durable = c->save_failed = false;
}

static void finish(struct cluster *c)
{
    if (c->todo_state) {
        c->todo_state = false;
        state_update(c);
    }
    manual_step(c);
    election_step(c);
    if (c->any_lost && node_is(c->me, CLUSTER_NODE_MASTER))
        act(c, CLUSTER_DROP_SLOT_KEYS)->drop.slots =
            (const uint8_t *)arena_copy(&c->out->arena, bytes_of(c->lost, WIRE_SLOTS)).p;
    if (c->any_lost) {
        c->any_lost = false;
        memset(c->lost, 0, sizeof c->lost);
    }
    if (c->todo_slots)
        act(c, CLUSTER_SLOTS_CHANGED);
    if (c->todo_state || c->todo_slots || c->todo_served) { /* an election may have been won */
        c->todo_state = false;
        state_update(c);
    }
    c->todo_slots = false;
    pause_update(c);
    save_if_due(c);
}

static void first_step(struct cluster *c)
{
    c->first_step_done = true;
    c->next_cron = c->now;
    if (c->me->master) {
        struct cluster_action *a = act(c, CLUSTER_FOLLOW);
        a->follow.name = c->me->master->name;
        a->follow.ip = c->me->master->ip;
        a->follow.port = c->me->master->port;
    }
}

void cluster_step(struct cluster *c, const struct cluster_event *ev, struct cluster_actions *out)
{
    ASSERT(c->me != NULL);
    ASSERT(ev->now >= c->now);
    msec_t before = c->first_step_done ? c->now : 0;
    c->now = ev->now;
    c->wall = ev->wall;
    c->repl = ev->repl;
    c->out = out;
    if (c->me->master && c->repl.link_up)
        c->me->master->synced = true;
    if (!c->first_step_done)
        first_step(c);
    lease_step(c, before);
    take_event(c, ev);
    if (c->now >= c->next_cron)
        cron(c);
    finish(c);
    c->out = NULL;
}

msec_t cluster_deadline(const struct cluster *c)
{
    msec_t at = min_ms(c->next_cron, min_ms(election_deadline(c), manual_deadline(c)));
    return c->todo_save ? min_ms(at, max_ms(c->save_at, c->now + 1)) : at;
}
