"""Scores of single passes, put where they belong."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from duobiao.models.pairwise import PairwiseClassifier


class Sum(nn.Module):
    """Scores an input by its ids and the first feature."""

    fresh = ("output.",)

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(1, 1)
        nn.init.ones_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        self.calls = 0

    def forward(self, ids: Tensor, mask: Tensor, types: Tensor, features: Tensor | None = None) -> Tensor:
        self.calls += 1
        total = (ids * mask).sum(1, keepdim=True).float()
        return self.output(total if features is None else total + features[:, :1])


IDS = torch.tensor([[1, 2], [4, 9], [8, 0]])
MASK = torch.tensor([[1, 1], [1, 0], [1, 1]])
SLOTS = torch.tensor([[0, -1], [2, 1]])


def test_each_score_goes_to_its_row_and_label() -> None:
    model = PairwiseClassifier(Sum(), 2)
    model.start_output(torch.tensor([10.0, 20.0]))
    found = model(IDS, MASK, MASK, slots=SLOTS)
    assert_close(found, torch.tensor([[13.0, 20.0], [18.0, 24.0]]))  # a label that is not asked has its offset alone
    found = model(IDS, MASK, MASK, slots=SLOTS, features=torch.tensor([[100.0, 0.0], [200.0, 0.0]]))
    assert_close(found, torch.tensor([[113.0, 20.0], [218.0, 224.0]]))


def test_rows_that_are_asked_nothing_need_no_pass() -> None:
    model = PairwiseClassifier(Sum(), 2)
    empty = torch.zeros((0, 1), dtype=torch.long)
    assert_close(model(empty, empty, empty, slots=torch.full((3, 2), -1)), torch.zeros(3, 2))
    assert model.scorer.calls == 0


def test_gradients_reach_the_scorer_and_the_offsets_and_fresh_parts_are_named() -> None:
    model = PairwiseClassifier(Sum(), 2)
    model(IDS, MASK, MASK, slots=SLOTS)[1, 1].backward()
    assert model.offset.grad.tolist() == [0.0, 1.0]
    assert model.scorer.output.weight.grad.item() == 4.0
    assert model.fresh == ("offset", "scorer.output.")
