/* See repl_node.h. The driver here is what server/drivers/replication.c is in the server, with a world instead of
 * sockets, files and children. Events that arise while actions are performed wait in a queue. */
#include "tests/sim/repl_node.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/crc64.h"
#include "common/num.h"
#include "common/resp/parse.h"
#include "common/ring.h"
#include "tests/sim/checks.h"

enum { CELLS = 24, CONNS_MAX = 64, IMAGES_MAX = 16, AGES = 8192 };

enum tag { TAG_DEADLINE = 1, TAG_IMAGE, TAG_LOADED, TAG_HELD };

struct data {
    uint64_t cell[CELLS];
    uint64_t version, db;
};

struct image {
    uint32_t number;       /* 0 = free */
    bool stream;
    struct buf bytes;
    uint64_t peers[CONNS_MAX];
    int peers_n;
};

struct conn {
    uint64_t end;          /* 0 = free */
    bool is_replica;
    struct buf in;
    struct resp_parser parser;
};

struct saved {
    bool there;
    struct data data;
    char id[REPL_ID_LEN + 1];
    int64_t offset;
};

/* An event that waits, with the memory of its bytes. */
struct waiting {
    struct repl_event e;
    char text[64];
};

struct node {
    struct world *w;
    struct checks *checks;
    int host;
    struct node_config config;
    struct saved disk;
    int boot_master;

    struct repl *repl;
    struct repl_actions actions;
    bool busy;
    struct ring events;
    msec_t armed;
    struct data data;
    bool loading, paused, child;
    bool stream_on, reselect;
    struct conn conns[CONNS_MAX];

    uint64_t link_peer, link_end;
    bool link_paused;
    struct buf link_held;  /* bytes that came while paused */
    struct buf stream;     /* of the link, not executed yet */
    struct resp_parser stream_parser;
    int64_t stream_at;     /* offset of its first byte */
    bool in_multi;
    struct data multi_data;
    struct buf load;
    bool load_open;
    enum repl_load_mode load_mode;

    struct image images[IMAGES_MAX];
    char *spill;           /* a ring of spill_size bytes */
    size_t spill_size;
    uint64_t waits;

    struct {
        uint64_t version;
        msec_t at;
    } ages[AGES];          /* when which version was written, as master */
    unsigned ages_n;
};

/* ---- the data ---- */

static uint64_t digest(const struct data *d)
{
    return crc64(0, bytes_of(d, sizeof(*d)));
}

static uint64_t keys(const struct data *d)
{
    uint64_t n = 0;
    for (int i = 0; i < CELLS; i++)
        n += d->cell[i] != 0;
    return n;
}

static void add(struct data *d, uint64_t cell, uint64_t x)
{
    d->cell[cell % CELLS] = d->cell[cell % CELLS] * 31 + x;
    d->version++;
}

static void image_write(struct node *n, struct buf *b)
{
    size_t pad = n->config.image_pad_max ? world_between(n->w, 0, n->config.image_pad_max) : 0;
    uint64_t crc = digest(&n->data);
    buf_append(b, bytes_of(&crc, sizeof(crc)));
    buf_append(b, bytes_of(&n->data, sizeof(n->data)));
    buf_reserve(b, pad);
    memset(b->p + b->n, 'p', pad);
    b->n += pad;
}

static bool image_read(struct bytes b, struct data *ret)
{
    uint64_t crc;
    if (b.n < sizeof(crc) + sizeof(*ret))
        return false;
    memcpy(&crc, b.p, sizeof(crc));
    memcpy(ret, b.p + sizeof(crc), sizeof(*ret));
    for (size_t i = sizeof(crc) + sizeof(*ret); i < b.n; i++)
        if (b.p[i] != 'p')
            return false;
    return crc == digest(ret);
}

/* ---- events ---- */

static void perform(struct node *n);

static struct repl_env env_of(struct node *n)
{
    return (struct repl_env){
        .now = world_now(n->w),
        .wall = 1700000000000 + world_now(n->w) + n->config.skew_ms,
        .keys = keys(&n->data),
        .child_busy = n->child,
        .paused = n->paused,
    };
}

static void arm(struct node *n)
{
    msec_t t = repl_deadline(n->repl);
    if (t == REPL_NEVER || (n->armed >= 0 && n->armed <= t && n->armed > world_now(n->w)))
        return;
    n->armed = t;
    world_timer(n->w, n->host, t, TAG_DEADLINE);
}

static void check(struct node *n, const char *id_before, int64_t before, bool loaded)
{
    const char *id = repl_replid(n->repl);
    int64_t offset = repl_offset(n->repl);
    if (!loaded) /* a full sync from who has less, as the operator wanted */
        checks_monotone(n->checks, n->host, id_before, before, id, offset);
    struct repl_view v;
    repl_view(n->repl, world_now(n->w), &v);
    bool trusted = !n->loading && (!v.replica || v.link == REPL_LINK_CONNECTED);
    if (trusted && !ring_count(&n->events))
        checks_state(n->checks, n->host, id, offset, digest(&n->data));
}

static void step(struct node *n, struct repl_event *e)
{
    char id[REPL_ID_LEN + 1];
    memcpy(id, repl_replid(n->repl), sizeof(id));
    int64_t offset = repl_offset(n->repl);
    e->env = env_of(n);
    n->busy = true;
    repl_step(n->repl, e, &n->actions);
    perform(n);
    n->busy = false;
    check(n, id, offset, e->kind == REPL_LOADED);
}

static bool execute_next(struct node *n);

/* What waits: events first, then what our master wants to be executed. */
static void settle(struct node *n)
{
    if (n->busy)
        return;
    do {
        while (n->repl && ring_count(&n->events)) {
            struct waiting x = *(struct waiting *)ring_front(&n->events);
            ring_pop(&n->events);
            x.e.text = bytes_of_str(x.text);
            step(n, &x.e);
            blob_unref(x.e.blob);
        }
    } while (n->repl && execute_next(n));
    if (n->repl)
        arm(n);
}

/* While actions are performed an event waits; such ones have no bytes, but perhaps a text. */
static void event(struct node *n, struct repl_event *e)
{
    if (!n->repl)
        return;
    if (!n->busy) {
        step(n, e);
        settle(n);
        return;
    }
    struct waiting *x = ring_push(&n->events);
    *x = (struct waiting){ .e = *e };
    if (e->text.n)
        memcpy(x->text, e->text.p, e->text.n < sizeof(x->text) ? e->text.n : sizeof(x->text) - 1);
    if (e->blob)
        blob_ref(e->blob);
    ASSERT(!e->bytes.n);
}

/* ---- the stream of our master ---- */

static void stream_reset(struct node *n)
{
    n->in_multi = false;
    buf_done(&n->stream);
    resp_parser_done(&n->stream_parser);
    n->stream_parser = (struct resp_parser){ 0 };
}

static bool execute(struct node *n, const struct resp_command *cmd)
{
    const struct bytes *v = cmd->argv;
    uint64_t a, b;
    if (bytes_is(v[0], "add") && cmd->argc >= 3) {
        if (!num_parse_u64(v[1], &a) || !num_parse_u64(v[2], &b))
            return false;
        if (n->in_multi)
            add(&n->multi_data, a, b);
        else
            add(&n->data, a, b);
    } else if (bytes_is(v[0], "select")) {
        return cmd->argc == 2 && num_parse_u64(v[1], &n->data.db);
    } else if (bytes_is(v[0], "multi")) {
        n->in_multi = true;
        n->multi_data = n->data;
    } else if (bytes_is(v[0], "exec")) {
        n->data = n->multi_data;
        n->in_multi = false;
    } else if (!bytes_is(v[0], "ping") && !bytes_is(v[0], "replconf")) {
        return false;
    }
    return true;
}

static void applied(struct node *n)
{
    struct repl_event e = { .kind = REPL_APPLIED, .offset = n->stream_at };
    if (n->in_multi || repl_offset(n->repl) == n->stream_at)
        return;
    step(n, &e);
}

static void run_one(struct node *n, const struct resp_command *cmd)
{
    bool getack = bytes_is(cmd->argv[0], "replconf");
    bool mark = bytes_is(cmd->argv[0], "ping") && cmd->argc == 2;
    if (bytes_is(cmd->argv[0], "multi"))
        applied(n); /* from here on there is nothing to report until EXEC */
    if (!execute(n, cmd))
        world_fail(n->w, "%s cannot execute its master's command %.*s", world_name(n->w, n->host), (int)cmd->argv[0].n,
                   cmd->argv[0].p);
    if (getack || mark) {
        applied(n);
        struct repl_event e = { .kind = REPL_COMMAND, .peer = n->link_peer };
        e.command = (struct repl_command){ .argc = cmd->argc, .argv = cmd->argv, .in_link = true };
        step(n, &e);
    }
}

/* One command of the stream. The machine learns of the last one at the latest; sometimes of those before. */
static bool execute_next(struct node *n)
{
    struct arena arena = { 0 };
    struct resp_limits limits = { 1 << 20, true };
    struct resp_command cmd = { 0 };
    if (n->stream.n == 0)
        return false;
    struct bytes copy = arena_copy(&arena, buf_bytes(&n->stream));
    enum resp_status st = resp_parse(&n->stream_parser, copy, &limits, &arena, &cmd);
    if (st == RESP_COMMAND || st == RESP_EMPTY) {
        buf_consume(&n->stream, cmd.used);
        if (st == RESP_COMMAND)
            run_one(n, &cmd);
        n->stream_at += (int64_t)cmd.used;
        if (repl_link_up(n->repl) && (n->stream.n == 0 || world_chance(n->w, 30)))
            applied(n);
    } else if (st == RESP_MORE) {
        if (repl_link_up(n->repl))
            applied(n);
    } else {
        struct repl_event e = { .kind = REPL_APPLY_FAILED, .text = BYTES("no RESP") };
        step(n, &e);
    }
    arena_done(&arena);
    return st == RESP_COMMAND || st == RESP_EMPTY;
}

/* ---- the link's loader ---- */

static void load_end(struct node *n)
{
    n->loading = n->load_mode != REPL_LOAD_SWAP;
    msec_t t = (msec_t)world_between(n->w, 0, (uint64_t)n->config.work_max_ms);
    world_timer(n->w, n->host, world_now(n->w) + t, TAG_LOADED);
}

static void loaded(struct node *n)
{
    if (!n->load_open)
        return;
    n->load_open = false; /* LOADED and LOAD_FAILED end it */
    struct data d;
    bool ok = image_read(buf_bytes(&n->load), &d) && !world_chance(n->w, n->config.fail_percent);
    buf_done(&n->load);
    n->loading = false;
    if (ok)
        n->data = d;
    else if (n->load_mode != REPL_LOAD_SWAP)
        n->data = (struct data){ 0 };
    struct repl_event e = { .kind = ok ? REPL_LOADED : REPL_LOAD_FAILED, .text = BYTES("bad image") };
    event(n, &e);
}

/* ---- images for our replicas ---- */

static struct image *image_find(struct node *n, uint32_t number)
{
    for (int i = 0; i < IMAGES_MAX; i++)
        if (n->images[i].number == number)
            return &n->images[i];
    return NULL;
}

static void image_start(struct node *n, const struct repl_action *a)
{
    struct image *im = image_find(n, 0);
    ASSERT(im);
    *im = (struct image){ .number = a->snapshot, .stream = a->stream, .bytes = BUF_INIT(BUF_UNLIMITED) };
    ASSERT(a->offset == repl_offset(n->repl));
    image_write(n, &im->bytes);
    msec_t t = (msec_t)world_between(n->w, 0, (uint64_t)n->config.work_max_ms);
    world_timer(n->w, n->host, world_now(n->w) + t, TAG_IMAGE | (uint64_t)a->snapshot << 32);
}

static void image_drop(struct node *n, uint32_t number)
{
    struct image *im = image_find(n, number);
    if (!im)
        return;
    buf_done(&im->bytes);
    im->number = 0;
}

static void image_send(struct node *n, const struct image *im, uint64_t peer)
{
    world_send(n->w, peer, buf_bytes(&im->bytes));
    struct repl_event e = { .kind = REPL_SNAPSHOT_SENT, .peer = peer };
    event(n, &e);
}

static void image_done(struct node *n, uint32_t number)
{
    struct image *im = image_find(n, number);
    if (!im)
        return;
    if (world_chance(n->w, n->config.fail_percent)) {
        struct repl_event e = { .kind = REPL_SNAPSHOT_FAILED, .snapshot = number, .text = BYTES("no space") };
        event(n, &e);
        return;
    }
    struct repl_event e = { .kind = REPL_SNAPSHOT_READY, .snapshot = number, .n = im->bytes.n };
    bool stream = im->stream;
    event(n, &e);
    for (int i = 0; stream && (im = image_find(n, number)) && i < im->peers_n; i++)
        image_send(n, im, im->peers[i]);
}

static void image_to(struct node *n, const struct repl_action *a)
{
    struct image *im = image_find(n, a->snapshot);
    ASSERT(im);
    if (a->stream)
        im->peers[im->peers_n++] = a->peer;
    else
        image_send(n, im, a->peer);
}

/* ---- the spill file ---- */

static void spill_copy(struct node *n, const struct repl_action *a)
{
    if (!n->spill) {
        n->spill_size = n->config.repl.spill_size;
        n->spill = mem_alloc(n->spill_size);
    }
    size_t size = n->spill_size;
    if (world_chance(n->w, n->config.fail_percent)) {
        struct repl_event e = { .kind = REPL_SPILL_FAILED, .text = BYTES("no space") };
        event(n, &e);
        return;
    }
    for (int64_t i = a->from; i < a->to; i++)
        n->spill[(uint64_t)i % size] = a->blob->data[a->off + (size_t)(i - a->from)];
}

static void spill_read(struct node *n, int64_t from, int64_t to)
{
    size_t size = n->spill_size;
    struct blob *b = blob_new((size_t)(to - from), (size_t)(to - from));
    for (int64_t i = from; i < to; i++)
        b->data[i - from] = n->spill[(uint64_t)i % size];
    if (world_chance(n->w, n->config.fail_percent))
        b->data[0] ^= 1;
    struct repl_event e = { .kind = REPL_SPILL_READ_DONE, .offset = from, .blob = b };
    event(n, &e);
    blob_unref(b);
}

/* ---- actions ---- */

static struct conn *conn_find(struct node *n, uint64_t end)
{
    for (int i = 0; i < CONNS_MAX; i++)
        if (n->conns[i].end == end)
            return &n->conns[i];
    return NULL;
}

static void conn_forget(struct conn *c)
{
    buf_done(&c->in);
    resp_parser_done(&c->parser);
    *c = (struct conn){ 0 };
}

static uint64_t end_of_peer(struct node *n, uint64_t peer)
{
    if (!(peer & REPL_LINK))
        return peer;
    return peer == n->link_peer ? n->link_end : 0;
}

/* What a Redis would not say: its capability word is taken out. */
static void send_peer(struct node *n, uint64_t peer, struct bytes b)
{
    static const char word[] = "$4\r\ncapa\r\n$4\r\nouro\r\n";
    if (n->config.plain && (peer & REPL_LINK) && b.n > sizeof(word) && memcmp(b.p, "*7\r\n", 4) == 0) {
        world_send(n->w, end_of_peer(n, peer), BYTES("*5\r\n"));
        world_send(n->w, end_of_peer(n, peer), bytes_of(b.p + 4, b.n - 4 - (sizeof(word) - 1)));
        return;
    }
    world_send(n->w, end_of_peer(n, peer), b);
}

static void do_connect(struct node *n, const struct repl_action *a)
{
    int to = world_find(n->w, a->text);
    ASSERT(to >= 0);
    n->link_peer = a->peer;
    n->link_end = world_connect(n->w, n->host, to);
    n->link_paused = false;
    buf_clear(&n->link_held);
}

static void do_close(struct node *n, uint64_t peer, bool sent)
{
    uint64_t end = end_of_peer(n, peer);
    if (peer == n->link_peer)
        n->link_peer = n->link_end = 0;
    struct conn *c = peer & REPL_LINK ? NULL : conn_find(n, peer);
    if (c)
        conn_forget(c);
    if (sent)
        world_close_sent(n->w, end);
    else
        world_close(n->w, end);
}

static void resume(struct node *n)
{
    n->link_paused = false;
    if (!n->link_held.n)
        return;
    world_timer(n->w, n->host, world_now(n->w), TAG_HELD); /* gives them, after this step */
}

static void act_on(struct node *n, const struct repl_action *a)
{
    switch (a->kind) {
    case REPL_CONNECT: do_connect(n, a); break;
    case REPL_SEND: send_peer(n, a->peer, a->bytes); break;
    case REPL_CLOSE: do_close(n, a->peer, false); break;
    case REPL_CLOSE_SENT: do_close(n, a->peer, true); break;
    case REPL_LINK_PAUSE: n->link_paused = true; break;
    case REPL_LINK_RESUME: resume(n); break;
    case REPL_ATTACH: conn_find(n, a->peer)->is_replica = true; break;
    case REPL_SEND_RANGE:
        ASSERT(a->from < a->to);
        ASSERT(a->to <= repl_offset(n->repl));
        world_send(n->w, a->peer, bytes_of(a->blob->data + a->off, (size_t)(a->to - a->from)));
        break;
    case REPL_START_SNAPSHOT: image_start(n, a); break;
    case REPL_SEND_SNAPSHOT: image_to(n, a); break;
    case REPL_DROP_SNAPSHOT: image_drop(n, a->snapshot); break;
    case REPL_LOAD_BEGIN:
        ASSERT(!n->load_open);
        n->load_open = true;
        n->load_mode = a->load_mode;
        n->loading = a->load_mode == REPL_LOAD_ON_EMPTY;
        n->load = BUF_INIT(BUF_UNLIMITED);
        break;
    case REPL_LOAD_CHUNK: buf_append(&n->load, a->bytes); break;
    case REPL_LOAD_END: load_end(n); break;
    case REPL_LOAD_ABORT:
        buf_done(&n->load);
        n->load_open = false;
        n->loading = false;
        break;
    case REPL_APPLY:
        if (n->stream.n == 0 && !n->in_multi)
            n->stream_at = repl_offset(n->repl);
        buf_append(&n->stream, a->bytes);
        break;
    case REPL_APPLY_RESET: stream_reset(n); break;
    case REPL_SET_ROLE: world_trace(n->w, n->host, "role: %s", a->replica ? "replica" : "master"); break;
    case REPL_STREAM: n->stream_on = a->on; break;
    case REPL_RESELECT: n->reselect = true; break;
    case REPL_PAUSE_WRITES: n->paused = true; break;
    case REPL_UNPAUSE_WRITES: n->paused = false; break;
    case REPL_WAKE:
        n->waits--;
        world_trace(n->w, n->host, "WAIT answers %llu", (unsigned long long)a->n);
        break;
    case REPL_SPILL_WRITE: spill_copy(n, a); break;
    case REPL_SPILL_READ: spill_read(n, a->from, a->to); break;
    case REPL_SPILL_CLOSE:
        mem_free(n->spill);
        n->spill = NULL;
        break;
    case REPL_TRACE: world_trace(n->w, n->host, "%s", a->text.p); break;
    }
}

static void perform(struct node *n)
{
    for (size_t i = 0; i < n->actions.n; i++) {
        act_on(n, &n->actions.v[i]);
    }
}

/* ---- what the world tells ---- */

static void on_accepted(void *self, uint64_t end, int from)
{
    struct node *n = self;
    struct conn *c = conn_find(n, 0);
    ASSERT(c);
    *c = (struct conn){ .end = end, .in = BUF_INIT(1 << 20) };
}

static void on_up(void *self, uint64_t end)
{
    struct node *n = self;
    if (end != n->link_end)
        return;
    struct repl_event e = { .kind = REPL_PEER_UP, .peer = n->link_peer };
    event(n, &e);
}

static void link_bytes(struct node *n, struct bytes b)
{
    if (n->link_paused || n->link_held.n) { /* in order */
        buf_append(&n->link_held, b);
        return;
    }
    struct repl_event e = { .kind = REPL_PEER_BYTES, .peer = n->link_peer, .bytes = b };
    event(n, &e);
}

static void client_command(struct node *n, struct conn *c, const struct resp_command *cmd)
{
    struct bytes name = cmd->argv[0];
    char ip[16];
    if (bytes_is(name, "ping")) {
        world_send(n->w, c->end, BYTES("+PONG\r\n"));
    } else if (n->loading && !bytes_is(name, "replconf")) {
        world_send(n->w, c->end, BYTES("-LOADING the data set is being loaded\r\n"));
    } else if (bytes_is(name, "replconf") || bytes_is(name, "psync") || bytes_is(name, "sync")) {
        struct repl_event e = { .kind = REPL_COMMAND, .peer = c->end };
        snprintf(ip, sizeof(ip), "?");
        e.command = (struct repl_command){ .argc = cmd->argc, .argv = cmd->argv, .ip = bytes_of_str(ip) };
        event(n, &e);
    } else {
        world_send(n->w, c->end, BYTES("-ERR unknown command\r\n"));
    }
}

static void client_bytes(struct node *n, uint64_t end, struct bytes b)
{
    struct arena arena = { 0 };
    struct resp_limits limits = { 1 << 20, true };
    struct conn *c = conn_find(n, end);
    ASSERT(c);
    buf_append(&c->in, b);
    while ((c = conn_find(n, end))) { /* it may be closed by a command */
        struct resp_command cmd = { 0 };
        enum resp_status st = resp_parse(&c->parser, buf_bytes(&c->in), &limits, &arena, &cmd);
        if (st == RESP_MORE)
            break;
        if (st == RESP_EMPTY) {
            struct repl_event e = { .kind = REPL_PEER_ALIVE, .peer = end };
            event(n, &e);
        } else if (st == RESP_COMMAND) {
            client_command(n, c, &cmd);
        } else {
            world_fail(n->w, "a replica sent what is no command");
        }
        if ((c = conn_find(n, end)))
            buf_consume(&c->in, cmd.used);
        arena_reset(&arena);
    }
    arena_done(&arena);
}

static void on_bytes(void *self, uint64_t end, struct bytes b)
{
    struct node *n = self;
    if (end == n->link_end)
        link_bytes(n, b);
    else
        client_bytes(n, end, b);
}

static void on_sent(void *self, uint64_t end, size_t queued)
{
    struct node *n = self;
    struct conn *c = conn_find(n, end);
    if (!c || !c->is_replica)
        return;
    struct repl_event e = { .kind = REPL_PEER_SENT, .peer = end, .n = queued };
    event(n, &e);
}

static void on_down(void *self, uint64_t end)
{
    struct node *n = self;
    struct repl_event e = { .kind = REPL_PEER_DOWN, .peer = end, .text = BYTES("connection reset") };
    if (end == n->link_end) {
        e.peer = n->link_peer;
        n->link_peer = n->link_end = 0;
    } else {
        struct conn *c = conn_find(n, end);
        if (!c)
            return;
        conn_forget(c);
    }
    event(n, &e);
}

static void on_timer(void *self, uint64_t tag)
{
    struct node *n = self;
    switch ((enum tag)(tag & 7)) {
    case TAG_DEADLINE: {
        n->armed = -1;
        struct repl_event e = { .kind = REPL_TICK };
        event(n, &e);
        break;
    }
    case TAG_IMAGE: image_done(n, (uint32_t)(tag >> 32)); break;
    case TAG_LOADED: loaded(n); break;
    case TAG_HELD: {
        struct buf held = n->link_held;
        n->link_held = BUF_INIT(BUF_UNLIMITED);
        if (held.n)
            link_bytes(n, buf_bytes(&held));
        buf_done(&held);
        break;
    }
    }
}

static void on_booted(void *self)
{
    struct node *n = self;
    unsigned char seed[REPL_SEED_BYTES];
    for (int i = 0; i < REPL_SEED_BYTES; i++)
        seed[i] = (unsigned char)prng_u64(world_prng(n->w));
    n->armed = -1;
    n->repl = repl_new(&n->config.repl, seed);
    n->stream = n->link_held = BUF_INIT(BUF_UNLIMITED);
    ring_init(&n->events, sizeof(struct waiting), 1 << 20);
    struct repl_event e = { .kind = REPL_STARTED };
    if (n->disk.there) {
        n->data = n->disk.data;
        e.started.replid = bytes_of_str(n->disk.id);
        e.started.offset = n->disk.offset;
    }
    if (n->boot_master >= 0) {
        e.follow.host = bytes_of_str(world_name(n->w, n->boot_master));
        e.follow.port = n->boot_master + 1;
    }
    event(n, &e);
}

static void on_crashed(void *self)
{
    struct node *n = self;
    if (!n->repl)
        return;
    repl_free(n->repl);
    n->repl = NULL;
    while (ring_count(&n->events)) {
        blob_unref(((struct waiting *)ring_front(&n->events))->e.blob);
        ring_pop(&n->events);
    }
    ring_done(&n->events);
    n->reselect = false;
    n->data = (struct data){ 0 };
    n->loading = n->paused = n->child = n->stream_on = n->load_open = n->in_multi = false;
    n->link_peer = n->link_end = 0;
    stream_reset(n);
    buf_done(&n->link_held);
    buf_done(&n->load);
    for (int i = 0; i < CONNS_MAX; i++)
        conn_forget(&n->conns[i]);
    for (int i = 0; i < IMAGES_MAX; i++)
        image_drop(n, n->images[i].number);
    mem_free(n->spill);
    n->spill = NULL;
    n->waits = 0;
}

static const struct host_ops ops = {
    .booted = on_booted,
    .crashed = on_crashed,
    .accepted = on_accepted,
    .up = on_up,
    .bytes = on_bytes,
    .sent = on_sent,
    .down = on_down,
    .timer = on_timer,
};

/* ---- verbs ---- */

struct node *node_new(struct world *w, struct checks *checks, const char *name, const struct node_config *config)
{
    struct node *n = mem_zalloc(sizeof(*n));
    n->w = w;
    n->checks = checks;
    n->config = *config;
    n->boot_master = -1;
    n->host = world_host(w, name, &ops, n);
    n->config.repl.announce_ip = name;
    n->config.repl.listening_port = n->host + 1;
    return n;
}

void node_free(struct node *n)
{
    on_crashed(n);
    repl_actions_done(&n->actions);
    mem_free(n);
}

int node_host(const struct node *n)
{
    return n->host;
}

const struct repl *node_repl(const struct node *n)
{
    return n->repl;
}

void node_follow_at_boot(struct node *n, int host)
{
    n->boot_master = host;
}

static void put(struct buf *b, const char *format, uint64_t x, uint64_t y, size_t pad)
{
    char cell[24], value[24];
    size_t c = num_format_u64(cell, x), v = num_format_u64(value, y);
    buf_printf(b, format, (int)c, (int)c, cell, (int)v, (int)v, value, (int)pad, (int)pad, "");
}

/* `b` goes into the stream, behind a SELECT if that was asked for. The database is part of the data here, so that a
 * SELECT that is missing or too much is found. */
static void written(struct node *n, const struct buf *b)
{
    if (n->stream_on && n->reselect) {
        char db[24];
        n->data.db++;
        int k = (int)num_format_u64(db, n->data.db);
        struct buf select = BUF_INIT(100);
        buf_printf(&select, "*2\r\n$6\r\nSELECT\r\n$%d\r\n%.*s\r\n", k, k, db);
        repl_append(n->repl, buf_bytes(&select));
        buf_done(&select);
        n->reselect = false;
    }
    repl_append(n->repl, n->stream_on ? buf_bytes(b) : BYTES(""));
    n->ages[n->ages_n % AGES].version = n->data.version;
    n->ages[n->ages_n++ % AGES].at = world_now(n->w);
}

static bool writable(const struct node *n)
{
    return n->repl && !repl_is_replica(n->repl) && !n->paused && !n->loading;
}

static void turn(struct node *n)
{
    struct repl_event e = { .kind = REPL_APPENDED };
    event(n, &e);
}

static const char one[] = "*4\r\n$3\r\nADD\r\n$%d\r\n%.*s\r\n$%d\r\n%.*s\r\n$%d\r\n%*s\r\n";

bool node_write(struct node *n, unsigned count, size_t pad)
{
    if (!writable(n))
        return false;
    for (unsigned i = 0; i < count; i++) {
        uint64_t cell = world_between(n->w, 0, CELLS - 1), x = world_between(n->w, 1, 1000000);
        struct buf b = BUF_INIT(BUF_UNLIMITED);
        add(&n->data, cell, x);
        put(&b, one, cell, x, pad);
        written(n, &b);
        buf_done(&b);
    }
    turn(n);
    return true;
}

void node_multi(struct node *n, unsigned count)
{
    if (!writable(n))
        return;
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    buf_append_str(&b, "*1\r\n$5\r\nMULTI\r\n");
    for (unsigned i = 0; i < count; i++) {
        uint64_t cell = world_between(n->w, 0, CELLS - 1), x = world_between(n->w, 1, 1000000);
        add(&n->data, cell, x);
        put(&b, one, cell, x, 10);
    }
    buf_append_str(&b, "*1\r\n$4\r\nEXEC\r\n");
    written(n, &b);
    buf_done(&b);
    turn(n);
}

/* A host's name stands for its port, too. */
void node_command(struct node *n, int argc, const char *const *argv)
{
    struct bytes v[8];
    char port[8][16];
    ASSERT(argc <= 7);
    if (!n->repl)
        return;
    int k = 0;
    for (int i = 0; i < argc; i++) {
        v[k++] = bytes_of_str(argv[i]);
        int host = i ? world_find(n->w, v[k - 1]) : -1;
        if (host >= 0) {
            snprintf(port[k], sizeof(port[k]), "%d", host + 1);
            v[k] = bytes_of_str(port[k]);
            k++;
        }
    }
    struct repl_event e = { .kind = REPL_COMMAND, .peer = 1 };
    e.command = (struct repl_command){ .argc = k, .argv = v, .ip = BYTES("?") };
    event(n, &e);
}

void node_wait(struct node *n, int replicas, msec_t ms)
{
    static uint64_t id;
    if (!n->repl || repl_is_replica(n->repl))
        return;
    struct repl_event e = { .kind = REPL_WAIT };
    e.wait = (struct repl_wait){ ++id, repl_offset(n->repl), replicas, world_now(n->w) + ms, false };
    n->waits++;
    event(n, &e);
}

void node_save(struct node *n)
{
    if (!n->repl || n->loading || n->in_multi || ring_count(&n->events))
        return;
    if (repl_is_replica(n->repl) && !repl_link_up(n->repl))
        return;
    n->disk = (struct saved){ .there = true, .data = n->data, .offset = repl_offset(n->repl) };
    memcpy(n->disk.id, repl_replid(n->repl), REPL_ID_LEN);
    struct repl_view v;
    repl_view(n->repl, world_now(n->w), &v);
    if (!v.backlog) /* then the id is not written: it would mean other data soon */
        memset(n->disk.id, 0, sizeof(n->disk.id));
}

void node_child(struct node *n, bool runs)
{
    n->child = runs;
    struct repl_event e = { .kind = REPL_TICK };
    event(n, &e);
}

void node_configure(struct node *n, const struct repl_config *c)
{
    struct repl_config old = n->config.repl;
    n->config.repl = *c;
    n->config.repl.announce_ip = old.announce_ip;
    n->config.repl.listening_port = old.listening_port;
    struct repl_event e = { .kind = REPL_CONFIGURED, .config = &n->config.repl };
    event(n, &e);
}

void node_calm(struct node *n)
{
    n->config.fail_percent = 0;
}

void node_wipe(struct node *n)
{
    n->disk.there = false;
}

uint64_t node_digest(const struct node *n)
{
    return digest(&n->data);
}

uint64_t node_version(const struct node *n)
{
    return n->data.version;
}

bool node_loading(const struct node *n)
{
    return n->loading;
}

msec_t node_true_age(const struct node *n, const struct node *master)
{
    if (n->data.version >= master->data.version)
        return 0;
    for (unsigned i = 0; i < AGES && i < master->ages_n; i++) {
        unsigned k = (master->ages_n > AGES ? master->ages_n - AGES : 0) + i;
        if (master->ages[k % AGES].version > n->data.version)
            return world_now(n->w) - master->ages[k % AGES].at;
    }
    return -1;
}
