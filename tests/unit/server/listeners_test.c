/* The sockets the node listens on, and how they change while it runs. */
#include "server/listeners.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node_harness.h"

static struct node_harness h;
static struct peer *p;
static char path[64];

static void setup(void)
{
    (void)snprintf(path, sizeof(path), "/tmp/ouro-listeners-%d.sock", (int)getpid());
    const char *words[] = { "--unixsocket", path, "--unixsocketperm", "700", NULL };
    node_start(&h, words);
    p = node_dial(&h);
}

static void teardown(void)
{
    peer_hang_up(p);
    node_stop(&h);
}

TestSuite(listeners, .init = setup, .fini = teardown, .timeout = 60);

static bool answers(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    close(fd);
    return ok;
}

struct described {
    int n;
    char text[4][256];
};

static void describe(struct call *c, void *ctx)
{
    struct described *d = ctx;
    struct listeners *ls = node_listeners(c->node);
    d->n = listeners_count(ls);
    for (int i = 0; i < d->n; i++) {
        struct buf b = BUF_INIT(255);
        listeners_describe(ls, i, &b);
        (void)snprintf(d->text[i], sizeof(d->text[i]), "%s", buf_cstr(&b));
        buf_done(&b);
    }
}

Test(listeners, are_described_as_info_prints_them)
{
    struct described d;
    char want[256];
    node_probe(&h, describe, &d);
    cr_assert_eq(d.n, 2);
    (void)snprintf(want, sizeof(want), "name=tcp,bind=127.0.0.1,port=%d", h.port);
    cr_expect_str_eq(d.text[0], want);
    (void)snprintf(want, sizeof(want), "name=unix,bind=%s", path);
    cr_expect_str_eq(d.text[1], want);
}

static const char *set_port(int port)
{
    static char line[64];
    (void)snprintf(line, sizeof(line), "CONFIG SET port %d", port);
    return ask(p, line);
}

Test(listeners, move_to_another_port_and_keep_their_clients)
{
    int old = h.port, new = 0;
    for (int port = 7860; port < 7880 && !new; port++)
        if (!answers(port) && strcmp(set_port(port), "OK") == 0)
            new = port;
    cr_assert(new, "no other port is free");
    cr_expect(answers(new));
    cr_expect(!answers(old));
    cr_expect_str_eq(ask(p, "PING"), "PONG");
    h.port = new;
    cr_expect_str_eq(set_port(0), "OK");
    cr_expect(!answers(new));
    cr_expect_str_eq(set_port(new), "OK");
    cr_expect(answers(new));
}

Test(listeners, stay_where_they_are_when_the_new_place_is_not_to_be_had)
{
    int taken = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);
    cr_assert_eq(bind(taken, (struct sockaddr *)&a, sizeof(a)), 0);
    cr_assert_eq(listen(taken, 1), 0);
    cr_assert_eq(getsockname(taken, (struct sockaddr *)&a, &n), 0);
    cr_expect_str_eq(set_port(ntohs(a.sin_port)),
                     "-ERR CONFIG SET failed (possibly related to argument 'port') - Unable to "
                     "listen on this port. Check server logs.");
    cr_expect(answers(h.port));
    cr_expect_str_eq(ask(p, "CONFIG SET bind 192.0.2.1"),
                     "-ERR CONFIG SET failed (possibly related to argument 'bind') - "
                     "Failed to bind to specified addresses.");
    cr_expect(answers(h.port), "the old addresses are bound again");
    struct described d;
    node_probe(&h, describe, &d);
    cr_expect_eq(d.n, 2);
    close(taken);
}

Test(listeners, an_optional_address_may_be_missing)
{
    cr_expect_str_eq(ask(p, "CONFIG SET bind \"127.0.0.1 -192.0.2.1\""), "OK");
    cr_expect(answers(h.port));
}

Test(listeners, the_unix_socket_has_the_permissions_asked_for)
{
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0700);
}
