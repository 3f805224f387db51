"""The label space: which labels exist, which exclude each other, and of which rows they are asked.

Every other part (loss, distillation, metrics, thresholds, decoding, answers) takes its rules from here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import yaml

from duobiao.errors import LabelSpaceError
from duobiao.strict_yaml import read_mapping

UNKNOWN = -1
"""Cell value: nobody knows whether the label is true of the row."""
UNASKED = -2
"""Cell value: the label's group is not asked of rows with this context."""

_UNFIT = re.compile("^\\s|\\s$|[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no cell of a table and no YAML file keeps as it is."""

_REMEMBERED = 1024
"""Nodes whose questions are remembered; texts may stand where nodes should."""

Targets = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Group:
    """Labels of which exactly one (or, with ``at_most_one``, one or none) is true.

    Attributes:
        name: The group's name; answers nothing itself.
        labels: Its labels, in order.
        at_most_one: Whether "none of them" is a possible answer.
        contexts: The contexts of which the group is asked; None means all rows.
    """

    name: str
    labels: tuple[str, ...]
    at_most_one: bool = False
    contexts: tuple[str, ...] | None = None

    def is_asked(self, context: str | None) -> bool:
        """Whether rows with this context are asked: its node is one of ``contexts``."""
        return self.contexts is None or (context is not None and node_of(context) in self.contexts)


def node_of(context: str | None) -> str:
    """The dialogue node of a context: its first line; earlier turns of the dialogue may follow. Empty without a context."""
    return context.split("\n", 1)[0] if context else ""


@dataclass(frozen=True)
class LabelSpace:
    """Ordered labels: the independent ones first, then each group's, in file order.

    Attributes:
        independent: Labels of which any number may be true.
        groups: Exclusive groups.
    """

    independent: tuple[str, ...]
    groups: tuple[Group, ...] = ()

    def __post_init__(self) -> None:
        problems = _contradictions(self.independent, self.groups)
        if problems:
            raise LabelSpaceError(
                "the label space contradicts itself",
                hint="correct the YAML file of the label space (or the labels of the rows, where it is inferred from them)",
                problems=problems,
            )

    # ---- making and storing -------------------------------------------------------------------

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str = "label space") -> LabelSpace:
        """Builds a space from the parsed YAML form.

        Raises:
            LabelSpaceError: With all problems found.
        """
        return cls(*_parse(data, source))

    @classmethod
    def from_yaml(cls, path: str | Path) -> LabelSpace:
        """Reads a label space file.

        Raises:
            LabelSpaceError: If the file is missing, no YAML, or contradicts itself.
        """
        return cls.from_dict(read_mapping(path, "a label space file", LabelSpaceError, "labels: [...]"), str(path))

    @classmethod
    def infer(cls, label_lists: Iterable[Sequence[str]]) -> LabelSpace:
        """All labels seen, as independent labels, most frequent first, then by name."""
        counts: dict[str, int] = {}
        for labels in label_lists:
            for label in labels:
                counts[label] = counts.get(label, 0) + 1
        return cls(tuple(sorted(counts, key=lambda label: (-counts[label], label))))

    def to_dict(self) -> dict[str, Any]:
        groups: dict[str, Any] = {}
        for group in self.groups:
            entry: dict[str, Any] = {"labels": list(group.labels)}
            if group.at_most_one:
                entry["at_most_one"] = True
            if group.contexts is not None:
                entry["contexts"] = list(group.contexts)
            groups[group.name] = entry
        data: dict[str, Any] = {"labels": list(self.independent)}
        if groups:
            data["groups"] = groups
        return data

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.to_dict(), allow_unicode=True, sort_keys=False, width=120)

    # ---- structure ----------------------------------------------------------------------------

    @cached_property
    def names(self) -> tuple[str, ...]:
        return self.independent + tuple(label for group in self.groups for label in group.labels)

    @cached_property
    def index(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.names)}

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """The columns of each group, in the order of ``groups``."""
        edges = [len(self.independent)]
        for group in self.groups:
            edges.append(edges[-1] + len(group.labels))
        return tuple(slice(*edge) for edge in itertools.pairwise(edges))

    @cached_property
    def starts(self) -> npt.NDArray[np.intp]:
        """The first column of each group, counted from the first group's."""
        return np.array([columns.start - len(self.independent) for columns in self.slices], dtype=np.intp)

    @cached_property
    def owners(self) -> npt.NDArray[np.intp]:
        """The group of each column that is no independent label's."""
        return np.repeat(np.arange(len(self.groups)), [len(group.labels) for group in self.groups])

    @cached_property
    def at_most_one(self) -> Mask:
        """Which groups have "none of them" as a possible answer."""
        return np.array([group.at_most_one for group in self.groups], dtype=np.bool_)

    @cached_property
    def _patterns(self) -> dict[tuple[str | None, str], Mask]:
        return {}

    @property
    def decisions(self) -> int:
        """How many separate questions the space asks: independent labels plus groups."""
        return len(self.independent) + len(self.groups)

    def __len__(self) -> int:
        return len(self.names)

    # ---- rows to cells ------------------------------------------------------------------------

    def asked(self, contexts: Sequence[str | None], missing: Literal["skip", "all"] = "skip") -> Mask:
        """Which cells are asked.

        Args:
            contexts: One context (or None) a row.
            missing: What a row without a context is asked: ``skip`` leaves out groups that are bound to contexts,
                ``all`` asks every group (one encoding serves every node).

        Returns:
            Booleans of shape ``(rows, labels)``.
        """
        if not contexts or all(group.contexts is None for group in self.groups):
            return np.ones((len(contexts), len(self)), dtype=np.bool_)
        return np.array([self._pattern(None if context is None else node_of(context), missing) for context in contexts])

    def _pattern(self, node: str | None, missing: str) -> Mask:
        """What rows of a node are asked; remembered, for as many nodes as a flow has."""
        found = self._patterns.get((node, missing))
        if found is None:
            found = np.ones(len(self), dtype=np.bool_)
            for group, columns in zip(self.groups, self.slices, strict=True):
                found[columns] = group.is_asked(node) or (node is None and missing == "all")
            if len(self._patterns) >= _REMEMBERED:
                self._patterns.clear()
            self._patterns[node, missing] = found
        return found

    def encode(self, labels: Sequence[str], unknown: Sequence[str] = (), context: str | None = None) -> Targets:
        """One row's cells: 1, 0, UNKNOWN or UNASKED; shape ``(labels,)``.

        Raises:
            ValueError: With every problem of the row, one a line.
        """
        problems = self.problems(labels, unknown, context)
        if problems:
            raise ValueError("\n".join(problems))
        cells = np.zeros(len(self), dtype=np.int8)
        cells[[self.index[label] for label in labels]] = 1
        hidden = set(unknown)
        for position, label in enumerate(self.independent):
            if label in hidden:
                cells[position] = UNKNOWN
        for group, columns in zip(self.groups, self.slices, strict=True):
            if not group.is_asked(context):
                cells[columns] = UNASKED
            elif not cells[columns].any() and (
                not group.at_most_one or group.name in hidden or hidden.intersection(group.labels)
            ):
                cells[columns] = UNKNOWN
        return cells

    def problems(self, labels: Sequence[str], unknown: Sequence[str] = (), context: str | None = None) -> list[str]:
        """What contradicts the space in one row; empty when nothing does."""
        found = [f"label {label!r} is not in the label space" for label in labels if label not in self.index]
        given = set(labels)
        group_names = {group.name for group in self.groups}
        for name in unknown:
            if name not in self.index and name not in group_names:
                found.append(f"unknown: {name!r} is neither a label nor a group of the label space")
            elif name in given:
                found.append(f"label {name!r} is both given and unknown")
        for group in self.groups:
            chosen = [label for label in group.labels if label in given]
            if len(chosen) > 1:
                found.append(f"group {group.name!r} is exclusive, but the row has {', '.join(chosen)}")
            if chosen and group.name in unknown:
                found.append(f"group {group.name!r} is unknown, but the row has {chosen[0]}")
            if chosen and not group.is_asked(context):
                found.append(f"group {group.name!r} is not asked of context {context!r}, but the row has {chosen[0]}")
        return found

    def matches(self, other: LabelSpace) -> bool:
        """Whether ``other`` asks the same of every row; labels, groups and nodes may stand in another order."""
        return self._unordered == other._unordered

    @cached_property
    def _unordered(self) -> tuple[frozenset[str], frozenset[tuple[Any, ...]]]:
        def asked(group: Group) -> frozenset[str] | None:
            return None if group.contexts is None else frozenset(group.contexts)

        groups = frozenset((one.name, frozenset(one.labels), one.at_most_one, asked(one)) for one in self.groups)
        return frozenset(self.independent), groups

    def columns_of(self, other: LabelSpace) -> npt.NDArray[np.intp]:
        """Where the labels of ``other``, all of which this space has, stand in this one."""
        return np.array([self.index[name] for name in other.names], dtype=np.intp)


def _parse(data: Mapping[str, Any], source: str) -> tuple[tuple[str, ...], tuple[Group, ...]]:
    problems = [f"{source}: unknown key {key!r} (known: labels, groups)" for key in data if key not in {"labels", "groups"}]

    def strings(value: Any, where: str) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(v, (str, int, float)) and not isinstance(v, bool) for v in value):
            problems.append(f"{source}: {where} must be a list of names (write yes/no/on/off in quotes)")
            return ()
        return tuple(str(v) for v in value)

    independent = strings(data.get("labels"), "labels")
    groups = []
    entries = data.get("groups") or {}
    if not isinstance(entries, dict):
        problems.append(f"{source}: groups must be a mapping of name -> {{labels: [...]}}")
        entries = {}
    for name, entry in entries.items():
        where = f"group {name!r}"
        if not isinstance(entry, dict) or "labels" not in entry:
            problems.append(f"{source}: {where} needs a list 'labels'")
            continue
        for key in entry:
            if key not in {"labels", "at_most_one", "contexts"}:
                problems.append(f"{source}: {where}: unknown key {key!r} (known: labels, at_most_one, contexts)")
        at_most_one = entry.get("at_most_one", False)
        if not isinstance(at_most_one, bool):
            problems.append(f"{source}: {where}: at_most_one must be true or false")
        contexts = strings(entry["contexts"], f"{where}: contexts") if "contexts" in entry else None
        groups.append(Group(str(name), strings(entry["labels"], f"{where}: labels"), at_most_one is True, contexts))
    if problems:
        raise LabelSpaceError("the label space cannot be read", hint="correct the file", problems=problems)
    return independent, tuple(groups)


def name_problem(name: str) -> str:
    """What keeps a name from being a label's; empty if nothing does."""
    if not name.strip():
        return "an empty label name"
    return f"label {name!r} has white space around it or a control character in it" if _UNFIT.search(name) else ""


def _contradictions(independent: tuple[str, ...], groups: tuple[Group, ...]) -> list[str]:
    problems = [] if independent or groups else ["it has neither labels nor groups"]
    owner: dict[str, str] = {}
    for place, labels in [("labels", independent), *((f"group {g.name!r}", g.labels) for g in groups)]:
        for label in labels:
            unfit = name_problem(label)
            if unfit:
                problems.append(f"{place}: {unfit}")
            elif label in owner:
                problems.append(f"label {label!r} stands in {owner[label]} and in {place}")
            else:
                owner[label] = place
    names = set[str]()
    for group in groups:
        if group.name in names:
            problems.append(f"group {group.name!r} stands there twice")
        names.add(group.name)
        if not group.name or _UNFIT.search(group.name):
            problems.append(f"group {group.name!r}: the name is empty, or has white space around it or a control character")
        if group.name in owner and owner[group.name] != f"group {group.name!r}":
            problems.append(f"{group.name!r} names both a group and a label of {owner[group.name]}")
        elif group.name in owner and len(group.labels) > 1:
            problems.append(f"{group.name!r} names both a group and one of its labels")
        if len(group.labels) < (1 if group.at_most_one else 2):
            problems.append(f"group {group.name!r} needs {'a label' if group.at_most_one else 'two labels or more'}")
        if group.contexts is not None and not group.contexts:
            problems.append(f"group {group.name!r}: contexts is empty, so it would never be asked (leave the key out)")
    return problems
