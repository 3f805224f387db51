"""What is told of a row, in the one form that ``predict``, ``score`` and the server share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duobiao.bundle import Bundle
from duobiao.cascade import Cascade, check_cascade
from duobiao.classifier import Classifier, Prediction
from duobiao.postprocess.band import check_band
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.points import default_point, stored_point
from duobiao.routing.routes import Routes

Predictor = Classifier | Cascade
FIELDS = ("labels", "scores", "depth", "review", "unsure", "sent", "next")
"""Every field of an answer, in its order, beside the row's id and what only a server is asked for."""


@dataclass(frozen=True)
class AnswerForm:
    """Which fields the answers of one predictor have.

    Attributes:
        depth: Whether rows may leave the model early, so that answers tell after how many layers they did.
        band: Whether an abstain band sends rows to review. That of a cascade is the second model's.
        cascade: Whether answers tell which rows a second model answered.
        routes: Where rows go next; None without routes.
    """

    depth: bool = False
    band: bool = False
    cascade: bool = False
    routes: Routes | None = None

    @classmethod
    def of(cls, predictor: Predictor, routes: Routes | None = None) -> AnswerForm:
        """The form of a predictor's answers."""
        cascade = isinstance(predictor, Cascade)
        last = predictor.second if isinstance(predictor, Cascade) else predictor
        return cls(predictor.leaves_early, bool(last.decoder.settings.band), cascade, routes)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that answers may have, in their order."""
        absent = {"depth": not self.depth, "sent": not self.cascade, "next": self.routes is None}
        absent |= dict.fromkeys(("review", "unsure"), not self.band)
        return tuple(name for name in FIELDS if not absent.get(name))

    def fields(
        self, found: Prediction, context: str | None, scores: Mapping[str, float] | None, *, depth: bool = True
    ) -> dict[str, Any]:
        """The fields of one answer.

        Args:
            found: What was decided.
            context: The row's context, for routes.
            scores: The probabilities that are told; None: no such field.
            depth: Whether to tell the depth, where there is one.
        """
        answer: dict[str, Any] = {"labels": found.labels}
        if scores is not None:
            answer["scores"] = scores
        if depth and found.depth is not None:
            answer["depth"] = found.depth
        if self.band:
            answer |= {"review": found.review, "unsure": list(found.unsure)}
        if self.cascade:
            answer["sent"] = found.sent
        if self.routes is not None:
            answer["next"] = self.routes.next(context, found.labels, unsure=found.review)
        return answer


def load_predictor(
    bundle: str | Path, *, at: str | None = None, band: float | None = None, teacher: str | Path | None = None
) -> Predictor:
    """A bundle at an operating point, or a cascade of two.

    Args:
        bundle: The folder.
        at: The operating point; the bundle's default one if left out.
        band: Its abstain band; that of the operating point if left out.
        teacher: A bundle that answers the rows that lie in the band, at its own default point.

    Raises:
        BundleError: If a bundle cannot be read, or the two do not fit.
        ConfigError: If there is no such point or band.
    """
    first = Classifier.load(bundle, at)
    first = first if band is None else first.with_band(band)
    return first if teacher is None else Cascade(first, Classifier.load(teacher))


def check_predictor(bundle: Bundle, *, at: str | None, band: float | None, teacher: Bundle | None) -> None:
    """Refuses what ``load_predictor`` would refuse of bundles that can be read, before a model is filled.

    Raises:
        BundleError: If the two do not fit.
        ConfigError: If there is no such point or band.
    """
    entry = stored_point(bundle.thresholds, default_point(bundle.thresholds) if at is None else at, bundle.name)
    width = Decoder.from_dict(entry, bundle.space).settings.band
    if band is not None:
        check_band(band)
        width = band
    if teacher is not None:
        check_cascade(bundle.space, teacher.space, width, bundle.name)
