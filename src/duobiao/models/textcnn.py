"""TextCNN students."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from duobiao.models.tokens import TokenClassifier


class TextCNNClassifier(TokenClassifier):
    """Embedding, filters over windows of tokens, the maximum of each over the row, output (KimCNN, arXiv 1408.5882).

    With filter ``f`` of width ``k`` over embedded tokens ``x``::

        c_p = sum_j W_fj x_(p+j) + b_f,  j = 0 .. k-1        row_f = max_p relu(c_p),  p = 0 .. max(length - k, 0)

    Windows hold true tokens only. A row that is shorter than a window has one, whose missing tokens count as zeros.

    Rows stand one behind the other, so padding costs nothing. All filters of a width, at all places in their windows, are one
    matrix product over the tokens; its parts are then added up, shifted against each other. On a CPU that is faster than a
    convolution over padded rows.

    Args:
        vocabulary: Rows of the embedding.
        width: Columns of the embedding.
        labels: Number of labels.
        widths: Tokens in a window, for each set of filters.
        filters: Filters of each width.
        fc: Width of a fully connected layer before the output; 0: none, as in the paper.
        shared: ``dropout``, ``scale`` and ``extra``, as in ``TokenClassifier``.
    """

    fresh = ("filters.", "first.", "output.")
    layers = (("output.", "first."), ("filters.",), ("embedding.",))

    def __init__(
        self, vocabulary: int, width: int, labels: int, *, widths: Sequence[int], filters: int, fc: int = 0, **shared: Any
    ) -> None:
        super().__init__(vocabulary, width, **shared)
        self.widths = tuple(widths)
        self.filters = Filters(width, self.widths, filters)
        self.make_output(filters * len(self.widths), fc, labels)

    def settings(self) -> dict[str, Any]:
        fc = 0 if self.first is None else self.first.out_features
        return {**super().settings(), "widths": list(self.widths), "filters": self.filters.number, "fc": fc}

    def vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Row vectors ``(rows, widths * filters)``."""
        lengths, widest = attention_mask.sum(1), max(self.widths)
        slots = lengths.clamp(min=widest)  # a row that is too short is filled up with zeros
        missing = max(widest - input_ids.shape[1], 0)
        input_ids, attention_mask = (functional.pad(part, (0, missing)) for part in (input_ids, attention_mask))
        there = torch.arange(input_ids.shape[1], device=lengths.device) < slots[:, None]
        tokens = self.embedded(input_ids[there]) * attention_mask[there].unsqueeze(-1)
        found: Tensor = self.filters(tokens, there, lengths)
        return torch.relu(found)  # relu(max(c)) is max(relu(c))


class Filters(nn.Module):
    """Filters of several widths and the maximum of each over a row.

    ``weight`` has a block of ``number`` rows for each width and each place in its window, in this order.

    Args:
        size: Width of a token.
        widths: Tokens in a window, for each set of filters.
        number: Filters of each width.
    """

    def __init__(self, size: int, widths: Sequence[int], number: int) -> None:
        super().__init__()
        self.widths, self.number = tuple(widths), number
        self.weight = nn.Parameter(torch.empty(number * sum(self.widths), size))
        self.bias = nn.Parameter(torch.empty(number * len(self.widths)))
        self.start()

    @torch.no_grad()
    def start(self) -> None:
        """Uniform random weights within ``1 / sqrt(inputs of the filter)``, as PyTorch's convolutions have."""
        size = self.weight.shape[1]
        spread = [(size * width) ** -0.5 for width in self.widths]
        self.weight.uniform_(-1, 1).mul_(torch.repeat_interleave(torch.tensor(spread), torch.tensor(self._blocks))[:, None])
        self.bias.uniform_(-1, 1).mul_(torch.tensor(spread).repeat_interleave(self.number))

    @property
    def _blocks(self) -> list[int]:
        return [self.number * width for width in self.widths]

    def forward(self, tokens: Tensor, there: Tensor, lengths: Tensor) -> Tensor:
        """The largest answer of each filter, ``(rows, widths * number)``.

        Args:
            tokens: Tokens of all rows, one row behind the other, ``(tokens, size)``; each row has at least the widest window.
            there: Where they stand, ``(rows, length)``.
            lengths: True tokens of each row, ``(rows,)``; those behind are zero.
        """
        place = torch.arange(there.shape[1], device=there.device)
        weights, biases = self.weight.split_with_sizes(self._blocks), self.bias.view(len(self.widths), -1)
        tokens = functional.pad(tokens, (0, 0, 0, max(self.widths) - 1))
        found = []
        for width, weight, bias in zip(self.widths, weights, biases, strict=True):
            answers, last = self._answers(tokens, width, weight, bias), (lengths - width).clamp(min=0)
            if len(lengths) == 1:  # one row needs no padding
                found.append(answers[: int(last) + 1].amax(0, keepdim=True))
                continue
            answers = answers.masked_fill_((place > last[:, None])[there].unsqueeze(-1), -torch.inf)
            padded = answers.new_full((*there.shape, self.number), -torch.inf)
            padded[there] = answers
            found.append(padded.amax(1))
        return torch.cat(found, dim=1)

    def _answers(self, tokens: Tensor, width: int, weight: Tensor, bias: Tensor) -> Tensor:
        """The answers of one width, ``(tokens, number)``, at the first token of each window."""
        parts = functional.linear(tokens, weight)
        windows = len(tokens) - max(self.widths) + 1
        total = parts[:windows, : self.number] + bias
        for at in range(1, width):
            total += parts[at : at + windows, at * self.number : (at + 1) * self.number]
        return total
