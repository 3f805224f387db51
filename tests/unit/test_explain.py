"""Words that speak for a label."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from systems import NODE, Reader, make_system

from duobiao.classifier import Classifier
from duobiao.errors import DataError
from duobiao.explain import MAX_SPANS, explain, word_spans


def test_the_word_that_decides_has_all_the_weight():
    found = explain(make_system(), "昨天的物流太慢了")
    assert next(iter(found)) == "物流"  # what the text is chosen for
    weights = {word.text: word.weight for word in found["物流"]}
    assert max(weights, key=weights.__getitem__) == "物流"
    assert weights["物流"] == pytest.approx(8.0, abs=1e-3)  # from logit 4 to -4
    assert all(weight == 0 for text, weight in weights.items() if text != "物流")


def test_weights_are_those_of_texts_asked_one_by_one():
    system = make_system()
    text = "物流和质量都不行"
    whole = system.predict_proba([text])[0].astype(float)
    found = explain(system, text, labels=["物流", "正面"])
    for label, words in found.items():
        column = system.space.index[label]
        for word in words:
            assert text[word.start : word.end] == word.text
            without = system.predict_proba([text[: word.start] + text[word.end :]])[0].astype(float)
            before, after = (np.log(p[column] / (1 - p[column])) for p in (whole, without))
            assert word.weight == pytest.approx(before - after, abs=1e-3)


def test_all_shortened_texts_are_one_call():
    backend = Reader()
    explain(make_system(backend), "昨天的物流太慢了")
    assert backend.calls == 1


def test_without_a_chosen_label_the_likeliest_is_explained():
    system = make_system(Reader(), thresholds={"values": dict.fromkeys(("物流", "质量", "发票"), 0.99), "settings": {}})
    assert "情感" not in explain(system, "物流慢")
    assert explain(system, "物流慢", labels=None)


def test_a_label_that_the_context_is_not_asked_has_no_words():
    system = make_system()
    assert explain(system, "我是本人", None, ["本人"])["本人"] == []
    asked = explain(system, "我是本人", NODE, ["本人"])["本人"]
    assert max(asked, key=lambda word: word.weight).text == "本人"


def test_a_foreign_label_is_refused():
    with pytest.raises(DataError, match="no label '天气'"):
        explain(make_system(), "物流", labels=["天气"])


@pytest.mark.parametrize("text", ["", "，。！", " "])
def test_a_text_without_words_has_none(text: str):
    assert all(words == [] for words in explain(make_system(), text).values())


@given(st.text(alphabet="快递坏了ab1，。 😀\n", max_size=300))
def test_spans_lie_in_order_inside_the_text(text: str):
    spans = word_spans(text)
    assert len(spans) <= MAX_SPANS
    assert all(start < end for start, end in spans)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    covered = {place for start, end in spans for place in range(start, end)}
    assert all(place in covered for place, character in enumerate(text) if character.isalnum())


def test_a_linear_bundle_names_its_own_word(tmp_path):
    from serving import make_bundle

    words = explain(Classifier.load(make_bundle(tmp_path / "b")), "今天的快递没到", labels=["物流"])["物流"]
    assert max(words, key=lambda word: word.weight).text in ("快递", "没到", "快递没到", "没")
    assert {word.text: word.weight for word in words}["今天"] <= 0.05
