/* Databases and their keys: finding, adding, replacing, removing (contract: keyspace.h, entries:
 * entry.h).
 *
 * Each database is one table of entries in hash order. What a command does to a key is one lookup;
 * when an entry must move to another size, the slot that the lookup found is rewritten. Expiry
 * times are kept in the entry, and by the table as "earliest of the bucket", which is all that the
 * active expiry needs. */
#include "server/keyspace/keyspace.h"

#include "common/alloc.h"
#include "server/keyspace/inner.h"

#define SECONDS_MASK 0xFFFFFFu

struct keyspace *ks_new(int databases, const struct ks_config *borrowed,
                        const struct ks_hooks *copied)
{
    ASSERT(databases > 0);
    struct keyspace *ks = mem_zalloc(sizeof *ks + (size_t)databases * sizeof ks->dbs[0]);
    ks->config = borrowed;
    if (copied)
        ks->hooks = *copied;
    ks->databases = databases;
    ks->touching = ks->touch_wanted = true;
    ks->active_expire = true;
    ks->known_key = NO_KEY_KNOWN;
    ks->garbage_end = &ks->garbage;
    prng_init(&ks->prng, hash_u64(0));
    for (int i = 0; i < databases; i++) {
        table_init(&ks->dbs[i].table);
        ks->dbs[i].ks = ks;
        ks->dbs[i].id = i;
    }
    return ks;
}

struct keyspace *ks_new_beside(const struct keyspace *like)
{
    struct keyspace *ks = ks_new(like->databases, like->config, NULL);
    ks_set_now(ks, like->now);
    if (like->dbs[0].slots)
        ks_keep_by_slot(ks);
    return ks;
}

void ks_free(struct keyspace *ks)
{
    if (!ks)
        return;
    for (int i = 0; i < ks->databases; i++)
        lazyfree_db(&ks->dbs[i]);
    lazyfree_all(ks);
    for (int i = 0; i < ks->databases; i++)
        slots_free(ks->dbs[i].slots);
    mem_free(ks);
}

struct db *ks_db(struct keyspace *ks, int id)
{
    ASSERT(id >= 0);
    ASSERT(id < ks->databases);
    return &ks->dbs[id];
}

int ks_databases(const struct keyspace *ks)
{
    return ks->databases;
}

struct ks_stats *ks_stats(struct keyspace *ks)
{
    return &ks->stats;
}

const struct ks_config *ks_config(const struct keyspace *ks)
{
    return ks->config;
}

struct keyspace *db_keyspace(struct db *db)
{
    return db->ks;
}

int db_id(const struct db *db)
{
    return db->id;
}

void ks_set_now(struct keyspace *ks, msec_t now)
{
    if (now == ks->now)
        return;
    ks->now = now;
    ks->lru_now = (uint32_t)(now / 1000) & SECONDS_MASK;
    ks->lfu_now = (uint16_t)(now / 60000);
}

msec_t ks_now(const struct keyspace *ks)
{
    return ks->now;
}

void ks_set_expire_passive(struct keyspace *ks, bool on)
{
    ks->expire_passive = on;
}

void ks_set_expire_blind(struct keyspace *ks, bool on)
{
    ks->expire_blind = on;
}

void ks_set_active_expire(struct keyspace *ks, bool on)
{
    ks->active_expire = on;
}

void ks_set_touch(struct keyspace *ks, bool on)
{
    ks->touch_wanted = on;
    ks->touching = on && !ks->shared;
}

void ks_set_shared(struct keyspace *ks, bool on)
{
    ks->shared = on;
    ks->touching = ks->touch_wanted && !on;
}

/* ---- adding and removing ---- */

void db_count_expire(struct db *db, msec_t old, msec_t new)
{
    if (old != NO_EXPIRE) {
        db->volatile_n--;
        db->expire_sum -= old;
    }
    if (new != NO_EXPIRE) {
        db->volatile_n++;
        db->expire_sum += new;
    }
}

struct entry *db_add(struct db *db, uint64_t hash, struct entry *e)
{
    msec_t expire = expiry_get(e);
    if (__builtin_expect(db->slots != NULL, 0)) {
        struct slot *s = slots_make(db->slots, ks_hash_slot(hash));
        table_insert(&s->table, &entry_kind, hash << (64 - SLOT_HASH_BITS), e, due_of(expire));
        slots_counted(db->slots, s, 1);
        slot_weigh(db, &s->table, e, 1);
        if (expire != NO_EXPIRE)
            slots_note_due(db->slots, s);
    } else {
        table_insert(&db->table, &entry_kind, hash, e, due_of(expire));
    }
    if (expire != NO_EXPIRE)
        db_count_expire(db, NO_EXPIRE, expire);
    if (__builtin_expect(db->ks->config->notify_flags & NOTIFY_NEW, 0))
        ks_notify(db, key_of(e), NOTIFY_NEW, "new");
    return e;
}

void db_take_out(struct db *db, struct entry *e, const struct key_at *at)
{
    if (__builtin_expect(db->slots != NULL, 0))
        slots_counted(db->slots, (const struct slot *)at->table, -1);
    db_weigh(db, at->table, e, -1);
    table_remove(at->table, &entry_kind, &at->in);
    db_count_expire(db, expiry_get(e), NO_EXPIRE);
}

struct key_at db_locate(const struct db *db, const struct entry *e)
{
    uint64_t hash = entry_hash(db, e);
    struct table *t = db_table(db, &hash);
    return (struct key_at){ t, table_locate(t, hash, e) };
}

void db_replace(struct db *db, const struct key_at *at, struct entry *e, msec_t expire)
{
    table_replace(at->table, &at->in, e, due_of(expire));
    if (__builtin_expect(db->slots != NULL, 0) && expire != NO_EXPIRE)
        slots_note_due(db->slots, (struct slot *)at->table);
}

void db_drop(struct db *db, struct entry *e, const struct key_at *at, enum notify_class why)
{
    struct keyspace *ks = db->ks;
    struct bytes key = key_of(e);
    bool expired = why == NOTIFY_EXPIRED;
    db_take_out(db, e, at);
    if (ks->hooks.removed)
        ks->hooks.removed(ks->hooks.ctx, db, key, why);
    ks_notify(db, key, why, expired ? "expired" : "evicted");
    ks_touched(db, key);
    if (expired)
        ks->stats.expired++;
    else
        ks->stats.evicted++;
    bool lazy = expired ? ks->config->lazyfree_lazy_expire : ks->config->lazyfree_lazy_eviction;
    entry_free_all(ks, e, lazy ? KS_DEL_LAZY : KS_DEL_SYNC);
}

__attribute__((noinline)) bool db_expire_if_due(struct db *db, struct entry *e,
                                                const struct key_at *at)
{
    const struct keyspace *ks = db->ks;
    if (!entry_is_expired(e, ks->now) || ks->expire_blind)
        return false;
    if (!ks->expire_passive)
        db_drop(db, e, at, NOTIFY_EXPIRED);
    return true;
}

bool ks_is_expired(const struct keyspace *ks, const struct entry *e)
{
    return entry_is_expired(e, ks->now);
}

/* ---- lookup ---- */

/* The key as everybody may see it; nothing counted, nothing touched. */
static inline __attribute__((always_inline)) struct entry *
find_visible(struct db *db, struct bytes key, struct key_at *ret_at)
{
    struct entry *e = db_find(db, db_hash(db, key), key, ret_at);
    if (e && __builtin_expect(e->head & HEAD_EXPIRES, 0) && db_expire_if_due(db, e, ret_at))
        return NULL;
    return e;
}

struct entry *db_find_present(struct db *db, uint64_t hash, struct bytes key,
                              struct key_at *ret_at)
{
    struct entry *e = db_find(db, hash, key, ret_at);
    if (e && e->head & HEAD_EXPIRES && db_expire_if_due(db, e, ret_at) && !db->ks->expire_passive)
        return NULL;
    return e;
}

static __attribute__((noinline)) void count_miss(struct db *db, struct bytes key, unsigned flags)
{
    if (!(flags & KS_NO_STATS))
        db->ks->stats.misses++;
    if (!(flags & KS_NO_NOTIFY))
        ks_notify(db, key, NOTIFY_KEY_MISS, "keymiss");
}

struct entry *ks_find(struct db *db, struct bytes key, unsigned flags)
{
    struct key_at at;
    struct entry *e =
        flags & KS_EXPIRED_TOO ? db_find(db, db_hash(db, key), key, &at) : find_visible(db, key, &at);
    if (!e) {
        count_miss(db, key, flags);
        return NULL;
    }
    if (!(flags & KS_NO_STATS))
        db->ks->stats.hits++;
    if (!(flags & KS_NO_TOUCH))
        access_touch(db->ks, e);
    return e;
}

struct entry *ks_read(struct db *db, struct bytes key)
{
    struct key_at at;
    struct entry *e = find_visible(db, key, &at);
    if (__builtin_expect(!e, 0)) {
        count_miss(db, key, 0);
        return NULL;
    }
    db->ks->stats.hits++;
    access_touch(db->ks, e);
    return e;
}

struct entry *ks_write(struct db *db, struct bytes key)
{
    struct key_at at;
    struct entry *e = find_visible(db, key, &at);
    if (e)
        access_touch(db->ks, e);
    return e;
}

bool ks_exists(struct db *db, struct bytes key)
{
    struct key_at at;
    return find_visible(db, key, &at) != NULL;
}

uint64_t ks_hash(const struct db *db, struct bytes key)
{
    return db_hash(db, key);
}

void ks_prefetch_place(const struct db *db, uint64_t hash)
{
    if (__builtin_expect(db->slots != NULL, 0)) {
        const struct slot *slot = slots_at(db->slots, ks_hash_slot(hash));
        table_fetch(slot); /* the directory is in it, but for a slot of many keys */
        return;
    }
    table_prefetch_place(&db->table, hash);
}

void ks_prefetch_bucket(const struct db *db, uint64_t hash)
{
    const struct table *t = db_table(db, &hash);
    if (__builtin_expect(db->slots != NULL, 0))
        table_fetch(&((const struct slot *)t)->stats);
    table_prefetch_bucket(t, hash);
}

void ks_prefetch_entry(const struct db *db, uint64_t hash)
{
    const struct table *t = db_table(db, &hash);
    table_prefetch_item(t, hash);
}

void ks_prefetch_object(const struct db *db, uint64_t hash)
{
    const struct table *t = db_table(db, &hash);
    const struct entry *e = table_guess(t, hash);
    if (!e || head_type(e) == TYPE_STRING)
        return;
    const char *object = entry_object(e);
    bool flat = entry_encoding(e) == ENC_LISTPACK || entry_encoding(e) == ENC_INTSET;
    int lines = flat ? 4 : 1; /* what lies further on the processor sees coming */
    for (int i = 0; i < lines; i++)
        table_fetch(object + 64 * i);
}

/* ---- setting and deleting ---- */

struct entry *db_put(struct db *db, struct bytes key, const struct entry_value *v, unsigned flags,
                     msec_t expire)
{
    struct keyspace *ks = db->ks;
    uint64_t hash = db_hash(db, key);
    struct key_at at;
    struct entry *e = db_find_present(db, hash, key, &at);
    if (!e)
        return db_add(db, hash, entry_new(key, expire, v, access_new(ks)));

    msec_t old = expiry_get(e);
    if (flags & KS_KEEP_TTL)
        expire = old;
    uint32_t access = access_overwritten(ks, head_access(e));
    enum ks_del how = ks->config->lazyfree_lazy_server_del ? KS_DEL_LAZY : KS_DEL_SYNC;
    db_weigh(db, at.table, e, -1);
    if (entry_fits(e, expire, v)) {
        if (entry_has_pointer(e))
            value_free(ks, e, how);
        entry_overwrite(e, expire, v, access);
        if (old != expire)
            db_replace(db, &at, e, expire);
    } else {
        struct entry *new = entry_new(key, expire, v, access);
        db_replace(db, &at, new, expire);
        entry_free_all(ks, e, how);
        e = new;
    }
    db_weigh(db, at.table, e, 1);
    if (old != expire)
        db_count_expire(db, old, expire);
    return e;
}

/* Nobody sees a key of this name, but on a replica an expired one may still be there, whose DEL is
 * yet to come. */
static void make_way(struct db *db, uint64_t hash, struct bytes key)
{
    struct key_at at;
    struct entry *hidden = db_find_present(db, hash, key, &at);
    if (!hidden)
        return;
    ASSERT(db->ks->expire_passive);
    ASSERT(entry_is_expired(hidden, db->ks->now));
    db_take_out(db, hidden, &at);
    entry_free_all(db->ks, hidden, KS_DEL_LAZY);
}

static struct entry_value object_value(enum value_type type, enum value_encoding encoding,
                                       void *object)
{
    ASSERT(type != TYPE_STRING);
    return (struct entry_value){ .type = type, .form = encoding, .pointer = object };
}

struct entry *ks_add_object(struct db *db, struct bytes key, enum value_type type,
                            enum value_encoding encoding, void *take)
{
    struct entry_value v = object_value(type, encoding, take);
    uint64_t hash = db_hash(db, key);
    make_way(db, hash, key);
    return db_add(db, hash, entry_new(key, NO_EXPIRE, &v, access_new(db->ks)));
}

struct entry *ks_replace_object(struct db *db, struct bytes key, enum value_type type,
                                enum value_encoding encoding, void *take, unsigned flags)
{
    struct entry_value v = object_value(type, encoding, take);
    return db_put(db, key, &v, flags, NO_EXPIRE);
}

bool ks_delete(struct db *db, struct bytes key, enum ks_del how)
{
    struct key_at at;
    struct entry *e = db_find_present(db, db_hash(db, key), key, &at);
    if (!e)
        return false;
    db_take_out(db, e, &at);
    entry_free_all(db->ks, e, how);
    return true;
}

struct entry *ks_move(struct db *from, struct bytes key, struct db *to, struct bytes to_key)
{
    uint64_t to_hash = db_hash(to, to_key);
    make_way(to, to_hash, to_key);
    struct key_at at;
    struct entry *e = db_find_present(from, db_hash(from, key), key, &at);
    ASSERT(e);
    bool rename = !bytes_eq(key, to_key);
    db_take_out(from, e, &at);
    if (rename)
        e = entry_with_key(e, to_key);
    return db_add(to, to_hash, e);
}

struct entry *ks_copy(struct db *from, struct bytes key, struct db *to, struct bytes to_key)
{
    uint64_t to_hash = db_hash(to, to_key);
    make_way(to, to_hash, to_key);
    struct key_at at;
    const struct entry *e = db_find_present(from, db_hash(from, key), key, &at);
    ASSERT(e);
    unsigned form = head_form(e);
    const uint8_t *value = value_at(e);
    struct entry_value v = { .type = head_type(e), .form = form };
    if (v.type != TYPE_STRING) {
        v.pointer = value_ops(v.type)->copy(pointer_at(value), entry_encoding(e));
    } else if (form == FORM_BLOB) {
        v.pointer = blob_ref(pointer_at(value));
    } else if (form_is_int(form)) {
        v.i = int_at(value, form);
    } else {
        v = entry_value_string(short_at(value), to_key.n,
                               (enum value_encoding)form); /* a longer key may not leave room */
    }
    return db_add(to, to_hash, entry_new(to_key, expiry_get(e), &v, access_new(to->ks)));
}

struct entry *ks_set_expire(struct db *db, struct entry *e, msec_t at)
{
    msec_t old = expiry_get(e);
    if (old == at)
        return e;
    struct key_at place = db_locate(db, e);
    db_weigh(db, place.table, e, -1);
    e = entry_with_expire(e, at);
    db_replace(db, &place, e, at);
    db_weigh(db, place.table, e, 1);
    db_count_expire(db, old, at);
    return e;
}
