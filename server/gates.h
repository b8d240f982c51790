/* The gates a request passes before it runs, in Redis' order: known, arity, protected, authenticated, allowed in MULTI,
 * served here (cluster), memory, subscriber mode. A refusal is replied here, counted, and marks a transaction as
 * broken. */
#pragma once

#include "server/call.h"

struct route_hashes;

/* `cmd` NULL: unknown command. True: run (or queue) it. *ret_slot: in a cluster, the slot of its keys; else -1. */
bool gates_pass(struct node *, struct client *, struct command_entry *cmd, int argc, const struct bytes *argv,
                const struct route_hashes *, int *ret_slot);
/* Commands that MULTI does not queue but runs: EXEC DISCARD MULTI WATCH QUIT RESET. */
bool gate_queues(const struct command_entry *);
bool gate_is_exec(const struct command_entry *);
/* Whether a command protected by `mode` (PROTECTED_* of options.h) may be used by this client. */
bool gate_protected_ok(struct client *, int mode);
