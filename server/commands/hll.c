/* HyperLogLog: PFADD, PFCOUNT, PFMERGE and what looks into them (types/hll.h).
 *
 * The values are strings. A dense one is changed in place; a sparse one, which is small, in a
 * buffer that is put back. */
#include "server/types/hll.h"

#include "common/arena.h"
#include "server/commands/collection.h"

static const char err_corrupt[] = "INVALIDOBJ Corrupted HLL object detected";

static bool check_hll(struct call *c, const struct entry *e)
{
    char scratch[24];
    if (!e || hll_is(entry_string(e, scratch)))
        return true;
    reply_error(c, "WRONGTYPE Key is not a valid HyperLogLog string value.");
    return false;
}

static bool read_hll(struct call *c, struct bytes key, struct entry **ret_entry)
{
    return read_typed(c, key, TYPE_STRING, ret_entry) && check_hll(c, *ret_entry);
}

static bool write_hll(struct call *c, struct bytes key, struct entry **ret_entry)
{
    return write_typed(c, key, TYPE_STRING, ret_entry) && check_hll(c, *ret_entry);
}

/* The bytes of an entry that is a HyperLogLog: never an integer, so that no scratch is needed. */
static struct bytes value_of(const struct entry *e)
{
    char scratch[24];
    return entry_string(e, scratch);
}

static size_t sparse_max(const struct call *c)
{
    return c->limits->hll_sparse_max_bytes < 0 ? 0 : (size_t)c->limits->hll_sparse_max_bytes;
}

static void put_back(struct call *c, struct bytes key, const struct buf *b)
{
    ks_set_string(c->db, key, buf_bytes(b), KS_KEEP_TTL | KS_RAW, NO_EXPIRE);
}

/* ---- PFADD key element .. ---- */

/* How many elements changed a register of the dense value; -1: an error was replied. */
static int64_t add_dense(struct call *c, const struct entry *e)
{
    struct bytes v = value_of(e);
    int64_t changed = 0;
    char *p = NULL; /* writable: asked for when there is something to write */
    for (int i = 2; i < c->argc; i++) {
        struct hll_place place = hll_place(c->argv[i]);
        if (hll_dense_get(p ? p : v.p, place.index) >= place.value)
            continue;
        if (!p && !ks_string_extend(c->db, c->argv[1], HLL_DENSE_BYTES, &p)) {
            reply_error(c, err_no_memory);
            return -1;
        }
        hll_dense_raise(p, place);
        changed++;
    }
    if (p)
        hll_forget_cached(p);
    return changed;
}

/* The same for a sparse one, or (e NULL) a new one, which is a change too. What was added before
 * the damage was met stays, as in Redis. */
static int64_t add_sparse(struct call *c, const struct entry *e, bool *ret_corrupt)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    int64_t changed = !e;
    enum hll_set r = HLL_SAME;
    if (e)
        buf_append(&b, value_of(e));
    else
        hll_new(&b);
    for (int i = 2; i < c->argc && r != HLL_CORRUPT; i++) {
        r = hll_raise(&b, hll_place(c->argv[i]), sparse_max(c));
        changed += r == HLL_CHANGED;
    }
    if (changed) {
        hll_forget_cached(b.p);
        put_back(c, c->argv[1], &b);
    }
    buf_done(&b);
    *ret_corrupt = r == HLL_CORRUPT;
    return changed;
}

static void cmd_pfadd(struct call *c)
{
    struct entry *e;
    bool corrupt = false;
    if (!write_hll(c, c->argv[1], &e))
        return;
    bool dense = e && hll_encoding(value_of(e)) == HLL_DENSE;
    int64_t changed = dense ? add_dense(c, e) : add_sparse(c, e, &corrupt);
    if (changed < 0)
        return;
    if (corrupt) {
        if (changed) { /* a change all the same, but Redis tells no event of it */
            ks_touched(c->db, c->argv[1]);
            ks_stats(c->ks)->dirty += (uint64_t)changed;
        }
        reply_error(c, err_corrupt);
        return;
    }
    if (changed)
        changed_elements(c, c->argv[1], NOTIFY_STRING, "pfadd", (uint64_t)changed);
    reply_int(c, changed > 0);
}

/* ---- PFCOUNT key .. ---- */

static void count_one(struct call *c)
{
    struct entry *e;
    uint64_t count;
    char *p;
    if (!read_hll(c, c->argv[1], &e))
        return;
    if (!e || hll_cached(value_of(e), &count)) {
        reply_int(c, e ? (int64_t)count : 0);
        return;
    }
    if (!hll_count(value_of(e), &count)) {
        reply_error(c, err_corrupt);
        return;
    }
    if (ks_string_extend(c->db, c->argv[1], entry_string_len(e),
                         &p)) { /* the count is kept in the value: a change */
        hll_set_cached(p, count);
        ks_touched(c->db, c->argv[1]);
        ks_stats(c->ks)->dirty++;
    }
    reply_int(c, (int64_t)count);
}

static void cmd_pfcount(struct call *c)
{
    if (c->argc == 2) {
        count_one(c);
        return;
    }
    uint8_t *max = arena_zalloc(c->arena, HLL_REGISTERS);
    for (int i = 1; i < c->argc; i++) {
        struct entry *e;
        if (!read_hll(c, c->argv[i], &e))
            return;
        if (e && !hll_merge(value_of(e), max)) {
            reply_error(c, err_corrupt);
            return;
        }
    }
    reply_int(c, (int64_t)hll_count_registers(max));
}

/* ---- PFMERGE destination source .. ---- */

static void cmd_pfmerge(struct call *c)
{
    uint8_t *max = arena_zalloc(c->arena, HLL_REGISTERS);
    bool dense = false, ok = true;
    struct entry *e;
    for (int i = 1; i < c->argc; i++) {
        if (!read_hll(c, c->argv[i], &e))
            return;
        if (!e)
            continue;
        dense |= hll_encoding(value_of(e)) == HLL_DENSE;
        if (!hll_merge(value_of(e), max)) {
            reply_error(c, err_corrupt);
            return;
        }
    }
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    e = ks_write(c->db, c->argv[1]);
    if (e)
        buf_append(&b, value_of(e));
    else
        hll_new(&b);
    if (dense)
        ok = hll_to_dense(&b);
    for (uint32_t i = 0; ok && i < HLL_REGISTERS; i++) {
        if (max[i])
            ok = hll_raise(&b, (struct hll_place){ i, max[i] }, sparse_max(c)) != HLL_CORRUPT;
    }
    if (ok) {
        hll_forget_cached(b.p);
        put_back(c, c->argv[1], &b);
        ks_changed(c->db, c->argv[1], NOTIFY_STRING, "pfadd");
        reply_ok(c);
    } else {
        reply_error(c, err_corrupt);
    }
    buf_done(&b);
}

/* ---- PFDEBUG subcommand key ---- */

/* Makes the value dense; true when it is now. */
static bool make_dense(struct call *c, const struct entry *e, bool *ret_changed)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    *ret_changed = hll_encoding(value_of(e)) == HLL_SPARSE;
    if (!*ret_changed)
        return true;
    buf_append(&b, value_of(e));
    bool ok = hll_to_dense(&b);
    if (ok) {
        put_back(c, c->argv[2], &b);
        ks_touched(c->db, c->argv[2]);
        ks_stats(c->ks)->dirty++;
    } else {
        reply_error(c, err_corrupt);
    }
    buf_done(&b);
    return ok;
}

static void debug_registers(struct call *c, const struct entry *e)
{
    bool changed;
    if (!make_dense(c, e, &changed))
        return;
    struct bytes v = value_of(ks_write(c->db, c->argv[2]));
    reply_array(c, HLL_REGISTERS);
    for (uint32_t i = 0; i < HLL_REGISTERS; i++)
        reply_int(c, hll_dense_get(v.p, i));
}

static void debug_decode(struct call *c, const struct entry *e)
{
    struct buf text = BUF_INIT(BUF_UNLIMITED);
    if (hll_encoding(value_of(e)) != HLL_SPARSE) {
        reply_error(c, "ERR HLL encoding is not sparse");
        return;
    }
    hll_decode(value_of(e), &text);
    reply_bulk(c, text.n ? buf_bytes(&text) : BYTES(""));
    buf_done(&text);
}

static void cmd_pfdebug(struct call *c)
{
    struct entry *e = ks_write(c->db, c->argv[2]);
    bool changed;
    if (!e) {
        reply_error(c, "ERR The specified key does not exist");
        return;
    }
    if (!write_hll(c, c->argv[2], &e))
        return;
    if (arg_is(c, 1, "GETREG")) {
        debug_registers(c, e);
    } else if (arg_is(c, 1, "DECODE")) {
        debug_decode(c, e);
    } else if (arg_is(c, 1, "ENCODING")) {
        resp_simple_str(c->w, hll_encoding(value_of(e)) == HLL_DENSE ? "dense" : "sparse");
    } else if (arg_is(c, 1, "TODENSE")) {
        if (make_dense(c, e, &changed))
            reply_int(c, changed);
    } else {
        resp_errorf(c->w, "ERR Unknown PFDEBUG subcommand '%.*s'", (int)c->argv[1].n, c->argv[1].p);
    }
}

/* ---- PFSELFTEST ---- */

/* Registers keep what they are given, and leave their neighbours alone. */
static bool registers_hold(struct buf *dense, struct prng *r)
{
    enum { ROUNDS = 20 };
    uint8_t expected[HLL_REGISTERS] = { 0 };
    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < HLL_REGISTERS; i++) {
            uint8_t v = (uint8_t)prng_below(r, HLL_REGISTER_MAX + 1);
            hll_dense_raise(dense->p, (struct hll_place){ i, v });
            expected[i] = expected[i] > v ? expected[i] : v;
        }
        for (uint32_t i = 0; i < HLL_REGISTERS; i++) {
            if (hll_dense_get(dense->p, i) != expected[i])
                return false;
        }
    }
    return true;
}

/* Both encodings count alike, and as well as they should: the relative error is 1.04 /
 * sqrt(registers). */
static bool counts_well(struct buf *sparse, struct buf *dense, struct prng *r)
{
    enum { ELEMENTS = 1000000, SPARSE_MAX = 3000 };
    const double error_max = 6 * 1.04 / 128;
    for (uint64_t n = 1, next = 1; n <= ELEMENTS; n++) {
        uint64_t element = prng_u64(r), a, b;
        struct hll_place place = hll_place(bytes_of(&element, sizeof element));
        hll_dense_raise(dense->p, place);
        if (hll_raise(sparse, place, SPARSE_MAX) == HLL_CORRUPT)
            return false;
        if (n != next)
            continue;
        next *= 10;
        if (!hll_count(buf_bytes(dense), &a) || !hll_count(buf_bytes(sparse), &b) || a != b)
            return false;
        double error = (double)a - (double)n,
               most = error_max * (double)n + 1; /* a few may collide */
        if (error > most || error < -most)
            return false;
    }
    return true;
}

static void cmd_pfselftest(struct call *c)
{
    struct buf a = BUF_INIT(BUF_UNLIMITED), b = BUF_INIT(BUF_UNLIMITED),
               d = BUF_INIT(BUF_UNLIMITED);
    hll_new(&a);
    hll_new(&b);
    hll_new(&d);
    bool ok = hll_to_dense(&a) && hll_to_dense(&b);
    if (!ok || !registers_hold(&a, command_prng()))
        reply_error(c, "TESTFAILED a register does not hold its value");
    else if (!counts_well(&d, &b, command_prng()))
        reply_error(c, "TESTFAILED the count is too far off, or the encodings disagree");
    else
        reply_ok(c);
    buf_done(&a);
    buf_done(&b);
    buf_done(&d);
}

const struct command hll_commands[] = {
    { "pfadd", cmd_pfadd, -2, CMD_WRITE | CMD_DENY_OOM | CMD_FAST, KEY_1, NULL },
    { "pfcount", cmd_pfcount, -2, CMD_READ | CMD_MAY_REPLICATE, KEYS_AT(1, -1, 1), NULL },
    { "pfmerge", cmd_pfmerge, -2, CMD_WRITE | CMD_DENY_OOM, KEYS_AT(1, -1, 1), NULL },
    { "pfdebug", cmd_pfdebug, 3, CMD_WRITE | CMD_DENY_OOM | CMD_ADMIN, KEYS_AT(2, 2, 1), NULL },
    { "pfselftest", cmd_pfselftest, 1, CMD_ADMIN, NO_KEYS, NULL },
    COMMANDS_END,
};
