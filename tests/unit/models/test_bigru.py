"""The BiGRU against the GRU's equations, computed row by row and token by token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from duobiao.models.bigru import BiGRUClassifier
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.pretrained import load_pretrained

VOCABULARY, WIDTH, HIDDEN, LABELS = 40, 6, 5, 4


def make(model: str = "B", dropout: float = 0.0, seed: int = 0) -> BiGRUClassifier:
    torch.manual_seed(seed)
    return BiGRUClassifier(VOCABULARY, WIDTH, LABELS, hidden=HIDDEN, fc=7, model=model, dropout=dropout, scale=1.7).eval()


def ragged(lengths: list[int], seed: int = 0, extra: int = 0) -> tuple[Tensor, Tensor]:
    """Ids and mask of rows of these lengths; the padding holds random ids, which must not matter."""
    torch.manual_seed(100 + seed)
    longest = max(lengths) + extra
    mask = (torch.arange(longest)[None, :] < torch.tensor(lengths)[:, None]).long()
    return torch.randint(0, VOCABULARY, (len(lengths), longest)), mask


def reference_direction(inputs: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """States ``(length, hidden)`` of one row, by Cho et al. 2014 in the form that torch documents."""
    state, states = torch.zeros(HIDDEN), []
    for token in inputs:
        reset_in, update_in, new_in = (weights["weight_ih"] @ token + weights["bias_ih"]).split(HIDDEN)
        reset_h, update_h, new_h = (weights["weight_hh"] @ state + weights["bias_hh"]).split(HIDDEN)
        reset, update = torch.sigmoid(reset_in + reset_h), torch.sigmoid(update_in + update_h)
        state = (1 - update) * torch.tanh(new_in + reset * new_h) + update * state
        states.append(state)
    return torch.stack(states)


def reference_rows(model: BiGRUClassifier, ids: Tensor, mask: Tensor) -> list[tuple[Tensor, Tensor]]:
    """For each row its states read forwards and read backwards, each ``(length, hidden)`` in its own reading order."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ahead = {name: getattr(model.gru, f"{name}_l0") for name in names}
    back = {name: getattr(model.gru, f"{name}_l0_reverse") for name in names}
    found = []
    for row, length in zip(ids, mask.sum(1).tolist(), strict=True):
        inputs = model.embedding(row[:length]) * model.scale
        found.append((reference_direction(inputs, ahead), reference_direction(inputs.flip(0), back)))
    return found


def reference_last(model: BiGRUClassifier, ids: Tensor, mask: Tensor) -> Tensor:
    """Last states of both directions, ``(rows, 2 * hidden)``."""
    return torch.stack([torch.cat([ahead[-1], back[-1]]) for ahead, back in reference_rows(model, ids, mask)])


BATCHES = [[1], [1, 1, 1], [7], [3, 1, 9, 9, 2], [12, 5, 5, 1, 8, 2, 11]]


@pytest.mark.parametrize("lengths", BATCHES, ids=str)
def test_model_b_reads_the_state_after_each_rows_true_last_token(lengths: list[int]) -> None:
    model = make("B", seed=len(lengths))
    ids, mask = ragged(lengths, extra=3)
    row = reference_last(model, ids, mask)
    assert row.shape == (len(lengths), model.first.in_features)
    assert_close(model(ids, mask), model.output(torch.relu(model.first(row))))


def test_gradient_of_model_b_is_that_of_the_equations() -> None:
    model = make("B")
    ids, mask = ragged([3, 1, 9, 9, 2], extra=2)
    weights = torch.randn(5, LABELS)
    (model(ids, mask) * weights).sum().backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    (model.output(torch.relu(model.first(reference_last(model, ids, mask)))) * weights).sum().backward()
    for name, parameter in model.named_parameters():
        assert_close(found[name], parameter.grad)
        assert found[name].abs().sum() > 0


def test_padding_gets_no_gradient() -> None:
    model = make("B")
    ids, mask = ragged([2, 4], extra=3)
    padding = VOCABULARY - 1
    ids = ids.clamp(max=padding - 1).masked_fill(mask == 0, padding)
    model(ids, mask).sum().backward()
    assert model.embedding.weight.grad[padding].abs().max() == 0
    assert model.embedding.weight.grad[ids[0, 0]].abs().max() > 0


@pytest.mark.parametrize("lengths", BATCHES, ids=str)
def test_model_a_pools_true_tokens_only(lengths: list[int]) -> None:
    model = make("A", seed=len(lengths))
    ids, mask = ragged(lengths, extra=2)
    rows = []
    for ahead, back in reference_rows(model, ids, mask):
        outputs = torch.cat([ahead, back.flip(0)], dim=1)
        total, top = torch.zeros(2 * HIDDEN), torch.full((2 * HIDDEN,), -9.0)
        for token in outputs:
            total = total + token
            top = torch.maximum(top, token)
        rows.append(torch.cat([total / len(outputs), top]))
    assert_close(model(ids, mask), model.output(torch.relu(model.first(torch.stack(rows)))))


@pytest.mark.parametrize("kind", ["A", "B"])
def test_extra_padding_changes_nothing(kind: str) -> None:
    model = make(kind)
    lengths = [4, 1, 6]
    ids, mask = ragged(lengths)
    more_ids, more_mask = ragged(lengths, extra=10)
    more_ids = torch.where(torch.nn.functional.pad(mask, (0, 10)) == 1, torch.nn.functional.pad(ids, (0, 10)), more_ids)
    assert_close(model(more_ids, more_mask), model(ids, mask))


@pytest.mark.parametrize("kind", ["A", "B"])
def test_a_row_does_not_depend_on_its_neighbours_or_their_order(kind: str) -> None:
    model = make(kind)
    lengths = [5, 1, 8, 3, 8]
    ids, mask = ragged(lengths)
    together = model(ids, mask)
    order = torch.tensor([3, 0, 4, 2, 1])
    assert_close(model(ids[order], mask[order]), together[order])
    for row, length in enumerate(lengths):
        alone = model(ids[row : row + 1, :length], mask[row : row + 1, :length])
        assert_close(alone[0], together[row])


@pytest.mark.parametrize("kind", ["A", "B"])
def test_the_answer_depends_on_the_order_of_tokens_and_on_both_ends(kind: str) -> None:
    model = make(kind)
    ids, mask = ragged([6])
    answer = model(ids, mask)
    for at in (0, 5):
        other = ids.clone()
        other[0, at] = (other[0, at] + 1) % VOCABULARY
        assert not torch.allclose(model(other, mask), answer)
    assert not torch.allclose(model(ids.flip(1), mask), answer)


def test_dropout_acts_in_training_only() -> None:
    model = make("B", dropout=0.5)
    ids, mask = ragged([4, 6])
    assert torch.equal(model(ids, mask), model(ids, mask))
    model.train()
    assert not torch.equal(model(ids, mask), model(ids, mask))


def test_settings_give_the_same_module_again() -> None:
    model = make("A")
    again = BiGRUClassifier.from_bundle(model.settings(), LABELS).eval()
    again.load_state_dict(model.state_dict())
    ids, mask = ragged([4, 6])
    assert torch.equal(again(ids, mask), model(ids, mask))


def test_every_row_can_begin_with_given_logits() -> None:
    model = make("A")
    start = torch.tensor([2.0, -3.0, 0.0, 9.0])
    with torch.no_grad():
        model.output.weight.zero_()
    model.start_output(start)
    assert_close(model(*ragged([4, 6])), start.expand(2, 4))


@pytest.mark.parametrize(("fixture", "width"), [("albert_folder", 16), ("wwm_folder", 32)])
def test_copied_embedding_has_the_width_of_the_teachers_embedding(
    fixture: str, width: int, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(fixture)
    teacher = EncoderClassifier(load_pretrained(str(folder)).model, LABELS, "cls", 0.0)
    weight = teacher.word_embedding()
    assert weight.shape[1] == width
    student = BiGRUClassifier(*weight.shape, LABELS, hidden=HIDDEN, fc=7, model="B")
    student.start_embedding(weight)
    assert torch.equal(student.embedding.weight.detach(), weight)
    assert float((weight * student.scale).std()) == pytest.approx(1, abs=1e-4)
    with torch.no_grad():
        student.embedding.weight += 1
    assert not np.allclose(student.embedding.weight.detach(), teacher.word_embedding())  # a copy, not the same tensor
