"""ouro-slots against clusters: of redis-server 7.0, and of the server under test if it has a cluster."""

import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

import harness
import servers
from harness import Error, Raw, wait_until

TOOL = os.environ.get("OURO_SLOTS") or os.path.join(os.path.dirname(harness.BINARY), "ouro-slots")
pytestmark = pytest.mark.skipif(not os.access(TOOL, os.X_OK), reason="no ouro-slots beside the server")


def tool(*args, code=0, stdin=""):
    p = subprocess.run([TOOL, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=120)
    assert p.returncode == code, (args, p.returncode, p.stdout[-2000:], p.stderr[-2000:])
    return p.stdout if code == 0 else p.stderr


class Cluster:
    """Masters with even ranges, made without redis-cli."""

    def __init__(self, path, n):
        self.nodes = []
        try:
            for i in range(n):
                bus = servers.free_port()
                self.nodes.append(servers.Server("node%d" % i, path, [
                    "--cluster-enabled", "yes", "--cluster-port", str(bus),
                    "--cluster-node-timeout", "5000"]).start())
                self.nodes[-1].bus = bus
            self.connections = [Raw(("127.0.0.1", s.port), timeout=30) for s in self.nodes]
            first = self.connections[0]
            for i, c in enumerate(self.connections):
                assert c.cmd("CLUSTER", "SET-CONFIG-EPOCH", i + 1) == b"OK"
                lo, hi = 16384 * i // n, 16384 * (i + 1) // n - 1
                assert c.cmd("CLUSTER", "ADDSLOTSRANGE", lo, hi) == b"OK"
                if i:
                    s = self.nodes[i]
                    assert first.cmd("CLUSTER", "MEET", "127.0.0.1", s.port, s.bus) == b"OK"
            wait_until(self.whole, 30, what="the cluster is whole")
        except BaseException:
            self.stop()
            raise

    def whole(self):
        return all(b"cluster_state:ok" in c.cmd("CLUSTER", "INFO") and
                   c.cmd("CLUSTER", "NODES").count(b"\n") == len(self.nodes) for c in self.connections)

    def owners(self, c):
        """Slot -> port, as this node sees it."""
        at = {}
        for lo, hi, master, *_ in c.cmd("CLUSTER", "SLOTS"):
            at.update(dict.fromkeys(range(lo, hi + 1), master[1]))
        return at

    def agreed(self):
        views = [self.owners(c) for c in self.connections]
        return all(v == views[0] for v in views) and len(views[0]) == 16384 and views[0]

    def keys(self):
        return sum(c.cmd("DBSIZE") for c in self.connections)

    @property
    def address(self):
        return "127.0.0.1:%d" % self.nodes[0].port

    def stop(self):
        for s in self.nodes:
            s.stop()


def _has_cluster(path):
    """Whether the program can be a cluster node: asked by starting one."""
    s = servers.Server("probe", path, ["--cluster-enabled", "yes", "--cluster-port", str(servers.free_port())])
    try:
        s.start()
        with Raw(("127.0.0.1", s.port)) as c:
            return not isinstance(c.cmd("CLUSTER", "MYID"), Error)
    except servers.ServerDied:
        return False
    finally:
        s.stop()


def _program(kind):
    path = shutil.which("redis-server") if kind == "redis70" else harness.BINARY
    if not path:
        pytest.skip("no redis-server here")
    if kind == "ouro" and not _has_cluster(path):
        pytest.skip("the server has no cluster")
    return path


@pytest.fixture(params=["redis70", "ouro"])
def cluster(request):
    made = Cluster(_program(request.param), 3)
    yield made
    made.stop()


def fill_zipf(cluster, tenants=300, seed=3):
    """Zipf tenants, each with a tag; returns what was written."""
    rng = random.Random(seed)
    owners = cluster.agreed()
    by_port = {s.port: c for s, c in zip(cluster.nodes, cluster.connections)}
    data = {}
    for t in range(1, tenants + 1):
        slot = cluster.connections[0].cmd("CLUSTER", "KEYSLOT", "t%d" % t)
        for k in range(max(1, 2000 // t)):
            key, value = "{t%d}:%d" % (t, k), "%d" % rng.getrandbits(200)
            assert by_port[owners[slot]].cmd("SET", key, value) == b"OK"
            data[key] = value
    return data


def check_data(cluster, data):
    import redis
    r = redis.cluster.RedisCluster("127.0.0.1", cluster.nodes[0].port)
    keys = list(data)
    for i in range(0, len(keys), 500):
        part = keys[i:i + 500]
        got = r.mget_nonatomic(part)
        assert got == [data[k].encode() for k in part]
    assert cluster.keys() == len(data)


class TestAnalyse:
    def test_a_file_of_keys(self):
        lines = "".join("{big}%d\t100\n" % i for i in range(60)) + "".join("k%d\t100\n" % i for i in range(40))
        out = json.loads(tool("analyse", "-", "--json", "--masters", "1,2", stdin=lines))
        assert out["keys"] == 100 and out["tags"] == 1 and out["by"] == "memory"
        assert out["heaviest"][0]["tag"] == "big" and out["heaviest"][0]["masters_useful"] == 1
        assert [b["even_ranges"] for b in out["balance"]][0] == 1
        assert out["balance"][1]["bound"] == pytest.approx(1.2)
        text = tool("analyse", "-", "--map", "--no-color", stdin=lines)
        assert "{big}" in text and "▒" in text or "█" in text

    def test_a_server(self, server, tmp_path):
        with server.raw() as c:
            c.cmd("MSET", *[w for i in range(3000) for w in ("k%d" % i, "v")])
            c.cmd("SET", "{fat}1", "x" * 1000000)
        picture = tmp_path / "map.svg"
        out = json.loads(tool("analyse", "127.0.0.1:%d" % server.port, "--json", "--svg", picture))
        assert out["keys"] == 3001 and out["heaviest"][0]["tag"] == "fat"
        assert out["heaviest"][0]["load"] > 1000000
        assert picture.read_text().rstrip().endswith("</svg>")
        few = json.loads(tool("analyse", "127.0.0.1:%d" % server.port, "--json", "--sample", 500))
        assert few["keys"] == 3001

    def test_a_password(self, start):
        server = start(["--requirepass", "secret"])
        address = "127.0.0.1:%d" % server.port
        assert "NOAUTH" in tool("analyse", address, code=1)
        tool("analyse", address, "--password", "secret")
        tool("analyse", address, "--user", "default", "--password", "secret")

    def test_what_goes_wrong(self, server):
        assert "line 1" in tool("analyse", "-", stdin="k\tx\n", code=1)
        assert "refused" in tool("analyse", "127.0.0.1:%d" % servers.free_port(), code=1)
        assert "No such file" in tool("analyse", "/no/such/file", code=1)
        assert "not a node of a cluster" in tool("plan", "127.0.0.1:%d" % server.port, code=1)


class TestPlanAndRun:
    @pytest.mark.parametrize("by", ["keys", "memory"])
    def test_moves_make_it_even(self, cluster, tmp_path, by):
        data = fill_zipf(cluster)
        plan, picture = tmp_path / "plan", tmp_path / "plan.svg"
        out = json.loads(tool("plan", cluster.address, "--by", by, "--json", "--out", plan, "--svg", picture))
        assert out["after"] < out["before"] and out["above_bound"] < 0.1
        assert cluster.keys() == len(data) and picture.read_text().count("<svg") == 1
        assert tool("run", plan, "--dry-run").startswith("%d of %d" % (len(out["moves"]), len(out["moves"])))
        last = json.loads(tool("run", plan, "--json").splitlines()[-1])
        assert last["result"] == "done" and last["slots_done"] == len(out["moves"])
        wait_until(cluster.agreed, 20, what="all nodes agree")
        check_data(cluster, data)
        again = json.loads(tool("plan", cluster.address, "--by", by, "--json"))
        assert again["before"] == pytest.approx(out["after"], rel=0.05)
        assert "0 slots moved, 0 left" in tool("run", plan)

    def test_stopped_and_begun_again_under_load(self, cluster, tmp_path):
        import redis
        data = fill_zipf(cluster)
        plan = tmp_path / "plan"
        tool("plan", cluster.address, "--by", "keys", "--out", plan)
        total = int(tool("run", plan, "--dry-run").split()[0])
        stop, errors, counts = threading.Event(), [], {}

        def load():
            r = redis.cluster.RedisCluster("127.0.0.1", cluster.nodes[0].port)
            n = 0
            while not stop.is_set():
                n += 1
                for t in range(1, 30):
                    try:
                        counts[t] = r.incr("{t%d}:count" % t)
                        if counts[t] != n:
                            errors.append("t%d: %d instead of %d" % (t, counts[t], n))
                    except redis.RedisError as e:
                        errors.append(repr(e))
        thread = threading.Thread(target=load)
        thread.start()
        try:
            stops = 0
            for _ in range(4):
                p = subprocess.Popen([TOOL, "run", str(plan), "--keys-per-second", "3000", "--batch", "20"],
                                     stdout=subprocess.PIPE, text=True)
                time.sleep(0.4)
                p.send_signal(signal.SIGINT if stops % 2 else signal.SIGTERM)
                out, _ = p.communicate(timeout=60)
                assert p.returncode == 0
                stops += "stopped" in out
            assert stops >= 1, "it was over before it could be stopped"
            assert 0 < int(tool("run", plan, "--dry-run").split()[0]) < total or stops < 4
            p = subprocess.Popen([TOOL, "run", str(plan), "--batch", "7"], stdout=subprocess.DEVNULL)
            time.sleep(0.05)
            p.kill()
            p.wait()
            tool("run", plan)
        finally:
            stop.set()
            thread.join()
        assert not errors, errors[:5]
        wait_until(cluster.agreed, 20, what="all nodes agree")
        data.update(("{t%d}:count" % t, str(n)) for t, n in counts.items())
        check_data(cluster, data)

    def test_a_plan_that_is_no_longer_true(self, cluster, tmp_path):
        fill_zipf(cluster, 20)
        plan = tmp_path / "plan"
        tool("plan", cluster.address, "--by", "keys", "--out", plan)
        text = plan.read_text().splitlines()
        move = [line for line in text if line.startswith("move")][0].split()
        ids = [c.cmd("CLUSTER", "MYID").decode() for c in cluster.connections]
        other = [i for i in ids if i not in move[2:]][0]
        plan.write_text("\n".join(text[:2] + ["move %s %s %s" % (move[1], other, move[3])]) + "\n")
        assert "make a new plan" in tool("run", plan, code=1)
        plan.write_text("\n".join(text[:2] + ["move %s %s %s" % (move[1], move[2], "f" * 40)]) + "\n")
        assert "no master" in tool("run", plan, code=1)
        plan.write_text("nonsense\n")
        assert "not a plan" in tool("run", plan, code=1)


@pytest.fixture(params=["redis70", "ouro"])
def six(request):
    """Six empty nodes, not a cluster yet."""
    path = _program(request.param)
    nodes = [servers.Server("node%d" % i, path, [
        "--cluster-enabled", "yes", "--cluster-port", str(servers.free_port()),
        "--cluster-node-timeout", "5000"]).start() for i in range(6)]
    yield nodes
    for s in nodes:
        s.stop()


class TestCreate:
    def addresses(self, nodes):
        return ["127.0.0.1:%d" % s.port for s in nodes]

    def test_six_nodes_become_a_cluster_once(self, six):
        where = self.addresses(six)
        assert json.loads(tool("create", *where, "--json"))["result"] == "created"
        before = [Raw(("127.0.0.1", s.port)).cmd("CLUSTER", "MYID") for s in six]
        assert json.loads(tool("create", *where, "--json"))["result"] == "already"
        roles = []
        for s in six:
            with Raw(("127.0.0.1", s.port)) as c:
                roles.append(bytes(c.cmd("ROLE")[0]))
                assert b"cluster_state:ok" in c.cmd("CLUSTER", "INFO")
                assert len(c.cmd("CLUSTER", "SLOTS")) == 3
        assert roles == [b"master"] * 3 + [b"slave"] * 3
        assert before == [Raw(("127.0.0.1", s.port)).cmd("CLUSTER", "MYID") for s in six]

    def test_one_that_was_left_half_done_is_finished(self, six):
        where = self.addresses(six)
        with Raw(("127.0.0.1", six[1].port)) as c:
            c.cmd("CLUSTER", "ADDSLOTSRANGE", 5461, 10922)
            c.cmd("SET", "foo", "bar")
        assert "made a cluster" in tool("create", *where)
        with Raw(("127.0.0.1", six[0].port)) as c:
            assert b"cluster_slots_assigned:16384" in c.cmd("CLUSTER", "INFO")

    def test_without_replicas_and_what_goes_wrong(self, six, server):
        where = self.addresses(six)
        assert "too few" in tool("create", where[0], "--replicas", 2, code=1)
        assert "refused" in tool("create", where[0], "127.0.0.1:%d" % servers.free_port(), "--wait", 1,
                                 "--replicas", 0, code=1)
        alone = tool("create", "127.0.0.1:%d" % server.port, "--replicas", 0, "--wait", 1, code=1)
        assert "cluster support disabled" in alone or "unknown command 'CLUSTER'" in alone
        assert "of 3 nodes, 3 of them masters" in tool("create", *where[:3], "--replicas", 0)
