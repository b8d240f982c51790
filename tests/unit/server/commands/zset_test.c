/* Sorted sets: replies in RESP2, events and effects as servers of 7.2 give them. */
#include <criterion/criterion.h>

#include "harness.h"

extern const struct command zset_add_commands[], zset_range_commands[], zset_store_commands[],
    zset_pop_commands[];
extern const struct command zset_block_commands[], string_commands[], generic_commands[];

static const struct command *const families[] = {
    zset_add_commands,   zset_range_commands, zset_store_commands, zset_pop_commands,
    zset_block_commands, string_commands,     generic_commands,    NULL,
};
static struct harness h;

/* What server/blocked.c would do. */
static bool may_block;
static int blocked_on;

bool call_may_block(const struct call *c)
{
    (void)c;
    return may_block;
}

void block_on_keys(struct call *c, const struct bytes *keys, int n, enum value_type type,
                   msec_t deadline, unsigned flags)
{
    (void)keys, (void)deadline, (void)flags;
    resp_simple_str(c->w, "WAITS");
    cr_assert_eq(type, TYPE_ZSET);
    blocked_on = n;
}

static void setup(void)
{
    harness_init(&h, families);
    h.limits.zset_max_listpack_entries = 128;
    h.limits.zset_max_listpack_value = 64;
    may_block = false;
}

static void teardown(void)
{
    harness_done(&h);
}

TestSuite(zset, .init = setup, .fini = teardown, .timeout = 30);

#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value"

Test(zset, adds_members)
{
    static const struct step steps[] = {
        { "ZADD z XX 1 a", ":0", "", "" },
        { "ZADD z 1 a 2 b", ":2", "new z, zadd z", "ZADD z 1 a 2 b" },
        { "ZADD z 1 a", ":0", "", "" },
        { "ZADD z CH 3 a 3 c", ":2", "zadd z", "ZADD z CH 3 a 3 c" },
        { "ZADD z NX 9 a", ":0", "", "" },
        { "ZADD z GT CH 1 a", ":0", "", "" },
        { "ZADD z LT CH 1 a", ":1", "zadd z", "ZADD z LT CH 1 a" },
        { "ZADD z INCR 1.5 a", "'2.5'", "zincr z", "ZADD z INCR 1.5 a" },
        { "ZADD z NX INCR 1.5 a", "nil", "", "" },
        { "ZINCRBY z -0.5 a", "'2'", "zincr z", "ZINCRBY z -0.5 a" },
        { "ZINCRBY z inf a", "'inf'", "zincr z", NULL },
        { "ZINCRBY z -inf a", "-ERR resulting score is not a number (NaN)", "", "" },
        { "ZADD z NX XX 1 a", "-ERR XX and NX options at the same time are not compatible", "",
          "" },
        { "ZADD z GT LT 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible",
          "", "" },
        { "ZADD z INCR 1 a 2 b", "-ERR INCR option supports a single increment-element pair", "",
          "" },
        { "ZADD z 1 a x b", "-ERR value is not a valid float", "", "" },
        { "ZADD z 1 a 2", "-ERR syntax error", "", "" },
        { "ZADD z nan a", "-ERR value is not a valid float", "", "" },
        { "ZREM z a nope", ":1", "zrem z", "ZREM z a nope" },
        { "ZREM z b c", ":2", "zrem z, del z", "ZREM z b c" },
        { "ZREM z b", ":0", "", "" },
        { "SET s 1", "OK", NULL, NULL },
        { "ZADD s x a", "-ERR value is not a valid float", "", "" },
        { "ZADD s 1 a", WRONGTYPE, "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(zset, reads_members)
{
    static const struct step steps[] = {
        { "ZADD z 1 a 2 b 3 c", ":3", NULL, NULL },
        { "ZCARD z", ":3", "", "" },
        { "ZSCORE z b", "'2'", "", "" },
        { "ZSCORE z x", "nil", "", "" },
        { "ZMSCORE z a x c", "['1' nil '3']", "", "" },
        { "ZRANK z c", ":2", "", "" },
        { "ZREVRANK z c", ":0", "", "" },
        { "ZRANK z c WITHSCORE", "[:2 '3']", "", "" },
        { "ZRANK z x WITHSCORE", "nil", "", "" },
        { "ZRANK z c FOO", "-ERR syntax error", "", "" },
        { "ZCOUNT z (1 +inf", ":2", "", "" },
        { "ZCOUNT z a 1", "-ERR min or max is not a float", "", "" },
        { "ZRANDMEMBER z 5", "['a' 'b' 'c']", "", "" },
        { "ZRANDMEMBER z 0", "[]", "", "" },
        { "ZRANDMEMBER none", "nil", NULL, "" },
        { "ZRANDMEMBER z -9223372036854775808",
          "-ERR value is out of range, value must between -9223372036854775807 and "
          "9223372036854775807",
          "", "" },
        { "ZRANDMEMBER z 4611686018427387904 WITHSCORES", "-ERR value is out of range", "", "" },
        { "ZSCAN z 0", "['0' ['a' '1' 'b' '2' 'c' '3']]", "", "" },
        { "ZSCAN z 0 MATCH b", "['0' ['b' '2']]", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(zset, finds_ranges)
{
    static const struct step steps[] = {
        { "ZADD z 1 a 2 b 3 c 4 d", ":4", NULL, NULL },
        { "ZRANGE z 0 -1", "['a' 'b' 'c' 'd']", "", "" },
        { "ZRANGE z -2 -1 WITHSCORES", "['c' '3' 'd' '4']", "", "" },
        { "ZRANGE z 0 1 REV", "['d' 'c']", "", "" },
        { "ZREVRANGE z 0 1 WITHSCORES", "['d' '4' 'c' '3']", "", "" },
        { "ZRANGE z (1 3 BYSCORE", "['b' 'c']", "", "" },
        { "ZRANGE z 3 (1 BYSCORE REV", "['c' 'b']", "", "" },
        { "ZRANGE z -inf +inf BYSCORE LIMIT 1 2", "['b' 'c']", "", "" },
        { "ZRANGE z +inf -inf BYSCORE REV LIMIT 1 2", "['c' 'b']", "", "" },
        { "ZRANGE z 0 9 BYSCORE LIMIT -1 2", "[]", "", "" },
        { "ZRANGE z 0 9 BYSCORE LIMIT 2 -1", "['c' 'd']", "", "" },
        { "ZRANGEBYSCORE z 2 3 WITHSCORES LIMIT 0 1", "['b' '2']", "", "" },
        { "ZREVRANGEBYSCORE z 3 2", "['c' 'b']", "", "" },
        { "ZRANGE z 0 1 LIMIT 0 1",
          "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
          "", "" },
        { "ZRANGE z - + BYLEX WITHSCORES",
          "-ERR syntax error, WITHSCORES not supported in combination with BYLEX", "", "" },
        { "ZRANGE z 0 1 REV REV", "-ERR syntax error", "", "" },
        { "ZRANGE z a 1", "-ERR value is not an integer or out of range", "", "" },
        { "ZRANGE z a 1 BYLEX", "-ERR min or max not valid string range item", "", "" },
        { "ZRANGE none 0 -1", "[]", NULL, "" },
        { "ZADD q 0 a 0 b 0 c", ":3", NULL, NULL },
        { "ZRANGEBYLEX q [b +", "['b' 'c']", "", "" },
        { "ZRANGEBYLEX q - (b", "['a']", "", "" },
        { "ZREVRANGEBYLEX q + - LIMIT 1 1", "['b']", "", "" },
        { "ZLEXCOUNT q (a [c", ":2", "", "" },
        { "ZRANGESTORE d z 1 2", ":2", "new d, zrangestore d", "ZRANGESTORE d z 1 2" },
        { "ZRANGE d 0 -1 WITHSCORES", "['b' '2' 'c' '3']", "", "" },
        { "ZRANGESTORE d z 8 9", ":0", "del d", "ZRANGESTORE d z 8 9" },
        { "ZREMRANGEBYRANK z 0 0", ":1", "zremrangebyrank z", "ZREMRANGEBYRANK z 0 0" },
        { "ZREMRANGEBYSCORE z (2 3", ":1", "zremrangebyscore z", "ZREMRANGEBYSCORE z (2 3" },
        { "ZREMRANGEBYSCORE z 7 8", ":0", "", "" },
        { "ZREMRANGEBYLEX q - +", ":3", "zremrangebylex q, del q", "ZREMRANGEBYLEX q - +" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(zset, combines_sets)
{
    static const struct step steps[] = {
        { "ZADD a 1 x 2 y", ":2", NULL, NULL },
        { "ZADD b 10 y 20 z", ":2", NULL, NULL },
        { "ZUNION 2 a b WITHSCORES", "['x' '1' 'y' '12' 'z' '20']", "", "" },
        { "ZINTER 2 a b WITHSCORES", "['y' '12']", "", "" },
        { "ZDIFF 2 a b WITHSCORES", "['x' '1']", "", "" },
        { "ZUNION 2 a b WEIGHTS 2 1 AGGREGATE MAX WITHSCORES", "['x' '2' 'y' '10' 'z' '20']", "",
          "" },
        { "ZINTER 2 a b AGGREGATE MIN WITHSCORES", "['y' '2']", "", "" },
        { "ZINTERCARD 2 a b", ":1", "", "" },
        { "ZINTERCARD 2 a a LIMIT 1", ":1", "", "" },
        { "ZUNIONSTORE d 2 a b", ":3", "new d, zunionstore d", "ZUNIONSTORE d 2 a b" },
        { "ZINTERSTORE a 2 a b", ":1", "zinterstore a", "ZINTERSTORE a 2 a b" },
        { "ZDIFFSTORE d 2 b b", ":0", "del d", "ZDIFFSTORE d 2 b b" },
        { "ZDIFFSTORE d 2 b b", ":0", "", "" },
        { "ZUNION 0 a", "-ERR at least 1 input key is needed for 'zunion' command", "", "" },
        { "ZUNION x a", "-ERR value is not an integer or out of range", "", "" },
        { "ZUNION 2 a", "-ERR syntax error", "", "" },
        { "ZUNION 1 a WEIGHTS x", "-ERR weight value is not a float", "", "" },
        { "ZUNION 1 a AGGREGATE avg", "-ERR syntax error", "", "" },
        { "ZDIFF 1 a WEIGHTS 1", "-ERR syntax error", "", "" },
        { "ZINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative", "", "" },
        { "ZADD i inf m", ":1", NULL, NULL },
        { "ZADD j -inf m", ":1", NULL, NULL },
        { "ZUNION 2 i j WITHSCORES", "['m' '0']", "", "" },
        { "ZUNION 1 i WEIGHTS 0 WITHSCORES", "['m' '0']", "", "" },
        { "SET s 1", "OK", NULL, NULL },
        { "ZUNION 2 a s", WRONGTYPE, "", "" },
        { "ZUNIONSTORE s 1 b", ":2", "zunionstore s", "ZUNIONSTORE s 1 b" },
        { "TYPE s", "zset", NULL, NULL },
    };
    HARNESS_STEPS(&h, steps);
}

Test(zset, pops_members)
{
    static const struct step steps[] = {
        { "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", ":6", NULL, NULL },
        { "ZPOPMIN z", "['a' '1']", "zpopmin z", "ZPOPMIN z" },
        { "ZPOPMAX z 2", "['f' '6' 'e' '5']", "zpopmax z", "ZPOPMAX z 2" },
        { "ZPOPMIN z 0", "[]", "", "" },
        { "ZPOPMIN none", "[]", "", "" },
        { "ZPOPMIN z -1", "-ERR value is out of range, must be positive", "", "" },
        { "ZPOPMIN z 1 2", "-ERR syntax error", "", "" },
        { "ZMPOP 2 none z MIN", "['z' [['b' '2']]]", "zpopmin z", "ZPOPMIN z 1" },
        { "BZPOPMAX none z 0", "['z' 'd' '4']", "zpopmax z", "ZPOPMAX z" },
        { "BZMPOP 0 1 z MAX COUNT 3", "['z' [['c' '3']]]", "zpopmax z, del z", "ZPOPMAX z 1" },
        { "ZMPOP 1 z MIN", "nil", "", "" },
        { "BZPOPMIN z 0", "nil", "", "" },
        { "BZMPOP 0 1 z UP", "-ERR syntax error", "", "" },
    };
    HARNESS_STEPS(&h, steps);
    may_block = true;
    harness_run(&h, "BZPOPMIN z y x 0");
    cr_expect_eq(blocked_on, 3);
    harness_run(&h, "BZMPOP 0 2 z y MIN");
    cr_expect_eq(blocked_on, 2);
}

Test(zset, becomes_a_skiplist_at_the_limits)
{
    h.limits.zset_max_listpack_entries = 3;
    static const struct step steps[] = {
        { "ZADD z 1 a 2 b 3 c", ":3", NULL, NULL },
        { "OBJECT ENCODING z", "'listpack'", "", "" },
        { "ZADD z XX 1 d 1 e 1 f 1 g", ":0", "", "" },
        { "OBJECT ENCODING z", "'skiplist'", "", "" },
        { "ZRANGE z 0 -1", "['a' 'b' 'c']", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}
