"""The clients people have: redis-cli, redis-benchmark, redis-py, hiredis, go-redis."""

import os
import shutil
import subprocess
import threading
import time

import pytest

from harness import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))


def cli(server, *args, stdin=None, timeout=20, check=True):
    """redis-cli's output."""
    program = shutil.which("redis-cli")
    if program is None:
        pytest.skip("no redis-cli")
    done = subprocess.run([program, "-p", str(server.port), *map(str, args)], input=stdin,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, check=False)
    if check:
        assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


class TestRedisCli:
    def test_simple_commands(self, shared):
        assert cli(shared, "SET", "k", "v") == b"OK\n"
        assert cli(shared, "GET", "k") == b"v\n"
        assert cli(shared, "--no-raw", "GET", "k") == b'"v"\n'
        assert cli(shared, "--no-raw", "GET", "none") == b"(nil)\n"
        assert cli(shared, "--no-raw", "INCR", "n") == b"(integer) 1\n"
        assert cli(shared, "INCR", "k").startswith(b"ERR value is not an integer")
        assert cli(shared, "-n", 5, "SET", "x", 1) == b"OK\n"
        assert cli(shared, "EXISTS", "x") == b"0\n"
        assert cli(shared, "-x", "SET", "file", stdin=b"\x00\xff\r\n") == b"OK\n"
        assert cli(shared, "STRLEN", "file") == b"4\n"
        assert cli(shared, "-r", 3, "INCR", "n") == b"2\n3\n4\n"
        assert cli(shared, "--csv", "MGET", "k", "none") == b'"v",NULL\n'

    def test_commands_from_stdin(self, shared):
        assert cli(shared, stdin=b'SET "a b" "c\\nd"\nGET "a b"\nMULTI\nINCR n\nINCR n\nEXEC\n') == (
            b"OK\nc\nd\nOK\nQUEUED\nQUEUED\n1\n2\n")

    def test_resp3(self, shared):
        assert b'1# "hz" => "10"' in cli(shared, "-3", "--no-raw", "CONFIG", "GET", "hz")

    @pytest.mark.needs("ACL")
    def test_url_user_and_password(self, start):
        s = start(conf="requirepass 'se cret'\nuser bob on >pw ~* +@all\n")
        assert b"NOAUTH" in cli(s, "PING")
        assert cli(s, "--user", "bob", "--pass", "pw", "--no-auth-warning", "PING") == b"PONG\n"
        assert cli(s, "-a", "se cret", "--no-auth-warning", "PING") == b"PONG\n"
        assert cli(s, "-u", "redis://bob:pw@127.0.0.1:%d/3" % s.port, "--no-auth-warning", "CLIENT",
                   "INFO").count(b" db=3 ")
        assert b"PONG" not in cli(s, "--user", "bob", "--pass", "no", "--no-auth-warning", "PING",
                                  check=False)

    def test_pipe_mode(self, shared):
        n = 50000
        data = b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\npipe:%d\r\n$1\r\nx\r\n" % (5 + len(str(i)), i)
                        for i in range(n))
        out = cli(shared, "--pipe", stdin=data, timeout=60)
        assert b"errors: 0, replies: %d" % n in out, out
        assert cli(shared, "DBSIZE") == b"%d\n" % n

    def test_pipe_mode_inline(self, shared):
        out = cli(shared, "--pipe", stdin=b"SET a 1\r\nINCR a\r\nNOSUCH\r\n", check=False)
        assert b"errors: 1, replies: 3" in out, out

    def test_scan_and_bigkeys(self, shared):
        with shared.raw() as c:
            for i in range(300):
                c.cmd("SET", "key:%d" % i, "x" * i)
        keys = cli(shared, "--scan", "--pattern", "key:*").split()
        assert sorted(set(keys)) == sorted(b"key:%d" % i for i in range(300))
        out = cli(shared, "--bigkeys", timeout=30)
        assert b"Biggest string found" in out and b'"key:299"' in out and b" has 299 bytes" in out, out

    def test_memkeys(self, shared):
        with shared.raw() as c:
            for i in range(20):
                c.cmd("SET", "key:%d" % i, "x" * 100 * i)
        out = cli(shared, "--memkeys", timeout=30)
        assert b"Biggest string" in out and b"key:1" in out, out

    def test_latency_stat_and_interval(self, shared):
        program = shutil.which("redis-cli")
        if program is None:
            pytest.skip("no redis-cli")
        p = subprocess.Popen(["stdbuf", "-oL", program, "-p", str(shared.port), "--stat", "-i",
                              "0.1"], stdout=subprocess.PIPE)
        time.sleep(0.5)
        p.kill()
        out = p.communicate()[0]
        assert out.count(b"\n") >= 3, out

    def test_monitor(self, shared):
        program = shutil.which("redis-cli")
        if program is None:
            pytest.skip("no redis-cli")
        p = subprocess.Popen([program, "-p", str(shared.port), "MONITOR"], stdout=subprocess.PIPE)
        try:
            assert p.stdout.readline() == b"OK\n"
            with shared.raw() as c:
                c.cmd("SET", "k", 'a "quoted"\n')
            line = p.stdout.readline()
            assert b'"SET" "k" "a \\"quoted\\"\\n"' in line, line
        finally:
            p.kill()
            p.wait()

    def test_the_interactive_prompt_asks_for_command_docs(self, shared):
        with shared.raw() as c:
            docs = c.cmd("COMMAND", "DOCS", "get")
        assert docs[0] == b"get" and b"summary" in docs[1] and b"arguments" in docs[1]

    def test_info(self, shared):
        out = cli(shared, "INFO")
        assert b"# Server\r\n" in out and b"redis_version:" in out and b"# Keyspace" in out


@pytest.mark.parametrize("args", [["-t", "ping,set,get,incr,mset", "-n", "5000", "-c", "20"],
                                  ["-t", "set,get", "-n", "20000", "-c", "20", "-P", "16"],
                                  ["-t", "set,get", "-n", "300", "-d", "100000", "-c", "5"],
                                  ["-t", "set", "-n", "5000", "-r", "1000", "--threads", "2"]],
                                  ids=" ".join)
def test_redis_benchmark(shared, args):
    program = shutil.which("redis-benchmark")
    if program is None:
        pytest.skip("no redis-benchmark")
    done = subprocess.run([program, "-p", str(shared.port), "-q", *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE,
                          timeout=60, check=False)
    assert done.returncode == 0, done
    assert b"requests per second" in done.stdout
    assert b"ERROR" not in done.stdout + done.stderr.replace(b"ERROR: failed to fetch CONFIG", b"")


@pytest.mark.needs("LPUSH", "SADD", "HSET", "ZADD")
def test_redis_benchmark_collections(shared):
    program = shutil.which("redis-benchmark")
    if program is None:
        pytest.skip("no redis-benchmark")
    done = subprocess.run([program, "-p", str(shared.port), "-q", "-n", "2000", "-t",
                           "lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100"],
                           stdout=subprocess.PIPE, timeout=60, check=True)
    assert done.stdout.count(b"requests per second") >= 10


class TestRedisPy:
    def test_strings(self, shared):
        r = shared.redis()
        assert r.ping() and r.set("k", "v", ex=100) and r.get("k") == b"v" and 0 < r.ttl("k") <= 100
        assert r.set("k", "w", xx=True, get=True) == b"v"
        assert r.set("k", "w", nx=True) is None
        assert r.mset({"a": 1, "b": 2}) and r.mget("a", "b", "c") == [b"1", b"2", None]
        assert r.incrbyfloat("a", 0.5) == 1.5
        assert r.append("a", "0") == 4
        assert r.getrange("a", 0, 1) == b"1."
        assert r.setbit("bits", 7, 1) == 0 and r.bitcount("bits") == 1 and r.bitpos("bits", 1) == 7
        assert r.bitfield("bf").set("u8", 0, 200).incrby("u8", 0, 100).execute() == [0, 44]
        assert r.rename("a", "c") and r.exists("a", "c") == 1 and r.type("c") == b"string"
        assert r.copy("c", "d") and r.delete("c", "d", "x") == 2
        assert r.object("encoding", "b") == b"int"
        assert r.dbsize() == 4

    def test_transactions_and_watch(self, shared):
        import redis
        r = shared.redis()
        r.set("n", 1)
        with r.pipeline() as p:
            p.watch("n")
            value = int(p.get("n"))
            p.multi()
            p.set("n", value + 1).get("n")
            assert p.execute() == [True, b"2"]
            p.watch("n")
            p.get("n")
            shared.redis().incr("n")
            p.multi()
            p.set("n", 100)
            with pytest.raises(redis.WatchError):
                p.execute()
        assert r.get("n") == b"3"
        with r.pipeline(transaction=False) as p:
            for i in range(1000):
                p.set("p%d" % i, i)
            assert all(p.execute())

    def test_pubsub(self, shared):
        r = shared.redis()
        p = r.pubsub()
        p.subscribe("a")
        p.psubscribe("b*")
        got = []

        def collect():
            for m in p.listen():
                got.append((m["type"], m["channel"], m["data"]))
                if m["data"] == b"end":
                    return
        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        wait_until(lambda: len(got) >= 2, 5, what="subscriptions")
        assert r.publish("a", "1") == 1 and r.publish("bb", "2") == 1 and r.publish("c", "3") == 0
        r.publish("a", "end")
        thread.join(5)
        assert got[2:] == [("message", b"a", b"1"), ("pmessage", b"bb", b"2"),
                           ("message", b"a", b"end")]
        p.close()

    def test_administration(self, shared):
        r = shared.redis(client_name="tester")
        assert r.client_getname() == "tester" and r.client_id() > 0
        assert any(c["name"] == "tester" for c in r.client_list())
        assert r.config_get("hz") == {"hz": "10"} and r.config_set("hz", 10)
        info = r.info()
        assert info["redis_version"].startswith(("7.", "8."))
        assert info["tcp_port"] == shared.port
        assert info["role"] == "master"
        assert "db0" not in r.info("keyspace")
        assert isinstance(r.slowlog_get(), list) and r.time()[0] > 1e9
        assert r.command_count() > 50 and "get" in r.command()
        assert r.memory_usage("none") is None
        assert r.echo("x") == b"x"

    def test_many_threads_share_a_pool(self, shared):
        r = shared.redis()
        errors = []

        def work(i):
            try:
                for j in range(100):
                    r.set("t%d" % i, j)
                    assert int(r.get("t%d" % i)) == j
                    r.incr("total")
            except Exception as e:      # pylint: disable=broad-except
                errors.append(e)
        threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not errors and r.get("total") == b"1600"

    def test_scan_iter(self, shared):
        r = shared.redis()
        with r.pipeline(transaction=False) as p:
            for i in range(2000):
                p.set("s%d" % i, 1)
            p.execute()
        assert len(set(r.scan_iter(match="s*", count=37))) == 2000


def _build(tmp_path_factory, name, argv):
    folder = tmp_path_factory.mktemp(name)
    target = str(folder / name)
    done = subprocess.run([a.replace("TARGET", target) for a in argv], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT,
                          cwd=HERE, check=False)
    assert done.returncode == 0, done.stdout.decode()
    return target


def test_hiredis(shared, start, tmp_path_factory):
    if shutil.which("pkg-config") is None or subprocess.run(["pkg-config", "--exists", "hiredis"],
                                                            check=False).returncode:
        pytest.skip("no hiredis")
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "hiredis"],
                                    text=True).split()
    program = _build(tmp_path_factory, "hiredis_client", [
        os.environ.get("CC", "cc"), "-Wall", "-Wextra", "-O1", "hiredis_client.c", "-o", "TARGET",
        *flags])
    assert subprocess.check_output([program, str(shared.port)], timeout=30) == b"ok\n"
    s = start(["--unixsocket", "{dir}/u"])
    assert subprocess.check_output([program, str(s.port), os.path.join(s.dir, "u")],
                                   timeout=30) == b"ok\n"


@pytest.fixture(scope="session")
def go_program(tmp_path_factory):
    if shutil.which("go") is None:
        pytest.skip("no go")
    folder = tmp_path_factory.mktemp("go")
    done = subprocess.run(["go", "build", "-o", str(folder / "goclient"), "."],
                          cwd=os.path.join(HERE, "goclient"),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode and (b"dial tcp" in done.stdout or b"no such host" in done.stdout or
                            b"proxy" in done.stdout):
        pytest.skip("the modules cannot be fetched: " + done.stdout.decode()[-300:])
    assert done.returncode == 0, done.stdout.decode()
    return str(folder / "goclient")


@pytest.mark.parametrize("protocol", ["2", "3"])
def test_go_redis(shared, go_program, protocol):
    done = subprocess.run([go_program, "127.0.0.1:%d" % shared.port, protocol],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60, check=False)
    assert done.returncode == 0 and done.stdout == b"ok\n", done
