/* XADD, XTRIM and XSETID: what moves the ends of a stream. */
#include "server/commands/stream.h"

#include "common/arena.h"
#include "common/num.h"

/* ---- arguments ---- */

/* Entries that `~` removes at most when no LIMIT says so: that many nodes' worth. */
static uint64_t default_limit(const struct types_limits *limits)
{
    enum { NODES = 100, WITHOUT_NODE_LIMIT = 10000, MOST = 1000000 };
    int64_t per_node = limits->stream_node_max_entries;
    if (per_node <= 0)
        return WITHOUT_NODE_LIMIT;
    return per_node > MOST / NODES ? MOST : (uint64_t)per_node * NODES;
}

/* MAXLEN or MINID at i, its specifier and threshold. Gives the index behind them, or 0 after an
 * error. */
static int parse_strategy(struct call *c, int i, struct trim_args *a)
{
    bool by_length = bytes_is(c->argv[i], "MAXLEN");
    if (a->trim.by != STREAM_TRIM_NONE) {
        reply_error(
            c, "ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
        return 0;
    }
    a->trim.approximate = false;
    i++;
    if (i + 1 < c->argc && c->argv[i].n == 1 && (*c->argv[i].p == '~' || *c->argv[i].p == '=')) {
        a->trim.approximate = *c->argv[i].p == '~';
        a->specifier_at = i++;
    }
    a->threshold_at = i;
    if (by_length) {
        int64_t maxlen;
        if (!arg_i64(c, i, &maxlen))
            return 0;
        if (maxlen < 0) {
            reply_error(c, "ERR The MAXLEN argument must be >= 0.");
            return 0;
        }
        a->trim.maxlen = (uint64_t)maxlen;
        a->trim.by = STREAM_TRIM_MAXLEN;
    } else {
        if (!arg_stream_id(c, i, 0, &a->trim.minid))
            return 0;
        a->trim.by = STREAM_TRIM_MINID;
    }
    return i + 1;
}

static int parse_limit(struct call *c, int i, struct trim_args *a)
{
    int64_t limit;
    if (!arg_i64(c, i + 1, &limit))
        return 0;
    if (limit < 0) {
        reply_error(c, "ERR The LIMIT argument must be >= 0.");
        return 0;
    }
    a->trim.limit = (uint64_t)limit;
    a->limit_at = i;
    return i + 2;
}

/* The ID of XADD: *, ms-*, ms-seq, ms. */
static bool parse_new_id(struct call *c, int i, struct trim_args *a)
{
    struct bytes s = c->argv[i];
    a->id_at = i;
    if (s.n == 1 && *s.p == '*') {
        a->auto_ms = a->auto_seq = true;
        return true;
    }
    if (s.n > 2 && memcmp(s.p + s.n - 2, "-*", 2) == 0) {
        a->auto_seq = true;
        if (stream_id_parse(bytes_of(s.p, s.n - 2), 0, &a->id) && !memchr(s.p, '-', s.n - 2))
            return true;
        reply_error(c, err_stream_id);
        return false;
    }
    return arg_stream_id(c, i, 0, &a->id);
}

static bool check_limit(struct call *c, bool xadd, struct trim_args *a)
{
    if (a->trim.by == STREAM_TRIM_NONE && (a->trim.limit || !xadd)) {
        reply_error(
            c, a->trim.limit
                   ? "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
                   : "ERR syntax error, XTRIM must be called with a trimming strategy");
        return false;
    }
    if (c->flags & CALL_FROM_MASTER) {
        a->trim.limit = 0; /* the threshold is the result already */
    } else if (a->limit_at) {
        if (!a->trim.approximate) {
            reply_error(c, "ERR syntax error, LIMIT cannot be used without the special ~ option");
            return false;
        }
    } else if (a->trim.approximate) {
        a->trim.limit = default_limit(c->limits);
    }
    return true;
}

bool trim_args_parse(struct call *c, bool xadd, struct trim_args *a)
{
    *a = (struct trim_args){ 0 };
    for (int i = 2; i < c->argc && !a->id_at;) {
        bool more = i + 1 < c->argc;
        if (xadd && bytes_eq(c->argv[i], BYTES("*"))) {
            parse_new_id(c, i, a);
        } else if (more && (arg_is(c, i, "MAXLEN") || arg_is(c, i, "MINID"))) {
            if ((i = parse_strategy(c, i, a)) == 0)
                return false;
        } else if (more && arg_is(c, i, "LIMIT")) {
            if ((i = parse_limit(c, i, a)) == 0)
                return false;
        } else if (xadd && arg_is(c, i, "NOMKSTREAM")) {
            a->no_create = true;
            i++;
        } else if (!xadd) {
            reply_syntax_error(c);
            return false;
        } else if (!parse_new_id(c, i, a)) {
            return false;
        }
    }
    return check_limit(c, xadd, a);
}

/* ---- effects ---- */

/* What others must hear: the ID as it was given, the exact result of approximate trimming, no
 * LIMIT. */
static void effect_exact(struct call *c, const struct trim_args *a, const struct stream *s,
                         struct stream_id id)
{
    struct bytes *argv = arena_array(c->arena, (size_t)c->argc, sizeof(*argv));
    int n = 0;
    for (int i = 0; i < c->argc; i++) {
        if (a->limit_at && i == a->limit_at) {
            i++;
            continue;
        }
        argv[n] = c->argv[i];
        if (a->id_at && i == a->id_at)
            argv[n] = effect_stream_id(c, id);
        else if (a->trim.approximate && i == a->specifier_at)
            argv[n] = BYTES("=");
        else if (a->trim.approximate && i == a->threshold_at)
            argv[n] = a->trim.by == STREAM_TRIM_MAXLEN ? effect_i64(c, (int64_t)s->length)
                                                       : effect_stream_id(c, s->first);
        n++;
    }
    effect_replace(c, n, argv);
}

/* ---- XADD ---- */

/* The ID that the new entry gets. False: an error was replied. */
static bool next_id(struct call *c, const struct stream *s, struct trim_args *a)
{
    struct stream_id last = s ? s->last : STREAM_ID_MIN;
    if (last.ms == UINT64_MAX && last.seq == UINT64_MAX) {
        reply_error(c,
                    "ERR The stream has exhausted the last possible ID, unable to add more items");
        return false;
    }
    if (a->auto_ms) {
        a->id = (struct stream_id){ (uint64_t)c->now, 0 };
        if (a->id.ms <= last.ms) {
            a->id = last;
            stream_id_next(&a->id);
        }
        return true;
    }
    if (a->auto_seq && a->id.ms == last.ms && last.seq < UINT64_MAX)
        a->id.seq = last.seq + 1;
    if (stream_id_cmp(a->id, last) > 0)
        return true;
    reply_error(c,
                "ERR The ID specified in XADD is equal or smaller than the target stream top item");
    return false;
}

static void cmd_xadd(struct call *c)
{
    struct trim_args a;
    struct entry *e;
    struct bytes key = c->argv[1];
    if (!trim_args_parse(c, true, &a))
        return;
    int first = a.id_at + 1, n = c->argc - first;
    if (!a.id_at || n < 2 || n % 2) {
        reply_arity_error(c);
        return;
    }
    if (!a.auto_seq && stream_id_is_zero(a.id)) {
        reply_error(c, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    if (!write_typed(c, key, TYPE_STREAM, &e))
        return;
    if (!e && a.no_create) {
        reply_null(c);
        return;
    }
    struct stream *s = stream_at(e);
    if (!next_id(c, s, &a))
        return;
    if (!e)
        s = stream_new();
    if (stream_append(s, a.id, c->argv + first, n, c->limits) != STREAM_ADDED) {
        if (!e)
            stream_free(s);
        reply_error(c, "ERR Elements are too large to be stored");
        return;
    }
    if (!e)
        ks_add_object(c->db, key, TYPE_STREAM, ENC_STREAM, s);
    reply_stream_id(c->w, a.id);
    ks_changed(c->db, key, NOTIFY_STREAM, "xadd");
    if (stream_trim(s, &a.trim))
        ks_notify(c->db, key, NOTIFY_STREAM, "xtrim");
    if (a.auto_seq || a.trim.approximate)
        effect_exact(c, &a, s, a.id);
    key_ready(c, key);
}

/* ---- XTRIM ---- */

static void cmd_xtrim(struct call *c)
{
    struct trim_args a;
    struct entry *e;
    if (!trim_args_parse(c, false, &a) || !write_typed(c, c->argv[1], TYPE_STREAM, &e))
        return;
    uint64_t removed = e ? stream_trim(stream_at(e), &a.trim) : 0;
    if (removed) {
        changed_elements(c, c->argv[1], NOTIFY_STREAM, "xtrim", removed);
        if (a.trim.approximate)
            effect_exact(c, &a, stream_at(e), STREAM_ID_MIN);
    }
    reply_int(c, (int64_t)removed);
}

/* ---- XSETID key last-id [ENTRIESADDED n] [MAXDELETEDID id] ---- */

static void cmd_xsetid(struct call *c)
{
    struct stream_id id, max_deleted = STREAM_ID_MIN, top;
    int64_t entries_added = -1;
    struct entry *e;
    if (!arg_stream_id(c, 2, 0, &id))
        return;
    for (int i = 3; i < c->argc; i += 2) {
        bool more = i + 1 < c->argc;
        if (more && arg_is(c, i, "ENTRIESADDED")) {
            if (!arg_i64(c, i + 1, &entries_added))
                return;
            if (entries_added < 0) {
                reply_error(c, "ERR entries_added must be positive");
                return;
            }
        } else if (more && arg_is(c, i, "MAXDELETEDID")) {
            if (!arg_stream_id(c, i + 1, 0, &max_deleted))
                return;
            if (stream_id_cmp(id, max_deleted) < 0) {
                reply_error(c, "ERR The ID specified in XSETID is smaller than the provided "
                               "max_deleted_entry_id");
                return;
            }
        } else {
            reply_syntax_error(c);
            return;
        }
    }
    if (!write_typed(c, c->argv[1], TYPE_STREAM, &e))
        return;
    if (!e) {
        reply_error(c, err_no_key);
        return;
    }
    struct stream *s = stream_at(e);
    if (stream_id_cmp(id, s->max_deleted) < 0) {
        reply_error(c,
                    "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
        return;
    }
    if (stream_last_valid(s, &top) && stream_id_cmp(id, top) < 0) {
        reply_error(c, "ERR The ID specified in XSETID is smaller than the target stream top item");
        return;
    }
    if (entries_added >= 0 && s->length > (uint64_t)entries_added) {
        reply_error(
            c,
            "ERR The entries_added specified in XSETID is smaller than the target stream length");
        return;
    }
    s->last = id;
    if (entries_added >= 0)
        s->entries_added = (uint64_t)entries_added;
    if (!stream_id_is_zero(max_deleted))
        s->max_deleted = max_deleted;
    reply_ok(c);
    ks_changed(c->db, c->argv[1], NOTIFY_STREAM, "xsetid");
}

const struct command stream_add_commands[] = {
    { "xadd", cmd_xadd, -5, CMD_WRITE | CMD_DENY_OOM | CMD_FAST, KEY_1, NULL },
    { "xtrim", cmd_xtrim, -4, CMD_WRITE, KEY_1, NULL },
    { "xsetid", cmd_xsetid, -3, CMD_WRITE | CMD_DENY_OOM | CMD_FAST, KEY_1, NULL },
    COMMANDS_END,
};
