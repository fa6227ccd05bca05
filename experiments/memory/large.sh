#!/usr/bin/env bash
# One photograph of 100 megapixels within several budgets: peak resident memory, time, and the score, which must
# be the same. Usage: large.sh BO PYTHON SCRATCH.
set -euo pipefail
bo=$1 python=$2 scratch=$3
here=$(dirname "$0")
[ -d "$scratch/huge" ] || "$python" "$here/images.py" "$scratch/huge" 1 12500 8000
for budget in 1500 3000; do
    rm -rf "$scratch/huge$budget"
    /usr/bin/env time -f "| $budget MB asked | %M kB | %e s |" "$bo" run --images "$scratch/huge" --labels "$scratch/huge" --iterations 1 \
        --n-w 1 --n-initial 1 --seed 1 --no-supervise --quiet --host-memory-mb $budget --out "$scratch/huge$budget" > /dev/null
    grep -o '"value":[^,]*' "$scratch/huge$budget/evaluations.jsonl" | head -1
    grep -h "memory:" "$scratch/huge$budget/log.txt" || true
done
