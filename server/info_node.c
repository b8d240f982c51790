/* INFO sections about the node: server, clients, memory, persistence, cpu, cluster, keyspace. */
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "server/blocked.h"
#include "server/client_evict.h"
#include "server/clients.h"
#include "server/drivers/cluster.h"
#include "server/drivers/replication.h"
#include "server/ending.h"
#include "server/info.h"
#include "server/listeners.h"
#include "server/loading.h"
#include "server/loop/process.h"
#include "server/node.h"
#include "server/pubsub.h"
#include "server/saving.h"
#include "server/stats.h"
#include "server/tracking.h"
#include "server/multi.h"
#include "server/version.h"
#include "server/waiting.h"

static const char *supervised_name(const struct process_config *p)
{
    switch ((enum supervised_mode)p->supervised) {
    case SUPERVISED_SYSTEMD: return "systemd";
    case SUPERVISED_UPSTART: return "upstart";
    case SUPERVISED_AUTO:
    case SUPERVISED_NO: break;
    }
    return "no";
}

void info_server(struct node *n, struct buf *b)
{
    const struct options *o = node_options(n);
    struct io *io = node_io(n);
    usec_t now = io_now_wall(io);
    msec_t up = (now / 1000 - node_start_ms(n)) / 1000;
    info_line(b, "redis_version", "%s", REDIS_VERSION);
    info_line(b, "redis_git_sha1", "00000000");
    info_line(b, "redis_git_dirty", "0");
    info_line(b, "redis_build_id", "%s", OURO_VERSION);
    info_line(b, "redis_mode", "%s", node_cluster(n) ? "cluster" : "standalone");
    info_line(b, "os", "%s", process_os());
    info_line(b, "arch_bits", "%d", (int)sizeof(long) * 8);
    info_line(b, "monotonic_clock", "POSIX clock_gettime");
    info_line(b, "multiplexing_api", "%s", io_backend_name(io));
    info_line(b, "atomicvar_api", "c11-builtin");
    info_line(b, "gcc_version", "%d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
    info_line(b, "process_id", "%d", process_id());
    info_line(b, "process_supervised", "%s", supervised_name(&o->process));
    info_line(b, "run_id", "%s", node_run_id(n));
    info_line(b, "tcp_port", "%d", o->net.port);
    info_line(b, "server_time_usec", "%lld", (long long)now);
    info_line(b, "uptime_in_seconds", "%lld", (long long)up);
    info_line(b, "uptime_in_days", "%lld", (long long)up / 86400);
    info_line(b, "hz", "%d", o->process.hz);
    info_line(b, "configured_hz", "%d", o->process.hz);
    info_line(b, "lru_clock", "%llu", (unsigned long long)(now / 1000000) & 0xffffff);
    info_line(b, "executable", "%s", process_executable());
    info_line(b, "config_file", "%s", config_file(node_config(n)) ? config_file(node_config(n)) : "");
    info_line(b, "io_threads_active", "0");
    if (ending_waits(node_ending(n)))
        info_u64(b, "shutdown_in_milliseconds", (uint64_t)ending_left_ms(node_ending(n)));
    for (int i = 0; i < listeners_count(node_listeners(n)); i++) {
        struct buf line = BUF_INIT(4096);
        listeners_describe(node_listeners(n), i, &line);
        buf_printf(b, "listener%d:", i);
        buf_append(b, buf_bytes(&line));
        buf_append_str(b, "\r\n");
        buf_done(&line);
    }
    info_line(b, "ouro_version", "%s", OURO_VERSION);
    info_line(b, "io_backend", "%s", io_backend_name(io));
    info_line(b, "io_backend_reason", "%s", io_backend_reason(io));
}

static struct bus_figures bus_figures(struct node *n)
{
    return node_cluster(n) ? cluster_driver_figures(node_cluster(n)) : (struct bus_figures){ 0 };
}

void info_clients(struct node *n, struct buf *b)
{
    struct clients *all = node_clients(n);
    size_t in_max = 0, out_max = 0;
    uint64_t pubsub = 0, watching = 0;
    LIST_EACH(clients_list(all), node) {
        struct client *c = LIST_ITEM(node, struct client, all);
        size_t in = client_query_bytes(c), out = conn_out_bytes(c->conn);
        in_max = in > in_max ? in : in_max;
        out_max = out > out_max ? out : out_max;
        pubsub += !!(c->flags & CLIENT_PUBSUB);
        watching += c->watches != NULL;
    }
    info_u64(b, "connected_clients", clients_count(all));
    info_u64(b, "cluster_connections", bus_figures(n).connections);
    info_u64(b, "maxclients", (uint64_t)node_options(n)->net.maxclients);
    info_u64(b, "client_recent_max_input_buffer", in_max);
    info_u64(b, "client_recent_max_output_buffer", out_max);
    info_u64(b, "blocked_clients", blocked_clients(node_blocked(n)) + waiting_clients(node_waiting(n)));
    info_u64(b, "tracking_clients", tracking_clients(node_tracking(n)));
    info_u64(b, "pubsub_clients", pubsub);
    info_u64(b, "watching_clients", watching);
    uint64_t timed = blocked_with_deadline(node_blocked(n)) + waiting_with_deadline(node_waiting(n));
    info_u64(b, "clients_in_timeout_table", timed);
    info_u64(b, "total_watched_keys", watch_keys(node_watches(n)));
    info_u64(b, "total_blocking_keys", blocked_keys(node_blocked(n)));
    info_u64(b, "total_blocking_keys_on_nokey", blocked_keys_on_nokey(node_blocked(n)));
}

struct memory_figures memory_figures(struct node *n)
{
    struct memory_figures f = { .used = mem_used(), .rss = process_rss() };
    struct stats *s = node_stats(n);
    struct clients_stats *cs = clients_stats(node_clients(n));
    struct keyspace *ks = node_keyspace(n);
    if (f.used > s->peak_memory)
        s->peak_memory = f.used;
    f.peak = s->peak_memory;
    f.startup = s->startup_memory;
    f.overhead = f.startup + cs->memory_normal + cs->memory_replicas;
    for (int i = 0; i < ks_databases(ks); i++) {
        f.keys += db_size(ks_db(ks, i));
        f.tables += db_table_bytes(ks_db(ks, i));
    }
    f.overhead += f.tables;
    f.dataset = f.used > f.overhead ? f.used - f.overhead : 0;
    size_t net = f.used > f.startup ? f.used - f.startup : 0;
    f.dataset_perc = net ? (double)f.dataset * 100 / (double)net : 0;
    f.peak_perc = f.peak ? (double)f.used * 100 / (double)f.peak : 0;
    mem_stats_get(&f.allocator);
    return f;
}

double memory_ratio(size_t a, size_t b)
{
    return b ? (double)a / (double)b : 0;
}

/* Nothing of scripting is there yet: the fields that tools read say so. */
static void info_memory_scripts(struct buf *b)
{
    static const char *const zero[] = { "used_memory_vm_eval", "used_memory_scripts_eval", "number_of_cached_scripts",
                                        "number_of_functions", "number_of_libraries", "used_memory_vm_functions",
                                        "used_memory_functions" };
    info_human(b, "used_memory_lua", 0);
    for (size_t i = 0; i < sizeof(zero) / sizeof(*zero); i++)
        info_u64(b, zero[i], 0);
    info_human(b, "used_memory_vm_total", 0);
    info_human(b, "used_memory_scripts", 0);
}

static void info_memory_ratios(const struct memory_figures *f, struct buf *b)
{
    const struct mem_stats *a = &f->allocator;
    info_line(b, "allocator_frag_ratio", "%.2f", memory_ratio(a->active, a->allocated));
    info_line(b, "allocator_frag_bytes", "%zu", a->active > a->allocated ? a->active - a->allocated : 0);
    info_line(b, "allocator_rss_ratio", "%.2f", memory_ratio(a->resident, a->active));
    info_line(b, "allocator_rss_bytes", "%lld", (long long)a->resident - (long long)a->active);
    info_line(b, "rss_overhead_ratio", "%.2f", memory_ratio(f->rss, a->resident));
    info_line(b, "rss_overhead_bytes", "%lld", (long long)f->rss - (long long)a->resident);
    info_line(b, "mem_fragmentation_ratio", "%.2f", memory_ratio(f->rss, f->used));
    info_line(b, "mem_fragmentation_bytes", "%lld", (long long)f->rss - (long long)f->used);
}

void info_memory(struct node *n, struct buf *b)
{
    const struct options *o = node_options(n);
    struct memory_figures f = memory_figures(n);
    struct clients_stats *cs = clients_stats(node_clients(n));
    info_human(b, "used_memory", f.used);
    info_human(b, "used_memory_rss", f.rss);
    info_human(b, "used_memory_peak", f.peak);
    info_line(b, "used_memory_peak_perc", "%.2f%%", f.peak_perc);
    info_u64(b, "used_memory_overhead", f.overhead);
    info_u64(b, "used_memory_startup", f.startup);
    info_u64(b, "used_memory_dataset", f.dataset);
    info_line(b, "used_memory_dataset_perc", "%.2f%%", f.dataset_perc);
    info_u64(b, "allocator_allocated", f.allocator.allocated);
    info_u64(b, "allocator_active", f.allocator.active);
    info_u64(b, "allocator_resident", f.allocator.resident);
    info_human(b, "total_system_memory", (uint64_t)process_memory_total());
    info_memory_scripts(b);
    info_human(b, "maxmemory", o->keyspace.maxmemory);
    info_line(b, "maxmemory_policy", "%s", policy_names[o->keyspace.maxmemory_policy]);
    info_memory_ratios(&f, b);
    info_u64(b, "mem_not_counted_for_evict", node_not_counted_memory(n));
    struct repl_view v;
    repl_view(replication_machine(node_replication(n)), replication_now(node_replication(n)), &v);
    info_u64(b, "mem_replication_backlog", v.backlog_memory < v.backlog_size ? v.backlog_memory : v.backlog_size);
    info_u64(b, "mem_total_replication_buffers", v.backlog_memory);
    info_u64(b, "mem_clients_slaves", cs->memory_replicas);
    info_u64(b, "mem_clients_normal", cs->memory_normal);
    info_u64(b, "mem_cluster_links", bus_figures(n).memory);
    info_u64(b, "mem_aof_buffer", 0);
    info_line(b, "mem_allocator", "%s", mem_allocator_name());
    info_u64(b, "active_defrag_running", 0);
    info_u64(b, "lazyfree_pending_objects", ks_lazyfree_pending(node_keyspace(n)));
    info_u64(b, "lazyfreed_objects", ks_stats(node_keyspace(n))->lazyfreed);
}

static void info_snapshot(struct node *n, struct buf *b)
{
    const struct snapshots *images = saving_snapshots(node_saving(n));
    struct snapshot_progress p;
    snapshot_progress(images, &p);
    msec_t age = snapshot_running(images) && p.cow_at ? clock_monotonic_us() / 1000 - p.cow_at : 0;
    info_u64(b, "current_cow_peak", snapshot_running(images) ? p.cow_peak : 0);
    info_u64(b, "current_cow_size", p.cow_bytes);
    info_line(b, "current_cow_size_age", "%lld", (long long)age / 1000);
    info_line(b, "current_fork_perc", "%.2f", p.keys_total ? 100.0 * (double)p.keys / (double)p.keys_total : 0);
    info_u64(b, "current_save_keys_processed", p.keys);
    info_u64(b, "current_save_keys_total", p.keys_total);
}

void info_persistence(struct node *n, struct buf *b)
{
    struct saving *saving = node_saving(n);
    const struct snapshots *images = saving_snapshots(saving);
    const struct snapshot_figures *figures = snapshot_figures(images);
    const struct rdb_load_report *loaded = loading_last_report(node_loading(n));
    enum loading_state loading = loading_state(node_loading(n));
    struct saving_figures f;
    saving_figures(saving, &f);
    bool saves = snapshot_running(images) && snapshot_purpose(images) != SNAPSHOT_AOF;
    info_u64(b, "loading", loading == LOADING_BLOCKING);
    info_u64(b, "async_loading", loading == LOADING_BESIDE);
    info_snapshot(n, b);
    info_u64(b, "rdb_changes_since_last_save", f.dirty);
    info_u64(b, "rdb_bgsave_in_progress", saves);
    info_u64(b, "rdb_last_save_time", (uint64_t)f.last_save_ms / 1000);
    info_line(b, "rdb_last_bgsave_status", "%s", f.last_ok ? "ok" : "err");
    info_line(b, "rdb_last_bgsave_time_sec", "%lld", (long long)f.last_took_s);
    info_line(b, "rdb_current_bgsave_time_sec", "%lld", (long long)f.current_s);
    info_u64(b, "rdb_saves", f.saves);
    info_u64(b, "rdb_last_cow_size", figures->cow_save);
    info_u64(b, "rdb_last_load_keys_expired", loaded->expired);
    info_u64(b, "rdb_last_load_keys_loaded", loaded->keys);
    info_u64(b, "aof_enabled", 0);
    info_u64(b, "aof_rewrite_in_progress", 0);
    info_u64(b, "aof_rewrite_scheduled", 0);
    info_line(b, "aof_last_rewrite_time_sec", "-1");
    info_line(b, "aof_current_rewrite_time_sec", "-1");
    info_line(b, "aof_last_bgrewrite_status", "ok");
    info_u64(b, "aof_rewrites", 0);
    info_u64(b, "aof_rewrites_consecutive_failures", 0);
    info_line(b, "aof_last_write_status", "ok");
    info_u64(b, "aof_last_cow_size", 0);
    info_u64(b, "module_fork_in_progress", 0);
    info_u64(b, "module_fork_last_cow_size", 0);
    loading_info(node_loading(n), b);
}

void info_cpu(struct node *n, struct buf *b)
{
    (void)n;
    struct process_usage u;
    process_usage_get(&u);
    info_line(b, "used_cpu_sys", "%f", u.sys_s);
    info_line(b, "used_cpu_user", "%f", u.user_s);
    info_line(b, "used_cpu_sys_children", "%f", u.sys_children_s);
    info_line(b, "used_cpu_user_children", "%f", u.user_children_s);
    info_line(b, "used_cpu_sys_main_thread", "%f", u.sys_thread_s);
    info_line(b, "used_cpu_user_main_thread", "%f", u.user_thread_s);
}

void info_cluster(struct node *n, struct buf *b)
{
    info_u64(b, "cluster_enabled", node_cluster(n) != NULL);
}

void info_keyspace(struct node *n, struct buf *b)
{
    struct keyspace *ks = node_keyspace(n);
    for (int i = 0; i < ks_databases(ks); i++) {
        struct db *db = ks_db(ks, i);
        if (db_size(db) == 0)
            continue;
        buf_printf(b, "db%d:keys=%llu,expires=%llu,avg_ttl=%lld\r\n", i, (unsigned long long)db_size(db),
                   (unsigned long long)db_volatile(db), (long long)db_avg_ttl(db));
    }
}
