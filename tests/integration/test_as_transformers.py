"""Teachers as plain transformers folders: loaded by transformers alone, with the logits of the bundle."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import done, refused
from encoder_forms import BERT, BY_NAME, E5_BASE, Form, make_form
from huggingface_hub import ModelCard
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from duobiao.bundle import Bundle, read_bundle, write_bundle
from duobiao.classifier import Classifier
from duobiao.data.rows import Row
from duobiao.errors import BundleError, ConfigError
from duobiao.export import as_transformers
from duobiao.export.as_transformers import export_transformers
from duobiao.labels import LabelSpace
from duobiao.models.encoder import EncoderClassifier
from duobiao.models.pretrained import load_pretrained
from duobiao.postprocess.probabilities import probabilities

MIXED = LabelSpace.from_dict(
    {
        "labels": ["物流", "质量", "发票"],
        "groups": {
            "情感": {"labels": ["正面", "负面"]},
            "升级": {"labels": ["要求升级"], "at_most_one": True},
            "身份": {"labels": ["本人", "他人"], "contexts": ["身份确认"]},
        },
    }
)
LABELS = LabelSpace(("物流", "质量", "发票"))
ROWS = [
    Row(str(n), text, context) for n, (text, context) in enumerate([("快递坏了", None), ("开票", "售后"), ("是我", "身份确认")])
]
TEXTS = ["快递坏了", "我要开发票，快递三天没到！" * 3, "是我", "ab é5 % 坏", "对"]
CONTEXTS = [None, "售后", "身份确认", None, "身份确认"]
DEBERTA = {
    **{key: value for key, value in BERT.items() if key not in {"type_vocab_size", "layer_norm_eps"}},
    "model_type": "deberta-v2",
    "type_vocab_size": 0,
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "pooler_hidden_size": 16,
    "pooler_hidden_act": "gelu",
}
FORMS = {
    **{name: BY_NAME[name] for name in ("hfl/chinese-roberta-wwm-ext", "voidful/albert_chinese_tiny")},
    **{name: BY_NAME[name] for name in ("nghuyong/ernie-3.0-base-zh", "intfloat/multilingual-e5-base")},
    "electra": Form("electra", "ElectraModel", {**BERT, "model_type": "electra", "embedding_size": 16}),
    "deberta": Form("deberta", "DebertaV2Model", DEBERTA),
    "roberta": replace(
        BY_NAME["intfloat/multilingual-e5-base"], architecture="RobertaModel", config={**E5_BASE, "model_type": "roberta"}
    ),
}


def make(folder: Path, place: Path, space: LabelSpace = MIXED, pooling: str = "cls", **changes: Any) -> Path:
    """A bundle of an encoder, its output layer at random with logits of a usual size."""
    source = load_pretrained(str(folder))
    torch.manual_seed(1)
    model = EncoderClassifier(source.model, len(space), pooling, 0.0)  # type: ignore[arg-type]
    torch.nn.init.normal_(model.output.weight, std=0.4)
    torch.nn.init.normal_(model.output.bias)
    settings = {"context": "pair", "max_length": 24, "clean": ["invisible", "whitespace"]}
    bundle = Bundle(
        kind="encoder",
        name="teacher",
        space=space,
        input=settings,
        model={"pad_id": source.pad_id, **model.settings()},
        thresholds={"values": dict.fromkeys(space.independent, 0.4), "settings": {}},
        metrics={},
        config={},
        files={"tokenizer.json": source.tokenizer.to_str()},
        weights={name: tensor.numpy() for name, tensor in model.state_dict().items()},
    )
    write_bundle(place, replace(bundle, **changes))
    return place


def logits_of(folder: Path, texts: list[str], contexts: list[str | None]) -> np.ndarray:
    """As somebody without duobiao would compute them."""
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    found = []
    for text, context in zip(texts, contexts, strict=True):
        given = (text,) if context is None else (context, text)
        with torch.no_grad():
            found.append(model(**tokenizer(*given, truncation=True, return_tensors="pt")).logits[0].numpy())
    return np.stack(found)


@pytest.mark.parametrize("name", sorted(FORMS))
def test_logits_are_those_of_the_bundle(name: str, tmp_path: Path, tiny_vocabulary: list[str]):
    source = make_form(FORMS[name], tmp_path / "source", [*tiny_vocabulary, *"要发天到身份确认售后"])
    bundle = make(source, tmp_path / "b")
    agreement = export_transformers(bundle, tmp_path / "t", ROWS)
    assert agreement.flipped == 0
    wanted = Classifier.load(bundle).logits(TEXTS, context=CONTEXTS)
    assert np.abs(wanted).max() > 0.5
    np.testing.assert_allclose(logits_of(tmp_path / "t", TEXTS, CONTEXTS), wanted, atol=2e-5)
    assert {path.name for path in (tmp_path / "t").iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}


def test_a_pipeline_gives_the_bundles_probabilities(wwm_folder: Path, tmp_path: Path):
    bundle = make(wwm_folder, tmp_path / "b", LABELS)
    export_transformers(bundle, tmp_path / "t", ROWS)
    classify = pipeline("text-classification", model=str(tmp_path / "t"))
    given: list[Any] = ["快递坏了", {"text": "售后", "text_pair": "开票"}]
    answers = classify(given, top_k=None, function_to_apply="sigmoid", truncation=True)
    wanted = Classifier.load(bundle).predict_proba(["快递坏了", "开票"], context=[None, "售后"])
    for found, row in zip(answers, wanted, strict=True):
        assert {one["label"]: one["score"] for one in found} == pytest.approx(
            dict(zip(LABELS.names, row, strict=True)), abs=1e-5
        )
    config = json.loads((tmp_path / "t" / "config.json").read_text(encoding="utf-8"))
    assert config["problem_type"] == "multi_label_classification"
    assert config["duobiao"]["thresholds"] == dict.fromkeys(LABELS.names, 0.4)
    assert config["label2id"] == {"物流": 0, "质量": 1, "发票": 2}


def test_a_single_exclusive_group_is_a_single_label_problem(wwm_folder: Path, tmp_path: Path):
    space = LabelSpace.from_dict({"groups": {"情感": {"labels": ["正面", "中性", "负面"]}}})
    bundle = make(wwm_folder, tmp_path / "b", space)
    assert export_transformers(bundle, tmp_path / "t").rows == 730, "the built-in texts, where no rows are given"
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "t")
    assert model.config.problem_type == "single_label_classification"
    (answer,) = pipeline("text-classification", model=str(tmp_path / "t"), top_k=None)(["快递坏了"])
    wanted = Classifier.load(bundle).predict_proba(["快递坏了"])[0]
    assert {one["label"]: one["score"] for one in answer} == pytest.approx(
        dict(zip(space.names, wanted, strict=True)), abs=1e-5
    )
    assert 'function_to_apply="softmax"' in (tmp_path / "t" / "README.md").read_text(encoding="utf-8")


def test_temperatures_go_into_the_weights_and_steps_do_not(wwm_folder: Path, tmp_path: Path):
    steps = {"质量": {"logits": [-1.0, 1.0], "values": [0.2, 0.7]}}
    calibration = {"temperature": {"物流": 2.0, "情感": 0.5}, "isotonic": steps}
    thresholds = {"values": dict.fromkeys(MIXED.independent, 0.4), "settings": {"band": 0.1}, "calibration": calibration}
    bundle = make(wwm_folder, tmp_path / "b", thresholds=thresholds)
    export_transformers(bundle, tmp_path / "t", ROWS)
    found = logits_of(tmp_path / "t", TEXTS, CONTEXTS)
    raw = Classifier.load(bundle).logits(TEXTS, context=CONTEXTS)
    np.testing.assert_allclose(found[:, 0], raw[:, 0] / 2, atol=2e-5)
    np.testing.assert_allclose(found[:, 1], raw[:, 1], atol=2e-5)
    np.testing.assert_allclose(found[:, 3:5], raw[:, 3:5] * 2, atol=4e-5)
    proba = Classifier.load(bundle).predict_proba(TEXTS, context=CONTEXTS)
    np.testing.assert_allclose(probabilities(found, MIXED)[:, [0, 3, 4, 5]], proba[:, [0, 3, 4, 5]], atol=1e-5)


def test_its_card_says_what_is_lost(wwm_folder: Path, tmp_path: Path):
    bundle = make(wwm_folder, tmp_path / "b", metrics={"card": {"license": "mit", "notes": "只供内部"}})
    export_transformers(bundle, tmp_path / "t", ROWS)
    card = ModelCard.load(tmp_path / "t" / "README.md")
    assert card.data.library_name == "transformers"
    assert card.data.license == "mit"
    text = " ".join(card.text.split())
    assert 'Group "情感": columns 3 to 4; its probabilities are a softmax over these logits, not their sigmoid.' in text
    assert 'and a logit of 0 for "none of them"' in text
    assert "asked in these contexts alone: 身份确认; ignore the columns for other rows" in text
    assert "duobiao applies invisible, whitespace before it tokenizes" in text
    assert "只供内部" in text


def test_its_card_speaks_of_contexts_only_where_they_are_read(wwm_folder: Path, tmp_path: Path):
    for name, context in (("paired", "pair"), ("alone", "none")):
        settings = {"context": context, "max_length": 24, "clean": ["whitespace"]}
        export_transformers(make(wwm_folder, tmp_path / name, LABELS, input=settings), tmp_path / f"{name}.hf", ROWS)
        text = (tmp_path / f"{name}.hf" / "README.md").read_text(encoding="utf-8")
        assert ("text_pair" in text) == ("A context goes first" in text) == ("有上下文时" in text) == (context == "pair")


def test_its_card_says_that_a_typed_mark_is_read_as_one(wwm_folder: Path, tmp_path: Path):
    bundle = make(wwm_folder, tmp_path / "b")
    export_transformers(bundle, tmp_path / "t", ROWS)
    typed, mark = "快递[SEP]坏了", AutoTokenizer.from_pretrained(tmp_path / "t").sep_token_id
    own = Classifier.load(bundle).backend.encoder.encode([(typed, None)]).ids[0].tolist()  # type: ignore[attr-defined]
    plain = AutoTokenizer.from_pretrained(tmp_path / "t")(typed)["input_ids"]
    assert (own.count(mark), plain.count(mark)) == (1, 2)
    text = (tmp_path / "t" / "README.md").read_text(encoding="utf-8")
    assert "`[SEP]` typed in a text is text to duobiao" in text
    assert "文本里打出的 `[SEP]`" in text


def test_what_the_heads_cannot_compute_is_refused_with_all_reasons(wwm_folder: Path, tmp_path: Path):
    mean = make(wwm_folder, tmp_path / "mean", pooling="mean")
    with pytest.raises(ConfigError, match="cannot give the same answers") as caught:
        export_transformers(mean, tmp_path / "t", ROWS)
    assert caught.value.problems == (
        "pooling is mean, but the heads of transformers read the first token's state alone; train the teacher anew with "
        "pooling=cls, as in duobiao train --config teacher-mini --set pooling=cls",
    )
    assert not (tmp_path / "t").exists()
    said = refused("export", mean, "--out", tmp_path / "t", "--format", "transformers", names=("pooling=cls",))
    assert "duobiao.load" in said
    student = make(wwm_folder, tmp_path / "student", pooling="mean", kind="tinybert")
    with pytest.raises(ConfigError, match="train its teacher, which it has this from, anew with pooling=cls"):
        export_transformers(student, tmp_path / "t", ROWS)


def test_the_built_in_teacher_goes_there_if_it_is_trained_with_the_first_token(chain: Any, tmp_path: Path):
    data = ("--train", chain.train, "--dev", chain.dev, "--labels", chain.labels)
    quick = ("--set", "train.epochs=1", "--set", "min_steps=0")
    teacher = ("train", "--config", "teacher-mini", *data, *quick)
    export = ("--out", tmp_path / "t", "--format", "transformers", "--data", chain.dev)
    done(*teacher, "--out", tmp_path / "mean")
    refused("export", tmp_path / "mean", *export, names=("duobiao train --config teacher-mini --set pooling=cls",))
    done(*teacher, "--out", tmp_path / "cls", "--set", "pooling=cls")
    done("export", tmp_path / "cls", *export)
    wanted = Classifier.load(tmp_path / "cls").logits(TEXTS, context=CONTEXTS)
    np.testing.assert_allclose(logits_of(tmp_path / "t", TEXTS, CONTEXTS), wanted, atol=2e-5)


def test_other_kinds_and_options_are_refused(chain: Any, tmp_path: Path):
    for place in (chain.linear, chain.student):
        refused("export", place, "--out", tmp_path / "t", "--format", "transformers", names=("has no form in transformers",))
    command = ("export", chain.teacher, "--out", tmp_path / "t", "--format")
    refused(*command, "tensorflow", names=("bundle or transformers",))
    refused(*command, "transformers", "--int8", "--data", chain.dev, names=("--int8",))
    assert not (tmp_path / "t").exists()


def test_the_command_compares_on_the_users_rows(chain: Any, tmp_path: Path):
    said = done("export", chain.teacher, "--out", tmp_path / "t", "--format", "transformers", "--data", chain.dev).stdout
    assert "transformers agrees with" in said.replace("\n", "")
    assert "on 16 rows" in said


def test_what_does_not_agree_is_not_written(wwm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bundle = make(wwm_folder, tmp_path / "b")
    monkeypatch.setattr(as_transformers, "head_weights", lambda kind, weight, bias: _spoilt(kind, weight, bias))
    with pytest.raises(BundleError, match="does not agree with PyTorch and is not written"):
        export_transformers(bundle, tmp_path / "t", ROWS)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def _spoilt(kind: str, weight: torch.Tensor, bias: torch.Tensor) -> dict[str, torch.Tensor]:
    from duobiao.export.heads import head_weights

    return head_weights(kind, weight, bias + 1)


def test_a_folder_that_is_none_of_ours_stays(wwm_folder: Path, tmp_path: Path):
    bundle = make(wwm_folder, tmp_path / "b")
    with pytest.raises(BundleError, match="is no export"):
        export_transformers(bundle, bundle)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("x", encoding="utf-8")
    with pytest.raises(BundleError, match="is no export"):
        export_transformers(bundle, tmp_path / "mine", ROWS, force=True)
    export_transformers(bundle, tmp_path / "t", ROWS)
    export_transformers(bundle, tmp_path / "t", ROWS)
    loaded = read_bundle(bundle)
    other = tmp_path / "other"
    write_bundle(other, replace(loaded, thresholds={"values": dict.fromkeys(MIXED.independent, 0.7), "settings": {}}))
    with pytest.raises(BundleError, match="another bundle's export"):
        export_transformers(other, tmp_path / "t", ROWS)
    export_transformers(other, tmp_path / "t", ROWS, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "mine", "other", "t"]


def test_the_folder_needs_no_duobiao(wwm_folder: Path, tmp_path: Path):
    export_transformers(make(wwm_folder, tmp_path / "b"), tmp_path / "t", ROWS)
    config = json.loads((tmp_path / "t" / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert "auto_map" not in config
    assert not list((tmp_path / "t").glob("*.py"))
