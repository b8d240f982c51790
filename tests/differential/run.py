#!/usr/bin/env python3
"""Random commands to Ouro and to Redis 7.0 and Valkey 8.1: does Ouro say what Redis 7.2 would
say?

    run.py [--server build/ouro-server] [--groups strings,lists] [--seeds 1-50] [--commands 1000] [--resp 2|3]
    run.py --oracles-only           compares the oracles with each other: what known.py does not explain is shown

The same seed, groups and number of commands give the same commands. Exit code: 0 no finding, 1
findings, 2 could not run.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import known  # noqa: E402
import resp  # noqa: E402
from gen import sequence  # noqa: E402
from minimise import minimise  # noqa: E402
from player import Link, Player  # noqa: E402
from servers import Server, ServerDied  # noqa: E402
from verdict import FINDING, Judge  # noqa: E402


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--server", default=os.environ.get("OURO_SERVER") or "build/ouro-server",
                   help="server under test")
    p.add_argument("--ouro-arg", action="append", default=[],
                   help="argument for it; may be repeated")
    p.add_argument("--oracles", default=os.environ.get("OURO_ORACLES", "/tmp/ouro-oracles"),
                   help="folder of get-oracles")
    p.add_argument("--oracles-only", action="store_true",
                   help="compare the oracles with each other")
    p.add_argument("--only-oracle", choices=("redis70", "valkey81"), help="use just one oracle")
    p.add_argument("--groups", default="all", help="comma separated, or all: " +
                   " ".join(sequence.GROUPS))
    p.add_argument("--seeds", default="1-20", help="A-B or N")
    p.add_argument("--commands", type=int, default=1000, help="steps in a sequence")
    p.add_argument("--resp", type=int, choices=(2, 3), default=2)
    p.add_argument("--no-minimise", action="store_true")
    p.add_argument("--unsettled", action="store_true",
                   help="also show where Ouro agrees with one oracle and nothing says which is right")
    p.add_argument("--json", metavar="FILE", help="write findings as JSON lines")
    p.add_argument("--most", type=int, default=25, help="stop after so many different findings")
    p.add_argument("--seconds", type=float, default=0, help="stop after this time")
    p.add_argument("--quiet", action="store_true")
    return p.parse_args()


def oracle_paths(folder):
    out = subprocess.run([os.path.join(HERE, "get-oracles"), folder], check=True,
                         stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True).stdout
    return dict(line.split(None, 1) for line in out.splitlines() if line.strip())


def known_commands(server):
    """Names of the commands a server has (upper case)."""
    link = Link(server, False)
    frame = resp.parse(link.talk([b"COMMAND"]))[0]
    link.close()
    if frame[0] != b"*" or not frame[1]:
        return None
    return {entry[1][0][1].upper().decode("latin-1") for entry in frame[1]}


class Run:
    """All seeds on one set of servers; restarts them when one dies."""

    def __init__(self, options):
        self.options = options
        self.started = []
        self.player = None
        self.found = {}          # signature -> (verdict, seed, steps, count)
        self.missing = set()
        self.commands = 0
        self.began = time.monotonic()

    def servers(self):
        paths = oracle_paths(self.options.oracles)
        plan = [(n, paths[n], []) for n in ("redis70", "valkey81")
                if self.options.only_oracle in (None, n)]
        if not self.options.oracles_only:
            plan.append(("ouro", os.path.abspath(self.options.server), self.options.ouro_arg))
        return plan

    def start(self):
        self.started = []
        for name, path, extra in self.servers():
            server = Server(name, path, extra)
            self.started.append(server)
            server.start()
        self.player = Player(self.started, self.options.resp == 3)

    def stop(self):
        if self.player is not None:
            self.commands += self.player.commands
            self.player.close()
            self.player = None
        for server in self.started:
            server.stop()

    def generator(self):
        ours = [s for s in self.started if s.name == "ouro"]
        have = known_commands(ours[0]) if ours else None
        every = set()
        for server in self.started:
            every |= known_commands(server) or set()

        def allowed(name):
            if have is None or name not in every:
                return True
            if name not in have:
                self.missing.add(name)
            return name in have
        groups = sequence.GROUPS if self.options.groups == "all" else self.options.groups.split(",")
        bad = set(groups) - set(sequence.GROUPS)
        if bad:
            raise SystemExit("unknown group: " + ", ".join(sorted(bad)))
        return sequence.Generator(groups, allowed)

    def seeds(self):
        a, _, b = self.options.seeds.partition("-")
        return range(int(a), int(b or a) + 1)

    def one_seed(self, generator, seed):
        steps = generator.steps(seed, self.options.commands)
        names = [s.name for s in self.started]
        judge = Judge(names)
        try:
            self.player.play(steps, judge)
        except OSError as e:
            print("\nseed %d: a server does not accept connections any more: %s" % (seed, e))
        time.sleep(0 if all(s.alive() for s in self.started) else 0.2)
        dead = [s for s in self.started if not s.alive()]
        if any(s.name != "ouro" for s in dead):
            judge.verdicts = []      # what an oracle said before it fell over proves nothing
        for verdict in judge.verdicts:
            if verdict.signature in self.found:
                self.found[verdict.signature][3] += 1
                continue
            small = steps
            wanted = verdict.kind == FINDING or self.options.oracles_only or self.options.unsettled
            if wanted and not self.options.no_minimise and not dead and not verdict.missing():
                small = minimise(self.player, steps, verdict, names)
            self.found[verdict.signature] = [verdict, seed, small, 1]
            if wanted:
                self.report(verdict, seed, small)
        for server in dead:
            print("\n%s DIED in the sequence of seed %d; its log ends:\n%s" % (server.name, seed,
                server.log_tail()))
            if server.name == "ouro":
                self.found.setdefault(("died", seed), [None, seed, steps, 1])
        if dead:
            self.stop()
            self.start()

    def report(self, verdict, seed, steps):
        print("\n%s: seed %d, %s" % (verdict.kind.upper(), seed, verdict.why))
        if verdict.missing() or len(steps) > 60:
            print("  (%d steps, not shown)" % len(steps))
        else:
            for conn, args, kind in steps:
                print("  %d%s %s" % (conn, ">" if kind == "c" else "~",
                                     " ".join(map(_quote, args))))
        print("  on: " + " ".join(map(_quote, verdict.args)))
        for name in sorted(verdict.replies):
            mark = " <- 7.2" if name == verdict.expected else ""
            print("    %-9s %s%s" % (name, resp.show(verdict.replies[name]), mark))
        sys.stdout.flush()
        if self.options.json:
            with open(self.options.json, "a", encoding="utf-8") as f:
                f.write(json.dumps({
                    "kind": verdict.kind, "seed": seed, "groups": self.options.groups,
                    "resp": self.options.resp,
                    "commands": self.options.commands, "why": verdict.why,
                    "expected": verdict.expected,
                    "on": [a.decode("latin-1") for a in verdict.args],
                    "steps": [[c, [a.decode("latin-1") if isinstance(a, bytes) else a
                                   for a in args], k]
                              for c, args, k in steps] if len(steps) <= 200 else None,
                    "replies": {n: None if r is None else r.decode("latin-1") for n,
                                r in verdict.replies.items()},
                }) + "\n")

    def go(self):
        self.start()
        generator = self.generator()
        seed = None
        for seed in self.seeds():
            self.one_seed(generator, seed)
            self.progress(seed)
            shown = sum(1 for v in self.found.values() if v[0] is None or v[0].kind == FINDING or
                        self.options.oracles_only)
            if shown >= self.options.most or (
                    self.options.seconds and time.monotonic() - self.began > self.options.seconds):
                break
        return seed

    def progress(self, seed):
        if self.options.quiet or not sys.stderr.isatty():
            return
        n = self.commands + self.player.commands
        sys.stderr.write("\rseed %d, %d commands, %.0f/s, %d findings " % (
            seed, n, n / (time.monotonic() - self.began), len(self.found)))
        sys.stderr.flush()

    def summary(self, last):
        took = time.monotonic() - self.began
        findings = sum(1 for v in self.found.values() if v[0] is None or v[0].kind == FINDING)
        unsettled = len(self.found) - findings
        print("\n%s" % ("-" * 60))
        if self.missing:
            print("not in the server under test: " + " ".join(sorted(self.missing)))
        for rule in known.RULES:
            if rule.hits and not self.options.quiet:
                print("known difference, %d times: %s" % (rule.hits, rule.why))
        print("differential: %d commands up to seed %s in %.1f s (%.0f/s), %d findings, %d unsettled" % (
            self.commands, last, took, self.commands / took, findings, unsettled))
        return 1 if findings or (unsettled and self.options.oracles_only) else 0


def _quote(arg):
    return resp.quote(arg, 200) if isinstance(arg, bytes) else "%d ms" % arg


def main():
    run = Run(arguments())

    def terminated(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(2)           # through `finally`, which stops the servers
    signal.signal(signal.SIGTERM, terminated)
    try:
        last = run.go()
    except (ServerDied, OSError, subprocess.CalledProcessError) as e:
        print("differential: cannot run: %s" % e, file=sys.stderr)
        return 2
    finally:
        run.stop()
    return run.summary(last)


if __name__ == "__main__":
    sys.exit(main())
