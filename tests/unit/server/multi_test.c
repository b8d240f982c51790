/* Transactions and WATCH: what is queued and dropped, and what dooms an EXEC. */
#include "server/multi.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "node_harness.h"

static struct node_harness h;
static struct peer *p, *other;

static void setup(void)
{
    node_start(&h, NULL);
    p = node_dial(&h);
    other = node_dial(&h);
}

static void teardown(void)
{
    peer_hang_up(p);
    peer_hang_up(other);
    node_stop(&h);
}

TestSuite(multi, .init = setup, .fini = teardown, .timeout = 60);

/* ---- WATCH ---- */

struct watch_case {
    const char *before; /* by the other client; lines separated by '|' */
    const char *watch;
    const char *between; /* by the other client */
    bool doomed;
};

static void run_lines(struct peer *peer, const char *text)
{
    char lines[512];
    (void)snprintf(lines, sizeof(lines), "%s", text);
    for (char *save, *line = strtok_r(lines, "|", &save); line; line = strtok_r(NULL, "|", &save)) {
        if (strcmp(line, "sleep") == 0) {
            struct timespec t = { .tv_nsec = 30 * 1000000L };
            nanosleep(&t, NULL);
            continue;
        }
        ask(peer, line);
    }
}

Test(multi, a_watched_key_that_was_touched_dooms_the_transaction)
{
    static const struct watch_case cases[] = {
        { "SET a 1", "WATCH a", "", false },
        { "SET a 1", "WATCH a", "GET a", false },
        { "SET a 1", "WATCH a", "SET b 1", false },
        { "SET a 1", "WATCH a", "SET a 1", true },
        { "SET a 1", "WATCH a", "DEL a", true },
        { "SET a 1", "WATCH a", "EXPIRE a 100", true },
        { "SET a 1", "WATCH a", "PERSIST a", false },
        { "SET a 1", "WATCH a", "SET a 2 NX", false },
        { "SET a 1", "WATCH a", "RENAME a b", true },
        { "SET b 1", "WATCH a", "RENAME b a", true },
        { "SET a 1", "WATCH a b c d", "SET d 1", true },
        { "SET a 1", "WATCH a", "SELECT 1|SET a 2|SELECT 0", false },
        { "SET a 1", "WATCH a", "FLUSHALL", true },
        { "SET a 1", "WATCH a", "SELECT 1|FLUSHDB|SELECT 0", false },
        { "FLUSHALL", "WATCH a", "FLUSHALL", false },
        { "SET a 1", "WATCH a", "SWAPDB 0 1", true },
        { "SELECT 1|SET a 1|SELECT 0", "WATCH a", "SWAPDB 0 1", true },
        { "FLUSHALL", "WATCH a", "SWAPDB 0 1", false },
        { "DEBUG SET-ACTIVE-EXPIRE 0|SET a 1 PX 10", "WATCH a", "sleep", true },
        { "DEBUG SET-ACTIVE-EXPIRE 0|SET a 1 PX 10|sleep", "WATCH a", "GET a", false },
        { "DEBUG SET-ACTIVE-EXPIRE 0|SET a 1 PX 10|sleep", "WATCH a", "SET a 2", true },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        run_lines(other, "FLUSHALL|SELECT 0");
        run_lines(other, cases[i].before);
        ask(p, cases[i].watch);
        run_lines(other, cases[i].between);
        ask(p, "MULTI");
        ask(p, "PING");
        const char *reply = ask(p, "EXEC");
        cr_expect_str_eq(reply, cases[i].doomed ? "nil" : "[PONG]", "%s, %s, %s: %s", cases[i].before, cases[i].watch,
                         cases[i].between, reply);
    }
}

Test(multi, unwatch_discard_and_exec_forget_what_was_watched)
{
    static const char *const ends[] = { "UNWATCH", "MULTI|DISCARD", "MULTI|EXEC", "RESET" };
    for (size_t i = 0; i < 4; i++) {
        ask(p, "WATCH a");
        run_lines(p, ends[i]);
        ask(other, "SET a 1");
        run_lines(p, "MULTI|PING");
        cr_expect_str_eq(ask(p, "EXEC"), "[PONG]", "%s", ends[i]);
    }
}

Test(multi, a_client_dooms_itself_only_before_multi)
{
    run_lines(p, "WATCH a|SET a 1|MULTI|PING");
    cr_expect_str_eq(ask(p, "EXEC"), "nil");
    run_lines(p, "WATCH a|MULTI|SET a 2|SET a 3");
    cr_expect_str_eq(ask(p, "EXEC"), "[OK OK]");
}

struct watched {
    uint64_t clients, keys;
};

static void count(struct call *c, void *ctx)
{
    struct watch_table *t = node_watches(c->node);
    *(struct watched *)ctx = (struct watched){ watch_clients(t), watch_keys(t) };
}

static struct watched watched(void)
{
    struct watched w;
    node_probe(&h, count, &w);
    return w;
}

Test(multi, the_table_of_watched_keys_is_empty_when_the_clients_are_gone)
{
    ask(p, "WATCH a b b c");
    ask(other, "WATCH a");
    cr_expect_eq(watched().clients, 2);
    cr_expect_eq(watched().keys, 3);
    ask(other, "UNWATCH");
    cr_expect_eq(watched().clients, 1);
    cr_expect_eq(watched().keys, 3);
    peer_hang_up(p);
    p = NULL;
    for (int i = 0; i < 1000 && watched().clients; i++)
        ask(other, "PING");
    cr_expect_eq(watched().clients + watched().keys, 0);
}

/* Watching N keys and touching them must not cost N squared: 50000 of them take far less than a second each way. */
Test(multi, watching_very_many_keys_is_not_quadratic)
{
    struct buf line = BUF_INIT(BUF_UNLIMITED);
    for (int part = 0; part < 25; part++) {
        buf_clear(&line);
        buf_append_str(&line, "WATCH");
        for (int i = 0; i < 2000; i++)
            buf_printf(&line, " k%d", part * 2000 + i);
        cr_assert_str_eq(ask(p, buf_cstr(&line)), "OK");
    }
    cr_expect_eq(watched().keys, 50000);
    usec_t begin = clock_monotonic_us();
    cr_assert_str_eq(ask(p, "UNWATCH"), "OK");
    cr_expect_lt(clock_monotonic_us() - begin, 1000000);
    buf_done(&line);
}

/* ---- the queue ---- */

Test(multi, time_stands_still_in_a_transaction)
{
    run_lines(p, "SET a 1 PX 100000|MULTI|PEXPIRETIME a|PTTL a|DEBUG SLEEP 0.05|PTTL a");
    char reply[256], first[32], second[32];
    (void)snprintf(reply, sizeof(reply), "%s", ask(p, "EXEC"));
    cr_assert_eq(sscanf(reply, "[%*s %31s OK %31[^]]", first, second), 2, "%s", reply);
    cr_expect_str_eq(first, second);
}

Test(multi, a_doomed_transaction_keeps_nothing_more)
{
    ask(p, "WATCH a");
    ask(p, "MULTI");
    ask(other, "SET a 1");
    char line[1024];
    memset(line, 'v', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    memcpy(line, "SET k ", 6);
    for (int i = 0; i < 100; i++)
        ask(p, line);
    const char *info = ask(p, "CLIENT LIST"); /* queued, as all */
    cr_expect_str_eq(info, "QUEUED");
    info = ask(other, "CLIENT LIST");
    cr_expect_not_null(strstr(info, " multi=0 "), "%s", info);
    cr_expect_str_eq(ask(p, "EXEC"), "nil");
}

Test(multi, a_large_value_is_queued_without_a_copy_and_arrives_whole)
{
    enum { N = 3 * 1024 * 1024 };
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&b, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", N);
    for (int i = 0; i < N; i++)
        buf_append_char(&b, (char)('a' + i % 26));
    buf_append_str(&b, "\r\n");
    ask(p, "MULTI");
    peer_send_raw(p, buf_bytes(&b));
    cr_expect_str_eq(peer_hear(p), "QUEUED");
    ask(p, "STRLEN k");
    ask(p, "GETRANGE k 26 30");
    cr_expect_str_eq(ask(p, "EXEC"), "[OK :3145728 'abcde']");
    buf_done(&b);
}

Test(multi, a_client_that_leaves_in_the_middle_leaves_nothing)
{
    run_lines(p, "WATCH a|MULTI|SET a 1");
    peer_hang_up(p);
    p = node_dial(&h);
    cr_expect_str_eq(ask(p, "GET a"), "nil");
    cr_expect_str_eq(ask(p, "EXEC"), "-ERR EXEC without MULTI");
}

Test(multi, commands_that_end_a_connection_work_inside)
{
    run_lines(p, "MULTI|SET a 1");
    cr_expect_str_eq(ask(p, "QUIT"), "OK");
    cr_expect_str_eq(peer_hear(p), GONE);
    cr_expect_str_eq(ask(other, "GET a"), "nil");
}

Test(multi, a_client_killed_by_its_own_transaction_gets_the_reply_and_is_gone)
{
    char kill[64];
    (void)snprintf(kill, sizeof(kill), "CLIENT KILL ID %s SKIPME no", ask(p, "CLIENT ID") + 1);
    ask(p, "MULTI");
    ask(p, kill);
    ask(p, "SET after 1");
    cr_expect_str_eq(ask(p, "EXEC"), "[:1 OK]");
    cr_expect_str_eq(peer_hear(p), GONE);
}
