/* What zset.c and zset_range.c share: the large form, and reading the small one. */
#pragma once

#include "server/types/zset.h"

struct zset {
    struct members *members; /* items: name | score; NULL while being freed, after them */
    struct ztree tree;
};

static inline double zset_lp_score(const uint8_t *p)
{
    struct element e;
    double score = 0;
    lp_get(p, &e);
    if (!e.s.p)
        return (double)e.i;
    (void)num_parse_double(e.s, &score); /* it is our text, or was checked when it came in */
    return score;
}

static inline void *zset_find(const struct zset *z, struct bytes member, struct table_at *ret_at)
{
    return members_find(z->members, hash_bytes(member), member, ret_at);
}

void zset_drop_item(struct zset *, void *item); /* of the table; it has left the tree */
