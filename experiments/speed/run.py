"""Times bo's library and BoTorch alternately in one go and prints the ratios.

usage: python3 experiments/speed/run.py OUT.json [--quick]

Ours: the examples `iteration` (cold fit with restarts, rho-KG decision, a decision after one more observation; 14
inputs, n_w 15) and `share` of bo-bayes. BoTorch: ../shared/yardstick/peer_iteration.py (fit, and
log-NEI under CVaR), once at each size: its n = 250 takes 80 s and 16 GB. PYTHON names its interpreter. --quick
leaves out n = 2,000 and BoTorch's acquisition at n = 250. Wall seconds, and CPU seconds of all threads, which a
busy machine changes less.
"""
import json, os, pathlib, resource, statistics, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
PYTHON = os.environ.get("PYTHON", "python3")
RUN = SHARED / "data/weld_runs/run_20251120_151025_iter_100.json"
COLUMNS = ["fit", "fit_cpu", "decision", "decision_cpu", "more", "more_cpu"]
LIMITS = {100: 0.25, 250: 0.6, 1000: 5.0, 2000: 25.0}
TIMES_SLOWER = {100: 10, 250: 100}


def built(example):
    """Path of an example's program."""
    text = subprocess.run(["cargo", "build", "--release", "-p", "bo-bayes", "--example", example, "--message-format=json"],
                          cwd=ROOT, check=True, capture_output=True, text=True).stdout
    messages = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == example][-1]


def ours(program, n):
    text = subprocess.run([program, str(n)], check=True, capture_output=True, text=True, cwd=ROOT / "crates/bayes").stdout
    lines = [line.split() for line in text.splitlines()]
    rows = [dict(zip(COLUMNS, map(float, line[2:]))) for line in lines if line and line[0] == str(n)]
    peak = [float(line[2]) for line in lines if line[:2] == ["peak", "memory"]]
    found = {column: statistics.median(row[column] for row in rows) for column in COLUMNS}
    # Fit and decision belong together: the median of their sums.
    found["wall"] = statistics.median(row["fit"] + row["decision"] for row in rows)
    found["cpu"] = statistics.median(row["fit_cpu"] + row["decision_cpu"] for row in rows)
    return found | {"data_sets": len(rows), "peak_mb": peak[0]}


def peer(n, acquisition):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [PYTHON, SHARED / "yardstick/peer_iteration.py", RUN, str(n), "--n-w", "15"]
    text = subprocess.run(words + ["--acq"] * acquisition, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(text.splitlines()[-1])
    found["wall"] = sum(found.get(key, 0.0) for key in ["botorch_fit_s", "build_acq_s", "botorch_acq_s"])
    found["cpu_with_imports"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return found


def main():
    quick = "--quick" in sys.argv
    iteration, share = built("iteration"), built("share")
    table = {}
    for n in [100, 250, 1000] + [2000] * (not quick):
        table[n] = {"ours": ours(iteration, n)}
        if n <= 250:
            table[n]["botorch"] = peer(n, acquisition=not (quick and n == 250))
            table[n]["times_slower"] = table[n]["botorch"]["wall"] / table[n]["ours"]["wall"]
        mine = table[n]["ours"]
        print(f"n {n:>5}: fit + decision {mine['wall']:.2f} s (limit {LIMITS[n]}), {mine['cpu']:.2f} CPU s; "
              f"one more {mine['more']:.2f} s, {mine['more_cpu']:.2f} CPU s; peak {mine['peak_mb']:.0f} MB", flush=True)
        if n <= 250:
            print(f"         BoTorch {table[n]['botorch']['wall']:.1f} s, {table[n]['times_slower']:.0f} times slower "
                  f"(asked: {TIMES_SLOWER[n]})", flush=True)
    out = {"table": table, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    if not quick:
        import math
        grown = {key: math.log(table[2000]["ours"][key] / table[250]["ours"][key]) / math.log(8) for key in ["wall", "cpu"]}
        print(f"growth from 250 to 2,000: n^{grown['wall']:.2f} of wall, n^{grown['cpu']:.2f} of CPU (asked: at most 2.5)")
        out["growth"] = grown
    text = subprocess.run([share] + ["1000" if quick else "2000"], check=True, capture_output=True, text=True, cwd=ROOT / "crates/bayes").stdout
    print(text)
    out["share"] = text.splitlines()
    pathlib.Path(sys.argv[1]).write_text(json.dumps(out, indent=1))


main()
