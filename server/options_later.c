/* Directives whose feature this server does not have yet: persistence, replication, TLS,
 * ACL, scripts, defragmentation.
 *
 * Deployments and test suites set them everywhere, so all are known. What only tunes a feature that
 * is off is checked, kept, shown and rewritten: it has no effect, as in a Redis that has the
 * feature off. What would turn a feature on, or would promise something that is not kept
 * (min-replicas-to-write), is refused for any value but the default (CONFIG_DEFAULT_ONLY). */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>

#include "common/alloc.h"
#include "common/num.h"
#include "common/text.h"
#include "server/options_private.h"

struct later_config {
    /* append-only file */
    bool appendonly, no_appendfsync_on_rewrite, aof_load_truncated, aof_rewrite_incremental_fsync;
    bool aof_timestamp_enabled, aof_use_rdb_preamble, aof_disable_auto_gc;
    char *appendfilename, *appenddirname;
    int appendfsync, auto_aof_rewrite_percentage;
    uint64_t auto_aof_rewrite_min_size;

    /* replication */
    char *replicaof; /* "host port" or NULL */
    char *masterauth, *masteruser, *replica_announce_ip;
    bool replica_serve_stale_data, replica_read_only, replica_ignore_maxmemory, replica_lazy_flush;
    bool replica_announced, replica_ignore_disk_write_errors;
    bool repl_diskless_sync, repl_disable_tcp_nodelay;
    int replica_priority, replica_announce_port, repl_diskless_load;
    int repl_ping_replica_period, repl_timeout; /* s */
    int repl_diskless_sync_delay /* s */, repl_diskless_sync_max_replicas;
    int min_replicas_to_write, min_replicas_max_lag /* s */;
    int propagation_error_behavior;
    uint64_t repl_backlog_size;
    int64_t repl_backlog_ttl; /* s */

    /* tls */
    int tls_port, tls_session_cache_size, tls_session_cache_timeout, tls_auth_clients;
    bool tls_cluster, tls_replication, tls_session_caching, tls_prefer_server_ciphers;
    char *tls_cert_file, *tls_key_file, *tls_key_file_pass;
    char *tls_client_cert_file, *tls_client_key_file, *tls_client_key_file_pass;
    char *tls_dh_params_file, *tls_ca_cert_file, *tls_ca_cert_dir;
    char *tls_protocols, *tls_ciphers, *tls_ciphersuites;

    /* access control */
    char *aclfile;
    int64_t acllog_max_len;
    int acl_pubsub_default;

    /* scripts */
    int64_t busy_reply_threshold; /* ms */
    bool lua_enable_deprecated_api;

    /* memory */
    bool activedefrag, activerehashing, jemalloc_bg_thread;
    int active_defrag_cycle_min, active_defrag_cycle_max;             /* percent of CPU */
    int active_defrag_threshold_lower, active_defrag_threshold_upper; /* percent */
    uint64_t active_defrag_ignore_bytes;
    int64_t active_defrag_max_scan_fields;
};

#define BASE         later_config
#define DEFAULT_ONLY .flags = CONFIG_DEFAULT_ONLY
#define HIDDEN       .flags = CONFIG_HIDDEN

static int fail(const char **ret_error, const char *text)
{
    *ret_error = text;
    return -EINVAL;
}

/* ---- replicaof <host> <port> | no one ---- */

static int replicaof_set(void *base, const struct config_row *row, int argc,
                         const struct bytes *argv, bool adds, const char **ret_error)
{
    (void)row, (void)adds;
    struct later_config *l = base;
    if (argc != 2 && argc != 0)
        return fail(ret_error, "wrong number of arguments");
    mem_free(l->replicaof);
    l->replicaof = NULL;
    if (argc == 0 || (bytes_is(argv[0], "no") && bytes_is(argv[1], "one")))
        return 0;
    int64_t port;
    if (!num_parse_i64(argv[1], &port) || port < 0 || port > 65535)
        return fail(ret_error, "Invalid master port");
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    (void)buf_printf(&b, "%.*s %d", (int)argv[0].n, argv[0].p, (int)port);
    l->replicaof = mem_strdup(buf_cstr(&b));
    buf_done(&b);
    return 0;
}

static void replicaof_get(const void *base, const struct config_row *row, struct buf *b)
{
    (void)row;
    const struct later_config *l = base;
    if (l->replicaof)
        (void)buf_append_str(b, l->replicaof);
}

static const struct config_special special_replicaof = { replicaof_set, replicaof_get, NULL };

/* ---- checks ---- */

static const char *check_names(void *base)
{
    const struct later_config *l = base;
    if (l->appendfilename && !l->appendfilename[0])
        return "appendfilename can't be empty";
    if (l->appendfilename && strchr(l->appendfilename, '/'))
        return "appendfilename can't be a path, just a filename";
    if (l->appenddirname && !l->appenddirname[0])
        return "appenddirname can't be empty";
    if (l->appenddirname && strchr(l->appenddirname, '/'))
        return "appenddirname can't be a path, just a dirname";
    return NULL;
}

static const char *check_backlog(void *base)
{
    struct later_config *l = base;
    if (l->repl_backlog_size < 16 * 1024)
        l->repl_backlog_size = 16 * 1024;
    return NULL;
}

/* ---- words ---- */

enum { NO, YES, THIRD };
static const struct config_word appendfsync_words[] = {
    { "everysec", 0 }, { "always", 1 }, { "no", 2 }, { NULL }
};
static const struct config_word diskless_load_words[] = {
    { "disabled", 0 },
    { "on-empty-db", 1 },
    { "swapdb", 2 },
    { NULL },
};
static const struct config_word propagation_words[] = {
    { "ignore", 0 },
    { "panic", 1 },
    { "panic-on-replicas", 2 },
    { NULL },
};
static const struct config_word tls_auth_words[] = {
    { "no", NO }, { "yes", YES }, { "optional", THIRD }, { NULL }
};
static const struct config_word pubsub_words[] = { { "allchannels", 0 },
                                                   { "resetchannels", 1 },
                                                   { NULL } };

const struct config_row later_rows[] = {
    /* append-only file */
    BOOL("appendonly", appendonly, "no", DEFAULT_ONLY),
    STRING("appendfilename", appendfilename, "appendonly.aof", IMMUTABLE, .check = check_names),
    STRING("appenddirname", appenddirname, "appendonlydir", IMMUTABLE, .check = check_names),
    ENUM("appendfsync", appendfsync, "everysec", appendfsync_words),
    BOOL("no-appendfsync-on-rewrite", no_appendfsync_on_rewrite, "no"),
    INT("auto-aof-rewrite-percentage", auto_aof_rewrite_percentage, "100", 0, INT_MAX),
    MEMORY("auto-aof-rewrite-min-size", auto_aof_rewrite_min_size, "64mb", 0, INT64_MAX),
    BOOL("aof-load-truncated", aof_load_truncated, "yes"),
    BOOL("aof-use-rdb-preamble", aof_use_rdb_preamble, "yes"),
    BOOL("aof-rewrite-incremental-fsync", aof_rewrite_incremental_fsync, "yes"),
    BOOL("aof-timestamp-enabled", aof_timestamp_enabled, "no"),
    BOOL("aof-disable-auto-gc", aof_disable_auto_gc, "no", HIDDEN),
    /* replication */
    SPECIAL("replicaof", special_replicaof, "", OLD_NAME("slaveof"),
            .flags = CONFIG_WORDS | CONFIG_IMMUTABLE | CONFIG_DEFAULT_ONLY),
    STRING_OR_NULL("masterauth", masterauth, .flags = CONFIG_SENSITIVE),
    STRING_OR_NULL("masteruser", masteruser, .flags = CONFIG_SENSITIVE),
    BOOL("replica-serve-stale-data", replica_serve_stale_data, "yes",
         OLD_NAME("slave-serve-stale-data")),
    BOOL("replica-read-only", replica_read_only, "yes", OLD_NAME("slave-read-only")),
    BOOL("replica-ignore-maxmemory", replica_ignore_maxmemory, "yes",
         OLD_NAME("slave-ignore-maxmemory")),
    BOOL("replica-lazy-flush", replica_lazy_flush, "no", OLD_NAME("slave-lazy-flush")),
    INT("replica-priority", replica_priority, "100", 0, INT_MAX, OLD_NAME("slave-priority")),
    BOOL("replica-announced", replica_announced, "yes"),
    STRING_OR_NULL("replica-announce-ip", replica_announce_ip, OLD_NAME("slave-announce-ip")),
    INT("replica-announce-port", replica_announce_port, "0", 0, 65535,
        OLD_NAME("slave-announce-port")),
    BOOL("replica-ignore-disk-write-errors", replica_ignore_disk_write_errors, "no"),
    BOOL("repl-diskless-sync", repl_diskless_sync, "yes"),
    INT("repl-diskless-sync-delay", repl_diskless_sync_delay, "5", 0, INT_MAX),
    INT("repl-diskless-sync-max-replicas", repl_diskless_sync_max_replicas, "0", 0, INT_MAX),
    ENUM("repl-diskless-load", repl_diskless_load, "disabled", diskless_load_words),
    INT("repl-ping-replica-period", repl_ping_replica_period, "10", 1, INT_MAX,
        OLD_NAME("repl-ping-slave-period")),
    INT("repl-timeout", repl_timeout, "60", 1, INT_MAX),
    BOOL("repl-disable-tcp-nodelay", repl_disable_tcp_nodelay, "no"),
    MEMORY("repl-backlog-size", repl_backlog_size, "1mb", 1, INT64_MAX, .check = check_backlog),
    I64("repl-backlog-ttl", repl_backlog_ttl, "3600", 0, INT64_MAX),
    INT("min-replicas-to-write", min_replicas_to_write, "0", 0, INT_MAX,
        OLD_NAME("min-slaves-to-write"), DEFAULT_ONLY),
    INT("min-replicas-max-lag", min_replicas_max_lag, "10", 0, INT_MAX,
        OLD_NAME("min-slaves-max-lag")),
    ENUM("propagation-error-behavior", propagation_error_behavior, "ignore", propagation_words),
    /* tls */
    INT("tls-port", tls_port, "0", 0, 65535, DEFAULT_ONLY),
    BOOL("tls-replication", tls_replication, "no", DEFAULT_ONLY),
    BOOL("tls-cluster", tls_cluster, "no", DEFAULT_ONLY),
    ENUM("tls-auth-clients", tls_auth_clients, "yes", tls_auth_words),
    STRING_OR_NULL("tls-cert-file", tls_cert_file),
    STRING_OR_NULL("tls-key-file", tls_key_file),
    STRING_OR_NULL("tls-key-file-pass", tls_key_file_pass, .flags = CONFIG_SENSITIVE),
    STRING_OR_NULL("tls-client-cert-file", tls_client_cert_file),
    STRING_OR_NULL("tls-client-key-file", tls_client_key_file),
    STRING_OR_NULL("tls-client-key-file-pass", tls_client_key_file_pass, .flags = CONFIG_SENSITIVE),
    STRING_OR_NULL("tls-dh-params-file", tls_dh_params_file),
    STRING_OR_NULL("tls-ca-cert-file", tls_ca_cert_file),
    STRING_OR_NULL("tls-ca-cert-dir", tls_ca_cert_dir),
    STRING_OR_NULL("tls-protocols", tls_protocols),
    STRING_OR_NULL("tls-ciphers", tls_ciphers),
    STRING_OR_NULL("tls-ciphersuites", tls_ciphersuites),
    BOOL("tls-prefer-server-ciphers", tls_prefer_server_ciphers, "no"),
    BOOL("tls-session-caching", tls_session_caching, "yes"),
    INT("tls-session-cache-size", tls_session_cache_size, "20480", 0, INT_MAX),
    INT("tls-session-cache-timeout", tls_session_cache_timeout, "300", 0, INT_MAX),
    /* access control */
    STRING("aclfile", aclfile, NULL, .flags = CONFIG_IMMUTABLE | CONFIG_DEFAULT_ONLY),
    I64("acllog-max-len", acllog_max_len, "128", 0, INT64_MAX),
    ENUM("acl-pubsub-default", acl_pubsub_default, "resetchannels", pubsub_words),
    /* scripts */
    I64("busy-reply-threshold", busy_reply_threshold, "5000", 0, INT64_MAX,
        OLD_NAME("lua-time-limit")),
    BOOL("lua-enable-deprecated-api", lua_enable_deprecated_api, "no",
         .flags = CONFIG_IMMUTABLE | CONFIG_HIDDEN),
    /* memory */
    BOOL("activerehashing", activerehashing, "yes"),
    BOOL("jemalloc-bg-thread", jemalloc_bg_thread, "yes"),
    BOOL("activedefrag", activedefrag, "no", DEFAULT_ONLY),
    INT("active-defrag-cycle-min", active_defrag_cycle_min, "1", 1, 99),
    INT("active-defrag-cycle-max", active_defrag_cycle_max, "25", 1, 99),
    INT("active-defrag-threshold-lower", active_defrag_threshold_lower, "10", 0, 1000),
    INT("active-defrag-threshold-upper", active_defrag_threshold_upper, "100", 0, 1000),
    MEMORY("active-defrag-ignore-bytes", active_defrag_ignore_bytes, "100mb", 1, INT64_MAX),
    I64("active-defrag-max-scan-fields", active_defrag_max_scan_fields, "1000", 1, INT64_MAX),
    CONFIG_ROWS_END,
};

/* ---- lines that stand in files only ---- */

static bool is_one_of(struct bytes word, const char *const *words)
{
    for (; *words; words++)
        if (bytes_is(word, *words))
            return true;
    return false;
}

/* user <name> <rules>: only the user that is there anyway, with the rights it has: default, without
 * a password, all allowed. */
static int user_line(void *owner, struct config *c, const struct config_line *line,
                     const char **ret_error)
{
    static const char *const harmless[] = { "on",      "nopass",      "~*",
                                            "allkeys", "&*",          "allchannels",
                                            "+@all",   "allcommands", "sanitize-payload",
                                            NULL };
    (void)owner;
    for (int i = 0; i < config_line_count(c) - 1; i++) { /* the last one is this */
        const struct config_line *other = config_line_at(c, i);
        if (bytes_is(other->argv[0], "user") && bytes_eq(other->argv[1], line->argv[1])) {
            *ret_error = config_error(
                "Error in user declaration '%.*s': Duplicate user found. A user can only be "
                "defined once in config files",
                (int)(line->argv[1].n < 128 ? line->argv[1].n : 128), line->argv[1].p);
            return -EINVAL;
        }
    }
    bool same = bytes_eq(line->argv[1], BYTES("default"));
    for (int i = 2; i < line->argc && same; i++)
        same = is_one_of(line->argv[i], harmless);
    if (same)
        return 0;
    *ret_error = "any user but \"default on nopass ~* &* +@all\" is not supported yet";
    return -EINVAL;
}

static int module_line(void *owner, struct config *c, const struct config_line *line,
                       const char **ret_error)
{
    (void)owner, (void)c, (void)line;
    *ret_error = "loadmodule is not supported yet";
    return -EINVAL;
}

const struct config_line_rule later_lines[] = {
    { "user", 1, INT_MAX, user_line },
    { "loadmodule", 1, INT_MAX, module_line },
    CONFIG_LINE_RULES_END,
};

struct later_config *later_new(void)
{
    return mem_zalloc(sizeof(struct later_config));
}

void later_free(struct later_config *l)
{
    if (!l)
        return;
    mem_free(l->replicaof);
    mem_free(l);
}
