/* A small world for tests of the loop: a node that hands what it hears to the test, and clients in
 * a thread.
 *
 * The loop runs in the test's own thread (the ring belongs to the thread that made it); a client
 * script runs in another with plain blocking sockets, and the loop stops when it returns. Scripts
 * report with CHECK, as assertions of the test framework belong to its own thread. */
#pragma once

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/io.h"

struct world;

struct peer {
    struct world *w;
    struct conn *conn; /* NULL once `closed` was heard */
    int number;        /* in order of arrival */
    size_t bytes_in;
    int closed, err; /* times `closed` was heard; its errno */
    int connected, connect_err;
    char *big; /* for conn_recv_into */
    size_t big_n, big_have;
    bool receiving; /* conn_recv_into is under way */
    size_t skip;    /* bytes of a CRLF still to come */
    char header[12];
    size_t header_n;
};

struct item {
    struct peer *p;
    struct bytes b;
};

#define PEERS_MAX 4096

struct world {
    struct io *io;
    struct listener *listener, *unix_listener;
    int port;
    char path[64];
    /* What the test wants to do; all may be NULL. Called in the loop's thread. */
    void (*on_opened)(struct peer *);
    void (*on_input)(struct peer *, struct bytes); /* at once */
    void (*on_bytes)(struct peer *, struct bytes); /* in `execute`; NULL = echo */
    void (*on_placed)(struct peer *, size_t n);
    void (*on_closed)(struct peer *);
    void (*on_connected)(struct peer *);
    void (*on_turn)(struct world *); /* before_wait */
    bool refuse;
    bool crlf;       /* large values end with one */
    usec_t deadline; /* what before_wait returns */

    struct peer *peers[PEERS_MAX];
    int n_peers;
    struct item *items;
    size_t n_items, cap_items;
    atomic_int executes, turns, opened, closed, errors;
    atomic_int step; /* for scripts and hooks to meet */
    atomic_bool done;

    void (*script)(struct world *);
    char failure[256];
    pthread_mutex_t lock;
};

/* Runs the loop over `backend` while `script` runs in a thread; fails the test when a CHECK failed.
 * False when this machine has no io_uring (the test then has nothing to show). */
bool world_start(struct world *, enum io_backend backend);
void world_run(struct world *, void (*script)(struct world *));
void world_done(struct world *);

/* ---- for scripts ---- */
int dial(struct world *); /* a blocking TCP socket to the listener */
int dial_unix(struct world *);
void send_all(struct world *, int fd, const void *p, size_t n);
size_t recv_n(int fd, void *p, size_t n);  /* what came until n, the end, or 5 s */
bool wait_for(atomic_int *, int at_least); /* up to 5 s */
void nap_ms(int ms);
void fill_pattern(char *p, size_t n, unsigned seed);
bool is_pattern(const char *p, size_t n, unsigned seed);

void world_fail(struct world *, const char *file, int line, const char *what);
#define CHECK(w, x)                                                                                \
    do {                                                                                           \
        if (!(x))                                                                                  \
            world_fail((w), __FILE__, __LINE__, #x);                                               \
    } while (0)

/* A test over both backends: static void name(struct world *) is given a started world. */
#define BOTH(suite, name)                                                                          \
    static void name(struct world *);                                                              \
    static void run_##name(enum io_backend backend)                                                \
    {                                                                                              \
        struct world *w = calloc(1, sizeof *w);                                                    \
        if (world_start(w, backend))                                                               \
            name(w);                                                                               \
        world_done(w);                                                                             \
        free(w);                                                                                   \
    }                                                                                              \
    Test(suite, name##_uring)                                                                      \
    {                                                                                              \
        run_##name(IO_BACKEND_URING);                                                              \
    }                                                                                              \
    Test(suite, name##_epoll)                                                                      \
    {                                                                                              \
        run_##name(IO_BACKEND_EPOLL);                                                              \
    }                                                                                              \
    static void name(struct world *w)
