/* Effects to bytes (see propagate.h).
 *
 * Nothing is encoded while no sink is attached. Otherwise a command's effect is encoded once, into `pending`, and
 * handed to all sinks at its end. What a call (and with it EXEC or a script) leads to is collected, and wrapped in
 * MULTI/EXEC if there are two or more commands. SELECT goes before the first command of another database. */
#include "server/propagate.h"

#include <errno.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/num.h"
#include "server/client.h"
#include "server/dispatch.h"

enum { SINKS_MAX = 4 };

struct propagate {
    struct propagate_sink sinks[SINKS_MAX];
    int sinks_n;
    int db;            /* selected in the stream, -1 unknown: SELECT goes first */
    int multi_depth;
    uint64_t commands; /* in `pending` */
    int64_t offset;    /* of the stream after what was handed out last */
    struct buf pending;
    struct buf replaced; /* of the running command: what effect_replace gave */
    uint64_t replaced_commands;
};

struct propagate *propagate_new(void)
{
    struct propagate *p = mem_zalloc(sizeof(*p));
    p->db = -1;
    p->pending = BUF_INIT(BUF_UNLIMITED);
    p->replaced = BUF_INIT(BUF_UNLIMITED);
    return p;
}

void propagate_free(struct propagate *p)
{
    if (!p)
        return;
    buf_done(&p->pending);
    buf_done(&p->replaced);
    mem_free(p);
}

int propagate_attach(struct propagate *p, const struct propagate_sink *sink)
{
    for (int i = 0; i < SINKS_MAX; i++) {
        if (p->sinks[i].bytes)
            continue;
        p->sinks[i] = *sink;
        p->sinks_n++;
        p->db = -1; /* a new listener knows no database yet */
        return i;
    }
    return -ENOSPC;
}

void propagate_detach(struct propagate *p, int slot)
{
    ASSERT(slot >= 0 && slot < SINKS_MAX && p->sinks[slot].bytes);
    p->sinks[slot] = (struct propagate_sink){ 0 };
    p->sinks_n--;
}

void propagate_forget_db(struct propagate *p)
{
    p->db = -1;
}

int propagate_db(const struct propagate *p)
{
    return p->db;
}

bool propagate_wanted(const struct propagate *p)
{
    return p->sinks_n > 0;
}

/* ---- encoding ---- */

static void put_header(struct buf *b, char type, int64_t v)
{
    char text[24] = { type };
    size_t n = 1 + num_format_i64(text + 1, v);
    buf_append(b, bytes_of(text, n));
    buf_append(b, BYTES("\r\n"));
}

static void put_command(struct buf *b, int argc, const struct bytes *argv)
{
    put_header(b, '*', argc);
    for (int i = 0; i < argc; i++) {
        put_header(b, '$', (int64_t)argv[i].n);
        buf_append(b, argv[i]);
        buf_append(b, BYTES("\r\n"));
    }
}

static void select_db(struct propagate *p, int db)
{
    if (p->db == db)
        return;
    char text[24];
    struct bytes argv[2] = { BYTES("SELECT"), bytes_of(text, num_format_i64(text, db)) };
    put_command(&p->pending, 2, argv);
    p->db = db;
}

static void flush(struct propagate *p)
{
    if (p->multi_depth || p->pending.n == 0)
        return;
    for (int i = 0; i < SINKS_MAX; i++) {
        if (!p->sinks[i].bytes)
            continue;
        int64_t offset = p->sinks[i].bytes(p->sinks[i].ctx, buf_bytes(&p->pending));
        p->offset = offset ? offset : p->offset;
    }
    buf_clear(&p->pending);
    p->commands = 0;
}

void propagate_command(struct propagate *p, int db, int argc, const struct bytes *argv)
{
    if (!propagate_wanted(p))
        return;
    select_db(p, db);
    put_command(&p->pending, argc, argv);
    p->commands++;
    flush(p);
}

void propagate_removed(struct propagate *p, int db, struct bytes key, bool lazy)
{
    struct bytes argv[2] = { lazy ? BYTES("UNLINK") : BYTES("DEL"), key };
    propagate_command(p, db, 2, argv);
}

void propagate_multi_begin(struct propagate *p)
{
    p->multi_depth++;
}

/* Two or more commands become one transaction for those who hear them. The leading SELECT stays in front. */
void propagate_multi_end(struct propagate *p)
{
    ASSERT(p->multi_depth > 0);
    if (--p->multi_depth > 0 || p->pending.n == 0)
        return;
    if (p->commands > 1) {
        struct buf inner = p->pending;
        p->pending = BUF_INIT(BUF_UNLIMITED);
        struct bytes multi = BYTES("MULTI"), exec = BYTES("EXEC");
        size_t select = 0;
        if (inner.n > 4 && memcmp(inner.p, "*2\r\n$6\r\nSELECT\r\n", 16) == 0) {
            const char *end = memchr(inner.p + 16, '\n', inner.n - 16); /* "$n\r\n" */
            end = end ? memchr(end + 1, '\n', inner.n - (size_t)(end + 1 - inner.p)) : NULL;
            select = end ? (size_t)(end + 1 - inner.p) : 0;
        }
        buf_append(&p->pending, bytes_of(inner.p, select));
        put_command(&p->pending, 1, &multi);
        buf_append(&p->pending, bytes_of(inner.p + select, inner.n - select));
        put_command(&p->pending, 1, &exec);
        buf_done(&inner);
    }
    flush(p);
}

/* ---- the effect of one call ---- */

/* A call is a block: what it found expired and what it did itself become one transaction. */
void effects_begin(struct effects *fx, struct propagate *p, const struct keyspace *ks)
{
    *fx = (struct effects){ .to = propagate_wanted(p) ? p : NULL,
                            .dirty_before = ks_stats((struct keyspace *)ks)->dirty };
    if (fx->to)
        propagate_multi_begin(fx->to);
}

void effect_replace(struct call *c, int argc, const struct bytes *argv)
{
    struct effects *fx = c->fx;
    fx->replaced = true;
    if (!fx->to)
        return;
    put_command(&fx->to->replaced, argc, argv);
    fx->to->replaced_commands++;
}

void effect_none(struct call *c)
{
    c->fx->none = true;
}

void effect_force(struct call *c)
{
    c->fx->forced = true;
}

static void emit(struct effects *fx, struct call *c)
{
    struct propagate *p = fx->to;
    select_db(p, db_id(c->db));
    if (fx->replaced) {
        buf_append(&p->pending, buf_bytes(&p->replaced));
        p->commands += p->replaced_commands;
    } else {
        if (c->frame.n)
            buf_append(&p->pending, c->frame);
        else
            put_command(&p->pending, c->argc, c->argv);
        p->commands++;
    }
}

void effects_end(struct effects *fx, struct call *c)
{
    if (__builtin_expect(!fx->to, 1))
        return;
    bool changed = ks_stats(c->ks)->dirty != fx->dirty_before;
    bool may = fx->replaced || (c->cmd->row->flags & (CMD_WRITE | CMD_MAY_REPLICATE));
    if (!fx->none && (changed || fx->forced) && may)
        emit(fx, c);
    buf_clear(&fx->to->replaced);
    fx->to->replaced_commands = 0;
    int64_t before = fx->to->offset;
    propagate_multi_end(fx->to);
    if (fx->to->offset != before)
        c->client->write_offset = fx->to->offset;
}
