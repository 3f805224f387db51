"""What people choose in an annotation tool, as answers to the questions of a label space, and back into rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from duobiao.data.rows import Row
from duobiao.labels import Group, LabelSpace

Answer = bool | str | None
"""An independent label: true or false. A group: its label, or "" for none of them. None: nobody knows."""
Answers = dict[str, Answer]
"""Decision (an independent label, or a group's name) -> answer. A decision that is missing was not answered."""


@dataclass(frozen=True)
class Annotation:
    """What one person said about one row, in the words of the tool.

    Attributes:
        id: The row's id; None where the tool's file gives none.
        where: File and record, for messages.
        text: The text that the tool showed; None where its file does not tell.
        chosen: Everything chosen: labels, and markers such as "none of them".
        denied: Independent labels that were expressly refused.
        complete: Whether independent labels that were not chosen are false; None: yes, if any of them was chosen.
        annotator: Who; None where the tool does not tell.
        time: When, as the tool writes it.
        status: ``done``, ``skipped``, ``draft``, or ``open`` where nobody has answered yet.
    """

    id: str | None
    where: str
    text: str | None = None
    chosen: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    complete: bool | None = None
    annotator: str | None = None
    time: str | None = None
    status: str = "done"


@dataclass
class Understood:
    """An annotation as answers.

    Attributes:
        answers: What was answered, without contradictions.
        clashes: Decision -> what was chosen at once, though it excludes each other.
        foreign: Chosen names that the label space does not have.
        unasked: Chosen labels of groups that are not asked of the row's context.
    """

    answers: Answers = field(default_factory=dict)
    clashes: dict[str, list[str]] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)


class Vocabulary:
    """The names that an annotator can choose: the labels, and markers for "nothing", "none of them" and "not sure".

    Markers never equal a label or a group; they depend on the label space alone, so that an export and its import agree.
    """

    def __init__(self, space: LabelSpace) -> None:
        self.space = space
        self.taken = {*space.names, *(group.name for group in space.groups)}
        self.nothing = self.spare("以上都不成立")
        self.none_of = {group.name: self.spare(f"{group.name}：都不是") for group in space.groups if group.at_most_one}
        self.unsure = {name: self.spare(f"{name}：不确定") for name in (*space.independent, *(g.name for g in space.groups))}

    def spare(self, name: str) -> str:
        """``name``, with a prime for each label, group or marker that has it already; it is taken from then on."""
        while name in self.taken:
            name += "′"
        self.taken.add(name)
        return name

    @cached_property
    def meaning(self) -> dict[str, tuple[str, Answer]]:
        found: dict[str, tuple[str, Answer]] = {label: (label, True) for label in self.space.independent}
        for group in self.space.groups:
            found |= {label: (group.name, label) for label in group.labels}
        found |= {marker: (name, "") for name, marker in self.none_of.items()}
        return found | {marker: (name, None) for name, marker in self.unsure.items()}

    @property
    def of_labels(self) -> list[str]:
        """What can be chosen for the independent labels, without "not sure"."""
        return [*self.space.independent, self.nothing] if self.space.independent else []

    @property
    def unsure_labels(self) -> list[str]:
        return [self.unsure[label] for label in self.space.independent]

    def of_group(self, group: Group) -> list[str]:
        """What can be chosen for a group; two choices at least."""
        none_of = [self.none_of[group.name]] if group.at_most_one else []
        return [*group.labels, *none_of, self.unsure[group.name]]

    @property
    def everything(self) -> list[str]:
        groups = [name for group in self.space.groups for name in self.of_group(group)]
        return [*self.of_labels, *groups, *self.unsure_labels]

    def decisions(self, context: str | None) -> list[str]:
        """The questions that are asked of a row."""
        return [*self.space.independent, *(group.name for group in self.space.groups if group.is_asked(context))]

    # ---- rows ---------------------------------------------------------------------------------

    def answers(self, row: Row) -> Answers:
        """What is known about a row; empty for a row without labels."""
        if row.labels is None:
            return {}
        given, hidden = set(row.labels), set(row.unknown)
        found: Answers = {label: None if label in hidden else label in given for label in self.space.independent}
        for group in self.space.groups:
            if group.is_asked(row.context):
                chosen = [label for label in group.labels if label in given]
                none = group.at_most_one and not hidden.intersection((group.name, *group.labels))
                found[group.name] = chosen[0] if chosen else "" if none else None
        return found

    def chosen(self, row: Row) -> list[str]:
        """What would have to be chosen so that the row's labels come out; empty for a row without labels."""
        answers = self.answers(row)
        if not answers:
            return []
        found = [name for name, answer in answers.items() if answer is True]
        independent = [answers[label] for label in self.space.independent]
        if independent and not any(independent):
            found.append(self.nothing)
        for name, answer in answers.items():
            if answer is None:
                found.append(self.unsure[name])
            elif isinstance(answer, str):
                found.append(answer or self.none_of[name])
        return found

    def labelled(self, row: Row, answers: Mapping[str, Answer]) -> Row:
        """The row with these answers; decisions without one become unknown."""
        labels, unknown = [], []
        for label in self.space.independent:
            answer = answers.get(label)
            if answer is None:
                unknown.append(label)
            elif answer:
                labels.append(label)
        for group in self.space.groups:
            answer = answers.get(group.name)
            if not group.is_asked(row.context):
                unknown += [name for name in row.unknown if name == group.name or name in group.labels]
            elif isinstance(answer, str) and answer:
                labels.append(answer)
            elif answer is None:
                unknown.append(group.name)
        return dataclasses.replace(row, labels=tuple(labels), unknown=tuple(unknown))

    # ---- choices ------------------------------------------------------------------------------

    def understand(self, annotation: Annotation, context: str | None) -> Understood:
        """Turns choices into answers."""
        found = Understood()
        asked = set(self.decisions(context))
        said: dict[str, dict[Answer, str]] = {}
        nothing = False
        for name in annotation.chosen:
            decision, answer = self.meaning.get(name, ("", None))
            if name == self.nothing:
                nothing = True
            elif name not in self.meaning:
                found.foreign.append(name)
            elif decision not in asked:
                found.unasked.append(name)
            else:
                said.setdefault(decision, {})[answer] = name
        for name in annotation.denied:
            said.setdefault(name, {})[False] = f"{name} = 0"
        true = [name for name in self.space.independent if True in said.get(name, {})]
        if nothing:
            for name in true:
                said[name][False] = self.nothing
        for name in self.space.independent:
            if name not in said and (nothing or (bool(true) if annotation.complete is None else annotation.complete)):
                said[name] = {False: ""}
        for decision, answers in said.items():
            if len(answers) > 1:
                found.clashes[decision] = list(answers.values())
            else:
                found.answers[decision] = next(iter(answers))
        return found


_BLANK = " \t\r\u3000"


def split_names(cell: str, known: Iterable[str], separators: Sequence[str] = ("\n", *",，;；|、")) -> list[str]:
    """The names in a cell; a name that holds a separator is recognised if it is known.

    Known names are looked for from the left, the longest first; the rest is parted at separators.
    """
    names = sorted({name for name in known if name}, key=len, reverse=True)
    found, rest = [], cell.strip()
    while rest:
        whole = next((name for name in names if rest.startswith(name) and _ends(rest[len(name) :], separators)), None)
        if whole is None:
            end = min((at for at in (rest.find(part) for part in separators) if at >= 0), default=len(rest))
            whole = rest[:end]
        if whole.strip():
            found.append(whole.strip())
        rest = rest[len(whole) :].lstrip(_BLANK)
        rest = rest[1:].lstrip() if rest and rest[0] in separators else rest
    return found


def _ends(rest: str, separators: Sequence[str]) -> bool:
    rest = rest.lstrip(_BLANK)
    return not rest or rest[0] in separators
