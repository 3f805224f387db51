"""Continued pre-training on plain text, and what it gives downstream."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import done, duobiao, refused, tree
from encoder_forms import BY_NAME, make_form
from openpyxl import Workbook
from plain_runs import killed_at, same_weights
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from duobiao.bundle import read_manifest
from duobiao.config import parse_config
from duobiao.data.rows import Row
from duobiao.errors import ConfigError, DataError
from duobiao.models.pretrained import load_pretrained
from duobiao.train import adapt as module
from duobiao.train import loop, packed
from duobiao.train.adapt import adapt
from duobiao.train.plain_run import PlainResult

PARTS = ["你们快递坏了", "今天还行，喜欢", "麻烦请问一下开票", "上次买的那个东西", "打给我，我生气", "打错了，是我"]
TEXT = {"epochs": 4, "batch_size": 8, "max_length": 24, "lr": 1e-2, "held_out": 16}
CONFIG: dict[str, Any] = {"kind": "adapt", "text": TEXT, "train": {"checkpoint_seconds": 0, "head_lr": 1e-2}}
TYPED = ["快递坏了，今天还行", "Ａb ａb", "从未见过的字龘 abé", "[MASK] [UNK]", " 今天\t喜欢\u3000生气 "]


def settings(**changes: Any) -> Any:
    """The configuration, with parts of ``text`` and ``train`` changed and other fields replaced."""
    inner = {name: {**CONFIG[name], **changes.pop(name, {})} for name in ("text", "train")}
    return parse_config({**CONFIG, **inner, **changes})


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Lines that repeat themselves, so that there is something to learn."""
    chance = random.Random(1)
    return ["，".join(chance.sample(PARTS, 2)) for _ in range(160)]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> list[Path]:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "a.txt").write_text("\n".join(lines[:100]), encoding="utf-8")
    rows = [json.dumps({"text": line, "id": 3}, ensure_ascii=False) for line in lines[100:]]
    (folder / "b.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return [folder / "a.txt", folder / "b.jsonl"]


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


# ---- texts ---------------------------------------------------------------------------------------------


def test_tables_are_read_like_lines(lines: list[str], bert_folder: Path, tmp_path: Path) -> None:
    some = lines[:40]
    (tmp_path / "a.txt").write_text("\n".join(some), encoding="utf-8")
    quoted = "".join(f'"{line}",不存在的标签\n' for line in some)
    (tmp_path / "a.csv").write_text("内容,标签\n" + quoted, encoding="gb18030")
    book = Workbook()
    sheet = book.active
    sheet.append(["标签", "内容"])
    for line in some:
        sheet.append([None, line])
    book.save(tmp_path / "a.xlsx")
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"内容": line}) for line in some), encoding="utf-8")
    outs = []
    for name in ("a.txt", "a.csv", "a.xlsx", "a.jsonl"):
        outs.append(tmp_path / f"from-{name}")
        adapt(str(bert_folder), settings(text={"steps": 2}), [tmp_path / name], outs[-1], column="内容")
    assert all(same_weights(outs[0], out) for out in outs[1:])


def test_rows_without_a_text_are_passed_over(bert_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("今天\n\n  \n快递\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(
        '{"text": "今天"}\n{"text": ""}\n{"text": "\\ud83d"}\n{"text": "快递"}\n', encoding="utf-8"
    )
    given = [
        adapt(str(bert_folder), settings(text={"steps": 1}, input={"clean": []}), [tmp_path / name], tmp_path / name[0])
        for name in ("a.txt", "b.jsonl")
    ]
    assert same_weights(given[0].out, given[1].out)


def test_own_words_are_masked_whole(bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("今天那个东西还行\n" * 30, encoding="utf-8")
    (tmp_path / "words.txt").write_text("天那个东\n", encoding="utf-8")
    made: list[Any] = []
    real = module.pack
    monkeypatch.setattr(module, "pack", lambda *given: made.append(real(*given)) or made[-1])
    for name, masking in (("plain", {}), ("own", {"dictionary": str(tmp_path / "words.txt")}), ("each", {"words": "tokens"})):
        config = settings(masking=masking, text={"steps": 1})
        adapt(str(bert_folder), config, [tmp_path / "a.txt"], tmp_path / name)
    plain, own, each = (one.column("words", one.lengths.argsort()[:1], 0)[0][0].tolist() for one in made)
    assert own[1:9] == [1, 1, 2, 2, 2, 1, 1, 2], "今|天那个东|西|还行"
    assert plain[1:9] != own[1:9]
    assert each[1:9] == [1] * 8


# ---- what is refused -----------------------------------------------------------------------------------


def test_what_cannot_be_done_is_refused_and_leaves_nothing(
    found: PlainResult, texts: list[Path], bert_folder: Path, unigram_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "今天"}\n{"txt": 1}\n', encoding="utf-8")
    (tmp_path / "bad.csv").write_text("content\n今天\n", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("\n \n", encoding="utf-8")
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    (tmp_path / "mine").mkdir()
    encoder = shutil.copytree(bert_folder, tmp_path / "encoder")
    before = tree(tmp_path)
    bert, one = str(bert_folder), settings()
    general = {"kind": "general", "shape": {"layers": 1, "hidden": 16, "heads": 2, "intermediate": 16}}
    for error, said, given in (
        (ConfigError, "no mask token", (str(unigram_folder), one, texts)),
        (ConfigError, "reads 64 tokens at most", (bert, settings(text={"max_length": 65}), texts)),
        (ConfigError, "makes a new small encoder", (bert, parse_config(general), texts)),
        (ConfigError, "no such folder", (str(tmp_path / "none"), one, texts)),
        (ConfigError, "not there", (bert, settings(masking={"dictionary": str(tmp_path / "none.txt")}), texts)),
        (DataError, "2 files of text cannot be read", (bert, one, [*texts, tmp_path / "none.txt", tmp_path / "a.pdf"])),
        (DataError, "no text is given", (bert, one, [])),
        (DataError, "hold no text", (bert, one, [tmp_path / "empty.txt"])),
        (DataError, "1 lines cannot be read", (bert, one, [tmp_path / "bad.jsonl"])),
        (DataError, "2 files of text cannot be read", (bert, one, [tmp_path / "bad.jsonl", tmp_path / "bad.csv"])),
    ):
        with pytest.raises(error, match=said) as caught:
            adapt(*given, tmp_path / "out")
        assert caught.value.hint, said
    for out, said in ((encoder, "is the encoder itself"), (tmp_path / "mine", "no encoder that was made")):
        with pytest.raises(ConfigError, match=said):
            adapt(str(encoder), one, texts, out, force=True)
    (tmp_path / "link").symlink_to(encoder)
    with pytest.raises(ConfigError, match="is the encoder itself"):
        adapt(str(encoder), one, texts, tmp_path / "link")
    (tmp_path / "link").unlink()
    assert tree(tmp_path) == before


def test_a_loss_that_is_not_finite_is_named(bert_folder: Path, texts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(Exception, match="the loss is nan") as caught:
        adapt(str(bert_folder), settings(text={"lr": 1e30}, train={"head_lr": 1e30}), texts, tmp_path / "out")
    assert "lower" in (caught.value.hint or "")  # type: ignore[attr-defined]
    assert not (tmp_path / "out").exists()


def test_settings_are_bounded(bert_folder: Path) -> None:
    for changes in (
        {"masking": {"rate": 0}},
        {"masking": {"mask_share": 0.8, "random_share": 0.3}},
        {"text": {"epochs": 0}},
        {"text": {"max_length": 4}},
    ):
        with pytest.raises(ConfigError):
            settings(**changes)


# ---- the command, and what it gives downstream ---------------------------------------------------------

TEACHER = ("--set-with", "input.max_length=48", "--set-with", "train.epochs=2", "--set-with", "train.batch_size=16")


@dataclass(frozen=True)
class Downstream:
    """Files of a labelled task, and the command over them."""

    folder: Path
    encoder: Path
    texts: list[Path]

    @property
    def out(self) -> Path:
        return self.folder / "bert"

    @property
    def gain(self) -> Path:
        return self.folder / "bert.gain"

    def command(self, *more: Any, text: Sequence[Path] = (), score: str = "dev.jsonl") -> tuple[Any, ...]:
        given = ["adapt", "--encoder", self.encoder, "--config", self.folder / "config.yaml", "--out", self.out, *more]
        given += [part for path in (*self.texts, *text) for part in ("--text", path)]
        given += ["--train", self.folder / "train.jsonl", "--dev", self.folder / "dev.jsonl"]
        return (*given, "--labels", self.folder / "labels.yaml", "--score", self.folder / score, *TEACHER)

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.gain / "gain.json").read_text(encoding="utf-8"))
        return found


@pytest.fixture(scope="module")
def task(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_rows: Any,
    tiny_space: Any,
    bert_folder: Path,
    texts: list[Path],
    write_rows: Callable[[Path, Sequence[Row]], Path],
) -> Downstream:
    folder = tmp_path_factory.mktemp("gain")
    (folder / "config.yaml").write_text(json.dumps(settings(text={"epochs": 2}).model_dump(mode="json")), encoding="utf-8")
    (folder / "labels.yaml").write_text(tiny_space.to_yaml(), encoding="utf-8")
    for name in ("train", "dev"):
        write_rows(folder / f"{name}.jsonl", getattr(tiny_rows, name))
    return Downstream(folder, bert_folder, texts)


@pytest.fixture(scope="module")
def measured(task: Downstream) -> Any:
    return done(*task.command("--seeds", "0,1"))


def test_the_gain_is_that_of_the_bundles_beside_it(task: Downstream, measured: Any, tmp_path: Path) -> None:
    wanted = {"before-0", "before-1", "after-0", "after-1", "gain.json", "gain.md"}
    assert {path.name for path in task.gain.iterdir()} == wanted
    told = task.told()
    assert (told["seeds"], told["rows"], told["standing_in_text"], told["elsewhere"]) == ([0, 1], 16, 0, None)
    for name in ("before", "after"):
        for seed in (0, 1):
            bundle = task.gain / f"{name}-{seed}"
            done("evaluate", bundle, "--data", task.folder / "dev.jsonl", "--json", tmp_path / "scores.json")
            scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
            for metric, value in told[name]["seeds"][seed].items():
                assert value == pytest.approx(scores[metric])
            config = read_manifest(bundle)["config"]
            assert config["train"]["seed"] == seed
            assert config["encoder"] == str(task.out if name == "after" else task.encoder)
            assert (config["train"]["epochs"], config["input"]["max_length"]) == (2, 48)
    for metric in ("micro_f1", "macro_f1"):
        seeds = [told["after"]["seeds"][seed][metric] - told["before"]["seeds"][seed][metric] for seed in (0, 1)]
        gain = told["gain"][metric]
        assert gain["seeds"] == pytest.approx(seeds)
        assert gain["gain"] == pytest.approx(sum(seeds) / 2)
        assert gain["low"] <= gain["gain"] <= gain["high"]
    assert told["adaptation"]["head"] == "new"


def test_the_report_says_it_in_both_languages_and_nothing_is_done_twice(
    task: Downstream, measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_step(self: Any, *given: Any) -> float:
        raise AssertionError("trained again")

    def places() -> dict[str, Any]:
        return {name: at for name, at in tree(task.folder).items() if name not in ("bert.gain", "bert.gain/gain.md")}

    monkeypatch.setattr(loop._Run, "step", no_step)
    told, before = task.told(), places()
    chinese = (task.gain / "gain.md").read_text(encoding="utf-8")
    again = done(*task.command("--seeds", "0,1", "--lang", "en"))
    english = (task.gain / "gain.md").read_text(encoding="utf-8")
    assert places() == before
    assert again.stderr.count("finished before") == 5, "the encoder and four teachers"
    assert "measured before" in again.stderr
    for report, said, language, words in (
        (chinese, measured.stdout, "zh", ("继续预训练的增益", "在 16 行上评测", "新头从随机权重学起")),
        (english, again.stdout, "en", ("What adapting the encoder gave", "Scored on 16 rows", "without a masked-LM head")),
    ):
        assert f"**{told['verdict'][language]}**" in report
        assert told["verdict"][language] in said
        assert all(word in report for word in words)
        rows = [line for line in report.splitlines() if line.startswith("| ")]
        assert len(rows) == 2 + 2 * 3
        assert f"{told['after']['micro_f1']:.4f}" in rows[-1]
        held = told["adaptation"]["held_out"]
        assert f"{held['before']['loss']:.3f} → {held['after']['loss']:.3f}" in report
        assert "--seeds 0,1,2" not in report
        assert "held-out sequences: loss" in said
        assert "the masked-LM head is a new one" in said
        assert str(task.gain / "gain.md") in said.replace("\n", "")


def test_scored_texts_among_the_adapted_are_counted_and_left_out_once(
    task: Downstream, measured: Any, tiny_rows: Any, tmp_path: Path
) -> None:
    spaced = tiny_rows.dev[0].text.replace("，", " ， ")
    (tmp_path / "seen.txt").write_text("\n".join([spaced, *(row.text for row in tiny_rows.dev[1:5])]), encoding="utf-8")
    seen = {row.text for row in tiny_rows.dev[:5]}
    rest = sum(row.text not in seen for row in tiny_rows.dev)
    place = Downstream(tmp_path, task.encoder, task.texts)
    for name in ("config.yaml", "labels.yaml", "train.jsonl", "dev.jsonl"):
        shutil.copy(task.folder / name, tmp_path / name)
    shutil.copytree(task.gain, place.gain)  # what was trained from the encoder as it was is taken over
    result = done(*place.command(text=[tmp_path / "seen.txt"]))
    told = place.told()
    assert result.stderr.count("finished before") == 1
    assert (told["seeds"], told["standing_in_text"], told["elsewhere"]["rows"]) == ([0], 16 - rest, rest)
    assert told["before"]["seeds"] == task.told()["before"]["seeds"][:1]
    report = (place.gain / "gain.md").read_text(encoding="utf-8")
    for line in (f"注意：{16 - rest} / 16 条评测文本", f"只算没有出现过的 {rest} 行", "只有一个种子"):
        assert line in report
        assert line in result.stdout


def test_slices_are_adapted_before_anything_is_measured(task: Downstream, measured: Any, tmp_path: Path) -> None:
    place = Downstream(tmp_path, task.encoder, task.texts)
    for name in ("config.yaml", "labels.yaml", "train.jsonl", "dev.jsonl"):
        shutil.copy(task.folder / name, tmp_path / name)
    first = done(*place.command("--slice-steps", 5))
    assert f"{place.out}.run: a checkpoint; the same command goes on: 5 of " in first.stdout
    assert not place.out.exists()
    assert not place.gain.exists()
    shutil.copytree(task.gain, place.gain)
    last = done(*place.command("--slice-steps", 500))
    assert same_weights(place.out, task.out)
    assert last.stderr.count("finished before") == 1, "the path of the adapted encoder is another one"
    assert place.told()["after"]["seeds"] == task.told()["after"]["seeds"][:1]


def test_what_cannot_be_measured_is_refused_before_anything_is_trained(
    task: Downstream, tmp_path: Path, write_rows: Callable[[Path, Sequence[Row]], Path]
) -> None:
    write_rows(tmp_path / "foreign.jsonl", [Row("1", "快递", labels=("没有这个",))])
    before = tree(tmp_path)
    given = ("adapt", "--encoder", task.encoder, "--text", task.texts[0], "--out", tmp_path / "out")
    train, dev = ("--train", task.folder / "train.jsonl"), ("--score", task.folder / "dev.jsonl")
    labels = ("--labels", task.folder / "labels.yaml")
    refused(*given, *dev, "--seeds", "0", *TEACHER, names=("--score goes with --train", "--seeds", "--set-with"))
    refused(*given, *train, names=("--train wants --score",))
    refused(*given, *train, *dev, *labels, "--seeds", "0,x", names=("--seeds",))
    refused(*given, *train, *dev, *labels, "--seeds", "1,1", *TEACHER, names=("twice",))
    refused(*given, *train, *dev, *labels, "--with", "bigru-a", names=("--with bigru-a", "no encoder's"))
    refused(*given, *train, *dev, *labels, names=("input.max_length of --with is 128", "64 tokens"))
    refused(*given, *train, *labels, "--score", tmp_path / "foreign.jsonl", *TEACHER, names=("没有这个",))
    refused(*given, *train, *labels, "--score", tmp_path / "none.jsonl", names=("no such file",))
    refused(*given, "--config", "linear", names=("adapts no encoder",))
    refused(*given, "--config", "duobiao-mini", names=("adapts no encoder",))
    refused(*given, "--set", "text.step=3", names=("step",))
    refused(*given, "--lang", "fr", names=("fr",))
    assert tree(tmp_path) == before


def test_the_command_alone(bert_folder: Path, texts: list[Path], tmp_path: Path) -> None:
    given = ("adapt", "--encoder", bert_folder, "--text", texts[0], "--text", texts[1], "--out", tmp_path / "out")
    small = ("--set", "text.max_length=24", "--set", "text.batch_size=4")
    result = done(*given, *small, "--max-steps", 3)
    assert "3 of 3 steps" in result.stdout
    assert "sequences of" in result.stderr
    assert "a new one" in result.stderr
    config = json.loads((tmp_path / "out" / "adapt.json").read_text(encoding="utf-8"))["config"]
    assert (config["text"]["steps"], config["text"]["epochs"]) == (3, None)
    assert "finished before" in done(*given, *small, "--max-steps", 3).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert duobiao("adapt", "--encoder", bert_folder).exit_code == 2


def test_columns_name_the_text_of_tables(bert_folder: Path, lines: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("内容\n" + "\n".join(f'"{line}"' for line in lines[:20]), encoding="utf-8")
    given = ("adapt", "--encoder", bert_folder, "--text", tmp_path / "a.csv", "--out", tmp_path / "out")
    small = ("--set", "text.max_length=24", "--max-steps", 1)
    refused(*given, *small, names=("text",))
    assert "1 of 1 steps" in done(*given, *small, "--columns", "text=内容").stdout
