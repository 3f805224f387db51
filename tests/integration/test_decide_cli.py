"""``tune``, ``cascade``, ``routes`` and ``predict --at --band --teacher --route``, from the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import done, refused, tree

from duobiao.bundle import read_bundle, read_manifest
from duobiao.classifier import Classifier
from duobiao.data.read import read_rows
from duobiao.data.rows import Row, model_inputs, targets
from duobiao.evaluate.bootstrap import units_of
from duobiao.evaluate.evaluation import judge
from duobiao.evaluate.metrics import score
from duobiao.evaluate.paired import paired

POINTS = ("--point", "careful=precision>=0.6:物流,质量", "--point", "wide=recall>=0.5", "--point", "micro=micro-f1")


@pytest.fixture(scope="module")
def data(tiny_rows: Any, write_rows: Callable[[Path, Sequence[Row]], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows to tune on."""
    return write_rows(tmp_path_factory.mktemp("rows") / "all.jsonl", [*tiny_rows.train, *tiny_rows.dev])


@pytest.fixture(scope="module")
def tuned(chain: Any, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The linear bundle with operating points, a cost table among their targets, and what the command wrote besides."""
    folder = tmp_path_factory.mktemp("tuned")
    (folder / "costs.csv").write_text("标签,误报,漏报\n物流,1,9\n负面,1,40\n*,2,2\n", encoding="utf-8")
    more = ("--point", f"cost={folder / 'costs.csv'}", "--set", "fallback=发票", "--out", folder / "bundle")
    outputs = ("--picture", folder / "tune.svg", "--json", folder / "tune.json")
    result = done("tune", chain.linear, "--data", data, *POINTS, *more, *outputs)
    assert "operating points default, careful, wide, micro, cost" in result.stdout
    return folder


def answers(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_tune_stores_points_and_leaves_the_first_bundle_alone(chain: Any, tuned: Path) -> None:
    before, after = read_bundle(chain.linear), read_bundle(tuned / "bundle")
    assert before.thresholds.keys() == {"values", "settings"}
    assert before.digest != after.digest
    assert read_manifest(tuned / "bundle")["schema_version"] == 4
    system = Classifier.load(tuned / "bundle", "cost")
    assert system.operating_points == ("default", "careful", "wide", "micro", "cost")
    assert after.thresholds["points"]["careful"]["target"] == {
        "target": "precision",
        "at_least": 0.6,
        "labels": ["物流", "质量"],
    }
    assert all(system.at(name).decoder.settings.fallback == "发票" for name in system.operating_points)
    values = {name: system.at(name).decoder.thresholds.tolist() for name in system.operating_points}
    assert len({tuple(one) for one in values.values()}) >= 3
    assert set(after.metrics["tune"]["points"]) == set(system.operating_points)


def test_the_report_has_what_the_table_has(tuned: Path) -> None:
    found = json.loads((tuned / "tune.json").read_text(encoding="utf-8"))
    assert [line["name"] for line in found["points"]] == ["default", "careful", "wide", "micro", "cost"]
    for line in found["points"]:
        assert {"micro_f1", "macro_f1", "per_label"} <= line["held_out"].keys()
    assert found["points"][4]["expected_cost"]["total"] >= 0
    assert [one["label"] for one in found["points"][1]["reached"]] == ["物流", "质量"]
    assert found["calibration"]["after"]["brier"] <= found["calibration"]["before"]["brier"]
    assert (tuned / "tune.svg").read_text(encoding="utf-8").startswith("<svg ")


def test_predict_uses_the_point_that_is_asked_for(tuned: Path, data: Path, tmp_path: Path) -> None:
    rows = read_rows(data, labelled=False)
    for name in ("default", "wide"):
        done("predict", tuned / "bundle", "--input", data, "--output", tmp_path / f"{name}.jsonl", "--at", name)
        wanted = Classifier.load(tuned / "bundle").at(name).predict(**model_inputs(rows))
        found = answers(tmp_path / f"{name}.jsonl")
        assert [one["labels"] for one in found] == [one.labels for one in wanted]
        assert [list(one) for one in found] == [["id", "labels", "scores"]] * len(rows)
    assert "default, careful, wide, micro, cost" in refused(
        "predict", tuned / "bundle", "--input", data, "--output", tmp_path / "x.jsonl", "--at", "nowhere", names=("nowhere",)
    )
    assert "micro_f1" in done("evaluate", tuned / "bundle", "--data", data, "--at", "wide").stdout


def test_groups_answer_by_costs_wherever_the_point_is_used(tuned: Path, data: Path, tmp_path: Path) -> None:
    """``predict``, ``score`` and an exported bundle alike; at the other points groups answer as ever."""
    system, rows = Classifier.load(tuned / "bundle"), read_rows(data)
    at = system.at("cost")
    inputs = model_inputs(rows, system.columns)
    plain, decided = (one.decide(**inputs)[1] for one in (system, at))
    proba, column = at.predict_proba(**inputs), system.space.index["负面"]
    columns = next(own for own in system.space.slices if own.start <= column < own.stop)
    dear = np.arange(columns.start, columns.stop) == column
    gains = np.where(dear, 41.0, 4.0) * proba[:, columns] - np.where(dear, 1.0, 2.0)
    np.testing.assert_array_equal(decided[:, columns].argmax(axis=1), gains.argmax(axis=1))
    assert decided[:, column].sum() > plain[:, column].sum()
    done("export", tuned / "bundle", "--out", tmp_path / "exported", "--data", data)
    labels = [np.array(system.labels)[row].tolist() for row in decided]
    for bundle in (tuned / "bundle", tmp_path / "exported"):
        done("predict", bundle, "--input", data, "--output", tmp_path / "out.jsonl", "--at", "cost")
        assert [line["labels"] for line in answers(tmp_path / "out.jsonl")] == labels
    done("score", tmp_path / "exported", "--input", data, "--output", tmp_path / "scored.jsonl", "--at", "cost", "--workers", 1)
    assert [line["labels"] for line in answers(tmp_path / "scored.jsonl")] == labels


def test_tuning_again_in_place_keeps_the_targets(tuned: Path, data: Path, tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    shutil.copytree(tuned / "bundle", place)
    done("tune", place, "--data", data, "--no-calibrate", "--set", "band=0.2", "--folds", "3")
    again = read_bundle(place).thresholds
    assert list(again["points"]) == ["careful", "wide", "micro", "cost"]
    assert again["points"]["cost"]["target"]["costs"]["物流"] == {"false_positive": 1.0, "false_negative": 9.0}
    assert "calibration" not in again
    assert all(entry["settings"]["band"] == 0.2 for entry in (again, *again["points"].values()))
    digest = read_bundle(place).digest
    done("tune", place, "--data", data, "--no-calibrate", "--folds", "3")
    assert read_bundle(place).digest == digest
    done("tune", place, "--data", data, "--no-calibrate", "--folds", "3", "--default", "wide")
    system = Classifier.load(place)
    assert system.operating_points == ("wide", "default", "careful", "micro", "cost")
    assert system.at("default").decoder.thresholds.tolist() == pytest.approx(list(again["values"].values()))


def test_another_bundle_is_replaced_with_force_alone(chain: Any, tuned: Path, data: Path, tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    shutil.copytree(chain.student, place)
    before, files = read_bundle(place).digest, tree(tmp_path)
    run = ("tune", chain.linear, "--data", data, "--no-calibrate", "--folds", "2")
    refused(*run, "--out", place, names=(place, "a bundle is there already", "--force"))
    assert tree(tmp_path) == files
    done(*run, "--out", place, "--force")
    assert read_bundle(place).digest != before
    done("tune", place, "--data", data, "--no-calibrate", "--folds", "3", "--out", tmp_path / "." / "bundle")  # in place
    assert read_bundle(place).metrics["tune"]["folds"] == 3


@pytest.mark.parametrize("option", ["--json", "--picture"])
def test_a_bundle_stays_as_it_was_where_a_result_cannot_be_written(chain: Any, data: Path, tmp_path: Path, option: str) -> None:
    place = tmp_path / "bundle"
    shutil.copytree(chain.linear, place)
    (tmp_path / "folder.svg").mkdir()
    before = tree(tmp_path)
    for out in ((), ("--out", tmp_path / "new")):
        refused("tune", place, "--data", data, option, tmp_path / "folder.svg", *out, names=("cannot be written", "folder.svg"))
        assert tree(tmp_path) == before


def test_what_cannot_be_tuned_is_refused_before_anything_is_written(chain: Any, data: Path, tmp_path: Path) -> None:
    before = tree(chain.folder)
    run = ("tune", chain.linear, "--data", data, "--out", tmp_path / "no")
    told = refused(*run, "--point", "a=best", "--point", "b", "--point", "c=precision>=2", names=("'best' is no target",))
    assert "--point 'b' is not of the form" in told
    assert "at_least" in told
    refused(*run, "--point", "a=recall>=0.5:没有", names=("'没有' is no label of the bundle",))
    refused(*run, "--point", "a=recall>=0.5:正面,没有", names=("'没有' is no label of the bundle", "choose among 物流"))
    refused(*run, "--set", "parents={物流: 质量, 质量: 物流}", names=("imply each other",))
    refused(*run, "--set", "brand=3", names=("brand",))
    refused(*run, "--folds", "1", names=("folds",))
    refused(*run, "--default", "careful", names=("careful", "choose one of default"))
    refused(*run, "--picture", tmp_path / "x.png", names=(".svg",))
    refused(*run, "--point", f"a={tmp_path / 'nowhere.csv'}", names=("nowhere.csv",))
    (tmp_path / "costs.csv").write_text("label,false_positive,false_negative\n物流,1,很贵\n物流,1,2\n", encoding="utf-8")
    refused(*run, "--point", f"a={tmp_path / 'costs.csv'}", names=("line 2 (物流)", "很贵", "stands there twice"))
    (tmp_path / "costs.yaml").write_text("物流: 5\n'*': {false_positive: 1, false_negative: 2}\n", encoding="utf-8")
    refused(*run, "--point", f"a={tmp_path / 'costs.yaml'}", names=("物流: 5 is no pair of costs",))
    (tmp_path / "costs.csv").write_text("标签,误报,漏报\n负面,1,9\n", encoding="utf-8")
    refused(*run, "--point", f"a={tmp_path / 'costs.csv'}", names=("has costs, but not for", "all labels of a group, or none"))
    assert not (tmp_path / "no").exists()
    assert tree(chain.folder) == before


def test_points_may_stand_in_a_file(chain: Any, data: Path, tmp_path: Path) -> None:
    text = "careful: precision>=0.7\nwide: {target: recall, at_least: 0.6, labels: [物流], confidence: 0.8}\n"
    text += "cost: {target: cost, costs: {'*': {false_positive: 1, false_negative: 2}}}\n"
    (tmp_path / "points.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "rules.yaml").write_text("parents: {物流: [质量]}\nforbidden: [[质量, 发票]]\n", encoding="utf-8")
    files = ("--points", tmp_path / "points.yaml", "--rules", tmp_path / "rules.yaml", "--point", "careful=micro-f1")
    done("tune", chain.linear, "--data", data, *files, "--out", tmp_path / "bundle", "--no-calibrate")
    system = Classifier.load(tmp_path / "bundle")
    assert system.operating_points == ("default", "careful", "wide", "cost")
    stored = system.bundle.thresholds["points"]
    assert stored["careful"]["target"] == {"target": "micro-f1"}  # the option wins
    assert stored["wide"]["target"]["confidence"] == 0.8
    _, decided = system.decide(**model_inputs(read_rows(data, labelled=False)))
    assert (decided[:, 1] >= decided[:, 0]).all()
    assert not (decided[:, 1] & decided[:, 2]).any()


def test_unsure_rows_go_to_review_or_to_the_teacher(chain: Any, data: Path, tmp_path: Path) -> None:
    rows = read_rows(data, labelled=False)
    student, teacher = Classifier.load(chain.linear), Classifier.load(chain.teacher)
    done("predict", chain.linear, "--input", data, "--output", tmp_path / "review.jsonl", "--band", "0.3")
    review = answers(tmp_path / "review.jsonl")
    assert {one["review"] for one in review} == {True, False}
    assert all(one["review"] == bool(one["unsure"]) for one in review)
    pair = ("--band", "0.3", "--teacher", chain.teacher)
    done("predict", chain.linear, "--input", data, "--output", tmp_path / "sent.jsonl", *pair)
    sent = answers(tmp_path / "sent.jsonl")
    assert [one["sent"] for one in sent] == [one["review"] for one in review]
    both = zip(sent, student.predict(**model_inputs(rows)), teacher.predict(**model_inputs(rows)), strict=True)
    for one, own, better in both:
        assert one["labels"] == (better.labels if one["sent"] else own.labels)
    refused("predict", chain.linear, "--input", data, "--output", "-", "--teacher", chain.teacher, names=("no abstain band",))
    refused("predict", chain.linear, "--input", data, "--output", "-", "--band", "0.5", names=("0.5",))


def test_the_cascades_table_is_what_predict_does(chain: Any, data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("duobiao.evaluate.cascade.ROUNDS", {4: 2})
    monkeypatch.setattr("duobiao.cli.cascade._print", lambda found, language: None)
    run = ("cascade", chain.linear, chain.teacher, "--data", data, "--band", "0.1", "--band", "0.4")
    done(*run, "--json", tmp_path / "cascade.json")
    found = json.loads((tmp_path / "cascade.json").read_text(encoding="utf-8"))
    lines = found["table"]
    assert [line["band"] for line in lines] == [0.0, 0.1, 0.4, None]
    assert [line["sent"] for line in lines] == sorted(line["sent"] for line in lines)
    assert (lines[0]["sent"], lines[3]["sent"]) == (0.0, 1.0)
    done(
        "predict", chain.linear, "--input", data, "--output", tmp_path / "a.jsonl", "--band", "0.4", "--teacher", chain.teacher
    )
    own = answers(tmp_path / "a.jsonl")
    assert np.mean([one["sent"] for one in own]) == pytest.approx(lines[2]["sent"])
    cells, space = targets(read_rows(data), Classifier.load(chain.linear).space), Classifier.load(chain.linear).space
    decided = np.array([[name in one["labels"] for name in space.names] for one in own])
    assert score(cells, decided, space)["micro_f1"] == pytest.approx(lines[2]["micro_f1"])
    assert lines[2]["speedup"] > 0
    rows = read_rows(data, space=space)
    systems = [Classifier.load(place) for place in (chain.linear, chain.teacher)]
    first, second = (judge(system, rows) for system in systems)
    assert found["units"] == len(set(units_of(rows).tolist()))
    wanted = paired(second, first, units_of(rows), space)
    for name in ("micro_f1", "macro_f1", "samples_f1", "group_accuracy"):
        assert lines[3]["gains"][name]["gain"] == pytest.approx(lines[3][name] - lines[0][name])
        assert [lines[3]["gains"][name][end] for end in ("low", "high")] == [wanted[name].low, wanted[name].high]
        assert lines[2]["gains"][name]["gain"] == pytest.approx(lines[2][name] - lines[0][name])
        assert set(lines[0]["gains"][name].values()) == {0.0}


@pytest.mark.parametrize(("language", "words"), [("en", ("gain (95 %)", "group acc.")), ("zh", ("增益（95 %）", "组准确率"))])
def test_the_cascades_table_shows_what_is_gained(
    chain: Any, data: Path, tmp_path: Path, monkeypatch: Any, language: str, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("duobiao.evaluate.cascade.ROUNDS", {32: 2})
    run = ("cascade", chain.linear, chain.teacher, "--data", data, "--band", "0.3", "--json", tmp_path / "cascade.json")
    shown = done(*run, "--lang", language).stdout
    second = json.loads((tmp_path / "cascade.json").read_text(encoding="utf-8"))["table"][2]
    gain = second["gains"]["micro_f1"]
    assert f"{100 * gain['gain']:+.1f}" in shown
    assert f"{100 * gain['low']:+.1f} … {100 * gain['high']:+.1f}" in shown
    assert f"{second['group_accuracy']:.4f}" in shown
    heads = "".join(shown.split())
    assert all("".join(word.split()) in heads for word in words)
    refused(*run, "--lang", "fr", names=("--lang 'fr'", "zh or en"))


def test_routes_are_checked_drawn_and_followed(chain: Any, data: Path, tmp_path: Path) -> None:
    text = """
start: 身份确认
actions: [转人工, 结束]
nodes:
  身份确认:
    - {labels: 身份确认/是, to: 受理}
    - {labels: 身份确认/否, to: 结束}
  受理:
    - {labels: [物流, 质量], to: 转人工}
    - {labels: 物流, to: 受理}
    - {else: 结束}
  "*":
    - {labels: 要求升级, to: 转人工}
    - {else: 受理}
"""
    (tmp_path / "routes.yaml").write_text(text, encoding="utf-8")
    assert "3 nodes" in done("routes", "check", tmp_path / "routes.yaml", "--bundle", chain.linear).stdout
    for ending in ("svg", "html", "mmd"):
        done("routes", "draw", tmp_path / "routes.yaml", "--out", tmp_path / f"r.{ending}", "--bundle", chain.linear)
        assert "受理" in (tmp_path / f"r.{ending}").read_text(encoding="utf-8")
    route = ("--route", tmp_path / "routes.yaml")
    done("predict", chain.linear, "--input", data, "--output", tmp_path / "next.jsonl", *route)
    contexts = {row.id: row.context for row in read_rows(data, labelled=False)}
    for one in answers(tmp_path / "next.jsonl"):
        if contexts[one["id"]] == "身份确认":
            assert one["next"] == ("受理" if "身份确认/是" in one["labels"] else "结束")
        else:
            assert one["next"] == ("转人工" if "要求升级" in one["labels"] else "受理")
    (tmp_path / "bad.yaml").write_text(
        text.replace("要求升级", "没有").replace("{else: 结束}", "{else: 受理}"), encoding="utf-8"
    )
    bad = tmp_path / "bad.yaml"
    refused("predict", chain.linear, "--input", data, "--output", tmp_path / "x.jsonl", "--route", bad, names=("'没有'",))
    refused("routes", "check", bad, "--bundle", chain.linear, names=("'没有' is no label of the bundle",))
    refused("routes", "draw", tmp_path / "routes.yaml", "--out", tmp_path / "r.png", "--bundle", chain.linear, names=("r.png",))
    assert not (tmp_path / "x.jsonl").exists()
