/* A whole node for the tests of server/: its loop runs in a thread, the test talks to it through sockets.
 *
 * Replies are shown short, so that cases fit in tables: OK, -ERR text, :1, 'bulk', nil, [a b], >[push], {map}, ~[set].
 * What has to look inside does so in the loop's thread, by node_probe: nothing runs meanwhile. */
#pragma once

#include <pthread.h>

#include "common/buf.h"
#include "server/call.h"
#include "server/client.h"
#include "server/node.h"
#include "server/options.h"

#define SILENCE "(silence)" /* nothing came */
#define GONE "(gone)"       /* the server closed the connection */

struct node_harness {
    struct options options;
    struct config *config;
    struct node *node;
    int port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int started;         /* 1: serving, negative: errno of node_new */
    struct buf stream;   /* what was propagated, "SET a 1; DEL b"; under `lock` */
    int words_n;
    char *words[64];     /* the command line */
    struct peer *prober; /* for node_probe */
    void (*probe)(struct call *, void *ctx);
    void *probe_ctx;
};

/* A node on a free port of 127.0.0.1 with further words of the command line ("--maxclients", "5", NULL; may be
 * NULL). */
void node_start(struct node_harness *, const char *const *words);
void node_stop(struct node_harness *);
/* Runs `probe` in the loop's thread, as the handler of a command of a client of its own. */
void node_probe(struct node_harness *, void (*probe)(struct call *, void *ctx), void *ctx);
/* Another row for a command that is there, for this process. */
void node_replace_command(const char *name, const struct command *row);
/* What was propagated since the last call; until the next. */
const char *node_stream(struct node_harness *);

/* ---- clients ---- */
struct peer;
struct peer *node_dial(struct node_harness *);
void peer_hang_up(struct peer *);
void peer_send(struct peer *, const char *line); /* an inline command; waits for nothing */
void peer_send_raw(struct peer *, struct bytes);
const char *peer_hear(struct peer *); /* the next reply or push, 5 s; until the next call for the same peer */
const char *peer_hear_soon(struct peer *);       /* the same within 100 ms: for what should not come */
const char *ask(struct peer *, const char *line); /* both */

struct asked {
    const char *line, *reply;
};
void peer_ask_all(struct peer *, const struct asked *, size_t n); /* fails the test where a reply differs */
#define ASK_ALL(peer, cases) peer_ask_all((peer), (cases), sizeof(cases) / sizeof((cases)[0]))
