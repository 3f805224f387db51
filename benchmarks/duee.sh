#!/usr/bin/env bash
# DuEE 1.0 event types (65 labels): linear baseline, teacher, BiGRU A and B, their controls, one comparison.
# Usage: benchmarks/duee.sh DATA ENCODER OUT
#   DATA     folder with train.jsonl and dev.jsonl (rows {"text", "labels"})
#   ENCODER  a Hugging Face encoder: folder or hub name
#   OUT      folder for bundles and the report
# Thresholds and the best epoch are chosen on a tenth of train.jsonl; dev.jsonl is only scored.
# Interrupted, the same command goes on where it stopped.
set -euo pipefail
[ $# = 3 ] || { sed -n '2,8p' "$0" | sed 's/^# //'; exit 2; }
data=$1 encoder=$2 out=$3
train="$data/train.jsonl" score="$data/dev.jsonl"

duobiao train --config linear --train "$train" --out "$out/linear"
duobiao train --config teacher-roberta-wwm --set encoder="$encoder" --set name=teacher-e5 --set pooling=mean \
  --set loss.independent=zlpr --set train.epochs=3 --set train.batch_size=16 --set train.lr=8e-5 --set train.head_lr=1e-3 \
  --set train.checkpoint_seconds=300 --train "$train" --out "$out/teacher"
for model in a b; do
  distil=(duobiao distil --teacher "$out/teacher" --config "bigru-$model" --set train.epochs=3 --set augment.copies=6 \
    --set vocabulary.keep=all --train "$train")
  "${distil[@]}" --out "$out/bigru-$model"
  "${distil[@]}" --no-teacher --set name="bigru-$model-control" --out "$out/bigru-$model-control"
done
duobiao compare "$out"/{linear,teacher,bigru-a,bigru-a-control,bigru-b,bigru-b-control} \
  --data "$score" --train "$train" --out "$out"
