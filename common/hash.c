/* The key of hash.h, and long inputs: three independent lanes of 16 bytes, so that multiplications
 * overlap. */
#include "common/hash.h"

#include "common/prng.h"

struct hash_key hash_key = { { 0x9e3779b97f4a7c15, 0xd1b54a32d192ed03, 0x8cb92ba72f3d8dd7,
                               0xaef17502108ef2d9 } };

void hash_seed(uint64_t a, uint64_t b)
{
    struct prng r;
    prng_init(&r, a);
    for (int i = 0; i < 4; i++) {
        hash_key.k[i] = prng_u64(&r) ^ b;
        b = b << 17 | b >> 47;
    }
}

uint64_t hash_long(const char *p, size_t n)
{
    const struct hash_key key = hash_key;
    const char *end = p + n;
    uint64_t a = key.k[0], b = key.k[2], c = key.k[3];
    for (; end - p > 48; p += 48) {
        a = hash_fold(hash_read8(p) ^ key.k[1], hash_read8(p + 8) ^ a);
        b = hash_fold(hash_read8(p + 16) ^ key.k[3], hash_read8(p + 24) ^ b);
        c = hash_fold(hash_read8(p + 32) ^ key.k[2], hash_read8(p + 40) ^ c);
    }
    a ^= b << 1 | b >> 63; /* rotated: equal lanes must not cancel out */
    a ^= c << 7 | c >> 57;
    for (; end - p > 16; p += 16)
        a = hash_fold(hash_read8(p) ^ key.k[3], hash_read8(p + 8) ^ a);
    return hash_finish(hash_read8(end - 16), hash_read8(end - 8), a, n);
}
