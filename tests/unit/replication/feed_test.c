/* From the backlog to slow replicas: windows, the spill file, limits. */
#include "tests/unit/replication/bench.h"

enum { KB = 1024 };

static struct bench slow_bench(uint64_t spill, uint64_t hard, bool is_default)
{
    struct repl_config c = bench_config();
    c.backlog_size = 64 * KB;
    c.memory_max = 256 * KB;
    c.feed_window = 64 * KB;
    c.spill_size = spill;
    c.limit_hard = hard;
    c.limit_is_default = is_default;
    struct bench b = bench_with(&c);
    attached(&b, 5);
    return b;
}

static const char *sent(struct bench *b, uint64_t peer, uint64_t queued)
{
    struct repl_event e = { .kind = REPL_PEER_SENT, .peer = peer, .n = queued };
    return bench_step(b, &e);
}

static int count(const struct bench *b, enum repl_action_kind kind)
{
    int n = 0;
    for (size_t i = 0; i < b->actions.n; i++)
        n += b->actions.v[i].kind == kind;
    return n;
}

Test(feed, gives_no_more_than_the_window)
{
    struct bench b = slow_bench(0, 0, true);
    appends(&b, 60 * KB);
    int64_t last = b.actions.v[b.actions.n - 1].to;
    cr_assert_eq(last, 60 * KB);
    appends(&b, 60 * KB);
    last = b.actions.v[b.actions.n - 1].to;
    cr_assert_eq(last, 64 * KB);
    does(appends(&b, 10), "");
    does_have(sent(&b, 5, 10 * KB), "RANGE 5 65536-");
    struct repl_replica_view v;
    repl_replica_at(b.r, 0, b.env.now, &v);
    cr_assert_eq(v.unsent, 120 * KB + 10 - 54 * KB);
    bench_done(&b);
}

Test(feed, without_a_spill_file_a_replica_too_far_behind_is_closed)
{
    struct bench b = slow_bench(0, 0, true);
    appends(&b, 250 * KB);
    cr_assert_eq(count(&b, REPL_CLOSE), 0);
    does(appends(&b, 200 * KB), "CLOSE 5");
    struct repl_view v;
    repl_view(b.r, b.env.now, &v);
    cr_assert_leq(v.backlog_memory, 160 * KB, "and its memory is given back");
    cr_assert_geq(v.backlog_histlen, 64 * KB);
    bench_done(&b);
}

/* The file, in memory. */
struct file {
    char bytes[4096 * KB];
    uint64_t size;
};

static void perform(struct bench *b, struct file *f, struct buf *got)
{
    for (size_t i = 0; i < b->actions.n; i++) {
        const struct repl_action *a = &b->actions.v[i];
        if (a->kind == REPL_SEND_RANGE)
            buf_append(got, bytes_of(a->blob->data + a->off, (size_t)(a->to - a->from)));
        for (int64_t k = a->from; a->kind == REPL_SPILL_WRITE && k < a->to; k++)
            f->bytes[(uint64_t)k % f->size] = a->blob->data[a->off + (size_t)(k - a->from)];
    }
}

static bool wanted(const struct bench *b, struct repl_event *e, const struct file *f)
{
    for (size_t i = 0; i < b->actions.n; i++) {
        const struct repl_action *a = &b->actions.v[i];
        if (a->kind != REPL_SPILL_READ)
            continue;
        struct blob *blob = blob_new((size_t)(a->to - a->from), (size_t)(a->to - a->from));
        for (int64_t k = a->from; k < a->to; k++)
            blob->data[k - a->from] = f->bytes[(uint64_t)k % f->size];
        *e = (struct repl_event){ .kind = REPL_SPILL_READ_DONE, .offset = a->from, .blob = blob };
        return true;
    }
    return false;
}

Test(feed, a_replica_behind_memory_is_fed_from_the_file)
{
    static struct file f;
    f.size = 2048 * KB;
    struct bench b = slow_bench(f.size, 0, true);
    struct buf got = BUF_INIT(BUF_UNLIMITED), want = BUF_INIT(BUF_UNLIMITED);
    for (int i = 0; i < 100; i++) {
        char line[20000];
        memset(line, 'a' + i % 26, sizeof(line));
        repl_append(b.r, bytes_of(line, sizeof(line)));
        buf_append(&want, bytes_of(line, sizeof(line)));
        simple(&b, REPL_APPENDED, 0);
        perform(&b, &f, &got);
        struct repl_view v;
        repl_view(b.r, b.env.now, &v);
        cr_assert_leq(v.backlog_memory, 300 * KB);
    }
    struct repl_replica_view rv;
    repl_replica_at(b.r, 0, b.env.now, &rv);
    cr_assert_gt(rv.spilled, 1500 * KB);
    for (int turns = 0; got.n < want.n; turns++) {
        cr_assert_lt(turns, 1000);
        sent(&b, 5, 0);
        perform(&b, &f, &got);
        struct repl_event e;
        while (wanted(&b, &e, &f)) {
            bench_step(&b, &e);
            perform(&b, &f, &got);
            blob_unref(e.blob);
        }
    }
    cr_assert(bytes_eq(buf_bytes(&got), buf_bytes(&want)));
    does_have(sent(&b, 5, 0), "");
    struct repl_view v;
    repl_view(b.r, b.env.now, &v);
    cr_assert_eq(v.spilled, 0);
    buf_done(&got);
    buf_done(&want);
    bench_done(&b);
}

static void fall_behind(struct bench *b, struct file *f)
{
    struct buf got = BUF_INIT(BUF_UNLIMITED);
    for (int i = 0; i < 40; i++) {
        appends(b, 20000);
        perform(b, f, &got);
    }
    buf_done(&got);
}

Test(feed, a_damaged_or_unreadable_piece_closes_who_needs_it)
{
    static struct file f;
    f.size = 2048 * KB;
    for (int damage = 0; damage < 3; damage++) {
        struct bench b = slow_bench(f.size, 0, true);
        struct repl_event e;
        fall_behind(&b, &f);
        sent(&b, 5, 0);
        cr_assert(wanted(&b, &e, &f));
        struct blob *blob = e.blob;
        if (damage == 0)
            blob->data[7] ^= 1;
        else if (damage == 1)
            blob->n--;
        else
            e.blob = NULL;
        does_begin(bench_step(&b, &e), "CLOSE 5");
        does_have(buf_cstr(&b.text), "SPILL_CLOSE");
        blob_unref(blob);
        bench_done(&b);
    }
}

Test(feed, a_file_that_cannot_be_written_is_given_up_for_a_while)
{
    static struct file f;
    f.size = 2048 * KB;
    struct bench b = slow_bench(f.size, 0, true);
    fall_behind(&b, &f);
    struct repl_event e = { .kind = REPL_SPILL_FAILED, .text = BYTES("No space left on device") };
    does_begin(bench_step(&b, &e), "CLOSE 5");
    attached(&b, 6);
    fall_behind(&b, &f);
    cr_assert_eq(repl_streams(b.r), true);
    struct repl_view v;
    repl_view(b.r, b.env.now, &v);
    cr_assert_eq(v.replicas, 0, "no file: closed");
    b.env.now += 10000;
    attached(&b, 7);
    fall_behind(&b, &f);
    repl_view(b.r, b.env.now, &v);
    cr_assert_eq(v.replicas, 1, "tried again");
    bench_done(&b);
}

Test(feed, beyond_the_size_of_the_file_a_replica_is_closed)
{
    static struct file f;
    f.size = 512 * KB;
    struct bench b = slow_bench(f.size, 0, true);
    fall_behind(&b, &f);
    struct repl_view v;
    repl_view(b.r, b.env.now, &v);
    cr_assert_eq(v.replicas, 1);
    fall_behind(&b, &f);
    repl_view(b.r, b.env.now, &v);
    cr_assert_eq(v.replicas, 0);
    bench_done(&b);
}

Test(feed, limits_that_somebody_set_are_kept)
{
    static struct file f;
    f.size = 4096 * KB;
    struct bench b = slow_bench(f.size, 300 * KB, false);
    for (int i = 0; i < 15; i++)
        appends(&b, 20000);
    cr_assert_eq(count(&b, REPL_CLOSE), 0);
    appends(&b, 20000);
    cr_assert_eq(count(&b, REPL_CLOSE), 1);
    said(&b, "hard limit");
    bench_done(&b);

    struct repl_config c = bench_config();
    c.limit_soft = 100 * KB;
    c.limit_soft_ms = 5000;
    c.feed_window = 10 * KB;
    b = bench_with(&c);
    attached(&b, 5);
    appends(&b, 120 * KB);
    cr_assert_leq(repl_deadline(b.r), b.env.now + 5000);
    sent(&b, 5, 0);
    for (int i = 0; i < 3; i++)
        sent(&b, 5, 0); /* it reads: under the limit again */
    at(&b, 4000);
    cr_assert_eq(count(&b, REPL_CLOSE), 0);
    appends(&b, 120 * KB);
    b.env.now += 5000;
    does_have(at(&b, 0), "CLOSE 5");
    bench_done(&b);
}
