"""What is minimised: an Objective holds the student and turns a batch into named losses."""

from __future__ import annotations

from torch import Tensor, nn

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
