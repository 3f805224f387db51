"""Many students from one pass of the teachers, and the proof."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import done, duobiao, refused, tree

from duobiao.bundle import read_bundle, read_manifest
from duobiao.classifier import Classifier
from duobiao.config import shipped_students
from duobiao.errors import BundleError, ConfigError
from duobiao.evaluate import proof
from duobiao.evaluate.evaluation import evaluate
from duobiao.labels import LabelSpace
from duobiao.train import distillery, recipe
from duobiao.train.distillery import load_students, reads
from duobiao.train.students import linear_student
from duobiao.train.teachers import Teachers

SMALL = ("--set", "bigru-a:train.epochs=1", "--set", "bigru-a:hidden=8", "--set", "linear-student:buckets=1024")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duobiao.evaluate.latency.ROUNDS", {1: 2, 32: 2})


@pytest.fixture(scope="module")
def command(chain: Any) -> tuple[Any, ...]:
    files = ("--train", chain.train, "--dev", chain.dev, "--score", chain.test)
    return ("distil", "--teacher", chain.teacher, "--students", "bigru-a,linear-student", *files, *SMALL)


@pytest.fixture(scope="module")
def proven(command: tuple[Any, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("duobiao.evaluate.latency.ROUNDS", {1: 2, 32: 2})
        out = tmp_path_factory.mktemp("proof") / "all"
        return out, done(*command, "--out", out, "--seeds", "0,1", "--lang", "en").stdout


def found_in(out: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((out / "proof.json").read_text(encoding="utf-8"))
    return data


# ---- the proof ---------------------------------------------------------------------------------------


def test_bundles_lie_where_they_are_said_to(proven: tuple[Path, str]) -> None:
    out, _ = proven
    names = {"bigru-a", "bigru-a-seed1", "linear-student", "linear-student-seed1"}
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        *names,
        "controls",
        "proof.json",
        "proof.md",
    }
    assert {path.name for path in (out / "controls").iterdir()} == names
    for name in names:
        control, student = read_manifest(out / "controls" / name), read_manifest(out / name)
        assert control["metrics"]["teacher"] == "none (control)"
        assert student["metrics"]["teacher"] == "teacher"
        assert student["config"]["train"]["seed"] == control["config"]["train"]["seed"] == int(name.endswith("seed1"))
        assert student["metrics"]["seconds"] > 0


def test_scores_are_those_of_evaluate(proven: tuple[Path, str], chain: Any) -> None:
    from duobiao.data.read import read_rows

    out, _ = proven
    found = found_in(out)
    rows = read_rows(chain.test, space=Classifier.load(chain.teacher).space)
    assert (found["rows"], found["scored_on"]) == (len(rows), "score")
    for line in found["students"]:
        for key, places in (("control", "controls/"), (None, "")):
            own = [evaluate(Classifier.load(out / f"{places}{line['name']}{end}"), rows) for end in ("", "-seed1")]
            for metric in ("micro_f1", "macro_f1"):
                shown = line[key][metric] if key else line[metric]
                assert shown == pytest.approx(np.mean([one[metric] for one in own]))
        for metric in ("micro_f1", "macro_f1"):
            gain = line["gain"][metric]
            assert gain["gain"] == pytest.approx(line[metric] - line["control"][metric])
            assert gain["gain"] == pytest.approx(np.mean(gain["seeds"]))
            assert gain["spread"] == pytest.approx(np.std(gain["seeds"], ddof=1))
            assert gain["low"] <= gain["gain"] <= gain["high"]
            assert line["share"][metric] == pytest.approx(line[metric] / found["teacher"][metric])
    files = [path for path in chain.teacher.iterdir() if path.name not in ("metrics.jsonl", "bundle.json")]
    assert found["teacher"]["mb"] == pytest.approx(sum(path.stat().st_size for path in files) / 1e6, rel=0.2)  # but for headers
    assert found["teacher"]["micro_f1"] == pytest.approx(evaluate(Classifier.load(chain.teacher), rows)["micro_f1"])


def test_the_table_says_it_all(proven: tuple[Path, str]) -> None:
    out, shown = proven
    found, text = found_in(out), (out / "proof.md").read_text(encoding="utf-8")
    for line in found["students"]:
        assert f"| {line['name']} |" in text
        assert line["verdict"]["en"] in text
        assert line["verdict"]["en"] in shown
        assert f"{line['gain']['macro_f1']['gain']:+.4f}" in text
        assert set(line["rows_per_s"]) == set(line["speedups"]) == {"1", "32"}
    seconds = found["seconds"]
    assert seconds["teacher"] > 0
    assert seconds["students"] == pytest.approx(seconds["pass"] + sum(line["seconds"] for line in found["students"]))
    assert "every seed gained" in text
    assert len({row.count("|") for row in text.splitlines() if row.startswith("|")}) == 1


def test_a_finished_proof_is_neither_trained_nor_measured_again(
    proven: tuple[Path, str], command: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "all"
    shutil.copytree(proven[0], out)
    before = {name: state for name, state in tree(out).items() if not name.startswith((".", "proof"))}
    found = found_in(out)
    monkeypatch.setattr(proof, "measure", None)
    shown = done(*command, "--out", out, "--seeds", "0,1", "--lang", "zh")
    assert "measured before" in shown.stderr
    assert found_in(out) == found
    assert found["students"][0]["verdict"]["zh"] in (out / "proof.md").read_text(encoding="utf-8")
    assert {name: state for name, state in tree(out).items() if not name.startswith((".", "proof"))} == before
    monkeypatch.undo()
    monkeypatch.setattr("duobiao.evaluate.latency.ROUNDS", {1: 2, 32: 2})
    done(*command, "--out", out, "--seeds", "0,1", "--measure-again")
    again = found_in(out)
    assert again["teacher"]["rows_per_s"] != found["teacher"]["rows_per_s"]
    assert again["students"][0]["gain"] == found["students"][0]["gain"]


def test_an_interrupted_proof_goes_on_where_it_stopped(
    proven: tuple[Path, str], command: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "all"
    with monkeypatch.context() as patched:
        patched.setattr(linear_student, "best_scaled", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert duobiao(*command, "--out", out, "--seeds", "0,1").exit_code == 130
    finished = tree(out / "bigru-a") | tree(out / "controls" / "bigru-a-seed1")
    assert finished
    assert not (out / "proof.json").exists()
    done(*command, "--out", out, "--seeds", "0,1")
    assert tree(out / "bigru-a") | tree(out / "controls" / "bigru-a-seed1") == finished
    for name in ("bigru-a", "linear-student", "controls/linear-student-seed1"):
        mine, whole = (read_bundle(place / name).weights for place in (out, proven[0]))
        assert all(np.array_equal(mine[key], whole[key]) for key in whole)
    mine, whole = found_in(out), found_in(proven[0])
    assert [line["gain"] for line in mine["students"]] == [line["gain"] for line in whole["students"]]


def test_without_controls_and_score_rows_it_says_so(chain: Any, tmp_path: Path) -> None:
    plain = ("distil", "--teacher", chain.teacher, "--students", "linear-student", *chain.files, "--set", "buckets=1024")
    done(*plain, "--out", tmp_path / "p", "--no-controls", "--lang", "en")
    found, text = found_in(tmp_path / "p"), (tmp_path / "p" / "proof.md").read_text(encoding="utf-8")
    assert not (tmp_path / "p" / "controls").exists()
    (line,) = found["students"]
    assert (line["control"], line["gain"], line["case"]) == (None, None, "unknown")
    assert found["scored_on"] == "dev"
    assert "Thresholds and the best epoch were chosen on these very rows" in text
    assert "no control: nothing is proven" in text


# ---- several teachers --------------------------------------------------------------------------------


def test_an_encoder_and_the_linear_baseline_teach_together(chain: Any, tiny_rows: Any, tmp_path: Path) -> None:
    given = ("--teacher", chain.linear, "--teacher", chain.teacher)
    done(
        "distil", *given, "--students", "linear-student", *chain.files, "--score", chain.test, "--out", tmp_path, "--lang", "en"
    )
    found = found_in(tmp_path)
    named = [one["name"] for one in found["teachers"]["teachers"]]
    assert named == ["linear", "teacher"]
    assert sum(one["weight"] for one in found["teachers"]["teachers"]) == pytest.approx(1)
    assert found["teacher"]["name"] == "linear + teacher"
    assert read_manifest(tmp_path / "linear-student")["metrics"]["teachers"] == found["teachers"]
    text = (tmp_path / "proof.md").read_text(encoding="utf-8")
    assert f"| together | 1.000 | {found['teachers']['together']['micro_f1']:.4f} |" in text


def test_together_they_say_the_weighted_mean_of_calibrated_logits(chain: Any, tiny_rows: Any, tmp_path: Path) -> None:
    from duobiao.data.rows import targets

    teachers = Teachers.load([chain.linear, chain.teacher])
    assert teachers.main.bundle.name == "teacher"
    weighed = teachers.weigh(tiny_rows.dev, targets(tiny_rows.dev, teachers.space), tmp_path)
    free = len(teachers.space.independent)
    wanted = np.zeros((len(tiny_rows.train), len(teachers.space)))
    for one, scale, weight in zip(weighed.members, weighed.scales, weighed.weights, strict=True):
        raw = one.logits([row.text for row in tiny_rows.train], [row.context for row in tiny_rows.train]).astype(float)
        wanted[:, :free] += weight * (scale.slope * raw[:, :free] + scale.offset)
        wanted[:, free:] += weight * scale.group_slope * raw[:, free:]
    np.testing.assert_allclose(weighed.soft(tiny_rows.train, tmp_path), wanted, atol=1e-4)
    assert len({teachers.digest, weighed.digest, Teachers.load(chain.teacher).digest}) == 3
    swapped = Teachers.load([chain.teacher, chain.linear]).weigh(
        tiny_rows.dev, targets(tiny_rows.dev, teachers.space), tmp_path
    )
    np.testing.assert_allclose(swapped.weights, weighed.weights[::-1], atol=2e-3)


def test_a_single_teacher_is_heard_as_ever(chain: Any, tiny_rows: Any, tmp_path: Path) -> None:
    from duobiao.data.rows import targets

    alone = Teachers.load(chain.teacher)
    assert alone.weigh(tiny_rows.dev, targets(tiny_rows.dev, alone.space), tmp_path) is alone
    assert alone.digest == read_manifest(chain.teacher)["digest"]
    texts = {"texts": [row.text for row in tiny_rows.dev], "context": [row.context for row in tiny_rows.dev]}
    np.testing.assert_allclose(alone.soft(tiny_rows.dev, tmp_path), Classifier.load(chain.teacher).logits(**texts), atol=1e-5)


def test_teachers_whose_labels_differ_are_refused_with_the_difference(
    chain: Any, tiny_rows: Any, tmp_path: Path, bert_folder: Path
) -> None:
    space = LabelSpace(("物流", "质量", "运费"))
    rows = [
        type(row)(row.id, row.text, labels=(("运费",) if "运" in row.text else ("物流", "质量", "运费")))
        for row in tiny_rows.dev
    ]
    from duobiao.config import parse_config

    other = recipe.train(parse_config({"kind": "linear", "name": "另一个"}), rows, rows, space, tmp_path / "other")
    with pytest.raises(BundleError) as caught:
        Teachers.load([chain.teacher, other])
    assert any("only in the second: 运费" in text for text in caught.value.problems)
    assert any("only in the first: 发票" in text for text in caught.value.problems)
    refused(
        "distil", "--teacher", chain.teacher, "--teacher", other, "--config", "bigru-a", *chain.files, "--out", tmp_path / "x",
        names=("运费", "发票"),
    )  # fmt: skip


def test_without_an_encoder_nobody_hands_on_a_tokenizer(chain: Any) -> None:
    with pytest.raises(BundleError, match="no embedding and tokenizer"):
        Teachers.load([chain.linear, chain.linear])


# ---- what is asked for -------------------------------------------------------------------------------


def test_all_means_every_shipped_student() -> None:
    assert [config.name for config in load_students("all")] == shipped_students()
    assert "linear-student" in shipped_students()


def test_settings_reach_those_that_read_them() -> None:
    bigru, linear = load_students(
        "bigru-a,linear-student", ["train.epochs=3", "train.seed=7", "linear-student:c=5", "bigru-a:hidden=9"]
    )
    assert (bigru.train.epochs, bigru.train.seed, linear.train.seed) == (3, 7, 7)
    assert linear.train.epochs == 20
    assert (linear.model_dump()["c"], bigru.model_dump()["hidden"]) == (5, 9)
    assert reads(bigru, "input.max_length=3")
    assert not reads(bigru, "train.nothing=3")
    assert not reads(linear, "train.lr=3")


@pytest.mark.parametrize(
    ("names", "overrides", "said"),
    [
        ("bigru-a,有的没的", [], ["unknown student '有的没的'"]),
        ("linear,bigru-a", [], ["unknown student 'linear'"]),
        ("", [], []),
        ("bigru-a", ["nothing=3"], ["--set nothing=3: none of the students reads it"]),
        ("linear-student", ["train.epochs=3"], ["--set train.epochs=3: none of the students reads it"]),
        ("bigru-a", ["bigru-b:hidden=3"], ["--set bigru-b:hidden=3: 'bigru-b' is not among the students"]),
    ],
)
def test_what_makes_no_sense_is_refused(names: str, overrides: list[str], said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_students(names, overrides)
    assert list(caught.value.problems) == said
    if "unknown" in str(said):
        assert all(name in caught.value.hint for name in shipped_students())


def test_two_students_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="several students are called bigru-a"):
        load_students("bigru-a,bigru-a")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), "--config"),
        (("--config", "bigru-a", "--students", "all"), "--students"),
        (("--config", "bigru-a", "--seeds", "0"), "--seeds goes with --students"),
        (("--students", "linear-student", "--no-teacher"), "--no-teacher"),
        (("--students", "linear-student", "--seeds", "zero"), "zero"),
        (("--students", "linear-student", "--metric", "accuracy"), "accuracy"),
        (("--students", "gru"), "gru"),
    ],
)
def test_options_that_contradict_each_other(chain: Any, tmp_path: Path, options: tuple[str, ...], named: str) -> None:
    refused("distil", "--teacher", chain.teacher, *chain.files, "--out", tmp_path / "x", *options, names=(named,))
    assert not (tmp_path / "x").exists()


def test_students_that_cannot_be_taught_are_left_out_of_all_but_not_of_a_list(
    chain: Any, tiny_rows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = recipe.distil

    def choosy(teacher: Any, config: Any, *rest: Any, **options: Any) -> Path:
        if config.kind == "bigru":
            raise ConfigError("no GRU today", hint="wait")
        return real(teacher, config, *rest, **options)

    monkeypatch.setattr(recipe, "distil", choosy)
    students = load_students("bigru-a,linear-student", ["linear-student:buckets=1024"])
    run: Callable[..., Any] = distillery.distil_all
    given = (chain.teacher, students, tiny_rows.train, tiny_rows.dev, tmp_path)
    entries, left_out = run(*given, optional=True, controls=False)
    assert ([entry.name for entry in entries], left_out) == (["linear-student"], {"bigru-a": "no GRU today"})
    with pytest.raises(ConfigError, match="no GRU today"):
        run(*given, controls=False)


def test_seconds_are_kept_over_an_interruption(chain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from duobiao.train import loop

    clock = {"now": 0.0}
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock["now"])
    real = loop._Run.step

    def slow(self: Any, *given: Any) -> float:
        clock["now"] += 10
        if clock["now"] == 30 and not clock.get("stopped"):
            clock["stopped"] = 1
            raise KeyboardInterrupt
        return real(self, *given)

    monkeypatch.setattr(loop._Run, "step", slow)
    command = ("distil", "--teacher", chain.teacher, "--config", "bigru-b", *chain.files, "--out", tmp_path / "b")
    command += ("--set", "train.epochs=2", "--set", "train.batch_size=16", "--set", "train.checkpoint_seconds=0")
    assert duobiao(*command).exit_code == 130
    clock["now"] += 1000  # nobody works
    done(*command)
    assert read_manifest(tmp_path / "b")["metrics"]["seconds"] == 60  # 6 steps; the lost one counts once


def test_help_names_the_options() -> None:
    text = re.sub(r"\s+", " ", done("distil", "--help").stdout)
    for option in ("--students", "--score", "--seeds", "--no-controls", "--measure-again"):
        assert option in text
