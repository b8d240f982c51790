/* The arena of arena.h: a list of chunks, the first of which is being filled.
 *
 * Ordinary chunks move between `chunks` and `spare`; oversized ones are freed at reset, so that one
 * large command does not pin its memory. */
#include "common/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"

struct arena_chunk {
    struct arena_chunk *next;
    size_t n; /* bytes of data[], a multiple of 8 */
    char data[];
};

#define CHUNK_DATA (ARENA_CHUNK - sizeof(struct arena_chunk))

void arena_init(struct arena *a)
{
    *a = (struct arena){ 0 };
}

static void free_list(struct arena_chunk *c)
{
    while (c) {
        struct arena_chunk *next = c->next;
        mem_free(c);
        c = next;
    }
}

void arena_done(struct arena *a)
{
    free_list(a->chunks);
    free_list(a->spare);
    arena_init(a);
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *c = a->chunks;
    a->chunks = NULL;
    a->cur = a->end = NULL;
    while (c) {
        struct arena_chunk *next = c->next;
        if (c->n == CHUNK_DATA && a->held <= ARENA_KEEP) {
            c->next = a->spare;
            a->spare = c;
        } else {
            a->held -= sizeof *c + c->n;
            mem_free(c);
        }
        c = next;
    }
}

static struct arena_chunk *chunk_new(struct arena *a, size_t n)
{
    struct arena_chunk *c = mem_alloc(sizeof *c + n);
    c->n = n;
    a->held += sizeof *c + n;
    return c;
}

void *arena_grow(struct arena *a, size_t n)
{
    if (n > PTRDIFF_MAX / 2)
        PANIC("a request of %zu bytes for scratch memory", n);
    size_t step = (n + 7) & ~(size_t)7;

    /* A large one goes behind the current chunk, whose rest stays in use. */
    if (step > CHUNK_DATA / 4 && a->chunks) {
        struct arena_chunk *c = chunk_new(a, step);
        c->next = a->chunks->next;
        a->chunks->next = c;
        return c->data;
    }
    struct arena_chunk *c = a->spare;
    if (step > CHUNK_DATA)
        c = chunk_new(a, step);
    else if (c)
        a->spare = c->next;
    else
        c = chunk_new(a, CHUNK_DATA);
    c->next = a->chunks;
    a->chunks = c;
    a->cur = c->data + step;
    a->end = c->data + c->n;
    return c->data;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    if (n)
        memset(p, 0, n);
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        PANIC("an array of %zu times %zu bytes", count, size);
    return arena_alloc(a, n);
}

struct bytes arena_copy(struct arena *a, struct bytes s)
{
    char *p = arena_alloc(a, s.n);
    if (s.n)
        memcpy(p, s.p, s.n);
    return bytes_of(p, s.n);
}

struct bytes arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    ASSERT(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    va_start(args, format);
    int again = vsnprintf(p, (size_t)n + 1, format, args);
    va_end(args);
    ASSERT(again == n);
    return bytes_of(p, (size_t)n);
}

size_t arena_held(const struct arena *a)
{
    return a->held;
}
