/* A flat list of small elements in one block, byte for byte Redis' listpack (it travels in DUMP and
 * RDB as it is).
 *
 *   total bytes u32 | elements u16 (65535: unknown, count them) | entries | 0xFF
 *   entry: head and data, then their size as a back length, so that it is walked from both ends
 *
 *   head                        data (numbers are little-endian)
 *   0xxxxxxx                    integer 0..127
 *   10xxxxxx                    string of up to 63 bytes
 *   110xxxxx                    integer of 13 bits, 1 more byte
 *   1110xxxx                    string of up to 4095 bytes, 1 more byte of length
 *   11110000                    string, 4 bytes of length
 *   11110001, -10, -11, -100    integer of 2, 3, 4, 8 bytes
 *
 *   back length: 7 bits a byte, most significant first, 0x80 set on all bytes but the first; so
 *   many bytes for sizes: 1 up to 127, 2 below 16383, 3 below 2097151, 4 below 268435455, else 5
 *
 * Text that is a canonical decimal of 64 bits is kept as an integer in the smallest form, and a
 * string has the smallest head: so equal elements are equal bytes, and finding one is comparing
 * bytes (an invariant of all listpacks here: see lp_from_bytes for those from outside). Shared by
 * hashes and sorted sets (pairs), sets, lists and streams.
 *
 * `lp` is the block, `p` an entry in it or its end mark. Verbs that change take uint8_t **lp since
 * the block may move: other pointers into it are void then. Element bytes given to them may not lie
 * in the same listpack. */
#pragma once

#include "common/bytes.h"
#include "server/types/value.h"

#define LP_HEADER       6u
#define LP_EMPTY        7u /* bytes of a listpack without elements */
#define LP_END          0xFFu
#define LP_MAX          ((size_t)1 << 30) /* bytes it may grow to: see lp_fits */
#define LP_OVERHEAD_MAX 10u               /* bytes around an element at most */

/* ---- the whole ---- */
uint8_t *lp_new(void);
void lp_free(uint8_t *lp); /* NULL is fine */
uint8_t *lp_copy(const uint8_t *lp);
size_t lp_memory(const uint8_t *lp);
uint32_t lp_count_walk(const uint8_t *lp);

static inline size_t lp_bytes(const uint8_t *lp)
{
    uint32_t n;
    memcpy(&n, lp, sizeof n);
    return n;
}

static inline uint32_t lp_count(const uint8_t *lp) /* elements; O(n) from 65535 on */
{
    uint16_t n;
    memcpy(&n, lp + 4, sizeof n);
    return __builtin_expect(n != UINT16_MAX, 1) ? n : lp_count_walk(lp);
}

static inline bool lp_is_empty(const uint8_t *lp)
{
    return lp[LP_HEADER] == LP_END;
}

/* `more` bytes of elements (each with LP_OVERHEAD_MAX) may be added. */
static inline bool lp_fits(const uint8_t *lp, size_t more)
{
    return more < LP_MAX && lp_bytes(lp) + more < LP_MAX;
}

/* ---- walking ---- */
size_t lp_size_rare(const uint8_t *p);

static inline size_t lp_size(const uint8_t *p) /* of head and data */
{
    if (*p < 0x80)
        return 1;
    if (*p < 0xC0)
        return 1 + (size_t)(*p & 63);
    return lp_size_rare(p);
}

static inline unsigned lp_back_size(size_t n) /* bytes of the back length of n */
{
    if (__builtin_expect(n <= 127, 1))
        return 1;
    return n < 16383 ? 2 : n < 2097151 ? 3 : n < 268435455 ? 4 : 5;
}

static inline uint8_t *lp_begin(const uint8_t *lp) /* the first entry or the end mark */
{
    return (uint8_t *)lp + LP_HEADER;
}

static inline uint8_t *lp_end(const uint8_t *lp) /* the end mark */
{
    return (uint8_t *)lp + lp_bytes(lp) - 1;
}

static inline bool lp_is_end(const uint8_t *p)
{
    return *p == LP_END;
}

static inline uint8_t *lp_skip(const uint8_t *p) /* what follows an entry, maybe the end mark */
{
    size_t n = lp_size(p);
    return (uint8_t *)p + n + lp_back_size(n);
}

/* The entry before p; NULL: p is the first. */
uint8_t *lp_prev(const uint8_t *lp, const uint8_t *p);
/* -1 is the last; NULL when out of range. */
uint8_t *lp_seek(const uint8_t *lp, int64_t index);

static inline uint8_t *lp_first(const uint8_t *lp) /* NULL: none */
{
    return lp_is_empty(lp) ? NULL : lp_begin(lp);
}

static inline uint8_t *lp_last(const uint8_t *lp) /* NULL: none */
{
    return lp_prev(lp, lp_end(lp));
}

static inline uint8_t *lp_next(const uint8_t *p) /* NULL: none */
{
    uint8_t *next = lp_skip(p);
    return lp_is_end(next) ? NULL : next;
}

/* ---- reading ---- */
void lp_get_rare(const uint8_t *p, struct element *ret);

static inline void lp_get(const uint8_t *p, struct element *ret)
{
    ret->blob = NULL;
    if (*p >= 0x80 && *p < 0xC0) {
        ret->s = bytes_of(p + 1, *p & 63);
    } else if (*p < 0x80) {
        ret->s = bytes_of(NULL, 0);
        ret->i = *p;
    } else {
        lp_get_rare(p, ret);
    }
}

/* False: it is a string, which then is no canonical integer. */
bool lp_get_i64(const uint8_t *p, int64_t *ret_v);
bool lp_equals(const uint8_t *p, struct bytes);
/* The first from p on that is equal, looking at every (skip + 1)-th; NULL: none. */
uint8_t *lp_find(const uint8_t *p, struct bytes, unsigned skip);

/* ---- changing ---- */
/* Inserts in front of `at` (an entry or the end mark); gives the new entry. */
uint8_t *lp_insert(uint8_t **lp, uint8_t *at, struct bytes);
uint8_t *lp_insert_i64(uint8_t **lp, uint8_t *at, int64_t v);
/* Two elements in one go; gives the first. */
uint8_t *lp_insert_pair(uint8_t **lp, uint8_t *at, struct bytes a, struct bytes b);
uint8_t *lp_replace(uint8_t **lp, uint8_t *at, struct bytes); /* gives the entry */
uint8_t *lp_replace_i64(uint8_t **lp, uint8_t *at, int64_t v);
/* Removes up to n entries from `at` on; gives what comes after them, maybe the end mark. */
uint8_t *lp_delete(uint8_t **lp, uint8_t *at, uint32_t n);

static inline uint8_t *lp_append(uint8_t **lp, struct bytes s)
{
    return lp_insert(lp, lp_end(*lp), s);
}

static inline uint8_t *lp_append_i64(uint8_t **lp, int64_t v)
{
    return lp_insert_i64(lp, lp_end(*lp), v);
}

static inline uint8_t *lp_append_pair(uint8_t **lp, struct bytes a, struct bytes b)
{
    return lp_insert_pair(lp, lp_end(*lp), a, b);
}

static inline uint8_t *lp_prepend(uint8_t **lp, struct bytes s)
{
    return lp_insert(lp, lp_begin(*lp), s);
}

/* Elements that are entries of another listpack, n bytes of them, `count` elements. */
void lp_append_entries(uint8_t **lp, const uint8_t *entries, size_t n, uint32_t count);
/* Cuts the entries from `at` on off into a listpack of their own. */
uint8_t *lp_split(uint8_t **lp, uint8_t *at);
size_t lp_entry_bytes(struct bytes); /* that the element would take */

/* ---- from outside ---- */
struct lp_facts {
    uint32_t count;  /* elements */
    size_t text_max; /* bytes of the longest element as text */
    bool canonical;  /* all elements have their smallest form */
    bool integers;   /* all elements are integers */
};
/* Whether arbitrary bytes are a listpack, whole: every length within, every back length right,
 * counts true. */
bool lp_validate(struct bytes, struct lp_facts *ret_facts);
/* A listpack of our own with the elements of valid bytes, brought to their smallest forms if they
 * are not. */
uint8_t *lp_from_bytes(struct bytes valid, const struct lp_facts *);
/* Whether two of every (step)-th elements are equal: duplicate members or fields. O(n log n). */
bool lp_has_duplicates(const uint8_t *lp, unsigned step);
