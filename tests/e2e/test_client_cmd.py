"""CLIENT: LIST, INFO, KILL, PAUSE, TRACKING, UNBLOCK, NO-EVICT, names and libraries."""

import re
import time

import pytest

from harness import Closed, Error, Push, encode, wait_until

LINE = (r"id=\d+ addr=\S+ laddr=\S+ fd=-?\d+ name=\S* age=\d+ idle=\d+ flags=\w+ db=\d+ sub=\d+ psub=\d+ ssub=\d+ multi=-?\d+ "
        r"(watch=\d+ )?qbuf=\d+ qbuf-free=\d+ argv-mem=\d+ multi-mem=\d+ rbs=\d+ rbp=\d+ obl=\d+ oll=\d+ omem=\d+ tot-mem=\d+ "
        r"events=\w* cmd=\S+ user=\S+ redir=-?\d+ resp=[23]( lib-name=\S* lib-ver=\S*)?.*")


def fields(line):
    return dict(p.split("=", 1) for p in line.strip().split(" ") if "=" in p)


def my_id(c):
    return c.cmd("CLIENT", "ID")


class TestListAndInfo:
    def test_format(self, shared, raw):
        raw.cmd("CLIENT", "SETNAME", "lister")
        with shared.raw() as other:
            other.cmd("SELECT", 3)
            other.cmd("SUBSCRIBE", "a", "b")
            lines = raw.cmd("CLIENT", "LIST").decode().rstrip("\n").split("\n")
        assert len(lines) == 2 and all(re.fullmatch(LINE, line) for line in lines), lines
        me = fields(next(line for line in lines if "name=lister" in line))
        assert me["flags"] == "N"
        assert me["cmd"] == "client|list"
        assert me["events"] == "r"
        assert me["redir"] == "-1"
        assert me["multi"] == "-1" and me["user"] == "default" and me["resp"] == "2"
        assert me["qbuf"] == "26"
        assert me["obl"] == "0"
        assert me["oll"] == "0"
        assert me["omem"] == "0"
        assert me["multi-mem"] == "0"
        them = fields(next(line for line in lines if "name=lister" not in line))
        assert them["db"] == "3"
        assert them["sub"] == "2"
        assert them["flags"] == "P"
        assert them["cmd"] == "subscribe"

    def test_info_is_the_own_line(self, raw):
        line = raw.cmd("CLIENT", "INFO").decode()
        assert re.fullmatch(LINE, line.rstrip("\n")) and fields(line)["id"] == str(my_id(raw))

    def test_filters(self, shared, raw):
        with shared.raw() as a, shared.raw() as b:
            ids = [my_id(a), my_id(b)]
            text = raw.cmd("CLIENT", "LIST", "ID", *ids).decode()
            assert [int(fields(line)["id"]) for line in text.rstrip("\n").split("\n")] == ids
            assert raw.cmd("CLIENT", "LIST", "ID", 999999) == b""
            assert raw.cmd("CLIENT", "LIST", "TYPE", "normal").count(b"\n") == 3
            a.cmd("SUBSCRIBE", "x")
            assert raw.cmd("CLIENT", "LIST", "TYPE", "pubsub").count(b"\n") == 1
            assert raw.cmd("CLIENT", "LIST", "TYPE", "bad") == "ERR Unknown client type 'bad'"

    def test_flags(self, shared, raw):
        with shared.raw() as c:
            number = my_id(c)

            def flags():
                return fields(raw.cmd("CLIENT", "LIST", "ID", number).decode())["flags"]
            c.cmd("MULTI")
            assert flags() == "x"
            c.cmd("DISCARD")
            c.cmd("CLIENT", "NO-EVICT", "ON")
            assert "e" in flags()
            c.cmd("WATCH", "k")
            raw.cmd("SET", "k", 1)
            assert "d" in flags()
            c.cmd("UNWATCH")
            c.cmd("CLIENT", "TRACKING", "ON")
            assert "t" in flags()
            c.cmd("MONITOR")
            assert "O" in flags()

    def test_ids_only_grow(self, shared):
        seen = []
        for _ in range(5):
            with shared.raw() as c:
                seen.append(my_id(c))
        assert seen == sorted(set(seen))


class TestNames:
    def test_setname(self, raw):
        assert raw.cmd("CLIENT", "GETNAME") is None and raw.cmd("CLIENT", "SETNAME", "n1") == b"OK"
        assert raw.cmd("CLIENT", "GETNAME") == b"n1" and raw.cmd("CLIENT", "SETNAME", "") == b"OK"
        assert raw.cmd("CLIENT", "GETNAME") is None
        for bad in ("a b", "a\nb", "\x7f"):
            assert raw.cmd("CLIENT", "SETNAME",
                           bad) == "ERR Client names cannot contain spaces, newlines or special characters."

    def test_setinfo(self, raw, is_ouro):
        reply = raw.cmd("CLIENT", "SETINFO", "LIB-NAME", "my-lib")
        if not is_ouro and isinstance(reply, Error):
            pytest.skip("older than 7.2")
        assert reply == b"OK" and raw.cmd("CLIENT", "SETINFO", "lib-ver", "1.2") == b"OK"
        got = fields(raw.cmd("CLIENT", "INFO").decode())
        assert got["lib-name"] == "my-lib" and got["lib-ver"] == "1.2"
        assert raw.cmd("CLIENT", "SETINFO", "bad", "x") == "ERR Unrecognized option 'bad'"
        assert raw.cmd("CLIENT", "SETINFO", "lib-name",
                       "a b") == "ERR lib-name cannot contain spaces, newlines or special characters."


class TestKill:
    def address(self, c):
        return fields(c.cmd("CLIENT", "INFO").decode())["addr"]

    def test_by_address_old_form(self, shared, raw):
        with shared.raw() as c:
            assert raw.cmd("CLIENT", "KILL", self.address(c)) == b"OK" and c.is_closed()
        assert raw.cmd("CLIENT", "KILL", "1.2.3.4:5") == "ERR No such client"

    @pytest.mark.parametrize("how", ["ID", "ADDR", "TYPE", "USER", "LADDR"])
    def test_filters(self, shared, raw, how):
        with shared.raw() as c:
            value = {"ID": my_id(c), "ADDR": self.address(c), "TYPE": "normal", "USER": "default",
                     "LADDR": "127.0.0.1:%d" % shared.port}[how]
            assert raw.cmd("CLIENT", "KILL", how, value) == 1
            assert c.is_closed()
        assert raw.cmd("PING") == b"PONG", "SKIPME is the default"

    def test_filters_are_anded(self, shared, raw):
        with shared.raw() as c:
            assert raw.cmd("CLIENT", "KILL", "ID", my_id(c), "TYPE", "pubsub") == 0
            assert c.cmd("PING") == b"PONG"

    def test_oneself(self, shared):
        with shared.raw() as c:
            c.send(encode(["CLIENT", "KILL", "ID", my_id(c), "SKIPME", "no"]))
            assert c.read() == 1 and c.is_closed()

    def test_errors(self, raw):
        assert raw.cmd("CLIENT", "KILL", "TYPE", "bad") == "ERR Unknown client type 'bad'"
        assert raw.cmd("CLIENT", "KILL", "USER", "nouser") == "ERR No such user 'nouser'"
        assert raw.cmd("CLIENT", "KILL", "ID", "abc") == "ERR client-id should be greater than 0"
        assert raw.cmd("CLIENT", "KILL", "SKIPME", "maybe") == "ERR syntax error"
        assert raw.cmd("CLIENT", "KILL", "ID", "9999999") == 0

    def test_a_subscriber(self, shared, raw):
        with shared.raw() as c:
            c.cmd("SUBSCRIBE", "x")
            assert raw.cmd("CLIENT", "KILL", "TYPE", "pubsub") == 1 and c.is_closed()
        assert raw.cmd("PUBLISH", "x", "m") == 0


class TestPause:
    def test_all(self, server):
        with server.raw() as a, server.raw() as b:
            assert a.cmd("CLIENT", "PAUSE", 300) == b"OK"
            began = time.monotonic()
            b.send(encode(["GET", "k"]))
            b.quiet(0.1)
            assert b.read() is None and 0.2 < time.monotonic() - began < 2

    def test_writes_only(self, server):
        with server.raw() as a, server.raw() as b, server.raw() as c:
            assert a.cmd("CLIENT", "PAUSE", 100000, "WRITE") == b"OK"
            assert b.cmd("GET", "k") is None
            b.send(encode(["SET", "k", "v"]))
            b.quiet(0.1)
            c.send(encode(["PUBLISH", "x", "y"]))
            c.quiet(0.05)
            assert a.cmd("CLIENT", "UNPAUSE") == b"OK"
            assert b.read() == b"OK" and c.read() == 0

    def test_expiry_stands_still(self, server):
        with server.raw() as a:
            a.cmd("SET", "k", "v", "PX", 50)
            a.cmd("CLIENT", "PAUSE", 100000, "WRITE")
            time.sleep(0.1)
            assert a.cmd("DBSIZE") == 1, "nothing changes in the data set during a pause"
            a.cmd("CLIENT", "UNPAUSE")
            wait_until(lambda: a.cmd("DBSIZE") == 0, 3, what="then it expires")

    def test_a_transaction_is_held(self, server):
        with server.raw() as a, server.raw() as b:
            b.cmd("MULTI")
            b.cmd("SET", "k", 1)
            a.cmd("CLIENT", "PAUSE", 100000, "WRITE")
            b.send(encode(["EXEC"]))
            b.quiet(0.1)
            a.cmd("CLIENT", "UNPAUSE")
            assert b.read() == [b"OK"]

    def test_errors(self, shared, raw):
        assert raw.cmd("CLIENT", "PAUSE", "abc") == "ERR timeout is not an integer or out of range"
        assert raw.cmd("CLIENT", "PAUSE", "-1") == "ERR timeout is negative"
        assert raw.cmd("CLIENT", "PAUSE", "1",
                       "BAD") == "ERR CLIENT PAUSE mode must be WRITE or ALL"


class TestTracking:
    def test_invalidation_of_resp3(self, shared, resp3):
        assert resp3.cmd("CLIENT", "TRACKING", "ON") == b"OK"
        resp3.cmd("SET", "k", 1)
        resp3.cmd("GET", "k")
        with shared.raw() as c:
            c.cmd("SET", "other", 1)
            c.cmd("SET", "k", 2)
            got = resp3.read()
            assert isinstance(got, Push) and got == [b"invalidate", [b"k"]]
            c.cmd("SET", "k", 3)
            resp3.quiet(0.1)
            resp3.cmd("GET", "k")
            c.cmd("FLUSHALL")
            assert resp3.read() == [b"invalidate", None]

    def test_redirection_of_resp2(self, shared, raw):
        with shared.raw() as target, shared.raw() as c:
            target.cmd("SUBSCRIBE", "__redis__:invalidate")
            with shared.raw() as helper:
                number = [int(fields(line)["id"]) for line in helper.cmd("CLIENT", "LIST", "TYPE",
                    "pubsub").decode().split("\n") if line][0]
            assert raw.cmd("CLIENT", "TRACKING", "ON", "REDIRECT", number) == b"OK"
            raw.cmd("GET", "k")
            assert raw.cmd("CLIENT", "GETREDIR") == number
            c.cmd("SET", "k", 1)
            assert target.read() == [b"message", b"__redis__:invalidate", [b"k"]]
            raw.cmd("CLIENT", "TRACKING", "OFF")

    def test_broadcast(self, shared, resp3):
        resp3.cmd("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "user:", "PREFIX", "obj:")
        with shared.raw() as c:
            c.cmd("SET", "user:1", 1)
            assert resp3.read() == [b"invalidate", [b"user:1"]]
            c.cmd("SET", "none", 1)
            c.cmd("MSET", "obj:1", 1, "user:2", 1)
            got = [resp3.read(), resp3.read()]
            assert sorted(x[1][0] for x in got) == [b"obj:1", b"user:2"]
            resp3.quiet(0.05)

    def test_optin_optout_noloop(self, shared, resp3):
        with shared.raw() as c:
            resp3.cmd("CLIENT", "TRACKING", "ON", "OPTIN")
            resp3.cmd("GET", "a")
            resp3.cmd("CLIENT", "CACHING", "yes")
            resp3.cmd("GET", "b")
            c.cmd("MSET", "a", 1, "b", 1)
            assert resp3.read() == [b"invalidate", [b"b"]]
            resp3.quiet(0.05)
            resp3.cmd("CLIENT", "TRACKING", "OFF")
            resp3.cmd("CLIENT", "TRACKING", "ON", "NOLOOP")
            resp3.cmd("GET", "a")
            resp3.cmd("SET", "a", 2)
            resp3.quiet(0.05)

    def test_expired_and_evicted_keys(self, server):
        with server.raw() as c:
            c.cmd("HELLO", 3)
            c.cmd("CLIENT", "TRACKING", "ON")
            c.cmd("SET", "k", 1, "PX", 30)
            c.cmd("GET", "k")
            assert c.read(3) == [b"invalidate", [b"k"]]

    def test_errors(self, raw):
        assert raw.cmd("CLIENT", "CACHING",
                       "yes") == ("ERR CLIENT CACHING can be called only when the client is in "
                                  "tracking mode "
                                                       "with OPTIN or OPTOUT mode enabled")
        assert raw.cmd("CLIENT", "TRACKING", "on", "REDIRECT",
                       9999999) == "ERR The client ID you want redirect to does not exist"
        assert raw.cmd("CLIENT", "TRACKING", "on", "PREFIX",
                       "a") == "ERR PREFIX option requires BCAST mode to be enabled"
        assert raw.cmd("CLIENT", "TRACKING", "on", "BCAST", "PREFIX", "a", "PREFIX", "ab") == (
            "ERR Prefix 'a' overlaps with another provided prefix 'ab'. Prefixes for a single "
            "client must not overlap.")

    def test_trackinginfo(self, raw):
        reply = raw.cmd("CLIENT", "TRACKINGINFO")
        assert dict(zip(reply[::2], reply[1::2])) == {b"flags": [b"off"], b"redirect": -1,
                                                      b"prefixes": []}


@pytest.mark.needs("BLPOP")
class TestUnblock:
    def test_timeout_and_error(self, shared, raw):
        with shared.raw() as c:
            number = my_id(c)
            for how, expected in ((["TIMEOUT"], None), ([], None),
                                  (["ERROR"], "UNBLOCKED client unblocked via CLIENT UNBLOCK")):
                c.send(encode(["BLPOP", "none", 0]))
                wait_until(lambda: shared.info("clients")["blocked_clients"] == "1", 3,
                           what="it waits")
                assert "b" in fields(raw.cmd("CLIENT", "LIST", "ID", number).decode())["flags"]
                assert raw.cmd("CLIENT", "UNBLOCK", number, *how) == 1
                assert c.read() == expected
            assert raw.cmd("CLIENT", "UNBLOCK", number) == 0

    def test_a_blocked_client_can_be_killed_or_leave(self, shared, raw):
        with shared.raw() as c, shared.raw() as d:
            for x in (c, d):
                x.send(encode(["BLPOP", "none", 0]))
            wait_until(lambda: shared.info("clients")["blocked_clients"] == "2", 3,
                       what="they wait")
        wait_until(lambda: shared.info("clients")["blocked_clients"] == "0", 3, what="nobody waits")
        assert raw.cmd("RPUSH", "none", "x") == 1 and raw.cmd("LLEN", "none") == 1


def test_unblock_of_nobody(raw):
    assert raw.cmd("CLIENT", "UNBLOCK", 9999999) == 0
    assert raw.cmd("CLIENT", "UNBLOCK", "abc") == "ERR value is not an integer or out of range"
    assert raw.cmd("CLIENT", "UNBLOCK", 1,
                   "BAD") == "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"


def test_no_evict_and_no_touch(raw, is_ouro):
    assert raw.cmd("CLIENT", "NO-EVICT", "ON") == b"OK"
    assert raw.cmd("CLIENT", "NO-EVICT", "maybe") == "ERR syntax error"
    reply = raw.cmd("CLIENT", "NO-TOUCH", "ON")
    if not is_ouro and isinstance(reply, Error):
        pytest.skip("older than 7.2")
    raw.cmd("SET", "k", "v")
    time.sleep(1.2)
    raw.cmd("GET", "k")
    assert raw.cmd("OBJECT", "IDLETIME", "k") >= 1
    raw.cmd("CLIENT", "NO-TOUCH", "OFF")
    raw.cmd("GET", "k")
    assert raw.cmd("OBJECT", "IDLETIME", "k") == 0


def test_client_eviction(start):
    s = start(["--maxmemory-clients", "5mb"])
    with s.raw() as kept:
        kept.cmd("CLIENT", "NO-EVICT", "ON")
        greedy = [s.raw() for _ in range(8)]
        gone = 0
        for c in greedy:
            try:
                c.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2000000\r\n" + b"x" * 1900000)
            except OSError:
                gone += 1
        wait_until(lambda: int(s.info("stats")["evicted_clients"]) > 0, 10,
                   what="a client is evicted")
        assert kept.cmd("PING") == b"PONG"
        for c in greedy:
            c.close()


def test_killing_a_client_that_is_being_served(shared):
    """Commands behind the kill of one's own connection are not run."""
    with shared.raw() as c:
        c.send(encode(["CLIENT", "KILL", "ID", my_id(c), "SKIPME", "no"]) +
               encode(["SET", "after", 1]))
        try:
            c.read()
            c.is_closed()
        except Closed:
            pass
    with shared.raw() as c:
        assert c.cmd("EXISTS", "after") == 0
