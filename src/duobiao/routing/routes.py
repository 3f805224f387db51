"""The routes file: for each dialogue node, which decisions lead to which next node or action."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from duobiao.data.flow_file import Form
from duobiao.errors import ConfigError
from duobiao.labels import node_of
from duobiao.strict_yaml import read_yaml

ANY = "*"
"""The node of rows whose own has no routes, and of rows without one."""
_KEYS = ("start", "actions", "review", "nodes")


@dataclass(frozen=True)
class Route:
    """One line of a node.

    Attributes:
        labels: Labels that must all hold; none for ``else``, which always fits.
        to: The next node, or an action.
    """

    labels: tuple[str, ...]
    to: str

    @property
    def is_else(self) -> bool:
        return not self.labels


@dataclass(frozen=True)
class Routes:
    """Where rows go next.

    Attributes:
        nodes: Routes by node, in the order in which they are tried: the first that fits decides.
        actions: What ends the dialogue here: handing over, hanging up, opening a ticket.
        start: Nodes that dialogues begin with; empty if the file does not say.
        review: Where rows with an unsure decision go, whatever else holds; None if they follow the routes.
        source: The file, for messages.
    """

    nodes: Mapping[str, tuple[Route, ...]]
    actions: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    review: str | None = None
    source: str = "routes"

    @classmethod
    def from_yaml(cls, path: str | Path) -> Routes:
        """Reads a routes file; whether it makes sense is for ``check_routes``.

        Raises:
            ConfigError: If it is missing, no YAML, or naming everything that is of the wrong form.
        """
        return cls.from_dict(read_yaml(path, "a routes file", ConfigError), str(path))

    @classmethod
    def from_dict(cls, data: Any, source: str = "routes") -> Routes:
        """Builds routes from the parsed YAML form.

        Raises:
            ConfigError: Naming everything that is of the wrong form.
        """
        form = Form()
        data = form.mapping(data, _KEYS, "the file")
        nodes: dict[str, tuple[Route, ...]] = {}
        entries = data.get("nodes")
        if not isinstance(entries, dict) or not entries:
            form.problems.append("nodes: write NODE: [{labels: [...], to: NEXT}, ..., {else: NEXT}], at least one")
            entries = {}
        for key, lines in entries.items():
            where = f"node {key!r}"
            nodes[form.name(key, where)] = _routes(form, lines, where)
        review = data.get("review")
        found = cls(
            nodes,
            form.names(data.get("actions"), "actions"),
            form.names(data.get("start"), "start"),
            None if review is None else form.name(review, "review"),
            source,
        )
        if form.problems:
            raise ConfigError(f"{source}: the routes cannot be read", hint="correct the routes file", problems=form.problems)
        return found

    @property
    def digest(self) -> str:
        """A name of what the routes say, wherever their file lies."""
        told = {**asdict(self), "source": ""}
        return hashlib.sha256(json.dumps(told, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()

    def next(self, context: str | None, labels: Collection[str], *, unsure: bool = False) -> str | None:
        """Where a row goes.

        Args:
            context: The row's context; its first line is the node.
            labels: What was decided.
            unsure: Whether a decision lies in the abstain band.

        Returns:
            The next node or an action; None where the file has no route.
        """
        if unsure and self.review is not None:
            return self.review
        held = set(labels)
        for route in self.nodes.get(node_of(context)) or self.nodes.get(ANY, ()):
            if held.issuperset(route.labels):
                return route.to
        return None


def _routes(form: Form, lines: Any, where: str) -> tuple[Route, ...]:
    if not isinstance(lines, list) or not lines:
        form.problems.append(f"{where}: write a list of {{labels: [...], to: NEXT}} and {{else: NEXT}}")
        return ()
    found = []
    for number, line in enumerate(lines, 1):
        place = f"{where}, route {number}"
        if not isinstance(line, dict) or set(line) not in ({"labels", "to"}, {"else"}):
            form.problems.append(f"{place}: write {{labels: [...], to: NEXT}} or {{else: NEXT}}")
        elif "else" in line:
            found.append(Route((), form.name(line["else"], f"{place}: else")))
        else:
            labels = form.names(line["labels"], f"{place}: labels", needed=True)
            found.append(Route(labels, form.name(line["to"], f"{place}: to")))
    return tuple(found)
