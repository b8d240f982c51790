/* CLUSTER commands: the texts of Redis 7.0.15, as it gave them, and what they change. */
#include "harness.h"

static struct cluster_reply run(struct cluster_command cmd)
{
    struct cluster_event ev = { .kind = CLUSTER_COMMAND, .command = cmd };
    step(ev);
    return acts.reply;
}

static void says(struct cluster_command cmd, const char *text)
{
    struct cluster_reply r = run(cmd);
    cr_assert(bytes_eq(r.text, bytes_of_str(text)), "\"%.*s\" should be \"%s\"", (int)r.text.n, r.text.p, text);
    cr_assert_eq(r.error, strncmp(text, "ERR ", 4) == 0);
}

static struct cluster_command slots_of(enum cluster_command_kind kind, int first, int last)
{
    static struct cluster_range r;
    r = (struct cluster_range){ first, last };
    return (struct cluster_command){ .kind = kind, .ranges = &r, .n_ranges = 1 };
}

static struct cluster_command about(enum cluster_command_kind kind, const char *name)
{
    return (struct cluster_command){ .kind = kind, .name = bytes_of_str(name), .dataset_empty = true };
}

static struct cluster_command setslot(enum cluster_command_kind kind, int slot, const char *name)
{
    return (struct cluster_command){ .kind = kind, .slot = slot, .name = bytes_of_str(name) };
}

Test(commands, slots_are_added_and_taken_away_all_or_none)
{
    begin("");
    says(slots_of(CLUSTER_ADDSLOTS, 5, 5), "OK");
    cr_assert_eq(acts.v[0].kind, CLUSTER_SAVE);
    says(slots_of(CLUSTER_ADDSLOTS, 4, 6), "ERR Slot 5 is already busy");
    cr_assert_null(cluster_owner(m, 4));
    says(slots_of(CLUSTER_DELSLOTS, 5, 6), "ERR Slot 6 is already unassigned");
    cr_assert_not_null(cluster_owner(m, 5));
    struct cluster_range twice[] = { { 10, 11 }, { 11, 12 } };
    says((struct cluster_command){ .kind = CLUSTER_ADDSLOTS, .ranges = twice, .n_ranges = 2 },
         "ERR Slot 11 specified multiple times");
    says(slots_of(CLUSTER_DELSLOTS, 5, 5), "OK");
    says(slots_of(CLUSTER_ADDSLOTS, 0, 16383), "OK");
    cr_assert(cluster_ok(m), "one master with all slots is a cluster");
    says((struct cluster_command){ .kind = CLUSTER_FLUSHSLOTS },
         "ERR DB must be empty to perform CLUSTER FLUSHSLOTS.");
    says((struct cluster_command){ .kind = CLUSTER_FLUSHSLOTS, .dataset_empty = true }, "OK");
    cr_assert_null(cluster_owner(m, 0));
    end();
}

Test(commands, epochs)
{
    begin("");
    says((struct cluster_command){ .kind = CLUSTER_SET_CONFIG_EPOCH, .epoch = 3 }, "OK");
    says((struct cluster_command){ .kind = CLUSTER_SET_CONFIG_EPOCH, .epoch = 4 },
         "ERR Node config epoch is already non-zero");
    says((struct cluster_command){ .kind = CLUSTER_BUMPEPOCH }, "STILL 3");
    end();
    begin(THREE_MASTERS);
    says((struct cluster_command){ .kind = CLUSTER_BUMPEPOCH }, "BUMPED 4");
    cr_assert(acts.v[0].kind == CLUSTER_SAVE && acts.v[0].save.durable);
    says((struct cluster_command){ .kind = CLUSTER_BUMPEPOCH }, "STILL 4");
    says((struct cluster_command){ .kind = CLUSTER_SET_CONFIG_EPOCH, .epoch = 9 },
         "ERR The user can assign a config epoch only when the node does not know any other node.");
    end();
}

Test(commands, meet_wants_an_address)
{
    static const struct {
        const char *ip;
        int64_t port, bus_port;
        const char *text;
    } cases[] = {
        { "foo", 1, 0, "ERR Invalid node address specified: foo:1" },
        { "127.0.0.1", 70000, 0, "ERR Invalid node address specified: 127.0.0.1:70000" },
        { "127.0.0.1", 60000, 0, "ERR Invalid node address specified: 127.0.0.1:60000" },
        { "127.0.0.1", 6000, 99999, "ERR Invalid node address specified: 127.0.0.1:6000" },
        { "127.0.0.1", 0, 0, "ERR Invalid node address specified: 127.0.0.1:0" },
        { "1.2.3", 1, 0, "ERR Invalid node address specified: 1.2.3:1" },
        { "1.2.3.256", 1, 0, "ERR Invalid node address specified: 1.2.3.256:1" },
        { "", 1, 0, "ERR Invalid node address specified: :1" },
        { "::1", 6000, 0, "OK" },
        { "10.0.0.1", 6000, 7000, "OK" },
    };
    begin("");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        says((struct cluster_command){ .kind = CLUSTER_MEET, .ip = bytes_of_str(cases[i].ip), .port = cases[i].port,
                                       .bus_port = cases[i].bus_port }, cases[i].text);
    cr_assert_eq(cluster_size(m), 3);
    const struct cluster_action *a = find_action(CLUSTER_CONNECT);
    cr_assert(a && a->connect.port == 7000);
    link_event(CLUSTER_LINK_UP, a->connect.id, 0);
    cr_assert(sent(0, WIRE_MEET));
    tick_after(2500);
    cr_assert_eq(cluster_size(m), 1, "nobody was there");
    end();
}

Test(commands, forget_and_replicate)
{
    begin(THREE_MASTERS);
    says(about(CLUSTER_FORGET, "nope"), "ERR Unknown node nope");
    says(about(CLUSTER_FORGET, A), "ERR I tried hard but I can't forget myself...");
    says(about(CLUSTER_REPLICATE, "nope"), "ERR Unknown node nope");
    says(about(CLUSTER_REPLICATE, A), "ERR Can't replicate myself");
    says(about(CLUSTER_REPLICATE, D), "ERR I can only replicate a master, not a replica.");
    says(about(CLUSTER_REPLICATE, B), "ERR To set a master the node must be empty and without assigned slots.");
    says(about(CLUSTER_FORGET, D), "OK");
    cr_assert_null(node_of(D));
    says(about(CLUSTER_FORGET, D), "OK");
    says((struct cluster_command){ .kind = CLUSTER_FLUSHSLOTS, .dataset_empty = true }, "OK");
    struct cluster_command full = about(CLUSTER_REPLICATE, B);
    full.dataset_empty = false;
    says(full, "ERR To set a master the node must be empty and without assigned slots.");
    says(about(CLUSTER_REPLICATE, B), "OK");
    cr_assert(cluster_is_replica(m));
    cr_assert_str_eq(find_action(CLUSTER_FOLLOW)->follow.name, B);
    says(about(CLUSTER_FORGET, B), "ERR Can't forget my master!");
    says(setslot(CLUSTER_SETSLOT_STABLE, 5, ""), "ERR Please use SETSLOT only with masters.");
    end();
}

Test(commands, setslot)
{
    begin(THREE_MASTERS);
    says(setslot(CLUSTER_SETSLOT_MIGRATING, 5, "x"), "ERR I don't know about node x");
    says(setslot(CLUSTER_SETSLOT_MIGRATING, 6000, B), "ERR I'm not the owner of hash slot 6000");
    says(setslot(CLUSTER_SETSLOT_MIGRATING, 5, D), "ERR Target node is not a master");
    says(setslot(CLUSTER_SETSLOT_IMPORTING, 5, B), "ERR I'm already the owner of hash slot 5");
    says(setslot(CLUSTER_SETSLOT_IMPORTING, 6000, "x"), "ERR I don't know about node x");
    says(setslot(CLUSTER_SETSLOT_NODE, 5, "x"), "ERR Unknown node x");
    says(setslot(CLUSTER_SETSLOT_NODE, 5, D), "ERR Target node is not a master");
    struct cluster_command full = setslot(CLUSTER_SETSLOT_NODE, 5, B);
    full.keys_in_slot = 3;
    says(full, "ERR Can't assign hashslot 5 to a different node while I still hold keys for this hash slot.");
    says(setslot(CLUSTER_SETSLOT_MIGRATING, 5, B), "OK");
    says(setslot(CLUSTER_SETSLOT_NODE, 5, B), "OK");
    cr_assert_eq(cluster_owner(m, 5), node_of(B));
    cr_assert_null(cluster_migrating_to(m, 5));
    says(setslot(CLUSTER_SETSLOT_IMPORTING, 6000, B), "OK");
    says(setslot(CLUSTER_SETSLOT_NODE, 6000, A), "OK");
    cr_assert_eq(cluster_owner(m, 6000), cluster_myself(m));
    struct cluster_node_view v;
    cluster_view(m, cluster_myself(m), &v);
    cr_assert_eq(v.config_epoch, 4, "its claim is the newest");
    end();
}

Test(commands, failover_and_reset)
{
    begin(THREE_MASTERS);
    says((struct cluster_command){ .kind = CLUSTER_FAILOVER }, "ERR You should send CLUSTER FAILOVER to a replica");
    says((struct cluster_command){ .kind = CLUSTER_RESET },
         "ERR CLUSTER RESET can't be called with master nodes containing keys");
    says((struct cluster_command){ .kind = CLUSTER_RESET, .dataset_empty = true }, "OK");
    cr_assert_eq(cluster_size(m), 1);
    cr_assert_str_eq(cluster_myid(m), A, "soft: it keeps its name");
    says((struct cluster_command){ .kind = CLUSTER_RESET, .hard = true, .dataset_empty = true }, "OK");
    cr_assert_str_neq(cluster_myid(m), A);
    end();
    begin(A " 127.0.0.1:7000@17000 myself,slave " B " 0 0 2 connected\n"
          B " 127.0.0.1:7001@17001 master - 0 0 2 connected 0-16383\n");
    says((struct cluster_command){ .kind = CLUSTER_FAILOVER },
         "ERR Master is down or failed, please use CLUSTER FAILOVER FORCE");
    says((struct cluster_command){ .kind = CLUSTER_RESET }, "OK");
    cr_assert_not_null(find_action(CLUSTER_BECOME_MASTER));
    cr_assert_not_null(find_action(CLUSTER_FLUSH));
    end();
}
