/* nodes.conf: what real servers wrote is read, what is written is read again, what is broken is named. */
#include "harness.h"

static void check_broken(const char *text, const char *what)
{
    struct cluster_config config = test_config();
    struct cluster *c = cluster_new(&config, 1);
    const char *error = NULL;
    cr_assert_not(cluster_load(c, bytes_of_str(text), 1000, 1000, &error), "%s", text);
    cr_assert(strstr(error, what) != NULL, "\"%s\" should say \"%s\"", error, what);
    cluster_free(c);
}

#define VARS "vars currentEpoch 3 lastVoteEpoch 0\n"
#define ME A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460\n"

Test(nodes_conf, broken_files_are_refused_with_the_place)
{
    static const struct {
        const char *text, *what;
    } cases[] = {
        { "garbage\n", "line 1: not a node's name: \"garbage\"" },
        { ME "xyz\n", "line 2: not a node's name" },
        { VARS, "no line says \"myself\"" },
        { ME ME, "line 2: a node that has a line already" },
        { A " 127.0.0.1 myself,master - 0 0 1 connected\n", "an address without a port" },
        { A " 127.0.0.1:x@1 myself,master - 0 0 1 connected\n", "not a port" },
        { A " 127.0.0.1:1@x myself,master - 0 0 1 connected\n", "not a bus port" },
        { A " 127.0.0.1:1@2 myself,king - 0 0 1 connected\n", "an unknown flag: \"king\"" },
        { A " 127.0.0.1:1@2 myself,master x 0 0 1 connected\n", "not a master's name" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 x connected\n", "not an epoch" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1 hanging\n", "not the state of a link" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1 connected 16384\n", "not a slot" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1 connected 5-4\n", "not a range of slots" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1 connected 1-4 4\n", "a slot that has an owner already" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1 connected [5->-x]\n", "not a node's name" },
        { A " 127.0.0.1:1@2 myself,master - 0 0 1 connected [5->-" B "]\n", "named but has no line" },
        { A " 127.0.0.1:1@2,h,odd=1 myself,master - 0 0 1 connected\n", "an attribute that is not known: \"odd\"" },
        { A " 127.0.0.1:1@2,h,shard-id=1 myself,master - 0 0 1 connected\n", "not a shard id" },
        { A " 127.0.0.1:1@2 myself,slave " B " 0 0 1 connected 1\n" B " 1.1.1.1:1@2 master - 0 0 1 connected\n",
          "a node with slots that is no master" },
        { ME B " 1.1.1.1:1@2 myself,master - 0 0 1 connected\n", "a second node that is \"myself\"" },
        { ME "vars currentEpoch x lastVoteEpoch 0\n", "not an epoch" },
        { A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-54", "ends within" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_broken(cases[i].text, cases[i].what);
}

Test(nodes_conf, files_of_redis_7_0_and_7_2_are_read)
{
    begin(A " 127.0.0.1:25102@25122,,tls-port=0,nodename=two,shard-id=" C " slave " B " 0 1795380359023 10 connected\n"
          B " ::1:25103@25123,b.example,tls-port=0,shard-id=" D " myself,master - 0 1795524396000 10 connected "
            "0-5060 5062 [7->-" C "] [9-<-" C "]\n"
          C " 127.0.0.1:26101@26201 master,fail - 1 1795524396444 3 disconnected 5061 5461-10921\n"
          "vars currentEpoch 11 lastVoteEpoch 10\n\n\n");
    struct cluster_node_view v;
    cluster_view(m, node_of(A), &v);
    cr_assert_str_eq(v.human_nodename, "two");
    cr_assert_eq(v.master, node_of(B));
    cr_assert_str_eq(v.shard, D, "that of its master");
    cluster_view(m, node_of(B), &v);
    cr_assert_str_eq(v.ip, "::1");
    cr_assert_eq(v.slots, 5062);
    cr_assert_eq(cluster_migrating_to(m, 7), node_of(C));
    cr_assert_eq(cluster_importing_from(m, 9), node_of(C));
    cr_assert(flags_of(C) & CLUSTER_NODE_FAIL);
    cr_assert_str_eq(cluster_myid(m), B);
    end();
}

Test(nodes_conf, what_is_written_is_read_again)
{
    begin(THREE_MASTERS);
    struct bytes once = memory_of();
    end();
    begin(once.p);
    struct bytes twice = memory_of();
    cr_assert_str_eq(twice.p, once.p);
    end();
}

Test(nodes_conf, an_empty_file_makes_a_new_node_that_is_saved_at_once)
{
    begin("\n");
    cr_assert_eq(acts.v[0].kind, CLUSTER_SAVE);
    cr_assert(acts.v[0].save.durable);
    cr_assert_eq(strlen(cluster_myid(m)), 40);
    cr_assert_eq(cluster_size(m), 1);
    end();
}

Test(nodes_conf, cluster_nodes_has_the_lines_of_redis)
{
    begin(A " 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5 7 [7->-" B "]\n"
          B " 127.0.0.1:7001@17001,b.example master - 0 0 2 connected 9-10\n");
    struct buf b = BUF_INIT(1 << 16);
    cluster_write_nodes(m, &b);
    cr_assert_str_eq(buf_cstr(&b),
                     A " 127.0.0.1:7000@17000 myself,master - 0 1700000100000 1 connected 0-5 7 [7->-" B "]\n"
                     B " 127.0.0.1:7001@17001,b.example master - 1700000100000 0 2 disconnected 9-10\n");
    buf_done(&b);
    end();
}
