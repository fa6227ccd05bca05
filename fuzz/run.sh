#!/usr/bin/env bash
# Fuzzes every reader for SECONDS_EACH seconds of processor time (default 60), as many at once as there are processors
# (AT_ONCE; more would be told to hang when they only wait), and prints a line for each: seconds, executions, crashes.
# Names of targets after it run those alone. What it finds lies in fuzz/artifacts; new corpus files go to fuzz/grown, which is not kept.
set -euo pipefail
cd "$(dirname "$0")"
each=${SECONDS_EACH:-60}
build() { cargo +nightly fuzz build -s none --release -a; }
[ -n "${BUILT:-}" ] || build
release=target/x86_64-unknown-linux-gnu/release

one() {
  local target=$1 used=0 runs=0 crashes=0 # used: milliseconds
  mkdir -p "grown/$target" "artifacts/$target"
  while [ "$used" -lt "$((each * 1000))" ]; do
    TIMEFORMAT='%U %S'
    { time TMPDIR=${FUZZ_TMP:-/dev/shm} "$release/$target" "grown/$target" "corpus/$target" -artifact_prefix="artifacts/$target/" \
        -max_total_time="$each" -max_len=20000 -rss_limit_mb=4096 -timeout=60 -print_final_stats=1 \
        -dict=words.dict >"grown/$target.log" 2>&1 || crashes=$((crashes + 1)); } 2>"grown/$target.time"
    used=$((used + $(awk '{print int(1000 * ($1 + $2))}' "grown/$target.time")))
    runs=$((runs + $(awk '/stat::number_of_executed_units/ {print $2}' "grown/$target.log" | tail -1 || echo 0)))
    echo "$target: $((used / 1000)) s, $runs executions, $crashes crashes" >"grown/$target.sum"
    [ "$crashes" -lt 5 ] || break
  done
}
[ "$#" -gt 0 ] || set -- $(basename -s .rs fuzz_targets/*.rs)
for target in "$@"; do
  while [ "$(jobs -rp | wc -l)" -ge "${AT_ONCE:-$(nproc)}" ]; do wait -n || true; done
  one "$target" &
done
wait
for target in "$@"; do cat "grown/$target.sum"; done
