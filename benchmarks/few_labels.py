"""Few labelled rows, and the rest without labels: what a project has before much is annotated.

    python benchmarks/few_labels.py ROWS OUT [--rows 1000|all] [--seed 0] [--more TEXT... --most 8000] [--without ROWS...]

Of the rows in ROWS so many keep their labels, drawn so that each label has at least one; a fifth of them is for thresholds and
the best epoch (a tenth with --rows all). OUT gets train.jsonl and dev.jsonl, and unlabelled.jsonl with the texts of all other
rows and --most lines drawn from --more (plain text), less those equal to a row of --without (rows to score on).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable
from pathlib import Path

from mini import draw

from duobiao.data.plain_text import lines_of
from duobiao.data.read import read_rows
from duobiao.data.rows import Row
from duobiao.data.write import write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, metavar="ROWS")
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", default="1000", dest="size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--more", type=Path, nargs="*", default=[])
    parser.add_argument("--most", type=int, default=8000)
    parser.add_argument("--without", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    rows = read_rows(args.rows)
    whole = args.size == "all"
    train, dev = draw(rows, len(rows) if whole else int(args.size), args.seed, 10 if whole else 5)
    args.out.mkdir(parents=True, exist_ok=True)
    taken = {row.text for path in args.without for row in read_rows(path)} | {row.text for row in (*train, *dev)}
    more = list(dict.fromkeys(lines(args.more)))
    more = random.Random(args.seed).sample(more, min(args.most, len(more)))
    texts = dict.fromkeys(text for text in (*(row.text for row in rows), *more) if text not in taken)
    write(args.out / "train.jsonl", train)
    write(args.out / "dev.jsonl", dev)
    write_text(args.out / "unlabelled.jsonl", "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts))
    print(f"{len(train)} training rows, {len(dev)} dev rows, {len(texts)} without labels")


def lines(paths: Iterable[Path]) -> Iterable[str]:
    """Lines of plain text."""
    for path in paths:
        yield from lines_of(path)


def write(path: Path, rows: Iterable[Row]) -> None:
    """Texts and labels."""
    write_text(
        path, "".join(json.dumps({"text": r.text, "labels": list(r.labels or ())}, ensure_ascii=False) + "\n" for r in rows)
    )


if __name__ == "__main__":
    main()
