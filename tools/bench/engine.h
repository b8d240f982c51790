/* Moving bytes for many connections with few system calls: two implementations of one small
 * interface.
 *
 * A turn is wait (hands queued sends to the kernel, sleeps until something happened or the time is
 * over), then reap (passes what arrived to the sink). Everything happens on one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/bench/clock.h"
#include "tools/bench/options.h"
#include "tools/bench/replies.h"

struct conn {
    int fd;
    uint32_t index;
    bool dead;

    /* output: `out_n` bytes at `out` are wanted sent */
    char *out;
    size_t out_n, out_cap;
    bool out_busy; /* the engine's: a send is under way or queued */

    /* requests without a reply, at most the pipeline */
    struct replies replies;
    uint32_t in_flight, head; /* head: place of the oldest one in the two rings below */
    uint8_t *kinds;           /* ring: which command; NULL when there is only one */
    nsec_t *due;              /* ring, open loop: when it was to be sent; NULL in the closed loop */
    nsec_t sent_at;           /* closed loop: when the batch was sent */
};

struct engine_sink {
    void (*on_data)(void *ctx, struct conn *, const char *p, size_t n);
    void (*on_closed)(void *ctx, struct conn *, int error); /* 0 = end of stream; it is dead now */
    void *ctx;
};

struct engine_config {
    struct conn *conns;
    uint32_t conns_n;
    size_t reply_hint; /* bytes of replies expected at once from a connection */
    /* true: a connection's output is one batch at a time; it stays in place until all its replies
     * have come, and needs no word of completion. false: output is taken from the front of out as
     * it is sent, appended behind. */
    bool batches;
    struct engine_sink sink;
};

struct engine;

struct engine_ops {
    const char *name;
    int (*open)(const struct engine_config *, struct engine **ret_engine); /* negative errno */
    void (*send)(struct engine *, struct conn *); /* there are bytes in conn->out */
    int (*wait)(struct engine *, nsec_t timeout); /* >= 0; 0 polls */
    void (*reap)(struct engine *);
    void (*close)(struct engine *);
};

extern const struct engine_ops engine_epoll;
#ifdef HAVE_LIBURING
extern const struct engine_ops engine_uring;
#endif

/* Opens the engine asked for; auto takes io_uring where the kernel allows it. */
int engine_open(enum engine_kind, const struct engine_config *, const struct engine_ops **ret_ops,
                struct engine **ret_engine);

/* For the engines: `n` bytes of conn->out have left. True when more wait. */
bool conn_sent(struct conn *, size_t n);
