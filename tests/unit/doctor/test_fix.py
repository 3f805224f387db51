import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from duobiao.data.read import read_rows
from duobiao.doctor.fix import FIXES, fix
from duobiao.errors import ConfigError, DataError

LONG = "昨天买的那件衣服到现在都还没有发货"
OTHER = "请问你们的发票什么时候能够开出来呢"
THIRD = "什么时候才能把我的钱退回到卡里来呀"
PHONE = "138" + "0000" + "0000"


def write(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def labelled(text: str, *labels: str, **more: Any) -> dict[str, Any]:
    return {"text": text, "labels": list(labels), **more}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    train = [
        labelled(LONG, "A", note="kept"),
        labelled(LONG, "A"),  # a duplicate
        labelled(OTHER, "A"),  # stands in test too
        labelled("   ", "A"),
        labelled("东西\u200b坏了", "B"),
        labelled("浣犲ソ锛屾垜瑕侀€€璐э紝璋㈣阿", "B"),
        labelled(THIRD, "A"),  # contradicts the next
        labelled(THIRD, "B"),
        labelled("好的", "A"),
        labelled("好的", "A"),
        labelled(f"请打{PHONE}", "A"),
    ]
    test = [labelled(OTHER, "A"), labelled(OTHER, "A"), labelled("好的", "A"), labelled("", "A"), labelled("請問到了沒有", "A")]
    return {"train": write(tmp_path / "in" / "train.jsonl", train), "test": write(tmp_path / "in" / "test.jsonl", test)}


def test_only_safe_repairs_are_made_by_default_and_the_originals_stay(files: dict[str, Path], tmp_path: Path):
    before = snapshot(tmp_path / "in")
    fixed = fix(files, tmp_path / "out")
    assert snapshot(tmp_path / "in") == before
    assert fixed.fixes == ["mojibake", "invisible", "empty", "duplicates", "leaks"]
    train = lines(tmp_path / "out" / "train.jsonl")
    texts = [record["text"] for record in train]
    assert texts == [LONG, "东西坏了", "你好，我要退货，谢谢", THIRD, THIRD, "好的", "好的", f"请打{PHONE}"]
    assert train[0] == labelled(LONG, "A", note="kept")  # further columns stay
    assert [record["text"] for record in lines(tmp_path / "out" / "test.jsonl")] == [OTHER, OTHER, "好的", "請問到了沒有"]


def test_the_diff_tells_every_change_with_its_reason(files: dict[str, Path], tmp_path: Path):
    fix(files, tmp_path / "out")
    found = {(Path(e["file"]).name, e["row"], e["what"]): e for e in lines(tmp_path / "out" / "diff.jsonl")}
    assert found.keys() == {
        ("train.jsonl", 2, "duplicates"),
        ("train.jsonl", 3, "leaks"),
        ("train.jsonl", 4, "empty"),
        ("train.jsonl", 5, "invisible"),
        ("train.jsonl", 6, "mojibake"),
        ("test.jsonl", 4, "empty"),
    }
    assert found["train.jsonl", 3, "leaks"]["because"] == "test.jsonl:1"
    assert found["train.jsonl", 3, "leaks"]["after"] is None
    assert found["train.jsonl", 5, "invisible"]["before"] == "东西\u200b坏了"
    assert found["train.jsonl", 5, "invisible"]["after"] == "东西坏了"
    summary = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert "| 11 | 8 | 1 | 1 | 1 | 1 | 1 |" in summary


def test_contradicting_labels_go_to_a_person(files: dict[str, Path], tmp_path: Path):
    fixed = fix(files, tmp_path / "out")
    (case,) = lines(tmp_path / "out" / "review.jsonl")
    assert case["text"] == THIRD
    assert [(row["at"], row["labels"]) for row in case["rows"]] == [("train.jsonl:7", ["A"]), ("train.jsonl:8", ["B"])]
    assert len(fixed.review) == 1


def test_a_disputed_text_is_not_dropped_as_a_leak(tmp_path: Path):
    files = {
        "train": write(tmp_path / "train.jsonl", [labelled(LONG, "A"), labelled(LONG, "A")]),
        "test": write(tmp_path / "test.jsonl", [labelled(LONG, "B")]),
    }
    fixed = fix(files, tmp_path / "out")
    assert fixed.counts() == {}
    assert len(fixed.review) == 1


@pytest.mark.parametrize("name", list(FIXES))
def test_each_repair_can_be_chosen_alone(files: dict[str, Path], tmp_path: Path, name: str):
    if name == "simplified":
        pytest.importorskip("opencc")
    fixed = fix(files, tmp_path / "out", only=[name])
    done = {what for _, what in fixed.counts()}
    assert done == ({"near-leaks"} - {"near-leaks"} if name == "near-leaks" else {name})
    assert fixed.fixes == [name]


def test_width_case_and_white_space_make_no_other_text(tmp_path: Path):
    texts = ["我的ＶＩＰ会员 怎么还没到账", "我的vip会员怎么还没到账", "我的VIP会员\u200b怎么还没到账"]
    files = {
        "train": write(tmp_path / "train.jsonl", [labelled(text, "A") for text in texts]),
        "test": write(tmp_path / "test.jsonl", [labelled(OTHER, "A")]),
    }
    fixed = fix(files, tmp_path / "out")
    assert fixed.counts() == {("train", "duplicates"): 2, ("train", "invisible"): 1}
    assert [record["text"] for record in lines(tmp_path / "out" / "train.jsonl")] == texts[:1]


def test_near_leaks_leave_the_training_file_only(tmp_path: Path):
    files = {
        "train": write(tmp_path / "train.jsonl", [labelled(LONG + "呢", "A"), labelled(OTHER, "A")]),
        "test": write(tmp_path / "test.jsonl", [labelled(LONG, "A")]),
    }
    fix(files, tmp_path / "out", only=["near-leaks"])
    assert [record["text"] for record in lines(tmp_path / "out" / "train.jsonl")] == [OTHER]
    assert len(lines(tmp_path / "out" / "test.jsonl")) == 1


def test_repaired_copies_need_no_more_repair(files: dict[str, Path], tmp_path: Path):
    once = fix(files, tmp_path / "out")
    again = fix({name: Path(file["to"]) for name, file in once.files.items()}, tmp_path / "again")
    assert again.counts() == {}


@pytest.mark.parametrize("place", ["in", "in/..", "."])
def test_a_folder_that_holds_the_originals_is_refused(files: dict[str, Path], tmp_path: Path, place: str):
    before = snapshot(tmp_path / "in")
    with pytest.raises(ConfigError, match="holds the originals"):
        fix(files, tmp_path / place)
    assert snapshot(tmp_path / "in") == before


def test_a_link_to_the_originals_folder_is_refused(files: dict[str, Path], tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(ConfigError, match="holds the originals"):
        fix(files, tmp_path / "link")


def test_a_repair_that_does_not_exist_is_refused(files: dict[str, Path], tmp_path: Path):
    with pytest.raises(ConfigError, match="no such repair: magic"):
        fix(files, tmp_path / "out", only=["magic"])
    assert not (tmp_path / "out").exists()


def test_unreadable_lines_are_kept_in_the_diff_and_unsound_rows_in_the_copy(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"text": "一"}\n{"text": "坏\n{"text": ["x"]}\n{"text": "半'.encode() + b'\xe5"}\n')
    fix({"data": path}, tmp_path / "out")
    assert [record["text"] for record in lines(tmp_path / "out" / "a.jsonl")] == ["一", ["x"], "半\ufffd"]
    found = {entry["what"]: entry for entry in lines(tmp_path / "out" / "diff.jsonl")}
    assert found.keys() == {"unreadable", "unsound", "damaged"}
    assert found["unreadable"]["before"] == '{"text": "坏'
    assert (found["unreadable"]["row"], found["unsound"]["row"], found["damaged"]["row"]) == (2, 3, 4)


def test_a_table_whose_rest_cannot_be_read_is_not_copied(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text('text,labels\n一,A\n"二,A\n三,A\n', encoding="utf-8")
    with pytest.raises(DataError, match="line 3"):
        fix({"data": path}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tables_keep_columns_and_become_utf8(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes('内容,标签,备注\n"快\u200b递,没到",A,"说\n明"\n,A,\n好的,A,\n'.encode("gb18030"))
    fix({"data": path}, tmp_path / "out", columns={"text": "内容", "labels": "标签"})
    data = (tmp_path / "out" / "a.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    cells = list(csv.reader(data.decode("utf-8-sig").splitlines(keepends=True)))
    assert cells == [["内容", "标签", "备注"], ["快递,没到", "A", "说\n明"], ["好的", "A", ""]]


def test_a_short_row_of_a_table_is_told_with_its_text(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("text,labels\n一,A\n二\n三,A\n", encoding="utf-8")
    fix({"data": path}, tmp_path / "out")
    (entry,) = lines(tmp_path / "out" / "diff.jsonl")
    assert (entry["what"], entry["row"], entry["before"]) == ("unreadable", 3, "二")


def test_json_parquet_and_excel_stay_what_they_are(tmp_path: Path):
    records = [
        {"text": "=1+1", "labels": "A", "n": 1},
        {"text": "", "labels": "A", "n": 2},
        {"text": "坏\u200b了", "labels": "B", "n": 3},
    ]
    (tmp_path / "a.json").write_text(json.dumps(records), encoding="utf-8")
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / "a.parquet")
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for line in (["text", "labels", "n"], *([r["text"].replace("=1+1", "1+1"), r["labels"], r["n"]] for r in records)):
        book.active.append(line)
    book.save(tmp_path / "a.xlsx")
    for name in ("a.json", "a.parquet", "a.xlsx"):
        fix({"data": tmp_path / name}, tmp_path / "out")
        rows = read_rows(tmp_path / "out" / name)
        first = "1+1" if name.endswith("xlsx") else "=1+1"
        assert [(row.text, row.extra["n"]) for row in rows] == [(first, 1), ("坏了", 3)], name


def test_a_text_that_looks_like_a_formula_stays_text_in_excel(tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl")
    from duobiao.doctor.copies import write_copy

    write_copy(tmp_path / "a.xlsx", tmp_path / "a.xlsx", [{"text": "=1+1\x01"}], ["text"])
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").active
    assert sheet["A2"].data_type == "s"
    assert [row.text for row in read_rows(tmp_path / "a.xlsx")] == ["=1+1\x01"]


def test_a_copy_that_excel_cannot_hold_is_refused(tmp_path: Path):
    pytest.importorskip("openpyxl")
    from duobiao.doctor.copies import write_copy

    with pytest.raises(DataError, match="row 2: a text of 40,000 characters"):
        write_copy(tmp_path / "a.xlsx", tmp_path / "a.xlsx", [{"text": "好" * 40_000}], ["text"])
    assert list(tmp_path.iterdir()) == []


def test_files_of_one_name_get_copies_of_two_names(tmp_path: Path):
    files = {name: write(tmp_path / name / "rows.jsonl", [labelled(name, "A")]) for name in ("train", "test")}
    fix(files, tmp_path / "out")
    assert lines(tmp_path / "out" / "train-rows.jsonl")[0]["text"] == "train"
    assert lines(tmp_path / "out" / "test-rows.jsonl")[0]["text"] == "test"
