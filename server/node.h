/* The node: the process's parts and how they are wired. The struct is private to node.c; administrative commands ask by
 * these verbs. Data commands do not include this header. */
#pragma once

#include "common/clock.h"
#include "server/client.h"
#include "server/config.h"
#include "server/io.h"
#include "server/keyspace/keyspace.h"
#include "server/options.h"

struct node;
struct slowlog;
struct latency;
struct pubsub;
struct stats;
struct tracking;
struct monitors;
struct propagate;
struct watch_table;
struct blocked;
struct migrations;
struct dispatch;
struct listeners;
struct loading;
struct cluster_driver;
struct ending;
struct replication;
struct saving;
struct waiting;

enum shutdown_flags {
    SHUTDOWN_DEFAULT = 0,
    SHUTDOWN_SAVE = 1 << 0,
    SHUTDOWN_NOSAVE = 1 << 1,
    SHUTDOWN_NOW = 1 << 2,
    SHUTDOWN_FORCE = 1 << 3,
};

/* Makes the parts and listens. Logs what fails; 0 or -errno. config and options must outlive the node. */
int node_new(struct config *, struct options *, int argc, char **argv, struct node **ret_node);
/* Loads what is on disk, answering already; calls `ready` (may be NULL) when it serves. Until shutdown; returns with
 * everything flushed: 0, or negative when the data could not be loaded. */
int node_run(struct node *, void (*ready)(void *ctx), void *ctx);
void node_free(struct node *);

struct io *node_io(struct node *);
struct keyspace *node_keyspace(struct node *);
struct config *node_config(struct node *);
struct options *node_options(struct node *);
struct clients *node_clients(struct node *);
struct pubsub *node_pubsub(struct node *);
struct slowlog *node_slowlog(struct node *);
struct latency *node_latency(struct node *);
struct stats *node_stats(struct node *);
struct tracking *node_tracking(struct node *);
struct dispatch *node_dispatch(struct node *);
struct monitors *node_monitors(struct node *);
struct propagate *node_propagate(struct node *);
struct watch_table *node_watches(struct node *);
struct blocked *node_blocked(struct node *);
struct migrations *node_migrations(struct node *);
struct listeners *node_listeners(struct node *);
struct cluster_driver *node_cluster(struct node *); /* NULL: not in cluster mode */
struct replication *node_replication(struct node *);
struct waiting *node_waiting(struct node *);
struct ending *node_ending(struct node *);
struct saving *node_saving(struct node *);
struct loading *node_loading(struct node *);

/* Reasons to refuse commands that are rare: the gates look at them together. */
enum node_gate {
    GATE_LOADING = 1 << 0,
    GATE_LOADING_BESIDE = 1 << 1,
    GATE_MISCONF = 1 << 2, /* the data cannot be saved: no writes */
    GATE_REPLICATION = 1 << 3, /* a replica, or min-replicas-to-write */
};
void node_set_gate(struct node *, enum node_gate, bool on);
unsigned node_gates(const struct node *);

const char *node_run_id(const struct node *); /* 40 hex digits */
msec_t node_start_ms(const struct node *);    /* wall time of the start */
msec_t node_now(const struct node *);         /* wall ms, frozen for the command */
char **node_argv(const struct node *);        /* command line, NULL-terminated */

/* 0: the process will end after this turn, nothing more is executed. 1: when replicas have everything, or no longer.
 * Negative: the data could not be saved. */
int node_shutdown(struct node *, unsigned flags);
bool node_shutdown_abort(struct node *); /* SHUTDOWN ABORT: false when none is under way */
int node_relisten(struct node *, const char **ret_error); /* after CONFIG SET bind / port */
void node_take_signals(struct node *);         /* this node is the one that node_request_shutdown_signal means */
void node_request_shutdown_signal(int signo); /* async-signal-safe */
void node_role_changed(struct node *);        /* master or replica: what the process shows of it */
void node_pause_cron(struct node *, bool);    /* DEBUG PAUSE-CRON */
size_t node_not_counted_memory(struct node *); /* mem_not_counted_for_evict */
