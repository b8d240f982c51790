"""RESP2 and RESP3 on the client's side: bytes to frames and back, nothing else.

A parsed frame is a pair (type byte, value), so that a null bulk and a null array, or a status
and a bulk, stay different:  (b'+', b'OK')  (b'$', None)  (b'*', [frame, ...])  (b'%', [(key,
value), ...]). `frame_end` finds where a frame ends without building anything: replies are
compared as raw bytes first, and only those that differ are parsed.
"""


class Incomplete(Exception):
    """The bytes end before the frame does."""


class ProtocolError(Exception):
    """The server sent what is not RESP."""


def encode(args):
    """One request, as a multi bulk. args: sequence of bytes."""
    out = [b"*%d\r\n" % len(args)]
    for a in args:
        out.append(b"$%d\r\n" % len(a))
        out.append(a)
        out.append(b"\r\n")
    return b"".join(out)


_LINE = frozenset(b"+-:,#(_")
_BLOB = frozenset(b"$=!")
_ARRAY = frozenset(b"*~>")
_MAP = frozenset(b"%|")


def frame_end(buf, pos):
    """The position behind the frame that begins at pos; Incomplete if it is not all there."""
    left = 1
    size = len(buf)
    while left:
        if pos >= size:
            raise Incomplete
        kind = buf[pos]
        eol = buf.find(b"\r\n", pos)
        if eol < 0:
            raise Incomplete
        if kind in _LINE:
            pos = eol + 2
        elif kind in _BLOB:
            n = _length(buf, pos, eol)
            pos = eol + 2 if n < 0 else eol + 4 + n
            if pos > size:
                raise Incomplete
        elif kind in _ARRAY:
            n = _length(buf, pos, eol)
            left += max(n, 0)
            pos = eol + 2
        elif kind in _MAP:
            left += 2 * max(_length(buf, pos, eol), 0)
            pos = eol + 2
            if kind == 0x7C:
                left += 1  # an attribute is followed by the frame it belongs to
        else:
            raise ProtocolError("unexpected byte %r at %r" % (bytes(buf[pos:pos + 1]),
                bytes(buf[pos:pos + 60])))
        left -= 1
    return pos


def _length(buf, pos, eol):
    try:
        return int(buf[pos + 1:eol])
    except ValueError:
        raise ProtocolError("bad length %r" % bytes(buf[pos:eol])) from None


def parse(buf, pos=0):
    """The frame that begins at pos: ((type, value), position behind it)."""
    if pos >= len(buf):
        raise Incomplete
    kind = bytes(buf[pos:pos + 1])
    eol = buf.find(b"\r\n", pos)
    if eol < 0:
        raise Incomplete
    head = bytes(buf[pos + 1:eol])
    pos = eol + 2
    if kind[0] in _LINE:
        return (kind, head), pos
    try:
        n = int(head)
    except ValueError:
        raise ProtocolError("bad length %r" % head) from None
    if kind[0] in _BLOB:
        if n < 0:
            return (kind, None), pos
        if pos + n + 2 > len(buf):
            raise Incomplete
        return (kind, bytes(buf[pos:pos + n])), pos + n + 2
    if kind[0] in _ARRAY:
        if n < 0:
            return (kind, None), pos
        items = []
        for _ in range(n):
            item, pos = parse(buf, pos)
            items.append(item)
        return (kind, items), pos
    if kind[0] in _MAP:
        pairs = []
        for _ in range(n):
            k, pos = parse(buf, pos)
            v, pos = parse(buf, pos)
            pairs.append((k, v))
        return (kind, pairs), pos
    raise ProtocolError("unexpected type %r" % kind)


def split(buf):
    """All whole frames of buf as raw bytes, and the rest."""
    frames = []
    pos = 0
    try:
        while pos < len(buf):
            end = frame_end(buf, pos)
            frames.append(bytes(buf[pos:end]))
            pos = end
    except Incomplete:
        pass
    return frames, bytes(buf[pos:])


def show(raw, limit=300):
    """A raw frame as one readable line."""
    if raw is None:
        return "(no reply)"
    try:
        text = _show(parse(raw)[0])
    except (Incomplete, ProtocolError, RecursionError):
        text = repr(raw)
    return text if len(text) <= limit else text[:limit] + "... (%d bytes)" % len(raw)


def _show(frame):
    kind, value = frame
    if kind in (b"*", b"~", b">"):
        if value is None:
            return "(nil-array)"
        return kind.decode() + "[" + ", ".join(_show(v) for v in value) + "]"
    if kind in (b"%", b"|"):
        return kind.decode() + "{" + ", ".join(_show(k) + ": " + _show(v) for k, v in value) + "}"
    if kind == b"$":
        return "(nil)" if value is None else quote(value)
    text = (kind + (value or b"")).decode("latin-1")
    return "".join(c if " " <= c < "\x7f" else "\\x%02x" % ord(c) for c in text)


def quote(arg, limit=None):
    """An argument as redis-cli would accept it; with a limit, long ones are cut (and then only
    good to look at)."""
    if limit is not None and len(arg) > limit:
        return quote(arg[:limit // 2]) + "...(%d bytes)" % len(arg)
    if arg and all(33 <= c < 127 and c not in b"\"'\\" for c in arg):
        return arg.decode()
    out = ['"']
    for c in arg:
        ch = chr(c)
        if ch in '"\\':
            out.append("\\" + ch)
        elif 32 <= c < 127:
            out.append(ch)
        elif ch in "\r\n\t":
            out.append({"\r": "\\r", "\n": "\\n", "\t": "\\t"}[ch])
        else:
            out.append("\\x%02x" % c)
    out.append('"')
    return "".join(out)
