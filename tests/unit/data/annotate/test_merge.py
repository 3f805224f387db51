"""What is merged, what is a conflict, and who changed what."""

import dataclasses

import pytest
from annotation_cases import SPACE, WORDS, bare

from duobiao.data.annotate.answers import Annotation, split_names
from duobiao.data.annotate.merge import Merged, Policy, merge
from duobiao.data.rows import Row
from duobiao.errors import DataError

ROW = Row("r1", "快递坏了", labels=("物流", "负面", "要求升级"), extra={"来源": "app"})
CALL = Row("r2", "是我", context="身份确认", labels=("正面", "本人"), unknown=("升级", "发票"))


def said(*chosen: str, id: str = "r1", by: str | None = "甲", **details) -> Annotation:
    return Annotation(id, f"x.json: {by}", chosen=chosen, annotator=by, **{"complete": True, **details})


def merged(*annotations: Annotation, rows: list[Row] | None = None, policy: Policy = "base") -> Merged:
    return merge(rows or [ROW], annotations, WORDS, policy)


def kinds(found: Merged) -> dict[str, int]:
    return found.report["conflicts_by_kind"]


SAME = ("物流", "负面", "要求升级")


def test_a_bare_row_is_labelled_and_what_was_not_answered_is_unknown():
    found = merged(said("物流", "负面"), rows=bare([ROW]))
    row = found.rows[0]
    assert row.labels == ("物流", "负面")
    assert row.unknown == ("升级",)  # at most one, and nobody said "none of them"
    assert dict(row.extra) == {"来源": "app"}
    assert found.report["rows"]["labelled"] == 1
    change = found.report["changes"][0]
    assert change["before"] is None
    assert change["after"] == {"labels": ["物流", "负面"], "unknown": ["升级"]}
    assert change["by"] == [{"annotator": "甲", "time": None}]


def test_none_of_them_and_not_sure_are_answers():
    row = merged(said("以上都不成立", "升级：都不是", "情感：不确定", "发票：不确定"), rows=bare([ROW])).rows[0]
    assert row.labels == ()
    assert set(row.unknown) == {"情感", "发票"}
    assert SPACE.encode(row.labels, row.unknown).tolist() == [0, 0, -1, -1, -1, 0, -2, -2]


def test_rows_nobody_annotated_are_the_same_objects():
    found = merged(said(*SAME), rows=[ROW, CALL])
    assert found.rows[0] is ROW
    assert found.rows[1] is CALL
    assert found.report["rows"] == {
        "all": 2,
        "annotated": 1,
        "untouched": 1,
        "labelled": 0,
        "changed": 0,
        "confirmed": 1,
        "nothing_usable": 0,
    }


@pytest.mark.parametrize(
    ("policy", "labels", "unknown"),
    [
        ("base", ("物流", "负面", "要求升级"), ()),
        ("new", ("质量", "正面", "要求升级"), ()),
        ("majority", ("质量", "正面", "要求升级"), ()),
        ("unknown", ("要求升级",), ("物流", "质量", "情感")),
    ],
)
def test_an_annotation_against_the_row(policy: Policy, labels: tuple[str, ...], unknown: tuple[str, ...]):
    found = merged(said("质量", "正面", "要求升级", time="2024-03-05"), policy=policy)
    assert (found.rows[0].labels, found.rows[0].unknown) == (labels, unknown)
    assert kinds(found) == {"against_base": 3}
    mood = next(conflict for conflict in found.report["conflicts"] if conflict["decision"] == "情感")
    assert (mood["base"], mood["answers"]) == ("负面", [{"annotator": "甲", "time": "2024-03-05", "answer": "正面"}])
    assert mood["taken"] == {"base": "负面", "unknown": "unknown"}.get(policy, "正面")
    changed = {change["decision"]: (change["before"], change["after"]) for change in found.report["changes"]}
    if policy == "base":
        assert changed == {}
        assert found.rows[0] is ROW
        assert found.report["annotators"]["甲"]["overruled"] == 3
    elif policy == "new":
        assert changed == {"物流": (True, False), "质量": (False, True), "情感": ("负面", "正面")}
        assert found.report["annotators"]["甲"]["changes"] == 3
        assert all(change["by"] == [{"annotator": "甲", "time": "2024-03-05"}] for change in found.report["changes"])


@pytest.mark.parametrize(("policy", "mood"), [("base", "负面"), ("new", "正面"), ("majority", "负面"), ("unknown", None)])
def test_people_who_disagree(policy: Policy, mood: str | None):
    found = merged(
        said("物流", "负面", "要求升级", by="甲", time="2024-01-01"),
        said("物流", "正面", "要求升级", by="乙", time="2024-01-03"),
        said("物流", "负面", "要求升级", by="丙", time="2024-01-02"),
        policy=policy,
    )
    assert WORDS.answers(found.rows[0])["情感"] == mood
    assert kinds(found) == {"disagreement": 1}
    assert len(found.report["conflicts"][0]["answers"]) == 3


@pytest.mark.parametrize("policy", ["base", "majority", "unknown"])
def test_half_is_no_majority_and_a_bare_row_has_nothing_to_keep(policy: Policy):
    found = merged(said("负面", by="甲"), said("正面", by="乙"), rows=bare([ROW]), policy=policy)
    assert WORDS.answers(found.rows[0])["情感"] is None
    assert WORDS.answers(found.rows[0])["物流"] is False


def test_the_order_decides_where_the_tool_gives_no_time():
    found = merged(said("负面", by="甲"), said("正面", by="乙"), rows=bare([ROW]), policy="new")
    assert WORDS.answers(found.rows[0])["情感"] == "正面"


def test_two_labels_of_a_group_are_a_conflict_not_a_label():
    for policy, mood in (("base", "负面"), ("new", None), ("majority", None), ("unknown", None)):
        found = merged(said("物流", "正面", "负面", "要求升级"), policy=policy)
        assert kinds(found) == {"exclusive": 1}
        assert found.report["conflicts"][0]["chosen"] == ["正面", "负面"]
        assert WORDS.answers(found.rows[0])["情感"] == mood
        assert WORDS.answers(found.rows[0])["物流"] is True
    bare_one = merged(said("正面", "负面"), rows=bare([ROW])).rows[0]
    assert WORDS.answers(bare_one)["情感"] is None


def test_nothing_beside_a_label_is_a_contradiction():
    found = merged(said("物流", "以上都不成立", "物流：不确定"), rows=bare([ROW]))
    assert kinds(found) == {"contradiction": 1}
    assert WORDS.answers(found.rows[0])["物流"] is None
    assert WORDS.answers(found.rows[0])["质量"] is False


def test_a_question_left_open_does_not_erase_an_answer_silently():
    for policy, mood in (("base", "负面"), ("new", None), ("unknown", None)):
        found = merged(said("物流", "要求升级"), policy=policy)
        assert kinds(found) == {"unanswered": 1}
        assert WORDS.answers(found.rows[0])["情感"] == mood


def test_foreign_labels_and_groups_that_are_not_asked_are_listed():
    found = merged(said(*SAME, "投诉", "本人"))
    assert kinds(found) == {"not_asked": 1, "unknown_label": 1}
    assert found.rows == [ROW]
    asked = merged(said("正面", "他人", "发票：不确定", id="r2"), rows=[CALL], policy="new")
    assert asked.rows[0].labels == ("正面", "他人")


def test_an_annotation_of_foreign_labels_alone_changes_nothing():
    found = merged(said("投诉", complete=None), rows=bare([ROW]))
    assert found.rows[0].labels is None
    assert found.report["rows"]["nothing_usable"] == 1


def test_changed_text_is_listed_and_not_merged():
    annotation = dataclasses.replace(said("质量"), text="快递好了")
    found = merge([ROW], [annotation], WORDS, "new")
    assert found.rows == [ROW]
    assert kinds(found) == {"changed_text": 1}
    assert found.report["conflicts"][0]["annotated"] == "快递好了"
    found = merge([ROW], [annotation], WORDS, "new", take_changed_text=True)
    assert found.rows[0].labels == ("质量",)
    assert found.rows[0].text == ROW.text
    spaced = dataclasses.replace(said(*SAME), text=" 快递\r\n坏了\u200b")
    assert kinds(merge([ROW], [spaced], WORDS)) == {}


def test_ids_that_the_rows_do_not_have_are_listed():
    found = merged(said("质量", id="r9"), dataclasses.replace(said("质量"), id=None))
    assert kinds(found) == {"unknown_id": 2}
    assert found.rows == [ROW]
    assert [conflict["id"] for conflict in found.report["conflicts"]] == ["r9", None]


def test_the_last_word_of_a_person_counts_and_the_other_is_listed():
    found = merged(said("质量", time="2024-02-02"), said(*SAME, time="2024-01-01"), policy="new", rows=bare([ROW]))
    assert WORDS.answers(found.rows[0])["质量"] is True
    assert kinds(found) == {"duplicate": 1}
    assert found.report["conflicts"][0]["left_out"] == list(SAME)
    assert found.report["conflicts"][0]["same"] is False


def test_people_without_a_name_may_be_several():
    found = merged(said("正面", by=None), said("负面", by=None), rows=bare([ROW]), policy="new")
    assert kinds(found) == {"disagreement": 1, "duplicate": 1}
    assert found.report["annotators"]["(nobody named)"]["done"] == 2


@pytest.mark.parametrize("status", ["skipped", "draft", "open"])
def test_what_is_not_finished_is_counted_only(status: str):
    found = merged(said("质量", status=status), policy="new")
    assert found.rows == [ROW]
    assert found.report["annotations"] == {"all": 1, "done": 0, "skipped": 0, "draft": 0, "open": 0} | {status: 1}
    assert found.report["rows"]["untouched"] == 1


def test_rows_that_cannot_take_annotations_are_refused():
    with pytest.raises(DataError) as caught:
        merge([ROW, ROW, Row("r3", "x", labels=("正面", "负面"))], [], WORDS)
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("物流，质量", ["物流", "质量"]),
        ("a,b\na", ["a,b", "a"]),
        ("a,b", ["a,b"]),
        ("a；b", ["a", "b"]),
        (" 物流 \n\n 质量 ", ["物流", "质量"]),
        ("b\n,c、a", ["b", ",c", "a"]),
        ("物流公司", ["物流公司"]),
        ("", []),
        ("、，", []),
    ],
)
def test_cells_of_names_are_parted_around_known_names(cell: str, found: list[str]):
    assert split_names(cell, ["物流", "质量", "a", "b", "a,b", ",c"]) == found
