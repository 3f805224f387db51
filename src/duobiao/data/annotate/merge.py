"""Annotations into rows, by id: what people agree on is taken over, and what is in doubt is listed, never overwritten."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from duobiao.data.annotate.answers import Annotation, Answer, Answers, Understood, Vocabulary
from duobiao.data.rows import Row
from duobiao.errors import DataError

Policy = Literal["base", "new", "majority", "unknown"]
"""A conflict keeps the row's own answer, takes the latest one, takes what more than half of the annotators say (unknown
where nothing does), or leaves the question unknown."""

_UNSEEN = re.compile(
    "[\\s\\x00-\\x1f\\x7f-\\x9f\\xad\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u2064\\ufeff\\ufffd\\ud800-\\udfff]+"
)


@dataclass(frozen=True)
class Merged:
    """Rows after the merge, in their old order, and the account of it."""

    rows: list[Row]
    report: dict[str, Any]


@dataclass
class _Said:
    """One annotation of a row, understood."""

    annotation: Annotation
    understood: Understood


@dataclass
class _Account:
    """What is noted on the way."""

    counts: Counter[str] = field(default_factory=Counter)
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    people: dict[str, Counter[str]] = field(default_factory=dict)

    def conflict(self, kind: str, id_: str | None, **details: Any) -> None:
        self.conflicts.append({"kind": kind, "id": id_, **details})

    def person(self, annotation: Annotation) -> Counter[str]:
        return self.people.setdefault(annotation.annotator or "(nobody named)", Counter())


def merge(
    rows: Sequence[Row],
    annotations: Sequence[Annotation],
    vocabulary: Vocabulary,
    policy: Policy = "base",
    *,
    shown: Callable[[str], str] = str,
    take_changed_text: bool = False,
) -> Merged:
    """Merges annotations into rows.

    A row that nobody annotated stays as it is. In an annotated row, a question that was not answered becomes unknown, unless
    the row has an answer of its own: that is a conflict. Skipped and unfinished annotations are counted and not used.

    Args:
        rows: The rows, with unique ids.
        annotations: What people said, in the order of the files.
        vocabulary: The names they chose from.
        policy: How conflicts are settled.
        shown: What the tool showed of a text.
        take_changed_text: Whether an annotation counts though the tool's text is not that of the row.

    Raises:
        DataError: If ids are not unique, or a row contradicts the label space.
    """
    _check(rows, vocabulary)
    account = _Account()
    place = {row.id: row for row in rows}
    said: dict[str, list[Annotation]] = {}
    for annotation in annotations:
        if _usable(annotation, place, account, shown, take_changed_text):
            said.setdefault(str(annotation.id), []).append(annotation)
    merged = []
    for row in rows:
        own = _without_repeats(said.get(row.id, []), account)
        merged.append(_row(row, own, vocabulary, policy, account) if own else row)
    return Merged(merged, _report(rows, annotations, said, policy, account))


def _check(rows: Sequence[Row], vocabulary: Vocabulary) -> None:
    counts = Counter(row.id for row in rows)
    problems = [f"{row.source or 'row'}: id {row.id!r} is not its own" for row in rows if counts[row.id] > 1]
    for row in rows:
        if row.labels is not None:
            found = vocabulary.space.problems(row.labels, row.unknown, row.context)
            problems += [f"{row.source or row.id}: {problem}" for problem in found]
    if problems:
        raise DataError("annotations cannot be merged into these rows", hint="correct the rows", problems=problems)


def _usable(
    annotation: Annotation,
    place: Mapping[str, Row],
    account: _Account,
    shown: Callable[[str], str],
    take_changed_text: bool,
) -> bool:
    """Whether an annotation can be merged; if not, it is counted or listed."""
    row = place.get(annotation.id) if annotation.id is not None else None
    who = {"annotator": annotation.annotator, "time": annotation.time, "where": annotation.where}
    if row is None:
        account.conflict("unknown_id", annotation.id, **who)
        return False
    if annotation.text is not None and _folded(annotation.text) != _folded(shown(row.text)):
        taken = take_changed_text and annotation.status == "done"
        account.conflict("changed_text", row.id, base=row.text, annotated=annotation.text, used=taken, **who)
        if not take_changed_text:
            return False
    account.counts[annotation.status] += 1
    if annotation.status != "open":
        account.person(annotation)[annotation.status] += 1
    return annotation.status == "done"


def _folded(text: str) -> str:
    return _UNSEEN.sub("", text)


def _without_repeats(said: list[Annotation], account: _Account) -> list[Annotation]:
    """The last word of each annotator; who is not named may be several people, so all their words count."""
    kept: dict[object, Annotation] = {}
    for annotation in said:
        key: object = annotation.annotator or id(annotation)
        before = kept.get(key)
        if before is not None:
            later = annotation if (annotation.time or "") >= (before.time or "") else before
            earlier = before if later is annotation else annotation
            same = set(earlier.chosen) == set(later.chosen) and set(earlier.denied) == set(later.denied)
            details = {"annotator": annotation.annotator, "same": same, "left_out": list(earlier.chosen)}
            account.conflict("duplicate", annotation.id, where=earlier.where, taken_from=later.where, **details)
            annotation = later
        elif annotation.annotator is None and kept:
            account.conflict("duplicate", annotation.id, where=annotation.where, annotator=None, same=None)
        kept[key] = annotation
    return list(kept.values())


def _row(row: Row, said: Sequence[Annotation], vocabulary: Vocabulary, policy: Policy, account: _Account) -> Row:
    spoken = [_Said(annotation, vocabulary.understand(annotation, row.context)) for annotation in said]
    for one in spoken:
        who = {"annotator": one.annotation.annotator, "time": one.annotation.time, "where": one.annotation.where}
        for label in one.understood.foreign:
            account.conflict("unknown_label", row.id, label=label, **who)
        for label in one.understood.unasked:
            account.conflict("not_asked", row.id, label=label, context=row.context, **who)
        for decision, names in one.understood.clashes.items():
            kind = "contradiction" if decision in vocabulary.space.independent else "exclusive"
            account.conflict(kind, row.id, decision=decision, chosen=names, **who)
    if not any(one.understood.answers or one.understood.clashes for one in spoken):
        account.counts["nothing_usable"] += 1
        return row
    before = vocabulary.answers(row)
    after = {name: _settle(row, name, before, spoken, policy, account) for name in vocabulary.decisions(row.context)}
    if after == before or (not before and all(answer is None for answer in after.values())):
        account.counts["confirmed" if before else "nothing_usable"] += 1
        return row
    account.counts["changed" if before else "labelled"] += 1
    new = vocabulary.labelled(row, after)
    _note(row, new, before, after, spoken, account)
    return new


def _settle(row: Row, name: str, before: Answers, spoken: Sequence[_Said], policy: Policy, account: _Account) -> Answer:
    """The answer to one question, after conflicts are noted."""
    own = before.get(name)
    votes = [(one.annotation, one.understood.answers[name]) for one in spoken if name in one.understood.answers]
    different = list(dict.fromkeys(answer for _, answer in votes))
    if len(different) == 1 and (own is None or own == different[0]):
        return different[0]
    clash = any(name in one.understood.clashes for one in spoken)
    if not votes and own is None:
        return None
    if policy == "base":
        taken = own
    elif policy == "unknown" or not votes:
        taken = None
    elif policy == "new":
        taken = max(enumerate(votes), key=lambda item: (item[1][0].time or "", item[0]))[1][1]
    else:
        counts = Counter(answer for _, answer in votes)
        most, count = counts.most_common(1)[0]
        taken = most if count * 2 > len(votes) else None
    kind = "disagreement" if len(different) > 1 else "against_base" if votes else "" if clash else "unanswered"
    if kind:
        account.conflict(
            kind,
            row.id,
            decision=name,
            base=say(own) if before else None,
            answers=[{"annotator": one.annotator, "time": one.time, "answer": say(answer)} for one, answer in votes],
            taken=say(taken),
        )
    for annotation, answer in votes:
        account.person(annotation)["overruled"] += answer != taken
    return taken


def say(answer: Answer) -> str | bool:
    """An answer for people: true, false, a group's label, ``none of them``, ``unknown``."""
    return "unknown" if answer is None else answer if isinstance(answer, bool) else answer or "none of them"


def _note(row: Row, new: Row, before: Answers, after: Answers, spoken: Sequence[_Said], account: _Account) -> None:
    """Who changed what."""
    if not before:
        people = [{"annotator": one.annotation.annotator, "time": one.annotation.time} for one in spoken]
        now = {"labels": list(new.labels or ()), "unknown": list(new.unknown)}
        account.changes.append({"id": row.id, "decision": None, "before": None, "after": now, "by": people})
        for one in spoken:
            account.person(one.annotation)["labelled"] += 1
        return
    for name, answer in after.items():
        if answer == before[name]:
            continue
        behind = [one for one in spoken if one.understood.answers.get(name) == answer] or list(spoken)
        people = [{"annotator": one.annotation.annotator, "time": one.annotation.time} for one in behind]
        change = {"id": row.id, "decision": name, "before": say(before[name]), "after": say(answer), "by": people}
        account.changes.append(change)
        for one in behind:
            account.person(one.annotation)["changes"] += 1


def _report(
    rows: Sequence[Row],
    annotations: Sequence[Annotation],
    said: Mapping[str, Sequence[Annotation]],
    policy: Policy,
    account: _Account,
) -> dict[str, Any]:
    kinds = Counter(str(conflict["kind"]) for conflict in account.conflicts)
    names = ("labelled", "changed", "confirmed", "nothing_usable")
    return {
        "policy": policy,
        "rows": {
            "all": len(rows),
            "annotated": len(said),
            "untouched": len(rows) - len(said),
            **{name: account.counts[name] for name in names},
        },
        "annotations": {
            "all": len(annotations),
            **{name: account.counts[name] for name in ("done", "skipped", "draft", "open")},
        },
        "conflicts_by_kind": dict(sorted(kinds.items())),
        "annotators": {name: dict(counts) for name, counts in sorted(account.people.items())},
        "conflicts": account.conflicts,
        "changes": account.changes,
    }
