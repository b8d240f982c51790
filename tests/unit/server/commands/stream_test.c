/* Streams: replies in RESP2, events, and the effects that others must hear. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "harness.h"

extern const struct command stream_commands[], stream_add_commands[], stream_read_commands[],
    stream_group_commands[];
extern const struct command stream_claim_commands[], stream_info_commands[], string_commands[];

static const struct command *const families[] = {
    stream_commands,       stream_add_commands,  stream_read_commands, stream_group_commands,
    stream_claim_commands, stream_info_commands, string_commands,      NULL,
};
static struct harness h;

/* What server/blocked.c would do. */
static bool may_block;
static char waits_for[64];

bool call_may_block(const struct call *c)
{
    (void)c;
    return may_block;
}

void block_on_keys(struct call *c, const struct bytes *keys, int n, enum value_type type,
                   msec_t deadline, unsigned flags)
{
    (void)keys, (void)flags;
    cr_assert_eq(type, TYPE_STREAM);
    struct bytes id = c->argv[c->argc - 1];
    snprintf(waits_for, sizeof(waits_for), "%d keys, %.*s, %lld ms", n, (int)id.n, id.p,
             deadline ? (long long)(deadline - HARNESS_NOW) : 0);
    resp_simple_str(c->w, "WAITS");
}

static void setup(void)
{
    harness_init(&h, families);
    h.limits.stream_node_max_entries = 3;
    h.limits.stream_node_max_bytes = 4096;
    may_block = false;
}

static void teardown(void)
{
    harness_done(&h);
}

TestSuite(stream, .init = setup, .fini = teardown, .timeout = 30);

#define TIME "1700000000000"
#define CLAIM(id, consumer, count, last)                                                           \
    "XCLAIM s g " consumer " 0 " id " TIME " TIME " RETRYCOUNT " count " FORCE JUSTID "            \
                                                                       "LASTID " last

Test(stream, an_entry_goes_out_with_the_id_that_it_got)
{
    static const struct step steps[] = {
        { "XADD s 1-1 a b", "'1-1'", "new s, xadd s", "XADD s 1-1 a b" },
        { "XADD s 1-* a b", "'1-2'", "xadd s", "XADD s 1-2 a b" },
        { "XADD s * a b", "'" TIME "-0'", "xadd s", "XADD s " TIME "-0 a b" },
        { "XADD s * a b", "'" TIME "-1'", "xadd s", "XADD s " TIME "-1 a b" },
        { "XADD s NOMKSTREAM * a b", "'" TIME "-2'", "xadd s", "XADD s NOMKSTREAM " TIME "-2 a b" },
        { "XADD none NOMKSTREAM * a b", "nil", "", "" },
        { "XADD s 1-5 a b",
          "-ERR The ID specified in XADD is equal or smaller than the target stream top item", "",
          "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(stream, approximate_trimming_goes_out_exact_and_without_a_limit)
{
    static const struct step steps[] = {
        { "XADD s 1-1 a b", "'1-1'", NULL, NULL },
        { "XADD s 1-2 a b", "'1-2'", NULL, NULL },
        { "XADD s 1-3 a b", "'1-3'", NULL, NULL },
        { "XADD s MAXLEN ~ 2 1-4 a b", "'1-4'", "xadd s", "XADD s MAXLEN = 4 1-4 a b" },
        { "XADD s MAXLEN ~ 1 LIMIT 10 1-5 a b", "'1-5'", "xadd s, xtrim s",
          "XADD s MAXLEN = 2 1-5 a b" },
        { "XADD s MINID ~ 1-5 1-6 a b", "'1-6'", "xadd s", "XADD s MINID = 1-4 1-6 a b" },
        { "XTRIM s MAXLEN ~ 0 LIMIT 2", ":0", "", "" },
        { "XTRIM s MAXLEN ~ 0 LIMIT 3", ":3", "xtrim s", "XTRIM s MAXLEN = 0" },
        { "XADD s 1-7 a b", "'1-7'", NULL, NULL },
        { "XTRIM s MINID 9", ":1", "xtrim s", "XTRIM s MINID 9" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(stream, what_a_consumer_reads_goes_out_as_claims)
{
    static const struct step steps[] = {
        { "XADD s 1-1 a 1", "'1-1'", NULL, NULL },
        { "XADD s 1-2 a 2", "'1-2'", NULL, NULL },
        { "XADD s 1-3 a 3", "'1-3'", NULL, NULL },
        { "XGROUP CREATE s g 0", "OK", "xgroup-create s", "XGROUP CREATE s g 0" },
        { "XREADGROUP GROUP g alice COUNT 2 STREAMS s >",
          "[['s' [['1-1' ['a' '1']] ['1-2' ['a' '2']]]]]", "xgroup-createconsumer s",
          "MULTI; " CLAIM("1-1", "alice", "1", "1-1") "; " CLAIM("1-2", "alice", "1",
                                                                 "1-2") "; EXEC" },
        { "XREADGROUP GROUP g alice STREAMS s 0", "[['s' [['1-1' ['a' '1']] ['1-2' ['a' '2']]]]]",
          "", "" },
        { "XREADGROUP GROUP g bob NOACK STREAMS s >", "[['s' [['1-3' ['a' '3']]]]]",
          "xgroup-createconsumer s",
          "MULTI; XGROUP CREATECONSUMER s g bob; XGROUP SETID s g 1-3 ENTRIESREAD 3; EXEC" },
        { "XREADGROUP GROUP g carol STREAMS s >", "nil", "xgroup-createconsumer s", "" },
        { "XACK s g 1-1 1-1", ":1", "", "XACK s g 1-1 1-1" },
        { "XACK s g 1-1", ":0", "", "" },
        { "XPENDING s g", "[:1 '1-2' '1-2' [['alice' '1']]]", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(stream, claims_go_out_as_what_they_came_to)
{
    static const struct step steps[] = {
        { "XADD s 1-1 a 1", "'1-1'", NULL, NULL },
        { "XADD s 1-2 a 2", "'1-2'", NULL, NULL },
        { "XGROUP CREATE s g 0", "OK", NULL, NULL },
        { "XREADGROUP GROUP g a STREAMS s >", "[['s' [['1-1' ['a' '1']] ['1-2' ['a' '2']]]]]", NULL,
          NULL },
        { "XCLAIM s g b 0 1-1", "[['1-1' ['a' '1']]]", "xgroup-createconsumer s",
          CLAIM("1-1", "b", "2", "1-2") },
        { "XCLAIM s g b 100 1-2", "[]", "", "" },
        { "XCLAIM s g b 0 1-1 JUSTID", "['1-1']", "", CLAIM("1-1", "b", "2", "1-2") },
        { "XCLAIM s g b 0 9-9 LASTID 5-5", "[]", "", "XGROUP SETID s g 5-5 ENTRIESREAD 2" },
        { "XDEL s 1-1", ":1", "xdel s", "XDEL s 1-1" },
        { "XAUTOCLAIM s g a 0 -", "['0-0' [['1-2' ['a' '2']]] ['1-1']]", "",
          "MULTI; " CLAIM("1-1", "b", "2", "5-5") "; " CLAIM("1-2", "a", "2", "5-5") "; EXEC" },
        { "XPENDING s g - + 10", "[['1-2' 'a' :0 :2]]", "", "" },
        { "XGROUP DELCONSUMER s g a", ":1", "xgroup-delconsumer s", "XGROUP DELCONSUMER s g a" },
        { "XGROUP DESTROY s g", ":1", "xgroup-destroy s", "XGROUP DESTROY s g" },
        { "XGROUP DESTROY s g", ":0", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(stream, waiting_from_now_on_means_the_id_of_now)
{
    may_block = true;
    harness_run(&h, "XADD s 7-3 a b");
    cr_expect_str_eq(harness_run(&h, "XREAD BLOCK 50 STREAMS s $"), "WAITS");
    cr_expect_str_eq(waits_for, "1 keys, 7-3, 50 ms");
    cr_expect_str_eq(harness_run(&h, "XREAD BLOCK 0 STREAMS none s $ $"), "WAITS");
    cr_expect_str_eq(waits_for, "2 keys, 7-3, 0 ms");
    cr_expect_str_eq(harness_run(&h, "XREAD BLOCK 0 STREAMS s 7-2"), "[['s' [['7-3' ['a' 'b']]]]]");
    harness_run(&h, "XGROUP CREATE s g $");
    cr_expect_str_eq(harness_run(&h, "XREADGROUP GROUP g c BLOCK 5 STREAMS s >"), "WAITS");
    cr_expect_str_eq(harness_run(&h, "XREADGROUP GROUP g c BLOCK 5 STREAMS s 0"), "[['s' []]]");
    cr_expect_str_eq(harness_run(&h, "XREAD BLOCK 9223372036854775807 STREAMS s $"),
                     "-ERR timeout is out of range");
}

Test(stream, nothing_changes_before_an_error)
{
    static const struct step steps[] = {
        { "XADD s MAXLEN -1 1-1 a b", "-ERR The MAXLEN argument must be >= 0.", "", "" },
        { "XADD s 1-1 a", "-ERR wrong number of arguments for 'xadd' command", "", "" },
        { "XADD s 0-0 a b", "-ERR The ID specified in XADD must be greater than 0-0", "", "" },
        { "XADD s 18446744073709551615-18446744073709551615 a b",
          "'18446744073709551615-18446744073709551615'", NULL, NULL },
        { "XADD s * a b",
          "-ERR The stream has exhausted the last possible ID, unable to add more items", "", "" },
        { "XDEL s 1-1 x", "-ERR Invalid stream ID specified as stream command argument", "", "" },
        { "XGROUP CREATE none g 0",
          "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want "
          "to use the MKSTREAM option to create an empty stream automatically.",
          "", "" },
        { "XREADGROUP GROUP g c STREAMS s >",
          "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option", "",
          "" },
        { "SET str x", "OK", NULL, NULL },
        { "XADD str * a b", "-WRONGTYPE Operation against a key holding the wrong kind of value",
          "", "" },
    };
    HARNESS_STEPS(&h, steps);
}
