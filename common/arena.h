/* Scratch memory for one turn: allocating is moving a pointer, nothing is freed by hand,
 * arena_reset drops it all.
 *
 * Chunks are kept over a reset, up to ARENA_KEEP bytes, so that a turn like the last one allocates
 * nothing. A request larger than a chunk gets one of its own. Never fails: out of memory is a
 * panic. Not thread safe. A zeroed struct is an empty arena. */
#pragma once

#include "common/bytes.h"

#define ARENA_CHUNK (16 * 1024)  /* bytes of an ordinary chunk */
#define ARENA_KEEP (1024 * 1024) /* bytes that survive a reset */

struct arena_chunk;

struct arena {
    char *cur, *end;            /* free part of the current chunk */
    struct arena_chunk *chunks; /* in use, the current one first */
    struct arena_chunk *spare;  /* kept for later, all of ARENA_CHUNK */
    size_t held;                /* bytes of all chunks */
};

void arena_init(struct arena *);
void arena_done(struct arena *);  /* frees all; the arena is empty and usable again */
void arena_reset(struct arena *); /* ends the life of everything allocated from it */
void *arena_grow(struct arena *, size_t n); /* the slow way of arena_alloc */

/* `n` bytes aligned to 8, content undefined, valid until reset. */
static inline void *arena_alloc(struct arena *a, size_t n)
{
    if (__builtin_expect(n >= (size_t)(a->end - a->cur), 0)) /* an empty arena grows even for nothing */
        return arena_grow(a, n);
    void *p = a->cur;
    size_t step = (n + 7) & ~(size_t)7; /* chunks end at a multiple of 8: it fits when n does */
    a->cur += step;
    return p;
}

void *arena_zalloc(struct arena *, size_t n);
void *arena_array(struct arena *, size_t count, size_t size); /* panics when it overflows */
struct bytes arena_copy(struct arena *, struct bytes);
/* Formats; NUL-terminated, the NUL not counted. */
struct bytes arena_printf(struct arena *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
size_t arena_held(const struct arena *); /* bytes of memory behind it, used or spare */
