/* See geohash.h. */
#include "server/types/geohash.h"

#include <math.h>

enum { STEP_MAX = GEO_BITS / 2 }; /* bits of a coordinate */

static const double earth_radius = 6372797.560856; /* metres */

static double radians(double degrees)
{
    return degrees * (M_PI / 180.0);
}

static double degrees(double radians_)
{
    return radians_ / (M_PI / 180.0);
}

/* ---- interleaving ---- */

/* Spreads 32 bits to the even ones of 64. */
static uint64_t spread(uint64_t v)
{
    v &= 0xFFFFFFFFull;
    v = (v | v << 16) & 0x0000FFFF0000FFFFull;
    v = (v | v << 8) & 0x00FF00FF00FF00FFull;
    v = (v | v << 4) & 0x0F0F0F0F0F0F0F0Full;
    v = (v | v << 2) & 0x3333333333333333ull;
    return (v | v << 1) & 0x5555555555555555ull;
}

static uint32_t gather(uint64_t v)
{
    v &= 0x5555555555555555ull;
    v = (v | v >> 1) & 0x3333333333333333ull;
    v = (v | v >> 2) & 0x0F0F0F0F0F0F0F0Full;
    v = (v | v >> 4) & 0x00FF00FF00FF00FFull;
    v = (v | v >> 8) & 0x0000FFFF0000FFFFull;
    return (uint32_t)(v | v >> 16);
}

static uint64_t encode_in(struct geo_point p, double latitude_max)
{
    double latitude = (p.latitude + latitude_max) / (2 * latitude_max);
    double longitude = (p.longitude + GEO_LONGITUDE_MAX) / (2 * GEO_LONGITUDE_MAX);
    const double cells = (double)((uint64_t)1 << STEP_MAX);
    return spread((uint32_t)(latitude * cells)) | spread((uint32_t)(longitude * cells)) << 1;
}

uint64_t geo_encode(struct geo_point p)
{
    return encode_in(p, GEO_LATITUDE_MAX);
}

/* The middle of cell i of a coordinate. */
static double middle(uint32_t i, double max)
{
    const double cells = (double)((uint64_t)1 << STEP_MAX);
    double low = -max + (i * 1.0 / cells) * (2 * max),
           high = -max + ((i + 1) * 1.0 / cells) * (2 * max);
    double v = (low + high) / 2;
    return v > max ? max : v < -max ? -max : v;
}

struct geo_point geo_decode(uint64_t bits)
{
    return (struct geo_point){
        .longitude = middle(gather(bits >> 1), GEO_LONGITUDE_MAX),
        .latitude = middle(gather(bits), GEO_LATITUDE_MAX),
    };
}

/* As x86 converts a double to 64 bits without a sign, of which clients have seen what comes of it.
 */
struct geo_point geo_of_score(double score)
{
    const double two_63 = 9223372036854775808.0;
    uint64_t bits;
    if (isnan(score) || score < -two_63)
        bits = (uint64_t)1 << 63;
    else if (score < two_63)
        bits = (uint64_t)(int64_t)score;
    else
        bits =
            score - two_63 < two_63 ? (uint64_t)(int64_t)(score - two_63) ^ (uint64_t)1 << 63 : 0;
    return geo_decode(bits);
}

void geo_text(char text[GEO_TEXT], struct geo_point p)
{
    static const char alphabet[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    uint64_t bits = encode_in(p, 90);
    for (int i = 0; i < GEO_TEXT - 1; i++)
        text[i] = alphabet[bits >> (GEO_BITS - 5 * (i + 1)) & 31];
    text[GEO_TEXT - 1] = '0'; /* 52 bits are ten letters and a rest */
}

/* ---- distances ---- */

static double latitude_distance(double a, double b)
{
    return earth_radius * fabs(radians(b) - radians(a));
}

double geo_distance(struct geo_point a, struct geo_point b)
{
    double v = sin((radians(b.longitude) - radians(a.longitude)) / 2);
    if (v == 0)
        return latitude_distance(a.latitude, b.latitude);
    double lat_a = radians(a.latitude), lat_b = radians(b.latitude), u = sin((lat_b - lat_a) / 2);
    return 2.0 * earth_radius * asin(sqrt(u * u + cos(lat_a) * cos(lat_b) * v * v));
}

bool geo_within(const struct geo_shape *s, struct geo_point p, double *ret_distance)
{
    if (!s->box) {
        double d = geo_distance(s->center, p);
        *ret_distance = d;
        return d <= s->radius;
    }
    if (latitude_distance(p.latitude, s->center.latitude) > s->height / 2)
        return false;
    struct geo_point beside = { s->center.longitude, p.latitude };
    if (geo_distance(p, beside) > s->width / 2)
        return false;
    *ret_distance = geo_distance(s->center, p);
    return true;
}

/* ---- covering ---- */

/* The cell of the centre and its eight neighbours, at a step (bits of a coordinate) where they are
 * larger than the shape. A longitude of 180 and the latitude at the rim have a cell of their own,
 * one beyond the last, in Redis: so the cells are chosen as there, to find what is found there. */

struct bounds {
    double south, north, west, east; /* degrees; may go beyond the map */
};

struct cell {
    uint64_t x, y;
};

static void bounds_of(const struct geo_shape *s, struct bounds *b)
{
    struct geo_point c = s->center;
    double height = s->box ? s->height / 2 : s->radius, width = s->box ? s->width / 2 : s->radius;
    double dlat = degrees(height / earth_radius);
    double nearer_pole = c.latitude < 0 ? c.latitude - dlat : c.latitude + dlat;
    double dlon = degrees(width / earth_radius / cos(radians(nearer_pole)));
    *b = (struct bounds){ c.latitude - dlat, c.latitude + dlat, c.longitude - dlon,
                          c.longitude + dlon };
}

static int step_for(const struct geo_shape *s)
{
    const double mercator_max = 20037726.37; /* metres, half around */
    double range =
        s->box ? sqrt(s->width / 2 * (s->width / 2) + s->height / 2 * (s->height / 2)) : s->radius;
    double lat = fabs(s->center.latitude);
    if (range == 0)
        return STEP_MAX;
    int step = -1; /* so that the shape is within the neighbours in most cases */
    for (; range < mercator_max && step < STEP_MAX + 2; range *= 2)
        step++;
    step -= lat > 66; /* cells are narrow there */
    step -= lat > 80;
    return step < 1 ? 1 : step > STEP_MAX ? STEP_MAX : step;
}

static struct cell cell_of(struct geo_point p, int step)
{
    const double cells = (double)((uint64_t)1 << step);
    return (struct cell){
        (uint64_t)((p.longitude + GEO_LONGITUDE_MAX) / (2 * GEO_LONGITUDE_MAX) * cells),
        (uint64_t)((p.latitude + GEO_LATITUDE_MAX) / (2 * GEO_LATITUDE_MAX) * cells),
    };
}

/* A neighbour: around the globe, and (of no harm) over the poles. */
static uint64_t moved(uint64_t i, int d, int step)
{
    return d ? (i + (uint64_t)(int64_t)d) & (((uint64_t)1 << step) - 1) : i;
}

/* Where cell i of a coordinate begins. */
static double begin_of(uint64_t i, double max, int step)
{
    return -max + (double)i / (double)((uint64_t)1 << step) * (2 * max);
}

static bool holds(struct cell c, int step, const struct bounds *b)
{
    return begin_of(moved(c.y, 1, step) + 1, GEO_LATITUDE_MAX, step) >= b->north &&
           begin_of(moved(c.y, -1, step), GEO_LATITUDE_MAX, step) <= b->south &&
           begin_of(moved(c.x, 1, step) + 1, GEO_LONGITUDE_MAX, step) >= b->east &&
           begin_of(moved(c.x, -1, step), GEO_LONGITUDE_MAX, step) <= b->west;
}

static void sort_ranges(struct geo_range *r, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        struct geo_range x = r[i];
        unsigned k = i;
        for (; k > 0 && r[k - 1].from > x.from; k--)
            r[k] = r[k - 1];
        r[k] = x;
    }
}

/* Joins ranges that touch or are the same. */
static unsigned join_ranges(struct geo_range *r, unsigned n)
{
    unsigned out = 0;
    for (unsigned i = 1; i < n; i++) {
        if (r[i].from <= r[out].to)
            r[out].to = r[i].to > r[out].to ? r[i].to : r[out].to;
        else
            r[++out] = r[i];
    }
    return out + 1;
}

unsigned geo_cover(const struct geo_shape *s, struct geo_range ranges[GEO_RANGES_MAX])
{
    struct bounds b;
    int step = step_for(s);
    struct cell c = cell_of(s->center, step);
    bounds_of(s, &b);
    if (step > 1 && !holds(c, step, &b)) {
        step--;
        c = cell_of(s->center, step);
    }
    /* Neighbours on a side that the shape does not reach. */
    bool all = step < 2;
    int south = all || begin_of(c.y, GEO_LATITUDE_MAX, step) >= b.south ? -1 : 0;
    int north = all || begin_of(c.y + 1, GEO_LATITUDE_MAX, step) <= b.north ? 1 : 0;
    int west = all || begin_of(c.x, GEO_LONGITUDE_MAX, step) >= b.west ? -1 : 0;
    int east = all || begin_of(c.x + 1, GEO_LONGITUDE_MAX, step) <= b.east ? 1 : 0;
    unsigned n = 0, low = (unsigned)(GEO_BITS - 2 * step);
    for (int dy = south; dy <= north; dy++) {
        for (int dx = west; dx <= east; dx++) {
            uint64_t bits = spread(moved(c.y, dy, step)) | spread(moved(c.x, dx, step)) << 1;
            ranges[n++] = (struct geo_range){ bits << low, (bits + 1) << low };
        }
    }
    sort_ranges(ranges, n);
    return join_ranges(ranges, n);
}
