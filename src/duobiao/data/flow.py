"""The flow file: a robot's dialogue nodes, the phrases that tell them, and the weak labels that its next node implies."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from duobiao.data.flow_file import parse_flow
from duobiao.data.flow_graph import cycles, dead_ends, unreachable
from duobiao.errors import ConfigError, MissingExtraError
from duobiao.labels import LabelSpace
from duobiao.strict_yaml import read_mapping

END = "end"
"""Where an edge leads when the call is over."""

Speaker = Literal["robot", "customer", "other"]
_MARKS = re.compile(r"[\W_]+")


def normalize(text: str) -> str:
    """The text as phrases see it: NFKC, lower case, letters and digits only."""
    return _MARKS.sub("", unicodedata.normalize("NFKC", text).casefold())


def speaker_key(mark: str) -> str:
    """A speaker's mark as it is compared: full width is half width, case and outer white space do not count."""
    return unicodedata.normalize("NFKC", mark).strip().casefold()


@dataclass(frozen=True)
class Node:
    """One question of the robot.

    Attributes:
        name: Its name.
        phrases: Any of these in an utterance tells the node.
        context: What rows that answer it carry as ``context``.
        ask: Whether answers to it are worth a label; a goodbye is not.
    """

    name: str
    phrases: tuple[str, ...]
    context: str
    ask: bool = True


@dataclass(frozen=True)
class Edge:
    """A way from one node to the next.

    Attributes:
        source: The node that was answered.
        target: The node that the robot went to next, or ``end``.
        labels: What the answer means if the robot goes this way; empty if that tells nothing.
        phrases: If given, the edge counts only where the robot's words after the answer hold one of them.
    """

    source: str
    target: str
    labels: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recognised:
    """What an utterance of the robot is.

    Attributes:
        node: The node it belongs to; None if it holds no phrase of one.
        repeats: Whether it holds a phrase by which the robot stays at its node.
        rivals: Other nodes of which it holds a phrase too.
    """

    node: str | None
    repeats: bool = False
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flow:
    """A robot's dialogue.

    Attributes:
        nodes: By name, in file order.
        edges: Ways between them.
        robot: Marks of the robot in transcripts.
        customer: Marks of the customer.
        repeat: Phrases by which the robot stays at its node ("没听清").
        start: Nodes that calls begin with; empty if the file does not say.
        keep_node: Whether the node lives on after a robot's turn without a known phrase.
        join: Whether consecutive turns of the customer are one answer.
        window: How many earlier turns go into the context.
        source: The file, for messages.

    Raises:
        ConfigError: With everything that contradicts itself.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    robot: tuple[str, ...]
    customer: tuple[str, ...]
    repeat: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    keep_node: bool = False
    join: bool = True
    window: int = 0
    source: str = field(default="flow", compare=False)

    def __post_init__(self) -> None:
        problems = [*_phrase_problems(self), *_edge_problems(self)]
        if not any("no such node" in problem for problem in problems):
            problems += [*unreachable(self.nodes, self._ways, self.start), *dead_ends(self.nodes, self._ways, END)]
        if problems:
            raise ConfigError(f"{self.source}: the flow contradicts itself", hint="correct the flow file", problems=problems)

    # ---- making --------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str = "flow") -> Flow:
        """Builds a flow from the parsed YAML form.

        Raises:
            ConfigError: With all problems found.
        """
        parsed = parse_flow(data, source)
        return cls(
            nodes={name: Node(name, *values) for name, values in parsed.nodes.items()},
            edges=tuple(Edge(*values) for values in parsed.edges),
            source=source,
            **parsed.settings,
        )

    @classmethod
    def from_yaml(cls, path: str | Path, space: LabelSpace | None = None) -> Flow:
        """Reads a flow file.

        Args:
            path: The file.
            space: A label space that its labels must fit.

        Raises:
            ConfigError: If the file is missing, no YAML, contradicts itself or does not fit the space.
        """
        flow = cls.from_dict(read_mapping(path, "a flow file", ConfigError, "nodes:"), str(path))
        problems = flow.misfits(space) if space is not None else []
        if problems:
            hint = "correct the flow file, or give the label space it was written for"
            raise ConfigError(f"{path}: does not fit the label space", hint=hint, problems=problems)
        return flow

    def misfits(self, space: LabelSpace) -> list[str]:
        """What contradicts a label space, edge by edge."""
        return [
            f"edge {edge.source} -> {edge.target}: {problem}"
            for edge in self.edges
            for problem in space.problems(edge.labels, (), self.nodes[edge.source].context)
        ]

    # ---- reading a dialogue ------------------------------------------------------------------------

    def speaker(self, mark: str) -> Speaker:
        """Who a mark stands for."""
        return self._speakers.get(speaker_key(mark), "other")

    def recognise(self, utterance: str) -> Recognised:
        """The node of a robot's utterance.

        One pass of Aho and Corasick's automaton (1975) finds all phrases. The longest decides; of two equally long ones the
        later, for that is what the robot asked last. Phrases that lie over a longer one do not count as found.
        """
        text = normalize(utterance)
        found = [(len(phrase), end, node) for end, (phrase, node) in self._automaton.iter(text)]
        taken = bytearray(len(text))
        chosen: list[str | None] = []
        for length, end, node in sorted(found, key=lambda hit: hit[:2], reverse=True):
            if not (taken[end] or taken[end - length + 1]):  # what lies there is not shorter, so it holds one of the ends
                taken[end - length + 1 : end + 1] = b"\1" * length
                chosen.append(node)
        nodes = list(dict.fromkeys(node for node in chosen if node is not None))
        repeats = None in chosen
        return Recognised(nodes[0], repeats, tuple(nodes[1:])) if nodes else Recognised(None, repeats)

    def labels(self, source: str, target: str, said: Iterable[str] = ()) -> tuple[str, ...]:
        """The weak label of an answer.

        Args:
            source: The node that was answered.
            target: The node that the robot went to next, or ``end``.
            said: The robot's utterances after the answer.

        Returns:
            Labels of the first edge that fits, edges with phrases before the one without; empty if none says anything.
        """
        edges = self._by_way.get((source, target), ())
        words = [normalize(text) for text in said] if any(edge.phrases for edge in edges) else []
        for edge in edges:
            if not edge.phrases or any(normalize(phrase) in text for phrase in edge.phrases for text in words):
                return edge.labels
        return ()

    @cached_property
    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """Nodes from which a call may come back to them, as far as the edges tell."""
        return cycles(self.nodes, self._ways)

    @cached_property
    def _ways(self) -> tuple[tuple[str, str], ...]:
        return tuple((edge.source, edge.target) for edge in self.edges)

    @cached_property
    def _by_way(self) -> dict[tuple[str, str], list[Edge]]:
        found: dict[tuple[str, str], list[Edge]] = {}
        for edge in sorted(self.edges, key=lambda edge: not edge.phrases):
            found.setdefault((edge.source, edge.target), []).append(edge)
        return found

    @cached_property
    def _speakers(self) -> dict[str, Speaker]:
        customer: dict[str, Speaker] = {speaker_key(mark): "customer" for mark in self.customer}
        return {**customer, **{speaker_key(mark): "robot" for mark in self.robot}}

    @cached_property
    def _automaton(self) -> Any:
        try:
            import ahocorasick
        except ImportError as error:
            raise MissingExtraError("pyahocorasick", "text") from error
        automaton = ahocorasick.Automaton()
        owners: list[tuple[str, str | None]] = [(phrase, None) for phrase in self.repeat]
        owners += [(phrase, node.name) for node in self.nodes.values() for phrase in node.phrases]
        for phrase, owner in owners:
            automaton.add_word(normalize(phrase), (normalize(phrase), owner))
        automaton.make_automaton()
        return automaton


def _phrase_problems(flow: Flow) -> list[str]:
    problems = []
    owner: dict[str, tuple[str, str]] = {}
    places = [*((f"node {node.name!r}", node.phrases) for node in flow.nodes.values()), ("'repeat'", flow.repeat)]
    for place, phrases in places:
        for phrase in phrases:
            key = normalize(phrase)
            if not key:
                problems.append(f"{place}: phrase {phrase!r} holds no letter and no digit")
            elif key in owner and owner[key][0] != place:
                other, spelling = owner[key]
                also = "" if spelling == phrase else f" (written {spelling!r} there; punctuation and width do not count)"
                problems.append(f"phrase {phrase!r} stands in {place} and in {other}{also}")
            else:
                owner[key] = place, phrase
    marks = {speaker_key(mark): mark for mark in flow.robot}
    both = [mark for mark in flow.customer if speaker_key(mark) in marks]
    problems += [f"prefixes: {mark!r} stands for both the robot and the customer" for mark in both]
    problems += [
        f"prefixes: {mark!r} is empty or holds a colon or a line break"
        for mark in (*flow.robot, *flow.customer)
        if not mark.strip() or re.search(r"[:：\r\n]", mark)
    ]
    return problems


def _edge_problems(flow: Flow) -> list[str]:
    known = ", ".join(flow.nodes)
    problems = [f"start: there is no such node: {name!r} (nodes: {known})" for name in flow.start if name not in flow.nodes]
    if END in flow.nodes:
        problems.append(f"node {END!r}: the name is taken, it stands for the end of a call")
    seen: dict[tuple[str, str], Edge] = {}
    for edge in flow.edges:
        where = f"edge {edge.source} -> {edge.target}"
        wrong = [name for name in (edge.source, edge.target) if name not in flow.nodes and name != END]
        problems += [f"{where}: there is no such node: {name!r} (nodes: {known}, {END})" for name in wrong]
        if edge.source == END:
            problems.append(f"{where}: nothing comes after {END!r}")
        if edge.source in flow.nodes and edge.labels and not flow.nodes[edge.source].ask:
            problems.append(f"{where}: has labels, but node {edge.source!r} has ask: false")
        problems += [
            f"{where}: phrase {phrase!r} holds no letter and no digit" for phrase in edge.phrases if not normalize(phrase)
        ]
        if not edge.phrases and (edge.source, edge.target) in seen:
            problems.append(f"{where}: stands there twice without phrases; only one of them can count")
        elif not edge.phrases:
            seen[edge.source, edge.target] = edge
    return problems
