/* What the master sends in a full sync becomes the data set: by way of a file, or straight in (server/loading.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "server/drivers/replication_inner.h"
#include "server/loading.h"
#include "server/loop/process.h"
#include "server/node.h"
#include "server/saving.h"

static void failed(struct replication *r, const char *why)
{
    repl_heard(r, &(struct repl_event){ .kind = REPL_LOAD_FAILED, .text = bytes_of_str(why) });
}

static void remove_file(struct replication *r)
{
    io_file_close(r->load_file);
    r->load_file = NULL;
    if (r->load_path)
        io_unlink(r->load_path);
    mem_free(r->load_path);
    r->load_path = NULL;
}

/* ---- into the keyspace ---- */

static void on_loaded(void *ctx, const struct rdb_load_report *report)
{
    struct replication *r = ctx;
    r->loading = false;
    remove_file(r);
    if (report->error.failure != RDB_FINE) {
        log_warning("The image of the master can't be loaded: %s (at byte %llu%s%s)", report->error.reason,
                    (unsigned long long)report->error.offset, report->key[0] ? ", key " : "", report->key);
        failed(r, report->error.reason);
        return;
    }
    r->stream_db = report->repl_stream_db < 0 ? 0 : report->repl_stream_db;
    repl_heard_kind(r, REPL_LOADED);
}

static void empty_keyspace(struct replication *r)
{
    struct keyspace *ks = node_keyspace(r->node);
    enum ks_del how = r->config->replica_lazy_flush ? KS_DEL_LAZY : KS_DEL_SYNC;
    for (int i = 0; i < ks_databases(ks); i++)
        ks_flush_db(ks_db(ks, i), how);
}

static int begin(struct replication *r, const char *path, uint64_t size, bool beside)
{
    struct loading_request q = { .path = path,
                                 .size = size == REPL_SIZE_UNKNOWN ? 0 : size,
                                 .beside = beside,
                                 .keep_expired = true,
                                 .done = on_loaded,
                                 .ctx = r };
    if (!beside)
        empty_keyspace(r);
    int e = loading_begin(node_loading(r->node), &q);
    r->loading = e == 0;
    return e;
}

/* ---- actions ---- */

static int begin_file(struct replication *r)
{
    struct buf path = BUF_INIT(BUF_UNLIMITED);
    (void)buf_printf(&path, "temp-%lld.%d.rdb", (long long)(io_now_wall(node_io(r->node)) / 1000000), process_id());
    r->load_path = mem_strdup(buf_cstr(&path));
    buf_done(&path);
    return io_file_create(r->load_path, 0644, &r->load_file);
}

void loader_begin(struct replication *r, const struct repl_action *a)
{
    ASSERT(!r->loading && !r->load_path);
    r->load_mode = a->load_mode;
    int e = a->load_mode == REPL_LOAD_FILE ? begin_file(r) : begin(r, NULL, a->n, a->load_mode == REPL_LOAD_SWAP);
    if (e == 0)
        return;
    log_warning("Can't begin to take the image of the master: %s", strerror(-e));
    remove_file(r);
    failed(r, strerror(-e));
}

void loader_chunk(struct replication *r, struct bytes b)
{
    size_t used;
    if (r->loading) {
        (void)loading_push(node_loading(r->node), b, &used); /* on_loaded hears of a failure */
        return;
    }
    int e = r->load_file ? io_file_write(r->load_file, b) : 0;
    if (e == 0)
        return;
    log_warning("Can't write the image of the master to %s: %s", r->load_path, strerror(-e));
    remove_file(r);
    failed(r, strerror(-e));
}

/* The image is whole: the old data go, it is loaded. The file is gone afterwards, so it need not reach the disk. */
static int load_file(struct replication *r)
{
    int e = io_file_close(r->load_file);
    r->load_file = NULL;
    if (e == 0)
        e = begin(r, r->load_path, 0, false);
    return e;
}

void loader_end(struct replication *r)
{
    if (r->loading) {
        loading_push_end(node_loading(r->node));
        return;
    }
    if (!r->load_file)
        return; /* it failed before, and the machine is about to hear that */
    int e = load_file(r);
    if (e == 0)
        return;
    log_warning("Can't load the image of the master: %s", strerror(-e));
    remove_file(r);
    failed(r, strerror(-e));
}

void loader_abort(struct replication *r)
{
    if (r->loading)
        loading_cancel(node_loading(r->node));
    r->loading = false;
    remove_file(r);
}
