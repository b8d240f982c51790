/* HSET and its forms, reading, counters, random fields, HSCAN: replies, events and effects of
 * Redis 7.2. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

extern const struct command string_commands[], generic_commands[], hash_commands[],
    hash_more_commands[];

static const struct command *const families[] = { string_commands, generic_commands, hash_commands,
                                                  hash_more_commands, NULL };
static struct harness h;

static void setup(void)
{
    harness_init(&h, families);
}

static void teardown(void)
{
    harness_done(&h);
}

TestSuite(hash, .init = setup, .fini = teardown, .timeout = 60);

#define WRONG "-WRONGTYPE Operation against a key holding the wrong kind of value"

Test(hash, setting)
{
    static const struct step steps[] = {
        { "HSET h a", "-ERR wrong number of arguments for 'hset' command", "", "" },
        { "HSET h a 1 b", "-ERR wrong number of arguments for 'hset' command", "", "" },
        { "HMSET h a 1 b", "-ERR wrong number of arguments for 'hmset' command", "", "" },
        { "HSET h a 1 b 2", ":2", "new h, hset h", "HSET h a 1 b 2" },
        { "HSET h a 2 c 3", ":1", "hset h", "HSET h a 2 c 3" },
        { "HSET h a 2", ":0", "hset h", "HSET h a 2" },
        { "HMSET h a 3", "OK", "hset h", "HMSET h a 3" },
        { "HSETNX h a 1", ":0", "", "" },
        { "HSETNX h z ''", ":1", "hset h", "HSETNX h z " },
        { "HSETNX n f v", ":1", "new n, hset n", "HSETNX n f v" },
        { "HGETALL h", "['a' '3' 'b' '2' 'c' '3' 'z' '']", "", "" },
        { "SET s x", "OK", NULL, NULL },
        { "HSET s a 1", WRONG, "", "" },
        { "HMSET s a 1", WRONG, "", "" },
        { "HSETNX s a 1", WRONG, "", "" },
    };
    HARNESS_STEPS(&h, steps);
    cr_assert_eq(ks_stats(h.ks)->dirty, 2 + 2 + 1 + 1 + 1 + 1 + 1,
                 "every field counts as a change");
}

Test(hash, reading)
{
    static const struct step steps[] = {
        { "HSET h a 123 b '' '' x", ":3", NULL, NULL },
        { "HGET h a", "'123'", "", "" },
        { "HGET h b", "''", "", "" },
        { "HGET h ''", "'x'", "", "" },
        { "HGET h 123", "nil", "", "" },
        { "HGET no a", "nil", "keymiss no", "" },
        { "HMGET h a no b", "['123' nil '']", "", "" },
        { "HMGET no a b", "[nil nil]", "keymiss no", "" },
        { "HEXISTS h a", ":1", "", "" },
        { "HEXISTS h A", ":0", "", "" },
        { "HEXISTS no a", ":0", "keymiss no", "" },
        { "HSTRLEN h a", ":3", "", "" },
        { "HSTRLEN h b", ":0", "", "" },
        { "HSTRLEN h c", ":0", "", "" },
        { "HLEN h", ":3", "", "" },
        { "HLEN no", ":0", "keymiss no", "" },
        { "HKEYS h", "['a' 'b' '']", "", "" },
        { "HVALS h", "['123' '' 'x']", "", "" },
        { "HGETALL h", "['a' '123' 'b' '' '' 'x']", "", "" },
        { "HKEYS no", "[]", "keymiss no", "" },
        { "HGETALL no", "[]", "keymiss no", "" },
        { "SET s x", "OK", NULL, NULL },
        { "HGET s a", WRONG, "", "" },
        { "HMGET s a", WRONG, "", "" },
        { "HEXISTS s a", WRONG, "", "" },
        { "HSTRLEN s a", WRONG, "", "" },
        { "HLEN s", WRONG, "", "" },
        { "HKEYS s", WRONG, "", "" },
        { "HVALS s", WRONG, "", "" },
        { "HGETALL s", WRONG, "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(hash, all_of_a_hash_is_a_map_in_resp3)
{
    h.out.w.resp = 3;
    static const struct step steps[] = {
        { "HSET h a 1 b 2", ":2", NULL, NULL },
        { "HGETALL h", "{'a' '1' 'b' '2'}", "", "" },
        { "HGETALL no", "{}", NULL, NULL },
        { "HKEYS h", "['a' 'b']", "", "" },
        { "HRANDFIELD h 5 WITHVALUES", "[['a' '1'] ['b' '2']]", "", "" },
        { "HRANDFIELD no", "nil", NULL, NULL },
        { "HSCAN h 0", "['0' ['a' '1' 'b' '2']]", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(hash, deleting_the_last_field_deletes_the_key)
{
    static const struct step steps[] = {
        { "HDEL no a", ":0", "", "" },
        { "HSET h a 1 b 2 c 3", ":3", NULL, NULL },
        { "HDEL h x", ":0", "", "" },
        { "HDEL h a x a", ":1", "hdel h", "HDEL h a x a" },
        { "HDEL h b c d", ":2", "hdel h, del h", "HDEL h b c d" },
        { "EXISTS h", ":0", NULL, NULL },
        { "SET s x", "OK", NULL, NULL },
        { "HDEL s a", WRONG, "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(hash, encodings_are_those_of_redis)
{
    h.limits.hash_max_listpack_entries = 3;
    h.limits.hash_max_listpack_value = 5;
    static const struct step steps[] = {
        { "HSET h a 1 b 2 c 3", ":3", NULL, NULL },
        { "OBJECT ENCODING h", "'listpack'", NULL, NULL },
        { "HSET h d 4", ":1", NULL, NULL },
        { "OBJECT ENCODING h", "'hashtable'", NULL, NULL },
        { "HDEL h a b c", ":3", NULL, NULL },
        { "OBJECT ENCODING h", "'hashtable'", NULL, NULL },
        { "HSET v a 12345", ":1", NULL, NULL },
        { "OBJECT ENCODING v", "'listpack'", NULL, NULL },
        { "HINCRBY v a 99999", ":112344", NULL, NULL },
        { "OBJECT ENCODING v", "'hashtable'", NULL, NULL },
        { "HSET w a 1 a 1 a 1 a 1", ":1", NULL, NULL }, /* four are announced */
        { "OBJECT ENCODING w", "'hashtable'", NULL, NULL },
        { "HGETALL w", "['a' '1']", NULL, NULL },
    };
    HARNESS_STEPS(&h, steps);
}

Test(hash, counters)
{
    static const struct step steps[] = {
        { "HINCRBY h a x", "-ERR value is not an integer or out of range", "", "" },
        { "HINCRBY h a 5", ":5", "new h, hincrby h", "HINCRBY h a 5" },
        { "HINCRBY h a -7", ":-2", "hincrby h", "HINCRBY h a -7" },
        { "HSET h text abc space ' 1' max 9223372036854775807 float 3.0e3 min -9223372036854775808",
          ":5", NULL, NULL },
        { "HINCRBY h text 1", "-ERR hash value is not an integer", "", "" },
        { "HINCRBY h space 1", "-ERR hash value is not an integer", "", "" },
        { "HINCRBY h max 1", "-ERR increment or decrement would overflow", "", "" },
        { "HINCRBY h min -1", "-ERR increment or decrement would overflow", "", "" },
        { "HGET h max", "'9223372036854775807'", "", "" },
        { "HINCRBY h min 9223372036854775807", ":-1", NULL, NULL },
        { "HINCRBYFLOAT h float 200", "'3200'", "hincrbyfloat h", "HSET h float 3200" },
        { "HINCRBYFLOAT h float 0.5", "'3200.5'", "hincrbyfloat h", "HSET h float 3200.5" },
        { "HINCRBYFLOAT h a 1.5", "'-0.5'", "hincrbyfloat h", "HSET h a -0.5" },
        { "HINCRBYFLOAT h fresh 1.5e2", "'150'", "hincrbyfloat h", "HSET h fresh 150" },
        { "HINCRBYFLOAT h text 1", "-ERR hash value is not a float", "", "" },
        { "HINCRBYFLOAT h a x", "-ERR value is not a valid float", "", "" },
        { "HINCRBYFLOAT h a nan", "-ERR value is not a valid float", "", "" },
        { "HINCRBYFLOAT h a inf", "-ERR value is NaN or Infinity", "", "" },
        { "HINCRBYFLOAT no a inf", "-ERR value is NaN or Infinity", "", "" },
        { "HSET h inf inf nan nan", ":2", NULL, NULL },
        { "HINCRBYFLOAT h inf 1", "-ERR increment would produce NaN or Infinity", "", "" },
        { "HINCRBYFLOAT h nan 1", "-ERR hash value is not a float", "", "" },
        { "EXISTS no", ":0", NULL, NULL },
        { "SET s x", "OK", NULL, NULL },
        { "HINCRBY s a 1", WRONG, "", "" },
        { "HINCRBYFLOAT s a 1", WRONG, "", "" },
        { "HINCRBY s a x", "-ERR value is not an integer or out of range", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(hash, random_fields)
{
    static const char range[] = "-ERR value is out of range";
    static const struct step steps[] = {
        { "HRANDFIELD no", "nil", "keymiss no", "" },
        { "HRANDFIELD no 5", "[]", "keymiss no", "" },
        { "HRANDFIELD no -9223372036854775807", "[]", NULL, NULL },
        { "HSET h a 1", ":1", NULL, NULL },
        { "HRANDFIELD h", "'a'", "", "" },
        { "HRANDFIELD h -3", "['a' 'a' 'a']", "", "" },
        { "HRANDFIELD h -2 WITHVALUES", "['a' '1' 'a' '1']", "", "" },
        { "HRANDFIELD h 0", "[]", "", "" },
        { "HRANDFIELD h 0 WITHVALUES", "[]", "", "" },
        { "HSET h b 2", ":1", NULL, NULL },
        { "HRANDFIELD h 5", "['a' 'b']", "", "" },
        { "HRANDFIELD h 9223372036854775807", "['a' 'b']", "", "" },
        { "HRANDFIELD h 5 withvalues", "['a' '1' 'b' '2']", "", "" },
        { "HRANDFIELD h 4611686018427387903 WITHVALUES", "['a' '1' 'b' '2']", "", "" },
        { "HRANDFIELD h 4611686018427387904 WITHVALUES", range, "", "" },
        { "HRANDFIELD h -4611686018427387904 WITHVALUES", range, "", "" },
        { "HRANDFIELD h -9223372036854775807", range, "", "" }, /* no memory would hold the reply */
        { "HRANDFIELD h -9223372036854775808",
          "-ERR value is out of range, value must between -9223372036854775807 and "
          "9223372036854775807",
          "", "" },
        { "HRANDFIELD h x", "-ERR value is not an integer or out of range", "", "" },
        { "HRANDFIELD h 1 x", "-ERR syntax error", "", "" },
        { "HRANDFIELD h 1 WITHVALUES x", "-ERR syntax error", "", "" },
        { "SET s x", "OK", NULL, NULL },
        { "HRANDFIELD s", WRONG, "", "" },
        { "HRANDFIELD s 1", WRONG, "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(hash, scanning_a_small_one)
{
    static const struct step steps[] = {
        { "HSCAN no 0", "['0' []]", "keymiss no", "" },
        { "HSCAN no 0 COUNT 0", "['0' []]", NULL, NULL },
        { "HSCAN no x", "-ERR invalid cursor", "", "" },
        { "HSET h a 1 ab 2 b 3", ":3", NULL, NULL },
        { "HSCAN h 0", "['0' ['a' '1' 'ab' '2' 'b' '3']]", "", "" },
        { "HSCAN h 5 COUNT 1", "['0' ['a' '1' 'ab' '2' 'b' '3']]", "", "" },
        { "HSCAN h 0 MATCH a*", "['0' ['a' '1' 'ab' '2']]", "", "" },
        { "HSCAN h 0 match x count 10", "['0' []]", "", "" },
        { "HSCAN h 0 COUNT", "-ERR syntax error", "", "" },
        { "HSCAN h 0 COUNT 0", "-ERR syntax error", "", "" },
        { "HSCAN h 0 COUNT -1", "-ERR syntax error", "", "" },
        { "HSCAN h 0 COUNT x", "-ERR value is not an integer or out of range", "", "" },
        { "HSCAN h 0 NOVALUES", "-ERR syntax error", "", "" },
        { "HSCAN h 0 TYPE hash", "-ERR syntax error", "", "" },
        { "SET s x", "OK", NULL, NULL },
        { "HSCAN s 0", WRONG, "", "" },
        { "HSCAN s x", "-ERR invalid cursor", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

/* "['cursor' [...]]" of a scan: the cursor. Fields f<i> are marked in seen[]. */
static unsigned long long take_scan(const char *reply, unsigned char *seen, unsigned n)
{
    char *end;
    cr_assert_eq(strncmp(reply, "['", 2), 0, "%s", reply);
    unsigned long long cursor = strtoull(reply + 2, &end, 10);
    for (const char *p = end; (p = strstr(p, "'f"));) {
        unsigned i = (unsigned)atoi(p += 2);
        cr_assert_lt(i, n);
        seen[i]++;
    }
    return cursor;
}

Test(hash, scanning_a_large_one_sees_every_field_once_in_small_steps)
{
    enum { N = 3000 };
    static unsigned char seen[N];
    char line[64];
    for (int i = 0; i < N; i++) {
        snprintf(line, sizeof(line), "HSET h f%d v", i);
        harness_run(&h, line);
    }
    unsigned long long cursor = 0;
    int steps = 0;
    do {
        snprintf(line, sizeof(line), "HSCAN h %llu COUNT 50", cursor);
        cursor = take_scan(harness_run(&h, line), seen, N);
        steps++;
    } while (cursor);
    for (int i = 0; i < N; i++)
        cr_assert_eq(seen[i], 1, "field %d", i);
    cr_assert(steps > N / 100 && steps < N / 10, "%d steps", steps);
}

Test(hash, a_large_value_is_kept_in_the_blob_that_it_came_in)
{
    static char value[100000];
    memset(value, 'v', sizeof(value));
    struct bytes set[] = { BYTES("HSET"), BYTES("h"), BYTES("f"), bytes_of(value, sizeof(value)) };
    h.large_arg = 3;
    cr_assert_str_eq(harness_run_argv(&h, 4, set), ":1");
    h.large_arg = 0;
    cr_assert_str_eq(harness_run(&h, "HSTRLEN h f"), ":100000");
    const char *got = harness_run(&h, "HGET h f");
    cr_assert_eq(strlen(got), sizeof(value) + 2);
    cr_assert_eq(strspn(got + 1, "v"), sizeof(value));
    cr_assert_str_eq(harness_run(&h, "HSET h f small"), ":0");
    cr_assert_str_eq(harness_run(&h, "HGETALL h"), "['f' 'small']");
}
