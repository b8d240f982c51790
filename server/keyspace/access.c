/* When and how often a key was used: 24 bits in its head, in one of two forms, as maxmemory-policy
 * says.
 *
 *   LRU  | seconds, 24 bits (wraps after 194 days) |
 *   LFU  | minutes, 16 bits | counter, 8 bits |     the counter grows with the logarithm of
 * accesses and decays
 *
 * The counter starts at LFU_INIT, so that a new key is not the first to go; at value v an access
 * counts with probability 1 / ((v - LFU_INIT) * lfu-log-factor + 1); each lfu-decay-time minutes
 * without access take one off. */
#include "server/keyspace/inner.h"

#define LFU_INIT    5
#define LFU_MAX     255
#define ACCESS_MASK 0xFFFFFFu

static uint32_t lfu_bits(const struct keyspace *ks, uint32_t counter)
{
    return (uint32_t)ks->lfu_now << 8 | counter;
}

static uint32_t lfu_decayed(const struct keyspace *ks, uint32_t access)
{
    uint32_t counter = access & 255;
    if (ks->config->lfu_decay_time <= 0)
        return counter;
    uint16_t idle = (uint16_t)(ks->lfu_now - (access >> 8));
    uint32_t periods = idle / (uint32_t)ks->config->lfu_decay_time;
    return periods < counter ? counter - periods : 0;
}

static uint32_t lfu_counted(struct keyspace *ks, uint32_t counter)
{
    if (counter == LFU_MAX)
        return counter;
    uint32_t above = counter > LFU_INIT ? counter - LFU_INIT : 0;
    uint64_t odds =
        (uint64_t)above *
            (uint64_t)(ks->config->lfu_log_factor > 0 ? ks->config->lfu_log_factor : 0) +
        1;
    return counter + (prng_below(&ks->prng, odds) == 0);
}

uint32_t access_new(const struct keyspace *ks)
{
    return policy_is_lfu(ks->config->maxmemory_policy) ? lfu_bits(ks, LFU_INIT) : ks->lru_now;
}

uint32_t access_overwritten(const struct keyspace *ks, uint32_t old)
{
    return policy_is_lfu(ks->config->maxmemory_policy)
               ? old
               : ks->lru_now; /* a new value does not make it popular */
}

void access_touch_lfu(struct keyspace *ks, struct entry *e)
{
    uint32_t counter = lfu_counted(ks, lfu_decayed(ks, head_access(e)));
    head_set_access(e, lfu_bits(ks, counter));
}

uint64_t entry_idle_ms(const struct keyspace *ks, const struct entry *e)
{
    return (uint64_t)((ks->lru_now - head_access(e)) & ACCESS_MASK) * 1000;
}

uint8_t entry_freq(const struct keyspace *ks, const struct entry *e)
{
    return (uint8_t)lfu_decayed(ks, head_access(e));
}

void entry_set_idle(const struct keyspace *ks, struct entry *e, uint64_t idle_s)
{
    if (idle_s > ACCESS_MASK)
        idle_s = ACCESS_MASK;
    head_set_access(e, (ks->lru_now - (uint32_t)idle_s) & ACCESS_MASK);
}

void entry_set_freq(const struct keyspace *ks, struct entry *e, uint8_t freq)
{
    head_set_access(e, lfu_bits(ks, freq));
}

uint32_t entry_lru_bits(const struct entry *e)
{
    return head_access(e);
}
