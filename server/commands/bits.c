/* Bit counting, searching and combining (see bits.h).
 *
 * Counting uses the popcnt instruction where the processor has it, four words at a time so that its
 * latency is hidden; that is as fast as memory delivers. Searching compares 32 bytes at a time;
 * combining works in vectors of 32 bytes, by pieces that stay in the first-level cache, so that
 * each source is read once and the result written once. */
#include "server/commands/bits.h"

#include "common/assert.h"

enum { PIECE = 8 * 1024 }; /* bytes of the result that are finished before the next are begun */

static inline uint64_t load_word(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t load_big(const void *p)
{
    uint64_t v = load_word(p);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* The last n < 8 bytes as a word with zeros for the rest. */
static inline uint64_t load_rest(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

/* ---- counting ---- */

#define COUNT_BODY                                                                                 \
    uint64_t a = 0, b = 0, c = 0, d = 0;                                                           \
    for (; n >= 32; n -= 32, p += 32) {                                                            \
        a += (uint64_t)__builtin_popcountll(load_word(p));                                         \
        b += (uint64_t)__builtin_popcountll(load_word(p + 8));                                     \
        c += (uint64_t)__builtin_popcountll(load_word(p + 16));                                    \
        d += (uint64_t)__builtin_popcountll(load_word(p + 24));                                    \
    }                                                                                              \
    for (; n >= 8; n -= 8, p += 8)                                                                 \
        a += (uint64_t)__builtin_popcountll(load_word(p));                                         \
    return a + b + c + d + (uint64_t)__builtin_popcountll(load_rest(p, n));

static uint64_t count_any(const uint8_t *p, size_t n)
{
    COUNT_BODY
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) static uint64_t count_popcnt(const uint8_t *p,
                                                               size_t n){ COUNT_BODY }
#endif

uint64_t bits_count(const void *p, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt"))
        return count_popcnt(p, n);
#endif
    return count_any(p, n);
}

/* The bits of byte `byte` that lie in [from, to), as a mask. */
static inline unsigned mask_in(uint64_t byte, uint64_t from, uint64_t to)
{
    unsigned mask = 0xff;
    if (byte == from / 8)
        mask &= 0xffu >> (from % 8);
    if (byte == to / 8)
        mask &= 0xff00u >> (to % 8) & 0xff;
    return mask;
}

uint64_t bits_count_range(const void *data, uint64_t from, uint64_t to)
{
    if (from >= to)
        return 0;
    const uint8_t *p = data;
    uint64_t first = from / 8, last = (to - 1) / 8; /* bytes */
    unsigned head = p[first] & mask_in(first, from, to);
    uint64_t n = (uint64_t)__builtin_popcount(head);
    if (first == last)
        return n;
    n += (uint64_t)__builtin_popcount(p[last] & mask_in(last, from, to));
    return n + bits_count(p + first + 1, (size_t)(last - first - 1));
}

/* ---- searching ---- */

/* The first byte in [i, end) that is not `same` (0 or all ones); end if there is none. */
static size_t skip_same(const uint8_t *p, size_t i, size_t end, uint64_t same)
{
    for (; end - i >= 32; i += 32) {
        uint64_t diff = (load_word(p + i) ^ same) | (load_word(p + i + 8) ^ same) |
                        (load_word(p + i + 16) ^ same) | (load_word(p + i + 24) ^ same);
        if (diff)
            break;
    }
    for (; end - i >= 8; i += 8) {
        uint64_t diff = load_big(p + i) ^ same;
        if (diff)
            return i + (size_t)__builtin_clzll(diff) / 8;
    }
    while (i < end && p[i] == (uint8_t)same)
        i++;
    return i;
}

int64_t bits_find(const void *data, uint64_t from, uint64_t to, bool bit)
{
    if (from >= to)
        return -1;
    const uint8_t *p = data;
    uint64_t same = bit ? 0 : ~(uint64_t)0; /* of what is skipped */
    size_t first = (size_t)(from / 8), last = (size_t)((to - 1) / 8);
    unsigned found = (p[first] ^ (uint8_t)same) & mask_in(first, from, to);
    size_t i = first;
    if (!found) {
        i = skip_same(p, first + 1 < last ? first + 1 : last, last, same);
        found = (p[i] ^ (uint8_t)same) & mask_in(i, from, to);
    }
    if (!found)
        return -1;
    return (int64_t)((uint64_t)i * 8 + (unsigned)__builtin_clz(found) - 24);
}

/* ---- combining ---- */

typedef uint64_t vec __attribute__((vector_size(32), aligned(1), may_alias));

#define COMBINE(dst, a, b, n, OP)                                                                  \
    do {                                                                                           \
        size_t i_ = 0, n_ = (n);                                                                   \
        for (; n_ - i_ >= 32; i_ += 32)                                                            \
            *(vec *)((dst) + i_) = *(const vec *)((a) + i_) OP * (const vec *)((b) + i_);          \
        for (; i_ < n_; i_++)                                                                      \
            (dst)[i_] = (uint8_t)((a)[i_] OP(b)[i_]);                                              \
    } while (0)

/* dst = a op b; dst may be a. */
static void combine_two(enum bits_op op, uint8_t *dst, const uint8_t *a, const uint8_t *b, size_t n)
{
    switch (op) {
    case BITS_AND:
        COMBINE(dst, a, b, n, &);
        break;
    case BITS_OR:
        COMBINE(dst, a, b, n, |);
        break;
    case BITS_XOR:
        COMBINE(dst, a, b, n, ^);
        break;
    case BITS_NOT:
        break;
    }
}

static void invert(uint8_t *dst, const uint8_t *src, size_t n)
{
    size_t i = 0;
    for (; n - i >= 32; i += 32)
        *(vec *)(dst + i) = ~*(const vec *)(src + i);
    for (; i < n; i++)
        dst[i] = (uint8_t)~src[i];
}

/* A source within the piece [off, off + n) of the result. */
struct part {
    const uint8_t *p;
    size_t n; /* bytes that it has there */
};

static inline struct part part_of(struct bytes source, size_t off, size_t n)
{
    if (source.n <= off)
        return (struct part){ .n = 0 };
    size_t left = source.n - off;
    return (struct part){ (const uint8_t *)source.p + off, left < n ? left : n };
}

/* dst, which holds n bytes, becomes dst op b. */
static void combine_more(enum bits_op op, uint8_t *dst, size_t n, struct part b)
{
    combine_two(op, dst, dst, b.p, b.n);
    if (op == BITS_AND)
        memset(dst + b.n, 0, n - b.n);
}

static void copy_part(uint8_t *dst, size_t n, struct part a)
{
    if (a.n)
        memcpy(dst, a.p, a.n);
    memset(dst + a.n, 0, n - a.n);
}

void bits_combine(enum bits_op op, char *dst, size_t dst_n, const struct bytes *sources, int n)
{
    ASSERT(n > 0 && (op != BITS_NOT || n == 1));
    for (size_t off = 0; off < dst_n; off += PIECE) {
        size_t piece = dst_n - off < PIECE ? dst_n - off : PIECE;
        uint8_t *d = (uint8_t *)dst + off;
        struct part a = part_of(sources[0], off, piece);
        int next = 1;
        if (op == BITS_NOT && a.n == piece) {
            invert(d, a.p, piece);
            continue;
        }
        struct part b = n > 1 ? part_of(sources[1], off, piece) : (struct part){ .n = 0 };
        if (a.n == piece && b.n == piece) {
            combine_two(op, d, a.p, b.p, piece); /* saves the copy */
            next = 2;
        } else {
            copy_part(d, piece, a);
        }
        for (int k = next; k < n; k++)
            combine_more(op, d, piece, part_of(sources[k], off, piece));
        if (op == BITS_NOT)
            invert(d, d, piece);
    }
}

/* ---- numbers of some bits ---- */

/* Up to 64 bits at any offset lie in 9 bytes: a window of 72 bits, the first one highest. */
static unsigned __int128 window(const uint8_t bytes[static 9])
{
    return (unsigned __int128)load_big(bytes) << 8 | bytes[8];
}

uint64_t bits_get(struct bytes s, uint64_t offset, unsigned bits)
{
    ASSERT(bits >= 1 && bits <= 64);
    uint64_t first = offset / 8;
    if (first >= s.n)
        return 0;
    uint8_t bytes[9] = { 0 };
    size_t have = s.n - (size_t)first;
    memcpy(bytes, s.p + first, have < 9 ? have : 9);
    unsigned __int128 v = window(bytes) >> (72 - offset % 8 - bits);
    return (uint64_t)v & (~(uint64_t)0 >> (64 - bits));
}

void bits_put(char *p, uint64_t offset, unsigned bits, uint64_t v)
{
    ASSERT(bits >= 1 && bits <= 64);
    uint8_t bytes[9] = { 0 };
    unsigned skip = (unsigned)(offset % 8), shift = 72 - skip - bits;
    size_t n = (skip + bits + 7) / 8;
    p += offset / 8;
    memcpy(bytes, p, n);
    unsigned __int128 mask = (unsigned __int128)(~(uint64_t)0 >> (64 - bits)) << shift;
    unsigned __int128 w = (window(bytes) & ~mask) | ((unsigned __int128)v << shift & mask);
    for (int i = 8; i >= 0; i--, w >>= 8)
        bytes[i] = (uint8_t)w;
    memcpy(p, bytes, n);
}
