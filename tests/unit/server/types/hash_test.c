/* Hashes: each change does what a plain map does, in the encoding that Redis 7.2 would have. */
#include "server/types/hash.h"

#include "common/alloc.h"
#include "common/sanitize.h"
#include "model.h"

static const struct types_limits defaults = { .hash_max_listpack_entries = 128,
                                              .hash_max_listpack_value = 64 };
static const struct types_limits small = { .hash_max_listpack_entries = 5,
                                           .hash_max_listpack_value = 12 };

static bool put(struct value_ref *h, const char *field, const char *value)
{
    return hash_set(h, bytes_of_str(field), bytes_of_str(value), NULL, &small);
}

/* ---- encodings ---- */

Test(hash, becomes_a_table_with_one_field_too_many)
{
    struct value_ref h = hash_new();
    char name[16];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        cr_assert(put(&h, name, "v"));
        cr_assert_eq(h.enc, ENC_LISTPACK);
    }
    cr_assert_not(put(&h, "f0", "again"));
    cr_assert_eq(h.enc, ENC_LISTPACK);
    cr_assert(put(&h, "f5", "v"));
    cr_assert_eq(h.enc, ENC_HASHTABLE);
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        cr_assert(hash_delete(&h, bytes_of_str(name)));
    }
    cr_assert_eq(hash_count(h), 0);
    cr_assert_eq(h.enc, ENC_HASHTABLE, "it never goes back");
    hash_free(h);
}

Test(hash, becomes_a_table_with_a_text_too_long)
{
    static const char *const cases[][2] = { { "thirteen long", "v" }, { "f", "thirteen long" } };
    for (int i = 0; i < 2; i++) {
        struct value_ref h = hash_new();
        put(&h, "twelve longs", "twelve longs");
        cr_assert_eq(h.enc, ENC_LISTPACK);
        put(&h, cases[i][0], cases[i][1]);
        cr_assert_eq(h.enc, ENC_HASHTABLE);
        cr_assert_eq(hash_count(h), 2);
        hash_free(h);
    }
}

Test(hash, knows_from_the_arguments_that_it_will_be_a_table)
{
    struct bytes args[14];
    for (int i = 0; i < 14; i++)
        args[i] = BYTES("same");
    struct value_ref h = hash_new();
    hash_expect(&h, args, 10, &small);
    cr_assert_eq(h.enc, ENC_LISTPACK);
    hash_expect(&h, args, 12, &small);
    cr_assert_eq(h.enc, ENC_HASHTABLE);
    hash_free(h);
    h = hash_new();
    args[3] = BYTES("thirteen long");
    hash_expect(&h, args, 4, &small);
    cr_assert_eq(h.enc, ENC_HASHTABLE);
    hash_free(h);
}

/* ---- against a model: fields at even places, values behind them ---- */

struct pair {
    struct value_ref hash;
    struct texts model;
    const struct types_limits *limits;
};

static ptrdiff_t model_find(const struct pair *s, struct bytes field)
{
    return texts_find(&s->model, field, 0, 2);
}

static void check_is_pair(void *ctx, const struct element *field, const struct element *value)
{
    const struct pair *s = ctx;
    char scratch[ELEMENT_SCRATCH];
    ptrdiff_t i = model_find(s, element_text(field, scratch));
    cr_assert_geq(i, 0);
    cr_assert(element_is(value, text_bytes(s->model.v[i + 1])));
    cr_assert(!value->blob || bytes_eq(blob_bytes(value->blob), value->s));
}

static void check(const struct pair *s)
{
    struct hash_walk w;
    struct element field, value;
    size_t n = 0;
    cr_assert_eq(hash_count(s->hash), s->model.n / 2);
    hash_walk_begin(&w, s->hash);
    for (; hash_walk_next(&w, &field, &value); n++)
        check_is_pair((void *)s, &field, &value);
    cr_assert_eq(n, s->model.n / 2);
    if (s->hash.enc == ENC_LISTPACK)
        cr_assert(n <= (uint64_t)s->limits->hash_max_listpack_entries);
}

/* Now and then a value comes in a blob, as a large argument does. */
static bool set_text(struct pair *s, struct text field, struct text value, bool as_blob)
{
    if (!as_blob)
        return hash_set(&s->hash, text_bytes(field), text_bytes(value), NULL, s->limits);
    struct blob *b = blob_new(value.n, value.n);
    memcpy(b->data, value.p, value.n);
    bool is_new = hash_set(&s->hash, text_bytes(field), blob_bytes(b), b, s->limits);
    blob_unref(b);
    return is_new;
}

static void do_set(struct pair *s, struct prng *r)
{
    struct text field = text_random(r, 20), value = text_random(r, 1000);
    if (s->model.n && prng_below(r, 2)) {
        free(field.p);
        field = text_new(text_bytes(s->model.v[2 * prng_below(r, s->model.n / 2)]));
    }
    ptrdiff_t i = model_find(s, text_bytes(field));
    cr_assert_eq(set_text(s, field, value, prng_below(r, 2)), i < 0);
    if (i >= 0) {
        free(s->model.v[i + 1].p);
        s->model.v[i + 1] = value;
        free(field.p);
    } else {
        texts_insert(&s->model, s->model.n, field);
        texts_insert(&s->model, s->model.n, value);
    }
}

static void do_get(struct pair *s, struct prng *r)
{
    struct text field = text_random(r, 20);
    struct element value;
    ptrdiff_t i = model_find(s, text_bytes(field));
    bool there = hash_get(s->hash, text_bytes(field), &value);
    cr_assert_eq(there, i >= 0);
    if (there)
        cr_assert(element_is(&value, text_bytes(s->model.v[i + 1])));
    free(field.p);
}

static void do_delete(struct pair *s, struct prng *r)
{
    struct text field = text_random(r, 20);
    if (s->model.n && prng_below(r, 2)) {
        free(field.p);
        field = text_new(text_bytes(s->model.v[2 * prng_below(r, s->model.n / 2)]));
    }
    ptrdiff_t i = model_find(s, text_bytes(field));
    cr_assert_eq(hash_delete(&s->hash, text_bytes(field)), i >= 0);
    if (i >= 0) {
        texts_delete(&s->model, (size_t)i);
        texts_delete(&s->model, (size_t)i);
    }
    free(field.p);
}

static void do_random(struct pair *s, struct prng *r)
{
    struct element field, value;
    if (s->model.n == 0)
        return;
    hash_random(s->hash, r, &field, &value);
    check_is_pair(s, &field, &value);
}

struct visited {
    struct pair *s;
    struct texts fields;
};

static void visit(void *ctx, const struct element *field, const struct element *value)
{
    struct visited *v = ctx;
    char scratch[ELEMENT_SCRATCH];
    struct bytes text = element_text(field, scratch);
    check_is_pair(v->s, field, value);
    cr_assert_lt(texts_find(&v->fields, text, 0, 1), 0, "visited twice");
    texts_insert(&v->fields, v->fields.n, text_new(text));
}

static void do_pick(struct pair *s, struct prng *r)
{
    struct visited v = { .s = s };
    uint64_t k = prng_below(r, s->model.n / 2 + 1);
    hash_pick(s->hash, k, r, visit, &v);
    cr_assert_eq(v.fields.n, k);
    texts_done(&v.fields);
}

static void do_scan(struct pair *s, struct prng *r)
{
    struct visited v = { .s = s };
    uint64_t cursor = 0;
    do
        cursor = hash_scan(s->hash, cursor, visit, &v);
    while (cursor);
    cr_assert_eq(v.fields.n, s->model.n / 2);
    texts_done(&v.fields);
}

static void digest(struct value_ref h, unsigned char bits[20])
{
    hash_value_ops.digest(h.object, h.enc, bits);
}

static void do_copy(struct pair *s, struct prng *r)
{
    unsigned char a[20], b[20];
    struct value_ref copy = { hash_value_ops.copy(s->hash.object, s->hash.enc), s->hash.enc };
    digest(s->hash, a);
    digest(copy, b);
    cr_assert_eq(memcmp(a, b, 20), 0);
    hash_set(&copy, BYTES("not there before"), BYTES("x"), NULL, s->limits);
    digest(copy, b);
    cr_assert_neq(memcmp(a, b, 20), 0);
    hash_delete(&copy, BYTES("not there before"));
    digest(copy, b); /* in another encoding now and then */
    cr_assert_eq(memcmp(a, b, 20), 0);
    hash_free(s->hash);
    s->hash = copy;
}

static void run(const struct types_limits *limits, unsigned seed, int rounds)
{
    static void (*const steps[])(struct pair *, struct prng *) = {
        do_set,    do_set,    do_set,    do_set,  do_get,  do_get,
        do_delete, do_delete, do_random, do_pick, do_scan, do_copy,
    };
    struct prng r;
    struct pair s = { .hash = hash_new(), .limits = limits };
    prng_init(&r, seed);
    for (int i = 0; i < rounds; i++) {
        steps[prng_below(&r, sizeof(steps) / sizeof(*steps))](&s, &r);
        check(&s);
    }
    hash_free(s.hash);
    texts_done(&s.model);
}

Test(hash, random_changes_do_what_a_plain_map_does)
{
    size_t used = mem_used();
    for (unsigned seed = 1; seed <= 30; seed++) {
        run(&small, seed, 150);
        run(&defaults, seed, 250);
    }
    cr_assert_eq(mem_used(), used);
}

/* ---- large ones ---- */

Test(hash, memory_is_exact_for_every_size)
{
    size_t used = mem_used();
    struct value_ref h = hash_new();
    static char value[2 * HASH_BLOB_MIN];
    memset(value, 'v', sizeof(value));
    struct prng r;
    prng_init(&r, 1);
    for (unsigned i = 0; i < 4000; i++) {
        char text[32];
        struct bytes field =
            bytes_of(text, (size_t)snprintf(text, sizeof(text), "field:%llu",
                                            (unsigned long long)prng_below(&r, 1000)));
        if (prng_below(&r, 4) == 0)
            hash_delete(&h, field);
        else
            hash_set(&h, field, bytes_of(value, prng_below(&r, i % 20 ? 30 : sizeof(value))), NULL,
                     &defaults);
        if (i % 50 == 0 && !WITH_ASAN)
            cr_assert_eq(hash_value_ops.memory(h.object, h.enc, 0), mem_used() - used);
    }
    hash_free(h);
    cr_assert_eq(mem_used(), used);
}

Test(hash, a_value_in_a_blob_is_shared_not_copied)
{
    struct value_ref h = hash_new();
    struct blob *b = blob_new(HASH_BLOB_MIN, HASH_BLOB_MIN);
    memset(b->data, 'x', b->n);
    hash_set(&h, BYTES("f"), blob_bytes(b), b, &defaults);
    struct element e;
    cr_assert(hash_get(h, BYTES("f"), &e));
    cr_assert_eq(e.blob, b);
    struct value_ref copy = { hash_value_ops.copy(h.object, h.enc), h.enc };
    cr_assert(hash_get(copy, BYTES("f"), &e));
    cr_assert_eq(e.blob, b);
    cr_assert_eq(b->refs, 3);
    hash_set(&copy, BYTES("f"), BYTES("short"), NULL, &defaults);
    hash_free(h);
    cr_assert_eq(b->refs, 1);
    blob_unref(b);
    hash_free(copy);
}

Test(hash, is_freed_bit_by_bit)
{
    size_t used = mem_used();
    struct value_ref h = hash_new();
    for (unsigned i = 0; i < 20000; i++) {
        char text[32];
        struct bytes field = bytes_of(text, (size_t)snprintf(text, sizeof(text), "field:%u", i));
        hash_set(&h, field, BYTES("value"), NULL, &defaults);
    }
    unsigned steps = 1;
    while (!hash_value_ops.free_some(h.object, h.enc, 256))
        steps++;
    cr_assert_geq(steps, 20);
    cr_assert_eq(mem_used(), used);
}

/* ---- from outside ---- */

Test(hash, payloads_are_checked_and_brought_to_the_encoding_of_the_limits)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool ok;
        enum value_encoding enc;
    } cases[] = {
        { "\x0d\0\0\0\2\0\x81"
          "a\2\x81"
          "b\2\xff",
          13, true, ENC_LISTPACK },
        { "\x0a\0\0\0\1\0\x81"
          "a\2\xff",
          10, false, ENC_LISTPACK }, /* no value */
        { "\x13\0\0\0\4\0\x81"
          "a\2\x81"
          "b\2\x81"
          "a\2\x81"
          "c\2\xff",
          19, false, ENC_LISTPACK }, /* a twice */
        { "\x13\0\0\0\4\0\x81"
          "a\2\x81"
          "b\2\x81"
          "b\2\x81"
          "b\2\xff",
          19, true, ENC_LISTPACK },
        { "\x0d\0\0\0\2\0\x81"
          "a\2\x81"
          "b\3\xff",
          13, false, ENC_LISTPACK },
        { "\x1a\0\0\0\2\0\x8e"
          "too long a one\xf\x81"
          "b\2\xff",
          26, true, ENC_HASHTABLE },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct value_ref h;
        bool ok = hash_load_listpack(bytes_of(cases[i].bytes, cases[i].n), &small, &h);
        cr_expect_eq(ok, cases[i].ok, "case %zu", i);
        if (ok) {
            cr_expect_eq(h.enc, cases[i].enc, "case %zu", i);
            hash_free(h);
        }
    }
}
