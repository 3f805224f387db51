"""What kinds of bundles, targets and settings are called, in both languages, and text that Markdown must not read."""

from __future__ import annotations

import re
from typing import Any, NamedTuple


class Words(NamedTuple):
    """A sentence in both languages."""

    zh: str
    en: str


KINDS = {
    "linear": Words("线性基线（字符 n-gram TF-IDF 与线性支持向量机）", "linear baseline (character n-gram TF-IDF, linear SVM)"),
    "linear-student": Words("蒸馏得到的线性模型", "linear model, distilled"),
    "encoder": Words("Transformer 编码器（教师）", "Transformer encoder (teacher)"),
    "bigru": Words("蒸馏得到的双向 GRU", "BiGRU, distilled"),
    "bilstm": Words("蒸馏得到的双向 LSTM", "BiLSTM, distilled"),
    "textcnn": Words("蒸馏得到的 TextCNN", "TextCNN, distilled"),
    "fastbert": Words("可提前退出的编码器（FastBERT）", "encoder with early exits (FastBERT)"),
    "tinybert": Words("蒸馏得到的小型编码器（TinyBERT）", "small encoder, distilled (TinyBERT)"),
}
CONTROLS = {
    "bigru": Words("双向 GRU", "BiGRU"),
    "bilstm": Words("双向 LSTM", "BiLSTM"),
    "textcnn": Words("TextCNN", "TextCNN"),
    "tinybert": Words("小型编码器", "small encoder"),
    "linear-student": Words("线性模型", "linear model"),
}
"""The same kinds, made without a teacher."""
NO_TEACHER = "none (control)"
SCORED = {
    "dev": Words(
        "开发集；阈值和最佳轮次也是在这些行上选的，因此略偏乐观",
        "dev rows, on which the thresholds and the best epoch were chosen too, so the scores are a little too good",
    ),
    "held_out": Words(
        "开发集；每一行都由在其余各折上拟合的阈值和校准来评分",
        "dev rows, each scored by thresholds and calibration that were fitted on the other folds",
    ),
    "test": Words("测试集", "test rows"),
}
SHOWN = {
    "micro_f1": "micro-F1",
    "macro_f1": "macro-F1",
    "samples_f1": "samples-F1",
    "subset_accuracy": "subset accuracy",
    "group_accuracy": "group accuracy",
    "hamming_loss": "Hamming loss",
}

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~])")
_LOCAL = re.compile(r"^(/|~|\.{1,2}[/\\]|[A-Za-z]:[/\\]|\\\\)")


def escaped(text: Any) -> str:
    """Text that Markdown shows as it is, also in a cell of a table."""
    return _MARKS.sub(r"\\\1", " ".join(str(text).split()))


def without_paths(value: Any) -> Any:
    """Settings in which a local path is its last part alone: where files lay says something about people."""
    if isinstance(value, dict):
        return {key: without_paths(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_paths(one) for one in value]
    if isinstance(value, str) and _LOCAL.match(value):
        return re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    return value
