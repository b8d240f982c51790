/* XINFO: what a stream, its groups and their consumers look like. */
#include "server/commands/stream.h"

#include "common/alloc.h"

enum { FULL_COUNT = 10 }; /* entries that FULL shows unless told */

static void reply_name_int(struct call *c, const char *name, int64_t v)
{
    resp_bulk_str(c->w, name);
    reply_int(c, v);
}

static void reply_name_id(struct call *c, const char *name, struct stream_id id)
{
    resp_bulk_str(c->w, name);
    reply_stream_id(c->w, id);
}

static void reply_name_time(struct call *c, const char *name, msec_t then)
{
    reply_name_int(c, name, then > c->now ? 0 : c->now - then);
}

static void reply_read_and_lag(struct call *c, const struct stream *s, const struct stream_group *g)
{
    int64_t lag;
    resp_bulk_str(c->w, "entries-read");
    if (g->entries_read == STREAM_READ_UNKNOWN)
        reply_null(c);
    else
        reply_int(c, g->entries_read);
    resp_bulk_str(c->w, "lag");
    if (stream_group_lag(s, g, &lag))
        reply_int(c, lag);
    else
        reply_null(c);
}

/* ---- XINFO STREAM ---- */

static void reply_facts(struct call *c, const struct stream *s)
{
    reply_name_int(c, "length", (int64_t)s->length);
    reply_name_int(c, "radix-tree-keys", (int64_t)s->nodes.count);
    reply_name_int(c, "radix-tree-nodes", (int64_t)s->nodes.count + 1);
    reply_name_id(c, "last-generated-id", s->last);
    reply_name_id(c, "max-deleted-entry-id", s->max_deleted);
    reply_name_int(c, "entries-added", (int64_t)s->entries_added);
    reply_name_id(c, "recorded-first-entry-id", s->first);
}

static void reply_end_entry(struct call *c, const struct stream *s, bool last)
{
    struct stream_walk w;
    resp_bulk_str(c->w, last ? "last-entry" : "first-entry");
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, last);
    if (stream_walk_next(&w))
        reply_stream_entry(c->w, &w);
    else
        reply_null(c);
}

static void reply_pending(struct call *c, const struct id_tree *t, uint64_t count,
                          bool with_consumer)
{
    resp_bulk_str(c->w, "pending");
    uint64_t n = count && count < t->count ? count : t->count;
    reply_array(c, (int64_t)n);
    struct id_at at = id_tree_first(t);
    for (; n > 0; n--, id_at_next(&at)) {
        const struct stream_pending *p = id_at_value(at);
        reply_array(c, with_consumer ? 4 : 3);
        reply_stream_id(c->w, id_at_id(at));
        if (with_consumer)
            reply_bulk(c, stream_name_bytes(p->consumer->name));
        reply_int(c, p->delivered);
        reply_int(c, (int64_t)p->deliveries);
    }
}

static void reply_full_consumers(struct call *c, const struct stream_group *g, uint64_t count)
{
    size_t n;
    struct stream_consumer **consumers = stream_consumers_sorted(g, &n);
    resp_bulk_str(c->w, "consumers");
    reply_array(c, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct stream_consumer *consumer = consumers[i];
        resp_map(c->w, 5);
        resp_bulk_str(c->w, "name");
        reply_bulk(c, stream_name_bytes(consumer->name));
        reply_name_int(c, "seen-time", consumer->seen);
        reply_name_int(c, "active-time", consumer->active);
        reply_name_int(c, "pel-count", (int64_t)consumer->pending.count);
        reply_pending(c, &consumer->pending, count, false);
    }
    mem_free(consumers);
}

static void reply_full_groups(struct call *c, const struct stream *s, uint64_t count)
{
    size_t n;
    struct stream_group **groups = stream_groups_sorted(s, &n);
    resp_bulk_str(c->w, "groups");
    reply_array(c, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct stream_group *g = groups[i];
        resp_map(c->w, 7);
        resp_bulk_str(c->w, "name");
        reply_bulk(c, stream_name_bytes(g->name));
        reply_name_id(c, "last-delivered-id", g->last);
        reply_read_and_lag(c, s, g);
        reply_name_int(c, "pel-count", (int64_t)g->pending.count);
        reply_pending(c, &g->pending, count, true);
        reply_full_consumers(c, g, count);
    }
    mem_free(groups);
}

static void reply_full(struct call *c, const struct stream *s, uint64_t count)
{
    struct stream_walk w;
    int64_t n = 0;
    resp_map(c->w, 9);
    reply_facts(c, s);
    resp_bulk_str(c->w, "entries");
    struct writer_mark mark = resp_later(c->w);
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    for (; (!count || (uint64_t)n < count) && stream_walk_next(&w); n++)
        reply_stream_entry(c->w, &w);
    resp_later_array(c->w, mark, n);
    reply_full_groups(c, s, count);
}

static bool stream_of_key(struct call *c, struct stream **ret_stream)
{
    struct entry *e;
    if (!read_typed(c, c->argv[2], TYPE_STREAM, &e))
        return false;
    if (!e)
        reply_error(c, err_no_key);
    *ret_stream = stream_at(e);
    return e;
}

/* XINFO STREAM key [FULL [COUNT n]] */
static void cmd_xinfo_stream(struct call *c)
{
    struct stream *s;
    int64_t count = FULL_COUNT;
    if (!stream_of_key(c, &s))
        return;
    if (c->argc == 3) {
        resp_map(c->w, 10);
        reply_facts(c, s);
        reply_name_int(c, "groups", (int64_t)s->groups.count);
        reply_end_entry(c, s, false);
        reply_end_entry(c, s, true);
        return;
    }
    if (!arg_is(c, 3, "FULL") || (c->argc != 4 && c->argc != 6) ||
        (c->argc == 6 && !arg_is(c, 4, "COUNT"))) {
        reply_subcommand_error(c);
        return;
    }
    if (c->argc == 6 && !arg_i64(c, 5, &count))
        return;
    reply_full(c, s, count < 0 ? FULL_COUNT : (uint64_t)count);
}

static void cmd_xinfo_groups(struct call *c)
{
    struct stream *s;
    size_t n;
    if (!stream_of_key(c, &s))
        return;
    struct stream_group **groups = stream_groups_sorted(s, &n);
    reply_array(c, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct stream_group *g = groups[i];
        resp_map(c->w, 6);
        resp_bulk_str(c->w, "name");
        reply_bulk(c, stream_name_bytes(g->name));
        reply_name_int(c, "consumers", (int64_t)g->consumers.count);
        reply_name_int(c, "pending", (int64_t)g->pending.count);
        reply_name_id(c, "last-delivered-id", g->last);
        reply_read_and_lag(c, s, g);
    }
    mem_free(groups);
}

static void cmd_xinfo_consumers(struct call *c)
{
    struct stream *s;
    size_t n;
    struct bytes name = c->argv[3], key = c->argv[2];
    if (!stream_of_key(c, &s))
        return;
    const struct stream_group *g = stream_group_find(s, name);
    if (!g) {
        resp_errorf(c->w, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)name.n,
                    name.p, (int)key.n, key.p);
        return;
    }
    struct stream_consumer **consumers = stream_consumers_sorted(g, &n);
    reply_array(c, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct stream_consumer *consumer = consumers[i];
        resp_map(c->w, 4);
        resp_bulk_str(c->w, "name");
        reply_bulk(c, stream_name_bytes(consumer->name));
        reply_name_int(c, "pending", (int64_t)consumer->pending.count);
        reply_name_time(c, "idle", consumer->seen);
        if (consumer->active < 0)
            reply_name_int(c, "inactive", -1);
        else
            reply_name_time(c, "inactive", consumer->active);
    }
    mem_free(consumers);
}

static void cmd_xinfo_help(struct call *c)
{
    static const char *const lines[] = {
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
        NULL,
    };
    reply_help(c, lines);
}

static const struct command xinfo_subs[] = {
    { "stream", cmd_xinfo_stream, -3, CMD_READ, KEYS_AT(2, 2, 1), NULL },
    { "groups", cmd_xinfo_groups, 3, CMD_READ, KEYS_AT(2, 2, 1), NULL },
    { "consumers", cmd_xinfo_consumers, 4, CMD_READ, KEYS_AT(2, 2, 1), NULL },
    { "help", cmd_xinfo_help, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    COMMANDS_END,
};

const struct command stream_info_commands[] = {
    { "xinfo", NULL, -2, CMD_CONTAINER, NO_KEYS, xinfo_subs },
    COMMANDS_END,
};
