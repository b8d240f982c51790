/* Writing the parts of the RDB format: lengths, strings, numbers, gathered into pieces for a sink,
 * with the checksum.
 *
 * The first failure of the sink sticks: later verbs do nothing, rdb_writer_flush tells it. So
 * callers check once a key or at the end. */
#pragma once

#include "common/bytes.h"
#include "server/types/value.h"

/* Where the bytes go: a file, a socket, a buffer. */
struct rdb_sink {
    int (*write)(void *ctx, struct bytes); /* all of them: 0; or -errno */
    void *ctx;
};

#define RDB_WRITER_FILE ((size_t)256 * 1024) /* buffers: few system calls, and still in the cache  \
                                              */
#define RDB_WRITER_VALUE ((size_t)8 * 1024)

struct rdb_writer {
    struct rdb_sink sink;
    bool compress;    /* try LZF on strings */
    int version;      /* RDB_VERSION or RDB_VERSION_7_0 */
    int error;        /* 0 or -errno, the first */
    uint64_t written; /* bytes put so far, those in `buf` too */
    uint64_t crc;     /* of what has left `buf` */
    bool checksum;    /* keep `crc` */
    char *scratch;    /* for compressed strings */
    size_t scratch_cap;
    char *buf; /* n of cap bytes */
    size_t n, cap;
};

void rdb_writer_init(struct rdb_writer *, const struct rdb_sink *, int version, bool compress,
                     bool checksum, size_t buf_bytes);
void rdb_writer_done(struct rdb_writer *); /* frees its memory; does not flush */
int rdb_writer_flush(struct rdb_writer *); /* hands everything to the sink: 0 or the first error */
uint64_t rdb_writer_crc(struct rdb_writer *); /* of everything put; flushes */

void rdb_put(struct rdb_writer *, struct bytes); /* as they are */
void rdb_put_byte(struct rdb_writer *, unsigned);
void rdb_put_u64le(struct rdb_writer *, uint64_t);
void rdb_put_u64be(struct rdb_writer *, uint64_t);
void rdb_put_length(struct rdb_writer *, uint64_t);
void rdb_put_double(struct rdb_writer *, double);
/* As an integer, compressed, or plain: whichever Redis would choose. */
void rdb_put_string(struct rdb_writer *, struct bytes);
void rdb_put_i64(struct rdb_writer *, int64_t); /* the string of it */
void rdb_put_element(struct rdb_writer *, const struct element *);
