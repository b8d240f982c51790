/* Parts of strings: APPEND STRLEN SETRANGE GETRANGE SUBSTR. Growth goes through ks_string_extend,
 * which keeps room to grow and refuses what memory does not allow before anything changed. */
#include "common/checked.h"
#include "server/call.h"

/* The length `n` (SIZE_MAX when it did not fit) is one that a string may have, or an error is
 * replied. */
static bool length_ok(struct call *c, size_t n)
{
    if (n <= call_bulk_max(c))
        return true;
    reply_error(c, err_string_max);
    return false;
}

static size_t sum_or_max(size_t a, size_t b)
{
    size_t n;
    return checked_add(a, b, &n) ? n : SIZE_MAX;
}

static void append_to_nothing(struct call *c)
{
    if (!length_ok(c, c->argv[2].n))
        return;
    if (c->blobs && c->blobs[2])
        ks_set_blob(c->db, c->argv[1], blob_ref(c->blobs[2]), 0, NO_EXPIRE);
    else
        ks_set_string(c->db, c->argv[1], c->argv[2], 0, NO_EXPIRE);
    ks_changed(c->db, c->argv[1], NOTIFY_STRING, "append");
    reply_int(c, (int64_t)c->argv[2].n);
}

static void cmd_append(struct call *c)
{
    struct bytes key = c->argv[1], tail = c->argv[2];
    struct entry *e;
    if (!write_typed(c, key, TYPE_STRING, &e))
        return;
    if (!e) {
        append_to_nothing(c);
        return;
    }
    size_t len = entry_string_len(e), total = sum_or_max(len, tail.n);
    char *p;
    if (!length_ok(c, total))
        return;
    if (!ks_string_extend(c->db, key, total, &p)) {
        reply_error(c, err_no_memory);
        return;
    }
    if (tail.n)
        memcpy(p + len, tail.p, tail.n);
    ks_changed(c->db, key, NOTIFY_STRING, "append");
    reply_int(c, (int64_t)total);
}

static void cmd_strlen(struct call *c)
{
    struct entry *e;
    if (read_typed(c, c->argv[1], TYPE_STRING, &e))
        reply_int(c, e ? (int64_t)entry_string_len(e) : 0);
}

static void cmd_setrange(struct call *c)
{
    struct bytes key = c->argv[1], part = c->argv[3];
    struct entry *e;
    int64_t offset;
    if (!arg_i64(c, 2, &offset))
        return;
    if (offset < 0) {
        reply_error(c, "ERR offset is out of range");
        return;
    }
    if (!write_typed(c, key, TYPE_STRING, &e))
        return;
    size_t len = e ? entry_string_len(e) : 0, end = sum_or_max((size_t)offset, part.n);
    if (part.n == 0) {
        reply_int(c, (int64_t)len);
        return;
    }
    char *p;
    if (!length_ok(c, end))
        return;
    size_t total = end > len ? end : len;
    if (!ks_string_extend(c->db, key, total, &p)) {
        reply_error(c, err_no_memory);
        return;
    }
    memcpy(p + offset, part.p, part.n);
    ks_changed(c->db, key, NOTIFY_STRING, "setrange");
    reply_int(c, (int64_t)total);
}

/* GETRANGE's bounds, both inclusive, negative from the end. An empty part when they do not meet. */
static struct bytes part_of(struct bytes s, int64_t start, int64_t end)
{
    int64_t n = (int64_t)s.n;
    if (start < 0 && end < 0 && start > end)
        return BYTES("");
    if (start < 0)
        start = start < -n ? 0 : start + n;
    if (end < 0)
        end = end < -n ? 0 : end + n;
    if (end >= n)
        end = n - 1;
    if (start > end)
        return BYTES("");
    return bytes_of(s.p + start, (size_t)(end - start + 1));
}

static void cmd_getrange(struct call *c)
{
    struct entry *e;
    int64_t start, end;
    char scratch[24];
    if (!arg_i64(c, 2, &start) || !arg_i64(c, 3, &end) ||
        !read_typed(c, c->argv[1], TYPE_STRING, &e))
        return;
    reply_bulk(c, e ? part_of(entry_string(e, scratch), start, end) : BYTES(""));
}

const struct command string_range_commands[] = {
    { "append", cmd_append, 3, CMD_WRITE | CMD_DENY_OOM | CMD_FAST, KEY_1, NULL },
    { "strlen", cmd_strlen, 2, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "setrange", cmd_setrange, 4, CMD_WRITE | CMD_DENY_OOM, KEY_1, NULL },
    { "getrange", cmd_getrange, 4, CMD_READ, KEY_1, NULL },
    { "substr", cmd_getrange, 4, CMD_READ, KEY_1, NULL },
    COMMANDS_END,
};
