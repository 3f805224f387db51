"""Answers of a node for which none of its routes fits, found without going through all answers one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from duobiao.labels import Group
from duobiao.routing.routes import Route

MOST = 500_000
"""Routes that are looked at, over all answers, before the search for those without a route is given up."""

_State = frozenset[frozenset[str]]
"""What the routes still want: one set of labels each."""


class Gaps:
    """Answers of the groups that must answer for which no route fits while nothing else holds.

    A route wants labels and never their absence, so if any answer has no route, one has none in which nothing holds that need
    not: no independent label, and "none of them" in every ``at_most_one`` group.

    The groups answer one after another, first the one that a route with the fewest open labels waits for. An answer drops the
    routes that want another one. Labels that no open route wants are one case, and what the same open routes have shown to
    have a route is not looked at twice.

    Attributes:
        given_up: Whether the search ended before all answers were told apart; what was found until then is true.
    """

    def __init__(self, routes: Sequence[Route], asked: Sequence[Group]) -> None:
        """Prepares the search.

        Args:
            routes: The routes of a node without ``else``.
            asked: The groups of which each row of the node has exactly one label.
        """
        named = {label for route in routes for label in route.labels}
        self.given_up = False
        self._groups = [group for group in asked if named.intersection(group.labels)]
        self._owner = {label: group for group in self._groups for label in group.labels}
        self._order = {label: number for number, label in enumerate(self._owner)}
        self._routes = frozenset(frozenset(route.labels) for route in routes if self._can_fit(route))
        self._covered: set[_State] = set()
        self._looked = 0

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """Each gap once: a label of every group that the routes name, in the order of the groups."""
        for answer in self._search(self._routes):
            yield from itertools.product(*(answer.get(group.name, group.labels) for group in self._groups))

    def _can_fit(self, route: Route) -> bool:
        """Whether it wants labels of these groups alone, and one of each at most."""
        owners = {self._owner[label].name for label in route.labels if label in self._owner}
        return len(owners) == len(set(route.labels))

    def _search(self, state: _State) -> Iterator[dict[str, tuple[str, ...]]]:
        """Gaps as the possible labels by group; a group that is left out may answer anything."""
        if not state:
            yield {}
            return
        self._looked += len(state)
        self.given_up = self.given_up or self._looked > MOST
        if self.given_up or state in self._covered:
            return
        found = False
        group = self._owner[self._next(state)]
        for labels, left in _split(state, group):
            if frozenset() not in left:
                for answer in self._search(left):
                    found = True
                    yield {group.name: labels, **answer}
        if not found and not self.given_up:
            self._covered.add(state)

    def _next(self, state: _State) -> str:
        """The first label of a route with the fewest."""
        shortest = min(state, key=self._rank)
        return min(shortest, key=self._order.__getitem__)

    def _rank(self, route: frozenset[str]) -> tuple[int, list[int]]:
        return len(route), sorted(self._order[label] for label in route)


def _split(state: _State, group: Group) -> Iterator[tuple[tuple[str, ...], _State]]:
    """Answers of a group, with what the routes want after each; those that no route wants together, as the last."""
    own = frozenset(group.labels)
    others: set[frozenset[str]] = set()
    wanting: dict[str, set[frozenset[str]]] = {}
    for route in state:
        wanted = route & own
        if wanted:
            wanting.setdefault(next(iter(wanted)), set()).add(route - wanted)
        else:
            others.add(route)
    for label in group.labels:
        if label in wanting:
            yield (label,), frozenset(others | wanting[label])
    unwanted = tuple(label for label in group.labels if label not in wanting)
    if unwanted:
        yield unwanted, frozenset(others)
