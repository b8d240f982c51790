/* One machine and frames made by hand: peers exist only in what the test sends in their names. */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "cluster/cluster.h"
#include "cluster/wire.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"
#define D "dddddddddddddddddddddddddddddddddddddddd"
#define NOBODY_KNOWN "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"

static struct cluster *m;
static struct cluster_actions acts;
static msec_t now;
static struct cluster_repl repl;
static uint32_t next_accepted;

static struct cluster_config test_config(void)
{
    return (struct cluster_config){
        .port = 7000, .bus_port = 17000, .node_timeout_ms = 2000, .ping_interval_ms = 1000,
        .repl_ping_period_ms = 10000,
        .replica_validity_factor = 10, .migration_barrier = 1, .allow_replica_migration = true,
        .require_full_coverage = true, .allow_pubsubshard_when_down = true,
    };
}

__attribute__((unused)) static void step(struct cluster_event ev)
{
    ev.now = now;
    ev.wall = 1700000000000 + now;
    ev.repl = repl;
    cluster_actions_clear(&acts);
    cluster_step(m, &ev, &acts);
}

__attribute__((unused)) static void tick_after(msec_t t)
{
    now += t;
    step((struct cluster_event){ .kind = CLUSTER_TICK });
}

/* A machine with this nodes.conf, loaded. */
__attribute__((unused)) static void begin(const char *conf)
{
    struct cluster_config config = test_config();
    now = 100000;
    next_accepted = 1;
    repl = (struct cluster_repl){ 0 };
    m = cluster_new(&config, 1);
    cluster_actions_init(&acts);
    const char *error = NULL;
    cr_assert(cluster_load(m, bytes_of_str(conf), now, 1700000000000 + now, &error), "%s", error);
    step((struct cluster_event){ .kind = CLUSTER_LOADED });
}

__attribute__((unused)) static void end(void)
{
    cluster_free(m);
    cluster_actions_done(&acts);
}

/* A, B and C are masters with a third of the slots each, D is a replica of B; we are A. */
#define THREE_MASTERS                                                                  \
    A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460\n"                 \
    B " 127.0.0.1:7001@17001 master - 0 0 2 connected 5461-10921\n"                    \
    C " 127.0.0.1:7002@17002 master - 0 0 3 connected 10922-16383\n"                   \
    D " 127.0.0.1:7003@17003 slave " B " 0 0 2 connected\n"                            \
    "vars currentEpoch 3 lastVoteEpoch 0\n"

/* ---- looking at actions ---- */

__attribute__((unused)) static const struct cluster_action *find_action(enum cluster_action_kind kind)
{
    for (size_t i = 0; i < acts.n; i++)
        if (acts.v[i].kind == kind)
            return &acts.v[i];
    return NULL;
}

__attribute__((unused)) static size_t place_of_send(cluster_link_id id, int type, struct frame *ret)
{
    for (size_t i = 0; i < acts.n; i++) {
        struct frame f;
        if (acts.v[i].kind != CLUSTER_SEND || (id && acts.v[i].send.id != id))
            continue;
        cr_assert(wire_decode(acts.v[i].send.bytes, &f));
        if (f.type != type)
            continue;
        if (ret)
            *ret = f;
        return i;
    }
    return SIZE_MAX;
}

__attribute__((unused)) static bool sent(cluster_link_id id, int type)
{
    return place_of_send(id, type, NULL) != SIZE_MAX;
}

/* ---- peers ---- */

__attribute__((unused)) static const struct cluster_node *node_of(const char *name)
{
    return cluster_find(m, bytes_of_str(name));
}

__attribute__((unused)) static unsigned flags_of(const char *name)
{
    struct cluster_node_view v;
    const struct cluster_node *n = node_of(name);
    cr_assert_not_null(n, "%s", name);
    cluster_view(m, n, &v);
    return v.flags;
}

__attribute__((unused)) static cluster_link_id link_to(const char *name)
{
    return cluster_link_of(m, node_of(name), true);
}

__attribute__((unused)) static void link_event(enum cluster_event_kind kind, cluster_link_id id, enum cluster_down why)
{
    struct cluster_event ev = { .kind = kind };
    ev.link.id = id;
    ev.link.reason = why;
    ev.link.peer_ip = ev.link.local_ip = "127.0.0.1";
    step(ev);
}

__attribute__((unused)) static cluster_link_id accepted(void)
{
    cluster_link_id id = next_accepted++ | CLUSTER_LINK_ACCEPTED;
    link_event(CLUSTER_LINK_UP, id, 0);
    return id;
}

static uint8_t slots_space[4][WIRE_SLOTS];

__attribute__((unused)) static const uint8_t *slots(int k, int first, int last)
{
    memset(slots_space[k], 0, WIRE_SLOTS);
    for (int s = first; s <= last; s++)
        slots_space[k][s >> 3] |= (uint8_t)(1 << (s & 7));
    return slots_space[k];
}

/* What `name` says of itself while nothing has changed. */
__attribute__((unused)) static struct frame frame_of(const char *name, enum wire_type type)
{
    static const int first[] = { 0, 5461, 10922 }, last[] = { 5460, 10921, 16383 };
    int k = name[0] - 'a';
    struct frame f = {
        .type = (uint16_t)type, .sender = name, .port = (uint16_t)(7000 + k), .bus_port = (uint16_t)(17000 + k),
        .current_epoch = 3, .config_epoch = (uint64_t)k + 1, .flags = CLUSTER_NODE_MASTER | CLUSTER_NODE_MYSELF,
    };
    memcpy(f.ip, "127.0.0.1", 10);
    if (k < 3)
        f.slots = slots(k, first[k], last[k]);
    else
        f.slots = slots(3, 1, 0);
    if (name[0] == 'd') {
        f.master = B;
        f.slots = slots(3, 5461, 10921);
        f.config_epoch = 2;
        f.flags = CLUSTER_NODE_REPLICA | CLUSTER_NODE_MYSELF;
    }
    return f;
}

__attribute__((unused)) static void receive(cluster_link_id id, const struct frame *f)
{
    size_t n = wire_size(f);
    char *p = malloc(n);
    wire_encode(f, p);
    struct cluster_event ev = { .kind = CLUSTER_PACKET };
    ev.packet.id = id;
    ev.packet.frame = bytes_of(p, n);
    cr_assert_eq(cluster_frame_size(m, id, ev.packet.frame), (int64_t)n);
    step(ev);
    free(p);
}

/* Our link to `name` comes up, and it answers the PING that we send. */
__attribute__((unused)) static void connect_to(const char *name)
{
    cluster_link_id id = link_to(name);
    cr_assert_neq(id, 0u, "%s", name);
    link_event(CLUSTER_LINK_UP, id, 0);
    struct frame f = frame_of(name, WIRE_PONG);
    receive(id, &f);
}

__attribute__((unused)) static void connect_all(void)
{
    connect_to(B);
    connect_to(C);
    connect_to(D);
}

/* nodes.conf as it would be saved, without the times of PING and PONG. */
__attribute__((unused)) static struct bytes memory_of(void)
{
    struct cluster_event ev = { .kind = CLUSTER_COMMAND, .command.kind = CLUSTER_SAVECONFIG };
    step(ev);
    const struct cluster_action *a = find_action(CLUSTER_SAVE);
    cr_assert_not_null(a);
    static char kept[4][1 << 16];
    static int next;
    char *copy = kept[next++ % 4];
    cr_assert_lt(a->save.bytes.n, sizeof kept[0]);
    memcpy(copy, a->save.bytes.p, a->save.bytes.n);
    copy[a->save.bytes.n] = '\0';
    int word = 0;
    char *to = copy;
    for (const char *p = copy; *p; p++) {
        word = *p == '\n' ? 0 : word + (*p == ' ');
        if ((word != 4 && word != 5) || *p == ' ')
            *to++ = *p;
        else if (to[-1] == ' ')
            *to++ = '0';
    }
    *to = '\0';
    return bytes_of(copy, strlen(copy));
}
