"""Channels, patterns, shard channels, in RESP2 and as pushes of RESP3."""

import pytest

from harness import Push, encode, wait_until


def test_subscribe_publish_unsubscribe(shared, raw):
    raw.send(encode(["SUBSCRIBE", "a", "b", "a"]))
    assert [raw.read() for _ in range(3)] == [[b"subscribe", b"a", 1], [b"subscribe", b"b", 2],
                                              [b"subscribe", b"a", 2]]
    with shared.raw() as c:
        assert c.cmd("PUBLISH", "a", "x\r\ny") == 1 and c.cmd("PUBLISH", "none", "x") == 0
        assert raw.read() == [b"message", b"a", b"x\r\ny"]
        raw.send(encode(["UNSUBSCRIBE", "a", "none"]))
        assert [raw.read() for _ in range(2)] == [[b"unsubscribe", b"a", 1],
                                                  [b"unsubscribe", b"none", 1]]
        assert c.cmd("PUBLISH", "a", "x") == 0
        raw.send(encode(["UNSUBSCRIBE"]) + encode(["UNSUBSCRIBE"]) + encode(["PING"]))
        assert [raw.read() for _ in range(3)] == [[b"unsubscribe", b"b", 0], [b"unsubscribe", None,
            0], b"PONG"]


def test_patterns(shared, raw):
    raw.send(encode(["PSUBSCRIBE", "n?ws.*", "[ab]x"]))
    assert [raw.read() for _ in range(2)] == [[b"psubscribe", b"n?ws.*", 1],
                                              [b"psubscribe", b"[ab]x", 2]]
    with shared.raw() as c:
        assert c.cmd("PUBLISH", "news.1", "m") == 1
        assert c.cmd("PUBLISH", "ax", "m") == 1
        assert c.cmd("PUBLISH", "cx", "m") == 0
        assert [raw.read() for _ in range(2)] == [[b"pmessage", b"n?ws.*", b"news.1", b"m"],
                                                  [b"pmessage", b"[ab]x", b"ax", b"m"]]
        raw.cmd("SUBSCRIBE", "ax")
        assert c.cmd("PUBLISH", "ax", "both") == 2
        assert [raw.read() for _ in range(2)] == [[b"message", b"ax", b"both"],
                                                  [b"pmessage", b"[ab]x", b"ax", b"both"]]
        assert c.cmd("PUBSUB", "NUMPAT") == 2


def test_shard_channels(shared, raw):
    raw.send(encode(["SSUBSCRIBE", "s1"]) + encode(["SUBSCRIBE", "s1"]))
    assert [raw.read() for _ in range(2)] == [[b"ssubscribe", b"s1", 1], [b"subscribe", b"s1", 1]]
    with shared.raw() as c:
        assert c.cmd("SPUBLISH", "s1", "shard") == 1 and c.cmd("PUBLISH", "s1", "plain") == 1
        assert [raw.read() for _ in range(2)] == [[b"smessage", b"s1", b"shard"],
                                                  [b"message", b"s1", b"plain"]]
        assert c.cmd("PUBSUB", "SHARDCHANNELS") == [b"s1"]
        assert c.cmd("PUBSUB", "SHARDNUMSUB", "s1", "x") == [b"s1", 1, b"x", 0]
        raw.send(encode(["SUNSUBSCRIBE"]))
        assert raw.read() == [b"sunsubscribe", b"s1", 0]


def test_pushes_of_resp3(shared, resp3):
    resp3.send(encode(["SUBSCRIBE", "a"]) + encode(["GET", "k"]) + encode(["PING"]))
    first = resp3.read()
    assert isinstance(first, Push) and first == [b"subscribe", b"a", 1]
    assert resp3.read() is None and resp3.read() == b"PONG", "other commands go on in RESP3"
    with shared.raw() as c:
        c.cmd("PUBLISH", "a", "m")
    got = resp3.read()
    assert isinstance(got, Push) and got == [b"message", b"a", b"m"]
    resp3.send(encode(["PUBLISH", "a", "own"]))
    answers = [resp3.read(), resp3.read()]
    assert 1 in answers and [b"message", b"a", b"own"] in answers
    resp3.send(encode(["UNSUBSCRIBE"]))
    assert isinstance(resp3.read(), Push)


def test_what_a_resp2_subscriber_may_say(raw):
    raw.cmd("SUBSCRIBE", "a")
    assert raw.cmd("GET",
                   "k") == ("ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / "
                            "PING / QUIT / RESET are "
                                   "allowed in this context")
    assert raw.cmd("PING") == [b"pong", b""] and raw.cmd("PING", "x") == [b"pong", b"x"]
    assert raw.cmd("RESET") == b"RESET" and raw.cmd("GET", "k") is None
    raw.cmd("SUBSCRIBE", "a")
    assert raw.cmd("QUIT") == b"OK" and raw.is_closed()


def test_pubsub_subcommands(shared, raw):
    with shared.raw() as a, shared.raw() as b:
        a.cmd("SUBSCRIBE", "c1")
        b.cmd("SUBSCRIBE", "c1")
        a.cmd("SUBSCRIBE", "d2")
        assert sorted(raw.cmd("PUBSUB", "CHANNELS")) == [b"c1", b"d2"]
        assert raw.cmd("PUBSUB", "CHANNELS", "c*") == [b"c1"]
        assert raw.cmd("PUBSUB", "NUMSUB", "c1", "d2", "e") == [b"c1", 2, b"d2", 1, b"e", 0]
        assert raw.cmd("PUBSUB", "NUMSUB") == []
        assert raw.cmd("PUBSUB", "NUMPAT") == 0
    wait_until(lambda: raw.cmd("PUBSUB", "CHANNELS") == [], 5,
               what="subscriptions end with their connections")


def test_every_subscriber_gets_every_message_in_order(shared):
    subs = [shared.raw() for _ in range(50)]
    for s in subs:
        s.cmd("SUBSCRIBE", "ch")
    n = 500
    with shared.raw() as c:
        c.send(b"".join(encode(["PUBLISH", "ch", i]) for i in range(n)))
        for _ in range(n):
            assert c.read() == 50
    for s in subs:
        assert [int(s.read()[2]) for _ in range(n)] == list(range(n))
        s.close()


def test_a_large_message_to_many(shared):
    subs = [shared.raw() for _ in range(20)]
    for s in subs:
        s.cmd("SUBSCRIBE", "ch")
    with shared.raw() as c:
        assert c.cmd("PUBLISH", "ch", "z" * 2000000) == 20
    for s in subs:
        assert s.read(20)[2] == b"z" * 2000000
        s.close()


@pytest.mark.parametrize("verb, many", [("SUBSCRIBE", 20000), ("PSUBSCRIBE", 5000)])
def test_many_subscriptions_of_one_client(shared, verb, many):
    with shared.raw() as s, shared.raw() as c:
        for i in range(0, many, 1000):
            s.send(encode([verb] + ["ch%d" % j for j in range(i, i + 1000)]))
        for _ in range(many - 1):
            s.read_frame(20)
        assert s.read(20)[2] == many
        assert c.cmd("PUBLISH", "ch4999", "x") == 1
        assert s.read()[-1] == b"x"
    with shared.raw() as c:
        wait_until(lambda: c.cmd("PUBSUB", "NUMSUB", "ch1") == [b"ch1", 0] and
                   c.cmd("PUBSUB", "NUMPAT") == 0, 10, what="all gone")
