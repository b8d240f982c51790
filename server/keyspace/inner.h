/* What the files of the keyspace share. Nobody else includes this. */
#pragma once

#include "common/prng.h"
#include "server/keyspace/entry.h"
#include "server/keyspace/keyspace.h"
#include "server/keyspace/slots.h"

struct garbage;

struct db {
    struct table table;
    struct slots *slots; /* or NULL: then the keys are in it, and `table` is empty */
    struct keyspace *ks;
    int id;
    uint64_t volatile_n;
    __int128 expire_sum; /* of the volatile keys' times: db_avg_ttl is exact */
    uint64_t tidy_pos, measure_pos; /* ks_housekeep */
};

/* A candidate for eviction: it may have gone since, see evict.c. */
#define EVICT_POOL 16
struct evict_candidate {
    uint64_t score; /* the higher the sooner */
    uint64_t hash;
    struct entry *entry;
    int db;
};

struct keyspace {
    const struct ks_config *config;
    msec_t now;
    uint32_t lru_now; /* seconds, 24 bits */
    uint16_t lfu_now; /* minutes */
    bool touching;    /* lookups write access bits: touch_wanted and not shared */
    bool touch_wanted, shared;
    bool expire_passive, expire_blind, active_expire;
    int databases;
    struct bytes known_key; /* ks_known_hash */
    uint64_t known_hash;
    struct ks_stats stats;
    struct ks_hooks hooks;
    struct prng prng;

    struct garbage *garbage, **garbage_end; /* lazyfree.c: a queue */
    uint64_t garbage_pending;               /* objects (keys of a dropped database) in it */

    struct evict_candidate pool[EVICT_POOL]; /* ascending score */
    unsigned pool_n;
    int evict_next_db; /* random policies go around */
    int tidy_db;
    struct db dbs[];
};

/* ---- access.c ---- */
/* Bits of a key that is born now, and of one with bits `old` that gets another value. */
uint32_t access_new(const struct keyspace *);
uint32_t access_overwritten(const struct keyspace *, uint32_t old);
void access_touch_lfu(struct keyspace *, struct entry *);

static inline bool policy_is_lfu(int policy)
{
    return policy == POLICY_VOLATILE_LFU || policy == POLICY_ALLKEYS_LFU;
}

static inline void access_touch(struct keyspace *ks, struct entry *e)
{
    if (__builtin_expect(!ks->touching, 0))
        return;
    if (__builtin_expect(policy_is_lfu(ks->config->maxmemory_policy), 0))
        access_touch_lfu(ks, e);
    else
        head_set_access(e, ks->lru_now);
}

/* ---- keyspace.c ---- */
#define NO_KEY_KNOWN ((struct bytes){ NULL, SIZE_MAX })
/* Kept by slot: the hash of one key that is known already, since the request was routed by it. */
static inline uint64_t db_slot_hash(const struct db *db, struct bytes key)
{
    const struct keyspace *ks = db->ks;
    if (key.p == ks->known_key.p && key.n == ks->known_key.n)
        return ks->known_hash;
    return (uint64_t)key_slot(key) << SLOT_HASH_BITS | hash_bytes(key) >> (64 - SLOT_HASH_BITS);
}

/* The hash of a key that all verbs here take. Kept by slot: slot and hash, see slots.h. */
static inline __attribute__((always_inline)) uint64_t db_hash(const struct db *db, struct bytes key)
{
    if (__builtin_expect(db->slots != NULL, 0))
        return db_slot_hash(db, key);
    return hash_bytes(key);
}

/* The table of a key's hash; the hash becomes the table's. */
static inline __attribute__((always_inline)) struct table *db_table(const struct db *db, uint64_t *hash)
{
    if (__builtin_expect(db->slots == NULL, 1))
        return (struct table *)&db->table;
    struct slot *slot = slots_at(db->slots, (unsigned)(*hash >> SLOT_HASH_BITS));
    *hash <<= 64 - SLOT_HASH_BITS;
    return &slot->table;
}

/* Where a key is. */
struct key_at {
    struct table *table;
    struct table_at in;
};

static inline __attribute__((always_inline)) struct entry *
db_find(const struct db *db, uint64_t hash, struct bytes key, struct key_at *ret_at)
{
    struct table *t = db_table(db, &hash);
    ret_at->table = t;
    return table_find(t, &entry_kind, hash, key, &ret_at->in);
}

static inline uint64_t db_count(const struct db *db)
{
    return db->slots ? db->slots->count : db->table.count;
}

struct entry *db_any(struct db *); /* a random one, expired or not; NULL when empty (db.c) */
/* Kept by slot: the entry, in table `t`, counts there from now on (+1), or no more (-1). What changes an entry's size
 * or its string takes it out of the count before and puts it in again. */
void slot_weigh(const struct db *, struct table *t, const struct entry *, int sign);
static inline void db_weigh(const struct db *db, struct table *t, const struct entry *e, int sign)
{
    if (__builtin_expect(db->slots != NULL, 0))
        slot_weigh(db, t, e, sign);
}
/* Where an entry is that is known to be there. */
struct key_at db_locate(const struct db *, const struct entry *);
/* The entry in another form, or with another expiry. */
void db_replace(struct db *, const struct key_at *, struct entry *, msec_t expire);

/* A key whose time has come goes now: removes it unless this node only hides it. True when it may
 * not be seen. */
bool db_expire_if_due(struct db *, struct entry *, const struct key_at *);
/* The key as a write sees it before it replaces the value: with hidden (expired but kept) ones. */
struct entry *db_find_present(struct db *, uint64_t hash, struct bytes key,
                              struct key_at *ret_at);
struct entry *db_add(struct db *, uint64_t hash, struct entry *take); /* counts, notifies "new" */
/* Takes the entry out, counts; its memory and value are the caller's. */
void db_take_out(struct db *, struct entry *, const struct key_at *);
/* The keyspace itself removes a key: hooks, events, statistics, and frees it. */
void db_drop(struct db *, struct entry *, const struct key_at *, enum notify_class why);
void db_count_expire(struct db *, msec_t old, msec_t new);
/* Sets a key: whatever was there is replaced. The heart of all ks_set_* and ks_replace_object. */
struct entry *db_put(struct db *, struct bytes key, const struct entry_value *, unsigned flags,
                     msec_t expire);

/* ---- string.c ---- */
struct entry_value entry_value_of(struct bytes, size_t key_n); /* as SET takes it: an integer if it is one */

/* ---- lazyfree.c ---- */
void value_free(struct keyspace *, struct entry *, enum ks_del);     /* what the entry points to */
void entry_free_all(struct keyspace *, struct entry *, enum ks_del); /* and the entry */
void lazyfree_db(struct db *);        /* takes the keys away, empties the database */
void lazyfree_table(struct keyspace *, struct table *); /* takes the keys away, leaves it empty */
void lazyfree_all(struct keyspace *); /* finishes everything now */

/* ---- evict.c ---- */
static inline uint64_t entry_hash(const struct db *db, const struct entry *e)
{
    return db_hash(db, key_of(e));
}
