/* Scenarios: what happens, line by line, and behind a line `---` the trace that it must give. See
 * scenarios/README.md. */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/num.h"
#include "common/text.h"
#include "tests/sim/checks.h"
#include "tests/sim/run.h"

enum { NODES_MAX = 8 };

struct play {
    const char *path;
    struct world *w;
    struct checks *checks;
    struct node *nodes[NODES_MAX];
    struct node_config config[NODES_MAX];
    char names[NODES_MAX][8];
    int n, line;
    bool booted;
    struct arena arena;
    struct buf trace;
};

_Noreturn static void wrong(struct play *p, const char *what)
{
    printf("%s:%d: %s\n", p->path, p->line, what);
    exit(2);
}

static uint64_t number(struct play *p, struct bytes b)
{
    uint64_t v;
    if (!num_parse_u64(b, &v))
        wrong(p, "a number is expected");
    return v;
}

static int find(struct play *p, struct bytes name)
{
    for (int i = 0; i < p->n; i++)
        if (bytes_is(name, p->names[i]))
            return i;
    wrong(p, "no such node");
}

static struct node_config ordinary(void)
{
    return (struct node_config){
        .repl = {
            .timeout_ms = 60000, .ping_period_ms = 10000, .backlog_size = 1024 * 1024, .backlog_ttl_ms = 3600 * 1000,
            .diskless_sync = true, .rdb_version = 11, .empty_master_guard = true,
        },
        .work_max_ms = 1,
    };
}

static void on_line(void *ctx, const char *line)
{
    struct play *p = ctx;
    buf_append_str(&p->trace, line);
    buf_append_char(&p->trace, '\n');
}

static void boot(struct play *p)
{
    for (int i = 0; !p->booted && i < p->n; i++)
        p->nodes[i] = node_new(p->w, p->checks, p->names[i], &p->config[i]);
    for (int i = 0; !p->booted && i < p->n; i++)
        world_boot(p->w, i);
    p->booted = true;
}

/* ---- lines before the first `at` ---- */

static void add_node(struct play *p, struct bytes *v, size_t n)
{
    if (p->n == NODES_MAX || n < 2 || v[1].n > 7)
        wrong(p, "node NAME [option value]...");
    struct node_config *c = &p->config[p->n];
    *c = ordinary();
    memcpy(p->names[p->n], v[1].p, v[1].n);
    p->n++;
    for (size_t i = 2; i + 1 < n; i += 2) {
        uint64_t x = number(p, v[i + 1]);
        if (bytes_is(v[i], "timeout"))
            c->repl.timeout_ms = (msec_t)x;
        else if (bytes_is(v[i], "ping"))
            c->repl.ping_period_ms = (msec_t)x;
        else if (bytes_is(v[i], "backlog"))
            c->repl.backlog_size = x;
        else if (bytes_is(v[i], "ttl"))
            c->repl.backlog_ttl_ms = (msec_t)x;
        else if (bytes_is(v[i], "spill"))
            c->repl.spill_size = x;
        else if (bytes_is(v[i], "memory"))
            c->repl.memory_max = x;
        else if (bytes_is(v[i], "window"))
            c->repl.feed_window = x;
        else if (bytes_is(v[i], "limit"))
            c->repl.limit_hard = x;
        else if (bytes_is(v[i], "limit-default"))
            c->repl.limit_is_default = x;
        else if (bytes_is(v[i], "diskless"))
            c->repl.diskless_sync = x;
        else if (bytes_is(v[i], "delay"))
            c->repl.diskless_delay_ms = (msec_t)x;
        else if (bytes_is(v[i], "load"))
            c->repl.load_mode = (enum repl_load_mode)x;
        else if (bytes_is(v[i], "guard"))
            c->repl.empty_master_guard = x;
        else if (bytes_is(v[i], "plain"))
            c->plain = x;
        else if (bytes_is(v[i], "work"))
            c->work_max_ms = (msec_t)x;
        else if (bytes_is(v[i], "fail"))
            c->fail_percent = (unsigned)x;
        else
            wrong(p, "unknown option");
    }
}

/* ---- what happens ---- */

static void between(struct play *p, int a, struct bytes *v, size_t n)
{
    int b = find(p, v[1]);
    struct path *there = world_path(p->w, a, b), *back = world_path(p->w, b, a);
    if (bytes_is(v[0], "cut"))
        there->cut = back->cut = true;
    else if (bytes_is(v[0], "heal"))
        there->cut = back->cut = false;
    else if (bytes_is(v[0], "reset"))
        world_reset(p->w, a, b);
    else if (bytes_is(v[0], "slow") && n == 3)
        there->bytes_per_s = number(p, v[2]);
    else
        wrong(p, "unknown verb");
}

static void say_state(struct play *p, int a)
{
    struct repl_view v;
    repl_view(node_repl(p->nodes[a]), world_now(p->w), &v);
    world_trace(p->w, a, "= %s %.8s:%lld replid2 %.8s:%lld link %d replicas %d version %llu spilled %llu", v.replica
          ? "replica" : "master",
                v.replid, (long long)v.offset, v.replid2, (long long)v.second_offset, (int)v.link, v.replicas,
                (unsigned long long)node_version(p->nodes[a]), (unsigned long long)v.spilled);
}

static void happen(struct play *p, int a, struct bytes *v, size_t n)
{
    struct node *node = p->nodes[a];
    const char *argv[8];
    if (bytes_is(v[0], "write") && n >= 2)
        node_write(node, (unsigned)number(p, v[1]), n > 2 ? number(p, v[2]) : 20);
    else if (bytes_is(v[0], "multi") && n == 2)
        node_multi(node, (unsigned)number(p, v[1]));
    else if (bytes_is(v[0], "wait") && n == 3)
        node_wait(node, (int)number(p, v[1]), (msec_t)number(p, v[2]));
    else if (bytes_is(v[0], "crash"))
        world_crash(p->w, a, n > 1);
    else if (bytes_is(v[0], "boot"))
        world_boot(p->w, a);
    else if (bytes_is(v[0], "save"))
        node_save(node);
    else if (bytes_is(v[0], "wipe"))
        node_wipe(node);
    else if (bytes_is(v[0], "follows") && n == 2)
        node_follow_at_boot(node, find(p, v[1]));
    else if (bytes_is(v[0], "child") && n == 2)
        node_child(node, number(p, v[1]));
    else if (bytes_is(v[0], "stall") && n == 2)
        world_stall(p->w, a, (msec_t)number(p, v[1]));
    else if (bytes_is(v[0], "state"))
        say_state(p, a);
    else if ((bytes_is(v[0], "replicaof") || bytes_is(v[0], "failover")) && n <= 8) {
        for (size_t i = 0; i < n; i++)
            argv[i] = arena_printf(&p->arena, "%.*s", (int)v[i].n, v[i].p).p;
        node_command(node, (int)n, argv);
    } else if (n >= 2) {
        between(p, a, v, n);
    } else {
        wrong(p, "unknown verb");
    }
}

/* equal NODE...: the same data, id and offset on all. */
static void expect_equal(struct play *p, struct bytes *v, size_t n)
{
    const struct node *first = p->nodes[find(p, v[1])];
    for (size_t i = 2; i < n; i++) {
        const struct node *x = p->nodes[find(p, v[i])];
        if (node_digest(x) != node_digest(first) || repl_offset(node_repl(x)) != repl_offset(node_repl(first)))
            wrong(p, "these nodes are not equal");
    }
}

/* The age of b's data as the world sees it, as a reckons it, and as b does: within the larger of 60 ms and a
 * twentieth. */
static void expect_lag(struct play *p, int a, int b)
{
    msec_t truth = node_true_age(p->nodes[b], p->nodes[a]), now = world_now(p->w);
    const struct repl *master = node_repl(p->nodes[a]);
    msec_t allowed = truth / 20 > 60 ? truth / 20 : 60;
    msec_t said[2] = { -1, repl_staleness(node_repl(p->nodes[b]), now) };
    struct repl_view v;
    repl_view(master, now, &v);
    for (int i = 0; i < v.replicas; i++) {
        struct repl_replica_view x;
        repl_replica_at(master, i, now, &x);
        if (x.port == b + 1)
            said[0] = x.lag_ms;
    }
    for (int i = 0; i < 2; i++) {
        if (said[i] >= truth - allowed && said[i] <= truth + allowed)
            continue;
        printf("at %lld ms: the data of %s are %lld ms old, %s says %lld\n", (long long)now, p->names[b],
               (long long)truth, i ? "it" : "its master", (long long)said[i]);
        wrong(p, "lag");
    }
}

/* from MS to MS every MS NAME write ...; with `lag OTHER` at the end the ages are compared each time. */
static void repeat(struct play *p, struct bytes *v, size_t n)
{
    msec_t from = (msec_t)number(p, v[1]), to = (msec_t)number(p, v[3]), every = (msec_t)number(p, v[5]);
    int a = find(p, v[6]), b = -1;
    if (n > 9 && bytes_is(v[n - 2], "lag")) {
        b = find(p, v[n - 1]);
        n -= 2;
    }
    for (msec_t t = from; t <= to; t += every) {
        world_run(p->w, t);
        if (b >= 0)
            expect_lag(p, a, b);
        happen(p, a, v + 7, n - 7);
    }
}

static void one_line(struct play *p, struct bytes line)
{
    struct bytes *v;
    size_t n;
    if (line.p[0] == '#')
        return;
    if (!text_split(line, &p->arena, &v, &n))
        wrong(p, "unbalanced quotes");
    if (n == 0)
        return;
    if (bytes_is(v[0], "node") && !p->booted) {
        add_node(p, v, n);
        return;
    }
    boot(p);
    if (bytes_is(v[0], "at") && n >= 4) {
        world_run(p->w, (msec_t)number(p, v[1]));
        happen(p, find(p, v[2]), v + 3, n - 3);
    } else if (bytes_is(v[0], "from") && n >= 9) {
        repeat(p, v, n);
    } else if (bytes_is(v[0], "run") && n == 2) {
        world_run(p->w, (msec_t)number(p, v[1]));
    } else if (bytes_is(v[0], "equal") && n >= 3) {
        expect_equal(p, v, n);
    } else {
        wrong(p, "unknown line");
    }
}

/* ---- files ---- */

static struct buf slurp(const char *path)
{
    struct buf b = BUF_INIT(16u << 20);
    char chunk[4096];
    size_t n;
    FILE *f = fopen(path, "r");
    if (!f) {
        perror(path);
        exit(2);
    }
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        (void)buf_append(&b, bytes_of(chunk, n));
    fclose(f);
    return b;
}

/* The first line that differs. */
static void show_difference(struct play *p, struct bytes want, struct bytes got)
{
    int line = p->line;
    while (want.n || got.n) {
        const char *a = memchr(want.p, '\n', want.n), *b = memchr(got.p, '\n', got.n);
        size_t x = a ? (size_t)(a - want.p) + 1 : want.n, y = b ? (size_t)(b - got.p) + 1 : got.n;
        line++;
        if (x != y || memcmp(want.p, got.p, x) != 0) {
            printf("%s:%d: expected\n  %.*sgot\n  %.*s", p->path, line, (int)x, want.p, (int)y, got.p);
            return;
        }
        want = bytes_of(want.p + x, want.n - x);
        got = bytes_of(got.p + y, got.n - y);
    }
}

static void write_back(struct play *p, struct bytes script)
{
    FILE *f = fopen(p->path, "w");
    if (!f) {
        perror(p->path);
        exit(2);
    }
    fwrite(script.p, 1, script.n, f);
    fwrite(p->trace.p, 1, p->trace.n, f);
    fclose(f);
}

bool run_scenario(const char *path, bool write)
{
    struct play *p = mem_zalloc(sizeof(*p));
    p->path = path;
    p->w = world_new(1);
    p->checks = checks_new(p->w);
    p->trace = BUF_INIT(16u << 20);
    world_on_trace(p->w, on_line, p);
    struct buf file = slurp(path);
    struct bytes rest = buf_bytes(&file);
    while (rest.n) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t n = end ? (size_t)(end - rest.p) + 1 : rest.n;
        struct bytes line = bytes_of(rest.p, n);
        rest = bytes_of(rest.p + n, rest.n - n);
        p->line++;
        if (bytes_eq(line, BYTES("---\n")))
            break;
        one_line(p, line);
    }
    bool same = bytes_eq(rest, buf_bytes(&p->trace));
    if (write)
        write_back(p, bytes_of(file.p, file.n - rest.n));
    else if (!same)
        show_difference(p, rest, buf_bytes(&p->trace));
    world_free(p->w);
    for (int i = 0; i < p->n; i++)
        node_free(p->nodes[i]);
    checks_free(p->checks);
    buf_done(&file);
    buf_done(&p->trace);
    arena_done(&p->arena);
    mem_free(p);
    return same || write;
}
