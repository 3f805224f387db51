"""The release gate between systems whose answers are written down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score
from systems import NODE, SPACE, Reader, make_system, row, store

from duobiao.classifier import Classifier
from duobiao.data.rows import Row
from duobiao.errors import ConfigError, DataError
from duobiao.evaluate.diff import Diff, Limits, diff, diff_files, joint_space
from duobiao.evaluate.diff_wording import headline, remarks, render
from duobiao.labels import LabelSpace


class Forgetful(Reader):
    """Finds a label true where the text names it, unless the text says that this system must not."""

    def logits(self, pairs: Any, label: str = "") -> np.ndarray:
        found = super().logits(pairs, label)
        for place, name in enumerate(self.space.names):
            found[[f"没{name}" in text for text, _ in pairs], place] = -4.0
            found[[f"错{name[0]}" in text for text, _ in pairs], place] = 3.0
        return found


def forgetful(space: LabelSpace = SPACE, name: str = "new") -> Classifier:
    return make_system(Forgetful(space), space=space, name=name)


def reader(space: LabelSpace = SPACE, name: str = "old") -> Classifier:
    return make_system(Reader(space), space=space, name=name)


def many(missed: int, rows: int = 40) -> list[Row]:
    """Rows of which the new system misses some positives of one label; every second row has another label."""
    return [
        row(f"{number} 物流 {'没物流' if number < missed else ''} 质量 正面", "物流", "质量", "正面", id=str(number))
        for number in range(rows)
    ]


def test_a_system_passes_against_itself() -> None:
    found = diff(reader(), reader(), many(9)).found
    assert found["passed"]
    assert found["flips"]["rows"] == 0
    assert all(line["difference"] == 0 for line in found["quality"]["overall"].values())
    assert "闸门通过" in headline(found, "zh")[0]


def test_a_label_that_fell_fails_the_gate_by_name() -> None:
    found = diff(reader(), forgetful(), many(15)).found
    assert not found["passed"]
    assert ("label", "物流") in [(one["what"], one["name"]) for one in found["reasons"]]
    line = next(one for one in found["quality"]["labels"] if one["label"] == "物流")
    assert line["broken"] == 15
    assert line["new"] == pytest.approx(f1_score([1] * 40, [0] * 15 + [1] * 25))
    assert line["low"] < line["difference"] < line["high"] < 0
    text = render(found, "en")
    assert "Gate failed" in text
    assert "label '物流': F1 fell from 1.000 to 0.769" in text


def test_limits_that_make_no_sense_are_told_with_what_they_are() -> None:
    with pytest.raises(ConfigError) as points:
        Limits(drop=-1)
    assert points.value.hint == "points of F1 are 0 or more (0.5 is half a point)"
    with pytest.raises(ConfigError) as share:
        Limits(flips=3)
    assert share.value.hint == "--max-flips is a share from 0 to 1 (0.02 is 2 %)"


def test_labels_in_another_order_change_no_verdict() -> None:
    groups = SPACE.to_dict()["groups"]
    turned = LabelSpace.from_dict(
        {"labels": ["发票", "质量", "物流"], "groups": {NODE: groups[NODE], "情感": {"labels": ["负面", "正面"]}}}
    )
    for missed in (15, 2):
        plain, found = (diff(reader(), forgetful(space), many(missed)) for space in (SPACE, turned))
        for kind in ("label", "group"):
            lines = [{line[kind]: line for line in one.found["quality"][f"{kind}s"]} for one in (plain, found)]
            assert lines[0] == lines[1]
        assert found.found["reasons"] == plain.found["reasons"]
        assert found.found["flips"] == plain.found["flips"]
        for metric, line in plain.found["quality"]["overall"].items():
            assert found.found["quality"]["overall"][metric] == pytest.approx(line, abs=1e-12)


def test_a_fall_within_noise_passes_and_one_within_the_allowance_too() -> None:
    assert diff(reader(), forgetful(), many(3)).passed
    strict = diff(reader(), forgetful(), many(15)).found
    fall = -100 * next(one["difference"] for one in strict["quality"]["labels"] if one["label"] == "物流")
    overall = [-100 * line["difference"] for line in strict["quality"]["overall"].values()]
    assert diff(reader(), forgetful(), many(15), Limits(drop=max(overall) + 0.1, label_drop=fall + 0.1)).passed
    only = diff(reader(), forgetful(), many(15), Limits(drop=max(overall) + 0.1)).found
    assert {one["what"] for one in only["reasons"]} == {"label"}


def test_rows_that_flip_come_worst_first() -> None:
    rows = [
        row("物流 没物流", "物流", id="broken"),
        row("错质 没发票", "发票", id="twice"),
        row("错物", "物流", id="fixed"),
        row("质量", "质量", id="same"),
        row("错发", id="open", unknown=["发票"]),
    ]
    found = diff(reader(), forgetful(), rows)
    assert [one["id"] for one in found.flips] == ["twice", "broken", "open", "fixed"]
    first = found.flips[0]
    assert (first["old"], first["new"]) == (["发票", "正面"], ["质量", "正面"])
    assert (first["broken"], first["fixed"]) == (["质量", "发票"], [])
    assert first["scores"]["质量"] == pytest.approx([0.018, 0.9526], abs=1e-3)
    totals = found.found["flips"]
    assert {key: totals[key] for key in ("rows", "broken", "fixed", "open")} == {"rows": 4, "broken": 3, "fixed": 1, "open": 1}


def test_unlabelled_rows_give_flips_only() -> None:
    rows = [Row(id=str(number), text="物流" + ("没物流" if number < 5 else "")) for number in range(20)]
    found = diff(reader(), forgetful(), rows)
    assert found.passed
    assert found.found["quality"] is None
    assert found.found["flips"]["share"] == 0.25
    assert found.found["flips"]["open"] == 5
    assert "只比较了翻转" in headline(found.found, "zh")[0]
    failed = diff(reader(), forgetful(), rows, Limits(flips=0.2)).found
    assert "25.00% of the rows" in headline(failed, "en")[1]
    assert diff(reader(), forgetful(), rows, Limits(flips=0.25)).passed


def test_some_rows_may_lack_labels() -> None:
    rows = [*many(15), Row(id="x", text="没质量质量")]
    found = diff(reader(), forgetful(), rows).found
    assert found["labelled"] == 40
    assert next(one for one in found["quality"]["labels"] if one["label"] == "质量")["open"] == 1
    assert any("1 rows have no labels" in line for line in remarks(found, "en"))


def test_label_spaces_may_differ() -> None:
    smaller = LabelSpace.from_dict({"labels": ["质量", "物流"], "groups": SPACE.to_dict()["groups"]})
    larger = LabelSpace.from_dict({"labels": ["退款", "物流", "质量", "发票"], "groups": SPACE.to_dict()["groups"]})
    rows = [row("退款 物流", "退款", "物流", id="1"), row("质量", "质量", "退款", id="2"), row("发票", "发票", id="3")]
    gained = diff(reader(), reader(larger, "new"), rows).found
    assert gained["passed"]
    assert gained["new_labels"] == [{"label": "退款", "positives": 2, "f1": 2 / 3, "precision": 1.0, "recall": 0.5}]
    assert "退款" in render(gained, "zh")
    lost = diff(reader(), reader(smaller, "new"), rows[2:]).found
    assert [one["what"] for one in lost["reasons"]] == ["removed"]
    assert lost["removed"] == [{"label": "发票", "positives": 1}]
    assert "'发票' is missing" in render(lost, "en")
    assert diff(reader(), reader(smaller, "new"), rows[2:], Limits(removed=True)).passed


def test_each_model_answers_once() -> None:
    larger = LabelSpace.from_dict({"labels": ["退款", "物流", "质量", "发票"], "groups": SPACE.to_dict()["groups"]})
    backends = Reader(SPACE), Reader(larger)
    systems = [make_system(one, space=one.space) for one in backends]
    assert diff(systems[0], systems[1], [row("退款 物流", "退款", "物流")]).found["new_labels"]
    assert [one.calls for one in backends] == [1, 1]


def test_a_group_is_judged_by_its_accuracy_and_only_where_it_is_asked() -> None:
    rows = [
        row(f"{number} 本人 没本人 错他" if number < 14 else "本人", "本人", id=str(number), context=NODE)
        for number in range(30)
    ]
    rows += [row("本人 没本人", id=f"x{number}") for number in range(5)]  # the group is not asked here
    found = diff(reader(), forgetful(), rows).found
    line = next(one for one in found["quality"]["groups"] if one["group"] == NODE)
    assert (line["rows"], line["old"], line["fell"]) == (30, 1.0, True)
    assert line["new"] == pytest.approx(16 / 30)
    assert found["flips"]["rows"] == 14
    assert any(one["what"] == "group" for one in found["reasons"])


def test_a_group_with_a_new_member_is_judged_by_the_old_ones() -> None:
    larger = LabelSpace.from_dict({"labels": [], "groups": {"情感": {"labels": ["正面", "负面", "平静"]}}})
    smaller = LabelSpace.from_dict({"labels": [], "groups": {"情感": {"labels": ["正面", "负面"]}}})
    rows = [row("正面 平静", "正面", id=str(number)) for number in range(12)] + [row("平静", "平静", id="x")]
    system = forgetful(larger)
    same = diff(reader(smaller), system, rows).found["quality"]["groups"][0]
    assert (same["rows"], same["old"], same["new"]) == (13, 12 / 13, 1.0)
    taken = [row("正面 没正面 平静", "正面", id=str(number)) for number in range(12)]
    fell = diff(reader(smaller), system, taken).found
    assert (fell["quality"]["groups"][0]["new"], fell["passed"]) == (0.0, False)


def test_rows_of_a_dialogue_count_once() -> None:
    def result(grouped: bool) -> Diff:
        rows = [
            Row(id=str(at), text="物流" + "没物流" * (at < 12), labels=("物流",), group_id=str(at // 6) if grouped else None)
            for at in range(60)
        ]
        return diff(reader(), forgetful(), rows)

    assert not result(False).passed
    assert result(True).passed  # two dialogues fell, and two are too few
    assert result(True).found["units"] == 10


def test_too_few_rows_are_told_of() -> None:
    rows = [*many(0, 40), *(row("发票", "发票", id=f"f{number}") for number in range(6))]
    line = next(text for text in remarks(diff(reader(), forgetful(), rows).found, "en") if text.startswith("Too few"))
    assert "'发票' has 6 positive rows, so a drop under" in line


def test_fewer_than_ten_labelled_rows_give_no_interval() -> None:
    rows = [*many(9, 9), *(Row(id=f"x{number}", text="物流") for number in range(20))]
    found = diff(reader(), forgetful(), rows).found
    quality = found["quality"]
    for line in (*quality["overall"].values(), *quality["labels"], *quality["groups"]):
        assert (line["low"], line["high"]) == (None, None)
    label = next(one for one in found["reasons"] if one["name"] == "物流")
    assert label["adjusted_p"] < 0.025
    for language, text in (("en", "(-100.0 points, adjusted p"), ("zh", "（-100.0 个百分点，校正后 p")):
        assert any(text in line for line in headline(found, language))
        assert "| -100.0 | - |" in render(found, language)
        assert not any("noise" in line or "噪声" in line for line in remarks(found, language) if "F1" in line)


def test_no_remark_tells_of_noise_where_no_draw_differs() -> None:
    found = diff(reader(), reader(), many(0)).found
    assert [found["quality"]["overall"]["micro_f1"][side] for side in ("low", "high")] == [0, 0]
    assert not any("noise" in line for line in remarks(found, "en"))
    assert any("micro-F1 under" in line for line in remarks(diff(reader(), forgetful(), many(9)).found, "en"))


def test_names_cannot_break_the_table() -> None:
    space = LabelSpace(("a|b", "<b>*x*"))
    rows = [row("a|b 没a|b <b>*x*", "a|b", "<b>*x*", id=str(number)) for number in range(20)]
    text = render(diff(reader(space), forgetful(space), rows).found, "zh")
    assert "| a\\|b | 20 |" in text
    assert "<b>" not in text


def test_names_are_no_links_pictures_or_headings_in_a_comment() -> None:
    link = "[x](http://a.b) ![y](c.d) #1"
    rows = [row(f"{link} 没{link}", link, id=str(number)) for number in range(20)]
    old, new = LabelSpace((link,)), LabelSpace((link, "[new](z)"))
    systems = reader(old, "[old](u)\n# v"), forgetful(new, "*new* <i>")
    text = render(diff(*systems, rows).found, "en")
    plain = re.sub(r"\\[^\w\s]", "", text)  # without what is escaped
    assert text.splitlines()[0] == "## Release gate: \\[old\\](u) \\# v → \\*new\\* \\<i\\>"
    assert link not in text
    assert not re.search(r"[\[\]<]", plain)


def test_a_removed_label_is_no_link_in_the_remark() -> None:
    text = render(
        diff(reader(LabelSpace(("物流", "[a](b)"))), reader(LabelSpace(("物流",)), "new"), [row("物流", "物流")]).found, "zh"
    )
    assert "\\[a\\](b)" in text


@pytest.mark.parametrize("bad", ["flips", "markdown", "json_out"])
def test_a_place_that_cannot_be_written_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "物流", "labels": ["物流"]}\n', encoding="utf-8")
    systems = [store(tmp_path / name, name) for name in ("old", "new")]
    places = {name: tmp_path / "out" / f"{name}.jsonl" for name in ("flips", "markdown", "json_out")}
    places[bad] = rows / "x.jsonl"
    monkeypatch.setattr(Classifier, "load", lambda *given: pytest.fail("a model was loaded"))
    with pytest.raises(DataError, match="cannot be written"):
        diff_files(*systems, rows, **places)
    assert not (tmp_path / "out").exists()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="limits") as error:
        Limits(drop=-1, label_drop=float("nan"), flips=2)
    assert len(error.value.problems) == 3
    with pytest.raises(DataError, match="'退款' is not in the label space"):
        diff(reader(), reader(), [row("退款", "退款")])
    with pytest.raises(DataError, match="no rows"):
        diff(reader(), reader(), [])
    assert joint_space(SPACE, SPACE) == SPACE
