"""Fixtures, for the conftest.py of this folder and of tests/seccomp: `server` (a fresh server
for the test), `shared` (one server for all tests, emptied before each), `start` (makes servers
with arguments of the test's choice). All are checked when they end: alive, and no complaint in
the output.

OURO_SERVER: the program (default build/ouro-server). OURO_IO_BACKEND: io_uring or epoll, given
as --io-backend.
"""

import os

import pytest

import harness


def pytest_configure(config):
    config.addinivalue_line("markers",
                            "slow: needs several seconds or much memory; left out with -m 'not "
                            "slow'")
    config.addinivalue_line("markers", "ouro_only: about something only Ouro has")
    config.addinivalue_line("markers",
                            "crashes: provokes a crash report; a sanitizer would write its own")
    config.addinivalue_line("markers",
                            "needs(*commands): skipped when the server does not have them")


def pytest_sessionstart(session):
    if not os.access(harness.BINARY, os.X_OK):
        pytest.exit("no server at %s (set OURO_SERVER)" % harness.BINARY, returncode=2)


class _Facts:
    """What kind of server is under test; asked once."""

    def __init__(self):
        self.commands = None
        self.is_ouro = None
        self._sanitized = None

    def sanitized(self):
        """Whether the program was built with AddressSanitizer."""
        if self._sanitized is None:
            with open(harness.BINARY, "rb") as f:
                self._sanitized = b"__asan_init" in f.read()
        return self._sanitized

    def learn(self):
        if self.commands is None:
            server = harness.Server().start()
            try:
                with server.raw() as c:
                    reply = c.cmd("COMMAND")
                    self.commands = {e[0].decode().upper() for e in reply} if isinstance(reply,
                        list) else set()
                self.is_ouro = "ouro_version" in server.info("server")
            finally:
                server.finish()
        return self


FACTS = _Facts()


@pytest.fixture(autouse=True)
def _conditions(request):
    needs = request.node.get_closest_marker("needs")
    if needs:
        missing = [c for c in needs.args if c.upper() not in FACTS.learn().commands]
        if missing:
            pytest.skip("the server does not have " + " ".join(missing))
    if request.node.get_closest_marker("crashes") and FACTS.sanitized():
        pytest.skip("built with a sanitizer")
    if request.node.get_closest_marker("ouro_only") and not FACTS.learn().is_ouro:
        pytest.skip("not Ouro")


@pytest.fixture
def is_ouro():
    return FACTS.learn().is_ouro


@pytest.fixture
def start():
    """start(args=..., conf=..., wait=True, ...) -> Server; see harness.Server."""
    made = []

    def make(args=(), wait=True, **kw):
        server = harness.Server(args, **kw)
        made.append(server)
        return server.start(wait)
    yield make
    errors = []
    for server in made:
        try:
            server.finish()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)


@pytest.fixture
def server(start):
    return start()


@pytest.fixture(scope="session")
def _session_server():
    made = [harness.Server().start()]
    yield made
    made[-1].finish()


@pytest.fixture
def shared(_session_server):
    """For tests that change nothing but data. A server that a test killed is replaced, so that
    one bug is one failure."""
    server = _session_server[-1]
    if not server.alive():
        server = harness.Server().start()
        _session_server.append(server)
    with server.raw() as c:
        assert c.cmd("FLUSHALL") == b"OK"
        c.cmd("CONFIG", "RESETSTAT")
    yield server
    assert server.alive(), "the server died:\n" + server.output()[-4000:]


@pytest.fixture
def raw(shared):
    """A connection to the shared server."""
    with shared.raw() as c:
        yield c


@pytest.fixture
def resp3(shared):
    """The same in RESP3."""
    with shared.raw() as c:
        c.cmd("HELLO", 3)
        yield c
