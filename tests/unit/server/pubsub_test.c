/* Publish/subscribe: who gets what, in which order, and what happens to those who leave or do not read. */
#include "server/pubsub.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node_harness.h"

static struct node_harness h;
static struct peer *p, *a, *b;

static void setup(void)
{
    node_start(&h, NULL);
    p = node_dial(&h);
    a = node_dial(&h);
    b = node_dial(&h);
}

static void teardown(void)
{
    peer_hang_up(p);
    peer_hang_up(a);
    peer_hang_up(b);
    node_stop(&h);
}

TestSuite(pubsub, .init = setup, .fini = teardown, .timeout = 60);

struct figures {
    uint64_t channels, patterns, shard;
};

static void look(struct call *c, void *ctx)
{
    struct pubsub *all = node_pubsub(c->node);
    *(struct figures *)ctx = (struct figures){ pubsub_count(all, PUBSUB_CHANNEL), pubsub_count(all, PUBSUB_PATTERN),
                                               pubsub_count(all, PUBSUB_SHARD) };
}

static struct figures figures(void)
{
    struct figures f;
    node_probe(&h, look, &f);
    return f;
}

Test(pubsub, a_message_goes_to_channels_first_then_to_patterns_in_their_order)
{
    ask(a, "PSUBSCRIBE c?");
    ask(a, "PSUBSCRIBE *");
    ask(a, "SUBSCRIBE c1");
    ask(b, "SUBSCRIBE c2");
    cr_expect_str_eq(ask(p, "PUBLISH c1 m"), ":3");
    cr_expect_str_eq(peer_hear(a), "['message' 'c1' 'm']");
    cr_expect_str_eq(peer_hear(a), "['pmessage' 'c?' 'c1' 'm']");
    cr_expect_str_eq(peer_hear(a), "['pmessage' '*' 'c1' 'm']");
    cr_expect_str_eq(peer_hear_soon(b), SILENCE);
}

Test(pubsub, kinds_do_not_mix)
{
    ask(a, "SUBSCRIBE x");
    ask(b, "SSUBSCRIBE x");
    cr_expect_str_eq(ask(p, "PUBLISH x m"), ":1");
    cr_expect_str_eq(ask(p, "SPUBLISH x s"), ":1");
    cr_expect_str_eq(peer_hear(a), "['message' 'x' 'm']");
    cr_expect_str_eq(peer_hear(b), "['smessage' 'x' 's']");
    struct figures f = figures();
    cr_expect(f.channels == 1 && f.patterns == 0 && f.shard == 1);
}

Test(pubsub, names_live_as_long_as_somebody_subscribes)
{
    ask(a, "SUBSCRIBE x");
    ask(a, "SUBSCRIBE x");
    ask(b, "SUBSCRIBE x");
    ask(b, "PSUBSCRIBE p*");
    cr_expect_str_eq(ask(p, "PUBSUB NUMSUB x y"), "['x' :2 'y' :0]");
    ask(a, "UNSUBSCRIBE x");
    cr_expect_eq(figures().channels, 1);
    peer_hang_up(b);
    b = NULL;
    for (int i = 0; i < 1000 && figures().channels; i++)
        ask(p, "PING");
    struct figures f = figures();
    cr_expect_eq(f.channels + f.patterns + f.shard, 0);
    cr_expect_str_eq(ask(p, "PUBLISH x m"), ":0");
}

Test(pubsub, in_resp3_a_message_to_oneself_comes_behind_the_reply)
{
    ask(p, "HELLO 3");
    ask(p, "SUBSCRIBE c");
    cr_expect_str_eq(ask(p, "PUBLISH c m"), ":1");
    cr_expect_str_eq(peer_hear(p), ">['message' 'c' 'm']");
    ask(p, "MULTI");
    ask(p, "PUBLISH c 1");
    ask(p, "PUBLISH c 2");
    cr_expect_str_eq(ask(p, "EXEC"), "[:1 :1]");
    cr_expect_str_eq(peer_hear(p), ">['message' 'c' '1']");
    cr_expect_str_eq(peer_hear(p), ">['message' 'c' '2']");
}

Test(pubsub, messages_come_though_replies_are_off)
{
    ask(a, "HELLO 3");
    ask(a, "SUBSCRIBE c");
    peer_send(a, "CLIENT REPLY OFF");
    peer_send(a, "PUBLISH c own");
    cr_expect_str_eq(peer_hear(a), ">['message' 'c' 'own']");
    peer_send(a, "CLIENT REPLY ON");
    cr_expect_str_eq(peer_hear(a), "OK");
}

Test(pubsub, a_subscriber_killed_in_the_same_turn_disturbs_nobody)
{
    char lines[256], id[32];
    ask(b, "SUBSCRIBE c");
    (void)snprintf(id, sizeof(id), "%s", ask(a, "CLIENT ID") + 1);
    ask(a, "SUBSCRIBE c");
    int n = snprintf(lines, sizeof(lines), "CLIENT KILL ID %s\r\nPUBLISH c one\r\nPUBLISH c two\r\n", id);
    peer_send_raw(p, bytes_of(lines, (size_t)n));
    cr_expect_str_eq(peer_hear(p), ":1");
    peer_hear(p);
    peer_hear(p);
    cr_expect_str_eq(peer_hear(b), "['message' 'c' 'one']");
    cr_expect_str_eq(peer_hear(b), "['message' 'c' 'two']");
    cr_expect_str_eq(peer_hear(a), GONE);
    cr_expect_str_eq(ask(p, "PUBLISH c three"), ":1");
}

Test(pubsub, a_subscriber_that_does_not_read_is_closed_by_its_limit)
{
    ask(p, "CONFIG SET client-output-buffer-limit \"pubsub 100kb 0 0\"");
    ask(a, "SUBSCRIBE c");
    ask(b, "SUBSCRIBE other");
    char line[4096];
    memset(line, 'm', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    memcpy(line, "PUBLISH c ", 10);
    struct buf many = BUF_INIT(BUF_UNLIMITED);
    for (int i = 0; i < 60; i++) {
        buf_append_str(&many, line);
        buf_append_str(&many, "\r\n");
    }
    /* One turn may hold them all: the limit must act at the message, not at the end of the turn. */
    int closed = 0;
    for (int round = 0; round < 100 && !closed; round++) {
        peer_send_raw(p, buf_bytes(&many));
        for (int i = 0; i < 60; i++)
            closed += strcmp(peer_hear(p), ":0") == 0;
    }
    cr_expect(closed, "it was never closed");
    cr_expect_str_eq(ask(p, "PUBLISH other m"), ":1");
    buf_done(&many);
}

Test(pubsub, events_of_keys_reach_the_client_that_caused_them_behind_its_reply)
{
    ask(p, "HELLO 3");
    ask(p, "CONFIG SET notify-keyspace-events KEA");
    ask(p, "PSUBSCRIBE __key*");
    cr_expect_str_eq(ask(p, "SET k v"), "OK");
    cr_expect_str_eq(peer_hear(p), ">['pmessage' '__key*' '__keyspace@0__:k' 'set']");
    cr_expect_str_eq(peer_hear(p), ">['pmessage' '__key*' '__keyevent@0__:set' 'k']");
    cr_expect_str_eq(ask(p, "MGET k k"), "['v' 'v']");
}

Test(pubsub, events_in_the_middle_of_a_long_reply_do_not_tear_it)
{
    ask(a, "PSUBSCRIBE __key*");
    ask(p, "CONFIG SET notify-keyspace-events KEA");
    ask(p, "DEBUG SET-ACTIVE-EXPIRE 0");
    for (int i = 0; i < 5; i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "SET e%d v PX 1", i);
        ask(p, line);
        (void)snprintf(line, sizeof(line), "SET s%d v%d", i, i);
        ask(p, line);
    }
    ask(p, "DEBUG SLEEP 0.01");
    cr_expect_str_eq(ask(p, "MGET s0 e0 s1 e1 s2 e2 s3 e3 s4 e4"), "['v0' nil 'v1' nil 'v2' nil 'v3' nil 'v4' nil]");
    int expired = 0;
    for (const char *m = peer_hear(a); strcmp(m, SILENCE) != 0; m = peer_hear_soon(a))
        expired += strstr(m, "'expired'") != NULL;
    cr_expect_eq(expired, 5);
}
