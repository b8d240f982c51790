/* From bytes to requests in order: pipelines longer than the queue, cut frames, clients that have to wait. */
#include "server/client_input.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node_harness.h"

static struct node_harness h;
static struct peer *p, *other;
static struct buf b;

static void start(const char *const *words)
{
    node_start(&h, words);
    p = node_dial(&h);
    other = node_dial(&h);
    b = BUF_INIT(BUF_UNLIMITED);
}

static void setup(void)
{
    start(NULL);
}

static void teardown(void)
{
    buf_done(&b);
    peer_hang_up(p);
    peer_hang_up(other);
    node_stop(&h);
}

TestSuite(client_input, .init = setup, .fini = teardown, .timeout = 60);
TestSuite(client_input_locked, .fini = teardown, .timeout = 60);

static void send_b(struct peer *to)
{
    peer_send_raw(to, buf_bytes(&b));
    buf_clear(&b);
}

Test(client_input, a_pipeline_longer_than_the_queue_is_answered_in_order)
{
    enum { N = 5000 };
    for (int i = 0; i < N; i++)
        buf_printf(&b, "ECHO %d\r\n", i);
    send_b(p);
    for (int i = 0; i < N; i++) {
        char want[16];
        (void)snprintf(want, sizeof(want), "'%d'", i);
        cr_assert_str_eq(peer_hear(p), want);
    }
}

Test(client_input, a_frame_cut_anywhere_is_put_together)
{
    static const char frame[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    size_t n = sizeof(frame) - 1;
    for (size_t cut = 1; cut < n; cut++) {
        peer_send_raw(p, bytes_of(frame, cut));
        ask(other, "PING"); /* a turn goes by */
        peer_send_raw(p, bytes_of(frame + cut, n - cut));
        cr_assert_str_eq(peer_hear(p), "OK", "cut at %zu", cut);
        cr_assert_str_eq(peer_hear(p), "'value'", "cut at %zu", cut);
    }
}

Test(client_input, what_follows_a_block_in_a_long_pipeline_waits_and_stays_in_order)
{
    enum { N = 3000, AT = 1500 };
    for (int i = 0; i < N; i++) {
        if (i == AT)
            buf_append_str(&b, "BLPOP k 0\r\n");
        else
            buf_printf(&b, "ECHO %d\r\n", i);
    }
    buf_append_str(&b, "*3\r\n$3\r\nSET\r\n$1\r\ns\r\n$6\r\nha"); /* and a cut frame */
    send_b(p);
    for (int i = 0; i < AT; i++)
        peer_hear(p);
    cr_expect_str_eq(peer_hear_soon(p), SILENCE);
    peer_send_raw(p, BYTES("lves\r\nGET s\r\n"));
    cr_expect_str_eq(ask(other, "RPUSH k v"), ":1");
    cr_expect_str_eq(peer_hear(p), "['k' 'v']");
    for (int i = AT + 1; i < N; i++) {
        char want[16];
        (void)snprintf(want, sizeof(want), "'%d'", i);
        cr_assert_str_eq(peer_hear(p), want);
    }
    cr_expect_str_eq(peer_hear(p), "OK");
    cr_expect_str_eq(peer_hear(p), "'halves'");
}

Test(client_input, a_large_value_that_arrives_while_its_client_waits_is_set_afterwards)
{
    enum { N = 300000 };
    buf_printf(&b, "BLPOP k 0\r\n*3\r\n$3\r\nSET\r\n$1\r\ns\r\n$%d\r\n", N);
    for (int i = 0; i < N / 2; i++)
        buf_append_char(&b, 'x');
    send_b(p);
    ask(other, "PING");
    for (int i = N / 2; i < N; i++)
        buf_append_char(&b, 'x');
    buf_append_str(&b, "\r\nSTRLEN s\r\n");
    send_b(p);
    cr_expect_str_eq(peer_hear_soon(p), SILENCE);
    ask(other, "RPUSH k v");
    cr_expect_str_eq(peer_hear(p), "['k' 'v']");
    cr_expect_str_eq(peer_hear(p), "OK");
    cr_expect_str_eq(peer_hear(p), ":300000");
}

Test(client_input, whoever_leaves_in_the_middle_of_a_large_value_leaves_nothing)
{
    for (int round = 0; round < 20; round++) {
        struct peer *third = node_dial(&h);
        buf_append_str(&b, "*3\r\n$3\r\nSET\r\n$1\r\ns\r\n$1000000\r\n");
        for (int i = 0; i < 50000; i++)
            buf_append_char(&b, 'x');
        send_b(third);
        peer_hang_up(third);
    }
    cr_expect_str_eq(ask(p, "EXISTS s"), ":0");
}

Test(client_input, nothing_runs_after_quit_or_a_malformed_request)
{
    peer_send_raw(p, BYTES("SET a 1\r\nQUIT\r\nSET a 2\r\n"));
    cr_expect_str_eq(peer_hear(p), "OK");
    cr_expect_str_eq(peer_hear(p), "OK");
    cr_expect_str_eq(peer_hear(p), GONE);
    cr_expect_str_eq(ask(other, "GET a"), "'1'");
    struct peer *third = node_dial(&h);
    peer_send_raw(third, BYTES("SET a 3\r\n*1\r\n!\r\nSET a 4\r\n"));
    cr_expect_str_eq(peer_hear(third), "OK");
    cr_expect_str_eq(peer_hear(third), "-ERR Protocol error: expected '$', got '!'");
    cr_expect_str_eq(peer_hear(third), GONE);
    cr_expect_str_eq(ask(other, "GET a"), "'3'");
    peer_hang_up(third);
}

Test(client_input, a_query_buffer_over_its_limit_closes_the_client)
{
    ask(other, "CONFIG SET client-query-buffer-limit 1mb");
    ask(other, "CLIENT PAUSE 100000 WRITE");
    struct buf one = BUF_INIT(BUF_UNLIMITED);
    buf_append_str(&one, "SET k ");
    for (int i = 0; i < 60000; i++)
        buf_append_char(&one, 'x');
    for (int i = 0; i < 40; i++)
        peer_send(p, buf_cstr(&one));
    buf_done(&one);
    cr_expect_str_eq(peer_hear(p), GONE);
}

/* ---- CLIENT PAUSE ---- */

Test(client_input, a_pause_holds_writes_and_lets_reads_pass)
{
    ask(other, "CLIENT PAUSE 100000 WRITE");
    cr_expect_str_eq(ask(p, "GET a"), "nil");
    peer_send_raw(p, BYTES("SET a 1\r\nGET a\r\nSET a 2\r\nGET a\r\n"));
    cr_expect_str_eq(peer_hear_soon(p), SILENCE);
    cr_expect_str_eq(ask(other, "GET a"), "nil");
    cr_expect_str_eq(ask(other, "CLIENT UNPAUSE"), "OK");
    static const char *const replies[] = { "OK", "'1'", "OK", "'2'" };
    for (int i = 0; i < 4; i++)
        cr_expect_str_eq(peer_hear(p), replies[i]);
}

Test(client_input, a_pause_ends_by_itself_and_for_all_who_wait)
{
    ask(other, "CLIENT PAUSE 60 ALL");
    peer_send(p, "PING");
    peer_send(other, "ECHO x");
    cr_expect_str_eq(peer_hear(p), "PONG");
    cr_expect_str_eq(peer_hear(other), "'x'");
}

Test(client_input, who_leaves_or_is_killed_during_a_pause_is_not_met_again)
{
    struct peer *third = node_dial(&h);
    ask(other, "CLIENT PAUSE 200 WRITE");
    peer_send(p, "SET a p");
    peer_send(third, "SET b third");
    ask(other, "PING");
    peer_hang_up(p);
    p = node_dial(&h);
    char kill[64];
    cr_expect_str_eq(ask(other, "CLIENT UNPAUSE"), "OK");
    cr_expect_str_eq(peer_hear(third), "OK");
    (void)snprintf(kill, sizeof(kill), "CLIENT KILL ID %s", ask(third, "CLIENT ID") + 1);
    ask(other, "CLIENT PAUSE 200 WRITE");
    peer_send(third, "SET c third");
    ask(other, "PING");
    cr_expect_str_eq(ask(other, kill), ":1");
    cr_expect_str_eq(ask(other, "CLIENT UNPAUSE"), "OK");
    cr_expect_str_eq(peer_hear(third), GONE);
    cr_expect_str_eq(ask(other, "GET c"), "nil");
    peer_hang_up(third);
}

/* ---- before AUTH ---- */

Test(client_input_locked, requests_around_auth_in_one_pipeline_are_judged_one_by_one)
{
    static const char *const words[] = { "--requirepass", "secret", NULL };
    start(words);
    buf_append_str(&b, "GET a\r\nAUTH secret\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$20000\r\n");
    for (int i = 0; i < 20000; i++)
        buf_append_char(&b, 'x');
    buf_append_str(&b, "\r\nSTRLEN a\r\n");
    send_b(p);
    static const char *const replies[] = { "-NOAUTH Authentication required.", "OK", "OK", ":20000" };
    for (int i = 0; i < 4; i++)
        cr_expect_str_eq(peer_hear(p), replies[i]);
}

Test(client_input_locked, a_stranger_may_not_send_much)
{
    static const char *const words[] = { "--requirepass", "secret", NULL };
    static const struct {
        const char *bytes, *error;
    } cases[] = {
        { "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$20000\r\n", "-ERR Protocol error: unauthenticated bulk length" },
        { "*11\r\n", "-ERR Protocol error: unauthenticated multibulk length" },
    };
    start(words);
    for (size_t i = 0; i < 2; i++) {
        struct peer *stranger = node_dial(&h);
        peer_send_raw(stranger, bytes_of_str(cases[i].bytes));
        cr_expect_str_eq(peer_hear(stranger), cases[i].error);
        cr_expect_str_eq(peer_hear(stranger), GONE);
        peer_hang_up(stranger);
    }
}
