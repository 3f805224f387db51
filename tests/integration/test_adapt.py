"""Continued pre-training on plain text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from adapting import settings, write_texts
from commands import tree
from encoder_forms import BY_NAME, make_form
from plain_runs import killed_at, same_weights
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from duobiao.errors import ConfigError
from duobiao.models.pretrained import load_pretrained
from duobiao.train import adapt as module
from duobiao.train import loop, packed
from duobiao.train.adapt import adapt
from duobiao.train.plain_run import PlainResult

TYPED = ["快递坏了，今天还行", "Ａb ａb", "从未见过的字龘 abé", "[MASK] [UNK]", " 今天\t喜欢\u3000生气 "]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, texts: list[Path], bert_folder: Path) -> PlainResult:
    return adapt(str(bert_folder), settings(), texts, tmp_path_factory.mktemp("adapted") / "bert")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


# ---- what comes out ------------------------------------------------------------------------------------


def test_held_out_text_is_guessed_better(found: PlainResult) -> None:
    held = found.notes["held_out"]
    assert held["after"]["loss"] < 0.75 * held["before"]["loss"]
    assert held["after"]["accuracy"] > held["before"]["accuracy"]
    assert held["sequences"] == found.notes["sequences"] // 10
    lines = history(found.out)
    assert [line["step"] for line in lines] == sorted({line["step"] for line in lines})
    assert lines[0]["step"] == 0
    assert "loss" not in lines[0]
    assert held["before"]["loss"] == lines[0]["held_out_loss"]
    best = min(lines, key=lambda line: line["held_out_loss"])
    assert (held["after"]["loss"], found.notes["kept_step"]) == (best["held_out_loss"], best["step"])
    assert found.notes["train"]["last_loss"] < 0.75 * found.notes["train"]["first_loss"]
    told = json.loads((found.out / "adapt.json").read_text(encoding="utf-8"))
    assert told == found.notes
    assert told["head"] == "new"
    assert told["config"]["text"]["lr"] == 1e-2


def test_a_text_that_is_always_the_same_is_learned_by_heart(bert_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("你们快递坏了，今天还行，喜欢\n" * 200, encoding="utf-8")
    found = adapt(str(bert_folder), settings(text={"epochs": 3}), [tmp_path / "a.txt"], tmp_path / "out")
    held = found.notes["held_out"]
    assert held["after"]["loss"] < 0.5 < 3 < held["before"]["loss"]
    assert held["after"]["accuracy"] > 0.95


def test_passes_or_steps_end_the_run_whichever_comes_first(
    found: PlainResult, texts: list[Path], bert_folder: Path, tmp_path: Path
) -> None:
    trained_on = found.notes["sequences"] - found.notes["held_out"]["sequences"]
    assert found.steps == found.total == -(-4 * trained_on // 8)
    assert found.notes["passes"] == 4
    few = adapt(str(bert_folder), settings(text={"steps": 3}), texts, tmp_path / "a")
    assert (few.steps, few.total, few.finished) == (3, 3, True)
    assert few.notes["passes"] == round(24 / trained_on, 3)
    many = adapt(str(bert_folder), settings(text={"steps": 3, "epochs": None}), texts, tmp_path / "b")
    assert many.total == 3
    assert same_weights(few.out, many.out)


def test_the_folder_loads_everywhere(found: PlainResult, bert_folder: Path) -> None:
    model, whole = AutoModel.from_pretrained(found.out), AutoModelForMaskedLM.from_pretrained(found.out)
    tokenizer, own = AutoTokenizer.from_pretrained(found.out), load_pretrained(str(found.out))
    for text in TYPED:
        wanted = AutoTokenizer.from_pretrained(bert_folder)(text)["input_ids"]
        assert tokenizer(text)["input_ids"] == wanted == own.tokenizer.encode(text).ids
    assert own.pad_id == load_pretrained(str(bert_folder)).pad_id
    for name, value in own.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
        assert torch.equal(whole.base_model.state_dict()[name], value)
    before = load_pretrained(str(bert_folder)).model.state_dict()
    assert before.keys() == own.model.state_dict().keys()
    assert not torch.equal(before["embeddings.word_embeddings.weight"], whole.get_output_embeddings().weight)
    assert model.dtype == torch.float32
    assert {path.name for path in found.out.parent.iterdir()} == {"bert"}


@pytest.mark.parametrize(
    "name",
    [
        "wwm",
        "albert",
        "hfl/chinese-roberta-wwm-ext",
        "nghuyong/ernie-3.0-base-zh",
        "BAAI/bge-small-zh-v1.5",
        "intfloat/multilingual-e5-small",
        "intfloat/multilingual-e5-base",
    ],
)
def test_ids_are_the_encoders_whatever_its_files(
    name: str, tiny_vocabulary: list[str], wwm_folder: Path, albert_folder: Path, texts: list[Path], tmp_path: Path
) -> None:
    folder = {"wwm": wwm_folder, "albert": albert_folder}.get(name) or make_form(
        BY_NAME[name], tmp_path / "encoder", [word for word in tiny_vocabulary if len(word) == 1]
    )
    found = adapt(str(folder), settings(text={"steps": 2, "batch_size": 2}), texts, tmp_path / "out")
    before, after = load_pretrained(str(folder)), load_pretrained(str(found.out))
    theirs = AutoTokenizer.from_pretrained(found.out)
    for text in TYPED:
        assert theirs(text)["input_ids"] == after.tokenizer.encode(text).ids == before.tokenizer.encode(text).ids
        pair = before.tokenizer.encode("售后", text).ids
        assert theirs("售后", text)["input_ids"] == after.tokenizer.encode("售后", text).ids == pair
    assert (theirs.pad_token_id, after.pad_id) == (before.pad_id, before.pad_id)
    assert theirs.mask_token in ("[MASK]", "<mask>")
    assert after.model.state_dict().keys() == before.model.state_dict().keys()
    wanted = "trained" if "MaskedLM" in getattr(BY_NAME.get(name), "architecture", "") else "new"
    assert found.notes["head"] == wanted
    assert AutoModelForMaskedLM.from_pretrained(found.out, output_loading_info=True)[1]["missing_keys"] == set()


def test_an_adapted_encoder_goes_on_with_its_head(found: PlainResult, texts: list[Path], tmp_path: Path) -> None:
    again = adapt(str(found.out), settings(text={"steps": 2}), texts, tmp_path / "again")
    assert again.notes["head"] == "trained"
    assert again.notes["held_out"]["before"]["loss"] == pytest.approx(found.notes["held_out"]["after"]["loss"], abs=1e-6)


def test_the_best_weights_are_kept_be_it_the_first_ones(found: PlainResult, texts: list[Path], tmp_path: Path) -> None:
    spoilt = adapt(str(found.out), settings(text={"lr": 5.0, "steps": 12}), texts, tmp_path / "spoilt")
    assert spoilt.notes["kept_step"] == 0
    assert spoilt.notes["held_out"]["after"] == spoilt.notes["held_out"]["before"]
    assert same_weights(spoilt.out, found.out)


def test_of_little_text_nothing_is_held_back(bert_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("今天快递坏了\n" * 3, encoding="utf-8")
    found = adapt(str(bert_folder), settings(text={"steps": 4}), [tmp_path / "a.txt"], tmp_path / "out")
    assert found.finished
    assert found.notes["held_out"] == {}
    assert found.notes["kept_step"] == found.total


# ---- interruptions -------------------------------------------------------------------------------------


def test_slices_and_kills_end_at_the_same_weights(
    found: PlainResult, texts: list[Path], bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, out = (str(bert_folder), settings(), texts), tmp_path / "bert"
    first = adapt(*given, out, slice_steps=5)
    assert (first.steps, first.total, first.finished, first.notes) == (5, found.total, False, {})
    assert not out.exists()
    with monkeypatch.context() as patch:
        killed_at(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            adapt(*given, out)
    with pytest.raises(ConfigError, match="interrupted run with other texts or settings") as caught:
        adapt(str(bert_folder), settings(), texts[:1], out)
    assert "--force" in (caught.value.hint or "")
    assert adapt(*given, out, slice_steps=7).steps == 15
    with monkeypatch.context() as patch:  # while the encoder is written
        patch.setattr(module, "_keep_tokenizer", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            adapt(*given, out)
    assert [path.name for path in tmp_path.iterdir()] == ["bert.run"]
    assert adapt(*given, out).finished
    assert same_weights(out, found.out)
    assert history(out) == history(found.out)
    assert (out / "adapt.json").read_bytes() == (found.out / "adapt.json").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["bert"]


@pytest.mark.parametrize("where", ["packing", "before the first step"])
def test_a_kill_before_the_first_checkpoint_leaves_nothing_that_counts(
    where: str, found: PlainResult, texts: list[Path], bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bert"
    with monkeypatch.context() as patch:
        if where == "packing":
            patch.setattr(packed.np, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        else:
            killed_at(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            adapt(str(bert_folder), settings(), texts[:1], out)
    assert (tmp_path / "bert.run").is_dir()
    assert adapt(str(bert_folder), settings(), texts, out).finished
    assert same_weights(out, found.out)


def test_weights_of_another_run_are_not_taken_for_the_best(
    bert_folder: Path, texts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Little text is not scored, so that nothing would overwrite them."""
    (tmp_path / "little.txt").write_text("今天快递坏了\n" * 3, encoding="utf-8")
    given = (str(bert_folder), settings(text={"steps": 4}), [tmp_path / "little.txt"])
    with monkeypatch.context() as patch:
        killed_at(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            adapt(str(bert_folder), settings(), texts, tmp_path / "out")
    assert (tmp_path / "out.run" / loop.BEST).is_file()
    assert same_weights(adapt(*given, tmp_path / "out").out, adapt(*given, tmp_path / "alone").out)


def test_a_finished_run_is_told_and_not_repeated(
    found: PlainResult, texts: list[Path], bert_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(found.out.parent)
    killed_at(monkeypatch, 1)
    again = adapt(str(bert_folder), settings(), texts, found.out)
    assert (again.steps, again.total, again.finished, again.notes) == (found.steps, found.total, True, found.notes)
    assert tree(found.out.parent) == before


def test_force_begins_anew_and_another_run_takes_the_place_when_it_is_finished(
    texts: list[Path], bert_folder: Path, tmp_path: Path
) -> None:
    out, given = tmp_path / "out", settings(text={"steps": 2})
    adapt(str(bert_folder), given, texts, out)
    first = weights(out)
    adapt(str(bert_folder), settings(text={"steps": 8}), texts[:1], out, slice_steps=5)
    assert all(torch.equal(value, first[name]) for name, value in weights(out).items())
    with pytest.raises(ConfigError, match="interrupted run"):
        adapt(str(bert_folder), settings(text={"steps": 9}), texts[:1], out)
    found = adapt(str(bert_folder), settings(text={"steps": 9}), texts[:1], out, force=True)
    assert found.total == 9
    assert not all(torch.equal(value, first[name]) for name, value in weights(out).items())
    before = (out / "model.safetensors").stat().st_mtime_ns
    adapt(str(bert_folder), settings(text={"steps": 9}), texts[:1], out, force=True)
    assert (out / "model.safetensors").stat().st_mtime_ns != before
