/* RDB files and DUMP payloads: those of other servers, our own, and damaged ones. */
#include "describe.h"

#include <unistd.h>

#include "common/crc64.h"

/* ---- files of other servers ---- */

/* In place; `to` may be longer than `from`: there is room. */
static void replace(char *text, const char *from, const char *to)
{
    char *at = strstr(text, from);
    if (!at)
        return;
    memmove(at + strlen(to), at + strlen(from), strlen(at + strlen(from)) + 1);
    memcpy(at, to, strlen(to));
}

/* What a server finds otherwise when it has loaded the file: a short string that commands had left raw, and a hash that
 * was made under larger limits. */
static void mend(char *text)
{
    replace(text, "0 bits raw", "0 bits embstr");
    replace(text, "0 hash:lens listpack", "0 hash:lens hashtable");
}

static void expect_same(const char *is, const char *want, const char *what)
{
    size_t i = 0;
    while (is[i] && is[i] == want[i])
        i++;
    size_t from = i < 60 ? 0 : i - 60;
    cr_expect(is[i] == want[i], "%s differs at %zu:\n is  ...%.160s\n want...%.160s", what, i,
              is + from, want + from);
}

static char *expected(const char *name)
{
    struct bytes b = read_vector(name);
    char *text = mem_alloc(b.n + 16);
    memcpy(text, b.p, b.n + 1);
    mem_free((void *)b.p);
    if (b.n && text[b.n - 1] == '\n')
        text[b.n - 1] = '\0';
    mend(text);
    return text;
}

static const struct vector {
    const char *rdb, *txt;
    int version;
    bool encodings;
} vectors[] = {
    { "redis-6.2-all.rdb", "redis-6.2-all.txt", 9, false },
    { "redis-7.0.15-all.rdb", "redis-7.0.15-all.txt", 10, false },
    { "redis-7.2.6-all.rdb", "redis-7.2.6-all.txt", 11, true },
    { "synthetic-old.rdb", "synthetic-old.txt", 0, false },
};

/* Leaves the third and fourth word of each line out: the encodings of older servers are others. */
static void blank_encodings(char *text)
{
    char *to = text;
    for (char *line = text; line;) {
        char *end = strchr(line, '\n'), *p = line;
        for (int word = 0; word < 4; word++) {
            char *space = strchr(p, ' ');
            if (word >= 2) {
                *to++ = '-';
                *to++ = ' ';
            } else {
                memmove(to, p, (size_t)(space - p) + 1);
                to += space - p + 1;
            }
            p = space + 1;
        }
        size_t n = end ? (size_t)(end - p) + 1 : strlen(p) + 1;
        memmove(to, p, n);
        to += n;
        line = end ? end + 1 : NULL;
    }
}

static void load_and_compare(const struct vector *v, size_t piece, bool sized)
{
    struct bytes file = read_vector(v->rdb);
    struct keyspace *ks = new_keyspace();
    struct rdb_load_report report;
    cr_assert_eq(load_bytes(ks, file, piece, sized, &load_options, &report), RDB_FINE,
                 "%s: %s at %llu, key %s", v->rdb, report.error.reason,
                 (unsigned long long)report.error.offset, report.key);
    cr_expect_eq(report.bytes, file.n);
    cr_expect(report.checked);
    char *want = expected(v->txt), *is = describe(ks, v->version, v->encodings);
    if (!v->encodings)
        blank_encodings(want);
    expect_same(is, want, v->rdb);
    mem_free(is);
    mem_free(want);
    ks_free(ks);
    mem_free((void *)file.p);
}

Test(rdb, files_of_other_servers_load_with_their_contents)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        load_and_compare(&vectors[i], SIZE_MAX, true);
}

Test(rdb, it_does_not_matter_how_the_bytes_come)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        load_and_compare(&vectors[i], 1, false);
        load_and_compare(&vectors[i], 7777, false);
    }
}

static enum rdb_failure load_vector(struct keyspace *ks, const char *name,
                                    struct rdb_load_report *ret)
{
    struct bytes file = read_vector(name);
    enum rdb_failure f = load_bytes(ks, file, SIZE_MAX, true, &load_options, ret);
    cr_expect_eq(f, RDB_FINE, "%s: %s", name, ret->error.reason);
    mem_free((void *)file.p);
    return f;
}

static struct entry *find(struct keyspace *ks, const char *key)
{
    return ks_find(ks_db(ks, 0), bytes_of_str(key), KS_NO_TOUCH);
}

Test(rdb, access_histories_come_with_their_keys)
{
    const char *const servers[] = { "6.2", "7.0.15", "7.2.6", "7.4.1" };
    for (unsigned i = 0; i < 4; i++) {
        char name[64];
        struct rdb_load_report report;
        config.maxmemory_policy = POLICY_ALLKEYS_LFU;
        struct keyspace *ks = new_keyspace();
        (void)snprintf(name, sizeof name, "redis-%s-lfu.rdb", servers[i]);
        load_vector(ks, name, &report);
        cr_expect_eq(report.keys, 2);
        cr_expect_eq(entry_freq(ks, find(ks, "l")), 0);
        cr_expect_eq(entry_freq(ks, find(ks, "k")), 1);
        cr_expect_neq(entry_expire(find(ks, "k")), NO_EXPIRE);
        ks_free(ks);

        config.maxmemory_policy = POLICY_ALLKEYS_LRU;
        ks = new_keyspace();
        (void)snprintf(name, sizeof name, "redis-%s-lru.rdb", servers[i]);
        load_vector(ks, name, &report);
        cr_expect_eq(report.keys, 2);
        cr_expect_lt(entry_idle_ms(ks, find(ks, "l")), 10000);
        ks_free(ks);
        config.maxmemory_policy = POLICY_NOEVICTION;
    }
}

Test(rdb, small_files_tell_what_they_are)
{
    const char *const servers[] = { "6.2", "7.0.15", "7.2.6", "7.4.1" };
    const int versions[] = { 9, 10, 11, 12 };
    for (unsigned i = 0; i < 4; i++) {
        char name[64];
        struct rdb_load_report report;
        struct keyspace *ks = new_keyspace();
        (void)snprintf(name, sizeof name, "redis-%s-empty.rdb", servers[i]);
        load_vector(ks, name, &report);
        cr_expect_eq(report.keys, 0);
        cr_expect_eq(report.version, versions[i]);
        cr_expect(report.checked);
        cr_expect(strncmp(report.redis_ver, servers[i], 3) == 0, "%s", report.redis_ver);
        (void)snprintf(name, sizeof name, "redis-%s-nochecksum.rdb", servers[i]);
        load_vector(ks, name, &report);
        cr_expect_not(report.checked);
        ks_free(ks);
        ks = new_keyspace();
        (void)snprintf(name, sizeof name, "redis-%s-nocompress.rdb", servers[i]);
        load_vector(ks, name, &report);
        cr_expect_gt(report.keys, 0);
        ks_free(ks);
    }
}

/* ---- our own files ---- */

static void save_and_load(int version, bool compress)
{
    struct rdb_load_report report;
    struct keyspace *ks = new_keyspace(), *again = new_keyspace();
    struct buf file = BUF_INIT(BUF_UNLIMITED);
    load_vector(ks, "redis-7.2.6-all.rdb", &report);
    cr_assert_eq(save_bytes(ks, version, compress, &file), 0);
    cr_assert_eq(load_bytes(again, buf_bytes(&file), SIZE_MAX, true, &load_options, &report),
                 RDB_FINE, "%s", report.error.reason);
    cr_expect_eq(report.version, version);
    cr_expect(report.checked);
    char *before = describe(ks, version, true), *after = describe(again, version, true);
    expect_same(after, before, "what was saved");
    mem_free(before);
    mem_free(after);
    ks_free(ks);
    ks_free(again);
    buf_done(&file);
}

Test(rdb, what_was_saved_loads_the_same)
{
    save_and_load(RDB_VERSION, true);
    save_and_load(RDB_VERSION, false);
    save_and_load(RDB_VERSION_7_0, true);
}

Test(rdb, aux_fields_and_functions_travel)
{
    const struct bytes libraries[2] = { BYTES("#!lua name=a\n"), BYTES("#!lua name=b\n") };
    const struct rdb_replication replication = { 3,
                                                 BYTES("0123456789abcdef0123456789abcdef01234567"),
                                                 1234567890123 };
    struct buf file = BUF_INIT(BUF_UNLIMITED);
    const struct rdb_sink sink = { append_to_buf, &file };
    const struct rdb_save_options o = {
        .version = RDB_VERSION,
        .compress = true,
        .checksum = false,
        .aof_base = true,
        .now = NOW,
        .used_memory = 77,
        .server_version = BYTES("7.2.4"),
        .replication = &replication,
        .functions = libraries,
        .functions_n = 2,
    };
    struct keyspace *ks = new_keyspace();
    struct rdb_save_report saved;
    struct rdb_load_report report;
    cr_assert_eq(rdb_save(&sink, ks, &o, &saved), 0);
    cr_expect_eq(saved.bytes, file.n);
    cr_assert_eq(load_bytes(ks, buf_bytes(&file), SIZE_MAX, true, &load_options, &report),
                 RDB_FINE);
    cr_expect_str_eq(report.redis_ver, "7.2.4");
    cr_expect_eq(report.ctime_s, NOW / 1000);
    cr_expect_eq(report.used_memory, 77);
    cr_expect(report.aof_base && report.has_replication && !report.checked);
    cr_expect_eq(report.repl_stream_db, 3);
    cr_expect_str_eq(report.repl_id, "0123456789abcdef0123456789abcdef01234567");
    cr_expect_eq(report.repl_offset, 1234567890123);
    cr_expect_eq(report.functions_skipped, 2);
    ks_free(ks);
    buf_done(&file);
}

static int full_disk(void *ctx, struct bytes b)
{
    size_t *room = ctx;
    if (b.n > *room)
        return -ENOSPC;
    *room -= b.n;
    return 0;
}

Test(rdb, a_full_disk_is_told_wherever_it_happens)
{
    struct rdb_load_report report;
    struct keyspace *ks = new_keyspace();
    load_vector(ks, "redis-7.2.6-all.rdb", &report);
    struct buf file = BUF_INIT(BUF_UNLIMITED);
    cr_assert_eq(save_bytes(ks, RDB_VERSION, true, &file), 0);
    for (size_t at = 0; at < file.n; at += 9973) {
        size_t room = at;
        const struct rdb_sink sink = { full_disk, &room };
        const struct rdb_save_options o = { .version = RDB_VERSION,
                                            .compress = true,
                                            .checksum = true,
                                            .now = NOW,
                                            .server_version = BYTES("7.2.4") };
        cr_expect_eq(rdb_save(&sink, ks, &o, NULL), -ENOSPC);
    }
    buf_done(&file);
    ks_free(ks);
}

static int give_up_at_ten(void *ctx, uint64_t bytes)
{
    (void)bytes;
    return ++*(int *)ctx == 10 ? -ECANCELED : 0;
}

static bool give_up(void *ctx, uint64_t bytes, uint64_t keys)
{
    (void)bytes;
    (void)keys;
    return ++*(int *)ctx < 3;
}

Test(rdb, saving_and_loading_can_be_given_up)
{
    struct rdb_load_report report;
    struct keyspace *ks = new_keyspace(), *other = new_keyspace();
    load_vector(ks, "redis-7.2.6-all.rdb", &report);
    struct buf file = BUF_INIT(BUF_UNLIMITED);
    const struct rdb_sink sink = { append_to_buf, &file };
    int calls = 0;
    struct rdb_save_options o = { .version = RDB_VERSION,
                                  .now = NOW,
                                  .server_version = BYTES("7.2.4"),
                                  .saved_key = give_up_at_ten,
                                  .ctx = &calls };
    cr_expect_eq(rdb_save(&sink, ks, &o, NULL), -ECANCELED);
    cr_expect_eq(calls, 10);

    buf_clear(&file);
    cr_assert_eq(save_bytes(ks, RDB_VERSION, true, &file), 0);
    calls = 0;
    const struct rdb_load_options lo = {
        .limits = &limits, .now = NOW, .progress = give_up, .progress_bytes = 1000, .ctx = &calls
    };
    cr_expect_eq(load_bytes(other, buf_bytes(&file), 100, true, &lo, &report), RDB_CANCELLED);
    cr_expect_eq(calls, 3);
    cr_expect_eq(db_size(ks_db(other, 0)), 0);
    buf_done(&file);
    ks_free(ks);
    ks_free(other);
}

/* ---- files made here ---- */

struct made {
    struct buf b;
};

static void made_begin(struct made *m, const char *version)
{
    m->b = BUF_INIT(1 << 20);
    (void)buf_append_str(&m->b, "REDIS");
    (void)buf_append_str(&m->b, version);
}

static void made_add(struct made *m, struct bytes b)
{
    cr_assert_eq(buf_append(&m->b, b), 0);
}

static enum rdb_failure made_load(struct made *m, struct keyspace *ks,
                                  const struct rdb_load_options *o, struct rdb_load_report *ret)
{
    made_add(m, BYTES("\xFF"));
    uint64_t crc = crc64(0, buf_bytes(&m->b));
    made_add(m, bytes_of(&crc, sizeof crc));
    enum rdb_failure f = load_bytes(ks, buf_bytes(&m->b), SIZE_MAX, true, o, ret);
    buf_done(&m->b);
    return f;
}

static const struct {
    const char *what, *version;
    struct bytes body;
    enum rdb_failure want;
    const char *reason; /* a part of it */
} odd_files[] = {
    { "a key twice", "0011",
      BYTES("\0\1a\1b"
            "\0\1a\1c"),
      RDB_CORRUPT, "twice" },
    { "the same key in another database", "0011", BYTES("\0\1a\1b\xFE\1\0\1a\1c"), RDB_FINE, "" },
    { "a key twice, a collection", "0011", BYTES("\0\1a\1b\2\1a\1\1x"), RDB_CORRUPT, "twice" },
    { "a database too many", "0011", BYTES("\xFE\x10"), RDB_UNSUPPORTED, "database 16" },
    { "a version from the future", "0013", BYTES(""), RDB_UNSUPPORTED, "version 13" },
    { "a version without checksums", "0004", BYTES(""), RDB_UNSUPPORTED, "version 4" },
    { "the version of Redis 2.6", "0006", BYTES("\0\1a\1b"), RDB_FINE, "" },
    { "a version that is none", "00x1", BYTES(""), RDB_CORRUPT, "no number" },
    { "an unknown type", "0011", BYTES("\x20\1a\1b"), RDB_CORRUPT, "type 32" },
    { "a module's value", "0011", BYTES("\7\1a\x81\0\0\0\0\0\0\0\0\0"), RDB_UNSUPPORTED,
      "module type 'AAAAAAAAA'" },
    { "a module's data", "0011", BYTES("\xF7\x81\0\0\0\0\0\0\0\0\2\2\0"), RDB_UNSUPPORTED,
      "module 'AAAAAAAAA'" },
    { "functions of 7.0-rc", "0011", BYTES("\xF6\1a"), RDB_UNSUPPORTED, "functions" },
    { "hints for slots", "0012", BYTES("\xF4\1\2\3\0\1a\1b"), RDB_FINE, "" },
    { "an unknown aux field", "0011", BYTES("\xFA\3new\5value\xFA\4%any\1x\0\1a\1b"), RDB_FINE,
      "" },
    { "a hash with field times that are all absent", "0012",
      BYTES("\x18\1h\0\0\0\0\0\0\0\0\1\0\1f\1v"), RDB_FINE, "" },
    { "a hash with a field that expires", "0012", BYTES("\x18\1h\1\0\0\0\0\0\0\0\1\1\1f\1v"),
      RDB_UNSUPPORTED, "expire" },
    { "a listpack of triples without times", "0012",
      BYTES("\x19\1h\0\0\0\0\0\0\0\0\x0F\x0F\0\0\0\3\0\x81"
            "f\2\x81"
            "v\2\0\1\xFF"),
      RDB_FINE, "" },
    { "a listpack of triples with a time", "0012",
      BYTES("\x19\1h\0\0\0\0\0\0\0\0\x0F\x0F\0\0\0\3\0\x81"
            "f\2\x81"
            "v\2\7\1\xFF"),
      RDB_UNSUPPORTED, "expire" },
    { "a set with a member twice", "0011", BYTES("\2\1s\2\1a\1a"), RDB_CORRUPT, "twice" },
    { "a hash with a field twice", "0011", BYTES("\4\1h\2\1a\1b\1a\1c"), RDB_CORRUPT, "twice" },
    { "a sorted set with a member twice", "0011",
      BYTES("\3\1z\2\1a\1"
            "1\1a\1"
            "2"),
      RDB_CORRUPT, "twice" },
    { "a score that is no number", "0011", BYTES("\3\1z\1\1a\xFD"), RDB_CORRUPT, "no number" },
    { "infinite scores", "0011", BYTES("\3\1z\2\1a\xFE\1b\xFF"), RDB_FINE, "" },
    { "an intset out of order", "0011", BYTES("\xB\1s\xC\2\0\0\0\2\0\0\0\2\0\1\0"), RDB_CORRUPT,
      "damaged" },
    { "an odd listpack of a hash", "0011",
      BYTES("\x10\1h\xA\xA\0\0\0\1\0\x81"
            "f\2\xFF"),
      RDB_CORRUPT, "damaged" },
    { "a length near 2^64", "0011", BYTES("\0\1a\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE"), RDB_CORRUPT,
      "cannot have" },
    { "a length beyond the file", "0011", BYTES("\0\1a\x80\x7F\xFF\xFF\xFF"), RDB_CUT_SHORT,
      "longer" },
    { "a length byte that is none", "0011", BYTES("\0\1a\x82"), RDB_CORRUPT, "begin" },
    { "compressed bytes for far too much", "0011", BYTES("\0\1a\xC3\1\x80\x7F\xFF\xFF\xFF\0"),
      RDB_CORRUPT, "stand" },
    { "many elements that are not there", "0011", BYTES("\2\1s\x80\xFF\xFF\xFF\xFF\1a"),
      RDB_CORRUPT, "" },
    { "an unknown node of a list", "0011", BYTES("\x12\1l\1\3\1a"), RDB_CORRUPT, "node" },
};

Test(rdb, odd_files_are_told_apart)
{
    for (size_t i = 0; i < sizeof odd_files / sizeof *odd_files; i++) {
        struct made m;
        struct rdb_load_report report;
        struct keyspace *ks = new_keyspace();
        made_begin(&m, odd_files[i].version);
        made_add(&m, odd_files[i].body);
        enum rdb_failure is = made_load(&m, ks, &load_options, &report);
        cr_expect_eq(is, odd_files[i].want, "%s: %d, %s", odd_files[i].what, is,
                     report.error.reason);
        if (odd_files[i].want != RDB_FINE) {
            cr_expect(strstr(report.error.reason, odd_files[i].reason), "%s: %s", odd_files[i].what,
                      report.error.reason);
            cr_expect_eq(db_size(ks_db(ks, 0)), 0, "%s: nothing may be left", odd_files[i].what);
        }
        ks_free(ks);
    }
}

Test(rdb, groups_of_old_streams_are_filled_in)
{
    struct rdb_load_report report;
    struct keyspace *ks = new_keyspace();
    load_vector(ks, "synthetic-old.rdb", &report);
    const struct stream *s = entry_object(find(ks, "stream-v1"));
    const struct stream_group *g = stream_group_find(s, BYTES("g"));
    cr_assert(g);
    cr_expect_eq(s->entries_added, 2);
    cr_expect(s->first.ms == 100 && s->first.seq == 1);
    cr_expect(stream_id_is_zero(s->max_deleted));
    cr_expect_eq(g->entries_read, 1);
    const struct stream_consumer *c = stream_consumer_find(g, BYTES("c"));
    cr_assert(c);
    cr_expect_eq(c->seen, 1700000000001);
    cr_expect_eq(c->active, c->seen);
    cr_expect_eq(c->pending.count, 1);
    ks_free(ks);
}

Test(rdb, an_error_names_place_and_key)
{
    struct made m;
    struct rdb_load_report report;
    struct keyspace *ks = new_keyspace();
    made_begin(&m, "0011");
    made_add(&m, BYTES("\0\1a\1b\2\5k\"e\ny\2\1x\1x"));
    cr_expect_eq(made_load(&m, ks, &load_options, &report), RDB_CORRUPT);
    cr_expect_str_eq(report.key, "\"k\\\"e\\ny\"");
    cr_expect_eq(report.error.offset, 9 + 5 + 12);
    ks_free(ks);
}

Test(rdb, expired_keys_and_empty_collections_are_left_out)
{
    struct rdb_load_options o = load_options;
    for (int drop = 0; drop < 2; drop++) {
        struct made m;
        struct rdb_load_report report;
        struct keyspace *ks = new_keyspace();
        o.drop_expired = drop;
        made_begin(&m, "0011");
        made_add(&m, BYTES("\xFC\1\0\0\0\0\0\0\0\0\1a\1b"
                           "\xFD\1\0\0\0\0\1c\1d"
                           "\0\1e\1f"
                           "\2\1s\0"));
        cr_assert_eq(made_load(&m, ks, &o, &report), RDB_FINE, "%s", report.error.reason);
        cr_expect_eq(report.empty, 1);
        cr_expect_eq(report.expired, drop ? 2 : 0);
        cr_expect_eq(report.keys, drop ? 1 : 3);
        cr_expect_eq(db_size(ks_db(ks, 0)), report.keys);
        ks_free(ks);
    }
}

/* ---- damage ---- */

/* A small file with every type and encoding. */
static void make_small(struct keyspace *ks)
{
    struct db *db = ks_db(ks, 0);
    struct types_limits tiny = limits;
    tiny.hash_max_listpack_entries = tiny.set_max_listpack_entries =
        tiny.zset_max_listpack_entries = 1;
    (void)ks_set_string(db, BYTES("s"), BYTES("text"), 0, NO_EXPIRE);
    (void)ks_set_string(db, BYTES("n"), BYTES("-70000"), 0, NOW + 1000);
    (void)ks_set_string(db, BYTES("lzf"), BYTES("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 0,
                        NO_EXPIRE);
    for (int large = 0; large < 2; large++) {
        const struct types_limits *l = large ? &tiny : &limits;
        struct value_ref hash = hash_new(), set = set_new(), zset = zset_new();
        double score;
        hash_set(&hash, BYTES("f"), BYTES("v"), NULL, l);
        hash_set(&hash, BYTES("17"), BYTES(""), NULL, l);
        set_add(&set, BYTES("m"), l);
        set_add(&set, BYTES("-5"), l);
        zset_add(&zset, 1.5, BYTES("a"), 0, l, &score);
        zset_add(&zset, -2, BYTES("b"), 0, l, &score);
        ks_add_object(db, large ? BYTES("H") : BYTES("h"), TYPE_HASH, hash.enc, hash.object);
        ks_add_object(db, large ? BYTES("S") : BYTES("t"), TYPE_SET, set.enc, set.object);
        ks_add_object(db, large ? BYTES("Z") : BYTES("z"), TYPE_ZSET, zset.enc, zset.object);
    }
    struct value_ref list = list_new(), ints = set_new();
    list_push(&list, LIST_TAIL, BYTES("first"), NULL, &limits);
    list_push(&list, LIST_TAIL, BYTES("2"), NULL, &limits);
    set_add(&ints, BYTES("3"), &limits);
    set_add(&ints, BYTES("70000"), &limits);
    ks_add_object(db, BYTES("l"), TYPE_LIST, list.enc, list.object);
    ks_add_object(db, BYTES("i"), TYPE_SET, ints.enc, ints.object);

    struct stream *x = stream_new();
    const struct bytes fields[2] = { BYTES("f"), BYTES("v") };
    for (uint64_t i = 1; i < 5; i++) {
        stream_append(x, (struct stream_id){ i, i }, fields, 2, &limits);
        x->last = (struct stream_id){ i, i };
    }
    stream_delete(x, (struct stream_id){ 2, 2 });
    struct stream_group *g = stream_group_add(x, BYTES("g"), (struct stream_id){ 3, 3 }, 2);
    stream_pend(g, stream_consumer_add(g, BYTES("c"), NOW), (struct stream_id){ 1, 1 })
        ->deliveries = 3;
    ks_add_object(db, BYTES("x"), TYPE_STREAM, ENC_STREAM, x);
}

static void make_small_file(struct buf *file)
{
    struct keyspace *ks = new_keyspace();
    *file = BUF_INIT(1 << 20);
    make_small(ks);
    cr_assert_eq(save_bytes(ks, RDB_VERSION, true, file), 0);
    ks_free(ks);
}

Test(rdb, a_file_cut_anywhere_is_refused)
{
    struct buf file;
    make_small_file(&file);
    struct keyspace *ks = new_keyspace();
    for (size_t n = 0; n < file.n; n++) {
        struct rdb_load_report report;
        cr_expect_eq(load_bytes(ks, bytes_of(file.p, n), SIZE_MAX, n % 2, &load_options, &report),
                     RDB_CUT_SHORT, "%zu of %zu bytes: %s", n, file.n, report.error.reason);
        cr_expect_eq(db_size(ks_db(ks, 0)), 0);
    }
    ks_free(ks);
    buf_done(&file);
}

Test(rdb, a_flipped_bit_anywhere_is_noticed)
{
    struct buf file;
    make_small_file(&file);
    struct keyspace *ks = new_keyspace();
    for (size_t i = 0; i < 8 * file.n; i++) {
        struct rdb_load_report report;
        file.p[i / 8] ^= (char)(1 << i % 8);
        cr_expect_neq(load_bytes(ks, buf_bytes(&file), SIZE_MAX, i % 2, &load_options, &report),
                      RDB_FINE, "bit %zu", i);
        cr_expect_eq(db_size(ks_db(ks, 0)), 0);
        file.p[i / 8] ^= (char)(1 << i % 8);
    }
    ks_free(ks);
    buf_done(&file);
}

/* With a checksum that fits the damage, many files still load; then all that is in them can be walked and saved. */
Test(rdb, damage_behind_a_right_checksum_does_no_harm)
{
    struct buf file;
    make_small_file(&file);
    struct keyspace *ks = new_keyspace();
    const unsigned char values[] = { 0x00, 0x01, 0x7F, 0x80, 0x81, 0xC0,
                                     0xC3, 0xF0, 0xF4, 0xFE, 0xFF };
    unsigned refused = 0, loaded = 0;
    for (size_t at = 9; at < file.n - 8; at++) {
        for (size_t k = 0; k < sizeof values; k++) {
            struct rdb_load_report report;
            char old = file.p[at];
            file.p[at] = (char)values[k];
            uint64_t crc = crc64(0, bytes_of(file.p, file.n - 8));
            memcpy(file.p + file.n - 8, &crc, sizeof crc);
            if (load_bytes(ks, buf_bytes(&file), SIZE_MAX, at % 2, &load_options, &report) ==
                RDB_FINE) {
                struct buf again = BUF_INIT(1 << 20);
                mem_free(describe(ks, 11, true));
                cr_expect_eq(save_bytes(ks, RDB_VERSION, true, &again), 0);
                buf_done(&again);
                loaded++;
            } else {
                refused++;
            }
            for (int i = 0; i < ks_databases(ks); i++)
                ks_flush_db(ks_db(ks, i), KS_DEL_SYNC);
            file.p[at] = old;
        }
    }
    cr_expect_gt(loaded, 100);
    cr_expect_gt(refused, 1000);
    ks_free(ks);
    buf_done(&file);
}

/* ---- DUMP payloads ---- */

static struct bytes unhex(const char *hex, char **ret_mem)
{
    size_t n = strlen(hex) / 2;
    *ret_mem = mem_alloc(n + 1);
    cr_assert(text_unhex(*ret_mem, n, bytes_of(hex, 2 * n)));
    return bytes_of(*ret_mem, n);
}

/* Lists of one node and collections in a listpack have one form only; tables come in any order, and compressors
 * differ. */
static bool is_canonical(struct bytes payload)
{
    switch (payload.p[0]) {
    case RDB_SET:
    case RDB_HASH:
        return false;
    default:
        return memchr(payload.p, RDB_STR_LZF, payload.n) == NULL;
    }
}

static void check_dump(const char *key, struct bytes payload)
{
    struct keyspace *ks = new_keyspace();
    struct db *db = ks_db(ks, 0);
    struct bytes body;
    struct rdb_value v;
    struct rdb_error error = { 0 };
    cr_assert(rdb_dump_check(payload, &body), "%s", key);
    cr_assert(rdb_dump_load(body, &limits, &v, &error), "%s: %s", key, error.reason);
    struct entry *e = rdb_value_store(&v, db, BYTES("k"), NO_EXPIRE);
    struct buf again = BUF_INIT(BUF_UNLIMITED);
    cr_assert_eq(rdb_dump(e, true, &again), 0);
    if (is_canonical(payload))
        cr_expect(bytes_eq(buf_bytes(&again), payload), "%s: another payload", key);
    cr_assert(rdb_dump_check(buf_bytes(&again), &body));
    cr_assert(rdb_dump_load(body, &limits, &v, NULL));
    rdb_value_done(&v);
    buf_done(&again);
    ks_free(ks);
}

Test(dump, payloads_of_redis_come_back_as_they_were)
{
    struct bytes text = read_vector("redis-7.2.6-dump.txt");
    char *save, *line = strtok_r((char *)text.p, "\n", &save);
    unsigned n = 0;
    for (; line; line = strtok_r(NULL, "\n", &save), n++) {
        char *hex = strrchr(line, ' '), *memory;
        *hex++ = '\0';
        check_dump(line, unhex(hex, &memory));
        mem_free(memory);
    }
    cr_expect_gt(n, 30);
    mem_free((void *)text.p);
}

static struct buf dump_of(struct bytes body)
{
    struct buf b = BUF_INIT(1 << 20);
    const uint16_t version = RDB_VERSION;
    cr_assert_eq(buf_append(&b, body), 0);
    cr_assert_eq(buf_append(&b, bytes_of(&version, sizeof version)), 0);
    uint64_t crc = crc64(0, buf_bytes(&b));
    cr_assert_eq(buf_append(&b, bytes_of(&crc, sizeof crc)), 0);
    return b;
}

static const struct {
    struct bytes body;
    bool good;
} bodies[] = {
    { BYTES("\0\1a"), true },
    { BYTES("\0\0"), true },
    { BYTES("\0\xC0\x05"), true },
    { BYTES("\0\xC3\5\x18\0a\xE0\xE\0"), true }, /* 1 + 14 + 9 */
    { BYTES(""), false },
    { BYTES("\0"), false },
    { BYTES("\0\1a "), false },
    { BYTES("\0\2a"), false },
    { BYTES("\2\0"), false }, /* empty */
    { BYTES("\xFF"), false },
    { BYTES("\7\0\0"), false },
    { BYTES("\0\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), false },
};

Test(dump, bodies_are_taken_whole_or_not_at_all)
{
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct buf payload = dump_of(bodies[i].body);
        struct bytes body;
        struct rdb_value v;
        cr_assert(rdb_dump_check(buf_bytes(&payload), &body));
        bool good = rdb_dump_load(body, &limits, &v, NULL);
        cr_expect_eq(good, bodies[i].good, "body %zu", i);
        if (good)
            rdb_value_done(&v);
        payload.p[0] ^= 1;
        cr_expect_not(rdb_dump_check(buf_bytes(&payload), &body));
        cr_expect_not(rdb_dump_check(bytes_of(payload.p, 9), &body));
        buf_done(&payload);
    }
}

/* ---- Redis' own checker ---- */

Test(rdb, the_checker_of_redis_accepts_our_files)
{
    if (system("command -v redis-check-rdb >/dev/null 2>&1") != 0)
        cr_skip_test("redis-check-rdb is not installed");
    char path[] = "/tmp/rdb_test.XXXXXX", command[128];
    struct rdb_load_report report;
    struct keyspace *ks = new_keyspace();
    struct buf file = BUF_INIT(BUF_UNLIMITED);
    load_vector(ks, "redis-7.2.6-all.rdb", &report);
    cr_assert_eq(save_bytes(ks, RDB_VERSION_7_0, true, &file), 0);
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, file.p, file.n), (ssize_t)file.n);
    (void)close(fd);
    (void)snprintf(command, sizeof command, "redis-check-rdb %s >/dev/null 2>&1", path);
    cr_expect_eq(system(command), 0);
    (void)unlink(path);
    buf_done(&file);
    ks_free(ks);
}
