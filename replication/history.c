/* The stream and its names: who we are (id), how far (offset), what we were (id2).
 *
 * Position of the stream = backlog.shown, also when no bytes are kept: then the backlog is empty and lies there. A
 * master without a backlog counts writes by one, so that a pair of id and offset never means two things. */
#include "replication/inner.h"

int64_t history_offset(const struct repl *r)
{
    return r->backlog.shown;
}

void history_backlog_make(struct repl *r, int64_t position)
{
    backlog_done(&r->backlog);
    backlog_init(&r->backlog, position, r->config.backlog_size);
    r->has_backlog = true;
    lag_forget(r);
}

void history_backlog_drop(struct repl *r)
{
    int64_t position = r->backlog.shown;
    backlog_done(&r->backlog);
    backlog_init(&r->backlog, position, r->config.backlog_size);
    r->has_backlog = false;
    lag_forget(r);
}

static void forget_second(struct repl *r)
{
    memcpy(r->id2.hex, IDS_ZERO, REPL_ID_LEN + 1);
    r->second_offset = -1;
}

void history_new_id(struct repl *r, bool keep_old)
{
    if (keep_old) {
        r->id2 = r->id;
        r->second_offset = history_offset(r) + 1;
    } else {
        forget_second(r);
    }
    ids_next(&r->ids, &r->id);
}

void history_adopt(struct repl *r, const struct repl_id *id, int64_t offset)
{
    replica_drop_all(r, "our data set was replaced");
    r->id = *id;
    forget_second(r);
    history_backlog_make(r, offset);
}

void history_continue_as(struct repl *r, const struct repl_id *id)
{
    r->id2 = r->id;
    r->second_offset = history_offset(r) + 1;
    r->id = *id;
    replica_drop_all(r, "our history has a new id, which they must learn");
}

void history_stream(struct repl *r)
{
    bool on = r->has_backlog && !r->replica;
    if (on == r->stream_on)
        return;
    r->stream_on = on;
    repl_act(r, REPL_STREAM)->on = on;
    if (on)
        repl_act(r, REPL_RESELECT);
}

/* ---- appending ---- */

static int64_t append_uncounted(struct repl *r)
{
    r->backlog.first++;
    r->backlog.end++;
    return ++r->backlog.shown;
}

int64_t repl_append(struct repl *r, struct bytes b)
{
    ASSERT(!r->replica);
    if (!r->has_backlog)
        return append_uncounted(r);
    backlog_append(&r->backlog, b);
    return r->backlog.shown = r->backlog.end;
}

int64_t repl_append_blob(struct repl *r, struct blob *blob, size_t off, size_t n)
{
    ASSERT(!r->replica);
    if (!r->has_backlog)
        return append_uncounted(r);
    backlog_append_blob(&r->backlog, blob, off, n);
    return r->backlog.shown = r->backlog.end;
}

void history_append_command(struct repl *r, int argc, const struct bytes *argv)
{
    ASSERT(!r->replica);
    ASSERT(r->has_backlog);
    (void)repl_append(r, encode(r, argc, argv));
}

/* ---- what a master adds to the stream by itself ---- */

static bool may_speak(const struct repl *r)
{
    return !r->replica && r->has_backlog && r->replicas_n > 0 && !r->env.paused;
}

void history_getack(struct repl *r)
{
    if (!r->getack_wanted)
        return;
    r->getack_wanted = false;
    if (!may_speak(r))
        return;
    struct bytes argv[] = { BYTES("REPLCONF"), BYTES("GETACK"), BYTES("*") };
    history_append_command(r, 3, argv);
    r->getack_at = r->env.now;
}

static void ping(struct repl *r)
{
    if (r->replica || r->replicas_n == 0 || r->env.now < r->ping_at)
        return;
    r->ping_at = r->env.now + r->config.ping_period_ms;
    struct bytes argv[] = { BYTES("PING") };
    if (may_speak(r))
        history_append_command(r, 1, argv);
}

static bool backlog_dies(const struct repl *r)
{
    return !r->replica && r->has_backlog && r->replicas_n == 0 && r->config.backlog_ttl_ms > 0;
}

void history_tick(struct repl *r)
{
    ping(r);
    if (!backlog_dies(r) || r->env.now - r->no_replicas_since < r->config.backlog_ttl_ms)
        return;
    /* Writes will not be counted any more: whoever comes later must not find his id here. */
    repl_trace(r, REPL_NOTICE, "Replication backlog freed after %lld seconds without connected replicas.",
          (long long)(r->config.backlog_ttl_ms / SECOND_MS));
    history_new_id(r, false);
    history_backlog_drop(r);
}

msec_t history_deadline(const struct repl *r)
{
    msec_t t = !r->replica && r->replicas_n > 0 ? r->ping_at : REPL_NEVER;
    if (backlog_dies(r))
        t = sooner(t, r->no_replicas_since + r->config.backlog_ttl_ms);
    return t;
}
