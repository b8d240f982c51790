/* Directives of the cluster: rows over struct cluster_settings. */
#include <errno.h>
#include <limits.h>

#include "cluster/cluster.h"
#include "server/apply.h"
#include "server/options_private.h"

#define BASE   cluster_settings
#define HIDDEN .flags = CONFIG_HIDDEN

static int on_change(void *owner, const char **ret_error)
{
    return apply_cluster(owner, ret_error);
}
#define TELLS .apply = on_change

static const char *check_hostname(void *base)
{
    const char *s = ((const struct cluster_settings *)base)->announce_hostname;
    if (s && strlen(s) >= 256)
        return "Hostnames must be less than 256 characters";
    for (; s && *s; s++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", *s))
            return "Hostnames may only contain alphanumeric characters, hyphens or dots";
    return NULL;
}

/* The name goes into CLUSTER NODES and the logs: no byte that those use themselves. */
static const char *check_nodename(void *base)
{
    const char *s = ((const struct cluster_settings *)base)->announce_human_nodename;
    for (; s && *s; s++)
        if (strchr("!#$%&()*+:;<>?@[]^{|}~ ,=\"'\\`", *s) || *s < ' ' || *s == 0x7f)
            return "Announced human node name contained invalid character";
    return NULL;
}

static const struct config_word endpoint_words[] = {
    { "ip", CLUSTER_ENDPOINT_IP },
    { "hostname", CLUSTER_ENDPOINT_HOSTNAME },
    { "unknown-endpoint", CLUSTER_ENDPOINT_UNKNOWN },
    { NULL },
};

const struct config_row cluster_rows[] = {
    BOOL("cluster-enabled", enabled, "no", IMMUTABLE),
    STRING("cluster-config-file", config_file, "nodes.conf", IMMUTABLE),
    I64("cluster-node-timeout", node_timeout, "15000", 0, INT64_MAX, TELLS),
    I64("cluster-ping-interval", ping_interval, "1000", 1, INT64_MAX, HIDDEN, TELLS),
    INT("cluster-port", port, "0", 0, 65535, IMMUTABLE),
    STRING_OR_NULL("cluster-announce-ip", announce_ip, TELLS),
    STRING_OR_NULL("cluster-announce-hostname", announce_hostname, .check = check_hostname, TELLS),
    STRING_OR_NULL("cluster-announce-human-nodename", announce_human_nodename,
                   .check = check_nodename, TELLS),
    INT("cluster-announce-port", announce_port, "0", 0, 65535, TELLS),
    INT("cluster-announce-bus-port", announce_bus_port, "0", 0, 65535, TELLS),
    INT("cluster-announce-tls-port", announce_tls_port, "0", 0, 65535, TELLS),
    ENUM("cluster-preferred-endpoint-type", preferred_endpoint_type, "ip", endpoint_words, TELLS),
    BOOL("cluster-require-full-coverage", require_full_coverage, "yes", TELLS),
    BOOL("cluster-replica-no-failover", replica_no_failover, "no",
         OLD_NAME("cluster-slave-no-failover"), TELLS),
    INT("cluster-replica-validity-factor", replica_validity_factor, "10", 0, INT_MAX,
        OLD_NAME("cluster-slave-validity-factor"), TELLS),
    BOOL("cluster-allow-reads-when-down", allow_reads_when_down, "no", TELLS),
    BOOL("cluster-allow-pubsubshard-when-down", allow_pubsubshard_when_down, "yes", TELLS),
    BOOL("cluster-allow-replica-migration", allow_replica_migration, "yes", TELLS),
    INT("cluster-migration-barrier", migration_barrier, "1", 0, INT_MAX, TELLS),
    MEMORY("cluster-link-sendbuf-limit", link_sendbuf_limit, "0", 0, 0),
    CONFIG_ROWS_END,
};
