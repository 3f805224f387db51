import json
from pathlib import Path
from typing import Any

import pytest

from duobiao import progress
from duobiao.data.load import load_splits
from duobiao.errors import DataError, LabelSpaceError
from duobiao.labels import LabelSpace


class Listener:
    """A reporter that keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def start(self, label: str, total: int, done: int) -> Any:
        raise AssertionError("no progress bar is expected")

    def finish(self, task: Any) -> None:
        raise AssertionError("no progress bar is expected")

    def say(self, message: str) -> None:
        self.said.append(message)


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def numbered(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"text": f"第{n}句", "labels": ["物流"], **fields} for n in range(count)]


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write(tmp_path / "train.jsonl", numbered(30))


def test_files_and_space_as_given(tmp_path: Path, train: Path):
    dev = write(tmp_path / "dev.jsonl", [{"text": "好", "labels": ["质量"]}])
    labels = tmp_path / "labels.yaml"
    labels.write_text("labels: [物流, 质量, 发票]", encoding="utf-8")
    for given in (labels, LabelSpace.from_yaml(labels)):
        found = load_splits(train, dev, given, write_to=tmp_path / "out")
        assert found.space.names == ("物流", "质量", "发票")
        assert [row.text for row in found.train] == [f"第{n}句" for n in range(30)]
        assert [row.labels for row in found.dev] == [("质量",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dev.jsonl", "labels.yaml", "train.jsonl"]


def test_without_a_dev_file_a_tenth_is_split_off_and_said(train: Path):
    listener = Listener()
    with progress.use(listener):
        found = load_splits(train, None, LabelSpace(("物流",)))
    assert (len(found.train), len(found.dev)) == (27, 3)
    assert not {row.text for row in found.train} & {row.text for row in found.dev}
    assert listener.said == ["no dev file given: 3 of 30 rows split off for it"]
    assert load_splits(train, None, LabelSpace(("物流",))) == found


def test_dialogues_are_not_torn_when_a_dev_part_is_split_off(tmp_path: Path):
    records = [{**record, "group_id": f"d{n // 5}"} for n, record in enumerate(numbered(60))]
    found = load_splits(write(tmp_path / "a.jsonl", records), None, LabelSpace(("物流",)))
    assert not {row.group_id for row in found.train} & {row.group_id for row in found.dev}


def test_an_inferred_space_has_the_labels_of_both_files_and_is_written_out(tmp_path: Path, train: Path):
    dev = write(tmp_path / "dev.jsonl", [{"text": "好", "labels": ["质量"]}])
    listener = Listener()
    out = tmp_path / "runs" / "linear"
    with progress.use(listener):
        found = load_splits(train, dev, None, write_to=out)
    written = tmp_path / "runs" / "linear.labels.yaml"
    assert LabelSpace.from_yaml(written) == found.space == LabelSpace(("物流", "质量"))
    assert [path.name for path in out.parent.iterdir()] == [written.name]
    assert str(written) in listener.said[-1]


def test_a_space_that_the_user_has_edited_is_not_written_over(tmp_path: Path, train: Path):
    edited = tmp_path / "out.labels.yaml"
    edited.write_text("labels: [物流, 以后]\n", encoding="utf-8")
    listener = Listener()
    with progress.use(listener):
        found = load_splits(train, None, None, write_to=tmp_path / "out")
    assert found.space.names == ("物流",)
    assert edited.read_text(encoding="utf-8") == "labels: [物流, 以后]\n"
    assert f"--labels {edited}" in listener.said[-1]


def test_nothing_is_written_where_no_place_is_given(tmp_path: Path, train: Path):
    load_splits(train, None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]


def test_rows_without_labels_are_all_named(tmp_path: Path, train: Path):
    dev = write(tmp_path / "dev.jsonl", [{"text": "好"}, {"text": "坏", "labels": []}])
    write(train, [*numbered(2), {"text": "x"}])
    with pytest.raises(DataError, match="2 rows have no labels") as caught:
        load_splits(train, dev, None, write_to=tmp_path / "out")
    assert caught.value.problems == (f"{train}: row 3: has no labels", f"{dev}: row 1: has no labels")
    assert "--columns labels=" in caught.value.hint
    assert not (tmp_path / "out.labels.yaml").exists()


def test_where_no_row_has_a_label_there_is_nothing_to_learn(tmp_path: Path):
    train = write(tmp_path / "train.jsonl", numbered(20, labels=[]))
    with pytest.raises(DataError, match="no row has a label") as caught:
        load_splits(train, None, None, write_to=tmp_path / "out")
    assert str(train) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]


def test_nothing_is_written_when_no_dev_part_can_be_split_off(tmp_path: Path):
    train = write(tmp_path / "train.jsonl", numbered(3))
    with pytest.raises(DataError, match="too few rows to split"):
        load_splits(train, None, None, write_to=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]


def test_column_names_and_separator_reach_both_files(tmp_path: Path):
    train = write(tmp_path / "a.jsonl", [{"内容": f"{n}", "labels": "物流/质量"} for n in range(3)])
    found = load_splits(train, train, None, columns={"text": "内容"}, separator="/")
    assert found.space.names == ("物流", "质量")
    assert [row.text for row in found.dev] == ["0", "1", "2"]


def test_labels_that_the_space_lacks_are_refused_with_their_rows(train: Path):
    with pytest.raises(DataError) as caught:
        load_splits(train, None, LabelSpace(("质量",)))
    assert len(caught.value.problems) == 30
    assert caught.value.problems[4] == f"{train}: row 5: label '物流' is not in the label space"


def test_a_missing_space_file_is_refused(train: Path, tmp_path: Path):
    with pytest.raises(LabelSpaceError, match=r"none\.yaml"):
        load_splits(train, None, tmp_path / "none.yaml")
