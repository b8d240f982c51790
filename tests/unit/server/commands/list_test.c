/* Lists: replies, events and effects as servers of 7.2 give them; the waiting forms when they need
 * not wait, and what they wait for. */
#include <criterion/criterion.h>

#include "harness.h"

extern const struct command list_commands[], list_more_commands[], list_block_commands[];
extern const struct command string_commands[], generic_commands[];

static const struct command *const families[] = {
    list_commands, list_more_commands, list_block_commands, string_commands, generic_commands, NULL,
};
static struct harness h;

/* What server/blocked.c would do. */
static bool may_block;
static struct {
    int calls, keys;
    enum value_type type;
    msec_t deadline;
    unsigned flags;
} block;

bool call_may_block(const struct call *c)
{
    (void)c;
    return may_block;
}

void block_on_keys(struct call *c, const struct bytes *keys, int n, enum value_type type,
                   msec_t deadline, unsigned flags)
{
    resp_simple_str(c->w, "WAITS");
    cr_assert_gt(keys[0].n, 0);
    block.calls++;
    block.keys = n;
    block.type = type;
    block.deadline = deadline;
    block.flags = flags;
}

static void setup(void)
{
    harness_init(&h, families);
    h.limits.list_max_listpack_size = -2;
    may_block = false;
    block.calls = 0;
}

static void teardown(void)
{
    harness_done(&h);
}

TestSuite(list, .init = setup, .fini = teardown, .timeout = 30);

Test(list, pushes_and_pops)
{
    static const struct step steps[] = {
        { "LPUSHX l a", ":0", "", "" },
        { "RPUSH l a b c", ":3", "new l, rpush l", "RPUSH l a b c" },
        { "LPUSH l x 1", ":5", "lpush l", "LPUSH l x 1" },
        { "RPUSHX l 2", ":6", "rpush l", "RPUSHX l 2" },
        { "LRANGE l 0 -1", "['1' 'x' 'a' 'b' 'c' '2']", "", "" },
        { "LLEN l", ":6", "", "" },
        { "LPOP l", "'1'", "lpop l", "LPOP l" },
        { "RPOP l 2", "['2' 'c']", "rpop l", "RPOP l 2" },
        { "LPOP l 0", "[]", "", "" },
        { "LPOP l 10", "['x' 'a' 'b']", "lpop l, del l", "LPOP l 10" },
        { "EXISTS l", ":0", NULL, "" },
        { "LPOP l", "nil", "", "" },
        { "LPOP l 1", "nil", "", "" },
        { "LPOP l -1", "-ERR value is out of range, must be positive", "", "" },
        { "LPOP l x", "-ERR value is out of range, must be positive", "", "" },
        { "LPOP l 1 2", "-ERR wrong number of arguments for 'lpop' command", "", "" },
        { "SET s 1", "OK", NULL, NULL },
        { "LPUSH s a", "-WRONGTYPE Operation against a key holding the wrong kind of value", "",
          "" },
        { "LPOP s", "-WRONGTYPE Operation against a key holding the wrong kind of value", "", "" },
        { "LLEN s", "-WRONGTYPE Operation against a key holding the wrong kind of value", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(list, a_push_wakes_those_who_wait)
{
    harness_run(&h, "RPUSH l a");
    cr_expect_str_eq(buf_cstr(&h.woken), "l");
    harness_run(&h, "LMOVE l other LEFT RIGHT");
    cr_expect_str_eq(buf_cstr(&h.woken), "other");
}

Test(list, reads_and_changes_by_index)
{
    static const struct step steps[] = {
        { "RPUSH l a b c d e", ":5", NULL, NULL },
        { "LINDEX l 1", "'b'", "", "" },
        { "LINDEX l -1", "'e'", "", "" },
        { "LINDEX l 5", "nil", "", "" },
        { "LINDEX l x", "-ERR value is not an integer or out of range", "", "" },
        { "LINDEX none x", "nil", NULL, "" },
        { "LRANGE l -2 100", "['d' 'e']", "", "" },
        { "LRANGE l 3 1", "[]", "", "" },
        { "LRANGE l -9223372036854775808 9223372036854775807", "['a' 'b' 'c' 'd' 'e']", "", "" },
        { "LSET l 1 B", "OK", "lset l", "LSET l 1 B" },
        { "LSET l -1 E", "OK", "lset l", "LSET l -1 E" },
        { "LSET l 5 x", "-ERR index out of range", "", "" },
        { "LSET l 4294967296 x", "-ERR index out of range", "", "" },
        { "LSET none 0 x", "-ERR no such key", "", "" },
        { "LINSERT l BEFORE c y", ":6", "linsert l", "LINSERT l BEFORE c y" },
        { "LINSERT l after E z", ":7", "linsert l", "LINSERT l after E z" },
        { "LINSERT l AFTER nope z", ":-1", "", "" },
        { "LINSERT none AFTER a z", ":0", "", "" },
        { "LINSERT l BESIDE a z", "-ERR syntax error", "", "" },
        { "LRANGE l 0 -1", "['a' 'B' 'y' 'c' 'd' 'E' 'z']", "", "" },
        { "LTRIM l 1 -3", "OK", "ltrim l", "LTRIM l 1 -3" },
        { "LTRIM l 0 -1", "OK", "ltrim l", "" },
        { "LRANGE l 0 -1", "['B' 'y' 'c' 'd']", "", "" },
        { "LTRIM l 5 1", "OK", "ltrim l, del l", "LTRIM l 5 1" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(list, removes_and_finds_elements)
{
    static const struct step steps[] = {
        { "RPUSH l a b 1 a b 1 a", ":7", NULL, NULL },
        { "LPOS l a", ":0", "", "" },
        { "LPOS l a RANK -1", ":6", "", "" },
        { "LPOS l a RANK 2", ":3", "", "" },
        { "LPOS l 1 COUNT 0", "[:2 :5]", "", "" },
        { "LPOS l a COUNT 2 RANK -1", "[:6 :3]", "", "" },
        { "LPOS l b MAXLEN 1", "nil", "", "" },
        { "LPOS l b MAXLEN 1 COUNT 0", "[]", "", "" },
        { "LPOS none b COUNT 0", "[]", NULL, "" },
        { "LPOS l a COUNT -1", "-ERR COUNT can't be negative", "", "" },
        { "LPOS l a MAXLEN -1", "-ERR MAXLEN can't be negative", "", "" },
        { "LPOS l a RANK -9223372036854775808",
          "-ERR value is out of range, value must between -9223372036854775807 and "
          "9223372036854775807",
          "", "" },
        { "LPOS l a FOO 1", "-ERR syntax error", "", "" },
        { "LREM l 1 a", ":1", "lrem l", "LREM l 1 a" },
        { "LREM l -1 a", ":1", "lrem l", "LREM l -1 a" },
        { "LREM l 0 1", ":2", "lrem l", "LREM l 0 1" },
        { "LREM l 0 nope", ":0", "", "" },
        { "LRANGE l 0 -1", "['b' 'a' 'b']", "", "" },
        { "LREM l -9223372036854775808 b", ":2", "lrem l", "LREM l -9223372036854775808 b" },
        { "LREM l 0 a", ":1", "lrem l, del l", "LREM l 0 a" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(list, moves_elements)
{
    static const struct step steps[] = {
        { "RPUSH a 1 2 3", ":3", NULL, NULL },
        { "LMOVE a b LEFT RIGHT", "'1'", "new b, rpush b, lpop a", "LMOVE a b LEFT RIGHT" },
        { "RPOPLPUSH a b", "'3'", "lpush b, rpop a", "RPOPLPUSH a b" },
        { "LRANGE b 0 -1", "['3' '1']", "", "" },
        { "LMOVE a b RIGHT LEFT", "'2'", "lpush b, rpop a, del a", "LMOVE a b RIGHT LEFT" },
        { "LMOVE b b LEFT RIGHT", "'2'", "rpush b, lpop b", "LMOVE b b LEFT RIGHT" },
        { "LRANGE b 0 -1", "['3' '1' '2']", "", "" },
        { "RPUSH one x", ":1", NULL, NULL },
        { "LMOVE one one LEFT LEFT", "'x'", "lpush one, lpop one", "LMOVE one one LEFT LEFT" },
        { "LMOVE none b LEFT LEFT", "nil", "", "" },
        { "LMOVE b b UP LEFT", "-ERR syntax error", "", "" },
        { "SET s 1", "OK", NULL, NULL },
        { "LMOVE b s LEFT LEFT",
          "-WRONGTYPE Operation against a key holding the wrong kind of value", "", "" },
        { "LRANGE b 0 -1", "['3' '1' '2']", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(list, pops_from_the_first_that_has_something)
{
    static const struct step steps[] = {
        { "RPUSH b 1 2 3", ":3", NULL, NULL },
        { "LMPOP 2 a b LEFT", "['b' ['1']]", "lpop b", "LPOP b 1" },
        { "LMPOP 2 a b RIGHT COUNT 9", "['b' ['3' '2']]", "rpop b, del b", "RPOP b 2" },
        { "LMPOP 2 a b RIGHT", "nil", "", "" },
        { "LMPOP 0 a LEFT", "-ERR numkeys should be greater than 0", "", "" },
        { "LMPOP 1 a LEFT COUNT 0", "-ERR count should be greater than 0", "", "" },
        { "LMPOP 1 a UP", "-ERR syntax error", "", "" },
        { "LMPOP 9223372036854775807 a LEFT", "-ERR syntax error", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(list, the_waiting_forms_state_what_they_did)
{
    static const struct step steps[] = {
        { "RPUSH l 1 2 3 4 5 6", ":6", NULL, NULL },
        { "BLPOP none l 0", "['l' '1']", "lpop l", "LPOP l" },
        { "BRPOP l 0", "['l' '6']", "rpop l", "RPOP l" },
        { "BLMOVE l m LEFT RIGHT 0", "'2'", "new m, rpush m, lpop l", "LMOVE l m LEFT RIGHT" },
        { "BRPOPLPUSH l m 0", "'5'", "lpush m, rpop l", "RPOPLPUSH l m" },
        { "BLMPOP 0 2 none l LEFT COUNT 5", "['l' ['3' '4']]", "lpop l, del l", "LPOP l 2" },
        { "BLPOP l 0", "nil", "", "" },
        { "BLMOVE l m LEFT RIGHT 0", "nil", "", "" },
        { "BLMPOP 0 1 l LEFT", "nil", "", "" },
        { "BLPOP l -1", "-ERR timeout is negative", "", "" },
        { "BLPOP l x", "-ERR timeout is not a float or out of range", "", "" },
        { "BLPOP l 1e400", "-ERR timeout is out of range", "", "" },
        { "SET s 1", "OK", NULL, NULL },
        { "BLMOVE m s LEFT LEFT 0",
          "-WRONGTYPE Operation against a key holding the wrong kind of value", "", "" },
        { "BLPOP none s 0", "-WRONGTYPE Operation against a key holding the wrong kind of value",
          "", "" },
    };
    HARNESS_STEPS(&h, steps);
    cr_expect_eq(block.calls, 0);
}

Test(list, the_waiting_forms_wait_for_their_keys)
{
    static const struct {
        const char *line;
        int keys;
        msec_t wait;
    } cases[] = {
        { "BLPOP a b c 1.5", 3, 1500 },         { "BRPOP a 0", 1, 0 },
        { "BLMOVE a b LEFT LEFT 0.001", 1, 1 }, { "BRPOPLPUSH a b 2", 1, 2000 },
        { "BLMPOP 3 2 a b RIGHT", 2, 3000 },
    };
    may_block = true;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        block.calls = 0;
        cr_expect_str_eq(harness_run(&h, cases[i].line), "WAITS", "%s", cases[i].line);
        cr_expect_eq(block.calls, 1);
        cr_expect_eq(block.keys, cases[i].keys, "%s", cases[i].line);
        cr_expect_eq(block.type, TYPE_LIST);
        cr_expect_eq(block.deadline, cases[i].wait ? HARNESS_NOW + cases[i].wait : 0, "%s",
                     cases[i].line);
    }
}

Test(list, encodings_follow_the_size)
{
    h.limits.list_max_listpack_size = 4;
    static const struct step steps[] = {
        { "RPUSH l 1 2 3 4", ":4", NULL, NULL }, { "OBJECT ENCODING l", "'listpack'", "", "" },
        { "RPUSH l 5", ":5", NULL, NULL },       { "OBJECT ENCODING l", "'quicklist'", "", "" },
        { "RPOP l 2", "['5' '4']", NULL, NULL }, { "OBJECT ENCODING l", "'quicklist'", "", "" },
        { "RPOP l", "'3'", NULL, NULL },         { "OBJECT ENCODING l", "'listpack'", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}
