/* Sorted sets: ranges by rank, score and name. Every form is first a span of ranks, then LIMIT cuts
 * it, then it is replied, stored, counted or removed. */
#include <math.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/num.h"
#include "server/commands/zset_cmd.h"

/* ---- bounds ---- */

/* Redis reads bounds with strtod: leading spaces, nothing at all (0), values that are too large
 * (infinite) or too small (0), and whatever comes behind a NUL byte. */
static bool parse_loosely(struct bytes s, double *ret_v)
{
    char *text = mem_alloc(s.n + 1), *end;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    double v = strtod(text, &end);
    bool ok = *end == '\0' && !isnan(v);
    mem_free(text);
    if (ok)
        *ret_v = v;
    return ok;
}

bool parse_score_bound(struct bytes s, double *ret_score, bool *ret_open)
{
    *ret_open = s.n > 0 && s.p[0] == '(';
    if (*ret_open)
        s = bytes_of(s.p + 1, s.n - 1);
    return num_parse_double(s, ret_score) || parse_loosely(s, ret_score);
}

bool parse_lex_bound(struct bytes s, struct zset_lex_bound *b)
{
    *b = (struct zset_lex_bound){ 0 };
    if (s.n == 0)
        return false;
    switch (s.p[0]) {
    case '+':
    case '-':
        b->infinite = s.p[0] == '+' ? 1 : -1;
        return s.n == 1;
    case '(':
    case '[':
        b->open = s.p[0] == '(';
        b->name = bytes_of(s.p + 1, s.n - 1);
        return true;
    default:
        return false;
    }
}

bool arg_score_range(struct call *c, int min, int max, struct zset_score_range *r)
{
    if (parse_score_bound(c->argv[min], &r->min, &r->min_open) &&
        parse_score_bound(c->argv[max], &r->max, &r->max_open))
        return true;
    reply_error(c, "ERR min or max is not a float");
    return false;
}

bool arg_lex_range(struct call *c, int min, int max, struct zset_lex_range *r)
{
    if (parse_lex_bound(c->argv[min], &r->min) && parse_lex_bound(c->argv[max], &r->max))
        return true;
    reply_error(c, "ERR min or max not valid string range item");
    return false;
}

struct zset_span span_by_rank(uint64_t count, int64_t from, int64_t to)
{
    int64_t n = (int64_t)count;
    from = from < 0 ? from + n : from;
    to = to < 0 ? to + n : to;
    from = from < 0 ? 0 : from;
    to = to >= n ? n - 1 : to;
    if (from > to)
        return (struct zset_span){ 0, 0 };
    return (struct zset_span){ (uint64_t)from, (uint64_t)to + 1 };
}

/* ---- a range as the arguments say it ---- */

enum range_by { BY_AUTO, BY_RANK, BY_SCORE, BY_LEX };

struct range {
    enum range_by by;
    bool backwards, with_scores, limited;
    int64_t offset, limit; /* limit < 0: none */
    int64_t from, to;      /* ranks */
    struct zset_score_range scores;
    struct zset_lex_range names;
};

static bool parse_range_options(struct call *c, int at, bool store, enum range_by fixed,
                                bool fixed_direction, struct range *r)
{
    for (int i = at; i < c->argc; i++) {
        if (!store && arg_is(c, i, "WITHSCORES")) {
            r->with_scores = true;
        } else if (i + 2 < c->argc && arg_is(c, i, "LIMIT")) {
            if (!arg_i64(c, i + 1, &r->offset) || !arg_i64(c, i + 2, &r->limit))
                return false;
            r->limited = true;
            i += 2;
        } else if (!fixed_direction && !r->backwards && arg_is(c, i, "REV")) {
            r->backwards = true;
        } else if (fixed == BY_AUTO && r->by == BY_AUTO && arg_is(c, i, "BYLEX")) {
            r->by = BY_LEX;
        } else if (fixed == BY_AUTO && r->by == BY_AUTO && arg_is(c, i, "BYSCORE")) {
            r->by = BY_SCORE;
        } else {
            reply_syntax_error(c);
            return false;
        }
    }
    return true;
}

/* Reads bounds at argument `at` and options behind them. A direction or kind that the command's
 * name fixes is not BY_AUTO. */
static bool parse_range(struct call *c, int at, bool store, enum range_by by, bool fixed_direction,
                        struct range *r)
{
    r->by = by;
    r->limit = -1;
    if (!parse_range_options(c, at + 2, store, by, fixed_direction, r))
        return false;
    if (r->by == BY_AUTO)
        r->by = BY_RANK;
    if (r->limited && r->limit != -1 && r->by == BY_RANK) {
        reply_error(c, "ERR syntax error, LIMIT is only supported in combination with either "
                       "BYSCORE or BYLEX");
        return false;
    }
    if (r->with_scores && r->by == BY_LEX) {
        reply_error(c, "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
        return false;
    }
    /* Backwards the first bound is the greater one, but ranks are always counted from where the
     * walk begins. */
    int min = r->backwards && r->by != BY_RANK ? at + 1 : at, max = min == at ? at + 1 : at;
    if (r->by == BY_RANK)
        return arg_i64(c, at, &r->from) && arg_i64(c, at + 1, &r->to);
    return r->by == BY_SCORE ? arg_score_range(c, min, max, &r->scores)
                             : arg_lex_range(c, min, max, &r->names);
}

/* What part of the set is meant, in ascending ranks. */
static struct zset_span find_range(struct value_ref zset, const struct range *r)
{
    uint64_t count = zset_count(zset);
    struct zset_span s = r->by == BY_RANK    ? span_by_rank(count, r->from, r->to)
                         : r->by == BY_SCORE ? zset_span_by_score(zset, &r->scores)
                                             : zset_span_by_lex(zset, &r->names);
    if (r->by == BY_RANK) {
        if (r->backwards && s.from < s.to)
            s = (struct zset_span){ count - s.to, count - s.from };
        return s;
    }
    uint64_t n = s.to - s.from;
    uint64_t skip = r->offset < 0 || (uint64_t)r->offset > n ? n : (uint64_t)r->offset;
    n -= skip;
    if (r->limit >= 0 && (uint64_t)r->limit < n)
        n = (uint64_t)r->limit;
    if (r->backwards)
        return (struct zset_span){ s.to - skip - n, s.to - skip };
    return (struct zset_span){ s.from + skip, s.from + skip + n };
}

static void range(struct call *c, enum range_by by, bool fixed_direction, bool backwards)
{
    struct range r = { .backwards = backwards };
    struct entry *e;
    if (!parse_range(c, 2, false, by, fixed_direction, &r) ||
        !read_typed(c, c->argv[1], TYPE_ZSET, &e))
        return;
    if (!e) {
        reply_array(c, 0);
        return;
    }
    struct zset_span s = find_range(ref_of(e), &r);
    reply_members_head(c, (int64_t)(s.to - s.from), r.with_scores);
    reply_members(c, ref_of(e), r.backwards ? s.to - 1 : s.from, s.to - s.from, r.backwards,
                  r.with_scores);
}

static void cmd_zrange(struct call *c)
{
    range(c, BY_AUTO, false, false);
}

static void cmd_zrevrange(struct call *c)
{
    range(c, BY_RANK, true, true);
}

static void cmd_zrangebyscore(struct call *c)
{
    range(c, BY_SCORE, true, false);
}

static void cmd_zrevrangebyscore(struct call *c)
{
    range(c, BY_SCORE, true, true);
}

static void cmd_zrangebylex(struct call *c)
{
    range(c, BY_LEX, true, false);
}

static void cmd_zrevrangebylex(struct call *c)
{
    range(c, BY_LEX, true, true);
}

/* ---- ZRANGESTORE ---- */

/* Redis begins the result as a compact set, which has no -0, unless it knows that it will be too large (it does not by
 * score or name). Members that come before a limit is passed lose that sign. */
struct signless {
    bool compact, long_name;
};

static double score_stored(const struct call *c, const struct range *r, struct signless *s, uint64_t place,
                           struct bytes name, double score)
{
    s->long_name |= !r->backwards && name.n > (size_t)c->limits->zset_max_listpack_value;
    bool lost = s->compact && !s->long_name && place < (uint64_t)c->limits->zset_max_listpack_entries;
    return lost && score == 0 ? 0 : score;
}

static void cmd_zrangestore(struct call *c)
{
    struct range r = { 0 };
    struct entry *e;
    struct zset_build b;
    if (!parse_range(c, 3, true, BY_AUTO, false, &r) || !read_typed(c, c->argv[2], TYPE_ZSET, &e))
        return;
    struct zset_span s = { 0, 0 };
    if (e)
        s = find_range(ref_of(e), &r);
    zset_build_begin(&b, s.to - s.from);
    if (s.from < s.to) {
        struct zset_walk w;
        struct element member;
        double score;
        char scratch[ELEMENT_SCRATCH];
        struct signless signless = { .compact = r.by != BY_RANK ||
                                                s.to - s.from <= (uint64_t)c->limits->zset_max_listpack_entries };
        zset_walk_begin(&w, ref_of(e), s.from, false);
        for (uint64_t i = s.from; i < s.to && zset_walk_next(&w, &member, &score); i++) {
            struct bytes name = element_text(&member, scratch);
            uint64_t place = r.backwards ? s.to - 1 - i : i - s.from;
            zset_build_add(&b, hash_bytes(name), name, score_stored(c, &r, &signless, place, name, score));
        }
    }
    store_zset(c, c->argv[1], zset_build_end(&b, c->limits), "zrangestore");
}

/* ---- counting and removing ---- */

static void cmd_zcount(struct call *c)
{
    struct zset_score_range r;
    struct entry *e;
    if (!arg_score_range(c, 2, 3, &r) || !read_typed(c, c->argv[1], TYPE_ZSET, &e))
        return;
    struct zset_span s = { 0, 0 };
    if (e)
        s = zset_span_by_score(ref_of(e), &r);
    reply_int(c, (int64_t)(s.to - s.from));
}

static void cmd_zlexcount(struct call *c)
{
    struct zset_lex_range r;
    struct entry *e;
    if (!arg_lex_range(c, 2, 3, &r) || !read_typed(c, c->argv[1], TYPE_ZSET, &e))
        return;
    struct zset_span s = { 0, 0 };
    if (e)
        s = zset_span_by_lex(ref_of(e), &r);
    reply_int(c, (int64_t)(s.to - s.from));
}

static void remove_range(struct call *c, enum range_by by, const char *event)
{
    struct bytes key = c->argv[1];
    struct range r = { .limit = -1 };
    struct entry *e;
    if (!parse_range(c, 2, true, by, true, &r) || !write_typed(c, key, TYPE_ZSET, &e))
        return;
    struct zset_span s = { 0, 0 };
    if (e)
        s = find_range(ref_of(e), &r);
    if (s.from < s.to) {
        struct value_ref zset = ref_of(e);
        zset_remove_span(&zset, s);
        zset_removed(c, key, e, zset, event, s.to - s.from);
    }
    reply_int(c, (int64_t)(s.to - s.from));
}

static void cmd_zremrangebyrank(struct call *c)
{
    remove_range(c, BY_RANK, "zremrangebyrank");
}

static void cmd_zremrangebyscore(struct call *c)
{
    remove_range(c, BY_SCORE, "zremrangebyscore");
}

static void cmd_zremrangebylex(struct call *c)
{
    remove_range(c, BY_LEX, "zremrangebylex");
}

const struct command zset_range_commands[] = {
    { "zrange", cmd_zrange, -4, CMD_READ, KEY_1, NULL },
    { "zrevrange", cmd_zrevrange, -4, CMD_READ, KEY_1, NULL },
    { "zrangebyscore", cmd_zrangebyscore, -4, CMD_READ, KEY_1, NULL },
    { "zrevrangebyscore", cmd_zrevrangebyscore, -4, CMD_READ, KEY_1, NULL },
    { "zrangebylex", cmd_zrangebylex, -4, CMD_READ, KEY_1, NULL },
    { "zrevrangebylex", cmd_zrevrangebylex, -4, CMD_READ, KEY_1, NULL },
    { "zrangestore", cmd_zrangestore, -5, CMD_WRITE | CMD_DENY_OOM, KEYS_AT(1, 2, 1), NULL },
    { "zcount", cmd_zcount, 4, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "zlexcount", cmd_zlexcount, 4, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "zremrangebyrank", cmd_zremrangebyrank, 4, CMD_WRITE, KEY_1, NULL },
    { "zremrangebyscore", cmd_zremrangebyscore, 4, CMD_WRITE, KEY_1, NULL },
    { "zremrangebylex", cmd_zremrangebylex, 4, CMD_WRITE, KEY_1, NULL },
    COMMANDS_END,
};
