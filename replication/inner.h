/* What the files of this folder share: the struct and the verbs that they have for each other. Nobody else includes
 * it.
 *
 *   step.c      the way in: one switch; configuration; deadlines; the list of actions
 *   history.c   the stream: its id and position, appending, promotion, change of history
 *   master.c    attached replicas: REPLCONF, PSYNC, SYNC, their states and time-outs
 *   snapshot.c  images for full syncs: when one starts, who shares it
 *   feed.c      from the backlog (or the spill file) to each replica; what stays in memory
 *   spill.c     the index of the spill file
 *   replica.c   the link to our master; handshake.c its lines, transfer.c its payload
 *   follow.c    REPLICAOF: change of role
 *   failover.c  FAILOVER
 *   wait.c      WAIT;   lag.c  who has which age;   info.c  views */
#pragma once

#include "common/arena.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/checked.h"
#include "common/heap.h"
#include "common/list.h"
#include "common/prng.h"
#include "common/ring.h"
#include "replication/backlog.h"
#include "replication/ids.h"
#include "replication/psync.h"
#include "replication/repl.h"

/* ---- limits ---- */
#define FEED_WINDOW       (1024 * 1024)       /* feed_window, when it is not set */
#define FEED_PIECES       64                  /* SEND_RANGEs per replica and step */
#define MEMORY_MIN        (32u * 1024 * 1024) /* stream kept in memory for slow replicas before it is spilled */
#define LINE_MAX_BYTES    4096                /* of a reply in the handshake */
#define NEWLINES_MAX      (1 << 20)           /* keep-alives in a row before a line: an endless peer is no master */
#define PENDING_MAX       (256u * 1024 * 1024) /* bytes that came while the payload is being loaded */
#define OFFSET_MAX        (INT64_MAX / 4)     /* what a peer may claim */
#define RETRY_MIN_MS      50
#define RETRY_MAX_MS      1000                /* between two attempts: what Redis waits always */
#define SECOND_MS         1000
#define ACK_QUICK_MS      40                  /* between ACKs to an Ouro master while the stream flows */
#define ACKS_ASKED_MS     50                  /* between two GETACKs that nobody waits for */
#define MARK_MS           25                  /* between marks in the stream while it flows */
#define MARK_PREFIX       "ouro:"             /* PING ouro:<wall ms>[:i] */
#define SPILL_RETRY_MS    10000               /* after the file could not be written */
#define BUCKETS           256

/* ---- attached replicas, and clients that may become some (master.c) ----
 *
 *   KNOWN --PSYNC continue-----------------------------------------> ONLINE
 *     |                                                                ^
 *     +--PSYNC, SYNC full--> WAIT_START --image begins--> WAIT_END     |
 *                                 |         (disk)           | image complete
 *                                 | (stream)                 v         |
 *                                 +--------------------> SENDING --all sent
 *
 * From each of them: gone (PEER_DOWN, time-out, closed by us). */
enum replica_state { KNOWN, WAIT_START, WAIT_END, SENDING, ONLINE, REPLICA_STATES };

enum replica_capa { CAPA_EOF = 1, CAPA_PSYNC2 = 2, CAPA_OURO = 4 };

struct snapshot;

struct replica {
    struct list_node in_list;    /* r->replicas (attached) or r->known */
    struct list_node in_bucket;
    uint64_t peer;
    enum replica_state state;
    unsigned capa, filter;
    bool rdb_only;
    bool sync_only;              /* came with SYNC: never acknowledges */
    bool hold_for_ack;           /* after a payload with a mark: no byte before its first ACK */
    bool acked_once;
    int version;                 /* major * 100 + minor that it named; 0 = none */
    int port;
    msec_t marks_ms;             /* wants to hear our time so often, also when idle; 0 = not */
    char ip[REPL_ADDR_MAX + 1];  /* as it announced itself, else empty */
    char ip_seen[64];
    char name[REPL_ADDR_MAX + 16]; /* for traces */

    struct snapshot *snapshot;   /* it gets, NULL when ONLINE */
    msec_t since;                /* in its state */
    msec_t last_io;              /* heard of it, or sent to it */
    msec_t newline_at;           /* next keep-alive */

    int64_t next;                /* position of the first byte not given to the loop */
    uint64_t queued;             /* bytes given and not sent, as far as we heard */
    bool spill_wanted;           /* SPILL_READ under way for it */
    int64_t spill_from;
    msec_t soft_since;           /* over the soft limit since; -1 = not over */

    int64_t acked, fsynced;
    msec_t ack_at, acked_all_at;
    msec_t lag_at_ack;           /* -1 = not known */
    double drain;                /* bytes per ms, smoothed */
};

/* ---- images (snapshot.c) ---- */
struct snapshot {
    struct list_node in_list;
    uint32_t number;
    bool running, stream;
    int rdb_version;
    unsigned filter;
    int64_t offset;
    struct repl_id mark;         /* stream: ends the payload */
    uint64_t size;               /* disk, when complete */
    int users;
};

/* ---- the spill file (spill.c) ---- */
struct spill_piece {
    int64_t from;
    uint32_t n;
    uint64_t crc;
};

struct spill {
    struct ring pieces;
    int64_t first, end;
    bool open;
    uint64_t size;               /* spill_size when it was opened: positions in it depend on that */
    msec_t retry_at;             /* after a failure: not before */
};

/* ---- the link to our master ---- */
enum link_reply { REPLY_PING, REPLY_AUTH, REPLY_PORT, REPLY_IP, REPLY_CAPA, REPLY_PSYNC, REPLY_SIZE };

struct link {
    enum repl_link_state state;
    uint64_t peer, number;       /* number: of attempts, never used again */
    char host[REPL_ADDR_MAX + 1];
    int port;
    char name[REPL_ADDR_MAX + 16];

    enum link_reply expects;
    char line[LINE_MAX_BYTES];
    size_t line_n;
    uint32_t newlines;           /* in a row */
    bool psync_failover;
    bool plain_sync;             /* fell back to SYNC: never acknowledges */

    bool trusted;                /* our data belong to (id, offset): PSYNC may name them */
    bool synced;                 /* was in step with this master since FOLLOW: the guard watches */
    bool guard_off;              /* the operator named this master: one full sync goes through */
    char guard_text[512];

    struct repl_id full_id;      /* +FULLRESYNC */
    int64_t full_offset;
    bool load_begun, load_ended;
    bool mark_known;
    char mark[REPL_ID_LEN];
    char tail[REPL_ID_LEN];      /* the last bytes received: perhaps the mark */
    size_t tail_n;
    uint64_t size, received;     /* of the payload */
    enum repl_load_mode load_mode;

    struct buf pending;          /* stream that came while loading */
    struct buf played;           /* handed out as APPLY in the last step */
    bool paused;

    int64_t received_to;         /* position: of bytes that came */
    msec_t applied_at;           /* unapplied bytes wait since; -1 = none do */
    msec_t last_io, down_since;  /* -1 = was never up */
    msec_t ack_at;               /* of the last ACK */
    int64_t acked;
    int64_t fsynced;
    msec_t newline_at;
    msec_t retry_at;
    msec_t retry_ms;             /* next pause */
    msec_t attempt_at;

    bool master_is_ouro, master_is_replica;
    msec_t clock_asked_at;
    msec_t clock_ahead;          /* wall time of the node at the top of the chain, less ours */
    msec_t fresh_at;             /* while down: our data were current then; -1 = not known */
    bool mark_heard, mark_idle;
    msec_t mark_wall, mark_at;   /* of the last mark applied: master's time, our `now` */
    msec_t mark_delay;           /* how long it was on its way */
    msec_t busy_since;           /* bytes after an idle mark came; -1 = none */
};

/* ---- lag.c ---- */
struct lag_point {
    int64_t offset;              /* bytes from the point before up to here ... */
    msec_t from, at;             /* ... were produced between these, evenly */
};

struct lag {
    struct lag_point *points;
    int n;
    int64_t begin, known;        /* our offset before the first point; when last looked at */
    msec_t mark_due;
    int64_t mark_end;            /* our offset behind the last mark */
    msec_t mark_last;
};

/* ---- wait.c ---- */
struct waiter {
    struct list_node in_list;    /* by offset */
    struct list_node in_bucket;
    struct heap_node in_heap;
    struct repl_wait wait;
};

struct waits {
    struct list by_offset;
    struct list buckets[BUCKETS];
    struct heap deadlines;
};

struct failover {
    enum repl_failover_state state;
    bool named, force;           /* TO host port; FORCE */
    char host[REPL_ADDR_MAX + 1];
    int port;
    int64_t need;                /* who acknowledged it has every write */
    msec_t deadline;             /* 0 = none */
};

struct repl {
    struct repl_config config;   /* strings are copies */
    struct repl_env env;
    struct repl_actions *out;    /* of the step under way; NULL between steps */
    struct arena arena;          /* of the last step: texts and bytes of its actions */
    struct ids ids;
    struct prng prng;            /* jitter */

    bool replica;                /* role */
    bool started;
    struct repl_id id, id2;
    int64_t second_offset;       /* as on the wire; -1 = none */
    bool has_backlog;
    bool stream_on;              /* as the driver was told */
    struct backlog backlog;      /* empty at its position when !has_backlog */
    bool getack_wanted;          /* one GETACK at the end of this step */
    msec_t getack_at;
    msec_t ping_at;              /* next PING */
    msec_t no_replicas_since;    /* for the backlog's life; -1 = there are some */

    struct list replicas, known; /* struct replica */
    struct list buckets[BUCKETS];
    int replicas_n;
    struct ring leaving;         /* struct blob *: left the backlog in this step, named by its actions */
    bool feed_more;              /* there was more to send than fits in a step */
    struct list snapshots;
    uint32_t snapshot_number;
    struct spill spill;

    struct link link;
    bool follow_deferred;        /* REPLICAOF while the data set is being replaced */
    char deferred_host[REPL_ADDR_MAX + 1];
    int deferred_port;

    struct lag lag;
    struct waits waits;
    struct failover failover;
    struct {
        uint64_t full, partial_ok, partial_err, input, output;
    } stats;
};

static inline unsigned bucket_of(uint64_t id)
{
    return (unsigned)((id * 0x9e3779b97f4a7c15ull) >> 56);
}

static inline msec_t sooner(msec_t a, msec_t b)
{
    return a < b ? a : b;
}

/* ---- step.c ---- */
struct repl_action *repl_act(struct repl *, enum repl_action_kind);
struct repl_action *act_peer(struct repl *, enum repl_action_kind, uint64_t peer);
void send_bytes(struct repl *, uint64_t peer, struct bytes); /* must live until the next step */
void send_text(struct repl *, uint64_t peer, const char *format, ...) __attribute__((format(printf, 3, 4)));
void repl_trace(struct repl *, enum repl_level, const char *format, ...) __attribute__((format(printf, 3, 4)));
struct bytes encode(struct repl *, int argc, const struct bytes *argv); /* RESP array, in the arena */
struct bytes shown(struct repl *, struct bytes); /* text of a peer, safe for a log: cut, printable, NUL-terminated */

/* ---- history.c ---- */
int64_t history_offset(const struct repl *);
void history_backlog_make(struct repl *, int64_t position); /* a fresh one there; an old one is dropped */
void history_backlog_drop(struct repl *);
void history_new_id(struct repl *, bool keep_old);  /* keep_old: as replid2, up to our offset */
void history_adopt(struct repl *, const struct repl_id *, int64_t offset); /* full sync: all of it is new */
void history_continue_as(struct repl *, const struct repl_id *);           /* +CONTINUE with another id */
void history_stream(struct repl *);                 /* tells the driver whether bytes are wanted */
void history_append_command(struct repl *, int argc, const struct bytes *argv);
void history_getack(struct repl *);                 /* if one is wanted */
void history_tick(struct repl *);                   /* PING, the life of the backlog */
msec_t history_deadline(const struct repl *);

/* ---- master.c ---- */
struct replica *replica_find(const struct repl *, uint64_t peer);
void replica_move(struct repl *, struct replica *, enum replica_state);
/* Gone: out of all lists, freed. `close`: the driver closes its connection. */
void replica_drop(struct repl *, struct replica *, bool close);
void replica_drop_all(struct repl *, const char *why); /* the attached ones */
void replica_online(struct repl *, struct replica *);
void master_command(struct repl *, const struct repl_event *);
void master_done(struct repl *);
void master_alive(struct repl *, uint64_t peer);
void master_sent(struct repl *, const struct repl_event *);
void master_tick(struct repl *);
msec_t master_deadline(const struct repl *);
void master_acked(struct repl *, struct replica *, int64_t offset, int64_t fsynced);

/* ---- snapshot.c ---- */
void snapshot_want(struct repl *, struct replica *);
void snapshot_leave(struct repl *, struct replica *); /* it went, or has its image */
void snapshot_ready(struct repl *, uint32_t number, uint64_t size);
void snapshot_failed(struct repl *, uint32_t number, struct bytes text);
void snapshot_sent(struct repl *, uint64_t peer);
void snapshot_tick(struct repl *);                    /* begins one if it is time */
msec_t snapshot_deadline(const struct repl *);

/* ---- feed.c, spill.c ---- */
void feed(struct repl *);                   /* all replicas as far as their windows go, then trims the memory */
void feed_spill_read(struct repl *, int64_t from, struct blob *);
void feed_spill_failed(struct repl *, struct bytes why);
uint64_t feed_unsent(const struct repl *, const struct replica *);
uint64_t feed_spilled(const struct repl *, const struct replica *);
msec_t feed_deadline(const struct repl *);
bool spill_has(const struct spill *, int64_t position);
const struct spill_piece *spill_at(const struct spill *, int64_t position);
void spill_add(struct spill *, int64_t from, struct bytes);
void spill_drop_to(struct spill *, int64_t position); /* pieces that end there or before */
void spill_clear(struct spill *);

/* ---- replica.c, handshake.c, transfer.c ---- */
void link_start(struct repl *);             /* an attempt, now */
void repl_link_is_up(struct repl *);
void repl_link_is_down(struct repl *, struct bytes why);
void link_bytes(struct repl *, struct bytes);
void link_move(struct repl *, enum repl_link_state);
void link_fail(struct repl *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void repl_link_close(struct repl *);             /* without a retry; forgets what was under way */
void link_connected(struct repl *);         /* in the stream */
void link_stream(struct repl *, struct bytes);
void link_applied(struct repl *, int64_t offset);
void link_apply_failed(struct repl *, struct bytes why);
void link_command(struct repl *, const struct repl_command *);
void link_ack(struct repl *);
void link_tick(struct repl *);
msec_t link_deadline(const struct repl *);
void handshake_begin(struct repl *);
void handshake_line(struct repl *, struct bytes line);
size_t transfer_bytes(struct repl *, struct bytes); /* taken of them */
bool transfer_header(struct repl *, struct bytes line);
void transfer_loaded(struct repl *);
void transfer_failed(struct repl *, struct bytes why);
void transfer_abort(struct repl *);
bool guard_refuses(struct repl *);

/* ---- follow.c ---- */
void follow(struct repl *, struct bytes host, int port);
void follow_promote(struct repl *);
void follow_started(struct repl *, const struct repl_event *);
void follow_command(struct repl *, uint64_t client, const struct repl_command *);
void follow_deferred(struct repl *);

/* ---- failover.c ---- */
void failover_command(struct repl *, uint64_t client, const struct repl_command *);
void failover_acked(struct repl *);         /* somebody acknowledged: perhaps it is time */
void failover_linked(struct repl *);        /* +CONTINUE came from the target */
void failover_refused(struct repl *, const char *why);
void failover_cancel(struct repl *);        /* the role changes otherwise */
void failover_tick(struct repl *);
msec_t failover_deadline(const struct repl *);

/* ---- wait.c ---- */
void wait_init(struct waits *);
void wait_done(struct repl *);
void wait_add(struct repl *, const struct repl_wait *);
void wait_remove(struct repl *, uint64_t id);
void wait_acked(struct repl *);             /* somebody acknowledged */
void wait_tick(struct repl *);

/* ---- lag.c ---- */
void lag_produced(struct repl *);           /* bytes were appended since the last call */
void lag_forget(struct repl *);             /* the history changed */
msec_t lag_at(const struct repl *, int64_t offset, msec_t now); /* age of the first byte behind offset; 0 = none */
msec_t lag_of(const struct repl *, const struct replica *, msec_t now);
void lag_tick(struct repl *);               /* marks */
msec_t lag_deadline(const struct repl *);
msec_t lag_heartbeat(const struct repl *); /* what we ask for when max_staleness_ms is set */
void lag_mark_heard(struct repl *, struct bytes text);
