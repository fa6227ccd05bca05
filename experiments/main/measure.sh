#!/usr/bin/env bash
# Time and peak memory of the main job, from an empty cache, three times.
# usage: experiments/main/measure.sh      needs GNU time (Debian: time); BO=path/to/bo overrides
set -euo pipefail
cd "$(dirname "$0")/../.."
BO=${BO:-target/release/bo}
for round in 1 2 3; do
  out=$(mktemp -d)
  /usr/bin/time -f "round $round: %e s, peak %M kB" "$BO" run --iterations 30 --alpha 0.1 --n-w 3 --quiet --out "$out/run" >/dev/null
  rm -rf "$out"
done
