"""Plain text, line by line."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from duobiao.data import plain_text
from duobiao.data.plain_text import check_texts, lines_of
from duobiao.errors import DataError

LINES = ["快递昨天就应该到了", "发票开错了，请重开", "好的", "再见"]


def as_text(lines: list[str]) -> bytes:
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", as_text(LINES)),
        ("a.txt", as_text([*LINES, ""])),
        ("a.txt", b"\xef\xbb\xbf" + "\r\n".join(LINES).encode()),
        ("a.txt", "\n".join(LINES).encode("gb18030")),
        ("a.txt", as_text([LINES[0], "", "  ", *LINES[1:]])),
        ("A.TXT.gz", gzip.compress(as_text(LINES))),
        ("a.txt.xz", lzma.compress(as_text(LINES))),
        ("a.jsonl", as_text([json.dumps({"text": line, "id": 1}) for line in LINES])),
        ("a.jsonl", b"\xef\xbb\xbf" + as_text([json.dumps({"text": line}, ensure_ascii=False) for line in [*LINES, " "]])),
        ("a.ndjson.xz", lzma.compress(as_text([json.dumps({"text": line}) for line in LINES]))),
    ],
)
@pytest.mark.parametrize("block", [64, 1 << 20])
def test_lines_come_in_order_from_every_format(
    name: str, content: bytes, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_text, "_BLOCK", block)
    path = tmp_path / name
    path.write_bytes(content)
    check_texts([path])
    assert list(lines_of(path)) == LINES


def test_halves_of_characters_are_left_out(tmp_path: Path) -> None:
    texts = ["快递\ud83d坏了", "好😀的", "\ude00"]
    for name, content in (
        ("a.jsonl", "\n".join(json.dumps({"text": text}) for text in texts)),
        ("a.json", json.dumps([{"text": text} for text in texts])),
    ):
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert list(lines_of(tmp_path / name)) == ["快递坏了", "好😀的"]


def test_an_encoding_is_told_by_the_first_lines_that_show_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_text, "_BLOCK", 8)
    for encoding in ("utf-8", "gb18030"):
        path = tmp_path / "a.txt"
        path.write_text("\n".join(["plain"] * 9 + LINES), encoding=encoding)
        assert list(lines_of(path)) == ["plain"] * 9 + LINES


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.txt", as_text(LINES[:2]) + b"\n\xe5\xff\n" + as_text(LINES[2:]), ["line 3: damaged encoding"]),
        ("a.jsonl", b'{"text": "x"}\n[]\n{"text": 3}\n{"text"', ["line 2", "line 3", "line 4"]),
    ],
)
def test_damaged_lines_are_all_named_after_the_others(name: str, content: bytes, lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    found: list[str] = []
    with pytest.raises(DataError) as caught:
        found.extend(lines_of(path))
    assert len(caught.value.problems) == len(lines)
    assert all(line in problem for line, problem in zip(lines, caught.value.problems, strict=True))
    assert found in (LINES, ["x"])


def test_files_that_cannot_be_read_are_refused_together(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        check_texts([tmp_path / "a.pdf", tmp_path / "none.txt"])
    assert len(caught.value.problems) == 2
    with pytest.raises(DataError, match="no text is given"):
        check_texts([])
    broken = tmp_path / "a.txt.gz"
    broken.write_bytes(gzip.compress(as_text(LINES * 100))[:-20])
    with pytest.raises(DataError, match="cannot be read to its end"):
        list(lines_of(broken))


def test_a_file_is_never_held_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_text, "_BLOCK", 64)
    path = tmp_path / "a.txt"
    path.write_text("\n".join(LINES * 50), encoding="utf-8")
    seen: list[int] = []
    real: Callable[..., object] = plain_text._encoding_of
    monkeypatch.setattr(plain_text, "_encoding_of", lambda lines: (seen.append(sum(map(len, lines))), real(lines))[1])
    lines = lines_of(path)
    assert next(lines) == LINES[0]
    assert seen[0] <= 64


def test_a_line_of_another_encoding_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_text, "_BLOCK", 32)
    path = tmp_path / "a.txt"
    path.write_bytes(as_text(LINES) + b"\n" + b"x" * 40 + b"\n" + ("物流发票" * 5).encode("gb18030") + b"\n" + b"x" * 40)
    with pytest.raises(DataError, match="line 6: damaged encoding"):
        list(lines_of(path))
