/* Figures for INFO, ROLE, REPLICATION LAG, and the cheap questions that gates ask. */
#include "replication/inner.h"

bool repl_is_replica(const struct repl *r)
{
    return r->replica;
}

bool repl_link_up(const struct repl *r)
{
    return r->replica && r->link.state == REPL_LINK_CONNECTED;
}

bool repl_streams(const struct repl *r)
{
    return r->has_backlog && !r->replica;
}

int64_t repl_offset(const struct repl *r)
{
    return history_offset(r);
}

const char *repl_replid(const struct repl *r)
{
    return r->id.hex;
}

int repl_good_replicas(const struct repl *r, msec_t now)
{
    const struct repl_config *c = &r->config;
    int good = 0;
    LIST_EACH(&r->replicas, n)
    {
        const struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (p->state != ONLINE)
            continue;
        /* Redis counts whole seconds. */
        if (c->min_replicas_max_lag_ms && (now - p->ack_at) / SECOND_MS > c->min_replicas_max_lag_ms / SECOND_MS)
            continue;
        msec_t age = c->min_replicas_max_staleness_ms ? lag_of(r, p, now) : 0;
        good += age >= 0 && age <= c->min_replicas_max_staleness_ms;
    }
    return good;
}

bool repl_writes_allowed(const struct repl *r, msec_t now)
{
    const struct repl_config *c = &r->config;
    if (r->replica || c->min_replicas == 0 || (c->min_replicas_max_lag_ms == 0 &&
          c->min_replicas_max_staleness_ms == 0))
        return true;
    return repl_good_replicas(r, now) >= c->min_replicas;
}

bool repl_caught_up(const struct repl *r)
{
    LIST_EACH(&r->replicas, n)
    {
        const struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (p->state == ONLINE && !p->sync_only && p->acked < history_offset(r))
            return false;
    }
    return true;
}

static void view_link(const struct repl *r, msec_t now, struct repl_view *v)
{
    const struct link *l = &r->link;
    bool up = l->state == REPL_LINK_CONNECTED;
    v->master_host = l->host;
    v->master_port = l->port;
    v->link = l->state;
    v->link_peer = l->peer;
    v->read_offset = up ? l->received_to : history_offset(r);
    v->last_io_ms = up ? now - l->last_io : -1;
    v->down_ms = up || l->down_since < 0 ? -1 : now - l->down_since;
    v->sync_in_progress = l->state == REPL_LINK_TRANSFER || l->state == REPL_LINK_LOADING;
    if (v->sync_in_progress) {
        v->sync_total = l->mark_known ? REPL_SIZE_UNKNOWN : l->size;
        v->sync_read = l->received;
        v->sync_last_io_ms = now - l->last_io;
    }
    v->staleness_ms = repl_staleness(r, now);
    v->guard_text = l->state == REPL_LINK_GUARDED ? l->guard_text : NULL;
}

void repl_view(const struct repl *r, msec_t now, struct repl_view *ret_view)
{
    *ret_view = (struct repl_view){
        .replica = r->replica,
        .replid = r->id.hex,
        .replid2 = r->id2.hex,
        .offset = history_offset(r),
        .second_offset = r->second_offset,
        .backlog = r->has_backlog,
        .backlog_size = r->config.backlog_size,
        .backlog_memory = r->backlog.memory,
        .backlog_first = r->has_backlog ? r->backlog.first + 1 : 0,
        .backlog_histlen = r->backlog.shown - r->backlog.first,
        .spilled = (uint64_t)(r->spill.end - r->spill.first),
        .failover = r->failover.state,
        .replicas = r->replicas_n,
        .sync_full = r->stats.full,
        .sync_partial_ok = r->stats.partial_ok,
        .sync_partial_err = r->stats.partial_err,
        .last_io_ms = -1,
        .down_ms = -1,
        .input_bytes = r->stats.input,
        .output_bytes = r->stats.output,
    };
    if (r->replica)
        view_link(r, now, ret_view);
}

static const struct replica *nth(const struct repl *r, int i)
{
    LIST_EACH(&r->replicas, n)
    {
        if (i-- == 0)
            return LIST_ITEM(n, struct replica, in_list);
    }
    PANIC("no such replica");
}

void repl_replica_at(const struct repl *r, int i, msec_t now, struct repl_replica_view *ret_view)
{
    const struct replica *p = nth(r, i);
    *ret_view = (struct repl_replica_view){
        .peer = p->peer,
        .ip = p->ip[0] ? p->ip : p->ip_seen,
        .port = p->port,
        .state = p->state == ONLINE    ? REPL_REPLICA_ONLINE
                 : p->state == SENDING ? REPL_REPLICA_SENDING
                                       : REPL_REPLICA_WAITING,
        .ack_offset = p->acked,
        .ack_age_ms = now - p->ack_at,
        .lag_ms = lag_of(r, p, now),
        .lag_bytes = p->state == ONLINE ? (uint64_t)(history_offset(r) - p->acked) : 0,
        .unsent = feed_unsent(r, p),
        .spilled = feed_spilled(r, p),
        .drain = p->drain * 1000.0,
        .rdb_only = p->rdb_only,
    };
}
