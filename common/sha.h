/* SHA-1 (names of scripts) and SHA-256 (passwords in ACLs), FIPS 180-4. */
#pragma once

#include "common/bytes.h"

#define SHA1_BYTES 20
#define SHA256_BYTES 32

struct sha1 {
    uint32_t h[5];
    uint64_t n; /* bytes so far */
    unsigned char block[64];
};

struct sha256 {
    uint32_t h[8];
    uint64_t n;
    unsigned char block[64];
};

void sha1_init(struct sha1 *);
void sha1_add(struct sha1 *, struct bytes);
void sha1_done(struct sha1 *, unsigned char ret_digest[SHA1_BYTES]);
void sha1_done_xor(struct sha1 *, unsigned char bits[SHA1_BYTES]); /* xors it in: what many give has no order */

void sha256_init(struct sha256 *);
void sha256_add(struct sha256 *, struct bytes);
void sha256_done(struct sha256 *, unsigned char ret_digest[SHA256_BYTES]);

/* In one go, as lower-case hex without a NUL. */
void sha1_hex(char ret_hex[2 * SHA1_BYTES], struct bytes);
void sha256_hex(char ret_hex[2 * SHA256_BYTES], struct bytes);
