"""Values for the templates: keys of every type, numbers with their extremes, strings with their
oddities.

Few keys of each type, so that commands meet each other's results; now and then a key of another
type, to meet WRONGTYPE. Expiry times are far away or past, never near: what a command sees must
not depend on the clock.
"""

EXTREME_INTS = [b"0", b"1", b"-1", b"127", b"128", b"255", b"256", b"32767", b"32768", b"65536",
                b"2147483647",
                b"2147483648", b"-2147483648", b"-2147483649", b"4294967295", b"4294967296",
                b"9223372036854775806", b"9223372036854775807", b"-9223372036854775807",
                b"-9223372036854775808", b"9223372036854775808", b"-9223372036854775809",
                b"18446744073709551615", b"18446744073709551616", b"99999999999999999999999"]
ODD_NUMBERS = [b"", b" 1", b"1 ", b"+1", b"01", b"-0", b"-", b"+", b"0x10", b"1e3", b"1.0", b"1.5",
               b"abc", b"1a",
               b"\x00", b"1\x00", b"--1", b"1_000", b"\xd9\xa1"]
EXTREME_FLOATS = [b"1e400", b"-1e400", b"inf", b"-inf", b"+inf", b"Infinity", b"nan", b"-nan",
                  b"1e-400",
                  b"4.9e-324", b"1.7976931348623157e308", b"-1.7976931348623157e308",
                  b"2.2250738585072014e-308",
                  b"0.1", b"3.0", b"1e5", b".5", b"5.", b"1e", b"1e+5", b"3.14159265358979",
                  b"1e17",
                  b"123456789012345680", b"1e21", b"1e22", b"-0.0", b"0.30000000000000004", b"1e-7",
                  b"1e-5",
                  b"100000000000000000000", b"1.23e-10", b"9007199254740993", b"0.000001", b"1 ",
                  b" 1", b"1,5"]
WORDS = [b"a", b"b", b"c", b"foo", b"bar", b"baz", b"hello", b"x", b"y", b"z", b"one", b"two",
         b"three"]
ODD_STRINGS = [b"", b" ", b"\r\n", b"a\r\nb", b"\x00", b"\x00\xff\x80", b"\xff" * 3,
               b"\xe2\x82\xac", b"'", b'"',
               b"-1", b"0", b"00", b"1e3", b"12345678901234567890", b"a" * 44, b"a" * 45, b"b" * 64,
               b"b" * 65,
               b"*", b"a*", b"[", b"\\", b"{a}b", b"{}", b"%s%n", b"+OK", b"-ERR", b"$-1", b"*0",
               b"x" * 200,
               b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"3.0",
               b"nan", b"(", b"#"]


def _choice_of(pool):
    pool = list(pool)
    n = len(pool)
    return lambda rng: pool[int(rng.random() * n)]


KEYS = {
    "ks": [b"s1", b"s2", b"s3", b"s4", b"{t}s5", b"s 6"],
    "kn": [b"n1", b"n2", b"n3"],
    "kb": [b"b1", b"b2", b"b3"],
    "kl": [b"l1", b"l2", b"l3", b"{t}l4"],
    "kh": [b"h1", b"h2", b"h3"],
    "kt": [b"t1", b"t2", b"t3", b"t4"],
    "kz": [b"z1", b"z2", b"z3", b"z4"],
    "kx": [b"x1", b"x2", b"x3"],
    "kp": [b"p1", b"p2", b"p3"],
    "kg": [b"g1", b"g2"],
    "missing": [b"nokey", b"nokey2"],
    "never": [b"never"],
    "kq": [b"q1", b"q2", b"q3"],
    "dst": [b"d1", b"d2", b"d3"],
    "odd": [b"", b"\x00k", b"k\r\n", b"\xff\xfe", b"k" * 100, b"{", b"[a-c]"],
}
# q*: sorted sets whose scores are all 0 (lexical ranges over mixed scores are undefined); never:
# never written to
_ALL_KEYS = [k for name, pool in KEYS.items() if name not in ("odd", "never", "kq") for k in pool]


def any_key(rng):
    if rng.random() < 0.04:
        return rng.choice(KEYS["odd"])
    return rng.choice(_ALL_KEYS)


def _key_of(name):
    pool = KEYS[name]
    n = len(pool)

    def make(rng):
        if rng.random() < 0.93 or name in ("never", "kq"):
            return pool[int(rng.random() * n)]
        return any_key(rng)
    return make


def word(rng):
    r = rng.random()
    if r < 0.5:
        return WORDS[int(rng.random() * len(WORDS))]
    if r < 0.75:
        return b"%d" % rng.randint(-20, 120)
    if r < 0.85:
        return ODD_STRINGS[int(rng.random() * len(ODD_STRINGS))]
    if r < 0.97:
        return b"v%d" % rng.randrange(300)
    return bytes(rng.randrange(256) for _ in range(rng.randrange(120)))


def big_value(rng):
    if rng.random() < 0.97:
        return word(rng)
    return bytes([rng.randrange(97, 103)]) * rng.choice([63, 64, 65, 500, 4000, 8191, 8192, 9000,
                                                         40000])


def small_int(rng):
    return b"%d" % rng.randint(-5, 12)


def any_int(rng):
    r = rng.random()
    if r < 0.75:
        return b"%d" % rng.randint(-12, 60)
    if r < 0.93:
        return EXTREME_INTS[int(rng.random() * len(EXTREME_INTS))]
    return ODD_NUMBERS[int(rng.random() * len(ODD_NUMBERS))]


def count(rng):
    r = rng.random()
    if r < 0.85:
        return b"%d" % rng.randint(0, 10)
    return rng.choice([b"-1", b"100", b"0", b"abc", b"", b"9223372036854775807",
                       b"-9223372036854775808", b"1.5",
                       b"9223372036854775808"])


def random_count(rng):
    """For commands that repeat members for negative counts: bounded, or refused outright."""
    r = rng.random()
    if r < 0.9:
        return b"%d" % rng.randint(-12, 12)
    return rng.choice([b"-9223372036854775808", b"9223372036854775807", b"abc", b"",
                       b"9223372036854775808"])


def any_float(rng):
    r = rng.random()
    if r < 0.3:
        return b"%d" % rng.randint(-10, 30)
    if r < 0.7:
        return b"%.*f" % (rng.randint(1, 6), rng.uniform(-100, 100))
    if r < 0.8:
        return repr(rng.uniform(-1, 1) * 10 ** rng.randint(-12, 22)).encode()
    if r < 0.97:
        return EXTREME_FLOATS[int(rng.random() * len(EXTREME_FLOATS))]
    return ODD_NUMBERS[int(rng.random() * len(ODD_NUMBERS))]


def score(rng):
    r = rng.random()
    if r < 0.6:
        return b"%d" % rng.randint(-5, 15)
    if r < 0.85:
        return b"%.2f" % rng.uniform(-10, 10)
    if r < 0.97:
        return rng.choice([b"inf", b"-inf", b"+inf", b"1e300", b"-1e300", b"0", b"-0", b"1e-300",
                           b"3.0",
                           b"9007199254740993", b"0.1", b"1e17", b"123456789012345680"])
    return any_float(rng)


def score_bound(rng):
    r = rng.random()
    if r < 0.2:
        return rng.choice([b"-inf", b"+inf", b"inf", b"(-inf", b"(+inf", b"(inf"])
    if r < 0.25:
        return rng.choice([b"(", b"((1", b"abc", b"", b"nan", b"(nan", b"[1", b"( 1", b"1 "])
    return (b"(" if rng.random() < 0.3 else b"") + score(rng)


def lex_bound(rng):
    r = rng.random()
    if r < 0.3:
        return rng.choice([b"-", b"+"])
    if r < 0.35:
        return rng.choice([b"", b"a", b"(", b"[", b"--", b"-a", b"+a"])
    return (b"[" if rng.random() < 0.5 else b"(") + rng.choice(WORDS)


def ttl(rng):
    """Seconds: far, past or wrong; nothing that ends while the test runs."""
    r = rng.random()
    if r < 0.7:
        return b"%d" % rng.randint(1000, 100000)
    if r < 0.8:
        return rng.choice([b"0", b"-1", b"-100"])
    return rng.choice([b"9223372036854775807", b"-9223372036854775808", b"9223372036854775",
                       b"9223372036854776",
                       b"-9223372036854776", b"abc", b"", b"1.5", b"99999999999999999999",
                       b"4294967296",
                       b"2147483648", b"9223370000000000", b" 1000", b"+1000",
                       b"9223372036854775000"])


def pttl(rng):
    r = rng.random()
    if r < 0.7:
        return b"%d" % rng.randint(1000000, 100000000)
    if r < 0.8:
        return rng.choice([b"0", b"-1", b"-100"])
    return rng.choice([b"9223372036854775807", b"-9223372036854775808", b"9223372036854775000",
                       b"abc", b"", b"1.5",
                       b"99999999999999999999", b"4294967296", b"9223370000000000000",
                       b"-9223372036854775807"])


def at(rng):
    r = rng.random()
    if r < 0.7:
        return b"%d" % rng.randint(4000000000, 5000000000)
    if r < 0.85:
        return rng.choice([b"1", b"0", b"-1", b"1000000"])
    return ttl(rng) if r < 0.9 else rng.choice([b"9223372036854775807", b"9223372036854775",
                                                b"9223372036854776",
                                                b"-9223372036854775808", b"abc"])


def pat(rng):
    r = rng.random()
    if r < 0.7:
        return b"%d" % rng.randint(4000000000000, 5000000000000)
    if r < 0.85:
        return rng.choice([b"1", b"0", b"-1", b"1000000"])
    return rng.choice([b"9223372036854775807", b"9223372036854775", b"-9223372036854775808", b"abc",
                       b"1.5"])


def glob(rng):
    return rng.choice([b"*", b"?*", b"s*", b"[a-m]*", b"*1", b"*[0-9]", b"[^s]*", b"h?llo", b"\\*",
                       b"", b"[", b"[]",
                       b"[^", b"a\\", b"*a*b*c*", b"s?", b"[z-a]1", b"nokey", b"{t}*", b"\\s1",
                       b"[\\]-a]*", b"v1*",
                       b"**", b"***s***1"])


def stream_id(rng):
    r = rng.random()
    if r < 0.6:
        return b"%d-%d" % (rng.randint(0, 40), rng.randint(0, 5))
    if r < 0.75:
        return b"%d" % rng.randint(0, 40)
    if r < 0.9:
        return rng.choice([b"-", b"+", b"0-0", b"0", b"18446744073709551615-18446744073709551615",
                           b"18446744073709551615", b"18446744073709551615-0", b"0-1"])
    return rng.choice([b"", b"-1", b"1-", b"-1-1", b"1-1-1", b"abc", b"1-*", b"*", b"$", b">",
                       b"18446744073709551616",
                       b"1-18446744073709551616", b"(1-1", b"1- 1", b"01-01", b"+1"])


_STREAM_CLOCK = [0]


def new_id(rng):
    """Mostly above what is there: ids of XADD have to grow."""
    r = rng.random()
    if r < 0.75:
        _STREAM_CLOCK[0] += 1
        return b"%d-%d" % (100 + _STREAM_CLOCK[0], rng.randint(0, 3))
    if r < 0.85:
        return b"%d-*" % (100 + _STREAM_CLOCK[0])
    return stream_id(rng)


def reset_clock():
    """New sequence: ids begin again, so that a sequence depends on its seed alone."""
    _STREAM_CLOCK[0] = 0


def range_id(rng):
    return (b"(" if rng.random() < 0.2 else b"") + (stream_id(rng) if rng.random() < 0.4 else
                                                    b"%d" % rng.randint(90, 300))


def longitude(rng):
    r = rng.random()
    if r < 0.9:
        return b"%.*f" % (rng.randint(0, 8), rng.uniform(-180, 180) if r < 0.3 else rng.uniform(10,
            20))
    return rng.choice([b"180", b"-180", b"180.1", b"-180.0001", b"0", b"nan", b"inf", b"abc", b"",
                       b"1e400"])


def latitude(rng):
    r = rng.random()
    if r < 0.9:
        return b"%.*f" % (rng.randint(0, 8), rng.uniform(-85, 85) if r < 0.3 else rng.uniform(35,
            45))
    return rng.choice([b"85.05112878", b"-85.05112878", b"85.06", b"90", b"0", b"nan", b"inf",
                       b"abc", b""])


def radius(rng):
    if rng.random() < 0.9:
        return b"%d" % rng.choice([0, 1, 10, 100, 500, 1000, 5000, 20000])
    return rng.choice([b"-1", b"abc", b"nan", b"inf", b"1e400", b"", b"0.5", b"1e10"])


def bit_offset(rng):
    r = rng.random()
    if r < 0.75:
        return b"%d" % rng.randint(0, 200)
    if r < 0.85:
        return b"%d" % rng.randint(0, 20000)
    return any_int(rng)


def bitfield_type(rng):
    r = rng.random()
    if r < 0.9:
        return b"%s%d" % (rng.choice([b"u", b"i"]), rng.choice([1, 2, 3, 5, 7, 8, 9, 15, 16, 24, 31,
            32, 33, 63]))
    return rng.choice([b"i64", b"u64", b"u0", b"i0", b"i65", b"x8", b"u", b"i", b"", b"u8x", b"I8",
                       b"U16", b"u-1"])


def bitfield_offset(rng):
    r = rng.random()
    if r < 0.5:
        return b"%d" % rng.randint(0, 300)
    if r < 0.9:
        return b"#%d" % rng.randint(0, 40)
    return rng.choice([b"-1", b"#", b"#-1", b"abc", b"", b"4294967296", b"9223372036854775807",
                       b"#9223372036854775807",
                       b"#144115188075855872", b"##1"])


def extreme(rng):
    r = rng.random()
    if r < 0.5:
        return rng.choice(EXTREME_INTS)
    if r < 0.75:
        return rng.choice(EXTREME_FLOATS)
    return rng.choice(ODD_NUMBERS)


def junk(rng):
    r = rng.random()
    if r < 0.35:
        return rng.choice([b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR", b"EX", b"PX", b"KEEPTTL",
                           b"GET", b"LIMIT",
                           b"COUNT", b"WITHSCORES", b"MATCH", b"BYSCORE", b"BYLEX", b"REV", b"LEFT",
                           b"RIGHT", b"STORE",
                           b"ASC", b"ANY", b"WEIGHTS", b"AGGREGATE", b"MAXLEN", b"~", b"=", b"BAD",
                           b"HELP", b"ASYNC"])
    if r < 0.6:
        return extreme(rng)
    if r < 0.8:
        return word(rng)
    return any_key(rng)


def numkeys(rng):
    r = rng.random()
    if r < 0.92:
        return b"%d" % rng.randint(1, 3)
    return rng.choice([b"0", b"-1", b"abc", b"", b"5", b"9223372036854775807", b"2147483648",
                       b"18446744073709551617"])


def _keys_counted(name):
    one = _key_of(name)

    def make(rng):
        n = rng.randint(1, 3)
        told = b"%d" % n if rng.random() < 0.92 else numkeys(rng)
        return [told] + [one(rng) for _ in range(n)]
    return make


def _keys_weighted(name):
    one = _key_of(name)

    def make(rng):
        n = rng.randint(1, 3)
        out = [b"%d" % n if rng.random() < 0.95 else numkeys(rng)] + [one(rng) for _ in range(n)]
        if rng.random() < 0.4:
            out.append(b"WEIGHTS")
            out.extend(any_float(rng) if rng.random() < 0.2 else small_int(rng)
                       for _ in range(n if rng.random() < 0.92 else n + rng.choice([-1, 1])))
        if rng.random() < 0.4:
            out += [b"AGGREGATE", rng.choice([b"SUM", b"MIN", b"MAX", b"sum", b"AVG"
                                              if rng.random() < 0.2 else b"MAX"])]
        return out
    return make


def stream_keys_ids(rng):
    n = rng.randint(1, 3)
    one = GENERATORS["kx"]
    out = [one(rng) for _ in range(n)]
    for _ in range(n if rng.random() < 0.95 else n + 1):
        out.append(rng.choice([b"0", b"0-0", b"$", b"5"]) if rng.random() < 0.5 else range_id(rng))
    return out


def group_keys_ids(rng):
    n = rng.randint(1, 2)
    one = GENERATORS["kx"]
    out = [one(rng) for _ in range(n)]
    for _ in range(n if rng.random() < 0.95 else n + 1):
        out.append(b">" if rng.random() < 0.7 else stream_id(rng))
    return out


GENERATORS = {
    "v": big_value, "w": word, "m": word, "f": _choice_of([b"f1", b"f2", b"f3", b"f4", b"10", b"",
                                                           b"\xff\x00", b"F1"]),
    "i": small_int, "int": any_int, "float": any_float, "count": count, "rcount": random_count,
    "score": score,
    "sbound": score_bound, "lbound": lex_bound, "ttl": ttl, "pttl": pttl, "at": at, "pat": pat,
    "glob": glob,
    "xid": stream_id, "newid": new_id, "rid": range_id, "lon": longitude, "lat": latitude,
    "radius": radius,
    "bit": _choice_of([b"0", b"1", b"0", b"1", b"2", b"-1", b"a"]), "off": bit_offset,
    "btype": bitfield_type,
    "boff": bitfield_offset, "k": any_key, "extreme": extreme, "junk": junk, "numkeys": numkeys,
    "db": _choice_of([b"0", b"0", b"0", b"1", b"2", b"15", b"16", b"-1", b"abc", b"", b"2147483648",
                      b"9223372036854775807"]),
    "db01": _choice_of([b"0", b"1", b"2"]),
    "mem": _choice_of([b"m1", b"m2", b"m3", b"m4", b"m5", b"nomember"]),
    "cg": _choice_of([b"cg1", b"cg2", b"nogroup"]), "consumer": _choice_of([b"alice", b"bob", b""]),
    "channel": _choice_of([b"ch1", b"ch2", b"ch3", b"", b"a\r\nb", b"{t}ch"]),
    "cpat": _choice_of([b"ch*", b"*", b"ch?", b"[c]h1", b"nope*", b""]),
    "int>=0": lambda rng: b"%d" % rng.randint(0, 8),
    "xkeysids": stream_keys_ids, "gkeysids": group_keys_ids,
    "tkeys": _keys_counted("kt"), "zkeys": _keys_counted("kz"), "lkeys": _keys_counted("kl"),
    "zkeysw": _keys_weighted("kz"),
    "unit": _choice_of([b"m", b"km", b"ft", b"mi", b"M", b"KM", b"lightyear", b""]),
}
for _name in KEYS:
    GENERATORS.setdefault(_name, _key_of(_name))
