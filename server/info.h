/* INFO: sections of `name:value` lines, each written beside what it tells of, put together here.
 *
 * Names and order are Redis 7.2's (specs/info-7.2.json); clients and tools parse them. Ours are added at the end of
 * their section (ouro_version, io_backend, io_backend_reason). */
#pragma once

#include "common/alloc.h"
#include "common/buf.h"
#include "common/bytes.h"

struct node;

/* Appends the sections named (default, all, everything; none = default). Unknown names give nothing. */
void info_build(struct node *, int n, const struct bytes *names, struct buf *);
void info_write_fd(struct node *, int fd); /* everything, for the crash report */

void stats_reset_all(struct node *); /* CONFIG RESETSTAT: all counters of all parts */

/* "field:value\r\n" */
void info_line(struct buf *, const char *field, const char *format, ...) __attribute__((format(printf, 3, 4)));
void info_u64(struct buf *, const char *field, uint64_t);
void info_human(struct buf *, const char *field, uint64_t bytes); /* field and field_human */

/* Figures about memory, for INFO memory and MEMORY STATS; bytes. */
struct memory_figures {
    size_t used, rss, peak, startup, overhead, dataset, tables;
    uint64_t keys;
    double dataset_perc, peak_perc;
    struct mem_stats allocator;
};
struct memory_figures memory_figures(struct node *);
double memory_ratio(size_t a, size_t b); /* a / b, 0 when b is 0 */

/* Sections of info_node.c and info_stats.c. */
typedef void info_section_fn(struct node *, struct buf *);
info_section_fn info_server, info_clients, info_memory, info_persistence, info_replication, info_cpu, info_cluster,
    info_keyspace, info_stats, info_commandstats, info_errorstats, info_latencystats, info_debug;
