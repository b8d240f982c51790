/* What goes to attached replicas: the machine's own bytes, ranges of the stream sent from the backlog's memory, images
 * of the data set, and the spill file behind the backlog. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "server/clients.h"
#include "server/drivers/replication_inner.h"
#include "server/node.h"
#include "server/persist/snapshot.h"
#include "server/saving.h"

enum {
    IMAGE_PIECE = 256 * 1024,      /* bytes of a file that are read at a time */
    IMAGE_AHEAD = 1024 * 1024,     /* bytes of an image that may wait in the loop for one replica */
};

/* An image of the data set: made by a child, wanted by some of the attached. */
struct image {
    struct list_node in_images;
    struct replication *r;
    uint32_t id;
    bool stream;
    bool making; /* the child runs */
    bool dropped; /* it was told to end: until it has, it is in the way of the next like any other */
    bool whole;
};

struct attached {
    struct list_node in_attached;
    struct client *client;
    struct image *image;  /* it is being sent this one; NULL: none */
    struct io_file *file; /* of a disk image: what comes next is where it stands */
    bool at_end;          /* all of the image is with the loop */
    size_t out;           /* bytes in the loop, as the machine knows it */
};

static struct client *client_of(struct replication *r, uint64_t peer)
{
    struct client *c = client_by_id(node_clients(r->node), peer);
    return c && c->conn && !(c->flags & CLIENT_CLOSE_ASAP) ? c : NULL;
}

static struct attached *attached_of(struct replication *r, uint64_t peer)
{
    LIST_EACH(&r->attached, n) {
        struct attached *a = LIST_ITEM(n, struct attached, in_attached);
        if (a->client->id == peer)
            return a;
    }
    return NULL;
}

/* ---- bytes ---- */

void downstream_attach(struct replication *r, uint64_t peer)
{
    struct client *client = client_of(r, peer);
    if (!client || attached_of(r, peer))
        return;
    struct attached *a = mem_zalloc(sizeof(*a));
    a->client = client;
    list_push_back(&r->attached, &a->in_attached);
    clients_mark_replica(client);
    conn_send_first(client->conn, true);
    if (r->config->repl_disable_tcp_nodelay)
        conn_nodelay(client->conn, false);
}

void downstream_send(struct replication *r, uint64_t peer, struct bytes b)
{
    struct client *client = client_of(r, peer);
    if (client)
        writer_append(conn_writer(client->conn, client->resp), b);
}

static void send_blob(struct attached *a, struct blob *b, size_t off, size_t n)
{
    struct writer *w = conn_writer(a->client->conn, a->client->resp);
    w->ops->ref(w, b, off, n);
    a->out += n;
}

void downstream_range(struct replication *r, const struct repl_action *a)
{
    enum { COPY_MAX = 1024 }; /* bytes: a reference costs more than to copy them */
    struct attached *to = attached_of(r, a->peer);
    size_t n = (size_t)(a->to - a->from);
    if (!to || client_is_closing(to->client))
        return;
    if (n > COPY_MAX) {
        send_blob(to, a->blob, a->off, n);
        return;
    }
    writer_append(conn_writer(to->client->conn, to->client->resp), bytes_of(a->blob->data + a->off, n));
    to->out += n;
}

void downstream_close(struct replication *r, uint64_t peer, bool after_output)
{
    struct client *client = client_of(r, peer);
    if (!client)
        return;
    if (after_output)
        client_close_after_reply(client);
    else
        client_close(client);
}

/* ---- images ---- */

static struct image *image_of(struct replication *r, uint32_t id)
{
    LIST_EACH(&r->images, n) {
        struct image *i = LIST_ITEM(n, struct image, in_images);
        if (i->id == id)
            return i;
    }
    return NULL;
}

bool downstream_child_is_ours(const struct replication *r)
{
    LIST_EACH(&r->images, n)
        if (LIST_ITEM(n, struct image, in_images)->making && !LIST_ITEM(n, struct image, in_images)->dropped)
            return true;
    return false;
}

static void image_free(struct image *i)
{
    LIST_EACH(&i->r->attached, n) {
        struct attached *a = LIST_ITEM(n, struct attached, in_attached);
        if (a->image != i)
            continue;
        a->image = NULL;
        io_file_close(a->file);
        a->file = NULL;
    }
    list_remove(&i->in_images);
    mem_free(i);
}

static bool too_far_ahead(const struct attached *a)
{
    return conn_out_bytes(a->client->conn) > IMAGE_AHEAD;
}

/* The child rests while somebody who gets its stream has not taken what came before. */
static void pace_child(struct image *i)
{
    bool pause = false;
    LIST_EACH(&i->r->attached, n) {
        struct attached *a = LIST_ITEM(n, struct attached, in_attached);
        pause |= a->image == i && too_far_ahead(a);
    }
    snapshot_pause(saving_snapshots(node_saving(i->r->node)), pause);
}

static void on_output(void *ctx, struct bytes b)
{
    struct image *i = ctx;
    struct blob *piece = NULL; /* one copy for all */
    LIST_EACH(&i->r->attached, n) {
        struct attached *a = LIST_ITEM(n, struct attached, in_attached);
        if (a->image != i || client_is_closing(a->client))
            continue;
        if (!piece) {
            piece = blob_new(b.n, b.n);
            memcpy(piece->data, b.p, b.n);
        }
        send_blob(a, piece, 0, b.n);
    }
    blob_unref(piece);
    pace_child(i);
}

/* Tells who has all of the image. */
static void tell_sent(struct replication *r, struct attached *a)
{
    a->image = NULL;
    io_file_close(a->file);
    a->file = NULL;
    repl_heard(r, &(struct repl_event){ .kind = REPL_SNAPSHOT_SENT, .peer = a->client->id });
}

static void on_done(void *ctx, const struct snapshot_result *result)
{
    struct image *i = ctx;
    struct replication *r = i->r;
    uint32_t id = i->id;
    i->making = false;
    if (result->error) {
        image_free(i);
        const char *why = result->killed ? "it was stopped" : strerror(-result->error);
        repl_heard(r, &(struct repl_event){ .kind = REPL_SNAPSHOT_FAILED, .snapshot = id, .text = bytes_of_str(why) });
        return;
    }
    i->whole = true;
    repl_heard(r, &(struct repl_event){ .kind = REPL_SNAPSHOT_READY, .snapshot = id, .n = result->bytes });
    downstream_look(r);
}

static int start_stream(struct replication *r, struct image *i, const struct repl_action *a)
{
    struct rdb_replication id = { .stream_db = repl_stream_db(r), .id = a->text, .offset = a->offset };
    struct snapshot_request q;
    saving_fill_request(node_saving(r->node), a->rdb_version, &q);
    q.rdb.replication = &id;
    q.rdb.no_keys = a->filter & REPL_FILTER_NO_DATA;
    q.rdb.no_functions = a->filter & REPL_FILTER_NO_FUNCTIONS;
    q.purpose = SNAPSHOT_SYNC;
    q.path = NULL;
    q.output = on_output;
    q.done = on_done;
    q.ctx = i;
    return snapshot_start(saving_snapshots(node_saving(r->node)), &q);
}

void downstream_start_image(struct replication *r, const struct repl_action *a)
{
    struct image *i = mem_zalloc(sizeof(*i));
    i->r = r;
    i->id = a->snapshot;
    i->stream = a->stream;
    i->making = true;
    list_push_back(&r->images, &i->in_images);
    int e = a->stream ? start_stream(r, i, a)
                      : saving_background(node_saving(r->node), SNAPSHOT_SYNC, a->rdb_version, on_done, i);
    if (e == 0)
        return;
    image_free(i);
    repl_heard(r, &(struct repl_event){
                      .kind = REPL_SNAPSHOT_FAILED, .snapshot = a->snapshot, .text = bytes_of_str(strerror(-e)) });
}

void downstream_send_image(struct replication *r, const struct repl_action *act)
{
    struct attached *a = attached_of(r, act->peer);
    struct image *i = image_of(r, act->snapshot);
    if (!a || !i)
        return;
    a->image = i;
    a->at_end = false;
    if (i->stream)
        return;
    const char *path = saving_path(node_saving(r->node));
    int e = io_file_open(path, &a->file);
    if (e < 0) {
        log_warning("Can't open the image %s for a replica: %s", path, strerror(-e));
        client_close(a->client);
    }
}

void downstream_drop_image(struct replication *r, uint32_t id)
{
    struct image *i = image_of(r, id);
    if (!i)
        return;
    i->dropped = true;
    if (i->making)
        snapshot_kill(saving_snapshots(node_saving(r->node))); /* on_done frees it */
    else
        image_free(i);
}

/* The next pieces of the file, as far as the loop may have them. */
static void send_pieces(struct attached *a)
{
    while (!a->at_end && !too_far_ahead(a)) {
        struct blob *b = blob_new(0, IMAGE_PIECE);
        ssize_t n = io_file_read(a->file, b->data, IMAGE_PIECE);
        if (n > 0) {
            b->n = (size_t)n;
            send_blob(a, b, 0, b->n);
        } else if (n == 0) {
            a->at_end = true;
        } else {
            log_warning("Can't read the image for a replica: %s", strerror((int)-n));
            client_close(a->client);
            a->at_end = true;
        }
        blob_unref(b);
    }
}

static void look_at(struct replication *r, struct attached *a)
{
    struct image *i = a->image;
    size_t out = conn_out_bytes(a->client->conn);
    if (i && !i->stream && a->file) {
        send_pieces(a);
        if (a->at_end)
            tell_sent(r, a);
    } else if (i && i->stream && i->whole) {
        tell_sent(r, a);
    } else if (i && i->stream && i->making && out < a->out) {
        pace_child(i);
    }
    if (out < a->out) {
        a->out = out;
        repl_heard(r, &(struct repl_event){ .kind = REPL_PEER_SENT, .peer = a->client->id, .n = out });
    }
}

void downstream_look(struct replication *r)
{
    for (struct list_node *n = list_first(&r->attached), *next; n; n = next) {
        next = list_next(&r->attached, n);
        struct attached *a = LIST_ITEM(n, struct attached, in_attached);
        if (!client_is_closing(a->client))
            look_at(r, a);
    }
}

static void attached_free(struct attached *a)
{
    list_remove(&a->in_attached);
    io_file_close(a->file);
    mem_free(a);
}

void downstream_forget(struct replication *r, const struct client *client)
{
    struct attached *a = attached_of(r, client->id);
    if (!a)
        return;
    struct image *i = a->image;
    attached_free(a);
    if (i && i->stream && i->making)
        pace_child(i);
}

void downstream_free(struct replication *r)
{
    while (!list_empty(&r->attached))
        attached_free(LIST_ITEM(list_first(&r->attached), struct attached, in_attached));
    while (!list_empty(&r->images))
        image_free(LIST_ITEM(list_first(&r->images), struct image, in_images));
    spillfile_close(r);
}

/* ---- the spill file: a ring of the stream behind what the memory holds. The machine knows what is in it. ---- */

static int spillfile_open(struct replication *r)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "spill-%d.tmp", node_options(r->node)->net.port);
    r->spill_size = r->config->repl_backlog_spill_size;
    return io_scratch_open(path, &r->spill);
}

/* The part of [from, to) up to the end of the ring. */
static size_t piece_of(uint64_t at, int64_t from, int64_t to, uint64_t ring)
{
    uint64_t n = ring - at;
    return n < (uint64_t)(to - from) ? (size_t)n : (size_t)(to - from);
}

void spillfile_write(struct replication *r, const struct repl_action *a)
{
    int e = r->spill ? 0 : spillfile_open(r);
    const char *p = a->blob->data + a->off;
    for (int64_t from = a->from; e == 0 && from < a->to;) {
        uint64_t at = (uint64_t)from % r->spill_size;
        size_t n = piece_of(at, from, a->to, r->spill_size);
        e = io_scratch_write(r->spill, at, bytes_of(p, n));
        p += n;
        from += (int64_t)n;
    }
    if (e < 0)
        repl_heard(r, &(struct repl_event){ .kind = REPL_SPILL_FAILED, .text = bytes_of_str(strerror(-e)) });
}

void spillfile_read(struct replication *r, const struct repl_action *a)
{
    size_t n = (size_t)(a->to - a->from);
    struct blob *b = r->spill ? blob_try_new(n, n) : NULL;
    char *p = b ? b->data : NULL;
    for (int64_t from = a->from; b && from < a->to;) {
        uint64_t at = (uint64_t)from % r->spill_size;
        size_t k = piece_of(at, from, a->to, r->spill_size);
        if (io_scratch_read(r->spill, at, p, k) < 0) {
            blob_unref(b);
            b = NULL;
        }
        p += k;
        from += (int64_t)k;
    }
    repl_heard(r, &(struct repl_event){ .kind = REPL_SPILL_READ_DONE, .offset = a->from, .blob = b });
}

void spillfile_close(struct replication *r)
{
    io_scratch_close(r->spill);
    r->spill = NULL;
}
