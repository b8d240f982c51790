/* The order of sorted sets (see zset.h): ranks, ranges, walking, choosing. */
#include "common/assert.h"
#include "server/types/zset_inner.h"

/* ---- bounds ---- */

/* How many pairs of a listpack lie before the bound. */
static uint64_t listpack_before(const uint8_t *lp, const struct ztree_bound *b)
{
    uint64_t n = 0;
    for (const uint8_t *p = lp_begin(lp); !lp_is_end(p); n++) {
        const uint8_t *value = lp_skip(p);
        bool before;
        if (b->side == ZTREE_SCORE_BELOW || b->side == ZTREE_SCORE_UP_TO) {
            double score = zset_lp_score(value);
            before = b->side == ZTREE_SCORE_BELOW ? score < b->score : score <= b->score;
        } else {
            struct element e;
            char scratch[ELEMENT_SCRATCH];
            lp_get(p, &e);
            int order = bytes_cmp(element_text(&e, scratch), b->name);
            before = b->side == ZTREE_NAME_BELOW ? order < 0 : order <= 0;
        }
        if (!before)
            break;
        p = lp_skip(value);
    }
    return n;
}

static uint64_t before(struct value_ref zset, const struct ztree_bound *b)
{
    if (zset.enc == ENC_LISTPACK)
        return listpack_before(zset.object, b);
    return ztree_find(&((const struct zset *)zset.object)->tree, b, NULL);
}

static struct zset_span span(uint64_t from, uint64_t to)
{
    return (struct zset_span){ from, to < from ? from : to };
}

struct zset_span zset_span_by_score(struct value_ref zset, const struct zset_score_range *r)
{
    if (r->min > r->max || (r->min == r->max && (r->min_open || r->max_open)))
        return span(0, 0);
    struct ztree_bound min = { r->min_open ? ZTREE_SCORE_UP_TO : ZTREE_SCORE_BELOW,
                               r->min,
                               { NULL, 0 } };
    struct ztree_bound max = { r->max_open ? ZTREE_SCORE_BELOW : ZTREE_SCORE_UP_TO,
                               r->max,
                               { NULL, 0 } };
    return span(before(zset, &min), before(zset, &max));
}

static uint64_t before_name(struct value_ref zset, const struct zset_lex_bound *b, bool max)
{
    if (b->infinite)
        return b->infinite < 0 ? 0 : zset_count(zset);
    struct ztree_bound bound = { b->open == max ? ZTREE_NAME_BELOW : ZTREE_NAME_UP_TO, 0, b->name };
    return before(zset, &bound);
}

struct zset_span zset_span_by_lex(struct value_ref zset, const struct zset_lex_range *r)
{
    return span(before_name(zset, &r->min, false), before_name(zset, &r->max, true));
}

/* ---- ranks ---- */

static bool listpack_rank(const uint8_t *lp, struct bytes member, uint64_t *ret_rank,
                          double *ret_score)
{
    uint64_t n = 0;
    for (const uint8_t *p = lp_begin(lp); !lp_is_end(p); n++) {
        const uint8_t *value = lp_skip(p);
        if (lp_equals(p, member)) {
            *ret_rank = n;
            *ret_score = zset_lp_score(value);
            return true;
        }
        p = lp_skip(value);
    }
    return false;
}

bool zset_rank(struct value_ref zset, struct bytes member, uint64_t *ret_rank, double *ret_score)
{
    if (zset.enc == ENC_LISTPACK)
        return listpack_rank(zset.object, member, ret_rank, ret_score);
    const struct zset *z = zset.object;
    const void *item = zset_find(z, member, NULL);
    if (!item)
        return false;
    double score = zset_item_score(item);
    const struct ztree_bound b = { ZTREE_BEFORE, score, member };
    *ret_rank = ztree_find(&z->tree, &b, NULL);
    *ret_score = score;
    return true;
}

void zset_remove_span(struct value_ref *zset, struct zset_span s)
{
    ASSERT(s.from <= s.to && s.to <= zset_count(*zset));
    if (s.from == s.to)
        return;
    if (zset->enc == ENC_LISTPACK) {
        uint8_t *lp = zset->object;
        lp_delete(&lp, lp_seek(lp, (int64_t)(2 * s.from)), (uint32_t)(2 * (s.to - s.from)));
        zset->object = lp;
        return;
    }
    struct zset *z = zset->object;
    for (uint64_t n = s.to - s.from; n > 0; n--)
        zset_drop_item(z, ztree_remove_rank(&z->tree, s.from));
}

/* ---- walking ---- */

enum { FETCH_AHEAD = 8 }; /* items whose names are on their way to the cache */

void zset_walk_begin(struct zset_walk *w, struct value_ref zset, uint64_t rank, bool backwards)
{
    w->zset = zset;
    w->backwards = backwards;
    if (zset.enc == ENC_LISTPACK) {
        w->p = lp_seek(zset.object, (int64_t)(2 * rank));
        return;
    }
    const struct ztree *t = &((const struct zset *)zset.object)->tree;
    w->p = NULL;
    w->at = ztree_seek(t, rank);
    if (!ztree_settle(&w->at)) {
        w->at.leaf = NULL;
        return;
    }
    for (unsigned i = 0; i < FETCH_AHEAD; i++) {
        unsigned j = backwards ? w->at.i - i : w->at.i + i;
        if (j < w->at.leaf->n)
            __builtin_prefetch(zleaf_item(w->at.leaf, j));
    }
}

static bool listpack_next(struct zset_walk *w, struct element *ret_member, double *ret_score)
{
    if (!w->p)
        return false;
    lp_get(w->p, ret_member);
    const uint8_t *value = lp_skip(w->p);
    *ret_score = zset_lp_score(value);
    if (w->backwards) {
        const uint8_t *last = lp_prev(w->zset.object, w->p);
        w->p = last ? lp_prev(w->zset.object, last) : NULL;
    } else {
        w->p = lp_next(value);
    }
    return true;
}

static void fetch(const struct zleaf *l, unsigned i, bool backwards)
{
    if (backwards) {
        if (i >= FETCH_AHEAD)
            __builtin_prefetch(zleaf_item(l, i - FETCH_AHEAD));
        else if (l->prev && l->prev->n + i >= FETCH_AHEAD)
            __builtin_prefetch(zleaf_item(l->prev, l->prev->n + i - FETCH_AHEAD));
    } else if (i + FETCH_AHEAD < l->n) {
        __builtin_prefetch(zleaf_item(l, i + FETCH_AHEAD));
    } else if (l->next && i + FETCH_AHEAD - l->n < l->next->n) {
        __builtin_prefetch(zleaf_item(l->next, i + FETCH_AHEAD - l->n));
    }
}

bool zset_walk_next(struct zset_walk *w, struct element *ret_member, double *ret_score)
{
    if (w->zset.enc == ENC_LISTPACK)
        return listpack_next(w, ret_member, ret_score);
    struct zleaf *l = w->at.leaf;
    if (!l)
        return false;
    unsigned i = w->at.i;
    fetch(l, i, w->backwards);
    *ret_member = (struct element){ .s = member_name(zleaf_item(l, i)) };
    *ret_score = l->score[i];
    if (!w->backwards) {
        w->at = i + 1 < l->n ? (struct ztree_at){ l, i + 1 } : (struct ztree_at){ l->next, 0 };
    } else if (i > 0) {
        w->at.i--;
    } else {
        w->at = (struct ztree_at){ l->prev, l->prev ? l->prev->n - 1u : 0 };
    }
    return true;
}

struct visitor {
    zset_visit *visit;
    void *ctx;
};

static void visit_item(void *ctx, void *item)
{
    const struct visitor *v = ctx;
    struct element member = { .s = member_name(item) };
    v->visit(v->ctx, &member, zset_item_score(item));
}

uint64_t zset_scan(struct value_ref zset, uint64_t cursor, zset_visit *visit, void *ctx)
{
    if (zset.enc == ENC_SKIPLIST) {
        struct visitor v = { visit, ctx };
        return table_scan(&((struct zset *)zset.object)->members->table, cursor, visit_item, &v);
    }
    struct zset_walk w;
    struct element member;
    double score;
    zset_walk_begin(&w, zset, 0, false);
    while (zset_walk_next(&w, &member, &score))
        visit(ctx, &member, score);
    return 0;
}

/* ---- choosing ---- */

void zset_random(struct value_ref zset, struct prng *r, struct element *ret_member,
                 double *ret_score)
{
    uint64_t n = zset_count(zset);
    ASSERT(n > 0);
    if (zset.enc == ENC_SKIPLIST) {
        const void *item = table_random(&((struct zset *)zset.object)->members->table, r);
        *ret_member = (struct element){ .s = member_name(item) };
        *ret_score = zset_item_score(item);
        return;
    }
    const uint8_t *p = lp_seek(zset.object, (int64_t)(2 * prng_below(r, n)));
    lp_get(p, ret_member);
    *ret_score = zset_lp_score(lp_skip(p));
}

void zset_pick(struct value_ref zset, uint64_t k, struct prng *r, zset_visit *visit, void *ctx)
{
    if (zset.enc == ENC_SKIPLIST) {
        struct visitor v = { visit, ctx };
        members_pick(((struct zset *)zset.object)->members, k, r, visit_item, &v);
        return;
    }
    struct choice c = { k, zset_count(zset) };
    ASSERT(k <= c.left);
    struct zset_walk w;
    struct element member;
    double score;
    zset_walk_begin(&w, zset, 0, false);
    while (c.wanted && zset_walk_next(&w, &member, &score)) {
        if (choice_next(&c, r))
            visit(ctx, &member, score);
    }
}
