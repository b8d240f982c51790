/* A run's result for people (text, pictures) and for programs (JSON). */
#pragma once

#include <stdio.h>

#include "tools/bench/run.h"

struct quantile {
    const char *name; /* "p99.9" */
    double percent;
};

#define QUANTILES 5
extern const struct quantile quantiles[QUANTILES]; /* p50 p90 p99 p99.9 p99.99 */

void report_text(FILE *, const struct options *, const struct run_result *);
void report_json(FILE *, const struct options *, const struct run_result *);

/* The latency distribution as bars, one line for each of about 20 steps of equal ratio. */
void report_plot(FILE *, const struct run_result *);

/* Latency by percentile, the distribution below, one colour a command. Returns negative errno. */
int report_svg(const char *path, const struct options *, const struct run_result *);

/* Writes "7.3 us", "1.25 ms", "2.1 s": three significant digits, at most 15 bytes with the NUL. */
#define REPORT_TIME_MAX 16
const char *report_time(char dst[REPORT_TIME_MAX], double nsec);

double report_rate(const struct run_result *);          /* replies a second in the window */
double report_server_cpu_us(const struct run_result *); /* a request; 0 when unknown */
double report_client_cpu_us(const struct run_result *); /* a request */
/* "get:90,set:10", "GET", "LPUSH (--command)": what was sent, for a headline. */
void report_workload(char *dst, size_t size, const struct options *, const struct run_result *);
