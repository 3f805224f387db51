"""``duobiao export``: bundles that answer without torch as the bundles that they came from."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from chained import Chain
from commands import done, refused
from feature_bundles import Made

from duobiao.bundle import WEIGHTS, read_bundle, read_manifest, write_bundle
from duobiao.classifier import Classifier
from duobiao.data.rows import Row, model_inputs, targets
from duobiao.errors import BundleError, ConfigError
from duobiao.evaluate.metrics import score
from duobiao.export.gate import Gate
from duobiao.export.recipes import RECIPES
from duobiao.export.run import export
from duobiao.models import probe
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.targets import refitted

ALL = [*("none", "node", "mined", "pairwise", "numbers", "all"), "mined-a", "numbers-a", "numbers-b", "all-b"]
ALL += ["linear-none", "linear-numbers"]


def same(path: Path, out: Path, rows: list[Row]) -> None:
    """The same labels, and probabilities to 1e-4."""
    first, second = Classifier.load(path), Classifier.load(out)
    inputs = model_inputs(rows, first.columns)
    for wanted, found in zip(first.predict(**inputs), second.predict(**inputs), strict=True):
        assert found.labels == wanted.labels
        assert found.scores == pytest.approx(wanted.scores, abs=1e-4)
    assert first.backend.parameters == second.backend.parameters
    alone = model_inputs(rows[:1], first.columns)
    np.testing.assert_allclose(second.logits(**alone), first.logits(**alone), atol=1e-3)
    assert second.predict([], numeric={name: [] for name in second.columns} or None) == []


@pytest.fixture(scope="module")
def exported(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The chain's teacher, student and linear baseline, by the command."""
    folder = tmp_path_factory.mktemp("exported")
    for name in ("teacher", "student", "linear"):
        text = done("export", folder.parent / chain.folder / "runs" / name, "--out", folder / name, "--data", chain.test).stdout
        assert "0 of" in text
    return {name: folder / name for name in ("teacher", "student", "linear")}


@pytest.mark.parametrize("name", ALL)
def test_every_kind_with_groups_contexts_features_and_pairs(made: Made, name: str, tmp_path: Path) -> None:
    result = export(made.paths[name], tmp_path / "out", made.train[:20])
    assert result.agreement.rows == 20
    same(made.paths[name], tmp_path / "out", made.dev)
    assert read_manifest(tmp_path / "out")["schema_version"] == 3


def test_without_rows_built_in_texts_are_compared(made: Made, tmp_path: Path) -> None:
    assert export(made.paths["numbers-b"], tmp_path / "out").agreement.rows > 100


def test_fastbert_leaves_as_early_as_with_torch(chain: Chain, tmp_path: Path) -> None:
    files = ("--train", chain.train, "--dev", chain.dev, "--set", "train.epochs=1")
    done("distil", "--teacher", chain.teacher, "--config", "fastbert", *files, "--out", tmp_path / "fast")
    bundle = read_bundle(tmp_path / "fast")
    rows = [
        Row(id=str(n), text=text, context=None)
        for n, text in enumerate(["快递坏了", "开票，还行", "喜欢", "打错了，找经理"] * 4)
    ]
    errors = np.full_like(bundle.weights["errors"], 0.02)
    for speed, graphs in ((0.0, {"model.onnx"}), (0.3, {"segment.0.onnx", "segment.1.onnx"})):
        dial = {"criterion": "margin", "speed": speed, "exits": [0]}
        first = dict(bundle.thresholds)
        strict = {**first, "values": dict.fromkeys(first["values"], 0.9)}
        points = {"strict": strict, "late": {**strict, "errors": np.full(errors.shape, 0.05).tolist()}}
        turned = replace(bundle, model={**bundle.model, "dial": dial}, weights={**bundle.weights, "errors": errors})
        turned = replace(turned, thresholds={**first, "points": points})
        write_bundle(tmp_path / f"{speed}", turned)
        export(tmp_path / f"{speed}", tmp_path / f"{speed}.onnx", rows)
        assert set(read_bundle(tmp_path / f"{speed}.onnx").graphs) == graphs
        plain, engine = Classifier.load(tmp_path / f"{speed}"), Classifier.load(tmp_path / f"{speed}.onnx")
        texts = [row.text for row in rows]
        for point in ("default", "strict", "late"):
            wanted, found = plain.at(point), engine.at(point)
            np.testing.assert_allclose(found.logits(texts), wanted.logits(texts), atol=1e-4)
            assert [one.labels for one in found.predict(texts)] == [one.labels for one in wanted.predict(texts)]
            if speed:
                np.testing.assert_array_equal(found.depths(texts), wanted.depths(texts))
        if speed:
            assert engine.at("strict").depths(texts).min() == engine.backend.stages.layers  # no errors of its own
            assert "no dial" in refused("dial", tmp_path / f"{speed}.onnx", "--data", chain.dev, "--speed", 0.1)


def test_commands_take_exported_bundles(chain: Chain, exported: dict[str, Path], tmp_path: Path) -> None:
    scores = {}
    for name, path in (("torch", chain.student), ("engine", exported["student"])):
        done("evaluate", path, "--data", chain.test, "--json", tmp_path / f"{name}.json")
        done("predict", path, "--input", chain.test, "--output", tmp_path / f"{name}.jsonl")
        scores[name] = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert scores["torch"] == scores["engine"]
    lines = [(tmp_path / f"{name}.jsonl").read_text(encoding="utf-8").splitlines() for name in ("torch", "engine")]
    assert [json.loads(line)["labels"] for line in lines[0]] == [json.loads(line)["labels"] for line in lines[1]]
    done("compare", exported["teacher"], exported["student"], "--data", chain.test, "--out", tmp_path / "report")


@pytest.mark.parametrize("name", ["teacher", "student", "linear"])
def test_neither_torch_nor_transformers_nor_the_network(chain: Chain, exported: dict[str, Path], name: str) -> None:
    texts = ["快递没到，生气", "坏了"]
    wanted = [one.labels for one in Classifier.load(getattr(chain, name)).predict(texts)]
    code = f"""
import socket, sys, json
def refuse(*_): raise OSError("no network")
socket.socket.connect = socket.getaddrinfo = refuse
import duobiao
print(json.dumps([one.labels for one in duobiao.load({str(exported[name])!r}).predict({texts!r})]))
bad = {{"torch", "transformers", "onnx", "sklearn", "onnxscript"}} & {{name.split(".")[0] for name in sys.modules}}
assert not bad, bad
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == wanted


def test_the_graph_is_a_plain_onnx_file_beside_its_weights(exported: dict[str, Path]) -> None:
    onnx.checker.check_model(str(exported["student"] / "model.onnx"))
    session = onnxruntime.InferenceSession(str(exported["student"] / "model.onnx"), providers=["CPUExecutionProvider"])
    system = Classifier.load(exported["student"])
    encoder = system.backend.encoder  # type: ignore[attr-defined]
    padded = encoder.pad(encoder.encode([("快递坏了", None)]), [0])
    named = {one.name: padded[one.name] for one in session.get_inputs()}
    np.testing.assert_allclose(session.run(None, named)[0], system.logits(["快递坏了"]), atol=1e-5)


@pytest.mark.parametrize("file", ["model.onnx", WEIGHTS])
def test_a_damaged_file_is_refused(chain: Chain, exported: dict[str, Path], file: str, tmp_path: Path) -> None:
    write_bundle(tmp_path / "copy", read_bundle(exported["student"]))
    path = tmp_path / "copy" / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(BundleError, match=f"{file}: missing or changed"):
        Classifier.load(tmp_path / "copy")


def test_an_export_that_does_not_agree_is_refused_with_the_numbers(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from duobiao.export import run

    def tampered(bundle: Any) -> Any:
        made = run_converted(bundle)
        weights = dict(made.weights)
        weights["output.bias"] = weights["output.bias"] + np.float32(3)
        return replace(made, weights=weights)

    run_converted = run._converted
    monkeypatch.setattr(run, "_converted", tampered)
    told = refused(
        "export", chain.student, "--out", tmp_path / "out", "--data", chain.test, names=("does not agree", "decisions flip")
    )
    assert "probabilities differ by at most" in told
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported(chain: Chain, exported: dict[str, Path], tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    refused("export", exported["student"], *out, names=("exported already",))
    refused("export", exported["linear"], *out, names=("exported already",))
    refused("export", chain.linear, *out, "--int8", "--data", chain.dev, names=("nothing to gain",))
    refused("export", chain.student, *out, "--int8", names=("--data",))
    refused("export", chain.student, *out, "--int8", "--data", chain.dev, "--metric", "f2", names=("f2",))
    refused("export", chain.student, *out, "--int8", "--data", chain.dev, "--lose-at-most", -1, names=("-1",))
    refused("export", chain.student, "--out", exported["linear"], names=("another bundle",))
    refused("distil", "--teacher", exported["teacher"], "--config", "bigru-a", *chain.files, *out, names=("embedding",))
    assert not (tmp_path / "out").exists()
    done("export", chain.student, "--out", exported["student"])  # the same again


# ---- int8 --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def int8(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "teacher"
    text = done("export", chain.teacher, "--out", path, "--int8", "--data", chain.dev, "--lose-at-most", 100).stdout
    assert all(recipe.name in text for recipe in RECIPES)
    return path


def test_int8_keeps_to_its_budget_and_tells_what_it_tried(chain: Chain, int8: Path, tiny_rows: Any) -> None:
    manifest = read_manifest(int8)
    told = manifest["metrics"]["int8"]
    chosen = next(line for line in told["tried"] if line["recipe"] == told["chosen"])
    assert {"lost", "flips", "flipped", "mb", "speedup"} <= chosen.keys()
    assert not any(line["problem"] for line in told["tried"])
    assert manifest["model"]["engine"]["recipe"]["name"] == told["chosen"]
    system, plain = Classifier.load(int8), Classifier.load(chain.teacher)
    texts = [row.text for row in tiny_rows.dev]
    distance = np.abs(system.logits(texts) - plain.logits(texts))
    assert 0 < distance.mean() < 0.2


def test_int8_keeps_operating_points_and_calibration(chain: Chain, tmp_path: Path, tiny_rows: Any) -> None:
    """What is written scores what the table says, at every point that the bundle had."""
    bundle = read_bundle(chain.teacher)
    usual, label = bundle.thresholds, bundle.space.independent[0]
    strict = {**usual, "settings": {**usual["settings"], "max_k": 1}, "target": {"target": "precision", "at_least": 0.6}}
    others = {"name": "usual", "points": {"strict": strict}, "calibration": {"temperature": {label: 4.0}}}
    write_bundle(tmp_path / "tuned", replace(bundle, thresholds={**usual, **others}))
    result = export(tmp_path / "tuned", tmp_path / "out", tiny_rows.dev, gate=Gate(100, "micro_f1", RECIPES[:1]))
    loaded = Classifier.load(tmp_path / "out")
    assert loaded.operating_points == ("usual", "strict")
    assert loaded.calibration.temperatures == {label: 4.0}
    stored = loaded.bundle.thresholds["points"]["strict"]
    assert (stored["target"], stored["settings"]["max_k"]) == (strict["target"], 1)
    inputs, cells = model_inputs(tiny_rows.dev, loaded.columns), targets(tiny_rows.dev, loaded.space)

    export(tmp_path / "tuned", tmp_path / "float", tiny_rows.dev)
    whole = Classifier.load(tmp_path / "float")
    proba = whole.predict_proba(**inputs)
    base = refitted(whole.bundle.thresholds, np.nan_to_num(proba), cells, ~np.isnan(proba), whole.space)
    before = score(cells, Decoder.from_dict(base, whole.space).decide(np.nan_to_num(proba), ~np.isnan(proba)), whole.space)
    after = score(cells, loaded.decide(**inputs)[1], loaded.space)
    assert result.report is not None
    lost = result.report.chosen.lost["micro_f1"]
    assert 100 * (before["micro_f1"] - after["micro_f1"]) == pytest.approx(lost, abs=1e-6)


def test_int8_and_early_exits_do_not_go_together(chain: Chain, tmp_path: Path, tiny_rows: Any) -> None:
    bundle = read_bundle(chain.teacher)
    write_bundle(tmp_path / "early", replace(bundle, model={**bundle.model, "dial": {"speed": 0.1}}))
    with pytest.raises(ConfigError, match="do not go together"):
        export(tmp_path / "early", tmp_path / "out", tiny_rows.dev, gate=Gate())


def test_a_bundle_is_not_replaced_by_its_own_export(chain: Chain) -> None:
    with pytest.raises(BundleError, match="is the bundle itself"):
        export(chain.student, chain.student, force=True)


def test_budgets_are_for_int8_alone(chain: Chain, tmp_path: Path) -> None:
    told = refused("export", chain.student, "--out", tmp_path / "out", "--lose-at-most", 1)
    assert "--int8" in told


@pytest.mark.parametrize(
    ("speeds", "losses", "wanted"),
    [((1.0, 1.2, 1.3), (0.1, 0.2, 0.3), 1), ((1.2, 1.3, 1.0), (0.2, 0.3, 0.1), 0), ((2.0, 1.0), (0.4, 0.0), 0)],
)
def test_of_those_nearly_as_fast_as_the_fastest_the_one_that_loses_least(
    speeds: tuple[float, ...], losses: tuple[float, ...], wanted: int
) -> None:
    from duobiao.export.gate import Tried, _best

    tried = [
        (Tried(RECIPES[0], {"macro_f1": lost}, {}, 0.0, 1.0, speed), None, None)
        for speed, lost in zip(speeds, losses, strict=True)
    ]
    assert _best(tried, "macro_f1") is tried[wanted]  # type: ignore[arg-type]


def test_int8_that_loses_too_much_is_refused(chain: Chain, tmp_path: Path, tiny_rows: Any, monkeypatch: Any) -> None:
    from duobiao.export import gate

    real = gate._scores
    calls: list[int] = []

    def falling(*arguments: Any) -> Any:  # each look after the first finds 2 points less
        calls.append(0)
        points, *rest = real(*arguments)
        return {name: 90.0 if len(calls) == 1 else 88.0 for name in points}, *rest

    monkeypatch.setattr(gate, "_scores", falling)
    few = Gate(0.5, "micro_f1", RECIPES[:2])
    with pytest.raises(ConfigError, match=r"no recipe of int8 stays within 0.5 points of micro_f1") as caught:
        export(chain.student, tmp_path / "out", tiny_rows.dev, gate=few)
    assert [line.partition(":")[0] for line in caught.value.problems] == [recipe.name for recipe in RECIPES[:2]]
    assert "loses 2.00" in caught.value.problems[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["pairwise", "all-b", "numbers-a"])
def test_int8_of_pairs_and_features(made: Made, name: str, tmp_path: Path) -> None:
    gate = Gate(100, "micro_f1", [RECIPES[4], RECIPES[-1]])
    result = export(made.paths[name], tmp_path / "out", made.dev, gate=gate)
    assert result.report is not None
    assert not any(one.problem for one in result.report.tried)
    assert len(
        Classifier.load(tmp_path / "out").predict(**model_inputs(made.dev, Classifier.load(tmp_path / "out").columns))
    ) == len(made.dev)


def test_another_processor_is_checked_at_load(int8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = read_bundle(int8)
    write_bundle(tmp_path / "far", replace(bundle, weights={**bundle.weights, "probe": bundle.weights["probe"] + 3}))
    Classifier.load(tmp_path / "far")  # where it was made nothing is asked
    monkeypatch.setattr(probe, "processor", lambda: {"machine": "x86_64", "int8": ["avx2"]})
    Classifier.load(int8)  # it answers as where it was made
    with pytest.raises(BundleError, match=r"another processor .* too coarse on this one \(x86_64 avx2\)"):
        Classifier.load(tmp_path / "far")


def test_a_processor_that_is_not_known_is_always_checked(int8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe.Path, "is_file", lambda path: False)  # no /proc/cpuinfo
    here = probe.processor()
    assert here["int8"] is None
    monkeypatch.undo()
    monkeypatch.setattr(probe, "processor", lambda: here)
    bundle = read_bundle(int8)
    model = {**bundle.model, "engine": {**bundle.model["engine"], "processor": here}}
    weights = {**bundle.weights, "probe": bundle.weights["probe"] + 3}
    write_bundle(tmp_path / "same", replace(bundle, model=model))
    Classifier.load(tmp_path / "same")
    write_bundle(tmp_path / "far", replace(bundle, model=model, weights=weights))
    with pytest.raises(BundleError, match="instructions unknown"):
        Classifier.load(tmp_path / "far")


def test_dev_rows_are_computed_once_by_each_side(
    chain: Chain, tmp_path: Path, tiny_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = read_bundle(chain.student)
    strict = {**bundle.thresholds, "values": dict.fromkeys(bundle.thresholds["values"], 0.9)}
    write_bundle(tmp_path / "points", replace(bundle, thresholds={**bundle.thresholds, "points": {"strict": strict}}))
    monkeypatch.setattr("duobiao.export.gate.TIMED_ROWS", 1)
    real, asked = Classifier._run, dict[str, list[int]]()

    def counting(self: Classifier, pairs: Any, *rest: Any) -> Any:
        precision = self.bundle.model.get("engine", {}).get("precision", "torch")
        asked.setdefault(precision, []).append(len(pairs))
        return real(self, pairs, *rest)

    monkeypatch.setattr(Classifier, "_run", counting)
    export(tmp_path / "points", tmp_path / "out", tiny_rows.dev, gate=Gate(100, "micro_f1", RECIPES[:2]))
    rows = len(tiny_rows.dev)
    assert [count for count in asked["torch"] if count > 1] == [rows]
    assert [count for count in asked["float32"] if count > 1] == [rows]
    assert [count for count in asked["int8"] if count > 1] == [rows] * 2
