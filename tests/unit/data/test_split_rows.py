"""The whole split: what stays together, what is reported, what is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.data.split import parse_shares, split_file, split_rows
from duobiao.data.units import text_key, tied_units
from duobiao.errors import DataError

TEXTS = st.sampled_from(["好的", "好 的", "不用了", "谁啊", *(f"句{at}" for at in range(30))])
CELLS = st.tuples(TEXTS, st.none() | st.sampled_from("abcdefgh"), st.lists(st.sampled_from("xyz"), unique=True))


@settings(deadline=None, max_examples=100)
@given(st.lists(CELLS, min_size=1, max_size=40), st.integers(0, 3), st.sampled_from(["both", "group", "text"]))
def test_nothing_that_belongs_together_stands_on_two_sides(cells, seed, together):
    rows = [Row(f"r{at}", text, labels=tuple(labels), group_id=group) for at, (text, group, labels) in enumerate(cells)]
    try:
        split = split_rows(rows, seed=seed, together=together)
    except DataError:
        units = tied_units(rows, together)  # only where there is too little to go round
        assert units.max() < 12 or max(units.tolist().count(unit) for unit in set(units.tolist())) > 1
        return
    assert sorted(row.id for part in split.parts.values() for row in part) == sorted(row.id for row in rows)
    assert split.aside == []
    texts: dict[str, set[str]] = {}
    groups: dict[str, set[str]] = {}
    for name, part in split.parts.items():
        assert [int(row.id[1:]) for row in part] == sorted(int(row.id[1:]) for row in part)
        for row in part:
            texts.setdefault(text_key(row.text), set()).add(name)
            groups.setdefault(str(row.group_id), set()).add(name)
    groups.pop("None", None)
    if together != "group":
        assert all(len(names) == 1 for names in texts.values())
    if together != "text":
        assert all(len(names) == 1 for names in groups.values())
    sides = split.report["on_both_sides"]
    assert sides["rows_by_text"] == sum(len(texts[text_key(row.text)]) > 1 for row in rows)
    assert sides["rows_by_group"] == sum(len(groups.get(str(row.group_id), ())) > 1 for row in rows)


def test_the_report_states_the_imbalance_that_is_left():
    rows = [Row(str(at), f"文{at}", labels=("多",)) for at in range(97)]
    rows += [Row(str(at), f"文{at}", labels=("少",)) for at in range(97, 100)]
    report = split_rows(rows).report
    assert report["splits"]["train"]["rows"] == 80
    few = report["labels"]["少"]
    assert few["rows"] == sum(few["counts"].values()) == 3
    for name, wanted in (("train", 0.8), ("dev", 0.1), ("test", 0.1)):
        assert few["shares"][name] == pytest.approx(few["counts"][name] / 3, abs=1e-3)
        assert few["deviation"] >= abs(few["counts"][name] / 3 - wanted) - 1e-3
    assert report["largest_deviation"]["label"] == "少"
    assert report["mean_deviation"] == pytest.approx((few["deviation"] + report["labels"]["多"]["deviation"]) / 2, abs=1e-3)
    missing = [name for name in ("train", "dev", "test") if not few["counts"][name]]
    assert missing
    assert [name for name, labels in report["absent"].items() if "少" in labels] == missing


def test_a_label_that_no_row_has_is_absent_everywhere():
    from duobiao.labels import LabelSpace

    rows = [Row(str(at), f"文{at}", labels=("a",)) for at in range(30)]
    report = split_rows(rows, space=LabelSpace(("a", "b"))).report
    assert all(labels == ["b"] for labels in report["absent"].values())
    assert report["largest_deviation"]["label"] == "a"


def test_one_block_cannot_be_split():
    rows = [Row(str(at), "好的", labels=("x",)) for at in range(50)]
    with pytest.raises(DataError, match="nothing is left for dev, test") as caught:
        split_rows(rows)
    assert "1 blocks, the largest of 50 rows" in caught.value.hint
    with pytest.raises(DataError, match="too few rows"):
        split_rows([])


@pytest.mark.parametrize(
    ("shares", "names", "found"),
    [
        ("0.8,0.1,0.1", None, {"train": 0.8, "dev": 0.1, "test": 0.1}),
        ("80,10,10", None, {"train": 0.8, "dev": 0.1, "test": 0.1}),
        ("0.9,0.1", None, {"train": 0.9, "dev": 0.1}),
        ("0.5,0.5", "甲,乙", {"甲": 0.5, "乙": 0.5}),
    ],
)
def test_shares_are_read(shares, names, found):
    assert parse_shares(shares, names) == pytest.approx(found)


@pytest.mark.parametrize(
    ("shares", "names", "why"),
    [
        ("0.8,0.1", None, "add up to 0.9"),
        ("0.8,x", None, "not numbers"),
        ("1", None, "two shares or more"),
        ("1.1,-0.1", None, "above 0"),
        ("nan,1", None, "above 0"),
        ("0.25,0.25,0.25,0.25", None, "as many different names"),
        ("0.5,0.5", "a,a", "as many different names"),
        ("0.5,0.5", "a,../b", "cannot be a file's name"),
        ("0.5,0.5", "a,aside", "cannot be a file's name"),
    ],
)
def test_shares_that_are_none_are_refused(shares, names, why):
    with pytest.raises(DataError) as caught:
        parse_shares(shares, names)
    assert why in str(caught.value)


def write(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def test_files_hold_the_same_rows_again(tmp_path: Path):
    records = [
        {
            "id": f"r{at}",
            "text": f"文{at}",
            "labels": ["x"] if at % 2 else [],
            "group_id": f"d{at // 2}",
            "来源": at,
            "unknown": [],
        }
        for at in range(40)
    ]
    del records[5]["labels"]
    path = write(tmp_path / "rows.jsonl", records)
    split = split_file(path, tmp_path / "out")
    again = {row.id: row for name in split.parts for row in read_rows(tmp_path / "out" / f"{name}.jsonl")}
    for row in read_rows(path):
        other = again.pop(row.id)
        assert (row.text, row.labels, row.group_id, dict(row.extra)) == (
            other.text,
            other.labels,
            other.group_id,
            dict(other.extra),
        )
    assert again == {}
    assert json.loads((tmp_path / "out" / "split.json").read_text(encoding="utf-8")) == split.report
    assert not (tmp_path / "out" / "aside.jsonl").exists()


def test_the_input_is_never_replaced(tmp_path: Path):
    path = write(tmp_path / "train.jsonl", [{"id": str(at), "text": f"文{at}", "labels": []} for at in range(40)])
    with pytest.raises(DataError, match="is the input itself"):
        split_file(path, tmp_path)
    assert len(read_rows(path)) == 40


def test_an_own_column_with_a_fields_name_is_kept(tmp_path: Path):
    path = tmp_path / "rows.csv"
    lines = [f"{at},句{at},别的{at},x" for at in range(40)]
    path.write_text("id,内容,text,labels\n" + "\n".join(lines) + "\n", encoding="utf-8")
    split = split_file(path, tmp_path / "out", columns={"text": "内容"})
    first = json.loads((tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["text"] == f"句{first['id']}"
    assert first["text_"] == f"别的{first['id']}"
    assert len(split.parts["train"]) == 32
