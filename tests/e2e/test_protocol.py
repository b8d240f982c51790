"""RESP as bytes: cut frames, malformed frames with their exact answers, inline commands, sizes
at the limits, RESP3."""

import socket
import time

import pytest

from harness import Closed, Error, encode, wait_until

PIECES = [b"*1\r\n$4\r\nPING\r\n", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nb\0\r\n",
          b"PING inline\r\n",
          b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", b"*0\r\n", b"*-1\r\n", b"\r\n",
          b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"]
ANSWERS = b"+PONG\r\n+OK\r\n$6\r\ninline\r\n$0\r\n\r\n$5\r\na\r\nb\0\r\n"


def test_one_byte_at_a_time(raw):
    for byte in b"".join(PIECES):
        raw.send(bytes([byte]))
        time.sleep(0.0005)
    raw.exactly(ANSWERS)
    raw.quiet(0.05)


def test_every_cut_of_a_pipeline_in_two(shared):
    data = b"".join(PIECES)
    for at in range(1, len(data)):
        with shared.raw() as c:
            c.send(data[:at])
            time.sleep(0.001)
            c.send(data[at:])
            c.exactly(ANSWERS)


@pytest.mark.parametrize("bytes_, text", [
    (b"*abc\r\n", "ERR Protocol error: invalid multibulk length"),
    (b"*2147483648\r\n", "ERR Protocol error: invalid multibulk length"),
    (b"*9223372036854775808\r\n", "ERR Protocol error: invalid multibulk length"),
    (b"*1 \r\n", "ERR Protocol error: invalid multibulk length"),
    (b"* 1\r\n", "ERR Protocol error: invalid multibulk length"),
    (b"*+1\r\n", "ERR Protocol error: invalid multibulk length"),
    (b"*01\r\n", "ERR Protocol error: invalid multibulk length"),
    (b"*\r\n", "ERR Protocol error: invalid multibulk length"),
    (b"*1\r\n$abc\r\n", "ERR Protocol error: invalid bulk length"),
    (b"*1\r\n$-1\r\n", "ERR Protocol error: invalid bulk length"),
    (b"*1\r\n$-5\r\n", "ERR Protocol error: invalid bulk length"),
    (b"*1\r\n$\r\n", "ERR Protocol error: invalid bulk length"),
    (b"*1\r\n$ 4\r\nPING\r\n", "ERR Protocol error: invalid bulk length"),
    (b"*1\r\n$600000000\r\n", "ERR Protocol error: invalid bulk length"),
    (b"*1\r\n$1073741824\r\n", "ERR Protocol error: invalid bulk length"),
    (b"*1\r\n$18446744073709551615\r\n", "ERR Protocol error: invalid bulk length"),
    (b"*1\r\nPING\r\n", "ERR Protocol error: expected '$', got 'P'"),
    (b"*1\r\n:1\r\n", "ERR Protocol error: expected '$', got ':'"),
    (b"*1\r\n\x01\r\n", "ERR Protocol error: expected '$', got '\x01'"),
    (b"*2\r\n$4\r\nPING\r\n+x\r\n", "ERR Protocol error: expected '$', got '+'"),
    (b'ECHO "x\r\n', "ERR Protocol error: unbalanced quotes in request"),
    (b"ECHO 'x\r\n", "ERR Protocol error: unbalanced quotes in request"),
    (b'ECHO "x"y\r\n', "ERR Protocol error: unbalanced quotes in request"),
    (b"a" * 70000, "ERR Protocol error: too big inline request"),
    (b"*" + b"1" * 65537, "ERR Protocol error: too big mbulk count string"),
    (b"*1\r\n$" + b"1" * 65537, "ERR Protocol error: too big bulk count string"),
], ids=lambda v: repr(v[:30]) if isinstance(v, bytes) else None)
def test_malformed_requests_get_their_text_and_the_connection_ends(shared, bytes_, text):
    with shared.raw() as c:
        c.send(b"PING\r\n")
        c.exactly(b"+PONG\r\n")
        try:
            c.send(bytes_)
        except (BrokenPipeError, ConnectionResetError):
            pass
        got = c.read_all()
        assert got == b"-" + text.encode("latin-1") + b"\r\n", got


def test_a_pipeline_up_to_a_malformed_frame_is_answered(shared):
    with shared.raw() as c:
        c.send(b"PING\r\nSET a b\r\n*1\r\n$3x\r\nPING\r\nPING\r\n")
        assert c.read_all() == b"+PONG\r\n+OK\r\n-ERR Protocol error: invalid bulk length\r\n"


@pytest.mark.parametrize("data", [b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
                                  b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_http_is_cut_off(shared, data):
    with shared.raw() as c:
        c.send(data)
        got = c.read_all()
        assert b"PONG" not in got and b"HTTP" not in got
    wait_until(lambda: "Possible SECURITY ATTACK detected" in shared.output(), 3,
               what="the warning in the log")


@pytest.mark.parametrize("line, argument", [
    (b"ECHO hello", b"hello"), (b"  ECHO\t hello  ", b"hello"), (b'ECHO "a b"', b"a b"),
    (b"ECHO 'a b'", b"a b"),
    (b'ECHO "\\x41\\x00\\xff"', b"A\0\xff"), (b'ECHO "\\n\\r\\t\\b\\a\\\\\\""', b'\n\r\t\b\a\\"'),
    (b'ECHO "\\q"', b"q"),
    (b"ECHO 'it\\'s'", b"it's"), (b"ECHO 'a\\nb'", b"a\\nb"), (b'ECHO ""', b""), (b"ECHO ''", b""),
    (b"ECHO a\"b\"", b"ab"),
    (b"ECHO \xff\xfe", b"\xff\xfe"), (b'"ECHO" x', b"x"), (b"echo 'x\\\\y'", b"x\\\\y"),
])
def test_inline_quoting(raw, line, argument):
    raw.send(line + b"\r\n")
    assert raw.read() == argument


def test_inline_lines_end_with_a_newline_alone(raw):
    raw.send(b"PING\nECHO x\n")
    raw.exactly(b"+PONG\r\n$1\r\nx\r\n")


def test_errors_carry_no_line_breaks_of_the_client(raw):
    for name in (b"no\r\nsuch", b"no\nsuch\r", b"x\0y"):
        raw.send(encode([name, b"a\r\nb"]))
        frame = raw.read_frame()
        assert frame.count(b"\r\n") == 1 and frame.count(b"\n") == 1, frame
        assert raw.cmd("PING") == b"PONG"
    assert raw.cmd("SET", "k\r\n", "v\r\n+OK\r\n") == b"OK"
    assert raw.cmd("GET", "k\r\n") == b"v\r\n+OK\r\n"
    assert raw.cmd("KEYS", "*") == [b"k\r\n"]
    assert isinstance(raw.cmd("CONFIG", "SET", "no\r\nsuch", "1"), Error)
    assert isinstance(raw.cmd("CONFIG", "no\r\nsuch"), Error)
    assert raw.cmd("PING") == b"PONG"


@pytest.mark.parametrize("args, text", [
    (["NOSUCH", "a", "b"], "ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
    (["NOSUCH"], "ERR unknown command 'NOSUCH', with args beginning with: "),
    (["N" * 300, "q" * 300], "ERR unknown command '" + "N" * 128 +
     "', with args beginning with: '" + "q" * 128 + "' "),
    (["x", "a" * 100, "b" * 100, "c"], "ERR unknown command 'x', with args beginning with: '" +
     "a" * 100 + "' '" + "b" * 25 + "' "),
    (["GET"], "ERR wrong number of arguments for 'get' command"),
    (["CONFIG"], "ERR wrong number of arguments for 'config' command"),
    (["CONFIG", "GET"], "ERR wrong number of arguments for 'config|get' command"),
    (["CONFIG", "NOSUCH"], "ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP."),
    (["object", "NOSUCH", "s"], "ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP."),
    (["client", "nosuch" * 40], "ERR unknown subcommand '" + ("nosuch" * 40)[:128] +
     "'. Try CLIENT HELP."),
], ids=str)
def test_error_texts_of_the_dispatcher(raw, args, text):
    assert raw.cmd(*args) == text


def test_a_million_arguments_announced_and_never_sent(shared):
    before = shared.rss()
    conns = [shared.raw() for _ in range(20)]
    for c in conns:
        c.send(b"*1000000\r\n")
    with shared.raw() as c:
        assert c.cmd("PING") == b"PONG"
    time.sleep(0.1)
    assert shared.rss() - before < 200 << 20
    for c in conns:
        c.close()


def test_large_bulks_announced_and_never_sent(shared):
    before = shared.rss()
    conns = [shared.raw() for _ in range(20)]
    for c in conns:
        c.send(b"*2\r\n$4\r\nECHO\r\n$536870912\r\nabc")
    with shared.raw() as c:
        assert c.cmd("PING") == b"PONG"
    assert shared.rss() - before < 100 << 20, "memory is taken for bytes that were only announced"
    for c in conns:
        c.close()


def test_more_arguments_than_allowed(shared):
    with shared.raw() as c:
        c.send(b"*1048577\r\n")
        got = c.read_all() if not _stays_open(c) else b""
        assert got in (b"", b"-ERR Protocol error: invalid multibulk length\r\n")


def _stays_open(c):
    try:
        c.read_frame(0.3)
    except TimeoutError:
        return True
    except Closed:
        return False
    return False


def test_a_command_with_half_a_million_arguments(raw):
    n = 500000
    raw.send(b"*%d\r\n$3\r\nDEL\r\n" % (n + 1) + b"$1\r\nx\r\n" * n)
    assert raw.read(30) == 0
    assert raw.cmd("PING") == b"PONG"


@pytest.mark.parametrize("size", [0, 1, 15, 16, 44, 45, 1000, 16383, 16384, 16385, 32767, 32768,
                                  65535, 65536, 100000,
                                  1 << 20, 3000001])
def test_values_of_every_size(raw, size):
    value = bytes(i * 7 % 256 for i in range(min(size, 4096)))
    value = (value * (size // max(len(value), 1) + 1))[:size]
    assert raw.cmd("SET", "k", value) == b"OK"
    assert raw.cmd("GET", "k") == value
    assert raw.cmd("STRLEN", "k") == size


def test_values_that_arrive_in_pieces(raw):
    value = bytes(i % 251 for i in range(300000))
    data = encode(["SET", "k", value]) + encode(["GET", "k"])
    for step in (1000, 16384, 40000):
        for at in range(0, len(data), step):
            raw.send(data[at:at + step])
        assert raw.read() == b"OK"
        assert raw.read() == value


@pytest.mark.slow
def test_a_value_of_512_mb(start):
    s = start()
    size = 512 << 20
    with s.raw(timeout=60) as c:
        chunk = bytes(range(256)) * 4096
        c.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % size)
        for _ in range(size // len(chunk)):
            c.send(chunk)
        c.send(b"\r\n")
        assert c.read(60) == b"OK"
        assert c.cmd("STRLEN", "k") == size
        assert c.cmd("GETRANGE", "k", size - 4, -1) == bytes([252, 253, 254, 255])
        assert c.cmd("APPEND", "k",
                     "x") == "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
        assert c.cmd("SETBIT", "k", 4294967295, 1) == 1
        assert c.cmd("SETRANGE", "k", 536870912,
                     "x") == "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
        assert c.cmd("DEL", "k") == 1


def test_bulks_over_the_configured_limit(start):
    s = start(["--proto-max-bulk-len", "1mb"])
    with s.raw() as c:
        assert c.cmd("SET", "k", b"x" * (1 << 20)) == b"OK"
        assert c.cmd("SETRANGE", "k", 1 << 20,
                     "x") == "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
        c.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % ((1 << 20) + 1))
        assert c.read_all() == b"-ERR Protocol error: invalid bulk length\r\n"


def test_a_pipeline_of_100000_commands_in_one_write(raw):
    n = 100000
    data = encode(["INCR", "counter"]) * n

    import threading
    sender = threading.Thread(target=raw.send, args=(data,))
    sender.start()
    expected = b"".join(b":%d\r\n" % i for i in range(1, n + 1))
    raw.exactly(expected, 60)
    sender.join()
    assert raw.cmd("GET", "counter") == b"%d" % n


def test_interleaved_pipelines_of_many_connections(shared):
    conns = [shared.raw() for _ in range(50)]
    for round_ in range(20):
        for i, c in enumerate(conns):
            c.send(encode(["SET", "k%d" % i, round_]) + encode(["GET", "k%d" % i]) +
                   encode(["ECHO", "e%d" % i]))
        for i, c in enumerate(conns):
            assert (c.read(), c.read(), c.read()) == (b"OK", b"%d" % round_, b"e%d" % i)
    for c in conns:
        c.close()


def test_half_open_clients_get_their_answers(shared):
    with shared.raw() as c:
        c.send(encode(["SET", "k", "x" * 100000]) + encode(["GET", "k"]) * 50)
        c.socket.shutdown(socket.SHUT_WR)
        got = c.read_all(10)
        # the server may close when it meets the end, but what comes is right
        assert got.startswith(b"+OK\r\n")
        assert (b"+OK\r\n" + (b"$100000\r\n" + b"x" * 100000 + b"\r\n") * 50).startswith(got)
    with shared.raw() as c:
        assert c.cmd("PING") == b"PONG"


def test_quit(shared):
    with shared.raw() as c:
        c.send(b"PING\r\nQUIT\r\nPING\r\n")
        assert c.read_all() == b"+PONG\r\n+OK\r\n"
    with shared.raw() as c:
        c.send(encode(["QUIT", "x"]))
        got = c.read_frame()
        assert got in (b"+OK\r\n", b"-ERR wrong number of arguments for 'quit' command\r\n")


def test_reset(raw):
    raw.cmd("CLIENT", "SETNAME", "n")
    raw.cmd("SELECT", 3)
    raw.cmd("MULTI")
    raw.cmd("HELLO", 3)
    assert raw.cmd("RESET") == b"RESET"
    assert raw.cmd("CLIENT", "GETNAME") is None
    assert raw.cmd("EXEC") == "ERR EXEC without MULTI"
    info = raw.cmd("CLIENT", "INFO").decode()
    assert " db=0 " in info and " resp=2" in info


def test_client_reply(raw):
    raw.send(encode(["CLIENT", "REPLY", "SKIP"]) + encode(["PING", "a"]) + encode(["PING", "b"]))
    raw.exactly(b"$1\r\nb\r\n")
    raw.send(encode(["CLIENT", "REPLY", "OFF"]) + encode(["PING"]) + encode(["SET", "k", "v"]) +
             encode(["NOSUCH"]) +
             encode(["CLIENT", "REPLY", "ON"]) + encode(["GET", "k"]))
    raw.exactly(b"+OK\r\n$1\r\nv\r\n")
    raw.quiet(0.05)
    raw.send(encode(["CLIENT", "REPLY", "OFF"]) + encode(["CLIENT", "REPLY", "SKIP"]) +
             encode(["PING"]) +
             encode(["CLIENT", "REPLY", "ON"]))
    raw.exactly(b"+OK\r\n")
    assert raw.cmd("CLIENT", "REPLY", "BAD") == "ERR syntax error"


def test_hello_tells_who_the_server_is(raw):
    reply = raw.cmd("HELLO")
    pairs = dict(zip(reply[::2], reply[1::2]))
    assert pairs[b"proto"] == 2 and pairs[b"mode"] == b"standalone" and pairs[b"role"] == b"master"
    assert isinstance(pairs[b"id"], int)
    assert pairs[b"modules"] == []
    assert pairs[b"version"].count(b".") == 2
    assert reply[::2][:7] == [b"server", b"version", b"proto", b"id", b"mode", b"role", b"modules"]
    reply3 = raw.cmd("HELLO", 3)
    assert isinstance(reply3, dict) and reply3[b"proto"] == 3
    assert raw.cmd("HELLO", 4) == "NOPROTO unsupported protocol version"
    assert raw.cmd("HELLO", "abc") == "ERR Protocol version is not an integer or out of range"
    assert raw.cmd("HELLO", 2, "SETNAME",
                   "a b") == "ERR Client names cannot contain spaces, newlines or special characters."
    assert isinstance(raw.cmd("HELLO", 2, "SETNAME", "me"), list)
    assert raw.cmd("CLIENT", "GETNAME") == b"me"


RESP3_TYPES = {
    "string": (b"$11\r\nHello World\r\n", b"$11\r\nHello World\r\n"),
    "integer": (b":12345\r\n", b":12345\r\n"),
    "double": (b"$5\r\n3.141\r\n", b",3.141\r\n"),
    "null": (b"$-1\r\n", b"_\r\n"),
    "array": (b"*3\r\n:0\r\n:1\r\n:2\r\n", b"*3\r\n:0\r\n:1\r\n:2\r\n"),
    "set": (b"*3\r\n:0\r\n:1\r\n:2\r\n", b"~3\r\n:0\r\n:1\r\n:2\r\n"),
    "map": (b"*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n",
            b"%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"),
    "attrib": (b"$39\r\nSome real reply following the attribute\r\n",
               b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n$39\r\nSome real "
               b"reply following the attribute\r\n"),
    "push": (b"-ERR RESP2 is not supported by this command\r\n",
             b">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n"),
    "verbatim": (b"$25\r\nThis is a verbatim\nstring\r\n",
                 b"=29\r\ntxt:This is a verbatim\nstring\r\n"),
    "true": (b":1\r\n", b"#t\r\n"),
    "false": (b":0\r\n", b"#f\r\n"),
    "bignum": (b"$37\r\n1234567999999999999999999999999999999\r\n",
               b"(1234567999999999999999999999999999999\r\n"),
}


@pytest.mark.parametrize("name", RESP3_TYPES)
def test_debug_protocol_in_both_versions(raw, name):
    for version in (2, 3):
        raw.cmd("HELLO", version)
        raw.send(encode(["DEBUG", "PROTOCOL", name]))
        expected = RESP3_TYPES[name][version - 2]
        if name == "push" and version == 2:
            assert isinstance(raw.read(), (Error, list))
            continue
        raw.exactly(expected)


def test_replies_of_resp3(resp3):
    assert resp3.cmd("GET", "nokey") is None
    resp3.send(encode(["GET", "nokey"]))
    resp3.exactly(b"_\r\n")
    resp3.send(encode(["CONFIG", "GET", "hz"]))
    resp3.exactly(b"%1\r\n$2\r\nhz\r\n$2\r\n10\r\n")
    resp3.send(encode(["INFO", "nosuch"]))
    assert resp3.read_frame()[:1] in (b"=", b"$")
    resp3.send(encode(["CLIENT", "INFO"]))
    assert resp3.read_frame()[:1] == b"="
    resp3.cmd("MULTI")
    resp3.send(encode(["EXEC"]))
    resp3.exactly(b"*0\r\n")


@pytest.mark.needs("HSET", "ZADD", "SADD")
def test_collections_in_resp3(resp3):
    resp3.cmd("HSET", "h", "f", "v")
    resp3.cmd("SADD", "t", "m")
    resp3.cmd("ZADD", "z", "1.5", "m")
    resp3.send(encode(["HGETALL", "h"]) + encode(["SMEMBERS", "t"]) + encode(["ZSCORE", "z", "m"]) +
               encode(["ZRANGE", "z", 0, -1, "WITHSCORES"]) +
               encode(["ZADD", "z", "INCR", "1", "m"]))
    resp3.exactly(b"%1\r\n$1\r\nf\r\n$1\r\nv\r\n~1\r\n$1\r\nm\r\n,1.5\r\n*1\r\n*2\r\n$1\r\nm\r\n,1.5\r\n,2.5\r\n")


class TestUnauthenticated:
    """Before AUTH a client may cost little."""

    @pytest.fixture
    def locked(self, start):
        return start(["--requirepass", "secret"])

    @pytest.mark.parametrize("data, text", [
        (b"*11\r\n", b"-ERR Protocol error: unauthenticated multibulk length\r\n"),
        (b"*2\r\n$4\r\nECHO\r\n$16385\r\n",
         b"-ERR Protocol error: unauthenticated bulk length\r\n"),
        (b"*1\r\n$20000\r\n", b"-ERR Protocol error: unauthenticated bulk length\r\n"),
    ])
    def test_small_limits(self, locked, data, text):
        with locked.raw() as c:
            c.send(data)
            assert c.read_all() == text

    def test_limits_end_with_auth(self, locked):
        with locked.raw() as c:
            assert c.cmd("PING") == "NOAUTH Authentication required."
            assert c.cmd("GET", "x") == "NOAUTH Authentication required."
            assert c.cmd("AUTH", "bad") == "WRONGPASS invalid username-password pair or user is disabled."
            assert c.cmd("AUTH", "default",
                         "bad") == "WRONGPASS invalid username-password pair or user is disabled."
            assert c.cmd("HELLO",
                         3).startswith("NOAUTH HELLO must be called with the client already "
                                       "authenticated")
            assert c.cmd("AUTH", "secret") == b"OK"
            assert c.cmd("SET", "k", "x" * 20000) == b"OK"
            assert c.cmd("DEL", *range(20)) == 0
            assert c.cmd("RESET") == b"RESET"
            assert c.cmd("PING") == "NOAUTH Authentication required."

    def test_hello_auth(self, locked):
        with locked.raw() as c:
            assert isinstance(c.cmd("HELLO", 3, "AUTH", "default", "secret", "SETNAME", "me"), dict)
            assert c.cmd("CLIENT", "GETNAME") == b"me"

    def test_ten_arguments_are_fine(self, locked):
        with locked.raw() as c:
            assert c.cmd("DEL", *"abcdefghi") == "NOAUTH Authentication required."
            assert c.cmd("QUIT") == b"OK"
