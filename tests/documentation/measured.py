"""What pages of results name: small stand-ins for data and bundles that are not in the repository, by the pages' names."""

from __future__ import annotations

import json
import lzma
import random
import shutil
from pathlib import Path
from typing import Any

from commands import done
from pages import ROOT

from duobiao import builtin
from duobiao.data.write_rows import write_records

EVENTS = {
    "组织关系-裁员": "公司裁员了",
    "司法行为-约谈": "监管约谈了平台",
    "灾害/意外-地震": "当地发生地震",
    "人生-死亡": "老人去世",
    "竞赛行为-胜负": "主队赢了",
    "产品行为-发布": "发布了新品",
}
FEELINGS = {"anger": "气死我了", "sadness": "心里难过", "joy": "真高兴"}
REVIEWS = {"positive": "房间很好", "negative": "隔音太差"}
ACTS = {"Inform-景点-名称": "去故宫", "Request-酒店-价格": "多少钱一晚", "General-thank-none": "谢谢你"}
SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
LENGTH = 128
"""Positions of an encoder: what the shipped configurations read."""


def labelled(words: dict[str, str], number: int, seed: int, most: int = 2) -> list[dict[str, Any]]:
    """Rows with one label or more, which follow from their words."""
    chance, made = random.Random(seed), []
    for at in range(number):
        names = {list(words)[at % len(words)], *chance.sample(list(words), chance.randint(0, most - 1))}
        said = [words[name] for name in sorted(names)]
        made.append({"text": f"{'，'.join(said)}，第{seed}条{at}", "labels": sorted(names)})
    return made


def turns(dialogues: int, seed: int) -> list[dict[str, Any]]:
    """Turns of dialogues as CrossWOZ has them."""
    made = labelled(ACTS, 4 * dialogues, seed)
    for at, row in enumerate(made):
        coarse = list(dict.fromkeys(label.rpartition("-")[0] for label in row["labels"]))
        row |= {"labels_coarse": coarse, "role": ("usr", "sys")[at % 2], "dialogue": f"{seed}-{at // 4}", "turn": at % 4}
    return made


def write_data(place: Path) -> None:
    """Rows of the sets that the pages name."""
    sets = {
        "DUEE": {"train": labelled(EVENTS, 90, 1), "dev": labelled(EVENTS, 30, 2)},
        "ROWS": {"train": labelled(EVENTS, 48, 3), "dev": labelled(EVENTS, 24, 4)},
        "EMOTION": {"train": labelled(FEELINGS, 48, 5), "test": labelled(FEELINGS, 24, 6)},
        "CHNSENTICORP": {name: labelled(REVIEWS, 40, 7, 1) for name in ("train", "test", "test_unseen")},
        "CROSSWOZ": {"val": turns(12, 8), "test": turns(6, 9)},
        "WOZ": {"train": turns(10, 10), "dev": turns(5, 11), "unlabelled": [{"text": row["text"]} for row in turns(6, 12)]},
        "DATA/duee": {"train": labelled(EVENTS, 60, 13)},
        "DATA/emotion": {"train": labelled(FEELINGS, 60, 14)},
        "data/duee": {"train": labelled(EVENTS, 60, 13)},
        ".": {
            "duee-tune": labelled(EVENTS, 40, 15),
            "duee-score": labelled(EVENTS, 40, 16),
            "emotion-a": labelled(FEELINGS, 40, 17),
            "emotion-b": labelled(FEELINGS, 40, 18),
            "DEV_ROWS": labelled(EVENTS, 30, 19),
        },
    }
    for folder, files in sets.items():
        (place / folder).mkdir(parents=True, exist_ok=True)
        for name, rows in files.items():
            write_records(place / folder / f"{name}.jsonl", rows)
    (place / "duee").mkdir()
    shutil.copy(place / "dev.jsonl", place / "duee" / "dev.jsonl")
    for name, source in {"TRAIN": "train", "DEV": "dev", "TEST": "test"}.items():
        shutil.copy(place / f"{source}.jsonl", place / f"{name}.jsonl")
    (place / "CORPUS").mkdir()
    for number in range(2):
        lines = "".join(row["text"] + "\n" for row in labelled(EVENTS | FEELINGS, 60, 20 + number))
        (place / "CORPUS" / f"{number}.txt.xz").write_bytes(lzma.compress(lines.encode()))
    (place / "costs-duee.csv").write_text("label,false_positive,false_negative\n*,1,5\n", encoding="utf-8")
    costs = "label,false_positive,false_negative\nanger,1,5\nsadness,1,5\n*,1,1\n"
    (place / "costs-emotion.csv").write_text(costs, encoding="utf-8")
    staged = "kind: textcnn\nfilters: 8\ncomponents: 8\nstages: staged\ntrain: {epochs: 1}\n"
    staged += "staged: {hidden_epochs: 1, logits_epochs: 1, label_epochs: 1}\n"
    (place / "textcnn-staged.yaml").write_text(staged, encoding="utf-8")


def make_bundles(place: Path, encoder: Path) -> None:
    """Encoders and bundles that the pages name; ``place`` is the working directory and has those of other pages."""
    _write_encoder(place / "E5", builtin.encoder_folder(), **SMALL)  # the built-in encoder was made from E5 and has its tokens
    for name in ("FOUR_LAYERS", "src/duobiao/builtin/encoder"):
        _write_encoder(place / name, encoder)
    teacher = ("train", "--config", "teacher-roberta-wwm", "--set", "encoder=E5", "--set", "pooling=mean")
    teacher += ("--set", "train.epochs=2")
    done(*teacher, "--train", "DUEE/train.jsonl", "--dev", "ROWS/dev.jsonl", "--out", "E5_DUEE")
    done(*teacher, "--train", "WOZ/train.jsonl", "--dev", "WOZ/dev.jsonl", "--out", "WOZ/teacher")
    linear = ("train", "--config", "linear", "--train")
    done(*linear, "DATA/duee/train.jsonl", "--out", "e5-duee")
    done(*linear, "DATA/emotion/train.jsonl", "--out", "e5-emotion")
    done("tune", "e5-emotion", "--data", "emotion-a.jsonl", "--out", "linear-tuned", "--point", "micro=micro-f1")
    student = ("distil", "--teacher", "runs/teacher", "--train", "train.jsonl", "--dev", "dev.jsonl", "--config")
    done(*student, "textcnn", "--set", "train.epochs=1", "--out", "OUT/textcnn")
    done(*student, "linear-student", "--set", "buckets=1024", "--out", "OUT/linear-student")
    done("export", "runs/teacher", "--out", "OUT/fp32", "--data", "dev.jsonl")
    copies = {"TEACHER": "runs/teacher", "BIGRU": "runs/bigru-a", "runs/textcnn": "OUT/textcnn", "runs/bert": "runs/teacher"}
    for copy, source in copies.items():
        shutil.copytree(place / source, place / copy)


def _write_encoder(folder: Path, like: Path, **shape: int) -> None:
    """An encoder with the tokens of another, and its shape but for what is given."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(like, max_position_embeddings=LENGTH, **shape)
    AutoModel.from_config(config).float().save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(like / file, folder / file)


def write_table(folder: Path) -> None:
    """What ``benchmarks/peers/table.py`` left of another set, from what is recorded of it."""
    folder.mkdir(parents=True)
    recorded = ROOT / "docs" / "results" / "peers"
    shutil.copy(recorded / "hotline.svg", folder / "table.svg")
    shutil.copy(recorded / "hotline.json", folder / "table.json")
    names = [one["name"] for one in json.loads((folder / "table.json").read_text(encoding="utf-8"))]
    table = "\n".join(f"| {name} |" for name in ["system", *names])
    (folder / "table.md").write_text(f"## hotline\n\nas recorded\n\n{table}\n", encoding="utf-8")


def make_measured(place: Path, encoder: Path) -> None:
    """All of it."""
    write_data(place)
    make_bundles(place, encoder)
    write_table(place / "OUT2" / "systems")
