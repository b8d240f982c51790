/* Client-side caching: who is told that a key changed. */
#include "server/tracking.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node_harness.h"

static struct node_harness h;
static struct peer *p, *t; /* p changes, t tracks */

static void setup(void)
{
    node_start(&h, NULL);
    p = node_dial(&h);
    t = node_dial(&h);
    ask(t, "HELLO 3");
}

static void teardown(void)
{
    peer_hang_up(p);
    peer_hang_up(t);
    node_stop(&h);
}

TestSuite(tracking, .init = setup, .fini = teardown, .timeout = 60);

struct figures {
    uint64_t clients, keys, items, prefixes;
};

static void look(struct call *c, void *ctx)
{
    struct tracking *all = node_tracking(c->node);
    *(struct figures *)ctx = (struct figures){ tracking_clients(all), tracking_keys(all), tracking_items(all),
                                               tracking_prefixes(all) };
}

static struct figures figures(void)
{
    struct figures f;
    node_probe(&h, look, &f);
    return f;
}

static void expect_nothing_left(void)
{
    struct figures f = figures();
    cr_expect_eq(f.clients + f.keys + f.items + f.prefixes, 0);
}

Test(tracking, a_key_that_was_read_is_reported_once)
{
    ask(t, "CLIENT TRACKING on");
    ask(t, "MGET a b");
    cr_expect_eq(figures().keys, 2);
    ask(p, "SET a 1");
    cr_expect_str_eq(peer_hear(t), ">['invalidate' ['a']]");
    ask(p, "SET a 2");
    ask(p, "SET unread 2");
    cr_expect_str_eq(peer_hear_soon(t), SILENCE);
    cr_expect_eq(figures().keys, 1);
    ask(p, "FLUSHALL");
    cr_expect_str_eq(peer_hear(t), ">['invalidate' nil]");
    cr_expect_str_eq(peer_hear_soon(t), SILENCE); /* once, not for each database */
    ask(t, "CLIENT TRACKING off");
    expect_nothing_left();
}

Test(tracking, what_expires_is_reported_too)
{
    ask(p, "SET a 1 PX 30");
    ask(t, "CLIENT TRACKING on");
    ask(t, "GET a");
    cr_expect_str_eq(peer_hear(t), ">['invalidate' ['a']]");
}

Test(tracking, ones_own_change_comes_behind_the_reply_or_not_at_all)
{
    ask(t, "CLIENT TRACKING on");
    ask(t, "GET a");
    cr_expect_str_eq(ask(t, "SET a 1"), "OK");
    cr_expect_str_eq(peer_hear(t), ">['invalidate' ['a']]");
    ask(t, "CLIENT TRACKING off");
    ask(t, "CLIENT TRACKING on NOLOOP");
    ask(t, "GET a");
    cr_expect_str_eq(ask(t, "SET a 1"), "OK");
    cr_expect_str_eq(ask(t, "PING"), "PONG");
}

Test(tracking, opting_in_is_good_for_the_next_command)
{
    static const struct {
        const char *lines[4];
        bool told;
    } cases[] = {
        { { "GET a" }, false },
        { { "CLIENT CACHING yes", "GET a" }, true },
        { { "CLIENT CACHING yes", "PING", "GET a" }, false },
        { { "CLIENT CACHING yes", "GET b", "GET a" }, false },
    };
    for (size_t i = 0; i < 4; i++) {
        ask(t, "CLIENT TRACKING on OPTIN");
        for (int k = 0; k < 4 && cases[i].lines[k]; k++)
            ask(t, cases[i].lines[k]);
        ask(p, "SET a 1");
        cr_expect_str_eq(peer_hear_soon(t), cases[i].told ? ">['invalidate' ['a']]" : SILENCE, "case %zu", i);
        ask(t, "CLIENT TRACKING off");
    }
}

Test(tracking, broadcasts_are_by_prefix_and_gathered_by_turn)
{
    ask(t, "CLIENT TRACKING on BCAST PREFIX x: PREFIX y:");
    cr_expect_eq(figures().prefixes, 2);
    ask(p, "SET z:1 v");
    ask(p, "MULTI");
    ask(p, "SET x:1 v");
    ask(p, "SET x:1 w");
    ask(p, "SET x:2 v");
    ask(p, "EXEC");
    const char *m = peer_hear(t);
    cr_expect(strcmp(m, ">['invalidate' ['x:2' 'x:1']]") == 0 || strcmp(m, ">['invalidate' ['x:1' 'x:2']]") == 0,
              "%s", m);
    cr_expect_str_eq(peer_hear_soon(t), SILENCE);
    ask(t, "CLIENT TRACKING off");
    expect_nothing_left();
}

Test(tracking, nothing_comes_behind_the_last_reply)
{
    ask(t, "CLIENT TRACKING on BCAST");
    peer_send_raw(t, BYTES("SET a 1\r\nQUIT\r\n"));
    cr_expect_str_eq(peer_hear(t), "OK");
    cr_expect_str_eq(peer_hear(t), "OK");
    cr_expect_str_eq(peer_hear(t), GONE);
}

Test(tracking, messages_are_redirected_and_a_lost_target_is_told)
{
    struct peer *target = node_dial(&h);
    char line[96];
    ask(target, "SUBSCRIBE __redis__:invalidate");
    peer_hang_up(target);
    target = node_dial(&h);
    (void)snprintf(line, sizeof(line), "CLIENT TRACKING on REDIRECT %s", ask(target, "CLIENT ID") + 1);
    ask(target, "SUBSCRIBE __redis__:invalidate");
    cr_expect_str_eq(ask(t, line), "OK");
    ask(t, "GET a");
    ask(p, "SET a 1");
    cr_expect_str_eq(peer_hear(target), "['message' '__redis__:invalidate' ['a']]");
    peer_hang_up(target);
    for (int i = 0;
         i < 1000 && strcmp(ask(p, "PUBSUB NUMSUB __redis__:invalidate"), "['__redis__:invalidate' :1]") == 0; i++)
        continue;
    ask(t, "GET a");
    ask(p, "SET a 2");
    cr_expect_eq(strncmp(peer_hear(t), ">['tracking-redir-broken' :", 27), 0);
}

Test(tracking, the_table_is_trimmed_to_its_limit_and_those_dropped_are_told)
{
    ask(p, "CONFIG SET tracking-table-max-keys 2");
    ask(t, "CLIENT TRACKING on");
    for (int i = 0; i < 10; i++) {
        char line[16];
        (void)snprintf(line, sizeof(line), "GET k%d", i);
        peer_send(t, line);
    }
    int told = 0;
    for (int i = 0; i < 18; i++)
        told += strncmp(peer_hear(t), ">['invalidate' ['k", 18) == 0;
    cr_expect_eq(told, 8);
    cr_expect_eq(figures().keys, 2);
}

Test(tracking, a_smaller_limit_drops_keys_at_once_and_is_answered_to_who_set_it)
{
    ask(t, "CLIENT TRACKING on");
    ask(t, "MGET a b c");
    cr_expect_str_eq(ask(p, "CONFIG SET tracking-table-max-keys 1"), "OK");
    for (int i = 0; i < 2; i++)
        cr_expect_eq(strncmp(peer_hear(t), ">['invalidate' ['", 17), 0);
    cr_expect_eq(figures().keys, 1);
}

Test(tracking, prefixes_of_a_client_may_not_overlap)
{
#define OVERLAP(a, what, b)                                                                            \
    "-ERR Prefix '" a "' overlaps with " what " prefix '" b "'. Prefixes for a single client must not " \
    "overlap."
    static const struct asked cases[] = {
        { "CLIENT TRACKING on BCAST PREFIX a PREFIX ab", OVERLAP("a", "another provided", "ab") },
        { "CLIENT TRACKING on BCAST PREFIX ab PREFIX a", OVERLAP("ab", "another provided", "a") },
        { "CLIENT TRACKING on BCAST PREFIX a PREFIX b PREFIX a", OVERLAP("a", "another provided", "a") },
        { "CLIENT TRACKING on BCAST PREFIX b PREFIX ax PREFIX c PREFIX axe", OVERLAP("ax", "another provided", "axe") },
        { "CLIENT TRACKING on BCAST PREFIX foo PREFIX bar", "OK" },
        { "CLIENT TRACKING on BCAST PREFIX foo", OVERLAP("foo", "an existing", "foo") },
        { "CLIENT TRACKING on BCAST PREFIX zoo PREFIX bar", OVERLAP("bar", "an existing", "bar") },
        { "CLIENT TRACKING on BCAST PREFIX ba PREFIX b", OVERLAP("ba", "an existing", "bar") },
        { "CLIENT TRACKING on BCAST PREFIX zoo", "OK" },
        { "CLIENT TRACKING on BCAST PREFIX fo", OVERLAP("fo", "an existing", "foo") },
        { "CLIENT TRACKING on BCAST PREFIX foot", OVERLAP("foot", "an existing", "foo") },
        { "CLIENT TRACKING on BCAST", "OK" },
        { "CLIENT TRACKING on BCAST PREFIX x", OVERLAP("x", "an existing", "") },
        { "CLIENT TRACKING on BCAST PREFIX foo", OVERLAP("foo", "an existing", "") },
        { "CLIENT TRACKING on BCAST", "OK" },
    };
    ASK_ALL(t, cases);
}

/* Neither giving very many prefixes nor writing afterwards may take long: 20000 of them, compared in pairs, would be
 * 200 million comparisons. */
Test(tracking, very_many_prefixes_cost_little)
{
    enum { N = 20000 };
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&b, "*%d\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\non\r\n$5\r\nBCAST\r\n", 4 + 2 * N);
    for (int i = 0; i < N; i++)
        buf_printf(&b, "$6\r\nPREFIX\r\n$7\r\np%05d:\r\n", i);
    usec_t begin = clock_monotonic_us();
    peer_send_raw(t, buf_bytes(&b));
    cr_expect_str_eq(peer_hear(t), "OK");
    cr_expect_lt(clock_monotonic_us() - begin, 500000);
    buf_done(&b);
    cr_expect_eq(figures().prefixes, N);
    ask(p, "SET p00777:x 1");
    cr_expect_str_eq(peer_hear(t), ">['invalidate' ['p00777:x']]");
    ask(p, "SET q 1");
    ask(p, "SET p19999: 1");
    cr_expect_str_eq(peer_hear(t), ">['invalidate' ['p19999:']]");
}

Test(tracking, a_table_far_above_its_limit_is_trimmed_with_growing_effort)
{
    enum { KEYS = 20000, TURNS = 60 };
    ask(p, "CONFIG SET tracking-table-max-keys 10");
    ask(t, "CLIENT TRACKING on");
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&b, "*%d\r\n$4\r\nMGET\r\n", 1 + KEYS);
    for (int i = 0; i < KEYS; i++)
        buf_printf(&b, "$6\r\nk%05d\r\n", i);
    peer_send_raw(t, buf_bytes(&b));
    buf_done(&b);
    peer_hear(t);
    int turns = 0;
    while (turns < TURNS && figures().keys > 10)
        turns++;
    cr_expect_lt(turns, TURNS);
}

Test(tracking, a_client_that_leaves_takes_its_keys_with_it)
{
    ask(t, "CLIENT TRACKING on");
    ask(t, "MGET a b c");
    peer_hang_up(t);
    t = NULL;
    for (int i = 0; i < 1000 && figures().clients; i++)
        ask(p, "PING");
    expect_nothing_left();
    cr_expect_str_eq(ask(p, "SET a 1"), "OK");
}

Test(tracking, a_client_killed_in_the_turn_of_the_change_disturbs_nobody)
{
    struct peer *second = node_dial(&h);
    ask(second, "HELLO 3");
    ask(second, "CLIENT TRACKING on");
    char lines[128], id[32];
    (void)snprintf(id, sizeof(id), "%s", ask(t, "CLIENT ID") + 1);
    ask(t, "CLIENT TRACKING on");
    ask(t, "GET a");
    ask(second, "GET a");
    int n = snprintf(lines, sizeof(lines), "CLIENT KILL ID %s\r\nSET a 1\r\nFLUSHALL\r\n", id);
    peer_send_raw(p, bytes_of(lines, (size_t)n));
    for (int i = 0; i < 3; i++)
        peer_hear(p);
    cr_expect_str_eq(peer_hear(second), ">['invalidate' ['a']]");
    cr_expect_str_eq(peer_hear(second), ">['invalidate' nil]");
    cr_expect_str_eq(peer_hear(t), GONE);
    peer_hang_up(second);
}
