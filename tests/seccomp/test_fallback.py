"""Where io_uring is forbidden the server must serve all the same, say so once, and tell which
back end it runs on."""

import os
import re
import shutil
import subprocess

import pytest

from harness import BACKEND, BINARY, encode, run_once
from servers import free_port

HERE = os.path.dirname(os.path.abspath(__file__))
pytestmark = pytest.mark.ouro_only


@pytest.fixture(scope="session")
def launcher(tmp_path_factory):
    """Path of the compiled deny_uring; skipped where filters cannot be installed."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which(
        "clang")
    if compiler is None:
        pytest.skip("no C compiler")
    path = str(tmp_path_factory.mktemp("seccomp") / "deny_uring")
    subprocess.run([compiler, "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-O1", os.path.join(HERE,
        "deny_uring.c"), "-o", path],
                   check=True)
    done = subprocess.run([path, "none", "true"], check=False)
    if done.returncode == 3:
        pytest.skip("this system does not let us install a filter")
    assert done.returncode == 0
    return path


def serves(s):
    """Enough to know that the loop works: many connections, pipelines, large values, time-outs."""
    conns = [s.raw() for _ in range(30)]
    for i, c in enumerate(conns):
        c.send(encode(["SET", "k%d" % i, "v" * (i * 5000)]) + encode(["GET", "k%d" % i]) +
               encode(["PING"]) * 200)
    for i, c in enumerate(conns):
        assert c.read() == b"OK" and c.read() == b"v" * (i * 5000)
        for _ in range(200):
            assert c.read() == b"PONG"
        c.close()
    with s.raw() as c:
        c.cmd("SET", "k", "v", "PX", 1)
        c.cmd("DEBUG", "SLEEP", "0.01")
        assert c.cmd("GET", "k") is None


@pytest.mark.parametrize("error, text", [("EPERM", "Operation not permitted"),
                                         ("ENOSYS", "Function not implemented")])
def test_epoll_takes_over_with_one_warning(start, launcher, error, text):
    if BACKEND:
        pytest.skip("a back end is forced by the environment")
    s = start(["--io-backend", "auto"], launcher=[launcher, error])
    info = s.info("server")
    assert info["io_backend"] == "epoll"
    assert text in info["io_backend_reason"] or error in info["io_backend_reason"], info["io_backend_reason"]
    assert info["multiplexing_api"] == "epoll"
    warnings = [line for line in s.log().splitlines() if "io_uring" in line]
    assert len(warnings) == 1 and re.search(r"^\d+:[CM] .* # ",
                                            warnings[0]) and (text in warnings[0] or
                                            error in warnings[0]), warnings
    serves(s)


@pytest.mark.parametrize("error", ["EPERM", "ENOSYS"])
def test_forced_io_uring_is_refused(launcher, error):
    if BACKEND:
        pytest.skip("a back end is forced by the environment")
    done = subprocess.run([launcher, error, BINARY, "--port", str(free_port()), "--save", "",
                           "--io-backend", "io_uring"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10, check=False)
    assert done.returncode == 1 and b"io_uring" in done.stdout, done.stdout


def test_forced_epoll_says_nothing(start, launcher):
    if BACKEND == "io_uring":
        pytest.skip("io_uring is forced")
    s = start(["--io-backend", "epoll"], launcher=[launcher, "EPERM"])
    assert s.info("server")["io_backend"] == "epoll"
    assert not [line for line in s.log().splitlines() if "io_uring" in line and " # " in line]
    serves(s)


def test_the_control_a_filter_that_forbids_nothing(start, launcher):
    if BACKEND:
        pytest.skip("a back end is forced by the environment")
    plain = start().info("server")["io_backend"]
    s = start(launcher=[launcher, "none"])
    assert s.info("server")["io_backend"] == plain
    serves(s)


def test_a_bad_backend_is_refused():
    code, _, err = run_once("--io-backend", "kqueue")
    assert code == 1 and b"argument(s) must be one of the following: auto, io_uring, epoll" in err
