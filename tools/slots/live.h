/* A running server or cluster, over hiredis. Errors: false or NULL, and live_error tells. */
#pragma once

#include <hiredis/hiredis.h>

#include "model.h"
#include "options.h"

struct live;

/* Connects to the node that the options name; in a cluster fills the map with its masters (those that are up) and who
 * owns which slot. Never NULL: look at live_error. */
struct live *live_open(const struct options *, struct slot_map *);
struct live *live_bare(const struct options *); /* connected to nothing yet */
redisContext *live_dial(struct live *, const char *host, int port); /* logged in; the caller's. NULL: live_error */
void live_close(struct live *);
const char *live_error(const struct live *); /* NULL: none yet */
bool live_is_cluster(const struct live *);
/* The connection to a master, made on first use; stays the live's. */
redisContext *live_master(struct live *, int master);
/* The next reply, or to a command; NULL on an error of the connection or an error reply (live_error).
 * freeReplyObject. */
redisReply *live_reply(struct live *, redisContext *);
redisReply *live_command(struct live *, redisContext *, int argc, const char **argv, const size_t *lens);
redisReply *live_words(struct live *, redisContext *, const char *words); /* separated by spaces */
void live_fail(struct live *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void live_forget_error(struct live *);

/* What the masters count by slot, into the map. Where there is no CLUSTER SLOT-STATS, keys are counted and the memory
 * of `sample` keys a slot is measured. ret_has: which of the metrics are known of all. */
bool live_slot_loads(struct live *, struct slot_map *, int sample, bool ret_has[METRICS]);
/* All keys of all masters, with the memory of about `sample` of them, scaled up. */
bool live_keys(struct live *, const struct slot_map *, int sample, void (*key)(void *ctx, struct bytes, double memory),
               void *ctx);
