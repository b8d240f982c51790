/* Opening and closing the connections of a run. */
#pragma once

#include "common/buf.h"
#include "tools/bench/engine.h"
#include "tools/bench/options.h"
#include "tools/bench/target.h"
#include "tools/bench/workload.h"

/* Asks the server who it is, over a connection of its own. Negative errno, words in ret_error. */
int conns_probe(const struct options *, struct target *ret_target, struct buf *ret_error);

/* Opens and greets o->connections connections, with room for their requests; owned by the caller.
 * On failure nothing is left open. */
int conns_open(const struct options *, const struct workload *, struct conn **ret_conns,
               uint32_t *ret_n, struct buf *ret_error);
void conns_close(struct conn *, uint32_t n);
