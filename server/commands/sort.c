/* SORT and SORT_RO: the elements of a list, set or sorted set in the order of their numbers or
 * texts, or of what keys named after them hold (BY); elements, or what keys named after them hold
 * (GET), replied or stored as a list. */
#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/num.h"
#include "server/commands/collection.h"
#include "server/types/hash.h"
#include "server/types/list.h"
#include "server/types/set.h"
#include "server/types/zset.h"

struct sort_args {
    bool descending, alpha, unsorted; /* unsorted: BY a pattern without a star */
    bool by_pattern, stores;
    int by_at, store_at;
    int64_t offset, count; /* LIMIT; count < 0: all */
    int *gets;             /* in argv */
    int gets_n;
};

struct sort_item {
    struct bytes text; /* of the element */
    double score;
    struct bytes weight; /* ALPHA: what is compared; p NULL: nothing there, which comes first */
};

static bool parse_args(struct call *c, bool read_only, struct sort_args *a)
{
    *a = (struct sort_args){ .count = -1,
                             .gets = arena_array(c->arena, (size_t)c->argc, sizeof(int)) };
    for (int i = 2; i < c->argc; i++) {
        int more = c->argc - 1 - i;
        if (arg_is(c, i, "ASC")) {
            a->descending = false;
        } else if (arg_is(c, i, "DESC")) {
            a->descending = true;
        } else if (arg_is(c, i, "ALPHA")) {
            a->alpha = true;
        } else if (more >= 2 && arg_is(c, i, "LIMIT")) {
            if (!arg_i64(c, i + 1, &a->offset) || !arg_i64(c, i + 2, &a->count))
                return false;
            i += 2;
        } else if (more && !read_only && arg_is(c, i, "STORE")) {
            a->stores = true;
            a->store_at = ++i;
        } else if (more && arg_is(c, i, "BY")) {
            a->by_at = ++i;
            a->by_pattern = memchr(c->argv[i].p, '*', c->argv[i].n);
            a->unsorted |= !a->by_pattern;
            if (a->by_pattern && ks_by_slot(c->ks)) {
                reply_error(c, "ERR BY option of SORT denied in Cluster mode.");
                return false;
            }
        } else if (more && arg_is(c, i, "GET")) {
            if (ks_by_slot(c->ks)) {
                reply_error(c, "ERR GET option of SORT denied in Cluster mode.");
                return false;
            }
            a->gets[a->gets_n++] = ++i;
        } else {
            reply_syntax_error(c);
            return false;
        }
    }
    return true;
}

/* ---- keys named after elements ---- */

static struct bytes keep_text(struct call *c, const struct element *e)
{
    return e->s.p ? e->s : element_text(e, arena_alloc(c->arena, ELEMENT_SCRATCH));
}

/* The pattern with its first star replaced by the element; `->field` behind the star names a field
 * of a hash. */
static struct bytes pattern_key(struct call *c, struct bytes pattern, struct bytes element,
                                struct bytes *ret_field)
{
    const char *star = memchr(pattern.p, '*', pattern.n), *end = pattern.p + pattern.n,
               *key_end = end;
    ASSERT(star);
    *ret_field = bytes_of(NULL, 0);
    const char *arrow = memmem(star + 1, (size_t)(end - star - 1), "->", 2);
    if (arrow && arrow + 2 < end) {
        key_end = arrow;
        *ret_field = bytes_of(arrow + 2, (size_t)(end - arrow - 2));
    }
    size_t before = (size_t)(star - pattern.p), behind = (size_t)(key_end - star - 1), n;
    if (__builtin_add_overflow(before + behind, element.n, &n))
        PANIC("the name of a key is too long");
    char *p = arena_alloc(c->arena, n ? n : 1);
    memcpy(p, pattern.p, before);
    memcpy(p + before, element.p, element.n);
    memcpy(p + before + element.n, star + 1, behind);
    return bytes_of(p, n);
}

/* What the pattern comes to for the element; p NULL: nothing. Good until the keyspace changes. */
static struct bytes lookup(struct call *c, struct bytes pattern, struct bytes element)
{
    const struct bytes nothing = { NULL, 0 };
    struct bytes field;
    if (bytes_eq(pattern, BYTES("#")))
        return element;
    if (!memchr(pattern.p, '*', pattern.n))
        return nothing;
    struct entry *e = ks_read(c->db, pattern_key(c, pattern, element, &field));
    if (!e)
        return nothing;
    if (!field.p)
        return entry_type(e) == TYPE_STRING ? entry_string(e, arena_alloc(c->arena, 24)) : nothing;
    struct element value;
    if (entry_type(e) != TYPE_HASH || !hash_get(ref_of(e), field, &value))
        return nothing;
    return keep_text(c, &value);
}

/* ---- elements ---- */

static uint64_t elements_of(const struct entry *e)
{
    return e ? value_ops(entry_type(e))->elements(entry_object(e), entry_encoding(e)) : 0;
}

/* Elements in the collection's own order; of a sorted set only from rank `skip` on (from the end
 * when `backwards`). */
static void gather(struct call *c, const struct entry *e, uint64_t skip, uint64_t n, bool backwards,
                   struct sort_item *items)
{
    struct value_ref ref = ref_of(e);
    struct element element;
    struct list_walk list;
    struct set_walk set;
    struct zset_walk zset;
    double score;
    bool more = true;
    if (entry_type(e) == TYPE_LIST)
        list_walk_begin(&list, ref, 0, false);
    else if (entry_type(e) == TYPE_SET)
        set_walk_begin(&set, ref);
    else
        zset_walk_begin(&zset, ref, backwards ? zset_count(ref) - 1 - skip : skip, backwards);
    for (uint64_t i = 0; i < n; i++) {
        if (entry_type(e) == TYPE_LIST)
            more = list_walk_next(&list, &element);
        else if (entry_type(e) == TYPE_SET)
            more = set_walk_next(&set, &element);
        else
            more = zset_walk_next(&zset, &element, &score);
        ASSERT(more);
        items[i].text = keep_text(c, &element);
    }
}

/* A sorted set that has been sorted is one with a skiplist from then on: OBJECT ENCODING shows it,
 * and clients may rely on what Redis does. */
static void leave_listpack(struct entry *e)
{
    struct value_ref old = ref_of(e);
    struct zset_build b;
    struct zset_walk w;
    struct element member;
    double score;
    zset_build_begin(&b, zset_count(old));
    zset_walk_begin(&w, old, 0, false);
    while (zset_walk_next(&w, &member, &score)) {
        char scratch[ELEMENT_SCRATCH];
        struct bytes name = element_text(&member, scratch);
        zset_build_add(&b, hash_bytes(name), name, score);
    }
    ref_store(e, zset_build_end(&b, NULL));
    zset_free(old);
}

/* ---- order ---- */

/* As strtod reads it, blanks in front and all; a number that is too small for full precision is
 * refused too. */
static bool parse_score(struct call *c, struct bytes s, double *ret_v)
{
    int64_t i;
    char *end;
    if (num_parse_i64(s, &i)) {
        *ret_v = (double)i;
        return true;
    }
    if (!num_parse_double(s, ret_v)) {
        char *text = arena_alloc(c->arena, s.n + 1);
        memcpy(text, s.p, s.n);
        text[s.n] = '\0';
        errno = 0;
        *ret_v = strtod(text, &end);
        if (*end || isnan(*ret_v) || errno == ERANGE)
            return false;
    }
    return *ret_v == 0 || fabs(*ret_v) >= DBL_MIN;
}

struct order {
    int sign;
    bool weights; /* compare those, else scores */
    bool collate; /* by the locale, up to a zero byte: what is not stored */
    bool locale_c;
};

static int compare_texts(struct bytes a, struct bytes b, const struct order *o)
{
    if (!o->collate)
        return bytes_cmp(a, b);
    if (o->locale_c) {
        a.n = strnlen(a.p, a.n);
        b.n = strnlen(b.p, b.n);
        return bytes_cmp(a, b);
    }
    return strcoll(a.p, b.p); /* prepare_weights has ended them with a zero */
}

static int compare_items(const void *pa, const void *pb, void *ctx)
{
    const struct sort_item *a = pa, *b = pb;
    const struct order *o = ctx;
    int r;
    if (!o->weights) {
        r = (a->score > b->score) - (a->score < b->score);
        if (r == 0)
            r = bytes_cmp(a->text, b->text);
    } else if (!a->weight.p || !b->weight.p) {
        r = (a->weight.p != NULL) - (b->weight.p != NULL);
    } else {
        r = compare_texts(a->weight, b->weight, o);
    }
    return o->sign * r;
}

/* What the items are compared by. False: an error was replied. */
static bool weigh(struct call *c, const struct sort_args *a, struct sort_item *items, uint64_t n,
                  const struct order *o)
{
    for (uint64_t i = 0; i < n; i++) {
        struct sort_item *item = &items[i];
        item->score = 0;
        item->weight = a->by_pattern ? lookup(c, c->argv[a->by_at], item->text) : item->text;
        if (!item->weight.p)
            continue;
        if (!a->alpha) {
            if (!parse_score(c, item->weight, &item->score)) {
                reply_error(c, "ERR One or more scores can't be converted into double");
                return false;
            }
        } else if (o->collate && !o->locale_c) {
            char *text = arena_alloc(c->arena, item->weight.n + 1);
            memcpy(text, item->weight.p, item->weight.n);
            text[item->weight.n] = '\0';
            item->weight.p = text;
        }
    }
    return true;
}

static bool sort_items(struct call *c, const struct sort_args *a, struct sort_item *items,
                       uint64_t n)
{
    const char *locale = setlocale(LC_COLLATE, NULL);
    struct order o = {
        .sign = a->descending ? -1 : 1,
        .weights = a->alpha,
        .collate = a->alpha && !a->stores,
        .locale_c = !locale || strcmp(locale, "C") == 0 || strcmp(locale, "POSIX") == 0,
    };
    if (!weigh(c, a, items, n, &o))
        return false;
    qsort_r(items, n, sizeof(*items), compare_items, &o);
    return true;
}

/* ---- results ---- */

/* [from, to) of n by LIMIT. */
static void limit(const struct sort_args *a, uint64_t n, uint64_t *ret_from, uint64_t *ret_to)
{
    uint64_t from = a->offset < 0 ? 0 : (uint64_t)a->offset;
    if (from > n)
        from = n;
    *ret_from = from;
    *ret_to = a->count < 0 || (uint64_t)a->count > n - from ? n : from + (uint64_t)a->count;
}

static void reply_items(struct call *c, const struct sort_args *a, const struct sort_item *items,
                        uint64_t n)
{
    reply_array(c, (int64_t)(a->gets_n ? n * (uint64_t)a->gets_n : n));
    for (uint64_t i = 0; i < n; i++) {
        if (!a->gets_n)
            reply_bulk(c, items[i].text);
        for (int k = 0; k < a->gets_n; k++) {
            struct bytes v = lookup(c, c->argv[a->gets[k]], items[i].text);
            if (v.p)
                reply_bulk(c, v);
            else
                reply_null(c);
        }
    }
}

static void store_items(struct call *c, const struct sort_args *a, const struct sort_item *items,
                        uint64_t n)
{
    struct bytes key = c->argv[a->store_at];
    if (n == 0) {
        if (ks_delete(c->db, key, deleted_by_server(c)))
            ks_changed(c->db, key, NOTIFY_GENERIC, "del");
        reply_int(c, 0);
        return;
    }
    size_t out_n = n * (a->gets_n ? (size_t)a->gets_n : 1), at = 0;
    struct bytes *out = arena_array(c->arena, out_n, sizeof(*out));
    for (uint64_t i = 0; i < n; i++) {
        if (!a->gets_n)
            out[at++] = items[i].text;
        for (int k = 0; k < a->gets_n; k++) {
            struct bytes v = lookup(c, c->argv[a->gets[k]], items[i].text);
            out[at++] = v.p ? v : BYTES("");
        }
    }
    struct value_ref list = list_new();
    list_expect(&list, out, out_n, c->limits);
    for (size_t i = 0; i < out_n; i++)
        list_push(&list, LIST_TAIL, out[i], NULL, c->limits);
    bool was_there = ks_exists(c->db, key); /* Redis wakes nobody for a key that is overwritten */
    ks_replace_object(c->db, key, TYPE_LIST, list.enc, list.object, 0);
    changed_elements(c, key, NOTIFY_LIST, "sortstore", out_n);
    if (!was_there)
        key_ready(c, key);
    reply_int(c, (int64_t)out_n);
}

static void sort(struct call *c, bool read_only)
{
    struct sort_args a;
    if (!parse_args(c, read_only, &a))
        return;
    struct entry *e = ks_read(c->db, c->argv[1]);
    if (e && entry_type(e) != TYPE_LIST && entry_type(e) != TYPE_SET &&
        entry_type(e) != TYPE_ZSET) {
        reply_wrong_type(c);
        return;
    }
    if (a.unsorted && e && entry_type(e) == TYPE_SET &&
        a.stores) { /* what others store must be the same */
        a.unsorted = a.by_pattern = false;
        a.alpha = true;
    }
    if (e && entry_type(e) == TYPE_ZSET && entry_encoding(e) == ENC_LISTPACK)
        leave_listpack(e);
    uint64_t n = elements_of(e), from, to;
    limit(&a, n, &from, &to);
    struct sort_item *items = arena_array(c->arena, n ? n : 1, sizeof(*items));
    if (a.unsorted && e && entry_type(e) == TYPE_ZSET) { /* has an order of its own, both ways */
        if (from < to)
            gather(c, e, from, to - from, a.descending, items);
        to -= from;
        from = 0;
    } else if (e) {
        gather(c, e, 0, n, false, items);
        if (!a.unsorted && !sort_items(c, &a, items, n))
            return;
    }
    if (a.stores)
        store_items(c, &a, items + from, to - from);
    else
        reply_items(c, &a, items + from, to - from);
}

static void cmd_sort(struct call *c)
{
    sort(c, false);
}

static void cmd_sort_ro(struct call *c)
{
    sort(c, true);
}

const struct command sort_commands[] = {
    { "sort", cmd_sort, -2, CMD_WRITE | CMD_DENY_OOM | CMD_MOVABLE_KEYS, KEY_1, NULL },
    { "sort_ro", cmd_sort_ro, -2, CMD_READ | CMD_MOVABLE_KEYS, KEY_1, NULL },
    COMMANDS_END,
};
