/* See block.h. */
#include "server/types/block.h"

#include <string.h>

void *block_move(void *p, size_t from, size_t to)
{
    if (from > SLAB_MAX && to > SLAB_MAX)
        return mem_realloc(p, to);
    void *q = slab_alloc(to);
    memcpy(q, p, from < to ? from : to);
    slab_free(p, from);
    return q;
}
