/* What the files of cluster/ share: the machine's struct and the verbs between its parts. Not for others. */
#pragma once

#include "cluster/cluster.h"
#include "cluster/wire.h"
#include "common/list.h"
#include "common/prng.h"

#define CRON_MS          100
#define NOBODY           UINT16_MAX
#define NODES_MAX        32768 /* records, of whatever kind */
#define HEARSAY_MAX      2048  /* nodes that others told of and that never answered us */
#define HANDSHAKES_MAX   64    /* begun by strangers */
#define MANUAL_FAILOVER_MS 5000
#define BLACKLIST_MS     60000
#define PROBES           4     /* unanswered PINGs that are followed on a link */
#define SMALL_CLUSTER    32    /* nodes: up to here everybody PINGs everybody often, and goes by its own eyes only */

/* ---- a table of pointers by a hash of 64 bits (map.c) ---- */

struct map {
    struct map_slot {
        uint64_t hash;
        void *item; /* NULL = free */
    } *v;
    size_t n, cap;
};

void map_done(struct map *);
void map_put(struct map *, uint64_t hash, void *item);
void map_remove(struct map *, uint64_t hash, const void *item);
/* The first item with that hash for which `is` says yes. */
void *map_find(const struct map *, uint64_t hash, bool (*is)(const void *item, const void *key), const void *key);

/* ---- nodes ---- */

struct report {
    struct cluster_node *by;
    msec_t at;
};

struct probe {
    msec_t at;      /* when the PING was sent */
    int64_t offset; /* our replication offset at that time */
};

struct cluster_node {
    /* What is looked at ten times a second, and when a node is picked for gossip: two cache lines. */
    uint16_t flags;
    bool hearsay;            /* known from gossip only: has never answered us itself */
    bool stranger;           /* a handshake that another one began */
    bool extensions;         /* understands ping extensions */
    bool synced;             /* we were in sync with it as our master */
    bool probe_again;        /* what it tells must be asked for once more */
    uint8_t n_probes;
    unsigned n_slots;
    uint16_t port, tls_port, bus_port;
    struct cluster_link *to, *from;
    uint64_t picked;         /* number of the frame it was put in as gossip */
    msec_t ping_sent;        /* of the oldest PING without an answer, over reconnects; 0 = none */
    msec_t pong_received;    /* heard of by a PONG, also by gossip */
    msec_t answered_at;      /* it last answered a PING of ours */
    msec_t proved_at;        /* it answered a PING that we sent then */
    msec_t data_received;
    msec_t connect_at;       /* not before */
    msec_t fail_told_at;     /* somebody said FAIL and we did not believe it yet */
    struct cluster_node *master;

    char name[CLUSTER_NAME + 1], ip[CLUSTER_IP];
    char shard[CLUSTER_NAME + 1];
    uint32_t index; /* in cluster.nodes */
    char *hostname, *human;  /* NULL = none */

    struct list replicas;       /* of a master */
    struct list_node in_master;
    unsigned n_replicas;
    struct list_node in_suspects; /* while PFAIL */

    uint64_t config_epoch;
    uint64_t claim_hash, claim_version; /* these slots, at that version of the table, changed nothing */

    int64_t offset;
    msec_t created, fail_at, voted_at, orphaned_at;
    msec_t dropped_at;       /* a link that was up ended; 0 once it is up again */
    msec_t refused_at;       /* first refusal since then; 0 = none */
    struct probe probes[PROBES];

    uint64_t vote_epoch;     /* its request for our vote, until it is proved; 0 = none */
    msec_t vote_asked_at;
    char voted_for[8];       /* of a master: to which replica (the head of its name) our last vote went */
    bool vote_forced;

    struct report *reports;
    unsigned n_reports, cap_reports;
};

struct cluster_link {
    cluster_link_id id;
    size_t index;               /* in cluster.links */
    struct cluster_node *node;  /* accepted: NULL until a known sender was heard */
    bool to, up;
    msec_t created, created_wall;
    char local_ip[CLUSTER_IP], peer_ip[CLUSTER_IP];
};

/* ---- the parts of the machine ---- */

/* A slot that is on its way: kept sorted by slot. */
struct move {
    uint16_t slot;
    struct cluster_node *node;
};
struct moves {
    struct move *v;
    size_t n, cap;
};

/*      idle ----> waiting ----> asking ----> idle (won: master; lost: again later)
 *        ^___________|_____________|                                            */
enum election_state { ELECTION_IDLE, ELECTION_WAITING, ELECTION_ASKING };

struct election {
    enum election_state state;
    msec_t start_at;   /* waiting: when to ask */
    msec_t deadline;   /* asking: until when */
    msec_t again_at;   /* asking: when to ask again those who did not answer; idle: not before */
    uint64_t epoch;
    unsigned votes, rank;
    bool forced;       /* votes are asked for although the master is not FAIL */
    const char *why_not; /* last reason that was traced */
    struct cluster_node **voters; /* who voted for us, `votes` of them */
    size_t cap_voters;
};

struct manual {
    msec_t end;                     /* 0 = none under way */
    bool can_start;                 /* replica: the election may begin */
    int64_t master_offset;          /* replica: to be reached; -1 = not told yet */
    struct cluster_node *replica;   /* master: who takes over */
    cluster_link_id link;           /* master: where it asked */
    msec_t paused_until;            /* master */
};

/* How sure a master is that the majority still knows it as such (state.c). */
struct lease {
    bool earning;       /* after a start, a hole in time, or a minority: nothing is executed */
    bool quiet;         /* ... as a pause of clients, not as CLUSTERDOWN */
    msec_t since;
    uint64_t epoch;     /* when earning began */
    msec_t asked_at;
    bool suspect;       /* the majority has been silent for a little: writes wait */
    msec_t suspect_since;
    unsigned overdue;   /* masters that leave a PING without an answer; as of the last cron */
    unsigned answers, answers_before; /* of masters, in this window and in the one before */
    msec_t window_end;
    bool minority;      /* ... for most of the node timeout: cluster_state is fail */
    bool starting;      /* earning after a start: the replicas must be heard, too */
    msec_t richer_at;   /* first heard of a replica that has more than we; 0 = none */
};

struct forgotten {
    char name[CLUSTER_NAME + 1];
    msec_t until;
};

struct cluster {
    struct cluster_config config; /* its texts point into the arrays below */
    char announce_ip[CLUSTER_IP], hostname[CLUSTER_HOST], human[CLUSTER_HOST];
    struct prng rng;
    msec_t now, wall;
    msec_t next_cron;
    uint64_t crons;
    struct cluster_repl repl;
    struct cluster_actions *out; /* of the step under way */
    bool loaded, first_step_done;

    struct cluster_node **nodes;
    size_t n_nodes, cap_nodes;
    struct map by_name;
    struct cluster_node *me;
    struct list suspects;      /* PFAIL nodes */
    size_t n_hearsay, n_strangers;
    struct forgotten *forgotten;
    size_t n_forgotten, cap_forgotten;

    struct cluster_link **links;
    size_t n_links, cap_links;
    struct map by_link;
    uint32_t next_link;

    uint16_t owner[CLUSTER_SLOTS]; /* index of a node, or NOBODY */
    uint64_t slots_version;        /* moves with each change of owner[] or of an epoch that decides claims */
    struct moves migrating, importing;
    uint8_t served[WIRE_SLOTS];
    uint8_t header_slots[WIRE_SLOTS]; /* of me, or of my master */
    uint64_t header_version;
    struct cluster_node *header_of;
    uint8_t lost[WIRE_SLOTS];      /* this step: ours until now */
    bool any_lost;
    unsigned slots_assigned;

    uint64_t current_epoch, last_vote_epoch;
    unsigned size;                 /* masters with slots */
    uint64_t size_version;
    bool ok;
    unsigned slots_ok, slots_pfail, slots_fail; /* as of the last look */

    struct election election;
    struct manual manual;
    struct lease lease;
    msec_t guard_until;            /* replica: the master lost data that we have; 0 = it did not */
    enum cluster_pause pause;
    msec_t pause_until;

    bool todo_save, todo_durable, todo_state, todo_slots, todo_served;
    bool save_failed;
    msec_t save_at;                /* a save that may wait waits until then */
    uint64_t frames;               /* number of the last frame with gossip */

    uint64_t sent[WIRE_TYPES], received[WIRE_TYPES], limit_exceeded;
    int debug_drop;
    struct buf text;               /* nodes.conf being written; errors of cluster_load */
};

/* ---- small things (step.c) ---- */

struct cluster_action *act(struct cluster *, enum cluster_action_kind);
void trace(struct cluster *, enum cluster_trace, const char *format, ...) __attribute__((format(printf, 3, 4)));
void save_later(struct cluster *);   /* soon: nothing relies on it */
void save_durable(struct cluster *); /* before any message of this step leaves */
void save_now(struct cluster *);     /* in this step, but a machine that loses power may lose it */
void random_name(struct cluster *, char name[CLUSTER_NAME + 1]);
static inline msec_t max_ms(msec_t a, msec_t b)
{
    return a > b ? a : b;
}
static inline msec_t min_ms(msec_t a, msec_t b)
{
    return a < b ? a : b;
}
static inline bool bit_get(const uint8_t *bits, unsigned i)
{
    return bits[i >> 3] >> (i & 7) & 1;
}
static inline void bit_set(uint8_t *bits, unsigned i)
{
    bits[i >> 3] |= (uint8_t)(1 << (i & 7));
}

/* ---- node_table.c ---- */

struct cluster_node *node_find(const struct cluster *, const char *name); /* 40 bytes */
struct cluster_node *node_add(struct cluster *, const char *name, unsigned flags); /* NULL name: a random one */
void node_remove(struct cluster *, struct cluster_node *);
void node_rename(struct cluster *, struct cluster_node *, const char *name);
void node_set_text(char **field, struct bytes value); /* hostname, human: "" = none */
bool node_set_text_if_new(char **field, struct bytes value); /* true when it changed */
void node_set_master(struct cluster *, struct cluster_node *, struct cluster_node *master); /* NULL: it is a master */
void node_set_shard(struct cluster *, struct cluster_node *, const char *shard);
bool node_report_add(struct cluster_node *, struct cluster_node *by, msec_t now); /* true when it is new */
bool node_report_remove(struct cluster_node *, const struct cluster_node *by);
unsigned node_reports(const struct cluster *, const struct cluster_node *); /* that are young enough */
static inline bool node_is(const struct cluster_node *n, unsigned flags)
{
    return n->flags & flags;
}
void nodes_blacklist(struct cluster *, const char *name, msec_t ms);
bool nodes_blacklisted(struct cluster *, const char *name);

/* ---- links.c ---- */

struct cluster_link *link_find(const struct cluster *, cluster_link_id);
void link_up(struct cluster *, const struct cluster_event *);
void link_down(struct cluster *, const struct cluster_event *);
void link_close(struct cluster *, struct cluster_link *); /* with an action */
void link_free(struct cluster *, struct cluster_link *);  /* without */
void link_bind(struct cluster *, struct cluster_link *, struct cluster_node *);
void node_connect(struct cluster *, struct cluster_node *);
/* `bytes` must live in the arena of the actions. */
void link_send(struct cluster *, struct cluster_link *, struct bytes, enum wire_type);
void node_send(struct cluster *, struct cluster_node *, struct bytes, enum wire_type);

/* ---- gossip.c: making frames, and reading what they tell of others ---- */

struct frame frame_begin(struct cluster *, enum wire_type);
struct bytes frame_end(struct cluster *, const struct frame *);
void send_ping(struct cluster *, struct cluster_node *, enum wire_type); /* PING or MEET, over our own link */
void send_pong(struct cluster *, struct cluster_link *);
void send_report(struct cluster *, struct cluster_node *); /* a PING that tells of suspects only */
void probe(struct cluster *, struct cluster_node *);       /* PING it now, so that what it claims is proved */
void broadcast_pong(struct cluster *, struct cluster_node *siblings_of); /* NULL: to all */
void broadcast(struct cluster *, struct bytes, enum wire_type);
void gossip_take(struct cluster *, struct cluster_node *sender, const struct frame *, bool proved);
msec_t ping_interval(const struct cluster *);
bool ping_due(const struct cluster *, const struct cluster_node *);

/* ---- recv.c ---- */

void recv_packet(struct cluster *, struct cluster_link *, struct bytes);
void recv_vote_request(struct cluster *, struct cluster_node *, const struct frame *);
void recv_vote(struct cluster *, struct cluster_node *, const struct frame *);
void recv_ping(struct cluster *, struct cluster_link *, struct cluster_node *sender, const struct frame *);

/* ---- slots.c ---- */

void slot_assign(struct cluster *, unsigned slot, struct cluster_node *); /* NULL: to nobody */
struct cluster_node *slot_owner(const struct cluster *, unsigned slot);
void slots_drop_all(struct cluster *, struct cluster_node *);
/* `sender` says that it owns these; it is proved. */
void slots_claim(struct cluster *, struct cluster_node *sender, uint64_t epoch, const uint8_t *slots);
bool slots_claim_is_known(struct cluster *, struct cluster_node *, uint64_t epoch, const uint8_t *slots);
bool slots_all_of(const struct cluster *, const struct cluster_node *, const uint8_t *slots); /* exactly its own */
const uint8_t *slots_bitmap(struct cluster *, struct cluster_node *, uint8_t *space);
struct cluster_node *move_get(const struct moves *, unsigned slot);
void move_set(struct moves *, unsigned slot, struct cluster_node *); /* NULL: not any more */

/* ---- failure.c ---- */

void failure_suspect(struct cluster *, struct cluster_node *, const char *why); /* sets PFAIL, tells */
void failure_heard(struct cluster *, struct cluster_node *);                    /* it answers: PFAIL or FAIL may go */
void failure_report(struct cluster *, struct cluster_node *, struct cluster_node *by, bool failing);
void failure_told(struct cluster *, struct cluster_node *, struct cluster_node *by); /* a FAIL message */
void failure_weigh(struct cluster *, struct cluster_node *);                    /* are there enough reports? */
void failure_set(struct cluster *, struct cluster_node *, bool tell);
void failure_cron(struct cluster *, struct cluster_node *);
void failure_clear(struct cluster *, struct cluster_node *, unsigned flag);
unsigned quorum(const struct cluster *);

/* ---- state.c ---- */

unsigned state_count(struct cluster *);
void state_update(struct cluster *);  /* cluster_state, and which slots are served */
void lease_step(struct cluster *, msec_t before);  /* first thing of a step: is there a hole in time? */
void lease_cron(struct cluster *);
void lease_heard(struct cluster *);   /* an answer came while earning */
void pause_update(struct cluster *);
bool lease_applies(const struct cluster *);

/* ---- election.c, failover.c, epoch.c, replica_migration.c ---- */

void election_step(struct cluster *);
void election_stop(struct cluster *);
msec_t election_deadline(const struct cluster *);
void election_masters_reset(struct cluster *); /* a node goes: forget it as voter */
void take_over(struct cluster *);              /* won, or TAKEOVER: we are the master now */
void become_replica_of(struct cluster *, struct cluster_node *master);
void become_master(struct cluster *);
void vote_proved(struct cluster *, struct cluster_node *, const struct frame *);
void votes_retry(struct cluster *, struct cluster_node *master);

void manual_begin_replica(struct cluster *);
void manual_asked(struct cluster *, struct cluster_link *, struct cluster_node *replica);
void manual_told_offset(struct cluster *, int64_t offset);
void manual_step(struct cluster *);
void manual_reset(struct cluster *);
msec_t manual_deadline(const struct cluster *);

void epoch_seen(struct cluster *, uint64_t current, struct cluster_node *sender, uint64_t config);
void epoch_collision(struct cluster *, struct cluster_node *sender);
bool epoch_bump(struct cluster *); /* without consensus; false: ours is the highest already */
uint64_t epoch_max(const struct cluster *);

void replica_migration_cron(struct cluster *);

/* ---- commands.c, slot_migration.c, nodes_conf.c ---- */

void command_run(struct cluster *, const struct cluster_command *);
void reply_ok(struct cluster *);
void reply_error(struct cluster *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_status(struct cluster *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void command_setslot(struct cluster *, const struct cluster_command *);
struct cluster_node *command_node(struct cluster *, struct bytes name); /* NULL: unknown */
bool address_ok(struct bytes ip);
void nodes_conf_write(const struct cluster *, struct buf *);
void start_from_file(struct cluster *); /* step.c: nodes.conf is read */
