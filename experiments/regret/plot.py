"""Regret curves as SVG, medians with quartile bands: python3 plot.py results PEERS OUT.svg

results: this folder's JSON lines, one run a line; PEERS: BoTorch's traces (../shared/yardstick/results).
Prints the table of final regrets. Needs Python only.
"""
import glob, json, math, os, statistics, sys

OPTIMA = {"branin11": -55.680869, "branin_williams": -722.662927, "marzat6": -2.70923}
COLOURS = {
    "rho-kg": "#1b6ca8",
    "rho-kg-paths": "#57b5d9",
    "cv-ucb": "#5a9e6f",
    "log-nei": "#8a5aa8",
    "thompson": "#d19a2a",
    "random": "#999999",
    "BoTorch rho-KG": "#c8553d",
}


def traces(results, peers):
    found = {}
    for path in sorted(glob.glob(os.path.join(results, "*.jsonl"))):
        for line in open(path):
            run = json.loads(line)
            found.setdefault(run["problem"], {}).setdefault(run["acquisition"], []).append(run["regret"])
    for path in sorted(glob.glob(os.path.join(peers, "*.json"))):
        run = json.load(open(path))
        regret = [OPTIMA[run["problem"]] - t["cvar"] for t in run["trace"]]
        found.setdefault(run["problem"], {}).setdefault("BoTorch rho-KG", []).append(regret)
    return found


def quartiles(values):
    values = sorted(values)
    at = lambda q: values[round(q * (len(values) - 1))]
    return at(0.25), statistics.median(values), at(0.75)


def panel(problem, methods, left):
    out, width, height = [], 300, 220
    steps = max(len(r) for runs in methods.values() for r in runs) - 1
    every = [max(v, 1e-5) for runs in methods.values() for r in runs for v in r]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    px = lambda i: left + 45 + width * i / steps
    py = lambda v: 30 + height * (high - math.log10(max(v, 1e-5))) / (high - low)
    out.append(f'<text x="{left + 45}" y="18">{problem}, regret</text>')
    for decade in range(low, high + 1):
        y = py(10.0**decade)
        out.append(f'<line x1="{px(0)}" x2="{px(steps)}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{left + 8}" y="{y + 4:.1f}">1e{decade}</text>')
    for k, (method, runs) in enumerate(sorted(methods.items())):
        colour = COLOURS.get(method, "#000000")
        bands = [quartiles([r[i] for r in runs if i < len(r)]) for i in range(min(map(len, runs)))]
        up = [f"{px(i):.1f},{py(b[2]):.1f}" for i, b in enumerate(bands)]
        down = [f"{px(i):.1f},{py(b[0]):.1f}" for i, b in reversed(list(enumerate(bands)))]
        middle = " ".join(f"{px(i):.1f},{py(b[1]):.1f}" for i, b in enumerate(bands))
        out.append(f'<polygon points="{" ".join(up + down)}" fill="{colour}" opacity="0.1"/>')
        out.append(f'<polyline points="{middle}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = 30 + height + 20 + 14 * k
        out.append(f'<text x="{left + 45}" y="{y}" fill="{colour}">{method}, {len(runs)} seeds</text>')
        first, median, third = quartiles([r[-1] for r in runs])
        print(f"| {problem} | {method} | {len(runs)} | {first:.3g} | {median:.3g} | {third:.3g} |")
    return out


def main():
    results, peers, target = sys.argv[1:4]
    print("| problem | method | seeds | first quartile | median | third quartile |\n| --- | --- | --- | --- | --- | --- |")
    body = []
    for k, (problem, methods) in enumerate(sorted(traces(results, peers).items())):
        body += panel(problem, methods, 370 * k)
    count = len(body) and 370 * (k + 1)
    with open(target, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{count}" height="380" font-family="sans-serif" font-size="12">')
        f.write('<rect width="100%" height="100%" fill="white"/>' + "\n".join(body) + "</svg>\n")


main()
