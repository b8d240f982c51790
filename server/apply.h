/* What makes changed configuration true: asked for by the rows (options.c) after CONFIG SET stored
 * the new values, and by main at start. Each returns 0, or negative with *ret_error set (static
 * text; ret_error may be NULL): the values are then put back and the function is called again,
 * which must succeed. All look at node_options(node) and change nothing when nothing changed.
 * Texts: "Failed to bind to specified addresses." (bind), "Unable to listen on this port. Check
 * server logs." (port), "The operating system is not able to handle the specified number of
 * clients, try with %d", "Failed to set current oom_score_adj. Check server logs.". */
#pragma once

struct config;
struct node;
struct options;

/* Attaches the rows with the node-to-be as owner, before config_load. */
void node_owner_init(struct options *, struct config *);
/* After config_load, before there is a node: log_configure, locale. */
void apply_at_start(struct options *);

int apply_log(struct node *, const char **ret_error);           /* loglevel */
int apply_bind(struct node *, const char **ret_error);          /* bind */
int apply_port(struct node *, const char **ret_error);          /* port */
int apply_maxclients(struct node *, const char **ret_error);    /* maxclients: RLIMIT_NOFILE */
int apply_maxmemory(struct node *, const char **ret_error);     /* evicts; warns when above */
int apply_client_memory(struct node *, const char **ret_error); /* maxmemory-clients: evicts */
int apply_hz(struct node *, const char **ret_error);            /* hz, dynamic-hz: the next tick */
int apply_title(struct node *, const char **ret_error);         /* proc-title-template */
int apply_oom_score(struct node *, const char **ret_error);     /* oom-score-adj(-values) */
int apply_crash_log(struct node *, const char **ret_error);     /* crash-*, use-exit-on-panic */
int apply_watchdog(struct node *, const char **ret_error);      /* watchdog-period */
int apply_slowlog(struct node *, const char **ret_error);       /* slowlog-max-len: trims */
int apply_tracking(struct node *, const char **ret_error);      /* tracking-table-max-keys */
int apply_cluster(struct node *, const char **ret_error);       /* cluster-*: tells the machine */
int apply_replication(struct node *, const char **ret_error);   /* repl-*, replica-*, min-replicas-* */
int apply_latency(struct node *, const char **ret_error);       /* latency-tracking */
int apply_saving(struct node *, const char **ret_error); /* save, stop-writes-on-bgsave-error */

/* In a child that saves: what ps shows (set-proc-title), and the third of oom-score-adj-values. */
void apply_child_title(struct node *, const char *purpose);
void apply_child_oom_score(struct node *);
