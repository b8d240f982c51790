/* TIME LOLWUT MONITOR. */
#include <stdio.h>

#include "common/num.h"
#include "common/prng.h"
#include "server/call.h"
#include "server/monitor.h"
#include "server/node.h"
#include "server/version.h"

static void cmd_time(struct call *c)
{
    usec_t now = io_now_wall(node_io(c->node));
    reply_array(c, 2);
    resp_bulk_i64(c->w, now / 1000000);
    resp_bulk_i64(c->w, now % 1000000);
}

static void cmd_monitor(struct call *c)
{
    if (c->flags & CALL_DENY_BLOCKING) {
        reply_error(c, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    monitors_add(node_monitors(c->node), c->client);
    reply_ok(c);
}

/* ---- LOLWUT ---- */

/* A snake that eats its tail, of a given size, with a different pattern each time. */
static void draw(struct buf *b, struct prng *rng, int radius)
{
    static const char scales[] = "oO0@8&";
    for (int y = -radius; y <= radius; y++) {
        for (int x = -2 * radius; x <= 2 * radius; x++) {
            int d = x * x / 4 + y * y;
            bool ring = d <= radius * radius && d >= (radius - 2) * (radius - 2);
            bool mouth = ring && y < 0 && x > radius / 2 && x <= radius / 2 + 3;
            buf_append_char(b, !ring ? ' ' : mouth ? '>' : scales[prng_below(rng, sizeof(scales) - 1)]);
        }
        buf_append_char(b, '\n');
    }
}

static void cmd_lolwut(struct call *c)
{
    int64_t radius = 7;
    int i = 1;
    if (c->argc >= 3 && arg_is(c, 1, "version")) {
        int64_t version; /* there is one picture: the version chooses nothing, but must be a number */
        if (!arg_i64(c, 2, &version))
            return;
        i = 3;
    }
    if (i < c->argc)
        num_parse_i64(c->argv[i], &radius);
    radius = radius < 3 ? 3 : radius > 30 ? 30 : radius;
    struct prng rng;
    prng_init(&rng, (uint64_t)io_now_wall(node_io(c->node)));
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    draw(&b, &rng, (int)radius);
    buf_append_str(&b, "\nOuro, the snake that keeps its tail.  Redis ver. " REDIS_VERSION "\n");
    resp_verbatim(c->w, "txt", buf_bytes(&b));
    buf_done(&b);
}

const struct command server_commands[] = {
    { "time", cmd_time, 1, CMD_LOADING | CMD_STALE | CMD_FAST, NO_KEYS, NULL },
    { "lolwut", cmd_lolwut, -1, CMD_READ | CMD_FAST, NO_KEYS, NULL },
    { "monitor", cmd_monitor, 1, CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    COMMANDS_END,
};
