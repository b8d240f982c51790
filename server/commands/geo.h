/* What the geo commands share (types/geohash.h): places as arguments and replies. */
#pragma once

#include "server/commands/zset_cmd.h"
#include "server/types/geohash.h"

/* Metres of a unit: m, km, ft, mi. False: the error was replied. */
bool arg_geo_unit(struct call *, int i, double *ret_metres);
bool arg_geo_point(struct call *, int i,
                   struct geo_point *ret_point);  /* longitude and latitude in i and i + 1 */
void reply_geo_distance(struct writer *, double); /* four decimals */
void reply_geo_point(struct writer *, struct geo_point);
