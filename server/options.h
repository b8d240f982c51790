/* The config structs of the parts of server/ itself, and their rows (server/options.c,
 * options_later.c). Each part is handed its own struct; nobody gets them all but the node. Names of
 * members are the directives' names; defaults in the rows. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/keyspace/keyspace.h"
#include "server/types/limits.h"

struct config;
struct node;

#define BIND_MAX 16

/* listeners and sockets: server/listeners.c, server/node.c */
struct net_config {
    char *bind[BIND_MAX]; /* words of `bind`, "-" prefix kept; the default is "*" "-::*" */
    int bind_n;           /* 0: no address at all */
    char *bind_source_addr; /* or NULL */
    int port;               /* 0 = no TCP */
    int tcp_backlog, tcp_keepalive /* s */;
    char *unixsocket; /* or NULL */
    unsigned unixsocketperm;
    bool protected_mode;
    int64_t maxclients;
    int timeout;    /* s, 0 = never */
    int io_backend; /* enum io_backend */
    int io_threads; /* kept, without effect: one loop serves all */
    bool io_threads_do_reads;
    int64_t socket_mark_id; /* 0 = none */
};

enum { CLIENT_CLASS_NORMAL, CLIENT_CLASS_REPLICA, CLIENT_CLASS_PUBSUB, CLIENT_CLASSES };
struct output_limit {
    uint64_t hard, soft; /* bytes, 0 = none */
    int soft_s;          /* seconds */
};
/* server/client.c */
struct client_config {
    struct output_limit output_limit[CLIENT_CLASSES];
    uint64_t client_query_buffer_limit, proto_max_bulk_len;
    int64_t maxmemory_clients;        /* bytes, or negative percentage of maxmemory */
    char *requirepass;                /* "" = none */
    uint64_t tracking_table_max_keys; /* 0 = no limit */
    bool error_hints;                 /* errors say more than Redis' text, behind it */
};

enum { PROTECTED_NO, PROTECTED_YES, PROTECTED_LOCAL };
enum supervised_mode { SUPERVISED_NO, SUPERVISED_AUTO, SUPERVISED_SYSTEMD, SUPERVISED_UPSTART };
enum oom_adjust { OOM_ADJUST_NO, OOM_ADJUST_RELATIVE, OOM_ADJUST_ABSOLUTE };
/* main.c, server/apply.c, server/loop/process */
struct process_config {
    bool daemonize, always_show_logo, set_proc_title, disable_thp, syslog_enabled;
    bool crash_log_enabled, crash_memcheck_enabled, use_exit_on_panic;
    char *pidfile, *logfile, *syslog_ident, *proc_title_template, *locale_collate; /* never NULL */
    char *server_cpulist, *bio_cpulist, *aof_rewrite_cpulist, *bgsave_cpulist;     /* "" = any */
    char *ignore_warnings;
    int loglevel;        /* enum log_level */
    int syslog_facility; /* LOG_LOCAL0 ... */
    int supervised;      /* enum supervised_mode */
    int enable_protected_configs, enable_debug_command, enable_module_command; /* PROTECTED_* */
    int hz; /* 1 .. 500 */
    bool dynamic_hz;
    int watchdog_period; /* ms, 0 = off */
    unsigned shutdown_on_sigint, shutdown_on_sigterm; /* bits of enum shutdown_flags (node.h) */
    int shutdown_timeout; /* s */
    int oom_score_adj;    /* enum oom_adjust */
    int oom_score_adj_values[3]; /* master, replica, child */
    int databases;
};

enum { DISKLESS_LOAD_DISABLED, DISKLESS_LOAD_EMPTY_DB, DISKLESS_LOAD_SWAPDB };
enum { PROPAGATION_IGNORE, PROPAGATION_PANIC, PROPAGATION_PANIC_ON_REPLICAS };
/* server/drivers/replication.c, gates.c */
struct replication_config {
    char *replicaof; /* "host port", or NULL: a master. REPLICAOF keeps it up to date */
    char *masterauth, *masteruser, *replica_announce_ip; /* or NULL */
    bool replica_serve_stale_data, replica_read_only, replica_ignore_maxmemory, replica_lazy_flush;
    bool replica_announced, replica_ignore_disk_write_errors, replica_empty_master_guard;
    bool repl_diskless_sync, repl_disable_tcp_nodelay;
    int replica_priority, replica_announce_port;
    int repl_diskless_load;                     /* DISKLESS_LOAD_* */
    int repl_ping_replica_period, repl_timeout; /* s */
    int repl_diskless_sync_delay /* s */, repl_diskless_sync_max_replicas;
    int min_replicas_to_write, min_replicas_max_lag /* s */;
    int64_t min_replicas_max_staleness_ms, replica_max_staleness_ms; /* 0 = any */
    int propagation_error_behavior;                                  /* PROPAGATION_* */
    uint64_t repl_backlog_size, repl_backlog_spill_size;             /* bytes; spill 0 = none */
    int64_t repl_backlog_ttl;                                        /* s */
};

#define PERCENTILES_MAX 32
/* slowlog, latency */
struct monitor_config {
    int64_t slowlog_log_slower_than; /* us, -1 off */
    int64_t slowlog_max_len;
    int64_t latency_monitor_threshold; /* ms, 0 off */
    bool latency_tracking;
    double latency_tracking_info_percentiles[PERCENTILES_MAX];
    int latency_tracking_info_percentiles_n;
};

enum rdb_save_version { RDB_SAVE_10, RDB_SAVE_11, RDB_SAVE_AUTO };
struct save_point {
    int64_t seconds, changes;
};
/* server/saving.c, server/loading.c */
struct persist_config {
    struct save_point *save; /* save_n of them */
    int save_n;
    char *dbfilename; /* never NULL */
    bool rdbcompression, rdbchecksum, rdb_save_incremental_fsync, rdb_del_sync_files;
    bool stop_writes_on_bgsave_error;
    int sanitize_dump_payload;               /* kept: everything is always checked */
    int rdb_key_save_delay, key_load_delay;  /* us a key; negative: a us for that many keys */
    int loading_process_events_interval_bytes;
    int rdb_save_version; /* enum rdb_save_version */
};

/* the cluster: server/drivers/cluster.c */
struct cluster_settings {
    bool enabled, require_full_coverage, replica_no_failover;
    bool allow_reads_when_down, allow_pubsubshard_when_down, allow_replica_migration;
    char *config_file;                                            /* never NULL */
    char *announce_ip, *announce_hostname, *announce_human_nodename; /* or NULL */
    int announce_port, announce_bus_port, announce_tls_port, port; /* 0: none of its own */
    int migration_barrier, replica_validity_factor;
    int preferred_endpoint_type;          /* enum cluster_endpoint */
    int64_t node_timeout, ping_interval;  /* ms */
    uint64_t link_sendbuf_limit;          /* bytes, 0 = none */
};

/* Values of directives whose feature comes later: kept, to be read, set and rewritten. */
struct later_config;

struct options {
    struct net_config net;
    struct client_config client;
    struct process_config process;
    struct monitor_config monitor;
    struct types_limits types;
    struct ks_config keyspace;
    struct replication_config replication;
    struct persist_config persist;
    struct cluster_settings cluster;
    struct later_config *later;
};

/* Attaches the rows of all structs. `node` is the owner that the apply functions get; NULL until
 * config_set_owner. */
void options_attach(struct options *, struct config *, struct node *node);
void options_done(struct options *);     /* after config_free */
extern const char *const policy_names[]; /* by enum maxmemory_policy, NULL-terminated */
