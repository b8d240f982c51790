/* What a client looks like in CLIENT LIST, what it weighs, and how large its struct may be. */
#include "server/client.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_harness.h"

static struct node_harness h;
static struct peer *p, *other;

static void setup(void)
{
    node_start(&h, NULL);
    p = node_dial(&h);
    other = node_dial(&h);
}

static void teardown(void)
{
    peer_hang_up(p);
    peer_hang_up(other);
    node_stop(&h);
}

TestSuite(client_info, .init = setup, .fini = teardown, .timeout = 60);

Test(client_info_size, a_plain_client_stays_small)
{
    cr_expect_leq(sizeof(struct client), 448, "%zu bytes: raise the ceiling only on purpose", sizeof(struct client));
}

/* Asks `by` for the line of a client; a field of it. */
static const char *field(struct peer *by, const char *id, const char *name)
{
    static char value[256];
    char line[64], key[64];
    (void)snprintf(line, sizeof(line), "CLIENT LIST ID %s", id);
    (void)snprintf(key, sizeof(key), " %s=", name);
    const char *reply = ask(by, line), *at = strstr(reply, key);
    cr_assert_not_null(at, "no %s in %s", name, reply);
    (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(at + strlen(key), " \n'"), at + strlen(key));
    return value;
}

static const char *id_of(struct peer *peer)
{
    static char id[32];
    (void)snprintf(id, sizeof(id), "%s", ask(peer, "CLIENT ID") + 1);
    return id;
}

Test(client_info, the_fields_are_there_in_redis_order)
{
    static const char *const names[] = { "id", "addr", "laddr", "fd", "name", "age", "idle", "flags", "db", "sub",
                                         "psub", "ssub", "multi", "qbuf", "qbuf-free", "argv-mem", "multi-mem", "rbs",
                                         "rbp", "obl", "oll", "omem", "tot-mem", "events", "cmd", "user", "redir",
                                         "resp", "lib-name", "lib-ver" };
    const char *at = ask(p, "CLIENT INFO") + 1;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        size_t n = strlen(names[i]);
        cr_assert(strncmp(at, names[i], n) == 0 && at[n] == '=', "%s expected at: %s", names[i], at);
        at += strcspn(at, " '\n");
        at += *at == ' ';
    }
}

Test(client_info, the_letters_of_flags_follow_the_state)
{
    static const struct {
        const char *line, *flags;
    } cases[] = {
        { "PING", "N" },
        { "MULTI", "x" },
        { "DISCARD", "N" },
        { "CLIENT NO-EVICT on", "e" },
        { "CLIENT NO-TOUCH on", "eT" },
        { "RESET", "N" },
        { "HELLO 3", "N" },
        { "CLIENT TRACKING on BCAST", "tB" },
        { "CLIENT TRACKING off", "N" },
        { "SUBSCRIBE c", "P" },
        { "RESET", "N" },
        { "MONITOR", "O" },
    };
    char id[32];
    (void)snprintf(id, sizeof(id), "%s", id_of(p));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ask(p, cases[i].line);
        cr_expect_str_eq(field(other, id, "flags"), cases[i].flags, "after %s", cases[i].line);
    }
}

Test(client_info, fields_tell_what_the_client_did)
{
    static const struct {
        const char *line, *name, *value;
    } cases[] = {
        { "CLIENT SETNAME bob", "name", "bob" },
        { "CLIENT SETINFO lib-name lib", "lib-name", "lib" },
        { "CLIENT SETINFO lib-ver 1.2", "lib-ver", "1.2" },
        { "SELECT 7", "db", "7" },
        { "CONFIG GET port", "cmd", "config|get" },
        { "PING", "multi", "-1" },
        { "MULTI", "multi", "0" },
        { "SET a b", "multi", "1" },
        { "DISCARD", "multi", "-1" },
        { "PING", "redir", "-1" },
        { "PING", "events", "r" },
        { "PING", "resp", "2" },
        { "SUBSCRIBE a b", "sub", "2" },
        { "PSUBSCRIBE a", "psub", "1" },
        { "SSUBSCRIBE a", "ssub", "1" },
    };
    char id[32];
    (void)snprintf(id, sizeof(id), "%s", id_of(p));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ask(p, cases[i].line);
        if (strcmp(cases[i].line, "SUBSCRIBE a b") == 0)
            peer_hear(p);
        cr_expect_str_eq(field(other, id, cases[i].name), cases[i].value, "after %s", cases[i].line);
    }
}

static long total(const char *id)
{
    return atol(field(other, id, "tot-mem"));
}

Test(client_info, memory_grows_with_what_is_kept_for_the_client_and_goes_again)
{
    char id[32], big[4096];
    (void)snprintf(id, sizeof(id), "%s", id_of(p));
    long plain = total(id);
    cr_expect_lt(plain, 2048);
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    memcpy(big, "SET k ", 6);
    ask(p, "MULTI");
    ask(p, big);
    cr_expect_geq(total(id), plain + 4000);
    cr_expect_geq(atol(field(other, id, "multi-mem")), 4000);
    ask(p, "DISCARD");
    cr_expect_eq(total(id), plain);
    ask(p, "WATCH a b c d e f g h");
    cr_expect_geq(total(id), plain + 8 * 50);
    ask(p, "UNWATCH");
    cr_expect_eq(total(id), plain);
    peer_send_raw(p, bytes_of(big, 3000)); /* a cut frame */
    for (int i = 0; i < 1000 && total(id) < plain + 3000; i++)
        continue;
    cr_expect_geq(total(id), plain + 3000);
    cr_expect_eq(atol(field(other, id, "qbuf")), 3000);
    peer_send_raw(p, BYTES("\r\n"));
    peer_hear(p);
    cr_expect_eq(total(id), plain);
}

struct sums {
    size_t counted, single;
};

static void add_up(struct call *c, void *ctx)
{
    struct sums *s = ctx;
    struct clients *all = node_clients(c->node);
    *s = (struct sums){ 0 };
    LIST_EACH(clients_list(all), n) {
        struct client *client = LIST_ITEM(n, struct client, all);
        client_count_memory(client);
        s->single += client_memory(client);
    }
    s->counted = clients_stats(all)->memory_normal;
}

Test(client_info, the_sum_of_all_clients_is_kept_right_when_some_leave)
{
    struct sums before, with, after;
    node_probe(&h, add_up, &before);
    cr_expect_eq(before.counted, before.single);
    struct peer *third = node_dial(&h);
    ask(third, "MULTI");
    ask(third, "SET a b");
    node_probe(&h, add_up, &with);
    cr_expect_gt(with.counted, before.counted);
    cr_expect_eq(with.counted, with.single);
    peer_hang_up(third);
    for (int i = 0; i < 1000; i++) {
        node_probe(&h, add_up, &after);
        if (after.counted == before.counted)
            return;
    }
    cr_assert_fail("%zu bytes are still counted, %zu before", after.counted, before.counted);
}
