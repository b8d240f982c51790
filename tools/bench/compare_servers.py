"""Servers under comparison: started without persistence on 127.0.0.1, pinned, asked and stopped.

Only the standard library is used; RESP is spoken just enough to ask PING, INFO and FLUSHALL.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time

START_LIMIT_S = 20
CALL_LIMIT_S = 60


def pinned(core):
    """The words in front of a command that tie it to a core; none where there is nothing to choose."""
    if core is None or len(os.sched_getaffinity(0)) < 2 or not shutil.which("taskset"):
        return []
    return ["taskset", "-c", str(core)]


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Server:
    """One program with its arguments; start() may be called again after stop()."""

    def __init__(self, name, argv, port, core):
        self.name, self.argv, self.port, self.core = name, argv, port, core
        self.process = self.folder = self.pid = None
        self.version = "?"

    def start(self):
        self.folder = tempfile.TemporaryDirectory(prefix=f"bench-{self.name}-")
        argv = pinned(self.core) + self.argv + [
            "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--maxclients", "20000", "--loglevel", "warning", "--dir", self.folder.name]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, cwd=self.folder.name)
        limit = time.monotonic() + START_LIMIT_S
        while True:
            try:
                info = self.info("server")
                break
            except OSError as e:
                if self.process.poll() is not None:
                    words = self.process.stderr.read().decode(errors="replace").strip()
                    raise RuntimeError(f"{self.name} did not start: {words or self.process.returncode}") from e
                if time.monotonic() > limit:
                    self.stop()
                    raise RuntimeError(f"{self.name} does not answer on port {self.port}") from e
                time.sleep(0.05)
        # a wrapper may have forked: the process that answers is the one to measure
        self.pid = int(info.get("process_id", self.process.pid))
        own = info.get("ouro_version") or info.get("valkey_version")
        self.version = own or info.get("redis_version", "?")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()
            self.folder.cleanup()
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def call(self, *words):
        """One command; its reply as text without the leading line's type, for bulks the content."""
        request = b"*%d\r\n" % len(words)
        for w in words:
            request += b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode())
        with socket.create_connection(("127.0.0.1", self.port), timeout=CALL_LIMIT_S) as s:
            s.sendall(request)
            with s.makefile("rb") as f:
                line = f.readline()
                if not line:
                    raise ConnectionError("closed by the server")
                if line[:1] != b"$":
                    return line[1:].decode(errors="replace").strip()
                return f.read(int(line[1:])).decode(errors="replace")

    def info(self, section):
        text = self.call("INFO", section)
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def rss(self):
        return rss_bytes(self.pid)


def cpu_clock(pid):
    """The clock of a process' CPU time, exact to the nanosecond (what clock_getcpuclockid gives)."""
    return (~pid << 3) | 2


class Prober:
    """PINGs a server all the time, as a context manager; `worst_ms`: the most CPU time that the server spent while a
    PING waited. CPU, since on a shared machine the wall's time also counts what others did to both of us."""

    def __init__(self, server, pause_s=0.0003):
        self.server, self.pause_s = server, pause_s
        self.worst_ms = 0.0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.probe, daemon=True)

    def probe(self):
        clock = cpu_clock(self.server.pid)
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=CALL_LIMIT_S) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not self.ending.is_set():
                wall, before = time.monotonic(), time.clock_gettime(clock)
                s.sendall(b"PING\r\n")
                if not s.recv(64):
                    return
                worked = min(time.clock_gettime(clock) - before, time.monotonic() - wall)
                self.worst_ms = max(self.worst_ms, worked * 1000)
                time.sleep(self.pause_s)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join(CALL_LIMIT_S)
