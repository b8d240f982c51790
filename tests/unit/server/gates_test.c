/* The gates, in their order: what is refused, with which text, and what a refusal does to a transaction. */
#include "server/gates.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node_harness.h"

static struct node_harness h;
static struct peer *p;

static void start(const char *const *words)
{
    node_start(&h, words);
    p = node_dial(&h);
}

static void teardown(void)
{
    peer_hang_up(p);
    node_stop(&h);
}

TestSuite(gates, .fini = teardown, .timeout = 60);
#define NOAUTH "-NOAUTH Authentication required."
#define OOM    "-OOM command not allowed when used memory > 'maxmemory'."

Test(gates, what_is_unknown_or_misshapen_is_refused_before_anything_else)
{
    static const struct asked cases[] = {
        { "NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: " },
        { "nosuch a b", "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' " },
        { "GET", "-ERR wrong number of arguments for 'get' command" },
        { "GET a b", "-ERR wrong number of arguments for 'get' command" },
        { "CONFIG", "-ERR wrong number of arguments for 'config' command" },
        { "CONFIG NoSuch", "-ERR unknown subcommand 'NoSuch'. Try CONFIG HELP." },
        { "CONFIG GET", "-ERR wrong number of arguments for 'config|get' command" },
        { "GET a", NOAUTH },
        { "CONFIG GET x", NOAUTH },
        { "AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled." },
        { "GET a", NOAUTH },
        { "AUTH secret", "OK" },
        { "GET a", "nil" },
    };
    static const char *const words[] = { "--requirepass", "secret", NULL };
    start(words);
    ASK_ALL(p, cases);
}

Test(gates, names_and_arguments_in_errors_are_cut)
{
    start(NULL);
    struct buf line = BUF_INIT(BUF_UNLIMITED);
    for (int i = 0; i < 300; i++)
        buf_append_char(&line, 'n');
    for (int k = 0; k < 40; k++) {
        buf_append_char(&line, ' ');
        for (int i = 0; i < k; i++)
            buf_append_char(&line, 'a');
    }
    const char *reply = ask(p, buf_cstr(&line));
    cr_expect_eq(strspn(reply + strlen("-ERR unknown command '"), "n"), 128);
    cr_expect_lt(strlen(reply), 128 + 128 + 80);
    buf_done(&line);
    struct buf sub = BUF_INIT(BUF_UNLIMITED);
    buf_append_str(&sub, "CONFIG ");
    for (int i = 0; i < 500; i++)
        buf_append_char(&sub, 's');
    cr_expect_eq(strspn(ask(p, buf_cstr(&sub)) + strlen("-ERR unknown subcommand '"), "s"), 128);
    buf_done(&sub);
}

Test(gates, a_refusal_breaks_the_transaction)
{
    static const struct asked cases[] = {
        { "MULTI", "OK" },
        { "SET a 1", "QUEUED" },
        { "GET", "-ERR wrong number of arguments for 'get' command" },
        { "SET b 1", "QUEUED" },
        { "EXEC", "-EXECABORT Transaction discarded because of previous errors." },
        { "GET a", "nil" },
        { "MULTI", "OK" },
        { "NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: " },
        { "EXEC", "-EXECABORT Transaction discarded because of previous errors." },
        { "MULTI", "OK" },
        { "MULTI", "-ERR MULTI calls can not be nested" },
        { "WATCH k", "-ERR WATCH inside MULTI is not allowed" },
        { "EXEC", "[]" },
        { "EXEC", "-ERR EXEC without MULTI" },
        { "DISCARD", "-ERR DISCARD without MULTI" },
    };
    start(NULL);
    ASK_ALL(p, cases);
}

Test(gates, without_memory_only_what_could_take_more_is_refused)
{
    static const struct asked cases[] = {
        { "SET a 1", "OK" },
        { "MULTI", "OK" },
        { "SET b 1", "QUEUED" },
        { "CONFIG SET maxmemory 1", "QUEUED" },
        { "EXEC", "[OK OK]" },
        { "SET c 1", OOM },
        { "GET a", "'1'" },
        { "DEL b", ":1" },
        { "MULTI", "OK" },
        { "GET a", OOM },
        { "EXEC", "-EXECABORT Transaction discarded because of previous errors." },
        { "CONFIG SET maxmemory 0", "OK" },
        { "SET c 1", "OK" },
    };
    start(NULL);
    ASK_ALL(p, cases);
}

Test(gates, exec_is_refused_as_a_whole_when_it_would_take_memory)
{
    start(NULL);
    struct peer *other = node_dial(&h);
    ask(p, "MULTI");
    ask(p, "SET a 1");
    ask(other, "CONFIG SET maxmemory 1");
    cr_expect_str_eq(ask(p, "EXEC"),
                     "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > "
                     "'maxmemory'.");
    cr_expect_str_eq(ask(p, "EXEC"), "-ERR EXEC without MULTI");
    peer_hang_up(other);
}

Test(gates, a_resp2_subscriber_may_only_change_its_subscriptions)
{
    static const struct asked cases[] = {
        { "SUBSCRIBE c", "['subscribe' 'c' :1]" },
        { "GET a", "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
                   "allowed in this "
                   "context" },
        { "CONFIG GET port", "-ERR Can't execute 'config|get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT "
                             "/ RESET are allowed in "
                             "this context" },
        { "PING", "['pong' '']" },
        { "UNSUBSCRIBE c", "['unsubscribe' 'c' :0]" },
        { "GET a", "nil" },
        { "SSUBSCRIBE s", "['ssubscribe' 's' :1]" },
        { "RESET", "RESET" },
        { "GET a", "nil" },
    };
    start(NULL);
    ASK_ALL(p, cases);
}

Test(gates, debug_is_allowed_as_configured)
{
    static const struct {
        const char *mode;
        bool allowed;
    } cases[] = { { "no", false }, { "local", true }, { "yes", true } };
    for (size_t i = 0; i < 3; i++) {
        const char *words[] = { "--enable-debug-command", cases[i].mode, NULL };
        start(words);
        const char *reply = ask(p, "DEBUG SLEEP 0");
        cr_expect_eq(strcmp(reply, "OK") == 0, cases[i].allowed, "%s: %s", cases[i].mode, reply);
        if (i < 2)
            teardown();
    }
}

Test(gates, refusals_are_counted_by_command)
{
    start(NULL);
    ask(p, "GET");
    ask(p, "GET");
    ask(p, "CONFIG NOSUCH");
    const char *stats = ask(p, "INFO commandstats");
    const char *get = strstr(stats, "cmdstat_get:");
    cr_assert_not_null(get);
    cr_expect_not_null(strstr(get, "rejected_calls=2,failed_calls=0"));
}

Test(gates, a_failure_is_counted_where_it_happened)
{
    static const struct asked cases[] = {
        { "MULTI", "OK" },
        { "SET s a", "QUEUED" },
        { "INCR s", "QUEUED" },
        { "EXEC", "[OK -ERR value is not an integer or out of range]" },
        { "EXEC", "-ERR EXEC without MULTI" },
        { "GET s", "'a'" },
    };
    static const struct {
        const char *command;
        int failed;
    } failed[] = { { "cmdstat_exec:", 1 }, { "cmdstat_incr:", 1 }, { "cmdstat_set:", 0 }, { "cmdstat_get:", 0 } };
    start(NULL);
    ASK_ALL(p, cases);
    const char *stats = ask(p, "INFO commandstats");
    for (size_t i = 0; i < 4; i++) {
        const char *line = strstr(stats, failed[i].command);
        cr_assert_not_null(line, "%s", failed[i].command);
        int n = -1;
        cr_expect_eq(sscanf(strstr(line, "failed_calls="), "failed_calls=%d", &n), 1);
        cr_expect_eq(n, failed[i].failed, "%s", failed[i].command);
    }
}

Test(gates, whoever_speaks_http_is_cut_off)
{
    start(NULL);
    cr_expect_str_eq(ask(p, "POST / HTTP/1.1"), GONE);
    peer_hang_up(p);
    p = node_dial(&h);
    cr_expect_str_eq(ask(p, "Host: example"), GONE);
}
