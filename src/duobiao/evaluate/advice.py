"""What a comparison says, in sentences, in Chinese and in English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duobiao.evaluate.budget import KEEP, Budget, best_of, chosen, nearest
from duobiao.evaluate.front import p95
from duobiao.evaluate.wording import Language, number

System = Mapping[str, Any]

LINES: dict[str, dict[str, str]] = {
    "zh": {
        "system": "{name}（micro-F1 {f1:.4f}{interval}，p95 {ms} 毫秒，{mb} MB）",
        "interval": "，95% 区间 {low:.3f}–{high:.3f}",
        "best": "质量最高的是 {system}。",
        "smallest": "保留最佳质量 {keep} 的模型里，最小的是 {system}。{cost}",
        "fastest": "其中最快的是 {system}。{cost}",
        "both": "保留最佳质量 {keep} 的模型里，最小也最快的是 {system}。{cost}",
        "none_smaller": "保留最佳质量 {keep} 的模型里，没有比它更小或更快的。",
        "deploy_best": "在{limits}的限制下，应部署 {system}。{cost}",
        "deploy_smallest": "在{limits}的限制下，最小的是 {system}。{cost}",
        "deploy_fastest": "最快的是 {system}。{cost}",
        "deploy_both": "在{limits}的限制下，应部署 {system}：最小，也最快。{cost}",
        "is_best": "它就是质量最高的。",
        "cost": "比 {best} 低 {points} 个点（95% 区间 {low} 到 {high}）。",
        "level": "与 {best} 分不出高下（差 {points} 个点，95% 区间 {low} 到 {high}）。",
        "plain_cost": "比 {best} 低 {points} 个点。",
        "cheaper": "限制之内，{system} 与它分不出高下（差 {points} 个点，95% 区间 {low} 到 {high}），{how}。",
        "smaller": "大小为它的 {ratio}",
        "faster": "耗时为它的 {ratio}",
        "unmet": "没有模型能同时满足{limits}。",
        "near_ms": "耗时：最快的 {name} 要 {value} 毫秒，{met}。",
        "near_mb": "大小：最小的 {name} 有 {value} MB，{met}。",
        "near_micro_f1": "质量：最高的 {name} 是 micro-F1 {value}（要求 {limit}），{met}。",
        "met": "这一条单独可以满足",
        "not_met": "这一条满足不了",
        "limit_ms": "p95 不超过 {value:g} 毫秒",
        "limit_mb": "不超过 {value:g} MB",
        "limit_micro_f1": "micro-F1 不低于 {value:g}",
        "limit_keep": "保留最佳质量的 {keep}",
        "front": "值得考虑的有：{names}。",
        "dominated": "可以不看的有：{names}。括号里的模型在 micro-F1、p95 和大小上都不比它差，且至少有一项更好。",
        "by": "{name}（不如 {others}）",
        "linear": "线性基线 micro-F1 {f1:.4f}；{verdict}",
        "beaten": "高于它的有：{names}。",
        "unbeaten": "没有模型高于它，先用它。",
        "random": "注意：{names} 从随机权重开始训练，没有预训练知识，不代表预训练教师的水平。",
        "percent": "{value}%",
        "separator": "、",
        "also": "，",
    },
    "en": {
        "system": "{name} (micro-F1 {f1:.4f}{interval}, p95 {ms} ms, {mb} MB)",
        "interval": ", 95 % interval {low:.3f} to {high:.3f}",
        "best": "Best quality: {system}.",
        "smallest": "Smallest of those that keep {keep} of the best micro-F1: {system}. {cost}",
        "fastest": "Fastest of them: {system}. {cost}",
        "both": "Smallest and fastest of those that keep {keep} of the best micro-F1: {system}. {cost}",
        "none_smaller": "Nothing smaller or faster keeps {keep} of its micro-F1.",
        "deploy_best": "With {limits}: deploy {system}. {cost}",
        "deploy_smallest": "With {limits}, the smallest is {system}. {cost}",
        "deploy_fastest": "The fastest is {system}. {cost}",
        "deploy_both": "With {limits}: deploy {system}, the smallest and the fastest. {cost}",
        "is_best": "It is the best of all.",
        "cost": "It is {points} points below {best} (95 % interval {low} to {high}).",
        "level": "It is not told apart from {best} ({points} points below, 95 % interval {low} to {high}).",
        "plain_cost": "It is {points} points below {best}.",
        "cheaper": "Within the limits, {system} is not told apart from it ({points} points below, 95 % interval {low} to "
        "{high}) and {how}.",
        "smaller": "has {ratio} of its size",
        "faster": "takes {ratio} of its time",
        "unmet": "No system meets all of: {limits}.",
        "near_ms": "Time: the fastest, {name}, takes {value} ms; {met}.",
        "near_mb": "Size: the smallest, {name}, has {value} MB; {met}.",
        "near_micro_f1": "Quality: the best, {name}, reaches micro-F1 {value} (asked: {limit}); {met}.",
        "met": "this limit alone can be met",
        "not_met": "this limit is out of reach",
        "limit_ms": "p95 of at most {value:g} ms",
        "limit_mb": "at most {value:g} MB",
        "limit_micro_f1": "micro-F1 of at least {value:g}",
        "limit_keep": "{keep} of the best micro-F1 kept",
        "front": "Worth considering: {names}.",
        "dominated": "Not worth considering: {names}. The systems in brackets are no worse in micro-F1, p95 and size, and "
        "better in at least one.",
        "by": "{name} (see {others})",
        "linear": "The linear baseline reaches micro-F1 {f1:.4f}; {verdict}",
        "beaten": "above it: {names}.",
        "unbeaten": "nothing is above it: use it first.",
        "random": "Note: {names} started from random weights, without pre-training; a pre-trained teacher does better.",
        "percent": "{value} %",
        "separator": ", ",
        "also": " and ",
    },
}


def summary(systems: Sequence[System], language: Language, budget: Budget | None = None) -> list[str]:
    """What the table says, in sentences.

    First what to deploy under the budget, if there is one, and what it costs against the best; then the best, and without a
    budget the smallest and the fastest that keep 98 % of it; then the front, and notes.

    Args:
        systems: As in ``compare.json``. Where they have no key ``against``, costs are told without intervals.
        language: Of the sentences.
        budget: Limits.
    """
    words, lines, best = LINES[language], [], best_of(systems)
    if budget:
        lines += _answer(systems, budget, words)
    if not budget or all(system is not best for _, system in chosen(systems, budget)):
        lines.append(words["best"].format(system=_system(best, words)))
    if not budget and len(systems) > 1:
        lines += _keepers(systems, best, words)
    return [*lines, *_front(systems, words), *_notes(systems, words)]


def _answer(systems: Sequence[System], budget: Budget, words: Mapping[str, str]) -> list[str]:
    limits, best, picked = _limits(budget, words), best_of(systems), chosen(systems, budget)
    if not picked:
        lines = [words["unmet"].format(limits=limits)]
        for name, limit, system, met in nearest(systems, budget):
            value = {"ms": p95(system), "mb": system["mb"], "micro_f1": system["micro_f1"]}[name]
            shown = f"{value:.4f}" if name == "micro_f1" else number(value)
            fit = words["met" if met else "not_met"]
            lines.append(words[f"near_{name}"].format(name=system["name"], value=shown, limit=f"{limit:.4f}", met=fit))
        return lines
    lines = [
        words[f"deploy_{role}"].format(limits=limits, system=_system(system, words), cost=_cost(system, best, words)).rstrip()
        for role, system in picked
    ]
    role, first = picked[0]
    if role == "best":
        lines += _cheaper(first, budget.fitting(systems), words)
    return lines


def _keepers(systems: Sequence[System], best: System, words: Mapping[str, str]) -> list[str]:
    picked = chosen(systems, Budget(keep=KEEP))
    keep = percent(KEEP, words)
    if all(system is best for _, system in picked):
        return [words["none_smaller"].format(keep=keep)]
    return [
        words[role].format(keep=keep, system=_system(system, words), cost=_cost(system, best, words)).rstrip()
        for role, system in picked
    ]


def _cheaper(system: System, fitting: Sequence[System], words: Mapping[str, str]) -> list[str]:
    """Systems on the front that meet the limits, cost less than the answer, and are not told apart from it."""
    lines = []
    for other in fitting:
        gap = system.get("against", {}).get(other["name"], {})
        if other is system or not _has_interval(gap) or gap["told_apart"] or other.get("dominated_by"):
            continue
        ratios = {"smaller": other["mb"] / system["mb"], "faster": p95(other) / p95(system)}
        how = [words[name].format(ratio=percent(round(ratio, 2), words)) for name, ratio in ratios.items() if ratio < 0.8]
        if how:
            text = words["also"].join(how)
            lines.append(words["cheaper"].format(system=_system(other, words), how=text, **_points(gap)))
    return lines


def _front(systems: Sequence[System], words: Mapping[str, str]) -> list[str]:
    beaten = {system["name"]: system["dominated_by"] for system in systems if system.get("dominated_by")}
    if not beaten:
        return []
    join = words["separator"].join
    inside = [
        words["by"].format(name=name, others=join(others[:3]) + (" …" if len(others) > 3 else ""))
        for name, others in beaten.items()
    ]
    worthy = [system["name"] for system in systems if system["name"] not in beaten]
    return [words["front"].format(names=join(worthy)), words["dominated"].format(names=join(inside))]


def _notes(systems: Sequence[System], words: Mapping[str, str]) -> list[str]:
    lines, join = [], words["separator"].join
    linear = next((system for system in systems if system["kind"] == "linear"), None)
    if linear is not None and len(systems) > 1:
        above = [system["name"] for system in systems if system["micro_f1"] > linear["micro_f1"]]
        verdict = words["beaten"].format(names=join(above)) if above else words["unbeaten"]
        lines.append(words["linear"].format(f1=linear["micro_f1"], verdict=verdict))
    random = [system["name"] for system in systems if "start=random weights" in system["notes"]]
    if random:
        lines.append(words["random"].format(names=join(random)))
    return lines


def _system(system: System, words: Mapping[str, str]) -> str:
    bounds = system.get("intervals", {}).get("micro_f1")
    interval = words["interval"].format(low=bounds[0], high=bounds[1]) if bounds else ""
    return words["system"].format(
        name=system["name"], f1=system["micro_f1"], interval=interval, ms=number(p95(system)), mb=number(system["mb"])
    )


def _cost(system: System, best: System, words: Mapping[str, str]) -> str:
    """What is lost against the best."""
    if system is best:
        return words["is_best"]
    gap = best.get("against", {}).get(system["name"], {})
    if not _has_interval(gap):
        points = f"{100 * (best['micro_f1'] - system['micro_f1']):.1f}"
        return words["plain_cost"].format(best=best["name"], points=points)
    return words["cost" if gap["told_apart"] else "level"].format(best=best["name"], **_points(gap))


def _has_interval(gap: Mapping[str, Any]) -> bool:
    return gap.get("low") is not None


def _points(gap: Mapping[str, Any]) -> dict[str, str]:
    shown = {"points": gap["gain"], "low": gap["low"], "high": gap["high"]}
    return {name: f"{100 * value:.1f}".replace("-", "−") for name, value in shown.items()}


def _limits(budget: Budget, words: Mapping[str, str]) -> str:
    named = (("limit_ms", budget.max_ms), ("limit_mb", budget.max_mb), ("limit_micro_f1", budget.min_micro_f1))
    parts = [words[name].format(value=value) for name, value in named if value is not None]
    if budget.keep is not None:
        parts.append(words["limit_keep"].format(keep=percent(budget.keep, words)))
    return words["separator"].join(parts)


def percent(part: float, words: Mapping[str, str]) -> str:
    """A share in per cent, without needless digits."""
    return words["percent"].format(value=f"{100 * part:.6g}")
