/* The content of a keyspace in words, one line a key, sorted: as tests/vectors/rdb/make_expected prints what other
 * servers said. And what the tests of this folder share: a keyspace, limits, files, sinks. */
#pragma once

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/sha.h"
#include "common/text.h"
#include "server/persist/rdb_format.h"
#include "server/persist/rdb_load.h"
#include "server/persist/rdb_save.h"
#include "server/types/hash.h"
#include "server/types/list.h"
#include "server/types/set.h"
#include "server/types/stream.h"
#include "server/types/zset.h"

#define NOW ((msec_t)1795400000000)

static const struct types_limits limits = {
    .hash_max_listpack_entries = 128,
    .hash_max_listpack_value = 64,
    .set_max_intset_entries = 512,
    .set_max_listpack_entries = 128,
    .set_max_listpack_value = 64,
    .zset_max_listpack_entries = 128,
    .zset_max_listpack_value = 64,
    .list_max_listpack_size = -2,
    .stream_node_max_bytes = 4096,
    .stream_node_max_entries = 100,
    .hll_sparse_max_bytes = 3000,
};

static struct ks_config config = {
    .maxmemory_policy = POLICY_NOEVICTION,
    .maxmemory_samples = 5,
    .maxmemory_eviction_tenacity = 10,
    .lfu_log_factor = 10,
    .lfu_decay_time = 1,
};

static struct keyspace *new_keyspace(void)
{
    const struct ks_hooks hooks = { 0 };
    struct keyspace *ks = ks_new(16, &config, &hooks);
    ks_set_now(ks, NOW);
    return ks;
}

/* ---- words ---- */

enum { WORD_MAX = 40 };

static void put_word(struct buf *b, struct bytes s)
{
    if (s.n > WORD_MAX) {
        char hex[2 * SHA1_BYTES];
        sha1_hex(hex, s);
        (void)buf_printf(b, "#%zu:%.16s", s.n, hex);
        return;
    }
    if (s.n == 0)
        (void)buf_append_str(b, "''");
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 33 && c <= 126 && !strchr("%#'=@,[]{}", c))
            (void)buf_append_char(b, (char)c);
        else
            (void)buf_printf(b, "%%%02x", c);
    }
}

static void put_element(struct buf *b, const struct element *e)
{
    char scratch[ELEMENT_SCRATCH];
    put_word(b, element_text(e, scratch));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lines or words that are sorted before they are put. */
struct heap_of_words {
    char **v;
    size_t n, cap;
};

static void add_word(struct heap_of_words *h, struct buf *b)
{
    if (h->n == h->cap)
        h->v = mem_realloc(h->v, (h->cap = h->cap ? 2 * h->cap : 64) * sizeof *h->v);
    h->v[h->n++] = mem_strdup(buf_cstr(b) ? buf_cstr(b) : "");
    buf_clear(b);
}

static void put_words(struct buf *b, struct heap_of_words *h, const char *between)
{
    if (h->n)
        qsort(h->v, h->n, sizeof *h->v, by_text);
    for (size_t i = 0; i < h->n; i++) {
        (void)buf_append_str(b, i ? between : "");
        (void)buf_append_str(b, h->v[i]);
        mem_free(h->v[i]);
    }
    mem_free(h->v);
}

/* ---- values ---- */

static void put_list(struct buf *b, struct value_ref list)
{
    struct list_walk w;
    struct element e;
    const char *gap = "[";
    list_walk_begin(&w, list, 0, false);
    for (; list_walk_next(&w, &e); gap = " ") {
        (void)buf_append_str(b, gap);
        put_element(b, &e);
    }
    (void)buf_append_str(b, "]");
}

static void put_set(struct buf *b, struct value_ref set)
{
    struct set_walk w;
    struct element e;
    struct heap_of_words words = { 0 };
    struct buf word = BUF_INIT(1 << 20);
    set_walk_begin(&w, set);
    while (set_walk_next(&w, &e)) {
        put_element(&word, &e);
        add_word(&words, &word);
    }
    (void)buf_append_str(b, "{");
    put_words(b, &words, " ");
    (void)buf_append_str(b, "}");
    buf_done(&word);
}

static void put_hash(struct buf *b, struct value_ref hash)
{
    struct hash_walk w;
    struct element field, value;
    struct heap_of_words words = { 0 };
    struct buf word = BUF_INIT(1 << 20);
    hash_walk_begin(&w, hash);
    while (hash_walk_next(&w, &field, &value)) {
        put_element(&word, &field);
        (void)buf_append_str(&word, "=");
        put_element(&word, &value);
        add_word(&words, &word);
    }
    (void)buf_append_str(b, "{");
    put_words(b, &words, " ");
    (void)buf_append_str(b, "}");
    buf_done(&word);
}

static void put_zset(struct buf *b, struct value_ref zset)
{
    struct zset_walk w;
    struct element member;
    double score;
    const char *gap = "[";
    zset_walk_begin(&w, zset, 0, false);
    for (; zset_walk_next(&w, &member, &score); gap = " ") {
        (void)buf_append_str(b, gap);
        put_element(b, &member);
        (void)buf_printf(b, "@%.17g", score + 0.0); /* servers do not show the sign of -0 alike */
    }
    (void)buf_append_str(b, "]");
}

static void put_stream_id(struct buf *b, const char *before, struct stream_id id)
{
    (void)buf_printf(b, "%s%llu-%llu", before, (unsigned long long)id.ms,
                     (unsigned long long)id.seq);
}

static void put_consumer(struct buf *b, const struct stream_consumer *c, int version)
{
    (void)buf_append_str(b, " {");
    put_word(b, stream_name_bytes(c->name));
    (void)buf_printf(b, " seen %lld", (long long)c->seen);
    if (version >= 11)
        (void)buf_printf(b, " active %lld", (long long)c->active);
    for (struct id_at at = id_tree_first(&c->pending); at.leaf; id_at_next(&at)) {
        const struct stream_pending *p = id_at_value(at);
        cr_assert_eq(p->consumer, c);
        put_stream_id(b, " ", id_at_id(at));
        (void)buf_printf(b, "/%lld/%llu", (long long)p->delivered,
                         (unsigned long long)p->deliveries);
    }
    (void)buf_append_str(b, "}");
}

static void put_entries(struct buf *b, const struct stream *s)
{
    struct stream_walk w;
    struct element field, value;
    stream_walk_begin(&w, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_walk_next(&w)) {
        put_stream_id(b, " [", w.id);
        for (uint32_t i = 0; i < w.fields; i++) {
            stream_walk_field(&w, &field, &value);
            (void)buf_append_str(b, i ? "," : " ");
            put_element(b, &field);
            (void)buf_append_str(b, "=");
            put_element(b, &value);
        }
        (void)buf_append_str(b, "]");
    }
}

/* Older versions do not tell all of it; version 0: without groups. */
static void put_stream(struct buf *b, const struct stream *s, int version)
{
    put_stream_id(b, "last ", s->last);
    if (version >= 10) {
        put_stream_id(b, " first ", s->first);
        put_stream_id(b, " deleted ", s->max_deleted);
        (void)buf_printf(b, " added %llu", (unsigned long long)s->entries_added);
    }
    put_entries(b, s);
    if (version < 9)
        return;
    size_t groups_n, n;
    struct stream_group **groups = stream_groups_sorted(s, &groups_n);
    for (size_t i = 0; i < groups_n; i++) {
        (void)buf_append_str(b, " group ");
        put_word(b, stream_name_bytes(groups[i]->name));
        put_stream_id(b, " last ", groups[i]->last);
        if (version >= 10)
            (void)buf_printf(b, " read %lld", (long long)groups[i]->entries_read);
        struct stream_consumer **consumers = stream_consumers_sorted(groups[i], &n);
        for (size_t k = 0; k < n; k++)
            put_consumer(b, consumers[k], version);
        mem_free(consumers);
    }
    mem_free(groups);
}

static void put_value(struct buf *b, const struct entry *e, int version)
{
    char scratch[24];
    struct value_ref ref = { 0 };
    if (entry_type(e) != TYPE_STRING)
        ref = (struct value_ref){ entry_object(e), entry_encoding(e) };
    switch (entry_type(e)) {
    case TYPE_STRING:
        put_word(b, entry_string(e, scratch));
        break;
    case TYPE_LIST:
        put_list(b, ref);
        break;
    case TYPE_SET:
        put_set(b, ref);
        break;
    case TYPE_ZSET:
        put_zset(b, ref);
        break;
    case TYPE_HASH:
        put_hash(b, ref);
        break;
    case TYPE_STREAM:
        put_stream(b, ref.object, version);
        break;
    case TYPES_N:
        cr_assert_fail("no type");
    }
}

/* ---- keys ---- */

struct describing {
    struct heap_of_words lines;
    int db, version;
    bool encodings;
};

static void describe_entry(void *ctx, struct entry *e)
{
    struct describing *d = ctx;
    struct buf line = BUF_INIT(64 << 20);
    (void)buf_printf(&line, "%d ", d->db);
    put_word(&line, entry_key(e));
    (void)buf_printf(&line, " %s ", d->encodings ? value_encoding_name(entry_encoding(e)) : "-");
    if (entry_expire(e) == NO_EXPIRE || !d->encodings)
        (void)buf_append_str(&line, "-");
    else
        (void)buf_printf(&line, "%lld", (long long)entry_expire(e));
    (void)buf_append_str(&line, " ");
    put_value(&line, e, d->version);
    add_word(&d->lines, &line);
    buf_done(&line);
}

/* All keys; the text is of mem_alloc. Without encodings expiries are left out too. */
static char *describe(struct keyspace *ks, int version, bool encodings)
{
    struct describing d = { .version = version, .encodings = encodings };
    struct buf all = BUF_INIT(64 << 20);
    for (d.db = 0; d.db < ks_databases(ks); d.db++) {
        uint64_t cursor = 0;
        while ((cursor = db_scan(ks_db(ks, d.db), cursor, describe_entry, &d)) != 0)
            ;
    }
    put_words(&all, &d.lines, "\n");
    char *text = mem_strdup(buf_cstr(&all) ? buf_cstr(&all) : "");
    buf_done(&all);
    return text;
}

/* ---- files ---- */

static struct bytes read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s: %s", path, strerror(errno));
    cr_assert_eq(fseek(f, 0, SEEK_END), 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *p = mem_alloc(n + 1);
    cr_assert_eq(fread(p, 1, n, f), n);
    p[n] = '\0';
    (void)fclose(f);
    return bytes_of(p, n);
}

static struct bytes read_vector(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, SOURCE_ROOT "/tests/vectors/rdb/%s", name);
    return read_file(path);
}

/* A source that gives its bytes in pieces. */
struct pieces {
    struct bytes left;
    size_t piece;
};

static ssize_t read_piece(void *ctx, void *dst, size_t n)
{
    struct pieces *p = ctx;
    if (n > p->piece)
        n = p->piece;
    if (n > p->left.n)
        n = p->left.n;
    if (n)
        memcpy(dst, p->left.p, n);
    p->left = bytes_of(p->left.p + n, p->left.n - n);
    return (ssize_t)n;
}

static const struct rdb_load_options load_options = { .limits = &limits, .now = NOW };

/* Loads bytes as a file whose size is known, or is not. */
static enum rdb_failure load_bytes(struct keyspace *ks, struct bytes file, size_t piece, bool sized,
                                   const struct rdb_load_options *o, struct rdb_load_report *ret)
{
    struct pieces pieces = { file, piece };
    struct rdb_source source = { read_piece, &pieces, sized ? file.n : RDB_SIZE_UNKNOWN };
    struct rdb_reader r;
    rdb_reader_init(&r, &source, true);
    enum rdb_failure f = rdb_load(&r, ks, o, ret);
    rdb_reader_done(&r);
    return f;
}

static int append_to_buf(void *ctx, struct bytes b)
{
    return buf_append(ctx, b);
}

__attribute__((unused)) static int save_bytes(struct keyspace *ks, int version, bool compress, struct buf *ret)
{
    const struct rdb_sink sink = { append_to_buf, ret };
    const struct rdb_save_options o = {
        .version = version,
        .compress = compress,
        .checksum = true,
        .now = NOW,
        .used_memory = 1000000,
        .server_version = BYTES("7.2.4"),
    };
    return rdb_save(&sink, ks, &o, NULL);
}
