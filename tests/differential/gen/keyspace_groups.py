"""Templates of the groups strings, bitmaps, generic, expire and sort. (weight, template); see
dsl.py."""

STRINGS = [
    (12, "! SET {ks} {v} [NX|XX] [GET] [EX {ttl}|PX {pttl}|EXAT {at}|PXAT {pat}|KEEPTTL]"),
    (8, "SET {kn} {int}"), (3, "! SET {ks} {v} {junk} [{junk}]"),
    (1, "! SET {ks} {v} (EX {ttl} PX {pttl}|NX XX|KEEPTTL EX {ttl}|GET NX|EX|PX|EXAT)"),
    (8, "GET {ks}"), (2, "GET {k}"), (2, "GETDEL {ks}"), (3, "GETSET {ks} {v}"),
    (2, "SETNX {ks} {v}"),
    (2, "! SETEX {ks} {ttl} {v}"), (2, "! PSETEX {ks} {pttl} {v}"),
    (3, "! GETEX {ks} [EX {ttl}|PX {pttl}|EXAT {at}|PXAT {pat}|PERSIST]"),
    (3, "MGET {ks}+ {k}*"), (2, "MSET {ks} {v} [{ks} {v}] [{kn} {int}]"),
    (2, "MSETNX {ks} {v} [{dst} {v}]"),
    (3, "APPEND {ks} {v}"), (2, "STRLEN {ks}"), (4, "GETRANGE {ks} {int} {int}"),
    (1, "SUBSTR {ks} {int} {int}"),
    (3, "SETRANGE {ks} {off} {w}"), (1, "SETRANGE {ks} {int} {w}"),
    (4, "INCR {kn}"), (3, "DECR {kn}"), (4, "INCRBY {kn} {int}"), (3, "DECRBY {kn} {int}"),
    (1, "INCR {ks}"),
    (4, "INCRBYFLOAT {kn} {float}"), (1, "INCRBYFLOAT {ks} {float}"),
    (3, "LCS {ks} {ks} [LEN] [IDX] [MINMATCHLEN {int}] [WITHMATCHLEN]"),
    (2, "OBJECT ENCODING {ks}"), (1, "OBJECT ENCODING {kn}"),
]

BITMAPS = [
    (8, "SETBIT {kb} {off} {bit}"), (5, "GETBIT {kb} {off}"),
    (5, "BITCOUNT {kb} [{int} {int} [BYTE|BIT|BAD]]"), (1, "BITCOUNT {kb} {int}"),
    (5, "BITPOS {kb} {bit} [{int} [{int} [BYTE|BIT|BAD]]]"),
    (4, "BITOP (AND|OR|XOR|NOT|BAD) {kb} {kb} {kb}*"), (1, "BITOP NOT {kb} {kb}"),
    (5, "BITFIELD {kb} (GET {btype} {boff}|SET {btype} {boff} {int}|INCRBY {btype} {boff} {int}"
        "|OVERFLOW (WRAP|SAT|FAIL|BAD))+"),
    (3, "BITFIELD {kb} OVERFLOW (WRAP|SAT|FAIL) (INCRBY {btype} {boff} {int})+ [OVERFLOW FAIL "
        "SET {btype} {boff} {int}]"),
    (2, "BITFIELD_RO {kb} (GET {btype} {boff})+"), (1, "BITFIELD_RO {kb} SET {btype} {boff} {int}"),
    (1, "BITFIELD {kb}"), (2, "SET {kb} {v}"), (1, "GET {kb}"), (1, "STRLEN {kb}"),
    (1, "APPEND {kb} {w}"),
    (1, "SETRANGE {kb} {off} {w}"), (1, "DEL {kb}"),
]

GENERIC = [
    (4, "DEL {k}+"), (2, "UNLINK {k}+"), (4, "EXISTS {k}+"), (2, "TOUCH {k}+"), (4, "TYPE {k}"),
    (4, "RENAME {k} {k}"), (3, "RENAMENX {k} {k}"), (4, "COPY {k} {k} [DB {db01}] [REPLACE]"),
    (1, "COPY {k} {k} DB {db}"), (3, "MOVE {k} {db01}"), (1, "MOVE {k} {db}"), (2, "RANDOMKEY"),
    (3, "KEYS {glob}"), (4, "OBJECT ENCODING {k}"), (1, "OBJECT REFCOUNT {kl}"),
    (1, "OBJECT FREQ {k}"),
    (1, "OBJECT IDLETIME {k}"), (1, "OBJECT (HELP|BAD) [{k}]"), (1, "OBJECT"), (2, "DBSIZE"),
    (4, "! SCAN 0 [MATCH {glob}] [COUNT (1000|5000)] [TYPE "
        "(string|list|set|zset|hash|stream|BAD)]"),
    (1, "SCAN {extreme} [{junk}]"), (1, "! SCAN 0 COUNT ({int>=0}|-1|abc|0)"),
    (1, "SWAPDB {db01} {db01}"),
    (1, "SWAPDB {db} {db}"), (1, "FLUSHDB [ASYNC|SYNC|BAD]"), (1, "FLUSHALL (ASYNC|BAD) [{junk}]"),
    (2, "SELECT {db01}"), (2, "SELECT 0"), (1, "SELECT {db}"), (1, "DUMP {never}"),
    (1, "! RESTORE {dst} {pttl} {w} [REPLACE] [ABSTTL] [IDLETIME {i}] [FREQ {i}]"),
    (3, "SET {ks} {v}"), (2, "RPUSH {kl} {w}+"), (2, "SADD {kt} {m}+"),
    (2, "ZADD {kz} {score} {m}"),
    (2, "HSET {kh} {f} {w}"), (1, "XADD {kx} {newid} {f} {w}"), (1, "SET {dst} {v}"),
]

EXPIRE = [
    (8, "! EXPIRE {k} {ttl} [NX|XX|GT|LT|BAD] [NX|XX|GT|LT]"),
    (6, "! PEXPIRE {k} {pttl} [NX|XX|GT|LT]"),
    (4, "! EXPIREAT {k} {at} [NX|XX|GT|LT]"), (4, "! PEXPIREAT {k} {pat} [NX|XX|GT|LT]"),
    (6, "TTL {k}"), (5, "PTTL {k}"), (4, "EXPIRETIME {k}"), (4, "PEXPIRETIME {k}"),
    (4, "PERSIST {k}"),
    (4, "! SET {ks} {v} (EX {ttl}|PX {pttl}|EXAT {at}|PXAT {pat}|KEEPTTL)"), (3, "SET {ks} {v}"),
    (2, "! GETEX {ks} (EX {ttl}|PXAT {pat}|PERSIST)"), (2, "GETSET {ks} {v}"),
    (2, "RPUSH {kl} {w}"),
    (2, "SADD {kt} {m}"), (2, "HSET {kh} {f} {w}"), (2, "ZADD {kz} {score} {m}"),
    (1, "XADD {kx} {newid} a b"),
    (2, "RENAME {k} {k}"), (2, "COPY {k} {k} [REPLACE]"), (1, "MOVE {k} {db01}"), (2, "INCR {kn}"),
    (1, "APPEND {ks} {w}"), (1, "DEL {k}"), (1, "EXISTS {k}"), (1, "SINTERSTORE {kt} {kt} {kt}"),
    (1, "DBSIZE"),
]

SORT = [
    (5, "RPUSH {kl} {i}+"), (3, "SADD {kt} {i}+"), (2, "ZADD {kz} {score} {i}"),
    (2, "RPUSH {kl} {w}"),
    (8, "SORT {kl} [LIMIT {int} {int}] [ASC|DESC] ALPHA"),
    (4, "SORT {kl} [LIMIT {int} {int}] [ASC|DESC]"),
    (2, "SORT {kt} [ASC|DESC]"), (2, "SORT {kz} ALPHA [LIMIT {int} {int}] [DESC]"),
    (2, "SORT_RO {kl} [ALPHA] [DESC]"),
    (2, "SORT {kl} BY nosort [GET (#|s*|h1->*|h*->f1|nokey*)]+"),
    (1, "SORT {kl} ALPHA GET # GET s* [GET h*->f1]"),
    (2, "SORT {kl} [ALPHA] STORE {dst}"), (1, "SORT_RO {kl} STORE {dst}"),
    (1, "SORT {kl} {junk} [{junk}]"),
    (1, "SET (s1|s2|s3) {i}"), (1, "HSET {kh} f1 {i}"), (1, "SORT {k}"), (1, "LRANGE {dst} 0 -1"),
    (1, "DEL {kl}"),
    (1, "SORT {kl} BY w* ALPHA GET w*"),
]
