"""The report's headings and notes, in Chinese and in English, and how it writes numbers. Its sentences are in ``advice``."""

from __future__ import annotations

from typing import Literal

Language = Literal["zh", "en"]

TEXTS: dict[str, dict[str, str]] = {
    "zh": {
        "title": "模型对比报告",
        "summary": "结论",
        "table": "对比",
        "system": "模型",
        "parameters": "参数量",
        "group_accuracy": "互斥组准确率",
        "unseen": "未见文本 micro-F1",
        "rows_per_s": "行/秒",
        "speedup": "加速比",
        "dominated": "不如 {names}",
        "table_note": "micro-F1 下面是 95% 区间。括号里是批量。",
        "against": "与 {best} 相比",
        "against_heads": "micro-F1 差（百分点）|macro-F1 差（百分点）|只有它判对的行|只有 {best} 判对的行|p",
        "against_note": "差是该模型减去 micro-F1 最高的 {best}，附 95% 区间；“判对”指一行已知的标签全部判对。"
        "p：两者判对的行若一样多，只有一方判对的行数相差到这个程度或更多的概率（{test}）。每个 p 只管它那一行，"
        "没有按模型个数校正，也没有计入“{best} 是在这些行上选出来的”。任意两个模型之间的差见 compare.json。",
        "test_mcnemar": "精确的 McNemar 检验",
        "test_permutation": "以同一 group_id 的行为整体的置换检验",
        "plot": "质量与耗时",
        "plot_x": "单行耗时 p95（毫秒，对数）",
        "plot_note": "越靠左上越好。竖线是 95% 区间；虚线是前沿：线上的模型，没有别的模型既不更慢、质量又不更低。",
        "labels": "各标签 F1",
        "labels_note": "{names}；细线是 95% 区间。",
        "sort_f1": "F1 低的在前",
        "sort_support": "正例多的在前",
        "label": "标签",
        "support": "正例数",
        "all_labels": "所有模型的各标签 F1",
        "calibration": "校准",
        "calibration_note": "横轴：预测概率；纵轴：实际为真的比例。每个点含同样多的单元格，越靠近对角线越好；"
        "点越大，它的偏差占得越多。图里不画概率低于 {least:g} 的单元格（多数单元格都是），"
        "ECE 和 Brier 包括它们，都是越小越好。",
        "groups": "互斥组",
        "group": "组",
        "confusion": "组内混淆：{name}",
        "confusion_note": "行是真实标签，列是模型的判断，格子里是行数；颜色深浅是占该行的比例。",
        "confusion_cut": "只列出错得最多的 {count} 个标签。",
        "none": "（无）",
        "together": "标签共现：{name}",
        "together_note": "两个标签同时出现的行数：真实的与模型判断的。差得最多的在前。",
        "together_heat": "热力图：对角线右上是真实的，左下是模型判断的。",
        "together_same": "所有标签对的共现次数都与真实的一致。",
        "pair": "标签对",
        "true": "真实",
        "decided": "判断",
        "difference": "差",
        "nodes": "各节点 micro-F1",
        "node": "节点",
        "slices": "各部分 micro-F1：{name}",
        "by_length": "长度（字）",
        "by_context": "与其余有差别的节点",
        "rows": "行数",
        "interval": "95% 区间",
        "differs": "与其余的行有差别",
        "mistakes": "最自信的错误：{name}",
        "mistakes_note": "每行只列它最自信的那个错误判断。确信度是 1 减去模型给真实答案的概率。"
        "蓝色的词支持所列标签，橙色的词反对；颜色越深，去掉这个词后变化越大。",
        "sureness": "确信度",
        "words_of": "词的作用针对",
        "no_mistakes": "没有错误。",
        "suspects": "可能标错的行",
        "suspects_note": "所有模型都没有学过这些行，它们平均起来仍然很肯定地不同意原来的标签；"
        "概率是它们给原标签的平均值。是标错还是模型错，要人来看；"
        "duobiao suspects 用同样的办法检查训练数据。",
        "no_suspects": "没有。",
        "given": "原标签",
        "suggested": "建议",
        "probability": "概率",
        "row": "行",
        "no_text": "（报告不含文本）",
        "how": "怎么测的",
        "how_text": "所有模型在同一次运行里轮流计时（输入文本，输出决策）；"
        "加速比是同一轮内耗时之比的中位数，参照模型是 {reference}。"
        "共评测 {rows} 行；{cores} 个 CPU 核，{processor}，{system}，Python {python}。阈值来自开发集，与评测行无关。",
        "how_f1": "未知和未询问的单元格不参与任何指标；F1 的约定与 scikit-learn 的 zero_division=0 相同。",
        "how_interval": "区间和模型之间的差用自助法得到：把{unit}有放回地重抽，取百分位；比较两个模型时，两边用同样的抽样。"
        "区间含 0 就说“分不出高下”。",
        "unit_row": "行",
        "unit_group_id": "同一 group_id 的行作为整体",
        "how_words": "词的作用：去掉这个词后，该标签对数几率的下降（遮挡法，arXiv 1311.2901）。",
        "how_suspects": "可能标错的行：置信学习（arXiv 1911.00068），多标签逐个标签判断（arXiv 2211.13895）。",
        "command": "命令",
    },
    "en": {
        "title": "Comparison of models",
        "summary": "In short",
        "table": "Comparison",
        "system": "system",
        "parameters": "parameters",
        "group_accuracy": "group accuracy",
        "unseen": "micro-F1 on unseen text",
        "rows_per_s": "rows/s",
        "speedup": "speed-up",
        "dominated": "see {names}",
        "table_note": "Under each micro-F1 stands its 95 % interval. Batch sizes are in brackets.",
        "against": "Compared with {best}",
        "against_heads": "difference in micro-F1 (points)|difference in macro-F1 (points)|rows that only it has right|"
        "rows that only {best} has right|p",
        "against_note": "Differences are the system's score minus that of {best}, which has the highest micro-F1, with "
        "95 % intervals. A row is right where all its known labels are. p tells how often two that have equally "
        "many rows right would differ in them at least as much ({test}). Each p is of its own line, not corrected for the "
        "number of systems, nor for the choice of {best} on these very rows. The differences between any two are in "
        "compare.json.",
        "test_mcnemar": "McNemar's test, exact",
        "test_permutation": "a permutation test of whole groups of rows with one group_id",
        "plot": "Quality against time",
        "plot_x": "ms for a row alone, 95th percentile (logarithmic)",
        "plot_note": "Better is left and up. Upright lines are 95 % intervals. The dashed line is the front: for a system on "
        "it, no other is as fast and as good, and better in one of the two.",
        "labels": "F1 of each label",
        "labels_note": "{names}; thin lines are 95 % intervals.",
        "sort_f1": "lowest F1 first",
        "sort_support": "most positives first",
        "label": "label",
        "support": "positives",
        "all_labels": "F1 of each label, all systems",
        "calibration": "Calibration",
        "calibration_note": "Across: mean probability. Up: share of true cells. Equally many cells a dot, best on the "
        "diagonal; larger dots stray more, or with more cells. Most cells are below {least:g}; they are in ECE and Brier "
        "score (smaller is better), but not in the picture.",
        "groups": "Exclusive groups",
        "group": "group",
        "confusion": "Confusion inside groups: {name}",
        "confusion_note": "Down: the true label. Across: the decision. Cells count rows; the colour is their share of the "
        "line.",
        "confusion_cut": "Only the {count} labels with the most errors are shown.",
        "none": "(none)",
        "together": "Labels that stand together: {name}",
        "together_note": "Rows in which two labels are both true, and both decided; the largest differences first.",
        "together_heat": "Heat map: above the diagonal the truth, below it the decisions.",
        "together_same": "Every pair of labels stands together as often as in the truth.",
        "pair": "pair",
        "true": "true",
        "decided": "decided",
        "difference": "difference",
        "nodes": "Micro-F1 of each node",
        "node": "node",
        "slices": "Micro-F1 of slices: {name}",
        "by_length": "length (characters)",
        "by_context": "nodes that differ from the rest",
        "rows": "rows",
        "interval": "95 % interval",
        "differs": "differs from the other rows",
        "mistakes": "Errors it was surest of: {name}",
        "mistakes_note": "Of each row, the wrong decision that the system was surest of. Sureness is 1 minus the probability "
        "it gave to the true answer. Blue words speak for the label, orange ones against it; the darker, the more changes "
        "without the word.",
        "sureness": "sureness",
        "words_of": "words for",
        "no_mistakes": "There are none.",
        "suspects": "Labels that may be wrong",
        "suspects_note": "No system learned from these rows, and on average they are sure that the given label is wrong; the "
        "probability is the mean of what they give to it. Whether the label errs or the models do, a person has to say. "
        "duobiao suspects looks through training rows so.",
        "no_suspects": "There are none.",
        "given": "given",
        "suggested": "suggested",
        "probability": "probability",
        "row": "row",
        "no_text": "(texts are left out)",
        "how": "How it was measured",
        "how_text": "All systems took turns in one run, text in, decisions out; the speed-up is the median ratio of times "
        "within a round, against {reference}. {rows} rows scored; {cores} CPU cores, {processor}, {system}, Python {python}. "
        "Thresholds come from dev rows, not from the scored ones.",
        "how_f1": "Unknown and unasked cells enter no metric; F1 follows scikit-learn's zero_division=0.",
        "how_interval": "Intervals, also those of differences, are percentiles of a bootstrap: {unit} are drawn anew with "
        "replacement, the same for both systems of a comparison. Where the interval holds 0, two systems are not told apart.",
        "unit_row": "rows",
        "unit_group_id": "rows of one group_id, taken together,",
        "how_words": "Words: the log-odds that the label loses without the word (occlusion, arXiv 1311.2901).",
        "how_suspects": "Labels that may be wrong: confident learning (arXiv 1911.00068), each label by itself (arXiv "
        "2211.13895).",
        "command": "Command",
    },
}


def ratio(value: float | None) -> str:
    """A share with four digits; a dash where it is not defined."""
    return "–" if value is None else f"{value:.4f}"


def points(gain: float, low: float | None, high: float | None) -> list[str]:
    """A difference of shares in points (hundredths), and its interval; a dash where there is none."""
    return [f"{100 * gain:+.1f}", "-" if low is None or high is None else f"{100 * low:+.1f} … {100 * high:+.1f}"]


def number(value: float) -> str:
    """A number to read: two or three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
