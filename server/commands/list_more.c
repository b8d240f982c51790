/* Lists: changing them inside (LINSERT, LREM, LTRIM), finding elements (LPOS), moving elements
 * between lists (LMOVE), and popping from the first of several (LMPOP). */
#include "common/arena.h"
#include "common/num.h"
#include "server/commands/list_cmd.h"

/* ---- inside ---- */

static void cmd_linsert(struct call *c)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    bool after = arg_is(c, 2, "AFTER");
    if (!after && !arg_is(c, 2, "BEFORE")) {
        reply_syntax_error(c);
        return;
    }
    if (!write_typed(c, key, TYPE_LIST, &e))
        return;
    if (!e) {
        reply_int(c, 0);
        return;
    }
    struct value_ref list = ref_of(e);
    list_expect(&list, &c->argv[4], 1, c->limits);
    bool inserted =
        list_insert(&list, c->argv[3], after, c->argv[4], c->blobs ? c->blobs[4] : NULL, c->limits);
    ref_store(e, list);
    if (!inserted) {
        reply_int(c, -1);
        return;
    }
    reply_int(c, (int64_t)list_count(list));
    ks_changed(c->db, key, NOTIFY_LIST, "linsert");
}

/* Elements are gone from anywhere in the list; `n` of them. */
static void removed(struct call *c, struct bytes key, struct entry *e, struct value_ref list,
                    const char *event, uint64_t n)
{
    bool empty = list_count(list) == 0;
    if (!empty)
        list_relax(&list, c->limits);
    ref_store(e, list);
    changed_elements(c, key, NOTIFY_LIST, event, n);
    if (empty)
        delete_empty(c, key);
}

static void cmd_lrem(struct call *c)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    int64_t count;
    if (!arg_i64(c, 2, &count) || !write_typed(c, key, TYPE_LIST, &e))
        return;
    if (!e) {
        reply_int(c, 0);
        return;
    }
    struct value_ref list = ref_of(e);
    uint64_t max = count < 0 ? -(uint64_t)count : (uint64_t)count;
    uint64_t n = list_remove(&list, c->argv[3], count < 0 ? LIST_TAIL : LIST_HEAD, max);
    ref_store(e, list);
    if (n > 0)
        removed(c, key, e, list, "lrem", n);
    reply_int(c, (int64_t)n);
}

static void cmd_ltrim(struct call *c)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    int64_t from, to;
    if (!arg_i64(c, 2, &from) || !arg_i64(c, 3, &to) || !write_typed(c, key, TYPE_LIST, &e))
        return;
    if (!e) {
        reply_ok(c);
        return;
    }
    struct value_ref list = ref_of(e);
    int64_t count = (int64_t)list_count(list);
    from = from < 0 ? from + count : from;
    to = to < 0 ? to + count : to;
    from = from < 0 ? 0 : from;
    to = to >= count ? count - 1 : to;
    if (from > to) { /* nothing remains */
        from = count;
        to = count - 1;
    }
    list_delete(&list, (uint64_t)to + 1, (uint64_t)(count - to - 1));
    list_delete(&list, 0, (uint64_t)from);
    removed(c, key, e, list, "ltrim", (uint64_t)(count - to - 1 + from));
    reply_ok(c);
}

/* ---- finding ---- */

struct pos_args {
    int64_t rank, count, max; /* count -1: one, replied without an array; max 0: no limit */
};

static bool parse_lpos(struct call *c, struct pos_args *a)
{
    *a = (struct pos_args){ .rank = 1, .count = -1 };
    for (int i = 3; i < c->argc; i += 2) {
        if (i + 1 < c->argc && arg_is(c, i, "RANK")) {
            if (!arg_i64_range(c, i + 1, -INT64_MAX, INT64_MAX, &a->rank))
                return false;
            if (a->rank == 0) {
                reply_error(c, "ERR RANK can't be zero: use 1 to start from the first match, 2 "
                               "from the second ... or use "
                               "negative to start from the end of the list");
                return false;
            }
        } else if (i + 1 < c->argc && arg_is(c, i, "COUNT")) {
            if (!num_parse_i64(c->argv[i + 1], &a->count) || a->count < 0) {
                reply_error(c, "ERR COUNT can't be negative");
                return false;
            }
        } else if (i + 1 < c->argc && arg_is(c, i, "MAXLEN")) {
            if (!num_parse_i64(c->argv[i + 1], &a->max) || a->max < 0) {
                reply_error(c, "ERR MAXLEN can't be negative");
                return false;
            }
        } else {
            reply_syntax_error(c);
            return false;
        }
    }
    return true;
}

/* Replies indices as they are found; gives how many. */
static int64_t find_positions(struct call *c, struct value_ref list, const struct pos_args *a)
{
    const struct list_needle needle = list_needle_of(c->argv[2]);
    int64_t count = (int64_t)list_count(list), found = 0, matched = 0;
    int64_t rank = a->rank < 0 ? -a->rank : a->rank;
    bool backwards = a->rank < 0;
    struct list_walk w;
    struct element e;
    list_walk_begin(&w, list, backwards ? (uint64_t)count - 1 : 0, backwards);
    for (int64_t i = 0; (a->max == 0 || i < a->max) && list_walk_next(&w, &e); i++) {
        if (!list_matches(&e, &needle) || ++matched < rank)
            continue;
        reply_int(c, backwards ? count - 1 - i : i);
        found++;
        if (a->count < 0 || found == a->count)
            break;
    }
    return found;
}

static void cmd_lpos(struct call *c)
{
    struct pos_args a;
    struct entry *e;
    if (!parse_lpos(c, &a) || !read_typed(c, c->argv[1], TYPE_LIST, &e))
        return;
    if (a.count < 0) {
        if (!e || find_positions(c, ref_of(e), &a) == 0)
            reply_null(c);
    } else if (!e) {
        reply_array(c, 0);
    } else {
        struct writer_mark mark = resp_later(c->w);
        resp_later_array(c->w, mark, find_positions(c, ref_of(e), &a));
    }
}

/* ---- moving ---- */

/* Puts the element at an end of the list `to`, which is made when it is not there. */
static void push_moved(struct call *c, struct entry *e, struct bytes to, enum list_end end,
                       struct bytes s, struct blob *blob)
{
    struct value_ref list = e ? ref_of(e) : list_new();
    list_expect(&list, &s, 1, c->limits);
    list_push(&list, end, s, blob, c->limits);
    if (e)
        ref_store(e, list);
    else
        ks_add_object(c->db, to, TYPE_LIST, list.enc, list.object);
    ks_touched(c->db, to);
    ks_notify(c->db, to, NOTIFY_LIST, end == LIST_HEAD ? "lpush" : "rpush");
    key_ready(c, to);
}

void list_move(struct call *c, struct entry *source, struct bytes from, struct bytes to,
               enum list_end from_end, enum list_end to_end)
{
    struct entry *target;
    struct element element;
    if (!write_typed(c, to, TYPE_LIST, &target))
        return;
    struct value_ref list = ref_of(source);
    list_get(list, from_end == LIST_HEAD ? 0 : -1, &element);
    struct blob *blob = element.blob ? blob_ref(element.blob) : NULL;
    char scratch[ELEMENT_SCRATCH];
    struct bytes s =
        blob ? blob_bytes(blob) : arena_copy(c->arena, element_text(&element, scratch));
    list_delete(&list, from_end == LIST_HEAD ? 0 : list_count(list) - 1, 1);
    ref_store(source, list);
    push_moved(c, target, to, to_end, s, blob);
    if (blob)
        resp_bulk_blob(c->w, blob);
    else
        reply_bulk(c, s);
    blob_unref(blob);
    source = ks_find(c->db, from,
                     KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY |
                         KS_EXPIRED_TOO); /* the push may move entries */
    list_popped(c, from, source, from_end, 1);
}

static void move(struct call *c, enum list_end from_end, enum list_end to_end)
{
    struct entry *source;
    if (!write_typed(c, c->argv[1], TYPE_LIST, &source))
        return;
    if (!source) {
        reply_null(c);
        return;
    }
    list_move(c, source, c->argv[1], c->argv[2], from_end, to_end);
}

static void cmd_lmove(struct call *c)
{
    enum list_end from_end, to_end;
    if (arg_list_end(c, 3, &from_end) && arg_list_end(c, 4, &to_end))
        move(c, from_end, to_end);
}

static void cmd_rpoplpush(struct call *c)
{
    move(c, LIST_TAIL, LIST_HEAD);
}

/* ---- the first of several ---- */

bool list_mpop(struct call *c, const struct mpop_args *a)
{
    for (int i = 0; i < a->n; i++) {
        struct entry *e;
        if (!write_typed(c, a->keys[i], TYPE_LIST, &e))
            return true;
        if (!e)
            continue;
        uint64_t n = list_count(ref_of(e));
        if (n > (uint64_t)a->count)
            n = (uint64_t)a->count;
        reply_array(c, 2);
        reply_bulk(c, a->keys[i]);
        reply_array(c, (int64_t)n);
        list_pop(c, a->keys[i], e, a->last ? LIST_TAIL : LIST_HEAD, n);
        struct bytes argv[3] = { a->last ? BYTES("RPOP") : BYTES("LPOP"), a->keys[i],
                                 effect_i64(c, (int64_t)n) };
        effect_replace(c, 3, argv);
        return true;
    }
    return false;
}

static void cmd_lmpop(struct call *c)
{
    struct mpop_args a;
    if (arg_mpop(c, 1, "LEFT", "RIGHT", &a) && !list_mpop(c, &a))
        resp_null_array(c->w);
}

#define CHANGES (CMD_WRITE | CMD_DENY_OOM)
const struct command list_more_commands[] = {
    { "linsert", cmd_linsert, 5, CHANGES, KEY_1, NULL },
    { "lrem", cmd_lrem, 4, CMD_WRITE, KEY_1, NULL },
    { "ltrim", cmd_ltrim, 4, CMD_WRITE, KEY_1, NULL },
    { "lpos", cmd_lpos, -3, CMD_READ, KEY_1, NULL },
    { "lmove", cmd_lmove, 5, CHANGES, KEYS_AT(1, 2, 1), NULL },
    { "rpoplpush", cmd_rpoplpush, 3, CHANGES, KEYS_AT(1, 2, 1), NULL },
    { "lmpop", cmd_lmpop, -4, CMD_WRITE | CMD_MOVABLE_KEYS, NO_KEYS, NULL },
    COMMANDS_END,
};
