#include "tests/unit/server/keyspace/fixture.h"

#include "common/clock.h"

TestSuite(evict, .init = setup, .fini = teardown);

#define KEYS 20000

/* KEYS keys of about the same size; key i was used i seconds after key 0, each second one is
 * volatile. */
static void fill(void)
{
    char text[24], value[100];
    memset(value, 'v', sizeof value);
    for (uint64_t i = 0; i < KEYS; i++) {
        ks_set_now(fx.ks, START + (msec_t)i * 1000);
        ks_set_string(fx.db, number_key(text, i), bytes_of(value, sizeof value), 0,
                      i % 2 ? NO_EXPIRE : START + 1000000000 + (msec_t)(i * 7919 % KEYS) * 1000);
    }
}

/* Asks for a fifth of the memory back and gives the numbers that went, as a bitmap. */
static uint64_t evict_a_fifth(int policy, bool *gone)
{
    fx.config.maxmemory_policy = policy;
    fx.config.maxmemory = mem_used() - KEYS * 140 / 5;
    fx.config.maxmemory_eviction_tenacity = 100;
    cr_assert_eq(ks_evict(fx.ks, 0, clock_monotonic_us), EVICT_OK);
    cr_assert(!ks_over_limit(fx.ks, 0));
    char text[24];
    uint64_t n = 0;
    for (uint64_t i = 0; i < KEYS; i++) {
        gone[i] = !ks_exists(fx.db, number_key(text, i));
        n += gone[i];
    }
    cr_assert_eq(n, ks_stats(fx.ks)->evicted);
    cr_assert_eq(n, fx.removed_n);
    cr_assert_geq(n, KEYS / 6);
    cr_assert_leq(n, KEYS / 4);
    return n;
}

static double share(const bool *gone, uint64_t from, uint64_t to, uint64_t step)
{
    uint64_t n = 0;
    for (uint64_t i = from; i < to; i += step)
        n += gone[i];
    return (double)n / (double)((to - from) / step);
}

static bool gone[KEYS];

Test(evict, allkeys_lru_takes_the_longest_unused)
{
    fill();
    evict_a_fifth(POLICY_ALLKEYS_LRU, gone);
    cr_expect_geq(share(gone, 0, KEYS / 10, 1), 0.6); /* about a third was never sampled */
    cr_expect_leq(share(gone, KEYS / 2, KEYS, 1), 0.02);
}

Test(evict, volatile_lru_takes_the_longest_unused_that_can_expire)
{
    fill();
    evict_a_fifth(POLICY_VOLATILE_LRU, gone);
    cr_expect_eq(share(gone, 1, KEYS, 2), 0);
    cr_expect_geq(share(gone, 0, KEYS / 5, 2), 0.75);
    cr_expect_leq(share(gone, KEYS / 5 * 4, KEYS, 2), 0.05);
}

static void use_upper_half(int policy)
{
    fx.config.maxmemory_policy = policy;
    fill();
    char text[24];
    for (uint64_t i = KEYS / 2; i < KEYS; i++) {
        for (int j = 0; j < 30; j++)
            ks_read(fx.db, number_key(text, i));
    }
}

Test(evict, allkeys_lfu_takes_the_least_used)
{
    fx.config.lfu_decay_time = 0;
    use_upper_half(POLICY_ALLKEYS_LFU);
    evict_a_fifth(POLICY_ALLKEYS_LFU, gone);
    cr_expect_leq(share(gone, KEYS / 2, KEYS, 1), 0.02);
}

Test(evict, volatile_lfu_takes_the_least_used_that_can_expire)
{
    fx.config.lfu_decay_time = 0;
    use_upper_half(POLICY_VOLATILE_LFU);
    evict_a_fifth(POLICY_VOLATILE_LFU, gone);
    cr_expect_eq(share(gone, 1, KEYS, 2), 0);
    cr_expect_leq(share(gone, KEYS / 2, KEYS, 2), 0.1);
}

Test(evict, allkeys_random_takes_any)
{
    fill();
    evict_a_fifth(POLICY_ALLKEYS_RANDOM, gone);
    for (uint64_t i = 0; i < 5; i++) {
        double part = share(gone, i * KEYS / 5, (i + 1) * KEYS / 5, 1);
        cr_expect_geq(part, 0.15);
        cr_expect_leq(part, 0.27);
    }
}

Test(evict, volatile_random_takes_any_that_can_expire)
{
    fill();
    evict_a_fifth(POLICY_VOLATILE_RANDOM, gone);
    cr_expect_eq(share(gone, 1, KEYS, 2), 0);
    for (uint64_t i = 0; i < 5; i++) {
        double part = share(gone, i * KEYS / 5, (i + 1) * KEYS / 5, 2);
        cr_expect_geq(part, 0.30);
        cr_expect_leq(part, 0.52);
    }
}

Test(evict, volatile_ttl_takes_exactly_those_that_expire_first)
{
    fill();
    evict_a_fifth(POLICY_VOLATILE_TTL, gone);
    uint64_t latest_gone = 0, earliest_left = KEYS;
    for (uint64_t i = 0; i < KEYS; i += 2) {
        uint64_t rank = i * 7919 % KEYS;
        if (gone[i])
            latest_gone = rank > latest_gone ? rank : latest_gone;
        else
            earliest_left = rank < earliest_left ? rank : earliest_left;
    }
    cr_expect_lt(latest_gone, earliest_left);
    cr_expect_eq(share(gone, 1, KEYS, 2), 0);
}

Test(evict, without_a_policy_or_a_candidate_it_fails)
{
    set("k", "v");
    fx.config.maxmemory = 1;
    cr_expect(ks_over_limit(fx.ks, 0));
    cr_expect(!ks_over_limit(fx.ks, mem_used()), "what is not counted does not count");
    cr_expect_eq(ks_evict(fx.ks, 0, clock_monotonic_us), EVICT_FAIL);
    static const int policies[] = { POLICY_VOLATILE_LRU, POLICY_VOLATILE_LFU,
                                    POLICY_VOLATILE_RANDOM, POLICY_VOLATILE_TTL };
    for (int i = 0; i < 4; i++) {
        fx.config.maxmemory_policy = policies[i];
        cr_expect_eq(ks_evict(fx.ks, 0, clock_monotonic_us), EVICT_FAIL);
    }
    cr_expect(ks_exists(fx.db, BYTES("k")));
    fx.config.maxmemory_policy = POLICY_ALLKEYS_LRU;
    cr_expect_eq(ks_evict(fx.ks, 0, clock_monotonic_us), EVICT_FAIL);
    cr_expect(!ks_exists(fx.db, BYTES("k")), "but it took what there was");
    fx.config.maxmemory = 0;
    cr_expect_eq(ks_evict(fx.ks, 0, clock_monotonic_us), EVICT_OK);
}

Test(evict, an_eviction_is_announced_like_a_removal)
{
    fx.config.notify_flags = NOTIFY_EVICTED;
    fx.config.maxmemory_policy = POLICY_ALLKEYS_RANDOM;
    set("k", "v");
    fx.config.maxmemory = mem_used() - 1;
    fx.log_n = 0;
    cr_expect_eq(ks_evict(fx.ks, 0, clock_monotonic_us), EVICT_OK);
    expect_log("removed:evicted:0:k event:evicted:0:k touched:0:k ");
}

Test(evict, all_databases_are_looked_at)
{
    static const int policies[] = { POLICY_ALLKEYS_LRU, POLICY_ALLKEYS_RANDOM,
                                    POLICY_VOLATILE_TTL };
    for (int p = 0; p < 3; p++) {
        for (int i = 0; i < 4; i++)
            ks_set_string(ks_db(fx.ks, i), BYTES("k"), BYTES("v"), 0, START + 1000 + i);
        fx.config.maxmemory_policy = policies[p];
        fx.config.maxmemory = 1;
        (void)ks_evict(fx.ks, 0, clock_monotonic_us);
        for (int i = 0; i < 4; i++)
            cr_expect_eq(db_size(ks_db(fx.ks, i)), 0);
    }
}

Test(evict, few_volatile_keys_among_many_are_found)
{
    char text[24];
    for (uint64_t i = 0; i < KEYS; i++)
        ks_set_string(fx.db, number_key(text, i), BYTES("v"), 0,
                      i % 5000 == 7 ? START + 1000 : NO_EXPIRE);
    fx.config.maxmemory = 1;
    fx.config.maxmemory_eviction_tenacity = 100;
    fx.config.maxmemory_policy = POLICY_VOLATILE_LRU;
    cr_expect_eq(ks_evict(fx.ks, 0, clock_monotonic_us), EVICT_FAIL);
    cr_expect_eq(db_volatile(fx.db), 0);
    cr_expect_eq(db_size(fx.db), KEYS - 4);
}

static usec_t slow_us;
static usec_t slow_clock(void)
{
    return slow_us += 300;
}

Test(evict, tenacity_limits_the_time)
{
    fill();
    fx.config.maxmemory_policy = POLICY_ALLKEYS_LRU;
    fx.config.maxmemory = 1;
    fx.config.maxmemory_eviction_tenacity = 10; /* 500 us */
    cr_expect_eq(ks_evict(fx.ks, 0, slow_clock), EVICT_RUNNING);
    cr_expect_gt(db_size(fx.db), KEYS - 200);
    cr_expect_lt(db_size(fx.db), KEYS);
    cr_expect_gt(ks_stats(fx.ks)->eviction_exceeded_us, 0);
}

Test(evict, lazily_freed_values_count_until_they_are_free)
{
    fx.config.lazyfree_lazy_eviction = true;
    fx.config.maxmemory_policy = POLICY_ALLKEYS_RANDOM;
    char text[24];
    for (uint64_t i = 0; i < 1000; i++)
        ks_add_object(fx.db, number_key(text, i), TYPE_SET, ENC_HASHTABLE, crowd_new(100000));
    fx.config.maxmemory = mem_used() - 100 * 50;
    fx.config.maxmemory_eviction_tenacity = 100;
    cr_expect_eq(ks_evict(fx.ks, 0, clock_monotonic_us), EVICT_OK);
    cr_expect_leq(ks_stats(fx.ks)->evicted, 300, "no more than needed");
    cr_expect_eq(crowds, db_size(fx.db), "the queue was worked off");
}

Test(evict, candidates_that_have_gone_meanwhile_do_no_harm)
{
    struct prng r;
    prng_init(&r, 3);
    char text[24];
    fx.config.maxmemory_eviction_tenacity = 100;
    for (int round = 0; round < 3000; round++) {
        fx.config.maxmemory_policy = (int)prng_below(&r, POLICY_NOEVICTION);
        uint64_t i = prng_below(&r, 300);
        struct db *db = ks_db(fx.ks, (int)prng_below(&r, 4));
        ks_set_now(fx.ks, START + round * 500);
        if (prng_below(&r, 3))
            ks_set_string(db, number_key(text, i), BYTES("some value"), 0,
                          prng_below(&r, 2) ? NO_EXPIRE : START + 100000000);
        else
            (void)ks_delete(db, number_key(text, i), KS_DEL_SYNC);
        if (round % 100 == 50)
            ks_swap(fx.ks, 0, 1);
        if (round % 7 == 0) {
            fx.config.maxmemory = mem_used() - 100;
            (void)ks_evict(fx.ks, 0, clock_monotonic_us);
        }
    }
    cr_expect_gt(ks_stats(fx.ks)->evicted, 200);
}
