"""rho-KG against random search and the defaults over seeds, by the true risk of the incumbent on every environment.

usage: compare.py OUT RESULT.json [flags for `bo run`, e.g. --images DIR --labels PATH]
Both searches get the same initial design, the same number of evaluations and the same rule for the incumbent.
Environment: BO=path/to/bo SEEDS=10 ITERATIONS=60 N_W=15 ALPHA=0.3 JOBS=2. A run that is already there is kept.
"""
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import sys

BO = os.environ.get("BO", str(pathlib.Path(__file__).parents[2] / "target/release/bo"))
SEEDS = int(os.environ.get("SEEDS", 10))
SEARCHES = ("rho-kg", "random")


def one(out, search, seed, flags):
    run = out / f"{search}-seed{seed}"
    if not (run / "result.json").exists():
        command = [BO, "run", "--quiet", "--threads", "1", "--seed", str(seed), "--acquisition", search]
        command += ["--alpha", os.environ.get("ALPHA", "0.3"), "--n-w", os.environ.get("N_W", "15")]
        command += ["--n-initial", "5", "--iterations", os.environ.get("ITERATIONS", "60")]
        command += ["--cache", str(out / f"cache-{search}-{seed % 2}"), "--out", str(run), *flags]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return evaluate(run)


def evaluate(run, *flags):
    done = subprocess.run([BO, "evaluate", str(run), "--json", *flags], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive")


def main():
    out, result, flags = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    out.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", 2))) as pool:
        jobs = {(s, seed): pool.submit(one, out, s, seed, flags) for seed in range(SEEDS) for s in SEARCHES}
        evaluated = {key: job.result() for key, job in jobs.items()}
    defaults = evaluate(out / f"{SEARCHES[0]}-seed0", "--x", "defaults")
    table = {s: [evaluated[s, seed]["risk"] for seed in range(SEEDS)] for s in SEARCHES}
    record = {
        "flags": flags,
        "defaults": defaults["risk"],
        "true_risk": table,
        "quartiles": {s: quartiles(v) for s, v in table.items()},
    }
    result.write_text(json.dumps(record, indent=1) + "\n")
    print(f"defaults {defaults['risk']:.3f}")
    for search, values in table.items():
        low, middle, high = quartiles(values)
        print(f"{search:8} quartiles {low:.3f} {middle:.3f} {high:.3f}   seeds {' '.join(f'{v:.3f}' for v in values)}")


if __name__ == "__main__":
    main()
