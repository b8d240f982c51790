/* Clients that wait for keys: who is served, when, and what is left of them. */
#include "server/blocked.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "node_harness.h"

static struct node_harness h;
static struct peer *a, *b, *c; /* a and b wait, c gives */

/* WAITGONE key seconds, in the place of LCS: waits until the key is gone (as XREADGROUP does among other things). */
static void cmd_wait_gone(struct call *call)
{
    msec_t deadline;
    if (!arg_timeout(call, 2, &deadline))
        return;
    if (!ks_read(call->db, call->argv[1]))
        reply_ok(call);
    else
        block_on_keys(call, &call->argv[1], 1, TYPE_STREAM, deadline, BLOCK_WAKE_WHEN_GONE);
}

static const struct command wait_gone_row = { "lcs", cmd_wait_gone, 3, CMD_READ | CMD_BLOCKING, KEY_1, NULL };
#define WAITGONE "LCS"

static void setup(void)
{
    node_start(&h, NULL);
    node_replace_command("lcs", &wait_gone_row);
    a = node_dial(&h);
    b = node_dial(&h);
    c = node_dial(&h);
}

static void teardown(void)
{
    peer_hang_up(a);
    peer_hang_up(b);
    peer_hang_up(c);
    node_stop(&h);
}

TestSuite(blocked, .init = setup, .fini = teardown, .timeout = 60);

/* ---- looking inside ---- */

struct figures {
    uint64_t clients, with_deadline, keys, on_nokey;
};

static void look(struct call *call, void *ctx)
{
    struct blocked *all = node_blocked(call->node);
    *(struct figures *)ctx = (struct figures){ blocked_clients(all), blocked_with_deadline(all), blocked_keys(all),
                                               blocked_keys_on_nokey(all) };
}

static struct figures figures(void)
{
    struct figures f;
    node_probe(&h, look, &f);
    return f;
}

/* Sends a command that blocks and returns when it does. */
static void block(struct peer *p, const char *line)
{
    uint64_t before = figures().clients;
    peer_send(p, line);
    for (int i = 0; i < 2000 && figures().clients == before; i++) {
        struct timespec t = { .tv_nsec = 1000000 };
        nanosleep(&t, NULL);
    }
    cr_assert_eq(figures().clients, before + 1, "%s did not block", line);
}

static void expect_nobody(void)
{
    struct figures f = figures();
    cr_expect_eq(f.clients + f.with_deadline + f.keys + f.on_nokey, 0,
                 "%d clients, %d deadlines, %d keys, %d on no key", (int)f.clients, (int)f.with_deadline, (int)f.keys,
                 (int)f.on_nokey);
}

/* ---- who is served ---- */

Test(blocked, a_client_gets_what_comes_and_then_the_replies_to_what_it_sent_meanwhile)
{
    block(a, "BLPOP k 0");
    peer_send(a, "PING");
    peer_send(a, "ECHO x");
    cr_expect_str_eq(peer_hear_soon(a), SILENCE);
    cr_expect_str_eq(ask(c, "RPUSH k v"), ":1");
    cr_expect_str_eq(peer_hear(a), "['k' 'v']");
    cr_expect_str_eq(peer_hear(a), "PONG");
    cr_expect_str_eq(peer_hear(a), "'x'");
    expect_nobody();
}

Test(blocked, who_came_first_is_served_first)
{
    block(a, "BLPOP k 0");
    block(b, "BLPOP k 0");
    ask(c, "RPUSH k 1");
    cr_expect_str_eq(peer_hear(a), "['k' '1']");
    cr_expect_str_eq(peer_hear_soon(b), SILENCE);
    block(a, "BLPOP k 0");
    ask(c, "RPUSH k 2 3");
    cr_expect_str_eq(peer_hear(b), "['k' '2']");
    cr_expect_str_eq(peer_hear(a), "['k' '3']");
    expect_nobody();
}

Test(blocked, is_served_before_the_next_command_of_the_one_who_gave)
{
    block(a, "BLPOP k 0");
    peer_send_raw(c, BYTES("RPUSH k v\r\nEXISTS k\r\n"));
    cr_expect_str_eq(peer_hear(c), ":1");
    cr_expect_str_eq(peer_hear(c), ":0");
    cr_expect_str_eq(peer_hear(a), "['k' 'v']");
}

Test(blocked, what_one_passes_on_serves_the_next)
{
    block(a, "BLMOVE one two LEFT LEFT 0");
    block(b, "BLPOP two 0");
    cr_expect_str_eq(ask(c, "RPUSH one v"), ":1");
    cr_expect_str_eq(peer_hear(a), "'v'");
    cr_expect_str_eq(peer_hear(b), "['two' 'v']");
    expect_nobody();
}

Test(blocked, two_who_pass_to_each_other_end)
{
    block(a, "BLMOVE one two LEFT LEFT 0");
    block(b, "BLMOVE two one LEFT LEFT 0");
    ask(c, "RPUSH one v");
    cr_expect_str_eq(peer_hear(a), "'v'");
    cr_expect_str_eq(peer_hear(b), "'v'");
    cr_expect_str_eq(ask(c, "LRANGE one 0 -1"), "['v']");
    expect_nobody();
}

Test(blocked, a_key_given_twice_or_one_of_many_serves_once)
{
    block(a, "BLPOP k k other k 0");
    cr_expect_eq(figures().keys, 2);
    ask(c, "RPUSH other v");
    cr_expect_str_eq(peer_hear(a), "['other' 'v']");
    expect_nobody();
    ask(c, "RPUSH k left");
    cr_expect_str_eq(ask(c, "LLEN k"), ":1");
}

Test(blocked, a_value_of_another_type_serves_nobody)
{
    block(a, "BLPOP k 0");
    ask(c, "SET k string");
    cr_expect_str_eq(peer_hear_soon(a), SILENCE);
    ask(c, "DEL k");
    ask(c, "RPUSH k v");
    cr_expect_str_eq(peer_hear(a), "['k' 'v']");
}

Test(blocked, a_transaction_serves_only_with_what_it_leaves)
{
    block(a, "BLPOP k 0");
    ask(c, "MULTI");
    ask(c, "RPUSH k v");
    ask(c, "DEL k");
    cr_expect_str_eq(ask(c, "EXEC"), "[:1 :1]");
    cr_expect_str_eq(peer_hear_soon(a), SILENCE);
    ask(c, "MULTI");
    ask(c, "RPUSH k v w");
    cr_expect_str_eq(ask(c, "EXEC"), "[:2]");
    cr_expect_str_eq(peer_hear(a), "['k' 'v']");
}

Test(blocked, nobody_blocks_inside_of_a_transaction)
{
    ask(a, "MULTI");
    ask(a, "BLPOP k 0");
    cr_expect_str_eq(ask(a, "EXEC"), "[nil]");
    expect_nobody();
}

Test(blocked, databases_are_told_apart_and_swapped)
{
    block(a, "BLPOP k 0");
    ask(c, "SELECT 1");
    ask(c, "RPUSH k v");
    cr_expect_str_eq(peer_hear_soon(a), SILENCE);
    cr_expect_str_eq(ask(c, "SWAPDB 0 1"), "OK");
    cr_expect_str_eq(peer_hear(a), "['k' 'v']");
    expect_nobody();
}

Test(blocked, a_served_command_is_propagated_after_the_one_that_served_it)
{
    block(a, "BLPOP k 0");
    ask(c, "RPUSH k v");
    peer_hear(a);
    cr_expect_str_eq(node_stream(&h), "SELECT 0; RPUSH k v; LPOP k");
}

Test(blocked, a_monitor_sees_a_command_that_waited_once)
{
    cr_expect_str_eq(ask(b, "MONITOR"), "OK");
    block(a, "BLPOP k 0");
    cr_expect_not_null(strstr(peer_hear(b), "\"BLPOP\" \"k\" \"0\""));
    ask(c, "RPUSH k v");
    cr_expect_not_null(strstr(peer_hear(b), "\"RPUSH\" \"k\" \"v\""));
    peer_hear(a);
    cr_expect_str_eq(peer_hear_soon(b), SILENCE);
}

/* ---- how else it ends ---- */

Test(blocked, a_time_out_ends_it_with_a_null)
{
    cr_expect_str_eq(ask(a, "BLPOP k 0.05"), "nil");
    cr_expect_str_eq(ask(a, "BLMOVE k l LEFT LEFT 0.05"), "nil");
    expect_nobody();
}

Test(blocked, the_earliest_time_out_comes_first_and_none_never)
{
    block(a, "BLPOP k 0");
    block(b, "BLPOP k 30");
    cr_expect_eq(figures().with_deadline, 1);
    cr_expect_str_eq(ask(c, "BLPOP k 0.05"), "nil");
    cr_expect_eq(figures().clients, 2);
    cr_expect_str_eq(peer_hear_soon(a), SILENCE);
}

static const char *unblock(const char *how)
{
    static char line[64];
    (void)snprintf(line, sizeof(line), "CLIENT UNBLOCK %s", how);
    return ask(c, line);
}

Test(blocked, client_unblock_ends_it_as_a_time_out_or_with_an_error)
{
    char id[32], how[48];
    (void)snprintf(id, sizeof(id), "%s", ask(a, "CLIENT ID") + 1);
    cr_expect_str_eq(unblock(id), ":0");
    block(a, "BLPOP k 0");
    cr_expect_str_eq(unblock(id), ":1");
    cr_expect_str_eq(peer_hear(a), "nil");
    cr_expect_str_eq(unblock(id), ":0");
    block(a, "BLPOP k 0");
    peer_send(a, "PING");
    (void)snprintf(how, sizeof(how), "%s ERROR", id);
    cr_expect_str_eq(unblock(how), ":1");
    cr_expect_str_eq(peer_hear(a), "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
    cr_expect_str_eq(peer_hear(a), "PONG");
    expect_nobody();
}

Test(blocked, a_client_that_leaves_takes_its_place_with_it)
{
    block(a, "BLPOP k l m 100");
    peer_hang_up(a);
    a = NULL;
    for (int i = 0; i < 1000 && figures().clients; i++)
        ask(c, "PING");
    expect_nobody();
    cr_expect_str_eq(ask(c, "RPUSH k v"), ":1");
    cr_expect_str_eq(ask(c, "LLEN k"), ":1");
}

Test(blocked, a_client_killed_in_the_same_turn_gets_nothing)
{
    char lines[128];
    int id = atoi(ask(a, "CLIENT ID") + 1);
    block(a, "BLPOP k 0");
    int n = snprintf(lines, sizeof(lines), "CLIENT KILL ID %d\r\nRPUSH k v\r\nLLEN k\r\n", id);
    peer_send_raw(c, bytes_of(lines, (size_t)n));
    cr_expect_str_eq(peer_hear(c), ":1");
    cr_expect_str_eq(peer_hear(c), ":1");
    cr_expect_str_eq(peer_hear(c), ":1");
    cr_expect_str_eq(peer_hear(a), GONE);
    expect_nobody();
}

Test(blocked, a_request_that_is_malformed_waits_for_its_turn)
{
    peer_send_raw(a, BYTES("BLPOP k 0\r\n*1\r\nfoo\r\n"));
    cr_expect_str_eq(peer_hear_soon(a), SILENCE);
    ask(c, "RPUSH k v");
    cr_expect_str_eq(peer_hear(a), "['k' 'v']");
    cr_expect_str_eq(peer_hear(a), "-ERR Protocol error: expected '$', got 'f'");
    cr_expect_str_eq(peer_hear(a), GONE);
}

/* ---- waiting for a key to go ---- */

Test(blocked, whoever_waits_for_a_key_to_go_is_told_however_it_goes)
{
    static const char *const ends[] = { "DEL k", "SET k v PX 20", "FLUSHALL", "FLUSHDB", "RENAME k l", "MOVE k 5",
                                        "SWAPDB 0 3" };
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        ask(c, "FLUSHALL");
        ask(c, "SET k 1");
        block(a, WAITGONE " k 0");
        cr_expect_eq(figures().on_nokey, 1);
        ask(c, ends[i]);
        const char *reply = peer_hear(a);
        cr_expect_str_eq(reply, "OK", "%s: %s", ends[i], reply);
        if (strcmp(reply, "OK") != 0) {
            ask(c, "DEL k");
            peer_hear(a);
        }
        expect_nobody();
    }
}

Test(blocked, hundreds_who_wait_for_one_key_are_served_in_a_moment)
{
    enum { N = 300 };
    static struct peer *many[N];
    for (int i = 0; i < N; i++) {
        many[i] = node_dial(&h);
        peer_send(many[i], "BLPOP k 0");
    }
    for (int i = 0; i < 2000 && figures().clients < N; i++)
        ask(c, "PING");
    cr_assert_eq(figures().clients, N);
    struct buf push = BUF_INIT(BUF_UNLIMITED);
    buf_append_str(&push, "RPUSH k");
    for (int i = 0; i < N; i++)
        buf_append_str(&push, " v");
    cr_expect_str_eq(ask(c, buf_cstr(&push)), ":300");
    buf_done(&push);
    for (int i = 0; i < N; i++) {
        cr_expect_str_eq(peer_hear(many[i]), "['k' 'v']");
        peer_hang_up(many[i]);
    }
    expect_nobody();
}
