"""The edges of a flow as a graph: nodes that no call reaches, and cycles, with and without a way out."""

from __future__ import annotations

from collections.abc import Collection, Iterable

Ways = Iterable[tuple[str, str]]


def unreachable(nodes: Collection[str], ways: Ways, start: Collection[str]) -> list[str]:
    """Problems of nodes that no edge leads to from ``start``; none where start or edges are not given."""
    after = _successors(nodes, ways)
    if not start or not any(after.values()):
        return []
    seen = set(start).union(*(_reachable(name, after) for name in start))
    return [f"node {name!r}: no edge leads there from start ({', '.join(start)})" for name in nodes if name not in seen]


def dead_ends(nodes: Collection[str], ways: Ways, end: str) -> list[str]:
    """Problems of cycles that no edge leaves."""
    ways = tuple(ways)
    after = _successors(nodes, ways)
    over = {source for source, target in ways if target == end}
    problems = []
    for cycle in cycles(nodes, ways):
        inside = set(cycle)
        if not over & inside and not any(after[name] - inside for name in cycle):
            problems.append(
                f"nodes {', '.join(map(repr, cycle))}: a cycle that no edge leaves; add an edge to another node or to {end!r}"
            )
    return problems


def cycles(nodes: Collection[str], ways: Ways) -> tuple[tuple[str, ...], ...]:
    """Groups of nodes that reach each other (a node that reaches only itself is a group of one), in node order."""
    after = _successors(nodes, ways)
    reach = {name: _reachable(name, after) for name in nodes}
    found: dict[tuple[str, ...], None] = {}
    for name in nodes:
        if name in reach[name]:
            found[tuple(other for other in nodes if other in reach[name] and name in reach[other])] = None
    return tuple(found)


def _successors(nodes: Collection[str], ways: Ways) -> dict[str, set[str]]:
    after: dict[str, set[str]] = {name: set() for name in nodes}
    for source, target in ways:
        if source in after and target in after:
            after[source].add(target)
    return after


def _reachable(name: str, after: dict[str, set[str]]) -> set[str]:
    """Nodes that one edge or more lead to."""
    seen: set[str] = set()
    waiting = list(after[name])
    while waiting:
        other = waiting.pop()
        if other not in seen:
            seen.add(other)
            waiting += after[other]
    return seen
