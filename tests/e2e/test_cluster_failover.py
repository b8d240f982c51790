"""Replicas of a cluster: reads, failover by itself and by command, with Ouro nodes alone and beside Redis nodes."""

import signal
import time

import pytest

from cluster import REDIS_CLI, REDIS_SERVER, Cluster, key_slot
from harness import Closed, Error, wait_until

pytestmark = [pytest.mark.ouro_only, pytest.mark.slow,
              pytest.mark.skipif(not REDIS_CLI, reason="no redis-cli")]
FOO = 12182


def in_sync(node):
    return not node.is_master() and node.info("replication")["master_link_status"] == "up"


@pytest.fixture
def six():
    with Cluster(6) as c:
        c.create(replicas=1)
        for n in c.nodes:
            if not n.is_master():
                wait_until(lambda n=n: in_sync(n), 30, what="the replica is in sync")
        yield c


def replica_of(cluster, master):
    name = master.id()
    return next(cluster.by_port(x["port"]) for x in master.nodes().values() if x["master"] == name)


def write_until_taken(cluster, key, value, seconds):
    """Tries all live nodes until one takes the write; the time that took."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        for n in cluster.alive():
            try:
                if n.cmd("SET", key, value) == b"OK":
                    return n, time.monotonic() - begin
            except (OSError, Closed, TimeoutError):
                pass
    raise AssertionError("nobody takes writes after %d s" % seconds)


def test_a_replica_serves_reads_to_who_asked_for_it_and_sends_others_away(six):
    master = six.owner(FOO)
    replica = replica_of(six, master)
    master.cmd("SET", "foo", "1")
    moved = "MOVED %d 127.0.0.1:%d" % (FOO, master.port)
    with replica.raw() as c:
        assert c.cmd("GET", "foo") == moved
        assert c.cmd("READONLY") == b"OK"
        wait_until(lambda: c.cmd("GET", "foo") == b"1", what="the write arrives")
        assert c.cmd("SET", "foo", "2") == moved
        assert c.cmd("GET", "bar").startswith("MOVED")
        assert c.cmd("READWRITE") == b"OK"
        assert c.cmd("GET", "foo") == moved
    assert replica.cmd("REPLICAOF", "NO", "ONE") == "ERR REPLICAOF not allowed in cluster mode."
    assert master.cmd("FAILOVER") == "ERR FAILOVER not allowed in cluster mode."


def test_a_killed_master_is_replaced_and_comes_back_as_a_replica(six):
    master = six.owner(FOO)
    replica = replica_of(six, master)
    with six.client() as c:
        for i in range(1000):
            assert c.cmd("SET", "{foo}%d" % i, i) == b"OK"
    master.may_die = True
    master.send_signal(signal.SIGKILL)
    master.process.wait()
    taker, _ = write_until_taken(six, "foo", "after", 20)
    assert taker is replica
    values = replica.cmd("MGET", *["{foo}%d" % i for i in range(1000)])
    assert values == [b"%d" % i for i in range(1000)]
    six.wait_ok()
    master.start()
    wait_until(lambda: in_sync(master), 30, what="the old master follows the new one")
    wait_until(lambda: master.cmd("DBSIZE") == replica.cmd("DBSIZE"), what="the same data")


def test_a_replica_takes_over_when_asked_and_no_write_is_lost(six):
    master = six.owner(FOO)
    replica = replica_of(six, master)
    with six.client() as c:
        for i in range(200):
            if i == 50:
                assert replica.cmd("CLUSTER", "FAILOVER") == b"OK"
            assert c.cmd("INCR", "{foo}n") == i + 1
            time.sleep(0.002)
    wait_until(replica.is_master, 10, what="the replica is the master")
    wait_until(lambda: in_sync(master), 30, what="the old master follows")
    assert replica.cmd("GET", "{foo}n") == b"200"


def test_a_frozen_master_takes_no_write_when_it_wakes(six):
    master = six.owner(FOO)
    replica = replica_of(six, master)
    with master.raw() as c:
        assert c.cmd("SET", "foo", "before") == b"OK"
        master.send_signal(signal.SIGSTOP)
        wait_until(replica.is_master, 30, what="the replica takes over")
        assert replica.cmd("SET", "foo", "after") == b"OK"
        c.send(b"*3\r\n$3\r\nSET\r\n$3\r\nfoo\r\n$4\r\nlate\r\n")
        master.send_signal(signal.SIGCONT)
        reply = c.read()
        assert isinstance(reply, Error), reply
    wait_until(lambda: in_sync(master), 30, what="the old master follows")
    assert replica.cmd("GET", "foo") == b"after"


@pytest.mark.skipif(not REDIS_SERVER, reason="no redis-server")
@pytest.mark.parametrize("master_is_redis", [True, False], ids=["redis-to-ouro", "ouro-to-redis"])
def test_masters_and_replicas_of_both_kinds_stand_in_for_each_other(master_is_redis):
    kinds = [REDIS_SERVER] * 3 + [None] * 3 if master_is_redis else [None] * 3 + [REDIS_SERVER] * 3
    with Cluster(6, kinds) as c:
        c.create(replicas=1)
        for n in c.nodes[3:]:
            wait_until(lambda n=n: in_sync(n), 30, what="the replica is in sync")
        with c.client() as client:
            for i in range(300):
                assert client.cmd("SET", "k%d" % i, i) == b"OK"
        master = c.owner(key_slot("k7"))
        master.may_die = True
        time.sleep(1)       # an asynchronous replica may be a moment behind
        master.send_signal(signal.SIGKILL)
        master.process.wait()
        taker, _ = write_until_taken(c, "{k7}x", "1", 30)
        assert (taker.program is None) == master_is_redis
        c.wait_ok()
        with c.client() as client:
            for i in range(300):
                assert client.cmd("GET", "k%d" % i) == b"%d" % i
