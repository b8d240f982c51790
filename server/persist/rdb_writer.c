/* The parts of the RDB format on their way out (see rdb_writer.h). */
#include "server/persist/rdb_writer.h"

#include <string.h>

#include "common/alloc.h"
#include "common/crc64.h"
#include "common/lzf.h"
#include "server/persist/rdb_format.h"

void rdb_writer_init(struct rdb_writer *w, const struct rdb_sink *sink, int version, bool compress,
                     bool checksum, size_t buf_bytes)
{
    *w = (struct rdb_writer){
        .sink = *sink,
        .version = version,
        .compress = compress,
        .checksum = checksum,
        .buf = mem_alloc(buf_bytes),
        .cap = buf_bytes,
    };
}

void rdb_writer_done(struct rdb_writer *w)
{
    mem_free(w->scratch);
    mem_free(w->buf);
    w->scratch = w->buf = NULL;
    w->scratch_cap = w->cap = 0;
}

static void send(struct rdb_writer *w, struct bytes b)
{
    if (w->error || b.n == 0)
        return;
    if (w->checksum)
        w->crc = crc64(w->crc, b);
    w->error = w->sink.write(w->sink.ctx, b);
}

int rdb_writer_flush(struct rdb_writer *w)
{
    send(w, bytes_of(w->buf, w->n));
    w->n = 0;
    return w->error;
}

uint64_t rdb_writer_crc(struct rdb_writer *w)
{
    (void)rdb_writer_flush(w);
    return w->crc;
}

void rdb_put(struct rdb_writer *w, struct bytes b)
{
    w->written += b.n;
    if (b.n > w->cap - w->n) {
        (void)rdb_writer_flush(w);
        if (b.n >= w->cap / 2) {
            send(w, b); /* large ones are not copied */
            return;
        }
    }
    if (b.n)
        memcpy(w->buf + w->n, b.p, b.n);
    w->n += b.n;
}

void rdb_put_byte(struct rdb_writer *w, unsigned v)
{
    if (w->n == w->cap)
        (void)rdb_writer_flush(w);
    w->buf[w->n++] = (char)v;
    w->written++;
}

void rdb_put_u64le(struct rdb_writer *w, uint64_t v)
{
    rdb_put(w, bytes_of(&v, sizeof v));
}

void rdb_put_u64be(struct rdb_writer *w, uint64_t v)
{
    v = __builtin_bswap64(v);
    rdb_put(w, bytes_of(&v, sizeof v));
}

void rdb_put_length(struct rdb_writer *w, uint64_t n)
{
    if (n <= RDB_LEN_6_MAX) {
        rdb_put_byte(w, (unsigned)n);
    } else if (n <= RDB_LEN_14_MAX) {
        rdb_put_byte(w, RDB_LEN_14 | (unsigned)(n >> 8));
        rdb_put_byte(w, n & 255);
    } else if (n <= UINT32_MAX) {
        uint32_t be = __builtin_bswap32((uint32_t)n);
        rdb_put_byte(w, RDB_LEN_32);
        rdb_put(w, bytes_of(&be, sizeof be));
    } else {
        rdb_put_byte(w, RDB_LEN_64);
        rdb_put_u64be(w, n);
    }
}

void rdb_put_double(struct rdb_writer *w, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    rdb_put_u64le(w, bits);
}

/* ---- strings ---- */

/* The integer forms. False: it needs more than 32 bits. */
static bool put_small_int(struct rdb_writer *w, int64_t v)
{
    if (v >= INT8_MIN && v <= INT8_MAX) {
        int8_t i = (int8_t)v;
        rdb_put_byte(w, RDB_STR_INT8);
        rdb_put(w, bytes_of(&i, sizeof i));
    } else if (v >= INT16_MIN && v <= INT16_MAX) {
        int16_t i = (int16_t)v;
        rdb_put_byte(w, RDB_STR_INT16);
        rdb_put(w, bytes_of(&i, sizeof i));
    } else if (v >= INT32_MIN && v <= INT32_MAX) {
        int32_t i = (int32_t)v;
        rdb_put_byte(w, RDB_STR_INT32);
        rdb_put(w, bytes_of(&i, sizeof i));
    } else {
        return false;
    }
    return true;
}

/* False: it would not save enough, or the memory for it is not to be had. */
static bool put_compressed(struct rdb_writer *w, struct bytes s)
{
    if (!w->compress || s.n < RDB_LZF_MIN || s.n >= UINT32_MAX)
        return false;
    size_t max = s.n - RDB_LZF_GAIN;
    if (w->scratch_cap < max) {
        char *p = mem_try_realloc(w->scratch, max);
        if (!p)
            return false;
        w->scratch = p;
        w->scratch_cap = max;
    }
    size_t n = lzf_compress(s, w->scratch, max);
    if (n == 0)
        return false;
    rdb_put_byte(w, RDB_STR_LZF);
    rdb_put_length(w, n);
    rdb_put_length(w, s.n);
    rdb_put(w, bytes_of(w->scratch, n));
    return true;
}

void rdb_put_string(struct rdb_writer *w, struct bytes s)
{
    int64_t v;
    if (s.n <= RDB_INT_TEXT_MAX && num_parse_i64(s, &v) && put_small_int(w, v))
        return;
    if (put_compressed(w, s))
        return;
    rdb_put_length(w, s.n);
    rdb_put(w, s);
}

void rdb_put_i64(struct rdb_writer *w, int64_t v)
{
    if (put_small_int(w, v))
        return;
    char text[NUM_I64_MAX];
    size_t n = num_format_i64(text, v);
    rdb_put_length(w, n);
    rdb_put(w, bytes_of(text, n));
}

void rdb_put_element(struct rdb_writer *w, const struct element *e)
{
    if (e->s.p)
        rdb_put_string(w, e->s);
    else
        rdb_put_i64(w, e->i);
}
