/* Sets and their algebra: replies, events and effects of Redis 7.2. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

extern const struct command string_commands[], generic_commands[], set_commands[],
    set_ops_commands[], expire_commands[];

static const struct command *const families[] = { string_commands,  generic_commands, set_commands,
                                                  set_ops_commands, expire_commands,  NULL };
static struct harness h;

static void setup(void)
{
    harness_init(&h, families);
    harness_run(&h, "SET str x");
}

static void teardown(void)
{
    harness_done(&h);
}

TestSuite(set, .init = setup, .fini = teardown, .timeout = 60);

#define WRONG "-WRONGTYPE Operation against a key holding the wrong kind of value"

Test(set, adding_and_removing)
{
    uint64_t dirty = ks_stats(h.ks)->dirty;
    static const struct step steps[] = {
        { "SADD s a b a", ":2", "new s, sadd s", "SADD s a b a" },
        { "SADD s a", ":0", "", "" },
        { "SADD s '' c", ":2", "sadd s", "SADD s  c" },
        { "SREM s x", ":0", "", "" },
        { "SREM s a x '' a", ":2", "srem s", "SREM s a x  a" },
        { "SREM s b c", ":2", "srem s, del s", "SREM s b c" },
        { "EXISTS s", ":0", NULL, NULL },
        { "SREM s b c", ":0", "", "" },
        { "SADD str a", WRONG, "", "" },
        { "SREM str a", WRONG, "", "" },
    };
    HARNESS_STEPS(&h, steps);
    cr_assert_eq(ks_stats(h.ks)->dirty - dirty, 2 + 2 + 2 + 2, "every member counts as a change");
}

Test(set, asking)
{
    static const struct step steps[] = {
        { "SADD s 3 1 2", ":3", NULL, NULL },
        { "SCARD s", ":3", "", "" },
        { "SCARD no", ":0", "keymiss no", "" },
        { "SISMEMBER s 1", ":1", "", "" },
        { "SISMEMBER s 01", ":0", "", "" },
        { "SISMEMBER no 1", ":0", "keymiss no", "" },
        { "SMISMEMBER s 1 5 2 x", "[:1 :0 :1 :0]", "", "" },
        { "SMISMEMBER no 1 2", "[:0 :0]", "keymiss no", "" },
        { "SMEMBERS s", "['1' '2' '3']", "", "" },
        { "SMEMBERS no", "[]", "keymiss no", "" },
        { "SCARD str", WRONG, "", "" },
        { "SISMEMBER str 1", WRONG, "", "" },
        { "SMISMEMBER str 1", WRONG, "", "" },
        { "SMEMBERS str", WRONG, "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(set, moving)
{
    static const struct step steps[] = {
        { "SADD s 1 2 3", ":3", NULL, NULL },
        { "SMOVE s t 1", ":1", "srem s, new t, sadd t", "SMOVE s t 1" },
        { "SMOVE s t 1", ":0", "", "" },
        { "SMOVE s s 2", ":1", "", "" },
        { "SMOVE s s 9", ":0", "", "" },
        { "SMOVE no t 1", ":0", "", "" },
        { "SMOVE no str 1", ":0", "", "" },
        { "SMOVE s str 2", WRONG, "", "" },
        { "SMOVE str t 2", WRONG, "", "" },
        { "SADD t 2", ":1", NULL, NULL },
        { "SMOVE s t 2", ":1", "srem s", "SMOVE s t 2" },
        { "SMOVE s t 3", ":1", "srem s, del s, sadd t", "SMOVE s t 3" },
        { "EXISTS s", ":0", NULL, NULL },
        { "SMEMBERS t", "['1' '2' '3']", NULL, NULL },
    };
    HARNESS_STEPS(&h, steps);
}

Test(set, encodings_are_those_of_redis)
{
    h.limits.set_max_intset_entries = 4;
    h.limits.set_max_listpack_entries = 4;
    h.limits.set_max_listpack_value = 5;
    static const struct {
        const char *lines[4]; /* the key is s */
        const char *encoding;
    } cases[] = {
        { { "SADD s 1 2 3 4" }, "'intset'" },
        { { "SADD s 1 2 3 4", "SADD s 5" }, "'hashtable'" },
        { { "SADD s 1 1 1 1 1" }, "'hashtable'" }, /* five are announced */
        { { "SADD s 1", "SADD s 1 1 1 1 1" }, "'hashtable'" },
        { { "SADD s a", "SADD s a a a a a" }, "'hashtable'" },
        { { "SADD s a a a a" }, "'listpack'" },
        { { "SADD s 1 2 3", "SADD s a" }, "'listpack'" },
        { { "SADD s 1 2 3 4", "SADD s a" }, "'hashtable'" },
        { { "SADD s 1 2 3", "SADD s abcdef" }, "'hashtable'" },
        { { "SADD s 123456 1", "SADD s a" }, "'hashtable'" },
        { { "SADD a 1 2 x", "SADD b 1 2 y", "SINTERSTORE s a b" }, "'intset'" },
        { { "SADD a 1 2 x z", "SADD b 1 2 z y", "SINTERSTORE s a b" }, "'listpack'" },
        { { "SADD a 1 2 3 4 x y", "SADD b 1 2 3 4 z w", "SINTERSTORE s a b" }, "'intset'" },
        { { "SADD a 1 2 x", "SADD b x", "SDIFFSTORE s a b" }, "'intset'" },
        { { "SADD a 1 2 3 x", "SADD b 4 5", "SUNIONSTORE s a b" }, "'hashtable'" },
        { { "SADD a 1 2 3 x", "SADD b y", "SDIFFSTORE s a b b b" }, "'listpack'" },
        { { "SADD s 1 2 3 4", "SPOP s 3" }, "'intset'" },
        { { "SADD s a b c d", "SPOP s 3" }, "'listpack'" },
        { { "SADD s 1 2 3 4 5 6 7 8", "SPOP s 7" }, "'listpack'" },
        { { "SADD s 1 2 3 4 5 6 7 8", "SPOP s 2" }, "'hashtable'" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        harness_run(&h, "DEL a b s");
        for (int k = 0; k < 4 && cases[i].lines[k]; k++)
            harness_run(&h, cases[i].lines[k]);
        cr_expect_str_eq(harness_run(&h, "OBJECT ENCODING s"), cases[i].encoding, "case %zu", i);
    }
}

/* ---- SPOP ---- */

Test(set, popping)
{
    static const char positive[] = "-ERR value is out of range, must be positive";
    static const struct step steps[] = {
        { "SPOP no", "nil", "", "" },
        { "SPOP no 1", "[]", "", "" },
        { "SPOP no x", positive, "", "" },
        { "SPOP no -1", positive, "", "" },
        { "SPOP no 1 2", "-ERR syntax error", "", "" },
        { "SADD s a", ":1", NULL, NULL },
        { "SPOP s 0", "[]", "", "" },
        { "SPOP s", "'a'", "spop s, del s", "SREM s a" },
        { "EXISTS s", ":0", NULL, NULL },
        { "SADD s 7", ":1", NULL, NULL },
        { "SPOP s", "'7'", "spop s, del s", "SREM s 7" },
        { "SADD s 1 2 3", ":3", NULL, NULL },
        { "SPOP s 3", "['1' '2' '3']", "spop s, del s", "DEL s" },
        { "SADD s 1 2 3", ":3", NULL, NULL },
        { "SPOP s 9223372036854775807", "['1' '2' '3']", "spop s, del s", "DEL s" },
        { "SPOP str", WRONG, "", "" },
        { "SPOP str 1", WRONG, "", "" },
        { "SPOP str 0", WRONG, "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(set, popping_all_is_an_unlink_with_lazy_deletes)
{
    h.config.lazyfree_lazy_server_del = true;
    static const struct step steps[] = {
        { "SADD s a b", ":2", NULL, NULL },
        { "SPOP s 2", "['a' 'b']", "spop s, del s", "UNLINK s" },
        { "SADD s a", ":1", NULL, NULL },
        { "SPOP s", "'a'", "spop s, del s", "SREM s a" },
    };
    HARNESS_STEPS(&h, steps);
}

static void add_numbers(const char *key, const char *prefix, int from, int to)
{
    char line[64];
    for (int i = from; i < to; i++) {
        snprintf(line, sizeof(line), "SADD %s %s%d", key, prefix, i);
        harness_run(&h, line);
    }
}

/* The members of "['a' 'b']" as the arguments of the effect have them. */
static void check_popped(int k, const char *effect_head)
{
    char expect[1024];
    size_t n = (size_t)snprintf(expect, sizeof(expect), "%s", effect_head);
    for (size_t i = 1; i + 1 < h.reply.n; i++) {
        if (h.reply.p[i] != '\'')
            expect[n++] = h.reply.p[i];
    }
    expect[n] = '\0';
    cr_expect_str_eq(buf_cstr(&h.effects), expect, "popping %d", k);
}

Test(set, popping_some_says_which)
{
    static const char *const prefixes[] = { "", "m" };
    for (int p = 0; p < 2; p++) {
        for (int k = 1; k < 40; k++) {
            char line[64], left[16];
            harness_run(&h, "DEL s");
            add_numbers("s", prefixes[p], 0, 40);
            harness_run(&h, "PEXPIREAT s 1800000000000");
            snprintf(line, sizeof(line), "SPOP s %d", k);
            harness_run(&h, line);
            check_popped(k, "SREM s ");
            cr_expect_str_eq(buf_cstr(&h.events), "spop s");
            snprintf(left, sizeof(left), ":%d", 40 - k);
            cr_expect_str_eq(harness_run(&h, "SCARD s"), left);
            cr_expect_str_eq(harness_run(&h, "PEXPIRETIME s"), ":1800000000000",
                             "its life goes on");
        }
    }
}

Test(set, popping_many_is_told_in_parts)
{
    static const int counts[] = { 500, 2500, 2900 };
    for (int i = 0; i < 3; i++) {
        char line[64], left[16];
        harness_run(&h, "DEL s");
        add_numbers("s", "m", 0, 3000);
        snprintf(line, sizeof(line), "SPOP s %d", counts[i]);
        harness_run(&h, line);
        int parts = 0, members = 0;
        const char *effects = buf_cstr(&h.effects);
        for (const char *e = effects; (e = strstr(e, "SREM s")); e++)
            parts++;
        for (const char *e = effects; (e = strstr(e, " m")); e++)
            members++;
        cr_expect_eq(parts, (counts[i] + 1023) / 1024);
        cr_expect_eq(members, counts[i]);
        cr_expect_eq(strncmp(effects, "MULTI; ", 7) == 0, parts > 1);
        snprintf(left, sizeof(left), ":%d", 3000 - counts[i]);
        cr_expect_str_eq(harness_run(&h, "SCARD s"), left);
    }
}

/* ---- SRANDMEMBER ---- */

Test(set, random_members)
{
    static const struct step steps[] = {
        { "SRANDMEMBER no", "nil", "keymiss no", "" },
        { "SRANDMEMBER no 3", "[]", "keymiss no", "" },
        { "SRANDMEMBER no -9223372036854775807", "[]", NULL, NULL },
        { "SADD s a", ":1", NULL, NULL },
        { "SRANDMEMBER s", "'a'", "", "" },
        { "SRANDMEMBER s -3", "['a' 'a' 'a']", "", "" },
        { "SRANDMEMBER s 0", "[]", "", "" },
        { "SADD s b", ":1", NULL, NULL },
        { "SRANDMEMBER s 2", "['a' 'b']", "", "" },
        { "SRANDMEMBER s 9223372036854775807", "['a' 'b']", "", "" },
        { "SRANDMEMBER s -9223372036854775807", "-ERR value is out of range", "", "" },
        { "SRANDMEMBER s -9223372036854775808",
          "-ERR value is out of range, value must between -9223372036854775807 and "
          "9223372036854775807",
          "", "" },
        { "SRANDMEMBER s x", "-ERR value is not an integer or out of range", "", "" },
        { "SRANDMEMBER s 1 2", "-ERR syntax error", "", "" },
        { "SRANDMEMBER str", WRONG, "", "" },
        { "SRANDMEMBER str 1", WRONG, "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

/* ---- algebra ---- */

Test(set, results_for_clients)
{
    static const struct step steps[] = {
        { "SADD a 1 2 3 4 x y", ":6", NULL, NULL },
        { "SADD b 2 3 x q", ":4", NULL, NULL },
        { "SADD c 3 x", ":2", NULL, NULL },
        { "SINTER a", "['1' '2' '3' '4' 'x' 'y']", "", "" },
        { "SINTER a b c", "['3' 'x']", "", "" },
        { "SINTER a no b", "[]", "keymiss no", "" },
        { "SINTER no no", "[]", "keymiss no, keymiss no", "" },
        { "SUNION c b", "['2' '3' 'x' 'q']", "", "" },
        { "SUNION c c c c c c c", "['3' 'x']", "", "" },
        { "SUNION no", "[]", "keymiss no", "" },
        { "SDIFF a b", "['1' '4' 'y']", "", "" },
        { "SDIFF a no", "['1' '2' '3' '4' 'x' 'y']", "keymiss no", "" },
        { "SDIFF no a", "[]", "keymiss no", "" },
        { "SDIFF a b a", "[]", "", "" },
        { "SDIFF c b b b b b b b b b b b b", "[]", "", "" },
        { "SDIFF b c c c c c c c c c c c c", "['2' 'q']", "", "" },
        { "SINTER a str", WRONG, "", "" },
        { "SINTER no str", WRONG, "keymiss no", "" },
        { "SUNION a str", WRONG, "", "" },
        { "SDIFF no str", WRONG, "keymiss no", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(set, results_that_are_stored)
{
    static const struct step steps[] = {
        { "SADD a 1 2 3 4 x y", ":6", NULL, NULL },
        { "SADD b 2 3 x q", ":4", NULL, NULL },
        { "SADD c 3 x", ":2", NULL, NULL },
        { "SINTERSTORE d a b", ":3", "new d, sinterstore d", "SINTERSTORE d a b" },
        { "SMEMBERS d", "['2' '3' 'x']", NULL, NULL },
        { "SINTERSTORE d a no", ":0", "keymiss no, del d", "SINTERSTORE d a no" },
        { "SINTERSTORE d a no", ":0", "keymiss no", "" },
        { "SINTERSTORE d no str", WRONG, "keymiss no", "" },
        { "SINTERSTORE a a b", ":3", "sinterstore a", "SINTERSTORE a a b" },
        { "SMEMBERS a", "['2' '3' 'x']", NULL, NULL },
        { "SUNIONSTORE d a b c no", ":4", "keymiss no, new d, sunionstore d",
          "SUNIONSTORE d a b c no" },
        { "SUNIONSTORE d d d", ":4", "sunionstore d", "SUNIONSTORE d d d" },
        { "SUNIONSTORE d no", ":0", "keymiss no, del d", "SUNIONSTORE d no" },
        { "SDIFFSTORE d b c", ":2", "new d, sdiffstore d", "SDIFFSTORE d b c" },
        { "SDIFFSTORE b b c", ":2", "sdiffstore b", "SDIFFSTORE b b c" },
        { "SMEMBERS b", "['2' 'q']", NULL, NULL },
        { "SDIFFSTORE d b b", ":0", "del d", "SDIFFSTORE d b b" },
        { "SINTERSTORE str b b", ":2", "sinterstore str", NULL }, /* whatever it held */
        { "PEXPIREAT str 1800000000000", ":1", NULL, NULL },
        { "SUNIONSTORE str b", ":2", "sunionstore str", NULL },
        { "TTL str", ":-1", NULL, NULL },
    };
    HARNESS_STEPS(&h, steps);
}

Test(set, intercard)
{
    static const char keys[] = "-ERR numkeys should be greater than 0";
    static const char many[] = "-ERR Number of keys can't be greater than number of args";
    static const char limit[] = "-ERR LIMIT can't be negative";
    static const struct step steps[] = {
        { "SADD a 1 2 3", ":3", NULL, NULL },
        { "SADD b 2 3 4", ":3", NULL, NULL },
        { "SINTERCARD 2 a b", ":2", "", "" },
        { "SINTERCARD 2 a b LIMIT 1", ":1", "", "" },
        { "SINTERCARD 2 a b limit 0", ":2", "", "" },
        { "SINTERCARD 2 a b LIMIT 5 LIMIT 1", ":1", "", "" },
        { "SINTERCARD 2 a no", ":0", "keymiss no", "" },
        { "SINTERCARD 2 no str", WRONG, NULL, "" },
        { "SINTERCARD 0 a", keys, "", "" },
        { "SINTERCARD -1 a", keys, "", "" },
        { "SINTERCARD x a", keys, "", "" },
        { "SINTERCARD 2 a", many, "", "" },
        { "SINTERCARD 9223372036854775807 a", many, "", "" },
        { "SINTERCARD 1 a b", "-ERR syntax error", "", "" },
        { "SINTERCARD 1 a LIMIT", "-ERR syntax error", "", "" },
        { "SINTERCARD 1 a LIMIT x", limit, "", "" },
        { "SINTERCARD 1 a LIMIT -1", limit, "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

/* Sets of n members over the same 3 * n names in three encodings: whatever is combined, the counts
 * are those of arithmetic. */
Test(set, results_do_not_depend_on_encodings_and_sizes)
{
    static const int sizes[] = { 5, 100, 600, 3000 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        int n = sizes[i];
        char expect[16];
        harness_run(&h, "DEL a b c d e");
        add_numbers("a", "", 0, 2 * n);
        add_numbers("b", "", n, 3 * n);
        add_numbers("c", "", 2 * n, 3 * n);
        add_numbers("d", "m", 0, n);
        harness_run(&h, "SUNIONSTORE e b d"); /* another encoding of b, with more in it */
        static const struct {
            const char *line;
            int factor;
        } cases[] = {
            { "SINTERSTORE r a b", 1 },        { "SINTERSTORE r a e", 1 },
            { "SINTERSTORE r a c", 0 },        { "SUNIONSTORE r a b", 3 },
            { "SUNIONSTORE r c a", 3 },        { "SUNIONSTORE r a b c d e", 4 },
            { "SDIFFSTORE r a b", 1 },         { "SDIFFSTORE r e b", 1 },
            { "SDIFFSTORE r a b c c c d", 1 }, { "SDIFFSTORE r e d d d d d", 2 },
            { "SINTERCARD 2 a e", 1 },         { "SINTERCARD 3 a e b", 1 },
        };
        for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
            snprintf(expect, sizeof(expect), ":%d", cases[k].factor * n);
            cr_expect_str_eq(harness_run(&h, cases[k].line), expect, "%s, n %d", cases[k].line, n);
        }
    }
}

Test(set, replies_are_sets_in_resp3)
{
    h.out.w.resp = 3;
    static const struct step steps[] = {
        { "SADD s 1 2", ":2", NULL, NULL },   { "SMEMBERS s", "<'1' '2'>", "", "" },
        { "SMEMBERS no", "<>", NULL, NULL },  { "SINTER s", "<'1' '2'>", "", "" },
        { "SUNION s", "<'1' '2'>", "", "" },  { "SDIFF s", "<'1' '2'>", "", "" },
        { "SINTER no", "<>", NULL, NULL },    { "SPOP no 1", "<>", "", "" },
        { "SPOP s 0", "<>", "", "" },         { "SRANDMEMBER s 2", "['1' '2']", "", "" },
        { "SMISMEMBER s 1", "[:1]", "", "" }, { "SPOP s 2", "<'1' '2'>", NULL, "DEL s" },
        { "SPOP s", "nil", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(set, scanning)
{
    static const struct step steps[] = {
        { "SSCAN no 0", "['0' []]", "keymiss no", "" },
        { "SSCAN no x", "-ERR invalid cursor", "", "" },
        { "SADD s a ab b", ":3", NULL, NULL },
        { "SSCAN s 0", "['0' ['a' 'ab' 'b']]", "", "" },
        { "SSCAN s 0 MATCH a* COUNT 1", "['0' ['a' 'ab']]", "", "" },
        { "SSCAN s 0 COUNT 0", "-ERR syntax error", "", "" },
        { "SSCAN str 0", WRONG, "", "" },
    };
    HARNESS_STEPS(&h, steps);
    enum { N = 2000 };
    static unsigned char seen[N];
    char line[64];
    unsigned long long cursor = 0;
    add_numbers("large", "m", 0, N);
    do {
        snprintf(line, sizeof(line), "SSCAN large %llu", cursor);
        const char *p = harness_run(&h, line);
        cursor = strtoull(p + 2, NULL, 10);
        while ((p = strstr(p, "'m")))
            seen[atoi(p += 2)]++;
    } while (cursor);
    for (int i = 0; i < N; i++)
        cr_assert_eq(seen[i], 1, "member %d", i);
}
