"""CrossWOZ turns as rows: the dialogue so far as context, dialogue acts as labels.

    python benchmarks/crosswoz_rows.py DATA OUT [--labels intent|coarse|fine] [--train 1000] [--dev 400] [--test 1500]
        [--least 5] [--context turn|speaker]

DATA holds val.jsonl and test.jsonl (one turn a row: text, labels, labels_coarse, role, dialogue, turn). Training and dev rows
come from val.jsonl, test rows from test.jsonl; a dialogue is on one side only, and its id is the rows' group_id. The context is
who speaks and, unless --context is speaker, in the next line what the other side said before. Labels of fewer than --least
training rows are left out of all rows, and named. OUT gets train.jsonl, dev.jsonl and test.jsonl.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from duobiao.data.write import write_text

SPEAKER = {"usr": "顾客", "sys": "客服"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labels", choices=("intent", "coarse", "fine"), default="coarse")
    parser.add_argument("--context", choices=("turn", "speaker"), default="turn")
    parser.add_argument("--train", type=int, default=1000, help="rows at most; 0: all that dev leaves")
    parser.add_argument("--dev", type=int, default=400)
    parser.add_argument("--test", type=int, default=1500, help="rows at most; 0: all")
    parser.add_argument("--least", type=int, default=5, help="training rows that a label needs")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    known = dialogues(args.data / "val.jsonl", args.labels, args.context)
    random.Random(args.seed).shuffle(known)
    dev = first(known, args.dev)
    train = first(known[len(dev) :], args.train)
    others = dialogues(args.data / "test.jsonl", args.labels, args.context)
    random.Random(args.seed).shuffle(others)
    seen = Counter(label for dialogue in train for row in dialogue for label in row["labels"])
    enough = {label for label, count in seen.items() if count >= args.least}
    every = {label for dialogue in [*known, *others] for row in dialogue for label in row["labels"]}
    print(f"left out, fewer than {args.least} training rows: {', '.join(sorted(every - enough)) or 'none'}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name, chosen in {"train": train, "dev": dev, "test": first(others, args.test)}.items():
        rows = [row | {"labels": [x for x in row["labels"] if x in enough]} for dialogue in chosen for row in dialogue]
        write_text(args.out / f"{name}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        print(f"{name}: {len(chosen)} dialogues, {len(rows)} rows")


def dialogues(path: Path, labels: str, context: str) -> list[list[dict[str, Any]]]:
    """The rows of each dialogue, in order."""
    turns = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    ordered = sorted(turns, key=lambda turn: (turn["dialogue"], turn["turn"]))
    return [list(_rows(own, labels, context)) for _, own in groupby(ordered, key=lambda turn: turn["dialogue"])]


def _rows(turns: Iterator[dict[str, Any]], labels: str, context: str) -> Iterator[dict[str, Any]]:
    before = ""
    for turn in turns:
        speaker = SPEAKER[turn["role"]]
        where = f"{speaker}\n{before}" if before and context == "turn" else speaker
        found = {"id": f"{turn['dialogue']}-{turn['turn']}", "text": turn["text"], "context": where}
        yield found | {"labels": _labels(turn, labels), "group_id": turn["dialogue"]}
        before = f"{speaker}：{turn['text']}"


def _labels(turn: dict[str, Any], labels: str) -> list[str]:
    """Dialogue acts as intent-domain-slot (fine), intent-domain (coarse), or the intent alone."""
    if labels == "intent":
        return list(dict.fromkeys(label.partition("-")[0] for label in turn["labels"]))
    own: list[str] = turn["labels" if labels == "fine" else "labels_coarse"]
    return own


def first(found: list[list[dict[str, Any]]], rows: int) -> list[list[dict[str, Any]]]:
    """As many dialogues, from the first on, as it takes to reach so many rows."""
    chosen: list[list[dict[str, Any]]] = []
    count = 0
    for dialogue in found:
        if rows and count >= rows:
            break
        chosen.append(dialogue)
        count += len(dialogue)
    return chosen


if __name__ == "__main__":
    main()
