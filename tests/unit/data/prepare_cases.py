"""A flow of three nodes, and calls that go through it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from duobiao.data.flow import Flow
from duobiao.data.prepare import Summary, prepare_transcripts

FLOW: dict[str, Any] = {
    "prefixes": {"robot": ["AI"], "customer": ["ME"]},
    "repeat": ["没听清"],
    "nodes": {
        "身份": ["本人吗"],
        "时间": {"phrases": ["时间可以吗"], "context": "约时间"},
        "再见": {"phrases": ["再见"], "ask": False},
    },
    "edges": [
        {"from": "身份", "to": "时间", "labels": ["是"]},
        {"from": "身份", "to": "身份", "labels": ["不明"]},
        {"from": "身份", "to": "再见", "labels": ["否"]},
        {"from": "时间", "to": "再见", "labels": ["可以"]},
        {"from": "时间", "to": "end", "labels": ["挂断"]},
    ],
}
Q1, Q2, BYE, ODD, AGAIN = "AI: 是本人吗", "AI: 时间可以吗", "AI: 再见", "AI: 请稍等", "AI: 没听清"


class Run:
    """One preparation of calls given as lists of lines, with all it wrote."""

    def __init__(self, folder: Path, *calls: list[str], flow: dict[str, Any] | None = None, **options: Any) -> None:
        source = folder / "calls.jsonl"
        source.write_text(
            "".join(json.dumps({"id": f"c{at}", "call": "\n".join(lines)}) + "\n" for at, lines in enumerate(calls)),
            encoding="utf-8",
        )
        self.places = {"output": folder / "rows.jsonl", "todo": folder / "todo.jsonl", "turns": folder / "turns.jsonl"}
        self.summary: Summary = prepare_transcripts(source, Flow.from_dict(flow or FLOW), **self.places, **options)
        self.rows, self.todo, self.turns = (
            [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in self.places.values()
        )

    @property
    def fates(self) -> list[str]:
        return [turn["fate"] for turn in self.turns]

    @property
    def short(self) -> list[tuple[Any, ...]]:
        """Text, node, next node and label of each labelled row."""
        return [(row["text"], row["in_node"], row["out_node"], *row["labels"]) for row in self.rows]
