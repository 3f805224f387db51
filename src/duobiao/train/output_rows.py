"""The output rows of new labels: fitted, or where training begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from duobiao.bundle import Bundle
from duobiao.classifier import Classifier
from duobiao.data.rows import Row, targets
from duobiao.labels import LabelSpace, Targets
from duobiao.train.add_label_rows import NewLabels
from duobiao.train.column import Column, fit_column
from duobiao.train.grow import Inputs, grown, output_of, read_inputs


@dataclass(frozen=True)
class OutputRows:
    """What output rows of new labels are made from.

    Attributes:
        old: The model as it is.
        asked: The new labels.
        space: The grown label space.
        inputs: What the output layer reads of the training rows, ``(rows, width)``.
        cells: Truth of the training rows, ``(rows, labels)``.
    """

    old: Classifier
    asked: NewLabels
    space: LabelSpace
    inputs: Inputs
    cells: Targets

    @classmethod
    def of(cls, old: Classifier, asked: NewLabels, space: LabelSpace, train: Sequence[Row]) -> OutputRows:
        """Reads the training rows with the old model."""
        return cls(old, asked, space, read_inputs(old, train, f"read with {old.name}"), targets(train, space))

    @property
    def names(self) -> list[str]:
        """The new labels in the order of the space."""
        return [name for name in self.space.names if name not in self.old.space.index]

    def fitted(self, seed: int) -> dict[str, Column]:
        """Each by a logistic regression on the rows that know it."""
        found = {}
        for name in self.names:
            truth, inputs = self._known(name)
            found[name] = fit_column(inputs, truth == 1, self._offsets(inputs), self._start(), seed)
        return found

    def starting(self) -> dict[str, Column]:
        """Where training of the whole model begins: the start row as it is, at a bias that gives the label its share.

        A fitted row would be right about the few new rows at once, and leave the layers below nothing to learn from them.
        """
        found = {}
        for name in self.names:
            truth, inputs = self._known(name)
            odds = np.log(((truth == 1).sum() + 0.5) / ((truth == 0).sum() + 0.5))
            scores = np.asarray(inputs @ self._start()) - self._offsets(inputs)
            found[name] = Column(self._start(), float(odds - scores.mean()), 0.0, np.zeros(0))
        return found

    def unseen(self, columns: Mapping[str, Column]) -> dict[str, npt.NDArray[np.float64]]:
        """Logits of the rows with each label, from fits that had not seen them."""
        return {name: column.held_out[self._known(name)[0] == 1] for name, column in columns.items()}

    def grown(self, columns: Mapping[str, Column]) -> Bundle:
        """The old bundle with these rows."""
        weights = np.stack([columns[name].weights for name in self.names])
        biases = np.array([columns[name].bias for name in self.names], dtype=np.float32)
        return grown(self.old.bundle, self.space, weights, biases)

    def _known(self, name: str) -> tuple[npt.NDArray[np.int8], Any]:
        own = self.cells[:, self.space.index[name]]
        rows = np.flatnonzero(own >= 0)
        return own[rows], self.inputs[rows]

    def _start(self) -> npt.NDArray[np.float32]:
        """The row of the label that the new ones are parts of, or the mean of all rows."""
        weights, _ = output_of(self.old.bundle)
        split = self.asked.split
        found: npt.NDArray[np.float32] = weights.mean(axis=0) if split is None else weights[self.old.space.index[split]]
        return found

    def _offsets(self, inputs: Any) -> npt.NDArray[np.float64]:
        """What the logit of a new label competes with: the old members of its group."""
        home = self.asked.home(self.old.space)
        if home is None:
            return np.zeros(inputs.shape[0])
        group = next(one for one in self.space.groups if one.name == home)
        weights, biases = output_of(self.old.bundle)
        places = [self.old.space.index[name] for name in group.labels if name in self.old.space.index]
        logits = np.asarray(inputs @ weights[places].T) + biases[places]
        none = np.zeros((len(logits), int(group.at_most_one)))
        found: npt.NDArray[np.float64] = logsumexp(np.hstack([logits, none]), axis=1)
        return found
