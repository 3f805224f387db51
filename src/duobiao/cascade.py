"""Two models in a row: a fast one answers, and rows that it is unsure of go on to a better one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from duobiao.classifier import Classifier, Prediction
from duobiao.data.rows import Contexts, Numeric
from duobiao.errors import BundleError, ConfigError
from duobiao.label_difference import difference
from duobiao.labels import LabelSpace


@dataclass(frozen=True)
class Cascade:
    """A classifier whose unsure rows are answered by another one.

    Attributes:
        first: Answers; its abstain band says which rows go on.
        second: Answers those.

    Raises:
        BundleError: If their label spaces differ.
        ConfigError: If the first has no abstain band.
    """

    first: Classifier
    second: Classifier

    def __post_init__(self) -> None:
        first = self.first
        check_cascade(first.space, self.second.space, first.decoder.settings.band, first.name)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of numbers that rows must bring along for either."""
        return tuple(dict.fromkeys([*self.first.columns, *self.second.columns]))

    @property
    def name(self) -> str:
        """In tables and progress."""
        return f"{self.first.bundle.name} > {self.second.bundle.name}"

    @property
    def space(self) -> LabelSpace:
        return self.first.space

    @property
    def leaves_early(self) -> bool:
        """Whether rows may leave either model before its last layer."""
        return self.first.leaves_early or self.second.leaves_early

    def predict(
        self, texts: Sequence[str], context: Contexts = None, label: str = "", numeric: Numeric | None = None
    ) -> list[Prediction]:
        """Decisions, one a row, in order; ``sent`` where the second answered. Arguments as in ``Classifier.predict_proba``."""
        found = self.first.predict(texts, context, label, numeric)
        rows = [row for row, one in enumerate(found) if one.review]
        if rows:
            numbers = None if numeric is None else {name: [values[row] for row in rows] for name, values in numeric.items()}
            contexts = None if context is None else [context[row] for row in rows]
            better = self.second.predict([texts[row] for row in rows], contexts, label, numbers)
            for row, one in zip(rows, better, strict=True):
                found[row] = replace(one, sent=True)
        return found


def check_cascade(first: LabelSpace, second: LabelSpace, band: float, name: str) -> None:
    """Refuses two models that make no cascade.

    Args:
        first: The label space of the one that answers first.
        second: That of the other.
        band: The abstain band of the first.
        name: The name of the first.

    Raises:
        BundleError: If their label spaces differ.
        ConfigError: If the first has no abstain band.
    """
    problems = difference(first, second)
    if problems:
        raise BundleError(
            "the two bundles of a cascade have different label spaces",
            hint="use bundles that were trained with the same label space file",
            problems=problems,
        )
    if not band:
        raise ConfigError(
            f"{name} has no abstain band at its operating point, so no row would be sent on",
            hint="give --band 0.2, or store one with duobiao tune --set band=0.2",
        )
