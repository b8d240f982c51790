/* Repeatable random numbers: xoshiro256** (Blackman, Vigna), seeded through splitmix64. Not for
 * secrets. */
#pragma once

#include <stdint.h>

struct prng {
    uint64_t s[4];
};

/* The next of splitmix64: every seed, also 0, gives a good sequence. */
static inline uint64_t prng_split(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline void prng_init(struct prng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = prng_split(&seed);
}

static inline uint64_t prng_rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

static inline uint64_t prng_u64(struct prng *r)
{
    uint64_t *s = r->s;
    uint64_t result = prng_rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = prng_rotl(s[3], 45);
    return result;
}

/* Uniform in [0, n), n > 0, without bias: Lemire's multiplication with rejection. */
static inline uint64_t prng_below(struct prng *r, uint64_t n)
{
    unsigned __int128 p = (unsigned __int128)prng_u64(r) * n;
    if ((uint64_t)p < n) {
        uint64_t threshold = -n % n;
        while ((uint64_t)p < threshold)
            p = (unsigned __int128)prng_u64(r) * n;
    }
    return (uint64_t)(p >> 64);
}

/* Uniform in [0, 1), 53 bits. */
static inline double prng_double(struct prng *r)
{
    return (double)(prng_u64(r) >> 11) * 0x1p-53;
}
