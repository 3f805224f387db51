"""What is told of new labels: F1 on dev rows that their thresholds did not see, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from duobiao.data.rows import Row
from duobiao.errors import ConfigError
from duobiao.evaluate.intervals import dice_bounds
from duobiao.labels import Group, LabelSpace
from duobiao.train.grown_points import Grown, check_costs

STORED = {"values": {"旧": 0.5}, "settings": {}}


def told(positives: int, missed: int, rows: int = 50) -> dict[str, float]:
    """Of rows some have the new label, and of those some are scored like rows that do not."""
    cells = np.zeros((rows, 2), dtype=np.int8)
    cells[:positives, 1] = 1
    logits = np.where(cells == 1, 4.0, -4.0).astype(np.float32)
    logits[:missed, 1] = -4.0
    texts = [Row(id=str(number), text=f"第{number}行", labels=("新",) if number < positives else ()) for number in range(rows)]
    grown = Grown(LabelSpace(("旧", "新")), ("新",), logits, cells, np.ones(cells.shape, dtype=np.bool_), texts, {})
    return grown.held_out(STORED)[0]


def test_five_of_five_right_is_not_certain() -> None:
    found = told(5, 0)
    assert (found["positives"], found["f1"]) == (5, 1.0)
    assert [found["low"], found["high"]] == dice_bounds(1.0, 5)
    assert found["low"] == pytest.approx(2 * 0.478 / 1.478, abs=1e-3)


def test_what_is_partly_right_has_the_interval_of_drawn_rows() -> None:
    found = told(20, 8)
    assert found["f1"] == pytest.approx(2 * 12 / (20 + 12))
    random = np.random.default_rng(1)
    hits = random.binomial(20, 12 / 20, 4000)
    wanted = np.quantile(2 * hits / (20 + hits), [0.025, 0.975])
    assert [found["low"], found["high"]] == pytest.approx(wanted.tolist(), abs=0.03)


def test_of_a_label_that_no_row_has_nothing_is_known() -> None:
    found = told(0, 0)
    assert (found["positives"], found["low"], found["high"]) == (0, 0.0, 1.0)


# ---- groups answered by costs ------------------------------------------------------------------------

OLD = LabelSpace(("旧", "走"), (Group("情感", ("正面", "负面")), Group("人", ("本人", "他人"))))
NEW = LabelSpace(("旧",), (Group("情感", ("正面", "负面", "中性")), Group("人", ("本人", "他人"))))


def stored(*labels: str) -> dict[str, object]:
    """A point whose table has a line for each label, its number the cost."""
    costs = {label: {"false_positive": 1.0, "false_negative": 1.0 + place} for place, label in enumerate(labels)}
    groups = {label: costs[label] for label in labels if label not in ("旧", "走", "*")}
    point = {
        "values": {"旧": 0.5, "走": 0.5},
        "settings": {},
        "target": {"target": "cost", "costs": costs},
        "group_costs": groups,
    }
    return {"values": {"旧": 0.5, "走": 0.5}, "settings": {}, "points": {"cost": point}}


def test_a_group_answered_by_costs_grows_where_the_table_prices_the_new_label() -> None:
    cells = np.zeros((12, len(NEW)), dtype=np.int8)
    cells[:, 1], cells[:, 4] = 1, 1
    texts = [Row(id=str(number), text=f"第{number}行") for number in range(12)]
    logits = np.zeros(cells.shape, np.float32)
    grown = Grown(NEW, ("中性",), logits, cells, np.ones(cells.shape, dtype=np.bool_), texts, {})
    table = stored("正面", "负面", "走", "*")
    check_costs(table, OLD, NEW, ("中性",))
    points = grown.points(table)
    found = points["points"]["cost"]
    assert {label: own["false_negative"] for label, own in found["group_costs"].items()} == {"正面": 1, "负面": 2, "中性": 4}
    assert found["target"]["costs"].keys() == {"正面", "负面", "*"}  # of the label that is gone nothing is left
    assert "group_costs" not in points


def test_a_new_label_of_such_a_group_without_a_price_is_refused() -> None:
    with pytest.raises(ConfigError, match="cost: group '情感' is answered by costs, and the table has none of 中性"):
        check_costs(stored("正面", "负面"), OLD, NEW, ("中性",))
    check_costs(stored("本人", "他人"), OLD, NEW, ("中性",))  # its group has no costs
    check_costs({"values": {}, "settings": {}}, OLD, NEW, ("中性",))


# ---- groups answered by weights ----------------------------------------------------------------------


def grown(space: LabelSpace, *names: str) -> Grown:
    """Rows of which the first half has the first label of each group, the other half the last, which is said of a third."""
    cells = np.zeros((60, len(space)), dtype=np.int8)
    for columns in space.slices:
        cells[:30, columns.start], cells[30:, columns.stop - 1] = 1, 1
    logits = np.where(cells == 1, 2.0, 0.0).astype(np.float32)
    logits[30:50] = np.where(cells[30:50] == 1, 0.0, 1.0)
    texts = [Row(id=str(number), text=f"第{number}行") for number in range(60)]
    return Grown(space, names, logits, cells, np.ones(cells.shape, dtype=np.bool_), texts, {})


def weighted(old: LabelSpace, *labels: str) -> dict[str, object]:
    target = {"target": "recall", "at_least": 0.6, **({"labels": list(labels)} if labels else {})}
    point = {"values": dict.fromkeys(old.independent, 0.5), "settings": {}, "target": target, "group_weights": {"负面": 0.5}}
    return {"values": dict.fromkeys(old.independent, 0.5), "settings": {}, "points": {"wide": point}}


def test_old_labels_of_groups_keep_their_weights_and_a_new_one_has_none_unless_the_target_is_for_it() -> None:
    found = grown(NEW, "中性").points(weighted(OLD, "负面", "走"))["points"]["wide"]
    assert found["group_weights"] == {"负面": 0.5}
    assert found["target"]["labels"] == ["负面"]
    check_costs(weighted(OLD, "负面"), OLD, NEW, ("中性",))


def test_a_new_label_gets_a_weight_where_all_labels_of_groups_are_meant() -> None:
    groups_only = (LabelSpace((), OLD.groups), LabelSpace((), NEW.groups))
    made = grown(groups_only[1], "中性")
    found = made.points(weighted(groups_only[0]))["points"]["wide"]
    assert found["group_weights"].keys() == {"负面", "中性"}
    assert found["group_weights"]["负面"] == 0.5
    assert found["group_weights"]["中性"] > 1
    (told,) = made.held_out(weighted(groups_only[0])["points"]["wide"])  # type: ignore[index]
    assert told["f1"] > 0.9


def test_an_independent_label_that_is_new_does_not_change_which_labels_are_meant() -> None:
    old, new = LabelSpace((), OLD.groups), LabelSpace(("新",), OLD.groups)
    found = grown(new, "新").points(weighted(old))["points"]["wide"]
    assert found["target"]["labels"] == ["正面", "负面", "本人", "他人"]
    assert found["group_weights"] == {"负面": 0.5}
