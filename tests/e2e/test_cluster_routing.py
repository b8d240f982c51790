"""What a node of a cluster answers: redirects, moving slots, blocked and subscribed clients, slot commands, and its
file."""

import os

import pytest

from cluster import NODE_TIMEOUT, Cluster, Node, key_slot
from harness import Error, Push, run_once, wait_until

pytestmark = pytest.mark.ouro_only

FOO = 12182     # the slot of "foo"; BAR is on the first of three masters, FOO on the last
BAR = 5061


@pytest.fixture(scope="module")
def trio():
    with Cluster(3) as c:
        yield c.create()


@pytest.fixture
def three(trio):
    for n in trio.nodes:
        n.cmd("FLUSHALL")
        n.config_set("error-hints", "yes")
    return trio


@pytest.fixture
def alone():
    """One node with all slots."""
    with Cluster(1) as c:
        c.nodes[0].cmd("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        c.wait_ok()
        yield c.nodes[0]


def test_a_key_is_served_by_the_owner_of_its_slot_and_nobody_else(three):
    owner = three.owner(FOO)
    assert owner.cmd("SET", "foo", "1") == b"OK"
    for n in three.nodes:
        if n is not owner:
            assert n.cmd("GET", "foo") == "MOVED %d 127.0.0.1:%d" % (FOO, owner.port)
            assert n.cmd("SET", "{foo}x", "1") == "MOVED %d 127.0.0.1:%d" % (FOO, owner.port)
    assert three.nodes[0].cmd("PING") == b"PONG"


def test_keys_of_several_slots_are_refused_and_the_error_says_how_to_cure_it(three):
    n = three.nodes[0]
    bare = "CROSSSLOT Keys in request don't hash to the same slot"
    got = n.cmd("MSET", "user:1000:name", "a", "user:1000:mail", "b")
    assert got.startswith(bare + ". 'user:1000:name' is in slot %d, 'user:1000:mail' in slot %d" % (
        key_slot("user:1000:name"), key_slot("user:1000:mail")))
    assert "'{user:1000}:name' and '{user:1000}:mail'" in got
    assert key_slot("{user:1000}:name") == key_slot("{user:1000}:mail")
    assert "'{tag}:a' and '{tag}:b'" in n.cmd("MGET", "a", "b")
    assert "need the same text in the first {...}" in n.cmd("MGET", "{a}x", "{b}x")
    n.config_set("error-hints", "no")
    assert n.cmd("MGET", "a", "b") == bare
    assert n.cmd("ZUNIONSTORE", "a", 2, "b", "c") == bare
    assert n.cmd("EXISTS", *["k%d" % i for i in range(40)]) == bare


def test_there_is_one_database(three):
    n = three.nodes[0]
    assert n.cmd("SELECT", 0) == b"OK"
    assert n.cmd("SELECT", 1) == "ERR SELECT is not allowed in cluster mode"
    assert n.cmd("SWAPDB", 0, 1) == "ERR SWAPDB is not allowed in cluster mode"
    n = three.owner(FOO)
    assert n.cmd("MOVE", "foo", 1) == "ERR MOVE is not allowed in cluster mode"
    assert n.cmd("COPY", "foo", "{foo}b", "DB", 1) == "ERR Copying to another database is not allowed in cluster mode"
    assert n.cmd("SORT", "foo", "BY", "w_*") == "ERR BY option of SORT denied in Cluster mode."
    assert n.cmd("SORT", "foo", "GET", "#") == "ERR GET option of SORT denied in Cluster mode."
    assert n.info("server")["redis_mode"] == "cluster"
    assert n.info("cluster")["cluster_enabled"] == "1"


def test_transactions_are_of_one_slot(three):
    owner, other = three.owner(FOO), three.owner(BAR)
    with owner.raw() as c:
        assert c.cmd("MULTI") == b"OK"
        assert c.cmd("SET", "foo", 1) == b"QUEUED"
        assert c.cmd("INCR", "foo") == b"QUEUED"
        assert c.cmd("EXEC") == [b"OK", 2]
        c.cmd("MULTI")
        assert c.cmd("SET", "bar", 1).startswith("MOVED %d " % BAR)
        assert c.cmd("EXEC") == "EXECABORT Transaction discarded because of previous errors."
        c.cmd("MULTI")
        two = next("k%d" % i for i in range(1000) if three.owner(key_slot("k%d" % i)) is owner)
        assert c.cmd("SET", "foo", 1) == b"QUEUED"
        assert c.cmd("SET", two, 1) == b"QUEUED"
        assert c.cmd("EXEC").startswith("CROSSSLOT Keys in request don't hash to the same slot")
        assert c.cmd("GET", "foo") == b"2"
    assert other is not owner


def move_begin(three, slot):
    source = three.owner(slot)
    target = next(n for n in three.nodes if n is not source)
    assert target.cmd("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id()) == b"OK"
    assert source.cmd("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id()) == b"OK"
    return source, target


def move_end(three, slot, source, target):
    for n in (target, source):
        assert n.cmd("CLUSTER", "SETSLOT", slot, "NODE", target.id()) == b"OK"
    three.wait_ok()


def test_a_slot_that_moves_answers_ask_tryagain_and_then_moved(three):
    assert three.owner(FOO).cmd("SET", "{foo}here", "1") == b"OK"
    source, target = move_begin(three, FOO)
    ask = "ASK %d 127.0.0.1:%d" % (FOO, target.port)
    assert source.cmd("GET", "{foo}here") == b"1"
    assert source.cmd("GET", "{foo}new") == ask
    assert source.cmd("MGET", "{foo}here", "{foo}new") == "TRYAGAIN Multiple keys request during rehashing of slot"
    assert source.cmd("MGET", "{foo}x", "{foo}new") == ask
    assert target.cmd("GET", "{foo}new").startswith("MOVED %d " % FOO)
    with target.raw() as c:
        assert c.cmd("ASKING") == b"OK"
        assert c.cmd("SET", "{foo}new", "2") == b"OK"
        assert c.cmd("GET", "{foo}new").startswith("MOVED")     # it was for one command
        c.cmd("ASKING")
        assert c.cmd("MGET", "{foo}new", "{foo}here") == "TRYAGAIN Multiple keys request during rehashing of slot"
        c.cmd("ASKING")
        assert c.cmd("MULTI") == b"OK"                          # ... or for one transaction
        assert c.cmd("INCR", "{foo}new") == b"QUEUED"
        assert c.cmd("INCR", "{foo}new") == b"QUEUED"
        assert c.cmd("EXEC") == [3, 4]
    assert source.cmd("CLUSTER", "SETSLOT", FOO, "NODE", target.id()).startswith("ERR Can't assign hashslot")
    assert source.cmd("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", "{foo}here") == b"OK"
    move_end(three, FOO, source, target)
    assert source.cmd("GET", "{foo}here") == "MOVED %d 127.0.0.1:%d" % (FOO, target.port)
    assert target.cmd("MGET", "{foo}here", "{foo}new") == [b"1", b"4"]


def test_a_client_that_waits_for_a_key_is_sent_after_its_slot(three):
    source = three.owner(FOO)
    with source.raw() as c:
        c.send(b"*3\r\n$5\r\nBLPOP\r\n$3\r\nfoo\r\n$1\r\n0\r\n")
        wait_until(lambda: source.info("clients")["blocked_clients"] == "1", what="blocked")
        source, target = move_begin(three, FOO)
        c.quiet()
        move_end(three, FOO, source, target)
        assert c.read() == "MOVED %d 127.0.0.1:%d" % (FOO, target.port)
        assert c.cmd("PING") == b"PONG"


def test_subscribers_of_a_shard_channel_are_let_go_with_its_slot(three):
    source = three.owner(FOO)
    other = next(n for n in three.nodes if n is not source)
    assert other.cmd("SSUBSCRIBE", "foo") == "MOVED %d 127.0.0.1:%d" % (FOO, source.port)
    with source.raw() as c:
        assert c.cmd("HELLO", 3)[b"mode"] == b"cluster"
        assert c.cmd("SSUBSCRIBE", "foo", "{foo}2") == Push([b"ssubscribe", b"foo", 1])
        assert c.read() == Push([b"ssubscribe", b"{foo}2", 2])
        assert source.cmd("SPUBLISH", "foo", "hello") == 1
        assert c.read() == Push([b"smessage", b"foo", b"hello"])
        assert other.cmd("SPUBLISH", "foo", "hello").startswith("MOVED")
        source, target = move_begin(three, FOO)
        move_end(three, FOO, source, target)
        gone = {c.read()[1], c.read()[1]}
        assert gone == {b"foo", b"{foo}2"}
        assert source.cmd("PUBSUB", "SHARDCHANNELS") == []


def test_a_published_message_reaches_the_subscribers_of_all_nodes(three):
    links = [n.raw() for n in three.nodes]
    for c in links:
        assert c.cmd("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
    three.nodes[1].cmd("PUBLISH", "news", "x" * 100000)
    for c in links:
        assert c.read() == [b"message", b"news", b"x" * 100000]
        c.close()


def test_keys_of_a_slot_are_counted_and_listed(three):
    n = three.owner(FOO)
    for i in range(300):
        n.cmd("SET", "{foo}%d" % i, i)
    assert n.cmd("CLUSTER", "COUNTKEYSINSLOT", FOO) == 300
    keys = n.cmd("CLUSTER", "GETKEYSINSLOT", FOO, 1000)
    assert sorted(keys) == sorted(b"{foo}%d" % i for i in range(300))
    assert len(n.cmd("CLUSTER", "GETKEYSINSLOT", FOO, 7)) == 7
    assert n.cmd("CLUSTER", "GETKEYSINSLOT", FOO, 0) == []
    assert n.cmd("CLUSTER", "GETKEYSINSLOT", BAR, 10) == []
    assert n.cmd("CLUSTER", "KEYSLOT", "a{foo}b") == FOO
    assert n.cmd("CLUSTER", "COUNTKEYSINSLOT", 16384) == "ERR Invalid slot"
    assert n.cmd("CLUSTER", "GETKEYSINSLOT", 1, -1) == "ERR Invalid slot or number of keys"
    seen, cursor = set(), b"0"
    while True:
        cursor, keys = n.cmd("SCAN", cursor, "COUNT", 50)
        seen.update(keys)
        if cursor == b"0":
            break
    assert len(seen) == 300


def test_slot_stats_count_keys_commands_bytes_and_memory(alone):
    def stats(slot):
        (got, pairs), = alone.cmd("CLUSTER", "SLOT-STATS", "SLOTSRANGE", slot, slot)
        assert got == slot
        return {pairs[i].decode(): pairs[i + 1] for i in range(0, len(pairs), 2)}
    assert set(stats(FOO).values()) == {0}
    with alone.raw() as c:
        c.cmd("SET", "foo", "x" * 1000)
        c.cmd("GET", "foo")
        c.cmd("GET", "bar")
        c.cmd("MULTI")
        c.cmd("SET", "{foo}2", "y")
        c.cmd("GET", "{foo}2")
        c.cmd("EXEC")
    s = stats(FOO)
    assert (s["key-count"], s["writes"], s["reads"]) == (2, 2, 2)
    assert s["network-bytes-in"] > 1000 and s["network-bytes-out"] > 1000
    assert s["memory-bytes"] > 1000
    assert list(s)[:4] == ["key-count", "cpu-usec", "network-bytes-in", "network-bytes-out"]
    first, second = alone.cmd("CLUSTER", "SLOT-STATS", "ORDERBY", "key-count", "LIMIT", 2)
    assert first[0] == FOO and second[0] == 0
    first, = alone.cmd("CLUSTER", "SLOT-STATS", "ORDERBY", "network-bytes-in", "LIMIT", 1, "DESC")
    assert first[0] == FOO
    assert alone.cmd("CLUSTER", "SLOT-STATS", "ORDERBY", "key-count", "ASC", "LIMIT", 1)[0][0] == 0
    error = "ERR Limit has to lie in between 1 and 16384 (maximum number of slots)."
    assert alone.cmd("CLUSTER", "SLOT-STATS", "ORDERBY", "key-count", "LIMIT", 0) == error
    assert alone.cmd("CLUSTER", "SLOT-STATS", "ORDERBY", "x") == "ERR Unrecognized sort metric for ORDERBY."
    assert alone.cmd("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 2, 1) == (
        "ERR Start slot number 2 is greater than end slot number 1")
    alone.cmd("CLUSTER", "DELSLOTS", 7)
    assert alone.cmd("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 7, 7) == []


def test_explain_tells_where_a_command_would_run(three):
    n = three.owner(FOO)
    with n.raw() as c:
        c.cmd("HELLO", 3)
        got = c.cmd("CLUSTER", "EXPLAIN", "MSET", "foo", 1, "{foo}b", 2)
        assert got[b"runs"] == b"yes" and got[b"answer"] is None and got[b"command"] == b"mset"
        assert [(k[b"key"], k[b"hashed"], k[b"slot"]) for k in got[b"keys"]] == [
            (b"foo", b"foo", FOO), (b"{foo}b", b"foo", FOO)]
        got = c.cmd("CLUSTER", "EXPLAIN", "SUNIONSTORE", "foo", "bar")
        assert got[b"runs"] == b"no" and got[b"answer"].startswith(b"CROSSSLOT")
        away = next("k%d" % i for i in range(1000) if three.owner(key_slot("k%d" % i)) is not n)
        got = c.cmd("CLUSTER", "EXPLAIN", "GET", away)
        assert got[b"answer"].startswith(b"MOVED %d " % key_slot(away))
        assert c.cmd("CLUSTER", "EXPLAIN", "PING")[b"runs"] == b"yes"
        assert c.cmd("CLUSTER", "EXPLAIN", "NOSUCH", "a") == "ERR Invalid command specified"
        assert c.cmd("EXISTS", "foo") == 0


def test_without_all_slots_nothing_is_served_unless_that_is_allowed(alone):
    alone.cmd("SET", "foo", 1)
    assert alone.cmd("CLUSTER", "DELSLOTS", BAR) == b"OK"
    assert alone.cmd("GET", "bar") == "CLUSTERDOWN Hash slot not served"
    wait_until(lambda: isinstance(alone.cmd("GET", "foo"), Error), what="the state is noticed")
    assert alone.cmd("GET", "foo") == "CLUSTERDOWN The cluster is down"
    alone.config_set("cluster-allow-reads-when-down", "yes")
    assert alone.cmd("GET", "foo") == b"1"
    assert alone.cmd("SET", "foo", 2) == "CLUSTERDOWN The cluster is down and only accepts read commands"
    alone.config_set("cluster-require-full-coverage", "no")
    wait_until(lambda: alone.cmd("SET", "foo", 2) == b"OK", what="covered slots are served")
    assert alone.cmd("GET", "bar") == "CLUSTERDOWN Hash slot not served"


def test_a_node_that_is_started_again_is_the_same_node(alone):
    before, epoch = alone.id(), alone.cmd("CLUSTER", "BUMPEPOCH")
    alone.stop()
    alone.start()
    wait_until(lambda: alone.cluster_info()["cluster_state"] == "ok", what="ok again")
    assert alone.id() == before
    assert alone.cluster_info()["cluster_my_epoch"] == epoch.split()[1].decode()
    assert alone.cmd("SET", "foo", 1) == b"OK"


def test_nodes_conf_belongs_to_one_server(alone):
    twin = Node(args=["--dir", alone.dir])
    code, out, _ = run_once("--port", twin.port, "--cluster-enabled", "yes", "--cluster-port", twin.bus_port, "--dir",
                            alone.dir, "--bind", "127.0.0.1")
    twin.finish()
    assert code == 1
    assert b"is already used by a different" in out


def test_a_broken_nodes_conf_stops_the_start(tmp_path):
    port = Node()
    (tmp_path / "nodes.conf").write_text("rubbish\n")
    code, out, _ = run_once("--port", port.port, "--cluster-enabled", "yes", "--cluster-port", port.bus_port, "--dir",
                            str(tmp_path), "--bind", "127.0.0.1")
    port.finish()
    assert code == 1 and b"orrupted cluster config file" in out
    assert (tmp_path / "nodes.conf").read_text() == "rubbish\n"
    assert os.listdir(tmp_path) == ["nodes.conf"]


def test_debug_forms_of_the_bus(three):
    a, b = three.nodes[:2]
    assert a.cmd("DEBUG", "DROP-CLUSTER-PACKET-FILTER", 1) == b"OK"
    assert a.cmd("DEBUG", "DROP-CLUSTER-PACKET-FILTER", -1) == b"OK"
    assert a.cmd("DEBUG", "CLUSTERLINK", "KILL", "ALL", "f" * 40) == "ERR Unknown node " + "f" * 40

    def links():
        return {(pairs[1], pairs[5]) for pairs in a.cmd("CLUSTER", "LINKS") if pairs[3].decode() == b.id()}
    before = links()
    assert {direction for direction, _ in before} == {b"to", b"from"}
    assert a.cmd("DEBUG", "CLUSTERLINK", "KILL", "ALL", b.id()) == b"OK"
    wait_until(lambda: len(links()) == 2 and not links() & before, NODE_TIMEOUT / 1000 * 3, what="new links")


def test_without_cluster_mode_its_commands_say_so(server):
    error = "ERR This instance has cluster support disabled"
    for args in (["CLUSTER", "INFO"], ["CLUSTER", "HELP"], ["CLUSTER", "KEYSLOT", "a"], ["READONLY"], ["READWRITE"],
                 ["ASKING"], ["CLUSTER", "SLOT-STATS", "SLOTSRANGE", 0, 1]):
        with server.raw() as c:
            assert c.cmd(*args) == error, args
