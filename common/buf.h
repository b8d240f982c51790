/* A growable buffer that is born with its maximum (curl's dynbuf): owns its bytes, doubles up to `max`.
 *
 * buf_append and friends return 0, or -ENOMEM once `max` would be passed; the content is then unchanged.
 * A zeroed struct with a max is an empty buffer. */
#pragma once

#include "common/bytes.h"

struct buf {
    char *p;
    size_t n;   /* bytes in use */
    size_t cap; /* bytes allocated */
    size_t max; /* bytes it may ever hold */
};

#define BUF_INIT(max_bytes) ((struct buf){ .max = (max_bytes) })
#define BUF_UNLIMITED ((size_t)1 << 62)

void buf_init(struct buf *, size_t max);
void buf_done(struct buf *); /* frees the bytes; the buffer is empty and usable again */
void buf_clear(struct buf *); /* keeps the allocation */

int buf_reserve(struct buf *, size_t more); /* room for `more` bytes after n */
int buf_append(struct buf *, struct bytes);
int buf_append_str(struct buf *, const char *);
int buf_append_char(struct buf *, char);
int buf_printf(struct buf *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *, size_t n); /* drops the first n bytes, moves the rest down */
char *buf_cstr(struct buf *); /* NUL-terminates without counting the NUL; NULL when out of room */

static inline struct bytes buf_bytes(const struct buf *b)
{
    return bytes_of(b->p, b->n);
}
