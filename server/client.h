/* Clients: one struct per connection that speaks RESP. server/ and the administrative commands see the struct; data
 * commands know the name only.
 *
 * A client lives until the end of the turn in which its connection went (client.c frees it then). Whoever keeps a
 * pointer beyond a turn keeps the id instead and asks client_by_id. State that few clients have (transaction,
 * subscriptions, block, tracking) is allocated by its part on first use and hangs off here; a plain client stays small
 * (ceiling in a test). */
#pragma once

#include "common/blob.h"
#include "common/buf.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/list.h"
#include "common/resp/parse.h"
#include "server/command.h"
#include "server/io.h"
#include "server/kept.h"
#include "server/keyspace/keyspace.h"

struct node;
struct clients;
struct transaction; /* multi.c */
struct watches;     /* multi.c */
struct subscriptions; /* pubsub.c */
struct block;       /* blocked.c */
struct client_tracking; /* tracking.c */
struct call;

enum client_flags {
    CLIENT_MULTI = 1 << 0,
    CLIENT_DIRTY_CAS = 1 << 1,   /* a watched key changed */
    CLIENT_DIRTY_EXEC = 1 << 2,  /* an error while queueing */
    CLIENT_BLOCKED = 1 << 3,
    CLIENT_CLOSE_ASAP = 1 << 4,  /* conn_close was asked; runs nothing more */
    CLIENT_CLOSE_AFTER = 1 << 5, /* closes after its output; runs nothing more */
    CLIENT_UNIX = 1 << 6,
    CLIENT_MONITOR = 1 << 7,
    CLIENT_REPLY_OFF = 1 << 8,
    CLIENT_REPLY_SKIP = 1 << 9,  /* this reply is dropped */
    CLIENT_REPLY_SKIP_NEXT = 1 << 10,
    CLIENT_READONLY = 1 << 11,
    CLIENT_ASKING = 1 << 12,
    CLIENT_NO_EVICT = 1 << 13,
    CLIENT_NO_TOUCH = 1 << 14,
    CLIENT_TRACKING = 1 << 15,
    CLIENT_AUTHENTICATED = 1 << 16,
    CLIENT_REPLICA = 1 << 17,
    CLIENT_MASTER = 1 << 18,
    CLIENT_PUBSUB = 1 << 19,     /* has subscriptions */
    CLIENT_HELD = 1 << 20,       /* input waits (blocked, paused): queued bytes stay in `query` */
    CLIENT_PROTECTED = 1 << 21,  /* executing right now; a close is deferred to the end of the command */
    CLIENT_PAUSED = 1 << 22,     /* held by CLIENT PAUSE, or by a key that is under way (guard.h) */
    CLIENT_TRACKING_BROKEN = 1 << 23, /* its redirection target is gone */
    CLIENT_STASHING = 1 << 24,   /* this run stashed a request of it: those behind must follow (stash_mark) */
    CLIENT_REPLICATION = 1 << 25, /* the replication machine knows its id: hears when it goes */
};

struct client {
    uint64_t id;
    struct conn *conn;
    struct node *node;
    struct db *db;
    unsigned flags;    /* enum client_flags */
    uint8_t resp;      /* 2 or 3 */
    uint16_t lib_set;
    const struct command_entry *last_cmd; /* or NULL */
    msec_t created, last_active; /* monotonic ms */
    struct buf query;  /* bytes of a frame that was cut, or held input; none while idle */
    struct resp_parser parser;
    char *name;        /* CLIENT SETNAME or NULL */
    char *lib_name, *lib_ver; /* CLIENT SETINFO or NULL */
    struct list_node all;    /* in clients, oldest first */
    struct list_node paused; /* in the list of clients that wait for CLIENT PAUSE to end, or for a guarded key */
    struct transaction *multi;
    struct watches *watches;
    struct subscriptions *subs;
    struct block *block;
    struct client_tracking *tracking;
    uint64_t soft_limit_since; /* monotonic ms; 0: below the soft output limit */
    size_t running_bytes;      /* bytes of the request that runs now (qbuf of CLIENT LIST) */
    size_t argv_memory;        /* bytes of arguments of the running or queued commands */
    uint64_t memory_counted;   /* what this client adds to clients_memory */
    uint64_t commands, bytes_in;
    int64_t write_offset;      /* of the replication stream after its last write, for WAIT */
    uint32_t gathered;         /* its requests in dispatch's queue */
    bool unparsed;             /* `query` holds bytes that wait for a run, or for the release of the client */
    bool query_pinned;         /* gathered requests point into `query` */
    bool in_later;             /* on clients_later, by `later` */
    size_t query_used;         /* bytes of `query` that go when the pin goes */
    struct list_node later;
    size_t stash_memory;       /* bytes */
    struct writer_buf *pushes; /* for client_push_writer while it runs; NULL: none */
    struct kept *stash_first; /* requests that came while it was held */
    struct kept *stash_mark;  /* the last that this run stashed: they go before what is in the stash */
    uint32_t user;             /* ACL user index; 0 = default */
};

/* ---- the set of all clients ---- */
struct clients_stats {
    uint64_t total, rejected, evicted, output_limit_closed, query_limit_closed;
    size_t memory_normal, memory_replicas; /* bytes */
};
uint64_t clients_count(const struct clients *);   /* connected, replicas not counted */
struct clients_stats *clients_stats(struct clients *);
struct list *clients_list(struct clients *);      /* of struct client by `all` */
struct client *client_by_id(struct clients *, uint64_t id); /* NULL */
void clients_cron(struct clients *, msec_t now);  /* timeouts, limits; spreads its work */

/* ---- one client ---- */
/* Where replies to it go now; muted clients: the null writer. */
struct writer *client_writer(struct client *);
/* For messages that are not replies (publish, invalidation): goes out even when replies are off; to the client that
 * runs now it goes behind its reply. */
struct writer *client_push_writer(struct client *);
void client_close(struct client *);             /* now, output dropped; safe for the client that runs */
void client_close_after_reply(struct client *);
void client_hold(struct client *, bool hold);   /* stop / resume running its input (blocked, paused) */
void client_reset(struct client *);             /* RESET: back to the state of a new connection, still connected */
bool client_is_closing(const struct client *);
/* Keeps a request of the queue for when the client is released, before those that were not gathered yet. */
void client_stash(struct client *, struct kept *take);
void client_end_of_request(struct client *); /* SKIP flags, deferred close, output limit */
int client_set_name(struct client *, struct bytes name); /* -EINVAL: contains spaces or special characters */
bool client_text_ok(struct bytes);              /* no spaces, newlines, special characters: SETNAME, SETINFO */
int client_class(const struct client *);        /* CLIENT_CLASS_* of options.h */
size_t client_memory(const struct client *);    /* tot-mem */
size_t client_query_bytes(const struct client *);
void client_check_output_limit(struct client *); /* after output was added outside of its own command */
void client_count_memory(struct client *);       /* brings clients_stats' memory up to date for this client */
/* RESP2 with channels or patterns: only those may be changed, and PING answers like a message. */
bool client_in_subscriber_mode(const struct client *);
/* One line of CLIENT LIST / INFO, without a newline. */
void client_describe(struct client *, struct buf *);
/* Only the client that runs now has a call: NULL otherwise. */
