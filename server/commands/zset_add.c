/* Sorted sets: members and their scores. Ranges are zset_range.c, popping is zset_pop.c, algebra
 * zset_store.c. */
#include "server/commands/zset_cmd.h"

#include <stdio.h>

#include "common/arena.h"

/* ---- replies and keys, for all files ---- */

void reply_members_head(struct call *c, int64_t n, bool with_scores)
{
    reply_array(c, with_scores && c->w->resp == 2 ? 2 * n : n);
}

void reply_member(struct call *c, const struct element *member, double score, bool with_scores)
{
    if (!with_scores) {
        reply_element(c->w, member);
        return;
    }
    if (c->w->resp > 2)
        reply_array(c, 2);
    reply_element(c->w, member);
    resp_double(c->w, score);
}

void reply_members(struct call *c, struct value_ref zset, uint64_t rank, uint64_t n, bool backwards,
                   bool with_scores)
{
    struct zset_walk w;
    struct element member;
    double score;
    if (n == 0)
        return;
    zset_walk_begin(&w, zset, rank, backwards);
    for (uint64_t i = 0; i < n && zset_walk_next(&w, &member, &score); i++)
        reply_member(c, &member, score, with_scores);
}

void zset_removed(struct call *c, struct bytes key, struct entry *e, struct value_ref now,
                  const char *event, uint64_t n)
{
    ref_store(e, now);
    bool empty = zset_count(now) == 0;
    changed_elements(c, key, NOTIFY_ZSET, event, n);
    if (empty)
        delete_empty(c, key);
}

/* ---- ZADD, ZINCRBY ---- */

struct add_args {
    unsigned flags; /* enum zset_add_flags */
    bool changed;   /* CH: count changed members too */
    int at;         /* first score */
    int pairs;
};

static bool parse_add_options(struct call *c, struct add_args *a)
{
    int i = 2;
    for (; i < c->argc; i++) {
        if (arg_is(c, i, "NX"))
            a->flags |= ZSET_NX;
        else if (arg_is(c, i, "XX"))
            a->flags |= ZSET_XX;
        else if (arg_is(c, i, "CH"))
            a->changed = true;
        else if (arg_is(c, i, "INCR"))
            a->flags |= ZSET_INCR;
        else if (arg_is(c, i, "GT"))
            a->flags |= ZSET_GT;
        else if (arg_is(c, i, "LT"))
            a->flags |= ZSET_LT;
        else
            break;
    }
    a->at = i;
    if (c->argc == i || (c->argc - i) % 2 != 0) {
        reply_syntax_error(c);
        return false;
    }
    a->pairs = (c->argc - i) / 2;
    unsigned f = a->flags, one_of = f & (ZSET_GT | ZSET_LT);
    const char *error = NULL;
    if ((f & ZSET_NX) && (f & ZSET_XX))
        error = "ERR XX and NX options at the same time are not compatible";
    else if (one_of == (ZSET_GT | ZSET_LT) || (one_of && (f & ZSET_NX)))
        error = "ERR GT, LT, and/or NX options at the same time are not compatible";
    else if ((f & ZSET_INCR) && a->pairs > 1)
        error = "ERR INCR option supports a single increment-element pair";
    if (error)
        reply_error(c, error);
    return !error;
}

/* All scores first: nothing may change before one that is wrong. */
static bool parse_scores(struct call *c, const struct add_args *a, double *scores)
{
    for (int i = 0; i < a->pairs; i++) {
        if (!arg_double(c, a->at + 2 * i, &scores[i]))
            return false;
    }
    return true;
}

static size_t longest_member(const struct call *c, const struct add_args *a)
{
    size_t longest = 0;
    for (int i = 0; i < a->pairs; i++) {
        size_t n = c->argv[a->at + 2 * i + 1].n;
        longest = n > longest ? n : longest;
    }
    return longest;
}

struct add_result {
    int64_t added, updated, processed; /* processed: not refused by a flag */
    double score;
    bool nan;
};

static struct add_result add_members(struct call *c, struct value_ref *zset,
                                     const struct add_args *a, const double *scores)
{
    struct add_result r = { 0 };
    for (int i = 0; i < a->pairs; i++) {
        switch (
            zset_add(zset, scores[i], c->argv[a->at + 2 * i + 1], a->flags, c->limits, &r.score)) {
        case ZSET_ADDED:
            r.added++;
            break;
        case ZSET_UPDATED:
            r.updated++;
            break;
        case ZSET_SAME:
            break;
        case ZSET_REFUSED:
            continue;
        case ZSET_NAN:
            r.nan = true;
            return r;
        }
        r.processed++;
    }
    return r;
}

static void reply_added(struct call *c, const struct add_args *a, const struct add_result *r)
{
    if (r->nan)
        reply_error(c, "ERR resulting score is not a number (NaN)");
    else if (!(a->flags & ZSET_INCR))
        reply_int(c, a->changed ? r->added + r->updated : r->added);
    else if (r->processed)
        resp_double(c->w, r->score);
    else
        reply_null(c);
}

static void add(struct call *c, const struct add_args *a)
{
    enum { FEW = 16 };
    double few[FEW];
    struct bytes key = c->argv[1];
    struct entry *e;
    double *scores =
        a->pairs <= FEW ? few : arena_array(c->arena, (size_t)a->pairs, sizeof(*scores));
    if (!parse_scores(c, a, scores) || !write_typed(c, key, TYPE_ZSET, &e))
        return;
    struct add_result r = { 0 };
    if (e || !(a->flags & ZSET_XX)) {
        uint64_t pairs = (uint64_t)a->pairs;
        size_t longest = longest_member(c, a);
        struct value_ref zset = e ? ref_of(e) : zset_new_for(pairs, longest, c->limits);
        zset_expect(&zset, pairs, longest, c->limits);
        r = add_members(c, &zset, a, scores);
        if (e)
            ref_store(e, zset);
        else
            ks_add_object(c->db, key, TYPE_ZSET, zset.enc, zset.object);
    }
    reply_added(c, a, &r);
    if (r.added || r.updated) {
        changed_elements(c, key, NOTIFY_ZSET, a->flags & ZSET_INCR ? "zincr" : "zadd",
                         (uint64_t)(r.added + r.updated));
        key_ready(c, key);
    }
}

static void cmd_zadd(struct call *c)
{
    struct add_args a = { 0 };
    if (parse_add_options(c, &a))
        add(c, &a);
}

static void cmd_zincrby(struct call *c)
{
    struct add_args a = { .flags = ZSET_INCR, .at = 2, .pairs = 1 };
    add(c, &a);
}

/* ---- ZREM ---- */

static void cmd_zrem(struct call *c)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    int64_t n = 0;
    if (!write_typed(c, key, TYPE_ZSET, &e))
        return;
    if (e) {
        struct value_ref zset = ref_of(e);
        for (int i = 2; i < c->argc; i++)
            n += zset_remove(&zset, c->argv[i]);
        ref_store(e, zset);
        if (n > 0)
            zset_removed(c, key, e, zset, "zrem", (uint64_t)n);
    }
    reply_int(c, n);
}

/* ---- reading members ---- */

static void cmd_zcard(struct call *c)
{
    struct entry *e;
    if (read_typed(c, c->argv[1], TYPE_ZSET, &e))
        reply_int(c, e ? (int64_t)zset_count(ref_of(e)) : 0);
}

static void reply_score(struct call *c, const struct entry *e, struct bytes member)
{
    double score;
    if (e && zset_score(ref_of(e), member, &score))
        resp_double(c->w, score);
    else
        reply_null(c);
}

static void cmd_zscore(struct call *c)
{
    struct entry *e;
    if (read_typed(c, c->argv[1], TYPE_ZSET, &e))
        reply_score(c, e, c->argv[2]);
}

static void cmd_zmscore(struct call *c)
{
    struct entry *e;
    if (!read_typed(c, c->argv[1], TYPE_ZSET, &e))
        return;
    reply_array(c, c->argc - 2);
    for (int i = 2; i < c->argc; i++)
        reply_score(c, e, c->argv[i]);
}

static void rank(struct call *c, bool from_end)
{
    struct entry *e;
    bool with_score = c->argc == 4;
    if (c->argc > 4) {
        reply_arity_error(c);
        return;
    }
    if (with_score && !arg_is(c, 3, "WITHSCORE")) {
        reply_syntax_error(c);
        return;
    }
    if (!read_typed(c, c->argv[1], TYPE_ZSET, &e))
        return;
    uint64_t r;
    double score;
    if (!e || !zset_rank(ref_of(e), c->argv[2], &r, &score)) {
        if (with_score)
            resp_null_array(c->w);
        else
            reply_null(c);
        return;
    }
    if (with_score)
        reply_array(c, 2);
    reply_int(c, (int64_t)(from_end ? zset_count(ref_of(e)) - 1 - r : r));
    if (with_score)
        resp_double(c->w, score);
}

static void cmd_zrank(struct call *c)
{
    rank(c, false);
}

static void cmd_zrevrank(struct call *c)
{
    rank(c, true);
}

/* ---- ZRANDMEMBER, ZSCAN ---- */

struct random_reply {
    struct call *c;
    bool with_scores;
};

static void reply_random(void *ctx, const struct element *member, double score)
{
    const struct random_reply *r = ctx;
    reply_member(r->c, member, score, r->with_scores);
}

/* A negative count may name a member several times, and is answered in full. */
static void random_members(struct call *c, struct value_ref zset, int64_t count, bool with_scores)
{
    struct random_reply r = { c, with_scores };
    if (count >= 0) {
        uint64_t all = zset_count(zset), n = (uint64_t)count < all ? (uint64_t)count : all;
        reply_members_head(c, (int64_t)n, with_scores);
        if (n == all)
            reply_members(c, zset, 0, n, false, with_scores);
        else
            zset_pick(zset, n, command_prng(), reply_random, &r);
        return;
    }
    reply_members_head(c, -count, with_scores);
    for (int64_t i = 0; i < -count; i++) {
        struct element member;
        double score;
        zset_random(zset, command_prng(), &member, &score);
        reply_random(&r, &member, score);
    }
}

static void cmd_zrandmember(struct call *c)
{
    struct entry *e;
    int64_t count;
    if (c->argc == 2) {
        struct element member;
        double score;
        if (!read_typed(c, c->argv[1], TYPE_ZSET, &e))
            return;
        if (!e) {
            reply_null(c);
            return;
        }
        zset_random(ref_of(e), command_prng(), &member, &score);
        reply_element(c->w, &member);
        return;
    }
    if (!arg_i64_range(c, 2, -INT64_MAX, INT64_MAX, &count))
        return;
    bool with_scores = c->argc == 4 && arg_is(c, 3, "WITHSCORES");
    if (c->argc > 4 || (c->argc == 4 && !with_scores)) {
        reply_syntax_error(c);
        return;
    }
    if (with_scores && (count < -INT64_MAX / 2 || count > INT64_MAX / 2)) {
        reply_error(c, "ERR value is out of range");
        return;
    }
    if (!read_typed(c, c->argv[1], TYPE_ZSET, &e))
        return;
    if (!e || count == 0)
        reply_array(c, 0);
    else if (count < -DRAWS_MAX)
        reply_error(c, "ERR value is out of range");
    else
        random_members(c, ref_of(e), count, with_scores);
}

struct scanned {
    struct scan_state s;
    enum value_encoding enc;
};

/* Scores are bulks in RESP3 too. Those of a large set come with 17 digits: of all replies Redis
 * prints only this one so. */
static void visit_scanned(void *ctx, const struct element *member, double score)
{
    struct scanned *z = ctx;
    if (!scan_wants(&z->s, member))
        return;
    char text[NUM_DOUBLE_MAX];
    size_t n = z->enc == ENC_LISTPACK ? num_format_double(text, score)
                                      : (size_t)snprintf(text, sizeof(text), "%.17g", score);
    reply_element(z->s.c->w, member);
    reply_bulk(z->s.c, bytes_of(text, n));
    z->s.replied += 2;
}

static void cmd_zscan(struct call *c)
{
    struct scanned z;
    struct entry *e;
    uint64_t cursor, steps = 0;
    if (!scan_begin(c, TYPE_ZSET, &z.s, &cursor, &e))
        return;
    z.enc = entry_encoding(e);
    do {
        cursor = zset_scan(ref_of(e), cursor, visit_scanned, &z);
    } while (scan_goes_on(&z.s, cursor, &steps));
    scan_end(&z.s, cursor);
}

#define ADDS  (CMD_WRITE | CMD_DENY_OOM | CMD_FAST)
#define READS (CMD_READ | CMD_FAST)
const struct command zset_add_commands[] = {
    { "zadd", cmd_zadd, -4, ADDS, KEY_1, NULL },
    { "zincrby", cmd_zincrby, 4, ADDS, KEY_1, NULL },
    { "zrem", cmd_zrem, -3, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    { "zcard", cmd_zcard, 2, READS, KEY_1, NULL },
    { "zscore", cmd_zscore, 3, READS, KEY_1, NULL },
    { "zmscore", cmd_zmscore, -3, READS, KEY_1, NULL },
    { "zrank", cmd_zrank, -3, READS, KEY_1, NULL },
    { "zrevrank", cmd_zrevrank, -3, READS, KEY_1, NULL },
    { "zrandmember", cmd_zrandmember, -2, CMD_READ, KEY_1, NULL },
    { "zscan", cmd_zscan, -3, CMD_READ, KEY_1, NULL },
    COMMANDS_END,
};
