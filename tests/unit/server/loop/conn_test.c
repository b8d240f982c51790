/* Connections over both backends: bytes in, bytes out, and all the ways they end. */
#include "tests/unit/server/loop/harness.h"

#include <sys/resource.h>

#include "common/alloc.h"
#include "common/blob.h"
#include "server/loop/loop.h"

#define MB ((size_t)1024 * 1024)

/* ---- echo ---- */

static void script_echo(struct world *w)
{
    int tcp = dial(w), unx = dial_unix(w);
    char got[64];
    for (int i = 0; i < 3; i++) {
        send_all(w, tcp, "hello tcp", 9);
        CHECK(w, recv_n(tcp, got, 9) == 9 && memcmp(got, "hello tcp", 9) == 0);
        send_all(w, unx, "hello unix", 10);
        CHECK(w, recv_n(unx, got, 10) == 10 && memcmp(got, "hello unix", 10) == 0);
    }
    close(tcp);
    close(unx);
    CHECK(w, wait_for(&w->closed, 2));
}

BOTH(conn, what_is_written_comes_back)
{
    world_run(w, script_echo);
    const struct io_stats *s = io_stats(w->io);
    cr_assert_eq(s->accepted, 2);
    cr_assert_eq(s->bytes_in, 3 * 19);
    cr_assert_eq(s->bytes_out, 3 * 19);
    cr_assert_eq(s->out_bytes, 0);
    cr_assert_eq(w->peers[0]->err, 0, "an orderly end has no error");
    cr_assert(s->turns > 0 && s->syscalls >= s->turns);
}

#define MANY 300

static void script_many(struct world *w)
{
    static int fds[MANY];
    char text[32], got[32];
    for (int i = 0; i < MANY; i++)
        fds[i] = dial(w);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < MANY; i++) {
            int n = snprintf(text, sizeof text, "client %d of %d", i, round);
            send_all(w, fds[i], text, (size_t)n);
        }
        for (int i = 0; i < MANY; i++) {
            size_t n = (size_t)snprintf(text, sizeof text, "client %d of %d", i, round);
            CHECK(w, recv_n(fds[i], got, n) == n && memcmp(got, text, n) == 0);
        }
    }
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    CHECK(w, wait_for(&w->closed, MANY));
}

BOTH(conn, many_connections_keep_their_streams_apart)
{
    world_run(w, script_many);
    cr_assert_eq(w->n_peers, MANY);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(w->peers[i]->closed, 1);
}

static void script_stream(struct world *w)
{
    /* Much more than the buffers of the loop and of the sockets hold, so sends are short and the
     * ring runs dry. */
    const size_t n = 48 * MB, chunk = 1 * MB;
    char *sent = malloc(chunk), *got = malloc(chunk);
    int fd = dial(w);
    if (fork() == 0) { /* the writer; this side reads */
        for (size_t i = 0; i < n / chunk; i++) {
            fill_pattern(sent, chunk, (unsigned)i);
            send_all(w, fd, sent, chunk);
        }
        _exit(0);
    }
    for (size_t i = 0; i < n / chunk; i++)
        CHECK(w, recv_n(fd, got, chunk) == chunk && is_pattern(got, chunk, (unsigned)i));
    close(fd);
    free(sent);
    free(got);
}

BOTH(conn, a_long_stream_comes_back_in_order)
{
    signal(SIGCHLD, SIG_IGN);
    world_run(w, script_stream);
    cr_assert_eq(io_stats(w->io)->bytes_in, 48 * MB);
}

/* ---- large output ---- */

#define BIG (50 * MB)

static void reply_big(struct peer *p, struct bytes b)
{
    (void)b;
    struct writer *w = conn_writer(p->conn, 2);
    struct blob *blob = blob_new(BIG / 2, BIG / 2);
    fill_pattern(blob->data, BIG / 2, 1);
    w->ops->ref(w, blob, 0, BIG / 2);
    cr_expect_eq(conn_out_bytes(p->conn), BIG / 2);
    w->ops->copy(w, blob_bytes(blob));
    blob_unref(blob);
    writer_append(w, BYTES("end"));
    cr_expect_eq(conn_out_bytes(p->conn), BIG + 3, "exact while the writer is open");
}

static void script_slow_reader(struct world *w)
{
    char *got = malloc(BIG / 2), end[4];
    int fd = dial(w);
    send_all(w, fd, "x", 1);
    nap_ms(50);
    /* Others are served meanwhile. */
    int other = dial(w);
    send_all(w, other, "y", 1);
    CHECK(w, recv_n(other, end, 1) == 1);
    for (int half = 0; half < 2; half++)
        CHECK(w, recv_n(fd, got, BIG / 2) == BIG / 2 && is_pattern(got, BIG / 2, 1));
    CHECK(w, recv_n(fd, end, 3) == 3 && memcmp(end, "end", 3) == 0);
    close(fd);
    close(other);
    free(got);
    CHECK(w, wait_for(&w->closed, 2));
}

BOTH(conn, fifty_megabytes_reach_a_slow_reader)
{
    w->on_bytes = reply_big;
    world_run(w, script_slow_reader);
    cr_assert_eq(io_stats(w->io)->out_bytes, 0);
}

static void script_never_reads(struct world *w)
{
    int fd = dial(w);
    send_all(w, fd, "x", 1);
    nap_ms(50);
    atomic_store(&w->step, 1); /* close it now */
    io_wake(w->io);
    CHECK(w, wait_for(&w->closed, 1));
    nap_ms(20);
    close(fd);
}

static void close_at_step_1(struct world *w)
{
    if (atomic_load(&w->step) != 1)
        return;
    atomic_store(&w->step, 2);
    struct conn *c = w->peers[0]->conn;
    cr_expect(conn_out_bytes(c) > 0, "the peer has not read");
    conn_close(c);
    conn_close(c);
    cr_expect(conn_is_closing(c));
}

BOTH(conn, closing_while_a_send_is_stuck_is_clean)
{
    w->on_bytes = reply_big;
    w->on_turn = close_at_step_1;
    world_run(w, script_never_reads);
    cr_assert_eq(w->peers[0]->closed, 1);
    cr_assert_eq(io_stats(w->io)->out_bytes, 0, "the queue was dropped");
    cr_assert_eq(w->io->slots[0].conn, NULL, "nothing of it is left in the kernel");
}

static void reply_big_then_small(struct peer *p, struct bytes b)
{
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] == 'x')
            reply_big(p, b);
        else
            writer_append(conn_writer(p->conn, 2), BYTES("0123456789"));
    }
    atomic_fetch_add(&p->w->step, (int)b.n);
}

static void script_own_block(struct world *w)
{
    int fd = dial(w);
    send_all(w, fd, "x", 1);
    CHECK(w, wait_for(&w->step, 1));
    for (int i = 0; i < 10; i++) {
        send_all(w, fd, "m", 1);
        CHECK(w, wait_for(&w->step, 2 + i));
    }
    char *got = malloc(BIG), end[104];
    CHECK(w, recv_n(fd, got, BIG) == BIG);
    CHECK(w, recv_n(fd, end, 103) == 103 && memcmp(end, "end01234567890123", 17) == 0);
    free(got);
    close(fd);
}

static void look_at_own_block(struct world *w)
{
    if (w->n_peers && w->peers[0]->conn && w->peers[0]->conn->out.own)
        atomic_store(&w->opened, 100);
}

BOTH(conn, a_slow_connection_does_not_pin_shared_blocks)
{
    w->on_bytes = reply_big_then_small;
    w->on_turn = look_at_own_block;
    world_run(w, script_own_block);
    cr_assert_eq(atomic_load(&w->opened), 100, "it was given a block of its own");
}

/* ---- the fence and the pause ---- */

static void hold_then_reply(struct peer *p, struct bytes b)
{
    conn_hold_output(p->conn, true);
    writer_append(conn_writer(p->conn, 2), b);
}

static void release_at_step_1(struct world *w)
{
    if (atomic_load(&w->step) != 1)
        return;
    atomic_store(&w->step, 2);
    conn_hold_output(w->peers[0]->conn, false);
}

static bool readable(int fd, int ms)
{
    struct pollfd f = { .fd = fd, .events = POLLIN };
    return poll(&f, 1, ms) > 0;
}

static void script_hold(struct world *w)
{
    char got[8];
    int fd = dial(w);
    send_all(w, fd, "held", 4);
    CHECK(w, !readable(fd, 50));
    atomic_store(&w->step, 1);
    io_wake(w->io);
    CHECK(w, recv_n(fd, got, 4) == 4 && memcmp(got, "held", 4) == 0);
    close(fd);
}

BOTH(conn, held_output_waits_for_the_release)
{
    w->on_bytes = hold_then_reply;
    w->on_turn = release_at_step_1;
    world_run(w, script_hold);
}

static void pause_after(struct peer *p, struct bytes b)
{
    writer_append(conn_writer(p->conn, 2), b);
    conn_pause_input(p->conn, true);
}

static void resume_at_step_1(struct world *w)
{
    if (atomic_load(&w->step) != 1)
        return;
    atomic_store(&w->step, 2);
    w->on_bytes = NULL;
    conn_pause_input(w->peers[0]->conn, false);
}

static void script_pause(struct world *w)
{
    const size_t n = 300 * 1000;
    char *sent = malloc(n), *got = malloc(n);
    fill_pattern(sent, n, 5);
    int fd = dial(w);
    send_all(w, fd, "a", 1);
    CHECK(w, recv_n(fd, got, 1) == 1);
    nap_ms(20); /* the pause has reached the kernel */
    send_all(w, fd, sent, n);
    CHECK(w, !readable(fd, 50));
    CHECK(w, w->peers[0]->bytes_in == 1);
    atomic_store(&w->step, 1);
    io_wake(w->io);
    CHECK(w, recv_n(fd, got, n) == n && is_pattern(got, n, 5));
    close(fd);
    free(sent);
    free(got);
    CHECK(w, wait_for(&w->closed, 1));
}

BOTH(conn, paused_input_comes_whole_after_the_pause)
{
    w->on_bytes = pause_after;
    w->on_turn = resume_at_step_1;
    world_run(w, script_pause);
}

static void script_hang_up_while_paused(struct world *w)
{
    char got[8];
    int fd = dial(w);
    send_all(w, fd, "a", 1);
    CHECK(w, recv_n(fd, got, 1) == 1);
    nap_ms(20);
    const struct linger reset = { .l_onoff = 1 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    nap_ms(10);
    int before = atomic_load(&w->turns);
    nap_ms(100);
    CHECK(w, atomic_load(&w->turns) - before < 20);
    atomic_store(&w->step, 1);
    io_wake(w->io);
    CHECK(w, wait_for(&w->closed, 1));
}

BOTH(conn, a_peer_that_vanishes_during_a_pause_does_not_spin)
{
    w->on_bytes = pause_after;
    w->on_turn = resume_at_step_1;
    world_run(w, script_hang_up_while_paused);
}

/* ---- large input: "B" and ten digits, that many bytes, perhaps CRLF; answered with "k" or "!"
 * ---- */

#define HEADER 11

static void frame_begin(struct peer *p)
{
    cr_assert_eq(p->header[0], 'B');
    p->big_n = strtoul(p->header + 1, NULL, 10);
    p->big = malloc(p->big_n);
    p->big_have = 0;
    p->skip = p->w->crlf ? 2 : 0;
}

static void frame_end_if_whole(struct peer *p)
{
    if (!p->big || p->big_have < p->big_n || p->skip)
        return;
    bool good = is_pattern(p->big, p->big_n, (unsigned)p->big_n);
    writer_append(conn_writer(p->conn, 2), good ? BYTES("k") : BYTES("!"));
    free(p->big);
    p->big = NULL;
    p->header_n = 0;
}

/* One step of the stream; returns the bytes used. */
static size_t take_some(struct peer *p, struct bytes b)
{
    if (!p->big) {
        size_t k = b.n < HEADER - p->header_n ? b.n : HEADER - p->header_n;
        memcpy(p->header + p->header_n, b.p, k);
        p->header_n += k;
        if (p->header_n == HEADER)
            frame_begin(p);
        return k;
    }
    if (p->big_have == p->big_n) {
        cr_assert_eq(*b.p, p->skip == 2 ? '\r' : '\n');
        p->skip--;
        return 1;
    }
    size_t k = b.n < p->big_n - p->big_have ? b.n : p->big_n - p->big_have;
    memcpy(p->big + p->big_have, b.p, k);
    p->big_have += k;
    return k;
}

static void take_frames(struct peer *p, struct bytes b)
{
    cr_assert(!p->receiving, "input during a receive into place");
    while (b.n) {
        size_t used = take_some(p, b);
        frame_end_if_whole(p);
        b = bytes_of(b.p + used, b.n - used);
    }
    if (!p->big || p->big_have == p->big_n)
        return;
    p->receiving = true;
    if (p->w->crlf)
        conn_recv_bulk(p->conn, p->big + p->big_have, p->big_n - p->big_have);
    else
        conn_recv_into(p->conn, p->big + p->big_have, p->big_n - p->big_have);
}

static void frame_placed(struct peer *p, size_t n)
{
    cr_assert(n > 0 && p->big_have <= p->big_n);
    p->receiving = p->big_have < p->big_n;
    frame_end_if_whole(p);
}

static void send_frame(struct world *w, int fd, size_t n, size_t piece, int pause_ms)
{
    size_t all = 11 + n + (w->crlf ? 2 : 0);
    char *frame = malloc(n + 13);
    (void)snprintf(frame, 12, "B%010zu", n);
    fill_pattern(frame + 11, n, (unsigned)n);
    memcpy(frame + 11 + n, "\r\n", 2);
    for (size_t at = 0; at < all; at += piece) {
        send_all(w, fd, frame + at, piece < all - at ? piece : all - at);
        if (pause_ms)
            nap_ms(pause_ms);
    }
    free(frame);
}

static void script_into(struct world *w)
{
    static const struct {
        size_t n, piece;
        int pause_ms;
    } cases[] = {
        { 100, 1000, 0 },          { 20000, 1 << 20, 0 },      { 300000, 1 << 20, 0 },
        { 300000, 16384, 0 },      { 300000, 1000, 0 },        { 3 * MB, 1 << 24, 0 },
        { 200000, 40000, 2 },      { 100, 1000, 0 },           { 2 * MB + 1, 100000, 1 },
        { 64 * 1024, 1 << 20, 0 }, { 16384 - 11, 1 << 20, 0 },
    };
    int fd = dial(w);
    char got;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            send_frame(w, fd, cases[i].n, cases[i].piece, cases[i].pause_ms);
            CHECK(w, recv_n(fd, &got, 1) == 1 && got == 'k');
        }
    }
    for (int i = 0; i < 40; i++) { /* back to multishot, as nothing large comes for a while */
        send_frame(w, fd, 10, 100, 0);
        CHECK(w, recv_n(fd, &got, 1) == 1 && got == 'k');
    }
    send_frame(w, fd, 500000, 1 << 20, 0);
    CHECK(w, recv_n(fd, &got, 1) == 1 && got == 'k');
    close(fd);
    CHECK(w, wait_for(&w->closed, 1));
}

BOTH(conn, large_values_are_received_into_place)
{
    w->on_input = take_frames;
    w->on_placed = frame_placed;
    world_run(w, script_into);
}

BOTH(conn, large_bulks_are_received_with_their_crlf)
{
    w->crlf = true;
    w->on_input = take_frames;
    w->on_placed = frame_placed;
    world_run(w, script_into);
}

#define PIPELINED 40

static void script_pipelined_bulks(struct world *w)
{
    int fd = dial(w);
    char got[PIPELINED];
    for (int i = 0; i < PIPELINED; i++)
        send_frame(w, fd, i % 2 ? 200000 : 20000, i % 3 ? 1 << 20 : 50000, 0);
    CHECK(w, recv_n(fd, got, PIPELINED) == PIPELINED);
    for (int i = 0; i < PIPELINED; i++)
        CHECK(w, got[i] == 'k');
    close(fd);
}

BOTH(conn, pipelined_large_bulks_keep_their_order)
{
    w->crlf = true;
    w->on_input = take_frames;
    w->on_placed = frame_placed;
    world_run(w, script_pipelined_bulks);
}

static void script_into_closed(struct world *w)
{
    for (int i = 0; i < 10; i++) {
        int fd = dial(w);
        char header[12];
        (void)snprintf(header, sizeof header, "B%010zu", MB);
        send_all(w, fd, header, 11);
        send_all(w, fd, header, 10);
        if (i % 2)
            nap_ms(10);
        close(fd); /* in the middle of a value */
        CHECK(w, wait_for(&w->closed, i + 1));
    }
}

BOTH(conn, an_end_in_the_middle_of_a_large_value_is_told_once)
{
    w->on_input = take_frames;
    w->on_placed = frame_placed;
    world_run(w, script_into_closed);
    for (int i = 0; i < w->n_peers; i++)
        cr_assert_eq(w->peers[i]->closed, 1);
}

static void free_big(struct peer *p)
{
    free(p->big); /* the kernel must not write there any more; address sanitizer would tell */
    p->big = NULL;
}

static void close_when_receiving(struct world *w)
{
    struct peer *p = w->n_peers ? w->peers[w->n_peers - 1] : NULL;
    if (atomic_exchange(&w->step, 0) == 1 && p && p->conn)
        conn_close(p->conn);
}

static void script_into_killed(struct world *w)
{
    for (int i = 0; i < 10; i++) {
        int fd = dial(w);
        char header[12];
        (void)snprintf(header, sizeof header, "B%010zu", MB);
        send_all(w, fd, header, 11);
        nap_ms(5);
        atomic_store(&w->step, 1);
        io_wake(w->io);
        (void)send(fd, header, 10, MSG_NOSIGNAL);
        CHECK(w, wait_for(&w->closed, i + 1));
        close(fd);
    }
}

BOTH(conn, closing_takes_the_owners_memory_back_from_the_kernel)
{
    w->on_input = take_frames;
    w->on_placed = frame_placed;
    w->on_closed = free_big;
    w->on_turn = close_when_receiving;
    world_run(w, script_into_killed);
}

/* ---- ends ---- */

static void script_half_close(struct world *w)
{
    char got[16];
    int fd = dial(w);
    send_all(w, fd, "last words", 10);
    shutdown(fd, SHUT_WR);
    CHECK(w, recv_n(fd, got, 16) == 10);
    CHECK(w, wait_for(&w->closed, 1));
    close(fd);
}

BOTH(conn, a_peer_that_ends_its_side_gets_its_replies)
{
    world_run(w, script_half_close);
    cr_assert_eq(w->peers[0]->err, 0);
}

static void reply_and_close(struct peer *p, struct bytes b)
{
    (void)b;
    if (conn_is_closing(p->conn))
        return;
    writer_append(conn_writer(p->conn, 2), BYTES("+OK\r\n"));
    conn_close_after_output(p->conn);
}

static void script_close_after(struct world *w)
{
    const size_t n = 500 * 1000;
    char *junk = calloc(1, n), got[16];
    for (int i = 0; i < 20; i++) {
        int fd = dial(w);
        send_all(w, fd, "QUIT\r\n", 6);
        /* Unread input at close would make the kernel send a reset, which could destroy the reply.
         */
        (void)send(fd, junk, n, MSG_NOSIGNAL);
        CHECK(w, recv_n(fd, got, 16) == 5 && memcmp(got, "+OK\r\n", 5) == 0);
        CHECK(w, wait_for(&w->closed, i + 1));
        close(fd);
    }
    free(junk);
}

BOTH(conn, the_last_reply_survives_unread_input)
{
    w->on_bytes = reply_and_close;
    world_run(w, script_close_after);
}

static void big_and_close(struct peer *p, struct bytes b)
{
    reply_big(p, b);
    conn_close_after_output(p->conn);
}

static void expire_at_step_1(struct world *w)
{
    if (atomic_load(&w->step) != 1)
        return;
    atomic_store(&w->step, 2);
    struct conn *c = w->peers[0]->conn;
    cr_assert(c && c->deadline > io_now_monotonic(w->io) + 8 * 1000 * 1000,
              "ten seconds are given");
    c->deadline = io_now_monotonic(w->io);
}

static void script_expire(struct world *w)
{
    int fd = dial(w);
    send_all(w, fd, "x", 1);
    nap_ms(50);
    CHECK(w, atomic_load(&w->closed) == 0);
    atomic_store(&w->step, 1);
    io_wake(w->io);
    CHECK(w, wait_for(&w->closed, 1));
    close(fd);
}

BOTH(conn, a_peer_that_does_not_take_the_rest_is_dropped_in_time)
{
    w->on_bytes = big_and_close;
    w->on_turn = expire_at_step_1;
    world_run(w, script_expire);
    cr_assert_eq(w->peers[0]->err, ETIMEDOUT);
}

static void script_refused(struct world *w)
{
    char got[64];
    int fd = dial(w);
    CHECK(w, recv_n(fd, got, 64) == 36 &&
                 memcmp(got, "-ERR max number of clients reached\r\n", 36) == 0);
    close(fd);
    nap_ms(20);
}

BOTH(conn, who_is_refused_hears_why)
{
    w->refuse = true;
    world_run(w, script_refused);
    cr_assert_eq(atomic_load(&w->closed), 0, "nobody owned it");
    cr_assert_eq(w->io->slots[0].conn, NULL);
    cr_assert_eq(atomic_load(&w->errors), 1, "errors are told for statistics");
}

static void script_churn(struct world *w)
{
    for (int i = 0; i < 400; i++) {
        int fd = dial(w);
        send_all(w, fd, "abc", 3);
        char got[3];
        if (i % 3 == 0)
            CHECK(w, recv_n(fd, got, 3) == 3);
        if (i % 3 == 1) {
            const struct linger reset = { .l_onoff = 1 };
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        close(fd);
    }
    CHECK(w, wait_for(&w->closed, 400));
}

BOTH(conn, reused_places_never_meet_old_completions)
{
    world_run(w, script_churn);
    cr_assert_eq(w->n_peers, 400);
    for (int i = 0; i < 400; i++)
        cr_assert_eq(w->peers[i]->closed, 1);
    cr_assert_lt(w->io->n_slots, 400, "places were reused");
    cr_assert_eq(io_stats(w->io)->out_bytes, 0);
}

static void close_the_other(struct peer *p)
{
    for (int i = 0; i < p->w->n_peers; i++) {
        if (p->w->peers[i] != p && p->w->peers[i]->conn)
            conn_close(p->w->peers[i]->conn);
    }
}

static void script_domino(struct world *w)
{
    int a = dial(w), b = dial(w);
    CHECK(w, wait_for(&w->opened, 2));
    close(a);
    CHECK(w, wait_for(&w->closed, 2));
    char got;
    CHECK(w, recv_n(b, &got, 1) == 0);
    close(b);
}

BOTH(conn, an_end_may_end_others)
{
    w->on_closed = close_the_other;
    world_run(w, script_domino);
    cr_assert_eq(w->peers[0]->closed + w->peers[1]->closed, 2);
}

static void fork_and_close(struct peer *p, struct bytes b)
{
    (void)b;
    pid_t pid = fork();
    if (pid == 0) { /* a snapshot under way */
        io_child_close(p->w->io, NULL);
        nap_ms(20 * 1000);
        _exit(0);
    }
    atomic_store(&p->w->step, (int)pid);
    conn_close(p->conn);
}

static void script_child(struct world *w)
{
    char got;
    int fd = dial(w);
    usec_t from = clock_monotonic_us();
    send_all(w, fd, "x", 1);
    CHECK(w, recv_n(fd, &got, 1) == 0);
    CHECK(w, clock_monotonic_us() - from < 4 * 1000 * 1000);
    close(fd);
    kill(atomic_load(&w->step), SIGKILL);
    fd = dial(w); /* the loop is none the worse */
    close(fd);
    CHECK(w, wait_for(&w->closed, 2));
}

BOTH(conn, a_child_does_not_keep_connections_open)
{
    signal(SIGCHLD, SIG_IGN);
    w->on_bytes = fork_and_close;
    world_run(w, script_child);
}

/* ---- outgoing ---- */

static void greet(struct peer *p)
{
    if (p->connect_err == 0)
        writer_append(conn_writer(p->conn, 2), BYTES("ping"));
}

static void collect_pong(struct peer *p, struct bytes b)
{
    if (p->connected)
        atomic_fetch_add(&p->w->step, (int)b.n);
    else
        writer_append(conn_writer(p->conn, 2), b);
}

static struct peer *go_out(struct world *w, int port)
{
    struct peer *p = calloc(1, sizeof *p);
    p->w = w;
    w->peers[w->n_peers++] = p;
    int r = io_connect(w->io, "127.0.0.1", port, "127.0.0.1", p, &p->conn);
    cr_assert_eq(r, 0, "io_connect: %s", strerror(-r));
    cr_assert_eq(p->connected, 0, "not told at once");
    return p;
}

static void script_out(struct world *w)
{
    CHECK(w, wait_for(&w->step, 4));
}

BOTH(conn, an_outgoing_connection_talks)
{
    w->on_connected = greet;
    w->on_bytes = collect_pong;
    struct peer *p = go_out(w, w->port);
    world_run(w, script_out);
    cr_assert_eq(p->connected, 1);
    cr_assert_eq(p->connect_err, 0);
    cr_assert_eq(atomic_load(&w->step), 4);
}

/* ---- owners of another kind ---- */

struct other_owner {
    atomic_int heard, connected, closed;
};

static void other_input(void *owner, struct bytes b)
{
    atomic_fetch_add(&((struct other_owner *)owner)->heard, (int)b.n);
}

static void other_connected(void *owner, int err)
{
    atomic_store(&((struct other_owner *)owner)->connected, err ? -1 : 1);
}

static void other_closed(void *owner, int err)
{
    (void)err;
    atomic_fetch_add(&((struct other_owner *)owner)->closed, 1);
}

static struct other_owner other;

static void script_other(struct world *w)
{
    CHECK(w, wait_for(&other.heard, 4)); /* the echo */
}

BOTH(conn, a_connection_with_a_handler_of_its_own_tells_nobody_else)
{
    static const struct conn_handler handler = {
        .input = other_input, .closed = other_closed, .connected = other_connected
    };
    struct conn *c = NULL;
    memset(&other, 0, sizeof other);
    cr_assert_eq(io_connect(w->io, "127.0.0.1", w->port, NULL, &other, &c), 0);
    conn_set_handler(c, &handler);
    writer_append(conn_writer(c, 2), BYTES("ping")); /* goes out when it is up */
    world_run(w, script_other);
    cr_assert_eq(atomic_load(&other.connected), 1);
    cr_assert_eq(atomic_load(&other.heard), 4);
    cr_assert_eq(atomic_load(&w->opened), 1, "the accepted side only");
}

static void script_out_fails(struct world *w)
{
    CHECK(w, wait_for(&w->closed, 1));
}

BOTH(conn, an_outgoing_connection_that_fails_says_so)
{
    struct peer *p = go_out(w, 1); /* nobody listens on tcpmux here */
    world_run(w, script_out_fails);
    cr_assert_eq(p->connected, 1);
    cr_assert_eq(p->connect_err, ECONNREFUSED);
    cr_assert_eq(p->closed, 1);
}

BOTH(conn, a_connection_may_be_closed_while_it_connects)
{
    struct peer *p = go_out(w, w->port);
    conn_close(p->conn);
    world_run(w, script_out_fails);
    cr_assert_eq(p->connected, 0);
    cr_assert_eq(p->closed, 1);
}

BOTH(conn, an_address_that_is_none_is_refused_at_once)
{
    struct conn *c = NULL;
    cr_assert_lt(io_connect(w->io, "127.0.0.1", 70000, NULL, NULL, &c), 0);
    cr_assert_eq(io_connect(w->io, "127.0.0.1", 1, "not an address", NULL, &c), -EINVAL);
    cr_assert_null(c);
}

/* ---- what they are ---- */

static void check_names(struct peer *p, struct bytes b)
{
    struct world *w = p->w;
    char local[96];
    (void)snprintf(local, sizeof local, "127.0.0.1:%d", w->port);
    bool unx = b.p[0] == 'u';
    CHECK(w, conn_is_unix(p->conn) == unx);
    CHECK(w, conn_is_loopback(p->conn));
    if (unx) {
        (void)snprintf(local, sizeof local, "%s:0", w->path);
        CHECK(w, strcmp(conn_peer_name(p->conn), local) == 0);
    } else {
        CHECK(w, strncmp(conn_peer_name(p->conn), "127.0.0.1:", 10) == 0);
        CHECK(w, strcmp(conn_peer_name(p->conn), local) != 0);
        conn_keepalive(p->conn, 300);
        int on = 0;
        socklen_t n = sizeof on;
        getsockopt(conn_fd(p->conn), SOL_SOCKET, SO_KEEPALIVE, &on, &n);
        CHECK(w, on);
    }
    CHECK(w, strcmp(conn_local_name(p->conn), local) == 0);
    writer_append(conn_writer(p->conn, 2), b);
}

static void script_names(struct world *w)
{
    char got;
    int tcp = dial(w), unx = dial_unix(w);
    send_all(w, tcp, "t", 1);
    send_all(w, unx, "u", 1);
    CHECK(w, recv_n(tcp, &got, 1) == 1 && recv_n(unx, &got, 1) == 1);
    close(tcp);
    close(unx);
}

BOTH(conn, connections_know_their_names)
{
    w->on_bytes = check_names;
    world_run(w, script_names);
}

static void script_idle(struct world *w)
{
    static int fds[MANY];
    int warm = dial(w);
    CHECK(w, wait_for(&w->opened, 1));
    nap_ms(10);
    size_t before = mem_used();
    char got;
    for (int i = 0; i < MANY; i++) {
        fds[i] = dial(w);
        send_all(w, fds[i], "x", 1);
        CHECK(w, recv_n(fds[i], &got, 1) == 1);
    }
    nap_ms(10);
    CHECK(w, (mem_used() - before) / MANY <= 400);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    close(warm);
}

BOTH(conn, idle_connections_own_no_buffers)
{
    world_run(w, script_idle);
}
