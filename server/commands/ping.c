/* PING and ECHO: the smallest family, and the example for others. PING of a RESP2 subscriber is
 * answered by pub/sub. */
#include "server/call.h"

static void cmd_ping(struct call *c)
{
    if (c->argc > 2) {
        reply_arity_error(c);
        return;
    }
    if (c->argc == 2)
        reply_bulk(c, c->argv[1]);
    else
        resp_simple_str(c->w, "PONG");
}

static void cmd_echo(struct call *c)
{
    reply_bulk(c, c->argv[1]);
}

const struct command ping_commands[] = {
    { "ping", cmd_ping, -1, CMD_FAST, NO_KEYS, NULL },
    { "echo", cmd_echo, 2, CMD_LOADING | CMD_STALE | CMD_FAST, NO_KEYS, NULL },
    COMMANDS_END,
};
