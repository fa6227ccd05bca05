"""Ordinary Bayesian optimisation of Hartmann 6: bo (two acquisitions), egobox and Optuna's GPSampler in turn, seed by seed.

usage: python compare.py REGRET_EXAMPLE FIRST_SEED SEEDS OUT.jsonl [PEER ...]

Lines are added to OUT; the table is of all of them. Peers: "bo, rho-kg", "bo, log-nei", egobox, optuna (all unless named).
14 initial points and 40 more for each. One JSON line per seed and peer:
{"peer":..,"seed":..,"seconds":..,"cpu":..,"best":..,"recommended":..}; best = regret of the best point evaluated,
recommended = regret of what is recommended (the same thing where a peer recommends its best observation).
Seconds are those of everything but Python's import; one thread each.
"""

import json
import os
import resource
import subprocess
import sys
import time
import warnings

os.environ.update(RAYON_NUM_THREADS="1", OMP_NUM_THREADS="1")
warnings.filterwarnings("ignore")

import egobox
import numpy as np
import optuna
import torch

torch.set_num_threads(1)
optuna.logging.set_verbosity(optuna.logging.ERROR)

HEIGHT = np.array([1.0, 1.2, 3.0, 3.2])
STEEPNESS = np.array([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]])
CENTRE = 1e-4 * np.array([[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991], [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]])
BEST = 3.32237


def hartmann(x):
    return float(HEIGHT @ np.exp(-(STEEPNESS * (np.asarray(x) - CENTRE) ** 2).sum(1)))


def cpu():
    use = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in use)


def run_bo(acquisition):
    def run(example, seed):
        words = [example, "hartmann6", str(seed), "1", "40", acquisition]
        line = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        return line["best_seen"], line["regret"][-1], line["seconds"]

    return run


def run_egobox(_, seed):
    def minimised(xs):
        return np.array([[-hartmann(x)] for x in xs])

    found = egobox.Egor([[0.0, 1.0]] * 6, n_doe=14, seed=seed).minimize(minimised, max_iters=40)
    values = np.asarray(found.result.y_doe)
    assert len(values) == 54, len(values)
    regret = BEST + float(values[:, 0].min())
    return regret, regret, None


def run_optuna(_, seed):
    study = optuna.create_study(sampler=optuna.samplers.GPSampler(seed=seed, n_startup_trials=14), direction="maximize")
    study.optimize(lambda t: hartmann([t.suggest_float(f"x{i}", 0.0, 1.0) for i in range(6)]), n_trials=54)
    regret = BEST - study.best_value
    return regret, regret, None


PEERS = {"bo, rho-kg": run_bo("rho-kg"), "bo, log-nei": run_bo("log-nei"), "egobox": run_egobox, "optuna": run_optuna}


def main():
    example, first, seeds, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    asked = sys.argv[5:] or list(PEERS)
    with open(out, "a") as file:
        for seed in range(first, first + seeds):
            for peer, run in [(peer, PEERS[peer]) for peer in asked]:
                clock, used = time.perf_counter(), cpu()
                best, recommended, inner = run(example, seed)
                line = {"peer": peer, "seed": seed, "seconds": inner or time.perf_counter() - clock, "cpu": cpu() - used, "best": best, "recommended": recommended}
                print(json.dumps(line), file=file, flush=True)
    with open(out) as file:
        lines = [json.loads(text) for text in file]
    print("| peer | seeds | median regret, best seen | recommended | worst | CPU seconds, median | against egobox |\n| --- | --- | --- | --- | --- | --- | --- |")
    middle = lambda peer, key: float(np.median([l[key] for l in lines if l["peer"] == peer]))
    for peer in dict.fromkeys(l["peer"] for l in lines):
        count = sum(l["peer"] == peer for l in lines)
        worst = max(l["recommended"] for l in lines if l["peer"] == peer)
        ratio = middle(peer, "cpu") / middle("egobox", "cpu")
        print(f"| {peer} | {count} | {middle(peer, 'best'):.3g} | {middle(peer, 'recommended'):.3g} | {worst:.3g} | {middle(peer, 'cpu'):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
