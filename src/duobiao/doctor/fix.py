"""Repaired copies of files, and what was changed in them; the files themselves are never touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from duobiao.data.clean import build_chain
from duobiao.data.files import decode, records_of
from duobiao.data.write import write_text
from duobiao.data.write_rows import write_records
from duobiao.doctor.check import label_space, place_of
from duobiao.doctor.copies import write_copy
from duobiao.doctor.damage import mend
from duobiao.doctor.dataset import Dataset, Split, read_dataset, readable
from duobiao.doctor.duplicates import HELD_OUT, Twins, row_pairs
from duobiao.errors import ConfigError, DataError

FIXES = {
    "mojibake": True,
    "invisible": True,
    "mask": False,
    "simplified": False,
    "empty": True,
    "duplicates": True,
    "leaks": True,
    "near-leaks": False,
}
"""Repairs in the order in which they are made, and whether they are made unless others are chosen."""

DIFF, REVIEW, SUMMARY = "diff.jsonl", "review.jsonl", "summary.md"


@dataclass(frozen=True)
class Change:
    """One thing that was done.

    Attributes:
        split: Name of the split.
        row: Row number in the original; None where it is not known.
        what: A name of ``FIXES``; or ``unreadable`` for a line that no copy can hold, ``unsound`` for a row left as it was,
            ``damaged`` for a line of which bytes were lost.
        before: The text.
        after: The text now; None if the row is left out.
        because: The reason, such as the row that it repeats.
    """

    split: str
    row: int | None
    what: str
    before: str
    after: str | None
    because: str = ""


@dataclass(frozen=True)
class Fixed:
    """What a repair did.

    Attributes:
        folder: Where the copies are.
        fixes: The repairs that were asked for.
        files: Split name to original, copy, and rows before and after.
        changes: Everything that was done.
        review: Texts whose labels contradict each other, left for a person.
    """

    folder: Path
    fixes: Sequence[str]
    files: Mapping[str, Mapping[str, Any]]
    changes: Sequence[Change] = field(default_factory=tuple)
    review: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    def counts(self) -> dict[tuple[str, str], int]:
        """(Split, what) to how often."""
        return dict(Counter((change.split, change.what) for change in self.changes))


def fix(
    files: Mapping[str, Path],
    folder: Path,
    *,
    only: Sequence[str] | None = None,
    labels: Path | None = None,
    model: Path | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> Fixed:
    """Writes a repaired copy of each file, ``diff.jsonl``, ``review.jsonl`` and ``summary.md`` into a folder.

    Texts with contradicting labels are left as they are and go to ``review.jsonl``. Rows of the test file are left out only
    where their text is empty.

    Args:
        files: ``data``, ``train``, ``dev``, ``test`` to a path.
        folder: Where the copies go; it must not hold any of the files.
        only: Which of ``FIXES`` to make; the safe ones by default.
        labels: The label space; by default the bundle's.
        model: A bundle.
        columns: Own column names.
        separator: What parts the labels in a cell.

    Raises:
        ConfigError: If a repair does not exist, or the folder holds a file that is to be repaired.
        DataError: If a file cannot be read well enough to be copied without loss.
        MissingExtraError: If ``simplified`` is asked for without OpenCC.
    """
    chosen = _chosen(only)
    targets = check_folder(folder, files)
    data = read_dataset(files, label_space(labels, model), columns, separator)
    _refuse_lossy(data)
    edited, changes = edit_texts(data, chosen)
    twins = Twins(edited)
    drops = find_drops(edited, twins, chosen)
    found: dict[str, Mapping[str, Any]] = {}
    for split in edited.splits:
        found[split.name] = _write_split(split, edited, drops, targets[split.name], changes)
    review = [_case(edited, places) for places in twins.conflicts]
    fixed = Fixed(folder, chosen, found, changes, review)
    write_records(folder / DIFF, (_entry(change, found) for change in changes))
    write_records(folder / REVIEW, review)
    write_text(folder / SUMMARY, summary(fixed))
    return fixed


def _chosen(only: Sequence[str] | None) -> list[str]:
    foreign = [name for name in only or () if name not in FIXES]
    if foreign:
        raise ConfigError(f"--fix-only: no such repair: {', '.join(foreign)}", hint=f"repairs are {', '.join(FIXES)}")
    return [name for name, safe in FIXES.items() if (name in only if only else safe)]


def check_folder(folder: Path, files: Mapping[str, Path]) -> dict[str, Path]:
    """Where the copy of each file goes.

    Raises:
        ConfigError: If the folder is a file, or holds one of the originals.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--fix {folder}: is a file", hint="name a folder")
    inside = [f"{path}: is to be repaired" for path in files.values() if path.resolve().is_relative_to(folder.resolve())]
    if inside:
        raise ConfigError(
            f"--fix {folder}: this folder holds the originals, which are never changed",
            hint="name another folder",
            problems=inside,
        )
    names = Counter(path.name for path in files.values())
    own = {DIFF, REVIEW, SUMMARY}
    return {
        name: folder / (path.name if names[path.name] == 1 and path.name not in own else f"{name}-{path.name}")
        for name, path in files.items()
    }


def _refuse_lossy(data: Dataset) -> None:
    problems = []
    for split in data.splits:
        if not split.rows and split.problems:
            problems += split.problems[:20]
        else:
            problems += [problem for problem in split.problems if "the row that begins here" in problem]
    if problems:
        raise DataError(
            "a copy would lose rows that cannot be read",
            hint="mend these places by hand, then repair the rest",
            problems=problems,
        )


def edit_texts(data: Dataset, chosen: Sequence[str]) -> tuple[Dataset, list[Change]]:
    """The rows with mended texts, and what was mended."""
    steps: dict[str, Callable[[str], str]] = {"mojibake": mend} if "mojibake" in chosen else {}
    steps |= {name: build_chain([name]) for name in chosen if name in ("invisible", "mask", "simplified")}
    changes: list[Change] = []
    splits = []
    for split in data.splits:
        rows = list(split.rows)
        for name, step in steps.items():
            for at, row in enumerate(rows):
                after = step(row.text)
                if after != row.text:
                    changes.append(Change(split.name, split.numbers[at], name, row.text, after))
                    rows[at] = replace(row, text=after)
        splits.append(replace(split, rows=rows))
    return replace(data, splits=splits), changes


def find_drops(data: Dataset, twins: Twins, chosen: Sequence[str]) -> dict[int, tuple[str, str]]:
    """Positions of rows to leave out: what for, and because of what. Rows whose labels are in conflict stay."""
    drops: dict[int, tuple[str, str]] = {}
    if "empty" in chosen:
        drops.update({at: ("empty", "") for at, text in enumerate(data.texts) if not text})
    disputed = {at for places in twins.conflicts for at in places}
    for places in twins.repeated:
        if places[0] in disputed or twins.recurs(places[0]):
            continue
        if "duplicates" in chosen:
            _drop_duplicates(data, places, drops)
        if "leaks" in chosen:
            for at in places:
                later = _held_out_after(data, at, places)
                if later is not None:
                    drops[at] = ("leaks", data.places[later])
    if "near-leaks" in chosen:
        for one, other, _ in row_pairs(data, twins):
            first, last = min(one, other), max(one, other)
            if data.owners[last] in HELD_OUT and data.owners[first] != data.owners[last] and first not in disputed:
                for at in twins.alike(first):
                    if data.owners[at] == data.owners[first]:
                        drops.setdefault(at, ("near-leaks", data.places[last]))
    return drops


def _drop_duplicates(data: Dataset, places: Sequence[int], drops: dict[int, tuple[str, str]]) -> None:
    """Later copies with the same labels; those of the test file stay."""
    kept: dict[Any, int] = {}
    for at in places:
        row, owner = data.rows[at], data.owners[at]
        truth = (owner, None if row.labels is None else frozenset(row.labels), frozenset(row.unknown))
        home = kept.setdefault(truth, at)
        if home != at and owner != "test":
            drops[at] = ("duplicates", data.places[home])


def _held_out_after(data: Dataset, at: int, places: Sequence[int]) -> int | None:
    """The first row with the same text in a later split that is held out."""
    later = (other for other in places if other > at and data.owners[other] != data.owners[at])
    return next((other for other in later if data.owners[other] in HELD_OUT), None)


def _write_split(
    split: Split, data: Dataset, drops: Mapping[int, tuple[str, str]], target: Path, changes: list[Change]
) -> dict[str, Any]:
    start = data.owners.index(split.name) if split.rows else 0
    texts = {number: row.text for number, row in zip(split.numbers, split.rows, strict=True)}
    gone = {number: drops[start + at] for at, number in enumerate(split.numbers) if start + at in drops}
    edited = {change.row for change in changes if change.split == split.name}
    changes += [Change(split.name, number, what, texts[number], None, why) for number, (what, why) in gone.items()]
    with readable(split.path) as (copy, _):
        records = dict(records_of(copy, str(split.path), []))
        changes += _lost(split, copy, records)
    for number in edited:
        if number in records:
            records[number][split.text_column] = texts[number]
    kept = [record for number, record in records.items() if number not in gone]
    write_copy(target, split.path, kept, list(next(iter(records.values()), {})))
    return {"from": str(split.path), "to": str(target), "before": len(records), "after": len(kept)}


def _lost(split: Split, copy: Path, records: Mapping[int, Any]) -> list[Change]:
    """What the copy cannot hold, or not as it was: unreadable lines with their text, unsound rows, damaged bytes."""
    numbers = [place_of(problem) for problem in split.problems]
    lines: list[str] = []
    if split.problems and copy.suffix.lower() in (".jsonl", ".ndjson", ".csv", ".tsv"):
        lines = decode(copy.read_bytes(), str(split.path)).split("\n")
    edges = sorted({*records, *(number for number in numbers if number is not None), len(lines) + 1})
    found = []
    for number, problem in zip(numbers, split.problems, strict=True):
        end = next((edge for edge in edges if number is not None and edge > number), 0)
        raw = "\n".join(lines[number - 1 : end - 1]) if number is not None else ""
        what = "unsound" if number in records else "unreadable"
        found.append(Change(split.name, number, what, raw, raw if what == "unsound" else None, problem))
    return found + [Change(split.name, place_of(problem), "damaged", "", None, problem) for problem in split.damaged]


def _case(data: Dataset, places: Sequence[int]) -> dict[str, Any]:
    rows = [data.rows[at] for at in places]
    return {
        "text": rows[0].text,
        "context": rows[0].context,
        "rows": [
            {"at": data.places[at], "id": row.id, "labels": row.labels and list(row.labels), "unknown": list(row.unknown)}
            for at, row in zip(places, rows, strict=True)
        ],
    }


def _entry(change: Change, files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "file": files[change.split]["from"],
        "row": change.row,
        "what": change.what,
        "before": change.before,
        "after": change.after,
        "because": change.because,
    }


def summary(fixed: Fixed) -> str:
    """What was done, in Markdown."""
    counts = fixed.counts()
    lines = ["# duobiao check --fix", "", f"repairs: {', '.join(fixed.fixes)}", ""]
    lines += ["| file | copy | rows before | rows after | " + " | ".join(_columns(fixed)) + " |"]
    lines += ["|" + "---|" * (4 + len(_columns(fixed)))]
    for name, file in fixed.files.items():
        cells = [file["from"], file["to"], f"{file['before']:,}", f"{file['after']:,}"]
        cells += [f"{counts.get((name, what), 0):,}" for what in _columns(fixed)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", f"{DIFF}: every change. {REVIEW}: {len(fixed.review)} texts whose labels contradict each other; decide them."]
    if any(change.what == "unreadable" for change in fixed.changes):
        lines.append("Lines marked unreadable stand in no copy; their text is in the diff.")
    if any(change.what == "unsound" for change in fixed.changes):
        lines.append("Rows marked unsound are in the copy as they were; the diff says what is wrong with them.")
    if any(change.what == "damaged" for change in fixed.changes):
        lines.append("Bytes of damaged lines that could not be read are U+FFFD in the copy; the diff names the lines.")
    if any(str(file["to"]).lower().endswith(".xlsx") for file in fixed.files.values()):
        lines.append("Excel copies hold the values of the first sheet, without formats and formulas.")
    return "\n".join(lines) + "\n"


def _columns(fixed: Fixed) -> list[str]:
    seen = {change.what for change in fixed.changes}
    return [*fixed.fixes, *(what for what in ("damaged", "unsound", "unreadable") if what in seen)]
