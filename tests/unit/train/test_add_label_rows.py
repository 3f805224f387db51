"""What old and new rows say of a grown label space."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from systems import NODE, SPACE, make_system, row

from duobiao.data.rows import Row, targets
from duobiao.errors import BundleError, ConfigError, DataError
from duobiao.labels import LabelSpace
from duobiao.train.add_label_rows import Known, NewLabels, check_known, check_lacked, held_out, reading_space
from duobiao.train.grow import check_grows, grown, output_of

CALLS = LabelSpace.from_dict(
    {
        "labels": ["售后", "发票"],
        "groups": {"情感": {"labels": ["正", "负"]}, "升级": {"labels": ["经理"], "at_most_one": True}},
    }
)


def cells(asked: NewLabels, rows: list[Row], old: LabelSpace = CALLS) -> list[dict[str, int]]:
    space = asked.space(old)
    return [dict(zip(space.names, own.tolist(), strict=True)) for own in targets(rows, space)]


def known(asked: NewLabels, old: LabelSpace = CALLS) -> Known:
    return Known(asked, old, asked.space(old))


def test_a_new_label_is_unknown_in_old_rows_and_old_ones_in_new_rows() -> None:
    asked = NewLabels(("退款",))
    reader = known(asked)
    old, named, all_said = cells(
        asked,
        [
            *reader.replayed([row("a", "售后", "正"), row("b", "退款", "负")]),
            *reader.replayed([row("c", "发票", "正")], complete=True),
        ],
    )
    assert old == {"售后": 1, "发票": 0, "退款": -1, "正": 1, "负": 0, "经理": 0}
    assert named["退款"] == 1
    assert all_said["退款"] == 0
    with_it, without, whole = cells(
        asked,
        [*reader.fresh([row("a", "退款", "售后"), row("b")]), *reader.fresh([row("c", "退款", "正")], complete=True)],
    )
    assert with_it == {"售后": 1, "发票": -1, "退款": 1, "正": -1, "负": -1, "经理": -1}
    assert without == {"售后": -1, "发票": -1, "退款": 0, "正": -1, "负": -1, "经理": -1}
    assert whole == {"售后": 0, "发票": 0, "退款": 1, "正": 1, "负": 0, "经理": 0}


def test_parts_of_a_label_are_false_where_it_is_false_and_bring_it_along() -> None:
    asked = NewLabels(("退货", "换货"), split="售后")
    reader = known(asked)
    assert asked.space(CALLS).independent == ("售后", "发票", "退货", "换货")
    true, false, hidden = cells(asked, reader.replayed([row("a", "售后"), row("b", "发票"), row("c", unknown=["售后"])]))
    assert (true["退货"], true["换货"], true["售后"]) == (-1, -1, 1)
    assert (false["退货"], false["换货"], false["售后"]) == (0, 0, 0)
    assert (hidden["退货"], hidden["售后"]) == (-1, -1)
    part, none = cells(asked, reader.fresh([row("a", "退货"), row("b")]))
    assert (part["退货"], part["换货"], part["售后"]) == (1, 0, 1)
    assert (none["退货"], none["售后"]) == (0, -1)


def test_a_removed_label_leaves_its_rows_open_for_its_parts() -> None:
    asked = NewLabels(("退货", "换货"), split="售后", remove=True)
    assert asked.space(CALLS).independent == ("发票", "退货", "换货")
    (true,) = cells(asked, known(asked).replayed([row("a", "售后", "发票")], complete=True))
    assert (true["退货"], true["换货"], true["发票"]) == (-1, -1, 1)
    grouped = NewLabels(("不满", "愤怒"), split="负", remove=True)
    reader = known(grouped)
    assert grouped.space(CALLS).groups[0].labels == ("正", "不满", "愤怒")
    angry, happy = cells(grouped, reader.replayed([row("a", "负"), row("b", "正")]))
    assert (angry["正"], angry["不满"]) == (-1, -1)
    assert (happy["正"], happy["不满"]) == (1, 0)
    (fresh,) = cells(grouped, reader.fresh([row("c", "愤怒", "负")]))
    assert (fresh["愤怒"], fresh["不满"], fresh["正"]) == (1, 0, 0)


@pytest.mark.parametrize("complete", [False, True])
def test_new_rows_that_name_a_removed_label_alone_leave_its_parts_open(complete: bool) -> None:
    asked = NewLabels(("退货", "换货"), split="售后", remove=True)
    alone, part, none = cells(
        asked, known(asked).fresh([row("a", "售后", "正"), row("b", "售后", "退货", "正"), row("c", "正")], complete)
    )
    assert (alone["退货"], alone["换货"], alone["正"]) == (-1, -1, 1)
    assert (part["退货"], part["换货"]) == (1, 0)
    assert (none["退货"], none["换货"]) == (0, 0)
    grouped = NewLabels(("不满", "愤怒"), split="负", remove=True)
    alone, other = cells(grouped, known(grouped).fresh([row("a", "负"), row("b", "正")], complete))
    assert (alone["正"], alone["不满"], alone["愤怒"]) == (-1, -1, -1)
    assert (other["正"], other["不满"], other["愤怒"]) == (1, 0, 0)


def test_an_answer_settles_a_group_and_none_of_them_does_not() -> None:
    reader = known(NewLabels(("回电",), group="升级"))
    answered, none, said = cells(
        reader.asked,
        [*reader.replayed([row("a", "经理"), row("b")]), *reader.replayed([row("c")], complete=True)],
    )
    assert (answered["经理"], answered["回电"]) == (1, 0)
    assert (none["经理"], none["回电"]) == (-1, -1)
    assert (said["经理"], said["回电"]) == (0, 0)


def test_a_group_keeps_its_contexts() -> None:
    asked = NewLabels(("家人",), group=NODE)
    space = asked.space(SPACE)
    assert space.groups[1].labels == ("本人", "他人", "家人")
    inside, outside = targets(known(asked, SPACE).replayed([row("a", "本人", context=NODE), row("b")]), space)
    assert inside[-3:].tolist() == [1, 0, 0]
    assert outside[-3:].tolist() == [-2, -2, -2]


@given(st.data())
def test_old_truth_stands_in_old_rows(data: Any) -> None:
    """Whatever is added or kept: a cell of an old label never becomes another truth, and groups stay exclusive."""
    asked = data.draw(
        st.sampled_from(
            [
                NewLabels(("甲",)),
                NewLabels(("甲",), group="情感"),
                NewLabels(("甲", "乙"), group="升级"),
                NewLabels(("甲",), split="售后"),
            ]
        )
    )
    labels = data.draw(st.sets(st.sampled_from(CALLS.independent)))
    labels |= set(data.draw(st.sampled_from([[], ["正"], ["负"]]))) | set(data.draw(st.sampled_from([[], ["经理"]])))
    given_row = row("x", *labels)
    complete = data.draw(st.booleans())
    before = dict(zip(CALLS.names, targets([given_row], CALLS)[0].tolist(), strict=True))
    after = cells(asked, known(asked).replayed([given_row], complete))[0]
    for name, value in before.items():
        assert after[name] in (value, -1)
        assert after[name] == value or value == 0  # only "none of them" may open again


def test_what_does_not_fit_is_told_at_once() -> None:
    def told(**request: Any) -> str:
        with pytest.raises(ConfigError) as error:
            NewLabels(**request).space(CALLS)
        return "\n".join(error.value.problems)

    several = told(names=("售后", "甲", "甲"), group="没有", remove=True)
    for part in (
        "'售后' is in the label space already",
        "'甲' is given twice",
        "no such group",
        "--remove-old goes with --from",
    ):
        assert part in several
    assert "no such label" in told(names=("甲",), split="没有")
    assert "cannot stay beside its parts: --remove-old" in told(names=("甲",), split="负")
    assert "stay where it is, independent" in told(names=("甲",), split="售后", group="情感")
    for name in ("", " ", "甲 ", "情感"):
        with pytest.raises(ConfigError) as error:
            reading_space(NewLabels((name,)), CALLS)
        assert error.value.hint == "correct the options"
        assert error.value.problems
    assert "--name '': an empty label name" in told(names=("",))
    assert "--name '甲 ': label '甲 ' has white space around it" in told(names=("甲 ",))
    assert reading_space(NewLabels(("甲",), split="负", remove=True), CALLS).names[-4:] == ("负", "正", "甲", "经理")


def test_labels_that_nothing_can_be_learned_of_are_refused() -> None:
    asked = NewLabels(("甲", "乙"))
    reader = known(asked)
    with pytest.raises(DataError) as error:
        check_known(reader.fresh([row("a", "甲"), row("b", "甲")]), reader.space, asked.names)
    assert error.value.problems == (
        "'乙': no row has it",
        "'甲': no row is known to lack it, so it would be true of everything",
    )
    assert "put rows with '乙' into the new file" in error.value.hint
    assert "put rows without '甲' into the new file too" in error.value.hint
    with pytest.raises(DataError) as absent:
        check_known(reader.fresh([row("a", "甲"), row("b")]), reader.space, asked.names)
    assert "put rows with '乙' into the new file" in absent.value.hint
    assert "without" not in absent.value.hint
    with pytest.raises(DataError) as everywhere:
        check_known(reader.fresh([row("a", "甲"), row("b", "甲", "乙")]), reader.space, asked.names)
    assert everywhere.value.hint.startswith("put rows without '甲'")
    assert "rows with '" not in everywhere.value.hint
    with pytest.raises(DataError, match="too few"):
        held_out([row(str(number), "甲", id=str(number)) for number in range(4)], 0)


def test_dev_rows_must_lack_each_new_independent_label_somewhere() -> None:
    asked = NewLabels(("甲", "乙"))
    reader = known(asked)
    rows = reader.replayed([row("a", "甲", "正"), row("b", "甲", "正", unknown=["乙"])], complete=True)
    check_lacked(rows, reader.space, ("乙",))
    with pytest.raises(DataError, match="dev rows") as error:
        check_lacked(rows, reader.space, asked.names)
    assert error.value.problems == ("'甲': no dev row is known to lack it",)
    grouped = known(NewLabels(("中",), group="情感"))
    check_lacked(grouped.replayed([row("a", "中")], complete=True), grouped.space, ("中",))


def test_rows_held_back_keep_the_share_of_the_label() -> None:
    rows = [row(f"{number}", *(["甲"] if number % 3 == 0 else []), id=str(number)) for number in range(30)]
    first, second = held_out(rows, 0)
    assert len(second) == 6
    assert sum("甲" in (one.labels or ()) for one in second) == 2
    assert {one.id for one in first} | {one.id for one in second} == {one.id for one in rows}


def test_old_output_rows_are_copied_bit_for_bit() -> None:
    random = np.random.default_rng(0)
    space = NewLabels(("新",)).space(CALLS)
    for kind, axis in (("linear", 1), ("textcnn", 0)):
        names = ("coefficients", "intercepts") if axis else ("output.weight", "output.bias")
        matrix = random.normal(size=(7, 5) if axis else (5, 7)).astype(np.float16)
        weights = {names[0]: matrix, names[1]: random.normal(size=5).astype(np.float32), "more": np.ones(2)}
        bundle = make_system(space=CALLS, kind=kind, weights=weights).bundle
        made = grown(bundle, space, np.full((1, 7), 9, np.float32), np.array([4], np.float32))
        rows, biases = output_of(made)
        old, old_biases = output_of(bundle)
        places = [space.index[name] for name in CALLS.names]
        assert np.array_equal(rows[places], old)
        assert np.array_equal(biases[places], old_biases)
        assert (rows[space.index["新"]] == 9).all()
        assert made.weights[names[0]].dtype == np.float16


def test_bundles_that_cannot_grow_say_what_to_do() -> None:
    for changes, hint in (
        ({"kind": "fastbert"}, "add the label to its teacher"),
        ({"kind": "textcnn", "model": {"engine": {}}}, "then export that again"),
        ({"kind": "other"}, "kinds that can"),
    ):
        with pytest.raises(BundleError, match="cannot be added") as error:
            check_grows(make_system(**changes))  # type: ignore[arg-type]
        assert hint in error.value.hint
    check_grows(make_system())
