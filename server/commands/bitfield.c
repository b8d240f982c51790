/* BITFIELD and BITFIELD_RO: integers of 1 to 64 bits at any bit offset of a string.
 *
 * The whole request is parsed before anything happens; then the operations run in order over the
 * string, which has been made long enough for all of them at once. */
#include "common/arena.h"
#include "common/checked.h"
#include "common/num.h"
#include "server/call.h"
#include "server/commands/bits.h"

enum field_kind { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum field_overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };

struct field {
    enum field_kind kind;
    enum field_overflow overflow;
    bool is_signed;
    unsigned bits;   /* 1..64, unsigned 1..63 */
    uint64_t offset; /* bits */
    int64_t operand; /* value or increment */
};

struct fields {
    struct field *v;
    int n;
    bool writes;
    uint64_t end; /* bytes that the writes need */
};

/* ---- parsing ---- */

static bool arg_type(struct call *c, int i, struct field *f)
{
    struct bytes s = c->argv[i];
    int64_t bits = 0;
    f->is_signed = s.n && s.p[0] == 'i';
    bool ok = s.n > 1 && (f->is_signed || s.p[0] == 'u') &&
              num_parse_i64(bytes_of(s.p + 1, s.n - 1), &bits);
    if (ok && bits >= 1 && bits <= (f->is_signed ? 64 : 63)) {
        f->bits = (unsigned)bits;
        return true;
    }
    reply_error(c, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
                   "supported but i64 is.");
    return false;
}

/* An offset in bits, or with '#' in fields of this type. */
static bool arg_field_offset(struct call *c, int i, struct field *f)
{
    struct bytes s = c->argv[i];
    int64_t v, unit = 1;
    if (s.n && s.p[0] == '#') {
        s = bytes_of(s.p + 1, s.n - 1);
        unit = f->bits;
    }
    if (num_parse_i64(s, &v) && v >= 0 && checked_mul_i64(v, unit, &v) &&
        (uint64_t)v / 8 < call_bulk_max(c)) {
        f->offset = (uint64_t)v;
        return true;
    }
    reply_error(c, "ERR bit offset is not an integer or out of range");
    return false;
}

static bool arg_overflow(struct call *c, int i, enum field_overflow *ret_overflow)
{
    if (arg_is(c, i, "WRAP"))
        *ret_overflow = OVERFLOW_WRAP;
    else if (arg_is(c, i, "SAT"))
        *ret_overflow = OVERFLOW_SAT;
    else if (arg_is(c, i, "FAIL"))
        *ret_overflow = OVERFLOW_FAIL;
    else {
        reply_error(c, "ERR Invalid OVERFLOW type specified");
        return false;
    }
    return true;
}

/* One operation, its word at argument i; *ret_next is the argument after it. */
static bool parse_field(struct call *c, int i, struct field *f, int *ret_next)
{
    int left = c->argc - i - 1; /* arguments after the word */
    if (arg_is(c, i, "GET") && left >= 2)
        f->kind = FIELD_GET;
    else if (arg_is(c, i, "SET") && left >= 3)
        f->kind = FIELD_SET;
    else if (arg_is(c, i, "INCRBY") && left >= 3)
        f->kind = FIELD_INCRBY;
    else {
        reply_syntax_error(c);
        return false;
    }
    if (!arg_type(c, i + 1, f) || !arg_field_offset(c, i + 2, f))
        return false;
    if (f->kind != FIELD_GET && !arg_i64(c, i + 3, &f->operand))
        return false;
    *ret_next = i + (f->kind == FIELD_GET ? 3 : 4);
    return true;
}

static bool parse_fields(struct call *c, struct fields *fs)
{
    enum field_overflow overflow = OVERFLOW_WRAP;
    *fs = (struct fields){ .v = arena_array(c->arena, (size_t)c->argc, sizeof(*fs->v)) };
    for (int i = 2; i < c->argc;) {
        if (arg_is(c, i, "OVERFLOW") && i + 1 < c->argc) {
            if (!arg_overflow(c, i + 1, &overflow))
                return false;
            i += 2;
            continue;
        }
        struct field f = { .overflow = overflow };
        if (!parse_field(c, i, &f, &i))
            return false;
        fs->v[fs->n++] = f;
        if (f.kind == FIELD_GET)
            continue;
        fs->writes = true;
        uint64_t end = (f.offset + f.bits + 7) / 8;
        if (end > fs->end)
            fs->end = end;
    }
    return true;
}

/* ---- arithmetic: what a field holds after the operation; false: OVERFLOW FAIL says it must not
 * happen ---- */

static int64_t sign_extend(uint64_t v, unsigned bits)
{
    unsigned shift = 64 - bits;
    return (int64_t)(v << shift) >> shift;
}

static bool settle_unsigned(const struct field *f, uint64_t old, uint64_t *ret_v)
{
    uint64_t max = ~(uint64_t)0 >> (64 - f->bits), v = (uint64_t)f->operand, sum, bound;
    if (f->kind == FIELD_SET) {
        sum = v;
        bound = max; /* negative numbers count as huge ones */
        if (v <= max) {
            *ret_v = v;
            return true;
        }
    } else {
        sum = old + v; /* modulo 2^64, which wrapping to fewer bits is exact in */
        bound = f->operand < 0 ? 0 : max;
        bool fits = f->operand < 0 ? old >= -v : v <= max - old;
        if (fits) {
            *ret_v = sum;
            return true;
        }
    }
    if (f->overflow == OVERFLOW_FAIL)
        return false;
    *ret_v = f->overflow == OVERFLOW_SAT ? bound : sum & max;
    return true;
}

static bool settle_signed(const struct field *f, int64_t old, int64_t *ret_v)
{
    int64_t max = (int64_t)(((uint64_t)1 << (f->bits - 1)) - 1), min = -max - 1;
    __int128 exact = (__int128)(f->kind == FIELD_SET ? 0 : old) + f->operand;
    if (exact >= min && exact <= max) {
        *ret_v = (int64_t)exact;
        return true;
    }
    if (f->overflow == OVERFLOW_FAIL)
        return false;
    /* Redis' arithmetic wraps for numbers so low, and its SET then saturates to the maximum.
     * BITFIELD is replicated as it came, so both must do the same. */
    bool wraps = f->kind == FIELD_SET && exact < (__int128)max - INT64_MAX;
    if (f->overflow == OVERFLOW_SAT)
        *ret_v = exact < min && !wraps ? min : max;
    else
        *ret_v = sign_extend((uint64_t)exact, f->bits);
    return true;
}

/* ---- running ---- */

static void reply_field(struct call *c, const struct field *f, uint64_t raw)
{
    reply_int(c, f->is_signed ? sign_extend(raw, f->bits) : (int64_t)raw);
}

/* SET or INCRBY: the old or the new value as the reply. False when it was refused; *ret_differs:
 * other bits now. */
static bool run_write(struct call *c, const struct field *f, char *p, size_t n, bool *ret_differs)
{
    uint64_t old = bits_get(bytes_of(p, n), f->offset, f->bits), v = 0;
    bool ok;
    if (f->is_signed) {
        int64_t s = 0;
        ok = settle_signed(f, sign_extend(old, f->bits), &s);
        v = (uint64_t)s & (~(uint64_t)0 >> (64 - f->bits));
    } else {
        ok = settle_unsigned(f, old, &v);
    }
    if (!ok) {
        reply_null(c);
        return false;
    }
    bits_put(p, f->offset, f->bits, v);
    reply_field(c, f, f->kind == FIELD_SET ? old : v);
    *ret_differs = v != old;
    return true;
}

static void run_reads(struct call *c, const struct fields *fs)
{
    struct entry *e;
    char scratch[24];
    if (!read_typed(c, c->argv[1], TYPE_STRING, &e))
        return;
    struct bytes s = e ? entry_string(e, scratch) : BYTES("");
    reply_array(c, fs->n);
    for (int i = 0; i < fs->n; i++)
        reply_field(c, &fs->v[i], bits_get(s, fs->v[i].offset, fs->v[i].bits));
}

static void run_writes(struct call *c, const struct fields *fs)
{
    struct bytes key = c->argv[1];
    struct entry *e;
    if (!write_typed(c, key, TYPE_STRING, &e))
        return;
    size_t len = e ? entry_string_len(e) : 0, n = fs->end > len ? (size_t)fs->end : len;
    char *p;
    if (!ks_string_extend(c->db, key, n, &p)) {
        reply_error(c, err_no_memory);
        return;
    }
    uint64_t changed = 0;
    bool grows = n > len, differs;
    reply_array(c, fs->n);
    for (int i = 0; i < fs->n; i++) {
        const struct field *f = &fs->v[i];
        if (f->kind == FIELD_GET)
            reply_field(c, f, bits_get(bytes_of(p, n), f->offset, f->bits));
        else if (run_write(c, f, p, n, &differs) && (differs || grows))
            changed++;
    }
    if (changed) {
        ks_changed(c->db, key, NOTIFY_STRING, "setbit");
        ks_stats(c->ks)->dirty += changed - 1;
    } else if (grows) {
        /* All was refused, but the string is longer: no event, yet replicas must hear of it. */
        ks_touched(c->db, key);
        ks_stats(c->ks)->dirty++;
    }
}

static void cmd_bitfield(struct call *c)
{
    struct fields fs;
    if (!parse_fields(c, &fs))
        return;
    if (fs.writes)
        run_writes(c, &fs);
    else
        run_reads(c, &fs);
}

static void cmd_bitfield_ro(struct call *c)
{
    struct fields fs;
    if (!parse_fields(c, &fs))
        return;
    if (fs.writes)
        reply_error(c, "ERR BITFIELD_RO only supports the GET subcommand");
    else
        run_reads(c, &fs);
}

const struct command bitfield_commands[] = {
    { "bitfield", cmd_bitfield, -2, CMD_WRITE | CMD_DENY_OOM, KEY_1, NULL },
    { "bitfield_ro", cmd_bitfield_ro, -2, CMD_READ | CMD_FAST, KEY_1, NULL },
    COMMANDS_END,
};
