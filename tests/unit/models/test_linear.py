import re
from collections.abc import Sequence
from io import StringIO
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from duobiao import progress
from duobiao.bundle import Bundle, read_bundle, write_bundle
from duobiao.config import InputSettings, LinearConfig, parse_config
from duobiao.errors import ConfigError, DataError
from duobiao.labels import UNASKED, UNKNOWN, Group, LabelSpace, Targets
from duobiao.models.linear import CERTAIN, VOCABULARY, LinearBackend, dimensions_to_try, fit_linear
from duobiao.postprocess.probabilities import probabilities

FREE = LabelSpace(("物流", "质量", "发票"))
WORDS = {
    "物流": ["快递没到", "包裹在哪", "物流 太慢了"],
    "质量": ["坏了", "质量差 Pro", "有裂缝"],
    "发票": ["开发票", "抬头错了", "要专票"],
}


def make_rows(count: int, seed: int = 0) -> tuple[list[tuple[str, str | None]], Targets]:
    random = np.random.default_rng(seed)
    cells = (random.random((count, 3)) < 0.4).astype(np.int8)
    texts = []
    for row in cells:
        said = [str(random.choice(WORDS[name])) for name, cell in zip(FREE.names, row, strict=True) if cell]
        texts.append("，".join(["你好", *said, str(random.choice(["谢谢", "麻烦了", "请问"]))]))
    return [(text, None) for text in texts], cells


def config(**settings: Any) -> LinearConfig:
    return LinearConfig.model_validate({"kind": "linear", **settings})


def unscaled(pairs: Sequence[Any], labels: int) -> tuple[Sequence[Any], Targets]:
    """Dev rows of which nothing is known, so that margins stay as they are."""
    return pairs[:1], np.full((1, labels), UNKNOWN, np.int8)


def through_bundle(backend: LinearBackend, space: LabelSpace, path: Any) -> LinearBackend:
    model, files, weights = backend.stored()
    settings = backend.settings.model_dump(mode="json")
    write_bundle(path, Bundle("linear", "l", space, settings, model, {}, {}, {}, files, weights))
    return LinearBackend.from_bundle(read_bundle(path))


@pytest.mark.parametrize(("ngrams", "min_df", "c"), [((1, 3), 1, 0.5), ((2, 2), 2, 4.0), ((1, 1), 1, 0.1)])
def test_parity_with_a_plain_scikit_learn_pipeline(ngrams: tuple[int, int], min_df: int, c: float):
    pairs, cells = make_rows(60)
    backend = fit_linear(config(ngrams=ngrams, min_df=min_df, c=c), FREE, (pairs, cells), unscaled(pairs, 3))
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=ngrams, min_df=min_df, sublinear_tf=True)
    features = vectorizer.fit_transform([text for text, _ in pairs])
    unseen = [text for text, _ in make_rows(40, seed=1)[0]] + ["PRO 全新的词"]
    found = backend.logits([(text, None) for text in unseen])
    assert found.dtype == np.float32
    for label in range(3):
        machine = LinearSVC(C=c, random_state=0).fit(features, cells[:, label] == 1)
        wanted = machine.decision_function(vectorizer.transform(unseen))
        np.testing.assert_allclose(found[:, label], wanted, atol=2e-3)
        assert ((found[:, label] > 0) == (wanted > 0)).mean() > 0.97
    assert backend.parameters == (len(vectorizer.vocabulary_) + 1) * 3


def test_unknown_rows_of_a_label_teach_it_nothing():
    pairs, cells = make_rows(60)
    hidden = cells.copy()
    hidden[30:, 0] = UNKNOWN
    found = fit_linear(config(), FREE, (pairs, hidden), unscaled(pairs, 3))
    features = found.vectorizer.transform(pairs)
    machine = LinearSVC(C=2.0, random_state=0).fit(features[:30], cells[:30, 0] == 1)
    np.testing.assert_allclose(found.logits(pairs)[:, 0], machine.decision_function(features), atol=2e-3)
    full = fit_linear(config(), FREE, (pairs, cells), unscaled(pairs, 3))
    assert np.abs(full.logits(pairs)[:, 0] - found.logits(pairs)[:, 0]).max() > 0.01
    np.testing.assert_array_equal(full.logits(pairs)[:, 1:], found.logits(pairs)[:, 1:])


def test_a_stored_model_gives_the_same_logits_bit_for_bit(tmp_path: Any):
    pairs, cells = make_rows(80)
    pairs = [(text, [None, "回访", "咨询"][n % 3]) for n, (text, _) in enumerate(pairs)]
    backend = fit_linear(config(), FREE, (pairs, cells), make_rows(30, seed=2))
    loaded = through_bundle(backend, FREE, tmp_path / "linear")
    unseen = [*make_rows(40, seed=1)[0], ("快递没到", "回访"), ("坏\ud800字", "没见过"), ("", None)]
    np.testing.assert_array_equal(loaded.logits(unseen), backend.logits(unseen))
    assert loaded.parameters == backend.parameters
    assert loaded.settings == backend.settings


@pytest.mark.parametrize("labels", [1, 2, 3])
def test_logits_of_a_row_do_not_depend_on_its_neighbours(labels: int):
    pairs, cells = make_rows(40)
    known = pairs, cells[:, :labels]
    backend = fit_linear(config(), LabelSpace(FREE.names[:labels]), known, known)
    together = backend.logits(pairs)
    np.testing.assert_array_equal(np.concatenate([backend.logits([pair]) for pair in pairs]), together)
    assert backend.logits([]).shape == (0, labels)


DIALOGUE = LabelSpace(
    (),
    (
        Group("身份", ("身份/是", "身份/否"), contexts=("身份确认",)),
        Group("时间", ("时间/可以", "时间/不行"), contexts=("时间确认",)),
        Group("语气", ("好", "坏")),
    ),
)


def dialogue() -> tuple[list[tuple[str, str | None]], Targets]:
    """The same answers at two nodes; at one of them they mean the opposite mood."""
    pairs, rows = [], []
    for text, yes in [("是的", True), ("对", True), ("不是", False), ("没有啊", False)] * 3:
        for node, names in [("身份确认", ("身份/是", "身份/否")), ("时间确认", ("时间/可以", "时间/不行"))]:
            mood = "好" if yes == (node == "身份确认") else "坏"
            pairs.append((text, node))
            rows.append(DIALOGUE.encode([names[0] if yes else names[1], mood], context=node))
    return pairs, np.array(rows)


def test_the_same_text_means_different_things_at_two_nodes(tmp_path: Any):
    pairs, cells = dialogue()
    assert (cells == UNASKED).any()
    backend = through_bundle(fit_linear(config(c=10), DIALOGUE, (pairs, cells), (pairs, cells)), DIALOGUE, tmp_path / "b")
    mood = DIALOGUE.slices[2]
    here, there = backend.logits([("是的", "身份确认"), ("是的", "时间确认")])[:, mood]
    assert here.argmax() == 0
    assert there.argmax() == 1
    deaf = fit_linear(config(c=10, input={"context": "none"}), DIALOGUE, (pairs, cells), (pairs, cells))
    found = deaf.logits([("是的", "身份确认"), ("是的", "时间确认"), ("是的", None)])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert not any("\x02" in word for word in deaf.vectorizer.vocabulary)


def test_what_labels_share_is_chosen_on_dev_rows_where_there_are_several_groups(tmp_path: Any):
    pairs, cells = dialogue()
    pairs, cells, known = pairs[:6], cells[:6], dialogue()  # "没有啊" was said at neither node
    told = StringIO()
    alone, together = (fit_linear(config(shared=shared), DIALOGUE, (pairs, cells), known) for shared in (0, 100))
    with progress.use(progress.Console(told)):
        found = fit_linear(config(), DIALOGUE, (pairs, cells), known)
    values = dict(re.findall(r"(none|100): ([\d.]+)", told.getvalue()))
    assert set(values) == {"none", "100"}
    wanted = together if float(values["100"]) > float(values["none"]) else alone
    np.testing.assert_array_equal(found.coefficients, wanted.coefficients)
    assert through_bundle(found, DIALOGUE, tmp_path / "b").shared == wanted.shared
    np.testing.assert_array_equal(through_bundle(together, DIALOGUE, tmp_path / "c").logits(pairs), together.logits(pairs))
    assert together.shared == 100
    assert not alone.shared


@pytest.mark.parametrize("shared", ["foo", -1, 1.5, True, None])
def test_dimensions_that_make_no_sense_are_refused_in_one_line(shared: Any):
    with pytest.raises(ConfigError) as error:
        parse_config({"kind": "linear", "shared": shared})
    assert [line.partition(":")[0] for line in error.value.problems] == ["shared"]
    assert f"{shared!r} is neither auto nor a whole number of 0 or more" in error.value.problems[0]


def test_where_there_is_one_group_labels_share_nothing_by_themselves():
    pairs, cells = make_rows(60)
    assert dimensions_to_try("auto", FREE) == [0]
    assert dimensions_to_try("auto", DIALOGUE) == [0, 100]
    assert dimensions_to_try(7, FREE) == [7]
    together = fit_linear(config(shared=7), FREE, (pairs, cells), (pairs, cells))
    assert np.linalg.matrix_rank(together.coefficients, tol=1e-3) == 3
    answers = probabilities(together.logits(pairs), FREE) > 0.5
    assert ((answers == (cells == 1)).mean()) > 0.9


def test_a_context_is_one_feature_and_no_text():
    pairs, cells = make_rows(40)
    pairs = [(text, "快递没到") for text, _ in pairs]
    backend = fit_linear(config(), FREE, (pairs, cells), unscaled(pairs, 3))
    counts = backend.vectorizer.transform([("", "快递没到"), ("", "快递")])
    assert counts[0].nnz == 1
    assert counts[1].nnz == 0
    assert backend.vectorizer.transform([("快递没到", None)]).nnz > 1


def test_text_is_cleaned_as_the_settings_say():
    pairs, cells = make_rows(40)
    backend = fit_linear(config(), FREE, (pairs, cells), (pairs, cells))
    np.testing.assert_array_equal(backend.logits([(" 快\u200b递\n没到 ", None)]), backend.logits([("快递 没到", None)]))
    raw = fit_linear(config(input={"clean": []}), FREE, (pairs, cells), (pairs, cells))
    assert (raw.logits([("快\u200b递", None)]) != raw.logits([("快递", None)])).any()
    assert raw.settings == InputSettings(clean=())


def test_labels_that_are_always_or_never_or_nowhere_known_true():
    pairs, cells = make_rows(30)
    cells[:, 0], cells[:, 1], cells[:, 2] = 1, 0, UNKNOWN
    found = fit_linear(config(), FREE, (pairs, cells), unscaled(pairs, 3)).logits(pairs)
    np.testing.assert_allclose(found, np.tile([CERTAIN, -CERTAIN, -CERTAIN], (30, 1)))


def test_scaled_margins_are_probabilities_that_fit_the_dev_rows():
    pairs, cells = make_rows(200)
    dev = make_rows(120, seed=3)
    noisy = dev[1] & (np.random.default_rng(1).random(dev[1].shape) < 0.6)  # two of five are missing
    plain = fit_linear(config(), FREE, (pairs, cells), unscaled(pairs, 3)).logits(dev[0])
    scaled = fit_linear(config(), FREE, (pairs, cells), (dev[0], noisy)).logits(dev[0])

    def surprise(logits: np.ndarray) -> float:
        found = probabilities(logits, FREE).astype(np.float64)
        return float(-np.log(np.where(noisy == 1, found, 1 - found)).mean())

    assert surprise(scaled) < surprise(plain)
    assert probabilities(scaled, FREE).mean() == pytest.approx(noisy.mean(), abs=0.01)  # Platt's offset balances them
    for label in range(3):  # one slope: the order of rows stays
        np.testing.assert_array_equal(np.argsort(plain[:, label]), np.argsort(scaled[:, label]))


def test_one_slope_for_all_groups_leaves_their_answers():
    pairs, cells = dialogue()
    plain = fit_linear(config(), DIALOGUE, (pairs, cells), unscaled(pairs, 6)).logits(pairs)
    scaled = fit_linear(config(), DIALOGUE, (pairs, cells), (pairs, cells)).logits(pairs)
    ratio = scaled / plain
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-3)
    assert ratio[0, 0] > 1.2  # separable rows deserve more confidence


@pytest.mark.parametrize(
    ("texts", "settings"), [(["", " "], {}), (["好", "坏"], {"ngrams": [3, 3]}), (["好", "坏"], {"min_df": 2})]
)
def test_texts_without_any_ngram_are_refused(texts: list[str], settings: dict[str, Any]):
    pairs = [(text, None) for text in texts]
    cells = np.array([[1, 0, 0], [0, 1, 1]], dtype=np.int8)
    with pytest.raises(DataError, match="hold no n-grams") as caught:
        fit_linear(config(**settings), FREE, (pairs, cells), (pairs, cells))
    assert "min_df" in caught.value.hint


def test_the_vocabulary_is_stored_in_the_order_of_the_columns():
    pairs, cells = make_rows(20)
    backend = fit_linear(config(), FREE, (pairs, cells), (pairs, cells))
    _, files, weights = backend.stored()
    assert files.keys() == {VOCABULARY}
    assert weights["coefficients"].shape == (len(weights["idf"]), 3)
    assert files[VOCABULARY].isascii()
