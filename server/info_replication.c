/* INFO replication: Redis' fields in Redis' order; ours are lag_ms and lag_bytes of each replica, slave_lag_ms, and
 * repl_guard when a replica keeps its data against its master. */
#include <string.h>

#include "server/drivers/replication.h"
#include "server/info.h"
#include "server/node.h"

static msec_t seconds_of(msec_t ms)
{
    return ms < 0 ? -1 : ms / 1000;
}

static void info_sync(const struct repl_view *v, struct buf *b)
{
    bool known = v->sync_total != REPL_SIZE_UNKNOWN;
    double perc = known && v->sync_total ? (double)v->sync_read * 100 / (double)v->sync_total : 0;
    info_line(b, "master_sync_total_bytes", "%lld", known ? (long long)v->sync_total : -1LL);
    info_u64(b, "master_sync_read_bytes", v->sync_read);
    info_line(b, "master_sync_left_bytes", "%lld", known ? (long long)(v->sync_total - v->sync_read) : -1LL);
    info_line(b, "master_sync_perc", "%.2f", perc);
    info_line(b, "master_sync_last_io_seconds_ago", "%lld", (long long)seconds_of(v->sync_last_io_ms));
}

static void info_replica(const struct repl_view *v, const struct replication_config *c, struct buf *b)
{
    bool up = v->link == REPL_LINK_CONNECTED;
    info_line(b, "master_host", "%s", v->master_host);
    info_line(b, "master_port", "%d", v->master_port);
    info_line(b, "master_link_status", "%s", up ? "up" : "down");
    info_line(b, "master_last_io_seconds_ago", "%lld", up ? (long long)seconds_of(v->last_io_ms) : -1LL);
    info_u64(b, "master_sync_in_progress", v->sync_in_progress);
    info_line(b, "slave_read_repl_offset", "%lld", (long long)v->read_offset);
    info_line(b, "slave_repl_offset", "%lld", (long long)v->offset);
    if (v->sync_in_progress)
        info_sync(v, b);
    if (!up)
        info_line(b, "master_link_down_since_seconds", "%lld", (long long)seconds_of(v->down_ms));
    info_line(b, "slave_priority", "%d", c->replica_priority);
    info_u64(b, "slave_read_only", c->replica_read_only);
    info_u64(b, "replica_announced", c->replica_announced);
}

static void info_replicas(const struct repl *machine, const struct repl_view *v, msec_t now, struct buf *b)
{
    static const char *const states[] = { "wait_bgsave", "send_bulk", "online" };
    for (int i = 0; i < v->replicas; i++) {
        struct repl_replica_view r;
        repl_replica_at(machine, i, now, &r);
        buf_printf(b, "slave%d:ip=%s,port=%d,state=%s,offset=%lld,lag=%lld,lag_ms=%lld,lag_bytes=%llu\r\n", i, r.ip,
                   r.port, states[r.state], (long long)r.ack_offset, (long long)seconds_of(r.ack_age_ms),
                   (long long)r.lag_ms, (unsigned long long)r.lag_bytes);
    }
}

void info_replication(struct node *n, struct buf *b)
{
    static const char *const failover[] = { "no-failover", "waiting-for-sync", "failover-in-progress" };
    struct replication *rep = node_replication(n);
    const struct repl *machine = replication_machine(rep);
    const struct replication_config *c = &node_options(n)->replication;
    msec_t now = replication_now(rep);
    struct repl_view v;
    repl_view(machine, now, &v);
    info_line(b, "role", "%s", v.replica ? "slave" : "master");
    if (v.replica)
        info_replica(&v, c, b);
    info_line(b, "connected_slaves", "%d", v.replicas);
    if (c->min_replicas_to_write)
        info_line(b, "min_slaves_good_slaves", "%d", repl_good_replicas(machine, now));
    info_replicas(machine, &v, now, b);
    info_line(b, "master_failover_state", "%s", failover[v.failover]);
    info_line(b, "master_replid", "%s", v.replid);
    info_line(b, "master_replid2", "%s", v.replid2);
    info_line(b, "master_repl_offset", "%lld", (long long)v.offset);
    info_line(b, "second_repl_offset", "%lld", (long long)v.second_offset);
    info_u64(b, "repl_backlog_active", v.backlog);
    info_u64(b, "repl_backlog_size", v.backlog_size);
    info_line(b, "repl_backlog_first_byte_offset", "%lld", (long long)v.backlog_first);
    info_line(b, "repl_backlog_histlen", "%lld", (long long)v.backlog_histlen);
    if (v.replica)
        info_line(b, "slave_lag_ms", "%lld", (long long)v.staleness_ms);
    if (v.guard_text)
        info_line(b, "repl_guard", "%s", v.guard_text);
    if (v.spilled)
        info_u64(b, "repl_spilled_bytes", v.spilled);
}
