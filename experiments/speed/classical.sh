#!/usr/bin/env bash
# Classical steps of a first pass, two programs in turns: classical.sh BEFORE AFTER TURNS FILE...
#   BEFORE, AFTER: `target/release/examples/time_classical` of two commits. Prints ms per image of each step on one thread
#   and the hash of what the steps gave, TURNS times each.
set -eu
before=$1 after=$2 turns=$3
shift 3
for turn in $(seq "$turns"); do
    for program in "$before" "$after"; do
        echo "$turn $(basename "$(dirname "$program")")/$(basename "$program") $(RAYON_NUM_THREADS=1 "$program" 1 1 "$@")"
    done
done
