#!/usr/bin/env bash
# Peak resident memory of 30 iterations over 119, 600 and 5,000 images, and of 600 images x one x from
# what is kept against 60. Usage: flat.sh BO PYTHON SCRATCH; prints markdown rows.
set -euo pipefail
bo=$1 python=$2 scratch=$3
here=$(dirname "$0")
# The peak is bo's own record where it gives one: the deep clean-up resets the kernel's high-water mark.
peak() { python3 - "$@" <<'PY'
import json, resource, subprocess, sys, time
begun = time.time()
done = subprocess.run([*sys.argv[1:], "--json"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = json.loads(done.stdout).get("peak_bytes", used.ru_maxrss * 1024)
print(f"{peak / 1e6:.1f} MB | {time.time() - begun:.1f} s | {used.ru_utime + used.ru_stime:.1f} s")
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
