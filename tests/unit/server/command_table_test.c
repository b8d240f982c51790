/* The registry: names without regard to case, subcommands, renaming. */
#include "server/command.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

TestSuite(command_table, .init = command_table_init, .fini = command_table_done, .timeout = 10);

Test(command_table, names_are_found_in_any_case_and_only_whole)
{
    static const struct {
        const char *name, *full_name; /* NULL: unknown */
    } cases[] = {
        { "get", "get" },
        { "GET", "get" },
        { "gEt", "get" },
        { "ge", NULL },
        { "gett", NULL },
        { "", NULL },
        { "subscribe", "subscribe" }, /* longer than a word */
        { "SUBSCRIBE", "subscribe" },
        { "subscribx", NULL },
        { "punsubscribe", "punsubscribe" },
        { "PUNSUBSCRIBe", "punsubscribe" },
        { "config|set", "config|set" },
        { "CONFIG|Set", "config|set" },
        { "config|nosuch", NULL },
        { "config|", NULL },
        { "|set", NULL },
        { "get|set", NULL },
        { "g\xe5t", NULL },  /* 'e' with another bit */
        { "GET@", NULL },
        { "@ET", NULL },
        { "[et", NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct command_entry *e = command_find(bytes_of_str(cases[i].name));
        cr_expect_eq(e != NULL, cases[i].full_name != NULL, "'%s'", cases[i].name);
        if (e && cases[i].full_name)
            cr_expect_str_eq(e->full_name, cases[i].full_name);
    }
    cr_expect_null(command_find(bytes_of("get\0", 4)), "a NUL is a byte as others");
}

Test(command_table, folding_touches_letters_only)
{
    for (int ch = 0; ch < 256; ch++) {
        char name[3] = { (char)ch, 'E', 'T' };
        struct command_entry *e = command_find(bytes_of(name, 3));
        bool letter = ch == 'g' || ch == 'G' || ch == 's' || ch == 'S'; /* GET and SET */
        cr_expect_eq(e != NULL, letter, "byte %d", ch);
    }
}

Test(command_table, every_entry_is_found_by_its_full_name_and_id)
{
    int subs = 0;
    for (int i = 0; i < command_count(); i++) {
        struct command_entry *e = command_at(i);
        cr_expect_eq(command_find(bytes_of_str(e->full_name)), e, "%s", e->full_name);
        subs += e->subs_n;
        for (int k = 0; k < e->subs_n; k++) {
            cr_expect_eq(command_find(bytes_of_str(e->subs[k].full_name)), &e->subs[k], "%s", e->subs[k].full_name);
            cr_expect_eq(e->subs[k].parent, e);
        }
    }
    cr_expect_eq(command_ids(), command_count() + subs);
    for (int id = 0; id < command_ids(); id++) {
        cr_expect_eq(command_by_id(id)->id, id);
        cr_expect_not_null(command_by_id(id)->stats);
    }
}

Test(command_table, rows_keep_their_promises)
{
    for (int id = 0; id < command_ids(); id++) {
        const struct command_entry *e = command_by_id(id);
        const struct command *row = e->row;
        bool container = row->flags & CMD_CONTAINER;
        cr_expect_eq(container, row->subs != NULL, "%s", e->full_name);
        cr_expect(row->handler || container, "%s does nothing", e->full_name);
        cr_expect(row->arity != 0, "%s", e->full_name);
        cr_expect(!((row->flags & CMD_WRITE) && (row->flags & CMD_READ)), "%s both reads and writes", e->full_name);
        int least = row->arity < 0 ? -row->arity : row->arity;
        bool movable = row->flags & CMD_MOVABLE_KEYS;
        cr_expect(row->keys.first == 0 || movable || row->keys.first < least ||
                      (row->flags & (CMD_NO_MANDATORY_KEYS | CMD_PUBSUB)), /* SUNSUBSCRIBE: all */
                  "the first key of %s may be missing", e->full_name);
        cr_expect(row->keys.first == 0 || row->keys.step > 0, "%s", e->full_name);
    }
}

Test(command_table, an_arity_is_exact_or_a_least)
{
    static const struct {
        int arity, argc;
        bool ok;
    } cases[] = {
        { 2, 1, false }, { 2, 2, true }, { 2, 3, false }, { -2, 1, false }, { -2, 2, true }, { -2, 100, true },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct command row = { .arity = cases[i].arity };
        cr_expect_eq(command_arity_ok(&row, cases[i].argc), cases[i].ok, "case %zu", i);
    }
}

Test(command_table, a_request_resolves_to_its_subcommand_or_the_container)
{
    static const struct {
        const char *a, *b, *full_name;
    } cases[] = {
        { "CONFIG", "GET", "config|get" }, { "config", "nosuch", "config" }, { "config", NULL, "config" },
        { "GET", "set", "get" },           { "nosuch", "get", NULL },        { "", NULL, NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct bytes argv[] = { bytes_of_str(cases[i].a), bytes_of_str(cases[i].b ? cases[i].b : "") };
        struct command_entry *e = command_resolve(argv, cases[i].b ? 2 : 1);
        cr_expect_eq(e != NULL, cases[i].full_name != NULL, "case %zu", i);
        if (e && cases[i].full_name)
            cr_expect_str_eq(e->full_name, cases[i].full_name);
    }
}

Test(command_table, a_renamed_command_has_its_new_name_only)
{
    struct command_entry *get = command_find(BYTES("get"));
    cr_expect_eq(command_rename(BYTES("GET"), BYTES("Fetch")), 0);
    cr_expect_null(command_find(BYTES("get")));
    cr_expect_eq(command_find(BYTES("FETCH")), get);
    cr_expect_str_eq(get->full_name, "get");
    cr_expect_eq(command_rename(BYTES("get"), BYTES("x")), -ENOENT);
    cr_expect_eq(command_rename(BYTES("set"), BYTES("fetch")), -EEXIST);
    cr_expect_eq(command_rename(BYTES("set"), BYTES("")), 0);
    cr_expect_null(command_find(BYTES("set")));
    cr_expect_eq(command_rename(BYTES("fetch"), BYTES("set")), 0, "a name that is free again");
    cr_expect_eq(command_find(BYTES("set")), get);
}

Test(command_table, a_new_name_may_be_long_and_renaming_ends)
{
    char name[300];
    memset(name, 'n', sizeof(name));
    struct command_entry *get = command_find(BYTES("get"));
    cr_expect_eq(command_rename(BYTES("get"), bytes_of(name, sizeof(name))), 0);
    cr_expect_eq(command_find(bytes_of(name, sizeof(name))), get);
    cr_expect_null(command_find(bytes_of(name, sizeof(name) - 1)));
    char from[16] = "set", to[16];
    int r = 0;
    for (int i = 0; i < 5000 && r == 0; i++) {
        (void)snprintf(to, sizeof(to), "s%d", i);
        r = command_rename(bytes_of_str(from), bytes_of_str(to));
        if (r == 0)
            memcpy(from, to, sizeof(to));
    }
    cr_expect_eq(r, -ENOSPC, "the table has an end");
    cr_expect_not_null(command_find(bytes_of_str(from)));
    cr_expect_null(command_find(BYTES("nosuch")));
}
