"""The gate's verdict in words, in Chinese and in English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duobiao.card.words import escaped
from duobiao.evaluate.wording import Language, points

Reason = dict[str, Any]
"""Why a gate failed: ``what`` (overall, label, group, removed, flips), ``name``, and the numbers."""
NAMES = {"micro_f1": "micro-F1", "macro_f1": "macro-F1"}
SHOWN = 12
"""Lines of the table of labels."""
NAMED = 5
"""Labels that are named as too rare."""
TOO_FEW = 0.1
"""Labels that could fall by more than this unseen are named."""

WORDS: dict[str, dict[str, str]] = {
    "zh": {
        "title": "发布闸门：{old} → {new}",
        "passed": "闸门通过：在 {rows} 行上没有发现超出噪声的下降。",
        "passed_open": "闸门通过：只比较了翻转，这些行没有标签。",
        "failed": "闸门未通过，{count} 条原因：",
        "overall": "{name} 从 {old:.4f} 降到 {new:.4f}（{points:+.1f} 个百分点，{interval}校正后 p = {p:.2g}）",
        "label": "标签“{name}”的 F1 从 {old:.3f} 降到 {new:.3f}（{points:+.1f} 个百分点，{interval}校正后 p = {p:.2g}）",
        "group": "组“{name}”的准确率从 {old:.3f} 降到 {new:.3f}（{points:+.1f} 个百分点，{interval}校正后 p = {p:.2g}）",
        "interval": "95 % 区间 {low:+.1f} 到 {high:+.1f}，",
        "removed": "标签“{name}”在新模型里没有了（--allow-removed 允许删除）",
        "flips": "{share:.2%} 的行判定不同，超过 --max-flips {limit:.2%}",
        "heads": "指标|旧|新|差（百分点）|95 % 区间|校正后 p",
        "label_heads": "标签|正例|旧 F1|新 F1|差（百分点）|95 % 区间|校正后 p|对→错|错→对",
        "labels": "各标签，降幅从大到小",
        "groups": "组准确率",
        "group_heads": "组|行|旧|新|差（百分点）|95 % 区间|校正后 p|",
        "new": "新标签",
        "new_heads": "标签|正例|精确率|召回率|F1",
        "gone": "已删除的标签：{names}",
        "flip_line": "{rows} 行（{share:.2%}）的判定不同，共 {decisions} 处：对→错 {broken}，错→对 {fixed}，真值未知 {open}。",
        "few": "数据太少，看不出来：{lines}。",
        "few_one": "“{name}”有 {count} 行正例，{points:.0f} 个百分点以内的下降与噪声无法区分",
        "few_more": "另有 {count} 个标签",
        "half": "{name} 相差 {points:.1f} 个百分点以内，在这些行上属于噪声。",
        "unlabelled": "{count} 行没有标签，只算翻转。",
        "how": "检验：把两个模型对同一单位（行，或同一 group_id 的各行）的答案随机互换；标签和组合在一起用 Holm 法校正，"
        "误报概率合计不超过 5 %。区间来自配对自助抽样，共 {units} 个单位。噪声指的是抽到哪些行，不含训练随机种子的波动。",
        "added": "新标签“{label}”：留出折上的 F1 为 {f1:.3f}（95 % 区间 {low:.3f} 到 {high:.3f}，{positives} 行正例）",
        "accepted": "{place}：已写入，用时 {seconds:.1f} 秒",
        "accepted_drops": "{place}：闸门未通过，但因 --accept-drops 仍已写入，用时 {seconds:.1f} 秒",
        "rejected": "{place}：被闸门拒绝的模型包放在这里供查看，用时 {seconds:.1f} 秒；"
        "要采用它，请加 --accept-drops 或 --allow-label-drop 重做",
        "sep": "；",
    },
    "en": {
        "title": "Release gate: {old} → {new}",
        "passed": "Gate passed: no fall beyond noise on {rows} rows.",
        "passed_open": "Gate passed: only flips were compared, for the rows have no labels.",
        "failed": "Gate failed, for {count} reasons:",
        "overall": "{name} fell from {old:.4f} to {new:.4f} ({points:+.1f} points, {interval}adjusted p = {p:.2g})",
        "label": "label {name!r}: F1 fell from {old:.3f} to {new:.3f} ({points:+.1f} points, {interval}adjusted p = {p:.2g})",
        "group": "group {name!r}: accuracy fell from {old:.3f} to {new:.3f} ({points:+.1f} points, {interval}"
        "adjusted p = {p:.2g})",
        "interval": "95 % interval {low:+.1f} to {high:+.1f}, ",
        "removed": "label {name!r} is missing in the new model (--allow-removed lets it go)",
        "flips": "{share:.2%} of the rows are decided otherwise, more than --max-flips {limit:.2%}",
        "heads": "metric|old|new|difference (points)|95 % interval|adjusted p",
        "label_heads": "label|positives|old F1|new F1|difference (points)|95 % interval|adjusted p|right→wrong|wrong→right",
        "labels": "Labels, the largest fall first",
        "groups": "Accuracy of groups",
        "group_heads": "group|rows|old|new|difference (points)|95 % interval|adjusted p|",
        "new": "New labels",
        "new_heads": "label|positives|precision|recall|F1",
        "gone": "Removed labels: {names}",
        "flip_line": "{rows} rows ({share:.2%}) are decided otherwise, in {decisions} places: right→wrong {broken}, "
        "wrong→right {fixed}, truth unknown {open}.",
        "few": "Too few data to tell: {lines}.",
        "few_one": "{name!r} has {count} positive rows, so a drop under {points:.0f} points cannot be told from noise",
        "few_more": "and {count} labels more",
        "half": "Differences of {name} under {points:.1f} points are within the noise of these rows.",
        "unlabelled": "{count} rows have no labels and count for flips only.",
        "how": "Test: the two models' answers to a unit (a row, or the rows of one group_id) are swapped at random; labels and "
        "groups are corrected together by Holm's procedure, and the chance of a false alarm is 5 % at most in all. "
        "Intervals are of a paired bootstrap over {units} units. Noise means which rows were drawn, "
        "not the spread of training seeds.",
        "added": "new label {label!r}: held-out F1 {f1:.3f} (95 % interval {low:.3f} to {high:.3f}, {positives} positive rows)",
        "accepted": "{place}: written, after {seconds:.1f} s",
        "accepted_drops": "{place}: the gate failed; written all the same because of --accept-drops, after {seconds:.1f} s",
        "rejected": "{place}: here lies the bundle that the gate refused, to be looked at, after {seconds:.1f} s; to take it, "
        "repeat this with --accept-drops or --allow-label-drop",
        "sep": "; ",
    },
}


def headline(found: Mapping[str, Any], language: Language) -> list[str]:
    """The verdict, then each reason."""
    words = WORDS[language]
    if found["passed"]:
        return [words["passed" if found["quality"] else "passed_open"].format(rows=found["rows"])]
    return [words["failed"].format(count=len(found["reasons"])), *(reason_line(one, language) for one in found["reasons"])]


def reason_line(reason: Reason, language: Language) -> str:
    """One reason in a sentence."""
    words, shown = WORDS[language], {**reason, "name": NAMES.get(reason["name"], reason["name"])}
    if "difference" in reason:
        shown |= {"points": 100 * reason["difference"], "p": reason["adjusted_p"], "interval": ""}
        if reason["low"] is not None:
            shown["interval"] = words["interval"].format(low=100 * reason["low"], high=100 * reason["high"])
    return words[reason["what"]].format(**shown)


def remarks(found: Mapping[str, Any], language: Language) -> list[str]:
    """What else is worth a sentence: flips, how fine the rows can tell, labels with too few of them."""
    words, quality = WORDS[language], found["quality"]
    lines = [words["flip_line"].format(**found["flips"])]
    if found["removed"]:
        lines.append(words["gone"].format(names=words["sep"].join(one["label"] for one in found["removed"])))
    if quality is None:
        return lines
    if found["labelled"] < found["rows"]:
        lines.append(words["unlabelled"].format(count=found["rows"] - found["labelled"]))
    for name, line in quality["overall"].items():
        if line["low"] is not None and line["low"] < line["high"]:
            lines.append(words["half"].format(name=NAMES[name], points=50 * (line["high"] - line["low"])))
    few = too_few(quality["labels"])
    if few:
        told = [_few(one, words) for one in few[:NAMED]]
        told += [words["few_more"].format(count=len(few) - NAMED)] if len(few) > NAMED else []
        lines.append(words["few"].format(lines=words["sep"].join(told)))
    return lines


def too_few(labels: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Labels that could fall by more than ``TOO_FEW`` unseen, the blindest first."""
    blind = [one for one in labels if one["smallest_fall"] is not None and one["smallest_fall"] > TOO_FEW]
    return sorted(blind, key=lambda one: -float(one["smallest_fall"]))


def _few(one: Mapping[str, Any], words: Mapping[str, str]) -> str:
    return words["few_one"].format(name=one["label"], count=one["positives"], points=100 * one["smallest_fall"])


def overall_table(found: Mapping[str, Any]) -> list[list[str]]:
    """A line a metric."""
    return [
        [NAMES[name], f"{line['old']:.4f}", f"{line['new']:.4f}", *_change(line), f"{line['adjusted_p']:.2g}"]
        for name, line in found["quality"]["overall"].items()
    ]


def label_table(found: Mapping[str, Any], shown: int = SHOWN) -> list[list[str]]:
    """Labels whose F1 differs: those that fell beyond noise first, then the largest falls."""
    moved = [line for line in found["quality"]["labels"] if line["difference"]]
    moved.sort(key=lambda line: (not line["fell"], float(line["difference"])))
    return [
        [line["label"], str(line["positives"]), *_sides(line), str(line["broken"]), str(line["fixed"])]
        for line in moved[:shown]
    ]


def group_table(found: Mapping[str, Any]) -> list[list[str]]:
    """A line a group."""
    return [[line["group"], str(line["rows"]), *_sides(line)] for line in found["quality"]["groups"]]


def new_table(found: Mapping[str, Any]) -> list[list[str]]:
    """A line a label that only the new model has."""
    return [
        [one["label"], str(one["positives"]), *(f"{one[key]:.3f}" for key in ("precision", "recall", "f1"))]
        for one in found["new_labels"]
    ]


def tables(found: Mapping[str, Any], language: Language) -> list[tuple[str, list[str], list[list[str]]]]:
    """All tables with a line in them: title, heads, lines."""
    words = WORDS[language]
    made = [] if found["quality"] is None else [("", words["heads"], overall_table(found))]
    if found["quality"] is not None:
        made.append((words["labels"], words["label_heads"], label_table(found)))
        made.append((words["groups"], words["group_heads"].rstrip("|"), group_table(found)))
    made.append((words["new"], words["new_heads"], new_table(found)))
    return [(title, heads.split("|"), lines) for title, heads, lines in made if lines]


def render(found: Mapping[str, Any], language: Language) -> str:
    """All of it in Markdown, as a comment on a change."""
    words = WORDS[language]
    verdict, *reasons = headline(found, language)
    names = {side: escaped(found[side]["name"]) for side in ("old", "new")}
    lines = [f"## {words['title'].format(**names)}", "", f"**{verdict}**", ""]
    lines += [f"- {escaped(reason)}" for reason in reasons] + ([""] if reasons else [])
    for title, heads, table in tables(found, language):
        lines += [f"### {title}", ""] if title else []
        lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        lines += ["| " + " | ".join(map(escaped, line)) + " |" for line in table] + [""]
    lines += [f"- {escaped(remark)}" for remark in remarks(found, language)]
    return "\n".join([*lines, "", words["how"].format(units=found["units"]), ""])


def _change(line: Mapping[str, Any]) -> list[str]:
    return points(line["difference"], line["low"], line["high"])


def _sides(line: Mapping[str, Any]) -> list[str]:
    return [f"{line['old']:.3f}", f"{line['new']:.3f}", *_change(line), f"{line['adjusted_p']:.2g}"]
