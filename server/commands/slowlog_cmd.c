/* SLOWLOG. */
#include "server/slowlog.h"

#include "common/num.h"
#include "server/node.h"

static void reply_entry(struct call *c, const struct slowlog_entry *e)
{
    reply_array(c, 6);
    reply_int(c, e->id);
    reply_int(c, e->at_s);
    reply_int(c, e->us);
    reply_array(c, e->argc);
    for (int i = 0; i < e->argc; i++)
        reply_bulk(c, e->argv[i]);
    resp_bulk_str(c->w, e->peer);
    resp_bulk_str(c->w, e->name);
}

static void cmd_slowlog_get(struct call *c)
{
    struct slowlog *log = node_slowlog(c->node);
    int64_t n = 10;
    if (c->argc > 3) {
        reply_subcommand_error(c);
        return;
    }
    if (c->argc == 3 && (!num_parse_i64(c->argv[2], &n) || n < -1)) {
        reply_error(c, "ERR count should be greater than or equal to -1");
        return;
    }
    int64_t len = slowlog_len(log);
    n = n < 0 || n > len ? len : n;
    reply_array(c, n);
    const struct slowlog_entry *e = slowlog_first(log);
    for (; n > 0; n--, e = slowlog_next(log, e))
        reply_entry(c, e);
}

static void cmd_slowlog_len(struct call *c)
{
    reply_int(c, slowlog_len(node_slowlog(c->node)));
}

static void cmd_slowlog_reset(struct call *c)
{
    slowlog_reset(node_slowlog(c->node));
    reply_ok(c);
}

static void cmd_slowlog_help(struct call *c)
{
    static const char *const lines[] = {
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
        NULL,
    };
    reply_help(c, lines);
}

#define FLAGS (CMD_ADMIN | CMD_LOADING | CMD_STALE)
static const struct command slowlog_subs[] = {
    { "get", cmd_slowlog_get, -2, FLAGS, NO_KEYS, NULL },
    { "len", cmd_slowlog_len, 2, FLAGS, NO_KEYS, NULL },
    { "reset", cmd_slowlog_reset, 2, FLAGS, NO_KEYS, NULL },
    { "help", cmd_slowlog_help, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    COMMANDS_END,
};

const struct command slowlog_commands[] = {
    { "slowlog", NULL, -2, CMD_CONTAINER, NO_KEYS, slowlog_subs },
    COMMANDS_END,
};
