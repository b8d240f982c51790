"""Server processes for the tests: started on free ports in folders of their own, gone when the
test is gone.

Every server gets a folder under one temporary folder, logs to a file there, and is told by the
kernel to die when the harness dies (PR_SET_PDEATHSIG), so that not even a killed run leaves one
behind.
"""

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def die_with_parent():
    """For preexec_fn: the child is killed when its parent ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    """A port nobody listens on; from OURO_TEST_PORTS ("lo-hi") when that is set."""
    want = os.environ.get("OURO_TEST_PORTS")
    if want:
        lo, hi = (int(x) for x in want.split("-"))
        ports = list(range(lo, hi + 1))
        random.SystemRandom().shuffle(ports)
        for port in ports:
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue
        raise RuntimeError("no free port in " + want)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class ServerDied(Exception):
    """The server ended or never answered; the text holds the end of its log."""


class Server:
    """One running server. name: for reports; path: program; args: appended to the common ones."""

    COMMON = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--logfile", "",
              "--proto-max-bulk-len", "1mb", "--enable-debug-command", "yes")

    def __init__(self, name, path, args=()):
        self.name = name
        self.path = path
        self.args = list(args)
        self.dir = None
        self.process = None
        self.port = None

    def start(self):
        self.dir = tempfile.mkdtemp(prefix="ouro-diff-%s-" % self.name)
        for _ in range(5):
            self.port = free_port()
            argv = [self.path, "--port", str(self.port), "--dir", self.dir, *self.COMMON,
                    *self.args]
            with open(os.path.join(self.dir, "log"), "ab") as log:
                self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log,
                                                cwd=self.dir, preexec_fn=die_with_parent)
            if self._wait_ready():
                return self
        raise ServerDied("%s did not start:\n%s" % (self.name, self.log_tail()))

    def _wait_ready(self):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if self.process.poll() is not None:
                return False
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                    s.sendall(b"PING\r\n")
                    if s.recv(64).startswith(b"+PONG"):
                        return True
            except OSError:
                pass
            time.sleep(0.02)
        self.process.kill()
        self.process.wait()
        return False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log_tail(self, lines=40):
        try:
            with open(os.path.join(self.dir, "log"), "rb") as f:
                return b"\n".join(f.read().splitlines()[-lines:]).decode("utf-8", "replace")
        except OSError:
            return "(no log)"

    def connect(self, timeout=10):
        s = socket.create_connection(("127.0.0.1", self.port), timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)
            self.dir = None
