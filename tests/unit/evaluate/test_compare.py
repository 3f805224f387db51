import json
from pathlib import Path
from typing import Any

import pytest
from systems import NODE, SPACE, Reader, row, store

from duobiao.bundle import Bundle
from duobiao.errors import BundleError, DataError
from duobiao.evaluate import compare as module
from duobiao.evaluate.compare import compare
from duobiao.labels import LabelSpace

ROWS = [row("物流 正面", "物流", "正面"), row("质量 负面", "质量", "发票"), row("本人", "本人", context=NODE)]
ROUNDS = {1: 2, 32: 2}
# The names that issue A promises to other people's scripts.
KEYS = {"name", "kind", "parameters", "mb", "micro_f1", "macro_f1", "group_accuracy", "speedup"}
BY_BATCH = ("rows_per_s", "p50_ms", "p95_ms")


@pytest.fixture(autouse=True)
def written_answers(monkeypatch: pytest.MonkeyPatch):
    """Bundles of any kind answer what the text names."""

    def make(bundle: Bundle) -> Reader:
        return Reader(bundle.space)

    monkeypatch.setattr("duobiao.classifier.make_backend", make)


def run(out: Path, *bundles: Path, **options: Any) -> list[dict[str, Any]]:
    return compare(bundles, ROWS, out, rounds=ROUNDS, **options)


def test_it_writes_three_files_and_every_promised_key(tmp_path: Path):
    linear, encoder = store(tmp_path / "a", "线性"), store(tmp_path / "b", "教师", "encoder")
    found = run(tmp_path / "out" / "deep", linear, encoder)
    out = tmp_path / "out" / "deep"
    assert sorted(path.name for path in out.iterdir()) == ["compare.json", "compare.md", "report.html"]
    assert json.loads((out / "compare.json").read_text(encoding="utf-8")) == found
    assert [(system["name"], system["kind"]) for system in found] == [("线性", "linear"), ("教师", "encoder")]
    for system in found:
        assert system.keys() >= KEYS
        assert system["parameters"] == Reader.parameters
        for key in BY_BATCH:
            assert set(system[key]) == {"1", "32"}
            assert all(value > 0 for value in system[key].values())
        assert system["p95_ms"]["1"] >= system["p50_ms"]["1"]
        assert system["micro_f1"] == pytest.approx(2 * 4 / (5 + 4))  # 负面 was not known; 发票 was missed
        assert system["group_accuracy"] == 1.0
    assert "线性" in (out / "compare.json").read_text(encoding="utf-8"), "Chinese stays readable"
    assert "教师" in (out / "compare.md").read_text(encoding="utf-8")
    assert "教师" in (out / "report.html").read_text(encoding="utf-8")


def test_training_rows_add_the_score_on_unseen_text(tmp_path: Path):
    bundle = store(tmp_path / "a")
    assert "unseen_text" not in run(tmp_path / "x", bundle)[0]
    found = run(tmp_path / "y", bundle, train=ROWS[:1])
    assert found[0]["unseen_text"]["rows"] == 2


def test_the_reference_is_the_first_encoder(tmp_path: Path):
    kinds = ["linear", "encoder", "encoder", "bigru"]
    bundles = [store(tmp_path / str(number), str(number), kind) for number, kind in enumerate(kinds)]
    found = run(tmp_path / "out", *bundles)
    assert [system["reference"] for system in found] == [False, True, False, False]
    assert found[1]["speedup"] == 1.0
    assert set(found[1]["speedups"].values()) == {1.0}


def test_without_an_encoder_the_first_bundle_is_the_reference(tmp_path: Path):
    bundles = [store(tmp_path / kind, kind, kind) for kind in ("bigru", "linear")]
    assert [system["reference"] for system in run(tmp_path / "out", *bundles)] == [True, False]


@pytest.mark.parametrize(
    ("stored", "names"),
    [
        ({"x/one": "甲", "x/two": "乙"}, ["甲", "乙"]),
        ({"x/one": "甲", "x/two": "甲"}, ["one", "two"]),
        ({"x/one": "甲", "y/one": "甲"}, ["{}/x/one", "{}/y/one"]),
    ],
)
def test_equal_names_fall_back_to_folders_then_to_paths(tmp_path: Path, stored: dict[str, str], names: list[str]):
    bundles = [store(tmp_path / place, name) for place, name in stored.items()]
    found = run(tmp_path / "out", *bundles)
    assert [system["name"] for system in found] == [name.format(tmp_path) for name in names]


def test_different_label_spaces_are_refused_and_the_difference_is_listed(tmp_path: Path):
    data = SPACE.to_dict()
    data["labels"] = ["物流", "质量", "退款"]
    data["groups"]["情感"]["labels"] = ["负面", "正面"]
    other = store(tmp_path / "b", space=LabelSpace.from_dict(data))
    with pytest.raises(BundleError) as error:
        run(tmp_path / "out", store(tmp_path / "a"), other)
    assert str(other) in error.value.message
    assert str(tmp_path / "a") in error.value.message
    assert "only in the first: 发票" in error.value.problems
    assert "only in the second: 退款" in error.value.problems
    assert any("group 情感" in problem for problem in error.value.problems)
    assert not (tmp_path / "out").exists()


def test_the_third_space_is_checked_as_well(tmp_path: Path):
    shuffled = LabelSpace.from_dict({**SPACE.to_dict(), "labels": ["质量", "物流", "发票"]})
    bundles = [store(tmp_path / "a"), store(tmp_path / "b"), store(tmp_path / "c", space=shuffled)]
    with pytest.raises(BundleError, match="another order"):
        run(tmp_path / "out", *bundles)


def test_notes_say_where_a_system_comes_from(tmp_path: Path):
    made = {"start": "random weights", "teacher": "none (control)", "transfer_rows": 7, "train_rows": 9}
    found = run(tmp_path / "out", store(tmp_path / "a", "a"), store(tmp_path / "b", "b", metrics=made))
    assert found[0]["notes"] == []
    assert found[1]["notes"] == ["start=random weights", "teacher=none (control)", "transfer_rows=7"]


def test_megabytes_are_what_must_be_shipped(tmp_path: Path):
    place = store(tmp_path / "a", files={"big.txt": "x" * 2_000_000, "metrics.jsonl": "y" * 5_000_000})
    shipped = sum(path.stat().st_size for path in place.iterdir() if path.name != "README.md") - 5_000_000
    found = run(tmp_path / "out", place)
    assert found[0]["mb"] == pytest.approx(shipped / 1e6, abs=0.0006)
    assert 2.0 < found[0]["mb"] < 2.1


def test_speed_is_measured_on_at_most_so_many_rows_taken_from_all_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given: list[list[str]] = []

    def measure(systems: Any, rows: Any, *rest: Any) -> Any:
        given.append([row.id for row in rows])
        return real(systems, rows, *rest)

    real = module.measure
    monkeypatch.setattr(module, "measure", measure)
    monkeypatch.setattr(module, "TIMED_ROWS", 20)
    rows = [row("物流", "物流", id=str(number)) for number in range(200)]
    compare([store(tmp_path / "a")], rows, tmp_path / "out", rounds=ROUNDS)
    compare([tmp_path / "a"], rows, tmp_path / "out", rounds=ROUNDS)
    assert len(set(given[0])) == 20
    assert max(map(int, given[0])) > 100
    assert given[0] == given[1], "the same rows each time"


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path):
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be written"):
        run(tmp_path / "out", store(tmp_path / "a"))
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_title_and_language_reach_the_report(tmp_path: Path):
    run(tmp_path / "out", store(tmp_path / "a"), language="en", title="My calls")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<h1>My calls</h1>" in page
    assert "Quality against speed" in page
