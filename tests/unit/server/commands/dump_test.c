/* DUMP and RESTORE: options, errors, times, and what others hear. Payloads are tested in persist/rdb_test.c. */
#include <criterion/criterion.h>

#include "harness.h"

extern const struct command string_commands[], expire_commands[], generic_commands[],
    dump_commands[];

static const struct command *const families[] = { string_commands, expire_commands,
                                                  generic_commands, dump_commands, NULL };
static struct harness h;

static void setup(void)
{
    harness_init(&h, families);
}

static void teardown(void)
{
    harness_done(&h);
}

TestSuite(dump, .init = setup, .fini = teardown, .timeout = 30);

/* Payloads as a line has them: the string "x", of versions 11 and 12, a list of "a" and "b", and one whose value is
 * cut. */
#define X    "\"\\x00\\x01\\x78\\x0b\\x00\\x4b\\x5f\\x3b\\x2c\\x40\\x77\\xa1\\x59\""
#define X_12 "\"\\x00\\x01\\x78\\x0c\\x00\\xe9\\xf6\\xb2\\x9f\\x47\\xc2\\xd6\\x99\""
#define AB                                                                                         \
    "\"\\x12\\x01\\x02\\x0d\\x0d\\x00\\x00\\x00\\x02\\x00\\x81\\x61\\x02\\x81\\x62\\x02\\xff\\x0b" \
    "\\x00\\x01\\x34\\xb7\\xfa\\xee\\xde\\x52\\x38\""
#define CUT "\"\\x00\\x02\\x78\\x0b\\x00\\x2a\\x69\\x27\\xe0\\xb7\\xe9\\xdb\\xe7\""
#define EMPTY                                                                                      \
    "\"\\x02\\x00\\x0b\\x00\\x53\\x11\\x84\\x73\\x66\\x16\\xd0\\x61\"" /* a set without members */
#define X_SHOWN "'\\x00\\x01x\\x0b\\x00K_;,@w\\xa1Y'"

Test(dump, a_payload_makes_the_key_again)
{
    static const struct step steps[] = {
        { "SET a x", "OK", NULL, NULL },
        { "DUMP a", X_SHOWN, "", "" },
        { "DUMP none", "nil", "keymiss none", "" },
        { "RESTORE b 0 " X, "OK", "new b, restore b", NULL },
        { "GET b", "'x'", "", "" },
        { "RESTORE b 0 " X, "-BUSYKEY Target key name already exists.", "", "" },
        { "RESTORE b 0 " AB " REPLACE", "OK", "new b, restore b", NULL },
        { "TYPE b", "list", "", "" },
        { "RESTORE-ASKING c 0 " X, "OK", "new c, restore c", NULL },
    };
    HARNESS_STEPS(&h, steps);
    harness_run(&h, "RESTORE b 0 " AB " REPLACE"); /* clients may wait for a list */
    cr_expect_str_eq(buf_cstr(&h.woken), "b");
}

Test(dump, what_is_wrong_is_told_in_the_order_of_redis)
{
    static const struct step steps[] = {
        { "SET a x", "OK", NULL, NULL },
        { "RESTORE a bad bad FOO", "-ERR syntax error", "", "" },
        { "RESTORE a bad bad", "-BUSYKEY Target key name already exists.", "", "" },
        { "RESTORE b bad bad", "-ERR value is not an integer or out of range", "", "" },
        { "RESTORE b -1 bad", "-ERR Invalid TTL value, must be >= 0", "", "" },
        { "RESTORE b 0 bad", "-ERR DUMP payload version or checksum are wrong", "", "" },
        { "RESTORE b 0 " X_12, "-ERR DUMP payload version or checksum are wrong", "", "" },
        { "RESTORE b 0 " CUT, "-ERR Bad data format", "", "" },
        { "RESTORE b 0 " EMPTY, "-ERR Bad data format", "", "" },
        { "RESTORE a 0 " CUT " REPLACE", "-ERR Bad data format", "", "" },
        { "RESTORE b 0 " X " IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0", "", "" },
        { "RESTORE b 0 " X " IDLETIME x", "-ERR value is not an integer or out of range", "", "" },
        { "RESTORE b 0 " X " IDLETIME", "-ERR syntax error", "", "" },
        { "RESTORE b 0 " X " FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255", "",
          "" },
        { "RESTORE b 0 " X " FREQ 1 IDLETIME 1", "-ERR syntax error", "", "" },
        { "GET a", "'x'", "", "" },
        { "EXISTS b", ":0", NULL, "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(dump, times_are_made_absolute_for_others)
{
    static const struct step steps[] = {
        { "RESTORE a 5000 " X, "OK", "new a, restore a", NULL },
        { "PEXPIRETIME a", ":1700000005000", "", "" },
        { "RESTORE b 1700000009000 " X " ABSTTL", "OK", "new b, restore b", NULL },
        { "PEXPIRETIME b", ":1700000009000", "", "" },
        { "RESTORE b 0 " X " ABSTTL REPLACE", "OK", "new b, restore b", NULL },
        { "PEXPIRETIME b", ":-1", "", "" },
    };
    HARNESS_STEPS(&h, steps);
    harness_run(&h, "RESTORE c 5000 " X);
    cr_expect(strstr(buf_cstr(&h.effects), "RESTORE c 1700000005000 "), "%s", buf_cstr(&h.effects));
    cr_expect(strstr(buf_cstr(&h.effects), " ABSTTL"), "%s", buf_cstr(&h.effects));
}

Test(dump, a_time_that_has_passed_leaves_no_key)
{
    static const struct step steps[] = {
        { "RESTORE a 1 " X " ABSTTL", "OK", "", "" },
        { "EXISTS a", ":0", NULL, "" },
        { "SET a x", "OK", NULL, NULL },
        { "RESTORE a 1 " X " ABSTTL REPLACE", "OK", "del a", "DEL a" },
        { "EXISTS a", ":0", NULL, "" },
        { "RESTORE a 9223372036854775807 " X, "OK", "", "" },
        { "EXISTS a", ":0", NULL, "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(dump, a_replica_keeps_what_its_master_sends)
{
    static const struct step steps[] = {
        { "RESTORE a 1 " X " ABSTTL", "OK", "new a, restore a", NULL },
    };
    h.flags = CALL_FROM_MASTER;
    HARNESS_STEPS(&h, steps);
}

Test(dump, histories_follow_the_policy)
{
    static const struct step steps[] = {
        { "RESTORE a 0 " X " IDLETIME 1000 FREQ 7", "-ERR syntax error", "", "" },
        { "RESTORE a 0 " X " IDLETIME 1000", "OK", "new a, restore a", NULL },
        { "OBJECT IDLETIME a", ":1000", "", "" },
        { "RESTORE b 0 " X " FREQ 7", "OK", "new b, restore b", NULL },
        { "OBJECT IDLETIME b", ":0", "", "" },
    };
    HARNESS_STEPS(&h, steps);
    h.config.maxmemory_policy = POLICY_ALLKEYS_LFU;
    static const struct step lfu[] = {
        { "RESTORE c 0 " X " FREQ 7", "OK", "new c, restore c", NULL },
        { "OBJECT FREQ c", ":7", "", "" },
    };
    HARNESS_STEPS(&h, lfu);
}
