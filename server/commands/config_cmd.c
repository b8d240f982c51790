/* CONFIG: GET, SET, REWRITE, RESETSTAT over the table of server/config.h. */
#include "common/log.h"
#include "server/call.h"
#include "server/gates.h"
#include "server/info.h"
#include "server/node.h"

/* Errors name at most two pieces of what the client sent, cut short. */
enum { ERROR_MAX_BYTES = 1024 };

struct get_reply {
    struct writer *w;
    int64_t n;
};

static void emit_pair(void *ctx, struct bytes name, struct bytes value)
{
    struct get_reply *g = ctx;
    resp_bulk(g->w, name);
    resp_bulk(g->w, value);
    g->n++;
}

static void cmd_config_get(struct call *c)
{
    struct get_reply g = { .w = c->w };
    struct writer_mark m = resp_later(c->w);
    config_get(node_config(c->node), c->argc - 2, c->argv + 2, emit_pair, &g);
    resp_later_map(c->w, m, g.n);
}

static void cmd_config_set(struct call *c)
{
    if (c->argc % 2) {
        reply_syntax_error(c);
        return;
    }
    bool may =
        gate_protected_ok(c->client, node_options(c->node)->process.enable_protected_configs);
    struct buf error = BUF_INIT(ERROR_MAX_BYTES);
    if (config_set(node_config(c->node), c->argc - 2, c->argv + 2, may, &error) < 0)
        resp_error(c->w, buf_bytes(&error));
    else
        reply_ok(c);
    buf_done(&error);
}

static void cmd_config_rewrite(struct call *c)
{
    struct config *config = node_config(c->node);
    struct buf error = BUF_INIT(ERROR_MAX_BYTES);
    int r = config_rewrite(config, false, &error);
    if (r == 0) {
        log_notice("CONFIG REWRITE executed with success.");
        reply_ok(c);
    } else {
        if (config_file(config))
            log_warning("CONFIG REWRITE failed: %s", strerror(-r));
        resp_error(c->w, buf_bytes(&error));
    }
    buf_done(&error);
}

static void cmd_config_resetstat(struct call *c)
{
    stats_reset_all(c->node);
    reply_ok(c);
}

static void cmd_config_help(struct call *c)
{
    static const char *const lines[] = {
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
        NULL,
    };
    reply_help(c, lines);
}

enum { CONFIG_ADMIN = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE };

static const struct command config_subs[] = {
    { "get", cmd_config_get, -3, CONFIG_ADMIN, NO_KEYS, NULL },
    { "set", cmd_config_set, -4, CONFIG_ADMIN, NO_KEYS, NULL },
    { "rewrite", cmd_config_rewrite, 2, CONFIG_ADMIN, NO_KEYS, NULL },
    { "resetstat", cmd_config_resetstat, 2, CONFIG_ADMIN, NO_KEYS, NULL },
    { "help", cmd_config_help, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    COMMANDS_END,
};

const struct command config_commands[] = {
    { "config", NULL, -2, CMD_CONTAINER, NO_KEYS, config_subs },
    COMMANDS_END,
};
