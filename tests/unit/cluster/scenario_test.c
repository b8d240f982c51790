/* Stories of small clusters in a virtual world: what a user would see, and how long it takes. */
#include "tests/sim/cluster_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

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

/* ---- nothing that was acknowledged is lost ---- */

static uint32_t acked[100000];
static size_t n_acked;

/* One write, tried at `i` first and then at all others, as a client does that follows redirects. */
static enum cworld_write client(int i)
{
    uint32_t number;
    enum cworld_write r = cworld_write(&w, i, 0, &number);
    for (int k = 0; k < w.n && r != CWORLD_OK; k++)
        if (cworld_write(&w, k, 0, &number) == CWORLD_OK)
            r = CWORLD_OK;
    if (r == CWORLD_OK)
        acked[n_acked++] = number;
    return r;
}

static size_t lost(void)
{
    int owner = cworld_owner(&w, 1, 0);
    size_t n = 0;
    for (size_t i = 0; i < n_acked; i++)
        n += !cworld_has(&w, owner, acked[i]);
    return n;
}

static void settle(void)
{
    bool well = cworld_run_until(&w, cworld_converged, 30000);
    cr_assert_null(w.broken, "%s", w.broken);
    cr_assert(well, "%s", cworld_disagreement(&w));
    cworld_run_for(&w, 200);
}

/* Writes every 5 ms for so long. */
static void load(msec_t t, int at)
{
    for (; t > 0; t -= 5) {
        cworld_run_for(&w, 5);
        (void)client(at);
    }
}

Test(scenario, a_master_that_was_frozen_executes_nothing_from_old_knowledge)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        n_acked = 0;
        make(6, 3, seed);
        load(500, 0);
        cworld_run_for(&w, 100); /* the replica has it all */
        cworld_freeze(&w, 0);
        load(4000, 1);
        cr_assert(slot_0_elsewhere(&w));
        cworld_thaw(&w, 0);
        uint32_t number;
        for (int k = 0; k < 100; k++) { /* a client that waited for it gets nothing, at no moment */
            cr_assert_neq(cworld_write(&w, 0, 0, &number), CWORLD_OK, "seed %d, step %d", (int)seed, k);
            cworld_run_for(&w, k < 50 ? 1 : 20);
        }
        settle();
        cr_assert_eq(lost(), 0, "seed %d", (int)seed);
        cr_assert(cluster_is_replica(w.nodes[0].m));
        done();
    }
}

Test(scenario, a_short_freeze_costs_no_master_and_no_error)
{
    make(6, 3, 5);
    load(500, 0);
    cworld_freeze(&w, 0);
    cworld_run_for(&w, 1200);
    cworld_thaw(&w, 0);
    uint32_t number;
    enum cworld_write r;
    int waited = 0;
    while ((r = cworld_write(&w, 0, 0, &number)) == CWORLD_PAUSED && waited++ < 20)
        cworld_run_for(&w, 1);
    cr_assert_eq(r, CWORLD_OK);
    cr_assert_gt(waited, 0, "it asked first");
    settle();
    cr_assert_not(cluster_is_replica(w.nodes[0].m));
    done();
}

Test(scenario, a_master_cut_off_stops_taking_writes_within_a_third_of_the_timeout)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        make(6, 3, seed);
        cworld_run_for(&w, 1000 + (msec_t)seed * 37);
        cworld_side(&w, 0, 1);
        msec_t wrote_at = 0;
        for (msec_t t = 0; t < 6000; t += 5) {
            uint32_t number;
            cworld_run_for(&w, 5);
            if (cworld_write(&w, 0, 0, &number) == CWORLD_OK)
                wrote_at = t;
        }
        cr_assert_leq(wrote_at, TIMEOUT / 3, "seed %d: %d ms", (int)seed, (int)wrote_at);
        cworld_heal(&w);
        settle();
        cr_assert(cluster_is_replica(w.nodes[0].m));
        done();
    }
}

Test(scenario, a_master_that_comes_back_empty_does_not_empty_its_replica)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        n_acked = 0;
        make(6, 3, seed);
        load(500, 0);
        cworld_run_for(&w, 100);
        cworld_kill(&w, 0);
        cworld_lose_data(&w, 0);
        cworld_run_for(&w, (msec_t)seed * 3);
        cworld_start(&w, 0);
        load(3000, 0);
        settle();
        cr_assert_eq(lost(), 0, "seed %d", (int)seed);
        cr_assert_eq(cworld_owner(&w, 1, 0), 3, "its replica took over");
        done();
    }
}

Test(scenario, a_master_that_comes_back_with_its_data_goes_on)
{
    n_acked = 0;
    make(6, 3, 3);
    load(500, 0);
    cworld_run_for(&w, 100);
    cworld_kill(&w, 0);
    cworld_run_for(&w, 20);
    cworld_start(&w, 0);
    load(1000, 0);
    settle();
    cr_assert_eq(lost(), 0);
    cr_assert_eq(cworld_owner(&w, 1, 0), 0);
    done();
}

Test(scenario, a_killed_master_loses_nothing_that_reached_its_replica)
{
    n_acked = 0;
    make(6, 3, 4);
    load(500, 0);
    cworld_run_for(&w, 100);
    cworld_kill(&w, 0);
    load(2000, 1);
    cworld_start(&w, 0);
    settle();
    cr_assert_eq(lost(), 0);
    cr_assert_gt(n_acked, 200, "and writes went on");
    done();
}

/* ---- CLUSTER FAILOVER ---- */

static struct cluster_reply failover(int i, enum cluster_failover how)
{
    return cworld_command(&w, i, (struct cluster_command){ .kind = CLUSTER_FAILOVER, .failover = how });
}

Test(scenario, a_manual_failover_loses_nothing_and_stops_writes_for_a_moment)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        n_acked = 0;
        make(6, 3, seed);
        load(500, 0);
        cr_assert_not(failover(3, CLUSTER_FAILOVER_DEFAULT).error);
        msec_t without = 0;
        for (int k = 0; k < 500; k++) {
            cworld_run_for(&w, 1);
            without += client(k < 20 ? 0 : 3) != CWORLD_OK;
        }
        cr_assert_leq(without, 50, "seed %d: %d ms", (int)seed, (int)without);
        settle();
        cr_assert_eq(cworld_owner(&w, 1, 0), 3);
        cr_assert(cluster_is_replica(w.nodes[0].m));
        cr_assert_eq(lost(), 0);
        done();
    }
}

Test(scenario, force_and_takeover_need_no_master)
{
    for (int how = CLUSTER_FAILOVER_FORCE; how <= CLUSTER_FAILOVER_TAKEOVER; how++) {
        make(6, 3, 9);
        cworld_freeze(&w, 0);
        cworld_run_for(&w, 50);
        cr_assert_not(failover(3, (enum cluster_failover)how).error);
        cr_assert(cworld_run_until(&w, slot_0_elsewhere, how == CLUSTER_FAILOVER_FORCE ? 400 : 20));
        cworld_heal(&w);
        settle();
        cr_assert_eq(cworld_owner(&w, 1, 0), 3);
        done();
    }
}

/* ---- the rest ---- */

Test(scenario, of_two_replicas_the_one_with_more_data_takes_over)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        n_acked = 0;
        make(9, 3, seed);
        load(300, 0);
        cworld_run_for(&w, 100);
        cworld_freeze(&w, 3);
        load(300, 0);
        cworld_run_for(&w, 100); /* 6 has this, 3 does not */
        cworld_thaw(&w, 3);
        cworld_kill(&w, 0); /* in the same instant */
        cr_assert(cworld_run_until(&w, slot_0_elsewhere, 2000));
        settle();
        cr_assert_eq(cworld_owner(&w, 1, 0), 6, "seed %d", (int)seed);
        done();
    }
}

Test(scenario, an_orphaned_master_gets_a_replica_from_one_that_has_two)
{
    make(7, 3, 1); /* n3, n6 replicate n0; n4 n1; n5 n2 */
    cworld_kill(&w, 4);
    cworld_run_for(&w, 12000);
    int of_n1 = 0;
    struct cluster_node_view v;
    for (int i = 3; i < 7; i++)
        if (w.nodes[i].m) {
            char name[CLUSTER_NAME + 1];
            cworld_name(1, name);
            cluster_view(w.nodes[i].m, cluster_myself(w.nodes[i].m), &v);
            cluster_view(w.nodes[i].m, v.master, &v);
            of_n1 += strcmp(v.name, name) == 0;
        }
    cr_assert_eq(of_n1, 1);
    done();
}

static struct cluster_reply setslot(int i, enum cluster_command_kind kind, int node)
{
    static char name[CLUSTER_NAME + 1];
    cworld_name(node, name);
    struct cluster_command cmd = { .kind = kind, .slot = 0, .name = bytes_of(name, CLUSTER_NAME) };
    return cworld_command(&w, i, cmd);
}

static bool slot_0_at_1(struct cworld *x)
{
    for (int i = 0; i < x->n; i++)
        if (cworld_owner(x, i, 0) != 1)
            return false;
    return true;
}

Test(scenario, a_slot_moves_and_all_know_it_at_once)
{
    make(6, 3, 1);
    cr_assert_not(setslot(1, CLUSTER_SETSLOT_IMPORTING, 0).error);
    cr_assert_not(setslot(0, CLUSTER_SETSLOT_MIGRATING, 1).error);
    cr_assert_not(setslot(1, CLUSTER_SETSLOT_NODE, 1).error);
    cr_assert_not(setslot(0, CLUSTER_SETSLOT_NODE, 1).error);
    cr_assert(cworld_run_until(&w, slot_0_at_1, 100));
    settle();
    done();
}

Test(scenario, a_forgotten_node_is_forgotten_by_all_within_a_second)
{
    make(6, 3, 1);
    cworld_run_for(&w, 1000);
    char name[CLUSTER_NAME + 1];
    cworld_name(5, name);
    cworld_kill(&w, 5);
    struct cluster_command forget = { .kind = CLUSTER_FORGET, .name = bytes_of(name, CLUSTER_NAME) };
    cr_assert_not(cworld_command(&w, 0, forget).error);
    cworld_run_for(&w, 1000);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(cluster_size(w.nodes[i].m), 5, "n%d", i);
    done();
}

Test(scenario, a_disk_that_fails_makes_a_node_fall_silent)
{
    make(6, 3, 1);
    w.nodes[0].disk_fails = true;
    (void)cworld_command(&w, 0, (struct cluster_command){ .kind = CLUSTER_SAVECONFIG });
    cworld_run_for(&w, 5000);
    cr_assert(slot_0_elsewhere(&w), "it was replaced");
    w.nodes[0].disk_fails = false;
    settle();
    done();
}

Test(scenario, one_seed_gives_one_story)
{
    uint64_t sum[2] = { 0 };
    for (int k = 0; k < 2; k++) {
        make(6, 3, 77);
        cworld_kill(&w, 0);
        cworld_run_for(&w, 3000);
        for (int i = 1; i < 6; i++)
            sum[k] = sum[k] * 31 + w.nodes[i].bytes_sent + w.nodes[i].steps;
        done();
    }
    cr_assert_eq(sum[0], sum[1]);
}
