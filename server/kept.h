/* A request kept beyond its turn: queued by MULTI, waiting for a key, or held while its client may not run. */
#pragma once

#include "common/blob.h"
#include "common/bytes.h"

struct kept {
    struct kept *next;   /* for whoever keeps them in a queue */
    int argc;
    size_t memory;       /* bytes of this allocation */
    struct blob **blobs; /* NULL, or argc entries: whole arguments held by reference */
    struct bytes argv[]; /* slices of the texts behind, or of the blobs */
};

/* Copies the slices into one allocation and takes over the blobs (their slots become NULL). */
struct kept *kept_new(int argc, const struct bytes *argv, struct blob **take_blobs);
void kept_free(struct kept *); /* and the blobs that are still in it */
