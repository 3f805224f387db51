"""Packed text on disk: what an earlier reader left does not pass for what the present one wrote."""

from pathlib import Path

import numpy as np

from duobiao.models.pretrained import wordpiece_tokenizer
from duobiao.train.packed import Packed, pack
from duobiao.train.units import NO_PIECE, Reader

MANY = 70_000
"""More of the other's tokens than the column of pieces can count."""


def reader(other: bool) -> Reader:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"快递坏了"]
    tokenizer = wordpiece_tokenizer({word: number for number, word in enumerate(words)}, True)
    return Reader(tokenizer, str, None, tokenizer if other else None)


def text(folder: Path, line: str) -> list[Path]:
    path = folder / "a.txt"
    path.write_text(line + "\n", encoding="utf-8")
    return [path]


def test_columns_of_an_earlier_reader_are_gone(tmp_path: Path):
    files = text(tmp_path, "快递坏了")
    assert pack(files, reader(True), 16, tmp_path / "corpus", "with").has("pieces")
    assert not pack(files, reader(False), 16, tmp_path / "corpus", "without").has("pieces")
    assert not Packed(tmp_path / "corpus").has("others")


def test_a_piece_that_is_too_far_in_belongs_to_none(tmp_path: Path):
    packed = pack(text(tmp_path, "快" * MANY), reader(True), MANY + 2, tmp_path / "corpus", "long")
    pieces, _ = packed.column("pieces", np.array([0]), NO_PIECE)
    assert pieces[0, 1] == 1
    assert pieces[0, 60_000] == 60_000
    assert (pieces[0, 66_000:] == NO_PIECE).all()
