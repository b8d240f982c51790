/* Loading in slices: from pushed bytes cut anywhere, from a file, beside the data that are there.
 */
#include "describe.h"

#include <unistd.h>

#include "server/persist/rdb_loading.h"

#define FILE_NAME "redis-7.2.6-all.rdb"

static struct rdb_loading_options options(bool beside)
{
    return (struct rdb_loading_options){
        .rdb = { .limits = &limits, .now = NOW },
        .checksum = true,
        .beside = beside,
        .slice_bytes = 1024,
    };
}

/* What the file holds, loaded in one go. */
static char *wanted(struct bytes file)
{
    struct keyspace *ks = new_keyspace();
    struct rdb_load_report report;
    cr_assert_eq(load_bytes(ks, file, SIZE_MAX, true, &load_options, &report), RDB_FINE);
    char *text = describe(ks, 11, true);
    ks_free(ks);
    return text;
}

static void expect_content(struct keyspace *ks, const char *want, const char *what)
{
    char *is = describe(ks, 11, true);
    cr_expect_str_eq(is, want, "%s", what);
    mem_free(is);
}

static uint64_t keys_of(struct keyspace *ks)
{
    uint64_t n = 0;
    for (int i = 0; i < ks_databases(ks); i++)
        n += db_size(ks_db(ks, i));
    return n;
}

/* Pushes until the file ends or fails; returns how many bytes of `b` were the file's. */
static size_t push_all(struct rdb_loading *l, struct bytes b, size_t piece)
{
    size_t used = 0;
    while (b.n && rdb_loading_state(l) == RDB_LOADING_HUNGRY) {
        size_t n = piece < b.n ? piece : b.n, took;
        char *copy = mem_dup(b.p, n); /* they are borrowed for the call only */
        (void)rdb_loading_push(l, bytes_of(copy, n), &took);
        mem_free(copy);
        used += took;
        b = bytes_of(b.p + n, b.n - n);
    }
    return used;
}

Test(loading, pushed_bytes_may_be_cut_anywhere_and_others_may_follow)
{
    struct bytes file = read_vector(FILE_NAME);
    char *want = wanted(file);
    struct buf stream = BUF_INIT(BUF_UNLIMITED);
    (void)buf_append(&stream, file);
    (void)buf_append_str(&stream, "0123456789012345678901234567890123456789");
    const size_t pieces[] = { 1, 7, 1000, 16384, SIZE_MAX };
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct keyspace *ks = new_keyspace();
        struct rdb_loading_options o = options(i % 2);
        struct rdb_loading *l = rdb_loading_pushed(ks, &o);
        cr_expect_eq(push_all(l, buf_bytes(&stream), pieces[i]), file.n);
        cr_assert_eq(rdb_loading_state(l), RDB_LOADING_DONE, "%s",
                     rdb_loading_report(l)->error.reason);
        cr_expect_eq(rdb_loading_bytes(l), file.n);
        expect_content(ks, want, "pushed");
        rdb_loading_free(l);
        ks_free(ks);
    }
    buf_done(&stream);
    mem_free(want);
    mem_free((void *)file.p);
}

Test(loading, a_file_is_loaded_in_slices)
{
    struct bytes file = read_vector(FILE_NAME);
    char *want = wanted(file);
    for (int beside = 0; beside < 2; beside++) {
        struct keyspace *ks = new_keyspace();
        struct rdb_loading_options o = options(beside);
        struct rdb_loading *l;
        cr_assert_eq(rdb_loading_file(ks, SOURCE_ROOT "/tests/vectors/rdb/" FILE_NAME, &o, &l), 0);
        cr_expect_eq(rdb_loading_total_bytes(l), file.n);
        int slices = 0;
        uint64_t before = 0;
        for (; rdb_loading_step(l) == RDB_LOADING_MORE; slices++) {
            cr_expect_geq(rdb_loading_bytes(l), before);
            before = rdb_loading_bytes(l);
            cr_expect(!beside || keys_of(ks) == 0, "nothing is seen before it is whole");
        }
        cr_assert_eq(rdb_loading_state(l), RDB_LOADING_DONE);
        cr_expect_gt(slices, 3);
        cr_expect_eq(rdb_loading_keys(l), keys_of(ks));
        expect_content(ks, want, "from a file");
        rdb_loading_free(l);
        ks_free(ks);
    }
    mem_free(want);
    mem_free((void *)file.p);
}

Test(loading, a_file_that_is_not_there_is_told_at_once)
{
    struct keyspace *ks = new_keyspace();
    struct rdb_loading_options o = options(false);
    struct rdb_loading *l = NULL;
    cr_expect_eq(rdb_loading_file(ks, "/nonexistent/x.rdb", &o, &l), -ENOENT);
    cr_expect_eq(rdb_loading_file(ks, "/tmp", &o, &l), -EISDIR);
    cr_expect_null(l);
    ks_free(ks);
}

static void add_old_key(struct keyspace *ks)
{
    (void)ks_set_string(ks_db(ks, 3), BYTES("old"), BYTES("data"), 0, NO_EXPIRE);
}

static bool has_old_key(struct keyspace *ks)
{
    return ks_find(ks_db(ks, 3), BYTES("old"), KS_NO_TOUCH) != NULL;
}

Test(loading, beside_replaces_old_data_only_when_the_new_are_whole)
{
    struct bytes file = read_vector(FILE_NAME);
    char *want = wanted(file);
    struct keyspace *ks = new_keyspace();
    struct rdb_loading_options o = options(true);
    add_old_key(ks);
    struct rdb_loading *l = rdb_loading_pushed(ks, &o);
    (void)push_all(l, bytes_of(file.p, file.n - 1), 100);
    cr_expect_eq(rdb_loading_state(l), RDB_LOADING_HUNGRY);
    cr_expect(has_old_key(ks));
    cr_expect_eq(keys_of(ks), 1);
    (void)push_all(l, bytes_of(file.p + file.n - 1, 1), 1);
    cr_expect_eq(rdb_loading_state(l), RDB_LOADING_DONE);
    cr_expect(!has_old_key(ks));
    expect_content(ks, want, "beside");
    rdb_loading_free(l);
    ks_free(ks);
    mem_free(want);
    mem_free((void *)file.p);
}

/* Of a load that ends badly nothing is left, and what was there is there. */
static void expect_untouched(struct bytes file, bool beside, bool give_up)
{
    struct keyspace *ks = new_keyspace();
    struct rdb_loading_options o = options(beside);
    if (beside)
        add_old_key(ks);
    struct rdb_loading *l = rdb_loading_pushed(ks, &o);
    (void)push_all(l, file, 4096);
    if (!give_up) {
        cr_expect_eq(rdb_loading_push_end(l), RDB_LOADING_FAILED, "of %zu bytes", file.n);
        cr_expect_neq(rdb_loading_report(l)->error.failure, RDB_FINE);
    }
    rdb_loading_free(l);
    cr_expect_eq(keys_of(ks), beside ? 1 : 0, "after %zu bytes", file.n);
    cr_expect(!beside || has_old_key(ks));
    ks_free(ks);
}

Test(loading, a_stream_that_ends_anywhere_leaves_what_was_there)
{
    struct bytes file = read_vector("redis-7.2.6-nocompress.rdb");
    for (size_t n = 0; n < file.n; n += n < 2000 ? 1 : 97) {
        expect_untouched(bytes_of(file.p, n), n % 2, false);
        expect_untouched(bytes_of(file.p, n), n % 2 == 0, true);
    }
    mem_free((void *)file.p);
}

Test(loading, a_damaged_stream_leaves_what_was_there)
{
    struct bytes file = read_vector("redis-7.2.6-nocompress.rdb");
    for (size_t at = 0; at < file.n; at += at < 2000 ? 1 : 97) {
        char *bad = mem_dup(file.p, file.n);
        bad[at] ^= (char)(1 << at % 8);
        expect_untouched(bytes_of(bad, file.n), at % 2, false);
        mem_free(bad);
    }
    mem_free((void *)file.p);
}
