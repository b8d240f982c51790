"""Data over time: expiry, keyspace notifications, SCAN while the data set changes, eviction,
freeing in the background."""

import random
import statistics
import threading
import time

import pytest

from harness import encode, wait_until


def drain(c, first=0.3):
    """All messages that are there."""
    out = []
    wait = first
    while True:
        try:
            out.append(c.read(wait))
        except TimeoutError:
            return out
        wait = 0.1


class TestExpiry:
    def test_a_key_is_gone_when_its_time_has_come(self, raw):
        raw.cmd("SET", "k", "v", "PX", 60)
        assert raw.cmd("GET", "k") == b"v" and 0 < raw.cmd("PTTL", "k") <= 60
        time.sleep(0.07)
        assert raw.cmd("GET", "k") is None
        assert raw.cmd("TTL", "k") == -2
        assert raw.cmd("EXISTS", "k") == 0
        assert raw.cmd("TYPE", "k") == b"none" and raw.cmd("RANDOMKEY") is None

    def test_lazily_for_every_command(self, server):
        with server.raw() as c:
            c.cmd("DEBUG", "SET-ACTIVE-EXPIRE", 0)
            for name in ("a", "b", "c", "d"):
                c.cmd("SET", name, "1", "PX", 1)
            time.sleep(0.01)
            assert c.cmd("KEYS", "*") == []
            assert c.cmd("INCR", "a") == 1 and c.cmd("PTTL", "a") == -1
            assert c.cmd("RENAME", "b", "x") == "ERR no such key"
            assert c.cmd("SETNX", "c", "2") == 1
            assert c.cmd("DEL", "d") == 0
            assert c.cmd("DBSIZE") == 2

    def test_actively(self, server):
        with server.raw() as c:
            n = 20000
            for i in range(n):
                c.send(encode(["SET", "k%d" % i, "v", "PX", 100]))
            for i in range(n):
                c.read()
            wait_until(lambda: c.cmd("DBSIZE") == 0, 5,
                       what="all keys are gone without anybody touching them")
        assert int(server.info("stats")["expired_keys"]) == n

    def test_the_delay_of_the_expired_event(self, server, record_property):
        """How late a key's end is noticed; a figure, not a promise. DESIGN: median <= 10 ms."""
        with server.raw() as c, server.raw() as sub:
            c.cmd("CONFIG", "SET", "notify-keyspace-events", "Ex")
            sub.cmd("SUBSCRIBE", "__keyevent@0__:expired")
            delays = []
            for _ in range(30):
                at = time.time() + 0.02
                c.cmd("SET", "k", "v", "PXAT", int(at * 1000))
                assert sub.read(2) == [b"message", b"__keyevent@0__:expired", b"k"]
                delays.append(time.time() - int(at * 1000) / 1000)
        median = statistics.median(delays) * 1000
        record_property("expired_event_delay_ms", median)
        print("median delay of the expired event: %.1f ms, worst %.1f ms" % (median,
            max(delays) * 1000))
        assert median < 500

    def test_persist_overwrite_and_rename(self, raw):
        raw.cmd("SET", "k", "v", "EX", 100)
        raw.cmd("SET", "k", "v", "KEEPTTL")
        assert raw.cmd("TTL", "k") == 100
        raw.cmd("RENAME", "k", "l")
        assert raw.cmd("TTL", "l") == 100
        assert raw.cmd("PERSIST", "l") == 1
        assert raw.cmd("TTL", "l") == -1
        raw.cmd("EXPIRE", "l", 100)
        raw.cmd("SET", "l", "v")
        assert raw.cmd("TTL", "l") == -1
        raw.cmd("EXPIRE", "l", 100)
        raw.cmd("GETSET", "l", "w")
        assert raw.cmd("TTL", "l") == -1
        assert raw.cmd("EXPIRE", "l", -1) == 1 and raw.cmd("EXISTS", "l") == 0

    def test_info_and_keyspace_count_expires(self, shared, raw):
        raw.cmd("SET", "a", 1)
        raw.cmd("SET", "b", 1, "EX", 100)
        raw.cmd("SELECT", 3)
        raw.cmd("SET", "c", 1)
        info = shared.info("keyspace")
        assert info["db0"].startswith("keys=2,expires=1,avg_ttl=")
        assert info["db3"].startswith("keys=1,expires=0,avg_ttl=0")

    def test_far_times(self, raw):
        assert raw.cmd("SET", "k", "v") == b"OK"
        assert raw.cmd("PEXPIREAT", "k", 9223372036854775807) in (1,
            "ERR invalid expire time in 'pexpireat' command")
        assert raw.cmd("EXPIRE", "k",
                       9223372036854775807) == "ERR invalid expire time in 'expire' command"
        assert raw.cmd("SET", "k", "v", "EX",
                       9223372036854775807) == "ERR invalid expire time in 'set' command"
        assert raw.cmd("EXPIREAT", "k", 4102444800) == 1
        assert raw.cmd("EXPIRETIME", "k") == 4102444800


class TestNotifications:
    @pytest.fixture
    def notified(self, server):
        server.config_set("notify-keyspace-events", "KEA")
        with server.raw() as c, server.raw() as sub:
            sub.cmd("PSUBSCRIBE", "__key*@*__:*")
            yield c, sub

    @staticmethod
    def events(sub):
        return [(m[2].decode(), m[3].decode()) for m in drain(sub)]

    def test_both_channels_in_order(self, notified):
        c, sub = notified
        c.cmd("SET", "k", "v")
        assert self.events(sub) == [("__keyspace@0__:k", "set"), ("__keyevent@0__:set", "k")]

    @pytest.mark.parametrize("commands, expected", [
        ([["SET", "k", "v", "EX", "100"]], ["set k", "expire k"]),
        ([["SET", "k", "v"], ["DEL", "k", "none"]], ["set k", "del k"]),
        ([["SET", "k", "v"], ["EXPIRE", "k", "100"], ["PERSIST", "k"]], ["set k", "expire k",
        "persist k"]),
        ([["SET", "k", "1"], ["INCR", "k"], ["APPEND", "k", "x"], ["SETRANGE", "k", "0", "y"]],
         ["set k", "incrby k", "append k", "setrange k"]),
        ([["SET", "k", "v"], ["RENAME", "k", "l"]], ["set k", "rename_from k", "rename_to l"]),
        ([["SET", "k", "v"], ["COPY", "k", "l"]], ["set k", "copy_to l"]),
        ([["SET", "k", "v"], ["EXPIRE", "k", "-1"]], ["set k", "del k"]),
        ([["MSET", "a", "1", "b", "2"]], ["set a", "set b"]),
        ([["SETBIT", "k", "1", "1"]], ["setbit k"]),
        ([["INCRBYFLOAT", "k", "1"]], ["incrbyfloat k"]),
        ([["GETDEL", "none"], ["SET", "k", "v"], ["GETDEL", "k"]], ["set k", "del k"]),
        ([["GETEX", "none"], ["SET", "k", "v"], ["GETEX", "k", "EX", "100"]],
         ["set k", "expire k"]),
        ([["MULTI"], ["SET", "a", "1"], ["DEL", "a"], ["EXEC"]], ["set a", "del a"]),
    ], ids=str)
    def test_events(self, notified, commands, expected):
        c, sub = notified
        for command in commands:
            c.cmd(*command)
        got = [e.split(":")[-1] + " " + k for e, k in self.events(sub)
               if e.startswith("__keyevent@0__:")]
        assert got == expected

    def test_expired_and_del_of_another_database(self, notified):
        c, sub = notified
        c.cmd("SELECT", 4)
        c.cmd("SET", "k", "v", "PX", 20)
        got = wait_until(lambda: [e for e in self.events(sub) if e[0].endswith("expired")], 5,
                         what="expired")
        assert got == [("__keyevent@4__:expired", "k")]

    def test_classes_can_be_chosen(self, server):
        with server.raw() as c, server.raw() as sub:
            sub.cmd("PSUBSCRIBE", "*")
            server.config_set("notify-keyspace-events", "E$")
            c.cmd("SET", "k", "v")
            c.cmd("DEL", "k")
            assert [m[2:] for m in drain(sub)] == [[b"__keyevent@0__:set", b"k"]]
            server.config_set("notify-keyspace-events", "Kg")
            c.cmd("SET", "k", "v")
            c.cmd("DEL", "k")
            assert [m[2:] for m in drain(sub)] == [[b"__keyspace@0__:k", b"del"]]
            server.config_set("notify-keyspace-events", "Kn")
            c.cmd("SET", "new", "v")
            c.cmd("SET", "new", "w")
            assert [m[2:] for m in drain(sub)] == [[b"__keyspace@0__:new", b"new"]]
            server.config_set("notify-keyspace-events", "Km")
            c.cmd("GET", "missing")
            assert [m[2:] for m in drain(sub)] == [[b"__keyspace@0__:missing", b"keymiss"]]
            server.config_set("notify-keyspace-events", "")
            c.cmd("SET", "k", "v")
            assert drain(sub, 0.1) == []


class TestScan:
    """What SCAN promises: what is there all the time is returned; what was never there is not."""

    @staticmethod
    def scan(c, *args, between=None):
        cursor, seen, calls = b"0", [], 0
        while True:
            cursor, part = c.cmd("SCAN", cursor, *args)
            seen += part
            calls += 1
            if cursor == b"0":
                return seen
            assert calls < 200000
            if between:
                between(calls)

    def fill(self, c, n, prefix="k"):
        for i in range(n):
            c.send(encode(["SET", "%s%d" % (prefix, i), i]))
        for _ in range(n):
            c.read()

    @pytest.mark.parametrize("n", [0, 1, 2, 7, 100, 5000])
    @pytest.mark.parametrize("count", [1, 10, 1000])
    def test_complete(self, raw, n, count):
        if n * (10 // count) > 10000:
            n = 1000
        self.fill(raw, n)
        seen = self.scan(raw, "COUNT", count)
        assert sorted(set(seen)) == sorted(b"k%d" % i for i in range(n))
        assert len(seen) == n, "without changes nothing comes twice"

    def test_while_it_grows(self, raw):
        self.fill(raw, 1000)
        added = [0]

        def grow(_):
            for _ in range(40):
                raw.cmd("SET", "new%d" % added[0], 1)
                added[0] += 1
        seen = set(self.scan(raw, "COUNT", 5, between=lambda n: grow(n) if n < 500 else None))
        assert {b"k%d" % i for i in range(1000)} <= seen

    def test_while_it_shrinks(self, raw):
        self.fill(raw, 20000, "gone")
        self.fill(raw, 500)
        victims = [b"gone%d" % i for i in range(20000)]
        random.Random(1).shuffle(victims)

        def shrink(_):
            if victims:
                raw.cmd("DEL", *[victims.pop() for _ in range(min(300, len(victims)))])
        seen = set(self.scan(raw, "COUNT", 20, between=shrink))
        assert {b"k%d" % i for i in range(500)} <= seen

    def test_while_it_shrinks_and_grows_again(self, raw):
        self.fill(raw, 300)
        rng = random.Random(7)
        extra = set()

        def change(_):
            if rng.random() < 0.5 and extra:
                names = [extra.pop() for _ in range(min(len(extra), rng.randint(1, 200)))]
                raw.cmd("DEL", *names)
            else:
                for _ in range(rng.randint(1, 100)):
                    name = "e%d" % rng.randrange(10 ** 6)
                    extra.add(name)
                    raw.cmd("SET", name, 1)
        for _ in range(5):
            seen = set(self.scan(raw, "COUNT", 7, between=change))
            assert {b"k%d" % i for i in range(300)} <= seen

    def test_match_and_type(self, raw):
        self.fill(raw, 300)
        raw.cmd("SET", "other", 1)
        assert set(self.scan(raw, "MATCH", "k1*", "COUNT", 10)) == {b"k%d" % i for i in range(300)
            if str(i).startswith("1")}
        assert set(self.scan(raw, "MATCH", "other")) == {b"other"}
        assert len(self.scan(raw, "TYPE", "string", "COUNT", 50)) == 301
        assert self.scan(raw, "TYPE", "list") == []

    def test_expired_keys_are_not_returned(self, server):
        with server.raw() as c:
            c.cmd("DEBUG", "SET-ACTIVE-EXPIRE", 0)
            self.fill(c, 50)
            for i in range(50):
                c.cmd("PEXPIRE", "k%d" % i, 1)
            c.cmd("SET", "stays", 1)
            time.sleep(0.01)
            assert self.scan(c, "COUNT", 100) == [b"stays"]

    def test_odd_cursors(self, raw):
        self.fill(raw, 10)
        for cursor in ("abc", "-", "18446744073709551616", "1 "):
            assert raw.cmd("SCAN", cursor) == "ERR invalid cursor"
        for cursor in ("18446744073709551615", "12345678901234567", "3"):
            reply = raw.cmd("SCAN", cursor)
            assert isinstance(reply, list) and len(reply) == 2


POLICIES = ["noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru",
            "volatile-lfu", "volatile-random",
            "volatile-ttl"]


class TestEviction:
    @pytest.mark.parametrize("policy", POLICIES)
    def test_memory_stays_near_the_limit(self, server, policy):
        with server.raw() as c:
            used = int(server.info("memory")["used_memory"])
            limit = used + (6 << 20)
            server.config_set("maxmemory", limit, "maxmemory-policy", policy)
            volatile = policy.startswith("volatile")
            errors = 0
            for i in range(30000):
                c.send(encode(["SET", "k%d" % i, "x" * 500] + (["EX", 10000 + i] if volatile
                    else [])))
                if i % 100 == 99:
                    errors += sum(isinstance(c.read(), str) for _ in range(100))
            used = int(server.info("memory")["used_memory"])
            assert used < limit + (2 << 20)
            evicted = int(server.info("stats")["evicted_keys"])
            if policy == "noeviction":
                assert errors > 0 and evicted == 0
                server.config_set("maxmemory", used - 100000)
                assert c.cmd("SET", "a",
                             "b") == "OOM command not allowed when used memory > 'maxmemory'."
                assert c.cmd("GET", "k1") == b"x" * 500 and c.cmd("DEL", "k1") == 1
            else:
                assert errors == 0 and evicted > 10000
                assert c.cmd("DBSIZE") > 1000
            if policy == "volatile-ttl":
                left = c.cmd("KEYS", "*")
                assert statistics.mean(int(k[1:])
                                       for k in left) > 15000, "those that live longest stay"

    def test_volatile_policies_without_volatile_keys(self, server):
        server.config_set("maxmemory", int(server.info("memory")["used_memory"]) + (2 << 20),
                          "maxmemory-policy", "volatile-lru")
        with server.raw() as c:
            replies = [c.cmd("SET", "k%d" % i, "x" * 10000) for i in range(400)]
        assert any(isinstance(r, str) and r.startswith("OOM ") for r in replies)
        assert int(server.info("stats")["evicted_keys"]) == 0

    def test_lru_keeps_what_is_used(self, server):
        with server.raw() as c:
            for i in range(5000):
                c.send(encode(["SET", "k%d" % i, "x" * 500]))
            for _ in range(5000):
                c.read()
            hot = ["k%d" % i for i in range(0, 5000, 100)]
            time.sleep(2.1)              # the clock of the policy ticks in seconds
            c.cmd("MGET", *hot)
            server.config_set("maxmemory-policy", "allkeys-lru", "maxmemory-samples", 10)
            server.config_set("maxmemory", int(server.info("memory")["used_memory"]) - 1200000)
            wait_until(lambda: c.cmd("SET", "one", "more") and c.cmd("DBSIZE") < 4000, 5,
                       what="1000 keys are evicted")
            assert c.cmd("EXISTS", *hot) >= 45

    def test_lfu_counts(self, server):
        server.config_set("maxmemory-policy", "allkeys-lfu")
        with server.raw() as c:
            c.cmd("SET", "k", "v")
            for _ in range(2000):
                c.cmd("GET", "k")
            assert c.cmd("OBJECT", "FREQ", "k") > 10
            assert c.cmd("OBJECT", "IDLETIME",
                         "k").startswith("ERR An LFU maxmemory policy is selected")
        server.config_set("maxmemory-policy", "allkeys-lru")
        with server.raw() as c:
            c.cmd("SET", "k", "v")
            assert c.cmd("OBJECT", "IDLETIME", "k") == 0
            assert c.cmd("OBJECT", "FREQ",
                         "k").startswith("ERR An LFU maxmemory policy is not selected")

    def test_evicted_events(self, server):
        with server.raw() as c, server.raw() as sub:
            server.config_set("notify-keyspace-events", "Ee")
            sub.cmd("PSUBSCRIBE", "*")
            server.config_set("maxmemory", int(server.info("memory")["used_memory"]) + (1 << 20),
                              "maxmemory-policy", "allkeys-random")
            for i in range(300):
                c.cmd("SET", "k%d" % i, "x" * 10000)
            assert sub.read(2)[2] == b"__keyevent@0__:evicted"

    def test_maxmemory_set_below_what_is_used(self, server):
        with server.raw() as c:
            for i in range(2000):
                c.send(encode(["SET", "k%d" % i, "x" * 5000]))
            for _ in range(2000):
                c.read()
            before = c.cmd("DBSIZE")
            server.config_set("maxmemory-policy", "allkeys-random")
            server.config_set("maxmemory", int(server.info("memory")["used_memory"]) // 2)
            c.cmd("SET", "one", "more")
            wait_until(lambda: c.cmd("DBSIZE") < before * 0.75, 5,
                       what="half of the keys are evicted")


class TestFreeing:
    def test_flushall_async_and_sync(self, shared, raw):
        for mode in ([], ["ASYNC"], ["SYNC"]):
            for i in range(5000):
                raw.send(encode(["SET", "k%d" % i, "x" * 200]))
            for _ in range(5000):
                raw.read()
            assert raw.cmd("FLUSHALL", *mode) == b"OK"
            assert raw.cmd("DBSIZE") == 0 and raw.cmd("GET", "k1") is None
        wait_until(lambda: shared.info("memory")["lazyfree_pending_objects"] == "0", 5,
                   what="nothing is pending")

    def test_memory_comes_back(self, server):
        def used():
            return int(server.info("memory")["used_memory"])
        start = used()
        with server.raw() as c:
            for i in range(20):
                c.cmd("SET", "big%d" % i, "x" * (1 << 20))
            assert used() > start + (19 << 20)
            c.cmd("UNLINK", *["big%d" % i for i in range(10)])
            c.cmd("DEL", *["big%d" % i for i in range(10, 20)])
        wait_until(lambda: used() < start + (1 << 20), 5, what="used_memory falls again")

    def test_lazyfree_directives_do_not_change_what_is_seen(self, server):
        for name in ("lazyfree-lazy-user-del", "lazyfree-lazy-user-flush", "lazyfree-lazy-expire",
                     "lazyfree-lazy-server-del",
                     "lazyfree-lazy-eviction"):
            server.config_set(name, "yes")
        with server.raw() as c:
            c.cmd("SET", "k", "x" * 100000)
            assert c.cmd("DEL", "k") == 1 and c.cmd("EXISTS", "k") == 0
            c.cmd("SET", "k", "x" * 100000)
            c.cmd("SET", "l", "y")
            assert c.cmd("RENAME", "l", "k") == b"OK" and c.cmd("GET", "k") == b"y"
            assert c.cmd("FLUSHDB") == b"OK" and c.cmd("DBSIZE") == 0


def test_many_databases_are_apart(raw):
    for db in range(16):
        raw.cmd("SELECT", db)
        raw.cmd("SET", "k", db)
    for db in range(16):
        raw.cmd("SELECT", db)
        assert raw.cmd("GET", "k") == b"%d" % db and raw.cmd("DBSIZE") == 1
    raw.cmd("SWAPDB", 0, 15)
    assert raw.cmd("GET", "k") == b"0"
    raw.cmd("SELECT", 0)
    assert raw.cmd("GET", "k") == b"15"
    assert raw.cmd("MOVE", "k", 1) == 0
    assert raw.cmd("FLUSHDB") == b"OK" and raw.cmd("MOVE", "k", 1) == 0
    raw.cmd("SELECT", 1)
    assert raw.cmd("MOVE", "k", 0) == 1 and raw.cmd("EXISTS", "k") == 0


def test_clients_at_once_see_atomic_commands(shared):
    """Sixteen connections count; nothing is lost."""
    def work():
        with shared.raw() as c:
            for _ in range(20):
                c.send(encode(["INCR", "n"]) * 50 + encode(["APPEND", "s", "x"]) * 10)
                for _ in range(60):
                    c.read()
    threads = [threading.Thread(target=work) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    with shared.raw() as c:
        assert c.cmd("GET", "n") == b"16000" and c.cmd("STRLEN", "s") == 3200
