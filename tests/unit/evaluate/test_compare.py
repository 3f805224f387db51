import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from systems import NODE, SPACE, Reader, row, store

from duobiao.bundle import Bundle
from duobiao.errors import BundleError, ConfigError, DataError
from duobiao.evaluate import compare as module
from duobiao.evaluate.budget import Budget
from duobiao.evaluate.cases import look_at
from duobiao.evaluate.compare import View, compare, examined_name
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
        ({"x/one": "甲", "y/one": "甲"}, ["x/one", "y/one"]),
        ({"x/one": "甲", "y/one": "甲", "z": "乙"}, ["x/one", "y/one", "乙"]),
        ({"x/one": "甲", "y/two": "甲", "z": "one"}, ["x/one", "y/two", "one"]),
    ],
)
def test_equal_names_fall_back_to_the_ends_of_paths(tmp_path: Path, stored: dict[str, str], names: list[str]):
    bundles = [store(tmp_path / place, name) for place, name in stored.items()]
    found = run(tmp_path / "out", *bundles)
    assert [system["name"] for system in found] == names


def test_different_label_spaces_are_refused_and_the_difference_is_listed(tmp_path: Path):
    data = SPACE.to_dict()
    data["labels"] = ["物流", "质量", "退款"]
    data["groups"]["情感"]["at_most_one"] = True
    other = store(tmp_path / "b", space=LabelSpace.from_dict(data))
    with pytest.raises(BundleError) as error:
        run(tmp_path / "out", store(tmp_path / "a"), other)
    assert str(other) in error.value.message
    assert str(tmp_path / "a") in error.value.message
    assert "only in the first: 发票" in error.value.problems
    assert "only in the second: 退款" in error.value.problems
    assert "group 情感: exactly one label in the first, one label or none (at_most_one) in the second" in error.value.problems
    assert len(error.value.problems) == 3
    assert not (tmp_path / "out").exists()


def test_a_bundle_that_is_given_twice_is_refused(tmp_path: Path):
    first, again = store(tmp_path / "a"), tmp_path / "b"
    again.symlink_to(first)
    with pytest.raises(BundleError) as error:
        run(tmp_path / "out", first, store(tmp_path / "c"), again, tmp_path / "c" / ".." / "a")
    assert error.value.problems == (f"{again}: given twice", f"{tmp_path / 'c' / '..' / 'a'}: given twice")
    assert not (tmp_path / "out").exists()


def test_a_column_that_is_not_there_is_refused_before_a_system_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []
    monkeypatch.setattr(module, "judge", lambda system, rows: asked.append(system))
    with pytest.raises(DataError, match="no column '渠道'"):
        run(tmp_path / "out", store(tmp_path / "a"), view=View(slices=("length", "渠道")))
    assert not asked


def test_the_third_space_is_checked_as_well(tmp_path: Path):
    fewer = LabelSpace.from_dict({**SPACE.to_dict(), "labels": ["质量", "物流"]})
    bundles = [store(tmp_path / "a"), store(tmp_path / "b"), store(tmp_path / "c", space=fewer)]
    with pytest.raises(BundleError) as error:
        run(tmp_path / "out", *bundles)
    assert error.value.problems == ("only in the first: 发票",)


def test_labels_in_another_order_change_nothing_that_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same system, its columns in another order, has the same scores to the last bit, and its mistakes the same names."""
    groups = SPACE.to_dict()["groups"]
    shuffled = LabelSpace.from_dict(
        {
            "labels": ["发票", "物流", "质量"],
            "groups": {NODE: {**groups[NODE], "labels": ["他人", "本人"]}, "情感": {"labels": ["负面", "正面"]}},
        }
    )
    assert shuffled.names != SPACE.names
    sure = {"物流": 3.1, "质量": 2.3, "发票": -1.7, "正面": 0.9, "负面": 1.3, "本人": -0.4, "他人": 2.2}

    class Varied(Reader):
        """Logits of an uneven size, so that no two columns can be taken for each other."""

        def logits(self, pairs: Any, label: str = "") -> Any:
            steps = [sure[name] for name in self.space.names]
            return super().logits(pairs, label) / 4 + np.array(steps, dtype=np.float32)

    monkeypatch.setattr("duobiao.classifier.make_backend", lambda bundle: Varied(bundle.space))
    thresholds = {"values": {"物流": 0.9, "质量": 0.97, "发票": 0.3}, "settings": {"max_k": 2}}
    first = store(tmp_path / "a", "甲", thresholds=thresholds)
    same = store(tmp_path / "b", "乙", thresholds=thresholds)
    turned = store(tmp_path / "c", "丙", thresholds=thresholds, space=shuffled)
    timed = {"name", "rows_per_s", "p50_ms", "p95_ms", "speedup", "speedups", "reference", "mb", "dominated_by", "against"}
    seen: list[Any] = []

    def watched(*given: Any) -> Any:
        seen.append(look_at(*given))
        return seen[-1]

    monkeypatch.setattr(module, "look_at", watched)
    plain = run(tmp_path / "plain", first, same, view=View(examine="乙"))
    found = run(tmp_path / "out", first, turned, view=View(examine="丙"))
    for key in plain[1].keys() - timed:
        assert found[1][key] == plain[1][key], key
        assert found[1][key] == found[0][key], key
    assert found[1]["against"] == plain[1]["against"]
    assert list(found[1]["per_label"]) == list(SPACE.names)
    told = [[(one["mistake"], one["parts"]) for one in cases.mistakes] for cases in seen]
    assert told[0] == told[1] != []


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

    def measure(systems: Any, rows: Any, *rest: Any, order: list[int]) -> Any:
        given.append([rows[number].id for number in order])
        return real(systems, rows, *rest, order=order)

    real = module.measure
    monkeypatch.setattr(module, "measure", measure)
    monkeypatch.setattr(module, "TIMED_ROWS", 20)
    rows = [row("物流", "物流", id=str(number)) for number in range(200)]
    compare([store(tmp_path / "a")], rows, tmp_path / "out", rounds=ROUNDS)
    compare([tmp_path / "a"], rows, tmp_path / "out", rounds=ROUNDS)
    assert len(set(given[0])) == 20
    assert max(map(int, given[0])) > 100
    assert given[0] == given[1], "the same rows each time"


def test_the_cores_are_those_that_the_process_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {3, 5, 8, 13, 21}, raising=False)
    run(tmp_path / "out", store(tmp_path / "a"), view=View(language="en"))
    for file in ("compare.md", "report.html"):
        assert re.search(r"\b5 (CPU )?cores", (tmp_path / "out" / file).read_text(encoding="utf-8")), file


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path):
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be written"):
        run(tmp_path / "out", store(tmp_path / "a"))
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_title_and_language_reach_the_report(tmp_path: Path):
    run(tmp_path / "out", store(tmp_path / "a"), view=View(language="en", title="My calls"))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<h1>My calls</h1>" in page
    assert "Quality against time" in page


# ---- what is compared, and how it is shown -----------------------------------------------------------

MANY = [row(f"物流 正面 {number}", "物流", "正面", id=str(number)) for number in range(40)] + [
    row(f"物流 {number}", "质量", "负面", id=str(number)) for number in range(40, 43)
]


def test_systems_are_set_against_each_other(tmp_path: Path):
    small, large = store(tmp_path / "a", "小"), store(tmp_path / "b", "大", files={"big.txt": "x" * 900_000})
    found = compare([small, large], MANY, tmp_path / "out", rounds=ROUNDS)
    assert found[0]["dominated_by"] == []
    assert set(found[1]["dominated_by"]) <= {"小"}
    assert found[0]["against"].keys() == {"大"}
    assert found[0]["against"]["大"]["gain"] == 0.0
    assert not found[0]["against"]["大"]["told_apart"]
    assert found[0]["against"]["大"]["macro_f1"]["gain"] == 0.0
    assert found[0]["against"]["大"]["flips"] == {"only_ours": 0, "only_theirs": 0, "p": 1.0, "test": "mcnemar"}
    assert "rows that only it has right" in (tmp_path / "out" / "compare.md").read_text(encoding="utf-8")
    assert 0 < found[0]["calibration"]["ece"] < 0.2
    pairs = {tuple(pair["labels"]): (pair["true"], pair["decided"]) for pair in found[0]["cooccurrence"]["pairs"]}
    assert pairs == {("质量", "负面"): (3, 0), ("物流", "正面"): (40, 43)}, (
        "of two equal logits the first label of a group is taken"
    )
    table = found[0]["cooccurrence"]["table"]
    first, second = table["labels"].index("物流"), table["labels"].index("正面")
    assert table["true"][first][second] == 40
    assert "against" in json.loads((tmp_path / "out" / "compare.json").read_text(encoding="utf-8"))[0]


def test_a_budget_is_answered_in_the_report_and_in_markdown(tmp_path: Path):
    view = View(language="en", budget=Budget(max_mb=0.0001))
    run(tmp_path / "out", store(tmp_path / "a"), view=view)
    for file in ("report.html", "compare.md"):
        assert "No system meets all of: at most 0.0001 MB." in (tmp_path / "out" / file).read_text(encoding="utf-8")


def test_texts_are_shown_or_left_out_but_labels_may_be_wrong_either_way(tmp_path: Path):
    bundle = store(tmp_path / "a")
    place = tmp_path / "doubts" / "suspects.jsonl"
    for texts in (True, False):
        out = tmp_path / str(texts)
        compare([bundle], MANY, out, rounds=ROUNDS, view=View(texts=texts, suspects=place))
        page = (out / "report.html").read_text(encoding="utf-8")
        assert ("物流 正面 7" in page) is False, "only rows with something wrong are shown"
        assert ("物流 41" in page) is texts
        assert "41" in page
        assert "物流 41" not in (out / "compare.json").read_text(encoding="utf-8")
    records = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()]
    assert {record["id"] for record in records} <= {"40", "41", "42"}


def test_the_examined_system_is_the_answer_else_the_best_student_else_the_best():
    systems: list[dict[str, Any]] = [
        {"name": "teacher", "micro_f1": 0.9, "p95_ms": {"1": 90.0}, "mb": 90.0, "notes": []},
        {"name": "student", "micro_f1": 0.8, "p95_ms": {"1": 9.0}, "mb": 9.0, "notes": ["teacher=teacher"]},
        {"name": "control", "micro_f1": 0.85, "p95_ms": {"1": 9.0}, "mb": 9.0, "notes": ["teacher=none (control)"]},
    ]
    assert examined_name(systems, Budget()) == "student"
    assert examined_name(systems, Budget(max_ms=10)) == "control"
    assert examined_name(systems, Budget(max_ms=1)) == "student"
    assert examined_name(systems[::2], Budget()) == "teacher"
    systems[1]["notes"] = ["teacher=none-2024"]
    assert examined_name(systems, Budget()) == "student", "a teacher may have any name"


def test_a_system_that_is_not_there_cannot_be_examined(tmp_path: Path):
    with pytest.raises(ConfigError, match="'x': no such system"):
        run(tmp_path / "out", store(tmp_path / "a"), view=View(examine="x"))
    with pytest.raises(DataError, match="JSONL"):
        run(tmp_path / "out", store(tmp_path / "a"), view=View(suspects=tmp_path / "x.csv"))
    assert not (tmp_path / "out").exists()
