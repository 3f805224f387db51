"""The report's sections, as values that its template lays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duobiao.evaluate.budget import best_of
from duobiao.evaluate.plot import color
from duobiao.evaluate.reliability_picture import dots
from duobiao.evaluate.wording import points
from duobiao.labels import LabelSpace

System = Mapping[str, Any]
LEAST_SHOWN = 0.02
"""Of the reliability diagrams: cells with a lower probability are left out, else nearly all dots would lie there."""
MOST_CLASSES = 24
"""Of a confusion table."""


def differences(systems: Sequence[System]) -> dict[str, Any] | None:
    """What tells the other systems from the best, a line each; None where nothing was compared.

    Returns:
        ``best``, its name; ``test``, that of ``p``; and ``lines``: ``at`` (the system's place), ``name``, ``micro_f1`` and
        ``macro_f1`` (the system minus the best: points and interval, as text), ``only_it``, ``only_best``, ``p``.
    """
    best = best_of(systems)
    lines, test = [], ""
    for at, system in enumerate(systems):
        gap = system.get("against", {}).get(best["name"])
        if gap is None:
            continue
        flips, test = gap["flips"], gap["flips"]["test"]
        told = {
            key: points(one["gain"], one["low"], one["high"]) for key, one in (("micro_f1", gap), ("macro_f1", gap["macro_f1"]))
        }
        rows = {"only_it": flips["only_ours"], "only_best": flips["only_theirs"], "p": f"{flips['p']:.2g}"}
        lines.append({"at": at, "name": system["name"], **told, **rows})
    return {"best": best["name"], "test": test, "lines": lines} if lines else None


def label_bars(systems: Sequence[System], shown: Sequence[int], space: LabelSpace) -> list[dict[str, Any]]:
    """A line a label: F1 and interval of the shown systems; ``by_f1`` and ``by_support`` are its places in two orders.

    Labels without a true row come last in both, since nothing is known of them.
    """
    first = systems[shown[0]]["per_label"]
    owner = {label: group.name for group in space.groups for label in group.labels}
    by_f1 = _places(
        sorted(space.names, key=lambda name: (not first[name]["support"], first[name]["f1"], -first[name]["support"]))
    )
    by_support = _places(sorted(space.names, key=lambda name: -first[name]["support"]))
    return [
        {
            "name": name,
            "group": owner.get(name, ""),
            "support": first[name]["support"],
            "by_f1": by_f1[name],
            "by_support": by_support[name],
            "bars": [_bar(systems[at]["per_label"][name], color(at)) for at in shown],
        }
        for name in space.names
    ]


def _places(names: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


def _bar(label: Mapping[str, Any], paint: str) -> dict[str, Any]:
    low, high = label.get("interval") or (label["f1"], label["f1"])
    return {"f1": label["f1"], "low": low, "span": high - low, "color": paint}


def reliability_panel(bins: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Dots and line of a reliability diagram, in a square of 200."""
    found = [tuple(round(value, 1) for value in dot) for dot in dots(bins, 200)]
    return {"dots": found, "line": " ".join(f"{x},{y}" for x, y, _ in found)}


def confusion_tables(system: System) -> list[dict[str, Any]]:
    """For each group its classes that occur, and lines of (count, share of the line, whether it is right)."""
    found = []
    for name, group in system["groups"].items():
        matrix, labels = group.get("confusion", []), group.get("labels", [])
        sides = [(sum(line), sum(other[at] for other in matrix), line[at]) for at, line in enumerate(matrix)]
        errors = {at: truth + said - 2 * right for at, (truth, said, right) in enumerate(sides) if truth or said}
        kept = sorted(sorted(errors, key=lambda at: -errors[at])[:MOST_CLASSES])
        if not kept:
            continue
        lines = [
            {
                "label": _inside(labels[at], name),
                "cells": [(matrix[at][to], matrix[at][to] / max(sides[at][0], 1), at == to) for to in kept],
            }
            for at in kept
        ]
        cut = len(kept) < len(errors)
        heads = [_inside(labels[at], name) for at in kept]
        found.append({"name": name, "accuracy": group["accuracy"], "labels": heads, "lines": lines, "cut": cut})
    return found


def _inside(label: str, group: str) -> str:
    """A label without the name of its group in front, where it has one (``情感/正面``)."""
    rest = label.removeprefix(group)
    return rest[1:] if rest != label and len(rest) > 1 and rest[0] in "/-_:：·." else label


def heat_map(together: Mapping[str, Any]) -> dict[str, Any]:
    """Cells of the co-occurrence table: (count, share of the largest, whether true) off the diagonal, None on it."""
    labels, true, said = together["labels"], together["true"], together["decided"]
    size = range(len(labels))
    largest = max((table[a][b] for table in (true, said) for a in size for b in size if a != b), default=0) or 1
    lines = [
        {
            "label": labels[a],
            "cells": [
                None if a == b else ((true if a < b else said)[a][b], (true if a < b else said)[a][b] / largest, a < b)
                for b in size
            ],
        }
        for a in size
    ]
    return {"labels": labels, "lines": lines}


def shown_slices(system: System) -> dict[str, list[Any]]:
    """Tables of slices; of nodes, which have a table of their own, those that differ from the rest."""
    tables = {name: list(lines) for name, lines in system.get("slices", {}).items()}
    if "context" in tables:
        tables["context"] = [line for line in tables["context"] if line["differs"]]
    return {name: lines for name, lines in tables.items() if lines}
