"""A cluster's replicas: they hold their master's keys, and take its place when it dies; Redis nodes among them."""

import pytest

from cluster import REDIS_CLI, REDIS_SERVER, Cluster
from harness import wait_until

pytestmark = pytest.mark.skipif(not REDIS_CLI or not REDIS_SERVER, reason="needs redis-cli and redis-server")


@pytest.mark.parametrize("mixed", [False, True])
def test_a_replica_takes_over_with_the_data(mixed):
    """mixed: the masters are genuine, Ouro nodes are their replicas."""
    programs = [REDIS_SERVER if mixed else None] * 3 + [None] * 3
    with Cluster(6, programs) as cluster:
        cluster.create(replicas=1)
        masters = [n for n in cluster.nodes if n.is_master()]
        victim = next(n for n in masters if any(not m.is_master() and not m.program and m.me()["master"] == n.id()
                                                for m in cluster.nodes))
        replica = next(n for n in cluster.nodes if not n.is_master() and n.me()["master"] == victim.id())
        wait_until(lambda: replica.info("replication").get("master_link_status") == "up", 20)
        keys = [k for k in ("k%d" % i for i in range(300)) if victim.cmd("SET", k, k) == b"OK"]
        assert len(keys) > 50
        wait_until(lambda: replica.cmd("DBSIZE") == len(keys), 10)
        assert str(replica.cmd("SET", keys[0], 1)).startswith("MOVED ")
        assert replica.cmd("REPLICAOF", "NO", "ONE") == "ERR REPLICAOF not allowed in cluster mode."
        victim.may_die = True
        victim.process.kill()
        wait_until(replica.is_master, 30, 0.1, replica.output()[-1500:])
        wait_until(lambda: replica.cmd("GET", keys[0]) == keys[0].encode(), 15)
        with replica.raw() as c:
            assert [c.cmd("GET", k) for k in keys] == [k.encode() for k in keys]
            assert c.cmd("SET", keys[0], "new") == b"OK"


def test_a_replica_that_restarts_goes_on_by_its_file():
    with Cluster(6) as cluster:
        cluster.create(replicas=1)
        replica = next(n for n in cluster.nodes if not n.is_master())
        master = next(n for n in cluster.nodes if n.id() == replica.me()["master"])
        wait_until(lambda: replica.info("replication").get("master_link_status") == "up", 20)
        keys = [k for k in ("k%d" % i for i in range(300)) if master.cmd("SET", k, k) == b"OK"]
        wait_until(lambda: replica.cmd("DBSIZE") == len(keys), 10)
        assert replica.cmd("SAVE") == b"OK"
        replica.stop()
        assert master.cmd("SET", keys[0], "new") == b"OK"
        replica.start()
        wait_until(lambda: replica.info("replication").get("master_link_status") == "up", 20)
        assert (master.info("stats")["sync_full"], master.info("stats")["sync_partial_ok"]) == ("1", "1")
        assert replica.cmd("DBSIZE") == len(keys)
