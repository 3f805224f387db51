"""The model card: true to the bundle, readable by the Hub, and nothing that leaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from systems import make_bundle

from duobiao.bundle import MANIFEST, read_bundle, read_manifest, write_bundle, write_metrics
from duobiao.card import CARD, render_card
from duobiao.card.facts import facts
from duobiao.card.folder import render_folder_card
from duobiao.card.stamp import stamp
from duobiao.card.words import escaped, without_paths
from duobiao.errors import BundleError
from duobiao.labels import LabelSpace

SCORES = {
    "how": "dev",
    "rows": 40,
    "unit": "group_id",
    "units": 12,
    "digest": "a" * 64,
    "micro_f1": 0.8125,
    "macro_f1": 0.5,
    "samples_f1": 0.75,
    "subset_accuracy": 0.6,
    "group_accuracy": None,
    "intervals": {"micro_f1": [0.7, 0.9], "macro_f1": [0.4, 0.6]},
    "per_label": {
        "物流": {"precision": 1.0, "recall": 0.5, "f1": 0.667, "support": 30, "interval": [0.4, 0.8]},
        "质量": {"precision": 0.2, "recall": 0.3, "f1": 0.24, "support": 25},
        "发票": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0},
    },
}
DATA = {"train": {"rows": 90, "digest": "b" * 64}, "dev": {"rows": 40, "digest": "a" * 64, "full_length": 0.25}}


def card_of(tmp_path: Path, **changes: Any) -> str:
    bundle = make_bundle(**changes)
    if "evidence" in bundle.metrics:
        bundle.metrics["evidence"]["of"] = stamp(bundle.thresholds)  # type: ignore[index]
    write_bundle(tmp_path / "b", bundle)
    return (tmp_path / "b" / CARD).read_text(encoding="utf-8")


def scored(**more: Any) -> dict[str, Any]:
    positives = {"物流": 50, "质量": 60, "发票": 3, "正面": 40, "负面": 50, "本人": 20, "他人": 25}
    return {"evidence": dict(SCORES), "data": {**DATA, "positives": positives}, **more}


def test_the_hub_reads_the_head(tmp_path: Path):
    card = ModelCard(card_of(tmp_path, metrics=scored(card={"license": "apache-2.0"})))
    assert card.data.license == "apache-2.0"
    assert card.data.language == ["zh"]
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.library_name == "duobiao"
    found = {one.metric_name: one.metric_value for one in card.data.eval_results}
    assert found == {"micro_f1": 0.8125, "macro_f1": 0.5, "samples_f1": 0.75, "subset_accuracy": 0.6}
    assert {one.dataset_split for one in card.data.eval_results} == {"validation"}


def test_it_names_the_commands_that_write_it(tmp_path: Path):
    text = card_of(tmp_path)
    assert "每次 train、distil、add-label、tune、dial、export 都会重写" in text
    assert "written anew by train, distil, add-label, tune, dial and export" in text


def test_scores_stand_with_their_intervals_and_what_was_drawn(tmp_path: Path):
    text = card_of(tmp_path, metrics=scored())
    assert "| micro-F1 | 0.812 | 0.700 – 0.900 |" in text
    assert "40 行，12 组（`group_id`）" in text
    assert "12 groups by `group_id`" in text
    assert "group accuracy" not in text, "a figure that is not there has no line"


def test_each_label_has_its_line(tmp_path: Path):
    text = card_of(tmp_path, metrics=scored())
    assert "| 物流 |  | 0.500 | 50 | 30 | 1.000 | 0.500 | 0.667 | 0.400 – 0.800 |" in text
    assert "| 本人 | 身份确认 | – |" in text, "a group has no threshold"


def test_limits_are_worked_out_from_the_figures(tmp_path: Path):
    text = card_of(tmp_path, metrics=scored())
    assert "1 label has fewer than 20 training rows: 发票." in text
    assert "1 个标签的训练样本不足 20 行：发票。" in text
    assert "no true row among those that were scored, so nothing is known of them: 发票." in text
    assert "an F1 below 0.5 in spite of enough rows: 质量." in text
    assert "64 tokens at most and cuts off the rest; 25.0% of the dev rows" in text
    assert "groups that are bound to some are not answered: 身份确认." in text
    assert "Probabilities are not calibrated" in text
    assert "No abstain band is set" in text


def test_what_is_mended_is_no_limit_any_more(tmp_path: Path):
    metrics = scored()
    metrics["data"]["dev"] = {**DATA["dev"], "full_length": 0.001}
    thresholds = {
        "values": {"物流": 0.5, "质量": 0.5, "发票": 0.5},
        "settings": {"band": 0.2},
        "calibration": {"temperature": {"物流": 1.2}, "isotonic": {}},
    }
    text = card_of(tmp_path, metrics=metrics, thresholds=thresholds)
    assert "cuts off" not in text
    assert "not calibrated" not in text
    assert "No abstain band" not in text
    assert "`band` 0.2" in text


def test_scores_of_other_thresholds_are_never_shown(tmp_path: Path):
    place = tmp_path / "b"
    before = make_bundle(metrics=scored())
    before.metrics["evidence"]["of"] = stamp(before.thresholds)  # type: ignore[index]
    write_bundle(place, before)
    assert "0.812" in (place / CARD).read_text(encoding="utf-8")
    changed = {"values": {"物流": 0.4, "质量": 0.5, "发票": 0.5}, "settings": {}}
    write_bundle(place, make_bundle(metrics=before.metrics, thresholds=changed))
    text = (place / CARD).read_text(encoding="utf-8")
    assert "0.812" not in text
    assert "There are no scores for these thresholds." in text
    assert ModelCard(text).data.eval_results is None


def test_calibration_figures_of_other_thresholds_are_never_shown(tmp_path: Path):
    figures = {"before": {"ece": 0.1234, "brier": 0.2}, "after": {"ece": 0.0456, "brier": 0.1}}
    thresholds = {
        "values": {"物流": 0.5, "质量": 0.5, "发票": 0.5},
        "settings": {},
        "calibration": {"temperature": {"物流": 1.2}, "isotonic": {}},
    }
    for of, shows in ((stamp(thresholds), True), (stamp({"values": {}}), False)):
        text = card_of(tmp_path, thresholds=thresholds, metrics={"tune": {"of": of, "points": {}, "calibration": figures}})
        assert "Probabilities are calibrated: 1 decisions by a temperature" in text
        assert ("0.1234" in text) == ("0.0456" in text) == shows
    older = {"tune": {"points": {}, "calibration": figures}}
    assert "0.1234" in card_of(tmp_path, thresholds=thresholds, metrics=older)
    for later in ("int8", "add_label"):
        grown = {**older, later: {"chosen": "a", "metric": "b", "points": 1}}
        assert "0.1234" not in card_of(tmp_path, thresholds=thresholds, metrics=grown)


def test_test_scores_count_for_their_bundle_alone(tmp_path: Path):
    place = tmp_path / "b"
    digest = write_bundle(place, make_bundle())
    write_metrics(place, {"test": {**SCORES, "how": "test", "of": digest}})
    assert "Test rows: 40" in (place / CARD).read_text(encoding="utf-8")
    bundle = read_bundle(place)
    write_bundle(place, make_bundle(metrics=bundle.metrics, thresholds={"values": {}, "settings": {}}))
    assert "Test rows" not in (place / CARD).read_text(encoding="utf-8")


def test_the_card_is_no_part_of_the_bundle(tmp_path: Path):
    place = tmp_path / "b"
    digest = write_bundle(place, make_bundle())
    (place / CARD).write_text("mine", encoding="utf-8")
    assert read_bundle(place).digest == digest
    (place / CARD).unlink()
    assert read_bundle(place).digest == digest
    assert CARD not in read_manifest(place)["files"]


def test_metrics_change_without_a_new_digest_and_the_rest_stays(tmp_path: Path):
    place = tmp_path / "b"
    digest = write_bundle(place, make_bundle(metrics={"a": 1, "b": 2}))
    write_metrics(place, {"b": None, "card": {"notes": "只给**内部**用。"}})
    found = read_bundle(place)
    assert (found.digest, found.metrics) == (digest, {"a": 1, "card": {"notes": "只给**内部**用。"}})
    assert (place / CARD).read_text(encoding="utf-8").count("只给**内部**用。") == 2, "once in each language"
    assert sorted(path.name for path in place.iterdir() if path.name.startswith(".")) == []
    with pytest.raises(BundleError, match="there is no such folder"):
        write_metrics(tmp_path / "none", {})


def test_the_same_manifest_gives_the_same_card(tmp_path: Path):
    text = card_of(tmp_path, metrics=scored())
    place = tmp_path / "b"
    manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
    sizes = {name: (place / name).stat().st_size for name in manifest["files"]}
    assert render_card(manifest, sizes) == text


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ("/home/somebody/models/e5", "e5"),
        ("../models/e5/", "e5"),
        ("C:\\Users\\somebody\\e5", "e5"),
        ("~/e5", "e5"),
        ("hfl/chinese-macbert-base", "hfl/chinese-macbert-base"),
    ],
)
def test_local_paths_do_not_reach_the_card(tmp_path: Path, named: str, shown: str):
    text = card_of(tmp_path, kind="encoder", config={"encoder": named, "nested": [{"words": named}]})
    assert f"- 编码器：{escaped(shown)}" in text
    assert "somebody" not in text
    assert without_paths([{"a": (named, 1)}]) == [{"a": [shown, 1]}]


def test_names_that_markdown_would_read_are_shown_as_they_are(tmp_path: Path):
    space = LabelSpace(("a|b", "*重要*", "<script>"))
    text = card_of(tmp_path, name="x_y_z", space=space, thresholds={"values": {}, "settings": {}})
    assert "| a\\|b |" in text
    assert "| \\*重要\\* |" in text
    assert "<script>" not in text
    assert "# x\\_y\\_z" in text


def test_older_bundles_show_what_they_have(tmp_path: Path):
    dev = {"rows": 16, "micro_f1": 0.5, "macro_f1": 0.25, "samples_f1": 0.5, "subset_accuracy": 0.5, "group_accuracy": None}
    text = card_of(tmp_path, metrics={"dev": dev, "train_rows": 48})
    assert "| micro-F1 | 0.500 |" in text
    assert "- training rows: 48" in text
    assert "95 % intervals" not in text
    tuned = {"dev": dev, "tune": {"points": {"default": {"micro_f1": 0.4, "macro_f1": 0.3}}, "calibration": None}}
    text = card_of(tmp_path, metrics=tuned)
    assert "0.500 |" not in text.split("## 阈值与校准")[0], "what tune has overtaken is not shown"
    assert "| default（默认） | macro-f1 | 0.400 | 0.300 |" in text


def test_a_control_is_not_called_distilled(tmp_path: Path):
    manifest = {**read_manifest_of(tmp_path, kind="textcnn", metrics={"teacher": "none (control)"})}
    assert facts(manifest, {})["kind"].en == "TextCNN"
    assert facts({**manifest, "metrics": {"teacher": "t"}}, {})["kind"].en == "TextCNN, distilled"


def read_manifest_of(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    write_bundle(tmp_path / "m", make_bundle(**changes))
    return read_manifest(tmp_path / "m")


def test_a_folder_for_transformers_says_which_groups_it_does_not_answer_by_costs() -> None:
    agreement = {"rows": 3, "cells": 9, "largest": 1e-7, "flipped": 0}
    thresholds = {"values": {}, "settings": {}, "group_costs": {label: {} for label in ("正面", "负面")}}
    text = render_folder_card(make_bundle(thresholds=thresholds), agreement)
    assert "按代价作答的组" in text
    assert "with what is expected to cost least, which need not be the likeliest: 正面, 负面." in text
    assert "代价" not in render_folder_card(make_bundle(), agreement)


def test_a_folder_for_transformers_tells_the_weights_of_labels_in_groups() -> None:
    agreement = {"rows": 3, "cells": 9, "largest": 1e-7, "flipped": 0}
    thresholds = {"values": {}, "settings": {}, "group_weights": {"正面": 0.25, "负面": 1.23456789}}
    text = render_folder_card(make_bundle(thresholds=thresholds), agreement)
    assert "没有写出的权重是 1：正面 0.25、负面 1.235。" in text
    assert "weights other than 1: 正面 0.25, 负面 1.235." in text
    assert "权重" not in render_folder_card(make_bundle(), agreement)
