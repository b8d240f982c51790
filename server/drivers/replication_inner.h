/* What the files of the replication driver share.
 *
 *     replication.c   life, configuration, steps, role; queries of the rest of the server
 *     upstream.c      the connection to our master, and its stream
 *     downstream.c    attached replicas: output, images, the spill file
 *     loader.c        what the master sends becomes the data set */
#pragma once

#include "server/drivers/replication.h"
#include "server/io.h"
#include "server/persist/rdb_load.h"

struct propagate;
struct master_link;
struct later;

struct replication {
    bool replica, started, ended;
    char *first_host; /* whom the cluster named before the data were loaded, or NULL */
    int first_port;
    struct node *node;
    const struct replication_config *config;
    struct repl *machine;
    struct repl_actions actions;
    bool performing;
    struct later *later; /* heard while actions were performed */
    size_t later_n, later_cap;
    int sink;      /* slot of propagate, -1: the stream is not wanted */
    bool appended; /* since the last step with APPENDED */
    uint64_t dirty; /* changes of the data as of the last turn */

    struct list attached; /* of struct attached: replicas, in the order in which they came */
    struct list images;   /* of struct image */
    struct io_scratch *spill; /* NULL: none */
    uint64_t spill_size;   /* as it was when the file was made */

    struct master_link *link; /* the newest; NULL: none */
    struct io_lookup *lookup; /* of the master's name */
    uint64_t lookup_peer;
    int lookup_port;
    int stream_db;            /* the database the master's stream is in */
    int64_t applied, told_applied; /* offsets of the stream */
    size_t unapplied;         /* bytes of a transaction whose EXEC has not come */
    size_t extra;             /* replication_add_extra */
    struct bytes input;       /* of the event under way: bytes to apply that lie in it need no copy */
    struct bytes apply;       /* part of it, to be executed */
    struct buf held;          /* to be executed too, and came otherwise */

    /* a load */
    enum repl_load_mode load_mode;
    bool loading, load_pushed; /* one is under way; it takes bytes */
    struct io_file *load_file; /* where they go, when they do not go straight in */
    char *load_path;
};

/* One step of the machine, and its actions. Heard in the middle of that, an event waits for its turn; bytes cannot
 * be in it then. */
void repl_heard(struct replication *, struct repl_event *);
int repl_stream_db(const struct replication *); /* the database the stream is in at this point */
void repl_heard_kind(struct replication *, enum repl_event_kind);

/* upstream.c */
void upstream_connect(struct replication *, const struct repl_action *);
void upstream_close(struct replication *, uint64_t peer, bool after_output);
bool upstream_send(struct replication *, uint64_t peer, struct bytes); /* false: it is none */
void upstream_pause(struct replication *, uint64_t peer, bool);
void upstream_apply(struct replication *, struct bytes);
void upstream_apply_reset(struct replication *);
void upstream_settle(struct replication *); /* after a step: the stream's client is there when the link is up */
void upstream_tell_applied(struct replication *);
void upstream_run(struct replication *);    /* executes what is to be applied; outside of steps and of dispatch_run */
bool upstream_poll_lookup(struct replication *);
int upstream_db(const struct replication *);
uint64_t upstream_peer(const struct replication *);
void upstream_free(struct replication *);

/* downstream.c */
void downstream_attach(struct replication *, uint64_t peer);
void downstream_send(struct replication *, uint64_t peer, struct bytes);
void downstream_range(struct replication *, const struct repl_action *);
void downstream_close(struct replication *, uint64_t peer, bool after_output);
void downstream_start_image(struct replication *, const struct repl_action *);
void downstream_send_image(struct replication *, const struct repl_action *);
void downstream_drop_image(struct replication *, uint32_t id);
void downstream_forget(struct replication *, const struct client *);
void downstream_look(struct replication *); /* every turn: who took bytes, who can take more of an image */
bool downstream_child_is_ours(const struct replication *);
void downstream_free(struct replication *);
void spillfile_write(struct replication *, const struct repl_action *);
void spillfile_read(struct replication *, const struct repl_action *);
void spillfile_close(struct replication *);

/* loader.c */
void loader_begin(struct replication *, const struct repl_action *);
void loader_chunk(struct replication *, struct bytes);
void loader_end(struct replication *);
void loader_abort(struct replication *);
