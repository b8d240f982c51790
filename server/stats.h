/* Counters that belong to nobody else: commands, errors, instantaneous rates. INFO stats, errorstats, commandstats. */
#pragma once

#include "common/bytes.h"
#include "common/clock.h"

struct stats {
    uint64_t commands;          /* total_commands_processed */
    uint64_t errors;            /* total_error_replies */
    uint64_t unexpected_errors;
    uint64_t denied_auth, denied_cmd, denied_key, denied_channel; /* acl_access_denied_* */
    uint64_t peak_memory;       /* used_memory_peak */
    uint64_t startup_memory;
    msec_t peak_memory_at;
    msec_t reset_at;
    uint64_t base_bytes_in, base_bytes_out, base_reads, base_writes; /* the loop's counters at the last reset */
    struct {
        uint64_t full, partial_ok, partial_err, input, output;
    } base_repl; /* those of replication */
    /* 16 samples, about 100 ms apart, for instantaneous_ops_per_sec and _kbps */
    struct {
        uint64_t last_value;
        uint64_t samples[16];
        msec_t last_at;
        int next;
    } rate[6]; /* enum stats_rate */
    uint64_t turn_us_sum, turn_us_max, turn_commands_sum, turn_commands_max; /* eventloop_* */
    uint64_t turns, cron_us_sum;
    void *error_codes;          /* counts by first word: stats.c */
};
enum stats_rate { RATE_COMMANDS, RATE_BYTES_IN, RATE_BYTES_OUT, RATE_TURNS, RATE_REPL_IN, RATE_REPL_OUT };

struct stats *stats_new(void);
void stats_free(struct stats *);
void stats_reset(struct stats *);                        /* CONFIG RESETSTAT's part */
void stats_error(struct stats *, struct bytes text);     /* counts the error by its first word (at most 128 kinds) */
void stats_sample(struct stats *, enum stats_rate, uint64_t value_now, msec_t now); /* about every 100 ms */
uint64_t stats_per_second(const struct stats *, enum stats_rate);
void stats_each_error(const struct stats *, void (*visit)(void *ctx, struct bytes code, uint64_t count), void *ctx);
