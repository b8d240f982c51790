/* RDB files and DUMP payloads from outside: whatever loads can be walked, saved in both versions, and loads again as
 * the same.
 *
 * The input is tried as a file, as what is between the header and the end of a file whose checksum is right, and as the
 * body of a DUMP payload, so that mutations get past the checksums. */
#include "server/persist/rdb_load.h"

#include <stdlib.h>

#include "common/assert.h"
#include "common/buf.h"
#include "common/crc64.h"
#include "server/persist/rdb_format.h"
#include "server/persist/rdb_save.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW ((msec_t)1800000000000)
enum { DIGEST = 20 };

/* Small, so that short inputs reach the large encodings too. */
static const struct types_limits limits = {
    .hash_max_listpack_entries = 4,
    .hash_max_listpack_value = 16,
    .set_max_intset_entries = 4,
    .set_max_listpack_entries = 4,
    .set_max_listpack_value = 16,
    .zset_max_listpack_entries = 4,
    .zset_max_listpack_value = 16,
    .list_max_listpack_size = 4,
    .stream_node_max_bytes = 4096,
    .stream_node_max_entries = 100,
};
static const struct ks_config config = {
    .maxmemory_policy = POLICY_ALLKEYS_LFU,
    .lfu_log_factor = 10,
    .lfu_decay_time = 1,
};

static struct keyspace *keyspace(void)
{
    const struct ks_hooks hooks = { 0 };
    struct keyspace *ks = ks_new(4, &config, &hooks);
    ks_set_now(ks, NOW);
    return ks;
}

static ssize_t read_bytes(void *ctx, void *dst, size_t n)
{
    struct bytes *left = ctx;
    if (n > left->n)
        n = left->n;
    if (n > 0)
        memcpy(dst, left->p, n);
    *left = bytes_of(left->p + n, left->n - n);
    return (ssize_t)n;
}

static int append(void *ctx, struct bytes b)
{
    return buf_append(ctx, b);
}

static enum rdb_failure load(struct keyspace *ks, struct bytes file, bool sized)
{
    const struct rdb_load_options o = { .limits = &limits, .now = NOW };
    struct rdb_source source = { read_bytes, &file, sized ? file.n : RDB_SIZE_UNKNOWN };
    struct rdb_load_report report;
    struct rdb_reader r;
    rdb_reader_init(&r, &source, true);
    enum rdb_failure f = rdb_load(&r, ks, &o, &report);
    ASSERT(f == report.error.failure && (f == RDB_FINE) == (report.error.reason[0] == '\0'));
    rdb_reader_done(&r);
    return f;
}

static uint64_t keys_of(struct keyspace *ks)
{
    uint64_t n = 0;
    for (int i = 0; i < ks_databases(ks); i++)
        n += db_size(ks_db(ks, i));
    return n;
}

/* What was loaded is saved in a version and loads with as many keys. */
static void check_again(struct keyspace *ks, int version)
{
    struct buf file = BUF_INIT(BUF_UNLIMITED);
    struct keyspace *again = keyspace();
    const struct rdb_sink sink = { append, &file };
    const struct rdb_save_options o = { .version = version,
                                        .compress = true,
                                        .checksum = true,
                                        .now = NOW,
                                        .server_version = BYTES("7.2.4") };
    ASSERT(rdb_save(&sink, ks, &o, NULL) == 0);
    ASSERT(load(again, buf_bytes(&file), true) == RDB_FINE);
    ASSERT(keys_of(again) == keys_of(ks));
    ks_free(again);
    buf_done(&file);
}

static void check_file(struct bytes file, bool sized)
{
    struct keyspace *ks = keyspace();
    if (load(ks, file, sized) == RDB_FINE) {
        check_again(ks, RDB_VERSION);
        check_again(ks, RDB_VERSION_7_0);
    } else {
        ASSERT(keys_of(ks) == 0);
    }
    ks_free(ks);
}

static void check_sealed(struct bytes body)
{
    struct buf file = BUF_INIT(BUF_UNLIMITED);
    (void)buf_append(&file, BYTES(RDB_MAGIC "0012"));
    (void)buf_append(&file, body);
    (void)buf_append_char(&file, (char)RDB_OP_EOF);
    uint64_t crc = crc64(0, buf_bytes(&file));
    (void)buf_append(&file, bytes_of(&crc, sizeof crc));
    check_file(buf_bytes(&file), body.n % 2);
    buf_done(&file);
}

static void digest_of(const struct entry *e, unsigned char ret[DIGEST])
{
    memset(ret, 0, DIGEST);
    if (entry_type(e) != TYPE_STRING) {
        value_ops(entry_type(e))->digest(entry_object(e), entry_encoding(e), ret);
        return;
    }
    char scratch[24];
    uint64_t crc = crc64(0, entry_string(e, scratch));
    memcpy(ret, &crc, sizeof crc);
}

/* The payload of what was loaded holds the same value. */
static void check_body(struct bytes body)
{
    struct rdb_value v;
    struct rdb_error error = { 0 };
    if (!rdb_dump_load(body, &limits, &v, &error)) {
        ASSERT(error.failure != RDB_FINE && error.reason[0]);
        return;
    }
    unsigned char before[DIGEST], after[DIGEST];
    struct keyspace *ks = keyspace();
    struct db *db = ks_db(ks, 0);
    struct buf payload = BUF_INIT(BUF_UNLIMITED);
    struct entry *e = rdb_value_store(&v, db, BYTES("a"), NO_EXPIRE);
    digest_of(e, before);
    ASSERT(rdb_dump(e, true, &payload) == 0);
    ASSERT(rdb_dump_check(buf_bytes(&payload), &body));
    ASSERT(rdb_dump_load(body, &limits, &v, &error));
    digest_of(rdb_value_store(&v, db, BYTES("b"), NO_EXPIRE), after);
    ASSERT(memcmp(before, after, DIGEST) == 0);
    buf_done(&payload);
    ks_free(ks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    check_file(input, true);
    check_file(input, false);
    check_sealed(input);
    check_body(input);
    return 0;
}
