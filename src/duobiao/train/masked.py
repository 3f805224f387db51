"""Learning from plain text: masked words, and the inside of a teacher that reads other tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from duobiao.models.internals import inside
from duobiao.models.mlm import head_logits, longest_input
from duobiao.train.masking import NOT_ASKED
from duobiao.train.objectives import Batch, Objective

_TINY = 1e-6


class MaskedLanguageModel(Objective):
    """Guessing masked tokens: the cross-entropy of each, its mean over those of a sequence.

    Args:
        student: A model with a masked-LM head; what is trained and kept.
    """

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        states = base_of(self.student)(**encoder_inputs(self.student, batch)).last_hidden_state
        return {"loss": guess_loss(self.student, states, batch["targets"])[0]}


class AlignedDistillation(Objective):
    """Masked words, and the hidden states of a teacher that reads the same text whole and in its own tokens.

    The student reads the text with masks, the teacher without. A teacher's token is matched by the mean of the student's states
    over the tokens whose first character it holds, so a word piece is matched by the mean of its characters:

    ``hidden = 1/|P| sum over p in P, m of mean_d ((W_m mean_{i in p} H_S,i^m + b_m - (H_T,p^g(m) - mu_m) / sigma_m)^2)``

    ``P`` are the teacher's tokens that hold any of the student's, ``mu`` and ``sigma`` its mean and standard deviation in each
    dimension over a sample of the text: sentence encoders have a large mean that says nothing, and would be all that is
    learned. After arXiv 1909.10351, eq. 8, which has the same tokens on both sides. 1 is what a student that knows nothing of a
    layer has, 0 the teacher's own states.

    Where the teacher needs more tokens for a sequence than it can read, it reads the first ones.

    Args:
        student: A model with a masked-LM head; what is trained and kept.
        teacher: The encoder that it learns from; in eval mode, no part of the state.
        layers: The teacher's layer, from 1, for each of the student's.
        mlm_weight: Weight of the loss on masked tokens.
        hidden_weight: Weight of the loss against hidden states.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        student: PreTrainedModel,
        teacher: PreTrainedModel,
        layers: Sequence[int],
        mlm_weight: float,
        hidden_weight: float,
    ) -> None:
        super().__init__(student)
        self.inner = (teacher.eval(),)  # in a tuple, where no state looks for modules
        self.layers, self.longest = tuple(layers), longest_input(teacher.config)
        self.weights = {"mlm": mlm_weight, "hidden": hidden_weight}
        narrow, wide = int(student.config.hidden_size), int(teacher.config.hidden_size)
        self.projections = nn.ModuleList(nn.Linear(narrow, wide) for _ in layers)
        self.register_buffer("mean", torch.zeros(len(layers), wide))
        self.register_buffer("scale", torch.ones(len(layers), wide))

    @torch.no_grad()
    def measure(self, batches: Sequence[Batch]) -> None:
        """Takes mean and standard deviation of the teacher's states from a sample of batches."""
        count, total, squares = (
            0.0,
            torch.zeros_like(self.mean, dtype=torch.float64),
            torch.zeros_like(self.mean, dtype=torch.float64),
        )
        for batch in batches:
            states, mask = self._theirs(batch), batch["other_mask"][:, : self.longest].bool()
            found = torch.stack([one[mask] for one in states]).double()
            count += found.shape[1]
            total += found.sum(1)
            squares += found.square().sum(1)
        mean = total / max(count, 1.0)
        self.mean.copy_(mean)
        self.scale.copy_((squares / max(count, 1.0) - mean.square()).clamp(min=_TINY).sqrt())

    @torch.no_grad()
    def start_as_it_is(self) -> None:
        """Begins with projections that change nothing, for a student that begins as its teacher; after ``measure``."""
        for number, project in enumerate(self.projections):
            assert isinstance(project, nn.Linear)
            project.weight.copy_(torch.diag(1 / self.scale[number]))
            project.bias.copy_(-self.mean[number] / self.scale[number])

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        found = base_of(self.student)(**encoder_inputs(self.student, batch), output_hidden_states=True)
        losses = {}
        if self.weights["mlm"]:
            losses["mlm"] = guess_loss(self.student, found.last_hidden_state, batch["targets"])[0]
        if self.weights["hidden"]:
            losses["hidden"] = self._hidden(found.hidden_states[1:], batch)
        return {"loss": torch.stack([self.weights[name] * one for name, one in losses.items()]).sum(0), **losses}

    def _hidden(self, ours: Sequence[Tensor], batch: Batch) -> Tensor:
        spread, matched = alignment(batch["pieces"], min(batch["other_ids"].shape[1], self.longest))
        theirs = self._theirs(batch)
        losses = []
        for number, project in enumerate(self.projections):
            mine = project(torch.bmm(spread, ours[number].float())).float()
            wanted = (theirs[number] - self.mean[number]) / self.scale[number]
            squares = (mine - wanted).square().mean(2) * matched
            losses.append(squares.sum(1) / matched.sum(1).clamp(min=1))
        return torch.stack(losses).mean(0)

    @torch.no_grad()
    def _theirs(self, batch: Batch) -> list[Tensor]:
        ids, mask = (batch[name][:, : self.longest] for name in ("other_ids", "other_mask"))
        states = inside(
            self.inner[0], {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
        ).hidden
        return [states[number].float() for number in self.layers]


def alignment(pieces: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """How tokens make up the tokens of somebody else.

    Args:
        pieces: The number of the other's token that each token belongs to, -1 for none; ``(rows, tokens)``.
        length: The other's tokens a row.

    Returns:
        Weights ``(rows, length, tokens)`` whose product with states is the mean of each of the other's tokens, and which of
        these have any, ``(rows, length)``.
    """
    belongs = pieces[:, None, :] == torch.arange(length, device=pieces.device)[None, :, None]
    counts = belongs.sum(2, keepdim=True)
    return belongs / counts.clamp(min=1), (counts[:, :, 0] > 0).float()


def guess_loss(model: nn.Module, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of masked tokens.

    Args:
        model: The model whose head guesses.
        states: Its last hidden states, ``(rows, length, width)``.
        targets: The true token where one is masked, else ``NOT_ASKED``; ``(rows, length)``.

    Returns:
        The mean over the masked tokens of each row, 0 where there are none, ``(rows,)``; and for each row how many were
        guessed right, ``(rows,)``.
    """
    rows, places = (targets != NOT_ASKED).nonzero(as_tuple=True)
    logits = head_logits(model, states[rows, places]).float()
    wanted = targets[rows, places]
    each = functional.cross_entropy(logits, wanted, reduction="none")
    belongs = (rows[None, :] == torch.arange(len(targets), device=rows.device)[:, None]).to(each.dtype)
    right = (logits.argmax(1) == wanted).to(each.dtype)
    return belongs @ each / belongs.sum(1).clamp(min=1), belongs @ right


def base_of(model: Any) -> Any:
    """The encoder under a head."""
    return model.base_model


def encoder_inputs(model: Any, batch: Batch) -> dict[str, Tensor]:
    """What of a batch the encoder reads."""
    names = ["input_ids", "attention_mask"] + (
        ["token_type_ids"] if int(getattr(model.config, "type_vocab_size", 0) or 0) else []
    )
    return {name: batch[name] for name in names}
