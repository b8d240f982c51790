"""A whole sequence of steps from a seed: the same seed, groups and length give the same steps,
always."""

import random

from . import collection_groups, dsl, keyspace_groups, session_groups, values
from .session_groups import BLOCK, COMMAND, SLEEP  # noqa: F401 (part of this module's face)

TABLES = {
    "strings": keyspace_groups.STRINGS, "bitmaps": keyspace_groups.BITMAPS,
    "generic": keyspace_groups.GENERIC,
    "expire": keyspace_groups.EXPIRE, "sort": keyspace_groups.SORT,
    "connection": session_groups.CONNECTION,
    "server": session_groups.SERVER, "lists": collection_groups.LISTS,
    "hashes": collection_groups.HASHES,
    "sets": collection_groups.SETS, "zsets": collection_groups.ZSETS,
    "streams": collection_groups.STREAMS,
    "hll": collection_groups.HLL, "geo": collection_groups.GEO,
}
SCENES = {"transactions": session_groups.transaction, "pubsub": session_groups.pubsub,
          "blocking": session_groups.blocking, "notifications": session_groups.notifications,
          "tracking": session_groups.tracking, "passing-time": session_groups.passing_time}
GROUPS = sorted(TABLES) + sorted(SCENES)
MUTATED = 0.12       # share of commands that are damaged
OTHER_CONN = 0.08    # share of table commands that run on the second connection


class Table:
    """The templates of one group, chosen by weight."""

    def __init__(self, rows, allowed):
        templates = [(w, dsl.Template(t)) for w, t in rows]
        templates = [(w, t) for w, t in templates if allowed(t.name)]
        self.templates = [t for _, t in templates]
        self.weights = []
        total = 0
        for w, _ in templates:
            total += w
            self.weights.append(total)

    def __bool__(self):
        return bool(self.templates)

    def command(self, rng):
        template = rng.choices(self.templates, cum_weights=self.weights)[0]
        args = template.expand(rng)
        if rng.random() < MUTATED:
            args = dsl.mutate(rng, template, args)
        return args


class Generator:
    """groups: names out of GROUPS; allowed(name): whether the servers under test know the
    command."""

    def __init__(self, groups, allowed=lambda name: True):
        self.allowed = allowed
        self.tables = {g: Table(TABLES[g], allowed) for g in groups if g in TABLES}
        self.tables = {g: t for g, t in self.tables.items() if t}
        self.scenes = [SCENES[g] for g in groups if g in SCENES]
        self.in_transaction = {g: t for g, t in self.tables.items() if g not in ("connection",
            "server")} or {
            g: Table(TABLES[g], allowed) for g in ("strings", "generic")}

    def steps(self, seed, length):
        rng = random.Random(seed)
        values.reset_clock()
        steps = [(0, args, COMMAND) for args in preamble(rng)]
        names = sorted(self.tables)
        # one kind of scene (and transactions): subscribers would hear of the other kinds in an
        # order that is open
        quiet = [s for s in self.scenes if s is session_groups.transaction]
        loud = [s for s in self.scenes if s is not session_groups.transaction]
        scenes = quiet + ([rng.choice(loud)] if loud else [])
        heard = any(s in (session_groups.notifications, session_groups.pubsub) for s in scenes)
        while len(steps) < length:
            use_scene = scenes and (not names or rng.random() < 0.5)
            if use_scene:
                steps.extend(s for s in rng.choice(scenes)(rng, self.any_command)
                             if not s[1] or s[2] == SLEEP or
                             self.allowed(s[1][0].upper().decode("latin-1")) and
                             (not heard or session_groups.events_are_settled(s[1]) or
                              s[1][0].upper() == b"CONFIG"))
                continue
            # a stretch of one or two groups, so that their keys grow
            picked = rng.sample(names, min(len(names), rng.randint(1, 2)))
            for _ in range(rng.randint(10, 60)):
                args = self.tables[rng.choice(picked)].command(rng)
                if usable(args) and self.knows(args) and (not heard or
                                                          session_groups.events_are_settled(args)):
                    steps.append((1 if rng.random() < OTHER_CONN else 0, args, COMMAND))
        return steps

    def knows(self, args):
        """False for COMMAND GETKEYS of a command that the server under test does not have."""
        if args[0].upper() != b"COMMAND" or len(args) < 3 or not args[1].upper().startswith(
                b"GETKEYS"):
            return True
        return self.allowed(args[2].upper().decode("latin-1"))

    def any_command(self, rng):
        while True:
            args = self.in_transaction[rng.choice(sorted(self.in_transaction))].command(rng)
            if usable(args):
                return args


def usable(args):
    """False for what damage may have turned into something that depends on the time or never
    ends."""
    name = args[0].upper()
    if name == b"XADD" and any(a == b"*" for a in args[2:]):
        return False
    if name in (b"XREAD", b"XREADGROUP") and any(a.upper() == b"BLOCK" for a in args):
        return False
    if name in (b"SHUTDOWN", b"MONITOR", b"SYNC", b"PSYNC", b"DEBUG", b"SAVE", b"BGSAVE", b"WAIT",
                b"REPLICAOF",
                b"FAILOVER", b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"CONFIG", b"ACL",
                b"CLIENT"):
        return _usable_admin(name, [a.upper() for a in args[1:]])
    if name == b"SPOP" and len(args) >= 3 and args[2] not in (b"100000", b"0", b"-1", b"abc",
            b"9223372036854775807"):
        return False
    if name == b"SPOP" and len(args) == 2 and args[1] != b"never":
        return False
    if name in (b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER"):
        return all(not a.startswith(b"-") or len(a) < 4 or a == b"-9223372036854775808"
                   for a in args[1:])
    return True


def _usable_admin(name, rest):
    if name == b"SHUTDOWN":
        return bool(rest) and (b"BAD" in rest or rest in ([b"ABORT"], [b"NOSAVE", b"SAVE"],
                                                          [b"ABORT", b"NOSAVE"]))
    if name in (b"SAVE", b"BGSAVE", b"FAILOVER", b"REPLICAOF"):
        return rest in ([b"BAD"], [b"ABORT"], [b"NO"], [b"H", b"ABC"], [b"A", b"B", b"C"])
    if name == b"DEBUG":
        return rest[:1] in ([b"BAD"], [b"JMAP-BAD"], [b"STRINGMATCH-LEN"]) or rest == [b"OBJECT",
            b"NOKEY"]
    if name == b"CONFIG":
        dangerous = (b"PORT", b"BIND", b"DIR", b"LOGFILE", b"REQUIREPASS", b"SAVE", b"MAXCLIENTS",
                     b"DBFILENAME",
                     b"PROTO-MAX-BULK-LEN", b"CLIENT-QUERY-BUFFER-LIMIT", b"APPENDONLY",
                     b"MAXMEMORY-POLICY")
        if any(b"\0" in a for a in rest):
            # Ouro refuses zero bytes in values on purpose; Redis takes what is before them
            return False
        return rest[:1] != [b"SET"] or len(rest) < 3 or rest[1] not in dangerous or rest[2] in (b"",
            b"ABC", b"BAD")
    if name == b"CLIENT":
        return rest[:1] != [b"PAUSE"] or len(rest) < 2 or rest[1] in (b"ABC", b"-1", b"BAD")
    if name == b"WAIT":
        return len(rest) != 2 or rest[0] in (b"0", b"-1", b"ABC")
    return name == b"ACL"


def preamble(rng):
    """Limits of the compact encodings for this sequence: often tiny, so that conversions happen."""
    if rng.random() < 0.4:
        return []
    out = []
    for name, choices in (("hash-max-listpack-entries", (2, 4, 8)), ("hash-max-listpack-value",
        (4, 16, 64)),
                          ("set-max-intset-entries", (2, 4, 8)), ("set-max-listpack-entries",
                          (2, 4, 128)),
                          ("set-max-listpack-value", (4, 16, 64)), ("zset-max-listpack-entries",
                          (2, 4, 8)),
                          ("zset-max-listpack-value", (4, 16, 64)), ("list-max-listpack-size",
                          (2, 4, -1, -2)),
                          ("list-compress-depth", (0, 1, 2)), ("stream-node-max-entries",
                          (2, 4, 100)),
                          ("hll-sparse-max-bytes", (20, 100, 3000))):
        if rng.random() < 0.5:
            out.append([b"CONFIG", b"SET", name.encode(), b"%d" % rng.choice(choices)])
    return out


RESTORE_LIMITS = [b"CONFIG", b"SET", b"hash-max-listpack-entries", b"512",
                  b"hash-max-listpack-value", b"64",
                  b"set-max-intset-entries", b"512", b"zset-max-listpack-entries", b"128",
                  b"zset-max-listpack-value",
                  b"64", b"list-max-listpack-size", b"-2", b"list-compress-depth", b"0",
                  b"stream-node-max-entries",
                  b"100", b"stream-node-max-bytes", b"4096", b"hll-sparse-max-bytes", b"3000"]
RESTORE_LIMITS_72 = [b"CONFIG", b"SET", b"set-max-listpack-entries", b"128",
                     b"set-max-listpack-value", b"64"]
