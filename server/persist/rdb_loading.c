/* Loading in slices (see rdb_loading.h): rdb_load runs in a fiber, which rests where bytes are read
 * and between keys. */
#include "server/persist/rdb_loading.h"

#include <errno.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/fiber.h"
#include "server/loop/process.h"

#define STACK_BYTES ((size_t)256 * 1024)
#define READ_MAX    ((size_t)1024 * 1024) /* of a file, between two looks at the slice */
#define LOOK_BYTES  ((uint64_t)64 * 1024)
#define SLICE_US    5000

struct rdb_loading {
    struct keyspace *ks;    /* where the data shall be */
    struct keyspace *fresh; /* where they are until they are whole, when it is beside */
    struct rdb_loading_options o;
    struct fiber *fiber;
    struct rdb_reader reader;
    struct rdb_load_report report;
    enum rdb_loading_state state;
    bool cancelled;

    struct io_file *file;
    struct bytes pushed; /* what is left of them */
    bool pushed_all;

    uint64_t bytes, keys;     /* loaded so far */
    uint64_t slice_bytes_end; /* where this slice ends at the latest */
    usec_t slice_us_end;      /* monotonic */
    int delay_left;
};

/* ---- inside the fiber ---- */

static void rest(struct rdb_loading *l, enum rdb_loading_state state)
{
    l->state = state;
    fiber_rest(l->fiber);
}

static void rest_if_due(struct rdb_loading *l, uint64_t bytes)
{
    l->bytes = bytes;
    if (bytes >= l->slice_bytes_end || clock_monotonic_us() >= l->slice_us_end)
        rest(l, RDB_LOADING_MORE);
}

static ssize_t read_file(void *ctx, void *dst, size_t n)
{
    struct rdb_loading *l = ctx;
    rest_if_due(l, rdb_reader_offset(&l->reader));
    if (l->cancelled)
        return -ECANCELED;
    return io_file_read(l->file, dst, n < READ_MAX ? n : READ_MAX);
}

static ssize_t read_pushed(void *ctx, void *dst, size_t n)
{
    struct rdb_loading *l = ctx;
    while (!l->pushed.n && !l->pushed_all && !l->cancelled) {
        l->bytes = rdb_reader_offset(&l->reader);
        rest(l, RDB_LOADING_HUNGRY);
    }
    if (l->cancelled)
        return -ECANCELED;
    n = n < l->pushed.n ? n : l->pushed.n;
    if (n)
        memcpy(dst, l->pushed.p, n);
    l->pushed = bytes_of(l->pushed.p + n, l->pushed.n - n);
    return (ssize_t)n;
}

static void delay(struct rdb_loading *l)
{
    int us = l->o.key_delay_us;
    if (us < 0) {
        if (l->delay_left-- > 0)
            return;
        l->delay_left = -us;
        us = 1;
    }
    process_sleep(us / 1e6);
}

static bool progress(void *ctx, uint64_t bytes, uint64_t keys)
{
    struct rdb_loading *l = ctx;
    bool key = keys != l->keys;
    l->keys = keys;
    if (l->o.key_delay_us && key)
        delay(l);
    if (l->file)
        rest_if_due(l, bytes);
    else
        l->bytes = bytes;
    return !l->cancelled;
}

static void load(void *ctx)
{
    struct rdb_loading *l = ctx;
    struct rdb_load_options o = l->o.rdb;
    o.progress = progress;
    o.progress_bytes = l->o.key_delay_us               ? 1
                       : l->o.slice_bytes < LOOK_BYTES ? l->o.slice_bytes
                                                       : LOOK_BYTES;
    o.ctx = l;
    bool fine = rdb_load(&l->reader, l->fresh ? l->fresh : l->ks, &o, &l->report) == RDB_FINE;
    l->keys = l->report.keys;
    l->bytes = l->report.bytes;
    l->state = fine ? RDB_LOADING_DONE : RDB_LOADING_FAILED;
}

/* ---- outside ---- */

static struct rdb_loading *begin(struct keyspace *ks, const struct rdb_loading_options *o,
                                 struct io_file *file)
{
    struct rdb_loading *l = mem_zalloc(sizeof *l);
    l->ks = ks;
    l->o = *o;
    l->file = file;
    if (o->beside) {
        l->fresh = ks_new_beside(ks);
    }
    struct rdb_source source = { .read = file ? read_file : read_pushed,
                                 .ctx = l,
                                 .size = file ? io_file_size(file) : RDB_SIZE_UNKNOWN };
    rdb_reader_init(&l->reader, &source, o->checksum);
    l->fiber = fiber_new(STACK_BYTES, load, l);
    l->state = file ? RDB_LOADING_MORE : RDB_LOADING_HUNGRY;
    return l;
}

int rdb_loading_file(struct keyspace *ks, const char *path, const struct rdb_loading_options *o,
                     struct rdb_loading **ret)
{
    struct io_file *file;
    int r = io_file_open(path, &file);
    if (r == 0)
        *ret = begin(ks, o, file);
    return r;
}

struct rdb_loading *rdb_loading_pushed(struct keyspace *ks, const struct rdb_loading_options *o)
{
    return begin(ks, o, NULL);
}

static bool finished(const struct rdb_loading *l)
{
    return l->state == RDB_LOADING_DONE || l->state == RDB_LOADING_FAILED;
}

/* What was loaded takes its place, or goes. */
static void settle(struct rdb_loading *l)
{
    if (!l->fresh)
        return;
    if (l->state == RDB_LOADING_DONE)
        ks_replace_all(l->ks, l->fresh);
    ks_dissolve(l->fresh, l->ks);
    l->fresh = NULL;
}

static void go_on(struct rdb_loading *l)
{
    l->slice_bytes_end = l->bytes + l->o.slice_bytes;
    l->slice_us_end = clock_monotonic_us() + SLICE_US;
    if (!fiber_resume(l->fiber))
        settle(l);
}

void rdb_loading_free(struct rdb_loading *l)
{
    if (!l)
        return;
    l->cancelled = true;
    while (!finished(l)) /* it sees that it was cancelled, and gives back what it has */
        go_on(l);
    fiber_free(l->fiber);
    rdb_reader_done(&l->reader);
    (void)io_file_close(l->file);
    mem_free(l);
}

enum rdb_loading_state rdb_loading_step(struct rdb_loading *l)
{
    ASSERT(l->file);
    if (!finished(l))
        go_on(l);
    return l->state;
}

enum rdb_loading_state rdb_loading_push(struct rdb_loading *l, struct bytes b, size_t *ret_used)
{
    ASSERT(!l->file);
    ASSERT(l->state == RDB_LOADING_HUNGRY);
    l->pushed = b;
    go_on(l);
    *ret_used = b.n;
    if (l->state == RDB_LOADING_DONE) /* what it has read too much is of this push, as it asks for
                                         more only when all is used */
        *ret_used = b.n - l->pushed.n - rdb_reader_rest(&l->reader).n;
    return l->state;
}

enum rdb_loading_state rdb_loading_push_end(struct rdb_loading *l)
{
    l->pushed_all = true;
    if (!finished(l))
        go_on(l);
    return l->state;
}

enum rdb_loading_state rdb_loading_state(const struct rdb_loading *l)
{
    return l->state;
}

const struct rdb_load_report *rdb_loading_report(const struct rdb_loading *l)
{
    return &l->report;
}

uint64_t rdb_loading_bytes(const struct rdb_loading *l)
{
    return l->bytes;
}

uint64_t rdb_loading_total_bytes(const struct rdb_loading *l)
{
    return l->file ? io_file_size(l->file) : 0;
}

uint64_t rdb_loading_keys(const struct rdb_loading *l)
{
    return l->keys;
}
