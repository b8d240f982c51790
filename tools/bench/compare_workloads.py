"""What is compared, and what Ouro is to reach.

Speed workloads run against all servers at once, loaded alike, in interleaved rounds. Memory workloads start a fresh
server each, stalls use the servers that are there. Targets are relative to the servers that are named, or ceilings.
"""

from dataclasses import dataclass, field


@dataclass
class Speed:
    """`args` for ouro-bench; `setup` runs once, `before` ahead of every round (both lists of argument lists, after a
    FLUSHALL). `aims`: server -> how many times better than it Ouro is to be, in `metric`: rps, cpu or p99.9."""
    name: str
    args: list
    metric: str
    aims: dict
    setup: list = field(default_factory=list)
    before: list = field(default_factory=list)
    counted: bool = False  # args hold -n: the same work for everybody, no duration
    types: bool = False


@dataclass
class Memory:
    """Growth of RSS by `loads`, divided by `count` things called `unit`. `ceiling` in bytes, or `share` of the base."""
    name: str
    loads: list
    count: int
    unit: str
    ceiling: float = None
    share: float = None
    types: bool = False


@dataclass
class Idle:
    """RSS a connection that has said PING once."""
    name: str
    connections: int
    ceiling: float = None
    share: float = None
    types: bool = False


@dataclass
class Stall:
    """The longest time the server worked while a PING waited: during the `load`, and after `command`."""
    name: str
    load: list
    command: tuple
    ceiling_ms: float = 2.0
    types: bool = True


FILL = ["--load", "-c", "4", "-P", "64"]
EPOLL_SHARE = 0.8  # what a second Ouro (--ouro-arg, meant for epoll) is to reach of the first


def words(text, times):
    return " ".join(text.replace("%", str(i)) for i in range(times))


def both(redis, valkey=None):
    return {"redis": redis, "valkey": valkey or redis}


def less(redis, valkey=None):
    """At most this share of the other's CPU time."""
    return both(1 / redis, 1 / (valkey or redis))


def speed(keys):
    get = [FILL + ["-r", str(keys), "-d", "16"]]
    n = ["-r", str(keys), "-d", "16"]
    big = ["-r", "100", "-d", "65536"]
    many = n + ["--mix", "get", "-c", "1000"]
    return [
        Speed("GET", n + ["--mix", "get"], "cpu", less(0.72), get),
        Speed("SET", n + ["--mix", "set"], "cpu", less(0.68), get),
        Speed("INCR", n + ["--mix", "incr"], "cpu", less(0.72)),
        Speed("GET, pipeline 16", n + ["--mix", "get", "-P", "16"], "rps", both(2.4, 1.7), get),
        Speed("SET, pipeline 16", n + ["--mix", "set", "-P", "16"], "rps", both(2.6, 2.0), get),
        Speed("GET, pipeline 100", n + ["--mix", "get", "-P", "100"], "rps", both(4, 2.4), get),
        Speed("SET, pipeline 100", n + ["--mix", "set", "-P", "100"], "rps", both(4, 2.8), get),
        Speed("MSET of 10, pipeline 16", n + ["--mix", "mset", "-P", "16"], "rps", both(3, 1.7), get),
        Speed("GET, 1000 connections", many, "cpu", {"redis": 1 / 0.75}, get),
        Speed("GET, 1000 connections, pipeline 16", many + ["-P", "16"], "rps", {"redis": 2.2}, get),
        Speed("GET of 64 KiB", big + ["--mix", "get"], "cpu", {"redis": 1 / 0.85}, [FILL + big]),
        Speed("SET of 64 KiB", big + ["--mix", "set"], "cpu", {"redis": 1.0}, [FILL + big]),
        Speed("GET at 10000 a second", n + ["--mix", "get", "--rate", "10000"], "p99.9", both(1.0), get),
        Speed("SET at 10000 a second", n + ["--mix", "set", "--rate", "10000"], "p99.9", both(1.0), get),
    ]


def memory(counts):
    rows = [("8 B", 8, 0, 52), ("32 B", 32, 0, 76), ("100 B", 100, 0, 148),
            ("8 B with TTL", 8, 86400, 58), ("100 B with TTL", 100, 86400, 152)]
    found = []
    for count in counts:
        for label, size, ttl, ceiling in rows:
            load = FILL + ["-r", str(count), "-d", str(size)] + (["--ttl", str(ttl)] if ttl else [])
            found.append(Memory(f"{count / 1e6:g}M keys of 16 B, values of {label}", [load], count, "key", ceiling))
    return found + [Idle("idle connection", 10000, 1536)]


def type_writes(n):
    """Commands that make values grow get a fixed number of requests on an empty server, round by round."""
    keys = ["-r", "1000", "--fields", "100"]
    lists = FILL + ["-r", "1000", "--key-prefix", "list:", "--dist", "sequential", "-n", str(n // 100),
                    "--command", "RPUSH __key__ " + words("__value__", 100)]
    hashes = keys + ["-P", "16", "-n", str(n), "--mix", "hset"]
    found = []
    for label, mix, grows in (("LPUSH", "lpush", True), ("RPOP", "rpop", True), ("HSET", "hset", False),
                              ("HGET", "hget", False), ("SADD", "sadd", False), ("ZADD", "zadd", False),
                              ("XADD", "xadd", True)):
        args = keys + ["--mix", mix] + (["--dist", "sequential"] if mix == "rpop" else [])
        setup = [hashes] if mix == "hget" else []
        before = [lists] if mix == "rpop" else []
        for suffix, depth, count, metric, aims in (("", 1, n // 10, "cpu", {"redis": 1 / 0.72}),
                                                   (", pipeline 16", 16, n, "rps", both(2, 1.5))):
            size = ["-P", str(depth)] + (["-n", str(count)] if grows else [])
            found.append(Speed(label + suffix, args + size, metric, aims, setup, before, grows, True))
    return found


def type_reads():
    keys = ["-r", "1000", "-P", "16"]
    fill = FILL + ["-r", "1000"]

    def row(name, mix, prefix, command):
        return Speed(name, keys + ["--mix", mix], "rps", {"redis": 1.5},
                     [fill + ["--key-prefix", prefix, "--command", command]], types=True)

    return [
        row("LRANGE 0 99", "lrange", "list:", "RPUSH __key__ " + words("__value__", 100)),
        row("ZRANGE 0 99", "zrange", "zset:", "ZADD __key__ " + words("% member:%", 100)),
        row("HGETALL of 50", "hgetall", "hash:", "HSET __key__ " + words("field:% __value__", 50)),
        row("SMEMBERS of 50", "smembers", "set:", "SADD __key__ " + words("member:%", 50)),
    ]


def type_large(members):
    """Order statistics in one big sorted set, and operations over whole values."""
    big = FILL + ["-r", str(members), "--command", "ZADD big __score__ __field__"]
    many = f"{members / 1e6:g}M"
    pipeline = ["-r", str(members), "-P", "16"]
    few = ["-c", "4", "-r", "10000"]

    def load(command, fields="10000"):
        return FILL + ["-r", fields, "--command", command]

    def in_big(command):
        return Speed(f"{command.split()[0]} in {many}", pipeline + ["--command", command], "rps", {"redis": 1.5}, [big],
                     types=True)

    def whole(name, command, setup):
        return Speed(name, few + ["--command", command], "rps", {"redis": 1.3}, setup, types=True)

    # two of 10000 with 5000 in common
    sets = [load("SADD a __field__"), load("SADD b __field__", "5000"), load("SADD b other-__field__", "5000")]
    zsets = [load("ZADD a __score__ __field__"), load("ZADD b __score__ __field__", "5000"),
             load("ZADD b __score__ other-__field__", "5000")]
    return [
        in_big("ZRANK big __field__"),
        in_big("ZRANGEBYSCORE big __score__ +inf LIMIT 0 10"),
        in_big("ZINCRBY big 1 __field__"),
        whole("SINTER of 10k and 10k", "SINTER a b", sets),
        whole("SUNION of 10k and 10k", "SUNION a b", sets),
        whole("ZUNIONSTORE of 10k and 10k", "ZUNIONSTORE out 2 a b", zsets),
        whole("SORT of 10k", "SORT numbers", [load("RPUSH numbers __score__")]),
    ]


BIG_VALUES = (("set", "SADD big __field__", 0.5), ("hash", "HSET big __field__ __value__", 0.5),
              ("sorted set", "ZADD big __score__ __field__", 0.5), ("list", "RPUSH big __value__", 0.9),
              ("stream", "XADD big * __field__ __value__", 0.9))


def type_memory(count):
    def small(name, command, ceiling):
        load = FILL + ["-r", str(count), "--command", command]
        return Memory(f"{count / 1e6:g}M {name} of 10", [load], count, "key", ceiling, types=True)

    def large(name, command, share):
        load = FILL + ["-r", str(count), "--command", command]
        return Memory(f"one {name} of {count / 1e6:g}M", [load], count, "member", share=share, types=True)

    return [
        small("hashes", "HSET __key__ " + words("field:% __value__", 10), 248),
        small("sorted sets", "ZADD __key__ " + words("% member:%", 10), 195),
        small("lists", "RPUSH __key__ " + words("__value__", 10), 168),
    ] + [large(*row) for row in BIG_VALUES]


def type_stalls(members):
    load = ["--load", "-c", "4", "-P", "16", "-r", str(members)]
    return [Stall(f"{name} of {members / 1e6:g}M grows, is unlinked", load + ["--command", command], ("UNLINK", "big"))
            for name, command, _ in BIG_VALUES]


def catalogue(quick, types):
    """Every workload, in the order of the report."""
    found = speed(100000 if quick else 1000000) + memory([200000] if quick else [1000000, 1500000, 5000000])
    if types:
        n = 200000 if quick else 1000000
        found += type_writes(n) + type_reads() + type_large(n) + type_memory(n) + type_stalls(n if quick else 10 * n)
    return found
