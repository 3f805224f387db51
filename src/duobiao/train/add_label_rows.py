"""What a new label does to the label space, and what old and new rows then know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from duobiao.data.rows import Row, targets
from duobiao.data.stratify import strata_of, stratify
from duobiao.data.units import tied_units
from duobiao.errors import ConfigError, DataError, LabelSpaceError
from duobiao.labels import Group, LabelSpace, name_problem

HELD_OUT = 0.2
"""Share of the new rows that choose thresholds where the dev rows do not know a new label."""


@dataclass(frozen=True)
class NewLabels:
    """What is asked for.

    Attributes:
        names: The new labels.
        group: The exclusive group that they join; None: they are independent.
        split: The old label that they are parts of; None: they are news.
        remove: Whether that label goes; if not, it stays and every part implies it.
    """

    names: tuple[str, ...]
    group: str | None = None
    split: str | None = None
    remove: bool = False

    def space(self, old: LabelSpace) -> LabelSpace:
        """The label space with the new labels: last among the independent ones, or last in their group.

        Raises:
            ConfigError: With everything in the request that does not fit the old space.
        """
        problems = self._problems(old)
        if problems:
            raise _unfit(problems)
        gone = {self.split} if self.remove else set[str | None]()
        home = self.home(old)
        independent = tuple(name for name in old.independent if name not in gone) + (() if home else self.names)

        def grown(group: Group) -> Group:
            kept = tuple(name for name in group.labels if name not in gone)
            return replace(group, labels=kept + (self.names if group.name == home else ()))

        try:
            return LabelSpace(independent, tuple(map(grown, old.groups)))
        except LabelSpaceError as error:  # the old space is sound, so it is what was asked for
            raise _unfit(error.problems) from error

    def home(self, old: LabelSpace) -> str | None:
        """The group that the new labels belong to; None for independent ones."""
        if self.split is not None:
            return next((group.name for group in old.groups if self.split in group.labels), None)
        return self.group

    def _problems(self, old: LabelSpace) -> list[str]:
        found = [] if self.names else ["no new label is named (--name)"]
        found += [f"--name {name!r}: {said}" for name in dict.fromkeys(self.names) if (said := name_problem(name))]
        found += [f"{name!r} is given twice" for name in {one for one in self.names if self.names.count(one) > 1}]
        found += [f"{name!r} is in the label space already" for name in self.names if name in old.index]
        groups = [group.name for group in old.groups]
        if self.group is not None and self.group not in groups:
            found.append(f"--group {self.group!r}: there is no such group (there are: {', '.join(groups) or 'none'})")
        if self.split is None:
            return found + (["--remove-old goes with --from"] if self.remove else [])
        if self.split not in old.index:
            return [*found, f"--from {self.split!r}: the bundle has no such label"]
        home = self.home(old)
        if self.group not in (None, home):
            found.append(f"--group {self.group!r}: the parts of {self.split!r} stay where it is, {home or 'independent'}")
        if home and not self.remove:
            found.append(
                f"{self.split!r} is in the exclusive group {home!r}, where it cannot stay beside its parts: --remove-old"
            )
        return found


def _unfit(problems: Sequence[str]) -> ConfigError:
    return ConfigError("the new labels do not fit the label space", hint="correct the options", problems=problems)


@dataclass(frozen=True)
class Known:
    """How rows are read for a grown label space.

    Unless a file is complete, what it does not mention is unknown in it:

    | rows | old labels | new labels |
    |---|---|---|
    | replay, dev | as they stand | unknown; parts of a split label are false where that label is false |
    | new rows | true where named, else unknown | true where named, else false |

    An answer in a group settles the group, a new member included, unless it is the label being split; "none of them" in an
    ``at_most_one`` group does not, except for parts. With the split label kept, a part brings it along; where it goes, a row
    that names it and no part leaves the parts unknown.

    Attributes:
        asked: The new labels.
        old: The old label space.
        space: The grown one.
    """

    asked: NewLabels
    old: LabelSpace
    space: LabelSpace

    def replayed(self, rows: Iterable[Row], complete: bool = False) -> list[Row]:
        """Old rows (replay or dev); ``complete``: a new label that they do not name is false, not unknown."""
        return [self._checked(row, self._replayed(row, complete)) for row in rows]

    def fresh(self, rows: Iterable[Row], complete: bool = False) -> list[Row]:
        """New rows; ``complete``: an old label that they do not name is false, not unknown."""
        return [self._checked(row, self._fresh(row, complete)) for row in rows]

    def _replayed(self, row: Row, complete: bool) -> tuple[list[str], set[str]]:
        labels, hidden = list(row.labels or ()), set(row.unknown)
        asked, home = self.asked, self.asked.home(self.old)
        named = any(name in labels for name in asked.names)
        if named:
            return self._with_parent(labels), hidden
        split = asked.split is not None and (asked.split in labels or asked.split in hidden or home in hidden)
        labels = [name for name in labels if not (asked.remove and name == asked.split)]
        open_ = split or (asked.split is None and not complete)
        if home is None:
            return labels, hidden | (set(asked.names) if open_ else set())
        answered = any(name in labels for name in self._members(home))
        return labels, hidden | ({home} if open_ and not answered else set())

    def _fresh(self, row: Row, complete: bool) -> tuple[list[str], set[str]]:
        labels, hidden = self._with_parent(list(row.labels or ())), set(row.unknown)
        if self.asked.remove and self.asked.split in labels:  # no part stands beside it
            home = self.asked.home(self.old)
            labels = [name for name in labels if name != self.asked.split]
            hidden |= set(self.asked.names) if home is None else {home}
        if complete:
            return labels, hidden
        hidden |= {name for name in self.old.independent if name not in labels and name in self.space.index}
        hidden |= {group.name for group in self.space.groups if not any(name in labels for name in group.labels)}
        return labels, hidden

    def _with_parent(self, labels: list[str]) -> list[str]:
        split, part = self.asked.split, any(name in labels for name in self.asked.names)
        if split is None or not part:
            return labels
        rest = [name for name in labels if name != split]
        return rest if self.asked.remove else [*rest, split]

    def _members(self, group: str) -> tuple[str, ...]:
        return next(one.labels for one in self.space.groups if one.name == group)

    def _checked(self, row: Row, read: tuple[list[str], set[str]]) -> Row:
        """The row as it reads now; a split label that a part has brought along, or that is gone, is not unknown."""
        labels, hidden = read
        split = self.asked.split
        settled = {split} if self.asked.remove or split in labels else set[str | None]()
        return replace(row, labels=tuple(labels), unknown=tuple(sorted(hidden - settled)))


def reading_space(asked: NewLabels, old: LabelSpace) -> LabelSpace:
    """What a file may name: all labels, old and new, as independent ones where the exclusive form does not hold yet."""
    grown = asked.space(old)
    gone = tuple(name for name in old.names if name not in grown.index)
    return LabelSpace(grown.independent + gone, grown.groups)


def names_any(rows: Sequence[Row], names: Sequence[str]) -> bool:
    """Whether any row carries one of the labels."""
    return any(name in (row.labels or ()) for row in rows for name in names)


def held_out(rows: Sequence[Row], seed: int) -> tuple[list[Row], list[Row]]:
    """New rows to learn from, and a fifth of them for thresholds; equal texts and dialogues stay together.

    Raises:
        DataError: If there are too few.
    """
    units = tied_units(rows)
    if len(rows) < 5 or int(units.max()) < 4:
        raise DataError(
            f"{len(rows)} new rows are too few to hold some back for the threshold",
            hint="give more rows, or dev rows (--dev) that carry the new labels",
        )
    parts = stratify([strata_of(row) for row in rows], units, [1 - HELD_OUT, HELD_OUT], seed)
    split = [parts[unit] for unit in units]
    first, second = ([row for row, part in zip(rows, split, strict=True) if part == wanted] for wanted in (0, 1))
    return first, second


def check_known(rows: Sequence[Row], space: LabelSpace, names: Sequence[str]) -> None:
    """Refuses new labels that nothing can be learned of.

    Raises:
        DataError: Naming each without a row where it is true, or without one where it is known to be false.
    """
    cells = targets(rows, space)[:, [space.index[name] for name in names]]
    absent = [name for name, own in zip(names, cells.T, strict=True) if not (own == 1).any()]
    everywhere = [name for name, own in zip(names, cells.T, strict=True) if not (own == 0).any()]
    problems = [f"{name!r}: no row has it" for name in absent]
    problems += [f"{name!r}: no row is known to lack it, so it would be true of everything" for name in everywhere]
    hints = [f"put rows with {_quoted(absent)} into the new file, spelt as in --name"] if absent else []
    if everywhere:
        hints.append(
            f"put rows without {_quoted(everywhere)} into the new file too, or say --replay-complete if no old row has it"
        )
    if problems:
        raise DataError("the rows do not say enough of the new labels", hint="; ".join(hints), problems=problems)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def check_lacked(dev: Sequence[Row], space: LabelSpace, names: Sequence[str]) -> None:
    """Refuses dev rows that cannot tell how often the cut of a new independent label errs.

    Raises:
        DataError: Naming each that no dev row is known to lack.
    """
    cells = targets(dev, space)
    problems = [
        f"{name!r}: no dev row is known to lack it"
        for name in names
        if name in space.independent and not (cells[:, space.index[name]] == 0).any()
    ]
    if problems:
        raise DataError(
            "the dev rows place no threshold for the new labels",
            hint="add rows without the label to the dev rows; what the label is true of cannot show where it ends",
            problems=problems,
        )
