import io
import sys
from pathlib import Path
from typing import Any

import pytest
from systems import Reader, make_system, row, store

import duobiao
from duobiao import progress
from duobiao.data.load import load_splits
from duobiao.evaluate.compare import compare
from duobiao.progress import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Seconds that pass only when a test says so."""
    now = {"now": 1000.0}
    monkeypatch.setattr(progress.time, "monotonic", lambda: now["now"])
    return now


def test_a_terminal_gets_a_bar():
    stream = Terminal()
    with progress.use(Console(stream)), progress.task("teacher", 4) as task:
        for number in range(4):
            task.advance(1, f"loss {number}")
    shown = stream.getvalue()
    assert "\r" in shown
    assert "teacher" in shown
    assert "4/4" in shown
    assert "100%" in shown
    assert "loss 3" in shown


def test_a_resumed_bar_starts_where_it_was():
    stream = Terminal()
    with progress.use(Console(stream)), progress.task("teacher", 10, done=7):
        assert "7/10" in stream.getvalue()


def test_the_bar_is_closed_when_the_work_fails():
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), progress.use(Console(stream)), progress.task("work", 2):
        raise KeyboardInterrupt
    assert stream.getvalue().endswith("\n")


def test_elsewhere_there_are_plain_lines_now_and_then(clock: dict[str, float]):
    stream = io.StringIO()
    with progress.use(Console(stream, every=10)), progress.task("teacher", 100) as task:
        for number in range(100):
            clock["now"] += 0.5
            task.advance(1, f"loss {number}")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "teacher: 20/100 in 10 s (2.0 a second), about 40 s left loss 19"
    assert len(lines) == 6, "one each ten seconds, and one at the end"
    assert lines[-1].startswith("teacher: 100/100 in 50 s (2.0 a second), about 0 s left")
    assert "\r" not in stream.getvalue()


def test_the_time_left_counts_only_what_this_run_did(clock: dict[str, float]):
    stream = io.StringIO()
    with progress.use(Console(stream, every=10)), progress.task("teacher", 100, done=80) as task:
        clock["now"] += 20
        task.advance(10)
    assert stream.getvalue().splitlines()[0] == "teacher: 90/100 in 20 s (0.5 a second), about 20 s left"


def test_short_work_is_not_worth_a_line(clock: dict[str, float]):
    stream = io.StringIO()
    with progress.use(Console(stream, every=10)), progress.task("teacher", 100) as task:
        clock["now"] += 9
        task.advance(100)
    assert stream.getvalue() == ""


def test_messages_are_lines():
    for stream in (io.StringIO(), Terminal()):
        with progress.use(Console(stream)):
            progress.say("no dev file given")
        assert stream.getvalue() == "no dev file given\n"


def test_the_console_writes_to_standard_error(capsys: pytest.CaptureFixture[str]):
    with progress.use(Console()):
        progress.say("hello")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "hello\n")


def test_the_reporter_ends_with_its_block(capsys: pytest.CaptureFixture[str]):
    stream = io.StringIO()
    with pytest.raises(ValueError, match="x"), progress.use(Console(stream)):
        raise ValueError("x")
    progress.say("after")
    assert stream.getvalue() == ""
    shown = capsys.readouterr()
    assert shown.out + shown.err == ""


def test_the_library_is_silent_when_used_from_python(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tiny_rows: Any, write_rows: Any
):
    from duobiao.config import load_config
    from duobiao.train import recipe

    rows = write_rows(tmp_path / "rows.jsonl", tiny_rows.train)
    splits = load_splits(rows, None, None, write_to=tmp_path / "linear")  # speaks of an inferred space and of dev rows
    recipe.train(load_config("linear"), splits.train, splits.dev, splits.space, tmp_path / "linear")
    recipe.train(load_config("linear"), splits.train, splits.dev, splits.space, tmp_path / "linear")  # finished before
    duobiao.load(tmp_path / "linear").predict(["快递"], context=[None])
    monkeypatch.setattr("duobiao.classifier.make_backend", lambda bundle: Reader(bundle.space))
    compare([store(tmp_path / "a")], [row("物流", "物流")], tmp_path / "out", rounds={1: 1, 32: 1})
    with progress.task("nothing", 3) as task:
        task.advance()
    sys.stdout.flush()
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_training_by_gradient_is_silent_too(tmp_path: Path, capfd: pytest.CaptureFixture[str], tiny_rows: Any, tiny_space: Any):
    from duobiao.config import load_config
    from duobiao.train import recipe

    shape = "shape={layers: 1, hidden: 8, heads: 1, intermediate: 8, vocab_size: 150}"
    config = load_config("teacher-small", [shape, "train.epochs=1", "input.max_length=32"])
    recipe.train(config, tiny_rows.train, tiny_rows.dev, tiny_space, tmp_path / "teacher")
    assert make_system().predict(["物流"])
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")
