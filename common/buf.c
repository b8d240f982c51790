/* The growable buffer of buf.h.
 *
 * Growth doubles, starting at MIN_CAP, and is rounded to what the allocator sets aside anyway. A
 * buffer with a real maximum reports missing memory like a passed maximum; one without
 * (BUF_UNLIMITED) panics, because its users have no way to give up and must not lose bytes in
 * silence. */
#include "common/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"

#define MIN_CAP 64

void buf_init(struct buf *b, size_t max)
{
    *b = BUF_INIT(max);
}

void buf_done(struct buf *b)
{
    mem_free(b->p);
    *b = BUF_INIT(b->max);
}

void buf_clear(struct buf *b)
{
    b->n = 0;
}

static int grow(struct buf *b, size_t need)
{
    size_t cap = b->cap < MIN_CAP / 2 ? MIN_CAP : b->cap * 2;
    if (cap < need)
        cap = need;
    cap = mem_good_size(cap);
    if (cap > b->max)
        cap = b->max;

    char *p = b->max >= BUF_UNLIMITED ? mem_realloc(b->p, cap) : mem_try_realloc(b->p, cap);
    if (!p)
        return -ENOMEM;
    b->p = p;
    b->cap = cap;
    return 0;
}

int buf_reserve(struct buf *b, size_t more)
{
    ASSERT(b->n <= b->cap);
    if (__builtin_expect(more <= b->cap - b->n, 1))
        return 0;
    if (b->n > b->max || more > b->max - b->n)
        return -ENOMEM;
    return grow(b, b->n + more);
}

int buf_append(struct buf *b, struct bytes s)
{
    if (s.n == 0)
        return 0;
    int r = buf_reserve(b, s.n);
    if (r < 0)
        return r;
    memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
    return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
    return buf_append(b, bytes_of_str(s));
}

int buf_append_char(struct buf *b, char c)
{
    int r = buf_reserve(b, 1);
    if (r < 0)
        return r;
    b->p[b->n++] = c;
    return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    ASSERT(n >= 0);
    if ((size_t)n < sizeof small)
        return buf_append(b, bytes_of(small, (size_t)n));

    /* vsnprintf wants a byte for its NUL, which the buffer may not have left: print aside. */
    char *large = mem_alloc((size_t)n + 1);
    va_start(args, format);
    int again = vsnprintf(large, (size_t)n + 1, format, args);
    va_end(args);
    ASSERT(again == n);
    int r = buf_append(b, bytes_of(large, (size_t)n));
    mem_free(large);
    return r;
}

void buf_consume(struct buf *b, size_t n)
{
    ASSERT(n <= b->n);
    b->n -= n;
    if (b->n && n)
        memmove(b->p, b->p + n, b->n);
}

char *buf_cstr(struct buf *b)
{
    if (buf_reserve(b, 1) < 0)
        return NULL;
    b->p[b->n] = '\0';
    return b->p;
}
