"""Checks the built-in data: labels, counts, repeats, near-duplicates, splits, transcripts.

Two texts of the same context are near-duplicates if

* both have 8 characters or more and the Jaccard index of their sets of character 3-grams is 0.8 or more, or
* one of them is shorter, and they are the same once punctuation, spaces and particles (PARTICLES) are removed; of a text
  that holds nothing else, only punctuation and spaces are removed.

Run ``python tools/check_builtin.py``; it prints a table and ends with status 1 if anything is wrong.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from duobiao.data.read import read_rows
from duobiao.data.rows import Row, targets
from duobiao.errors import DuobiaoError
from duobiao.labels import UNKNOWN, LabelSpace

ROOT = Path(__file__).resolve().parents[1] / "src" / "duobiao" / "builtin"
MIN_ROWS = {"hotline": 1600, "callback": 1400}
MIN_POSITIVES = {"train": 8, "dev": 2, "test": 2}
MAX_NEAR_SHARE = 0.02
CALLS = 40
COLUMNS = ["通话ID", "呼叫时间", "通话状态", "通话时长(秒)", "对话内容"]
ANSWERED = "已接听"
PARTICLES = "啊呢吧嗯哦呀的了嘛啦哈哎诶唉呃呗嘞噢喔哟"

_MARKS = re.compile(r"[\W_]+")
_PARTICLES = re.compile(f"[{PARTICLES}]+")
_TURN = re.compile(r"(\[\d\d:\d\d\] )?(AI|ME)[:：] ?\S.*")
_NUMBER = re.compile(r"[0-9零〇一二两三四五六七八九幺]{7,}")  # as long as a telephone number

Splits = Mapping[str, Sequence[Row]]


def load(folder: Path) -> tuple[LabelSpace, dict[str, list[Row]]]:
    """Reads a data set's label space and splits; raises DuobiaoError if the labels do not fit the space."""
    space = LabelSpace.from_yaml(folder / "labels.yaml")
    return space, {split: read_rows(folder / f"{split}.jsonl", space=space) for split in MIN_POSITIVES}


def bare(text: str) -> str:
    """The text without punctuation, spaces and particles; with its particles if nothing else is left."""
    words = _MARKS.sub("", text)
    return _PARTICLES.sub("", words) or words or text


def trigrams(text: str) -> frozenset[str]:
    """The character 3-grams of a text of 8 characters or more; none of a shorter one."""
    return frozenset(text[i : i + 3] for i in range(len(text) - 2)) if len(text) >= 8 else frozenset()


def near_duplicates(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Positions of all pairs of near-duplicates, as the module's first lines define them."""
    grams, words = [trigrams(row.text) for row in rows], [bare(row.text) for row in rows]

    def near(i: int, j: int) -> bool:
        a, b = grams[i], grams[j]
        if not a or not b:
            return words[i] == words[j]
        if min(len(a), len(b)) < 0.8 * max(len(a), len(b)):
            return False
        return len(a & b) >= 0.8 * len(a | b)

    return [(i, j) for i, j in combinations(range(len(rows)), 2) if rows[i].context == rows[j].context and near(i, j)]


def check(name: str, space: LabelSpace, splits: Splits) -> tuple[list[str], list[str]]:
    """Checks one data set.

    Returns:
        The lines of its table, and what is wrong; the latter is empty if nothing is.
    """
    rows = [row for split in splits.values() for row in split]
    home = [split for split, members in splits.items() for _ in members]
    wrong: list[str] = []
    if len(rows) < MIN_ROWS[name]:
        wrong.append(f"{len(rows)} rows, fewer than {MIN_ROWS[name]}")
    for what, values in (("id", [r.id for r in rows]), ("text in its context", [(r.context, r.text) for r in rows])):
        wrong += [f"{what} repeated: {value}" for value, count in Counter(values).items() if count > 1]
    for row in rows:
        if row.text != row.text.strip() or not row.text or row.extra:
            wrong.append(f"{row.id}: empty text, spaces around it, or further columns")
        if list(row.labels or ()) != sorted(row.labels or (), key=space.index.__getitem__):
            wrong.append(f"{row.id}: labels are not in the order of the label space")
        if _NUMBER.search(row.text):
            wrong.append(f"{row.id}: holds something like a telephone number")

    near = near_duplicates(rows)
    share = len({i for pair in near for i in pair}) / len(rows)
    if share >= MAX_NEAR_SHARE:
        wrong.append(f"{share:.2%} of the rows have a near-duplicate, {MAX_NEAR_SHARE:.0%} or more")
    across = [(rows[i], rows[j]) for i, j in near if home[i] != home[j]]
    wrong += [f"near-duplicates in two splits: {a.id} {a.text} / {b.id} {b.text}" for a, b in across]

    cells = {split: targets(members, space) for split, members in splits.items()}
    positives = {split: (found == 1).sum(axis=0) for split, found in cells.items()}
    for split, found in cells.items():
        wrong += [f"{splits[split][i].id}: a group is not answered" for i in sorted(set((found == UNKNOWN).nonzero()[0]))]
        wrong += [
            f"{label}: {count} positives in {split}, fewer than {MIN_POSITIVES[split]}"
            for label, count in zip(space.names, positives[split], strict=True)
            if count < MIN_POSITIVES[split]
        ]

    lines = [f"{name:<12}" + "".join(f"{split:>7}" for split in splits)]
    lines.append(f"{'rows':<12}" + "".join(f"{len(members):7d}" for members in splits.values()))
    for column, label in enumerate(space.names):
        lines.append(f"{'':<12}" + "".join(f"{positives[split][column]:7d}" for split in splits) + f"  {label}")
    lines.append(f"rows with a near-duplicate: {share:.2%}, pairs across splits: {len(across)}")
    return lines, wrong


def check_transcripts(path: Path) -> list[str]:
    """What is wrong with the file of call transcripts; empty if nothing is."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *calls = csv.reader(file, strict=True)
    wrong = [] if header == COLUMNS else [f"columns are {header}, not {COLUMNS}"]
    if len(calls) != CALLS or len({call[0] for call in calls}) != CALLS:
        wrong.append(f"not {CALLS} calls with an id of their own")
    for call_id, _, status, _, dialogue in calls:
        turns = dialogue.splitlines()
        if bool(turns) != (status == ANSWERED):
            wrong.append(f"{call_id}: {status}, but {len(turns)} turns")
        wrong += [f"{call_id}: no turn: {turn}" for turn in turns if not _TURN.fullmatch(turn)]
        if _NUMBER.search(dialogue):
            wrong.append(f"{call_id}: holds something like a telephone number")
    return wrong


def main() -> int:
    """Checks everything, prints, and returns the exit status."""
    wrong: list[str] = []
    for name in MIN_ROWS:
        try:
            lines, found = check(name, *load(ROOT / name))
        except DuobiaoError as error:
            lines, found = [], [str(error)]
        print("\n".join(lines), end="\n\n")
        wrong += [f"{name}: {reason}" for reason in found]
    try:
        found = check_transcripts(ROOT / "callback" / "transcripts.csv")
    except (OSError, ValueError, csv.Error) as error:  # missing, no UTF-8, rows of another width, broken quotes
        found = [str(error)]
    wrong += [f"transcripts: {reason}" for reason in found]
    print("\n".join(wrong) or "all checks passed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
