"""A folder in which the documentation's commands can be typed as they stand: small files and tiny bundles by their names."""

from __future__ import annotations

import csv
import gzip
import os
import random
import shutil
from pathlib import Path
from typing import Any

from commands import done
from measured import make_measured

from duobiao import builtin
from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.data.write_rows import write_records, write_rows

SPACE = """\
labels: [物流, 质量, 发票, 投诉, 退款]
groups:
  情感: {labels: [正面, 中性, 负面]}
  升级: {labels: [要求升级], at_most_one: true}
  身份确认: {labels: [身份确认/是, 身份确认/否], contexts: [身份确认]}
  时间确认: {labels: [时间确认/可以, 时间确认/改期], contexts: [时间确认]}
"""
_WORDS = {
    "物流": "快递三天没到",
    "质量": "东西坏了",
    "发票": "发票还没开",
    "投诉": "我要投诉你们",
    "退款": "退款三十块",
    "正面": "挺满意",
    "中性": "还行吧",
    "负面": "太生气了",
    "要求升级": "叫你们经理来",
    "身份确认/是": "对，我就是",
    "身份确认/否": "你打错了",
    "时间确认/可以": "明天可以",
    "时间确认/改期": "换个时间吧",
}
_NODES = {"身份确认": ["身份确认/是", "身份确认/否"], "时间确认": ["时间确认/可以", "时间确认/改期"]}
ROUTES = """\
start: 身份确认
actions: [转人工, 挂机]
review: 转人工
nodes:
  身份确认:
    - {labels: 身份确认/是, to: 时间确认}
    - {else: 挂机}
  时间确认:
    - {labels: 时间确认/可以, to: 挂机}
    - {else: 转人工}
  "*":
    - {else: 转人工}
"""


def records(number: int, seed: int) -> list[dict[str, Any]]:
    """Rows whose labels follow from their words; every label is there from about 30 rows on."""
    chance, made = random.Random(seed), []
    free = ["物流", "质量", "发票", "投诉", "退款"]
    for at in range(number):
        node = [None, "身份确认", "时间确认"][at % 3]
        labels = [name for name in free if chance.random() < 0.35]
        labels += [["正面", "中性", "负面"][chance.randrange(3)]]
        labels += ["要求升级"] if chance.random() < 0.3 else []
        labels += [chance.choice(_NODES[node])] if node else []
        words = [_WORDS[name] for name in labels]
        chance.shuffle(words)
        text = "，".join([*words, f"单号{seed}{at:03d}"])
        row = {"id": f"{seed}-{at}", "text": text, "context": node, "labels": labels}
        made.append(
            {
                **row,
                "age": 20 + at,
                "open_orders": at % 3,
                "source": "网页" if at % 2 else "电话",
                "date": f"2024-03-{1 + at % 28:02d}",
            }
        )
    return made


def rows_of_new_labels(words: dict[str, str], each: int = 16) -> list[dict[str, Any]]:
    """Rows for labels that no model knows yet, and as many with none of them; labelled for them alone."""
    chance, made = random.Random(8), []
    for at in range(2 * each * len(words)):
        name = list(words)[at // 2 % len(words)] if at % 2 else None
        said = [*chance.sample(list(_WORDS.values()), 2), *([words[name]] if name else [])]
        chance.shuffle(said)
        made.append({"id": f"new-{at}", "text": "，".join(said), "labels": [name] if name else []})
    return made


def write_files(place: Path) -> None:
    """Data files in every format that a page names."""
    train, dev, test, rows = records(60, 1), records(24, 2), records(24, 3), records(60, 4)
    for row in train[30:34]:  # wrong labels, for `suspects` to find
        row["labels"] = [{"正面": "负面", "负面": "正面"}.get(name, name) for name in row["labels"] if name != "物流"]
    named = {"train": train, "dev": dev, "test": test, "rows": rows, "calls": rows[:20], "march": [*rows, *records(12, 5)]}
    for name, some in named.items():
        write_records(place / f"{name}.jsonl", some)
    write_records(place / "unlabelled.jsonl", [{"id": row["id"], "text": row["text"]} for row in records(40, 6)])
    (place / "labels.yaml").write_text(SPACE, encoding="utf-8")
    (place / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    write_records(place / "new.jsonl", rows_of_new_labels({"退货": "想退掉"}))
    write_records(place / "parts.jsonl", rows_of_new_labels({"退货退款": "寄回去再退钱", "仅退款": "不寄了光退钱"}))
    texts = "".join(row["text"] + "\n" for row in records(80, 7))
    for name in ("calls.txt", "news.txt"):
        (place / name).write_text(texts, encoding="utf-8")
    (place / "products.txt").write_text("发票\n快递\n", encoding="utf-8")
    (place / "costs.csv").write_text("label,false_positive,false_negative\n*,1,1\n投诉,1,10\n", encoding="utf-8")
    (place / "my-student.yaml").write_text("kind: bigru\nhidden: 8\nfc: 8\n", encoding="utf-8")
    _write_tables(place, train, test, rows)


def _write_tables(place: Path, train: list[dict[str, Any]], test: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    from openpyxl import Workbook

    for name, some in {"train": train, "test": test, "工单": train, "tickets": train, "calls": rows[:20]}.items():
        book = Workbook()
        book.active.append(["工单号", "text" if name == "calls" else "内容", "标签", "节点"])
        for row in some:
            book.active.append([row["id"], row["text"], "、".join(row["labels"]), row["context"]])
        book.save(place / f"{name}.xlsx")
    with (place / "calls.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["工单号", "内容", "地区"], *([row["id"], row["text"], "北"] for row in rows[:20])])
    with gzip.open(place / "old.csv.gz", "wt", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *([row["id"], row["text"]] for row in rows[:10])])
    import pyarrow as pa
    from pyarrow import parquet

    (place / "calls").mkdir()
    columns = {"id": [row["id"] for row in rows], "text": [row["text"] for row in rows]}
    parquet.write_table(pa.table(columns), place / "calls" / "one.parquet")


def write_builtin(place: Path) -> None:
    """The first rows of the built-in sets under their places in the repository, every label among the training rows."""
    for name in builtin.DATASETS:
        source, target = builtin.folder(name), place / "src" / "duobiao" / "builtin" / name
        target.mkdir(parents=True)
        for other in [*source.glob("*.yaml"), *source.glob("*.csv")]:
            shutil.copy(other, target)
        for part, most in {"train": 60, "dev": 40, "test": 30}.items():
            write_rows(target / f"{part}.jsonl", _few(read_rows(source / f"{part}.jsonl"), most))


def _few(rows: list[Row], most: int) -> list[Row]:
    """The first rows, and before them those with which a label comes up."""
    seen: set[str] = set()
    first = []
    for row in rows:
        if not seen.issuperset(row.labels or ()):
            seen.update(row.labels or ())
            first.append(row)
    return [*first, *(row for row in rows[:most] if row not in first)]


def train_bundles(place: Path, encoder: Path, albert: Path) -> None:
    """Tiny bundles under the names that pages use, trained with the commands that pages show."""
    for name in ("chinese-roberta-wwm-ext", "chinese-macbert-base", "roberta-wwm"):
        shutil.copytree(encoder, place / "models" / name)
    shutil.copytree(albert, place / "models" / "albert_chinese_base")
    files = ("--train", "train.jsonl", "--dev", "dev.jsonl")
    quick = ("--set", "train.epochs=2", "--set", "input.max_length=64")
    given = (*files, "--labels", "labels.yaml")
    done("train", "--config", "linear", *given, "--out", "runs/linear")
    roberta = ("train", "--config", "teacher-roberta-wwm", "--set", "encoder=models/roberta-wwm", *quick, *given)
    done(*roberta, "--out", "runs/teacher")
    done(*roberta, "--set", "train.seed=1", "--out", "runs/teacher-seed1")
    done(*roberta, "--set", "features.numeric=[age, open_orders]", "--out", "runs/with-numbers")
    bigru = ("distil", "--teacher", "runs/teacher", "--config", "bigru-a", *files, "--set", "train.epochs=2")
    done(*bigru, "--out", "runs/bigru-a")
    done(*bigru, "--out", "runs/bigru-a-control", "--no-teacher", "--set", "name=bigru-a-control")
    done("tune", "runs/bigru-a", "--data", "dev.jsonl", "--point", "balanced=micro-f1", "--point", "careful=precision>=0.9")
    for copy in ("models/calls/v1", "models/calls/v2", "runs/old", "runs/new", "runs/model"):
        shutil.copytree(place / "runs" / "linear", place / copy)


def annotated(place: Path) -> None:
    """``done.xlsx``: the sheet that ``annotate export`` writes, with one row answered."""
    from openpyxl import load_workbook

    done("annotate", "export", "rows.jsonl", "--format", "excel", "--labels", "labels.yaml", "--output", "todo.xlsx")
    book = load_workbook(place / "todo.xlsx")
    head = [cell.value for cell in book.active[1]]
    if "完成" in head:
        book.active.cell(2, head.index("完成") + 1).value = "是"
    book.save(place / "done.xlsx")
    (place / "todo.xlsx").unlink()


def make(place: Path, encoder: Path, albert: Path, other: Path) -> Path:
    """The whole folder; ``other`` is an encoder with ``tokenizer.json``."""
    here = Path.cwd()
    os.chdir(place)
    try:
        write_files(place)
        write_builtin(place)
        train_bundles(place, encoder, albert)
        annotated(place)
        make_measured(place, other)
    finally:
        os.chdir(here)
    return place
