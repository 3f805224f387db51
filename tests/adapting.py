"""Plain text and settings for tests of continued pre-training."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from duobiao.config import parse_config

PARTS = ["你们快递坏了", "今天还行，喜欢", "麻烦请问一下开票", "上次买的那个东西", "打给我，我生气", "打错了，是我"]
TEXT = {"epochs": 4, "batch_size": 8, "max_length": 24, "lr": 1e-2, "held_out": 16}
CONFIG: dict[str, Any] = {"kind": "adapt", "text": TEXT, "train": {"checkpoint_seconds": 0, "head_lr": 1e-2}}


def settings(**changes: Any) -> Any:
    """The configuration, with parts of ``text`` and ``train`` changed and other fields replaced."""
    inner = {name: {**CONFIG[name], **changes.pop(name, {})} for name in ("text", "train")}
    return parse_config({**CONFIG, **inner, **changes})


def repeated_lines() -> list[str]:
    """Lines that repeat themselves, so that there is something to learn."""
    chance = random.Random(1)
    return ["，".join(chance.sample(PARTS, 2)) for _ in range(160)]


def write_texts(folder: Path) -> list[Path]:
    """The lines in two files, of text and of JSON lines."""
    lines = repeated_lines()
    (folder / "a.txt").write_text("\n".join(lines[:100]), encoding="utf-8")
    rows = [json.dumps({"text": line, "id": 3}, ensure_ascii=False) for line in lines[100:]]
    (folder / "b.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return [folder / "a.txt", folder / "b.jsonl"]
