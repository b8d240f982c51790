/* Saving values, keys and files (see rdb_save.h).
 *
 * Flat collections are saved as the block they are; tables element by element. Version 10 knows
 * neither sets as listpacks nor the times of consumers: those have their older forms. */
#include "server/persist/rdb_save.h"

#include "common/alloc.h"
#include "common/assert.h"
#include "server/persist/rdb_format.h"
#include "server/types/hash.h"
#include "server/types/intset.h"
#include "server/types/list.h"
#include "server/types/set.h"
#include "server/types/stream.h"
#include "server/types/zset.h"

static struct value_ref ref_of(const struct entry *e)
{
    return (struct value_ref){ entry_object(e), entry_encoding(e) };
}

unsigned rdb_value_type(const struct rdb_writer *w, const struct entry *e)
{
    bool v11 = w->version >= RDB_VERSION;
    enum value_encoding enc = entry_encoding(e);
    switch (entry_type(e)) {
    case TYPE_STRING:
        return RDB_STRING;
    case TYPE_LIST:
        return RDB_LIST_QUICKLIST_2;
    case TYPE_SET:
        return enc == ENC_INTSET            ? RDB_SET_INTSET
               : enc == ENC_LISTPACK && v11 ? RDB_SET_LISTPACK
                                            : RDB_SET;
    case TYPE_ZSET:
        return enc == ENC_LISTPACK ? RDB_ZSET_LISTPACK : RDB_ZSET_2;
    case TYPE_HASH:
        return enc == ENC_LISTPACK ? RDB_HASH_LISTPACK : RDB_HASH;
    case TYPE_STREAM:
        return v11 ? RDB_STREAM_LISTPACKS_3 : RDB_STREAM_LISTPACKS_2;
    case TYPES_N:
        break;
    }
    PANIC("an entry without a type");
}

/* ---- values ---- */

static void put_listpack(struct rdb_writer *w, const uint8_t *lp)
{
    rdb_put_string(w, bytes_of(lp, lp_bytes(lp)));
}

static void put_list(struct rdb_writer *w, struct value_ref list)
{
    uint32_t n = list_chunks(list);
    rdb_put_length(w, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct blob *blob;
        const uint8_t *lp = list_chunk(list, i, &blob);
        rdb_put_length(w, lp ? RDB_NODE_PACKED : RDB_NODE_PLAIN);
        if (lp)
            put_listpack(w, lp);
        else
            rdb_put_string(w, blob_bytes(blob));
    }
}

static void put_set(struct rdb_writer *w, struct value_ref set, unsigned type)
{
    if (type == RDB_SET_INTSET) {
        rdb_put_string(w, bytes_of(set.object, intset_bytes(set.object)));
        return;
    }
    if (type == RDB_SET_LISTPACK) {
        put_listpack(w, set.object);
        return;
    }
    struct set_walk walk;
    struct element member;
    rdb_put_length(w, set_count(set));
    set_walk_begin(&walk, set);
    while (set_walk_next(&walk, &member))
        rdb_put_element(w, &member);
}

/* Highest score first, as Redis does: a reader that builds from the end is quickest so. */
static void put_zset(struct rdb_writer *w, struct value_ref zset)
{
    if (zset.enc == ENC_LISTPACK) {
        put_listpack(w, zset.object);
        return;
    }
    uint64_t n = zset_count(zset);
    struct zset_walk walk;
    struct element member;
    double score;
    rdb_put_length(w, n);
    if (n == 0)
        return;
    zset_walk_begin(&walk, zset, n - 1, true);
    while (zset_walk_next(&walk, &member, &score)) {
        rdb_put_element(w, &member);
        rdb_put_double(w, score);
    }
}

static void put_hash(struct rdb_writer *w, struct value_ref hash)
{
    if (hash.enc == ENC_LISTPACK) {
        put_listpack(w, hash.object);
        return;
    }
    struct hash_walk walk;
    struct element field, value;
    rdb_put_length(w, hash_count(hash));
    hash_walk_begin(&walk, hash);
    while (hash_walk_next(&walk, &field, &value)) {
        rdb_put_element(w, &field);
        rdb_put_element(w, &value);
    }
}

/* ---- streams ---- */

static void put_raw_id(struct rdb_writer *w, struct stream_id id)
{
    rdb_put_u64be(w, id.ms);
    rdb_put_u64be(w, id.seq);
}

static void put_id(struct rdb_writer *w, struct stream_id id)
{
    rdb_put_length(w, id.ms);
    rdb_put_length(w, id.seq);
}

static void put_consumer(struct rdb_writer *w, const struct stream_consumer *c)
{
    rdb_put_string(w, stream_name_bytes(c->name));
    rdb_put_u64le(w, (uint64_t)c->seen);
    if (w->version >= RDB_VERSION)
        rdb_put_u64le(w, (uint64_t)c->active);
    rdb_put_length(w, c->pending.count);
    for (struct id_at at = id_tree_first(&c->pending); at.leaf; id_at_next(&at))
        put_raw_id(w, id_at_id(at));
}

static void put_group(struct rdb_writer *w, const struct stream_group *g)
{
    rdb_put_string(w, stream_name_bytes(g->name));
    put_id(w, g->last);
    rdb_put_length(w, (uint64_t)g->entries_read);
    rdb_put_length(w, g->pending.count);
    for (struct id_at at = id_tree_first(&g->pending); at.leaf; id_at_next(&at)) {
        const struct stream_pending *p = id_at_value(at);
        put_raw_id(w, id_at_id(at));
        rdb_put_u64le(w, (uint64_t)p->delivered);
        rdb_put_length(w, p->deliveries);
    }
    size_t n;
    struct stream_consumer **consumers = stream_consumers_sorted(g, &n);
    rdb_put_length(w, n);
    for (size_t i = 0; i < n; i++)
        put_consumer(w, consumers[i]);
    mem_free(consumers);
}

static void put_stream(struct rdb_writer *w, const struct stream *s)
{
    rdb_put_length(w, s->nodes.count);
    for (struct id_at at = id_tree_first(&s->nodes); at.leaf; id_at_next(&at)) {
        struct stream_id id = id_at_id(at);
        uint64_t raw[2] = { __builtin_bswap64(id.ms), __builtin_bswap64(id.seq) };
        rdb_put_string(w, bytes_of(raw, sizeof raw));
        put_listpack(w, id_at_value(at));
    }
    rdb_put_length(w, s->length);
    put_id(w, s->last);
    put_id(w, s->first);
    put_id(w, s->max_deleted);
    rdb_put_length(w, s->entries_added);
    size_t n;
    struct stream_group **groups = stream_groups_sorted(s, &n);
    rdb_put_length(w, n);
    for (size_t i = 0; i < n; i++)
        put_group(w, groups[i]);
    mem_free(groups);
}

static void put_value(struct rdb_writer *w, const struct entry *e, unsigned type)
{
    char scratch[ELEMENT_SCRATCH];
    switch (entry_type(e)) {
    case TYPE_STRING:
        rdb_put_string(w, entry_string(e, scratch));
        return;
    case TYPE_LIST:
        put_list(w, ref_of(e));
        return;
    case TYPE_SET:
        put_set(w, ref_of(e), type);
        return;
    case TYPE_ZSET:
        put_zset(w, ref_of(e));
        return;
    case TYPE_HASH:
        put_hash(w, ref_of(e));
        return;
    case TYPE_STREAM:
        put_stream(w, entry_object(e));
        return;
    case TYPES_N:
        break;
    }
    PANIC("an entry without a type");
}

void rdb_save_value(struct rdb_writer *w, const struct entry *e)
{
    unsigned type = rdb_value_type(w, e);
    rdb_put_byte(w, type);
    put_value(w, e, type);
}

/* ---- keys ---- */

void rdb_save_key(struct rdb_writer *w, const struct keyspace *ks, const struct entry *e)
{
    msec_t at = entry_expire(e);
    if (at != NO_EXPIRE) {
        rdb_put_byte(w, RDB_OP_EXPIRETIME_MS);
        rdb_put_u64le(w, (uint64_t)at);
    }
    switch (ks_config(ks)->maxmemory_policy) {
    case POLICY_ALLKEYS_LRU:
    case POLICY_VOLATILE_LRU:
        rdb_put_byte(w, RDB_OP_IDLE);
        rdb_put_length(w, entry_idle_ms(ks, e) / 1000);
        break;
    case POLICY_ALLKEYS_LFU:
    case POLICY_VOLATILE_LFU:
        rdb_put_byte(w, RDB_OP_FREQ);
        rdb_put_byte(w, entry_freq(ks, e));
        break;
    default:
        break;
    }
    unsigned type = rdb_value_type(w, e);
    rdb_put_byte(w, type);
    rdb_put_string(w, entry_key(e));
    put_value(w, e, type);
}

/* ---- the file ---- */

/* Entries lie anywhere in memory: each is fetched while some before it are saved. */
#define AHEAD 16
struct saving {
    struct entry *ring[AHEAD];
    uint64_t seen, saved; /* counts: those in between are in the ring */
    struct rdb_writer *w;
    struct keyspace *ks;
    const struct rdb_save_options *o;
    struct rdb_save_report report;
};

static void save_oldest(struct saving *s)
{
    const struct entry *e = s->ring[s->saved++ % AHEAD];
    if (s->w->error)
        return;
    rdb_save_key(s->w, s->ks, e);
    s->report.keys++;
    if (s->o->saved_key && !s->w->error)
        s->w->error = s->o->saved_key(s->o->ctx, s->w->written);
}

static void see_entry(void *ctx, struct entry *e)
{
    enum { LINE = 64 };
    struct saving *s = ctx;
    __builtin_prefetch(e);
    __builtin_prefetch((const char *)e + LINE);
    s->ring[s->seen++ % AHEAD] = e;
    if (s->seen - s->saved == AHEAD)
        save_oldest(s);
}

static void save_db(struct saving *s, struct db *db)
{
    if (db_size(db) == 0)
        return;
    uint64_t before = s->report.keys, cursor = 0;
    rdb_put_byte(s->w, RDB_OP_SELECTDB);
    rdb_put_length(s->w, (uint64_t)db_id(db));
    rdb_put_byte(s->w, RDB_OP_RESIZEDB);
    rdb_put_length(s->w, db_size(db));
    rdb_put_length(s->w, db_volatile(db));
    while ((cursor = db_scan(db, cursor, see_entry, s)) != 0 && !s->w->error)
        ;
    while (s->saved != s->seen)
        save_oldest(s);
    ASSERT(s->w->error || s->report.keys - before == db_size(db)); /* nothing changed meanwhile */
}

static void put_aux(struct rdb_writer *w, const char *name, struct bytes value)
{
    rdb_put_byte(w, RDB_OP_AUX);
    rdb_put_string(w, bytes_of_str(name));
    rdb_put_string(w, value);
}

static void put_aux_i64(struct rdb_writer *w, const char *name, int64_t v)
{
    rdb_put_byte(w, RDB_OP_AUX);
    rdb_put_string(w, bytes_of_str(name));
    rdb_put_i64(w, v);
}

static void put_header(struct rdb_writer *w, const struct rdb_save_options *o)
{
    const char version[4] = { '0', '0', (char)('0' + o->version / 10),
                              (char)('0' + o->version % 10) };
    rdb_put(w, BYTES(RDB_MAGIC));
    rdb_put(w, bytes_of(version, sizeof version));
    put_aux(w, "redis-ver", o->server_version);
    put_aux_i64(w, "redis-bits", 8 * (int64_t)sizeof(void *));
    put_aux_i64(w, "ctime", o->now / 1000);
    put_aux_i64(w, "used-mem", (int64_t)o->used_memory);
    if (o->replication) {
        put_aux_i64(w, "repl-stream-db", o->replication->stream_db);
        put_aux(w, "repl-id", o->replication->id);
        put_aux_i64(w, "repl-offset", o->replication->offset);
    }
    put_aux_i64(w, "aof-base", o->aof_base);
    for (size_t i = 0; i < o->functions_n && !o->no_functions; i++) {
        rdb_put_byte(w, RDB_OP_FUNCTION2);
        rdb_put_string(w, o->functions[i]);
    }
}

int rdb_save(const struct rdb_sink *sink, struct keyspace *ks, const struct rdb_save_options *o,
             struct rdb_save_report *ret_report)
{
    ASSERT(o->version == RDB_VERSION || o->version == RDB_VERSION_7_0);
    struct rdb_writer *w = mem_alloc(sizeof *w);
    struct saving s = { .w = w, .ks = ks, .o = o };
    rdb_writer_init(w, sink, o->version, o->compress, o->checksum, RDB_WRITER_FILE);
    put_header(w, o);
    for (int i = 0; i < ks_databases(ks) && !w->error && !o->no_keys; i++)
        save_db(&s, ks_db(ks, i));
    rdb_put_byte(w, RDB_OP_EOF);
    rdb_put_u64le(w, rdb_writer_crc(w));
    int r = rdb_writer_flush(w);
    s.report.bytes = w->written;
    rdb_writer_done(w);
    mem_free(w);
    if (r == 0 && ret_report)
        *ret_report = s.report;
    return r;
}
