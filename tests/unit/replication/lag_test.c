/* True lag, at the master and at the replica. */
#include "tests/unit/replication/bench.h"

static msec_t lag(const struct bench *b)
{
    struct repl_replica_view v;
    repl_replica_at(b->r, 0, b->env.now, &v);
    return v.lag_ms;
}

static void ack(struct bench *b, int64_t offset)
{
    char line[64];
    snprintf(line, sizeof(line), "REPLCONF ACK %lld", (long long)offset);
    says(b, 5, line);
}

Test(lag, is_the_age_of_the_first_byte_that_is_missing)
{
    struct bench b = bench_new();
    attached(&b, 5);
    int64_t begin = repl_offset(b.r);
    ack(&b, begin);
    cr_assert_eq(lag(&b), 0);
    for (int i = 0; i < 200; i++) { /* 100 bytes each 100 ms; the replica is 10 s behind */
        appends(&b, 100);
        if (i > 100)
            ack(&b, begin + 100 * (i - 100));
        if (i > 120)
            cr_assert(lag(&b) >= 9900 && lag(&b) <= 10100, "%lld", (long long)lag(&b));
        b.env.now += 100;
    }
    ack(&b, repl_offset(b.r));
    cr_assert_eq(lag(&b), 0);
    b.env.now += 3600 * 1000;
    cr_assert_eq(lag(&b), 0, "nothing is missing");
    appends(&b, 1);
    b.env.now += 5000;
    cr_assert_eq(lag(&b), 5000, "an hour of silence before does not count");
    bench_done(&b);
}

Test(lag, of_long_ago_is_known_to_a_twentieth)
{
    struct bench b = bench_new();
    attached(&b, 5);
    int64_t begin = repl_offset(b.r);
    ack(&b, begin);
    for (int i = 0; i < 360000; i++) { /* an hour, each 10 ms */
        b.env.now += 10;
        repl_append(b.r, BYTES("0123456789"));
        if (i % 3 == 0)
            simple(&b, REPL_APPENDED, 0);
    }
    simple(&b, REPL_APPENDED, 0);
    struct repl_event sent = { .kind = REPL_PEER_SENT, .peer = 5, .n = 0 };
    bench_step(&b, &sent);
    for (int i = 1; i < 36; i++) {
        ack(&b, begin + 100000ll * i);
        double truth = 3600000.0 - 100000.0 * i;
        double error = (double)lag(&b) - truth;
        error = error < 0 ? -error : error;
        cr_assert_leq(error, truth * 0.05 + 50, "%lld for %g", (long long)lag(&b), truth);
    }
    bench_done(&b);
}

Test(lag, grows_when_acks_cease)
{
    struct bench b = bench_new();
    attached(&b, 5);
    appends(&b, 10);
    b.env.now += 10;
    ack(&b, repl_offset(b.r) - 5);
    cr_assert_eq(lag(&b), 10);
    b.env.now += 1000;
    cr_assert_eq(lag(&b), 10, "the next ACK is not due");
    b.env.now += 1000;
    cr_assert_eq(lag(&b), 2010);
    bench_done(&b);
}

Test(lag, a_master_says_its_time_to_one_of_us_only)
{
    struct bench b = bench_new();
    attached(&b, 5);
    appends(&b, 10);
    does(at(&b, 100), "");
    says(&b, 6, "REPLCONF capa eof capa psync2 capa ouro");
    says(&b, 6, "PSYNC ? -1");
    snapshot(&b, REPL_SNAPSHOT_READY, 2, 0);
    simple(&b, REPL_SNAPSHOT_SENT, 6);
    ack(&b, repl_offset(b.r));
    does_have(says(&b, 6, "REPLCONF ACK 0"), "");
    appends(&b, 10);
    cr_assert_leq(repl_deadline(b.r), b.env.now + 25);
    int64_t before = repl_offset(b.r);
    at(&b, 25);
    cr_assert_gt(repl_offset(b.r), before);
    const struct repl_action *a = &b.actions.v[b.actions.n - 1];
    cr_assert(memmem(a->blob->data + a->off, (size_t)(a->to - a->from), "ouro:5000125:i", 14), "idle");
    before = repl_offset(b.r);
    at(&b, 1000);
    cr_assert_eq(repl_offset(b.r), before, "nothing more to say");
    says(&b, 6, "REPLCONF ACK 10 MARKS 100");
    at(&b, 100);
    cr_assert_gt(repl_offset(b.r), before, "a heartbeat was asked for");
    bench_done(&b);
}

static void hear_mark(struct bench *b, msec_t wall, const char *tail)
{
    char line[64];
    snprintf(line, sizeof(line), "PING ouro:%lld%s", (long long)wall, tail);
    says(b, LINK(1), line);
}

Test(lag, a_replica_knows_its_age_by_the_marks)
{
    struct bench b = bench_new();
    says(&b, 9, "REPLICAOF m 6379");
    simple(&b, REPL_PEER_UP, LINK(1));
    hears(&b, LINK(1), "+PONG\r\n+OK\r\n+OK ouro 7000000 master\r\n"); /* 2000 s ahead of us */
    hears(&b, LINK(1), "+FULLRESYNC " ID_A " 100\r\n$3\r\nrdb");
    simple(&b, REPL_LOADED, 0);
    cr_assert_eq(repl_staleness(b.r, b.env.now), 0);
    hear_mark(&b, 7000000 - 700, "");
    cr_assert_eq(repl_staleness(b.r, b.env.now), 700);
    cr_assert_eq(repl_staleness(b.r, b.env.now + 300), 1000, "writes go on over there");
    hear_mark(&b, 7000000 - 20, ":i");
    cr_assert_eq(repl_staleness(b.r, b.env.now + 500), 0, "there was no more to say");
    b.env.now += 600;
    b.env.wall += 600;
    hears(&b, LINK(1), "xxxx");
    cr_assert_eq(repl_staleness(b.r, b.env.now + 100), 100);
    simple(&b, REPL_PEER_DOWN, LINK(1));
    cr_assert_geq(repl_staleness(b.r, b.env.now + 5000), 5000, "without a link it only grows");
    bench_done(&b);
}

Test(lag, acks_come_quickly_to_one_of_us)
{
    struct bench b = bench_new();
    says(&b, 9, "REPLICAOF m 6379");
    simple(&b, REPL_PEER_UP, LINK(1));
    hears(&b, LINK(1), "+PONG\r\n+OK\r\n+OK ouro 5000000 master\r\n");
    hears(&b, LINK(1), "+FULLRESYNC " ID_A " 100\r\n$3\r\nrdb");
    simple(&b, REPL_LOADED, 0);
    hears(&b, LINK(1), "0123456789");
    does(applied(&b, 110), "");
    cr_assert_leq(repl_deadline(b.r), b.env.now + 40);
    does_have(at(&b, 40), "ACK\\r\\n$3\\r\\n110");
    does(at(&b, 500), "");
    bench_done(&b);
}

Test(lag, reads_that_are_too_old_are_known)
{
    struct repl_config c = bench_config();
    c.max_staleness_ms = 1000;
    struct bench b = bench_with(&c);
    cr_assert(!repl_too_stale(b.r, b.env.now), "a master is never stale");
    linked(&b);
    hear_mark(&b, b.env.wall - 800, "");
    cr_assert(!repl_too_stale(b.r, b.env.now));
    cr_assert(repl_too_stale(b.r, b.env.now + 300));
    bench_done(&b);
}
