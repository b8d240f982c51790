/* The keyspace: databases of keys with values, expiry and access history. No clients, no replies, no clock in here.
 *
 * A key is one allocation (struct entry, entry.h): header, optional expiry, key bytes, and the value when it is a
 * short string or an integer; longer strings hang off it as a blob, collections as an object of server/types.
 * An entry pointer is good until the next verb that may add, remove or resize a key of the same database; verbs that
 * may move the entry return the new one.
 *
 * Reads expire lazily: a key whose time has come is removed (its event goes out through ks_hooks) and is not found.
 * Verbs do not announce changes by themselves: the command says so with ks_changed (watch, notify, tracking, dirty). */
#pragma once

#include "common/blob.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "server/types/value.h"

struct keyspace;
struct db;
struct entry;

#define NO_EXPIRE ((msec_t)-1)

/* ---- notification classes (notify-keyspace-events), Redis' letters ---- */
enum notify_class {
    NOTIFY_KEYSPACE = 1 << 0, /* K */
    NOTIFY_KEYEVENT = 1 << 1, /* E */
    NOTIFY_GENERIC = 1 << 2,  /* g */
    NOTIFY_STRING = 1 << 3,   /* $ */
    NOTIFY_LIST = 1 << 4,     /* l */
    NOTIFY_SET = 1 << 5,      /* s */
    NOTIFY_HASH = 1 << 6,     /* h */
    NOTIFY_ZSET = 1 << 7,     /* z */
    NOTIFY_EXPIRED = 1 << 8,  /* x */
    NOTIFY_EVICTED = 1 << 9,  /* e */
    NOTIFY_STREAM = 1 << 10,  /* t */
    NOTIFY_KEY_MISS = 1 << 11, /* m, not in A */
    NOTIFY_MODULE = 1 << 13,  /* d */
    NOTIFY_NEW = 1 << 14,     /* n, not in A */
    NOTIFY_ALL = NOTIFY_GENERIC | NOTIFY_STRING | NOTIFY_LIST | NOTIFY_SET | NOTIFY_HASH | NOTIFY_ZSET |
                 NOTIFY_EXPIRED | NOTIFY_EVICTED | NOTIFY_STREAM | NOTIFY_MODULE, /* A */
};
int notify_parse(struct bytes text, unsigned *ret_flags);  /* "KEA"; -EINVAL for an unknown letter */
void notify_format(unsigned flags, char text[static 32]);

/* ---- configuration (rows in keyspace/config_rows.c) ---- */
enum maxmemory_policy {
    POLICY_VOLATILE_LRU, POLICY_VOLATILE_LFU, POLICY_VOLATILE_RANDOM, POLICY_VOLATILE_TTL,
    POLICY_ALLKEYS_LRU, POLICY_ALLKEYS_LFU, POLICY_ALLKEYS_RANDOM, POLICY_NOEVICTION,
};
struct ks_config {
    uint64_t maxmemory;      /* bytes, 0 = no limit */
    int maxmemory_policy;    /* enum maxmemory_policy */
    int maxmemory_samples;
    int maxmemory_eviction_tenacity;
    int lfu_log_factor, lfu_decay_time;
    bool lazyfree_lazy_eviction, lazyfree_lazy_expire, lazyfree_lazy_server_del;
    bool lazyfree_lazy_user_del, lazyfree_lazy_user_flush;
    int active_expire_effort; /* 1..10 */
    unsigned notify_flags;    /* enum notify_class */
};

/* ---- what the keyspace tells the node ---- */
struct ks_hooks {
    void *ctx;
    /* A key was removed by the keyspace itself: expired (lazily or actively) or evicted. Called before the removal's
     * event is notified; the node propagates DEL/UNLINK. `key` is borrowed. */
    void (*removed)(void *ctx, struct db *, struct bytes key, enum notify_class why);
    /* An event that passed notify_flags. The node publishes __keyspace@N__ / __keyevent@N__. */
    void (*notify)(void *ctx, int db, enum notify_class, const char *event, struct bytes key);
    /* A key was changed or removed (watch, client tracking). key.p NULL: the whole db was flushed, or (key.n 1:
     * KS_SWAPPED) swapped; of a swap both databases hear before and after. */
    void (*touched)(void *ctx, struct db *, struct bytes key);
    /* Somebody emptied all databases on purpose (ks_flushed_all). */
    void (*flushed_all)(void *ctx);
};

#define KS_SWAPPED ((struct bytes){ NULL, 1 })
#define KS_FLUSHED_TOO ((struct bytes){ NULL, 2 }) /* flushed in one go with database 0 */

struct ks_stats {
    uint64_t hits, misses;
    uint64_t expired, expired_stale_perc_x100, expired_time_cap_reached, expire_cycle_cpu_us;
    uint64_t evicted, eviction_exceeded_us;
    uint64_t lazyfreed;
    uint64_t dirty; /* changes since start, for rdb_changes_since_last_save and effects */
};

struct keyspace *ks_new(int databases, const struct ks_config *borrowed, const struct ks_hooks *copied);
void ks_free(struct keyspace *);
/* An empty one of the same shape, which tells nobody anything: to be filled beside. */
struct keyspace *ks_new_beside(const struct keyspace *);
/* Keeps the keys of all databases by hash slot from now on (cluster mode). Only before the first key. */
void ks_keep_by_slot(struct keyspace *);
bool ks_by_slot(const struct keyspace *);
struct db *ks_db(struct keyspace *, int id);  /* 0 <= id < databases, asserted */
int ks_databases(const struct keyspace *);
struct ks_stats *ks_stats(struct keyspace *);
struct ks_config const *ks_config(const struct keyspace *);
struct keyspace *db_keyspace(struct db *);
int db_id(const struct db *);

/* The time that expiry and LRU use, ms since 1970; frozen during a command. Set by dispatch before each command. */
void ks_set_now(struct keyspace *, msec_t now);
msec_t ks_now(const struct keyspace *);
/* Replica mode: expired keys are hidden, not removed (the master's DEL removes them). Default off. */
void ks_set_expire_passive(struct keyspace *, bool);
/* While a master's stream is applied: expired keys are as good as others (its DEL will come). Default off. */
void ks_set_expire_blind(struct keyspace *, bool);
void ks_set_active_expire(struct keyspace *, bool); /* DEBUG SET-ACTIVE-EXPIRE */

/* Whether lookups note when and how often a key was used: off for CLIENT NO-TOUCH. Default on. */
void ks_set_touch(struct keyspace *, bool);
/* While a child shares our pages, every page that is written to is copied: no access is noted, nothing is tidied. */
void ks_set_shared(struct keyspace *, bool);

/* ---- entries ---- */
struct bytes entry_key(const struct entry *);
enum value_type entry_type(const struct entry *);
enum value_encoding entry_encoding(const struct entry *);
msec_t entry_expire(const struct entry *); /* NO_EXPIRE, or ms since 1970 */
/* A string's bytes. Integers are printed into `scratch`, else borrowed from the entry or its blob. */
struct bytes entry_string(const struct entry *, char scratch[static 24]);
size_t entry_string_len(const struct entry *);
bool entry_string_i64(const struct entry *, int64_t *ret_v); /* ENC_INT, or text that is a strict integer */
struct blob *entry_blob(const struct entry *);               /* NULL when the string is not in a blob; borrowed */
void *entry_object(const struct entry *);                    /* collections */
void entry_set_object(struct entry *, void *object, enum value_encoding); /* replaces the pointer, frees nothing */
void entry_set_encoding(struct entry *, enum value_encoding);
uint64_t entry_idle_ms(const struct keyspace *, const struct entry *);
uint8_t entry_freq(const struct keyspace *, const struct entry *); /* LFU counter, decayed */
void entry_set_idle(const struct keyspace *, struct entry *, uint64_t idle_s);
void entry_set_freq(const struct keyspace *, struct entry *, uint8_t freq);
uint32_t entry_lru_bits(const struct entry *); /* 24 bits, DEBUG OBJECT */
size_t entry_memory(const struct entry *, uint64_t samples); /* MEMORY USAGE: entry, value, share of the table */

/* ---- lookup ---- */
enum ks_lookup_flags {
    KS_NO_TOUCH = 1,
    KS_NO_STATS = 2,
    KS_NO_NOTIFY = 4,
    KS_EXPIRED_TOO = 8, /* finds a key whose time has passed too, and leaves it */
};
struct entry *ks_read(struct db *, struct bytes key);  /* counts hit/miss, touches LRU/LFU, notifies a miss */
struct entry *ks_write(struct db *, struct bytes key); /* touches, no hit/miss */
struct entry *ks_find(struct db *, struct bytes key, unsigned flags); /* the same, chosen by ks_lookup_flags */
bool ks_exists(struct db *, struct bytes key);
/* Prefetch for a batch of commands: first the directory's word, then the bucket line, then the entry line, and for
 * collections the beginning of the object (the entry must have arrived). Never fault, change nothing. */
uint64_t ks_hash(const struct db *, struct bytes key); /* kept by slot: ks_hash_slot of it is the key's */
void ks_prefetch_place(const struct db *, uint64_t hash);
void ks_prefetch_bucket(const struct db *, uint64_t hash);
void ks_prefetch_entry(const struct db *, uint64_t hash);
void ks_prefetch_object(const struct db *, uint64_t hash);

/* ---- strings ---- */
enum ks_set_flags {
    KS_KEEP_TTL = 1, /* keep the expiry of a key that is there */
    KS_RAW = 2,      /* encoding raw/embstr by the call, no integer detection (APPEND, SETRANGE results) */
    KS_NO_INT = 4,   /* embstr or raw by length, but not int (INCRBYFLOAT's result) */
};
/* Sets key to a string, whatever it held. expire: NO_EXPIRE or ms. Overwrites in place when the size class allows.
 * Picks int / embstr / raw as Redis does for SET. Large values are copied into a blob. */
struct entry *ks_set_string(struct db *, struct bytes key, struct bytes value, unsigned flags, msec_t expire);
struct entry *ks_set_blob(struct db *, struct bytes key, struct blob *take, unsigned flags, msec_t expire);
struct entry *ks_set_i64(struct db *, struct bytes key, int64_t v, unsigned flags, msec_t expire);
/* In place for APPEND, SETRANGE, SETBIT, BITFIELD: makes the string raw and at least `n` bytes long, zero-filled,
 * (keeps expiry), with room to grow; *ret_p is writable for n bytes. NULL: memory for it is not to be had. */
struct entry *ks_string_extend(struct db *, struct bytes key, size_t n, char **ret_p);

/* ---- any value ---- */
/* Adds a collection under a key that is not there (asserted). Takes the object. */
struct entry *ks_add_object(struct db *, struct bytes key, enum value_type, enum value_encoding, void *take);
/* Replaces whatever is there (STORE forms); expiry is dropped unless KS_KEEP_TTL. */
struct entry *ks_replace_object(struct db *, struct bytes key, enum value_type, enum value_encoding, void *take,
                                unsigned flags);
enum ks_del { KS_DEL_SYNC, KS_DEL_LAZY };
bool ks_delete(struct db *, struct bytes key, enum ks_del); /* true when it was there (and not expired) */
/* Renames within a db or moves to another; the destination must not exist (delete it first). Keeps expiry and LRU. */
struct entry *ks_move(struct db *from, struct bytes key, struct db *to, struct bytes to_key);
struct entry *ks_copy(struct db *from, struct bytes key, struct db *to, struct bytes to_key);
/* NO_EXPIRE persists; returns the entry (may have moved). */
struct entry *ks_set_expire(struct db *, struct entry *, msec_t at);
bool ks_is_expired(const struct keyspace *, const struct entry *);

/* ---- many keys at once (loading) ----
 * An entry is made, its place is fetched (ks_prefetch_*), others are made, then it is put in. */
struct entry *ks_make_string(const struct db *, struct bytes key, struct bytes value, msec_t expire);
struct entry *ks_make_blob(const struct db *, struct bytes key, struct blob *take, msec_t expire);
struct entry *ks_make_object(const struct db *, struct bytes key, enum value_type, enum value_encoding, void *take,
                             msec_t expire);
/* False: there is a key of this name, expired or not; the entry is still the caller's. */
bool ks_put_made(struct db *, uint64_t hash, struct entry *take);
void ks_drop_made(struct db *, struct entry *take); /* instead of putting it in */

/* ---- announcing ---- */
void ks_changed(struct db *, struct bytes key, enum notify_class, const char *event); /* touched + notify + dirty++ */
void ks_notify(struct db *, struct bytes key, enum notify_class, const char *event);  /* event only */
void ks_touched(struct db *, struct bytes key);                                       /* watch/tracking only */

/* ---- whole databases ---- */
uint64_t db_size(const struct db *);
uint64_t db_volatile(const struct db *);      /* keys with an expiry */
msec_t db_avg_ttl(const struct db *);
uint64_t db_table_slots(const struct db *);   /* places in the table (DEBUG HTSTATS, INFO) */
size_t db_table_bytes(const struct db *);     /* overhead of the table */
void ks_flush_db(struct db *, enum ks_del);
void ks_flush_all(struct keyspace *, enum ks_del); /* one flush for who is told (tracking) */
void ks_flushed_all(struct keyspace *); /* all of them were, by FLUSHALL: tells the node */
void ks_swap(struct keyspace *, int a, int b);
/* The data of `from`, which has as many databases, take the place of the data of `ks` at once, which are freed
 * lazily. */
void ks_replace_all(struct keyspace *, struct keyspace *from);
/* The end of a keyspace without waiting for it: `heir` frees the data lazily. */
void ks_dissolve(struct keyspace *take, struct keyspace *heir);
struct entry *db_random(struct db *);         /* not expired if one such is found; NULL when empty */
void db_reserve(struct db *, uint64_t keys);  /* presizes the table (bulk loading) */

/* Cursor walk, stable under growth and shrinking: every key that is there from begin to end is seen at least once.
 * Calls `visit` for each entry of at least one bucket; `visit` must not add or remove. Returns the next cursor, 0 =
 * done. */
uint64_t db_scan(struct db *, uint64_t cursor, void (*visit)(void *ctx, struct entry *), void *ctx);

/* ---- by hash slot: only after ks_keep_by_slot ---- */
/* What was done with the keys of a slot. Counted by the node; outlives the slot's keys. */
struct ks_slot_stats {
    uint64_t reads, writes; /* commands */
    uint64_t bytes_in, bytes_out, cpu_ns;
    uint64_t collections_bytes; /* of collections, as the keyspace found when it last came by */
};
static inline unsigned ks_hash_slot(uint64_t hash)
{
    return (unsigned)(hash >> 50);
}
/* The hash of this very key (the same bytes in the same place), until it is told otherwise: key.p NULL. */
void ks_known_hash(struct keyspace *, struct bytes key, uint64_t hash);
uint64_t db_slot_size(const struct db *, unsigned slot);
uint64_t db_slot_memory(const struct db *, unsigned slot); /* keys, values, table: bytes */
struct ks_slot_stats *db_slot_stats(struct db *, unsigned slot);
/* As db_scan, of one slot. */
uint64_t db_scan_slot(struct db *, unsigned slot, uint64_t cursor, void (*visit)(void *ctx, struct entry *), void *ctx);
/* Removes all keys of a slot: hooks and "del" events for each, then the memory lazily. Returns how many. */
uint64_t db_drop_slot(struct db *, unsigned slot);

/* ---- background work, bounded by time ---- */
/* Removes expired keys that are due; returns the time (ms) at which the next one may be due (INT64_MAX none).
 * Spends at most about budget_us; if there is more to do it returns now. `clock_us` reads a clock (monotonic us). */
msec_t ks_expire_cycle(struct keyspace *, usec_t (*clock_us)(void), usec_t budget_us);
/* Frees memory until mem_used() minus `not_counted` is below maxmemory, by the policy. */
enum evict_result { EVICT_OK, EVICT_RUNNING, EVICT_FAIL };
enum evict_result ks_evict(struct keyspace *, size_t not_counted, usec_t (*clock_us)(void));
bool ks_over_limit(const struct keyspace *, size_t not_counted);
/* Lazy free: does about budget_us of freeing; true while there is more. */
bool ks_lazyfree_step(struct keyspace *, usec_t (*clock_us)(void), usec_t budget_us);
uint64_t ks_lazyfree_pending(const struct keyspace *);
/* Incremental housekeeping (table shrinking, empty slabs): call from cron. */
void ks_housekeep(struct keyspace *, usec_t (*clock_us)(void), usec_t budget_us);
