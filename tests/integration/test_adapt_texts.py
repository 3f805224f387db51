"""Which texts continued pre-training reads, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from adapting import repeated_lines, settings, write_texts
from commands import tree
from openpyxl import Workbook
from plain_runs import same_weights

from duobiao.config import parse_config
from duobiao.errors import ConfigError, DataError, DuobiaoError
from duobiao.train import adapt as module
from duobiao.train.adapt import adapt
from duobiao.train.plain_run import PlainResult


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return repeated_lines()


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, texts: list[Path], bert_folder: Path) -> PlainResult:
    return adapt(str(bert_folder), settings(), texts, tmp_path_factory.mktemp("adapted") / "bert")


# ---- texts ---------------------------------------------------------------------------------------------


def test_tables_are_read_like_lines(lines: list[str], bert_folder: Path, tmp_path: Path) -> None:
    some = lines[:40]
    (tmp_path / "a.txt").write_text("\n".join(some), encoding="utf-8")
    quoted = "".join(f'"{line}",不存在的标签\n' for line in some)
    (tmp_path / "a.csv").write_text("内容,标签\n" + quoted, encoding="gb18030")
    book = Workbook()
    sheet = book.active
    sheet.append(["标签", "内容"])
    for line in some:
        sheet.append([None, line])
    book.save(tmp_path / "a.xlsx")
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"内容": line}) for line in some), encoding="utf-8")
    outs = []
    for name in ("a.txt", "a.csv", "a.xlsx", "a.jsonl"):
        outs.append(tmp_path / f"from-{name}")
        adapt(str(bert_folder), settings(text={"steps": 2}), [tmp_path / name], outs[-1], column="内容")
    assert all(same_weights(outs[0], out) for out in outs[1:])


def test_rows_without_a_text_are_passed_over(bert_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("今天\n\n  \n快递\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(
        '{"text": "今天"}\n{"text": ""}\n{"text": "\\ud83d"}\n{"text": "快递"}\n', encoding="utf-8"
    )
    given = [
        adapt(str(bert_folder), settings(text={"steps": 1}, input={"clean": []}), [tmp_path / name], tmp_path / name[0])
        for name in ("a.txt", "b.jsonl")
    ]
    assert same_weights(given[0].out, given[1].out)


def test_own_words_are_masked_whole(bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("今天那个东西还行\n" * 30, encoding="utf-8")
    (tmp_path / "words.txt").write_text("天那个东\n", encoding="utf-8")
    made: list[Any] = []
    real = module.pack
    monkeypatch.setattr(module, "pack", lambda *given: made.append(real(*given)) or made[-1])
    for name, masking in (("plain", {}), ("own", {"dictionary": str(tmp_path / "words.txt")}), ("each", {"words": "tokens"})):
        config = settings(masking=masking, text={"steps": 1})
        adapt(str(bert_folder), config, [tmp_path / "a.txt"], tmp_path / name)
    plain, own, each = (one.column("words", one.lengths.argsort()[:1], 0)[0][0].tolist() for one in made)
    assert own[1:9] == [1, 1, 2, 2, 2, 1, 1, 2], "今|天那个东|西|还行"
    assert plain[1:9] != own[1:9]
    assert each[1:9] == [1] * 8


# ---- what is refused -----------------------------------------------------------------------------------


def test_what_cannot_be_done_is_refused_and_leaves_nothing(
    found: PlainResult, texts: list[Path], bert_folder: Path, unigram_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "今天"}\n{"txt": 1}\n', encoding="utf-8")
    (tmp_path / "bad.csv").write_text("content\n今天\n", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("\n \n", encoding="utf-8")
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    (tmp_path / "mine").mkdir()
    encoder = shutil.copytree(bert_folder, tmp_path / "encoder")
    before = tree(tmp_path)
    bert, one = str(bert_folder), settings()
    general = {"kind": "general", "shape": {"layers": 1, "hidden": 16, "heads": 2, "intermediate": 16}}
    for error, said, given in (
        (ConfigError, "no mask token", (str(unigram_folder), one, texts)),
        (ConfigError, "reads 64 tokens at most", (bert, settings(text={"max_length": 65}), texts)),
        (ConfigError, "makes a new small encoder", (bert, parse_config(general), texts)),
        (ConfigError, "no such folder", (str(tmp_path / "none"), one, texts)),
        (ConfigError, "not there", (bert, settings(masking={"dictionary": str(tmp_path / "none.txt")}), texts)),
        (DataError, "2 files of text cannot be read", (bert, one, [*texts, tmp_path / "none.txt", tmp_path / "a.pdf"])),
        (DataError, "no text is given", (bert, one, [])),
        (DataError, "hold no text", (bert, one, [tmp_path / "empty.txt"])),
        (DataError, "1 lines cannot be read", (bert, one, [tmp_path / "bad.jsonl"])),
        (DataError, "2 files of text cannot be read", (bert, one, [tmp_path / "bad.jsonl", tmp_path / "bad.csv"])),
    ):
        with pytest.raises(error, match=said) as caught:
            adapt(*given, tmp_path / "out")
        assert caught.value.hint, said
    for out, said in ((encoder, "is the input itself"), (tmp_path / "mine", "no encoder that was made")):
        with pytest.raises(DuobiaoError, match=said):
            adapt(str(encoder), one, texts, out, force=True)
    (tmp_path / "link").symlink_to(encoder)
    with pytest.raises(DataError, match="is the input itself"):
        adapt(str(encoder), one, texts, tmp_path / "link")
    (tmp_path / "link").unlink()
    assert tree(tmp_path) == before


def test_a_loss_that_is_not_finite_is_named(bert_folder: Path, texts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(Exception, match="the loss is nan") as caught:
        adapt(str(bert_folder), settings(text={"lr": 1e30}, train={"head_lr": 1e30}), texts, tmp_path / "out")
    assert "lower" in (caught.value.hint or "")  # type: ignore[attr-defined]
    assert not (tmp_path / "out").exists()


def test_settings_are_bounded(bert_folder: Path) -> None:
    for changes in (
        {"masking": {"rate": 0}},
        {"masking": {"mask_share": 0.8, "random_share": 0.3}},
        {"text": {"epochs": 0}},
        {"text": {"max_length": 4}},
    ):
        with pytest.raises(ConfigError):
            settings(**changes)
