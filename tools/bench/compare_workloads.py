"""What is compared, and what Ouro is to reach.

Speed workloads run against all servers at once, loaded alike, in interleaved rounds. Memory workloads start a fresh
server each. A target is a ratio to the base server (higher is better) or, for bytes, a ceiling.
"""

from dataclasses import dataclass, field


@dataclass
class Speed:
    """`args` for ouro-bench; `setup` runs once, `before` ahead of every round (both lists of argument lists, after a
    FLUSHALL). `metric`: which number the target speaks of: rps, cpu or p99.9."""
    name: str
    args: list
    metric: str
    target: float
    setup: list = field(default_factory=list)
    before: list = field(default_factory=list)
    counted: bool = False  # args hold -n: the same work for everybody, no duration
    types: bool = False


@dataclass
class Memory:
    """Growth of RSS by `loads`, divided by `count` things called `unit`. `target` is a ceiling in bytes, or None:
    then no more than the base server."""
    name: str
    loads: list
    count: int
    unit: str
    target: float = None
    types: bool = False


@dataclass
class Idle:
    """RSS a connection that has said PING once."""
    name: str
    connections: int
    target: float = None
    types: bool = False


FILL = ["--load", "-c", "4", "-P", "64"]


def words(text, times):
    return " ".join(text.replace("%", str(i)) for i in range(times))


def speed(keys):
    get = [FILL + ["-r", str(keys)]]
    n = ["-r", str(keys)]
    big = ["-r", "100", "-d", "65536"]
    return [
        Speed("GET", n + ["--mix", "get"], "cpu", 1.3, get),
        Speed("SET", n + ["--mix", "set"], "cpu", 1.3, get),
        Speed("INCR", n + ["--mix", "incr"], "cpu", 1.3),
        Speed("GET, pipeline 16", n + ["--mix", "get", "-P", "16"], "rps", 2.0, get),
        Speed("SET, pipeline 16", n + ["--mix", "set", "-P", "16"], "rps", 2.0, get),
        Speed("GET, pipeline 100", n + ["--mix", "get", "-P", "100"], "rps", 4.0, get),
        Speed("SET, pipeline 100", n + ["--mix", "set", "-P", "100"], "rps", 4.0, get),
        Speed("MSET of 10, pipeline 16", n + ["--mix", "mset", "-P", "16"], "rps", 2.0, get),
        Speed("GET, 1000 connections", n + ["--mix", "get", "-c", "1000"], "cpu", 1.3, get),
        Speed("GET, 1000 connections, pipeline 16", n + ["--mix", "get", "-c", "1000", "-P", "16"], "rps", 2.0, get),
        Speed("GET of 64 KiB", big + ["--mix", "get"], "cpu", 1.1, [FILL + big]),
        Speed("SET of 64 KiB", big + ["--mix", "set"], "cpu", 1.0, [FILL + big]),
        Speed("GET at 10000 a second", n + ["--mix", "get", "--rate", "10000"], "p99.9", 0.9, get),
        Speed("SET at 10000 a second", n + ["--mix", "set", "--rate", "10000"], "p99.9", 0.9, get),
    ]


def memory(counts):
    rows = [("8 B", 8, 0, 60), ("32 B", 32, 0, 84), ("100 B", 100, 0, 150),
            ("8 B with TTL", 8, 86400, 64), ("100 B with TTL", 100, 86400, 160)]
    found = []
    for count in counts:
        for label, size, ttl, target in rows:
            load = FILL + ["-r", str(count), "-d", str(size)] + (["--ttl", str(ttl)] if ttl else [])
            found.append(Memory(f"{count / 1e6:g}M keys of 16 B, values of {label}", [load], count, "key", target))
    return found + [Idle("idle connection", 10000)]


def type_writes(n):
    """Commands that make values grow get a fixed number of requests on an empty server, round by round."""
    keys = ["-r", "1000", "--fields", "100", "-P", "16"]
    count = ["-n", str(n)]
    lists = FILL + ["-r", "1000", "--key-prefix", "list:", "--dist", "sequential", "-n", str(n // 100),
                    "--command", "RPUSH __key__ " + words("__value__", 100)]
    return [
        Speed("LPUSH", keys + count + ["--mix", "lpush"], "rps", 1.5, counted=True, types=True),
        Speed("RPOP", keys + count + ["--mix", "rpop", "--dist", "sequential"], "rps", 1.5, before=[lists],
              counted=True, types=True),
        Speed("HSET", keys + ["--mix", "hset"], "rps", 1.5, types=True),
        Speed("HGET", keys + ["--mix", "hget"], "rps", 1.5, [keys + count + ["--mix", "hset"]], types=True),
        Speed("SADD", keys + ["--mix", "sadd"], "rps", 1.5, types=True),
        Speed("ZADD", keys + ["--mix", "zadd"], "rps", 1.2, types=True),
        Speed("XADD", keys + count + ["--mix", "xadd"], "rps", 1.2, counted=True, types=True),
    ]


def type_reads():
    keys = ["-r", "1000", "-P", "16"]
    fill = FILL + ["-r", "1000"]
    return [
        Speed("LRANGE 0 99", keys + ["--mix", "lrange"], "rps", 1.5,
              [fill + ["--key-prefix", "list:", "--command", "RPUSH __key__ " + words("__value__", 100)]], types=True),
        Speed("ZRANGE 0 99", keys + ["--mix", "zrange"], "rps", 1.2,
              [fill + ["--key-prefix", "zset:", "--command", "ZADD __key__ " + words("% member:%", 100)]], types=True),
        Speed("HGETALL of 50", keys + ["--mix", "hgetall"], "rps", 1.5,
              [fill + ["--key-prefix", "hash:", "--command", "HSET __key__ " + words("field:% __value__", 50)]],
              types=True),
        Speed("SMEMBERS of 50", keys + ["--mix", "smembers"], "rps", 1.2,
              [fill + ["--key-prefix", "set:", "--command", "SADD __key__ " + words("member:%", 50)]], types=True),
    ]


def type_large(members):
    """Order statistics in one big sorted set, and operations over whole values."""
    big = FILL + ["-r", str(members), "--command", "ZADD big __score__ __field__"]
    many = f"{members / 1e6:g}M"
    pipeline = ["-r", str(members), "-P", "16"]
    few = ["-c", "4", "-r", "10000"]

    def load(command, fields="10000"):
        return FILL + ["-r", fields, "--command", command]

    # two of 10000 with 5000 in common
    sets = [load("SADD a __field__"), load("SADD b __field__", "5000"), load("SADD b other-__field__", "5000")]
    zsets = [load("ZADD a __score__ __field__"), load("ZADD b __score__ __field__", "5000"),
             load("ZADD b __score__ other-__field__", "5000")]
    return [
        Speed(f"ZRANK in {many}", pipeline + ["--command", "ZRANK big __field__"], "rps", 1.2, [big], types=True),
        Speed(f"ZRANGEBYSCORE LIMIT 0 10 in {many}",
              pipeline + ["--command", "ZRANGEBYSCORE big __score__ +inf LIMIT 0 10"], "rps", 1.2, [big], types=True),
        Speed(f"ZINCRBY in {many}", pipeline + ["--command", "ZINCRBY big 1 __field__"], "rps", 1.2, [big], types=True),
        Speed("SINTER of 10k and 10k", few + ["--command", "SINTER a b"], "rps", 1.0, sets, types=True),
        Speed("SUNION of 10k and 10k", few + ["--command", "SUNION a b"], "rps", 1.0, sets, types=True),
        Speed("ZUNIONSTORE of 10k and 10k", few + ["--command", "ZUNIONSTORE out 2 a b"], "rps", 1.0, zsets,
              types=True),
        Speed("SORT of 10k", few + ["--command", "SORT numbers"], "rps", 1.0, [load("RPUSH numbers __score__")],
              types=True),
    ]


def type_memory(count):
    def small(name, command, target):
        load = FILL + ["-r", str(count), "--command", command]
        return Memory(f"{count / 1e6:g}M {name} of 10", [load], count, "key", target, types=True)

    def large(name, command):
        load = FILL + ["-r", str(count), "--command", command]
        return Memory(f"one {name} of {count / 1e6:g}M", [load], count, "member", types=True)

    return [
        small("hashes", "HSET __key__ " + words("field:% __value__", 10), 264),
        small("sorted sets", "ZADD __key__ " + words("% member:%", 10), 231),
        small("lists", "RPUSH __key__ " + words("__value__", 10), 182),
        small("sets", "SADD __key__ " + words("member:%", 10), None),
        large("hash", "HSET big __field__ __value__"),
        large("sorted set", "ZADD big __score__ __field__"),
        large("set", "SADD big __field__"),
        large("list", "RPUSH big __value__ __field__"),
        large("stream", "XADD big * __field__ __value__"),
    ]


def catalogue(quick, types):
    """Every workload, in the order of the report."""
    found = speed(100000) + memory([200000] if quick else [1000000, 1500000, 5000000])
    if types:
        n = 200000 if quick else 1000000
        found += type_writes(n) + type_reads() + type_large(n) + type_memory(n)
    return found
