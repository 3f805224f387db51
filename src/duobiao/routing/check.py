"""What is wrong with routes: foreign labels, dead lines, gaps, nodes that nothing leads to, loops without a way out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from duobiao.bundle import read_manifest
from duobiao.data.flow_graph import cycles, dead_ends, unreachable
from duobiao.errors import ConfigError
from duobiao.labels import LabelSpace
from duobiao.routing.gaps import Gaps
from duobiao.routing.routes import ANY, Route, Routes

_SHOWN = 3


def check_routes(routes: Routes, space: LabelSpace | None = None) -> None:
    """Checks routes as a graph and, with a label space, against what can be decided.

    Raises:
        ConfigError: With everything that is wrong.
    """
    problems = [*_names(routes), *_lines(routes)]
    ways = ways_of(routes)
    named = [name for name in routes.nodes if name != ANY]
    if not any("no such" in problem for problem in problems):
        entered = [*(to for at, to in ways if at == ANY), routes.review]
        begins = tuple(dict.fromkeys([*routes.start, *(to for to in entered if to in named)]))
        problems += unreachable(named, ways, begins) if routes.start else []
        over = routes.actions[0] if routes.actions else "an action"
        problems += dead_ends(named, [(at, to if to in named else over) for at, to in ways], over)
    if space is not None:
        problems += [*_labels(routes, space), *_gaps(routes, space)]
    else:
        problems += [f"node {name!r}: no 'else' (and no bundle to tell whether one is needed)" for name in _open(routes)]
    if problems:
        hint = (
            "correct the routes file; give the bundle it is for with --bundle" if space is None else "correct the routes file"
        )
        raise ConfigError(f"{routes.source}: {len(problems)} problems with the routes", hint=hint, problems=problems)


def summary(routes: Routes) -> dict[str, int]:
    """Counts of ``nodes``, ``routes``, ``actions`` and ``loops``."""
    named = [name for name in routes.nodes if name != ANY]
    return {
        "nodes": len(routes.nodes),
        "routes": sum(len(lines) for lines in routes.nodes.values()),
        "actions": len(routes.actions),
        "loops": len(cycles(named, ways_of(routes))),
    }


def load_routes(path: str | Path, bundle: str | Path | None = None) -> Routes:
    """Reads a routes file and checks it, against a bundle where one is given.

    Raises:
        ConfigError: With everything that is wrong.
        BundleError: If the bundle cannot be read.
    """
    routes = Routes.from_yaml(path)
    space = None if bundle is None else LabelSpace.from_dict(read_manifest(bundle)["label_space"], str(bundle))
    check_routes(routes, space)
    return routes


def ways_of(routes: Routes) -> list[tuple[str, str]]:
    """Every way from a node to where it leads."""
    return list(dict.fromkeys((node, route.to) for node, lines in routes.nodes.items() for route in lines))


def _names(routes: Routes) -> Iterator[str]:
    known = f"nodes: {', '.join(routes.nodes)}; actions: {', '.join(routes.actions) or 'none'}"
    for name in routes.actions:
        if name in routes.nodes:
            yield f"{name!r} is both a node and an action"
    for name in routes.start:
        if name not in routes.nodes or name == ANY:
            yield f"start: there is no such node: {name!r} ({known})"
    targets = [(f"node {node!r}", to) for node, to in ways_of(routes)]
    for where, to in [*targets, *([("review", routes.review)] if routes.review is not None else [])]:
        if (to not in routes.nodes and to not in routes.actions) or to == ANY:
            yield f"{where}: there is no such node or action: {to!r} ({known})"


def _lines(routes: Routes) -> Iterator[str]:
    for node, lines in routes.nodes.items():
        for number, route in enumerate(lines, 1):
            first = next(
                (at for at, other in enumerate(lines[: number - 1], 1) if set(other.labels) <= set(route.labels)), None
            )
            if first is not None:
                yield f"node {node!r}, route {number} ({_told(route)}): never taken, for route {first} fits whenever it does"


def _labels(routes: Routes, space: LabelSpace) -> Iterator[str]:
    owner = {label: group for group in space.groups for label in group.labels}
    for node, lines in routes.nodes.items():
        for number, route in enumerate(lines, 1):
            where = f"node {node!r}, route {number}"
            groups: dict[str, str] = {}
            for label in route.labels:
                if label not in space.index:
                    yield f"{where}: {label!r} is no label of the bundle"
                    continue
                group = owner.get(label)
                if group is not None and not group.is_asked(None if node == ANY else node) and node != ANY:
                    yield f"{where}: {label!r} belongs to group {group.name!r}, which is not asked of this node"
                if group is not None and groups.setdefault(group.name, label) != label:
                    yield f"{where}: {groups[group.name]!r} and {label!r} exclude each other"


def _gaps(routes: Routes, space: LabelSpace) -> Iterator[str]:
    """Answers for which no route of their node fits, and nodes of the label space without routes."""
    for node in _open(routes):
        asked = [group for group in space.groups if not group.at_most_one and group.is_asked(None if node == ANY else node)]
        gaps = Gaps(routes.nodes[node], asked)
        missing = list(itertools.islice(gaps, _SHOWN + 1))
        if missing:
            shown = "; ".join(" + ".join(answer) or "none of the labels in its routes" for answer in missing[:_SHOWN])
            more = ", and more" if len(missing) > _SHOWN else ""
            yield f"node {node!r}: answers without a route: {shown}{more}; add them, or an 'else'"
        elif gaps.given_up:
            yield f"node {node!r}: its routes are too entangled to tell whether every answer has one; add an 'else'"
    if ANY not in routes.nodes:
        contexts = dict.fromkeys(name for group in space.groups for name in group.contexts or ())
        for name in contexts:
            if name not in routes.nodes:
                yield f"node {name!r}: the bundle has answers to it, but there are no routes; add it, or {ANY!r} for the rest"


def _open(routes: Routes) -> list[str]:
    """Nodes without ``else``."""
    return [name for name, lines in routes.nodes.items() if not any(route.is_else for route in lines)]


def _told(route: Route) -> str:
    return "else" if route.is_else else " + ".join(route.labels)
