"""What a difference means: agreement, a finding, or a question between the oracles that known.py
has no answer to."""

import canon
import known
import resp

FINDING, UNSETTLED = "finding", "unsettled"


class Verdict:
    """One difference that is to be reported. signature: differences with the same one are the
    same to a reader."""

    def __init__(self, kind, index, args, replies, expected, why):
        self.kind = kind
        self.index = index
        self.args = args
        self.replies = replies      # {server name: raw reply}
        self.expected = expected    # name of the oracle that is right, or None
        self.why = why
        self.signature = (kind, canon.name_of(args).decode("latin-1"), self._outline())

    def _outline(self):
        out = []
        for name in sorted(self.replies):
            raw = self.replies[name]
            if raw is None:
                out.append("none")
            elif raw[:1] == b"-":
                out.append(raw.split(b"'")[0][:40].decode("latin-1").strip())
            elif self.args[0].upper() == b"OBJECT":
                out.append(raw[-14:].decode("latin-1").strip())
            else:
                out.append(raw[:1].decode("latin-1") + ("-1" if raw[1:3] == b"-1" else ""))
        return " / ".join(out)

    def missing(self):
        """The server under test does not know the command at all."""
        unknown = (b"-ERR unknown command", b"-ERR unknown subcommand")
        others = [r or b"" for n, r in self.replies.items() if n != "ouro"]
        return (self.replies.get("ouro") or
                b"").startswith(unknown) and not any(r.startswith(unknown) for r in others)


class Judge:
    """Callable for Player.play: collects verdicts of one sequence; true when the sequence may
    stop.

    names: the servers' names in the order of the replies. The server under test is called
    "ouro"; without it the oracles are compared with each other.
    """

    def __init__(self, names, most=3, only=None):
        self.names = names
        self.most = most
        self.only = only            # stop at this signature (for minimising)
        self.verdicts = []
        self.retired = set()        # oracles whose data is known to differ by now
        self.by_hash_order = set()  # keys of sets whose encoding depends on the order of a table

    def __call__(self, mismatch):
        verdict = self.weigh(mismatch)
        if verdict is None:
            return False
        if self.only is not None:
            if verdict.signature != self.only:
                return False
            self.verdicts.append(verdict)
            return True
        if all(verdict.signature != v.signature for v in self.verdicts):
            self.verdicts.append(verdict)
        return len(self.verdicts) >= self.most

    def look_ahead(self, steps):
        """The result of SDIFFSTORE and its like is filled in the order of a source's table: with a small limit for
        intsets its first elements decide whether it becomes a listpack or a table."""
        if any(isinstance(a[0], bytes) and a[0].upper() == b"CONFIG" and b"set-max-intset-entries" in a for _, a, _ in steps if a):
            self.by_hash_order = {a[1] for _, a, _ in steps if len(a) > 2 and isinstance(a[0], bytes) and
                                  a[0].upper() in (b"SDIFFSTORE", b"SUNIONSTORE", b"SINTERSTORE")}

    def weigh(self, m):
        if canon.name_of(m.args) == b"OBJECT ENCODING" and m.args[2:3] and m.args[2] in self.by_hash_order:
            return None
        replies = dict(zip(self.names, m.replies))
        ours = replies.get("ouro")
        redis, valkey = replies.get("redis70"), replies.get("valkey81")
        oracles = [n for n in ("redis70", "valkey81") if n in replies and n not in self.retired]
        if len(oracles) == 2 and not canon.same(m.args, redis, valkey, m.queued):
            return self._oracles_differ(m, replies, redis, valkey, ours)
        if "ouro" not in replies or not oracles or canon.same(m.args, ours, replies[oracles[-1]],
                m.queued):
            return None
        if known.is_deliberate(m.args, ours):
            return None
        if len(oracles) == 1 and self._as_the_other_would(m, replies, oracles[0]):
            if b"+QUEUED\r\n" in (ours, replies[oracles[0]]):
                self.retired.add(oracles[0])      # its transaction is another one now
            return None
        return Verdict(FINDING, m.index, m.args, replies, oracles[-1], "the oracles agree"
                       if len(oracles) == 2 else
                       "the other oracle parted from 7.2 earlier in this sequence")

    def _as_the_other_would(self, m, replies, left):
        """One oracle is retired: does a rule say that it would have been right with what Ouro
        says? Of an EXEC: for each part that differs."""
        ours = replies["ouro"]
        pair = (replies[left], ours) if left == "redis70" else (ours, replies[left])
        right = known.VALKEY if left == "redis70" else known.REDIS
        rule = known.find(m.args, *pair)
        rules = [rule] if rule is not None or not m.queued else known.find_in_exec(m.queued, *pair)
        return rules is not None and rules != [None] and all(
            r is None or r.truth in (right, known.EITHER, known.NEITHER) for r in rules)

    def _oracles_differ(self, m, replies, redis, valkey, ours):
        rule = known.find(m.args, redis, valkey)
        if rule is None and m.queued:
            return self._exec_differs(m, replies, redis, valkey, ours)
        if rule is None:
            if "ouro" in replies and (canon.same(m.args, ours, redis, m.queued) or
                                      canon.same(m.args, ours, valkey, m.queued)):
                return Verdict(UNSETTLED, m.index, m.args, replies, None,
                               "the oracles differ, no rule says who is right")
            return Verdict(UNSETTLED if "ouro" not in replies else FINDING, m.index, m.args,
                           replies, None,
                           "the oracles differ, no rule says who is right")
        if rule.parts or b"+QUEUED\r\n" in (redis, valkey):
            self.retired.add(known.REDIS if rule.truth == known.VALKEY else known.VALKEY)
        if "ouro" not in replies or rule.truth == known.NEITHER or known.is_deliberate(m.args,
                ours):
            return None
        right = [redis, valkey] if rule.truth == known.EITHER else [replies[rule.truth]]
        if any(canon.same(m.args, ours, x, m.queued) for x in right):
            return None
        return Verdict(FINDING, m.index, m.args, replies, rule.truth, rule.why)

    def _exec_differs(self, m, replies, redis, valkey, ours):
        rules = known.find_in_exec(m.queued, redis, valkey)
        if rules is None:
            return Verdict(UNSETTLED if "ouro" not in replies else FINDING, m.index, m.args,
                           replies, None,
                           "the oracles differ in a part of an EXEC")
        for rule in rules:
            if rule is not None and rule.parts:
                self.retired.add(known.REDIS if rule.truth == known.VALKEY else known.VALKEY)
        if "ouro" not in replies:
            return None
        try:
            parts = [resp.parse(x)[0][1] for x in (redis, valkey, ours)]
        except (resp.Incomplete, resp.ProtocolError):
            parts = [None, None, None]
        if not parts[2] or len(parts[2]) != len(m.queued):
            return Verdict(FINDING, m.index, m.args, replies, None, "EXEC")
        for args, rule, r, v, o in zip(m.queued, rules, *parts):
            raw = [known.unparse(x) for x in (r, v, o)]
            right = raw[:2] if rule is None or rule.truth == known.EITHER else [raw[0
                if rule.truth == known.REDIS else 1]]
            if rule is not None and rule.truth == known.NEITHER:
                continue
            if not any(canon.same(args, raw[2], x) for x in right):
                return Verdict(FINDING, m.index, args, dict(zip(("redis70", "valkey81", "ouro"),
                    raw)), None, "inside EXEC")
        return None
