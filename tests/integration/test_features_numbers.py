"""Statistics and own columns of numbers, from the configuration to answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_bundles import NODE, Made

from duobiao import load
from duobiao.bundle import read_manifest
from duobiao.config import parse_config
from duobiao.errors import DataError
from duobiao.evaluate.evaluation import evaluate
from duobiao.predict import predict_rows
from duobiao.train import recipe
from duobiao.train.soft_labels import soft_labels


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
