#!/usr/bin/env bash
# What adapting an encoder to unlabelled text gives where few rows have labels: a teacher from it before and after, three seeds.
# Usage: benchmarks/adapt.sh TEXTS SCORE ENCODER OUT [ROWS] [SETTING...]
#   TEXTS    labelled rows; all their texts are read without labels, ROWS of them (300) are learned from with labels
#   SCORE    labelled rows to score on
#   ENCODER  folder or hub name, or duobiao-mini
#   OUT      folder for the rows, the adapted encoder and OUT/adapted.gain
#   SETTING  settings of the adaptation, text.epochs=5
# Interrupted, the same command goes on where it stopped.
set -euo pipefail
[ $# -ge 4 ] || { sed -n '2,9p' "$0" | sed 's/^# //'; exit 2; }
texts=$1 score=$2 encoder=$3 out=$4 rows=${5:-300}
mkdir -p "$out"
[ -f "$out/train.jsonl" ] || duobiao sample "$texts" --per all --n "$rows" --output "$out/train.jsonl"
settings=(); for setting in "${@:6}"; do settings+=(--set "$setting"); done
duobiao adapt --encoder "$encoder" --text "$texts" --out "$out/adapted" "${settings[@]}" \
  --train "$out/train.jsonl" --score "$score" --with teacher-mini --set-with train.epochs=25 --set-with min_steps=0 \
  --seeds 0,1,2 --lang en
