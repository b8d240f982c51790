"""What a drop-in user meets first: command lines, config files, the log, the first PING."""

import os
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import BACKEND, BINARY, Raw, run_once, wait_until

BASE = ("--port", "{port}", "--dir", "{dir}", "--bind", "127.0.0.1")


@pytest.mark.parametrize("logo", ["yes", "no"])
def test_the_first_log_lines_are_what_supervisors_look_for(start, logo):
    s = start(["--always-show-logo", logo])
    log = s.log()
    pid = re.search(r" PID: (\d+)" if logo == "yes" else r"[ ,]pid=(\d+)", log)
    assert pid and int(pid.group(1)) == s.pid
    assert re.search(r"(?i)pid.*Server initialized.*Ready to accept", log, re.S)
    assert log.count("Ready to accept") == 1
    line = log.splitlines()[-1]
    assert re.match(r"^\d+:M \d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3} [.\-*#] ", line), line


def test_inline_ping_with_stray_newlines(shared):
    with shared.raw() as c:
        c.send(b"PING\r\n\n")
        c.exactly(b"+PONG\r\n")
        c.send(b"\r\n\r\n\nPING\r\n")
        c.exactly(b"+PONG\r\n")


@pytest.mark.parametrize("args, offending, text", [
    (["--port"], "'port'", "wrong number of arguments"),
    (["--port", "6379", "6380"], "'port \"6379\" \"6380\"'", "wrong number of arguments"),
    (["--port", "--loglevel", "verbose"], "'port \"--loglevel\" \"verbose\"'",
     "wrong number of arguments"),
    (["--port", "--bla"], "'port \"--bla\"'", "argument couldn't be parsed into an integer"),
    (["--port", "abc"], "'port \"abc\"'", "argument couldn't be parsed into an integer"),
    (["--port", "70000"], "'port \"70000\"'", "argument must be between 0 and 65535 inclusive"),
    (["--invalid"], "'invalid'", "Bad directive or wrong number of arguments"),
    (["--no-such-directive", "x"], "'no-such-directive \"x\"'",
     "Bad directive or wrong number of arguments"),
    (["--loglevel", "--bla"], "'loglevel \"--bla\"'", "argument(s) must be one of the following"),
    (["--loglevel"], "'loglevel'", "wrong number of arguments"),
    (["--replicaof", "127.0.0.1", "abc"], "'replicaof \"127.0.0.1\" \"abc\"'", "Invalid "),
    (["--replicaof", "--127.0.0.1", "abc"], "'replicaof \"--127.0.0.1\" \"abc\"'", "Invalid "),
    (["--replicaof", "--127.0.0.1"], "'replicaof \"--127.0.0.1\"'", "wrong number of arguments"),
    (["--shutdown-on-sigterm", "now", "bad"], "'shutdown-on-sigterm",
     "argument(s) must be one of the following"),
    (["--shutdown-on-sigint", "now invalid"], "'shutdown-on-sigint",
     "argument(s) must be one of the following"),
    (["--maxclients", "0"], "'maxclients \"0\"'",
     "argument must be between 1 and 4294967295 inclusive"),
    (["--databases", "0"], "'databases \"0\"'",
     "argument must be between 1 and 2147483647 inclusive"),
    (["--appendfsync", "bad"], "'appendfsync \"bad\"'",
     "argument(s) must be one of the following: everysec, always, no"),
    (["--appendonly", "maybe"], "'appendonly \"maybe\"'", "argument must be 'yes' or 'no'"),
    (["--maxmemory", "10xb"], "'maxmemory \"10xb\"'", "argument must be a memory value"),
    (["--save", "1"], "'save \"1\"'", "Invalid save parameters"),
    (["--requirepass", "a", "b"], "'requirepass \"a\" \"b\"'", "wrong number of arguments"),
    (["--hz", "10", "--hz"], "'hz'", "wrong number of arguments"),
    (["--dir", "/nonexistent/dir"], "'dir \"/nonexistent/dir\"'", "No such file or directory"),
    (["--client-output-buffer-limit", "normal", "0"],
     "'client-output-buffer-limit \"normal\" \"0\"'",
     "Wrong number of arguments in buffer limit configuration."),
    (["--notify-keyspace-events", "Q"], "'notify-keyspace-events \"Q\"'",
     "Invalid event class character"),
    (["--rename-command", "NOSUCH", "x"], "'rename-command \"NOSUCH\" \"x\"'",
     "No such command in rename-command"),
    (["--unixsocketperm", "999"], "'unixsocketperm \"999\"'", "argument"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_a_bad_directive_is_refused_with_its_line_and_reason(args, offending, text):
    code, _, err = run_once(*args)
    err = err.decode()
    assert code == 1, (code, err)
    assert "FATAL CONFIG FILE ERROR" in err
    assert ">>> " + offending in err, err
    assert text in err, err


def test_a_log_file_that_cannot_be_written_ends_the_start():
    code, _, err = run_once("--logfile", "/nonexistent/dir/x.log")
    assert code == 1 and b"FATAL CONFIG FILE ERROR" in err
    assert b"Can't open the log file: No such file or directory" in err


@pytest.mark.needs("ACL")
@pytest.mark.parametrize("args, offending, text", [
    (["--user", "alice", "--user", "alice"], "'user \"alice\"'", "Duplicate user found"),
    (["--user", "alice", "junk"], "'user \"alice\" \"junk\"'", "Syntax error"),
], ids=["twice", "junk"])
def test_a_bad_user_is_refused(args, offending, text):
    test_a_bad_directive_is_refused_with_its_line_and_reason(args, offending, text)


def test_the_line_number_of_a_bad_directive_in_a_file(tmp_path):
    conf = tmp_path / "bad.conf"
    conf.write_text("# comment\n\nport 1\nnonsense here\n")
    code, _, err = run_once(conf)
    assert code == 1
    assert b"Reading the configuration file, at line 4" in err
    assert b">>> 'nonsense here'" in err


@pytest.mark.parametrize("line", ["port 1 2", "logfile 'unterminated", "save 'a",
                                  "loglevel \"notice\"x"])
def test_bad_lines_in_a_file(tmp_path, line):
    conf = tmp_path / "bad.conf"
    conf.write_text(line + "\n")
    code, _, err = run_once(conf)
    assert code == 1 and b">>> '" + line.encode() in err, err


def test_a_missing_config_file_is_fatal():
    code, out, err = run_once("/nonexistent/ouro.conf")
    assert code == 1
    assert b"Fatal error, can't open config file '/nonexistent/ouro.conf': No such file or directory" in out + err


@pytest.mark.parametrize("flag", ["--version", "-v"])
def test_version(flag):
    code, out, _ = run_once(flag)
    assert code == 0 and re.search(rb"server v=\d+\.\d+\.\d+ .*bits=64", out), out


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(flag):
    code, out, err = run_once(flag)
    assert b"Usage: " in out + err and code in (0, 1)


@pytest.mark.parametrize("args, name, value", [
    (["--loglevel", "verbose"], "loglevel", "verbose"),
    (["--loglevel verbose"], "loglevel", "verbose"),
    (["--maxmemory", "100mb"], "maxmemory", "104857600"),
    (["--maxmemory 1gb"], "maxmemory", "1073741824"),
    (["--save", "900", "1", "300", "10"], "save", "900 1 300 10"),
    (["--save", "900 1 300 10"], "save", "900 1 300 10"),
    (["--save", "900 1", "--save", "300 10"], "save", "900 1 300 10"),
    (["--save", "60 1", "--save", ""], "save", ""),
    (["--save"], "save", ""),
    (["--save", "--hz", "20"], "save", ""),
    (["--proc-title-template", "--my--title--"], "proc-title-template", "--my--title--"),
    (["--shutdown-on-sigint", "nosave", "force", "now"], "shutdown-on-sigint", "nosave now force"),
    (["--shutdown-on-sigint", "nosave force now"], "shutdown-on-sigint", "nosave now force"),
    (["--hash-max-ziplist-entries", "7"], "hash-max-listpack-entries", "7"),
    (["--HZ", "17"], "hz", "17"),
    (["--latency-tracking-info-percentiles", "50", "99"], "latency-tracking-info-percentiles",
     "50 99"),
    (["--client-output-buffer-limit", "normal", "1mb", "512kb", "10"], "client-output-buffer-limit",
     "normal 1048576 524288 10 slave 268435456 67108864 60 pubsub 33554432 8388608 60"),
    (["--requirepass", ""], "requirepass", ""),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_forms_of_options(start, args, name, value):
    s = start(args)
    assert s.config(name) == value


def test_after_the_config_file_the_first_option_may_come_without_dashes(start):
    s = start(["hz", "29", "--maxclients", "77"], conf="port {port}\nbind 127.0.0.1\nsave ''\n",
              plain_args=True)
    assert s.config("hz") == "29" and s.config("maxclients") == "77"


def test_what_is_no_option_and_no_file():
    code, out, err = run_once("port", "7211")
    assert code == 1 and b"can't open config file" in out + err


def test_a_config_file_as_lists_print_it(start):
    s = start(plain_args=True, conf="""\
# a comment
port {port}
bind 127.0.0.1
dir {dir}
logfile ''
save ''
daemonize no
always-show-logo yes
unixsocket {dir}/sock
databases 20
timeout 0
rename-command   FLUSHDB  ""
rename-command DEBUG hidden
proc-title-template "{{title}} \\x41\\n"
loglevel verbose
MAXCLIENTS 500
slave-serve-stale-data yes
hash-max-ziplist-value 32
enable-debug-command local
enable-module-command no
enable-protected-configs yes
propagation-error-behavior ignore
latency-monitor-threshold 10
no-appendfsync-on-rewrite no
appendfsync everysec
crash-memcheck-enabled no
use-exit-on-panic yes
key-load-delay 0
loading-process-events-interval-bytes 2097152
""")
    with s.raw() as c:
        assert c.cmd("SELECT", 19) == b"OK"
        assert c.cmd("FLUSHDB").startswith("ERR unknown command 'FLUSHDB'")
        assert c.cmd("DEBUG", "SLEEP", 0).startswith("ERR unknown command")
        assert c.cmd("HIDDEN", "SLEEP", 0) == b"OK"
    assert s.config("maxclients") == "500"
    assert s.config("hash-max-listpack-value") == "32"
    assert s.config("save") == ""


@pytest.mark.needs("ACL")
def test_users_in_a_config_file(start):
    s = start(conf="user alice on nopass ~* +@all\nuser bob on >pw ~b:* &* +get +set\n")
    with s.raw() as c:
        assert c.cmd("AUTH", "alice", "anything") == b"OK"
        assert c.cmd("ACL", "WHOAMI") == b"alice"
        assert c.cmd("AUTH", "bob", "pw") == b"OK"
        assert c.cmd("SET", "b:1", 1) == b"OK" and c.cmd("GET", "a").startswith("NOPERM ")


def test_later_lines_and_the_command_line_win(start):
    s = start(["--hz", "50"], conf="hz 20\nhz 30\nmaxclients 100\n")
    assert s.config("hz") == "50" and s.config("maxclients") == "100"


def test_include_and_glob_include(start, tmp_path):
    (tmp_path / "a.conf").write_text("hz 21\nmaxclients 111\n")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "1.conf").write_text("timeout 55\n")
    (tmp_path / "d" / "2.conf").write_text("slowlog-max-len 66\n")
    s = start(conf="include %s\nhz 22\ninclude %s/d/*.conf\n" % (tmp_path / "a.conf", tmp_path))
    assert (s.config("hz"), s.config("maxclients"), s.config("timeout"),
            s.config("slowlog-max-len")) == (
        "22", "111", "55", "66")


def test_config_from_stdin(start):
    s = start(["-"], plain_args=True,
              stdin="port {port}\nbind 127.0.0.1\nsave ''\nhz 44\ndir {dir}\n")
    assert s.config("hz") == "44"


def test_the_config_file_shipped_by_debian_starts_the_server(start):
    path = "/etc/redis/redis.conf"
    if not os.access(path, os.R_OK):
        pytest.skip("no " + path)
    s = start([path, *BASE, "--daemonize", "no", "--logfile", "", "--pidfile", "{dir}/pid",
               "--unixsocket", "",
               "--supervised", "no", "--save", ""], plain_args=True)
    with s.raw() as c:
        assert c.cmd("PING") == b"PONG"
    assert s.config("appendfilename") == "appendonly.aof"


def test_pidfile_is_written_and_removed(start):
    s = start(["--pidfile", "{dir}/my.pid"])
    path = os.path.join(s.dir, "my.pid")
    wait_until(lambda: os.path.exists(path), 2, what="pid file")
    with open(path, encoding="ascii") as f:
        assert f.read().strip() == str(s.pid)
    s.send_signal(signal.SIGTERM)
    assert s.wait_exit() == 0
    assert not os.path.exists(path)


def test_daemonize(start):
    port = _free()
    s = start(["--port", port, "--daemonize", "yes", "--pidfile", "{dir}/d.pid", "--logfile",
               "{dir}/d.log"], wait=False)
    s.may_die = True
    assert s.process.wait(10) == 0
    path = os.path.join(s.dir, "d.pid")
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path) > 0, 10,
               what="pid file of the daemon")
    with open(path, encoding="ascii") as f:
        pid = int(f.read())
    try:
        assert pid != s.process.pid
        wait_until(lambda: _answers(port), 10, what="the daemon answers")
        assert os.getsid(pid) == pid or os.getsid(pid) != os.getsid(0)
        with Raw(("127.0.0.1", port)) as c:
            assert c.cmd("CONFIG", "GET", "daemonize") == [b"daemonize", b"yes"]
            info = c.cmd("INFO", "server")
            assert b"process_id:%d\r\n" % pid in info
            c.send(b"SHUTDOWN NOSAVE\r\n")
            assert c.is_closed()
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    with open(os.path.join(s.dir, "d.log"), "rb") as f:
        assert b"Ready to accept" in f.read()


def test_the_log_file_may_be_appended_by_others(start):
    s = start(["--logfile", "{dir}/srv.log"])
    path = os.path.join(s.dir, "srv.log")
    with open(path, "ab") as f:
        f.write(b"### a line of the test\n")
    s.config_set("loglevel", "debug")
    with s.raw() as c:
        c.cmd("DEBUG", "LOG", "after the line")
    wait_until(lambda: b"after the line" in _read(path), 5, what="DEBUG LOG")
    text = _read(path)
    assert b"### a line of the test\n" in text
    assert text.index(b"### a line") < text.index(b"after the line")


def test_a_relative_log_file_goes_to_dir_and_the_conf_path_stays(start):
    s = start(conf="dir {dir}/sub\nlogfile log.txt\nport {port}\nbind 127.0.0.1\nsave ''\n",
              plain_args=True, wait=False)
    s.may_die = True
    s.process.wait(10)
    assert b"No such file or directory" in _read(s.err_path)
    os.mkdir(os.path.join(s.dir, "sub"))
    s.start()
    assert b"Ready to accept" in _read(os.path.join(s.dir, "sub", "log.txt"))
    with s.raw() as c:
        assert c.cmd("CONFIG", "SET", "hz", "31") == b"OK"
        assert c.cmd("CONFIG", "REWRITE") == b"OK"
    with open(s.conf_path, encoding="utf-8") as f:
        assert "hz 31" in f.read()


def test_a_taken_port_is_said_in_the_log(start):
    first = start()
    second = start(["--port", str(first.port)], wait=False)
    second.may_die = True
    assert second.process.wait(10) == 1
    out = second.output()
    assert "Failed listening on port %d" % first.port in out
    assert "Address already in use" in out or "bind:" in out.lower()


def test_the_port_can_be_bound_again_at_once(start):
    s = start()
    conns = [s.raw() for _ in range(20)]
    for c in conns:
        assert c.cmd("PING") == b"PONG"
    s.send_signal(signal.SIGTERM)
    assert s.wait_exit() == 0
    s.start()
    s.may_die = False
    with s.raw() as c:
        assert c.cmd("PING") == b"PONG"
    assert s.log().count("Ready to accept") == 2


def test_process_title(start):
    s = start(["--proc-title-template",
               "{{title}} on {{listen-addr}} port {{port}} {{config-file}}"])

    def title():
        return _read("/proc/%d/cmdline" % s.pid).replace(b"\0", b" ").strip().decode()
    got = wait_until(lambda: title() if " on 127.0.0.1:%d port %d" % (s.port, s.port) in title()
                     else None, 2,
                     what="process title, is %r" % title())
    assert os.path.basename(got.split()[0]) == os.path.basename(BINARY)


def test_started_as_redis_server(start, tmp_path):
    os.symlink(BINARY, tmp_path / "redis-server")
    port = _free()
    process = subprocess.Popen([str(tmp_path / "redis-server"), "--port", str(port), "--save", ""],
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, cwd=tmp_path)
    try:
        wait_until(lambda: _answers(port), 10, what="PING")
        with Raw(("127.0.0.1", port)) as c:
            assert b"redis_mode:standalone" in c.cmd("INFO", "server")
    finally:
        process.kill()
        process.wait()


def test_supervised_by_systemd(start, tmp_path):
    path = str(tmp_path / "notify")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(path)
    sock.settimeout(5)
    s = start(["--supervised", "systemd"], env={"NOTIFY_SOCKET": path})
    got = b""
    while b"READY=1" not in got:
        got += sock.recv(4096)
    assert b"STATUS=" in got
    assert s.info("server")["process_supervised"] == "systemd"
    s.send_signal(signal.SIGTERM)
    s.wait_exit()
    sock.settimeout(1)
    while b"STOPPING=1" not in got:
        got += sock.recv(4096)


def test_supervised_auto_without_a_supervisor(start):
    s = start(["--supervised", "auto"], env={"NOTIFY_SOCKET": None, "UPSTART_JOB": None})
    assert s.info("server")["process_supervised"] == "no"


@pytest.mark.ouro_only
def test_the_forced_backend_is_in_info(start):
    for backend in ([BACKEND] if BACKEND else ["io_uring", "epoll"]):
        s = start(["--io-backend", backend])
        info = s.info("server")
        assert info["io_backend"] == backend and info["io_backend_reason"]
        assert s.config("io-backend") == backend


def _free():
    from servers import free_port
    return free_port()


def _answers(port):
    try:
        with Raw(("127.0.0.1", port), timeout=1) as c:
            return c.cmd("PING") == b"PONG"
    except (OSError, TimeoutError):
        return False


def _read(path):
    with open(path, "rb") as f:
        return f.read()


def test_time_to_be_ready(start):
    began = time.monotonic()
    start()
    assert time.monotonic() - began < 5
