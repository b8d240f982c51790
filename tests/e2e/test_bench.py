"""ouro-bench tells the truth: its counts are the server's, its rate is kept, its latencies leave no stall out.

OURO_SERVER: the server's program (default build/ouro-server; any that takes Redis' options will do).
OURO_BENCH: the load generator (default build/ouro-bench or build/tools/bench/ouro-bench).
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import xml.dom.minidom

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def program(variable, *candidates):
    given = os.environ.get(variable)
    found = given or next((str(c) for c in candidates if os.access(c, os.X_OK)), None)
    if not found:
        pytest.skip(f"nothing built; set {variable}")
    return found


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, folder):
        self.port = free_port()
        self.socket = str(folder / "s.sock")
        self.process = subprocess.Popen(
            [program("OURO_SERVER", ROOT / "build/ouro-server"), "--port", str(self.port), "--bind", "127.0.0.1",
             "--unixsocket", self.socket, "--save", "", "--appendonly", "no", "--dir", str(folder)],
            stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        limit = time.monotonic() + 10
        while True:
            try:
                assert self.call("PING") == "PONG"
                return
            except OSError:
                assert self.process.poll() is None, "the server ended"
                assert time.monotonic() < limit, "the server does not answer"
                time.sleep(0.02)

    def call(self, *words):
        request = b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            s.sendall(request)
            with s.makefile("rb") as f:
                line = f.readline().decode()
                if not line:
                    raise ConnectionError("closed")
                if line[0] == "$":
                    n = int(line[1:])
                    return None if n < 0 else f.read(n).decode()
                return int(line[1:]) if line[0] == ":" else line[1:].strip()

    def calls(self):
        """Executed commands by name, from INFO commandstats."""
        stats = self.call("INFO", "commandstats")
        return {m[1].upper(): int(m[2]) for m in re.finditer(r"cmdstat_([^:\s]+):calls=(\d+)", stats)}

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    # a unix socket's path must be short
    folder = pathlib.Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    s = Server(folder)
    yield s
    s.stop()
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def clean(server):
    server.call("FLUSHALL")
    server.call("CONFIG", "RESETSTAT")


def run(server, *args, status=0, where=None):
    """Runs ouro-bench; returns its JSON object."""
    bench = program("OURO_BENCH", ROOT / "build/ouro-bench", ROOT / "build/tools/bench/ouro-bench")
    where = where or ["-p", str(server.port)]
    p = subprocess.run([bench, *where, "--json", *map(str, args)], capture_output=True, text=True, timeout=60)
    assert p.returncode == status, p.stderr + p.stdout
    return json.loads(p.stdout)


def commands(result):
    return {c["name"]: c for c in result["commands"]}


def check_counts(result, server):
    calls = server.calls()
    for name, c in commands(result).items():
        assert c["sent"] == c["replies"] == calls[name], name
        assert c["errors"] == 0, c["first_error"]
        assert c["measured"] <= c["replies"]
    assert result["requests_total"] == sum(c["replies"] for c in result["commands"])
    assert result["requests"] == sum(c["measured"] for c in result["commands"]) > 0
    assert result["unanswered"] == result["lost_connections"] == 0


def check_latencies(result):
    latency = result["latency_us"]
    ordered = [latency[k] for k in ("min", "p50", "p90", "p99", "p99.9", "p99.99", "max")]
    assert ordered == sorted(ordered) and ordered[0] > 0
    assert latency["min"] <= latency["mean"] <= latency["max"]


MODES = {
    "no pipeline": ["--mix", "get"],
    "pipeline": ["--mix", "set", "-P", 16],
    "mix": ["--mix", "get:90,set:10", "-P", 7, "-c", 9],
    "sizes": ["--mix", "set,get", "-d", "1-70000", "-P", 3, "-r", 50],
    "many": ["--mix", "mset", "-c", 300, "-P", 4],
    "nested": ["--mix", "xadd,xrange,zadd,zrange,hset,hgetall,lpush,lrange", "-r", 20, "-P", 5],
    "resp3": ["--resp3", "--mix", "hset,hgetall,sadd,smembers,zadd,zscore", "-r", 20],
    "rate": ["--mix", "get:1,incr:3", "--rate", 3000, "-P", 4],
    "poisson": ["--mix", "get", "--rate", 3000, "--poisson"],
}


@pytest.mark.parametrize("engine", ["io_uring", "epoll"])
@pytest.mark.parametrize("mode", MODES)
def test_counts_are_those_of_the_server(server, engine, mode):
    args = ["--engine", engine, "-t", 0.6, "--warmup", 0.1, *MODES[mode]]
    try:
        result = run(server, *args)
    except AssertionError as e:
        if engine == "io_uring" and "cannot set up the io_uring engine" in str(e):
            pytest.skip("no io_uring here")
        raise
    assert result["client"]["engine"] == engine
    check_counts(result, server)
    check_latencies(result)
    assert 0.5 < result["seconds"] < 2
    assert result["requests_per_second"] == pytest.approx(result["requests"] / result["seconds"], rel=0.01)


def test_over_a_unix_socket_with_a_database(server):
    result = run(server, "-t", 0.3, "--db", 3, "--mix", "set", where=["-s", server.socket])
    check_counts(result, server)
    assert "db3:" in server.call("INFO", "keyspace")


def test_the_number_of_requests_is_exact(server):
    result = run(server, "-n", 12345, "-P", 16, "--mix", "set:1,get:2")
    check_counts(result, server)
    assert result["requests"] == result["requests_total"] == 12345 and result["complete"]


def test_requests_that_do_not_fit_the_time_are_told(server):
    result = run(server, "-n", 10**12, "-t", 0.3, status=3)
    assert not result["complete"]
    assert 0.2 < result["seconds"] < 1.5


def test_load_fills_every_key_once(server):
    result = run(server, "--load", "-r", 5003, "--ttl", 1000, "-d", 11)
    check_counts(result, server)
    assert result["requests"] == server.call("DBSIZE") == 5003
    assert server.call("STRLEN", "key:000000005002") == 11
    assert 900 < server.call("TTL", "key:000000000000") <= 1000
    run(server, "--load", "-r", 1000, "--mix", "hset", "--fields", 3)
    assert server.call("DBSIZE") == 6003


def test_own_commands_have_their_placeholders_filled(server):
    run(server, "--load", "-r", 40, "-d", 3, "--command", 'hset "the hash" __field__ x-__value__')
    assert server.call("HLEN", "the hash") == 40
    assert server.call("HSTRLEN", "the hash", "f:00000000000039") == 5


def test_zipfian_keys_are_zipfian(server):
    n = run(server, "-n", 40000, "-P", 16, "--mix", "incr", "-r", 100, "--dist", "zipf:1")["requests"]
    counts = [int(server.call("GET", f"ctr:{i:012d}") or 0) for i in range(100)]
    assert sum(counts) == n
    harmonic = sum(1 / k for k in range(1, 101))
    for i in (0, 1, 9):
        assert counts[i] == pytest.approx(n / harmonic / (i + 1), rel=0.15)


def test_uniform_keys_are_uniform(server):
    n = run(server, "-n", 40000, "-P", 16, "--mix", "incr", "-r", 10)["requests"]
    for i in range(10):
        assert int(server.call("GET", f"ctr:{i:012d}")) == pytest.approx(n / 10, rel=0.1)


def test_the_rate_is_kept(server):
    result = run(server, "-t", 1, "--warmup", 0, "--rate", 2000, "--mix", "set")
    check_counts(result, server)
    assert result["requests_total"] == pytest.approx(2000, rel=0.02)
    assert result["latency_us"]["count"] == result["requests_total"]


def test_a_stall_is_charged_to_every_request_that_was_due(server):
    def stall():
        time.sleep(0.5)
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        server.process.send_signal(signal.SIGCONT)

    thread = threading.Thread(target=stall)
    thread.start()
    result = run(server, "-t", 1.5, "--warmup", 0, "--rate", 1000, "-c", 10)
    thread.join()
    # a third of the requests were due while the server stood still, evenly spread over 0 to 0.5 s of waiting;
    # a closed loop would have seen ten slow ones
    assert result["latency_us"]["count"] == pytest.approx(1500, rel=0.02)
    assert result["latency_us"]["p90"] > 200_000
    assert result["latency_us"]["max"] > 350_000
    assert result["unanswered"] == 0


def test_error_replies_are_counted_and_quoted(server):
    server.call("LPUSH", "key:000000000000", "x")
    result = run(server, "-n", 1000, "-r", 1, "-P", 10, "--mix", "ping,get", status=2)
    got = commands(result)
    assert got["PING"]["errors"] == 0 and got["PING"]["first_error"] is None
    assert got["GET"]["errors"] == got["GET"]["replies"] == result["errors"] > 0
    assert got["GET"]["first_error"].startswith("WRONGTYPE ")


def test_lost_connections_are_told(server):
    def kill():
        time.sleep(0.4)
        server.call("CLIENT", "KILL", "TYPE", "normal")

    thread = threading.Thread(target=kill)
    thread.start()
    result = run(server, "-t", 2, "-c", 20, status=2)
    thread.join()
    assert result["lost_connections"] == 20
    assert result["seconds"] < 2


def test_server_cpu_and_memory_are_read(server):
    result = run(server, "-t", 0.6, "-P", 16, "--mix", "set", "-r", 100000, "-d", 100)
    of = result["server"]
    assert of["pid"] == server.process.pid
    assert 0 < of["cpu_us"] < result["seconds"] * 1e6 * os.cpu_count()
    assert of["cpu_us_per_request"] == pytest.approx(of["cpu_us"] / result["requests"], rel=0.01)
    assert of["rss_after"] > of["rss_before"] + 1_000_000


def test_idle_connections_are_held(server):
    result = run(server, "--idle", "-c", 500, "-t", 0.3)
    # An idle connection costs so little that the server may hold less than before, when it gave pages back meanwhile.
    assert result["server"]["rss_after"] > 0 and result["server"]["rss_before"] > 0
    assert result["requests"] == 0


def test_the_picture_is_xml_and_the_text_is_there(server, tmp_path):
    bench = program("OURO_BENCH", ROOT / "build/ouro-bench", ROOT / "build/tools/bench/ouro-bench")
    svg = tmp_path / "a.svg"
    p = subprocess.run([bench, "-p", str(server.port), "-t", "0.3", "--mix", "get,set", "--plot", "--svg", str(svg)],
                       capture_output=True, text=True, timeout=30, check=True,
                       env={**os.environ, "LC_ALL": "C.UTF-8"})
    root = xml.dom.minidom.parse(str(svg)).documentElement
    assert root.tagName == "svg"
    assert len(root.getElementsByTagName("polyline")) == 4  # a curve and a distribution for each command
    for word in ("p99.9", "us a request", "GET", "SET", "█"):
        assert word in p.stdout


def test_bad_options_are_refused_before_anything_is_sent(server):
    bench = program("OURO_BENCH", ROOT / "build/ouro-bench", ROOT / "build/tools/bench/ouro-bench")
    for args in (["--mix", "nothing"], ["-c", "0"], ["-d", "9-4"], ["--key-size", "8", "-r", "1000000"],
                 ["--command", 'set "a'], ["--dist", "gauss"], ["--load", "--rate", "5"], ["surplus"]):
        p = subprocess.run([bench, "-p", str(server.port), *args], capture_output=True, text=True, timeout=10)
        assert p.returncode == 1 and p.stderr and not p.stdout, args
    assert set(server.calls()) <= {"CONFIG|RESETSTAT", "INFO", "FLUSHALL"}
