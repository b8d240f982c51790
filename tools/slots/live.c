/* Asking servers (see live.h). */
#include "live.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/time.h>

#include "common/alloc.h"

enum { TIMEOUT_S = 30, ARGS_MAX = 16 };

struct live {
    const struct options *options;
    redisContext *seed;
    redisContext *nodes[MASTERS_MAX];
    struct slot_map *map;
    bool cluster;
    char error[512];
};

void live_fail(struct live *l, const char *format, ...)
{
    if (l->error[0])
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(l->error, sizeof(l->error), format, args);
    va_end(args);
}

void live_forget_error(struct live *l)
{
    l->error[0] = '\0';
}

const char *live_error(const struct live *l)
{
    return l->error[0] ? l->error : NULL;
}

bool live_is_cluster(const struct live *l)
{
    return l->cluster;
}

redisReply *live_reply(struct live *l, redisContext *c)
{
    void *got = NULL;
    if (redisGetReply(c, &got) != REDIS_OK) {
        live_fail(l, "%s:%d: %s", c->tcp.host ? c->tcp.host : "?", c->tcp.port, c->errstr);
        return NULL;
    }
    redisReply *r = got;
    if (r->type != REDIS_REPLY_ERROR)
        return r;
    live_fail(l, "%s:%d: %s", c->tcp.host ? c->tcp.host : "?", c->tcp.port, r->str);
    freeReplyObject(r);
    return NULL;
}

redisReply *live_command(struct live *l, redisContext *c, int argc, const char **argv, const size_t *lens)
{
    redisAppendCommandArgv(c, argc, argv, lens);
    return live_reply(l, c);
}

redisReply *live_words(struct live *l, redisContext *c, const char *words)
{
    char copy[512];
    const char *argv[ARGS_MAX];
    int argc = 0;
    char *rest = NULL;
    (void)snprintf(copy, sizeof(copy), "%s", words);
    for (char *w = strtok_r(copy, " ", &rest); w && argc < ARGS_MAX; w = strtok_r(NULL, " ", &rest))
        argv[argc++] = w;
    return live_command(l, c, argc, argv, NULL);
}

static bool log_in(struct live *l, redisContext *c)
{
    const struct options *o = l->options;
    if (!o->password)
        return true;
    const char *argv[3] = { "AUTH", o->user, o->password };
    if (!o->user)
        argv[1] = o->password;
    redisReply *r = live_command(l, c, o->user ? 3 : 2, argv, NULL);
    if (r)
        freeReplyObject(r);
    return r;
}

redisContext *live_dial(struct live *l, const char *host, int port)
{
    struct timeval timeout = { .tv_sec = TIMEOUT_S };
    redisContext *c = redisConnectWithTimeout(host, port, timeout);
    if (!c || c->err) {
        live_fail(l, "%s:%d: %s", host, port, c ? c->errstr : "out of memory");
        redisFree(c);
        return NULL;
    }
    (void)redisSetTimeout(c, timeout);
    if (log_in(l, c))
        return c;
    redisFree(c);
    return NULL;
}

redisContext *live_master(struct live *l, int master)
{
    if (!l->cluster)
        return l->seed;
    if (!l->nodes[master])
        l->nodes[master] = live_dial(l, l->map->masters[master].host, l->map->masters[master].port);
    return l->nodes[master];
}

/* ---- who is there ---- */

/* "10.0.0.1:7000@17000,host" */
static bool parse_node_address(struct live *l, const char *text, char *ret_host, size_t host_max, int *ret_port)
{
    char copy[256];
    (void)snprintf(copy, sizeof(copy), "%s", text);
    copy[strcspn(copy, "@,")] = '\0';
    char *colon = strrchr(copy, ':');
    if (!colon)
        return false;
    *colon = '\0';
    *ret_port = atoi(colon + 1);
    (void)snprintf(ret_host, host_max, "%s", copy[0] ? copy : l->options->host);
    return *ret_port > 0;
}

static void parse_slots(struct slot_map *map, int master, char *rest)
{
    char *save = NULL;
    for (char *w = strtok_r(rest, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        int from, to;
        int n = *w == '[' ? 0 : sscanf(w, "%d-%d", &from, &to);
        if (n == 1)
            to = from;
        for (int s = n ? from : 0; n && s >= 0 && s <= to && s < SLOTS; s++)
            map->owner[s] = (int16_t)master;
    }
}

static void parse_node(struct live *l, char *line, struct slot_map *map)
{
    char id[41], address[256], flags[128], host[256];
    int port, used = 0;
    if (sscanf(line, "%40s %255s %127s %*s %*s %*s %*s %*s%n", id, address, flags, &used) < 3)
        return;
    bool up = !strstr(flags, "fail") && !strstr(flags, "handshake") && !strstr(flags, "noaddr");
    if (!strstr(flags, "master") || !up || !parse_node_address(l, address, host, sizeof(host), &port))
        return;
    int master = slot_map_add_master(map, id, host, port);
    if (master >= 0 && used)
        parse_slots(map, master, line + used);
}

static void learn(struct live *l, struct slot_map *map)
{
    redisReply *r = live_words(l, l->seed, "INFO cluster");
    l->cluster = r && r->str && strstr(r->str, "cluster_enabled:1");
    if (r)
        freeReplyObject(r);
    if (!l->cluster) {
        (void)slot_map_add_master(map, "server", l->options->host, l->options->port);
        for (int s = 0; s < SLOTS; s++)
            map->owner[s] = 0;
        return;
    }
    r = live_words(l, l->seed, "CLUSTER NODES");
    if (!r)
        return;
    char *save = NULL;
    for (char *line = strtok_r(r->str, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        parse_node(l, line, map);
    freeReplyObject(r);
    if (map->masters_n == 0)
        live_fail(l, "the cluster has no masters that are up");
}

struct live *live_bare(const struct options *o)
{
    struct live *l = mem_zalloc(sizeof(*l));
    l->options = o;
    return l;
}

struct live *live_open(const struct options *o, struct slot_map *map)
{
    struct live *l = live_bare(o);
    l->map = map;
    l->seed = live_dial(l, o->host, o->port);
    if (l->seed)
        learn(l, map);
    return l;
}

void live_close(struct live *l)
{
    if (!l)
        return;
    for (int i = 0; i < MASTERS_MAX; i++)
        if (l->nodes[i])
            redisFree(l->nodes[i]);
    if (l->seed)
        redisFree(l->seed);
    mem_free(l);
}

/* ---- loads by slot ---- */

static double number_of(const redisReply *r)
{
    return r->type == REDIS_REPLY_INTEGER ? (double)r->integer : r->str ? strtod(r->str, NULL) : 0;
}

/* [name, number, ...] of one slot. */
static void take_figures(const redisReply *figures, struct load *to, bool has[METRICS])
{
    for (size_t i = 0; i + 1 < figures->elements; i += 2) {
        const char *name = figures->element[i]->str;
        double v = number_of(figures->element[i + 1]);
        int m = !name                                                            ? -1
                : strcmp(name, "key-count") == 0                                 ? BY_KEYS
                : strcmp(name, "cpu-usec") == 0                                  ? BY_CPU
                : strcmp(name, "memory-bytes") == 0                              ? BY_MEMORY
                : strcmp(name, "reads") == 0 || strcmp(name, "writes") == 0      ? BY_OPS
                                                                                 : -1;
        if (m < 0)
            continue;
        to->of[m] += v;
        has[m] = true;
    }
}

/* False: this node does not have it (or an error). */
static bool take_slot_stats(struct live *l, redisContext *c, struct slot_map *map, int master, bool has[METRICS])
{
    redisReply *r = live_words(l, c, "CLUSTER SLOT-STATS SLOTSRANGE 0 16383");
    if (!r)
        return false;
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++) {
        const redisReply *one = r->element[i];
        if (one->elements < 2 || one->element[0]->integer < 0 || one->element[0]->integer >= SLOTS)
            continue;
        int slot = (int)one->element[0]->integer;
        if (map->owner[slot] == master)
            take_figures(one->element[1], &map->loads[slot], has);
    }
    freeReplyObject(r);
    return true;
}

/* COUNTKEYSINSLOT of all slots of the master, in one trip. */
static bool count_keys(struct live *l, redisContext *c, struct slot_map *map, int master)
{
    for (int s = 0; s < SLOTS; s++)
        if (map->owner[s] == master)
            redisAppendCommand(c, "CLUSTER COUNTKEYSINSLOT %d", s);
    for (int s = 0; s < SLOTS; s++) {
        if (map->owner[s] != master)
            continue;
        redisReply *r = live_reply(l, c);
        if (!r)
            return false;
        map->loads[s].of[BY_KEYS] = (double)r->integer;
        freeReplyObject(r);
    }
    return true;
}

/* The mean of some keys of the slot, times their number. */
static bool sample_slot(struct live *l, redisContext *c, int slot, int sample, struct load *to)
{
    redisAppendCommand(c, "CLUSTER GETKEYSINSLOT %d %d", slot, sample);
    redisReply *keys = live_reply(l, c);
    if (!keys)
        return false;
    double sum = 0;
    size_t measured = 0;
    for (size_t i = 0; i < keys->elements; i++)
        redisAppendCommand(c, "MEMORY USAGE %b", keys->element[i]->str, (size_t)keys->element[i]->len);
    for (size_t i = 0; i < keys->elements; i++) {
        redisReply *r = live_reply(l, c);
        if (r && r->type == REDIS_REPLY_INTEGER) {
            sum += (double)r->integer;
            measured++;
        }
        if (r)
            freeReplyObject(r);
    }
    freeReplyObject(keys);
    if (measured)
        to->of[BY_MEMORY] = sum / (double)measured * to->of[BY_KEYS];
    return !live_error(l);
}

static bool measure_master(struct live *l, struct slot_map *map, int master, int sample, bool has[METRICS])
{
    redisContext *c = live_master(l, master);
    if (!c)
        return false;
    bool here[METRICS] = { false };
    if (!take_slot_stats(l, c, map, master, here)) {
        live_forget_error(l); /* not known there: counted by hand */
        if (!count_keys(l, c, map, master))
            return false;
        here[BY_KEYS] = true;
    }
    if (!here[BY_MEMORY]) {
        for (int s = 0; s < SLOTS; s++)
            if (map->owner[s] == master && map->loads[s].of[BY_KEYS] > 0 &&
                !sample_slot(l, c, s, sample, &map->loads[s]))
                return false;
        here[BY_MEMORY] = true;
    }
    for (int m = 0; m < METRICS; m++)
        has[m] = has[m] && here[m];
    return true;
}

static bool owns_slots(const struct slot_map *map, int master)
{
    for (int s = 0; s < SLOTS; s++)
        if (map->owner[s] == master)
            return true;
    return false;
}

bool live_slot_loads(struct live *l, struct slot_map *map, int sample, bool ret_has[METRICS])
{
    for (int m = 0; m < METRICS; m++)
        ret_has[m] = true;
    memset(map->loads, 0, sizeof(map->loads));
    for (int i = 0; i < map->masters_n; i++)
        if (owns_slots(map, i) && !measure_master(l, map, i, sample, ret_has))
            return false;
    return true;
}

/* ---- all keys ---- */

struct walk {
    struct live *l;
    redisContext *c;
    double share; /* of the keys whose memory is measured */
    double due;
    void (*key)(void *ctx, struct bytes, double memory);
    void *ctx;
};

static bool take_page(struct walk *w, const redisReply *keys)
{
    bool *measured = mem_zalloc(keys->elements + 1);
    for (size_t i = 0; i < keys->elements; i++) {
        w->due += w->share;
        measured[i] = w->due >= 1;
        if (!measured[i])
            continue;
        w->due -= 1;
        redisAppendCommand(w->c, "MEMORY USAGE %b", keys->element[i]->str, (size_t)keys->element[i]->len);
    }
    for (size_t i = 0; i < keys->elements; i++) {
        double memory = 0;
        redisReply *r = measured[i] ? live_reply(w->l, w->c) : NULL;
        if (r && r->type == REDIS_REPLY_INTEGER)
            memory = (double)r->integer / w->share;
        if (r)
            freeReplyObject(r);
        w->key(w->ctx, bytes_of(keys->element[i]->str, (size_t)keys->element[i]->len), memory);
    }
    mem_free(measured);
    return !live_error(w->l);
}

static bool walk_node(struct walk *w)
{
    char cursor[32] = "0";
    do {
        char words[64];
        (void)snprintf(words, sizeof(words), "SCAN %s COUNT 1000", cursor);
        redisReply *r = live_words(w->l, w->c, words);
        if (!r)
            return false;
        bool ok = r->elements == 2 && take_page(w, r->element[1]);
        if (ok)
            (void)snprintf(cursor, sizeof(cursor), "%s", r->element[0]->str);
        freeReplyObject(r);
        if (!ok)
            return false;
    } while (strcmp(cursor, "0") != 0);
    return true;
}

bool live_keys(struct live *l, const struct slot_map *map, int sample,
               void (*key)(void *ctx, struct bytes, double memory), void *ctx)
{
    double all = 0;
    for (int i = 0; i < map->masters_n; i++) {
        redisContext *c = live_master(l, i);
        redisReply *r = c ? live_words(l, c, "DBSIZE") : NULL;
        if (!r)
            return false;
        all += (double)r->integer;
        freeReplyObject(r);
    }
    struct walk w = { .l = l, .share = all > sample ? sample / all : 1, .key = key, .ctx = ctx };
    for (int i = 0; i < map->masters_n; i++) {
        w.c = live_master(l, i);
        if (!w.c || !walk_node(&w))
            return false;
    }
    return true;
}
