"""The built-in data passes its own check, and the check finds what is wrong."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from duobiao import builtin
from duobiao.errors import DataError


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    path = Path(__file__).parents[2] / "tools" / "check_builtin.py"
    spec = importlib.util.spec_from_file_location("check_builtin", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_builtin"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", builtin.DATASETS)
def test_the_frozen_data_is_in_order(checker: ModuleType, name: str) -> None:
    _, wrong = checker.check(name, *checker.load(builtin.folder(name)))
    assert wrong == []


def test_the_transcripts_are_in_order(checker: ModuleType) -> None:
    assert checker.check_transcripts(builtin.folder("callback") / "transcripts.csv") == []


def test_a_test_row_that_stands_in_training_too_is_found(checker: ModuleType) -> None:
    space, splits = checker.load(builtin.folder("callback"))
    first = splits["test"][0]
    changed = {**splits, "train": [*splits["train"], replace(first, id="c9999", text=first.text + "。")]}
    assert checker.check("callback", space, changed)[1]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DataError, match="hotline, callback"):
        builtin.folder("weather")
