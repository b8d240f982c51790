/* The command line of ouro-slots. */
#pragma once

#include "model.h"

#define NODES_MAX 1000

struct options {
    const char *command; /* "analyse", "plan", "run", "create" */
    const char *nodes[NODES_MAX]; /* of create: HOST:PORT */
    int nodes_n, replicas, wait_s;
    const char *what;    /* a file, or HOST:PORT */
    bool live;           /* it is HOST:PORT */
    char host[256];
    int port;
    const char *user, *password; /* NULL: none */
    enum metric by;
    bool by_given, json, map, no_color, dry_run;
    int top, sample, batch, timeout_ms;
    int masters[16], masters_n;
    double within, over_s, keys_per_second;
    const char *svg, *out;
};

/* "host:port" apart. False: it is none. */
bool options_address(const char *text, char *ret_host, size_t host_max, int *ret_port);
/* 0: go on; else print nothing more and exit with what is in ret_exit. */
int options_parse(int argc, char **argv, struct options *, int *ret_exit);
