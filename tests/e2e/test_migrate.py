"""MIGRATE: what it answers, what becomes of a key at every failure, what other clients see
meanwhile. Other ends: another server under test, redis-server 7.0, Valkey 8.1 (VALKEY81: its
program, tests/differential/get-oracles prints it), and one that does what the test says."""

import os
import shutil
import socket
import threading
import time

import pytest

import servers
from harness import Closed, Error, Raw, encode, wait_until

pytestmark = pytest.mark.needs("MIGRATE")

TTL_KEY = "c"
KINDS = [
    ("SET", "i", "12"), ("SET", "raw", "x" * 5000), ("SET", TTL_KEY, "3", "PX", 100000),
    ("RPUSH", "l", *range(200)), ("RPUSH", "biglist", *["v%d" % i * 20 for i in range(600)]),
    ("SADD", "is", 1, 2, 3), ("SADD", "s", "a", "b", "cc"), ("SADD", "bigset", *["m%d" % i for i in
        range(2000)]),
    ("HSET", "h", "a", 1, "b", 2), ("HSET", "bighash", *range(2000)),
    ("ZADD", "z", 1, "a", 2.5, "b"), ("ZADD", "bigzset", *range(2000)),
    ("XADD", "st", "1-1", "f", "v"), ("XGROUP", "CREATE", "st", "g", "0"),
    ("XREADGROUP", "GROUP", "g", "me", "STREAMS", "st", ">"), ("PFADD", "p", *range(100)),
]
NAMES = sorted({c[1] if c[0] not in ("XGROUP", "XREADGROUP") else "st" for c in KINDS})


class Target:
    """A server of a test's own: `answers` is called with each request (a list of bytes) and says
    what to send; None closes the connection."""

    def __init__(self, answers):
        self.answers = answers
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        f = s.makefile("rb")
        try:
            while True:
                line = f.readline()
                if not line:
                    return
                request = []
                for _ in range(int(line[1:])):
                    n = int(f.readline()[1:])
                    request.append(f.read(n + 2)[:-2])
                self.requests.append(request)
                answer = self.answers(request)
                if answer is None:
                    s.shutdown(socket.SHUT_RDWR)
                    s.close()
                    return
                s.sendall(answer)
        except (OSError, ValueError):
            pass

    def close(self):
        self.listener.close()
        for s in self.connections:
            s.close()


@pytest.fixture
def target():
    made = []

    def make(answers):
        made.append(Target(answers))
        return made[-1]
    yield make
    for t in made:
        t.close()


@pytest.fixture
def gate(target):
    """A target that answers RESTOREs with +OK, but only while its event is set."""
    event = threading.Event()

    def answers(_):
        event.wait(10)
        return b"+OK\r\n"
    t = target(answers)
    t.open = event
    t.arrived = lambda n=1: wait_until(lambda: len(t.requests) >= n, what="%d requests" % n)
    yield t
    event.set()


def migrate(c, port, *rest, key="", timeout=5000, db=0):
    return c.cmd("MIGRATE", "127.0.0.1", port, key, db, timeout, *rest)


def fill(c):
    for command in KINDS:
        reply = c.cmd(*command)
        assert not isinstance(reply, Error), (command, reply)


READ = {
    b"string": lambda c, k: c.cmd("GET", k),
    b"list": lambda c, k: c.cmd("LRANGE", k, 0, -1),
    b"set": lambda c, k: sorted(c.cmd("SMEMBERS", k)),
    b"hash": lambda c, k: sorted(zip(*[iter(c.cmd("HGETALL", k))] * 2)),
    b"zset": lambda c, k: c.cmd("ZRANGE", k, 0, -1, "WITHSCORES"),
    b"stream": lambda c, k: (c.cmd("XRANGE", k, "-", "+"), c.cmd("XPENDING", k, "g"),
                             [r[1] for r in c.cmd("XINFO", "CONSUMERS", k, "g")]),
}


def contents(c, encodings=True):
    """All that can be read of the keys, with their encodings (some of 7.0 are others)."""
    return {n: (encodings and c.cmd("OBJECT", "ENCODING", n), READ[bytes(c.cmd("TYPE", n))](c, n))
            for n in NAMES}


class TestAnswers:
    def test_of_every_kind_of_request(self, start):
        a, b = start(), start()
        with a.raw() as c, b.raw() as there:
            c.cmd("MSET", "a", 1, "b", 2)
            there.cmd("SET", "b", "old")
            refused = "ERR Target instance replied with error: "
            busy = refused + "BUSYKEY Target key name already exists."
            no_password = refused + ("ERR AUTH <password> called without any password configured for "
                                     "the default user. Are you sure your configuration is correct?")
            dead = servers.free_port()
            for reply, command in [
                (b"NOKEY", (b.port, "none", 0, 100)),
                (b"NOKEY", (b.port, "", 0, 100, "KEYS", "none", "nor this")),
                (b"NOKEY", (b.port, "", 0, 100, "KEYS")),
                ("ERR syntax error", (b.port, "a", 0, 100, "what")),
                ("ERR syntax error", (b.port, "a", 0, 100, "AUTH")),
                ("ERR syntax error", (b.port, "a", 0, 100, "AUTH2", "user")),
                ("ERR syntax error", (b.port, "a", 0, "x", "what")),
                ("ERR When using MIGRATE KEYS option, the key argument must be set to the empty "
                 "string", (b.port, "a", 0, 100, "KEYS", "a")),
                ("ERR value is not an integer or out of range", (b.port, "a", "x", 100)),
                ("ERR value is not an integer or out of range", (b.port, "a", 0, "x")),
                (busy, (b.port, "b", 0, 100)),
                (no_password, (b.port, "a", 0, 100, "AUTH", "x")),
                (refused + "WRONGPASS invalid username-password pair or user is disabled.",
                 (b.port, "a", 0, 100, "AUTH2", "u", "x")),
                (refused + "ERR DB index is out of range", (b.port, "a", 999, 100)),
                ("IOERR error or timeout writing to target instance", (dead, "a", 0, 100)),
                (b"OK", (b.port, "a", 0, 0, "COPY")),
                (b"OK", (b.port, "b", 3, 1000, "COPY")),
                (b"OK", (b.port, "b", 0, -1, "REPLACE")),
            ]:
                assert c.cmd("MIGRATE", "127.0.0.1", *command) == reply, command
            assert c.cmd("KEYS", "*") == [b"a"]
            assert there.cmd("MGET", "a", "b") == [b"1", b"2"]
            there.cmd("SELECT", 3)
            assert there.cmd("GET", "b") == b"2"
            assert c.cmd("MIGRATE", "no.such.host.invalid", 1, "a", 0, 100) == (
                "IOERR error or timeout connecting to the client")

    def test_a_refused_login_leaves_nothing_there(self, start):
        a, b = start(), start(["--requirepass", "secret"])
        with a.raw() as c, b.raw() as there:
            there.cmd("AUTH", "secret")
            c.cmd("SET", "a", 1)
            assert "NOAUTH" in migrate(c, b.port, key="a")
            assert "WRONGPASS" in migrate(c, b.port, "AUTH", "wrong", key="a")
            assert "WRONGPASS" in migrate(c, b.port, "AUTH2", "nobody", "secret", key="a")
            assert c.cmd("GET", "a") == b"1" and there.cmd("DBSIZE") == 0
            assert migrate(c, b.port, "AUTH", "secret", key="a") == b"OK"
            c.cmd("SET", "b", 1)
            assert migrate(c, b.port, "AUTH2", "default", "secret", key="b") == b"OK"
            assert c.cmd("DBSIZE") == 0 and there.cmd("DBSIZE") == 2

    def test_passwords_are_not_shown(self, start, gate):
        a = start()
        gate.open.set()
        with a.raw() as c, a.raw() as m:
            c.cmd("SET", "a", 1)
            m.cmd("MONITOR")
            assert migrate(c, gate.port, "COPY", "AUTH2", "joe", "secret", key="a") == b"OK"
            line = m.read()
            assert b"migrate" in line.lower() and b"secret" not in line and b"joe" not in line

    def test_not_in_a_transaction(self, raw, gate):
        raw.cmd("SET", "a", 1)
        raw.cmd("MULTI")
        migrate(raw, 1, key="none")
        migrate(raw, gate.port, key="a")
        replies = raw.cmd("EXEC")
        assert replies[0] == b"NOKEY" and replies[1].startswith("ERR MIGRATE waits for another")
        assert raw.cmd("GET", "a") == b"1" and not gate.requests


class TestData:
    def test_every_type_to_a_server_of_our_own_and_back(self, start):
        a, b = start(), start()
        with a.raw() as c, b.raw() as there:
            fill(c)
            before = contents(c)
            for here, other, x, y in [(c, there, a, b), (there, c, b, a)]:
                assert migrate(here, y.port, "KEYS", *NAMES) == b"OK"
                assert here.cmd("DBSIZE") == 0 and contents(other) == before
                assert 90000 < other.cmd("PTTL", TTL_KEY) <= 100000
            assert x.info("stats")["migrate_cached_sockets"] == "1"

    @pytest.mark.parametrize("peer", ["redis70", "valkey81"])
    def test_every_type_to_another_make_and_back(self, start, peer):
        path = shutil.which("redis-server") if peer == "redis70" else os.environ.get("VALKEY81")
        if not path:
            pytest.skip("no %s here" % peer)
        a, same = start(), peer != "redis70"
        other = servers.Server(peer, path).start()
        try:
            with a.raw() as c, Raw(("127.0.0.1", other.port)) as there:
                fill(c)
                before = contents(c, same)
                assert migrate(c, other.port, "KEYS", *NAMES) == b"OK"
                assert c.cmd("DBSIZE") == 0 and contents(there, same) == before
                assert 90000 < there.cmd("PTTL", TTL_KEY) <= 100000
                assert migrate(there, a.port, "KEYS", *NAMES) == b"OK"
                assert there.cmd("DBSIZE") == 0 and contents(c, same) == before
                # once more, now that the link knows what the other side can read
                assert migrate(c, other.port, "COPY", "KEYS", "s", "st", "i") == b"OK"
        finally:
            other.stop()

    def test_a_large_value(self, start):
        a, b = start(), start()
        value = os.urandom(20 << 20)
        with a.raw() as c, b.raw() as there:
            c.cmd("SET", "k", value)
            assert migrate(c, b.port, key="k") == b"OK"
            assert there.cmd("GET", "k") == value and c.cmd("EXISTS", "k") == 0

    def test_ten_thousand_keys_at_once(self, start):
        a, b = start(), start()
        with a.raw() as c, b.raw() as there:
            names = ["k%d" % i for i in range(10000)]
            c.cmd("MSET", *[w for n in names for w in (n, n)])
            assert migrate(c, b.port, "KEYS", *names, timeout=60000) == b"OK"
            assert c.cmd("DBSIZE") == 0 and there.cmd("DBSIZE") == 10000
            assert there.cmd("GET", "k77") == b"k77"

    def test_a_name_given_twice_is_one_key(self, start):
        a, b = start(), start()
        with a.raw() as c:
            c.cmd("SET", "k", 1)
            assert migrate(c, b.port, "KEYS", "k", "k", "k") == b"OK"
            assert c.cmd("EXISTS", "k") == 0


class TestFailures:
    """A key that was not acknowledged is still here; one that was is gone."""

    def expect_here(self, server, *names):
        with server.raw() as c:
            assert sorted(c.cmd("KEYS", "*")) == sorted(n.encode() for n in names)

    def setup_keys(self, c, n=4):
        c.cmd("MSET", *[w for i in range(n) for w in ("k%d" % i, i)])
        return ["k%d" % i for i in range(n)]

    @pytest.mark.parametrize("nth", range(4))
    def test_one_key_is_refused(self, server, target, nth):
        t = target(lambda r: b"-BUSYKEY no\r\n" if r[1] == b"k%d" % nth else b"+OK\r\n")
        with server.raw() as c:
            names = self.setup_keys(c)
            assert migrate(c, t.port, "KEYS", *names) == (
                "ERR Target instance replied with error: BUSYKEY no")
            self.expect_here(server, "k%d" % nth)

    @pytest.mark.parametrize("nth", range(4))
    @pytest.mark.parametrize("end", [None, b"garbage\r\n", b":1\r\n", b"+OK\r\n+MORE\r\n" * 4])
    def test_the_other_side_ends_in_the_middle(self, server, target, nth, end):
        t = target(lambda r: end if r[1] == b"k%d" % nth else b"+OK\r\n")
        with server.raw() as c:
            names = self.setup_keys(c)
            reply = migrate(c, t.port, "KEYS", *names)
            if end and end.startswith(b"+"):
                assert reply == b"OK" or reply.startswith("IOERR ")
                return
            assert reply == "IOERR error or timeout reading to target instance"
            self.expect_here(server, *names[nth:])

    def test_a_silent_target(self, server, target):
        t = target(lambda r: b"")
        with server.raw() as c:
            names = self.setup_keys(c)
            begin = time.monotonic()
            assert migrate(c, t.port, "KEYS", *names, timeout=300) == (
                "IOERR error or timeout reading to target instance")
            assert 0.25 < time.monotonic() - begin < 5
            self.expect_here(server, *names)
            assert server.info("stats")["migrate_cached_sockets"] == "0"

    def test_the_time_is_that_of_no_progress(self, server, target):
        def slow(_):
            time.sleep(0.2)
            return b"+OK\r\n"
        t = target(slow)
        with server.raw() as c:
            names = self.setup_keys(c, 5)
            assert migrate(c, t.port, "KEYS", *names, timeout=600) == b"OK"
            self.expect_here(server)

    def test_a_target_that_does_not_read(self, server):
        with socket.create_server(("127.0.0.1", 0)) as listener, server.raw() as c:
            c.cmd("SET", "k", os.urandom(30 << 20))
            assert migrate(c, listener.getsockname()[1], key="k", timeout=500) == (
                "IOERR error or timeout writing to target instance")
            assert c.cmd("STRLEN", "k") == 30 << 20

    def test_a_stored_connection_that_died_is_replaced(self, start):
        a, b = start(), start()
        with a.raw() as c:
            c.cmd("MSET", "a", 1, "b", 2)
            assert migrate(c, b.port, key="a") == b"OK"
            b.stop()
            b.may_die = True
            b.start()
            assert migrate(c, b.port, key="b") == b"OK"

    def test_one_that_dies_on_the_request_is_replaced_too(self, server, target):
        dead = []

        def answers(request):
            if request[1] == b"b" and not dead:
                dead.append(1)
                return None
            return b"+OK\r\n"
        t = target(answers)
        with server.raw() as c:
            c.cmd("MSET", "a", 1, "b", 2)
            assert migrate(c, t.port, key="a") == b"OK"
            assert migrate(c, t.port, key="b") == b"OK"
            assert len(t.connections) == 2 and c.cmd("DBSIZE") == 0

    def test_the_client_goes_and_the_keys_arrive(self, server, gate):
        with server.raw() as c, server.raw() as other:
            c.cmd("SET", "k", 1)
            c.send(encode(["MIGRATE", "127.0.0.1", gate.port, "k", 0, 5000]))
            gate.arrived()
        with server.raw() as c:
            gate.open.set()
            wait_until(lambda: c.cmd("EXISTS", "k") == 0, what="the key has gone")

    def test_the_server_ends_in_the_middle(self, server, gate):
        with server.raw() as c:
            c.cmd("SET", "k", 1)
            c.send(encode(["MIGRATE", "127.0.0.1", gate.port, "k", 0, 5000]))
            gate.arrived()
            server.stop()
            server.may_die = True
            with pytest.raises(Closed):
                c.read()


class TestMeanwhile:
    """While keys are under way."""

    def begin(self, server, gate, *names, options=(), timeout=5000):
        c = server.raw()
        c.send(encode(["MIGRATE", "127.0.0.1", gate.port, "", 0, timeout, *options, "KEYS", *names]))
        gate.arrived()
        return c

    def test_other_keys_are_served_and_these_wait(self, server, gate):
        with server.raw() as c, server.raw() as d:
            c.cmd("MSET", "k", 1, "other", 2)
            with self.begin(server, gate, "k") as m:
                assert c.cmd("GET", "other") == b"2" and c.cmd("DBSIZE") == 2
                assert c.cmd("KEYS", "k") == [b"k"]
                for command in (["GET", "k"], ["APPEND", "k", "x"], ["MGET", "other", "k"]):
                    d.send(encode(command))
                d.quiet(0.15)
                gate.open.set()
                assert m.read() == b"OK"
                assert [d.read(), d.read(), d.read()] == [None, 1, [b"2", b"x"]]

    def test_the_order_of_a_long_pipeline_is_kept(self, server, gate):
        with server.raw() as c:
            c.cmd("MSET", "k", "1", "j", "1")
            with self.begin(server, gate, "k", "j") as m:
                n = 5000
                c.send(b"".join(encode(["SET", "x", i]) + encode(["GET", "k"]) +
                                encode(["GET", "x"]) for i in range(n)))
                time.sleep(0.1)
                gate.open.set()
                assert m.read() == b"OK"
                for i in range(n):
                    assert [c.read(), c.read(), c.read()] == [b"OK", None, b"%d" % i]

    def test_transactions_wait_as_a_whole(self, server, gate):
        with server.raw() as c, server.raw() as d:
            c.cmd("MSET", "k", 1, "other", 2)
            with self.begin(server, gate, "k") as m:
                c.cmd("MULTI")
                assert c.cmd("SET", "other", 3) == b"QUEUED"
                assert c.cmd("GET", "k") == b"QUEUED"
                c.send(encode(["EXEC"]))
                c.quiet(0.1)
                assert d.cmd("GET", "other") == b"2"
                gate.open.set()
                assert m.read() == b"OK" and c.read() == [b"OK", None]

    @pytest.mark.parametrize("command", [["FLUSHALL"], ["SWAPDB", "0", "1"], ["MOVE", "k", "1"],
                                         ["RENAME", "other", "k"], ["COPY", "other", "k"]])
    def test_what_concerns_all_keys_or_two_waits(self, server, gate, command):
        with server.raw() as c:
            c.cmd("MSET", "k", 1, "other", 2)
            with self.begin(server, gate, "k") as m:
                c.send(encode(command))
                c.quiet(0.1)
                gate.open.set()
                assert m.read() == b"OK"
                assert c.read() in (b"OK", 0, 1)

    def test_a_second_migrate_of_the_key_waits(self, server, gate):
        with server.raw() as c:
            c.cmd("SET", "k", 1)
            with self.begin(server, gate, "k") as m:
                c.send(encode(["MIGRATE", "127.0.0.1", gate.port, "k", 0, 5000]))
                c.quiet(0.1)
                gate.open.set()
                assert m.read() == b"OK" and c.read() == b"NOKEY"

    def test_a_copy_holds_up_nobody(self, server, gate):
        with server.raw() as c:
            c.cmd("SET", "k", 1)
            with self.begin(server, gate, "k", options=["COPY"]) as m:
                assert c.cmd("INCR", "k") == 2
                gate.open.set()
                assert m.read() == b"OK" and c.cmd("GET", "k") == b"2"

    def test_a_failure_lets_the_waiting_on(self, server, target):
        t = target(lambda r: b"")
        with server.raw() as c, server.raw() as m:
            c.cmd("SET", "k", 1)
            m.send(encode(["MIGRATE", "127.0.0.1", t.port, "k", 0, 300]))
            wait_until(lambda: t.requests)
            assert c.cmd("INCR", "k") == 2
            assert m.read().startswith("IOERR")

    def test_a_key_that_expires_is_not_missed(self, server, gate):
        with server.raw() as c:
            c.cmd("SET", "k", 1, "PX", 100)
            with self.begin(server, gate, "k") as m:
                wait_until(lambda: c.cmd("DBSIZE") == 0, what="expired")
                gate.open.set()
                assert m.read() == b"OK"

    def test_a_key_changed_by_a_blocked_client_is_sent_again(self, server, gate):
        """BLMOVE waits for one key and writes to another, which is under way when it is served."""
        with server.raw() as c, server.raw() as b:
            c.cmd("RPUSH", "k", "1")
            b.send(encode(["BLMOVE", "source", "k", "LEFT", "RIGHT", 0]))
            wait_until(lambda: server.info("clients")["blocked_clients"] == "1")
            with self.begin(server, gate, "k") as m:
                assert c.cmd("RPUSH", "source", "2") == 1
                assert b.read() == b"2"
                gate.open.set()
                assert m.read() == b"OK"
                assert [r[:2] for r in gate.requests] == [[b"RESTORE", b"k"]] * 2
                assert gate.requests[1][4] == b"REPLACE"
                assert gate.requests[0][3] != gate.requests[1][3]
                assert c.cmd("EXISTS", "k") == 0

    def test_nothing_is_deleted_while_writes_are_paused(self, server, gate):
        with server.raw() as c:
            c.cmd("SET", "k", 1)
            with self.begin(server, gate, "k") as m:
                c.cmd("CLIENT", "PAUSE", 60000, "WRITE")
                gate.open.set()
                m.quiet(0.2)
                assert c.cmd("DBSIZE") == 1
                c.cmd("CLIENT", "UNPAUSE")
                assert m.read() == b"OK" and c.cmd("DBSIZE") == 0

    @pytest.mark.needs("REPLICAOF")
    def test_one_that_becomes_a_replica_deletes_nothing(self, start, gate):
        a, b = start(), start()
        with a.raw() as c:
            c.cmd("SET", "k", 1)
            with self.begin(a, gate, "k") as m:
                assert c.cmd("REPLICAOF", "127.0.0.1", b.port) == b"OK"
                gate.open.set()
                assert m.read().startswith("UNBLOCKED ")
                assert len(gate.requests) == 1

    def test_clients_that_wait_may_go(self, server, gate):
        with server.raw() as c:
            c.cmd("SET", "k", 1)
            with self.begin(server, gate, "k") as m:
                with server.raw() as d:
                    d.send(encode(["GET", "k"]) * 3)
                    d.quiet(0.1)
                gate.open.set()
                assert m.read() == b"OK" and c.cmd("PING") == b"PONG"

    def test_events_of_what_was_moved(self, server, gate):
        gate.open.set()
        server.config_set("notify-keyspace-events", "KEA")
        with server.raw() as c, server.raw() as s:
            c.cmd("SET", "k", 1)
            c.cmd("WATCH", "none")
            s.cmd("PSUBSCRIBE", "__keyevent@0__:*")
            with server.raw() as w:
                w.cmd("WATCH", "k")
                assert migrate(c, gate.port, key="k") == b"OK"
                assert s.read()[2:] == [b"__keyevent@0__:del", b"k"]
                w.cmd("MULTI")
                w.cmd("PING")
                assert w.cmd("EXEC") is None
            assert "calls=1" in server.info("commandstats")["cmdstat_migrate"]
