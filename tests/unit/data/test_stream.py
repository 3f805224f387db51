"""Files cut into stretches, each read on its own."""

import csv
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from duobiao.data.files import records_of
from duobiao.data.stream import Item, StretchReader, form_of, stretches_of
from duobiao.errors import DataError


def read(path: Path, size: int, *, backwards: bool = False, columns: list[str] | None = None) -> list[Item]:
    """All rows, stretch by stretch."""
    form, reader = form_of(path), StretchReader(columns)
    parts = list(stretches_of(form, size))
    found = {part.start: list(reader.items(form, part)) for part in (reversed(parts) if backwards else parts)}
    assert [len(found[part.start]) for part in parts] == [part.rows for part in parts]
    assert all(part.rows <= size for part in parts)
    return [item for part in parts for item in found[part.start]]


def whole(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The same by the reader that holds the file in memory."""
    problems: list[str] = []
    found = list(records_of(path, path.name, problems))
    assert problems == []
    return found


CELLS = st.text(st.sampled_from('物流发票ab ,"\n\r\t;é😀'), max_size=6)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=12), st.integers(1, 5), st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]))
def test_tables_are_read_as_they_are_read_whole(tmp_path_factory: Any, rows: list[tuple[str, str]], size: int, encoding: str):
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([("text", "节点"), *rows])
    path = tmp_path_factory.mktemp("t") / "rows.csv"
    path.write_bytes(stream.getvalue().encode(encoding))
    try:
        wanted = whole(path)
    except DataError:  # so few bytes of GB18030 may pass for UTF-8
        assume(False)
    items = read(path, size)
    assert [(item.number, item.record) for item in items] == wanted
    assert all(item.problem == "" for item in items)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.one_of(st.none(), CELLS), max_size=12), st.integers(1, 5), st.sampled_from(["", ".gz", ".xz"]), st.booleans()
)
def test_json_lines_are_read_as_they_are_read_whole(
    tmp_path_factory: Any, texts: list[str | None], size: int, packed: str, backwards: bool
):
    folder = tmp_path_factory.mktemp("j")
    lines = ["" if text is None else json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    data = b"\xef\xbb\xbf" + "\n".join(lines).encode()
    (folder / "plain.jsonl").write_bytes(data)
    path = folder / f"rows.jsonl{packed}"
    path.write_bytes({"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[packed](data))
    items = read(path, size, backwards=backwards)
    assert [(item.number, item.record) for item in items] == whole(folder / "plain.jsonl")


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
@pytest.mark.parametrize("backwards", [False, True])
def test_parquet_is_read_across_row_groups(tmp_path: Path, size: int, backwards: bool):
    rows = [{"text": f"行{n}", "n": n, "unused": None} for n in range(53)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=10)
    items = read(tmp_path / "rows.parquet", size, backwards=backwards, columns=["text", "n"])
    assert [item.record for item in items] == [{"text": row["text"], "n": row["n"]} for row in rows]
    assert [item.number for item in items] == list(range(1, 54))


def test_parquet_stretches_far_apart_pass_over_what_is_between(tmp_path: Path):
    pyarrow.parquet.write_table(
        pyarrow.table({"text": [str(n) for n in range(5000)]}), tmp_path / "r.parquet", row_group_size=2500
    )
    form, reader = form_of(tmp_path / "r.parquet"), StretchReader()
    parts = list(stretches_of(form, 100))
    for number in (3, 17, 30, 31, 2, 49):
        texts = [item.record["text"] for item in reader.items(form, parts[number]) if item.record]
        assert texts == [str(n) for n in range(number * 100, number * 100 + 100)]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_quotation_mark_that_nobody_closes_costs_its_own_line(tmp_path: Path, size: int):
    path = tmp_path / "rows.csv"
    path.write_text('text,id\n好,1\n"开口,2\n坏,3\n他说"对",4\n"两\n行",5\n少\n"完,6', encoding="utf-8")
    items = read(path, size)
    assert [item.number for item in items if item.problem] == [3, 8, 9]
    assert [item.record["id"] for item in items if item.record] == ["1", "3", "4", "5"]
    assert [item.raw for item in items if item.problem] == ['"开口,2', "少", '"完,6']
    assert next(item.record for item in items if item.number == 6) == {"text": "两\n行", "id": "5"}


def test_a_quotation_mark_cannot_swallow_a_large_file(tmp_path: Path):
    path = tmp_path / "rows.csv"
    path.write_text('text,id\n"开口,0\n' + "".join(f"{'长' * 300},{n}\n" for n in range(3000)), encoding="utf-8")
    items = read(path, 500)
    assert [item.number for item in items if item.problem] == [2]
    assert [item.record["id"] for item in items if item.record] == [str(n) for n in range(3000)]


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_damaged_bytes_cost_their_row(tmp_path: Path, name: str):
    good = ["物流太慢", "质量不好", "发票开错", "好的好的"]
    lines = [(text if name == "rows.csv" else json.dumps({"text": text}, ensure_ascii=False)).encode() for text in good]
    lines[1] = lines[1].replace("不".encode(), b"\xe4\xb8")
    path = tmp_path / name
    path.write_bytes(b"\n".join([b"text", *lines] if name == "rows.csv" else lines) + b"\n")
    items = read(path, 3)
    assert [item.problem for item in items] == ["", "damaged encoding", "", ""]
    assert "\\xe4\\xb8" in items[1].raw
    assert [item.record["text"] for item in items if item.record] == [good[0], *good[2:]]


def test_files_that_cannot_be_streamed_are_refused(tmp_path: Path):
    (tmp_path / "a.json").write_text("[]", encoding="utf-8")
    (tmp_path / "b.csv").write_bytes("text\n物流\n".encode("utf-16"))
    (tmp_path / "c.csv").write_text("text,text\n", encoding="utf-8")
    (tmp_path / "d.csv").write_bytes(b"te\xff\xffxt\xe7\x89\xa9\xe6\xb5\x81\xe7\x89\xa9\n")
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(b'{"text": "x"}\n' * 9000)[:-30])
    (tmp_path / "f.parquet.gz").write_bytes(b"")
    for name, wanted in {
        "a.json": "not read row by row",
        "b.csv": "UTF-16",
        "c.csv": "stand there twice",
        "d.csv": "damaged encoding",
        "e.jsonl.gz": "cannot be read to its end",
        "f.parquet.gz": "not read row by row",
        "none.csv": "no such file",
    }.items():
        with pytest.raises(DataError, match=wanted):
            list(stretches_of(form_of(tmp_path / name), 10))
