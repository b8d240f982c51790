/* What makes changed configuration true (see apply.h). */
#include "server/apply.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "server/client_evict.h"
#include "server/clients.h"
#include "server/dispatch.h"
#include "server/drivers/cluster.h"
#include "server/drivers/replication.h"
#include "server/latency.h"
#include "server/listeners.h"
#include "server/loop/process.h"
#include "server/node.h"
#include "server/saving.h"
#include "server/slowlog.h"
#include "server/title.h"
#include "server/tracking.h"

static int fail(const char **ret_error, const char *text)
{
    if (ret_error)
        *ret_error = text;
    return -1;
}

static void configure_log(const struct process_config *p)
{
    struct log_config cfg = {
        .level = (enum log_level)p->loglevel,
        .path = p->logfile,
        .syslog = p->syslog_enabled,
        .syslog_ident = p->syslog_ident,
        .syslog_facility = p->syslog_facility,
    };
    log_configure(&cfg);
}

void node_owner_init(struct options *o, struct config *config)
{
    options_attach(o, config, NULL);
}

void apply_at_start(struct options *o)
{
    configure_log(&o->process);
    setlocale(LC_COLLATE, o->process.locale_collate);
}

int apply_log(struct node *n, const char **ret_error)
{
    (void)ret_error;
    configure_log(&node_options(n)->process);
    return 0;
}

int apply_bind(struct node *n, const char **ret_error)
{
    return node_relisten(n, ret_error);
}

int apply_port(struct node *n, const char **ret_error)
{
    int r = node_relisten(n, ret_error);
    apply_title(n, NULL);
    return r;
}

int apply_maxclients(struct node *n, const char **ret_error)
{
    static char text[128];
    int64_t want = node_options(n)->net.maxclients;
    int fit = process_raise_file_limit(want < INT32_MAX - 64 ? (int)want : INT32_MAX - 64);
    if (fit >= want)
        return 0;
    snprintf(text, sizeof(text),
             "The operating system is not able to handle the specified number of clients, try with %d", fit);
    return fail(ret_error, text);
}

int apply_maxmemory(struct node *n, const char **ret_error)
{
    (void)ret_error;
    struct keyspace *ks = node_keyspace(n);
    uint64_t limit = node_options(n)->keyspace.maxmemory;
    if (limit == 0)
        return 0;
    size_t used = mem_used() - node_not_counted_memory(n);
    if (limit < used)
        log_warning(
            "WARNING: the new maxmemory value set via CONFIG SET (%llu) is smaller than the current memory usage "
            "(%zu). This will result in key eviction and/or the inability to accept new write commands depending "
            "on the maxmemory-policy.",
            (unsigned long long)limit, used);
    if (!replication_leaves_eviction(node_replication(n)))
        ks_evict(ks, node_not_counted_memory(n), clock_monotonic_us);
    return 0;
}

int apply_client_memory(struct node *n, const char **ret_error)
{
    (void)ret_error;
    clients_evict(node_clients(n));
    return 0;
}

int apply_hz(struct node *n, const char **ret_error)
{
    (void)ret_error;
    io_wake(node_io(n)); /* the next turn computes the cron's next tick anew */
    return 0;
}

int apply_title(struct node *n, const char **ret_error)
{
    (void)ret_error;
    if (!node_options(n)->process.set_proc_title)
        return 0;
    struct buf title = BUF_INIT(4096);
    title_expand(node_options(n), config_file(node_config(n)), &title);
    if (title.n)
        process_title_set(buf_cstr(&title));
    buf_done(&title);
    return 0;
}

enum { OOM_MASTER, OOM_REPLICA, OOM_CHILD };

static int set_oom_score(const struct process_config *p, int kind, const char **ret_error)
{
    static int base = 0;
    static bool have_base;
    if (!have_base && process_oom_score_adj_read(&base) == 0)
        have_base = true;
    int value = base;
    if (p->oom_score_adj == OOM_ADJUST_RELATIVE)
        value = base + p->oom_score_adj_values[kind];
    else if (p->oom_score_adj == OOM_ADJUST_ABSOLUTE)
        value = p->oom_score_adj_values[kind];
    value = value < -1000 ? -1000 : value > 1000 ? 1000 : value;
    int now;
    if (process_oom_score_adj_read(&now) == 0 && now == value)
        return 0;
    int r = process_oom_score_adj(value);
    if (r < 0) {
        log_warning("Unable to write oom_score_adj: %s", strerror(-r));
        return fail(ret_error, "Failed to set current oom_score_adj. Check server logs.");
    }
    return 0;
}

int apply_oom_score(struct node *n, const char **ret_error)
{
    int kind = replication_is_replica(node_replication(n)) ? OOM_REPLICA : OOM_MASTER;
    return set_oom_score(&node_options(n)->process, kind, ret_error);
}

void apply_child_oom_score(struct node *n)
{
    (void)set_oom_score(&node_options(n)->process, OOM_CHILD, NULL);
}

void apply_child_title(struct node *n, const char *purpose)
{
    const struct options *o = node_options(n);
    char title[128];
    if (!o->process.set_proc_title)
        return;
    snprintf(title, sizeof(title), "%s *:%d", purpose, o->net.port);
    process_title_set(title);
}

int apply_saving(struct node *n, const char **ret_error)
{
    (void)ret_error;
    saving_configured(node_saving(n));
    return 0;
}

int apply_crash_log(struct node *n, const char **ret_error)
{
    (void)ret_error;
    crash_enable(node_options(n)->process.crash_log_enabled);
    return 0;
}

int apply_watchdog(struct node *n, const char **ret_error)
{
    (void)ret_error;
    crash_watchdog(node_options(n)->process.watchdog_period);
    return 0;
}

int apply_slowlog(struct node *n, const char **ret_error)
{
    (void)ret_error;
    slowlog_trim(node_slowlog(n));
    dispatch_config_changed(node_dispatch(n));
    return 0;
}

int apply_tracking(struct node *n, const char **ret_error)
{
    (void)ret_error;
    tracking_end_of_turn(node_tracking(n));
    dispatch_retarget(node_dispatch(n)); /* others were written to, while the command that set it runs */
    return 0;
}

int apply_cluster(struct node *n, const char **ret_error)
{
    (void)ret_error;
    if (node_cluster(n))
        cluster_driver_configured(node_cluster(n));
    return 0;
}

int apply_latency(struct node *n, const char **ret_error)
{
    (void)ret_error;
    if (!node_options(n)->monitor.latency_tracking)
        latency_reset_commands();
    dispatch_config_changed(node_dispatch(n));
    return 0;
}

int apply_replication(struct node *n, const char **ret_error)
{
    (void)ret_error;
    replication_configured(node_replication(n));
    return 0;
}
