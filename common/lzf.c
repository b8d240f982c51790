/* LZF, see lzf.h. The compressor remembers, for a hash of three bytes, where they were last seen.
 * The table of places is sized by the input, since clearing it would otherwise be most of the work
 * for short strings. */
#include "common/lzf.h"

#define LITERALS_MAX 32
#define DISTANCE_MAX 8192
#define MATCH_MIN 3
#define MATCH_MAX (255 + 7 + 2)
#define TABLE_BITS_MIN 6
#define TABLE_BITS_MAX 14

static uint32_t three_bytes(const unsigned char *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static uint32_t table_index(uint32_t v, int bits)
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

size_t lzf_compress(struct bytes src, char *dst, size_t dst_max)
{
    const unsigned char *base = (const unsigned char *)src.p;
    struct output o = { (unsigned char *)dst, (unsigned char *)dst + dst_max };
    if (src.n == 0 || src.n > UINT32_MAX - 1)
        return 0;

    int bits = TABLE_BITS_MIN;
    while (bits < TABLE_BITS_MAX && (size_t)1 << bits < src.n)
        bits++;
    uint32_t seen[1 << TABLE_BITS_MAX]; /* offset + 1; 0 = never */
    memset(seen, 0, sizeof *seen << bits);

    size_t at = 0, literals = 0; /* literals: bytes before `at` not written yet */
    while (at + MATCH_MIN <= src.n) {
        uint32_t v = three_bytes(base + at);
        uint32_t *place = &seen[table_index(v, bits)];
        size_t before = *place;
        *place = (uint32_t)at + 1;
        if (before == 0 || at - (before - 1) > DISTANCE_MAX ||
            three_bytes(base + before - 1) != v) {
            at++;
            literals++;
            continue;
        }
        size_t max = src.n - at < MATCH_MAX ? src.n - at : MATCH_MAX;
        size_t n = match_length(base + at, base + before - 1, max);
        if (!put_literals(&o, base + at - literals, literals) ||
            !put_match(&o, at - (before - 1), n))
            return 0;
        literals = 0;
        /* Remember the last places of the match too: repetitions often go on from there. */
        for (size_t i = n > 3 ? at + n - 2 : at + 1; i < at + n && i + MATCH_MIN <= src.n; i++)
            seen[table_index(three_bytes(base + i), bits)] = (uint32_t)i + 1;
        at += n;
    }
    literals += src.n - at;
    if (!put_literals(&o, base + src.n - literals, literals))
        return 0;
    return (size_t)(o.p - (unsigned char *)dst);
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
