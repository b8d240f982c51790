/* Hashes, what is not plain setting and getting: counters, random fields, HSCAN. */
#include <math.h>

#include "common/arena.h"
#include "common/checked.h"
#include "common/num.h"
#include "server/commands/collection.h"
#include "server/types/hash.h"

/* ---- counters ---- */

/* Stores the result; the key is made when it is not there. */
static void store_number(struct call *c, struct entry *e, struct bytes text, const char *event)
{
    struct bytes key = c->argv[1];
    struct value_ref hash = e ? ref_of(e) : hash_new();
    hash_set(&hash, c->argv[2], text, NULL, c->limits);
    if (e)
        ref_store(e, hash);
    else
        ks_add_object(c->db, key, TYPE_HASH, hash.enc, hash.object);
    ks_changed(c->db, key, NOTIFY_HASH, event);
}

static void cmd_hincrby(struct call *c)
{
    struct entry *e;
    struct element old;
    int64_t by, v = 0;
    if (!arg_i64(c, 3, &by) || !write_typed(c, c->argv[1], TYPE_HASH, &e))
        return;
    if (e && hash_get(ref_of(e), c->argv[2], &old) && !element_i64(&old, &v)) {
        reply_error(c, "ERR hash value is not an integer");
        return;
    }
    if (!checked_add_i64(v, by, &v)) {
        reply_error(c, "ERR increment or decrement would overflow");
        return;
    }
    char text[NUM_I64_MAX];
    store_number(c, e, bytes_of(text, num_format_i64(text, v)), "hincrby");
    reply_int(c, v);
}

static bool element_long_double(const struct element *e, long double *ret_v)
{
    if (e->s.p)
        return num_parse_long_double(e->s, ret_v);
    *ret_v = (long double)e->i;
    return true;
}

static bool arg_increment(struct call *c, int i, long double *ret_by)
{
    if (!num_parse_long_double(c->argv[i], ret_by)) {
        reply_error(c, err_not_float);
        return false;
    }
    if (isinf(*ret_by)) {
        reply_error(c, "ERR value is NaN or Infinity");
        return false;
    }
    return true;
}

static void cmd_hincrbyfloat(struct call *c)
{
    struct bytes key = c->argv[1], field = c->argv[2];
    struct entry *e;
    struct element old;
    long double by, v = 0;
    if (!arg_increment(c, 3, &by) || !write_typed(c, key, TYPE_HASH, &e))
        return;
    if (e && hash_get(ref_of(e), field, &old) && !element_long_double(&old, &v)) {
        reply_error(c, "ERR hash value is not a float");
        return;
    }
    v += by;
    if (isnan(v) || isinf(v)) {
        reply_error(c, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[NUM_LONG_DOUBLE_MAX];
    struct bytes result = bytes_of(text, num_format_long_double(text, v));
    store_number(c, e, result, "hincrbyfloat");
    reply_bulk(c, result);
    struct bytes effect[] = { BYTES("HSET"), key, field, result };
    effect_replace(c, 4, effect);
}

/* ---- random fields ---- */

struct random_reply {
    struct call *c;
    bool with_values;
};

static void reply_pair(void *ctx, const struct element *field, const struct element *value)
{
    const struct random_reply *r = ctx;
    struct writer *w = r->c->w;
    if (r->with_values && w->resp > 2)
        resp_array(w, 2);
    reply_element(w, field);
    if (r->with_values)
        reply_element(w, value);
}

static void reply_header(struct random_reply *r, uint64_t n)
{
    if (r->with_values && r->c->w->resp == 2)
        n *= 2;
    reply_array(r->c, (int64_t)n);
}

/* A negative count: so many draws, the same field may come again. */
static void random_draws(struct random_reply *r, struct value_ref hash, uint64_t n)
{
    reply_header(r, n);
    for (; n > 0 && !r->c->w->muted; n--) {
        struct element field, value;
        hash_random(hash, command_prng(), &field, &value);
        reply_pair(r, &field, &value);
    }
}

static void random_count(struct call *c, int64_t count, bool with_values)
{
    struct random_reply r = { c, with_values };
    struct entry *e;
    if (!read_typed(c, c->argv[1], TYPE_HASH, &e))
        return;
    if (!e || count == 0) {
        resp_empty_array(c->w);
        return;
    }
    struct value_ref hash = ref_of(e);
    if (count < 0) {
        if (-count > DRAWS_MAX)
            reply_error(c, "ERR value is out of range");
        else
            random_draws(&r, hash, (uint64_t)-count);
        return;
    }
    uint64_t n = hash_count(hash), k = (uint64_t)count < n ? (uint64_t)count : n;
    reply_header(&r, k);
    hash_pick(hash, k, command_prng(), reply_pair, &r);
}

static void random_one(struct call *c)
{
    struct entry *e;
    struct element field, value;
    if (!read_typed(c, c->argv[1], TYPE_HASH, &e))
        return;
    if (!e) {
        reply_null(c);
        return;
    }
    hash_random(ref_of(e), command_prng(), &field, &value);
    reply_element(c->w, &field);
}

static void cmd_hrandfield(struct call *c)
{
    int64_t count;
    if (c->argc == 2) {
        random_one(c);
        return;
    }
    if (!arg_i64_range(c, 2, -INT64_MAX, INT64_MAX, &count))
        return;
    bool with_values = c->argc > 3;
    if (c->argc > 4 || (with_values && !arg_is(c, 3, "WITHVALUES"))) {
        reply_syntax_error(c);
        return;
    }
    if (with_values && (count < -INT64_MAX / 2 || count > INT64_MAX / 2)) {
        reply_error(c, "ERR value is out of range");
        return;
    }
    random_count(c, count, with_values);
}

/* ---- HSCAN ---- */

static void scan_visit(void *ctx, const struct element *field, const struct element *value)
{
    struct scan_state *s = ctx;
    if (!scan_wants(s, field))
        return;
    reply_element(s->c->w, field);
    reply_element(s->c->w, value);
    s->replied += 2;
}

static void cmd_hscan(struct call *c)
{
    struct scan_state s;
    struct entry *e;
    uint64_t cursor, steps = 0;
    if (!scan_begin(c, TYPE_HASH, &s, &cursor, &e))
        return;
    do
        cursor = hash_scan(ref_of(e), cursor, scan_visit, &s);
    while (scan_goes_on(&s, cursor, &steps));
    scan_end(&s, cursor);
}

const struct command hash_more_commands[] = {
    { "hincrby", cmd_hincrby, 4, CMD_WRITE | CMD_DENY_OOM | CMD_FAST, KEY_1, NULL },
    { "hincrbyfloat", cmd_hincrbyfloat, 4, CMD_WRITE | CMD_DENY_OOM | CMD_FAST, KEY_1, NULL },
    { "hrandfield", cmd_hrandfield, -2, CMD_READ, KEY_1, NULL },
    { "hscan", cmd_hscan, -3, CMD_READ, KEY_1, NULL },
    COMMANDS_END,
};
