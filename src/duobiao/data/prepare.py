"""Transcripts to rows: labelled ones to train on, others for a person, and a count of all that was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duobiao import builtin
from duobiao.data.answers import Answer, Counts, Fate, Walk
from duobiao.data.flow import Flow
from duobiao.data.rows import Row
from duobiao.data.todo import ENDINGS, Model, TodoItem, check_fits, choices_by_node, rank, write_todo
from duobiao.data.transcripts import Call, Tally, read_calls
from duobiao.data.write_rows import check_jsonl, write_records, write_rows
from duobiao.errors import DataError
from duobiao.labels import LabelSpace
from duobiao.outputs import check_outputs

Paths = str | Path | Sequence[str | Path]


@dataclass
class Summary:
    """What became of everything that was read. Every turn is in exactly one entry of ``fates``.

    Attributes:
        tally: Calls and turns as read.
        counts: What the walk through them saw.
        answers: Answers by node; None stands for those without one.
        labelled: Labelled answers by node.
        labels: Rows by label.
        ways: Answers by (node, next node), and how many of them are labelled.
        todo: Things to annotate by node, each text once.
        notes: What a person should know.
    """

    tally: Tally = field(default_factory=Tally)
    counts: Counts = field(default_factory=Counts)
    answers: Counter[str | None] = field(default_factory=Counter)
    labelled: Counter[str | None] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    ways: dict[tuple[str | None, str | None], list[int]] = field(default_factory=dict)
    todo: Counter[str | None] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def fates(self) -> dict[str, int]:
        """Turns by fate; they add up to all turns read."""
        found = {str(fate): self.counts.fates[fate] for fate in Fate if self.counts.fates[fate]}
        left_out = {"call filtered out": self.tally.filtered_turns, "call repeated": self.tally.repeated_turns}
        return {**found, **{name: count for name, count in left_out.items() if count}}

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        tally, counts = self.tally, self.counts
        used = tally.calls - sum(tally.filtered.values()) - tally.silent - tally.repeated
        nodes = [*counts.asked, *(name for name in self.answers if name is not None and name not in counts.asked)]
        return {
            "calls": {
                "read": tally.calls,
                "used": used,
                "filtered": dict(tally.filtered.most_common()),
                "without turns": tally.silent,
                "repeated": tally.repeated,
                "same id, other turns (kept)": tally.same_id,
            },
            "turns": {"read": tally.turns, "fates": self.fates},
            "answers": {
                "all": self.answers.total(),
                "labelled": self.labelled.total(),
                "to annotate": self.answers.total() - self.labelled.total(),
                "to annotate, each once": self.todo.total(),
            },
            "nodes": {
                name: {
                    "robot turns": counts.asked[name],
                    "answers": self.answers[name],
                    "labelled": self.labelled[name],
                    "to annotate, each once": self.todo[name],
                }
                for name in nodes
            },
            "without node": {"answers": self.answers[None], "to annotate, each once": self.todo[None]},
            "labels": dict(self.labels.most_common()),
            "ways": [
                {"from": source, "to": target, "answers": found[0], "labelled": found[1]}
                for (source, target), found in sorted(self.ways.items(), key=lambda way: -way[1][0])
            ],
            "robot turns without a known phrase": dict(counts.unknown.most_common()),
            "robot turns with phrases of several nodes": dict(counts.rivals.most_common()),
            "unknown speakers": dict(counts.marks.most_common()),
            "notes": self.notes,
        }


def prepare_transcripts(
    input: Paths,
    flow: str | Path | Flow,
    output: str | Path,
    *,
    todo: str | Path | None = None,
    turns: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    where: Sequence[str] = (),
    keep: Sequence[str] = (),
    join: bool | None = None,
    window: int | None = None,
    labels: str | Path | LabelSpace | None = None,
    model: Model | None = None,
) -> Summary:
    """Reads calls, follows them through a flow, and writes rows.

    Every answer of a customer becomes a row with the node it answers as ``context`` and the call's id as ``group_id``. Answers
    that the flow labels go to ``output``, all others to ``todo``.

    Args:
        input: Transcripts in any format, one file or several; ``callback`` names the built-in ones.
        flow: The flow or its file; ``callback`` names the built-in one.
        output: JSONL of labelled rows.
        todo: Rows to annotate as ``.xlsx``, ``.csv`` or ``.jsonl``: each text once a node, with a count.
        turns: JSONL with the fate of every single turn.
        columns: Own column names; the fields are those of ``transcripts.FIELDS``.
        where: Filters, ``通话状态=已接听``; see ``read_calls``.
        keep: Columns to hand on to the rows.
        join: Whether consecutive turns of the customer are one row; if None, the flow says.
        window: How many earlier turns go into the context, after the node on lines of their own; if None, the flow says.
        labels: The label space or its file (``callback``: the built-in one); the model's if left out. The flow's labels must
            fit it, and labels that an edge does not settle are marked unknown.
        model: Orders ``todo`` by how open the answers are, and makes suggestions.

    Returns:
        What became of everything that was read.

    Raises:
        ConfigError: If the flow file is wrong, or does not fit the label space.
        LabelSpaceError: If the label space file is wrong.
        DataError: If the calls cannot be read, none is left, or a place cannot be written; nothing is written then.
        MissingExtraError: If a format needs a package that is not installed.
    """
    paths = [_builtin(path, "transcripts.csv") for path in ([input] if isinstance(input, (str, Path)) else input)]
    read = [one for one in (flow, labels) if isinstance(one, (str, Path))]
    _check_places(paths, read, {"--output": output, "--todo": todo, "--turns": turns})
    space = model.space if labels is None and model is not None else labels
    if isinstance(space, (str, Path)):
        space = LabelSpace.from_yaml(_builtin(space, "labels.yaml"))
    if not isinstance(flow, Flow):
        flow = Flow.from_yaml(_builtin(flow, "flow.yaml"), space)
    walk = Walk(
        flow,
        join=flow.join if join is None else join,
        window=flow.window if window is None else window,
    )
    maker = _Maker(flow, space, trace=turns is not None, summary=Summary(counts=walk.counts))
    for call in read_calls(paths, flow, maker.summary.tally, columns=columns, where=where, keep=keep):
        maker.add(call, *walk.through(call))
    _check_found(maker.summary, flow, paths)
    items = rank(list(maker.items.values()), list(flow.nodes), model if todo is not None else None)
    maker.summary.todo.update(item.node for item in items)
    maker.summary.notes = _notes(maker.summary, flow, todo is None)
    if todo is not None:
        check_fits(Path(todo), items)
    write_rows(Path(output), maker.rows)
    if todo is not None:
        write_todo(Path(todo), items)
    if turns is not None:
        write_records(turns, maker.trace)
    return maker.summary


def _builtin(path: str | Path, file: str) -> Path:
    """A path; the name of a built-in data set stands for its file if there is no such path."""
    if str(path) in builtin.DATASETS and not Path(path).exists():
        found = builtin.folder(str(path)) / file
        if found.is_file():
            return found
    return Path(path)


def _check_places(paths: Sequence[Path], read: Sequence[str | Path], named: Mapping[str, str | Path | None]) -> None:
    """Refuses places that cannot take what is written there.

    Raises:
        DataError: Naming the place.
    """
    if not paths:
        raise DataError("no transcripts are given", hint="name a file or more")
    for option, path in named.items():
        place = None if path is None else Path(path)
        if place is None:
            continue
        if option != "--todo":
            check_jsonl(place)
        elif place.suffix.lower() not in ENDINGS or place.is_dir():
            raise DataError(f"{place}: rows to annotate are not written like that", hint=f"end it in {', '.join(ENDINGS)}")
    check_outputs(named.items(), [*paths, *read])


def _check_found(summary: Summary, flow: Flow, paths: Sequence[Path]) -> None:
    """Refuses input of which nothing is left, with the reason.

    Raises:
        DataError: Telling which.
    """
    tally, fates = summary.tally, summary.counts.fates
    name = ", ".join(map(str, paths))
    if not tally.calls:
        raise DataError(f"{name}: there are no calls", hint="give a file with at least one call")
    if tally.filtered and not fates.total():
        problems = [f"left out because of {reason}: {count} calls" for reason, count in tally.filtered.most_common(20)]
        raise DataError(f"{name}: the filters leave no call with turns", hint="correct --where", problems=problems)
    if not fates.total():
        raise DataError(f"{name}: no call has a turn", hint="name the column of the dialogues: --columns call=...")
    if fates[Fate.OTHER] + fates[Fate.EMPTY] == fates.total():
        marks = summary.counts.marks.most_common(20)
        raise DataError(
            f"{name}: no turn is of the robot or a customer",
            hint=f"set prefixes in the flow file (now robot: {', '.join(flow.robot)}; customer: {', '.join(flow.customer)})",
            problems=[f"speaker {mark!r}: {count} turns" for mark, count in marks],
        )


def _notes(summary: Summary, flow: Flow, no_todo: bool) -> list[str]:
    counts = summary.counts
    notes = [f"the flow has a cycle, so calls may come back: {', '.join(cycle)}" for cycle in flow.cycles if len(cycle) > 1]
    unseen = [name for name in flow.nodes if not counts.asked[name]]
    if unseen:
        notes.append(f"nodes that no robot's turn reached: {', '.join(unseen)}")
    if not any(edge.labels for edge in flow.edges):
        notes.append("no edge of the flow has labels, so no row is labelled")
    if counts.marks:
        notes.append("turns of unknown speakers became no rows; name their marks under prefixes in the flow file")
    left = summary.answers.total() - summary.labelled.total()
    if no_todo and left:
        notes.append(f"{left} answers without a label are only counted; --todo keeps them")
    return notes


class _Maker:
    """Makes rows and things to do of answers, counting as it goes."""

    def __init__(self, flow: Flow, space: LabelSpace | None, *, trace: bool, summary: Summary) -> None:
        self.flow, self.space, self.tracing, self.summary = flow, space, trace, summary
        self.rows: list[Row] = []
        self.items: dict[tuple[str | None, str], TodoItem] = {}
        self.trace: list[dict[str, Any]] = []
        by_node: dict[str, list[str]] = {}
        for edge in flow.edges:
            by_node.setdefault(edge.source, []).extend(edge.labels)
        asking = {name: node.context for name, node in flow.nodes.items() if node.ask}
        self.choices = choices_by_node(asking, by_node, space)
        self.marks = {"robot": flow.robot[0], "customer": flow.customer[0]}

    def add(self, call: Call, answers: Sequence[Answer], fates: Sequence[Fate]) -> None:
        """Takes up one call."""
        summary = self.summary
        row_of: dict[int, str] = {}
        for answer in answers:
            row = self._row(answer)
            row_of.update((turn.number, row.id) for turn in answer.turns)
            labelled = bool(answer.labels)
            summary.answers[answer.in_node] += 1
            way = summary.ways.setdefault((answer.in_node, answer.out_node), [0, 0])
            way[0] += 1
            way[1] += labelled
            if labelled:
                self.rows.append(row)
                summary.labelled[answer.in_node] += 1
                summary.labels.update(answer.labels)
            else:
                self._todo(row, answer.in_node)
        if self.tracing:
            self._trace(call, fates, row_of)

    def _row(self, answer: Answer) -> Row:
        call, first = answer.call, answer.turns[0]
        node = self.flow.nodes[answer.in_node].context if answer.in_node is not None else ""
        lines = [node, *(f"{self.marks[speaker]}：{' '.join(text.split())}" for speaker, text in answer.earlier)]
        known = {"in_node": answer.in_node, "out_node": answer.out_node, "turn": first.number}
        return Row(
            id=f"{call.key}-{first.number}",
            text=answer.text,
            context="\n".join(lines) or None,
            labels=answer.labels or None,
            unknown=self._unknown(answer.labels, node) if answer.labels else (),
            group_id=call.id,
            extra={**known, **({"weak": True} if answer.labels else {}), **call.kept},
        )

    def _unknown(self, labels: Sequence[str], context: str) -> tuple[str, ...]:
        """What the edge leaves open, and what a missing label would deny otherwise."""
        if self.space is None:
            return ()
        loose = [name for name in self.space.independent if name not in labels]
        for group in self.space.groups:
            if group.at_most_one and group.is_asked(context) and not set(labels) & set(group.labels):
                loose.append(group.name)
        return tuple(loose)

    def _todo(self, row: Row, node: str | None) -> None:
        key = node, " ".join(row.text.split())
        if key in self.items:
            self.items[key].count += 1
        else:
            self.items[key] = TodoItem(row, node, choices=self.choices.get(node, ()) if node is not None else ())

    def _trace(self, call: Call, fates: Sequence[Fate], row_of: Mapping[int, str]) -> None:
        for turn, fate in zip(call.turns, fates, strict=True):
            entry = {
                "call": call.key,
                "turn": turn.number,
                "mark": turn.mark,
                "time": turn.time,
                "text": turn.text,
                "fate": str(fate),
                "row": row_of.get(turn.number),
            }
            self.trace.append(entry)
