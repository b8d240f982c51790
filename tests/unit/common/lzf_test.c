/* LZF: what is compressed comes back; what is broken is refused and overruns nothing. */
#include "common/lzf.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "common/prng.h"

static void check_round_trip(const char *p, size_t n)
{
    size_t max = n + n / 16 + 64;
    char *packed = malloc(max), *back = malloc(n ? n : 1);
    size_t packed_n = lzf_compress(bytes_of(p, n), packed, max);
    cr_assert_gt(packed_n, 0);
    cr_assert(lzf_decompress(bytes_of(packed, packed_n), back, n));
    cr_assert_eq(memcmp(back, p, n), 0);
    cr_assert_not(lzf_decompress(bytes_of(packed, packed_n), back, n - 1), "one byte short");
    char *longer = malloc(n + 1);
    cr_assert_not(lzf_decompress(bytes_of(packed, packed_n), longer, n + 1), "one byte missing");

    /* It fits into exactly its size, and does not into less. */
    char *exact = malloc(packed_n);
    cr_assert_eq(lzf_compress(bytes_of(p, n), exact, packed_n), packed_n);
    cr_assert_eq(lzf_compress(bytes_of(p, n), exact, packed_n - 1), 0);
    free(exact);
    free(longer);
    free(packed);
    free(back);
}

Test(lzf, everything_comes_back)
{
    enum { MAX = 300000 };
    char *p = malloc(MAX);
    struct prng r;
    prng_init(&r, 1);
    for (int round = 0; round < 600; round++) {
        size_t n = prng_below(&r, round % 60 == 0 ? MAX : 600) + 1;
        uint64_t symbols = prng_below(&r, 256) + 1;
        for (size_t i = 0; i < n;) {
            size_t run = prng_below(&r, 300) + 1;
            if (i > 10 && prng_below(&r, 2)) { /* a copy from before */
                size_t back = prng_below(&r, i < 9000 ? i : 9000) + 1;
                for (size_t k = 0; k < run && i < n; k++, i++)
                    p[i] = p[i - back];
            } else {
                for (size_t k = 0; k < run && i < n; k++)
                    p[i++] = (char)prng_below(&r, symbols);
            }
        }
        check_round_trip(p, n);
    }
    for (size_t n = 1; n < 300; n++) {
        memset(p, 'a', n);
        check_round_trip(p, n);
    }
    free(p);
}

Test(lzf, text_gets_smaller)
{
    char text[5000], packed[5000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "the quick brown fox jumps over the lazy dog "[i % 44];
    cr_assert_lt(lzf_compress(bytes_of(text, sizeof text), packed, sizeof packed), 150);
    memset(text, 0, sizeof text);
    cr_assert_lt(lzf_compress(bytes_of(text, sizeof text), packed, sizeof packed), 70);
}

Test(lzf, noise_is_given_up)
{
    char noise[1000], packed[1000];
    struct prng r;
    prng_init(&r, 2);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)prng_u64(&r);
    cr_assert_eq(lzf_compress(bytes_of(noise, sizeof noise), packed, sizeof noise - 4), 0);
    cr_assert_eq(lzf_compress(bytes_of(noise, 0), packed, sizeof packed), 0);
}

/* Written by hand from the format. */
Test(lzf, known_bytes_decompress)
{
    char out[20];
    /* a, then 7+1+2 from 1 back; octal, since "\x00a" would be one escape */
    cr_assert(lzf_decompress(BYTES("\000a\xe0\x01\x00"), out, 11));
    cr_assert_eq(memcmp(out, "aaaaaaaaaaa", 11), 0);
    cr_assert(lzf_decompress(BYTES("\x02" "abc" "\x20\x02"), out, 6)); /* abc, then 3 from 3 back */
    cr_assert_eq(memcmp(out, "abcabc", 6), 0);
    cr_assert(lzf_decompress(BYTES(""), out, 0));
}

Test(lzf, broken_input_is_refused)
{
    static const struct {
        struct bytes s;
        size_t n;
    } cases[] = {
        { { "\x05" "abc", 4 }, 6 },         /* literals cut */
        { { "\x00" "a\x20", 3 }, 4 },       /* distance cut */
        { { "\x00" "a\xe0", 3 }, 10 },      /* length cut */
        { { "\x00" "a\x20\x01", 4 }, 4 },   /* from before the beginning */
        { { "\x20\x00", 2 }, 3 },           /* nothing there yet */
        { { "\x00" "a\xe0\xff\x00", 5 }, 20 }, /* more than there is room for */
        { { "\x1f", 1 }, 32 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *out = malloc(cases[i].n);
        cr_assert_not(lzf_decompress(cases[i].s, out, cases[i].n), "case %zu", i);
        free(out);
    }
}

Test(lzf, random_input_overruns_nothing)
{
    struct prng r;
    prng_init(&r, 3);
    int accepted = 0;
    for (int i = 0; i < 200000; i++) {
        char src[24];
        size_t n = prng_below(&r, sizeof src), out_n = prng_below(&r, 64);
        for (size_t k = 0; k < n; k++)
            src[k] = (char)(prng_u64(&r) & (prng_below(&r, 2) ? 0xff : 0x23));
        char guarded[64 + 16];
        memset(guarded, 0x5a, sizeof guarded);
        accepted += lzf_decompress(bytes_of(src, n), guarded, out_n);
        for (size_t k = out_n; k < sizeof guarded; k++)
            cr_assert_eq(guarded[k], 0x5a);
    }
    cr_assert_gt(accepted, 0);
}
