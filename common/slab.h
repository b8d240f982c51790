/* Slabs for many small things: key entries, fields, members. Size classes of 8 bytes up to
 * SLAB_MAX.
 *
 * Debian's jemalloc steps by 16; steps of 8 save about 4 bytes a key on average. A slab is
 * SLAB_BYTES aligned to its size, so that the slab of a pointer is found by a mask; its header is
 * one cache line. Not thread safe: slabs belong to the thread of the loop. Blocks are aligned to 8
 * bytes. Sizes over SLAB_MAX go through mem_alloc. The caller remembers the size (or can derive it
 * from the content), so nothing is stored in front of a block and freeing is told the size. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SLAB_MAX 512
#define SLAB_BYTES (64 * 1024)

void *slab_alloc(size_t n) __attribute__((malloc, alloc_size(1)));
void slab_free(void *p, size_t n); /* n as requested, or anything of the same class */

/* A block of SLAB_BYTES, for large parts of a table: it lies in the same (huge) pages. */
void *slab_alloc_whole(void) __attribute__((malloc));
void slab_free_whole(void *p);

static inline size_t slab_good_size(size_t n) /* bytes really used for a request of n <= SLAB_MAX */
{
    return n <= 8 ? 8 : (n + 7) & ~(size_t)7;
}

struct slab_stats {
    size_t slabs, slab_bytes; /* slabs held, bytes they occupy */
    size_t used_bytes;        /* bytes handed out */
};
void slab_stats_get(struct slab_stats *ret_stats);
/* Returns cached empty slabs to the system, until about so many bytes (2 MiB more at most) are
 * released; bytes released, 0 when there is nothing more. */
size_t slab_release_some(size_t bytes);
size_t slab_release_empty(void); /* all of them, which takes milliseconds after a mass deletion */
size_t slab_used_bytes(void);    /* used_bytes alone, cheap; may be read from any thread */
