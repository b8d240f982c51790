"""Delta debugging: the fewest steps of a sequence that still show the same difference."""

import time

from verdict import Judge

SECONDS = 25.0


def minimise(player, steps, verdict, names, budget=150):
    """steps: the sequence; verdict: what it showed. Returns a shorter list of steps that shows
    the same signature.

    budget: how often the steps may be played. Keys are looked at first: most findings need only
    what touched them.
    """
    left = [budget]
    end = time.monotonic() + SECONDS

    def shows(candidate):
        if left[0] <= 0 or time.monotonic() > end:
            left[0] = 0
            return False
        left[0] -= 1
        judge = Judge(names, only=verdict.signature)
        player.play(candidate, judge, keyspace=verdict.index >= len(steps))
        return bool(judge.verdicts)

    in_keyspace = verdict.index >= len(steps)
    current = list(steps if in_keyspace else steps[:verdict.index + 1])
    keys = set(verdict.args[1:])
    related = [s for s in current if any(a in keys for a in s[1][1:])]
    if len(related) < len(current) and shows(related):
        current = related
    chunk = max(len(current) // 2, 1)
    while left[0] > 0:
        at = 0
        removed = False
        while at < len(current) and left[0] > 0:
            candidate = current[:at] + current[at + chunk:]
            if candidate and shows(candidate):
                current = candidate
                removed = True
            else:
                at += chunk
        if chunk == 1 and not removed:
            break
        chunk = max(chunk // 2, 1)
    return shorten_arguments(current, shows)


def shorten_arguments(steps, shows):
    """Drops trailing arguments that do not matter."""
    steps = list(steps)
    for i, (conn, args, kind) in enumerate(steps):
        while len(args) > 2:
            candidate = steps[:i] + [(conn, args[:-1], kind)] + steps[i + 1:]
            if not shows(candidate):
                break
            args = args[:-1]
            steps = candidate
    return steps
