#!/usr/bin/env python3
"""How numbers are printed, over very many random values: scores, floats that are added, places on the earth.

    number_texts.py [--server build/ouro-server] [--values 1000000] [--seed 1]

The same values go to Ouro and to Valkey 8.1, which prints as Redis 7.2 does, a thousand a command; every reply is compared
as bytes. Exit code: 0 no difference, 1 differences, 2 could not run.
"""

import argparse
import os
import random
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import resp  # noqa: E402
from player import Link  # noqa: E402
from run import oracle_paths  # noqa: E402
from servers import Server, ServerDied  # noqa: E402

BATCH = 1000


def any_double(rng):
    """A double: of random bits, of few digits, an integer, or near one of the limits of printing."""
    r = rng.random()
    if r < 0.4:
        value = struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0]
    elif r < 0.6:
        value = round(rng.uniform(-1, 1) * 10 ** rng.randint(-10, 10), rng.randint(0, 12))
    elif r < 0.8:
        value = float(rng.randint(-2 ** 63, 2 ** 63) >> rng.randint(0, 63))
    else:
        value = rng.choice([1e15, 1e16, 1e17, 1e20, 1e21, 1e22, 1e-4, 1e-5, 1e-6, 1e-7, 2.0 ** 53]) * (
            1 + rng.randint(-3, 3) * 2.0 ** -52) * rng.choice([-1, 1])
    return 1.5 if value != value else value


def scores(rng):
    members = [b"m%d" % i for i in range(BATCH)]
    add = [b"ZADD", b"z"]
    for member in members:
        add += [repr(any_double(rng)).encode(), member]
    return [add, [b"ZRANGE", b"z", b"0", b"-1", b"WITHSCORES"], [b"ZMSCORE", b"z"] + members, [b"DEL", b"z"]]


def sums(rng):
    """Added as decimal texts, which are printed with 17 digits and no exponent."""
    out = []
    for _ in range(BATCH // 2):
        small = "%.*f" % (rng.randint(0, 17), rng.uniform(-1, 1) * 10 ** rng.randint(-5, 12))
        out.append([b"INCRBYFLOAT", b"f", small.encode()])
        out.append([b"HINCRBYFLOAT", b"h", b"f%d" % rng.randint(0, 9), small.encode()])
    return out + [[b"DEL", b"f", b"h"]]


def places(rng):
    members = [b"m%d" % i for i in range(BATCH)]
    add = [b"GEOADD", b"g"]
    for member in members:
        add += [b"%.*f" % (rng.randint(0, 15), rng.uniform(-180, 180)), b"%.*f" % (rng.randint(0, 15), rng.uniform(-85, 85)),
                member]
    ask = [[b"GEODIST", b"g", rng.choice(members), rng.choice(members), rng.choice([b"m", b"km", b"ft", b"mi"])]
           for _ in range(50)]
    around = [[b"GEOSEARCH", b"g", b"FROMMEMBER", rng.choice(members), b"BYRADIUS", b"%d" % rng.randint(1, 9000), b"km",
               b"ASC", b"WITHDIST", b"WITHCOORD", b"WITHHASH"] for _ in range(3)]
    return [add, [b"GEOPOS", b"g"] + members, [b"GEOHASH", b"g"] + members] + ask + around + [[b"DEL", b"g"]]


def replies(link, commands):
    link.send(b"".join(map(resp.encode, commands)))
    got = []
    end = time.monotonic() + 20
    while len(got) < len(commands):
        frames, rest = resp.split(link.buf)
        got += frames
        link.buf = bytearray(rest)
        if len(got) < len(commands):
            if link.closed or time.monotonic() > end:
                raise ServerDied("no answer")
            link.read(1)
    return got


def compare(kind, links, rng, left):
    """One batch of a kind; the number of replies that differ."""
    commands = kind(rng)
    ours, theirs = (replies(link, commands) for link in links)
    differ = [(c, a, b) for c, a, b in zip(commands, ours, theirs) if a != b]
    for command, a, b in differ[:left]:
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), 0)
        print("%s ...\n  ouro     %r\n  valkey81 %r" % (b" ".join(command[:4]).decode("latin-1"), a[max(at - 40, 0):at + 40],
                                                        b[max(at - 40, 0):at + 40]))
    return len(differ)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--server", default=os.environ.get("OURO_SERVER") or "build/ouro-server")
    p.add_argument("--oracles", default=os.environ.get("OURO_ORACLES", "/tmp/ouro-oracles"))
    p.add_argument("--values", type=int, default=1000000)
    p.add_argument("--seed", type=int, default=1)
    options = p.parse_args()
    rng = random.Random(options.seed)
    servers = [Server("ouro", os.path.abspath(options.server), []),
               Server("valkey81", oracle_paths(options.oracles)["valkey81"], [])]
    differences = done = 0
    began = time.monotonic()
    try:
        for server in servers:
            server.start()
        links = [Link(server, False) for server in servers]
        while done < options.values and differences < 20:
            for kind in (scores, sums, places):
                differences += compare(kind, links, rng, 20 - differences)
                done += BATCH
    except (ServerDied, OSError, subprocess.CalledProcessError) as e:
        print("number_texts: cannot run: %s" % e, file=sys.stderr)
        return 2
    finally:
        for server in servers:
            server.stop()
    print("number_texts: %d values from seed %d in %.1f s, %d differences" % (done, options.seed, time.monotonic() - began,
                                                                         differences))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
