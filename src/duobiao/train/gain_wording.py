"""What adapting gave, in words, in Chinese and in English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duobiao.evaluate.bootstrap import Gain
from duobiao.evaluate.proof_wording import Case
from duobiao.evaluate.wording import Language

_VERDICTS: dict[str, dict[str, str]] = {
    "zh": {
        "gained": "继续预训练提高了 {gain:.1f} 个 micro-F1 百分点 [{low:+.1f}, {high:+.1f}]",
        "lost": "继续预训练没有帮助，请用原来的编码器：{gain:+.1f} 个 micro-F1 百分点 [{low:+.1f}, {high:+.1f}]",
        "none": "这些行看不出差别：{gain:+.1f} 个 micro-F1 百分点 [{low:+.1f}, {high:+.1f}]",
    },
    "en": {
        "gained": "adaptation gained {gain:.1f} points of micro-F1 [{low:+.1f}, {high:+.1f}]",
        "lost": "adaptation did not help, use the encoder as it was: {gain:+.1f} points of micro-F1 [{low:+.1f}, {high:+.1f}]",
        "none": "no difference shown: {gain:+.1f} points of micro-F1 [{low:+.1f}, {high:+.1f}]",
    },
}
_WORDS: dict[str, dict[str, str]] = {
    "zh": {
        "title": "继续预训练的增益",
        "heads": "编码器|种子|micro-F1|macro-F1",
        "before": "原来的",
        "after": "继续预训练之后",
        "mean": "平均",
        "mlm": "留出文本上的掩码语言模型：损失 {before[loss]:.3f} → {after[loss]:.3f}，"
        "猜对 {before[accuracy]:.1%} → {after[accuracy]:.1%}",
        "states": "掩码之后猜留出文本自己原来的隐藏状态：误差 {before[hidden]:.3f} → {after[hidden]:.3f}。",
        "new": "原来的编码器没有掩码语言模型头，新头从随机权重学起，所以“之前”的损失说明的是新头，不是编码器。",
        "how": "在 {rows} 行上评测。方括号里是 95 % 区间：对 {units} 个单位（同一 group_id 的行为一个单位）"
        "做 {draws} 次配对自助抽样。“提高”要求区间在 0 以上，而且每个种子都有增益。",
        "macro": "macro-F1：{gain:+.1f} 个百分点 [{low:+.1f}, {high:+.1f}]。",
        "one": "只有一个种子：区间只反映评测行的偶然，不反映训练的偶然。请用 --seeds 0,1,2。",
        "standing": "注意：{standing} / {rows} 条评测文本原样出现在继续预训练的文本里。标签没有泄露，但编码器见过这些文本，"
        "换成没见过的文本，增益可能更小。",
        "elsewhere": "只算没有出现过的 {rows} 行：{verdict}。",
    },
    "en": {
        "title": "What adapting the encoder gave",
        "heads": "encoder|seed|micro-F1|macro-F1",
        "before": "as it was",
        "after": "adapted",
        "mean": "mean",
        "mlm": "Masked words in held-out text: loss {before[loss]:.3f} → {after[loss]:.3f}, "
        "guessed right {before[accuracy]:.1%} → {after[accuracy]:.1%}",
        "states": "Own states of the whole text, guessed from masked held-out text: error {before[hidden]:.3f} → "
        "{after[hidden]:.3f}",
        "new": "The encoder came without a masked-LM head. A new one was learned from random weights, so the loss before tells "
        "of that head, not of the encoder.",
        "how": "Scored on {rows} rows. In brackets the 95 % interval, from {draws} paired bootstrap draws over {units} units "
        "(rows with one group_id are one). 'gained' asks that the interval lies above 0 and that every seed gained.",
        "macro": "macro-F1: {gain:+.1f} points [{low:+.1f}, {high:+.1f}].",
        "one": "There is one seed: the interval tells of chance in the scored rows, not of chance in training. "
        "Give --seeds 0,1,2.",
        "standing": "Warning: {standing} of the {rows} scored texts stand word for word in the text that the encoder was "
        "adapted on. No label leaked, but the encoder has read them; on texts that it has not, the gain may be smaller.",
        "elsewhere": "On the other {rows} rows alone: {verdict}.",
    },
}


def verdict(case: Case, gain: Gain) -> dict[str, str]:
    """The verdict by language, in points of micro-F1."""
    return {tongue: words[case].format(**_points(vars(gain))) for tongue, words in _VERDICTS.items()}


def render(found: Mapping[str, Any], language: Language) -> str:
    """The report in Markdown."""
    words = _WORDS[language]
    lines = [f"# {words['title']}", "", f"**{found['verdict'][language]}**", ""]
    heads = words["heads"].split("|")
    for cells in (heads, ["---"] * len(heads), *_table(found, words)):
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for note in notes(found, language):
        lines += [note, ""]
    return "\n".join(lines)


def notes(found: Mapping[str, Any], language: Language) -> list[str]:
    """What must be known to read the verdict."""
    words = _WORDS[language]
    lines = []
    if found["standing_in_text"]:
        lines.append(words["standing"].format(standing=found["standing_in_text"], rows=found["rows"]))
    if found["elsewhere"]:
        other = found["elsewhere"]
        lines.append(words["elsewhere"].format(rows=other["rows"], verdict=other["verdict"][language]))
    lines.append(words["how"].format(**found))
    lines.append(words["macro"].format(**_points(found["gain"]["macro_f1"])))
    lines += [words["one"]] * (len(found["seeds"]) == 1)
    adaptation = found["adaptation"]
    if adaptation["held_out"]:
        kind = "mlm" if "accuracy" in adaptation["held_out"]["before"] else "states"
        lines.append(words[kind].format(**adaptation["held_out"]))
    lines += [words["new"]] * (adaptation["head"] == "new")
    return lines


def _table(found: Mapping[str, Any], words: Mapping[str, str]) -> list[list[str]]:
    rows = []
    for name in ("before", "after"):
        own = found[name]
        pairs = zip(map(str, found["seeds"]), own["seeds"], strict=True)
        rows += [[words[name], seed, *_scores(one)] for seed, one in pairs]
        rows.append([words[name], words["mean"], *_scores(own)])
    return rows


def _scores(one: Mapping[str, Any]) -> list[str]:
    return [f"{one['micro_f1']:.4f}", f"{one['macro_f1']:.4f}"]


def _points(gain: Mapping[str, Any]) -> dict[str, float]:
    return {name: 100 * gain[name] for name in ("gain", "low", "high")}
