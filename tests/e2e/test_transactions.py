"""MULTI, EXEC, DISCARD and WATCH, as clients rely on them."""

import time

import pytest

from harness import Error, encode


def test_queue_and_run(raw):
    assert raw.cmd("MULTI") == b"OK"
    assert raw.cmd("SET", "a", 1) == b"QUEUED"
    assert raw.cmd("INCR", "a") == b"QUEUED"
    assert raw.cmd("GET", "none") == b"QUEUED"
    assert raw.cmd("EXEC") == [b"OK", 2, None]
    assert raw.cmd("MULTI") == b"OK" and raw.cmd("EXEC") == []
    assert raw.cmd("MULTI") == b"OK"
    assert raw.cmd("SET", "a", 9) == b"QUEUED"
    assert raw.cmd("DISCARD") == b"OK"
    assert raw.cmd("GET", "a") == b"2"


def test_errors_before_and_in_exec(raw):
    assert raw.cmd("EXEC") == "ERR EXEC without MULTI"
    assert raw.cmd("DISCARD") == "ERR DISCARD without MULTI"
    raw.cmd("MULTI")
    assert raw.cmd("NOSUCH").startswith("ERR unknown command")
    assert raw.cmd("GET").startswith("ERR wrong number")
    assert raw.cmd("SET", "a", 1) == b"QUEUED"
    assert raw.cmd("EXEC") == "EXECABORT Transaction discarded because of previous errors."
    assert raw.cmd("EXISTS", "a") == 0
    raw.cmd("SET", "s", "word")
    raw.cmd("MULTI")
    raw.cmd("INCR", "s")
    raw.cmd("SET", "b", 1)
    reply = raw.cmd("EXEC")
    assert isinstance(reply[0], Error) and reply[1] == b"OK" and raw.cmd("GET", "b") == b"1"


def test_multi_and_watch_inside_multi(raw):
    raw.cmd("MULTI")
    assert raw.cmd("MULTI") == "ERR MULTI calls can not be nested"
    assert raw.cmd("WATCH", "x") == "ERR WATCH inside MULTI is not allowed"
    assert raw.cmd("SET", "a", 1) == b"QUEUED"
    assert raw.cmd("EXEC") == [b"OK"]


CHANGES = [["SET", "k", "new"], ["DEL", "k"], ["EXPIRE", "k", "1000"], ["APPEND", "k", "x"],
           ["RENAME", "k", "z"],
           ["FLUSHALL"], ["FLUSHDB"], ["SETRANGE", "k", "0", "x"], ["GETDEL", "k"],
           ["PEXPIREAT", "k", "1"], ["MOVE", "k", "1"],
           ["COPY", "other", "k", "REPLACE"], ["SWAPDB", "0", "1"], ["SETBIT", "k", "0", "1"],
           ["UNLINK", "k"],
           ["RENAME", "other", "k"], ["MSET", "a", "1", "k", "2"], ["GETEX", "k", "EX", "10"],
           ["SET", "k", "v"]]
NO_CHANGES = [["GET", "k"], ["TTL", "k"], ["SET", "other2", "1"], ["SETNX", "k", "x"],
              ["DEL", "none"], ["TOUCH", "k"],
              ["PERSIST", "k"], ["GETEX", "k"], ["RENAMENX", "other", "k"], ["STRLEN", "k"],
              ["SWAPDB", "3", "4"]]


@pytest.mark.parametrize("change", CHANGES + NO_CHANGES, ids=" ".join)
def test_watch(shared, raw, change):
    raw.cmd("SET", "k", "v")
    raw.cmd("SET", "other", "w")
    raw.cmd("WATCH", "k", "none2")
    with shared.raw() as other:
        assert not isinstance(other.cmd(*change), Error)
    raw.cmd("MULTI")
    raw.cmd("PING")
    assert raw.cmd("EXEC") == (None if change in CHANGES else [b"PONG"])
    raw.cmd("MULTI")
    assert raw.cmd("EXEC") == [], "EXEC ends the watch"


def test_ones_own_change_counts_too(raw):
    raw.cmd("WATCH", "k")
    raw.cmd("SET", "k", 1)
    raw.cmd("MULTI")
    assert raw.cmd("EXEC") is None


def test_a_missing_key_that_appears(shared, raw):
    raw.cmd("WATCH", "none")
    with shared.raw() as other:
        other.cmd("SET", "none", 1)
    raw.cmd("MULTI")
    assert raw.cmd("EXEC") is None


@pytest.mark.parametrize("forget", [["UNWATCH"], ["DISCARD"], ["EXEC"], ["RESET"]], ids=" ".join)
def test_what_ends_a_watch(shared, raw, forget):
    raw.cmd("WATCH", "k")
    if forget[0] in ("DISCARD", "EXEC"):
        raw.cmd("MULTI")
    raw.cmd(*forget)
    with shared.raw() as other:
        other.cmd("SET", "k", 1)
    raw.cmd("MULTI")
    assert raw.cmd("EXEC") == []


def test_watch_in_another_database(shared, raw):
    raw.cmd("SELECT", 2)
    raw.cmd("WATCH", "k")
    raw.cmd("SELECT", 0)
    with shared.raw() as other:
        other.cmd("SET", "k", 1)
        raw.cmd("MULTI")
        assert raw.cmd("EXEC") == []
        raw.cmd("SELECT", 2)
        raw.cmd("WATCH", "k")
        raw.cmd("SELECT", 0)
        other.cmd("SELECT", 2)
        other.cmd("SET", "k", 1)
    raw.cmd("MULTI")
    assert raw.cmd("EXEC") is None


def test_an_expired_watched_key(server):
    with server.raw() as c, server.raw() as other:
        c.cmd("SET", "k", 1, "PX", 30)
        c.cmd("WATCH", "k")
        time.sleep(0.05)
        assert other.cmd("GET", "k") is None
        c.cmd("MULTI")
        assert c.cmd("EXEC") is None
        c.cmd("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        c.cmd("SET", "k", 1, "PX", 1)
        time.sleep(0.01)
        c.cmd("WATCH", "k")       # it is gone already, and stays so
        c.cmd("MULTI")
        assert c.cmd("EXEC") == []


@pytest.mark.ouro_only
def test_100000_watched_keys(shared):
    """Neither watching, nor a change, nor the end of the watch may cost the square of the number
    of keys (in Redis 7.0 it does: this test takes minutes there)."""
    n = 100000
    with shared.raw() as a, shared.raw() as b:
        began = time.monotonic()
        for i in range(0, n, 1000):
            a.send(encode(["WATCH"] + ["w%d" % j for j in range(i, i + 1000)]))
        for _ in range(n // 1000):
            assert a.read(30) == b"OK"
        a.send(encode(["WATCH"] + ["w%d" % j for j in range(1000)]))
        assert a.read() == b"OK"
        b.cmd("SET", "w99999", 1)
        a.cmd("MULTI")
        assert a.cmd("EXEC") is None
        for i in range(0, n, 1000):
            a.send(encode(["WATCH"] + ["w%d" % j for j in range(i, i + 1000)]))
            assert a.read(30) == b"OK"
        assert a.cmd("UNWATCH") == b"OK"
        assert time.monotonic() - began < 10
        assert b.cmd("PING") == b"PONG"


def test_many_queued_commands(raw):
    n = 50000
    raw.cmd("MULTI")
    raw.send(encode(["INCR", "n"]) * n + encode(["EXEC"]))
    for _ in range(n):
        raw.read_frame()
    assert raw.read(30) == list(range(1, n + 1))


def test_exec_is_atomic_for_others(shared):
    with shared.raw() as a, shared.raw() as b:
        for _ in range(300):
            a.send(encode(["MULTI"]) + encode(["INCR", "x"]) + encode(["INCR", "y"]) +
                   encode(["EXEC"]))
            b.send(encode(["MGET", "x", "y"]))
            x, y = b.read()
            assert x == y
            for _ in range(4):
                a.read()


def test_oom_inside_a_transaction(server):
    with server.raw() as c:
        c.cmd("SET", "k", "v")
        server.config_set("maxmemory", 1)
        c.cmd("MULTI")
        assert c.cmd("SET", "a", 1) == "OOM command not allowed when used memory > 'maxmemory'."
        assert c.cmd("EXEC") == "EXECABORT Transaction discarded because of previous errors."
        server.config_set("maxmemory", 0)
        c.cmd("MULTI")
        c.cmd("SET", "a", 1)
        server.config_set("maxmemory", 1)
        assert c.cmd("EXEC") == (
            "EXECABORT Transaction discarded because of: OOM command not allowed when used "
            "memory > "
                                 "'maxmemory'.")
        server.config_set("maxmemory", 0)


def test_a_closed_connection_drops_its_transaction(shared):
    with shared.raw() as c:
        c.cmd("WATCH", "k")
        c.cmd("MULTI")
        c.cmd("SET", "k", 1)
    with shared.raw() as c:
        assert c.cmd("EXISTS", "k") == 0


def test_subscriptions_inside_a_transaction(raw):
    raw.cmd("MULTI")
    raw.cmd("SET", "a", 1)
    assert raw.cmd("SUBSCRIBE", "x") == b"QUEUED"
    assert raw.cmd("EXEC") == [b"OK", [b"subscribe", b"x", 1]]
    assert raw.cmd("PING") == [b"pong", b""]
    assert raw.cmd("MULTI") == (
        "ERR Can't execute 'multi': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
        "are "
                                "allowed in this context")
