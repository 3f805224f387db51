"""A proof in words, in Chinese and in English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from duobiao.evaluate.wording import Language

Case = Literal["gained", "lost", "none", "unknown"]
"""The interval lies above 0, below 0, over 0; or there is no control."""
_NAMES = {"micro_f1": "micro-F1", "macro_f1": "macro-F1"}

_VERDICTS: dict[str, dict[Case, str]] = {
    "zh": {
        "gained": "蒸馏提高了 {gain:.1f} ± {half:.1f} 个 {metric} 百分点",
        "lost": "蒸馏没有帮助，请用对照模型（{gain:+.1f} ± {half:.1f} {metric}）",
        "none": "这些行看不出差别（{gain:+.1f} ± {half:.1f} {metric}）",
        "unknown": "没有对照，什么也没有证明",
    },
    "en": {
        "gained": "distillation gained {gain:.1f} ± {half:.1f} {metric}",
        "lost": "did not help: use the control ({gain:+.1f} ± {half:.1f} {metric})",
        "none": "no difference that these rows can show ({gain:+.1f} ± {half:.1f} {metric})",
        "unknown": "no control: nothing is proven",
    },
}

_WORDS: dict[str, dict[str, str]] = {
    "zh": {
        "title": "蒸馏证明",
        "heads": "学生|micro-F1|macro-F1|对照 micro-F1|对照 macro-F1|{metric} 增益（95 % 区间）|种子间标准差|MB|参数量|"
        "行/秒 (1)|行/秒 (32)|加速比 (1)|加速比 (32)|训练秒数|占教师 micro-F1|结论",
        "teacher": "（教师）",
        "seeds": "学生和对照的得分是 {count} 个随机种子的平均；“提高”要求每个种子都有增益。",
        "score": "在 {rows} 行上评测，这些行没有用于训练或调阈值。",
        "dev": "注意：没有给 --score，所以在 {rows} 行开发集上评测；阈值和最佳轮次就是在这些行上选的，得分偏高。",
        "how": "增益是学生减去同等训练步数、只看标签的对照；区间来自对 {units} 个单位（同一 group_id 的行为一个单位）"
        "的 {draws} 次配对自助抽样。加速比对 {teacher}，同一次运行里轮流计时，{cores} 个 CPU 核。",
        "time": "教师训练 {teacher} 秒；教师给训练行和迁移行打软标签 {pass_} 秒；"
        "全部学生（含软标签，各一个种子，不含对照）{students} 秒。",
        "teachers": "多个教师（开发集）",
        "teacher_heads": "教师|权重|micro-F1|macro-F1",
        "together": "合在一起",
        "left_out": "没有训练成的：{name}（{reason}）",
    },
    "en": {
        "title": "Proof of distillation",
        "heads": "student|micro-F1|macro-F1|control micro-F1|control macro-F1|gain in {metric} (95 % interval)|"
        "spread of seeds|MB|"
        "parameters|rows/s (1)|rows/s (32)|speed-up (1)|speed-up (32)|training seconds|of the teacher's micro-F1|verdict",
        "teacher": "(teacher)",
        "seeds": "Scores of students and controls are means over {count} seeds; 'gained' asks that every seed gained.",
        "score": "Scored on {rows} rows that took no part in training or in tuning thresholds.",
        "dev": "Note: without --score the {rows} dev rows were scored. Thresholds and the best epoch were chosen on these very "
        "rows, so the scores are too good.",
        "how": "The gain is the student's score minus that of its control, which took as many steps and saw labels alone; the "
        "interval comes from {draws} paired bootstrap draws over {units} units (rows with one group_id are one). Speed-ups are "
        "against {teacher}, all timed in turn in one run, on {cores} CPU cores.",
        "time": "Training the teacher took {teacher} s; its pass over training and transfer rows {pass_} s; all students, "
        "the pass included (one seed each, controls not counted), {students} s.",
        "teachers": "Several teachers (dev rows)",
        "teacher_heads": "teacher|weight|micro-F1|macro-F1",
        "together": "together",
        "left_out": "Could not be trained: {name} ({reason})",
    },
}


def verdict(case: Case, gain: float, half: float, metric: str) -> dict[str, str]:
    """The verdict by language; gain and half the width of its interval in points."""
    return {tongue: words[case].format(gain=gain, half=half, metric=_NAMES[metric]) for tongue, words in _VERDICTS.items()}


def render(found: Mapping[str, Any], language: Language) -> str:
    """The proof in Markdown."""
    words, metric = _WORDS[language], found["metric"]
    lines = [f"# {words['title']}", "", *_table(heads(found, language), table(found, language)), ""]
    lines += [
        f"- **{line['name']}**：{line['verdict']['zh']}"
        if language == "zh"
        else f"- **{line['name']}**: {line['verdict']['en']}"
        for line in found["students"]
    ]
    lines += ["", *notes(found, language), ""]
    if found["teachers"]:
        rows = [
            [one["name"], f"{one['weight']:.3f}", _f1(one["micro_f1"]), _f1(one["macro_f1"])]
            for one in found["teachers"]["teachers"]
        ]
        total = found["teachers"]["together"]
        rows.append([words["together"], "1.000", _f1(total["micro_f1"]), _f1(total["macro_f1"])])
        lines += [f"## {words['teachers']}", "", *_table(words["teacher_heads"].split("|"), rows), ""]
    assert metric in _NAMES
    return "\n".join(lines)


def heads(found: Mapping[str, Any], language: Language) -> list[str]:
    """The columns of the table."""
    return _WORDS[language]["heads"].format(metric=_NAMES[found["metric"]]).split("|")


def table(found: Mapping[str, Any], language: Language) -> list[list[str]]:
    """The rows of the table, the teacher first."""
    teacher = found["teacher"]
    scores = [_f1(teacher[name]) for name in _NAMES]
    size = [f"{teacher['mb']:.1f}", f"{teacher['parameters']:,}", *(_number(teacher["rows_per_s"][key]) for key in ("1", "32"))]
    first = [f"{teacher['name']} {_WORDS[language]['teacher']}", *scores, "–", "–", "–", "–", *size, "1.0x", "1.0x"]
    rows = [[*first, _number(teacher["seconds"]), "100 %", "–"]]
    for line in found["students"]:
        gain, control = (line["gain"] or {}).get(found["metric"]), line["control"] or {}
        shown = "–" if gain is None else f"{gain['gain']:+.4f} ({gain['low']:+.4f} … {gain['high']:+.4f})"
        spread = "–" if gain is None or gain["spread"] is None else f"{gain['spread']:.4f}"
        cells = [
            line["name"],
            *(_f1(line[name]) for name in _NAMES),
            *(_f1(control.get(name)) for name in _NAMES),
            shown,
            spread,
        ]
        cells += [f"{line['mb']:.1f}", f"{line['parameters']:,}"]
        cells += [_number(line["rows_per_s"][key]) for key in ("1", "32")]
        cells += [f"{line['speedups'][key]:.1f}x" for key in ("1", "32")]
        share = line["share"]["micro_f1"]
        rows.append(
            [*cells, _number(line["seconds"]), "–" if share is None else f"{100 * share:.1f} %", line["verdict"][language]]
        )
    return rows


def notes(found: Mapping[str, Any], language: Language) -> list[str]:
    """What must be known to read the table."""
    words = _WORDS[language]
    lines = [words[found["scored_on"]].format(rows=found["rows"])]
    count = max((len(line["seeds"]) for line in found["students"]), default=1)
    lines += [words["seeds"].format(count=count)] * (count > 1)
    told = {"units": found["units"], "draws": found["draws"], "cores": found["cores"], "teacher": found["teacher"]["name"]}
    lines.append(words["how"].format(**told))
    seconds = {name.replace("pass", "pass_"): _number(value) for name, value in found["seconds"].items()}
    lines.append(words["time"].format(**seconds))
    lines += [words["left_out"].format(name=name, reason=reason) for name, reason in found["left_out"].items()]
    return lines


def _table(names: list[str], rows: list[list[str]]) -> list[str]:
    lines = [names, ["---"] * len(names), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _f1(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
