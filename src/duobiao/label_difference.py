"""In words, how one label space differs from another."""

from __future__ import annotations

from duobiao.labels import Group, LabelSpace


def difference(one: LabelSpace, other: LabelSpace, mine: str = "the first", theirs: str = "the second") -> list[str]:
    """Every label, group, and question that differs, a line each; empty when the spaces are the same.

    Args:
        one: A label space.
        other: Another.
        mine: What the first is called.
        theirs: What the other is called.
    """
    if one == other:
        return []
    found = [f"only in {mine}: {name}" for name in one.names if name not in other.index]
    found += [f"only in {theirs}: {name}" for name in other.names if name not in one.index]
    found += _moved(one, other, mine, theirs)
    ours, others = ({group.name: group for group in space.groups} for space in (one, other))
    for name in {**ours, **others}:
        if name in ours and name in others:
            found += [f"group {name}: {told}" for told in _asks_otherwise(ours[name], others[name], mine, theirs)]
        else:
            found.append(f"group {name}: only in {mine if name in ours else theirs}")
    return found or [f"the same {'nodes' if one.names == other.names else 'labels'} in another order"]


def _moved(one: LabelSpace, other: LabelSpace, mine: str, theirs: str) -> list[str]:
    """Labels that both have, at different places; those that went the same way stand in one line."""
    places = [{label: group.name for group in space.groups for label in group.labels} for space in (one, other)]
    ways: dict[tuple[str | None, str | None], list[str]] = {}
    for label in one.names:
        way = places[0].get(label), places[1].get(label)
        if label in other.index and way[0] != way[1]:
            ways.setdefault(way, []).append(label)
    return [f"{', '.join(labels)}: {_place(way[0])} in {mine}, {_place(way[1])} in {theirs}" for way, labels in ways.items()]


def _place(group: str | None) -> str:
    return "independent" if group is None else f"of the group {group}"


def _asks_otherwise(one: Group, other: Group, mine: str, theirs: str) -> list[str]:
    """What two groups of one name ask otherwise, their labels aside."""
    found = []
    if one.at_most_one != other.at_most_one:
        found.append(f"{_answers(one)} in {mine}, {_answers(other)} in {theirs}")
    if one.contexts is None or other.contexts is None:
        if one.contexts != other.contexts:
            found.append(f"asked of {_nodes(one)} in {mine}, of {_nodes(other)} in {theirs}")
        return found
    for group, contexts, name in ((one, other.contexts, mine), (other, one.contexts, theirs)):
        more = [node for node in group.contexts or () if node not in contexts]
        found += [f"asked of {', '.join(more)} only in {name}"] if more else []
    return found


def _answers(group: Group) -> str:
    return "one label or none (at_most_one)" if group.at_most_one else "exactly one label"


def _nodes(group: Group) -> str:
    return "every row" if group.contexts is None else ", ".join(group.contexts)
