/* A node of the simulator that replicates: the machine of replication/, a driver for it, and a data set that notices
 * every mistake.
 *
 * The data are numbers in cells. A write is `ADD cell x`: cell = cell * 31 + x. Written twice, left out, or in another
 * order the cell differs; `version` counts writes. The digest of all cells stands for the data set. */
#pragma once

#include "replication/repl.h"
#include "tests/sim/world.h"

struct node;
struct checks;

struct node_config {
    struct repl_config repl;
    unsigned fail_percent;     /* of images, loads and spill operations */
    msec_t work_max_ms;        /* an image or a load takes up to so long */
    size_t image_pad_max;      /* bytes of an image beside the data */
    bool plain;                /* speaks like a Redis: no marks, no quick ACKs (hides capa ouro) */
    msec_t skew_ms;            /* of its wall clock */
};

struct node *node_new(struct world *, struct checks *, const char *name, const struct node_config *);
void node_free(struct node *);
int node_host(const struct node *);
const struct repl *node_repl(const struct node *); /* NULL while down */
void node_follow_at_boot(struct node *, int host);  /* the directive replicaof; -1 = none */

/* Commands of a client on the spot. */
bool node_write(struct node *, unsigned count, size_t pad); /* false: not a master, paused, loading */
void node_multi(struct node *, unsigned count);
void node_command(struct node *, int argc, const char *const *argv); /* REPLICAOF, FAILOVER: hosts by name */
void node_wait(struct node *, int replicas, msec_t ms);
void node_save(struct node *);                     /* its data, id and offset on its disk, as BGSAVE would */
void node_wipe(struct node *);                     /* its disk is lost */
void node_child(struct node *, bool runs);         /* a BGSAVE of its own */
void node_configure(struct node *, const struct repl_config *); /* names and ports stay */
void node_calm(struct node *);                     /* nothing fails any more */

uint64_t node_digest(const struct node *);
uint64_t node_version(const struct node *);
bool node_loading(const struct node *);
msec_t node_true_age(const struct node *, const struct node *master); /* age of its data, as the world sees it */
