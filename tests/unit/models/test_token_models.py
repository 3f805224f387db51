"""BiLSTM and TextCNN against their equations, row by row and token by token; what padding must not do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from duobiao.models.bigru import BiGRUClassifier
from duobiao.models.bilstm import BiLSTMClassifier
from duobiao.models.textcnn import TextCNNClassifier
from duobiao.models.tokens import TokenClassifier

VOCABULARY, WIDTH, HIDDEN, LABELS, EXTRA = 40, 6, 5, 4, 2
MADE: dict[str, Any] = {
    "bilstm": lambda **shared: BiLSTMClassifier(VOCABULARY, WIDTH, LABELS, hidden=HIDDEN, fc=7, **shared),
    "textcnn": lambda **shared: TextCNNClassifier(VOCABULARY, WIDTH, LABELS, widths=(2, 3, 5), filters=4, **shared),
    "textcnn with fc": lambda **shared: TextCNNClassifier(VOCABULARY, WIDTH, LABELS, widths=(1, 4), filters=3, fc=6, **shared),
    "bigru": lambda **shared: BiGRUClassifier(VOCABULARY, WIDTH, LABELS, hidden=HIDDEN, fc=7, model="A", **shared),
}
BATCHES = [[1], [1, 1, 1], [7], [3, 1, 9, 9, 2], [12, 5, 5, 1, 8, 2, 11]]


def make(kind: str, dropout: float = 0.0, extra: int = 0) -> TokenClassifier:
    torch.manual_seed(1)
    found: TokenClassifier = MADE[kind](dropout=dropout, scale=1.7, extra=extra).eval()
    return found


def ragged(lengths: list[int], extra: int = 0) -> tuple[Tensor, Tensor]:
    """Ids and mask of rows of these lengths; the padding holds random ids, which must not matter."""
    torch.manual_seed(100)
    longest = max(lengths) + extra
    mask = (torch.arange(longest)[None, :] < torch.tensor(lengths)[:, None]).long()
    return torch.randint(0, VOCABULARY, (len(lengths), longest)), mask


def lstm_direction(model: BiLSTMClassifier, inputs: Tensor, suffix: str) -> Tensor:
    """Hidden state after the last of the inputs, by the LSTM's equations in the form that torch documents."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    into, over, bias_in, bias_over = (getattr(model.lstm, f"{name}_l0{suffix}") for name in names)
    state, cell = torch.zeros(HIDDEN), torch.zeros(HIDDEN)
    for token in inputs:
        gates = into @ token + bias_in + over @ state + bias_over
        enter, forget, new, out = gates.split(HIDDEN)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
        state = torch.sigmoid(out) * torch.tanh(cell)
    return state


def bilstm_reference(model: BiLSTMClassifier, tokens: Tensor) -> Tensor:
    return torch.cat([lstm_direction(model, tokens, ""), lstm_direction(model, tokens.flip(0), "_reverse")])


def textcnn_reference(model: TextCNNClassifier, tokens: Tensor) -> Tensor:
    """One filter after the other, one window after the other, one place after the other."""
    number, found, at = model.filters.number, [], 0
    for which, width in enumerate(model.widths):
        short = torch.cat([tokens, torch.zeros(max(width - len(tokens), 0), WIDTH)])
        for one in range(number):
            best = torch.tensor(0.0)  # relu
            for start in range(len(short) - width + 1):
                answer = model.filters.bias[which * number + one]
                for place in range(width):
                    answer = answer + model.filters.weight[at + place * number + one] @ short[start + place]
                best = torch.maximum(best, answer)
            found.append(best)
        at += number * width
    return torch.stack(found)


def reference(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Logits, every row alone and without its padding."""
    one = bilstm_reference if isinstance(model, BiLSTMClassifier) else textcnn_reference
    rows = [one(model, model.embedding(row[:size]) * model.scale) for row, size in zip(ids, mask.sum(1).tolist(), strict=True)]
    row = torch.stack(rows)
    return model.output(row if model.first is None else torch.relu(model.first(row)))


@pytest.mark.parametrize("lengths", BATCHES, ids=str)
@pytest.mark.parametrize("kind", ["bilstm", "textcnn", "textcnn with fc"])
def test_logits_are_those_of_the_equations(kind: str, lengths: list[int]) -> None:
    model = make(kind)
    ids, mask = ragged(lengths, extra=3)
    assert_close(model(ids, mask), reference(model, ids, mask))


@pytest.mark.parametrize("kind", ["bilstm", "textcnn"])
def test_gradients_are_those_of_the_equations(kind: str) -> None:
    model = make(kind)
    ids, mask = ragged([3, 1, 9, 9, 2], extra=2)
    weights = torch.randn(5, LABELS)
    found = {}
    for answer in (model, lambda ids, mask: reference(model, ids, mask)):
        model.zero_grad()
        (answer(ids, mask) * weights).sum().backward()
        grads = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
        for name, grad in grads.items():
            assert_close(grad, found.setdefault(name, grad))
            assert grad.abs().sum() > 0


def test_filters_answer_as_convolutions_do() -> None:
    model = make("textcnn")
    ids, mask = ragged([8, 8])
    inputs = model.embedding(ids).transpose(1, 2) * model.scale
    parts, at = [], 0
    for which, width in enumerate(model.widths):
        block = model.filters.weight[at : at + 4 * width].view(width, 4, WIDTH).permute(1, 2, 0)
        bias = model.filters.bias[which * 4 : which * 4 + 4]
        parts.append(torch.relu(torch.nn.functional.conv1d(inputs, block, bias)).amax(2))
        at += 4 * width
    assert_close(model.vectors(ids, mask), torch.cat(parts, dim=1))


@pytest.mark.parametrize("kind", MADE)
def test_padding_and_neighbours_change_nothing(kind: str) -> None:
    model = make(kind)
    lengths = [4, 1, 6, 2]
    ids, mask = ragged(lengths, extra=5)
    together = model(ids, mask)
    other = torch.where(mask == 1, ids, (ids + 7) % VOCABULARY)
    assert_close(model(other, mask), together, rtol=0, atol=0)
    order = torch.tensor([3, 0, 2, 1])
    assert_close(model(ids[order], mask[order]), together[order])
    for row, length in enumerate(lengths):
        assert_close(model(ids[row : row + 1, :length], mask[row : row + 1, :length])[0], together[row])


@pytest.mark.parametrize("kind", MADE)
def test_padding_gets_no_gradient(kind: str) -> None:
    model = make(kind)
    ids, mask = ragged([2, 4], extra=3)
    padding = VOCABULARY - 1
    ids = ids.clamp(max=padding - 1).masked_fill(mask == 0, padding)
    model(ids, mask).sum().backward()
    assert model.embedding.weight.grad[padding].abs().max() == 0
    assert model.embedding.weight.grad[ids[0, 0]].abs().max() > 0


@pytest.mark.parametrize("kind", MADE)
def test_settings_give_the_same_module_again(kind: str) -> None:
    model = make(kind, extra=EXTRA)
    again = type(model).from_bundle(model.settings(), LABELS).eval()
    again.load_state_dict(model.state_dict())
    ids, mask = ragged([4, 6])
    numbers = torch.randn(2, EXTRA)
    found = model(ids, mask, features=numbers)
    assert torch.equal(again(ids, mask, features=numbers), found)
    assert not torch.allclose(model(ids, mask, features=numbers + 1), found)  # features are read


@pytest.mark.parametrize("kind", MADE)
def test_dropout_acts_in_training_only(kind: str) -> None:
    model = make(kind, dropout=0.5)
    ids, mask = ragged([4, 6])
    assert torch.equal(model(ids, mask), model(ids, mask))
    model.train()
    assert not torch.equal(model(ids, mask), model(ids, mask))


@pytest.mark.parametrize("kind", MADE)
def test_every_parameter_belongs_to_exactly_one_layer(kind: str) -> None:
    model = make(kind)
    for name, _ in model.named_parameters():
        assert sum(name.startswith(layer) for layer in model.layers) == 1
    assert {prefix for layer in model.layers for prefix in layer} - {"embedding."} == set(model.fresh)


def test_filters_start_as_those_of_a_convolution() -> None:
    torch.manual_seed(0)
    model = TextCNNClassifier(VOCABULARY, 50, LABELS, widths=(2, 8), filters=60)
    small, large = model.filters.weight[:120], model.filters.weight[120:]
    for block, width in ((small, 2), (large, 8)):
        assert float(block.detach().abs().max()) == pytest.approx((50 * width) ** -0.5, rel=0.01)
