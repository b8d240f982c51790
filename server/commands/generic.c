/* Keys whatever they hold: deleting, renaming, moving, copying, looking at them, and whole
 * databases. KEYS and SCAN are scan_cmd.c, lifetimes expire_cmd.c. */
#include "common/num.h"
#include "server/call.h"
#include "server/commands/ahead.h"

static const char err_db_range[] = "ERR DB index is out of range";
static const char err_same[] = "ERR source and destination objects are the same";

static enum ks_del del_mode(bool lazy)
{
    return lazy ? KS_DEL_LAZY : KS_DEL_SYNC;
}

/* What a command overwrites or moves onto goes this way. */
static enum ks_del del_by_server(const struct call *c)
{
    return del_mode(ks_config(c->ks)->lazyfree_lazy_server_del);
}

/* Clients may wait for a value that came under this name without a command of its type. */
static void wake_waiters(struct call *c, struct db *db, struct bytes key, enum value_type type)
{
    if (type != TYPE_LIST && type != TYPE_ZSET && type != TYPE_STREAM)
        return;
    struct call there = *c;
    there.db = db;
    key_ready(&there, key);
}

/* A database's number as 32 bits, or an error is replied. */
static bool arg_db(struct call *c, int i, struct db **ret_db)
{
    int64_t id;
    if (!arg_i64_range(c, i, INT32_MIN, INT32_MAX, &id))
        return false;
    if (ks_by_slot(c->ks) && id != 0) {
        reply_error(c, "ERR Copying to another database is not allowed in cluster mode");
        return false;
    }
    if (id < 0 || id >= ks_databases(c->ks)) {
        reply_error(c, err_db_range);
        return false;
    }
    *ret_db = ks_db(c->ks, (int)id);
    return true;
}

/* ---- deleting and asking ---- */

static void delete_keys(struct call *c, enum ks_del how)
{
    int64_t deleted = 0;
    struct ahead ahead;
    ahead_begin(&ahead, c->db, c->argv + 1, c->argc - 1, 1);
    for (int i = 1; i < c->argc; i++) {
        ahead_step(&ahead, i - 1);
        if (!ks_delete(c->db, c->argv[i], how))
            continue;
        ks_changed(c->db, c->argv[i], NOTIFY_GENERIC, "del");
        deleted++;
    }
    reply_int(c, deleted);
}

static void cmd_del(struct call *c)
{
    delete_keys(c, del_mode(ks_config(c->ks)->lazyfree_lazy_user_del));
}

static void cmd_unlink(struct call *c)
{
    delete_keys(c, KS_DEL_LAZY);
}

static void count_keys(struct call *c, unsigned flags)
{
    int64_t there = 0;
    struct ahead ahead;
    ahead_begin(&ahead, c->db, c->argv + 1, c->argc - 1, 1);
    for (int i = 1; i < c->argc; i++) {
        ahead_step(&ahead, i - 1);
        there += ks_find(c->db, c->argv[i], flags) != NULL;
    }
    reply_int(c, there);
}

static void cmd_exists(struct call *c)
{
    count_keys(c, KS_NO_TOUCH);
}

static void cmd_touch(struct call *c)
{
    count_keys(c, 0);
}

static void cmd_type(struct call *c)
{
    struct entry *e = ks_find(c->db, c->argv[1], KS_NO_TOUCH);
    resp_simple_str(c->w, e ? value_type_name(entry_type(e)) : "none");
}

static void cmd_randomkey(struct call *c)
{
    struct entry *e = db_random(c->db);
    if (e)
        reply_bulk(c, entry_key(e));
    else
        reply_null(c);
}

static void cmd_dbsize(struct call *c)
{
    reply_int(c, (int64_t)db_size(c->db));
}

/* ---- renaming, moving, copying ---- */

/* Carries `from` over to `to`, which has been checked to be there. True when done, false when
 * `keep` and there is a key of that name. */
static bool rename_key(struct call *c, struct bytes from, struct bytes to, bool keep)
{
    if (ks_write(c->db, to)) {
        if (keep)
            return false;
        ks_delete(c->db, to, del_by_server(c));
    }
    struct entry *e = ks_move(c->db, from, c->db, to);
    enum value_type type = entry_type(e);
    ks_touched(c->db, from);
    ks_notify(c->db, from, NOTIFY_GENERIC, "rename_from");
    ks_changed(c->db, to, NOTIFY_GENERIC, "rename_to");
    wake_waiters(c, c->db, to, type);
    return true;
}

static void cmd_rename(struct call *c)
{
    struct bytes from = c->argv[1], to = c->argv[2];
    if (!ks_write(c->db, from)) {
        reply_error(c, err_no_key);
        return;
    }
    if (!bytes_eq(from, to))
        rename_key(c, from, to, false);
    reply_ok(c);
}

static void cmd_renamenx(struct call *c)
{
    struct bytes from = c->argv[1], to = c->argv[2];
    if (!ks_write(c->db, from)) {
        reply_error(c, err_no_key);
        return;
    }
    reply_int(c, !bytes_eq(from, to) && rename_key(c, from, to, true));
}

static void cmd_move(struct call *c)
{
    struct bytes key = c->argv[1];
    struct db *to;
    if (ks_by_slot(c->ks)) {
        reply_error(c, "ERR MOVE is not allowed in cluster mode");
        return;
    }
    if (!arg_db(c, 2, &to))
        return;
    if (to == c->db) {
        reply_error(c, err_same);
        return;
    }
    if (!ks_write(c->db, key) || ks_find(to, key, KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY)) {
        reply_int(c, 0);
        return;
    }
    enum value_type type = entry_type(ks_move(c->db, key, to, key));
    ks_touched(c->db, key);
    ks_notify(c->db, key, NOTIFY_GENERIC, "move_from");
    ks_changed(to, key, NOTIFY_GENERIC, "move_to");
    wake_waiters(c, to, key, type);
    reply_int(c, 1);
}

struct copy_args {
    struct db *to;
    bool replace;
};

static bool parse_copy(struct call *c, struct copy_args *a)
{
    *a = (struct copy_args){ .to = c->db };
    for (int i = 3; i < c->argc; i++) {
        if (arg_is(c, i, "REPLACE")) {
            a->replace = true;
        } else if (arg_is(c, i, "DB") && i + 1 < c->argc) {
            if (!arg_db(c, ++i, &a->to))
                return false;
        } else {
            reply_syntax_error(c);
            return false;
        }
    }
    return true;
}

static void cmd_copy(struct call *c)
{
    struct bytes from = c->argv[1], to = c->argv[2];
    struct copy_args a;
    if (!parse_copy(c, &a))
        return;
    if (a.to == c->db && bytes_eq(from, to)) {
        reply_error(c, err_same);
        return;
    }
    if (!ks_read(c->db, from)) {
        reply_int(c, 0);
        return;
    }
    if (ks_find(a.to, to, KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY)) {
        if (!a.replace) {
            reply_int(c, 0);
            return;
        }
        ks_delete(a.to, to, del_by_server(c));
    }
    enum value_type type = entry_type(ks_copy(c->db, from, a.to, to));
    ks_changed(a.to, to, NOTIFY_GENERIC, "copy_to");
    wake_waiters(c, a.to, to, type);
    reply_int(c, 1);
}

/* ---- whole databases ---- */

static bool arg_flush(struct call *c, enum ks_del *ret_how)
{
    if (c->argc == 1) {
        *ret_how = del_mode(ks_config(c->ks)->lazyfree_lazy_user_flush);
        return true;
    }
    bool async = arg_is(c, 1, "ASYNC");
    if (c->argc > 2 || (!async && !arg_is(c, 1, "SYNC"))) {
        reply_syntax_error(c);
        return false;
    }
    *ret_how = del_mode(async);
    return true;
}

/* Replicas hear of a flush even if nothing was there: they may have what we do not. */
static void cmd_flushdb(struct call *c)
{
    enum ks_del how;
    if (!arg_flush(c, &how))
        return;
    ks_stats(c->ks)->dirty += db_size(c->db);
    ks_flush_db(c->db, how);
    effect_force(c);
    reply_ok(c);
}

static void cmd_flushall(struct call *c)
{
    enum ks_del how;
    if (!arg_flush(c, &how))
        return;
    for (int i = 0; i < ks_databases(c->ks); i++)
        ks_stats(c->ks)->dirty += db_size(ks_db(c->ks, i));
    ks_flush_all(c->ks, how);
    ks_stats(c->ks)->dirty++; /* the next save is due whether or not there were keys */
    ks_flushed_all(c->ks);
    effect_force(c);
    reply_ok(c);
}

/* A 32-bit number for SWAPDB, or the given error is replied. */
static bool arg_swap(struct call *c, int i, const char *error, int64_t *ret_id)
{
    if (num_parse_i64(c->argv[i], ret_id) && *ret_id >= INT32_MIN && *ret_id <= INT32_MAX)
        return true;
    reply_error(c, error);
    return false;
}

static void cmd_swapdb(struct call *c)
{
    int64_t a, b, n = ks_databases(c->ks);
    if (ks_by_slot(c->ks)) {
        reply_error(c, "ERR SWAPDB is not allowed in cluster mode");
        return;
    }
    if (!arg_swap(c, 1, "ERR invalid first DB index", &a) ||
        !arg_swap(c, 2, "ERR invalid second DB index", &b))
        return;
    if (a < 0 || a >= n || b < 0 || b >= n) {
        reply_error(c, err_db_range);
        return;
    }
    if (a != b)
        ks_swap(c->ks, (int)a, (int)b);
    ks_stats(c->ks)->dirty++;
    reply_ok(c);
}

/* ---- OBJECT ---- */

enum { SHARED_INTEGERS = 10000 }; /* Redis shares the objects of 0 .. 9999 */

static struct entry *object_find(struct call *c)
{
    struct entry *e = ks_find(c->db, c->argv[2], KS_NO_TOUCH | KS_NO_NOTIFY);
    if (!e)
        reply_null(c);
    return e;
}

static bool policy_is_lfu(const struct call *c)
{
    int policy = ks_config(c->ks)->maxmemory_policy;
    return policy == POLICY_VOLATILE_LFU || policy == POLICY_ALLKEYS_LFU;
}

static bool policy_is_lru(const struct call *c)
{
    int policy = ks_config(c->ks)->maxmemory_policy;
    return policy == POLICY_VOLATILE_LRU || policy == POLICY_ALLKEYS_LRU;
}

static void cmd_object_encoding(struct call *c)
{
    struct entry *e = object_find(c);
    if (e)
        resp_bulk_str(c->w, value_encoding_name(entry_encoding(e)));
}

/* Values are never shared here; small integers answer as Redis' shared ones do, for those who look.
 */
static void cmd_object_refcount(struct call *c)
{
    struct entry *e = object_find(c);
    int64_t v;
    if (!e)
        return;
    bool small = entry_type(e) == TYPE_STRING && entry_encoding(e) == ENC_INT &&
                 entry_string_i64(e, &v) && v >= 0 && v < SHARED_INTEGERS;
    bool shares = ks_config(c->ks)->maxmemory == 0 || !(policy_is_lfu(c) || policy_is_lru(c));
    reply_int(c, small && shares ? INT32_MAX : 1);
}

static void cmd_object_idletime(struct call *c)
{
    struct entry *e = object_find(c);
    if (!e)
        return;
    if (policy_is_lfu(c))
        reply_error(c,
                    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note "
                    "that when switching "
                    "between policies at runtime LRU and LFU data will take some time to adjust.");
    else
        reply_int(c, (int64_t)(entry_idle_ms(c->ks, e) / 1000));
}

static void cmd_object_freq(struct call *c)
{
    struct entry *e = object_find(c);
    if (!e)
        return;
    if (policy_is_lfu(c))
        reply_int(c, entry_freq(c->ks, e));
    else
        reply_error(c, "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                       "Please note that when "
                       "switching between policies at runtime LRU and LFU data will take some time "
                       "to adjust.");
}

static void cmd_object_help(struct call *c)
{
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        NULL,
    };
    reply_help(c, lines);
}

static const struct command object_subs[] = {
    { "encoding", cmd_object_encoding, 3, CMD_READ, KEYS_AT(2, 2, 1), NULL },
    { "freq", cmd_object_freq, 3, CMD_READ, KEYS_AT(2, 2, 1), NULL },
    { "help", cmd_object_help, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    { "idletime", cmd_object_idletime, 3, CMD_READ, KEYS_AT(2, 2, 1), NULL },
    { "refcount", cmd_object_refcount, 3, CMD_READ, KEYS_AT(2, 2, 1), NULL },
    COMMANDS_END,
};

#define WRITES (CMD_WRITE | CMD_FAST)
#define READS  (CMD_READ | CMD_FAST)
const struct command generic_commands[] = {
    { "del", cmd_del, -2, CMD_WRITE, KEYS_AT(1, -1, 1), NULL },
    { "unlink", cmd_unlink, -2, WRITES, KEYS_AT(1, -1, 1), NULL },
    { "exists", cmd_exists, -2, READS, KEYS_AT(1, -1, 1), NULL },
    { "touch", cmd_touch, -2, READS, KEYS_AT(1, -1, 1), NULL },
    { "type", cmd_type, 2, READS, KEY_1, NULL },
    { "randomkey", cmd_randomkey, 1, CMD_READ, NO_KEYS, NULL },
    { "dbsize", cmd_dbsize, 1, READS, NO_KEYS, NULL },
    { "rename", cmd_rename, 3, CMD_WRITE, KEYS_AT(1, 2, 1), NULL },
    { "renamenx", cmd_renamenx, 3, WRITES, KEYS_AT(1, 2, 1), NULL },
    { "move", cmd_move, 3, WRITES, KEY_1, NULL },
    { "copy", cmd_copy, -3, CMD_WRITE | CMD_DENY_OOM, KEYS_AT(1, 2, 1), NULL },
    { "flushdb", cmd_flushdb, -1, CMD_WRITE, NO_KEYS, NULL },
    { "flushall", cmd_flushall, -1, CMD_WRITE, NO_KEYS, NULL },
    { "swapdb", cmd_swapdb, 3, WRITES, NO_KEYS, NULL },
    { "object", reply_subcommand_error, -2, CMD_CONTAINER, NO_KEYS, object_subs },
    COMMANDS_END,
};
