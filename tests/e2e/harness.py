"""A server under test as a user runs it: a program with arguments, a config file, a folder, a
log and a pid.

Nothing here knows how the server works inside. `Server` starts and stops one, `Raw` is a
connection that sends and reads exact bytes, `run_once` is for command lines that end by
themselves.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "differential"))

import resp  # noqa: E402
from servers import die_with_parent, free_port  # noqa: E402

BINARY = os.path.abspath(os.environ.get("OURO_SERVER") or os.path.join(ROOT, "build",
    "ouro-server"))
BACKEND = os.environ.get("OURO_IO_BACKEND")
BAD_OUTPUT = re.compile(rb"Sanitizer|runtime error|REDIS BUG REPORT START|VALKEY BUG REPORT START")


class Error(str):
    """An error reply, as text without the minus."""


class Status(bytes):
    """A simple string."""


class Push(list):
    """A RESP3 push."""


def plain(frame):
    """A parsed frame as a Python value; errors as Error, statuses as Status."""
    kind, value = frame
    if kind == b"+":
        return Status(value)
    if kind in (b"-", b"!"):
        return Error(value.decode("utf-8", "replace"))
    if kind in (b":", b"("):
        return int(value)
    if kind == b",":
        return float(value)
    if kind == b"#":
        return value == b"t"
    if kind == b"_" or value is None:
        return None
    if kind == b"%":
        return {_key(plain(k)): plain(v) for k, v in value}
    if kind == b">":
        return Push(plain(v) for v in value)
    if kind == b"=":
        return value[4:]
    if kind in (b"*", b"~"):
        return [plain(v) for v in value]
    return value


def _key(value):
    return tuple(value) if isinstance(value, list) else value


def encode(args):
    """Arguments of any simple type as one request."""
    return resp.encode([a if isinstance(a, bytes) else str(a).encode() for a in args])


class Closed(Exception):
    """The server closed the connection."""


class Raw:
    """One connection: exact bytes out, whole frames in."""

    def __init__(self, address, timeout=10, rcvbuf=None):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = bytearray()

    def send(self, data):
        self.socket.sendall(data)

    def cmd(self, *args):
        """Sends a command and returns its reply."""
        self.send(encode(args))
        return self.read()

    def read_frame(self, timeout=10):
        """The next frame as raw bytes. Closed at the end, TimeoutError when nothing comes."""
        end = time.monotonic() + timeout
        while True:
            try:
                at = resp.frame_end(self.buf, 0)
                frame = bytes(self.buf[:at])
                del self.buf[:at]
                return frame
            except resp.Incomplete:
                self._fill(end)

    def _fill(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("no reply; so far %r" % bytes(self.buf[:200]))
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 20)
        except socket.timeout:
            raise TimeoutError("no reply; so far %r" % bytes(self.buf[:200])) from None
        except ConnectionError as e:
            raise Closed(str(e)) from None
        if not data:
            raise Closed("closed; left over %r" % bytes(self.buf[:200]))
        self.buf += data

    def read(self, timeout=10):
        return plain(resp.parse(self.read_frame(timeout))[0])

    def read_all(self, timeout=5):
        """Everything up to the end of the connection."""
        end = time.monotonic() + timeout
        try:
            while True:
                self._fill(end)
        except Closed:
            pass
        out = bytes(self.buf)
        self.buf.clear()
        return out

    def exactly(self, expected, timeout=10):
        """Asserts that just these bytes come next."""
        end = time.monotonic() + timeout
        while len(self.buf) < len(expected) and expected.startswith(bytes(self.buf)):
            self._fill(end)
        got = bytes(self.buf[:len(expected)])
        assert got == expected, "expected %r, got %r" % (expected,
                                                         bytes(self.buf[:len(expected) + 100]))
        del self.buf[:len(expected)]

    def quiet(self, seconds=0.1):
        """Asserts that nothing comes."""
        try:
            frame = self.read_frame(seconds)
        except TimeoutError:
            assert not self.buf, "half a frame: %r" % bytes(self.buf)
            return
        raise AssertionError("unexpected %r" % frame)

    def is_closed(self, timeout=5):
        """Whether the server closes the connection within the time; what comes before is thrown
        away."""
        try:
            self.read_all(timeout)
        except TimeoutError:
            return False
        return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def wait_until(condition, timeout=5.0, step=0.01, what="condition"):
    """Polls; returns the first true value. AssertionError when the time is up."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %.1f s: %s" % (timeout, what))
        time.sleep(step)


def run_once(*args, timeout=10, stdin=b"", env=None, cwd=None):
    """Runs the program to its end: (exit code, stdout, stderr). Killed (-9) when it does not
    end."""
    process = subprocess.Popen([BINARY, *map(str, args)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=env, cwd=cwd, preexec_fn=die_with_parent)
    try:
        out, err = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return process.returncode, out, err


class Server:
    """One server process. Arguments are given as on the command line; `conf` is the text of a
    config file.

    port: 0 picks a free one. plain: nothing is added to the arguments (the caller says port,
    dir, everything).
    """

    def __init__(self, args=(), conf=None, plain_args=False, env=None, launcher=(), stdin=None,
                 preexec=None):
        self.args = [str(a) for a in args]
        self.conf = conf
        self.plain_args = plain_args
        self.env = {k: v for k, v in dict(os.environ, **(env or {})).items()
                    if v is not None}   # None: not set
        self.launcher = list(launcher)
        self.stdin = stdin
        self.preexec = preexec
        self.dir = tempfile.mkdtemp(prefix="ouro-e2e-")
        self.port = free_port()
        self.process = None
        self.may_die = False         # the test ends the server itself
        self.may_report = False      # the test provokes a crash report
        self.out_path = os.path.join(self.dir, "stdout")
        self.err_path = os.path.join(self.dir, "stderr")
        self.conf_path = os.path.join(self.dir, "ouro.conf")
        self.starts = 0

    def argv(self):
        argv = list(self.launcher) + [BINARY]
        if self.conf is not None:
            if self.starts == 0:
                with open(self.conf_path, "w", encoding="utf-8") as f:
                    f.write(self.conf.format(port=self.port, dir=self.dir))
            argv.append(self.conf_path)
        if not self.plain_args:
            argv += ["--port", str(self.port), "--dir", self.dir, "--bind", "127.0.0.1", "--save",
                     "",
                     "--enable-debug-command", "yes"]
        argv += [a.format(port=self.port, dir=self.dir) for a in self.args]
        return argv + (["--io-backend", BACKEND] if BACKEND else [])

    def start(self, wait=True):
        argv = self.argv()
        self.starts += 1

        def before_exec():
            die_with_parent()
            if self.preexec:
                self.preexec()
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE if self.stdin is not None
                                            else subprocess.DEVNULL,
                                            stdout=out, stderr=err, cwd=self.dir, env=self.env,
                                            preexec_fn=before_exec)
        if self.stdin is not None:
            self.process.stdin.write(self.stdin.format(port=self.port, dir=self.dir).encode())
            self.process.stdin.close()
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=20):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError("the server ended with %r at start:\n%s" % (
                    self.process.returncode, self.output()))
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                    s.sendall(b"PING\r\n\n")
                    return s.recv(1) in (b"+", b"-")
            except OSError:
                return False
        wait_until(ready, timeout, what="PING answered; output:\n" + self.output())

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def wait_exit(self, timeout=15):
        """The exit code; AssertionError if it does not end."""
        self.may_die = True
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("the server does not end; output:\n" + self.output()) from None

    def send_signal(self, number):
        os.kill(self.process.pid, number)

    def output(self):
        """stdout and stderr so far, as text."""
        text = b""
        for path in (self.out_path, self.err_path):
            if os.path.exists(path):
                with open(path, "rb") as f:
                    text += f.read()
        return text.decode("utf-8", "replace")

    def log(self):
        with open(self.out_path, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def wait_log(self, pattern, timeout=10):
        """Waits for a line of the log; returns the match."""
        return wait_until(lambda: re.search(pattern, self.log()), timeout,
                          what="log line %r in:\n%s" % (pattern, self.log()))

    def raw(self, **kw):
        return Raw(("127.0.0.1", self.port), **kw)

    def redis(self, **kw):
        import redis
        kw.setdefault("socket_timeout", 10)
        return redis.Redis(**{"host": "127.0.0.1", "port": self.port, **kw})

    def info(self, section=""):
        """INFO as a dictionary of text."""
        with self.raw() as c:
            text = c.cmd("INFO", section) if section else c.cmd("INFO")
        assert isinstance(text, bytes), text
        return dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)

    def config(self, name):
        with self.raw() as c:
            got = c.cmd("CONFIG", "GET", name)
        return got[1].decode() if len(got) == 2 else None

    def config_set(self, *pairs):
        with self.raw() as c:
            reply = c.cmd("CONFIG", "SET", *pairs)
        assert reply == b"OK", reply

    def rss(self):
        """Resident bytes."""
        with open("/proc/%d/statm" % self.pid, encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def stop(self, signal_number=signal.SIGTERM):
        if self.alive():
            os.kill(self.process.pid, signal.SIGCONT)
            os.kill(self.process.pid, signal_number)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(
                    "the server does not end on signal %d" % signal_number) from None

    def finish(self):
        """What every test ends with: the server lives (unless it was to end) and complained of
        nothing."""
        try:
            lived = self.alive()
            code = None if lived or self.process is None else self.process.returncode
            if lived:
                self.stop()
            output = self.output()
            assert lived or self.may_die or self.process is None, "the server died (%r):\n%s" % (
                code, output[-4000:])
            if not self.may_report:
                found = BAD_OUTPUT.search(output.encode())
                assert not found, "the server complained:\n" + output[-6000:]
        finally:
            if self.alive():
                self.process.kill()
                self.process.wait()
            shutil.rmtree(self.dir, ignore_errors=True)
