/* See set.h. Which encoding a set has, and when it changes:
 *
 *   intset    only integers, up to set-max-intset-entries; one more integer makes it a table,
 *             anything else a listpack if that may have so many members of such lengths
 *   listpack  up to set-max-listpack-entries members of up to set-max-listpack-value bytes
 *   table     the rest */
#include "server/types/set.h"

#include "common/alloc.h"
#include "common/num.h"
#include "common/sha.h"
#include "common/slab.h"
#include "server/types/intset.h"

/* ---- items of the table: names and nothing else ---- */

static size_t item_size(const void *item)
{
    return member_name_size(member_name(item).n);
}

static const struct member_ops item_ops = { .size = item_size };

static void table_add(struct members *m, uint64_t hash, struct bytes member)
{
    void *item = slab_alloc(member_name_size(member.n));
    member_write_name(item, member);
    members_insert(m, &item_ops, hash, item);
}

/* ---- the whole ---- */

static uint64_t intset_limit(const struct types_limits *limits)
{
    uint64_t max =
        limits->set_max_intset_entries < 0 ? 0 : (uint64_t)limits->set_max_intset_entries;
    return max < INTSET_MAX ? max : INTSET_MAX - 1;
}

static uint64_t listpack_limit(const struct types_limits *limits)
{
    return limits->set_max_listpack_entries < 0 ? 0 : (uint64_t)limits->set_max_listpack_entries;
}

static bool listpack_takes(const struct types_limits *limits, size_t member_n)
{
    return limits->set_max_listpack_value >= 0 &&
           member_n <= (uint64_t)limits->set_max_listpack_value;
}

struct value_ref set_new(void)
{
    return (struct value_ref){ intset_new(), ENC_INTSET };
}

struct value_ref set_new_for(struct bytes first, uint64_t n, const struct types_limits *limits)
{
    int64_t v;
    if (num_parse_i64(first, &v) && n <= intset_limit(limits))
        return set_new();
    if (n <= listpack_limit(limits))
        return (struct value_ref){ lp_new(), ENC_LISTPACK };
    return (struct value_ref){ members_new(n), ENC_HASHTABLE };
}

struct value_ref set_new_large(uint64_t n, const struct types_limits *limits)
{
    if (n <= intset_limit(limits) || n <= listpack_limit(limits))
        return set_new();
    return (struct value_ref){ members_new(n), ENC_HASHTABLE };
}

static void object_free(void *object, enum value_encoding enc)
{
    if (enc == ENC_INTSET)
        intset_free(object);
    else if (enc == ENC_LISTPACK)
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
    if (enc == ENC_INTSET)
        return intset_copy(object);
    if (enc == ENC_LISTPACK)
        return lp_copy(object);
    return members_copy(object, &item_ops);
}

static uint64_t object_elements(const void *object, enum value_encoding enc)
{
    if (enc == ENC_INTSET)
        return intset_count(object);
    if (enc == ENC_LISTPACK)
        return lp_count(object);
    return ((const struct members *)object)->table.count;
}

static uint64_t object_memory(const void *object, enum value_encoding enc, uint64_t samples)
{
    (void)samples; /* exact figures are kept */
    if (enc == ENC_INTSET)
        return intset_memory(object);
    if (enc == ENC_LISTPACK)
        return lp_memory(object);
    return members_memory(object);
}

static void object_digest(const void *object, enum value_encoding enc, unsigned char ret_bits[20])
{
    struct set_walk w;
    struct element e;
    memset(ret_bits, 0, SHA1_BYTES);
    set_walk_begin(&w, (struct value_ref){ (void *)object, enc });
    while (set_walk_next(&w, &e)) {
        char scratch[ELEMENT_SCRATCH];
        struct sha1 h;
        sha1_init(&h);
        sha1_add(&h, element_text(&e, scratch));
        sha1_done_xor(&h, ret_bits);
    }
}

const struct value_ops set_value_ops = {
    .free = object_free,
    .free_some = object_free_some,
    .copy = object_copy,
    .elements = object_elements,
    .memory = object_memory,
    .digest = object_digest,
};

void set_free(struct value_ref set)
{
    object_free(set.object, set.enc);
}

uint64_t set_count(struct value_ref set)
{
    return object_elements(set.object, set.enc);
}

/* ---- changing the encoding ---- */

static void become_table(struct value_ref *set, uint64_t expected)
{
    uint64_t n = set_count(*set);
    struct members *m = members_new(n > expected ? n : expected);
    struct set_walk w;
    struct element e;
    set_walk_begin(&w, *set);
    while (set_walk_next(&w, &e)) {
        char scratch[ELEMENT_SCRATCH];
        struct bytes member = element_text(&e, scratch);
        table_add(m, hash_bytes(member), member);
    }
    set_free(*set);
    *set = (struct value_ref){ m, ENC_HASHTABLE };
}

static void become_listpack(struct value_ref *set)
{
    struct intset *s = set->object;
    uint8_t *lp = lp_new();
    for (uint32_t i = 0; i < intset_count(s); i++)
        lp_append_i64(&lp, intset_at(s, i));
    intset_free(s);
    *set = (struct value_ref){ lp, ENC_LISTPACK };
}

/* Longest text of an intset's members: that of one of its ends. */
static size_t intset_text_max(const struct intset *s)
{
    uint32_t n = intset_count(s);
    if (n == 0)
        return 0;
    unsigned first = num_len_i64(intset_at(s, 0)), last = num_len_i64(intset_at(s, n - 1));
    return first > last ? first : last;
}

/* An intset gets a member that is no integer. */
static void leave_intset(struct value_ref *set, size_t member_n, const struct types_limits *limits)
{
    const struct intset *s = set->object;
    uint64_t n = intset_count(s);
    if (n < listpack_limit(limits) && listpack_takes(limits, member_n) &&
        listpack_takes(limits, intset_text_max(s)))
        become_listpack(set);
    else
        become_table(set, n + 1);
}

/* ---- members ---- */

static bool intset_has_bytes(const struct intset *s, struct bytes member)
{
    int64_t v;
    return num_parse_i64(member, &v) && intset_has(s, v);
}

bool set_has(struct value_ref set, struct bytes member)
{
    if (set.enc == ENC_INTSET)
        return intset_has_bytes(set.object, member);
    if (set.enc == ENC_LISTPACK)
        return lp_find(lp_begin(set.object), member, 0) != NULL;
    return members_find(set.object, hash_bytes(member), member, NULL) != NULL;
}

bool set_has_element(struct value_ref set, const struct element *member)
{
    if (set.enc == ENC_INTSET && !member->s.p)
        return intset_has(set.object, member->i);
    char scratch[ELEMENT_SCRATCH];
    return set_has(set, element_text(member, scratch));
}

static bool table_add_new(struct members *m, uint64_t hash, struct bytes member)
{
    if (members_find(m, hash, member, NULL))
        return false;
    table_add(m, hash, member);
    return true;
}

/* True when it is an intset still (or was, and the member is dealt with). */
static bool add_to_intset(struct value_ref *set, int64_t v, const struct types_limits *limits)
{
    struct intset *s = set->object;
    bool added = intset_add(&s, v);
    set->object = s;
    if (added && intset_count(s) > intset_limit(limits))
        become_table(set, 0);
    return added;
}

static bool add_to_listpack(struct value_ref *set, struct bytes member,
                            const struct types_limits *limits)
{
    uint8_t *lp = set->object;
    if (lp_find(lp_begin(lp), member, 0))
        return false;
    if (lp_count(lp) < listpack_limit(limits) && listpack_takes(limits, member.n) &&
        lp_fits(lp, member.n + LP_OVERHEAD_MAX)) {
        lp_append(&lp, member);
        set->object = lp;
        return true;
    }
    become_table(set, set_count(*set) + 1);
    table_add(set->object, hash_bytes(member), member);
    return true;
}

bool set_add(struct value_ref *set, struct bytes member, const struct types_limits *limits)
{
    if (set->enc == ENC_INTSET) {
        int64_t v;
        if (num_parse_i64(member, &v))
            return add_to_intset(set, v, limits);
        leave_intset(set, member.n, limits);
    }
    if (set->enc == ENC_LISTPACK)
        return add_to_listpack(set, member, limits);
    return table_add_new(set->object, hash_bytes(member), member);
}

bool set_remove(struct value_ref *set, struct bytes member)
{
    if (set->enc == ENC_INTSET) {
        struct intset *s = set->object;
        int64_t v;
        bool removed = num_parse_i64(member, &v) && intset_remove(&s, v);
        set->object = s;
        return removed;
    }
    if (set->enc == ENC_LISTPACK) {
        uint8_t *lp = set->object, *p = lp_find(lp_begin(lp), member, 0);
        if (!p)
            return false;
        lp_delete(&lp, p, 1);
        set->object = lp;
        return true;
    }
    struct table_at at;
    if (!members_find(set->object, hash_bytes(member), member, &at))
        return false;
    members_remove(set->object, &item_ops, &at);
    return true;
}

void set_expect(struct value_ref *set, uint64_t n, const struct types_limits *limits)
{
    if ((set->enc == ENC_INTSET && n > intset_limit(limits)) ||
        (set->enc == ENC_LISTPACK && n > listpack_limit(limits)))
        become_table(set, n);
}

void set_settle(struct value_ref *set, const struct types_limits *limits)
{
    if (set->enc == ENC_INTSET || set_count(*set) > intset_limit(limits))
        return;
    struct intset *s = intset_new();
    struct set_walk w;
    struct element e;
    set_walk_begin(&w, *set);
    while (set_walk_next(&w, &e)) {
        int64_t v;
        if (!element_i64(&e, &v)) {
            intset_free(s);
            return;
        }
        intset_add(&s, v);
    }
    set_free(*set);
    *set = (struct value_ref){ s, ENC_INTSET };
}

/* ---- walking ---- */

static void element_int(struct element *e, int64_t v)
{
    *e = (struct element){ .i = v };
}

static void element_item(struct element *e, const void *item)
{
    *e = (struct element){ .s = member_name(item) };
}

void set_walk_begin(struct set_walk *w, struct value_ref set)
{
    w->set = set;
    if (set.enc == ENC_INTSET)
        w->index = 0;
    else if (set.enc == ENC_LISTPACK)
        w->p = lp_begin(set.object);
    else
        members_walk_begin(&w->members, set.object);
}

static inline bool walk_next(struct set_walk *w, struct element *ret)
{
    if (w->set.enc == ENC_HASHTABLE) {
        const void *item = members_walk_next(&w->members);
        if (!item)
            return false;
        element_item(ret, item);
        return true;
    }
    if (w->set.enc == ENC_LISTPACK) {
        if (lp_is_end(w->p))
            return false;
        lp_get(w->p, ret);
        w->p = lp_skip(w->p);
        return true;
    }
    if (w->index == intset_count(w->set.object))
        return false;
    element_int(ret, intset_at(w->set.object, w->index++));
    return true;
}

bool set_walk_next(struct set_walk *w, struct element *ret_member)
{
    return walk_next(w, ret_member);
}

struct visitor {
    void (*visit)(void *ctx, const struct element *member);
    void *ctx;
};

static void visit_item(void *ctx, void *item)
{
    const struct visitor *v = ctx;
    struct element e;
    element_item(&e, item);
    v->visit(v->ctx, &e);
}

uint64_t set_scan(struct value_ref set, uint64_t cursor,
                  void (*visit)(void *ctx, const struct element *member), void *ctx)
{
    if (set.enc == ENC_HASHTABLE) {
        struct visitor v = { visit, ctx };
        return table_scan(&((struct members *)set.object)->table, cursor, visit_item, &v);
    }
    struct set_walk w;
    struct element e;
    set_walk_begin(&w, set);
    while (set_walk_next(&w, &e))
        visit(ctx, &e);
    return 0;
}

/* ---- choosing ---- */

void set_random(struct value_ref set, struct prng *r, struct element *ret_member)
{
    uint64_t n = set_count(set);
    ASSERT(n > 0);
    if (set.enc == ENC_INTSET)
        element_int(ret_member, intset_at(set.object, (uint32_t)prng_below(r, n)));
    else if (set.enc == ENC_LISTPACK)
        lp_get(lp_seek(set.object, (int64_t)prng_below(r, n)), ret_member);
    else
        element_item(ret_member, table_random(&((struct members *)set.object)->table, r));
}

void set_pick(struct value_ref set, uint64_t k, struct prng *r,
              void (*visit)(void *ctx, const struct element *member), void *ctx)
{
    if (set.enc == ENC_HASHTABLE) {
        struct visitor v = { visit, ctx };
        members_pick(set.object, k, r, visit_item, &v);
        return;
    }
    struct choice c = { k, set_count(set) };
    ASSERT(k <= c.left);
    struct set_walk w;
    struct element e;
    set_walk_begin(&w, set);
    while (c.wanted && set_walk_next(&w, &e)) {
        if (choice_next(&c, r))
            visit(ctx, &e);
    }
}

/* ---- many at once ---- */

bool set_walk_batch(struct set_walk *w, struct set_batch *b)
{
    b->hashed = false;
    for (b->n = 0; b->n < SET_BATCH && walk_next(w, &b->member[b->n]);)
        b->n++;
    return b->n > 0;
}

static void batch_hash(struct set_batch *b)
{
    if (b->hashed)
        return;
    for (unsigned i = 0; i < b->n; i++) {
        b->text[i] = element_text(&b->member[i], b->scratch[i]);
        b->hash[i] = hash_bytes(b->text[i]);
    }
    b->hashed = true;
}

/* Bits are taken from the lowest to the highest. */
static inline unsigned lowest(uint32_t bits)
{
    return (unsigned)__builtin_ctz(bits);
}

static uint32_t probe_table(const struct members *m, struct set_batch *b, uint32_t which)
{
    uint32_t there = 0;
    batch_hash(b);
    for (uint32_t left = which; left; left &= left - 1)
        table_prefetch_bucket(&m->table, b->hash[lowest(left)]);
    for (uint32_t left = which; left; left &= left - 1)
        table_prefetch_item(&m->table, b->hash[lowest(left)]);
    for (uint32_t left = which; left; left &= left - 1) {
        unsigned i = lowest(left);
        there |= (uint32_t)(members_find(m, b->hash[i], b->text[i], NULL) != NULL) << i;
    }
    return there;
}

uint32_t set_probe(struct value_ref set, struct set_batch *b, uint32_t which)
{
    if (set.enc == ENC_HASHTABLE)
        return probe_table(set.object, b, which);
    uint32_t there = 0;
    for (uint32_t left = which; left; left &= left - 1)
        there |= (uint32_t)set_has_element(set, &b->member[lowest(left)]) << lowest(left);
    return there;
}

/* Adds member i of a batch; true when it is new. */
static bool add_of_batch(struct value_ref *set, struct set_batch *b, unsigned i,
                         const struct types_limits *limits)
{
    const struct element *e = &b->member[i];
    if (set->enc == ENC_HASHTABLE && b->hashed)
        return table_add_new(set->object, b->hash[i], b->text[i]);
    if (set->enc == ENC_INTSET && !e->s.p)
        return add_to_intset(set, e->i, limits);
    return set_add(set, element_text(e, b->scratch[i]), limits);
}

uint32_t set_add_batch(struct value_ref *set, struct set_batch *b, uint32_t which,
                       const struct types_limits *limits)
{
    uint32_t added = 0;
    if (set->enc == ENC_HASHTABLE)
        batch_hash(b);
    for (uint32_t left = which; left; left &= left - 1)
        added |= (uint32_t)add_of_batch(set, b, lowest(left), limits) << lowest(left);
    return added;
}

void set_gather_batch(struct set_gather *g, const struct set_batch *b, uint32_t which)
{
    if (g->cap - g->n < SET_BATCH) {
        g->cap = g->cap ? 2 * g->cap : (size_t)4 * SET_BATCH;
        g->v = mem_realloc(g->v, g->cap * sizeof *g->v);
    }
    for (uint32_t left = which; left; left &= left - 1) {
        const struct element *e = &b->member[lowest(left)];
        g->v[g->n++] = (struct gathered){ e->s, e->i };
    }
}

struct value_ref set_gather_done(struct set_gather *g, struct value_ref set,
                                 const struct types_limits *limits)
{
    if (g->n > intset_limit(limits) && g->n > listpack_limit(limits)) {
        set_free(set);
        set = (struct value_ref){ members_new(g->n), ENC_HASHTABLE };
    }
    for (size_t i = 0; i < g->n; i++) {
        struct element e = { .s = g->v[i].s, .i = g->v[i].i };
        char scratch[ELEMENT_SCRATCH];
        struct bytes member = element_text(&e, scratch);
        if (set.enc == ENC_HASHTABLE)
            table_add(set.object, hash_bytes(member), member);
        else
            set_add(&set, member, limits);
    }
    mem_free(g->v);
    *g = (struct set_gather){ 0 };
    return set;
}

/* ---- from outside ---- */

bool set_load_intset(struct bytes b, const struct types_limits *limits, struct value_ref *ret_set)
{
    if (!intset_validate(b))
        return false;
    struct value_ref set = { intset_from_bytes(b), ENC_INTSET };
    if (set_count(set) > intset_limit(limits))
        become_table(&set, 0);
    *ret_set = set;
    return true;
}

bool set_load_listpack(struct bytes b, const struct types_limits *limits, struct value_ref *ret_set)
{
    struct lp_facts facts;
    if (!lp_validate(b, &facts))
        return false;
    struct value_ref set = { lp_from_bytes(b, &facts), ENC_LISTPACK };
    if (lp_has_duplicates(set.object, 1)) {
        set_free(set);
        return false;
    }
    if (facts.count > listpack_limit(limits) || !listpack_takes(limits, facts.text_max))
        become_table(&set, 0);
    *ret_set = set;
    return true;
}
