/* EXPIRE and its forms, TTL and its forms, PERSIST, and keys whose time comes. */
#include <criterion/criterion.h>

#include "harness.h"

extern const struct command string_commands[], generic_commands[], expire_commands[];

static const struct command *const families[] = { string_commands, generic_commands,
                                                  expire_commands, NULL };
static struct harness h;

static void setup(void)
{
    harness_init(&h, families);
    harness_run(&h, "SET a 1");
}

static void teardown(void)
{
    harness_done(&h);
}

TestSuite(expire, .init = setup, .fini = teardown, .timeout = 30);

Test(expire, expire_and_ttl)
{
    static const struct step steps[] = {
        { "TTL a", ":-1", "", "" },
        { "PTTL a", ":-1", "", "" },
        { "EXPIRETIME a", ":-1", "", "" },
        { "PEXPIRETIME a", ":-1", "", "" },
        { "TTL x", ":-2", "keymiss x", "" },
        { "PEXPIRETIME x", ":-2", "keymiss x", "" },
        { "EXPIRE x 10", ":0", "", "" },
        { "EXPIRE a 10", ":1", "expire a", "PEXPIREAT a 1700000010000" },
        { "TTL a", ":10", "", "" },
        { "PEXPIRE a 2499", ":1", "expire a", "PEXPIREAT a 1700000002499" },
        { "TTL a", ":2", "", "" },
        { "PTTL a", ":2499", "", "" },
        { "PEXPIRE a 2500", ":1", "expire a", NULL },
        { "TTL a", ":3", "", "" },
        { "EXPIREAT a 2000000000", ":1", "expire a", "PEXPIREAT a 2000000000000" },
        { "EXPIRETIME a", ":2000000000", "", "" },
        { "PEXPIREAT a 2000000000500", ":1", "expire a", "PEXPIREAT a 2000000000500" },
        { "EXPIRETIME a", ":2000000001", "", "" },
        { "PEXPIRETIME a", ":2000000000500", "", "" },
        { "PERSIST a", ":1", "persist a", "PERSIST a" },
        { "PERSIST a", ":0", "", "" },
        { "PERSIST x", ":0", "", "" },
        { "GET a", "'1'", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(expire, conditions)
{
    static const char incompatible[] =
        "-ERR NX and XX, GT or LT options at the same time are not compatible";
    static const struct step steps[] = {
        { "EXPIRE a 100 XX", ":0", "", "" },
        { "EXPIRE a 100 GT", ":0", "", "" },
        { "EXPIRE a 100 nx", ":1", "expire a", "PEXPIREAT a 1700000100000" },
        { "EXPIRE a 200 NX", ":0", "", "" },
        { "EXPIRE a 100 GT", ":0", "", "" },
        { "EXPIRE a 100 LT", ":0", "", "" },
        { "EXPIRE a 200 XX GT", ":1", "expire a", "PEXPIREAT a 1700000200000" },
        { "EXPIRE a 50 LT XX", ":1", "expire a", NULL },
        { "EXPIRE a -1 GT", ":0", "", "" },
        { "EXPIRE a -1 NX", ":0", "", "" },
        { "PERSIST a", ":1", NULL, NULL },
        { "EXPIRE a 100 LT", ":1", "expire a", NULL },
        { "EXPIRE a 100 NX XX", incompatible, "", "" },
        { "EXPIRE a 100 GT NX", incompatible, "", "" },
        { "EXPIRE a 100 GT LT", "-ERR GT and LT options at the same time are not compatible", "",
          "" },
        { "EXPIRE a foo bar", "-ERR Unsupported option bar", "", "" },
        { "EXPIRE a 1 \"bar\\r\\n\"", "-ERR Unsupported option bar", "", "" },
        { "EXPIRE a foo", "-ERR value is not an integer or out of range", "", "" },
        { "EXPIRE a -1 LT", ":1", "del a", "DEL a" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(expire, times_that_do_not_fit)
{
    static const struct step steps[] = {
        { "EXPIRE a 9223372036854775807", "-ERR invalid expire time in 'expire' command", "", "" },
        { "EXPIRE a 9223372036854775", "-ERR invalid expire time in 'expire' command", "", "" },
        { "EXPIRE a -9223372036854776", "-ERR invalid expire time in 'expire' command", "", "" },
        { "EXPIRE x 9223372036854775807", "-ERR invalid expire time in 'expire' command", "", "" },
        { "PEXPIRE a 9223372036854775807", "-ERR invalid expire time in 'pexpire' command", "",
          "" },
        { "EXPIREAT a -9223372036854775808", "-ERR invalid expire time in 'expireat' command", "",
          "" },
        { "EXPIRE a 9223372036854775808", "-ERR value is not an integer or out of range", "", "" },
        { "TTL a", ":-1", "", "" },
        { "EXPIREAT a 9223372036854775", ":1", "expire a", "PEXPIREAT a 9223372036854775000" },
        { "PEXPIREAT a 9223372036854775807", ":1", "expire a", "PEXPIREAT a 9223372036854775807" },
        { "EXPIRETIME a", ":9223372036854776", "", "" },
        { "PEXPIRETIME a", ":9223372036854775807", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(expire, a_time_in_the_past_deletes)
{
    static const char *const lines[] = {
        "EXPIRE a 0",
        "EXPIRE a -1",
        "EXPIRE a -9223372036854775",
        "PEXPIRE a -9223372036854775808",
        "EXPIREAT a 1",
        "PEXPIREAT a 1700000000000",
        "PEXPIREAT a -1",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const struct step steps[] = {
            { "SET a 1", "OK", NULL, NULL },
            { lines[i], ":1", "del a", "DEL a" },
            { lines[i], ":0", "", "" },
            { "DBSIZE", ":0", "", "" },
        };
        HARNESS_STEPS(&h, steps);
    }
    h.config.lazyfree_lazy_expire = true;
    static const struct step lazy[] = {
        { "SET a 1", "OK", NULL, NULL },
        { "EXPIRE a 0", ":1", "del a", "UNLINK a" },
    };
    HARNESS_STEPS(&h, lazy);
}

Test(expire, a_replica_keeps_what_its_master_lets_expire)
{
    h.flags = CALL_FROM_MASTER;
    ks_set_expire_passive(h.ks, true);
    static const struct step steps[] = {
        { "PEXPIREAT a -1", ":1", "expire a", NULL },
        { "DBSIZE", ":1", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(expire, a_key_whose_time_came_is_gone_and_everybody_hears_of_it)
{
    static const struct step before[] = {
        { "MSET a 1 b 2 c 3 d 4 e 5", "OK", NULL, NULL },
        { "EXPIRE a 1", ":1", NULL, NULL },
        { "EXPIRE b 1", ":1", NULL, NULL },
        { "EXPIRE c 1", ":1", NULL, NULL },
        { "EXPIRE d 1", ":1", NULL, NULL },
        { "EXPIRE e 1", ":1", NULL, NULL },
    };
    HARNESS_STEPS(&h, before);
    h.now += 1001;
    static const struct step after[] = {
        { "GET a", "nil", "expired a, keymiss a", "DEL a" },
        { "GET a", "nil", "keymiss a", "" },
        { "INCR b", ":1", "expired b, new b, incrby b", "MULTI; DEL b; INCR b; EXEC" },
        { "TTL b", ":-1", "", "" },
        { "SET c 7 NX", "OK", "expired c, new c, set c", "MULTI; DEL c; SET c 7 NX; EXEC" },
        { "DEL d", ":0", "expired d", "DEL d" },
        { "EXPIRE e 5", ":0", "expired e", "DEL e" },
        { "DBSIZE", ":2", "", "" },
    };
    HARNESS_STEPS(&h, after);
}
