/* SHA-1 and SHA-256, straight from FIPS 180-4. Both take blocks of 64 bytes and pad alike, so the
 * feeding of blocks is written once, over a table of what differs. */
#include "common/sha.h"

#include "common/text.h"

#define BLOCK 64

static uint32_t rotl(uint32_t x, int k)
{
    return x << k | x >> (32 - k);
}

static uint32_t rotr(uint32_t x, int k)
{
    return x >> k | x << (32 - k);
}

static uint32_t read_be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void write_be32(unsigned char *p, uint32_t v)
{
    p[0] = (unsigned char)(v >> 24);
    p[1] = (unsigned char)(v >> 16);
    p[2] = (unsigned char)(v >> 8);
    p[3] = (unsigned char)v;
}

/* ---- the compression functions ---- */

/* The function of a round, of which there are four with 20 steps each. */
static inline uint32_t sha1_mix(int round, uint32_t b, uint32_t c, uint32_t d)
{
    switch (round) {
    case 0: return d ^ (b & (c ^ d));
    case 2: return (b & c) | (d & (b | c));
    default: return b ^ c ^ d;
    }
}

static inline void sha1_step(int round, uint32_t a, uint32_t *b, uint32_t c, uint32_t d,
                             uint32_t *e, uint32_t w)
{
    static const uint32_t k[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
    *e += rotl(a, 5) + sha1_mix(round, *b, c, d) + k[round] + w;
    *b = rotl(*b, 30);
}

/* Five steps, after which the names a to e mean the same again: nothing has to be moved. */
static inline __attribute__((always_inline)) void sha1_round(int round, uint32_t v[5],
                                                             const uint32_t *w)
{
    for (int t = 0; t < 20; t += 5, w += 5) {
        sha1_step(round, v[0], &v[1], v[2], v[3], &v[4], w[0]);
        sha1_step(round, v[4], &v[0], v[1], v[2], &v[3], w[1]);
        sha1_step(round, v[3], &v[4], v[0], v[1], &v[2], w[2]);
        sha1_step(round, v[2], &v[3], v[4], v[0], &v[1], w[3]);
        sha1_step(round, v[1], &v[2], v[3], v[4], &v[0], w[4]);
    }
}

static void sha1_block(uint32_t *h, const unsigned char *p)
{
    uint32_t w[80];
    for (int t = 0; t < 16; t++)
        w[t] = read_be32(p + 4 * t);
    for (int t = 16; t < 80; t++)
        w[t] = rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);

    uint32_t v[5];
    memcpy(v, h, sizeof v);
    sha1_round(0, v, w);
    sha1_round(1, v, w + 20);
    sha1_round(2, v, w + 40);
    sha1_round(3, v, w + 60);
    for (int i = 0; i < 5; i++)
        h[i] += v[i];
}

static const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static void sha256_block(uint32_t *h, const unsigned char *p)
{
    uint32_t w[64];
    for (int t = 0; t < 16; t++)
        w[t] = read_be32(p + 4 * t);
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }

    uint32_t v[8]; /* a .. h of the standard */
    memcpy(v, h, sizeof v);
    for (int t = 0; t < 64; t++) {
        uint32_t a = v[0], e = v[4];
        uint32_t s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
        uint32_t choose = (e & v[5]) ^ (~e & v[6]);
        uint32_t t1 = v[7] + s1 + choose + sha256_k[t] + w[t];
        uint32_t s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
        uint32_t majority = (a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]);
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + s0 + majority;
    }
    for (int i = 0; i < 8; i++)
        h[i] += v[i];
}

/* ---- feeding blocks ---- */

static void feed(uint32_t *h, uint64_t *n, unsigned char *block, struct bytes s,
                 void (*compress)(uint32_t *, const unsigned char *))
{
    size_t have = *n % BLOCK;
    *n += s.n;
    while (s.n) {
        size_t take = BLOCK - have < s.n ? BLOCK - have : s.n;
        memcpy(block + have, s.p, take);
        s = bytes_of(s.p + take, s.n - take);
        have += take;
        if (have == BLOCK) {
            compress(h, block);
            have = 0;
        }
    }
}

/* A one bit, zeros, and the length in bits as the last 8 bytes of a block; then the digest. */
static void finish(uint32_t *h, uint64_t *n, unsigned char *block, unsigned char *digest,
                   size_t words, void (*compress)(uint32_t *, const unsigned char *))
{
    unsigned char tail[2 * BLOCK] = { 0x80 };
    uint64_t bits = *n * 8;
    size_t have = *n % BLOCK;
    size_t pad = (have < BLOCK - 8 ? BLOCK : 2 * BLOCK) - have;
    write_be32(tail + pad - 8, (uint32_t)(bits >> 32));
    write_be32(tail + pad - 4, (uint32_t)bits);
    feed(h, n, block, bytes_of(tail, pad), compress);
    for (size_t i = 0; i < words; i++)
        write_be32(digest + 4 * i, h[i]);
}

void sha1_init(struct sha1 *s)
{
    *s = (struct sha1){ .h = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 } };
}

void sha1_add(struct sha1 *s, struct bytes b)
{
    feed(s->h, &s->n, s->block, b, sha1_block);
}

void sha1_done(struct sha1 *s, unsigned char ret_digest[SHA1_BYTES])
{
    finish(s->h, &s->n, s->block, ret_digest, SHA1_BYTES / 4, sha1_block);
}

void sha1_done_xor(struct sha1 *s, unsigned char bits[SHA1_BYTES])
{
    unsigned char digest[SHA1_BYTES];
    sha1_done(s, digest);
    for (unsigned i = 0; i < SHA1_BYTES; i++)
        bits[i] ^= digest[i];
}

void sha256_init(struct sha256 *s)
{
    *s = (struct sha256){ .h = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 } };
}

void sha256_add(struct sha256 *s, struct bytes b)
{
    feed(s->h, &s->n, s->block, b, sha256_block);
}

void sha256_done(struct sha256 *s, unsigned char ret_digest[SHA256_BYTES])
{
    finish(s->h, &s->n, s->block, ret_digest, SHA256_BYTES / 4, sha256_block);
}

void sha1_hex(char ret_hex[2 * SHA1_BYTES], struct bytes b)
{
    struct sha1 s;
    unsigned char digest[SHA1_BYTES];
    sha1_init(&s);
    sha1_add(&s, b);
    sha1_done(&s, digest);
    text_hex(ret_hex, digest, sizeof digest);
}

void sha256_hex(char ret_hex[2 * SHA256_BYTES], struct bytes b)
{
    struct sha256 s;
    unsigned char digest[SHA256_BYTES];
    sha256_init(&s);
    sha256_add(&s, b);
    sha256_done(&s, digest);
    text_hex(ret_hex, digest, sizeof digest);
}
