/* Sorted sets: popping from an end. zset_block.c has the forms that wait. */
#include "server/commands/zset_cmd.h"

static uint64_t at_most(const struct entry *e, int64_t n)
{
    uint64_t count = zset_count(ref_of(e));
    return (uint64_t)n < count ? (uint64_t)n : count;
}

void zset_pop(struct call *c, struct bytes key, struct entry *e, bool max, uint64_t n,
              enum pairs form)
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
    zset_remove_span(&zset,
                     max ? (struct zset_span){ count - n, count } : (struct zset_span){ 0, n });
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
    zset_pop(c, key, e, max, n, nested ? PAIRS_NESTED : PAIRS_FLAT);
}

static void cmd_zpopmin(struct call *c)
{
    pop(c, false);
}

static void cmd_zpopmax(struct call *c)
{
    pop(c, true);
}

bool zset_mpop(struct call *c, const struct mpop_args *a)
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
        zset_pop(c, a->keys[i], e, a->last, n, PAIRS_NESTED);
        struct bytes argv[3] = { a->last ? BYTES("ZPOPMAX") : BYTES("ZPOPMIN"), a->keys[i],
                                 effect_i64(c, (int64_t)n) };
        effect_replace(c, 3, argv);
        return true;
    }
    return false;
}

static void cmd_zmpop(struct call *c)
{
    struct mpop_args a;
    if (arg_mpop(c, 1, "MIN", "MAX", &a) && !zset_mpop(c, &a))
        resp_null_array(c->w);
}

const struct command zset_pop_commands[] = {
    { "zpopmin", cmd_zpopmin, -2, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    { "zpopmax", cmd_zpopmax, -2, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    { "zmpop", cmd_zmpop, -4, CMD_WRITE | CMD_MOVABLE_KEYS, NO_KEYS, NULL },
    COMMANDS_END,
};
