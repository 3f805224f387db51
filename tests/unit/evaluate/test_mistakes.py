import numpy as np
import pytest
from systems import NODE, SPACE, make_system, row

from duobiao.evaluate.cases import doubted, highlighted, look_at, shortened
from duobiao.evaluate.evaluation import Judged, judge
from duobiao.evaluate.mistakes import explained, mistakes
from duobiao.explain import Word
from duobiao.labels import LabelSpace

FREE = LabelSpace(("a", "b"))
NONE = LabelSpace.from_dict({"labels": [], "groups": {"g": {"labels": ["x", "y"], "at_most_one": True}}})


def judged(cells: list[list[int]], proba: list[list[float]], decided: list[list[int]]) -> Judged:
    return Judged(np.array(cells, np.int8), np.array(proba, np.float32), np.array(decided, bool))


def test_the_surest_mistake_of_each_row_the_surest_first():
    found = mistakes(
        judged(
            [[1, 0], [1, 0], [0, -1], [1, 1]],
            [[0.1, 0.6], [0.9, 0.2], [0.75, 0.99], [0.2, 0.05]],
            [[0, 1], [1, 0], [1, 1], [0, 0]],
        ),
        FREE,
    )
    assert [(one.row, one.label, one.true, one.decided) for one in found] == [
        (3, "b", "b", None),
        (0, "a", "a", None),
        (2, "a", None, "a"),
    ]
    assert [one.sureness for one in found] == pytest.approx([0.95, 0.9, 0.75])


def test_a_group_is_one_decision():
    found = mistakes(
        judged(
            [[1, 0], [0, 0], [0, 1], [-1, -1], [1, 0]],
            [[0.2, 0.7], [0.1, 0.6], [0.2, 0.3], [0.9, 0.1], [0.9, 0.1]],
            [[0, 1], [0, 1], [0, 0], [0, 1], [1, 0]],
        ),
        NONE,
    )
    assert [(one.row, one.label, one.true, one.decided) for one in found] == [
        (0, "y", "x", "y"),
        (1, "y", None, "y"),
        (2, "y", "y", None),
    ]
    assert [one.sureness for one in found] == pytest.approx([0.8, 0.7, 0.7])


def test_at_most_so_many_rows():
    wrong = judged([[1, 1]] * 9, [[0.1, 0.2]] * 9, [[0, 0]] * 9)
    assert [one.row for one in mistakes(wrong, FREE, most=3)] == [0, 1, 2]


def test_the_words_are_those_of_the_wrong_label():
    system = make_system()
    rows = [row("物流 很慢", "质量"), row("本人", "他人", context=NODE)]
    found = mistakes(judge(system, rows), SPACE)
    shown = explained(system, rows, found)
    assert {(one["mistake"].label, one["row"].text) for one in shown} >= {("本人", "本人")}
    words = next(one["words"] for one in shown if one["mistake"].row == 1)
    assert words[0].text == "本人"
    assert words[0].weight > 0


def test_texts_can_be_left_out():
    system = make_system()
    rows = [row("物流 很慢", "质量")]
    said = judge(system, rows)
    with_texts = look_at("x", system, said, rows, [], texts=True)
    without = look_at("x", system, said, rows, [], texts=False)
    assert "".join(piece for piece, _ in with_texts.mistakes[0]["parts"]) == "物流 很慢"
    assert without.mistakes[0]["parts"] == []
    assert without.mistakes[0]["mistake"] == with_texts.mistakes[0]["mistake"]


def test_weights_are_relative_to_the_heaviest_word():
    words = [Word("好", 0, 1, 2.0), Word("坏", 2, 3, -4.0)]
    assert highlighted("好，坏。", words) == [("好", 0.5), ("，", 0.0), ("坏", -1.0), ("。", 0.0)]
    assert highlighted("好", [Word("好", 0, 1, 0.0)]) == [("好", 0.0)]
    assert highlighted("。", []) == [("。", 0.0)]


@pytest.mark.parametrize("at", [0, 150, 298])
def test_a_long_text_is_shown_around_its_heaviest_word(at: int):
    text = "字" * at + "重" + "字" * (299 - at)
    parts = highlighted(text, [Word("重", at, at + 1, 3.0)], longest=40)
    whole = "".join(piece for piece, _ in parts)
    assert ("重", 1.0) in parts
    assert len(whole.replace("…", "")) == 40
    assert whole.startswith("…") == (at > 20)
    assert whole.endswith("…") == (at < 279)
    assert shortened(text, 40) == text[:40] + "…"


def test_rows_that_a_system_learned_from_are_not_doubted():
    cells = [[1, 0]] * 10 + [[0, 1]] * 10
    proba = [[0.9, 0.1]] * 9 + [[0.1, 0.9]] + [[0.1, 0.9]] * 10
    both = [judged(cells, proba, cells), judged(cells, proba, cells)]
    rows = [row(f"text {number}", "a") for number in range(20)]
    found = doubted(both, rows, set(), FREE)
    assert {one.row for one in found} == {9}
    assert not doubted(both, rows, {"text 9"}, FREE)
