/* INFO sections of counters: stats, commandstats, errorstats, latencystats; and CONFIG RESETSTAT. */
#include <stdio.h>

#include "common/blob.h"
#include "common/histogram.h"
#include "server/clients.h"
#include "server/drivers/replication.h"
#include "server/info.h"
#include "server/latency.h"
#include "server/migrate.h"
#include "server/node.h"
#include "server/pubsub.h"
#include "server/saving.h"
#include "server/stats.h"
#include "server/tracking.h"

static void zeros(struct buf *b, const char *const *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        info_u64(b, fields[i], 0);
}
#define ZEROS(b, ...)                                                                              \
    do {                                                                                           \
        static const char *const fields_[] = { __VA_ARGS__ };                                      \
        zeros((b), fields_, sizeof(fields_) / sizeof(*fields_));                                   \
    } while (0)

static void info_keyspace_stats(struct node *n, struct buf *b)
{
    const struct ks_stats *k = ks_stats(node_keyspace(n));
    info_u64(b, "expired_keys", k->expired);
    info_line(b, "expired_stale_perc", "%.2f", (double)k->expired_stale_perc_x100 / 100);
    info_u64(b, "expired_time_cap_reached_count", k->expired_time_cap_reached);
    info_u64(b, "expire_cycle_cpu_milliseconds", k->expire_cycle_cpu_us / 1000);
    info_u64(b, "evicted_keys", k->evicted);
    info_u64(b, "evicted_clients", clients_stats(node_clients(n))->evicted);
    info_u64(b, "total_eviction_exceeded_time", k->eviction_exceeded_us / 1000);
    info_u64(b, "current_eviction_exceeded_time", 0);
    info_u64(b, "keyspace_hits", k->hits);
    info_u64(b, "keyspace_misses", k->misses);
}

static void info_turns(const struct stats *s, struct buf *b)
{
    info_u64(b, "eventloop_cycles", s->turns);
    info_u64(b, "eventloop_duration_sum", s->turn_us_sum);
    info_u64(b, "eventloop_duration_cmd_sum", s->turn_us_sum - (s->cron_us_sum < s->turn_us_sum ? s->cron_us_sum : 0));
    info_u64(b, "instantaneous_eventloop_cycles_per_sec", stats_per_second(s, RATE_TURNS));
    info_u64(b, "instantaneous_eventloop_duration_usec", s->turns ? s->turn_us_sum / s->turns : 0);
}

void info_stats(struct node *n, struct buf *b)
{
    const struct stats *s = node_stats(n);
    const struct io_stats *io = io_stats(node_io(n));
    const struct clients_stats *cs = clients_stats(node_clients(n));
    info_u64(b, "total_connections_received", cs->total);
    info_u64(b, "total_commands_processed", s->commands);
    info_u64(b, "instantaneous_ops_per_sec", stats_per_second(s, RATE_COMMANDS));
    info_u64(b, "total_net_input_bytes", io->bytes_in - s->base_bytes_in);
    info_u64(b, "total_net_output_bytes", io->bytes_out - s->base_bytes_out);
    const struct replication *rep = node_replication(n);
    struct repl_view v;
    repl_view(replication_machine(rep), replication_now(rep), &v);
    info_u64(b, "total_net_repl_input_bytes", v.input_bytes - s->base_repl.input);
    info_u64(b, "total_net_repl_output_bytes", v.output_bytes - s->base_repl.output);
    info_line(b, "instantaneous_input_kbps", "%.2f", (double)stats_per_second(s, RATE_BYTES_IN) / 1024);
    info_line(b, "instantaneous_output_kbps", "%.2f", (double)stats_per_second(s, RATE_BYTES_OUT) / 1024);
    info_line(b, "instantaneous_input_repl_kbps", "%.2f", (double)stats_per_second(s, RATE_REPL_IN) / 1024);
    info_line(b, "instantaneous_output_repl_kbps", "%.2f", (double)stats_per_second(s, RATE_REPL_OUT) / 1024);
    info_u64(b, "rejected_connections", cs->rejected);
    info_u64(b, "sync_full", v.sync_full - s->base_repl.full);
    info_u64(b, "sync_partial_ok", v.sync_partial_ok - s->base_repl.partial_ok);
    info_u64(b, "sync_partial_err", v.sync_partial_err - s->base_repl.partial_err);
    info_keyspace_stats(n, b);
    info_u64(b, "pubsub_channels", pubsub_count(node_pubsub(n), PUBSUB_CHANNEL));
    info_u64(b, "pubsub_patterns", pubsub_count(node_pubsub(n), PUBSUB_PATTERN));
    info_u64(b, "pubsubshard_channels", pubsub_count(node_pubsub(n), PUBSUB_SHARD));
    const struct snapshot_figures *images = snapshot_figures(saving_snapshots(node_saving(n)));
    info_u64(b, "latest_fork_usec", (uint64_t)images->fork_us);
    info_u64(b, "total_forks", images->forks);
    info_u64(b, "migrate_cached_sockets", migrations_sockets(node_migrations(n)));
    ZEROS(b, "slave_expires_tracked_keys",
          "active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits", "active_defrag_key_misses",
          "total_active_defrag_time", "current_active_defrag_time");
    info_u64(b, "tracking_total_keys", tracking_keys(node_tracking(n)));
    info_u64(b, "tracking_total_items", tracking_items(node_tracking(n)));
    info_u64(b, "tracking_total_prefixes", tracking_prefixes(node_tracking(n)));
    info_u64(b, "unexpected_error_replies", s->unexpected_errors);
    info_u64(b, "total_error_replies", s->errors);
    info_u64(b, "dump_payload_sanitizations", 0);
    info_u64(b, "total_reads_processed", io->read_events - s->base_reads);
    info_u64(b, "total_writes_processed", io->write_events - s->base_writes);
    ZEROS(b, "io_threaded_reads_processed", "io_threaded_writes_processed", "reply_buffer_shrinks",
          "reply_buffer_expands");
    info_turns(s, b);
    info_u64(b, "acl_access_denied_auth", s->denied_auth);
    info_u64(b, "acl_access_denied_cmd", s->denied_cmd);
    info_u64(b, "acl_access_denied_key", s->denied_key);
    info_u64(b, "acl_access_denied_channel", s->denied_channel);
}

void info_commandstats(struct node *n, struct buf *b)
{
    (void)n;
    for (int i = 0; i < command_ids(); i++) {
        const struct command_entry *e = command_by_id(i);
        const struct command_stats *s = e->stats;
        if (!s->calls && !s->rejected && !s->failed)
            continue;
        uint64_t usec = s->nsec / 1000;
        buf_printf(b, "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu\r\n",
                   e->full_name, (unsigned long long)s->calls, (unsigned long long)usec,
                   s->calls ? (double)s->nsec / 1000 / (double)s->calls : 0.0, (unsigned long long)s->rejected,
                   (unsigned long long)s->failed);
    }
}

void info_debug(struct node *n, struct buf *b)
{
    const struct stats *s = node_stats(n);
    info_u64(b, "eventloop_duration_aof_sum", 0);
    info_u64(b, "eventloop_duration_cron_sum", s->cron_us_sum);
    info_u64(b, "eventloop_duration_max", s->turn_us_max);
    info_u64(b, "eventloop_cmd_per_cycle_max", s->turn_commands_max);
}

static void put_error(void *ctx, struct bytes code, uint64_t count)
{
    buf_printf(ctx, "errorstat_%.*s:count=%llu\r\n", (int)code.n, code.p, (unsigned long long)count);
}

void info_errorstats(struct node *n, struct buf *b)
{
    stats_each_error(node_stats(n), put_error, b);
}

void info_latencystats(struct node *n, struct buf *b)
{
    const struct monitor_config *cfg = &node_options(n)->monitor;
    for (int i = 0; i < command_ids(); i++) {
        const struct command_entry *e = command_by_id(i);
        const struct histogram *h = e->stats->latency;
        if (!h || !h->n)
            continue;
        buf_printf(b, "latency_percentiles_usec_%s:", e->full_name);
        for (int k = 0; k < cfg->latency_tracking_info_percentiles_n; k++) {
            double p = cfg->latency_tracking_info_percentiles[k];
            buf_printf(b, "%sp%g=%.3f", k ? "," : "", p, (double)histogram_percentile(h, p) / 1000);
        }
        buf_append_str(b, "\r\n");
    }
}

void stats_reset_all(struct node *n)
{
    const struct io_stats *io = io_stats(node_io(n));
    struct stats *s = node_stats(n);
    struct ks_stats *k = ks_stats(node_keyspace(n));
    struct clients_stats *cs = clients_stats(node_clients(n));
    stats_reset(s);
    s->base_bytes_in = io->bytes_in;
    s->base_bytes_out = io->bytes_out;
    s->base_reads = io->read_events;
    s->base_writes = io->write_events;
    struct repl_view v;
    repl_view(replication_machine(node_replication(n)), replication_now(node_replication(n)), &v);
    s->base_repl.full = v.sync_full;
    s->base_repl.partial_ok = v.sync_partial_ok;
    s->base_repl.partial_err = v.sync_partial_err;
    s->base_repl.input = v.input_bytes;
    s->base_repl.output = v.output_bytes;
    *k = (struct ks_stats){ .dirty = k->dirty };
    *cs = (struct clients_stats){ .memory_normal = cs->memory_normal, .memory_replicas = cs->memory_replicas };
    blob_lazy_reset();
    latency_reset_commands();
    for (int i = 0; i < command_ids(); i++) {
        struct command_stats *c = command_by_id(i)->stats;
        *c = (struct command_stats){ .latency = c->latency };
    }
}
