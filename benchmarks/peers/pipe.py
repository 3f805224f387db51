"""What each peer's program has in common: fit once, then answer requests that come over a pipe. Needs nothing but Python.

A peer is a module with ``fit(train, dev, labels, out, options)`` and a class ``Loaded(out)``, whose ``answer(texts)`` gives
scores, ``(rows, labels)`` in the order of its ``labels``, higher is likelier, and the peer's own decisions, a list of labels a
row.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol


class Loaded(Protocol):
    """A fitted peer."""

    labels: Sequence[str]

    def answer(self, texts: Sequence[str]) -> tuple[Any, list[list[str]]]:
        """Scores in the order of ``labels``, and decisions; one entry a text."""
        ...


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def joined(row: dict[str, Any]) -> str:
    """One text for peers that read one: the context's words before the row's."""
    return f"{row['context']} {row['text']}" if row.get("context") else str(row["text"])


def main(fit: Callable[..., dict[str, Any] | None], loaded: Callable[[Path], Loaded]) -> None:
    """``fit FOLDER OUT [NAME=VALUE ...]`` or ``answer OUT``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("fit", "answer"))
    parser.add_argument("paths", nargs="+")
    args = parser.parse_args()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")  # what libraries print must not come between
    os.dup2(2, 1)
    if args.what == "fit":
        folder, out = (Path(path) for path in args.paths[:2])
        out.mkdir(parents=True, exist_ok=True)
        labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        options = dict(option.split("=", 1) for option in args.paths[2:])
        train, dev = read(folder / "train.jsonl"), read(folder / "dev.jsonl")
        began = time.perf_counter()
        told = fit(train, dev, labels, out, options) or {}
        print(json.dumps({"seconds": time.perf_counter() - began} | told), file=replies, flush=True)
        return
    model = loaded(Path(args.paths[0]))
    print(json.dumps({"labels": list(model.labels)}, ensure_ascii=False), file=replies, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        texts = asked["rows"] if getattr(model, "reads_rows", False) else [joined(row) for row in asked["rows"]]
        began = time.perf_counter()
        scores, said = model.answer(texts)
        reply: dict[str, Any] = {"seconds": time.perf_counter() - began}
        if asked.get("all"):
            reply |= {"scores": [[float(value) for value in row] for row in scores], "said": said}
        print(json.dumps(reply, ensure_ascii=False), file=replies, flush=True)
