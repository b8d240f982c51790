"""Servers under comparison: started without persistence on 127.0.0.1, pinned, asked and stopped.

Only the standard library is used; RESP is spoken just enough to ask PING, INFO and FLUSHALL.
"""

import os
import shutil
import socket
import subprocess
import tempfile
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
