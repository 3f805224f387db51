"""Losses against hand-computed numbers and slow loops over cells."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from duobiao.config import LossSettings
from duobiao.errors import DataError
from duobiao.labels import UNASKED, UNKNOWN, LabelSpace
from duobiao.train.losses import (
    LabelLoss,
    LogitsLoss,
    SoftLabelLoss,
    group_cross_entropy,
    positive_weights,
    require_positives,
    sigmoid_slope,
    zlpr,
)

FREE = LabelSpace(("a", "b", "c"))
KINDS = ["bce", "asymmetric", "zlpr"]


def random_case(space: LabelSpace, rows: int = 9, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits and cells with truth, falsehood, unknown and unasked; groups are known whole or not at all."""
    random = np.random.default_rng(seed)
    cells = random.choice([1, 0, 0, UNKNOWN], size=(rows, len(space)))
    for group, columns in zip(space.groups, space.slices, strict=True):
        for row in range(rows):
            state = random.choice(["known", "known", "unknown", "unasked"])
            cells[row, columns] = {"known": 0, "unknown": UNKNOWN, "unasked": UNASKED}[state]
            answer = random.integers(0, len(group.labels) + int(group.at_most_one))
            if state == "known" and answer < len(group.labels):
                cells[row, columns.start + answer] = 1
    logits = torch.tensor(random.normal(0, 2, size=cells.shape), dtype=torch.float64, requires_grad=True)
    return logits, torch.tensor(cells, dtype=torch.int8)


def slow_loss(space: LabelSpace, setting: LossSettings, weights: list[float], logits: list[float], cells: list[int]) -> float:
    """One row's loss, cell by cell, from the formulas."""
    total, free = 0.0, len(space.independent)
    known = [(logits[i], cells[i], weights[i]) for i in range(free) if cells[i] >= 0]
    if setting.independent == "zlpr":
        total += math.log(1 + sum(math.exp(s) for s, y, _ in known if y == 0))
        total += math.log(1 + sum(math.exp(-s) for s, y, _ in known if y == 1))
    for s, y, weight in known:
        p = 1 / (1 + math.exp(-s))
        if setting.independent == "bce":
            total += -weight * math.log(p) if y else -math.log(1 - p)
        elif setting.independent == "asymmetric":
            q = max(p - setting.margin, 0)
            positive, negative = setting.gamma_positive, setting.gamma_negative
            total += -((1 - p) ** positive) * math.log(p) if y else -(q**negative) * math.log(1 - q)
    for group, columns in zip(space.groups, space.slices, strict=True):
        scores, truth = logits[columns], cells[columns]
        if min(truth) < 0:
            continue
        if group.at_most_one:
            scores, truth = [*scores, 0.0], [*truth, int(1 not in truth)]
        total += math.log(sum(math.exp(s) for s in scores)) - scores[truth.index(1)]
    return total / ((1 if setting.independent == "zlpr" else free) + len(space.groups))


def test_bce_by_hand() -> None:
    loss = LabelLoss(FREE, LossSettings())
    found = loss(torch.tensor([[0.0, math.log(3), 5.0]]), torch.tensor([[1, 0, UNKNOWN]]))
    assert_close(found, torch.tensor([(math.log(2) + math.log(4)) / 3]))


def test_pos_weight_by_hand() -> None:
    loss = LabelLoss(FREE, LossSettings(), torch.tensor([5.0, 7.0, 1.0]))
    found = loss(torch.zeros(1, 3), torch.tensor([[1, 0, 0]]))  # only the true label is weighed
    assert_close(found, torch.tensor([(5 + 1 + 1) * math.log(2) / 3]))


def test_asymmetric_by_hand() -> None:
    loss = LabelLoss(FREE, LossSettings(independent="asymmetric", gamma_positive=1, gamma_negative=2, margin=0.1))
    found = loss(torch.tensor([[0.0, 0.0, -4.0]]), torch.tensor([[1, 0, 0]]))  # the last one lies below the margin
    assert_close(found, torch.tensor([(0.5 * math.log(2) - 0.16 * math.log(0.6)) / 3]))


def test_zlpr_by_hand() -> None:
    found = zlpr(torch.tensor([[math.log(2), math.log(3), -math.log(4), 9.0]]), torch.tensor([[1, 0, 0, UNKNOWN]]))
    assert_close(found, torch.tensor([math.log(1 + 1 / 2) + math.log(1 + 3 + 1 / 4)]))
    assert_close(LabelLoss(FREE, LossSettings(independent="zlpr")).terms, 1)


def test_a_single_exclusive_group_is_torch_cross_entropy() -> None:
    space = LabelSpace.from_dict({"groups": {"g": {"labels": ["x", "y", "z"]}}})
    logits, answers = torch.randn(6, 3), torch.tensor([0, 2, 1, 1, 0, 2])
    found = LabelLoss(space, LossSettings())(logits, torch.nn.functional.one_hot(answers, 3))
    assert_close(found, torch.nn.functional.cross_entropy(logits, answers, reduction="none"))


def test_group_that_allows_none_has_one_more_class_with_logit_zero() -> None:
    logits, answers = torch.randn(4, 2), torch.tensor([0, 1, 2, 2])
    cells = torch.nn.functional.one_hot(answers, 3)[:, :2]
    wanted = torch.nn.functional.cross_entropy(torch.cat([logits, torch.zeros(4, 1)], 1), answers, reduction="none")
    assert_close(group_cross_entropy(logits, cells, at_most_one=True), wanted)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_every_loss_is_the_slow_loop(kind: str, seed: int, tiny_space: LabelSpace) -> None:
    setting = LossSettings(independent=kind, gamma_positive=1.5, gamma_negative=3, margin=0.07)
    weights = torch.tensor([2.0, 0.5, 3.0], dtype=torch.float64)
    logits, cells = random_case(tiny_space, seed=seed)
    found = LabelLoss(tiny_space, setting, weights)(logits, cells)
    rows = zip(logits.tolist(), cells.tolist(), strict=True)
    wanted = [slow_loss(tiny_space, setting, weights.tolist(), *row) for row in rows]
    assert_close(found, torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_and_unasked_cells_get_no_gradient_and_all_others_do(kind: str, tiny_space: LabelSpace) -> None:
    logits, cells = random_case(tiny_space, rows=30)
    assert {UNKNOWN, UNASKED} <= set(cells.flatten().tolist())
    LabelLoss(tiny_space, LossSettings(independent=kind, margin=0.0))(logits, cells).sum().backward()
    assert (logits.grad[cells < 0] == 0).all()
    assert (logits.grad[cells >= 0] != 0).all()


@pytest.mark.parametrize("setting", [{}, {"gamma_negative": 0.5, "gamma_positive": 0.5}, {"margin": 0.0}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_extreme_logits_give_finite_losses_and_gradients(kind: str, setting: dict[str, float]) -> None:
    logits = torch.tensor([[-90.0, 90.0, 0.0], [90.0, -90.0, 30.0]], requires_grad=True)
    loss = LabelLoss(FREE, LossSettings(independent=kind, **setting))
    for cells in ([[1, 0, 1], [1, 0, 0]], [[0, 1, 0], [0, 1, 1]]):
        found = loss(logits, torch.tensor(cells)).sum()
        (gradient,) = torch.autograd.grad(found, logits)
        assert torch.isfinite(found)
        assert torch.isfinite(gradient).all()


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 12), max_size=4), seed=st.integers(0, 99), kind=st.sampled_from(KINDS))
def test_losses_add_up_over_any_cut_of_the_batch(cuts: list[int], seed: int, kind: str) -> None:
    space = LabelSpace.from_dict({"labels": ["a", "b"], "groups": {"g": {"labels": ["x", "y"], "contexts": ["n"]}}})
    logits, cells = random_case(space, rows=12, seed=seed)
    loss = LabelLoss(space, LossSettings(independent=kind))
    edges = [0, *sorted(cuts), 12]
    parts = [loss(logits[a:b], cells[a:b]).sum() for a, b in pairwise(edges)]
    assert_close(torch.stack(parts).sum(), loss(logits, cells).sum())


# ---- against the teacher -----------------------------------------------------------------------------


def test_logits_loss_is_the_slow_loop_with_centred_groups(tiny_space: LabelSpace) -> None:
    logits, cells = random_case(tiny_space)
    teacher = torch.randn(logits.shape, dtype=torch.float64)
    found = LogitsLoss(tiny_space)(logits, teacher, cells)
    free = len(tiny_space.independent)
    for row in range(len(cells)):
        difference = (logits - teacher)[row].detach().clone()
        rise = torch.sigmoid(logits[row]) - torch.sigmoid(teacher[row])
        difference[:free] *= (rise / (logits - teacher)[row]).sqrt()[:free].detach()
        for group, columns in zip(tiny_space.groups, tiny_space.slices, strict=True):
            if not group.at_most_one:
                difference[columns] -= difference[columns].sum() / len(group.labels)
        wanted = sum(float(d) ** 2 for d, cell in zip(difference, cells[row], strict=True) if cell != UNASKED)
        assert found[row].item() == pytest.approx(wanted / len(tiny_space))


def test_only_differences_inside_an_exclusive_group_are_taught(tiny_space: LabelSpace) -> None:
    teacher, cells = torch.randn(2, len(tiny_space)), torch.zeros(2, len(tiny_space))
    shifted = teacher.clone()
    shifted[:, tiny_space.slices[0]] += 7.0
    assert_close(LogitsLoss(tiny_space)(shifted, teacher, cells), torch.zeros(2))
    shifted[:, tiny_space.slices[1]] += 7.0  # at most one: the logit of none is 0, so a shift matters
    assert (LogitsLoss(tiny_space)(shifted, teacher, cells) > 1).all()


def test_differences_count_as_far_as_they_change_the_probability() -> None:
    logits, teacher = torch.tensor([[0.0, -7.0, 3.0]]), torch.tensor([[2.0, -9.0, 3.0]])
    sigmoid = [1 / (1 + math.exp(-x)) for x in (0.0, 2.0, -7.0, -9.0)]
    wanted = (2 * (sigmoid[1] - sigmoid[0]) + 2 * (sigmoid[2] - sigmoid[3])) / 3
    assert LogitsLoss(FREE)(logits, teacher, torch.zeros(1, 3)).item() == pytest.approx(wanted, rel=1e-4)
    assert LogitsLoss(FREE, "plain")(logits, teacher, torch.zeros(1, 3)).item() == pytest.approx(8 / 3)


def test_the_slope_is_a_weight_so_the_gradient_is_that_of_the_divergence() -> None:
    torch.manual_seed(0)
    teacher, cells = 4 * torch.randn(6, 3, dtype=torch.float64), torch.zeros(6, 3)
    logits = [4 * torch.randn(6, 3, dtype=torch.float64) for _ in range(1)] * 2
    ours, theirs = (one.clone().requires_grad_() for one in logits)
    LogitsLoss(FREE)(ours, teacher, cells).sum().backward()
    SoftLabelLoss(FREE)(theirs, teacher, cells).sum().backward()
    assert_close(ours.grad, 2 * theirs.grad)


@settings(deadline=None)
@given(st.floats(-30, 30), st.floats(-30, 30))
def test_the_slope_lies_between_nothing_and_a_quarter_and_has_no_jump(first: float, second: float) -> None:
    a, b = torch.tensor(first, dtype=torch.float64), torch.tensor(second, dtype=torch.float64)
    slope = sigmoid_slope(a, b).item()
    assert 0 < slope <= 0.25 + 1e-9
    assert slope == pytest.approx(sigmoid_slope(b, a).item())
    if abs(first - second) > 1e-4:
        assert slope == pytest.approx(((torch.sigmoid(a) - torch.sigmoid(b)) / (a - b)).item(), rel=1e-3, abs=1e-12)


def test_unknown_cells_are_taught_and_unasked_ones_are_not(tiny_space: LabelSpace) -> None:
    logits, cells = random_case(tiny_space, rows=30)
    LogitsLoss(tiny_space)(logits, torch.randn(logits.shape), cells).sum().backward()
    assert (logits.grad[cells == UNASKED] == 0).all()
    assert (logits.grad[cells == UNKNOWN] != 0).all()
    assert (logits.grad[cells >= 0] != 0).all()


# ---- what the training rows decide -------------------------------------------------------------------


def test_soft_label_loss_by_hand() -> None:
    space = LabelSpace(("a", "b"))
    student, teacher = torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, -1.0]])
    loss = 0.0
    for ours, theirs in ((0.0, 2.0), (1.0, -1.0)):
        p, q = 1 / (1 + math.exp(-theirs / 2)), 1 / (1 + math.exp(-ours / 2))
        loss += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    cells = torch.tensor([[1, UNKNOWN]])  # unknown ones are taught
    assert_close(SoftLabelLoss(space, 2.0)(student, teacher, cells), torch.tensor([4 * loss / 2]))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_for_one_exclusive_group_soft_label_loss_is_ordinary_distillation(temperature: float) -> None:
    space = LabelSpace.from_dict({"groups": {"g": {"labels": ["x", "y", "z"]}}})
    torch.manual_seed(0)
    student, teacher = torch.randn(7, 3), torch.randn(7, 3)
    wanted = temperature**2 * torch.nn.functional.kl_div(
        torch.log_softmax(student / temperature, 1), torch.softmax(teacher / temperature, 1), reduction="none"
    ).sum(1)
    assert_close(SoftLabelLoss(space, temperature)(student, teacher, torch.zeros(7, 3, dtype=torch.int8)), wanted)


def test_soft_label_loss_is_nothing_for_the_teacher_itself_and_heeds_what_is_asked(tiny_space: LabelSpace) -> None:
    logits, cells = random_case(tiny_space, rows=40)
    loss = SoftLabelLoss(tiny_space, 2.0)
    assert loss(logits, logits, cells).abs().max() < 1e-9
    student = torch.randn_like(logits).requires_grad_()
    value = loss(student, logits * 3, cells)
    assert (value > 0).all()
    value.sum().backward()
    assert ((student.grad == 0) == (cells == UNASKED)).all()


def test_a_group_that_allows_none_is_taught_how_likely_none_is() -> None:
    space = LabelSpace.from_dict({"groups": {"g": {"labels": ["x"], "at_most_one": True}}})
    free = LabelSpace(("x",))
    student, teacher, cells = torch.tensor([[0.3]]), torch.tensor([[-1.2]]), torch.tensor([[0]])
    assert_close(SoftLabelLoss(space)(student, teacher, cells), SoftLabelLoss(free)(student, teacher, cells))


@pytest.mark.parametrize("at", [80.0, 1e4])
def test_extreme_teachers_give_finite_soft_label_losses(at: float, tiny_space: LabelSpace) -> None:
    teacher = torch.full((2, len(tiny_space)), at)
    teacher[1] = -at
    student = (-teacher).clone().requires_grad_()
    loss = SoftLabelLoss(tiny_space)(student, teacher, torch.zeros(2, len(tiny_space), dtype=torch.int8)).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()


def test_positive_weights_are_negatives_over_positives_clipped() -> None:
    cells = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 1], [0, UNKNOWN, 1], [UNKNOWN, 0, 1]] + [[UNKNOWN, 0, 1]] * 20)
    cells[5, 1] = 1
    assert_close(positive_weights(cells, FREE, 10.0), torch.tensor([3.0, 10.0, 0.1]))
    assert_close(positive_weights(cells, FREE, 50.0), torch.tensor([3.0, 23.0, 0.02]))


def test_labels_without_a_positive_row_are_refused_by_name(tiny_space: LabelSpace) -> None:
    cells = np.zeros((3, len(tiny_space)), dtype=np.int8)
    cells[0] = 1
    require_positives(cells, tiny_space)
    cells[0, [1, 9]] = (0, UNASKED)
    with pytest.raises(DataError) as caught:
        require_positives(cells, tiny_space)
    assert caught.value.problems == ("label '质量'", "label '身份确认/否'")
    assert "2 labels" in caught.value.message
