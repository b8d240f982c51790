/* The slow log: newest first, bounded, long requests cut. */
#include "server/slowlog.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/alloc.h"

static struct monitor_config config;
static struct slowlog *entries;
static struct client client; /* without a connection */

static void setup(void)
{
    config = (struct monitor_config){ .slowlog_max_len = 3 };
    client = (struct client){ .name = (char *)"bob" };
    entries = slowlog_new(&config);
}

static void teardown(void)
{
    slowlog_free(entries);
    slowlog_free(NULL);
}

TestSuite(slowlog, .init = setup, .fini = teardown, .timeout = 10);

static void note(usec_t us)
{
    struct bytes argv[] = { BYTES("GET"), BYTES("k") };
    slowlog_note(entries, &client, 2, argv, us, 1700000000123);
}

Test(slowlog, holds_the_newest_first_with_growing_ids)
{
    for (int i = 0; i < 5; i++)
        note(100 + i);
    cr_expect_eq(slowlog_len(entries), 3);
    int64_t id = 4;
    for (const struct slowlog_entry *e = slowlog_first(entries); e; e = slowlog_next(entries, e), id--) {
        cr_expect_eq(e->id, id);
        cr_expect_eq(e->us, 100 + id);
        cr_expect_eq(e->at_s, 1700000000);
        cr_expect_str_eq(e->name, "bob");
        cr_expect_str_eq(e->peer, "");
        cr_expect(bytes_eq(e->argv[0], BYTES("GET")));
    }
    cr_expect_eq(id, 1, "three entries");
}

Test(slowlog, is_cut_when_its_length_changes_and_ids_go_on_after_a_reset)
{
    for (int i = 0; i < 3; i++)
        note(1);
    config.slowlog_max_len = 1;
    slowlog_trim(entries);
    cr_expect_eq(slowlog_len(entries), 1);
    cr_expect_eq(slowlog_first(entries)->id, 2);
    slowlog_reset(entries);
    cr_expect_eq(slowlog_len(entries), 0);
    cr_expect_null(slowlog_first(entries));
    note(1);
    cr_expect_eq(slowlog_first(entries)->id, 3);
}

Test(slowlog, of_length_zero_keeps_nothing)
{
    config.slowlog_max_len = 0;
    note(1);
    cr_expect_eq(slowlog_len(entries), 0);
}

Test(slowlog, cuts_many_and_long_arguments_and_says_so)
{
    static const struct {
        int argc;
        size_t bytes; /* of each */
        int kept;
        const char *last;
    } cases[] = {
        { 31, 1, 31, "x" },
        { 32, 1, 32, "x" },
        { 33, 1, 32, "... (2 more arguments)" },
        { 1000, 1, 32, "... (969 more arguments)" },
        { 1, 0, 1, "" },
        { 1, 129, 1, NULL },
    };
    static char text[200];
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        static struct bytes argv[1000];
        for (int k = 0; k < cases[i].argc; k++)
            argv[k] = bytes_of(text, cases[i].bytes);
        slowlog_note(entries, &client, cases[i].argc, argv, 1, 0);
        const struct slowlog_entry *e = slowlog_first(entries);
        cr_expect_eq(e->argc, cases[i].kept, "case %zu", i);
        struct bytes last = e->argv[e->argc - 1];
        if (cases[i].last)
            cr_expect(bytes_eq(last, bytes_of_str(cases[i].last)), "case %zu: %.*s", i, (int)last.n, last.p);
    }
    struct bytes cut = slowlog_first(entries)->argv[0];
    cr_expect_eq(memcmp(cut.p, text, 128), 0);
    cr_expect(bytes_eq(bytes_of(cut.p + 128, cut.n - 128), BYTES("... (1 more bytes)")));
}
