"""Limits that protect the server: output and query buffers, idle time, number of clients,
descriptors, and who may connect."""

import os
import resource
import socket
import stat
import time

import pytest

from harness import Closed, Error, Raw, encode, wait_until


def _never_reads(s, size=1 << 20, times=400):
    """A client that asks for much and reads nothing: (connection, whether the server cut it
    off)."""
    with s.raw() as c:
        assert c.cmd("SET", "big", "x" * size) == b"OK"
    c = s.raw(rcvbuf=4096)
    c.socket.setblocking(False)
    request = encode(["GET", "big"])
    for _ in range(times):
        try:
            c.socket.send(request)
        except BlockingIOError:
            break
        except (BrokenPipeError, ConnectionResetError):
            return c, True
    c.socket.settimeout(10)
    return c, False


def test_hard_output_limit(start):
    s = start(["--client-output-buffer-limit", "normal", "10mb", "0", "0"])
    c, _ = _never_reads(s)
    with s.raw() as other:
        wait_until(lambda: other.cmd("CLIENT", "LIST").count(b"\n") == 1, 10,
                   what="the greedy client is cut off")
    assert s.rss() < 400 << 20
    wait_until(lambda: "closed ASAP for overcoming of output buffer limits" in s.log(), 5,
               what="log line; log:\n" + s.log())
    c.close()


def test_soft_output_limit(start):
    s = start(["--client-output-buffer-limit", "normal", "0", "2mb", "1"])
    began = time.monotonic()
    c, _ = _never_reads(s, times=20)
    with s.raw() as other:
        assert other.cmd("CLIENT", "LIST").count(b"\n") == 2
        wait_until(lambda: other.cmd("CLIENT", "LIST").count(b"\n") == 1 or (other.cmd("PING") and
            False), 10, 0.1,
                   what="the client over the soft limit is cut off")
    assert time.monotonic() - began >= 0.9
    c.close()


def test_a_pubsub_client_that_does_not_read(start):
    s = start(["--client-output-buffer-limit", "pubsub", "1mb", "0", "0"])
    sub = s.raw(rcvbuf=4096)
    sub.cmd("SUBSCRIBE", "ch")
    with s.raw() as c:
        for _ in range(60):
            c.cmd("PUBLISH", "ch", "x" * 200000)
        wait_until(lambda: c.cmd("PUBSUB", "NUMSUB", "ch") == [b"ch", 0], 10,
                   what="the subscriber is cut off")
    sub.close()


def test_a_slow_reader_gets_everything(shared):
    with shared.raw(rcvbuf=4096) as c:
        c.cmd("SET", "big", "y" * 1000000)
        c.send(encode(["GET", "big"]) * 20 + encode(["PING"]))
        time.sleep(0.3)
        for _ in range(20):
            c.exactly(b"$1000000\r\n" + b"y" * 1000000 + b"\r\n", 30)
        c.exactly(b"+PONG\r\n")


def test_query_buffer_limit(start):
    s = start(["--client-query-buffer-limit", "1mb"])
    with s.raw() as c:
        try:
            c.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3000000\r\n" + b"x" * 2500000)
        except OSError:
            pass
        assert c.is_closed(5)
    wait_until(lambda: "Closing client that reached max query buffer length" in s.log(), 5,
               what="log line; log:\n" + s.log())


def test_idle_clients_are_closed(start):
    s = start(["--timeout", "1"])
    with s.raw() as idle, s.raw() as sub, s.raw() as busy, s.raw() as waiting:
        sub.cmd("SUBSCRIBE", "x")
        waiting.send(encode(["BLPOP", "nolist", 0]))
        end = time.monotonic() + 3.5
        closed = None
        while time.monotonic() < end:
            assert busy.cmd("PING") == b"PONG"
            if closed is None and idle.is_closed(0.05):
                closed = time.monotonic()
            time.sleep(0.1)
        assert closed is not None, "the idle client is still there"
        assert sub.cmd("PING") == [b"pong", b""], "subscribers are not idle"
    s.config_set("timeout", 0)


def test_too_many_clients(start):
    s = start(["--maxclients", "10"])
    _nobody_else(s)
    conns = [s.raw() for _ in range(10)]
    for c in conns:
        assert c.cmd("PING") == b"PONG"
    with s.raw() as extra:
        assert extra.read_all() == b"-ERR max number of clients reached\r\n"
    conns.pop().close()
    wait_until(lambda: _pings(s), 3, what="a place is free again")
    assert conns[0].cmd("CONFIG", "SET", "maxclients", 50) == b"OK"
    with s.raw() as c:
        assert c.cmd("PING") == b"PONG"
        info = c.cmd("INFO", "stats").decode()
        assert int(info.split("rejected_connections:")[1].split("\r")[0]) >= 1


def _nobody_else(s):
    """The connection that asked whether the server is ready is gone."""
    with s.raw() as c:
        wait_until(lambda: b"connected_clients:1\r\n" in c.cmd("INFO", "clients"), 5,
                   what="one client")
    time.sleep(0.05)


def _pings(s):
    with s.raw() as c:
        try:
            return c.cmd("PING") == b"PONG"
        except (Closed, ConnectionError):
            return False


def test_few_descriptors_lower_maxclients(start):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (120, 120))
    s = start(["--maxclients", "1000"], preexec=limit)
    allowed = int(s.config("maxclients"))
    assert 0 < allowed < 120
    assert "maxclients" in s.log()
    conns = []
    refused = 0
    began = time.monotonic()
    for _ in range(150):
        c = s.raw()
        conns.append(c)
        try:
            c.send(b"PING\r\n")
            if c.read() != b"PONG":
                refused += 1
        except (Closed, OSError):
            refused += 1
    assert refused >= 150 - allowed
    assert time.monotonic(
        ) - began < 5, "those that are refused are let go at once; nobody waits for a descriptor"
    for c in conns:
        c.close()
    wait_until(lambda: _pings(s), 5, what="the server serves again")


def test_connections_come_and_go(shared):
    before = _fds(shared)
    for _ in range(5):
        conns = [shared.raw() for _ in range(200)]
        for c in conns[::2]:
            c.send(encode(["SET", "x", "y" * 1000]))
        for c in conns:
            c.close()
    wait_until(lambda: _fds(shared) <= before + 2, 5, what="descriptors are given back")


def _fds(s):
    return len(os.listdir("/proc/%d/fd" % s.pid))


def test_reset_connections_are_survived(shared):
    for i in range(100):
        c = shared.raw()
        c.send(encode(["GET", "big"]) * (i % 7 + 1))
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        c.close()
    with shared.raw() as c:
        assert c.cmd("PING") == b"PONG"
    wait_until(lambda: int(shared.info("clients")["connected_clients"]) <= 1, 5,
               what="all are gone")


@pytest.mark.slow
def test_very_many_blocked_clients_cost_nothing_while_they_wait(start):
    """20,000 of them, or OURO_TEST_BLOCKED; as many as the descriptors allow."""
    own, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(os.environ.get("OURO_TEST_BLOCKED", "20000"))
    count = min(wanted, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(own, count + 200), hard))
    s = start(["--maxclients", count + 50, "--unixsocket", "{dir}/u.sock", "--tcp-backlog", "4096"])
    conns = []
    try:
        for i in range(count):
            c = socket.socket(socket.AF_UNIX)
            c.connect(os.path.join(s.dir, "u.sock"))
            c.sendall(encode(["BLPOP", "k%d" % (i % 1000), "all", "0" if i % 2 else "%d" % (500 + i)]))
            conns.append(c)
        wait_until(lambda: int(s.info("clients")["blocked_clients"]) == count, 30, what="all are blocked")
        memory = int(s.info("memory")["used_memory"])
        assert memory / count < 4096, "bytes of a blocked client: %d" % (memory // count)
        before = _cpu_s(s)
        time.sleep(2)
        assert _cpu_s(s) - before < 0.2, "CPU of two idle seconds"
        with s.raw() as c:
            assert c.cmd("RPUSH", "all", "1", "2", "3") == 3
            assert c.cmd("RPUSH", "k7", "x") == 1
            assert int(s.info("clients")["blocked_clients"]) == count - 4
        for i, value in ((0, b"1"), (1, b"2"), (2, b"3"), (7, b"x")):
            conns[i].settimeout(5)
            assert conns[i].recv(100).endswith(b"$1\r\n" + value + b"\r\n")
    finally:
        for c in conns:
            c.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (own, hard))
    wait_until(lambda: int(s.info("clients")["blocked_clients"]) == 0, 30, what="all are gone")


def _cpu_s(s):
    with open("/proc/%d/stat" % s.pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_unix_socket(start):
    s = start(["--unixsocket", "{dir}/u.sock", "--unixsocketperm", "700"])
    path = os.path.join(s.dir, "u.sock")
    mode = os.stat(path)
    assert stat.S_ISSOCK(mode.st_mode) and stat.S_IMODE(mode.st_mode) == 0o700
    with Raw(path) as c:
        assert c.cmd("SET", "k", "v" * 100000) == b"OK"
        assert c.cmd("GET", "k") == b"v" * 100000
        info = c.cmd("CLIENT", "INFO").decode()
        assert "addr=%s:0" % path in info and "flags=U" in info
    s.send_signal(15)
    assert s.wait_exit() == 0


def test_unix_socket_alone(start):
    s = start(["--port", "0", "--unixsocket", "{dir}/u.sock"], wait=False)
    path = os.path.join(s.dir, "u.sock")
    wait_until(lambda: os.path.exists(path), 10, what="the socket")
    time.sleep(0.1)
    with Raw(path) as c:
        assert c.cmd("PING") == b"PONG"
        c.send(b"SHUTDOWN\r\n")
        c.is_closed()
    assert s.wait_exit() == 0


def test_a_stale_unix_socket_is_replaced(start, tmp_path):
    path = str(tmp_path / "s")
    old = socket.socket(socket.AF_UNIX)
    old.bind(path)
    old.close()
    start(["--unixsocket", path])
    with Raw(path) as c:
        assert c.cmd("PING") == b"PONG"


def test_several_addresses_some_optional(start):
    s = start(["--bind", "127.0.0.1", "127.0.0.2", "-192.0.2.1", "-::1"])
    for host in ("127.0.0.1", "127.0.0.2"):
        with Raw((host, s.port)) as c:
            assert c.cmd("PING") == b"PONG"
    assert s.config("bind") == "127.0.0.1 127.0.0.2 -192.0.2.1 -::1"


def test_an_address_that_is_not_there_is_fatal(start):
    s = start(["--bind", "127.0.0.1", "192.0.2.1"], wait=False)
    s.may_die = True
    assert s.process.wait(10) == 1
    assert "Could not create server TCP listening socket 192.0.2.1:%d" % s.port in s.output()
    assert "Failed listening on port %d" % s.port in s.output()


def _own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        try:
            u.connect(("192.0.2.1", 9))
            return u.getsockname()[0]
        except OSError:
            return None


def test_protected_mode(start):
    host = _own_address()
    if host is None or host.startswith("127."):
        pytest.skip("this machine has the loopback address only")
    s = start(["--bind", "*"])
    with Raw((host, s.port)) as c:
        got = c.read_all()
        assert got.startswith(
            b"-DENIED Redis is running in protected mode because protected mode is enabled") or (
            got.startswith(b"-DENIED ")), got
    s.config_set("protected-mode", "no")
    with Raw((host, s.port)) as c:
        assert c.cmd("PING") == b"PONG"
    s.config_set("protected-mode", "yes")
    s.config_set("requirepass", "pw")
    with Raw((host, s.port)) as c:
        assert c.cmd("PING") == "NOAUTH Authentication required."


def test_port_and_bind_can_be_changed(start):
    from servers import free_port
    s = start()
    new = free_port()
    with s.raw() as c:
        assert c.cmd("CONFIG", "SET", "port", new) == b"OK"
        with Raw(("127.0.0.1", new)) as d:
            assert d.cmd("PING") == b"PONG"
            assert d.cmd("CONFIG", "SET", "bind", "127.0.0.2") == b"OK"
        with Raw(("127.0.0.2", new)) as d:
            assert d.cmd("PING") == b"PONG"
        assert isinstance(c.cmd("CONFIG", "SET", "bind", "192.0.2.1"), Error)
        with Raw(("127.0.0.2", new)) as d:
            assert d.cmd("PING") == b"PONG"
        with pytest.raises(OSError):
            Raw(("127.0.0.1", s.port))
    s.port = new


def test_a_port_that_is_taken_cannot_be_set(start):
    a, b = start(), start()
    with a.raw() as c:
        reply = c.cmd("CONFIG", "SET", "port", b.port)
        assert reply == ("ERR CONFIG SET failed (possibly related to argument 'port') - Unable "
                         "to listen on this port. "
                         "Check server logs.")
        assert c.cmd("CONFIG", "GET", "port") == [b"port", b"%d" % a.port]
    with a.raw() as c:
        assert c.cmd("PING") == b"PONG"
