/* The face of a backend: how the loop speaks to the kernel. Two implement it, uring.c and epoll.c.
 *
 * A backend keeps no policy: it moves bytes and tells conn_* and listener_* of loop.h what
 * happened. Everything it is asked to do may be carried out as late as the next wait. */
#pragma once

#include "server/loop/loop.h"

struct backend_ops {
    const char *name;
    /* Sets io->backend. On failure -errno, and io->reason says what failed. */
    int (*start)(struct io *);
    /* Nothing of the owners' memory is in the kernel's hands any more; only unlisten and stop follow. */
    void (*take_back)(struct io *);
    void (*stop)(struct io *);
    void (*forked)(
        struct io *); /* in a child: closes the backend's descriptors, touches nothing else */

    /* Submits what is pending and waits for events, at most `timeout` us (0: only looks, INT64_MAX:
     * for ever). */
    void (*wait)(struct io *, usec_t timeout);
    /* Takes the events that are there: input to conn_deliver (calling loop_execute when
     * LOOP_GATHER_BYTES are gathered or the memory for input is used up), completions, accepts. */
    void (*collect)(struct io *);
    /* What was lent by conn_deliver may be overwritten from now on. */
    void (*executed)(struct io *);

    /* Begins to accept; calls conn_accepted. 0 or -errno. */
    int (*listen)(struct listener *);
    void (*unlisten)(struct listener *); /* before its descriptor is closed */

    /* Begins to connect; calls conn_connected, never at once. 0 or -errno. */
    int (*connect)(struct conn *, const struct sockaddr *, socklen_t);
    /* Input or output of the connection changed: receives if conn_reads(c), sends if conn_sends(c).
     */
    void (*attend)(struct conn *);
    /* The connection is CONN_CLOSING: takes back what is in the kernel, until c->inflight is 0. */
    void (*cancel)(struct conn *);
};

extern const struct backend_ops uring_backend, epoll_backend;

/* probe.c: the flags for io_uring_setup this kernel takes, after trying each operation that is
 * needed once. On failure -errno and the reason in `ret_reason`. */
struct uring_probe {
    unsigned setup_flags;
};
int probe_uring(struct uring_probe *ret_probe, char *ret_reason, size_t n);
