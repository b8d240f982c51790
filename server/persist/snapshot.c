/* Point-in-time images by a forked child (see snapshot.h).
 *
 * The child has the memory as it was and walks it; the kernel copies the pages that the parent
 * writes to meanwhile. What the parent wants to know lies in the page they share, which stays
 * readable when the child is killed. A file is written beside, brought to the disk, renamed; the
 * parent removes what a child that was killed left behind. */
#include "server/persist/snapshot.h"

#include <errno.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "server/loop/process.h"

#define IDLE_MAX     4
#define PUSH_BYTES   ((uint64_t)4 * 1024 * 1024) /* written between two io_file_push */
#define COW_EVERY_US 1000000
#define COW_SHARE    100 /* measuring takes at most one part in so many */

/* The page: the child writes, the parent reads. */
struct board {
    uint64_t keys, bytes;
    size_t cow, cow_peak;
    usec_t cow_at; /* monotonic */
    int error;
    char what[32];
};
STATIC_ASSERT(sizeof(struct board) <= IO_CHILD_PAGE, "it is one page");

struct snapshots {
    struct io *io;
    struct keyspace *ks;
    struct snapshot_hooks hooks;
    /* the one that runs */
    struct io_child *child; /* NULL: none */
    struct snapshot_request req;
    char *path;
    uint64_t keys_total;
    usec_t started;
    bool killed;
    /* those that were */
    struct snapshot_figures figures;
    struct snapshot_progress last;
    struct {
        void (*idle)(void *ctx);
        void *ctx;
    } waiting[IDLE_MAX];
    unsigned waiting_n;
};

/* One image on its way out: in the child, or in the process itself. */
struct work {
    const struct snapshot_request *req;
    struct board *board;
    struct io_child *child;
    struct io_file *file;
    uint64_t pushed; /* bytes */
    usec_t cow_next, cow_cost;
    uint64_t keys;
    int delay_left;
};

struct snapshots *snapshots_new(struct io *io, struct keyspace *ks,
                                const struct snapshot_hooks *hooks)
{
    struct snapshots *s = mem_zalloc(sizeof *s);
    s->io = io;
    s->ks = ks;
    if (hooks)
        s->hooks = *hooks;
    return s;
}

void snapshots_free(struct snapshots *s)
{
    if (!s)
        return;
    if (s->child) {
        s->req.done = NULL;
        s->waiting_n = 0;
        snapshot_kill_and_wait(s);
    }
    mem_free(s);
}

/* ---- taking it ---- */

#define TEMP_MAX 48
static void temp_path(char path[TEMP_MAX], int pid)
{
    (void)snprintf(path, TEMP_MAX, "temp-%d.rdb", pid);
}

static int failed(struct work *w, int r, const char *what)
{
    if (r < 0 && !w->board->error) {
        w->board->error = r;
        (void)snprintf(w->board->what, sizeof w->board->what, "%s", what);
    }
    return r;
}

static int to_file(void *ctx, struct bytes b)
{
    struct work *w = ctx;
    int r = io_file_write(w->file, b);
    if (r < 0)
        return failed(w, r, "writing");
    w->board->bytes += b.n;
    if (w->req->incremental_fsync && w->board->bytes - w->pushed >= PUSH_BYTES) {
        w->pushed = w->board->bytes;
        io_file_push(w->file);
    }
    return 0;
}

static int to_stream(void *ctx, struct bytes b)
{
    struct work *w = ctx;
    int r = io_child_write(w->child, b);
    if (r < 0)
        return failed(w, r, "writing to the parent");
    w->board->bytes += b.n;
    return 0;
}

/* Measured about once a second, less often where there is so much memory that it takes long. */
static void measure_cow(struct work *w)
{
    usec_t begin = clock_monotonic_us();
    size_t cow = process_private_dirty();
    w->cow_cost = clock_monotonic_us() - begin;
    usec_t wait = w->cow_cost * COW_SHARE;
    w->cow_next = begin + (wait > COW_EVERY_US ? wait : COW_EVERY_US);
    w->board->cow = cow;
    w->board->cow_at = begin;
    if (cow > w->board->cow_peak)
        w->board->cow_peak = cow;
}

static void delay(struct work *w)
{
    int us = w->req->key_delay_us;
    if (us < 0) { /* one for that many keys */
        if (w->delay_left-- > 0)
            return;
        w->delay_left = -us;
        us = 1;
    }
    if (us > 0)
        process_sleep(us / 1e6);
}

static int saved_key(void *ctx, uint64_t bytes)
{
    enum { KEYS = 1024 }; /* between two looks at the clock */
    (void)bytes;
    struct work *w = ctx;
    w->board->keys = ++w->keys;
    if (w->req->key_delay_us)
        delay(w);
    bool look = w->keys % KEYS == 0 || w->req->key_delay_us;
    if (w->child && look && clock_monotonic_us() >= w->cow_next)
        measure_cow(w);
    return 0;
}

static int save(struct work *w, struct keyspace *ks)
{
    struct rdb_sink sink = { w->file ? to_file : to_stream, w };
    struct rdb_save_options o = w->req->rdb;
    o.saved_key = saved_key;
    o.ctx = w;
    return failed(w, rdb_save(&sink, ks, &o, NULL), "saving");
}

/* Everything up to the rename; the file beside is removed when something fails. */
static int save_to(struct work *w, struct keyspace *ks, const char *temp)
{
    int r = failed(w, io_file_create(temp, 0644, &w->file), "opening the temp file");
    if (r < 0)
        return r;
    r = save(w, ks);
    if (r == 0)
        r = failed(w, io_file_sync(w->file), "fsync");
    int closed = io_file_close(w->file);
    w->file = NULL;
    if (r == 0)
        r = failed(w, closed, "closing");
    if (r == 0)
        r = failed(w, io_rename(temp, w->req->path), "renaming");
    if (r < 0)
        (void)io_unlink(temp);
    return r;
}

static int take(struct work *w, struct keyspace *ks, int pid)
{
    char temp[TEMP_MAX];
    if (!w->req->path)
        return save(w, ks);
    temp_path(temp, pid);
    int r = save_to(w, ks, temp);
    if (r == 0)
        log_notice("DB saved on disk");
    else
        log_warning("Write error while saving DB to the disk(%s): %s", w->board->what,
                    strerror(-r));
    return r;
}

static int run_child(void *ctx, struct io_child *self)
{
    struct snapshots *s = ctx;
    struct work w = { .req = &s->req, .board = io_child_page(self), .child = self };
    if (s->hooks.in_child)
        s->hooks.in_child(s->hooks.ctx, s->req.purpose);
    measure_cow(&w);
    int r = take(&w, s->ks, io_child_pid(self));
    measure_cow(&w);
    log_notice("Fork CoW for RDB: current %zu MB, peak %zu MB, average %zu MB", w.board->cow >> 20,
               w.board->cow_peak >> 20, (w.board->cow + w.board->cow_peak) >> 21);
    return r < 0;
}

/* ---- the parent ---- */

static uint64_t count_keys(struct keyspace *ks)
{
    uint64_t n = 0;
    for (int i = 0; i < ks_databases(ks); i++)
        n += db_size(ks_db(ks, i));
    return n;
}

static void note_cow(struct snapshots *s, size_t cow)
{
    size_t *of = s->req.purpose == SNAPSHOT_SAVE   ? &s->figures.cow_save
                 : s->req.purpose == SNAPSHOT_SYNC ? &s->figures.cow_sync
                                                   : &s->figures.cow_aof;
    *of = cow;
}

static void remove_temp(const char *path, int pid)
{
    char temp[TEMP_MAX];
    if (!path)
        return;
    temp_path(temp, pid);
    (void)io_unlink(temp);
}

static void tell_idle(struct snapshots *s)
{
    for (unsigned i = 0; i < s->waiting_n && !s->child; i++)
        s->waiting[i].idle(s->waiting[i].ctx);
}

static void on_output(void *ctx, struct bytes b)
{
    struct snapshots *s = ctx;
    if (s->req.output)
        s->req.output(s->req.ctx, b);
}

static void on_ended(void *ctx, int status, int signo)
{
    struct snapshots *s = ctx;
    const struct board *b = io_child_page(s->child);
    char what[sizeof b->what];
    memcpy(what, b->what, sizeof what);
    what[sizeof what - 1] = '\0';
    struct snapshot_result r = {
        .error = signo          ? -EINTR
                 : status == 0  ? 0
                 : b->error < 0 ? b->error
                                : -EIO,
        .signo = signo,
        .killed = s->killed && signo,
        .what = what,
        .keys = b->keys,
        .bytes = b->bytes,
        .cow_bytes = b->cow_peak,
        .took_us = clock_monotonic_us() - s->started,
    };
    snapshot_progress(s, &s->last);
    s->last.keys = s->last.keys_total = 0;
    s->last.cow_bytes = 0;
    note_cow(s, r.cow_bytes);
    if (signo)
        remove_temp(s->path, io_child_pid(s->child));
    mem_free(s->path);
    s->path = NULL;
    s->child = NULL;
    ks_set_shared(s->ks, false);
    if (s->req.done)
        s->req.done(s->req.ctx, &r);
    tell_idle(s);
}

int snapshot_start(struct snapshots *s, const struct snapshot_request *req)
{
    ASSERT(req->path || req->output);
    if (s->child)
        return -EBUSY;
    struct io_child_job job = {
        .run = run_child, .output = on_output, .ended = on_ended, .ctx = s
    };
    s->req = *req;
    s->path = req->path ? mem_strdup(req->path) : NULL;
    s->req.path = s->path;
    s->killed = false;
    s->keys_total = count_keys(s->ks);
    s->started = clock_monotonic_us();
    int r = io_fork(s->io, &job, &s->child);
    if (r < 0) {
        mem_free(s->path);
        s->path = NULL;
        return r;
    }
    s->figures.forks++;
    s->figures.fork_us = io_child_fork_us(s->child);
    ks_set_shared(s->ks, true);
    if (s->hooks.forked)
        s->hooks.forked(s->hooks.ctx, s->figures.fork_us);
    return 0;
}

bool snapshot_running(const struct snapshots *s)
{
    return s->child != NULL;
}

enum snapshot_purpose snapshot_purpose(const struct snapshots *s)
{
    ASSERT(s->child);
    return s->req.purpose;
}

bool snapshot_is_stream(const struct snapshots *s)
{
    return s->child && !s->path;
}

int snapshot_pid(const struct snapshots *s)
{
    return s->child ? io_child_pid(s->child) : 0;
}

void snapshot_pause(struct snapshots *s, bool pause)
{
    if (s->child)
        io_child_pause(s->child, pause);
}

void snapshot_kill(struct snapshots *s)
{
    if (!s->child)
        return;
    s->killed = true;
    io_child_kill(s->child);
}

void snapshot_kill_and_wait(struct snapshots *s)
{
    if (!s->child)
        return;
    snapshot_kill(s);
    io_child_wait(s->child);
}

void snapshots_on_idle(struct snapshots *s, void (*idle)(void *ctx), void *ctx)
{
    ASSERT(s->waiting_n < IDLE_MAX);
    s->waiting[s->waiting_n].idle = idle;
    s->waiting[s->waiting_n++].ctx = ctx;
}

int snapshot_save_now(struct snapshots *s, const struct snapshot_request *req,
                      struct snapshot_result *ret)
{
    ASSERT(req->path);
    struct board board = { 0 };
    struct work w = { .req = req, .board = &board };
    usec_t begin = clock_monotonic_us();
    int r = take(&w, s->ks, process_id());
    *ret = (struct snapshot_result){ .error = r,
                                     .what = "saving",
                                     .keys = board.keys,
                                     .bytes = board.bytes,
                                     .took_us = clock_monotonic_us() - begin };
    return r;
}

void snapshot_progress(const struct snapshots *s, struct snapshot_progress *ret)
{
    if (!s->child) {
        *ret = s->last;
        return;
    }
    const struct board *b = io_child_page(s->child);
    *ret = (struct snapshot_progress){
        .keys = b->keys,
        .keys_total = s->keys_total,
        .cow_bytes = b->cow,
        .cow_peak = b->cow_peak,
        .cow_at = b->cow_at / 1000,
        .started = s->started / 1000,
    };
}

const struct snapshot_figures *snapshot_figures(const struct snapshots *s)
{
    return &s->figures;
}
