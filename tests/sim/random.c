/* A run from a seed: some nodes, a nemesis that does to them what the world does, and at the end peace, in which they
 * must become equal. */
#include <stdio.h>

#include "tests/sim/checks.h"
#include "tests/sim/run.h"

enum { NODES_MAX = 5, PEACE_MS = 400 * 1000 };

struct game {
    struct world *w;
    struct checks *checks;
    struct node *nodes[NODES_MAX];
    int n;
    uint64_t full, partial;
};

static const char *const names[NODES_MAX] = { "a", "b", "c", "d", "e" };

static struct node_config random_config(struct world *w)
{
    static const size_t sizes[] = { 16 * 1024, 64 * 1024, 1024 * 1024 };
    struct node_config c = {
        .repl = {
            .timeout_ms = (msec_t)world_between(w, 2000, 20000),
            .ping_period_ms = (msec_t)world_between(w, 500, 2000),
            .backlog_size = sizes[world_between(w, 0, 2)],
            .backlog_ttl_ms = world_chance(w, 30) ? (msec_t)world_between(w, 2000, 20000) : 3600 * 1000,
            .spill_size = world_chance(w, 60) ? 1024 * 1024 : 0,
            .memory_max = world_chance(w, 80) ? 128 * 1024 : 0,
            .feed_window = world_chance(w, 60) ? 32 * 1024 : 0,
            .limit_hard = world_chance(w, 20) ? 512 * 1024 : 0,
            .limit_soft = world_chance(w, 20) ? 256 * 1024 : 0,
            .limit_soft_ms = 3000,
            .limit_is_default = world_chance(w, 50),
            .diskless_sync = world_chance(w, 60),
            .diskless_delay_ms = world_chance(w, 50) ? 0 : (msec_t)world_between(w, 0, 3000),
            .diskless_max_replicas = (int)world_between(w, 0, 2),
            .rdb_version = 11,
            .load_mode = (enum repl_load_mode)world_between(w, 0, 2),
            .empty_master_guard = world_chance(w, 50),
            .max_staleness_ms = world_chance(w, 30) ? 1000 : 0,
        },
        .fail_percent = world_chance(w, 50) ? 0 : (unsigned)world_between(w, 0, 20),
        .work_max_ms = (msec_t)world_between(w, 1, 500),
        .image_pad_max = world_chance(w, 50) ? 100 : 200 * 1000,
        .plain = world_chance(w, 30),
        .skew_ms = (msec_t)world_between(w, 0, 2000) - 1000,
    };
    c.repl.empty_master_guard &= !c.plain;
    return c;
}

static struct node *any(struct game *g)
{
    return g->nodes[world_between(g->w, 0, (uint64_t)g->n - 1)];
}

static const char *name_of(struct game *g, const struct node *n)
{
    return world_name(g->w, node_host(n));
}

static void replicaof(struct game *g, struct node *n, struct node *master)
{
    const char *argv[3] = { "REPLICAOF", master ? name_of(g, master) : "NO", "ONE" };
    if (n != master)
        node_command(n, master ? 2 : 3, argv);
    node_follow_at_boot(n, master && n != master ? node_host(master) : -1);
}

static void failover(struct game *g, struct node *n)
{
    const char *to[] = { "FAILOVER", "TO", name_of(g, any(g)), "TIMEOUT", "800", "FORCE" };
    switch (world_between(g->w, 0, 3)) {
    case 0: node_command(n, 1, to); break;
    case 1: node_command(n, 3, to); break;
    case 2: node_command(n, world_chance(g->w, 50) ? 6 : 5, to); break;
    case 3: to[1] = "ABORT"; node_command(n, 2, to); break;
    }
}

static void paths(struct game *g)
{
    struct node *x = any(g), *y = any(g);
    if (x == y)
        return;
    int a = node_host(x), b = node_host(y);
    struct path *p = world_path(g->w, a, b), *q = world_path(g->w, b, a);
    switch (world_between(g->w, 0, 6)) {
    case 0: p->cut = q->cut = true; world_trace(g->w, a, "cut from %s", name_of(g, y)); break;
    case 1: p->cut = true; world_trace(g->w, a, "cannot send to %s", name_of(g, y)); break;
    case 2:
    case 3: p->cut = q->cut = false; world_trace(g->w, a, "healed with %s", name_of(g, y)); break;
    case 4: p->bytes_per_s = world_chance(g->w, 50) ? 0 : world_between(g->w, 2000, 200000); break;
    case 5:
        p->delay_min = (msec_t)world_between(g->w, 0, 5);
        p->delay_max = p->delay_min + (msec_t)world_between(g->w, 0, 200);
        break;
    case 6: world_reset(g->w, a, b); world_trace(g->w, a, "reset with %s", name_of(g, y)); break;
    }
}

static void life_and_death(struct game *g)
{
    struct node *n = any(g);
    int host = node_host(n);
    if (!world_is_up(g->w, host)) {
        if (world_chance(g->w, 20))
            node_wipe(n);
        world_boot(g->w, host);
    } else if (world_chance(g->w, 40)) {
        node_save(n);
    } else if (world_chance(g->w, 50)) {
        world_stall(g->w, host, (msec_t)world_between(g->w, 1, 4000));
    } else {
        world_crash(g->w, host, world_chance(g->w, 40));
    }
}

static void reconfigure(struct game *g, struct node *n)
{
    struct node_config c = random_config(g->w);
    c.repl.empty_master_guard = false;
    node_configure(n, &c.repl);
}

static void disturb(struct game *g)
{
    uint64_t what = world_between(g->w, 0, 99);
    if (what < 62)
        node_write(any(g), (unsigned)world_between(g->w, 1, 20), world_chance(g->w, 10) ? 20000 : 20);
    else if (what < 70)
        node_multi(any(g), (unsigned)world_between(g->w, 1, 5));
    else if (what < 80)
        paths(g);
    else if (what < 86)
        life_and_death(g);
    else if (what < 90)
        replicaof(g, any(g), world_chance(g->w, 30) ? NULL : any(g));
    else if (what < 93)
        failover(g, any(g));
    else if (what < 97)
        node_wait(any(g), (int)world_between(g->w, 1, 3), (msec_t)world_between(g->w, 1, 2000));
    else if (what < 98)
        node_child(any(g), world_chance(g->w, 30));
    else
        reconfigure(g, any(g));
}

/* ---- the end ---- */

static void heal(struct game *g)
{
    world_trace(g->w, -1, "peace");
    for (int i = 0; i < g->n; i++) {
        for (int k = 0; k < g->n; k++)
            *world_path(g->w, i, k) = (struct path){ 1, 3, 0, false };
        if (!world_is_up(g->w, i))
            world_boot(g->w, i);
        node_calm(g->nodes[i]);
        node_child(g->nodes[i], false);
    }
}

static bool equal(struct game *g, const struct node *master)
{
    for (int i = 0; i < g->n; i++) {
        const struct node *n = g->nodes[i];
        const struct repl *r = node_repl(n);
        if (n != master && (!repl_link_up(r) || node_loading(n)))
            return false;
        if (node_digest(n) != node_digest(master) || repl_offset(r) != repl_offset(node_repl(master)))
            return false;
        if (memcmp(repl_replid(r), repl_replid(node_repl(master)), REPL_ID_LEN) != 0)
            return false;
    }
    return true;
}

static bool guarded(struct game *g, const struct node *n)
{
    struct repl_view v;
    repl_view(node_repl(n), world_now(g->w), &v);
    return v.link == REPL_LINK_GUARDED;
}

static void make_peace(struct game *g)
{
    static const char *const abort_it[] = { "FAILOVER", "ABORT" };
    heal(g);
    world_run(g->w, world_now(g->w) + 5000); /* stalled hosts wake */
    for (int i = 0; i < g->n; i++)
        node_command(g->nodes[i], 2, abort_it);
    struct node *master = any(g);
    replicaof(g, master, NULL);
    for (int i = 0, before = -1; i < g->n; i++) {
        if (g->nodes[i] == master)
            continue;
        replicaof(g, g->nodes[i], before >= 0 && world_chance(g->w, 40) ? g->nodes[before] : master);
        before = i;
    }
    msec_t until = world_now(g->w) + PEACE_MS;
    for (int i = 0; i < 20; i++) {
        world_run(g->w, world_now(g->w) + (msec_t)world_between(g->w, 10, 2000));
        node_write(master, 3, 20);
    }
    while (!equal(g, master) && world_now(g->w) < until) {
        for (int i = 0; i < g->n; i++) /* the operator looks at those who keep their data */
            if (guarded(g, g->nodes[i]))
                replicaof(g, g->nodes[i], master);
        world_run(g->w, world_now(g->w) + 500);
    }
    if (!equal(g, master)) {
        for (int i = 0; i < g->n; i++) {
            struct repl_view v;
            repl_view(node_repl(g->nodes[i]), world_now(g->w), &v);
            printf("%s%s: %s:%lld link %d digest %llx\n", names[i], g->nodes[i] == master ? " (master)" : "", v.replid,
                   (long long)v.offset, (int)v.link, (unsigned long long)node_digest(g->nodes[i]));
        }
        world_fail(g->w, "not equal after %d s of peace", PEACE_MS / 1000);
    }
}

static void count(struct game *g)
{
    for (int i = 0; i < g->n; i++) {
        struct repl_view v;
        repl_view(node_repl(g->nodes[i]), world_now(g->w), &v);
        g->full += v.sync_full;
        g->partial += v.sync_partial_ok;
    }
}

struct run_result run_random(uint64_t seed)
{
    struct game g = { .w = world_new(seed) };
    g.checks = checks_new(g.w);
    g.n = (int)world_between(g.w, 2, NODES_MAX);
    struct node_config c = random_config(g.w);
    for (int i = 0; i < g.n; i++) {
        if (world_chance(g.w, 30))
            c = random_config(g.w);
        g.nodes[i] = node_new(g.w, g.checks, names[i], &c);
    }
    for (int i = 0; i < g.n; i++) {
        world_boot(g.w, i);
        if (i)
            replicaof(&g, g.nodes[i], g.nodes[world_between(g.w, 0, (uint64_t)i - 1)]);
    }
    msec_t until = (msec_t)world_between(g.w, 5000, 40000);
    bool dense = world_chance(g.w, 50);
    while (world_now(g.w) < until) {
        world_run(g.w, world_now(g.w) + (msec_t)world_between(g.w, 0, dense ? 40 : 300));
        disturb(&g);
    }
    make_peace(&g);
    count(&g);
    struct run_result result = { checks_states(g.checks), g.full, g.partial, (uint64_t)world_now(g.w) };
    world_free(g.w);
    for (int i = 0; i < g.n; i++)
        node_free(g.nodes[i]);
    checks_free(g.checks);
    return result;
}
