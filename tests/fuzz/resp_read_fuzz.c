/* The reader of replies on arbitrary bytes, whole and byte by byte: both must give the same tokens, and no token may
 * reach beyond its input. */
#include <stdint.h>
#include <stdlib.h>

#include "common/assert.h"
#include "common/hash.h"
#include "common/resp/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BULK_MAX = 64 * 1024 };

struct seen {
    uint64_t tokens, hash;
    bool error;
};

static void play(struct bytes in, size_t piece, struct seen *s)
{
    size_t begin = 0, end = 0;
    for (;;) {
        struct resp_token t;
        char *copy = malloc(end - begin + 1); /* a sanitizer sees what is read behind it */
        memcpy(copy, in.p + begin, end - begin);
        enum resp_read_status st = resp_read(bytes_of(copy, end - begin), BULK_MAX, &t);
        if (st == RESP_READ_TOKEN) {
            ASSERT(t.used > 0 && t.used <= end - begin);
            ASSERT(t.text.n <= t.used && (t.text.n == 0 || (t.text.p >= copy && t.text.p + t.text.n <= copy + t.used)));
            ASSERT(!t.null || t.text.n == 0 || t.kind == '_');
            s->hash = hash_fold(s->hash + (uint64_t)t.kind + (uint64_t)t.n, 0x9e3779b97f4a7c15ull);
            s->hash ^= t.text.n ? hash_bytes(t.text) : 0;
            s->tokens++;
            begin += t.used;
        }
        free(copy);
        if (st == RESP_READ_ERROR) {
            s->error = true;
            return;
        }
        if (st == RESP_READ_MORE) {
            if (end == in.n)
                return;
            end = in.n - end > piece ? end + piece : in.n;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = bytes_of(data, size < 8192 ? size : 8192); /* byte by byte it is quadratic */
    struct seen whole = { 0 }, pieces = { 0 };
    play(in, in.n + 1, &whole);
    play(in, 1, &pieces);
    ASSERT(whole.tokens == pieces.tokens && whole.hash == pieces.hash && whole.error == pieces.error);
    return 0;
}
