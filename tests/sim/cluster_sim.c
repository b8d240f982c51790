/* The simulator of clusters: random runs of small ones, and figures by size.
 *
 *   ouro-cluster-sim --runs N [--seed S]     N runs from seeds S, S + 1, ...: faults, then peace, in which all agree
 *   ouro-cluster-sim --seed S --trace        one of them, with what everybody said
 *   ouro-cluster-sim --figures SIZE...       gossip, time to detect and to elect, of a cluster of that many nodes
 *   ouro-cluster-sim --quick --figures 1000  without the part that waits for a silent node
 *                    --settle MS             how long to wait before gossip is counted
 */
#include "tests/sim/cluster_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/assert.h"

/* ---- random runs ---- */

static bool verbose, quick;
static msec_t settle_ms = -1;

static unsigned pick(struct cworld *w, unsigned n)
{
    return (unsigned)prng_below(&w->rng, n);
}

static void say(struct cworld *w, const char *what, int i)
{
    if (verbose)
        printf("%9.3f --- %s n%d\n", (double)w->now / 1e6, what, i);
}

static void kill_or_start(struct cworld *w, int i)
{
    if (w->nodes[i].m) {
        say(w, "kill", i);
        cworld_kill(w, i);
        if (pick(w, 5) == 0)
            cworld_lose_data(w, i);
    } else {
        say(w, "start", i);
        cworld_start(w, i);
    }
}

static void ask_failover(struct cworld *w, int i)
{
    struct cworld_node *p = &w->nodes[i];
    if (!p->m || p->frozen || !cluster_is_replica(p->m))
        return;
    say(w, "CLUSTER FAILOVER at", i);
    struct cluster_command cmd = { .kind = CLUSTER_FAILOVER };
    cmd.failover = pick(w, 3) ? CLUSTER_FAILOVER_DEFAULT : CLUSTER_FAILOVER_FORCE;
    (void)cworld_command(w, i, cmd);
}

static void freeze_or_thaw(struct cworld *w, int i)
{
    if (!w->nodes[i].m)
        return;
    say(w, w->nodes[i].frozen ? "thaw" : "freeze", i);
    if (w->nodes[i].frozen)
        cworld_thaw(w, i);
    else
        cworld_freeze(w, i);
}

static void fault(struct cworld *w)
{
    int i = (int)pick(w, (unsigned)w->n);
    switch (pick(w, 7)) {
    case 0:
    case 1:
        kill_or_start(w, i);
        break;
    case 2:
    case 3:
        freeze_or_thaw(w, i);
        break;
    case 4:
        say(w, "cut or join", i);
        cworld_side(w, i, w->nodes[i].side ? 0 : 1 + pick(w, 2));
        break;
    case 5:
        ask_failover(w, i);
        break;
    case 6:
        w->nodes[i].disk_fails = !w->nodes[i].disk_fails;
        break;
    }
}

static void peace(struct cworld *w)
{
    for (int i = 0; i < w->n; i++)
        w->nodes[i].disk_fails = false;
    cworld_heal(w);
    for (int i = 0; i < w->n; i++)
        if (!w->nodes[i].m)
            cworld_start(w, i);
    say(w, "peace", 0);
}

static void meet_all(struct cworld *w, int masters)
{
    for (int i = 0; i < w->n; i++)
        cworld_start(w, i);
    for (int i = 0; i < masters; i++) {
        struct cluster_range r = { CLUSTER_SLOTS * i / masters, CLUSTER_SLOTS * (i + 1) / masters - 1 };
        (void)cworld_command(w, i, (struct cluster_command){ .kind = CLUSTER_ADDSLOTS, .ranges = &r, .n_ranges = 1 });
    }
    for (int i = 1; i < w->n; i++)
        cworld_meet(w, i, (int)pick(w, (unsigned)i));
}

static bool run(uint64_t seed)
{
    struct cworld w;
    struct prng r;
    prng_init(&r, seed);
    int masters = 1 + (int)prng_below(&r, 5), n = masters * (1 + (int)prng_below(&r, 3));
    cworld_init(&w, n, seed, 500 + 250 * (msec_t)prng_below(&r, 5));
    w.verbose = verbose;
    w.writes = true;
    if (prng_below(&r, 8) == 0)
        meet_all(&w, masters);
    else
        cworld_form(&w, masters);
    const char *what = NULL;
    if (!cworld_run_until(&w, cworld_converged, 10000))
        what = "it did not come up";
    for (unsigned k = 4 + pick(&w, 12); k > 0 && !what && !w.broken; k--) {
        fault(&w);
        cworld_run_for(&w, 20 + pick(&w, pick(&w, 3) ? 300 : 2500));
    }
    if (!what) {
        peace(&w);
        if (!cworld_run_until(&w, cworld_converged, 60000) && !w.broken)
            what = "it did not converge";
    }
    if (w.broken)
        what = w.broken;
    if (what)
        printf("seed %" PRIu64 ": %d nodes, %d masters: %s (%s)\n", seed, n, masters, what, cworld_disagreement(&w));
    cworld_done(&w);
    return !what;
}

/* ---- figures ---- */

static int victim;

static bool is_marked(struct cworld *w, int by, unsigned flag)
{
    char name[CLUSTER_NAME + 1];
    cworld_name(victim, name);
    const struct cluster_node *n = cluster_find(w->nodes[by].m, bytes_of(name, CLUSTER_NAME));
    struct cluster_node_view v;
    if (!n)
        return false;
    cluster_view(w->nodes[by].m, n, &v);
    return v.flags & flag || !v.slots;
}

static bool known_to_all(struct cworld *w)
{
    for (int i = 0; i < w->n; i++)
        if (i != victim && w->nodes[i].m && !is_marked(w, i, CLUSTER_NODE_FAIL))
            return false;
    return true;
}

static bool replaced(struct cworld *w)
{
    struct cworld_node *p = &w->nodes[victim + w->n / 2]; /* its replica */
    struct cluster_node_view v;
    cluster_view(p->m, cluster_myself(p->m), &v);
    return v.slots > 0 && cluster_ok(p->m);
}

static uint64_t bytes_sent(const struct cworld *w, uint64_t *ret_frames)
{
    uint64_t bytes = 0;
    *ret_frames = 0;
    for (int i = 0; i < w->n; i++) {
        bytes += w->nodes[i].bytes_sent;
        *ret_frames += w->nodes[i].frames_sent;
    }
    return bytes;
}

static int figures(int n, msec_t timeout)
{
    struct cworld w;
    clock_t begin = clock();
    cworld_init(&w, n, 1, timeout);
    w.big = n > 100;
    cworld_form(&w, n / 2);
    usec_t at = w.now;
    if (!cworld_run_until(&w, cworld_converged, 60000)) {
        printf("%d nodes did not converge: %s\n", n, cworld_disagreement(&w));
        return 1;
    }
    double up = (double)(w.now - at) / 1e6;
    cworld_run_for(&w, settle_ms >= 0 ? settle_ms : quick ? 1000 : timeout / 2); /* the burst of the start is over */
    uint64_t frames, frames_before, before = bytes_sent(&w, &frames_before);
    msec_t window = n > 300 ? 2000 : 10000;
    cworld_run_for(&w, window);
    double per_second = (double)(bytes_sent(&w, &frames) - before) / n / ((double)window / 1000);
    double frames_per_second = (double)(frames - frames_before) / n / ((double)window / 1000);

    double told[2] = { 0 }, back[2] = { 0 };
    for (int k = 0; k < 2 - quick; k++) {
        victim = k;
        at = w.now;
        if (k == 0)
            cworld_kill(&w, victim);
        else
            cworld_freeze(&w, victim);
        bool ok = cworld_run_until(&w, replaced, 6 * timeout + 10000);
        back[k] = ok ? (double)(w.now - at) / 1e6 : -1;
        ok = cworld_run_until(&w, known_to_all, 6 * timeout);
        told[k] = ok ? (double)(w.now - at) / 1e6 : -1;
    }
    printf("%5d nodes, timeout %5d ms: up in %.1f s; %7.0f bytes and %5.1f frames sent per node and second; "
           "killed: known to all %.2f s, replaced %.2f s; silent: %.2f s, %.2f s   (%.1f s of CPU)\n",
           n, (int)timeout, up, per_second, frames_per_second, told[0], back[0], told[1], back[1],
           (double)(clock() - begin) / CLOCKS_PER_SEC);
    fflush(stdout);
    cworld_done(&w);
    bool failed = told[0] < 0 || told[1] < 0 || back[0] < 0 || back[1] < 0;
    if (failed)
        printf("%d nodes: -1 means that it did not happen in time\n", n);
    return failed;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, runs = 1, failed = 0;
    int sizes = 0;
    msec_t timeout = 15000;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--seed") && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--runs") && i + 1 < argc)
            runs = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--timeout") && i + 1 < argc)
            timeout = strtoll(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--trace"))
            verbose = true;
        else if (!strcmp(argv[i], "--settle") && i + 1 < argc)
            settle_ms = strtoll(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--quick"))
            quick = true;
        else if (!strcmp(argv[i], "--figures")) {
            sizes = i + 1;
            break;
        } else {
            fprintf(stderr, "usage: %s [--runs N] [--seed S] [--trace] | [--quick] [--timeout MS] [--settle MS]\n"
                            "       --figures SIZE...\n",
                    argv[0]);
            return 2;
        }
    }
    if (sizes) {
        for (int i = sizes; i < argc; i++)
            failed += (uint64_t)figures(atoi(argv[i]), timeout);
        return failed != 0;
    }
    for (uint64_t k = 0; k < runs; k++)
        failed += !run(seed + k);
    printf("%" PRIu64 " runs from seed %" PRIu64 ", %" PRIu64 " failed\n", runs, seed, failed);
    return failed != 0;
}
