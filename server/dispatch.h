/* From gathered requests to handlers: the gates in their fixed order, the transaction queue, the call, its accounting.
 *
 * The requests of all completions of a turn are gathered first (dispatch_gather: the key's bucket is prefetched), then
 * run in order (dispatch_run: the entry of a request further on is prefetched while one runs). Slices of a gathered
 * request point into memory of the loop or of client->query and stay valid until dispatch_run returns. */
#pragma once

#include "common/resp/parse.h"
#include "server/call.h"
#include "server/client.h"

struct dispatch;
struct node;

struct dispatch *dispatch_new(struct node *);
void dispatch_free(struct dispatch *);
struct arena *dispatch_arena(struct dispatch *); /* scratch of the turn: argv, keys, notes */

void dispatch_gather(struct dispatch *, struct client *, const struct resp_command *take);
bool dispatch_full(const struct dispatch *);  /* time to dispatch_run */
bool dispatch_running(const struct dispatch *);
bool dispatch_idle(const struct dispatch *);  /* nothing gathered */
void dispatch_run(struct dispatch *);
void dispatch_config_changed(struct dispatch *); /* slow log, latency monitor */
void dispatch_forget(struct dispatch *, struct client *); /* the client goes */

/* Runs one command now for a client, past the gates: EXEC's queue, a script's call, a block that ended. `flags`: enum
 * call_flags. The client's writer gets the reply. */
void dispatch_call(struct dispatch *, struct client *, struct command_entry *, int argc, struct bytes *argv,
                   struct blob **blobs, unsigned flags);

/* The command that runs now (outermost), or NULL. */
const struct call *dispatch_current(const struct dispatch *);
/* Something was written to other clients in the middle of a call: points the running call's writer at its client again.
 * The hooks of node.c do this after notifications and invalidations. */
void dispatch_retarget(struct dispatch *);
/* Between begin and end the time that commands see stands still (EXEC, script). Nests. */
void dispatch_freeze_time(struct dispatch *);
void dispatch_thaw_time(struct dispatch *);

/* ---- keys under way (guard.h) ---- */
struct guard *dispatch_guard(struct dispatch *);
void dispatch_guard_released(struct dispatch *); /* some are no longer: who waits asks again */

/* ---- pauses: CLIENT PAUSE, and those that the node takes by itself. The strictest of all counts. ---- */
enum pause_kind { PAUSE_NONE, PAUSE_WRITE, PAUSE_ALL };
enum pause_reason { PAUSE_BY_COMMAND, PAUSE_FOR_FAILOVER, PAUSE_FOR_SHUTDOWN, PAUSE_REASONS };
void dispatch_pause(struct dispatch *, enum pause_reason, enum pause_kind, msec_t until /* monotonic ms */);
void dispatch_unpause(struct dispatch *, enum pause_reason);
void dispatch_end_pauses(struct dispatch *, msec_t now); /* monotonic ms: those that are over */
enum pause_kind dispatch_paused(const struct dispatch *);
usec_t dispatch_deadline(const struct dispatch *); /* monotonic us of the end of the pause, INT64_MAX none */
