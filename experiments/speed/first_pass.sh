#!/usr/bin/env bash
# A first pass over images never seen, two programs in turns: first_pass.sh BEFORE AFTER TURNS IMAGES SCRATCH
#   IMAGES holds images with their labels beside them. Prints the seconds of opening (`bo run`, one environment) and of
#   `bo evaluate` over all images, by the wall clock, and what bo says of its parts (threads together).
set -eu
before=$1 after=$2 turns=$3 images=$4 scratch=$5
for turn in $(seq "$turns"); do
    for bo in "$before" "$after"; do
        rm -rf "$scratch/run"
        begun=$(date +%s.%N)
        "$bo" run --images "$images" --labels "$images" --iterations 1 --n-w 1 --n-initial 1 --out "$scratch/run" --quiet >/dev/null 2>&1
        opened=$(date +%s.%N)
        "$bo" evaluate "$scratch/run" --x defaults --json >"$scratch/evaluate.json" 2>/dev/null
        ended=$(date +%s.%N)
        echo "$turn $bo run $(echo "$opened - $begun" | bc) evaluate $(echo "$ended - $opened" | bc)"
        grep -o '"seconds":{"all"[^}]*}' "$scratch/evaluate.json"
    done
done
