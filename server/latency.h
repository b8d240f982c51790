/* Latency: events of the latency monitor (LATENCY LATEST, HISTORY, ...) and per-command histograms (LATENCY HISTOGRAM,
 * INFO latencystats; nanoseconds in common/histogram.h). */
#pragma once

#include "server/call.h"
#include "server/options.h"

#define LATENCY_SAMPLES 160 /* per event */

struct latency;

struct latency_sample {
    int64_t at_s; /* s since 1970; 0: never used */
    msec_t ms;
};

struct latency_series {
    const char *event;
    msec_t max;   /* since start or reset */
    int next;     /* the oldest sample, overwritten next */
    struct latency_sample samples[LATENCY_SAMPLES];
};

struct latency *latency_new(const struct monitor_config *borrowed);
void latency_free(struct latency *);
/* An event took `ms`; kept if the monitor is on and ms >= latency-monitor-threshold. `event` must be static. */
void latency_event(struct latency *, const char *event, msec_t ms, msec_t now);
bool latency_enabled(const struct latency *);
msec_t latency_threshold(const struct latency *);
struct latency_series *latency_find(struct latency *, struct bytes event); /* NULL */
bool latency_forget(struct latency *, struct bytes event); /* LATENCY RESET: false when there is no such event */
int latency_series_count(const struct latency *);
const struct latency_series *latency_series_at(const struct latency *, int i);

/* Per command; called for every call when latency-tracking is on: a few instructions. */
void latency_record(struct command_stats *, uint64_t ns);
void latency_reset_commands(void); /* CONFIG RESETSTAT */
