/* The rows of the directives that act in this server, grouped by the part whose struct they fill
 * (see options.h).
 *
 * A row's macro checks the member's type. Functions named on_* make a change true at run time
 * (server/apply.h); functions named check_* refuse or clip a value before it counts. */
#include "server/options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <syslog.h>

#include "common/alloc.h"
#include "common/log.h"
#include "server/apply.h"
#include "server/io.h"
#include "server/node.h"
#include "server/options_private.h"

/* apply functions get the owner, which is the node */
#define ON(name)                                                                                   \
    static int on_##name(void *owner, const char **ret_error)                                      \
    {                                                                                              \
        return apply_##name(owner, ret_error);                                                     \
    }
ON(log)
ON(bind)
ON(port)
ON(maxclients)
ON(maxmemory)
ON(client_memory)
ON(hz)
ON(title)
ON(oom_score)
ON(crash_log)
ON(watchdog)
ON(slowlog)
ON(tracking)
ON(latency)

/* ---- net ---- */

static const struct config_word io_backend_words[] = {
    { "auto", IO_BACKEND_AUTO },
    { "io_uring", IO_BACKEND_URING },
    { "epoll", IO_BACKEND_EPOLL },
    { NULL },
};

#define BASE net_config
static const struct config_row net_rows[] = {
    SPECIAL("bind", special_bind, "* -::*", .flags = CONFIG_WORDS, .apply = on_bind),
    STRING_OR_NULL("bind-source-addr", bind_source_addr),
    INT("port", port, "6379", 0, 65535, .apply = on_port),
    INT("tcp-backlog", tcp_backlog, "511", 0, INT_MAX, IMMUTABLE),
    INT("tcp-keepalive", tcp_keepalive, "300", 0, INT_MAX),
    STRING_OR_NULL("unixsocket", unixsocket, IMMUTABLE),
    ROW("unixsocketperm", CONFIG_OCTAL, AT(unixsocketperm, unsigned), "0", .max = 0777, IMMUTABLE),
    BOOL("protected-mode", protected_mode, "yes"),
    I64("maxclients", maxclients, "10000", 1, UINT32_MAX, .apply = on_maxclients),
    INT("timeout", timeout, "0", 0, INT_MAX),
    ENUM("io-backend", io_backend, "auto", io_backend_words, IMMUTABLE),
    INT("io-threads", io_threads, "1", 1, 128, IMMUTABLE),
    BOOL("io-threads-do-reads", io_threads_do_reads, "no", IMMUTABLE),
    I64("socket-mark-id", socket_mark_id, "0", 0, UINT32_MAX, IMMUTABLE),
    CONFIG_ROWS_END,
};
#undef BASE

/* ---- clients ---- */

#define BASE client_config
static const struct config_row client_rows[] = {
    SPECIAL("client-output-buffer-limit", special_output_limit,
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
            .flags = CONFIG_WORDS | CONFIG_MULTI | CONFIG_KEYED),
    MEMORY("client-query-buffer-limit", client_query_buffer_limit, "1gb", 1024 * 1024, INT64_MAX),
    MEMORY("proto-max-bulk-len", proto_max_bulk_len, "512mb", 1024 * 1024, INT64_MAX),
    ROW("maxmemory-clients", CONFIG_MEMORY_SIGNED, AT(maxmemory_clients, int64_t), "0",
        .apply = on_client_memory),
    STRING("requirepass", requirepass, NULL, .flags = CONFIG_SENSITIVE),
    BOOL("error-hints", error_hints, "yes"),
    ROW("tracking-table-max-keys", CONFIG_I64, AT(tracking_table_max_keys, uint64_t), "1000000",
        .max = INT64_MAX, .apply = on_tracking),
    CONFIG_ROWS_END,
};
#undef BASE

/* ---- process ---- */

static const struct config_word loglevel_words[] = {
    { "debug", LOG_LEVEL_DEBUG },     { "verbose", LOG_LEVEL_VERBOSE },
    { "notice", LOG_LEVEL_NOTICE },   { "warning", LOG_LEVEL_WARNING },
    { "nothing", LOG_LEVEL_NOTHING }, { NULL },
};
static const struct config_word facility_words[] = {
    { "user", LOG_USER },     { "local0", LOG_LOCAL0 },
    { "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 },
    { "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 },
    { "local5", LOG_LOCAL5 }, { "local6", LOG_LOCAL6 },
    { "local7", LOG_LOCAL7 }, { NULL },
};
static const struct config_word supervised_words[] = {
    { "upstart", SUPERVISED_UPSTART },
    { "systemd", SUPERVISED_SYSTEMD },
    { "auto", SUPERVISED_AUTO },
    { "no", SUPERVISED_NO },
    { NULL },
};
static const struct config_word protected_words[] = {
    { "no", PROTECTED_NO },
    { "yes", PROTECTED_YES },
    { "local", PROTECTED_LOCAL },
    { NULL },
};
static const struct config_word shutdown_words[] = {
    { "default", SHUTDOWN_DEFAULT }, { "save", SHUTDOWN_SAVE },   { "nosave", SHUTDOWN_NOSAVE },
    { "now", SHUTDOWN_NOW },         { "force", SHUTDOWN_FORCE }, { NULL },
};
static const struct config_word oom_words[] = {
    { "no", OOM_ADJUST_NO },
    { "yes", OOM_ADJUST_RELATIVE },
    { "relative", OOM_ADJUST_RELATIVE },
    { "absolute", OOM_ADJUST_ABSOLUTE },
    { NULL },
};

enum { HZ_MIN = 1, HZ_MAX = 500 };

static const char *check_hz(void *base)
{
    struct process_config *p = base; /* more of a hint: too much is made the most, not refused */
    p->hz = p->hz < HZ_MIN ? HZ_MIN : p->hz > HZ_MAX ? HZ_MAX : p->hz;
    return NULL;
}

static const char *check_shutdown(void *base)
{
    const struct process_config *p = base;
    unsigned both = SHUTDOWN_SAVE | SHUTDOWN_NOSAVE;
    if ((p->shutdown_on_sigint & both) == both || (p->shutdown_on_sigterm & both) == both)
        return "shutdown options SAVE and NOSAVE can't be used simultaneously";
    return NULL;
}

static const char *check_locale(void *base)
{
    const struct process_config *p = base;
    return setlocale(LC_COLLATE, p->locale_collate) ? NULL : "Invalid locale name";
}

/* A variable of the title's template at `p` ("{port}"): its length, 0 = unknown. *ret_shows: it is
 * never empty. */
static size_t title_variable(const char *p, bool *ret_shows)
{
    static const struct {
        const char *name;
        bool shows;
    } variables[] = {
        { "{title}", false },      { "{listen-addr}", true }, { "{server-mode}", false },
        { "{port}", true },        { "{tls-port}", true },    { "{unixsocket}", false },
        { "{config-file}", true },
    };
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        size_t n = strlen(variables[i].name);
        if (strncmp(p, variables[i].name, n) == 0) {
            *ret_shows |= variables[i].shows;
            return n;
        }
    }
    return 0;
}

static const char *check_title(void *base)
{
    static const char bad[] = "template format is invalid or contains unknown variables";
    const struct process_config *p = base;
    bool shows = false; /* something is left when title, mode and socket are empty */
    for (const char *t = p->proc_title_template; *t;) {
        if (*t == '{') {
            size_t n = title_variable(t, &shows);
            if (!n)
                return bad;
            t += n;
        } else {
            shows |= !isspace((unsigned char)*t);
            t++;
        }
    }
    return shows ? NULL : bad;
}

#define BASE process_config
static const struct config_row process_rows[] = {
    BOOL("daemonize", daemonize, "no", IMMUTABLE),
    ENUM("supervised", supervised, "no", supervised_words, IMMUTABLE),
    STRING("pidfile", pidfile, NULL, IMMUTABLE),
    SPECIAL("dir", special_dir, NULL, .flags = CONFIG_PROTECTED),
    INT("databases", databases, "16", 1, INT_MAX, IMMUTABLE),
    ENUM("loglevel", loglevel, "notice", loglevel_words, .apply = on_log),
    STRING("logfile", logfile, NULL, IMMUTABLE),
    BOOL("syslog-enabled", syslog_enabled, "no", IMMUTABLE),
    STRING("syslog-ident", syslog_ident, "redis", IMMUTABLE),
    ENUM("syslog-facility", syslog_facility, "local0", facility_words, IMMUTABLE),
    BOOL("crash-log-enabled", crash_log_enabled, "yes", .apply = on_crash_log),
    BOOL("crash-memcheck-enabled", crash_memcheck_enabled, "yes", .apply = on_crash_log),
    BOOL("use-exit-on-panic", use_exit_on_panic, "no", .flags = CONFIG_HIDDEN,
         .apply = on_crash_log),
    INT("watchdog-period", watchdog_period, "0", 0, INT_MAX, .flags = CONFIG_HIDDEN,
        .apply = on_watchdog),
    BOOL("always-show-logo", always_show_logo, "no", IMMUTABLE),
    BOOL("set-proc-title", set_proc_title, "yes", IMMUTABLE),
    STRING("proc-title-template", proc_title_template, "{title} {listen-addr} {server-mode}",
           .check = check_title, .apply = on_title),
    STRING("locale-collate", locale_collate, NULL, .check = check_locale),
    INT("hz", hz, "10", 0, INT_MAX, .check = check_hz, .apply = on_hz),
    BOOL("dynamic-hz", dynamic_hz, "yes", .apply = on_hz),
    BOOL("disable-thp", disable_thp, "yes", IMMUTABLE),
    ENUM("oom-score-adj", oom_score_adj, "no", oom_words, .apply = on_oom_score),
    SPECIAL("oom-score-adj-values", special_oom_values, "0 200 800", .flags = CONFIG_WORDS,
            .apply = on_oom_score),
    STRING("server_cpulist", server_cpulist, NULL, IMMUTABLE),
    STRING("bio_cpulist", bio_cpulist, NULL, IMMUTABLE),
    STRING("aof_rewrite_cpulist", aof_rewrite_cpulist, NULL, IMMUTABLE),
    STRING("bgsave_cpulist", bgsave_cpulist, NULL, IMMUTABLE),
    STRING("ignore-warnings", ignore_warnings, NULL),
    ENUM("enable-protected-configs", enable_protected_configs, "no", protected_words, IMMUTABLE),
    ENUM("enable-debug-command", enable_debug_command, "no", protected_words, IMMUTABLE),
    ENUM("enable-module-command", enable_module_command, "no", protected_words, IMMUTABLE),
    FLAGS("shutdown-on-sigint", shutdown_on_sigint, "default", shutdown_words,
          .check = check_shutdown),
    FLAGS("shutdown-on-sigterm", shutdown_on_sigterm, "default", shutdown_words,
          .check = check_shutdown),
    INT("shutdown-timeout", shutdown_timeout, "10", 0, INT_MAX),
    CONFIG_ROWS_END,
};
#undef BASE

/* ---- slow log and latency ---- */

#define BASE monitor_config
static const struct config_row monitor_rows[] = {
    I64("slowlog-log-slower-than", slowlog_log_slower_than, "10000", -1, INT64_MAX),
    I64("slowlog-max-len", slowlog_max_len, "128", 0, INT64_MAX, .apply = on_slowlog),
    I64("latency-monitor-threshold", latency_monitor_threshold, "0", 0, INT64_MAX),
    BOOL("latency-tracking", latency_tracking, "yes", .apply = on_latency),
    SPECIAL("latency-tracking-info-percentiles", special_percentiles, "50 99 99.9",
            .flags = CONFIG_WORDS),
    CONFIG_ROWS_END,
};
#undef BASE

/* ---- encodings ---- */

#define BASE types_limits
static const struct config_row types_rows[] = {
    I64("hash-max-listpack-entries", hash_max_listpack_entries, "512", 0, INT64_MAX,
        OLD_NAME("hash-max-ziplist-entries")),
    MEMORY_I64("hash-max-listpack-value", hash_max_listpack_value, "64", 0, INT64_MAX,
               OLD_NAME("hash-max-ziplist-value")),
    I64("set-max-intset-entries", set_max_intset_entries, "512", 0, INT64_MAX),
    I64("set-max-listpack-entries", set_max_listpack_entries, "128", 0, INT64_MAX),
    I64("set-max-listpack-value", set_max_listpack_value, "64", 0, INT64_MAX),
    I64("zset-max-listpack-entries", zset_max_listpack_entries, "128", 0, INT64_MAX,
        OLD_NAME("zset-max-ziplist-entries")),
    MEMORY_I64("zset-max-listpack-value", zset_max_listpack_value, "64", 0, INT64_MAX,
               OLD_NAME("zset-max-ziplist-value")),
    INT("list-max-listpack-size", list_max_listpack_size, "-2", INT_MIN, INT_MAX,
        OLD_NAME("list-max-ziplist-size")),
    INT("list-compress-depth", list_compress_depth, "0", 0, INT_MAX),
    MEMORY_I64("stream-node-max-bytes", stream_node_max_bytes, "4kb", 0, INT64_MAX),
    I64("stream-node-max-entries", stream_node_max_entries, "100", 0, INT64_MAX),
    MEMORY_I64("hll-sparse-max-bytes", hll_sparse_max_bytes, "3000", 0, INT64_MAX),
    CONFIG_ROWS_END,
};
#undef BASE

/* ---- keyspace ---- */

const char *const policy_names[] = { "volatile-lru",   "volatile-lfu", "volatile-random",
                                     "volatile-ttl",   "allkeys-lru",  "allkeys-lfu",
                                     "allkeys-random", "noeviction",   NULL };
static const struct config_word policy_words[] = {
    { "volatile-lru", POLICY_VOLATILE_LRU },
    { "volatile-lfu", POLICY_VOLATILE_LFU },
    { "volatile-random", POLICY_VOLATILE_RANDOM },
    { "volatile-ttl", POLICY_VOLATILE_TTL },
    { "allkeys-lru", POLICY_ALLKEYS_LRU },
    { "allkeys-lfu", POLICY_ALLKEYS_LFU },
    { "allkeys-random", POLICY_ALLKEYS_RANDOM },
    { "noeviction", POLICY_NOEVICTION },
    { NULL },
};

#define BASE ks_config
static const struct config_row keyspace_rows[] = {
    MEMORY("maxmemory", maxmemory, "0", 0, 0, .apply = on_maxmemory),
    ENUM("maxmemory-policy", maxmemory_policy, "noeviction", policy_words),
    INT("maxmemory-samples", maxmemory_samples, "5", 1, INT_MAX),
    INT("maxmemory-eviction-tenacity", maxmemory_eviction_tenacity, "10", 0, 100),
    INT("lfu-log-factor", lfu_log_factor, "10", 0, INT_MAX),
    INT("lfu-decay-time", lfu_decay_time, "1", 0, INT_MAX),
    BOOL("lazyfree-lazy-eviction", lazyfree_lazy_eviction, "no"),
    BOOL("lazyfree-lazy-expire", lazyfree_lazy_expire, "no"),
    BOOL("lazyfree-lazy-server-del", lazyfree_lazy_server_del, "no"),
    BOOL("lazyfree-lazy-user-del", lazyfree_lazy_user_del, "no"),
    BOOL("lazyfree-lazy-user-flush", lazyfree_lazy_user_flush, "no"),
    INT("active-expire-effort", active_expire_effort, "1", 1, 10),
    SPECIAL("notify-keyspace-events", special_notify, ""),
    CONFIG_ROWS_END,
};
#undef BASE

/* ---- lines that stand in files only ---- */

static int rename_line(void *owner, struct config *c, const struct config_line *line,
                       const char **ret_error)
{
    (void)owner, (void)c;
    int r = command_rename(line->argv[1], line->argv[2]);
    if (r == -ENOENT)
        *ret_error = "No such command in rename-command";
    else if (r < 0)
        *ret_error = "Target command name already exists";
    return r < 0 ? -EINVAL : 0;
}

static const struct config_line_rule lines[] = {
    { "rename-command", 2, 2, rename_line },
    CONFIG_LINE_RULES_END,
};

void options_attach(struct options *o, struct config *c, struct node *node)
{
    o->later = later_new();
    config_attach(c, net_rows, &o->net, node);
    config_attach(c, client_rows, &o->client, node);
    config_attach(c, process_rows, &o->process, node);
    config_attach(c, monitor_rows, &o->monitor, node);
    config_attach(c, types_rows, &o->types, node);
    config_attach(c, keyspace_rows, &o->keyspace, node);
    config_attach(c, replication_rows, &o->replication, node);
    config_attach(c, persist_rows, &o->persist, node);
    config_attach(c, cluster_rows, &o->cluster, node);
    config_attach(c, later_rows, o->later, node);
    config_attach_lines(c, lines, node);
    config_attach_lines(c, later_lines, node);
}

void options_done(struct options *o)
{
    special_bind_done(&o->net);
    mem_free(o->replication.replicaof);
    persist_config_done(&o->persist);
    later_free(o->later);
    o->later = NULL;
}
