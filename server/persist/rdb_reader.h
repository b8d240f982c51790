/* Reading the parts of the RDB format from bytes that nobody vouches for.
 *
 * Every length is bounded by the bytes that are left where their number is known (a payload, a file); where it is not
 * (a socket), memory grows with the bytes that have come, never by what a length says. The first failure sticks, with
 * the place and the reason: all later verbs fail too, so callers give up at the next convenient point.
 *
 * Strings land in slots, which are reused: a string is good until the next one for the same slot. */
#pragma once

#include <sys/types.h>

#include "common/blob.h"
#include "common/bytes.h"
#include "common/num.h"

/* Where the bytes come from. */
struct rdb_source {
    ssize_t (*read)(void *ctx, void *dst, size_t n); /* 1..n bytes; 0: the end; or -errno */
    void *ctx;
    uint64_t size; /* bytes in all, RDB_SIZE_UNKNOWN when nobody knows */
};
#define RDB_SIZE_UNKNOWN UINT64_MAX

enum rdb_failure {
    RDB_FINE,
    RDB_IO,          /* the source failed: error->io is the negative errno */
    RDB_CUT_SHORT,   /* the bytes ended too early */
    RDB_CORRUPT,     /* they mean nothing, or contradict themselves */
    RDB_UNSUPPORTED, /* they mean something that this server does not have */
    RDB_NO_MEMORY,   /* a value that memory is not to be had for */
    RDB_CANCELLED,   /* the caller gave up */
};

#define RDB_REASON_MAX 192
struct rdb_error {
    enum rdb_failure failure;
    int io;
    uint64_t offset;             /* bytes read when it was noticed */
    char reason[RDB_REASON_MAX]; /* one line */
};

enum rdb_slot { RDB_SLOT_KEY, RDB_SLOT_A, RDB_SLOT_B, RDB_SLOTS_N };

struct rdb_reader {
    struct rdb_source source; /* read NULL: all bytes are in `buf` */
    const uint8_t *buf;
    uint8_t *own;    /* `buf` when it is ours to refill */
    size_t at, end;  /* in buf */
    uint64_t before; /* bytes that have left buf */
    bool checksum;
    uint64_t crc; /* of all bytes before buf[crc_at] */
    size_t crc_at;
    struct rdb_error error;
    struct {
        char *p;
        size_t cap;
    } slot[RDB_SLOTS_N], packed; /* packed: compressed bytes */
};

void rdb_reader_init(struct rdb_reader *, const struct rdb_source *, bool checksum);
void rdb_reader_init_bytes(struct rdb_reader *, struct bytes borrowed);
void rdb_reader_done(struct rdb_reader *);

static inline uint64_t rdb_reader_offset(const struct rdb_reader *r)
{
    return r->before + r->at;
}
uint64_t rdb_reader_left(const struct rdb_reader *); /* bytes, RDB_SIZE_UNKNOWN when nobody knows */
/* The checksum of all bytes read so far. */
uint64_t rdb_reader_crc(struct rdb_reader *);
/* For how many of `n` announced elements a table may be made beforehand: it will take no more memory than there are
 * bytes left (or, where that is not known, little). */
uint64_t rdb_reader_trust(const struct rdb_reader *, uint64_t n);

/* Notes a failure, unless there is one; always false. */
bool rdb_fail(struct rdb_reader *, enum rdb_failure, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define rdb_corrupt(r, ...) rdb_fail(r, RDB_CORRUPT, __VA_ARGS__)

bool rdb_get(struct rdb_reader *, void *dst, size_t n);
bool rdb_get_byte(struct rdb_reader *, uint8_t *ret);
bool rdb_get_u64le(struct rdb_reader *, uint64_t *ret);
bool rdb_get_u64be(struct rdb_reader *, uint64_t *ret);
bool rdb_get_length(struct rdb_reader *, uint64_t *ret); /* any 64-bit number */
bool rdb_get_double(struct rdb_reader *, double *ret);   /* eight bytes; any */
/* A string of any form, as its bytes. */
bool rdb_get_string(struct rdb_reader *, enum rdb_slot, struct bytes *ret);
/* A string that may become a value: a large one comes in a blob of its own (*ret_blob, the caller's), others as
 * above. */
bool rdb_get_value(struct rdb_reader *, enum rdb_slot, struct bytes *ret, struct blob **ret_blob);
bool rdb_skip_string(struct rdb_reader *);
bool rdb_skip(struct rdb_reader *, uint64_t n); /* bytes */
