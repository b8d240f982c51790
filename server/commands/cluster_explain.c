/* CLUSTER EXPLAIN <command> [<arg> ...]: the slots of its keys, who serves them, and what this node would answer. Runs
 * nothing. */
#include "common/keyslot.h"
#include "server/client.h"
#include "server/commands/cluster_cmd.h"
#include "server/route.h"

static void pair(struct call *c, const char *name, struct bytes value)
{
    resp_bulk_str(c->w, name);
    reply_bulk(c, value);
}

static void reply_owner(struct call *c, unsigned slot)
{
    const struct cluster *machine = cluster_of(c);
    const struct cluster_node *owner = cluster_owner(machine, slot);
    resp_bulk_str(c->w, "owner");
    if (!owner) {
        reply_null(c);
        return;
    }
    struct cluster_node_view v;
    cluster_view(machine, owner, &v);
    struct buf b = BUF_INIT(1024);
    (void)buf_printf(&b, "%.40s %s:%d", v.name, v.ip, v.port);
    reply_bulk(c, buf_bytes(&b));
    buf_done(&b);
}

static const char *state_of(const struct cluster *machine, unsigned slot)
{
    if (cluster_migrating_to(machine, slot))
        return "migrating";
    return cluster_importing_from(machine, slot) ? "importing" : "stable";
}

static void reply_key(struct call *c, struct bytes key)
{
    unsigned slot = key_slot(key);
    resp_map(c->w, 5);
    pair(c, "key", key);
    pair(c, "hashed", key_hashed_part(key));
    resp_bulk_str(c->w, "slot");
    reply_int(c, slot);
    reply_owner(c, slot);
    pair(c, "state", bytes_of_str(state_of(cluster_of(c), slot)));
}

static void reply_keys(struct call *c, const struct command_entry *cmd, int argc, const struct bytes *argv)
{
    struct key_refs keys;
    resp_bulk_str(c->w, "keys");
    if (command_keys(cmd, argv, argc, &keys) < 0) {
        resp_empty_array(c->w);
        return;
    }
    reply_array(c, keys.n);
    for (int i = 0; i < keys.n; i++)
        reply_key(c, argv[keys.refs[i].index]);
    key_refs_done(&keys);
}

void cmd_cluster_explain(struct call *c)
{
    if (!cluster_is_on(c))
        return;
    const struct bytes *argv = c->argv + 2;
    int argc = c->argc - 2;
    struct command_entry *cmd = command_resolve(argv, argc);
    if (!cmd || (cmd->row->flags & CMD_CONTAINER)) {
        reply_error(c, "ERR Invalid command specified");
        return;
    }
    if (!command_arity_ok(cmd->row, argc)) {
        reply_error(c, "ERR Invalid number of arguments specified for command");
        return;
    }
    struct route r;
    struct cluster_redirect redirect = { 0 };
    enum cluster_route answer = CLUSTER_ROUTE_SERVE;
    route_find(c->client, cmd, argc, argv, NULL, &r);
    if (r.slot != ROUTE_NO_KEYS)
        answer = route_decide(c->client, cmd, argc, argv, &r, &redirect);
    struct buf text = BUF_INIT(BUF_UNLIMITED);
    if (answer != CLUSTER_ROUTE_SERVE)
        route_write_error(c->client, answer, &r, &redirect, &text);
    resp_map(c->w, 4);
    pair(c, "command", bytes_of_str(cmd->full_name));
    reply_keys(c, cmd, argc, argv);
    pair(c, "runs", answer == CLUSTER_ROUTE_SERVE ? BYTES("yes") : BYTES("no"));
    resp_bulk_str(c->w, "answer");
    if (text.n)
        reply_bulk(c, buf_bytes(&text));
    else
        reply_null(c);
    buf_done(&text);
}
