#!/usr/bin/env bash
# A batch over alpha on the built-in scenes: one `bo run` each, then the incumbent scored on every scene.
# usage: experiments/alpha/batch.sh [OUT]      BO=path/to/bo ITERATIONS=60 N_W=15 ALPHAS="0.1 0.3" override
set -euo pipefail
cd "$(dirname "$0")/../.."
BO=${BO:-target/release/bo}
out=${1:-checkpoints/alpha-$(date +%Y%m%d-%H%M%S)}
for alpha in ${ALPHAS:-0.1 0.2 0.3 0.4 0.5}; do
  run="$out/alpha-$alpha"
  if [ -e "$run/run.json" ]; then
    "$BO" resume "$run"      # a batch that was stopped goes on
  else
    "$BO" run --alpha "$alpha" --iterations "${ITERATIONS:-60}" --n-w "${N_W:-15}" --seed "${SEED:-0}" --out "$run"
  fi
  "$BO" evaluate "$run" --json > "$run/evaluate.json"
done
python3 experiments/alpha/plot.py "$out" experiments/alpha/result
