"""What customers answered: each turn of a call gets its fate, each answer its node, the next node, and maybe a weak label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from duobiao.data.dialogue import Turn
from duobiao.data.flow import END, Flow, Recognised
from duobiao.data.transcripts import Call


class Fate(StrEnum):
    """What became of a turn; each has exactly one."""

    ROBOT_NODE = "robot: a node"
    ROBOT_REPEATS = "robot: repeats itself"
    ROBOT_UNKNOWN = "robot: no known phrase"
    LABELLED = "customer: labelled"
    NO_EDGE = "customer: no edge labels this way"
    NEXT_UNKNOWN = "customer: the robot's next turn has no known phrase"
    AFTER_UNKNOWN = "customer: after a robot's turn without a known phrase"
    NOT_ASKED = "customer: the node asks nothing"
    BEFORE = "customer: before any node"
    EMPTY = "empty"
    OTHER = "unknown speaker"


@dataclass
class Answer:
    """One answer of a customer.

    Attributes:
        call: The call.
        turns: Its turns: one, or several in a row.
        earlier: Speaker and text of the turns before it, as many as the window holds.
        in_node: The node it answers; None if there is none.
        fate: Why it has no label, or that it has one.
        out_node: The node the robot went to next, or ``end``; None if the robot's next words are not known.
        labels: Its weak label; empty if there is none.
    """

    call: Call
    turns: list[Turn]
    earlier: tuple[tuple[str, str], ...]
    in_node: str | None
    fate: Fate
    out_node: str | None = None
    labels: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(turn.text for turn in self.turns)


@dataclass
class Counts:
    """What happened in the calls.

    Attributes:
        fates: Turns by fate.
        asked: Turns of the robot by node.
        unknown: The robot's utterances without a known phrase.
        rivals: Turns of the robot that hold phrases of several nodes, by ``chosen / others``.
        marks: Turns of unknown speakers by their mark.
    """

    fates: Counter[Fate] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    rivals: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)


class Walk:
    """Goes through calls, one after another.

    Args:
        flow: The dialogue.
        join: Whether consecutive turns of the customer are one answer.
        window: How many earlier turns an answer remembers.
    """

    def __init__(self, flow: Flow, *, join: bool, window: int) -> None:
        self.flow, self.join, self.window = flow, join, window
        self.counts = Counts()
        self._known: dict[str, Recognised] = {}

    def through(self, call: Call) -> tuple[list[Answer], list[Fate]]:
        """The answers of a call, and the fate of each of its turns, in order."""
        fates: list[Fate | None] = []
        answers: list[Answer] = []
        place = _Place()
        pending: list[Answer] = []  # answers since the robot's last turn but those of `said`
        said: list[str] = []
        earlier: list[tuple[str, str]] = []
        for turn in call.turns:
            if turn.speaker == "other" or not turn.text:
                fates.append(Fate.EMPTY if turn.speaker != "other" else Fate.OTHER)
                if turn.speaker == "other":
                    self.counts.marks[turn.mark or "(none)"] += 1
                continue
            if turn.speaker == "robot":
                seen = self._recognise(turn.text)
                fates.append(self._count(turn, seen))
                said.append(turn.text)
                target = place.move(seen, keep=self.flow.keep_node)
                for answer in pending:
                    answer.out_node = answer.out_node or target
            else:
                fates.append(None)
                if said:
                    self._settle(pending, said)
                    pending, said = [], []
                if self.join and pending:
                    pending[-1].turns.append(turn)
                else:
                    pending.append(self._begin(call, turn, place, earlier))
                    answers.append(pending[-1])
            earlier.append((turn.speaker, turn.text))
        for answer in pending:
            answer.out_node = answer.out_node or END
        self._settle(pending, said)
        of_turn = {turn.number: answer.fate for answer in answers for turn in answer.turns}
        whole = [fate or of_turn[turn.number] for turn, fate in zip(call.turns, fates, strict=True)]
        self.counts.fates.update(whole)
        return answers, whole

    def _count(self, turn: Turn, seen: Recognised) -> Fate:
        if seen.rivals:
            self.counts.rivals[" / ".join((str(seen.node), *seen.rivals))] += 1
        if seen.node is not None:
            self.counts.asked[seen.node] += 1
            return Fate.ROBOT_NODE
        if seen.repeats:
            return Fate.ROBOT_REPEATS
        self.counts.unknown[turn.text] += 1
        return Fate.ROBOT_UNKNOWN

    def _begin(self, call: Call, turn: Turn, place: _Place, earlier: list[tuple[str, str]]) -> Answer:
        node = self.flow.nodes[place.node] if place.node is not None else None
        fate = place.fate
        if node is not None:
            fate = Fate.NOT_ASKED if not node.ask else Fate.NO_EDGE if place.direct else Fate.AFTER_UNKNOWN
        remembered = earlier[-self.window :] if self.window else []
        return Answer(call, [turn], tuple(remembered), place.node, fate)

    def _settle(self, answers: list[Answer], said: list[str]) -> None:
        """Gives labels to answers of which everything is known now."""
        for answer in answers:
            if answer.fate is not Fate.NO_EDGE or answer.in_node is None:
                continue
            if answer.out_node is None:
                answer.fate = Fate.NEXT_UNKNOWN
                continue
            answer.labels = self.flow.labels(answer.in_node, answer.out_node, said)
            if answer.labels:
                answer.fate = Fate.LABELLED

    def _recognise(self, text: str) -> Recognised:
        found = self._known.get(text)
        if found is None:
            found = self.flow.recognise(text)
            if len(self._known) < 100_000:
                self._known[text] = found
        return found


@dataclass
class _Place:
    """Where in the flow a call is.

    Attributes:
        node: The node whose question stands; None if there is none.
        fate: What becomes of an answer without a node.
        direct: Whether nothing unknown was said since the question.
    """

    node: str | None = None
    fate: Fate = Fate.BEFORE
    direct: bool = True

    def move(self, seen: Recognised, *, keep: bool) -> str | None:
        """Goes where the robot goes; returns the node, None if its words are not known."""
        if seen.node is not None:
            self.node, self.direct = seen.node, True
            return seen.node
        if seen.repeats:
            return self.node
        if self.node is not None or self.fate is not Fate.BEFORE:
            self.fate = Fate.AFTER_UNKNOWN
        self.direct = False
        if not keep:
            self.node = None
        return None
