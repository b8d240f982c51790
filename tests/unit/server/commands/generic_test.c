/* Keys whatever they hold, whole databases, KEYS and SCAN. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

extern const struct command string_commands[], generic_commands[], expire_commands[],
    scan_commands[];

static const struct command *const families[] = {
    string_commands, generic_commands, expire_commands, scan_commands, NULL,
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

TestSuite(generic, .init = setup, .fini = teardown, .timeout = 30);

Test(generic, deleting_and_asking)
{
    harness_add_zset(&h, "z");
    static const struct step steps[] = {
        { "MSET a 1 b 2 c 3", "OK", NULL, NULL },
        { "EXISTS a a x", ":2", "keymiss x", "" },
        { "TOUCH a z x", ":2", "keymiss x", "" },
        { "TYPE a", "string", "", "" },
        { "TYPE z", "zset", "", "" },
        { "TYPE x", "none", "keymiss x", "" },
        { "DBSIZE", ":4", "", "" },
        { "DEL a a x b", ":2", "del a, del b", "DEL a a x b" },
        { "DEL a", ":0", "", "" },
        { "UNLINK c c", ":1", "del c", "UNLINK c c" },
        { "RANDOMKEY", "'z'", "", "" },
        { "DEL z", ":1", "del z", "DEL z" },
        { "RANDOMKEY", "nil", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(generic, long_lists_of_keys)
{
    enum { N = 1000 };
    static char text[N][8];
    struct bytes argv[N + 1] = { BYTES("EXISTS") };
    for (int i = 0; i < N; i++) {
        argv[i + 1] = bytes_of(text[i], (size_t)snprintf(text[i], sizeof(text[i]), "k%d", i));
        if (i % 2) {
            struct bytes set[3] = { BYTES("SET"), argv[i + 1], BYTES("v") };
            harness_run_argv(&h, 3, set);
        }
    }
    cr_expect_str_eq(harness_run_argv(&h, N + 1, argv), ":500");
    argv[0] = BYTES("MGET");
    const char *values = harness_run_argv(&h, N + 1, argv);
    cr_expect(strncmp(values, "[nil 'v' nil 'v' ", 17) == 0);
    argv[0] = BYTES("DEL");
    cr_expect_str_eq(harness_run_argv(&h, N + 1, argv), ":500");
    cr_expect_str_eq(harness_run(&h, "DBSIZE"), ":0");
}

Test(generic, renaming)
{
    static const struct step steps[] = {
        { "RENAME x x", "-ERR no such key", "", "" },
        { "RENAMENX x y", "-ERR no such key", "", "" },
        { "MSET a 1 b 2", "OK", NULL, NULL },
        { "RENAME a a", "OK", "", "" },
        { "RENAMENX a a", ":0", "", "" },
        { "RENAMENX a b", ":0", "", "" },
        { "RENAME a c", "OK", "new c, rename_from a, rename_to c", "RENAME a c" },
        { "EXPIRE c 100", ":1", NULL, NULL },
        { "RENAME c b", "OK", "new b, rename_from c, rename_to b", "RENAME c b" },
        { "GET b", "'1'", "", "" },
        { "TTL b", ":100", "", "" },
        { "RENAMENX b d", ":1", "new d, rename_from b, rename_to d", "RENAMENX b d" },
        { "DBSIZE", ":1", "", "" },
    };
    HARNESS_STEPS(&h, steps);
    harness_add_zset(&h, "z");
    cr_expect_str_eq(harness_run(&h, "RENAME z d"), "OK");
    cr_expect_eq(h.woken.n, 1, "clients that wait for a sorted set under the new name");
    cr_expect_str_eq(harness_run(&h, "TYPE d"), "zset");
    cr_expect_str_eq(harness_run(&h, "TTL d"), ":-1");
}

Test(generic, moving)
{
    static const struct step steps[] = {
        { "SET a 1 EX 100", "OK", NULL, NULL },
        { "MOVE a 0", "-ERR source and destination objects are the same", "", "" },
        { "MOVE a 16", "-ERR DB index is out of range", "", "" },
        { "MOVE a -1", "-ERR DB index is out of range", "", "" },
        { "MOVE a foo", "-ERR value is not an integer or out of range", "", "" },
        { "MOVE a 99999999999",
          "-ERR value is out of range, value must between -2147483648 and 2147483647", "", "" },
        { "MOVE x 1", ":0", "", "" },
        { "MOVE a 1", ":1", "1:new a, move_from a, 1:move_to a", "MOVE a 1" },
        { "EXISTS a", ":0", NULL, NULL },
        { "SET a 2", "OK", NULL, NULL },
        { "MOVE a 1", ":0", "", "" },
    };
    HARNESS_STEPS(&h, steps);
    h.db = 1;
    cr_expect_str_eq(harness_run(&h, "GET a"), "'1'");
    cr_expect_str_eq(harness_run(&h, "TTL a"), ":100");
}

Test(generic, copying)
{
    static const struct step steps[] = {
        { "SET a 1 EX 100", "OK", NULL, NULL },
        { "COPY a a", "-ERR source and destination objects are the same", "", "" },
        { "COPY a a DB 0", "-ERR source and destination objects are the same", "", "" },
        { "COPY a b foo", "-ERR syntax error", "", "" },
        { "COPY a b DB", "-ERR syntax error", "", "" },
        { "COPY a b DB 16", "-ERR DB index is out of range", "", "" },
        { "COPY a b DB foo", "-ERR value is not an integer or out of range", "", "" },
        { "COPY x b", ":0", "keymiss x", "" },
        { "COPY a b", ":1", "new b, copy_to b", "COPY a b" },
        { "TTL b", ":100", "", "" },
        { "SET a 2", "OK", NULL, NULL },
        { "COPY a b", ":0", "", "" },
        { "COPY a b REPLACE", ":1", "new b, copy_to b", "COPY a b REPLACE" },
        { "GET b", "'2'", "", "" },
        { "TTL b", ":-1", "", "" },
        { "COPY a a DB 1 DB 2", ":1", "2:new a, 2:copy_to a", "COPY a a DB 1 DB 2" },
    };
    HARNESS_STEPS(&h, steps);
    harness_add_zset(&h, "z");
    cr_expect_str_eq(harness_run(&h, "COPY z m"), ":1");
    cr_expect_eq(h.woken.n, 1);
    cr_expect_str_eq(harness_run(&h, "DEL z"), ":1");
    cr_expect_str_eq(harness_run(&h, "TYPE m"), "zset");
}

Test(generic, whole_databases)
{
    static const struct step steps[] = {
        { "FLUSHDB foo", "-ERR syntax error", "", "" },
        { "FLUSHDB ASYNC SYNC", "-ERR syntax error", "", "" },
        { "FLUSHALL", "OK", "", "FLUSHALL" },
        { "FLUSHDB", "OK", "", "FLUSHDB" },
        { "MSET a 1 b 2", "OK", NULL, NULL },
        { "COPY a c DB 3", ":1", NULL, NULL },
        { "FLUSHDB async", "OK", "", "FLUSHDB async" },
        { "DBSIZE", ":0", "", "" },
        { "SWAPDB 0 3", "OK", "", "SWAPDB 0 3" },
        { "GET c", "'1'", "", "" },
        { "SWAPDB 0 0", "OK", "", "SWAPDB 0 0" },
        { "SWAPDB foo 1", "-ERR invalid first DB index", "", "" },
        { "SWAPDB 0 99999999999", "-ERR invalid second DB index", "", "" },
        { "SWAPDB 0 16", "-ERR DB index is out of range", "", "" },
        { "SWAPDB -1 0", "-ERR DB index is out of range", "", "" },
        { "FLUSHALL SYNC", "OK", "", "FLUSHALL SYNC" },
        { "DBSIZE", ":0", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(generic, object)
{
    harness_add_zset(&h, "z");
    static const struct step steps[] = {
        { "OBJECT ENCODING x", "nil", "", "" },
        { "OBJECT FREQ x", "nil", "", "" },
        { "OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command", "",
          "" },
        { "OBJECT ENCODING z", "'listpack'", "", "" },
        { "MSET s 9999 t 10000 u abc", "OK", NULL, NULL },
        { "OBJECT REFCOUNT s", ":2147483647", "", "" },
        { "OBJECT REFCOUNT t", ":1", "", "" },
        { "OBJECT REFCOUNT u", ":1", "", "" },
        { "OBJECT IDLETIME u", ":0", "", "" },
        { "OBJECT FREQ u",
          "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
          "that when switching "
          "between policies at runtime LRU and LFU data will take some time to adjust.",
          "", "" },
    };
    HARNESS_STEPS(&h, steps);
    h.now += 10500;
    cr_expect_str_eq(harness_run(&h, "OBJECT IDLETIME u"), ":10");
    harness_run(&h, "TOUCH u");
    cr_expect_str_eq(harness_run(&h, "OBJECT IDLETIME u"), ":0");
    h.config.maxmemory_policy = POLICY_ALLKEYS_LFU;
    cr_expect_str_eq(harness_run(&h, "OBJECT IDLETIME u"),
                     "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note "
                     "that when switching "
                     "between policies at runtime LRU and LFU data will take some time to adjust.");
    harness_run(&h, "SET new v");
    cr_expect_str_eq(harness_run(&h, "OBJECT FREQ new"), ":5");
    cr_expect(strncmp(harness_run(&h, "OBJECT HELP"), "[OBJECT <subcommand> [<arg> [value]", 35) ==
              0);
}

Test(generic, keys)
{
    static const struct step steps[] = {
        { "KEYS *", "[]", "", "" },
        { "SET one 1", "OK", NULL, NULL },
        { "SET \"\" empty", "OK", NULL, NULL },
        { "KEYS one", "['one']", "", "" },
        { "KEYS two", "[]", "", "" },
        { "KEYS \"\"", "['']", "", "" },
        { "KEYS o?e", "['one']", "", "" },
        { "KEYS ?*", "['one']", "", "" },
        { "DEL \"\"", ":1", NULL, NULL },
        { "KEYS *", "['one']", "", "" },
        { "EXPIRE one 1", ":1", NULL, NULL },
    };
    HARNESS_STEPS(&h, steps);
    h.now += 1001;
    cr_expect_str_eq(harness_run(&h, "KEYS *"), "[]");
    cr_expect_str_eq(harness_run(&h, "KEYS one"), "[]");
}

Test(generic, arguments_of_scan)
{
    harness_add_zset(&h, "z");
    static const struct step steps[] = {
        { "SET s 1", "OK", NULL, NULL },
        { "SCAN foo", "-ERR invalid cursor", "", "" },
        { "SCAN 18446744073709551616", "-ERR invalid cursor", "", "" },
        { "SCAN \" 0\"", "-ERR invalid cursor", "", "" },
        { "SCAN \"0\\x00x\" MATCH s", "['0' ['s']]", "", "" },
        { "SCAN -", "-ERR invalid cursor", "", "" },
        { "SCAN 0 COUNT", "-ERR syntax error", "", "" },
        { "SCAN 0 COUNT 0", "-ERR syntax error", "", "" },
        { "SCAN 0 COUNT foo", "-ERR value is not an integer or out of range", "", "" },
        { "SCAN 0 foo bar", "-ERR syntax error", "", "" },
        { "SCAN 0 NOVALUES", "-ERR syntax error", "", "" },
        { "SCAN 0 MATCH s*", "['0' ['s']]", "", "" },
        { "SCAN 0 TYPE zset", "['0' ['z']]", "", "" },
        { "SCAN 0 TYPE STRING COUNT 9223372036854775807", "['0' ['s']]", "", "" },
        { "SCAN 0 TYPE foo", "['0' []]", "", "" },
        { "SCAN \"\" MATCH s", "['0' ['s']]", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

/* The number after "['" and the rest of the reply. */
static uint64_t cursor_of(const char *reply)
{
    cr_assert(strncmp(reply, "['", 2) == 0);
    return strtoull(reply + 2, NULL, 10);
}

Test(generic, a_scan_sees_every_key_and_its_steps_are_bounded)
{
    enum { N = 5000 };
    static bool seen[N];
    char line[64];
    for (int i = 0; i < N; i++) {
        snprintf(line, sizeof(line), "SET key:%d v", i);
        harness_run(&h, line);
    }
    uint64_t cursor = 0;
    int steps = 0;
    do {
        snprintf(line, sizeof(line), "SCAN %llu COUNT 50", (unsigned long long)cursor);
        const char *reply = harness_run(&h, line);
        cursor = cursor_of(reply);
        int keys = 0;
        for (const char *p = reply; (p = strstr(p, "key:")); p++, keys++)
            seen[atoi(p + 4)] = true;
        cr_assert_lt(keys, 200);
        steps++;
    } while (cursor);
    cr_expect_gt(steps, 20);
    for (int i = 0; i < N; i++)
        cr_assert(seen[i], "key:%d", i);
}

Test(generic, a_scan_removes_the_expired_keys_it_meets)
{
    for (int i = 0; i < 100; i++) {
        char line[64];
        snprintf(line, sizeof(line), "SET k%d v PX %d", i, i % 2 ? 10 : 1000);
        harness_run(&h, line);
    }
    h.now += 11;
    const char *reply = harness_run(&h, "SCAN 0 COUNT 1000");
    int keys = 0;
    for (const char *p = reply; (p = strchr(p, 'k')); p++)
        keys++;
    cr_expect_eq(keys, 50);
    cr_expect_str_eq(harness_run(&h, "DBSIZE"), ":50");
}
