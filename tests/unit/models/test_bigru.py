"""The BiGRU against ``torch.nn.GRU`` on packed rows, and against slow loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

from duobiao.models.bigru import BiGRUClassifier, turn_round
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


def reference_gru(model: BiGRUClassifier) -> nn.GRU:
    """PyTorch's own bidirectional GRU with the same weights."""
    gru = nn.GRU(WIDTH, HIDDEN, batch_first=True, bidirectional=True)
    for part, suffix in ((model.forward_gru, ""), (model.backward_gru, "_reverse")):
        for name, parameter in part.named_parameters():
            getattr(gru, name + suffix).data.copy_(parameter.data)
    return gru


def reference_states(model: BiGRUClassifier, gru: nn.GRU, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs ``(rows, length, 2 * hidden)`` and last states ``(rows, 2 * hidden)`` on packed rows."""
    packed = pack_padded_sequence(model.embedding(ids) * model.scale, mask.sum(1), batch_first=True, enforce_sorted=False)
    outputs, last = gru(packed)
    return pad_packed_sequence(outputs, batch_first=True, total_length=ids.shape[1])[0], torch.cat([last[0], last[1]], dim=1)


BATCHES = [[1], [1, 1, 1], [7], [3, 1, 9, 9, 2], [12, 5, 5, 1, 8, 2, 11]]


@pytest.mark.parametrize("lengths", BATCHES, ids=str)
def test_states_of_both_directions_are_those_of_a_packed_gru(lengths: list[int]) -> None:
    model = make(seed=len(lengths))
    ids, mask = ragged(lengths)
    ahead, back = model.states(ids, mask)
    wanted, _ = reference_states(model, reference_gru(model), ids, mask)
    for row, length in enumerate(lengths):
        assert_close(ahead[row, :length], wanted[row, :length, :HIDDEN])
        assert_close(back[row, :length].flip(0), wanted[row, :length, HIDDEN:])  # each in its own reading order


@pytest.mark.parametrize("lengths", BATCHES, ids=str)
def test_model_b_reads_the_last_states_of_a_packed_gru(lengths: list[int]) -> None:
    model = make("B", seed=len(lengths))
    ids, mask = ragged(lengths, extra=3)
    _, row = reference_states(model, reference_gru(model), ids, mask)
    assert row.shape == (len(lengths), model.first.in_features)
    assert_close(model(ids, mask), model.output(torch.relu(model.first(row))))


def test_gradient_of_model_b_is_that_of_a_packed_gru() -> None:
    model = make("B")
    ids, mask = ragged([3, 1, 9, 9, 2], extra=2)
    weights = torch.randn(5, LABELS)
    (model(ids, mask) * weights).sum().backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    gru = reference_gru(model)
    _, row = reference_states(model, gru, ids, mask)
    (model.output(torch.relu(model.first(row))) * weights).sum().backward()
    for name in ("embedding.weight", "first.weight", "first.bias", "output.weight", "output.bias"):
        assert_close(found[name], model.get_parameter(name).grad)
    for part, suffix in (("forward_gru", ""), ("backward_gru", "_reverse")):
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            assert_close(found[f"{part}.{name}"], getattr(gru, name + suffix).grad)
            assert found[f"{part}.{name}"].abs().sum() > 0


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
    wanted, _ = reference_states(model, reference_gru(model), ids, mask)
    rows = []
    for row, length in enumerate(lengths):
        total, top = torch.zeros(2 * HIDDEN), torch.full((2 * HIDDEN,), -9.0)
        for token in range(length):
            total = total + wanted[row, token]
            top = torch.maximum(top, wanted[row, token])
        rows.append(torch.cat([total / length, top]))
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


def test_rows_are_turned_round_up_to_their_last_token() -> None:
    _, mask = ragged([3, 1, 4], extra=1)
    assert turn_round(mask).tolist() == [[2, 1, 0, 3, 4], [0, 1, 2, 3, 4], [3, 2, 1, 0, 4]]


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
