/* What the files of the sorted set commands share: replies of members and scores, bounds of ranges,
 * popping. */
#pragma once

#include "server/commands/collection.h"
#include "server/commands/pop_args.h"
#include "server/types/zset.h"

/* A bound of scores: a number, "(" in front: excluded. Lexical: "-", "+", "[name", "(name". False:
 * neither. */
bool parse_score_bound(struct bytes, double *ret_score, bool *ret_open);
bool parse_lex_bound(struct bytes, struct zset_lex_bound *ret_bound);
/* Two of them in arguments i and i + 1; false after the error reply. */
bool arg_score_range(struct call *, int min, int max, struct zset_score_range *ret_range);
bool arg_lex_range(struct call *, int min, int max, struct zset_lex_range *ret_range);
/* Redis' ranks: negative ones count from the end, both ends are included. */
struct zset_span span_by_rank(uint64_t count, int64_t from, int64_t to);

/* Members with scores: RESP2 has one flat array, RESP3 pairs. */
void reply_members_head(struct call *, int64_t n, bool with_scores);
void reply_member(struct call *, const struct element *, double score, bool with_scores);
/* In order of rank or backwards, n of them from `rank` on, without the head. */
void reply_members(struct call *, struct value_ref, uint64_t rank, uint64_t n, bool backwards,
                   bool with_scores);

/* Writes (or replaces) a sorted set that a STORE form has made; an empty one deletes the key.
 * Replies its size. Takes it. */
void store_zset(struct call *, struct bytes key, struct value_ref take, const char *event);
/* n > 0 members have left: event, and the key goes with the last. */
void zset_removed(struct call *, struct bytes key, struct entry *, struct value_ref now,
                  const char *event, uint64_t n);

/* Pops n > 0 members (there are so many): they are written without a head, then removed. */
enum pairs { PAIRS_FLAT, PAIRS_NESTED };
void zset_pop(struct call *, struct bytes key, struct entry *, bool max, uint64_t n, enum pairs);
/* Pops from the first key that has something, and states the effect. False: none has, nothing
 * replied. */
bool zset_mpop(struct call *, const struct mpop_args *);
