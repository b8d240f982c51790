/* Strings as whole values: SET and its forms, GET and its forms, counters. Parts of strings are
 * string_range.c.
 *
 * GET, SET, INCR, MGET and MSET are what most requests are: their plain forms go straight to one
 * keyspace verb. A large argument that arrived in a blob of its own becomes the value without being
 * copied. */
#include <math.h>

#include "common/arena.h"
#include "common/checked.h"
#include "common/num.h"
#include "server/call.h"
#include "server/commands/ahead.h"
#include "server/commands/expiry.h"

static inline void reply_string(struct call *c, const struct entry *e)
{
    struct blob *b = entry_blob(e);
    if (b) {
        resp_bulk_blob(c->w, b);
        return;
    }
    char scratch[24];
    reply_bulk(c, entry_string(e, scratch));
}

/* Argument i becomes the value. The blob is shared with the request, which still needs its bytes
 * for the effect even when the same command replaces the value again (MSET k v1 k v2). */
static inline struct entry *store(struct call *c, struct bytes key, int i, unsigned flags,
                                  msec_t expire)
{
    if (__builtin_expect(c->blobs && c->blobs[i], 0))
        return ks_set_blob(c->db, key, blob_ref(c->blobs[i]), flags, expire);
    return ks_set_string(c->db, key, c->argv[i], flags, expire);
}

static inline void set_plain(struct call *c, struct bytes key, int i)
{
    store(c, key, i, 0, NO_EXPIRE);
    ks_changed(c->db, key, NOTIFY_STRING, "set");
}

/* ---- options of SET and GETEX ---- */

enum string_options {
    OPT_NX = 1 << 0,
    OPT_XX = 1 << 1,
    OPT_GET = 1 << 2,
    OPT_KEEPTTL = 1 << 3,
    OPT_PERSIST = 1 << 4,
    OPT_EX = 1 << 5,
    OPT_PX = 1 << 6,
    OPT_EXAT = 1 << 7,
    OPT_PXAT = 1 << 8,
};
#define OPT_TIME  (OPT_EX | OPT_PX | OPT_EXAT | OPT_PXAT) /* an argument follows */
#define OPT_LIFE  (OPT_TIME | OPT_KEEPTTL | OPT_PERSIST)
#define FOR_SET   (OPT_NX | OPT_XX | OPT_GET | OPT_KEEPTTL | OPT_TIME)
#define FOR_GETEX (OPT_PERSIST | OPT_TIME)

struct string_args {
    unsigned given; /* enum string_options */
    int time;       /* argument with the time, when one of OPT_TIME is given */
};

/* What the word means, 0 for nothing. */
static unsigned option_of(struct bytes word)
{
    switch (word.n) {
    case 2:
        if ((word.p[1] | 0x20) != 'x')
            return 0;
        switch (word.p[0] | 0x20) {
        case 'e':
            return OPT_EX;
        case 'p':
            return OPT_PX;
        case 'n':
            return OPT_NX;
        case 'x':
            return OPT_XX;
        }
        return 0;
    case 3:
        return bytes_is(word, "GET") ? OPT_GET : 0;
    case 4:
        if (bytes_is(word, "EXAT"))
            return OPT_EXAT;
        return bytes_is(word, "PXAT") ? OPT_PXAT : 0;
    case 7:
        if (bytes_is(word, "KEEPTTL"))
            return OPT_KEEPTTL;
        return bytes_is(word, "PERSIST") ? OPT_PERSIST : 0;
    default:
        return 0;
    }
}

/* What may not stand beside an option. The same option twice is fine: the last one counts. */
static unsigned excluded_by(unsigned option)
{
    if (option & OPT_LIFE)
        return OPT_LIFE & ~option;
    if (option & (OPT_NX | OPT_XX))
        return (OPT_NX | OPT_XX) & ~option;
    return 0;
}

static bool parse_options(struct call *c, int from, unsigned allowed, struct string_args *ret_args)
{
    struct string_args a = { 0 };
    for (int i = from; i < c->argc; i++) {
        unsigned option = option_of(c->argv[i]) & allowed;
        bool cut = (option & OPT_TIME) && i + 1 == c->argc;
        if (!option || (a.given & excluded_by(option)) || cut) {
            reply_syntax_error(c);
            return false;
        }
        a.given |= option;
        if (option & OPT_TIME)
            a.time = ++i;
    }
    *ret_args = a;
    return true;
}

/* The time that argument i gives by the option OPT_EX, ..., or an error is replied. */
static bool arg_expire(struct call *c, int i, unsigned option, msec_t *ret_at)
{
    int64_t v;
    if (!arg_i64(c, i, &v))
        return false;
    if (v > 0 && expiry_at(c, v, option & (OPT_EX | OPT_EXAT), option & (OPT_EX | OPT_PX), ret_at))
        return true;
    resp_errorf(c->w, "ERR invalid expire time in '%s' command", c->cmd->full_name);
    return false;
}

/* ---- SET ---- */

static void effect_set(struct call *c, struct bytes key, struct bytes value, msec_t expire)
{
    struct bytes argv[5] = { BYTES("SET"), key, value };
    int argc = 3;
    if (expire != NO_EXPIRE) {
        argv[argc++] = BYTES("PXAT");
        argv[argc++] = effect_i64(c, expire);
    }
    effect_replace(c, argc, argv);
}

/* The request without its GETs: who hears the effect does not ask for the old value. */
static void effect_without_get(struct call *c)
{
    struct bytes *argv = arena_array(c->arena, (size_t)c->argc, sizeof(*argv));
    int argc = 0;
    for (int i = 0; i < c->argc; i++)
        if (i < 3 || !arg_is(c, i, "GET"))
            argv[argc++] = c->argv[i];
    effect_replace(c, argc, argv);
}

/* SET key value with an expiry. A time in the past leaves no key behind: the reply is that of a
 * SET, what was there is deleted. `exact`: the request says the time as others have to hear it. */
static void set_expiring(struct call *c, struct bytes key, int value, msec_t at, bool exact)
{
    if (expiry_is_past(c, at)) {
        expiry_delete(c, key);
        return;
    }
    store(c, key, value, 0, at);
    ks_changed(c->db, key, NOTIFY_STRING, "set");
    ks_notify(c->db, key, NOTIFY_GENERIC, "expire");
    if (!exact)
        effect_set(c, key, c->argv[value], at);
}

/* Replies (the old value with GET) and tells whether NX and XX let the value be set. */
static bool set_condition(struct call *c, struct bytes key, unsigned given, bool *ret_set)
{
    struct entry *e;
    if (given & OPT_GET) {
        if (!read_typed(c, key, TYPE_STRING, &e))
            return false;
    } else {
        e = ks_write(c->db, key);
    }
    *ret_set = !((given & OPT_NX) && e) && !((given & OPT_XX) && !e);
    if ((given & OPT_GET) && e)
        reply_string(c, e);
    else if ((given & OPT_GET) || !*ret_set)
        reply_null(c);
    return true;
}

static void set_with_options(struct call *c)
{
    struct bytes key = c->argv[1];
    struct string_args a;
    msec_t at = NO_EXPIRE;
    if (!parse_options(c, 3, FOR_SET, &a))
        return;
    if ((a.given & OPT_TIME) && !arg_expire(c, a.time, a.given & OPT_TIME, &at))
        return;
    bool set = true;
    if ((a.given & (OPT_NX | OPT_XX | OPT_GET)) && !set_condition(c, key, a.given, &set))
        return;
    if (!set)
        return;
    if (!(a.given & OPT_GET))
        reply_ok(c);
    if (a.given & OPT_TIME) {
        set_expiring(c, key, 2, at, a.given & OPT_PXAT);
        return;
    }
    store(c, key, 2, a.given & OPT_KEEPTTL ? KS_KEEP_TTL : 0, NO_EXPIRE);
    ks_changed(c->db, key, NOTIFY_STRING, "set");
    if (a.given & OPT_GET)
        effect_without_get(c);
}

static void cmd_set(struct call *c)
{
    if (__builtin_expect(c->argc > 3, 0)) {
        set_with_options(c);
        return;
    }
    set_plain(c, c->argv[1], 2);
    reply_ok(c);
}

static void setex(struct call *c, unsigned option)
{
    msec_t at;
    if (!arg_expire(c, 2, option, &at))
        return;
    set_expiring(c, c->argv[1], 3, at, false);
    reply_ok(c);
}

static void cmd_setex(struct call *c)
{
    setex(c, OPT_EX);
}

static void cmd_psetex(struct call *c)
{
    setex(c, OPT_PX);
}

static void cmd_setnx(struct call *c)
{
    if (ks_write(c->db, c->argv[1])) {
        reply_int(c, 0);
        return;
    }
    set_plain(c, c->argv[1], 2);
    reply_int(c, 1);
}

/* ---- GET ---- */

static void cmd_get(struct call *c)
{
    struct entry *e;
    if (!read_typed(c, c->argv[1], TYPE_STRING, &e))
        return;
    if (e)
        reply_string(c, e);
    else
        reply_null(c);
}

static void cmd_getset(struct call *c)
{
    struct entry *e;
    if (!read_typed(c, c->argv[1], TYPE_STRING, &e))
        return;
    if (e)
        reply_string(c, e);
    else
        reply_null(c);
    set_plain(c, c->argv[1], 2);
    effect_set(c, c->argv[1], c->argv[2], NO_EXPIRE);
}

static void cmd_getdel(struct call *c)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    if (!read_typed(c, key, TYPE_STRING, &e))
        return;
    if (!e) {
        reply_null(c);
        return;
    }
    reply_string(c, e);
    ks_delete(c->db, key, KS_DEL_SYNC);
    ks_changed(c->db, key, NOTIFY_GENERIC, "del");
    struct bytes argv[2] = { BYTES("DEL"), key };
    effect_replace(c, 2, argv);
}

static void getex_persist(struct call *c, struct bytes key, struct entry *e)
{
    if (entry_expire(e) == NO_EXPIRE)
        return;
    ks_set_expire(c->db, e, NO_EXPIRE);
    ks_changed(c->db, key, NOTIFY_GENERIC, "persist");
    struct bytes argv[2] = { BYTES("PERSIST"), key };
    effect_replace(c, 2, argv);
}

static void cmd_getex(struct call *c)
{
    struct bytes key = c->argv[1];
    struct string_args a;
    struct entry *e;
    msec_t at = NO_EXPIRE;
    if (!parse_options(c, 2, FOR_GETEX, &a) || !read_typed(c, key, TYPE_STRING, &e))
        return;
    if (!e) {
        reply_null(c);
        return;
    }
    if ((a.given & OPT_TIME) && !arg_expire(c, a.time, a.given & OPT_TIME, &at))
        return;
    reply_string(c, e);
    if (a.given & OPT_PERSIST) {
        getex_persist(c, key, e);
    } else if ((a.given & OPT_TIME) && expiry_is_past(c, at)) {
        expiry_delete(c, key);
    } else if (a.given & OPT_TIME) {
        ks_set_expire(c->db, e, at);
        ks_changed(c->db, key, NOTIFY_GENERIC, "expire");
        expiry_effect(c, key, at);
    }
}

/* ---- several keys ---- */

static void cmd_mget(struct call *c)
{
    int n = c->argc - 1;
    struct ahead ahead;
    ahead_begin(&ahead, c->db, c->argv + 1, n, 1);
    reply_array(c, n);
    for (int i = 0; i < n; i++) {
        ahead_step(&ahead, i);
        struct entry *e = ks_read(c->db, c->argv[1 + i]);
        if (e && entry_type(e) == TYPE_STRING)
            reply_string(c, e);
        else
            reply_null(c);
    }
}

static void set_pairs(struct call *c)
{
    int n = (c->argc - 1) / 2;
    struct ahead ahead;
    ahead_begin(&ahead, c->db, c->argv + 1, n, 2);
    for (int i = 0; i < n; i++) {
        ahead_step(&ahead, i);
        set_plain(c, c->argv[1 + 2 * i], 2 + 2 * i);
    }
}

static void cmd_mset(struct call *c)
{
    if (c->argc % 2 == 0) {
        reply_arity_error(c);
        return;
    }
    set_pairs(c);
    reply_ok(c);
}

static void cmd_msetnx(struct call *c)
{
    if (c->argc % 2 == 0) {
        reply_arity_error(c);
        return;
    }
    for (int i = 1; i < c->argc; i += 2) {
        if (ks_write(c->db, c->argv[i])) {
            reply_int(c, 0);
            return;
        }
    }
    set_pairs(c);
    reply_int(c, 1);
}

/* ---- counters ---- */

static void incr_by(struct call *c, int64_t by)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    int64_t v = 0;
    if (!write_typed(c, key, TYPE_STRING, &e))
        return;
    if (e && !entry_string_i64(e, &v)) {
        reply_error(c, err_not_integer);
        return;
    }
    if (!checked_add_i64(v, by, &v)) {
        reply_error(c, "ERR increment or decrement would overflow");
        return;
    }
    ks_set_i64(c->db, key, v, KS_KEEP_TTL, NO_EXPIRE);
    ks_changed(c->db, key, NOTIFY_STRING, "incrby");
    reply_int(c, v);
}

static void cmd_incr(struct call *c)
{
    incr_by(c, 1);
}

static void cmd_decr(struct call *c)
{
    incr_by(c, -1);
}

static void cmd_incrby(struct call *c)
{
    int64_t by;
    if (arg_i64(c, 2, &by))
        incr_by(c, by);
}

static void cmd_decrby(struct call *c)
{
    int64_t by;
    if (!arg_i64(c, 2, &by))
        return;
    if (by == INT64_MIN)
        reply_error(c, "ERR decrement would overflow");
    else
        incr_by(c, -by);
}

static void cmd_incrbyfloat(struct call *c)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    char scratch[24];
    long double v = 0, by;
    if (!write_typed(c, key, TYPE_STRING, &e))
        return;
    if ((e && !num_parse_long_double(entry_string(e, scratch), &v)) ||
        !num_parse_long_double(c->argv[2], &by)) {
        reply_error(c, err_not_float);
        return;
    }
    v += by;
    if (isnan(v) || isinf(v)) {
        reply_error(c, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[NUM_LONG_DOUBLE_MAX];
    struct bytes sum = bytes_of(text, num_format_long_double(text, v));
    ks_set_string(c->db, key, sum, KS_KEEP_TTL | KS_NO_INT, NO_EXPIRE);
    ks_changed(c->db, key, NOTIFY_STRING, "incrbyfloat");
    reply_bulk(c, sum);
    /* The sum, not the addend: another machine might round differently. */
    struct bytes argv[4] = { BYTES("SET"), key, sum, BYTES("KEEPTTL") };
    effect_replace(c, 4, argv);
}

#define SETS  (CMD_WRITE | CMD_DENY_OOM)
#define READS (CMD_READ | CMD_FAST)
const struct command string_commands[] = {
    { "get", cmd_get, 2, READS, KEY_1, NULL },
    { "set", cmd_set, -3, SETS, KEY_1, NULL },
    { "getset", cmd_getset, 3, SETS | CMD_FAST, KEY_1, NULL },
    { "getdel", cmd_getdel, 2, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    { "getex", cmd_getex, -2, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    { "setex", cmd_setex, 4, SETS, KEY_1, NULL },
    { "psetex", cmd_psetex, 4, SETS, KEY_1, NULL },
    { "setnx", cmd_setnx, 3, SETS | CMD_FAST, KEY_1, NULL },
    { "mget", cmd_mget, -2, READS, KEYS_AT(1, -1, 1), NULL },
    { "mset", cmd_mset, -3, SETS, KEYS_AT(1, -1, 2), NULL },
    { "msetnx", cmd_msetnx, -3, SETS, KEYS_AT(1, -1, 2), NULL },
    { "incr", cmd_incr, 2, SETS | CMD_FAST, KEY_1, NULL },
    { "decr", cmd_decr, 2, SETS | CMD_FAST, KEY_1, NULL },
    { "incrby", cmd_incrby, 3, SETS | CMD_FAST, KEY_1, NULL },
    { "decrby", cmd_decrby, 3, SETS | CMD_FAST, KEY_1, NULL },
    { "incrbyfloat", cmd_incrbyfloat, 3, SETS | CMD_FAST, KEY_1, NULL },
    COMMANDS_END,
};
