/* What the slot tools reckon with: 16384 slots with their loads, and who owns them. No I/O. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"

#define SLOTS 16384
#define MASTERS_MAX 1000

enum metric { BY_KEYS, BY_MEMORY, BY_CPU, BY_OPS, METRICS };
extern const char *const metric_names[METRICS]; /* "keys", "memory", "cpu", "ops" */
extern const char *const metric_units[METRICS]; /* "keys", "bytes", "us", "ops" */
bool metric_parse(const char *text, enum metric *ret_metric);

struct load {
    double of[METRICS];
};

struct master {
    char id[41], host[256];
    int port;
};

struct slot_map {
    struct load loads[SLOTS];
    int16_t owner[SLOTS]; /* index of a master, -1: nobody */
    struct master *masters;
    int masters_n;
};

void slot_map_init(struct slot_map *);
void slot_map_done(struct slot_map *);
/* Appends; returns its index, or -1 when there are MASTERS_MAX. */
int slot_map_add_master(struct slot_map *, const char *id, const char *host, int port);
/* n masters "a", "b", ... with the even ranges that redis-cli --cluster create gives them. */
void slot_map_even(struct slot_map *, int masters);

/* The part of a key that is hashed: between the first '{' and the next '}' if there is anything, else all. */
struct bytes hash_tag(struct bytes key, bool *ret_tagged);
unsigned key_slot(struct bytes key);

/* Sums by owner; `ret_loads` has masters_n places. Returns the sum of all slots that have an owner. */
double loads_by_master(const struct slot_map *, const int16_t owner[SLOTS], enum metric, double *ret_loads);
/* The heaviest over the mean; 1 when there is nothing. */
double max_over_mean(const double *loads, int n);
