/* The hash slot of a key: CRC-16 of the key, or of its hash tag, modulo 16384. A hash tag is what stands between the
 * first '{' and the first '}' after it, unless that is nothing. */
#pragma once

#include "common/bytes.h"
#include "common/crc16.h"

#define KEY_SLOTS 16384

/* The part of a key that is hashed: its tag, or all of it. */
static inline struct bytes key_hashed_part(struct bytes key)
{
    const char *open = key.n ? memchr(key.p, '{', key.n) : NULL;
    if (__builtin_expect(!open, 1))
        return key;
    size_t left = key.n - (size_t)(open + 1 - key.p);
    const char *close = left ? memchr(open + 1, '}', left) : NULL;
    if (!close || close == open + 1)
        return key;
    return bytes_of(open + 1, (size_t)(close - open - 1));
}

static inline unsigned key_slot(struct bytes key)
{
    return crc16(key_hashed_part(key)) % KEY_SLOTS;
}
