/* Places as numbers: known ones, and that an area's ranges have all that is in it. */
#include "server/types/geohash.h"

#include <math.h>

#include "common/bytes.h"
#include "model.h"

static const struct geo_point palermo = { 13.361389, 38.115556 },
                              catania = { 15.087269, 37.502669 };

/* Seen from redis-server 7.0.15 and Valkey 8.1. */
Test(geohash, known_places)
{
    char text[GEO_TEXT];
    cr_expect_eq(geo_encode(palermo), 3479099956230698u);
    cr_expect_eq(geo_encode(catania), 3479447370796909u);
    struct geo_point p = geo_decode(geo_encode(palermo));
    cr_expect_float_eq(p.longitude, 13.36138933897018433, 1e-17);
    cr_expect_float_eq(p.latitude, 38.11555639549629859, 1e-17);
    geo_text(text, p);
    cr_expect(bytes_eq(bytes_of(text, GEO_TEXT), BYTES("sqc8b49rny0")));
    cr_expect_float_eq(geo_distance(p, geo_decode(geo_encode(catania))), 166274.1516, 1e-4);
}

Test(geohash, scores_that_are_no_place_give_some_point)
{
    static const struct {
        double score, longitude, latitude;
    } cases[] = {
        { 1e300, -179.99999731779098511, -85.05112751263942528 },
        { -5, 180, 85.05112877999999910 },
        { 1.5, -179.99999731779098511, -85.05112497791824921 },
        { -1e300, 180, -85.05112751263942528 },
        { NAN, 180, -85.05112751263942528 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct geo_point p = geo_of_score(cases[i].score);
        cr_expect(geo_point_ok(p), "case %zu", i);
        cr_expect_float_eq(p.longitude, cases[i].longitude, 1e-9, "case %zu: %.17g", i,
                           p.longitude);
        cr_expect_float_eq(p.latitude, cases[i].latitude, 1e-9, "case %zu: %.17g", i, p.latitude);
    }
}

static double uniform(struct prng *r, double low, double high)
{
    return low + (high - low) * ((double)(prng_u64(r) >> 11) * 0x1p-53);
}

Test(geohash, decoding_gives_a_point_within_a_metre)
{
    struct prng r;
    prng_init(&r, 3);
    for (int i = 0; i < 200000; i++) {
        struct geo_point p = { uniform(&r, -180, 180), uniform(&r, -85, 85) };
        cr_assert_lt(geo_encode(p), (uint64_t)1 << GEO_BITS);
        cr_assert_lt(geo_distance(p, geo_of_score((double)geo_encode(p))), 1.0);
    }
}

static bool covered(const struct geo_range *ranges, unsigned n, uint64_t bits)
{
    for (unsigned i = 0; i < n; i++) {
        if (bits >= ranges[i].from && bits < ranges[i].to)
            return true;
    }
    return false;
}

Test(geohash, ranges_are_in_order_and_have_what_is_within)
{
    struct prng r;
    unsigned inside = 0;
    prng_init(&r, 4);
    for (int i = 0; i < 3000; i++) {
        double size = pow(10, uniform(&r, 0, 6));
        struct geo_shape s = { .center = { uniform(&r, -175, 175), uniform(&r, -60, 60) },
                               .box = i % 2 };
        s.radius = s.width = size;
        s.height = size * uniform(&r, 0.2, 1.5);
        struct geo_range ranges[GEO_RANGES_MAX];
        unsigned n = geo_cover(&s, ranges);
        cr_assert(n >= 1 && n <= GEO_RANGES_MAX);
        for (unsigned k = 0; k < n; k++)
            cr_assert(ranges[k].from < ranges[k].to &&
                      (k == 0 || ranges[k - 1].to < ranges[k].from));
        for (int k = 0; k < 30; k++) {
            double d, reach = size / 80000; /* degrees */
            struct geo_point p = { s.center.longitude + uniform(&r, -reach, reach),
                                   s.center.latitude + uniform(&r, -reach, reach) };
            if (!geo_point_ok(p) || !geo_within(&s, p, &d))
                continue;
            inside++;
            cr_assert(covered(ranges, n, geo_encode(p)), "%f %f in %f of %f %f", p.longitude,
                      p.latitude, size, s.center.longitude, s.center.latitude);
        }
    }
    cr_expect_gt(inside, 5000);
}
