/* FAILOVER, from both sides. */
#include "tests/unit/replication/bench.h"

Test(failover, is_refused_in_the_words_of_redis)
{
    static const struct {
        const char *line, *error;
        bool with_replica;
    } cases[] = {
        { "FAILOVER", "FAILOVER requires connected replicas.", false },
        { "FAILOVER ABORT", "No failover in progress.", false },
        { "FAILOVER TO 1.2.3.4 1", "FAILOVER requires connected replicas.", false },
        { "FAILOVER FOO", "syntax error", false },
        { "FAILOVER TO x", "syntax error", false },
        { "FAILOVER TO x y", "value is not an integer or out of range", false },
        { "FAILOVER TIMEOUT 0", "FAILOVER timeout must be greater than 0", false },
        { "FAILOVER TIMEOUT x", "value is not an integer or out of range", false },
        { "FAILOVER FORCE", "FAILOVER requires connected replicas.", false },
        { "FAILOVER ABORT TIMEOUT 3", "syntax error", false },
        { "FAILOVER TIMEOUT 5 TIMEOUT 6", "syntax error", false },
        { "FAILOVER TO 127.0.0.1 1", "FAILOVER target HOST and PORT is not a replica.", true },
        { "FAILOVER TO 10.0.0.9 6005 FORCE",
          "FAILOVER with force option requires both a timeout and target HOST and IP.", true },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct bench b = bench_new();
        char expected[200];
        if (cases[i].with_replica)
            attached(&b, 5);
        snprintf(expected, sizeof(expected), "SEND 9 \"-ERR %s\\r\\n\"", cases[i].error);
        does(says(&b, 9, cases[i].line), expected);
        bench_done(&b);
    }
    struct bench b = bench_new();
    linked(&b);
    does(says(&b, 9, "FAILOVER"), "SEND 9 \"-ERR FAILOVER is not valid when server is a replica.\\r\\n\"");
    does(says(&b, 9, "FAILOVER ABORT"), "SEND 9 \"-ERR No failover in progress.\\r\\n\"");
    bench_done(&b);
}

static void ack(struct bench *b, uint64_t peer, int64_t offset)
{
    char line[64];
    snprintf(line, sizeof(line), "REPLCONF ACK %lld", (long long)offset);
    says(b, peer, line);
}

static int state(const struct bench *b)
{
    struct repl_view v;
    repl_view(b->r, b->env.now, &v);
    return (int)v.failover;
}

Test(failover, hands_over_when_a_replica_has_all)
{
    struct bench b = bench_new();
    attached(&b, 5);
    appends(&b, 100);
    char id[41];
    strcpy(id, repl_replid(b.r));
    const char *did = says(&b, 9, "FAILOVER");
    does_begin(did, "SEND 9 \"+OK\\r\\n\"; PAUSE");
    cr_assert_eq(state(&b), REPL_FAILOVER_WAITING);
    does(says(&b, 9, "FAILOVER"), "SEND 9 \"-ERR FAILOVER already in progress.\\r\\n\"");
    ack(&b, 5, 99);
    cr_assert_eq(state(&b), REPL_FAILOVER_WAITING);
    ack(&b, 5, 100); /* what GETACK gives: the offset before itself */
    does_have(buf_cstr(&b.text), "CONNECT L1 10.0.0.9:6005");
    cr_assert_eq(state(&b), REPL_FAILOVER_IN_PROGRESS);
    does(says(&b, 9, "REPLICAOF m 1"), "SEND 9 \"-ERR REPLICAOF not allowed while failing over.\\r\\n\"");
    does_have(says(&b, 6, "PSYNC ? -1"), "-NOMASTERLINK Can't SYNC while failing over");
    simple(&b, REPL_PEER_UP, LINK(1));
    did = hears(&b, LINK(1), "+PONG\r\n+OK\r\n+OK\r\n");
    does_have(did, id);
    does_have(did, "$3\\r\\n138\\r\\n$8\\r\\nFAILOVER");
    does_have(hears(&b, LINK(1), "+CONTINUE " ID_B "\r\n"), "UNPAUSE");
    cr_assert_eq(state(&b), REPL_NO_FAILOVER);
    cr_assert(repl_is_replica(b.r));
    bench_done(&b);
}

Test(failover, the_target_promotes_itself_for_its_own_history_only)
{
    struct bench b = bench_new();
    linked(&b);
    says(&b, 6, "REPLCONF capa psync2");
    does(says(&b, 6, "PSYNC " ID_B " 101 FAILOVER"),
         "SEND 6 \"-ERR PSYNC FAILOVER replid must match my replid.\\r\\n\"");
    const char *did = says(&b, 6, "PSYNC " ID_A " 101 FAILOVER");
    does_have(did, "SET_ROLE master");
    does_have(did, "+CONTINUE ");
    cr_assert(!repl_is_replica(b.r));
    cr_assert_str_neq(repl_replid(b.r), ID_A);
    bench_done(&b);
}

Test(failover, ends_in_peace_when_the_time_is_over_or_asked)
{
    struct bench b = bench_new();
    attached(&b, 5);
    appends(&b, 100);
    says(&b, 9, "FAILOVER TO 10.0.0.9 6005 TIMEOUT 700");
    cr_assert_leq(repl_deadline(b.r), b.env.now + 700);
    does_have(at(&b, 700), "UNPAUSE");
    cr_assert_eq(state(&b), REPL_NO_FAILOVER);
    cr_assert(!repl_is_replica(b.r));
    says(&b, 9, "FAILOVER");
    does(says(&b, 9, "FAILOVER ABORT"), "SEND 9 \"+OK\\r\\n\"; UNPAUSE");
    bench_done(&b);
}

Test(failover, force_goes_on_without_and_a_refusal_makes_us_master_again)
{
    struct bench b = bench_new();
    attached(&b, 5);
    appends(&b, 100);
    says(&b, 9, "FAILOVER TO 10.0.0.9 6005 TIMEOUT 700 FORCE");
    does_have(at(&b, 700), "CONNECT L1 10.0.0.9:6005");
    simple(&b, REPL_PEER_UP, LINK(1));
    hears(&b, LINK(1), "+PONG\r\n+OK\r\n+OK\r\n");
    const char *did = hears(&b, LINK(1), "-ERR PSYNC FAILOVER replid must match my replid.\r\n");
    does_have(did, "UNPAUSE; CLOSE L1; SET_ROLE master");
    cr_assert(!repl_is_replica(b.r));
    cr_assert_eq(state(&b), REPL_NO_FAILOVER);
    bench_done(&b);
}
