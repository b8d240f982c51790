/* A machine on the bench: events in by short verbs, what it does as text.
 *
 *   struct bench b = bench_new();
 *   does(&b, replicaof(&b, "m", 6379), "CONNECT L1 m:6379; SET_ROLE replica; ...");
 *
 * Actions are written one behind another, "; " between them, traces left out (said() looks for them). Links are L1, L2,
 * ...; bytes are quoted. */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/text.h"
#include "replication/repl.h"

struct bench {
    struct repl *r;
    struct repl_actions actions;
    struct repl_env env;
    struct buf text, traces;
};

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MARK "cccccccccccccccccccccccccccccccccccccccc"
#define LINK(n) (REPL_LINK | (n))

static inline struct repl_config bench_config(void)
{
    return (struct repl_config){
        .listening_port = 7000,
        .timeout_ms = 60000,
        .ping_period_ms = 10000,
        .backlog_size = 1024 * 1024,
        .backlog_ttl_ms = 3600 * 1000,
        .diskless_sync = true,
        .rdb_version = 11,
        .empty_master_guard = true,
    };
}

static inline void bench_who(struct buf *b, uint64_t peer)
{
    buf_printf(b, peer & REPL_LINK ? " L%llu" : " %llu", (unsigned long long)(peer & ~REPL_LINK));
}

static inline void bench_write(struct bench *b, const struct repl_action *a)
{
    static const char *const names[] = {
        [REPL_CONNECT] = "CONNECT", [REPL_SEND] = "SEND", [REPL_CLOSE] = "CLOSE", [REPL_CLOSE_SENT] = "CLOSE_SENT",
        [REPL_LINK_PAUSE] = "LINK_PAUSE", [REPL_LINK_RESUME] = "LINK_RESUME", [REPL_ATTACH] = "ATTACH",
        [REPL_SEND_RANGE] = "RANGE", [REPL_START_SNAPSHOT] = "START", [REPL_SEND_SNAPSHOT] = "IMAGE",
        [REPL_DROP_SNAPSHOT] = "DROP", [REPL_LOAD_BEGIN] = "LOAD_BEGIN", [REPL_LOAD_CHUNK] = "CHUNK",
        [REPL_LOAD_END] = "LOAD_END", [REPL_LOAD_ABORT] = "LOAD_ABORT", [REPL_APPLY] = "APPLY",
        [REPL_APPLY_RESET] = "APPLY_RESET", [REPL_SET_ROLE] = "SET_ROLE", [REPL_STREAM] = "STREAM",
        [REPL_RESELECT] = "RESELECT", [REPL_PAUSE_WRITES] = "PAUSE", [REPL_UNPAUSE_WRITES] = "UNPAUSE",
        [REPL_WAKE] = "WAKE", [REPL_SPILL_WRITE] = "SPILL_WRITE", [REPL_SPILL_READ] = "SPILL_READ",
        [REPL_SPILL_CLOSE] = "SPILL_CLOSE",
    };
    struct buf *t = &b->text;
    if (a->kind == REPL_TRACE) {
        buf_append(&b->traces, a->text);
        buf_append_char(&b->traces, '\n');
        return;
    }
    if (t->n)
        buf_append_str(t, "; ");
    buf_append_str(t, names[a->kind]);
    if (a->peer)
        bench_who(t, a->peer);
    switch (a->kind) {
    case REPL_CONNECT: buf_printf(t, " %.*s:%d", (int)a->text.n, a->text.p, a->port); break;
    case REPL_SEND:
    case REPL_LOAD_CHUNK:
    case REPL_APPLY:
        buf_append_char(t, ' ');
        text_quote(t, a->bytes);
        break;
    case REPL_SEND_RANGE:
    case REPL_SPILL_WRITE:
    case REPL_SPILL_READ: buf_printf(t, " %lld-%lld", (long long)a->from, (long long)a->to); break;
    case REPL_START_SNAPSHOT:
        buf_printf(t, " #%u %s v%d", a->snapshot, a->stream ? "stream" : "disk", a->rdb_version);
        if (a->filter)
            buf_printf(t, " filter %u", a->filter);
        break;
    case REPL_SEND_SNAPSHOT:
    case REPL_DROP_SNAPSHOT: buf_printf(t, " #%u", a->snapshot); break;
    case REPL_LOAD_BEGIN:
        buf_printf(t, a->n == REPL_SIZE_UNKNOWN ? " unknown" : " %llu", (unsigned long long)a->n);
        break;
    case REPL_SET_ROLE: buf_append_str(t, a->replica ? " replica" : " master"); break;
    case REPL_STREAM: buf_append_str(t, a->on ? " on" : " off"); break;
    case REPL_WAKE: buf_printf(t, " %llu=%llu", (unsigned long long)a->wait_id, (unsigned long long)a->n); break;
    default: break;
    }
}

/* The actions of one event. */
static inline const char *bench_step(struct bench *b, struct repl_event *e)
{
    e->env = b->env;
    buf_clear(&b->text);
    buf_clear(&b->traces);
    repl_step(b->r, e, &b->actions);
    for (size_t i = 0; i < b->actions.n; i++)
        bench_write(b, &b->actions.v[i]);
    return buf_cstr(&b->text);
}

static inline struct bench bench_with(const struct repl_config *c)
{
    unsigned char seed[REPL_SEED_BYTES] = { 1 };
    struct bench b = { .r = repl_new(c, seed), .env = { .now = 1000, .wall = 5000000 } };
    b.text = b.traces = BUF_INIT(BUF_UNLIMITED);
    struct repl_event e = { .kind = REPL_STARTED };
    bench_step(&b, &e);
    return b;
}

static inline struct bench bench_new(void)
{
    struct repl_config c = bench_config();
    return bench_with(&c);
}

static inline void bench_done(struct bench *b)
{
    repl_free(b->r);
    repl_actions_done(&b->actions);
    buf_done(&b->text);
    buf_done(&b->traces);
}

/* ---- events ---- */

/* `line`: words with spaces between, quotes as in redis.conf. */
static inline const char *says(struct bench *b, uint64_t client, const char *line)
{
    struct arena arena = { 0 };
    struct bytes *v;
    size_t n;
    cr_assert(text_split(bytes_of_str(line), &arena, &v, &n));
    struct repl_event e = { .kind = REPL_COMMAND, .peer = client };
    e.command = (struct repl_command){ .argc = (int)n, .argv = v, .ip = BYTES("10.0.0.9"),
                                       .in_link = (client & REPL_LINK) != 0 };
    const char *did = bench_step(b, &e);
    arena_done(&arena);
    return did;
}

static inline const char *simple(struct bench *b, enum repl_event_kind kind, uint64_t peer)
{
    struct repl_event e = { .kind = kind, .peer = peer };
    return bench_step(b, &e);
}

static inline const char *hears_bytes(struct bench *b, uint64_t link, struct bytes bytes)
{
    struct repl_event e = { .kind = REPL_PEER_BYTES, .peer = link, .bytes = bytes };
    return bench_step(b, &e);
}

static inline const char *hears(struct bench *b, uint64_t link, const char *text)
{
    return hears_bytes(b, link, bytes_of_str(text));
}

static inline const char *at(struct bench *b, msec_t ms) /* a TICK so much later */
{
    b->env.now += ms;
    b->env.wall += ms;
    return simple(b, REPL_TICK, 0);
}

static inline const char *applied(struct bench *b, int64_t offset)
{
    struct repl_event e = { .kind = REPL_APPLIED, .offset = offset };
    return bench_step(b, &e);
}

static inline const char *appends(struct bench *b, size_t n) /* so many bytes of stream, then the end of the turn */
{
    char *p = malloc(n);
    memset(p, 'x', n);
    repl_append(b->r, bytes_of(p, n));
    free(p);
    return simple(b, REPL_APPENDED, 0);
}

static inline const char *snapshot(struct bench *b, enum repl_event_kind kind, uint32_t number, uint64_t n)
{
    struct repl_event e = { .kind = kind, .snapshot = number, .n = n, .text = BYTES("no space left") };
    return bench_step(b, &e);
}

#define does(did, expected)                                       \
    do {                                                          \
        const char *did_ = (did);                                 \
        cr_assert_str_eq(did_, (expected), "it did: %s", did_);   \
    } while (0)
#define does_begin(did, expected)                                                                \
    do {                                                                                         \
        const char *did_ = (did);                                                                \
        cr_assert(strncmp(did_, (expected), strlen(expected)) == 0, "it did: %s", did_);         \
    } while (0)
#define does_have(did, expected)                                                \
    do {                                                                        \
        const char *did_ = (did);                                               \
        cr_assert(strstr(did_, (expected)) != NULL, "it did: %s", did_);        \
    } while (0)
#define said(b, expected) \
    cr_assert(strstr(buf_cstr(&(b)->traces), (expected)) != NULL, "it said: %s", buf_cstr(&(b)->traces))

/* ---- usual beginnings ---- */

/* Client `peer` is an online replica, by a diskless full sync. */
static inline void attached(struct bench *b, uint64_t peer)
{
    char line[64];
    snprintf(line, sizeof(line), "REPLCONF listening-port %d", (int)(6000 + peer));
    says(b, peer, line);
    says(b, peer, "REPLCONF capa eof capa psync2");
    const char *did = says(b, peer, "PSYNC ? -1");
    const char *start = strstr(did, "START #");
    cr_assert(start, "it did: %s", did);
    uint32_t number = (uint32_t)atoi(start + 7);
    snapshot(b, REPL_SNAPSHOT_READY, number, 0);
    simple(b, REPL_SNAPSHOT_SENT, peer);
    snprintf(line, sizeof(line), "REPLCONF ACK %lld", (long long)repl_offset(b->r));
    says(b, peer, line);
}

/* In the handshake, PSYNC sent, on the first link. */
static inline void asked(struct bench *b)
{
    says(b, 9, "REPLICAOF m 6379");
    simple(b, REPL_PEER_UP, LINK(1));
    hears(b, LINK(1), "+PONG\r\n");
    does_have(hears(b, LINK(1), "+OK\r\n+OK\r\n"), "PSYNC");
}

/* In the stream of ID_A behind offset 100. */
static inline void linked(struct bench *b)
{
    asked(b);
    hears(b, LINK(1), "+FULLRESYNC " ID_A " 100\r\n");
    hears(b, LINK(1), "$3\r\nrdb");
    does_have(simple(b, REPL_LOADED, 0), "LINK_RESUME");
    cr_assert(repl_link_up(b->r));
}
