/* The turn: waking, deadlines, stopping; and listeners, which are part of no connection. */
#include "tests/unit/server/loop/harness.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/log.h"
#include "server/loop/loop.h"

static void script_wake(struct world *w)
{
    nap_ms(20);
    for (int i = 0; i < 10; i++) {
        int before = atomic_load(&w->turns);
        nap_ms(20);
        CHECK(w, atomic_load(&w->turns) == before); /* asleep: nothing to do */
        io_wake(w->io);
        CHECK(w, wait_for(&w->turns, before + 1));
    }
}

BOTH(loop, a_wake_begins_a_turn)
{
    world_run(w, script_wake);
}

static void tick(struct world *w)
{
    w->deadline = io_now_monotonic(w->io) + 20 * 1000;
}

static void script_deadline(struct world *w)
{
    int before = atomic_load(&w->turns);
    nap_ms(410);
    int turns = atomic_load(&w->turns) - before;
    CHECK(w, turns >= 3 && turns <= 25);
}

BOTH(loop, a_deadline_begins_a_turn)
{
    w->on_turn = tick;
    world_run(w, script_deadline);
}

static void check_clocks(struct world *w)
{
    usec_t mono = clock_monotonic_us(), wall = clock_wall_us();
    CHECK(w, mono - io_now_monotonic(w->io) >= 0 && mono - io_now_monotonic(w->io) < 1000 * 1000);
    CHECK(w, wall - io_now_wall(w->io) >= 0 && wall - io_now_wall(w->io) < 1000 * 1000);
    usec_t before = io_now_monotonic(w->io);
    nap_ms(2);
    CHECK(w, io_now_monotonic(w->io) == before);
    io_refresh_now(w->io);
    CHECK(w, io_now_monotonic(w->io) >= before + 2000);
}

static void script_nothing(struct world *w)
{
    (void)w;
}

BOTH(loop, the_clocks_stand_still_during_a_turn)
{
    w->on_turn = check_clocks;
    world_run(w, script_nothing);
}

#define LAST_WORDS ((size_t)8 * 1024 * 1024)

static void reply_and_stop(struct peer *p, struct bytes b)
{
    (void)b;
    struct writer *w = conn_writer(p->conn, 2);
    char *big = malloc(LAST_WORDS);
    fill_pattern(big, LAST_WORDS, 9);
    w->ops->copy(w, bytes_of(big, LAST_WORDS));
    free(big);
    io_stop(p->w->io);
}

static void script_stop(struct world *w)
{
    int fd = dial(w);
    char *got = malloc(LAST_WORDS);
    send_all(w, fd, "x", 1);
    CHECK(w, recv_n(fd, got, LAST_WORDS) == LAST_WORDS && is_pattern(got, LAST_WORDS, 9));
    free(got);
    close(fd);
}

BOTH(loop, stopping_flushes_what_was_written)
{
    w->on_bytes = reply_and_stop;
    world_run(w, script_stop);
}

static void *stop_and_do_not_read(void *arg)
{
    struct world *w = arg;
    int fd = dial(w);
    send_all(w, fd, "x", 1);
    nap_ms(1500); /* does not read */
    CHECK(w, atomic_load(&w->step) == 1);
    close(fd);
    return NULL;
}

BOTH(loop, stopping_waits_a_second_at_most)
{
    w->on_bytes = reply_and_stop;
    pthread_t t;
    cr_assert_eq(pthread_create(&t, NULL, stop_and_do_not_read, w), 0);
    usec_t from = clock_monotonic_us();
    io_run(w->io);
    usec_t took = clock_monotonic_us() - from;
    atomic_store(&w->step, 1);
    pthread_join(t, NULL);
    cr_assert(!w->failure[0], "%s", w->failure);
    cr_assert(took > 900 * 1000 && took < 5000 * 1000, "took %ld us", (long)took);
}

/* One greedy pipeliner and one polite client: the polite one gets its answers. */
static void script_greedy(struct world *w)
{
    int greedy = dial(w), polite = dial(w);
    pid_t pid = fork();
    if (pid == 0) {
        static char junk[1 << 20];
        for (;;) {
            if (send(greedy, junk, sizeof junk, MSG_NOSIGNAL) <= 0)
                _exit(0);
        }
    }
    nap_ms(50);
    for (int i = 0; i < 50; i++) {
        char got;
        usec_t from = clock_monotonic_us();
        send_all(w, polite, "x", 1);
        CHECK(w, recv_n(polite, &got, 1) == 1);
        CHECK(w, clock_monotonic_us() - from < 2000 * 1000);
    }
    kill(pid, SIGKILL);
    close(greedy);
    close(polite);
}

static void echo_short(struct peer *p, struct bytes b)
{
    if (b.n == 1)
        writer_append(conn_writer(p->conn, 2), b);
}

BOTH(loop, one_that_never_stops_sending_does_not_starve_others)
{
    signal(SIGCHLD, SIG_IGN);
    w->on_bytes = echo_short;
    world_run(w, script_greedy);
    cr_assert_gt(atomic_load(&w->executes), 50);
}

/* ---- listeners ---- */

/* The limit holds from before the loop armed its accept: io_uring takes note of it then. */
static void script_emfile(struct world *w)
{
    int served = dial(w), late = socket(AF_INET, SOCK_STREAM, 0), filler[64], n = 0;
    CHECK(w, wait_for(&w->opened, 1));
    while (n < 64 && (filler[n] = dup(late)) >= 0)
        n++;
    CHECK(w, n < 64);
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)w->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK(w, connect(late, (struct sockaddr *)&a, sizeof a) == 0); /* by the kernel alone */
    nap_ms(50);
    int turns = atomic_load(&w->turns);
    char got;
    nap_ms(350);
    CHECK(w, atomic_load(&w->turns) - turns < 30); /* tries again now and then, does not spin */
    send_all(w, served, "x", 1);
    CHECK(w, recv_n(served, &got, 1) == 1);
    CHECK(w, atomic_load(&w->opened) == 1);
    while (n)
        close(filler[--n]);
    send_all(w, late, "y", 1);
    CHECK(w, recv_n(late, &got, 1) == 1 && got == 'y');
    close(served);
    close(late);
}

static void run_emfile(enum io_backend backend)
{
    struct rlimit low;
    getrlimit(RLIMIT_NOFILE, &low);
    low.rlim_cur = 40;
    setrlimit(RLIMIT_NOFILE, &low);
    struct world *w = calloc(1, sizeof *w);
    if (world_start(w, backend)) {
        world_run(w, script_emfile);
        cr_assert_gt(io_stats(w->io)->accept_errors, 0);
        cr_assert_lt(io_stats(w->io)->accept_errors, 20);
    }
    world_done(w);
    free(w);
}

Test(loop, no_descriptors_left_is_waited_out_uring)
{
    run_emfile(IO_BACKEND_URING);
}

Test(loop, no_descriptors_left_is_waited_out_epoll)
{
    run_emfile(IO_BACKEND_EPOLL);
}

static void move_listener(struct world *w)
{
    if (atomic_exchange(&w->step, 0) != 1)
        return;
    /* Within one turn, as CONFIG SET bind does: the same port must be free at once. */
    listener_close(w->listener);
    int r = io_listen_tcp(w->io, "127.0.0.1", w->port, 16, &w->listener);
    CHECK(w, r == 0);
    atomic_store(&w->opened, 10);
}

static void script_move(struct world *w)
{
    int old = dial(w);
    CHECK(w, wait_for(&w->opened, 1));
    atomic_store(&w->step, 1);
    io_wake(w->io);
    CHECK(w, wait_for(&w->opened, 10));
    int new = dial(w);
    CHECK(w, wait_for(&w->opened, 11));
    char got;
    send_all(w, old, "o", 1);
    send_all(w, new, "n", 1);
    CHECK(w, recv_n(old, &got, 1) == 1 && got == 'o');
    CHECK(w, recv_n(new, &got, 1) == 1 && got == 'n');
    close(old);
    close(new);
}

BOTH(loop, a_closed_listener_frees_its_port_at_once)
{
    w->on_turn = move_listener;
    world_run(w, script_move);
}

BOTH(loop, a_port_in_use_is_an_error)
{
    struct listener *l = NULL;
    cr_assert_eq(io_listen_tcp(w->io, "127.0.0.1", w->port, 16, &l), -EADDRINUSE);
    cr_assert_eq(io_listen_tcp(w->io, "500.0.0.1", 7549, 16, &l), -EHOSTUNREACH);
    cr_assert_null(l);
}

BOTH(loop, a_unix_socket_has_its_permissions_and_goes_with_its_listener)
{
    struct stat st;
    cr_assert_eq(stat(w->path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    cr_assert(listener_is_unix(w->unix_listener));
    cr_assert_not(listener_is_unix(w->listener));
    /* A stale path is replaced; a file that is no socket is not touched. */
    char other[96];
    (void)snprintf(other, sizeof other, "%s.2", w->path);
    struct listener *l;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    memcpy(a.sun_path, other, strlen(other) + 1);
    cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
    cr_assert_eq(io_listen_unix(w->io, other, 0, 16, &l), 0);
    listener_close(l);
    cr_assert_neq(access(other, F_OK), 0);
    FILE *f = fopen(other, "w");
    fclose(f);
    cr_assert_eq(io_listen_unix(w->io, other, 0, 16, &l), -EADDRINUSE);
    cr_assert_eq(access(other, F_OK), 0);
    unlink(other);
    char path[300];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = 0;
    cr_assert_eq(io_listen_unix(w->io, path, 0, 16, &l), -ENAMETOOLONG);
}

static void six_answers(struct peer *p, struct bytes b)
{
    CHECK(p->w, strncmp(conn_peer_name(p->conn), "[::1]:", 6) == 0);
    CHECK(p->w, conn_is_loopback(p->conn));
    writer_append(conn_writer(p->conn, 2), b);
}

static void script_six(struct world *w)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6,
                              .sin6_port = htons((uint16_t)w->port),
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    char got;
    CHECK(w, connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    send_all(w, fd, "6", 1);
    CHECK(w, recv_n(fd, &got, 1) == 1 && got == '6');
    close(fd);
}

BOTH(loop, ipv6_listens_beside_ipv4)
{
    struct listener *l;
    int r = io_listen_tcp(w->io, "::*", w->port, 16, &l);
    if (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL)
        return; /* no IPv6 on this machine */
    cr_assert_eq(r, 0, "%s", strerror(-r));
    w->on_bytes = six_answers;
    world_run(w, script_six);
}
