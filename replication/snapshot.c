/* Images of the data set for full syncs.
 *
 * One is made at a time. Replicas that wait are served together if their images may be the same (kind, version,
 * filter). On disk: the file is made, then sent to each; who comes while it is being made joins, and its stream begins
 * where the others' does. As a stream: the child writes to all at once, so the makers wait repl-diskless-sync-delay for
 * more. */
#include "replication/inner.h"

#include "common/alloc.h"

struct class {
    bool stream;
    int version;
    unsigned filter;
};

static struct class class_of(const struct repl *r, const struct replica *p)
{
    /* A filtered image is never a file: the file is the node's own. */
    bool stream = (r->config.diskless_sync || p->filter) && (p->capa & CAPA_EOF);
    int version = r->config.rdb_version;
    if (version == 0)
        version = (p->capa & CAPA_OURO) || p->version >= 702 ? 11 : 10;
    return (struct class){ stream, version, p->filter };
}

static bool class_eq(struct class a, struct class b)
{
    return a.stream == b.stream && a.version == b.version && a.filter == b.filter;
}

static struct snapshot *running(const struct repl *r)
{
    LIST_EACH(&r->snapshots, n)
    {
        struct snapshot *s = LIST_ITEM(n, struct snapshot, in_list);
        if (s->running)
            return s;
    }
    return NULL;
}

static struct snapshot *find(const struct repl *r, uint32_t number)
{
    LIST_EACH(&r->snapshots, n)
    {
        struct snapshot *s = LIST_ITEM(n, struct snapshot, in_list);
        if (s->number == number)
            return s;
    }
    return NULL;
}

static void drop(struct repl *r, struct snapshot *s)
{
    repl_act(r, REPL_DROP_SNAPSHOT)->snapshot = s->number;
    list_remove(&s->in_list);
    mem_free(s);
}

/* p gets this image; its stream goes on behind it. */
static void join(struct repl *r, struct replica *p, struct snapshot *s)
{
    ASSERT(p->state == WAIT_START);
    p->snapshot = s;
    s->users++;
    p->next = s->offset;
    if (!p->sync_only)
        send_text(r, p->peer, "+FULLRESYNC %s %lld\r\n", r->id.hex, (long long)s->offset);
    if (s->stream) {
        send_text(r, p->peer, "$EOF:%s\r\n", s->mark.hex);
        struct repl_action *a = act_peer(r, REPL_SEND_SNAPSHOT, p->peer);
        a->snapshot = s->number;
        a->stream = true;
        replica_move(r, p, SENDING);
    } else {
        replica_move(r, p, WAIT_END);
    }
}

void snapshot_want(struct repl *r, struct replica *p)
{
    struct snapshot *s = running(r);
    if (!s || s->stream || s->users == 0 || !backlog_has(&r->backlog, s->offset))
        return;
    struct class c = class_of(r, p);
    if (c.stream || c.version != s->rdb_version || c.filter != s->filter)
        return;
    repl_trace(r, REPL_NOTICE, "Waiting for end of BGSAVE for SYNC");
    join(r, p, s);
}

void snapshot_leave(struct repl *r, struct replica *p)
{
    struct snapshot *s = p->snapshot;
    if (!s)
        return;
    p->snapshot = NULL;
    if (--s->users > 0)
        return;
    if (s->running)
        repl_trace(r, REPL_NOTICE, "%s", s->stream ? "Diskless rdb transfer, last replica dropped, killing fork child."
                                              : "The last replica that waited for this BGSAVE is gone; it is given "
                                                    "up.");
    drop(r, s);
}

void snapshot_ready(struct repl *r, uint32_t number, uint64_t size)
{
    struct snapshot *s = find(r, number);
    if (!s)
        return; /* given up meanwhile */
    ASSERT(s->running);
    s->running = false;
    s->size = size;
    if (s->stream)
        return; /* SNAPSHOT_SENT of each says when it has all */
    LIST_EACH(&r->replicas, n)
    {
        struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (p->snapshot != s)
            continue;
        ASSERT(p->state == WAIT_END);
        send_text(r, p->peer, "$%llu\r\n", (unsigned long long)size);
        act_peer(r, REPL_SEND_SNAPSHOT, p->peer)->snapshot = number;
        replica_move(r, p, SENDING);
    }
}

void snapshot_failed(struct repl *r, uint32_t number, struct bytes text)
{
    struct snapshot *s = find(r, number);
    if (!s)
        return;
    repl_trace(r, REPL_WARNING,
               "The image for a full sync failed: %s. Closing the replicas that wait for it; they will ask "
          "again.", shown(r, text).p);
    s->running = false;
    s->users++; /* ours, so that it lives until the end of this */
    LIST_EACH_SAFE(&r->replicas, n)
    {
        struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (p->snapshot == s)
            replica_drop(r, p, true);
    }
    ASSERT(s->users == 1);
    drop(r, s);
}

void snapshot_sent(struct repl *r, uint64_t peer)
{
    struct replica *p = replica_find(r, peer);
    if (!p || p->state != SENDING)
        return;
    struct snapshot *s = p->snapshot;
    if (s->stream) {
        /* The mark's bytes must outlive `s`. */
        send_text(r, peer, "%s", s->mark.hex);
        p->hold_for_ack = !p->sync_only;
        if (p->hold_for_ack)
            repl_trace(r, REPL_NOTICE,
                       "Streamed RDB transfer with replica %s succeeded (socket). Waiting for REPLCONF ACK "
                  "from replica to enable streaming", p->name);
    }
    replica_online(r, p);
}

/* ---- when ---- */

static struct replica *oldest_waiting(const struct repl *r, int *ret_n)
{
    struct replica *oldest = NULL;
    *ret_n = 0;
    LIST_EACH(&r->replicas, n)
    {
        struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (p->state != WAIT_START)
            continue;
        ++*ret_n;
        if (!oldest || p->since < oldest->since)
            oldest = p;
    }
    return oldest;
}

/* REPL_NEVER: nobody waits, or another child runs (its end is an event). */
static msec_t due_at(const struct repl *r, struct replica **ret_oldest)
{
    int n;
    struct replica *p = oldest_waiting(r, &n);
    *ret_oldest = p;
    if (!p || r->env.child_busy || running(r))
        return REPL_NEVER;
    if (r->replica && r->link.state != REPL_LINK_CONNECTED)
        return REPL_NEVER; /* our own data are about to be replaced, or not sure */
    bool enough = r->config.diskless_max_replicas > 0 && n >= r->config.diskless_max_replicas;
    if (!class_of(r, p).stream || enough)
        return r->env.now;
    return p->since + r->config.diskless_delay_ms;
}

static void begin(struct repl *r, struct replica *oldest)
{
    struct class c = class_of(r, oldest);
    struct snapshot *s = mem_zalloc(sizeof(*s));
    s->number = ++r->snapshot_number;
    s->running = true;
    s->stream = c.stream;
    s->rdb_version = c.version;
    s->filter = c.filter;
    s->offset = history_offset(r);
    ids_next(&r->ids, &s->mark);
    list_push_back(&r->snapshots, &s->in_list);
    repl_trace(r, REPL_NOTICE, "Starting BGSAVE for SYNC with target: %s", c.stream ? "replicas sockets" : "disk");
    if (!r->replica)
        repl_act(r, REPL_RESELECT);
    struct repl_action *a = repl_act(r, REPL_START_SNAPSHOT);
    a->snapshot = s->number;
    a->stream = s->stream;
    a->rdb_version = s->rdb_version;
    a->filter = s->filter;
    a->offset = s->offset;
    a->text = arena_printf(&r->arena, "%s", r->id.hex);
    LIST_EACH(&r->replicas, n)
    {
        struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (p->state == WAIT_START && class_eq(class_of(r, p), c))
            join(r, p, s);
    }
    ASSERT(s->users > 0);
}

void snapshot_tick(struct repl *r)
{
    struct replica *oldest;
    if (due_at(r, &oldest) <= r->env.now)
        begin(r, oldest);
}

msec_t snapshot_deadline(const struct repl *r)
{
    struct replica *oldest;
    return due_at(r, &oldest);
}
