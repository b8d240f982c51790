/* Which of the 16384 slots a key (or a shard channel) belongs to.
 *
 * Only the bytes between the first '{' and the first '}' behind it count, when there are any: that is the hash tag. */
#pragma once

#include "common/bytes.h"
#include "common/crc16.h"

#define CLUSTER_SLOTS 16384

/* The part of `key` that is hashed: its tag, or all of it. */
static inline struct bytes keyslot_tag(struct bytes key)
{
    const char *open = key.n ? memchr(key.p, '{', key.n) : NULL;
    if (!open)
        return key;
    const char *from = open + 1;
    size_t rest = key.n - (size_t)(from - key.p);
    const char *close = rest ? memchr(from, '}', rest) : NULL;
    return close && close != from ? bytes_of(from, (size_t)(close - from)) : key;
}

static inline unsigned keyslot(struct bytes key)
{
    return crc16(keyslot_tag(key)) & (CLUSTER_SLOTS - 1);
}
