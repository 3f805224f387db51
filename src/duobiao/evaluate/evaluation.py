"""One bundle on labelled rows: all metrics with intervals, by node, by slice, and on text that training did not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from duobiao import progress
from duobiao.classifier import Classifier
from duobiao.data.rows import Row, check_texts, model_inputs, targets
from duobiao.evaluate.bootstrap import Ids, few_units, units_of
from duobiao.evaluate.confusion import confusions
from duobiao.evaluate.cuts import NO_CONTEXT, cut_rows
from duobiao.evaluate.drawn_precision import precision_intervals
from duobiao.evaluate.intervals import DRAWS, intervals
from duobiao.evaluate.metrics import score
from duobiao.evaluate.ranking import RankedRows, rank_rows, rank_scores
from duobiao.evaluate.slices import slice_scores
from duobiao.evaluate.tally import Tally, scores_by
from duobiao.labels import LabelSpace, Mask, Targets, node_of
from duobiao.postprocess.probabilities import Floats


@dataclass(frozen=True)
class Judged:
    """What is true of rows, and what a model says of them; all ``(rows, labels)``.

    Attributes:
        cells: Truth: 1, 0, or negative where unknown or unasked.
        probabilities: NaN in cells that are not asked.
        decided: Decisions.
    """

    cells: Targets
    probabilities: Floats
    decided: Mask

    def of(self, rows: Sequence[int] | Ids) -> Judged:
        """The same of some rows."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Judged(self.cells[chosen], self.probabilities[chosen], self.decided[chosen])


def judge(classifier: Classifier, rows: Sequence[Row], space: LabelSpace | None = None) -> Judged:
    """Lets a bundle answer labelled rows.

    Args:
        classifier: The loaded bundle.
        rows: Labelled rows.
        space: A label space that matches the bundle's (``LabelSpace.matches``), whose order the columns shall have; the
            bundle's own if left out.

    Raises:
        DataError: If rows are empty, unlabelled or foreign to the label space.
    """
    check_texts(rows, "evaluation")
    space = space or classifier.space
    cells = targets(rows, space)
    inputs = model_inputs(rows, classifier.columns)
    proba, decided = classifier.decide(**inputs, label=f"score {classifier.bundle.name}")
    if space.names != classifier.space.names:
        columns = classifier.space.columns_of(space)
        proba, decided = proba[:, columns], decided[:, columns]
    return Judged(cells, proba, decided)


def evaluate(
    classifier: Classifier,
    rows: Sequence[Row],
    train: Sequence[Row] | None = None,
    *,
    judged: Judged | None = None,
    slices: Sequence[str] = (),
    draws: int = DRAWS,
    space: LabelSpace | None = None,
) -> dict[str, Any]:
    """Scores a bundle.

    Args:
        classifier: The loaded bundle.
        rows: Labelled rows that were not used in making it.
        train: The training rows; with them the result has a block ``unseen_text`` over the rows whose text none of them holds.
        judged: What ``judge`` said of these rows, if it was asked before.
        slices: Further columns of the rows to slice by, beside length and node; see ``cuts.cut_rows``.
        draws: Draws of the bootstrap; 0 leaves intervals out.
        space: The label space whose order ``judged`` has; the bundle's own if left out.

    Returns:
        ``name``, ``kind``, the keys of ``metrics.score`` and of ``ranking.rank_scores`` (``average_precision`` of a label
        stands in ``per_label``), those of ``confusion.confusions`` in ``groups``, and

        - ``unit`` (``row``, or ``group_id`` where rows have one) and ``units``, how many: what the bootstrap draws;
        - ``intervals.{metric}``, ``per_label.{label}.interval`` (of F1) and ``groups.{name}.interval`` (of accuracy):
            ``[low, high]`` or None, see ``intervals``, and ``drawn_precision`` for the average precisions;
        - ``contexts.{node}``, where rows have a context: ``rows``, ``micro_f1``, ``macro_f1`` (over labels that are true or
            decided there), ``subset_accuracy``, ``group_accuracy``;
        - ``slices.{length, context or column}``: a list of slices, see ``slices.slice_scores``;
        - ``unseen_text``, if ``train`` is given: all of this but contexts and slices.

    Raises:
        DataError: If rows are empty, unlabelled or foreign to the label space, or have no such column.
        ValueError: If ``judged`` is of other rows.
    """
    cuts = cut_rows(rows, slices)
    space = space or classifier.space
    judged = judged or judge(classifier, rows, space)
    if len(judged.cells) != len(rows):
        raise ValueError(f"{len(judged.cells)} rows were judged, but {len(rows)} are to be scored")
    with progress.task(f"metrics of {classifier.bundle.name}", 4 + (train is not None)) as task:
        ranked = rank_rows(judged.cells, judged.probabilities)
        task.advance()
        found = {"name": classifier.bundle.name, "kind": classifier.bundle.kind, **_scores(judged, ranked, rows, space, draws)}
        task.advance()
        if "context" in cuts:
            nodes = Counter(node_of(row.context) or NO_CONTEXT for row in rows)
            places = {node: place for place, (node, _) in enumerate(nodes.most_common())}
            ids = np.array([places[node_of(row.context) or NO_CONTEXT] for row in rows], dtype=np.int64)
            found["contexts"] = dict(zip(places, scores_by(judged.cells, judged.decided, space, ids), strict=True))
        task.advance()
        found["slices"] = slice_scores(judged.cells, judged.decided, space, cuts, units_of(rows), draws=draws)
        task.advance()
        if train is not None:
            seen = {row.text.strip() for row in train}
            unseen = np.array([number for number, row in enumerate(rows) if row.text.strip() not in seen], dtype=np.int64)
            own = [rows[number] for number in unseen.tolist()]
            found["unseen_text"] = _scores(judged.of(unseen), ranked.of(unseen), own, space, draws)
            task.advance()
    return found


def scored(
    cells: Targets,
    decided: Mask,
    rows: Sequence[Row],
    space: LabelSpace,
    *,
    draws: int = DRAWS,
    ranked: RankedRows | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics of decisions and how sure they are.

    Args:
        cells: Truth, ``(rows, labels)``.
        decided: Decisions, ``(rows, labels)``.
        rows: The rows; those of one ``group_id`` are drawn together.
        space: The label space.
        draws: Of the bootstrap; 0 leaves intervals out.
        ranked: What ``rank_rows`` says of the rows, if its metrics shall have intervals, too.

    Returns:
        The keys of ``metrics.score``, ``unit``, ``units`` and ``per_label.{label}.interval``; and what ``intervals`` tells.
    """
    units = units_of(rows)
    few = few_units(units, Tally.width(space, ranked is not None))
    bounds = intervals(Tally.of(cells, decided, space, few, ranked), draws)
    found = score(cells, decided, space)
    for label, interval in zip(found["per_label"].values(), bounds["labels"], strict=True):
        label["interval"] = interval
    unit = "group_id" if any(row.group_id for row in rows) else "row"
    return {**found, "unit": unit, "units": int(units.max(initial=-1)) + 1}, bounds


def _scores(judged: Judged, ranked: RankedRows, rows: Sequence[Row], space: LabelSpace, draws: int) -> dict[str, Any]:
    """``scored`` with metrics of ranking and confusions."""
    found, bounds = scored(judged.cells, judged.decided, rows, space, draws=draws, ranked=ranked)
    ranks = rank_scores(judged.cells, judged.probabilities, ranked, space)
    for name, precision in ranks.pop("average_precision").items():
        found["per_label"][name]["average_precision"] = precision
    matrices = confusions(judged.cells, judged.decided, space)
    for (name, group), interval in zip(found["groups"].items(), bounds["groups"], strict=True):
        group |= {"interval": interval, **matrices[name]}
    precisions = precision_intervals(judged.cells, judged.probabilities, units_of(rows), draws)
    return {**found, **ranks, "intervals": {**bounds["metrics"], **precisions}}
