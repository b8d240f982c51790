/* Effects as replicas and the append-only file hear them. The cases were recorded from servers of 7.2. */
#include "server/propagate.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "common/alloc.h"
#include "node_harness.h"

static struct node_harness h;
static struct peer *p;

static void setup(void)
{
    node_start(&h, NULL);
    p = node_dial(&h);
}

static void teardown(void)
{
    peer_hang_up(p);
    node_stop(&h);
}

TestSuite(effects, .init = setup, .fini = teardown, .timeout = 60);
TestSuite(propagate, .timeout = 10);

/* "+100000" in the expected text stands for a time about 100000 ms from now. */
static bool same_stream(const char *got, const char *want)
{
    msec_t now = clock_wall_us() / 1000;
    while (*want) {
        if (*want != '+') {
            if (*got++ != *want++)
                return false;
            continue;
        }
        char *end;
        long long ahead = strtoll(want + 1, &end, 10);
        want = end;
        long long at = strtoll(got, &end, 10);
        got = end;
        if (at < now + ahead - 5000 || at > now + ahead)
            return false;
    }
    return *got == '\0';
}

struct effect {
    const char *lines; /* separated by '|' */
    const char *stream;
};

static void check(const struct effect *e)
{
    char lines[512];
    snprintf(lines, sizeof(lines), "%s", e->lines);
    for (char *save, *line = strtok_r(lines, "|", &save); line; line = strtok_r(NULL, "|", &save))
        ask(p, line);
    const char *got = node_stream(&h);
    cr_expect(same_stream(got, e->stream), "%s\n  gave %s\n  want %s", e->lines, got, e->stream);
}

static void check_all(const struct effect *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(&cases[i]);
}
#define CHECK_ALL(cases) check_all(cases, sizeof(cases) / sizeof((cases)[0]))

Test(effects, of_strings_and_expiry_are_what_a_replica_can_repeat_at_any_time)
{
    static const struct effect cases[] = {
        { "SET a 1", "SELECT 0; SET a 1" },
        { "SET a 1 NX", "" },
        { "SET a 2 GET", "SET a 2" },
        { "SET a v PX 100000", "SET a v PXAT +100000" },
        { "SET a v EX 100", "SET a v PXAT +100000" },
        { "SET a v EXAT 4102444800", "SET a v PXAT 4102444800000" },
        { "SET a w KEEPTTL", "SET a w KEEPTTL" },
        { "SETEX a 100 v", "SET a v PXAT +100000" },
        { "PSETEX a 100000 v", "SET a v PXAT +100000" },
        { "EXPIRE a 200", "PEXPIREAT a +200000" },
        { "EXPIRE a 10 GT", "" },
        { "EXPIREAT a 4102444800", "PEXPIREAT a 4102444800000" },
        { "EXPIRE a -1", "DEL a" },
        { "SET a 1 EX 90|PERSIST a", "SET a 1 PXAT +90000; PERSIST a" },
        { "PERSIST a", "" },
        { "GETEX a PX 50000", "PEXPIREAT a +50000" },
        { "GETEX a PERSIST", "PERSIST a" },
        { "GETEX a", "" },
        { "GETDEL a", "DEL a" },
        { "DEL nokey", "" },
        { "SET f 1|INCRBYFLOAT f 0.5", "SET f 1; SET f 1.5 KEEPTTL" },
        { "INCR n", "INCR n" },
        { "APPEND n x", "APPEND n x" },
        { "SETNX nx 1", "SETNX nx 1" },
        { "SETNX nx 1", "" },
        { "GETSET nx 2", "SET nx 2" },
        { "MSET m1 1 m2 2", "MSET m1 1 m2 2" },
        { "BITFIELD m1 GET u8 0", "" },
        { "BITFIELD m1 SET u8 0 65", "BITFIELD m1 SET u8 0 65" },
    };
    CHECK_ALL(cases);
}

Test(effects, of_generic_commands_go_as_they_came)
{
    static const struct effect cases[] = {
        { "SET mv 1|MOVE mv 1", "SELECT 0; SET mv 1; MOVE mv 1" },
        { "SELECT 2|SET k2 1|SELECT 0|set k0 1", "SELECT 2; SET k2 1; SELECT 0; set k0 1" },
        { "COPY k0 k1 REPLACE", "COPY k0 k1 REPLACE" },
        { "RENAME k1 k3", "RENAME k1 k3" },
        { "UNLINK k3 nokey", "UNLINK k3 nokey" },
        { "PUBLISH ch m", "PUBLISH ch m" },
        { "SWAPDB 2 3", "SWAPDB 2 3" },
        { "FLUSHDB ASYNC", "FLUSHDB ASYNC" },
        { "FLUSHALL", "FLUSHALL" },
        { "CONFIG SET maxmemory-samples 5", "" },
        { "GET a|DBSIZE|PING", "" },
    };
    CHECK_ALL(cases);
}

Test(effects, of_a_transaction_are_wrapped_when_there_are_two_or_more)
{
    static const struct effect cases[] = {
        { "MULTI|SET a 1|INCR a|GET a|EXEC", "SELECT 0; MULTI; SET a 1; INCR a; EXEC" },
        { "MULTI|SET a 1|GET a|EXEC", "SET a 1" },
        { "MULTI|GET a|EXEC", "" },
        { "MULTI|SET a str|INCR a|SET b 1|EXEC", "MULTI; SET a str; SET b 1; EXEC" },
        { "MULTI|PUBLISH ch 1|SET a 1|EXEC", "MULTI; PUBLISH ch 1; SET a 1; EXEC" },
        { "MULTI|SELECT 4|SET a 1|SET b 1|EXEC|SELECT 0|SET a 1",
          "SELECT 4; MULTI; SET a 1; SET b 1; EXEC; SELECT 0; SET a 1" },
        { "MULTI|SET a 1|DISCARD", "" },
        { "MULTI|SET a 1|NOSUCH|EXEC", "" },
    };
    CHECK_ALL(cases);
}

Test(effects, of_requests_in_frames_are_the_same_bytes)
{
    peer_send_raw(p, BYTES("*3\r\n$3\r\nsEt\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n"));
    cr_expect_str_eq(peer_hear(p), "OK");
    cr_expect_str_eq(peer_hear(p), ":2");
    cr_expect_str_eq(node_stream(&h), "SELECT 0; sEt a 1; INCR a");
}

static void pass_100_ms(void)
{
    struct timespec t = { .tv_nsec = 100 * 1000000L };
    nanosleep(&t, NULL);
}

Test(effects, of_a_key_found_expired_go_with_those_of_the_command_that_found_it)
{
    static const struct effect cases[] = {
        { "INCR y", "MULTI; DEL y; INCR y; EXEC" },
        { "GET z", "DEL z" },
        { "MGET u v w", "MULTI; DEL u; DEL v; EXEC" },
        { "PERSIST s", "DEL s" },
        { "RENAME r r2", "DEL r" },
        { "MULTI|SET t 2|GET x|EXEC", "MULTI; SET t 2; DEL x; EXEC" },
    };
    ask(p, "DEBUG SET-ACTIVE-EXPIRE 0");
    for (const char *key = "yzuvxsr"; *key; key++) {
        char line[32];
        snprintf(line, sizeof(line), "SET %c 1 PX 1", *key);
        ask(p, line);
    }
    pass_100_ms();
    node_stream(&h);
    CHECK_ALL(cases);
}

Test(effects, of_active_expiry_is_a_deletion)
{
    ask(p, "SET ex 1 PX 20");
    ask(p, "CONFIG SET lazyfree-lazy-expire yes");
    pass_100_ms();
    const char *got = node_stream(&h);
    cr_expect(same_stream(got, "SELECT 0; SET ex 1 PXAT +0; UNLINK ex"), "%s", got);
}

Test(effects, of_evictions_come_one_by_one_before_the_command)
{
    ask(p, "CONFIG SET maxmemory-policy allkeys-lru");
    ask(p, "SET victim 1");
    node_stream(&h);
    ask(p, "CONFIG SET maxmemory 1");
    cr_expect_str_eq(node_stream(&h), "DEL victim");
    cr_expect_str_eq(ask(p, "SET a 1"), "-OOM command not allowed when used memory > 'maxmemory'.");
    cr_expect_str_eq(node_stream(&h), "");
}

/* ---- the sinks ---- */

struct heard {
    int calls;
    size_t bytes;
};

static int64_t count(void *ctx, struct bytes resp)
{
    struct heard *heard = ctx;
    heard->calls++;
    heard->bytes += resp.n;
    return 0;
}

static const struct bytes set[] = { { "SET", 3 }, { "a", 1 }, { "1", 1 } };

Test(propagate, nothing_is_encoded_while_nobody_listens)
{
    struct propagate *q = propagate_new();
    cr_expect(!propagate_wanted(q));
    propagate_command(q, 0, 3, set);
    struct heard heard = { 0 };
    struct propagate_sink sink = { &heard, count };
    int slot = propagate_attach(q, &sink);
    cr_expect_eq(slot, 0);
    cr_expect(propagate_wanted(q));
    cr_expect_eq(heard.calls, 0, "what was before the sink is not its business");
    propagate_command(q, 0, 3, set);
    propagate_detach(q, slot);
    propagate_command(q, 0, 3, set);
    cr_expect_eq(heard.calls, 1);
    propagate_free(q);
}

Test(propagate, every_sink_hears_the_same_and_a_new_one_hears_a_select_first)
{
    struct propagate *q = propagate_new();
    struct heard heard[4] = { 0 }, fifth = { 0 };
    for (int i = 0; i < 4; i++) {
        struct propagate_sink sink = { &heard[i], count };
        cr_expect_eq(propagate_attach(q, &sink), i);
        propagate_command(q, 9, 3, set);
    }
    struct propagate_sink sink = { &fifth, count };
    cr_expect_eq(propagate_attach(q, &sink), -ENOSPC);
    size_t one = strlen("*2\r\n$6\r\nSELECT\r\n$1\r\n9\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n");
    for (int i = 0; i < 4; i++)
        cr_expect_eq(heard[i].bytes, one * (size_t)(4 - i));
    propagate_free(q);
}

Test(propagate, nested_blocks_become_one)
{
    struct propagate *q = propagate_new();
    struct heard heard = { 0 };
    struct propagate_sink sink = { &heard, count };
    propagate_attach(q, &sink);
    propagate_multi_begin(q);
    propagate_command(q, 0, 3, set);
    propagate_multi_begin(q);
    propagate_command(q, 0, 3, set);
    propagate_multi_end(q);
    cr_expect_eq(heard.calls, 0);
    propagate_multi_end(q);
    cr_expect_eq(heard.calls, 1);
    size_t want = strlen("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n") +
                  2 * strlen("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n");
    cr_expect_eq(heard.bytes, want);
    propagate_free(q);
}
