/* The end of a master that waits: SHUTDOWN, until its replicas have everything (shutdown-timeout). Writes are paused
 * meanwhile; SHUTDOWN ABORT takes it back. */
#pragma once

#include "server/client.h"

struct ending;
struct ending *ending_new(struct node *);
void ending_free(struct ending *);
/* A shutdown was asked for (enum shutdown_flags). False: there is nothing to wait for. */
bool ending_begin(struct ending *, unsigned flags);
bool ending_waits(const struct ending *);
/* Each turn: true once, when the wait is over; the flags are those it began with. */
bool ending_is_over(struct ending *, unsigned *ret_flags);
bool ending_abort(struct ending *);           /* false: none is under way */
void ending_hold(struct ending *, struct client *); /* the client of SHUTDOWN: hears when it was taken back */
msec_t ending_left_ms(const struct ending *); /* until it waits no longer; -1: it does not wait */
usec_t ending_deadline(const struct ending *); /* monotonic us */
