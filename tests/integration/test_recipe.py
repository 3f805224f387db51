"""Training, distilling, and the bundles that come out."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from small_teacher import TEACHER, teacher
from tokenizers import Tokenizer

from duobiao.bundle import read_bundle
from duobiao.classifier import Classifier
from duobiao.config import parse_config
from duobiao.data.rows import Row
from duobiao.errors import BundleError, ConfigError
from duobiao.labels import UNASKED, LabelSpace
from duobiao.models.torch_backend import TorchBackend
from duobiao.train import loop, recipe, run
from duobiao.train.losses import LogitsLoss

NODE = "身份确认"
STUDENT = {"kind": "bigru", "hidden": 12, "fc": 12, "dropout": 0.1, "train": {"epochs": 3, "batch_size": 16, "lr": 1e-2}}


def student(**changes: Any) -> Any:
    return parse_config({**STUDENT, **changes})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def transfer(tiny_rows: Any) -> list[Row]:
    """Rows for the teacher alone; what they carry as labels must not be looked at."""
    return [replace(row, text=row.text[::-1], context=None, labels=("没有的标签",), unknown=()) for row in tiny_rows.dev]


@pytest.fixture(scope="module")
def learn(tiny_rows: Any, tiny_space: LabelSpace) -> Callable[..., Path]:
    def run(config: Any, out: Path, **options: Any) -> Path:
        return recipe.train(config, tiny_rows.train, tiny_rows.dev, tiny_space, out, **options)

    return run


@pytest.fixture(scope="module")
def distil(tiny_rows: Any) -> Callable[..., Path]:
    def run(source: Any, config: Any, out: Path, **options: Any) -> Path:
        return recipe.distil(source, config, tiny_rows.train, tiny_rows.dev, out, **options)

    return run


@pytest.fixture(scope="module")
def bundles(
    place: Path, learn: Any, distil: Any, transfer: list[Row], bert_folder: Path, albert_folder: Path, wwm_folder: Path
) -> dict[str, Path]:
    """One bundle of each sort."""
    made = {
        "bert": learn(teacher(encoder=str(bert_folder)), place / "bert"),
        "albert": learn(teacher(encoder=str(albert_folder), pooling="cls"), place / "albert"),
        "random": learn(teacher(train={**TEACHER["train"], "epochs": 25}), place / "random"),
        "none": learn(teacher(encoder=str(wwm_folder), input={"context": "none", "max_length": 48}), place / "none"),
        "linear": learn(parse_config({"kind": "linear"}), place / "linear"),
    }
    made["a"] = distil(made["bert"], student(model="A"), place / "a", transfer=transfer)
    made["b"] = distil(made["albert"], student(model="B"), place / "b")
    made["control"] = distil(made["albert"], student(model="B"), place / "control", no_teacher=True)
    made["one pass"] = distil(made["none"], student(model="B"), place / "one pass")
    return made


KINDS = ["bert", "albert", "random", "none", "linear", "a", "b", "control", "one pass"]


def texts_of(rows: list[Row]) -> tuple[list[str], list[str | None]]:
    return [row.text for row in rows], [row.context for row in rows]


# ---- what comes out ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_bundle_answers_and_leaves_no_run_behind(kind: str, bundles: dict[str, Path], tiny_rows: Any) -> None:
    loaded = Classifier.load(bundles[kind])
    proba = loaded.predict_proba(*texts_of(tiny_rows.dev))
    assert proba.shape == (len(tiny_rows.dev), len(loaded.space))
    assert np.nanmin(proba) >= 0
    assert np.nanmax(proba) <= 1
    assert not bundles[kind].with_name(kind + ".run").exists()
    assert loaded.bundle.metrics["parameters"] == loaded.backend.parameters > 0


@pytest.mark.parametrize("kind", ["random", "linear"])
def test_the_rules_of_the_rows_are_learned(kind: str, bundles: dict[str, Path]) -> None:
    dev = read_bundle(bundles[kind]).metrics["dev"]
    assert dev["micro_f1"] > 0.6
    assert dev["groups"][NODE]["rows"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_unasked_cells_are_never_predicted(kind: str, bundles: dict[str, Path], tiny_rows: Any) -> None:
    loaded = Classifier.load(bundles[kind])
    group = set(loaded.space.groups[-1].labels)
    for prediction, row in zip(loaded.predict(*texts_of(tiny_rows.train)), tiny_rows.train, strict=True):
        asked = row.context == NODE or (row.context is None and kind in ("none", "one pass"))
        assert (group <= prediction.scores.keys()) is asked
        assert len(group & set(prediction.labels)) == int(asked)
        assert set(prediction.labels) <= prediction.scores.keys()


@pytest.mark.parametrize("kind", ["bert", "albert", "none", "a", "b"])
def test_a_row_is_answered_the_same_alone_and_in_company(kind: str, bundles: dict[str, Path], tiny_rows: Any) -> None:
    loaded = Classifier.load(bundles[kind])
    texts, contexts = texts_of(tiny_rows.dev)
    together = loaded.predict_proba([*texts, "很长" * 20], [*contexts, NODE])[:-1]
    for at, (text, context) in enumerate(zip(texts, contexts, strict=True)):
        np.testing.assert_allclose(loaded.predict_proba([text], [context])[0], together[at], atol=1e-5)


def test_students_take_over_the_embedding_and_the_control_does_not(bundles: dict[str, Path]) -> None:
    weights = {kind: read_bundle(path).weights for kind, path in bundles.items() if kind != "linear"}
    assert weights["a"]["embedding.weight"].shape[1] == 32
    assert weights["b"]["embedding.weight"].shape[1] == weights["control"]["embedding.weight"].shape[1] == 16
    source = weights["albert"]["encoder.embeddings.word_embeddings.weight"]
    untouched = 4  # [MASK] stands in no row
    np.testing.assert_allclose(weights["b"]["embedding.weight"][untouched], source[untouched], rtol=1e-3)  # but for decay
    assert not np.allclose(weights["control"]["embedding.weight"][untouched], source[untouched], rtol=0.1)
    assert not np.array_equal(weights["b"]["embedding.weight"], source)  # the others went on learning
    assert {name: array.shape for name, array in weights["b"].items()} == {
        name: array.shape for name, array in weights["control"].items()
    }


@pytest.mark.parametrize("keep", ["used", "all"])
def test_a_frozen_embedding_stays_the_teachers(keep: str, bundles: dict[str, Path], distil: Any, tmp_path: Path) -> None:
    out = distil(bundles["bert"], student(train_embedding=False, vocabulary={"keep": keep, "margin": 0}), tmp_path / "out")
    whole, made = (Tokenizer.from_str(read_bundle(path).files["tokenizer.json"]) for path in (bundles["bert"], out))
    assert (made.get_vocab_size() < whole.get_vocab_size()) is (keep == "used")
    kept = [whole.token_to_id(made.id_to_token(number)) for number in range(made.get_vocab_size())]
    source = read_bundle(bundles["bert"]).weights["encoder.embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(read_bundle(out).weights["embedding.weight"], source[kept])


def test_a_control_has_the_vocabulary_of_its_student(
    bundles: dict[str, Path], distil: Any, transfer: list[Row], tmp_path: Path
) -> None:
    """The transfer rows count for both: they bring a character that no training row holds."""
    rows = [replace(transfer[0], text="ab"), *transfer]
    config = student(train={"epochs": 1}, vocabulary={"margin": 0}, augment={"copies": 1})
    found = []
    for control in (False, True):
        made = read_bundle(distil(bundles["bert"], config, tmp_path / str(control), transfer=rows, no_teacher=control))
        found.append(made.files["tokenizer.json"])
        assert made.model["vocabulary"] == len(json.loads(found[-1])["model"]["vocab"])
    assert found[0] == found[1]
    assert "a" in json.loads(found[0])["model"]["vocab"]
    assert "e" not in json.loads(found[0])["model"]["vocab"]


# ---- one encoding for every node ---------------------------------------------------------------------


def test_equal_texts_are_encoded_once_where_the_context_is_not_read(
    bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Any]] = []
    real = TorchBackend.logits
    monkeypatch.setattr(TorchBackend, "logits", lambda self, pairs, label="": (seen.append(list(pairs)), real(self, pairs))[1])
    loaded = Classifier.load(bundles["none"])
    proba = loaded.predict_proba(["是我", "快递", "是我", "是我"], [NODE, None, "售后", None])
    assert seen == [[("是我", None), ("快递", None)]]
    free = len(loaded.space) - 2
    assert np.array_equal(proba[0], proba[3])
    assert np.array_equal(proba[0, :free], proba[2, :free])
    assert np.isnan(proba[2, free:]).all()
    assert not np.isnan(proba[3]).any()


def test_transfer_rows_are_taught_wherever_the_teacher_answers(
    bundles: dict[str, Path], distil: Any, transfer: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[np.ndarray]] = {"bert": [], "none": []}
    real = LogitsLoss.forward
    for kind, cells in seen.items():
        monkeypatch.setattr(LogitsLoss, "forward", lambda self, a, b, c, s=cells: (s.append(c.numpy()), real(self, a, b, c))[1])
        distil(bundles[kind], student(train={"epochs": 1}), tmp_path / kind, transfer=transfer)
    for kind, cells in seen.items():
        rows = np.concatenate(cells)
        mine = rows[(rows < 0).all(axis=1)]  # all unknown
        assert len(mine) == len(transfer)
        assert (mine[:, -2:] == UNASKED).all() == (kind == "bert")  # they have no context


def test_a_student_of_probabilities_comes_nearer_to_its_teacher(bundles: dict[str, Path], distil: Any, tmp_path: Path) -> None:
    alone = {"logits_weight": 1, "label_weight": 0}  # this teacher has hardly learned anything, so labels lead away from it
    config = student(signal="kl", temperature=2.0, **alone, train={**STUDENT["train"], "epochs": 30})
    made = distil(bundles["bert"], config, tmp_path / "out")
    lines = [json.loads(line) for line in (made / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["logits"] < 0.5 * lines[0]["logits"]


def test_a_control_takes_as_many_steps_and_evaluations_as_its_student(
    bundles: dict[str, Path], distil: Any, transfer: list[Row], tmp_path: Path
) -> None:
    config = student(train={"epochs": 2, "batch_size": 8}, augment={"copies": 3})
    steps, made = {}, {}
    for control in (False, True):
        out = distil(bundles["bert"], config, tmp_path / str(control), transfer=transfer, no_teacher=control)
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        steps[control] = [line["step"] for line in lines if "score" in line]
        made[control] = read_bundle(out).metrics
    student_steps, control_steps = steps[False][-1], steps[True][-1]
    rows = made[True]["train_rows"]
    assert student_steps > 2 * math.ceil(rows / 8) * 2  # the synthetic rows count
    assert abs(control_steps - student_steps) <= math.ceil(rows / 8) / 2  # whole passes over the labelled rows
    assert steps[True][0] == steps[False][0]  # evaluated as often
    assert made[False]["transfer_rows"] == len(transfer)
    assert made[False]["synthetic_rows"] > rows
    assert "synthetic_rows" not in made[True]


# ---- doing it again ----------------------------------------------------------------------------------


def test_a_finished_run_is_not_repeated_unless_forced(
    bundles: dict[str, Path], learn: Any, distil: Any, transfer: list[Row], bert_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(run, "fit", refuse)
    before = (bundles["bert"] / "bundle.json").stat().st_mtime_ns
    assert learn(teacher(encoder=str(bert_folder)), bundles["bert"]) == bundles["bert"]
    distil(bundles["bert"], student(model="A"), bundles["a"], transfer=transfer)
    assert (bundles["bert"] / "bundle.json").stat().st_mtime_ns == before
    with pytest.raises(AssertionError, match="trained again"):
        distil(bundles["bert"], student(model="A"), bundles["a"])  # other rows
    with pytest.raises(AssertionError, match="trained again"):
        learn(teacher(encoder=str(bert_folder)), bundles["bert"], force=True)


def test_another_encoder_in_the_same_folder_is_another_run(
    bundles: dict[str, Path], learn: Any, bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(bert_folder, tmp_path / "encoder")
    out = learn(teacher(encoder=str(folder), train={"epochs": 1}), tmp_path / "out")
    before = (out / "bundle.json").stat().st_mtime_ns
    learn(teacher(encoder=str(folder), train={"epochs": 1}), out)
    assert (out / "bundle.json").stat().st_mtime_ns == before
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor * 1.5 for name, tensor in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    learn(teacher(encoder=str(folder), train={"epochs": 1}), out)
    assert (out / "bundle.json").stat().st_mtime_ns > before


def test_an_interrupted_run_goes_on_with_the_same_settings_only(
    bundles: dict[str, Path], distil: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = student(model="B", train={**STUDENT["train"], "checkpoint_seconds": 0})
    whole = distil(bundles["bert"], config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "score", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            distil(bundles["bert"], config, tmp_path / "out")
    assert (tmp_path / "out.run" / "last.pt").is_file()
    asked: list[int] = []
    real = TorchBackend.logits
    monkeypatch.setattr(TorchBackend, "logits", lambda self, pairs, label="": (asked.append(len(pairs)), real(self, pairs))[1])
    with pytest.raises(ConfigError, match="interrupted run with other rows or settings"):
        distil(bundles["bert"], student(model="A"), tmp_path / "out")
    distil(bundles["bert"], config, tmp_path / "out")
    assert asked == []  # the teacher's logits were kept
    assert read_bundle(tmp_path / "out").digest == read_bundle(whole).digest


# ---- refused -----------------------------------------------------------------------------------------


def test_what_cannot_be_trained_is_refused_with_a_reason(
    bundles: dict[str, Path], learn: Any, distil: Any, transfer: list[Row], bert_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="'bigru' is a student"):
        learn(student(), out)
    for config in (teacher(), parse_config({"kind": "linear"})):
        with pytest.raises(ConfigError, match="is no student"):
            distil(bundles["bert"], config, out)
    for kind in ("linear", "a"):
        with pytest.raises(BundleError, match="has no embedding and tokenizer to hand on"):
            distil(bundles[kind], student(), out)
    with pytest.raises(ConfigError, match="the encoder reads 64 tokens at most"):
        learn(teacher(encoder=str(bert_folder), input={"max_length": 65}), out)
    assert not out.exists()
