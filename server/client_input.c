/* Bytes to requests (see client_input.h).
 *
 * Input is parsed where it lies, in the loop's buffer. Only what cannot run yet is copied to client->query: the rest of
 * a cut frame, or everything that comes while the client is held. Requests gathered from `query` pin it until they ran.
 * A client that is not authenticated is parsed one request at a time, since AUTH changes the limits of the next. */
#include "server/client_input.h"

#include "common/alloc.h"
#include "common/arena.h"
#include "common/assert.h"
#include "common/log.h"
#include "server/clients.h"
#include "server/dispatch.h"
#include "server/drivers/replication.h"
#include "server/node.h"

static bool must_wait(const struct client *c)
{
    return (c->flags & CLIENT_HELD) || c->stash_first || c->unparsed;
}

/* Puts the client on the list of those that clients_execute looks at after the next run. */
static void look_later(struct client *c)
{
    struct list *later = clients_later(node_clients(c->node));
    if (c->in_later)
        return;
    c->in_later = true;
    list_push_back(later, &c->later);
}

static void close_for(struct client *c, const char *why)
{
    struct buf line = BUF_INIT(4096);
    client_describe(c, &line);
    log_warning("%s: %s", why, line.n ? buf_cstr(&line) : "");
    buf_done(&line);
    client_close(c);
}

static void keep(struct client *c, struct bytes in)
{
    if (in.n == 0 || client_is_closing(c))
        return;
    if (buf_append(&c->query, in) == 0 && (c->flags & CLIENT_MASTER))
        return;
    if (c->query.n + resp_parser_memory(&c->parser) > node_options(c->node)->client.client_query_buffer_limit) {
        clients_stats(node_clients(c->node))->query_limit_closed++;
        close_for(c, "Closing client that reached max query buffer length");
    }
}

static void protocol_error(struct client *c, const char *text)
{
    if (client_is_closing(c))
        return;
    if (c->flags & CLIENT_MASTER) {
        replication_stream_broken(node_replication(c->node), c, text);
        return;
    }
    log_verbose("Protocol error (%s) from client %s", text, conn_peer_name(c->conn));
    resp_error_str(client_writer(c), text);
    client_close_after_reply(c);
}

static void receive_big(struct client *c)
{
    if (c->flags & CLIENT_MASTER)
        return; /* client_input_stream copies it */
    struct bytes rest = resp_parser_big(&c->parser);
    conn_recv_bulk(c->conn, (char *)rest.p, rest.n);
}

/* A line with nothing on it: how replicas say that they are there. */
static void empty_line(struct client *c, size_t n)
{
    if (c->flags & CLIENT_MASTER)
        replication_add_extra(node_replication(c->node), n);
    else if (c->flags & CLIENT_REPLICA)
        replication_alive(node_replication(c->node), c);
}

/* The frame lies in one piece as an array of bulks, which is how effects are written. */
static const char *whole_frame(const struct resp_command *cmd, const char *first)
{
    return !cmd->blobs && *first == '*' ? first : NULL;
}

/* Gathers requests from `in` until it is used up or the client must wait. Returns the bytes used. */
static size_t parse(struct client *c, struct bytes in)
{
    struct dispatch *d = node_dispatch(c->node);
    struct resp_limits limits = { node_options(c->node)->client.proto_max_bulk_len, true };
    size_t pos = 0;
    while (pos < in.n) {
        limits.authenticated = c->flags & CLIENT_AUTHENTICATED;
        struct resp_command cmd;
        enum resp_status st =
            resp_parse(&c->parser, bytes_of(in.p + pos, in.n - pos), &limits, dispatch_arena(d), &cmd);
        switch (st) {
        case RESP_COMMAND:
            cmd.frame = whole_frame(&cmd, in.p + pos);
            pos += cmd.used;
            if (__builtin_expect(c->flags & CLIENT_MASTER, 0))
                cmd.used += replication_take_extra(node_replication(c->node));
            dispatch_gather(d, c, &cmd);
            if (!limits.authenticated) {
                c->unparsed = true;
                return pos;
            }
            if (dispatch_full(d)) {
                dispatch_run(d);
                if (must_wait(c) || client_is_closing(c)) {
                    c->unparsed = pos < in.n;
                    return pos;
                }
            }
            break;
        case RESP_EMPTY:
            pos += cmd.used;
            if (__builtin_expect(c->flags & (CLIENT_MASTER | CLIENT_REPLICA), 0))
                empty_line(c, cmd.used);
            break;
        case RESP_MORE:
            return pos;
        case RESP_BIG:
            receive_big(c);
            return pos;
        case RESP_ERROR:
            dispatch_run(d); /* replies to what came before go first */
            if (must_wait(c)) {
                resp_parser_done(&c->parser); /* it waits too, and is found malformed again */
                c->unparsed = true;
                return pos;
            }
            protocol_error(c, c->parser.error);
            return in.n;
        }
    }
    return pos;
}

/* The requests that were gathered from `query` have run (or there were none): their bytes go. */
static void unpin(struct client *c)
{
    c->query_pinned = false;
    if (c->query_used)
        buf_consume(&c->query, c->query_used);
    c->query_used = 0;
    if (c->query.n == 0)
        buf_done(&c->query);
}

static void parse_query(struct client *c)
{
    c->unparsed = false;
    c->query_pinned = true; /* before parsing: a run in the middle may look at us */
    c->query_used = parse(c, buf_bytes(&c->query));
    if (c->gathered || c->unparsed)
        look_later(c);
    else
        unpin(c);
}

void client_input(struct client *c, struct bytes in)
{
    if (client_is_closing(c))
        return;
    c->bytes_in += in.n;
    if (c->query_pinned) {
        dispatch_run(node_dispatch(c->node));
        unpin(c);
        if (client_is_closing(c))
            return;
    }
    if (must_wait(c)) {
        keep(c, in);
        c->unparsed = true;
        if (!(c->flags & CLIENT_HELD))
            look_later(c);
        return;
    }
    if (c->query.n) {
        keep(c, in);
        if (!client_is_closing(c))
            parse_query(c);
        return;
    }
    size_t used = parse(c, in);
    keep(c, bytes_of(in.p + used, in.n - used));
    if (c->unparsed)
        look_later(c);
}

void client_input_stream(struct client *c, struct bytes in)
{
    if (c->parser.big) {
        struct bytes to = resp_parser_big(&c->parser);
        size_t n = to.n < in.n ? to.n : in.n;
        if (n)
            memcpy((char *)to.p, in.p, n);
        resp_parser_big_got(&c->parser, n);
        replication_add_extra(node_replication(c->node), n);
        in = bytes_of(in.p + n, in.n - n);
    }
    if (in.n)
        client_input(c, in);
}

void client_input_placed(struct client *c, size_t n)
{
    c->bytes_in += n;
    resp_parser_big_got(&c->parser, n);
}

/* ---- held requests ---- */

void client_stash(struct client *c, struct kept *k)
{
    struct kept **at = c->flags & CLIENT_STASHING ? &c->stash_mark->next : &c->stash_first;
    k->next = *at;
    *at = k;
    c->stash_memory += k->memory;
    c->stash_mark = k;
    if (c->gathered)
        c->flags |= CLIENT_STASHING;
    else
        c->flags &= ~(unsigned)CLIENT_STASHING; /* it was the last of the queue */
}

static struct kept *unstash(struct client *c)
{
    struct kept *k = c->stash_first;
    if (!k)
        return NULL;
    c->stash_first = k->next;
    k->next = NULL;
    c->stash_memory -= k->memory;
    return k;
}

/* Gathers the stashed requests again, as far as the queue has room. The slices are copied to the turn's arena. */
static void gather_stash(struct client *c)
{
    struct dispatch *d = node_dispatch(c->node);
    struct arena *a = dispatch_arena(d);
    while (c->stash_first && !dispatch_full(d)) {
        struct kept *k = unstash(c);
        struct resp_command cmd = { .argc = k->argc };
        cmd.argv = arena_array(a, (size_t)k->argc, sizeof(*cmd.argv));
        if (k->blobs)
            cmd.blobs = arena_array(a, (size_t)k->argc, sizeof(*cmd.blobs));
        for (int i = 0; i < k->argc; i++) {
            struct blob *b = k->blobs ? k->blobs[i] : NULL;
            cmd.argv[i] = b ? k->argv[i] : arena_copy(a, k->argv[i]);
            cmd.used += k->argv[i].n;
            if (k->blobs)
                cmd.blobs[i] = b;
            if (b)
                k->blobs[i] = NULL;
        }
        kept_free(k);
        dispatch_gather(d, c, &cmd);
    }
}

void client_hold(struct client *c, bool hold)
{
    if (hold) {
        c->flags |= CLIENT_HELD;
        return;
    }
    c->flags &= ~(unsigned)CLIENT_HELD;
    if (c->stash_first || c->unparsed)
        look_later(c);
}

/* One client of the list: what it was waiting for has happened. */
static void go_on(struct client *c)
{
    if (c->query_pinned)
        unpin(c);
    if ((c->flags & CLIENT_HELD) || client_is_closing(c))
        return;
    if (c->stash_first) {
        gather_stash(c);
        look_later(c);
    } else if (c->unparsed) {
        parse_query(c);
    }
}

void clients_execute(struct clients *all)
{
    struct list *later = clients_later(all);
    struct dispatch *d = clients_dispatch(all);
    dispatch_run(d);
    while (!list_empty(later)) {
        /* One round over those that are there now; who needs more comes back at the end of the list. */
        struct list_node *last = list_last(later);
        for (;;) {
            struct list_node *n = list_pop_front(later);
            struct client *c = LIST_ITEM(n, struct client, later);
            c->in_later = false;
            go_on(c);
            if (n == last)
                break;
            if (dispatch_full(d))
                dispatch_run(d);
        }
        dispatch_run(d);
    }
}

void client_input_forget(struct client *c)
{
    if (c->in_later)
        list_remove(&c->later);
    c->in_later = false;
    struct kept *k;
    while ((k = unstash(c)))
        kept_free(k);
    buf_done(&c->query);
    resp_parser_done(&c->parser);
}
