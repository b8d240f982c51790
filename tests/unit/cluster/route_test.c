/* Where a command belongs: the first rule that matches, and the slots that need no question. */
#include "harness.h"

#define MOVING                                                                                              \
    A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460 [7->-" B "] [6000-<-" B "]\n"           \
    B " 127.0.0.1:7001@17001 master - 0 0 2 connected 5461-10921\n"                               \
    C " 127.0.0.1:7002@17002 master - 0 0 3 connected 10922-16383\n"                                        \
    "vars currentEpoch 3 lastVoteEpoch 0\n"

static void begin_ok(const char *conf)
{
    begin(conf);
    connect_to(B);
    connect_to(C);
    cr_assert(cluster_ok(m));
}

#define SERVE CLUSTER_ROUTE_SERVE

Test(route, the_first_rule_that_matches_decides)
{
    static const struct {
        const char *what;
        struct cluster_query q;
        enum cluster_route route;
        const char *text; /* of an error, or of the redirect */
    } cases[] = {
        { "no keys", { .slot = -1, .write = true }, SERVE, NULL },
        { "keys of several slots", { .slot = -2 }, CLUSTER_ROUTE_CROSSSLOT,
          "CROSSSLOT Keys in request don't hash to the same slot" },
        { "ours", { .slot = 0, .write = true }, SERVE, NULL },
        { "of another", { .slot = 6001 }, CLUSTER_ROUTE_MOVED, "MOVED 6001 127.0.0.1:7001" },
        { "of another, asking", { .slot = 6001, .asking = true }, CLUSTER_ROUTE_MOVED, "MOVED 6001 127.0.0.1:7001" },
        { "leaving, keys not counted", { .slot = 7 }, CLUSTER_ROUTE_COUNT_KEYS, NULL },
        { "leaving, all there", { .slot = 7, .counted = true, .keys = 2 }, SERVE, NULL },
        { "leaving, none there", { .slot = 7, .counted = true, .keys = 2, .missing = 2 }, CLUSTER_ROUTE_ASK,
          "ASK 7 127.0.0.1:7001" },
        { "leaving, some there", { .slot = 7, .counted = true, .keys = 2, .missing = 1 }, CLUSTER_ROUTE_TRYAGAIN,
          "TRYAGAIN Multiple keys request during rehashing of slot" },
        { "leaving, MIGRATE", { .slot = 7, .migrate = true, .write = true }, SERVE, NULL },
        { "coming, not asking", { .slot = 6000 }, CLUSTER_ROUTE_MOVED, "MOVED 6000 127.0.0.1:7001" },
        { "coming, asking", { .slot = 6000, .asking = true }, CLUSTER_ROUTE_COUNT_KEYS, NULL },
        { "coming, asking, one key that is missing",
          { .slot = 6000, .asking = true, .counted = true, .keys = 1, .missing = 1 }, SERVE, NULL },
        { "coming, asking, of two keys one is missing",
          { .slot = 6000, .asking = true, .counted = true, .keys = 2, .missing = 1 }, CLUSTER_ROUTE_TRYAGAIN,
          "TRYAGAIN Multiple keys request during rehashing of slot" },
        { "coming, MIGRATE", { .slot = 6000, .migrate = true }, SERVE, NULL },
        { "leaving, shard channel", { .slot = 7, .shard_pubsub = true }, SERVE, NULL },
    };
    begin_ok(MOVING);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cluster_redirect to;
        enum cluster_route r = cluster_route(m, &cases[i].q, &to);
        cr_assert_eq(r, cases[i].route, "%s: %d", cases[i].what, r);
        if (r == CLUSTER_ROUTE_MOVED || r == CLUSTER_ROUTE_ASK) {
            struct buf b = BUF_INIT(200);
            cluster_write_redirect(m, r, &to, false, &b);
            cr_assert_str_eq(buf_cstr(&b), cases[i].text, "%s", cases[i].what);
            buf_done(&b);
        } else if (cases[i].text) {
            cr_assert_str_eq(to.text, cases[i].text, "%s", cases[i].what);
        }
    }
    end();
}

Test(route, slots_that_are_served_without_a_question_are_ours_and_at_rest)
{
    begin_ok(MOVING);
    const uint8_t *served = cluster_served(m);
    cr_assert(cluster_serves(served, 0));
    cr_assert_not(cluster_serves(served, 7), "leaving");
    cr_assert_not(cluster_serves(served, 6000), "coming");
    cr_assert_not(cluster_serves(served, 16383), "of another");
    struct cluster_event ev = { .kind = CLUSTER_COMMAND, .command = { .kind = CLUSTER_SETSLOT_STABLE, .slot = 7 } };
    step(ev);
    cr_assert(cluster_serves(served, 7));
    end();
}

Test(route, a_replica_serves_reads_of_its_master_to_those_who_said_readonly)
{
    begin(A " 127.0.0.1:7000@17000 myself,slave " B " 0 0 2 connected\n"
          B " 127.0.0.1:7001@17001 master - 0 0 2 connected 0-16383\n");
    static const struct {
        struct cluster_query q;
        enum cluster_route route;
    } cases[] = {
        { { .slot = 1 }, CLUSTER_ROUTE_MOVED },
        { { .slot = 1, .readonly = true }, SERVE },
        { { .slot = 1, .readonly = true, .write = true }, CLUSTER_ROUTE_MOVED },
        { { .slot = 1, .shard_pubsub = true }, SERVE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cluster_redirect to;
        cr_assert_eq(cluster_route(m, &cases[i].q, &to), cases[i].route, "case %zu", i);
    }
    end();
}

static void configure(struct cluster_config config)
{
    struct cluster_event ev = { .kind = CLUSTER_CONFIGURED, .config = &config };
    step(ev);
}

Test(route, a_cluster_that_is_down_says_so_unless_it_is_told_otherwise)
{
    begin(A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5\n");
    cr_assert_not(cluster_ok(m), "slots are missing");
    struct cluster_redirect to;
    struct cluster_query read = { .slot = 1 }, write = { .slot = 1, .write = true }, nobody = { .slot = 99 };
    struct cluster_query channel = { .slot = 1, .shard_pubsub = true };
    cr_assert_eq(cluster_route(m, &read, &to), CLUSTER_ROUTE_DOWN);
    cr_assert_str_eq(to.text, "CLUSTERDOWN The cluster is down");
    cr_assert_eq(cluster_route(m, &nobody, &to), CLUSTER_ROUTE_DOWN);
    cr_assert_str_eq(to.text, "CLUSTERDOWN Hash slot not served");
    cr_assert_eq(cluster_route(m, &channel, &to), SERVE);
    cr_assert_not(cluster_serves(cluster_served(m), 1));

    struct cluster_config config = test_config();
    config.allow_reads_when_down = true;
    config.allow_pubsubshard_when_down = false;
    configure(config);
    cr_assert_eq(cluster_route(m, &read, &to), SERVE);
    cr_assert_eq(cluster_route(m, &write, &to), CLUSTER_ROUTE_DOWN);
    cr_assert_str_eq(to.text, "CLUSTERDOWN The cluster is down and only accepts read commands");
    cr_assert_eq(cluster_route(m, &channel, &to), CLUSTER_ROUTE_DOWN);

    config.require_full_coverage = false;
    configure(config);
    cr_assert(cluster_ok(m));
    cr_assert_eq(cluster_route(m, &write, &to), SERVE);
    cr_assert(cluster_serves(cluster_served(m), 1));
    end();
}

Test(route, clients_are_told_the_endpoint_that_they_are_to_use)
{
    begin_ok(MOVING);
    static const struct {
        enum cluster_endpoint endpoint;
        int slot;
        const char *text;
    } cases[] = {
        { CLUSTER_ENDPOINT_IP, 6001, "MOVED 6001 127.0.0.1:7001" },
        { CLUSTER_ENDPOINT_HOSTNAME, 6001, "MOVED 6001 b.example:7001" },
        { CLUSTER_ENDPOINT_HOSTNAME, 16000, "MOVED 16000 ?:7002" },
        { CLUSTER_ENDPOINT_UNKNOWN, 6001, "MOVED 6001 :7001" },
    };
    char ext[64];
    struct wire_ext x = { .type = WIRE_EXT_HOSTNAME, .text = BYTES("b.example") };
    struct frame f = frame_of(B, WIRE_PONG);
    f.ext = bytes_of(ext, wire_ext_put(ext, &x));
    f.extensions = 1;
    f.mflags[0] = WIRE_EXT_DATA;
    receive(link_to(B), &f);
    struct cluster_config config = test_config();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config.endpoint = cases[i].endpoint;
        configure(config);
        struct cluster_redirect to;
        struct cluster_query q = { .slot = cases[i].slot };
        struct buf b = BUF_INIT(200);
        cluster_write_redirect(m, cluster_route(m, &q, &to), &to, false, &b);
        cr_assert_str_eq(buf_cstr(&b), cases[i].text);
        buf_done(&b);
    }
    end();
}
