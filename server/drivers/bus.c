/* The links of the cluster bus (see bus.h): bytes cut into frames, whose bounds the machine tells before they are
 * gathered. A link is known by its number until it is closed; its connection ends later in the turn. */
#include "server/drivers/bus.h"

#include <errno.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/hash.h"
#include "common/list.h"
#include "common/table.h"
#include "server/options.h"

struct bus {
    struct io *io;
    const struct cluster *machine;
    struct bus_handler handler;
    struct list links; /* of struct bus_link, those that ended too until their connection has gone */
    struct table by_id;
    uint32_t accepted; /* number of the last */
    struct listener *listeners[BIND_MAX];
    int listeners_n;
};

struct bus_link {
    struct bus *bus;
    struct conn *conn;
    struct list_node in_links;
    struct buf in;      /* a frame that was cut */
    cluster_link_id id;
    bool ended;         /* the machine knows it no more */
    enum cluster_down why; /* unless it ends otherwise */
    bool failing;       /* `why` counts */
};

static struct bytes link_key(const void *item)
{
    const struct bus_link *l = item;
    return bytes_of(&l->id, sizeof(l->id));
}

static const struct table_kind link_kind = { .key = link_key, .hash = hash_bytes };

static struct bus_link *find(const struct bus *b, cluster_link_id id)
{
    struct bytes key = bytes_of(&id, sizeof(id));
    return table_find(&b->by_id, &link_kind, hash_bytes(key), key, NULL);
}

static void on_input(void *owner, struct bytes in);
static void on_closed(void *owner, int err);
static void on_connected(void *owner, int err);
static const struct conn_handler link_handler = { .input = on_input, .closed = on_closed, .connected = on_connected };

static struct bus_link *link_new(struct bus *b, cluster_link_id id)
{
    struct bus_link *l = mem_zalloc(sizeof(*l));
    l->bus = b;
    l->id = id;
    l->in = BUF_INIT(BUF_UNLIMITED);
    list_push_back(&b->links, &l->in_links);
    table_insert(&b->by_id, &link_kind, hash_bytes(link_key(l)), l, TABLE_NOT_DUE);
    return l;
}

/* The machine hears no more of it. */
static void link_end(struct bus_link *l)
{
    ASSERT(!l->ended);
    l->ended = true;
    struct table_at at = table_locate(&l->bus->by_id, hash_bytes(link_key(l)), l);
    table_remove(&l->bus->by_id, &link_kind, &at);
}

static void link_free(struct bus_link *l)
{
    list_remove(&l->in_links);
    buf_done(&l->in);
    mem_free(l);
}

struct bus *bus_new(struct io *io, const struct cluster *machine, const struct bus_handler *h)
{
    struct bus *b = mem_zalloc(sizeof(*b));
    b->io = io;
    b->machine = machine;
    b->handler = *h;
    list_init(&b->links);
    table_init(&b->by_id);
    return b;
}

void bus_free(struct bus *b)
{
    if (!b)
        return;
    for (int i = 0; i < b->listeners_n; i++)
        listener_close(b->listeners[i]);
    while (!list_empty(&b->links)) {
        struct bus_link *l = LIST_ITEM(list_first(&b->links), struct bus_link, in_links);
        if (!l->ended)
            link_end(l);
        link_free(l);
    }
    table_done(&b->by_id);
    mem_free(b);
}

/* ---- listening ---- */

int bus_listen(struct bus *b, const char *addr, int port, int backlog)
{
    ASSERT(b->listeners_n < BIND_MAX);
    int r = io_listen_tcp(b->io, addr, port, backlog, &b->listeners[b->listeners_n]);
    b->listeners_n += r == 0;
    return r;
}

bool bus_listens(const struct bus *b, const struct listener *listener)
{
    for (int i = 0; i < b->listeners_n; i++)
        if (b->listeners[i] == listener)
            return true;
    return false;
}

/* "127.0.0.1:6379" or "[::1]:6379" without the port and the brackets. */
static const char *ip_of(const char *name, char ip[static CLUSTER_IP])
{
    const char *colon = strrchr(name, ':');
    size_t n = colon ? (size_t)(colon - name) : strlen(name);
    if (n >= 2 && name[0] == '[') {
        name++;
        n -= 2;
    }
    if (n == 0 || n >= CLUSTER_IP)
        return NULL;
    memcpy(ip, name, n);
    ip[n] = '\0';
    return ip;
}

static void tell_up(struct bus_link *l)
{
    char peer[CLUSTER_IP], local[CLUSTER_IP];
    const struct bus_handler *h = &l->bus->handler;
    h->up(h->ctx, l->id, ip_of(conn_peer_name(l->conn), peer), ip_of(conn_local_name(l->conn), local));
}

void *bus_accept(struct bus *b, struct conn *conn)
{
    enum { KEEPALIVE_S = 15 };
    do
        b->accepted = (b->accepted + 1) & ~CLUSTER_LINK_ACCEPTED;
    while (find(b, b->accepted | CLUSTER_LINK_ACCEPTED));
    struct bus_link *l = link_new(b, b->accepted | CLUSTER_LINK_ACCEPTED);
    l->conn = conn;
    conn_set_handler(conn, &link_handler);
    conn_nodelay(conn, true);
    conn_keepalive(conn, KEEPALIVE_S);
    tell_up(l);
    return l;
}

/* ---- connecting and ending ---- */

int bus_connect(struct bus *b, cluster_link_id id, const char *ip, int port, const char *source_addr)
{
    struct bus_link *l = link_new(b, id);
    int r = io_connect(b->io, ip, port, source_addr, l, &l->conn);
    if (r < 0) {
        link_end(l);
        link_free(l);
        return r;
    }
    conn_set_handler(l->conn, &link_handler);
    conn_nodelay(l->conn, true);
    return 0;
}

static enum cluster_down reason_of(int err)
{
    switch (err) {
    case 0: return CLUSTER_DOWN_EOF;
    case ECONNRESET:
    case EPIPE: return CLUSTER_DOWN_RESET;
    case ECONNREFUSED: return CLUSTER_DOWN_REFUSED;
    default: return CLUSTER_DOWN_TIMEOUT;
    }
}

static void tell_down(struct bus_link *l, enum cluster_down why)
{
    const struct bus_handler *h = &l->bus->handler;
    cluster_link_id id = l->id;
    link_end(l);
    h->down(h->ctx, id, why);
}

static void on_connected(void *owner, int err)
{
    struct bus_link *l = owner;
    if (l->ended)
        return;
    if (err)
        tell_down(l, reason_of(err < 0 ? -err : err));
    else
        tell_up(l);
}

static void on_closed(void *owner, int err)
{
    struct bus_link *l = owner;
    if (!l->ended)
        tell_down(l, l->failing ? l->why : reason_of(err < 0 ? -err : err));
    link_free(l);
}

void bus_close(struct bus *b, cluster_link_id id)
{
    struct bus_link *l = find(b, id);
    if (!l)
        return;
    link_end(l);
    conn_close(l->conn);
}

void bus_fail(struct bus *b, cluster_link_id id, enum cluster_down why)
{
    struct bus_link *l = find(b, id);
    if (!l)
        return;
    l->failing = true;
    l->why = why;
    conn_close(l->conn);
}

/* ---- bytes ---- */

/* Takes whole frames off the head of `b`; gives how many bytes they were. */
static size_t take_frames(struct bus_link *l, struct bytes b)
{
    const struct bus_handler *h = &l->bus->handler;
    size_t taken = 0;
    while (!l->ended && !l->failing) {
        struct bytes rest = bytes_of(b.p + taken, b.n - taken);
        int64_t n = cluster_frame_size(l->bus->machine, l->id, rest);
        if (n < 0) {
            bus_fail(l->bus, l->id, CLUSTER_DOWN_FRAMING);
            break;
        }
        if (n == 0 || rest.n < (size_t)n)
            break;
        taken += (size_t)n;
        h->frame(h->ctx, l->id, bytes_of(rest.p, (size_t)n));
    }
    return taken;
}

static void on_input(void *owner, struct bytes in)
{
    struct bus_link *l = owner;
    if (l->ended || l->failing)
        return;
    if (l->in.n == 0) {
        size_t taken = take_frames(l, in);
        if (!l->ended && !l->failing && taken < in.n)
            buf_append(&l->in, bytes_of(in.p + taken, in.n - taken));
        return;
    }
    buf_append(&l->in, in);
    size_t taken = take_frames(l, buf_bytes(&l->in));
    buf_consume(&l->in, taken);
    if (l->in.n == 0)
        buf_done(&l->in);
}

size_t bus_send(struct bus *b, cluster_link_id id, struct bytes bytes)
{
    struct bus_link *l = find(b, id);
    if (!l || l->failing)
        return 0;
    writer_append(conn_writer(l->conn, 2), bytes);
    return conn_out_bytes(l->conn);
}

/* ---- figures ---- */

uint64_t bus_links(const struct bus *b)
{
    return b->by_id.count;
}

size_t bus_memory(const struct bus *b)
{
    size_t n = 0;
    LIST_EACH(&b->links, node) {
        const struct bus_link *l = LIST_ITEM(node, struct bus_link, in_links);
        n += sizeof(*l) + CONN_BYTES + l->in.n + conn_out_bytes(l->conn);
    }
    return n;
}

size_t bus_link_queued(const struct bus *b, cluster_link_id id)
{
    const struct bus_link *l = find(b, id);
    return l ? conn_out_bytes(l->conn) : 0;
}
