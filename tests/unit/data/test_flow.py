"""Flow files: what they must be, how a robot's utterance finds its node, and which weak label an edge gives."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao import builtin
from duobiao.data.flow import Flow, Recognised, normalize
from duobiao.data.flow_graph import cycles
from duobiao.errors import ConfigError
from duobiao.labels import LabelSpace


def flow(nodes: dict[str, Any], edges: Any = None, **more: Any) -> Flow:
    return Flow.from_dict({"nodes": nodes, "edges": edges, **more})


def refused(data: Any) -> str:
    with pytest.raises(ConfigError) as error:
        Flow.from_dict(data)
    assert error.value.problems
    assert error.value.hint
    return str(error.value)


# ---- the file ---------------------------------------------------------------------------------------------


def test_the_built_in_flow_fits_its_label_space():
    folder = builtin.folder("callback")
    space = LabelSpace.from_yaml(folder / "labels.yaml")
    found = Flow.from_yaml(folder / "flow.yaml", space)
    assert {group.name for group in space.groups} < set(found.nodes)


def test_a_phrase_in_two_nodes_names_both():
    message = refused({"nodes": {"身份": ["客户本人", "您好"], "地址": ["地址", "客户本人"], "时间": ["您 好！"]}})
    assert "phrase '客户本人' stands in node '地址' and in node '身份'" in message
    assert "phrase '您 好！' stands in node '时间' and in node '身份' (written '您好' there" in message


def test_a_phrase_of_a_node_is_no_repeat_phrase_too():
    assert "stands in 'repeat' and in node 'A'" in refused({"nodes": {"A": ["没听清"]}, "repeat": ["没听清"]})


def test_every_problem_is_told_at_once():
    message = refused(
        {
            "nodes": {"A": ["甲"], "B": ["甲"], "C": ["？！"]},
            "edges": [
                {"from": "A", "to": "X", "labels": ["a"]},
                {"from": "Y", "to": "end"},
                {"from": "end", "to": "A"},
            ],
            "start": ["Z"],
            "prefixes": {"robot": ["AI"], "customer": ["ａｉ", "M:E"]},
        }
    )
    for part in (
        "in node 'A'",
        "'？！' holds no letter",
        "node: 'X'",
        "node: 'Y'",
        "after 'end'",
        "node: 'Z'",
        "'ａｉ' stands",
        "'M:E'",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ({}, "nodes: write"),
        ({"nodes": {}}, "nodes: write"),
        ({"nodes": ["A"]}, "nodes: write"),
        ({"nodes": {"A": None}}, "node 'A': phrases: must not be empty"),
        ({"nodes": {"A": {"phrases": []}}}, "must not be empty"),
        ({"nodes": {"A": ["甲"]}, "edge": []}, "unknown key 'edge'"),
        ({"nodes": {"A": {"phrases": ["甲"], "labels": ["x"]}}}, "node 'A': unknown key 'labels'"),
        ({"nodes": {"A": {"phrases": ["甲"], "ask": "nein"}}}, "ask: write true or false"),
        ({"nodes": {"A": {"phrases": ["甲"], "context": "a\nb"}}}, "one line"),
        ({"nodes": {True: ["甲"]}}, "True is no name"),
        ({"nodes": {"A": [["甲"]]}}, "is no name"),
        ({"nodes": {1: ["甲"], "1": ["乙"]}}, "stands there twice"),
        ({"nodes": {"end": ["甲"]}}, "the name is taken"),
        ({"nodes": {"A": ["甲"]}, "edges": {"A": "B"}}, "edges: write a list"),
        ({"nodes": {"A": ["甲"]}, "edges": [{"from": "A"}]}, "number 1: write"),
        ({"nodes": {"A": ["甲"]}, "edges": [{"from": "A", "to": "end", "labels": []}]}, "labels: must not be empty"),
        ({"nodes": {"A": ["甲"]}, "edges": [{"from": "A", "to": "end", "phrases": ["。"]}]}, "holds no letter"),
        ({"nodes": {"A": ["甲"]}, "edges": [{"from": "A", "to": "end"}] * 2}, "stands there twice without phrases"),
        ({"nodes": {"A": {"phrases": "甲", "ask": False}}, "edges": [{"from": "A", "to": "end", "labels": "x"}]}, "ask: false"),
        ({"nodes": {"A": ["甲"]}, "window": -1}, "window"),
        ({"nodes": {"A": ["甲"]}, "join": 1}, "join"),
        ({"nodes": {"A": ["甲"]}, "unrecognised": "drop"}, "unrecognised"),
        ({"nodes": {"A": ["甲"]}, "prefixes": {"robot": []}}, "prefixes: robot: must not be empty"),
    ],
)
def test_what_a_flow_file_must_not_hold(data: Any, part: str):
    assert part in refused(data)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (None, "No such file"),
        (b"nodes: [", "not readable as YAML"),
        (b"nodes: {A: [x]}\nnodes: {B: [y]}", "stands there twice"),
        (b"nodes: {A: {phrases: [x], phrases: [y]}}", "stands there twice"),
        (b"? [a]\n: b", "not readable as YAML"),
        (b"", "holds no mapping"),
        (b"- A", "holds no mapping"),
        ("nodes: {A: [是]}".encode("gbk"), "not readable as YAML"),
        (b"[" * 400, "not readable as YAML"),
    ],
)
def test_files_that_are_no_flow(tmp_path: Path, text: bytes | None, part: str):
    path = tmp_path / "flow.yaml"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(ConfigError, match=part) as error:
        Flow.from_yaml(path)
    assert str(path) in str(error.value)


YAML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=4,
)
KEYS = ("prefixes", "nodes", "edges", "start", "repeat", "unrecognised", "join", "window")
ENTRIES = st.dictionaries(st.sampled_from(("from", "to", "labels", "phrases")), YAML_VALUES)
FLOWS = st.dictionaries(st.sampled_from(KEYS), YAML_VALUES | st.lists(ENTRIES, max_size=3), max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    data=FLOWS, nodes=st.dictionaries(st.text(max_size=3), st.lists(st.text(max_size=3), min_size=1), min_size=1) | st.none()
)
def test_whatever_a_flow_file_holds_it_is_a_flow_or_refused(data: dict[str, Any], nodes: Any):
    if nodes is not None:
        data = {**data, "nodes": nodes}
    try:
        Flow.from_dict(data).recognise("甲")
    except ConfigError as error:
        assert error.problems  # noqa: PT017


# ---- edges ------------------------------------------------------------------------------------------------

NODES = {"A": ["甲"], "B": ["乙"], "C": ["丙"]}


def edge(source: str, target: str, *labels: str, **more: Any) -> dict[str, Any]:
    return {"from": source, "to": target, **({"labels": list(labels)} if labels else {}), **more}


def test_a_node_that_start_does_not_lead_to():
    edges = [edge("A", "B"), edge("B", "end")]
    assert "node 'C': no edge leads there from start (A)" in refused({"nodes": NODES, "edges": edges, "start": "A"})
    flow(NODES, [*edges, edge("B", "C")], start="A")
    flow(NODES, edges)  # without start nothing is known
    flow(NODES, None, start="A")  # nor without edges


def test_a_cycle_must_have_a_way_out():
    cycle = [edge("A", "B"), edge("B", "A")]
    assert "nodes 'A', 'B': a cycle that no edge leaves" in refused({"nodes": NODES, "edges": cycle})
    assert "nodes 'A': a cycle" in refused({"nodes": NODES, "edges": [edge("A", "A")]})
    assert flow(NODES, [*cycle, edge("B", "C")]).cycles == (("A", "B"),)
    assert flow(NODES, [*cycle, edge("A", "end")]).cycles == (("A", "B"),)
    assert flow(NODES, [edge("A", "A"), edge("A", "B"), edge("B", "C")]).cycles == (("A",),)


@settings(max_examples=50, deadline=None)
@given(ways=st.sets(st.tuples(st.sampled_from("ABCDE"), st.sampled_from("ABCDE"))))
def test_cycles_are_what_paths_of_any_length_say(ways: set[tuple[str, str]]):
    reach = set(ways)
    while more := {(a, d) for (a, b), (c, d) in itertools.product(reach, reach) if b == c} - reach:
        reach |= more
    expected = {tuple(b for b in "ABCDE" if (a, b) in reach and (b, a) in reach) for a in "ABCDE" if (a, a) in reach}
    assert set(cycles("ABCDE", ways)) == expected


def test_labels_must_fit_the_label_space(tmp_path: Path):
    path = tmp_path / "flow.yaml"
    path.write_text(
        "nodes: {A: [甲], B: {phrases: [乙], context: 乙类}}\n"
        "edges: [{from: A, to: B, labels: [A/是, 天气]}, {from: B, to: end, labels: [A/是]}]",
        encoding="utf-8",
    )
    space = LabelSpace.from_dict({"groups": {"A": {"labels": ["A/是", "A/否"], "contexts": ["A"]}}})
    with pytest.raises(ConfigError) as error:
        Flow.from_yaml(path, space)
    assert len(error.value.problems) == 2
    assert "edge A -> B: label '天气'" in error.value.problems[0]
    assert "edge B -> end: group 'A' is not asked of context '乙类'" in error.value.problems[1]
    assert Flow.from_yaml(path).nodes["B"].context == "乙类"


def test_an_edge_with_phrases_comes_before_the_one_without():
    edges = [edge("A", "B", "可以"), edge("A", "B", "改期", phrases=["改到"]), edge("A", "B", "也改", phrases=["备注"])]
    found = flow(NODES, edges)
    assert found.labels("A", "B", ["好的。", "那乙"]) == ("可以",)
    assert found.labels("A", "B", ["好的，改 到周二。", "那乙"]) == ("改期",)
    assert found.labels("A", "B", ["备注", "改到"]) == ("改期",)
    assert found.labels("A", "B", ["改", "到"]) == ("可以",)  # a phrase does not reach over two utterances
    assert found.labels("B", "A", ["改到"]) == ()


# ---- recognising ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("utterance", "expected"),
    [
        ("您好，请问是客户本人吗？", "身份"),
        ("请问是 客户，本人 吗", "身份"),
        ("时间行吗", "时间"),
        ("ｖｉｐ用户", "会员"),
        ("您是Vip  用户吧", "会员"),
        ("不是客户本人吗", "否认"),  # the longer phrase holds the shorter
        ("客户本人说时间行吗", "时间"),  # equally long: what was asked last
        ("时间行吗，客户本人？", "身份"),
        ("您好", None),
        ("？！", None),
        ("", None),
    ],
)
def test_the_longest_phrase_decides(utterance: str, expected: str | None):
    nodes = {"身份": ["客户本人"], "时间": ["时间行吗"], "会员": ["VIP用户"], "否认": ["不是客户本人"]}
    assert flow(nodes).recognise(utterance).node == expected


def test_other_nodes_in_an_utterance_are_told_but_not_those_inside_a_longer_phrase():
    found = flow({"A": ["客户本人"], "B": ["不是客户本人"], "C": ["时间"]})
    assert found.recognise("不是客户本人，时间") == Recognised("B", False, ("C",))
    assert found.recognise("不是客户本人，客户本人") == Recognised("B", False, ("A",))


def test_a_node_goes_before_a_repeat_phrase():
    found = flow({"A": ["时间"]}, repeat=["不好意思没听清"])
    assert found.recognise("不好意思没听清，时间") == Recognised("A", True)
    assert found.recognise("不好意思，没听清。") == Recognised(None, True)


def slow_recognise(nodes: dict[str, list[str]], text: str) -> str | None:
    """All pairs of places, the longest first, then the last."""
    text = normalize(text)
    owner = {normalize(phrase): name for name, phrases in nodes.items() for phrase in phrases}
    for length in range(len(text), 0, -1):
        for start in range(len(text) - length, -1, -1):
            if text[start : start + length] in owner:
                return owner[text[start : start + length]]
    return None


@settings(deadline=None)
@given(
    phrases=st.sets(st.text("甲乙丙", min_size=1, max_size=4), min_size=1, max_size=6),
    text=st.text("甲乙丙， ", max_size=12),
)
def test_one_pass_finds_what_a_slow_search_finds(phrases: set[str], text: str):
    nodes = {f"n{number}": [phrase] for number, phrase in enumerate(sorted(phrases))}
    found = flow(nodes).recognise(text)
    assert found.node == slow_recognise(nodes, text)
    assert found.node not in found.rivals
