"""Logits of many rows from a torch model: length-sorted batches, nothing kept but the result."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from duobiao import progress
from duobiao.data.encode import TOKEN_BUDGET, Encoded, Ids, RowEncoder, batches


@torch.inference_mode()
def compute_logits(
    model: nn.Module,
    encoder: RowEncoder,
    encoded: Encoded,
    labels: int,
    *,
    rows: Ids | None = None,
    token_budget: int = TOKEN_BUDGET,
    max_rows: int = 256,
    label: str = "",
) -> npt.NDArray[np.float32]:
    """The model's logits.

    Args:
        model: Maps ids, mask and segment ids to logits.
        encoder: Pads.
        encoded: All rows.
        labels: Number of labels.
        rows: Which rows, all by default.
        token_budget: Padded tokens a forward pass.
        max_rows: Rows a forward pass.
        label: Name of the progress bar; none by default.

    Returns:
        Shape ``(rows, labels)``, in the order of ``rows``.
    """
    wanted = np.arange(len(encoded)) if rows is None else rows
    result = np.zeros((len(wanted), labels), dtype=np.float32)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    lengths = encoded.lengths[wanted] if len(wanted) else np.zeros(0, np.int64)
    with progress.task(label, len(wanted)) if label else nullcontext() as task:
        for part in batches(lengths, token_budget, max_rows):
            padded = encoder.pad(encoded, wanted[part])
            inputs = {name: torch.from_numpy(array).to(device) for name, array in padded.items()}
            result[part] = model(**inputs).float().cpu().numpy()
            if task:
                task.advance(len(part))
    model.train(was_training)
    return result
