/* The server as the system sees it: who it is, how much CPU time it has used and how much memory it
 * holds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tools/bench/options.h"

struct target {
    int64_t pid;      /* 0 = not local, or it did not say */
    char version[64]; /* "redis 7.0.15", "ouro 0.1.0 (7.2.4)"; "?" unknown */
    char io[24];      /* multiplexing_api, "" unknown */
};

struct target_sample {
    bool ok;
    uint64_t cpu_ns; /* of all threads, user and system */
    uint64_t rss_bytes;
};

/* Asks a blocking connection for INFO; o->pid overrides. Returns negative errno only when the link
 * failed. */
int target_probe(struct target *, const struct options *, int fd);

void target_sample(const struct target *, struct target_sample *ret_sample);
