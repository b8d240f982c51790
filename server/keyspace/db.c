/* Databases as a whole: figures, flushing, swapping, walking, random keys, and the cron work on
 * their tables. */
#include "server/keyspace/inner.h"

static const struct bytes whole_db = { NULL, 0 }; /* instead of a key */

uint64_t db_size(const struct db *db)
{
    return db->table.count;
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
    return table_slots(&db->table);
}

size_t db_table_bytes(const struct db *db)
{
    return table_bytes(&db->table);
}

void db_reserve(struct db *db, uint64_t keys)
{
    table_reserve(&db->table, keys);
}

static void free_entry_now(void *ctx, void *item)
{
    entry_free_all(ctx, item, KS_DEL_SYNC);
}

void ks_flush_db(struct db *db, enum ks_del how)
{
    ks_touched(db, whole_db);
    if (how == KS_DEL_SYNC) {
        uint64_t pos = 0;
        while (!table_clear_some(&db->table, &pos, free_entry_now, db->ks))
            ;
    }
    lazyfree_db(db);
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
    x->volatile_n = y->volatile_n;
    x->expire_sum = y->expire_sum;
    y->volatile_n = tmp.volatile_n;
    y->expire_sum = tmp.expire_sum;
    ks->pool_n = 0; /* candidates remember their database's number */
    ks_touched(x, KS_SWAPPED);
    ks_touched(y, KS_SWAPPED);
}

struct entry *db_random(struct db *db)
{
    enum { TRIES = 100 }; /* of expired keys, where they may not be removed */
    struct entry *e = NULL;
    for (int i = 0; i < TRIES;) {
        e = table_random(&db->table, &db->ks->prng);
        if (!e || !entry_is_expired(e, db->ks->now))
            return e;
        struct table_at at = table_locate(&db->table, entry_hash(e), e);
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
    return table_scan(&db->table, cursor, visit_item, &v);
}

void ks_housekeep(struct keyspace *ks, usec_t (*clock_us)(void), usec_t budget_us)
{
    enum { SEGMENTS = 8 };
    usec_t end = clock_us() + budget_us;
    for (int i = 0; i < ks->databases; i++) {
        struct db *db = &ks->dbs[ks->tidy_db];
        do {
            if (clock_us() >= end)
                return; /* goes on from here the next time */
            table_tidy(&db->table, &db->tidy_pos, SEGMENTS);
        } while (db->tidy_pos);
        ks->tidy_db = (ks->tidy_db + 1) % ks->databases;
    }
    (void)slab_release_empty(); /* a round is over */
}
