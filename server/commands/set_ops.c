/* The algebra of sets: SINTER, SUNION, SDIFF, their STORE forms, SINTERCARD.
 *
 * A set is walked in batches; a batch of members is asked of the other sets one after the other, so
 * that the cache misses of its members overlap, and since all tables share one order, the buckets
 * of both sides are visited from front to back. Reads need no set for the result: a member of a
 * union is written when no set before has it. The result of a STORE form is built aside, in the
 * encodings that Redis' results go through. */
#include <stdlib.h>

#include "common/arena.h"
#include "server/commands/collection.h"
#include "server/types/set.h"

struct operands {
    size_t n;     /* sets that are there */
    bool missing; /* one of the keys is not */
    bool first_missing;
    struct value_ref *v; /* in the arena */
};

/* Where members of the result go: to the client, into a set, or only into the count. */
struct result {
    struct call *c;
    bool store, reply;
    struct value_ref set;     /* with store: what it begins as, then the result */
    struct set_gather gather; /* with store: members on their way to it */
    uint64_t n, limit;        /* members so far; enough of them (0: all are wanted) */
    struct writer_mark mark;
};

/* ---- operands ---- */

static bool read_operands(struct call *c, const struct bytes *keys, int n, struct operands *ret)
{
    struct operands o = { .v = arena_array(c->arena, (size_t)n, sizeof(*o.v)) };
    for (int i = 0; i < n; i++) {
        struct entry *e;
        if (!read_typed(c, keys[i], TYPE_SET, &e))
            return false;
        if (e)
            o.v[o.n++] = ref_of(e);
        else
            o.missing = true;
        if (i == 0)
            o.first_missing = !e;
    }
    *ret = o;
    return true;
}

static int smaller_first(const void *a, const void *b)
{
    uint64_t x = set_count(*(const struct value_ref *)a),
             y = set_count(*(const struct value_ref *)b);
    return (x > y) - (x < y);
}

static int larger_first(const void *a, const void *b)
{
    return smaller_first(b, a);
}

/* ---- results ---- */

/* Members that the result does not have yet. */
static void put(struct result *r, struct set_batch *b, uint32_t which)
{
    if (r->store) {
        set_gather_batch(&r->gather, b, which);
        return;
    }
    r->n += (uint64_t)__builtin_popcount(which);
    if (!r->reply)
        return;
    for (uint32_t left = which; left; left &= left - 1)
        reply_element(r->c->w, &b->member[__builtin_ctz(left)]);
}

static void begin_with(struct result *r, struct value_ref set)
{
    set_free(r->set);
    r->set = set;
}

static bool is_enough(const struct result *r)
{
    return r->limit && r->n >= r->limit;
}

/* ---- the three operations ---- */

static void intersect(struct result *r, struct operands *o)
{
    if (o->missing)
        return;
    qsort(o->v, o->n, sizeof(*o->v), smaller_first);
    if (r->store && o->v[0].enc != ENC_INTSET) /* as Redis begins, see set_settle */
        begin_with(r, (struct value_ref){ lp_new(), ENC_LISTPACK });
    struct set_walk w;
    struct set_batch b;
    set_walk_begin(&w, o->v[0]);
    while (!is_enough(r) && set_walk_batch(&w, &b)) {
        uint32_t which = SET_BATCH_ALL(&b);
        for (size_t i = 1; i < o->n && which; i++)
            which = set_probe(o->v[i], &b, which);
        put(r, &b, which);
    }
    if (!r->store)
        return;
    r->set = set_gather_done(&r->gather, r->set, r->c->limits);
    set_settle(&r->set, r->c->limits);
}

static uint64_t largest(const struct operands *o)
{
    uint64_t most = 0;
    for (size_t i = 0; i < o->n; i++)
        most = set_count(o->v[i]) > most ? set_count(o->v[i]) : most;
    return most;
}

/* A union for a client. With few sets the earlier ones are asked whether they had a member; with
 * more of them, which would be quadratic, a set remembers. */
static void unite_for_reply(struct result *r, struct operands *o)
{
    enum { ASK_MAX = 4 };
    bool ask = o->n <= ASK_MAX;
    qsort(o->v, o->n, sizeof(*o->v), larger_first);
    struct value_ref seen = ask ? set_new() : set_new_large(largest(o), r->c->limits);
    for (size_t i = 0; i < o->n; i++) {
        struct set_walk w;
        struct set_batch b;
        set_walk_begin(&w, o->v[i]);
        while (set_walk_batch(&w, &b)) {
            uint32_t which = SET_BATCH_ALL(&b);
            for (size_t k = 0; ask && k < i && which; k++)
                which &= ~set_probe(o->v[k], &b, which);
            if (!ask)
                which = set_add_batch(&seen, &b, which, r->c->limits);
            put(r, &b, which);
        }
    }
    set_free(seen);
}

static void add_members(struct value_ref *set, struct value_ref those,
                        const struct types_limits *limits)
{
    struct set_walk w;
    struct set_batch b;
    set_walk_begin(&w, those);
    while (set_walk_batch(&w, &b))
        set_add_batch(set, &b, SET_BATCH_ALL(&b), limits);
}

static void unite(struct result *r, struct operands *o)
{
    if (!r->store) {
        unite_for_reply(r, o);
        return;
    }
    begin_with(r, set_new_large(largest(o), r->c->limits));
    for (size_t i = 0; i < o->n; i++)
        add_members(&r->set, o->v[i], r->c->limits);
}

/* Members of the first that no other set has. */
static void subtract_by_asking(struct result *r, struct operands *o)
{
    struct set_walk w;
    struct set_batch b;
    qsort(o->v + 1, o->n - 1, sizeof(*o->v), larger_first); /* likely to have it: first */
    set_walk_begin(&w, o->v[0]);
    while (set_walk_batch(&w, &b)) {
        uint32_t which = SET_BATCH_ALL(&b);
        for (size_t i = 1; i < o->n && which; i++)
            which &= ~set_probe(o->v[i], &b, which);
        put(r, &b, which);
    }
    if (r->store)
        r->set = set_gather_done(&r->gather, r->set, r->c->limits);
}

static void remove_members(struct value_ref *set, struct value_ref those)
{
    struct set_walk w;
    struct element member;
    set_walk_begin(&w, those);
    while (set_count(*set) > 0 && set_walk_next(&w, &member)) {
        char scratch[ELEMENT_SCRATCH];
        set_remove(set, element_text(&member, scratch));
    }
}

/* A copy of the first, from which the others' members are taken away. */
static void subtract_by_removing(struct result *r, const struct operands *o)
{
    struct value_ref rest = set_new_large(set_count(o->v[0]), r->c->limits);
    add_members(&rest, o->v[0], r->c->limits);
    for (size_t i = 1; i < o->n && set_count(rest) > 0; i++)
        remove_members(&rest, o->v[i]);
    if (r->store) {
        begin_with(r, rest);
        return;
    }
    struct set_walk w;
    struct set_batch b;
    set_walk_begin(&w, rest);
    while (set_walk_batch(&w, &b))
        put(r, &b, SET_BATCH_ALL(&b));
    set_free(rest);
}

/* Many sets against a large first one make asking expensive. For STORE it is Redis' decision, since
 * the encoding of the result depends on it; a reply needs no set, which makes asking cheaper. */
static bool should_remove(const struct result *r, const struct operands *o)
{
    enum { ASKING_IS_CHEAPER = 4 };
    uint64_t asking = set_count(o->v[0]) * o->n / 2, removing = 0;
    for (size_t i = 0; i < o->n; i++)
        removing += set_count(o->v[i]);
    return asking > (r->store ? removing : removing * ASKING_IS_CHEAPER);
}

static void subtract(struct result *r, struct operands *o)
{
    if (o->first_missing)
        return;
    for (size_t i = 1; i < o->n; i++) {
        if (o->v[i].object == o->v[0].object)
            return; /* from itself: nothing is left */
    }
    if (should_remove(r, o))
        subtract_by_removing(r, o);
    else
        subtract_by_asking(r, o);
}

/* ---- the commands ---- */

typedef void operation(struct result *, struct operands *);

static void reply_result(struct call *c, operation *op)
{
    struct operands o;
    struct result r = { .c = c, .reply = true };
    if (!read_operands(c, c->argv + 1, c->argc - 1, &o))
        return;
    r.mark = resp_later(c->w);
    op(&r, &o);
    resp_later_set(c->w, r.mark, (int64_t)r.n);
}

static void store_result(struct call *c, operation *op, const char *event)
{
    struct bytes key = c->argv[1];
    struct operands o;
    if (!read_operands(c, c->argv + 2, c->argc - 2, &o))
        return;
    struct result r = { .c = c, .store = true, .set = set_new() };
    op(&r, &o);
    uint64_t n = set_count(r.set);
    if (n > 0) {
        ks_replace_object(c->db, key, TYPE_SET, r.set.enc, r.set.object, 0);
        ks_changed(c->db, key, NOTIFY_SET, event);
    } else {
        set_free(r.set);
        if (ks_delete(c->db, key, deleted_by_server(c)))
            ks_changed(c->db, key, NOTIFY_GENERIC, "del");
    }
    reply_int(c, (int64_t)n);
}

static void cmd_sinter(struct call *c)
{
    reply_result(c, intersect);
}

static void cmd_sunion(struct call *c)
{
    reply_result(c, unite);
}

static void cmd_sdiff(struct call *c)
{
    reply_result(c, subtract);
}

static void cmd_sinterstore(struct call *c)
{
    store_result(c, intersect, "sinterstore");
}

static void cmd_sunionstore(struct call *c)
{
    store_result(c, unite, "sunionstore");
}

static void cmd_sdiffstore(struct call *c)
{
    store_result(c, subtract, "sdiffstore");
}

static bool arg_limit(struct call *c, int from, uint64_t *ret_limit)
{
    int64_t limit = 0;
    for (int i = from; i < c->argc; i += 2) {
        if (!arg_is(c, i, "LIMIT") || i + 1 >= c->argc) {
            reply_syntax_error(c);
            return false;
        }
        if (!num_parse_i64(c->argv[i + 1], &limit) || limit < 0) {
            reply_error(c, "ERR LIMIT can't be negative");
            return false;
        }
    }
    *ret_limit = (uint64_t)limit;
    return true;
}

static void cmd_sintercard(struct call *c)
{
    int64_t keys;
    struct operands o;
    struct result r = { .c = c };
    if (!num_parse_i64(c->argv[1], &keys) || keys <= 0) {
        reply_error(c, "ERR numkeys should be greater than 0");
        return;
    }
    if (keys > c->argc - 2) {
        reply_error(c, "ERR Number of keys can't be greater than number of args");
        return;
    }
    if (!arg_limit(c, 2 + (int)keys, &r.limit) || !read_operands(c, c->argv + 2, (int)keys, &o))
        return;
    intersect(&r, &o);
    reply_int(c, (int64_t)(is_enough(&r) ? r.limit : r.n));
}

#define STORE_FLAGS (CMD_WRITE | CMD_DENY_OOM)

const struct command set_ops_commands[] = {
    { "sinter", cmd_sinter, -2, CMD_READ, KEYS_AT(1, -1, 1), NULL },
    { "sunion", cmd_sunion, -2, CMD_READ, KEYS_AT(1, -1, 1), NULL },
    { "sdiff", cmd_sdiff, -2, CMD_READ, KEYS_AT(1, -1, 1), NULL },
    { "sinterstore", cmd_sinterstore, -3, STORE_FLAGS, KEYS_AT(1, -1, 1), NULL },
    { "sunionstore", cmd_sunionstore, -3, STORE_FLAGS, KEYS_AT(1, -1, 1), NULL },
    { "sdiffstore", cmd_sdiffstore, -3, STORE_FLAGS, KEYS_AT(1, -1, 1), NULL },
    { "sintercard", cmd_sintercard, -3, CMD_READ | CMD_MOVABLE_KEYS, NO_KEYS, NULL },
    COMMANDS_END,
};
