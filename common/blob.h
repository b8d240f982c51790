/* A reference-counted block of bytes: a large string value, a large argument on its way in, or out.
 *
 * From BLOB_MIN bytes on a string value lives in a blob of its own, so that it can be received straight into
 * place and sent from where it lies while the key is overwritten or deleted. A blob with more than one reference
 * is immutable: who wants to change it copies it first (blob_writable). Not thread safe but for blob_free's last
 * step, which hands blocks over BLOB_LAZY bytes to a thread of its own (unmapping them takes milliseconds). */
#pragma once

#include "common/bytes.h"

#define BLOB_MIN 1024            /* bytes: strings below live in the entry of their key */
#define BLOB_LAZY (1024 * 1024)  /* bytes: freed off the loop from here on */

struct blob {
    uint32_t refs;
    uint32_t reserved;
    size_t n;   /* bytes in use */
    size_t cap; /* bytes in data[] */
    char data[];
};

struct blob *blob_new(size_t n, size_t cap);     /* n <= cap; content undefined; one reference */
struct blob *blob_try_new(size_t n, size_t cap); /* NULL when memory is not to be had */
struct blob *blob_ref(struct blob *);
void blob_unref(struct blob *);                  /* NULL is fine */
/* Takes `b` and gives a blob that only the caller has, with room for `cap` bytes; content kept. NULL (b kept)
 * when memory is not to be had. */
struct blob *blob_writable(struct blob *b, size_t cap);

size_t blob_lazy_pending(void);  /* blobs waiting for the freeing thread */
uint64_t blob_lazy_freed(void);  /* blobs it has freed since start or blob_lazy_reset */
void blob_lazy_reset(void);

static inline struct bytes blob_bytes(const struct blob *b)
{
    return bytes_of(b->data, b->n);
}
