/* Packing: bounds, how near plans come, what they leave alone. */
#include "tools/slots/plan.h"

#include <criterion/criterion.h>
#include <math.h>

#include "common/prng.h"

static struct slot_map map;
static struct plan plan;

/* What a plan may never do, whatever it is for. */
static void check(enum metric by)
{
    int moved = 0;
    for (int s = 0; s < SLOTS; s++) {
        cr_assert(plan.owner[s] >= 0 && plan.owner[s] < map.masters_n, "slot %d has an owner", s);
        if (plan.owner[s] != map.owner[s]) {
            cr_assert_eq(plan.moves[moved].slot, s);
            cr_assert_eq(plan.moves[moved].from, map.owner[s]);
            cr_assert_eq(plan.moves[moved].to, plan.owner[s]);
            moved++;
        }
    }
    cr_assert_eq(moved, plan.moves_n);
    cr_assert(plan.after >= plan.bound * (1 - 1e-9), "%f below the bound %f", plan.after, plan.bound);
    double loads[MASTERS_MAX];
    (void)loads_by_master(&map, plan.owner, by, loads);
    cr_assert(fabs(max_over_mean(loads, map.masters_n) - plan.after) < 1e-9);
}

/* Tenants with Zipf sizes at random slots, upon the even ranges. */
static void zipf(int masters, int tenants, double exponent, uint64_t seed)
{
    struct prng rng;
    prng_init(&rng, seed);
    slot_map_init(&map);
    slot_map_even(&map, masters);
    for (int t = 1; t <= tenants; t++)
        map.loads[prng_below(&rng, SLOTS)].of[BY_MEMORY] += 1e9 / pow(t, exponent);
}

Test(slots_plan, zipf_tenants_come_within_a_tenth_of_the_bound)
{
    static const double exponents[] = { 0.5, 0.8, 1.0, 1.2, 1.5 };
    for (uint64_t seed = 1; seed <= 6; seed++) {
        for (size_t e = 0; e < sizeof exponents / sizeof *exponents; e++) {
            zipf(6, seed % 2 ? 1000 : 20000, exponents[e], seed);
            plan_make(&map, BY_MEMORY, 0.02, &plan);
            check(BY_MEMORY);
            cr_expect_lt(plan.after / plan.bound, 1.1, "seed %d, exponent %.1f: %f against %f", (int)seed,
                         exponents[e], plan.after, plan.bound);
            cr_expect_leq(plan.after, plan.before);
            plan_done(&plan);
            slot_map_done(&map);
        }
    }
}

Test(slots_plan, what_is_even_stays)
{
    slot_map_init(&map);
    slot_map_even(&map, 8);
    for (int s = 0; s < SLOTS; s++)
        map.loads[s].of[BY_KEYS] = 10;
    plan_make(&map, BY_KEYS, 0.02, &plan);
    check(BY_KEYS);
    cr_expect_eq(plan.moves_n, 0);
    plan_done(&plan);
    slot_map_done(&map);
}

Test(slots_plan, nothing_is_moved_for_nothing)
{
    slot_map_init(&map);
    slot_map_even(&map, 3);
    plan_make(&map, BY_KEYS, 0.02, &plan);
    check(BY_KEYS);
    cr_expect_eq(plan.moves_n, 0, "no load at all");
    cr_expect_eq(plan.after, 1);
    plan_done(&plan);
    slot_map_done(&map);
}

Test(slots_plan, a_new_master_gets_its_share_and_no_more_is_moved)
{
    slot_map_init(&map);
    slot_map_even(&map, 4);
    for (int s = 0; s < SLOTS; s++)
        map.loads[s].of[BY_KEYS] = 100;
    cr_assert_eq(slot_map_add_master(&map, "new", "", 0), 4);
    plan_make(&map, BY_KEYS, 0.02, &plan);
    check(BY_KEYS);
    cr_expect_lt(plan.after, 1.03);
    cr_expect(plan.moves_n > 3000 && plan.moves_n <= SLOTS / 5 + 10, "%d moves", plan.moves_n);
    for (int i = 0; i < plan.moves_n; i++)
        cr_expect_eq(plan.moves[i].to, 4);
    plan_done(&plan);
    slot_map_done(&map);
}

Test(slots_plan, slots_of_nobody_get_an_owner)
{
    slot_map_init(&map);
    slot_map_even(&map, 3);
    for (int s = 1000; s < 2000; s++)
        map.owner[s] = -1;
    map.loads[1500].of[BY_KEYS] = 7;
    plan_make(&map, BY_KEYS, 0.02, &plan);
    check(BY_KEYS);
    cr_expect_geq(plan.moves_n, 1000);
    plan_done(&plan);
    slot_map_done(&map);
}

Test(slots_plan, the_bound_knows_slots_that_must_share)
{
    slot_map_init(&map);
    slot_map_even(&map, 3);
    for (int s = 0; s < 4; s++)
        map.loads[s].of[BY_KEYS] = 100; /* four on three: two together */
    cr_expect(fabs(plan_bound(&map, BY_KEYS) - 1.5) < 1e-9, "%f", plan_bound(&map, BY_KEYS));
    map.loads[9].of[BY_KEYS] = 1000; /* and one is heavier than a fair share */
    cr_expect(fabs(plan_bound(&map, BY_KEYS) - 1000 * 3 / 1400.0) < 1e-9);
    plan_make(&map, BY_KEYS, 0.0, &plan);
    check(BY_KEYS);
    cr_expect(fabs(plan.after - plan.bound) < 1e-9, "the heavy one is left alone on its master");
    plan_done(&plan);
    slot_map_done(&map);
}

Test(slots_plan, one_master_has_all)
{
    slot_map_init(&map);
    slot_map_even(&map, 1);
    map.loads[5].of[BY_CPU] = 3;
    plan_make(&map, BY_CPU, 0.02, &plan);
    check(BY_CPU);
    cr_expect_eq(plan.after, 1);
    plan_done(&plan);
    slot_map_done(&map);
}

Test(slots_plan, against_every_placement_of_few_heavy_slots)
{
    struct prng rng;
    prng_init(&rng, 7);
    for (int round = 0; round < 200; round++) {
        enum { N = 8, MASTERS = 3 };
        double w[N], best = INFINITY, sum = 0;
        slot_map_init(&map);
        slot_map_even(&map, MASTERS);
        for (int i = 0; i < N; i++) {
            w[i] = 1 + (double)prng_below(&rng, 100);
            sum += w[i];
            map.loads[i * 37].of[BY_OPS] = w[i];
        }
        for (int code = 0; code < 6561; code++) { /* 3^8 */
            double loads[MASTERS] = { 0 };
            for (int i = 0, c = code; i < N; i++, c /= MASTERS)
                loads[c % MASTERS] += w[i];
            double worst = fmax(loads[0], fmax(loads[1], loads[2]));
            best = fmin(best, worst);
        }
        plan_make(&map, BY_OPS, 0, &plan);
        check(BY_OPS);
        double optimum = best * MASTERS / sum;
        cr_expect(plan.bound <= optimum + 1e-9, "round %d: the bound %f is above the optimum %f", round, plan.bound,
                  optimum);
        cr_expect_lt(plan.after, optimum * 1.1, "round %d: %f, optimum %f", round, plan.after, optimum);
        plan_done(&plan);
        slot_map_done(&map);
    }
}
