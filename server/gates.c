/* The gates of dispatch (see gates.h). The texts are Redis 7.2's. */
#include "server/gates.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/log.h"
#include "server/drivers/replication.h"
#include "server/multi.h"
#include "server/node.h"
#include "server/pubsub.h"
#include "server/route.h"

static const char loading_text[] = "LOADING Redis is loading the dataset in memory";
static const char misconf_text[] =
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that "
    "may modify the data set are disabled, because this instance is configured to report errors during writes if RDB "
    "snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB "
    "error.";
static const char oom_text[] = "OOM command not allowed when used memory > 'maxmemory'.";

static bool is_row(const struct command_entry *cmd, const char *name)
{
    return !cmd->parent && strcmp(cmd->row->name, name) == 0;
}

bool gate_is_exec(const struct command_entry *cmd)
{
    return is_row(cmd, "exec");
}

bool gate_queues(const struct command_entry *cmd)
{
    static const char *const run_at_once[] = { "exec", "discard", "multi", "watch", "quit", "reset" };
    if (!(cmd->row->flags & CMD_NOSCRIPT))
        return true; /* all six have the flag */
    for (size_t i = 0; i < sizeof(run_at_once) / sizeof(*run_at_once); i++)
        if (is_row(cmd, run_at_once[i]))
            return false;
    return true;
}

/* Refuses with `text`. The refusal of EXEC itself ends its transaction. */
static bool refuse(struct client *client, struct command_entry *cmd, const char *text)
{
    struct writer *w = client_writer(client);
    if (cmd)
        cmd->stats->rejected++;
    if (client->flags & CLIENT_MULTI)
        client->flags |= CLIENT_DIRTY_EXEC;
    if (!cmd || !gate_is_exec(cmd)) {
        resp_error_str(w, text);
        return false;
    }
    multi_discard(client);
    watch_drop_all(node_watches(client->node), client);
    resp_errorf(w, "EXECABORT Transaction discarded because of: %s", strncmp(text, "ERR ", 4) == 0 ? text + 4 : text);
    return false;
}

/* "ERR unknown command 'x', with args beginning with: 'a' 'b' ": name and arguments are each cut at 128 bytes. */
static bool refuse_unknown(struct client *client, int argc, const struct bytes *argv)
{
    if (bytes_is(argv[0], "post") || bytes_is(argv[0], "host:")) {
        log_warning("Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to "
                    "Ouro. This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise "
                    "your Ouro instance. Connection from %s aborted.",
                    conn_peer_name(client->conn));
        client_close(client);
        return false;
    }
    enum { CUT = 128 };
    char args[CUT + 8];
    size_t n = 0;
    for (int i = 1; i < argc && n < CUT; i++) {
        size_t take = strnlen(argv[i].p, argv[i].n < CUT - n ? argv[i].n : CUT - n); /* as far as its first NUL */
        args[n++] = '\'';
        memcpy(args + n, argv[i].p, take);
        n += take;
        args[n++] = '\'';
        args[n++] = ' ';
    }
    struct buf b = BUF_INIT(1024);
    buf_append_str(&b, "ERR unknown command '");
    buf_append(&b, bytes_of(argv[0].p, strnlen(argv[0].p, argv[0].n < CUT ? argv[0].n : CUT)));
    buf_append_str(&b, "', with args beginning with: ");
    buf_append(&b, bytes_of(args, n));
    if (client->flags & CLIENT_MULTI)
        client->flags |= CLIENT_DIRTY_EXEC;
    resp_error(client_writer(client), buf_bytes(&b));
    buf_done(&b);
    return false;
}

static bool refuse_subcommand(struct client *client, struct command_entry *cmd, struct bytes sub)
{
    char upper[64];
    size_t n = 0;
    for (const char *s = cmd->row->name; *s && n < sizeof(upper) - 1; s++)
        upper[n++] = (char)(*s >= 'a' && *s <= 'z' ? *s - 32 : *s);
    upper[n] = '\0';
    char text[256];
    snprintf(text, sizeof(text), "ERR unknown subcommand '%.*s'. Try %s HELP.", (int)(sub.n < 128 ? sub.n : 128), sub.p,
             upper);
    return refuse(client, cmd, text);
}

bool gate_protected_ok(struct client *client, int mode)
{
    return mode == PROTECTED_YES || (mode == PROTECTED_LOCAL && conn_is_loopback(client->conn));
}

/* What is wrong with the request itself; true when nothing is. */
static bool known_and_shaped(struct client *client, struct command_entry *cmd, int argc, const struct bytes *argv)
{
    if (__builtin_expect(!cmd, 0))
        return refuse_unknown(client, argc, argv);
    if ((cmd->row->flags & CMD_CONTAINER) && argc > 1)
        return refuse_subcommand(client, cmd, argv[1]);
    if (__builtin_expect(command_arity_ok(cmd->row, argc), 1))
        return true;
    char text[160];
    snprintf(text, sizeof(text), "ERR wrong number of arguments for '%s' command", cmd->full_name);
    return refuse(client, cmd, text);
}

static bool protected_passes(struct client *client, struct command_entry *cmd)
{
    const struct command_entry *top = cmd->parent ? cmd->parent : cmd;
    if (!is_row(top, "debug") ||
        gate_protected_ok(client, node_options(client->node)->process.enable_debug_command))
        return true;
    return refuse(client, cmd,
                  "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run "
                  "it from a local connection, otherwise you need to set this option in the configuration file, and "
                  "then restart the server.");
}

static bool memory_passes(struct client *client, struct command_entry *cmd)
{
    struct node *node = client->node;
    struct keyspace *ks = node_keyspace(node);
    if (ks_config(ks)->maxmemory == 0 || replication_leaves_eviction(node_replication(node)))
        return true;
    if (ks_evict(ks, node_not_counted_memory(node), clock_monotonic_us) != EVICT_FAIL)
        return true;
    bool deny = cmd->row->flags & CMD_DENY_OOM;
    if (gate_is_exec(cmd))
        deny = multi_has_flags(client, CMD_DENY_OOM);
    else if (client->flags & CLIENT_MULTI) /* queueing would take memory without bound */
        deny = gate_queues(cmd);
    return !deny || refuse(client, cmd, oom_text);
}

/* The command, or one of those that EXEC runs, has one of the flags. */
static bool does(const struct client *client, const struct command_entry *cmd, unsigned flags)
{
    return (cmd->row->flags & flags) || (gate_is_exec(cmd) && multi_has_flags(client, flags));
}

static bool disk_passes(struct client *client, struct command_entry *cmd, unsigned gates)
{
    if (!(gates & GATE_MISCONF) || !(does(client, cmd, CMD_WRITE) || is_row(cmd, "ping")))
        return true;
    if (replication_is_replica(node_replication(client->node)))
        return true; /* its master has the data */
    return refuse(client, cmd, misconf_text);
}

/* May data be changed here and now: enough good replicas, and not a replica's read-only data. */
static bool takes_write(struct client *client, struct command_entry *cmd, unsigned gates)
{
    struct replication *rep = node_replication(client->node);
    if (!(gates & GATE_REPLICATION) || !does(client, cmd, CMD_WRITE))
        return true;
    if (!replication_has_good_replicas(rep))
        return refuse(client, cmd, "NOREPLICAS Not enough good replicas to write.");
    if (replication_is_replica(rep) && node_options(client->node)->replication.replica_read_only)
        return refuse(client, cmd, "READONLY You can't write against a read only replica.");
    return true;
}

/* May a replica's data be shown: the link is up or nobody minds, and they are young enough. */
static bool gives_answer(struct client *client, struct command_entry *cmd, unsigned gates)
{
    struct replication *rep = node_replication(client->node);
    if (!(gates & GATE_REPLICATION))
        return true;
    bool stale_ok = (cmd->row->flags & CMD_STALE) && !(gate_is_exec(cmd) && multi_lacks_flags(client, CMD_STALE));
    if (!stale_ok && replication_is_stale(rep))
        return refuse(client, cmd,
                      "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.");
    if (replication_too_old(rep) && does(client, cmd, CMD_READ))
        return refuse(client, cmd, "STALE The data of this replica are older than replica-max-staleness-ms allows.");
    if ((client->flags & CLIENT_REPLICA) && (cmd->row->flags & (CMD_WRITE | CMD_READ | CMD_MAY_REPLICATE)))
        return refuse(client, cmd, "ERR Replica can't interact with the keyspace");
    return true;
}

static bool loading_passes(struct client *client, struct command_entry *cmd, unsigned gates)
{
    unsigned flags = cmd->row->flags;
    bool lacks = gate_is_exec(cmd) && multi_lacks_flags(client, CMD_LOADING);
    if ((gates & GATE_LOADING) && (lacks || !(flags & CMD_LOADING)))
        return refuse(client, cmd, loading_text);
    if ((gates & GATE_LOADING_BESIDE) && (flags & CMD_NO_ASYNC_LOADING))
        return refuse(client, cmd, loading_text);
    return true;
}

/* A RESP2 connection with subscriptions may only change or leave them. */
static bool subscriber_passes(struct client *client, struct command_entry *cmd)
{
    if (!client_in_subscriber_mode(client))
        return true;
    static const char *const allowed[] = { "ping",       "subscribe",   "ssubscribe",  "psubscribe",  "unsubscribe",
                                           "sunsubscribe", "punsubscribe", "quit",       "reset" };
    for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
        if (is_row(cmd, allowed[i]))
            return true;
    char text[256];
    snprintf(text, sizeof(text),
             "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
             "context",
             cmd->full_name);
    return refuse(client, cmd, text);
}

bool gates_pass(struct node *node, struct client *client, struct command_entry *cmd, int argc, const struct bytes *argv,
                const struct route_hashes *hashes, int *ret_slot)
{
    *ret_slot = -1;
    if (!known_and_shaped(client, cmd, argc, argv))
        return false;
    unsigned flags = cmd->row->flags;
    if ((flags & CMD_PROTECTED) && !protected_passes(client, cmd))
        return false;
    if (!(client->flags & CLIENT_AUTHENTICATED) && !(flags & CMD_NO_AUTH))
        return refuse(client, cmd, "NOAUTH Authentication required.");
    if ((client->flags & CLIENT_MULTI) && (flags & CMD_NO_MULTI))
        return refuse(client, cmd, "ERR Command not allowed inside a transaction");
    if (__builtin_expect(node_cluster(node) != NULL, 0) && !route_pass(client, cmd, argc, argv, hashes, ret_slot))
        return false;
    unsigned gates = node_gates(node);
    if (__builtin_expect(client->flags & CLIENT_REPLICA, 0))
        gates |= GATE_REPLICATION;
    if (__builtin_expect(gates == 0, 1))
        return memory_passes(client, cmd) && subscriber_passes(client, cmd);
    return memory_passes(client, cmd) && disk_passes(client, cmd, gates) && takes_write(client, cmd, gates) &&
           subscriber_passes(client, cmd) && gives_answer(client, cmd, gates) && loading_passes(client, cmd, gates);
}
