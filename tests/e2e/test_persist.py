"""Snapshots: SAVE, BGSAVE, save points, what a failure leaves, SHUTDOWN that saves, loading at start."""

import os
import re
import resource
import signal
import subprocess
import time

import pytest

from harness import Closed, Error, encode, run_once, wait_until

MISCONF = "MISCONF Redis is configured to save RDB snapshots"


def rdb(server):
    return os.path.join(server.dir, "dump.rdb")


def content(server):
    with open(rdb(server), "rb") as f:
        return f.read()


def child_of(server):
    """The pid of the only child, or None."""
    out = subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, text=True, check=False)
    pids = [int(p) for p in out.stdout.split()]
    assert len(pids) < 2
    return pids[0] if pids else None


def persistence(server):
    return server.info("persistence")


def wait_saved(server):
    wait_until(lambda: persistence(server)["rdb_bgsave_in_progress"] == "0", 20, what="the end of the save")


def again(server):
    """The same folder and port, a new process."""
    server.starts = max(server.starts, 1)
    server.may_die = False
    return server.start()


def digest(c):
    return c.cmd("DEBUG", "DIGEST")


def fill(c):
    """Something of every type, in its small and its large form."""
    for i in range(20):
        c.cmd("SET", "s%d" % i, "x" * i * 37)
    c.cmd("SET", "n", "12345")
    c.cmd("SET", "later", "v", "PX", "10000000")
    c.cmd("RPUSH", "l", *range(50))
    c.cmd("RPUSH", "L", *("element" * 40 + str(i) for i in range(300)))
    c.cmd("SADD", "si", *range(30))
    c.cmd("SADD", "sl", "a", "b", "c")
    c.cmd("SADD", "S", *("m%d" % i for i in range(1000)))
    c.cmd("HSET", "h", "f", "v", "g", "w")
    c.cmd("HSET", "H", *(str(i) for i in range(2000)))
    c.cmd("ZADD", "z", 1.5, "a", "-inf", "b", 3, "c")
    c.cmd("ZADD", "Z", *(x for i in range(500) for x in (i / 7, "m%d" % i)))
    for i in range(250):
        c.cmd("XADD", "x", "%d-1" % (i + 1), "f", i, "g", "v")
    c.cmd("XGROUP", "CREATE", "x", "g", "0")
    c.cmd("XREADGROUP", "GROUP", "g", "me", "COUNT", 5, "STREAMS", "x", ">")
    c.cmd("PFADD", "p", *range(500))
    c.cmd("SELECT", 9)
    c.cmd("SET", "other", "db")
    c.cmd("SELECT", 0)


# ---- saving ----

def test_what_was_saved_is_there_after_a_restart(start):
    s = start()
    with s.raw() as c:
        fill(c)
        before = digest(c)
        assert c.cmd("SAVE") == b"OK"
        c.cmd("SET", "lost", "1")
        c.send(encode(["SHUTDOWN", "NOSAVE"]))
    assert s.wait_exit() == 0
    again(s)
    with s.raw() as c:
        assert digest(c) == before
        assert c.cmd("GET", "lost") is None
        assert 0 < c.cmd("PTTL", "later") <= 10000000
        assert c.cmd("XPENDING", "x", "g")[0] == 5
    assert re.search(r"Done loading RDB, keys loaded: \d+, keys expired: 0", s.log())
    assert persistence(s)["rdb_last_load_keys_loaded"] == "34"
    assert "DB loaded from disk" in s.log()


def test_bgsave_saves_the_moment_it_began(start):
    s = start()
    with s.raw() as c:
        c.cmd("DEBUG", "POPULATE", 200)
        before = digest(c)
        c.cmd("CONFIG", "SET", "rdb-key-save-delay", 1000)
        assert c.cmd("BGSAVE") == b"Background saving started"
        for i in range(200):
            c.cmd("SET", "key:%d" % i, "changed")
        assert c.cmd("BGSAVE").startswith("ERR Background save already in progress")
        assert c.cmd("SAVE").startswith("ERR Background save already in progress")
        wait_saved(s)
        c.send(encode(["SHUTDOWN", "NOSAVE"]))
    assert s.wait_exit() == 0
    again(s)
    with s.raw() as c:
        assert digest(c) == before


def test_figures_of_a_save(start):
    s = start()
    with s.raw() as c:
        c.cmd("DEBUG", "POPULATE", 100)
        for i in range(7):
            c.cmd("SET", "key:%d" % i, "v")
        assert persistence(s)["rdb_changes_since_last_save"] == "7"
        c.cmd("CONFIG", "SET", "rdb-key-save-delay", 10000)
        c.cmd("BGSAVE")
        c.cmd("SET", "key:0", "w")
        wait_until(lambda: int(persistence(s)["current_save_keys_processed"]) > 3)
        p = persistence(s)
        assert p["current_save_keys_total"] == "100" and p["rdb_bgsave_in_progress"] == "1"
        assert float(p["current_fork_perc"]) > 0 and int(p["current_cow_size"]) > 0
        assert int(p["rdb_current_bgsave_time_sec"]) >= 0
        c.cmd("CONFIG", "SET", "rdb-key-save-delay", 0)
        wait_saved(s)
        p = persistence(s)
        assert p["rdb_changes_since_last_save"] == "1" and p["rdb_last_bgsave_status"] == "ok"
        assert p["current_save_keys_total"] == "0" and p["current_fork_perc"] == "0.00"
        assert int(p["rdb_last_cow_size"]) > 0 and p["rdb_current_bgsave_time_sec"] == "-1"
        assert s.info("stats")["total_forks"] == "1" and int(s.info("stats")["latest_fork_usec"]) > 0
        assert abs(c.cmd("LASTSAVE") - time.time()) < 10
        c.cmd("SAVE")
        assert persistence(s)["rdb_changes_since_last_save"] == "0"


def test_a_child_is_seen_and_its_death_noticed(start):
    s = start(["--oom-score-adj", "absolute", "--oom-score-adj-values", "0", "200", "800"])
    with s.raw() as c:
        c.cmd("DEBUG", "POPULATE", 100)
        c.cmd("SAVE")
        before = content(s)
        c.cmd("CONFIG", "SET", "rdb-key-save-delay", 100000)
        c.cmd("BGSAVE")
        pid = wait_until(lambda: child_of(s))

        def score():
            with open("/proc/%d/oom_score_adj" % pid, encoding="ascii") as f:
                return f.read().strip() == "800"
        wait_until(score)
        os.kill(pid, signal.SIGKILL)
        wait_saved(s)
        assert persistence(s)["rdb_last_bgsave_status"] == "err"
        assert "Background saving terminated by signal 9" in s.log()
        assert content(s) == before
        assert not [f for f in os.listdir(s.dir) if f.startswith("temp-")]
        c.cmd("CONFIG", "SET", "rdb-key-save-delay", 0)
        assert c.cmd("BGSAVE") == b"Background saving started"
        wait_saved(s)
        assert persistence(s)["rdb_last_bgsave_status"] == "ok"


def test_the_child_ends_with_its_parent(start):
    s = start()
    with s.raw() as c:
        c.cmd("DEBUG", "POPULATE", 100)
        c.cmd("CONFIG", "SET", "rdb-key-save-delay", 100000)
        c.cmd("BGSAVE")
        pid = wait_until(lambda: child_of(s))
    s.may_die = True
    s.send_signal(signal.SIGKILL)
    s.wait_exit()
    wait_until(lambda: not os.path.exists("/proc/%d" % pid), what="the child's end")
    assert not os.path.exists(rdb(s))


def test_save_points(start):
    s = start()
    with s.raw() as c:
        c.cmd("CONFIG", "SET", "save", "1 3")
        c.cmd("SET", "a", 1)
        time.sleep(1.5)
        assert not os.path.exists(rdb(s))
        c.cmd("SET", "a", 2)
        c.cmd("SET", "a", 3)
        wait_until(lambda: os.path.exists(rdb(s)), 10)
        assert "3 changes in 1 seconds. Saving..." in s.log()
        wait_until(lambda: persistence(s)["rdb_changes_since_last_save"] == "0")


def test_bgsave_in_a_transaction_is_scheduled(start):
    s = start()
    with s.raw() as c:
        c.cmd("MULTI")
        c.cmd("SET", "a", 1)
        c.cmd("BGSAVE")
        c.cmd("SET", "b", 1)
        assert c.cmd("EXEC") == [b"OK", b"Background saving scheduled", b"OK"]
        wait_until(lambda: os.path.exists(rdb(s)), 10)
        assert c.cmd("BGSAVE", "NOW") == "ERR syntax error"
        assert c.cmd("BGSAVE", "SCHEDULE", "x") == "ERR syntax error"
        c.send(encode(["SHUTDOWN", "NOSAVE"]))
    assert s.wait_exit() == 0
    again(s)
    with s.raw() as c:
        assert c.cmd("DBSIZE") == 2


def test_flushall_stops_the_child_and_saves_the_emptiness(start):
    s = start()
    with s.raw() as c:
        c.cmd("CONFIG", "SET", "save", "1000 1000")
        c.cmd("DEBUG", "POPULATE", 100)
        c.cmd("CONFIG", "SET", "rdb-key-save-delay", 100000)
        c.cmd("BGSAVE")
        wait_until(lambda: child_of(s))
        c.cmd("FLUSHALL")
        assert child_of(s) is None
        p = persistence(s)
        assert p["rdb_bgsave_in_progress"] == "0" and p["rdb_last_bgsave_status"] == "ok"
        assert len(content(s)) < 200
        # without save points only the child goes
        os.unlink(rdb(s))
        c.cmd("CONFIG", "SET", "save", "")
        c.cmd("DEBUG", "POPULATE", 100)
        c.cmd("BGSAVE")
        c.cmd("FLUSHALL")
        assert persistence(s)["rdb_bgsave_in_progress"] == "0"
        assert not os.path.exists(rdb(s))


# ---- failures ----

def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (200000, 200000))


@pytest.mark.ouro_only   # Redis does not survive SIGXFSZ
def test_a_disk_that_is_full_leaves_the_old_file(start):
    s = start(preexec=limit_files)
    with s.raw() as c:
        c.cmd("SET", "a", 1)
        c.cmd("SAVE")
        before = content(s)
        for i in range(300):
            c.cmd("SET", "big%d" % i, os.urandom(1000))
        assert isinstance(c.cmd("SAVE"), Error)
        c.cmd("BGSAVE")
        wait_saved(s)
        assert persistence(s)["rdb_last_bgsave_status"] == "err"
        assert content(s) == before
        assert not [f for f in os.listdir(s.dir) if f.startswith("temp-")]
        assert "File too large" in s.log()
        assert c.cmd("SET", "a", 1) == b"OK"   # no save points: nobody promised anything
        c.cmd("CONFIG", "SET", "save", "1000 1000")
        assert c.cmd("SET", "a", 1).startswith(MISCONF)
        assert c.cmd("PING").startswith(MISCONF)
        assert c.cmd("GET", "a") == b"1"
        c.cmd("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        assert c.cmd("FLUSHALL") == b"OK"   # which saves: it is well again
        c.cmd("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
        assert c.cmd("SET", "a", 1) == b"OK"


def test_a_folder_that_is_not_there(start):
    s = start(["--enable-protected-configs", "yes"])
    os.mkdir(s.dir + "/sub")
    with s.raw() as c:
        c.cmd("CONFIG", "SET", "dir", s.dir + "/sub")
        os.rmdir(s.dir + "/sub")
        assert isinstance(c.cmd("SAVE"), Error)
        c.cmd("CONFIG", "SET", "save", "1 1")
        c.cmd("SET", "a", 1)
        wait_until(lambda: persistence(s)["rdb_last_bgsave_status"] == "err", 10)
        tries = int(persistence(s)["rdb_saves"])
        time.sleep(2)
        assert int(persistence(s)["rdb_saves"]) <= tries + 1   # a failure is tried again after 5 s
        assert c.cmd("SHUTDOWN") == "ERR Errors trying to SHUTDOWN. Check logs."
        s.send_signal(signal.SIGTERM)
        s.wait_log("SIGTERM received but errors trying to shut down")
        assert c.cmd("GET", "a") == b"1"
        c.cmd("CONFIG", "SET", "dir", s.dir)
        s.wait_log("Background saving terminated with success", 15)
        os.mkdir(s.dir + "/sub")
        c.cmd("CONFIG", "SET", "dir", s.dir + "/sub")
        os.rmdir(s.dir + "/sub")
        c.send(encode(["SHUTDOWN", "FORCE"]))
    assert s.wait_exit() == 0


# ---- the end ----

@pytest.mark.parametrize("how, saves", [
    (["SHUTDOWN"], True), (["SHUTDOWN", "NOSAVE"], False), (["SHUTDOWN", "SAVE", "NOW"], True), (signal.SIGTERM, True),
    (signal.SIGINT, True)])
def test_the_end_saves_when_there_are_save_points(start, how, saves):
    s = start()
    with s.raw() as c:
        c.cmd("CONFIG", "SET", "save", "1000 1000")
        c.cmd("SET", "a", 1)
        if isinstance(how, list):
            c.send(encode(how))
            assert c.read_all() == b""
        else:
            s.send_signal(how)
    assert s.wait_exit() == 0
    assert os.path.exists(rdb(s)) == saves
    assert ("Saving the final RDB snapshot before exiting" in s.log()) == saves


def test_shutdown_save_without_save_points(start):
    s = start()
    with s.raw() as c:
        c.cmd("SET", "a", 1)
        c.send(encode(["SHUTDOWN", "SAVE"]))
    assert s.wait_exit() == 0
    assert os.path.exists(rdb(s))


def test_shutdown_ends_a_save_under_way(start):
    s = start()
    with s.raw() as c:
        c.cmd("DEBUG", "POPULATE", 100)
        c.cmd("CONFIG", "SET", "rdb-key-save-delay", 100000)
        c.cmd("BGSAVE")
        pid = wait_until(lambda: child_of(s))
        c.send(encode(["SHUTDOWN", "NOSAVE"]))
    assert s.wait_exit() == 0
    assert not os.path.exists("/proc/%d" % pid)
    assert "There is a child saving an .rdb. Killing it!" in s.log()


def test_nothing_behind_shutdown_is_acknowledged(start):
    s = start()
    with s.raw() as c:
        c.cmd("SET", "a", 1)
        c.send(encode(["SHUTDOWN", "SAVE"]) + encode(["SET", "b", 1]))
        assert c.read_all() == b""
    assert s.wait_exit() == 0
    again(s)
    with s.raw() as c:
        assert c.cmd("DBSIZE") == 1


# ---- loading ----

def stop(server, c):
    c.send(encode(["SHUTDOWN", "NOSAVE"]))
    assert server.wait_exit() == 0


def test_commands_while_loading(start):
    s = start()
    with s.raw() as c:
        c.cmd("DEBUG", "POPULATE", 2000)
        c.cmd("SAVE")
        stop(s, c)
    s.args += ["--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"]
    again(s)
    with s.raw() as c:
        assert c.cmd("GET", "key:1") == "LOADING Redis is loading the dataset in memory"
        assert c.cmd("PING").startswith("LOADING")
        assert c.cmd("SAVE").startswith("LOADING")
        p = persistence(s)
        assert p["loading"] == "1" and p["async_loading"] == "0"
        assert int(p["loading_total_bytes"]) == len(content(s))
        assert 0 < int(p["loading_loaded_bytes"]) < int(p["loading_total_bytes"])
        assert 0 < float(p["loading_loaded_perc"]) < 100 and "loading_eta_seconds" in p
        c.cmd("CONFIG", "SET", "key-load-delay", 0)   # is taken when a load begins
        assert c.cmd("DEBUG", "RELOAD").startswith("ERR")
        assert s.log().count("Ready to accept") == 1, "only of the first start"
        s.may_die = True
        before = content(s)
        s.send_signal(signal.SIGTERM)
        assert s.wait_exit() == 0
    assert content(s) == before, "what is half loaded does not replace the file"


def damaged(data):
    middle = len(data) // 2
    yield "cut", data[:middle], r"offset \d+ .*ends too early|longer than the data"
    yield "flipped", data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1:], r"offset \d+"
    yield "future", data[:5] + b"0099" + data[9:], r"Can't handle RDB format version 99"
    yield "text", b"hello world", r"no RDB file"
    yield "empty", b"", r"ends too early"


@pytest.mark.parametrize("number", range(5))
def test_a_damaged_file_ends_the_start(start, number):
    s = start()
    with s.raw() as c:
        fill(c)
        c.cmd("SAVE")
        stop(s, c)
    _, data, text = list(damaged(content(s)))[number]
    with open(rdb(s), "wb") as f:
        f.write(data)
    again_argv = s.argv()
    code, out, err = run_once(*again_argv[1:], cwd=s.dir)
    assert code == 1
    assert re.search(text, (out + err).decode()), out.decode()
    assert content(s) == data


def test_a_file_that_is_a_folder(start):
    s = start()
    with s.raw() as c:
        stop(s, c)
    os.mkdir(rdb(s))
    code, out, _ = run_once(*s.argv()[1:], cwd=s.dir)
    assert code == 1 and b"Ready to accept" not in out


def test_expired_keys_are_dropped_when_a_master_loads(start):
    s = start()
    with s.raw() as c:
        c.cmd("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        c.cmd("SET", "soon", "v", "PX", "200")
        c.cmd("SET", "stays", "v")
        c.cmd("SAVE")
        stop(s, c)
    time.sleep(0.3)
    again(s)
    assert "keys loaded: 1, keys expired: 1" in s.log()
    assert persistence(s)["rdb_last_load_keys_expired"] == "1"


def test_debug_reload(start):
    s = start()
    with s.raw() as c:
        fill(c)
        before = digest(c)
        assert c.cmd("DEBUG", "RELOAD") == b"OK"
        assert digest(c) == before
        c.cmd("SET", "new", "1")
        assert c.cmd("DEBUG", "RELOAD", "NOSAVE") == b"OK"
        assert digest(c) == before
        c.cmd("SET", "new", "1")
        c.cmd("SET", "n", "other")
        with_new = c.cmd("DBSIZE")
        assert c.cmd("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH", "MERGE") == b"OK"
        assert c.cmd("DBSIZE") == with_new and c.cmd("GET", "n") == b"12345"
        assert c.cmd("DEBUG", "RELOAD", "HELLO").startswith("ERR DEBUG RELOAD only supports")


@pytest.mark.ouro_only
def test_a_reload_that_fails_keeps_the_data(start):
    s = start()
    with s.raw() as c:
        fill(c)
        before = digest(c)
        c.cmd("SAVE")
        with open(rdb(s), "r+b") as f:
            f.truncate(500)
        assert c.cmd("DEBUG", "RELOAD", "NOSAVE") == "ERR Error trying to load the RDB dump, check server logs."
        assert digest(c) == before


# ---- versions ----

@pytest.mark.ouro_only
def test_version_10_is_read_by_redis_7_0(start):
    redis_server, check = "/usr/bin/redis-server", "/usr/bin/redis-check-rdb"
    if not os.path.exists(redis_server) or not os.path.exists(check):
        pytest.skip("no redis-server")
    s = start(["--rdb-save-version", "10"])
    with s.raw() as c:
        fill(c)
        assert c.cmd("SAVE") == b"OK"
        out = subprocess.run([check, rdb(s)], capture_output=True, text=True, check=False)
        assert out.returncode == 0 and "RDB looks OK" in out.stdout, out.stdout
        ours = digest(c)
        stop(s, c)
    process = subprocess.Popen([redis_server, "--port", str(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
                                "--enable-debug-command", "yes"], stdout=subprocess.DEVNULL, cwd=s.dir)
    try:
        s.process = process
        s.wait_ready()
        with s.raw() as c:
            wait_until(lambda: not isinstance(c.cmd("PING"), Error))
            assert c.cmd("SAVE") == b"OK"
    finally:
        process.kill()
        process.wait()
    again(s)   # what Redis made of it, saved by it, is what we had
    with s.raw() as c:
        assert digest(c) == ours


def test_11_is_the_usual_version(start):
    s = start()
    with s.raw() as c:
        c.cmd("SADD", "s", "a", "b")
        c.cmd("SAVE")
        assert content(s)[:9] in (b"REDIS0011", b"REDIS0010")   # Redis 7.2, 7.0
        c.cmd("CONFIG", "SET", "rdbcompression", "no")
        c.cmd("SET", "k", "a" * 1000)
        c.cmd("SAVE")
        assert b"a" * 1000 in content(s)
