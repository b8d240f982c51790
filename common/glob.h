/* Glob patterns as Redis matches them: KEYS, SCAN MATCH, PSUBSCRIBE, CONFIG GET, ACL patterns.
 *
 *   *       any bytes, also none          [abc] [a-z] [^x]   one byte of, or not of, a set
 *   ?       any one byte                  \c                 c itself, also inside a set
 *
 * The empty text is matched by the empty pattern only, not by a star: who wants "all" asks for "*"
 * first. Any text is a pattern: a set that is not closed ends with the pattern, a range may be
 * given backwards, a last backslash stands for itself. Bytes, not characters. Time is bounded by
 * pattern length times text length. */
#pragma once

#include "common/bytes.h"

bool glob_match(struct bytes pattern, struct bytes text);
bool glob_match_nocase(struct bytes pattern, struct bytes text); /* ASCII letters in any case */

/* No byte of it is special, so that a lookup can replace the match. */
bool glob_is_literal(struct bytes pattern);
