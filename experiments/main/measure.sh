#!/usr/bin/env bash
# Time and peak memory of the main job, each round from an empty cache.
# usage: experiments/main/measure.sh      BO=path/to/bo ROUNDS=3 override
# The peak is bo's own record (`peak_bytes`): the deep clean-up resets the kernel's high-water mark, so GNU time under-reports.
set -euo pipefail
cd "$(dirname "$0")/../.."
BO=${BO:-target/release/bo}
for round in $(seq "${ROUNDS:-3}"); do
  out=$(mktemp -d)
  begin=$(date +%s.%N)
  "$BO" run --iterations 30 --alpha 0.1 --n-w 3 --quiet --json --out "$out/run" > "$out/result.json" 2>/dev/null
  python3 - "$round" "$begin" "$out/result.json" <<'PY'
import json, sys, time
result = json.load(open(sys.argv[3]))
parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in result["seconds"].items())
print(f"round {sys.argv[1]}: {time.time() - float(sys.argv[2]):.1f} s ({parts}), peak {result['peak_bytes'] / 1e6:.0f} MB")
PY
  rm -rf "$out"
done
