/* The large form of a list: a ring of chunks (see list.h). */
#pragma once

#include "server/types/list.h"

struct chunk {
    void *data;     /* a listpack, or the blob of one large element */
    uint32_t n;     /* elements */
    uint32_t plain; /* it is a blob */
};

struct list {
    struct chunk *ring;
    uint32_t mask; /* places in the ring - 1; a power of two less one */
    uint32_t head; /* place of the first chunk */
    uint32_t chunks;
    bool fixed;     /* a listpack in disguise */
    uint64_t count; /* elements of all chunks */
};

static inline struct chunk *list_at(const struct list *l, uint32_t i)
{
    return &l->ring[(l->head + i) & l->mask];
}
