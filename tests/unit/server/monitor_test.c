/* MONITOR: every command once, in its database, and nobody disturbed by a monitor that leaves. */
#include "server/monitor.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node_harness.h"

static struct node_harness h;
static struct peer *p, *m;

static void setup(void)
{
    node_start(&h, NULL);
    p = node_dial(&h);
    m = node_dial(&h);
    cr_assert_str_eq(ask(m, "MONITOR"), "OK");
}

static void teardown(void)
{
    peer_hang_up(p);
    peer_hang_up(m);
    node_stop(&h);
}

TestSuite(monitor, .init = setup, .fini = teardown, .timeout = 60);

static void look(struct call *c, void *ctx)
{
    *(uint64_t *)ctx = monitors_count(node_monitors(c->node));
}

static uint64_t monitors(void)
{
    uint64_t n;
    node_probe(&h, look, &n);
    return n;
}

/* The part of the next line from the database on: "[0 ...] "GET" "a"" becomes "0 "GET" "a"". */
static const char *heard(void)
{
    static char text[512];
    const char *line = peer_hear(m), *at = strchr(line, '['), *end = at ? strchr(at, ']') : NULL;
    if (!end)
        return line;
    (void)snprintf(text, sizeof(text), "%.*s%s", (int)strcspn(at + 1, " "), at + 1, end + 1);
    return text;
}

Test(monitor, sees_what_runs_quoted_and_with_its_database)
{
    static const struct asked cases[] = {
        { "GET a", "0 \"GET\" \"a\"" },
        { "SELECT 3", "3 \"SELECT\" \"3\"" },
        { "SET \"\\\"\\x01\" b", "3 \"SET\" \"\\\"\\x01\" \"b\"" },
    };
    for (size_t i = 0; i < 3; i++) {
        ask(p, cases[i].line);
        cr_expect(strcmp(heard() + 1, cases[i].reply + 1) == 0, "%s", cases[i].line);
    }
}

Test(monitor, sees_neither_administration_nor_what_was_refused)
{
    static const char *const lines[] = { "CONFIG GET port", "NOSUCH", "GET", "CLIENT LIST" };
    for (size_t i = 0; i < 3; i++)
        ask(p, lines[i]);
    ask(p, "PING");
    cr_expect_str_eq(heard(), "0 \"PING\"");
}

Test(monitor, sees_the_commands_of_a_transaction_and_exec_after_them)
{
    static const char *const lines[] = { "MULTI", "SET a 1", "GET a", "EXEC" };
    for (size_t i = 0; i < 4; i++)
        ask(p, lines[i]);
    static const char *const want[] = { "0 \"MULTI\"", "0 \"SET\" \"a\" \"1\"", "0 \"GET\" \"a\"", "0 \"EXEC\"" };
    for (size_t i = 0; i < 4; i++)
        cr_expect_str_eq(heard(), want[i]);
}

Test(monitor, leaves_by_reset_by_kill_and_by_hanging_up)
{
    cr_expect_eq(monitors(), 1);
    cr_expect_str_eq(ask(m, "RESET"), "RESET");
    cr_expect_eq(monitors(), 0);
    ask(m, "MONITOR");
    ask(m, "MONITOR"); /* once only */
    cr_expect_eq(monitors(), 1);
    char lines[128];
    struct peer *second = node_dial(&h);
    char id[32];
    (void)snprintf(id, sizeof(id), "%s", ask(second, "CLIENT ID") + 1);
    ask(second, "MONITOR");
    int n = snprintf(lines, sizeof(lines), "CLIENT KILL ID %s\r\nPING\r\nPING\r\n", id);
    peer_send_raw(p, bytes_of(lines, (size_t)n));
    for (int i = 0; i < 3; i++)
        peer_hear(p);
    for (int i = 0; i < 1000 && monitors() == 2; i++)
        continue;
    cr_expect_eq(monitors(), 1);
    peer_hang_up(second);
    peer_hang_up(m);
    m = NULL;
    for (int i = 0; i < 1000 && monitors(); i++)
        ask(p, "PING");
    cr_expect_eq(monitors(), 0);
}
