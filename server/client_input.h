/* How bytes become gathered requests, per client: between the loop's upcalls and dispatch. Used by client.c and
 * node.c. */
#pragma once

#include "server/client.h"

void client_input(struct client *, struct bytes);          /* io_handler.input */
/* For a master's client: bytes of the stream, which stay where they are until the next run. */
void client_input_stream(struct client *, struct bytes);
void client_input_placed(struct client *, size_t n);       /* io_handler.input_placed */
/* Runs everything that was gathered, then what was put off by it (held clients that were released, input behind a
 * request that had to run first), until nothing is left. io_handler.execute, and after timers released clients. */
void clients_execute(struct clients *);
void client_input_forget(struct client *);                 /* the client goes */
