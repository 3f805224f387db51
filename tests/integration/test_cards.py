"""Cards stay true through the life of a bundle: training, tuning, export."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import done, refused
from huggingface_hub import ModelCard

from duobiao.bundle import read_bundle, read_manifest
from duobiao.card import CARD
from duobiao.card.stamp import stamp
from duobiao.data.read import read_rows
from duobiao.data.rows import rows_digest
from duobiao.evaluate.evidence import evidence
from duobiao.export import gate


def card_of(place: Path) -> str:
    return (place / CARD).read_text(encoding="utf-8")


def shown(place: Path) -> dict[str, float]:
    """The scores in the card's head."""
    found = ModelCard(card_of(place)).data.eval_results or []
    return {f"{one.dataset_split} {one.metric_name}": one.metric_value for one in found}


@pytest.mark.parametrize("name", ["linear", "teacher", "student", "control"])
def test_training_writes_a_card_with_the_dev_scores(chain: Any, name: str):
    place = getattr(chain, name)
    metrics = read_manifest(place)["metrics"]
    assert shown(place)["validation micro_f1"] == round(metrics["dev"]["micro_f1"], 4)
    rows = {part: read_rows(getattr(chain, part), space=read_bundle(place).space) for part in ("train", "dev")}
    for part, own in rows.items():
        assert metrics["data"][part]["rows"] == len(own)
        assert metrics["data"][part]["digest"] == rows_digest(own)
    wanted = sum("物流" in (row.labels or ()) for row in rows["train"])
    assert re.search(rf"\| 物流 \|  \| 0\.\d{{3}} \| {wanted} \| \d+ \|", card_of(place))
    assert ("对照：没有教师" in card_of(place)) == (name == "control")
    assert str(chain.folder) not in card_of(place)


def test_the_share_of_cut_texts_is_that_of_the_dev_rows(chain: Any):
    assert read_manifest(chain.teacher)["metrics"]["data"]["dev"]["full_length"] == 0
    assert "full_length" not in read_manifest(chain.linear)["metrics"]["data"]["dev"]


def test_tune_puts_held_out_scores_in_the_place_of_the_old_ones(chain: Any, tmp_path: Path):
    place = tmp_path / "b"
    shutil.copytree(chain.student, place)
    refused("card", place, "--license", "not a licence", names=("'not a licence'", "give other"))
    done("card", place, "--data", chain.test, "--license", "mit")
    assert shown(place).keys() >= {"test micro_f1", "validation micro_f1"}
    done("tune", place, "--data", chain.dev, "--set", "band=0.1", "--point", "all=recall>=0.9")
    manifest = read_manifest(place)
    told = manifest["metrics"]["evidence"]
    assert (told["how"], told["of"]) == ("held_out", stamp(manifest["thresholds"]))
    assert told["micro_f1"] == manifest["metrics"]["tune"]["points"]["default"]["micro_f1"]
    assert shown(place)["validation micro_f1"] == round(told["micro_f1"], 4)
    assert "test micro_f1" not in shown(place), "its answers may have changed"
    assert "| all | recall\\>=0.9 |" in card_of(place)
    assert "license: mit" in card_of(place)
    assert "No abstain band" not in card_of(place)


def test_an_export_has_the_card_of_its_bundle_and_says_where_it_came_from(chain: Any, tmp_path: Path):
    done("export", chain.student, "--out", tmp_path / "b", "--data", chain.dev)
    assert shown(tmp_path / "b") == shown(chain.student)
    assert f"exported from bundle `{read_manifest(chain.student)['digest'][:12]}`" in card_of(tmp_path / "b")
    assert "in float32 0 decisions differ on 16 rows" in card_of(tmp_path / "b")


def test_int8_has_scores_of_its_own_thresholds(chain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = list[dict[str, Any]]()
    monkeypatch.setattr(gate, "evidence", lambda *given: made.append(evidence(*given)) or made[-1])
    done("export", chain.teacher, "--out", tmp_path / "b", "--data", chain.dev, "--int8", "--lose-at-most", "100")
    manifest = read_manifest(tmp_path / "b")
    told = manifest["metrics"]["evidence"]
    assert made == [told], "of the chosen recipe alone"
    assert told["of"] == stamp(manifest["thresholds"])
    assert told["rows"] == 16
    assert "- int8: recipe" in card_of(tmp_path / "b")
    assert "int8 answers depend on the processor" in card_of(tmp_path / "b")


def test_a_label_that_came_later_is_in_the_card(chain: Any, tmp_path: Path, write_rows: Any):
    space = read_bundle(chain.linear).space
    rows = read_rows(chain.train, space=space)
    lines = (chain.train).read_text(encoding="utf-8").splitlines()
    (tmp_path / "new.jsonl").write_text(
        "\n".join(line.replace('"labels": [', '"labels": ["新标签", ') if at % 3 else line for at, line in enumerate(lines)),
        encoding="utf-8",
    )
    done(
        "add-label",
        chain.linear,
        "--name",
        "新标签",
        "--train",
        tmp_path / "new.jsonl",
        "--dev",
        chain.dev,
        "--out",
        tmp_path / "b",
        "--accept-drops",
    )
    manifest = read_manifest(tmp_path / "b")
    assert manifest["metrics"]["evidence"]["of"] == stamp(manifest["thresholds"])
    positives = manifest["metrics"]["data"]["positives"]
    assert positives["物流"] == sum("物流" in (row.labels or ()) for row in rows), "of the rows that it was learned from"
    assert f"rows for labels that were added later: {manifest['metrics']['add_label']['rows']}" in card_of(tmp_path / "b")
    assert f"| 新标签 |  | {manifest['thresholds']['values']['新标签']:.3f} | {positives['新标签']} |" in card_of(
        tmp_path / "b"
    )


def test_rows_that_made_a_grown_bundle_are_never_test_rows(chain: Any, tmp_path: Path):
    """Neither those of the new label nor those of the old bundle, however often labels are added."""
    lines = chain.train.read_text(encoding="utf-8").splitlines()
    new, later = tmp_path / "new.jsonl", tmp_path / "later.jsonl"
    for place, name in ((new, "新标签"), (later, "再一个")):
        text = [line.replace('"labels": [', f'"labels": ["{name}", ') if at % 3 else line for at, line in enumerate(lines)]
        place.write_text("\n".join(text), encoding="utf-8")
    dev = tmp_path / "dev.jsonl"
    dev.write_text(new.read_text(encoding="utf-8").replace("你们", "大家"), encoding="utf-8")

    def add(old: Path, name: str, train: Path, dev: Path, out: Path) -> Path:
        run = ("add-label", old, "--name", name, "--train", train, "--dev", dev, "--replay", chain.train, "--out", out)
        done(*run, "--accept-drops")
        return out

    first = add(chain.linear, "新标签", new, dev, tmp_path / "first")
    second = add(first, "再一个", later, chain.dev, tmp_path / "second")
    for grown, own in ((first, (chain.train, chain.dev, new, dev)), (second, (chain.train, chain.dev, new, dev, later))):
        for rows in own:
            refused("card", grown, "--data", rows, names=("its own", "had no part in making it"))
        done("card", grown, "--data", chain.test)


def test_the_command_refuses_what_it_cannot_use(chain: Any, tmp_path: Path):
    place = tmp_path / "b"
    shutil.copytree(chain.linear, place)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    refused("card", place, "--data", chain.dev, names=("its own dev rows",))
    refused("card", place, "--notes", tmp_path / "none.md", names=("none.md",))
    refused("card", place, "--notes", place / "." / CARD, names=("is the card itself",))
    refused("card", tmp_path / "none", names=("there is no such folder",))
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    (place / CARD).unlink()
    assert "written" in done("card", place).stdout
    assert card_of(place) == before[CARD].decode()
