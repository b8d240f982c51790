/* MEMORY. */
#include "common/alloc.h"
#include "common/num.h"
#include "common/slab.h"
#include "server/call.h"
#include "server/clients.h"
#include "server/info.h"
#include "server/node.h"

static void cmd_memory_usage(struct call *c)
{
    int64_t samples = 5;
    for (int i = 3; i < c->argc; i++) {
        if (!arg_is(c, i, "samples") || i + 1 >= c->argc) {
            reply_syntax_error(c);
            return;
        }
        if (!arg_i64(c, ++i, &samples))
            return;
        if (samples < 0) {
            reply_syntax_error(c);
            return;
        }
    }
    struct entry *e = ks_find(c->db, c->argv[2], KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY);
    if (!e)
        reply_null(c);
    else
        reply_int(c, (int64_t)entry_memory(e, (uint64_t)samples));
}

static void pair(struct call *c, const char *name, size_t v)
{
    resp_bulk_str(c->w, name);
    reply_int(c, (int64_t)v);
}

static void pair_double(struct call *c, const char *name, double v)
{
    resp_bulk_str(c->w, name);
    resp_double(c->w, v);
}

static int64_t reply_db(struct call *c, struct db *db)
{
    if (db_size(db) == 0)
        return 0;
    char name[32] = "db.";
    size_t n = 3 + num_format_i64(name + 3, db_id(db));
    reply_bulk(c, bytes_of(name, n));
    resp_map(c->w, 2);
    pair(c, "overhead.hashtable.main", db_table_bytes(db));
    pair(c, "overhead.hashtable.expires", 0);
    return 1;
}

static void reply_allocator(struct call *c, const struct memory_figures *f)
{
    const struct mem_stats *a = &f->allocator;
    pair(c, "allocator.allocated", a->allocated);
    pair(c, "allocator.active", a->active);
    pair(c, "allocator.resident", a->resident);
    pair_double(c, "allocator-fragmentation.ratio", memory_ratio(a->active, a->allocated));
    pair(c, "allocator-fragmentation.bytes", a->active - a->allocated);
    pair_double(c, "allocator-rss.ratio", memory_ratio(a->resident, a->active));
    pair(c, "allocator-rss.bytes", a->resident - a->active);
    pair_double(c, "rss-overhead.ratio", memory_ratio(f->rss, a->resident));
    pair(c, "rss-overhead.bytes", f->rss - a->resident);
    pair_double(c, "fragmentation", memory_ratio(f->rss, f->used));
    pair(c, "fragmentation.bytes", f->rss - f->used);
}

static void cmd_memory_stats(struct call *c)
{
    struct memory_figures f = memory_figures(c->node);
    const struct clients_stats *cs = clients_stats(node_clients(c->node));
    struct writer_mark m = resp_later(c->w);
    int64_t dbs = 0;
    pair(c, "peak.allocated", f.peak);
    pair(c, "total.allocated", f.used);
    pair(c, "startup.allocated", f.startup);
    pair(c, "replication.backlog", 0);
    pair(c, "clients.slaves", cs->memory_replicas);
    pair(c, "clients.normal", cs->memory_normal);
    pair(c, "cluster.links", 0);
    pair(c, "aof.buffer", 0);
    pair(c, "lua.caches", 0);
    pair(c, "functions.caches", 0);
    for (int i = 0; i < ks_databases(c->ks); i++)
        dbs += reply_db(c, ks_db(c->ks, i));
    pair(c, "overhead.total", f.overhead);
    pair(c, "keys.count", f.keys);
    pair(c, "keys.bytes-per-key", f.keys && f.used > f.startup ? (f.used - f.startup) / f.keys : 0);
    pair(c, "dataset.bytes", f.dataset);
    pair_double(c, "dataset.percentage", f.dataset_perc);
    pair_double(c, "peak.percentage", f.peak_perc);
    reply_allocator(c, &f);
    enum { FIXED = 10 + 6 + 11 };
    resp_later_map(c->w, m, FIXED + dbs);
}

static void cmd_memory_doctor(struct call *c)
{
    struct memory_figures f = memory_figures(c->node);
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    const size_t little = 5 * 1024 * 1024;
    if (f.used < little) {
        buf_append_str(&b, "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be "
                           "used in these conditions. Please, leave for your mission on Earth and fill it with some "
                           "data.\n");
    } else {
        if (f.peak > f.used + f.used / 2)
            buf_printf(
                &b,
                " * Peak memory: in the past this instance used %zu MB, more than 150%% of what it uses now. The "
                "allocator may keep the difference for a while; MEMORY PURGE returns free pages.\n\n",
                f.peak >> 20);
        if (memory_ratio(f.rss, f.used) > 1.4 && f.rss > f.used + 10 * 1024 * 1024)
            buf_printf(&b, " * High fragmentation: the process holds %.2f times the memory that the data set takes "
                           "(mem_fragmentation_ratio).\n\n", memory_ratio(f.rss, f.used));
        uint64_t clients = clients_count(node_clients(c->node));
        size_t normal = clients_stats(node_clients(c->node))->memory_normal;
        if (clients && normal / clients > 200 * 1024)
            buf_append_str(
                &b, " * Big client buffers: clients use more than 200 KB each on average; CLIENT LIST shows omem "
                    "and tot-mem of each.\n\n");
        if (b.n == 0)
            buf_append_str(
                &b, "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs "
                    "on this base.\n");
        else
            buf_append_str(&b, "I'm here to keep you safe, Sam. I want to help you.\n");
    }
    resp_verbatim(c->w, "txt", buf_bytes(&b));
    buf_done(&b);
}

static void cmd_memory_purge(struct call *c)
{
    slab_release_empty();
    mem_purge();
    reply_ok(c);
}

static void cmd_memory_malloc_stats(struct call *c)
{
    struct mem_stats a;
    struct slab_stats s;
    mem_stats_get(&a);
    slab_stats_get(&s);
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&b,
               "Allocator: %s\n"
               "allocated %zu, active %zu, metadata %zu, resident %zu, retained %zu bytes\n"
               "Slabs (entries, fields, members in classes of 8 bytes up to %d):\n"
               "slabs %zu of %d bytes, held %zu, handed out %zu bytes (%.1f%%)\n",
               mem_allocator_name(), a.allocated, a.active, a.metadata, a.resident, a.retained, SLAB_MAX, s.slabs,
               SLAB_BYTES, s.slab_bytes, s.used_bytes,
               s.slab_bytes ? (double)s.used_bytes * 100 / (double)s.slab_bytes : 0.0);
    resp_verbatim(c->w, "txt", buf_bytes(&b));
    buf_done(&b);
}

static void cmd_memory_help(struct call *c)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Return memory problems reports.",
        "MALLOC-STATS",
        "    Return internal statistics report from the memory allocator.",
        "PURGE",
        "    Attempt to purge dirty pages for reclamation by the allocator.",
        "STATS",
        "    Return information about the memory usage of the server.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Nested values are",
        "    sampled up to <count> times (default: 5, 0 means sample all).",
        NULL,
    };
    reply_help(c, lines);
}

static const struct command memory_subs[] = {
    { "doctor", cmd_memory_doctor, 2, 0, NO_KEYS, NULL },
    { "help", cmd_memory_help, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    { "malloc-stats", cmd_memory_malloc_stats, 2, 0, NO_KEYS, NULL },
    { "purge", cmd_memory_purge, 2, 0, NO_KEYS, NULL },
    { "stats", cmd_memory_stats, 2, 0, NO_KEYS, NULL },
    { "usage", cmd_memory_usage, -3, CMD_READ, KEYS_AT(2, 2, 1), NULL },
    COMMANDS_END,
};

const struct command memory_commands[] = {
    { "memory", NULL, -2, CMD_CONTAINER, NO_KEYS, memory_subs },
    COMMANDS_END,
};
