/* Active expiry: removes keys when their time has come, not when somebody looks at them.
 *
 * The table knows for each bucket when its first key is due, and has the segments in a heap by that
 * time, so the cycle touches due buckets only and can say exactly when it wants to run again.
 * Nothing is sampled. */
#include "server/keyspace/inner.h"

static msec_t db_next_due(const struct db *db)
{
    return db->slots ? heap_top_key(&db->slots->due) : table_next_due(&db->table);
}

/* A batch of one database; false when nothing was due. */
static bool expire_some(struct db *db)
{
    enum { BATCH = 256 };
    void *due[BATCH];
    const struct keyspace *ks = db->ks;
    if (db_next_due(db) >= ks->now)
        return false;
    unsigned n = db->slots ? slots_take_due(db->slots, &entry_kind, ks->now, due, BATCH)
                           : table_take_due(&db->table, &entry_kind, ks->now, due, BATCH);
    for (unsigned i = 0; i < n; i++) {
        struct key_at at = db_locate(db, due[i]);
        db_drop(db, due[i], &at, NOTIFY_EXPIRED);
    }
    return true;
}

/* When the first key of all databases may be due; a key whose time is t may be removed at t + 1. */
static msec_t next_due(const struct keyspace *ks)
{
    msec_t next = TABLE_NOT_DUE;
    for (int i = 0; i < ks->databases; i++) {
        msec_t t = db_next_due(&ks->dbs[i]);
        next = t < next ? t : next;
    }
    return next == TABLE_NOT_DUE ? INT64_MAX : next + 1;
}

msec_t ks_expire_cycle(struct keyspace *ks, usec_t (*clock_us)(void), usec_t budget_us)
{
    if (ks->expire_passive || !ks->active_expire)
        return INT64_MAX;
    msec_t next = next_due(ks);
    if (next > ks->now)
        return next;

    usec_t start = clock_us(), spent = 0;
    for (int i = 0; i < ks->databases && spent < budget_us; i++) {
        while (spent < budget_us && expire_some(&ks->dbs[i]))
            spent = clock_us() - start;
    }
    ks->stats.expire_cycle_cpu_us += (uint64_t)(clock_us() - start);
    next = next_due(ks);
    if (next <= ks->now)
        ks->stats.expired_time_cap_reached++;
    return next > ks->now ? next : ks->now;
}
