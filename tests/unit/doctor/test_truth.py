import pytest
from doctor_rows import by_kind, dataset

from duobiao.data.rows import Row
from duobiao.doctor.truth import FEW, check_truth
from duobiao.labels import LabelSpace

SPACE = LabelSpace.from_dict(
    {"labels": ["A", "B"], "groups": {"情感": {"labels": ["正", "负"]}, "确认": {"labels": ["是", "否"], "contexts": ["节点"]}}}
)


def rows(count: int, *labels: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(f"第{number}行的{labels}", labels) for number in range(count)]


def test_rows_that_contradict_the_label_space_are_told_by_what_is_wrong():
    given = [
        ("一", ["A", "C"]),
        ("二", ["正", "负"]),
        ("三", ["是"]),
        Row(id="4", text="四", labels=("是",), context="节点"),
        Row(id="5", text="五", labels=("A",), unknown=("D",)),
        Row(id="6", text="六", labels=None),
        ("七", []),
    ]
    found = by_kind(check_truth(dataset(given, SPACE)))
    where = {kind: [example.where for example in finding.examples] for kind, finding in found.items() if finding.unit == "rows"}
    assert where == {
        "foreign_labels": ["data.jsonl:1"],
        "exclusive": ["data.jsonl:2"],
        "not_asked": ["data.jsonl:3"],
        "unknown_names": ["data.jsonl:5"],
        "unlabelled": ["data.jsonl:6"],
        "none_true": ["data.jsonl:7"],
    }
    assert found["foreign_labels"].values["names"] == [("C", 1)]
    assert found["exclusive"].examples[0].note == "情感: 正, 负"
    errors = {kind for kind, finding in found.items() if finding.severity == "error"}
    assert errors == {"foreign_labels", "exclusive", "not_asked", "unknown_names", "unlabelled", "no_positives"}


def test_labels_that_train_lacks_are_errors_and_rare_ones_warnings():
    data = dataset({"train": [*rows(FEW, "A"), *rows(FEW - 1, "B")], "test": [*rows(20, "A", "B"), *rows(1, "C")]})
    found = by_kind(check_truth(data))
    assert [example.where for example in found["no_positives"].examples] == ["C"]
    assert found["no_positives"].examples[0].note == "train 0, test 1"
    assert [example.where for example in found["few_positives"].examples] == ["B"]
    assert (found["few_positives"].count, found["few_positives"].total) == (1, 3)
    assert "few_in_test" not in found  # A and B have enough, C is told of already


def test_labels_that_imply_each_other():
    data = dataset([*rows(FEW, "A", "B"), *rows(5, "B"), *rows(FEW, "C", "D"), *rows(3)])
    found = by_kind(check_truth(data))
    assert [(example.where, example.note) for example in found["always_together"].examples] == [
        ("C ⇔ D", f"{FEW} / {FEW}"),
        ("A ⇒ B", f"{FEW} / {FEW + 5}"),
    ]


def test_labels_that_should_have_met_and_never_do():
    data = dataset([*rows(40, "A"), *rows(40, "B"), *rows(1, "A", "C"), *rows(1, "B", "C")])
    never = by_kind(check_truth(data))["never_together"]
    assert [(example.where, example.note) for example in never.examples] == [("A × B", "0 / ≈20")]


def test_labels_of_one_group_are_known_to_exclude_each_other():
    data = dataset([*rows(40, "正"), *rows(40, "负"), *rows(40, "正", "A"), *rows(40, "负", "A", "B")], SPACE)
    found = by_kind(check_truth(data))
    names = [
        example.where for kind in ("never_together", "always_together") if kind in found for example in found[kind].examples
    ]
    assert "正 × 负" not in names
    assert "B ⇒ A" in names


def test_one_label_a_row_is_a_group_that_nobody_declared():
    single = by_kind(check_truth(dataset([*rows(30, "A"), *rows(30, "B")])))
    assert single.keys() == {"single_label"}
    assert single["single_label"].values["labels"] == "A, B"
    assert "single_label" not in by_kind(check_truth(dataset([*rows(30, "A"), *rows(30, "B"), *rows(1, "A", "B")])))


@pytest.mark.parametrize("given", [[Row(id="1", text="一")], [("一", [])]])
def test_files_without_any_label_are_no_crash(given: list):
    assert set(by_kind(check_truth(dataset(given)))) <= {"unlabelled", "none_true"}


def test_a_label_with_a_line_break_is_no_crash():
    assert check_truth(dataset([("一", ["A\n"]), ("二", ["A", "B"])])) is not None


def test_only_the_most_frequent_of_very_many_labels_are_compared(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("duobiao.doctor.truth._COMPARED", 3)
    given = [*rows(FEW, "A", "B"), *rows(FEW + 1, "Z", "Y"), *rows(5), *((f"只此{n}", (f"L{n}",)) for n in range(50))]
    found = by_kind(check_truth(dataset(given)))
    assert [example.where for example in found["always_together"].examples] == ["Y ⇔ Z"]
