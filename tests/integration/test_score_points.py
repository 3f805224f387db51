"""``duobiao score`` at an operating point, with an abstain band, a second model and routes: the answers of ``predict``."""

from __future__ import annotations

import json
import pickle
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from commands import done, refused
from score_files import contents
from serving import make_bundle

from duobiao.score import local
from duobiao.score.job import Job, Part, Scored
from duobiao.score.worker import Worker, checked

TEXTS = ("快递没到", "东西坏了", "快递没到，东西坏了", "是我本人", "你打错了", "好的")
ROUTES = "nodes:\n  身份确认:\n    - {labels: 本人, to: 挂机}\n    - {else: 转人工}\nactions: [转人工, 挂机]\nreview: 转人工\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("points")
    made: Any = type("Files", (), {"folder": folder})
    made.first, made.second = make_bundle(folder / "first"), make_bundle(folder / "second", "second", shift=0.3)
    made.routes, made.rows = folder / "routes.yaml", folder / "rows.jsonl"
    made.routes.write_text(ROUTES, encoding="utf-8")
    rows = [
        {"id": f"r{n}", "text": f"{TEXTS[n % 6]}{n}", "context": "身份确认" if n % 5 < 3 else None, "next": "mine"}
        for n in range(40)
    ]
    made.rows.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return made


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are scored in this process, by a job that has travelled as it does to others."""

    def scored(job: Job, parts: Iterator[Part], workers: int | None = None) -> Generator[Scored]:
        worker = Worker(pickle.loads(pickle.dumps(job)))
        yield from (checked(worker.answer(part)) for part in parts)

    monkeypatch.setattr(local, "scored", scored)


def options(files: Any, names: str) -> list[Any]:
    every = {
        "at": ("--at", "strict"),
        "band": ("--band", 0.2),
        "teacher": ("--teacher", files.second),
        "route": ("--route", files.routes),
    }
    return [part for name in names.split() for part in every[name]]


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        ("at", set()),
        ("band", {"review", "unsure"}),
        ("route", {"next"}),
        ("at band route", {"review", "unsure", "next"}),
        ("band teacher route", {"sent", "next"}),
    ],
)
def test_the_answers_are_those_of_predict_with_the_same_options(files: Any, tmp_path: Path, names: str, fields: set[str]):
    own = options(files, names)
    done("predict", files.first, "--input", files.rows, "--output", tmp_path / "wanted.jsonl", *own)
    wanted = (tmp_path / "wanted.jsonl").read_text(encoding="utf-8")
    answers = [json.loads(line) for line in wanted.splitlines()]
    assert all(answer.keys() == {"id", "labels", "scores", *fields} for answer in answers)
    command = ("score", files.first, "--input", files.rows, "--part-rows", 15, "--workers", 1, *own)
    done(*command, "--output", tmp_path / "found.jsonl")
    assert (tmp_path / "found.jsonl").read_text(encoding="utf-8") == wanted
    done(*command, "--output", tmp_path / "found.parquet", "--scores", "none", "--keep", "next")
    table = pyarrow.parquet.read_table(tmp_path / "found.parquet").to_pylist()
    kept = [{**answer, "next_": "mine"} for answer in answers]
    assert table == [{name: value for name, value in answer.items() if name != "scores"} for answer in kept]


def test_the_options_change_answers(files: Any, tmp_path: Path):
    found = {}
    for names in ("", "at", "band", "band teacher", "route"):
        out = tmp_path / f"{names.replace(' ', '-') or 'plain'}.jsonl"
        done("score", files.first, "--input", files.rows, "--output", out, "--workers", 1, *options(files, names))
        found[names] = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["labels"] for row in found["at"]] != [row["labels"] for row in found[""]]
    assert {row["review"] for row in found["band"]} == {True, False}
    assert [row["sent"] for row in found["band teacher"]] == [row["review"] for row in found["band"]]
    assert {row["next"] for row in found["route"]} == {"挂机", "转人工", None}


@pytest.mark.parametrize("names", ["at", "band", "band teacher", "route"])
def test_a_run_with_other_options_is_another_run(files: Any, tmp_path: Path, names: str):
    command = ("score", files.first, "--input", files.rows, "--output", tmp_path / "out", "--workers", 1)
    done(*command)
    before = contents(tmp_path)
    told = {
        "at": "at is 'strict' now, was not given",
        "band": "band is 0.2 now",
        "route": "the routes are",
        "teacher": "teacher",
    }
    refused(*command, *options(files, names), names=[told[name] for name in names.split()])
    assert contents(tmp_path) == before
    done(*command, "--at", "default")  # the point that it would take anyway


def test_routes_with_the_same_words_are_the_same_routes(files: Any, tmp_path: Path):
    command = ("score", files.first, "--input", files.rows, "--output", tmp_path / "out", "--workers", 1, "--route")
    done(*command, files.routes)
    (tmp_path / "moved.yaml").write_text("# moved\n" + ROUTES, encoding="utf-8")
    assert "finished before" in done(*command, tmp_path / "moved.yaml").stderr
    (tmp_path / "moved.yaml").write_text(ROUTES.replace("review: 转人工", "review: 挂机"), encoding="utf-8")
    refused(*command, tmp_path / "moved.yaml", names=("the routes are",))


def test_options_that_are_not_right_are_refused_before_anything_is_written(files: Any, tmp_path: Path):
    command = ("score", files.first, "--input", files.rows, "--output", tmp_path / "out", "--workers", 1)
    refused(*command, "--at", "none", names=("no operating point 'none'", "strict"))
    refused(*command, "--band", 0.5, names=("a band of 0.5 is none",))
    refused(*command, "--teacher", files.second, names=("no abstain band",))
    (tmp_path / "bad.yaml").write_text(ROUTES.replace("本人", "没有"), encoding="utf-8")
    refused(*command, "--route", tmp_path / "bad.yaml", names=("'没有'",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.yaml"]
