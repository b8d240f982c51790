/* Hashes: setting, getting, counting, removing fields, and whole hashes. Counters, random fields
 * and HSCAN are hash_more.c. */
#include "server/types/hash.h"

#include "server/commands/collection.h"

static inline struct blob *blob_of(const struct call *c, int i)
{
    return c->blobs ? c->blobs[i] : NULL;
}

/* ---- setting ---- */

/* The hash under the key, or a new one that hash_give adds. False: the key holds something else. */
static bool hash_take(struct call *c, struct entry **ret_entry, struct value_ref *ret_hash)
{
    if (!write_typed(c, c->argv[1], TYPE_HASH, ret_entry))
        return false;
    *ret_hash = *ret_entry ? ref_of(*ret_entry) : hash_new();
    return true;
}

static void hash_give(struct call *c, struct entry *e, struct value_ref hash)
{
    if (e)
        ref_store(e, hash);
    else
        ks_add_object(c->db, c->argv[1], TYPE_HASH, hash.enc, hash.object);
}

/* HSET and HMSET. False: an error was replied. */
static bool set_fields(struct call *c, int64_t *ret_new)
{
    struct entry *e;
    struct value_ref hash;
    int64_t new_n = 0;
    if (c->argc % 2 != 0) {
        reply_arity_error(c);
        return false;
    }
    if (!hash_take(c, &e, &hash))
        return false;
    if (c->argc > 4)
        hash_expect(&hash, c->argv + 2, (size_t)c->argc - 2, c->limits);
    for (int i = 2; i < c->argc; i += 2)
        new_n += hash_set(&hash, c->argv[i], c->argv[i + 1], blob_of(c, i + 1), c->limits);
    hash_give(c, e, hash);
    changed_elements(c, c->argv[1], NOTIFY_HASH, "hset", (uint64_t)c->argc / 2 - 1);
    *ret_new = new_n;
    return true;
}

static void cmd_hset(struct call *c)
{
    int64_t new_n;
    if (set_fields(c, &new_n))
        reply_int(c, new_n);
}

static void cmd_hmset(struct call *c)
{
    int64_t new_n;
    if (set_fields(c, &new_n))
        reply_ok(c);
}

static void cmd_hsetnx(struct call *c)
{
    struct entry *e;
    struct value_ref hash;
    struct element value;
    if (!write_typed(c, c->argv[1], TYPE_HASH, &e))
        return;
    if (e && hash_get(ref_of(e), c->argv[2], &value)) {
        reply_int(c, 0);
        return;
    }
    hash = e ? ref_of(e) : hash_new();
    hash_set(&hash, c->argv[2], c->argv[3], blob_of(c, 3), c->limits);
    hash_give(c, e, hash);
    ks_changed(c->db, c->argv[1], NOTIFY_HASH, "hset");
    reply_int(c, 1);
}

static void cmd_hdel(struct call *c)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    if (!write_typed(c, key, TYPE_HASH, &e))
        return;
    uint64_t deleted = 0;
    if (e) {
        struct value_ref hash = ref_of(e);
        for (int i = 2; i < c->argc; i++)
            deleted += hash_delete(&hash, c->argv[i]);
        ref_store(e, hash);
        if (deleted) {
            changed_elements(c, key, NOTIFY_HASH, "hdel", deleted);
            if (hash_count(hash) == 0)
                delete_empty(c, key);
        }
    }
    reply_int(c, (int64_t)deleted);
}

/* ---- getting ---- */

static inline void reply_field(struct call *c, const struct entry *e, struct bytes field)
{
    struct element value;
    if (e && hash_get(ref_of(e), field, &value))
        reply_element(c->w, &value);
    else
        reply_null(c);
}

static void cmd_hget(struct call *c)
{
    struct entry *e;
    if (read_typed(c, c->argv[1], TYPE_HASH, &e))
        reply_field(c, e, c->argv[2]);
}

static void cmd_hmget(struct call *c)
{
    struct entry *e;
    if (!read_typed(c, c->argv[1], TYPE_HASH, &e))
        return;
    reply_array(c, c->argc - 2);
    for (int i = 2; i < c->argc; i++)
        reply_field(c, e, c->argv[i]);
}

static void cmd_hexists(struct call *c)
{
    struct entry *e;
    struct element value;
    if (read_typed(c, c->argv[1], TYPE_HASH, &e))
        reply_int(c, e && hash_get(ref_of(e), c->argv[2], &value));
}

static void cmd_hstrlen(struct call *c)
{
    struct entry *e;
    struct element value;
    char scratch[ELEMENT_SCRATCH];
    if (!read_typed(c, c->argv[1], TYPE_HASH, &e))
        return;
    bool there = e && hash_get(ref_of(e), c->argv[2], &value);
    reply_int(c, there ? (int64_t)element_text(&value, scratch).n : 0);
}

static void cmd_hlen(struct call *c)
{
    struct entry *e;
    if (read_typed(c, c->argv[1], TYPE_HASH, &e))
        reply_int(c, e ? (int64_t)hash_count(ref_of(e)) : 0);
}

/* ---- whole hashes ---- */

enum parts { FIELDS = 1, VALUES = 2 };

static void reply_all(struct call *c, unsigned parts)
{
    struct entry *e;
    if (!read_typed(c, c->argv[1], TYPE_HASH, &e))
        return;
    int64_t n = e ? (int64_t)hash_count(ref_of(e)) : 0;
    if (parts == (FIELDS | VALUES))
        resp_map(c->w, n);
    else
        resp_array(c->w, n);
    if (!e)
        return;
    struct hash_walk w;
    struct element field, value;
    hash_walk_begin(&w, ref_of(e));
    while (hash_walk_next(&w, &field, &value)) {
        if (parts & FIELDS)
            reply_element(c->w, &field);
        if (parts & VALUES)
            reply_element(c->w, &value);
    }
}

static void cmd_hgetall(struct call *c)
{
    reply_all(c, FIELDS | VALUES);
}

static void cmd_hkeys(struct call *c)
{
    reply_all(c, FIELDS);
}

static void cmd_hvals(struct call *c)
{
    reply_all(c, VALUES);
}

const struct command hash_commands[] = {
    { "hset", cmd_hset, -4, CMD_WRITE | CMD_DENY_OOM | CMD_FAST, KEY_1, NULL },
    { "hmset", cmd_hmset, -4, CMD_WRITE | CMD_DENY_OOM | CMD_FAST, KEY_1, NULL },
    { "hsetnx", cmd_hsetnx, 4, CMD_WRITE | CMD_DENY_OOM | CMD_FAST, KEY_1, NULL },
    { "hget", cmd_hget, 3, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "hmget", cmd_hmget, -3, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "hexists", cmd_hexists, 3, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "hstrlen", cmd_hstrlen, 3, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "hlen", cmd_hlen, 2, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "hdel", cmd_hdel, -3, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    { "hgetall", cmd_hgetall, 2, CMD_READ, KEY_1, NULL },
    { "hkeys", cmd_hkeys, 2, CMD_READ, KEY_1, NULL },
    { "hvals", cmd_hvals, 2, CMD_READ, KEY_1, NULL },
    COMMANDS_END,
};
