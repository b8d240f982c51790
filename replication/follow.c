/* Changes of role: REPLICAOF, promotion, the start. */
#include "common/num.h"
#include "replication/inner.h"

static bool same_master(const struct repl *r, struct bytes host, int port)
{
    return r->replica && r->link.port == port && bytes_is(host, r->link.host);
}

/* Our data set is being replaced right now: a change of role must wait for the end of it, which is near. */
static bool data_in_pieces(const struct repl *r)
{
    const struct link *l = &r->link;
    return l->state == REPL_LINK_LOADING && l->load_mode != REPL_LOAD_SWAP;
}

static void set_role(struct repl *r, bool replica)
{
    if (r->replica == replica)
        return;
    r->replica = replica;
    repl_act(r, REPL_SET_ROLE)->replica = replica;
}

static void set_master(struct repl *r, struct bytes host, int port)
{
    struct link *l = &r->link;
    ASSERT(host.n <= REPL_ADDR_MAX);
    memmove(l->host, host.p, host.n);
    l->host[host.n] = 0;
    l->port = port;
    struct bytes name = arena_printf(&r->arena, strchr(l->host, ':') ? "[%s]:%d" : "%s:%d", l->host, port);
    memcpy(l->name, name.p, name.n + 1);
}

void follow_promote(struct repl *r)
{
    failover_cancel(r);
    if (!r->replica)
        return;
    bool known = r->link.trusted;
    repl_link_close(r);
    history_new_id(r, known);
    if (known)
        repl_trace(r, REPL_NOTICE,
                   "Setting secondary replication ID to %s, valid up to offset: %lld. New replication ID "
              "is %s",
              r->id2.hex, (long long)r->second_offset, r->id.hex);
    r->link.host[0] = 0;
    r->link.port = 0;
    r->link.state = REPL_LINK_NONE;
    r->link.trusted = true;
    set_role(r, false);
    replica_drop_all(r, "we are a master now, with a new id, which they must learn");
    r->no_replicas_since = r->env.now;
    if (r->has_backlog)
        repl_act(r, REPL_RESELECT);
    repl_trace(r, REPL_NOTICE, "MASTER MODE enabled");
}

static void become_replica(struct repl *r, struct bytes host, int port)
{
    struct link *l = &r->link;
    if (!r->replica) {
        l->trusted = r->started; /* what a master has written is its own history: it may go on from there */
        l->fresh_at = r->env.now;
        l->down_since = -1;
        repl_trace(r, REPL_NOTICE,
                   "Before turning into a replica, using my own master parameters to synthesize a cached "
              "master: "
              "I may be able to synchronize with the new master with just a partial transfer.");
    }
    repl_link_close(r);
    set_master(r, host, port);
    l->synced = false;
    l->guard_off = true;
    l->guard_text[0] = 0;
    l->retry_ms = 0;
    l->mark_heard = false;
    set_role(r, true);
    repl_trace(r, REPL_NOTICE, "Connecting to MASTER %s", l->name);
    link_start(r);
}

void follow(struct repl *r, struct bytes host, int port)
{
    if (data_in_pieces(r)) {
        r->follow_deferred = true;
        memcpy(r->deferred_host, host.p, host.n);
        r->deferred_host[host.n] = 0;
        r->deferred_port = port;
        repl_trace(r, REPL_NOTICE, "The change of role waits until the data set is loaded.");
        return;
    }
    failover_cancel(r);
    if (host.n == 0)
        follow_promote(r);
    else if (!same_master(r, host, port) || r->link.state == REPL_LINK_GUARDED)
        become_replica(r, host, port);
}

void follow_deferred(struct repl *r)
{
    if (!r->follow_deferred)
        return;
    r->follow_deferred = false;
    struct bytes host = arena_printf(&r->arena, "%s", r->deferred_host);
    follow(r, host, r->deferred_port);
}

void follow_command(struct repl *r, uint64_t client, const struct repl_command *c)
{
    if (c->argc != 3) {
        send_text(r, client, "-ERR wrong number of arguments for '%s' command\r\n", shown(r, c->argv[0]).p);
        return;
    }
    if (r->failover.state != REPL_NO_FAILOVER) {
        send_bytes(r, client, BYTES("-ERR REPLICAOF not allowed while failing over.\r\n"));
        return;
    }
    int64_t port = 0;
    struct bytes host = c->argv[1];
    bool none = bytes_is(host, "no") && bytes_is(c->argv[2], "one");
    if (!none) {
        const struct replica *p = replica_find(r, client);
        if (p && p->state != KNOWN) {
            send_bytes(r, client, BYTES("-ERR Command is not valid when client is a replica.\r\n"));
            return;
        }
        if (!num_parse_i64(c->argv[2], &port) || port < 0 || port > 65535) {
            send_bytes(r, client, BYTES("-ERR Invalid master port\r\n"));
            return;
        }
        if (host.n == 0 || host.n > REPL_ADDR_MAX || memchr(host.p, 0, host.n)) {
            send_bytes(r, client, BYTES("-ERR Invalid master host\r\n"));
            return;
        }
    }
    if (!none && same_master(r, host, (int)port) && r->link.state != REPL_LINK_GUARDED && !r->follow_deferred) {
        repl_trace(r, REPL_NOTICE,
                   "REPLICAOF would result into synchronization with the master we are already connected "
              "with. "
              "No operation performed.");
        send_bytes(r, client, BYTES("+OK Already connected to specified master\r\n"));
        return;
    }
    follow(r, none ? BYTES("") : host, (int)port);
    send_bytes(r, client, BYTES("+OK\r\n"));
}

/* What our files say we are. A replica may go on from there; a master is a new history that began there, so that its
 * replicas, which have the same data, go on too. */
void follow_started(struct repl *r, const struct repl_event *e)
{
    ASSERT(!r->started);
    ASSERT(!r->replica);
    struct repl_id id;
    bool known = ids_parse(e->started.replid, &id) && e->started.offset >= 0 && e->started.offset <= OFFSET_MAX;
    r->no_replicas_since = r->env.now;
    if (known) {
        r->id = id;
        history_backlog_make(r, e->started.offset);
    }
    if (e->follow.host.n) {
        become_replica(r, e->follow.host, e->follow.port);
        r->link.trusted = known;
        r->link.guard_off = false;
        r->link.fresh_at = -1;
    } else if (known) {
        history_new_id(r, true);
    }
    r->started = true;
}
