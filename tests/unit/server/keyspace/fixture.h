/* What the keyspace's tests share: a keyspace with recording hooks, and a collection that only
 * counts its elements. */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/slab.h"
#include "server/keyspace/inner.h"

#define START ((msec_t)1700000000000)

struct fixture {
    struct ks_config config;
    struct keyspace *ks;
    struct db *db;  /* number 0 */
    char log[4096]; /* what the hooks heard, one word each: "removed:x:key", "event:name:key",
                       "touched:key" */
    size_t log_n;
    uint64_t removed_n;
};

static struct fixture fx;

static void log_hook(const char *what, const char *word, int db, struct bytes key)
{
    if (fx.log_n + key.n + 64 > sizeof fx.log)
        return;
    fx.log_n += (size_t)sprintf(fx.log + fx.log_n, "%s%s:%d:%.*s ", what, word, db,
                                key.p ? (int)key.n : 4, key.p ? key.p : "NULL");
}

static void on_removed(void *ctx, struct db *db, struct bytes key, enum notify_class why)
{
    (void)ctx;
    fx.removed_n++;
    log_hook("removed:", why == NOTIFY_EXPIRED ? "expired" : "evicted", db_id(db), key);
}

static void on_notify(void *ctx, int db, enum notify_class class, const char *event,
                      struct bytes key)
{
    (void)ctx;
    (void)class;
    log_hook("event:", event, db, key);
}

static void on_touched(void *ctx, struct db *db, struct bytes key)
{
    (void)ctx;
    log_hook("touched", "", db_id(db), key);
}

static void setup(void)
{
    fx = (struct fixture){ .config = {
                               .maxmemory_policy = POLICY_NOEVICTION,
                               .maxmemory_samples = 5,
                               .maxmemory_eviction_tenacity = 10,
                               .lfu_log_factor = 10,
                               .lfu_decay_time = 1,
                           } };
    struct ks_hooks hooks = { NULL, on_removed, on_notify, on_touched };
    fx.ks = ks_new(4, &fx.config, &hooks);
#ifdef BY_SLOT /* every test of the keyspace is built a second time like this */
    ks_keep_by_slot(fx.ks);
#endif
    fx.db = ks_db(fx.ks, 0);
    ks_set_now(fx.ks, START);
}

static void teardown(void)
{
    ks_free(fx.ks);
}

static inline void expect_log(const char *text)
{
    cr_expect_str_eq(fx.log, text);
    fx.log_n = 0;
    fx.log[0] = '\0';
}

static inline struct bytes number_key(char text[static 24], uint64_t i)
{
    return bytes_of(text, (size_t)sprintf(text, "key:%012lu", (unsigned long)i));
}

static inline struct entry *set(const char *key, const char *value)
{
    return ks_set_string(fx.db, bytes_of_str(key), bytes_of_str(value), 0, NO_EXPIRE);
}

static inline struct entry *set_until(const char *key, const char *value, msec_t at)
{
    return ks_set_string(fx.db, bytes_of_str(key), bytes_of_str(value), 0, at);
}

static inline struct entry *get(const char *key)
{
    return ks_read(fx.db, bytes_of_str(key));
}

static inline void expect_string(const struct entry *e, struct bytes want)
{
    char scratch[24];
    cr_assert(e);
    cr_assert_eq(entry_type(e), TYPE_STRING);
    struct bytes is = entry_string(e, scratch);
    cr_expect(bytes_eq(is, want), "is %.*s, want %.*s", (int)is.n, is.p, (int)want.n, want.p);
    cr_expect_eq(entry_string_len(e), want.n);
}

/* ---- a collection that is nothing but a number of elements ---- */

struct crowd {
    uint64_t elements;
};
static uint64_t crowds; /* alive */

static inline struct crowd *crowd_new(uint64_t elements)
{
    struct crowd *c = mem_alloc(sizeof *c);
    c->elements = elements;
    crowds++;
    return c;
}

static void crowd_free(void *object, enum value_encoding encoding)
{
    (void)encoding;
    mem_free(object);
    crowds--;
}

static int crowd_free_some(void *object, enum value_encoding encoding, unsigned effort)
{
    struct crowd *c = object;
    if (c->elements > effort) {
        c->elements -= effort;
        return 0;
    }
    crowd_free(object, encoding);
    return 1;
}

static void *crowd_copy(const void *object, enum value_encoding encoding)
{
    (void)encoding;
    return crowd_new(((const struct crowd *)object)->elements);
}

static uint64_t crowd_elements(const void *object, enum value_encoding encoding)
{
    (void)encoding;
    return ((const struct crowd *)object)->elements;
}

static uint64_t crowd_memory(const void *object, enum value_encoding encoding, uint64_t samples)
{
    (void)encoding;
    (void)samples;
    return ((const struct crowd *)object)->elements * 10;
}

static const struct value_ops crowd_ops = {
    .free = crowd_free,
    .free_some = crowd_free_some,
    .copy = crowd_copy,
    .elements = crowd_elements,
    .memory = crowd_memory,
};

/* Stands in for the one of types/value.c, so that these tests need no real collection. */
const struct value_ops *value_ops(enum value_type type)
{
    return type == TYPE_STRING ? NULL : &crowd_ops;
}

static inline struct entry *add_crowd(const char *key, uint64_t elements)
{
    return ks_add_object(fx.db, bytes_of_str(key), TYPE_SET, ENC_HASHTABLE, crowd_new(elements));
}
