/* A machine as master: what replicas say and get. */
#include "tests/unit/replication/bench.h"

Test(master, replconf_answers_as_redis_does)
{
    char longer[320];
    memset(longer, 'a', sizeof(longer));
    memcpy(longer, "REPLCONF ip-address ", 20);
    longer[319] = 0;
    const struct {
        const char *line, *reply;
    } cases[] = {
        { "REPLCONF", "+OK" },
        { "REPLCONF a", "-ERR syntax error" },
        { "REPLCONF a b", "-ERR Unrecognized REPLCONF option: a" },
        { "REPLCONF listening-port x", "-ERR value is not an integer or out of range" },
        { "REPLCONF listening-port 99999999", "+OK" },
        { "REPLCONF listening-port 1 foo 2", "-ERR Unrecognized REPLCONF option: foo" },
        { "REPLCONF capa x", "+OK" },
        { "REPLCONF CAPA eof CAPA psync2", "+OK" },
        { "REPLCONF version 8.1.0", "+OK" },
        { "REPLCONF rdb-only 2", "-ERR value is out of range, value must between 0 and 1" },
        { "REPLCONF rdb-only x", "-ERR value is not an integer or out of range" },
        { "REPLCONF rdb-filter-only x", "-ERR Unsupported rdb-filter-only option: x" },
        { "REPLCONF rdb-filter-only functions", "+OK" },
        { "REPLCONF rdb-filter-only \"\"", "+OK" },
        { "REPLCONF rdb-filter-only \"\\\"a\"", "-ERR Missing rdb-filter-only values" },
        { "REPLCONF fack 1", "-ERR Unrecognized REPLCONF option: fack" },
        { longer, "-ERR REPLCONF ip-address provided by replica instance is too long: 299 bytes" },
    };
    struct bench b = bench_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char expected[200];
        snprintf(expected, sizeof(expected), "SEND 5 \"%s\\r\\n\"", cases[i].reply);
        does(says(&b, 5, cases[i].line), expected);
    }
    does(says(&b, 5, "REPLCONF ack 1"), "");
    does(says(&b, 5, "REPLCONF ack x"), "");
    does(says(&b, 5, "REPLCONF ack 1 fack x"), "");
    does(says(&b, 5, "REPLCONF getack *"), "");
    bench_done(&b);
}

Test(master, one_of_us_learns_our_time_and_role)
{
    struct bench b = bench_new();
    does(says(&b, 5, "REPLCONF capa eof capa psync2 capa ouro"), "SEND 5 \"+OK ouro 5000000 master\\r\\n\"");
    bench_done(&b);
}

Test(master, a_full_sync_without_disk)
{
    struct bench b = bench_new();
    says(&b, 5, "REPLCONF capa eof capa psync2");
    const char *did = says(&b, 5, "PSYNC ? -1");
    does_begin(did, "ATTACH 5; RESELECT; START #1 stream v11; SEND 5 \"+FULLRESYNC ");
    does_have(did, " 0\\r\\n\"; SEND 5 \"$EOF:");
    does_have(did, "; IMAGE 5 #1; STREAM on");
    cr_assert(repl_streams(b.r));
    does(appends(&b, 100), "");
    does(snapshot(&b, REPL_SNAPSHOT_READY, 1, 0), "");
    does_begin(simple(&b, REPL_SNAPSHOT_SENT, 5), "SEND 5 \""); /* the mark, and no byte of the stream */
    does(appends(&b, 100), "");
    does(says(&b, 5, "REPLCONF ACK 0"), "RANGE 5 0-200");
    does(appends(&b, 50), "RANGE 5 200-250");
    bench_done(&b);
}

Test(master, a_full_sync_from_disk_is_shared_by_who_comes_meanwhile)
{
    struct bench b = bench_new();
    does_have(says(&b, 5, "PSYNC ? -1"), "START #1 disk v11; SEND 5 \"+FULLRESYNC ");
    does(appends(&b, 10), "");
    does_have(says(&b, 6, "SYNC"), "ATTACH 6");
    says(&b, 7, "REPLCONF rdb-only 1");
    says(&b, 7, "PSYNC ? -1");
    does(at(&b, 1000), "SEND 5 \"\\n\"; SEND 6 \"\\n\"; SEND 7 \"\\n\"");
    does(snapshot(&b, REPL_SNAPSHOT_READY, 1, 333),
         "SEND 5 \"$333\\r\\n\"; IMAGE 5 #1; SEND 6 \"$333\\r\\n\"; IMAGE 6 #1; SEND 7 \"$333\\r\\n\"; IMAGE 7 #1");
    does(simple(&b, REPL_SNAPSHOT_SENT, 5), "RANGE 5 0-10");
    does(simple(&b, REPL_SNAPSHOT_SENT, 6), "RANGE 6 0-10");
    does(simple(&b, REPL_SNAPSHOT_SENT, 7), "DROP #1; CLOSE_SENT 7");
    bench_done(&b);
}

Test(master, the_diskless_delay_gathers_replicas)
{
    struct repl_config c = bench_config();
    c.diskless_delay_ms = 5000;
    c.diskless_max_replicas = 3;
    struct bench b = bench_with(&c);
    for (uint64_t i = 5; i < 7; i++) {
        says(&b, i, "REPLCONF capa eof capa psync2");
        does_begin(says(&b, i, "PSYNC ? -1"), "ATTACH");
        cr_assert_null(strstr(buf_cstr(&b.text), "START"));
    }
    cr_assert_leq(repl_deadline(b.r), b.env.now + 5000);
    at(&b, 4999);
    cr_assert_null(strstr(buf_cstr(&b.text), "START"));
    does_have(at(&b, 1), "START #1 stream");
    for (uint64_t i = 7; i < 10; i++) {
        says(&b, i, "REPLCONF capa eof capa psync2");
        says(&b, i, "PSYNC ? -1");
    }
    does_have(snapshot(&b, REPL_SNAPSHOT_FAILED, 1, 0), "CLOSE 5; CLOSE 6; DROP #1");
    does_have(buf_cstr(&b.text), "START #2 stream"); /* three wait: no delay */
    said(&b, "no space left");
    bench_done(&b);
}

Test(master, an_image_waits_for_another_child_and_dies_with_its_last_replica)
{
    struct bench b = bench_new();
    b.env.child_busy = true;
    does_have(says(&b, 5, "PSYNC ? -1"), "ATTACH 5");
    cr_assert_null(strstr(buf_cstr(&b.text), "START"));
    b.env.child_busy = false;
    does_have(at(&b, 10), "START #1 disk");
    does(simple(&b, REPL_PEER_DOWN, 5), "DROP #1");
    does(snapshot(&b, REPL_SNAPSHOT_READY, 1, 5), "");
    bench_done(&b);
}

Test(master, versions_and_filters_have_images_of_their_own)
{
    struct repl_config c = bench_config();
    c.rdb_version = 0;
    c.diskless_sync = false;
    struct bench b = bench_with(&c);
    does_have(says(&b, 5, "PSYNC ? -1"), "START #1 disk v10"); /* who knows who it is */
    says(&b, 6, "REPLCONF version 7.2.4");
    says(&b, 6, "PSYNC ? -1");
    says(&b, 7, "REPLCONF capa eof rdb-filter-only functions");
    says(&b, 7, "PSYNC ? -1");
    does_have(snapshot(&b, REPL_SNAPSHOT_READY, 1, 5), "START #2 disk v11");
    does_have(snapshot(&b, REPL_SNAPSHOT_READY, 2, 5), "START #3 stream v10 filter 1");
    says(&b, 8, "REPLCONF rdb-filter-only \"\"");
    does(says(&b, 8, "PSYNC ? -1"), "SEND 8 \"-ERR Filtered replica requires EOF capability\\r\\n\"");
    bench_done(&b);
}

Test(master, a_partial_sync_sends_what_is_missing)
{
    struct bench b = bench_new();
    attached(&b, 5);
    appends(&b, 300);
    simple(&b, REPL_PEER_DOWN, 5);
    appends(&b, 100);
    char line[80];
    says(&b, 6, "REPLCONF capa psync2");
    snprintf(line, sizeof(line), "PSYNC %s 301", repl_replid(b.r));
    const char *did = says(&b, 6, line);
    does_begin(did, "ATTACH 6; SEND 6 \"+CONTINUE ");
    does_have(did, "RANGE 6 300-400");
    does_have(says(&b, 7, line), "SEND 7 \"+CONTINUE\\r\\n\""); /* without psync2 */
    snprintf(line, sizeof(line), "PSYNC %s 402", repl_replid(b.r));
    does_have(says(&b, 8, line), "START #2");
    said(&b, "greater than the master replication offset");
    bench_done(&b);
}

Test(master, psync_is_refused_in_words)
{
    struct bench b = bench_new();
    does(says(&b, 5, "PSYNC ? x"), "SEND 5 \"-ERR value is not an integer or out of range\\r\\n\"");
    does(says(&b, 5, "PSYNC " ID_A " 1 FAILOVER"), "SEND 5 \"-ERR PSYNC FAILOVER can't be sent to a master.\\r\\n\"");
    does(says(&b, 5, "PSYNC ? -1 x"), "SEND 5 \"-ERR syntax error\\r\\n\"");
    struct bytes argv[] = { BYTES("PSYNC"), BYTES("?"), BYTES("-1") };
    struct repl_event e = { .kind = REPL_COMMAND, .peer = 5 };
    e.command = (struct repl_command){ .argc = 3, .argv = argv, .pending_output = true };
    does(bench_step(&b, &e), "SEND 5 \"-ERR SYNC and PSYNC are invalid with pending output\\r\\n\"");
    attached(&b, 6);
    does(says(&b, 6, "PSYNC ? -1"), ""); /* it is one already */
    says(&b, 9, "REPLICAOF m 1");
    does_have(says(&b, 5, "PSYNC ? -1"), "-NOMASTERLINK Can't SYNC while not connected with my master");
    bench_done(&b);
}

Test(master, a_replica_that_acknowledges_what_was_never_written_is_closed)
{
    struct bench b = bench_new();
    attached(&b, 5);
    appends(&b, 10);
    does(says(&b, 5, "REPLCONF ACK 11"), "CLOSE 5");
    said(&b, "never written");
    attached(&b, 6);
    does(says(&b, 6, "REPLCONF ACK 10 FACK 11"), "CLOSE 6");
    bench_done(&b);
}

Test(master, silence_ends_a_replica_but_not_one_that_cannot_acknowledge)
{
    struct bench b = bench_new();
    attached(&b, 5);
    says(&b, 6, "SYNC");
    snapshot(&b, REPL_SNAPSHOT_READY, 2, 1);
    simple(&b, REPL_SNAPSHOT_SENT, 6);
    at(&b, 40000);
    simple(&b, REPL_PEER_ALIVE, 5); /* it is loading */
    at(&b, 40000);
    cr_assert_null(strstr(buf_cstr(&b.text), "CLOSE"));
    does_begin(at(&b, 20000), "CLOSE 5");
    cr_assert_null(strstr(buf_cstr(&b.text), "CLOSE 6"));
    bench_done(&b);
}

Test(master, pings_while_there_are_replicas_and_no_pause)
{
    struct bench b = bench_new();
    does(at(&b, 20000), "");
    attached(&b, 5);
    int64_t before = repl_offset(b.r);
    does_have(at(&b, 10000), "RANGE 5");
    cr_assert_eq(repl_offset(b.r), before + 14);
    b.env.paused = true;
    does(at(&b, 10000), "");
    bench_done(&b);
}

Test(master, without_replicas_the_backlog_dies_and_the_id_with_it)
{
    struct bench b = bench_new();
    cr_assert_eq(repl_append(b.r, BYTES("12345")), 1, "nobody keeps the bytes: a write counts one");
    char first[41], second[41];
    strcpy(first, repl_replid(b.r));
    attached(&b, 5);
    strcpy(second, repl_replid(b.r));
    cr_assert_str_neq(first, second, "what was not kept must not be claimed");
    simple(&b, REPL_PEER_DOWN, 5);
    at(&b, 3599 * 1000);
    cr_assert(repl_streams(b.r));
    does(at(&b, 1000), "STREAM off");
    cr_assert_str_neq(repl_replid(b.r), second);
    bench_done(&b);
}

Test(master, good_replicas_are_those_that_speak_and_are_young)
{
    struct repl_config c = bench_config();
    c.min_replicas = 1;
    c.min_replicas_max_lag_ms = 10000;
    struct bench b = bench_with(&c);
    cr_assert(!repl_writes_allowed(b.r, b.env.now));
    attached(&b, 5);
    cr_assert(repl_writes_allowed(b.r, b.env.now + 10999));
    cr_assert(!repl_writes_allowed(b.r, b.env.now + 11000));
    c.min_replicas_max_staleness_ms = 200;
    struct repl_event e = { .kind = REPL_CONFIGURED, .config = &c };
    bench_step(&b, &e);
    appends(&b, 10);
    at(&b, 100);
    cr_assert(repl_writes_allowed(b.r, b.env.now));
    cr_assert(!repl_writes_allowed(b.r, b.env.now + 2000), "its data are two seconds old");
    bench_done(&b);
}

Test(master, a_started_master_goes_on_by_the_id_of_its_file)
{
    struct repl_config c = bench_config();
    unsigned char seed[REPL_SEED_BYTES] = { 1 };
    struct bench b = { .r = repl_new(&c, seed), .env = { .now = 1 } };
    b.text = b.traces = BUF_INIT(BUF_UNLIMITED);
    struct repl_event e = { .kind = REPL_STARTED };
    e.started.replid = BYTES(ID_A);
    e.started.offset = 500;
    does(bench_step(&b, &e), "STREAM on; RESELECT");
    cr_assert_str_neq(repl_replid(b.r), ID_A);
    says(&b, 5, "REPLCONF capa psync2");
    does_have(says(&b, 5, "PSYNC " ID_A " 501"), "+CONTINUE");
    does_have(says(&b, 6, "PSYNC " ID_A " 400"), "START");
    bench_done(&b);
}

Test(master, wait_is_woken_by_enough_acks_or_by_time)
{
    struct bench b = bench_new();
    attached(&b, 5);
    attached(&b, 6);
    appends(&b, 100);
    struct repl_event e = { .kind = REPL_WAIT };
    e.wait = (struct repl_wait){ 77, repl_offset(b.r), 2, b.env.now + 500, false };
    int64_t offset = e.wait.offset;
    char ack[64];
    snprintf(ack, sizeof(ack), "REPLCONF ACK %lld", (long long)offset);
    does_have(bench_step(&b, &e), "RANGE 5"); /* GETACK */
    does(says(&b, 5, ack), "");
    does(says(&b, 6, ack), "WAKE 77=2");
    does(bench_step(&b, &e), "WAKE 77=2"); /* they have it already */
    appends(&b, 1);
    e.wait = (struct repl_wait){ 78, repl_offset(b.r), 1, b.env.now + 500, false };
    bench_step(&b, &e);
    cr_assert_leq(repl_deadline(b.r), b.env.now + 500);
    does(at(&b, 500), "WAKE 78=0");
    e.wait.id = 79;
    e.wait.deadline = REPL_NEVER;
    bench_step(&b, &e);
    e.kind = REPL_UNWAIT;
    does(bench_step(&b, &e), "");
    snprintf(ack, sizeof(ack), "REPLCONF ACK %lld FACK 3", (long long)repl_offset(b.r));
    does(says(&b, 5, ack), "");
    cr_assert_eq(repl_acked(b.r, 3, true), 1);
    cr_assert_eq(repl_acked(b.r, 4, true), 0);
    bench_done(&b);
}

Test(master, what_it_holds_is_freed)
{
    size_t before = mem_used();
    struct bench b = bench_new();
    for (uint64_t i = 1; i < 20; i++)
        attached(&b, i);
    appends(&b, 3000000);
    says(&b, 30, "REPLCONF capa eof");
    bench_done(&b);
    cr_assert_eq(mem_used(), before);
}
