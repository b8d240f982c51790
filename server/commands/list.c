/* Lists: pushing, popping, reading by index. list_more.c changes them inside and moves elements,
 * list_block.c waits. */
#include "server/commands/list_cmd.h"

bool arg_list_end(struct call *c, int i, enum list_end *ret_end)
{
    bool left = arg_is(c, i, "LEFT");
    if (!left && !arg_is(c, i, "RIGHT")) {
        reply_syntax_error(c);
        return false;
    }
    *ret_end = left ? LIST_HEAD : LIST_TAIL;
    return true;
}

/* ---- pushing ---- */

static void push(struct call *c, enum list_end end, bool only_existing)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    if (!write_typed(c, key, TYPE_LIST, &e))
        return;
    if (!e && only_existing) {
        reply_int(c, 0);
        return;
    }
    struct value_ref list = e ? ref_of(e) : list_new();
    list_expect(&list, c->argv + 2, (size_t)c->argc - 2, c->limits);
    for (int i = 2; i < c->argc; i++)
        list_push(&list, end, c->argv[i], c->blobs ? c->blobs[i] : NULL, c->limits);
    if (e)
        ref_store(e, list);
    else
        ks_add_object(c->db, key, TYPE_LIST, list.enc, list.object);
    reply_int(c, (int64_t)list_count(list));
    changed_elements(c, key, NOTIFY_LIST, end == LIST_HEAD ? "lpush" : "rpush",
                     (uint64_t)c->argc - 2);
    key_ready(c, key);
}

static void cmd_lpush(struct call *c)
{
    push(c, LIST_HEAD, false);
}

static void cmd_rpush(struct call *c)
{
    push(c, LIST_TAIL, false);
}

static void cmd_lpushx(struct call *c)
{
    push(c, LIST_HEAD, true);
}

static void cmd_rpushx(struct call *c)
{
    push(c, LIST_TAIL, true);
}

/* ---- popping ---- */

void list_popped(struct call *c, struct bytes key, struct entry *e, enum list_end end, uint64_t n)
{
    struct value_ref list = ref_of(e);
    bool empty = list_count(list) == 0;
    if (!empty) {
        list_relax(&list, c->limits);
        ref_store(e, list);
    }
    changed_elements(c, key, NOTIFY_LIST, end == LIST_HEAD ? "lpop" : "rpop", n);
    if (empty)
        delete_empty(c, key);
}

uint64_t list_pop(struct call *c, struct bytes key, struct entry *e, enum list_end end, uint64_t n)
{
    struct value_ref list = ref_of(e);
    uint64_t count = list_count(list);
    if (n > count)
        n = count;
    struct list_walk w;
    struct element element;
    list_walk_begin(&w, list, end == LIST_HEAD ? 0 : count - 1, end == LIST_TAIL);
    for (uint64_t i = 0; i < n && list_walk_next(&w, &element); i++)
        reply_element(c->w, &element);
    list_delete(&list, end == LIST_HEAD ? 0 : count - n, n);
    ref_store(e, list);
    list_popped(c, key, e, end, n);
    return n;
}

static void pop(struct call *c, enum list_end end)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    int64_t n = 1;
    bool counted = c->argc == 3;
    if (c->argc > 3) {
        reply_arity_error(c);
        return;
    }
    if (counted && !arg_positive(c, 2, &n))
        return;
    if (!write_typed(c, key, TYPE_LIST, &e))
        return;
    if (!e) {
        if (counted)
            resp_null_array(c->w);
        else
            reply_null(c);
        return;
    }
    uint64_t count = list_count(ref_of(e));
    if (counted)
        reply_array(c, (uint64_t)n < count ? n : (int64_t)count);
    if (n > 0)
        list_pop(c, key, e, end, (uint64_t)n);
}

static void cmd_lpop(struct call *c)
{
    pop(c, LIST_HEAD);
}

static void cmd_rpop(struct call *c)
{
    pop(c, LIST_TAIL);
}

/* ---- reading ---- */

static void cmd_llen(struct call *c)
{
    struct entry *e;
    if (read_typed(c, c->argv[1], TYPE_LIST, &e))
        reply_int(c, e ? (int64_t)list_count(ref_of(e)) : 0);
}

static void cmd_lindex(struct call *c)
{
    struct entry *e;
    struct element element;
    int64_t index;
    if (!read_typed(c, c->argv[1], TYPE_LIST, &e))
        return;
    if (!e) {
        reply_null(c);
        return;
    }
    if (!arg_i64(c, 2, &index))
        return;
    if (list_get(ref_of(e), index, &element))
        reply_element(c->w, &element);
    else
        reply_null(c);
}

static void cmd_lrange(struct call *c)
{
    struct entry *e;
    int64_t from, to;
    if (!arg_i64(c, 2, &from) || !arg_i64(c, 3, &to) || !read_typed(c, c->argv[1], TYPE_LIST, &e))
        return;
    struct value_ref list = e ? ref_of(e) : (struct value_ref){ NULL };
    int64_t count = e ? (int64_t)list_count(list) : 0;
    from = from < 0 ? from + count : from;
    to = to < 0 ? to + count : to;
    from = from < 0 ? 0 : from;
    to = to >= count ? count - 1 : to;
    if (from > to) {
        reply_array(c, 0);
        return;
    }
    struct list_walk w;
    struct element element;
    reply_array(c, to - from + 1);
    list_walk_begin(&w, list, (uint64_t)from, false);
    for (int64_t i = from; i <= to && list_walk_next(&w, &element); i++)
        reply_element(c->w, &element);
}

static void cmd_lset(struct call *c)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    int64_t index;
    if (!write_typed(c, key, TYPE_LIST, &e))
        return;
    if (!e) {
        reply_error(c, err_no_key);
        return;
    }
    if (!arg_i64(c, 2, &index))
        return;
    struct value_ref list = ref_of(e);
    list_expect(&list, &c->argv[3], 1, c->limits);
    bool set = list_set(&list, index, c->argv[3], c->blobs ? c->blobs[3] : NULL, c->limits);
    if (set)
        list_relax(&list, c->limits);
    ref_store(e, list);
    if (!set) {
        reply_error(c, err_out_of_range);
        return;
    }
    reply_ok(c);
    ks_changed(c->db, key, NOTIFY_LIST, "lset");
}

#define PUSHES (CMD_WRITE | CMD_DENY_OOM | CMD_FAST)
const struct command list_commands[] = {
    { "lpush", cmd_lpush, -3, PUSHES, KEY_1, NULL },
    { "rpush", cmd_rpush, -3, PUSHES, KEY_1, NULL },
    { "lpushx", cmd_lpushx, -3, PUSHES, KEY_1, NULL },
    { "rpushx", cmd_rpushx, -3, PUSHES, KEY_1, NULL },
    { "lpop", cmd_lpop, -2, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    { "rpop", cmd_rpop, -2, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    { "llen", cmd_llen, 2, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "lindex", cmd_lindex, 3, CMD_READ, KEY_1, NULL },
    { "lrange", cmd_lrange, 4, CMD_READ, KEY_1, NULL },
    { "lset", cmd_lset, 4, CMD_WRITE | CMD_DENY_OOM, KEY_1, NULL },
    COMMANDS_END,
};
