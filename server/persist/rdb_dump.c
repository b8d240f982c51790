/* DUMP payloads: a value as in a file, with a version and a checksum of its own behind it. */
#include "common/alloc.h"
#include "common/buf.h"
#include "common/crc64.h"
#include "server/persist/rdb_format.h"
#include "server/persist/rdb_load.h"
#include "server/persist/rdb_save.h"

static int append(void *ctx, struct bytes b)
{
    return buf_append(ctx, b);
}

/* marked 0: with the oldest version that can read it. */
static int dump(const struct entry *e, int version, int marked, bool compress, struct buf *to)
{
    struct rdb_writer *w = mem_alloc(sizeof *w);
    const struct rdb_sink sink = { append, to };
    rdb_writer_init(w, &sink, version, compress, true, RDB_WRITER_VALUE);
    if (!marked)
        marked = rdb_value_type(w, e) <= RDB_TYPE_MAX_7_0 ? RDB_VERSION_7_0 : version;
    const uint16_t mark = (uint16_t)marked;
    rdb_save_value(w, e);
    rdb_put(w, bytes_of(&mark, sizeof mark));
    rdb_put_u64le(w, rdb_writer_crc(w));
    int r = rdb_writer_flush(w);
    rdb_writer_done(w);
    mem_free(w);
    return r;
}

int rdb_dump(const struct entry *e, bool compress, struct buf *to)
{
    return dump(e, RDB_VERSION, RDB_VERSION, compress, to);
}

int rdb_dump_for(const struct entry *e, int version, bool compress, struct buf *to)
{
    return dump(e, version, 0, compress, to);
}

bool rdb_dump_check(struct bytes payload, struct bytes *ret_body)
{
    if (payload.n < RDB_DUMP_FOOTER)
        return false;
    size_t n = payload.n - RDB_DUMP_FOOTER;
    uint16_t version;
    uint64_t crc;
    memcpy(&version, payload.p + n, sizeof version);
    memcpy(&crc, payload.p + n + sizeof version, sizeof crc);
    if (version > RDB_VERSION || crc != crc64(0, bytes_of(payload.p, n + sizeof version)))
        return false;
    *ret_body = bytes_of(payload.p, n);
    return true;
}

static bool load_body(struct rdb_reader *r, const struct types_limits *limits,
                      struct rdb_value *ret)
{
    uint8_t type;
    struct rdb_value v;
    if (!rdb_get_byte(r, &type) || !rdb_load_value(r, type, limits, &v))
        return false;
    if (rdb_reader_left(r) == 0 && !v.empty) {
        if (v.type == TYPE_STRING && !v.blob && !r->own &&
            (v.s.p < (const char *)r->buf || v.s.p > (const char *)r->buf + r->end)) {
            v.blob = blob_new(v.s.n, v.s.n); /* it lies in a slot, which goes with the reader */
            memcpy(v.blob->data, v.s.p, v.s.n);
            v.s = blob_bytes(v.blob);
        }
        *ret = v;
        return true;
    }
    bool empty = v.empty;
    rdb_value_done(&v);
    return empty ? rdb_corrupt(r, "a collection without elements")
                 : rdb_corrupt(r, "bytes follow the value");
}

bool rdb_dump_load(struct bytes body, const struct types_limits *limits, struct rdb_value *ret,
                   struct rdb_error *ret_error)
{
    struct rdb_reader r;
    rdb_reader_init_bytes(&r, body);
    bool ok = load_body(&r, limits, ret);
    if (!ok && ret_error)
        *ret_error = r.error;
    rdb_reader_done(&r);
    return ok;
}
