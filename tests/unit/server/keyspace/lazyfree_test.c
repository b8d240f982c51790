#include "tests/unit/server/keyspace/fixture.h"

#include "common/clock.h"

TestSuite(lazyfree, .init = setup, .fini = teardown);

static usec_t slow_us;
static usec_t slow_clock(void) /* every look at it ends the slice */
{
    return slow_us += 1000;
}

Test(lazyfree, large_collections_wait_in_a_queue_small_ones_do_not)
{
    add_crowd("small", 64);
    add_crowd("large", 10000);
    ks_delete(fx.db, BYTES("small"), KS_DEL_LAZY);
    cr_expect_eq(ks_lazyfree_pending(fx.ks), 0);
    ks_delete(fx.db, BYTES("large"), KS_DEL_LAZY);
    cr_expect_eq(ks_lazyfree_pending(fx.ks), 1);
    cr_expect_eq(crowds, 1);
    cr_expect(!ks_exists(fx.db, BYTES("large")));

    int steps = 1;
    while (ks_lazyfree_step(fx.ks, slow_clock, 100))
        steps++;
    cr_expect_geq(steps, 10, "it went in slices");
    cr_expect_eq(crowds, 0);
    cr_expect_eq(ks_lazyfree_pending(fx.ks), 0);
    cr_expect_eq(ks_stats(fx.ks)->lazyfreed, 1);
}

Test(lazyfree, overwriting_is_lazy_when_configured)
{
    add_crowd("k", 1000);
    fx.config.lazyfree_lazy_server_del = true;
    set("k", "v");
    cr_expect_eq(ks_lazyfree_pending(fx.ks), 1);
    while (ks_lazyfree_step(fx.ks, clock_monotonic_us, 100))
        ;
    cr_expect_eq(crowds, 0);
}

Test(lazyfree, a_whole_database_goes_bit_by_bit)
{
    size_t before = mem_used();
    char text[24];
    for (uint64_t i = 0; i < 50000; i++)
        ks_set_string(fx.db, number_key(text, i), BYTES("some value"), 0,
                      i % 3 ? NO_EXPIRE : START + 10);
    add_crowd("large", 10000);
    add_crowd("small", 3);
    ks_flush_db(fx.db, KS_DEL_LAZY);
    cr_expect_eq(db_size(fx.db), 0);
    cr_expect_eq(ks_lazyfree_pending(fx.ks), 50002);
    set("k", "the database is in use again");

    uint64_t steps = 1, pending = 50002;
    for (; ks_lazyfree_step(fx.ks, slow_clock, 100); steps++) {
        cr_expect_leq(ks_lazyfree_pending(fx.ks), pending);
        pending = ks_lazyfree_pending(fx.ks);
    }
    cr_expect_geq(steps, 100);
    cr_expect_eq(ks_lazyfree_pending(fx.ks), 0);
    cr_expect_eq(ks_stats(fx.ks)->lazyfreed, 50002);
    cr_expect_eq(crowds, 0);
    cr_expect(get("k"));
    ks_flush_db(fx.db, KS_DEL_SYNC);
    cr_expect_eq(mem_used(), before);
}

Test(lazyfree, nothing_is_lost_when_the_keyspace_ends_first)
{
    add_crowd("a", 10000);
    add_crowd("b", 10000);
    ks_delete(fx.db, BYTES("a"), KS_DEL_LAZY);
    ks_flush_db(fx.db, KS_DEL_LAZY);
    ks_free(fx.ks);
    cr_expect_eq(crowds, 0);
    setup();
}

#ifndef BY_SLOT /* by slot nothing is reserved */
Test(lazyfree, housekeeping_returns_memory_of_a_table_reserved_in_vain)
{
    db_reserve(fx.db, 1000000);
    size_t bytes = db_table_bytes(fx.db);
    cr_expect_geq(bytes, 1000000 * 8);
    set("k", "v");
    for (int i = 0; i < 10000 && db_table_bytes(fx.db) > 1000; i++)
        ks_housekeep(fx.ks, clock_monotonic_us, 100);
    cr_expect_leq(db_table_bytes(fx.db), 1000);
    cr_expect(get("k"));
}
#endif
