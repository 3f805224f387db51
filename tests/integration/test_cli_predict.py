"""``duobiao predict``: every format, pipes, thresholds."""

import csv
import dataclasses
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow
import pyarrow.parquet
import pytest
from commands import done, refused

from duobiao.bundle import MANIFEST, read_bundle, write_bundle

Records = list[dict[str, str | None]]
RECORDS: Records = [
    {"id": "b", "text": "快递坏了，喜欢", "context": None, "note": "kept"},
    {"id": "a", "text": "是我", "context": "身份确认", "note": None},
    {"id": "空", "text": "", "context": "身份确认", "note": "no text"},
    {"id": "3", "text": '他说"开票"，\n第二行, 找经理', "context": "售后", "note": None},
    {"id": "4", "text": "打错了", "context": None, "note": None},
    {"id": "2", "text": "  ", "context": None, "note": "blank"},
]


def json_lines(path: Path, records: Records, encoding: str = "utf-8") -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding=encoding)


def table(path: Path, records: Records, encoding: str = "utf-8", delimiter: str = ",") -> None:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(records[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(records)
    path.write_bytes(stream.getvalue().encode(encoding))


def parquet(path: Path, records: Records) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), path)


def excel(path: Path, records: Records) -> None:
    book = openpyxl.Workbook()
    assert book.active
    book.active.append(list(records[0]))
    for record in records:
        book.active.append(list(record.values()))
    book.save(path)


FORMATS: dict[str, tuple[str, Callable[[Path, Records], None]]] = {
    "jsonl": (".jsonl", json_lines),
    "jsonl with a byte-order mark": (".jsonl", lambda path, records: json_lines(path, records, "utf-8-sig")),
    "jsonl in gb18030": (".jsonl", lambda path, records: json_lines(path, records, "gb18030")),
    "json": (".json", lambda path, records: path.write_text(json.dumps(records), encoding="utf-8") and None),
    "csv": (".csv", table),
    "csv as Excel saves it": (".csv", lambda path, records: table(path, records, "utf-8-sig")),
    "csv in gb18030": (".csv", lambda path, records: table(path, records, "gb18030")),
    "tsv": (".tsv", lambda path, records: table(path, records, delimiter="\t")),
    "parquet": (".parquet", parquet),
    "xlsx": (".xlsx", excel),
}


def answers(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def wanted(chain: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What the linear bundle answers to RECORDS, asked from Python."""
    model = __import__("duobiao").load(chain.linear)
    found = model.predict([str(r["text"]) for r in RECORDS], [r["context"] for r in RECORDS])
    lines = [{"id": r["id"], "labels": p.labels, "scores": p.scores} for r, p in zip(RECORDS, found, strict=True)]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_answers(chain: Any, tmp_path: Path, kind: str, wanted: bytes):
    suffix, write = FORMATS[kind]
    write(tmp_path / f"rows{suffix}", RECORDS)
    result = done("predict", chain.linear, "--input", tmp_path / f"rows{suffix}", "--output", tmp_path / "answers.jsonl")
    assert (tmp_path / "answers.jsonl").read_bytes() == wanted
    assert result.stdout == ""
    assert "6 rows" in result.stderr


def test_answers_are_a_line_a_row_in_input_order_with_three_keys(chain: Any, wanted: bytes):
    found = answers(wanted.decode())
    assert [answer["id"] for answer in found] == [record["id"] for record in RECORDS]
    names = read_bundle(chain.linear).space.names
    for answer, record in zip(found, RECORDS, strict=True):
        assert list(answer) == ["id", "labels", "scores"]
        assert set(answer["labels"]) <= set(answer["scores"]) <= set(names)
        assert all(0 <= score <= 1 for score in answer["scores"].values())
        assert ("身份确认/是" in answer["scores"]) == (record["context"] == "身份确认")
    assert {"物流", "质量"} <= set(found[0]["labels"])


@pytest.mark.parametrize("name", ["teacher", "student", "control"])
def test_torch_bundles_answer_files_and_rows_without_text(chain: Any, tmp_path: Path, name: str):
    place = getattr(chain, name)
    excel(tmp_path / "rows.xlsx", RECORDS)
    json_lines(tmp_path / "rows.jsonl", RECORDS)
    texts = []
    for suffix in ("xlsx", "jsonl"):
        done("predict", place, "--input", tmp_path / f"rows.{suffix}", "--output", tmp_path / f"{suffix}.jsonl")
        texts.append((tmp_path / f"{suffix}.jsonl").read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    found = answers(texts[0])
    assert [answer["id"] for answer in found] == [record["id"] for record in RECORDS]
    assert len(set(found[2]["labels"]) & {"正面", "中性", "负面"}) == 1, "an exclusive group is answered, text or not"


def test_pipes_in_and_out(chain: Any, tmp_path: Path, wanted: bytes):
    json_lines(tmp_path / "rows.jsonl", RECORDS)
    rows = (tmp_path / "rows.jsonl").read_bytes()
    result = done("predict", chain.linear, "--input", "-", "--output", "-", stdin=rows)
    assert result.stdout_bytes == wanted
    command = [sys.executable, "-m", "duobiao", "predict", str(chain.linear), "--input", "-", "--output", "-"]
    shown = subprocess.run(command, input=rows, capture_output=True, check=True, timeout=300)
    assert shown.stdout == wanted
    assert shown.stderr.decode() == "-: 6 rows\n"


def test_a_reader_that_goes_away_is_no_traceback(chain: Any, tmp_path: Path):
    json_lines(tmp_path / "rows.jsonl", RECORDS * 500)
    command = f"'{sys.executable}' -m duobiao predict '{chain.linear}' --input '{tmp_path}/rows.jsonl' --output - | head -n 1"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, check=True, timeout=300)
    assert len(answers(shown.stdout.decode())) == 1
    assert shown.stderr == b""


def test_rows_without_ids_are_numbered_and_own_column_names_are_mapped(chain: Any, tmp_path: Path):
    (tmp_path / "rows.csv").write_text("内容,节点\n快递坏了,\n是我,身份确认\n", encoding="utf-8")
    columns = ("--columns", "text=内容, context=节点")
    done("predict", chain.linear, "--input", tmp_path / "rows.csv", "--output", tmp_path / "a.jsonl", *columns)
    found = answers((tmp_path / "a.jsonl").read_text(encoding="utf-8"))
    assert [answer["id"] for answer in found] == ["2", "3"], "the lines of the file"
    assert "身份确认/是" in found[1]["scores"]


def test_labels_in_the_input_are_not_looked_at(chain: Any, tmp_path: Path):
    rows = [{"id": "1", "text": "快递坏了", "labels": ["天气"]}, {"id": "2", "text": "快递", "labels": {"odd": 1}}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done("predict", chain.linear, "--input", tmp_path / "rows.jsonl", "--output", tmp_path / "a.jsonl")
    assert len(answers((tmp_path / "a.jsonl").read_text(encoding="utf-8"))) == 2


# ---- thresholds ----------------------------------------------------------------------------------------


def independent(place: Path, chain: Any, folder: Path) -> list[tuple[list[str], dict[str, float]]]:
    """Independent labels given and their scores, row by row."""
    done("predict", place, "--input", chain.test, "--output", folder / "answers.jsonl")
    names = read_bundle(place).space.independent
    found = answers((folder / "answers.jsonl").read_text(encoding="utf-8"))
    return [([n for n in answer["labels"] if n in names], {n: answer["scores"][n] for n in names}) for answer in found]


def test_thresholds_in_the_bundle_are_the_ones_that_decide(chain: Any, tmp_path: Path):
    bundle = read_bundle(chain.linear)
    values = bundle.thresholds["values"]
    assert all(0.01 <= value <= 0.99 for value in values.values())
    before = independent(chain.linear, chain, tmp_path)
    for given, scores in before:
        assert given == [name for name, score in scores.items() if score >= values[name]]
    scores = np.array([list(scores.values()) for _, scores in before])
    changed = {name: float(np.median(scores[:, number])) for number, name in enumerate(values)}
    assert all(abs(changed[name] - values[name]) > 1e-3 for name in values)
    thresholds = {**bundle.thresholds, "values": changed}
    write_bundle(tmp_path / "changed", dataclasses.replace(bundle, thresholds=thresholds))
    after = independent(tmp_path / "changed", chain, tmp_path)
    assert [scores for _, scores in after] == [scores for _, scores in before]
    assert [given for given, _ in after] != [given for given, _ in before]
    counts = [sum(name in given for given, _ in after) for name in values]
    assert counts == [int((scores[:, number] >= changed[name]).sum()) for number, name in enumerate(values)]


def test_thresholds_changed_by_hand_are_noticed(chain: Any, tmp_path: Path):
    bundle = read_bundle(chain.linear)
    write_bundle(tmp_path / "copy", bundle)
    manifest = json.loads((tmp_path / "copy" / MANIFEST).read_text(encoding="utf-8"))
    manifest["thresholds"]["values"]["物流"] = 0.123
    (tmp_path / "copy" / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    output = tmp_path / "a.jsonl"
    refused("predict", tmp_path / "copy", "--input", chain.test, "--output", output, names=(MANIFEST, "changed"))
    assert not output.exists()
