"""Signals, SHUTDOWN, crash reports and CONFIG REWRITE: how a server ends and what it leaves."""

import os
import re
import signal
import time

import pytest

from harness import Closed, Error, encode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_server(start, number):
    s = start()
    with s.raw() as c:
        c.cmd("SET", "k", "v")
    s.send_signal(number)
    assert s.wait_exit() == 0
    log = s.log()
    assert "Received %s scheduling shutdown" % signal.Signals(number).name in log
    assert "User requested shutdown" in log and re.search(r"ready to exit, bye bye", log)
    assert not os.path.exists(os.path.join(s.dir, "dump.rdb")), "save '' means no RDB at exit"


def test_shutdown_options(start):
    s = start()
    with s.raw() as c:
        assert c.cmd("SHUTDOWN", "BAD") == "ERR syntax error"
        assert c.cmd("SHUTDOWN", "SAVE", "NOSAVE") == "ERR syntax error"
        assert c.cmd("SHUTDOWN", "ABORT") == "ERR No shutdown in progress."
        c.send(encode(["SHUTDOWN", "NOSAVE", "NOW", "FORCE"]))
        assert c.read_all() == b""
    assert s.wait_exit() == 0


def test_shutdown_flushes_replies_of_others(start):
    s = start()
    with s.raw() as a, s.raw() as b:
        b.send(encode(["PING"]))
        assert b.read() == b"PONG"
        a.send(encode(["SHUTDOWN", "NOSAVE"]))
        assert b.is_closed() and a.is_closed()
    assert s.wait_exit() == 0


def test_sighup_and_sigpipe_are_ignored(start):
    s = start()
    s.send_signal(signal.SIGHUP)
    s.send_signal(signal.SIGPIPE)
    time.sleep(0.1)
    with s.raw() as c:
        assert c.cmd("PING") == b"PONG"


def test_stop_and_continue(start):
    s = start()
    with s.raw() as c:
        c.cmd("SET", "k", "v")
        s.send_signal(signal.SIGSTOP)
        c.send(encode(["GET", "k"]))
        time.sleep(0.3)
        s.send_signal(signal.SIGCONT)
        assert c.read() == b"v"


@pytest.mark.crashes
@pytest.mark.parametrize("how", ["SIGSEGV", "SIGABRT", "DEBUG"])
def test_a_crash_leaves_a_report(start, how):
    s = start()
    s.may_report = True
    with s.raw() as c:
        c.cmd("CLIENT", "SETNAME", "the-client")
        if how == "DEBUG":
            c.send(encode(["DEBUG", "SEGFAULT"]))
            assert c.is_closed(10)
        else:
            s.send_signal(getattr(signal, how))
        code = s.wait_exit()
    assert code != 0
    log = s.output()
    assert "BUG REPORT START" in log and "STACK TRACE" in log
    assert "crashed by signal" in log
    assert "name=the-client" in log or how == "SIGABRT", "the report shows the client that ran"


@pytest.mark.crashes
@pytest.mark.parametrize("how", ["ASSERT", "PANIC"])
def test_debug_assert_and_panic(start, how):
    s = start()
    s.may_report = True
    with s.raw() as c:
        c.send(encode(["DEBUG", how]))
        assert c.is_closed(10)
    assert s.wait_exit() != 0
    assert ("ASSERTION FAILED" if how == "ASSERT" else "Guru Meditation") in s.output()


@pytest.mark.crashes
def test_no_report_when_it_is_switched_off(start):
    s = start(["--crash-log-enabled", "no"])
    s.send_signal(signal.SIGSEGV)
    assert s.wait_exit() == -signal.SIGSEGV
    assert "STACK TRACE" not in s.output()


def test_restart_command(start):
    s = start()
    pid = s.pid
    with s.raw() as c:
        c.send(encode(["DEBUG", "RESTART"]))
        try:
            assert "unknown subcommand" in c.read()
            pytest.skip("no DEBUG RESTART")
        except Closed:
            pass
    s.wait_ready()
    assert s.pid == pid and s.alive()


REWRITTEN = """\
# the head comment

port {port}
bind 127.0.0.1
dir {dir}
save ""
# about hz
hz 10
maxclients 100
# the tail comment
"""


def test_config_rewrite_keeps_what_is_there(start):
    s = start(conf=REWRITTEN, plain_args=True)
    s.config_set("hz", 77)
    s.config_set("timeout", 5)
    s.config_set("slowlog-max-len", 128)
    with s.raw() as c:
        assert c.cmd("CONFIG", "REWRITE") == b"OK"
    lines = open(s.conf_path, encoding="utf-8").read().split("\n")
    assert lines[0] == "# the head comment"
    assert "# about hz" in lines and lines[lines.index("# about hz") + 1] == "hz 77"
    assert "timeout 5" in lines and "maxclients 100" in lines
    assert not any(line.startswith("slowlog-max-len")
                   for line in lines), "unchanged defaults are not written"
    assert len([line for line in lines if line.startswith("bind ")]) == 1
    s.send_signal(signal.SIGTERM)
    s.wait_exit()
    s.start()
    s.may_die = False
    assert (s.config("hz"), s.config("timeout"), s.config("maxclients")) == ("77", "5", "100")


def test_config_rewrite_does_not_let_the_file_grow(start):
    s = start(conf=REWRITTEN, plain_args=True)
    s.config_set("save", "100 10 60 1000")
    s.config_set("client-output-buffer-limit", "pubsub 1mb 512kb 20")
    s.config_set("notify-keyspace-events", "KEA")
    texts = []
    for _ in range(3):
        with s.raw() as c:
            assert c.cmd("CONFIG", "REWRITE") == b"OK"
        texts.append(open(s.conf_path, encoding="utf-8").read())
    lines = [len([line for line in text.split("\n") if line]) for text in texts]
    assert lines[2] <= lines[0] + 2 and lines[0] <= len(REWRITTEN.split("\n")) + 8
    assert "save 100 10" in texts[0] and "60 1000" in texts[0]
    s.send_signal(signal.SIGTERM)
    s.wait_exit()
    s.start()
    s.may_die = False
    assert s.config("save") == "100 10 60 1000"
    assert set(s.config("notify-keyspace-events")) == set("AKE")


def test_config_rewrite_of_values_that_need_quotes(start):
    s = start(conf=REWRITTEN, plain_args=True)
    odd = b"a b\t\"'\\\x01\xc3\xa9"
    with s.raw() as c:
        assert c.cmd("CONFIG", "SET", "requirepass", odd) == b"OK"
        assert c.cmd("AUTH", odd) == b"OK"
        assert c.cmd("CONFIG", "REWRITE") == b"OK"
    s.send_signal(signal.SIGTERM)
    s.wait_exit()
    s.start()
    s.may_die = False
    with s.raw() as c:
        assert c.cmd("AUTH", odd) == b"OK"


def test_config_rewrite_without_a_file(start):
    s = start()
    with s.raw() as c:
        assert c.cmd("CONFIG", "REWRITE") == "ERR The server is running without a config file"


def test_config_rewrite_is_all_or_nothing(start):
    """A rewrite that cannot be written leaves the old file. The folder is made unusable for a
    new file."""
    if os.geteuid() == 0:
        # root writes anywhere: take the folder away instead
        s = start(conf=REWRITTEN, plain_args=True)
        s.config_set("hz", 55)
        hidden = s.conf_path + ".d"
        os.rename(s.conf_path, hidden)
        os.mkdir(s.conf_path)
        with s.raw() as c:
            reply = c.cmd("CONFIG", "REWRITE")
        assert isinstance(reply, Error) and reply.startswith("ERR Rewriting config file: "), reply
        assert {f for f in os.listdir(s.dir) if f.startswith("ouro.conf")} == {"ouro.conf",
            "ouro.conf.d"}
        os.rmdir(s.conf_path)
        os.rename(hidden, s.conf_path)
        assert open(s.conf_path, encoding="utf-8").read() == REWRITTEN.format(port=s.port,
            dir=s.dir)
        return
    s = start(conf=REWRITTEN, plain_args=True)
    os.chmod(s.dir, 0o500)
    try:
        s.config_set("hz", 55)
        with s.raw() as c:
            assert isinstance(c.cmd("CONFIG", "REWRITE"), Error)
        assert open(s.conf_path, encoding="utf-8").read() == REWRITTEN.format(port=s.port,
            dir=s.dir)
    finally:
        os.chmod(s.dir, 0o700)


def test_config_rewrite_of_every_value(start):
    """CONFIG GET *, set each back, rewrite, restart: the same values again."""
    s = start(conf=REWRITTEN, plain_args=True)
    with s.raw() as c:
        reply = c.cmd("CONFIG", "GET", "*")
        before = dict(zip(reply[::2], reply[1::2]))
        refused = {}
        for name, value in before.items():
            got = c.cmd("CONFIG", "SET", name, value)
            if got != b"OK":
                refused[name] = got
        for name, text in refused.items():
            assert "immutable" in text or "protected" in text or name in (
                b"oom-score-adj", b"oom-score-adj-values", b"bind-source-addr",
                b"jemalloc-bg-thread"), (name, text)
        assert c.cmd("CONFIG", "REWRITE") == b"OK"
    s.send_signal(signal.SIGTERM)
    s.wait_exit()
    s.start()
    s.may_die = False
    with s.raw() as c:
        reply = c.cmd("CONFIG", "GET", "*")
        after = dict(zip(reply[::2], reply[1::2]))
    assert before == after


def test_debug_sleep_blocks_everybody(server):
    with server.raw() as a, server.raw() as b:
        began = time.monotonic()
        a.send(encode(["DEBUG", "SLEEP", "0.3"]))
        time.sleep(0.05)
        assert b.cmd("PING") == b"PONG"
        assert time.monotonic() - began >= 0.28
        assert a.read() == b"OK"


def test_debug_needs_permission(start):
    s = start(["--enable-debug-command", "no"])
    with s.raw() as c:
        assert c.cmd("DEBUG", "SLEEP", 0).startswith("ERR DEBUG command not allowed.")
        assert c.cmd("CONFIG", "SET", "dir", "/tmp") == (
            "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected "
            "config")
    s = start(["--enable-debug-command", "local", "--enable-protected-configs", "yes"])
    with s.raw() as c:
        assert c.cmd("DEBUG", "SLEEP", 0) == b"OK"
        assert c.cmd("CONFIG", "SET", "dir", s.dir) == b"OK"
        assert c.cmd("CONFIG", "SET", "dir", "/nonexistent/x").startswith("ERR CONFIG SET failed")
        assert c.cmd("PING") == b"PONG"


@pytest.mark.parametrize("name, value, text", [
    ("nosuch", "1", "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"),
    ("databases", "3", "ERR CONFIG SET failed (possibly related to argument 'databases') - can't "
                       "set immutable config"),
    ("maxclients", "0", "ERR CONFIG SET failed (possibly related to argument 'maxclients') - "
                        "argument must be between 1 and "
     "4294967295 inclusive"),
    ("appendonly", "x", "ERR CONFIG SET failed (possibly related to argument 'appendonly') - "
                        "argument must be 'yes' or 'no'"),
    ("appendfsync", "x", "ERR CONFIG SET failed (possibly related to argument 'appendfsync') - "
                         "argument(s) must be one of "
     "the following: everysec, always, no"),
    ("maxmemory", "12xy",
     "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a "
     "memory value"),
    ("save", "1 a", "ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save "
                    "parameters"),
    ("client-output-buffer-limit", "bad 1 2 3",
     "ERR CONFIG SET failed (possibly related to argument "
     "'client-output-buffer-limit')"),
    ("notify-keyspace-events", "Q",
     "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - "
     "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
])
def test_config_set_errors(shared, name, value, text):
    with shared.raw() as c:
        assert c.cmd("CONFIG", "SET", name, value).startswith(text)


def test_config_set_is_all_or_nothing(server):
    with server.raw() as c:
        assert c.cmd("CONFIG", "SET", "hz", 11, "hz", 12) == (
            "ERR CONFIG SET failed (possibly related to argument 'hz') - duplicate parameter")
        assert isinstance(c.cmd("CONFIG", "SET", "hz", 99, "lfu-log-factor", "abc"), Error)
        assert server.config("hz") == "10"
        assert isinstance(c.cmd("CONFIG", "SET", "hz", 99, "timeout", 5, "port", "70000"), Error)
        assert server.config("hz") == "10" and server.config("timeout") == "0"
        assert c.cmd("CONFIG", "SET", "hz", 99, "timeout", 5) == b"OK"
        assert server.config("hz") == "99" and server.config("timeout") == "5"
        assert c.cmd("CONFIG", "SET", "hz", 1000) == b"OK"
        assert server.config("hz") == "500"


@pytest.mark.parametrize("text, value", [("1k", 1000), ("1kb", 1024), ("1M", 10 ** 6),
                                         ("1mB", 1 << 20), ("1g", 10 ** 9),
                                         ("1GB", 1 << 30), ("123b", 123), ("123", 123)])
def test_memory_units(server, text, value):
    server.config_set("auto-aof-rewrite-min-size", text)
    assert server.config("auto-aof-rewrite-min-size") == str(value)


def test_aliases_answer_under_both_names(server):
    server.config_set("hash-max-ziplist-entries", 9)
    assert server.config("hash-max-listpack-entries") == "9"
    assert server.config("hash-max-ziplist-entries") == "9"
    server.config_set("slave-read-only", "no")
    assert server.config("replica-read-only") == "no"


def test_config_get_patterns(shared):
    with shared.raw() as c:
        reply = c.cmd("CONFIG", "GET", "hash-*-entries")
        assert dict(zip(reply[::2], reply[1::2])) == {b"hash-max-listpack-entries": b"512",
                                                      b"hash-max-ziplist-entries": b"512"}
        reply = c.cmd("CONFIG", "GET", "hz", "HZ", "timeout", "nosuch*")
        assert dict(zip(reply[::2], reply[1::2])) == {b"hz": b"10", b"timeout": b"0"}
        assert c.cmd("CONFIG", "GET", "nosuch") == []


def test_requirepass_and_the_default_user(start):
    s = start()
    s.config_set("requirepass", "one")
    with s.raw() as c:
        assert c.cmd("PING") == "NOAUTH Authentication required."
        assert c.cmd("AUTH", "one") == b"OK"
        assert c.cmd("CONFIG", "SET", "requirepass", "") == b"OK"
    with s.raw() as c:
        assert c.cmd("PING") == b"PONG"
        assert c.cmd("AUTH", "x") == (
            "ERR AUTH <password> called without any password configured for the default user. Are "
                                      "you sure your configuration is correct?")


def test_renamed_and_removed_commands(start):
    s = start(["--rename-command", "GET", "fetch", "--rename-command", "KEYS", ""])
    with s.raw() as c:
        assert c.cmd("SET", "k", "v") == b"OK"
        assert c.cmd("FETCH", "k") == b"v"
        assert c.cmd("GET", "k").startswith("ERR unknown command 'GET'")
        assert c.cmd("KEYS", "*").startswith("ERR unknown command 'KEYS'")
