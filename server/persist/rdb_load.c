/* Loading a whole file (see rdb_load.h): a flat walk over opcodes. What comes in front of a key
 * (its expiry, its access history) is gathered until the key is there. */
#include "server/persist/rdb_load.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/text.h"
#include "server/persist/rdb_inner.h"

/* What a file says of the key that comes next. */
struct prefix {
    msec_t expire;
    bool has_idle, has_freq;
    uint64_t idle_s;
    uint8_t freq;
};
static const struct prefix no_prefix = { .expire = NO_EXPIRE };

/* Keys on their way into the table. They are put in by the thousands in the order of their hashes,
 * which is that of the table: a table of millions is larger than what the caches and the TLB hold,
 * and one at a time each would wait for memory. */
#define BATCH  65536
#define RANGES 256 /* of hashes: keys of one go to neighbouring lines */
#define AHEAD  16   /* keys whose lines are fetched */
struct made {
    uint64_t hash;
    struct entry *e;
};

struct load {
    struct made *made, *sorted; /* BATCH each */
    size_t made_n;              /* keys of `db` */
    struct rdb_reader *r;
    struct keyspace *ks;
    const struct rdb_load_options *o;
    struct rdb_load_report *report;
    struct db *db;
    struct prefix prefix;
    bool ended;
    uint64_t progress_at; /* bytes: when the caller is told next */
};

/* ---- what surrounds the keys ---- */

static bool load_header(struct load *l)
{
    char header[RDB_HEADER];
    if (!rdb_get(l->r, header, sizeof header))
        return false;
    if (memcmp(header, RDB_MAGIC, strlen(RDB_MAGIC)) != 0)
        return rdb_corrupt(l->r, "this is no RDB file: it does not begin with " RDB_MAGIC);
    int version = 0;
    for (size_t i = strlen(RDB_MAGIC); i < RDB_HEADER; i++) {
        if (header[i] < '0' || header[i] > '9')
            return rdb_corrupt(l->r, "the version of the RDB file is no number");
        version = version * 10 + header[i] - '0';
    }
    l->report->version = version;
    if (version < RDB_VERSION_MIN || version > RDB_VERSION_MAX)
        return rdb_fail(l->r, RDB_UNSUPPORTED, "Can't handle RDB format version %d", version);
    return true;
}

static int64_t number(struct bytes b)
{
    int64_t v = 0;
    (void)num_parse_i64(b, &v);
    return v;
}

static void keep_text(char *dst, size_t room, struct bytes b)
{
    size_t n = b.n < room - 1 ? b.n : room - 1;
    memcpy(dst, b.p, n);
    dst[n] = '\0';
}

/* Unknown ones are passed over: newer versions may have more. */
static bool load_aux(struct load *l)
{
    struct rdb_load_report *p = l->report;
    struct bytes name, value;
    if (!rdb_get_string(l->r, RDB_SLOT_A, &name) || !rdb_get_string(l->r, RDB_SLOT_B, &value))
        return false;
    if (bytes_is(name, "redis-ver")) {
        keep_text(p->redis_ver, sizeof p->redis_ver, value);
    } else if (bytes_is(name, "ctime")) {
        p->ctime_s = number(value);
    } else if (bytes_is(name, "used-mem")) {
        p->used_memory = number(value);
    } else if (bytes_is(name, "aof-base") || bytes_is(name, "aof-preamble")) {
        p->aof_base = number(value) != 0;
    } else if (bytes_is(name, "repl-stream-db")) {
        int64_t db = number(value);
        p->repl_stream_db = db >= 0 && db < ks_databases(l->ks) ? (int)db : -1;
    } else if (bytes_is(name, "repl-id") && value.n == sizeof p->repl_id - 1) {
        keep_text(p->repl_id, sizeof p->repl_id, value);
        p->has_replication = true;
    } else if (bytes_is(name, "repl-offset")) {
        p->repl_offset = number(value);
    }
    return true;
}

static bool load_function(struct load *l)
{
    struct bytes source;
    char reason[128] = "";
    if (!rdb_get_string(l->r, RDB_SLOT_A, &source))
        return false;
    if (!l->o->function) {
        l->report->functions_skipped++;
        return true;
    }
    if (!l->o->function(l->o->function_ctx, source, reason, sizeof reason))
        return rdb_corrupt(l->r, "a library of functions cannot be loaded: %s", reason);
    l->report->functions++;
    return true;
}

/* Data of a module that hangs on no key. Redis too refuses to start without the module: the data
 * would be lost. */
static bool refuse_module_aux(struct load *l)
{
    uint64_t id;
    char name[RDB_MODULE_NAME + 1];
    if (!rdb_get_length(l->r, &id))
        return false;
    rdb_module_name(id, name);
    return rdb_fail(l->r, RDB_UNSUPPORTED,
                    "there is data of the module '%s': modules are not supported", name);
}

/* ---- keys ---- */

static void show_key(struct load *l, struct bytes key)
{
    enum { SHOWN = 20 };
    struct buf b = BUF_INIT(RDB_KEY_SHOWN - 1);
    if (key.n > SHOWN)
        key.n = SHOWN; /* each byte may take four */
    if (text_quote(&b, key) == 0)
        keep_text(l->report->key, sizeof l->report->key, buf_bytes(&b));
    buf_done(&b);
}

static bool is_lfu(int policy)
{
    return policy == POLICY_ALLKEYS_LFU || policy == POLICY_VOLATILE_LFU;
}

static bool put_over(struct load *l, const struct made *m)
{
    if (!l->o->replace)
        return false;
    (void)ks_delete(l->db, entry_key(m->e), KS_DEL_LAZY);
    return ks_put_made(l->db, m->hash, m->e);
}

static bool put(struct load *l, const struct made *m)
{
    if (__builtin_expect(!ks_put_made(l->db, m->hash, m->e), 0) && !put_over(l, m)) {
        show_key(l, entry_key(m->e));
        return rdb_corrupt(l->r, "the key is twice in the database");
    }
    return true;
}

static void sort_made(struct load *l)
{
    uint32_t at[RANGES] = { 0 }, sum = 0;
    for (size_t i = 0; i < l->made_n; i++)
        at[l->made[i].hash / (UINT64_MAX / RANGES + 1)]++;
    for (unsigned r = 0; r < RANGES; r++) {
        uint32_t n = at[r];
        at[r] = sum;
        sum += n;
    }
    for (size_t i = 0; i < l->made_n; i++)
        l->sorted[at[l->made[i].hash / (UINT64_MAX / RANGES + 1)]++] = l->made[i];
}

/* All that were made go into the table. After a failure they are dropped. */
static bool put_all(struct load *l)
{
    size_t n = l->made_n, done = 0;
    sort_made(l);
    l->made_n = 0;
    for (; done < n && l->r->error.failure == RDB_FINE; done += l->r->error.failure == RDB_FINE) {
        if (done + AHEAD < n) {
            ks_prefetch_bucket(l->db, l->sorted[done + AHEAD].hash);
            __builtin_prefetch(l->sorted[done + AHEAD].e);
        }
        (void)put(l, &l->sorted[done]);
    }
    for (size_t i = done; i < n; i++)
        ks_drop_made(l->db, l->sorted[i].e);
    return done == n;
}

static bool store(struct load *l, struct bytes key, struct rdb_value *v)
{
    struct entry *e = rdb_value_make(v, l->db, key, l->prefix.expire);
    bool lfu = is_lfu(ks_config(l->ks)->maxmemory_policy);
    if (lfu && l->prefix.has_freq)
        entry_set_freq(l->ks, e, l->prefix.freq);
    else if (!lfu && l->prefix.has_idle)
        entry_set_idle(l->ks, e, l->prefix.idle_s);
    l->made[l->made_n++] = (struct made){ ks_hash(l->db, key), e };
    l->report->keys++;
    return l->made_n < BATCH || put_all(l);
}

static bool load_key(struct load *l, unsigned type)
{
    struct bytes key;
    struct rdb_value v;
    if (!rdb_get_string(l->r, RDB_SLOT_KEY, &key))
        return false;
    if (!rdb_load_value(l->r, type, l->o->limits, &v)) {
        show_key(l, key);
        return false;
    }
    bool stored = true;
    if (v.empty) {
        l->report->empty++;
        rdb_value_done(&v);
    } else if (l->o->drop_expired && l->prefix.expire != NO_EXPIRE &&
               l->prefix.expire < l->o->now) {
        l->report->expired++;
        rdb_value_done(&v);
    } else {
        stored = store(l, key, &v);
    }
    l->prefix = no_prefix;
    return stored;
}

static bool load_expire(struct load *l, bool seconds)
{
    uint64_t v;
    int32_t s;
    if (seconds) {
        if (!rdb_get(l->r, &s, sizeof s))
            return false;
        l->prefix.expire = (msec_t)s * 1000;
    } else {
        if (!rdb_get_u64le(l->r, &v))
            return false;
        l->prefix.expire = (msec_t)v;
    }
    if (l->prefix.expire < 0)
        l->prefix.expire = 0; /* long ago; -1 would be none */
    return true;
}

/* ---- databases ---- */

static bool select_db(struct load *l)
{
    uint64_t n;
    if (!rdb_get_length(l->r, &n))
        return false;
    if (n >= (uint64_t)ks_databases(l->ks))
        return rdb_fail(l->r, RDB_UNSUPPORTED,
                        "the file has a database %llu, this server has %d (see `databases`)",
                        (unsigned long long)n, ks_databases(l->ks));
    if (!put_all(l))
        return false;
    l->db = ks_db(l->ks, (int)n);
    return true;
}

static bool resize_db(struct load *l)
{
    uint64_t keys, expires;
    if (!rdb_get_length(l->r, &keys) || !rdb_get_length(l->r, &expires))
        return false;
    db_reserve(l->db, rdb_reader_trust(l->r, keys));
    return true;
}

/* ---- the walk ---- */

static bool load_end(struct load *l)
{
    if (!put_all(l))
        return false;
    l->ended = true;
    uint64_t is = rdb_reader_crc(l->r), want;
    if (!rdb_get_u64le(l->r, &want))
        return false;
    if (want == 0)
        return true; /* saved without */
    if (l->r->checksum && is != want)
        return rdb_corrupt(l->r,
                           "the checksum is %016llx and should be %016llx: the file is damaged",
                           (unsigned long long)is, (unsigned long long)want);
    l->report->checked = l->r->checksum;
    return true;
}

static bool load_next(struct load *l)
{
    uint8_t op;
    uint64_t a, b, c;
    if (!rdb_get_byte(l->r, &op))
        return false;
    switch (op) {
    case RDB_OP_EOF:
        return load_end(l);
    case RDB_OP_SELECTDB:
        return select_db(l);
    case RDB_OP_EXPIRETIME:
    case RDB_OP_EXPIRETIME_MS:
        return load_expire(l, op == RDB_OP_EXPIRETIME);
    case RDB_OP_RESIZEDB:
        return resize_db(l);
    case RDB_OP_AUX:
        return load_aux(l);
    case RDB_OP_FREQ:
        l->prefix.has_freq = true;
        return rdb_get_byte(l->r, &l->prefix.freq);
    case RDB_OP_IDLE:
        l->prefix.has_idle = true;
        return rdb_get_length(l->r, &l->prefix.idle_s);
    case RDB_OP_MODULE_AUX:
        return refuse_module_aux(l);
    case RDB_OP_FUNCTION2:
        return load_function(l);
    case RDB_OP_FUNCTION_PRE_GA:
        return rdb_fail(l->r, RDB_UNSUPPORTED,
                        "there are functions in the form of an unfinished version of Redis");
    case RDB_OP_SLOT_INFO: /* only a hint */
        return rdb_get_length(l->r, &a) && rdb_get_length(l->r, &b) && rdb_get_length(l->r, &c);
    default:
        return load_key(l, op);
    }
}

static bool tell_progress(struct load *l)
{
    uint64_t at = rdb_reader_offset(l->r);
    if (!l->o->progress || at < l->progress_at)
        return true;
    l->progress_at = at + l->o->progress_bytes;
    return l->o->progress(l->o->ctx, at, l->report->keys) ||
           rdb_fail(l->r, RDB_CANCELLED, "loading was given up");
}

static void empty(struct keyspace *ks)
{
    for (int i = 0; i < ks_databases(ks); i++)
        ks_flush_db(ks_db(ks, i), KS_DEL_LAZY);
}

enum rdb_failure rdb_load(struct rdb_reader *r, struct keyspace *ks,
                          const struct rdb_load_options *o, struct rdb_load_report *ret_report)
{
    *ret_report = (struct rdb_load_report){ .repl_stream_db = -1 };
    struct load l = { .r = r,
                      .ks = ks,
                      .o = o,
                      .report = ret_report,
                      .db = ks_db(ks, 0),
                      .prefix = no_prefix,
                      .progress_at = o->progress_bytes,
                      .made = mem_alloc(BATCH * sizeof *l.made),
                      .sorted = mem_alloc(BATCH * sizeof *l.sorted) };
    for (int i = 0; i < ks_databases(ks); i++)
        ASSERT(o->onto || db_size(ks_db(ks, i)) == 0);
    uint64_t start = rdb_reader_offset(r);
    bool ok = load_header(&l);
    while (ok && !l.ended)
        ok = load_next(&l) && tell_progress(&l);
    ret_report->bytes = rdb_reader_offset(r) - start;
    if (!ok)
        (void)put_all(&l); /* drops them */
    mem_free(l.made);
    mem_free(l.sorted);
    if (ok)
        return RDB_FINE;
    if (!o->onto)
        empty(ks);
    ret_report->error = r->error;
    return r->error.failure;
}
