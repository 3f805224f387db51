"""One bundle on labelled rows: all metrics, and the same on text that training did not hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from duobiao.classifier import Classifier
from duobiao.data.rows import Row, check_texts, model_inputs, targets
from duobiao.evaluate.metrics import score


def evaluate(classifier: Classifier, rows: Sequence[Row], train: Sequence[Row] | None = None) -> dict[str, Any]:
    """Scores a bundle.

    Args:
        classifier: The loaded bundle.
        rows: Labelled rows that were not used in making it.
        train: The training rows; with them the result has a block ``unseen_text`` with the same keys, over the rows whose
            text no training row holds.

    Returns:
        ``name``, ``kind`` and the keys of ``metrics.score``.

    Raises:
        DataError: If rows are empty, unlabelled or foreign to the label space.
    """
    check_texts(rows, "evaluation")
    cells = targets(rows, classifier.space)
    inputs = model_inputs(rows, classifier.columns)
    _, decided = classifier.decide(**inputs, label=f"score {classifier.bundle.name}")
    result = {"name": classifier.bundle.name, "kind": classifier.bundle.kind, **score(cells, decided, classifier.space)}
    if train is not None:
        seen = {row.text.strip() for row in train}
        unseen = [number for number, row in enumerate(rows) if row.text.strip() not in seen]
        result["unseen_text"] = score(cells[unseen], decided[unseen], classifier.space)
    return result
