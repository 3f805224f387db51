from doctor_rows import by_kind, dataset, places

from duobiao.data.rows import Row
from duobiao.data.units import tied_units
from duobiao.doctor.duplicates import Twins, check_duplicates, check_near_duplicates, contradict
from duobiao.labels import LabelSpace

LONG = "昨天买的那件衣服到现在都还没有发货"
OTHER = "请问你们的发票什么时候能够开出来呢"


def found(splits, space=None):
    data = dataset(splits, space)
    twins = Twins(data)
    return by_kind([*check_duplicates(data, twins), *check_near_duplicates(data, twins)])


def labelled(*labels: str, unknown: tuple[str, ...] = (), context: str | None = None) -> Row:
    return Row(id="1", text=LONG, labels=labels, unknown=unknown, context=context)


def test_a_text_that_stands_twice_in_a_file_is_a_duplicate():
    duplicates = found([LONG, OTHER, LONG, f" {LONG}\u200b", "好的"])["duplicates"]
    assert places(duplicates) == ["data.jsonl:3", "data.jsonl:4"]  # white space and invisible characters do not count
    assert duplicates.examples[0].note == "= data.jsonl:1"


def test_the_same_text_is_what_splitting_keeps_together():
    texts = [LONG, LONG.replace("的", " 的\x01"), LONG + "APP", LONG + "ａｐｐ", LONG + "。"]
    data = dataset(texts)
    units = tied_units([Row(str(at), text) for at, text in enumerate(texts)], "text").tolist()
    kinds = found(texts)
    assert units == [0, 0, 1, 1, 2]
    assert places(kinds["duplicates"]) == ["data.jsonl:2", "data.jsonl:4"]
    assert Twins(data).alike(3) == [2, 3]
    # a full stop more is nearly the same, told once
    assert places(kinds["near_duplicates"]) == ["data.jsonl:3", "data.jsonl:5"]


def test_the_same_text_with_other_labels_is_told_once():
    kinds = found({"train": [(LONG + "APP", ["A"])], "test": [(LONG + "ａｐｐ", ["B"])]})
    assert kinds.keys() == {"conflicts", "leaks"}


def test_short_answers_recur_and_are_told_apart():
    kinds = found({"train": ["好的", "好的", LONG], "test": ["好的", OTHER]})
    assert kinds.keys() == {"repeated", "recurring"}
    assert kinds["repeated"].severity == kinds["recurring"].severity == "note"


def test_another_context_makes_another_row():
    assert found([labelled("A", context="售前"), labelled("A", context="售后")]) == {}


def test_held_out_texts_that_stand_in_an_earlier_file_are_leaks():
    kinds = found(
        {"train": [LONG, OTHER], "dev": ["什么时候才能把我的钱退回来呀", LONG], "test": [OTHER, "什么时候才能把我的钱退回来呀"]}
    )
    leaks = kinds["leaks"]
    assert (leaks.severity, leaks.count, leaks.total) == ("error", 3, 4)
    assert leaks.splits == {"dev": 1, "test": 2}
    assert [example.note for example in leaks.examples] == ["= train.jsonl:1", "= train.jsonl:2", "= dev.jsonl:1"]


def test_the_same_text_twice_in_the_test_file_is_no_leak():
    assert found({"train": [OTHER], "test": [LONG, LONG]}).keys() == {"duplicates"}


def test_conflicting_labels_show_both_answers():
    conflicts = found({"train": [(LONG, ["A"]), (LONG, ["A"]), (LONG, ["B"])]})["conflicts"]
    assert (conflicts.count, conflicts.values["texts"]) == (3, 1)
    assert [example.note for example in conflicts.examples] == ["A", "B"]


def test_what_is_unknown_contradicts_nothing():
    assert contradict([labelled("A"), labelled("B")], None)
    assert contradict([labelled("A"), labelled()], None)
    assert not contradict([labelled("A"), labelled("A")], None)
    assert not contradict([labelled("A"), labelled(unknown=("A",))], None)
    assert not contradict([labelled("A"), Row(id="1", text=LONG)], None)
    space = LabelSpace.from_dict({"labels": ["A"], "groups": {"G": {"labels": ["x", "y"]}}})
    assert not contradict([labelled("A", "x"), labelled("A")], space)  # the group is unknown there
    assert contradict([labelled("A", "x"), labelled("A", "y")], space)
    assert contradict([labelled("A", "foreign"), labelled("A", "y")], space)


def test_near_duplicates_inside_across_and_with_other_labels():
    near = LONG + "呢"
    kinds = found({"train": [(LONG, ["A"]), (OTHER, ["A"]), (OTHER + "！", ["A"])], "test": [(near, ["B"])]})
    assert kinds.keys() == {"near_leaks", "near_duplicates", "near_conflicts"}
    assert places(kinds["near_leaks"]) == ["test.jsonl:1"]
    assert kinds["near_leaks"].total == 1
    assert places(kinds["near_duplicates"]) == ["train.jsonl:3"]
    assert kinds["near_duplicates"].examples[0].note.startswith("1.00 train.jsonl:2")
    assert [example.note[-1] for example in kinds["near_conflicts"].examples] == ["A", "B"]


def test_an_exact_leak_is_not_told_again_as_a_near_one():
    kinds = found({"train": [LONG, LONG + "呢"], "test": [LONG]})
    assert "leaks" in kinds
    assert "near_leaks" not in kinds


def test_one_different_word_in_a_short_answer_is_no_near_duplicate():
    assert found(["我要退货", "我不要退货"]) == {}


def test_short_texts_are_no_near_duplicates():
    assert found({"train": [("嗯嗯嗯", ["A"])], "test": [("嗯嗯！", ["B"])]}) == {}
