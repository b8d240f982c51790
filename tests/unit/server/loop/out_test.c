/* Output: the writer against a plain model, without a kernel. */
#include "common/alloc.h"
#include "common/blob.h"
#include "tests/unit/server/loop/harness.h"

#include <sys/uio.h>

#include "server/loop/loop.h"

static struct io *io;
static struct conn *conns[4];

static void nothing(void *p)
{
    (void)p;
}

static usec_t never(void *p)
{
    (void)p;
    return INT64_MAX;
}

static void setup(void)
{
    static const struct io_handler h = { .execute = nothing,
                                         .before_wait = never,
                                         .after_wait = nothing };
    const struct io_config config = { .backend = IO_BACKEND_EPOLL };
    cr_assert_eq(io_new(&config, &h, &io), 0);
    for (int i = 0; i < 4; i++)
        conns[i] = conn_new(io, -1);
}

static void teardown(void)
{
    io_free(io);
}

TestSuite(out, .init = setup, .fini = teardown);

/* What is queued, as one string. */
static char *queued(struct conn *c, size_t *ret_n)
{
    static struct iovec iov[1 << 16];
    out_sync(io);
    unsigned k = out_iovec(c, iov, 1 << 16);
    size_t n = 0;
    for (unsigned i = 0; i < k; i++)
        n += iov[i].iov_len;
    char *all = malloc(n + 1), *to = all;
    for (unsigned i = 0; i < k; i++) {
        memcpy(to, iov[i].iov_base, iov[i].iov_len);
        to += iov[i].iov_len;
    }
    *to = 0;
    *ret_n = n;
    return all;
}

static void expect_queued(struct conn *c, const char *text)
{
    size_t n;
    char *all = queued(c, &n);
    cr_assert_str_eq(all, text);
    cr_assert_eq(conn_out_bytes(c), n);
    free(all);
}

Test(out, replies_in_a_row_are_one_piece)
{
    struct writer *w = conn_writer(conns[0], 2);
    for (int i = 0; i < 100; i++)
        resp_ok(w);
    cr_assert_eq(conn_out_bytes(conns[0]), 500);
    cr_assert_eq(conn_out_blocks(conns[0]), 1);
    resp_ok(conn_writer(conns[0], 2));
    out_release_window(io);
    cr_assert_eq(conns[0]->out.n, 1);
    cr_assert_eq(io_stats(io)->out_bytes, 505);
}

Test(out, writing_to_several_in_turn_keeps_them_apart)
{
    for (int i = 0; i < 3; i++) {
        resp_int(conn_writer(conns[0], 2), i);
        resp_simple_str(conn_writer(conns[1], 2), "b");
    }
    expect_queued(conns[0], ":0\r\n:1\r\n:2\r\n");
    expect_queued(conns[1], "+b\r\n+b\r\n+b\r\n");
}

Test(out, who_goes_first_is_looked_at_first)
{
    conn_send_first(conns[2], true);
    for (int i = 0; i < 4; i++)
        resp_ok(conn_writer(conns[i], 2));
    cr_assert_eq(io->attention_first.n, 1);
    cr_assert_eq(io->attention_first.v[0], conns[2]);
    cr_assert_eq(io->attention.n, 3);
}

Test(out, a_later_header_closes_its_gap)
{
    struct writer *w = conn_writer(conns[0], 2);
    resp_ok(w);
    struct writer_mark m = resp_later(w);
    resp_int(w, 1);
    resp_int(w, 2);
    resp_later_array(w, m, 2);
    resp_ok(w);
    expect_queued(conns[0], "+OK\r\n*2\r\n:1\r\n:2\r\n+OK\r\n");
    cr_assert_eq(conns[0]->out.n, 1, "little content moves down: one piece");
}

Test(out, marks_nest_even_when_nothing_is_between)
{
    struct writer *w = conn_writer(conns[0], 2);
    struct writer_mark a = resp_later(w), b = resp_later(w), c = resp_later(w);
    resp_later_array(w, c, 0);
    resp_later_array(w, b, 1);
    resp_later_array(w, a, 1);
    expect_queued(conns[0], "*1\r\n*1\r\n*0\r\n");
}

Test(out, a_mark_survives_writing_to_another_connection)
{
    struct writer_mark a = resp_later(conn_writer(conns[0], 2));
    resp_simple_str(conn_writer(conns[1], 2), "news");
    struct writer *w = conn_writer(conns[0], 2);
    resp_int(w, 7);
    resp_later_array(w, a, 1);
    expect_queued(conns[0], "*1\r\n:7\r\n");
    expect_queued(conns[1], "+news\r\n");
}

Test(out, a_large_copy_is_one_block_of_its_size)
{
    size_t n = 3 * 1024 * 1024 + 17;
    char *big = malloc(n);
    fill_pattern(big, n, 3);
    size_t before = io_stats(io)->buffer_bytes;
    struct writer *w = conn_writer(conns[0], 2);
    w->ops->copy(w, bytes_of(big, n));
    resp_ok(w);
    cr_assert_leq(io_stats(io)->buffer_bytes - before, n + 64);
    size_t n_all;
    char *all = queued(conns[0], &n_all);
    cr_assert_eq(n_all, n + 5);
    cr_assert(is_pattern(all, n, 3));
    free(all);
    free(big);
    out_release_window(io);
    out_consume(conns[0], n + 5);
    cr_assert_eq(io_stats(io)->buffer_bytes, before);
}

Test(out, a_blob_is_sent_from_where_it_lies)
{
    struct blob *b = blob_new(100000, 100000);
    memset(b->data, 'b', 100000);
    struct writer *w = conn_writer(conns[0], 2);
    resp_bulk_blob(w, b);
    cr_assert_eq(b->refs, 2);
    cr_assert_eq(conns[0]->out.segs[conns[0]->out.n - 1].p, b->data);
    resp_ok(w);
    out_release_window(io);
    out_consume(conns[0], 50000); /* in the middle of it */
    cr_assert_eq(b->refs, 2);
    out_consume(conns[0], conn_out_bytes(conns[0]) - 5);
    cr_assert_eq(b->refs, 1, "freed as soon as it left");
    expect_queued(conns[0], "+OK\r\n");
    blob_unref(b);
}

Test(out, a_drained_queue_owns_nothing)
{
    resp_ok(conn_writer(conns[0], 2)); /* the loop's own lists are there from now on */
    out_release_window(io);
    out_consume(conns[0], 5);
    size_t before = mem_used();
    for (int round = 0; round < 3; round++) {
        struct blob *b = blob_new(20000, 20000);
        struct writer *w = conn_writer(conns[0], 2);
        for (int i = 0; i < 50; i++)
            resp_bulk_blob(w, b);
        blob_unref(b);
        out_release_window(io);
        cr_assert_gt(conns[0]->out.cap, OUT_SEGS_INLINE);
        out_consume(conns[0], conn_out_bytes(conns[0]));
        cr_assert_eq(conns[0]->out.cap, OUT_SEGS_INLINE);
        cr_assert_eq(mem_used(), before);
    }
}

Test(out, warm_blocks_are_used_again)
{
    char *first = conn_writer(conns[0], 2)->cur;
    resp_ok(conn_writer(conns[0], 2));
    out_release_window(io);
    out_consume(conns[0], 5);
    cr_assert_eq(conn_writer(conns[1], 2)->cur, first);
}

Test(out, the_null_writer_keeps_nothing)
{
    struct writer *w = io_null_writer(io, 3);
    struct blob *b = blob_new(100000, 100000);
    memset(b->data, 0, 100000);
    for (int i = 0; i < 2000; i++) {
        struct writer_mark m = resp_later(w);
        resp_bulk_str(w, "some text");
        resp_bulk_blob(w, b);
        resp_later_map(w, m, 1);
    }
    cr_assert_eq(b->refs, 1);
    blob_unref(b);
    cr_assert_eq(io_stats(io)->out_bytes, 0);
}

/* ---- anything, against a model ---- */

struct model {
    char *p;
    size_t n, cap;
    size_t marks[8], n_marks;
    struct writer_mark gaps[8];
};

static void model_add(struct model *m, const void *p, size_t n)
{
    if (m->n + n >= m->cap)
        m->p = realloc(m->p, m->cap = 2 * (m->n + n) + 1);
    memcpy(m->p + m->n, p, n);
    m->n += n;
}

static void model_insert(struct model *m, size_t at, const void *p, size_t n)
{
    model_add(m, p, n);
    memmove(m->p + at + n, m->p + at, m->n - n - at);
    memcpy(m->p + at, p, n);
}

static void random_write(struct conn *c, struct model *m, unsigned *seed)
{
    static char bytes[120000];
    static char tag;
    struct writer *w = conn_writer(c, 2);
    memset(bytes, 'a' + tag++ % 26, sizeof bytes);
    int what = rand_r(seed) % 100;
    size_t n = (size_t)rand_r(seed) % (what < 5 ? sizeof bytes : what < 20 ? 9000 : 60);
    if (what < 50) {
        w->ops->copy(w, bytes_of(bytes, n));
        model_add(m, bytes, n);
    } else if (what < 60) {
        n = n % WRITER_ROOM_MAX;
        memcpy(writer_room(w, n), bytes, n);
        w->cur += n;
        model_add(m, bytes, n);
    } else if (what < 70) {
        struct blob *b = blob_new(n + 10, n + 10);
        memcpy(b->data + 5, bytes, n);
        w->ops->ref(w, b, 5, n);
        blob_unref(b);
        model_add(m, bytes, n);
    } else if (what < 85 && m->n_marks < 8) {
        m->marks[m->n_marks] = m->n;
        m->gaps[m->n_marks++] = w->ops->mark(w);
    } else if (m->n_marks) {
        size_t k = (size_t)rand_r(seed) % (WRITER_GAP + 1);
        m->n_marks--;
        w->ops->fill(w, m->gaps[m->n_marks], bytes_of("0123456789abcdefghijklmnopqrstuvwxyz", k));
        model_insert(m, m->marks[m->n_marks], "0123456789abcdefghijklmnopqrstuvwxyz", k);
    }
    cr_assert_eq(conn_out_bytes(c), m->n);
}

static void compare(struct conn *c, struct model *m)
{
    size_t n;
    char *all = queued(c, &n);
    cr_assert_eq(n, m->n);
    cr_assert_eq(memcmp(all, m->p, n), 0);
    free(all);
}

/* The kernel takes some of it. */
static void random_consume(struct conn *c, struct model *m, unsigned *seed)
{
    if (m->n_marks || !m->n)
        return;
    size_t k = (size_t)rand_r(seed) % (m->n + 1);
    out_consume(c, k);
    memmove(m->p, m->p + k, m->n - k);
    m->n -= k;
    cr_assert_eq(conn_out_bytes(c), m->n);
}

Test(out, any_sequence_of_writes_gives_what_a_plain_buffer_gives)
{
    size_t before = mem_used();
    for (unsigned start = 1; start <= 60; start++) {
        unsigned seed = start;
        struct model models[4] = { 0 };
        for (int i = 0; i < 600; i++) {
            int k = rand_r(&seed) % 4;
            if (start % 3 == 0 && rand_r(&seed) % 20 == 0)
                conns[k]->flags ^= CONN_SENDING; /* slow ones write to blocks of their own */
            for (int burst = rand_r(&seed) % 5; burst >= 0; burst--)
                random_write(conns[k], &models[k], &seed);
            if (i % 7 == 0)
                random_consume(conns[k], &models[k], &seed);
        }
        for (int k = 0; k < 4; k++) {
            while (models[k].n_marks) {
                struct writer *w = conn_writer(conns[k], 2);
                models[k].n_marks--;
                w->ops->fill(w, models[k].gaps[models[k].n_marks], BYTES("*1\r\n"));
                model_insert(&models[k], models[k].marks[models[k].n_marks], "*1\r\n", 4);
            }
            compare(conns[k], &models[k]);
            out_release_window(io);
            out_consume(conns[k], conn_out_bytes(conns[k]));
            conns[k]->flags &= ~(uint32_t)CONN_SENDING;
            free(models[k].p);
        }
        cr_assert_eq(io_stats(io)->out_bytes, 0);
    }
    size_t kept = io->out.n_pool * OUT_BLOCK_BYTES;
    cr_assert_leq(mem_used() - before, kept + 4 * 4096, "blocks of drained queues are free");
}
