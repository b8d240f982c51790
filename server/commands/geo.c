/* GEOADD, GEODIST, GEOPOS, GEOHASH: members of sorted sets with a place for a score. Searching is
 * geo_search.c. */
#include "server/commands/geo.h"

#include <stdio.h>

#include "common/arena.h"

/* ---- shared ---- */

bool arg_geo_unit(struct call *c, int i, double *ret_metres)
{
    static const struct {
        const char *name;
        double metres;
    } units[] = { { "m", 1 }, { "km", 1000 }, { "ft", 0.3048 }, { "mi", 1609.34 } };
    for (size_t k = 0; k < sizeof(units) / sizeof(*units); k++) {
        if (arg_is(c, i, units[k].name)) {
            *ret_metres = units[k].metres;
            return true;
        }
    }
    reply_error(c, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

bool arg_geo_point(struct call *c, int i, struct geo_point *ret_point)
{
    struct geo_point p;
    if (!arg_double(c, i, &p.longitude) || !arg_double(c, i + 1, &p.latitude))
        return false;
    if (!geo_point_ok(p)) {
        resp_errorf(c->w, "ERR invalid longitude,latitude pair %f,%f", p.longitude, p.latitude);
        return false;
    }
    *ret_point = p;
    return true;
}

void reply_geo_distance(struct writer *w, double d)
{
    char text[400]; /* of any double */
    int n = snprintf(text, sizeof(text), "%.4f", d);
    resp_bulk(w, bytes_of(text, (size_t)n));
}

static void reply_coordinate(struct writer *w, double v)
{
    char text[64]; /* at most 180 before the point */
    size_t n = 0;
    if (w->resp > 2)
        text[n++] = ',';
    n += num_format_long_double(text + n, (long double)v);
    if (w->resp > 2) {
        memcpy(text + n, "\r\n", 2);
        writer_append(w, bytes_of(text, n + 2));
    } else {
        resp_bulk(w, bytes_of(text, n));
    }
}

void reply_geo_point(struct writer *w, struct geo_point p)
{
    resp_array(w, 2);
    reply_coordinate(w, p.longitude);
    reply_coordinate(w, p.latitude);
}

/* ---- GEOADD key [NX|XX] [CH] longitude latitude member .. ---- */

struct geo_add {
    unsigned flags; /* enum zset_add_flags */
    bool changed;   /* CH */
    int at, n;      /* first longitude; members */
};

static bool parse_add(struct call *c, struct geo_add *a, uint64_t **ret_scores)
{
    *a = (struct geo_add){ .at = 2 };
    for (; a->at < c->argc; a->at++) {
        if (arg_is(c, a->at, "NX"))
            a->flags |= ZSET_NX;
        else if (arg_is(c, a->at, "XX"))
            a->flags |= ZSET_XX;
        else if (arg_is(c, a->at, "CH"))
            a->changed = true;
        else
            break;
    }
    if ((c->argc - a->at) % 3 != 0 || c->argc == a->at || a->flags == (ZSET_NX | ZSET_XX)) {
        reply_syntax_error(c);
        return false;
    }
    a->n = (c->argc - a->at) / 3;
    *ret_scores = arena_array(c->arena, (size_t)a->n, sizeof(**ret_scores));
    for (int i = 0; i < a->n; i++) {
        struct geo_point p;
        if (!arg_geo_point(c, a->at + 3 * i, &p))
            return false;
        (*ret_scores)[i] = geo_encode(p);
    }
    return true;
}

/* Others hear a ZADD, so that they need not compute the same. */
static void effect_zadd(struct call *c, const struct geo_add *a, const uint64_t *scores)
{
    int options = a->at - 2, n = 0;
    struct bytes *argv = arena_array(c->arena, (size_t)c->argc, sizeof(*argv));
    argv[n++] = BYTES("ZADD");
    for (int i = 1; i < 2 + options; i++)
        argv[n++] = c->argv[i];
    for (int i = 0; i < a->n; i++) {
        argv[n++] = effect_i64(c, (int64_t)scores[i]);
        argv[n++] = c->argv[a->at + 3 * i + 2];
    }
    effect_replace(c, n, argv);
}

static void cmd_geoadd(struct call *c)
{
    struct bytes key = c->argv[1];
    struct geo_add a;
    struct entry *e;
    uint64_t *scores;
    int64_t added = 0, updated = 0;
    if (!parse_add(c, &a, &scores) || !write_typed(c, key, TYPE_ZSET, &e))
        return;
    if (e || !(a.flags & ZSET_XX)) {
        size_t longest = 0;
        for (int i = 0; i < a.n; i++) {
            size_t n = c->argv[a.at + 3 * i + 2].n;
            longest = n > longest ? n : longest;
        }
        struct value_ref zset = e ? ref_of(e) : zset_new_for((uint64_t)a.n, longest, c->limits);
        zset_expect(&zset, (uint64_t)a.n, longest, c->limits);
        for (int i = 0; i < a.n; i++) {
            double score;
            enum zset_added r = zset_add(&zset, (double)scores[i], c->argv[a.at + 3 * i + 2],
                                         a.flags, c->limits, &score);
            added += r == ZSET_ADDED;
            updated += r == ZSET_UPDATED;
        }
        if (e)
            ref_store(e, zset);
        else
            ks_add_object(c->db, key, TYPE_ZSET, zset.enc, zset.object);
    }
    reply_int(c, a.changed ? added + updated : added);
    if (added + updated) {
        changed_elements(c, key, NOTIFY_ZSET, "zadd", (uint64_t)(added + updated));
        effect_zadd(c, &a, scores);
        key_ready(c, key);
    }
}

/* ---- reading ---- */

static bool point_of(const struct entry *e, struct bytes member, struct geo_point *ret_point)
{
    double score;
    if (!e || !zset_score(ref_of(e), member, &score))
        return false;
    *ret_point = geo_of_score(score);
    return true;
}

/* GEODIST key member member [unit] */
static void cmd_geodist(struct call *c)
{
    double metres = 1;
    struct geo_point a, b;
    struct entry *e;
    if (c->argc > 5) {
        reply_syntax_error(c);
        return;
    }
    if (c->argc == 5 && !arg_geo_unit(c, 4, &metres))
        return;
    if (!read_typed(c, c->argv[1], TYPE_ZSET, &e))
        return;
    if (point_of(e, c->argv[2], &a) && point_of(e, c->argv[3], &b))
        reply_geo_distance(c->w, geo_distance(a, b) / metres);
    else
        reply_null(c);
}

static void cmd_geopos(struct call *c)
{
    struct entry *e;
    struct geo_point p;
    if (!read_typed(c, c->argv[1], TYPE_ZSET, &e))
        return;
    reply_array(c, c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        if (point_of(e, c->argv[i], &p))
            reply_geo_point(c->w, p);
        else
            resp_null_array(c->w);
    }
}

static void cmd_geohash(struct call *c)
{
    struct entry *e;
    struct geo_point p;
    if (!read_typed(c, c->argv[1], TYPE_ZSET, &e))
        return;
    reply_array(c, c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        char text[GEO_TEXT];
        if (point_of(e, c->argv[i], &p)) {
            geo_text(text, p);
            reply_bulk(c, bytes_of(text, GEO_TEXT));
        } else {
            reply_null(c);
        }
    }
}

const struct command geo_commands[] = {
    { "geoadd", cmd_geoadd, -5, CMD_WRITE | CMD_DENY_OOM, KEY_1, NULL },
    { "geodist", cmd_geodist, -4, CMD_READ, KEY_1, NULL },
    { "geopos", cmd_geopos, -2, CMD_READ, KEY_1, NULL },
    { "geohash", cmd_geohash, -2, CMD_READ, KEY_1, NULL },
    COMMANDS_END,
};
