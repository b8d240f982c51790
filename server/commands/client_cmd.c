/* CLIENT and its subcommands, but KILL and LIST's filters (client_kill.c) and tracking (client_tracking.c). */
#include "server/commands/client_cmd.h"

#include "common/alloc.h"
#include "common/num.h"
#include "server/blocked.h"
#include "server/dispatch.h"
#include "server/node.h"
#include "server/waiting.h"

static void cmd_client_getname(struct call *c)
{
    if (c->client->name)
        resp_bulk_str(c->w, c->client->name);
    else
        reply_null(c);
}

static void cmd_client_setname(struct call *c)
{
    if (client_set_name(c->client, c->argv[2]) < 0)
        reply_error(c, "ERR Client names cannot contain spaces, newlines or special characters.");
    else
        reply_ok(c);
}

static void cmd_client_setinfo(struct call *c)
{
    bool name = arg_is(c, 2, "lib-name");
    if (!name && !arg_is(c, 2, "lib-ver")) {
        resp_errorf(c->w, "ERR Unrecognized option '%.*s'", (int)c->argv[2].n, c->argv[2].p);
        return;
    }
    struct bytes text = c->argv[3];
    if (!client_text_ok(text)) {
        resp_errorf(c->w, "ERR %.*s cannot contain spaces, newlines or special characters.",
                    (int)c->argv[2].n, c->argv[2].p);
        return;
    }
    char **slot = name ? &c->client->lib_name : &c->client->lib_ver;
    mem_free(*slot);
    *slot = NULL;
    if (text.n) {
        *slot = mem_alloc(text.n + 1);
        memcpy(*slot, text.p, text.n);
        (*slot)[text.n] = '\0';
    }
    reply_ok(c);
}

static void cmd_client_id(struct call *c)
{
    reply_int(c, (int64_t)c->client->id);
}

static void cmd_client_info(struct call *c)
{
    struct buf line = BUF_INIT(BUF_UNLIMITED);
    client_describe(c->client, &line);
    buf_append_char(&line, '\n');
    resp_verbatim(c->w, "txt", buf_bytes(&line));
    buf_done(&line);
}

static void cmd_client_reply(struct call *c)
{
    struct client *client = c->client;
    if (arg_is(c, 2, "on")) {
        client->flags &= ~(unsigned)(CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT);
        c->w = client_writer(client);
        reply_ok(c);
    } else if (arg_is(c, 2, "off")) {
        client->flags |= CLIENT_REPLY_OFF;
    } else if (arg_is(c, 2, "skip")) {
        if (!(client->flags & CLIENT_REPLY_OFF))
            client->flags |= CLIENT_REPLY_SKIP_NEXT;
    } else {
        reply_syntax_error(c);
    }
}

/* ON or OFF at argv[2] into a flag. */
static void set_flag(struct call *c, unsigned flag)
{
    if (arg_is(c, 2, "on"))
        c->client->flags |= flag;
    else if (arg_is(c, 2, "off"))
        c->client->flags &= ~flag;
    else {
        reply_syntax_error(c);
        return;
    }
    reply_ok(c);
}

static void cmd_client_no_evict(struct call *c)
{
    set_flag(c, CLIENT_NO_EVICT);
}

static void cmd_client_no_touch(struct call *c)
{
    set_flag(c, CLIENT_NO_TOUCH);
}

static void cmd_client_unblock(struct call *c)
{
    bool error = arg_is(c, 3, "error");
    if (c->argc > 4) {
        reply_subcommand_error(c);
        return;
    }
    if (c->argc == 4 && !error && !arg_is(c, 3, "timeout")) {
        reply_error(c, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return;
    }
    int64_t id;
    if (!arg_i64(c, 2, &id))
        return;
    struct client *target = client_by_id(node_clients(c->node), (uint64_t)id);
    bool done = target && (blocked_unblock(node_blocked(c->node), target, error) ||
                           waiting_unblock(node_waiting(c->node), target, error));
    c->w = client_writer(c->client); /* the other client was written to */
    reply_int(c, done);
}

static void cmd_client_pause(struct call *c)
{
    enum pause_kind kind = PAUSE_ALL;
    if (c->argc > 4) {
        reply_subcommand_error(c);
        return;
    }
    if (c->argc == 4) {
        if (arg_is(c, 3, "write"))
            kind = PAUSE_WRITE;
        else if (!arg_is(c, 3, "all")) {
            reply_error(c, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
    }
    int64_t ms;
    msec_t now = io_now_monotonic(node_io(c->node)) / 1000;
    if (!num_parse_i64(c->argv[2], &ms) || ms > INT64_MAX - now) {
        reply_error(c, "ERR timeout is not an integer or out of range");
        return;
    }
    if (ms < 0) {
        reply_error(c, "ERR timeout is negative");
        return;
    }
    dispatch_pause(node_dispatch(c->node), PAUSE_BY_COMMAND, kind, now + ms);
    reply_ok(c);
}

static void cmd_client_unpause(struct call *c)
{
    dispatch_unpause(node_dispatch(c->node), PAUSE_BY_COMMAND);
    reply_ok(c);
}

static void cmd_client_help(struct call *c)
{
    static const char *const lines[] = {
        "CACHING (YES|NO)",
        "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
        "GETREDIR",
        "    Return the client ID we are redirecting to when tracking is enabled.",
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>",
        "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made from the specified address",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made to specified local address",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Kill connections by type.",
        "    * USER <username>",
        "      Kill connections authenticated by <username>.",
        "    * SKIPME (YES|NO)",
        "      Skip killing current connection (default: yes).",
        "LIST [options ...]",
        "    Return information about client connections. Options:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Return clients of specified type.",
        "UNPAUSE",
        "    Stop the current client pause, resuming traffic.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "SETINFO <option> <value>",
        "    Set client meta attr. Options are:",
        "    * LIB-NAME: the client lib name.",
        "    * LIB-VER: the client lib version.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Unblock the specified blocked client.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Control server assisted client side caching.",
        "TRACKINGINFO",
        "    Report tracking status for the current connection.",
        "NO-EVICT (ON|OFF)",
        "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Will not touch LRU/LFU stats when this mode is on.",
        NULL,
    };
    reply_help(c, lines);
}

#define OWN (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)
#define ADMIN (CMD_ADMIN | OWN)
static const struct command client_subs[] = {
    { "caching", cmd_client_caching, 3, OWN, NO_KEYS, NULL },
    { "getname", cmd_client_getname, 2, OWN, NO_KEYS, NULL },
    { "getredir", cmd_client_getredir, 2, OWN, NO_KEYS, NULL },
    { "help", cmd_client_help, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    { "id", cmd_client_id, 2, OWN, NO_KEYS, NULL },
    { "info", cmd_client_info, 2, OWN, NO_KEYS, NULL },
    { "kill", cmd_client_kill, -3, ADMIN, NO_KEYS, NULL },
    { "list", cmd_client_list, -2, ADMIN, NO_KEYS, NULL },
    { "no-evict", cmd_client_no_evict, 3, ADMIN, NO_KEYS, NULL },
    { "no-touch", cmd_client_no_touch, 3, OWN, NO_KEYS, NULL },
    { "pause", cmd_client_pause, -3, ADMIN, NO_KEYS, NULL },
    { "reply", cmd_client_reply, 3, OWN, NO_KEYS, NULL },
    { "setinfo", cmd_client_setinfo, 4, OWN, NO_KEYS, NULL },
    { "setname", cmd_client_setname, 3, OWN, NO_KEYS, NULL },
    { "tracking", cmd_client_tracking, -3, OWN, NO_KEYS, NULL },
    { "trackinginfo", cmd_client_trackinginfo, 2, OWN, NO_KEYS, NULL },
    { "unblock", cmd_client_unblock, -3, ADMIN, NO_KEYS, NULL },
    { "unpause", cmd_client_unpause, 2, ADMIN, NO_KEYS, NULL },
    COMMANDS_END,
};

const struct command client_commands[] = {
    { "client", NULL, -2, CMD_CONTAINER, NO_KEYS, client_subs },
    COMMANDS_END,
};
