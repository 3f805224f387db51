"""Category words: from a file, from the training rows, from the command."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from feature_bundles import FEATURES_OF, NODE, TEACHER, Made
from typer.testing import CliRunner

from duobiao import load
from duobiao.bundle import FEATURES, read_bundle, read_manifest
from duobiao.cli import mine as mine_command
from duobiao.config import load_config, parse_config
from duobiao.data.rows import Row
from duobiao.errors import ConfigError
from duobiao.features.mine import mine
from duobiao.features.words import Category, Term, Words
from duobiao.train import recipe

# ---- words -------------------------------------------------------------------------------------------


def test_words_of_a_file_are_used_as_they_were_edited(made: Made, tmp_path: Path) -> None:
    words = mine(made.train, made.space)
    edited = replace(words, contexts={**words.contexts, NODE: Category((Term("手写"), Term("的词")))})
    edited.write(tmp_path / "words.yaml")
    features = {"segment": "mined", "words": str(tmp_path / "words.yaml"), "top": 1}
    config = parse_config({**TEACHER, "features": features})
    out = recipe.train(config, made.train, made.dev, made.space, tmp_path / "out")
    loaded = load(out)
    assert loaded.features.context_words[NODE] == ["手写"]
    (inputs, _) = loaded.backend.encoder.segments([("是我", NODE)], [("是我", NODE)])
    assert inputs == [("是我", f"{NODE} 手写")]
    before = read_manifest(out)["run"]
    replace(words, contexts={**words.contexts, NODE: Category((Term("改了"),))}).write(tmp_path / "words.yaml")
    recipe.train(config, made.train, made.dev, made.space, out)  # the file's content belongs to the run
    assert read_manifest(out)["run"] != before
    assert load(out).features.context_words[NODE] == ["改了"]


def test_words_that_do_not_fit_are_refused(made: Made, tmp_path: Path) -> None:
    Words({"物流": Category(()), "别的": Category(())}, {}).write(tmp_path / "words.yaml")
    config = parse_config({**TEACHER, "features": {"segment": "mined", "words": str(tmp_path / "words.yaml")}})
    with pytest.raises(ConfigError, match=r"'别的' is not in the label space[\s\S]*no label '质量'[\s\S]*no context '售后'"):
        recipe.train(config, made.train, made.dev, made.space, tmp_path / "out")


def test_words_come_from_the_training_rows_alone(made: Made, tmp_path: Path) -> None:
    marked = [replace(row, text=row.text + "，龙年大吉") for row in made.dev]
    out = recipe.train(
        parse_config({**TEACHER, "features": FEATURES_OF["mined"]}), made.train, marked, made.space, tmp_path / "out"
    )
    assert "龙年" not in read_bundle(out).files[FEATURES]


# ---- the command -------------------------------------------------------------------------------------


def test_the_command_mines_what_training_would(
    made: Made, tmp_path: Path, write_rows: Callable[[Path, Sequence[Row]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = typer.Typer()
    app.command("other")(lambda: None)
    mine_command.register(app)
    monkeypatch.chdir(tmp_path)
    train = write_rows(tmp_path / "train.jsonl", made.train)
    (tmp_path / "labels.yaml").write_text(made.space.to_yaml(), encoding="utf-8")
    dev = write_rows(tmp_path / "dev.jsonl", made.dev)
    given = ["mine", "--train", str(train), "--dev", str(dev), "--labels", "labels.yaml", "--output", "words.yaml"]
    result = CliRunner().invoke(app, [*given, "--picture", "words.html"])
    assert result.exit_code == 0, result.output
    assert Words.from_yaml("words.yaml") == mine(made.train, made.space)
    assert "from 48 rows" in result.output
    assert (tmp_path / "words.html").is_file()
    for wrong in (["--by", "guess"], ["--picture", "words.png"], ["--ngrams", "x"], ["--lang", "fr"]):
        result = CliRunner().invoke(app, [*given, *wrong])
        assert result.exit_code == 2, wrong
        assert "What to do" in result.stderr
    assert json.loads(json.dumps(load_config("linear", ["features.words=words.yaml"]).features.words)) == "words.yaml"
