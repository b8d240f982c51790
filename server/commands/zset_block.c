/* Sorted sets: popping, or waiting for something to pop. A client that was woken runs its command
 * again from here; what it changed is stated as the form that does not wait. */
#include "server/commands/zset_cmd.h"

static void blocking_pop(struct call *c, bool max)
{
    msec_t deadline;
    if (!arg_timeout(c, c->argc - 1, &deadline))
        return;
    for (int i = 1; i < c->argc - 1; i++) {
        struct bytes key = c->argv[i];
        struct entry *e;
        if (!write_typed(c, key, TYPE_ZSET, &e))
            return;
        if (!e)
            continue;
        reply_array(c, 3);
        reply_bulk(c, key);
        zset_pop(c, key, e, max, 1, PAIRS_FLAT);
        struct bytes argv[2] = { max ? BYTES("ZPOPMAX") : BYTES("ZPOPMIN"), key };
        effect_replace(c, 2, argv);
        return;
    }
    if (call_may_block(c))
        block_on_keys(c, c->argv + 1, c->argc - 2, TYPE_ZSET, deadline, 0);
    else
        resp_null_array(c->w);
}

static void cmd_bzpopmin(struct call *c)
{
    blocking_pop(c, false);
}

static void cmd_bzpopmax(struct call *c)
{
    blocking_pop(c, true);
}

static void cmd_bzmpop(struct call *c)
{
    struct mpop_args a;
    msec_t deadline;
    if (!arg_timeout(c, 1, &deadline) || !arg_mpop(c, 2, "MIN", "MAX", &a) || zset_mpop(c, &a))
        return;
    if (call_may_block(c))
        block_on_keys(c, a.keys, a.n, TYPE_ZSET, deadline, 0);
    else
        resp_null_array(c->w);
}

#define WAITS (CMD_WRITE | CMD_BLOCKING)
const struct command zset_block_commands[] = {
    { "bzpopmin", cmd_bzpopmin, -3, WAITS | CMD_FAST, KEYS_AT(1, -2, 1), NULL },
    { "bzpopmax", cmd_bzpopmax, -3, WAITS | CMD_FAST, KEYS_AT(1, -2, 1), NULL },
    { "bzmpop", cmd_bzmpop, -5, WAITS | CMD_MOVABLE_KEYS, NO_KEYS, NULL },
    COMMANDS_END,
};
