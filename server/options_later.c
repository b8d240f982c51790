/* Directives whose feature this server does not have yet: persistence, TLS,
 * ACL, scripts, defragmentation.
 *
 * Deployments and test suites set them everywhere, so all are known. What only tunes a feature that
 * is off is checked, kept, shown and rewritten: it has no effect, as in a Redis that has the
 * feature off. What would turn a feature on is refused for any value but the default
 * (CONFIG_DEFAULT_ONLY). */
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

/* ---- words ---- */

enum { NO, YES, THIRD };
static const struct config_word appendfsync_words[] = {
    { "everysec", 0 }, { "always", 1 }, { "no", 2 }, { NULL }
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
    mem_free(l);
}
