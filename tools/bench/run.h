/* One run: opens the connections, keeps them busy, measures a window of it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "tools/bench/clock.h"
#include "tools/bench/histogram.h"
#include "tools/bench/options.h"
#include "tools/bench/replies.h"
#include "tools/bench/target.h"
#include "tools/bench/workload.h"

struct command_result {
    const char *name;       /* the workload's */
    uint64_t sent, replies; /* from the first request to the last, warm-up and rest included */
    uint64_t errors;        /* error replies among them */
    uint64_t measured;      /* replies within the window */
    char first_error[REPLIES_TEXT_MAX + 1];
    struct histogram latency;
};

struct run_result {
    struct target target;
    const char *engine;
    double seconds;          /* length of the window */
    double connect_seconds;  /* what opening all connections took */
    uint64_t requests;       /* replies within the window */
    uint64_t requests_total; /* replies in all */
    uint64_t errors;
    uint64_t bytes_in, bytes_out; /* in all */
    uint32_t lost_connections;
    uint64_t unanswered; /* sent, or due in the open loop, and never answered */
    bool complete;       /* false: stopped by the clock or a signal before --requests were done */
    nsec_t late_max;   /* open loop: longest time a request waited for a free connection or for the
                          client */
    bool server_known; /* the next three are there */
    uint64_t server_cpu_ns; /* used within the window */
    uint64_t rss_before,
        rss_after; /* bytes: before the connections were opened, at the end of the window */
    uint64_t client_cpu_ns; /* within the window */
    struct command_result *commands;
    uint32_t commands_n;
    struct histogram latency; /* of all commands */
};

/* 0, or negative errno with words for the user in ret_error. The result's names borrow from the
 * workload. */
int run(const struct options *, struct workload *, struct run_result *ret_result,
        struct buf *ret_error);
void run_result_done(struct run_result *);
