/* SUBSCRIBE PSUBSCRIBE SSUBSCRIBE and their UN forms, PUBLISH SPUBLISH, PUBSUB. The machinery is server/pubsub.c. */
#include "common/arena.h"
#include "common/glob.h"
#include "server/call.h"
#include "server/drivers/cluster.h"
#include "server/node.h"
#include "server/pubsub.h"

static const char *const verbs[] = { "subscribe", "psubscribe", "ssubscribe" };
static const char *const unverbs[] = { "unsubscribe", "punsubscribe", "sunsubscribe" };

/* What the third element of a confirmation counts: shard channels alone, or channels and patterns together. */
static uint64_t counted(const struct client *client, enum pubsub_kind kind)
{
    return kind == PUBSUB_SHARD ? pubsub_client_count(client, kind) : pubsub_client_total(client);
}

static void confirm(struct call *c, const char *verb, struct bytes name, enum pubsub_kind kind)
{
    resp_push(c->w, 3);
    resp_bulk_str(c->w, verb);
    if (name.p)
        resp_bulk(c->w, name);
    else
        resp_null(c->w);
    resp_int(c->w, (int64_t)counted(c->client, kind));
}

static void subscribe(struct call *c, enum pubsub_kind kind)
{
    for (int i = 1; i < c->argc; i++) {
        pubsub_add(node_pubsub(c->node), c->client, kind, c->argv[i]);
        confirm(c, verbs[kind], c->argv[i], kind);
    }
}

struct names {
    struct bytes *list;
    size_t n;
    struct arena *arena;
};

static void collect(void *ctx, struct bytes name)
{
    struct names *names = ctx;
    names->list[names->n++] = arena_copy(names->arena, name);
}

/* Without arguments: all of the kind. */
static void unsubscribe(struct call *c, enum pubsub_kind kind)
{
    struct pubsub *p = node_pubsub(c->node);
    struct bytes *list = c->argv + 1;
    size_t n = (size_t)c->argc - 1;
    if (n == 0) {
        n = pubsub_client_count(c->client, kind);
        if (n == 0) {
            confirm(c, unverbs[kind], (struct bytes){ 0 }, kind);
            return;
        }
        struct names names = { arena_array(c->arena, n, sizeof(struct bytes)), 0, c->arena };
        pubsub_each(p, c->client, kind, collect, &names);
        list = names.list;
    }
    for (size_t i = 0; i < n; i++) {
        pubsub_remove(p, c->client, kind, list[i]);
        confirm(c, unverbs[kind], list[i], kind);
    }
}

static void cmd_subscribe(struct call *c) { subscribe(c, PUBSUB_CHANNEL); }
static void cmd_psubscribe(struct call *c) { subscribe(c, PUBSUB_PATTERN); }
static void cmd_ssubscribe(struct call *c) { subscribe(c, PUBSUB_SHARD); }
static void cmd_unsubscribe(struct call *c) { unsubscribe(c, PUBSUB_CHANNEL); }
static void cmd_punsubscribe(struct call *c) { unsubscribe(c, PUBSUB_PATTERN); }
static void cmd_sunsubscribe(struct call *c) { unsubscribe(c, PUBSUB_SHARD); }

static void publish(struct call *c, bool shard)
{
    uint64_t receivers = pubsub_publish(node_pubsub(c->node), c->argv[1], c->argv[2], shard);
    if (node_cluster(c->node))
        cluster_driver_published(node_cluster(c->node), c->argv[1], c->argv[2], shard);
    c->w = client_writer(c->client); /* publishing wrote to others */
    effect_force(c);
    reply_int(c, (int64_t)receivers);
}

static void cmd_publish(struct call *c) { publish(c, false); }
static void cmd_spublish(struct call *c) { publish(c, true); }

/* ---- PUBSUB ---- */

struct listing {
    struct call *c;
    const struct bytes *pattern; /* NULL: all */
    int64_t n;
};

static void list_one(void *ctx, struct bytes name)
{
    struct listing *l = ctx;
    if (l->pattern && !bytes_eq(*l->pattern, BYTES("*")) && !glob_match(*l->pattern, name))
        return;
    resp_bulk(l->c->w, name);
    l->n++;
}

static void list_channels(struct call *c, enum pubsub_kind kind)
{
    if (c->argc > 3) {
        reply_subcommand_error(c);
        return;
    }
    struct listing l = { c, c->argc > 2 ? &c->argv[2] : NULL, 0 };
    struct writer_mark m = resp_later(c->w);
    pubsub_each(node_pubsub(c->node), NULL, kind, list_one, &l);
    resp_later_array(c->w, m, l.n);
}

static void count_subscribers(struct call *c, enum pubsub_kind kind)
{
    reply_array(c, 2 * (c->argc - 2));
    for (int i = 2; i < c->argc; i++) {
        reply_bulk(c, c->argv[i]);
        reply_int(c, (int64_t)pubsub_subscribers(node_pubsub(c->node), kind, c->argv[i]));
    }
}

static void cmd_pubsub_channels(struct call *c) { list_channels(c, PUBSUB_CHANNEL); }
static void cmd_pubsub_shardchannels(struct call *c) { list_channels(c, PUBSUB_SHARD); }
static void cmd_pubsub_numsub(struct call *c) { count_subscribers(c, PUBSUB_CHANNEL); }
static void cmd_pubsub_shardnumsub(struct call *c) { count_subscribers(c, PUBSUB_SHARD); }

static void cmd_pubsub_numpat(struct call *c)
{
    reply_int(c, (int64_t)pubsub_count(node_pubsub(c->node), PUBSUB_PATTERN));
}

static void cmd_pubsub_help(struct call *c)
{
    static const char *const lines[] = {
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level channel(s)",
        NULL,
    };
    reply_help(c, lines);
}

#define SUB (CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)
#define PUB (CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST)
#define ASK (CMD_PUBSUB | CMD_LOADING | CMD_STALE)
static const struct command pubsub_subs[] = {
    { "channels", cmd_pubsub_channels, -2, ASK, NO_KEYS, NULL },
    { "numpat", cmd_pubsub_numpat, 2, ASK, NO_KEYS, NULL },
    { "numsub", cmd_pubsub_numsub, -2, ASK, NO_KEYS, NULL },
    { "shardchannels", cmd_pubsub_shardchannels, -2, ASK, NO_KEYS, NULL },
    { "shardnumsub", cmd_pubsub_shardnumsub, -2, ASK, NO_KEYS, NULL },
    { "help", cmd_pubsub_help, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    COMMANDS_END,
};

const struct command pubsub_commands[] = {
    { "subscribe", cmd_subscribe, -2, SUB, NO_KEYS, NULL },
    { "psubscribe", cmd_psubscribe, -2, SUB, NO_KEYS, NULL },
    { "ssubscribe", cmd_ssubscribe, -2, SUB, KEYS_AT(1, -1, 1), NULL },
    { "unsubscribe", cmd_unsubscribe, -1, SUB, NO_KEYS, NULL },
    { "punsubscribe", cmd_punsubscribe, -1, SUB, NO_KEYS, NULL },
    { "sunsubscribe", cmd_sunsubscribe, -1, SUB, KEYS_AT(1, -1, 1), NULL },
    { "publish", cmd_publish, 3, PUB | CMD_MAY_REPLICATE, NO_KEYS, NULL },
    { "spublish", cmd_spublish, 3, PUB | CMD_MAY_REPLICATE, KEYS_AT(1, 1, 1), NULL },
    { "pubsub", NULL, -2, CMD_CONTAINER, NO_KEYS, pubsub_subs },
    COMMANDS_END,
};
