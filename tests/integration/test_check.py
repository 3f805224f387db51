"""``duobiao check`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from duobiao.cli.check import register

LONG = "昨天买的那件衣服到现在都还没有发货"


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    made = typer.Typer(pretty_exceptions_enable=False)
    made.callback()(lambda: None)
    register(made)
    return made


@pytest.fixture
def run(app: typer.Typer) -> Any:
    def runs(*arguments: Any) -> Result:
        result = CliRunner().invoke(app, ["check", *(str(argument) for argument in arguments)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert "Traceback" not in result.output
        return result

    return runs


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    rows = {
        "train": [(LONG, ["A"]), ("", ["B"]), ("坏\u200b了怎么办", ["B"])]
        + [(f"第{n}个问题怎么解决才好", ["A", "B"]) for n in range(9)],
        "test": [(LONG, ["A"]), ("收不到短信验证码", ["C"])],
    }
    for name, given in rows.items():
        text = "".join(json.dumps({"text": t, "labels": labels}, ensure_ascii=False) + "\n" for t, labels in given)
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return {name: tmp_path / f"{name}.jsonl" for name in rows}


def test_everything_is_told_on_screen_on_the_page_and_in_json(run: Any, files: dict[str, Path], tmp_path: Path):
    given = ("--train", files["train"], "--test", files["test"])
    result = run(*given, "--html", tmp_path / "page.html", "--json", tmp_path / "out.json", "--lang", "en")
    assert result.exit_code == 0
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    kinds = {one["kind"]: one for one in found["findings"]}
    assert {"leaks", "empty", "no_positives", "invisible"} <= kinds.keys()
    assert kinds["leaks"]["examples"][0] == {"where": "test.jsonl:1", "text": LONG, "note": "= train.jsonl:1"}
    assert kinds["leaks"]["share"] == 0.5
    assert found["counts"]["error"] == 3
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for place in ("Empty texts", "train.jsonl:2", "--fix-only empty"):
        assert place in page
        assert place in result.stdout
    assert "3 errors" in result.stdout
    assert str(tmp_path / "page.html") in result.stdout.replace("\n", "")


def test_chinese_is_the_default(run: Any, files: dict[str, Path]):
    assert "空文本" in run(files["train"]).stdout


def test_strict_fails_on_errors_only(run: Any, files: dict[str, Path], tmp_path: Path):
    assert run(files["train"], "--strict").exit_code == 1
    clean = tmp_path / "clean.jsonl"
    clean.write_text(
        "".join(f'{{"text": "第{n}个完全不同{chr(0x4E00 + 37 * n)}的问题", "labels": ["A"]}}\n' for n in range(5)), "utf-8"
    )
    result = run(clean, "--strict", "--lang", "en")
    assert result.exit_code == 0
    assert "0 errors, 1 warnings" in result.stdout  # too few positives


def test_fix_writes_copies_beside_the_originals(run: Any, files: dict[str, Path], tmp_path: Path):
    before = {path: path.read_bytes() for path in files.values()}
    result = run("--train", files["train"], "--test", files["test"], "--fix", tmp_path / "out")
    assert result.exit_code == 0
    assert {path: path.read_bytes() for path in files.values()} == before
    assert "10 of 12 rows" in result.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "diff.jsonl",
        "review.jsonl",
        "summary.md",
        "test.jsonl",
        "train.jsonl",
    ]
    chosen = run(files["train"], "--fix", tmp_path / "some", "--fix-only", "empty, invisible")
    assert "empty 1" in chosen.stdout
    assert "11 of 12 rows" in chosen.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "nothing to check"),
        (("{folder}/none.jsonl",), "no such file"),
        (("{folder}/train.txt",), "'.txt' is not read"),
        (("{train}", "--lang", "fr"), "no such language"),
        (("{train}", "--fix", "{folder}"), "holds the originals"),
        (("{train}", "--fix", "{folder}/out", "--fix-only", "magic"), "no such repair: magic"),
        (("{train}", "--fix-only", "empty"), "without --fix"),
        (("{train}", "--html", "{train}"), "is the input itself"),
        (("{train}", "--labels", "{folder}/none.yaml"), "No such file"),
        (("{train}", "--model", "{folder}"), "no bundle"),
        (("{train}", "--columns", "texts=a"), "no such field"),
    ],
)
def test_bad_input_is_refused_with_its_reason(run: Any, files: dict[str, Path], tmp_path: Path, arguments: Any, reason: str):
    given = [argument.format(folder=tmp_path, train=files["train"]) for argument in arguments]
    before = files["train"].read_bytes()
    result = run(*given)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert "What to do" in result.stderr
    assert result.stdout == ""
    assert files["train"].read_bytes() == before


def test_a_tokenizer_and_a_label_space_join_in(run: Any, files: dict[str, Path], tmp_path: Path):
    (tmp_path / "labels.yaml").write_text("groups:\n  组: {labels: [A, B]}\n", encoding="utf-8")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "第", "个"]
    (tmp_path / "vocab.txt").write_text("".join(word + "\n" for word in words), encoding="utf-8")
    result = run(files["train"], "--labels", tmp_path / "labels.yaml", "--model", tmp_path, "--lang", "en")
    assert "Contradictory groups: 9 rows" in result.stdout
    assert "Characters the tokenizer does not know" in result.stdout
    assert "What was not checked" not in result.stdout


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"{",
        b"\xff\xfe\x00",
        b'{"text": null}',
        b'{"text": "' + b"x" * 300_000 + b'"}',
        '{"文": 1}'.encode(),
        b"[]\n3\n",
    ],
)
def test_no_file_makes_a_traceback(run: Any, tmp_path: Path, content: bytes):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    result = run(path, "--html", tmp_path / "page.html", "--lang", "en")
    assert result.exit_code == 0
    assert "errors" in result.stdout
    assert "0 errors" not in result.stdout
