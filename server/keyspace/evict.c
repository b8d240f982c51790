/* Eviction: which keys go when memory is over maxmemory.
 *
 * LRU and LFU are approximated as Redis does: a few keys are sampled, the best candidates are kept
 * in a small pool from one eviction to the next, and the best of the pool goes. The samples are the
 * keys around a random position in hash order, whose bucket is one cache line. Keys to expire
 * soonest (volatile-ttl) need no sampling: the table knows which comes first. A candidate of the
 * pool is an entry's address that may have been freed or reused since; it is only believed when the
 * table still has it at its hash. */
#include "common/alloc.h"
#include "server/keyspace/inner.h"

#define SAMPLES_MAX 64
#define VOLATILE_BUCKETS                                                                           \
    32 /* looked through for volatile keys before asking the segments that have some */
#define CLOCK_EVERY 16 /* evictions */
#define BLOBS_PENDING_MAX                                                                          \
    4 /* blobs of a megabyte or more that are being freed: wait before taking more keys */
#define LAZYFREE_SLICE_US 200

struct victim {
    struct db *db;
    struct entry *entry;
    struct key_at at;
};

static bool policy_is_allkeys(int policy)
{
    return policy == POLICY_ALLKEYS_LRU || policy == POLICY_ALLKEYS_LFU ||
           policy == POLICY_ALLKEYS_RANDOM;
}

static unsigned sample(struct db *db, bool allkeys, void **items, unsigned max)
{
    struct prng *r = &db->ks->prng;
    if (db->slots) {
        if (allkeys)
            return slots_sample(db->slots, r, TABLE_SAMPLE_ALL, max, items, max);
        unsigned n = slots_sample(db->slots, r, TABLE_SAMPLE_VOLATILE, VOLATILE_BUCKETS / 4, items, max);
        return n ? n : slots_sample_due(db->slots, r, items, max);
    }
    if (allkeys)
        return table_sample(&db->table, prng_u64(r), TABLE_SAMPLE_ALL, max, items, max);
    unsigned n =
        table_sample(&db->table, prng_u64(r), TABLE_SAMPLE_VOLATILE, VOLATILE_BUCKETS, items, max);
    return n ? n : table_sample_due(&db->table, prng_u64(r), items, max);
}

/* ---- LRU and LFU ---- */

static uint64_t evict_score(const struct keyspace *ks, const struct entry *e)
{
    if (policy_is_lfu(ks->config->maxmemory_policy))
        return 255u - entry_freq(ks, e);
    return entry_idle_ms(ks, e);
}

/* Keeps the pool sorted; the lowest falls out when it is full. */
static void pool_add(struct keyspace *ks, const struct evict_candidate *c)
{
    struct evict_candidate *pool = ks->pool;
    for (unsigned i = 0; i < ks->pool_n; i++) {
        if (pool[i].entry == c->entry)
            return;
    }
    if (ks->pool_n == EVICT_POOL) {
        if (c->score <= pool[0].score)
            return;
        ks->pool_n--;
        memmove(pool, pool + 1, ks->pool_n * sizeof *pool);
    }
    unsigned i = ks->pool_n;
    for (; i > 0 && pool[i - 1].score > c->score; i--)
        pool[i] = pool[i - 1];
    pool[i] = *c;
    ks->pool_n++;
}

static void pool_fill(struct keyspace *ks, bool allkeys)
{
    int samples = ks->config->maxmemory_samples;
    unsigned max = samples < 1 ? 1 : samples > SAMPLES_MAX ? SAMPLES_MAX : (unsigned)samples;
    for (int i = 0; i < ks->databases; i++) {
        struct db *db = &ks->dbs[i];
        if (!(allkeys ? db_count(db) : db->volatile_n))
            continue;
        void *items[SAMPLES_MAX];
        unsigned n = sample(db, allkeys, items, max);
        for (unsigned j = 0; j < n; j++)
            table_fetch(items[j]);
        for (unsigned j = 0; j < n; j++) {
            struct entry *e = items[j];
            struct evict_candidate c = { evict_score(ks, e), entry_hash(db, e), e, i };
            pool_add(ks, &c);
        }
    }
}

/* Takes the best candidate out of the pool. One that has gone, or was used since it got its score,
 * does not count. */
static bool pool_take(struct keyspace *ks, bool allkeys, struct victim *ret_victim)
{
    while (ks->pool_n > 0) {
        struct evict_candidate c = ks->pool[--ks->pool_n];
        struct db *db = &ks->dbs[c.db];
        struct key_at at = { .table = db_table(db, &c.hash) };
        if (!table_try_locate(at.table, c.hash, c.entry, &at.in))
            continue;
        if (evict_score(ks, c.entry) < c.score || !(allkeys || c.entry->head & HEAD_EXPIRES))
            continue;
        *ret_victim = (struct victim){ db, c.entry, at };
        return true;
    }
    return false;
}

static bool choose_scored(struct keyspace *ks, bool allkeys, struct victim *ret_victim)
{
    enum { TRIES = 16 };
    for (int i = 0; i < TRIES; i++) {
        pool_fill(ks, allkeys);
        if (pool_take(ks, allkeys, ret_victim))
            return true;
    }
    return false;
}

/* ---- the others ---- */

static void set_victim(struct victim *v, struct db *db, struct entry *e)
{
    *v = (struct victim){ db, e, db_locate(db, e) };
}

/* A random key of the next database that has one. */
static bool choose_random(struct keyspace *ks, bool allkeys, struct victim *ret_victim)
{
    for (int i = 0; i < ks->databases; i++) {
        struct db *db = &ks->dbs[ks->evict_next_db++ % ks->databases];
        ks->evict_next_db %= ks->databases;
        if (!(allkeys ? db_count(db) : db->volatile_n))
            continue;
        void *items[SAMPLES_MAX];
        unsigned n = sample(db, allkeys, items, 8);
        if (n == 0 && allkeys)
            n = (items[0] = db_any(db)) != NULL;
        if (n == 0)
            continue;
        set_victim(ret_victim, db, items[prng_below(&ks->prng, n)]);
        return true;
    }
    return false;
}

static bool choose_soonest(struct keyspace *ks, struct victim *ret_victim)
{
    struct db *db = NULL;
    struct entry *soonest = NULL;
    for (int i = 0; i < ks->databases; i++) {
        struct db *x = &ks->dbs[i];
        struct entry *e =
            x->slots ? slots_earliest(x->slots, &entry_kind) : table_earliest(&x->table, &entry_kind);
        if (e && (!soonest || expiry_get(e) < expiry_get(soonest))) {
            soonest = e;
            db = x;
        }
    }
    if (soonest)
        set_victim(ret_victim, db, soonest);
    return soonest != NULL;
}

static bool choose(struct keyspace *ks, struct victim *ret_victim)
{
    int policy = ks->config->maxmemory_policy;
    switch (policy) {
    case POLICY_ALLKEYS_LRU:
    case POLICY_ALLKEYS_LFU:
    case POLICY_VOLATILE_LRU:
    case POLICY_VOLATILE_LFU:
        return choose_scored(ks, policy_is_allkeys(policy), ret_victim);
    case POLICY_ALLKEYS_RANDOM:
    case POLICY_VOLATILE_RANDOM:
        return choose_random(ks, policy_is_allkeys(policy), ret_victim);
    case POLICY_VOLATILE_TTL:
        return choose_soonest(ks, ret_victim);
    default:
        return false;
    }
}

/* ---- the loop ---- */

bool ks_over_limit(const struct keyspace *ks, size_t not_counted)
{
    if (!ks->config->maxmemory)
        return false;
    size_t used = mem_used();
    return used > not_counted && used - not_counted > ks->config->maxmemory;
}

/* maxmemory-eviction-tenacity as time: 0 to 0.5 ms in the first tenth, then 15 % more per step;
 * 100: no limit. */
static usec_t tenacity_us(int tenacity)
{
    if (tenacity >= 100)
        return INT64_MAX;
    if (tenacity <= 10)
        return 50 * (usec_t)tenacity;
    double us = 500;
    for (int i = 10; i < tenacity; i++)
        us *= 1.15;
    return (usec_t)us;
}

/* Frees until below the limit, or the time is over. */
static enum evict_result evict_until(struct keyspace *ks, size_t not_counted,
                                     usec_t (*clock_us)(void), usec_t start)
{
    usec_t limit = tenacity_us(ks->config->maxmemory_eviction_tenacity);
    for (unsigned n = 1; ks_over_limit(ks, not_counted); n++) {
        if ((n % CLOCK_EVERY == 0 || ks->garbage) && clock_us() - start > limit)
            return EVICT_RUNNING;
        if (ks->garbage) { /* what was evicted lazily counts until it is freed */
            (void)ks_lazyfree_step(ks, clock_us, LAZYFREE_SLICE_US);
            continue;
        }
        if (blob_lazy_pending() >= BLOBS_PENDING_MAX)
            return EVICT_RUNNING;
        struct victim v;
        if (!choose(ks, &v))
            return blob_lazy_pending() ? EVICT_RUNNING : EVICT_FAIL;
        db_drop(v.db, v.entry, &v.at, NOTIFY_EVICTED);
    }
    return EVICT_OK;
}

enum evict_result ks_evict(struct keyspace *ks, size_t not_counted, usec_t (*clock_us)(void))
{
    if (!ks_over_limit(ks, not_counted))
        return EVICT_OK;
    if (ks->config->maxmemory_policy == POLICY_NOEVICTION && !ks->garbage)
        return EVICT_FAIL;
    usec_t start = clock_us();
    enum evict_result result = evict_until(ks, not_counted, clock_us, start);
    ks->stats.eviction_exceeded_us += (uint64_t)(clock_us() - start);
    return result;
}
