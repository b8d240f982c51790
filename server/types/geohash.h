/* Places on the globe as numbers of 52 bits: longitude and latitude, 26 bits each, in turn, so that
 * places that are close are often close as numbers. The number is the score of a member of a sorted
 * set.
 *
 * Longitudes are -180..180 degrees, latitudes -85.05112878..85.05112878 (the square of Web
 * Mercator); distances are metres on a sphere. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GEO_LONGITUDE_MAX 180.0
#define GEO_LATITUDE_MAX  85.05112878
#define GEO_BITS          52 /* of a score */

struct geo_point {
    double longitude, latitude; /* degrees */
};

static inline bool geo_point_ok(struct geo_point p)
{
    return p.longitude >= -GEO_LONGITUDE_MAX && p.longitude <= GEO_LONGITUDE_MAX &&
           p.latitude >= -GEO_LATITUDE_MAX && p.latitude <= GEO_LATITUDE_MAX;
}

uint64_t geo_encode(struct geo_point);       /* a point that is ok */
struct geo_point geo_decode(uint64_t bits);  /* the middle of the cell */
struct geo_point geo_of_score(double score); /* any score: those that are no cell give some point */

#define GEO_TEXT 11
void geo_text(char text[GEO_TEXT], struct geo_point); /* the geohash of geohash.org */

double geo_distance(struct geo_point, struct geo_point);

/* An area around a point. */
struct geo_shape {
    struct geo_point center;
    bool box;
    double radius;        /* metres; of a circle */
    double width, height; /* metres; of a box along the meridians and parallels */
};
/* Whether the point is in it, and how far it is from the centre. */
bool geo_within(const struct geo_shape *, struct geo_point, double *ret_distance);

/* Ranges of scores [from, to) in which the points of the shape are, and others: ascending, apart
 * from each other. */
struct geo_range {
    uint64_t from, to;
};
#define GEO_RANGES_MAX 9
unsigned geo_cover(const struct geo_shape *, struct geo_range ranges[GEO_RANGES_MAX]);
