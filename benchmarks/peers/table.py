"""All fitted peers in one table: quality on the test rows, and speed, timed in turn.

    python benchmarks/peers/table.py ROWS OUT --title DuEE [--turns 6] [--again]

Each system under OUT runs in its own process. In a turn each answers the same batches without a pause, 20 single rows and 5
batches of 32, after a few that are not counted; the order of systems turns. Timed inside the process, text in, decisions out.
Quality is counted twice: by the peer's own decisions, and with its scores and thresholds tuned by duobiao on the same dev rows
(groups by the highest score); the front takes the better of both. A peer's point that no system of ours reaches in both
quality and speed is told first, beside the best of ours that is as fast (or the fastest of ours), with the 95 % interval of
the difference (paired bootstrap); "level" if that holds 0. Students that learned from more rows than the peers (unlabelled
ones) stand in the table, but have no part in that. OUT gets table.json, table.md and table.svg.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from process import Process

from duobiao.config import ThresholdSettings
from duobiao.data.read import read_rows
from duobiao.data.rows import targets
from duobiao.data.write import write_text
from duobiao.evaluate.bootstrap import Metric, counts, paired_bootstrap, units_of
from duobiao.evaluate.compare import megabytes
from duobiao.evaluate.metrics import score
from duobiao.evaluate.plot import plot
from duobiao.labels import LabelSpace
from duobiao.postprocess.decode import Decoder
from duobiao.postprocess.probabilities import probabilities
from duobiao.postprocess.thresholds import tune
from duobiao.svg import svg_page

EDGE = 1e-6
OWN = "duobiao_bundle"
KINDS: tuple[Metric, ...] = ("micro_f1", "macro_f1")
OURS = "The front is ours: for each peer there is a system of ours that is as good and as fast."
PAUSE = 0.3
"""Seconds in which what ran before comes to rest."""
BLOCKS = {1: (3, 20), 32: (1, 5)}
"""Batches of a turn by their size: so many to wake up, so many that count."""
SIZE = (900, 460)
STYLE = (
    ".sheet{fill:#fff}text{font:13px sans-serif;fill:#475569;paint-order:stroke;stroke:#fff;stroke-width:3px}"
    ".axis{fill:none;stroke:#94a3b8}.front{fill:none;stroke:#94a3b8;stroke-dasharray:4 3}"
    ".own{fill:#2563eb}.peer{fill:#fff;stroke:#d97706;stroke-width:2}"
    ".own-name{fill:#1d4ed8;font-weight:600}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--title", required=True)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--again", action="store_true", help="with the times of the table that is there")
    args = parser.parse_args()
    names = sorted(path.parent.name for path in args.out.glob("*/answers.npz"))
    fits = {name: json.loads((args.out / name / "fit.json").read_text(encoding="utf-8")) for name in names}
    if not any(fit["peer"] == OWN and not fit.get("more_rows") for fit in fits.values()):
        parser.error(f"{args.out}: no system of ours, taught by the same rows, to compare with: fit one with fit.py {OWN}")
    speeds = timed_before(args.out) if args.again else timed(fits, args)
    systems = [
        {"name": name, **fits[name], **quality(args.rows, args.out / name), "mb": shipped(args.out / name), **speeds[name]}
        for name in names
    ]
    systems.sort(key=lambda one: (one["peer"] != OWN, -best(one, "micro_f1")))
    write_text(args.out / "table.svg", picture(systems))
    text = f"## {args.title}\n\n{verdict(systems)}\n\n{markdown(systems)}\n"
    write_text(args.out / "table.md", text)
    plain = [{key: value for key, value in one.items() if key not in ("counts", "own_counts", "python")} for one in systems]
    write_text(args.out / "table.json", json.dumps(plain, ensure_ascii=False, indent=1) + "\n")
    print(text)


def quality(rows: Path, place: Path) -> dict[str, Any]:
    """Scores on the test rows: as the peer decides, and ``tuned``; ``counts`` are those of the better one, by metric."""
    space = LabelSpace.from_yaml(rows / "labels.yaml")
    kept = np.load(place / "answers.npz")
    dev, test = (read_rows(rows / f"{part}.jsonl", space=space) for part in ("dev", "test"))
    cells = targets(test, space)
    logits = [log_odds(kept[f"{part}_scores"]) for part in ("dev", "test")]
    proba = [probabilities(values, space) for values in logits]
    settings = ThresholdSettings()
    decoder = Decoder(space, tune(proba[0], targets(dev, space), space, settings), settings)
    decided = kept["test_said"], decoder.decide(proba[1], space.asked([row.context for row in test]))
    own, tuned = ({kind: score(cells, answers, space)[kind] for kind in KINDS} for answers in decided)
    counted = [counts(cells, answers, units_of(test)) for answers in decided]
    better = {kind: counted[tuned[kind] > own[kind]] for kind in KINDS}
    return own | {"tuned": tuned, "counts": better, "own_counts": counted[0]}


def log_odds(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scores from 0 to 1 as log-odds; others (distances) as they are."""
    if scores.min() < 0 or scores.max() > 1:
        return scores
    clipped = np.clip(scores, EDGE, 1 - EDGE)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def timed(fits: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Rows a second at 1 and 32, and the 95th percentile, of each system."""
    rows = [json.loads(line) for line in (args.rows / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    order = np.random.default_rng(0).permutation(len(rows))
    found: dict[str, Any] = {name: {"rows_per_s": {}, "p50_ms": {}, "p95_ms": {}} for name in fits}
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(Process(fit["peer"], fit["python"], args.out / name / "model"))
            for name, fit in fits.items()
        }
        for size, (waking, counting) in BLOCKS.items():
            times: dict[str, list[float]] = {name: [] for name in fits}
            for turn in range(args.turns):
                starts = (np.arange(waking + counting) + turn * (waking + counting)) * size
                batches = [[rows[order[place % len(rows)]] for place in range(start, start + size)] for start in starts]
                names = [*fits][turn % len(fits) :] + [*fits][: turn % len(fits)]
                for name in names:
                    time.sleep(PAUSE)
                    times[name] += [running[name].seconds(batch) for batch in batches][waking:]
            for name, own in times.items():
                found[name]["rows_per_s"][str(size)] = size / float(np.median(own))
                found[name]["p50_ms"][str(size)] = float(np.median(own)) * 1000
                found[name]["p95_ms"][str(size)] = float(np.quantile(own, 0.95)) * 1000
    return found


def timed_before(out: Path) -> dict[str, Any]:
    systems = json.loads((out / "table.json").read_text(encoding="utf-8"))
    return {one["name"]: {key: one[key] for key in ("rows_per_s", "p50_ms", "p95_ms")} for one in systems}


def shipped(place: Path) -> float:
    """MB of what must be shipped; of a bundle, wherever it lies, as ``duobiao compare`` counts them."""
    pointer = place / "model" / "bundle.json"
    if pointer.exists():
        return megabytes(Path(json.loads(pointer.read_text(encoding="utf-8"))))
    return sum(path.stat().st_size for path in (place / "model").rglob("*") if path.is_file()) / 1e6


def best(system: dict[str, Any], kind: str) -> float:
    return float(max(system[kind], system["tuned"][kind]))


def verdict(systems: list[dict[str, Any]]) -> str:
    """Which peers' points no system of ours, taught by the same rows, matches in both quality and speed.

    Those first that chance does not explain.
    """
    ours = [one for one in systems if one["peer"] == OWN and not one.get("more_rows")]
    found = []
    for peer in systems:
        for size in ("1", "32"):
            for kind in KINDS:
                as_fast = [one for one in ours if one["rows_per_s"][size] >= peer["rows_per_s"][size]]
                rival = max(as_fast, key=lambda one: one[kind], default=None)
                if peer["peer"] != OWN and (rival is None or rival[kind] < best(peer, kind)):
                    rival = rival or max(ours, key=lambda one: one["rows_per_s"][size])
                    found.append(_ahead(peer, rival, kind, size))
    head = ["peer", "batch", "metric", "is", "difference in points (95 %)", "the peer at rows/s", "ours at rows/s"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [line for _, line in sorted(found, key=lambda one: not one[0])]
    return "\n".join(lines) if found else OURS


def _ahead(peer: dict[str, Any], rival: dict[str, Any], kind: Metric, size: str) -> tuple[bool, str]:
    """Whether chance does not explain it, and a line."""
    gain = paired_bootstrap([peer["counts"][kind]], [rival["own_counts"]])[kind]
    faster = peer["rows_per_s"][size] > rival["rows_per_s"][size]
    word = "**faster**" if faster else "**ahead**" if gain.low > 0 else "level"
    points = f"{gain.gain * 100:+.1f} ({gain.low * 100:+.1f} to {gain.high * 100:+.1f})"
    cells = [peer["name"], size, kind.replace("_f1", "-F1"), word, points]
    cells.append(f"{best(peer, kind):.4f} at {number(peer['rows_per_s'][size])}")
    cells.append(f"{rival['name']}: {rival[kind]:.4f} at {number(rival['rows_per_s'][size])}")
    return faster or gain.low > 0, f"| {' | '.join(cells)} |"


def picture(systems: list[dict[str, Any]]) -> str:
    """Micro-F1 against ms for a row alone, 95th percentile: ours filled, peers hollow; the line is the front of all."""
    drawn = plot([one | {"micro_f1": best(one, "micro_f1")} for one in systems], SIZE)
    edges = f"M{drawn['left']} {drawn['top']}V{drawn['bottom']}H{drawn['right']}"
    parts = [f'<path class="axis" d="{edges}"/>', f'<polyline class="front" points="{drawn["front"]}"/>']
    for x, tick in drawn["x_ticks"]:
        parts.append(f'<text x="{x}" y="{drawn["bottom"] + 18}" text-anchor="middle">{tick}</text>')
    for y, tick in drawn["y_ticks"]:
        parts.append(f'<text x="{drawn["left"] - 6}" y="{y + 4}" text-anchor="end">{tick}</text>')
    middle = (drawn["left"] + drawn["right"]) / 2
    parts.append(f'<text x="{middle}" y="{drawn["bottom"] + 38}" text-anchor="middle">ms, 95 % of rows alone</text>')
    parts.append(f'<text x="8" y="{drawn["top"] - 12}">micro-F1</text>')
    for one, point in zip(systems, drawn["points"], strict=True):
        kind = "own" if one["peer"] == OWN else "peer"
        parts.append(f'<circle class="{kind}" cx="{point["x"]}" cy="{point["y"]}" r="5"/>')
        place = f'x="{point["name_x"]}" y="{point["name_y"]}" text-anchor="{point["anchor"]}"'
        parts.append(f'<text class="{kind}-name" {place}>{point["name"]}</text>')
    return svg_page(*SIZE, STYLE, parts)


def markdown(systems: list[dict[str, Any]]) -> str:
    head = ["system", "micro-F1", "macro-F1", "with tuned thresholds", "seconds to train", "MB", "rows/s (1)", "rows/s (32)"]
    head += ["p95 ms (1)", "p95 ms (32)", "notes"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for one in systems:
        own = one["peer"] == OWN
        tuned = "" if own else f"{one['tuned']['micro_f1']:.4f} / {one['tuned']['macro_f1']:.4f}"
        seconds = "" if one["seconds"] is None else f"{one['seconds']:,.0f}"
        cells = [
            f"**{one['name']}**" if own else one["name"],
            f"{one['micro_f1']:.4f}",
            f"{one['macro_f1']:.4f}",
            tuned,
            seconds,
        ]
        cells += [number(one["mb"]), *(number(one["rows_per_s"][size]) for size in ("1", "32"))]
        cells += [*(number(one["p95_ms"][size]) for size in ("1", "32")), one.get("note", "")]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", f"Timed in turn on {os.cpu_count()} cores, each in its own process."]
    return "\n".join(lines)


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


if __name__ == "__main__":
    main()
