/* What a master may send to a replica: handshake lines, payload, stream, in any pieces. The first two bytes choose the
 * configuration, the pieces, and how far the stream is applied. Asserts on the way: chunks never exceed what was
 * announced, actions come in an order that a driver can follow, and nothing is left allocated. */
#include <stdint.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/prng.h"
#include "replication/repl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct play {
    struct repl *r;
    struct repl_actions actions;
    struct repl_env env;
    struct prng rng;
    uint64_t link;
    bool up, loading, load_ended;
    uint64_t announced, chunks;
    int64_t applied, received;
};

static void step(struct play *p, struct repl_event *e);

static void load(struct play *p, const struct repl_action *a)
{
    switch (a->kind) {
    case REPL_LOAD_BEGIN:
        ASSERT(!p->loading);
        p->loading = true;
        p->load_ended = false;
        p->announced = a->n;
        p->chunks = 0;
        break;
    case REPL_LOAD_CHUNK:
        ASSERT(p->loading);
        ASSERT(a->bytes.n > 0);
        p->chunks += a->bytes.n;
        ASSERT(p->chunks <= p->announced);
        break;
    case REPL_LOAD_END:
        ASSERT(p->loading);
        ASSERT(p->announced == REPL_SIZE_UNKNOWN || p->chunks == p->announced);
        p->load_ended = true;
        break;
    case REPL_LOAD_ABORT:
        ASSERT(p->loading);
        p->loading = p->load_ended = false;
        break;
    default: PANIC("no");
    }
}

static void perform(struct play *p, const struct repl_action *a)
{
    switch (a->kind) {
    case REPL_CONNECT:
        p->link = a->peer;
        p->up = false;
        break;
    case REPL_CLOSE:
        ASSERT(a->peer == p->link);
        p->link = 0;
        break;
    case REPL_LOAD_BEGIN:
    case REPL_LOAD_CHUNK:
    case REPL_LOAD_END:
    case REPL_LOAD_ABORT: load(p, a); break;
    case REPL_APPLY:
        ASSERT(!p->loading);
        if (p->received < repl_offset(p->r))
            p->received = repl_offset(p->r);
        p->received += (int64_t)a->bytes.n;
        break;
    case REPL_APPLY_RESET: p->received = repl_offset(p->r); break;
    case REPL_SEND: ASSERT(a->bytes.n > 0); break;
    default: break;
    }
}

static void step(struct play *p, struct repl_event *e)
{
    e->env = p->env;
    repl_step(p->r, e, &p->actions);
    for (size_t i = 0; i < p->actions.n; i++)
        perform(p, &p->actions.v[i]);
    ASSERT(repl_deadline(p->r) > 0);
}

static void simple(struct play *p, enum repl_event_kind kind)
{
    struct repl_event e = { .kind = kind, .peer = p->link };
    step(p, &e);
}

/* What the driver and time do between two pieces. */
static void between(struct play *p)
{
    if (p->load_ended) {
        p->loading = p->load_ended = false;
        p->received = 0;
        simple(p, prng_below(&p->rng, 8) ? REPL_LOADED : REPL_LOAD_FAILED);
    }
    if (repl_link_up(p->r) && p->received > repl_offset(p->r)) {
        int64_t more = p->received - repl_offset(p->r);
        struct repl_event e = { .kind = REPL_APPLIED };
        e.offset = repl_offset(p->r) + (int64_t)prng_below(&p->rng, (uint64_t)more + 1);
        step(p, &e);
    }
    p->env.now += (msec_t)prng_below(&p->rng, 1500);
    if (repl_deadline(p->r) <= p->env.now)
        simple(p, REPL_TICK);
    if (p->link && !p->up) {
        p->up = true;
        simple(p, REPL_PEER_UP);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char begin[] = "+PONG\r\n+OK\r\n+OK\r\n";
    if (size < 2 || size > 100000)
        return 0;
    size_t before = mem_used();
    struct repl_config c = {
        .timeout_ms = 60000, .ping_period_ms = 10000, .backlog_size = 16384, .load_mode = (data[0] & 3) % 3,
        .empty_master_guard = data[0] & 4,
    };
    unsigned char seed[REPL_SEED_BYTES] = { data[1] };
    struct play p = { .r = repl_new(&c, seed), .env = { .now = 1, .keys = data[0] & 8 ? 3 : 0 } };
    prng_init(&p.rng, (uint64_t)data[0] << 8 | data[1]);
    struct repl_event e = { .kind = REPL_STARTED, .follow = { BYTES("m"), 1 } };
    if (data[0] & 16) {
        e.started.replid = BYTES("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        e.started.offset = 100;
    }
    step(&p, &e);
    between(&p);
    if (data[0] & 32) { /* the usual beginning is given */
        struct repl_event hello = { .kind = REPL_PEER_BYTES, .peer = p.link, .bytes = bytes_of_str(begin) };
        step(&p, &hello);
    }
    for (size_t at = 2; at < size;) {
        size_t n = 1 + prng_below(&p.rng, data[0] & 64 ? 8 : 4096);
        n = n < size - at ? n : size - at;
        struct repl_event bytes = { .kind = REPL_PEER_BYTES, .peer = p.link, .bytes = bytes_of(data + at, n) };
        if (p.link)
            step(&p, &bytes);
        between(&p);
        at += n;
    }
    repl_free(p.r);
    repl_actions_done(&p.actions);
    ASSERT(mem_used() == before);
    return 0;
}
