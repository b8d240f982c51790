"""redis-cli --cluster against Ouro nodes, and against clusters of Ouro and Redis nodes."""

import threading

import pytest

from cluster import REDIS_CLI, REDIS_SERVER, Cluster, key_slot

pytestmark = [pytest.mark.ouro_only, pytest.mark.slow,
              pytest.mark.skipif(not REDIS_CLI, reason="no redis-cli")]


class Load:
    """Writes and reads back all the while; every acknowledged write must be there at the end."""

    def __init__(self, cluster, keys=500):
        self.cluster, self.keys = cluster, keys
        self.values, self.errors, self.done = {}, [], False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        n = 0
        with self.cluster.client() as c:
            while not self.done:
                key = "key:%d" % (n % self.keys)
                try:
                    reply = c.cmd("SET", key, n)
                    if reply != b"OK":
                        self.errors.append(reply)
                    else:
                        self.values[key] = n
                    got = c.cmd("GET", key)
                    if got != b"%d" % self.values[key]:
                        self.errors.append((key, self.values[key], got))
                except Exception as e:                      # the thread must not end in silence
                    self.errors.append(repr(e))
                    return
                n += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join(30)
        assert not self.thread.is_alive()
        assert not self.errors, self.errors[:5]
        assert len(self.values) == self.keys
        with self.cluster.client() as c:
            for key, value in self.values.items():
                assert c.cmd("GET", key) == b"%d" % value


def slots_of(node):
    total = 0
    for word in node.me()["slots"]:
        first, _, last = word.partition("-")
        total += int(last or first) - int(first) + 1
    return total


@pytest.mark.parametrize("programs", [
    [None] * 3,
    pytest.param([None, REDIS_SERVER, None], marks=pytest.mark.skipif(not REDIS_SERVER, reason="no redis-server")),
    pytest.param([REDIS_SERVER, None, REDIS_SERVER],
                 marks=pytest.mark.skipif(not REDIS_SERVER, reason="no redis-server")),
], ids=["ouro", "one-redis", "two-redis"])
def test_slots_are_moved_under_load_and_nodes_come_and_go(programs):
    with Cluster(3, programs) as c:
        c.create()
        first, second, third = c.nodes
        assert "All nodes agree about slots configuration" in c.cli("check", first.address)
        assert "0 keys in 3 masters" in c.cli("info", first.address)
        with Load(c):
            # one way, and the other
            c.cli("reshard", first.address, "--cluster-from", first.id(), "--cluster-to", second.id(),
                  "--cluster-slots", 300, "--cluster-yes")
            c.wait_ok()
            assert (slots_of(first), slots_of(second)) == (5161, 5762)
            c.cli("reshard", first.address, "--cluster-from", second.id(), "--cluster-to", third.id(),
                  "--cluster-slots", 200, "--cluster-yes")
            c.wait_ok()
            assert slots_of(third) == 5661
            # a fourth, with its share
            fourth = c.add()
            c.cli("add-node", fourth.address, first.address)
            c.wait_ok()
            weight = fourth.id() + "=0.06"
            c.cli("rebalance", first.address, "--cluster-use-empty-masters", "--cluster-threshold", 1,
                  "--cluster-weight", weight)
            c.wait_ok()
            assert 300 <= slots_of(fourth) <= 350
            # and it goes
            c.cli("reshard", first.address, "--cluster-from", fourth.id(), "--cluster-to", first.id(),
                  "--cluster-slots", slots_of(fourth), "--cluster-yes")
            c.wait_ok()
            assert slots_of(fourth) == 0
            c.cli("del-node", first.address, fourth.id())
            c.wait_ok(nodes=[first, second, third])
        c.cli("check", first.address)


def test_an_open_slot_is_found_and_mended():
    with Cluster(3) as c:
        c.create()
        slot = key_slot("foo")
        source = c.owner(slot)
        target = next(n for n in c.nodes if n is not source)
        for i in range(50):
            source.cmd("SET", "{foo}%d" % i, i)
        assert target.cmd("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id()) == b"OK"
        assert source.cmd("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id()) == b"OK"
        keys = source.cmd("CLUSTER", "GETKEYSINSLOT", slot, 20)
        assert source.cmd("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys) == b"OK"
        out = c.cli("check", c.nodes[0].address, fails=True)
        assert "are in importing state" in out or "are in migrating state" in out or "open slots" in out
        c.cli("fix", c.nodes[0].address)
        c.wait_ok()
        c.cli("check", c.nodes[0].address)
        with c.client() as client:
            for i in range(50):
                assert client.cmd("GET", "{foo}%d" % i) == b"%d" % i


def test_a_slot_of_nobody_is_covered_again():
    with Cluster(3) as c:
        c.create()
        for n in c.nodes:
            n.cmd("CLUSTER", "DELSLOTS", 100)
        assert "Not all 16384 slots are covered" in c.cli("check", c.nodes[0].address, fails=True)
        c.cli("fix", c.nodes[0].address)
        c.wait_ok()


def test_redis_py_finds_its_way_during_a_reshard():
    redis_cluster = pytest.importorskip("redis.cluster")
    with Cluster(3) as c:
        c.create()
        client = redis_cluster.RedisCluster(host="127.0.0.1", port=c.nodes[0].port)
        for i in range(1000):
            assert client.set("k%d" % i, i)
        c.cli("reshard", c.nodes[0].address, "--cluster-from", c.nodes[0].id(), "--cluster-to", c.nodes[1].id(),
              "--cluster-slots", 300, "--cluster-yes")
        assert [client.get("k%d" % i) for i in range(1000)] == [b"%d" % i for i in range(1000)]
        pipe = client.pipeline()
        for i in range(1000):
            pipe.incr("k%d" % i)
        assert pipe.execute() == list(range(1, 1001))
        assert len(client.keys(target_nodes=redis_cluster.RedisCluster.PRIMARIES)) == 1000
        client.close()
