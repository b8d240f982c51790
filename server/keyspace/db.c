/* Databases as a whole: figures, flushing, swapping, walking, random keys, and the cron work on
 * their tables. */
#include "server/keyspace/inner.h"

static const struct bytes whole_db = { NULL, 0 }; /* instead of a key */

uint64_t db_size(const struct db *db)
{
    return db_count(db);
}

uint64_t db_volatile(const struct db *db)
{
    return db->volatile_n;
}

msec_t db_avg_ttl(const struct db *db)
{
    if (!db->volatile_n)
        return 0;
    __int128 ttl = db->expire_sum / (__int128)db->volatile_n - db->ks->now;
    return ttl > 0 ? (msec_t)ttl : 0;
}

uint64_t db_table_slots(const struct db *db)
{
    return db->slots ? slots_table_slots(db->slots) : table_slots(&db->table);
}

size_t db_table_bytes(const struct db *db)
{
    return db->slots ? slots_bytes(db->slots) : table_bytes(&db->table);
}

void db_reserve(struct db *db, uint64_t keys)
{
    if (!db->slots) /* small tables grow in small steps */
        table_reserve(&db->table, keys);
}

static void free_entry_now(void *ctx, void *item)
{
    entry_free_all(ctx, item, KS_DEL_SYNC);
}

static void flush(struct db *db, enum ks_del how, struct bytes told)
{
    ks_touched(db, told);
    if (how == KS_DEL_SYNC) {
        uint64_t pos = 0;
        while (!(db->slots ? slots_clear_some(db->slots, &pos, free_entry_now, db->ks)
                           : table_clear_some(&db->table, &pos, free_entry_now, db->ks)))
            ;
    }
    lazyfree_db(db);
}

void ks_flush_db(struct db *db, enum ks_del how)
{
    flush(db, how, whole_db);
}

void ks_flush_all(struct keyspace *ks, enum ks_del how)
{
    for (int i = 0; i < ks_databases(ks); i++)
        flush(ks_db(ks, i), how, i == 0 ? whole_db : KS_FLUSHED_TOO);
}

void ks_flushed_all(struct keyspace *ks)
{
    if (ks->hooks.flushed_all)
        ks->hooks.flushed_all(ks->hooks.ctx);
}

void ks_swap(struct keyspace *ks, int a, int b)
{
    struct db *x = ks_db(ks, a), *y = ks_db(ks, b);
    if (x == y)
        return;
    /* Keys that go and keys that come are both changes: told before and after. */
    ks_touched(x, KS_SWAPPED);
    ks_touched(y, KS_SWAPPED);
    struct db tmp = *x;
    table_swap(&x->table, &y->table);
    x->slots = y->slots;
    y->slots = tmp.slots;
    x->volatile_n = y->volatile_n;
    x->expire_sum = y->expire_sum;
    y->volatile_n = tmp.volatile_n;
    y->expire_sum = tmp.expire_sum;
    ks->pool_n = 0; /* candidates remember their database's number */
    ks_touched(x, KS_SWAPPED);
    ks_touched(y, KS_SWAPPED);
}

void ks_replace_all(struct keyspace *ks, struct keyspace *from)
{
    ASSERT(from->databases == ks->databases);
    for (int i = 0; i < ks->databases; i++) {
        struct db *x = &ks->dbs[i], *y = &from->dbs[i];
        ASSERT(!x->slots == !y->slots);
        if (db_count(x) == 0 && db_count(y) == 0)
            continue;
        ks_touched(x, whole_db);
        lazyfree_db(x);
        table_swap(&x->table, &y->table);
        struct slots *old = x->slots;
        x->slots = y->slots;
        y->slots = old;
        if (old)
            slots_copy_stats(x->slots, old);
        x->volatile_n = y->volatile_n;
        x->expire_sum = y->expire_sum;
        y->volatile_n = 0;
        y->expire_sum = 0;
        ks_touched(x, KS_SWAPPED); /* keys that were not there are now */
    }
    ks->pool_n = 0;
}

struct entry *db_any(struct db *db)
{
    struct prng *r = &db->ks->prng;
    if (!db->slots)
        return table_random(&db->table, r);
    return db->slots->count ? table_random(&slots_pick(db->slots, r)->table, r) : NULL;
}

struct entry *db_random(struct db *db)
{
    enum { TRIES = 100 }; /* of expired keys, where they may not be removed */
    struct entry *e = NULL;
    for (int i = 0; i < TRIES;) {
        e = db_any(db);
        if (!e || !entry_is_expired(e, db->ks->now))
            return e;
        struct key_at at = db_locate(db, e);
        if (!db_expire_if_due(db, e, &at))
            return e;
        i += db->ks->expire_passive; /* else it has gone */
    }
    return e;
}

struct visit {
    void (*visit)(void *ctx, struct entry *);
    void *ctx;
};

static void visit_item(void *ctx, void *item)
{
    const struct visit *v = ctx;
    v->visit(v->ctx, item);
}

uint64_t db_scan(struct db *db, uint64_t cursor, void (*visit)(void *ctx, struct entry *),
                 void *ctx)
{
    struct visit v = { visit, ctx };
    return db->slots ? slots_scan(db->slots, cursor, visit_item, &v) : table_scan(&db->table, cursor, visit_item, &v);
}

/* ---- by slot ---- */

void ks_keep_by_slot(struct keyspace *ks)
{
    for (int i = 0; i < ks->databases; i++) {
        ASSERT(ks->dbs[i].table.count == 0 && !ks->dbs[i].slots);
        ks->dbs[i].slots = slots_new();
    }
}

void ks_known_hash(struct keyspace *ks, struct bytes key, uint64_t hash)
{
    ks->known_key = key.p ? key : NO_KEY_KNOWN;
    ks->known_hash = hash;
}

bool ks_by_slot(const struct keyspace *ks)
{
    return ks->dbs[0].slots != NULL;
}

uint64_t db_slot_size(const struct db *db, unsigned slot)
{
    return slots_at(db->slots, slot)->table.count;
}

void slot_weigh(const struct db *db, struct table *t, const struct entry *e, int sign)
{
    struct slot *s = (struct slot *)t;
    s->bytes += (uint64_t)sign * entry_own_bytes(e);
    if (head_type(e) == TYPE_STRING)
        return;
    s->collections += (uint32_t)sign;
    db->slots->collections += (uint64_t)(int64_t)sign;
}

uint64_t db_slot_memory(const struct db *db, unsigned slot)
{
    const struct slot *s = slots_at(db->slots, slot);
    return s->bytes + (s->collections ? s->stats.collections_bytes : 0) + table_bytes(&s->table);
}

struct ks_slot_stats *db_slot_stats(struct db *db, unsigned slot)
{
    return &slots_make(db->slots, slot)->stats;
}

uint64_t db_scan_slot(struct db *db, unsigned slot, uint64_t cursor, void (*visit)(void *ctx, struct entry *),
                      void *ctx)
{
    struct visit v = { visit, ctx };
    return table_scan(&slots_at(db->slots, slot)->table, cursor, visit_item, &v);
}

static void announce_gone(void *ctx, void *item)
{
    struct db *db = ctx;
    const struct ks_hooks *hooks = &db->ks->hooks;
    struct entry *e = item;
    struct bytes key = key_of(e);
    if (hooks->removed)
        hooks->removed(hooks->ctx, db, key, NOTIFY_GENERIC);
    ks_notify(db, key, NOTIFY_GENERIC, "del");
    ks_touched(db, key);
    db_count_expire(db, expiry_get(e), NO_EXPIRE);
}

/* Everybody hears of the keys while they are still there; then the slot's table goes as a whole. */
uint64_t db_drop_slot(struct db *db, unsigned slot)
{
    struct slot *s = slots_at(db->slots, slot);
    uint64_t n = s->table.count;
    if (n == 0)
        return 0;
    uint64_t cursor = 0;
    do {
        cursor = table_scan(&s->table, cursor, announce_gone, db);
    } while (cursor);
    heap_remove(&db->slots->due, &s->due);
    slots_counted(db->slots, s, -(int64_t)n);
    db->slots->collections -= s->collections;
    s->bytes = s->collections = 0;
    s->stats.collections_bytes = 0;
    lazyfree_table(db->ks, &s->table);
    return n;
}

static uint64_t collection_bytes(const void *item)
{
    const struct entry *e = item;
    enum { SAMPLES = 5 };
    if (head_type(e) == TYPE_STRING)
        return 0;
    return value_ops(head_type(e))->memory(entry_object(e), entry_encoding(e), SAMPLES);
}

/* How much the collections of each slot weigh: they grow and shrink where nobody counts. */
static void measure_slots(struct db *db, usec_t (*clock_us)(void), usec_t budget_us)
{
    enum { BUCKETS = 64 };
    if (db->slots->collections == 0)
        return;
    usec_t end = clock_us() + budget_us;
    do
        slots_measure(db->slots, &db->measure_pos, BUCKETS, collection_bytes);
    while (db->measure_pos && clock_us() < end);
}

void ks_housekeep(struct keyspace *ks, usec_t (*clock_us)(void), usec_t budget_us)
{
    enum { SEGMENTS = 8, SLOTS = 128 };
    if (ks->shared)
        return;
    if (ks_by_slot(ks))
        measure_slots(&ks->dbs[0], clock_us, budget_us / 2);
    usec_t end = clock_us() + budget_us;
    for (int i = 0; i < ks->databases; i++) {
        struct db *db = &ks->dbs[ks->tidy_db];
        if (db->slots) { /* many small tables: a round may take its time */
            slots_tidy(db->slots, &db->tidy_pos, SLOTS);
            if (db->tidy_pos)
                return;
            ks->tidy_db = (ks->tidy_db + 1) % ks->databases;
            continue;
        }
        do {
            if (clock_us() >= end)
                return; /* goes on from here the next time */
            table_tidy(&db->table, &db->tidy_pos, SEGMENTS);
        } while (db->tidy_pos);
        ks->tidy_db = (ks->tidy_db + 1) % ks->databases;
    }
    while (clock_us() < end && slab_release_some(256 * 1024)) /* a round is over */
        ;
}
