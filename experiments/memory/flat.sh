#!/usr/bin/env bash
# Peak resident memory of 30 iterations over 119, 600 and 5,000 images, and of 600 images x one x from
# what is kept against 60. Usage: flat.sh BO PYTHON SCRATCH; prints markdown rows.
set -euo pipefail
bo=$1 python=$2 scratch=$3
here=$(dirname "$0")
# The resident peak is the largest VmHWM seen, asked 50 times a second: the deep clean-up resets the kernel's mark.
peak() { python3 - "$@" <<'PY'
import json, subprocess, sys, time
begun, most, heap = time.time(), 0, 0
run = subprocess.Popen([*sys.argv[1:], "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while run.poll() is None:
    try:
        status = open(f"/proc/{run.pid}/status").read()
        most = max([most, *(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))])
    except OSError:
        pass
    time.sleep(0.02)
assert run.returncode == 0, run.returncode
if "--out" in sys.argv:
    lines = map(json.loads, open(sys.argv[sys.argv.index("--out") + 1] + "/memory.jsonl"))
    heap = max(line["peak"]["host"] for line in lines)
print(f"{most / 1e6:.1f} MB | {heap / 1e6:.1f} MB | {time.time() - begun:.1f} s")
PY
}
for count in 119 600 5000; do
    [ -d "$scratch/small$count" ] || "$python" "$here/images.py" "$scratch/small$count" $count 160 120
    rm -rf "$scratch/run$count"
    echo "| 30 iterations, $count images of 160 x 120 | $(peak "$bo" run --images "$scratch/small$count" --labels "$scratch/small$count" \
        --iterations 30 --n-w 3 --seed 1 --no-supervise --quiet --out "$scratch/run$count") |"
done
for count in 60 600; do
    [ -d "$scratch/large$count" ] || "$python" "$here/images.py" "$scratch/large$count" $count 640 480
    rm -rf "$scratch/kept$count"
    "$bo" run --images "$scratch/large$count" --labels "$scratch/large$count" --iterations 1 --n-w 1 --n-initial 2 --no-supervise --quiet \
        --out "$scratch/kept$count" > /dev/null 2>&1
    echo "| $count images of 640 x 480 x two x, first pass | $(peak "$bo" evaluate "$scratch/kept$count") |"
    echo "| $count images of 640 x 480 x two x, from what is kept | $(peak "$bo" evaluate "$scratch/kept$count") |"
done
