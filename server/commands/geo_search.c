/* GEOSEARCH, GEOSEARCHSTORE and their older forms GEORADIUS and GEORADIUSBYMEMBER (_RO): members
 * within a circle or a box.
 *
 * The area is covered by a few ranges of scores; what lies in them is looked at one by one. */
#include <stdlib.h>

#include "common/buf.h"
#include "server/commands/geo.h"

enum form {                     /* of the command */
            FORM_SEARCH = 1,    /* GEOSEARCH, GEOSEARCHSTORE: where from and how far are options */
            FORM_STORES = 2,    /* GEOSEARCHSTORE: the destination comes first */
            FORM_MAY_STORE = 4, /* STORE and STOREDIST are options */
            FORM_BY_MEMBER = 8,
};

struct geo_args {
    struct geo_shape shape;
    double metres; /* of the unit */
    bool has_from, has_shape;
    bool with_distance, with_hash, with_point;
    bool any, store_distance;
    enum { UNSORTED, ASCENDING, DESCENDING } order;
    int64_t count; /* 0: all */
    int store_at;  /* argument, 0: none */
};

struct hit {
    double distance, score;
    size_t at, n; /* of the member's text */
};

struct hits {
    struct buf items; /* struct hit */
    struct buf texts;
};

/* ---- arguments ---- */

static bool arg_numeric(struct call *c, int i, double *ret_v, const char *what)
{
    if (num_parse_double(c->argv[i], ret_v))
        return true;
    resp_errorf(c->w, "ERR need numeric %s", what);
    return false;
}

static bool arg_radius(struct call *c, int i, struct geo_args *a)
{
    if (!arg_numeric(c, i, &a->shape.radius, "radius"))
        return false;
    if (a->shape.radius < 0) {
        reply_error(c, "ERR radius cannot be negative");
        return false;
    }
    if (!arg_geo_unit(c, i + 1, &a->metres))
        return false;
    a->shape.radius *= a->metres;
    a->has_shape = true;
    return true;
}

static bool arg_box(struct call *c, int i, struct geo_args *a)
{
    if (!arg_numeric(c, i, &a->shape.width, "width") ||
        !arg_numeric(c, i + 1, &a->shape.height, "height"))
        return false;
    if (a->shape.width < 0 || a->shape.height < 0) {
        reply_error(c, "ERR height or width cannot be negative");
        return false;
    }
    if (!arg_geo_unit(c, i + 2, &a->metres))
        return false;
    a->shape.width *= a->metres;
    a->shape.height *= a->metres;
    a->shape.box = a->has_shape = true;
    return true;
}

/* Where a member is. Without the key there is nothing to find anyway. */
static bool arg_member(struct call *c, int i, const struct entry *e, struct geo_args *a)
{
    double score;
    a->has_from = true;
    if (!e)
        return true;
    if (!zset_score(ref_of(e), c->argv[i], &score)) {
        reply_error(c, "ERR could not decode requested zset member");
        return false;
    }
    a->shape.center = geo_of_score(score);
    return true;
}

static bool arg_count(struct call *c, int i, struct geo_args *a)
{
    if (!arg_i64(c, i, &a->count))
        return false;
    if (a->count <= 0)
        reply_error(c, "ERR COUNT must be > 0");
    return a->count > 0;
}

/* The options of GEOSEARCH at *i that say where; moves *i to the last argument. False: an error was
 * replied. */
static bool parse_where(struct call *c, int *i, const struct entry *e, struct geo_args *a)
{
    int at = *i + 1, more = c->argc - at;
    if (more >= 1 && !a->has_from && arg_is(c, *i, "FROMMEMBER")) {
        *i += 1;
        return arg_member(c, at, e, a);
    }
    if (more >= 2 && !a->has_from && arg_is(c, *i, "FROMLONLAT")) {
        *i += 2;
        a->has_from = true;
        return arg_geo_point(c, at, &a->shape.center);
    }
    if (more >= 2 && !a->has_shape && arg_is(c, *i, "BYRADIUS")) {
        *i += 2;
        return arg_radius(c, at, a);
    }
    if (more >= 3 && !a->has_shape && arg_is(c, *i, "BYBOX")) {
        *i += 3;
        return arg_box(c, at, a);
    }
    reply_syntax_error(c);
    return false;
}

static bool parse_options(struct call *c, int i, unsigned form, const struct entry *e,
                          struct geo_args *a)
{
    for (; i < c->argc; i++) {
        bool more = i + 1 < c->argc;
        if (arg_is(c, i, "WITHDIST")) {
            a->with_distance = true;
        } else if (arg_is(c, i, "WITHHASH")) {
            a->with_hash = true;
        } else if (arg_is(c, i, "WITHCOORD")) {
            a->with_point = true;
        } else if (arg_is(c, i, "ANY")) {
            a->any = true;
        } else if (arg_is(c, i, "ASC")) {
            a->order = ASCENDING;
        } else if (arg_is(c, i, "DESC")) {
            a->order = DESCENDING;
        } else if (more && arg_is(c, i, "COUNT")) {
            if (!arg_count(c, ++i, a))
                return false;
        } else if (more && (form & FORM_MAY_STORE) &&
                   (arg_is(c, i, "STORE") || arg_is(c, i, "STOREDIST"))) {
            a->store_distance = arg_is(c, i, "STOREDIST");
            a->store_at = ++i;
        } else if ((form & FORM_STORES) && arg_is(c, i, "STOREDIST")) {
            a->store_distance = true;
        } else if (!(form & FORM_SEARCH)) {
            reply_syntax_error(c);
            return false;
        } else if (!parse_where(c, &i, e, a)) {
            return false;
        }
    }
    return true;
}

/* What the options mean together. */
static bool check_args(struct call *c, unsigned form, struct geo_args *a)
{
    struct bytes name = c->argv[0];
    if (a->store_at && (a->with_distance || a->with_hash || a->with_point))
        resp_errorf(c->w, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                    form & FORM_STORES ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
    else if (!a->has_from)
        resp_errorf(c->w, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s",
                    (int)name.n, name.p);
    else if (!a->has_shape)
        resp_errorf(c->w, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s",
                    (int)name.n, name.p);
    else if (a->any && !a->count)
        reply_error(c, "ERR the ANY argument requires COUNT argument");
    else
        return true;
    return false;
}

static bool parse(struct call *c, unsigned form, const struct entry *e, struct geo_args *a)
{
    int i = 2;
    *a = (struct geo_args){ .metres = 1 };
    if (form & FORM_STORES) {
        a->store_at = 1;
        i = 3;
    } else if (form & FORM_BY_MEMBER) {
        a->has_shape = !e; /* without the key nobody looks at the radius */
        if (!arg_member(c, 2, e, a) || (e && !arg_radius(c, 3, a)))
            return false;
        i = 5;
    } else if (!(form & FORM_SEARCH)) {
        a->has_from = true;
        if (!arg_geo_point(c, 2, &a->shape.center) || !arg_radius(c, 4, a))
            return false;
        i = 6;
    }
    if (!parse_options(c, i, form, e, a) || !check_args(c, form, a))
        return false;
    if (a->count && !a->any && a->order == UNSORTED)
        a->order = ASCENDING; /* the nearest ones */
    return true;
}

/* ---- searching ---- */

static struct hit *hit_at(const struct hits *h, size_t i)
{
    return (struct hit *)(void *)h->items.p + i;
}

static size_t hits_n(const struct hits *h)
{
    return h->items.n / sizeof(struct hit);
}

static struct bytes hit_text(const struct hits *h, const struct hit *hit)
{
    return bytes_of(h->texts.p ? h->texts.p + hit->at : "", hit->n);
}

static void search(const struct entry *e, const struct geo_args *a, struct hits *h)
{
    struct geo_range ranges[GEO_RANGES_MAX];
    unsigned n = geo_cover(&a->shape, ranges);
    for (unsigned i = 0; i < n; i++) {
        struct zset_score_range range = { (double)ranges[i].from, (double)ranges[i].to, false,
                                          true };
        struct zset_span span = zset_span_by_score(ref_of(e), &range);
        struct zset_walk w;
        if (span.from == span.to)
            continue;
        zset_walk_begin(&w, ref_of(e), span.from, false);
        for (uint64_t k = span.from; k < span.to; k++) {
            struct element member;
            struct hit hit;
            char scratch[ELEMENT_SCRATCH];
            if (a->any && hits_n(h) == (uint64_t)a->count)
                return;
            if (!zset_walk_next(&w, &member, &hit.score) ||
                !geo_within(&a->shape, geo_of_score(hit.score), &hit.distance))
                continue;
            struct bytes text = element_text(&member, scratch);
            hit.at = h->texts.n;
            hit.n = text.n;
            buf_append(&h->texts, text);
            buf_append(&h->items, bytes_of(&hit, sizeof hit));
        }
    }
}

static int by_distance(const void *pa, const void *pb)
{
    const struct hit *a = pa, *b = pb;
    return (a->distance > b->distance) - (a->distance < b->distance);
}

static int by_distance_down(const void *pa, const void *pb)
{
    return by_distance(pb, pa);
}

/* ---- results ---- */

static void reply_hits(struct call *c, const struct geo_args *a, const struct hits *h, size_t n)
{
    int options = a->with_distance + a->with_hash + a->with_point;
    reply_array(c, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct hit *hit = hit_at(h, i);
        if (options)
            reply_array(c, 1 + options);
        reply_bulk(c, hit_text(h, hit));
        if (a->with_distance)
            reply_geo_distance(c->w, hit->distance / a->metres);
        if (a->with_hash)
            reply_int(c, (int64_t)hit->score);
        if (a->with_point)
            reply_geo_point(c->w, geo_of_score(hit->score));
    }
}

static void store_hits(struct call *c, const struct geo_args *a, const struct hits *h, size_t n,
                       const char *event)
{
    struct zset_build b;
    zset_build_begin(&b, n);
    for (size_t i = 0; i < n; i++) {
        const struct hit *hit = hit_at(h, i);
        struct bytes member = hit_text(h, hit);
        zset_build_add(&b, hash_bytes(member), member,
                       a->store_distance ? hit->distance / a->metres : hit->score);
    }
    store_zset(c, c->argv[a->store_at], zset_build_end(&b, c->limits), event);
}

static void run(struct call *c, unsigned form)
{
    struct geo_args a;
    struct entry *e;
    if (!read_typed(c, c->argv[form & FORM_STORES ? 2 : 1], TYPE_ZSET, &e) ||
        !parse(c, form, e, &a))
        return;
    struct hits h = { BUF_INIT(BUF_UNLIMITED), BUF_INIT(BUF_UNLIMITED) };
    if (e)
        search(e, &a, &h);
    size_t n = hits_n(&h);
    if (n && a.order != UNSORTED)
        qsort(h.items.p, n, sizeof(struct hit),
              a.order == ASCENDING ? by_distance : by_distance_down);
    if (a.count && (uint64_t)a.count < n)
        n = (size_t)a.count;
    if (a.store_at)
        store_hits(c, &a, &h, n, form & FORM_SEARCH ? "geosearchstore" : "georadiusstore");
    else
        reply_hits(c, &a, &h, n);
    buf_done(&h.items);
    buf_done(&h.texts);
}

static void cmd_geosearch(struct call *c)
{
    run(c, FORM_SEARCH);
}

static void cmd_geosearchstore(struct call *c)
{
    run(c, FORM_SEARCH | FORM_STORES);
}

static void cmd_georadius(struct call *c)
{
    run(c, FORM_MAY_STORE);
}

static void cmd_georadius_ro(struct call *c)
{
    run(c, 0);
}

static void cmd_georadiusbymember(struct call *c)
{
    run(c, FORM_BY_MEMBER | FORM_MAY_STORE);
}

static void cmd_georadiusbymember_ro(struct call *c)
{
    run(c, FORM_BY_MEMBER);
}

#define STORING (CMD_WRITE | CMD_DENY_OOM | CMD_MOVABLE_KEYS)

const struct command geo_search_commands[] = {
    { "geosearch", cmd_geosearch, -7, CMD_READ, KEY_1, NULL },
    { "geosearchstore", cmd_geosearchstore, -8, CMD_WRITE | CMD_DENY_OOM, KEYS_AT(1, 2, 1), NULL },
    { "georadius", cmd_georadius, -6, STORING, KEY_1, NULL },
    { "georadius_ro", cmd_georadius_ro, -6, CMD_READ, KEY_1, NULL },
    { "georadiusbymember", cmd_georadiusbymember, -5, STORING, KEY_1, NULL },
    { "georadiusbymember_ro", cmd_georadiusbymember_ro, -5, CMD_READ, KEY_1, NULL },
    COMMANDS_END,
};
