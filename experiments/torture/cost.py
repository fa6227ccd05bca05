#!/usr/bin/env python3
"""What durability and supervision cost on the main job: watched and on a disk against alone and in memory, in turn.

    python3 cost.py target/release/bo FOLDER_ON_DISK FOLDER_IN_MEMORY ROUNDS [--cheap]

--cheap: as many decisions, evaluations and checkpoints of a test function, decided at random, so that the cost stands out.
Prints processor seconds (parent, worker and all) of each run and the medians. A loaded machine's wall time says nothing.
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
for _ in range(rounds):
    for kind, (folder, more) in kinds.items():
        seen[kind].append(cost(os.path.join(folder, "cost"), more))
        print(kind, "processor %.3f s, wall %.3f s" % seen[kind][-1], flush=True)
median = {kind: [statistics.median(part) for part in zip(*costs)] for kind, costs in seen.items()}
watched, alone = median["watched, on disk"], median["alone, in memory"]
print("median processor %.2f s against %.2f s: %+.1f %%" % (watched[0], alone[0], 100 * (watched[0] / alone[0] - 1)))
print("median wall %.2f s against %.2f s: %+.1f %%" % (watched[1], alone[1], 100 * (watched[1] / alone[1] - 1)))
