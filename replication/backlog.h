/* The backlog: the tail of the stream in memory, as a chain of counted blocks. Each replica is a position in it and is
 * sent from the blocks themselves.
 *
 *      first                                   shown           end
 *        v                                       v              v
 *        [ block 64 KiB ][ a large value ][ block ..............|  room  ]
 *                              ^ by reference
 *
 * Positions count the bytes before them: byte number n of the wire (PSYNC, INFO count from 1) begins at position
 * n - 1. [first, end) is there; bytes from `shown` on were received from a master but not applied yet: they go to
 * nobody and are taken back when the link ends (backlog_take_back). As a master shown == end. */
#pragma once

#include "common/blob.h"
#include "common/ring.h"

struct backlog_block {
    int64_t from;
    struct blob *blob;
    size_t off, n;   /* bytes of the stream: blob->data[off, off + n) */
    size_t memory;   /* what dropping it gives back */
};

struct backlog {
    struct ring blocks;    /* struct backlog_block, without holes, none empty */
    struct blob *tail;     /* of our own, written to behind tail->n; NULL */
    int64_t first, shown, end;
    size_t block_bytes;    /* of a new block */
    size_t memory;         /* of all blocks */
};

void backlog_init(struct backlog *, int64_t position, size_t size); /* size: repl-backlog-size, for the block's */
void backlog_done(struct backlog *);
void backlog_append(struct backlog *, struct bytes);
void backlog_append_blob(struct backlog *, struct blob *, size_t off, size_t n); /* takes a reference of its own */
void backlog_take_back(struct backlog *); /* end = shown */

/* The block that has the byte at `position`; first <= position < end. */
const struct backlog_block *backlog_at(const struct backlog *, int64_t position);
/* The oldest, if it is not the one that is written to; else NULL. */
const struct backlog_block *backlog_oldest(const struct backlog *);
void backlog_drop_oldest(struct backlog *);

static inline bool backlog_has(const struct backlog *b, int64_t position)
{
    return position >= b->first && position <= b->end;
}
