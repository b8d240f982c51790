"""Templates of the groups lists, hashes, sets, zsets, streams, hll and geo. (weight, template);
see dsl.py."""

LISTS = [
    (6, "LPUSH {kl} {w}+"), (8, "RPUSH {kl} {v}+"), (2, "LPUSHX {kl} {w}+"),
    (2, "RPUSHX {kl} {w}+"),
    (4, "LPOP {kl} [{count}]"), (4, "RPOP {kl} [{count}]"), (3, "LLEN {kl}"),
    (5, "LRANGE {kl} {int} {int}"),
    (3, "LINDEX {kl} {int}"), (4, "LSET {kl} {i} {w}"), (1, "LSET {kl} {int} {w}"),
    (4, "LINSERT {kl} (BEFORE|AFTER|BAD) {w} {w}"), (4, "LREM {kl} {int} {w}"),
    (3, "LTRIM {kl} {int} {int}"),
    (1, "LTRIM {kl} 0 {int>=0}"), (4, "LPOS {kl} {w} [RANK {int}] [COUNT {int}] [MAXLEN {int}]"),
    (3, "LMOVE {kl} {kl} (LEFT|RIGHT|BAD) (LEFT|RIGHT)"), (2, "RPOPLPUSH {kl} {kl}"),
    (3, "LMPOP {lkeys} (LEFT|RIGHT|BAD) [COUNT {count}]"), (3, "OBJECT ENCODING {kl}"),
    (1, "DEL {kl}"),
    (1, "LRANGE {k} 0 -1"), (1, "COPY {kl} {kl} REPLACE"),
]

HASHES = [
    (9, "HSET {kh} {f} {v} [{w} {v}] [{w} {w}]"), (1, "HMSET {kh} {f} {v} [{w} {v}]"),
    (3, "HSETNX {kh} {f} {v}"),
    (4, "HGET {kh} {f}"), (3, "HMGET {kh} {f}+"), (3, "HGETALL {kh}"), (2, "HKEYS {kh}"),
    (2, "HVALS {kh}"),
    (2, "HLEN {kh}"), (2, "HSTRLEN {kh} {f}"), (3, "HEXISTS {kh} {f}"), (3, "HDEL {kh} {f}+"),
    (1, "HDEL {kh} {w}+"),
    (4, "HINCRBY {kh} {f} {int}"), (4, "HINCRBYFLOAT {kh} {f} {float}"), (2, "HSET {kh} {f} {int}"),
    (3, "! HRANDFIELD {kh} [{rcount} [WITHVALUES|BAD]]"),
    (3, "! HSCAN {kh} 0 [MATCH {glob}] [COUNT (1000|5000)]"), (1, "HSCAN {kh} {extreme} [{junk}]"),
    (3, "OBJECT ENCODING {kh}"), (1, "DEL {kh}"), (1, "HGETALL {k}"), (1, "COPY {kh} {kh} REPLACE"),
]

SETS = [
    (9, "SADD {kt} {m}+"), (3, "SADD {kt} {i}+"), (4, "SREM {kt} {m}+"), (3, "SISMEMBER {kt} {m}"),
    (3, "SMISMEMBER {kt} {m}+"), (3, "SCARD {kt}"), (3, "SMEMBERS {kt}"),
    (3, "SMOVE {kt} {kt} {m}"),
    (3, "SINTER {kt}+"), (3, "SUNION {kt}+"), (3, "SDIFF {kt}+"), (3, "SINTERSTORE {kt} {kt}+"),
    (3, "SUNIONSTORE {kt} {kt}+"), (3, "SDIFFSTORE {kt} {kt}+"), (1, "SUNIONSTORE {dst} {kt}+"),
    (3, "SINTERCARD {tkeys} [LIMIT {count}]"), (2, "! SRANDMEMBER {kt} [{rcount}]"),
    (2, "! SPOP {kt} (100000|0|-1|abc|9223372036854775807)"), (1, "! SPOP {never}"),
    (1, "! SPOP {kl}"),
    (3, "! SSCAN {kt} 0 [MATCH {glob}] [COUNT (1000|5000)]"), (1, "SSCAN {kt} {extreme} [{junk}]"),
    (3, "OBJECT ENCODING {kt}"), (1, "DEL {kt}"), (1, "SMEMBERS {k}"),
    (1, "COPY {kt} {kt} REPLACE"),
]

ZSETS = [
    (12, "ZADD {kz} [NX|XX|GT|LT] [CH] [INCR] {score} {m}"),
    (5, "ZADD {kz} [NX|XX] [GT|LT] [CH] ({score} {m})+"),
    (6, "! ZADD {kq} 0 {w} 0 {w} 0 {w}"), (3, "ZINCRBY {kz} {float} {m}"), (3, "ZREM {kz} {m}+"),
    (3, "ZSCORE {kz} {m}"),
    (2, "ZMSCORE {kz} {m}+"), (2, "ZCARD {kz}"), (3, "ZCOUNT {kz} {sbound} {sbound}"),
    (3, "ZLEXCOUNT {kq} {lbound} {lbound}"), (3, "ZRANK {kz} {m} [WITHSCORE|BAD]"),
    (3, "ZREVRANK {kz} {m} [WITHSCORE]"), (4, "ZRANGE {kz} {int} {int} [REV] [WITHSCORES]"),
    (4, "ZRANGE {kz} {sbound} {sbound} BYSCORE [REV] [LIMIT {int} {int}] [WITHSCORES]"),
    (3, "ZRANGE {kq} {lbound} {lbound} BYLEX [REV] [LIMIT {int} {int}]"),
    (2, "ZREVRANGE {kz} {int} {int} [WITHSCORES]"),
    (3, "ZRANGEBYSCORE {kz} {sbound} {sbound} [WITHSCORES] [LIMIT {int} {int}]"),
    (3, "ZREVRANGEBYSCORE {kz} {sbound} {sbound} [WITHSCORES] [LIMIT {int} {int}]"),
    (2, "ZRANGEBYLEX {kq} {lbound} {lbound} [LIMIT {int} {int}]"),
    (2, "ZREVRANGEBYLEX {kq} {lbound} {lbound} [LIMIT {int} {int}]"),
    (3, "ZRANGESTORE {kz} {kz} {int} {int} [REV]"),
    (2, "ZRANGESTORE {kz} {kz} {sbound} {sbound} BYSCORE [LIMIT {i} {i}]"),
    (1, "ZRANGESTORE {dst} {kq} {lbound} {lbound} BYLEX"), (2, "ZREMRANGEBYRANK {kz} {int} {int}"),
    (2, "ZREMRANGEBYSCORE {kz} {sbound} {sbound}"), (2, "ZREMRANGEBYLEX {kq} {lbound} {lbound}"),
    (1, "ZREM {kq} {w}+"), (2, "ZPOPMIN {kz} [{count}]"), (2, "ZPOPMAX {kz} [{count}]"),
    (2, "ZMPOP {zkeys} (MIN|MAX|BAD) [COUNT {count}]"),
    (3, "ZUNION {zkeysw} [WITHSCORES]"), (3, "ZINTER {zkeysw} [WITHSCORES]"),
    (2, "ZDIFF {zkeys} [WITHSCORES]"),
    (2, "ZUNIONSTORE {kz} {zkeysw}"), (2, "ZINTERSTORE {kz} {zkeysw}"),
    (2, "ZDIFFSTORE {kz} {zkeys}"),
    (1, "ZUNIONSTORE {dst} 2 {kz} {kt}"), (2, "ZINTERCARD {zkeys} [LIMIT {count}]"),
    (2, "! ZRANDMEMBER {kz} [{rcount} [WITHSCORES|BAD]]"),
    (2, "! ZSCAN {kz} 0 [MATCH {glob}] [COUNT (1000|5000)]"),
    (1, "ZSCAN {kz} {extreme} [{junk}]"), (3, "OBJECT ENCODING {kz}"), (1, "DEL {kz}"),
    (1, "COPY {kz} {kz} REPLACE"),
]

STREAMS = [
    (12, "XADD {kx} [NOMKSTREAM] [MAXLEN [=|~] {int>=0}|MINID [=|~] {rid}] {newid} {f} {w} [{f} "
         "{w}]"),
    (2, "XADD {kx} MAXLEN ~ {int} LIMIT {int} {newid} a b"), (1, "XADD {kx} {newid} a"),
    (2, "XLEN {kx}"),
    (5, "XRANGE {kx} {rid} {rid} [COUNT {count}]"),
    (3, "XREVRANGE {kx} {rid} {rid} [COUNT {count}]"),
    (2, "XRANGE {kx} - +"), (3, "XDEL {kx} {xid}+"), (1, "XDEL {kx} {rid}+"),
    (3, "XTRIM {kx} (MAXLEN|MINID|BAD) [=|~] ({int>=0}|{rid}) [LIMIT {int}]"),
    (4, "XREAD [COUNT {count}] STREAMS {xkeysids}"),
    (2, "XSETID {kx} {rid} [ENTRIESADDED {int} MAXDELETEDID {xid}]"),
    (4, "XGROUP CREATE {kx} {cg} ($|0|{rid}) [MKSTREAM] [ENTRIESREAD {int}]"),
    (1, "XGROUP DESTROY {kx} {cg}"),
    (2, "XGROUP SETID {kx} {cg} ($|0|{rid}) [ENTRIESREAD {int}]"),
    (2, "XGROUP CREATECONSUMER {kx} {cg} {consumer}"),
    (2, "XGROUP DELCONSUMER {kx} {cg} {consumer}"), (1, "XGROUP (HELP|BAD)"),
    (6, "XREADGROUP GROUP {cg} {consumer} [COUNT {count}] [NOACK] STREAMS {gkeysids}"),
    (3, "XACK {kx} {cg} {rid}+"),
    (2, "XPENDING {kx} {cg}"), (3, "XPENDING {kx} {cg} [IDLE {int}] - + {count} [{consumer}]"),
    (2, "! XCLAIM {kx} {cg} {consumer} 0 {rid}+ [JUSTID] [FORCE] [RETRYCOUNT {int>=0}] [LASTID "
        "{rid}]"),
    (2, "XCLAIM {kx} {cg} {consumer} {int} {xid}"),
    (2, "! XAUTOCLAIM {kx} {cg} {consumer} 0 {rid} [COUNT {count}] [JUSTID]"),
    (3, "XINFO STREAM {kx} [FULL [COUNT {int}]]"), (2, "XINFO GROUPS {kx}"),
    (2, "XINFO CONSUMERS {kx} {cg}"),
    (1, "XINFO (HELP|BAD)"), (1, "DEL {kx}"), (1, "COPY {kx} {kx} REPLACE"), (1, "TYPE {kx}"),
]

HLL = [
    (8, "PFADD {kp} {w}+"), (2, "PFADD {kp}"), (4, "PFCOUNT {kp}+"), (3, "PFMERGE {kp} {kp}*"),
    (1, "PFMERGE {dst} {kp}+"),
    (2, "GET {kp}"), (1, "STRLEN {kp}"), (1, "PFDEBUG (ENCODING|TODENSE|DECODE|GETREG|BAD) {kp}"),
    (1, "DEL {kp}"),
    (1, "PFCOUNT {ks}"), (1, "SET {ks} {w}"), (1, "APPEND {kp} {w}"),
    (1, "SETRANGE {kp} {int>=0} {w}"),
]

GEO = [
    (8, "GEOADD {kg} [NX|XX] [CH] ({lon} {lat} {mem})+"), (3, "GEODIST {kg} {mem} {mem} [{unit}]"),
    (3, "GEOPOS {kg} {mem}*"), (3, "GEOHASH {kg} {mem}*"),
    (5, "GEOSEARCH {kg} (FROMMEMBER {mem}|FROMLONLAT {lon} {lat}) (BYRADIUS {radius} "
        "{unit}|BYBOX {radius} {radius} {unit})"
        " (ASC|DESC) [COUNT {count}] [WITHCOORD] [WITHDIST] [WITHHASH]"),
    (2, "GEOSEARCH {kg} (FROMMEMBER {mem}|FROMLONLAT {lon} {lat}) (BYRADIUS {radius} m|BYBOX "
        "{radius} {radius} km)"),
    (3, "GEORADIUS {kg} {lon} {lat} {radius} {unit} [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT "
        "{count}] (ASC|DESC)"),
    (2, "GEORADIUSBYMEMBER {kg} {mem} {radius} {unit} [WITHDIST] ASC"),
    (1, "GEORADIUS_RO {kg} {lon} {lat} {radius} km ASC"),
    (1, "GEORADIUSBYMEMBER_RO {kg} {mem} {radius} km DESC"),
    (2, "GEOSEARCHSTORE {dst} {kg} FROMMEMBER {mem} BYRADIUS {radius} {unit} [STOREDIST]"),
    (2, "GEORADIUS {kg} {lon} {lat} {radius} {unit} [WITHDIST] (STORE|STOREDIST) {dst}"),
    (1, "GEOSEARCH {kg} {junk} {junk}"),
    (2, "ZRANGE {kg} 0 -1 WITHSCORES"), (1, "ZREM {kg} {mem}"), (1, "ZRANGE {dst} 0 -1 WITHSCORES"),
]
