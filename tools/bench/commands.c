/* The commands that --mix knows by name. Each type has keys of its own, so that a mix of types
 * meets no WRONGTYPE. */
#include "tools/bench/workload.h"

#define KV "__key__ __value__ "

static const struct builtin builtins[] = {
    { "PING", "PING", NULL },
    { "ECHO", "ECHO __value__", NULL },
    { "GET", "GET __key__", NULL },
    { "SET", "SET __key__ __value__", NULL },
    { "SETEX", "SETEX __key__ 3600 __value__", NULL },
    { "MSET", "MSET " KV KV KV KV KV KV KV KV KV KV, NULL },
    { "MGET",
      "MGET __key__ __key__ __key__ __key__ __key__ __key__ __key__ __key__ __key__ __key__",
      NULL },
    { "DEL", "DEL __key__", NULL },
    { "EXISTS", "EXISTS __key__", NULL },
    { "EXPIRE", "EXPIRE __key__ 3600", NULL },
    { "TTL", "TTL __key__", NULL },
    { "STRLEN", "STRLEN __key__", NULL },
    { "GETSET", "GETSET __key__ __value__", NULL },
    { "APPEND", "APPEND __key__ __value__", "log:" },
    { "INCR", "INCR __key__", "ctr:" },
    { "INCRBY", "INCRBY __key__ 10", "ctr:" },
    { "SETBIT", "SETBIT __key__ 7 1", "bits:" },
    { "LPUSH", "LPUSH __key__ __value__", "list:" },
    { "RPUSH", "RPUSH __key__ __value__", "list:" },
    { "LPOP", "LPOP __key__", "list:" },
    { "RPOP", "RPOP __key__", "list:" },
    { "LLEN", "LLEN __key__", "list:" },
    { "LRANGE", "LRANGE __key__ 0 99", "list:" },
    { "HSET", "HSET __key__ __field__ __value__", "hash:" },
    { "HGET", "HGET __key__ __field__", "hash:" },
    { "HDEL", "HDEL __key__ __field__", "hash:" },
    { "HGETALL", "HGETALL __key__", "hash:" },
    { "HINCRBY", "HINCRBY __key__ __field__ 1", "hctr:" },
    { "SADD", "SADD __key__ __field__", "set:" },
    { "SREM", "SREM __key__ __field__", "set:" },
    { "SISMEMBER", "SISMEMBER __key__ __field__", "set:" },
    { "SMEMBERS", "SMEMBERS __key__", "set:" },
    { "SPOP", "SPOP __key__", "set:" },
    { "ZADD", "ZADD __key__ __score__ __field__", "zset:" },
    { "ZREM", "ZREM __key__ __field__", "zset:" },
    { "ZSCORE", "ZSCORE __key__ __field__", "zset:" },
    { "ZRANK", "ZRANK __key__ __field__", "zset:" },
    { "ZINCRBY", "ZINCRBY __key__ 1 __field__", "zset:" },
    { "ZRANGE", "ZRANGE __key__ 0 99", "zset:" },
    { "ZRANGEBYSCORE", "ZRANGEBYSCORE __key__ __score__ +inf LIMIT 0 10", "zset:" },
    { "ZPOPMIN", "ZPOPMIN __key__", "zset:" },
    { "XADD", "XADD __key__ * field __value__", "stream:" },
    { "XRANGE", "XRANGE __key__ - + COUNT 100", "stream:" },
    { "XLEN", "XLEN __key__", "stream:" },
    { "PFADD", "PFADD __key__ __field__", "hll:" },
    { "PFCOUNT", "PFCOUNT __key__", "hll:" },
    { "PUBLISH", "PUBLISH __key__ __value__", "chan:" },
};

const struct builtin *builtin_find(struct bytes name)
{
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++)
        if (bytes_is(name, builtins[i].name))
            return &builtins[i];
    return NULL;
}

const struct builtin *builtin_at(uint32_t i)
{
    return i < sizeof builtins / sizeof builtins[0] ? &builtins[i] : NULL;
}
