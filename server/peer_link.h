/* A connection of ours to another server that speaks RESP: requests go out through a writer, replies come back as
 * tokens.
 *
 * A link is made by peer_link_new and gone after `down` or peer_link_close, whichever comes first; neither is followed
 * by another event. Events come from the loop, never from inside of the verbs here. */
#pragma once

#include "common/resp/read.h"
#include "server/io.h"

struct peer_link;

struct peer_link_events {
    void (*up)(void *owner);
    /* May close the link: then no further token comes. The token's text is borrowed. */
    void (*token)(void *owner, const struct resp_token *);
    /* It failed or ended: errno, EPROTO for bytes that are no RESP, 0 when the peer closed in order. `unsent`: bytes
     * that the kernel had not taken. */
    void (*down)(void *owner, int err, size_t unsent);
};

/* What is written before it is up is sent then. 0 or -errno (nothing begun). */
int peer_link_new(struct io *, const char *host, int port, const char *source_addr,
                  const struct peer_link_events *must_outlive, void *owner, struct peer_link **ret_link);
struct writer *peer_link_writer(struct peer_link *); /* as conn_writer: ask again after writing elsewhere */
size_t peer_link_unsent(struct peer_link *);         /* bytes that the kernel has not taken yet */
void peer_link_close(struct peer_link *);            /* NULL is fine */

void peer_link_free(struct peer_link *); /* the loop runs no more; NULL is fine */

/* Writes a request. */
void peer_request(struct writer *, int argc, const struct bytes *argv);
