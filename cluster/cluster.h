/* The cluster as a state machine: who is there, who owns which slot, who is dead, who takes over.
 *
 * It does no I/O, reads no clock and knows no keyspace. What happens comes in as an event with its time; what is to be
 * done goes out as a list of actions, to be performed in order. server/drivers/cluster.c translates between the two and
 * decides nothing; tests/sim does the same over a virtual network.
 *
 *     LINK_UP, PACKET, COMMAND, TICK ... -> cluster_step -> CONNECT, SEND, SAVE, FOLLOW, STATE ...
 *
 * How a driver works:
 *  - cluster_new, cluster_load with the bytes of nodes.conf (none: a new node), then events.
 *  - TICK when cluster_deadline has come, and, before a turn executes any command, whenever 50 ms or more have passed
 *    since the last step: that is how a node notices a hole in its own time before it serves from old knowledge.
 *  - The actions of a step are performed before the next step, in order. SAVE writes beside, fsyncs and renames; what
 *    follows a SAVE in the list may be done only after it succeeded. When it fails: drop the rest of the SENDs of this
 *    step, do all else, and give SAVED with ok = false.
 *  - Bytes in an event are borrowed for the step; bytes in actions are good until the next cluster_actions_clear.
 *
 * All times are monotonic ms, but for `wall`, ms since 1970, which is for the wire and for texts only. */
#pragma once

#include "cluster/keyslot.h"
#include "common/arena.h"
#include "common/buf.h"
#include "common/bytes.h"
#include "common/clock.h"

#define CLUSTER_NAME 40 /* hex digits of a node's or a shard's name */
#define CLUSTER_IP   46 /* bytes, NUL included */
#define CLUSTER_HOST 256

struct cluster;
struct cluster_node;

/* ---- configuration ---- */

enum cluster_endpoint { CLUSTER_ENDPOINT_IP, CLUSTER_ENDPOINT_HOSTNAME, CLUSTER_ENDPOINT_UNKNOWN };

/* What CONFIG says; texts are borrowed for the call, NULL is "". The machine keeps a copy. */
struct cluster_config {
    const char *announce_ip;      /* "": the others find out, and so do we from our first MEET */
    const char *hostname;         /* cluster-announce-hostname */
    const char *human_nodename;
    uint16_t port, tls_port;      /* as announced to others; 0 = none */
    uint16_t bus_port;            /* as announced to others */
    bool tls_cluster;             /* the bus and MOVED use the TLS port */
    msec_t node_timeout_ms;
    msec_t ping_interval_ms;      /* cluster-ping-interval (debug), 1000 */
    msec_t repl_ping_period_ms;   /* repl-ping-replica-period, for the validity of a replica's data */
    int replica_validity_factor;
    int migration_barrier;
    bool replica_no_failover;
    bool allow_replica_migration;
    bool require_full_coverage;
    bool allow_reads_when_down;
    bool allow_pubsubshard_when_down;
    enum cluster_endpoint endpoint;
};

/* ---- events ---- */

/* Names of links. Those we open are numbered by the machine (CONNECT), those we accept by the driver, with the top bit
 * set. A number is not used again while the machine may still hear of it. */
#define CLUSTER_LINK_ACCEPTED 0x80000000u
typedef uint32_t cluster_link_id;

enum cluster_event_kind {
    CLUSTER_TICK,
    CLUSTER_CONFIGURED, /* config: CONFIG SET changed something */
    CLUSTER_LOADED,     /* loaded: the dataset is in memory; once at start, before the first command is served */
    CLUSTER_COMMAND,    /* command; the answer is actions->reply */
    CLUSTER_LINK_UP,    /* link: an outgoing one is connected, or one was accepted */
    CLUSTER_LINK_DOWN,  /* link: failed to connect, or ended; not for links that a CLOSE action ended */
    CLUSTER_PACKET,     /* packet: one whole frame, cut by cluster_frame_size */
    CLUSTER_SAVED,      /* saved: a SAVE is done */
    CLUSTER_REPL,       /* repl (below) changed: give it when the link to the master comes or goes, and, while
                           cluster_watches_offset, whenever the offset has moved */
    CLUSTER_PUBLISHED,  /* publish: a local client published; goes to the others */
};

enum cluster_down {
    CLUSTER_DOWN_EOF,     /* the peer closed in order */
    CLUSTER_DOWN_RESET,   /* ECONNRESET, EPIPE */
    CLUSTER_DOWN_REFUSED, /* connect: ECONNREFUSED: no process listens there */
    CLUSTER_DOWN_TIMEOUT, /* connect: no answer, no route, anything else */
    CLUSTER_DOWN_LIMIT,   /* its output passed cluster-link-sendbuf-limit and the driver closed it */
    CLUSTER_DOWN_FRAMING, /* cluster_frame_size refused its bytes and the driver closed it */
};

enum cluster_command_kind {
    CLUSTER_MEET,             /* ip, port, bus_port (0: port + 10000) */
    CLUSTER_ADDSLOTS,         /* ranges, in the order given */
    CLUSTER_DELSLOTS,
    CLUSTER_FLUSHSLOTS,       /* dataset_empty */
    CLUSTER_SETSLOT_MIGRATING, /* slot, name */
    CLUSTER_SETSLOT_IMPORTING, /* slot, name */
    CLUSTER_SETSLOT_STABLE,   /* slot */
    CLUSTER_SETSLOT_NODE,     /* slot, name, keys_in_slot */
    CLUSTER_BUMPEPOCH,        /* answers "BUMPED n" or "STILL n" */
    CLUSTER_SET_CONFIG_EPOCH, /* epoch; a negative number in the command is answered by its parser */
    CLUSTER_SAVECONFIG,
    CLUSTER_FORGET,           /* name */
    CLUSTER_REPLICATE,        /* name, dataset_empty */
    CLUSTER_FAILOVER,         /* failover */
    CLUSTER_RESET,            /* hard, dataset_empty */
};

enum cluster_failover { CLUSTER_FAILOVER_DEFAULT, CLUSTER_FAILOVER_FORCE, CLUSTER_FAILOVER_TAKEOVER };

struct cluster_range {
    int first, last; /* slots, both included, 0 <= first <= last < 16384 */
};

struct cluster_command {
    enum cluster_command_kind kind;
    struct bytes name; /* as the client typed it */
    struct bytes ip;
    int64_t port, bus_port;
    const struct cluster_range *ranges;
    size_t n_ranges;
    int slot;
    uint64_t epoch;
    enum cluster_failover failover;
    bool hard;
    bool dataset_empty;    /* database 0 has no key (facts of the keyspace that the answer depends on) */
    size_t keys_in_slot;
};

/* How replication stands; with every event. */
struct cluster_repl {
    int64_t offset;     /* written as a master, or processed as a replica */
    bool link_up;       /* replica: in sync with the master that FOLLOW named */
    msec_t heard;       /* replica: when the master's stream was last heard; 0 = never */
};

struct cluster_event {
    enum cluster_event_kind kind;
    msec_t now;  /* monotonic, never less than before */
    msec_t wall; /* ms since 1970, at the same moment */
    struct cluster_repl repl;
    union {
        const struct cluster_config *config;
        struct {
            const uint8_t *slots_with_keys; /* 2048 bytes, slot n = bit n % 8 of byte n / 8 */
        } loaded;
        struct cluster_command command;
        struct {
            cluster_link_id id;
            enum cluster_down reason; /* LINK_DOWN */
            const char *peer_ip;      /* LINK_UP: other side of the socket, without port; NULL = unknown */
            const char *local_ip;     /* LINK_UP: our side of it */
        } link;
        struct {
            cluster_link_id id;
            struct bytes frame;
        } packet;
        struct {
            bool ok;
        } saved;
        struct {
            struct bytes channel, message;
            bool sharded; /* SPUBLISH: to the nodes of this shard only */
        } publish;
    };
};

/* ---- actions ---- */

enum cluster_action_kind {
    CLUSTER_CONNECT,       /* connect.id, .ip, .port: answer with LINK_UP or LINK_DOWN */
    CLUSTER_CLOSE,         /* close.id: drop it, no LINK_DOWN wanted */
    CLUSTER_SEND,          /* send.id, .bytes */
    CLUSTER_SAVE,          /* save.bytes is the whole nodes.conf; durable: fsync file and folder */
    CLUSTER_SLOTS_CHANGED, /* owners changed: look at blocked clients, shard subscriptions of slots that left */
    CLUSTER_BECOME_MASTER, /* stop replicating, keep the data (a new replication id) */
    CLUSTER_FOLLOW,        /* follow.name, .ip, .port: replicate from there (also when only its address changed) */
    CLUSTER_PAUSE,         /* pause.what until pause.until; NOTHING ends it. Commands wait, they get no error */
    CLUSTER_DROP_SLOT_KEYS, /* drop.slots: bitmap of slots that are no longer ours: delete what is in them */
    CLUSTER_FLUSH,         /* RESET of a replica: empty the dataset */
    CLUSTER_STATE,         /* state.ok: cluster_state changed, for the log */
    CLUSTER_PUBLISH,       /* publish.channel, .message, .sharded: deliver to local subscribers */
    CLUSTER_TRACE,         /* trace.level, .text: a line for the log, stable text */
};

enum cluster_pause { CLUSTER_PAUSE_NOTHING, CLUSTER_PAUSE_WRITES, CLUSTER_PAUSE_ALL };
enum cluster_trace { CLUSTER_TRACE_DEBUG, CLUSTER_TRACE_VERBOSE, CLUSTER_TRACE_NOTICE, CLUSTER_TRACE_WARNING };

struct cluster_action {
    enum cluster_action_kind kind;
    union {
        struct {
            cluster_link_id id;
            const char *ip;
            uint16_t port;
        } connect;
        struct {
            cluster_link_id id;
        } close;
        struct {
            cluster_link_id id;
            struct bytes bytes;
        } send;
        struct {
            struct bytes bytes;
            bool durable;
        } save;
        struct {
            const char *name; /* 40 digits, NUL-terminated */
            const char *ip;
            uint16_t port;
        } follow;
        struct {
            enum cluster_pause what;
            msec_t until;
        } pause;
        struct {
            const uint8_t *slots; /* 2048 bytes */
        } drop;
        struct {
            bool ok;
        } state;
        struct {
            struct bytes channel, message;
            bool sharded;
        } publish;
        struct {
            enum cluster_trace level;
            const char *text;
        } trace;
    };
};

/* The answer to a COMMAND: a status ("OK", "BUMPED 6") or an error with its code ("ERR Unknown node ..."). */
struct cluster_reply {
    bool error;
    struct bytes text;
};

struct cluster_actions {
    struct cluster_action *v;
    size_t n, cap;
    struct cluster_reply reply; /* of a COMMAND */
    struct arena arena;         /* where the bytes of the actions are */
};

void cluster_actions_init(struct cluster_actions *);
void cluster_actions_clear(struct cluster_actions *); /* before each step */
void cluster_actions_done(struct cluster_actions *);

/* ---- the machine ---- */

struct cluster *cluster_new(const struct cluster_config *, uint64_t seed);
void cluster_free(struct cluster *);
/* Takes in nodes.conf, before the first step. False: it is broken, and *ret_error (owned by c) says where and why; the
 * server must not start. `wall` and `now` as in an event. */
bool cluster_load(struct cluster *, struct bytes nodes_conf, msec_t now, msec_t wall, const char **ret_error);
void cluster_step(struct cluster *, const struct cluster_event *, struct cluster_actions *);
msec_t cluster_deadline(const struct cluster *); /* when it wants its next step */
bool cluster_watches_offset(const struct cluster *);

/* How many bytes the frame at the head of `b` has: 0 = too few bytes to tell (8 are needed), -1 = this is no bus frame,
 * or one longer than this link may send: close it. */
int64_t cluster_frame_size(const struct cluster *, cluster_link_id, struct bytes b);

/* ---- routing ---- */

enum cluster_route {
    CLUSTER_ROUTE_SERVE,
    CLUSTER_ROUTE_COUNT_KEYS,  /* ask again with `keys` and `missing` filled in and counted = true */
    CLUSTER_ROUTE_MOVED,       /* ret: slot, node */
    CLUSTER_ROUTE_ASK,
    CLUSTER_ROUTE_TRYAGAIN,    /* ret->text is the whole error */
    CLUSTER_ROUTE_DOWN,
    CLUSTER_ROUTE_CROSSSLOT,
};

struct cluster_query {
    int slot;           /* of all keys; -1 = no keys (served), -2 = keys of several slots */
    bool write;         /* the command, or one of the transaction, writes (or may replicate) */
    bool readonly;      /* the client said READONLY */
    bool asking;        /* the client said ASKING, or the command has that flag (RESTORE-ASKING) */
    bool migrate;       /* the command is MIGRATE */
    bool shard_pubsub;  /* SPUBLISH, SSUBSCRIBE, SUNSUBSCRIBE: the "key" is a channel */
    bool counted;
    unsigned keys;      /* different keys */
    unsigned missing;   /* of them, how many are not there */
};

struct cluster_redirect {
    int slot;
    const struct cluster_node *node; /* MOVED, ASK: where to */
    const char *text;                /* TRYAGAIN, DOWN, CROSSSLOT: "CLUSTERDOWN Hash slot not served" */
};

enum cluster_route cluster_route(const struct cluster *, const struct cluster_query *, struct cluster_redirect *ret);

/* The fast way: slots for which any command may be executed here without further questions (ours, not moving, cluster
 * up). 2048 bytes, valid as long as the cluster, content changes with steps only. Slot n = bit n % 8 of byte n / 8. */
const uint8_t *cluster_served(const struct cluster *);
static inline bool cluster_serves(const uint8_t *served, unsigned slot)
{
    return served[slot >> 3] >> (slot & 7) & 1;
}

/* Writes "MOVED 42 host:port" or "ASK 42 host:port", with the endpoint of cluster-preferred-endpoint-type. */
void cluster_write_redirect(const struct cluster *, enum cluster_route, const struct cluster_redirect *, bool tls,
                            struct buf *);

/* A master that was started again and has not yet heard its replicas, which may have more than it: serves nothing
 * (cluster_route says DOWN), and must not give its data to replicas (answer PSYNC with -LOADING). */
bool cluster_holds_back(const struct cluster *);
/* A replica whose master came back with less than we have: our data must not be replaced by a full resync. */
bool cluster_refuses_resync(const struct cluster *);

/* ---- queries ---- */

bool cluster_ok(const struct cluster *); /* cluster_state */
bool cluster_is_replica(const struct cluster *);
const char *cluster_myid(const struct cluster *);
const char *cluster_myshardid(const struct cluster *);
uint64_t cluster_failure_reports(const struct cluster *, const struct cluster_node *);

enum cluster_node_flags {
    CLUSTER_NODE_MASTER = 1,
    CLUSTER_NODE_REPLICA = 2,
    CLUSTER_NODE_PFAIL = 4,
    CLUSTER_NODE_FAIL = 8,
    CLUSTER_NODE_MYSELF = 16,
    CLUSTER_NODE_HANDSHAKE = 32,
    CLUSTER_NODE_NOADDR = 64,
    CLUSTER_NODE_MEET = 128,
    CLUSTER_NODE_MIGRATE_TO = 256,
    CLUSTER_NODE_NOFAILOVER = 512,
    CLUSTER_NODE_EXTENSIONS = 1024,
};

/* A node as texts and numbers, for CLUSTER SLOTS, SHARDS, REPLICAS. Pointers are good until the next step. */
struct cluster_node_view {
    const char *name, *shard, *ip, *hostname, *human_nodename;
    uint16_t port, tls_port, bus_port;
    unsigned flags;
    const struct cluster_node *master; /* of a replica; NULL = unknown */
    unsigned slots;                    /* how many it owns */
    unsigned replicas;                 /* how many it has */
    int64_t offset;                    /* replication offset, as it last said */
    uint64_t config_epoch;
    bool connected;
};
void cluster_view(const struct cluster *, const struct cluster_node *, struct cluster_node_view *ret);

const struct cluster_node *cluster_myself(const struct cluster *);
const struct cluster_node *cluster_find(const struct cluster *, struct bytes name); /* whole name; NULL = unknown */
size_t cluster_size(const struct cluster *);                           /* nodes, handshakes included */
const struct cluster_node *cluster_at(const struct cluster *, size_t); /* [0, size), myself is somewhere */
const struct cluster_node *cluster_replica(const struct cluster *, const struct cluster_node *master, size_t i);

const struct cluster_node *cluster_owner(const struct cluster *, unsigned slot);        /* NULL = nobody */
const struct cluster_node *cluster_migrating_to(const struct cluster *, unsigned slot); /* NULL = it is not */
const struct cluster_node *cluster_importing_from(const struct cluster *, unsigned slot);
/* The run of slots of one owner that begins at `first` (or behind, over slots of nobody). False: none is left. */
bool cluster_next_range(const struct cluster *, int first, struct cluster_range *ret,
                        const struct cluster_node **ret_owner);

/* host and port as clients are to be told (preferred endpoint type); host is NULL when it is unknown to them. */
const char *cluster_endpoint(const struct cluster *, const struct cluster_node *);
uint16_t cluster_client_port(const struct cluster *, const struct cluster_node *, bool tls);

/* Links for CLUSTER LINKS; the driver adds the sizes of its buffers. */
struct cluster_link_view {
    cluster_link_id id;
    bool to;           /* we opened it */
    const char *node;  /* name; links whose node is not known yet are left out by Redis */
    msec_t created_wall;
};
bool cluster_link_at(const struct cluster *, size_t i, struct cluster_link_view *ret); /* i < cluster_links() */
size_t cluster_links(const struct cluster *);
/* For DEBUG CLUSTERLINK KILL: the link to (we opened it) or from a node; 0 = there is none. The driver closes the
 * connection and gives LINK_DOWN. */
cluster_link_id cluster_link_of(const struct cluster *, const struct cluster_node *, bool to);
void cluster_debug_drop(struct cluster *, int message_type); /* DEBUG DROP-CLUSTER-PACKET-FILTER; -1 = none */

void cluster_write_nodes(const struct cluster *, struct buf *); /* the text of CLUSTER NODES */
void cluster_write_node(const struct cluster *, const struct cluster_node *, struct buf *); /* one line, without LF */
void cluster_write_info(const struct cluster *, struct buf *);  /* the text of CLUSTER INFO */
