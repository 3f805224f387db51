"""What is wrong with labels: foreign, contradictory, too few, always or never together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from duobiao.doctor.dataset import Dataset
from duobiao.doctor.findings import EXAMPLES, Example, Finding, Severity, row_finding
from duobiao.labels import LabelSpace

FEW = 10
"""With fewer positives, a label is hardly learned, and its score says little."""
_EXPECTED = 10.0
_COMPARED = 5000  # labels, the most frequent ones, that are compared pair by pair
_LISTED = 20


def check_truth(data: Dataset) -> list[Finding]:
    """All findings about labels."""
    rows = data.rows
    bare = [at for at, row in enumerate(rows) if row.labels is None]
    if len(bare) == len(rows):
        return row_finding(data, "unlabelled", "error", bare)
    none_true = [at for at, row in enumerate(rows) if row.labels == ()]
    return [
        *row_finding(data, "unlabelled", "error", bare),
        *row_finding(data, "none_true", "note", none_true),
        *(_contradictions(data, data.space) if data.space else []),
        *_positives(data),
        *_together(data),
    ]


def _contradictions(data: Dataset, space: LabelSpace) -> list[Finding]:
    """Rows that do not fit the label space, by what is wrong with them."""
    found: dict[str, dict[int, str]] = {"foreign_labels": {}, "exclusive": {}, "not_asked": {}, "unknown_names": {}}
    names = Counter[str]()
    for at, row in enumerate(data.rows):
        if row.labels is None:
            continue
        given = set(row.labels)
        for problem in space.problems(row.labels, row.unknown, row.context):
            found["unknown_names"][at] = problem
        foreign = [label for label in row.labels if label not in space.index]
        if foreign:
            names.update(foreign)
            found["foreign_labels"][at] = ", ".join(foreign)
        for group in space.groups:
            chosen = [label for label in group.labels if label in given]
            if len(chosen) > 1:
                found["exclusive"][at] = f"{group.name}: {', '.join(chosen)}"
            if chosen and not group.is_asked(row.context):
                found["not_asked"][at] = f"{group.name}: {', '.join(chosen)} ← {row.context or '∅'}"
    for kind in ("foreign_labels", "exclusive", "not_asked"):
        for at in found[kind]:
            found["unknown_names"].pop(at, None)
    findings: list[Finding] = []
    for kind, where in found.items():
        values: dict[str, Any] = {"names": names.most_common(_LISTED)} if kind == "foreign_labels" else {}
        findings += row_finding(data, kind, "error", list(where), where.__getitem__, **values)
    return findings


def positives(data: Dataset) -> dict[str, Counter[str]]:
    """How often each label is true, for each split."""
    found = {split.name: Counter[str]() for split in data.splits}
    for owner, row in zip(data.owners, data.rows, strict=True):
        found[owner].update(row.labels or ())
    return found


def _positives(data: Dataset) -> list[Finding]:
    """Labels with too few positives, and labels that one split lacks."""
    space = data.labels
    if space is None:
        return []
    counts = positives(data)
    learned = next((name for name in ("train", "data") if name in counts), None)
    findings: list[Finding] = []
    if learned is not None:
        here = counts[learned]
        missing = [label for label in space.names if not here[label]]
        findings += _labels("no_positives", "error", space, missing, counts)
        findings += _labels("few_positives", "warning", space, [n for n in space.names if 0 < here[n] < FEW], counts, learned)
    for name in ("dev", "test"):
        if name in counts:
            scarce = [label for label in space.names if counts[name][label] < FEW and (not learned or counts[learned][label])]
            findings += _labels(f"few_in_{name}", "note", space, scarce, counts, name)
    return findings


def _labels(
    kind: str,
    severity: Severity,
    space: LabelSpace,
    labels: Sequence[str],
    counts: dict[str, Counter[str]],
    split: str = "",
) -> list[Finding]:
    if not labels:
        return []
    ranked = sorted(labels, key=lambda label: counts[split][label]) if split else labels
    examples = [
        Example(label, note=", ".join(f"{name} {count[label]}" for name, count in counts.items())) for label in ranked[:_LISTED]
    ]
    return [Finding(kind, severity, len(labels), len(space), "labels", values={"limit": FEW}, examples=examples)]


def _together(data: Dataset) -> list[Finding]:
    """Pairs of labels that always, or never, come together, and labels of which every row has exactly one."""
    labelled = [row.labels for row in data.rows if row.labels is not None]
    space = data.labels
    if space is None or not labelled:
        return []
    index = space.index
    cells = [(number, index[label]) for number, labels in enumerate(labelled) for label in labels if label in index]
    if not cells:
        return []
    single = _single(space, labelled)
    if single:
        return single
    lines, columns = np.array(cells).T
    frequent = np.argsort(-np.bincount(columns, minlength=len(space)), kind="stable")[:_COMPARED]
    kept = np.sort(frequent)
    matrix = scipy.sparse.csr_matrix((np.ones(len(cells), np.int64), (lines, columns)), shape=(len(labelled), len(space)))
    matrix = matrix[:, kept]
    shared = np.asarray((matrix.T @ matrix).todense())
    decisions = _decisions(space)[kept]
    apart = decisions[:, None] != decisions[None, :]
    names = [space.names[position] for position in kept]
    return [*_always(names, shared, apart), *_never(names, shared, apart, len(labelled))]


def _decisions(space: LabelSpace) -> npt.NDArray[np.int64]:
    """A number for each label, the same for labels of one group, which are known to exclude each other."""
    found = np.arange(len(space))
    for columns in space.slices:
        found[columns] = columns.start
    return found


def _single(space: LabelSpace, labelled: Sequence[Sequence[str]]) -> list[Finding]:
    independent = set(space.independent)
    if len(independent) < 2 or any(len(independent.intersection(labels)) != 1 for labels in labelled):
        return []
    values = {"labels": ", ".join(space.independent[:_LISTED]) + (", …" if len(independent) > _LISTED else "")}
    return [Finding("single_label", "warning", len(labelled), len(labelled), "rows", values=values)]


def _always(names: Sequence[str], shared: Any, apart: Any) -> list[Finding]:
    found = []
    counts = shared.diagonal()
    for one, other in np.argwhere(apart & (shared == counts[:, None]) & (counts[:, None] >= FEW)).tolist():
        if counts[one] == counts[other] and one > other:
            continue
        sign = "⇔" if counts[one] == counts[other] else "⇒"
        found.append((int(counts[one]), f"{names[one]} {sign} {names[other]}", f"{counts[one]} / {counts[other]}"))
    return _pairs("always_together", found, apart)


def _never(names: Sequence[str], shared: Any, apart: Any, rows: int) -> list[Finding]:
    """Pairs that chance alone would have brought together ten times or more, and that never are."""
    expected = np.outer(shared.diagonal(), shared.diagonal()) / rows
    found = [
        (round(expected[one, other]), f"{names[one]} × {names[other]}", f"0 / ≈{expected[one, other]:.0f}")
        for one, other in np.argwhere(np.triu(apart, 1) & (shared == 0) & (expected >= _EXPECTED)).tolist()
    ]
    return _pairs("never_together", found, apart)


def _pairs(kind: str, found: Iterable[tuple[int, str, str]], apart: Any) -> list[Finding]:
    ranked = sorted(found, reverse=True)
    if not ranked:
        return []
    examples = [Example(name, note=note) for _, name, note in ranked[: 2 * EXAMPLES]]
    return [Finding(kind, "note", len(ranked), int(apart.sum()) // 2, "pairs", examples=examples)]
