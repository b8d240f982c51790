/* A machine as replica: the handshake, the payload, the stream, and masters that lie or vanish at every step. */
#include "tests/unit/replication/bench.h"

#define PING  "SEND L1 \"*1\\r\\n$4\\r\\nPING\\r\\n\""
#define PORT  "SEND L1 \"*3\\r\\n$8\\r\\nREPLCONF\\r\\n$14\\r\\nlistening-port\\r\\n$4\\r\\n7000\\r\\n\""
#define CAPA                                                                                               \
    "SEND L1 \"*7\\r\\n$8\\r\\nREPLCONF\\r\\n$4\\r\\ncapa\\r\\n$3\\r\\neof\\r\\n$4\\r\\ncapa\\r\\n$6\\r\\npsync2" \
    "\\r\\n$4\\r\\ncapa\\r\\n$4\\r\\nouro\\r\\n\""
#define ACK(n, digits) \
    "SEND L1 \"*3\\r\\n$8\\r\\nREPLCONF\\r\\n$3\\r\\nACK\\r\\n$" digits "\\r\\n" n "\\r\\n\""

Test(replica, the_handshake_waits_for_nothing_but_answers)
{
    struct bench b = bench_new();
    does(says(&b, 9, "REPLICAOF m 6379"), "SET_ROLE replica; CONNECT L1 m:6379; SEND 9 \"+OK\\r\\n\"");
    does(says(&b, 9, "REPLICAOF M 6379"), "SEND 9 \"+OK Already connected to specified master\\r\\n\"");
    does(simple(&b, REPL_PEER_UP, LINK(1)), PING);
    does(hears(&b, LINK(1), "+PO"), "");
    does(hears(&b, LINK(1), "NG\r\n"), PORT "; " CAPA);
    does(hears(&b, LINK(1), "-ERR what?\r\n"), "");
    said(&b, "(Non critical)");
    does_begin(hears(&b, LINK(1), "+OK\r\n"), "SEND L1 \"*3\\r\\n$5\\r\\nPSYNC\\r\\n$40\\r\\n"); /* our own history */
    does(hears(&b, LINK(1), "\n\n\n+FULLRESYNC " ID_A " 100\r\n\n$10\r\n0123"), "LOAD_BEGIN L1 10; CHUNK L1 \"0123\"");
    does(hears(&b, LINK(1), "456789+stream"), "CHUNK L1 \"456789\"; LINK_PAUSE L1; LOAD_END L1");
    does(hears(&b, LINK(1), "+more"), "");
    does(at(&b, 1000), "SEND L1 \"\\n\""); /* we live */
    does(simple(&b, REPL_LOADED, 0), "LINK_RESUME L1; " ACK("100", "3") "; APPLY L1 \"+stream+more\"");
    cr_assert_str_eq(repl_replid(b.r), ID_A);
    cr_assert_eq(repl_offset(b.r), 100);
    applied(&b, 107);
    cr_assert_eq(repl_offset(b.r), 107);
    bench_done(&b);
}

Test(replica, names_itself_and_its_password)
{
    struct repl_config c = bench_config();
    c.master_auth = "secret";
    c.master_user = "repl";
    c.announce_ip = "1.2.3.4";
    struct bench b = bench_with(&c);
    says(&b, 9, "REPLICAOF m 6379");
    simple(&b, REPL_PEER_UP, LINK(1));
    const char *did = hears(&b, LINK(1), "-NOAUTH Authentication required.\r\n");
    does_begin(did, "SEND L1 \"*3\\r\\n$4\\r\\nAUTH\\r\\n$4\\r\\nrepl\\r\\n$6\\r\\nsecret\\r\\n\"; " PORT);
    does_have(did, "ip-address\\r\\n$7\\r\\n1.2.3.4");
    does(hears(&b, LINK(1), "+OK\r\n+OK\r\n-ERR no\r\n"), "");
    does_have(hears(&b, LINK(1), "+OK\r\n"), "PSYNC");
    bench_done(&b);
}

/* What a master says behind our PING; each ends the attempt, our data stay, and we try again. */
Test(replica, a_bad_line_ends_the_attempt)
{
    static const char *const lines[] = {
        "-ERR go away\r\n",
        "HTTP/1.1 400 Bad Request\r\n",
        "$5\r\nhello\r\n",
        "+PONG\r\n+OK\r\nfoo\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " ID_A "\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " ID_A "a 1\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " ID_A " -1\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " ID_A " 9223372036854775807\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " ID_A " 1 1\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC gaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+CONTINUE xyz\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+CONTINUED\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+WHAT\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n-NOMASTERLINK Can't SYNC\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n-LOADING\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " ID_A " 1\r\n-ERR no space\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " ID_A " 1\r\nREDIS0011\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " ID_A " 1\r\n$-1\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " ID_A " 1\r\n$0\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " ID_A " 1\r\n$99999999999999999999\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " ID_A " 1\r\n$EOF:short\r\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        struct bench b = bench_new();
        char id[41];
        strcpy(id, repl_replid(b.r));
        says(&b, 9, "REPLICAOF m 6379");
        simple(&b, REPL_PEER_UP, LINK(1));
        does_have(hears(&b, LINK(1), lines[i]), "CLOSE L1");
        said(&b, "Next attempt in 0 ms");
        cr_assert_str_eq(repl_replid(b.r), id, "%s", lines[i]);
        cr_assert_leq(repl_deadline(b.r), b.env.now);
        does(at(&b, 0), "CONNECT L2 m:6379");
        bench_done(&b);
    }
}

Test(replica, endless_lines_and_endless_newlines_end)
{
    struct bench b = bench_new();
    asked(&b);
    char long_line[5000];
    memset(long_line, 'x', sizeof(long_line));
    does(hears_bytes(&b, LINK(1), bytes_of(long_line, sizeof(long_line))), "CLOSE L1");
    at(&b, 0);
    simple(&b, REPL_PEER_UP, LINK(2));
    memset(long_line, '\n', sizeof(long_line));
    for (int i = 0; i < 209; i++)
        does(hears_bytes(&b, LINK(2), bytes_of(long_line, sizeof(long_line))), "");
    does(hears_bytes(&b, LINK(2), bytes_of(long_line, sizeof(long_line))), "CLOSE L2");
    bench_done(&b);
}

Test(replica, pauses_grow_and_a_link_that_lived_is_tried_at_once)
{
    struct bench b = bench_new();
    says(&b, 9, "REPLICAOF m 6379");
    msec_t last = -1;
    for (unsigned i = 1; i < 10; i++) {
        simple(&b, REPL_PEER_DOWN, LINK(i));
        msec_t pause = repl_deadline(b.r) - b.env.now;
        cr_assert_geq(pause, last < 1000 ? last : 1000);
        cr_assert_leq(pause, 1250);
        last = pause;
        b.env.now += pause;
        does_begin(at(&b, 0), "CONNECT L");
    }
    simple(&b, REPL_PEER_DOWN, LINK(3)); /* an older one: not ours any more */
    does(buf_cstr(&b.text), "");
    at(&b, 2000);
    simple(&b, REPL_PEER_DOWN, LINK(10));
    cr_assert_eq(repl_deadline(b.r), b.env.now);
    bench_done(&b);
}

Test(replica, a_link_that_is_cut_again_and_again_is_not_given_long_pauses)
{
    struct bench b = bench_new();
    linked(&b);
    for (unsigned i = 1; i < 8; i++) {
        at(&b, 100);
        simple(&b, REPL_PEER_DOWN, LINK(i));
        msec_t pause = repl_deadline(b.r) - b.env.now;
        cr_assert_leq(pause, 63);
        b.env.now += pause;
        does_begin(at(&b, 0), "CONNECT L");
        simple(&b, REPL_PEER_UP, LINK(i + 1));
        hears(&b, LINK(i + 1), "+PONG\r\n+OK\r\n+OK\r\n+CONTINUE\r\n");
        cr_assert(repl_link_up(b.r));
    }
    bench_done(&b);
}

Test(replica, the_mark_is_found_wherever_the_pieces_are_cut)
{
    const char payload[] = "REDIS0011-some-data-of-a-length" MARK;
    size_t n = sizeof(payload) - 1;
    for (size_t first = 0; first <= n; first += 3) {
        for (size_t step = 1; step < 60; step += 13) {
            struct bench b = bench_new();
            struct buf got = BUF_INIT(1000);
            asked(&b);
            hears(&b, LINK(1), "+FULLRESYNC " ID_A " 7\r\n$EOF:" MARK "\r\n");
            bool ended = false;
            for (size_t i = 0; i < n;) {
                size_t k = i == 0 && first ? first : step;
                k = k < n - i ? k : n - i;
                cr_assert(!ended);
                hears_bytes(&b, LINK(1), bytes_of(payload + i, k));
                for (size_t j = 0; j < b.actions.n; j++) {
                    if (b.actions.v[j].kind == REPL_LOAD_CHUNK)
                        buf_append(&got, b.actions.v[j].bytes);
                    ended |= b.actions.v[j].kind == REPL_LOAD_END;
                }
                i += k;
            }
            cr_assert(ended);
            cr_assert(bytes_eq(buf_bytes(&got), bytes_of(payload, n - 40)));
            buf_done(&got);
            bench_done(&b);
        }
    }
}

Test(replica, a_load_that_fails_leaves_the_data_or_says_that_they_are_gone)
{
    struct bench b = bench_new();
    char id[41];
    strcpy(id, repl_replid(b.r));
    asked(&b);
    hears(&b, LINK(1), "+FULLRESYNC " ID_A " 7\r\n$100\r\nabc");
    does(simple(&b, REPL_LOAD_FAILED, 0), "CLOSE L1"); /* no space for the file */
    cr_assert_str_eq(repl_replid(b.r), id);
    at(&b, 0);
    simple(&b, REPL_PEER_UP, LINK(2));
    hears(&b, LINK(2), "+PONG\r\n+OK\r\n+OK\r\n");
    hears(&b, LINK(2), "+FULLRESYNC " ID_A " 7\r\n$3\r\nabc");
    does_have(simple(&b, REPL_LOAD_FAILED, 0), "CLOSE L2");
    cr_assert_str_neq(repl_replid(b.r), id, "the old data are flushed: they must not be claimed");
    at(&b, 1000);
    simple(&b, REPL_PEER_UP, LINK(3));
    does_have(hears(&b, LINK(3), "+PONG\r\n+OK\r\n+OK\r\n"), "PSYNC\\r\\n$1\\r\\n?\\r\\n$2\\r\\n-1");
    bench_done(&b);
}

Test(replica, a_link_lost_while_loading_goes_on_from_what_was_loaded)
{
    struct bench b = bench_new();
    asked(&b);
    hears(&b, LINK(1), "+FULLRESYNC " ID_A " 7\r\n$3\r\nabc");
    does(simple(&b, REPL_PEER_DOWN, LINK(1)), "");
    does(simple(&b, REPL_LOADED, 0), "");
    cr_assert_str_eq(repl_replid(b.r), ID_A);
    does(at(&b, 0), "CONNECT L2 m:6379");
    simple(&b, REPL_PEER_UP, LINK(2));
    does_have(hears(&b, LINK(2), "+PONG\r\n+OK\r\n+OK\r\n"), "PSYNC\\r\\n$40\\r\\n" ID_A "\\r\\n$1\\r\\n8\\r\\n");
    bench_done(&b);
}

Test(replica, getack_tells_the_offset_before_itself)
{
    struct bench b = bench_new();
    linked(&b);
    does(hears(&b, LINK(1), "SET.....GETACK...."), "APPLY L1 \"SET.....GETACK....\"");
    applied(&b, 108);
    does(says(&b, LINK(1), "REPLCONF GETACK *"), ACK("108", "3"));
    applied(&b, 118);
    does(at(&b, 1000), ACK("118", "3"));
    bench_done(&b);
}

Test(replica, continue_with_another_id_makes_ours_the_second)
{
    struct bench b = bench_new();
    linked(&b);
    hears(&b, LINK(1), "0123456789");
    applied(&b, 105); /* half of it */
    attached(&b, 5);  /* a replica of ours */
    does(simple(&b, REPL_PEER_DOWN, LINK(1)), "APPLY_RESET");
    cr_assert_eq(repl_offset(b.r), 105);
    at(&b, 0);
    simple(&b, REPL_PEER_UP, LINK(2));
    does_have(hears(&b, LINK(2), "+PONG\r\n+OK\r\n+OK\r\n"), ID_A "\\r\\n$3\\r\\n106\\r\\n");
    const char *did = hears(&b, LINK(2), "+CONTINUE " ID_B "\r\n56789");
    does_begin(did, "CLOSE 5; ");
    does_have(did, "APPLY L2 \"56789\"");
    struct repl_view v;
    repl_view(b.r, b.env.now, &v);
    cr_assert_str_eq(v.replid, ID_B);
    cr_assert_str_eq(v.replid2, ID_A);
    cr_assert_eq(v.second_offset, 106);
    cr_assert_eq(v.read_offset, 110);
    bench_done(&b);
}

Test(replica, relays_what_was_applied_and_nothing_else)
{
    struct bench b = bench_new();
    linked(&b);
    attached(&b, 5);
    does(hears(&b, LINK(1), "0123456789"), "APPLY L1 \"0123456789\"");
    does(applied(&b, 104), "RANGE 5 100-104");
    cr_assert_eq(memcmp(b.actions.v[0].blob->data + b.actions.v[0].off, "0123", 4), 0);
    does(applied(&b, 110), "RANGE 5 104-110");
    bench_done(&b);
}

Test(replica, promotion_keeps_the_history_under_a_second_id)
{
    struct bench b = bench_new();
    linked(&b);
    hears(&b, LINK(1), "0123456789");
    applied(&b, 104);
    attached(&b, 5);
    const char *did = says(&b, 9, "REPLICAOF NO ONE");
    does_begin(did, "APPLY_RESET; CLOSE L1; SET_ROLE master; CLOSE 5; RESELECT");
    does_have(did, "STREAM on");
    struct repl_view v;
    repl_view(b.r, b.env.now, &v);
    cr_assert_str_eq(v.replid2, ID_A);
    cr_assert_eq(v.second_offset, 105);
    cr_assert_eq(v.offset, 104);
    says(&b, 6, "REPLCONF capa psync2");
    does_have(says(&b, 6, "PSYNC " ID_A " 105"), "+CONTINUE");
    does(says(&b, 9, "REPLICAOF NO ONE"), "SEND 9 \"+OK\\r\\n\"");
    bench_done(&b);
}

Test(replica, an_empty_master_is_refused_until_somebody_insists)
{
    struct bench b = bench_new();
    linked(&b);
    b.env.keys = 12;
    simple(&b, REPL_PEER_DOWN, LINK(1));
    at(&b, 0);
    simple(&b, REPL_PEER_UP, LINK(2));
    hears(&b, LINK(2), "+PONG\r\n+OK\r\n+OK\r\n");
    does(hears(&b, LINK(2), "+FULLRESYNC " ID_B " 14\r\n"), "CLOSE L2");
    said(&b, "our 12 keys are kept");
    struct repl_view v;
    repl_view(b.r, b.env.now, &v);
    cr_assert_eq(v.link, REPL_LINK_GUARDED);
    cr_assert_not_null(v.guard_text);
    does(at(&b, 100000), "");
    does_have(says(&b, 9, "REPLICAOF m 6379"), "CONNECT L3");
    simple(&b, REPL_PEER_UP, LINK(3));
    hears(&b, LINK(3), "+PONG\r\n+OK\r\n+OK\r\n");
    does(hears(&b, LINK(3), "+FULLRESYNC " ID_B " 14\r\n$3\r\n"), "LOAD_BEGIN L3 3");
    bench_done(&b);
}

Test(replica, the_guard_lets_older_histories_and_empty_replicas_pass)
{
    static const struct {
        uint64_t keys;
        const char *capa, *answer;
        bool passes;
    } cases[] = {
        { 12, "+OK", "+FULLRESYNC " ID_B " 100\r\n$3\r\n", true },
        { 0, "+OK", "+FULLRESYNC " ID_B " 14\r\n$3\r\n", true },
        { 12, "+OK ouro 1 replica", "+FULLRESYNC " ID_B " 14\r\n$3\r\n", true },
        { 12, "+OK ouro 1 master", "+FULLRESYNC " ID_B " 14\r\n$3\r\n", false },
        { 12, "+OK", "+FULLRESYNC " ID_A " 14\r\n$3\r\n", false }, /* ours, not caught up: later */
        { 12, "+OK", "-ERR unknown command 'PSYNC'\r\n", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct bench b = bench_new();
        linked(&b);
        b.env.keys = cases[i].keys;
        simple(&b, REPL_PEER_DOWN, LINK(1));
        at(&b, 0);
        simple(&b, REPL_PEER_UP, LINK(2));
        hears(&b, LINK(2), "+PONG\r\n+OK\r\n");
        hears(&b, LINK(2), cases[i].capa);
        hears(&b, LINK(2), "\r\n");
        const char *did = hears(&b, LINK(2), cases[i].answer);
        does(did, cases[i].passes ? "LOAD_BEGIN L2 3" : "CLOSE L2");
        bench_done(&b);
    }
}

Test(replica, falls_back_to_sync_and_never_acknowledges_then)
{
    struct bench b = bench_new();
    asked(&b);
    does(hears(&b, LINK(1), "-ERR unknown command 'PSYNC'\r\n"), "SEND L1 \"SYNC\\r\\n\"");
    does(hears(&b, LINK(1), "$3\r\nabc"), "LOAD_BEGIN L1 3; CHUNK L1 \"abc\"; LINK_PAUSE L1; LOAD_END L1");
    does(simple(&b, REPL_LOADED, 0), "LINK_RESUME L1");
    does(at(&b, 30000), "");
    simple(&b, REPL_PEER_DOWN, LINK(1));
    at(&b, 0);
    simple(&b, REPL_PEER_UP, LINK(2));
    does_have(hears(&b, LINK(2), "+PONG\r\n+OK\r\n+OK\r\n"), "PSYNC\\r\\n$1\\r\\n?");
    bench_done(&b);
}

Test(replica, silence_ends_every_state)
{
    struct bench b = bench_new();
    says(&b, 9, "REPLICAOF m 6379");
    does(at(&b, 60000), "CLOSE L1");
    does(at(&b, 0), "CONNECT L2 m:6379");
    simple(&b, REPL_PEER_UP, LINK(2));
    does(at(&b, 59999), "");
    does(at(&b, 1), "CLOSE L2");
    at(&b, 0);
    simple(&b, REPL_PEER_UP, LINK(3));
    hears(&b, LINK(3), "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " ID_A " 7\r\n$30\r\nabc");
    does(at(&b, 60000), "LOAD_ABORT; CLOSE L3");
    bench_done(&b);
    b = bench_new();
    linked(&b);
    for (int i = 0; i < 59; i++)
        at(&b, 1000);
    does(at(&b, 1000), "APPLY_RESET; CLOSE L1");
    said(&b, "MASTER timeout: no data nor PING received");
    bench_done(&b);
}

Test(replica, a_broken_stream_is_not_continued)
{
    struct bench b = bench_new();
    linked(&b);
    hears(&b, LINK(1), "garbage");
    struct repl_event e = { .kind = REPL_APPLY_FAILED, .text = BYTES("expected '*'") };
    does(bench_step(&b, &e), "APPLY_RESET; CLOSE L1");
    said(&b, "at offset 101");
    at(&b, 0);
    simple(&b, REPL_PEER_UP, LINK(2));
    does_have(hears(&b, LINK(2), "+PONG\r\n+OK\r\n+OK\r\n"), "PSYNC\\r\\n$1\\r\\n?");
    bench_done(&b);
}

Test(replica, a_change_of_master_waits_for_data_in_pieces)
{
    struct bench b = bench_new();
    asked(&b);
    hears(&b, LINK(1), "+FULLRESYNC " ID_A " 7\r\n$3\r\nabc");
    does(says(&b, 9, "REPLICAOF other 1"), "SEND 9 \"+OK\\r\\n\"");
    does(simple(&b, REPL_LOADED, 0), "CLOSE L1; CONNECT L2 other:1");
    cr_assert_str_eq(repl_replid(b.r), ID_A);
    bench_done(&b);
}

Test(replica, replicaof_is_checked)
{
    static const char *const lines[] = { "REPLICAOF a b", "REPLICAOF a 65536", "REPLICAOF a -1", "REPLICAOF no two" };
    struct bench b = bench_new();
    for (int i = 0; i < 4; i++)
        does(says(&b, 9, lines[i]), "SEND 9 \"-ERR Invalid master port\\r\\n\"");
    attached(&b, 5);
    does(says(&b, 5, "REPLICAOF a 1"), "SEND 5 \"-ERR Command is not valid when client is a replica.\\r\\n\"");
    bench_done(&b);
}

Test(replica, started_from_a_file_goes_on_from_it)
{
    struct repl_config c = bench_config();
    unsigned char seed[REPL_SEED_BYTES] = { 1 };
    for (int known = 0; known < 2; known++) {
        struct bench b = { .r = repl_new(&c, seed), .env = { .now = 1 } };
        b.text = b.traces = BUF_INIT(BUF_UNLIMITED);
        struct repl_event e = { .kind = REPL_STARTED, .follow = { BYTES("m"), 6379 } };
        if (known) {
            e.started.replid = BYTES(ID_A);
            e.started.offset = 500;
        }
        does(bench_step(&b, &e), "SET_ROLE replica; CONNECT L1 m:6379");
        simple(&b, REPL_PEER_UP, LINK(1));
        does_have(hears(&b, LINK(1), "+PONG\r\n+OK\r\n+OK\r\n"),
                  known ? ID_A "\\r\\n$3\\r\\n501" : "$1\\r\\n?\\r\\n$2\\r\\n-1");
        bench_done(&b);
    }
}
