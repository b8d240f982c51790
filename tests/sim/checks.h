/* What must hold after every step of every node, and at the end. */
#pragma once

#include "tests/sim/repl_node.h"

struct checks;

struct checks *checks_new(struct world *);
void checks_free(struct checks *);

/* A node is in a state that others could see: (id, offset) means this data. Fails when it meant others before. */
void checks_state(struct checks *, int host, const char *id, int64_t offset, uint64_t digest);
/* The same node one step later: within an id its offset never goes back. */
void checks_monotone(struct checks *, int host, const char *id_before, int64_t before, const char *id, int64_t after);
uint64_t checks_states(const struct checks *); /* how many different ones were seen */
