"""Which words are found, told apart from which rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from duobiao.data.rows import Row, targets
from duobiao.errors import ConfigError, DataError
from duobiao.features.mine import MineSettings, mine, parse_ngrams, terms_of
from duobiao.features.scores import chi_squared, log_odds, mutual_information
from duobiao.labels import LabelSpace

LOOSE = MineSettings(min_support=1, min_chi2=0.0, top=1000)


def rows_of(*given: tuple[str, Sequence[str]], context: str | None = None, unknown: Sequence[str] = ()) -> list[Row]:
    return [Row(str(n), text, context, tuple(labels), tuple(unknown)) for n, (text, labels) in enumerate(given)]


def found(words: Any, label: str) -> dict[str, tuple[int, int]]:
    return {term.word: (term.rows, term.elsewhere) for term in words.labels[label].terms}


def test_words_and_ngrams_of_a_text() -> None:
    words, grams = terms_of("我不跟机器人说话，ABC 123", (2, 3))
    assert words == {"我", "不", "跟", "机器人", "说话", "abc"}  # no numbers, no punctuation
    assert {"我不", "跟机器", "人说话"} <= grams
    assert not grams & words
    assert not [gram for gram in grams if not 2 <= len(gram) <= 3]
    assert terms_of("，。123 ！", (1, 4)) == (set(), set())


def test_a_label_is_told_apart_from_the_other_answers_to_its_question() -> None:
    space = LabelSpace.from_dict(
        {"groups": {"问": {"labels": ["是", "否"], "contexts": ["问"]}, "他": {"labels": ["行", "算了"], "contexts": ["他"]}}}
    )
    rows = rows_of(("是我没错", ["是"]), ("打错电话", ["否"]), context="问") * 4
    rows += rows_of(("是我没错", ["行"]), ("算了不要", ["算了"]), context="他") * 4
    rows += rows_of(("打错电话", ()), context="问", unknown=["问"])
    words = mine(rows, space, MineSettings(min_support=2))
    assert (words.labels["是"].rows, words.labels["是"].elsewhere) == (4, 4)  # of 17 rows
    assert found(words, "是")["没错"] == (4, 0)  # that 他 says it as well does not count
    assert found(words, "否")["电话"] == (4, 0)  # nor does the row of which nobody knows
    assert words.contexts["问"].rows == 9
    assert "没错" not in [term.word for term in words.contexts["问"].terms]
    assert words.contexts["他"].top(50)[0] in ("算了", "算了不", "不要")


def test_unknown_cells_of_an_independent_label_count_nowhere() -> None:
    space = LabelSpace(("退款", "发票"))
    rows = rows_of(("要退款", ["退款"]), ("开发票", ["发票"])) * 3 + rows_of(("要退款", ()), unknown=["退款"]) * 5
    words = mine(rows, space, LOOSE)
    assert (words.labels["退款"].rows, words.labels["退款"].elsewhere) == (3, 3)
    assert words.labels["发票"].elsewhere == 8


def test_rare_words_and_words_without_a_tendency_are_left_out() -> None:
    space = LabelSpace(("退款",))
    rows = rows_of(*[("退款", ["退款"])] * 2, ("退款 急急", ["退款"]), *[("你好", [])] * 9, *[("你好", ["退款"])] * 3)
    words = mine(rows, space, MineSettings(min_support=3))
    assert found(words, "退款") == {"退款": (3, 0)}
    assert mine(rows, space, MineSettings(min_support=4)).labels["退款"].terms == ()
    rows += rows_of(*[("退款", [])] * 2, unknown=["退款"])  # rows that say nothing about the label support no word of it
    assert mine(rows, space, MineSettings(min_support=4)).labels["退款"].terms == ()
    assert "你好" not in found(mine(rows, space, LOOSE), "退款")


def test_of_terms_that_say_the_same_one_is_kept_the_word_first() -> None:
    space = LabelSpace(("投诉",))
    rows = rows_of(*[("跟机器人说", ["投诉"])] * 4, *[("你好请问您在不在", [])] * 4)
    assert found(mine(rows, space, LOOSE), "投诉").keys() == {"跟", "机器人", "说"}
    rows = rows_of(*[("打错了", ["投诉"])] * 4, ("打了", []), *[("你好请问您在不在", [])] * 4)
    kept = found(mine(rows, space, LOOSE), "投诉")
    assert kept["打错"] == (4, 0)
    assert not {"打错了", "错了"} & kept.keys()
    rows = rows_of(*[("龘龘靐", ["投诉"])] * 4, ("龘", []), *[("你好", [])] * 4)  # no words, but 龘 stands elsewhere too
    kept = found(mine(rows, space, LOOSE), "投诉")
    assert not any(kept[one] == kept[two] and one in two for one in kept for two in kept if one != two)


def test_scores_are_those_of_the_counted_rows(tiny_rows: Any, tiny_space: LabelSpace) -> None:
    rows, settings = tiny_rows.train, MineSettings(min_support=2, min_chi2=0.0, top=1000, by="chi2", prior=100.0)
    words = mine(rows, tiny_space, settings)
    cells = targets(rows, tiny_space)
    held = [terms_of(row.text, settings.ngrams) for row in rows]
    checked = 0
    for column, label in enumerate(tiny_space.names):
        inside, outside = np.flatnonzero(cells[:, column] == 1), np.flatnonzero(cells[:, column] == 0)
        category = words.labels[label]
        assert [term.scores["chi2"] for term in category.terms] == sorted(
            (t.scores["chi2"] for t in category.terms), reverse=True
        )
        for term in category.terms:
            kind = 0 if any(term.word in own[0] for own in held) else 1
            times = [term.word in own[kind] for own in held]
            a, b = (float(sum(times[row] for row in part)) for part in (inside, outside))
            size_in, size_out, size = (
                sum(len(held[row][kind]) for row in part) for part in (inside, outside, range(len(rows)))
            )
            prior = np.array([100.0 * sum(times) / size])
            counts = np.array([a]), np.array([b])
            assert (term.rows, term.elsewhere) == (a, b)
            assert a / len(inside) > b / len(outside)
            assert term.scores["chi2"] == pytest.approx(chi_squared(*counts, len(inside), len(outside))[0], abs=1e-4)
            assert term.scores["mi"] == pytest.approx(mutual_information(*counts, len(inside), len(outside))[0], abs=1e-4)
            assert term.scores["log_odds"] == pytest.approx(log_odds(*counts, size_in, size_out, prior, 100.0)[0], abs=1e-4)
            checked += 1
    assert checked > 30


def test_the_same_rows_give_the_same_words_in_any_order(tiny_rows: Any, tiny_space: LabelSpace) -> None:
    assert mine(tiny_rows.train, tiny_space) == mine(tiny_rows.train[::-1], tiny_space)


def test_the_keywords_of_the_tiny_rows_are_found(tiny_rows: Any, tiny_space: LabelSpace) -> None:
    words = mine(tiny_rows.train, tiny_space)
    assert words.labels["物流"].top(1) == ("快递",)
    assert "坏" in words.labels["质量"].top(1)[0]
    assert "打错" in words.labels["身份确认/否"].top(1)[0]


def test_the_models_cleaning_comes_first() -> None:
    rows = rows_of(*[("退\u200b款", ["退款"])] * 3, *[("你好", [])] * 3)
    assert "退款" in found(mine(rows, LabelSpace(("退款",))), "退款")
    assert "退款" not in found(mine(rows, LabelSpace(("退款",)), MineSettings(clean=())), "退款")


def test_earlier_turns_in_a_context_make_no_node_of_their_own() -> None:
    rows = [replace(row, context=f"问\nAI：第{n}句") for n, row in enumerate(rows_of(("要退款", ["退款"]), ("你好", [])))]
    assert list(mine(rows, LabelSpace(("退款",))).contexts) == ["问"]


def test_no_rows_no_positives_and_wrong_settings() -> None:
    space = LabelSpace(("退款", "发票"))
    assert mine([], space).labels["退款"].terms == ()
    assert mine(rows_of(("退款", ["退款"])), space, LOOSE).labels["发票"].terms == ()
    with pytest.raises(DataError, match="no labels"):
        mine([Row("1", "退款")], space)
    with pytest.raises(ConfigError, match=r"guess[\s\S]*ngrams[\s\S]*top[\s\S]*prior"):
        MineSettings(by="guess", ngrams=(3, 2), top=0, prior=0)  # type: ignore[arg-type]
    assert parse_ngrams(" 1-3 ") == (1, 3)
    for wrong in ("3", "a-b", "1-", ""):
        with pytest.raises(ConfigError, match="--ngrams"):
            parse_ngrams(wrong)
