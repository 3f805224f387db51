"""The scikit-learn estimator: scikit-learn's own checks, and its use among other estimators."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

import duobiao
from duobiao.bundle import read_bundle
from duobiao.data.rows import Row
from duobiao.errors import BundleError, ConfigError, DataError, DuobiaoError
from duobiao.estimator import DuobiaoClassifier
from duobiao.estimator.errors import InputError
from duobiao.labels import LabelSpace
from duobiao.train import recipe

LABELS = ("物流", "质量", "发票")
WORDS = {"物流": "快递没到", "质量": "坏了", "发票": "要开票"}


DO_NOT_APPLY = {
    "check_classifier_multioutput": "asks that labels are cut at 0.5; here each label has a threshold tuned on dev rows",
}


class OfNumbers(DuobiaoClassifier):
    """Numbers as texts, so that the checks, which know numbers alone, can be run on everything behind the texts."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = False
        tags.input_tags.two_d_array = True
        return tags

    def _texts(self, x: Any, *, reset: bool) -> tuple[list[str], list[str | None]]:
        steps = np.clip(np.floor(validate_data(self, x, reset=reset).astype(float) * 2), -30, 30).astype(int)
        return ["".join(chr(0x4E00 + 64 * at + 31 + step) for at, step in enumerate(row)) for row in steps], [None] * len(steps)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([OfNumbers("linear")], expected_failed_checks=lambda estimator: DO_NOT_APPLY)
def test_scikit_learns_own_checks(estimator: Any, check: Any):
    check(estimator)


def some(rows: int = 48) -> tuple[list[str], np.ndarray]:
    random = np.random.default_rng(3)
    y = (random.random((rows, 3)) < 0.45).astype(int)
    fillers = ["你们", "今天", "那个东西", "麻烦"]
    x = [
        "，".join([WORDS[LABELS[at]] for at in np.flatnonzero(row)] + [fillers[n % 4], fillers[n % 3]])
        for n, row in enumerate(y)
    ]
    return x, y


def lists(y: np.ndarray) -> list[list[str]]:
    return [[LABELS[at] for at in np.flatnonzero(row)] for row in y]


def test_it_says_that_it_reads_texts():
    tags = DuobiaoClassifier().__sklearn_tags__()
    assert (tags.input_tags.string, tags.input_tags.two_d_array) == (True, False)
    assert tags.classifier_tags.multi_label


@pytest.mark.parametrize("given", ["list", "series", "array", "column"])
def test_texts_come_in_many_forms(given: str):
    x, y = some()
    forms = {"list": x, "series": pd.Series(x), "array": np.array(x), "column": pd.DataFrame({"anything": x})}
    found = DuobiaoClassifier("linear").fit(forms[given], y).predict(forms[given])
    np.testing.assert_array_equal(found, DuobiaoClassifier("linear").fit(x, y).predict(x))
    assert f1_score(y, found, average="micro") > 0.95


def test_lists_of_labels_come_back_as_lists():
    x, y = some()
    model = DuobiaoClassifier("linear").fit(x, lists(y))
    found = model.predict(x)
    assert sorted(model.classes_) == sorted(LABELS)
    same = DuobiaoClassifier("linear", label_space={"labels": list(LABELS)}).fit(x, y)
    assert [sorted(row) for row in found] == [sorted(row) for row in lists(same.predict(x))]
    assert model.score(x, lists(y)) == pytest.approx(same.score(x, y))


def test_a_column_of_classes_is_an_exclusive_group():
    x, y = some()
    classes = np.where(y[:, 0] == 1, "到", "没")
    model = DuobiaoClassifier("linear").fit(x, classes)
    assert model.classes_.tolist() == ["到", "没"]
    assert model.classifier_.space.groups[0].labels == ("到", "没")
    np.testing.assert_allclose(model.predict_proba(x).sum(axis=1), 1, rtol=1e-5)
    assert model.score(x, classes) > 0.9


def test_classes_under_a_label_space_are_scored_whole():
    x, y = some()
    classes = np.where(y[:, 0] == 1, "到了", "没到")
    model = DuobiaoClassifier("linear", label_space={"labels": [], "groups": {"y": {"labels": ["到了", "没到"]}}})
    assert model.fit(x, classes).score(x, classes) == model.score(x, [[name] for name in classes]) > 0.9


def test_it_is_the_recipe_of_the_command_line(tiny_rows: Any, tiny_space: LabelSpace, tmp_path: Path):
    rows = [row for row in tiny_rows.train if not row.unknown]
    x = pd.DataFrame({"context": [row.context for row in rows], "text": [row.text for row in rows]})
    dev_x = pd.DataFrame({"text": [row.text for row in tiny_rows.dev], "context": [row.context for row in tiny_rows.dev]})
    dev = (dev_x, [list(row.labels) for row in tiny_rows.dev])
    model = DuobiaoClassifier("linear", label_space=tiny_space).fit(x, [list(row.labels) for row in rows], dev=dev)
    plain = [Row(str(n), row.text, row.context, row.labels) for n, row in enumerate(rows)]
    plain_dev = [Row(str(n), row.text, row.context, row.labels) for n, row in enumerate(tiny_rows.dev)]
    recipe.train(duobiao.config.load_config("linear"), plain, plain_dev, tiny_space, tmp_path / "b")
    assert model.classifier_.bundle.digest == read_bundle(tmp_path / "b").digest
    proba = model.predict_proba(np.array([["身份确认", "是我"], [None, "是我"]], dtype=object))
    assert (proba[1, -2:] == 0).all(), "what is not asked has no probability"
    assert (proba[0, -2:] > 0).all()


def test_unknown_cells_are_left_out():
    x, y = some()
    hidden = y.copy()
    hidden[:10, 0] = -1
    model = DuobiaoClassifier("linear").fit(x, hidden)
    assert model.classifier_.bundle.metrics["data"]["positives"]["0"] < (y[:, 0] == 1).sum()
    assert model.predict(x).shape == y.shape


def test_a_label_without_rows_is_never_predicted():
    x, y = some()
    empty = np.column_stack([y[:, 0], np.zeros(len(y), int), y[:, 1:]])
    with pytest.warns(UserWarning, match="1 labels have no true row and are never predicted: 1"):
        model = DuobiaoClassifier("linear").fit(x, empty)
    assert model.predict(x).shape == (len(x), 4)
    assert model.predict(x)[:, 1].sum() == model.predict_proba(x)[:, 1].sum() == 0
    np.testing.assert_array_equal(model.predict(x)[:, [0, 2, 3]], DuobiaoClassifier("linear").fit(x, y).predict(x))


def test_a_frames_columns_are_found_by_their_names_under_a_label_space(chain: Any):
    x, y = some()
    frame = pd.DataFrame(y, columns=LABELS)
    turned = frame[["质量", "发票", "物流"]]
    model = DuobiaoClassifier("linear", label_space=LabelSpace(LABELS)).fit(x, turned, dev=(x, frame))
    same = DuobiaoClassifier("linear", label_space=LabelSpace(LABELS)).fit(x, y, dev=(x, y))
    assert model.classifier_.bundle.digest == same.classifier_.bundle.digest
    np.testing.assert_array_equal(model.predict(x), same.predict(x)[:, [1, 2, 0]])
    assert model.score(x, turned) == model.score(x, frame) == same.score(x, frame) == same.score(x, y) > 0.9
    plain = pd.DataFrame(y)
    assert DuobiaoClassifier("linear", label_space=LabelSpace(LABELS)).fit(x, plain, dev=(x, y)).score(x, y) == same.score(x, y)
    with pytest.raises(InputError, match="other columns than the labels") as caught:
        DuobiaoClassifier(label_space=LabelSpace(LABELS)).fit(x, frame.rename(columns={"发票": "开票"}))
    assert caught.value.problems == ("'开票' is no label", "there is no column '发票'")
    with pytest.raises(InputError, match="other columns"):
        DuobiaoClassifier().fit(x, frame, dev=(x, frame.rename(columns={"发票": "开票"})))


def test_dev_rows_leave_out_the_columns_that_training_left_out():
    x, y = some()
    empty = pd.DataFrame(np.column_stack([y[:, 0], np.zeros(len(y), int), y[:, 1:]]), columns=["物流", "缺", "质量", "发票"])
    with pytest.warns(UserWarning, match="1 labels have no true row"):
        model = DuobiaoClassifier("linear").fit(x, empty, dev=(x, empty[["发票", "缺", "物流", "质量"]]))
    same = DuobiaoClassifier("linear").fit(x, y, dev=(x, y))
    np.testing.assert_array_equal(model.predict(x)[:, [0, 2, 3]], same.predict(x))
    with pytest.warns(UserWarning, match="no true row"), pytest.raises(InputError, match="3 columns"):
        DuobiaoClassifier("linear").fit(x, empty, dev=(x, y))


def test_it_works_in_a_grid_search_a_pipeline_and_cross_validation():
    x, y = some()
    scorer = make_scorer(f1_score, average="micro", zero_division=0)
    search = GridSearchCV(
        DuobiaoClassifier("linear"), {"overrides": [("c=0.000001",), ("c=1",)]}, scoring=scorer, cv=3, error_score="raise"
    )
    search.fit(np.array(x), y)
    assert search.best_params_ == {"overrides": ("c=1",)}
    pipeline = make_pipeline(
        FunctionTransformer(lambda texts: [text.replace("坏", "破") for text in texts]), DuobiaoClassifier()
    )
    assert pipeline.fit(x, y).predict(["破了"]).tolist() == [[0, 1, 0]]
    folds = cross_val_score(
        DuobiaoClassifier(),
        np.array(x),
        y,
        cv=GroupKFold(3),
        groups=np.arange(len(x)) % 6,
        scoring="roc_auc",
        error_score="raise",
    )
    assert folds.min() > 0.9


def test_clones_have_the_parameters_and_nothing_learned():
    x, y = some()
    model = DuobiaoClassifier("linear", overrides=("c=1",), dev_share=0.2).fit(x, y)
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        twin.predict(x)


def test_pickles_hold_the_bundles_files(tmp_path: Path):
    x, y = some()
    model = DuobiaoClassifier("linear").fit(x, y)
    packed = pickle.dumps(model)
    np.testing.assert_array_equal(pickle.loads(packed).predict_proba(x), model.predict_proba(x))
    digest = model.classifier_.bundle.digest
    assert pickle.loads(packed).classifier_.bundle.digest == digest
    weights = model.classifier_.bundle.weights["coefficients"].tobytes()
    assert weights[:200] in packed
    with pytest.raises(BundleError, match="damaged"):
        pickle.loads(packed.replace(weights[:200], bytes(200)))


def test_a_saved_model_is_a_bundle(tmp_path: Path):
    x, y = some()
    model = DuobiaoClassifier("linear", label_space=LabelSpace(LABELS)).fit(x, y)
    place = model.save(tmp_path / "b")
    assert duobiao.load(place).predict(["快递没到"])[0].labels == ["物流"]
    assert (place / "README.md").is_file()


def test_students_learn_from_a_teacher(chain: Any, tmp_path: Path):
    rows = [row for row in duobiao.data.read.read_rows(chain.train, space=read_bundle(chain.teacher).space) if not row.unknown]
    x, y = [[row.context, row.text] for row in rows], [list(row.labels) for row in rows]
    model = DuobiaoClassifier("linear-student", teacher=chain.teacher, cache=tmp_path / "cache").fit(x, y)
    assert model.classifier_.space == read_bundle(chain.teacher).space
    assert model.classifier_.bundle.metrics["teacher"] == "teacher"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".soft_labels"]
    assert len(model.predict(x)) == len(x)


@pytest.mark.filterwarnings("ignore:3 labels|2 labels")
@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        ("快递", [["物流"]], "X is a str"),
        ([["a", "b", "c"]], [["物流"]], "shape"),
        (["快递", ""], [["物流"], []], "row 1: the text is empty"),
        (["快递", 3], [["物流"], []], "row 1: 3 is no text"),
        ([[3, "快递"]], [["物流"]], "row 0: the context is 3"),
        (["快递", "坏"], None, "the target y is None"),
        (["快递", "坏"], [[0, 2], [1, 0]], "holds 2"),
        (["快递", "坏"], [[0, 0], [0, 0]], "no cell of y is 1"),
        (["快递", "坏"], ["甲", "甲"], "one class, 甲, in 2 samples"),
    ],
)
def test_bad_input_says_what_is_wrong(x: Any, y: Any, said: str):
    with pytest.raises(InputError) as caught:
        DuobiaoClassifier().fit(x, y)
    assert isinstance(caught.value, (DataError, ValueError))
    assert said in str(caught.value)
    assert caught.value.hint


def test_wrong_settings_are_refused(chain: Any):
    x, y = some(8)
    with pytest.raises(ConfigError, match="is a student"):
        DuobiaoClassifier("textcnn").fit(x, y)
    with pytest.raises(ConfigError, match="there is no configuration 'nothing'"):
        DuobiaoClassifier("nothing").fit(x, y)
    with pytest.raises(DuobiaoError, match="3 columns, but the label space 10 labels"):
        DuobiaoClassifier("linear-student", teacher=chain.teacher).fit(x, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        DuobiaoClassifier().fit(x, y[:5])


def test_overrides_hold_for_a_mapping_too():
    x, y = some()
    config = {"kind": "linear", "name": "mine", "min_df": 1, "thresholds": {"shrink": 3}}
    overrides = ("c=0.25", "thresholds.max_k=2")
    made = DuobiaoClassifier(config, overrides=overrides).fit(x, y).classifier_.bundle.config
    assert (made["c"], made["thresholds"]["max_k"], made["thresholds"]["shrink"]) == (0.25, 2, 3)
    assert config == {"kind": "linear", "name": "mine", "min_df": 1, "thresholds": {"shrink": 3}}


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share: float):
    with pytest.raises(ConfigError, match="dev_share"):
        DuobiaoClassifier(dev_share=share).fit(*some())


def test_few_rows_are_used_twice_with_a_warning():
    with pytest.warns(UserWarning, match="chosen on the training rows themselves"):
        DuobiaoClassifier().fit(["快递", "坏了"], [["物流"], ["质量"]])
