"""Leaving early in batches: every row is answered once, in order, as its exit says, whatever the others do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from exit_models import LAYERS, PADS, ROWS, SPACE, make_model, make_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.config import ThresholdSettings
from duobiao.data.encode import Encoded
from duobiao.labels import Mask
from duobiao.models import regroup
from duobiao.models.exits import TorchStages, every_logits
from duobiao.models.flops import Cost
from duobiao.models.inference import compute_logits
from duobiao.models.regroup import EarlyRun
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.leaving import Leaving, margins


def rule_of(criterion: Any = "margin", speed: float = 0.1, error: float = 0.05, used: tuple[int, ...] = (0, 1, 2)) -> Leaving:
    decoder = Decoder(SPACE, np.array([0.5, 0.4], np.float32), ThresholdSettings())
    return Leaving(decoder, criterion, speed, np.full((3, 2, SPACE.decisions), error, np.float32), used)


@dataclass
class Planned:
    """Rows leave where a plan says, found again by their logits at the exit."""

    plan: np.ndarray
    early: np.ndarray
    exits: tuple[int, ...] = (0, 1, 2)

    def leaves(self, number: int, logits: np.ndarray, asked: Mask) -> Mask:
        rows = np.abs(self.early[number][None] - logits[:, None]).max(-1).argmin(1)
        self.seen = [*getattr(self, "seen", []), (number, rows)]
        return self.plan[rows] == number


MODEL, ENCODED = make_model(), make_rows()
EVERY = every_logits(MODEL, PADS, ENCODED, token_budget=40, max_rows=6)
ASKED = np.ones((ROWS, len(SPACE)), bool)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS),
    st.integers(8, 80),
    st.integers(1, 9),
    st.sampled_from([30, 100, 10_000]),
)
def test_every_row_is_answered_once_by_its_exit_and_the_last_takes_all(
    plan: list[int], budget: int, most: int, pool: int
) -> None:
    before, regroup.POOL_TOKENS = regroup.POOL_TOKENS, pool
    answered: list[int] = []
    try:
        rule = Planned(np.array(plan), EVERY)
        run = EarlyRun(TorchStages(MODEL), rule, len(SPACE), budget, most)  # type: ignore[arg-type]
        real = run._answer
        run._answer = lambda rows, logits, depth: (answered.extend(rows.tolist()), real(rows, logits, depth))[1]  # type: ignore
        logits, depths = run(PADS, ENCODED, ASKED)
    finally:
        regroup.POOL_TOKENS = before
    assert sorted(answered) == list(range(ROWS))
    np.testing.assert_array_equal(depths, np.array([1, 2, 4, LAYERS])[plan])
    np.testing.assert_allclose(logits, EVERY[plan, np.arange(ROWS)], atol=2e-5)
    for number, rows in rule.seen:  # nobody who has left is asked again
        assert (np.array(plan)[rows] >= number).all()


@pytest.mark.parametrize("kind", ["bert", "albert"])
@pytest.mark.parametrize("head", ["pool", "attention"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("extra", [0, 3])
def test_a_row_gets_the_same_alone_and_in_company(kind: str, head: str, pooling: str, extra: int) -> None:
    model, encoded = make_model(head, kind, pooling, extra), make_rows(extra)
    every = every_logits(model, PADS, encoded)
    rule = rule_of()
    for number in range(3):  # at each exit, half of the rows
        rule.errors[number] = np.quantile(margins(every[number], rule.decoder).min(1), 0.52)
    run = EarlyRun(TorchStages(model), rule, len(SPACE))
    together, depths = run(PADS, encoded, ASKED)
    assert len(set(depths.tolist())) > 1
    for row in range(ROWS):
        own = None if encoded.features is None else encoded.features[row : row + 1]
        alone, depth = run(PADS, Encoded([encoded.ids[row]], [encoded.types[row]], features=own), ASKED[:1])
        assert depth[0] == depths[row]
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)
        np.testing.assert_allclose(alone[0], every[[1, 2, 4, LAYERS].index(depth[0]), row], atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "albert"])
def test_the_last_exit_is_the_teacher_bit_for_bit(kind: str) -> None:
    model = make_model(kind=kind)
    teacher = compute_logits(model.backbone, PADS, ENCODED, len(SPACE))
    np.testing.assert_array_equal(every_logits(model, PADS, ENCODED)[-1], teacher)
    np.testing.assert_array_equal(compute_logits(model, PADS, ENCODED, len(SPACE)), teacher)
    nobody = EarlyRun(TorchStages(model), rule_of(error=np.inf), len(SPACE))(PADS, ENCODED, ASKED)
    np.testing.assert_array_equal(nobody[0], teacher)
    assert set(nobody[1].tolist()) == {LAYERS}


def test_unused_exits_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    for number, head in enumerate(MODEL.heads):
        real = head.forward
        monkeypatch.setattr(head, "forward", lambda *a, n=number, r=real: (looked.append(n), r(*a))[1])
    _, depths = EarlyRun(TorchStages(MODEL), rule_of(error=0.0, used=(1,)), len(SPACE))(PADS, ENCODED, ASKED)
    assert set(looked) == {1}
    assert set(depths.tolist()) == {2}


def test_unasked_groups_hold_no_row_back() -> None:
    errors = np.zeros((3, 2, SPACE.decisions), np.float32)
    errors[:, :, -1] = np.inf
    rule = Leaving(rule_of().decoder, "margin", 0.1, errors, (0,))
    asked = ASKED.copy()
    asked[::2, 2:] = False
    depths = EarlyRun(TorchStages(MODEL), rule, len(SPACE))(PADS, ENCODED, asked)[1]
    np.testing.assert_array_equal(depths, np.where(np.arange(ROWS) % 2 == 0, 1, LAYERS))


@pytest.mark.parametrize("head", ["pool", "attention"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_padding_says_nothing(head: str, pooling: str) -> None:
    model = make_model(head, pooling=pooling)
    batch = {name: torch.from_numpy(array) for name, array in PADS.pad(ENCODED, np.arange(6)).items()}
    wider = {name: torch.nn.functional.pad(tensor, (0, 4)) for name, tensor in batch.items()}
    wider["input_ids"][:, -4:] = 7
    with torch.no_grad():
        torch.testing.assert_close(model.every(**batch), model.every(**wider), atol=1e-5, rtol=1e-4)


def test_gradients_reach_the_heads_alone() -> None:
    model = make_model().train()
    assert not model.backbone.training
    batch = {name: torch.from_numpy(array) for name, array in PADS.pad(ENCODED, np.arange(6)).items()}
    model.every(**batch).sum().backward()
    assert {name.split(".")[0] for name, one in model.named_parameters() if one.grad is not None} == {"heads"}
    assert all(parameter.grad is not None for parameter in model.heads.parameters())


def test_no_rows_are_no_answers() -> None:
    logits, depths = EarlyRun(TorchStages(MODEL), rule_of(), len(SPACE))(PADS, Encoded([], []), ASKED[:0])
    assert logits.shape == (0, len(SPACE))
    assert depths.shape == (0,)


# ---- what it costs -----------------------------------------------------------------------------------


def test_operations_by_hand() -> None:
    tokens = np.array([7])
    cost = Cost.of(make_model())
    layer = 2 * (4 * 7 * 16 * 16 + 2 * 7 * 7 * 16 + 2 * 7 * 16 * 24)
    pool = 2 * (2 * 7 * 16 * 2 + 2 * 16 * 6 + 6 * 5)
    assert cost.layer(tokens)[0] == layer
    assert cost.exit(tokens)[0] == pool
    assert cost.of_rows(np.array([1]), tokens, (0, 1, 2))[0] == 2 * layer + 2 * pool
    assert cost.of_rows(np.array([3]), tokens, (0, 2))[0] == 5 * layer + 2 * pool + 2 * 16 * 5
    attention = 2 * (7 * 16 * 6 + 4 * 7 * 36 + 2 * 49 * 6 + 36 + 6 * 5)
    shared = Cost.of(make_model("attention", "albert"))
    assert shared.exit(tokens)[0] == attention
    assert shared.of_rows(np.array([0]), tokens, ())[0] == layer + 2 * 7 * 8 * 16


def test_counted_operations_are_those_that_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model = make_model()
    model.backbone.encoder.config._attn_implementation = "eager"  # fused attention is not counted there
    batch = {name: torch.from_numpy(array) for name, array in PADS.pad(ENCODED, np.array([0])).items()}
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.every(**batch)
    own = Cost.of(model).of_rows(np.array([3]), ENCODED.lengths[:1], (0, 1, 2))[0]
    assert own == counter.get_total_flops()
