/* The set of clients, as client.c, client_input.c and node.c see it. */
#pragma once

#include "server/client.h"
#include "server/dispatch.h"

struct clients *clients_new(struct node *);
void clients_free(struct clients *);
void clients_attach_dispatch(struct clients *, struct dispatch *);
struct dispatch *clients_dispatch(struct clients *);
struct node *clients_node(struct clients *);
struct list *clients_later(struct clients *); /* clients that need a look after the next run, by `later` */

/* io_handler's opened and closed. */
void *clients_opened(struct clients *, struct conn *, struct listener *);
void client_closed(struct client *, int err);
/* The client of a master's stream: obeyed, not answered, on a connection that we opened and whose bytes come by
 * client_input_stream. */
struct client *clients_add_master(struct clients *, struct conn *, struct db *);
void clients_mark_replica(struct client *); /* an accepted client becomes a replica: counted apart */
