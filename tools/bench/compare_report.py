"""The comparison as markdown: one table of speed, one of memory; ratios above 1 are better than the base server."""

from statistics import median

from compare_workloads import EPOLL_SHARE, Speed, Stall

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


def verdict(ok):
    return "" if ok is None else "ok" if ok else "MISSED"


def metric_ratio(rounds, base_rounds, metric):
    """CPU by the best round of each; the others as the median over rounds, whose runs are neighbours in time."""
    if metric == "cpu":
        return ratio(best(rounds, metric), best(base_rounds, metric), metric)
    found = [ratio(r[metric], b[metric], metric) for r, b in zip(rounds, base_rounds)]
    found = [r for r in found if r]
    return median(found) if found else None


def judge(w, name, per_server, aims):
    """How the workload's metric stands to each server that is aimed at: [(text, ok or None)]."""
    found = []
    for base, aim in aims.items():
        if base not in per_server or per_server[base]["word"]:
            continue
        rounds, base_rounds = per_server[name]["rounds"], per_server[base]["rounds"]
        # a throughput that the server did not limit says nothing about it; its CPU time still does
        limited = any(client_bound(rs) or contended(w, rs) for rs in (rounds, base_rounds))
        metric = "cpu" if w.metric == "rps" and limited else w.metric
        r = metric_ratio(rounds, base_rounds, metric)
        by = "" if metric == w.metric else " by CPU"
        ok = None if r is None else r >= aim * (1 - TOLERANCE)
        found.append((f"{base} {show(r, 2)}{by}, aim {aim:.2f}", ok))
    return found


def speed_row(w, name, per_server, base, own):
    """`per_server`: name -> {"rounds": [...], "word": None or why there are none}. `own`: our servers, main one first."""
    word = per_server[name]["word"]
    if word:
        return [w.name, name, word, "", "", "", "", ""]
    rounds, base_rounds = per_server[name]["rounds"], per_server.get(base, {"rounds": []})["rounds"]
    cells = [with_ratio(best(rounds, m), best(base_rounds, m), m, digits)
             for m, digits in (("rps", 0), ("cpu", 3), ("p50", 1), ("p99.9", 1))]
    cells[0] += " *" if client_bound(rounds) else " ~" if contended(w, rounds) else ""
    aims = {} if name not in own else w.aims if name == own[0] else {own[0]: EPOLL_SHARE}
    judged = judge(w, name, per_server, aims)
    aim = f"{TITLES[w.metric]}: " + "; ".join(text for text, _ in judged) if judged else ""
    return [w.name, name] + cells + [aim, verdict(all(ok for _, ok in judged) if judged else None)]


def size_row(w, name, per_server, base, own):
    """Memory and stalls: a value to stay below."""
    word, value = per_server[name]["word"], per_server[name].get("value")
    if word or value is None:
        return [w.name, name, word or "-", "", ""]
    base_value = per_server.get(base, {}).get("value")
    if isinstance(w, Stall):
        text, aim = f"{show(value, 2)} ms (then {show(per_server[name]['then'], 2)} ms)", w.ceiling_ms
        value, shown_aim = max(value, per_server[name]["then"]), f"{w.ceiling_ms:g} ms"
    else:
        text = with_ratio(value, base_value, "bytes", 1) + f" B a {getattr(w, 'unit', 'connection')}"
        aim = w.ceiling if w.share is None else w.share * base_value if base_value else None
        shown_aim = "-" if aim is None else f"{aim:.0f} B"
    ok = None if name not in own or aim is None else value <= aim * (1 + TOLERANCE)
    return [w.name, name, text, shown_aim if name in own else "", verdict(ok)]


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def markdown(results, names, base, versions, own):
    """`results`: list of (workload, per_server). `own`: names that have targets to meet, ours first."""
    speed_rows, size_rows = [], []
    for w, per_server in results:
        rows, row = (speed_rows, speed_row) if isinstance(w, Speed) else (size_rows, size_row)
        rows += [row(w, name, per_server, base, own) for name in names if name in per_server]
    parts = ["Servers: " + ", ".join(f"{n} {versions[n]}" for n in names) +
             f". In brackets: how many times better than {base} (best rounds); by the aims CPU as best rounds, the "
             "rest as the median of neighbouring rounds."]
    if speed_rows:
        parts.append("`*`: the load generator was the limit; `~`: other processes had the cores. Look at CPU a request "
                     "then; verdicts do.")
        parts.append(table(["workload", "server", "requests a second", "server CPU us a request", "p50 us", "p99.9 us",
                            "times better than", "verdict"], speed_rows))
    if size_rows:
        parts.append(table(["workload", "server", "measured", "ceiling", "verdict"], size_rows))
    return "\n\n".join(parts) + "\n"
