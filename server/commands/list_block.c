/* Lists: the forms that wait when there is nothing to pop. A client that was woken runs its command
 * again from here; what it changed is stated as the form that does not wait. */
#include "server/commands/list_cmd.h"

static void effect_pop(struct call *c, struct bytes key, enum list_end end)
{
    struct bytes argv[2] = { end == LIST_HEAD ? BYTES("LPOP") : BYTES("RPOP"), key };
    effect_replace(c, 2, argv);
}

/* The first key that has something is served; a key of another type is an error even behind others
 * that are empty. */
static void blocking_pop(struct call *c, enum list_end end)
{
    msec_t deadline;
    if (!arg_timeout(c, c->argc - 1, &deadline))
        return;
    for (int i = 1; i < c->argc - 1; i++) {
        struct entry *e;
        if (!write_typed(c, c->argv[i], TYPE_LIST, &e))
            return;
        if (!e)
            continue;
        reply_array(c, 2);
        reply_bulk(c, c->argv[i]);
        list_pop(c, c->argv[i], e, end, 1);
        effect_pop(c, c->argv[i], end);
        return;
    }
    if (call_may_block(c))
        block_on_keys(c, c->argv + 1, c->argc - 2, TYPE_LIST, deadline, 0);
    else
        resp_null_array(c->w);
}

static void cmd_blpop(struct call *c)
{
    blocking_pop(c, LIST_HEAD);
}

static void cmd_brpop(struct call *c)
{
    blocking_pop(c, LIST_TAIL);
}

/* Moves or waits. False when nothing was moved. */
static bool blocking_move(struct call *c, enum list_end from_end, enum list_end to_end,
                          msec_t deadline)
{
    struct entry *source;
    if (!write_typed(c, c->argv[1], TYPE_LIST, &source))
        return false;
    if (source) {
        uint64_t dirty = ks_stats(c->ks)->dirty;
        list_move(c, source, c->argv[1], c->argv[2], from_end, to_end);
        return ks_stats(c->ks)->dirty != dirty;
    }
    if (call_may_block(c))
        block_on_keys(c, c->argv + 1, 1, TYPE_LIST, deadline, 0);
    else
        reply_null(c); /* not waiting is a null, a time-out a null array: so does Redis */
    return false;
}

static void cmd_blmove(struct call *c)
{
    enum list_end from_end, to_end;
    msec_t deadline;
    if (!arg_list_end(c, 3, &from_end) || !arg_list_end(c, 4, &to_end) ||
        !arg_timeout(c, 5, &deadline))
        return;
    if (blocking_move(c, from_end, to_end, deadline)) {
        struct bytes argv[5] = { BYTES("LMOVE"), c->argv[1], c->argv[2],
                                 from_end == LIST_HEAD ? BYTES("LEFT") : BYTES("RIGHT"),
                                 to_end == LIST_HEAD ? BYTES("LEFT") : BYTES("RIGHT") };
        effect_replace(c, 5, argv);
    }
}

static void cmd_brpoplpush(struct call *c)
{
    msec_t deadline;
    if (arg_timeout(c, 3, &deadline) && blocking_move(c, LIST_TAIL, LIST_HEAD, deadline)) {
        struct bytes argv[3] = { BYTES("RPOPLPUSH"), c->argv[1], c->argv[2] };
        effect_replace(c, 3, argv);
    }
}

static void cmd_blmpop(struct call *c)
{
    struct mpop_args a;
    msec_t deadline;
    if (!arg_timeout(c, 1, &deadline) || !arg_mpop(c, 2, "LEFT", "RIGHT", &a) || list_mpop(c, &a))
        return;
    if (call_may_block(c))
        block_on_keys(c, a.keys, a.n, TYPE_LIST, deadline, 0);
    else
        resp_null_array(c->w);
}

#define WAITS (CMD_WRITE | CMD_BLOCKING)
const struct command list_block_commands[] = {
    { "blpop", cmd_blpop, -3, WAITS, KEYS_AT(1, -2, 1), NULL },
    { "brpop", cmd_brpop, -3, WAITS, KEYS_AT(1, -2, 1), NULL },
    { "blmove", cmd_blmove, 6, WAITS | CMD_DENY_OOM, KEYS_AT(1, 2, 1), NULL },
    { "brpoplpush", cmd_brpoplpush, 4, WAITS | CMD_DENY_OOM, KEYS_AT(1, 2, 1), NULL },
    { "blmpop", cmd_blmpop, -5, WAITS | CMD_MOVABLE_KEYS, NO_KEYS, NULL },
    COMMANDS_END,
};
