/* The inside of the loop: what its files share. Nothing outside server/loop includes this.
 *
 * struct io owns everything; a connection is an index and a generation to the kernel (struct slot)
 * and a pointer to us. Hot fields come first in struct conn: one turn of a request touches its
 * first two cache lines. */
#pragma once

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

#include "server/io.h"

#define LOOP_BUF_BYTES       (16 * 1024)   /* one receive */
#define LOOP_GATHER_BYTES    (1024 * 1024) /* input of a turn after which `execute` is called */
#define LOOP_FINISH_US       (10 * 1000 * 1000) /* what conn_close_after_output waits for a peer */
#define LOOP_STOP_US         (1000 * 1000)      /* what io_stop waits for output to leave */
#define LOOP_ACCEPT_RETRY_US (100 * 1000)       /* pause of a listener after EMFILE and friends */
#define LOOP_INTO_MAX        (1024 * 1024)      /* one receive straight into place */

#define OUT_BLOCK_BYTES (64 * 1024) /* a shared output block with its header */
#define OUT_POOL_MAX    64          /* free blocks kept */
#define OUT_SEGS_INLINE 3
#define OUT_IOV_MAX     256 /* pieces handed to the kernel in one send */

/* ---- output (out.c) ---- */

/* Replies of all connections of a turn lie one after the other in shared blocks; each segment holds
 * a reference. */
struct out_block {
    uint32_t refs;
    bool pooled;            /* of OUT_BLOCK_BYTES: goes back to the pool */
    size_t cap;             /* bytes in data[] */
    struct out_block *next; /* in the pool */
    char data[];
};

struct out_seg {
    char *p;
    size_t n;
    uintptr_t owner; /* struct out_block *, or struct blob * with OUT_OWNER_BLOB added */
};
#define OUT_OWNER_BLOB ((uintptr_t)1)

struct out_queue {
    struct out_seg *segs;  /* `few` or a vector of our own */
    uint32_t head, n, cap; /* segs[head .. n) are queued */
    uint32_t base; /* number of segs[0] since the connection began (marks survive compaction) */
    size_t bytes;
    struct out_block *own; /* what a slow connection writes to instead of the shared block */
    size_t own_used;
    struct out_seg few[OUT_SEGS_INLINE];
};

/* The one writer window. [start, w.cur) is written and not yet a segment of `conn`. */
struct out {
    struct writer w;
    struct conn *conn; /* who has the window; NULL = none */
    char *start;
    bool marked; /* the open segment follows a gap: it must become a segment even when empty */
    struct out_block *block;
    struct out_block *shared;
    char *shared_cur; /* the free part of `shared` begins here */
    struct out_block *pool;
    unsigned n_pool;
    struct writer null;
    char *null_scratch; /* WRITER_ROOM_MAX bytes */
};

/* ---- connections (conn.c) ---- */

enum conn_flag {
    CONN_OWNED = 1 << 0,     /* the owner has yet to hear `closed` */
    CONN_ATTENTION = 1 << 1, /* in io->attention: to be looked at before the wait */
    CONN_SENDING = 1 << 2,   /* a send is under way (uring), or waits for room (epoll) */
    CONN_HELD = 1 << 3,
    CONN_PAUSED = 1 << 4,
    CONN_CONNECTING = 1 << 5,
    CONN_FINISHING = 1 << 6,  /* closes once its output is sent */
    CONN_EOF = 1 << 7,        /* the peer sends no more */
    CONN_LINGERING = 1 << 8,  /* our side is shut: waits for the peer's end, drops its input */
    CONN_CLOSING = 1 << 9,    /* freed as soon as the kernel has let go */
    CONN_CANCELLED = 1 << 10, /* the backend was told so */
    CONN_ENDING = 1 << 11,    /* in io->ending */
    CONN_TIMED = 1 << 12,     /* in io->timed */
    CONN_FIRST = 1 << 13,     /* its output goes to the kernel before that of others */
    CONN_INTO_BUSY = 1 << 14, /* the kernel may write to `into` */
    CONN_UNIX = 1 << 15,
    CONN_NODELAY = 1 << 16,
    CONN_LOOPBACK = 1 << 17,
    CONN_LOOPBACK_KNOWN = 1 << 18,
};

struct conn {
    struct io *io;
    void *owner;
    const struct conn_handler *handler;
    int fd;
    uint32_t flags; /* enum conn_flag */
    uint32_t index, generation;

    /* The backend's. */
    uint8_t recv_kind;      /* uring: enum recv_kind of the receive in the kernel */
    uint8_t recv_cancelled; /* uring: its cancel was submitted */
    uint8_t large;          /* uring: one-shot receives left before going back to multishot */
    uint8_t inflight;       /* uring: operations in the kernel */
    uint32_t events;        /* epoll: what the kernel watches for */

    struct out_queue out;

    char *into; /* conn_recv_into: where the next bytes go */
    size_t into_n;
    uint8_t tail_n; /* bytes that are sure to follow them */
    char tail[2];   /* and where they go */
    int err;        /* why it ends */
    struct conn *timed_prev, *timed_next;
    usec_t deadline;
    struct listener *listener; /* a unix listener's, for the name; counted */
    char *peer_name, *local_name;
};

struct slot {
    struct conn *conn; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct conn_vec {
    struct conn **v;
    size_t n, cap;
};

struct listener {
    struct io *io;
    int fd; /* -1: closed */
    uint32_t index, generation;
    uint32_t refs;
    bool is_unix;
    bool armed;      /* the backend watches it */
    usec_t retry_at; /* monotonic; 0 = not waiting */
    char *path;      /* unix */
};

/* ---- the loop ---- */

struct io {
    const struct backend_ops *ops;
    void *backend;
    struct io_handler handler;
    struct conn_handler clients; /* its verbs of the same names */
    struct io_stats stats;
    usec_t now_wall, now_monotonic;
    atomic_bool stop;
    bool stopping; /* the last flush: input is dropped */
    int wake_fd;
    size_t gathered; /* bytes of input since `execute` */

    struct out out;

    struct slot *slots;
    uint32_t n_slots, cap_slots, free_slot; /* free_slot: UINT32_MAX = none */
    struct conn_vec attention, attention_first, ending;
    struct conn *timed_head, *timed_tail; /* by deadline */

    struct listener **listeners; /* NULL entries are free */
    uint32_t n_listeners, listener_generation;
    usec_t accept_logged_at;
    char reason[160];
};

/* loop.c */
void loop_read_clocks(struct io *);
void loop_execute(struct io *); /* what was gathered; its input may be overwritten afterwards */

/* out.c */
void out_init(struct io *);
void out_done(struct io *);
void out_sync(struct io *);           /* the open segment becomes one of its connection's */
void out_release_window(struct io *); /* and nobody has the window */
void out_conn_init(struct conn *);
void out_conn_done(struct conn *);         /* drops what is queued */
void out_consume(struct conn *, size_t n); /* n bytes were accepted by the kernel */
/* The first pieces as an iovec; returns how many, at most n_max. */
struct iovec;
unsigned out_iovec(const struct conn *, struct iovec *ret_iov, unsigned n_max);

/* conn.c */
struct conn *conn_new(struct io *, int fd);                             /* takes over fd */
struct conn *conn_of(struct io *, uint32_t index, uint32_t generation); /* NULL: that one is gone */
void conn_free(struct conn *); /* closes the descriptor; nothing of it may be in the kernel */
void conn_attend(struct conn *);
void conn_vec_push(struct conn_vec *, struct conn *);
void conn_end(struct conn *, int err); /* from the backend: broken; ends at the end of the turn */
void conn_eof(struct conn *);          /* from the backend: the peer sends no more */
void conn_connected(struct conn *, int err);
void conn_accepted(struct listener *, int fd);
/* Input of n bytes. True when they were lent to the node: they must stay until loop_execute. */
bool conn_deliver(struct conn *, const char *p, size_t n);
/* n bytes were received straight into place; those past into_n lie at `tail`. True when some of
 * these were lent. */
bool conn_placed(struct conn *, size_t n, const char *tail);
void conn_sent(struct conn *, size_t n); /* n bytes were accepted by the kernel */
bool conns_settle(struct io *);          /* ends of the turn: true when an owner heard one */
void conns_expire(struct io *);          /* those that took too long to finish */
bool conns_sweep(struct io *); /* frees what the kernel let go; true when some are to be settled */
void conns_free(struct io *);
static inline bool conn_reads(const struct conn *c) /* bytes are wanted from the kernel */
{
    return !(c->flags & (CONN_CLOSING | CONN_EOF | CONN_CONNECTING)) &&
           (!(c->flags & CONN_PAUSED) || (c->flags & (CONN_FINISHING | CONN_LINGERING)));
}
static inline bool conn_drops_input(const struct conn *c)
{
    return (c->flags & (CONN_CLOSING | CONN_FINISHING | CONN_LINGERING)) || c->io->stopping;
}
static inline bool conn_sends(const struct conn *c) /* there is output the kernel may have */
{
    return c->out.bytes &&
           !(c->flags & (CONN_SENDING | CONN_HELD | CONN_CONNECTING | CONN_CLOSING));
}

/* listen.c */
void listener_failed(struct listener *, int err); /* counts, logs, rests if something ran out */
usec_t listeners_deadline(const struct io *);
void listeners_retry(struct io *);
void listeners_free(struct io *);
void listener_unref(struct listener *);

/* addr.c */
int addr_parse(const char *text, int port, struct sockaddr_storage *ret_addr, socklen_t *ret_len);
int addr_resolve(const char *host, int port, struct sockaddr_storage *ret_addr, socklen_t *ret_len);
void addr_format(const struct sockaddr_storage *, char *ret_text, size_t n);
bool addr_is_loopback(const struct sockaddr_storage *);
