import json
from pathlib import Path
from typing import Any

import pytest
from systems import NODE, SPACE, Reader, make_system, row

from duobiao import predict, progress
from duobiao.data.rows import Row
from duobiao.errors import DataError
from duobiao.predict import check_output, predict_file, predict_rows

ROWS = [
    row("物流 正面", id="甲"),
    row("", id="2"),
    row("本人", id="2", context=NODE),
    row("质量 发票 负面", id="9"),
    row("x", id="1"),
]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(predict, "CHUNK", 2)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_one_answer_a_row_in_order_with_exactly_three_keys():
    answers = list(predict_rows(make_system(), ROWS))
    assert [list(answer) for answer in answers] == [["id", "labels", "scores"]] * 5
    assert [answer["id"] for answer in answers] == ["甲", "2", "2", "9", "1"]
    assert answers[0]["labels"] == ["物流", "正面"]
    assert answers[3]["labels"] == ["质量", "发票", "负面"]
    assert answers[2]["labels"] == ["正面", "本人"]  # of equally likely labels the first one


def test_scores_are_of_what_is_asked_and_nothing_else():
    answers = list(predict_rows(make_system(), ROWS))
    free = [*SPACE.independent, "正面", "负面"]
    assert list(answers[0]["scores"]) == free
    assert list(answers[2]["scores"]) == [*free, "本人", "他人"]
    assert answers[0]["scores"]["物流"] == pytest.approx(0.982014)
    assert answers[0]["scores"]["正面"] + answers[0]["scores"]["负面"] == pytest.approx(1.0)


def test_rows_without_text_are_answered():
    answer = list(predict_rows(make_system(), ROWS))[1]
    assert answer["labels"] == ["正面"]
    assert set(answer["scores"]) == {*SPACE.independent, "正面", "负面"}


def test_chunks_do_not_change_the_answers(monkeypatch: pytest.MonkeyPatch):
    backend = Reader()
    pieces = list(predict_rows(make_system(backend), ROWS))
    assert backend.calls == 3
    monkeypatch.setattr(predict, "CHUNK", 100)
    assert list(predict_rows(make_system(), ROWS)) == pieces


def test_a_file_is_readable_json_lines(tmp_path: Path):
    place = tmp_path / "deep" / "answers.jsonl"
    assert predict_file(make_system(), ROWS, place) == 5
    assert read(place) == list(predict_rows(make_system(), ROWS))
    text = place.read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert text.count("\n") == 5
    assert "物流" in text
    assert [path.name for path in place.parent.iterdir()] == ["answers.jsonl"]


def test_no_rows_give_an_empty_file(tmp_path: Path):
    assert predict_file(make_system(), [], tmp_path / "a.jsonl") == 0
    assert (tmp_path / "a.jsonl").read_bytes() == b""


def test_a_pipe_gets_utf8_bytes(capfdbinary: pytest.CaptureFixture[bytes]):
    predict_file(make_system(), ROWS[:1], "-")
    shown = capfdbinary.readouterr().out
    assert json.loads(shown.decode("utf-8"))["id"] == "甲"
    assert "物流".encode() in shown


def test_half_a_character_in_an_id_comes_back_as_it_was(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]):
    broken = [Row(id="\ud83d", text="物流")]
    predict_file(make_system(), broken, tmp_path / "a.jsonl")
    assert read(tmp_path / "a.jsonl")[0]["id"] == "\ud83d"
    predict_file(make_system(), broken, "-")
    assert json.loads(capfdbinary.readouterr().out)["id"] == "\ud83d"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError, DataError("lost")])
def test_an_interrupted_prediction_leaves_nothing_half_written(tmp_path: Path, stop: Any):
    def watch(number: int) -> None:
        if number == 1:
            assert len(list(tmp_path.iterdir())) == 2, "the first chunk is on its way to a file beside"
            raise stop

    (tmp_path / "answers.jsonl").write_text("older\n", encoding="utf-8")
    with pytest.raises(stop if isinstance(stop, type) else type(stop)):
        predict_file(make_system(Reader(watch=watch)), ROWS, tmp_path / "answers.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["answers.jsonl"]
    assert (tmp_path / "answers.jsonl").read_text(encoding="utf-8") == "older\n"


@pytest.mark.parametrize("name", ["answers.csv", "answers", "answers.json", "folder.jsonl"])
def test_outputs_that_are_no_json_lines_are_refused_before_any_work(tmp_path: Path, name: str):
    (tmp_path / "folder.jsonl").mkdir()
    backend = Reader()
    with pytest.raises(DataError, match=r"\.jsonl"):
        predict_file(make_system(backend), ROWS, tmp_path / name)
    assert backend.calls == 0
    assert [path.name for path in tmp_path.iterdir()] == ["folder.jsonl"]


def test_a_place_inside_a_file_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be written"):
        predict_file(make_system(), ROWS, tmp_path / "file" / "answers.jsonl")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_the_input_is_never_replaced(tmp_path: Path):
    source = tmp_path / "rows.jsonl"
    source.write_text("{}\n", encoding="utf-8")
    with pytest.raises(DataError, match="is the input itself"):
        check_output(tmp_path / "." / "rows.jsonl", source)
    check_output(tmp_path / "other.jsonl", source)
    check_output(Path("-"), source)
    check_output(source, "-")


def test_progress_is_told_of_every_row():
    told: list[Any] = []

    class Told:
        def start(self, label: str, total: int, done: int) -> "Told":
            told.append((label, total))
            return self

        def finish(self, task: Any) -> None:
            told.append("end")

        def say(self, message: str) -> None: ...

        def advance(self, amount: int = 1, note: str = "") -> None:
            told.append(amount)

    with progress.use(Told()):
        list(predict_rows(make_system(name="小"), ROWS))
    assert told == [("predict with 小", 5), 2, 2, 1, "end"]
