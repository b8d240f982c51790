/* Floating point as text. See num.h.
 *
 * Printing is Grisu2 (Florian Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with
 * Integers", PLDI 2010): scale the number and the bounds of what reads back as it by a cached power
 * of ten, with 64-bit integers, then generate digits until they are inside the bounds. The result
 * always reads back; in about one case of a thousand it is a digit longer than possible. Redis 7.2
 * has the same habit, so that replies agree byte for byte; the layout rules (where the exponent
 * starts) are those its replies show.
 *
 * Reading takes a short cut where it is exact (Clinger): at most 2^53 times or by a power of ten up
 * to 10^22, both of which doubles hold exactly, is one correctly rounded operation. Everything else
 * goes to strtod. */
#include "common/num.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"

/* ---- printing ---- */

#define SIGNIFICAND_BITS 52
#define EXPONENT_BIAS (1023 + SIGNIFICAND_BITS)
#define HIDDEN_BIT ((uint64_t)1 << SIGNIFICAND_BITS)
#define WHOLE_MAX 4611686018427387904.0 /* 2^62: whole numbers up to here are printed as integers */

/* f * 2^e */
struct scaled {
    uint64_t f;
    int e;
};

#define POW10_FIRST (-348)
#define POW10_STEP 8
/* Of a product with a cached power, so that its integer part fits in 32 bits: */
#define EXPONENT_MIN (-60)
#define EXPONENT_MAX (-32)

/* 10^(POW10_FIRST + i * POW10_STEP), to 64 bits */
static const struct scaled cached_pow10[] = {
    { 0xfa8fd5a0081c0288, -1220 }, { 0xbaaee17fa23ebf76, -1193 }, { 0x8b16fb203055ac76, -1166 },
    { 0xcf42894a5dce35ea, -1140 }, { 0x9a6bb0aa55653b2d, -1113 }, { 0xe61acf033d1a45df, -1087 },
    { 0xab70fe17c79ac6ca, -1060 }, { 0xff77b1fcbebcdc4f, -1034 }, { 0xbe5691ef416bd60c, -1007 },
    { 0x8dd01fad907ffc3c, -980 }, { 0xd3515c2831559a83, -954 }, { 0x9d71ac8fada6c9b5, -927 },
    { 0xea9c227723ee8bcb, -901 }, { 0xaecc49914078536d, -874 }, { 0x823c12795db6ce57, -847 },
    { 0xc21094364dfb5637, -821 }, { 0x9096ea6f3848984f, -794 }, { 0xd77485cb25823ac7, -768 },
    { 0xa086cfcd97bf97f4, -741 }, { 0xef340a98172aace5, -715 }, { 0xb23867fb2a35b28e, -688 },
    { 0x84c8d4dfd2c63f3b, -661 }, { 0xc5dd44271ad3cdba, -635 }, { 0x936b9fcebb25c996, -608 },
    { 0xdbac6c247d62a584, -582 }, { 0xa3ab66580d5fdaf6, -555 }, { 0xf3e2f893dec3f126, -529 },
    { 0xb5b5ada8aaff80b8, -502 }, { 0x87625f056c7c4a8b, -475 }, { 0xc9bcff6034c13053, -449 },
    { 0x964e858c91ba2655, -422 }, { 0xdff9772470297ebd, -396 }, { 0xa6dfbd9fb8e5b88f, -369 },
    { 0xf8a95fcf88747d94, -343 }, { 0xb94470938fa89bcf, -316 }, { 0x8a08f0f8bf0f156b, -289 },
    { 0xcdb02555653131b6, -263 }, { 0x993fe2c6d07b7fac, -236 }, { 0xe45c10c42a2b3b06, -210 },
    { 0xaa242499697392d3, -183 }, { 0xfd87b5f28300ca0e, -157 }, { 0xbce5086492111aeb, -130 },
    { 0x8cbccc096f5088cc, -103 }, { 0xd1b71758e219652c, -77 }, { 0x9c40000000000000, -50 },
    { 0xe8d4a51000000000, -24 }, { 0xad78ebc5ac620000, 3 }, { 0x813f3978f8940984, 30 },
    { 0xc097ce7bc90715b3, 56 }, { 0x8f7e32ce7bea5c70, 83 }, { 0xd5d238a4abe98068, 109 },
    { 0x9f4f2726179a2245, 136 }, { 0xed63a231d4c4fb27, 162 }, { 0xb0de65388cc8ada8, 189 },
    { 0x83c7088e1aab65db, 216 }, { 0xc45d1df942711d9a, 242 }, { 0x924d692ca61be758, 269 },
    { 0xda01ee641a708dea, 295 }, { 0xa26da3999aef774a, 322 }, { 0xf209787bb47d6b85, 348 },
    { 0xb454e4a179dd1877, 375 }, { 0x865b86925b9bc5c2, 402 }, { 0xc83553c5c8965d3d, 428 },
    { 0x952ab45cfa97a0b3, 455 }, { 0xde469fbd99a05fe3, 481 }, { 0xa59bc234db398c25, 508 },
    { 0xf6c69a72a3989f5c, 534 }, { 0xb7dcbf5354e9bece, 561 }, { 0x88fcf317f22241e2, 588 },
    { 0xcc20ce9bd35c78a5, 614 }, { 0x98165af37b2153df, 641 }, { 0xe2a0b5dc971f303a, 667 },
    { 0xa8d9d1535ce3b396, 694 }, { 0xfb9b7cd9a4a7443c, 720 }, { 0xbb764c4ca7a44410, 747 },
    { 0x8bab8eefb6409c1a, 774 }, { 0xd01fef10a657842c, 800 }, { 0x9b10a4e5e9913129, 827 },
    { 0xe7109bfba19c0c9d, 853 }, { 0xac2820d9623bf429, 880 }, { 0x80444b5e7aa7cf85, 907 },
    { 0xbf21e44003acdd2d, 933 }, { 0x8e679c2f5e44ff8f, 960 }, { 0xd433179d9c8cb841, 986 },
    { 0x9e19db92b4e31ba9, 1013 }, { 0xeb96bf6ebadf77d9, 1039 }, { 0xaf87023b9bf0ee6b, 1066 },
};

static struct scaled normalize(struct scaled x)
{
    int shift = __builtin_clzll(x.f);
    return (struct scaled){ x.f << shift, x.e - shift };
}

/* The upper 64 bits of the product, rounded. */
static struct scaled multiply(struct scaled a, struct scaled b)
{
    unsigned __int128 p = (unsigned __int128)a.f * b.f + ((uint64_t)1 << 63);
    return (struct scaled){ (uint64_t)(p >> 64), a.e + b.e + 64 };
}

/* A cached power that brings exponent e into range; *ret_k is its decimal exponent. */
static struct scaled cached_power(int e, int *ret_k)
{
    const int count = sizeof cached_pow10 / sizeof *cached_pow10;
    /* An estimate by log10(2), corrected below where it is off by one. */
    int i = (int)(-(double)(e + count) * 0.30102999566398114 - POW10_FIRST) / POW10_STEP;
    for (;;) {
        int sum = e + cached_pow10[i].e + 64;
        if (sum < EXPONENT_MIN)
            i++;
        else if (sum > EXPONENT_MAX)
            i--;
        else
            break;
    }
    *ret_k = POW10_FIRST + i * POW10_STEP;
    return cached_pow10[i];
}

/* Moves the last digit down while that comes closer to the number and stays inside the bounds. */
static void round_last(char *digit, uint64_t delta, uint64_t rest, uint64_t unit, uint64_t distance)
{
    while (rest < distance && delta - rest >= unit &&
           (rest + unit < distance || distance - rest > rest + unit - distance)) {
        (*digit)--;
        rest += unit;
    }
}

/* Digits of `high` down to the first that is within `delta` of it, rounded towards `high -
 * distance`. Adds the decimal exponent of the last one to *k. Returns how many. */
static int generate(char *digits, struct scaled high, uint64_t delta, uint64_t distance, int *k)
{
    static const uint32_t pow10[10] = { 1,      10,      100,      1000,      10000,
                                        100000, 1000000, 10000000, 100000000, 1000000000 };
    const int shift = -high.e;
    const uint64_t one = (uint64_t)1 << shift;
    uint32_t whole = (uint32_t)(high.f >> shift);
    uint64_t fraction = high.f & (one - 1);
    int n = 0;

    for (int kappa = 10; kappa > 0;) {
        uint32_t div = pow10[--kappa];
        uint32_t d = whole / div;
        whole -= d * div;
        if (d || n)
            digits[n++] = (char)('0' + d);
        uint64_t rest = ((uint64_t)whole << shift) + fraction;
        if (rest <= delta) {
            *k += kappa;
            round_last(digits + n - 1, delta, rest, (uint64_t)div << shift, distance);
            return n;
        }
    }
    uint64_t unit = 1;
    for (int kappa = -1;; kappa--) {
        fraction *= 10;
        delta *= 10;
        unit *= 10;
        uint32_t d = (uint32_t)(fraction >> shift);
        if (d || n)
            digits[n++] = (char)('0' + d);
        fraction &= one - 1;
        if (fraction < delta) {
            *k += kappa;
            round_last(digits + n - 1, delta, fraction, one, distance * unit);
            return n;
        }
    }
}

/* v > 0 and finite: digits (at most 17) and k such that digits * 10^k reads back as v. */
static int shortest(char *digits, double v, int *ret_k)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    int exponent = (int)(bits >> SIGNIFICAND_BITS);
    uint64_t significand = bits & (HIDDEN_BIT - 1);
    struct scaled w = { significand, 1 - EXPONENT_BIAS };
    if (exponent)
        w = (struct scaled){ significand | HIDDEN_BIT, exponent - EXPONENT_BIAS };

    /* Half way to the neighbours. Below a power of two they are twice as dense as above. */
    struct scaled high = normalize((struct scaled){ w.f * 2 + 1, w.e - 1 });
    bool dense = w.f == HIDDEN_BIT && exponent > 1;
    struct scaled low = { w.f * 2 - 1, w.e - 1 };
    if (dense)
        low = (struct scaled){ w.f * 4 - 1, w.e - 2 };
    low.f <<= low.e - high.e;
    low.e = high.e;
    w = normalize(w);

    int k;
    struct scaled power = cached_power(high.e, &k);
    w = multiply(w, power);
    high = multiply(high, power);
    low = multiply(low, power);
    high.f--; /* the products are off by less than one: stay inside */
    low.f++;
    *ret_k = -k;
    return generate(digits, high, high.f - low.f, high.f - w.f, ret_k);
}

static size_t put_zeros(char *dst, int n)
{
    memset(dst, '0', (size_t)n);
    return (size_t)n;
}

static size_t put(char *dst, const char *src, int n)
{
    memcpy(dst, src, (size_t)n);
    return (size_t)n;
}

/* d.ddde-x: without padding, the sign of the exponent always there. */
static size_t layout_exponent(char *dst, const char *digits, int n, int exponent)
{
    size_t at = put(dst, digits, 1);
    if (n > 1) {
        dst[at++] = '.';
        at += put(dst + at, digits + 1, n - 1);
    }
    dst[at++] = 'e';
    dst[at++] = exponent < 0 ? '-' : '+';
    return at + num_format_u64(dst + at, (uint64_t)abs(exponent));
}

/* digits * 10^k; n digits, of which the first stands at 10^exponent. */
static size_t layout(char *dst, const char *digits, int n, int k)
{
    int exponent = k + n - 1;
    if (k >= 0 && exponent < n + 7) {
        size_t at = put(dst, digits, n);
        return at + put_zeros(dst + at, k);
    }
    if (k < 0 && (k > -7 || abs(exponent) < 4)) {
        if (exponent < 0) {
            size_t at = put(dst, "0.", 2);
            at += put_zeros(dst + at, -exponent - 1);
            return at + put(dst + at, digits, n);
        }
        size_t at = put(dst, digits, exponent + 1);
        dst[at++] = '.';
        return at + put(dst + at, digits + exponent + 1, n - exponent - 1);
    }
    return layout_exponent(dst, digits, n, exponent);
}

size_t num_format_double(char *dst, double v)
{
    if (isnan(v))
        return put(dst, "nan", 3);
    size_t at = 0;
    if (signbit(v)) {
        dst[at++] = '-';
        v = -v;
    }
    if (isinf(v))
        return at + put(dst + at, "inf", 3);
    if (v <= WHOLE_MAX && v == (double)(int64_t)v)
        return at + num_format_u64(dst + at, (uint64_t)v);

    char digits[20];
    int k, n = shortest(digits, v, &k);
    return at + layout(dst + at, digits, n, k);
}

size_t num_format_long_double(char *dst, long double v)
{
    char text[NUM_LONG_DOUBLE_MAX];
    int n = snprintf(text, sizeof text, "%.17Lf", v);
    ASSERT(n > 0 && (size_t)n < sizeof text);
    if (memchr(text, '.', (size_t)n)) {
        while (text[n - 1] == '0')
            n--;
        n -= text[n - 1] == '.';
    }
    if (n == 2 && memcmp(text, "-0", 2) == 0)
        return put(dst, "0", 1);
    return put(dst, text, n);
}

/* ---- reading ---- */

static const double exact_pow10[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

/* [-]ddd[.ddd] of at most 18 digits whose value is one exact operation away. */
static bool parse_simple(struct bytes s, double *ret)
{
    if (s.n > 20)
        return false;
    const char *p = s.p, *end = s.p + s.n;
    bool negative = p < end && *p == '-';
    p += negative;
    uint64_t v = 0;
    int digits = 0, decimals = 0;
    bool point = false;
    for (; p < end; p++) {
        unsigned d = (unsigned char)*p - (unsigned)'0';
        if (d <= 9) {
            v = v * 10 + d;
            digits++;
            decimals += point;
        } else if (*p == '.' && !point) {
            point = true;
        } else {
            return false;
        }
    }
    if (digits == 0 || digits > 18 || v > (uint64_t)1 << 53)
        return false;
    double value = (double)v / exact_pow10[decimals];
    *ret = negative ? -value : value;
    return true;
}

static bool parse_slow(struct bytes s, double *ret)
{
    char small[256];
    char *text = s.n < sizeof small ? small : mem_try_alloc(s.n + 1);
    if (!text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    errno = 0;
    char *end;
    double v = strtod(text, &end);
    bool whole = end == text + s.n;
    bool range = errno == ERANGE && (isinf(v) || v == 0);
    if (text != small)
        mem_free(text);
    if (!whole || range || isnan(v))
        return false;
    *ret = v;
    return true;
}

bool num_parse_double(struct bytes s, double *ret)
{
    if (s.n == 0 || isspace((unsigned char)s.p[0]))
        return false;
    return parse_simple(s, ret) || parse_slow(s, ret);
}

bool num_parse_long_double(struct bytes s, long double *ret)
{
    char text[NUM_LONG_DOUBLE_MAX];
    if (s.n == 0 || s.n >= sizeof text || isspace((unsigned char)s.p[0]))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    errno = 0;
    char *end;
    long double v = strtold(text, &end);
    bool range = errno == ERANGE && (isinf(v) || v == 0);
    if (end != text + s.n || range || isnan(v))
        return false;
    *ret = v;
    return true;
}
