/* The hash: every bit of it is usable, for keys as people name them; the key of the process changes
 * everything. */
#include "common/hash.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/prng.h"

/* Chi-square of n throws into `cells` cells, in standard deviations from what chance gives. */
static double deviation(const uint32_t *counts, size_t cells, size_t n)
{
    double expect = (double)n / (double)cells, chi = 0;
    for (size_t i = 0; i < cells; i++)
        chi += ((double)counts[i] - expect) * ((double)counts[i] - expect) / expect;
    return (chi - (double)cells) / sqrt(2 * (double)cells);
}

static size_t make_key(char *key, size_t max, int kind, unsigned i)
{
    switch (kind) {
    case 0: return (size_t)snprintf(key, max, "key:%012u", i);
    case 1: return (size_t)snprintf(key, max, "%u", i);
    case 2: return (size_t)snprintf(key, max, "user:%u:session", i * 7);
    case 3: return (size_t)snprintf(key, max, "a-rather-long-prefix-as-some-people-like:%u", i);
    case 4:
        return (size_t)snprintf(key, max, "%08x:a-rather-long-suffix-that-is-always-the-same-text",
                                i);
    default: memcpy(key, &i, 4); memset(key + 4, 0, 12); return 16;
    }
}

Test(hash, any_ten_bits_spread_real_keys_evenly)
{
    enum { N = 200000, CELLS = 1024, SHIFTS = 10 };
    hash_seed(1, 2);
    for (int kind = 0; kind < 6; kind++) {
        static uint32_t counts[SHIFTS][CELLS];
        memset(counts, 0, sizeof counts);
        for (unsigned i = 0; i < N; i++) {
            char key[100];
            uint64_t h = hash_bytes(bytes_of(key, make_key(key, sizeof key, kind, i)));
            for (int s = 0; s < SHIFTS; s++)
                counts[s][h >> 6 * s & (CELLS - 1)]++;
        }
        for (int s = 0; s < SHIFTS; s++) {
            double d = deviation(counts[s], CELLS, N);
            cr_assert_lt(fabs(d), 5, "kind %d, bits from %d: %f standard deviations", kind, 6 * s,
                         d);
        }
    }
}

/* Flipping any bit of the input flips each bit of the hash in about half of the cases. */
Test(hash, one_input_bit_changes_half_of_the_output_bits)
{
    static const size_t lengths[] = { 2,  3,  4,  5,  7,  8,  9,  12, 15, 16, 17,
                                      24, 31, 32, 33, 48, 49, 64, 65, 97, 130 };
    enum { SAMPLES = 1000 };
    struct prng r;
    prng_init(&r, 1);
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        size_t n = lengths[l], step = n > 20 ? 23 : 5;
        for (size_t bit = 0; bit < n * 8; bit += step) {
            uint32_t flips[64] = { 0 };
            for (int i = 0; i < SAMPLES; i++) {
                char key[130];
                for (size_t k = 0; k < n; k++)
                    key[k] = (char)prng_u64(&r);
                uint64_t a = hash_bytes(bytes_of(key, n));
                key[bit / 8] ^= (char)(1 << bit % 8);
                uint64_t x = a ^ hash_bytes(bytes_of(key, n));
                for (int o = 0; o < 64; o++)
                    flips[o] += x >> o & 1;
            }
            for (int o = 0; o < 64; o++)
                cr_assert(flips[o] > SAMPLES * 38 / 100 && flips[o] < SAMPLES * 62 / 100,
                          "length %zu, bit %zu: output bit %d flips %u of %d", n, bit, o, flips[o],
                          SAMPLES);
        }
    }
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

Test(hash, half_a_million_names_do_not_collide)
{
    enum { N = 500000 };
    uint64_t *h = malloc(N * sizeof *h);
    for (int kind = 0; kind < 6; kind++) {
        for (unsigned i = 0; i < N; i++) {
            char key[100];
            size_t n = make_key(key, sizeof key, kind, i);
            h[i] = hash_bytes(bytes_of(key, n));
        }
        qsort(h, N, sizeof *h, compare_u64);
        for (unsigned i = 1; i < N; i++)
            cr_assert_neq(h[i], h[i - 1], "kind %d", kind);
    }
    free(h);
}

Test(hash, length_counts)
{
    static const char zeros[200];
    uint64_t h[200];
    for (size_t n = 0; n < 200; n++) {
        h[n] = hash_bytes(bytes_of(zeros, n));
        for (size_t k = 0; k < n; k++)
            cr_assert_neq(h[n], h[k], "%zu and %zu zeros", n, k);
    }
}

Test(hash, every_byte_counts_at_every_length)
{
    char key[200];
    memset(key, 'x', sizeof key);
    for (size_t n = 1; n < 200; n++) {
        uint64_t h = hash_bytes(bytes_of(key, n));
        for (size_t i = 0; i < n; i++) {
            key[i] = 'y';
            cr_assert_neq(hash_bytes(bytes_of(key, n)), h, "byte %zu of %zu", i, n);
            key[i] = 'x';
        }
    }
}

Test(hash, the_seed_changes_everything_and_repeats)
{
    hash_seed(1, 2);
    struct bytes long_key = BYTES("0123456789012345678901234567890123456789");
    uint64_t a = hash_bytes(BYTES("foo")), long_a = hash_bytes(long_key);
    hash_seed(1, 3);
    cr_assert_neq(hash_bytes(BYTES("foo")), a);
    hash_seed(2, 2);
    cr_assert_neq(hash_bytes(BYTES("foo")), a);
    cr_assert_neq(hash_bytes(long_key), long_a);
    hash_seed(1, 2);
    cr_assert_eq(hash_bytes(BYTES("foo")), a);
    cr_assert_eq(hash_u64(5), hash_u64(5));
    cr_assert_neq(hash_u64(5), hash_u64(6));
}
