#!/usr/bin/env python3
"""What durability and supervision cost on the main job: watched and on a disk against alone and in memory, in turn.

    python3 cost.py target/release/bo FOLDER_ON_DISK FOLDER_IN_MEMORY ROUNDS [--cheap]

--cheap: as many decisions, evaluations and checkpoints of a test function, decided at random, so that the cost stands out.
Prints processor seconds (parent, worker and all) and wall time of each run, the medians, and what the two differ by within a round.
"""
import os, resource, shutil, statistics, subprocess, sys, time

bo, disk, memory, rounds = sys.argv[1:4] + [int(sys.argv[4])]
JOB = ["run", "--iterations", "30", "--alpha", "0.1", "--n-w", "3", "--threads", "1", "--quiet"]
if sys.argv[5:] == ["--cheap"]:
    JOB += ["--problem", "branin_williams", "--acquisition", "random"]


def cost(out, more):
    shutil.rmtree(out, ignore_errors=True)
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    subprocess.run([bo, *JOB, "--out", out, *more], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(out)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, time.time() - begun


kinds = {
    "watched, on disk": (disk, []),
    "alone, on disk": (disk, ["--no-supervise"]),
    "alone, in memory": (memory, ["--no-supervise"]),
}
seen = {kind: [] for kind in kinds}
for number in range(rounds):
    # in turn the other way round: whoever runs second is a little slower
    for kind in list(kinds)[:: 1 if number % 2 == 0 else -1]:
        folder, more = kinds[kind]
        seen[kind].append(cost(os.path.join(folder, "cost"), more))
        print(kind, "processor %.3f s, wall %.3f s" % seen[kind][-1], flush=True)
pairs = list(zip(seen["watched, on disk"], seen["alone, in memory"]))
for part, what in enumerate(["processor", "wall"]):
    watched, alone = [statistics.median(pair[side][part] for pair in pairs) for side in (0, 1)]
    apart = [100 * (pair[0][part] / pair[1][part] - 1) for pair in pairs]
    print(
        "%s: medians %.3f s against %.3f s, difference within a round %+.1f %% in the median, %+.1f %% in the mean"
        % (what, watched, alone, statistics.median(apart), statistics.mean(apart))
    )
