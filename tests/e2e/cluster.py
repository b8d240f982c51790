"""Clusters of servers: Ouro nodes and, beside them, nodes of Redis.

`Cluster` starts nodes with ports and bus ports of their own, forms them with redis-cli, and has what the tests ask again
and again: what a node thinks of the cluster, who owns a slot, a client that follows redirects.
"""

import re
import shutil
import subprocess

from harness import Error, Raw, Server, free_port, wait_until

REDIS_CLI = shutil.which("redis-cli")
REDIS_SERVER = shutil.which("redis-server")
NODE_TIMEOUT = 2000


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc


def key_slot(key):
    key = key if isinstance(key, bytes) else str(key).encode()
    tag = re.search(rb"\{([^}]+)\}", key[key.find(b"{"):]) if b"{" in key else None
    if tag and key[key.find(b"{") + 1:key.find(b"{") + 2] != b"}":
        key = tag.group(1)
    return crc16(key) % 16384


class Node(Server):
    """One node. program: another server than the one under test (redis-server)."""

    def __init__(self, program=None, args=()):
        super().__init__(args=["--cluster-enabled", "yes", "--cluster-port", "{bus_port}",
                               "--cluster-node-timeout", str(NODE_TIMEOUT),
                               "--repl-diskless-sync-delay", "0", "--repl-backlog-size", "10mb",
                               *args])
        self.program = program
        self.bus_port = self.port
        while self.bus_port == self.port:
            self.bus_port = free_port()

    def argv(self):
        self.args = [a.replace("{bus_port}", str(self.bus_port)) for a in self.args]
        argv = super().argv()
        if self.program:
            argv = [self.program] + argv[1:]
            if "--io-backend" in argv:
                at = argv.index("--io-backend")
                del argv[at:at + 2]
        return argv

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def cmd(self, *args):
        with self.raw() as c:
            return c.cmd(*args)

    def cluster_info(self):
        text = self.cmd("CLUSTER", "INFO")
        return dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)

    def nodes(self):
        """CLUSTER NODES: id -> dictionary."""
        found = {}
        for line in self.cmd("CLUSTER", "NODES").decode().splitlines():
            w = line.split()
            address = re.match(r"(.*):(\d+)@(\d+)", w[1])
            found[w[0]] = {"id": w[0], "port": int(address.group(2)), "flags": w[2].split(","), "master": w[3],
                           "epoch": int(w[6]), "link": w[7], "slots": w[8:]}
        return found

    def id(self):
        return self.cmd("CLUSTER", "MYID").decode()

    def me(self):
        return self.nodes()[self.id()]

    def is_master(self):
        return "master" in self.me()["flags"]


class Cluster:
    def __init__(self, n, program=None, args=()):
        self.nodes = []
        try:
            for i in range(n):
                self.add(program[i] if isinstance(program, (list, tuple)) else program, args)
        except BaseException:
            self.finish()
            raise

    def add(self, program=None, args=()):
        node = Node(program, args)
        self.nodes.append(node)
        node.start()
        return node

    def create(self, replicas=0, masters=None):
        args = [n.address for n in (masters or self.nodes)]
        out = self.cli("create", *args, "--cluster-replicas", str(replicas), "--cluster-yes")
        assert "All 16384 slots covered" in out, out
        self.wait_ok()
        return self

    def cli(self, command, *args, timeout=120, fails=False):
        """redis-cli --cluster COMMAND; its output. The exit code must be 0, or not with `fails`."""
        run = subprocess.run([REDIS_CLI, "--cluster", command, *map(str, args)], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=timeout, check=False, input=b"yes\n")
        out = re.sub(r"\x1b\[[0-9;]*m", "", run.stdout.decode("utf-8", "replace"))
        assert (run.returncode != 0) == fails, "redis-cli --cluster %s: %d\n%s" % (command, run.returncode, out[-6000:])
        return out

    def alive(self):
        return [n for n in self.nodes if n.alive()]

    def wait_ok(self, timeout=30, nodes=None):
        """Until all live nodes say that the cluster is ok and agree on who owns what."""
        def agreed():
            views, live = set(), nodes or self.alive()
            for n in live:
                if n.cluster_info()["cluster_state"] != "ok":
                    return False
                known = n.nodes().values()
                if not {x.port for x in live} <= {x["port"] for x in known if "handshake" not in x["flags"]}:
                    return False
                views.add(tuple(sorted((x["id"], tuple(x["slots"])) for x in known
                                       if x["slots"] and not any(s.startswith("[") for s in x["slots"]))))
            return len(views) == 1
        wait_until(agreed, timeout, 0.05, "cluster ok; " + "\n".join(
            n.cmd("CLUSTER", "NODES").decode() for n in self.alive()[:1]))

    def by_port(self, port):
        return next(n for n in self.nodes if n.port == port)

    def owner(self, slot):
        """The node that serves the slot, as the first live node sees it."""
        for x in self.alive()[0].nodes().values():
            for word in x["slots"]:
                first, _, last = word.partition("-")
                if not word.startswith("[") and int(first) <= slot <= int(last or first) and "fail" not in x["flags"]:
                    return self.by_port(x["port"])
        return None

    def client(self):
        return Follower(self)

    def finish(self):
        errors = []
        for n in self.nodes:
            try:
                n.finish()
            except AssertionError as e:
                errors.append(e)
        if errors:
            raise errors[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.finish()


class Follower:
    """A client that goes where it is sent."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.links = {}
        self.slots = {}
        self.redirects = 0

    def link(self, port):
        if port not in self.links:
            self.links[port] = Raw(("127.0.0.1", port))
        return self.links[port]

    def cmd(self, *args, key=None, tries=20):
        slot = key_slot(args[1] if key is None else key)
        port, asking = self.slots.get(slot) or self.cluster.alive()[0].port, False
        for _ in range(tries):
            link = self.link(port)
            if asking:
                assert link.cmd("ASKING") == b"OK"
            reply = link.cmd(*args)
            asking = False
            if not isinstance(reply, Error):
                return reply
            word = reply.split()
            if word[0] in ("MOVED", "ASK"):
                self.redirects += 1
                port = int(word[2].rpartition(":")[2])
                asking = word[0] == "ASK"
                if not asking:
                    self.slots[slot] = port
            elif word[0] != "TRYAGAIN":
                return reply
        raise AssertionError("no answer after %d tries: %r" % (tries, reply))

    def close(self):
        for link in self.links.values():
            link.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
