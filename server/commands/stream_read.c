/* XREAD and XREADGROUP: entries of several streams from given IDs on, waiting for some if there are
 * none.
 *
 * A request that waits is run again as a whole when one of its streams got an entry: "$" is
 * therefore replaced by the ID that it meant when the command came. */
#include "server/commands/stream.h"

#include "common/arena.h"
#include "common/num.h"

struct read_args {
    bool group_given, no_ack;
    struct bytes group, consumer;
    uint64_t count; /* 0: all */
    bool block;
    msec_t deadline;     /* 0: never */
    int keys_at, keys_n; /* in argv; as many IDs follow */
};

struct source {             /* one of the streams */
    struct stream_id after; /* what is wanted comes after this one */
    bool fresh;             /* >: what no consumer of the group has got */
    struct stream_group *group;
};

/* ---- arguments ---- */

static bool parse_block(struct call *c, int i, struct read_args *a)
{
    int64_t ms, deadline = 0;
    if (!num_parse_i64(c->argv[i], &ms)) {
        reply_error(c, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (ms < 0) {
        reply_error(c, "ERR timeout is negative");
        return false;
    }
    if (ms && __builtin_add_overflow(ms, c->now, &deadline)) {
        reply_error(c, "ERR timeout is out of range");
        return false;
    }
    a->block = true;
    a->deadline = deadline;
    return true;
}

static bool only_of_group(struct call *c, bool xreadgroup, const char *option)
{
    if (!xreadgroup)
        resp_errorf(c->w,
                    "ERR The %s option is only supported by XREADGROUP. You called XREAD instead.",
                    option);
    return xreadgroup;
}

/* The streams: the rest of the arguments, half of them IDs. */
static bool parse_streams(struct call *c, int i, bool xreadgroup, struct read_args *a)
{
    int n = c->argc - i;
    if (n % 2) {
        resp_errorf(c->w,
                    "ERR Unbalanced '%s' list of streams: for each stream key an ID or '%c' must "
                    "be specified.",
                    c->cmd->full_name, xreadgroup ? '>' : '$');
        return false;
    }
    a->keys_at = i;
    a->keys_n = n / 2;
    return true;
}

/* The options up to STREAMS. */
static bool parse_options(struct call *c, bool xreadgroup, struct read_args *a)
{
    *a = (struct read_args){ 0 };
    for (int i = 1; i < c->argc && !a->keys_at; i++) {
        int more = c->argc - 1 - i;
        if (more && arg_is(c, i, "BLOCK")) {
            if (!parse_block(c, ++i, a))
                return false;
        } else if (more && arg_is(c, i, "COUNT")) {
            int64_t count;
            if (!arg_i64(c, ++i, &count))
                return false;
            a->count = count < 0 ? 0 : (uint64_t)count;
        } else if (more && arg_is(c, i, "STREAMS")) {
            if (!parse_streams(c, i + 1, xreadgroup, a))
                return false;
        } else if (more >= 2 && arg_is(c, i, "GROUP")) {
            if (!only_of_group(c, xreadgroup, "GROUP"))
                return false;
            a->group_given = true;
            a->group = c->argv[i + 1];
            a->consumer = c->argv[i + 2];
            i += 2;
        } else if (arg_is(c, i, "NOACK")) {
            if (!only_of_group(c, xreadgroup, "NOACK"))
                return false;
            a->no_ack = true;
        } else {
            reply_syntax_error(c);
            return false;
        }
    }
    if (!a->keys_at) {
        reply_syntax_error(c);
        return false;
    }
    if (xreadgroup && !a->group_given)
        reply_error(c, "ERR Missing GROUP option for XREADGROUP");
    return !xreadgroup || a->group_given;
}

/* Where to read on, from the ID argument at i. */
static bool parse_source(struct call *c, int i, const struct stream *s, bool xreadgroup,
                         struct source *src)
{
    struct bytes id = c->argv[i];
    if (bytes_eq(id, BYTES("$"))) {
        if (xreadgroup) {
            reply_error(c, "ERR The $ ID is meaningless in the context of XREADGROUP: you want to "
                           "read the history of this "
                           "consumer by specifying a proper ID, or use the > ID to get new "
                           "messages. The $ ID would just "
                           "return an empty result set.");
            return false;
        }
        src->after = s ? s->last : STREAM_ID_MIN;
        c->argv[i] = effect_stream_id(c, src->after);
        return true;
    }
    if (bytes_eq(id, BYTES(">"))) {
        if (!xreadgroup) {
            reply_error(c, "ERR The > ID can be specified only when calling XREADGROUP using the "
                           "GROUP <group> <consumer> "
                           "option.");
            return false;
        }
        src->fresh = true;
        return true;
    }
    if (!arg_stream_id(c, i, 0, &src->after))
        return false;
    src->fresh = xreadgroup && stream_id_cmp(src->after, STREAM_ID_MAX) == 0;
    return true;
}

static bool parse_sources(struct call *c, const struct read_args *a, bool xreadgroup,
                          struct source *sources)
{
    for (int i = 0; i < a->keys_n; i++) {
        struct bytes key = c->argv[a->keys_at + i];
        struct source *src = &sources[i];
        struct entry *e;
        *src = (struct source){ 0 };
        e = ks_read(c->db, key); /* the reading itself is a second one, as statistics of Redis tell */
        if (e && entry_type(e) != TYPE_STREAM) {
            reply_wrong_type(c);
            return false;
        }
        if (xreadgroup) {
            src->group = e ? stream_group_find(stream_at(e), a->group) : NULL;
            if (!src->group) {
                resp_errorf(c->w,
                            "NOGROUP No such key '%.*s' or consumer group '%.*s' in XREADGROUP "
                            "with GROUP option",
                            (int)key.n, key.p, (int)a->group.n, a->group.p);
                return false;
            }
        }
        if (!parse_source(c, a->keys_at + a->keys_n + i, stream_at(e), xreadgroup, src))
            return false;
    }
    return true;
}

/* ---- reading ---- */

/* Gives the entry to the consumer. */
static void deliver(struct call *c, struct bytes key, struct stream_group *g,
                    struct stream_consumer *consumer, const struct read_args *a,
                    const struct stream *s, struct stream_id id)
{
    stream_group_advance(s, g, id);
    if (a->no_ack)
        return;
    struct stream_pending *p = stream_pend(g, consumer, id);
    p->delivered = c->now;
    p->deliveries = 1;
    effect_claim(c, key, g, consumer, id, p);
}

static void reply_fresh(struct call *c, struct bytes key, const struct stream *s,
                        struct source *src, struct stream_consumer *consumer,
                        const struct read_args *a)
{
    struct stream_walk w;
    struct writer_mark mark = resp_later(c->w);
    struct stream_id start = src->after;
    uint64_t n = 0;
    if (stream_id_next(&start)) {
        stream_walk_begin(&w, s, start, STREAM_ID_MAX, false);
        for (; (!a->count || n < a->count) && stream_walk_next(&w); n++) {
            reply_stream_entry(c->w, &w);
            if (consumer)
                deliver(c, key, src->group, consumer, a, s, w.id);
        }
    }
    resp_later_array(c->w, mark, (int64_t)n);
    if (!consumer || n == 0)
        return;
    consumer->active = c->now;
    if (a->no_ack)
        effect_group_id(c, key, src->group);
}

/* What the consumer has been given and did not acknowledge; once more. */
static void reply_history(struct call *c, const struct stream *s, const struct source *src,
                          struct stream_consumer *consumer, uint64_t count)
{
    struct writer_mark mark = resp_later(c->w);
    struct stream_id start = src->after;
    uint64_t n = 0;
    struct id_at at =
        stream_id_next(&start) ? id_tree_ge(&consumer->pending, start) : (struct id_at){ 0 };
    for (; at.leaf && (!count || n < count); id_at_next(&at), n++) {
        struct stream_id id = id_at_id(at);
        struct stream_walk w;
        stream_walk_begin(&w, s, id, id, false);
        if (stream_walk_next(&w)) {
            struct stream_pending *p = id_at_value(at);
            reply_stream_entry(c->w, &w);
            p->delivered = c->now;
            p->deliveries++;
        } else { /* deleted meanwhile */
            reply_array(c, 2);
            reply_stream_id(c->w, id);
            resp_null_array(c->w);
        }
    }
    resp_later_array(c->w, mark, (int64_t)n);
}

struct answer {
    struct writer_mark mark;
    int64_t streams;
};

static void begin_stream(struct call *c, struct answer *answer, struct bytes key)
{
    if (answer->streams++ == 0)
        answer->mark = resp_later(c->w);
    if (c->w->resp == 2)
        reply_array(c, 2);
    reply_bulk(c, key);
}

static bool has_after(const struct stream *s, struct stream_id after)
{
    struct stream_id last;
    return s->length && stream_id_cmp(s->last, after) > 0 && stream_last_valid(s, &last) &&
           stream_id_cmp(last, after) > 0;
}

/* False: an error was replied. */
static bool read_stream(struct call *c, const struct read_args *a, int i, struct source *src,
                        struct answer *answer)
{
    struct bytes key = c->argv[a->keys_at + i];
    struct entry *e;
    if (!read_typed(c, key, TYPE_STREAM, &e))
        return false;
    if (!e)
        return true;
    struct stream *s = stream_at(e);
    struct stream_consumer *consumer = NULL;
    if (src->group) {
        bool made;
        consumer = take_consumer(c, key, src->group, a->consumer, &made);
        if (made && a->no_ack) {
            struct bytes argv[] = { BYTES("XGROUP"), BYTES("CREATECONSUMER"), key, a->group,
                                    a->consumer };
            effect_replace(c, 5, argv);
            ks_stats(c->ks)->dirty++;
        }
        if (!src->fresh) {
            begin_stream(c, answer, key);
            reply_history(c, s, src, consumer, a->count);
            return true;
        }
        src->after = src->group->last;
    }
    if (has_after(s, src->after)) {
        begin_stream(c, answer, key);
        reply_fresh(c, key, s, src, consumer, a);
    }
    return true;
}

static void read_streams(struct call *c, bool xreadgroup)
{
    struct read_args a;
    struct answer answer = { 0 };
    if (!parse_options(c, xreadgroup, &a))
        return;
    struct source *sources = arena_array(c->arena, (size_t)a.keys_n, sizeof(*sources));
    if (!parse_sources(c, &a, xreadgroup, sources))
        return;
    for (int i = 0; i < a.keys_n; i++) {
        if (!read_stream(c, &a, i, &sources[i], &answer))
            return;
    }
    if (answer.streams && c->w->resp == 2)
        resp_later_array(c->w, answer.mark, answer.streams);
    else if (answer.streams)
        resp_later_map(c->w, answer.mark, answer.streams);
    else if (a.block && call_may_block(c))
        block_on_keys(c, c->argv + a.keys_at, a.keys_n, TYPE_STREAM, a.deadline,
                      xreadgroup ? BLOCK_WAKE_WHEN_GONE : 0);
    else
        resp_null_array(c->w);
}

static void cmd_xread(struct call *c)
{
    read_streams(c, false);
}

static void cmd_xreadgroup(struct call *c)
{
    read_streams(c, true);
}

const struct command stream_read_commands[] = {
    { "xread", cmd_xread, -4, CMD_READ | CMD_BLOCKING | CMD_MOVABLE_KEYS, NO_KEYS, NULL },
    { "xreadgroup", cmd_xreadgroup, -7, CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS, NO_KEYS,
      NULL },
    COMMANDS_END,
};
