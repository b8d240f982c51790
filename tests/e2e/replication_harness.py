"""What the replication tests share: genuine Redis servers, what a server holds in comparable form, writers that know
what was acknowledged, a proxy that is slow or cuts, and peers that speak the protocol by hand."""

import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import harness
from harness import wait_until

REDIS = shutil.which("redis-server")


class Redis(harness.Server):
    """A genuine server with the same face as harness.Server."""

    def __init__(self, args=(), program=None):
        super().__init__(args)
        self.program = program or REDIS

    def argv(self):
        return [self.program, "--port", str(self.port), "--dir", self.dir, "--bind", "127.0.0.1", "--save", "",
                "--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0", *self.args]


def of_master(port):
    return ["--replicaof", "127.0.0.1", str(port)]


FAST = ["--repl-diskless-sync-delay", "0"]


def linked(replica, timeout=15):
    wait_until(lambda: replica.info("replication").get("master_link_status") == "up", timeout,
               what="link up; " + replica.output()[-1500:])


def caught_up(master, *replicas, timeout=20):
    """Every replica has applied what the master has produced; nobody writes meanwhile."""
    def same():
        want = master.info("replication")["master_repl_offset"]
        return all(r.info("replication")["slave_repl_offset"] == want for r in replicas)
    for r in replicas:
        linked(r, timeout)
    wait_until(same, timeout, what="offsets equal")


def value(c, key, kind):
    if kind == b"string":
        return c.get(key)
    if kind == b"list":
        return c.lrange(key, 0, -1)
    if kind == b"set":
        return sorted(c.smembers(key))
    if kind == b"zset":
        return sorted(c.zrange(key, 0, -1, withscores=True))
    if kind == b"hash":
        return sorted(c.hgetall(key).items())
    if kind == b"stream":
        groups = [(g["name"], g["pending"], g["last-delivered-id"]) for g in c.xinfo_groups(key)]
        return c.xrange(key), groups
    raise AssertionError(kind)


def contents(server, dbs=(0, 1, 2, 9)):
    """Everything a server holds, so that servers of different makes can be compared."""
    out = {}
    for db in dbs:
        c = server.redis(db=db)
        for key in c.scan_iter(count=1000):
            kind = c.type(key)
            if kind != b"none":
                out[db, key] = (kind, value(c, key, kind), c.execute_command("PEXPIRETIME", key))
        c.close()
    return out


def fill(server, n=200, seed=1):
    """Some of everything."""
    rng = random.Random(seed)
    for db in (0, 9):
        c = server.redis(db=db)
        p = c.pipeline(transaction=False)
        for i in range(n):
            p.set("s%d" % i, "v" * rng.randrange(300))
            p.set("n%d" % i, rng.randrange(10 ** 9), px=3600000)
            p.rpush("l%d" % (i % 20), *range(rng.randrange(1, 30)))
            p.sadd("i%d" % (i % 10), *[rng.randrange(1000) for _ in range(5)])
            p.sadd("t%d" % (i % 10), "m%d" % i)
            p.zadd("z%d" % (i % 10), {"m%d" % i: rng.random()})
            p.hset("h%d" % (i % 10), "f%d" % i, "x" * rng.randrange(100))
            p.xadd("x%d" % (i % 3), {"f": i})
        p.execute()
        c.xgroup_create("x0", "g", 0)
        c.xreadgroup("g", "me", {"x0": ">"}, count=3)
        c.set("big", "B" * 300000)
        c.close()


class Threads:
    """What runs beside a test, from `with` on, until its end: `run` looks at stop_now."""

    def __init__(self, arguments):
        self.stop_now = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(a,), daemon=True) for a in arguments]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop_now.set()
        for t in self.threads:
            t.join(20)


class Load(Threads):
    """Threads that write all kinds of commands until stopped."""

    def __init__(self, server, threads=2, seed=7):
        super().__init__(range(seed, seed + threads))
        self.server = server
        self.errors = []
        self.commands = 0

    def run(self, seed):
        rng = random.Random(seed)
        c = self.server.redis(db=seed % 2)
        try:
            while not self.stop_now.is_set():
                p = c.pipeline(transaction=rng.random() < 0.2)
                for _ in range(rng.randrange(1, 20)):
                    self.one(p, rng)
                p.execute(raise_on_error=False)
        except Exception as e:      # the server went away: tests that kill it expect so
            self.errors.append(e)

    def one(self, p, rng):
        k = rng.randrange(100)
        what = rng.randrange(14)
        self.commands += 1
        if what == 0:
            p.set("s%d" % k, "v" * rng.randrange(200))
        elif what == 1:
            p.set("e%d" % k, k, px=rng.randrange(1, 300))
        elif what == 2:
            p.incrbyfloat("f%d" % k, 0.25)
        elif what == 3:
            p.rpush("l%d" % k, *range(3))
        elif what == 4:
            p.lpop("l%d" % k, 2)
        elif what == 5:
            p.sadd("t%d" % k, *range(rng.randrange(1, 20)))
        elif what == 6:
            p.spop("t%d" % k, 3)
        elif what == 7:
            p.zadd("z%d" % k, {"m%d" % rng.randrange(50): rng.random()})
        elif what == 8:
            p.zpopmin("z%d" % k)
        elif what == 9:
            p.hset("h%d" % k, "f%d" % rng.randrange(20), "x" * rng.randrange(80))
        elif what == 10:
            p.xadd("x%d" % k, {"a": k}, maxlen=20, approximate=True)
        elif what == 11:
            p.delete("s%d" % rng.randrange(100), "h%d" % rng.randrange(100))
        elif what == 12:
            p.expire("s%d" % k, rng.randrange(1000, 2000))
        else:
            p.rename("s%d" % k, "s%d" % rng.randrange(100))


class Counter(Threads):
    """Writers of increasing numbers, each on its own key; `acked` is what the server confirmed."""

    def __init__(self, port, threads=3):
        super().__init__(range(threads))
        self.port = port
        self.acked = [0] * threads
        self.failed = [None] * threads

    def run(self, i):
        try:
            with harness.Raw(("127.0.0.1", self.port), timeout=10) as c:
                n = 0
                while not self.stop_now.is_set():
                    n += 1
                    reply = c.cmd("SET", "counter%d" % i, n)
                    if reply != b"OK":
                        self.failed[i] = reply
                        return
                    self.acked[i] = n
        except (OSError, harness.Closed, TimeoutError) as e:
            self.failed[i] = str(e)

    def lost(self, server):
        """How many acknowledged writes the server does not have."""
        c = server.redis()
        have = [int(c.get("counter%d" % i) or 0) for i in range(len(self.acked))]
        return sum(max(0, a - h) for a, h in zip(self.acked, have))


class Proxy:
    """Between a replica and its master: passes `rate` bytes a second towards the replica (0: all), cuts on demand."""

    def __init__(self, port, rate=0):
        self.to = port
        self.rate = rate
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(8)
        self.port = self.listener.getsockname()[1]
        self.open = []
        self.closed = False
        self.passed = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.closed:
            try:
                a, _ = self.listener.accept()
                b = socket.socket()
                b.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
                b.connect(("127.0.0.1", self.to))
            except OSError:
                continue
            self.open += [a, b]
            threading.Thread(target=self.pump, args=(a, b, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(b, a, True), daemon=True).start()

    def pump(self, src, dst, slow):
        try:
            while True:
                data = src.recv(16384 if slow else 65536)
                if not data:
                    break
                if slow and self.rate:
                    time.sleep(len(data) / self.rate)
                dst.sendall(data)
                self.passed += len(data) if slow else 0
        except OSError:
            pass
        for s in (src, dst):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        for s in self.open:
            try:
                s.shutdown(socket.SHUT_RDWR)
                s.close()
            except OSError:
                pass
        self.open = []

    def close(self):
        self.closed = True
        self.listener.close()
        self.cut()


class RawReplica:
    """The inline SYNC of old: newlines, $<len>, an RDB, commands."""

    def __init__(self, server, timeout=10):
        self.c = server.raw(timeout=timeout)
        self.c.send(b"SYNC\r\n")
        line = self.line()
        while line == b"":
            line = self.line()
        assert line.startswith(b"$") and not line.startswith(b"$EOF"), line
        self.rdb = self.take(int(line[1:]))

    def more(self, timeout=10):
        self.c._fill(time.monotonic() + timeout)

    def line(self):
        while b"\n" not in self.c.buf:
            self.more()
        at = self.c.buf.index(b"\n")
        out = bytes(self.c.buf[:at]).rstrip(b"\r")
        del self.c.buf[:at + 1]
        return out

    def take(self, n):
        while len(self.c.buf) < n:
            self.more()
        out = bytes(self.c.buf[:n])
        del self.c.buf[:n]
        return out

    def command(self, timeout=10):
        """The next command as text, its name in lower case."""
        words = [w.decode() for w in self.c.read(timeout)]
        return " ".join([words[0].lower()] + words[1:])

    def commands(self, n):
        return [self.command() for _ in range(n)]

    def close(self):
        self.c.close()


class FakeMaster:
    """Listens, and does with each replica what `talk(connection, n)` says; n counts the connections."""

    def __init__(self, talk):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(8)
        self.port = self.listener.getsockname()[1]
        self.talk = talk
        self.connections = 0
        self.closed = False
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.closed:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                s.settimeout(5)
                self.talk(s, self.connections)
            except OSError:
                pass
            s.close()

    def close(self):
        self.closed = True
        self.listener.close()


def handshake(s, answer):
    """Answers the replica's questions up to PSYNC, then sends `answer`."""
    seen = b""
    while b"PSYNC" not in seen.upper():
        data = s.recv(65536)
        if not data:
            return
        seen += data
        if b"PING" in data.upper():
            s.sendall(b"+PONG\r\n")
        s.sendall(b"+OK\r\n" * data.upper().count(b"REPLCONF"))
    time.sleep(0.02)
    s.sendall(answer)
