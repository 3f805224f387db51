"""Routes: read, checked, applied."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.errors import ConfigError
from duobiao.labels import Group, LabelSpace
from duobiao.routing import Routes, check_routes, gaps, load_routes, summary
from duobiao.routing.draw import render_mermaid, render_routes
from duobiao.routing.gaps import Gaps
from duobiao.routing.layout import arrange
from duobiao.routing.routes import Route

SPACE = LabelSpace.from_dict(
    {
        "labels": ["投诉", "咨询"],
        "groups": {
            "身份确认": {"labels": ["是", "否", "不明"], "contexts": ["身份确认"]},
            "时间": {"labels": ["可以", "不行"], "contexts": ["时间确认"]},
            "升级": {"labels": ["找经理"], "at_most_one": True},
        },
    }
)
GOOD: dict[str, Any] = {
    "start": "身份确认",
    "actions": ["转人工", "挂机"],
    "review": "转人工",
    "nodes": {
        "身份确认": [
            {"labels": ["是", "投诉"], "to": "转人工"},
            {"labels": "是", "to": "时间确认"},
            {"labels": "否", "to": "挂机"},
            {"labels": "不明", "to": "身份确认"},
        ],
        "时间确认": [{"labels": "可以", "to": "挂机"}, {"else": "身份确认"}],
        "*": [{"labels": "咨询", "to": "身份确认"}, {"else": "转人工"}],
    },
}


def changed(**nodes: Any) -> dict[str, Any]:
    return {**GOOD, "nodes": {**GOOD["nodes"], **nodes}}


def problems(data: dict[str, Any], space: LabelSpace | None = SPACE) -> str:
    with pytest.raises(ConfigError) as error:
        check_routes(Routes.from_dict(data), space)
    return str(error.value)


def test_the_first_route_that_fits_decides() -> None:
    routes = Routes.from_dict(GOOD)
    check_routes(routes, SPACE)
    assert routes.next("身份确认", ["投诉", "是"]) == "转人工"
    assert routes.next("身份确认\n更早的一轮", ["是"]) == "时间确认"
    assert routes.next("身份确认", ["不明", "找经理"]) == "身份确认"
    assert routes.next("时间确认", []) == "身份确认"
    assert routes.next("没有的节点", ["咨询"]) == "身份确认"
    assert routes.next(None, []) == "转人工"
    assert routes.next("身份确认", ["是"], unsure=True) == "转人工"
    assert summary(routes) == {"nodes": 3, "routes": 8, "actions": 2, "loops": 1}


def test_without_a_route_there_is_no_next() -> None:
    routes = Routes.from_dict({"actions": ["a"], "nodes": {"n": [{"labels": "x", "to": "a"}]}})
    assert routes.next("n", ["y"]) is None
    assert routes.next("m", ["x"]) is None
    assert routes.next("n", ["x"], unsure=True) == "a"  # no 'review': unsure rows follow the routes


LABELS = [*SPACE.names]


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.lists(st.sampled_from(LABELS), min_size=1, max_size=2, unique=True), min_size=1, max_size=5),
    st.booleans(),
)
def test_a_gap_is_told_if_and_only_if_some_answer_has_no_route(wanted: list[list[str]], last: bool) -> None:
    """Against all answers that the label space allows at the node."""
    lines: list[dict[str, Any]] = [{"labels": labels, "to": "挂机"} for labels in wanted]
    nodes = {"身份确认": [*lines, *([{"else": "挂机"}] if last else [])], "*": [{"else": "挂机"}]}
    routes = Routes.from_dict({"actions": ["挂机"], "nodes": nodes})
    answers = (
        [one for one in (identity, *free, boss) if one]
        for identity in ("是", "否", "不明")
        for free in itertools.product(("投诉", None), ("咨询", None))
        for boss in ("找经理", None)
    )
    gap = any(routes.next("身份确认", answer) is None for answer in answers)
    try:
        check_routes(routes, SPACE)
        told = ""
    except ConfigError as error:
        told = str(error)
    assert ("answers without a route" in told) == gap


def exclusive(groups: int, labels: int) -> tuple[Group, ...]:
    """Groups ``0``, ``1``, ... of labels ``0.0``, ``0.1``, ..."""
    return tuple(Group(str(group), tuple(f"{group}.{label}" for label in range(labels))) for group in range(groups))


@st.composite
def small_nodes(draw: st.DrawFn) -> tuple[LabelSpace, list[Route]]:
    """A label space with some of everything, and routes that want some of its labels."""
    groups = [
        Group(str(at), tuple(f"{at}.{label}" for label in range(draw(st.integers(2, 4)))), at_most_one=draw(st.booleans()))
        for at in range(draw(st.integers(1, 4)))
    ]
    space = LabelSpace(tuple(f"free {at}" for at in range(draw(st.integers(0, 2)))), tuple(groups))
    wanted = st.lists(st.sampled_from(space.names), min_size=1, max_size=3, unique=True)
    return space, [Route(tuple(labels), "a") for labels in draw(st.lists(wanted, min_size=1, max_size=12))]


@settings(deadline=None, max_examples=300)
@given(small_nodes())
def test_gaps_are_those_of_all_answers_one_by_one(node: tuple[LabelSpace, list[Route]]) -> None:
    space, lines = node
    routes = Routes({"n": tuple(lines)}, ("a",))
    choices = [(*group.labels, None) if group.at_most_one else group.labels for group in space.groups]
    choices += [(label, None) for label in space.independent]
    answers = [[label for label in one if label is not None] for one in itertools.product(*choices)]
    missing = [answer for answer in answers if routes.next("n", answer) is None]
    asked = [group for group in space.groups if not group.at_most_one]
    found = list(Gaps(lines, asked))
    assert bool(found) == bool(missing)
    assert all(routes.next("n", answer) is None for answer in found)
    named = {label for route in lines for label in route.labels}
    must = [group for group in asked if named.intersection(group.labels)]
    own = {label for group in must for label in group.labels}
    assert sorted(found) == sorted({tuple(label for label in answer if label in own) for answer in missing})


def test_gaps_are_found_in_spaces_too_large_to_go_through() -> None:
    """Of 27,000 answers one has no route, the very last."""
    space = LabelSpace((), exclusive(3, 30))
    alone = [{"labels": f"{group}.{label}", "to": "a"} for group in range(3) for label in range(29)]
    data = {"actions": ["a"], "nodes": {"*": alone}}
    assert "node '*': answers without a route: 0.29 + 1.29 + 2.29; add them" in problems(data, space)
    check_routes(Routes.from_dict({**data, "nodes": {"*": [*alone, {"labels": "2.29", "to": "a"}]}}), space)


def two_alike(groups: int) -> dict[str, Any]:
    """A route for each two groups with the same label: with one label less than groups, some two always have."""
    pairs = [(one, other, label) for one, other in itertools.combinations(range(groups), 2) for label in range(groups - 1)]
    lines = [{"labels": [f"{one}.{label}", f"{other}.{label}"], "to": "a"} for one, other, label in pairs]
    return {"actions": ["a"], "nodes": {"*": lines}}


def test_routes_that_cover_all_answers_only_together_have_no_gap() -> None:
    check_routes(Routes.from_dict(two_alike(6)), LabelSpace((), exclusive(6, 5)))
    assert "answers without a route: 0.0 + 1.1 + 2.2" in problems(two_alike(6), LabelSpace((), exclusive(6, 6)))


def test_where_gaps_cannot_be_told_an_else_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "MOST", 1000)
    data, space = two_alike(6), LabelSpace((), exclusive(6, 5))
    assert "node '*': its routes are too entangled to tell whether every answer has one; add an 'else'" in problems(data, space)
    data["nodes"]["*"].append({"else": "a"})
    check_routes(Routes.from_dict(data), space)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (changed(身份确认=GOOD["nodes"]["身份确认"][:3]), "node '身份确认': answers without a route: 不明"),
        (changed(时间确认=[{"labels": "投诉", "to": "挂机"}]), "none of the labels in its routes"),
        (changed(身份确认=[{"labels": "没有", "to": "挂机"}, {"else": "时间确认"}]), "'没有' is no label of the bundle"),
        (changed(时间确认=[{"labels": "是", "to": "挂机"}, {"else": "挂机"}]), "'身份确认', which is not asked of this node"),
        (changed(时间确认=[{"labels": ["可以", "不行"], "to": "挂机"}, {"else": "挂机"}]), "exclude each other"),
        (changed(时间确认=[{"else": "挂机"}, {"labels": "可以", "to": "转人工"}]), "route 2 (可以): never taken"),
        (changed(时间确认=[{"labels": "可以", "to": "去哪"}, {"else": "挂机"}]), "no such node or action: '去哪'"),
        (changed(孤岛=[{"else": "挂机"}]), "node '孤岛': no edge leads there from start"),
        (changed(时间确认=[{"else": "时间确认"}]), "a cycle that no edge leaves"),
        ({**GOOD, "start": "哪里"}, "start: there is no such node: '哪里'"),
        ({**GOOD, "review": "哪里"}, "review: there is no such node or action"),
        ({**GOOD, "actions": ["转人工", "挂机", "时间确认"]}, "'时间确认' is both a node and an action"),
    ],
)
def test_what_is_wrong_is_told(data: dict[str, Any], said: str) -> None:
    assert said in problems(data)


def test_everything_is_told_at_once() -> None:
    told = problems(changed(身份确认=[{"labels": "没有", "to": "去哪"}], 时间确认=[{"labels": ["可以", "不行"], "to": "挂机"}]))
    for words in ("'没有' is no label", "'去哪'", "exclude each other", "answers without a route"):
        assert words in told


def test_nodes_of_the_bundle_without_routes_are_gaps_unless_the_rest_has_some() -> None:
    nodes = {name: lines for name, lines in GOOD["nodes"].items() if name != "*"}
    check_routes(Routes.from_dict({**GOOD, "nodes": nodes}), SPACE)
    del nodes["时间确认"]
    nodes["身份确认"] = [{"else": "挂机"}]
    assert "node '时间确认': the bundle has answers to it" in problems({**GOOD, "nodes": nodes})


REVIEWED = {**changed(复核=[{"labels": "投诉", "to": "回访"}, {"else": "时间确认"}], 回访=[{"else": "挂机"}]), "review": "复核"}


def test_a_node_that_only_unsure_rows_reach_is_reached() -> None:
    routes = Routes.from_dict(REVIEWED)
    check_routes(routes, SPACE)
    assert routes.next("身份确认", ["是"], unsure=True) == "复核"
    assert "node '复核': no edge leads there from start" in problems({**REVIEWED, "review": "转人工"})


def test_without_a_bundle_every_node_needs_an_else() -> None:
    assert "node '身份确认': no 'else'" in problems(GOOD, None)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "nodes: write"),
        ({"nodes": {"n": []}}, "node 'n': write a list"),
        ({"nodes": {"n": [{"labels": "a"}]}}, "node 'n', route 1: write"),
        ({"nodes": {"n": [{"labels": [], "to": "b"}]}}, "labels: must not be empty"),
        ({"nodes": {"n": [{"else": "a", "to": "b"}]}}, "node 'n', route 1: write"),
        ({"nodes": {"n": [{"else": True}]}}, "is no name"),
        ({"nodes": {"n": [{"else": "a"}]}, "starts": "n"}, "unknown key 'starts'"),
    ],
)
def test_files_of_another_form_are_refused(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        Routes.from_dict(data)
    assert said in str(error.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text("nodes: {}\nnodes: {}\n", encoding="utf-8")
    for name in ("twice.yaml", "nowhere.yaml"):
        with pytest.raises(ConfigError, match=name):
            load_routes(tmp_path / name)


# ---- drawing -----------------------------------------------------------------------------------------


def test_every_node_route_and_action_is_in_the_picture() -> None:
    data = changed(身份确认=[*GOOD["nodes"]["身份确认"][:3], {"labels": "不明", "to": "<b>&"}])
    data["actions"] = [*data["actions"], "<b>&"]
    routes = Routes.from_dict(data)
    svg, text = render_routes(routes, language="en"), render_mermaid(routes, language="en")
    for words in ("身份确认", "时间确认", "any other node", "是 + 投诉", "转人工", "unsure rows"):
        assert words in svg
        assert words in text
    assert "<b>" not in svg
    assert "&lt;b&gt;&amp;" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert text.count("-->") == 9


def test_the_picture_shows_unsure_rows_as_a_way_in() -> None:
    ways = [render_routes(Routes.from_dict({**REVIEWED, "review": to})).count('<path class="way') for to in ("复核", "转人工")]
    assert ways == [ways[1] + 1, ways[1]]
    layout = arrange(Routes.from_dict(REVIEWED), (200, 38))
    column = {box.name: box.layer for box in layout.boxes}
    assert column == {"身份确认": 0, "*": 0, "复核": 0, "时间确认": 1, "回访": 1}
    (box,) = (box for box in layout.boxes if box.name == "复核")
    (way,) = (way for way in layout.ways if way.path.startswith("M200.0,38.0 "))
    assert not way.back
    assert way.path.endswith(f"{box.entry[1]:.1f} H{box.entry[0] - 7:.1f}")


def test_boxes_do_not_overlap_and_ways_have_a_lane_each() -> None:
    nodes = {f"n{at}": [{"labels": "x", "to": f"n{(at * 3 + 1) % 9}"}, {"else": f"n{(at + 1) % 9}"}] for at in range(9)}
    layout = arrange(Routes.from_dict({"start": "n0", "nodes": nodes}))
    for one, other in itertools.combinations(layout.boxes, 2):
        apart = one.x + one.width < other.x or other.x + other.width < one.x
        assert apart or one.y + one.height < other.y or other.y + other.height < one.y
    for box in layout.boxes:
        assert box.x >= 0
        assert box.x + box.width <= layout.width
        assert box.y + box.height <= layout.height
    assert len(layout.ways) == 18
    assert any(way.back for way in layout.ways)
