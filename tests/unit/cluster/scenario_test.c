/* Stories of small clusters in a virtual world: what a user would see, and how long it takes. */
#include "tests/sim/cluster_world.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define TIMEOUT 2000

static struct cworld w;

static void make(int nodes, int masters, uint64_t seed)
{
    cworld_init(&w, nodes, seed, TIMEOUT);
    cworld_form(&w, masters);
    w.verbose = getenv("WORLD_VERBOSE") != NULL;
    cr_assert(cworld_run_until(&w, cworld_converged, 5000), "%s %s", cworld_disagreement(&w), w.broken);
}

static void done(void)
{
    cr_assert_null(w.broken, "%s", w.broken);
    cworld_done(&w);
}

static bool slot_0_elsewhere(struct cworld *x)
{
    for (int i = 1; i < x->n; i++)
        if (x->nodes[i].m && !x->nodes[i].frozen && cworld_owner(x, i, 0) == i && cluster_ok(x->nodes[i].m))
            return true;
    return false;
}

Test(scenario, a_formed_cluster_is_ok_within_a_second)
{
    cworld_init(&w, 6, 1, TIMEOUT);
    cworld_form(&w, 3);
    w.verbose = getenv("WORLD_VERBOSE") != NULL;
    cr_assert(cworld_run_until(&w, cworld_converged, 1000), "%s", cworld_disagreement(&w));
    done();
}

Test(scenario, nodes_that_meet_become_a_cluster)
{
    cworld_init(&w, 6, 2, TIMEOUT);
    w.verbose = getenv("WORLD_VERBOSE") != NULL;
    for (int i = 0; i < 6; i++)
        cworld_start(&w, i);
    for (int i = 0; i < 3; i++) {
        struct cluster_range r = { i * 5461, i == 2 ? 16383 : (i + 1) * 5461 - 1 };
        struct cluster_command add = { .kind = CLUSTER_ADDSLOTS, .ranges = &r, .n_ranges = 1 };
        cr_assert_not(cworld_command(&w, i, add).error);
    }
    for (int i = 1; i < 6; i++)
        cworld_meet(&w, i - 1, i);
    cr_assert(cworld_run_until(&w, cworld_converged, 5000), "%s", cworld_disagreement(&w));
    for (int i = 0; i < 6; i++)
        cr_assert_eq(cluster_size(w.nodes[i].m), 6);
    done();
}

Test(scenario, a_killed_master_is_replaced_within_800_ms)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        make(6, 3, seed);
        cworld_run_for(&w, 1000 + (msec_t)seed * 37);
        usec_t begin = w.now;
        cworld_kill(&w, 0);
        cr_assert(cworld_run_until(&w, slot_0_elsewhere, 800), "seed %d", (int)seed);
        if (w.verbose)
            printf("seed %d: %d ms\n", (int)seed, (int)((w.now - begin) / 1000));
        done();
    }
}

Test(scenario, a_silent_master_is_replaced_within_2600_ms)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        make(6, 3, seed);
        cworld_run_for(&w, 1000 + (msec_t)seed * 37);
        cworld_freeze(&w, 0);
        cr_assert(cworld_run_until(&w, slot_0_elsewhere, 2600), "seed %d", (int)seed);
        done();
    }
}
