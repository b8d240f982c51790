#include "tests/unit/server/keyspace/fixture.h"

TestSuite(keyspace, .init = setup, .fini = teardown);

/* ---- strings ---- */

Test(keyspace, strings_get_the_encoding_that_redis_would_choose)
{
    static const struct {
        const char *value;
        unsigned flags;
        enum value_encoding encoding;
    } cases[] = {
        { "12", 0, ENC_INT },
        { "-9223372036854775808", 0, ENC_INT },
        { "9223372036854775808", 0, ENC_EMBSTR },
        { "012", 0, ENC_EMBSTR },
        { "1.0", 0, ENC_EMBSTR },
        { "", 0, ENC_EMBSTR },
        { "12345678901234567890123456789012345678901234", 0, ENC_EMBSTR },
        { "123456789012345678901234567890123456789012345", 0, ENC_RAW },
        { "12", KS_RAW, ENC_RAW },
        { "12", KS_NO_INT, ENC_EMBSTR },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes value = bytes_of_str(cases[i].value);
        struct entry *e = ks_set_string(fx.db, BYTES("k"), value, cases[i].flags, NO_EXPIRE);
        cr_expect_eq(entry_encoding(e), cases[i].encoding, "case %zu", i);
        expect_string(get("k"), value);
    }
    cr_expect_eq(db_size(fx.db), 1);
}

Test(keyspace, any_length_of_string_comes_back)
{
    char *text = mem_alloc(3 * BLOB_LAZY);
    memset(text, 'x', 3 * BLOB_LAZY);
    for (size_t n = 0; n < 3 * BLOB_LAZY; n = n < 1100 ? n + 1 : n * 3) {
        ks_set_string(fx.db, BYTES("k"), bytes_of(text, n), 0, NO_EXPIRE);
        expect_string(get("k"), bytes_of(text, n));
        cr_expect_eq(entry_blob(get("k")) != NULL, n >= BLOB_MIN || !entry_string_is_short(n, 1));
    }
    mem_free(text);
}

Test(keyspace, setting_drops_the_expiry_unless_told_to_keep_it)
{
    set_until("k", "a", START + 1000);
    cr_expect_eq(entry_expire(get("k")), START + 1000);
    ks_set_string(fx.db, BYTES("k"), BYTES("b"), KS_KEEP_TTL, NO_EXPIRE);
    cr_expect_eq(entry_expire(get("k")), START + 1000);
    ks_set_i64(fx.db, BYTES("k"), 5, KS_KEEP_TTL, NO_EXPIRE);
    cr_expect_eq(entry_expire(get("k")), START + 1000);
    cr_expect_eq(db_volatile(fx.db), 1);
    set("k", "c");
    cr_expect_eq(entry_expire(get("k")), NO_EXPIRE);
    cr_expect_eq(db_volatile(fx.db), 0);
    ks_set_string(fx.db, BYTES("new"), BYTES("b"), KS_KEEP_TTL, NO_EXPIRE);
    cr_expect_eq(entry_expire(get("new")), NO_EXPIRE);
}

Test(keyspace, a_blob_is_taken_as_it_is_and_a_small_one_embedded)
{
    struct blob *big = blob_new(5000, 5000), *small = blob_new(3, 3);
    memset(big->data, 'b', 5000);
    memcpy(small->data, "123", 3);
    struct entry *e = ks_set_blob(fx.db, BYTES("big"), big, 0, NO_EXPIRE);
    cr_expect_eq(entry_blob(e), big);
    e = ks_set_blob(fx.db, BYTES("small"), small, 0, NO_EXPIRE);
    cr_expect_eq(entry_blob(e), NULL);
    cr_expect_eq(entry_encoding(e), ENC_INT);
}

Test(keyspace, extending_makes_raw_zero_filled_strings_and_keeps_the_expiry)
{
    char *p;
    struct entry *e = ks_string_extend(fx.db, BYTES("k"), 3, &p);
    memcpy(p, "abc", 3);
    expect_string(e, BYTES("abc"));
    ks_set_expire(fx.db, e, START + 99);
    static const size_t sizes[] = {
        5, 5, 2, 40, 300, 490, 700, 1024, 5000, 100000, 3000000, 3000001
    };
    size_t n = 3;
    char *model = mem_zalloc(3000001);
    memcpy(model, "abc", 3);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        e = ks_string_extend(fx.db, BYTES("k"), sizes[i], &p);
        n = sizes[i] > n ? sizes[i] : n;
        expect_string(e, bytes_of(model, n));
        p[n - 1] = model[n - 1] = (char)('0' + i);
        expect_string(get("k"), bytes_of(model, n));
        cr_expect_eq(entry_encoding(e), ENC_RAW);
        cr_expect_eq(entry_expire(e), START + 99);
    }
    mem_free(model);

    set("number", "123");
    e = ks_string_extend(fx.db, BYTES("number"), 4, &p);
    p[3] = '4';
    expect_string(e, BYTES("1234"));
    cr_expect_eq(entry_encoding(e), ENC_RAW);
    cr_expect_eq(db_size(fx.db), 2);
}

Test(keyspace, extending_leaves_those_alone_who_hold_the_blob)
{
    struct blob *b = blob_new(2000, 2000);
    memset(b->data, 'x', 2000);
    ks_set_blob(fx.db, BYTES("k"), blob_ref(b), 0, NO_EXPIRE);
    char *p;
    cr_assert(ks_string_extend(fx.db, BYTES("k"), 2000, &p));
    p[0] = 'y';
    cr_expect_eq(b->data[0], 'x');
    blob_unref(b);
}

Test(keyspace, extending_without_memory_changes_nothing)
{
    char *p;
    set("k", "abc");
    mem_fail_after(1);
    cr_expect_eq(ks_string_extend(fx.db, BYTES("k"), 1000000, &p), NULL);
    expect_string(get("k"), BYTES("abc"));
    cr_expect_eq(ks_string_extend(fx.db, BYTES("k"), SIZE_MAX / 2, &p), NULL);
    expect_string(get("k"), BYTES("abc"));
    mem_fail_after(1);
    cr_expect_eq(ks_string_extend(fx.db, BYTES("absent"), 1000000, &p), NULL);
    cr_expect(!ks_exists(fx.db, BYTES("absent")));
    mem_fail_after(0);
}

/* ---- objects, deleting, moving ---- */

Test(keyspace, objects_are_freed_with_their_key)
{
    add_crowd("a", 5);
    add_crowd("b", 500);
    add_crowd("c", 500);
    cr_expect_eq(crowds, 3);
    cr_expect_eq(entry_type(get("a")), TYPE_SET);
    cr_expect_eq(entry_encoding(get("a")), ENC_HASHTABLE);
    set("a", "string now");
    cr_expect_eq(crowds, 2);
    cr_expect(ks_delete(fx.db, BYTES("b"), KS_DEL_SYNC));
    cr_expect_eq(crowds, 1);
    ks_replace_object(fx.db, BYTES("c"), TYPE_HASH, ENC_LISTPACK, crowd_new(3), 0);
    cr_expect_eq(crowds, 1);
    cr_expect_eq(entry_type(get("c")), TYPE_HASH);
    struct crowd *other = crowd_new(4);
    crowd_free(entry_object(get("c")), ENC_LISTPACK);
    entry_set_object(get("c"), other, ENC_HASHTABLE);
    cr_expect_eq(entry_object(get("c")), other);
    cr_expect_eq(entry_encoding(get("c")), ENC_HASHTABLE);
}

Test(keyspace, replacing_an_object_keeps_the_expiry_only_when_told)
{
    ks_set_expire(fx.db, add_crowd("k", 5), START + 50);
    ks_replace_object(fx.db, BYTES("k"), TYPE_SET, ENC_INTSET, crowd_new(3), KS_KEEP_TTL);
    cr_expect_eq(entry_expire(get("k")), START + 50);
    ks_replace_object(fx.db, BYTES("k"), TYPE_SET, ENC_INTSET, crowd_new(3), 0);
    cr_expect_eq(entry_expire(get("k")), NO_EXPIRE);
    cr_expect_eq(db_volatile(fx.db), 0);
}

Test(keyspace, deleting_tells_whether_the_key_was_there)
{
    set("k", "v");
    cr_expect(ks_delete(fx.db, BYTES("k"), KS_DEL_SYNC));
    cr_expect(!ks_delete(fx.db, BYTES("k"), KS_DEL_SYNC));
    set_until("k", "v", START + 1);
    ks_set_now(fx.ks, START + 2);
    cr_expect(!ks_delete(fx.db, BYTES("k"), KS_DEL_SYNC), "it had expired");
    cr_expect_eq(db_size(fx.db), 0);
}

Test(keyspace, renaming_and_moving_keep_value_expiry_and_access)
{
    struct db *other = ks_db(fx.ks, 1);
    set_until("from", "value", START + 500);
    entry_set_idle(fx.ks, get("from"), 33);
    ks_move(fx.db, BYTES("from"), fx.db, BYTES("a longer name"));
    cr_expect(!ks_exists(fx.db, BYTES("from")));
    struct entry *e = ks_move(fx.db, BYTES("a longer name"), other, BYTES("a longer name"));
    expect_string(e, BYTES("value"));
    cr_expect_eq(entry_expire(e), START + 500);
    cr_expect_eq(entry_idle_ms(fx.ks, e), 33000);
    cr_expect_eq(db_size(fx.db), 0);
    cr_expect_eq(db_volatile(fx.db), 0);
    cr_expect_eq(db_volatile(other), 1);
    cr_expect_eq(ks_find(other, BYTES("a longer name"), KS_NO_TOUCH), e);
}

Test(keyspace, copies_are_independent)
{
    char text[2000];
    memset(text, 'x', sizeof text);
    set_until("short", "abc", START + 9);
    set("number", "77");
    ks_set_string(fx.db, BYTES("long"), bytes_of(text, sizeof text), 0, NO_EXPIRE);
    add_crowd("crowd", 7);
    struct db *other = ks_db(fx.ks, 2);
    static const char *const names[] = { "short", "number", "long", "crowd" };
    for (int i = 0; i < 4; i++)
        ks_copy(fx.db, bytes_of_str(names[i]), other, bytes_of_str(names[i]));
    char *p;
    ks_string_extend(fx.db, BYTES("long"), 1, &p);
    p[0] = 'y';
    ks_flush_db(fx.db, KS_DEL_SYNC);
    expect_string(ks_read(other, BYTES("short")), BYTES("abc"));
    expect_string(ks_read(other, BYTES("number")), BYTES("77"));
    expect_string(ks_read(other, BYTES("long")), bytes_of(text, sizeof text));
    cr_expect_eq(((struct crowd *)entry_object(ks_read(other, BYTES("crowd"))))->elements, 7);
    cr_expect_eq(entry_expire(ks_read(other, BYTES("short"))), START + 9);
    cr_expect_eq(crowds, 1);
}

Test(keyspace, a_copy_under_a_much_longer_name_fits)
{
    char name[400], text[450];
    memset(name, 'n', sizeof name);
    memset(text, 't', sizeof text);
    ks_set_string(fx.db, BYTES("k"), bytes_of(text, sizeof text), 0, NO_EXPIRE);
    struct bytes to = bytes_of(name, sizeof name);
    expect_string(ks_copy(fx.db, BYTES("k"), fx.db, to), bytes_of(text, sizeof text));
    ks_delete(fx.db, to, KS_DEL_SYNC);
    expect_string(ks_move(fx.db, BYTES("k"), fx.db, to), bytes_of(text, sizeof text));
    cr_expect(ks_delete(fx.db, to, KS_DEL_SYNC));
}

/* ---- what is told to the node ---- */

Test(keyspace, reads_count_hits_and_misses_and_announce_misses)
{
    fx.config.notify_flags = NOTIFY_KEY_MISS | NOTIFY_KEYEVENT;
    set("k", "v");
    cr_expect(get("k"));
    cr_expect(!get("absent"));
    expect_log("event:keymiss:0:absent ");
    cr_expect(!ks_find(fx.db, BYTES("absent"), KS_NO_NOTIFY));
    cr_expect(!ks_find(fx.db, BYTES("absent"), KS_NO_STATS | KS_NO_NOTIFY));
    cr_expect(!ks_write(fx.db, BYTES("absent")));
    cr_expect(!ks_exists(fx.db, BYTES("absent")));
    expect_log("");
    cr_expect_eq(ks_stats(fx.ks)->hits, 1);
    cr_expect_eq(ks_stats(fx.ks)->misses, 2);
}

Test(keyspace, new_keys_are_announced_once)
{
    fx.config.notify_flags = NOTIFY_NEW;
    set("k", "v");
    set("k", "w");
    expect_log("event:new:0:k ");
    ks_move(fx.db, BYTES("k"), fx.db, BYTES("l"));
    add_crowd("m", 1);
    expect_log("event:new:0:l event:new:0:m ");
}

Test(keyspace, changes_reach_watchers_and_subscribers_and_are_counted)
{
    fx.config.notify_flags = NOTIFY_STRING;
    ks_changed(fx.db, BYTES("k"), NOTIFY_STRING, "set");
    expect_log("touched:0:k event:set:0:k ");
    ks_changed(fx.db, BYTES("k"), NOTIFY_HASH, "hset");
    expect_log("touched:0:k ");
    ks_notify(fx.db, BYTES("k"), NOTIFY_STRING, "set");
    ks_touched(ks_db(fx.ks, 3), BYTES("k"));
    expect_log("event:set:0:k touched:3:k ");
    cr_expect_eq(ks_stats(fx.ks)->dirty, 2);
}

/* ---- databases ---- */

Test(keyspace, swapping_exchanges_contents_and_keeps_numbers)
{
    set_until("a", "1", START + 10);
    ks_set_string(ks_db(fx.ks, 1), BYTES("b"), BYTES("2"), 0, NO_EXPIRE);
    ks_swap(fx.ks, 0, 1);
    expect_log("touched:0:NULL touched:1:NULL touched:0:NULL touched:1:NULL ");
    cr_expect(!get("a"));
    expect_string(get("b"), BYTES("2"));
    cr_expect_eq(db_volatile(fx.db), 0);
    cr_expect_eq(db_volatile(ks_db(fx.ks, 1)), 1);
    cr_expect_eq(db_id(ks_db(fx.ks, 1)), 1);
    ks_set_now(fx.ks, START + 100);
    (void)ks_expire_cycle(fx.ks, clock_monotonic_us, 1000);
    expect_log("removed:expired:1:a touched:1:a ");
}

Test(keyspace, flushing_empties_one_database)
{
    char text[24];
    size_t empty = db_table_bytes(fx.db);
    for (uint64_t i = 0; i < 5000; i++)
        ks_set_string(fx.db, number_key(text, i), BYTES("v"), 0, i % 2 ? START + 5 : NO_EXPIRE);
    ks_set_string(ks_db(fx.ks, 1), BYTES("b"), BYTES("2"), 0, NO_EXPIRE);
    ks_flush_db(fx.db, KS_DEL_SYNC);
    expect_log("touched:0:NULL ");
    cr_expect_eq(db_size(fx.db), 0);
    cr_expect_eq(db_volatile(fx.db), 0);
    cr_expect_eq(db_avg_ttl(fx.db), 0);
    cr_expect_leq(db_table_bytes(fx.db), empty);
    cr_expect_eq(db_size(ks_db(fx.ks, 1)), 1);
    set("k", "works again");
    cr_expect(get("k"));
}

static void count_visit(void *ctx, struct entry *e)
{
    (void)e;
    ++*(uint64_t *)ctx;
}

Test(keyspace, scans_and_random_keys_reach_everything)
{
    cr_expect_eq(db_random(fx.db), NULL);
    char text[24];
    for (uint64_t i = 0; i < 2000; i++)
        ks_set_string(fx.db, number_key(text, i), BYTES("v"), 0, NO_EXPIRE);
    uint64_t n = 0, cursor = 0;
    do
        cursor = db_scan(fx.db, cursor, count_visit, &n);
    while (cursor);
    cr_expect_eq(n, 2000);
    for (int i = 0; i < 100; i++)
        cr_assert(db_random(fx.db));
    cr_expect_geq(db_table_slots(fx.db), 2000);
}

Test(keyspace, a_random_key_is_not_an_expired_one)
{
    char text[24];
    for (uint64_t i = 0; i < 100; i++)
        ks_set_string(fx.db, number_key(text, i), BYTES("v"), 0, START + 5);
    set("alive", "v");
    ks_set_now(fx.ks, START + 6);
    cr_expect(bytes_eq(entry_key(db_random(fx.db)), BYTES("alive")));
    ks_delete(fx.db, BYTES("alive"), KS_DEL_SYNC);
    while (db_size(fx.db))
        cr_expect_eq(db_random(fx.db), NULL);
}

/* ---- access ---- */

Test(keyspace, idle_time_is_since_the_last_read_or_write)
{
    set("k", "v");
    ks_set_now(fx.ks, START + 5000);
    struct entry *e = ks_find(fx.db, BYTES("k"), KS_NO_TOUCH);
    cr_expect_eq(entry_idle_ms(fx.ks, e), 5000);
    ks_set_touch(fx.ks, false);
    get("k");
    cr_expect_eq(entry_idle_ms(fx.ks, e), 5000);
    ks_set_touch(fx.ks, true);
    get("k");
    cr_expect_eq(entry_idle_ms(fx.ks, e), 0);
    entry_set_idle(fx.ks, e, 1000);
    cr_expect_eq(entry_idle_ms(fx.ks, e), 1000000);
}

Test(keyspace, the_lfu_counter_grows_slowly_and_decays)
{
    fx.config.maxmemory_policy = POLICY_ALLKEYS_LFU;
    struct entry *e = set("k", "v");
    cr_expect_eq(entry_freq(fx.ks, e), 5);
    for (int i = 0; i < 1000; i++)
        get("k");
    uint8_t after = entry_freq(fx.ks, e);
    cr_expect_geq(after, 10); /* Redis' table: about 18 after 1000 hits */
    cr_expect_leq(after, 30);
    e = set("k", "w");
    cr_expect_eq(entry_freq(fx.ks, e), after, "a new value is not a new key");
    ks_set_now(fx.ks, START + 3 * 60000);
    cr_expect_eq(entry_freq(fx.ks, e), after - 3);
    ks_set_now(fx.ks, START + 300 * 60000);
    cr_expect_eq(entry_freq(fx.ks, e), 0);
    fx.config.lfu_decay_time = 0;
    cr_expect_eq(entry_freq(fx.ks, e), after);
    entry_set_freq(fx.ks, e, 200);
    cr_expect_eq(entry_freq(fx.ks, e), 200);
}

/* ---- memory ---- */

/* mem_used per key with its share of the table; ceilings, raised only on purpose. */
#ifdef BY_SLOT
#define SLOTS_SHARE 9.0 /* 16384 slots with 61 keys each, and their counters */
#else
#define SLOTS_SHARE 0
#endif
Test(keyspace, a_key_costs_what_is_planned)
{
    static const struct {
        size_t value;
        msec_t expire;
        double ceiling;
    } cases[] = {
        { 8, NO_EXPIRE, 43 },    { 32, NO_EXPIRE, 67 },      { 100, NO_EXPIRE, 139 },
        { 8, START + 1000, 52 }, { 100, START + 1000, 140 },
    };
    char value[100], text[24];
    memset(value, 'v', sizeof value);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        size_t before = mem_used();
        const uint64_t keys = 1000000;
        for (uint64_t i = 0; i < keys; i++)
            ks_set_string(fx.db, number_key(text, i), bytes_of(value, cases[c].value), 0,
                          cases[c].expire == NO_EXPIRE ? NO_EXPIRE
                                                       : cases[c].expire + (msec_t)i * 10);
        double per_key = (double)(mem_used() - before) / (double)keys;
        cr_expect_leq(per_key, cases[c].ceiling + SLOTS_SHARE, "case %zu: %f", c, per_key);
        ks_flush_db(fx.db, KS_DEL_SYNC);
        cr_expect_eq(mem_used(), before);
    }
}

Test(keyspace, memory_usage_counts_entry_value_and_table)
{
    cr_expect_eq(entry_memory(set("k", "abc"), 0), 16 + 10);
    cr_expect_geq(entry_memory(add_crowd("c", 100), 0), 1000 + 16);
    char text[3000] = { 0 };
    struct entry *e =
        ks_set_string(fx.db, BYTES("blob"), bytes_of(text, sizeof text), 0, NO_EXPIRE);
    cr_expect_geq(entry_memory(e, 0), 3024);
}
