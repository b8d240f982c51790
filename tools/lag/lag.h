/* ouro-lag: how far replicas are behind, as a server says it. A sample is one INFO; two of them tell rates. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define LAG_REPLICAS_MAX 64

struct lag_replica {
    char name[300]; /* ip:port */
    char state[32];
    int64_t offset;
    int64_t lag_ms;    /* -1: not known */
    int64_t lag_bytes; /* behind the master */
    double drain;      /* bytes a second it takes; negative: not known yet */
    double leaves_s;   /* seconds until it is behind the backlog; negative: it is not on its way there */
};

struct lag_sample {
    double at; /* seconds, monotonic */
    char role[16];
    char master[300];  /* of a replica */
    char link[16];
    int64_t own_lag_ms; /* of a replica; -1 */
    int64_t offset, backlog_size, backlog_histlen;
    double produced; /* bytes a second; negative: not known yet */
    int replicas_n;
    struct lag_replica replicas[LAG_REPLICAS_MAX];
};

/* From the text of INFO replication. False: there is no role in it. `before` (may be NULL) gives the rates. */
bool lag_parse(const char *info, double at, const struct lag_sample *before, struct lag_sample *ret);
void lag_print_text(const struct lag_sample *, const char *address, bool colours, FILE *);
void lag_print_json(const struct lag_sample *, FILE *); /* one line */
