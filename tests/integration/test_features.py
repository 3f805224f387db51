"""First segments and statistics, from the configuration to answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_bundles import FEATURES_OF, KINDS, NODE, STUDENT, STUDENTS, TEACHER, Made

from duobiao import load
from duobiao.bundle import FEATURES, read_bundle, read_manifest, write_bundle
from duobiao.classifier import Classifier
from duobiao.config import load_config, parse_config
from duobiao.data.encode import RowEncoder
from duobiao.data.rows import model_inputs
from duobiao.errors import ConfigError
from duobiao.evaluate.compare import compare
from duobiao.evaluate.evaluation import evaluate
from duobiao.predict import predict_rows
from duobiao.train import recipe

# ---- training and serving ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_bundle_gives_the_logits_of_training_bit_for_bit(kind: str, made: Made) -> None:
    loaded = load(made.paths[kind])
    found = loaded.logits(**model_inputs(made.dev, loaded.columns))
    if kind in ("none", "linear-none"):  # equal texts are read once, so batches differ
        np.testing.assert_allclose(found, made.logits[kind], atol=1e-5)
    else:
        np.testing.assert_array_equal(found, made.logits[kind])


@pytest.mark.parametrize("kind", ["mined", "pairwise"])
def test_the_first_segment_is_the_same_in_training_and_serving(
    kind: str, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    real = RowEncoder.encode
    monkeypatch.setattr(RowEncoder, "encode", lambda self, pairs: seen.append(real(self, pairs)) or seen[-1])
    recipe.train(
        parse_config({**TEACHER, "name": kind, "features": FEATURES_OF[kind]}), made.train, made.dev, made.space, tmp_path / "x"
    )
    trained = next(one for one in seen if len(one) == len(made.train))
    seen.clear()
    load(tmp_path / "x").logits(**model_inputs(made.train))
    for one, two in zip(trained.ids, seen[0].ids, strict=True):
        np.testing.assert_array_equal(one, two)
    if kind == "pairwise":
        np.testing.assert_array_equal(trained.slots, seen[0].slots)
    plain = real(
        RowEncoder(load(made.paths["node"]).backend.encoder.tokenizer, load(made.paths["node"]).input, 0), [("是我", NODE)]
    )
    assert max(map(len, trained.ids)) > len(plain.ids[0])


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_and_predictions_work(kind: str, made: Made) -> None:
    loaded = Classifier.load(made.paths[kind])
    assert evaluate(loaded, made.dev, made.train)["micro_f1"] == loaded.bundle.metrics["dev"]["micro_f1"]
    answers = list(predict_rows(loaded, made.dev))
    for row, answer in zip(made.dev, answers, strict=True):
        assert (set(answer["scores"]) >= set(made.space.groups[-1].labels)) == (row.context == NODE)  # asked by context
    assert loaded.bundle.metrics["parameters"] == loaded.backend.parameters


@pytest.mark.parametrize("kind", ["mined", "pairwise", "numbers", "all", "numbers-b", "linear-numbers"])
def test_a_row_is_answered_the_same_alone_and_in_company(kind: str, made: Made) -> None:
    loaded = load(made.paths[kind])
    together = loaded.predict_proba(**model_inputs(made.dev, loaded.columns))
    for number, row in enumerate(made.dev):
        alone = {
            name: values[number : number + 1]
            for name, values in model_inputs(made.dev, loaded.columns).get("numeric", {}).items()
        }
        found = loaded.predict_proba([row.text], [row.context], numeric=alone)
        np.testing.assert_allclose(found[0], together[number], atol=1e-5)


def test_systems_with_and_without_features_are_compared(made: Made, tmp_path: Path) -> None:
    names = ["node", "numbers", "pairwise", "numbers-b", "linear-numbers"]
    found = compare([made.paths[name] for name in names], made.dev, tmp_path, rounds={1: 1, 32: 1})
    assert [system["name"] for system in found] == names
    assert all(system["rows_per_s"]["32"] > 0 for system in found)


# ---- what each segment reads -------------------------------------------------------------------------


def test_without_a_segment_the_context_decides_only_what_is_asked(made: Made) -> None:
    loaded = load(made.paths["none"])
    one, two, three = loaded.predict_proba(["是我"] * 3, [NODE, "售后", None])
    assert np.array_equal(one[:-2], two[:-2])
    assert np.isnan(two[-2:]).all()
    assert np.isnan(three[-2:]).all()  # unlike input.context=none, which answers all groups from one pass
    node = load(made.paths["node"]).predict_proba(["是我"] * 2, [NODE, "售后"])
    assert not np.array_equal(node[0, :-2], node[1, :-2])


def test_pairwise_passes_only_what_is_asked(made: Made) -> None:
    encoder = load(made.paths["pairwise"]).backend.encoder
    encoded = encoder.encode([("是我", NODE), ("是我", None)])
    assert [int((slots >= 0).sum()) for slots in encoded.slots] == [len(made.space), len(made.space) - 2]
    assert len(encoded.ids) == 2 * len(made.space) - 2


def test_pairwise_is_refused_above_its_limit(made: Made, tmp_path: Path) -> None:
    config = parse_config({**TEACHER, "features": {"segment": "pairwise", "pairwise_max": 9}})
    with pytest.raises(ConfigError, match=r"up to 10 labels[\s\S]*features.pairwise_max=10"):
        recipe.train(config, made.train, made.dev, made.space, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": {"context": "none"}, "features": {"segment": "mined"}}, "input.context is none"),
        ({"features": {"statistics": ["lenght"]}}, "statistics"),
        ({"features": {"numeric": ["a", "a"]}}, "one twice"),
        ({"features": {"segment": "words"}}, "segment"),
    ],
)
def test_settings_that_cannot_be_carried_out_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config({**TEACHER, **changes})


def test_a_linear_model_takes_no_words_in_front() -> None:
    with pytest.raises(ConfigError, match="say nothing that the context does not"):
        parse_config({"kind": "linear", "features": {"segment": "mined"}})


def test_true_stands_for_all_statistics_on_the_command_line() -> None:
    assert "hits" in load_config("linear", ["features.statistics=true"]).features.statistics
    assert load_config("linear", ["features.statistics=false"]).features.statistics == ()


# ---- students ----------------------------------------------------------------------------------------


def test_a_student_takes_over_its_teachers_features_and_may_not_have_others(made: Made, tmp_path: Path) -> None:
    for name, (teacher, _) in STUDENTS.items():
        assert read_bundle(made.paths[name]).files[FEATURES] == read_bundle(made.paths[teacher]).files[FEATURES]
    config = parse_config({**STUDENT, "features": {"segment": "none"}})
    with pytest.raises(ConfigError, match="differ from those of its teacher"):
        recipe.distil(made.paths["mined"], config, made.train, made.dev, tmp_path / "out")
    again = parse_config({**STUDENT, "name": "mined-a", "model": "A", "features": FEATURES_OF["mined"]})
    assert recipe.distil(made.paths["mined"], again, made.train, made.dev, made.paths["mined-a"], transfer=made.dev)


# ---- bundles from before -----------------------------------------------------------------------------


def test_bundles_without_features_are_written_and_read_as_before(made: Made, tmp_path: Path) -> None:
    assert read_manifest(made.paths["node"])["schema_version"] == 1
    assert FEATURES not in read_bundle(made.paths["node"]).files
    assert read_manifest(made.paths["mined"])["schema_version"] == 2
    old = read_bundle(made.paths["node"])
    config = {name: value for name, value in old.config.items() if name != "features"}
    write_bundle(tmp_path / "old", replace(old, config=config))
    loaded = load(tmp_path / "old")
    assert loaded.columns == ()
    np.testing.assert_array_equal(loaded.logits(**model_inputs(made.dev)), made.logits["node"])
