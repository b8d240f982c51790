/* Attached replicas: what they tell of themselves (REPLCONF), how they get in (PSYNC, SYNC), how they are lost.
 *
 * A client is known here from its first REPLCONF on, and attached (a replica) from its PSYNC or SYNC on. The drawing of
 * its states is in inner.h; the table below says the same and is checked. */
#include "replication/inner.h"

#include "common/alloc.h"
#include "common/num.h"
#include "common/text.h"

static const unsigned char moves[REPLICA_STATES][REPLICA_STATES] = {
    [KNOWN] = { [WAIT_START] = 1, [ONLINE] = 1 },
    [WAIT_START] = { [WAIT_END] = 1, [SENDING] = 1 },
    [WAIT_END] = { [SENDING] = 1 },
    [SENDING] = { [ONLINE] = 1 },
};

void replica_move(struct repl *r, struct replica *p, enum replica_state to)
{
    ASSERT(moves[p->state][to]);
    p->state = to;
    p->since = p->last_io = r->env.now;
    p->newline_at = r->env.now + SECOND_MS;
}

struct replica *replica_find(const struct repl *r, uint64_t peer)
{
    LIST_EACH(&r->buckets[bucket_of(peer)], n)
    {
        struct replica *p = LIST_ITEM(n, struct replica, in_bucket);
        if (p->peer == peer)
            return p;
    }
    return NULL;
}

static void set_name(struct replica *p)
{
    struct buf b = BUF_INIT(sizeof(p->name) - 1);
    const char *ip = p->ip[0] ? p->ip : p->ip_seen;
    (void)buf_printf(&b, strchr(ip, ':') ? "[%s]:" : "%s:", ip);
    (void)(p->port ? buf_printf(&b, "%d", p->port) : buf_append_str(&b, "<unknown-replica-port>"));
    if (b.n)
        memcpy(p->name, b.p, b.n);
    p->name[b.n] = 0;
    buf_done(&b);
}

static struct replica *replica_new(struct repl *r, uint64_t peer, struct bytes ip)
{
    ASSERT(!(peer & REPL_LINK));
    struct replica *p = mem_zalloc(sizeof(*p));
    p->peer = peer;
    p->since = p->last_io = r->env.now;
    p->soft_since = -1;
    p->lag_at_ack = -1;
    size_t n = ip.n < sizeof(p->ip_seen) - 1 ? ip.n : sizeof(p->ip_seen) - 1;
    memcpy(p->ip_seen, ip.p, n);
    set_name(p);
    list_push_back(&r->known, &p->in_list);
    list_push_back(&r->buckets[bucket_of(peer)], &p->in_bucket);
    return p;
}

void replica_drop(struct repl *r, struct replica *p, bool close)
{
    snapshot_leave(r, p);
    if (p->state != KNOWN && --r->replicas_n == 0)
        r->no_replicas_since = r->env.now;
    list_remove(&p->in_list);
    list_remove(&p->in_bucket);
    if (close)
        act_peer(r, REPL_CLOSE, p->peer);
    mem_free(p);
}

void replica_drop_all(struct repl *r, const char *why)
{
    if (r->replicas_n)
        repl_trace(r, REPL_NOTICE, "Closing the connections of %d replicas: %s. They will ask to go on.", r->replicas_n,
              why);
    LIST_EACH_SAFE(&r->replicas, n)
    {
        replica_drop(r, LIST_ITEM(n, struct replica, in_list), true);
    }
}

void master_done(struct repl *r)
{
    struct list *lists[] = { &r->replicas, &r->known };
    for (int i = 0; i < 2; i++) {
        LIST_EACH_SAFE(lists[i], n)
        {
            mem_free(LIST_ITEM(n, struct replica, in_list));
        }
    }
    LIST_EACH_SAFE(&r->snapshots, n)
    {
        mem_free(LIST_ITEM(n, struct snapshot, in_list));
    }
}

/* From now on the client is a replica. */
static void attach(struct repl *r, struct replica *p, enum replica_state state)
{
    list_remove(&p->in_list);
    list_push_back(&r->replicas, &p->in_list);
    if (r->replicas_n++ == 0)
        r->ping_at = r->env.now + r->config.ping_period_ms;
    p->ack_at = r->env.now;
    replica_move(r, p, state);
    act_peer(r, REPL_ATTACH, p->peer);
}

void replica_online(struct repl *r, struct replica *p)
{
    snapshot_leave(r, p);
    replica_move(r, p, ONLINE);
    p->ack_at = r->env.now;
    p->queued = 0;
    if (p->rdb_only) {
        repl_trace(r, REPL_NOTICE, "Replica %s wanted the data set alone and has it.", p->name);
        act_peer(r, REPL_CLOSE_SENT, p->peer);
        replica_drop(r, p, false);
        return;
    }
    repl_trace(r, REPL_NOTICE, "Synchronization with replica %s succeeded", p->name);
}

/* ---- REPLCONF ---- */

static void reply_error(struct repl *r, uint64_t peer, const char *text)
{
    send_text(r, peer, "-%s\r\n", text);
}

static bool parse_int(struct bytes b, int64_t min, int64_t max, int64_t *ret_v)
{
    int64_t v;
    if (!num_parse_i64(b, &v) || v < min || v > max)
        return false;
    *ret_v = v;
    return true;
}

/* "functions", or nothing: what the image shall contain; all else is left out. */
static const char *set_filter(struct repl *r, struct replica *p, struct bytes words)
{
    struct bytes *v;
    size_t n;
    if (!text_split(words, &r->arena, &v, &n))
        return "ERR Missing rdb-filter-only values";
    p->filter = REPL_FILTER_NO_DATA | REPL_FILTER_NO_FUNCTIONS;
    for (size_t i = 0; i < n; i++) {
        if (!bytes_is(v[i], "functions"))
            return arena_printf(&r->arena, "ERR Unsupported rdb-filter-only option: %s", shown(r, v[i]).p).p;
        p->filter &= ~(unsigned)REPL_FILTER_NO_FUNCTIONS;
    }
    return NULL;
}

static void set_capa(struct replica *p, struct bytes word)
{
    if (bytes_is(word, "eof"))
        p->capa |= CAPA_EOF;
    else if (bytes_is(word, "psync2"))
        p->capa |= CAPA_PSYNC2;
    else if (bytes_is(word, "ouro"))
        p->capa |= CAPA_OURO;
}

static void set_version(struct replica *p, struct bytes text)
{
    int major = 0, minor = 0;
    size_t i = 0;
    for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && major < 1000; i++)
        major = major * 10 + (text.p[i] - '0');
    if (i < text.n && text.p[i] == '.')
        for (i++; i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && minor < 1000; i++)
            minor = minor * 10 + (text.p[i] - '0');
    p->version = major * 100 + (minor < 99 ? minor : 99);
}

static const char *err_integer = "ERR value is not an integer or out of range";

/* One pair. Returns the error, or NULL. */
static const char *set_option(struct repl *r, struct replica *p, struct bytes name, struct bytes value)
{
    int64_t v;
    if (bytes_is(name, "listening-port")) {
        if (!parse_int(value, INT32_MIN, INT32_MAX, &v))
            return err_integer;
        p->port = (int)v;
    } else if (bytes_is(name, "ip-address")) {
        if (value.n > REPL_ADDR_MAX)
            return arena_printf(&r->arena, "ERR REPLCONF ip-address provided by replica instance is too long: %zu "
                  "bytes",
                                value.n).p;
        struct bytes text = value.n ? shown(r, value) : BYTES("");
        memcpy(p->ip, text.p, text.n);
        p->ip[text.n] = 0;
    } else if (bytes_is(name, "capa")) {
        set_capa(p, value);
    } else if (bytes_is(name, "version")) {
        set_version(p, value);
    } else if (bytes_is(name, "rdb-only")) {
        if (!parse_int(value, INT64_MIN, INT64_MAX, &v))
            return err_integer;
        if (v < 0 || v > 1)
            return "ERR value is out of range, value must between 0 and 1";
        p->rdb_only = v;
    } else if (bytes_is(name, "rdb-filter-only")) {
        return set_filter(r, p, value);
    } else {
        return arena_printf(&r->arena, "ERR Unrecognized REPLCONF option: %s", shown(r, name).p).p;
    }
    return NULL;
}

/* REPLCONF ACK offset [FACK offset] [MARKS ms]: no reply, whatever it says. */
static void replconf_ack(struct repl *r, struct replica *p, const struct repl_command *c)
{
    int64_t offset, fsynced = -1, ms;
    if (!p || p->state == KNOWN || !num_parse_i64(c->argv[2], &offset))
        return;
    for (int i = 3; i + 1 < c->argc; i += 2) {
        if (bytes_is(c->argv[i], "fack"))
            (void)num_parse_i64(c->argv[i + 1], &fsynced);
        else if (bytes_is(c->argv[i], "marks") && parse_int(c->argv[i + 1], 0, INT32_MAX, &ms))
            p->marks_ms = ms && ms < 2 * MARK_MS ? 2 * MARK_MS : ms;
    }
    master_acked(r, p, offset, fsynced);
}

static void replconf(struct repl *r, const struct repl_event *e)
{
    const struct repl_command *c = &e->command;
    struct replica *p = replica_find(r, e->peer);
    if (c->argc % 2 == 0) {
        reply_error(r, e->peer, "ERR syntax error");
        return;
    }
    bool ouro = false;
    for (int i = 1; i < c->argc; i += 2) {
        if (bytes_is(c->argv[i], "ack")) {
            replconf_ack(r, p, c);
            return;
        }
        if (bytes_is(c->argv[i], "getack"))
            return; /* meaningful in a stream only */
        if (!p)
            p = replica_new(r, e->peer, c->ip);
        const char *error = set_option(r, p, c->argv[i], c->argv[i + 1]);
        if (error) {
            reply_error(r, e->peer, error);
            return;
        }
        ouro |= bytes_is(c->argv[i], "capa") && bytes_is(c->argv[i + 1], "ouro");
    }
    if (p)
        set_name(p);
    if (ouro) /* one of us: it learns our time, which is that of the master at the top of the chain, and our role */
        send_text(r, e->peer, "+OK ouro %lld %s\r\n",
                  (long long)(r->env.wall + (r->replica ? r->link.clock_ahead : 0)), r->replica ? "replica" : "master");
    else
        send_bytes(r, e->peer, BYTES("+OK\r\n"));
}

void master_acked(struct repl *r, struct replica *p, int64_t offset, int64_t fsynced)
{
    msec_t now = r->env.now;
    if (offset < 0 || offset > history_offset(r) || fsynced > history_offset(r)) {
        repl_trace(r, REPL_WARNING, "Replica %s acknowledged offset %lld, which was never written (ours is %lld). "
              "Closing; it "
              "may synchronize again.", p->name, (long long)offset, (long long)history_offset(r));
        replica_drop(r, p, true);
        return;
    }
    if (p->state != ONLINE)
        return;
    if (p->acked_once && now > p->ack_at && offset >= p->acked) {
        double rate = (double)(offset - p->acked) / (double)(now - p->ack_at);
        double weight = (double)(now - p->ack_at) / 2000.0; /* of the last two seconds, about */
        p->drain += (rate - p->drain) * (weight < 1 ? weight : 1);
    }
    p->acked = offset > p->acked ? offset : p->acked;
    p->fsynced = fsynced > p->fsynced ? fsynced : p->fsynced;
    p->ack_at = p->last_io = now;
    p->acked_once = true;
    p->lag_at_ack = lag_at(r, p->acked, now);
    if (p->hold_for_ack) {
        p->hold_for_ack = false;
        repl_trace(r, REPL_VERBOSE, "Replica %s has loaded its image and gets the stream.", p->name);
    }
    wait_acked(r);
    failover_acked(r);
}

/* ---- PSYNC and SYNC ---- */

static const char *refusal(struct repl *r, const struct repl_command *c, bool failover)
{
    if (failover && !r->replica)
        return "ERR PSYNC FAILOVER can't be sent to a master.";
    if (failover && !bytes_is(c->argv[1], r->id.hex))
        return "ERR PSYNC FAILOVER replid must match my replid.";
    if (r->failover.state == REPL_FAILOVER_IN_PROGRESS)
        return "NOMASTERLINK Can't SYNC while failing over";
    if (!failover && r->replica && r->link.state != REPL_LINK_CONNECTED)
        return "NOMASTERLINK Can't SYNC while not connected with my master";
    if (c->pending_output)
        return "ERR SYNC and PSYNC are invalid with pending output";
    return NULL;
}

static void say_refused(struct repl *r, struct replica *p, enum psync_answer why, struct bytes id, int64_t offset)
{
    switch (why) {
    case PSYNC_CONTINUE: break;
    case PSYNC_ASKED_FULL: repl_trace(r, REPL_NOTICE, "Full resync requested by replica %s", p->name); break;
    case PSYNC_ID_UNKNOWN:
        repl_trace(r, REPL_NOTICE, "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for "
              "'%s', my "
              "replication IDs are '%s' and '%s')", shown(r, id).p, r->id.hex, r->id2.hex);
        break;
    case PSYNC_OFFSET_FOREIGN:
        repl_trace(r, REPL_NOTICE,
                   "Partial resynchronization not accepted: Requested offset for second ID was %lld, but "
              "I can "
              "reply up to %lld", (long long)offset, (long long)r->second_offset);
        break;
    case PSYNC_NO_BACKLOG:
    case PSYNC_TOO_OLD:
        repl_trace(r, REPL_NOTICE, "Unable to partial resync with replica %s for lack of backlog (Replica request was: "
              "%lld).",
              p->name, (long long)offset);
        break;
    case PSYNC_FROM_FUTURE:
        repl_trace(r, REPL_WARNING, "Warning: replica %s tried to PSYNC with an offset that is greater than the master "
              "replication offset.", p->name);
        break;
    }
}

static void accept_partial(struct repl *r, struct replica *p, int64_t offset)
{
    attach(r, p, ONLINE);
    p->next = offset - 1;
    r->stats.partial_ok++;
    if (p->capa & CAPA_PSYNC2)
        send_text(r, p->peer, "+CONTINUE %s\r\n", r->id.hex);
    else
        send_bytes(r, p->peer, BYTES("+CONTINUE\r\n"));
    repl_trace(r, REPL_NOTICE, "Partial resynchronization request from %s accepted. Sending %lld bytes of backlog "
          "starting from "
          "offset %lld.", p->name, (long long)(history_offset(r) - p->next), (long long)offset);
}

static void accept_full(struct repl *r, struct replica *p)
{
    r->stats.full++;
    if (!r->has_backlog) {
        /* What was written while nobody listened is in no backlog: the old id must not mean it. */
        ASSERT(!r->replica);
        history_new_id(r, false);
        history_backlog_make(r, history_offset(r));
        repl_trace(r, REPL_NOTICE, "Replication backlog created, my new replication IDs are '%s' and '%s'", r->id.hex,
              r->id2.hex);
    }
    attach(r, p, WAIT_START);
    snapshot_want(r, p);
}

static void psync(struct repl *r, struct replica *p, const struct repl_command *c)
{
    int64_t offset;
    if (!num_parse_i64(c->argv[2], &offset)) {
        reply_error(r, p->peer, err_integer);
        return;
    }
    struct psync_history h = {
        .replid = r->id.hex,
        .replid2 = r->id2.hex,
        .second_offset = r->second_offset,
        .backlog = r->has_backlog,
        .first = r->backlog.first,
        .end = r->backlog.shown,
    };
    enum psync_answer answer = psync_decide(&h, c->argv[1], offset);
    repl_trace(r, REPL_NOTICE, "Replica %s asks for synchronization", p->name);
    if (answer == PSYNC_CONTINUE && !p->rdb_only) {
        accept_partial(r, p, offset);
        return;
    }
    say_refused(r, p, answer, c->argv[1], offset);
    if (answer == PSYNC_FROM_FUTURE && r->replica && bytes_is(c->argv[1], r->id.hex)) {
        /* The same stream, of which we are about to receive what it has: nothing to copy. */
        reply_error(r, p->peer, "NOMASTERLINK Can't SYNC yet, this replica is behind you");
        return;
    }
    if (answer != PSYNC_ASKED_FULL)
        r->stats.partial_err++;
    accept_full(r, p);
}

static void sync_command(struct repl *r, const struct repl_event *e, bool plain)
{
    const struct repl_command *c = &e->command;
    struct replica *p = replica_find(r, e->peer);
    if (p && p->state != KNOWN)
        return; /* it asked before */
    bool failover = !plain && c->argc > 3;
    if (!plain && (c->argc < 3 || c->argc > 4 || (failover && !bytes_is(c->argv[3], "failover")))) {
        reply_error(r, e->peer, "ERR syntax error");
        return;
    }
    const char *error = refusal(r, c, failover);
    if (error) {
        reply_error(r, e->peer, error);
        return;
    }
    if (!p)
        p = replica_new(r, e->peer, c->ip);
    if (p->filter && !(p->capa & CAPA_EOF)) {
        reply_error(r, e->peer, "ERR Filtered replica requires EOF capability");
        return;
    }
    if (failover) {
        repl_trace(r, REPL_WARNING, "Failover request received for replid %s.", r->id.hex);
        follow_promote(r);
    }
    p->sync_only = plain;
    if (plain) {
        repl_trace(r, REPL_NOTICE, "Replica %s asks for synchronization", p->name);
        accept_full(r, p);
    } else {
        psync(r, p, c);
    }
}

void master_command(struct repl *r, const struct repl_event *e)
{
    struct bytes name = e->command.argv[0];
    if (bytes_is(name, "replconf"))
        replconf(r, e);
    else if (bytes_is(name, "psync"))
        sync_command(r, e, false);
    else if (bytes_is(name, "sync"))
        sync_command(r, e, true);
    else
        PANIC("not a command of replication: %s", shown(r, name).p);
}

/* ---- life ---- */

void master_alive(struct repl *r, uint64_t peer)
{
    struct replica *p = replica_find(r, peer);
    if (p)
        p->last_io = p->ack_at = r->env.now;
}

void master_sent(struct repl *r, const struct repl_event *e)
{
    struct replica *p = replica_find(r, e->peer);
    if (!p)
        return;
    p->queued = e->n;
    p->last_io = r->env.now;
}

/* When it has been silent for too long. One that does not acknowledge by design is left to TCP. */
static msec_t timeout_at(const struct repl *r, const struct replica *p)
{
    switch (p->state) {
    case SENDING: return p->queued ? p->last_io + r->config.timeout_ms : REPL_NEVER; /* else the child is slow */
    case ONLINE: return p->sync_only ? REPL_NEVER : p->ack_at + r->config.timeout_ms;
    default: return REPL_NEVER;
    }
}

static bool gets_newlines(const struct replica *p)
{
    return p->state == WAIT_START || p->state == WAIT_END;
}

void master_tick(struct repl *r)
{
    LIST_EACH_SAFE(&r->replicas, n)
    {
        struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (r->env.now >= timeout_at(r, p)) {
            repl_trace(r, REPL_WARNING, "Disconnecting timedout replica (%s): %s",
                  p->state == ONLINE ? "streaming sync" : "full sync", p->name);
            replica_drop(r, p, true);
        } else if (gets_newlines(p) && r->env.now >= p->newline_at) {
            send_bytes(r, p->peer, BYTES("\n"));
            p->newline_at = r->env.now + SECOND_MS;
        }
    }
}

msec_t master_deadline(const struct repl *r)
{
    msec_t t = REPL_NEVER;
    LIST_EACH(&r->replicas, n)
    {
        const struct replica *p = LIST_ITEM(n, struct replica, in_list);
        t = sooner(t, timeout_at(r, p));
        if (gets_newlines(p))
            t = sooner(t, p->newline_at);
    }
    return t;
}
