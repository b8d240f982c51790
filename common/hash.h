/* Keyed 64-bit hash of bytes, for tables: fast for short keys, unpredictable from outside without
 * the key.
 *
 * Folded multiplication (as in wyhash): 64 x 64 -> 128 bits, upper half xor lower half, on words of
 * the input mixed with the key. All 64 bits are good; tables may take directory index, bucket and
 * tag from any of them. Not cryptographic: the key must stay secret, hashes must not leave the
 * process. */
#pragma once

#include "common/bytes.h"

struct hash_key {
    uint64_t k[4];
};

extern struct hash_key hash_key; /* of the process; fixed values until hash_seed */

/* Once at start, before the first table; with random numbers in production, with fixed ones for
 * repeatable runs. */
void hash_seed(uint64_t a, uint64_t b);

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint64_t hash_read8(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t hash_read4(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

uint64_t hash_long(const char *p, size_t n); /* the part of hash_bytes for n > 32 */

static inline uint64_t hash_finish(uint64_t a, uint64_t b, uint64_t state, size_t n)
{
    a ^= hash_key.k[1];
    b ^= state;
    unsigned __int128 p = (unsigned __int128)a * b;
    return hash_fold((uint64_t)p ^ hash_key.k[2] ^ n, (uint64_t)(p >> 64) ^ hash_key.k[3]);
}

static inline uint64_t hash_bytes(struct bytes s)
{
    const char *p = s.p;
    size_t n = s.n;
    if (n <= 16) {
        if (n >= 8)
            return hash_finish(hash_read8(p), hash_read8(p + n - 8), hash_key.k[0], n);
        if (n >= 4)
            return hash_finish(hash_read4(p), hash_read4(p + n - 4), hash_key.k[0], n);
        if (n == 0)
            return hash_finish(0, 0, hash_key.k[0], 0);
        /* first, middle, last: all of 1 to 3 bytes */
        const unsigned char *u = (const unsigned char *)p;
        uint64_t all = (uint64_t)u[0] << 16 | (uint64_t)u[n >> 1] << 8 | u[n - 1];
        return hash_finish(all, 0, hash_key.k[0], n);
    }
    if (n <= 32) {
        uint64_t state =
            hash_fold(hash_read8(p) ^ hash_key.k[3], hash_read8(p + 8) ^ hash_key.k[0]);
        return hash_finish(hash_read8(p + n - 16), hash_read8(p + n - 8), state, n);
    }
    return hash_long(p, n);
}

static inline uint64_t hash_u64(uint64_t v)
{
    return hash_finish(v, v, hash_key.k[0], 8);
}
