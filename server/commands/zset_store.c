/* Sorted sets: unions, intersections and differences of sorted sets and sets (whose members have
 * the score 1), replied, counted or stored. Results are collected in a table and sorted once. */
#include <math.h>

#include "common/arena.h"
#include "common/num.h"
#include "server/commands/zset_cmd.h"
#include "server/types/set.h"

enum operation { OP_UNION, OP_INTER, OP_DIFF };
enum aggregate { AGG_SUM, AGG_MIN, AGG_MAX };

struct source {
    struct value_ref ref; /* object NULL: no such key */
    bool plain;           /* a set */
    double weight;
    uint64_t count;
};

struct algebra {
    struct source *sources;
    int n;
    enum aggregate aggregate;
    bool with_scores;
    uint64_t limit; /* ZINTERCARD; 0: none */
};

void store_zset(struct call *c, struct bytes key, struct value_ref zset, const char *event)
{
    uint64_t n = zset_count(zset);
    if (n == 0) {
        zset_free(zset);
        if (ks_delete(c->db, key, deleted_by_server(c)))
            ks_changed(c->db, key, NOTIFY_GENERIC, "del");
        reply_int(c, 0);
        return;
    }
    bool was_there = ks_exists(c->db, key); /* Redis wakes nobody for a key that is overwritten */
    ks_replace_object(c->db, key, TYPE_ZSET, zset.enc, zset.object, 0);
    ks_changed(c->db, key, NOTIFY_ZSET, event);
    if (!was_there)
        key_ready(c, key);
    reply_int(c, (int64_t)n);
}

/* ---- sources ---- */

static bool read_source(struct call *c, struct bytes key, struct source *s)
{
    struct entry *e = ks_read(c->db, key);
    *s = (struct source){ .weight = 1 };
    if (!e)
        return true;
    if (entry_type(e) != TYPE_ZSET && entry_type(e) != TYPE_SET) {
        reply_wrong_type(c);
        return false;
    }
    s->ref = ref_of(e);
    s->plain = entry_type(e) == TYPE_SET;
    s->count = s->plain ? set_count(s->ref) : zset_count(s->ref);
    return true;
}

static bool source_find(const struct source *s, struct bytes member, double *ret_score)
{
    if (!s->ref.object)
        return false;
    if (!s->plain)
        return zset_score(s->ref, member, ret_score);
    *ret_score = 1;
    return set_has(s->ref, member);
}

struct source_walk {
    bool plain, none;
    union {
        struct set_walk set;
        struct zset_walk zset;
    };
};

static void source_walk_begin(struct source_walk *w, const struct source *s)
{
    w->plain = s->plain;
    w->none = !s->ref.object;
    if (w->none)
        return;
    if (s->plain)
        set_walk_begin(&w->set, s->ref);
    else
        zset_walk_begin(&w->zset, s->ref, 0, false);
}

/* Integers are printed into `scratch`. */
static bool source_walk_next(struct source_walk *w, char scratch[ELEMENT_SCRATCH],
                             struct bytes *ret_member, double *ret_score)
{
    struct element e;
    if (w->none ||
        !(w->plain ? set_walk_next(&w->set, &e) : zset_walk_next(&w->zset, &e, ret_score)))
        return false;
    if (w->plain)
        *ret_score = 1;
    *ret_member = element_text(&e, scratch);
    return true;
}

/* The smallest first, as Redis does it: the order in which scores are added shows in their last
 * digits. */
static void sort_sources(struct algebra *a)
{
    for (int i = 1; i < a->n; i++) {
        struct source s = a->sources[i];
        int k = i;
        for (; k > 0 && a->sources[k - 1].count > s.count; k--)
            a->sources[k] = a->sources[k - 1];
        a->sources[k] = s;
    }
}

/* ---- arguments ---- */

/* numkeys key .. from argument `at` on. */
static bool parse_sources(struct call *c, int at, struct algebra *a)
{
    int64_t n;
    if (!arg_i64(c, at, &n))
        return false;
    if (n < 1) {
        resp_errorf(c->w, "ERR at least 1 input key is needed for '%s' command", c->cmd->full_name);
        return false;
    }
    if (n > c->argc - at - 1) {
        reply_syntax_error(c);
        return false;
    }
    a->n = (int)n;
    a->sources = arena_array(c->arena, (size_t)n, sizeof(*a->sources));
    for (int i = 0; i < a->n; i++) {
        if (!read_source(c, c->argv[at + 1 + i], &a->sources[i]))
            return false;
    }
    return true;
}

static bool parse_weights(struct call *c, int at, struct algebra *a)
{
    for (int i = 0; i < a->n; i++) {
        if (!num_parse_double(c->argv[at + i], &a->sources[i].weight)) {
            reply_error(c, "ERR weight value is not a float");
            return false;
        }
    }
    return true;
}

static bool parse_aggregate(struct call *c, int i, struct algebra *a)
{
    if (arg_is(c, i, "SUM"))
        a->aggregate = AGG_SUM;
    else if (arg_is(c, i, "MIN"))
        a->aggregate = AGG_MIN;
    else if (arg_is(c, i, "MAX"))
        a->aggregate = AGG_MAX;
    else
        return false;
    return true;
}

static bool parse_algebra(struct call *c, int at, enum operation op, bool store, struct algebra *a)
{
    if (!parse_sources(c, at, a))
        return false;
    for (int i = at + 1 + a->n; i < c->argc; i++) {
        int left = c->argc - i - 1;
        if (op != OP_DIFF && left >= a->n && arg_is(c, i, "WEIGHTS")) {
            if (!parse_weights(c, i + 1, a))
                return false;
            i += a->n;
        } else if (op != OP_DIFF && left >= 1 && arg_is(c, i, "AGGREGATE") &&
                   parse_aggregate(c, i + 1, a)) {
            i++;
        } else if (!store && arg_is(c, i, "WITHSCORES")) {
            a->with_scores = true;
        } else {
            reply_syntax_error(c);
            return false;
        }
    }
    return true;
}

/* ---- working it out ---- */

static double weighted(const struct source *s, double score)
{
    score *= s->weight;
    return isnan(score) ? 0 : score;
}

static double aggregated(enum aggregate how, double a, double b)
{
    switch (how) {
    case AGG_MIN:
        return b < a ? b : a;
    case AGG_MAX:
        return b > a ? b : a;
    default:
        a += b;
        return isnan(a) ? 0 : a; /* inf - inf */
    }
}

static void unite(const struct algebra *a, struct zset_build *b)
{
    for (int i = 0; i < a->n; i++) {
        const struct source *s = &a->sources[i];
        struct source_walk w;
        struct bytes member;
        double score;
        char scratch[ELEMENT_SCRATCH];
        source_walk_begin(&w, s);
        while (source_walk_next(&w, scratch, &member, &score)) {
            uint64_t hash = hash_bytes(member);
            void *item = i > 0 ? zset_build_find(b, hash, member) : NULL;
            score = weighted(s, score);
            if (item)
                zset_item_set_score(item, aggregated(a->aggregate, zset_item_score(item), score));
            else
                zset_build_add(b, hash, member, score);
        }
    }
}

/* The score of a member of the first source in the intersection; false: another source does not
 * have it. */
static bool in_all(const struct algebra *a, struct bytes member, double *score)
{
    *score = weighted(&a->sources[0], *score);
    for (int i = 1; i < a->n; i++) {
        double other;
        if (!source_find(&a->sources[i], member, &other))
            return false;
        *score = aggregated(a->aggregate, *score, other * a->sources[i].weight);
    }
    return true;
}

static bool in_any_other(const struct algebra *a, struct bytes member)
{
    double score;
    for (int i = 1; i < a->n; i++) {
        if (source_find(&a->sources[i], member, &score))
            return true;
    }
    return false;
}

/* Intersections and differences keep members of the first source; b NULL: they are only counted, up
 * to the limit. */
static uint64_t filter(const struct algebra *a, enum operation op, struct zset_build *b)
{
    struct source_walk w;
    struct bytes member;
    double score;
    char scratch[ELEMENT_SCRATCH];
    uint64_t n = 0;
    source_walk_begin(&w, &a->sources[0]);
    while (source_walk_next(&w, scratch, &member, &score)) {
        if (op == OP_INTER ? !in_all(a, member, &score) : in_any_other(a, member))
            continue;
        n++;
        if (b)
            zset_build_add(b, hash_bytes(member), member, score);
        else if (n == a->limit)
            break;
    }
    return n;
}

static struct value_ref work_out(struct algebra *a, enum operation op,
                                 const struct types_limits *limits)
{
    struct zset_build b;
    if (op != OP_DIFF)
        sort_sources(a);
    zset_build_begin(&b, op == OP_UNION ? a->sources[a->n - 1].count : 0);
    if (op == OP_UNION)
        unite(a, &b);
    else
        filter(a, op, &b);
    return zset_build_end(&b, limits);
}

/* ---- commands ---- */

static void reply_algebra(struct call *c, enum operation op)
{
    struct algebra a = { 0 };
    if (!parse_algebra(c, 1, op, false, &a))
        return;
    struct value_ref zset = work_out(&a, op, NULL);
    uint64_t n = zset_count(zset);
    reply_members_head(c, (int64_t)n, a.with_scores);
    reply_members(c, zset, 0, n, false, a.with_scores);
    zset_free(zset);
}

static void store_algebra(struct call *c, enum operation op, const char *event)
{
    struct algebra a = { 0 };
    if (parse_algebra(c, 2, op, true, &a))
        store_zset(c, c->argv[1], work_out(&a, op, c->limits), event);
}

static void cmd_zunion(struct call *c)
{
    reply_algebra(c, OP_UNION);
}

static void cmd_zinter(struct call *c)
{
    reply_algebra(c, OP_INTER);
}

static void cmd_zdiff(struct call *c)
{
    reply_algebra(c, OP_DIFF);
}

static void cmd_zunionstore(struct call *c)
{
    store_algebra(c, OP_UNION, "zunionstore");
}

static void cmd_zinterstore(struct call *c)
{
    store_algebra(c, OP_INTER, "zinterstore");
}

static void cmd_zdiffstore(struct call *c)
{
    store_algebra(c, OP_DIFF, "zdiffstore");
}

static void cmd_zintercard(struct call *c)
{
    struct algebra a = { 0 };
    if (!parse_sources(c, 1, &a))
        return;
    for (int i = 2 + a.n; i < c->argc; i += 2) {
        int64_t limit;
        if (i + 1 >= c->argc || !arg_is(c, i, "LIMIT")) {
            reply_syntax_error(c);
            return;
        }
        if (!num_parse_i64(c->argv[i + 1], &limit) || limit < 0) {
            reply_error(c, "ERR LIMIT can't be negative");
            return;
        }
        a.limit = (uint64_t)limit;
    }
    sort_sources(&a);
    reply_int(c, (int64_t)filter(&a, OP_INTER, NULL));
}

#define READS  (CMD_READ | CMD_MOVABLE_KEYS)
#define STORES (CMD_WRITE | CMD_DENY_OOM | CMD_MOVABLE_KEYS)
const struct command zset_store_commands[] = {
    { "zunion", cmd_zunion, -3, READS, NO_KEYS, NULL },
    { "zinter", cmd_zinter, -3, READS, NO_KEYS, NULL },
    { "zdiff", cmd_zdiff, -3, READS, NO_KEYS, NULL },
    { "zintercard", cmd_zintercard, -3, READS, NO_KEYS, NULL },
    { "zunionstore", cmd_zunionstore, -4, STORES, KEY_1, NULL },
    { "zinterstore", cmd_zinterstore, -4, STORES, KEY_1, NULL },
    { "zdiffstore", cmd_zdiffstore, -4, STORES, KEY_1, NULL },
    COMMANDS_END,
};
