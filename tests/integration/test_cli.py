"""The commands around the chain: training, distilling, help, versions, interruptions."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import done, duobiao, tree
from safetensors.numpy import load_file

import duobiao as library
from duobiao.bundle import read_bundle
from duobiao.cli.app import app
from duobiao.config import shipped_configs, shipped_students
from duobiao.data.read import read_rows
from duobiao.models.pretrained import load_pretrained

COMMANDS = [
    "train",
    "distil",
    "predict",
    "evaluate",
    "compare",
    "demo",
    "clean",
    "check",
    "split",
    "sample",
    "suspects",
    "mine",
    "general-distil",
    "adapt",
    "dial",
    "score",
    "tune",
    "cascade",
    "diff",
    "add-label",
    "serve",
    "export",
    "card",
    "push",
    "pull",
]
NESTED = ["prepare transcripts", "annotate export", "annotate import", "routes check", "routes draw"]
TINY = "shape={layers: 1, hidden: 16, heads: 2, intermediate: 16, vocab_size: 150}"


def test_each_stage_says_what_it_made(chain: Any):
    for name in ("linear", "teacher", "student", "control"):
        place = getattr(chain, name)
        line = chain.output[name].strip().replace("\n", "")
        assert line.startswith(f"{place}: ")
        assert re.search(r"on 16 dev rows micro_f1 [01]\.\d{4}, macro_f1 [01]\.\d{4}, group_accuracy [01]\.\d{4}", line)


def test_nothing_is_left_beside_the_bundles(chain: Any):
    left = {path.name for path in (chain.folder / "runs").iterdir()}
    assert left == {"linear", "teacher", "student", "control", ".soft_labels"}


def test_every_bundle_answers_from_python(chain: Any):
    for place in (chain.linear, chain.teacher, chain.student, chain.control):
        model = library.load(place)
        proba = model.predict_proba(["快递坏了", "", "是我"], context=[None, "售后", "身份确认"])
        assert proba.shape == (3, len(model.labels))
        assert np.isnan(proba[:2, -2:]).all(), "the node's group is asked at its node alone"
        assert not np.isnan(proba[2]).any()
        assert len(model.predict(["快递坏了"])) == 1


def test_the_student_learned_from_the_teacher_and_the_control_did_not(chain: Any):
    teacher, student, control = (read_bundle(path) for path in (chain.teacher, chain.student, chain.control))
    assert student.metrics["teacher"] == "teacher"
    assert control.metrics["teacher"] == "none (control)"
    assert student.files["tokenizer.json"] == control.files["tokenizer.json"], "a control has its student's vocabulary"
    assert student.space == control.space == teacher.space
    assert student.metrics["parameters"] == control.metrics["parameters"]
    kept = [load_file(path) for path in (chain.folder / "runs" / ".soft_labels").rglob("*.safetensors")]
    texts = {(row.text, row.context) for row in read_rows(chain.train)}
    assert sum(len(part["logits"]) for part in kept) == len(texts)


def test_the_same_command_again_trains_nothing_and_force_does(chain: Any, tmp_path: Path):
    command = ("train", "--config", "linear", *chain.files, "--labels", chain.labels, "--out", tmp_path / "l")
    first = done(*command)
    before = tree(tmp_path)
    again = done(*command)
    assert tree(tmp_path) == before
    assert again.stdout == first.stdout
    assert "finished before" in again.stderr
    done(*command, "--force")
    assert tree(tmp_path) != before


@pytest.mark.parametrize("name", sorted(shipped_configs()))
def test_every_shipped_config_can_be_named(
    chain: Any, name: str, tmp_path: Path, bert_folder: Path, wwm_folder: Path, albert_folder: Path
):
    encoders = {"teacher-albert": albert_folder, "teacher-roberta-wwm": wwm_folder}
    out = ("--out", tmp_path / "bundle", *chain.files)
    epochs = ("--set", "train.epochs=1")
    (tmp_path / "a.txt").write_text("\n".join(row.text for row in read_rows(chain.train)), encoding="utf-8")
    if name in ("adapt", "adapt-states"):
        small = ("--set", "text.max_length=24", "--set", "text.batch_size=4", "--max-steps", 2)
        done(
            "adapt",
            "--config",
            name,
            "--encoder",
            bert_folder,
            "--text",
            tmp_path / "a.txt",
            *small,
            "--out",
            tmp_path / "bert",
        )
        assert load_pretrained(str(tmp_path / "bert")).model.config.hidden_size == 32
        return
    if name == "duobiao-mini":
        small = ("shape={layers: 1, hidden: 16, heads: 2, intermediate: 16}", "vocabulary.size=100", "train.precision=no")
        given = [part for one in (*small, "text.max_length=24", "text.batch_size=4") for part in ("--set", one)]
        command = ("general-distil", "--config", name, "--teacher", bert_folder, "--text", tmp_path / "a.txt", *given)
        done(*command, "--max-steps", 2, "--out", tmp_path / "mini")
        assert load_pretrained(str(tmp_path / "mini")).model.config.hidden_size == 16
        return
    if name == "linear":
        done("train", "--config", name, "--labels", chain.labels, *out)
    elif name in shipped_students():
        own = {
            "tinybert": ("--set", "shape={layers: 1, hidden: 16, heads: 2, intermediate: 16}", *epochs),
            "linear-student": (),
        }
        done("distil", "--teacher", chain.teacher, "--config", name, *out, *own.get(name, epochs))
    else:
        own = (
            ("--set", "min_steps=0")
            if name == "teacher-mini"
            else ("--set", TINY if name == "teacher-small" else f"encoder={encoders[name]}")
        )
        length = ("--set", "input.max_length=64")
        done("train", "--config", name, "--labels", chain.labels, *own, *length, *out, *epochs)
    bundle = read_bundle(tmp_path / "bundle")
    assert bundle.name == name
    if bundle.kind == "encoder":
        assert bundle.metrics["start"] == ("random weights" if name == "teacher-small" else "pre-trained")
    if name == "teacher-albert":
        assert '"[CLS]"' in bundle.files["tokenizer.json"]


def test_a_config_may_be_a_file(chain: Any, tmp_path: Path):
    config = tmp_path / "my own.yaml"
    config.write_text("kind: linear\nngrams: [1, 2]\n", encoding="utf-8")
    done("train", "--config", config, *chain.files, "--labels", chain.labels, "--out", tmp_path / "b", "--set", "c=0.25")
    bundle = read_bundle(tmp_path / "b")
    assert (bundle.name, bundle.config["c"], bundle.config["ngrams"]) == ("my own", 0.25, [1, 2])


def test_without_a_label_space_one_is_inferred_and_written_out(chain: Any, tmp_path: Path):
    out = tmp_path / "runs" / "linear"
    result = done("train", "--config", "linear", "--train", chain.train, "--out", out)
    assert "split off" in result.stderr, "nor was a dev file given"
    written = out.with_name("linear.labels.yaml")
    assert str(written) in result.stderr.replace("\n", "")
    space = library.LabelSpace.from_yaml(written)
    assert space == read_bundle(out).space
    assert space.groups == ()
    assert {"物流", "正面", "身份确认/是"} < set(space.names)


def test_transfer_rows_need_no_labels(chain: Any, tmp_path: Path):
    (tmp_path / "more.csv").write_text("text,labels\n快递坏了,天气\n喜欢,\n", encoding="utf-8")
    command = ("distil", "--teacher", chain.teacher, "--config", "bigru-b", *chain.files, "--set", "train.epochs=1")
    done(*command, "--transfer", tmp_path / "more.csv", "--out", tmp_path / "b")
    assert read_bundle(tmp_path / "b").metrics["transfer_rows"] == 2
    done(*command, "--transfer", tmp_path / "more.csv", "--out", tmp_path / "c", "--no-teacher")  # the control's budget
    assert "transfer_rows" not in read_bundle(tmp_path / "c").metrics


# ---- help, version, interruption -----------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS + NESTED)
def test_help_shows_an_example_that_uses_real_options(command: str):
    text = " ".join(done(*command.split(), "--help").stdout.split())
    example = re.search(rf"Example: (duobiao {command} .*)$", text)
    assert example, text
    options = re.findall(r"--[a-z-]+", example.group(1))
    assert options
    before = text[: example.start()]
    assert all(option in before for option in options)
    assert "--help" in before


def test_help_lists_every_command():
    text = done("--help").stdout
    registered = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert registered == COMMANDS
    nested = [
        f"{group.name} {command.name or command.callback.__name__}"
        for group in app.registered_groups
        for command in group.typer_instance.registered_commands
    ]
    assert nested == NESTED
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", text)
    assert duobiao().exit_code == 2


def test_version():
    assert done("--version").stdout == f"{library.__version__}\n"
    shown = subprocess.run(
        [sys.executable, "-m", "duobiao", "--version"], capture_output=True, text=True, check=True, timeout=120
    )
    assert (shown.stdout, shown.stderr) == (f"{library.__version__}\n", "")


def interrupt(*arguments: Any, **options: Any) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_training_exits_with_130_and_goes_on_later(
    chain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wwm_folder: Path
):
    command = ("train", "--config", "teacher-roberta-wwm", "--set", f"encoder={wwm_folder}", "--labels", chain.labels)
    command += (*chain.files, "--out", tmp_path / "t", "--set", "input.max_length=64", "--set", "train.epochs=3")
    command += ("--set", "train.checkpoint_seconds=0", "--set", "train.batch_size=16")
    from duobiao.train.loop import _Run

    step, steps = _Run.step, []

    def counted(self: Any, rows: Any, *more: Any) -> float:
        steps.append(len(rows))
        if len(steps) == 6:
            raise KeyboardInterrupt
        return step(self, rows, *more)

    monkeypatch.setattr(_Run, "step", counted)
    result = duobiao(*command)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "interrupted; the same command goes on from the last checkpoint"
    assert not (tmp_path / "t").exists()
    steps.extend([0] * 10)  # from here on nothing interrupts
    resumed = re.search(r"resumed at step (\d+)", done(*command).stderr)
    assert resumed
    assert 1 <= int(resumed.group(1)) <= 5
    assert len(steps) - 16 == 9 - int(resumed.group(1)), "three epochs of three steps, less those behind"
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize("command", ["predict", "evaluate", "compare"])
def test_other_commands_exit_with_130_and_leave_nothing(
    chain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
):
    monkeypatch.setattr("duobiao.models.linear.LinearBackend.logits", interrupt)
    options: dict[str, tuple[Any, ...]] = {
        "predict": ("--input", chain.test, "--output", tmp_path / "a.jsonl"),
        "evaluate": ("--data", chain.test, "--json", tmp_path / "a.json"),
        "compare": ("--data", chain.test, "--out", tmp_path / "out"),
    }
    result = duobiao(command, chain.linear, *options[command])
    assert result.exit_code == 130
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == "interrupted"
    assert list(tmp_path.iterdir()) == []


def test_metrics_of_training_are_kept_in_the_bundle(chain: Any):
    lines = [json.loads(line) for line in read_bundle(chain.teacher).files["metrics.jsonl"].splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(np.isfinite(line["loss"]) and 0 <= line["micro_f1"] <= 1 for line in lines)
