/* See zset.h. Whole values, members and their scores; order and walking are zset_range.c. */
#include "server/types/zset.h"

#include <math.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/num.h"
#include "common/sha.h"
#include "common/slab.h"
#include "server/types/zset_inner.h"

/* ---- items ---- */

static size_t item_size(const void *item)
{
    return member_name_size(member_name(item).n) + sizeof(double);
}

static const struct member_ops item_ops = { .size = item_size };

double zset_item_score(const void *item)
{
    struct bytes name = member_name(item);
    double score;
    memcpy(&score, name.p + name.n, sizeof score);
    return score;
}

void zset_item_set_score(void *item, double score)
{
    struct bytes name = member_name(item);
    memcpy((char *)name.p + name.n, &score, sizeof score);
}

static void *item_new(struct bytes member, double score)
{
    void *item = slab_alloc(member_name_size(member.n) + sizeof score);
    memcpy(member_write_name(item, member), &score, sizeof score);
    return item;
}

/* ---- the whole ---- */

static uint64_t listpack_limit(const struct types_limits *limits)
{
    return limits->zset_max_listpack_entries < 0 ? 0 : (uint64_t)limits->zset_max_listpack_entries;
}

static bool listpack_takes(const struct types_limits *limits, size_t member_n)
{
    return limits->zset_max_listpack_value >= 0 &&
           member_n <= (uint64_t)limits->zset_max_listpack_value;
}

static struct zset *table_new(struct members *take)
{
    struct zset *z = slab_alloc(sizeof *z);
    z->members = take;
    ztree_init(&z->tree);
    return z;
}

struct value_ref zset_new(void)
{
    return (struct value_ref){ lp_new(), ENC_LISTPACK };
}

struct value_ref zset_new_for(uint64_t n, size_t member_max, const struct types_limits *limits)
{
    if (n <= listpack_limit(limits) && listpack_takes(limits, member_max))
        return zset_new();
    return (struct value_ref){ table_new(members_new(n)), ENC_SKIPLIST };
}

static int object_free_some(void *object, enum value_encoding enc, unsigned effort)
{
    if (enc == ENC_LISTPACK) {
        lp_free(object);
        return true;
    }
    struct zset *z = object;
    if (z->members) {
        if (!members_free_some(z->members, &item_ops, effort))
            return false;
        z->members = NULL;
    }
    if (!ztree_free_some(&z->tree, effort))
        return false;
    slab_free(z, sizeof *z);
    return true;
}

static void object_free(void *object, enum value_encoding enc)
{
    while (object && !object_free_some(object, enc, UINT32_MAX))
        ;
}

static void *object_copy(const void *object, enum value_encoding enc)
{
    if (enc == ENC_LISTPACK)
        return lp_copy(object);
    const struct zset *from = object;
    struct zset *to = table_new(members_new(from->tree.count));
    struct zset_walk w;
    struct element member;
    double score;
    zset_walk_begin(&w, (struct value_ref){ (void *)object, enc }, 0, false);
    while (zset_walk_next(&w, &member, &score)) {
        void *item = item_new(member.s, score);
        members_insert(to->members, &item_ops, hash_bytes(member.s), item);
        ztree_append(&to->tree, score, item);
    }
    return to;
}

static uint64_t object_elements(const void *object, enum value_encoding enc)
{
    if (enc == ENC_LISTPACK)
        return lp_count(object) / 2;
    return ((const struct zset *)object)->tree.count;
}

static uint64_t object_memory(const void *object, enum value_encoding enc, uint64_t samples)
{
    (void)samples; /* exact figures are kept */
    if (enc == ENC_LISTPACK)
        return lp_memory(object);
    const struct zset *z = object;
    return slab_good_size(sizeof *z) + members_memory(z->members) + ztree_memory(&z->tree);
}

static void object_digest(const void *object, enum value_encoding enc, unsigned char ret_bits[20])
{
    struct zset_walk w;
    struct element member;
    double score;
    memset(ret_bits, 0, SHA1_BYTES);
    zset_walk_begin(&w, (struct value_ref){ (void *)object, enc }, 0, false);
    while (zset_walk_next(&w, &member, &score)) {
        char scratch[ELEMENT_SCRATCH];
        struct sha1 h;
        score = score == 0 ? 0 : score; /* a listpack does not know -0 */
        sha1_init(&h);
        sha1_add(&h, bytes_of(&score, sizeof score));
        sha1_add(&h, element_text(&member, scratch));
        sha1_done_xor(&h, ret_bits);
    }
}

const struct value_ops zset_value_ops = {
    .free = object_free,
    .free_some = object_free_some,
    .copy = object_copy,
    .elements = object_elements,
    .memory = object_memory,
    .digest = object_digest,
};

void zset_free(struct value_ref zset)
{
    object_free(zset.object, zset.enc);
}

uint64_t zset_count(struct value_ref zset)
{
    return object_elements(zset.object, zset.enc);
}

static void become_table(struct value_ref *zset, uint64_t expected)
{
    uint64_t n = zset_count(*zset);
    struct zset *z = table_new(members_new(n > expected ? n : expected));
    struct zset_walk w;
    struct element member;
    double score;
    zset_walk_begin(&w, *zset, 0, false);
    while (zset_walk_next(&w, &member, &score)) {
        char scratch[ELEMENT_SCRATCH];
        struct bytes name = element_text(&member, scratch);
        void *item = item_new(name, score);
        members_insert(z->members, &item_ops, hash_bytes(name), item);
        ztree_append(&z->tree, score, item);
    }
    zset_free(*zset);
    *zset = (struct value_ref){ z, ENC_SKIPLIST };
}

void zset_expect(struct value_ref *zset, uint64_t n, size_t member_max,
                 const struct types_limits *limits)
{
    if (zset->enc == ENC_LISTPACK &&
        (n > listpack_limit(limits) || !listpack_takes(limits, member_max)))
        become_table(zset, n);
}

/* ---- members of a listpack ---- */

static uint8_t *listpack_find(const void *lp, struct bytes member)
{
    return lp_find(lp_begin(lp), member, 1);
}

/* Where a new pair belongs. */
static uint8_t *listpack_place(const uint8_t *lp, double score, struct bytes member)
{
    uint8_t *p = lp_begin(lp);
    while (!lp_is_end(p)) {
        uint8_t *value = lp_skip(p);
        double other = zset_lp_score(value);
        if (other > score)
            break;
        if (other == score) {
            struct element e;
            char scratch[ELEMENT_SCRATCH];
            lp_get(p, &e);
            if (bytes_cmp(element_text(&e, scratch), member) > 0)
                break;
        }
        p = lp_skip(value);
    }
    return p;
}

static void listpack_insert(uint8_t **lp, double score, struct bytes member)
{
    char text[NUM_DOUBLE_MAX];
    uint8_t *at = listpack_place(*lp, score, member);
    struct bytes value = score == 0 ? BYTES("0") : bytes_of(text, num_format_double(text, score));
    lp_insert_pair(lp, at, member, value);
}

/* ---- adding ---- */

/* What becomes of a member that is there. */
static enum zset_added judge(double old, double *score, unsigned flags)
{
    if (flags & ZSET_NX)
        return ZSET_REFUSED;
    if (flags & ZSET_INCR) {
        *score += old;
        if (isnan(*score))
            return ZSET_NAN;
    }
    if (((flags & ZSET_LT) && *score >= old) || ((flags & ZSET_GT) && *score <= old))
        return ZSET_REFUSED;
    return *score == old ? ZSET_SAME : ZSET_UPDATED;
}

static enum zset_added listpack_update(struct value_ref *zset, uint8_t *p, double *score,
                                       struct bytes member, unsigned flags)
{
    uint8_t *lp = zset->object;
    enum zset_added added = judge(zset_lp_score(lp_skip(p)), score, flags);
    if (added != ZSET_UPDATED)
        return added;
    lp_delete(&lp, p, 2);
    listpack_insert(&lp, *score, member);
    zset->object = lp;
    return added;
}

static enum zset_added table_add(struct zset *z, double *score, struct bytes member, unsigned flags)
{
    uint64_t hash = hash_bytes(member);
    void *item = members_find(z->members, hash, member, NULL);
    if (!item) {
        if (flags & ZSET_XX)
            return ZSET_REFUSED;
        item = item_new(member, *score);
        members_insert(z->members, &item_ops, hash, item);
        ztree_insert(&z->tree, *score, item);
        return ZSET_ADDED;
    }
    double old = zset_item_score(item);
    enum zset_added added = judge(old, score, flags);
    if (added == ZSET_UPDATED) {
        ztree_rescore(&z->tree, old, *score, item);
        zset_item_set_score(item, *score);
    }
    return added;
}

static enum zset_added add(struct value_ref *zset, double *score, struct bytes member,
                           unsigned flags, const struct types_limits *limits)
{
    if (zset->enc == ENC_LISTPACK) {
        uint8_t *lp = zset->object, *p = listpack_find(lp, member);
        if (p)
            return listpack_update(zset, p, score, member, flags);
        if (flags & ZSET_XX)
            return ZSET_REFUSED;
        if (lp_count(lp) / 2 < listpack_limit(limits) && listpack_takes(limits, member.n) &&
            lp_fits(lp, member.n + NUM_DOUBLE_MAX + 2 * LP_OVERHEAD_MAX)) {
            listpack_insert(&lp, *score, member);
            zset->object = lp;
            return ZSET_ADDED;
        }
        become_table(zset, zset_count(*zset) + 1);
    }
    return table_add(zset->object, score, member, flags);
}

enum zset_added zset_add(struct value_ref *zset, double score, struct bytes member, unsigned flags,
                         const struct types_limits *limits, double *ret_score)
{
    ASSERT(!isnan(score));
    enum zset_added added = add(zset, &score, member, flags, limits);
    if (added != ZSET_REFUSED && added != ZSET_NAN)
        *ret_score = score;
    return added;
}

void zset_drop_item(struct zset *z, void *item)
{
    struct table_at at = table_locate(&z->members->table, hash_bytes(member_name(item)), item);
    members_remove(z->members, &item_ops, &at);
}

bool zset_remove(struct value_ref *zset, struct bytes member)
{
    if (zset->enc == ENC_LISTPACK) {
        uint8_t *lp = zset->object, *p = listpack_find(lp, member);
        if (!p)
            return false;
        lp_delete(&lp, p, 2);
        zset->object = lp;
        return true;
    }
    struct zset *z = zset->object;
    struct table_at at;
    void *item = zset_find(z, member, &at);
    if (!item)
        return false;
    ztree_remove(&z->tree, zset_item_score(item), item);
    members_remove(z->members, &item_ops, &at);
    return true;
}

bool zset_score(struct value_ref zset, struct bytes member, double *ret_score)
{
    if (zset.enc == ENC_LISTPACK) {
        uint8_t *p = listpack_find(zset.object, member);
        if (p)
            *ret_score = zset_lp_score(lp_skip(p));
        return p != NULL;
    }
    const void *item = zset_find(zset.object, member, NULL);
    if (item)
        *ret_score = zset_item_score(item);
    return item != NULL;
}

/* ---- building ---- */

void zset_build_begin(struct zset_build *b, uint64_t expected)
{
    *b = (struct zset_build){ .members = members_new(expected) };
}

void *zset_build_find(const struct zset_build *b, uint64_t hash, struct bytes member)
{
    return members_find(b->members, hash, member, NULL);
}

void zset_build_add(struct zset_build *b, uint64_t hash, struct bytes member, double score)
{
    members_insert(b->members, &item_ops, hash, item_new(member, score));
    if (member.n > b->name_max)
        b->name_max = member.n;
}

uint64_t zset_build_count(const struct zset_build *b)
{
    return b->members->table.count;
}

struct placed {
    uint64_t key; /* orders as the score does */
    void *item;
};

/* The bits of a double as a number that orders as the double does; both zeros are equal. */
static uint64_t order_key(double score)
{
    uint64_t bits;
    score = score == 0 ? 0 : score;
    memcpy(&bits, &score, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static int by_name(const void *a, const void *b)
{
    return bytes_cmp(member_name(((const struct placed *)a)->item),
                     member_name(((const struct placed *)b)->item));
}

static int by_key_and_name(const void *a, const void *b)
{
    uint64_t x = ((const struct placed *)a)->key, y = ((const struct placed *)b)->key;
    return x != y ? (x > y) - (x < y) : by_name(a, b);
}

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, RADIX_FROM = 512 };

/* One pass of a radix sort. False: all have the same digit, nothing was moved. */
static bool sort_by_digit(const struct placed *from, struct placed *to, size_t n, unsigned shift)
{
    uint32_t at[DIGITS] = { 0 };
    for (size_t i = 0; i < n; i++)
        at[from[i].key >> shift & (DIGITS - 1)]++;
    if (at[from[0].key >> shift & (DIGITS - 1)] == n)
        return false;
    uint32_t sum = 0;
    for (unsigned d = 0; d < DIGITS; d++) {
        uint32_t count = at[d];
        at[d] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++)
        to[at[from[i].key >> shift & (DIGITS - 1)]++] = from[i];
    return true;
}

/* Into the order of the set. `all` has room for 2n; gives where the result is. */
static struct placed *sort_placed(struct placed *all, size_t n)
{
    struct placed *from = all, *to = all + n;
    if (n < RADIX_FROM) {
        qsort(all, n, sizeof *all, by_key_and_name);
        return all;
    }
    for (unsigned shift = 0; shift < 64 && n > 1; shift += DIGIT_BITS) {
        if (!sort_by_digit(from, to, n, shift))
            continue;
        struct placed *t = from;
        from = to;
        to = t;
    }
    for (size_t i = 0, end; i < n; i = end) { /* equal scores: by name */
        for (end = i + 1; end < n && from[end].key == from[i].key; end++)
            ;
        if (end - i > 1)
            qsort(from + i, end - i, sizeof *from, by_name);
    }
    return from;
}

struct value_ref zset_build_end(struct zset_build *b, const struct types_limits *limits)
{
    size_t n = zset_build_count(b), i = 0;
    ASSERT(n < UINT32_MAX);
    struct placed *all = mem_alloc((2 * n + 1) * sizeof *all);
    struct members_walk w;
    members_walk_begin(&w, b->members);
    for (void *item; (item = members_walk_next(&w)); i++)
        all[i] = (struct placed){ order_key(zset_item_score(item)), item };
    ASSERT(i == n);
    const struct placed *sorted = sort_placed(all, n);

    struct value_ref zset;
    if (limits && n <= listpack_limit(limits) && listpack_takes(limits, b->name_max) &&
        (b->name_max + NUM_DOUBLE_MAX + 2 * LP_OVERHEAD_MAX) < LP_MAX / (n + 1)) {
        uint8_t *lp = lp_new();
        for (i = 0; i < n; i++) {
            char text[NUM_DOUBLE_MAX];
            double score = zset_item_score(sorted[i].item);
            lp_append_pair(&lp, member_name(sorted[i].item),
                           score == 0 ? BYTES("0")
                                      : bytes_of(text, num_format_double(text, score)));
        }
        members_free(b->members, &item_ops);
        zset = (struct value_ref){ lp, ENC_LISTPACK };
    } else {
        struct zset *z = table_new(b->members);
        for (i = 0; i < n; i++)
            ztree_append(&z->tree, zset_item_score(sorted[i].item), sorted[i].item);
        zset = (struct value_ref){ z, ENC_SKIPLIST };
    }
    mem_free(all);
    b->members = NULL;
    return zset;
}

/* ---- from outside ---- */

static bool scores_are_numbers(const uint8_t *lp)
{
    for (const uint8_t *p = lp_begin(lp); !lp_is_end(p); p = lp_skip(p)) {
        struct element value;
        double score;
        p = lp_skip(p);
        lp_get(p, &value);
        if (value.s.p && !num_parse_double(value.s, &score))
            return false;
    }
    return true;
}

/* Whether scores ascend, and the members of equal scores too. */
static bool listpack_in_order(const uint8_t *lp)
{
    struct element last = { .i = 0 };
    char text[ELEMENT_SCRATCH], last_text[ELEMENT_SCRATCH];
    double last_score = -INFINITY;
    bool first = true;
    for (const uint8_t *p = lp_begin(lp); !lp_is_end(p);) {
        struct element member;
        lp_get(p, &member);
        p = lp_skip(p);
        double score = zset_lp_score(p);
        p = lp_skip(p);
        if (score < last_score)
            return false;
        if (!first && score == last_score &&
            bytes_cmp(element_text(&last, last_text), element_text(&member, text)) >= 0)
            return false;
        last_score = score;
        last = member;
        first = false;
    }
    return true;
}

static struct value_ref rebuild(const uint8_t *lp, const struct types_limits *limits)
{
    struct zset_build b;
    zset_build_begin(&b, lp_count(lp) / 2);
    for (const uint8_t *p = lp_begin(lp); !lp_is_end(p);) {
        struct element member;
        char text[ELEMENT_SCRATCH];
        lp_get(p, &member);
        p = lp_skip(p);
        struct bytes name = element_text(&member, text);
        zset_build_add(&b, hash_bytes(name), name, zset_lp_score(p));
        p = lp_skip(p);
    }
    return zset_build_end(&b, limits);
}

bool zset_load_listpack(struct bytes b, const struct types_limits *limits,
                        struct value_ref *ret_zset)
{
    struct lp_facts facts;
    if (!lp_validate(b, &facts) || facts.count % 2 != 0)
        return false;
    uint8_t *lp = lp_from_bytes(b, &facts);
    if (lp_has_duplicates(lp, 2) || !scores_are_numbers(lp)) {
        lp_free(lp);
        return false;
    }
    if (facts.count / 2 <= listpack_limit(limits) && listpack_takes(limits, facts.text_max) &&
        listpack_in_order(lp)) {
        *ret_zset = (struct value_ref){ lp, ENC_LISTPACK };
        return true;
    }
    *ret_zset = rebuild(lp, limits);
    lp_free(lp);
    return true;
}
