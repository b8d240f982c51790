/* Loading one value (see rdb_load.h). Flat encodings are checked and taken over whole by their type; the rest is built
 * element by element, and an element that is there already is a failure. */
#include <math.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/checked.h"
#include "server/persist/rdb_inner.h"
#include "server/persist/rdb_old.h"
#include "server/types/hash.h"
#include "server/types/list.h"
#include "server/types/set.h"
#include "server/types/stream.h"
#include "server/types/zset.h"

/* One value being loaded. */
struct loading {
    struct rdb_reader *r;
    const struct types_limits *limits;
};

static bool is_empty_listpack(struct bytes b)
{
    struct lp_facts facts;
    return b.n == LP_EMPTY && lp_validate(b, &facts);
}

/* ---- lists ---- */

static bool push(struct loading *l, struct value_ref *list)
{
    struct bytes s;
    struct blob *blob;
    if (!rdb_get_value(l->r, RDB_SLOT_A, &s, &blob))
        return false;
    list_expect(list, &s, 1, l->limits);
    list_push(list, LIST_TAIL, s, blob, l->limits);
    blob_unref(blob);
    return true;
}

/* Nodes without elements are passed over, as Redis does: old versions could leave them. */
static bool add_node(struct loading *l, struct value_ref *list, struct bytes b)
{
    if (is_empty_listpack(b) || list_load_listpack(list, b, l->limits))
        return true;
    return rdb_corrupt(l->r, "a node of a list is damaged");
}

static bool add_old_node(struct loading *l, struct value_ref *list, struct bytes b)
{
    uint8_t *lp;
    if (!rdb_ziplist_to_listpack(b, &lp))
        return rdb_corrupt(l->r, "a node of a list is damaged");
    bool ok = add_node(l, list, bytes_of(lp, lp_bytes(lp)));
    lp_free(lp);
    return ok;
}

static bool load_node(struct loading *l, unsigned type, struct value_ref *list)
{
    struct bytes b;
    uint64_t container = RDB_NODE_PACKED;
    if (type == RDB_LIST_QUICKLIST_2 && !rdb_get_length(l->r, &container))
        return false;
    if (container == RDB_NODE_PLAIN)
        return push(l, list);
    if (container != RDB_NODE_PACKED)
        return rdb_corrupt(l->r, "no kind of node of a list has the number %llu",
                           (unsigned long long)container);
    if (!rdb_get_string(l->r, RDB_SLOT_A, &b))
        return false;
    return type == RDB_LIST_QUICKLIST_2 ? add_node(l, list, b) : add_old_node(l, list, b);
}

static bool load_list(struct loading *l, unsigned type, struct value_ref *ret)
{
    uint64_t n = 1;
    if (type != RDB_LIST_ZIPLIST && !rdb_get_length(l->r, &n))
        return false;
    *ret = list_new();
    for (uint64_t i = 0; i < n; i++) {
        if (!(type == RDB_LIST ? push(l, ret) : load_node(l, type, ret)))
            return false;
    }
    return true;
}

/* ---- sets ---- */

static bool load_set(struct loading *l, struct value_ref *ret)
{
    uint64_t n;
    if (!rdb_get_length(l->r, &n))
        return false;
    *ret = set_new_large(rdb_reader_trust(l->r, n), l->limits);
    for (uint64_t i = 0; i < n; i++) {
        struct bytes member;
        if (!rdb_get_string(l->r, RDB_SLOT_A, &member))
            return false;
        if (!set_add(ret, member, l->limits))
            return rdb_corrupt(l->r, "a member is twice in the set");
    }
    return true;
}

/* ---- sorted sets ---- */

static bool get_old_score(struct rdb_reader *r, double *ret)
{
    uint8_t n;
    char text[256];
    if (!rdb_get_byte(r, &n))
        return false;
    switch (n) {
    case RDB_SCORE_NAN:
        *ret = NAN;
        return true;
    case RDB_SCORE_INF:
        *ret = INFINITY;
        return true;
    case RDB_SCORE_NEG_INF:
        *ret = -INFINITY;
        return true;
    default:
        break;
    }
    if (!rdb_get(r, text, n))
        return false;
    return num_parse_double(bytes_of(text, n), ret) || rdb_corrupt(r, "a score is no number");
}

static bool build_zset(struct loading *l, unsigned type, uint64_t n, struct zset_build *b)
{
    for (uint64_t i = 0; i < n; i++) {
        struct bytes member;
        double score;
        if (!rdb_get_string(l->r, RDB_SLOT_A, &member) ||
            !(type == RDB_ZSET ? get_old_score(l->r, &score) : rdb_get_double(l->r, &score)))
            return false;
        if (isnan(score))
            return rdb_corrupt(l->r, "a score is no number");
        uint64_t hash = hash_bytes(member);
        if (zset_build_find(b, hash, member))
            return rdb_corrupt(l->r, "a member is twice in the sorted set");
        zset_build_add(b, hash, member, score);
    }
    return true;
}

static bool load_zset(struct loading *l, unsigned type, struct value_ref *ret)
{
    uint64_t n;
    struct zset_build b;
    if (!rdb_get_length(l->r, &n))
        return false;
    zset_build_begin(&b, rdb_reader_trust(l->r, n));
    bool ok = build_zset(l, type, n, &b);
    *ret = zset_build_end(&b, l->limits);
    return ok;
}

/* ---- hashes ---- */

static bool load_field(struct loading *l, struct value_ref *hash)
{
    struct bytes field, value;
    struct blob *blob;
    if (!rdb_get_string(l->r, RDB_SLOT_A, &field) ||
        !rdb_get_value(l->r, RDB_SLOT_B, &value, &blob))
        return false;
    bool new = hash_set(hash, field, value, blob, l->limits);
    blob_unref(blob);
    return new || rdb_corrupt(l->r, "a field is twice in the hash");
}

static bool load_hash(struct loading *l, struct value_ref *ret)
{
    uint64_t n;
    if (!rdb_get_length(l->r, &n))
        return false;
    *ret = hash_new();
    for (uint64_t i = 0; i < n; i++) {
        if (!load_field(l, ret))
            return false;
    }
    return true;
}

static bool no_field_ttl(struct rdb_reader *r)
{
    return rdb_fail(r, RDB_UNSUPPORTED,
                    "fields of hashes that expire (Redis 7.4) are not supported");
}

/* Hashes of version 12: good when no field has an expiry. */
static bool load_hash_metadata(struct loading *l, struct value_ref *ret)
{
    uint64_t lowest, n, ttl;
    if (!rdb_get_u64le(l->r, &lowest) || !rdb_get_length(l->r, &n))
        return false;
    *ret = hash_new();
    for (uint64_t i = 0; i < n; i++) {
        if (!rdb_get_length(l->r, &ttl))
            return false;
        if (ttl != 0)
            return no_field_ttl(l->r);
        if (!load_field(l, ret))
            return false;
    }
    return true;
}

/* A listpack of triples without the third of each. False: one is not 0. */
static bool without_ttls(const uint8_t *triples, uint8_t **ret_lp)
{
    uint8_t *lp = lp_new();
    for (const uint8_t *p = lp_begin(triples); !lp_is_end(p);) {
        const uint8_t *from = p;
        int64_t ttl;
        p = lp_skip(lp_skip(p));
        lp_append_entries(&lp, from, (size_t)(p - from), 2);
        if (!lp_get_i64(p, &ttl) || ttl != 0) {
            lp_free(lp);
            return false;
        }
        p = lp_skip(p);
    }
    *ret_lp = lp;
    return true;
}

static bool load_hash_listpack_ex(struct loading *l, struct value_ref *ret)
{
    uint64_t lowest;
    struct bytes b;
    struct lp_facts facts;
    uint8_t *pairs;
    if (!rdb_get_u64le(l->r, &lowest) || !rdb_get_string(l->r, RDB_SLOT_A, &b))
        return false;
    if (!lp_validate(b, &facts) || facts.count % 3 != 0)
        return rdb_corrupt(l->r, "the listpack of a hash is damaged");
    uint8_t *triples = lp_from_bytes(b, &facts);
    bool ok = without_ttls(triples, &pairs);
    lp_free(triples);
    if (!ok)
        return no_field_ttl(l->r);
    ok = hash_load_listpack(bytes_of(pairs, lp_bytes(pairs)), l->limits, ret);
    lp_free(pairs);
    return ok || rdb_corrupt(l->r, "the listpack of a hash is damaged");
}

/* ---- flat encodings ---- */

typedef bool load_flat(struct bytes, const struct types_limits *, struct value_ref *);

static bool load_listpack(struct loading *l, load_flat *load, struct value_ref *ret)
{
    struct bytes b;
    if (!rdb_get_string(l->r, RDB_SLOT_A, &b))
        return false;
    return load(b, l->limits, ret) ||
           rdb_corrupt(l->r, "the elements of a small collection are damaged");
}

typedef bool from_old(struct bytes, uint8_t **);

static bool load_old(struct loading *l, from_old *convert, load_flat *load, struct value_ref *ret)
{
    struct bytes b;
    uint8_t *lp = NULL;
    if (!rdb_get_string(l->r, RDB_SLOT_A, &b))
        return false;
    bool ok = convert(b, &lp) && load(bytes_of(lp, lp_bytes(lp)), l->limits, ret);
    lp_free(lp);
    return ok || rdb_corrupt(l->r, "the elements of a small collection are damaged");
}

/* ---- modules ---- */

void rdb_module_name(uint64_t id, char name[RDB_MODULE_NAME + 1])
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (unsigned i = 0; i < RDB_MODULE_NAME; i++)
        name[i] = set[id >> (58 - 6 * i) & 63];
    name[RDB_MODULE_NAME] = '\0';
}

static bool refuse_module(struct rdb_reader *r)
{
    uint64_t id;
    char name[RDB_MODULE_NAME + 1];
    if (!rdb_get_length(r, &id))
        return false;
    rdb_module_name(id, name);
    return rdb_fail(r, RDB_UNSUPPORTED,
                    "the value is of the module type '%s': modules are not supported", name);
}

/* ---- any ---- */

static enum value_type type_of(unsigned type)
{
    switch (type) {
    case RDB_LIST:
    case RDB_LIST_ZIPLIST:
    case RDB_LIST_QUICKLIST:
    case RDB_LIST_QUICKLIST_2:
        return TYPE_LIST;
    case RDB_SET:
    case RDB_SET_INTSET:
    case RDB_SET_LISTPACK:
        return TYPE_SET;
    case RDB_ZSET:
    case RDB_ZSET_2:
    case RDB_ZSET_ZIPLIST:
    case RDB_ZSET_LISTPACK:
        return TYPE_ZSET;
    case RDB_HASH:
    case RDB_HASH_ZIPMAP:
    case RDB_HASH_ZIPLIST:
    case RDB_HASH_LISTPACK:
    case RDB_HASH_METADATA:
    case RDB_HASH_LISTPACK_EX:
        return TYPE_HASH;
    case RDB_STREAM_LISTPACKS:
    case RDB_STREAM_LISTPACKS_2:
    case RDB_STREAM_LISTPACKS_3:
        return TYPE_STREAM;
    default:
        return TYPE_STRING;
    }
}

/* A failure may leave a part in *ret. */
static bool load_collection(struct loading *l, unsigned type, struct value_ref *ret)
{
    switch (type) {
    case RDB_LIST:
    case RDB_LIST_ZIPLIST:
    case RDB_LIST_QUICKLIST:
    case RDB_LIST_QUICKLIST_2:
        return load_list(l, type, ret);
    case RDB_SET:
        return load_set(l, ret);
    case RDB_SET_INTSET:
        return load_listpack(l, set_load_intset, ret);
    case RDB_SET_LISTPACK:
        return load_listpack(l, set_load_listpack, ret);
    case RDB_ZSET:
    case RDB_ZSET_2:
        return load_zset(l, type, ret);
    case RDB_ZSET_ZIPLIST:
        return load_old(l, rdb_ziplist_to_listpack, zset_load_listpack, ret);
    case RDB_ZSET_LISTPACK:
        return load_listpack(l, zset_load_listpack, ret);
    case RDB_HASH:
        return load_hash(l, ret);
    case RDB_HASH_ZIPMAP:
        return load_old(l, rdb_zipmap_to_listpack, hash_load_listpack, ret);
    case RDB_HASH_ZIPLIST:
        return load_old(l, rdb_ziplist_to_listpack, hash_load_listpack, ret);
    case RDB_HASH_LISTPACK:
        return load_listpack(l, hash_load_listpack, ret);
    case RDB_HASH_METADATA:
        return load_hash_metadata(l, ret);
    case RDB_HASH_LISTPACK_EX:
        return load_hash_listpack_ex(l, ret);
    case RDB_STREAM_LISTPACKS:
    case RDB_STREAM_LISTPACKS_2:
    case RDB_STREAM_LISTPACKS_3:
        *ret = (struct value_ref){ rdb_load_stream(l->r, type), ENC_STREAM };
        return ret->object != NULL;
    case RDB_MODULE_2:
        return refuse_module(l->r);
    case RDB_MODULE_PRE_GA:
    case RDB_HASH_METADATA_PRE_GA:
    case RDB_HASH_LISTPACK_EX_PRE_GA:
        return rdb_fail(l->r, RDB_UNSUPPORTED,
                        "the value has the type %u, of an unfinished version of Redis", type);
    default:
        return rdb_corrupt(l->r, "no value has the type %u", type);
    }
}

bool rdb_load_value(struct rdb_reader *r, unsigned type, const struct types_limits *limits,
                    struct rdb_value *ret)
{
    struct rdb_value v = { .type = type_of(type) };
    if (type == RDB_STRING) {
        if (!rdb_get_value(r, RDB_SLOT_A, &v.s, &v.blob))
            return false;
        *ret = v;
        return true;
    }
    struct loading l = { r, limits };
    bool ok = load_collection(&l, type, &v.ref);
    /* A stream without entries is as good as any. */
    v.empty =
        ok && v.type != TYPE_STREAM && value_ops(v.type)->elements(v.ref.object, v.ref.enc) == 0;
    if (v.ref.object && (!ok || v.empty)) {
        value_ops(v.type)->free(v.ref.object, v.ref.enc);
        v.ref.object = NULL;
    }
    if (ok)
        *ret = v;
    return ok;
}

void rdb_value_done(struct rdb_value *v)
{
    blob_unref(v->blob);
    if (v->ref.object)
        value_ops(v->type)->free(v->ref.object, v->ref.enc);
    *v = (struct rdb_value){ 0 };
}

struct entry *rdb_value_make(struct rdb_value *v, const struct db *db, struct bytes key,
                             msec_t expire)
{
    ASSERT(!v->empty);
    struct entry *e = v->type != TYPE_STRING
                          ? ks_make_object(db, key, v->type, v->ref.enc, v->ref.object, expire)
                      : v->blob ? ks_make_blob(db, key, v->blob, expire)
                                : ks_make_string(db, key, v->s, expire);
    *v = (struct rdb_value){ 0 };
    return e;
}

struct entry *rdb_value_store(struct rdb_value *v, struct db *db, struct bytes key, msec_t expire)
{
    ASSERT(!v->empty);
    if (expire != NO_EXPIRE && expire < 0)
        expire = 0; /* long ago */
    struct entry *e;
    if (v->type == TYPE_STRING) {
        e = v->blob ? ks_set_blob(db, key, v->blob, 0, expire)
                    : ks_set_string(db, key, v->s, 0, expire);
    } else {
        e = ks_add_object(db, key, v->type, v->ref.enc, v->ref.object);
        if (expire != NO_EXPIRE)
            e = ks_set_expire(db, e, expire);
    }
    *v = (struct rdb_value){ 0 };
    return e;
}
