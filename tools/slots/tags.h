/* Which keys cannot be parted: those of one hash tag lie in one slot, and so on one master, whatever is moved. No
 * I/O. */
#pragma once

#include "common/prng.h"
#include "model.h"

struct tag {
    struct load load;
    uint16_t slot;
    bool is_key; /* not a tag: one key without */
    uint32_t n;
    char text[];
};

struct tags; /* all tags, and the heaviest of the keys without one */

#define LONERS_KEPT 256 /* keys without a tag that are remembered, by each metric */

struct tags *tags_new(void);
void tags_free(struct tags *);
/* A key and what it weighs; `map` gets it too (may be NULL). */
void tags_add(struct tags *, struct bytes key, const struct load *, struct slot_map *map);
uint64_t tags_count(const struct tags *);        /* distinct tags */
uint64_t tags_keys(const struct tags *);         /* keys in all */
double tags_total(const struct tags *, enum metric);
double tags_tagged(const struct tags *, enum metric); /* of keys with a tag */
/* The heaviest tags and lone keys together, heaviest first; returns how many, at most `max`. */
int tags_heaviest(const struct tags *, enum metric, const struct tag **ret_tags, int max);
/* With more masters than this, a part of this weight is more than a master's fair share: they cannot help any more. */
int masters_useful(double part, double total);

/* Max over mean when the same parts are thrown at `masters` at random. */
struct chance {
    double mean, p95;
};
struct chance tags_chance(const struct tags *, enum metric, int masters, uint64_t seed);
