/* Directives of replication: rows over struct replication_config. */
#include <errno.h>
#include <limits.h>

#include "common/alloc.h"
#include "common/num.h"
#include "server/apply.h"
#include "server/options_private.h"

#define BASE replication_config

static int fail(const char **ret_error, const char *text)
{
    *ret_error = text;
    return -EINVAL;
}

/* ---- replicaof <host> <port> | no one ---- */

static int replicaof_set(void *base, const struct config_row *row, int argc, const struct bytes *argv, bool adds,
                         const char **ret_error)
{
    (void)row, (void)adds;
    struct replication_config *r = base;
    if (argc != 2 && argc != 0)
        return fail(ret_error, "wrong number of arguments");
    if (argc == 0 || (bytes_is(argv[0], "no") && bytes_is(argv[1], "one"))) {
        mem_free(r->replicaof);
        r->replicaof = NULL;
        return 0;
    }
    int64_t port;
    if (!num_parse_i64(argv[1], &port) || port < 0 || port > 65535)
        return fail(ret_error, "Invalid master port");
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    (void)buf_printf(&b, "%.*s %d", (int)argv[0].n, argv[0].p, (int)port);
    mem_free(r->replicaof);
    r->replicaof = mem_strdup(buf_cstr(&b));
    buf_done(&b);
    return 0;
}

static void replicaof_get(const void *base, const struct config_row *row, struct buf *b)
{
    (void)row;
    const struct replication_config *r = base;
    if (r->replicaof)
        (void)buf_append_str(b, r->replicaof);
}

static const struct config_special special_replicaof = { replicaof_set, replicaof_get, NULL };

/* ---- checks ---- */

static const char *check_backlog(void *base)
{
    struct replication_config *r = base;
    if (r->repl_backlog_size < 16 * 1024)
        r->repl_backlog_size = 16 * 1024;
    return NULL;
}

static int on_change(void *owner, const char **ret_error)
{
    return apply_replication(owner, ret_error);
}
#define TELLS .apply = on_change

static const struct config_word diskless_load_words[] = {
    { "disabled", DISKLESS_LOAD_DISABLED },
    { "on-empty-db", DISKLESS_LOAD_EMPTY_DB },
    { "swapdb", DISKLESS_LOAD_SWAPDB },
    { NULL },
};
static const struct config_word propagation_words[] = {
    { "ignore", PROPAGATION_IGNORE },
    { "panic", PROPAGATION_PANIC },
    { "panic-on-replicas", PROPAGATION_PANIC_ON_REPLICAS },
    { NULL },
};

const struct config_row replication_rows[] = {
    /* the link to the master */
    SPECIAL("replicaof", special_replicaof, "", OLD_NAME("slaveof"), .flags = CONFIG_WORDS | CONFIG_IMMUTABLE),
    STRING_OR_NULL("masterauth", masterauth, .flags = CONFIG_SENSITIVE, TELLS),
    STRING_OR_NULL("masteruser", masteruser, .flags = CONFIG_SENSITIVE, TELLS),
    STRING_OR_NULL("replica-announce-ip", replica_announce_ip, OLD_NAME("slave-announce-ip"), TELLS),
    INT("replica-announce-port", replica_announce_port, "0", 0, 65535, OLD_NAME("slave-announce-port"), TELLS),
    BOOL("replica-announced", replica_announced, "yes"),
    INT("replica-priority", replica_priority, "100", 0, INT_MAX, OLD_NAME("slave-priority")),
    /* what a replica does */
    BOOL("replica-serve-stale-data", replica_serve_stale_data, "yes", OLD_NAME("slave-serve-stale-data")),
    BOOL("replica-read-only", replica_read_only, "yes", OLD_NAME("slave-read-only")),
    BOOL("replica-ignore-maxmemory", replica_ignore_maxmemory, "yes", OLD_NAME("slave-ignore-maxmemory")),
    BOOL("replica-lazy-flush", replica_lazy_flush, "no", OLD_NAME("slave-lazy-flush")),
    BOOL("replica-ignore-disk-write-errors", replica_ignore_disk_write_errors, "no"),
    ENUM("repl-diskless-load", repl_diskless_load, "disabled", diskless_load_words, TELLS),
    I64("replica-max-staleness-ms", replica_max_staleness_ms, "0", 0, INT64_MAX),
    BOOL("replica-empty-master-guard", replica_empty_master_guard, "yes", TELLS),
    ENUM("propagation-error-behavior", propagation_error_behavior, "ignore", propagation_words),
    /* what a master does */
    BOOL("repl-diskless-sync", repl_diskless_sync, "yes", TELLS),
    INT("repl-diskless-sync-delay", repl_diskless_sync_delay, "5", 0, INT_MAX, TELLS),
    INT("repl-diskless-sync-max-replicas", repl_diskless_sync_max_replicas, "0", 0, INT_MAX, TELLS),
    INT("min-replicas-to-write", min_replicas_to_write, "0", 0, INT_MAX, OLD_NAME("min-slaves-to-write"), TELLS),
    INT("min-replicas-max-lag", min_replicas_max_lag, "10", 0, INT_MAX, OLD_NAME("min-slaves-max-lag"), TELLS),
    I64("min-replicas-max-staleness-ms", min_replicas_max_staleness_ms, "0", 0, INT64_MAX, TELLS),
    /* the link */
    INT("repl-ping-replica-period", repl_ping_replica_period, "10", 1, INT_MAX, OLD_NAME("repl-ping-slave-period"),
        TELLS),
    INT("repl-timeout", repl_timeout, "60", 1, INT_MAX, TELLS),
    BOOL("repl-disable-tcp-nodelay", repl_disable_tcp_nodelay, "no"),
    /* history */
    MEMORY("repl-backlog-size", repl_backlog_size, "1mb", 1, INT64_MAX, .check = check_backlog, TELLS),
    MEMORY("repl-backlog-spill-size", repl_backlog_spill_size, "1gb", 0, INT64_MAX, TELLS),
    I64("repl-backlog-ttl", repl_backlog_ttl, "3600", 0, INT64_MAX, TELLS),
    CONFIG_ROWS_END,
};
