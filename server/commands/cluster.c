/* CLUSTER: arguments to commands of the machine, and the shorter queries. READONLY READWRITE ASKING. */
#include "server/commands/cluster_cmd.h"

#include "common/arena.h"
#include "common/keyslot.h"
#include "common/num.h"
#include "server/client.h"
#include "server/drivers/cluster.h"
#include "server/node.h"

bool cluster_is_on(struct call *c)
{
    if (node_cluster(c->node))
        return true;
    reply_error(c, "ERR This instance has cluster support disabled");
    return false;
}

const struct cluster *cluster_of(const struct call *c)
{
    return cluster_driver_machine(node_cluster(c->node));
}

bool arg_slot(struct call *c, int i, int *ret_slot)
{
    int64_t slot;
    if (num_parse_i64(c->argv[i], &slot) && slot >= 0 && slot < KEY_SLOTS) {
        *ret_slot = (int)slot;
        return true;
    }
    reply_error(c, "ERR Invalid or out of range slot");
    return false;
}

static void reply_unknown_node(struct call *c, int i)
{
    resp_errorf(c->w, "ERR Unknown node %.*s", (int)(c->argv[i].n < 128 ? c->argv[i].n : 128), c->argv[i].p);
}

const struct cluster_node *arg_node(struct call *c, int i)
{
    const struct cluster_node *n = cluster_find(cluster_of(c), c->argv[i]);
    if (!n)
        reply_unknown_node(c, i);
    return n;
}

static void run(struct call *c, struct cluster_command command)
{
    command.dataset_empty = db_size(ks_db(c->ks, 0)) == 0;
    cluster_driver_command(node_cluster(c->node), c, &command);
    effect_none(c);
}

/* ---- slots ---- */

static void run_slots(struct call *c, enum cluster_command_kind kind, bool ranges)
{
    if (!cluster_is_on(c))
        return;
    if (ranges && c->argc % 2) {
        reply_arity_error(c);
        return;
    }
    int step = ranges ? 2 : 1;
    size_t n = (size_t)(c->argc - 2) / (size_t)step;
    struct cluster_range *list = arena_array(c->arena, n, sizeof(*list));
    for (size_t k = 0; k < n; k++) {
        int i = 2 + (int)k * step;
        if (!arg_slot(c, i, &list[k].first) || !arg_slot(c, i + step - 1, &list[k].last))
            return;
        if (list[k].first > list[k].last) {
            resp_errorf(c->w, "ERR start slot number %d is greater than end slot number %d", list[k].first,
                        list[k].last);
            return;
        }
    }
    run(c, (struct cluster_command){ .kind = kind, .ranges = list, .n_ranges = n });
}

static void cmd_addslots(struct call *c) { run_slots(c, CLUSTER_ADDSLOTS, false); }
static void cmd_addslotsrange(struct call *c) { run_slots(c, CLUSTER_ADDSLOTS, true); }
static void cmd_delslots(struct call *c) { run_slots(c, CLUSTER_DELSLOTS, false); }
static void cmd_delslotsrange(struct call *c) { run_slots(c, CLUSTER_DELSLOTS, true); }

static void cmd_flushslots(struct call *c)
{
    if (cluster_is_on(c))
        run(c, (struct cluster_command){ .kind = CLUSTER_FLUSHSLOTS });
}

static void cmd_setslot(struct call *c)
{
    static const struct {
        const char *word;
        enum cluster_command_kind kind;
        int argc;
    } forms[] = {
        { "migrating", CLUSTER_SETSLOT_MIGRATING, 5 },
        { "importing", CLUSTER_SETSLOT_IMPORTING, 5 },
        { "stable", CLUSTER_SETSLOT_STABLE, 4 },
        { "node", CLUSTER_SETSLOT_NODE, 5 },
    };
    struct cluster_command command = { 0 };
    if (!cluster_is_on(c))
        return;
    if (cluster_is_replica(cluster_of(c))) {
        reply_error(c, "ERR You can use SETSLOT only with masters.");
        return;
    }
    if (!arg_slot(c, 2, &command.slot))
        return;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        if (!arg_is(c, 3, forms[i].word) || c->argc != forms[i].argc)
            continue;
        command.kind = forms[i].kind;
        if (c->argc > 4)
            command.name = c->argv[4];
        command.keys_in_slot = db_slot_size(ks_db(c->ks, 0), (unsigned)command.slot);
        run(c, command);
        return;
    }
    reply_error(c, "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP");
}

static void cmd_keyslot(struct call *c)
{
    if (cluster_is_on(c))
        reply_int(c, key_slot(c->argv[2]));
}

static void cmd_countkeysinslot(struct call *c)
{
    int64_t slot;
    if (!cluster_is_on(c) || !arg_i64(c, 2, &slot))
        return;
    if (slot < 0 || slot >= KEY_SLOTS)
        reply_error(c, "ERR Invalid slot");
    else
        reply_int(c, (int64_t)db_slot_size(ks_db(c->ks, 0), (unsigned)slot));
}

struct gathered {
    struct entry **v;
    uint64_t n, max;
};

static void gather(void *ctx, struct entry *e)
{
    struct gathered *g = ctx;
    if (g->n < g->max)
        g->v[g->n++] = e;
}

static void cmd_getkeysinslot(struct call *c)
{
    int64_t slot, count;
    if (!cluster_is_on(c) || !arg_i64(c, 2, &slot) || !arg_i64(c, 3, &count))
        return;
    if (slot < 0 || slot >= KEY_SLOTS || count < 0) {
        reply_error(c, "ERR Invalid slot or number of keys");
        return;
    }
    struct db *db = ks_db(c->ks, 0);
    uint64_t there = db_slot_size(db, (unsigned)slot), cursor = 0;
    struct gathered g = { .max = (uint64_t)count < there ? (uint64_t)count : there };
    g.v = arena_array(c->arena, g.max + 1, sizeof(*g.v));
    while (g.n < g.max) {
        cursor = db_scan_slot(db, (unsigned)slot, cursor, gather, &g);
        if (!cursor)
            break;
    }
    reply_array(c, (int64_t)g.n);
    for (uint64_t i = 0; i < g.n; i++)
        reply_bulk(c, entry_key(g.v[i]));
}

/* ---- nodes ---- */

static void cmd_meet(struct call *c)
{
    struct cluster_command command = { .kind = CLUSTER_MEET };
    if (!cluster_is_on(c))
        return;
    if (c->argc > 5) {
        reply_subcommand_error(c);
        return;
    }
    command.ip = c->argv[2];
    if (!num_parse_i64(c->argv[3], &command.port)) {
        resp_errorf(c->w, "ERR Invalid base port specified: %.*s", (int)c->argv[3].n, c->argv[3].p);
        return;
    }
    if (c->argc == 5 && !num_parse_i64(c->argv[4], &command.bus_port)) {
        resp_errorf(c->w, "ERR Invalid bus port specified: %.*s", (int)c->argv[4].n, c->argv[4].p);
        return;
    }
    run(c, command);
}

static void run_named(struct call *c, enum cluster_command_kind kind)
{
    if (cluster_is_on(c))
        run(c, (struct cluster_command){ .kind = kind, .name = c->argv[2] });
}

static void cmd_forget(struct call *c) { run_named(c, CLUSTER_FORGET); }
static void cmd_replicate(struct call *c) { run_named(c, CLUSTER_REPLICATE); }

static void cmd_count_failure_reports(struct call *c)
{
    const struct cluster_node *n;
    if (cluster_is_on(c) && (n = arg_node(c, 2)))
        reply_int(c, (int64_t)cluster_failure_reports(cluster_of(c), n));
}

static void cmd_myid(struct call *c)
{
    if (cluster_is_on(c))
        resp_bulk(c->w, bytes_of(cluster_myid(cluster_of(c)), CLUSTER_NAME));
}

static void cmd_myshardid(struct call *c)
{
    if (cluster_is_on(c))
        resp_bulk(c->w, bytes_of(cluster_myshardid(cluster_of(c)), CLUSTER_NAME));
}

/* ---- the node itself ---- */

static void cmd_bumpepoch(struct call *c)
{
    if (cluster_is_on(c))
        run(c, (struct cluster_command){ .kind = CLUSTER_BUMPEPOCH });
}

static void cmd_set_config_epoch(struct call *c)
{
    int64_t epoch;
    if (!cluster_is_on(c) || !arg_i64(c, 2, &epoch))
        return;
    if (epoch < 0)
        resp_errorf(c->w, "ERR Invalid config epoch specified: %lld", (long long)epoch);
    else
        run(c, (struct cluster_command){ .kind = CLUSTER_SET_CONFIG_EPOCH, .epoch = (uint64_t)epoch });
}

static void cmd_saveconfig(struct call *c)
{
    if (cluster_is_on(c))
        run(c, (struct cluster_command){ .kind = CLUSTER_SAVECONFIG });
}

static void cmd_failover(struct call *c)
{
    struct cluster_command command = { .kind = CLUSTER_FAILOVER };
    if (!cluster_is_on(c))
        return;
    if (c->argc > 3)
        reply_subcommand_error(c);
    else if (c->argc == 3 && !arg_is(c, 2, "force") && !arg_is(c, 2, "takeover"))
        reply_syntax_error(c);
    else {
        if (c->argc == 3)
            command.failover = arg_is(c, 2, "force") ? CLUSTER_FAILOVER_FORCE : CLUSTER_FAILOVER_TAKEOVER;
        run(c, command);
    }
}

static void cmd_reset(struct call *c)
{
    if (!cluster_is_on(c))
        return;
    if (c->argc > 3)
        reply_subcommand_error(c);
    else if (c->argc == 3 && !arg_is(c, 2, "hard") && !arg_is(c, 2, "soft"))
        reply_syntax_error(c);
    else
        run(c, (struct cluster_command){ .kind = CLUSTER_RESET, .hard = arg_is(c, 2, "hard") });
}

static void cmd_help(struct call *c)
{
    static const char *const lines[] = {
        "ADDSLOTS <slot> [<slot> ...]",
        "    Assign slots to current node.",
        "ADDSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
        "    Assign slots which are between <start-slot> and <end-slot> to current node.",
        "BUMPEPOCH",
        "    Advance the cluster config epoch.",
        "COUNT-FAILURE-REPORTS <node-id>",
        "    Return number of failure reports for <node-id>.",
        "COUNTKEYSINSLOT <slot>",
        "    Return the number of keys in <slot>.",
        "DELSLOTS <slot> [<slot> ...]",
        "    Delete slots information from current node.",
        "DELSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
        "    Delete slots information which are between <start-slot> and <end-slot> from current node.",
        "EXPLAIN <command> [<arg> ...]",
        "    Return the slots of the command's keys, who serves them, and what this node would answer.",
        "FAILOVER [FORCE|TAKEOVER]",
        "    Promote current replica node to being a master.",
        "FORGET <node-id>",
        "    Remove a node from the cluster.",
        "GETKEYSINSLOT <slot> <count>",
        "    Return key names stored by current node in a slot.",
        "FLUSHSLOTS",
        "    Delete current node own slots information.",
        "INFO",
        "    Return information about the cluster.",
        "KEYSLOT <key>",
        "    Return the hash slot for <key>.",
        "MEET <ip> <port> [<bus-port>]",
        "    Connect nodes into a working cluster.",
        "MYID",
        "    Return the node id.",
        "MYSHARDID",
        "    Return the node's shard id.",
        "NODES",
        "    Return cluster configuration seen by node. Output format:",
        "    <id> <ip:port@bus-port[,hostname]> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...",
        "REPLICATE <node-id>",
        "    Configure current node as replica to <node-id>.",
        "RESET [HARD|SOFT]",
        "    Reset current node (default: soft).",
        "SET-CONFIG-EPOCH <epoch>",
        "    Set config epoch of current node.",
        "SETSLOT <slot> (IMPORTING <node-id>|MIGRATING <node-id>|STABLE|NODE <node-id>)",
        "    Set slot state.",
        "SLOT-STATS SLOTSRANGE <start slot> <end slot>",
        "SLOT-STATS ORDERBY <metric> [LIMIT <limit>] [ASC|DESC]",
        "    Return what was done with the slots of this node.",
        "REPLICAS <node-id>",
        "    Return <node-id> replicas.",
        "SAVECONFIG",
        "    Force saving cluster configuration on disk.",
        "SLOTS",
        "    Return information about slots range mappings. Each range is made of:",
        "    start, end, master and replicas IP addresses, ports and ids",
        "SHARDS",
        "    Return information about slot range mappings and the nodes associated with them.",
        "LINKS",
        "    Return information about all network links between this node and its peers.",
        "    Output format is an array where each array element is a map containing attributes of a link",
        NULL,
    };
    if (cluster_is_on(c))
        reply_help(c, lines);
}

/* ---- of connections ---- */

static void set_flag(struct call *c, unsigned on, unsigned off)
{
    if (!cluster_is_on(c))
        return;
    c->client->flags = (c->client->flags | on) & ~off;
    reply_ok(c);
}

static void cmd_readonly(struct call *c) { set_flag(c, CLIENT_READONLY, 0); }
static void cmd_readwrite(struct call *c) { set_flag(c, 0, CLIENT_READONLY); }
static void cmd_asking(struct call *c) { set_flag(c, CLIENT_ASKING, 0); }

#define ADMIN (CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING)
static const struct command cluster_subs[] = {
    { "addslots", cmd_addslots, -3, ADMIN, NO_KEYS, NULL },
    { "addslotsrange", cmd_addslotsrange, -4, ADMIN, NO_KEYS, NULL },
    { "bumpepoch", cmd_bumpepoch, 2, ADMIN, NO_KEYS, NULL },
    { "count-failure-reports", cmd_count_failure_reports, 3, CMD_ADMIN | CMD_STALE, NO_KEYS, NULL },
    { "countkeysinslot", cmd_countkeysinslot, 3, CMD_STALE, NO_KEYS, NULL },
    { "delslots", cmd_delslots, -3, ADMIN, NO_KEYS, NULL },
    { "delslotsrange", cmd_delslotsrange, -4, ADMIN, NO_KEYS, NULL },
    { "explain", cmd_cluster_explain, -3, CMD_STALE, NO_KEYS, NULL },
    { "failover", cmd_failover, -2, ADMIN, NO_KEYS, NULL },
    { "flushslots", cmd_flushslots, 2, ADMIN, NO_KEYS, NULL },
    { "forget", cmd_forget, 3, ADMIN, NO_KEYS, NULL },
    { "getkeysinslot", cmd_getkeysinslot, 4, CMD_STALE, NO_KEYS, NULL },
    { "help", cmd_help, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    { "info", cmd_cluster_info, 2, CMD_STALE, NO_KEYS, NULL },
    { "keyslot", cmd_keyslot, 3, CMD_STALE, NO_KEYS, NULL },
    { "links", cmd_cluster_links, 2, CMD_STALE, NO_KEYS, NULL },
    { "meet", cmd_meet, -4, ADMIN, NO_KEYS, NULL },
    { "myid", cmd_myid, 2, CMD_STALE, NO_KEYS, NULL },
    { "myshardid", cmd_myshardid, 2, CMD_STALE, NO_KEYS, NULL },
    { "nodes", cmd_cluster_nodes, 2, CMD_STALE, NO_KEYS, NULL },
    { "replicas", cmd_cluster_replicas, 3, CMD_ADMIN | CMD_STALE, NO_KEYS, NULL },
    { "replicate", cmd_replicate, 3, ADMIN, NO_KEYS, NULL },
    { "reset", cmd_reset, -2, CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE, NO_KEYS, NULL },
    { "saveconfig", cmd_saveconfig, 2, ADMIN, NO_KEYS, NULL },
    { "set-config-epoch", cmd_set_config_epoch, 3, ADMIN, NO_KEYS, NULL },
    { "setslot", cmd_setslot, -4, ADMIN, NO_KEYS, NULL },
    { "shards", cmd_cluster_shards, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    { "slaves", cmd_cluster_replicas, 3, CMD_ADMIN | CMD_STALE, NO_KEYS, NULL },
    { "slot-stats", cmd_cluster_slot_stats, -4, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    { "slots", cmd_cluster_slots, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    COMMANDS_END,
};

const struct command cluster_commands[] = {
    { "cluster", NULL, -2, CMD_CONTAINER, NO_KEYS, cluster_subs },
    { "readonly", cmd_readonly, 1, CMD_LOADING | CMD_STALE | CMD_FAST, NO_KEYS, NULL },
    { "readwrite", cmd_readwrite, 1, CMD_LOADING | CMD_STALE | CMD_FAST, NO_KEYS, NULL },
    { "asking", cmd_asking, 1, CMD_FAST, NO_KEYS, NULL },
    COMMANDS_END,
};
