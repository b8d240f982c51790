/* The payload of a full sync: `$<len>` and so many bytes, or `$EOF:<mark>` and bytes up to the mark. It goes to the
 * loader piece by piece; what comes behind it, while the loader works, waits in `pending`. */
#include "common/num.h"
#include "replication/inner.h"

#include <stdio.h>

/* Our data against a master that has less of a history than we saw of it: it restarted empty, or from an old file. To
 * copy that would make the loss complete. Who names the master by hand (REPLICAOF) has decided. */
bool guard_refuses(struct repl *r)
{
    struct link *l = &r->link;
    if (!r->config.empty_master_guard || l->guard_off || !l->trusted || r->env.keys == 0)
        return false;
    if (l->master_is_replica)
        return false; /* it has a guard of its own, and was perhaps given another master on purpose */
    if (l->full_offset >= history_offset(r))
        return false;
    if (memcmp(l->full_id.hex, r->id.hex, REPL_ID_LEN) == 0) {
        link_fail(r, "it is %lld bytes behind us in the same history and should catch up first",
                  (long long)(history_offset(r) - l->full_offset));
        return true;
    }
    snprintf(l->guard_text, sizeof(l->guard_text),
             "master %s offers a history of %lld bytes, ours has %lld: it restarted with less than it had", l->name,
             (long long)l->full_offset, (long long)history_offset(r));
    repl_link_close(r);
    link_move(r, REPL_LINK_GUARDED);
    repl_trace(r, REPL_WARNING,
               "Full sync refused, our %llu keys are kept: %s. REPLICAOF (again) copies it all the same, "
          "REPLICAOF NO ONE or a failover makes this node the master.", (unsigned long long)r->env.keys, l->guard_text);
    return true;
}

static bool bad_header(struct repl *r, const char *what, struct bytes line)
{
    link_fail(r, "%s '%s'", what, shown(r, line).p);
    return false;
}

bool transfer_header(struct repl *r, struct bytes line)
{
    struct link *l = &r->link;
    l->received = l->size = 0;
    l->tail_n = 0;
    l->mark_known = false;
    if (line.p[0] == '-')
        return bad_header(r, "MASTER aborted replication with an error:", line);
    if (line.p[0] != '$')
        return bad_header(r, "Bad protocol from MASTER, the first byte is not '$':", line);
    if (line.n == 5 + REPL_ID_LEN && memcmp(line.p, "$EOF:", 5) == 0) {
        memcpy(l->mark, line.p + 5, REPL_ID_LEN);
        l->mark_known = true;
    } else {
        uint64_t size;
        if (!num_parse_u64(bytes_of(line.p + 1, line.n - 1), &size) || size > OFFSET_MAX)
            return bad_header(r, "Bad protocol from MASTER, no length:", line);
        l->size = size;
    }
    l->load_begun = true;
    l->load_ended = false;
    l->load_mode = r->config.load_mode == REPL_LOAD_ON_EMPTY && r->env.keys ? REPL_LOAD_FILE : r->config.load_mode;
    struct repl_action *a = act_peer(r, REPL_LOAD_BEGIN, l->peer);
    a->load_mode = l->load_mode;
    a->n = l->mark_known ? REPL_SIZE_UNKNOWN : l->size;
    const char *to = l->load_mode == REPL_LOAD_FILE ? "disk" : "parser";
    if (l->mark_known)
        repl_trace(r, REPL_NOTICE, "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to %s", to);
    else
        repl_trace(r, REPL_NOTICE, "MASTER <-> REPLICA sync: receiving %llu bytes from master to %s",
              (unsigned long long)l->size, to);
    if (!l->mark_known && l->size == 0)
        link_fail(r, "it sent a payload of no bytes");
    return true;
}

static void chunk(struct repl *r, struct bytes b)
{
    if (b.n)
        act_peer(r, REPL_LOAD_CHUNK, r->link.peer)->bytes = b;
}

static void all_received(struct repl *r)
{
    struct link *l = &r->link;
    l->load_ended = true;
    l->paused = true;
    l->newline_at = r->env.now;
    act_peer(r, REPL_LINK_PAUSE, l->peer);
    link_move(r, REPL_LINK_LOADING);
    act_peer(r, REPL_LOAD_END, l->peer);
    repl_trace(r, REPL_NOTICE, "MASTER <-> REPLICA sync: Loading DB in memory");
}

/* All but the last 40 bytes that came go on; these may be the mark. */
static void marked_bytes(struct repl *r, struct bytes in)
{
    struct link *l = &r->link;
    size_t total = l->tail_n + in.n;
    if (in.n >= REPL_ID_LEN) {
        chunk(r, arena_copy(&r->arena, bytes_of(l->tail, l->tail_n)));
        chunk(r, bytes_of(in.p, in.n - REPL_ID_LEN));
        memcpy(l->tail, in.p + in.n - REPL_ID_LEN, REPL_ID_LEN);
        l->tail_n = REPL_ID_LEN;
    } else {
        size_t out = total > REPL_ID_LEN ? total - REPL_ID_LEN : 0; /* <= tail_n, as in.n < 40 */
        chunk(r, arena_copy(&r->arena, bytes_of(l->tail, out)));
        memmove(l->tail, l->tail + out, l->tail_n - out);
        memcpy(l->tail + l->tail_n - out, in.p, in.n);
        l->tail_n = total - out;
    }
    if (l->tail_n == REPL_ID_LEN && memcmp(l->tail, l->mark, REPL_ID_LEN) == 0)
        all_received(r);
}

size_t transfer_bytes(struct repl *r, struct bytes in)
{
    struct link *l = &r->link;
    if (l->mark_known) {
        l->received += in.n;
        marked_bytes(r, in);
        return in.n;
    }
    uint64_t left = l->size - l->received;
    size_t n = in.n < left ? in.n : (size_t)left;
    chunk(r, bytes_of(in.p, n));
    l->received += n;
    if (l->received == l->size)
        all_received(r);
    return n;
}

void transfer_abort(struct repl *r)
{
    r->link.load_begun = r->link.load_ended = false;
    repl_act(r, REPL_LOAD_ABORT);
}

/* The loader is done: back in the stream if the link lives, else it is tried again, from here. */
void transfer_loaded(struct repl *r)
{
    struct link *l = &r->link;
    if (l->state != REPL_LINK_LOADING)
        return;
    l->load_begun = l->load_ended = false;
    history_adopt(r, &l->full_id, l->full_offset);
    l->fresh_at = r->env.now;
    l->trusted = !l->plain_sync;
    repl_trace(r, REPL_NOTICE, "MASTER <-> REPLICA sync: Finished with success");
    if (l->peer && !r->follow_deferred) {
        link_connected(r);
        return;
    }
    l->synced = true;
    repl_link_close(r);
    l->retry_at = r->env.now;
    follow_deferred(r);
}

void transfer_failed(struct repl *r, struct bytes why)
{
    struct link *l = &r->link;
    if (!l->load_begun)
        return;
    bool data_lost = l->load_mode == REPL_LOAD_ON_EMPTY || (l->load_ended && l->load_mode == REPL_LOAD_FILE);
    l->load_begun = l->load_ended = false; /* the loader has ended by itself */
    if (data_lost) {
        /* Our data are no longer what id and offset say. */
        l->trusted = false;
        replica_drop_all(r, "our data set was lost in a failed full sync");
        history_new_id(r, false);
        history_backlog_make(r, history_offset(r));
    }
    link_fail(r, "the data that it sent could not be loaded: %s. %s", shown(r, why).p,
              data_lost ? "Nothing is served until a full sync succeeds" : "The old data set is kept");
    follow_deferred(r);
}
