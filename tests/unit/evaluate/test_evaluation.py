import dataclasses
from pathlib import Path

import numpy as np
import pytest
from commands import refused
from sklearn.metrics import accuracy_score, f1_score, hamming_loss, precision_recall_fscore_support
from systems import NODE, Reader, make_system, row

from duobiao.data.rows import Row, targets
from duobiao.errors import DataError
from duobiao.evaluate.evaluation import evaluate, judge

# The fake system answers what the text names; the labels below are the truth.
ROWS = [
    row("物流 正面", "物流", "正面", id="1"),
    row("物流 质量 负面", "物流", "负面", id="2"),  # 质量 is one too many
    row(" 正面", "发票", "正面", id="3"),  # 发票 is missed
    row("质量 正面", "质量", "负面", id="4"),  # the wrong mood
    row("本人 负面", "他人", "负面", id="5", context=NODE),  # the wrong answer at a node
    row("发票 负面", "发票", "负面", id="6"),
]


def test_numbers_equal_scikit_learns_where_every_cell_is_known():
    rows = [row for row in ROWS if row.context is None]
    system = make_system()
    free = slice(0, 5)  # three labels and the moods; the node's group is not asked of these rows
    truth = targets(rows, system.space)[:, free] == 1
    _, guess = system.decide([row.text for row in rows])
    guess = guess[:, free]
    found = evaluate(system, rows)
    for average in ("micro", "samples"):
        assert found[f"{average}_f1"] == pytest.approx(f1_score(truth, guess, average=average, zero_division=0))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro", zero_division=0))
    assert found["subset_accuracy"] == pytest.approx(accuracy_score(truth, guess))
    assert found["hamming_loss"] == pytest.approx(hamming_loss(truth, guess))
    table = precision_recall_fscore_support(truth, guess, zero_division=0)
    for number, name in enumerate(system.labels[free]):
        label = [found["per_label"][name][key] for key in ("precision", "recall", "f1", "support")]
        assert label == pytest.approx([column[number] for column in table])


def test_numbers_counted_by_hand():
    found = evaluate(make_system(name="甲", kind="bigru"), ROWS)
    assert (found["name"], found["kind"], found["rows"]) == ("甲", "bigru", 6)
    # Hits (of true / guessed): 2 (2/2), 2 (2/3), 1 (2/1), 1 (2/2), 1 (2/2), 2 (2/2): 9 of 12 / 12.
    assert found["micro_f1"] == pytest.approx(9 / 12)
    assert found["contexts"][NODE] == {
        "rows": 1,
        "micro_f1": pytest.approx(2 * 1 / (2 + 2)),
        "macro_f1": pytest.approx(1 / 3),
        "subset_accuracy": 0.0,
        "group_accuracy": 0.5,
    }
    assert {name: one["rows"] for name, one in found["contexts"].items()} == {"(none)": 5, NODE: 1}
    assert found["subset_accuracy"] == pytest.approx(2 / 6)
    assert found["groups"]["情感"].items() >= {"accuracy": pytest.approx(5 / 6), "rows": 6}.items()
    assert found["groups"][NODE].items() >= {"accuracy": 0.0, "rows": 1}.items()
    assert found["group_accuracy"] == pytest.approx(5 / 7)
    assert (
        found["per_label"]["质量"].items()
        >= {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1}.items()
    )
    assert found["hamming_loss"] == pytest.approx(6 / (5 * 5 + 7))


def test_the_score_on_unseen_text_counts_only_rows_whose_text_training_lacks():
    train = [Row(id="t", text=text) for text in ("  物流 正面\n", "正面", "质量", "发票 负面")]
    found = evaluate(make_system(), ROWS, train)
    unseen = found.pop("unseen_text")
    assert unseen.keys() == found.keys() - {"name", "kind", "contexts", "slices"}
    # Left: rows 2, 4, 5. Hits 2 + 1 + 1, truths 6, guesses 3 + 2 + 2.
    assert unseen["rows"] == 3
    assert unseen["micro_f1"] == pytest.approx(2 * 4 / (6 + 7))
    assert unseen["samples_f1"] == pytest.approx((4 / 5 + 2 / 4 + 2 / 4) / 3)
    assert unseen["groups"]["情感"].items() >= {"accuracy": pytest.approx(2 / 3), "rows": 3}.items()
    assert unseen["group_accuracy"] == pytest.approx(2 / 4)
    assert unseen["per_label"]["物流"].items() >= {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}.items()
    assert unseen["per_label"]["发票"]["support"] == 0
    assert found["rows"] == 6


def test_without_training_rows_there_is_no_such_block():
    assert "unseen_text" not in evaluate(make_system(), ROWS)
    assert evaluate(make_system(), ROWS, [])["unseen_text"]["rows"] == 6


def test_where_every_text_was_seen_the_block_says_so():
    unseen = evaluate(make_system(), ROWS, ROWS)["unseen_text"]
    assert unseen["rows"] == 0
    assert unseen["macro_f1"] is None
    assert unseen["group_accuracy"] is None


def test_unknown_and_unasked_cells_do_not_count():
    right = [row("物流 正面", "物流", "正面"), row("质量 本人 负面", "质量", "负面")]
    found = evaluate(make_system(), right)
    assert found["micro_f1"] == 1.0
    assert found["groups"][NODE].items() >= {"accuracy": None, "rows": 0}.items()
    hidden = [row("物流 质量 正面", "物流", "正面", unknown=["质量"]), row("物流 负面", "物流", unknown=["情感"])]
    found = evaluate(make_system(), hidden)
    assert found["micro_f1"] == 1.0
    assert found["hamming_loss"] == 0.0
    assert found["groups"]["情感"]["rows"] == 1


@pytest.mark.parametrize(
    ("rows", "problems"),
    [
        ([], ["no rows"]),
        ([Row(id="1", text="物流", source="a.csv: row 2"), Row(id="2", text="x", source="a.csv: row 3")], ["row 2", "row 3"]),
        ([row(" ", "物流", id="4"), row("\n", "物流", id="5")], ["data:4", "data:5", "empty"]),
        ([row("x", "天气", id="6"), row("x", "正面", "负面", id="7")], ["data:6", "天气", "data:7", "exclusive"]),
    ],
)
def test_rows_that_cannot_be_scored_are_refused_all_at_once(rows: list[Row], problems: list[str]):
    with pytest.raises(DataError) as error:
        evaluate(make_system(), rows)
    for problem in problems:
        assert problem in str(error.value)


def test_thresholds_of_the_bundle_decide():
    thresholds = {"values": {"物流": 0.99, "质量": 0.5, "发票": 0.01}, "settings": {}}
    found = evaluate(make_system(thresholds=thresholds), ROWS)
    assert found["per_label"]["物流"]["recall"] == 0.0
    assert found["per_label"]["发票"]["recall"] == 1.0
    assert found["per_label"]["发票"]["precision"] == pytest.approx(2 / 6)
    assert np.isfinite(found["micro_f1"])


def test_answers_that_were_asked_for_before_are_scored_without_asking_again():
    asked: list[int] = []
    system = make_system(Reader(watch=asked.append))
    judged = judge(system, ROWS)
    assert evaluate(system, ROWS, judged=judged) == evaluate(make_system(), ROWS)
    assert asked == [0]
    with pytest.raises(ValueError, match="6 rows were judged"):
        evaluate(system, ROWS[:3], judged=judged)


def test_a_place_that_cannot_be_written_is_told_before_any_work(tmp_path: Path):
    refused("evaluate", tmp_path / "no bundle", "--data", tmp_path / "no rows", "--json", tmp_path, names=("it is a folder",))


def test_rows_of_one_dialogue_are_one_unit_and_few_units_have_no_interval():
    rows = [dataclasses.replace(one, group_id=f"d{number % 9}") for number, one in enumerate(ROWS * 4)]
    found = evaluate(make_system(), rows)
    assert (found["unit"], found["units"], found["intervals"]["micro_f1"]) == ("group_id", 9, None)
    found = evaluate(make_system(), ROWS * 4)
    assert (found["unit"], found["units"]) == ("row", 24)
    low, high = found["intervals"]["micro_f1"]
    assert low < found["micro_f1"] < high
    for name in ("mean_average_precision", "micro_average_precision"):
        low, high = found["intervals"][name]
        assert low < found[name] < high
    assert found["per_label"]["质量"]["interval"][0] < 2 / 3
    assert found["groups"]["情感"]["labels"] == ["正面", "负面"]
    assert found["groups"]["情感"]["confusion"] == [[8, 0], [4, 12]]
    assert found["per_label"]["物流"]["average_precision"] == 1.0
