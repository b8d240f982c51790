/* Links to other servers (see peer_link.h). */
#include "server/peer_link.h"

#include <errno.h>

#include "common/alloc.h"
#include "common/buf.h"

enum { REPLY_MAX = 512 * 1024 * 1024 }; /* bytes of a bulk */

struct peer_link {
    struct conn *conn;
    const struct peer_link_events *events; /* NULL: closed, only waits for its connection to end */
    void *owner;
    struct buf rest; /* of a token that was cut */
    int err;         /* EPROTO, or 0: the connection's */
};

static void on_connected(void *owner, int err)
{
    struct peer_link *l = owner;
    if (err == 0 && l->events)
        l->events->up(l->owner);
}

/* Hands out whole tokens; returns the bytes used. */
static size_t hand_out(struct peer_link *l, struct bytes in)
{
    size_t pos = 0;
    while (l->events) {
        struct resp_token t;
        enum resp_read_status st = resp_read(bytes_of(in.p + pos, in.n - pos), REPLY_MAX, &t);
        if (st == RESP_READ_MORE)
            break;
        if (st == RESP_READ_ERROR) {
            l->err = EPROTO;
            conn_close(l->conn);
            return in.n;
        }
        pos += t.used;
        l->events->token(l->owner, &t);
    }
    return pos;
}

static void on_input(void *owner, struct bytes in)
{
    struct peer_link *l = owner;
    if (l->err)
        return;
    if (l->rest.n == 0) {
        size_t used = hand_out(l, in);
        (void)buf_append(&l->rest, bytes_of(in.p + used, in.n - used));
        return;
    }
    (void)buf_append(&l->rest, in);
    buf_consume(&l->rest, hand_out(l, buf_bytes(&l->rest)));
}

static void on_closed(void *owner, int err)
{
    struct peer_link *l = owner;
    const struct peer_link_events *events = l->events;
    void *its_owner = l->owner;
    int why = l->err ? l->err : err;
    size_t unsent = conn_out_bytes(l->conn);
    buf_done(&l->rest);
    mem_free(l);
    if (events)
        events->down(its_owner, why, unsent);
}

static const struct conn_handler handler = { .input = on_input, .closed = on_closed, .connected = on_connected };

int peer_link_new(struct io *io, const char *host, int port, const char *source_addr,
                  const struct peer_link_events *events, void *owner, struct peer_link **ret_link)
{
    struct peer_link *l = mem_zalloc(sizeof(*l));
    l->events = events;
    l->owner = owner;
    l->rest = BUF_INIT(BUF_UNLIMITED); /* REPLY_MAX and a line bound it */
    int r = io_connect(io, host, port, source_addr, l, &l->conn);
    if (r < 0) {
        mem_free(l);
        return r;
    }
    conn_set_handler(l->conn, &handler);
    conn_nodelay(l->conn, true);
    *ret_link = l;
    return 0;
}

struct writer *peer_link_writer(struct peer_link *l)
{
    return conn_writer(l->conn, 2);
}

size_t peer_link_unsent(struct peer_link *l)
{
    return conn_out_bytes(l->conn);
}

void peer_link_close(struct peer_link *l)
{
    if (!l)
        return;
    l->events = NULL;
    conn_close(l->conn);
}

void peer_link_free(struct peer_link *l)
{
    if (!l)
        return;
    buf_done(&l->rest);
    mem_free(l);
}

void peer_request(struct writer *w, int argc, const struct bytes *argv)
{
    resp_array(w, argc);
    for (int i = 0; i < argc; i++)
        resp_bulk(w, argv[i]);
}
