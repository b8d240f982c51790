/* Replication: the state machine of a master and a replica. No I/O, no clock, no keyspace, no globals: events in,
 * actions out, const queries beside (DESIGN.md 5; facts of the wire: specs/replication.md).
 *
 *        clients' writes                                       REPLICAOF, FAILOVER, PSYNC, REPLCONF (parsed commands)
 *              | repl_append                                          | COMMAND
 *              v                                                      v
 *        +-----------+   SEND_RANGE  (blocks of the backlog)   +--------------+  SEND, ATTACH, CLOSE
 *        |  backlog  | --------------------------------------> |   replicas   |  START_SNAPSHOT, SEND_SNAPSHOT
 *        +-----------+   SPILL_WRITE / SPILL_READ              +--------------+
 *              ^
 *              | verbatim, visible when APPLIED        CONNECT, SEND (handshake, ACK), CLOSE
 *        +-----------+   LINK_BYTES from the master  <-----------------------------------------  link to our master
 *        |   link    |   LOAD_BEGIN/CHUNK/END, APPLY
 *        +-----------+
 *
 * The driver (server/drivers/replication.c) performs the actions in order, right after the step and before anything
 * else runs, and turns what it hears into events. It decides nothing. Rules for it:
 *
 *  1. Every event carries the environment `env`; `now` is monotonic and never goes back.
 *  2. Bytes in an event are borrowed for the step. Bytes in an action are valid until the next step or append; a blob
 *     in an action is valid as long, too: who sends from it later takes a reference (blob_ref), and never writes to it.
 *  3. A peer is a number. Attached replicas (and clients that sent REPLCONF) have the id of their client, which must be
 *     below REPL_LINK; the link to our master has an id made by us, with REPL_LINK set, new for each attempt. Events of
 *     an older link are ignored.
 *  4. The end of each turn in which repl_append was called is one step with BYTES_APPENDED: it sends. Bytes to replicas
 *     go to the kernel before the replies of the same turn.
 *  5. `actions` belongs to the caller, is cleared by each step and grows to what a step needs: at most a constant
 *     number of actions per replica and waiter.
 *  6. Events that arise while actions are performed wait until all of them are. APPLY is executed after them, too.
 *  7. After each step ask repl_deadline: at that time a TICK is wanted, if nothing else came before. */
#pragma once

#include "common/blob.h"
#include "common/bytes.h"
#include "common/clock.h"

struct repl;

#define REPL_ID_LEN 40
#define REPL_ADDR_MAX 255
#define REPL_LINK (1ull << 63)  /* peers with this bit are links to our master */
#define REPL_NEVER INT64_MAX

struct repl_id {
    char hex[REPL_ID_LEN + 1];  /* lower case, NUL-terminated */
};

/* ---- configuration: copied by repl_new and CONFIGURED; strings may be NULL ---- */

enum repl_load_mode { REPL_LOAD_FILE, REPL_LOAD_ON_EMPTY, REPL_LOAD_SWAP }; /* repl-diskless-load */

struct repl_config {
    const char *master_user, *master_auth;           /* masteruser, masterauth */
    const char *announce_ip;                         /* replica-announce-ip */
    int listening_port;                              /* replica-announce-port, else our port */
    msec_t timeout_ms;                               /* repl-timeout */
    msec_t ping_period_ms;                           /* repl-ping-replica-period */
    size_t backlog_size;                             /* repl-backlog-size */
    msec_t backlog_ttl_ms;                           /* repl-backlog-ttl; 0 = never freed */
    uint64_t spill_size;                             /* repl-backlog-spill-size; 0 = no spill file */
    size_t memory_max;                               /* stream kept in memory for slow replicas before it is spilled;
                                                      * 0 = the larger of backlog_size and 32 MiB */
    size_t feed_window;                              /* bytes of the stream that may wait in the loop, per replica;
                                                      * 0 = 1 MiB */
    uint64_t limit_hard, limit_soft;                 /* client-output-buffer-limit replica; 0 = none */
    msec_t limit_soft_ms;
    bool limit_is_default;                           /* then a replica that can be fed from the spill file is not closed
                                                      * for what it has not read yet */
    bool diskless_sync;                              /* repl-diskless-sync */
    msec_t diskless_delay_ms;                        /* repl-diskless-sync-delay */
    int diskless_max_replicas;                       /* repl-diskless-sync-max-replicas; 0 = does not cut the delay */
    int rdb_version;                                 /* rdb-save-version: 10, 11; 0 = auto: as the replica can read */
    enum repl_load_mode load_mode;
    bool empty_master_guard;                         /* replica-empty-master-guard */
    msec_t max_staleness_ms;                         /* replica-max-staleness-ms; 0 = off */
    int min_replicas;                                /* min-replicas-to-write; 0 = off */
    msec_t min_replicas_max_lag_ms;                  /* min-replicas-max-lag */
    msec_t min_replicas_max_staleness_ms;            /* min-replicas-max-staleness-ms; 0 = off */
    bool append_fsync_known;                         /* an AOF is on: ACKs say FACK too */
};

/* ---- events ---- */

struct repl_env {
    msec_t now;          /* monotonic */
    msec_t wall;         /* since 1970: goes over the wire for the lag of replicas, nothing else depends on it */
    uint64_t keys;       /* in the data set: is there something to lose? */
    bool child_busy;     /* a child that is not ours runs (BGSAVE): START_SNAPSHOT must wait. When it ends: TICK */
    bool paused;         /* writes are paused (CLIENT PAUSE, manual failover): the stream must stand still too */
};

enum repl_event_kind {
    REPL_TICK,
    REPL_CONFIGURED,       /* config */
    REPL_STARTED,          /* started, follow: the data of our own files are loaded, commands are about to be served;
                            * follow as the directive replicaof says. Once, after repl_new and before anything else */
    REPL_FOLLOW,           /* follow: become replica of host:port, or with host.n = 0 a master (cluster, Sentinel-free
                            * callers; the commands REPLICAOF and SLAVEOF come as COMMAND) */

    REPL_COMMAND,          /* command: REPLCONF, PSYNC, SYNC, REPLICAOF, SLAVEOF, FAILOVER of a client; replies come as
                            * SEND to that client. Of the link's stream (peer = link): REPLCONF GETACK, and PING with an
                            * argument; after the APPLIED of all that was before it */
    REPL_PEER_UP,          /* peer: the link is connected */
    REPL_PEER_DOWN,        /* peer, text: a link failed or ended, or a client of ours that was named here is gone */
    REPL_PEER_BYTES,       /* peer, bytes: from the link, as they came */
    REPL_PEER_ALIVE,       /* peer: an attached replica sent an empty line */
    REPL_PEER_SENT,        /* peer, n: bytes still queued for it in the loop; whenever that shrank, of an image, too */

    REPL_APPENDED,         /* repl_append was called since the last step (end of turn) */
    REPL_SNAPSHOT_READY,   /* snapshot, n: the image is complete, n = its bytes (disk) */
    REPL_SNAPSHOT_FAILED,  /* snapshot, text */
    REPL_SNAPSHOT_SENT,    /* peer: all bytes of its SEND_SNAPSHOT were accepted by the loop (stream: and the image is
                            * complete) */

    REPL_LOADED,           /* LOAD_END succeeded */
    REPL_LOAD_FAILED,      /* text. May come before LOAD_END: bytes are bad, disk is full. No LOAD_ABORT follows */
    REPL_APPLIED,          /* offset: our stream is executed up to here (only ends of commands outside of MULTI). Before
                            * any other event if something was executed, and before a MULTI is begun: what is in the
                            * data set and what the machine knows must not differ when it acts */
    REPL_APPLY_FAILED,     /* text: the stream is no RESP. Ends the link; the history is not trusted any more */

    REPL_WAIT,             /* wait: a client blocks until its offset is acknowledged */
    REPL_UNWAIT,           /* wait.id: it went, or was unblocked otherwise */
    REPL_ASK_ACKS,         /* acknowledge now, please: SHUTDOWN waits, somebody watches the lag (bounded to 20/s) */
    REPL_FSYNCED,          /* offset: our AOF is durable up to here */
    REPL_SPILL_READ_DONE,  /* offset, blob: what SPILL_READ asked for; blob NULL: failed */
    REPL_SPILL_FAILED,     /* text: the spill file could not be written */
};

struct repl_command {
    int argc;
    const struct bytes *argv;
    struct bytes ip;       /* the client's address without port */
    bool pending_output;   /* replies are queued for it */
    bool in_link;          /* it is not a client but our master's stream */
};

struct repl_wait {
    uint64_t id;           /* the client */
    int64_t offset;        /* of its last write: repl_offset after it */
    int replicas;          /* how many must have it */
    msec_t deadline;       /* monotonic; REPL_NEVER */
    bool fsynced;          /* WAITAOF: they must have it on disk */
};

struct repl_event {
    enum repl_event_kind kind;
    struct repl_env env;
    uint64_t peer;
    uint32_t snapshot;
    int64_t offset;
    uint64_t n;
    struct bytes bytes, text;
    struct blob *blob;
    const struct repl_config *config;
    struct repl_command command;
    struct repl_wait wait;
    struct {
        struct bytes host; /* n = 0: no master */
        int port;
    } follow;
    struct {
        struct bytes replid;     /* repl-id and repl-offset of the file that was loaded; n = 0: there were none */
        int64_t offset;
    } started;
};

/* ---- actions ---- */

enum repl_action_kind {
    /* the link to our master */
    REPL_CONNECT,          /* peer, text (host), port. Answer: PEER_UP or PEER_DOWN */
    REPL_SEND,             /* peer (link or client), bytes: append to its output */
    REPL_CLOSE,            /* peer: now; output is dropped. No PEER_DOWN is needed */
    REPL_CLOSE_SENT,       /* peer: when its output is sent */
    REPL_LINK_PAUSE,       /* peer: read no more for a while (bytes under way may still come), ... */
    REPL_LINK_RESUME,      /* ... and go on */

    /* attached replicas */
    REPL_ATTACH,           /* peer: this client is a replica from now on (class of limits, flags; replies dropped but
                            * for ours) */
    REPL_SEND_RANGE,       /* peer, [from, to) of the stream = blob->data[off, off + to - from): by reference */
    REPL_START_SNAPSHOT,   /* snapshot, stream, rdb_version, filter; offset and text (replid) for its aux fields. The
                            * image is of this moment. Answer: SNAPSHOT_READY or SNAPSHOT_FAILED */
    REPL_SEND_SNAPSHOT,    /* peer, snapshot: send it the image behind what was sent before. stream: as the child makes
                            * it, to all such peers. Answer: SNAPSHOT_SENT, or PEER_DOWN */
    REPL_DROP_SNAPSHOT,    /* snapshot: nobody wants it any more; end the child if it runs, delete the file */

    /* loading what the master sends */
    REPL_LOAD_BEGIN,       /* load_mode: where to; n: bytes of it, or REPL_SIZE_UNKNOWN. FILE: into a file, the data set
                            * is untouched. ON_EMPTY, SWAP: straight into a keyspace (ON_EMPTY: ours, it is empty; SWAP:
                            * beside it) */
    REPL_LOAD_CHUNK,       /* bytes */
    REPL_LOAD_END,         /* all is there: verify, replace the data set. Answer: LOADED or LOAD_FAILED */
    REPL_LOAD_ABORT,       /* forget it; the old data set stays (ON_EMPTY: stays empty) */
    REPL_APPLY,            /* peer (link), bytes: of the stream, cut anywhere. Execute; report APPLIED */
    REPL_APPLY_RESET,      /* the stream under way ended: drop a cut command and an open MULTI */

    /* the node */
    REPL_SET_ROLE,         /* replica: true or false. Keys and clients as the rules of the new role want it */
    REPL_STREAM,           /* on: writes are to be given to repl_append from now on / not any more */
    REPL_RESELECT,         /* the next write in the stream must be preceded by SELECT */
    REPL_PAUSE_WRITES,     /* n: ms at most, 0 = until told. For FAILOVER */
    REPL_UNPAUSE_WRITES,
    REPL_WAKE,             /* wait_id, n: so many replicas have its offset (also when its time is over) */

    /* the spill file: a ring of spill_size bytes, as that was at the first SPILL_WRITE after SPILL_CLOSE; position =
     * offset % spill_size, wrapping */
    REPL_SPILL_WRITE,      /* [from, to) = blob->data[off ..) */
    REPL_SPILL_READ,       /* [from, to): bring it as SPILL_READ_DONE with from as its offset */
    REPL_SPILL_CLOSE,      /* nothing in it is needed: delete */

    REPL_TRACE,            /* level, text: for the log */
};

#define REPL_SIZE_UNKNOWN UINT64_MAX

enum repl_filter { REPL_FILTER_NO_DATA = 1, REPL_FILTER_NO_FUNCTIONS = 2 }; /* left out of the image */
enum repl_level { REPL_VERBOSE, REPL_NOTICE, REPL_WARNING };

struct repl_action {
    enum repl_action_kind kind;
    uint64_t peer;
    uint64_t wait_id;
    uint64_t n;
    int64_t from, to;      /* of the stream */
    struct blob *blob;
    size_t off;
    struct bytes bytes;
    struct bytes text;     /* NUL-terminated, too */
    uint32_t snapshot;
    int64_t offset;
    int port;
    int rdb_version;
    unsigned filter;       /* enum repl_filter */
    enum repl_load_mode load_mode;
    enum repl_level level;
    bool stream, replica, on;
};

struct repl_actions {
    struct repl_action *v;
    size_t n, cap;
};
void repl_actions_done(struct repl_actions *); /* a zeroed list is empty */

/* ---- the machine ---- */

/* `seed`: unguessable bytes; all ids and marks come from it, and the same seed gives the same run. A new machine is a
 * master with a new id. */
#define REPL_SEED_BYTES 32
struct repl *repl_new(const struct repl_config *, const unsigned char seed[REPL_SEED_BYTES]);
void repl_free(struct repl *);
void repl_step(struct repl *, const struct repl_event *, struct repl_actions *);
msec_t repl_deadline(const struct repl *); /* monotonic; REPL_NEVER */

/* Bytes of whole commands that all replicas shall execute; only as a master, only outside of MULTI. One copy into the
 * backlog, no actions: those come with APPENDED. Without a backlog the offset grows by 1. Returns the new offset. */
int64_t repl_append(struct repl *, struct bytes);
/* The same by reference, for large values: bytes [off, off + n) of the blob, which nobody may change from now on. May
 * be a part of a command when the rest follows before the next step. */
int64_t repl_append_blob(struct repl *, struct blob *, size_t off, size_t n);

/* ---- queries: cheap, change nothing ---- */

bool repl_is_replica(const struct repl *);
bool repl_link_up(const struct repl *);       /* connected to our master, in its stream */
bool repl_streams(const struct repl *);       /* appended bytes are kept (REPL_STREAM on) */
int64_t repl_offset(const struct repl *);     /* of the stream: produced as master, applied as replica */
const char *repl_replid(const struct repl *); /* NUL-terminated */
/* Replicas that have `offset` (fsynced: on disk); online ones. */
int repl_acked(const struct repl *, int64_t offset, bool fsynced);
/* Of min_replicas: is a write allowed? Always true when min_replicas is 0 or we are a replica. */
bool repl_writes_allowed(const struct repl *, msec_t now);
int repl_good_replicas(const struct repl *, msec_t now);
/* Replica: age of our data against the master's, in ms: 0 = all that we know of is applied; -1 = not known (a master
 * that does not tell its time says when bytes arrived, so then: time since the link was silent for too long). */
msec_t repl_staleness(const struct repl *, msec_t now);
bool repl_too_stale(const struct repl *, msec_t now); /* by max_staleness_ms */
bool repl_caught_up(const struct repl *);     /* every online replica acknowledged repl_offset (SHUTDOWN) */

enum repl_link_state {
    REPL_LINK_NONE,         /* we are a master */
    REPL_LINK_WAITING,      /* until the next attempt */
    REPL_LINK_CONNECTING,
    REPL_LINK_HANDSHAKE,    /* PING .. PSYNC */
    REPL_LINK_TRANSFER,     /* payload of a full sync */
    REPL_LINK_LOADING,      /* it is being loaded */
    REPL_LINK_CONNECTED,
    REPL_LINK_GUARDED,      /* our data are kept against a younger master: nothing more until REPLICAOF */
};
enum repl_failover_state { REPL_NO_FAILOVER, REPL_FAILOVER_WAITING, REPL_FAILOVER_IN_PROGRESS };

struct repl_view {
    bool replica;
    const char *replid, *replid2;
    int64_t offset, second_offset;   /* second: -1 = none */
    bool backlog;
    size_t backlog_size, backlog_memory; /* configured; blocks in memory, all of them */
    int64_t backlog_first, backlog_histlen;
    uint64_t spilled;                /* bytes in the spill file */
    enum repl_failover_state failover;
    int replicas;                    /* for repl_replica_at */
    uint64_t sync_full, sync_partial_ok, sync_partial_err;
    /* replica */
    const char *master_host;
    int master_port;
    enum repl_link_state link;
    uint64_t link_peer;              /* 0 = no connection */
    bool sync_in_progress;
    int64_t read_offset;             /* received, perhaps not applied */
    msec_t last_io_ms;               /* since bytes came; -1 = down */
    msec_t down_ms;                  /* since it went down; -1 = up, or never was up */
    uint64_t sync_total, sync_read;  /* total REPL_SIZE_UNKNOWN */
    msec_t sync_last_io_ms;
    msec_t staleness_ms;             /* repl_staleness */
    const char *guard_text;          /* why we are GUARDED, or NULL */
    uint64_t input_bytes, output_bytes; /* of replication, for INFO stats */
};
void repl_view(const struct repl *, msec_t now, struct repl_view *ret_view);

/* wait_bgsave, send_bulk, online */
enum repl_replica_state { REPL_REPLICA_WAITING, REPL_REPLICA_SENDING, REPL_REPLICA_ONLINE };

struct repl_replica_view {
    uint64_t peer;
    const char *ip;                  /* announced, else as seen */
    int port;                        /* listening-port; 0 = not told */
    enum repl_replica_state state;
    int64_t ack_offset;
    msec_t ack_age_ms;               /* since the last ACK; its seconds are `lag` */
    msec_t lag_ms;                   /* age of its data; -1 = not known (not online) */
    uint64_t lag_bytes;              /* behind us */
    uint64_t unsent;                 /* bytes it has not been given yet (of them in the spill file: spilled) */
    uint64_t spilled;
    double drain;                    /* bytes per second it acknowledges, over the last seconds */
    bool rdb_only;
};
/* i < view.replicas, in the order in which they came. */
void repl_replica_at(const struct repl *, int i, msec_t now, struct repl_replica_view *ret_view);
