/* SET, GET and their forms, counters, parts of strings, LCS. Replies, events and effects as servers
 * of 7.2 give them. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "common/prng.h"
#include "harness.h"

extern const struct command ping_commands[], string_commands[], string_range_commands[],
    lcs_commands[];
extern const struct command generic_commands[], expire_commands[];

static const struct command *const families[] = {
    ping_commands, string_commands,  string_range_commands,
    lcs_commands,  generic_commands, expire_commands,
    NULL,
};
static struct harness h;

static void setup(void)
{
    harness_init(&h, families);
}

static void teardown(void)
{
    harness_done(&h);
}

TestSuite(string, .init = setup, .fini = teardown, .timeout = 30);

Test(string, ping_and_echo)
{
    static const struct step steps[] = {
        { "PING", "PONG", "", "" },
        { "PING hello", "'hello'", "", "" },
        { "PING a b", "-ERR wrong number of arguments for 'ping' command", "", "" },
        { "ECHO \"\"", "''", "", "" },
        { "ECHO", "-ERR wrong number of arguments for 'echo' command", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(string, ping_of_a_subscriber)
{
    h.subscriber = true;
    static const struct step steps[] = {
        { "PING", "['pong' '']", "", "" },
        { "PING hello", "['pong' 'hello']", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(string, set_and_get)
{
    static const struct step steps[] = {
        { "GET a", "nil", "keymiss a", "" },
        { "SET a 1", "OK", "new a, set a", "SET a 1" },
        { "GET a", "'1'", "", "" },
        { "OBJECT ENCODING a", "'int'", "", "" },
        { "SET a \"\\x00\\xff\"", "OK", "set a", "SET a \\x00\\xff" },
        { "GET a", "'\\x00\\xff'", "", "" },
        { "OBJECT ENCODING a", "'embstr'", "", "" },
        { "SET a 01", "OK", "set a", "SET a 01" },
        { "OBJECT ENCODING a", "'embstr'", "", "" },
        { "SET a 123456789012345678901234567890123456789012345", "OK", NULL, NULL },
        { "OBJECT ENCODING a", "'raw'", "", "" },
        { "SET a \"\"", "OK", NULL, NULL },
        { "GET a", "''", "", "" },
    };
    HARNESS_STEPS(&h, steps);
    harness_add_zset(&h, "z");
    static const struct step other_type[] = {
        { "GET z", "-WRONGTYPE Operation against a key holding the wrong kind of value", "", "" },
        { "SET z x GET", "-WRONGTYPE Operation against a key holding the wrong kind of value", "",
          "" },
        { "GETSET z x", "-WRONGTYPE Operation against a key holding the wrong kind of value", "",
          "" },
        { "GETDEL z", "-WRONGTYPE Operation against a key holding the wrong kind of value", "",
          "" },
        { "GETEX z EX 0", "-WRONGTYPE Operation against a key holding the wrong kind of value", "",
          "" },
        { "STRLEN z", "-WRONGTYPE Operation against a key holding the wrong kind of value", "",
          "" },
        { "APPEND z x", "-WRONGTYPE Operation against a key holding the wrong kind of value", "",
          "" },
        { "SETRANGE z 0 \"\"", "-WRONGTYPE Operation against a key holding the wrong kind of value",
          "", "" },
        { "GETRANGE z 0 1", "-WRONGTYPE Operation against a key holding the wrong kind of value",
          "", "" },
        { "INCR z", "-WRONGTYPE Operation against a key holding the wrong kind of value", "", "" },
        { "INCRBYFLOAT z foo", "-WRONGTYPE Operation against a key holding the wrong kind of value",
          "", "" },
        { "MGET z", "[nil]", "", "" },
        { "SET z x", "OK", "set z", "SET z x" },
        { "TYPE z", "string", "", "" },
    };
    HARNESS_STEPS(&h, other_type);
}

Test(string, options_of_set)
{
    static const struct step steps[] = {
        { "SET a 1 foo", "-ERR syntax error", "", "" },
        { "SET a 1 EX", "-ERR syntax error", "", "" },
        { "SET a 1 NX XX", "-ERR syntax error", "", "" },
        { "SET a 1 EX 10 PX 10", "-ERR syntax error", "", "" },
        { "SET a 1 EX 10 KEEPTTL", "-ERR syntax error", "", "" },
        { "SET a 1 KEEPTTL EX 10", "-ERR syntax error", "", "" },
        { "SET a 1 PERSIST", "-ERR syntax error", "", "" },
        { "SET a 1 EX 0 foo", "-ERR syntax error", "", "" },
        { "SET a 1 XX", "nil", "", "" },
        { "SET a 1 XX GET", "nil", "keymiss a", "" },
        { "SET a 1 nx Nx", "OK", "new a, set a", "SET a 1 nx Nx" },
        { "SET a 2 NX", "nil", "", "" },
        { "SET a 2 NX GET", "'1'", "", "" },
        { "SET a 3 XX GET", "'1'", "set a", "SET a 3 XX" },
        { "SET a 4 GET GET KEEPTTL", "'3'", "set a", "SET a 4 KEEPTTL" },
        { "SET b GET GET", "nil", "keymiss b, new b, set b", "SET b GET" },
        { "SET a 5 EX 100", "OK", "set a, expire a", "SET a 5 PXAT 1700000100000" },
        { "PTTL a", ":100000", "", "" },
        { "SET a 6 KEEPTTL", "OK", "set a", "SET a 6 KEEPTTL" },
        { "PTTL a", ":100000", "", "" },
        { "SET a 7 GET PX 1500", "'6'", "set a, expire a", "SET a 7 PXAT 1700000001500" },
        { "SET a 8 exat 1700000002 xx", "OK", "set a, expire a", "SET a 8 PXAT 1700000002000" },
        { "PEXPIRETIME a", ":1700000002000", "", "" },
        { "SET a 8 EX 0 EX 7 ex 9", "OK", "set a, expire a", "SET a 8 PXAT 1700000009000" },
        { "SET a 9", "OK", "set a", "SET a 9" },
        { "TTL a", ":-1", "", "" },
        { "SET a 1 PXAT 9223372036854775807", "OK", "set a, expire a",
          "SET a 1 PXAT 9223372036854775807" },
        { "PEXPIRETIME a", ":9223372036854775807", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(string, expiry_times_of_set)
{
    static const struct step steps[] = {
        { "SET a 1", "OK", NULL, NULL },
        { "SET a 2 EX foo", "-ERR value is not an integer or out of range", "", "" },
        { "SET a 2 EX 0", "-ERR invalid expire time in 'set' command", "", "" },
        { "SET a 2 PX -1", "-ERR invalid expire time in 'set' command", "", "" },
        { "SET a 2 EXAT 0", "-ERR invalid expire time in 'set' command", "", "" },
        { "SET a 2 EX 9223372036854775807", "-ERR invalid expire time in 'set' command", "", "" },
        { "SET a 2 EX 9223372036854775", "-ERR invalid expire time in 'set' command", "", "" },
        { "SET a 2 PX 9223372036854775807", "-ERR invalid expire time in 'set' command", "", "" },
        { "SET a 2 EXAT 9223372036854776", "-ERR invalid expire time in 'set' command", "", "" },
        { "SETEX a 0 v", "-ERR invalid expire time in 'setex' command", "", "" },
        { "SETEX a foo v", "-ERR value is not an integer or out of range", "", "" },
        { "PSETEX a 9223372036854775807 v", "-ERR invalid expire time in 'psetex' command", "",
          "" },
        { "GET a", "'1'", "", "" },
        { "SETEX a 10 v", "OK", "set a, expire a", "SET a v PXAT 1700000010000" },
        { "PSETEX a 10 v", "OK", "set a, expire a", "SET a v PXAT 1700000000010" },
        { "SET a 1 EXAT 1", "OK", "del a", "DEL a" },
        { "EXISTS a", ":0", NULL, NULL },
        { "SET a 1 PXAT 1700000000000", "OK", "", "" },
        { "DBSIZE", ":0", "", "" },
        { "SET a 1", "OK", NULL, NULL },
        { "SET a 1 PXAT 1 GET", "'1'", "del a", "DEL a" },
        { "SET a 1 PXAT 1 NX", "OK", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(string, a_replica_keeps_what_its_master_lets_expire)
{
    h.flags = CALL_FROM_MASTER;
    static const struct step steps[] = {
        { "SET a 1 PXAT 5", "OK", "new a, set a, expire a", NULL },
        { "DBSIZE", ":1", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(string, forms_of_set_and_get)
{
    static const struct step steps[] = {
        { "SETNX a 1", ":1", "new a, set a", "SETNX a 1" },
        { "SETNX a 2", ":0", "", "" },
        { "GETSET a 2", "'1'", "set a", "SET a 2" },
        { "GETSET b 3", "nil", "keymiss b, new b, set b", "SET b 3" },
        { "GETDEL b", "'3'", "del b", "DEL b" },
        { "GETDEL b", "nil", "keymiss b", "" },
        { "MSET a 1 b 2 a 3", "OK", "set a, new b, set b, set a", "MSET a 1 b 2 a 3" },
        { "MSET a 1 b", "-ERR wrong number of arguments for 'mset' command", "", "" },
        { "MGET a b c a", "['3' '2' nil '3']", "keymiss c", "" },
        { "MSETNX c 1 a 2", ":0", "", "" },
        { "MSETNX c 1", ":1", "new c, set c", "MSETNX c 1" },
        { "MSETNX d 1 d 2", ":1", "new d, set d, set d", "MSETNX d 1 d 2" },
        { "GET d", "'2'", "", "" },
        { "MSETNX d", "-ERR wrong number of arguments for 'msetnx' command", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(string, getex)
{
    static const struct step steps[] = {
        { "GETEX a EX foo", "nil", "keymiss a", "" },
        { "SET a v", "OK", NULL, NULL },
        { "GETEX a", "'v'", "", "" },
        { "GETEX a foo", "-ERR syntax error", "", "" },
        { "GETEX a EX", "-ERR syntax error", "", "" },
        { "GETEX a NX", "-ERR syntax error", "", "" },
        { "GETEX a KEEPTTL", "-ERR syntax error", "", "" },
        { "GETEX a PERSIST EX 10", "-ERR syntax error", "", "" },
        { "GETEX a EX 0", "-ERR invalid expire time in 'getex' command", "", "" },
        { "GETEX a EX 100", "'v'", "expire a", "PEXPIREAT a 1700000100000" },
        { "PTTL a", ":100000", "", "" },
        { "GETEX a PERSIST", "'v'", "persist a", "PERSIST a" },
        { "GETEX a PERSIST", "'v'", "", "" },
        { "GETEX a PXAT 1800000000000", "'v'", "expire a", "PEXPIREAT a 1800000000000" },
        { "GETEX a PXAT 1", "'v'", "del a", "DEL a" },
        { "EXISTS a", ":0", NULL, NULL },
    };
    HARNESS_STEPS(&h, steps);
}

Test(string, counters)
{
    static const struct step steps[] = {
        { "INCR a", ":1", "new a, incrby a", "INCR a" },
        { "INCRBY a 41", ":42", "incrby a", "INCRBY a 41" },
        { "DECR a", ":41", "incrby a", "DECR a" },
        { "DECRBY a -9", ":50", "incrby a", "DECRBY a -9" },
        { "INCRBY a foo", "-ERR value is not an integer or out of range", "", "" },
        { "INCRBY a 9223372036854775807", "-ERR increment or decrement would overflow", "", "" },
        { "DECRBY a -9223372036854775808", "-ERR decrement would overflow", "", "" },
        { "GET a", "'50'", "", "" },
        { "SET a -9223372036854775808", "OK", NULL, NULL },
        { "DECR a", "-ERR increment or decrement would overflow", "", "" },
        { "SET a 01", "OK", NULL, NULL },
        { "INCR a", "-ERR value is not an integer or out of range", "", "" },
        { "SET a \" 1\"", "OK", NULL, NULL },
        { "INCR a", "-ERR value is not an integer or out of range", "", "" },
        { "SET a 5 EX 10", "OK", NULL, NULL },
        { "INCR a", ":6", "incrby a", "INCR a" },
        { "PTTL a", ":10000", "", "" },
        { "APPEND a 1", ":2", NULL, NULL },
        { "OBJECT ENCODING a", "'raw'", NULL, NULL },
        { "INCR a", ":62", NULL, NULL },
        { "OBJECT ENCODING a", "'int'", NULL, NULL },
    };
    HARNESS_STEPS(&h, steps);
}

Test(string, incrbyfloat)
{
    static const struct step steps[] = {
        { "INCRBYFLOAT a 3.0e3", "'3000'", "new a, incrbyfloat a", "SET a 3000 KEEPTTL" },
        { "OBJECT ENCODING a", "'embstr'", "", "" },
        { "INCRBYFLOAT a 200.5", "'3200.5'", "incrbyfloat a", "SET a 3200.5 KEEPTTL" },
        { "INCRBYFLOAT a -0.5", "'3200'", NULL, NULL },
        { "INCRBYFLOAT a 0.1", "'3200.10000000000000009'", NULL, NULL },
        { "INCRBYFLOAT a foo", "-ERR value is not a valid float", "", "" },
        { "INCRBYFLOAT a nan", "-ERR value is not a valid float", "", "" },
        { "INCRBYFLOAT a \" 1\"", "-ERR value is not a valid float", "", "" },
        { "INCRBYFLOAT a inf", "-ERR increment would produce NaN or Infinity", "", "" },
        { "SET a 0.1 EX 100", "OK", NULL, NULL },
        { "INCRBYFLOAT a 0.2", "'0.3'", "incrbyfloat a", "SET a 0.3 KEEPTTL" },
        { "PTTL a", ":100000", "", "" },
        { "INCRBYFLOAT a -0.3", "'0'", NULL, NULL },
        { "SET a \"\"", "OK", NULL, NULL },
        { "INCRBYFLOAT a 1", "-ERR value is not a valid float", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(string, parts_of_strings)
{
    static const struct step steps[] = {
        { "APPEND a foo", ":3", "new a, append a", "APPEND a foo" },
        { "OBJECT ENCODING a", "'embstr'", "", "" },
        { "APPEND a bar", ":6", "append a", "APPEND a bar" },
        { "OBJECT ENCODING a", "'raw'", "", "" },
        { "APPEND n 5", ":1", "new n, append n", "APPEND n 5" },
        { "OBJECT ENCODING n", "'int'", "", "" },
        { "APPEND n \"\"", ":1", "append n", "APPEND n " },
        { "STRLEN a", ":6", "", "" },
        { "STRLEN x", ":0", "keymiss x", "" },
        { "SETRANGE a 4 XYZ", ":7", "setrange a", "SETRANGE a 4 XYZ" },
        { "GET a", "'foobXYZ'", "", "" },
        { "SETRANGE a 1 \"\"", ":7", "", "" },
        { "SETRANGE x 5 \"\"", ":0", "", "" },
        { "EXISTS x", ":0", NULL, NULL },
        { "SETRANGE x 2 ab", ":4", "new x, setrange x", "SETRANGE x 2 ab" },
        { "GET x", "'\\x00\\x00ab'", "", "" },
        { "SETRANGE x -1 ab", "-ERR offset is out of range", "", "" },
        { "SETRANGE x foo ab", "-ERR value is not an integer or out of range", "", "" },
        { "SETRANGE x 536870911 ab",
          "-ERR string exceeds maximum allowed size (proto-max-bulk-len)", "", "" },
        { "SETRANGE y 9223372036854775807 ab",
          "-ERR string exceeds maximum allowed size (proto-max-bulk-len)", "", "" },
        { "EXISTS y", ":0", NULL, NULL },
        { "GETRANGE a 0 -1", "'foobXYZ'", "", "" },
        { "GETRANGE a 5 2", "''", "", "" },
        { "GETRANGE a -3 -2", "'XY'", "", "" },
        { "GETRANGE a -100 100", "'foobXYZ'", "", "" },
        { "GETRANGE a -5 -100", "''", "", "" },
        { "GETRANGE a -100 -99", "'f'", "", "" },
        { "GETRANGE a 7 9", "''", "", "" },
        { "GETRANGE a 6 9223372036854775807", "'Z'", "", "" },
        { "GETRANGE a -9223372036854775808 0", "'f'", "", "" },
        { "GETRANGE nokey 0 1", "''", "keymiss nokey", "" },
        { "GETRANGE nokey foo 1", "-ERR value is not an integer or out of range", "", "" },
        { "SUBSTR n 0 0", "'5'", "", "" },
        { "SET a 12 EX 10", "OK", NULL, NULL },
        { "SETRANGE a 0 9", ":2", NULL, NULL },
        { "APPEND a 1", ":3", NULL, NULL },
        { "PTTL a", ":10000", "", "" },
        { "GET a", "'921'", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(string, growth_is_limited)
{
    h.bulk_max = 1024 * 1024;
    static const struct step steps[] = {
        { "SETRANGE a 1048575 x", ":1048576", NULL, NULL },
        { "APPEND a x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)", "", "" },
        { "APPEND a \"\"", ":1048576", NULL, NULL },
        { "SETRANGE a 1048575 xy", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)",
          "", "" },
        { "STRLEN a", ":1048576", NULL, NULL },
    };
    HARNESS_STEPS(&h, steps);
}

/* ---- values that arrive in blobs ---- */

static char large[3000];

static void run_large(int i, const char *before, const char *after)
{
    memset(large, 'x', sizeof(large));
    struct bytes argv[8];
    int argc = 0;
    argv[argc++] = bytes_of_str(before);
    while (argc < i)
        argv[argc++] = BYTES("key");
    argv[argc++] = bytes_of(large, sizeof(large));
    if (after) {
        argv[argc++] = BYTES("key");
        argv[argc++] = bytes_of_str(after);
    }
    h.large_arg = i;
    harness_run_argv(&h, argc, argv);
    h.large_arg = 0;
}

Test(string, a_large_value_is_kept_as_it_came)
{
    run_large(2, "SET", NULL);
    cr_expect_str_eq(harness_run(&h, "STRLEN key"), ":3000");
    cr_expect_str_eq(harness_run(&h, "GETRANGE key 2997 -1"), "'xxx'");
    cr_expect_str_eq(harness_run(&h, "APPEND key yz"), ":3002");
    cr_expect_str_eq(harness_run(&h, "GETRANGE key -3 -1"), "'xyz'");
}

Test(string, the_effect_of_mset_outlives_a_large_value_that_it_replaced)
{
    run_large(2, "MSET", "small");
    cr_expect_eq(h.effects.n, strlen("MSET key  key small") + sizeof(large));
    cr_expect_str_eq(harness_run(&h, "GET key"), "'small'");
}

/* ---- LCS ---- */

Test(string, lcs)
{
    static const struct step steps[] = {
        { "MSET a ohmytext b mynewtext", "OK", NULL, NULL },
        { "LCS a b", "'mytext'", "", "" },
        { "LCS a b LEN", ":6", "", "" },
        { "LCS a b IDX", "['matches' [[[:4 :7] [:5 :8]] [[:2 :3] [:0 :1]]] 'len' :6]", "", "" },
        { "LCS a b IDX MINMATCHLEN 4", "['matches' [[[:4 :7] [:5 :8]]] 'len' :6]", "", "" },
        { "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN", "['matches' [[[:4 :7] [:5 :8] :4]] 'len' :6]",
          "", "" },
        { "LCS a b IDX MINMATCHLEN -1 WITHMATCHLEN",
          "['matches' [[[:4 :7] [:5 :8] :4] [[:2 :3] [:0 :1] :2]] 'len' :6]", "", "" },
        { "LCS a b LEN IDX", "-ERR If you want both the length and indexes, please just use IDX.",
          "", "" },
        { "LCS a b LEN foo", "-ERR syntax error", "", "" },
        { "LCS a b MINMATCHLEN", "-ERR syntax error", "", "" },
        { "LCS a b MINMATCHLEN x", "-ERR value is not an integer or out of range", "", "" },
        { "LCS a nokey", "''", "keymiss nokey", "" },
        { "LCS nokey a IDX", "['matches' [] 'len' :0]", "keymiss nokey", "" },
        { "LCS nokey nokey LEN", ":0", "keymiss nokey, keymiss nokey", "" },
        { "LCS a a", "'ohmytext'", "", "" },
    };
    HARNESS_STEPS(&h, steps);
    harness_add_zset(&h, "z");
    cr_expect_str_eq(harness_run(&h, "LCS a z LEN IDX"),
                     "-ERR The specified keys must contain string values");
}

Test(string, lcs_has_the_limit_of_the_textbooks_matrix)
{
    h.bulk_max = 1024 * 1024;
    harness_run(&h, "SETRANGE a 510 x");
    harness_run(&h, "SETRANGE b 510 x");
    cr_expect_str_eq(harness_run(&h, "LCS a b LEN"), ":511");
    harness_run(&h, "APPEND b x");
    cr_expect_str_eq(
        harness_run(&h, "LCS a b LEN"),
        "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
}

/* The textbook's way, with the tie broken as Redis breaks it: up only if that is longer. */
static size_t lcs_model(struct bytes a, struct bytes b, char *ret_text)
{
    static unsigned m[201][201];
    for (size_t i = 0; i <= a.n; i++)
        for (size_t j = 0; j <= b.n; j++)
            if (i == 0 || j == 0)
                m[i][j] = 0;
            else if (a.p[i - 1] == b.p[j - 1])
                m[i][j] = m[i - 1][j - 1] + 1;
            else
                m[i][j] = m[i - 1][j] > m[i][j - 1] ? m[i - 1][j] : m[i][j - 1];
    size_t i = a.n, j = b.n, n = m[a.n][b.n], at = n;
    while (i > 0 && j > 0) {
        if (a.p[i - 1] == b.p[j - 1]) {
            ret_text[--at] = a.p[i - 1];
            i--, j--;
        } else if (m[i - 1][j] > m[i][j - 1]) {
            i--;
        } else {
            j--;
        }
    }
    cr_assert_eq(at, 0);
    return n;
}

Test(string, lcs_agrees_with_the_textbook)
{
    struct prng rng;
    prng_init(&rng, 20240229);
    for (int round = 0; round < 300; round++) {
        char text[2][200], model[203];
        unsigned letters = 1 + (unsigned)prng_below(&rng, 6);
        struct bytes s[2];
        for (int k = 0; k < 2; k++) {
            s[k] = bytes_of(text[k], prng_below(&rng, sizeof(text[k]) + 1));
            for (size_t i = 0; i < s[k].n; i++)
                text[k][i] = (char)('a' + prng_below(&rng, letters));
            struct bytes set[3] = { BYTES("SET"), k ? BYTES("b") : BYTES("a"), s[k] };
            harness_run_argv(&h, 3, set);
        }
        size_t n = lcs_model(s[0], s[1], model + 1);
        model[0] = model[n + 1] = '\'';
        model[n + 2] = '\0';
        cr_assert_str_eq(harness_run(&h, "LCS a b"), model);
        snprintf(model, sizeof(model), ":%zu", n);
        cr_assert_str_eq(harness_run(&h, "LCS a b LEN"), model);
    }
}
