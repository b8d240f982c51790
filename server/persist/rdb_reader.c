/* The parts of the RDB format on their way in (see rdb_reader.h). */
#include "server/persist/rdb_reader.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/crc64.h"
#include "common/lzf.h"
#include "server/persist/rdb_format.h"

#define READER_BUF ((size_t)128 * 1024)
#define GROWTH_FIRST                                                                               \
    ((size_t)64 * 1024) /* bytes: what a length is believed at first, when the size is not known */
#define STRING_MAX                                                                                 \
    ((uint64_t)1 << 40) /* bytes: no string is longer, whatever the size of the file */
#define TABLE_BYTES 12u /* that an element takes in a table, about */
/* LZF cannot do better: three bytes stand for at most 264. */
#define LZF_RATIO_MAX 88u

void rdb_reader_init(struct rdb_reader *r, const struct rdb_source *source, bool checksum)
{
    *r = (struct rdb_reader){ .source = *source, .checksum = checksum };
    r->own = mem_alloc(READER_BUF);
    r->buf = r->own;
}

void rdb_reader_init_bytes(struct rdb_reader *r, struct bytes b)
{
    *r = (struct rdb_reader){ .buf = (const uint8_t *)b.p, .end = b.n };
    r->source.size = b.n;
}

void rdb_reader_done(struct rdb_reader *r)
{
    for (unsigned i = 0; i < RDB_SLOTS_N; i++)
        mem_free(r->slot[i].p);
    mem_free(r->packed.p);
    mem_free(r->own);
}

uint64_t rdb_reader_left(const struct rdb_reader *r)
{
    uint64_t at = rdb_reader_offset(r);
    if (r->source.size == RDB_SIZE_UNKNOWN)
        return RDB_SIZE_UNKNOWN;
    return r->source.size > at ? r->source.size - at : 0;
}

uint64_t rdb_reader_trust(const struct rdb_reader *r, uint64_t n)
{
    uint64_t left = rdb_reader_left(r);
    uint64_t room = (left == RDB_SIZE_UNKNOWN ? GROWTH_FIRST : left) / TABLE_BYTES;
    return n < room ? n : room;
}

bool rdb_fail(struct rdb_reader *r, enum rdb_failure failure, const char *format, ...)
{
    if (r->error.failure != RDB_FINE)
        return false;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->error.reason, sizeof r->error.reason, format, args);
    va_end(args);
    r->error.failure = failure;
    r->error.offset = rdb_reader_offset(r);
    return false;
}

static bool cut_short(struct rdb_reader *r)
{
    return rdb_fail(r, RDB_CUT_SHORT, "the data ends too early");
}

/* ---- bytes ---- */

static void sum_up(struct rdb_reader *r)
{
    if (r->checksum)
        r->crc = crc64(r->crc, bytes_of(r->buf + r->crc_at, r->at - r->crc_at));
    r->crc_at = r->at;
}

uint64_t rdb_reader_crc(struct rdb_reader *r)
{
    sum_up(r);
    return r->crc;
}

/* Reads at least one byte from the source to dst. */
static bool read_some(struct rdb_reader *r, void *dst, size_t n, size_t *ret_n)
{
    if (r->error.failure != RDB_FINE)
        return false;
    ssize_t got = r->source.read(r->source.ctx, dst, n);
    if (got < 0) {
        r->error.io = (int)got;
        return rdb_fail(r, RDB_IO, "the data cannot be read: %s", strerror((int)-got));
    }
    if (got == 0)
        return cut_short(r);
    ASSERT((size_t)got <= n);
    *ret_n = (size_t)got;
    return true;
}

/* All of buf is used up: fills it anew. */
static bool refill(struct rdb_reader *r)
{
    size_t got;
    if (!r->own)
        return cut_short(r);
    sum_up(r);
    r->before += r->at;
    r->at = r->end = r->crc_at = 0;
    if (!read_some(r, r->own, READER_BUF, &got))
        return false;
    r->end = got;
    return true;
}

/* Large reads go past the buffer, which is used up. */
static bool get_directly(struct rdb_reader *r, char *dst, size_t n)
{
    size_t got;
    sum_up(r);
    r->before += r->at;
    r->at = r->end = r->crc_at = 0;
    for (; n > 0; dst += got, n -= got) {
        if (!read_some(r, dst, n, &got))
            return false;
        if (r->checksum)
            r->crc = crc64(r->crc, bytes_of(dst, got));
        r->before += got;
    }
    return true;
}

bool rdb_get(struct rdb_reader *r, void *dst, size_t n)
{
    if (r->error.failure != RDB_FINE)
        return false;
    char *to = dst;
    while (n > 0) {
        if (r->at == r->end) {
            if (r->own && n >= READER_BUF / 2)
                return get_directly(r, to, n);
            if (!refill(r))
                return false;
        }
        size_t here = r->end - r->at < n ? r->end - r->at : n;
        memcpy(to, r->buf + r->at, here);
        r->at += here;
        to += here;
        n -= here;
    }
    return true;
}

bool rdb_skip(struct rdb_reader *r, uint64_t n)
{
    while (n > 0) {
        if (r->error.failure != RDB_FINE)
            return false;
        if (r->at == r->end && !refill(r))
            return false;
        uint64_t here = r->end - r->at < n ? r->end - r->at : n;
        r->at += (size_t)here;
        n -= here;
    }
    return true;
}

bool rdb_get_byte(struct rdb_reader *r, uint8_t *ret)
{
    if (__builtin_expect(r->at < r->end && r->error.failure == RDB_FINE, 1)) {
        *ret = r->buf[r->at++];
        return true;
    }
    return rdb_get(r, ret, 1);
}

bool rdb_get_u64le(struct rdb_reader *r, uint64_t *ret)
{
    return rdb_get(r, ret, sizeof *ret);
}

bool rdb_get_u64be(struct rdb_reader *r, uint64_t *ret)
{
    uint64_t v;
    if (!rdb_get(r, &v, sizeof v))
        return false;
    *ret = __builtin_bswap64(v);
    return true;
}

bool rdb_get_double(struct rdb_reader *r, double *ret)
{
    return rdb_get(r, ret, sizeof *ret);
}

/* ---- lengths ---- */

/* The rest of a length whose first byte has been read and is no string form. */
static bool get_length_rest(struct rdb_reader *r, uint8_t first, uint64_t *ret)
{
    if (first <= RDB_LEN_6_MAX) {
        *ret = first;
        return true;
    }
    if (first < RDB_LEN_32) {
        uint8_t low;
        if (!rdb_get_byte(r, &low))
            return false;
        *ret = (uint64_t)(first & 63) << 8 | low;
        return true;
    }
    if (first == RDB_LEN_32) {
        uint32_t v;
        if (!rdb_get(r, &v, sizeof v))
            return false;
        *ret = __builtin_bswap32(v);
        return true;
    }
    if (first == RDB_LEN_64)
        return rdb_get_u64be(r, ret);
    return rdb_corrupt(r, "a length cannot begin with the byte %u", first);
}

bool rdb_get_length(struct rdb_reader *r, uint64_t *ret)
{
    uint8_t first;
    return rdb_get_byte(r, &first) && get_length_rest(r, first, ret);
}

/* ---- strings ---- */

/* A string before its bytes are read. */
struct shape {
    enum { SHAPE_PLAIN, SHAPE_LZF, SHAPE_INT } kind;
    size_t n;      /* bytes of the text */
    size_t packed; /* compressed bytes */
    int64_t v;
};

/* A number of bytes that follow: they must be there, as far as that is known. */
static bool check_bytes(struct rdb_reader *r, uint64_t n)
{
    if (n > STRING_MAX)
        return rdb_corrupt(r, "a string cannot have %llu bytes", (unsigned long long)n);
    if (n > rdb_reader_left(r))
        return rdb_fail(r, RDB_CUT_SHORT, "a string of %llu bytes is longer than the data",
                        (unsigned long long)n);
    return true;
}

static bool get_int_shape(struct rdb_reader *r, uint8_t first, struct shape *s)
{
    int8_t i8;
    int16_t i16;
    int32_t i32;
    s->kind = SHAPE_INT;
    switch (first) {
    case RDB_STR_INT8:
        if (!rdb_get(r, &i8, sizeof i8))
            return false;
        s->v = i8;
        return true;
    case RDB_STR_INT16:
        if (!rdb_get(r, &i16, sizeof i16))
            return false;
        s->v = i16;
        return true;
    default:
        if (!rdb_get(r, &i32, sizeof i32))
            return false;
        s->v = i32;
        return true;
    }
}

static bool get_lzf_shape(struct rdb_reader *r, struct shape *s)
{
    uint64_t packed, n;
    if (!rdb_get_length(r, &packed) || !rdb_get_length(r, &n) || !check_bytes(r, packed))
        return false;
    if (n == 0 || n / LZF_RATIO_MAX > packed)
        return rdb_corrupt(r, "%llu compressed bytes cannot stand for %llu",
                           (unsigned long long)packed, (unsigned long long)n);
    *s = (struct shape){ .kind = SHAPE_LZF, .n = n, .packed = packed };
    return true;
}

static bool get_shape(struct rdb_reader *r, struct shape *ret)
{
    uint8_t first;
    uint64_t n;
    *ret = (struct shape){ 0 };
    if (!rdb_get_byte(r, &first))
        return false;
    if (first >= RDB_STR_INT8 && first <= RDB_STR_INT32)
        return get_int_shape(r, first, ret);
    if (first == RDB_STR_LZF)
        return get_lzf_shape(r, ret);
    if (!get_length_rest(r, first, &n) || !check_bytes(r, n))
        return false;
    ret->n = n;
    return true;
}

static bool make_room(struct rdb_reader *r, char **p, size_t *cap, size_t n)
{
    if (n <= *cap)
        return true;
    n = n < 64 ? 64 : n;
    char *new = mem_try_realloc(*p, n);
    if (!new)
        return rdb_fail(r, RDB_NO_MEMORY, "no memory for a string of %zu bytes", n);
    *p = new;
    *cap = n;
    return true;
}

/* n bytes into memory that grows as they come, unless it is known that they are there. */
static bool get_growing(struct rdb_reader *r, char **p, size_t *cap, size_t n)
{
    size_t done = 0, step = rdb_reader_left(r) != RDB_SIZE_UNKNOWN ? n : GROWTH_FIRST;
    while (done < n) {
        size_t more = n - done < step ? n - done : step;
        if (!make_room(r, p, cap, done + more) || !rdb_get(r, *p + done, more))
            return false;
        done += more;
        step = done;
    }
    return true;
}

/* Compressed bytes: where they lie, if they do so in one piece, or copied. Good until the next. */
static bool get_packed(struct rdb_reader *r, size_t n, struct bytes *ret)
{
    if (r->end - r->at >= n) {
        *ret = bytes_of(r->buf + r->at, n);
        r->at += n;
        return true;
    }
    if (!get_growing(r, &r->packed.p, &r->packed.cap, n))
        return false;
    *ret = bytes_of(r->packed.p, n);
    return true;
}

static bool unpack(struct rdb_reader *r, struct bytes packed, char *dst, size_t n)
{
    return lzf_decompress(packed, dst, n) || rdb_corrupt(r, "a compressed string is damaged");
}

static bool get_shaped(struct rdb_reader *r, enum rdb_slot slot, const struct shape *s,
                       struct bytes *ret)
{
    char **p = &r->slot[slot].p;
    size_t *cap = &r->slot[slot].cap;
    struct bytes packed;
    switch (s->kind) {
    case SHAPE_INT:
        if (!make_room(r, p, cap, NUM_I64_MAX))
            return false;
        *ret = bytes_of(*p, num_format_i64(*p, s->v));
        return true;
    case SHAPE_LZF:
        if (!get_packed(r, s->packed, &packed) || !make_room(r, p, cap, s->n) ||
            !unpack(r, packed, *p, s->n))
            return false;
        *ret = bytes_of(*p, s->n);
        return true;
    case SHAPE_PLAIN:
        break;
    }
    if (!r->own && r->end - r->at >= s->n) { /* memory that stays where it is */
        *ret = bytes_of(r->buf + r->at, s->n);
        r->at += s->n;
        return true;
    }
    if (!make_room(r, p, cap, 1) ||
        !get_growing(r, p, cap, s->n)) /* the empty string has an address too */
        return false;
    *ret = bytes_of(*p, s->n);
    return true;
}

bool rdb_get_string(struct rdb_reader *r, enum rdb_slot slot, struct bytes *ret)
{
    struct shape s;
    return get_shape(r, &s) && get_shaped(r, slot, &s, ret);
}

/* The bytes of a large string, straight to where they stay. */
static bool fill_blob(struct rdb_reader *r, const struct shape *s, struct blob **b)
{
    if (s->kind == SHAPE_LZF) {
        struct bytes packed;
        if (!get_packed(r, s->packed, &packed))
            return false;
        *b = blob_try_new(s->n, s->n);
        return *b ? unpack(r, packed, (*b)->data, s->n)
                  : rdb_fail(r, RDB_NO_MEMORY, "no memory for a string of %zu bytes", s->n);
    }
    size_t step = rdb_reader_left(r) != RDB_SIZE_UNKNOWN ? s->n : GROWTH_FIRST;
    size_t first = s->n < step ? s->n : step;
    *b = blob_try_new(0, first);
    while (*b && (*b)->n < s->n) {
        size_t done = (*b)->n, more = s->n - done < step ? s->n - done : step;
        struct blob *room = blob_writable(*b, done + more);
        if (!room)
            break;
        *b = room;
        if (!rdb_get(r, room->data + done, more))
            return false;
        room->n = done + more;
        step = room->n;
    }
    return (*b && (*b)->n == s->n) ||
           rdb_fail(r, RDB_NO_MEMORY, "no memory for a string of %zu bytes", s->n);
}

bool rdb_get_value(struct rdb_reader *r, enum rdb_slot slot, struct bytes *ret,
                   struct blob **ret_blob)
{
    struct shape s;
    *ret_blob = NULL;
    if (!get_shape(r, &s))
        return false;
    if (s.kind == SHAPE_INT || s.n < BLOB_MIN)
        return get_shaped(r, slot, &s, ret);
    struct blob *b = NULL;
    if (!fill_blob(r, &s, &b)) {
        blob_unref(b);
        return false;
    }
    *ret_blob = b;
    *ret = blob_bytes(b);
    return true;
}

bool rdb_skip_string(struct rdb_reader *r)
{
    struct shape s;
    if (!get_shape(r, &s))
        return false;
    return s.kind == SHAPE_INT || rdb_skip(r, s.kind == SHAPE_LZF ? s.packed : s.n);
}
