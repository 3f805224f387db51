"""BiLSTM and TextCNN students."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from duobiao.config.students import TokenStudentConfig


class BiLSTMConfig(TokenStudentConfig):
    """Embedding, bidirectional LSTM whose last states are the row vector, ReLU layer (arXiv 1903.12136)."""

    kind: Literal["bilstm"]
    hidden: int = Field(150, ge=1, description="width of the LSTM, each direction")
    fc: int = Field(200, ge=1, description="width of the fully connected layer")


class TextCNNConfig(TokenStudentConfig):
    """Embedding, filters over windows of tokens with their maximum over the row (arXiv 1408.5882 and 1909.03508)."""

    kind: Literal["textcnn"]
    widths: tuple[Annotated[int, Field(ge=1, le=16)], ...] = Field(
        (2, 3, 4, 5), min_length=1, description="tokens in a window, for each set of filters"
    )
    filters: int = Field(128, ge=1, description="filters of each width")
    fc: int = Field(0, ge=0, description="width of a fully connected layer before the output; 0: none")
