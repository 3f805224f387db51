"""A regression gate for releases: what a new model decides otherwise than the old one, and what fell beyond noise."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from duobiao import progress
from duobiao.bundle import read_manifest
from duobiao.classifier import Classifier
from duobiao.data.read import read_rows
from duobiao.data.rows import Row, check_texts, model_inputs, targets
from duobiao.data.write import write_text
from duobiao.data.write_rows import check_jsonl, write_records
from duobiao.errors import ConfigError
from duobiao.evaluate.bootstrap import Counts, counts, f1, paired_bootstrap, units_of
from duobiao.evaluate.diff_flips import Sides, flip_records, flip_totals
from duobiao.evaluate.diff_wording import Reason, render
from duobiao.evaluate.intervals import LEAST_UNITS
from duobiao.evaluate.metrics import ratio, score
from duobiao.evaluate.swap import Fall, Family, judge, macro_fall, ratio_fall, ratio_interval, smallest_fall
from duobiao.evaluate.wording import Language
from duobiao.labels import UNASKED, UNKNOWN, LabelSpace
from duobiao.outputs import check_outputs

LEVEL = 0.05
"""The chance of failing a new model that differs from the old one by chance alone."""


@dataclass(frozen=True)
class Limits:
    """What lets a new model fail.

    Attributes:
        drop: Points of micro-F1 and macro-F1 that may be lost; a fall fails if it is beyond noise and larger than this.
        label_drop: The same for the F1 of each label and the accuracy of each group.
        removed: Whether labels may be missing in the new model.
        flips: Share of rows that may be decided otherwise; None: any.
    """

    drop: float = 0.0
    label_drop: float = 0.0
    removed: bool = False
    flips: float | None = None

    def __post_init__(self) -> None:
        problems = [f"{value:g} points are no allowance" for value in (self.drop, self.label_drop) if not value >= 0]
        hints = ["points of F1 are 0 or more (0.5 is half a point)"] if problems else []
        if self.flips is not None and not 0 <= self.flips <= 1:
            problems.append(f"{self.flips:g} is no share of rows")
            hints.append("--max-flips is a share from 0 to 1 (0.02 is 2 %)")
        if problems:
            raise ConfigError("the limits of the gate make no sense", hint="; ".join(hints), problems=problems)


@dataclass(frozen=True)
class Diff:
    """Two models on the same rows.

    Attributes:
        found: What ``diff.json`` holds; ``found["passed"]`` is the verdict, ``found["reasons"]`` says why not.
        flips: Rows that are decided otherwise, the worst first.
    """

    found: dict[str, Any]
    flips: list[dict[str, Any]]

    @property
    def passed(self) -> bool:
        """Whether the new model may be released."""
        return bool(self.found["passed"])


def diff(old: Classifier, new: Classifier, rows: Sequence[Row], limits: Limits | None = None) -> Diff:
    """Compares two models, label by label, on the labels that both have.

    Overall quality (micro-F1, macro-F1) and the single labels and groups share ``LEVEL`` in halves; within each half Holm's
    procedure keeps its promise, so a new model that differs by chance alone fails in at most 5 % of comparisons, however many
    labels there are. See ``swap`` for the tests. Intervals are 95 % each, of a paired bootstrap over units (rows, or all rows
    of a ``group_id``).

    Args:
        old: The model in use.
        new: The one to be released.
        rows: Labelled rows that neither was made with; of unlabelled rows only flips are told.
        limits: What may be lost.

    Raises:
        DataError: If a row has no text, or labels that neither model knows.
        LabelSpaceError: If one model's label is the other's group.
    """
    limits = limits or Limits()
    check_texts(rows, "the comparison")
    sides = _sides(old, new, rows)
    removed = _removed(old, new, sides)
    found: dict[str, Any] = {
        "old": _named(old),
        "new": _named(new),
        "rows": len(rows),
        "labelled": sum(row.labels is not None for row in rows),
        "units": int(sides.units.max()) + 1,
        "limits": asdict(limits),
        "new_labels": _new_labels(old, new, sides),
        "removed": removed,
        "flips": flip_totals(sides),
        "quality": quality(sides, new.space) if (sides.cells >= 0).any() else None,
    }
    reasons = _reasons(found, limits)
    found |= {"passed": not reasons, "reasons": reasons}
    return Diff(found, flip_records(sides))


def diff_files(
    old: Path,
    new: Path,
    data: Path,
    *,
    limits: Limits | None = None,
    at: str | None = None,
    flips: Path | None = None,
    markdown: Path | None = None,
    json_out: Path | None = None,
    language: Language = "zh",
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> Diff:
    """``diff`` from files, as the command takes them; places that cannot be written are told before any work.

    Raises:
        DuobiaoError: As ``diff``, ``read_rows`` and ``Classifier.load`` do.
    """
    if flips is not None:
        check_jsonl(flips)
    check_outputs([("--flips", flips), ("--md", markdown), ("--json", json_out)], [data, old, new])
    for path in (old, new):
        read_manifest(path)
    systems = Classifier.load(old, at), Classifier.load(new, at)
    space = joint_space(systems[0].space, systems[1].space)
    rows = read_rows(data, space=space, columns=columns, separator=separator)
    result = diff(*systems, rows, limits)
    if flips is not None:
        write_records(flips, result.flips)
    if markdown is not None:
        write_text(markdown, render(result.found, language))
    if json_out is not None:
        write_text(json_out, json.dumps(result.found, ensure_ascii=False, indent=1) + "\n")
    return result


def joint_space(old: LabelSpace, new: LabelSpace) -> LabelSpace:
    """The new label space, and as independent labels those that only the old one has.

    Raises:
        LabelSpaceError: If a label of the old space is a group of the new one.
    """
    return LabelSpace(new.independent + tuple(name for name in old.names if name not in new.index), new.groups)


def _sides(old: Classifier, new: Classifier, rows: Sequence[Row]) -> Sides:
    """Truth and both answers, on common labels in the order of the new model."""
    space = joint_space(old.space, new.space)
    named = [number for number, row in enumerate(rows) if row.labels is not None]
    truth = np.full((len(rows), len(space)), UNKNOWN, dtype=np.int8)
    truth[named] = targets([rows[number] for number in named], space)
    names = tuple(name for name in new.space.names if name in old.space.index)
    proba, decided, asked = [], [], np.ones((len(rows), len(names)), dtype=np.bool_)
    for system in (old, new):
        values, chosen = system.decide(**model_inputs(rows, system.columns), label=f"score {system.name}")
        columns = [system.space.index[name] for name in names]
        proba.append(values[:, columns])
        decided.append(chosen[:, columns])
        asked &= ~np.isnan(proba[-1])
    cells = truth[:, [space.index[name] for name in names]]
    cells[~asked] = UNASKED
    pairs = (proba[0], proba[1]), (decided[0], decided[1])
    return Sides(rows, units_of(rows), names, cells, *pairs, chosen, truth, space)


def _named(system: Classifier) -> dict[str, Any]:
    bundle = system.bundle
    return {
        "name": bundle.name,
        "kind": bundle.kind,
        "digest": bundle.digest,
        "point": system.point,
        "labels": len(system.space),
    }


# ---- quality ----------------------------------------------------------------------------------------


def quality(sides: Sides, space: LabelSpace) -> dict[str, Any]:
    """Scores, differences and tests.

    Args:
        sides: Truth and both answers.
        space: The new model's label space, for its groups.

    Returns:
        ``overall`` by metric, ``labels`` and ``groups``; each line with ``old, new, difference, low, high, p, adjusted_p`` and
        ``fell``, whether it is a fall beyond noise; ``low`` and ``high`` are None with fewer than 10 labelled units.
    """
    old, new = (counts(sides.cells, one, sides.units) for one in sides.decided)
    gains = paired_bootstrap([new], [old])
    pooled = [one[:2].sum(axis=2).astype(np.int64) for one in (old, new)]
    falls = [Fall(ratio_fall(*pooled).p, 0.0), Fall(macro_fall(old, new), 0.0)]
    family = judge(falls, LEVEL / 2)
    scores = [f1(one.sum(axis=1)) for one in (old, new)]
    overall = {
        name: {
            "old": float(scores[0][name]),
            "new": float(scores[1][name]),
            "difference": gain.gain,
            "low": gain.low,
            "high": gain.high,
            **_judged(falls, family, place),
        }
        for place, (name, gain) in enumerate(gains.items())
    }
    labels, groups = _single(sides, old, new, space)
    if len(np.unique(sides.units[(sides.cells >= 0).any(axis=1)])) < LEAST_UNITS:
        for line in (*overall.values(), *labels, *groups):
            line |= {"low": None, "high": None}
    return {"overall": overall, "labels": labels, "groups": groups}


def _single(sides: Sides, old: Counts, new: Counts, space: LabelSpace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A line a label with known cells, and one a group of the new model, judged by the labels that both have."""
    scored = [place for place in range(len(sides.names)) if (sides.cells[:, place] >= 0).any()]
    columns = [tuple(one[:2, :, place].astype(np.int64) for one in (old, new)) for place in scored]
    groups = [(group.name, right) for group in space.groups if (right := sides.group_answers(group.labels)) is not None]
    pairs = [*columns, *(right for _, right in groups)]
    falls, lines = [], []
    with progress.task("compare labels", len(pairs)) as task:
        for pair in pairs:
            falls.append(ratio_fall(*pair))
            lines.append(_line(*pair))
            task.advance()
    family = judge(falls, LEVEL / 2)
    lines = [line | _judged(falls, family, place) for place, line in enumerate(lines)]
    for line, place, pair in zip(lines, scored, columns, strict=False):
        hits, marks = pair[0].sum(axis=1).tolist()
        line |= {"label": sides.names[place], "positives": int((sides.cells[:, place] == 1).sum())}
        line |= sides.moved(place) | {"smallest_fall": smallest_fall(hits, marks, family.level)}
    for line, (name, right) in zip(lines[len(columns) :], groups, strict=True):
        line |= {"group": name, "rows": int(right[0][1].sum()) // 2}
    return lines[: len(columns)], lines[len(columns) :]


def _line(old: Any, new: Any) -> dict[str, Any]:
    values = [float(ratio(2 * one[0].sum(), one[1].sum())) for one in (old, new)]
    low, high = ratio_interval(old, new)
    return {
        "old": values[0],
        "new": values[1],
        "difference": values[1] - values[0],
        "low": low,
        "high": high,
    }


def _judged(falls: Sequence[Fall], family: Family, place: int) -> dict[str, Any]:
    return {"p": falls[place].p, "adjusted_p": float(family.adjusted[place]), "fell": bool(family.fell[place])}


# ---- labels that only one model has -----------------------------------------------------------------


def _new_labels(old: Classifier, new: Classifier, sides: Sides) -> list[dict[str, Any]]:
    truth = sides.truth[:, [sides.space.index[name] for name in new.space.names]]
    return [
        {"label": name, "positives": one["support"], **{key: one[key] for key in ("f1", "precision", "recall")}}
        for name, one in score(truth, sides.given, new.space)["per_label"].items()
        if name not in old.space.index
    ]


def _removed(old: Classifier, new: Classifier, sides: Sides) -> list[dict[str, Any]]:
    return [
        {"label": name, "positives": int((sides.joint(name) == 1).sum())}
        for name in old.space.names
        if name not in new.space.index
    ]


# ---- the verdict ------------------------------------------------------------------------------------


def _reasons(found: Mapping[str, Any], limits: Limits) -> list[Reason]:
    reasons: list[Reason] = []
    scored = found["quality"] or {"overall": {}, "labels": [], "groups": []}
    for name, line in scored["overall"].items():
        if line["fell"] and -100 * line["difference"] > limits.drop:
            reasons.append({"what": "overall", "name": name, **_told(line)})
    for kind in ("label", "group"):
        reasons += [
            {"what": kind, "name": line[kind], **_told(line)}
            for line in sorted(scored[f"{kind}s"], key=lambda one: float(one["difference"]))
            if line["fell"] and -100 * line["difference"] > limits.label_drop
        ]
    if not limits.removed:
        reasons += [{"what": "removed", "name": one["label"]} for one in found["removed"]]
    if limits.flips is not None and found["flips"]["share"] > limits.flips:
        reasons.append({"what": "flips", "name": "", "share": found["flips"]["share"], "limit": limits.flips})
    return reasons


def _told(line: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: line[name] for name in ("old", "new", "difference", "low", "high", "adjusted_p")}
