/* DUMP and RESTORE: a value as a payload that another server can make a key of (server/persist/rdb_load.h).
 *
 * The order of RESTORE's checks is Redis': options, the name, the time, the checksum, then the value, which is read
 * whole before a key that it replaces is touched. */
#include "common/arena.h"
#include "common/buf.h"
#include "server/commands/collection.h"
#include "server/commands/expiry.h"
#include "server/persist/rdb_load.h"

static void cmd_dump(struct call *c)
{
    const struct entry *e = ks_read(c->db, c->argv[1]);
    if (!e) {
        reply_null(c);
        return;
    }
    struct buf payload = BUF_INIT(BUF_UNLIMITED);
    if (rdb_dump(e, true, &payload) < 0)
        reply_error(c, err_no_memory);
    else
        reply_bulk(c, buf_bytes(&payload));
    buf_done(&payload);
}

/* ---- RESTORE ---- */

struct restore_args {
    bool replace, absolute;
    int64_t idle_s, freq; /* -1: not given */
    int64_t ttl;          /* ms, 0: none */
};

static bool parse_number(struct call *c, int i, int64_t max, const char *error, int64_t *ret_v)
{
    if (!arg_i64(c, i, ret_v))
        return false;
    if (*ret_v >= 0 && *ret_v <= max)
        return true;
    reply_error(c, error);
    return false;
}

static bool parse_options(struct call *c, struct restore_args *a)
{
    *a = (struct restore_args){ .idle_s = -1, .freq = -1 };
    for (int i = 4; i < c->argc; i++) {
        bool more = i + 1 < c->argc;
        if (arg_is(c, i, "REPLACE")) {
            a->replace = true;
        } else if (arg_is(c, i, "ABSTTL")) {
            a->absolute = true;
        } else if (arg_is(c, i, "IDLETIME") && more && a->freq < 0) {
            if (!parse_number(c, ++i, INT64_MAX, "ERR Invalid IDLETIME value, must be >= 0",
                              &a->idle_s))
                return false;
        } else if (arg_is(c, i, "FREQ") && more && a->idle_s < 0) {
            if (!parse_number(c, ++i, UINT8_MAX, "ERR Invalid FREQ value, must be >= 0 and <= 255",
                              &a->freq))
                return false;
        } else {
            reply_syntax_error(c);
            return false;
        }
    }
    return true;
}

static bool load_payload(struct call *c, struct rdb_value *ret)
{
    struct bytes body;
    if (!rdb_dump_check(c->argv[3], &body)) {
        reply_error(c, "ERR DUMP payload version or checksum are wrong");
        return false;
    }
    struct rdb_error error;
    if (rdb_dump_load(body, c->limits, ret, &error))
        return true;
    reply_error(c, error.failure == RDB_NO_MEMORY ? err_no_memory : "ERR Bad data format");
    return false;
}

/* Only the history that the policy keeps is taken over. */
static void set_history(struct call *c, struct entry *e, const struct restore_args *a)
{
    int policy = ks_config(c->ks)->maxmemory_policy;
    bool lfu = policy == POLICY_ALLKEYS_LFU || policy == POLICY_VOLATILE_LFU;
    if (lfu && a->freq >= 0)
        entry_set_freq(c->ks, e, (uint8_t)a->freq);
    else if (!lfu && a->idle_s >= 0)
        entry_set_idle(c->ks, e, (uint64_t)a->idle_s);
}

/* The request with its time made absolute: it may be obeyed later elsewhere. */
static void absolute_effect(struct call *c, msec_t at)
{
    struct bytes *argv = arena_alloc(c->arena, ((size_t)c->argc + 1) * sizeof *argv);
    for (int i = 0; i < c->argc; i++)
        argv[i] = c->argv[i];
    argv[2] = effect_i64(c, at);
    argv[c->argc] = BYTES("ABSTTL");
    effect_replace(c, c->argc + 1, argv);
}

/* The time has come already: there is no key afterwards. */
static void restore_expired(struct call *c, bool deleted)
{
    bool lazy = deleted_by_server(c) == KS_DEL_LAZY;
    if (deleted) {
        struct bytes argv[2] = { lazy ? BYTES("UNLINK") : BYTES("DEL"), c->argv[1] };
        ks_changed(c->db, c->argv[1], NOTIFY_GENERIC, "del");
        effect_replace(c, 2, argv);
    }
    reply_ok(c);
}

static void cmd_restore(struct call *c)
{
    struct bytes key = c->argv[1];
    struct restore_args a;
    struct rdb_value v;
    if (!parse_options(c, &a))
        return;
    if (!a.replace && ks_find(c->db, key, KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY)) {
        reply_error(c, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!parse_number(c, 2, INT64_MAX, "ERR Invalid TTL value, must be >= 0", &a.ttl) ||
        !load_payload(c, &v))
        return;

    msec_t at = NO_EXPIRE;
    if (a.ttl > 0 && !expiry_at(c, a.ttl, false, !a.absolute, &at))
        at = 0; /* beyond all times: Redis too has it wrap into the past */
    bool deleted = a.replace && ks_delete(c->db, key, deleted_by_server(c));
    if (at != NO_EXPIRE && expiry_is_past(c, at)) {
        rdb_value_done(&v);
        restore_expired(c, deleted);
        return;
    }
    enum value_type type = v.type;
    set_history(c, rdb_value_store(&v, c->db, key, at), &a);
    if (at != NO_EXPIRE && !a.absolute)
        absolute_effect(c, at);
    ks_changed(c->db, key, NOTIFY_GENERIC, "restore");
    if (type == TYPE_LIST || type == TYPE_ZSET || type == TYPE_STREAM)
        key_ready(c, key);
    reply_ok(c);
}

const struct command dump_commands[] = {
    { "dump", cmd_dump, 2, CMD_READ, KEY_1, NULL },
    { "restore", cmd_restore, -4, CMD_WRITE | CMD_DENY_OOM, KEY_1, NULL },
    { "restore-asking", cmd_restore, -4, CMD_WRITE | CMD_DENY_OOM | CMD_ASKING, KEY_1, NULL },
    COMMANDS_END,
};
