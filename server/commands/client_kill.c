/* CLIENT KILL and CLIENT LIST: choosing clients. */
#include "server/commands/client_cmd.h"

#include "common/num.h"
#include "server/node.h"

/* What a client must be to be chosen; unset fields choose all. */
struct filter {
    struct bytes addr, laddr;
    uint64_t id;
    int type; /* CLIENT_CLASS_*, FILTER_MASTER, or -1 */
    bool user, skip_me;
};

enum { FILTER_MASTER = 100 };

static bool parse_type(struct call *c, int i, int *ret_type)
{
    static const struct {
        const char *name;
        int type;
    } types[] = { { "normal", CLIENT_CLASS_NORMAL },   { "slave", CLIENT_CLASS_REPLICA },
                  { "replica", CLIENT_CLASS_REPLICA }, { "pubsub", CLIENT_CLASS_PUBSUB },
                  { "master", FILTER_MASTER } };
    for (size_t k = 0; k < sizeof(types) / sizeof(*types); k++) {
        if (!arg_is(c, i, types[k].name))
            continue;
        *ret_type = types[k].type;
        return true;
    }
    resp_errorf(c->w, "ERR Unknown client type '%.*s'", (int)c->argv[i].n, c->argv[i].p);
    return false;
}

/* One option and its value at argv[i], argv[i+1]. False after an error reply. */
static bool parse_option(struct call *c, int i, struct filter *f)
{
    struct bytes value = c->argv[i + 1];
    int64_t id;
    if (arg_is(c, i, "id")) {
        if (!num_parse_i64(value, &id)) {
            reply_error(c, "ERR client-id should be greater than 0");
            return false;
        }
        if (id < 1) {
            reply_error(c, "ERR client-id should be greater than 0");
            return false;
        }
        f->id = (uint64_t)id;
    } else if (arg_is(c, i, "type")) {
        return parse_type(c, i + 1, &f->type);
    } else if (arg_is(c, i, "addr")) {
        f->addr = value;
    } else if (arg_is(c, i, "laddr")) {
        f->laddr = value;
    } else if (arg_is(c, i, "user")) {
        if (!bytes_eq(value, BYTES("default"))) {
            resp_errorf(c->w, "ERR No such user '%.*s'", (int)value.n, value.p);
            return false;
        }
        f->user = true;
    } else if (arg_is(c, i, "skipme") && (arg_is(c, i + 1, "yes") || arg_is(c, i + 1, "no"))) {
        f->skip_me = arg_is(c, i + 1, "yes");
    } else {
        reply_syntax_error(c);
        return false;
    }
    return true;
}

static bool chosen(struct client *client, const struct filter *f)
{
    if (f->addr.p && !bytes_eq(f->addr, bytes_of_str(conn_peer_name(client->conn))))
        return false;
    if (f->laddr.p && !bytes_eq(f->laddr, bytes_of_str(conn_local_name(client->conn))))
        return false;
    if (f->id && f->id != client->id)
        return false;
    if (f->type == FILTER_MASTER)
        return client->flags & CLIENT_MASTER;
    return f->type < 0 || f->type == client_class(client);
}

void cmd_client_kill(struct call *c)
{
    struct filter f = { .type = -1, .skip_me = true };
    bool old_form = c->argc == 3;
    if (old_form) {
        f.addr = c->argv[2];
        f.skip_me = false;
    }
    for (int i = 2; !old_form && i < c->argc; i += 2) {
        if (i + 1 == c->argc) {
            reply_syntax_error(c);
            return;
        }
        if (!parse_option(c, i, &f))
            return;
    }
    int64_t killed = 0;
    bool me = false;
    LIST_EACH(clients_list(node_clients(c->node)), n) {
        struct client *client = LIST_ITEM(n, struct client, all);
        if (client_is_closing(client) || !chosen(client, &f) || (client == c->client && f.skip_me))
            continue;
        if (client == c->client)
            me = true;
        else
            client_close(client);
        killed++;
    }
    if (!old_form)
        reply_int(c, killed);
    else if (killed)
        reply_ok(c);
    else
        reply_error(c, "ERR No such client");
    if (me)
        client_close_after_reply(c->client);
}

static void list_line(struct client *client, struct buf *out)
{
    client_describe(client, out);
    buf_append_char(out, '\n');
}

/* LIST ID id ...: in the order asked. False after an error reply. */
static bool list_ids(struct call *c, struct buf *out)
{
    for (int i = 3; i < c->argc; i++) {
        int64_t id;
        if (!num_parse_i64(c->argv[i], &id)) {
            reply_error(c, "ERR Invalid client ID");
            return false;
        }
        struct client *client = client_by_id(node_clients(c->node), (uint64_t)id);
        if (client && !client_is_closing(client))
            list_line(client, out);
    }
    return true;
}

void cmd_client_list(struct call *c)
{
    struct buf out = BUF_INIT(BUF_UNLIMITED);
    struct filter f = { .type = -1 };
    if (c->argc >= 4 && arg_is(c, 2, "id")) {
        if (list_ids(c, &out))
            resp_verbatim(c->w, "txt", buf_bytes(&out));
        buf_done(&out);
        return;
    }
    if (c->argc == 4 && arg_is(c, 2, "type")) {
        if (!parse_type(c, 3, &f.type))
            return;
    } else if (c->argc != 2) {
        reply_syntax_error(c);
        return;
    }
    LIST_EACH(clients_list(node_clients(c->node)), n) {
        struct client *client = LIST_ITEM(n, struct client, all);
        if (!client_is_closing(client) && chosen(client, &f))
            list_line(client, &out);
    }
    resp_verbatim(c->w, "txt", buf_bytes(&out));
    buf_done(&out);
}
