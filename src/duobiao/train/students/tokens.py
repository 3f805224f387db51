"""Students that read embedded tokens: their embedding starts as the teacher's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from duobiao.config import TokenStudentConfig
from duobiao.models.pairwise import PairwiseClassifier
from duobiao.train.distillation import Distillation
from duobiao.train.students.staged import control_of, fit_staged


class TokenModel(Protocol):
    """What a recurrent or convolutional student offers."""

    embedding: nn.Embedding

    def settings(self) -> dict[str, Any]:
        """What ``from_bundle`` needs."""
        ...

    def start_embedding(self, weight: Tensor) -> None:
        """Takes over an embedding, ``(vocabulary, width)``."""
        ...

    def start_output(self, logits: Tensor) -> None:
        """Lets every row begin with these logits, ``(labels,)``."""
        ...


def distil_tokens(work: Distillation, make: Callable[[int, int], TokenModel]) -> Path:
    """Trains and writes one, from the teacher's logits and labels at once or in stages.

    Args:
        work: Rows and the teacher's word on them.
        make: Makes the module from the rows and columns of its embedding.
    """
    config = work.config
    assert isinstance(config, TokenStudentConfig)
    model: Any = with_embedding(work, make)
    if work.features.pairwise:
        model = PairwiseClassifier(model, work.labels)
    model.start_output(work.start_logits)
    if config.stages == "joint":
        work.fit(work.objective(model))
    elif work.no_teacher:
        work.fit(work.objective(model), settings=control_of(work, model))
    else:
        fit_staged(work, model)
    return work.write(model, model.settings())


def with_embedding(work: Distillation, make: Callable[[int, int], TokenModel]) -> TokenModel:
    """The module with its embedding: the teacher's, or random numbers of the same spread."""
    config = work.config
    assert isinstance(config, TokenStudentConfig)
    weight = work.scorer.word_embedding().cpu()
    weight = weight if work.kept is None else weight[torch.from_numpy(work.kept)]
    weight = weight if config.components is None else principal(weight, config.components)
    copied = config.embedding == "teacher" or (config.embedding == "auto" and not work.no_teacher)
    width = weight.shape[1] if copied or config.embedding == "auto" else config.embedding_width
    model = make(weight.shape[0], width)
    model.start_embedding(weight if copied else torch.randn(weight.shape[0], width) * weight.std())
    model.embedding.weight.requires_grad_(config.train_embedding or not copied)
    return model


def principal(weight: Tensor, components: int) -> Tensor:
    """The embedding in the directions along which it is largest, ``(vocabulary, components)``: the best of that width.

    Args:
        weight: An embedding, ``(vocabulary, width)``.
        components: Its new width; as it is if that is no less.
    """
    if components >= weight.shape[1]:
        return weight
    _, directions = torch.linalg.eigh(weight.double().T @ weight.double())
    chosen = directions.flip(1)[:, :components]
    signs = chosen.gather(0, chosen.abs().argmax(0, keepdim=True)).sign()  # either sign would do; one is chosen
    found: Tensor = (weight.double() @ (chosen * signs)).float()
    return found
