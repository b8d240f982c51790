/* Keys by hash slot. Built with BY_SLOT. */
#include "fixture.h"

TestSuite(slots, .init = setup, .fini = teardown);

#define SLOT_FOO 12182u

static struct bytes tagged(char *buf, const char *tag, int i)
{
    return bytes_of(buf, (size_t)sprintf(buf, "{%s}:%d", tag, i));
}

static void fill(const char *tag, int n, msec_t expire)
{
    char buf[64];
    for (int i = 0; i < n; i++)
        ks_set_string(fx.db, tagged(buf, tag, i), BYTES("v"), 0, expire);
}

Test(slots, the_tag_of_a_key_is_what_is_hashed)
{
    static const struct {
        const char *key, *part;
    } cases[] = {
        { "foo", "foo" },          { "{foo}", "foo" },        { "a{foo}b", "foo" },  { "a{foo}{bar}", "foo" },
        { "foo{}{bar}", "foo{}{bar}" }, { "foo{bar", "foo{bar" }, { "}{foo}", "foo" }, { "{{foo}", "{foo" },
        { "", "" },                { "{", "{" },              { "{}", "{}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes part = key_hashed_part(bytes_of_str(cases[i].key));
        cr_expect(bytes_eq(part, bytes_of_str(cases[i].part)), "%s", cases[i].key);
    }
    cr_expect_eq(key_slot(BYTES("foo")), SLOT_FOO);
    cr_expect_eq(key_slot(BYTES("123456789")), 0x31c3);
}

static void note_key(void *ctx, struct entry *e)
{
    ++*(int *)ctx;
    cr_assert_eq(key_slot(entry_key(e)), SLOT_FOO);
}

Test(slots, a_slot_is_counted_and_walked_alone)
{
    fill("foo", 5000, NO_EXPIRE);
    fill("bar", 3000, NO_EXPIRE);
    for (int i = 0; i < 1000; i++) {
        char buf[32];
        ks_set_string(fx.db, bytes_of(buf, (size_t)sprintf(buf, "k%d", i)), BYTES("v"), 0, NO_EXPIRE);
    }
    cr_expect_eq(db_size(fx.db), 9000);
    cr_expect_eq(db_slot_size(fx.db, SLOT_FOO), 5000);
    int n = 0;
    uint64_t cursor = 0;
    do {
        cursor = db_scan_slot(fx.db, SLOT_FOO, cursor, note_key, &n);
    } while (cursor);
    cr_expect_eq(n, 5000);
    uint64_t sum = 0;
    for (unsigned slot = 0; slot < KEY_SLOTS; slot++)
        sum += db_slot_size(fx.db, slot);
    cr_expect_eq(sum, 9000);
}

Test(slots, a_dropped_slot_takes_its_keys_and_no_others)
{
    fill("foo", 3, START + 1000);
    fill("bar", 500, START + 1000);
    expect_log(fx.log); /* forget what was heard so far */
    cr_expect_eq(db_drop_slot(fx.db, SLOT_FOO), 3);
    cr_expect_eq(fx.removed_n, 3);
    cr_expect_eq(db_slot_size(fx.db, SLOT_FOO), 0);
    cr_expect_eq(db_size(fx.db), 500);
    cr_expect_eq(db_volatile(fx.db), 500);
    cr_expect(strstr(fx.log, "touched:0:{foo}:1"));
    char buf[64];
    cr_expect_not(ks_exists(fx.db, tagged(buf, "foo", 1)));
    cr_expect(ks_exists(fx.db, tagged(buf, "bar", 1)));
    cr_expect_eq(db_drop_slot(fx.db, SLOT_FOO), 0);
}

Test(slots, keys_that_all_share_one_slot_are_found_as_fast_and_kept_as_tightly_as_others)
{
    enum { N = 200000 };
    fill("foo", N, NO_EXPIRE);
    cr_expect_eq(db_slot_size(fx.db, SLOT_FOO), N);
    cr_expect_lt(db_table_bytes(fx.db), 16u * N);
    char buf[64];
    for (int i = 0; i < N; i++)
        cr_assert(ks_exists(fx.db, tagged(buf, "foo", i)));
}

Test(slots, keys_due_in_many_slots_go_in_their_time_and_no_earlier)
{
    char buf[32];
    for (int i = 0; i < 20000; i++)
        ks_set_string(fx.db, bytes_of(buf, (size_t)sprintf(buf, "k%d", i)), BYTES("v"), 0, START + 1 + i % 100);
    for (int t = 0; t < 110; t += 10) {
        ks_set_now(fx.ks, START + t);
        msec_t next;
        do {
            next = ks_expire_cycle(fx.ks, clock_monotonic_us, 1000000);
        } while (next <= START + t);
        cr_expect_eq(db_size(fx.db), (uint64_t)(t > 100 ? 0 : t == 0 ? 20000 : (101 - t) * 200), "at %d: %d", t,
                     (int)db_size(fx.db));
    }
}

Test(slots, a_scan_under_growth_sees_every_key_that_was_there)
{
    fill("foo", 2000, NO_EXPIRE);
    fill("bar", 2000, NO_EXPIRE);
    char buf[64];
    int n = 0, round = 0;
    uint64_t cursor = 0;
    do {
        cursor = db_scan_slot(fx.db, SLOT_FOO, cursor, note_key, &n);
        for (int i = 0; i < 20; i++)
            ks_set_string(fx.db, tagged(buf, "foo", 1000000 + round++), BYTES("v"), 0, NO_EXPIRE);
    } while (cursor);
    cr_expect_geq(n, 2000);
}

Test(slots, counters_outlive_a_flush_but_the_memory_does_not)
{
    fill("foo", 10, NO_EXPIRE);
    db_slot_stats(fx.db, SLOT_FOO)->reads = 7;
    ks_flush_db(fx.db, KS_DEL_LAZY);
    cr_expect_eq(db_slot_size(fx.db, SLOT_FOO), 0);
    cr_expect_eq(db_slot_stats(fx.db, SLOT_FOO)->reads, 7);
    cr_expect_eq(db_slot_memory(fx.db, SLOT_FOO), 0);
    ks_set_string(fx.db, BYTES("{foo}1"), BYTES("v"), 0, NO_EXPIRE);
    cr_expect_eq(db_slot_size(fx.db, SLOT_FOO), 1);
}

Test(slots, the_memory_of_a_slot_follows_its_strings_exactly_and_its_collections_soon)
{
    char big[5000] = { 0 }, *p;
    cr_expect_eq(db_slot_memory(fx.db, SLOT_FOO), 0);
    ks_set_string(fx.db, BYTES("{foo}1"), BYTES("v"), 0, NO_EXPIRE);
    uint64_t one = db_slot_memory(fx.db, SLOT_FOO);
    cr_expect_eq(one, table_bytes(&slots_at(fx.db->slots, SLOT_FOO)->table) + 16);
    ks_set_string(fx.db, BYTES("{foo}1"), bytes_of(big, sizeof big), 0, NO_EXPIRE);
    cr_expect_geq(db_slot_memory(fx.db, SLOT_FOO), one + sizeof big);
    cr_assert(ks_string_extend(fx.db, BYTES("{foo}1"), 20000, &p));
    cr_expect_geq(db_slot_memory(fx.db, SLOT_FOO), one + 20000);
    ks_set_string(fx.db, BYTES("{foo}1"), BYTES("v"), 0, START + 100000);
    cr_expect_leq(db_slot_memory(fx.db, SLOT_FOO), one + 200);
    ks_set_string(fx.db, BYTES("{foo}1"), BYTES("v"), 0, NO_EXPIRE);
    add_crowd("{foo}c", 100);
    for (int i = 0; i < 1000 && !db_slot_stats(fx.db, SLOT_FOO)->collections_bytes; i++)
        ks_housekeep(fx.ks, clock_monotonic_us, 100);
    cr_expect_geq(db_slot_memory(fx.db, SLOT_FOO), one + 1000);
    ks_delete(fx.db, BYTES("{foo}c"), KS_DEL_SYNC);
    ks_delete(fx.db, BYTES("{foo}1"), KS_DEL_SYNC);
    cr_expect_eq(db_slot_memory(fx.db, SLOT_FOO), 0);
}
