/* See hash.h. Items of the table: the name (members.h), then the value:
 *
 *   length n  1 byte: 0..253, the value's bytes follow
 *   254       2 bytes of length, then the bytes (less than HASH_BLOB_MIN)
 *   255       8 bytes: pointer to a blob, one reference
 *
 * A value is overwritten in place as long as its item keeps its size class. */
#include "server/types/hash.h"

#include "common/alloc.h"
#include "common/sha.h"
#include "server/types/block.h"

enum { VALUE_LONG = 254, VALUE_BLOB = 255 };
STATIC_ASSERT(HASH_BLOB_MIN <= UINT16_MAX, "the length of a value in an item has 2 bytes");

/* ---- items ---- */

static uint8_t *value_at(const void *item)
{
    struct bytes name = member_name(item);
    return (uint8_t *)name.p + name.n;
}

static struct blob *blob_at(const uint8_t *value)
{
    struct blob *b;
    memcpy(&b, value + 1, sizeof b);
    return b;
}

static size_t value_size(size_t n) /* bytes that a value of n takes in an item */
{
    if (n >= HASH_BLOB_MIN)
        return 1 + sizeof(struct blob *);
    return n < VALUE_LONG ? 1 + n : 1 + sizeof(uint16_t) + n;
}

static size_t item_size(const void *item)
{
    const uint8_t *value = value_at(item);
    size_t name = (size_t)(value - (const uint8_t *)item);
    if (*value < VALUE_LONG)
        return name + 1 + *value;
    if (*value == VALUE_BLOB)
        return name + 1 + sizeof(struct blob *);
    uint16_t n;
    memcpy(&n, value + 1, sizeof n);
    return name + 1 + sizeof n + n;
}

static void item_value(const void *item, struct element *ret)
{
    const uint8_t *value = value_at(item);
    ret->blob = NULL;
    if (*value < VALUE_LONG) {
        ret->s = bytes_of(value + 1, *value);
    } else if (*value == VALUE_BLOB) {
        ret->blob = blob_at(value);
        ret->s = blob_bytes(ret->blob);
    } else {
        uint16_t n;
        memcpy(&n, value + 1, sizeof n);
        ret->s = bytes_of(value + 1 + sizeof n, n);
    }
}

static void item_done(void *item)
{
    const uint8_t *value = value_at(item);
    if (*value == VALUE_BLOB)
        blob_unref(blob_at(value));
}

static size_t item_outside(const void *item)
{
    const uint8_t *value = value_at(item);
    return *value == VALUE_BLOB ? mem_usable(blob_at(value)) : 0;
}

static void item_copied(void *item)
{
    const uint8_t *value = value_at(item);
    if (*value == VALUE_BLOB)
        blob_ref(blob_at(value));
}

static const struct member_ops item_ops = {
    .size = item_size,
    .done = item_done,
    .outside = item_outside,
    .copied = item_copied,
};

static struct blob *blob_for(struct bytes value, struct blob *shared)
{
    if (shared)
        return blob_ref(shared);
    struct blob *b = blob_new(value.n, value.n);
    memcpy(b->data, value.p, value.n);
    return b;
}

static void write_value(uint8_t *at, struct bytes value, struct blob *shared)
{
    if (value.n >= HASH_BLOB_MIN) {
        struct blob *b = blob_for(value, shared);
        *at = VALUE_BLOB;
        memcpy(at + 1, &b, sizeof b);
        return;
    }
    if (value.n < VALUE_LONG) {
        *at++ = (uint8_t)value.n;
    } else {
        uint16_t n = (uint16_t)value.n;
        *at++ = VALUE_LONG;
        memcpy(at, &n, sizeof n);
        at += sizeof n;
    }
    if (value.n)
        memcpy(at, value.p, value.n);
}

static void *item_new(struct bytes field, struct bytes value, struct blob *shared)
{
    void *item = slab_alloc(member_name_size(field.n) + value_size(value.n));
    write_value(member_write_name(item, field), value, shared);
    return item;
}

/* ---- the table ---- */

static void table_add(struct members *m, uint64_t hash, struct bytes field, struct bytes value,
                      struct blob *shared)
{
    members_insert(m, &item_ops, hash, item_new(field, value, shared));
}

static void table_overwrite(struct members *m, const struct table_at *at, struct bytes value,
                            struct blob *shared)
{
    void *item = table_slot_item(at->bucket, at->slot);
    size_t old = item_size(item), n = member_name_size(member_name(item).n) + value_size(value.n);
    m->item_bytes -= member_memory(&item_ops, item);
    if (block_same_class(old, n)) {
        item_done(item);
        write_value(value_at(item), value, shared);
    } else {
        void *other = item_new(member_name(item), value, shared);
        table_replace(&m->table, at, other, TABLE_NOT_DUE);
        item_done(item);
        slab_free(item, old);
        item = other;
    }
    m->item_bytes += member_memory(&item_ops, item);
}

static bool table_set(struct members *m, struct bytes field, struct bytes value,
                      struct blob *shared)
{
    uint64_t hash = hash_bytes(field);
    struct table_at at;
    if (members_find(m, hash, field, &at)) {
        table_overwrite(m, &at, value, shared);
        return false;
    }
    table_add(m, hash, field, value, shared);
    return true;
}

/* ---- the whole ---- */

struct value_ref hash_new(void)
{
    return (struct value_ref){ lp_new(), ENC_LISTPACK };
}

static void object_free(void *object, enum value_encoding enc)
{
    if (enc == ENC_LISTPACK)
        lp_free(object);
    else if (object)
        members_free(object, &item_ops);
}

static int object_free_some(void *object, enum value_encoding enc, unsigned effort)
{
    if (enc == ENC_HASHTABLE)
        return members_free_some(object, &item_ops, effort);
    object_free(object, enc);
    return true;
}

static void *object_copy(const void *object, enum value_encoding enc)
{
    if (enc == ENC_LISTPACK)
        return lp_copy(object);
    return members_copy(object, &item_ops);
}

static uint64_t object_elements(const void *object, enum value_encoding enc)
{
    if (enc == ENC_LISTPACK)
        return lp_count(object) / 2;
    return ((const struct members *)object)->table.count;
}

static uint64_t object_memory(const void *object, enum value_encoding enc, uint64_t samples)
{
    (void)samples; /* exact figures are kept */
    return enc == ENC_LISTPACK ? lp_memory(object) : members_memory(object);
}

static void digest_part(struct sha1 *h, const struct element *e)
{
    char scratch[ELEMENT_SCRATCH];
    struct bytes s = element_text(e, scratch);
    uint64_t n = s.n; /* lengths keep "ab", "c" and "a", "bc" apart */
    sha1_add(h, bytes_of(&n, sizeof n));
    sha1_add(h, s);
}

static void object_digest(const void *object, enum value_encoding enc, unsigned char ret_bits[20])
{
    struct hash_walk w;
    struct element field, value;
    memset(ret_bits, 0, SHA1_BYTES);
    hash_walk_begin(&w, (struct value_ref){ (void *)object, enc });
    while (hash_walk_next(&w, &field, &value)) {
        struct sha1 h;
        sha1_init(&h);
        digest_part(&h, &field);
        digest_part(&h, &value);
        sha1_done_xor(&h, ret_bits);
    }
}

const struct value_ops hash_value_ops = {
    .free = object_free,
    .free_some = object_free_some,
    .copy = object_copy,
    .elements = object_elements,
    .memory = object_memory,
    .digest = object_digest,
};

void hash_free(struct value_ref hash)
{
    object_free(hash.object, hash.enc);
}

uint64_t hash_count(struct value_ref hash)
{
    return object_elements(hash.object, hash.enc);
}

/* ---- changing the encoding ---- */

static uint64_t listpack_limit(const struct types_limits *limits)
{
    return limits->hash_max_listpack_entries < 0 ? 0 : (uint64_t)limits->hash_max_listpack_entries;
}

static bool listpack_takes(const struct types_limits *limits, size_t n)
{
    return limits->hash_max_listpack_value >= 0 && n <= (uint64_t)limits->hash_max_listpack_value;
}

static void become_table(struct value_ref *hash, uint64_t expected)
{
    uint64_t n = hash_count(*hash);
    struct members *m = members_new(n > expected ? n : expected);
    struct hash_walk w;
    struct element field, value;
    hash_walk_begin(&w, *hash);
    while (hash_walk_next(&w, &field, &value)) {
        char field_scratch[ELEMENT_SCRATCH], value_scratch[ELEMENT_SCRATCH];
        struct bytes name = element_text(&field, field_scratch);
        table_add(m, hash_bytes(name), name, element_text(&value, value_scratch), NULL);
    }
    hash_free(*hash);
    *hash = (struct value_ref){ m, ENC_HASHTABLE };
}

void hash_expect(struct value_ref *hash, const struct bytes *args, size_t n,
                 const struct types_limits *limits)
{
    if (hash->enc != ENC_LISTPACK)
        return;
    size_t bytes = 0;
    bool fits = n / 2 <= listpack_limit(limits);
    for (size_t i = 0; i < n && fits; i++) {
        bytes += args[i].n; /* each is short: no overflow */
        fits = listpack_takes(limits, args[i].n) && lp_fits(hash->object, bytes);
    }
    if (!fits)
        become_table(hash, n / 2 > listpack_limit(limits) ? n / 2 : 0);
}

/* ---- fields ---- */

static uint8_t *listpack_find(const struct value_ref *hash, struct bytes field)
{
    return lp_find(lp_begin(hash->object), field, 1);
}

bool hash_get(struct value_ref hash, struct bytes field, struct element *ret_value)
{
    if (hash.enc == ENC_LISTPACK) {
        const uint8_t *p = listpack_find(&hash, field);
        if (p)
            lp_get(lp_skip(p), ret_value);
        return p != NULL;
    }
    const void *item = members_find(hash.object, hash_bytes(field), field, NULL);
    if (item)
        item_value(item, ret_value);
    return item != NULL;
}

static bool listpack_set(struct value_ref *hash, struct bytes field, struct bytes value,
                         const struct types_limits *limits)
{
    uint8_t *lp = hash->object, *p = listpack_find(hash, field);
    if (p)
        lp_replace(&lp, lp_skip(p), value);
    else
        lp_append_pair(&lp, field, value);
    hash->object = lp;
    if (!p && lp_count(lp) / 2 > listpack_limit(limits))
        become_table(hash, 0);
    return !p;
}

bool hash_set(struct value_ref *hash, struct bytes field, struct bytes value, struct blob *shared,
              const struct types_limits *limits)
{
    if (hash->enc == ENC_LISTPACK) {
        if (listpack_takes(limits, field.n) && listpack_takes(limits, value.n) &&
            lp_fits(hash->object, field.n + value.n + 2 * LP_OVERHEAD_MAX))
            return listpack_set(hash, field, value, limits);
        become_table(hash, 0);
    }
    return table_set(hash->object, field, value, shared);
}

bool hash_delete(struct value_ref *hash, struct bytes field)
{
    if (hash->enc == ENC_LISTPACK) {
        uint8_t *lp = hash->object, *p = listpack_find(hash, field);
        if (!p)
            return false;
        lp_delete(&lp, p, 2);
        hash->object = lp;
        return true;
    }
    struct table_at at;
    if (!members_find(hash->object, hash_bytes(field), field, &at))
        return false;
    members_remove(hash->object, &item_ops, &at);
    return true;
}

/* ---- walking ---- */

static void elements_of(const void *item, struct element *ret_field, struct element *ret_value)
{
    *ret_field = (struct element){ .s = member_name(item) };
    item_value(item, ret_value);
}

void hash_walk_begin(struct hash_walk *w, struct value_ref hash)
{
    w->hash = hash;
    if (hash.enc == ENC_LISTPACK)
        w->p = lp_begin(hash.object);
    else
        members_walk_begin(&w->members, hash.object);
}

bool hash_walk_next(struct hash_walk *w, struct element *ret_field, struct element *ret_value)
{
    if (w->hash.enc == ENC_LISTPACK) {
        if (lp_is_end(w->p))
            return false;
        lp_get(w->p, ret_field);
        w->p = lp_skip(w->p);
        lp_get(w->p, ret_value);
        w->p = lp_skip(w->p);
        return true;
    }
    const void *item = members_walk_next(&w->members);
    if (item)
        elements_of(item, ret_field, ret_value);
    return item != NULL;
}

struct visitor {
    hash_visit *visit;
    void *ctx;
};

static void visit_item(void *ctx, void *item)
{
    const struct visitor *v = ctx;
    struct element field, value;
    elements_of(item, &field, &value);
    v->visit(v->ctx, &field, &value);
}

uint64_t hash_scan(struct value_ref hash, uint64_t cursor, hash_visit *visit, void *ctx)
{
    if (hash.enc == ENC_HASHTABLE) {
        struct visitor v = { visit, ctx };
        return table_scan(&((struct members *)hash.object)->table, cursor, visit_item, &v);
    }
    struct hash_walk w;
    struct element field, value;
    hash_walk_begin(&w, hash);
    while (hash_walk_next(&w, &field, &value))
        visit(ctx, &field, &value);
    return 0;
}

/* ---- choosing ---- */

void hash_random(struct value_ref hash, struct prng *r, struct element *ret_field,
                 struct element *ret_value)
{
    uint64_t n = hash_count(hash);
    ASSERT(n > 0);
    if (hash.enc == ENC_HASHTABLE) {
        elements_of(table_random(&((struct members *)hash.object)->table, r), ret_field, ret_value);
        return;
    }
    const uint8_t *p = lp_seek(hash.object, (int64_t)(2 * prng_below(r, n)));
    lp_get(p, ret_field);
    lp_get(lp_skip(p), ret_value);
}

void hash_pick(struct value_ref hash, uint64_t k, struct prng *r, hash_visit *visit, void *ctx)
{
    if (hash.enc == ENC_HASHTABLE) {
        struct visitor v = { visit, ctx };
        members_pick(hash.object, k, r, visit_item, &v);
        return;
    }
    struct choice c = { k, hash_count(hash) };
    ASSERT(k <= c.left);
    struct hash_walk w;
    struct element field, value;
    hash_walk_begin(&w, hash);
    while (c.wanted && hash_walk_next(&w, &field, &value)) {
        if (choice_next(&c, r))
            visit(ctx, &field, &value);
    }
}

/* ---- from outside ---- */

bool hash_load_listpack(struct bytes b, const struct types_limits *limits,
                        struct value_ref *ret_hash)
{
    struct lp_facts facts;
    if (!lp_validate(b, &facts) || facts.count % 2 != 0)
        return false;
    struct value_ref hash = { lp_from_bytes(b, &facts), ENC_LISTPACK };
    if (lp_has_duplicates(hash.object, 2)) {
        hash_free(hash);
        return false;
    }
    if (facts.count / 2 > listpack_limit(limits) || !listpack_takes(limits, facts.text_max))
        become_table(&hash, 0);
    *ret_hash = hash;
    return true;
}
