"""When are two different replies the same answer? Only where Redis leaves something open.

Order of unordered collections, cursors, random members, clocks, ids, pointers and what has the
server's own name in it. Everything else is compared byte for byte. `same` decides for two raw
frames of one command.
"""

import resp

_UNORDERED = {b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"HKEYS", b"HVALS", b"KEYS", b"SPOP",
              b"PUBSUB CHANNELS",
              b"PUBSUB SHARDCHANNELS", b"ACL USERS", b"COMMAND LIST", b"ACL CAT"}
_PAIRS = {b"HGETALL"}
_SCANS = {b"SCAN": 1, b"SSCAN": 1, b"HSCAN": 2, b"ZSCAN": 2}
_RANDOM = {b"RANDOMKEY", b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER"}
_SECONDS = {b"TTL": 3, b"EXPIRETIME": 3}
_MILLIS = {b"PTTL": 3000, b"PEXPIRETIME": 3000}
_SHAPE = {b"TIME", b"LASTSAVE", b"CLIENT ID", b"CLIENT INFO", b"CLIENT LIST", b"INFO",
          b"MEMORY USAGE", b"MEMORY STATS",
          b"ACL GENPASS", b"SLOWLOG GET", b"SLOWLOG LEN", b"LATENCY RESET", b"OBJECT IDLETIME",
          b"LATENCY HISTOGRAM", b"LATENCY LATEST", b"ACL LOG", b"DEBUG OBJECT",
          b"LOLWUT", b"DUMP", b"OBJECT REFCOUNT", b"COMMAND DOCS", b"COMMAND COUNT", b"COMMAND",
          b"COMMAND INFO"}
_CONTAINERS = {b"PUBSUB", b"ACL", b"COMMAND", b"CONFIG", b"OBJECT", b"CLIENT", b"MEMORY",
               b"SLOWLOG", b"LATENCY",
               b"DEBUG", b"XINFO", b"XGROUP", b"MODULE", b"SCRIPT", b"FUNCTION", b"CLUSTER"}
_LISTS = (b"*", b"~", b">")


def name_of(args):
    """The command's name, with the subcommand for containers: b"CONFIG GET"."""
    if not args:
        return b""
    name = args[0].upper()
    if name in _CONTAINERS and len(args) > 1:
        return name + b" " + args[1].upper()
    return name


def same(args, raw_a, raw_b, queued=()):
    """Whether both replies of `args` say the same. queued: commands between MULTI and EXEC, for
    EXEC."""
    if raw_a == raw_b:
        return True
    if raw_a is None or raw_b is None:
        return False
    try:
        a, b = resp.parse(raw_a)[0], resp.parse(raw_b)[0]
    except (resp.Incomplete, resp.ProtocolError):
        return False
    return _same_parsed(args, a, b, queued)


def _same_parsed(args, a, b, queued):
    if a == b:
        return True
    if a[0] == b"-" or b[0] == b"-" or a[0] != b[0]:
        return False
    name = name_of(args)
    if name == b"(MESSAGES)" and a[0] == b">" and a[1][:1] == b[1][:1] == [(b"$", b"invalidate")]:
        return _sorted(a[1][1]) == _sorted(b[1][1])           # the keys of one invalidation
    if name == b"EXEC" and a[1] is not None and b[1] is not None:
        return (len(a[1]) == len(b[1]) == len(queued) and
                all(_same_parsed(q, x, y, ()) for q, x, y in zip(queued, a[1], b[1])))
    if name in _SHAPE:
        return True
    if name.endswith(b" HELP"):
        return a[0] in _LISTS and bool(a[1]) and bool(b[1])   # wording is free
    if name == b"ROLE":
        # a master without a backlog counts its writes, where Redis does so only with an AOF
        return a[1][0] == b[1][0] and a[1][2:] == b[1][2:]
    if name == b"DBSIZE":
        # counts keys whose time has come but that nobody met yet
        return _near(a, b, 4)
    if name in _RANDOM:
        return _shape(a, True) == _shape(b, True)
    if name in _SECONDS or name in _MILLIS:
        return _near(a, b, _SECONDS.get(name) or _MILLIS[name])
    if name in _SCANS:
        return _same_scan(args, a, b, _SCANS[name])
    if name == b"CONFIG GET":
        return _same_directives(args, a, b)
    if name in (b"COMMAND GETKEYS", b"COMMAND GETKEYSANDFLAGS") and args[2].upper().endswith(b"STORE"):
        return _sorted(a) == _sorted(b)    # with a count that is not quite a number, the target comes last
    if name in _PAIRS:
        return _pairs(a) == _pairs(b)
    if name in _UNORDERED and a[0] in _LISTS:
        return a[1] is not None and b[1] is not None and sorted(map(repr, a[1])) == sorted(map(repr,
            b[1]))
    if name in (b"GEOSEARCH", b"GEORADIUS", b"GEORADIUSBYMEMBER", b"GEORADIUS_RO",
                b"GEORADIUSBYMEMBER_RO"):
        options = {x.upper() for x in args}
        return (not options & {b"ASC", b"DESC", b"COUNT"} and a[0] in _LISTS and
                sorted(map(repr, a[1] or ())) == sorted(map(repr, b[1] or ())))
    if name == b"SORT" or name == b"SORT_RO":
        return _unsorted(args) and _sorted(a) == _sorted(b)
    if name == b"HELLO":
        return _drop(a, (b"version", b"id", b"server")) == _drop(b, (b"version", b"id", b"server"))
    if name == b"XINFO STREAM":
        return _drop(a, (b"radix-tree-keys", b"radix-tree-nodes")) == _drop(b, (b"radix-tree-keys",
            b"radix-tree-nodes"))
    if name == b"XINFO CONSUMERS":
        return _drop(a, (b"idle", b"inactive")) == _drop(b, (b"idle", b"inactive"))
    if name == b"XPENDING" and len(args) > 3:
        return _without_idle(a) == _without_idle(b)
    return False


def _near(a, b, tolerance):
    if a[0] != b":" or b[0] != b":":
        return False
    x, y = int(a[1]), int(b[1])
    return x >= 0 and y >= 0 and abs(x - y) <= tolerance


def _shape(frame, deep):
    kind, value = frame
    if kind in _LISTS and value is not None and deep:
        return kind, len(value), tuple(_shape(v, False) for v in value[:1])
    return kind, value is None


def _same_scan(args, a, b, width):
    cursor = args[1 if args[0].upper() == b"SCAN" else 2]
    if a[0] != b"*" or not a[1] or not b[1] or len(a[1]) != 2 or len(b[1]) != 2:
        return False
    cursor_a, cursor_b = a[1][0][1], b[1][0][1]
    if cursor_a != b"0" or cursor_b != b"0" or cursor != b"0":
        return True      # a part of the collection; which part is open
    if width == 2:
        return _pairs(a[1][1]) == _pairs(b[1][1])
    return _sorted(a[1][1]) == _sorted(b[1][1])


def _unsorted(args):
    """SORT BY a pattern without `*`: as the collection gives them."""
    words = [x.upper() for x in args]
    return any(w == b"BY" and b"*" not in pattern for w, pattern in zip(words, words[1:]))


def _sorted(frame):
    kind, value = frame
    if kind in _LISTS and value is not None:
        return kind, sorted(map(repr, value))
    return frame


def _pairs(frame):
    kind, value = frame
    if kind == b"%":
        return kind, sorted(map(repr, value))
    if kind in _LISTS and value is not None:
        return kind, sorted(repr(p) for p in zip(value[::2], value[1::2]))
    return frame


def _same_directives(args, a, b):
    """What a pattern finds is compared where both servers have the directive; a name without
    wildcards fully."""
    if a[0] == b"%":
        x, y = dict((k[1], v) for k, v in a[1]), dict((k[1], v) for k, v in b[1])
    else:
        x = {k[1]: v for k, v in zip(a[1][::2], a[1][1::2])}
        y = {k[1]: v for k, v in zip(b[1][::2], b[1][1::2])}
    for own in (b"dir", b"port"):     # where this server was started
        x.pop(own, None)
        y.pop(own, None)
    wild = any(c in arg for arg in args[2:] for c in b"*?[")
    return (wild or set(x) == set(y)) and all(x[k] == y[k] for k in set(x) & set(y))


_TIMES = (b"seen-time", b"active-time", b"delivery-time")


def _drop(frame, names):
    """The frame with the values of the named fields (of maps, or of lists that alternate names
    and values) gone."""
    kind, value = frame
    if value is None or kind not in _LISTS + (b"%",):
        return frame
    if kind == b"%":
        return kind, [(k, b"?" if k[1] in names or k[1] in _TIMES else _drop(v, names)) for k,
                      v in value]
    out = []
    hide = False
    for item in value:
        out.append(b"?" if hide else _drop(item, names))
        hide = not hide and item[0] in (b"$", b"+") and (item[1] in names or item[1] in _TIMES)
    if len(out) >= 3 and all(isinstance(x, tuple) for x in out):
        out = _hide_pel_times(out)
    return kind, out


def _hide_pel_times(items):
    """XINFO STREAM FULL: [id, consumer, time, count] and [id, time, count]."""
    kinds = b"".join(x[0] for x in items)
    if kinds in (b"$$::", b"$::"):
        at = kinds.index(b":")
        return items[:at] + [b"?"] + items[at + 1:]
    return items


def _without_idle(frame):
    kind, value = frame
    if kind not in _LISTS or value is None:
        return frame
    return kind, [(e[0], e[1][:2] + e[1][3:]) if e[0] in _LISTS and e[1] and len(e[1]) == 4 else e
                  for e in value]
