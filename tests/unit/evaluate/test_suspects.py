from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from duobiao.config import LinearConfig
from duobiao.data.rows import Row, targets
from duobiao.errors import ConfigError, DataError
from duobiao.evaluate import out_of_fold as module
from duobiao.evaluate.out_of_fold import folds_of, out_of_fold
from duobiao.evaluate.suspects import MIN_ROWS, Suspect, find_suspects, suspect_records
from duobiao.labels import LabelSpace

SPACE = LabelSpace.from_dict({"labels": ["甲", "乙"], "groups": {"组": {"labels": ["丙", "丁"], "at_most_one": True}}})
LINEAR = LinearConfig(kind="linear")


def slow(cells: np.ndarray, proba: np.ndarray) -> set[tuple[int, str, tuple[str, ...]]]:
    """Confident learning, answer by answer: the class with the most probable answer that reaches its class's mean."""
    found = set()
    spans = [(name, [(1 - proba[:, at], ()), (proba[:, at], (name,))], at, at + 1) for at, name in enumerate(SPACE.independent)]
    group = [(proba[:, 2], ("丙",)), (proba[:, 3], ("丁",)), (1 - proba[:, 2] - proba[:, 3], ())]
    spans.append(("组", group, 2, 4))
    for name, answers, start, stop in spans:
        given_answer: list[int | None] = []
        for row in cells[:, start:stop]:
            if (row < 0).any():
                given_answer.append(None)
            elif len(row) == 1:
                given_answer.append(int(row[0]))
            else:
                given_answer.append(next((at for at, value in enumerate(row) if value == 1), 2))
        means = {}
        for answer, (values, _) in enumerate(answers):
            own = [values[row] for row, one in enumerate(given_answer) if one == answer]
            means[answer] = sum(own) / len(own) if len(own) >= MIN_ROWS else None
        for row, one in enumerate(given_answer):
            if one is None or means[one] is None:
                continue
            sure = [
                (values[row], answer)
                for answer, (values, _) in enumerate(answers)
                if (mean := means[answer]) is not None and values[row] >= min(mean, 0.95) and values[row] > answers[one][0][row]
            ]
            if sure:
                found.add((row, name, answers[max(sure)[1]][1]))
    return found


@given(hnp.arrays(np.int8, (24, 3), elements=st.sampled_from([0, 1, 2, -1])), st.integers(0, 999))
def test_suspects_are_those_of_a_slow_loop(answers: np.ndarray, seed: int):
    cells = np.zeros((24, 4), dtype=np.int8)
    cells[:, :2] = np.minimum(answers[:, :2], 1)
    for row, answer in enumerate(answers[:, 2]):
        cells[row, 2:] = [(-1, -1), (0, 0), (1, 0), (0, 1)][answer + 1]
    random = np.random.default_rng(seed)
    proba = random.random((24, 4))
    proba[:, 2:] = random.dirichlet([1, 1, 1], 24)[:, :2]
    found = find_suspects(cells, proba, SPACE)
    assert {(one.row, one.decision, one.suggested) for one in found} == slow(cells, proba)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    for one in found:
        assert one.given != one.suggested


def test_unknown_cells_and_cells_that_a_model_cannot_tell_are_never_suspect():
    cells = np.array([[1, 0, 0, 0]] * 9 + [[-1, 0, -1, -1]], dtype=np.int8)
    proba = np.array([[0.9, 0.1, 0.1, 0.1]] * 8 + [[np.nan] * 4, [0.0, 0.1, 0.9, 0.1]])
    assert find_suspects(cells, proba, SPACE) == []


def test_a_record_is_the_row_with_what_is_doubted_and_suggested():
    rows = [Row("1", "x", labels=("甲", "丙"), group_id="d"), Row("2", "y", "节点", ("乙",), extra={"日期": "周一"})]
    found = [
        Suspect(1, "乙", ("乙",), (), 0.01, 0.9),
        Suspect(0, "组", ("丙",), ("丁",), 0.1, 0.8),
        Suspect(0, "乙", (), ("乙",), 0.4, 0.99),
    ]
    records = suspect_records(rows, found)
    assert [record["id"] for record in records] == ["2", "1"]
    assert records[0]["suggestion"] == []
    assert records[0]["日期"] == "周一"
    assert records[0]["labels"] == ["乙"]
    assert records[1]["suggestion"] == ["甲", "丁", "乙"]
    assert records[1]["score"] == 0.9
    assert records[1]["suspects"][1] == {
        "decision": "乙",
        "given": [],
        "suggested": ["乙"],
        "probability": 0.4,
        "typical": 0.99,
    }
    assert [record["id"] for record in suspect_records(rows, found, 1)] == ["2"]


def test_columns_of_the_row_are_kept_beside_what_is_added():
    extra = {"score": 5, "score_": 6, "suggestion": "退款", "suspects": "无"}
    [record] = suspect_records([Row("1", "x", labels=("甲",), extra=extra)], [Suspect(0, "甲", ("甲",), (), 0.1, 0.9)])
    assert record["score"] == 0.9
    assert record["suggestion"] == []
    assert {name: record[name] for name in ("score__", "score_", "suggestion_", "suspects_")} == {
        "score__": 5,
        "score_": 6,
        "suggestion_": "退款",
        "suspects_": "无",
    }


# ---- out of fold -------------------------------------------------------------------------------------


def rows_of(count: int = 60) -> list[Row]:
    return [
        Row(str(number), f"{'苹果很甜' if number % 2 else '快递太慢'}{number}", labels=("甲",) if number % 2 else ("乙", "丁"))
        for number in range(count)
    ]


def test_rows_of_one_dialogue_and_rows_that_say_the_same_share_a_fold():
    rows = [Row(str(n), f"第{n // 2}句", labels=("甲",), group_id=f"d{n // 6}" if n % 2 else None) for n in range(60)]
    folds = folds_of(rows, SPACE, 4)
    assert set(folds.tolist()) == {0, 1, 2, 3}
    for key in ("text", "group_id"):
        seen: dict[str, int] = {}
        for row, fold in zip(rows, folds.tolist(), strict=True):
            value = getattr(row, key)
            if value is not None:
                assert seen.setdefault(value, fold) == fold


def test_every_fold_is_answered_by_a_model_that_did_not_learn_from_it(monkeypatch: pytest.MonkeyPatch):
    learned: list[set[str]] = []
    real = module.fit_linear

    def fit(config: Any, space: Any, train: Any, dev: Any, *rest: Any) -> Any:
        learned.append({text for text, _ in train[0]})
        return real(config, space, train, dev, *rest)

    monkeypatch.setattr(module, "fit_linear", fit)
    rows = rows_of()
    folds = folds_of(rows, SPACE, 3)
    proba = out_of_fold(LINEAR, rows, targets(rows, SPACE), SPACE, folds)
    for fold, texts in enumerate(learned):
        assert texts == {row.text for row, own in zip(rows, folds.tolist(), strict=True) if own != fold}
    assert len(learned) == 3
    assert (proba[1::2, 0] > 0.5).all()
    assert (proba[::2, 0] < 0.5).all()
    assert np.isnan(proba[:, 2:]).all(), "丙 has no row, so there is nothing to tell 丁 from but 'none'"


def test_a_planted_error_is_the_first_suspect():
    rows = rows_of(300)
    rows[7] = Row("7", rows[7].text, labels=("乙", "丁"))
    cells = targets(rows, SPACE)
    found = find_suspects(cells, out_of_fold(LINEAR, rows, cells, SPACE, folds_of(rows, SPACE, 5)), SPACE)
    assert found[0].row == 7
    assert {one.row for one in found} == {7}


def test_a_label_that_a_fold_hardly_knows_is_not_judged():
    rows = [*rows_of(), Row("x", "独一无二", labels=("甲",))]
    space = LabelSpace(("甲", "乙", "丁", "稀"))
    rows[3] = Row("3", rows[3].text, labels=("甲", "稀"))
    proba = out_of_fold(LINEAR, rows, targets(rows, space), space, folds_of(rows, space, 3))
    assert np.isnan(proba[:, 3]).all()
    assert not np.isnan(proba[:, :3]).any()


@pytest.mark.parametrize("place", ["labels", "groups"])
def test_labels_that_hardly_occur_leave_the_answers_of_the_others_sure(place: str):
    rare = [f"稀{number}" for number in range(60)]
    data = SPACE.to_dict()
    (data["labels"] if place == "labels" else data["groups"]["组"]["labels"]).extend(rare)
    space = LabelSpace.from_dict(data)
    rows = [replace(row, labels=("甲", "丙") if number % 2 else ("乙", "丁")) for number, row in enumerate(rows_of(120))]
    rows += [Row(name, chr(0x4E00 + 99 * number) * 5, labels=(name,)) for number, name in enumerate(rare)]
    cells = targets(rows, space)
    proba = out_of_fold(LINEAR, rows, cells, space, folds_of(rows, space, 3))
    columns = [space.index[name] for name in ("甲", "乙", "丙", "丁")]
    assert proba[:120, columns][cells[:120, columns] == 1].min() > 0.8


def test_too_few_folds_or_rows_are_refused():
    with pytest.raises(ConfigError, match="--folds 1"):
        folds_of(rows_of(), SPACE, 1)
    with pytest.raises(DataError, match="3 different texts"):
        folds_of(rows_of(3), SPACE, 4)
