/* Text as people and configuration files write it: lines of quoted arguments, sizes in memory,
 * names nearly right. */
#pragma once

#include "common/arena.h"
#include "common/buf.h"
#include "common/bytes.h"

/* Splits a line into arguments by the rules of redis.conf and of inline commands:
 *   "..."  with \n \r \t \b \a \xHH; any other escaped byte stands for itself
 *   '...'  with \' only
 * A closing quote must be followed by a space or the end. The text ends at its first NUL byte, if
 * it has one. False = unbalanced quotes. Arguments live in the arena. An empty line gives 0
 * arguments. */
bool text_split(struct bytes line, struct arena *, struct bytes **ret_argv, size_t *ret_argc);

/* Appends "..." with \" \\ \n \r \t \a \b and \xHH for what is not printable ASCII, as MONITOR and
 * CONFIG show arguments. text_split reads it back. 0 or -ENOMEM as buf_append; the content may then
 * be cut. */
int text_quote(struct buf *, struct bytes);

/* "512", "64mb", "1GB", "100k": bytes; units b k kb m mb g gb in any case, k is 1000 and kb is
 * 1024. No digits at all mean 0, digits beyond 64 bits the largest number (both as in Redis).
 * False: unknown unit, a sign, spaces, or a product that does not fit. */
bool text_parse_memory(struct bytes, uint64_t *ret_bytes);

#define TEXT_MEMORY_MAX 32
/* "812B", "1.50M", "2.30G": the form of INFO's *_human fields. Writes at most TEXT_MEMORY_MAX bytes
 * with the NUL; returns their number without it. */
size_t text_format_memory(char dst[TEXT_MEMORY_MAX], uint64_t bytes);

void text_lower(char *p, size_t n); /* ASCII, in place */

/* Lower-case hex digits, 2 * n of them, no NUL. text_unhex: false when not exactly 2 * n hex digits
 * of any case. */
void text_hex(char *dst, const void *src, size_t n);
bool text_unhex(void *dst, size_t n, struct bytes hex);

/* Edits (insert, delete, replace, swap neighbours) between two names, in any case. TEXT_FAR when
 * there are more than `limit`, or when a name is longer than TEXT_DISTANCE_MAX: bounded work, meant
 * for "did you mean". */
#define TEXT_DISTANCE_MAX 64
#define TEXT_FAR ((size_t)-1)
size_t text_distance(struct bytes a, struct bytes b, size_t limit);
