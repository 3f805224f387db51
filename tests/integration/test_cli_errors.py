"""Bad input: exit status 2, what and where and the cure, no traceback, nothing half-written."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import duobiao, refused, tree

from duobiao.bundle import MANIFEST, SCHEMA_VERSION, WEIGHTS

GOOD = '{"text": "快递", "labels": ["物流"]}\n'


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


# What a file holds (None: there is no such file), and what the refusal must name.
BAD_DATA: dict[str, tuple[str, str | bytes | None, tuple[str, ...]]] = {
    "missing file": ("rows.jsonl", None, ("rows.jsonl", "no such file", "check the path")),
    "unknown format": ("rows.docx", "x", ("rows.docx", ".docx", ".jsonl, ")),
    "no ending": ("rows", "x", ("without ending", ".csv")),
    "broken JSON": ("rows.jsonl", GOOD + "{\n" + GOOD + "[1]\n" + '{"text"\n', ("line 2", "line 4", "line 5", "correct")),
    "missing column": ("rows.csv", "内容,labels\n快递,物流\n", ("'text'", "内容", "--columns text=")),
    "missing key": ("rows.jsonl", GOOD + lines({"labels": []}, {"x": 1}), ("row 2", "row 3", "'text'")),
    "ragged table": ("rows.csv", "text,labels\n快递,物流,x\n喜欢\n", ("line 2", "3 cells", "line 3", "1 cells")),
    "two bytes of another encoding": ("rows.csv", b"text\n" + "快递\n".encode() * 3 + b"\xff\xfe\xff\n", ("line 5", "UTF-8")),
    "no table": ("rows.parquet", "x", ("rows.parquet", "Parquet")),
    "no workbook": ("rows.xlsx", "x", ("rows.xlsx", "Excel", ".csv")),
}
BAD_LABELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "foreign labels": (
        lines({"text": "a", "labels": ["天气"]}, {"text": "b", "labels": []}, {"text": "c", "labels": ["物流", "地震"]}),
        ("row 1", "'天气'", "row 3", "'地震'"),
    ),
    "two of one group": (lines({"text": "a", "labels": ["正面", "负面"]}), ("row 1", "'情感'", "exclusive", "正面, 负面")),
    "a group that is not asked": (lines({"text": "a", "labels": ["身份确认/是"]}), ("row 1", "'身份确认'", "not asked")),
    "given and unknown": (lines({"text": "a", "labels": ["物流"], "unknown": ["物流"]}), ("row 1", "both given and unknown")),
    "no labels": (lines({"text": "a"}), ("row 1", "no labels")),
    "no text": (lines({"text": "a", "labels": []}, {"text": " ", "labels": []}), ("row 2", "empty")),
    "no rows": ("", ("no rows",)),
}


def write(path: Path, content: str | bytes | None) -> Path:
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("case", BAD_DATA)
@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
def test_files_that_cannot_be_read(chain: Any, tmp_path: Path, case: str, command: str):
    name, content, names = BAD_DATA[case]
    data = write(tmp_path / name, content)
    before = tree(tmp_path)
    out = tmp_path / "made"
    arguments: dict[str, tuple[Any, ...]] = {
        "train": ("--config", "linear", "--train", data, "--dev", chain.dev, "--labels", chain.labels, "--out", out),
        "predict": (chain.linear, "--input", data, "--output", out.with_suffix(".jsonl")),
        "evaluate": (chain.linear, "--data", data, "--json", out),
    }
    refused(command, *arguments[command], names=(data, *names))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("case", BAD_LABELS)
@pytest.mark.parametrize("command", ["train", "distil", "evaluate", "compare"])
def test_rows_that_contradict_the_label_space(chain: Any, tmp_path: Path, case: str, command: str):
    content, names = BAD_LABELS[case]
    data = write(tmp_path / "rows.jsonl", content)
    before = tree(tmp_path)
    out = tmp_path / "made"
    files = ("--train", data, "--dev", chain.dev, "--out", out)
    arguments: dict[str, tuple[Any, ...]] = {
        "train": ("--config", "linear", "--labels", chain.labels, *files),
        "distil": ("--config", "bigru-a", "--teacher", chain.teacher, *files),
        "evaluate": (chain.linear, "--data", data, "--json", out),
        "compare": (chain.linear, chain.student, "--data", data, "--out", out),
    }
    message = refused(command, *arguments[command], names=names)
    assert content == "" or str(data) in message
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (None, ("No such file",)),
        ("labels: [物流, 物流]\ngroups:\n  情感: {labels: [正面]}\n", ("'物流'", "'情感'", "two labels")),
        ("labels: [a]\ngroups:\n  g: {labels: [x, y], at_most: 1}\n  h: [z]\n", ("'at_most'", "'h'")),
        ("labels: [a\n", ("YAML",)),
        ("- a\n- b\n", ("mapping",)),
        ("labels: []\n", ("neither labels nor groups",)),
        ("labels: [yes, no]\n", ("quotes",)),
    ],
)
def test_label_spaces_that_contradict_themselves(chain: Any, tmp_path: Path, content: str | None, names: tuple[str, ...]):
    labels = write(tmp_path / "labels.yaml", content)
    before = tree(tmp_path)
    refused("train", "--config", "linear", *chain.files, "--labels", labels, "--out", tmp_path / "made", names=names)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("config", "sets", "names"),
    [
        ("nonsense", (), ("'nonsense'", "linear", "teacher-small", "bigru-a")),
        ("linear", ("ngram=[1,2]",), ("ngram",)),
        ("linear", ("c=-1", "min_df=0"), ("c: ", "min_df: ")),
        ("teacher-small", ("train.lrr=1e-3", "shape.width=3"), ("train.lrr", "shape.width")),
        ("teacher-small", ("train",), ("'train'", "a.b=value")),
        ("teacher-small", ("train.lr.peak=1",), ("'lr'", "not a section")),
        ("teacher-small", ("encoder=no-such-folder/at-all", "train.epochs=1"), ("no-such-folder/at-all", "--set encoder=")),
        ("teacher-small", ("thresholds.fallback=天气",), ("'天气'", "物流")),
        ("bigru-a", (), ("student", "duobiao distil")),
    ],
)
def test_configurations_that_cannot_be_carried_out(
    chain: Any, tmp_path: Path, config: str, sets: tuple[str, ...], names: tuple[str, ...], network_attempts: list[str]
):
    options = [part for override in sets for part in ("--set", override)]
    command = ("train", "--config", config, *options, *chain.files, "--labels", chain.labels, "--out", tmp_path / "made")
    refused(*command, names=names)
    network_attempts.clear()  # asking the hub for an encoder is no fault
    left = [path.name for path in tmp_path.iterdir()]
    assert left == []


def test_an_encoder_that_reads_less_than_asked_for(chain: Any, tmp_path: Path, wwm_folder: Path):
    command = ("train", "--config", "teacher-roberta-wwm", "--set", f"encoder={wwm_folder}", *chain.files)
    refused(*command, "--labels", chain.labels, "--out", tmp_path / "made", names=("128", "64", "--set input.max_length=64"))


# ---- bundles and places --------------------------------------------------------------------------------


def _corrupt(place: Path) -> None:
    data = bytearray((place / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (place / WEIGHTS).write_bytes(data)


def _newer(place: Path) -> None:
    manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
    manifest["schema_version"] = SCHEMA_VERSION + 1
    (place / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


BAD_BUNDLES: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "missing": (shutil.rmtree, ("no such folder", "duobiao train or distil")),
    "foreign": (lambda place: (place / MANIFEST).unlink(), ("no bundle", MANIFEST, "vocabulary.json")),
    "another program's": (lambda place: (place / MANIFEST).write_text('{"format": "x"}'), ("not duobiao's",)),
    "cut short": (lambda place: (place / MANIFEST).write_text('{"format"'), ("unreadable", "copy the bundle again")),
    "corrupt": (_corrupt, ("damaged", WEIGHTS, "copy it again")),
    "incomplete": (lambda place: (place / "vocabulary.json").unlink(), ("damaged", "vocabulary.json")),
    "newer": (_newer, ("newer", f"schema {SCHEMA_VERSION + 1}", "pip install --upgrade duobiao")),
}


@pytest.mark.parametrize("case", BAD_BUNDLES)
@pytest.mark.parametrize("command", ["predict", "evaluate", "compare", "compare second", "distil"])
def test_bundles_that_cannot_be_used(chain: Any, tmp_path: Path, case: str, command: str):
    spoil, names = BAD_BUNDLES[case]
    place = shutil.copytree(chain.linear, tmp_path / "bundle")
    spoil(place)
    before = tree(tmp_path)
    arguments: dict[str, tuple[Any, ...]] = {
        "predict": (place, "--input", chain.test, "--output", tmp_path / "a.jsonl"),
        "evaluate": (place, "--data", chain.test, "--json", tmp_path / "a.json"),
        "compare": (place, chain.linear, "--data", chain.test, "--out", tmp_path / "out"),
        "compare second": (chain.linear, place, "--data", chain.test, "--out", tmp_path / "out"),
        "distil": ("--teacher", place, "--config", "bigru-a", *chain.files, "--out", tmp_path / "out"),
    }
    refused(command.split()[0], *arguments[command], names=(place, *names))
    assert tree(tmp_path) == before


def test_a_teacher_must_be_an_encoder_and_a_student_a_student(chain: Any, tmp_path: Path):
    files = (*chain.files, "--out", tmp_path / "out")
    refused("distil", "--teacher", chain.linear, "--config", "bigru-a", *files, names=("linear", "--teacher"))
    refused("distil", "--teacher", chain.student, "--config", "bigru-a", *files, names=("bigru", "--teacher"))
    refused("distil", "--teacher", chain.teacher, "--config", "linear", *files, names=("no student", "bigru-a"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("taken", ["file", "folder"])
@pytest.mark.parametrize("command", ["train", "distil"])
def test_a_place_that_is_taken_is_never_written_over(chain: Any, tmp_path: Path, taken: str, command: str):
    out = tmp_path / "out"
    mine = out if taken == "file" else out / "mine.txt"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine", encoding="utf-8")
    before = tree(tmp_path)
    arguments: dict[str, tuple[Any, ...]] = {
        "train": ("--config", "linear", "--labels", chain.labels),
        "distil": ("--config", "bigru-a", "--teacher", chain.teacher),
    }
    refused(command, *arguments[command], *chain.files, "--out", out, names=(out, "is no bundle", "another --out"))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["answers.csv", "answers.xlsx", "answers", "folder.jsonl", "file/answers.jsonl"])
def test_predictions_that_cannot_be_written(chain: Any, tmp_path: Path, name: str):
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    before = tree(tmp_path)
    refused("predict", chain.linear, "--input", chain.test, "--output", tmp_path / name, names=(tmp_path / name,))
    assert tree(tmp_path) == before


def test_predictions_never_replace_their_input(chain: Any, tmp_path: Path):
    rows = Path(shutil.copy(chain.test, tmp_path / "rows.jsonl"))
    before = tree(tmp_path)
    refused("predict", chain.linear, "--input", rows, "--output", rows, names=(rows, "input itself", "--output"))
    assert tree(tmp_path) == before


def test_broken_lines_from_a_pipe_are_named(chain: Any):
    refused("predict", chain.linear, "--input", "-", "--output", "-", stdin="{\n{}\n", names=("<stdin>: line 1", "'text'"))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("--columns", "inhalt=内容"), "inhalt"),
        (("--columns", "text=内容"), "内容"),
    ],
)
def test_columns_that_are_not_there(chain: Any, tmp_path: Path, arguments: tuple[str, ...], name: str):
    command = ("predict", chain.linear, "--input", chain.test, "--output", tmp_path / "a.jsonl")
    refused(*command, *arguments, names=(name,))
    assert list(tmp_path.iterdir()) == []


def test_languages_and_data_sets_that_do_not_exist(chain: Any, tmp_path: Path):
    compare = ("compare", chain.linear, "--data", chain.test, "--out", tmp_path / "out")
    refused(*compare, "--lang", "fr", names=("'fr'", "zh or en"))
    refused("demo", "--data", "weather", "--out", tmp_path / "out", names=("'weather'", "hotline", "callback"))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_option_is_named(chain: Any):
    result = duobiao("predict", chain.linear, "--input", "x.jsonl")
    assert result.exit_code == 2
    assert "--output" in result.stderr


def test_a_real_process_exits_with_2_too(chain: Any, tmp_path: Path):
    data = write(tmp_path / "rows.jsonl", '{"text": "好"}\n{\n')
    command = [sys.executable, "-m", "duobiao", "predict", str(chain.linear), "--input", str(data), "--output", "-"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert shown.returncode == 2
    assert shown.stdout == ""
    assert shown.stderr.startswith("error: ")
    assert f"{data}: line 2: broken JSON" in shown.stderr
    assert "Traceback" not in shown.stderr
