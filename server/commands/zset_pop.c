/* Sorted sets: popping from an end, at once or waiting for something to pop. A client that was woken runs its command again from
 * here; what it changed is stated as the form that does not wait. */
#include "server/commands/zset_cmd.h"

static uint64_t at_most(const struct entry *e, int64_t n)
{
    uint64_t count = zset_count(ref_of(e));
    return (uint64_t)n < count ? (uint64_t)n : count;
}

enum pairs { PAIRS_FLAT, PAIRS_NESTED };

/* Pops n > 0 members (there are so many): they are written without a head, then removed. */
static void pop_members(struct call *c, struct bytes key, struct entry *e, bool max, uint64_t n, enum pairs form)
{
    struct value_ref zset = ref_of(e);
    uint64_t count = zset_count(zset);
    struct zset_walk w;
    struct element member;
    double score;
    zset_walk_begin(&w, zset, max ? count - 1 : 0, max);
    for (uint64_t i = 0; i < n && zset_walk_next(&w, &member, &score); i++) {
        if (form == PAIRS_NESTED)
            reply_array(c, 2);
        reply_element(c->w, &member);
        resp_double(c->w, score);
    }
    zset_remove_span(&zset, max ? (struct zset_span){ count - n, count } : (struct zset_span){ 0, n });
    zset_removed(c, key, e, zset, max ? "zpopmax" : "zpopmin", n);
}

static void pop(struct call *c, bool max)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    int64_t count = 1;
    bool counted = c->argc == 3;
    if (c->argc > 3) {
        reply_syntax_error(c);
        return;
    }
    if ((counted && !arg_positive(c, 2, &count)) || !write_typed(c, key, TYPE_ZSET, &e))
        return;
    uint64_t n = e ? at_most(e, count) : 0;
    if (n == 0) {
        reply_array(c, 0);
        return;
    }
    bool nested = counted && c->w->resp > 2;
    reply_array(c, (int64_t)(nested ? n : 2 * n));
    pop_members(c, key, e, max, n, nested ? PAIRS_NESTED : PAIRS_FLAT);
}

static void cmd_zpopmin(struct call *c)
{
    pop(c, false);
}

static void cmd_zpopmax(struct call *c)
{
    pop(c, true);
}

/* False when no key has anything; nothing replied then. */
static bool mpop(struct call *c, const struct mpop_args *a)
{
    for (int i = 0; i < a->n; i++) {
        struct entry *e;
        if (!write_typed(c, a->keys[i], TYPE_ZSET, &e))
            return true;
        if (!e)
            continue;
        uint64_t n = at_most(e, a->count);
        reply_array(c, 2);
        reply_bulk(c, a->keys[i]);
        reply_array(c, (int64_t)n);
        pop_members(c, a->keys[i], e, a->last, n, PAIRS_NESTED);
        struct bytes argv[3] = { a->last ? BYTES("ZPOPMAX") : BYTES("ZPOPMIN"), a->keys[i], effect_i64(c, (int64_t)n) };
        effect_replace(c, 3, argv);
        return true;
    }
    return false;
}

static void cmd_zmpop(struct call *c)
{
    struct mpop_args a;
    if (arg_mpop(c, 1, "MIN", "MAX", &a) && !mpop(c, &a))
        resp_null_array(c->w);
}

/* ---- waiting ---- */

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
        pop_members(c, key, e, max, 1, PAIRS_FLAT);
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
    if (!arg_timeout(c, 1, &deadline) || !arg_mpop(c, 2, "MIN", "MAX", &a) || mpop(c, &a))
        return;
    if (call_may_block(c))
        block_on_keys(c, a.keys, a.n, TYPE_ZSET, deadline, 0);
    else
        resp_null_array(c->w);
}

#define POPS (CMD_WRITE | CMD_FAST)
const struct command zset_pop_commands[] = {
    { "zpopmin", cmd_zpopmin, -2, POPS, KEY_1, NULL },
    { "zpopmax", cmd_zpopmax, -2, POPS, KEY_1, NULL },
    { "zmpop", cmd_zmpop, -4, CMD_WRITE | CMD_MOVABLE_KEYS, NO_KEYS, NULL },
    { "bzpopmin", cmd_bzpopmin, -3, POPS | CMD_BLOCKING, KEYS_AT(1, -2, 1), NULL },
    { "bzpopmax", cmd_bzpopmax, -3, POPS | CMD_BLOCKING, KEYS_AT(1, -2, 1), NULL },
    { "bzmpop", cmd_bzmpop, -5, CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS, NO_KEYS, NULL },
    COMMANDS_END,
};
