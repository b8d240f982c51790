/* What a client looks like from outside: its line in CLIENT LIST, and how much memory it uses. */
#include "common/alloc.h"
#include "server/client.h"
#include "server/clients.h"
#include "server/multi.h"
#include "server/node.h"
#include "server/pubsub.h"
#include "server/tracking.h"

size_t client_query_bytes(const struct client *c)
{
    return c->query.n - c->query_used + c->running_bytes + c->stash_memory;
}

bool client_in_subscriber_mode(const struct client *c)
{
    return (c->flags & CLIENT_PUBSUB) && c->resp < 3;
}

static size_t query_memory(const struct client *c)
{
    return c->query.cap + resp_parser_memory(&c->parser) + c->stash_memory;
}

size_t client_memory(const struct client *c)
{
    size_t n = sizeof(*c) + query_memory(c) + multi_memory(c) + watch_client_memory(c) + pubsub_client_memory(c) +
               tracking_client_memory(c);
    if (c->conn)
        n += conn_out_bytes(c->conn) + CONN_BYTES;
    return n;
}

void client_count_memory(struct client *c)
{
    struct clients_stats *stats = clients_stats(node_clients(c->node));
    size_t *sum = client_class(c) == CLIENT_CLASS_REPLICA ? &stats->memory_replicas : &stats->memory_normal;
    size_t now = client_memory(c);
    *sum = *sum - c->memory_counted + now;
    c->memory_counted = now;
}

/* The letters of flags=, in Redis' order. */
static void describe_flags(const struct client *c, struct buf *b)
{
    static const struct {
        unsigned flag;
        char letter;
    } letters[] = {
        { CLIENT_REPLICA, 'S' },     { CLIENT_MASTER, 'M' },     { CLIENT_PUBSUB, 'P' },
        { CLIENT_MULTI, 'x' },       { CLIENT_BLOCKED, 'b' },    { CLIENT_TRACKING, 't' },
        { CLIENT_TRACKING_BROKEN, 'R' },
        { 0, 'B' },                  { CLIENT_DIRTY_CAS, 'd' },  { CLIENT_CLOSE_AFTER, 'c' },
        { CLIENT_CLOSE_ASAP, 'A' },  { CLIENT_UNIX, 'U' },       { CLIENT_READONLY, 'r' },
        { CLIENT_NO_EVICT, 'e' },    { CLIENT_NO_TOUCH, 'T' },
    };
    size_t before = b->n;
    if (c->flags & CLIENT_MONITOR)
        buf_append_char(b, 'O');
    for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++) {
        bool on = c->flags & letters[i].flag;
        if (letters[i].letter == 'B')
            on = c->tracking && c->tracking->o.bcast;
        if (on)
            buf_append_char(b, letters[i].letter);
    }
    if (b->n == before)
        buf_append_char(b, 'N');
}

void client_describe(struct client *c, struct buf *b)
{
    msec_t now = io_now_monotonic(node_io(c->node)) / 1000;
    size_t out = c->conn ? conn_out_bytes(c->conn) : 0;
    size_t blocks = c->conn ? conn_out_blocks(c->conn) : 0;
    buf_printf(b, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=", (unsigned long long)c->id,
               c->conn ? conn_peer_name(c->conn) : "", c->conn ? conn_local_name(c->conn) : "",
               c->conn ? conn_fd(c->conn) : -1, c->name ? c->name : "", (long long)(now - c->created) / 1000,
               (long long)(now - c->last_active) / 1000);
    describe_flags(c, b);
    bool running = c->flags & CLIENT_PROTECTED;
    uint64_t redirect = c->tracking ? c->tracking->o.redirect : 0;
    buf_printf(
        b,
        " db=%d sub=%llu psub=%llu ssub=%llu multi=%d qbuf=%zu qbuf-free=%zu argv-mem=%zu multi-mem=%zu rbs=%d "
        "rbp=%d obl=%zu oll=%zu omem=%zu tot-mem=%zu events=%s cmd=%s user=default redir=%lld resp=%d lib-name=%s "
        "lib-ver=%s",
        db_id(c->db), (unsigned long long)pubsub_client_count(c, PUBSUB_CHANNEL),
        (unsigned long long)pubsub_client_count(c, PUBSUB_PATTERN),
        (unsigned long long)pubsub_client_count(c, PUBSUB_SHARD), multi_count(c), client_query_bytes(c),
        c->running_bytes ? (size_t)20448 : c->query.cap - c->query.n, c->argv_memory, multi_memory(c), 1024, 0,
        running ? 0 : out, blocks > 1 ? blocks - 1 : 0, blocks > 1 ? out : 0, client_memory(c),
        out && !running ? "rw" : "r", c->last_cmd ? c->last_cmd->full_name : "NULL",
        c->tracking ? (long long)redirect : -1LL, c->resp, c->lib_name ? c->lib_name : "",
        c->lib_ver ? c->lib_ver : "");
}
