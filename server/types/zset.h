/* Sorted sets: a listpack of members and scores in order while small, else a tree (zset_tree.h)
 * over the items of a table (members.h: the name, then the score), which OBJECT ENCODING calls a
 * skiplist. It becomes a tree as Redis 7.2's does, at the limits given, and never goes back.
 *
 * The order is that of scores, then of names as memcmp has it. A rank counts from the least, from
 * 0. A range of scores or of names is first turned into one of ranks (struct zset_span), which
 * costs O(log n); all the rest works on ranks.
 *
 * Verbs take the sorted set as a value_ref (see value.h); those that only read, by value. Scores
 * are never NaN. */
#pragma once

#include "common/prng.h"
#include "server/types/limits.h"
#include "server/types/listpack.h"
#include "server/types/members.h"
#include "server/types/value.h"
#include "server/types/zset_tree.h"

extern const struct value_ops zset_value_ops;

struct value_ref zset_new(void); /* empty, a listpack */
/* Empty, in the encoding that Redis begins with when n members are to come, the longest of
 * `member_max` bytes. */
struct value_ref zset_new_for(uint64_t n, size_t member_max, const struct types_limits *);
void zset_free(struct value_ref);
/* Before n members, the longest of `member_max` bytes, are added: becomes a tree at once if they
 * are too many or too long for a listpack, whatever is in it and whether or not they will be new
 * (so does Redis, and it shows). */
void zset_expect(struct value_ref *, uint64_t n, size_t member_max, const struct types_limits *);

uint64_t zset_count(struct value_ref);
bool zset_score(struct value_ref, struct bytes member, double *ret_score); /* false: not in it */

/* ---- changing ---- */
enum zset_add_flags {
    ZSET_NX = 1 << 0, /* only new members */
    ZSET_XX = 1 << 1, /* only members that are there */
    ZSET_GT = 1 << 2, /* a member that is there: only when the new score is greater */
    ZSET_LT = 1 << 3,
    ZSET_INCR = 1 << 4, /* the score is added to the one that is there */
};
enum zset_added {
    ZSET_ADDED,
    ZSET_UPDATED,
    ZSET_SAME,    /* the score is the one that it had */
    ZSET_REFUSED, /* by a flag */
    ZSET_NAN,     /* the sum is no number; nothing changed */
};
/* ret_score: the member's score afterwards; untouched when refused or NaN. */
enum zset_added zset_add(struct value_ref *, double score, struct bytes member, unsigned flags,
                         const struct types_limits *, double *ret_score);
bool zset_remove(struct value_ref *, struct bytes member); /* true: it was there */

/* ---- order ---- */
bool zset_rank(struct value_ref, struct bytes member, uint64_t *ret_rank,
               double *ret_score); /* false: not in it */

struct zset_span {
    uint64_t from, to; /* ranks, `to` excluded; from <= to <= count */
};
struct zset_score_range {
    double min, max;
    bool min_open, max_open; /* the bound itself is excluded */
};
struct zset_lex_bound {
    int infinite; /* -1: before all names, 1: behind all, 0: the name says */
    bool open;
    struct bytes name;
};
struct zset_lex_range {
    struct zset_lex_bound min, max;
};
struct zset_span zset_span_by_score(struct value_ref, const struct zset_score_range *);
struct zset_span
zset_span_by_lex(struct value_ref,
                 const struct zset_lex_range *); /* scores are equal, or any answer */
void zset_remove_span(struct value_ref *, struct zset_span);

/* ---- walking: in order from a rank, or backwards; it may not change meanwhile ---- */
struct zset_walk {
    struct value_ref zset;
    bool backwards;
    const uint8_t *p; /* the next; NULL: done */
    struct ztree_at at;
};
void zset_walk_begin(struct zset_walk *, struct value_ref, uint64_t rank,
                     bool backwards); /* from `rank` on */
bool zset_walk_next(struct zset_walk *, struct element *ret_member,
                    double *ret_score); /* false: done */

typedef void zset_visit(void *ctx, const struct element *member, double score);

/* Cursor walk with the promises of table_scan. Small ones are visited whole. */
uint64_t zset_scan(struct value_ref, uint64_t cursor, zset_visit *, void *ctx);

/* ---- choosing ---- */
void zset_random(struct value_ref, struct prng *, struct element *ret_member,
                 double *ret_score); /* not empty */
/* k different members, each choice equally likely; k <= count. */
void zset_pick(struct value_ref, uint64_t k, struct prng *, zset_visit *, void *ctx);

/* ---- building: members in any order, then one sort; for unions and the like, and for loading ----
 */
struct zset_build {
    struct members *members;
    size_t name_max; /* bytes of the longest name */
};
void zset_build_begin(struct zset_build *, uint64_t expected);
/* A member that was added, or NULL; and its score, which may be changed. */
void *zset_build_find(const struct zset_build *, uint64_t hash, struct bytes member);
void zset_build_add(struct zset_build *, uint64_t hash, struct bytes member,
                    double score); /* one that is not in */
uint64_t zset_build_count(const struct zset_build *);
/* Ends it, in the encoding that the limits ask for (NULL: a table, whatever its size). */
struct value_ref zset_build_end(struct zset_build *, const struct types_limits *);
double zset_item_score(const void *item);
void zset_item_set_score(void *item, double score);

/* From outside (DUMP payloads): checked whole, then brought to the encoding that the limits ask
 * for. */
bool zset_load_listpack(struct bytes, const struct types_limits *, struct value_ref *ret_zset);
