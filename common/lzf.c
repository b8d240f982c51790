/* LZF, see lzf.h. The compressor remembers, for a hash of three bytes, where they were last seen.
 * The table of places is sized by the input, since clearing it would otherwise be most of the work
 * for short strings. */
#include "common/lzf.h"

#define LITERALS_MAX   32
#define DISTANCE_MAX   8192
#define MATCH_MIN      3
#define MATCH_MAX      (255 + 7 + 2)
#define TABLE_BITS_MIN 6
#define TABLE_BITS_MAX 14
#define SKIP_SHIFT     5 /* after 32 bytes without a match every second is tried, and so on */

#define TEXT_SMALL 65535 /* bytes: places fit in 16 bits */

/* Three bytes as a number; the fourth, which must be there, is not looked at. */
static inline uint32_t three_bytes(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v & 0xffffff;
}

static inline uint32_t table_index(uint32_t v, int bits)
{
    return v * 2654435761u >> (32 - bits);
}

struct output {
    unsigned char *p, *end;
};

/* Literals in runs of up to 32, each behind its control byte. */
static bool put_literals(struct output *o, const unsigned char *p, size_t n)
{
    while (n) {
        size_t run = n < LITERALS_MAX ? n : LITERALS_MAX;
        if ((size_t)(o->end - o->p) < run + 1)
            return false;
        *o->p++ = (unsigned char)(run - 1);
        memcpy(o->p, p, run);
        o->p += run;
        p += run;
        n -= run;
    }
    return true;
}

static bool put_match(struct output *o, size_t distance, size_t n)
{
    size_t length = n - 2, back = distance - 1;
    if (o->end - o->p < (length < 7 ? 2 : 3))
        return false;
    if (length < 7) {
        *o->p++ = (unsigned char)(length << 5 | back >> 8);
    } else {
        *o->p++ = (unsigned char)(7 << 5 | back >> 8);
        *o->p++ = (unsigned char)(length - 7);
    }
    *o->p++ = (unsigned char)back;
    return true;
}

static size_t match_length(const unsigned char *a, const unsigned char *b, size_t max)
{
    size_t n = MATCH_MIN;
    while (n < max && a[n] == b[n])
        n++;
    return n;
}

/* Places seen, by the hash of what is there: 16 or 32 bits each. The first place stands for "none"
 * too: it is looked at like any other, and mostly is none. */
struct places {
    bool small;
    int bits;
    union {
        uint16_t s[1 << TABLE_BITS_MAX];
        uint32_t l[1 << TABLE_BITS_MAX];
    };
};

static inline size_t places_swap(struct places *t, bool small, uint32_t v, size_t at)
{
    uint32_t i = table_index(v, t->bits);
    size_t before = small ? t->s[i] : t->l[i];
    if (small)
        t->s[i] = (uint16_t)at;
    else
        t->l[i] = (uint32_t)at;
    return before;
}

/* The next match from *at on, which is moved to it: its distance and length; 0: none. Where none
 * was found for long, fewer places are tried: what cannot be compressed shall not cost much. */
static inline __attribute__((always_inline)) size_t next_match(struct places *t, bool small,
                                                               const unsigned char *base, size_t n,
                                                               size_t *at, size_t *ret_distance)
{
    size_t from = *at, i = from;
    while (i + MATCH_MIN < n) {
        uint32_t v = three_bytes(base + i);
        size_t before = places_swap(t, small, v, i);
        if (__builtin_expect(three_bytes(base + before) == v, 0) && i - before <= DISTANCE_MAX) {
            size_t max = n - i < MATCH_MAX ? n - i : MATCH_MAX;
            *at = i;
            *ret_distance = i - before;
            return match_length(base + i, base + before, max);
        }
        i += 1 + ((i - from) >> SKIP_SHIFT);
    }
    *at = n;
    return 0;
}

static inline __attribute__((always_inline)) size_t
compress(struct places *t, bool small, struct bytes src, char *dst, size_t dst_max)
{
    const unsigned char *base = (const unsigned char *)src.p;
    struct output o = { (unsigned char *)dst, (unsigned char *)dst + dst_max };
    size_t at = 1, written = 0, distance, n; /* no match begins at 0 */
    while ((n = next_match(t, small, base, src.n, &at, &distance)) > 0) {
        if (!put_literals(&o, base + written, at - written) || !put_match(&o, distance, n))
            return 0;
        at += n;
        written = at;
        /* Remember the last places of the match too: repetitions often go on from there. */
        for (size_t i = at - (n > MATCH_MIN ? 2 : 1); i < at && i + MATCH_MIN < src.n; i++)
            (void)places_swap(t, small, three_bytes(base + i), i);
    }
    if (!put_literals(&o, base + written, src.n - written))
        return 0;
    return (size_t)(o.p - (unsigned char *)dst);
}

size_t lzf_compress(struct bytes src, char *dst, size_t dst_max)
{
    if (src.n == 0 || src.n > UINT32_MAX - 1)
        return 0;
    struct places t; /* large: only what is used is cleared */
    t.small = src.n <= TEXT_SMALL;
    t.bits = TABLE_BITS_MIN;
    while (t.bits < TABLE_BITS_MAX && (size_t)1 << t.bits < src.n)
        t.bits++;
    if (t.small)
        memset(t.s, 0, sizeof *t.s << t.bits);
    else
        memset(t.l, 0, sizeof *t.l << t.bits);
    return t.small ? compress(&t, true, src, dst, dst_max) : compress(&t, false, src, dst, dst_max);
}

/* Forward byte by byte where the parts overlap: that is how a distance of 1 repeats a byte. */
static void copy_match(unsigned char *dst, size_t distance, size_t n)
{
    if (distance >= n) {
        memcpy(dst, dst - distance, n);
        return;
    }
    if (distance == 1) {
        memset(dst, dst[-1], n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        dst[i] = dst[i - distance];
}

bool lzf_decompress(struct bytes src, char *dst, size_t n)
{
    const unsigned char *p = (const unsigned char *)src.p, *end = p + src.n;
    unsigned char *out = (unsigned char *)dst;
    size_t done = 0;
    while (p < end) {
        size_t control = *p++;
        if (control < LITERALS_MAX) {
            size_t run = control + 1;
            if ((size_t)(end - p) < run || n - done < run)
                return false;
            memcpy(out + done, p, run);
            p += run;
            done += run;
            continue;
        }
        size_t length = control >> 5;
        if (length == 7) {
            if (p == end)
                return false;
            length += *p++;
        }
        length += 2;
        if (p == end)
            return false;
        size_t distance = ((control & 31) << 8 | *p++) + 1;
        if (distance > done || n - done < length)
            return false;
        copy_match(out + done, distance, length);
        done += length;
    }
    return done == n;
}
