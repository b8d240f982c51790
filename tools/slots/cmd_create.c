/* ouro-slots create: a cluster of nodes that are empty, or of those that a run before left half done.
 *
 * Every step may be repeated: slots that somebody owns are left, nodes that know each other meet again without effect,
 * a replica stays one. So it can be started with the nodes, each time (docker-compose.yml does), and by two at once. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "commands.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "json.h"
#include "live.h"

struct node {
    redisContext *c;
    char id[41], ip[64];
    int port, bus_port;
    bool replica;
};

struct creation {
    const struct options *o;
    struct live *live; /* for its errors and replies alone */
    struct node *nodes;
    int n, masters;
    usec_t deadline;
    bool changed;
};

static bool in_time(struct creation *k)
{
    if (clock_monotonic_us() >= k->deadline)
        return false;
    (void)usleep(100 * 1000);
    return true;
}

/* Text of a reply; NULL: failed. mem_free. */
static char *ask(struct creation *k, struct node *n, const char *words)
{
    redisReply *r = live_words(k->live, n->c, words);
    if (!r)
        return NULL;
    char number[24];
    (void)snprintf(number, sizeof(number), "%lld", r->integer);
    char *text = mem_strdup(r->str ? r->str : number);
    freeReplyObject(r);
    return text;
}

/* An error that names `harmless` is none. */
static bool tell(struct creation *k, struct node *n, const char *words, const char *harmless)
{
    char *text = ask(k, n, words);
    if (text) {
        k->changed = true;
        mem_free(text);
        return true;
    }
    if (!harmless || !strstr(live_error(k->live), harmless))
        return false;
    live_forget_error(k->live);
    return true;
}

/* ---- the nodes ---- */

static bool reach(struct creation *k, int i)
{
    struct node *n = &k->nodes[i];
    char host[256];
    if (!options_address(k->o->nodes[i], host, sizeof(host), &n->port)) {
        live_fail(k->live, "%s is not HOST:PORT", k->o->nodes[i]);
        return false;
    }
    do {
        live_forget_error(k->live);
        n->c = live_dial(k->live, host, n->port);
    } while (!n->c && in_time(k));
    if (!n->c)
        return false;
    struct sockaddr_storage a = { 0 };
    socklen_t len = sizeof(a);
    (void)getpeername(n->c->fd, (struct sockaddr *)&a, &len);
    const void *ip = a.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&a)->sin_addr
                                            : (void *)&((struct sockaddr_in6 *)&a)->sin6_addr;
    (void)inet_ntop(a.ss_family, ip, n->ip, sizeof(n->ip));
    char *id = ask(k, n, "CLUSTER MYID");
    if (id)
        (void)snprintf(n->id, sizeof(n->id), "%s", id);
    mem_free(id);
    return n->id[0];
}

/* The line of a node in CLUSTER NODES, NULL: not known there. */
static const char *line_of(const char *nodes, const char *id)
{
    for (const char *line = nodes; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, id, 40) == 0)
            return line;
    }
    return NULL;
}

/* Its own line: bus port and role. */
static bool look_at(struct creation *k, struct node *n)
{
    char *nodes = ask(k, n, "CLUSTER NODES");
    const char *line = nodes ? line_of(nodes, n->id) : NULL;
    char address[300] = "", flags[100] = "";
    if (line && sscanf(line, "%*s %299s %99s", address, flags) == 2) {
        const char *at = strchr(address, '@');
        n->bus_port = at ? atoi(at + 1) : n->port + 10000;
        n->replica = strstr(flags, "slave");
    }
    mem_free(nodes);
    return line;
}

static int assigned(struct creation *k, struct node *n)
{
    char *info = ask(k, n, "CLUSTER INFO");
    const char *at = info ? strstr(info, "cluster_slots_assigned:") : NULL;
    int slots = at ? atoi(at + sizeof("cluster_slots_assigned:") - 1) : -1;
    mem_free(info);
    return slots;
}

static bool is_empty(struct creation *k, int i)
{
    char *size = ask(k, &k->nodes[i], "DBSIZE");
    bool empty = size && strcmp(size, "0") == 0;
    if (size && !empty)
        live_fail(k->live, "%s holds %s keys and no slots: empty it first", k->o->nodes[i], size);
    mem_free(size);
    return empty;
}

/* ---- the steps ---- */

static bool deal_slots(struct creation *k)
{
    struct slot_map *even = mem_zalloc(sizeof(*even));
    slot_map_init(even);
    slot_map_even(even, k->masters);
    bool ok = true;
    for (int i = 0; i < k->masters && ok; i++) {
        int first = 0, last = SLOTS - 1;
        while (even->owner[first] != i)
            first++;
        while (even->owner[last] != i)
            last--;
        char words[80];
        (void)snprintf(words, sizeof(words), "CLUSTER SET-CONFIG-EPOCH %d", i + 1);
        (void)tell(k, &k->nodes[i], words, NULL);
        live_forget_error(k->live); /* it has one already, or knows others: fine */
        (void)snprintf(words, sizeof(words), "CLUSTER ADDSLOTSRANGE %d %d", first, last);
        ok = tell(k, &k->nodes[i], words, "is already busy");
    }
    slot_map_done(even);
    mem_free(even);
    return ok;
}

static bool meet(struct creation *k)
{
    for (int i = 1; i < k->n; i++) {
        char words[128];
        (void)snprintf(words, sizeof(words), "CLUSTER MEET %s %d %d", k->nodes[i].ip, k->nodes[i].port,
                       k->nodes[i].bus_port);
        if (!tell(k, &k->nodes[0], words, NULL))
            return false;
    }
    return true;
}

/* Whether this node knows all of them, replicas as such if `roles`, and finds the cluster whole. */
static bool agrees(struct creation *k, struct node *n, bool roles)
{
    char *nodes = ask(k, n, "CLUSTER NODES"), *info = nodes ? ask(k, n, "CLUSTER INFO") : NULL;
    bool ok = info && strstr(info, "cluster_state:ok");
    for (int i = 0; i < k->n && ok; i++) {
        const char *line = line_of(nodes, k->nodes[i].id);
        char flags[100] = "";
        ok = line && sscanf(line, "%*s %*s %99s", flags) == 1 && !strstr(flags, "handshake") &&
             !strstr(flags, "fail") && (!roles || i < k->masters || strstr(flags, "slave") || k->nodes[i].replica);
    }
    mem_free(nodes);
    mem_free(info);
    return ok;
}

static bool await(struct creation *k, bool roles)
{
    for (int i = 0; i < k->n;) {
        if (agrees(k, &k->nodes[i], roles))
            i++;
        else if (live_error(k->live))
            return false;
        else if (!in_time(k)) {
            live_fail(k->live, "%s does not find the cluster whole after %d s", k->o->nodes[i], k->o->wait_s);
            return false;
        }
    }
    return true;
}

static bool replicate(struct creation *k)
{
    for (int i = k->masters; i < k->n; i++) {
        char words[80];
        if (k->nodes[i].replica)
            continue;
        (void)snprintf(words, sizeof(words), "CLUSTER REPLICATE %s", k->nodes[(i - k->masters) % k->masters].id);
        while (!tell(k, &k->nodes[i], words, NULL)) {
            if (!strstr(live_error(k->live), "nknown node") || !in_time(k))
                return false;
            live_forget_error(k->live); /* gossip has not brought its master yet */
        }
    }
    return true;
}

static bool create(struct creation *k)
{
    int most = 0;
    for (int i = 0; i < k->n; i++) {
        if (!reach(k, i) || !look_at(k, &k->nodes[i]))
            return false;
        int slots = assigned(k, &k->nodes[i]);
        if (slots < 0)
            return false;
        most = slots > most ? slots : most;
    }
    for (int i = 0; i < k->n && most == 0; i++)
        if (!is_empty(k, i))
            return false;
    bool whole = most == SLOTS;
    for (int i = 0; i < k->n && whole; i++)
        whole = agrees(k, &k->nodes[i], false);
    if (live_error(k->live))
        return false;
    if (!whole && ((most < SLOTS && !deal_slots(k)) || !meet(k) || !await(k, false)))
        return false;
    int replicas = 0;
    for (int i = 0; i < k->n; i++)
        replicas += k->nodes[i].replica;
    /* A failover may have changed who is one. */
    return replicas >= k->n - k->masters || (replicate(k) && await(k, true));
}

static void report(const struct creation *k)
{
    if (!k->o->json) {
        printf("%s a cluster of %d nodes, %d of them masters\n", k->changed ? "made" : "it is already", k->n,
               k->masters);
        return;
    }
    struct json j = { stdout, false };
    json_object(&j, NULL);
    json_text(&j, "result", bytes_of_str(k->changed ? "created" : "already"));
    json_array(&j, "nodes");
    for (int i = 0; i < k->n; i++) {
        json_object(&j, NULL);
        json_text(&j, "id", bytes_of_str(k->nodes[i].id));
        json_text(&j, "address", bytes_of_str(k->o->nodes[i]));
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    putchar('\n');
}

int cmd_create(const struct options *o)
{
    int masters = o->nodes_n / (1 + o->replicas);
    if (masters < 1)
        return complain("%d nodes are too few for masters with %d replicas each", o->nodes_n, o->replicas);
    struct creation k = { .o = o, .n = o->nodes_n, .masters = masters, .live = live_bare(o) };
    k.nodes = mem_zalloc((size_t)k.n * sizeof(*k.nodes));
    k.deadline = clock_monotonic_us() + (usec_t)o->wait_s * 1000000;
    int code = 0;
    if (create(&k))
        report(&k);
    else
        code = complain("%s", live_error(k.live) ? live_error(k.live) : "a node answers strangely");
    for (int i = 0; i < k.n; i++)
        if (k.nodes[i].c)
            redisFree(k.nodes[i].c);
    live_close(k.live);
    mem_free(k.nodes);
    return code;
}
