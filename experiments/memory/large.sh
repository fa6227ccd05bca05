#!/usr/bin/env bash
# One photograph within several budgets: peak resident memory, time, and the score, which must be the same.
# Usage: large.sh BO PYTHON SCRATCH [WIDTH HEIGHT MB MB ..]; without, 100 megapixels within 1500 and 3000 MB.
set -euo pipefail
bo=$1 python=$2 scratch=$3 width=${4:-12500} height=${5:-8000}
budgets=("${@:6}")
[ ${#budgets[@]} -gt 0 ] || budgets=(1500 3000)
here=$(dirname "$0")
huge=$scratch/huge${width}x$height
[ -d "$huge" ] || "$python" "$here/images.py" "$huge" 1 "$width" "$height"
for budget in "${budgets[@]}"; do
    rm -rf "$scratch/run$budget"
    /usr/bin/env time -f "| $budget MB asked | %M kB | %e s |" "$bo" run --images "$huge" --labels "$huge" --iterations 1 \
        --n-w 1 --n-initial 1 --seed 1 --no-supervise --quiet --host-memory-mb "$budget" --out "$scratch/run$budget" > /dev/null
    grep -o '"value":[^,]*' "$scratch/run$budget/evaluations.jsonl" | head -1
    grep -h "memory:" "$scratch/run$budget/log.txt" || true
done
