"""The plan of staged training, the row-vector loss against numbers worked out by hand, and the cache of row vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn
from torch.testing import assert_close

from duobiao.config import StagedSettings
from duobiao.data.rows import Row
from duobiao.labels import LabelSpace
from duobiao.models.bigru import BiGRUClassifier
from duobiao.models.pairwise import PairwiseClassifier
from duobiao.train.objectives import HiddenMatch
from duobiao.train.soft_labels import row_vectors, soft_labels
from duobiao.train.students.staged import layers_of, plan, standardised
from duobiao.train.students.tokens import principal


def told(settings: StagedSettings, layers: int = 3) -> list[tuple[str, int, list[int]]]:
    return [(part.stage, part.epochs, list(part.learning)) for part in plan(settings, layers)]


def test_layers_begin_to_learn_from_the_top_downwards() -> None:
    assert told(StagedSettings(hidden_epochs=5, logits_epochs=7, label_epochs=4, unfreeze=2)) == [
        ("hidden", 2, [1]),
        ("hidden", 3, [1, 2]),
        ("logits", 2, [0]),
        ("logits", 2, [0, 1]),
        ("logits", 3, [0, 1, 2]),
        ("labels", 2, [0, 1]),
        ("labels", 2, [0, 1, 2]),
    ]
    assert told(StagedSettings(hidden_epochs=0, logits_epochs=2, label_epochs=0, unfreeze=0)) == [("logits", 2, [0, 1, 2])]


@given(st.integers(0, 6), st.integers(0, 6), st.integers(1, 6), st.integers(0, 3), st.integers(2, 4))
def test_every_stage_takes_its_passes_and_ends_with_all_layers(
    hidden: int, logits: int, labels: int, unfreeze: int, layers: int
) -> None:
    settings = StagedSettings(hidden_epochs=hidden, logits_epochs=logits, label_epochs=labels, unfreeze=unfreeze)
    parts = plan(settings, layers)
    for name, epochs in (("hidden", hidden), ("logits", logits), ("labels", labels)):
        own = [part for part in parts if part.stage == name]
        assert sum(part.epochs for part in own) == epochs
        assert all(part.epochs > 0 for part in own)
        assert not own or own[-1].learning == range(int(name == "hidden"), layers)
        sizes = [len(part.learning) for part in own]
        assert sizes == sorted(set(sizes))
    assert len({part.name for part in parts}) == len(parts)
    assert parts[-1].scored


def test_stages_that_teach_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="nothing would be learned"):
        StagedSettings(logits_epochs=0, label_epochs=0)


@pytest.mark.parametrize("pairwise", [False, True])
def test_layers_hold_every_parameter_once(pairwise: bool) -> None:
    scorer = BiGRUClassifier(9, 4, 1 if pairwise else 3, hidden=2, fc=3, model="B")
    model = PairwiseClassifier(scorer, 3) if pairwise else scorer
    layers = layers_of(model)
    assert [{id(one) for one in layer} for layer in layers[1:]] == [
        {id(one) for one in scorer.gru.parameters()},
        {id(scorer.embedding.weight)},
    ]
    assert sorted(id(one) for layer in layers for one in layer) == sorted(id(one) for one in model.parameters())


# ---- the loss ----------------------------------------------------------------------------------------


class Fixed(nn.Module):
    """A student whose row vectors are given."""

    row = 2

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.found = nn.Parameter(vectors)

    def vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.found


def test_row_vector_losses_are_those_worked_out_by_hand() -> None:
    student = Fixed(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    hidden = torch.tensor([[math.log(2), 0.0], [0.0, 0.0]])
    batch = {"input_ids": torch.zeros(2, 1), "attention_mask": torch.ones(2, 1), "hidden": hidden}
    for match, wanted in (
        # softmax of the teacher (2/3, 1/3) and (1/2, 1/2); ours, P z = (ln 4, 0) and (0, 0): (4/5, 1/5) and (1/2, 1/2)
        ("kl", [2 / 3 * math.log(2 / 3 * 5 / 4) + 1 / 3 * math.log(5 / 3), 0.0]),
        ("mse", [(math.log(4) - math.log(2)) ** 2 / 2, 0.0]),
    ):
        objective = HiddenMatch(student, 2, match)
        with torch.no_grad():
            objective.projection.weight.copy_(torch.tensor([[math.log(4), 0.0], [0.0, 0.0]]))
            objective.projection.bias.zero_()
        losses = objective(batch)
        assert_close(losses["loss"], torch.tensor(wanted))
        losses["loss"].sum().backward()
        assert objective.projection.weight.grad.abs().sum() > 0
        assert "projection" not in " ".join(objective.student.state_dict())


def test_standardised_coordinates_have_mean_0_and_deviation_1() -> None:
    vectors = np.random.default_rng(0).normal(3, 5, (50, 4)).astype(np.float32)
    vectors[:, 2] = 7.5
    found = standardised(vectors)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(0), [1, 1, 0, 1], atol=1e-5)
    assert found.dtype == np.float32


# ---- a narrower embedding ----------------------------------------------------------------------------


def test_principal_components_keep_as_much_as_can_be_kept() -> None:
    torch.manual_seed(0)
    weight = torch.randn(30, 8) @ torch.diag(torch.arange(8, 0, -1.0)) @ torch.linalg.qr(torch.randn(8, 8)).Q
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    for width in (1, 3, 7):
        found = principal(weight, width)
        best = (left[:, :width] * values[:width]) @ right[:width]
        assert found.shape == (30, width)
        assert_close(found @ found.T, best @ best.T, rtol=1e-4, atol=1e-3)  # distances between tokens
    assert principal(weight, 8) is weight


# ---- the cache ---------------------------------------------------------------------------------------


class FakeTeacher:
    def __init__(self, digest: str = "a" * 64) -> None:
        self.space = LabelSpace(("x", "y"))
        self.bundle = SimpleNamespace(digest=digest, name="fake")
        self.columns: tuple[str, ...] = ()
        self.asked = 0

    def logits(self, texts: Sequence[str], context: Sequence[str | None]) -> np.ndarray:
        return np.array([[len(text), -1] for text in texts], dtype=np.float32)

    def vectors(self, rows: Sequence[Row]) -> np.ndarray:
        self.asked += len(rows)
        return np.array([[len(row.text), ord(self.bundle.digest[0]), 0] for row in rows], dtype=np.float32)


@pytest.mark.filterwarnings("error")  # neither takes the other's files for damaged ones
def test_row_vectors_are_kept_by_teacher_and_row_beside_the_logits(tmp_path: Path) -> None:
    teacher, other = FakeTeacher(), FakeTeacher("b" * 64)
    rows = [Row(str(size), "字" * size) for size in (3, 1, 2)]
    logits = soft_labels(teacher, rows, tmp_path)
    for _ in range(2):
        found = row_vectors(teacher, rows, tmp_path, 3, teacher.vectors)
        np.testing.assert_array_equal(found, [[3, 97, 0], [1, 97, 0], [2, 97, 0]])
    assert teacher.asked == 3
    np.testing.assert_array_equal(row_vectors(other, rows, tmp_path, 3, other.vectors)[:, 1], [98, 98, 98])
    assert other.asked == 3
    row_vectors(teacher, [*rows, Row("4", "字" * 4), Row("5", "字", "节点")], tmp_path, 3, teacher.vectors)
    assert teacher.asked == 5
    np.testing.assert_array_equal(soft_labels(teacher, rows, tmp_path), logits)
    assert row_vectors(teacher, [], tmp_path, 3, teacher.vectors).shape == (0, 3)


def test_row_vectors_of_another_width_are_not_used(tmp_path: Path) -> None:
    teacher, rows = FakeTeacher(), [Row("1", "字")]
    row_vectors(teacher, rows, tmp_path, 3, teacher.vectors)
    with pytest.warns(UserWarning, match="damaged"):
        found = row_vectors(teacher, rows, tmp_path, 2, lambda part: teacher.vectors(part)[:, :2])
    assert found.shape == (1, 2)
