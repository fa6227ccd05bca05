#!/usr/bin/env bash
# A batch over alpha on the built-in scenes: one `bo sweep`, then the incumbent of each run scored on every scene.
# usage: experiments/alpha/batch.sh [OUT]      BO=path/to/bo ITERATIONS=60 N_W=15 ALPHAS="0.1,0.3" SEED=0 override
# Typed again with the same OUT it goes on where it was stopped.
set -euo pipefail
cd "$(dirname "$0")/../.."
BO=${BO:-target/release/bo}
out=${1:-checkpoints/alpha-$(date +%Y%m%d-%H%M%S)}
"$BO" sweep --over "alpha=${ALPHAS:-0.1,0.2,0.3,0.4,0.5}" --iterations "${ITERATIONS:-60}" --n-w "${N_W:-15}" --seed "${SEED:-0}" --out "$out"
for run in "$out"/alpha-*; do
  "$BO" evaluate "$run" --json > "$run/evaluate.json"
done
python3 experiments/alpha/plot.py "$out" experiments/alpha/result
