"""One FastBERT bundle for all its tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastbert_parts import TEACHER, student

from duobiao.config import parse_config
from duobiao.labels import LabelSpace
from duobiao.train import recipe


@pytest.fixture(scope="session")
def distil(tiny_rows: Any) -> Callable[..., Path]:
    def run(source: Any, config: Any, out: Path, **options: Any) -> Path:
        return recipe.distil(source, config, tiny_rows.train, tiny_rows.dev, out, **options)

    return run


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fastbert")


@pytest.fixture(scope="session")
def learn(tiny_rows: Any, tiny_space: LabelSpace) -> Callable[..., Path]:
    def run(out: Path, **changes: Any) -> Path:
        return recipe.train(parse_config({**TEACHER, **changes}), tiny_rows.train, tiny_rows.dev, tiny_space, out)

    return run


@pytest.fixture(scope="session")
def teacher(place: Path, learn: Any) -> Path:
    return learn(place / "teacher")


@pytest.fixture(scope="session")
def bundle(place: Path, teacher: Path, distil: Any) -> Path:
    return distil(teacher, student(lose_at_most=20), place / "bundle")


@pytest.fixture
def copied(bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, for what changes it."""
    (tmp_path / "copy").mkdir()
    for file in bundle.iterdir():
        (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    return tmp_path / "copy"
