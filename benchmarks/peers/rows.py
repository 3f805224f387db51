"""The same rows for all peers.

    python benchmarks/peers/rows.py TRAIN DEV TEST OUT [--labels labels.yaml]

OUT gets train.jsonl, dev.jsonl and test.jsonl with text, context and labels, and the labels as labels.yaml (with groups) and
labels.json (names alone, in order).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from duobiao.data.read import read_rows
from duobiao.data.write import write_text
from duobiao.labels import LabelSpace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("train", "dev", "test", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--labels", type=Path)
    args = parser.parse_args()
    train = read_rows(args.train)
    space = LabelSpace.from_yaml(args.labels) if args.labels else LabelSpace.infer([row.labels or () for row in train])
    for name in ("train", "dev", "test"):
        rows = read_rows(getattr(args, name), space=space)
        lines = [{"text": row.text, "context": row.context, "labels": list(row.labels or ())} for row in rows]
        write_text(args.out / f"{name}.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        print(f"{name}: {len(rows)} rows")
    write_text(args.out / "labels.yaml", space.to_yaml())
    write_text(args.out / "labels.json", json.dumps(space.names, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
