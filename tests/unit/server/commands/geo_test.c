/* Geo, HyperLogLog and SORT: events and effects as others must hear them; replies at their edges.
 */
#include <criterion/criterion.h>

#include "harness.h"

extern const struct command geo_commands[], geo_search_commands[], hll_commands[], sort_commands[];
extern const struct command string_commands[], list_commands[], zset_range_commands[],
    hash_commands[];

static const struct command *const families[] = {
    geo_commands,    geo_search_commands, hll_commands,        sort_commands,
    string_commands, list_commands,       zset_range_commands, hash_commands,
};
static struct harness h;

static void setup(void)
{
    static const struct command *ended[sizeof(families) / sizeof(*families) + 1];
    memcpy(ended, families, sizeof(families));
    harness_init(&h, ended);
    h.limits.zset_max_listpack_entries = 128;
    h.limits.zset_max_listpack_value = 64;
    h.limits.list_max_listpack_size = -2;
    h.limits.hash_max_listpack_entries = 128;
    h.limits.hash_max_listpack_value = 64;
    h.limits.hll_sparse_max_bytes = 3000;
}

static void teardown(void)
{
    harness_done(&h);
}

TestSuite(geo, .init = setup, .fini = teardown, .timeout = 30);

Test(geo, places_go_out_as_scores)
{
    static const struct step steps[] = {
        { "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", ":2", "new g, zadd g",
          "ZADD g 3479099956230698 Palermo 3479447370796909 Catania" },
        { "GEOADD g NX CH 1 1 Palermo", ":0", "", "" },
        { "GEOADD g XX CH 13.4 38.1 Palermo", ":1", "zadd g",
          "ZADD g XX CH 3479099937378871 Palermo" },
        { "GEOADD none XX 1 1 m", ":0", "", "" },
        { "GEOADD g 1 2 a 181 3 b", "-ERR invalid longitude,latitude pair 181.000000,3.000000", "",
          "" },
        { "GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 100 km", ":1", "new d, geosearchstore d",
          "GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 100 km" },
        { "GEORADIUS g 15 37 100 km STORE d", ":1", "georadiusstore d",
          "GEORADIUS g 15 37 100 km STORE d" },
        { "GEORADIUS g 15 37 1 km STORE d", ":0", "del d", "GEORADIUS g 15 37 1 km STORE d" },
        { "GEORADIUS g 15 37 1 km STORE d", ":0", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(geo, a_search_stops_at_its_shape)
{
    static const struct step steps[] = {
        { "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 180 0 rim", ":3", NULL,
          NULL },
        { "GEOSEARCH g FROMMEMBER Palermo BYRADIUS 0 m", "['Palermo']", NULL, NULL },
        { "GEOSEARCH g FROMMEMBER Palermo BYRADIUS 166 km ASC", "['Palermo']", NULL, NULL },
        { "GEOSEARCH g FROMMEMBER Palermo BYRADIUS 166.28 km DESC", "['Catania' 'Palermo']", NULL,
          NULL },
        { "GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC COUNT 1 WITHDIST",
          "[['Catania' '56.4413']]", NULL, NULL },
        { "GEOSEARCH g FROMMEMBER rim BYRADIUS 1 km", "['rim']", NULL, NULL },
        { "GEOSEARCH g FROMMEMBER none BYRADIUS 1 km",
          "-ERR could not decode requested zset member", NULL, NULL },
        { "GEODIST g Palermo Catania mi", "'103.3182'", NULL, NULL },
        { "GEOHASH g Palermo none", "['sqc8b49rny0' nil]", NULL, NULL },
    };
    HARNESS_STEPS(&h, steps);
}

Test(geo, hyperloglogs)
{
    static const struct step steps[] = {
        { "PFADD p a b", ":1", "new p, pfadd p", "PFADD p a b" },
        { "PFADD p a b", ":0", "", "" },
        { "PFCOUNT p", ":2", "", "PFCOUNT p" }, /* the count is kept in the value */
        { "PFCOUNT p", ":2", "", "" },
        { "PFADD q b c", ":1", NULL, NULL },
        { "PFCOUNT p q", ":3", "", "" },
        { "PFMERGE p q", "OK", "pfadd p", "PFMERGE p q" },
        { "PFCOUNT p", ":3", NULL, NULL },
        { "PFDEBUG ENCODING p", "sparse", "", "" },
        { "PFDEBUG TODENSE p", ":1", "", "PFDEBUG TODENSE p" },
        { "PFCOUNT p", ":3", NULL, NULL },
        { "PFADD p a b c d", ":1", "pfadd p", "PFADD p a b c d" },
        { "PFCOUNT p", ":4", NULL, NULL },
        { "PFMERGE p p", "OK", "pfadd p", "PFMERGE p p" },
        { "SET s x", "OK", NULL, NULL },
        { "PFADD s a", "-WRONGTYPE Key is not a valid HyperLogLog string value.", "", "" },
        { "PFMERGE p s", "-WRONGTYPE Key is not a valid HyperLogLog string value.", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(geo, sorting)
{
    static const struct step steps[] = {
        { "RPUSH l 3 10 2", ":3", NULL, NULL },
        { "SORT l", "['2' '3' '10']", "", "" },
        { "SORT l DESC LIMIT 1 5", "['3' '2']", "", "" },
        { "SORT l ALPHA", "['10' '2' '3']", "", "" },
        { "SORT l LIMIT 3 1", "[]", "", "" },
        { "SORT l LIMIT -5 9223372036854775807", "['2' '3' '10']", "", "" },
        { "SET w2 30", "OK", NULL, NULL },
        { "SET w3 20", "OK", NULL, NULL },
        { "HSET h10 f 7", ":1", NULL, NULL },
        { "SORT l BY w* GET # GET h*->f", "['10' '7' '3' nil '2' nil]", NULL, NULL },
        { "SORT l BY nosort", "['3' '10' '2']", "", "" },
        { "SORT l STORE d", ":3", "new d, sortstore d", "SORT l STORE d" },
        { "SORT l STORE l", ":3", "sortstore l", "SORT l STORE l" },
        { "SORT none STORE d", ":0", "keymiss none, del d", "SORT none STORE d" },
        { "SORT none STORE d", ":0", NULL, "" },
        { "RPUSH l abc", ":4", NULL, NULL },
        { "SORT l", "-ERR One or more scores can't be converted into double", "", "" },
        { "SORT_RO l STORE d", "-ERR syntax error", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}
