"""What a bundle keeps of its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from systems import Reader, make_bundle, make_system, row, store

from duobiao import classifier
from duobiao.bundle import read_bundle
from duobiao.card import CARD
from duobiao.card.stamp import stamp
from duobiao.data.rows import Row, rows_digest
from duobiao.errors import BundleError, ConfigError, DataError
from duobiao.evaluate.evidence import describe, evidence, on_test_rows, sheet
from duobiao.evaluate.metrics import score
from duobiao.labels import LabelSpace

SPACE = LabelSpace(("a", "b", "c"))


def some(rows: int, groups: int | None = None) -> tuple[Any, Any, list[Row]]:
    random = np.random.default_rng(rows)
    cells = random.choice([0, 0, 1, -1], (rows, 3)).astype(np.int8)
    decided = (cells == 1) ^ (random.random(cells.shape) < 0.2)
    made = [Row(str(n), "x", group_id=None if groups is None else str(n % groups)) for n in range(rows)]
    return cells, decided, made


def test_it_holds_the_metrics_and_says_of_what():
    cells, decided, rows = some(50, groups=17)
    thresholds = {"values": {"a": 0.5}}
    found = evidence(cells, decided, rows, SPACE, thresholds, "dev")
    wanted = score(cells, decided, SPACE)
    assert {key: found[key] for key in wanted if key != "per_label"} == {
        key: wanted[key] for key in wanted if key != "per_label"
    }
    for name, label in wanted["per_label"].items():
        assert {key: found["per_label"][name][key] for key in label} == label
    assert (found["unit"], found["units"], found["how"]) == ("group_id", 17, "dev")
    assert (found["digest"], found["of"]) == (rows_digest(rows), stamp(thresholds))
    assert found["of"] != stamp({"values": {"a": 0.4}})


def test_the_interval_is_that_of_drawing_rows_anew():
    cells, decided, rows = some(120)
    low, high = sheet(cells, decided, rows, SPACE)["intervals"]["micro_f1"]
    random = np.random.default_rng(1)
    drawn = [score(cells[at], decided[at], SPACE)["micro_f1"] for at in random.integers(0, 120, (1500, 120))]
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.012)
    assert low < score(cells, decided, SPACE)["micro_f1"] < high


def test_each_label_has_an_interval_of_its_own():
    cells, decided, rows = some(300)
    found = sheet(cells, decided, rows, SPACE)
    assert found["intervals"].keys() == {"micro_f1", "macro_f1", "samples_f1", "subset_accuracy", "hamming_loss"}
    for label in found["per_label"].values():
        assert label["interval"][0] < label["f1"] < label["interval"][1]
    few = sheet(cells[:5], decided[:5], rows[:5], SPACE)
    assert few["intervals"] == {}, "so few rows allow for none"


def test_rows_of_one_dialogue_that_agree_make_the_interval_wider():
    cells, decided, rows = some(40)
    alone = sheet(np.tile(cells, (10, 1)), np.tile(decided, (10, 1)), rows * 10, SPACE)["intervals"]["micro_f1"]
    grouped = [Row(str(n), "x", group_id=str(n % 40)) for n in range(400)]
    together = sheet(np.tile(cells, (10, 1)), np.tile(decided, (10, 1)), grouped, SPACE)["intervals"]["micro_f1"]
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(classifier, "make_backend", lambda bundle: Reader(bundle.space))
    return store(tmp_path / "b")


def test_test_rows_licence_and_notes_come_into_the_card_and_stay(place: Path, tmp_path: Path):
    before = read_bundle(place).digest
    (tmp_path / "n.md").write_bytes("内部使用".encode("gb18030"))
    found = describe(place, [row("物流", "物流"), row("质量", "物流")], license_name="mit", notes=tmp_path / "n.md")
    assert found is not None
    assert (found["rows"], found["how"], found["of"]) == (2, "test", before)
    assert read_bundle(place).digest == before
    describe(place, notes="")
    assert read_bundle(place).metrics["card"] == {"license": "mit"}
    text = (place / CARD).read_text(encoding="utf-8")
    assert "license: mit" in text
    assert "内部使用" not in text
    assert f"| micro-F1 | {found['micro_f1']:.3f} |" in text


def test_licence_and_notes_need_no_model_but_a_whole_bundle(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(classifier, "make_backend", lambda bundle: pytest.fail("the model was loaded"))
    assert describe(place, license_name="mit", notes="内部") is None
    assert "内部" in (place / CARD).read_text(encoding="utf-8")
    (place / "note.txt").write_text("y", encoding="utf-8")
    with pytest.raises(BundleError, match="damaged"):
        describe(place, license_name="apache-2.0")


def test_a_licence_that_the_hub_does_not_know_is_refused_before_the_bundle_is_read(place: Path, tmp_path: Path):
    before = (place / CARD).read_bytes()
    with pytest.raises(ConfigError, match="the Hub knows no licence 'Apache-2'") as error:
        describe(place, license_name="Apache-2")
    assert error.value.hint.startswith("did you mean apache-2.0")
    with pytest.raises(ConfigError, match="no licence"):
        describe(tmp_path / "nowhere", license_name="not a licence")
    assert (place / CARD).read_bytes() == before
    describe(place, license_name="other")
    describe(place, license_name="")
    assert "card" not in read_bundle(place).metrics


def test_rows_of_its_own_are_no_test(place: Path):
    rows = [row("物流", "物流")]
    system = make_system(metrics={"data": {"dev": {"digest": rows_digest(rows)}, "positives": {"物流": 1}}})
    with pytest.raises(ConfigError, match="its own dev rows"):
        on_test_rows(system, rows)
    assert on_test_rows(system, [row("质量", "质量")])["micro_f1"] == 1


def test_bad_rows_and_notes_change_nothing(place: Path, tmp_path: Path):
    before = (place / CARD).read_bytes()
    with pytest.raises(DataError, match="problems between the rows"):
        describe(place, [row("物流", "x")], license_name="mit")
    with pytest.raises(DataError, match=r"none\.md: cannot be read"):
        describe(place, notes=tmp_path / "none.md")
    assert (place / CARD).read_bytes() == before
    assert read_bundle(place).metrics == make_bundle().metrics
