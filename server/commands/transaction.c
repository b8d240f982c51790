/* MULTI EXEC DISCARD WATCH UNWATCH. The machinery is server/multi.c. */
#include "server/call.h"
#include "server/multi.h"
#include "server/node.h"

static void cmd_multi(struct call *c)
{
    if (c->client->flags & CLIENT_MULTI) {
        reply_error(c, "ERR MULTI calls can not be nested");
        return;
    }
    multi_begin(c->client);
    reply_ok(c);
}

static void cmd_exec(struct call *c)
{
    if (!(c->client->flags & CLIENT_MULTI)) {
        reply_error(c, "ERR EXEC without MULTI");
        return;
    }
    multi_exec(c);
}

static void cmd_discard(struct call *c)
{
    if (!(c->client->flags & CLIENT_MULTI)) {
        reply_error(c, "ERR DISCARD without MULTI");
        return;
    }
    multi_discard(c->client);
    watch_drop_all(node_watches(c->node), c->client);
    reply_ok(c);
}

static void cmd_watch(struct call *c)
{
    if (c->client->flags & CLIENT_MULTI) {
        reply_error(c, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    if (!(c->client->flags & CLIENT_DIRTY_CAS)) /* else EXEC fails already */
        for (int i = 1; i < c->argc; i++)
            watch_add(node_watches(c->node), c->client, c->db, c->argv[i]);
    reply_ok(c);
}

static void cmd_unwatch(struct call *c)
{
    watch_drop_all(node_watches(c->node), c->client);
    reply_ok(c);
}

#define FLAGS (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST)
const struct command transaction_commands[] = {
    { "multi", cmd_multi, 1, FLAGS | CMD_ALLOW_BUSY, NO_KEYS, NULL },
    { "exec", cmd_exec, 1, CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG, NO_KEYS, NULL },
    { "discard", cmd_discard, 1, FLAGS | CMD_ALLOW_BUSY, NO_KEYS, NULL },
    { "watch", cmd_watch, -2, FLAGS | CMD_ALLOW_BUSY, KEYS_AT(1, -1, 1), NULL },
    { "unwatch", cmd_unwatch, 1, FLAGS | CMD_ALLOW_BUSY, NO_KEYS, NULL },
    COMMANDS_END,
};
