/* Strings as bitmaps: SETBIT GETBIT BITCOUNT BITPOS BITOP. The work on the bits is bits.c; here are
 * arguments, ranges and what the keyspace must hear. BITFIELD is bitfield.c. */
#include "common/arena.h"
#include "common/num.h"
#include "server/call.h"
#include "server/commands/bits.h"

/* A bit offset that a string may have, or an error is replied. */
static bool arg_offset(struct call *c, int i, uint64_t *ret_offset)
{
    int64_t v;
    if (num_parse_i64(c->argv[i], &v) && v >= 0 && (uint64_t)v / 8 < call_bulk_max(c)) {
        *ret_offset = (uint64_t)v;
        return true;
    }
    reply_error(c, "ERR bit offset is not an integer or out of range");
    return false;
}

static void cmd_setbit(struct call *c)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    uint64_t offset;
    int64_t bit;
    if (!arg_offset(c, 2, &offset))
        return;
    if (!num_parse_i64(c->argv[3], &bit) || (bit & ~(int64_t)1)) {
        reply_error(c, "ERR bit is not an integer or out of range");
        return;
    }
    if (!write_typed(c, key, TYPE_STRING, &e))
        return;
    size_t len = e ? entry_string_len(e) : 0, need = (size_t)(offset / 8) + 1;
    char *p;
    if (!ks_string_extend(c->db, key, need > len ? need : len, &p)) {
        reply_error(c, err_no_memory);
        return;
    }
    uint8_t *byte = (uint8_t *)p + offset / 8;
    unsigned shift = 7 - (unsigned)(offset % 8), old = (*byte >> shift) & 1u;
    if (need > len || old != (unsigned)bit) {
        *byte = (uint8_t)((*byte & ~(1u << shift)) | (unsigned)bit << shift);
        ks_changed(c->db, key, NOTIFY_STRING, "setbit");
    }
    reply_int(c, old);
}

static void cmd_getbit(struct call *c)
{
    struct entry *e;
    uint64_t offset;
    char scratch[24];
    if (!arg_offset(c, 2, &offset) || !read_typed(c, c->argv[1], TYPE_STRING, &e))
        return;
    reply_int(c, e ? (int64_t)bits_get(entry_string(e, scratch), offset, 1) : 0);
}

/* ---- ranges of BITCOUNT and BITPOS ---- */

struct bit_range {
    uint64_t from, to; /* bits [from, to) of the string; empty when from >= to */
    bool end_given;
};

/* BYTE or BIT, or nothing, at argument i: bits per unit. An error is replied for other words. */
static bool arg_unit(struct call *c, int i, int64_t *ret_unit)
{
    bool bit = arg_is(c, i, "BIT");
    if (!bit && c->argc > i && !arg_is(c, i, "BYTE")) {
        reply_syntax_error(c);
        return false;
    }
    *ret_unit = bit ? 1 : 8;
    return true;
}

/* The optional arguments `start [end [BYTE|BIT]]` from argument i on, over a string of n bytes.
 * Both ends are inclusive and count from the end when negative. Replies with the error and returns
 * false when they make no sense. Which of two errors is told depends on the command: `unit_first`
 * is BITPOS' order, else it is BITCOUNT's. */
static bool arg_range(struct call *c, int i, size_t n, bool unit_first, struct bit_range *ret_range)
{
    int64_t start = 0, end = -1, unit = 8;
    if (c->argc > i + 3) {
        reply_syntax_error(c);
        return false;
    }
    if (c->argc > i && !arg_i64(c, i, &start))
        return false;
    if (unit_first && !arg_unit(c, i + 2, &unit))
        return false;
    if (c->argc > i + 1 && !arg_i64(c, i + 1, &end))
        return false;
    *ret_range = (struct bit_range){ .end_given = c->argc > i + 1 };
    if (!unit_first && start < 0 && end < 0 && start > end)
        return true; /* BITCOUNT: nothing, whatever the unit; BITPOS sees the first byte if both are
                        before it */
    if (!unit_first && !arg_unit(c, i + 2, &unit))
        return false;
    int64_t total = (int64_t)n * (8 / unit);
    if (start < 0)
        start = start < -total ? 0 : start + total;
    if (end < 0)
        end = end < -total ? 0 : end + total;
    if (end >= total)
        end = total - 1;
    if (start <= end) {
        ret_range->from = (uint64_t)(start * unit);
        ret_range->to = (uint64_t)((end + 1) * unit);
    }
    return true;
}

static void cmd_bitcount(struct call *c)
{
    struct entry *e;
    char scratch[24];
    struct bit_range r;
    if (!read_typed(c, c->argv[1], TYPE_STRING, &e))
        return;
    if (!e) {
        reply_int(c, 0);
        return;
    }
    if (c->argc == 3) { /* a start needs an end */
        reply_syntax_error(c);
        return;
    }
    struct bytes s = entry_string(e, scratch);
    if (arg_range(c, 2, s.n, false, &r))
        reply_int(c, (int64_t)bits_count_range(s.p, r.from, r.to));
}

static void cmd_bitpos(struct call *c)
{
    struct entry *e;
    char scratch[24];
    int64_t bit;
    struct bit_range r;
    if (!arg_i64(c, 2, &bit))
        return;
    if (bit & ~(int64_t)1) {
        reply_error(c, "ERR The bit argument must be 1 or 0.");
        return;
    }
    if (!read_typed(c, c->argv[1], TYPE_STRING, &e))
        return;
    if (!e) { /* zeros without end */
        reply_int(c, bit ? -1 : 0);
        return;
    }
    struct bytes s = entry_string(e, scratch);
    if (!arg_range(c, 3, s.n, true, &r))
        return;
    int64_t at = bits_find(s.p, r.from, r.to, bit);
    /* Without an end the string counts as followed by zeros. */
    if (at < 0 && bit == 0 && !r.end_given && r.from < r.to)
        at = (int64_t)s.n * 8;
    reply_int(c, at);
}

/* ---- BITOP ---- */

static bool arg_op(struct call *c, enum bits_op *ret_op)
{
    static const char *const names[] = { "AND", "OR", "XOR", "NOT" }; /* order of enum bits_op */
    for (int k = 0; k < 4; k++) {
        if (!arg_is(c, 1, names[k]))
            continue;
        if (k == BITS_NOT && c->argc != 4) {
            reply_error(c, "ERR BITOP NOT must be called with a single source key.");
            return false;
        }
        *ret_op = (enum bits_op)k;
        return true;
    }
    reply_syntax_error(c);
    return false;
}

/* The strings under the source keys, empty ones for missing keys, and the length of the longest. */
static bool read_sources(struct call *c, struct bytes *sources, size_t *ret_longest)
{
    size_t longest = 0;
    for (int i = 3; i < c->argc; i++) {
        struct entry *e;
        if (!read_typed(c, c->argv[i], TYPE_STRING, &e))
            return false;
        sources[i - 3] = e ? entry_string(e, arena_alloc(c->arena, 24)) : BYTES("");
        if (sources[i - 3].n > longest)
            longest = sources[i - 3].n;
    }
    *ret_longest = longest;
    return true;
}

static void cmd_bitop(struct call *c)
{
    enum bits_op op;
    int n = c->argc - 3;
    size_t longest;
    struct bytes *sources = arena_array(c->arena, (size_t)n, sizeof(*sources)), dest = c->argv[2];
    if (!arg_op(c, &op) || !read_sources(c, sources, &longest))
        return;
    if (longest == 0) {
        if (ks_delete(c->db, dest,
                      ks_config(c->ks)->lazyfree_lazy_server_del ? KS_DEL_LAZY : KS_DEL_SYNC))
            ks_changed(c->db, dest, NOTIFY_GENERIC, "del");
        reply_int(c, 0);
        return;
    }
    struct blob *result = blob_try_new(longest, longest);
    if (!result) {
        reply_error(c, err_no_memory);
        return;
    }
    bits_combine(op, result->data, longest, sources, n);
    if (longest >= BLOB_MIN) {
        ks_set_blob(c->db, dest, result, KS_RAW, NO_EXPIRE);
    } else {
        ks_set_string(c->db, dest, blob_bytes(result), KS_RAW, NO_EXPIRE);
        blob_unref(result);
    }
    ks_changed(c->db, dest, NOTIFY_STRING, "set");
    reply_int(c, (int64_t)longest);
}

const struct command bitmap_commands[] = {
    { "setbit", cmd_setbit, 4, CMD_WRITE | CMD_DENY_OOM, KEY_1, NULL },
    { "getbit", cmd_getbit, 3, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "bitcount", cmd_bitcount, -2, CMD_READ, KEY_1, NULL },
    { "bitpos", cmd_bitpos, -3, CMD_READ, KEY_1, NULL },
    { "bitop", cmd_bitop, -4, CMD_WRITE | CMD_DENY_OOM, KEYS_AT(2, -1, 1), NULL },
    COMMANDS_END,
};
