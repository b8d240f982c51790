/* The connection to our master: to the machine all of it is bytes of a peer; its stream comes back as bytes to execute.
 *
 * The stream is executed by a client of its own (CLIENT_MASTER), so that its requests are gathered, prefetched and run
 * like those of others. Offsets count what was executed: the bytes of a request that is cut, or of a transaction whose
 * EXEC is missing, do not count yet. */
#include <errno.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "server/client_input.h"
#include "server/clients.h"
#include "server/dispatch.h"
#include "server/drivers/replication_inner.h"
#include "server/multi.h"
#include "server/node.h"

struct master_link {
    struct replication *r;
    uint64_t peer;
    struct conn *conn;
    struct client *client; /* of its stream; NULL: it has not begun */
    bool closing;          /* the machine knows */
};

static struct master_link *link_of_peer(struct replication *r, uint64_t peer)
{
    return r->link && r->link->peer == peer && !r->link->closing ? r->link : NULL;
}

/* ---- what the loop tells ---- */

static void on_connected(void *owner, int err)
{
    struct master_link *l = owner;
    if (err || l->closing)
        return; /* `closed` follows */
    struct node *n = l->r->node;
    conn_nodelay(l->conn, !l->r->config->repl_disable_tcp_nodelay);
    conn_keepalive(l->conn, node_options(n)->net.tcp_keepalive);
    repl_heard(l->r, &(struct repl_event){ .kind = REPL_PEER_UP, .peer = l->peer });
}

static void on_input(void *owner, struct bytes in)
{
    struct master_link *l = owner;
    struct replication *r = l->r;
    if (l->closing)
        return;
    r->input = in;
    repl_heard(r, &(struct repl_event){ .kind = REPL_PEER_BYTES, .peer = l->peer, .bytes = in });
    r->input = bytes_of(NULL, 0);
    upstream_run(r);
}

static void on_closed(void *owner, int err)
{
    struct master_link *l = owner;
    struct replication *r = l->r;
    bool known = l->closing;
    l->closing = true;
    upstream_tell_applied(r);
    if (l->client) {
        r->stream_db = db_id(l->client->db);
        client_closed(l->client, err);
    }
    if (r->link == l)
        r->link = NULL;
    if (!known) {
        const char *why = err ? strerror(err) : "connection closed by the master";
        repl_heard(r, &(struct repl_event){ .kind = REPL_PEER_DOWN, .peer = l->peer, .text = bytes_of_str(why) });
    }
    mem_free(l);
}

static const struct conn_handler handler = { .input = on_input, .connected = on_connected, .closed = on_closed };

/* ---- actions ---- */

static void connect_failed(struct replication *r, uint64_t peer, const char *why)
{
    repl_heard(r, &(struct repl_event){ .kind = REPL_PEER_DOWN, .peer = peer, .text = bytes_of_str(why) });
}

static void open_link(struct replication *r, uint64_t peer, const char *ip, int port)
{
    struct master_link *l = mem_zalloc(sizeof(*l));
    l->r = r;
    l->peer = peer;
    struct node *n = r->node;
    int e = io_connect(node_io(n), ip, port, node_options(n)->net.bind_source_addr, l, &l->conn);
    if (e < 0) {
        mem_free(l);
        connect_failed(r, peer, strerror(-e));
        return;
    }
    conn_set_handler(l->conn, &handler);
    r->link = l;
}

void upstream_connect(struct replication *r, const struct repl_action *a)
{
    ASSERT(!r->link || r->link->closing);
    r->link = NULL; /* an old one that is closing frees itself */
    io_lookup_drop(r->lookup);
    r->lookup = io_lookup_begin(node_io(r->node), a->text.p);
    r->lookup_peer = a->peer;
    r->lookup_port = a->port;
    upstream_poll_lookup(r); /* numbers are known at once */
}

bool upstream_poll_lookup(struct replication *r)
{
    if (!r->lookup)
        return false;
    char ip[IO_ADDRESS_MAX];
    int e = io_lookup_result(r->lookup, ip);
    if (e == -EINPROGRESS)
        return true;
    io_lookup_drop(r->lookup);
    r->lookup = NULL;
    if (e < 0)
        connect_failed(r, r->lookup_peer, "the name of the master is not known");
    else
        open_link(r, r->lookup_peer, ip, r->lookup_port);
    return false;
}

void upstream_close(struct replication *r, uint64_t peer, bool after_output)
{
    if (r->lookup && r->lookup_peer == peer) {
        io_lookup_drop(r->lookup);
        r->lookup = NULL;
    }
    struct master_link *l = link_of_peer(r, peer);
    if (!l)
        return;
    l->closing = true;
    upstream_apply_reset(r);
    if (after_output)
        conn_close_after_output(l->conn);
    else
        conn_close(l->conn);
}

bool upstream_send(struct replication *r, uint64_t peer, struct bytes b)
{
    if (!(peer & REPL_LINK))
        return false;
    struct master_link *l = link_of_peer(r, peer);
    if (l)
        writer_append(conn_writer(l->conn, 2), b);
    return true;
}

void upstream_pause(struct replication *r, uint64_t peer, bool pause)
{
    struct master_link *l = link_of_peer(r, peer);
    if (l)
        conn_pause_input(l->conn, pause);
}

/* ---- the stream ---- */

void upstream_settle(struct replication *r)
{
    struct master_link *l = r->link;
    if (!l || l->closing || l->client || !repl_link_up(r->machine))
        return;
    struct keyspace *ks = node_keyspace(r->node);
    int db = r->stream_db < ks_databases(ks) ? r->stream_db : 0;
    l->client = clients_add_master(node_clients(r->node), l->conn, ks_db(ks, db));
    r->applied = r->told_applied = repl_offset(r->machine);
    r->unapplied = r->extra = 0;
}

uint64_t upstream_peer(const struct replication *r)
{
    return r->link ? r->link->peer : REPL_LINK;
}

int upstream_db(const struct replication *r)
{
    return r->link && r->link->client ? db_id(r->link->client->db) : r->stream_db;
}

void upstream_apply(struct replication *r, struct bytes b)
{
    bool borrowed = b.p >= r->input.p && b.p + b.n <= r->input.p + r->input.n;
    if (borrowed && r->held.n == 0 && (r->apply.n == 0 || r->apply.p + r->apply.n == b.p)) {
        r->apply = bytes_of(r->apply.n ? r->apply.p : b.p, r->apply.n + b.n);
        return;
    }
    buf_append(&r->held, b); /* behind what is borrowed */
}

void upstream_apply_reset(struct replication *r)
{
    struct master_link *l = r->link;
    r->apply = bytes_of(NULL, 0);
    buf_clear(&r->held);
    r->unapplied = r->extra = 0;
    if (!l || !l->client)
        return;
    r->stream_db = db_id(l->client->db);
    l->client->flags |= CLIENT_CLOSE_ASAP; /* what is gathered of it is dropped */
}

/* Gathers what is to be executed; the loop's `execute` runs it, as it lies in the loop's memory. */
void upstream_run(struct replication *r)
{
    struct dispatch *d = node_dispatch(r->node);
    struct bytes apply = r->apply;
    if ((apply.n == 0 && r->held.n == 0) || dispatch_running(d))
        return;
    struct master_link *l = r->link;
    r->apply = bytes_of(NULL, 0);
    if (apply.n && l && l->client)
        client_input_stream(l->client, apply);
    if (r->held.n == 0)
        return;
    struct buf held = r->held;
    r->held = BUF_INIT(BUF_UNLIMITED);
    if (l && l->client) {
        client_input_stream(l->client, buf_bytes(&held));
        clients_execute(node_clients(r->node)); /* before the bytes go */
    }
    buf_done(&held);
}

void replication_ran(struct replication *r, struct client *client, size_t bytes)
{
    r->unapplied += bytes;
    if (client->flags & (CLIENT_MULTI | CLIENT_CLOSE_ASAP))
        return; /* a link that is cut now goes on from before the MULTI */
    r->applied += (int64_t)r->unapplied;
    r->unapplied = 0;
}

void replication_add_extra(struct replication *r, size_t n)
{
    r->extra += n;
}

size_t replication_take_extra(struct replication *r)
{
    size_t n = r->extra;
    r->extra = 0;
    return n;
}

void upstream_tell_applied(struct replication *r)
{
    if (r->applied == r->told_applied || r->performing)
        return;
    r->told_applied = r->applied;
    repl_heard(r, &(struct repl_event){ .kind = REPL_APPLIED, .offset = r->applied });
}

void replication_refused(struct replication *r, struct bytes command)
{
    (void)r;
    log_warning("The master's stream has a command that is none here, or has too few or too many arguments: '%.*s'. It "
                "is passed over.", (int)(command.n < 64 ? command.n : 64), command.p);
}

void replication_stream_broken(struct replication *r, struct client *client, const char *why)
{
    client->flags |= CLIENT_CLOSE_ASAP;
    repl_heard(r, &(struct repl_event){ .kind = REPL_APPLY_FAILED, .text = bytes_of_str(why) });
}

void upstream_free(struct replication *r)
{
    io_lookup_drop(r->lookup);
    r->lookup = NULL;
    buf_done(&r->held);
    /* The connection, if any, ends with the loop; its client has gone with all others. */
    mem_free(r->link);
    r->link = NULL;
}
