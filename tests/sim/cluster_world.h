/* A world for cluster machines: virtual clock, network, disk and a little data, from one seed.
 *
 * Nodes are processes that can be killed, started again, frozen, cut off. Connections are ordered and reliable as TCP:
 * what cannot be delivered during a partition comes after it. Replication is modelled: a node's data is a list of
 * numbered writes; a replica whose master is reachable has the same list a little later. */
#pragma once

#include "cluster/cluster.h"
#include "common/prng.h"

#define CWORLD_NOWHERE (-1)

struct conn;
struct event;

struct cworld_node {
    struct cluster *m;      /* NULL while the process is dead */
    int index;
    bool frozen;
    unsigned side;          /* nodes of different sides do not reach each other */
    struct buf disk;        /* nodes.conf */
    bool disk_fails;
    usec_t next_tick, last_step;
    msec_t wall_skew;
    struct cluster_repl repl;
    uint32_t *data;         /* numbers of writes */
    size_t n_data, cap_data;
    int follows;            /* index, or CWORLD_NOWHERE */
    bool in_sync;
    enum cluster_pause pause;
    msec_t pause_until;
    struct conn **out, **in; /* by number of the link */
    size_t n_out, n_in;
    struct event **frozen_events;
    size_t n_frozen, cap_frozen;
    uint64_t bytes_sent, frames_sent, steps;
    uint64_t seen_epoch;
    unsigned seen_slots;
    msec_t ok_at;           /* when cluster_state last became ok */
};

struct cworld {
    usec_t now;
    struct prng rng;
    struct cworld_node *nodes;
    int n;
    msec_t node_timeout;
    usec_t delay_min, delay_max; /* of a message */
    struct heap_entry *heap;
    size_t n_heap, cap_heap;
    uint64_t seq;
    bool verbose;
    bool writes;            /* serving masters get a write every 20 ms */
    bool big;               /* no check after every step */
    struct claims *claims;  /* who has ever owned a slot under an epoch */
    size_t n_claims;
    uint64_t next_write;
    const char *broken;     /* an invariant that did not hold */
    char why[400];
    struct cluster_actions actions;
    /* What the last deaths were noticed at: */
    void (*on_trace)(struct cworld *, struct cworld_node *, const char *text);
    void *ctx;
};

void cworld_init(struct cworld *, int nodes, uint64_t seed, msec_t node_timeout);
void cworld_done(struct cworld *);
/* Masters share the slots; node i of [masters, n) replicates i % masters. By nodes.conf: formed from the start. */
void cworld_form(struct cworld *, int masters);
void cworld_name(int i, char name[CLUSTER_NAME + 1]); /* of node i in a formed cluster */
void cworld_start(struct cworld *, int i);         /* a process with what is on its disk and in its data */
void cworld_run(struct cworld *, usec_t until);
void cworld_run_for(struct cworld *, msec_t);
/* Runs until `done`, at most for `most`; false: it was not. Looks every 10 ms. */
bool cworld_run_until(struct cworld *, bool (*done)(struct cworld *), msec_t most);

void cworld_kill(struct cworld *, int i);          /* kill -9 */
void cworld_lose_data(struct cworld *, int i);     /* of a dead node: restarted without its dataset */
void cworld_freeze(struct cworld *, int i);
void cworld_thaw(struct cworld *, int i);
void cworld_side(struct cworld *, int i, unsigned side);
void cworld_heal(struct cworld *);                 /* one side, nobody frozen */

struct cluster_reply cworld_command(struct cworld *, int i, struct cluster_command);
void cworld_meet(struct cworld *, int i, int other);
void cworld_step(struct cworld *, int i, struct cluster_event *);

enum cworld_write { CWORLD_OK, CWORLD_ELSEWHERE, CWORLD_DOWN, CWORLD_PAUSED, CWORLD_DEAD };
enum cworld_write cworld_write(struct cworld *, int i, unsigned slot, uint32_t *ret_number);
bool cworld_has(const struct cworld *, int i, uint32_t number);
int cworld_owner(const struct cworld *, int as_seen_by, unsigned slot); /* index, or CWORLD_NOWHERE */
bool cworld_converged(struct cworld *);            /* all that live agree, and all is well */
bool cworld_agree(struct cworld *);                /* all that live know the same owners */
const char *cworld_disagreement(struct cworld *);  /* the first one, for messages */
