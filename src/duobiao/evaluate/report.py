"""The comparison for people: a Markdown table and one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duobiao.evaluate.cases import Cases
from duobiao.evaluate.plot import NARROW, WIDE, color, plot
from duobiao.evaluate.sections import (
    LEAST_SHOWN,
    confusion_tables,
    differences,
    heat_map,
    label_bars,
    reliability_panel,
    shown_slices,
)
from duobiao.evaluate.wording import TEXTS, Language, number, ratio
from duobiao.labels import LabelSpace, node_of
from duobiao.page import render_page

System = Mapping[str, Any]


def render_markdown(systems: Sequence[System], machine: Mapping[str, Any], lines: Sequence[str] = ()) -> str:
    """The summary's sentences, the table of all systems, and what tells the others from the best, in Markdown."""
    has_groups = any(system["group_accuracy"] is not None for system in systems)
    unseen = any("unseen_text" in system for system in systems)
    head = ["system", "kind", "parameters", "MB", "micro-F1", "95 %", "macro-F1"]
    head += ["group accuracy"] * has_groups + ["micro-F1 on unseen text"] * unseen
    head += ["rows/s (1)", "rows/s (32)", "p50 ms (1)", "p95 ms (1)", "p50 ms (32)", "p95 ms (32)", "speed-up (32)", "notes"]
    table = []
    for system in systems:
        cells = [system["name"], system["kind"], f"{system['parameters']:,}", number(system["mb"])]
        cells += [ratio(system["micro_f1"]), _interval(system), ratio(system["macro_f1"])]
        cells += [ratio(system["group_accuracy"])] * has_groups
        cells += [ratio(_unseen(system))] * unseen
        cells += [number(system["rows_per_s"][size]) for size in ("1", "32")]
        cells += [number(system[key][size]) for size in ("1", "32") for key in ("p50_ms", "p95_ms")]
        notes = [*system["notes"], *(f"dominated by {name}" for name in system.get("dominated_by", ())[:1])]
        cells += [f"{system['speedup']:.1f}x", "; ".join(notes)]
        table.append(cells)
    reference = next(system["name"] for system in systems if system["reference"])
    said = [f"- {line}" for line in lines]
    foot = (
        f"{systems[0]['rows']} rows scored. Timed in turn in one run, text in, decisions out, on {machine['cores']} cores; "
        f"speed-up is the median ratio to {reference} within a round."
    )
    return "\n".join([*said, *[""] * bool(said), *_table(head, table), "", foot, "", *_against(systems)])


def _against(systems: Sequence[System]) -> list[str]:
    """The table of what tells the others from the best, where anything was compared."""
    found = differences(systems)
    if found is None:
        return []
    words, best = TEXTS["en"], found["best"]
    micro, macro, *rest = (head.format(best=best) for head in words["against_heads"].split("|"))
    lines = [
        [one["name"], *one["micro_f1"], *one["macro_f1"], str(one["only_it"]), str(one["only_best"]), one["p"]]
        for one in found["lines"]
    ]
    table = _table([words["system"], micro, "95 %", macro, "95 %", *rest], lines)
    note = words["against_note"].format(best=best, test=words[f"test_{found['test']}"])
    return [*table, "", note, ""]


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in (head, *lines)]
    return [rows[0], "|" + "---|" * len(head), *rows[1:]]


def render_html(
    systems: Sequence[System],
    space: LabelSpace,
    machine: Mapping[str, Any],
    *,
    language: Language = "zh",
    title: str = "",
    lines: Sequence[str] = (),
    cases: Cases | None = None,
    command: str = "",
) -> str:
    """The report: one file, no outside resource, light and dark.

    Args:
        systems: As in ``compare.json``; sections whose keys are absent are left out.
        space: The label space.
        machine: Where it was measured.
        language: ``zh`` or ``en``.
        title: Title of the page.
        lines: The summary's sentences.
        cases: Single rows to show; the system named there is also the one that is looked at closely. The best one without.
        command: What was typed.
    """
    at, others = _shown(systems, cases)
    examined = systems[at]
    values = {
        "t": TEXTS[language],
        "language": language,
        "title": title or TEXTS[language]["title"],
        "systems": systems,
        "colors": [color(place) for place in range(len(systems))],
        "summary": lines,
        "plots": {"wide": plot(systems, WIDE), "narrow": plot(systems, NARROW)},
        "best": _best(systems),
        "against": differences(systems),
        "space": space,
        "machine": machine,
        "examined": examined,
        "shown": [(systems[place]["name"], color(place)) for place in (at, *others)],
        "bars": label_bars(systems, (at, *others), space),
        "panels": [
            (system, color(place), reliability_panel(system["calibration"]["bins"]))
            for place, system in enumerate(systems)
            if system.get("calibration")
        ],
        "confusions": confusion_tables(examined),
        "heat": heat_map(examined["cooccurrence"]["table"]) if examined.get("cooccurrence") else None,
        "least_shown": LEAST_SHOWN,
        "slices": shown_slices(examined),
        "cases": cases,
        "command": command,
    }
    return render_page(
        "duobiao.evaluate", "report.html", values, {"ratio": ratio, "number": number, "unseen": _unseen, "node": node_of}
    )


def _shown(systems: Sequence[System], cases: Cases | None) -> tuple[int, tuple[int, ...]]:
    """The place of the system that is looked at closely, and of the one beside it: the reference, else the best other."""
    order = sorted(range(len(systems)), key=lambda place: -systems[place]["micro_f1"])
    at = next((place for place in order if cases is not None and systems[place]["name"] == cases.system), order[0])
    others = sorted((place for place in order if place != at), key=lambda place: not systems[place]["reference"])
    return at, tuple(others[:1])


def _best(systems: Sequence[System]) -> dict[str, Any]:
    """The best value of each column, to be printed bold."""
    best: dict[str, Any] = {}
    for key in ("micro_f1", "macro_f1", "group_accuracy"):
        best[key] = max((system[key] for system in systems if system[key] is not None), default=None)
    best["mb"] = min(system["mb"] for system in systems)
    best["rows_per_s"] = max(system["rows_per_s"]["32"] for system in systems)
    return best


def _unseen(system: System) -> float | None:
    """Micro-F1 on unseen text, where there is any."""
    block = system.get("unseen_text", {})
    return block["micro_f1"] if block.get("rows") else None


def _interval(system: System) -> str:
    bounds = system.get("intervals", {}).get("micro_f1")
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}" if bounds else "–"
