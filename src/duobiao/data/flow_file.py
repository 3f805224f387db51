"""The form of a flow file: which keys there are and what they hold; what they mean is checked in ``flow``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duobiao.errors import ConfigError

ROBOT = ("AI", "机器人", "客服", "robot", "bot", "assistant", "agent")
CUSTOMER = ("ME", "客户", "用户", "customer", "user")
_KEYS = ("prefixes", "nodes", "edges", "start", "repeat", "unrecognised", "join", "window")


@dataclass(frozen=True)
class ParsedFlow:
    """What a flow file says.

    Attributes:
        nodes: Phrases, context and ``ask`` by node name.
        edges: Source, target, labels and phrases.
        settings: The other arguments of ``Flow``.
    """

    nodes: dict[str, tuple[tuple[str, ...], str, bool]]
    edges: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]
    settings: dict[str, Any]


def parse_flow(data: Mapping[str, Any], source: str) -> ParsedFlow:
    """Reads the parsed YAML.

    Raises:
        ConfigError: With every key that is foreign, missing or of the wrong kind.
    """
    form = Form()
    form.known(data, _KEYS, "the file")
    nodes = _nodes(form, data.get("nodes"))
    edges = _edges(form, data.get("edges"))
    prefixes = form.mapping(data.get("prefixes"), ("robot", "customer"), "prefixes")
    unrecognised = data.get("unrecognised", "break")
    if unrecognised not in ("break", "keep"):
        form.problems.append("unrecognised: write break (the node ends) or keep (it lives on)")
    join, window = data.get("join", True), data.get("window", 0)
    if not isinstance(join, bool):
        form.problems.append("join: write true or false")
    if not isinstance(window, int) or isinstance(window, bool) or window < 0:
        form.problems.append("window: write a number of turns, 0 or more")
    settings = {
        "robot": form.names(prefixes.get("robot", list(ROBOT)), "prefixes: robot", needed=True),
        "customer": form.names(prefixes.get("customer", list(CUSTOMER)), "prefixes: customer", needed=True),
        "repeat": form.names(data.get("repeat"), "repeat"),
        "start": form.names(data.get("start"), "start"),
        "keep_node": unrecognised == "keep",
        "join": join,
        "window": window,
    }
    if form.problems:
        problems = [f"{source}: {problem}" for problem in form.problems]
        raise ConfigError(f"{source}: the flow cannot be read", hint="correct the flow file", problems=problems)
    return ParsedFlow(nodes, edges, settings)


def _nodes(form: Form, value: Any) -> dict[str, tuple[tuple[str, ...], str, bool]]:
    nodes: dict[str, tuple[tuple[str, ...], str, bool]] = {}
    if not isinstance(value, dict) or not value:
        form.problems.append("nodes: write name -> {phrases: [...]}, at least one")
        return nodes
    for key, entry in value.items():
        where = f"node {key!r}"
        name = form.name(key, where)
        if name in nodes:
            form.problems.append(f"{where}: stands there twice")
        if isinstance(entry, list):
            entry = {"phrases": entry}
        entry = form.mapping(entry, ("phrases", "context", "ask"), where)
        ask = entry.get("ask", True)
        if not isinstance(ask, bool):
            form.problems.append(f"{where}: ask: write true or false")
        context = form.name(entry.get("context", name), f"{where}: context")
        if "\n" in context:
            form.problems.append(f"{where}: context is one line")
        nodes[name] = form.names(entry.get("phrases"), f"{where}: phrases", needed=True), context, ask is not False
    return nodes


def _edges(form: Form, value: Any) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    edges = []
    if value is not None and not isinstance(value, list):
        form.problems.append("edges: write a list of {from: NODE, to: NODE, labels: [...]}")
        value = None
    for number, entry in enumerate(value or (), 1):
        where = f"edges: number {number}"
        if not isinstance(entry, dict) or "from" not in entry or "to" not in entry:
            form.problems.append(f"{where}: write {{from: NODE, to: NODE, labels: [...]}}")
            continue
        entry = form.mapping(entry, ("from", "to", "labels", "phrases"), where)
        lists = [form.names(entry.get(key), f"{where}: {key}", needed=key in entry) for key in ("labels", "phrases")]
        ends = [form.name(entry[key], f"{where}: {key}") for key in ("from", "to")]
        edges.append((ends[0], ends[1], lists[0], lists[1]))
    return edges


class Form:
    """Values of the right kind; what is wrong is noted in ``problems`` and replaced by something harmless."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def known(self, data: Mapping[Any, Any], keys: tuple[str, ...], where: str) -> None:
        self.problems += [f"{where}: unknown key {key!r} (known: {', '.join(keys)})" for key in data if key not in keys]

    def mapping(self, value: Any, keys: tuple[str, ...], where: str) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.problems.append(f"{where}: write {{{keys[0]}: [...]}}")
            return {}
        self.known(value, keys, where)
        return value

    def name(self, value: Any, where: str) -> str:
        if not isinstance(value, (str, int, float)) or isinstance(value, bool) or not str(value).strip():
            self.problems.append(f"{where}: {value!r} is no name (write yes/no/on/off in quotes)")
            return ""
        return str(value).strip()

    def names(self, value: Any, where: str, *, needed: bool = False) -> tuple[str, ...]:
        """A list of names; a single name is a list of one."""
        items = value if isinstance(value, list) else [] if value is None else [value]
        if needed and not items:
            self.problems.append(f"{where}: must not be empty")
        return tuple(dict.fromkeys(self.name(item, where) for item in items))
