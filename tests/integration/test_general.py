"""General distillation on plain text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer
from typer.testing import CliRunner

from duobiao.bundle import read_bundle
from duobiao.cli import general as command
from duobiao.config import parse_config
from duobiao.errors import ConfigError, DataError
from duobiao.models.pretrained import load_pretrained
from duobiao.train import loop, recipe
from duobiao.train.general import general_distil, training_data
from duobiao.train.packed import Frame, Packed, pack
from duobiao.train.units import Reader

CONFIG = {
    "kind": "tinybert",
    "shape": {"layers": 1, "hidden": 16, "heads": 2, "intermediate": 24},
    "general": {"steps": 24, "batch_size": 4, "max_length": 24, "lr": 5e-3},
    "train": {"checkpoint_seconds": 0},
}


def settings(**changes: Any) -> Any:
    return parse_config({**CONFIG, **changes})


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory, tiny_rows: Any) -> list[Path]:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "a.txt").write_text("\n".join(row.text for row in tiny_rows.train), encoding="utf-8")
    lines = [json.dumps({"text": row.text * 4}, ensure_ascii=False) for row in tiny_rows.dev]
    (folder / "b.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return [folder / "a.txt", folder / "b.jsonl"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, texts: list[Path], bert_folder: Path) -> Path:
    out = tmp_path_factory.mktemp("general") / "tiny"
    assert general_distil(str(bert_folder), settings(), texts, out).finished
    return out


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_pretrained(str(folder)).model.state_dict())


def same(one: Path, two: Path) -> bool:
    first, second = weights(one), weights(two)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# ---- packing -------------------------------------------------------------------------------------------


def test_lines_are_packed_into_framed_sequences_without_a_token_lost(
    tmp_path: Path, texts: list[Path], bert_folder: Path
) -> None:
    tokenizer = load_pretrained(str(bert_folder)).tokenizer
    frame = Frame.of(tokenizer)
    cls, sep = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
    assert (frame.before, frame.between, frame.after) == ((cls,), (sep,), (sep,))
    packed = pack(texts, Reader(tokenizer, str.strip), 24, tmp_path / "corpus", "x")
    body: list[int] = []
    for number in range(len(packed)):
        found = packed[number].tolist()
        assert len(found) == packed.lengths[number] <= 24
        assert (found[0], found[-1]) == (cls, sep)
        body += found[1:-1]
    lines = texts[0].read_text(encoding="utf-8").split("\n")
    lines += [json.loads(line)["text"] for line in texts[1].read_text(encoding="utf-8").split("\n")]
    wanted = [number for line in lines for number in tokenizer.encode(line, add_special_tokens=False).ids]
    assert [number for number in body if number != sep] == wanted
    assert packed.lengths.mean() > 0.6 * 24
    batch = packed.batch(np.array([0, len(packed) - 1]), pad_id=0)
    assert batch["attention_mask"].sum(1).tolist() == [packed.lengths[0], packed.lengths[-1]]
    assert batch["input_ids"][1, packed.lengths[-1] :].sum() == 0


def test_an_xlmr_tokenizer_frames_its_own_way(unigram_folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(unigram_folder / "tokenizer.json"))
    assert Frame.of(tokenizer) == Frame((0,), (2,), (2,))


def test_packed_text_is_kept_until_it_is_of_other_make(tmp_path: Path, texts: list[Path], bert_folder: Path) -> None:
    tokenizer = load_pretrained(str(bert_folder)).tokenizer
    first = len(pack(texts[:1], Reader(tokenizer, str.strip), 24, tmp_path, "x"))
    assert len(pack(texts, Reader(tokenizer, str.strip), 24, tmp_path, "x")) == first
    assert len(pack(texts, Reader(tokenizer, str.strip), 24, tmp_path, "y")) > first
    (tmp_path / "empty.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(DataError, match="hold no text"):
        pack([tmp_path / "empty.txt"], Reader(tokenizer, str.strip), 24, tmp_path, "z")


def test_every_pass_reads_every_sequence_in_another_order(tmp_path: Path, texts: list[Path], bert_folder: Path) -> None:
    packed: Packed = pack(texts, Reader(load_pretrained(str(bert_folder)).tokenizer, str.strip), 24, tmp_path, "x")
    size = len(packed)
    data = training_data(packed, 2 * size + 3, 0, 0)
    assert len(data.lengths) == 2 * size + 3

    def row(number: int) -> tuple[int, ...]:
        return tuple(data.collate(np.array([number]))["input_ids"][0].tolist())

    rows = [row(number) for number in range(2 * size)]
    assert sorted(rows[:size]) == sorted(rows[size:]) == sorted(tuple(packed[number].tolist()) for number in range(size))
    assert rows[:size] != rows[size:]
    assert [len(one) for one in rows] == data.lengths[: 2 * size].tolist()


# ---- what comes out ------------------------------------------------------------------------------------


def test_the_folder_loads_in_transformers(made: Path, bert_folder: Path) -> None:
    model, tokenizer = AutoModel.from_pretrained(made), AutoTokenizer.from_pretrained(made)
    inputs = tokenizer("快递坏了", return_tensors="pt")
    assert inputs["input_ids"][0].tolist() == AutoTokenizer.from_pretrained(bert_folder)("快递坏了")["input_ids"]
    assert model(**inputs).last_hidden_state.shape[-1] == 16
    assert model.config.num_hidden_layers == 1
    assert (tokenizer.pad_token, tokenizer.mask_token) == ("[PAD]", "[MASK]")
    own = load_pretrained(str(made)).model
    for name, value in own.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    assert {path.name for path in made.parent.iterdir()} == {"tiny"}


def test_the_loss_falls(made: Path) -> None:
    lines = [json.loads(line) for line in (made / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 24
    first, last = (
        {name: np.mean([line[name] for line in part]) for name in ("loss", "hidden")} for part in (lines[:6], lines[-6:])
    )
    assert last["loss"] < 0.8 * first["loss"]
    assert last["hidden"] < 0.9 * first["hidden"]


def test_slices_and_a_kill_end_at_the_same_weights(
    made: Path, texts: list[Path], bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "tiny"
    found = general_distil(str(bert_folder), settings(), texts, out, slice_steps=7)
    assert (found.steps, found.finished, out.exists()) == (7, False, False)
    real, steps = loop._Run.step, []

    def stop(self: Any, *given: Any) -> float:
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            general_distil(str(bert_folder), settings(), texts, out)
    with pytest.raises(ConfigError, match="interrupted run with other texts or settings"):
        general_distil(str(bert_folder), settings(), texts[:1], out)
    assert general_distil(str(bert_folder), settings(), texts, out, slice_steps=10).steps == 20
    assert general_distil(str(bert_folder), settings(), texts, out, slice_steps=10).finished
    assert same(out, made)
    assert not (tmp_path / "tiny.run").exists()


def test_a_finished_run_is_not_repeated(
    made: Path, texts: list[Path], bert_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (made / "model.safetensors").stat().st_mtime_ns
    assert general_distil(str(bert_folder), settings(), texts, made).finished
    assert (made / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("start", ["layers", "random"])
def test_albert_and_other_tokenizers_can_teach(
    start: str, texts: list[Path], albert_folder: Path, unigram_folder: Path, tmp_path: Path
) -> None:
    config = settings(start=start, layer_map=[2], general={**CONFIG["general"], "steps": 2})
    for folder in (albert_folder, unigram_folder):
        out = tmp_path / folder.name
        assert general_distil(str(folder), config, texts, out).finished
        assert load_pretrained(str(out)).pad_id == load_pretrained(str(folder)).pad_id
        assert AutoModel.from_pretrained(out).config.hidden_size == 16


def test_a_general_student_starts_task_distillation(
    made: Path, tiny_rows: Any, tiny_space: Any, bert_folder: Path, wwm_folder: Path, tmp_path: Path
) -> None:
    train = {"epochs": 1, "batch_size": 16}
    bundles = {
        name: recipe.train(
            parse_config({"kind": "encoder", "encoder": str(folder), "input": {"max_length": 48, **more}, "train": train}),
            tiny_rows.train, tiny_rows.dev, tiny_space, tmp_path / name,
        )
        for name, folder, more in (("teacher", bert_folder, {}), ("foreign", made, {}))
    }  # fmt: skip
    config = parse_config(
        {"kind": "tinybert", "start": "general", "general_student": str(made), "intermediate": {"epochs": 0},
         "train": {"epochs": 1, "lr": 1e-9, "batch_size": 16}, "vocabulary": {"keep": "all"}}
    )  # fmt: skip
    out = recipe.distil(bundles["teacher"], config, tiny_rows.train, tiny_rows.dev, tmp_path / "student")
    found = read_bundle(out).weights
    for name, value in weights(made).items():
        np.testing.assert_allclose(found[f"encoder.{name}"], value.numpy(), atol=1e-6)


def test_what_cannot_be_done_is_refused(made: Path, texts: list[Path], bert_folder: Path, tmp_path: Path) -> None:
    teacher = str(bert_folder)
    with pytest.raises(ConfigError, match="cannot start at another one"):
        general_distil(teacher, settings(start="general", general_student=str(made)), texts, tmp_path / "a")
    with pytest.raises(ConfigError, match="reads 64 tokens at most"):
        general_distil(teacher, settings(general={"max_length": 65}), texts, tmp_path / "a")
    with pytest.raises(DataError, match="cannot be read"):
        general_distil(teacher, settings(), [tmp_path / "none.txt"], tmp_path / "a")
    (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigError, match="no encoder that was made"):
        general_distil(teacher, settings(), texts, tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


def test_the_command(made: Path, texts: list[Path], bert_folder: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    command.register(app)

    def run(*more: Any, config: Any = None) -> Any:
        path = tmp_path / "c.yaml"
        path.write_text(json.dumps(config or CONFIG), encoding="utf-8")
        given = ["general-distil", "--teacher", bert_folder, "--out", tmp_path / "tiny", "--config", path]
        given += [part for text in texts for part in ("--text", text)]
        return CliRunner().invoke(app, [str(part) for part in (*given, *more)])

    first = run("--max-steps", 24, "--slice-steps", 20)
    assert first.exit_code == 0, first.output
    assert "20 of 24 steps" in first.stdout
    assert "24 of 24 steps" in run("--max-steps", 24).stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.yaml", "tiny"]
    refused = run(config={"kind": "linear"})
    assert refused.exit_code == 2
    assert "no small encoder" in refused.stderr


def test_a_separator_counts(tmp_path: Path, bert_folder: Path) -> None:
    tokenizer = load_pretrained(str(bert_folder)).tokenizer
    (tmp_path / "a.txt").write_text("\n".join(["快递" * 5] * 4 + ["快递" * 25]), encoding="utf-8")
    found = {
        length: pack([tmp_path / "a.txt"], Reader(tokenizer, str.strip), length, tmp_path / str(length), "x")
        for length in (22, 23)
    }
    assert found[22].lengths.tolist() == [12, 12, 12, 12, 22, 22, 12]  # two lines of 10 and what stands between need 21
    assert found[23].lengths.tolist() == [23, 23, 23, 23, 10]
