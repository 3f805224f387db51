from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.errors import LabelSpaceError
from duobiao.label_difference import difference
from duobiao.labels import UNASKED, UNKNOWN, Group, LabelSpace

QUICK = settings(deadline=None, max_examples=60)
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=6).filter(
    lambda name: name == name.strip() and not name.startswith("组")
)

SPACE = LabelSpace(
    ("物流", "质量"),
    (
        Group("情感", ("正面", "中性", "负面")),
        Group("升级", ("要求升级",), at_most_one=True),
        Group("身份确认", ("是", "否"), contexts=("身份确认",)),
    ),
)


@st.composite
def spaces(draw: st.DrawFn) -> LabelSpace:
    rest = draw(st.lists(NAMES, min_size=1, max_size=12, unique=True))
    free = draw(st.integers(0, len(rest)))
    independent, rest, groups = rest[:free], rest[free:], []
    while rest:
        loose = draw(st.booleans()) or len(rest) == 1
        size = draw(st.integers(1 if loose else 2, min(len(rest), 4)))
        contexts = draw(st.none() | st.lists(NAMES, min_size=1, max_size=2, unique=True).map(tuple))
        groups.append(Group(f"组{len(groups)}", tuple(rest[:size]), loose, contexts))
        rest = rest[size:]
    return LabelSpace(tuple(independent), tuple(groups))


@pytest.fixture(scope="module")
def yaml_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("space") / "labels.yaml"


@QUICK
@given(space=spaces())
def test_space_survives_dict_and_yaml(space: LabelSpace, yaml_file: Path):
    assert LabelSpace.from_dict(space.to_dict()) == space
    yaml_file.write_text(space.to_yaml(), encoding="utf-8")
    assert LabelSpace.from_yaml(yaml_file) == space


@QUICK
@given(space=spaces())
def test_columns_are_a_partition_in_file_order(space: LabelSpace):
    assert [space.names[i] for i in space.index.values()] == list(space.index)
    seen = list(range(len(space.independent)))
    for group, columns in zip(space.groups, space.slices, strict=True):
        assert space.names[columns] == group.labels
        seen += range(columns.start, columns.stop)
    assert seen == list(range(len(space)))
    assert space.decisions == len(space.independent) + len(space.groups)


@QUICK
@given(space=spaces(), data=st.data())
def test_encode_follows_the_cell_rules(space: LabelSpace, data: st.DataObject):
    known_contexts = sorted({context for group in space.groups for context in group.contexts or ()})
    context = data.draw(st.none() | st.sampled_from([*known_contexts, "elsewhere"]))
    labels = [name for name in space.independent if data.draw(st.booleans())]
    for group in space.groups:
        choice = data.draw(st.none() | st.sampled_from(group.labels))
        if choice is not None and group.is_asked(context):
            labels.append(choice)
    free_groups = [group.name for group in space.groups if not set(group.labels) & set(labels)]
    hidden = [name for name in [*space.names, *free_groups] if name not in labels and data.draw(st.booleans())]

    cells = dict(zip(space.names, space.encode(labels, hidden, context).tolist(), strict=True))

    for name in space.independent:
        assert cells[name] == (1 if name in labels else UNKNOWN if name in hidden else 0)
    for group in space.groups:
        found = [cells[name] for name in group.labels]
        chosen = [name in labels for name in group.labels]
        if group.contexts is not None and context not in group.contexts:
            assert set(found) == {UNASKED}
        elif any(chosen):
            assert found == [int(one) for one in chosen]
        elif not group.at_most_one or {group.name, *group.labels} & set(hidden):
            assert set(found) == {UNKNOWN}
        else:
            assert set(found) == {0}


@QUICK
@given(space=spaces(), contexts=st.lists(st.none() | NAMES, max_size=5))
def test_asked_cells_are_those_that_encode_does_not_call_unasked(space: LabelSpace, contexts: list[str | None]):
    contexts = contexts + [context for group in space.groups for context in group.contexts or ()]
    asked = space.asked(contexts)
    assert asked.shape == (len(contexts), len(space))
    for row, context in zip(asked, contexts, strict=True):
        np.testing.assert_array_equal(row, space.encode([], context=context) != UNASKED)


def test_one_pass_over_all_nodes_asks_a_row_without_context_every_group():
    asked = SPACE.asked([None, "身份确认", "别处"], missing="all")
    np.testing.assert_array_equal(asked[:, -2:], [[True, True], [True, True], [False, False]])
    assert not SPACE.asked([None])[0, -2:].any()


@pytest.mark.parametrize(
    ("labels", "unknown", "context", "said"),
    [
        (["物流", "价格"], [], None, ["label '价格' is not in the label space"]),
        ([], ["没有"], None, ["'没有' is neither a label nor a group"]),
        (["物流"], ["物流"], None, ["label '物流' is both given and unknown"]),
        (["正面", "负面"], [], None, ["group '情感' is exclusive, but the row has 正面, 负面"]),
        (["正面"], ["情感"], None, ["group '情感' is unknown, but the row has 正面"]),
        (["是"], [], "时间", ["group '身份确认' is not asked of context '时间', but the row has 是"]),
        (["是"], [], None, ["group '身份确认' is not asked of context None, but the row has 是"]),
        (
            ["价格", "正面", "负面", "是"],
            ["没有"],
            None,
            ["'价格'", "'没有'", "'情感' is exclusive", "'身份确认' is not asked"],
        ),
    ],
)
def test_a_contradicting_row_is_refused_with_every_problem(labels, unknown, context, said):
    problems = SPACE.problems(labels, unknown, context)
    assert len(problems) == len(said)
    for problem, part in zip(problems, said, strict=True):
        assert part in problem
    with pytest.raises(ValueError, match=r"group|label") as caught:
        SPACE.encode(labels, unknown, context)
    assert str(caught.value).splitlines() == problems


def test_a_label_given_twice_is_no_contradiction():
    assert SPACE.problems(["正面", "正面"]) == []


def test_yaml_of_the_documentation(tmp_path: Path):
    path = tmp_path / "labels.yaml"
    text = (
        "labels: [物流, 质量, 1, 2.5]\n"
        "groups:\n"
        "  情感: {labels: [正面, 负面]}\n"
        "  升级: {labels: [要求升级], at_most_one: true}\n"
        "  身份: {labels: [是, 否], contexts: [身份确认]}\n"
    )
    path.write_text(text, encoding="utf-8-sig")
    space = LabelSpace.from_yaml(path)
    assert space.independent == ("物流", "质量", "1", "2.5")
    assert [(group.name, group.at_most_one, group.contexts) for group in space.groups] == [
        ("情感", False, None),
        ("升级", True, None),
        ("身份", False, ("身份确认",)),
    ]


def test_a_lone_label_may_bear_its_groups_name():
    space = LabelSpace((), (Group("升级", ("升级",), at_most_one=True),))
    assert space.encode(["升级"]).tolist() == [1]
    assert space.encode([], ["升级"]).tolist() == [UNKNOWN]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, ["neither labels nor groups"]),
        ({"labels": ["a", "a"]}, ["label 'a' stands in labels and in labels"]),
        ({"labels": ["a", " "]}, ["an empty label name"]),
        ({"labels": ["a "]}, ["label 'a ' has white space around it"]),
        ({"labels": ["a\u0085b", "c\n"]}, ["label 'a\\x85b' has white space", "label 'c\\n' has"]),
        ({"groups": {"": {"labels": ["a", "b"]}}}, ["group '': the name is empty"]),
        ({"groups": {" g": {"labels": ["a", "b"]}}}, ["group ' g': the name is empty, or has white space"]),
        ({"labels": ["a"], "groups": {"g": {"labels": ["a", "b"]}}}, ["'a' stands in labels and in group 'g'"]),
        ({"groups": {"g": {"labels": ["b"]}}}, ["group 'g' needs two labels or more"]),
        ({"groups": {"g": {"labels": [], "at_most_one": True}}}, ["group 'g' needs a label"]),
        ({"labels": ["g"], "groups": {"g": {"labels": ["a", "b"]}}}, ["'g' names both a group and a label of labels"]),
        ({"groups": {"g": {"labels": ["g", "b"]}}}, ["'g' names both a group and one of its labels"]),
        ({"groups": {"g": {"labels": ["a", "b"], "contexts": []}}}, ["contexts is empty, so it would never be asked"]),
        ({"groups": {1: {"labels": ["a", "b"]}, "1": {"labels": ["c", "d"]}}}, ["group '1' stands there twice"]),
        ({"lables": ["a"]}, ["unknown key 'lables'"]),
        ({"labels": ["a", True]}, ["labels must be a list of names (write yes/no/on/off in quotes)"]),
        ({"labels": "a"}, ["labels must be a list of names"]),
        ({"labels": ["a"], "groups": ["g"]}, ["groups must be a mapping"]),
        ({"groups": {"g": ["a", "b"]}}, ["group 'g' needs a list 'labels'"]),
        ({"groups": {"g": {"labels": ["a", "b"], "at_most_one": "so"}}}, ["at_most_one must be true or false"]),
        ({"groups": {"g": {"labels": ["a", "b"], "context": ["c"]}}}, ["unknown key 'context'"]),
        (
            {"x": 1, "labels": [None], "groups": {"g": 1, "h": {"labels": 3, "at_most_one": 0}}},
            ["unknown key 'x'", "labels must be", "group 'g' needs", "at_most_one must be", "group 'h': labels must be"],
        ),
    ],
)
def test_a_space_that_contradicts_itself_is_refused_with_every_problem(data, said):
    with pytest.raises(LabelSpaceError) as caught:
        LabelSpace.from_dict(data, "labels.yaml")
    assert len(caught.value.problems) == len(said)
    for problem, part in zip(caught.value.problems, said, strict=True):
        assert part in problem
    assert caught.value.hint


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"labels: [a", "not readable as YAML"),
        ("labels: [物流]".encode("gb18030"), "not readable as YAML"),
        (b"labels: [2024-13-45]", "not readable as YAML"),
        (b"- a\n- b\n", "holds no mapping"),
        (b"", "holds no mapping"),
    ],
)
def test_a_file_that_is_no_label_space_is_refused_by_name(tmp_path: Path, data: bytes, said: str):
    path = tmp_path / "labels.yaml"
    path.write_bytes(data)
    with pytest.raises(LabelSpaceError, match=said) as caught:
        LabelSpace.from_yaml(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_a_missing_file_is_refused_by_name(tmp_path: Path):
    with pytest.raises(LabelSpaceError, match=r"none\.yaml: No such file"):
        LabelSpace.from_yaml(tmp_path / "none.yaml")


def test_inferred_space_has_all_labels_most_frequent_first():
    space = LabelSpace.infer([["b", "a"], ["c", "b"], ["c"], []])
    assert (space.names, space.groups) == (("b", "c", "a"), ())
    assert yaml.safe_load(space.to_yaml()) == {"labels": ["b", "c", "a"]}


def test_difference_is_told_in_words():
    other = LabelSpace(("质量", "价格"), SPACE.groups[:2])
    found = difference(SPACE, other)
    assert "only in the first: 物流" in found
    assert "only in the second: 价格" in found
    assert "group 身份确认: only in the first" in found
    assert difference(SPACE, LabelSpace.from_dict(SPACE.to_dict())) == []
    swapped = LabelSpace(SPACE.independent[::-1], SPACE.groups)
    assert difference(SPACE, swapped) == ["the same labels in another order"]


def test_what_groups_ask_otherwise_is_told_without_the_form_of_python_objects():
    def space(independent: list[str], **groups: dict[str, Any]) -> LabelSpace:
        return LabelSpace.from_dict({"labels": independent, "groups": groups})

    one = space(
        ["物流", "退款"],
        情感={"labels": ["正面", "负面"]},
        升级={"labels": ["经理"], "at_most_one": True},
        身份={"labels": ["本人", "他人"], "contexts": ["开场", "核实"]},
    )
    two = space(
        ["物流", "正面", "负面"],
        升级={"labels": ["经理", "退款"]},
        身份={"labels": ["本人", "他人"], "contexts": ["核实", "收尾"]},
        满意={"labels": ["是", "否"]},
    )
    assert difference(one, two, "runs/a", "runs/b") == [
        "only in runs/b: 是",
        "only in runs/b: 否",
        "退款: independent in runs/a, of the group 升级 in runs/b",
        "正面, 负面: of the group 情感 in runs/a, independent in runs/b",
        "group 情感: only in runs/a",
        "group 升级: one label or none (at_most_one) in runs/a, exactly one label in runs/b",
        "group 身份: asked of 开场 only in runs/a",
        "group 身份: asked of 收尾 only in runs/b",
        "group 满意: only in runs/b",
    ]
    everywhere = space([], 身份={"labels": ["本人", "他人"]})
    somewhere = space([], 身份={"labels": ["本人", "他人"], "contexts": ["开场", "核实"]})
    assert difference(everywhere, somewhere) == ["group 身份: asked of every row in the first, of 开场, 核实 in the second"]


def test_spaces_match_whatever_the_order_of_labels_groups_and_nodes():
    data = {
        "labels": ["甲", "乙"],
        "groups": {"g": {"labels": ["一", "二"], "contexts": ["开场", "核实"]}, "h": {"labels": ["上"], "at_most_one": True}},
    }
    one = LabelSpace.from_dict(data)
    g, h = data["groups"]["g"], data["groups"]["h"]
    turned = LabelSpace.from_dict(
        {"labels": ["乙", "甲"], "groups": {"h": h, "g": {"labels": ["二", "一"], "contexts": ["核实", "开场"]}}}
    )
    assert one.matches(turned)
    assert difference(one, turned) == ["the same labels in another order"]
    assert [turned.names[column] for column in turned.columns_of(one)] == list(one.names)
    nodes = LabelSpace.from_dict({**data, "groups": {"g": {**g, "contexts": ["核实", "开场"]}, "h": h}})
    assert one.matches(nodes)
    assert difference(one, nodes) == ["the same nodes in another order"]
    for other in ({**g, "contexts": ["开场"]}, {"labels": g["labels"]}, {**g, "at_most_one": True}):
        assert not one.matches(LabelSpace.from_dict({**data, "groups": {"g": other, "h": h}}))
    assert not one.matches(LabelSpace.from_dict({**data, "labels": ["甲"]}))


def test_earlier_turns_after_the_node_change_nothing_about_what_is_asked() -> None:
    space = LabelSpace.from_dict({"labels": ["a"], "groups": {"g": {"labels": ["x", "y"], "contexts": ["身份确认"]}}})
    windows = ["身份确认", "身份确认\nAI：您好\nME：喂", "来意\nAI：身份确认", "\n身份确认"]
    assert space.asked(windows)[:, 1].tolist() == [True, True, False, False]
    assert space.encode(["x"], context=windows[1]).tolist() == [0, 1, 0]
    assert space.problems(["x"], context=windows[2])
