"""Where the oracles differ from each other, which of them is right about 7.2, and why.

A rule looks at the command and at both oracles' answers and says whether this is its case.
`truth` names the oracle that answers as 7.2 does, EITHER when both answers are fine, or NEITHER
when 7.2 does a third thing (then nothing is compared). `parts` tells that the data of the wrong
oracle is not the same afterwards: it is not asked again in this sequence.
"""

import canon
import resp

VALKEY, REDIS, EITHER, NEITHER = "valkey81", "redis70", "either", "neither"


class Rule:
    """when(args, redis, valkey): both raw replies."""

    def __init__(self, why, truth, when, parts=False):
        self.why = why
        self.truth = truth
        self.when = when
        self.parts = parts
        self.hits = 0


def _name(args):
    return canon.name_of(args)


def _float_leaves_equal(a, b):
    """The same reply but for the spelling of numbers."""
    if a[0] != b[0]:
        return False
    if isinstance(a[1], list) and isinstance(b[1], list):
        return len(a[1]) == len(b[1]) and all(
            (isinstance(x[0], tuple) and _float_leaves_equal(x[0], y[0]) and
             _float_leaves_equal(x[1], y[1]))
            or (not isinstance(x[0], tuple) and _float_leaves_equal(x, y)) for x,
            y in zip(a[1], b[1]))
    if a[1] == b[1]:
        return True
    try:
        return a[0] in (b"$", b",") and float(a[1]) == float(b[1])
    except (TypeError, ValueError):
        return False


def _scores(args, redis, valkey):
    try:
        return _float_leaves_equal(resp.parse(redis)[0], resp.parse(valkey)[0])
    except (resp.Incomplete, resp.ProtocolError):
        return False



_CONSUMER_VIEWS = (b"XINFO GROUPS", b"XINFO CONSUMERS", b"XINFO STREAM", b"XGROUP CREATECONSUMER",
                   b"XGROUP DELCONSUMER")


def _says(raw, text):
    return raw is not None and raw.startswith(b"-") and text.encode() in raw


RULES = [
    Rule("a push for the client that runs the command comes behind the reply since 7.2, in the "
         "middle of it in 7.0", VALKEY,
         lambda a, r, v: _push_inside(resp.parse(r)[0]) and not _push_inside(resp.parse(v)[0]),
         parts=True),
    Rule("scores: 7.2 prints the shortest text that reads back the same, 7.0 prints 17 digits",
         VALKEY,
         lambda a, r, v: a[0].upper() != b"INCRBYFLOAT" and _scores(a, r, v)),
    Rule("small lists are listpacks since 7.2", VALKEY,
         lambda a, r, v: _name(a) == b"OBJECT ENCODING" and r.endswith(b"quicklist\r\n") and
         v.endswith(b"listpack\r\n")),
    Rule("small sets of strings are listpacks since 7.2", VALKEY,
         lambda a, r, v: _name(a) == b"OBJECT ENCODING" and r.endswith(b"hashtable\r\n") and
         v.endswith(b"listpack\r\n")),
    Rule("Valkey embeds other strings than Redis (44 bytes, key counted in)", REDIS,
         lambda a, r, v: _name(a) == b"OBJECT ENCODING" and
         {_last_word(r), _last_word(v)} == {b"raw", b"embstr"}),
    Rule("one SADD, ZADD or GEOADD with more members than the compact limit, some of them the "
         "same: whether the number "
         "of arguments or of members decides on the encoding is open", EITHER,
         lambda a, r, v: _name(a) == b"OBJECT ENCODING" and
         {_last_word(r), _last_word(v)} <= {b"listpack", b"skiplist", b"intset", b"hashtable"}),
    Rule("set-max-listpack-* are directives of 7.2", VALKEY,
         lambda a, r, v: _name(a) in (b"CONFIG SET", b"CONFIG GET") and
         b"set-max-listpack" in b" ".join(a).lower()),
    Rule("BITCOUNT and BITPOS look at the key before the range until 7.2; BITCOUNT with a start "
         "alone is Valkey's", REDIS,
         lambda a, r, v: _name(a) in (b"BITCOUNT", b"BITPOS")),
    Rule("cursors are numbers up to 2^64 as strtoul reads them; Valkey is stricter", REDIS,
         lambda a, r, v: _name(a) in (b"SCAN", b"SSCAN", b"HSCAN", b"ZSCAN") and
         (_says(r, "invalid cursor") or _says(v, "invalid cursor"))),
    Rule("SCAN with an unknown type: an error only after 7.2", REDIS,
         lambda a, r, v: _name(a) == b"SCAN" and _says(v, "unknown type name")),
    Rule("SORT after some number below the smallest normal one was read, be it by another "
         "command: Redis finds errno as strtod "
         "left it and refuses", EITHER,
         lambda a, r, v: _name(a) in (b"SORT", b"SORT_RO") and
         _says(r, "can't be converted into double")),
    Rule("ZRANK and ZREVRANK have WITHSCORE since 7.2", VALKEY,
         lambda a, r, v: _name(a) in (b"ZRANK", b"ZREVRANK") and
         _says(r, "wrong number of arguments")),
    Rule("a negative LIMIT offset gives nothing in 7.2; Valkey answers from the start", REDIS,
         lambda a, r, v: _name(a) in (b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE", b"ZRANGEBYLEX",
                                      b"ZREVRANGEBYLEX", b"ZRANGE") and b"LIMIT" in {x.upper()
                                      for x in a} and not _says(v, "")),
    Rule("the same when it is stored", REDIS,
         lambda a, r, v: _name(a) == b"ZRANGESTORE" and b"LIMIT" in {x.upper() for x in a} and
         not _says(v, ""),
         parts=True),
    Rule("LSET takes the index of a small list modulo 2^32 in 7.2.6 and Valkey: a bug that is "
         "not to be copied", REDIS,
         lambda a, r, v: _name(a) == b"LSET" and _says(r, "index out of range"), parts=True),
    Rule("LPOS: the rank -2^63 is out of range since 7.2", VALKEY,
         lambda a, r, v: _name(a) == b"LPOS" and
         _says(v, "value is out of range, value must between")),
    Rule("LREM: the count -2^63 is out of range in Valkey; nothing says when that came", EITHER,
         lambda a, r, v: _name(a) == b"LREM" and
         _says(v, "value is out of range, value must between")),
    Rule("XSETID below both bounds: which of the two is named is open", EITHER,
         lambda a, r, v: _name(a) == b"XSETID" and _says(r, "is smaller than") and
         _says(v, "is smaller than")),
    Rule("READONLY and READWRITE on a server without cluster: an error in 7.2, fine in Valkey",
         REDIS,
         lambda a, r, v: _name(a) in (b"READONLY", b"READWRITE") and
         _says(r, "cluster support disabled")),
    Rule("a zero byte in the name of a client or its library: Valkey checks what is before it; "
         "Ouro refuses it as 7.0 does (see DELIBERATE)", REDIS,
         lambda a, r, v: b"\0" in b"".join(a) and _name(a) in (b"CLIENT SETNAME", b"HELLO") and
         _says(r, "cannot contain"),
         parts=True),
    Rule("the same, and SETINFO is of 7.2", NEITHER,
         lambda a, r, v: b"\0" in b"".join(a) and _name(a) == b"CLIENT SETINFO"),
    Rule("CLIENT NO-TOUCH and CLIENT SETINFO are of 7.2", VALKEY,
         lambda a, r, v: _name(a) in (b"CLIENT NO-TOUCH", b"CLIENT SETINFO") and
         _says(r, "unknown subcommand")),
    Rule("CLIENT subcommands with too many arguments: Valkey looks at the first ones only", REDIS,
         lambda a, r, v: a[0].upper() == b"CLIENT" and
         _says(r, "unknown subcommand or wrong number of arguments")),
    Rule("CLIENT KILL and LIST: Valkey takes several ids and parses the options anew", REDIS,
         lambda a, r, v: _name(a) in (b"CLIENT KILL", b"CLIENT LIST") and
         (_says(r, "client-id should be greater than 0") or _says(r, "syntax error"))),
    Rule("COMMAND GETKEYS takes a command without arguments since 7.2", VALKEY,
         lambda a, r, v: _name(a) in (b"COMMAND GETKEYS", b"COMMAND GETKEYSANDFLAGS") and
         _says(r, "wrong number of arguments")),
    Rule("a blocked XREADGROUP whose key or group goes is checked again as if it came then, "
         "since 7.2", VALKEY,
         lambda a, r, v: _says(v, "NOGROUP No such key") or
         _says(r, "UNBLOCKED the stream key no longer exists")),
    Rule("CLIENT LIST ID with what is no id: Valkey's parser differs", REDIS,
         lambda a, r, v: _name(a) == b"CLIENT LIST" and
         (_says(r, "Invalid client ID") or _says(v, "client-id should be greater"))),
    Rule("a HELLO that fails has no effect since 7.2, and looks at all options before it "
         "authenticates", VALKEY,
         lambda a, r, v: a[0].upper() == b"HELLO" or _name(a) == b"CLIENT GETNAME"),
    Rule("maxmemory-samples has a maximum in Valkey", REDIS,
         lambda a, r, v: _name(a) in (b"CONFIG SET", b"CONFIG GET") and
         b"maxmemory-samples" in b" ".join(a).lower()),
    Rule("Valkey has other defaults: lazy freeing, the backlog's size, syslog-ident", REDIS,
         lambda a, r, v: _name(a) == b"CONFIG GET" and any(b"*" in x for x in a[2:])),
    Rule("the log level `nothing` is of 7.2", VALKEY,
         lambda a, r, v: _name(a) == b"CONFIG SET" and _says(v, "warning, nothing")),
    Rule("dynamic-hz is gone in Valkey, repl-diskless-load has one more value there", REDIS,
         lambda a, r, v: _name(a) in (b"CONFIG SET", b"CONFIG GET") and
         (b"dynamic-hz" in b" ".join(a).lower() or b"flush-before-load" in v)),
    Rule("an unbalanced XREAD or XREADGROUP is named in the error since 7.2", VALKEY,
         lambda a, r, v: _says(r, "Unbalanced XREAD list") and (_says(v, "Unbalanced 'xread") or
                                                                _says(v, "timeout is out of range"))),
    Rule("the id + of XREAD is later than 7.2", REDIS,
         lambda a, r, v: _name(a) in (b"XREAD", b"XREADGROUP") and b"+" in a),
    Rule("XREADGROUP, XCLAIM and XAUTOCLAIM create their consumer even when nothing is read, and "
         "consumers have more "
         "times since 7.2", VALKEY, lambda a, r, v: _name(a) in _CONSUMER_VIEWS and
         not _says(v, "")),
    Rule("Valkey refuses MULTI and WATCH inside MULTI as commands and gives the transaction up; "
         "7.2 only answers an error",
         REDIS, lambda a, r, v: _name(a) in (b"MULTI", b"WATCH") and
         _says(v, "not allowed inside a transaction"), parts=True),
    Rule("a client blocked on several keys runs its command anew when one is ready, and meets "
         "the other key's type", VALKEY,
         lambda a, r, v: a[0] == b"(messages)" and _says(v, "WRONGTYPE"), parts=True),
    Rule("a client blocked on several keys that fill up together runs its command anew (first "
         "key first); 7.0 served the "
         "key that was filled first", VALKEY,
         lambda a, r, v: a[0] == b"(messages)" and r[:1] == v[:1] == b"*" and b"message" not in r +
         v and
         _first_key(r) != _first_key(v), parts=True),
    Rule("the event of a key that a time in the past removes is del in 7.2, expired in Valkey",
         REDIS,
         lambda a, r, v: a[0] == b"(messages)" and r.replace(b"$3\r\ndel",
         b"") == v.replace(b"$7\r\nexpired", b"") or
         (a[0] == b"(messages)" and b":del\r\n" in r and b":expired\r\n" in v)),
    Rule("time-outs that are too large are out of range, not negative, since 7.2", VALKEY,
         lambda a, r, v: _says(r, "timeout is negative") and _says(v, "timeout is out of range")),
]


def _push_inside(frame):
    return frame[0] in (b"*", b"~") and any(x[0] == b">" or _push_inside(x) for x in frame[1] or ())


def _first_key(raw):
    """The first bulk of an array: the key of a blocked pop's answer."""
    return resp.parse(raw)[0][1][0][1]


def _last_word(raw):
    return raw[:-2].rpartition(b"\n")[2]


# Where Ouro differs on purpose from every Redis: (why, when(args, reply)). Each is a decision, not
# an accident.
DELIBERATE = [
    ("a zero byte in a name is refused: it would be cut in CLIENT LIST",
     lambda args, ours: b"\0" in b"".join(args) and b"cannot contain spaces" in ours and
     _name(args) in (b"CLIENT SETNAME", b"CLIENT SETINFO", b"HELLO")),
    ("a HyperLogLog that a client has cut within its last run: Redis reads and writes one byte behind the string, Ouro "
     "reads a zero there",
     lambda args, ours: _name(args) in (b"GET", b"GETEX", b"GETDEL", b"GETSET", b"PFDEBUG") and _cut_hll(ours)),
]


def _cut_hll(raw):
    """A bulk with a sparse HyperLogLog whose last run has lost its second byte."""
    if raw[:1] != b"$" or b"\r\nHYLL\1" not in raw:
        return False
    value = resp.parse(raw)[0][1]
    at = 16
    while at < len(value):
        at += 2 if value[at] & 0xc0 == 0x40 else 1
    return at > len(value)


def is_deliberate(args, ours):
    """Whether this answer of Ouro is one of the decisions above."""
    return ours is not None and any(when(args, ours) for _, when in DELIBERATE)


def find(args, redis, valkey):
    """The rule that explains the difference, or None."""
    for rule in RULES:
        try:
            hit = rule.when(args, redis, valkey)
        except (AttributeError, TypeError, IndexError, ValueError):
            hit = False   # a reply of another shape than the rule thinks of: not its case
        if hit:
            rule.hits += 1
            return rule
    return None


def find_in_exec(queued, redis, valkey):
    """The rules for the parts of an EXEC; None if a part is not explained."""
    try:
        r, v = resp.parse(redis)[0], resp.parse(valkey)[0]
    except (resp.Incomplete, resp.ProtocolError):
        return None
    if r[0] != b"*" or v[0] != b"*" or not r[1] or not v[1] or not len(r[1]) == len(v[1]) == len(
            queued):
        return None
    found = []
    for args, x, y in zip(queued, r[1], v[1]):
        raw_x, raw_y = unparse(x), unparse(y)
        if canon.same(args, raw_x, raw_y):
            found.append(None)
            continue
        rule = find(args, raw_x, raw_y)
        if rule is None:
            return None
        found.append(rule)
    return found


def unparse(frame):
    """A parsed frame as bytes again."""
    kind, value = frame
    if kind in (b"*", b"~", b">"):
        if value is None:
            return b"*-1\r\n"
        return kind + b"%d\r\n" % len(value) + b"".join(map(unparse, value))
    if kind in (b"%", b"|"):
        return kind + b"%d\r\n" % len(value) + b"".join(unparse(k) + unparse(v) for k, v in value)
    if kind in (b"$", b"=", b"!"):
        return kind + (b"-1\r\n" if value is None else b"%d\r\n%s\r\n" % (len(value), value))
    return kind + value + b"\r\n"
