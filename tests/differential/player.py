"""Plays a sequence of steps on several servers in lock step and compares what they say.

Steps that follow each other on one connection are pipelined in batches. A batch ends with `PING
<token>`: everything before the token's reply belongs to the batch. When the batches of all
servers are equal as bytes nothing is parsed. Connections are opened anew for each sequence and
again after a server closed one.
"""

import itertools
import select
import time

import canon
import known
import resp
from gen import session_groups
from gen.sequence import BLOCK, RESTORE_LIMITS, RESTORE_LIMITS_72, SLEEP

BATCH = 64
WAIT_S = 10.0           # for a batch; a server that needs longer hangs
_TOKENS = itertools.count(1)
CLOSED = b"-(connection closed)\r\n"
HANGS = b"-(no reply in time)\r\n"


class Link:
    """One client connection to one server."""

    def __init__(self, server, resp3):
        self.server = server
        self.socket = server.connect()
        self.buf = bytearray()
        self.closed = False
        self.id = None
        self.pending = 0        # blocking commands sent whose replies were not collected yet
        if resp3:
            self.talk([b"HELLO", b"3"])
        reply = self.talk([b"CLIENT", b"ID"])
        if reply[:1] == b":":
            self.id = reply[1:-2]

    def talk(self, *commands):
        """Sends and waits for as many replies; returns the last. For the harness' own needs."""
        self.send(b"".join(map(resp.encode, commands)))
        end = time.monotonic() + WAIT_S
        got = []
        while len(got) < len(commands):
            frames, rest = resp.split(self.buf)
            if frames:
                got += frames
                self.buf = bytearray(rest)
                continue
            if self.closed or time.monotonic() > end:
                return HANGS
            self.read(end - time.monotonic())
        return got[-1]

    def send(self, data):
        if self.closed:
            return
        try:
            self.socket.sendall(data)
        except OSError:
            self.closed = True

    def read(self, timeout):
        """Reads what is there, waiting for something at most `timeout` seconds."""
        if self.closed or not select.select([self.socket], [], [], max(timeout, 0))[0]:
            return
        try:
            data = self.socket.recv(1 << 18)
        except OSError:
            data = b""
        if data:
            self.buf += data
        else:
            self.closed = True

    def finish_batch(self, count, token):
        """Reads up to the token's reply. Returns the bytes of the batch without it."""
        count += self.pending
        self.pending = 0
        end = time.monotonic() + WAIT_S
        tail = b"%d\r\n%s\r\n" % (len(token), token)
        while True:
            if self.buf.endswith(tail):
                return self._take_without_token(tail)
            if tail in self.buf and self.buf.rfind(b">") > self.buf.rfind(tail):
                return self._take_around_token(tail)
            if self.closed:
                return self._take(len(self.buf)) + CLOSED
            if self._answers_without_token(count):
                return self._take_last_frame()
            if time.monotonic() > end:
                return self._take(len(self.buf)) + HANGS
            self.read(min(1.0, end - time.monotonic()))

    def _take(self, n):
        out = bytes(self.buf[:n])
        del self.buf[:n]
        return out

    def _take_without_token(self, tail):
        """The token comes as a bulk, or as the last part of a subscriber's pong."""
        for head in (b"$", b"*2\r\n$4\r\npong\r\n$", b">2\r\n$4\r\npong\r\n$"):
            whole = head + tail
            if self.buf.endswith(whole) and (head != b"$" or not self.buf.endswith(b"pong\r\n" +
                    whole)):
                out = self._take(len(self.buf) - len(whole))
                self.buf.clear()
                return out
        return self._take(len(self.buf))

    def _take_around_token(self, tail):
        """Pushes that came behind the token's reply belong to the batch too."""
        frames, rest = resp.split(self.buf)
        self.buf = bytearray(rest)
        return b"".join(f for f in frames if not f.endswith(tail))

    def _answers_without_token(self, count):
        """In MULTI the PING is queued; a refused PING is an error: count frames instead."""
        if b"+QUEUED\r\n" not in self.buf and b"\r\n-" not in self.buf and self.buf[:1] != b"-":
            return False
        frames, rest = resp.split(self.buf)
        plain = [f for f in frames if f[:1] != b">"]
        return not rest and len(plain) > count and (plain[-1] == b"+QUEUED\r\n" or
                                                    plain[-1][:1] == b"-")

    def _take_last_frame(self):
        """All but the reply to the batch's PING."""
        frames, _ = resp.split(self.buf)
        self.buf.clear()
        last = max(i for i, f in enumerate(frames) if f[:1] != b">")
        return b"".join(frames[:last] + frames[last + 1:])

    def close(self):
        self.socket.close()


class Mismatch:
    """Replies that differ. index: of the step; replies: one raw frame per server (None: no
    frame)."""

    def __init__(self, index, args, replies, queued):
        self.index = index
        self.args = args
        self.replies = replies
        self.queued = queued


class Player:
    """servers: started servers. judge(Mismatch) decides what a difference means; true stops the
    sequence."""

    def __init__(self, servers, resp3=False):
        self.servers = servers
        self.resp3 = resp3
        self.control = [Link(s, False) for s in servers]
        self.conns = {}
        self.commands = 0
        # connection -> commands since MULTI, to know what an EXEC's parts belong to
        self.history = {}

    def close(self):
        for link in self.control:
            link.close()
        self._close_conns()

    def _close_conns(self):
        for links in self.conns.values():
            for link in links:
                link.close()
        self.conns = {}

    def reset(self):
        """Empty servers with the usual limits and no connections but the control connections."""
        self._close_conns()
        self.history = {}
        restore = [[b"CONFIG", b"SET", k, v] for k, v in session_groups.SERVER_DEFAULTS]
        for i, link in enumerate(self.control):
            if link.closed or link.buf:
                link.close()
                link = self.control[i] = Link(self.servers[i], False)
            link.talk(RESTORE_LIMITS, RESTORE_LIMITS_72, *restore, [b"FLUSHALL"])

    def play(self, steps, judge, keyspace=True):
        """Plays from an empty server. Stops when judge says so."""
        self.reset()
        judge.look_ahead(steps)
        at = 0
        while at < len(steps):
            conn, args, kind = steps[at]
            end = at + 1
            if kind == SLEEP:
                time.sleep(args[0] / 1000)
            elif kind == BLOCK:
                self._send_blocking(conn, args)
            else:
                while (end < len(steps) and end - at < BATCH and steps[end][0] == conn and
                       steps[end][2] == kind and
                       not (_alone(steps[end][1]) or _alone(steps[end - 1][1]))):
                    end += 1
                if self._batch(conn, [s[1] for s in steps[at:end]], at, judge):
                    return
            at = end
        if keyspace:
            self._compare_keyspaces(len(steps), judge)

    def _links(self, conn):
        links = self.conns.get(conn)
        if links is None:
            links = self.conns[conn] = [Link(s, self.resp3) for s in self.servers]
            self.history[conn] = []
        return links

    def _send_blocking(self, conn, args):
        for link in self._links(conn):
            link.send(resp.encode(args))
            link.pending += 1
        self.commands += 1
        self._settle()

    def _settle(self):
        """After two round trips on another connection, whatever was sent before has been run and
        answered."""
        for _ in range(2):
            for link in self.control:
                link.talk([b"PING"])

    def _unblock(self, links):
        """Whoever still waits on this connection stops waiting: what it got is about to be
        collected."""
        self._settle()
        for control, link in zip(self.control, links):
            if link.id:
                control.talk([b"CLIENT", b"UNBLOCK", link.id])
        self._settle()

    def _batch(self, conn, commands, first, judge):
        commands = [c for c in commands if c]
        token = b"ouro-%d" % next(_TOKENS)
        data = b"".join(map(resp.encode, commands)) + resp.encode([b"PING", token])
        links = self._links(conn)
        if any(link.pending for link in links):
            self._unblock(links)
        for link in links:
            link.send(data)
        answers = [link.finish_batch(len(commands), token) for link in links]
        self.commands += len(commands)
        stop = False
        if any(a != answers[0] for a in answers):
            stop = self._compare(conn, commands, first, answers, judge)
        self.history[conn].extend(commands +
                                  [[b"PING", token]])   # inside MULTI the PING is queued too
        if any(link.closed for link in links):
            for link in links:
                link.close()
            del self.conns[conn]
        return stop

    def _compare(self, conn, commands, first, answers, judge):
        split = []
        for answer in answers:
            frames, rest = resp.split(answer)
            split.append(frames + ([rest] if rest else []))
        if _is_partial_order(commands) and len({_sorted_frames(s) for s in split}) == 1:
            return False
        pushes = [_sort_pattern_messages([f for f in s if _is_message(f)]) for s in split]
        split = [[f for f in s if not _is_message(f)] for s in split]
        return (self._compare_frames(conn, commands, first, split, judge) or
                self._compare_frames(conn, [], first + max(len(commands) - 1, 0), pushes, judge))

    def _compare_frames(self, conn, commands, first, split, judge):
        for i in range(max(map(len, split))):
            replies = [s[i] if i < len(s) else None for s in split]
            if all(r == replies[0] for r in replies):
                continue
            at = min(i, len(commands) - 1)
            args = commands[at] if commands else [b"(messages)"]
            queued = self._queued(conn, commands[:at]) if args[0].upper() == b"EXEC" else ()
            if not all(canon.same(args, replies[0], r, queued) for r in replies[1:]):
                if judge(Mismatch(first + max(at, 0), args, replies, queued)):
                    return True
        return False

    def _queued(self, conn, before):
        """The commands that an EXEC at this place runs: those since MULTI that were accepted."""
        out = None
        for args in self.history.get(conn, []) + before:
            name = args[0].upper()
            if name in (b"EXEC", b"DISCARD") and len(args) == 1 or name == b"RESET":
                out = None
            elif name == b"MULTI" and out is None:
                out = []
            elif out is not None and name not in (b"WATCH", b"MULTI", b"DISCARD", b"EXEC", b"QUIT"):
                out.append(args)
        return out or []

    def _compare_keyspaces(self, first, judge):
        """Every key of every database that was in use: type, encoding, time to live and value."""
        for db in (0, 1, 2):
            keys = []
            for link in self.control:
                link.talk([b"SELECT", b"%d" % db])
                frame = resp.parse(link.talk([b"KEYS", b"*"]))[0]
                keys.append({k[1] for k in frame[1]} if frame[0] == b"*" else set())
            every = sorted(set().union(*keys))
            commands = [[b"SELECT", b"%d" % db]]
            for key in every:
                kind = next(link.talk([b"TYPE", key]) for link, ks in zip(self.control, keys)
                            if key in ks)
                commands += [[b"EXISTS", key], [b"TYPE", key], [b"OBJECT", b"ENCODING", key],
                             [b"PTTL", key]]
                commands += _READ_BACK.get(kind[1:-2], lambda k: [])(key)
            # conn 9: nobody else's, so that it is in no odd state
            if self._batch(9, commands, first, judge):
                return


_READ_BACK = {
    b"string": lambda k: [[b"GET", k]],
    b"list": lambda k: [[b"LRANGE", k, b"0", b"-1"]],
    b"set": lambda k: [[b"SMEMBERS", k]],
    b"hash": lambda k: [[b"HGETALL", k]],
    b"zset": lambda k: [[b"ZRANGE", k, b"0", b"-1", b"WITHSCORES"]],
    b"stream": lambda k: [[b"XRANGE", k, b"-", b"+"], [b"XINFO", b"STREAM", k, b"FULL", b"COUNT",
                                                       b"0"],
                          [b"XINFO", b"GROUPS", k]],
}


def _alone(args):
    """Commands that are not pipelined with others. A failing AUTH gets no reply from 7.2 and
    Valkey when replies are pending; subscriptions answer with several frames, which would be
    taken for the next commands' replies."""
    return bool(args) and (args[0].upper() in (b"AUTH", b"HELLO") or
                           args[0].upper().endswith(b"SUBSCRIBE"))


def _is_message(raw):
    """What came by itself: a push, or a message to a subscriber in RESP2. Not the answers to
    (un)subscribing, which are pushes in RESP3."""
    if raw[:1] == b">":
        return b"subscribe\r\n" not in raw[:30]
    return raw[4:].startswith((b"$7\r\nmessage\r\n", b"$8\r\npmessage\r\n",
                               b"$8\r\nsmessage\r\n"))


def _is_partial_order(commands):
    return any(c[0].upper() in (b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE", b"RESET",
                                b"QUIT") for c in commands)


def _sorted_frames(frames):
    """Frames without their order; the count in "unsubscribed from x, n left" belongs to the
    order."""
    out = []
    for raw in frames:
        if b"subscribe\r\n" in raw[:30]:
            head, _, _ = raw.rpartition(b":")
            out.append(head)
        else:
            out.append(raw)
    return tuple(sorted(out))


def _sort_pattern_messages(frames):
    """One message that matches several patterns of a client comes once for each, in no order. Invalidations in a row are
    taken together: how many turns a server takes for a pipeline, and so how it gathers broadcasts, is open. Keys that were
    missed in a row, too: SORT looks for the weights and values of equal elements in the order of its table."""
    out = []
    for raw in frames:
        keys = _invalidated(raw)
        before = _invalidated(out[-1]) if out and keys is not None else None
        if keys is not None:
            if before is not None:
                out.pop()
            every = sorted(set(keys + (before or [])))
            out.append(b">2\r\n$10\r\ninvalidate\r\n" + known.unparse((b"*", every)))
            continue
        out.append(raw)
        if _tells_of_a_miss(raw) and len(out) > 1 and _tells_of_a_miss(out[-2]):
            first = len(out) - 1
            while first > 0 and _tells_of_a_miss(out[first - 1]):
                first -= 1
            out[first:] = sorted(out[first:])
            continue
        if b"\r\npmessage\r\n" not in raw[:24]:
            continue
        at = len(out) - 1
        while at > 0 and b"\r\npmessage\r\n" in out[at - 1][:24] and out[at - 1] > out[at] and (
                _message_of(out[at - 1]) == _message_of(out[at])):
            out[at - 1], out[at] = out[at], out[at - 1]
            at -= 1
    return out


def _tells_of_a_miss(raw):
    return b"message\r\n" in raw[:24] and (b":keymiss\r\n" in raw or raw.endswith(b"\r\nkeymiss\r\n"))


def _invalidated(raw):
    """The keys of an invalidation, None when it is none or tells of a flush."""
    if b"\r\ninvalidate\r\n*" not in raw[:24]:
        return None
    return resp.parse(raw)[0][1][1][1]


def _message_of(raw):
    parts = resp.parse(raw)[0][1]
    return parts[2:]
