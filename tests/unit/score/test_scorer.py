"""One part, scored."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import torch
from systems import SPACE, Reader, store

from duobiao.bundle import read_bundle
from duobiao.data.stream import Stretch, form_of
from duobiao.errors import BundleError
from duobiao.score.answers import join_json_lines, join_parquet, output_name
from duobiao.score.inputs import files_of
from duobiao.score.job import Job, Part
from duobiao.score.scorer import Scorer
from duobiao.score.settings import ScoreSettings


class Shallow(Reader):
    """Leaves early: a row after as many layers as its text has characters."""

    def __init__(self) -> None:
        super().__init__(SPACE)
        self.passes = 0

    def logits_and_depths(
        self, pairs: Sequence[tuple[str, str | None]], features: Any = None, label: str = ""
    ) -> tuple[Any, Any]:
        self.passes += 1
        return super().logits(pairs), np.array([len(text) for text, _ in pairs])


class Choosy(Reader):
    """Breaks on one text."""

    def logits(self, pairs: Sequence[tuple[str, str | None]], label: str = "") -> Any:
        if any("毒" in text for text, _ in pairs):
            raise ValueError("cannot tokenize")
        return super().logits(pairs, label)


class Torn(Reader):
    """Is torn between all labels where the text holds a question mark, and sure of everything elsewhere."""

    def logits(self, pairs: Sequence[tuple[str, str | None]], label: str = "") -> Any:
        return super().logits([("" if "?" in text else text + "正面本人", context) for text, context in pairs]) * np.array(
            [[0 if "?" in text else 1] for text, _ in pairs], dtype=np.float32
        )


def scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: Any, texts: list[str], teacher: Any = None, **settings: Any
) -> Any:
    bundle, second = store(tmp_path / "bundle"), None if teacher is None else store(tmp_path / "second", "second")
    monkeypatch.setattr("duobiao.classifier.make_backend", lambda bundle: teacher if bundle.name == "second" else backend)
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps({"text": text, "labels": 3, "id": None}) + "\n" for text in texts), encoding="utf-8")
    chosen = ScoreSettings(**{"format": "jsonl", **settings})
    kept = None if chosen.keep == "all" else list(chosen.keep)
    digests = ["" if one is None else read_bundle(one).digest for one in (bundle, second)]
    job = Job(bundle, digests[0], chosen, [form_of(source)], kept, tmp_path, second, digests[1])
    size = source.stat().st_size
    return Scorer(job).score(Part(4, 0, Stretch(0, size, 1, len(texts))))


def test_depths_come_from_the_pass_that_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    backend = Shallow()
    found = scored(tmp_path, monkeypatch, backend, ["物流", "质量好", "物流"])
    answers = [json.loads(line) for line in found.answers.splitlines()]
    assert [answer["depth"] for answer in answers] == [2, 3, 2]
    assert backend.passes == 1
    table = scored(tmp_path, monkeypatch, Shallow(), ["物流", "质量好"], format="parquet")
    assert pyarrow.parquet.read_table(io.BytesIO(table.answers)).column("depth").to_pylist() == [2, 3]


def test_a_row_that_the_model_cannot_read_is_bad_and_the_others_are_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = scored(tmp_path, monkeypatch, Choosy(), ["物流", "有毒", "质量"])
    assert (found.number, found.rows, found.bad) == (4, 2, 1)
    assert [json.loads(line)["labels"][0] for line in found.answers.splitlines()] == ["物流", "质量"]
    bad = json.loads(found.refused)
    assert (bad["row"], bad["reason"]) == (2, "the model cannot read it: cannot tokenize")


def test_rows_that_fail_without_sound_neighbours_are_bad_too_but_a_model_that_fails_on_everything_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for texts in (["毒"], ["有毒", "", "毒"]):
        found = scored(tmp_path, monkeypatch, Choosy(), texts)
        assert (found.rows, found.bad, found.answers) == (0, len(texts), b"")
        reasons = [json.loads(line)["reason"] for line in found.refused.splitlines()]
        assert reasons == ["the text is empty" if not text else "the model cannot read it: cannot tokenize" for text in texts]
    for error in (ValueError("broken"), MemoryError("no memory")):

        def fail(number: int, error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error), match=str(error)):
            scored(tmp_path, monkeypatch, Reader(watch=fail), ["物流", "毒"])


def test_a_second_model_that_fails_on_everything_stops_the_run_but_one_that_fails_on_a_row_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(number: int) -> None:
        raise ValueError("broken")

    texts = ["物流", "质量?", "有毒?", "发票"]
    with pytest.raises(ValueError, match="broken"):
        scored(tmp_path, monkeypatch, Torn(), texts, Reader(watch=fail), band=0.2)
    found = scored(tmp_path, monkeypatch, Torn(), texts, Choosy(), band=0.2)
    assert [json.loads(line)["sent"] for line in found.answers.splitlines()] == [False, True, False]
    assert [json.loads(line)["row"] for line in found.refused.splitlines()] == [3]


def allocate(device: str) -> None:
    """Asks for more memory than there is, as a model does."""
    if device == "cuda":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    np.empty(10**17) if device == "numpy" else torch.empty(10**17)


@pytest.mark.parametrize("device", ["numpy", "cpu", "cuda"])
def test_want_of_memory_is_no_fault_of_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str):
    class Hungry(Reader):
        def logits(self, pairs: Sequence[tuple[str, str | None]], label: str = "") -> Any:
            if any("大" in text for text, _ in pairs):
                allocate(device)
            return super().logits(pairs, label)

    with pytest.raises(MemoryError if device == "numpy" else RuntimeError, match=r"allocate|out of memory"):
        scored(tmp_path, monkeypatch, Hungry(), ["物流", "大", "质量"])


def test_kept_columns_never_hide_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = scored(tmp_path, monkeypatch, Reader(), ["物流"], keep="all", scores="none")
    assert json.loads(found.answers) == {
        "id": f"{tmp_path / 'rows.jsonl'}:1", "labels": ["物流", "正面"], "text": "物流", "labels_": 3
    }  # fmt: skip
    assert output_name("labels", ["labels", "labels_"]) == "labels__"


def test_half_a_character_is_written_as_its_escape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = scored(tmp_path, monkeypatch, Reader(), ["物流\ud83d"], keep=("text",))
    assert json.loads(found.answers)["text"] == "物流\ud83d"
    table = scored(tmp_path, monkeypatch, Reader(), ["物流\ud83d"], keep=("text",), format="parquet")
    assert pyarrow.parquet.read_table(io.BytesIO(table.answers)).column("text").to_pylist() == ["物流\\ud83d"]


def test_another_bundle_than_that_of_the_run_is_refused(tmp_path: Path):
    job = Job(store(tmp_path / "b", "linear"), "other", ScoreSettings(format="jsonl"), [], [], tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("duobiao.classifier.make_backend", lambda bundle: Reader())
        with pytest.raises(BundleError, match="has changed since the run began"):
            Scorer(job)


def test_parts_become_one_file(tmp_path: Path):
    tables = [pyarrow.table({"id": pyarrow.array([str(n) for n in range(size)], pyarrow.string())}) for size in (3, 0, 2)]
    files = [tmp_path / f"{n}.parquet" for n in range(3)]
    for table, file in zip(tables, files, strict=True):
        pyarrow.parquet.write_table(table, file)
    join_parquet(files, tmp_path / "all.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "all.parquet").column("id").to_pylist() == ["0", "1", "2", "0", "1"]
    for number, file in enumerate(files):
        file.write_text("x\n" * number, encoding="utf-8")
    join_json_lines(files, tmp_path / "all.jsonl")
    assert (tmp_path / "all.jsonl").read_text(encoding="utf-8") == "x\nx\nx\n"


def test_inputs_are_files_globs_and_folders_each_once(tmp_path: Path):
    for name in ("b/2.csv", "b/1.jsonl.gz", "b/_SUCCESS.csv", "b/.hidden/x.csv", "b/notes.txt", "a/x.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    found = files_of([tmp_path / "a" / "x.parquet", tmp_path / "b", tmp_path / "*" / "*.csv"])
    assert [str(file.relative_to(tmp_path)) for file in found] == ["a/x.parquet", "b/1.jsonl.gz", "b/2.csv", "b/_SUCCESS.csv"]


def test_a_column_that_is_kept_twice_is_written_once():
    assert ScoreSettings(keep=("note", "note", "id2")).keep == ("note", "id2")
