/* Clients that wait for keys (see blocked.h).
 *
 * Keys and clients are a relation (space: the database), so that a key's clients are in the order of their arrival. A
 * key that became ready is queued once; after the command its clients are served one by one, as long as the key holds
 * something of the type they wait for. Serving may make other keys ready (BLMOVE): the queue is worked off until it is
 * empty.
 *
 *   running --block_on_keys--> waiting --key ready--> serving --done--> running
 *                                ^  |                    |
 *                                |  +--time-out, UNBLOCK-+--> reply --> running
 *                                +------ blocks again ---+     */
#include "server/blocked.h"

#include "common/alloc.h"
#include "common/assert.h"
#include "common/heap.h"
#include "server/dispatch.h"
#include "server/kept.h"
#include "server/node.h"
#include "server/relation.h"

struct block { /* of a client */
    struct relation_side keys;
    struct heap_node by_deadline; /* key: ms since 1970; in the heap only with a deadline */
    struct client *client;
    struct command_entry *cmd;
    enum value_type type;
    unsigned flags;   /* enum block_flags */
    msec_t deadline;  /* 0: none */
    bool serving;     /* its command is being run again */
    bool again;       /* ... and has blocked again */
    struct kept *request;
};

struct ready_key {
    struct list_node in_ready;
    struct relation_name *name;
};

struct blocked {
    struct node *node;
    struct relation keys;
    struct heap deadlines;
    struct list ready;  /* of struct ready_key */
    uint64_t clients, keys_wake_when_gone;
    bool serving;
};

struct blocked *blocked_new(struct node *node)
{
    struct blocked *b = mem_zalloc(sizeof(*b));
    b->node = node;
    relation_init(&b->keys);
    list_init(&b->ready);
    return b;
}

void blocked_free(struct blocked *b)
{
    if (!b)
        return;
    relation_done(&b->keys);
    heap_done(&b->deadlines);
    mem_free(b);
}

uint64_t blocked_clients(const struct blocked *b)
{
    return b->clients;
}

uint64_t blocked_with_deadline(const struct blocked *b)
{
    return b->deadlines.n;
}

uint64_t blocked_keys(const struct blocked *b)
{
    return b->keys.names.count;
}

uint64_t blocked_keys_on_nokey(const struct blocked *b)
{
    return b->keys_wake_when_gone;
}

/* ---- linking ---- */

static void unlink_one(struct blocked *b, struct relation_link *l)
{
    if (l->name->links_n == 1 && l->name->user) {
        struct ready_key *r = l->name->user;
        list_remove(&r->in_ready);
        mem_free(r);
    }
    if (l->mark)
        b->keys_wake_when_gone--;
    relation_unlink(&b->keys, l);
}

static void unlink_keys(struct blocked *b, struct block *k)
{
    while (!list_empty(&k->keys.links))
        unlink_one(b, LIST_ITEM(list_first(&k->keys.links), struct relation_link, in_side));
    heap_remove(&b->deadlines, &k->by_deadline);
}

static void link_keys(struct blocked *b, struct block *k, int db, const struct bytes *keys, int n)
{
    for (int i = 0; i < n; i++) {
        struct relation_link *l = relation_link(&b->keys, &k->keys, k->client, db, keys[i]);
        if (!l)
            continue; /* given twice */
        l->mark = k->flags & BLOCK_WAKE_WHEN_GONE;
        b->keys_wake_when_gone += l->mark;
    }
    if (k->deadline)
        heap_set(&b->deadlines, &k->by_deadline, k->deadline);
}

static struct block *new_block(struct call *c)
{
    struct block *k = mem_zalloc(sizeof(*k));
    relation_side_init(&k->keys);
    k->client = c->client;
    k->cmd = (struct command_entry *)c->cmd;
    k->request = kept_new(c->argc, c->argv, c->blobs);
    return k;
}

bool call_may_block(const struct call *c)
{
    return !(c->flags & CALL_DENY_BLOCKING) && c->client->conn;
}

void block_on_keys(struct call *c, const struct bytes *keys, int n, enum value_type type, msec_t deadline,
                   unsigned flags)
{
    ASSERT(call_may_block(c));
    struct client *client = c->client;
    struct blocked *b = node_blocked(c->node);
    struct block *k = client->block;
    if (k) {
        ASSERT(k->serving);
        k->again = true;
    } else {
        k = client->block = new_block(c);
        k->type = type;
        k->flags = flags;
        k->deadline = deadline;
        b->clients++;
        client->flags |= CLIENT_BLOCKED;
        client_hold(client, true);
    }
    link_keys(b, k, db_id(c->db), keys, n);
}

/* The client runs on: what it sent meanwhile comes next. */
static void release(struct blocked *b, struct client *client)
{
    struct block *k = client->block;
    unlink_keys(b, k);
    client->block = NULL;
    client->flags &= ~(unsigned)CLIENT_BLOCKED;
    b->clients--;
    kept_free(k->request);
    mem_free(k);
    client_hold(client, false);
}

void blocked_forget(struct blocked *b, struct client *client)
{
    if (client->block)
        release(b, client);
}

/* ---- serving ---- */

static void make_ready(struct blocked *b, struct relation_name *name)
{
    if (!name || name->user)
        return;
    struct ready_key *r = mem_zalloc(sizeof(*r));
    r->name = name;
    name->user = r;
    list_push_back(&b->ready, &r->in_ready);
}

void key_ready(struct call *c, struct bytes key)
{
    struct blocked *b = node_blocked(c->node);
    if (b->clients)
        make_ready(b, relation_find(&b->keys, db_id(c->db), key));
}

bool blocked_any_ready(struct node *node)
{
    return !list_empty(&node_blocked(node)->ready);
}

/* Runs the client's command again. True when it was served, false when it waits on. */
static bool serve(struct blocked *b, struct client *client)
{
    struct block *k = client->block;
    struct dispatch *d = node_dispatch(b->node);
    unlink_keys(b, k);
    k->serving = true;
    k->again = false;
    client->flags = (client->flags & ~(unsigned)CLIENT_BLOCKED) | CLIENT_PROTECTED;
    dispatch_call(d, client, k->cmd, k->request->argc, k->request->argv, k->request->blobs, CALL_REPROCESS);
    client->flags &= ~(unsigned)CLIENT_PROTECTED;
    k->serving = false;
    if (k->again) {
        client->flags |= CLIENT_BLOCKED;
        return false;
    }
    release(b, client);
    client_end_of_request(client);
    return true;
}

/* Whether what the key holds, or that it is gone, is something for this client. */
static bool for_this_one(const struct entry *e, const struct block *k)
{
    return (k->flags & BLOCK_WAKE_WHEN_GONE) || (e && entry_type(e) == k->type);
}

/* The clients of one key, oldest first; those that are there now, since who blocks again goes to the end. */
static void serve_key(struct blocked *b, int space, struct bytes key)
{
    struct relation_name *name = relation_find(&b->keys, space, key);
    if (!name)
        return;
    struct db *db = ks_db(node_keyspace(b->node), space);
    struct list_node *at = list_first(&name->links);
    for (uint64_t left = name->links_n; at && left; left--) {
        struct client *client = LIST_ITEM(at, struct relation_link, in_name)->owner;
        /* Serving takes away the client's own link only, and the name with the last. */
        at = list_next(&name->links, at);
        struct entry *e = ks_find(db, key, KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY);
        if (!e && b->keys_wake_when_gone == 0)
            return; /* nothing left for all the others */
        if (client_is_closing(client) || !for_this_one(e, client->block))
            continue;
        serve(b, client);
        if (at)
            name = LIST_ITEM(at, struct relation_link, in_name)->name;
    }
}

void blocked_serve_ready(struct node *node)
{
    struct blocked *b = node_blocked(node);
    if (b->serving)
        return; /* from inside of a served command: the outer loop goes on with it */
    b->serving = true;
    while (!list_empty(&b->ready)) {
        struct ready_key *r = LIST_ITEM(list_pop_front(&b->ready), struct ready_key, in_ready);
        int space = r->name->space;
        struct buf key = BUF_INIT(BUF_UNLIMITED);
        buf_append(&key, relation_text(r->name)); /* the name may go while its clients are served */
        r->name->user = NULL;
        mem_free(r);
        serve_key(b, space, key.n ? buf_bytes(&key) : BYTES(""));
        buf_done(&key);
    }
    b->serving = false;
}

struct whole_db {
    struct blocked *b;
    int id;
};

static void make_ready_in_db(void *ctx, void *item)
{
    const struct whole_db *w = ctx;
    struct relation_name *name = item;
    if (name->space == w->id)
        make_ready(w->b, name);
}

void blocked_key_touched(struct blocked *b, struct db *db, struct bytes key)
{
    if (key.p) {
        if (b->keys_wake_when_gone)
            make_ready(b, relation_find(&b->keys, db_id(db), key));
        return;
    }
    /* Flushed, or swapped: then keys may have come too. Who is served is seen when the command is done. */
    struct whole_db w = { b, db_id(db) };
    uint64_t cursor = 0;
    do {
        cursor = table_scan(&b->keys.names, cursor, make_ready_in_db, &w);
    } while (cursor);
}

/* ---- time-outs ---- */

usec_t blocked_deadline(const struct blocked *b)
{
    msec_t first = heap_top_key(&b->deadlines);
    if (first == INT64_MAX)
        return INT64_MAX;
    struct io *io = node_io(b->node);
    return io_now_monotonic(io) + (first * 1000 - io_now_wall(io)); /* by the turn's clocks, as it is asked for */
}

static void reply_timed_out(struct client *client)
{
    struct writer *w = client_writer(client);
    if (client->block->flags & BLOCK_NULL_BULK)
        resp_null(w);
    else
        resp_null_array(w);
}

static void end_wait(struct blocked *b, struct client *client, bool error)
{
    if (error)
        resp_error_str(client_writer(client), "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    else
        reply_timed_out(client);
    client->block->cmd->stats->calls++;
    release(b, client);
    client_end_of_request(client);
}

void blocked_time_out(struct blocked *b, msec_t now)
{
    while (heap_top_key(&b->deadlines) <= now)
        end_wait(b, HEAP_ITEM(heap_top(&b->deadlines), struct block, by_deadline)->client, false);
}

void blocked_send_away(struct blocked *b,
                       bool (*ask)(void *ctx, struct client *, const struct command_entry *, int argc,
                                   const struct bytes *argv, struct buf *ret_error),
                       void *ctx)
{
    if (b->clients == 0)
        return;
    struct list *all = clients_list(node_clients(b->node));
    struct buf error = BUF_INIT(BUF_UNLIMITED);
    for (struct list_node *at = list_first(all); at; at = list_next(all, at)) {
        struct client *client = LIST_ITEM(at, struct client, all);
        struct block *k = client->block;
        if (!k || k->serving || client_is_closing(client))
            continue;
        buf_clear(&error);
        if (!ask(ctx, client, k->cmd, k->request->argc, k->request->argv, &error))
            continue;
        resp_error(client_writer(client), buf_bytes(&error));
        k->cmd->stats->rejected++;
        release(b, client);
        client_end_of_request(client);
    }
    buf_done(&error);
}

bool blocked_unblock(struct blocked *b, struct client *client, bool error)
{
    if (!client->block || client->block->serving)
        return false;
    end_wait(b, client, error);
    return true;
}

void blocked_end_all(struct blocked *b, const char *error)
{
    struct list *all = clients_list(node_clients(b->node));
    for (struct list_node *at = list_first(all); at; at = list_next(all, at)) {
        struct client *client = LIST_ITEM(at, struct client, all);
        if (!client->block || client->block->serving || client_is_closing(client))
            continue;
        resp_error_str(client_writer(client), error);
        release(b, client);
        client_close_after_reply(client);
    }
}
