#!/usr/bin/env python3
"""How the resident memory of a run grows beyond what its ledger names, from its `memory.jsonl`.

    python3 memory.py RUN...

Only iterations after which a deep clean-up was made are looked at. For each run: the slope (median of the slopes of all pairs,
Theil and Sen) of resident bytes less what is held by name, from iteration 10 (a long run of random decisions: 1,000, where
no model follows any more); and the rule of the issue: the most that resident bytes ever exceed "those after the first
clean-up plus what the ledger counts for observations and factors since", in per cent.
"""
import json, os, statistics, sys


def lines(run):
    with open(os.path.join(run, "memory.jsonl")) as file:
        return [json.loads(line) for line in file]


def slope(points):
    step = max(1, len(points) // 400)
    points = points[::step]
    return statistics.median(
        (y - v) / (x - u) for at, (x, y) in enumerate(points) for u, v in points[:at] if x > u
    )


for run in sys.argv[1:]:
    everything = lines(run)
    clean = [line for line in everything if "freed" in line]
    named = lambda line: line["held"].get("observations", 0) + line["held"].get("factor", 0)
    last = clean[-1]["iteration"]
    after = 1000 if last > 2000 else 10
    late = [line for line in clean if line["iteration"] > after]
    first = clean[0]
    base = first["resident"] - named(first)
    worst = max(clean, key=lambda line: line["resident"] / (base + named(line)))
    excess = worst["resident"] / (base + named(worst)) - 1
    everyone = lambda line: line["resident"] - sum(line["held"].values())
    other = statistics.median(line["seconds"]["other"] for line in everything)
    print(
        f"{run}: {last} iterations, slope {slope([(l['iteration'], everyone(l)) for l in late]) / 1000:+.2f} kB"
        f" (allocated {slope([(l['iteration'], l['after']['host'] - sum(l['held'].values())) for l in late]) / 1000:+.2f} kB,"
        f" named {slope([(l['iteration'], named(l)) for l in late]) / 1000:+.2f} kB) an iteration;"
        f" first clean-up {first['resident'] / 1e6:.1f} MB, last {clean[-1]['resident'] / 1e6:.1f} MB;"
        f" at most {100 * excess:+.1f} % over the rule (iteration {worst['iteration']}); bookkeeping {1000 * other:.2f} ms"
    )
