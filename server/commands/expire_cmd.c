/* Lifetimes of keys: EXPIRE and its forms, TTL and its forms, PERSIST. */
#include <limits.h>

#include "common/arena.h"
#include "server/call.h"
#include "server/commands/expiry.h"

enum expire_flags {
    EXPIRE_NX = 1 << 0, /* only without an expiry */
    EXPIRE_XX = 1 << 1, /* only with one */
    EXPIRE_GT = 1 << 2, /* only later than now set; no expiry is the latest */
    EXPIRE_LT = 1 << 3, /* only earlier */
};

/* Names the whole word, but for line breaks at its end. */
static void refuse_flag(struct call *c, struct bytes word)
{
    while (word.n && (word.p[word.n - 1] == '\r' || word.p[word.n - 1] == '\n'))
        word.n--;
    int n = word.n < INT_MAX ? (int)word.n : INT_MAX;
    resp_error(c->w, arena_printf(c->arena, "ERR Unsupported option %.*s", n, word.p));
}

static bool parse_flags(struct call *c, unsigned *ret_flags)
{
    static const char *const words[] = { "NX", "XX", "GT", "LT" }; /* order of the bits */
    unsigned flags = 0;
    for (int i = 3; i < c->argc; i++) {
        int k = 0;
        while (k < 4 && !arg_is(c, i, words[k]))
            k++;
        if (k == 4) {
            refuse_flag(c, c->argv[i]);
            return false;
        }
        flags |= 1u << k;
    }
    if ((flags & EXPIRE_NX) && (flags & ~(unsigned)EXPIRE_NX)) {
        reply_error(c, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((flags & EXPIRE_GT) && (flags & EXPIRE_LT)) {
        reply_error(c, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    *ret_flags = flags;
    return true;
}

static bool allowed(unsigned flags, msec_t current, msec_t at)
{
    bool has = current != NO_EXPIRE;
    if ((flags & EXPIRE_NX) && has)
        return false;
    if ((flags & EXPIRE_XX) && !has)
        return false;
    if ((flags & EXPIRE_GT) && (!has || at <= current))
        return false;
    if ((flags & EXPIRE_LT) && has && at >= current)
        return false;
    return true;
}

static void expire(struct call *c, bool seconds, bool relative)
{
    struct bytes key = c->argv[1];
    unsigned flags;
    int64_t v;
    msec_t at;
    if (!parse_flags(c, &flags) || !arg_i64(c, 2, &v))
        return;
    if (!expiry_at(c, v, seconds, relative, &at)) {
        resp_errorf(c->w, "ERR invalid expire time in '%s' command", c->cmd->full_name);
        return;
    }
    struct entry *e = ks_write(c->db, key);
    if (!e || !allowed(flags, entry_expire(e), at)) {
        reply_int(c, 0);
        return;
    }
    if (expiry_is_past(c, at)) {
        expiry_delete(c, key);
    } else {
        at = expiry_stored(at);
        ks_set_expire(c->db, e, at);
        ks_changed(c->db, key, NOTIFY_GENERIC, "expire");
        expiry_effect(c, key, at);
    }
    reply_int(c, 1);
}

static void cmd_expire(struct call *c)
{
    expire(c, true, true);
}

static void cmd_pexpire(struct call *c)
{
    expire(c, false, true);
}

static void cmd_expireat(struct call *c)
{
    expire(c, true, false);
}

static void cmd_pexpireat(struct call *c)
{
    expire(c, false, false);
}

static void cmd_persist(struct call *c)
{
    struct entry *e = ks_write(c->db, c->argv[1]);
    if (!e || entry_expire(e) == NO_EXPIRE) {
        reply_int(c, 0);
        return;
    }
    ks_set_expire(c->db, e, NO_EXPIRE);
    ks_changed(c->db, c->argv[1], NOTIFY_GENERIC, "persist");
    reply_int(c, 1);
}

/* Rounded to the nearest, as Redis does. */
static int64_t to_seconds(msec_t ms)
{
    return ms / 1000 + (ms % 1000 >= 500);
}

/* -2 without the key, -1 without an expiry, else the time left (from `origin` on). */
static void reply_ttl(struct call *c, bool seconds, msec_t origin)
{
    struct entry *e = ks_find(c->db, c->argv[1], KS_NO_TOUCH);
    if (!e || entry_expire(e) == NO_EXPIRE) {
        reply_int(c, e ? -1 : -2);
        return;
    }
    msec_t ms = entry_expire(e) - origin;
    if (ms < 0)
        ms = 0;
    reply_int(c, seconds ? to_seconds(ms) : ms);
}

static void cmd_ttl(struct call *c)
{
    reply_ttl(c, true, c->now);
}

static void cmd_pttl(struct call *c)
{
    reply_ttl(c, false, c->now);
}

static void cmd_expiretime(struct call *c)
{
    reply_ttl(c, true, 0);
}

static void cmd_pexpiretime(struct call *c)
{
    reply_ttl(c, false, 0);
}

#define SETS (CMD_WRITE | CMD_FAST)
#define ASKS (CMD_READ | CMD_FAST)
const struct command expire_commands[] = {
    { "expire", cmd_expire, -3, SETS, KEY_1, NULL },
    { "pexpire", cmd_pexpire, -3, SETS, KEY_1, NULL },
    { "expireat", cmd_expireat, -3, SETS, KEY_1, NULL },
    { "pexpireat", cmd_pexpireat, -3, SETS, KEY_1, NULL },
    { "persist", cmd_persist, 2, SETS, KEY_1, NULL },
    { "ttl", cmd_ttl, 2, ASKS, KEY_1, NULL },
    { "pttl", cmd_pttl, 2, ASKS, KEY_1, NULL },
    { "expiretime", cmd_expiretime, 2, ASKS, KEY_1, NULL },
    { "pexpiretime", cmd_pexpiretime, 2, ASKS, KEY_1, NULL },
    COMMANDS_END,
};
