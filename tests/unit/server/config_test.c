/* The table of directives by itself: a part of our own with a row of every type. */
#include "server/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "config_harness.h"

enum { APPLE, PEAR, PLUM };
struct part {
    bool flag;
    int number;
    int64_t big;
    uint64_t memory;
    int64_t share;
    unsigned mode;
    int fruit;
    unsigned fruits;
    char *text, *maybe;
    int pair[2];
    int limit_a, limit_b;
    char *secret;
    int later;
    bool hidden;
};

static const struct config_word fruit[] = {
    { "apple", APPLE }, { "pear", PEAR }, { "plum", PLUM }, { NULL }
};
static const struct config_word fruits[] = {
    { "none", 0 }, { "red", 1 }, { "ripe", 2 }, { "round", 4 }, { NULL }
};

static int pair_set(void *base, const struct config_row *row, int argc, const struct bytes *argv,
                    bool adds, const char **ret_error)
{
    (void)row, (void)adds;
    struct part *p = base;
    for (int i = 0; i < argc && i < 2; i++)
        p->pair[i] = argv[i].p[0] - '0'; /* half set when the next one is bad */
    *ret_error = "a pair of digits, please";
    return argc == 2 && argv[0].n == 1 && argv[1].n == 1 ? 0 : -EINVAL;
}

static void pair_get(const void *base, const struct config_row *row, struct buf *b)
{
    (void)row;
    const struct part *p = base;
    (void)buf_printf(b, "%d %d", p->pair[0], p->pair[1]);
}

static const struct config_special pair = { pair_set, pair_get, NULL };

static int apply_calls, apply_a_calls;
static bool apply_fails;
static struct part *seen_owner;
static int seen_limits[2];

static int apply_limits(void *owner, const char **ret_error)
{
    seen_owner = owner;
    seen_limits[0] = seen_owner->limit_a;
    seen_limits[1] = seen_owner->limit_b;
    apply_calls++;
    if (!apply_fails)
        return 0;
    apply_fails = false;
    *ret_error = "no can do";
    return -EIO;
}

static int apply_number(void *owner, const char **ret_error)
{
    (void)owner, (void)ret_error;
    apply_a_calls++;
    return 0;
}

static const char *check_number(void *base)
{
    struct part *p = base;
    if (p->number == 13)
        return "not that one";
    if (p->number > 90)
        p->number = 90;
    return NULL;
}

#define OFF(m) offsetof(struct part, m)
static const struct config_row rows[] = {
    { "flag", "old-flag", CONFIG_BOOL, OFF(flag), "no" },
    { "number", NULL, CONFIG_INT, OFF(number), "7", .min = -1, .max = 100, .check = check_number,
      .apply = apply_number },
    { "big", NULL, CONFIG_I64, OFF(big), "0", .min = INT64_MIN, .max = INT64_MAX },
    { "memory", NULL, CONFIG_MEMORY, OFF(memory), "1mb" },
    { "share", NULL, CONFIG_MEMORY_SIGNED, OFF(share), "0" },
    { "mode", NULL, CONFIG_OCTAL, OFF(mode), "644", .max = 0777 },
    { "fruit", NULL, CONFIG_ENUM, OFF(fruit), "pear", .values = fruit },
    { "fruits", NULL, CONFIG_FLAGS, OFF(fruits), "none", .values = fruits },
    { "text", NULL, CONFIG_STRING, OFF(text), "as is" },
    { "maybe", NULL, CONFIG_STRING_OR_NULL, OFF(maybe), NULL },
    { "pair", NULL, CONFIG_SPECIAL, 0, "1 2", .flags = CONFIG_WORDS, .special = &pair },
    { "limit-a", NULL, CONFIG_INT, OFF(limit_a), "1", .max = 10, .apply = apply_limits },
    { "limit-b", NULL, CONFIG_INT, OFF(limit_b), "2", .max = 10, .apply = apply_limits },
    { "secret", NULL, CONFIG_STRING, OFF(secret), "", .flags = CONFIG_PROTECTED },
    { "later", NULL, CONFIG_INT, OFF(later), "0", .max = 10, .flags = CONFIG_DEFAULT_ONLY },
    { "fixed", NULL, CONFIG_BOOL, OFF(flag), "no", .flags = CONFIG_IMMUTABLE },
    { "lab-switch", NULL, CONFIG_BOOL, OFF(hidden), "no", .flags = CONFIG_HIDDEN },
    CONFIG_ROWS_END,
};

static struct part part;
static struct config *config;

static void begin(void)
{
    config = config_new();
    config_attach(config, rows, &part, &part);
    apply_calls = apply_a_calls = 0;
}

static void end(void)
{
    config_free(config);
}

TestSuite(config, .init = begin, .fini = end);

Test(config, defaults_are_there_from_the_start)
{
    cr_assert_eq(part.number, 7);
    cr_assert_eq(part.memory, 1 << 20);
    cr_assert_eq(part.mode, 0644);
    cr_assert_eq(part.fruit, PEAR);
    cr_assert_eq(part.fruits, 0);
    cr_assert_str_eq(part.text, "as is");
    cr_assert_null(part.maybe);
    cr_assert_eq(part.pair[1], 2);
    cr_assert_str_eq(part.secret, "");
}

Test(config, a_value_comes_back_as_config_get_prints_it)
{
    static const struct {
        const char *set, *get;
    } cases[] = {
        { "flag YES", "flag=yes\n" },
        { "number -1", "number=-1\n" },
        { "number 100", "number=90\n" }, /* clipped by its check */
        { "big -9223372036854775808", "big=-9223372036854775808\n" },
        { "memory 1gb", "memory=1073741824\n" },
        { "memory 2k", "memory=2000\n" },
        { "memory 18446744073709551615", "memory=18446744073709551615\n" },
        { "share 5%", "share=5%\n" },
        { "share 0%", "share=0\n" },
        { "share 1kb", "share=1024\n" },
        { "mode 700", "mode=700\n" },
        { "mode 0", "mode=0\n" },
        { "fruit PLUM", "fruit=plum\n" },
        { "fruits \"round RED\"", "fruits=red round\n" },
        { "fruits \"none ripe\"", "fruits=ripe\n" },
        { "fruits none", "fruits=none\n" },
        { "text \"a  b\"", "text=a  b\n" },
        { "text ''", "text=\n" },
        { "maybe x", "maybe=x\n" },
        { "maybe ''", "maybe=\n" },
        { "pair \"3 4\"", "pair=3 4\n" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_str_eq(set(config, cases[i].set), "OK", "%s", cases[i].set);
        char name[32];
        size_t n = strcspn(cases[i].set, " ");
        memcpy(name, cases[i].set, n);
        name[n] = '\0';
        cr_assert_str_eq(get(config, name), cases[i].get, "%s", cases[i].set);
    }
    cr_assert_null(part.maybe);
    cr_assert_eq(part.mode, 0);
}

#define FAILED(name) "ERR CONFIG SET failed (possibly related to argument '" name "') - "
static const struct {
    const char *set, *error;
} refusals[] = {
    { "flag maybe", FAILED("flag") "argument must be 'yes' or 'no'" },
    { "old-flag 1", FAILED("old-flag") "argument must be 'yes' or 'no'" },
    { "number x", FAILED("number") "argument couldn't be parsed into an integer" },
    { "number 1.5", FAILED("number") "argument couldn't be parsed into an integer" },
    { "number ''", FAILED("number") "argument couldn't be parsed into an integer" },
    { "NUMBER 101", FAILED("number") "argument must be between -1 and 100 inclusive" },
    { "number 13", FAILED("number") "not that one" },
    { "memory 1xx", FAILED("memory") "argument must be a memory value" },
    { "memory -1", FAILED("memory") "argument must be a memory value" },
    { "memory 5%", FAILED("memory") "argument must be a memory value" },
    { "share 101%", FAILED("share") "percentage argument must be less or equal to 100" },
    { "share -5%", FAILED("share") "argument must be a memory or percent value" },
    { "share %", FAILED("share") "argument must be a memory or percent value" },
    { "mode 8", FAILED("mode") "argument couldn't be parsed as an octal number" },
    { "mode 1000", FAILED("mode") "argument must be between 0 and 777 inclusive" },
    { "fruit kiwi", FAILED("fruit") "argument(s) must be one of the following: apple, pear, plum" },
    { "fruits \"red kiwi\"",
      FAILED("fruits") "argument(s) must be one of the following: none, red, ripe, round" },
    { "fruits ''",
      FAILED("fruits") "argument(s) must be one of the following: none, red, ripe, round" },
    { "pair \"8 9 10\"", FAILED("pair") "a pair of digits, please" },
    { "pair '\"8'", FAILED("pair") "a pair of digits, please" },
    { "fixed yes", FAILED("fixed") "can't set immutable config" },
    { "secret x", FAILED("secret") "can't set protected config" },
    { "later 1", FAILED("later") "any value of later but \"0\" is not supported yet" },
    { "flag yes flag no", FAILED("flag") "duplicate parameter" },
    { "flag yes FLAG no", FAILED("FLAG") "duplicate parameter" },
    { "flag yes foo 1", "ERR Unknown option or number of arguments for CONFIG SET - 'foo'" },
    { "fixed yes foo 1", FAILED("fixed") "can't set immutable config" },
    { "flag yes fixed yes", FAILED("fixed") "can't set immutable config" },
    { "flag yes pair \"7 8\" number x",
      FAILED("number") "argument couldn't be parsed into an integer" },
    { "text new maybe new flag yes old-flag x",
      FAILED("old-flag") "argument must be 'yes' or 'no'" },
};

Test(config, what_is_refused_changes_nothing)
{
    char before[2048];
    (void)snprintf(before, sizeof(before), "%s", get(config, "* lab-switch"));
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        cr_assert_str_eq(set(config, refusals[i].set), refusals[i].error);
        cr_assert_str_eq(get(config, "* lab-switch"), before, "%s", refusals[i].set);
    }
    cr_assert_eq(apply_calls, 0);
    cr_assert_eq(apply_a_calls, 0);
}

Test(config, more_pairs_than_directives_end_in_an_error)
{
    struct bytes pairs[400];
    for (int i = 0; i < 400; i += 2) {
        pairs[i] = BYTES("flag");
        pairs[i + 1] = BYTES("yes");
    }
    struct buf error = BUF_INIT(1024);
    cr_assert_lt(config_set(config, 400, pairs, false, &error), 0);
    cr_assert_str_eq(buf_cstr(&error), FAILED("flag") "duplicate parameter");
    buf_done(&error);
}

Test(config, a_name_and_its_old_name_are_two_parameters)
{
    cr_assert_str_eq(set(config, "flag no old-flag yes"), "OK");
    cr_assert(part.flag);
}

Test(config, the_default_of_what_is_not_there_yet_may_be_set)
{
    cr_assert_str_eq(set(config, "later 0"), "OK");
}

Test(config, a_client_with_the_right_sets_protected_ones)
{
    cr_assert_str_eq(set_protected(config, "secret x"), "OK");
    cr_assert_str_eq(part.secret, "x");
    cr_assert_str_eq(set_protected(config, "fixed yes"),
                     FAILED("fixed") "can't set immutable config");
}

Test(config, directives_that_share_a_function_apply_it_once)
{
    cr_assert_str_eq(set(config, "limit-a 5 limit-b 6 flag yes"), "OK");
    cr_assert_eq(apply_calls, 1);
    cr_assert_eq(seen_owner, &part);
    cr_assert_eq(seen_limits[0], 5); /* both values were there when it ran */
    cr_assert_eq(seen_limits[1], 6);
}

Test(config, a_value_that_stays_is_not_applied)
{
    cr_assert_str_eq(set(config, "limit-a 1 number 7"), "OK");
    cr_assert_eq(apply_calls + apply_a_calls, 0);
}

Test(config, a_value_that_cannot_be_applied_takes_all_back)
{
    apply_fails = true;
    cr_assert_str_eq(set(config, "number 8 text new limit-b 9"), FAILED("limit-b") "no can do");
    cr_assert_eq(part.number, 7);
    cr_assert_str_eq(part.text, "as is");
    cr_assert_eq(part.limit_b, 2);
    cr_assert_eq(apply_calls, 2); /* the second time with the old value */
    cr_assert_eq(seen_limits[1], 2);
    cr_assert_eq(apply_a_calls, 2);
}

Test(config, patterns_name_each_directive_once)
{
    cr_assert_str_eq(get(config, "limit-* limit-a ?lag LIMIT-B"),
                     "flag=no\nlimit-a=1\nlimit-b=2\n");
    cr_assert_str_eq(get(config, "*flag"), "flag=no\nold-flag=no\n");
    cr_assert_str_eq(get(config, "OLD-*"), "old-flag=no\n");
    cr_assert_str_eq(get(config, "nothing no*thing"), "");
    cr_assert_str_eq(get(config, "BIG"), "BIG=0\n"); /* as it was asked for */
    cr_assert_str_eq(get(config, "''"), "");
}

Test(config, hidden_directives_answer_to_their_name_only)
{
    cr_assert_str_eq(get(config, "lab-switch"), "lab-switch=no\n");
    cr_assert_str_eq(get(config, "lab-*"), "");
    cr_assert_null(strstr(get(config, "*"), "lab-switch"));
}
