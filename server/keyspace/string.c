/* Setting strings: which of the forms a value gets, and growing one in place. */
#include "common/alloc.h"
#include "common/num.h"
#include "server/keyspace/inner.h"

/* Cheap, and true for all numbers. */
static bool may_be_i64(struct bytes s)
{
    return s.n - 1 < NUM_I64_MAX && ((unsigned char)(s.p[0] - '0') < 10 || s.p[0] == '-');
}

struct entry_value entry_value_of(struct bytes value, size_t key_n)
{
    int64_t i;
    if (may_be_i64(value) && num_parse_i64(value, &i))
        return entry_value_i64(i);
    return entry_value_string(value, key_n, value.n > ENC_EMBSTR_MAX ? ENC_RAW : ENC_EMBSTR);
}

struct entry *ks_set_string(struct db *db, struct bytes key, struct bytes value, unsigned flags,
                            msec_t expire)
{
    struct entry_value v;
    int64_t i;
    if (!(flags & (KS_RAW | KS_NO_INT)) && may_be_i64(value) && num_parse_i64(value, &i)) {
        v = entry_value_i64(i);
    } else {
        bool raw = flags & KS_RAW || value.n > ENC_EMBSTR_MAX;
        v = entry_value_string(value, key.n, raw ? ENC_RAW : ENC_EMBSTR);
    }
    return db_put(db, key, &v, flags, expire);
}

struct entry *ks_set_i64(struct db *db, struct bytes key, int64_t i, unsigned flags, msec_t expire)
{
    struct entry_value v = entry_value_i64(i);
    return db_put(db, key, &v, flags, expire);
}

struct entry *ks_set_blob(struct db *db, struct bytes key, struct blob *take, unsigned flags,
                          msec_t expire)
{
    if (take->n < BLOB_MIN) {
        struct entry *e = ks_set_string(db, key, blob_bytes(take), flags, expire);
        blob_unref(take);
        return e;
    }
    struct entry_value v = entry_value_blob(take);
    return db_put(db, key, &v, flags, expire);
}

/* Room for a string that grows: twice the size while small, a quarter more when large. */
static size_t grown(size_t n)
{
    enum { DOUBLE_MAX = 1024 * 1024 };
    size_t more = n < DOUBLE_MAX ? n : n / 4;
    return more < SIZE_MAX - n ? n + more : n;
}

/* A blob that has the string and is `n` bytes long; takes `b` on success. */
static struct blob *blob_grown(struct blob *b, size_t n)
{
    size_t old = b->n;
    struct blob *w = blob_writable(b, n <= b->cap ? n : grown(n));
    if (!w)
        w = blob_writable(b, n); /* without the room */
    if (!w)
        return NULL;
    memset(w->data + old, 0, n - old);
    w->n = n;
    return w;
}

static struct entry *extend_blob(struct entry *e, size_t n, char **ret_p)
{
    struct blob *b = entry_blob(e);
    b = blob_grown(b, n > b->n ? n : b->n);
    if (!b)
        return NULL;
    memcpy(value_at(e), &b, sizeof b);
    *ret_p = b->data;
    return e;
}

struct entry *ks_string_extend(struct db *db, struct bytes key, size_t n, char **ret_p)
{
    struct key_at at;
    struct entry *e = db_find_present(db, db_hash(db, key), key, &at);
    ASSERT(!e || head_type(e) == TYPE_STRING);
    if (e && entry_blob(e)) {
        db_weigh(db, at.table, e, -1);
        struct entry *grown_e = extend_blob(e, n, ret_p);
        db_weigh(db, at.table, e, 1);
        return grown_e;
    }

    char scratch[24], text[BLOB_MIN];
    struct bytes old = e ? entry_string(e, scratch) : bytes_of(text, 0);
    if (n < old.n)
        n = old.n;
    struct entry_value v;
    if (entry_string_is_short(n, key.n)) {
        if (old.n)
            memcpy(text, old.p, old.n);
        memset(text + old.n, 0, n - old.n);
        v = entry_value_string(bytes_of(text, n), key.n, ENC_RAW);
    } else {
        struct blob *b = blob_try_new(n, n);
        if (!b)
            return NULL;
        if (old.n)
            memcpy(b->data, old.p, old.n);
        memset(b->data + old.n, 0, n - old.n);
        v = entry_value_blob(b);
    }
    e = db_put(db, key, &v, KS_KEEP_TTL, NO_EXPIRE);
    *ret_p =
        v.form == FORM_BLOB ? ((struct blob *)v.pointer)->data : (char *)short_at(value_at(e)).p;
    return e;
}
