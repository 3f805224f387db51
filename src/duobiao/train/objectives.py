"""What is minimised: an Objective holds the student and turns a batch into named losses."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional

from duobiao.train.losses import LabelLoss, LogitsLoss, SoftLabelLoss

Batch = dict[str, Tensor]
INPUTS = ("input_ids", "attention_mask", "token_type_ids", "features", "slots")


class Objective(nn.Module):
    """Base of all objectives: ``forward`` returns losses of shape ``(rows,)`` by name, ``loss`` being their weighted sum.

    Args:
        student: The module that is trained and kept.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student

    def logits(self, batch: Batch) -> Tensor:
        """The student's logits, ``(rows, labels)``."""
        found: Tensor = self.student(**{name: batch[name] for name in INPUTS if name in batch})
        return found


class Supervised(Objective):
    """Learning from labels alone.

    Args:
        student: The module that is trained.
        label_loss: The loss against labels; reads ``cells``.
    """

    def __init__(self, student: nn.Module, label_loss: LabelLoss) -> None:
        super().__init__(student)
        self.label_loss = label_loss

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self.label_loss(self.logits(batch).float(), batch["cells"])}


class HiddenMatch(Objective):
    """Learning the teacher's row vectors through a projection that is learned too (arXiv 1910.01769, its loss ``L_RL``).

    With the student's row vector ``z``, the teacher's ``h`` (standardised over the rows) and the projection ``P``:

    | match | loss of a row |
    |---|---|
    | ``kl`` | ``KL(softmax(h) || softmax(P z))``, over the coordinates of the vector |
    | ``mse`` | ``mean((P z - h)^2)`` |

    The paper's projection has a GELU on top, which could not reach the negative half of standardised vectors; here it is
    affine. The bundle keeps the student alone.

    Args:
        student: The module that is trained; offers ``vectors`` and its width ``row``.
        width: Width of the teacher's row vectors, ``hidden`` in a batch.
        match: ``kl`` or ``mse``.
    """

    def __init__(self, student: nn.Module, width: int, match: Literal["kl", "mse"] = "kl") -> None:
        super().__init__(student)
        self.match = match
        row: Any = student.row
        self.projection = nn.Linear(row, width)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        student: Any = self.student
        ours: Tensor = self.projection(student.vectors(batch["input_ids"], batch["attention_mask"])).float()
        theirs = batch["hidden"]
        if self.match == "mse":
            return {"loss": ((ours - theirs) ** 2).mean(1)}
        wanted = functional.log_softmax(theirs, dim=1)
        return {"loss": (wanted.exp() * (wanted - functional.log_softmax(ours, dim=1))).sum(1)}


class LogitsDistillation(Objective):
    """``logits_weight * loss(student, teacher) + label_weight * label loss`` (with MSE: arXiv 1903.12136, eq. 4).

    Args:
        student: The module that is trained.
        label_loss: The loss against labels; reads ``cells``.
        logits_loss: The loss against the teacher; reads ``teacher``, cached logits of shape ``(rows, labels)``.
        logits_weight: Weight of the latter.
        label_weight: Weight of the former.
    """

    def __init__(
        self,
        student: nn.Module,
        label_loss: LabelLoss,
        logits_loss: LogitsLoss | SoftLabelLoss,
        logits_weight: float,
        label_weight: float,
    ) -> None:
        super().__init__(student)
        self.label_loss = label_loss
        self.logits_loss = logits_loss
        self.weights = (logits_weight, label_weight)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        logits = self.logits(batch).float()
        soft = self.logits_loss(logits, batch["teacher"], batch["cells"])
        hard = self.label_loss(logits, batch["cells"])
        return {"loss": self.weights[0] * soft + self.weights[1] * hard, "logits": soft, "labels": hard}
