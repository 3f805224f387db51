"""Where the boxes and ways of a routes picture lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from duobiao.routing.routes import ANY, Route, Routes

LINE, HEAD, PAD = 24, 34, 14
GAP_X, GAP_Y, LANE, MARGIN, TITLE = 72, 28, 12, 28, 44


@dataclass(frozen=True)
class Box:
    """A node with its routes, in pixels from the upper left.

    Attributes:
        name: The node.
        lines: Its routes.
        layer: Its column.
        x: Left side.
        y: Upper side.
        width: Of the box.
    """

    name: str
    lines: tuple[Route, ...]
    layer: int
    x: float
    y: float
    width: float

    @property
    def height(self) -> float:
        return HEAD + LINE * len(self.lines) + 8

    def port(self, number: int) -> tuple[float, float]:
        """Where the way of a route begins."""
        return self.x + self.width, self.y + HEAD + LINE * (number + 0.5)

    @property
    def entry(self) -> tuple[float, float]:
        """Where ways end."""
        return self.x, self.y + HEAD / 2


@dataclass(frozen=True)
class Way:
    """A line from a route to a node.

    Attributes:
        path: Its SVG path.
        back: Whether it leads back, to the same or an earlier column.
    """

    path: str
    back: bool


@dataclass(frozen=True)
class Layout:
    """The picture."""

    boxes: tuple[Box, ...]
    ways: tuple[Way, ...]
    width: float
    height: float


def width_of(text: str, size: float = 13) -> float:
    """About how wide a text is: Chinese characters are square, others a little over half."""
    return sum(size * (0.58 if ord(character) < 0x2E80 else 1.02) for character in text)


def words_of(route: Route) -> str:
    """What a route asks for."""
    return " + ".join(route.labels) if route.labels else "else"


def arrange(routes: Routes, review_at: tuple[float, float] | None = None) -> Layout:
    """Columns by the number of steps from the start; ways that skip a column run above, those that lead back below.

    Args:
        routes: The routes.
        review_at: Where, above the boxes, the way of unsure rows to their node begins; without, it is not drawn.
    """
    layers = _layers(routes)
    columns: list[list[str]] = [[] for _ in range(max(layers.values()) + 1)]
    for name in routes.nodes:
        columns[layers[name]].append(name)
    links = [(name, number, route.to) for name, lines in routes.nodes.items() for number, route in enumerate(lines)]
    links = [link for link in links if link[2] in routes.nodes]
    above = [link for link in links if layers[link[2]] > layers[link[0]] + 1]
    below = [link for link in links if layers[link[2]] <= layers[link[0]]]
    room = GAP_X + 2 * LANE * max(1, len(above) + len(below)) ** 0.5
    reviewed = routes.review if review_at is not None and routes.review in routes.nodes else None
    levels = [TITLE + MARGIN / 2 + LANE * n for n in range((reviewed is not None) + len(above))]
    top = TITLE + MARGIN + LANE * len(levels)
    boxes: dict[str, Box] = {}
    x = MARGIN + LANE * len(below) ** 0.5 + 16
    tall = max(_tall(routes, names) for names in columns)
    for layer, names in enumerate(columns):
        width = max((_wide(routes, name) for name in names), default=0.0)
        y = top + (tall - _tall(routes, names)) / 2
        for name in names:
            boxes[name] = Box(name, routes.nodes[name], layer, x, y, width)
            y += boxes[name].height + GAP_Y
        x += width + room
    ways = [Way(_curve(boxes[a].port(n), boxes[b].entry), False) for a, n, b in links if (a, n, b) not in (*above, *below)]
    if reviewed is not None and review_at is not None:
        ways.append(Way(_way_in(review_at, boxes[reviewed].entry, levels.pop(0)), False))
    ways += [Way(_lane(boxes, link, level, n), False) for n, (link, level) in enumerate(zip(above, levels, strict=True))]
    bottom = top + tall
    ways += [Way(_lane(boxes, link, bottom + LANE * (n + 1), n), True) for n, link in enumerate(below)]
    return Layout(tuple(boxes.values()), tuple(ways), x - room + MARGIN + 40, bottom + LANE * len(below) + MARGIN)


def _layers(routes: Routes) -> dict[str, int]:
    """The column of each node: the fewest steps from the start; what nothing, or only ``review``, leads to is in the first."""
    first = [name for name in routes.nodes if name in routes.start or name == ANY]
    found: dict[str, int] = {}
    for begins in (first or list(routes.nodes)[:1], [name for name in routes.nodes if name == routes.review]):
        waiting = [name for name in begins if name not in found]
        found.update(dict.fromkeys(waiting, 0))
        for name in waiting:
            for route in routes.nodes[name]:
                if route.to in routes.nodes and route.to not in found:
                    found[route.to] = found[name] + 1
                    waiting.append(route.to)
    return {name: found.get(name, 0) for name in routes.nodes}


def _wide(routes: Routes, name: str) -> float:
    longest = max((width_of(words_of(route)) + width_of(route.to) + 34 for route in routes.nodes[name]), default=0)
    return max(150.0, longest + 2 * PAD, width_of(name, 15) + 2 * PAD)


def _tall(routes: Routes, names: Sequence[str]) -> float:
    return sum(HEAD + LINE * len(routes.nodes[name]) + 8 for name in names) + GAP_Y * max(len(names) - 1, 0)


def _curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (to, at) = start, end
    middle = (to - x) * 0.55
    return f"M{x:.1f},{y:.1f} C{x + middle:.1f},{y:.1f} {to - middle:.1f},{at:.1f} {to - 7:.1f},{at:.1f}"


def _lane(boxes: dict[str, Box], link: tuple[str, int, str], level: float, number: int) -> str:
    """Out to the right, along a level of its own, and in from the left, with round corners."""
    (x, y), end = boxes[link[0]].port(link[1]), boxes[link[2]].entry
    right, left, r = x + 14 + 5 * (number % 6), end[0] - 16 - 5 * (number % 6), 6.0
    first = r if level > y else -r
    out = f"M{x:.1f},{y:.1f} H{right - r:.1f} Q{right:.1f},{y:.1f} {right:.1f},{y + first:.1f} V{level - first:.1f}"
    return f"{out} {_along(right, left, level, end)}"


def _way_in(start: tuple[float, float], end: tuple[float, float], level: float) -> str:
    """Down to a level of its own, and in from the left."""
    (x, y), r = start, 6.0
    return f"M{x:.1f},{y:.1f} V{level - r:.1f} {_along(x, end[0] - 13, level, end)}"


def _along(right: float, left: float, level: float, end: tuple[float, float]) -> str:
    """The rest of a lane: from a vertical line at ``right`` along the level to one at ``left``, and into the box."""
    (to, at), r = end, 6.0
    second, turn = (r if at > level else -r), (r if left > right else -r)
    return (
        f"Q{right:.1f},{level:.1f} {right + turn:.1f},{level:.1f} H{left - turn:.1f} "
        f"Q{left:.1f},{level:.1f} {left:.1f},{level + second:.1f} V{at - second:.1f} "
        f"Q{left:.1f},{at:.1f} {left + r:.1f},{at:.1f} H{to - 7:.1f}"
    )
