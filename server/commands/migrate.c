/* MIGRATE: arguments, and what of them is here; server/migrate.c does the rest.
 *
 * It waits for another server, so unlike in Redis it cannot be part of a transaction or of a script. */
#include "common/arena.h"
#include "server/migrate.h"
#include "server/node.h"

enum { TIMEOUT_DEFAULT_MS = 1000 };

static const char err_keys_text[] =
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string";

struct keys_at {
    int first, n; /* arguments */
};

static bool parse_auth(struct call *c, int *i, struct migrate_request *q)
{
    bool with_user = arg_is(c, *i, "AUTH2");
    if (*i + 1 + with_user >= c->argc) {
        reply_syntax_error(c);
        return false;
    }
    q->user = with_user ? c->argv[++*i] : BYTES("");
    q->password = c->argv[++*i];
    if (with_user)
        call_redact(c, *i - 1);
    call_redact(c, *i);
    return true;
}

static bool parse_options(struct call *c, struct migrate_request *q, struct keys_at *keys)
{
    *keys = (struct keys_at){ 3, 1 };
    for (int i = 6; i < c->argc; i++) {
        if (arg_is(c, i, "COPY")) {
            q->copy = true;
        } else if (arg_is(c, i, "REPLACE")) {
            q->replace = true;
        } else if (arg_is(c, i, "AUTH") || arg_is(c, i, "AUTH2")) {
            if (!parse_auth(c, &i, q))
                return false;
        } else if (arg_is(c, i, "KEYS")) {
            if (c->argv[3].n) {
                reply_error(c, err_keys_text);
                return false;
            }
            *keys = (struct keys_at){ i + 1, c->argc - i - 1 };
            break;
        } else {
            reply_syntax_error(c);
            return false;
        }
    }
    return true;
}

static bool parse_numbers(struct call *c, struct migrate_request *q)
{
    int64_t timeout, db;
    if (!arg_i64(c, 5, &timeout) || !arg_i64(c, 4, &db))
        return false;
    q->timeout = timeout > 0 ? timeout : TIMEOUT_DEFAULT_MS;
    q->db = db < 0 || db > INT32_MAX ? INT32_MAX : (int)db; /* the other side knows how many it has */
    return true;
}

/* The port as atoi reads it: what is no number leads nowhere, which the connection then says. */
static int parse_port(struct bytes text)
{
    int port = 0;
    for (size_t i = 0; i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && port <= UINT16_MAX; i++)
        port = port * 10 + text.p[i] - '0';
    return port <= UINT16_MAX ? port : 0;
}

static void cmd_migrate(struct call *c)
{
    struct migrate_request q = { .keys_n = 0 };
    struct keys_at keys;
    if (!parse_options(c, &q, &keys) || !parse_numbers(c, &q))
        return;
    struct bytes *here = arena_array(c->arena, (size_t)keys.n + 1, sizeof(*here));
    for (int i = 0; i < keys.n; i++)
        if (ks_read(c->db, c->argv[keys.first + i]))
            here[q.keys_n++] = c->argv[keys.first + i];
    if (q.keys_n == 0) {
        resp_simple_str(c->w, "NOKEY");
        return;
    }
    if (!call_may_block(c)) {
        reply_error(c, "ERR MIGRATE waits for another server: not in a transaction or script");
        return;
    }
    char *host = arena_array(c->arena, c->argv[1].n + 1, 1);
    memcpy(host, c->argv[1].p, c->argv[1].n);
    host[c->argv[1].n] = '\0';
    q.host = host;
    q.port = parse_port(c->argv[2]);
    q.keys = here;
    migrate_begin(c, &q);
}

const struct command migrate_commands[] = {
    { "migrate", cmd_migrate, -6, CMD_WRITE | CMD_MOVABLE_KEYS, KEYS_AT(3, 3, 1), NULL },
    COMMANDS_END,
};
