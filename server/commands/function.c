/* FUNCTION of a server that has no engine to run libraries: there are none, so none are listed, dumped or deleted, and
 * a payload is restored when nothing is in it. redis-cli --cluster add-node asks for that before a node may join. */
#include "common/crc64.h"
#include "server/call.h"
#include "server/persist/rdb_format.h"
#include "server/persist/rdb_load.h"

static void cmd_list(struct call *c)
{
    bool named = false, code = false;
    for (int i = 2; i < c->argc; i++) {
        if (!code && arg_is(c, i, "withcode")) {
            code = true;
        } else if (!named && arg_is(c, i, "libraryname")) {
            named = true;
            if (++i == c->argc) {
                reply_error(c, "ERR library name argument was not given");
                return;
            }
        } else {
            resp_errorf(c->w, "ERR Unknown argument %.*s", (int)c->argv[i].n, c->argv[i].p);
            return;
        }
    }
    resp_empty_array(c->w);
}

/* Version and checksum behind nothing. */
static void cmd_dump(struct call *c)
{
    uint8_t payload[RDB_DUMP_FOOTER];
    const uint16_t version = RDB_VERSION_7_0;
    memcpy(payload, &version, sizeof version);
    uint64_t crc = crc64(0, bytes_of(payload, sizeof version));
    memcpy(payload + sizeof version, &crc, sizeof crc);
    reply_bulk(c, bytes_of(payload, sizeof payload));
}

static void cmd_restore(struct call *c)
{
    struct bytes body;
    if (c->argc > 4) {
        reply_subcommand_error(c);
        return;
    }
    if (c->argc == 4 && !arg_is(c, 3, "append") && !arg_is(c, 3, "replace") && !arg_is(c, 3, "flush")) {
        reply_error(c, "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.");
        return;
    }
    if (!rdb_dump_check(c->argv[2], &body))
        reply_error(c, "ERR DUMP payload version or checksum are wrong");
    else if (body.n)
        reply_error(c, "ERR libraries of functions are not supported");
    else {
        effect_none(c);
        reply_ok(c);
    }
}

static void cmd_flush(struct call *c)
{
    if (c->argc > 3 || (c->argc == 3 && !arg_is(c, 2, "sync") && !arg_is(c, 2, "async"))) {
        reply_error(c, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
        return;
    }
    effect_none(c);
    reply_ok(c);
}

static void cmd_delete(struct call *c)
{
    reply_error(c, "ERR Library not found");
}

static void cmd_help(struct call *c)
{
    static const char *const lines[] = {
        "DELETE <LIBRARY NAME>",
        "    Delete the given library.",
        "DUMP",
        "    Return a serialized payload representing the current libraries.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all the libraries.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Return general information on all the libraries.",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Restore the libraries represented by the given payload: only one without libraries.",
        NULL,
    };
    reply_help(c, lines);
}

static const struct command function_subs[] = {
    { "delete", cmd_delete, 3, CMD_WRITE | CMD_NOSCRIPT, NO_KEYS, NULL },
    { "dump", cmd_dump, 2, CMD_NOSCRIPT, NO_KEYS, NULL },
    { "flush", cmd_flush, -2, CMD_WRITE | CMD_NOSCRIPT, NO_KEYS, NULL },
    { "help", cmd_help, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    { "list", cmd_list, -2, CMD_NOSCRIPT, NO_KEYS, NULL },
    { "restore", cmd_restore, -3, CMD_WRITE | CMD_DENY_OOM | CMD_NOSCRIPT, NO_KEYS, NULL },
    COMMANDS_END,
};

const struct command function_commands[] = {
    { "function", NULL, -2, CMD_CONTAINER, NO_KEYS, function_subs },
    COMMANDS_END,
};
