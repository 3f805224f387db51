"""What scikit-learn calls X, as texts with their contexts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from duobiao.estimator.errors import InputError

_SHAPES = "a list of texts, or two columns: context, text (a DataFrame may name them 'context' and 'text')"


def texts_of(x: Any) -> tuple[list[str], list[str | None]]:
    """Texts and contexts, one of each a row; a context is None where there is none.

    Args:
        x: Texts (a list, a Series, an array ``(rows,)``), or an array or DataFrame ``(rows, 2)`` of context and text, or one of
            a single column of texts.

    Raises:
        InputError: If it has another form, or naming every row whose text is no text.
    """
    names = [str(name) for name in getattr(x, "columns", ())]
    if "text" in names:
        texts = x["text"].tolist()
        contexts = x["context"].tolist() if "context" in names else [None] * len(texts)
    else:
        texts, contexts = _columns(x)
    problems = [f"row {n}: {_said(text)}" for n, text in enumerate(texts) if not isinstance(text, str) or not text.strip()]
    contexts = [None if _is_blank(context) else context for context in contexts]
    problems += [f"row {n}: the context is {context!r}" for n, context in enumerate(contexts) if not _is_context(context)]
    if problems:
        raise InputError(f"{len(problems)} rows of X hold no text", hint=f"X is {_SHAPES}", problems=problems)
    return texts, contexts


def _columns(x: Any) -> tuple[list[Any], list[Any]]:
    if isinstance(x, (str, bytes)) or not (isinstance(x, Sequence) or hasattr(x, "__array__")):
        raise InputError(f"X is a {type(x).__name__}", hint=f"X is {_SHAPES}")
    values = np.empty(0, dtype=object) if isinstance(x, Sequence) and not x else np.asarray(x, dtype=object)
    if values.ndim == 1:
        return values.tolist(), [None] * len(values)
    if values.ndim == 2 and values.shape[1] in (1, 2):
        contexts = values[:, 0].tolist() if values.shape[1] == 2 else [None] * len(values)
        return values[:, -1].tolist(), contexts
    raise InputError(f"X has the shape {values.shape}", hint=f"X is {_SHAPES}")


def _is_blank(context: Any) -> bool:
    return context is None or context == "" or context != context  # a DataFrame's missing cell is no number


def _is_context(context: Any) -> bool:
    return context is None or isinstance(context, str)


def _said(text: Any) -> str:
    return "the text is empty" if isinstance(text, str) else f"{text!r} is no text"
