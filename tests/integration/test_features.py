"""First segments and statistics, from the configuration to answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from duobiao import load
from duobiao.bundle import FEATURES, read_bundle, read_manifest, write_bundle
from duobiao.classifier import Classifier
from duobiao.cli import mine as mine_command
from duobiao.config import load_config, parse_config
from duobiao.data.encode import RowEncoder
from duobiao.data.rows import Row, model_inputs
from duobiao.errors import ConfigError, DataError
from duobiao.evaluate.compare import compare
from duobiao.evaluate.evaluation import evaluate
from duobiao.features.mine import mine
from duobiao.features.words import Category, Term, Words
from duobiao.labels import LabelSpace
from duobiao.predict import predict_rows
from duobiao.train import recipe, run
from duobiao.train.soft_labels import soft_labels

NODE = "身份确认"
TEACHER = {
    "kind": "encoder",
    "pooling": "mean",
    "shape": {"layers": 1, "hidden": 32, "heads": 2, "intermediate": 48, "vocab_size": 200},
    "input": {"max_length": 64},
    "train": {"epochs": 1, "batch_size": 16, "lr": 2e-3, "token_budget": 700},
}
STUDENT = {"kind": "bigru", "hidden": 8, "fc": 16, "train": {"epochs": 1, "batch_size": 16}}
FEATURES_OF = {
    "none": {"segment": "none"},
    "node": {},
    "mined": {"segment": "mined", "top": 3},
    "pairwise": {"segment": "pairwise", "top": 3},
    "numbers": {"statistics": True, "numeric": ["年龄"]},
    "all": {"segment": "pairwise", "statistics": ["hits", "length"], "numeric": ["年龄"]},
}
STUDENTS = {"mined-a": ("mined", "A"), "numbers-a": ("numbers", "A"), "numbers-b": ("numbers", "B"), "all-b": ("all", "B")}
LINEAR = {"linear-none": {"segment": "none"}, "linear-numbers": {"statistics": True, "numeric": ["年龄"]}}
KINDS = [*FEATURES_OF, *STUDENTS, *LINEAR]


@dataclass(frozen=True)
class Made:
    """Bundles by name, and the logits that each had on the dev rows when it was made."""

    train: list[Row]
    dev: list[Row]
    space: LabelSpace
    paths: dict[str, Path]
    logits: dict[str, np.ndarray]


def with_numbers(rows: Sequence[Row]) -> list[Row]:
    return [
        replace(row, extra={"年龄": None if number % 5 == 0 else str(20 + number % 7), "turn": number % 4, "vip": "是"})
        for number, row in enumerate(rows)
    ]


@pytest.fixture(scope="module")
def made(tiny_rows: Any, tiny_space: LabelSpace, tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("features")
    train, dev = with_numbers(tiny_rows.train), with_numbers(tiny_rows.dev)
    found = Made(train, dev, tiny_space, {}, {})
    kept: list[np.ndarray] = []
    real = run.Run._write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run.Run, "_write", lambda self, logits, *rest: (kept.append(logits), real(self, logits, *rest))[1])
        for name, features in FEATURES_OF.items():
            config = parse_config({**TEACHER, "name": name, "features": features})
            found.paths[name] = recipe.train(config, train, dev, tiny_space, place / name)
        for name, features in LINEAR.items():
            config = parse_config({"kind": "linear", "name": name, "features": features})
            found.paths[name] = recipe.train(config, train, dev, tiny_space, place / name)
        for name, (teacher, model) in STUDENTS.items():
            config = parse_config({**STUDENT, "name": name, "model": model})
            found.paths[name] = recipe.distil(found.paths[teacher], config, train, dev, place / name, transfer=dev)
    found.logits.update(zip(found.paths, kept, strict=True))
    return found


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


# ---- words -------------------------------------------------------------------------------------------


def test_words_of_a_file_are_used_as_they_were_edited(made: Made, tmp_path: Path) -> None:
    words = mine(made.train, made.space)
    edited = replace(words, contexts={**words.contexts, NODE: Category((Term("手写"), Term("的词")))})
    edited.write(tmp_path / "words.yaml")
    features = {"segment": "mined", "words": str(tmp_path / "words.yaml"), "top": 1}
    config = parse_config({**TEACHER, "features": features})
    out = recipe.train(config, made.train, made.dev, made.space, tmp_path / "out")
    loaded = load(out)
    assert loaded.features.context_words[NODE] == ["手写"]
    (inputs, _) = loaded.backend.encoder.segments([("是我", NODE)], [("是我", NODE)])
    assert inputs == [("是我", f"{NODE} 手写")]
    before = read_manifest(out)["run"]
    replace(words, contexts={**words.contexts, NODE: Category((Term("改了"),))}).write(tmp_path / "words.yaml")
    recipe.train(config, made.train, made.dev, made.space, out)  # the file's content belongs to the run
    assert read_manifest(out)["run"] != before
    assert load(out).features.context_words[NODE] == ["改了"]


def test_words_that_do_not_fit_are_refused(made: Made, tmp_path: Path) -> None:
    Words({"物流": Category(()), "别的": Category(())}, {}).write(tmp_path / "words.yaml")
    config = parse_config({**TEACHER, "features": {"segment": "mined", "words": str(tmp_path / "words.yaml")}})
    with pytest.raises(ConfigError, match=r"'别的' is not in the label space[\s\S]*no label '质量'[\s\S]*no context '售后'"):
        recipe.train(config, made.train, made.dev, made.space, tmp_path / "out")


def test_words_come_from_the_training_rows_alone(made: Made, tmp_path: Path) -> None:
    marked = [replace(row, text=row.text + "，龙年大吉") for row in made.dev]
    out = recipe.train(
        parse_config({**TEACHER, "features": FEATURES_OF["mined"]}), made.train, marked, made.space, tmp_path / "out"
    )
    assert "龙年" not in read_bundle(out).files[FEATURES]


# ---- numbers -----------------------------------------------------------------------------------------


def test_numbers_reach_the_answer(made: Made) -> None:
    for kind in ("numbers", "all", "numbers-a", "numbers-b", "all-b", "linear-numbers"):
        loaded = load(made.paths[kind])
        assert "年龄" in loaded.columns
        numeric = {name: [2.0] for name in loaded.columns}
        one = loaded.logits(["快递坏了"], numeric=numeric)
        two = loaded.logits(["快递坏了"], numeric={**numeric, "年龄": [26.0]})
        assert not np.array_equal(one, two), kind


def test_absent_columns_are_refused_with_their_names(made: Made) -> None:
    loaded = load(made.paths["numbers"])
    with pytest.raises(DataError, match=r"'turn' is missing[\s\S]*'年龄' is missing|'年龄' is missing[\s\S]*'turn' is missing"):
        loaded.predict(["快递坏了"])
    with pytest.raises(DataError, match="has 2 numbers for 1 rows"):
        loaded.predict(["快递坏了"], numeric={"turn": [1.0], "年龄": [1.0, 2.0]})
    bare = [replace(row, extra={}) for row in made.dev]
    with pytest.raises(DataError, match="there is no column '年龄'"):
        evaluate(loaded, bare)
    wrong = [replace(made.dev[0], extra={"年龄": "老", "turn": float("inf")}), *made.dev[1:]]
    with pytest.raises(DataError, match=r"column 'turn' holds inf[\s\S]*tiny:48: column '年龄' holds '老'"):
        list(predict_rows(loaded, wrong))
    assert loaded.predict(["快递坏了"], numeric={"turn": [None], "年龄": [None]})


def test_training_without_the_column_is_refused(made: Made, tiny_rows: Any, tmp_path: Path) -> None:
    config = parse_config({"kind": "linear", "features": {"numeric": ["年龄"]}})
    with pytest.raises(DataError, match="there is no column '年龄'"):
        recipe.train(config, tiny_rows.train, tiny_rows.dev, made.space, tmp_path / "out")


def test_a_run_is_named_by_its_numbers_too(made: Made, tmp_path: Path) -> None:
    config = parse_config({"kind": "linear", "features": {"numeric": ["年龄"]}})
    out = recipe.train(config, made.train, made.dev, made.space, tmp_path / "out")
    before = read_manifest(out)["run"]
    other = [replace(made.train[0], extra={**made.train[0].extra, "年龄": 77}), *made.train[1:]]
    recipe.train(config, other, made.dev, made.space, out)
    assert read_manifest(out)["run"] != before


def test_soft_labels_are_kept_by_all_that_the_teacher_sees(made: Made, tmp_path: Path) -> None:
    loaded = load(made.paths["numbers"])
    rows = [made.dev[0], replace(made.dev[0], extra={**made.dev[0].extra, "年龄": "90"})]
    first = soft_labels(loaded, rows, tmp_path)
    assert not np.array_equal(first[0], first[1])
    np.testing.assert_array_equal(soft_labels(loaded, rows[::-1], tmp_path), first[::-1])
    unread = replace(rows[0], extra={**rows[0].extra, "vip": "否"})
    np.testing.assert_array_equal(soft_labels(loaded, [unread], tmp_path)[0], first[0])


def test_earlier_turns_in_the_context_are_counted(made: Made, tmp_path: Path) -> None:
    rows = [
        replace(row, context=f"{row.context or ''}\nAI：您好") if number % 2 and row.context != NODE else row
        for number, row in enumerate(made.train)
    ]
    config = parse_config({"kind": "linear", "features": {"statistics": ["window"]}})
    loaded = load(recipe.train(config, rows, rows, made.space, tmp_path / "out"))
    assert loaded.columns == ()
    assert loaded.features.statistics.names == ("column:window",)
    vectors = loaded.features.vectors([("是", "问"), ("是", "问\nAI：一\n客：二"), ("是", None)])
    assert vectors[0] == vectors[2] < vectors[1]


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


# ---- the command -------------------------------------------------------------------------------------


def test_the_command_mines_what_training_would(
    made: Made, tmp_path: Path, write_rows: Callable[[Path, Sequence[Row]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = typer.Typer()
    app.command("other")(lambda: None)
    mine_command.register(app)
    monkeypatch.chdir(tmp_path)
    train = write_rows(tmp_path / "train.jsonl", made.train)
    (tmp_path / "labels.yaml").write_text(made.space.to_yaml(), encoding="utf-8")
    dev = write_rows(tmp_path / "dev.jsonl", made.dev)
    given = ["mine", "--train", str(train), "--dev", str(dev), "--labels", "labels.yaml", "--output", "words.yaml"]
    result = CliRunner().invoke(app, [*given, "--picture", "words.html"])
    assert result.exit_code == 0, result.output
    assert Words.from_yaml("words.yaml") == mine(made.train, made.space)
    assert "from 48 rows" in result.output
    assert (tmp_path / "words.html").is_file()
    for wrong in (["--by", "guess"], ["--picture", "words.png"], ["--ngrams", "x"], ["--lang", "fr"]):
        result = CliRunner().invoke(app, [*given, *wrong])
        assert result.exit_code == 2, wrong
        assert "What to do" in result.stderr
    assert json.loads(json.dumps(load_config("linear", ["features.words=words.yaml"]).features.words)) == "words.yaml"
