"""Master and replica: Ouro with Ouro and with genuine Redis, from outside."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

import harness
from harness import wait_until
from replication_harness import (FAST, REDIS, Counter, FakeMaster, Load, Proxy, RawReplica, Redis, caught_up, contents,
                                 fill, handshake, linked, of_master)

needs_redis = pytest.mark.skipif(not REDIS, reason="no redis-server here")


@pytest.fixture
def redis():
    made = []

    def make(args=()):
        s = Redis(args).start()
        made.append(s)
        return s
    yield make
    for s in made:
        s.may_die = True
        s.finish()


@pytest.fixture
def proxy():
    made = []

    def make(port, rate=0):
        p = Proxy(port, rate)
        made.append(p)
        return p
    yield make
    for p in made:
        p.close()


def replication(server):
    return server.info("replication")


# ---- full sync ----

@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("load", ["disabled", "on-empty-db", "swapdb"])
def test_a_replica_gets_everything_and_follows(start, diskless, load):
    master = start(FAST + ["--repl-diskless-sync", diskless])
    fill(master)
    replica = start(["--repl-diskless-load", load] + of_master(master.port))
    caught_up(master, replica)
    with master.raw() as m, replica.raw() as r:
        for db in (0, 9):
            m.cmd("SELECT", db), r.cmd("SELECT", db)
            assert m.cmd("DBSIZE") == r.cmd("DBSIZE") > 0
        assert m.cmd("DEBUG", "DIGEST") == r.cmd("DEBUG", "DIGEST")
        m.cmd("SELECT", 9)
        m.cmd("SET", "later", "x")
        caught_up(master, replica)
        assert r.cmd("GET", "later") == b"x"
    info = replication(replica)
    assert info["role"] == "slave" and info["master_replid"] == replication(master)["master_replid"]
    assert not [f for f in os.listdir(replica.dir) if f.startswith("temp-")]


def test_a_second_full_sync_replaces_what_was_there(start):
    master, other = start(FAST), start(FAST)
    fill(master, seed=1)
    fill(other, n=50, seed=2)
    replica = start(of_master(master.port))
    caught_up(master, replica)
    with replica.raw() as c:
        assert c.cmd("REPLICAOF", "127.0.0.1", other.port) == b"OK"
        assert c.cmd("REPLICAOF", "127.0.0.1", other.port) == b"OK Already connected to specified master"
    caught_up(other, replica)
    with other.raw() as m, replica.raw() as r:
        assert m.cmd("DEBUG", "DIGEST") == r.cmd("DEBUG", "DIGEST")
    assert replica.config("replicaof") == "127.0.0.1 %d" % other.port


@pytest.mark.parametrize("kinds", ["ouro-redis", "redis-ouro", "redis-ouro-redis", "ouro-ouro-ouro"])
@needs_redis
def test_chains_of_different_makes_hold_the_same_under_load(start, redis, kinds):
    servers = []
    for kind in kinds.split("-"):
        args = of_master(servers[-1].port) if servers else []
        servers.append(redis(args) if kind == "redis" else
                       start(FAST + ["--rdb-save-version", "auto"] + args))
        if len(servers) == 1:
            fill(servers[0], 50)
        else:
            linked(servers[-1])
    with Load(servers[0]):
        time.sleep(1.5)
    time.sleep(0.5)              # what expires does so
    caught_up(servers[0], *servers[1:])
    want = contents(servers[0])
    for s in servers[1:]:
        assert contents(s) == want
    ids = {replication(s)["master_replid"] for s in servers}
    assert len(ids) == 1
    assert all(s.info("stats")["sync_full"] == "1" for s in servers[:-1])


# ---- partial sync, ids ----

def test_a_cut_link_goes_on_where_it_was(start):
    master = start(FAST + ["--repl-backlog-size", "64mb"])
    replica = start(of_master(master.port))
    linked(replica)
    with Load(master, threads=1):
        for kill, server in (("replica", master), ("master", replica)) * 3:
            with server.raw() as c:
                assert c.cmd("CLIENT", "KILL", "TYPE", kill) == 1
            time.sleep(0.1)
            linked(replica)
    time.sleep(0.5)              # what expires does so
    caught_up(master, replica)
    stats = master.info("stats")
    assert (stats["sync_full"], stats["sync_partial_ok"], stats["sync_partial_err"]) == ("1", "6", "0")
    with master.raw() as m, replica.raw() as r:
        assert m.cmd("DEBUG", "DIGEST") == r.cmd("DEBUG", "DIGEST")


def test_a_transaction_that_was_cut_is_applied_once(start):
    """A link that is cut inside of MULTI goes on from before it."""
    master = start(FAST)
    with master.raw() as c:
        c.cmd("SET", "n", 0)
    proxy = Proxy(master.port)
    replica = start(of_master(proxy.port))
    linked(replica)
    with master.raw() as m:
        for _ in range(15):
            m.send(b"".join(harness.encode(w) for w in [("MULTI",), *[("INCR", "n")] * 3000, ("EXEC",)]))
            for _ in range(3002):
                m.read()
            proxy.cut()
            linked(replica)
        caught_up(master, replica)
        with replica.raw() as r:
            assert r.cmd("GET", "n") == m.cmd("GET", "n") == b"45000"
    proxy.close()


def test_a_promoted_replica_takes_the_others_along(start):
    master = start(FAST)
    fill(master, 20)
    a = start(of_master(master.port) + FAST)
    b = start(of_master(master.port))
    caught_up(master, a, b)
    old = replication(master)
    with a.raw() as c:
        assert c.cmd("REPLICAOF", "NO", "ONE") == b"OK"
        assert c.cmd("SET", "new", 1) == b"OK"
    with b.raw() as c:
        assert c.cmd("REPLICAOF", "127.0.0.1", a.port) == b"OK"
    with master.raw() as c:
        assert c.cmd("REPLICAOF", "127.0.0.1", a.port) == b"OK"
    caught_up(a, b, master)
    new = replication(a)
    assert new["role"] == "master" and new["master_replid2"] == old["master_replid"]
    assert int(new["second_repl_offset"]) == int(old["master_repl_offset"]) + 1
    assert replication(b)["master_replid"] == new["master_replid"] != old["master_replid"]
    assert a.info("stats")["sync_partial_ok"] == "2" and a.info("stats")["sync_full"] == "0"
    for s in (b, master):
        with s.raw() as c:
            assert c.cmd("GET", "new") == b"1"


def test_a_restart_goes_on_by_what_the_file_says(start):
    master = start(FAST)
    fill(master, 20)
    replica = start(of_master(master.port))
    caught_up(master, replica)
    with replica.raw() as c:
        assert c.cmd("SAVE") == b"OK"
    replica.stop()
    with master.raw() as c:
        c.cmd("SET", "meanwhile", 1)
    replica.start()
    caught_up(master, replica)
    with replica.raw() as c:
        assert c.cmd("GET", "meanwhile") == b"1"
    assert master.info("stats")["sync_full"] == "1" and master.info("stats")["sync_partial_ok"] == "1"
    # the same for a master that saved at its end
    with master.raw() as c:
        c.send(harness.encode(["SHUTDOWN", "SAVE"]))
        master.wait_exit()
    master.start()
    master.may_die = False
    caught_up(master, replica)
    assert master.info("stats")["sync_full"] == "0" and master.info("stats")["sync_partial_ok"] == "1"


@pytest.mark.ouro_only
def test_a_master_that_comes_back_empty_is_not_copied(start):
    master = start(FAST)
    fill(master, 20)
    replica = start(of_master(master.port))
    caught_up(master, replica)
    with replica.raw() as c:
        before = c.cmd("DEBUG", "DIGEST")
    master.may_die = True
    master.process.kill()
    master.process.wait()
    master.start()
    wait_until(lambda: "repl_guard" in replication(replica), 15, what=str(replication(replica)))
    with replica.raw() as c:
        assert c.cmd("DEBUG", "DIGEST") == before
        assert c.cmd("REPLICAOF", "127.0.0.1", master.port) == b"OK"      # the operator insists
        linked(replica)
        assert c.cmd("DBSIZE") == 0


# ---- WAIT, FAILOVER, a killed master ----

def test_wait_counts_replicas_that_have_it(start):
    master = start(FAST)
    with master.raw() as c:
        assert c.cmd("WAIT", 0, 0) == 0
        assert c.cmd("WAIT", 1, 50) == 0
        replicas = [start(of_master(master.port)) for _ in range(2)]
        for r in replicas:
            linked(r)
        for i in range(50):
            c.cmd("SET", "k", i)
            assert c.cmd("WAIT", 2, 5000) == 2
        os.kill(replicas[0].pid, signal.SIGSTOP)
        c.cmd("SET", "k", "x")
        began = time.monotonic()
        assert c.cmd("WAIT", 2, 300) == 1
        assert time.monotonic() - began >= 0.29
        with master.raw() as other:
            c.cmd("SET", "k", "y")
            c.send(harness.encode(["WAIT", 2, 0]))
            wait_until(lambda: master.info("clients")["blocked_clients"] == "1")
            ident = re.search(rb"id=(\d+) [^\n]*flags=b", other.cmd("CLIENT", "LIST")).group(1)
            assert other.cmd("CLIENT", "UNBLOCK", ident, "ERROR") == 1
            assert c.read() == "UNBLOCKED client unblocked via CLIENT UNBLOCK"
        os.kill(replicas[0].pid, signal.SIGCONT)
        assert c.cmd("WAIT", 2, 5000) == 2
        assert c.cmd("WAITAOF", 1, 0, 0).startswith("ERR WAITAOF cannot be used when numlocal is set")
    with replicas[0].raw() as c:
        assert c.cmd("WAIT", 0, 0).startswith("ERR WAIT cannot be used with replica instances.")


def test_failover_under_load_loses_nothing(start):
    master = start(FAST)
    replica = start(of_master(master.port) + FAST)
    third = start(of_master(master.port))
    for s in (replica, third):
        linked(s)
    with Counter(master.port) as counter:
        time.sleep(0.3)
        with master.raw() as c:
            assert c.cmd("FAILOVER", "TO", "127.0.0.1", replica.port) == b"OK"
        wait_until(lambda: replication(replica)["role"] == "master", 10)
        wait_until(lambda: replication(master)["role"] == "slave", 10)
        wait_until(lambda: all(counter.failed), 10)
    assert all(str(f).startswith("READONLY") for f in counter.failed), counter.failed
    linked(master)
    assert sum(counter.acked) > 100 and counter.lost(replica) == 0
    assert replica.info("stats")["sync_full"] == "0"
    assert replication(master)["master_failover_state"] == "no-failover"
    with replica.raw() as c:
        assert c.cmd("FAILOVER", "ABORT") == "ERR No failover in progress."


def test_a_killed_master_has_sent_what_it_acknowledged(start):
    for trial in range(3):
        master = start(FAST)
        replica = start(of_master(master.port))
        linked(replica)
        with Counter(master.port) as counter:
            time.sleep(0.2 + 0.07 * trial)
            master.may_die = True
            master.process.kill()
            wait_until(lambda: all(counter.failed), 10)
        with replica.raw() as c:
            assert c.cmd("REPLICAOF", "NO", "ONE") == b"OK"
        assert sum(counter.acked) > 100 and counter.lost(replica) == 0


# ---- what a raw SYNC sees ----

def test_the_stream_of_a_raw_sync(start):
    server = start(FAST)
    replica = RawReplica(server)
    assert replica.rdb.startswith(b"REDIS00") and len(replica.rdb) > 20
    c = server.redis()
    c.execute_command("SELECT", 9)
    c = server.redis(db=9)
    c.set("foo", "bar")
    c.set("foo", "bar", ex=100)
    c.execute_command("set", "foo", "bar", "pxat", 4102444800000)
    c.incrbyfloat("f", 0.5)
    c.getex("foo", persist=True)
    c.sadd("s", "a")
    c.spop("s")
    c.close()
    assert replica.command() == "select 9"
    assert replica.command() == "set foo bar"
    assert re.fullmatch(r"set foo bar PXAT \d{13}", replica.command())
    assert replica.command() == "set foo bar pxat 4102444800000"
    assert replica.command() == "set f 0.5 KEEPTTL"
    assert replica.command() == "persist foo"
    assert replica.command() == "sadd s a"
    assert re.match("(del|unlink|srem) s", replica.command())
    with server.raw() as raw:
        for words in ("SELECT 9", "MULTI", "SET a 1", "INCR a", "EXEC", "SELECT 0", "FLUSHALL", "PUBLISH ch hello",
                      "SET x y PX 1"):
            raw.cmd(*words.split())
        time.sleep(0.05)
        raw.cmd("GET", "x")
    assert replica.commands(4) == ["multi", "set a 1", "incr a", "exec"]
    assert replica.commands(3) == ["select 0", "flushall", "publish ch hello"]
    assert re.fullmatch(r"set x y PXAT \d{13}", replica.command())
    assert replica.command() in ("del x", "unlink x")
    replica.close()


def test_several_raw_syncs_get_the_same(start):
    server = start(FAST)
    fill(server, 20)
    replicas = [RawReplica(server) for _ in range(3)]
    with server.raw() as c:
        for i in range(100):
            c.cmd("SET", "k%d" % i, "v" * i * 50)
    streams = [r.commands(101) for r in replicas]
    assert streams[0] == streams[1] == streams[2]
    assert streams[0][0] == "select 0" and streams[0][-1] == "set k99 " + "v" * 99 * 50
    for r in replicas:
        r.close()


# ---- gates ----

def test_what_a_replica_refuses(start):
    master = start(FAST)
    replica = start(of_master(master.port) + FAST)
    linked(replica)
    readonly = "READONLY You can't write against a read only replica."
    with replica.raw() as c:
        assert c.cmd("SET", "a", 1) == readonly
        assert c.cmd("MULTI") == b"OK"
        assert c.cmd("SET", "a", 1) == readonly
        assert c.cmd("EXEC").startswith("EXECABORT")
        assert c.cmd("PUBLISH", "a", 1) == 0
        replica.config_set("replica-read-only", "no")
        assert c.cmd("SET", "own", 1) == b"OK"
        replica.config_set("replica-serve-stale-data", "no")
        assert c.cmd("GET", "own") == b"1"
        master.stop()
        down = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
        wait_until(lambda: c.cmd("GET", "own") == down, 5)
        assert b"role:slave" in c.cmd("INFO", "replication")
        assert c.cmd("ROLE")[:3] == [b"slave", b"127.0.0.1", master.port]
        replica.config_set("replica-serve-stale-data", "yes")
        assert c.cmd("GET", "own") == b"1"
        sub = replica.raw()
        sub.send(b"SYNC\r\n")
        assert sub.read() == "NOMASTERLINK Can't SYNC while not connected with my master"
        sub.close()
        assert c.cmd("REPLICAOF", "NO", "ONE") == b"OK"
        assert c.cmd("ROLE")[0] == b"master"
    master.may_die = True


def test_too_few_good_replicas(start):
    master = start(FAST + ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"])
    few = "NOREPLICAS Not enough good replicas to write."
    with master.raw() as c:
        assert c.cmd("SET", "a", 1) == few
        assert c.cmd("GET", "a") is None
        replica = start(of_master(master.port))
        linked(replica)
        wait_until(lambda: c.cmd("SET", "a", 1) == b"OK", 5)
        assert replication(master)["min_slaves_good_slaves"] == "1"
        os.kill(replica.pid, signal.SIGSTOP)
        wait_until(lambda: c.cmd("SET", "a", 1) == few, 10)
        os.kill(replica.pid, signal.SIGCONT)
        wait_until(lambda: c.cmd("SET", "a", 1) == b"OK", 10)


@pytest.mark.ouro_only
def test_reads_that_are_too_old_are_refused(start):
    master = start(FAST)
    with master.raw() as c:
        c.cmd("SET", "a", 1)
    replica = start(of_master(master.port) + ["--replica-max-staleness-ms", "300"])
    linked(replica)
    with replica.raw() as c:
        assert c.cmd("GET", "a") == b"1"
        os.kill(master.pid, signal.SIGSTOP)
        wait_until(lambda: str(c.cmd("GET", "a")).startswith("STALE "), 10)
        os.kill(master.pid, signal.SIGCONT)
        wait_until(lambda: c.cmd("GET", "a") == b"1", 10)


def test_blocked_clients_hear_of_the_change_of_role(start):
    master, other = start(FAST), start(FAST)
    with master.raw() as blocked, master.raw() as c:
        blocked.send(harness.encode(["BLPOP", "nothing", 0]))
        wait_until(lambda: master.info("clients")["blocked_clients"] == "1")
        assert c.cmd("REPLICAOF", "127.0.0.1", other.port) == b"OK"
        assert blocked.read() == ("UNBLOCKED force unblock from blocking operation, instance state changed (master -> "
                                  "replica?)")
        assert blocked.is_closed()


# ---- what is shown ----

FIELDS_MASTER = ("role connected_slaves slave0 master_failover_state master_replid master_replid2 master_repl_offset "
                 "second_repl_offset repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset "
                 "repl_backlog_histlen").split()
FIELDS_REPLICA = ("role master_host master_port master_link_status master_last_io_seconds_ago master_sync_in_progress "
                  "slave_read_repl_offset slave_repl_offset slave_priority slave_read_only replica_announced "
                  "connected_slaves master_failover_state master_replid master_replid2 master_repl_offset "
                  "second_repl_offset repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset "
                  "repl_backlog_histlen").split()


def test_info_role_and_client_list(start):
    master = start(FAST)
    replica = start(of_master(master.port))
    linked(replica)
    caught_up(master, replica)
    assert [f for f in replication(master) if "lag" not in f][:12] == FIELDS_MASTER
    assert list(replication(replica))[:21] == FIELDS_REPLICA
    line = wait_until(lambda: re.fullmatch(r"ip=127\.0\.0\.1,port=%d,state=online,offset=(\d+),lag=\d,lag_ms=\d+,"
                                           r"lag_bytes=\d+" % replica.port, replication(master)["slave0"]), 5)
    assert line
    with master.raw() as m, replica.raw() as r:
        offset = int(replication(master)["master_repl_offset"])
        assert m.cmd("ROLE")[:2] == [b"master", offset]
        assert m.cmd("ROLE")[2][0][:2] == [b"127.0.0.1", b"%d" % replica.port]
        assert r.cmd("ROLE")[:4] == [b"slave", b"127.0.0.1", master.port, b"connected"]
        assert b" flags=S " in m.cmd("CLIENT", "LIST", "TYPE", "replica")
        assert b" flags=M " in r.cmd("CLIENT", "LIST", "TYPE", "master")
        assert master.info("clients")["connected_clients"] == "2"       # this one and INFO's
        lag = m.cmd("REPLICATION", "LAG")
        assert lag[:2] == [b"role", b"master"]


@pytest.mark.ouro_only
def test_ouro_lag_shows_it(start):
    master = start(FAST)
    replica = start(of_master(master.port))
    linked(replica)
    tool = os.path.join(os.path.dirname(harness.BINARY), "ouro-lag")
    if not os.access(tool, os.X_OK):
        pytest.skip("no ouro-lag beside the server")
    with Load(master, threads=1):
        out = subprocess.run([tool, "127.0.0.1:%d" % master.port, "--once", "--json", "--interval", "300"], check=True,
                             capture_output=True, timeout=20).stdout
    look = json.loads(out)
    assert look["role"] == "master" and look["produced"] > 0
    assert look["replicas"][0]["replica"] == "127.0.0.1:%d" % replica.port and look["replicas"][0]["lag_ms"] >= 0
    text = subprocess.run([tool, "127.0.0.1:%d" % replica.port, "--once", "--interval", "50"], check=True,
                          capture_output=True, timeout=20).stdout
    assert b"follows 127.0.0.1:%d, link up" % master.port in text
    assert subprocess.run([tool, "--help"], capture_output=True, timeout=20, check=True).stdout.startswith(b"Usage")
    assert subprocess.run([tool, "127.0.0.1:1", "--once"], capture_output=True, timeout=20, check=False).returncode == 1


def test_a_shutdown_waits_for_replicas(start):
    master = start(FAST)
    replica = start(of_master(master.port))
    linked(replica)
    os.kill(replica.pid, signal.SIGSTOP)
    with master.raw() as c, master.raw() as stopper, master.raw() as writer:
        c.cmd("SET", "a", 1)
        assert c.cmd("SHUTDOWN", "ABORT") == "ERR No shutdown in progress."
        stopper.send(harness.encode(["SHUTDOWN", "NOSAVE"]))
        wait_until(lambda: "shutdown_in_milliseconds" in master.info("server"))
        writer.send(harness.encode(["SET", "b", 1]))
        assert c.cmd("SHUTDOWN", "ABORT") == b"OK"
        assert stopper.read() == "ERR Errors trying to SHUTDOWN. Check logs."
        assert writer.read() == b"OK"
        stopper.send(harness.encode(["SHUTDOWN", "NOSAVE"]))
        wait_until(lambda: "shutdown_in_milliseconds" in master.info("server"))
        os.kill(replica.pid, signal.SIGCONT)
        assert master.wait_exit() == 0
    assert "1 of 1 replicas are in sync" in master.log()
    with replica.raw() as r:
        assert r.cmd("GET", "b") == b"1"


# ---- keys ----

def test_keys_expire_on_a_replica_by_the_master(start):
    master = start(FAST)
    replica = start(of_master(master.port))
    linked(replica)
    with master.raw() as m, replica.raw() as r:
        m.cmd("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        m.cmd("SET", "a", 1, "PX", 60)
        caught_up(master, replica)
        time.sleep(0.1)
        assert r.cmd("GET", "a") is None and r.cmd("EXISTS", "a") == 0 and r.cmd("TTL", "a") == -2
        assert r.cmd("DBSIZE") == 1                    # its DEL has not come
        assert m.cmd("GET", "a") is None               # now it has
        caught_up(master, replica)
        assert r.cmd("DBSIZE") == 0
        m.cmd("SET", "b", 1, "PX", 60)
        caught_up(master, replica)
        m.cmd("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        wait_until(lambda: r.cmd("DBSIZE") == 0, 5)


def test_a_replica_leaves_eviction_to_its_master(start):
    master = start(FAST)
    replica = start(of_master(master.port) + ["--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru"])
    linked(replica)
    c = master.redis()
    p = c.pipeline(transaction=False)
    for i in range(3000):
        p.set("k%d" % i, "v" * 2000)
    p.execute()
    caught_up(master, replica)
    with replica.raw() as r:
        assert r.cmd("DBSIZE") == 3000
        assert r.cmd("CONFIG", "SET", "replica-ignore-maxmemory", "no") == b"OK"
        r.cmd("GET", "k1")
        wait_until(lambda: r.cmd("GET", "k1") or r.cmd("DBSIZE") < 3000, 5)


def test_messages_and_events_reach_a_replicas_clients(start):
    master = start(FAST)
    replica = start(of_master(master.port) + ["--notify-keyspace-events", "KEA"])
    linked(replica)
    with replica.raw() as sub, master.raw() as m:
        sub.cmd("SUBSCRIBE", "news")
        sub.send(harness.encode(["PSUBSCRIBE", "__keyevent@0__:*"]))
        sub.read()
        m.cmd("PUBLISH", "news", "hello")
        assert sub.read() == [b"message", b"news", b"hello"]
        m.cmd("SET", "k", 1)
        assert sub.read() == [b"pmessage", b"__keyevent@0__:*", b"__keyevent@0__:set", b"k"]


def test_a_pause_of_writes_holds_the_stream(start):
    master = start(FAST)
    replica = start(of_master(master.port))
    linked(replica)
    with master.raw() as m, master.raw() as writer:
        m.cmd("CLIENT", "PAUSE", 10000, "WRITE")
        writer.send(harness.encode(["SET", "a", 1]))
        caught_up(master, replica)
        writer.quiet(0.2)
        m.cmd("CLIENT", "UNPAUSE")
        assert writer.read() == b"OK"
    caught_up(master, replica)


# ---- slow links ----

@pytest.mark.ouro_only
def test_lag_is_the_age_of_the_data(start, proxy):
    """Behind a slow link: what the master says is what a clock in the data says."""
    master = start(FAST)
    slow = proxy(master.port)
    replica = start(of_master(slow.port))
    linked(replica)
    slow.rate = 200 * 1000
    m, r = master.redis(), replica.redis()
    errors = []
    end = time.monotonic() + 5
    pad = "x" * 1000
    while time.monotonic() < end:
        p = m.pipeline(transaction=False)
        for i in range(4):
            p.set("pad%d" % i, pad)
        p.set("clock", repr(time.time()))
        p.execute()
        time.sleep(0.01)
        text = r.get("clock")
        truth = (time.time() - float(text)) * 1000 if text else 0
        line = replication(master).get("slave0", "")
        said = int(re.search(r"lag_ms=(-?\d+)", line).group(1)) if line else -1
        errors.append((truth, said))
    worst = max(t for t, _ in errors)
    assert worst > 300, "the link is not slow: %r" % worst
    late = errors[len(errors) // 2:]
    wrong = [(t, s) for t, s in late if abs(t - s) > max(250, 0.25 * t)]
    assert len(wrong) < len(late) / 4, late[-10:]


@pytest.mark.slow
@pytest.mark.ouro_only
def test_a_slow_replica_is_fed_from_the_spill_file(start, proxy):
    master = start(FAST + ["--repl-backlog-size", "1mb"])
    slow = proxy(master.port)
    replica = start(of_master(slow.port))
    linked(replica)
    slow.rate = 8 * 1000 * 1000
    c = master.redis()
    before = master.rss()
    for i in range(120):                     # 120 MB
        p = c.pipeline(transaction=False)
        for k in range(10):
            p.set("k%d" % k, ("%d" % i) * 50000)
        p.execute()
    assert master.rss() - before < 96 * 1024 * 1024
    assert not [f for f in os.listdir(master.dir) if "spill" in f]
    slow.rate = 0
    caught_up(master, replica, timeout=60)
    assert master.info("stats")["sync_full"] == "1"
    with master.raw() as m, replica.raw() as r:
        assert m.cmd("DEBUG", "DIGEST") == r.cmd("DEBUG", "DIGEST")


# ---- peers that lie ----

GARBAGE = [
    b"+FULLRESYNC short 1\r\n",
    b"+FULLRESYNC " + b"a" * 40 + b" -5\r\n",
    b"+FULLRESYNC " + b"a" * 40 + b" 1\r\n$-3\r\n",
    b"+FULLRESYNC " + b"a" * 40 + b" 1\r\n$99999999999999999999\r\n",
    b"+FULLRESYNC " + b"a" * 40 + b" 1\r\n$10\r\n0123456789",
    b"+FULLRESYNC " + b"a" * 40 + b" 1\r\n$EOF:" + b"b" * 40 + b"\r\nREDIS0011junk" + b"b" * 40,
    b"+CONTINUE\r\n*1\r\n$3\r\nfoo\r\n",
    b"-ERR no\r\n",
    b"\n" * 100000,
    b"x" * 100000,
    b"",
]


@pytest.mark.parametrize("load", ["disabled", "swapdb"])
def test_a_lying_master_changes_nothing(start, load):
    master = FakeMaster(lambda s, n: handshake(s, GARBAGE[(n - 1) % len(GARBAGE)]))
    replica = start(["--repl-diskless-load", load, "--replica-empty-master-guard", "no"])
    with replica.raw() as c:
        c.cmd("SET", "mine", 1)
        assert c.cmd("REPLICAOF", "127.0.0.1", master.port) == b"OK"
        wait_until(lambda: master.connections > len(GARBAGE) + 2, 60)
        assert c.cmd("PING") == b"PONG"
        assert replication(replica)["master_link_status"] == "down"
        if load == "swapdb":
            assert c.cmd("GET", "mine") == b"1"
    master.close()


def test_garbage_in_the_stream_ends_the_link(start):
    real = start(FAST)
    rdb = RawReplica(real).rdb
    def talk(s, n):
        handshake(s, b"+FULLRESYNC " + b"a" * 40 + b" 1\r\n$%d\r\n" % len(rdb) + rdb +
                  b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*1\r\n$7\r\nNOSUCH!\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n" + b"*x\r\n")
        time.sleep(0.3)
    master = FakeMaster(talk)
    replica = start(of_master(master.port))
    with replica.raw() as c:
        wait_until(lambda: master.connections >= 3, 30)
        assert c.cmd("PING") == b"PONG"
    master.close()


def test_lying_replicas_change_nothing(start):
    master = start(FAST)
    lies = [
        ["PSYNC", "x" * 40, "99999999999"], ["PSYNC", "?", "-1"], ["PSYNC", "a", "b"], ["SYNC"],
        ["REPLCONF", "ACK", "99999999999999"], ["REPLCONF", "ACK", "x"], ["REPLCONF", "capa"], ["REPLCONF", "nosuch", "1"],
        ["REPLCONF", "ip-address", "x" * 300], ["REPLCONF", "listening-port", "-1"], ["REPLCONF", "getack", "*"],
        ["PSYNC", replication(master)["master_replid"], "1"],
    ]
    for first in lies:
        for second in lies[:6]:
            with master.raw() as c:
                c.send(harness.encode(["REPLCONF", "capa", "eof", "capa", "psync2"]))
                c.send(harness.encode(first) + harness.encode(second) + b"\n\n\n")
    with master.raw() as c:
        assert c.cmd("SET", "a", 1) == b"OK"
        wait_until(lambda: replication(master)["connected_slaves"] == "0", 10)
        assert c.cmd("REPLCONF", "a") == "ERR syntax error"
        assert c.cmd("REPLCONF", "a", "b") == "ERR Unrecognized REPLCONF option: a"


def test_a_killed_child_fails_the_sync_and_it_is_tried_again(start):
    master = start(FAST + ["--rdb-key-save-delay", "300"])
    c = master.redis()
    p = c.pipeline(transaction=False)
    for i in range(20000):
        p.set("k%d" % i, "v")
    p.execute()
    replica = start(of_master(master.port))

    def child():
        with open("/proc/%d/task/%d/children" % (master.pid, master.pid), encoding="ascii") as f:
            return f.read().split()
    pid = int(wait_until(child, 10)[0])
    os.kill(pid, signal.SIGKILL)
    master.config_set("rdb-key-save-delay", "0")
    caught_up(master, replica, timeout=30)
    with replica.raw() as r:
        assert r.cmd("DBSIZE") == 20000
