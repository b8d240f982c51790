/* What the command line asked for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tools/bench/keys.h"

#define OPTIONS_COMMANDS_MAX 32
#define OPTIONS_CONNECTIONS_MAX 60000
#define OPTIONS_PIPELINE_MAX 10000
#define OPTIONS_VALUE_MAX (64u << 20) /* bytes */

enum engine_kind {
    ENGINE_AUTO,
    ENGINE_URING,
    ENGINE_EPOLL,
};

struct options {
    /* the server */
    const char *host;
    uint16_t port;
    const char *socket;          /* path of a unix socket, or NULL */
    const char *user, *password; /* or NULL */
    uint32_t db;
    bool resp3;
    int64_t pid; /* 0 = ask the server when it is local */

    /* the load */
    uint32_t connections, pipeline;
    const char *mix;                            /* "get:90,set:10", or NULL */
    const char *commands[OPTIONS_COMMANDS_MAX]; /* from --command */
    uint32_t commands_n;
    bool load, idle;
    enum distribution dist;
    double zipf_exponent;
    uint64_t keyspace, fields;
    uint32_t key_size;      /* bytes, prefix and digits */
    const char *key_prefix; /* of strings and of __key__ in --command */
    uint32_t value_min, value_max;
    uint64_t ttl_seconds; /* 0 = none */
    double rate;          /* requests a second, 0 = as fast as the replies come */
    bool poisson, spin;

    /* how long */
    double duration, warmup; /* seconds */
    uint64_t requests;       /* 0 = until the duration is over */

    /* the rest */
    enum engine_kind engine;
    uint64_t seed;
    bool json;
    const char *svg; /* path, or NULL */
    int plot;        /* 0 no, 1 yes, -1 when standard output is a terminal */
};

/* Reads the command line. Returns -1 to go on, else the exit status (help, or a mistake that has
 * been told). */
int options_parse(struct options *ret_options, int argc, char **argv);
