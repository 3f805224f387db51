"""What a bundle cannot do, as far as its own figures tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from duobiao.card.words import Words, escaped

FEW_TRAIN, FEW_DEV = 20, 10
"""Rows with a label, below which it is named."""
WEAK = 0.5
"""F1 below which a label with enough dev rows is named."""
CUT = 0.005
"""Share of dev rows that reach the longest input, above which it is told."""
_NAMED = 12

Scores: TypeAlias = Mapping[str, Any] | None


def limits(manifest: Mapping[str, Any], table: Sequence[Mapping[str, Any]], scores: tuple[Scores, Scores]) -> list[Words]:
    """The limits that figures show, gravest first.

    Args:
        manifest: The bundle's.
        table: The lines of the card's table of labels.
        scores: The scores on dev and on test rows that the card shows, None where it shows none.
    """
    found = [*_labels(table), *_scores(*scores), *_reads(manifest), *_answers(manifest)]
    zh, en = "只用中文数据训练和验证；其他语言没有测过。", "Trained and scored on Chinese; other languages were not tried."
    return [*found, Words(zh, en)]


def _labels(table: Sequence[Mapping[str, Any]]) -> list[Words]:
    found = []
    few = [line["label"] for line in table if line["train"] is not None and line["train"] < FEW_TRAIN]
    if few:
        found.append(
            Words(
                f"{len(few)} 个标签的训练样本不足 {FEW_TRAIN} 行：{_names(few, '、', '等')}。",
                f"{_labels_en(few)} fewer than {FEW_TRAIN} training rows: {_names(few, ', ', ' and others')}.",
            )
        )
    none = [line["label"] for line in table if line["support"] == 0]
    if none:
        found.append(
            Words(
                f"{len(none)} 个标签在评分的行里一次也没有出现，效果未知：{_names(none, '、', '等')}。",
                f"{_labels_en(none)} no true row among those that were scored, so nothing is known of them: "
                f"{_names(none, ', ', ' and others')}.",
            )
        )
    thin = [line["label"] for line in table if line["support"] and line["support"] < FEW_DEV]
    if thin:
        found.append(
            Words(
                f"{len(thin)} 个标签的评分行不足 {FEW_DEV} 行，它们各自的 F1 很不确定。",
                f"{_labels_en(thin)} fewer than {FEW_DEV} scored rows, so that an F1 of their own is very uncertain.",
            )
        )
    weak = [line["label"] for line in table if (line["support"] or 0) >= FEW_DEV and line["f1"] < WEAK]
    if weak:
        found.append(
            Words(
                f"{len(weak)} 个标签样本不少，F1 仍低于 {WEAK:g}：{_names(weak, '、', '等')}。",
                f"{_labels_en(weak)} an F1 below {WEAK:g} in spite of enough rows: {_names(weak, ', ', ' and others')}.",
            )
        )
    return found


def _scores(dev: Scores, test: Scores) -> list[Words]:
    if dev is None and test is None:
        return [
            Words(
                "这个版本的阈值没有评分记录。",
                "There are no scores for the thresholds as they are now.",
            )
        ]
    if test is None:
        return [
            Words(
                "只在开发集上评过分；`duobiao card 模型目录 --data test.jsonl` 会加上测试集的分数。",
                "Scored on dev rows alone; `duobiao card BUNDLE --data test.jsonl` adds scores on test rows.",
            )
        ]
    return []


def _reads(manifest: Mapping[str, Any]) -> list[Words]:
    found = []
    settings = manifest["input"]
    length = settings.get("max_length")
    share = manifest["metrics"].get("data", {}).get("dev", {}).get("full_length")
    if share is not None and share > CUT:
        found.append(
            Words(
                f"最多读 {length} 个词元，超出的部分会截掉；开发集中有 {share:.1%} 的行达到这个长度。",
                f"It reads {length} tokens at most and cuts off the rest; {share:.1%} of the dev rows reach that length.",
            )
        )
    asked = [name for name, group in manifest["label_space"].get("groups", {}).items() if group.get("contexts")]
    if asked and settings.get("context") == "pair":
        found.append(
            Words(
                f"不给出上下文时，只在特定节点提问的组不作回答：{_names(asked, '、', '等')}。",
                f"Without a context, groups that are bound to some are not answered: {_names(asked, ', ', ' and others')}.",
            )
        )
    numbers = manifest["config"].get("features", {}).get("numeric")
    if numbers:
        found.append(
            Words(
                f"除文本外还要读数值列：{_names(numbers, '、', '等')}。",
                f"It also needs columns of numbers: {_names(numbers, ', ', ' and others')}.",
            )
        )
    return found


def _answers(manifest: Mapping[str, Any]) -> list[Words]:
    found = []
    thresholds = manifest["thresholds"]
    if not thresholds.get("calibration"):
        found.append(
            Words(
                "概率没有校准过，不能当作正确的把握来读（`duobiao tune` 可以校准）。",
                "Probabilities are not calibrated: do not read them as chances of being right (`duobiao tune` calibrates).",
            )
        )
    if not thresholds.get("settings", {}).get("band"):
        found.append(
            Words(
                "没有设定复核带，因此不会把拿不准的行交给人工（`duobiao tune --set band=0.2`，或预测时加 `--band`）。",
                "No abstain band is set, so no row goes to review (`duobiao tune --set band=0.2`, or `--band` in predicting).",
            )
        )
    if manifest["model"].get("engine", {}).get("precision") == "int8":
        found.append(
            Words(
                "int8 的结果与处理器有关；在另一种处理器上会先核对，差得多就拒绝加载。",
                "int8 answers depend on the processor; on another kind loading checks them, and refuses those that are off.",
            )
        )
    return found


def _labels_en(names: Sequence[str]) -> str:
    return f"{len(names)} label{'s have' if len(names) > 1 else ' has'}"


def _names(names: Sequence[str], comma: str, more: str) -> str:
    return comma.join(escaped(name) for name in names[:_NAMED]) + (more if len(names) > _NAMED else "")
