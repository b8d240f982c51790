"""What operators look at: INFO, MONITOR, SLOWLOG, LATENCY, COMMAND, OBJECT, DEBUG, MEMORY."""

import re
import time

import pytest

from harness import Error, encode, wait_until

# Fields of a standalone server without replicas and AOF, by section; version differences left out.
INFO = {
    "server": "redis_version redis_git_sha1 redis_git_dirty redis_build_id redis_mode os "
              "arch_bits monotonic_clock "
              "multiplexing_api atomicvar_api gcc_version process_id process_supervised run_id "
              "tcp_port server_time_usec "
              "uptime_in_seconds uptime_in_days hz configured_hz lru_clock executable "
              "config_file io_threads_active",
    "clients": "connected_clients cluster_connections maxclients client_recent_max_input_buffer "
               "client_recent_max_output_buffer blocked_clients tracking_clients "
               "clients_in_timeout_table",
    "memory": "used_memory used_memory_human used_memory_rss used_memory_rss_human "
              "used_memory_peak used_memory_peak_human "
              "used_memory_peak_perc used_memory_overhead used_memory_startup "
              "used_memory_dataset used_memory_dataset_perc "
              "allocator_allocated allocator_active allocator_resident total_system_memory "
              "total_system_memory_human "
              "maxmemory maxmemory_human maxmemory_policy mem_fragmentation_ratio mem_allocator "
              "mem_not_counted_for_evict "
              "mem_clients_normal mem_clients_slaves lazyfree_pending_objects lazyfreed_objects",
    "persistence": "loading async_loading rdb_changes_since_last_save rdb_bgsave_in_progress "
                   "rdb_last_save_time "
                   "rdb_last_bgsave_status rdb_last_bgsave_time_sec rdb_current_bgsave_time_sec "
                   "aof_enabled "
                   "aof_rewrite_in_progress",
    "stats": "total_connections_received total_commands_processed instantaneous_ops_per_sec "
             "total_net_input_bytes "
             "total_net_output_bytes instantaneous_input_kbps instantaneous_output_kbps "
             "rejected_connections sync_full "
             "expired_keys expired_stale_perc expired_time_cap_reached_count evicted_keys "
             "evicted_clients keyspace_hits "
             "keyspace_misses pubsub_channels pubsub_patterns latest_fork_usec total_forks "
             "slave_expires_tracked_keys "
             "tracking_total_keys tracking_total_items tracking_total_prefixes "
             "unexpected_error_replies total_error_replies "
             "total_reads_processed total_writes_processed",
    "replication": "role connected_slaves master_failover_state master_replid master_replid2 "
                   "master_repl_offset "
                   "second_repl_offset repl_backlog_active repl_backlog_size "
                   "repl_backlog_first_byte_offset repl_backlog_histlen",
    "cpu": "used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children",
    "cluster": "cluster_enabled",
}


class TestInfo:
    @pytest.mark.parametrize("section", INFO)
    def test_fields(self, shared, section):
        info = shared.info(section)
        missing = [f for f in INFO[section].split() if f not in info]
        assert not missing

    def test_form(self, raw):
        text = raw.cmd("INFO").decode()
        assert re.fullmatch(r"(# \w+\r\n(.+:.*\r\n)*(\r\n)?)+", text), text
        names = re.findall(r"^# (\w+)", text, re.M)
        order = ["Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU",
                 "Modules", "Errorstats", "Cluster",
                 "Keyspace"]
        assert [n for n in names if n in order] == [n for n in order if n in names]
        assert "Commandstats" not in names

    def test_section_arguments(self, raw):
        def names(*args):
            return re.findall(r"^# (\w+)", raw.cmd("INFO", *args).decode(), re.M)
        assert names("server") == ["Server"] and names("SERVER", "cpu") == ["Server", "CPU"]
        assert names("nosuch") == []
        assert "Commandstats" in names("all")
        assert "Commandstats" in names("everything")
        assert names("default") == names()
        assert names("commandstats") == ["Commandstats"]
        assert set(names("default", "commandstats")) > {"Server", "Commandstats"}

    def test_counters(self, server):
        with server.raw() as c:
            before = server.info()
            for _ in range(10):
                c.cmd("SET", "k", "v")
                c.cmd("GET", "k")
                c.cmd("GET", "none")
            c.cmd("NOSUCH")
            c.cmd("INCR", "k")
            after = server.info()

        def grew(name):
            return int(after[name]) - int(before[name])
        assert grew("total_commands_processed") >= 31
        assert grew("keyspace_hits") >= 10
        assert grew("keyspace_misses") >= 10
        assert grew("total_connections_received") >= 1 and grew("total_net_input_bytes") > 700
        assert grew("total_error_replies") == 2 and grew("rdb_changes_since_last_save") == 10
        assert after["errorstat_ERR"] == "count=2"
        assert int(after["process_id"]) == server.pid and after["tcp_port"] == str(server.port)
        assert re.fullmatch(r"[0-9a-f]{40}", after["run_id"])
        assert after["redis_mode"] == "standalone"
        assert after["role"] == "master" and after["used_memory_human"][-1] in "BKMG"

    def test_commandstats_and_resetstat(self, server):
        with server.raw() as c:
            c.cmd("GET", "a")
            c.cmd("GET", "a", "b")
            c.cmd("SET", "s", "x")
            c.cmd("INCR", "s")
            c.cmd("CONFIG", "GET", "hz")
            info = server.info("commandstats")
            assert re.fullmatch(r"calls=1,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=1,failed_calls=0", info["cmdstat_get"])
            assert info["cmdstat_incr"].endswith("rejected_calls=0,failed_calls=1")
            assert "cmdstat_config|get" in info
            latency = server.info("latencystats")
            assert re.fullmatch(r"p50=[\d.]+,p99=[\d.]+,p99.9=[\d.]+",
                                latency["latency_percentiles_usec_get"])
            assert c.cmd("CONFIG", "RESETSTAT") == b"OK"
            info = server.info("commandstats")
            assert "cmdstat_get" not in info
            assert int(server.info("stats")["total_commands_processed"]) < 10

    def test_error_statistics(self, server):
        with server.raw() as c:
            c.cmd("NOSUCH")
            c.cmd("SET", "k", "v")
            c.cmd("EXEC")
            c.cmd("AUTH", "a", "b")
            c.cmd("GETEX", "k", "EX", "0")
        errors = server.info("errorstats")
        assert errors["errorstat_ERR"] == "count=3" and errors["errorstat_WRONGPASS"] == "count=1"


class TestMonitor:
    def test_lines(self, shared, raw):
        assert raw.cmd("MONITOR") == b"OK"
        with shared.raw() as c:
            c.cmd("SELECT", 3)
            c.cmd("set", "k", b'a"\\\r\n\t\x07\x08\x00\xff')
            c.cmd("NOSUCH", "x")
            c.cmd("AUTH", "secret")
            lines = [raw.read().decode() for _ in range(2)]
        assert re.fullmatch(r'\d{10}\.\d{6} \[\d+ 127\.0\.0\.1:\d+\] "SELECT" "3"', lines[0]), lines
        assert lines[1].endswith('"set" "k" "a\\"\\\\\\r\\n\\t\\a\\b\\x00\\xff"')
        assert "[3 " in lines[1]

    def test_order_and_end(self, shared, raw):
        raw.cmd("MONITOR")
        with shared.raw() as c:
            c.cmd("MULTI")
            c.cmd("SET", "a", 1)
            c.cmd("EXEC")
            c.cmd("PING")
            seen = []
            while not seen or '"PING"' not in seen[-1]:
                seen.append(raw.read().decode())
        names = [re.search(r'\] "(\w+)"', s).group(1) for s in seen]
        assert names in (["MULTI", "SET", "EXEC", "PING"], ["MULTI", "EXEC", "SET", "PING"])
        assert raw.cmd("RESET") == b"RESET"
        with shared.raw() as c:
            c.cmd("PING")
        raw.quiet(0.1)


class TestSlowlog:
    def test_entries(self, server):
        with server.raw() as c:
            c.cmd("CLIENT", "SETNAME", "slow one")
            c.cmd("CLIENT", "SETNAME", "slow-one")
            server.config_set("slowlog-log-slower-than", 10000)
            c.cmd("DEBUG", "SLEEP", "0.02")
            got = c.cmd("SLOWLOG", "GET")
            assert len(got) == 1
            number, at, micros, args, address, name = got[0]
            assert number == 0 and abs(at - time.time()) < 3 and 20000 <= micros < 2000000
            assert args == [b"DEBUG", b"SLEEP", b"0.02"]
            assert name == b"slow-one"
            assert address.startswith(b"127.0.0.1:")
            assert c.cmd("SLOWLOG", "LEN") == 1
            assert c.cmd("SLOWLOG", "RESET") == b"OK"
            assert c.cmd("SLOWLOG", "LEN") == 0

    def test_limits(self, server):
        server.config_set("slowlog-log-slower-than", 0, "slowlog-max-len", 10)
        with server.raw() as c:
            for i in range(30):
                c.cmd("SET", "k%d" % i, "v")
            got = c.cmd("SLOWLOG", "GET", 100)
            assert len(got) == 10 and got[0][3][1] == b"k29"
            assert len(c.cmd("SLOWLOG", "GET", 3)) == 3 and len(c.cmd("SLOWLOG", "GET", -1)) == 10
            assert c.cmd("SLOWLOG", "GET", -5) == "ERR count should be greater than or equal to -1"
            c.cmd("SET", "long", "x" * 1000)
            c.cmd("DEL", *range(100))
            entries = {e[3][0]: e[3] for e in c.cmd("SLOWLOG", "GET", 3)}
            assert entries[b"SET"][2] == b"x" * 128 + b"... (872 more bytes)"
            assert len(entries[b"DEL"]) == 32 and entries[b"DEL"][-1] == b"... (70 more arguments)"
            server.config_set("slowlog-log-slower-than", -1)
            c.cmd("SLOWLOG", "RESET")
            c.cmd("DEBUG", "SLEEP", "0.01")
            assert c.cmd("SLOWLOG", "LEN") == 0


class TestLatency:
    def test_events(self, server):
        server.config_set("latency-monitor-threshold", 20)
        with server.raw() as c:
            c.cmd("DEBUG", "SLEEP", "0.05")
            latest = c.cmd("LATENCY", "LATEST")
            event = [e for e in latest if e[0] == b"command"]
            assert event
            assert abs(event[0][1] - time.time()) < 3
            assert event[0][2] >= 50
            assert event[0][3] >= 50
            history = c.cmd("LATENCY", "HISTORY", "command")
            assert len(history) == 1 and history[0][1] >= 50
            assert b"command - high" in c.cmd("LATENCY", "GRAPH", "command")
            assert c.cmd("LATENCY", "GRAPH", "x") == "ERR No samples available for event 'x'"
            assert c.cmd("LATENCY", "RESET", "command") == 1
            assert c.cmd("LATENCY", "HISTORY", "command") == []
            assert b"DOCTOR" in c.cmd("LATENCY", "DOCTOR").upper() or c.cmd("LATENCY", "DOCTOR")

    def test_histogram(self, server):
        with server.raw() as c:
            for _ in range(20):
                c.cmd("SET", "k", "v")
            c.cmd("CONFIG", "GET", "hz")
            reply = c.cmd("LATENCY", "HISTOGRAM", "set", "config|get", "nosuch")
            got = dict(zip(reply[::2], reply[1::2]))
            assert set(got) == {b"set", b"config|get"}
            entry = dict(zip(got[b"set"][::2], got[b"set"][1::2]))
            assert entry[b"calls"] == 20 and sum(entry[b"histogram_usec"][1::2][-1:]) == 20


class TestCommandTable:
    def test_info_of_known_commands(self, raw):
        get, config, none = raw.cmd("COMMAND", "INFO", "get", "config|get", "nosuch")
        assert get[:6] == [b"get", 2, [b"readonly", b"fast"], 1, 1, 1]
        assert set(get[6]) == {b"@read", b"@string", b"@fast"}
        assert config[0] == b"config|get" and config[1] == -3 and none is None
        assert len(get) == 10 and get[8][0][1] == [b"RO", b"access"]

    def test_count_and_list(self, raw):
        names = raw.cmd("COMMAND", "LIST")
        top = [n for n in names if b"|" not in n]
        assert len(names) == len(set(names))
        assert raw.cmd("COMMAND", "COUNT") == len(top) == len(raw.cmd("COMMAND"))
        assert {b"get", b"set", b"multi", b"subscribe", b"config", b"client"} <= set(names)
        assert set(raw.cmd("COMMAND", "LIST", "FILTERBY", "PATTERN", "get*")) <= {n for n in names
            if n.startswith(b"get")}
        assert b"get" in raw.cmd("COMMAND", "LIST", "FILTERBY", "ACLCAT", "read")
        assert raw.cmd("COMMAND", "LIST", "FILTERBY", "MODULE", "x") == []

    @pytest.mark.parametrize("args, keys", [
        (["GET", "k"], [b"k"]), (["SET", "k", "v", "EX", "1"], [b"k"]),
        (["MSET", "a", "1", "b", "2"], [b"a", b"b"]),
        (["MGET", "a", "b", "c"], [b"a", b"b", b"c"]), (["BITOP", "AND", "d", "a", "b"],
                                                        [b"d", b"a", b"b"]),
        (["RENAME", "a", "b"], [b"a", b"b"]), (["COPY", "a", "b", "DB", "1"], [b"a", b"b"]),
        (["OBJECT", "ENCODING", "k"], [b"k"]),
        (["MEMORY", "USAGE", "k"], [b"k"]), (["DEL", "a", "b"], [b"a", b"b"]),
    ], ids=str)
    def test_getkeys(self, raw, args, keys):
        assert raw.cmd("COMMAND", "GETKEYS", *args) == keys

    def test_getkeys_errors(self, raw):
        assert raw.cmd("COMMAND", "GETKEYS", "NOSUCH", "a") == "ERR Invalid command specified"
        assert raw.cmd("COMMAND", "GETKEYS", "PING", "x") == "ERR The command has no key arguments"
        assert isinstance(raw.cmd("COMMAND", "GETKEYS", "GET"), Error)
        flags = raw.cmd("COMMAND", "GETKEYSANDFLAGS", "SET", "k", "v")
        assert flags[0][0] == b"k" and set(flags[0][1]) >= {b"OW", b"update"}

    def test_docs(self, raw):
        reply = raw.cmd("COMMAND", "DOCS", "set", "config")
        docs = {name: dict(zip(d[::2], d[1::2])) for name, d in zip(reply[::2], reply[1::2])}
        assert docs[b"set"][b"group"] == b"string"
        assert docs[b"set"][b"since"] == b"1.0.0"
        assert docs[b"set"][b"summary"]
        assert docs[b"config"][b"subcommands"]
        everything = raw.cmd("COMMAND", "DOCS")
        assert len(everything) // 2 == raw.cmd("COMMAND", "COUNT")


class TestMemoryAndObject:
    def test_memory_usage(self, raw):
        raw.cmd("SET", "small", "x")
        raw.cmd("SET", "big", "x" * 100000)
        small, big = raw.cmd("MEMORY", "USAGE", "small"), raw.cmd("MEMORY", "USAGE", "big")
        assert 8 <= small < 200
        assert 100000 <= big < 150000
        assert raw.cmd("MEMORY", "USAGE", "none") is None

    def test_memory_stats_and_doctor(self, raw):
        reply = raw.cmd("MEMORY", "STATS")
        stats = dict(zip(reply[::2], reply[1::2]))
        assert {b"peak.allocated", b"total.allocated", b"startup.allocated", b"keys.count",
                b"dataset.bytes"} <= set(stats)
        assert isinstance(raw.cmd("MEMORY", "DOCTOR"), bytes)
        assert raw.cmd("MEMORY", "PURGE") == b"OK"

    def test_object(self, raw):
        raw.cmd("SET", "n", 12345)
        raw.cmd("SET", "short", "x" * 44)
        raw.cmd("SET", "long", "x" * 45)
        assert [raw.cmd("OBJECT", "ENCODING", k) for k in ("n", "long", "none")] == [b"int", b"raw",
            None]
        assert raw.cmd("OBJECT", "ENCODING", "short") in (b"embstr", b"raw")
        raw.cmd("APPEND", "n", "x")
        assert raw.cmd("OBJECT", "ENCODING", "n") == b"raw"
        assert raw.cmd("OBJECT", "IDLETIME", "n") == 0
        assert raw.cmd("OBJECT", "REFCOUNT", "long") == 1
        wait_until(lambda: raw.cmd("OBJECT", "IDLETIME", "n") >= 1, 3, 0.2, what="idle time grows")
        raw.cmd("TOUCH", "n")
        assert raw.cmd("OBJECT", "IDLETIME", "n") == 0


class TestDebug:
    def test_populate_digest_reload(self, server):
        with server.raw() as c:
            empty = c.cmd("DEBUG", "DIGEST")
            assert empty == b"0" * 40
            assert c.cmd("DEBUG", "POPULATE", 1000, "key", 20) == b"OK"
            assert c.cmd("DBSIZE") == 1000
            assert c.cmd("STRLEN", "key:5") == 20
            assert c.cmd("GET", "key:5").startswith(b"value:5")
            digest = c.cmd("DEBUG", "DIGEST")
            assert digest != empty and len(digest) == 40
            c.cmd("SET", "key:5", "other")
            assert c.cmd("DEBUG", "DIGEST") != digest
            c.cmd("DEL", "key:5")
            a = c.cmd("DEBUG", "DIGEST-VALUE", "key:1", "none")
            assert len(a) == 2 and a[1] == b"0" * 40 and a[0] != a[1]

    def test_object(self, raw):
        raw.cmd("SET", "k", "v")
        text = raw.cmd("DEBUG", "OBJECT", "k")
        assert re.match(rb"Value at:(0x)?[0-9a-f]+ refcount:1 encoding:embstr serializedlength:\d+ lru:\d+ lru_seconds_idle:0", text), text
        assert raw.cmd("DEBUG", "OBJECT", "none") == "ERR no such key"

    def test_log(self, server):
        with server.raw() as c:
            assert c.cmd("DEBUG", "LOG", "a message") == b"OK"
        server.wait_log("DEBUG LOG: a message")

    def test_help_of_every_container(self, raw):
        for name in ("DEBUG", "CONFIG", "CLIENT", "OBJECT", "MEMORY", "SLOWLOG", "LATENCY",
                     "COMMAND", "PUBSUB"):
            reply = raw.cmd(name, "HELP")
            assert reply[0] == b"%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:" % name.encode()
            assert reply[-2:] == [b"HELP", b"    Print this help."] or b"HELP" in reply


@pytest.mark.needs("LASTSAVE")
def test_lastsave(raw):
    assert abs(raw.cmd("LASTSAVE") - time.time()) < 10000


def test_time(raw):
    seconds, micros = raw.cmd("TIME")
    assert abs(int(seconds) - time.time()) < 3 and 0 <= int(micros) < 1000000


def test_lolwut(raw):
    assert b"ver" in raw.cmd("LOLWUT")


@pytest.mark.needs("ROLE")
def test_role(raw):
    assert raw.cmd("ROLE")[0] == b"master" and raw.cmd("ROLE")[2] == []


@pytest.mark.needs("ACL")
def test_acl_of_the_default_user(raw):
    assert raw.cmd("ACL", "WHOAMI") == b"default"
    assert raw.cmd("ACL", "LIST")[0].startswith(b"user default on ")
    assert raw.cmd("ACL", "USERS") == [b"default"]


def test_keys_is_not_slow_for_silly_patterns(raw):
    raw.cmd("SET", "a" * 100, 1)
    began = time.monotonic()
    raw.send(encode(["KEYS", "a*" * 40 + "b"]))
    raw.read(20)
    assert time.monotonic() - began < 5
