/* PING and ECHO. */
#include "server/call.h"
#include "server/client.h"

static void cmd_ping(struct call *c)
{
    if (c->argc > 2) {
        reply_arity_error(c);
        return;
    }
    if (client_in_subscriber_mode(c->client)) {
        reply_array(c, 2);
        resp_bulk_str(c->w, "pong");
        reply_bulk(c, c->argc == 2 ? c->argv[1] : BYTES(""));
    } else if (c->argc == 2)
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
