#include "tests/unit/server/keyspace/fixture.h"

#include "common/clock.h"

TestSuite(expire, .init = setup, .fini = teardown);

static msec_t cycle(msec_t now)
{
    ks_set_now(fx.ks, now);
    return ks_expire_cycle(fx.ks, clock_monotonic_us, 1000000);
}

Test(expire, a_read_removes_what_has_expired_and_tells_everybody_in_order)
{
    fx.config.notify_flags = NOTIFY_EXPIRED | NOTIFY_KEY_MISS;
    set_until("k", "v", START + 10);
    ks_set_now(fx.ks, START + 10);
    cr_expect(get("k"), "still there in its last millisecond");
    ks_set_now(fx.ks, START + 11);
    cr_expect(!get("k"));
    expect_log("removed:expired:0:k event:expired:0:k touched:0:k event:keymiss:0:k ");
    cr_expect_eq(db_size(fx.db), 0);
    cr_expect_eq(ks_stats(fx.ks)->expired, 1);
    cr_expect_eq(ks_stats(fx.ks)->misses, 1);
}

Test(expire, a_write_meets_no_expired_value)
{
    fx.config.notify_flags = NOTIFY_NEW;
    set_until("k", "v", START + 10);
    ks_set_now(fx.ks, START + 11);
    fx.log_n = 0;
    ks_set_string(fx.db, BYTES("k"), BYTES("w"), KS_KEEP_TTL, NO_EXPIRE);
    expect_log("removed:expired:0:k touched:0:k event:new:0:k ");
    cr_expect_eq(entry_expire(get("k")), NO_EXPIRE);
}

Test(expire, a_replica_hides_and_waits_for_the_masters_del)
{
    ks_set_expire_passive(fx.ks, true);
    set_until("k", "v", START + 10);
    cr_expect_eq(cycle(START + 11), INT64_MAX);
    cr_expect(!get("k"));
    cr_expect(!ks_exists(fx.db, BYTES("k")));
    cr_expect_eq(db_size(fx.db), 1);
    cr_expect(db_random(fx.db), "better an expired key than an endless search");
    ks_set_expire_blind(fx.ks, true); /* the master's stream */
    expect_string(get("k"), BYTES("v"));
    ks_set_expire_blind(fx.ks, false);
    cr_expect(ks_delete(fx.db, BYTES("k"), KS_DEL_SYNC));

    set_until("k", "v", START + 10);
    set("k", "written by a client of the replica");
    cr_expect(get("k"));
    set_until("hidden", "v", START + 10);
    ks_move(fx.db, BYTES("k"), fx.db, BYTES("hidden"));
    expect_string(get("hidden"), BYTES("written by a client of the replica"));
    set_until("hidden", "v", START + 10);
    add_crowd("hidden", 3);
    set_until("hidden", "v", START + 10);
    cr_expect_eq(crowds, 0);
    set("k", "w");
    ks_copy(fx.db, BYTES("k"), fx.db, BYTES("hidden"));
    expect_string(get("hidden"), BYTES("w"));
    cr_expect_eq(db_size(fx.db), 2);
    expect_log("");
}

Test(expire, setting_an_expiry_moves_nothing_but_the_entry)
{
    struct entry *e = set("k", "value");
    static const msec_t times[] = { START + 5, NO_EXPIRE, (msec_t)1 << 50, INT64_MAX,
                                    START + 7, START + 8, NO_EXPIRE,       0 };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        e = ks_set_expire(fx.db, e, times[i]);
        cr_expect_eq(entry_expire(e), times[i]);
        cr_expect_eq(db_volatile(fx.db), times[i] != NO_EXPIRE);
        expect_string(e, BYTES("value"));
        ks_set_expire_blind(fx.ks, true);
        cr_expect_eq(get("k"), e);
        ks_set_expire_blind(fx.ks, false);
    }
    ks_set_expire(fx.db, e, START + 4);
    cr_expect_eq(cycle(START + 4), START + 5);
    cr_expect_eq(cycle(START + 5), INT64_MAX);
    cr_expect_eq(db_size(fx.db), 0);
}

Test(expire, the_average_ttl_is_exact)
{
    cr_expect_eq(db_avg_ttl(fx.db), 0);
    set_until("a", "v", START + 100);
    set_until("b", "v", START + 300);
    set("c", "v");
    cr_expect_eq(db_avg_ttl(fx.db), 200);
    set_until("a", "v", START + 500);
    cr_expect_eq(db_avg_ttl(fx.db), 400);
    set("b", "v");
    cr_expect_eq(db_avg_ttl(fx.db), 500);
    ks_delete(fx.db, BYTES("a"), KS_DEL_SYNC);
    cr_expect_eq(db_avg_ttl(fx.db), 0);
}

Test(expire, the_cycle_says_exactly_when_it_wants_to_run)
{
    cr_expect_eq(cycle(START), INT64_MAX);
    set_until("a", "v", START + 100);
    set_until("b", "v", START + 40);
    ks_set_string(ks_db(fx.ks, 3), BYTES("c"), BYTES("v"), 0, START + 60);
    cr_expect_eq(cycle(START), START + 41);
    cr_expect_eq(cycle(START + 41), START + 61);
    cr_expect_eq(cycle(START + 61), START + 101);
    cr_expect_eq(cycle(START + 101), INT64_MAX);
    cr_expect_eq(ks_stats(fx.ks)->expired, 3);
}

Test(expire, the_cycle_can_be_switched_off)
{
    set_until("a", "v", START + 100);
    ks_set_active_expire(fx.ks, false);
    cr_expect_eq(cycle(START + 200), INT64_MAX);
    cr_expect_eq(db_size(fx.db), 1);
    ks_set_active_expire(fx.ks, true);
    cycle(START + 200);
    cr_expect_eq(db_size(fx.db), 0);
}

/* Of many keys, all and only those that are due are gone after each cycle, whatever was done to
 * them before. */
Test(expire, every_key_goes_at_its_time)
{
    enum { KEYS = 30000, SPAN = 2000 };
    struct prng r;
    prng_init(&r, 5);
    char text[24];
    msec_t *at = mem_alloc(KEYS * sizeof *at);
    for (uint64_t i = 0; i < KEYS; i++) {
        at[i] = START + (msec_t)prng_below(&r, SPAN);
        ks_set_string(fx.db, number_key(text, i), BYTES("value"), 0, at[i]);
    }
    uint64_t left = KEYS;
    for (msec_t now = START; now <= START + SPAN + 1; now += 25) {
        msec_t next = cycle(now);
        uint64_t want = 0;
        msec_t first = INT64_MAX;
        for (uint64_t i = 0; i < KEYS; i++) {
            want += at[i] >= now;
            first = at[i] >= now && at[i] < first ? at[i] : first;
        }
        cr_assert_eq(db_size(fx.db), want);
        cr_assert_eq(db_volatile(fx.db), want);
        cr_assert_gt(next, now);
        cr_assert_leq(next, first == INT64_MAX ? first : first + 1);
        left = want;
        for (int j = 0; j < 200 && left;
             j++) { /* some get another time, in place, by SET, or none for a while */
            uint64_t i = prng_below(&r, KEYS);
            struct entry *e = ks_write(fx.db, number_key(text, i));
            if (!e)
                continue;
            at[i] = now + (msec_t)prng_below(&r, SPAN);
            if (j % 3 == 0)
                e = ks_set_expire(fx.db, e, NO_EXPIRE);
            if (j % 3 == 1)
                ks_set_string(fx.db, number_key(text, i), BYTES("a longer value"), 0, at[i]);
            else
                ks_set_expire(fx.db, e, at[i]);
        }
    }
    mem_free(at);
}

static usec_t fake_us;
static usec_t fake_clock(void)
{
    return fake_us += 100;
}

Test(expire, the_cycle_stops_when_its_time_is_over_and_says_so)
{
    char text[24];
    for (uint64_t i = 0; i < 20000; i++)
        ks_set_string(fx.db, number_key(text, i), BYTES("v"), 0, START + 1);
    ks_set_now(fx.ks, START + 10);
    cr_expect_eq(ks_expire_cycle(fx.ks, fake_clock, 500), START + 10, "at once again");
    cr_expect_eq(ks_stats(fx.ks)->expired_time_cap_reached, 1);
    cr_expect_gt(db_size(fx.db), 10000);
    cr_expect_lt(db_size(fx.db), 20000);
    while (ks_expire_cycle(fx.ks, fake_clock, 500) == START + 10)
        ;
    cr_expect_eq(db_size(fx.db), 0);
    cr_expect_gt(ks_stats(fx.ks)->expire_cycle_cpu_us, 0);
}
