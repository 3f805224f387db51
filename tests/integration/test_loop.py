"""The five proofs that make the training loop trustworthy, and what else it promises."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import ROWS, SETTINGS, Rows, make_objective, plain_sgd, train
from torch.testing import assert_close

from duobiao.config import TrainSettings
from duobiao.errors import DuobiaoError, MissingExtraError
from duobiao.train import loop
from duobiao.train.checkpoint import load_state
from duobiao.train.loop import BEST, LAST, METRICS, make_accelerator
from duobiao.train.optim import make_optimizer, make_schedule
from duobiao.train.order import epoch_steps

CLOSE = {"rtol": 1e-4, "atol": 2e-6}
STEPS = -(-ROWS // SETTINGS.batch_size)
TOTAL = STEPS * SETTINGS.epochs


@pytest.fixture(params=["adamw", "sgd"])
def optimizer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Adam as in use; and plain descent, which unlike Adam shows a gradient of the wrong size."""
    if request.param == "sgd":
        monkeypatch.setattr(loop, "make_optimizer", plain_sgd)
    return str(request.param)


def last_weights(workdir: Path) -> dict[str, torch.Tensor]:
    state = load_state(workdir / LAST)
    assert state is not None
    return state["objective"]


@cache
def written_out(kind: str, optimizer: str) -> dict[str, torch.Tensor]:
    """The same run without the loop: row by row, one backward pass a row, nothing shared with it but order and schedule."""
    source, objective = Rows(), make_objective(kind)
    objective.train()
    settings = SETTINGS
    made = (plain_sgd if optimizer == "sgd" else make_optimizer)(objective.student, objective, settings)
    schedule = make_schedule(made, TOTAL, settings.warmup)
    for epoch in range(settings.epochs):
        for step in epoch_steps(source.lengths, settings.batch_size, settings.seed, epoch):
            made.zero_grad()
            for row in step:
                batch = {name: torch.from_numpy(array) for name, array in source.collate(step[step == row]).items()}
                (objective(batch)["loss"][0] / len(step)).backward()
            torch.nn.utils.clip_grad_norm_(objective.parameters(), settings.clip)
            made.step()
            schedule.step()
    return objective.state_dict()


# ---- accumulation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bert", "bigru", "distil"])
def test_a_step_cut_into_micro_batches_is_the_whole_step(kind: str, optimizer: str, tmp_path: Path) -> None:
    train(tmp_path / "whole", kind)
    train(tmp_path / "quarters", kind, micro_batch_size=8)
    whole = last_weights(tmp_path / "whole")
    assert_close(last_weights(tmp_path / "quarters"), whole, **CLOSE)
    assert_close(written_out(kind, optimizer), dict(whole), **CLOSE)
    start = make_objective(kind).state_dict()
    assert all((whole[name] - start[name]).abs().max() > 1e-3 for name in ("student.output.weight", "student.output.bias"))


@pytest.mark.parametrize("cut", [{"micro_batch_size": 5}, {"token_budget": 20}, {"micro_batch_size": 1}], ids=str)
def test_partial_groups_are_exact(cut: dict[str, int], optimizer: str, tmp_path: Path) -> None:
    assert ROWS % SETTINGS.batch_size not in (0, 5)  # the last step is smaller, and so is its last micro-batch
    train(tmp_path, "bigru", **cut)
    assert_close(dict(last_weights(tmp_path)), written_out("bigru", optimizer), **CLOSE)


def test_losses_written_down_are_means_over_rows_however_cut(tmp_path: Path) -> None:
    whole, cut = train(tmp_path / "a", "distil"), train(tmp_path / "b", "distil", micro_batch_size=3)
    for one, two in zip(whole.lines, cut.lines, strict=True):
        assert one == pytest.approx(two, rel=1e-4)
        assert one["loss"] == pytest.approx(0.8 * one["logits"] + 0.2 * one["labels"], rel=1e-4)


# ---- stop and resume ---------------------------------------------------------------------------------


@pytest.mark.parametrize("stops", [[1], [2, 4], [STEPS], [STEPS + 1], list(range(1, TOTAL))], ids=str)
@pytest.mark.parametrize("kind", ["bert", "projection"])
def test_stopped_and_resumed_is_uninterrupted_bit_for_bit(kind: str, stops: list[int], tmp_path: Path) -> None:
    settings = {"dropout": 0.3, "micro_batch_size": 12, "evaluate_every": 2}
    whole = train(tmp_path / "whole", kind, **settings)
    for stop in stops:
        part = train(tmp_path / "parts", kind, stop_after=stop, **settings)
        assert (part.at.total, part.at.finished) == (stop, False)
    torch.manual_seed(999)
    parts = train(tmp_path / "parts", kind, **settings)
    assert parts.at == whole.at
    assert parts.lines == whole.lines
    wanted, found = last_weights(tmp_path / "whole"), last_weights(tmp_path / "parts")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert all(torch.equal(parts.student[name], whole.student[name]) for name in whole.student)


def test_a_run_is_repeatable_and_its_order_follows_the_seed(tmp_path: Path) -> None:
    one, two = train(tmp_path / "a", dropout=0.3), train(tmp_path / "b", dropout=0.3)
    assert all(torch.equal(two.student[name], one.student[name]) for name in one.student)
    other = train(tmp_path / "c", dropout=0.3, seed=1)
    assert not torch.equal(other.student["output.bias"], one.student["output.bias"])


def test_a_finished_run_is_not_trained_further(tmp_path: Path) -> None:
    first = train(tmp_path, "bigru")
    again = train(tmp_path, "bigru")
    assert again.scores == []
    assert again.lines == first.lines
    assert all(torch.equal(again.student[name], first.student[name]) for name in first.student)


def test_metrics_after_the_checkpoint_are_dropped_on_resume(tmp_path: Path) -> None:
    train(tmp_path, "bigru", stop_after=4, evaluate_every=1)
    kept = (tmp_path / LAST).read_bytes()
    train(tmp_path, "bigru", stop_after=5, evaluate_every=1)
    (tmp_path / LAST).write_bytes(kept)  # killed after step 5, the last checkpoint being that of step 4
    with (tmp_path / METRICS).open("a", encoding="utf-8") as file:
        file.write('{"step": 6, "lo')
    steps = [line["step"] for line in train(tmp_path, "bigru", evaluate_every=1).lines]
    assert steps == list(range(1, TOTAL + 1))


def test_damaged_checkpoint_is_refused_with_its_path(tmp_path: Path) -> None:
    train(tmp_path, "bigru", stop_after=1)
    (tmp_path / LAST).write_bytes((tmp_path / LAST).read_bytes()[:-100])
    with pytest.raises(DuobiaoError, match=r"last\.pt: damaged checkpoint"):
        train(tmp_path, "bigru")


# ---- everything that is trained ----------------------------------------------------------------------


def test_projections_get_gradient_and_are_kept(tmp_path: Path) -> None:
    start = make_objective("projection").state_dict()
    result = train(tmp_path, "projection", stop_after=2)
    saved = last_weights(tmp_path)
    assert saved.keys() == start.keys() >= {"projection.weight"}
    for name, parameter in result.objective.named_parameters():
        assert not torch.equal(saved[name], start[name]), name
        assert torch.equal(saved[name], parameter), name
    resumed = train(tmp_path, "projection", stop_after=3)
    assert not torch.equal(resumed.objective.projection.weight, saved["projection.weight"])
    assert torch.equal(last_weights(tmp_path)["projection.weight"], resumed.objective.projection.weight)


# ---- choosing ----------------------------------------------------------------------------------------


def test_the_best_weights_are_kept_and_patience_ends_the_run(tmp_path: Path) -> None:
    scores = [-7.0, -5.0, -5.0, -6.0, -1.0]
    result = train(tmp_path, "bigru", evaluate_every=1, patience=2, scores=scores)
    assert (result.at.total, result.at.best, result.at.best_total) == (4, -5.0, 2)
    stopped = train(tmp_path / "two", "bigru", stop_after=2)
    assert all(torch.equal(result.student[name], stopped.student[name]) for name in stopped.student)
    assert not torch.equal(last_weights(tmp_path)["student.output.bias"], result.student["output.bias"])
    best = load_file(tmp_path / BEST)
    assert best.keys() == result.student.keys()


def test_without_patience_all_epochs_are_run(tmp_path: Path) -> None:
    result = train(tmp_path, "bigru", scores=[0.9, 0.1])
    assert (result.at.total, result.at.best_total, result.at.finished) == (TOTAL, STEPS, True)


# ---- precision, trackers, accidents ------------------------------------------------------------------


def test_bf16_trains_after_full_precision_in_one_process(tmp_path: Path) -> None:
    full = train(tmp_path / "full")
    half = train(tmp_path / "half", precision="bf16")
    assert half.student["output.weight"].dtype == torch.float32
    assert not torch.equal(half.student["output.weight"], full.student["output.weight"])
    assert_close(half.student["output.weight"], full.student["output.weight"], rtol=0.2, atol=0.05)
    again = train(tmp_path / "again")
    assert torch.equal(again.student["output.weight"], full.student["output.weight"])


def test_a_loss_that_is_not_finite_ends_the_run_and_spoils_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path, "bigru", stop_after=2)
    kept = (tmp_path / LAST).read_bytes()
    real = Rows.collate

    def collate(self: Rows, rows: object) -> dict[str, object]:
        return {**real(self, rows), "teacher": real(self, rows)["teacher"] + float("inf")}

    monkeypatch.setattr(Rows, "collate", collate)
    with pytest.raises(DuobiaoError, match=r"the loss is (inf|nan) at step 3"):
        train(tmp_path, "distil")
    assert (tmp_path / LAST).read_bytes() == kept


def test_tensorboard_gets_the_curves(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(tmp_path, "bigru", tracker="tensorboard")
    (file,) = tmp_path.rglob("events.out.tfevents*")
    curves = EventAccumulator(str(file)).Reload()
    assert [point.step for point in curves.Scalars("loss")] == [line["step"] for line in result.lines]
    assert curves.Scalars("score")[-1].value == pytest.approx(result.scores[-1])


@pytest.mark.filterwarnings("ignore:.log_with=mlflow")
def test_tracker_that_is_not_installed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelerate.tracking.is_mlflow_available", lambda: False)
    with pytest.raises(MissingExtraError, match=r"duobiao\[mlflow\]"):
        make_accelerator(TrainSettings(tracker="mlflow"), tmp_path)


def test_checkpoints_are_due_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    real: Callable[..., None] = loop._Run.save
    monkeypatch.setattr(loop._Run, "save", lambda run: (saved.append(run.at.total), real(run)))
    train(tmp_path / "rare", "bigru")
    train(tmp_path / "often", "bigru", checkpoint_seconds=0.0)
    assert saved == [TOTAL, *range(1, TOTAL + 1), TOTAL]
