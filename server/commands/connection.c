/* AUTH HELLO QUIT RESET SELECT. CLIENT is client_cmd.c, PING and ECHO are ping.c. */
#include <stdio.h>

#include "common/num.h"
#include "server/call.h"
#include "server/node.h"
#include "server/stats.h"
#include "server/version.h"

static const char wrong_pass[] = "WRONGPASS invalid username-password pair or user is disabled.";

/* Takes the same time wherever the difference is. */
static bool same_secret(struct bytes given, const char *secret)
{
    size_t n = strlen(secret);
    unsigned diff = given.n != n;
    for (size_t i = 0; i < given.n; i++)
        diff |= (unsigned char)given.p[i] ^ (unsigned char)secret[n ? i % n : 0];
    return diff == 0;
}

/* There is one user, `default`; without a password it lets everybody in. */
static bool authenticate(struct call *c, struct bytes user, struct bytes pass)
{
    const char *secret = node_options(c->node)->client.requirepass;
    if (bytes_eq(user, BYTES("default")) && (secret[0] == '\0' || same_secret(pass, secret))) {
        c->client->flags |= CLIENT_AUTHENTICATED;
        return true;
    }
    node_stats(c->node)->denied_auth++;
    return false;
}

static void cmd_auth(struct call *c)
{
    if (c->argc > 3) {
        reply_syntax_error(c);
        return;
    }
    if (c->argc == 2 && node_options(c->node)->client.requirepass[0] == '\0') {
        reply_error(c, "ERR AUTH <password> called without any password configured for the default user. Are you sure "
                       "your configuration is correct?");
        return;
    }
    for (int i = 1; i < c->argc; i++)
        call_redact(c, i);
    struct bytes user = c->argc == 3 ? c->argv[1] : BYTES("default");
    if (authenticate(c, user, c->argv[c->argc - 1]))
        reply_ok(c);
    else
        reply_error(c, wrong_pass);
}

struct hello {
    int64_t proto;
    struct bytes user, pass, name;
    bool auth, set_name;
};

/* False after an error reply. */
static bool parse_hello(struct call *c, struct hello *h)
{
    h->proto = c->client->resp;
    if (c->argc >= 2) {
        if (!num_parse_i64(c->argv[1], &h->proto)) {
            reply_error(c, "ERR Protocol version is not an integer or out of range");
            return false;
        }
        if (h->proto < 2 || h->proto > 3) {
            reply_error(c, "NOPROTO unsupported protocol version");
            return false;
        }
    }
    for (int i = 2; i < c->argc; i++) {
        int more = c->argc - 1 - i;
        if (arg_is(c, i, "auth") && more >= 2) {
            h->auth = true;
            h->user = c->argv[i + 1];
            h->pass = c->argv[i + 2];
            call_redact(c, i + 1);
            call_redact(c, i + 2);
            i += 2;
        } else if (arg_is(c, i, "setname") && more >= 1) {
            h->set_name = true;
            h->name = c->argv[i + 1];
            if (!client_text_ok(h->name)) {
                reply_error(c, "ERR Client names cannot contain spaces, newlines or special characters.");
                return false;
            }
            i++;
        } else {
            resp_errorf(c->w, "ERR Syntax error in HELLO option '%.*s'", (int)c->argv[i].n, c->argv[i].p);
            return false;
        }
    }
    return true;
}

static void cmd_hello(struct call *c)
{
    struct hello h = { 0 };
    if (!parse_hello(c, &h))
        return;
    if (h.auth && !authenticate(c, h.user, h.pass)) {
        reply_error(c, wrong_pass);
        return;
    }
    if (!(c->client->flags & CLIENT_AUTHENTICATED)) {
        reply_error(c, "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> "
                       "AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol "
                       "version at the same time");
        return;
    }
    if (h.set_name)
        client_set_name(c->client, h.name);
    c->client->resp = (uint8_t)h.proto;
    c->w = client_writer(c->client);
    resp_map(c->w, 7);
    resp_bulk_str(c->w, "server");
    resp_bulk_str(c->w, "redis");
    resp_bulk_str(c->w, "version");
    resp_bulk_str(c->w, REDIS_VERSION);
    resp_bulk_str(c->w, "proto");
    resp_int(c->w, h.proto);
    resp_bulk_str(c->w, "id");
    resp_int(c->w, (int64_t)c->client->id);
    resp_bulk_str(c->w, "mode");
    resp_bulk_str(c->w, ks_by_slot(c->ks) ? "cluster" : "standalone");
    resp_bulk_str(c->w, "role");
    resp_bulk_str(c->w, "master");
    resp_bulk_str(c->w, "modules");
    resp_empty_array(c->w);
}

static void cmd_quit(struct call *c)
{
    reply_ok(c);
    client_close_after_reply(c->client);
}

static void cmd_reset(struct call *c)
{
    if (c->client->flags & (CLIENT_REPLICA | CLIENT_MASTER)) {
        reply_error(c, "ERR can only reset normal client connections");
        return;
    }
    client_reset(c->client);
    c->w = client_writer(c->client);
    resp_simple_str(c->w, "RESET");
}

static void cmd_select(struct call *c)
{
    int64_t id;
    if (!arg_i64_range(c, 1, INT32_MIN, INT32_MAX, &id))
        return;
    if (ks_by_slot(c->ks) && id != 0) {
        reply_error(c, "ERR SELECT is not allowed in cluster mode");
        return;
    }
    if (id < 0 || id >= ks_databases(c->ks)) {
        reply_error(c, "ERR DB index is out of range");
        return;
    }
    c->client->db = ks_db(c->ks, (int)id);
    reply_ok(c);
}

#define FLAGS (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY)
const struct command connection_commands[] = {
    { "auth", cmd_auth, -2, FLAGS, NO_KEYS, NULL },
    { "hello", cmd_hello, -1, FLAGS, NO_KEYS, NULL },
    { "quit", cmd_quit, -1, FLAGS, NO_KEYS, NULL },
    { "reset", cmd_reset, 1, FLAGS, NO_KEYS, NULL },
    { "select", cmd_select, 2, CMD_LOADING | CMD_STALE | CMD_FAST, NO_KEYS, NULL },
    COMMANDS_END,
};
