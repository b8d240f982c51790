"""The comparison as markdown: one table of speed, one of memory; ratios above 1 are better than the base server."""

HIGHER_IS_BETTER = {"rps"}
TOLERANCE = 0.02  # of a target: what rounds differ by on an idle machine
TITLES = {"rps": "throughput", "cpu": "CPU a request", "p99.9": "p99.9"}


def best(results, metric):
    """The best round's number, or None: machines are noisy, and noise only ever makes a round worse."""
    values = [r[metric] for r in results if r.get(metric) is not None]
    if not values:
        return None
    return max(values) if metric in HIGHER_IS_BETTER else min(values)


def ratio(value, base, metric):
    if not value or not base:
        return None
    return value / base if metric in HIGHER_IS_BETTER else base / value


def show(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def with_ratio(value, base, metric, digits):
    r = ratio(value, base, metric)
    return show(value, digits) + (f" ({r:.2f})" if r is not None else "")


def client_bound(rounds):
    """The load generator had no time left in the fastest round: the server could have done more."""
    fastest = max(rounds, key=lambda r: r["rps"])
    return fastest["rps"] * fastest["client_cpu"] > 0.93e6


def contended(w, rounds):
    """Neither side was busy in the fastest round: something else had the cores."""
    fastest = max(rounds, key=lambda r: r["rps"])
    paced = "--rate" in w.args
    return not paced and not client_bound(rounds) and fastest["rps"] * (fastest["cpu"] or 0) < 0.85e6


def verdict(ok, how=""):
    return "-" if ok is None else ("ok" if ok else "MISSED") + how


def speed_row(w, name, per_server, base, judged):
    """`per_server`: name -> {"rounds": [...], "word": None or why there are none}."""
    word = per_server[name]["word"]
    if word:
        return [w.name, name, word, "", "", "", "", ""]
    rounds, base_rounds = per_server[name]["rounds"], per_server.get(base, {"rounds": []})["rounds"]
    cells = [with_ratio(best(rounds, m), best(base_rounds, m), m, digits)
             for m, digits in (("rps", 0), ("cpu", 3), ("p50", 1), ("p99.9", 1))]
    cells[0] += " *" if client_bound(rounds) else " ~" if contended(w, rounds) else ""
    # a throughput that the server did not limit says nothing about it; its CPU time still does
    limited = [client_bound(rounds)] + [contended(w, rs) for rs in (rounds, base_rounds) if rs]
    metric = "cpu" if w.metric == "rps" and any(limited) else w.metric
    r = ratio(best(rounds, metric), best(base_rounds, metric), metric)
    ok = None if not judged or r is None else r >= w.target * (1 - TOLERANCE)
    return [w.name, name] + cells + [f"{TITLES[w.metric]} {w.target:g}x",
                                     verdict(ok, " (by CPU)" if metric != w.metric else "")]


def memory_row(w, name, per_server, base, judged):
    word, value = per_server[name]["word"], per_server[name].get("bytes")
    if word:
        return [w.name, name, word, "", ""]
    base_value = per_server.get(base, {}).get("bytes")
    target = w.target if w.target is not None else base_value
    ok = None if not judged or target is None else value <= target * (1 + TOLERANCE)
    unit = getattr(w, "unit", "connection")
    aim = "-" if target is None else f"{target:.0f} B" if w.target is not None else "the base"
    return [w.name, name, f"{with_ratio(value, base_value, 'bytes', 1)} a {unit}", aim, verdict(ok)]


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def markdown(results, names, base, versions, judged):
    """`results`: list of (workload, per_server). `judged`: names that have targets to meet."""
    speed_rows, memory_rows = [], []
    for w, per_server in results:
        is_speed = hasattr(w, "metric")
        row = speed_row if is_speed else memory_row
        for name in names:
            if name in per_server:
                (speed_rows if is_speed else memory_rows).append(row(w, name, per_server, base, name in judged))
    parts = ["Servers: " + ", ".join(f"{n} {versions[n]}" for n in names) +
             f". In brackets: how many times better than {base} (best rounds)."]
    if speed_rows:
        parts.append("`*`: the load generator was the limit; `~`: other processes had the cores. Look at CPU a request "
                     "then; verdicts do.")
        parts.append(table(["workload", "server", "requests a second", "server CPU us a request", "p50 us", "p99.9 us",
                            "target", "verdict"], speed_rows))
    if memory_rows:
        parts.append(table(["workload", "server", "bytes", "target", "verdict"], memory_rows))
    return "\n\n".join(parts) + "\n"
