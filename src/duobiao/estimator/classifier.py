"""A classifier of Chinese texts with scikit-learn's interface, trained as ``duobiao train`` and ``duobiao distil`` do it."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from duobiao.bundle import read_bundle, write_bundle
from duobiao.classifier import Classifier, make_backend
from duobiao.config import StudentConfig, load_config, parse_config, with_overrides
from duobiao.data.load import DEV_SHARE
from duobiao.data.rows import Row
from duobiao.data.split import split_off
from duobiao.errors import ConfigError, DataError, MissingExtraError
from duobiao.estimator.inputs import texts_of
from duobiao.estimator.truth import Truth, places_of, read_truth
from duobiao.labels import LabelSpace

_PACKED = "_bundle_files"


class DuobiaoClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Multi-label classification of Chinese texts.

    ``fit`` runs the same recipe as the command line, in a temporary folder: a share of the rows is set aside for thresholds and
    the best epoch.

    Args:
        config: Name of a shipped configuration (``linear``, ``teacher-mini``, ``textcnn``), a path, or a mapping.
        overrides: Settings that change, ``a.b=value`` each.
        teacher: A teacher's bundle, for students.
        label_space: A ``LabelSpace``, its mapping, or the path of its file. If left out, a student takes its teacher's, and any
            other system has independent labels, or one exclusive group where ``y`` is a column of classes.
        dev_share: Share of the rows that is set aside, if ``fit`` is given none.
        cache: Folder in which a teacher's logits are kept between fits; by default each fit computes them.

    Attributes:
        classes_: The labels: the columns of ``predict_proba``. Numbers of columns where ``y`` was an indicator matrix.
        classifier_: The model, a ``duobiao.Classifier``.

    Example:
        >>> model = DuobiaoClassifier("linear").fit(["快递没到", "箱子坏了"] * 9, [["物流"], ["质量"]] * 9)
        >>> model.predict(["快递没到"])
        [['物流']]
    """

    def __init__(
        self,
        config: Any = "linear",
        *,
        overrides: Sequence[str] = (),
        teacher: Any = None,
        label_space: Any = None,
        dev_share: float = DEV_SHARE,
        cache: Any = None,
    ) -> None:
        self.config = config
        self.overrides = overrides
        self.teacher = teacher
        self.label_space = label_space
        self.dev_share = dev_share
        self.cache = cache

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, *, groups: Any = None, dev: tuple[Any, Any] | None = None) -> DuobiaoClassifier:  # noqa: N803
        """Trains.

        Args:
            X: Texts, or two columns: context, text.
            y: An indicator matrix ``(rows, labels)`` of 0, 1 and -1 (unknown), a list of labels for each row, or a class for
                each row.
            groups: The dialogue or document of each row; those of one are set aside together.
            dev: ``(X, y)`` for thresholds and the best epoch, instead of a share of the rows.

        Returns:
            Itself.

        Raises:
            ConfigError: If ``dev_share`` is not between 0 and 1.
            DuobiaoError: As ``duobiao.train.recipe.train`` and ``distil`` do.
        """
        config = self._config()
        space = self._space(config)
        texts, contexts = self._texts(X, reset=True)
        truth = read_truth(y, space)
        rows = _rows(texts, contexts, truth, groups)
        if dev is None:
            rows, dev_rows = self._set_aside(rows)
        else:
            dev_rows = _rows(*self._texts(dev[0], reset=False), read_truth(dev[1], like=truth), None)
        with self._place() as out:
            self._train(config, rows, dev_rows, truth.space, out)
            self.classifier_ = Classifier.load(out)
        self.truth_ = truth.without_rows()
        self.classes_ = truth.classes
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Labels after thresholds, groups and rules, in the form in which ``fit`` was given them."""
        check_is_fitted(self)
        texts, contexts = self._texts(X, reset=False)
        decided = self.classifier_.decide(texts, context=contexts)[1] if texts else np.zeros((0, len(self.truth_.space)), bool)
        return self.truth_.answers(decided)

    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        """Probabilities ``(rows, classes)``; 0 where a label is not asked of a row, or had no true row to learn from."""
        check_is_fitted(self)
        texts, contexts = self._texts(X, reset=False)
        found = np.nan_to_num(self.classifier_.predict_proba(texts, context=contexts), nan=0.0)
        proba: npt.NDArray[np.float32] = self.truth_.spread(found)
        return proba

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """The share of rows of which all labels are right, as for all multi-label classifiers of scikit-learn."""
        check_is_fitted(self)
        found = self.predict(X)
        if self.truth_.form == "indicator" and hasattr(y, "columns"):
            y = np.asarray(y)[:, places_of(self.truth_.names, y)]
        if self.truth_.form == "lists":
            found, y = ([_labels(row) for row in side] for side in (found, y))
            right = np.array([one == other for one, other in zip(found, y, strict=True)])
            return float(np.average(right, weights=sample_weight))
        return float(accuracy_score(y, found, sample_weight=sample_weight))

    def save(self, path: str | Path) -> Path:
        """Writes the model as a bundle, for ``duobiao.load``, ``predict``, ``tune``, ``export`` and ``serve``.

        Raises:
            BundleError: If the place is taken by something that is no bundle, or cannot be written.
        """
        check_is_fitted(self)
        write_bundle(path, self.classifier_.bundle)
        return Path(path)

    def __getstate__(self) -> dict[str, Any]:
        """The fitted model as the files of its bundle: weights in safetensors, checked when they are read again."""
        state = dict(super().__getstate__())
        if "classifier_" in state:
            with tempfile.TemporaryDirectory() as folder:
                place = self.save(Path(folder) / "bundle")
                state[_PACKED] = {file.name: file.read_bytes() for file in place.iterdir()}
            del state["classifier_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        packed = state.pop(_PACKED, None)
        super().__setstate__(state)
        if packed is not None:
            with tempfile.TemporaryDirectory() as folder:
                for name, content in packed.items():
                    (Path(folder) / name).write_bytes(content)
                bundle = read_bundle(folder)
            self.classifier_ = Classifier(bundle, make_backend(bundle))

    def _set_aside(self, rows: list[Row]) -> tuple[list[Row], list[Row]]:
        try:
            return split_off(rows, self.dev_share)
        except DataError:
            said = "too few rows to set some aside: thresholds and the best epoch are chosen on the training rows themselves"
            warnings.warn(said, UserWarning, stacklevel=3)
            return rows, rows

    def _texts(self, x: Any, *, reset: bool) -> tuple[list[str], list[str | None]]:
        return texts_of(x)

    def _config(self) -> Any:
        if not 0 < self.dev_share < 1:
            raise ConfigError(
                f"dev_share {self.dev_share:g}: no share of the rows", hint="give one between 0 and 1, such as 0.1"
            )
        if isinstance(self.config, dict):
            return parse_config(with_overrides(self.config, self.overrides))
        return load_config(self.config, list(self.overrides))

    def _space(self, config: Any) -> LabelSpace | None:
        given = self.label_space
        if isinstance(config, StudentConfig) and self.teacher is None:
            raise ConfigError(f"{config.kind!r} is a student", hint="give the bundle of its teacher: teacher=...")
        if given is None:
            return read_bundle(self.teacher).space if isinstance(config, StudentConfig) else None
        if isinstance(given, LabelSpace):
            return given
        return LabelSpace.from_dict(given, "label_space") if isinstance(given, dict) else LabelSpace.from_yaml(given)

    def _train(self, config: Any, rows: list[Row], dev: list[Row], space: LabelSpace, out: Path) -> None:
        try:
            from duobiao.train.recipe import distil, train
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "train") from error
        if isinstance(config, StudentConfig):
            distil(self.teacher, config, rows, dev, out, space=space)
        else:
            train(config, rows, dev, space, out)

    @contextmanager
    def _place(self) -> Iterator[Path]:
        """Where the bundle is written: a folder that goes again, with the cache of soft labels unless that is to stay."""
        if self.cache is None:
            with tempfile.TemporaryDirectory() as folder:
                yield Path(folder) / "bundle"
            return
        place = Path(self.cache) / f".fit-{uuid.uuid4().hex}"
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
            shutil.rmtree(place.with_name(f"{place.name}.run"), ignore_errors=True)


def _labels(row: Any) -> tuple[str, ...]:
    """The labels of a row in one order; a class is a list of one label."""
    return tuple(sorted(map(str, row if isinstance(row, (list, tuple, set, frozenset)) else (row,))))


def _rows(texts: Sequence[str], contexts: Sequence[str | None], truth: Truth, groups: Any) -> list[Row]:
    check_consistent_length(texts, truth.labels, groups)
    owners = [None] * len(texts) if groups is None else [str(group) for group in groups]
    together = zip(texts, contexts, truth.labels, truth.unknown, owners, strict=True)
    return [
        Row(str(n), text, context, labels, unknown, owner, source=f"row {n}")
        for n, (text, context, labels, unknown, owner) in enumerate(together)
    ]
