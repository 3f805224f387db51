"""The teacher's logits are computed once, and never taken for another teacher's or another row's."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from duobiao.data.rows import Row, content_digest
from duobiao.labels import LabelSpace
from duobiao.train import soft_labels as module
from duobiao.train.soft_labels import soft_labels


class FakeTeacher:
    """Logits that tell text, context and teacher; counts what it is asked."""

    def __init__(self, space: LabelSpace, digest: str = "a" * 64) -> None:
        self.space = space
        self.bundle = SimpleNamespace(digest=digest, name="fake")
        self.columns: tuple[str, ...] = ()
        self.asked: list[tuple[str, str | None]] = []
        self.dies_after: int | None = None

    def logits(self, texts: Sequence[str], context: Sequence[str | None]) -> np.ndarray:
        if self.dies_after is not None and len(self.asked) >= self.dies_after:
            raise KeyboardInterrupt
        self.asked += zip(texts, context, strict=True)
        return np.stack([self.answer(*pair) for pair in zip(texts, context, strict=True)])

    def answer(self, text: str, context: str | None) -> np.ndarray:
        seed = int(content_digest(text + self.bundle.digest, context)[:8], 16)
        return np.random.default_rng(seed).normal(size=len(self.space)).astype(np.float32)


@pytest.fixture
def teacher(tiny_space: LabelSpace) -> FakeTeacher:
    return FakeTeacher(tiny_space)


@pytest.fixture
def rows() -> list[Row]:
    texts = ["快递坏了", "是", "是", "开票", "打给我，谢谢"]
    contexts = [None, "身份确认", "时间", None, "售后"]
    return [Row(str(at), text, context) for at, (text, context) in enumerate(zip(texts, contexts, strict=True))]


def wanted(teacher: FakeTeacher, rows: list[Row]) -> np.ndarray:
    return np.stack([teacher.answer(row.text, row.context) for row in rows])


def test_each_content_is_computed_once_and_kept(teacher: FakeTeacher, rows: list[Row], tmp_path: Path) -> None:
    twice = [*rows, *rows[::-1]]
    first = soft_labels(teacher, twice, tmp_path)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, wanted(teacher, twice))
    assert sorted(teacher.asked, key=str) == sorted({(row.text, row.context) for row in rows}, key=str)
    teacher.asked.clear()
    np.testing.assert_array_equal(soft_labels(teacher, twice, tmp_path), first)
    assert teacher.asked == []


def test_another_order_and_other_labels_need_no_teacher(teacher: FakeTeacher, rows: list[Row], tmp_path: Path) -> None:
    soft_labels(teacher, rows, tmp_path)
    teacher.asked.clear()
    relabelled = [replace(row, labels=("发票",), id="x" + row.id) for row in rows[::-1]]
    np.testing.assert_array_equal(soft_labels(teacher, relabelled, tmp_path), wanted(teacher, relabelled))
    assert teacher.asked == []


def test_only_changed_rows_are_computed_anew(teacher: FakeTeacher, rows: list[Row], tmp_path: Path) -> None:
    soft_labels(teacher, rows, tmp_path)
    teacher.asked.clear()
    rows[1] = replace(rows[1], text="不是")
    rows[2] = replace(rows[2], context="地址")
    np.testing.assert_array_equal(soft_labels(teacher, rows, tmp_path), wanted(teacher, rows))
    assert sorted(teacher.asked) == [("不是", "身份确认"), ("是", "地址")]


def test_another_teacher_is_asked_itself(teacher: FakeTeacher, rows: list[Row], tmp_path: Path) -> None:
    first = soft_labels(teacher, rows, tmp_path)
    other = FakeTeacher(teacher.space, digest="b" * 64)
    second = soft_labels(other, rows, tmp_path)
    np.testing.assert_array_equal(second, wanted(other, rows))
    assert len(other.asked) == len(rows)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(soft_labels(teacher, rows, tmp_path), first)


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "other labels"])
def test_damaged_file_is_not_used_but_replaced(damage: str, teacher: FakeTeacher, rows: list[Row], tmp_path: Path) -> None:
    soft_labels(teacher, rows, tmp_path)
    (file,) = tmp_path.rglob("*.safetensors")
    data = file.read_bytes()
    if damage == "other labels":
        narrow = FakeTeacher(LabelSpace(("a", "b")))
        soft_labels(narrow, rows, tmp_path / "other")
        (other,) = (tmp_path / "other").rglob("*.safetensors")
        data = other.read_bytes()
    file.write_bytes({"cut": data[:-7], "empty": b"", "foreign": b"not tensors at all"}.get(damage, data))
    teacher.asked.clear()
    with pytest.warns(UserWarning, match="damaged soft labels are computed anew"):
        found = soft_labels(teacher, rows, tmp_path)
    np.testing.assert_array_equal(found, wanted(teacher, rows))
    assert len(teacher.asked) == len(rows)
    teacher.asked.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        soft_labels(teacher, rows, tmp_path)
    assert teacher.asked == []


def test_half_written_file_is_not_used(teacher: FakeTeacher, rows: list[Row], tmp_path: Path) -> None:
    soft_labels(teacher, rows, tmp_path)
    (file,) = tmp_path.rglob("*.safetensors")
    file.rename(file.with_name(f".{file.stem}.123.part"))  # killed before the name was given
    teacher.asked.clear()
    np.testing.assert_array_equal(soft_labels(teacher, rows, tmp_path), wanted(teacher, rows))
    assert len(teacher.asked) == len(rows)


def test_interrupted_work_goes_on_where_it_stopped(
    teacher: FakeTeacher, rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    teacher.dies_after = 4
    with pytest.raises(KeyboardInterrupt):
        soft_labels(teacher, rows, tmp_path)
    done = list(teacher.asked)
    assert len(done) == 4
    teacher.asked, teacher.dies_after = [], None
    np.testing.assert_array_equal(soft_labels(teacher, rows, tmp_path), wanted(teacher, rows))
    assert len(teacher.asked) == 1
    assert not set(teacher.asked) & set(done)


def test_no_rows_give_no_logits(teacher: FakeTeacher, tmp_path: Path) -> None:
    assert soft_labels(teacher, [], tmp_path).shape == (0, len(teacher.space))
    assert teacher.asked == []
