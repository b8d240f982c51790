/* The face of the event loop: what the node asks of the outside world, and what it hears from it.
 *
 * Implemented by server/loop (io_uring or epoll). One thread; nothing here blocks but io_run's wait and the file verbs.
 *
 * A turn: wait for events -> `input` of every connection that has bytes (the node gathers whole commands) ->
 * `execute` (the node runs what it gathered; input bytes stay valid until it returns) -> `before_wait` (timers,
 * cron; returns the next deadline) -> output of all connections goes to the kernel with the submit that waits again.
 * If a turn has more input than fits in the gather limits, `execute` may be called several times in a turn.
 *
 * Connections are freed at the end of the turn in which they were closed: a pointer stays good for the turn, and
 * completions carry a generation, so a late one never meets a reused connection. */
#pragma once

#include <sys/types.h>

#include "common/blob.h"
#include "common/buf.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/resp/write.h"

struct io;
struct conn;
struct listener;

enum io_backend { IO_BACKEND_AUTO, IO_BACKEND_URING, IO_BACKEND_EPOLL };

struct io_config {
    enum io_backend backend;
};

struct io_handler {
    /* A connection was accepted. Returns its owner (handed to the calls below), or NULL: refused; the node may have
     * written a farewell with conn_writer, which is sent before the close. */
    void *(*opened)(void *ctx, struct conn *, struct listener *);
    /* Bytes arrived; borrowed until `execute` returns. */
    void (*input)(void *owner, struct bytes);
    /* conn_recv_into: n more bytes are in place. */
    void (*input_placed)(void *owner, size_t n);
    /* The peer is gone or an error ended it (errno in `err`, 0 = orderly), or conn_close was called; last call
     * for this owner. Called at the end of the turn. */
    void (*closed)(void *owner, int err);
    /* An outgoing connection is up (err 0) or failed. */
    void (*connected)(void *owner, int err);
    void (*execute)(void *ctx);
    /* Returns the monotonic time (us) at which the next turn must begin even without events; INT64_MAX = never. */
    usec_t (*before_wait)(void *ctx);
    /* After the wait, before input: the new time is io_now_*. */
    void (*after_wait)(void *ctx);
    /* An error reply was written to any writer of the loop (writer_ops.on_error); for error statistics. May be NULL. */
    void (*error_written)(void *ctx, struct bytes text);
    void *ctx;
};

/* What the owner of a connection hears. Accepted connections and those of io_connect begin with the verbs of the same
 * names in io_handler (for clients); an owner of another kind (a link to a peer) brings its own: conn_set_handler.
 * Unused: NULL, but `input` and `closed` are always there. */
struct conn_handler {
    void (*input)(void *owner, struct bytes);
    void (*input_placed)(void *owner, size_t n);
    void (*closed)(void *owner, int err);
    void (*connected)(void *owner, int err);
};

/* Chooses the backend (IO_BACKEND_AUTO: io_uring when the kernel lets us, else epoll with one warning in the log).
 * Negative errno when a forced backend is not to be had; the reason is in io_backend_reason of the message. */
int io_new(const struct io_config *, const struct io_handler *, struct io **ret_io);
/* At the end, before owners free what they gave to connections (a blob that a bulk still arrives in): the kernel has
 * nothing of it any more. Only io_free may follow. */
void io_take_back(struct io *);
void io_free(struct io *);
const char *io_backend_name(const struct io *);   /* "io_uring" or "epoll" */
/* Why: "configured", "auto", "io_uring_setup: Operation not permitted". */
const char *io_backend_reason(const struct io *);
void io_run(struct io *);                         /* turns until io_stop */
void io_stop(struct io *);                        /* the turn under way is the last; output is flushed (bounded: 1 s) */
void io_wake(struct io *);                        /* async-signal-safe, any thread: begins a turn now */
/* In a forked child, first thing: closes every descriptor of the loop but that of `keep` (may be NULL). Else peers do
 * not see connections end that the parent closes, and ports stay taken, for as long as the child lives. */
void io_child_close(struct io *, const struct conn *keep);
usec_t io_now_wall(const struct io *);            /* us since 1970, read once a turn */
usec_t io_now_monotonic(const struct io *);
void io_refresh_now(struct io *);                 /* reads the clocks again (after something slow) */

struct io_stats {
    uint64_t turns, syscalls;          /* turns done; io_uring_enter or epoll_wait+recv+send calls */
    uint64_t read_events, write_events;
    uint64_t bytes_in, bytes_out;
    uint64_t accepted, accept_errors;
    size_t out_bytes;                  /* queued output over all connections */
    size_t buffer_bytes;               /* memory of receive rings and output blocks */
};
const struct io_stats *io_stats(const struct io *);

/* ---- listeners ---- */
/* addr: "127.0.0.1", "::1", "*" (all IPv4), "::*" (all IPv6). Sets SO_REUSEADDR, IPV6_V6ONLY. 0 or -errno. */
int io_listen_tcp(struct io *, const char *addr, int port, int backlog, struct listener **ret_listener);
int io_listen_unix(struct io *, const char *path, unsigned perm /* 0 = leave */, int backlog, struct listener **ret_l);
void listener_close(struct listener *); /* a unix socket's path is unlinked */
bool listener_is_unix(const struct listener *);

/* ---- connections ---- */
/* Goes out to addr (a name is looked up, which blocks; numbers do not). 0: `connected` follows, in a later turn, and
 * after a failure `closed` too. What is written before it is up is sent then. -errno: nothing was begun. */
int io_connect(struct io *, const char *addr, int port, const char *source_addr, void *owner, struct conn **ret_conn);
/* Looking up the address of a host, off the loop, since it can take seconds. A number is its own address. */
struct io_lookup;
#define IO_ADDRESS_MAX 64
struct io_lookup *io_lookup_begin(struct io *, const char *host);
/* 0 and the address as text; -EINPROGRESS: the loop is woken when it is known; -EHOSTUNREACH: there is none. */
int io_lookup_result(struct io_lookup *, char ret_address[IO_ADDRESS_MAX]);
void io_lookup_drop(struct io_lookup *); /* at any time; NULL is fine */
#define CONN_BYTES 512 /* what a connection costs in the loop, for CLIENT LIST tot-mem */
int conn_fd(const struct conn *);
void conn_set_owner(struct conn *, void *owner); /* for conns from `opened` the return value does it */
void conn_set_handler(struct conn *, const struct conn_handler *); /* must outlive the connection */
/* "127.0.0.1:6379", "[::1]:6379" forms as CLIENT LIST prints; unix: "/path:0". NUL-terminated, lives with the conn. */
const char *conn_peer_name(struct conn *);
const char *conn_local_name(struct conn *);
bool conn_is_unix(const struct conn *);
bool conn_is_loopback(const struct conn *);  /* peer is 127.0.0.0/8, ::1 or unix: protected mode lets it in */
void conn_keepalive(struct conn *, int seconds); /* 0 = off */
void conn_nodelay(struct conn *, bool);

/* Output. The writer is valid until the next conn_writer call for another connection or the end of the turn; writing
 * to several connections in turn is fine: ask for the writer again each time you switch. resp: 2 or 3. */
struct writer *conn_writer(struct conn *, int resp);
struct writer *io_null_writer(struct io *, int resp); /* accepts everything, keeps nothing */
/* What is queued now; a position to which conn_rewind drops what was written since (within the turn). */
size_t conn_out_bytes(const struct conn *);  /* queued and not yet accepted by the kernel */
size_t conn_out_blocks(const struct conn *); /* pieces the queue consists of */
void conn_hold_output(struct conn *, bool hold); /* the fence: nothing more is sent while held */
void conn_send_first(struct conn *, bool first); /* replicas: handed to the kernel before the output of others */

/* Input flow. While paused no bytes are read (what is already in flight is still delivered). */
void conn_pause_input(struct conn *, bool pause);
/* Large values: the next n bytes of the stream go to dst (input already delivered is not meant: the node copied that).
 * Until all n have come or the conn closes, `input` is not called; dst must live that long. */
void conn_recv_into(struct conn *, char *dst, size_t n);
/* The same for the rest of a RESP bulk: the CRLF behind it is received along and given to `input`, one trip less. */
void conn_recv_bulk(struct conn *, char *dst, size_t n);

void conn_close(struct conn *);             /* now: queued output is dropped */
void conn_close_after_output(struct conn *); /* reads no more; closes when all output is sent (or after 10 s) */
bool conn_is_closing(const struct conn *);

/* ---- children ----
 * A copy of this process that does one thing and ends; it has the memory as it was at the fork. It
 * ends with its parent, however that dies. */
struct io_child;
struct io_child_job {
    /* In the child: its return value (0..255) is the exit status. The loop's descriptors are
     * closed; the verbs below for files and io_child_write are all it may use of this header. */
    int (*run)(void *ctx, struct io_child *self);
    /* In the parent: bytes that the child wrote, borrowed for the call. NULL: it writes none. */
    void (*output)(void *ctx, struct bytes);
    /* In the parent, between turns, after the last output; `self` is gone. signo: what killed it,
     * or 0. */
    void (*ended)(void *ctx, int status, int signo);
    void *ctx;
};
/* In the parent: 0 or -errno. */
int io_fork(struct io *, const struct io_child_job *, struct io_child **ret_child);
int io_child_pid(const struct io_child *);
usec_t io_child_fork_us(const struct io_child *); /* that the fork held the parent up */
/* A page that both see, zeroes at first; good until `ended` returns. */
#define IO_CHILD_PAGE 4096
void *io_child_page(const struct io_child *);
/* While paused its output is not read: it will wait in io_child_write. */
void io_child_pause(struct io_child *, bool);
void io_child_kill(struct io_child *); /* `ended` follows; output that is under way does not */
/* Blocks until it ended, and calls `ended`. After io_child_kill. */
void io_child_wait(struct io_child *);
/* In the child: all bytes to the parent, waits while the parent does not read. 0 or -errno. */
int io_child_write(struct io_child *self, struct bytes);

/* ---- files (blocking, small; big ones get their own verbs with the snapshot) ---- */
int io_read_file(const char *path, size_t max, struct buf *ret_bytes); /* "-" = stdin; 0 or -errno */
/* Writes beside, fsyncs, renames, fsyncs the folder: the old file is whole or the new one is. 0 or -errno. */
int io_replace_file(const char *path, struct bytes content, unsigned mode);

/* ---- large files, a piece at a time; blocking ---- */
struct io_file;
int io_file_open(const char *path, struct io_file **ret_file); /* to read; 0 or -errno */
/* To write; empties one that is there. */
int io_file_create(const char *path, unsigned mode, struct io_file **ret_file);
uint64_t io_file_size(const struct io_file *); /* bytes, when it was opened */
/* The next 1..n bytes; 0: the end; -errno. */
ssize_t io_file_read(struct io_file *, void *dst, size_t n);
int io_file_write(struct io_file *, struct bytes); /* all of them: 0, or -errno */
/* Begins to bring to the disk what was written since the last time: fsync has less to do. */
void io_file_push(struct io_file *);
int io_file_sync(struct io_file *); /* to the disk; 0 or -errno */
/* NULL is fine. 0, or the -errno of a write that failed late. */
int io_file_close(struct io_file *);
int io_rename(const char *from, const char *to); /* and fsyncs the folder; 0 or -errno */
int io_unlink(const char *path);                 /* 0 or -errno */

/* ---- files of which nothing is left, whatever happens; any place in them; blocking ---- */
struct io_scratch;
int io_scratch_open(const char *path, struct io_scratch **ret_scratch); /* the name is gone at once; 0 or -errno */
int io_scratch_write(struct io_scratch *, uint64_t at, struct bytes);       /* 0 or -errno */
int io_scratch_read(struct io_scratch *, uint64_t at, char *dst, size_t n); /* all n bytes: 0, or -errno */
void io_scratch_close(struct io_scratch *);                                 /* NULL is fine */
/* ---- a file of our own: nodes.conf ---- */
struct io_lock;
/* Locks the file (made, empty, when it is not there) until io_lock_free or the end of the process; forked children do
 * not keep it. -EAGAIN: another process has it. */
int io_lock_file(const char *path, struct io_lock **ret_lock);
/* Writes beside, renames; durable: fsyncs file and folder. The path is ours all the while. 0 or -errno: the old file
 * is whole then. */
int io_lock_replace(struct io_lock *, struct bytes content, bool durable);
void io_lock_free(struct io_lock *);

/* ---- folders (configuration; implemented in server/loop/paths.c) ---- */
int io_chdir(const char *path);     /* 0 or -errno */
int io_getcwd(struct buf *b);       /* appends the working directory; 0 or -errno */
int io_file_mode(const char *path, unsigned *ret_mode); /* permission bits; 0 or -errno */
struct io_paths {
    char **v; /* n paths, sorted */
    size_t n;
};
/* What a shell's wildcards match; a path without any is itself, there or not. No match: n = 0. */
void io_glob(const char *pattern, struct io_paths *ret_paths);
void io_paths_done(struct io_paths *);
