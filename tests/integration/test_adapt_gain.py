"""The command ``adapt``, and what continued pre-training gives downstream."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from adapting import repeated_lines, settings, write_texts
from commands import done, duobiao, refused, tree
from plain_runs import same_weights

from duobiao.bundle import read_manifest
from duobiao.data.rows import Row
from duobiao.train import loop


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return repeated_lines()


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_texts(tmp_path_factory.mktemp("texts"))


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
