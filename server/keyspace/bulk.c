/* Many keys at once: entries are made first and put in a little later, so that the lines of the
 * table can be fetched in between. Loading is bound by those misses. */
#include "server/keyspace/inner.h"

struct entry *ks_make_string(const struct db *db, struct bytes key, struct bytes value,
                             msec_t expire)
{
    struct entry_value v = entry_value_of(value, key.n);
    return entry_new(key, expire, &v, access_new(db->ks));
}

struct entry *ks_make_blob(const struct db *db, struct bytes key, struct blob *take, msec_t expire)
{
    if (take->n < BLOB_MIN) {
        struct entry *e = ks_make_string(db, key, blob_bytes(take), expire);
        blob_unref(take);
        return e;
    }
    struct entry_value v = entry_value_blob(take);
    return entry_new(key, expire, &v, access_new(db->ks));
}

struct entry *ks_make_object(const struct db *db, struct bytes key, enum value_type type,
                             enum value_encoding encoding, void *take, msec_t expire)
{
    ASSERT(type != TYPE_STRING);
    struct entry_value v = { .type = type, .form = encoding, .pointer = take };
    return entry_new(key, expire, &v, access_new(db->ks));
}

bool ks_put_made(struct db *db, uint64_t hash, struct entry *take)
{
    struct key_at at;
    if (db_find(db, hash, key_of(take), &at))
        return false;
    (void)db_add(db, hash, take);
    return true;
}

void ks_drop_made(struct db *db, struct entry *take)
{
    entry_free_all(db->ks, take, KS_DEL_LAZY);
}
