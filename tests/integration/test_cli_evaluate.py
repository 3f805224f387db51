"""``duobiao evaluate`` and ``duobiao compare`` on real bundles."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import done, refused
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from duobiao.bundle import read_bundle
from duobiao.data.read import read_rows
from duobiao.data.rows import targets

AVERAGES = {"micro_f1", "macro_f1", "samples_f1", "subset_accuracy", "hamming_loss", "group_accuracy"}
KEYS = {"rows", "groups", "per_label", *AVERAGES}
SYSTEM = {"name", "kind", "parameters", "mb", "micro_f1", "macro_f1", "group_accuracy", "rows_per_s", "p50_ms", "p95_ms"}


def scores(place: Path, data: Path, out: Path, *more: Any) -> dict[str, Any]:
    done("evaluate", place, "--data", data, "--json", out, *more)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", ["linear", "student"])
def test_numbers_equal_scikit_learns_on_the_written_predictions(chain: Any, tmp_path: Path, name: str):
    place = getattr(chain, name)
    found = scores(place, chain.test, tmp_path / "scores.json")
    done("predict", place, "--input", chain.test, "--output", tmp_path / "answers.jsonl")
    given = [json.loads(line)["labels"] for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    space = read_bundle(place).space
    cells = targets(read_rows(chain.test, space=space), space)
    guess = np.array([[label in labels for label in space.names] for labels in given])
    known, truth = cells >= 0, cells == 1
    assert (known.all(axis=0) == False).any(), "some cells are unknown"  # noqa: E712
    assert found["rows"] == len(given) == 20
    assert found["micro_f1"] == pytest.approx(f1_score(truth[known], guess[known]))
    assert found["hamming_loss"] == pytest.approx(np.mean(truth[known] != guess[known]))
    rows = [f1_score(t[k], g[k], zero_division=0) for t, g, k in zip(truth, guess, known, strict=True)]
    assert found["samples_f1"] == pytest.approx(np.mean(rows))
    exact = [bool((t[k] == g[k]).all()) for t, g, k in zip(truth, guess, known, strict=True)]
    assert found["subset_accuracy"] == pytest.approx(np.mean(exact))
    for number, label in enumerate(space.names):
        seen = known[:, number]
        precision, recall, f1, _ = precision_recall_fscore_support(
            truth[seen, number], guess[seen, number], average="binary", zero_division=0
        )
        support = int(truth[seen, number].sum())
        row = {"precision": precision, "recall": recall, "f1": f1, "support": support}
        assert {key: found["per_label"][label][key] for key in row} == pytest.approx(row)
    assert found["macro_f1"] == pytest.approx(np.mean([row["f1"] for row in found["per_label"].values()]))
    right = total = 0
    for group, columns in zip(space.groups, space.slices, strict=True):
        asked = known[:, columns].all(axis=1)
        accuracy = accuracy_score(truth[asked, columns], guess[asked, columns])
        assert found["groups"][group.name]["accuracy"] == pytest.approx(accuracy)
        right, total = right + accuracy * asked.sum(), total + asked.sum()
    assert found["group_accuracy"] == pytest.approx(right / total)


def test_all_promised_keys_are_there_and_the_unseen_block_has_them_too(chain: Any, tmp_path: Path):
    found = scores(chain.linear, chain.test, tmp_path / "s.json", "--train", chain.train)
    space = read_bundle(chain.linear).space
    for block in (found, found["unseen_text"]):
        assert block.keys() >= KEYS
        assert set(block["groups"]) == {group.name for group in space.groups}
        assert all("accuracy" in group for group in block["groups"].values())
        assert set(block["per_label"]) == set(space.names)
        assert all(label.keys() >= {"precision", "recall", "f1", "support"} for label in block["per_label"].values())


def test_the_unseen_block_is_the_score_of_those_rows_alone(chain: Any, tmp_path: Path):
    lines = chain.test.read_text(encoding="utf-8").splitlines(keepends=True)
    seen = {json.loads(line)["text"] for line in chain.train.read_text(encoding="utf-8").splitlines()}
    left = [line for line in lines if json.loads(line)["text"] not in seen]
    assert 0 < len(left) <= len(lines) - 4, "the last four rows come from the training file"
    (tmp_path / "left.jsonl").write_text("".join(left), encoding="utf-8")
    whole = scores(chain.linear, chain.test, tmp_path / "whole.json", "--train", chain.train)
    alone = scores(chain.linear, tmp_path / "left.jsonl", tmp_path / "alone.json")
    assert whole["unseen_text"] == {
        key: value for key, value in alone.items() if key not in ("name", "kind", "contexts", "slices")
    }
    assert "unseen_text" not in alone


def test_training_rows_for_the_unseen_block_need_no_labels(chain: Any, tmp_path: Path):
    (tmp_path / "train.csv").write_text("内容\n喜欢\n", encoding="utf-8")
    (tmp_path / "data.csv").write_text("内容,标签\n快递坏了,物流、质量\n喜欢,正面\n", encoding="utf-8")
    columns = ("--columns", "text=内容,labels=标签", "--separator", "、")
    found = scores(chain.linear, tmp_path / "data.csv", tmp_path / "s.json", "--train", tmp_path / "train.csv", *columns)
    assert (found["rows"], found["unseen_text"]["rows"]) == (2, 1)


def test_evaluate_prints_a_table(chain: Any):
    shown = done("evaluate", chain.linear, "--data", chain.test, "--train", chain.train).stdout
    for word in ("linear", "micro_f1", "subset_accuracy", "all rows", "unseen text", "groups.身份确认"):
        assert word in shown


def dated(chain: Any, place: Path) -> Path:
    """The test rows, of two sources and three months."""
    lines = [json.loads(line) for line in chain.test.read_text(encoding="utf-8").splitlines()]
    extra = [{"来源": "电话" if number % 4 else "App", "日期": f"2024-0{number % 3 + 1}-05"} for number in range(len(lines))]
    text = "".join(json.dumps(one | more, ensure_ascii=False) + "\n" for one, more in zip(lines, extra, strict=True))
    place.write_text(text, encoding="utf-8")
    return place


def test_slices_by_columns_are_printed_and_told(chain: Any, tmp_path: Path):
    data, out = dated(chain, tmp_path / "data.jsonl"), tmp_path / "s.json"
    shown = done("evaluate", chain.linear, "--data", data, "--slice", "来源", "--slice", "日期", "--json", out).stdout
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [line["name"] for line in found["slices"]["来源"]] == ["电话", "App"]
    assert [line["rows"] for line in found["slices"]["日期"]] == [7, 7, 6]
    assert sum(line["rows"] for line in found["slices"]["length"]) == 20
    for word in ("来源 电话", "日期 2024-03", "95 %", "bootstrap over", "by node"):
        assert word in shown


def test_a_column_that_the_rows_lack_is_refused(chain: Any, tmp_path: Path):
    data = dated(chain, tmp_path / "data.jsonl")
    refused("evaluate", chain.linear, "--data", data, "--slice", "渠道", "--slice", "来源", names=("渠道", "日期, 来源"))


def test_without_draws_nothing_has_an_interval(chain: Any, tmp_path: Path):
    found = scores(chain.linear, chain.test, tmp_path / "s.json", "--draws", "0")
    whole = scores(chain.linear, chain.test, tmp_path / "t.json")
    assert set(found["intervals"].values()) == {None}
    assert found["units"] == whole["units"]
    assert {key: found[key] for key in AVERAGES} == {key: whole[key] for key in AVERAGES}
    low, high = whole["intervals"]["micro_f1"]
    assert low < whole["micro_f1"] < high


@pytest.mark.parametrize("place", ["folder", "file/s.json", "."])
def test_a_place_that_cannot_be_written_is_refused(chain: Any, tmp_path: Path, place: str):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    refused("evaluate", chain.linear, "--data", chain.test, "--json", tmp_path / place, names=("cannot be written",))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


# ---- compare -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared(chain: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("compare") / "report"
    bundles = (chain.linear, chain.teacher, chain.student, chain.control)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("duobiao.evaluate.latency.ROUNDS", {1: 10, 32: 4})
        shown = done("compare", *bundles, "--data", chain.test, "--train", chain.train, "--out", out, "--lang", "en")
    return out, shown.stdout


def test_compare_writes_all_promised_keys(chain: Any, compared: tuple[Path, str]):
    out, _ = compared
    assert sorted(path.name for path in out.iterdir()) == ["compare.json", "compare.md", "report.html"]
    systems = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    assert [system["name"] for system in systems] == ["linear", "teacher", "bigru-a", "control"]
    assert [system["kind"] for system in systems] == ["linear", "encoder", "bigru", "bigru"]
    for system, place in zip(systems, (chain.linear, chain.teacher, chain.student, chain.control), strict=True):
        assert system.keys() >= SYSTEM
        assert isinstance(system["speedup"], float)
        weights = read_bundle(place).weights
        assert system["parameters"] == sum(array.size for name, array in weights.items() if name != "idf")
        for key in ("rows_per_s", "p50_ms", "p95_ms"):
            assert set(system[key]) == {"1", "32"}
    assert systems[1]["speedup"] == 1.0
    assert systems[3]["notes"] == ["teacher=none (control)"]


def test_compare_scores_as_evaluate_does(chain: Any, compared: tuple[Path, str], tmp_path: Path):
    systems = json.loads((compared[0] / "compare.json").read_text(encoding="utf-8"))
    for system, place in zip(systems[1:3], (chain.teacher, chain.student), strict=True):
        alone = scores(place, chain.test, tmp_path / "s.json", "--train", chain.train)
        assert {key: system[key] for key in alone} == alone


def test_compare_shows_a_table_and_where_the_report_is(compared: tuple[Path, str]):
    out, shown = compared
    for word in ("linear", "teacher", "bigru-a", "control", "micro-F1", "speed-up"):
        assert word in shown
    assert shown.rstrip().splitlines()[-1] == f"report: {out.resolve() / 'report.html'}"
    table = (out / "compare.md").read_text(encoding="utf-8")
    assert all(f"| {name} |" in table for name in ("linear", "teacher", "bigru-a", "control"))


def test_the_report_of_a_real_run_is_one_whole_page(compared: tuple[Path, str]):
    html = (compared[0] / "report.html").read_text(encoding="utf-8")
    depth: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag not in ("meta", "br", "input"):
                depth.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert depth.pop() == tag

    Checker().feed(html)
    assert depth == []
    assert "://" not in html
    for word in ("Quality against time", "teacher", "control", "身份确认/是", "micro-F1 on unseen text"):
        assert word in html


def test_bundles_with_different_label_spaces_are_not_compared(chain: Any, tmp_path: Path):
    text = chain.labels.read_text(encoding="utf-8").replace("- 发票", "- 退款")
    (tmp_path / "labels.yaml").write_text(text, encoding="utf-8")
    rows = [json.loads(line) for line in chain.train.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["labels"] = ["退款" if label == "发票" else label for label in row["labels"]]
        row["unknown"] = []
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    files = ("--train", tmp_path / "rows.jsonl", "--dev", tmp_path / "rows.jsonl", "--labels", tmp_path / "labels.yaml")
    done("train", "--config", "linear", *files, "--out", tmp_path / "other")
    bundles = (chain.linear, tmp_path / "other")
    names = (*bundles, "only in the first: 发票", "only in the second: 退款")
    refused("compare", *bundles, "--data", chain.test, "--out", tmp_path / "out", names=names)
    assert not (tmp_path / "out").exists()
