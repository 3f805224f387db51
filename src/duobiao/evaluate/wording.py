"""The report's words, in Chinese and in English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TEXTS: dict[str, dict[str, str]] = {
    "zh": {
        "title": "模型对比报告",
        "summary": "结论",
        "table": "对比",
        "system": "模型",
        "kind": "类型",
        "parameters": "参数量",
        "group_accuracy": "互斥组准确率",
        "unseen": "未见文本 micro-F1",
        "rows_per_s": "行/秒",
        "speedup": "加速比",
        "notes": "说明",
        "batch": "批量",
        "plot": "质量与速度",
        "plot_note": "横轴：批量 32 时每秒处理行数（对数）；纵轴：micro-F1。越靠右上越好。",
        "labels": "各标签 F1",
        "label": "标签",
        "support": "正例数",
        "groups": "互斥组",
        "group": "组",
        "how": "怎么测的",
        "how_text": "所有模型在同一次运行里轮流计时（输入文本，输出决策），"
        "加速比是同一轮内耗时之比的中位数，参照模型是 {reference}。"
        "共评测 {rows} 行；{cores} 个 CPU 核。阈值来自开发集，与评测行无关。"
        "未知和未询问的单元格不参与任何指标；F1 的约定与 scikit-learn 的 zero_division=0 相同。",
    },
    "en": {
        "title": "Comparison of models",
        "summary": "In short",
        "table": "Comparison",
        "system": "system",
        "kind": "kind",
        "parameters": "parameters",
        "group_accuracy": "group accuracy",
        "unseen": "micro-F1 on unseen text",
        "rows_per_s": "rows/s",
        "speedup": "speed-up",
        "notes": "notes",
        "batch": "batch",
        "plot": "Quality against speed",
        "plot_note": "Across: rows a second at batch 32 (logarithmic). Up: micro-F1. Better is right and up.",
        "labels": "F1 of each label",
        "label": "label",
        "support": "positives",
        "groups": "Exclusive groups",
        "group": "group",
        "how": "How it was measured",
        "how_text": "All systems took turns in one run, text in, decisions out; the speed-up is the median ratio of times "
        "within a round, against {reference}. {rows} rows scored; {cores} CPU cores. Thresholds come from dev rows, not from "
        "the scored ones. Unknown and unasked cells enter no metric; F1 follows scikit-learn's zero_division=0.",
    },
}

_LINES = {
    "zh": {
        "best": "质量最高的是 {name}：micro-F1 {f1:.4f}。",
        "smallest": "保留最佳质量 98% 以上的模型里，最快的是 {name}："
        "micro-F1 {f1:.4f}，{mb:.1f} MB，批量 32 时是 {reference} 的 {times:.1f} 倍速。",
        "linear": "线性基线 micro-F1 {f1:.4f}；{verdict}",
        "beaten": "高于它的有：{names}。",
        "unbeaten": "没有模型高于它——先用它。",
        "random": "注意：{names} 从随机权重开始训练，没有预训练知识，不代表预训练教师的水平。",
    },
    "en": {
        "best": "Best quality: {name}, micro-F1 {f1:.4f}.",
        "smallest": "Fastest of those that keep 98 % of the best: {name}, micro-F1 {f1:.4f}, {mb:.1f} MB, "
        "{times:.1f} times as fast as {reference} at batch 32.",
        "linear": "The linear baseline reaches micro-F1 {f1:.4f}; {verdict}",
        "beaten": "above it: {names}.",
        "unbeaten": "nothing is above it: use it first.",
        "random": "Note: {names} started from random weights, without pre-training; a pre-trained teacher does better.",
    },
}


def summary(systems: Sequence[Mapping[str, Any]], language: str) -> list[str]:
    """What the table says, in sentences."""
    words = _LINES[language]
    best = max(systems, key=lambda system: float(system["micro_f1"]))
    reference = next(system for system in systems if system["reference"])
    lines = [words["best"].format(name=best["name"], f1=best["micro_f1"])]
    good = [system for system in systems if system["micro_f1"] >= 0.98 * best["micro_f1"]]
    quick = max(good, key=lambda system: float(system["speedup"]))
    if quick is not reference:
        lines.append(
            words["smallest"].format(
                name=quick["name"], f1=quick["micro_f1"], mb=quick["mb"], times=quick["speedup"], reference=reference["name"]
            )
        )
    linear = next((system for system in systems if system["kind"] == "linear"), None)
    if linear is not None and len(systems) > 1:
        above = [system["name"] for system in systems if system["micro_f1"] > linear["micro_f1"]]
        verdict = words["beaten"].format(names="、".join(above) if language == "zh" else ", ".join(above))
        lines.append(words["linear"].format(f1=linear["micro_f1"], verdict=verdict if above else words["unbeaten"]))
    random = [system["name"] for system in systems if "start=random weights" in system["notes"]]
    if random:
        lines.append(words["random"].format(names=", ".join(random)))
    return lines
