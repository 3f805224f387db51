"""``add-label`` from the command line, on the tiny chain."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import done, duobiao, refused, tree

from duobiao.bundle import read_bundle, write_bundle
from duobiao.classifier import Classifier
from duobiao.config import load_config
from duobiao.data.read import read_rows
from duobiao.data.rows import Row, model_inputs, targets
from duobiao.errors import DataError
from duobiao.evaluate.metrics import score
from duobiao.labels import LabelSpace
from duobiao.train.add_label import Settings, add_label
from duobiao.train.add_label_rows import NewLabels
from duobiao.train.add_label_work import Work
from duobiao.train.grow import output_of
from duobiao.train.keep_old import Further
from duobiao.train.recipe import train


class StoppedError(Exception):
    """What ends a run in the middle."""


WORD = "退钱"
NEW = "退款"


def new_rows(word: str = WORD, label: str = NEW, count: int = 32) -> list[Row]:
    """Rows, half of them with a word of the new label; labelled for it alone."""
    chance = random.Random(5)
    words = ["你们", "今天", "麻烦", "快递", "坏了", "开票", "生气", "喜欢", "那个东西"]
    rows = []
    for number in range(count):
        own = [*chance.sample(words, 3), *([word] if number % 2 else [])]
        chance.shuffle(own)
        rows.append(Row(str(number), "，".join(own), labels=(label,) if number % 2 else (), source=f"new:{number}"))
    return rows


@pytest.fixture(scope="module")
def files(tiny_rows: Any, write_rows: Callable[[Path, Sequence[Row]], Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """New rows, old rows, and dev rows of which a few carry the new label and its word."""
    folder = tmp_path_factory.mktemp("more")
    dev = [
        replace(row, text=f"{row.text}，{WORD}", labels=(*(row.labels or ()), NEW)) if number % 3 == 0 else row
        for number, row in enumerate(tiny_rows.dev)
    ]
    return {
        "new": write_rows(folder / "new.jsonl", new_rows()),
        "old": write_rows(folder / "old.jsonl", tiny_rows.train),
        "dev": write_rows(folder / "dev.jsonl", dev),
        "all": write_rows(folder / "all.jsonl", [*tiny_rows.train, *tiny_rows.dev]),
    }


def old_logits(bundle: Path, rows: Sequence[Row], names: Sequence[str]) -> np.ndarray:
    system = Classifier.load(bundle)
    return system.logits(**model_inputs(rows))[:, [system.space.index[name] for name in names]]


@pytest.mark.parametrize("name", ["linear", "teacher", "student"])
def test_a_label_is_added_and_the_old_ones_stay_bit_for_bit(chain: Any, files: Any, tmp_path: Path, name: str) -> None:
    old, out = getattr(chain, name), tmp_path / "grown"
    before = tree(old)
    result = done(
        *("add-label", old, "--name", NEW, "--train", files["new"], "--dev", files["dev"], "--out", out),
        *("--json", tmp_path / "added.json", "--md", tmp_path / "gate.md", "--lang", "en"),
    )
    assert "Gate passed" in result.stdout
    assert f"new label '{NEW}': held-out F1" in result.stdout
    assert tree(old) == before
    rows = read_rows(files["all"])
    names = read_bundle(old).space.names
    # a product with one column more may be rounded otherwise, so the logits are equal but for the last digit
    assert old_logits(out, rows, names) == pytest.approx(old_logits(old, rows, names), abs=1e-5)
    was, now = read_bundle(old), read_bundle(out)
    places = [now.space.index[label] for label in names]
    for kept, grown in zip(output_of(was), output_of(now), strict=True):
        assert np.array_equal(kept, grown[places])
    body = {key for key, array in was.weights.items() if array.shape == now.weights[key].shape}
    assert len(was.weights) - len(body) == 2
    assert all(np.array_equal(was.weights[key], now.weights[key]) for key in body)
    assert now.space.independent == (*was.space.independent, NEW)
    assert {key: now.thresholds["values"][key] for key in was.thresholds["values"]} == was.thresholds["values"]
    assert now.metrics["add_label"]["from"] == was.digest
    more = output_of(now)[0].shape[1] + 1  # one output row with its bias
    assert now.metrics["parameters"] == was.metrics["parameters"] + more
    found = json.loads((tmp_path / "added.json").read_text(encoding="utf-8"))
    assert (found["accepted"], found["gate"]["flips"]["rows"]) == (True, 0)
    assert found["labels"][0]["positives"] == 6
    assert "Gate passed" in (tmp_path / "gate.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["added.json", "gate.md", "grown"]


def test_a_label_is_learned_from_few_rows(tiny_rows: Any, tiny_space: LabelSpace, files: Any, tmp_path: Path) -> None:
    """The word of the new label stands in old texts too, so that the linear model has an n-gram for it."""
    rows = [replace(row, text=f"{row.text}，{WORD}") if at % 5 == 0 else row for at, row in enumerate(tiny_rows.train)]
    old = train(load_config("linear"), rows, tiny_rows.dev, tiny_space, tmp_path / "old")
    found = add_label(old, NewLabels((NEW,)), new_rows(), read_rows(files["dev"]), tmp_path / "grown")
    assert found.gate.found["flips"]["rows"] == 0
    assert found.labels[0]["f1"] > 0.8
    assert found.labels[0]["low"] <= found.labels[0]["f1"] <= found.labels[0]["high"]
    answers = Classifier.load(found.place).predict([f"今天，{WORD}", "今天，你们"])
    assert [NEW in one.labels for one in answers] == [True, False]


@pytest.mark.parametrize("name", ["linear", "student"])
def test_the_grown_model_answers_the_dev_rows_once(
    chain: Any, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    dev, computed, asked = read_rows(files["dev"]), Classifier._computed, list[int]()

    def counted(system: Classifier, texts: Sequence[str], *rest: Any) -> Any:
        asked.append(len(texts))
        return computed(system, texts, *rest)

    monkeypatch.setattr(Classifier, "_computed", counted)
    path = getattr(chain, name)
    work = Work.begin(path, NewLabels((NEW,)), new_rows(), dev, (), Settings(), tmp_path / "grown", False)
    bundle, logits = work.fit()
    _, system = work.decided(bundle, logits, 1.0)
    assert asked == [len(dev)]
    again = system.logits(**model_inputs(dev))
    np.testing.assert_allclose(logits, again, atol=1e-5)
    decided = system.decided(again, [row.context for row in dev])[1]
    assert system.bundle.metrics["dev"]["micro_f1"] == score(targets(work.dev, work.space), decided, work.space)["micro_f1"]


def test_without_it_in_dev_rows_new_rows_choose_the_threshold(chain: Any, files: Any, tmp_path: Path) -> None:
    run = ("add-label", chain.linear, "--name", NEW, "--train", files["new"], "--dev", chain.dev, "--out", tmp_path / "grown")
    result = done(*run)
    assert "no dev row has a new label" in result.stderr
    assert read_bundle(tmp_path / "grown").metrics["add_label"]["dev_rows"] == 16 + 6
    refused(*run, names=("a bundle is there already", "--force"))
    done(*run, "--force")


def test_the_whole_model_goes_on_learning_and_remembers(chain: Any, files: Any, tmp_path: Path) -> None:
    rows, names = read_rows(files["all"]), read_bundle(chain.student).space.names
    base = old_logits(chain.student, rows, names)
    common = ("--name", NEW, "--train", files["new"], "--dev", files["dev"], "--replay", files["old"], "--learn", "all")
    moved = {}
    for weight in ("0", "20"):
        out = tmp_path / f"kept-{weight}"
        more = ("--keep-weight", weight, "--set", "train.epochs=6", "--set", "train.lr=0.01", "--accept-drops")
        done("add-label", chain.student, *common, *more, "--out", out)
        assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(out.name)) == [out.name]
        moved[weight] = float(np.abs(old_logits(out, rows, names) - base).mean())
        bundle = read_bundle(out)
        assert bundle.metrics["add_label"]["learn"] == "all"
        assert bundle.config["train"]["epochs"] == 6
        history = [json.loads(line) for line in bundle.files["metrics.jsonl"].splitlines()]
        assert {"kept", "labels", "loss"} <= history[-1].keys()
    assert 0 < moved["20"] < moved["0"]


def test_what_is_trained_is_not_trained_again_if_the_gate_was_not_reached(
    chain: Any, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, dev = tmp_path / "grown", read_rows(files["dev"])
    settings = Settings("all", accept_drops=True, overrides=("train.epochs=1",))

    def run(settings: Settings) -> Path:
        return add_label(chain.student, NewLabels((NEW,)), new_rows(), dev, out, settings=settings).place

    def stop(*_: Any) -> Any:
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr("duobiao.train.add_label.diff", stop)
        with pytest.raises(StoppedError):
            run(settings)
    trained = read_bundle(tmp_path / "grown.candidate")
    with monkeypatch.context() as patch:
        patch.setattr(Further, "_fit", stop)
        with pytest.raises(StoppedError):
            run(replace(settings, seed=1))
        made = read_bundle(run(settings))
    assert all(np.array_equal(made.weights[key], array) for key, array in trained.weights.items() if "output" not in key)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".soft_labels", "grown"]


def test_a_taken_place_of_the_candidate_is_told_before_any_work(
    chain: Any, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no.candidate").mkdir()
    (tmp_path / "no.candidate" / "mine.txt").write_text("x", encoding="utf-8")
    monkeypatch.setattr(Work, "fit", lambda work: pytest.fail("the work began"))
    run = ("add-label", chain.student, "--name", NEW, "--train", files["new"], "--dev", files["dev"], "--out", tmp_path / "no")
    refused(*run, "--learn", "all", names=("no.candidate", "is no bundle"))


def test_without_old_rows_the_old_bundles_word_is_enough(chain: Any, files: Any, tmp_path: Path) -> None:
    run = ("add-label", chain.teacher, "--name", NEW, "--train", files["new"], "--dev", files["dev"], "--learn", "all")
    done(*run, "--set", "train.epochs=1", "--out", tmp_path / "grown", "--accept-drops")
    refused(*run, "--keep-weight", "0", "--out", tmp_path / "no", names=("would forget",))
    assert not (tmp_path / "no").exists()


def test_a_label_that_swallows_its_group_is_rejected(
    chain: Any, files: Any, tmp_path: Path, write_rows: Callable[[Path, Sequence[Row]], Path]
) -> None:
    words = [
        f"{word}，{filler}" for word in ("喜欢", "还行", "生气") for filler in ("今天", "你们", "麻烦", "快递", "坏了", "开票")
    ]
    greedy = [Row(str(at), text, labels=("说不清",)) for at, text in enumerate(words)]
    rows = write_rows(tmp_path / "greedy.jsonl", [*greedy, Row("last", "东西", labels=("中性",))])
    run = ("add-label", chain.linear, "--name", "说不清", "--group", "情感", "--train", rows, "--dev", files["all"])
    result = duobiao(*run, "--out", tmp_path / "grown", "--lang", "en")
    assert result.exit_code == 1, result.output
    assert "Gate failed" in result.stdout
    assert "group '情感': accuracy fell" in result.stdout
    assert not (tmp_path / "grown").exists()
    assert read_bundle(tmp_path / "grown.rejected").metrics["add_label"]["passed"] is False
    accepted = done(*run, "--out", tmp_path / "grown", "--accept-drops", "--lang", "en")
    assert "written all the same" in accepted.stdout
    assert (tmp_path / "grown").is_dir()


def test_parts_bring_their_label_along_or_take_its_place(chain: Any, tiny_rows: Any, tmp_path: Path) -> None:
    rows = [*new_rows("加急", "加急单"), *new_rows("平邮", "平邮单")]
    asked = NewLabels(("加急单", "平邮单"), split="物流")
    kept = add_label(chain.linear, asked, rows, tiny_rows.dev, tmp_path / "kept", replay=tiny_rows.train)
    assert kept.accepted
    system = Classifier.load(kept.place)
    assert system.decoder.settings.parents == {"加急单": ("物流",), "平邮单": ("物流",)}
    answer = system.predict(["今天，加急，你们"])[0].labels
    assert {"物流", "加急单"} <= set(answer)
    assert "平邮单" not in answer
    gone = add_label(
        chain.linear, replace(asked, remove=True), rows, tiny_rows.dev, tmp_path / "gone", settings=Settings(accept_drops=True)
    )
    assert "物流" not in Classifier.load(gone.place).labels
    assert [one["label"] for one in gone.gate.found["removed"]] == ["物流"]
    assert not any(one["what"] == "removed" for one in gone.gate.found["reasons"])


def test_operating_points_and_calibration_come_along(chain: Any, files: Any, tmp_path: Path) -> None:
    points = ("--point", "careful=precision>=0.6:物流,质量", "--point", "micro=micro-f1")
    done("tune", chain.linear, "--data", files["all"], *points, "--out", tmp_path / "tuned", "--set", "fallback=物流")
    tuned = read_bundle(tmp_path / "tuned")  # whose few rows may keep no map
    calibration = {"temperature": {"质量": 2.0, "情感": 0.5}, "isotonic": {}}
    write_bundle(tmp_path / "tuned", replace(tuned, thresholds={**tuned.thresholds, "calibration": calibration}))
    done(
        *("add-label", tmp_path / "tuned", "--name", NEW, "--train", files["new"], "--dev", files["dev"]),
        *("--out", tmp_path / "grown"),
    )
    was, now = read_bundle(tmp_path / "tuned").thresholds, read_bundle(tmp_path / "grown").thresholds
    assert now["calibration"] == was["calibration"] == calibration
    for old, new in ((was, now), *((was["points"][name], now["points"][name]) for name in was["points"])):
        assert new["target"] == old["target"]
        assert new["settings"] == old["settings"]
        assert {name: new["values"][name] for name in old["values"]} == old["values"]
        assert 0 < new["values"][NEW] < 1
    gone = NewLabels(("甲",), split="物流", remove=True)
    made = add_label(
        tmp_path / "tuned", gone, new_rows(label="甲"), read_rows(files["all"]), tmp_path / "gone",
        settings=Settings(accept_drops=True),
    )  # fmt: skip
    left = read_bundle(made.place).thresholds
    assert left["settings"]["fallback"] is None
    assert left["points"]["careful"]["target"]["labels"] == ["质量"]


def test_what_cannot_be_added_is_refused_before_anything_is_written(
    chain: Any, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "no"
    run = ("add-label", chain.linear, "--train", files["new"], "--dev", files["dev"], "--out", out)
    refused(*run, "--name", "物流", names=("'物流' is in the label space already",))
    refused(*run, "--name", "", names=("--name '': an empty label name", "correct the options"))
    refused(*run, "--name", NEW, "--learn", "all", names=("nothing but its output",))
    refused(*run, "--name", NEW, "--learn", "some", names=("output or all",))
    refused(*run, "--name", NEW, "--set", "train.lr=1", names=("--set is for --learn all",))
    refused(*run, "--name", "别的", names=("is not in the label space", NEW))
    refused(*run, "--name", NEW, "--name", "别的", names=("'别的': no row has it",))
    refused(*run, "--name", NEW, "--replay", tmp_path / "nowhere.jsonl", names=("nowhere.jsonl",))
    everywhere = [replace(row, labels=(*(row.labels or ()), NEW)) for row in read_rows(chain.dev)]
    with pytest.raises(DataError, match="place no threshold") as error:
        add_label(chain.linear, NewLabels((NEW,)), new_rows(), everywhere, out)
    assert error.value.problems == (f"{NEW!r}: no dev row is known to lack it",)
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused(*run, "--name", NEW, names=("one process",))
    monkeypatch.delenv("WORLD_SIZE")
    (out.parent / "no.rejected").mkdir()
    (out.parent / "no.rejected" / "mine.txt").write_text("x", encoding="utf-8")
    refused(*run, "--name", NEW, names=("no.rejected", "is no bundle"))
    assert not out.exists()
