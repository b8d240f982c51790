/* Runs command lines over a real keyspace, without a server: for the tests of the command families.
 *
 * A step is a line, the reply it must give and, if not NULL, the keyspace events and the effects it
 * must have. Replies are shown short: OK, -ERR text, :1, 'bulk' (bytes that are not printable as
 * \xHH), nil, [a b], {k v}, <a b> (a set). Events are "set a, expire a" (with "1:" in front in another database
 * than 0), effects "SET a 1; DEL b". */
#pragma once

#include "common/arena.h"
#include "common/buf.h"
#include "server/call.h"
#include "server/propagate.h"

#define HARNESS_FAMILIES 8
#define HARNESS_NOW      1700000000000 /* ms since 1970, at harness_init */

struct harness {
    struct keyspace *ks;
    struct ks_config config;
    struct types_limits limits;
    struct propagate *propagate;
    struct arena arena;
    struct writer_buf out;
    struct buf reply, events, effects; /* of the last command, as shown above */
    struct buf woken;                  /* "key, key": calls of key_ready */
    const struct command *families[HARNESS_FAMILIES];
    int db;
    msec_t now;
    unsigned flags; /* enum call_flags of the next calls */
    size_t bulk_max;
    bool subscriber; /* the client is in RESP2's subscriber mode */
    int large_arg;   /* this argument comes in a blob of its own; 0 none */
};

struct step {
    const char *line, *reply;
    const char *events, *effects; /* NULL: not looked at */
};

/* With the families' tables, up to HARNESS_FAMILIES of them, NULL-terminated. */
void harness_init(struct harness *, const struct command *const *families);
void harness_done(struct harness *);
/* Makes a key of another type: a sorted set with one element. */
void harness_add_zset(struct harness *, const char *key);
/* The reply, shown. Lines are split as redis-cli does: quotes and \xHH. */
const char *harness_run(struct harness *, const char *line);
const char *harness_run_argv(struct harness *, int argc, const struct bytes *argv);
void harness_steps(struct harness *, const struct step *,
                   size_t n); /* fails the test where they differ */
#define HARNESS_STEPS(h, steps) harness_steps((h), (steps), sizeof(steps) / sizeof((steps)[0]))
