/* Effects turned into what others hear: replicas (backlog) and the append-only file. The one place that knows SELECT,
 * MULTI/EXEC wrapping and rewritten commands (specs/replication.md, section 4).
 *
 * Handlers state effects through call.h; dispatch calls effects_begin/end around each call. Sinks are attached by the
 * replication driver and the AOF (none so far: then nothing is encoded and a write costs one test). */
#pragma once

#include "common/buf.h"
#include "server/call.h"

struct propagate;

struct propagate_sink {
    void *ctx;
    /* One or more whole RESP commands, in order; borrowed. Returns the offset of a stream behind them, or 0. */
    int64_t (*bytes)(void *ctx, struct bytes resp);
};

struct propagate *propagate_new(void);
void propagate_free(struct propagate *);
int propagate_attach(struct propagate *, const struct propagate_sink *); /* slot number, or -ENOSPC */
void propagate_detach(struct propagate *, int slot);
void propagate_forget_db(struct propagate *); /* SELECT goes before the next command: somebody begins to listen here */
int propagate_db(const struct propagate *);   /* the stream is in, -1 when none was chosen yet */
bool propagate_wanted(const struct propagate *);

/* Around a command that may write. `fx` lives on the stack of the call. */
struct effects {
    struct propagate *to; /* NULL: nobody listens */
    uint64_t dirty_before;
    bool replaced, none, forced;
};
void effects_begin(struct effects *, struct propagate *, const struct keyspace *);
void effects_end(struct effects *, struct call *);
/* Around EXEC or a script: effects in between are wrapped in MULTI/EXEC if there are two or more. */
void propagate_multi_begin(struct propagate *);
void propagate_multi_end(struct propagate *);
/* A removal by the keyspace itself (expired, evicted): DEL or UNLINK key. */
void propagate_removed(struct propagate *, int db, struct bytes key, bool lazy);
/* Any command from inside the server (PUBLISH of a notification is not propagated; FLUSHALL of a failover is). */
void propagate_command(struct propagate *, int db, int argc, const struct bytes *argv);
