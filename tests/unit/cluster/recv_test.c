/* What each kind of frame does, and who may do it. */
#include "harness.h"

/* ---- strangers ---- */

Test(recv, an_unknown_sender_changes_nothing_whatever_it_says)
{
    begin(THREE_MASTERS);
    connect_all();
    struct bytes before = memory_of();
    cluster_link_id id = accepted();
    for (int type = 0; type < WIRE_TYPES; type++) {
        if (type == WIRE_MEET)
            continue;
        struct frame f = frame_of(NOBODY_KNOWN, type);
        char gossip[WIRE_GOSSIP];
        struct gossip_entry e = { .name = D, .ip = "6.6.6.6", .port = 1, .bus_port = 2, .flags = CLUSTER_NODE_FAIL };
        wire_gossip_put(gossip, &e);
        f.slots = slots(3, 0, 16383);
        f.current_epoch = f.config_epoch = 1000;
        if (type == WIRE_PING || type == WIRE_PONG) {
            f.count = 1;
            f.gossip = bytes_of(gossip, WIRE_GOSSIP);
        }
        if (type == WIRE_FAIL)
            f.fail.name = B;
        if (type == WIRE_UPDATE) {
            f.update.epoch = 1000;
            f.update.name = D;
            f.update.slots = slots(3, 0, 16383);
        }
        receive(id, &f);
        cr_assert_null(find_action(CLUSTER_PUBLISH));
        cr_assert_null(find_action(CLUSTER_SAVE));
        cr_assert_null(find_action(CLUSTER_PAUSE));
        cr_assert_not(sent(0, WIRE_AUTH_ACK));
        cr_assert_eq(sent(id, WIRE_PONG), type == WIRE_PING, "type %d", type);
    }
    struct bytes after = memory_of();
    cr_assert_str_eq(after.p, before.p);
    cr_assert_eq(cluster_size(m), 4);
    end();
}

Test(recv, a_stranger_with_the_name_of_a_node_takes_no_slot)
{
    begin(THREE_MASTERS);
    connect_all();
    struct bytes before = memory_of();
    now += 20;
    cluster_link_id id = accepted();
    struct frame f = frame_of(B, WIRE_PONG);
    f.slots = slots(3, 0, 16383);
    f.current_epoch = f.config_epoch = 1000;
    receive(id, &f);
    cr_assert(sent(link_to(B), WIRE_PING), "the node itself is asked");
    struct bytes after = memory_of();
    cr_assert_str_eq(after.p, before.p);

    struct frame truth = frame_of(B, WIRE_PONG);
    receive(link_to(B), &truth);
    cr_assert_eq(cluster_owner(m, 0), cluster_myself(m));
    end();
}

Test(recv, what_a_node_answers_us_itself_counts)
{
    begin(THREE_MASTERS);
    connect_all();
    struct frame f = frame_of(B, WIRE_PONG);
    f.slots = slots(1, 0, 10921);
    f.current_epoch = f.config_epoch = 9;
    receive(link_to(B), &f);
    cr_assert_eq(cluster_owner(m, 0), node_of(B));
    cr_assert(cluster_is_replica(m), "our last slot went to it: we follow it");
    const struct cluster_action *a = find_action(CLUSTER_FOLLOW);
    cr_assert_not_null(a);
    cr_assert_str_eq(a->follow.name, B);
    cr_assert_eq(a->follow.port, 7001);
    end();
}

Test(recv, somebody_with_our_own_name_is_not_listened_to)
{
    begin(THREE_MASTERS);
    connect_all();
    struct bytes before = memory_of();
    cluster_link_id id = accepted();
    struct frame f = frame_of(A, WIRE_PING);
    f.slots = slots(1, 0, 16383);
    f.config_epoch = 99;
    receive(id, &f);
    cr_assert_eq(acts.n, 0);
    struct bytes after = memory_of();
    cr_assert_str_eq(after.p, before.p);
    end();
}

/* ---- joining ---- */

Test(recv, a_meet_is_answered_and_begins_a_handshake)
{
    begin("");
    cluster_link_id id = accepted();
    struct frame f = frame_of(B, WIRE_MEET);
    receive(id, &f);
    cr_assert(sent(id, WIRE_PONG));
    const struct cluster_action *a = find_action(CLUSTER_CONNECT);
    cr_assert_not_null(a);
    cr_assert_str_eq(a->connect.ip, "127.0.0.1");
    cr_assert_eq(a->connect.port, 17001);
    cluster_link_id ours = a->connect.id;
    cr_assert_null(node_of(B), "its name is believed only when we reach it");

    link_event(CLUSTER_LINK_UP, ours, 0);
    cr_assert(sent(ours, WIRE_PING));
    struct frame pong = frame_of(B, WIRE_PONG);
    receive(ours, &pong);
    cr_assert_not_null(node_of(B));
    cr_assert_eq(flags_of(B) & (CLUSTER_NODE_HANDSHAKE | CLUSTER_NODE_MASTER), CLUSTER_NODE_MASTER);
    end();
}

Test(recv, thousands_of_strangers_get_few_records_that_end)
{
    begin("");
    cluster_link_id id = accepted();
    for (int i = 0; i < 5000; i++) {
        struct frame f = frame_of(B, WIRE_MEET);
        f.bus_port = (uint16_t)(20000 + i);
        receive(id, &f);
    }
    cr_assert_leq(cluster_size(m), 65);
    tick_after(2100);
    cr_assert_eq(cluster_size(m), 1);
    end();
}

Test(recv, gossip_of_invented_nodes_takes_bounded_memory)
{
    begin(THREE_MASTERS);
    connect_all();
    char *gossip = malloc(1000 * WIRE_GOSSIP);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 1000; i++) {
            char name[CLUSTER_NAME + 1];
            snprintf(name, sizeof name, "%040x", 0x1000000 + round * 1000 + i);
            struct gossip_entry e = { .name = name, .ip = "10.0.0.1", .port = 1, .bus_port = 2, .flags = 1 };
            wire_gossip_put(gossip + i * WIRE_GOSSIP, &e);
        }
        struct frame f = frame_of(B, WIRE_PONG);
        f.count = 1000;
        f.gossip = bytes_of(gossip, 1000 * WIRE_GOSSIP);
        receive(link_to(B), &f);
    }
    cr_assert_leq(cluster_size(m), 4 + 2048);
    free(gossip);
    end();
}

Test(recv, another_node_at_the_address_means_that_the_address_is_lost)
{
    begin(THREE_MASTERS);
    cluster_link_id id = link_to(C);
    link_event(CLUSTER_LINK_UP, id, 0);
    struct frame f = frame_of(NOBODY_KNOWN, WIRE_PONG);
    receive(id, &f);
    cr_assert(flags_of(C) & CLUSTER_NODE_NOADDR);
    const struct cluster_action *a = find_action(CLUSTER_CLOSE);
    cr_assert(a && a->close.id == id);
    end();
}

/* ---- extensions ---- */

Test(recv, extensions_go_only_to_those_who_know_them)
{
    begin(THREE_MASTERS);
    connect_all();
    now += 1000;
    struct frame ping = frame_of(B, WIRE_PING), pong;
    cluster_link_id id = accepted();
    receive(id, &ping);
    cr_assert_neq(place_of_send(id, WIRE_PONG, &pong), SIZE_MAX);
    cr_assert_eq(pong.ext.n, 0);
    ping.flags |= CLUSTER_NODE_EXTENSIONS;
    receive(id, &ping);
    cr_assert_neq(place_of_send(id, WIRE_PONG, &pong), SIZE_MAX);
    cr_assert_eq(pong.ext.n, 48, "the shard id");
    cr_assert(pong.mflags[0] & WIRE_EXT_DATA);
    end();
}

static void answer_with_extensions(const char *hostname, const char *forgotten)
{
    char ext[256];
    size_t n = 0;
    struct frame f = frame_of(B, WIRE_PONG);
    if (hostname) {
        struct wire_ext x = { .type = WIRE_EXT_HOSTNAME, .text = bytes_of_str(hostname) };
        n += wire_ext_put(ext + n, &x);
        f.extensions++;
    }
    if (forgotten) {
        struct wire_ext x = { .type = WIRE_EXT_FORGOTTEN, .name = forgotten, .ttl_s = 60 };
        n += wire_ext_put(ext + n, &x);
        f.extensions++;
    }
    f.ext = bytes_of(ext, n);
    f.mflags[0] = WIRE_EXT_DATA;
    receive(link_to(B), &f);
}

Test(recv, a_hostname_comes_and_goes_with_its_extension)
{
    begin(THREE_MASTERS);
    connect_all();
    struct cluster_node_view v;
    answer_with_extensions("b.example.org", NULL);
    cluster_view(m, node_of(B), &v);
    cr_assert_str_eq(v.hostname, "b.example.org");
    answer_with_extensions(NULL, NULL);
    cluster_view(m, node_of(B), &v);
    cr_assert_str_eq(v.hostname, "");
    end();
}

Test(recv, a_node_that_others_forgot_is_forgotten_and_does_not_come_back_by_gossip)
{
    begin(THREE_MASTERS);
    connect_all();
    answer_with_extensions(NULL, C);
    cr_assert_null(node_of(C));
    char gossip[WIRE_GOSSIP];
    struct gossip_entry e = { .name = C, .ip = "127.0.0.1", .port = 7002, .bus_port = 17002, .flags = 1 };
    wire_gossip_put(gossip, &e);
    struct frame f = frame_of(B, WIRE_PONG);
    f.count = 1;
    f.gossip = bytes_of(gossip, WIRE_GOSSIP);
    receive(link_to(B), &f);
    cr_assert_null(node_of(C));
    now += 61000;
    receive(link_to(B), &f);
    cr_assert_not_null(node_of(C), "a minute later it may");
    end();
}

/* ---- FAIL, UPDATE, PUBLISH, MFSTART ---- */

Test(recv, a_fail_message_does_not_bury_a_node_that_answers)
{
    begin(THREE_MASTERS);
    connect_all();
    cluster_link_id id = accepted();
    struct frame f = frame_of(C, WIRE_FAIL);
    f.fail.name = B;
    now += 20;
    receive(id, &f);
    cr_assert_not(flags_of(B) & CLUSTER_NODE_FAIL);
    cr_assert(sent(link_to(B), WIRE_PING));
    struct frame pong = frame_of(B, WIRE_PONG);
    receive(link_to(B), &pong);
    tick_after(100);
    tick_after(100);
    cr_assert_not(flags_of(B) & CLUSTER_NODE_FAIL);
    end();
}

Test(recv, a_fail_message_is_believed_of_a_node_that_is_silent)
{
    begin(THREE_MASTERS);
    connect_all();
    link_event(CLUSTER_LINK_DOWN, link_to(B), CLUSTER_DOWN_RESET);
    struct frame f = frame_of(C, WIRE_FAIL);
    f.fail.name = B;
    receive(accepted(), &f);
    cr_assert(flags_of(B) & CLUSTER_NODE_FAIL);
    end();
}

Test(recv, an_update_about_a_node_that_can_be_asked_makes_us_ask)
{
    begin(THREE_MASTERS);
    connect_all();
    now += 20;
    struct frame f = frame_of(C, WIRE_UPDATE);
    f.update.epoch = 7;
    f.update.name = D;
    f.update.slots = slots(3, 5461, 10921);
    receive(accepted(), &f);
    cr_assert(sent(link_to(D), WIRE_PING));
    cr_assert_eq(cluster_owner(m, 6000), node_of(B));

    link_event(CLUSTER_LINK_DOWN, link_to(D), CLUSTER_DOWN_RESET);
    receive(accepted(), &f);
    cr_assert_eq(cluster_owner(m, 6000), node_of(D), "nobody else can tell");
    cr_assert(flags_of(D) & CLUSTER_NODE_MASTER);
    end();
}

Test(recv, an_older_claim_is_answered_with_an_update)
{
    begin(THREE_MASTERS);
    connect_all();
    struct frame f = frame_of(B, WIRE_PONG), update;
    f.slots = slots(1, 0, 16383);
    receive(link_to(B), &f); /* epoch 2 claims what C owns under 3 */
    cr_assert_neq(place_of_send(link_to(B), WIRE_UPDATE, &update), SIZE_MAX);
    cr_assert_eq(memcmp(update.update.name, C, CLUSTER_NAME), 0);
    cr_assert_eq(update.update.epoch, 3);
    end();
}

Test(recv, published_messages_of_known_nodes_are_delivered)
{
    begin(THREE_MASTERS);
    connect_all();
    struct frame f = frame_of(C, WIRE_PUBLISHSHARD);
    f.publish.channel = BYTES("ch");
    f.publish.message = BYTES("hello");
    receive(accepted(), &f);
    const struct cluster_action *a = find_action(CLUSTER_PUBLISH);
    cr_assert(a && a->publish.sharded && bytes_eq(a->publish.channel, BYTES("ch")) &&
              bytes_eq(a->publish.message, BYTES("hello")));
    end();
}

Test(recv, only_our_own_replica_may_ask_us_to_make_way)
{
    begin(THREE_MASTERS);
    connect_all();
    struct frame f = frame_of(D, WIRE_MFSTART), ping;
    cluster_link_id id = accepted();
    receive(id, &f);
    cr_assert_null(find_action(CLUSTER_PAUSE));
    struct frame pong = frame_of(D, WIRE_PONG);
    pong.master = A;
    receive(link_to(D), &pong);
    repl.offset = 77;
    receive(id, &f);
    const struct cluster_action *a = find_action(CLUSTER_PAUSE);
    cr_assert(a && a->pause.what == CLUSTER_PAUSE_WRITES && a->pause.until == now + 10000);
    cr_assert_neq(place_of_send(id, WIRE_PING, &ping), SIZE_MAX, "on the link on which it asked");
    cr_assert_eq(ping.offset, 77);
    cr_assert(ping.mflags[0] & WIRE_PAUSED);
    for (int t = 0; t < 51; t++) {
        tick_after(100);
        if (find_action(CLUSTER_PAUSE))
            break;
        struct frame answer = frame_of(C, WIRE_PONG);
        for (int k = 0; k < 2; k++, answer = frame_of(B, WIRE_PONG))
            receive(link_to(answer.sender), &answer);
    }
    a = find_action(CLUSTER_PAUSE);
    cr_assert(a && a->pause.what == CLUSTER_PAUSE_NOTHING, "it did not come in time");
    end();
}

/* ---- epochs ---- */

Test(recv, of_two_masters_with_one_epoch_the_smaller_name_moves)
{
    begin(THREE_MASTERS);
    connect_all();
    struct frame f = frame_of(B, WIRE_PONG);
    f.config_epoch = 1; /* as ours; A < B */
    struct cluster_node_view v;
    receive(link_to(C), &f); /* not on its own link: counts for nothing */
    f = frame_of(C, WIRE_PONG);
    cluster_view(m, cluster_myself(m), &v);
    cr_assert_eq(v.config_epoch, 1);
    end();

    begin(A " 127.0.0.1:7000@17000 myself,master - 0 0 0 connected 0-5460\n"
          B " 127.0.0.1:7001@17001 master - 0 0 0 connected 5461-10921\n");
    connect_to(B);
    end();
    begin(B " 127.0.0.1:7001@17001 myself,master - 0 0 2 connected 0-5460\n"
          C " 127.0.0.1:7002@17002 master - 0 0 2 connected 10922-16383\n");
    link_event(CLUSTER_LINK_UP, link_to(C), 0);
    f = frame_of(C, WIRE_PONG);
    f.config_epoch = 2;
    receive(link_to(C), &f);
    cluster_view(m, cluster_myself(m), &v);
    cr_assert_eq(v.config_epoch, 4, "one more than the highest seen");
    cr_assert_eq(acts.v[0].kind, CLUSTER_SAVE);
    cr_assert(acts.v[0].save.durable);
    end();
}

/* ---- votes ---- */

static void b_is_dead(void)
{
    link_event(CLUSTER_LINK_DOWN, link_to(B), CLUSTER_DOWN_RESET);
    struct frame f = frame_of(C, WIRE_FAIL);
    f.fail.name = B;
    receive(accepted(), &f);
    cr_assert(flags_of(B) & CLUSTER_NODE_FAIL);
    now += 20;
}

static void ask_for_vote(uint64_t epoch, bool forced)
{
    struct frame f = frame_of(D, WIRE_AUTH_REQUEST);
    f.current_epoch = epoch;
    f.mflags[0] = forced ? WIRE_FORCEACK : 0;
    receive(accepted(), &f);
    now += 20;
}

static void prove(uint64_t epoch)
{
    struct frame f = frame_of(D, WIRE_PONG);
    f.current_epoch = epoch;
    receive(link_to(D), &f);
}

Test(recv, a_vote_is_saved_before_it_is_given_and_given_to_who_proves_its_epoch)
{
    begin(THREE_MASTERS);
    connect_all();
    b_is_dead();
    ask_for_vote(4, false);
    cr_assert_not(sent(0, WIRE_AUTH_ACK), "anybody could have said that");
    prove(4);
    size_t ack = place_of_send(link_to(D), WIRE_AUTH_ACK, NULL);
    cr_assert_neq(ack, SIZE_MAX);
    cr_assert_eq(acts.v[0].kind, CLUSTER_SAVE);
    cr_assert(acts.v[0].save.durable && ack > 0);
    cr_assert_not_null(memmem(acts.v[0].save.bytes.p, acts.v[0].save.bytes.n, "lastVoteEpoch 4", 15));
    end();
}

Test(recv, a_request_in_the_name_of_a_replica_gets_no_vote)
{
    begin(THREE_MASTERS);
    connect_all();
    b_is_dead();
    ask_for_vote(4, true);
    prove(3); /* the replica itself is in no such epoch */
    cr_assert_not(sent(0, WIRE_AUTH_ACK));
    end();
}

Test(recv, no_vote_without_reason)
{
    static const struct {
        const char *what;
        bool dead, forced, second, wait, granted;
        uint64_t epoch;
    } cases[] = {
        { "its master lives", false, false, false, false, false, 4 },
        { "its master lives, but it is a manual failover", false, true, false, false, true, 4 },
        { "its epoch is over", true, false, false, false, false, 2 },
        { "a second vote in one epoch", true, false, true, true, false, 4 },
        { "a second vote later, for the same replica", true, false, true, false, true, 5 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(THREE_MASTERS);
        connect_all();
        if (cases[i].dead)
            b_is_dead();
        now += 20;
        if (cases[i].second) {
            ask_for_vote(4, false);
            prove(4);
            cr_assert(sent(0, WIRE_AUTH_ACK), "%s", cases[i].what);
            now += 20;
        }
        ask_for_vote(cases[i].epoch, cases[i].forced);
        prove(cases[i].epoch > 3 ? cases[i].epoch : 3);
        cr_assert_eq(sent(0, WIRE_AUTH_ACK), cases[i].granted, "%s", cases[i].what);
        end();
    }
}

Test(recv, a_vote_asked_for_too_early_is_given_when_the_failure_is_known)
{
    begin(THREE_MASTERS);
    connect_all();
    now += 20;
    ask_for_vote(4, false);
    prove(4);
    cr_assert_not(sent(0, WIRE_AUTH_ACK));
    b_is_dead();
    prove(4);
    cr_assert(sent(link_to(D), WIRE_AUTH_ACK));
    end();
}

/* ---- frames on the stream ---- */

Test(recv, frames_are_cut_by_their_length_and_nonsense_is_refused)
{
    begin(THREE_MASTERS);
    cluster_link_id id = accepted();
    cr_assert_eq(cluster_frame_size(m, id, BYTES("RCmb\0\0\x08\xd0rest")), 2256);
    cr_assert_eq(cluster_frame_size(m, id, BYTES("RCmb\0\0")), 0);
    cr_assert_eq(cluster_frame_size(m, id, BYTES("GET / HTTP")), -1);
    cr_assert_eq(cluster_frame_size(m, id, BYTES("GET ")), -1);
    cr_assert_eq(cluster_frame_size(m, id, BYTES("RCmb\0\0\x08\xcf")), -1, "shorter than a header");
    cr_assert_eq(cluster_frame_size(m, id, BYTES("RCmb\x10\0\0\0")), -1, "a stranger may not send that much");
    end();
}
