/* A world for state machines: hosts, a virtual clock, connections between hosts, timers; all of it from one seed.
 *
 * Nothing here knows what the hosts speak: replication and the cluster bus are both streams of bytes. A connection is
 * ordered and whole while it lives, as TCP is; it may be slow, cut into pieces, held up by a partition, or lost with
 * what was under way. Ends of a connection have a number each; 0 is none.
 *
 *   struct world *w = world_new(seed);
 *   int a = world_host(w, "a", &ops, self);
 *   world_boot(w, a); ...; world_run(w, until);
 *
 * Same seed and same calls: same run, byte by byte. */
#pragma once

#include "common/bytes.h"
#include "common/clock.h"
#include "common/prng.h"

struct world;

struct host_ops {
    void (*booted)(void *self);                                 /* the host begins with what is on its disk */
    void (*crashed)(void *self);                                /* all it has in memory is gone; connections too */
    void (*accepted)(void *self, uint64_t end, int from);       /* somebody connected to us */
    void (*up)(void *self, uint64_t end);                       /* world_connect worked */
    void (*bytes)(void *self, uint64_t end, struct bytes);
    void (*sent)(void *self, uint64_t end, size_t queued);      /* fewer bytes than before are on their way */
    void (*down)(void *self, uint64_t end);                     /* gone; last call for this end */
    void (*timer)(void *self, uint64_t tag);
};

struct path {
    msec_t delay_min, delay_max; /* of a piece, one way */
    uint64_t bytes_per_s;        /* 0 = as fast as you like */
    bool cut;                    /* nothing gets through, nobody is told */
};

struct world *world_new(uint64_t seed);
void world_free(struct world *);
msec_t world_now(const struct world *);
struct prng *world_prng(struct world *);                  /* the one source of chance */
bool world_chance(struct world *, unsigned percent);
uint64_t world_between(struct world *, uint64_t min, uint64_t max);

int world_host(struct world *, const char *name, const struct host_ops *, void *self);
const char *world_name(const struct world *, int host);
int world_find(const struct world *, struct bytes name);  /* -1: nobody */
bool world_is_up(const struct world *, int host);
void world_boot(struct world *, int host);
/* silent: as when the power goes: peers notice when they send next, or by their own time-outs. */
void world_crash(struct world *, int host, bool silent);
void world_stall(struct world *, int host, msec_t ms);    /* SIGSTOP: nothing happens to it for a while, then all */

struct path *world_path(struct world *, int from, int to); /* to be changed at will */
uint64_t world_connect(struct world *, int from, int to);  /* `up` or `down` follow */
void world_send(struct world *, uint64_t end, struct bytes);
void world_close(struct world *, uint64_t end);            /* now: what is under way may be lost; no `down` for us */
void world_close_sent(struct world *, uint64_t end);       /* behind what was sent */
size_t world_queued(const struct world *, uint64_t end);
void world_reset(struct world *, int a, int b);            /* all connections between them break, both are told */

void world_timer(struct world *, int host, msec_t at, uint64_t tag); /* dies with the host's crash */

void world_run(struct world *, msec_t until);
extern bool world_tracing;
void world_trace(struct world *, int host, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Hears every trace line, too; for scenarios. */
void world_on_trace(struct world *, void (*line)(void *ctx, const char *), void *ctx);
_Noreturn void world_fail(struct world *, const char *format, ...) __attribute__((format(printf, 2, 3)));
