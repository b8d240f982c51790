/* XGROUP, XACK and XPENDING: groups, their consumers, and what is pending. Claiming is
 * stream_claim.c. */
#include "server/commands/stream.h"

#include "common/alloc.h"
#include "common/arena.h"

/* ---- shared ---- */

void reply_no_group(struct call *c, struct bytes key, struct bytes group)
{
    resp_errorf(c->w, "NOGROUP No such key '%.*s' or consumer group '%.*s'", (int)key.n, key.p,
                (int)group.n, group.p);
}

struct stream_consumer *take_consumer(struct call *c, struct bytes key, struct stream_group *g,
                                      struct bytes name, bool *ret_made)
{
    struct stream_consumer *consumer = stream_consumer_find(g, name);
    *ret_made = !consumer;
    if (!consumer) {
        consumer = stream_consumer_add(g, name, c->now);
        ks_notify(c->db, key, NOTIFY_STREAM, "xgroup-createconsumer");
    }
    consumer->seen = c->now;
    return consumer;
}

void effect_claim(struct call *c, struct bytes key, const struct stream_group *g,
                  const struct stream_consumer *consumer, struct stream_id id,
                  const struct stream_pending *p)
{
    char id_text[STREAM_ID_TEXT], last_text[STREAM_ID_TEXT], time_text[24], count_text[24];
    struct bytes argv[] = {
        BYTES("XCLAIM"),
        key,
        stream_name_bytes(g->name),
        stream_name_bytes(consumer->name),
        BYTES("0"),
        stream_id_text(id_text, id),
        BYTES("TIME"),
        bytes_of(time_text, num_format_i64(time_text, p->delivered)),
        BYTES("RETRYCOUNT"),
        bytes_of(count_text, num_format_u64(count_text, p->deliveries)),
        BYTES("FORCE"),
        BYTES("JUSTID"),
        BYTES("LASTID"),
        stream_id_text(last_text, g->last),
    };
    effect_replace(c, sizeof(argv) / sizeof(*argv), argv);
    ks_stats(c->ks)->dirty++;
}

void effect_group_id(struct call *c, struct bytes key, const struct stream_group *g)
{
    char last_text[STREAM_ID_TEXT], read_text[24];
    struct bytes argv[] = {
        BYTES("XGROUP"),
        BYTES("SETID"),
        key,
        stream_name_bytes(g->name),
        stream_id_text(last_text, g->last),
        BYTES("ENTRIESREAD"),
        bytes_of(read_text, num_format_i64(read_text, g->entries_read)),
    };
    effect_replace(c, sizeof(argv) / sizeof(*argv), argv);
    ks_stats(c->ks)->dirty++;
}

/* ---- XGROUP ---- */

struct group_args {
    bool make_stream;
    int64_t entries_read;
};

static bool parse_group_options(struct call *c, bool create, struct group_args *a)
{
    const int argc_max = create ? 8 : 7;
    *a = (struct group_args){ .entries_read = STREAM_READ_UNKNOWN };
    for (int i = 5; i < c->argc; i++) {
        if (create && arg_is(c, i, "MKSTREAM")) {
            a->make_stream = true;
        } else if (arg_is(c, i, "ENTRIESREAD") && i + 1 < c->argc) {
            if (!arg_i64(c, ++i, &a->entries_read))
                return false;
            if (a->entries_read < 0 && a->entries_read != STREAM_READ_UNKNOWN) {
                reply_error(c, "ERR value for ENTRIESREAD must be positive or -1");
                return false;
            }
        } else {
            reply_subcommand_error(c);
            return false;
        }
    }
    if (c->argc > argc_max)
        reply_subcommand_error(c);
    return c->argc <= argc_max;
}

/* The stream of XGROUP's key argument; NULL after an error. */
static bool group_stream(struct call *c, bool may_miss, struct stream **ret_stream)
{
    struct entry *e;
    if (!write_typed(c, c->argv[2], TYPE_STREAM, &e))
        return false;
    if (!e && !may_miss) {
        reply_error(c, "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE "
                       "you may want to use the "
                       "MKSTREAM option to create an empty stream automatically.");
        return false;
    }
    *ret_stream = stream_at(e);
    return true;
}

/* The stream and the group of its arguments; false after an error. */
static bool group_of_args(struct call *c, struct stream **ret_stream,
                          struct stream_group **ret_group)
{
    struct bytes key = c->argv[2], name = c->argv[3];
    if (!group_stream(c, false, ret_stream))
        return false;
    *ret_group = stream_group_find(*ret_stream, name);
    if (*ret_group)
        return true;
    resp_errorf(c->w, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)name.n,
                name.p, (int)key.n, key.p);
    return false;
}

/* $ is the last ID of the stream; SETID, unlike CREATE, takes - and + too. */
static bool arg_group_id(struct call *c, int i, const struct stream *s, bool create,
                         struct stream_id *ret_id)
{
    struct bytes id = c->argv[i];
    if (!create && (bytes_eq(id, BYTES("-")) || bytes_eq(id, BYTES("+"))))
        *ret_id = *id.p == '-' ? STREAM_ID_MIN : STREAM_ID_MAX;
    else if (bytes_eq(id, BYTES("$")))
        *ret_id = s ? s->last : STREAM_ID_MIN;
    else
        return arg_stream_id(c, i, 0, ret_id);
    return true;
}

static void cmd_xgroup_create(struct call *c)
{
    struct group_args a;
    struct stream *s;
    struct stream_id id;
    if (!parse_group_options(c, true, &a) || !group_stream(c, a.make_stream, &s) ||
        !arg_group_id(c, 4, s, true, &id))
        return;
    if (!s) {
        s = stream_new();
        ks_add_object(c->db, c->argv[2], TYPE_STREAM, ENC_STREAM, s);
    }
    if (!stream_group_add(s, c->argv[3], id, a.entries_read)) {
        reply_error(c, "BUSYGROUP Consumer Group name already exists");
        return;
    }
    reply_ok(c);
    ks_changed(c->db, c->argv[2], NOTIFY_STREAM, "xgroup-create");
}

static void cmd_xgroup_setid(struct call *c)
{
    struct group_args a;
    struct stream *s;
    struct stream_group *g;
    struct stream_id id;
    if (!parse_group_options(c, false, &a) || !group_of_args(c, &s, &g) ||
        !arg_group_id(c, 4, s, false, &id))
        return;
    g->last = id;
    g->entries_read = a.entries_read;
    reply_ok(c);
    ks_changed(c->db, c->argv[2], NOTIFY_STREAM, "xgroup-setid");
}

static void cmd_xgroup_destroy(struct call *c)
{
    struct stream *s;
    if (!group_stream(c, false, &s))
        return;
    struct stream_group *g = stream_group_find(s, c->argv[3]);
    if (g) {
        stream_group_remove(s, g);
        ks_changed(c->db, c->argv[2], NOTIFY_STREAM,
                   "xgroup-destroy"); /* wakes those who read from it */
    }
    reply_int(c, g != NULL);
}

static void cmd_xgroup_createconsumer(struct call *c)
{
    struct stream *s;
    struct stream_group *g;
    if (!group_of_args(c, &s, &g))
        return;
    bool made = stream_consumer_add(g, c->argv[4], c->now);
    if (made)
        ks_changed(c->db, c->argv[2], NOTIFY_STREAM, "xgroup-createconsumer");
    reply_int(c, made);
}

static void cmd_xgroup_delconsumer(struct call *c)
{
    struct stream *s;
    struct stream_group *g;
    uint64_t pending = 0;
    if (!group_of_args(c, &s, &g))
        return;
    struct stream_consumer *consumer = stream_consumer_find(g, c->argv[4]);
    if (consumer) {
        pending = stream_consumer_remove(g, consumer);
        ks_changed(c->db, c->argv[2], NOTIFY_STREAM, "xgroup-delconsumer");
    }
    reply_int(c, (int64_t)pending);
}

static void cmd_xgroup_help(struct call *c)
{
    static const char *const lines[] = {
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
        NULL,
    };
    reply_help(c, lines);
}

/* ---- XACK ---- */

static void cmd_xack(struct call *c)
{
    struct entry *e;
    if (!write_typed(c, c->argv[1], TYPE_STREAM, &e))
        return;
    struct stream_group *g = e ? stream_group_find(stream_at(e), c->argv[2]) : NULL;
    if (!g) {
        reply_int(c, 0);
        return;
    }
    struct stream_id *ids = arena_array(c->arena, (size_t)c->argc, sizeof(*ids));
    for (int i = 3; i < c->argc; i++) {
        if (!arg_stream_id(c, i, 0, &ids[i]))
            return;
    }
    uint64_t n = 0;
    for (int i = 3; i < c->argc; i++)
        n += stream_acknowledge(g, ids[i]);
    ks_stats(c->ks)->dirty += n;
    reply_int(c, (int64_t)n);
}

/* ---- XPENDING ---- */

struct pending_args {
    bool extended;
    msec_t min_idle; /* 0: any */
    int64_t count;
    struct stream_id start, end;
    int consumer_at; /* 0: of all */
};

/* key group [[IDLE ms] start end count [consumer]] */
static bool parse_pending(struct call *c, struct pending_args *a)
{
    *a = (struct pending_args){ 0 };
    int at = 3;
    if (c->argc != 3 && (c->argc < 6 || c->argc > 9)) {
        reply_syntax_error(c);
        return false;
    }
    if (c->argc == 3)
        return true;
    a->extended = true;
    if (arg_is(c, 3, "IDLE")) {
        if (!arg_i64(c, 4, &a->min_idle))
            return false;
        if (c->argc < 8) {
            reply_syntax_error(c);
            return false;
        }
        at = 5;
    }
    if (!arg_i64(c, at + 2, &a->count) || !arg_stream_bound(c, at, STREAM_BOUND_START, &a->start) ||
        !arg_stream_bound(c, at + 1, STREAM_BOUND_END, &a->end))
        return false;
    if (a->count < 0)
        a->count = 0;
    if (at + 3 < c->argc)
        a->consumer_at = at + 3;
    return true;
}

static void reply_pending_summary(struct call *c, const struct stream_group *g)
{
    reply_array(c, 4);
    reply_int(c, (int64_t)g->pending.count);
    if (g->pending.count == 0) {
        reply_null(c);
        reply_null(c);
        resp_null_array(c->w);
        return;
    }
    reply_stream_id(c->w, id_at_id(id_tree_first(&g->pending)));
    reply_stream_id(c->w, id_at_id(id_tree_last(&g->pending)));
    size_t n;
    int64_t shown = 0;
    struct stream_consumer **consumers = stream_consumers_sorted(g, &n);
    struct writer_mark mark = resp_later(c->w);
    for (size_t i = 0; i < n; i++) {
        if (consumers[i]->pending.count == 0)
            continue;
        reply_array(c, 2);
        reply_bulk(c, stream_name_bytes(consumers[i]->name));
        resp_bulk_i64(c->w, (int64_t)consumers[i]->pending.count);
        shown++;
    }
    resp_later_array(c->w, mark, shown);
    mem_free(consumers);
}

static void reply_pending_range(struct call *c, const struct stream_group *g,
                                const struct pending_args *a)
{
    const struct id_tree *t = &g->pending;
    if (a->consumer_at) {
        const struct stream_consumer *consumer = stream_consumer_find(g, c->argv[a->consumer_at]);
        if (!consumer) {
            reply_array(c, 0);
            return;
        }
        t = &consumer->pending;
    }
    struct writer_mark mark = resp_later(c->w);
    int64_t n = 0;
    struct id_at at = id_tree_ge(t, a->start);
    for (; at.leaf && n < a->count && stream_id_cmp(id_at_id(at), a->end) <= 0; id_at_next(&at)) {
        const struct stream_pending *p = id_at_value(at);
        msec_t idle = c->now - p->delivered;
        if (a->min_idle && idle < a->min_idle)
            continue;
        reply_array(c, 4);
        reply_stream_id(c->w, id_at_id(at));
        reply_bulk(c, stream_name_bytes(p->consumer->name));
        reply_int(c, idle < 0 ? 0 : idle);
        reply_int(c, (int64_t)p->deliveries);
        n++;
    }
    resp_later_array(c->w, mark, n);
}

static void cmd_xpending(struct call *c)
{
    struct pending_args a;
    struct entry *e;
    if (!parse_pending(c, &a) || !read_typed(c, c->argv[1], TYPE_STREAM, &e))
        return;
    struct stream_group *g = e ? stream_group_find(stream_at(e), c->argv[2]) : NULL;
    if (!g)
        reply_no_group(c, c->argv[1], c->argv[2]);
    else if (a.extended)
        reply_pending_range(c, g, &a);
    else
        reply_pending_summary(c, g);
}

static const struct command xgroup_subs[] = {
    { "create", cmd_xgroup_create, -5, CMD_WRITE | CMD_DENY_OOM, KEYS_AT(2, 2, 1), NULL },
    { "setid", cmd_xgroup_setid, -5, CMD_WRITE, KEYS_AT(2, 2, 1), NULL },
    { "destroy", cmd_xgroup_destroy, 4, CMD_WRITE, KEYS_AT(2, 2, 1), NULL },
    { "createconsumer", cmd_xgroup_createconsumer, 5, CMD_WRITE | CMD_DENY_OOM, KEYS_AT(2, 2, 1),
      NULL },
    { "delconsumer", cmd_xgroup_delconsumer, 5, CMD_WRITE, KEYS_AT(2, 2, 1), NULL },
    { "help", cmd_xgroup_help, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    COMMANDS_END,
};

const struct command stream_group_commands[] = {
    { "xgroup", NULL, -2, CMD_CONTAINER, NO_KEYS, xgroup_subs },
    { "xack", cmd_xack, -4, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    { "xpending", cmd_xpending, -3, CMD_READ, KEY_1, NULL },
    COMMANDS_END,
};
