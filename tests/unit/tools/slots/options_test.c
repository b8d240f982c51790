/* The command line. */
#include "tools/slots/options.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static int parse(struct options *o, const char *words)
{
    static char copy[256];
    char *argv[32] = { (char *)"ouro-slots" }, *rest = NULL;
    int argc = 1, code = -1;
    (void)snprintf(copy, sizeof copy, "%s", words);
    for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        argv[argc++] = w;
    return options_parse(argc, argv, o, &code) < 0 ? code : -1;
}

Test(slots_options, what_is_understood)
{
    struct options o;
    cr_assert_eq(parse(&o, "plan 10.0.0.1:7000 --by cpu --within 5 --over 2.5 --json --user u --password p"), -1);
    cr_expect(o.live && strcmp(o.host, "10.0.0.1") == 0 && o.port == 7000);
    cr_expect(o.by == BY_CPU && o.within == 0.05 && o.over_s == 2.5 && o.json);
    cr_assert_eq(parse(&o, "analyse no-such-file --masters 2,4,8 --top 3"), -1);
    cr_expect(!o.live && o.masters_n == 3 && o.masters[2] == 8 && o.top == 3);
    cr_assert_eq(parse(&o, "analyse ::1:7000"), -1);
    cr_expect(o.live && strcmp(o.host, "::1") == 0);
    cr_assert_eq(parse(&o, "run f --keys-per-second 5000 --batch 10"), -1);
    cr_expect(o.keys_per_second == 5000 && o.batch == 10);
}

Test(slots_options, what_is_refused)
{
    static const char *const bad[] = {
        "", "what", "plan", "plan a b", "plan a --by what", "plan a --by", "plan a --within -1", "plan a --what 1",
        "analyse f --masters 0", "analyse f --masters 3,", "analyse f --masters 3,x", "run f --batch 0",
        "run f --batch 1.5",
        "run f --keys-per-second nan",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct options o;
        cr_expect_eq(parse(&o, bad[i]), 2, "'%s'", bad[i]);
    }
}
